/* drawn.h: drawing without replacement (Shi, Bieber and Sutton 2020, arXiv 2002.09067): which sequences of tokens were
 * drawn behind one prefix, and how much of the distribution of each next token they have used up.
 * Not a sampler: it changes logits, others draw.
 * Next: drawn.c; eval_write.c uses it.
 *
 *              root                used(v) = sum over its children c of p(c) used(c), 1 where a sequence ends
 *       p = .6 /  \ .3
 *             a    b               next draw at v: p(c) (1 - used(c)) / (1 - used(v)), and the same formula below
 *      .5 /  \ .5   \ 1
 *        aa   ab     ba            after ab and ba: used(a) = .5, used(root) = .6 * .5 + .3 = .6 */
#ifndef PONDER_DRAWN_H
#define PONDER_DRAWN_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct drawn; /* all tries of a search */
enum status drawn_new(struct drawn **out, struct error *e);
void drawn_free(struct drawn **a);

/* The trie of a new prefix; 0: no memory. */
uint32_t drawn_root(struct drawn *a);
/* The node behind v for this token; 0: no sequence goes there. */
uint32_t drawn_next(const struct drawn *a, uint32_t v, int32_t token);
/* Share of the distribution behind v that is used up; 0 for v = 0. */
double drawn_used(const struct drawn *a, uint32_t v);
/* logits[c] += temperature * log(1 - used(c)) for the tokens c that begin a sequence behind v, so that a draw at this
 * temperature is one without replacement; -INFINITY where all is used up. */
void drawn_mask(const struct drawn *a, uint32_t v, float temperature, float *logits, uint32_t n_vocab);
/* What drawn_mask adds to the logit of this token. */
float drawn_bias(const struct drawn *a, uint32_t v, float temperature, int32_t token);

/* A sequence drawn behind a root, with the probability of each token before drawn_mask.  It counts once it is added:
 * draws that are made at the same time do not know of each other. */
enum status drawn_note(struct drawn *a, uint32_t root, const int32_t *tokens, const float *p, uint32_t n,
                       struct error *e);
enum status drawn_add(struct drawn *a, struct error *e); /* all that wait */
size_t drawn_waiting(const struct drawn *a);             /* how many tokens */
void drawn_forget(struct drawn *a, size_t n);            /* all but the first n of them */

#endif
