/* hf_special.c: which tokens begin, end, pad; whether a text begins with one; the chat template.
 * Not the vocabulary: hf_tokens.c.
 * Next: hf_pretok.c.
 *
 * The order of trust: tokenizer_config.json's names, then config.json's ids, then generation_config.json's ids.  All end
 * tokens beyond the first become eot and eom, so that generation stops at each. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "weights/hf_impl.h"

/* The files that may be absent; NULL then. */
struct sources {
    json_t *tokenizer, *generation; /* tokenizer_config.json, generation_config.json */
};

static enum status read_optional(const struct hf *h, const char *name, json_t **out) {
    char *path = hf_path(h->folder, name);
    *out = NULL;
    enum status s = OK;
    if (!path) s = error_set(h->e, ERR_MEMORY, "no memory to open %s", name);
    else if (!access(path, F_OK)) s = hf_json_read(path, 0, out, h->e);
    mem_free(path);
    return s;
}

static int64_t find(const struct hf_vocab *v, const char *text) {
    for (uint32_t i = 0; text && i < v->n; i++)
        if (!strcmp(v->tokens[i], text)) return i;
    return -1;
}

/* "<s>" or {"content": "<s>", ...} */
static const char *text_of(const json_t *v) {
    return json_is_object(v) ? json_string_value(json_object_get(v, "content")) : json_string_value(v);
}

static int64_t in_range(const struct hf_vocab *v, const json_t *id) {
    return json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) < v->n ? json_integer_value(id)
                                                                                               : -1;
}

/* The id that the sources give a role ("bos"), or -1. */
static int64_t id_of(const struct hf_vocab *v, const struct sources *from, const char *role) {
    char key[32];
    snprintf(key, sizeof key, "%s_token", role);
    int64_t id = find(v, text_of(json_object_get(from->tokenizer, key)));
    snprintf(key, sizeof key, "%s_token_id", role);
    const json_t *ids[] = {hf_get(v->h, key), json_object_get(from->generation, key)};
    for (int i = 0; i < 2 && id < 0; i++) id = in_range(v, json_is_array(ids[i]) ? json_array_get(ids[i], 0) : ids[i]);
    return id;
}

static void put_id(const struct hf_vocab *v, const char *key, int64_t id) {
    if (id >= 0) gguf_add_u32(v->h->w, key, (uint32_t)id);
}

/* End tokens beyond eos. */
static void add_more_ends(const struct hf_vocab *v, const struct sources *from, int64_t eos) {
    static const char *const keys[] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
    const json_t *lists[] = {json_object_get(from->generation, "eos_token_id"), hf_get(v->h, "eos_token_id")};
    int64_t seen[3] = {eos};
    int n = 1;
    for (int i = 0; i < 2; i++) {
        const bool is_list = json_is_array(lists[i]);
        for (size_t k = 0; k < (is_list ? json_array_size(lists[i]) : 1) && n < 3; k++) {
            int64_t id = in_range(v, is_list ? json_array_get(lists[i], k) : lists[i]);
            bool known = id < 0;
            for (int j = 0; j < n; j++) known = known || seen[j] == id;
            if (known) continue;
            put_id(v, keys[n - 1], id);
            seen[n++] = id;
        }
    }
}

/* Does the post-processor put this token first (or last)? */
static bool template_has(const json_t *processor, const char *text, bool last) {
    const json_t *list = json_object_get(processor, "processors"), *single = json_object_get(processor, "single");
    const size_t n = json_array_size(single);
    for (size_t i = 0; i < json_array_size(list); i++) /* of a sequence; one level is all there is */
        if (json_object_get(json_array_get(list, i), "single") && template_has(json_array_get(list, i), text, last))
            return true;
    const json_t *part = n > 1 ? json_array_get(single, last ? n - 1 : 0) : NULL;
    const char *id = json_string_value(json_object_get(json_object_get(part, "SpecialToken"), "id"));
    return id && text && !strcmp(id, text);
}

