/* tok.c: the parts common to both kinds of tokenizer: reading the vocabulary, cutting special tokens out, ids back to text.
 * Not which tokens are special: special.c; not the merging: bpe.c and spm.c.
 * Next: tok_internal.h, then bpe.c. */
#include "tokenizer/tok.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/ds.h"
#include "base/mem.h"
#include "tokenizer/tok_internal.h"

#define KEY "tokenizer.ggml."

/* ---- from piece to id ---- */

int32_t tok_map_get(const struct tok *t, const struct names *m, const char *text, size_t size) {
    if (size == 0 || size > t->longest) return -1;
    size_t id = names_find(m, text, size);
    return id == SIZE_MAX ? -1 : (int32_t)id;
}

static void map_put(const struct tok *t, struct names *m, int32_t id) {
    size_t n;
    const char *piece = tok_text(t, id, &n);
    if (n > 0) names_add(m, piece, n, (uint32_t)id);
}

static bool is_special(int type) { return type == PIECE_CONTROL || type == PIECE_UNKNOWN || type == PIECE_USER; }
static bool is_plain(const struct tok *t, int type) {
    return type == PIECE_NORMAL || type == PIECE_USER || (type == PIECE_BYTE && !t->is_spm);
}

static int longer_first(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x < y) - (x > y);
}

/* A token of a byte-level vocabulary that its file writes outside the alphabet; ordinary text prefers an equal one. */
static bool is_stray(const struct gguf *g, const struct tok *t, uint32_t i) {
    struct gguf_string s = gguf_array_string(g, KEY "tokens", i);
    if (t->is_spm || t->types[i] != PIECE_NORMAL || t->at[i + 1] - t->at[i] != s.size) return false;
    for (size_t c = 0; c < s.size; c++)
        if ((unsigned char)s.data[c] >= 0x80) return true;
    return false;
}

static enum status build_maps(const struct gguf *g, struct tok *t, struct error *e) {
    size_t n_special = 0;
    for (uint32_t i = 0; i < t->n_vocab; i++) n_special += is_special(t->types[i]);
    t->lengths = mem_new(n_special, sizeof *t->lengths);
    if (!t->lengths) return error_set(e, ERR_MEMORY, "no memory for a vocabulary of %u tokens", t->n_vocab);
    for (uint32_t i = 0; i < t->n_vocab; i++) {
        size_t n;
        const char *piece = tok_text(t, (int32_t)i, &n);
        if (is_plain(t, t->types[i]) && !is_stray(g, t, i)) map_put(t, &t->plain, (int32_t)i);
        if (n == 0 || !is_special(t->types[i])) continue;
        map_put(t, &t->special, (int32_t)i);
        t->starts[(unsigned char)piece[0]] |= t->types[i] == PIECE_USER ? 2 : 1;
        t->lengths[t->n_lengths++] = n;
    }
    for (uint32_t i = 0; i < t->n_vocab; i++)
        if (is_stray(g, t, i)) map_put(t, &t->plain, (int32_t)i);
    if (t->plain.failed || t->special.failed)
        return error_set(e, ERR_MEMORY, "no memory for a vocabulary of %u tokens", t->n_vocab);
    qsort(t->lengths, t->n_lengths, sizeof *t->lengths, longer_first);
    size_t kept = 0;
    for (size_t i = 0; i < t->n_lengths; i++)
        if (i == 0 || t->lengths[i] != t->lengths[kept - 1]) t->lengths[kept++] = t->lengths[i];
    t->n_lengths = kept;
    return OK;
}

/* ---- reading the file ---- */

static enum status read_types(const struct gguf *g, struct tok *t, struct error *e) {
    if (!gguf_has(g, KEY "token_type")) {
        for (uint32_t i = 0; i < t->n_vocab; i++) {
            struct gguf_string s = gguf_array_string(g, KEY "tokens", i);
            t->types[i] = t->is_spm && spm_byte(s.data, s.size) >= 0 ? PIECE_BYTE : PIECE_NORMAL;
        }
        return OK;
    }
    enum gguf_kind kind;
    size_t n;
    enum status s = gguf_get_array(g, KEY "token_type", &kind, &n, e);
    if (s) return s;
    if (kind == GGUF_STRING || kind == GGUF_ARRAY || n != t->n_vocab)
        return error_set(e, ERR_INPUT,
                         "%s: " KEY "token_type must be %u numbers, one a token; found %zu values of kind %d",
                         gguf_name(g), t->n_vocab, n, (int)kind);
    for (size_t i = 0; i < n; i++) {
        double v = gguf_array_f64(g, KEY "token_type", i);
        if (!(v >= 0 && v <= PIECE_BYTE))
            return error_set(e, ERR_INPUT, "%s: " KEY "token_type[%zu] is %g; 0 to %d are allowed", gguf_name(g), i, v,
                             PIECE_BYTE);
        t->types[i] = v < 1 ? PIECE_NORMAL : (uint8_t)v;
    }
    return OK;
}

