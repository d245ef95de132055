/* adamw.h: AdamW with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), gradient clipping by global
 * norm, linear warm-up and cosine decay.
 * Not a training loop: trainer.h.
 * Next: trainer.h. */
#ifndef PONDER_ADAMW_H
#define PONDER_ADAMW_H

#include "model/net.h"

struct adamw {
    float beta1, beta2, eps, weight_decay, clip; /* constant; clip: largest gradient norm */
    float *m, *v;                                /* [n_weights] moments, written by adamw_step */
};

enum status adamw_new(const struct net *n, struct adamw *a, struct error *e);
void adamw_free(struct adamw *a);

/* One update of n->weights from grad (already the mean), t = 1, 2, ...  Norms and biases (one-row tensors) are not
 * decayed. Returns the gradient's norm before clipping; when that is not finite nothing is changed. */
float adamw_step(struct adamw *a, struct net *n, const float *grad, uint64_t t, float lr);

/* Learning rate at step t in [0, steps): linear over `warmup` steps to `peak`, then a cosine to peak * floor. */
float lr_at(uint64_t t, uint64_t steps, uint64_t warmup, float peak, float floor);

#endif