/* add_bos_token, add_eos_token: as tokenizer_config.json says, else as the post-processor does. */
static void add_flag(const struct hf_vocab *v, const struct sources *from, const char *key, int64_t id, bool last) {
    char full[64];
    const json_t *says = json_object_get(from->tokenizer, key);
    const json_t *processor = json_object_get(v->json, "post_processor");
    const bool adds =
        json_is_boolean(says) ? json_is_true(says) : id >= 0 && template_has(processor, v->tokens[id], last);
    snprintf(full, sizeof full, "tokenizer.ggml.%s", key);
    if (id >= 0 && (adds || !last)) gguf_add_bool(v->h->w, full, adds);
}

/* ---- the chat template ---- */

/* One text, or a list of named ones of which "default" is the one. */
static void add_template(const struct hf_vocab *v, const json_t *t) {
    if (json_is_string(t)) gguf_add_string(v->h->w, "tokenizer.chat_template", json_string_value(t));
    for (size_t i = 0; i < json_array_size(t); i++) {
        char key[96];
        const char *name = json_string_value(json_object_get(json_array_get(t, i), "name"));
        const char *text = json_string_value(json_object_get(json_array_get(t, i), "template"));
        if (!name || !text || strlen(name) > 40) continue;
        snprintf(key, sizeof key, "tokenizer.chat_template%s%s", strcmp(name, "default") ? "." : "",
                 strcmp(name, "default") ? name : "");
        gguf_add_string(v->h->w, key, text);
    }
}

/* *found: the file was there. */
static enum status add_template_file(const struct hf_vocab *v, bool *found) {
    char *path = hf_path(v->h->folder, "chat_template.jinja");
    const void *data;
    size_t size;
    enum status s = path ? OK : error_set(v->h->e, ERR_MEMORY, "no memory to open chat_template.jinja");
    *found = path && !access(path, F_OK);
    if (!s && *found && !(s = gguf_map(path, "; a chat template is wanted", &data, &size, v->h->e))) {
        char *text = mem_new(size + 1, 1);
        if (text) memcpy(text, data, size), gguf_add_string(v->h->w, "tokenizer.chat_template", text);
        else s = error_set(v->h->e, ERR_MEMORY, "%s: no memory for %zu bytes", gguf_short_name(path), size);
        mem_free(text);
        munmap((void *)data, size);
    }
    mem_free(path);
    return s;
}

static enum status add_chat_template(const struct hf_vocab *v, const struct sources *from) {
    bool found;
    json_t *alone = NULL;
    enum status s = add_template_file(v, &found);
    if (s || found) return s;
    const json_t *t = json_object_get(from->tokenizer, "chat_template");
    if (!t || json_is_null(t)) {
        if ((s = read_optional(v->h, "chat_template.json", &alone))) return s;
        t = json_object_get(alone, "chat_template");
    }
    add_template(v, t);
    json_decref(alone);
    return OK;
}

enum status hf_add_special(const struct hf_vocab *v) {
    struct sources from;
    enum status s = read_optional(v->h, "tokenizer_config.json", &from.tokenizer);
    from.generation = NULL;
    if (!s) s = read_optional(v->h, "generation_config.json", &from.generation);
    if (!s) {
        const int64_t bos = id_of(v, &from, "bos"), eos = id_of(v, &from, "eos");
        put_id(v, "tokenizer.ggml.bos_token_id", bos);
        put_id(v, "tokenizer.ggml.eos_token_id", eos);
        put_id(v, "tokenizer.ggml.unknown_token_id", id_of(v, &from, "unk"));
        put_id(v, "tokenizer.ggml.padding_token_id", id_of(v, &from, "pad"));
        add_more_ends(v, &from, eos);
        add_flag(v, &from, "add_bos_token", bos, false);
        add_flag(v, &from, "add_eos_token", eos, true);
        s = add_chat_template(v, &from);
    }
    json_decref(from.tokenizer);
    json_decref(from.generation);
    return s;
}
