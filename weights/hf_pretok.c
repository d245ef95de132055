/* hf_pretok.c: which tokenizer.ggml.pre cuts texts into words as a tokenizer.json does.
 * Not the cutting: tokenizer/pretok.c knows the names that stand here.
 * Next: tokenizer/pretok.c.
 *
 * A pre_tokenizer is a list of cuts.  All are written as patterns in one spelling, and the list is looked up. */
#include <string.h>

#include "weights/hf_impl.h"

enum { MAX_CUTS = 6, MAX_TEXT = 2048 };

#define ENDINGS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define EDGE "[^\\r\\n\\p{L}\\p{N}]?"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define WORDS(digits) ENDINGS "|" EDGE "\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" TAIL
#define CASED(endings, digits)                                                                                         \
    EDGE UPPER "*" LOWER "+" endings "|" EDGE UPPER "+" LOWER "*" endings "|" digits                                   \
               "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" TAIL
#define CJK "[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+"
#define DEEPSEEK3                                                                                                      \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"                \
    "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" TAIL

/* Does a whole word that is a token skip the merges?  The name decides that too. */
enum whole { NO_MATTER, WHOLE, MERGED };

static const struct {
    const char *name;
    enum whole whole;
    const char *cuts[MAX_CUTS]; /* up to the first NULL */
} known[] = {
    {"gpt-2", MERGED, {GPT2}},
    {"llama-bpe", WHOLE, {WORDS("\\p{N}{1,3}")}},
    {"dbrx", MERGED, {WORDS("\\p{N}{1,3}")}},
    {"qwen2", MERGED, {WORDS("\\p{N}")}},
    {"qwen35", MERGED, {ENDINGS "|" EDGE "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" TAIL}},
    {"smollm", MERGED, {"\\p{N}", GPT2}},
    {"minicpm5", NO_MATTER, {"\\p{N}{1,3}", WORDS("\\p{N}+")}},
    {"tekken", NO_MATTER, {CASED("", "\\p{N}")}},
    {"gpt-4o", MERGED, {CASED(ENDINGS "?", "\\p{N}{1,3}")}},
    {"deepseek-v3", MERGED, {"\\p{N}{1,3}", CJK, DEEPSEEK3}},
};
enum { N_KNOWN = sizeof known / sizeof *known };

struct cuts {
    char text[MAX_CUTS][MAX_TEXT];
    size_t n;
    const char *wrong; /* why it cannot be written so; NULL: it can */
};

/* One of several spellings of the same thing, at *from. */
static const char *common_spelling(const char **from) {
    static const char *const same[][2] = {{"'(?i:[sdmt]|ll|ve|re)", ENDINGS},
                                          {"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])", ENDINGS},
                                          {"'(?:[sdmt]|ll|ve|re)", "'s|'t|'re|'ve|'m|'ll|'d"},
                                          {"\r", "\\r"},
                                          {"\n", "\\n"}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const size_t n = strlen(same[i][0]);
        if (strncmp(*from, same[i][0], n)) continue;
        *from += n;
        return same[i][1];
    }
    return NULL;
}

/* Adds a pattern; "possessive" repeats (x?+ x++ x*+) match the same words here, as nothing follows them that they could
 * give back to. */
static void add_cut(struct cuts *c, const char *regex) {
    if (!regex || c->n == MAX_CUTS || strlen(regex) > MAX_TEXT / 3) {
        c->wrong = "a pattern that is too long, or too many";
        return;
    }
    char *const start = c->text[c->n++], *to = start;
    while (*regex) {
        const char *other = common_spelling(&regex);
        const bool repeat = to > start && strchr("?+*", to[-1]) && (to == start + 1 || to[-2] != '\\');
        if (other) {
            strcpy(to, other);
            to += strlen(other);
        } else if (*regex == '+' && repeat) {
            regex++;
        } else {
            *to++ = *regex++;
        }
    }
    *to = 0;
}

/* Isolated matches, or (what is the same where the pattern matches everything) all that is not between matches. */
static void add_split(struct cuts *c, const json_t *p) {
    const char *behavior = json_string_value(json_object_get(p, "behavior"));
    const bool invert = json_is_true(json_object_get(p, "invert"));
    const char *regex = json_string_value(json_object_get(json_object_get(p, "pattern"), "Regex"));
    if (!behavior || (strcmp(behavior, "Isolated") && strcmp(behavior, "Removed")) ||
        invert != !strcmp(behavior, "Removed"))
        c->wrong = "a Split that neither isolates matches nor removes what is between them";
    else add_cut(c, regex);
}

static void add_pre_tokenizer(struct cuts *c, const json_t *p, int depth) {
    const char *type = json_string_value(json_object_get(p, "type"));
    const json_t *list = json_object_get(p, "pretokenizers");
    if (type && !strcmp(type, "Sequence") && depth < 4) {
        for (size_t i = 0; i < json_array_size(list); i++) add_pre_tokenizer(c, json_array_get(list, i), depth + 1);
    } else if (type && !strcmp(type, "Split")) {
        add_split(c, p);
    } else if (type && !strcmp(type, "Digits")) {
        add_cut(c, json_is_true(json_object_get(p, "individual_digits")) ? "\\p{N}" : "\\p{N}+");
    } else if (type && !strcmp(type, "ByteLevel")) {
        if (json_is_true(json_object_get(p, "add_prefix_space"))) c->wrong = "ByteLevel with add_prefix_space";
        if (!json_is_false(json_object_get(p, "use_regex"))) add_cut(c, GPT2);
    } else {
        c->wrong = type ? type : "an object without type";
    }
}

static bool is_same(const struct cuts *c, size_t k) {
    size_t i = 0;
    while (i < c->n && i < MAX_CUTS && known[k].cuts[i] && !strcmp(c->text[i], known[k].cuts[i])) i++;
    return i == c->n && (i == MAX_CUTS || !known[k].cuts[i]);
}

enum status hf_pretok_name(const struct hf_vocab *v, const char **name) {
    const json_t *model = json_object_get(v->json, "model");
    const bool whole = json_is_true(json_object_get(model, "ignore_merges"));
    struct cuts c = {0};
    add_pre_tokenizer(&c, json_object_get(v->json, "pre_tokenizer"), 0);
    if (c.wrong)
        return error_set(v->h->e, ERR_INPUT, "%s: pre_tokenizer: %.80s is not known", gguf_short_name(v->name),
                         c.wrong);
    for (size_t k = 0; k < N_KNOWN; k++) {
        if (!is_same(&c, k) || known[k].whole == (whole ? MERGED : WHOLE)) continue;
        *name = known[k].name;
        return OK;
    }
    return error_set(v->h->e, ERR_INPUT, "%s: pre_tokenizer with %zu patterns%s, the last one \"%.200s\", is not known",
                     gguf_short_name(v->name), c.n, whole ? " and ignore_merges" : "", c.n ? c.text[c.n - 1] : "");
}
