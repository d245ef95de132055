/* ptrue.h: P(True): the policy is asked whether what it wrote is right, and the odds of "True" against "False" as its next
 * word are the value of the chain.
 * Not a second model and not the pass: search/eval_model.c asks on a fork that is dropped again.
 * Next: ptrue.c.  Source: Kadavath et al. 2022, "Language Models (Mostly) Know What They Know", arXiv:2207.05221. */
#ifndef PONDER_PRM_PTRUE_H
#define PONDER_PRM_PTRUE_H

#include "tokenizer/template/chat.h"

/* The question, as ids that follow a chain whose end token (if it has one) is left out.  Never changes. */
struct ptrue {
    int32_t *ids; /* [n] */
    size_t n;
    int32_t yes, no; /* the words compared at the last of them */
};

/* chat: the template that the prompt was made with, so that the question is a user's next message; NULL: plain text.
 * t is borrowed until return.  ERR_INPUT when the template hides the answer it is given. */
enum status ptrue_open(const struct tok *t, const struct chat *chat, struct ptrue **out, struct error *e);
void ptrue_close(struct ptrue **p);

/* Logits of the policy after the question to P(True) = softmax over the two words; NaN becomes 0. */
float ptrue_value(const struct ptrue *p, const float *logits);

#endif
