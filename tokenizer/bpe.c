/* bpe.c: byte-level BPE as GPT-2 made it: text is bytes, words are cut by a pattern, neighbours merge by rank.
 * Not the patterns: pretok.c.
 * Next: spm.c, the other kind.
 *
 * Files write the 256 bytes with printable characters: a byte that is printable in Latin-1 stands for itself, the n-th
 * of the others is written as code point 256 + n (a space is U+0120).  Here pieces are kept as raw bytes. */
#include "base/ds.h"
#include "base/mem.h"
#include "tokenizer/tok_internal.h"

#include <string.h>

bool bpe_printable(unsigned byte) { return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174; }

/* Code point -> byte, -1 outside the alphabet.  Not printable are 0-32, 127-160 and 173. */
static int byte_of(unsigned code) {
    if (code < 256) return bpe_printable(code) ? (int)code : -1;
    unsigned nth = code - 256;
    return nth < 33 ? (int)nth : nth < 67 ? (int)nth - 33 + 127 : nth == 67 ? 173 : -1;
}

size_t bpe_unmap(const char *text, size_t size, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        const unsigned char *c = (const unsigned char *)text + i;
        size_t step = utf8_char(text + i, size - i);
        int byte = step == 1 ? byte_of(c[0]) : step == 2 ? byte_of((c[0] & 31u) << 6 | (c[1] & 63u)) : -1;
        if (byte < 0) { /* not in the alphabet: an added token written as plain text */
            memmove(out, text, size);
            return size;
        }
        out[n++] = (char)byte;
        i += step;
    }
    return n;
}

/* ---- merges ---- */

/* One side of a merge line.  *id is -1 for a control token, which plain text never becomes. */
static enum status find_side(const struct gguf *g, const struct tok *t, struct gguf_string s, size_t line, char *buffer,
                             int32_t *id, struct error *e) {
    size_t n = (t->is_spm ? spm_unescape : bpe_unmap)(s.data, s.size, buffer);
    *id = tok_map_get(t, &t->plain, buffer, n);
    if (*id >= 0 || tok_map_get(t, &t->special, s.data, s.size) >= 0) return OK;
    return error_set(e, ERR_INPUT, "%s: tokenizer.ggml.merges[%zu] names \"%.*s\", which is not a token", gguf_name(g),
                     line, s.size < 64 ? (int)s.size : 64, s.data);
}

static enum status add_merge(const struct gguf *g, struct tok *t, size_t line, char *buffer, struct error *e) {
    struct gguf_string s = gguf_array_string(g, "tokenizer.ggml.merges", line);
    const char *space = s.size > 1 ? memchr(s.data + 1, ' ', s.size - 1) : NULL;
    size_t cut = space ? (size_t)(space - s.data) : 0;
    if (!space || cut + 1 == s.size || s.size > 2 * t->longest_text + 1)
        return error_set(e, ERR_INPUT, "%s: tokenizer.ggml.merges[%zu] is not two tokens with a space between",
                         gguf_name(g), line);
    int32_t left, right;
    enum status st = find_side(g, t, (struct gguf_string){s.data, cut}, line, buffer, &left, e);
    if (!st) st = find_side(g, t, (struct gguf_string){space + 1, s.size - cut - 1}, line, buffer, &right, e);
    if (st || left < 0 || right < 0) return st;

    size_t n_left, n_right;
    const char *l = tok_text(t, left, &n_left), *r = tok_text(t, right, &n_right);
    memcpy(buffer, l, n_left);
    memcpy(buffer + n_left, r, n_right);
    int32_t id = tok_map_get(t, &t->plain, buffer, n_left + n_right);
    if (id < 0 && tok_map_get(t, &t->special, buffer, n_left + n_right) >= 0) return OK; /* nobody types that one */
    if (id < 0)
        return error_set(e, ERR_INPUT, "%s: tokenizer.ggml.merges[%zu] \"%.*s\" makes something that is not a token",
                         gguf_name(g), line, s.size < 64 ? (int)s.size : 64, s.data);
    struct bpe_merge m = {{left, right}, (uint32_t)line, id};
    if (ds_find(t->merges, m.key) >= 0) return OK; /* listed twice: the first wins */
    return ds_put(t->merges, m) ? OK : error_set(e, ERR_MEMORY, "%s: no memory for its merges", gguf_name(g));
}

