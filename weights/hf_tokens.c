/* hf_tokens.c: tokenizer.json: tokens, their types, merges or scores.
 * Not the special tokens' ids (hf_special.c) and not the patterns (hf_pretok.c).
 * Next: hf_special.c.
 *
 * Two kinds of BPE are told apart by byte_fallback: SentencePiece vocabularies have it and become model "llama", which
 * merges by score; byte-level ones become model "gpt2", which merges by rank. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "weights/hf_impl.h"

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE }; /* values of tokenizer.ggml.token_type */

static const char lower_line[] = "\xe2\x96\x81"; /* U+2581: how SentencePiece writes a space */

static enum status vocab_error(const struct hf_vocab *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum status vocab_error(const struct hf_vocab *v, const char *format, ...) {
    char what[320];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(v->h->e, ERR_INPUT, "%s: %s", gguf_short_name(v->name), what);
}

/* ---- tokens ---- */

static bool is_byte(const char *s) {
    return strlen(s) == 6 && !strncmp(s, "<0x", 3) && strspn(s + 3, "0123456789abcdefABCDEF") == 2 && s[5] == '>';
}

static enum status read_vocab(struct hf_vocab *v, const json_t *model) {
    const char *text;
    json_t *id, *vocab = json_object_get(model, "vocab");
    if (!json_is_object(vocab)) return vocab_error(v, "model.vocab is missing or no object");
    json_object_foreach(vocab, text, id) {
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= v->n)
            return vocab_error(v, "token \"%.60s\" has no id below %u, config.json's vocab_size", text, v->n);
        const size_t i = (size_t)json_integer_value(id);
        if (v->tokens[i])
            return vocab_error(v, "tokens \"%.60s\" and \"%.60s\" have the same id %zu", v->tokens[i], text, i);
        v->tokens[i] = text;
        v->types[i] = v->is_spm && is_byte(text) ? BYTE : NORMAL;
    }
    return OK;
}

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* Control tokens that some models forget to call special. */
static bool looks_special(const char *s) {
    static const char wide[] = "<\xef\xbd\x9c", wide_end[] = "\xef\xbd\x9c>"; /* U+FF5C */
    return !strcmp(s, "<pad>") || !strcmp(s, "<mask>") || !strcmp(s, "<2mass>") || !strcmp(s, "[@BOS@]") ||
           (!strncmp(s, "<|", 2) && ends_with(s, "|>")) || (!strncmp(s, wide, 4) && ends_with(s, wide_end)) ||
           (!strncmp(s, "<unused", 7) && ends_with(s, ">"));
}

/* The text with U+2581 as spaces, as user-defined tokens are matched. */
static const char *with_spaces(struct hf *h, const char *s) {
    if (!strstr(s, lower_line)) return s;
    char *copy = hf_alloc(h, strlen(s) + 1, 1), *to = copy;
    while (copy && *s) {
        const bool space = !strncmp(s, lower_line, 3);
        *to++ = space ? ' ' : *s;
        s += space ? 3 : 1;
    }
    return copy;
}

static enum status read_added(struct hf_vocab *v, const json_t *model) {
    const json_t *list = json_object_get(v->json, "added_tokens");
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *a = json_array_get(list, i), *id = json_object_get(a, "id");
        const char *text = json_string_value(json_object_get(a, "content"));
        if (!text || !json_is_integer(id) || json_integer_value(id) < 0)
            return vocab_error(v, "added_tokens[%zu] has no content or no id of 0 or above", i);
        if (json_integer_value(id) >= v->n) continue; /* of a part that is not here: Gemma's <image_soft_token> */
        const size_t at = (size_t)json_integer_value(id);
        const bool special = json_is_true(json_object_get(a, "special")) || looks_special(text);
        v->types[at] = v->is_spm && unknown && !strcmp(text, unknown) ? UNKNOWN : special ? CONTROL : USER;
        v->tokens[at] = special ? text : with_spaces(v->h, text);
        if (!v->tokens[at]) return ERR_MEMORY;
    }
    return OK;
}

/* Rows of the embedding that no token has. */
static enum status fill_gaps(struct hf_vocab *v) {
    enum { PAD = 24 };
    size_t n = 0;
    for (uint32_t i = 0; i < v->n; i++) n += !v->tokens[i];
    char *text = hf_alloc(v->h, n, PAD);
    if (!text) return ERR_MEMORY;
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->tokens[i]) continue;
        snprintf(text, PAD, "[PAD%" PRIu32 "]", i);
        v->tokens[i] = text, v->types[i] = UNUSED;
        text += PAD;
    }
    return OK;
}

/* ---- merges ---- */

