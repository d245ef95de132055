/* speculate.h: guesses of the next tokens of one text, from a smaller model or from the text itself, and their verification.
 * Not a loop: write.h runs the pass between the two.  Not an approximation: what comes out follows the distribution of plain decoding.
 * Next: speculate.c.
 *
 *   ids     [ text ........ t ] g1 g2 g3          speculate_guess
 *   pass             [ t  g1 g2 g3 ]              one pass: the distribution p of the next token after each of them
 *   verify            p1 p2 p3 p4                 g1, g2 right; at g3 another token is drawn from what p3 leaves: x
 *   ids     [ text ........ t  g1 g2 x ]          the KV cache is cut back to g2
 *
 * A guess from the text, and any at temperature 0, is right when the draw of plain decoding gives the same token; so text and
 * seed are those of plain decoding, bit for bit.  A guess drawn from a model's distribution q is kept with probability
 * min(1, p/q), else replaced by a draw from max(0, p - q); then token by token the distribution is p (Leviathan et al. 2023,
 * "Fast inference from transformers via speculative decoding"; Chen et al. 2023). */
#ifndef PONDER_SPECULATE_H
#define PONDER_SPECULATE_H

#include "model/engine.h"
#include "model/sample.h"

struct speculate_params {
    struct client *draft; /* borrowed; NULL: guesses come from the text (prompt lookup) */
    uint32_t n_vocab;     /* of the model that verifies */
    uint32_t draft_max;   /* guesses per pass, 1 to SPECULATE_MAX */
    uint32_t draft_min;   /* fewer are not tried */
    float p_min;          /* a model stops guessing where its likeliest token is less likely than this */
};
enum { SPECULATE_MAX = 4096 };

struct speculate_stats {
    uint64_t passes, drafted, accepted; /* verifications; guesses; those of them that were right */
};

struct speculator;

/* For one text at a time. */
enum status speculate_new(const struct speculate_params *p, struct speculator **out, struct error *e);
void speculate_free(struct speculator **s);
struct speculate_stats speculate_stats(const struct speculator *s);

/* How the text is drawn. */
struct speculate_draws {
    struct sample_params sampling; /* of both models */
    uint64_t key, counter;         /* plain decoding draws the next token with (key, counter) */
    /* What is done to the logits of the token after ids [n_ids], a biased draft guesses better: NULL: nothing. */
    void (*adjust)(void *arg, const int32_t *ids, uint32_t n_ids, float *logits);
    void *arg;
};

/* Writes *n <= max guesses behind ids [n_ids], which has room for them. */
enum status speculate_guess(struct speculator *s, const struct speculate_draws *d, int32_t *ids, uint32_t n_ids,
                            uint32_t max, uint32_t *n, struct error *e);

/* The next token, p being its distribution (overwritten) and `guess` number i of the n of speculate_guess (i == n: there is no
 * guess); d->counter as in plain decoding. */
int32_t speculate_verify(struct speculator *s, const struct speculate_draws *d, struct sample_distribution *p,
                         int32_t guess, uint32_t i, uint32_t n);

/* After a pass: the text's first n_ids tokens are settled, `right` of n guesses were. */
void speculate_learn(struct speculator *s, uint32_t n_ids, uint32_t n, uint32_t right);
/* For a text that goes on otherwise after n_ids tokens. */
void speculate_cut(struct speculator *s, uint32_t n_ids);

#endif