/* Token text as the decoder gives it.  out: [s.size]. */
static enum status decode_piece(const struct gguf *g, const struct tok *t, size_t i, struct gguf_string s, char *out,
                                size_t *n, struct error *e) {
    *n = s.size;
    if (t->types[i] == PIECE_BYTE && t->is_spm) {
        int byte = spm_byte(s.data, s.size);
        if (byte < 0)
            return error_set(e, ERR_INPUT,
                             "%s: " KEY "tokens[%zu] \"%.*s\" is of type byte; <0x00> to <0xFF> are allowed",
                             gguf_name(g), i, s.size < 32 ? (int)s.size : 32, s.data);
        out[0] = (char)byte;
        *n = 1;
    } else if (t->types[i] == PIECE_NORMAL || t->types[i] == PIECE_BYTE) {
        *n = t->is_spm ? spm_unescape(s.data, s.size, out) : bpe_unmap(s.data, s.size, out);
    } else if (s.size > 0) {
        memcpy(out, s.data, s.size);
    }
    return OK;
}

static enum status read_pieces(const struct gguf *g, struct tok *t, struct error *e) {
    size_t total = 0;
    for (uint32_t i = 0; i < t->n_vocab; i++) {
        size_t n = gguf_array_string(g, KEY "tokens", i).size;
        if (n > t->longest_text) t->longest_text = n;
        if (n > INT_MAX / 4 || !add_size(total, n, &total))
            return error_set(e, ERR_INPUT, "%s: " KEY "tokens[%u] has %zu bytes; at most %d are allowed", gguf_name(g),
                             i, n, INT_MAX / 4);
    }
    t->bytes = mem_new(total, 1);
    t->at = mem_new((size_t)t->n_vocab + 1, sizeof *t->at);
    if (!t->bytes || !t->at)
        return error_set(e, ERR_MEMORY, "%s: no memory for a vocabulary of %u tokens", gguf_name(g), t->n_vocab);
    for (uint32_t i = 0; i < t->n_vocab; i++) {
        size_t n;
        enum status s = decode_piece(g, t, i, gguf_array_string(g, KEY "tokens", i), t->bytes + t->at[i], &n, e);
        if (s) return s;
        t->at[i + 1] = t->at[i] + n;
        if (n > t->longest) t->longest = n;
    }
    return OK;
}

static enum status read_kind(const struct gguf *g, struct tok *t, struct error *e) {
    struct gguf_string model;
    enum gguf_kind kind;
    size_t n;
    enum status s = gguf_get_string(g, KEY "model", &model, e);
    if (s) return s;
    t->is_ranked = model.size == 6 && memcmp(model.data, "gemma4", 6) == 0;
    t->is_spm = t->is_ranked || (model.size == 5 && memcmp(model.data, "llama", 5) == 0);
    if (!t->is_spm && !(model.size == 4 && memcmp(model.data, "gpt2", 4) == 0))
        return error_set(e, ERR_INPUT,
                         "%s: " KEY
                         "model is \"%.*s\"; known are gpt2 (byte-level BPE), llama (SentencePiece) and gemma4",
                         gguf_name(g), model.size < 32 ? (int)model.size : 32, model.data);
    s = gguf_get_array(g, KEY "tokens", &kind, &n, e);
    if (s) return s;
    if (kind != GGUF_STRING || n == 0 || n > INT_MAX / 4)
        return error_set(e, ERR_INPUT, "%s: " KEY "tokens must be 1 to %d strings; found %zu values of kind %d",
                         gguf_name(g), INT_MAX / 4, n, (int)kind);
    t->n_vocab = (uint32_t)n;
    t->types = mem_new(n, 1);
    return t->types ? OK : error_set(e, ERR_MEMORY, "%s: no memory for a vocabulary of %zu tokens", gguf_name(g), n);
}

static enum status read_all(const struct gguf *g, struct tok *t, struct error *e) {
    enum status s = read_kind(g, t, e);
    if (!s) s = read_types(g, t, e);
    if (!s) s = special_read(g, t, e);
    if (!s) s = read_pieces(g, t, e);
    if (!s) s = build_maps(g, t, e);
    if (!s) s = t->is_spm ? spm_open(g, t, e) : bpe_open(g, t, e);
    bool adds_bos = t->is_spm || (t->pretok && pretok_adds_bos(t->pretok));
    if (!s) s = gguf_get_bool_or(g, KEY "add_bos_token", adds_bos, &t->adds_bos, e);
    t->adds_bos = t->adds_bos && t->bos >= 0;
    return s;
}

enum status tok_open(const struct gguf *g, struct tok **out, struct error *e) {
    *out = NULL;
    struct tok *t = mem_new(1, sizeof *t);
    if (!t) return error_set(e, ERR_MEMORY, "%s: no memory for a tokenizer", gguf_name(g));
    enum status s = read_all(g, t, e);
    *out = t;
    if (s) tok_close(out);
    return s;
}