/* Both sides of merge i, which is "left right" or ["left", "right"]; n_left: bytes of the left one. */
static enum status merge_at(const struct hf_vocab *v, const json_t *merges, size_t i, const char **left, size_t *n_left,
                            const char **right) {
    const json_t *m = json_array_get(merges, i);
    if (json_is_string(m)) {
        *left = json_string_value(m);
        const char *space = **left ? strchr(*left + 1, ' ') : NULL;
        *right = space ? space + 1 : NULL;
        *n_left = space ? (size_t)(space - *left) : 0;
    } else {
        *left = json_string_value(json_array_get(m, 0)), *right = json_string_value(json_array_get(m, 1));
        *n_left = *left ? strlen(*left) : 0;
    }
    if (*n_left && *right && **right) return OK;
    return vocab_error(v, "model.merges[%zu] is not two tokens", i);
}

/* As "left right"; a space inside a side is written U+0120, as in the printable alphabet of bytes. */
static enum status add_merges(const struct hf_vocab *v, const json_t *merges) {
    const size_t n = json_array_size(merges);
    size_t total = 0, n_left;
    const char *left, *right, **list = mem_new(n, sizeof *list);
    enum status s = list ? OK : error_set(v->h->e, ERR_MEMORY, "no memory for %zu merges", n);
    for (size_t i = 0; i < n && !s; i++)
        if (!(s = merge_at(v, merges, i, &left, &n_left, &right))) total += 2 * (n_left + strlen(right)) + 2;
    char *text = s ? NULL : mem_new(total, 1), *to = text;
    if (!s && !text) s = error_set(v->h->e, ERR_MEMORY, "no memory for %zu merges", n);
    for (size_t i = 0; i < n && !s; i++) {
        if ((s = merge_at(v, merges, i, &left, &n_left, &right))) break;
        const struct gguf_string sides[2] = {{left, n_left}, {right, strlen(right)}};
        list[i] = to;
        for (int k = 0; k < 2; k++) {
            for (size_t c = 0; c < sides[k].size; c++) {
                if (sides[k].data[c] == ' ') *to++ = '\xc4', *to++ = '\xa0';
                else *to++ = sides[k].data[c];
            }
            *to++ = k ? 0 : ' ';
        }
    }
    if (!s) gguf_add_strings(v->h->w, "tokenizer.ggml.merges", list, n);
    mem_free(list);
    mem_free(text);
    return s;
}

/* SentencePiece merges the pair whose token scores highest; tokens of its BPE models score 0, -1, -2 ... in the order in
 * which training found them, which is the order of the merges that make them. */
static enum status score_merges(const struct hf_vocab *v, const json_t *model, float *scores, bool *scored,
                                double *next) {
    const json_t *merges = json_object_get(model, "merges"), *vocab = json_object_get(model, "vocab");
    char *text = NULL;
    size_t cap = 0;
    enum status s = OK;
    for (size_t i = 0; i < json_array_size(merges) && !s; i++) {
        const char *left, *right;
        size_t n_left;
        if ((s = merge_at(v, merges, i, &left, &n_left, &right))) break;
        const size_t size = n_left + strlen(right) + 1;
        if (size > cap) {
            mem_free(text);
            cap = 2 * size;
            if (!(text = mem_new(cap, 1))) return error_set(v->h->e, ERR_MEMORY, "no memory for %zu bytes", cap);
        }
        memcpy(text, left, n_left);
        strcpy(text + n_left, right);
        const json_t *id = json_object_get(vocab, text);
        if (!id) s = vocab_error(v, "model.merges[%zu] makes \"%.60s\", which is not in the vocabulary", i, text);
        else if (!scored[json_integer_value(id)]) {
            scored[json_integer_value(id)] = true;
            scores[json_integer_value(id)] = (float)-(*next)++;
        }
    }
    mem_free(text);
    return s;
}

static enum status add_scores(const struct hf_vocab *v, const json_t *model) {
    float *scores = mem_new(v->n, sizeof *scores);
    bool *scored = mem_new(v->n, sizeof *scored);
    double next = 0;
    enum status s = scores && scored ? score_merges(v, model, scores, scored, &next)
                                     : error_set(v->h->e, ERR_MEMORY, "no memory for %u scores", v->n);
    for (uint32_t i = 0; !s && i < v->n; i++) {
        if (v->types[i] == USER || v->types[i] == CONTROL) scores[i] = -1000;
        else if (v->types[i] == UNUSED) scores[i] = -10000;
        else if (v->types[i] == NORMAL && !scored[i]) scores[i] = (float)-next++; /* single characters */
    }
    if (!s) gguf_add_f32s(v->h->w, "tokenizer.ggml.scores", scores, v->n);
    mem_free(scores);
    mem_free(scored);
    return s;
}

/* ---- what is done to the text first ---- */

