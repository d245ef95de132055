/* net_pass.c: forward with a tape, loss, backward.  Every line of the forward pass has its derivative in the function of
 * the same name with _back; the GEMMs are OpenBLAS's.
 * Not the inference path, and not bound to its bitwise promise: a fixed thread's result is repeatable, that is all.
 * Next: tests/test_net.c checks the gradients against finite differences. */
#include <math.h>
#include <string.h>

#include "base/blas.h"
#include "base/mem.h"
#include "model/net_layout.h"

/* Activations that the backward pass of one layer needs. R = rows of the batch. */
struct layer_tape {
    float *x;       /* [R, n_embd] input */
    float *x_norm;  /* [R, n_embd] after attn_norm */
    float *rms;     /* [R] 1 / root mean square of x */
    float *qkv;     /* [R, q + 2 kv] after RoPE */
    float *probs;   /* sequence by sequence [n_head, len, len]: attention weights of each row over its sequence */
    float *heads;   /* [R, q] attention output before the projection */
    float *mid;     /* [R, n_embd] after the attention residual */
    float *mid_norm;/* [R, n_embd] */
    float *mid_rms; /* [R] */
    float *gate_up; /* [R, 2 n_ff] */
    float *sigmoid; /* [R, n_ff] of gate */
    float *act;     /* [R, n_ff] silu(gate) * up */
};

struct tape {
    uint32_t max_rows, max_seq;
    struct layer_tape *layers;
    float *x, *x_norm, *rms;            /* final */
    float *picked, *logits;             /* rows with loss: [R, n_embd], [R, n_vocab] */
    float *d_x, *d_norm, *d_qkv, *d_ff; /* gradients: [R, n_embd] x2, [R, q + 2 kv], [R, 2 n_ff] */
    float *d_act, *d_heads, *d_probs;   /* [R, n_ff], [R, q], [max_seq, max_seq] */
    float *rope;                        /* [max_seq, rope_dim/2, 2] */
    uint32_t *rows;                     /* [R] indices of the rows with loss */
    float *sums;                        /* [R] NET_LM: sums of exponentials of the rows with loss */
    double *difference;                 /* [R] NET_VALUE: p - target of the rows with loss */
    size_t n_picked;                    /* rows with loss */
    float *block;                       /* all of the above, one allocation */
};