void tok_close(struct tok **t) {
    if (!*t) return;
    pretok_close(&(*t)->pretok);
    names_free(&(*t)->plain), names_free(&(*t)->special);
    ds_map_free((*t)->merges);
    void *const parts[] = {(*t)->bytes, (*t)->at, (*t)->types, (*t)->lengths, (*t)->scores};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) mem_free(parts[i]);
    mem_free(*t);
    *t = NULL;
}

/* ---- facts ---- */

uint32_t tok_n_vocab(const struct tok *t) { return t->n_vocab; }
int32_t tok_bos(const struct tok *t) { return t->bos; }
int32_t tok_eos(const struct tok *t) { return t->eos; }
bool tok_adds_bos(const struct tok *t) { return t->adds_bos; }

int32_t tok_find(const struct tok *t, const char *text) {
    size_t n = strlen(text);
    int32_t id = tok_map_get(t, &t->plain, text, n);
    if (id < 0) id = tok_map_get(t, &t->special, text, n);
    if (id < 0 && n == 1) id = t->byte_ids[(unsigned char)text[0]];
    return id;
}

/* ---- text to ids ---- */

enum status tok_put_bytes(const struct tok *t, const char *text, size_t size, struct tok_sink *out, struct error *e) {
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        int32_t id = t->byte_ids[byte] >= 0 ? t->byte_ids[byte] : t->unk;
        if (id < 0)
            return error_set(e, ERR_INPUT,
                             "tokenizer: the vocabulary has no token for byte 0x%02X and no unknown token", byte);
        tok_put(out, id);
    }
    return OK;
}

/* The longest special token that starts here; -1 when none does. */
static int32_t special_at(const struct tok *t, const char *text, size_t left, bool special, size_t *n) {
    if (!(t->starts[(unsigned char)text[0]] & (special ? 3 : 2))) return -1;
    for (size_t i = 0; i < t->n_lengths; i++) {
        if (t->lengths[i] > left) continue;
        int32_t id = tok_map_get(t, &t->special, text, t->lengths[i]);
        if (id < 0 || (!special && t->types[id] != PIECE_USER)) continue;
        *n = t->lengths[i];
        return id;
    }
    return -1;
}

static enum status encode_plain(const struct tok *t, const char *text, size_t size, struct tok_sink *out,
                                struct error *e) {
    if (size == 0) return OK;
    return t->is_spm ? spm_encode(t, text, size, out, e) : bpe_encode(t, text, size, out, e);
}

enum status tok_encode(const struct tok *t, const char *text, size_t size, bool special, bool add_bos, int32_t *ids,
                       size_t cap, size_t *n, struct error *e) {
    struct tok_sink out = {ids, cap, 0};
    *n = 0;
    if (size > INT_MAX / 4)
        return error_set(e, ERR_INPUT, "tokenizer: a text of %zu bytes; at most %d are allowed", size, INT_MAX / 4);
    if (add_bos && t->bos < 0) return error_set(e, ERR_INPUT, "tokenizer: the model names no BOS token to begin with");
    if (add_bos) tok_put(&out, t->bos);
    size_t start = 0, i = 0;
    enum status s = OK;
    while (i < size && !s) {
        size_t length;
        int32_t id = special_at(t, text + i, size - i, special, &length);
        if (id < 0) {
            i++;
            continue;
        }
        s = encode_plain(t, text + start, i - start, &out, e);
        tok_put(&out, id);
        i += length;
        start = i += special_swallows(t, id, text + i, size - i);
    }
    if (!s) s = encode_plain(t, text + start, size - start, &out, e);
    *n = out.n;
    return s;
}

/* ---- ids to text ---- */

struct gguf_string tok_piece(const struct tok *t, int32_t id, bool special) {
    struct gguf_string piece = {"", 0};
    if (id < 0 || (uint32_t)id >= t->n_vocab) return piece;
    int type = t->types[id];
    if (!special && (type == PIECE_CONTROL || type == PIECE_UNKNOWN || type == PIECE_UNUSED)) return piece;
    piece.data = tok_text(t, id, &piece.size);
    return piece;
}

void tok_decode(const struct tok *t, const int32_t *ids, size_t n, bool special, char *text, size_t cap, size_t *size) {
    size_t total = 0;
    /* SentencePiece puts a space before each stretch of ordinary text: take it away there. */
    bool at_start = t->adds_space;
    for (size_t i = 0; i < n; i++) {
        struct gguf_string piece = tok_piece(t, ids[i], special);
        if (at_start && piece.size > 0 && piece.data[0] == ' ')
            piece = (struct gguf_string){piece.data + 1, piece.size - 1};
        for (size_t k = 0; k < piece.size; k++, total++)
            if (total + 1 < cap) text[total] = piece.data[k];
        at_start = t->adds_space && ids[i] >= 0 && (uint32_t)ids[i] < t->n_vocab && is_special(t->types[ids[i]]);
    }
    if (cap > 0) text[total < cap ? total : cap - 1] = 0;
    *size = total;
}
