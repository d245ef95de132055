/* chains.h: right and wrong chains that a policy or a search has written, as examples.
 *   distill  a right chain, all of it learned: what a search or a larger policy found becomes what the small policy does (with
 *            its own search: expert iteration, Anthony et al. 2017)
 *   revise   none to four wrong chains, each given up (TRY_GIVEN_UP), then a right one, and only that is learned; the wrong one
 *            before it is the one nearest to it by edit distance in steps (Snell et al. 2024, section 6.1)
 * Not the files: label_file.h.
 * Next: chains.c. */
#ifndef PONDER_CHAINS_H
#define PONDER_CHAINS_H

#include "tokenizer/tok.h"
#include "train/trainer.h"

struct chains;
struct chains_count {
    uint64_t problems, right, wrong; /* problems with a right chain; chains of those */
};

/* Reads a file of labels, of results or of generated chains into memory.  Problems without a right chain are of no use.  One in
 * twenty, by content, is kept for validation. */
enum status chains_open(const char *path, const struct tok *tok, uint64_t key, bool revise, struct chains **out,
                        struct error *e);
void chains_close(struct chains **c);
struct chains_count chains_counts(const struct chains *c);
/* An example_fn; arg is a struct chains. */
enum status chains_example(void *arg, uint64_t index, struct example *out, struct error *e);

#endif