/* C[m,n] = alpha * op(A) op(B) + beta * C, row-major. */
static void gemm(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b,
                 size_t ldb, float beta, float *c, size_t ldc) {
    blas()->sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k,
                alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

static size_t q_dim(const struct model_config *c) { return (size_t)c->n_head * c->head_dim; }
static size_t kv_dim(const struct model_config *c) { return (size_t)c->n_head_kv * c->head_dim; }

/* Hands out the arrays of the tape from `at`; with at = NULL only counts.  Returns the number of floats. */
static size_t tape_layout(struct tape *t, const struct model_config *c, float *at) {
    size_t r = t->max_rows, d = c->n_embd, q = q_dim(c), qkv = q + 2 * kv_dim(c), ff = c->n_ff, used = 0;
#define TAKE(field, n) (field = at ? at + used : NULL, used += ((n) + 15) & ~(size_t)15)
    for (uint32_t l = 0; l < c->n_layer; l++) {
        struct layer_tape *y = &t->layers[l];
        TAKE(y->x, r * d), TAKE(y->x_norm, r * d), TAKE(y->rms, r), TAKE(y->qkv, r * qkv);
        TAKE(y->probs, r * c->n_head * t->max_seq), TAKE(y->heads, r * q), TAKE(y->mid, r * d);
        TAKE(y->mid_norm, r * d), TAKE(y->mid_rms, r), TAKE(y->gate_up, r * 2 * ff);
        TAKE(y->sigmoid, r * ff), TAKE(y->act, r * ff);
    }
    TAKE(t->x, r * d), TAKE(t->x_norm, r * d), TAKE(t->rms, r), TAKE(t->picked, r * d), TAKE(t->logits, r * c->n_vocab);
    TAKE(t->d_x, r * d), TAKE(t->d_norm, r * d), TAKE(t->d_qkv, r * qkv), TAKE(t->d_ff, r * 2 * ff);
    TAKE(t->d_act, r * ff), TAKE(t->d_heads, r * q), TAKE(t->d_probs, (size_t)t->max_seq * t->max_seq);
    TAKE(t->rope, (size_t)t->max_seq * c->rope_dim), TAKE(t->sums, r);
#undef TAKE
    return used;
}

enum status tape_new(const struct net *n, uint32_t max_rows, uint32_t max_seq, struct tape **out, struct error *e) {
    *out = NULL;
    const struct model_config *c = &n->config;
    const enum status s = blas_open(e);
    if (s) return s;
    struct tape *t = mem_new(1, sizeof *t);
    if (!t) goto fail;
    t->max_rows = max_rows, t->max_seq = max_seq;
    t->layers = mem_new(c->n_layer, sizeof *t->layers);
    t->rows = mem_new(max_rows, sizeof *t->rows);
    t->difference = mem_new(max_rows, sizeof *t->difference);
    if (!t->layers || !t->rows || !t->difference) goto fail;
    t->block = mem_new(tape_layout(t, c, NULL), sizeof(float));
    if (!t->block) goto fail;
    tape_layout(t, c, t->block);
    for (uint32_t p = 0; p < max_seq; p++)
        for (uint32_t i = 0; i < c->rope_dim / 2; i++) {
            double angle = p * pow(c->rope_base, -2.0 * i / c->rope_dim);
            float *cs = t->rope + (size_t)p * c->rope_dim + 2 * i;
            cs[0] = (float)cos(angle), cs[1] = (float)sin(angle);
        }
    *out = t;
    return OK;
fail:
    tape_free(&t);
    return error_set(e, ERR_MEMORY, "no memory for the activations of %u rows", max_rows);
}

void tape_free(struct tape **tp) {
    struct tape *t = *tp;
    if (!t) return;
    mem_free(t->layers);
    mem_free(t->rows);
    mem_free(t->difference);
    mem_free(t->block);
    mem_free(t);
    *tp = NULL;
}

/* y = x * rms * w, rms[r] = 1 / sqrt(mean(x^2) + eps). */
static void norm(float *y, float *rms, const float *x, const float *w, size_t rows, size_t d, float eps) {
    for (size_t r = 0; r < rows; r++, x += d, y += d) {
        float sum = blas()->sdot((int)d, x, 1, x, 1);
        float inv = rms[r] = 1 / sqrtf(sum / (float)d + eps);
        for (size_t i = 0; i < d; i++) y[i] = x[i] * inv * w[i];
    }
}

/* d_x += the gradient through y = x * rms * w; d_w += ...
 * With g = d_y * w:  d_x = rms * (g - x * rms^2 * mean(g * x)). */
static void norm_back(float *d_x, float *d_w, const float *d_y, const float *x, const float *rms, const float *w,
                      size_t rows, size_t d) {
    for (size_t r = 0; r < rows; r++, x += d, d_y += d, d_x += d) {
        float inv = rms[r], dot = 0;
        for (size_t i = 0; i < d; i++) {
            d_w[i] += d_y[i] * x[i] * inv;
            dot += d_y[i] * w[i] * x[i];
        }
        float k = dot * inv * inv * inv / (float)d;
        for (size_t i = 0; i < d; i++) d_x[i] += d_y[i] * w[i] * inv - x[i] * k;
    }
}

/* Rotates q and k of every row by its position; sign -1 is the inverse, which is also the transpose: the gradient. */
static void rope(const struct net *n, const struct tape *t, const struct net_batch *b, float *qkv, float sign) {
    const struct model_config *c = &n->config;
    size_t ld = q_dim(c) + 2 * kv_dim(c);
    for (uint32_t s = 0; s < b->n_seqs; s++)
        for (uint32_t r = b->starts[s]; r < b->starts[s + 1]; r++) {
            const float *cs = t->rope + (size_t)(r - b->starts[s]) * c->rope_dim;
            for (uint32_t h = 0; h < c->n_head + c->n_head_kv; h++) {
                float *x = qkv + r * ld + (size_t)h * c->head_dim;
                for (uint32_t i = 0; i < c->rope_dim; i += 2) {
                    float a = x[i], v = x[i + 1], co = cs[i], si = sign * cs[i + 1];
                    x[i] = a * co - v * si, x[i + 1] = a * si + v * co;
                }
            }
        }
}

/* Causal softmax over scores[0..i] of each row i of a [len, len] block with row stride ld; the rest becomes 0. */
static void causal_softmax(float *p, size_t ld, size_t len) {
    const struct ops *ops = ops_get();
    for (size_t i = 0; i < len; i++, p += ld) {
        float sum = ops->exp_sum(p, p, 1, ops->max(p, i + 1), i + 1);
        for (size_t j = 0; j <= i; j++) p[j] /= sum;
        memset(p + i + 1, 0, (len - i - 1) * sizeof *p);
    }
}

/* One (sequence, head): where its q, k, v, weights and output lie. */
struct head_view {
    size_t len, ld, ld_probs, ld_out, dim;
    size_t q, k, v;      /* offsets into qkv and d_qkv */
    size_t probs, out;   /* offsets into probs and heads */
};

static struct head_view head_at(const struct model_config *c, const struct tape *t, const struct net_batch *b, uint32_t s, uint32_t h) {
    size_t q = q_dim(c), kv = kv_dim(c), ld = q + 2 * kv, row = b->starts[s], hd = c->head_dim;
    size_t kv_head = h / (c->n_head / c->n_head_kv);
    size_t len = b->starts[s + 1] - row;
    return (struct head_view){.len = len, .ld = ld, .ld_probs = len,
                              .ld_out = q, .dim = hd, .q = row * ld + h * hd, .k = row * ld + q + kv_head * hd,
                              .v = row * ld + q + kv + kv_head * hd,
                              .probs = row * c->n_head * t->max_seq + h * len * len, .out = row * q + h * hd};
}

static void attention(const struct net *n, const struct tape *t, const struct net_batch *b, struct layer_tape *y) {
    const struct model_config *c = &n->config;
    float scale = 1 / sqrtf((float)c->head_dim);
    for (uint32_t s = 0; s < b->n_seqs; s++)
        for (uint32_t h = 0; h < c->n_head; h++) {
            struct head_view v = head_at(c, t, b, s, h);
            float *p = y->probs + v.probs;
            gemm(false, true, v.len, v.len, v.dim, scale, y->qkv + v.q, v.ld, y->qkv + v.k, v.ld, 0, p, v.ld_probs);
            causal_softmax(p, v.ld_probs, v.len);
            gemm(false, false, v.len, v.dim, v.len, 1, p, v.ld_probs, y->qkv + v.v, v.ld, 0, y->heads + v.out, v.ld_out);
        }
}

/* d_qkv (zeroed by the caller) from d_heads.  d_scores = P * (d_P - rowsum(d_P * P)). */
static void attention_back(const struct net *n, const struct tape *t, const struct net_batch *b, const struct layer_tape *y,
                           const float *d_heads, float *d_qkv) {
    const struct model_config *c = &n->config;
    float scale = 1 / sqrtf((float)c->head_dim);
    for (uint32_t s = 0; s < b->n_seqs; s++)
        for (uint32_t h = 0; h < c->n_head; h++) {
            struct head_view v = head_at(c, t, b, s, h);
            const float *p = y->probs + v.probs, *d_out = d_heads + v.out;
            float *d_p = t->d_probs;
            gemm(false, true, v.len, v.len, v.dim, 1, d_out, v.ld_out, y->qkv + v.v, v.ld, 0, d_p, v.len);
            gemm(true, false, v.len, v.dim, v.len, 1, p, v.ld_probs, d_out, v.ld_out, 1, d_qkv + v.v, v.ld);
            for (size_t i = 0; i < v.len; i++) {
                float dot = 0;
                for (size_t j = 0; j <= i; j++) dot += d_p[i * v.len + j] * p[i * v.ld_probs + j];
                for (size_t j = 0; j < v.len; j++) d_p[i * v.len + j] = p[i * v.ld_probs + j] * (d_p[i * v.len + j] - dot);
            }
            gemm(false, false, v.len, v.dim, v.len, scale, d_p, v.len, y->qkv + v.k, v.ld, 1, d_qkv + v.q, v.ld);
            gemm(true, false, v.len, v.dim, v.len, scale, d_p, v.len, y->qkv + v.q, v.ld, 1, d_qkv + v.k, v.ld);
        }
}

/* act = gate * sigmoid(gate) * up. */
static void swiglu(struct layer_tape *y, size_t rows, size_t ff) {
    const struct ops *ops = ops_get();
    for (size_t r = 0; r < rows; r++) {
        const float *g = y->gate_up + r * 2 * ff, *u = g + ff;
        float *s = y->sigmoid + r * ff, *a = y->act + r * ff;
        ops->exp_sum(s, g, -1, 0, ff);
        for (size_t i = 0; i < ff; i++) {
            s[i] = 1 / (1 + s[i]);
            a[i] = g[i] * s[i] * u[i];
        }
    }
}

static void swiglu_back(const struct layer_tape *y, const float *d_act, float *d_gate_up, size_t rows, size_t ff) {
    for (size_t r = 0; r < rows; r++) {
        const float *g = y->gate_up + r * 2 * ff, *u = g + ff, *s = y->sigmoid + r * ff, *d = d_act + r * ff;
        float *d_g = d_gate_up + r * 2 * ff, *d_u = d_g + ff;
        for (size_t i = 0; i < ff; i++) {
            float silu = g[i] * s[i];
            d_u[i] = d[i] * silu;
            d_g[i] = d[i] * u[i] * (s[i] + silu * (1 - s[i]));
        }
    }
}

static void layer_forward(const struct net *n, const struct tape *t, const struct net_batch *b, uint32_t l, float *x_out) {
    const struct model_config *c = &n->config;
    struct layer_tape *y = &t->layers[l];
    size_t rows = b->n_rows, d = c->n_embd, q = q_dim(c), qkv = q + 2 * kv_dim(c), ff = c->n_ff;
    const float *w = n->weights;
    norm(y->x_norm, y->rms, y->x, w + net_layer_offset(n, l, ATTN_NORM), rows, d, c->rms_eps);
    gemm(false, true, rows, qkv, d, 1, y->x_norm, d, w + net_layer_offset(n, l, ATTN_Q), d, 0, y->qkv, qkv);
    rope(n, t, b, y->qkv, 1);
    attention(n, t, b, y);
    memcpy(y->mid, y->x, rows * d * sizeof(float));
    gemm(false, true, rows, d, q, 1, y->heads, q, w + net_layer_offset(n, l, ATTN_OUTPUT), q, 1, y->mid, d);
    norm(y->mid_norm, y->mid_rms, y->mid, w + net_layer_offset(n, l, FFN_NORM), rows, d, c->rms_eps);
    gemm(false, true, rows, 2 * ff, d, 1, y->mid_norm, d, w + net_layer_offset(n, l, FFN_GATE), d, 0, y->gate_up, 2 * ff);
    swiglu(y, rows, ff);
    memcpy(x_out, y->mid, rows * d * sizeof(float));
    gemm(false, true, rows, d, ff, 1, y->act, ff, w + net_layer_offset(n, l, FFN_DOWN), ff, 1, x_out, d);
}

/* t->d_x holds the gradient of the layer's output on entry and of its input on return. */
static void layer_back(const struct net *n, const struct tape *t, const struct net_batch *b, uint32_t l, float *grad) {
    const struct model_config *c = &n->config;
    const struct layer_tape *y = &t->layers[l];
    size_t rows = b->n_rows, d = c->n_embd, q = q_dim(c), qkv = q + 2 * kv_dim(c), ff = c->n_ff, at;
    const float *w = n->weights;

    at = net_layer_offset(n, l, FFN_DOWN);
    gemm(true, false, d, ff, rows, 1, t->d_x, d, y->act, ff, 1, grad + at, ff);
    gemm(false, false, rows, ff, d, 1, t->d_x, d, w + at, ff, 0, t->d_act, ff);
    swiglu_back(y, t->d_act, t->d_ff, rows, ff);
    at = net_layer_offset(n, l, FFN_GATE);
    gemm(true, false, 2 * ff, d, rows, 1, t->d_ff, 2 * ff, y->mid_norm, d, 1, grad + at, d);
    gemm(false, false, rows, d, 2 * ff, 1, t->d_ff, 2 * ff, w + at, d, 0, t->d_norm, d);
    at = net_layer_offset(n, l, FFN_NORM);
    norm_back(t->d_x, grad + at, t->d_norm, y->mid, y->mid_rms, w + at, rows, d);

    at = net_layer_offset(n, l, ATTN_OUTPUT);
    gemm(true, false, d, q, rows, 1, t->d_x, d, y->heads, q, 1, grad + at, q);
    float *d_heads = t->d_heads;
    gemm(false, false, rows, q, d, 1, t->d_x, d, w + at, q, 0, d_heads, q);
    memset(t->d_qkv, 0, rows * qkv * sizeof(float));
    attention_back(n, t, b, y, d_heads, t->d_qkv);
    rope(n, t, b, t->d_qkv, -1);
    at = net_layer_offset(n, l, ATTN_Q);
    gemm(true, false, qkv, d, rows, 1, t->d_qkv, qkv, y->x_norm, d, 1, grad + at, d);
    gemm(false, false, rows, d, qkv, 1, t->d_qkv, qkv, w + at, d, 0, t->d_norm, d);
    at = net_layer_offset(n, l, ATTN_NORM);
    norm_back(t->d_x, grad + at, t->d_norm, y->x, y->rms, w + at, rows, d);
}

/* Cross-entropy of one row with exponentials z (sum in *sum) over the top logit; its soft targets' logits were kept. */
static double soft_loss(const struct net_batch *b, uint32_t row, const float *logits, double log_sum) {
    double loss = 0;
    for (uint32_t k = 0; k < b->n_soft; k++) {
        float p = b->soft_probs[(size_t)row * b->n_soft + k];
        if (p > 0) loss += p * (log_sum - logits[b->soft_tokens[(size_t)row * b->n_soft + k]]);
    }
    return loss;
}

/* Cross-entropy of the picked rows.  Logits become exponentials, their sums are kept for the way back. */
static double lm_loss(const struct net *n, struct tape *t, const struct net_batch *b, size_t n_picked, float *out) {
    size_t d = n->config.n_embd, v = n->config.n_vocab;
    const struct ops *ops = ops_get();
    double loss = 0;
    gemm(false, true, n_picked, v, d, 1, t->picked, d, n->weights, d, 0, t->logits, v);
    for (size_t i = 0; i < n_picked; i++) {
        uint32_t r = t->rows[i];
        float *z = t->logits + i * v, top = ops->max(z, v), z_target = b->n_soft ? 0 : z[b->targets[r]];
        double of_row;
        if (b->n_soft) { /* the logits are gone once they are exponentials */
            double exact = 0;
            for (size_t j = 0; j < v; j++) exact += exp((double)z[j] - top);
            of_row = soft_loss(b, r, z, log(exact) + top);
            t->sums[i] = ops->exp_sum(z, z, 1, top, v);
        } else {
            t->sums[i] = ops->exp_sum(z, z, 1, top, v);
            of_row = log((double)t->sums[i]) + top - z_target;
        }
        loss += b->weights[r] * of_row;
        if (out) out[r] = (float)-of_row;
    }
    return loss;
}

/* Exponentials become scale * coefficient * (softmax - targets). */
static void lm_back(const struct net *n, struct tape *t, const struct net_batch *b, const float *coefficient, float scale) {
    size_t v = n->config.n_vocab;
    for (size_t i = 0; i < t->n_picked; i++) {
        uint32_t r = t->rows[i];
        float *z = t->logits + i * v, c = scale * coefficient[r], mass = b->n_soft ? 0 : 1;
        for (uint32_t k = 0; k < b->n_soft; k++) mass += b->soft_probs[(size_t)r * b->n_soft + k];
        float k = c * mass / t->sums[i];
        for (size_t j = 0; j < v; j++) z[j] *= k;
        if (!b->n_soft) z[b->targets[r]] -= c;
        for (uint32_t s = 0; s < b->n_soft; s++)
            z[b->soft_tokens[(size_t)r * b->n_soft + s]] -= c * b->soft_probs[(size_t)r * b->n_soft + s];
    }
}

/* Binary cross-entropy with soft targets; logits[i] becomes p. */
static double value_loss(const struct net *n, struct tape *t, const struct net_batch *b, size_t n_picked, float *out) {
    size_t d = n->config.n_embd;
    const float *w = n->weights + net_value_head(n);
    double loss = 0;
    for (size_t i = 0; i < n_picked; i++) {
        uint32_t r = t->rows[i];
        double z = (double)blas()->sdot((int)d, t->picked + i * d, 1, w, 1) + w[d], y = b->values[r];
        double p = 1 / (1 + exp(-z));
        /* -y log p - (1-y) log(1-p) = log(1 + exp(-|z|)) + max(z, 0) - y z */
        loss += b->weights[r] * (log1p(exp(-fabs(z))) + (z > 0 ? z : 0) - y * z);
        t->difference[i] = p - y;
        if (out) out[r] = (float)p;
    }
    return loss;
}

/* Gradient through head and final norm into t->d_x. */
static void head_back(const struct net *n, struct tape *t, const struct net_batch *b, size_t n_picked, float *grad) {
    size_t d = n->config.n_embd, v = n->head == NET_LM ? n->config.n_vocab : 1;
    size_t head = n->head == NET_LM ? 0 : net_value_head(n);
    gemm(true, false, v, d, n_picked, 1, t->logits, v, t->picked, d, 1, grad + head, d);
    if (n->head == NET_VALUE)
        for (size_t i = 0; i < n_picked; i++) grad[head + d] += t->logits[i];
    float *d_picked = t->picked; /* its own values are no longer needed */
    gemm(false, false, n_picked, d, v, 1, t->logits, v, n->weights + head, d, 0, d_picked, d);
    memset(t->d_norm, 0, (size_t)b->n_rows * d * sizeof(float));
    memset(t->d_x, 0, (size_t)b->n_rows * d * sizeof(float));
    for (size_t i = 0; i < n_picked; i++)
        memcpy(t->d_norm + t->rows[i] * d, d_picked + i * d, d * sizeof(float));
    size_t at = net_final_norm(n);
    norm_back(t->d_x, grad + at, t->d_norm, t->x, t->rms, n->weights + at, b->n_rows, d);
}

double net_forward(const struct net *n, struct tape *t, const struct net_batch *b, float *out) {
    const struct model_config *c = &n->config;
    size_t d = c->n_embd;
    float *x = c->n_layer ? t->layers[0].x : t->x;
    for (size_t r = 0; r < b->n_rows; r++)
        memcpy(x + r * d, n->weights + (size_t)b->tokens[r] * d, d * sizeof(float));
    for (uint32_t l = 0; l < c->n_layer; l++) layer_forward(n, t, b, l, l + 1 < c->n_layer ? t->layers[l + 1].x : t->x);
    norm(t->x_norm, t->rms, t->x, n->weights + net_final_norm(n), b->n_rows, d, c->rms_eps);
    t->n_picked = 0;
    for (uint32_t r = 0; r < b->n_rows; r++)
        if (b->weights[r] > 0) {
            memcpy(t->picked + t->n_picked * d, t->x_norm + r * d, d * sizeof(float));
            t->rows[t->n_picked++] = r;
        }
    return n->head == NET_LM ? lm_loss(n, t, b, t->n_picked, out) : value_loss(n, t, b, t->n_picked, out);
}

void net_backward(const struct net *n, struct tape *t, const struct net_batch *b, const float *coefficient, float scale,
                  float *grad) {
    size_t d = n->config.n_embd;
    if (!coefficient) coefficient = b->weights;
    if (n->head == NET_LM) lm_back(n, t, b, coefficient, scale);
    else
        for (size_t i = 0; i < t->n_picked; i++)
            t->logits[i] = (float)(scale * coefficient[t->rows[i]] * t->difference[i]);
    head_back(n, t, b, t->n_picked, grad);
    for (uint32_t l = n->config.n_layer; l-- > 0;) layer_back(n, t, b, l, grad);
    for (size_t r = 0; r < b->n_rows; r++)
        blas()->saxpy((int)d, 1, t->d_x + r * d, 1, grad + (size_t)b->tokens[r] * d, 1);
}

double net_loss(const struct net *n, struct tape *t, const struct net_batch *b, float scale, float *grad, float *out) {
    double loss = net_forward(n, t, b, n->head == NET_VALUE ? out : NULL);
    if (grad) net_backward(n, t, b, NULL, scale, grad);
    return loss;
}