enum status bpe_read_merges(const struct gguf *g, struct tok *t, struct error *e) {
    enum gguf_kind kind;
    size_t n;
    enum status s = gguf_get_array(g, "tokenizer.ggml.merges", &kind, &n, e);
    if (s) return s;
    if (kind != GGUF_STRING || n > INT32_MAX / 4)
        return error_set(e, ERR_INPUT, "%s: tokenizer.ggml.merges must be an array of at most %d strings", gguf_name(g),
                         INT32_MAX / 4);
    char *buffer = mem_new(2 * t->longest_text + 1, 1);
    if (!buffer) return error_set(e, ERR_MEMORY, "%s: no memory for %zu merges", gguf_name(g), n);
    for (size_t i = 0; i < n && !s; i++) s = add_merge(g, t, i, buffer, e);
    mem_free(buffer);
    return s;
}

enum status bpe_open(const struct gguf *g, struct tok *t, struct error *e) {
    struct gguf_string pre;
    if (!gguf_has(g, "tokenizer.ggml.pre"))
        return error_set(e, ERR_INPUT,
                         "%s: tokenizer.ggml.pre is missing, so its words cannot be cut; convert the model again",
                         gguf_name(g));
    enum status s = gguf_get_string(g, "tokenizer.ggml.pre", &pre, e);
    if (s) return s;
    struct error why;
    s = pretok_open(pre.data, pre.size, &t->pretok, &why);
    if (s) return error_set(e, s, "%s: tokenizer.ggml.pre: %s", gguf_name(g), why.text);
    t->ignores_merges = pretok_ignores_merges(t->pretok);
    for (unsigned b = 0; b < 256; b++) t->byte_ids[b] = tok_map_get(t, &t->plain, (char[1]){(char)b}, 1);
    return bpe_read_merges(g, t, e);
}

/* ---- encode ---- */

bool bpe_by_rank(const struct tok *t, const char *text, const struct symbol *left, const struct symbol *right,
                 uint32_t *priority, int32_t *id) {
    (void)text;
    if (left->id < 0 || right->id < 0) return false;
    const struct bpe_merge wanted = {.key = {left->id, right->id}};
    ptrdiff_t m = ds_find(t->merges, wanted.key);
    if (m < 0) return false;
    *priority = t->merges[m].rank;
    *id = t->merges[m].id;
    return true;
}

static enum status encode_word(const struct tok *t, struct merge_work *w, const char *text, size_t size,
                               struct tok_sink *out, struct error *e) {
    if (t->ignores_merges) {
        int32_t id = tok_map_get(t, &t->plain, text, size);
        if (id >= 0) {
            tok_put(out, id);
            return OK;
        }
    }
    enum status s = merge_reserve(w, size, e);
    if (s) return s;
    for (size_t i = 0; i < size; i++) merge_push(w, t->byte_ids[(unsigned char)text[i]], i, 1);
    merge_run(w, t, text, bpe_by_rank);
    for (int32_t i = 0; i >= 0 && !s; i = w->symbols[i].next) {
        const struct symbol *y = &w->symbols[i];
        if (y->id >= 0) tok_put(out, y->id);
        else s = tok_put_bytes(t, text + y->start, y->size, out, e);
    }
    return s;
}

enum status bpe_encode(const struct tok *t, const char *text, size_t size, struct tok_sink *out, struct error *e) {
    uint32_t *ends = mem_new(size, sizeof *ends);
    if (!ends) return error_set(e, ERR_MEMORY, "tokenizer: no memory for a text of %zu bytes", size);
    struct merge_work work = {0};
    size_t n = 0;
    enum status s = pretok_split(t->pretok, text, size, ends, &n, e);
    for (size_t i = 0, start = 0; i < n && !s; start = ends[i++])
        s = encode_word(t, &work, text + start, ends[i] - start, out, e);
    merge_free(&work);
    mem_free(ends);
    return s;
}