/* SentencePiece: " " to U+2581, and perhaps one in front.  *prefix: that one.  Byte-level: nothing, or NFC, which neither
 * we nor llama.cpp do. */
static enum status read_normalizer(const struct hf_vocab *v, const json_t *n, bool *prefix) {
    const char *type = json_string_value(json_object_get(n, "type"));
    const json_t *list = json_object_get(n, "normalizers");
    if (!n || json_is_null(n)) return OK;
    if (type && !strcmp(type, "Sequence")) {
        enum status s = OK;
        for (size_t i = 0; i < json_array_size(list) && !s; i++) {
            const json_t *inner = json_array_get(list, i);
            if (json_object_get(inner, "normalizers")) return vocab_error(v, "normalizer: a sequence in a sequence");
            s = read_normalizer(v, inner, prefix);
        }
        return s;
    }
    if (v->is_spm && type && !strcmp(type, "Prepend")) return *prefix = true, OK;
    if (v->is_spm && type && !strcmp(type, "Replace")) {
        const char *from = json_string_value(json_object_get(json_object_get(n, "pattern"), "String"));
        const char *to = json_string_value(json_object_get(n, "content"));
        if (from && to && !strcmp(from, " ") && !strcmp(to, lower_line)) return OK;
    }
    if (!v->is_spm && type && !strcmp(type, "NFC")) return OK;
    return vocab_error(v, "normalizer \"%.60s\" is not known for this kind of vocabulary", type ? type : "");
}

static enum status add_spm(const struct hf_vocab *v, const json_t *model) {
    const json_t *pre = json_object_get(v->json, "pre_tokenizer");
    const char *type = json_string_value(json_object_get(pre, "type"));
    const char *scheme = json_string_value(json_object_get(pre, "prepend_scheme"));
    bool prefix = false;
    enum status s = read_normalizer(v, json_object_get(v->json, "normalizer"), &prefix);
    if (type && !strcmp(type, "Metaspace"))
        prefix = scheme ? strcmp(scheme, "never") != 0 : !json_is_false(json_object_get(pre, "add_prefix_space"));
    else if (type && strcmp(type, "Split")) /* Gemma's cut at spaces changes nothing: its tokens hold them in front */
        return vocab_error(v, "pre_tokenizer \"%.60s\" is not known for a vocabulary with byte_fallback", type);
    if (s) return s;
    gguf_add_string(v->h->w, "tokenizer.ggml.pre", "default");
    gguf_add_bool(v->h->w, "tokenizer.ggml.add_space_prefix", prefix);
    return add_scores(v, model);
}

static enum status add_byte_level(const struct hf_vocab *v, const json_t *model) {
    const json_t *merges = json_object_get(model, "merges");
    const char *pre;
    bool prefix;
    enum status s = read_normalizer(v, json_object_get(v->json, "normalizer"), &prefix);
    if (!s) s = hf_pretok_name(v, &pre);
    if (s) return s;
    if (!json_is_array(merges)) return vocab_error(v, "model.merges is missing or no array");
    gguf_add_string(v->h->w, "tokenizer.ggml.pre", pre);
    return add_merges(v, merges);
}

static enum status add_all(struct hf_vocab *v) {
    const json_t *model = json_object_get(v->json, "model");
    const char *type = json_string_value(json_object_get(model, "type"));
    if (type && strcmp(type, "BPE")) return vocab_error(v, "model.type is \"%.40s\"; BPE is read", type);
    v->is_spm = json_is_true(json_object_get(model, "byte_fallback"));
    enum status s = read_vocab(v, model);
    if (!s) s = read_added(v, model);
    if (!s) s = fill_gaps(v);
    if (s) return s;
    gguf_add_string(v->h->w, "tokenizer.ggml.model", v->is_spm ? "llama" : "gpt2");
    gguf_add_strings(v->h->w, "tokenizer.ggml.tokens", v->tokens, v->n);
    gguf_add_i32s(v->h->w, "tokenizer.ggml.token_type", v->types, v->n);
    s = v->is_spm ? add_spm(v, model) : add_byte_level(v, model);
    return s ? s : hf_add_special(v);
}

enum status hf_add_tokens(struct hf *h) {
    char *name = hf_path(h->folder, "tokenizer.json");
    struct hf_vocab v = {.h = h, .name = name, .n = h->n_vocab};
    v.tokens = mem_new(v.n, sizeof *v.tokens);
    v.types = mem_new(v.n, sizeof *v.types);
    enum status s = name && v.tokens && v.types ? hf_json_read(name, 0, &v.json, h->e)
                                                : error_set(h->e, ERR_MEMORY, "no memory for %u tokens", v.n);
    if (!s) s = add_all(&v);
    json_decref(v.json);
    mem_free(v.tokens);
    mem_free(v.types);
    mem_free(name);
    return s;
}
