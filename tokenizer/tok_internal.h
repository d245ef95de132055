/* tok_internal.h: what the files of this room share: the vocabulary, its maps, and the merge loop.
 * Not for other rooms: they include tok.h.
 * Next: tok.c, then merge.c, bpe.c, spm.c. */
#ifndef PONDER_TOK_INTERNAL_H
#define PONDER_TOK_INTERNAL_H

#include "tokenizer/pretok.h"
#include "tokenizer/tok.h"
#include "weights/names.h"

/* Values of tokenizer.ggml.token_type. */
enum { PIECE_NORMAL = 1, PIECE_UNKNOWN, PIECE_CONTROL, PIECE_USER, PIECE_UNUSED, PIECE_BYTE };

/* One BPE merge: the pair's rank (its line number: lower goes first) and the id it makes. */
struct bpe_merge {
    struct {
        int32_t left, right;
    } key;
    uint32_t rank;
    int32_t id;
};

/* All fields are constant after tok_open, so many threads may encode with one tok. */
struct tok {
    bool is_spm;    /* pieces are characters, with U+2581 for spaces and <0xNN> for bytes */
    bool is_ranked; /* is_spm, but neighbours merge by the list of merges and not by score */
    uint32_t n_vocab;
    char *bytes;         /* all pieces as decoded, one after the other */
    size_t *at;          /* [n_vocab + 1], piece i = bytes[at[i] .. at[i + 1]) */
    uint8_t *types;      /* [n_vocab] PIECE_* */
    size_t longest;      /* bytes of the longest piece */
    size_t longest_text; /* and of the longest as the file writes it */
    /* From piece bytes to id: the first id of equal pieces wins, empty pieces are never stored. */
    struct names plain;   /* what ordinary text may become: normal and user-defined tokens */
    struct names special; /* what is cut out of the text beforehand: control, unknown and user-defined tokens */
    size_t *lengths;      /* [n_lengths] distinct piece lengths in `special`, longest first */
    size_t n_lengths;
    uint8_t starts[256];   /* first bytes in `special`: bit 0 control or unknown, bit 1 user-defined */
    int32_t byte_ids[256]; /* the token of a single byte, -1 when there is none */
    int32_t bos, eos, eot, eom, unk;
    bool adds_bos;
    bool strips; /* special tokens swallow the blanks behind them */
    /* byte-level BPE, and ranked */
    struct bpe_merge *merges; /* a map of base/ds.h */
    /* byte-level BPE only */
    bool ignores_merges; /* a whole word that is a token is that token */
    struct pretok *pretok;
    /* SentencePiece only */
    float *scores; /* [n_vocab]; NULL when ranked */
    bool adds_space;
};

/* ---- tok.c ---- */

int32_t tok_map_get(const struct tok *t, const struct names *m, const char *text, size_t size); /* -1: absent */

static inline const char *tok_text(const struct tok *t, int32_t id, size_t *size) {
    *size = t->at[id + 1] - t->at[id];
    return t->bytes + t->at[id];
}

/* Where ids go: the first cap are stored, all are counted. */
struct tok_sink {
    int32_t *ids; /* [cap] */
    size_t cap, n;
};

static inline void tok_put(struct tok_sink *s, int32_t id) {
    if (s->n < s->cap) s->ids[s->n] = id;
    s->n++;
}

/* The bytes as byte tokens, or as the unknown token; ERR_INPUT when the vocabulary has neither. */
enum status tok_put_bytes(const struct tok *t, const char *text, size_t size, struct tok_sink *out, struct error *e);

/* ---- merge.c ---- */

/* A stretch of the word: tokens grow by swallowing their right neighbour.
 *
 *   word     u  n  a  b  l  e           symbols after two merges: [un] -> [a] -> [bl] -> [e]
 *   symbol   0  1  2  3  4  5                             index    0       2      3       5 */
struct symbol {
    int32_t id;           /* -1: no such token (yet) */
    uint32_t start, size; /* bytes in the text; size 0 = swallowed */
    int32_t prev, next;   /* -1 at the ends */
};

struct merge_work {
    struct symbol *symbols; /* [cap] */
    uint64_t *heap;         /* [2 * cap] */
    size_t n, n_heap, cap;
};

/* May these neighbours merge?  *priority: lower goes first; *id: what they make. */
typedef bool merge_fn(const struct tok *t, const char *text, const struct symbol *left, const struct symbol *right,
                      uint32_t *priority, int32_t *id);

enum status merge_reserve(struct merge_work *w, size_t n, struct error *e); /* room for n symbols */
void merge_free(struct merge_work *w);

/* Adds one symbol at the right end; merge_reserve came first. */
void merge_push(struct merge_work *w, int32_t id, size_t start, size_t size);

/* Merges the pair of lowest priority, leftmost on ties, until no pair may merge.  n symbols take O(n log n) calls of f.
 * Symbol 0 stays the head of the list. */
void merge_run(struct merge_work *w, const struct tok *t, const char *text, merge_fn *f);

/* ---- special.c ---- */

/* Reads the ids that the file names, and corrects types[], which were read before. */
enum status special_read(const struct gguf *g, struct tok *t, struct error *e);

/* Bytes of text[0 .. left) behind the special token id that belong to it. */
size_t special_swallows(const struct tok *t, int32_t id, const char *text, size_t left);

/* ---- bpe.c, spm.c ---- */

/* Reads what the kind needs beyond tokens and types.  bpe_unmap: from the printable alphabet of GPT-2 to bytes, returns
 * the size (never more than before); text with other characters is copied as it is. */
enum status bpe_open(const struct gguf *g, struct tok *t, struct error *e);
enum status spm_open(const struct gguf *g, struct tok *t, struct error *e);
enum status bpe_read_merges(const struct gguf *g, struct tok *t, struct error *e);
merge_fn bpe_by_rank;
bool bpe_printable(unsigned byte); /* written as itself in byte-level vocabularies */
size_t bpe_unmap(const char *text, size_t size, char *out);
size_t spm_unescape(const char *text, size_t size, char *out);
int spm_byte(const char *text, size_t size); /* value of "<0xNN>", -1 when it is not that */

/* Ordinary text only: special tokens are cut out before, so nothing or a special token stands in front of it. */
enum status bpe_encode(const struct tok *t, const char *text, size_t size, struct tok_sink *out, struct error *e);
enum status spm_encode(const struct tok *t, const char *text, size_t size, struct tok_sink *out, struct error *e);

#endif
