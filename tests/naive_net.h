/* naive_net.h: the transformer of net.h in double, written down from the formulas, one sum at a time.
 * Not shared with the library: it finds tensors by name and computes angles, softmax and norms by itself.
 * Next: test_net.c (gradients), test_engine.c (inference). */
#ifndef PONDER_TESTS_NAIVE_NET_H
#define PONDER_TESTS_NAIVE_NET_H

#include "tests/tiny_model.h"

struct naive {
    const struct net *net;
    double *w;   /* [n_weights], free to be changed */
    bool kv_f16; /* K and V rounded as a cache of f16 does */
};

static inline struct naive naive_new(const struct net *n) {
    struct naive v = {n, malloc(n->n_weights * sizeof(double)), false};
    assert_non_null(v.w);
    for (size_t i = 0; i < n->n_weights; i++) v.w[i] = n->weights[i];
    return v;
}

static inline const double *naive_tensor(const struct naive *v, int layer, const char *name) {
    char full[96];
    if (layer >= 0) snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    else snprintf(full, sizeof full, "%s", name);
    for (size_t i = 0; i < v->net->n_tensors; i++)
        if (!strcmp(v->net->tensors[i].name, full)) return v->w + v->net->tensors[i].offset;
    fail_msg("no tensor %s", full);
    return NULL;
}

static inline void naive_matvec(double *y, const double *w, const double *x, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; r++) {
        y[r] = 0;
        for (size_t i = 0; i < cols; i++) y[r] += w[r * cols + i] * x[i];
    }
}

static inline void naive_norm(double *y, const double *x, const double *w, size_t n, double eps) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    for (size_t i = 0; i < n; i++) y[i] = x[i] / sqrt(sum / (double)n + eps) * w[i];
}

/* Neighbouring pairs of one head turn by pos * base^(-2i / rope_dim). */
static inline void naive_rope(const struct model_config *c, double *x, size_t pos) {
    for (uint32_t i = 0; i < c->rope_dim / 2; i++) {
        double angle = (double)pos * pow(c->rope_base, -2.0 * i / c->rope_dim), a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * cos(angle) - b * sin(angle);
        x[2 * i + 1] = a * sin(angle) + b * cos(angle);
    }
}

/* y[head] = softmax(q k^T / sqrt(dim)) v over the positions 0..pos. */
static inline void naive_attend(const struct model_config *c, double *y, const double *q, const double *k,
                                const double *v, size_t pos) {
    size_t hd = c->head_dim, kv = c->n_head_kv * hd;
    for (size_t h = 0; h < c->n_head; h++) {
        size_t at = h / (c->n_head / c->n_head_kv) * hd;
        double score[1024], top = -INFINITY, sum = 0;
        for (size_t t = 0; t <= pos; t++) {
            score[t] = 0;
            for (size_t i = 0; i < hd; i++) score[t] += q[h * hd + i] * k[t * kv + at + i];
            score[t] /= sqrt((double)hd);
            if (score[t] > top) top = score[t];
        }
        for (size_t t = 0; t <= pos; t++) sum += score[t] = exp(score[t] - top);
        for (size_t i = 0; i < hd; i++) {
            y[h * hd + i] = 0;
            for (size_t t = 0; t <= pos; t++) y[h * hd + i] += score[t] / sum * v[t * kv + at + i];
        }
    }
}

static inline void naive_round(double *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = f16_to_f32(f32_to_f16((float)x[i]));
}

