/* protocol.c: see protocol.h.  docs/PRM.md has the sources and how files are made.
 * Not text to tokens: reader.c.
 * Next: reader.c. */
#include "prm/protocol.h"

#include <ctype.h>
#include <string.h>

#include "prm/reader.h"

/* clang-format off */
const struct prm_protocol prm_protocols[] = {
    {.name = "value", .outputs = PRM_VALUE, .agg = AGG_LAST, .policy_tokens = true},
    /* Qwen2.5-Math-PRM (Zhang et al. 2025): a two-class head at <extra_0>. */
    {.name = "qwen", .outputs = PRM_CLASSES, .agg = AGG_MIN, .chat = "chatml",
     .system = "Please reason step by step, and put your final answer within \\boxed{}.", .tail = "<extra_0>"},
    /* Skywork-o1-Open-PRM: a value head at the line end after each step. */
    {.name = "skywork", .outputs = PRM_VALUE, .agg = AGG_LAST, .bos = true, .apart = true, .lead = "\n", .tail = "\n"},
    /* Math-Shepherd (Wang et al. 2023): "+" against "-" where the model reads the tag. */
    {.name = "shepherd", .marks = {"math-shepherd"}, .outputs = PRM_WORDS, .agg = AGG_MIN, .strip = true,
     .lead = " ", .join = "\n", .tail = " \xd0\xba\xd0\xb8", .good = " +", .bad = " -"},
    /* RLHFlow Llama3.1-8B-PRM (Xiong et al. 2024): the assistant would say "+" or "-" to each step. */
    {.name = "rlhflow", .marks = {"rlhflow", "prm-deepseek-data", "prm-mistral-data"}, .outputs = PRM_WORDS,
     .agg = AGG_LAST, .strip = true, .turns = true, .chat = "llama3", .lead = " ", .good = "+", .bad = "-"},
    {0},
};
/* clang-format on */

const char *prm_kinds(void) { return "value, qwen, skywork, shepherd, rlhflow"; }

static const struct prm_protocol *row_of(const char *name, size_t size) {
    for (const struct prm_protocol *p = prm_protocols; p->name; p++)
        if (strlen(p->name) == size && !memcmp(p->name, name, size)) return p;
    return NULL;
}

/* Whether a name says `mark`, in any case and with any of the usual word separators. */
static bool says(struct gguf_string name, const char *mark) {
    size_t n = strlen(mark);
    for (size_t i = 0; i + n <= name.size; i++) {
        size_t k = 0;
        for (; k < n; k++) {
            int c = tolower((unsigned char)name.data[i + k]);
            if ((c == ' ' || c == '_' ? '-' : c) != mark[k]) break;
        }
        if (k == n) return true;
    }
    return false;
}

static const struct prm_protocol *row_by_name(const struct gguf *file) {
    static const char *const keys[] = {"general.name", "general.basename", "general.finetune", "general.organization"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct gguf_string name;
        struct error ignored;
        if (!gguf_has(file, keys[i]) || gguf_get_string(file, keys[i], &name, &ignored)) continue;
        for (const struct prm_protocol *p = prm_protocols; p->name; p++)
            for (int k = 0; k < 3 && p->marks[k]; k++)
                if (says(name, p->marks[k])) return p;
    }
    return NULL;
}

static const struct prm_protocol *row_by_head(const struct model *m) {
    if (gguf_find(m->file, "v_head.summary.weight")) return row_of("skywork", 7);
    return m->head_hidden.rows ? row_of("qwen", 4) : NULL;
}

static enum status check_head(const struct model *m, const struct prm_protocol *p, struct error *e) {
    static const char *const wants[] = {"a value head: prm.head.weight [1, n_embd] or v_head.summary.weight",
                                        "two classes: cls.weight, cls.output.weight [2, n_embd]", "an LM head"};
    bool is_value = m->head.rows == 1 && !m->lm_head, is_classes = m->head.rows == 2 && m->head_hidden.rows;
    if (p->outputs == PRM_VALUE ? is_value : p->outputs == PRM_CLASSES ? is_classes : m->lm_head) return OK;
    return error_set(e, ERR_INPUT, "%s: a reward model of kind %s needs %s, and their biases", gguf_name(m->file),
                     p->name, wants[p->outputs]);
}

enum status prm_protocol_of(const struct model *m, const char *kind, const struct prm_protocol **out, struct error *e) {
    struct gguf_string key = {kind, kind ? strlen(kind) : 0};
    const char *where = kind ? "--prm-kind" : "prm.kind";
    if (!kind && gguf_has(m->file, "prm.kind")) {
        enum status s = gguf_get_string(m->file, "prm.kind", &key, e);
        if (s) return s;
    }
    *out = key.data ? row_of(key.data, key.size) : NULL;
    if (key.data && !*out)
        return error_set(e, ERR_INPUT, "%s: %s \"%.*s\" is not known; known: %s", gguf_name(m->file), where,
                         (int)(key.size < 40 ? key.size : 40), key.data, prm_kinds());
    if (!*out) *out = row_by_head(m);
    if (!*out) *out = row_by_name(m->file);
    if (*out) return check_head(m, *out, e);
    return error_set(e, ERR_INPUT,
                     "%s: key prm.kind is missing and neither head nor name tell a reward model; say --prm-kind (%s)",
                     gguf_name(m->file), prm_kinds());
}
