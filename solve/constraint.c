/* constraint.c: see constraint.h.
 * Not the masks: model/grammar_mask.c.
 * Next: solve/sampling.h. */
#include "solve/constraint.h"

#include "base/mem.h"

struct place {
    struct grammar *grammar;
    const struct tok *tok;
    grammar_state at;
};

void *grammar_begin(struct grammar *g, const struct tok *tok) {
    struct place *p = mem_new(1, sizeof *p);
    if (p) *p = (struct place){g, tok, GRAMMAR_START};
    return p;
}

static enum status mask(void *state, float *logits, uint32_t n_vocab, struct error *e) {
    struct place *p = state;
    uint32_t n;
    return grammar_mask(p->grammar, p->at, logits, n_vocab, &n, e);
}

static enum status advance(void *state, int32_t id, struct error *e) {
    struct place *p = state;
    struct gguf_string piece = tok_piece(p->tok, id, false);
    return tok_is_end(p->tok, id) ? OK : grammar_accept(p->grammar, &p->at, piece.data, piece.size, e);
}

static void *clone(const void *state) {
    struct place *p = mem_new(1, sizeof *p);
    if (p) *p = *(const struct place *)state;
    return p;
}

const struct text_constraint grammar_constraint = {mask, advance, clone, mem_free};

static struct gguf_string piece_of(const void *tok, int32_t id) { return tok_piece(tok, id, false); }
static bool is_end(const void *tok, int32_t id) { return tok_is_end(tok, id); }

enum status grammar_words_of(const struct tok *tok, struct grammar_words **out, struct error *e) {
    struct grammar_vocab v = {tok_n_vocab(tok), piece_of, is_end, tok};
    return grammar_words_new(&v, out, e);
}
