/* spm.c: SentencePiece BPE: text is characters, neighbours merge by the score of what they make, bytes are the fallback.
 * With the list of merges of a ranked vocabulary (Gemma 4) in place of scores.  Not the unigram model of SentencePiece.
 * Next: merge.c for the loop.  Source: Kudo and Richardson 2018, arXiv:1808.06226.
 *
 * Files write a space as U+2581.  Here pieces hold spaces, and a U+2581 in the text counts as a space too. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/tok_internal.h"

size_t spm_unescape(const char *text, size_t size, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        bool is_space = size - i >= 3 && memcmp(text + i, "\xe2\x96\x81", 3) == 0;
        out[n++] = is_space ? ' ' : text[i];
        i += is_space ? 3 : 1;
    }
    return n;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int spm_byte(const char *text, size_t size) {
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    int high = hex_digit(text[3]), low = hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static enum status read_scores(const struct gguf *g, struct tok *t, struct error *e) {
    enum gguf_kind kind;
    size_t n;
    enum status s = gguf_get_array(g, "tokenizer.ggml.scores", &kind, &n, e);
    if (s) return s;
    if (kind == GGUF_STRING || kind == GGUF_ARRAY || n != t->n_vocab)
        return error_set(e, ERR_INPUT,
                         "%s: tokenizer.ggml.scores must be %u numbers, one a token; found %zu values of kind %d",
                         gguf_name(g), t->n_vocab, n, (int)kind);
    t->scores = mem_new(n, sizeof *t->scores);
    if (!t->scores) return error_set(e, ERR_MEMORY, "%s: no memory for %zu scores", gguf_name(g), n);
    for (size_t i = 0; i < n; i++) {
        double v = gguf_array_f64(g, "tokenizer.ggml.scores", i);
        if (isnan(v)) return error_set(e, ERR_INPUT, "%s: tokenizer.ggml.scores[%zu] is not a number", gguf_name(g), i);
        t->scores[i] = (float)v;
    }
    return OK;
}

enum status spm_open(const struct gguf *g, struct tok *t, struct error *e) {
    enum status s = t->is_ranked ? bpe_read_merges(g, t, e) : read_scores(g, t, e);
    if (s) return s;
    for (int b = 0; b < 256; b++) t->byte_ids[b] = -1;
    for (uint32_t i = t->n_vocab; i-- > 0;) /* downwards: of equal tokens the first wins */
        if (t->types[i] == PIECE_BYTE) t->byte_ids[(unsigned char)t->bytes[t->at[i]]] = (int32_t)i;
    return gguf_get_bool_or(g, "tokenizer.ggml.add_space_prefix", !t->is_ranked, &t->adds_space, e);
}

/* Higher scores first.  A float's bits order like an integer once negative ones are flipped. */
static uint32_t score_priority(float score) {
    score += 0.0f; /* -0 and 0 are equal */
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? bits : ~bits & 0x7fffffffu;
}

static bool by_score(const struct tok *t, const char *text, const struct symbol *left, const struct symbol *right,
                     uint32_t *priority, int32_t *id) {
    *id = tok_map_get(t, &t->plain, text + left->start, (size_t)left->size + right->size);
    if (*id < 0) return false;
    *priority = score_priority(t->scores[*id]);
    return true;
}

static enum status encode_run(const struct tok *t, struct merge_work *w, const char *text, size_t size,
                              struct tok_sink *out, struct error *e) {
    enum status s = merge_reserve(w, size, e);
    if (s) return s;
    for (size_t i = 0, n; i < size; i += n) {
        n = utf8_char(text + i, size - i);
        if (n == 0) n = 1; /* ill-formed: this byte alone */
        merge_push(w, tok_map_get(t, &t->plain, text + i, n), i, n);
    }
    merge_run(w, t, text, t->is_ranked ? bpe_by_rank : by_score);
    for (int32_t i = 0; i >= 0 && !s; i = w->symbols[i].next) {
        const struct symbol *y = &w->symbols[i];
        if (y->id >= 0) tok_put(out, y->id);
        else s = tok_put_bytes(t, text + y->start, y->size, out, e);
    }
    return s;
}

/* Ranked vocabularies never merge over a border between newlines and others; newlines that are one token are that. */
static enum status encode_lines(const struct tok *t, struct merge_work *w, const char *text, size_t size,
                                struct tok_sink *out, struct error *e) {
    enum status s = OK;
    for (size_t i = 0, n; i < size && !s; i += n) {
        bool newline = text[i] == '\n';
        for (n = 1; i + n < size && (text[i + n] == '\n') == newline;) n++;
        int32_t id = newline ? tok_map_get(t, &t->plain, text + i, n) : -1;
        if (id >= 0) tok_put(out, id);
        else s = encode_run(t, w, text + i, n, out, e);
    }
    return s;
}

enum status spm_encode(const struct tok *t, const char *text, size_t size, struct tok_sink *out, struct error *e) {
    char *spaced = mem_new(size + 1, 1);
    if (!spaced) return error_set(e, ERR_MEMORY, "tokenizer: no memory for a text of %zu bytes", size);
    struct merge_work work = {0};
    spaced[0] = ' ';
    size_t n = spm_unescape(text, size, spaced + t->adds_space) + t->adds_space;
    enum status s = (t->is_ranked ? encode_lines : encode_run)(t, &work, spaced, n, out, e);
    merge_free(&work);
    mem_free(spaced);
    return s;
}
