/* policy.h: supervised training of the policy from chains that tasks write.
 * Not a search and not the reward model.
 * Next: labels.h, which makes labels with the trained policy.
 *
 * Two kinds of example:
 *   solution     a problem and a chain that solves it: loss on every token of the steps
 *   exploration  any legal steps: loss only on what the lesson names (after "=": the result and what is left).  It teaches
 *                arithmetic everywhere, so that the policy does not write " = 24" because solutions always do.
 *   tries        up to three tries that fail, each given up (TRY_GIVEN_UP), then a solution, all of it learned: search written
 *                as text, for a model that goes back by itself (Gandhi et al. 2024, Stream of Search) */
#ifndef PONDER_POLICY_H
#define PONDER_POLICY_H

#include "model/trained.h"
#include "tasks/task.h"
#include "tokenizer/tok.h"
#include "train/trainer.h"

enum { MIX_MAX = 32 };

/* Tasks to learn, each equally often. */
struct task_mix {
    uint32_t n;
    const struct task *tasks[MIX_MAX];
    double hard; /* share of problems of the hard level */
};
/* "game24" or "countdown,jugs"; ERR_INPUT names a task that is unknown or has nothing to learn from. */
enum status task_mix_read(const char *names, struct task_mix *mix, struct error *e);
/* One problem of the mix that is not held out, drawn with the counters 3 and 4 of `key` and with the child stream
 * `stream` of it.  OK without *found: this key gives none. */
enum status task_mix_draw(const struct task_mix *mix, uint64_t key, uint64_t stream, bool any, struct problem *p,
                          bool *found, struct error *e);

struct policy_data {
    const struct tok *tok;
    uint64_t key; /* stream of problems; validation uses another one */
    struct task_mix mix;
    double explore, tries; /* shares of these examples */
};

/* An example_fn; arg is a struct policy_data. */
enum status policy_example(void *arg, uint64_t index, struct example *out, struct error *e);

/* Our own vocabulary of this size (tokenizer/vocab.h): made, not trained. */
enum status policy_tok(uint32_t n_vocab, struct tok **out, struct error *e);

/* Tokens of a prompt and a text of steps (end token last when it is finished) into x: tokens and n only.  False when
 * it is longer than EXAMPLE_MAX. */
bool example_tokens(const struct tok *tok, const char *prompt, const char *steps, bool finished, struct example *x);

/* Targets are the next tokens.  Loss starts behind the first `skip` line ends (1: those of the prompt); with loss_after, behind
 * that byte of each line. */
void example_targets(const struct tok *tok, struct example *x, uint32_t skip, char loss_after);

/* Model sizes by name, listed in policy_sizes; false when unknown. */
bool policy_size(const char *name, uint32_t n_vocab, struct model_config *c);
extern const char policy_sizes[];

/* Writes net + our tokenizer as GGUF with f16 matrices. */
enum status policy_write(const struct net *n, const char *name, const struct trained *about, const char *path,
                         struct error *e);

#endif
