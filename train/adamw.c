/* adamw.c: the optimiser.
 * Not threaded: a step over a few million weights takes milliseconds.
 * Next: trainer.c. */
#include "train/adamw.h"

#include <math.h>

#include "base/mem.h"

enum status adamw_new(const struct net *n, struct adamw *a, struct error *e) {
    *a = (struct adamw){.beta1 = 0.9f, .beta2 = 0.98f, .eps = 1e-8f, .weight_decay = 0.05f, .clip = 1};
    a->m = mem_new(n->n_weights, sizeof(float));
    a->v = mem_new(n->n_weights, sizeof(float));
    if (a->m && a->v) return OK;
    adamw_free(a);
    return error_set(e, ERR_MEMORY, "no memory for the optimiser of %zu weights", n->n_weights);
}

void adamw_free(struct adamw *a) {
    mem_free(a->m);
    mem_free(a->v);
    a->m = a->v = NULL;
}

float adamw_step(struct adamw *a, struct net *n, const float *grad, uint64_t t, float lr) {
    double sum = 0;
    for (size_t i = 0; i < n->n_weights; i++) sum += (double)grad[i] * grad[i];
    float norm = (float)sqrt(sum);
    if (!isfinite(norm)) return norm;
    float k = norm > a->clip ? a->clip / norm : 1;
    float unbias1 = (float)(1 / (1 - pow(a->beta1, (double)t))), unbias2 = (float)(1 / (1 - pow(a->beta2, (double)t)));
    for (size_t j = 0; j < n->n_tensors; j++) {
        const struct net_tensor *tensor = &n->tensors[j];
        float decay = tensor->rows > 1 ? lr * a->weight_decay : 0;
        for (size_t i = tensor->offset, end = i + tensor->rows * tensor->cols; i < end; i++) {
            float g = grad[i] * k;
            float m = a->m[i] = a->beta1 * a->m[i] + (1 - a->beta1) * g;
            float v = a->v[i] = a->beta2 * a->v[i] + (1 - a->beta2) * g * g;
            n->weights[i] -= lr * (m * unbias1) / (sqrtf(v * unbias2) + a->eps) + decay * n->weights[i];
        }
    }
    return norm;
}

float lr_at(uint64_t t, uint64_t steps, uint64_t warmup, float peak, float floor) {
    if (t < warmup) return peak * (float)(t + 1) / (float)warmup;
    double x = steps > warmup ? (double)(t - warmup) / (double)(steps - warmup) : 1;
    if (x > 1) x = 1;
    return peak * (float)(floor + (1 - floor) * 0.5 * (1 + cos(3.141592653589793 * x)));
}