static inline void naive_layer(const struct naive *m, int l, double *x, size_t len) {
    const struct model_config *c = &m->net->config;
    size_t d = c->n_embd, hd = c->head_dim, q = c->n_head * hd, kv = c->n_head_kv * hd, ff = c->n_ff;
    size_t most = d + q + ff;
    double *k = malloc(2 * len * kv * sizeof *k), *v = k + len * kv, *a = malloc(4 * most * sizeof *a);
    double *b = a + most, *y = b + most, *z = y + most;
    for (size_t t = 0; t < len; t++) {
        naive_norm(a, x + t * d, naive_tensor(m, l, "attn_norm.weight"), d, c->rms_eps);
        naive_matvec(b, naive_tensor(m, l, "attn_q.weight"), a, q, d);
        naive_matvec(k + t * kv, naive_tensor(m, l, "attn_k.weight"), a, kv, d);
        naive_matvec(v + t * kv, naive_tensor(m, l, "attn_v.weight"), a, kv, d);
        for (size_t h = 0; h < c->n_head; h++) naive_rope(c, b + h * hd, t);
        for (size_t h = 0; h < c->n_head_kv; h++) naive_rope(c, k + t * kv + h * hd, t);
        if (m->kv_f16) naive_round(k + t * kv, kv), naive_round(v + t * kv, kv);
        naive_attend(c, y, b, k, v, t);
        naive_matvec(a, naive_tensor(m, l, "attn_output.weight"), y, d, q);
        for (size_t i = 0; i < d; i++) x[t * d + i] += a[i];
        naive_norm(a, x + t * d, naive_tensor(m, l, "ffn_norm.weight"), d, c->rms_eps);
        naive_matvec(b, naive_tensor(m, l, "ffn_gate.weight"), a, ff, d);
        naive_matvec(y, naive_tensor(m, l, "ffn_up.weight"), a, ff, d);
        for (size_t i = 0; i < ff; i++) y[i] *= b[i] / (1 + exp(-b[i]));
        naive_matvec(z, naive_tensor(m, l, "ffn_down.weight"), y, d, ff);
        for (size_t i = 0; i < d; i++) x[t * d + i] += z[i];
    }
    free(k);
    free(a);
}

/* Outputs of every position of one sequence: logits [len, n_vocab], or the value before the sigmoid [len]. */
static inline void naive_outputs(const struct naive *m, const int32_t *tokens, size_t len, double *out) {
    const struct model_config *c = &m->net->config;
    size_t d = c->n_embd, n_out = m->net->head == NET_LM ? c->n_vocab : 1;
    const double *embd = naive_tensor(m, -1, "token_embd.weight");
    double *x = malloc((len + 1) * d * sizeof *x), *h = x + len * d;
    assert_true(len <= 1024);
    for (size_t t = 0; t < len; t++) memcpy(x + t * d, embd + (size_t)tokens[t] * d, d * sizeof *x);
    for (int l = 0; l < (int)c->n_layer; l++) naive_layer(m, l, x, len);
    const double *head = m->net->head == NET_LM ? embd : naive_tensor(m, -1, "prm.head.weight");
    for (size_t t = 0; t < len; t++) {
        naive_norm(h, x + t * d, naive_tensor(m, -1, "output_norm.weight"), d, c->rms_eps);
        naive_matvec(out + t * n_out, head, h, n_out, d);
        if (m->net->head == NET_VALUE) out[t] += *naive_tensor(m, -1, "prm.head.bias");
    }
    free(x);
}

/* -log softmax(z)[target]. */
static inline double naive_cross_entropy(const double *z, size_t n, size_t target) {
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) top = fmax(top, z[i]);
    for (size_t i = 0; i < n; i++) sum += exp(z[i] - top);
    return log(sum) + top - z[target];
}

/* The weighted loss sum that net_loss promises. */
static inline double naive_loss(const struct naive *m, const struct net_batch *b) {
    size_t n_out = m->net->head == NET_LM ? m->net->config.n_vocab : 1;
    double *out = malloc((b->n_rows + 1) * n_out * sizeof *out), loss = 0;
    for (uint32_t s = 0; s < b->n_seqs; s++)
        naive_outputs(m, b->tokens + b->starts[s], b->starts[s + 1] - b->starts[s], out + b->starts[s] * n_out);
    for (uint32_t r = 0; r < b->n_rows; r++) {
        if (!(b->weights[r] > 0)) continue;
        double p = 1 / (1 + exp(-out[r])), y = m->net->head == NET_LM ? 0 : (double)b->values[r];
        loss +=
            b->weights[r] * (m->net->head == NET_LM ? naive_cross_entropy(out + r * n_out, n_out, (size_t)b->targets[r])
                                                    : -y * log(p) - (1 - y) * log(1 - p));
    }
    free(out);
    return loss;
}

#endif
