/* policy.h: supervised training of the policy from generated solutions.
 * Not a search and not the reward model.
 * Next: labels.h, which makes labels with the trained policy.
 *
 * Two kinds of example:
 *   solution     a solvable problem and one of its solutions, drawn uniformly: loss on every token of the steps
 *   exploration  any problem and random legal moves: loss only on what follows each "=": the result and what is left.  It
 *                teaches arithmetic everywhere, so that the policy does not write " = 24" because solutions always do. */
#ifndef PONDER_POLICY_H
#define PONDER_POLICY_H

#include "tasks/gen.h"
#include "tokenizer/tok.h"
#include "train/trainer.h"

struct policy_data {
    const struct tok *tok;
    uint64_t key; /* stream of problems; validation uses another one */
    struct gen_mix mix;
    double explore; /* share of exploration examples */
};

/* An example_fn; arg is a struct policy_data. */
void policy_example(void *arg, uint64_t index, struct example *out);

/* Tokens of a problem and a text of steps (lines joined by '\n', end token last) into x: tokens and n only.  False when it
 * is longer than EXAMPLE_MAX. */
bool example_tokens(const struct tok *tok, const struct cd_problem *p, const char *steps, bool finished, struct example *x);

/* Model sizes by name: "small", "base"; false when unknown.  n_vocab is set by the caller. */
bool policy_size(const char *name, struct model_config *c);

/* Writes net + our tokenizer as GGUF with f16 matrices. */
enum status policy_write(const struct net *n, const char *name, const char *path, struct error *e);

#endif
