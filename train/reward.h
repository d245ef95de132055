/* reward.h: training the process reward model on Monte-Carlo labels: soft binary cross-entropy at the last token of
 * each step.  It starts from the policy's weights with a new scalar head.
 * A share of the examples are chains with one spoiled step (a digit or an operator changed until the task says that no
 * right chain begins like this): the policy seldom writes such steps, but a search finds what the reward model was
 * never shown.
 * Not the labels: labels.h.
 * Next: prm/prm.h, which uses the result. */
#ifndef PONDER_REWARD_H
#define PONDER_REWARD_H

#include "model/trained.h"
#include "tokenizer/tok.h"
#include "train/trainer.h"

struct reward_data;

/* Reads a label file into memory.  spoiled: share of examples with a wrong step.  A problem goes to validation when
 * its index % 20 == 19: the split is by problem. */
enum status reward_data_open(const char *path, const struct tok *tok, uint64_t key, double spoiled,
                             struct reward_data **out, struct error *e);
void reward_data_close(struct reward_data **d);
uint64_t reward_data_chains(const struct reward_data *d);
/* An example_fn; arg is a struct reward_data. */
enum status reward_example(void *arg, uint64_t index, struct example *out, struct error *e);

enum status reward_write(const struct net *n, const struct tok *tok, const char *name, const struct trained *about,
                         const char *path, struct error *e);

#endif
