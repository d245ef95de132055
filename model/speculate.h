/* speculate.h: several tokens from one pass of a model: guessed first, then verified, all at once.
 * Not an approximation: what comes out follows the law of plain decoding.
 * Next: speculate.c.
 *
 *   ids     [ text ........ t ] g1 g2 g3          guesses, from a smaller model or from the text itself
 *   pass             [ t  g1 g2 g3 ]              one pass, the law p of the next token after each of them
 *   verify            p1 p2 p3 p4                 g1, g2 right; at g3 another token is drawn from what p3 leaves: x
 *   ids     [ text ........ t  g1 g2 x ]          the KV cache is cut back to g2
 *
 * A guess from the text, and any at temperature 0, is right when the draw of plain decoding gives the same token; so text and seed
 * are those of plain decoding, bit for bit.  A guess drawn from a model's law q is kept with probability min(1, p/q),
 * else replaced by a draw from max(0, p - q); then token by token the law is p (Leviathan et al. 2023, "Fast inference
 * from transformers via speculative decoding"; Chen et al. 2023). */
#ifndef PONDER_SPECULATE_H
#define PONDER_SPECULATE_H

#include "model/engine.h"
#include "model/sample.h"

struct speculate_params {
    struct client *target, *draft; /* borrowed; draft NULL: guesses come from the text (prompt lookup) */
    uint32_t seq;                  /* of the target, the caller's */
    struct sample_params sampling; /* of both models */
    uint64_t key;                  /* plain decoding draws token i of the text with (key, i); so do we */
    uint32_t draft_max;            /* guesses per pass, 1 and more */
    uint32_t draft_min;            /* fewer are not tried */
    float p_min;                   /* a model stops guessing where its likeliest token is less likely than this */
    /* What is done to the logits of the next token after ids [n_ids]: biases, penalties.  NULL: nothing. */
    void (*adjust)(void *arg, const int32_t *ids, size_t n_ids, float *logits);
    void *arg;
};

struct speculate_stats {
    uint64_t passes, drafted, accepted; /* of the target; guesses; those of them that were right */
};

struct speculator;

enum status speculate_new(const struct speculate_params *p, struct speculator **out, struct error *e);
void speculate_free(struct speculator **s);

/* Appends *n_new tokens, at least 1 and at most draft_max + 1, to ids [n_ids of cap], n_ids >= 1; what stands behind them in ids
 * is overwritten.  The target holds a beginning of ids, at most all but one, and afterwards all but the last; its context
 * must have room for cap - 1 tokens.  End tokens are nothing special: the caller drops what comes after one.
 * ERR_INPUT: no usable distribution; ERR_FULL: no KV pages.  Then nothing was appended. */
enum status speculate_step(struct speculator *s, int32_t *ids, size_t n_ids, size_t cap, size_t *n_new, struct error *e);

/* For a text that goes on otherwise: its first n_ids tokens stay, and n_unused of those that were appended were not taken, so
 * their draws are made again.  The target's cache is cut by the caller. */
void speculate_cut(struct speculator *s, size_t n_ids, size_t n_unused);

struct speculate_stats speculate_stats(const struct speculator *s);

#endif
