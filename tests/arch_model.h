/* arch_model.h: a small random model file of each architecture, and its outputs in double, one sum at a time.
 * Not made from the table in model/arch.c: what each name means is written down here a second time.
 * Next: test_arch.c. */
#ifndef PONDER_TESTS_ARCH_MODEL_H
#define PONDER_TESTS_ARCH_MODEL_H

#include "tests/tiny_model.h"

enum { A_LAYERS = 7, A_EMBD = 32, A_HEADS = 4, A_KV = 2, A_FF = 40, A_VOCAB = 45, A_CTX = 256, A_MAX_FLOATS = 1 << 17 };

/* What the name asks for, as this file understands it. */
struct facts {
    const char *name;
    bool neox, bias, fused, head_norm, row_norm, pre_norm, post_norm, gelu;
    uint32_t hd, rope_dim;
    float base, eps;
    uint32_t window;       /* 0: none */
    uint32_t global_every; /* of windowed ones */
    float local_base;
};

static inline struct facts facts_of(const char *name) {
#define IS(x) (!strcmp(name, x))
    struct facts f = {.name = name, .hd = 8, .base = 10000, .eps = 1e-5f, .pre_norm = !IS("olmo2")};
    bool gemma = IS("gemma2") || IS("gemma3");
    f.neox = gemma || IS("qwen2") || IS("qwen3") || IS("phi3") || IS("olmo2");
    f.bias = IS("qwen2");
    f.fused = IS("phi3");
    f.head_norm = IS("qwen3") || IS("gemma3");
    f.row_norm = IS("olmo2");
    f.post_norm = gemma || IS("olmo2");
    f.gelu = gemma;
    if (IS("qwen3") || IS("gemma3")) f.hd = 16;
    if (IS("gemma3")) f.base = 1e6, f.window = 20, f.global_every = 6, f.local_base = 10000;
    if (IS("gemma2")) f.window = 5, f.global_every = 2, f.local_base = f.base;
    if (IS("olmo2")) f.window = 18, f.global_every = 4, f.local_base = f.base;
    f.rope_dim = IS("phi3") ? 6 : f.hd;
#undef IS
    return f;
}

/* ---- the file ---- */

struct maker {
    struct gguf_writer *w;
    const char *arch, *without; /* a tensor that is left out, or NULL */
    float *pool;
    size_t at;
    uint64_t key;
};

static inline void make_u32(struct maker *k, const char *suffix, uint32_t v) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", k->arch, suffix);
    gguf_add_u32(k->w, key, v);
}

static inline void make_f32(struct maker *k, const char *suffix, float v) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", k->arch, suffix);
    gguf_add_f32(k->w, key, v);
}

/* mean + sigma * normal; layer < 0: the name as it is. */
static inline void make_tensor(struct maker *k, int layer, const char *name, uint32_t rows, uint32_t cols, double mean,
                               double sigma) {
    char full[96];
    if (layer >= 0) snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    else snprintf(full, sizeof full, "%s", name);
    if (k->without && !strcmp(k->without, full)) return;
    float *x = k->pool + k->at;
    for (size_t i = 0; i < (size_t)rows * cols; i++) x[i] = (float)(mean + sigma * tiny_gauss(k->key, k->at + i));
    k->at += (size_t)rows * cols;
    assert_true(k->at <= A_MAX_FLOATS);
    uint64_t dims[2] = {cols, rows};
    gguf_add_tensor(k->w, full, TYPE_F32, rows > 1 ? 2 : 1, dims, x);
}

static inline void make_layer(struct maker *k, const struct facts *f, int l) {
    uint32_t q = A_HEADS * f->hd, kv = A_KV * f->hd;
    double s = 1 / sqrt((double)A_EMBD);
    if (f->pre_norm)
        make_tensor(k, l, "attn_norm.weight", 1, A_EMBD, 1, 0.2),
            make_tensor(k, l, "ffn_norm.weight", 1, A_EMBD, 1, 0.2);
    if (f->post_norm)
        make_tensor(k, l, "post_attention_norm.weight", 1, A_EMBD, 0.7, 0.2),
            make_tensor(k, l, "post_ffw_norm.weight", 1, A_EMBD, 0.7, 0.2);
    if (f->head_norm)
        make_tensor(k, l, "attn_q_norm.weight", 1, f->hd, 1, 0.2),
            make_tensor(k, l, "attn_k_norm.weight", 1, f->hd, 1, 0.2);
    if (f->row_norm)
        make_tensor(k, l, "attn_q_norm.weight", 1, q, 1, 0.2), make_tensor(k, l, "attn_k_norm.weight", 1, kv, 1, 0.2);
    if (f->fused) {
        make_tensor(k, l, "attn_qkv.weight", q + 2 * kv, A_EMBD, 0, s);
        make_tensor(k, l, "ffn_up.weight", 2 * A_FF, A_EMBD, 0, s);
    } else {
        make_tensor(k, l, "attn_q.weight", q, A_EMBD, 0, s);
        make_tensor(k, l, "attn_k.weight", kv, A_EMBD, 0, s);
        make_tensor(k, l, "attn_v.weight", kv, A_EMBD, 0, s);
        make_tensor(k, l, "ffn_gate.weight", A_FF, A_EMBD, 0, s);
        make_tensor(k, l, "ffn_up.weight", A_FF, A_EMBD, 0, s);
    }
    if (f->bias) {
        make_tensor(k, l, "attn_q.bias", 1, q, 0, 0.5);
        make_tensor(k, l, "attn_k.bias", 1, kv, 0, 0.5);
        make_tensor(k, l, "attn_v.bias", 1, kv, 0, 0.5);
    }
    make_tensor(k, l, "attn_output.weight", A_EMBD, q, 0, s);
    make_tensor(k, l, "ffn_down.weight", A_EMBD, A_FF, 0, s);
}

static inline void make_keys(struct maker *k, const struct facts *f) {
    gguf_add_string(k->w, "general.architecture", f->name);
    make_u32(k, "block_count", A_LAYERS), make_u32(k, "embedding_length", A_EMBD), make_u32(k, "context_length", A_CTX);
    make_u32(k, "attention.head_count", A_HEADS), make_u32(k, "attention.head_count_kv", A_KV);
    make_u32(k, "feed_forward_length", A_FF), make_u32(k, "rope.dimension_count", f->rope_dim);
    if (f->hd * A_HEADS != A_EMBD)
        make_u32(k, "attention.key_length", f->hd), make_u32(k, "attention.value_length", f->hd);
    make_f32(k, "attention.layer_norm_rms_epsilon", f->eps), make_f32(k, "rope.freq_base", f->base);
    if (f->window) make_u32(k, "attention.sliding_window", f->window);
    if (!strcmp(f->name, "gemma2")) make_f32(k, "attn_logit_softcapping", 2), make_f32(k, "final_logit_softcapping", 3);
    if (!strcmp(f->name, "granite")) {
        make_f32(k, "embedding_scale", 12), make_f32(k, "residual_scale", 0.22f), make_f32(k, "logit_scale", 8);
        make_f32(k, "attention.scale", 0.0625f);
    }
    if (!strcmp(f->name, "phi3"))
        make_u32(k, "rope.scaling.original_context_length", 64), make_f32(k, "rope.scaling.attn_factor", 1.1f);
    if (!strcmp(f->name, "mistral3")) {
        gguf_add_string(k->w, "mistral3.rope.scaling.type", "yarn");
        make_f32(k, "rope.scaling.factor", 4), make_u32(k, "rope.scaling.original_context_length", 16);
        make_f32(k, "rope.scaling.yarn_beta_fast", 2), make_f32(k, "attention.temperature_scale", 0.3f);
    }
}

/* What llama.cpp writes beside the above when it saves a model of any architecture: keys that mean nothing there. */
static inline void make_saved_keys(struct maker *k) {
    bool yarn = !strcmp(k->arch, "mistral3"), granite = !strcmp(k->arch, "granite"),
         gemma2 = !strcmp(k->arch, "gemma2");
    if (!gemma2) make_f32(k, "attn_logit_softcapping", 50);
    if (!gemma2) make_f32(k, "final_logit_softcapping", strcmp(k->arch, "gemma3") ? 30 : 0);
    if (!granite) make_f32(k, "embedding_scale", 0), make_f32(k, "residual_scale", 0), make_f32(k, "logit_scale", 0);
    if (!granite) make_f32(k, "attention.scale", 0);
    if (!yarn) {
        char key[64];
        snprintf(key, sizeof key, "%s.rope.scaling.type", k->arch);
        gguf_add_string(k->w, key, "linear");
        make_f32(k, "rope.scaling.factor", 0), make_f32(k, "attention.temperature_scale", 0);
    }
    make_u32(k, "expert_count", 0), make_u32(k, "expert_used_count", 0), make_f32(k, "attention.clamp_kqv", 0);
    make_f32(k, "rope.scaling.yarn_ext_factor", -1), make_f32(k, "rope.scaling.yarn_attn_factor", 1);
    make_f32(k, "rope.scaling.yarn_log_multiplier", 0), make_f32(k, "rope.scaling.yarn_beta_slow", 1);
}

/* Writes the model; `without`: a tensor left out, or NULL; `extra`: a tensor too many, or NULL; `keys` adds more, or NULL. */
static inline void arch_write_with(const char *name, const char *without, const char *extra,
                                   void (*keys)(struct maker *), const char *path) {
    struct facts f = facts_of(name);
    struct maker k = {.arch = name, .without = without, .pool = malloc(A_MAX_FLOATS * sizeof(float)), .key = 11};
    struct error e;
    GOOD(gguf_writer_new(&k.w, &e));
    make_keys(&k, &f);
    if (keys) keys(&k);
    make_tensor(&k, -1, "token_embd.weight", A_VOCAB, A_EMBD, 0, 0.7);
    for (int l = 0; l < A_LAYERS; l++) make_layer(&k, &f, l);
    make_tensor(&k, -1, "output_norm.weight", 1, A_EMBD, 1, 0.2);
    if (!strcmp(name, "olmo2")) make_tensor(&k, -1, "output.weight", A_VOCAB, A_EMBD, 0, 0.3);
    if (!strcmp(name, "llama")) make_tensor(&k, -1, "rope_freqs.weight", 1, f.rope_dim / 2, 3, 0.4);
    if (f.fused) {
        make_tensor(&k, -1, "rope_factors_short.weight", 1, f.rope_dim / 2, 1, 0.1);
        make_tensor(&k, -1, "rope_factors_long.weight", 1, f.rope_dim / 2, 3, 0.4);
    }
    if (extra) make_tensor(&k, -1, extra, 1, 8, 0, 1);
    GOOD(gguf_write(k.w, path, &e));
    gguf_writer_free(&k.w);
    free(k.pool);
}

static inline void arch_write(const char *name, const char *without, const char *extra, const char *path) {
    arch_write_with(name, without, extra, NULL, path);
}

/* ---- its outputs in double ---- */

static inline const float *arch_tensor(const struct gguf *g, int layer, const char *name, size_t row, size_t cols) {
    char full[96];
    if (layer >= 0) snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    else snprintf(full, sizeof full, "%s", name);
    const struct gguf_tensor *t = gguf_find(g, full);
    if (!t) fail_msg("no tensor %s", full);
    return (const float *)t->data + row * cols;
}

static inline void arch_matvec(double *y, const float *w, const float *bias, const double *x, size_t rows,
                               size_t cols) {
    for (size_t r = 0; r < rows; r++) {
        y[r] = bias ? bias[r] : 0;
        for (size_t i = 0; i < cols; i++) y[r] += w[r * cols + i] * x[i];
    }
}

static inline void arch_norm(double *y, const double *x, const float *w, size_t n, double eps) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    for (size_t i = 0; i < n; i++) y[i] = x[i] / sqrt(sum / (double)n + eps) * w[i];
}

static inline bool arch_is_local(const struct facts *f, int l) { return f->window && (l + 1) % (int)f->global_every; }

/* One head turned to its position. */
static inline void arch_rope(const struct gguf *g, const struct facts *f, int l, double *x, size_t pos) {
    bool local = arch_is_local(f, l), phi = !strcmp(f->name, "phi3"), yarn = !strcmp(f->name, "mistral3");
    if (!strcmp(f->name, "smollm3") && (l + 1) % 4 == 0) return;
    for (uint32_t i = 0; i < f->rope_dim / 2; i++) {
        double angle = (double)pos * pow(local ? f->local_base : f->base, -2.0 * i / f->rope_dim), size = 1;
        if (!strcmp(f->name, "llama")) angle /= *arch_tensor(g, -1, "rope_freqs.weight", i, 1);
        if (phi) angle /= *arch_tensor(g, -1, "rope_factors_long.weight", i, 1), size = 1.1f;
        if (yarn) { /* 16 tokens stretched by 4; the ramp goes from 2 turns to 1 */
            double lo = fmax(0, floor(8 * log(16 / (2 * 2 * M_PI)) / (2 * log(10000)))),
                   hi = fmin(7, ceil(8 * log(16 / (1 * 2 * M_PI)) / (2 * log(10000))));
            double keep = 1 - fmin(1, fmax(0, (i - lo) / fmax(0.001, hi - lo)));
            angle = angle * keep + angle / 4 * (1 - keep), size = 0.1 * log(4) + 1;
        }
        double *a = f->neox ? &x[i] : &x[2 * i], *b = f->neox ? &x[i + f->rope_dim / 2] : &x[2 * i + 1];
        double u = *a * cos(angle) - *b * sin(angle), v = *a * sin(angle) + *b * cos(angle);
        *a = u * size, *b = v * size;
    }
}

static inline void arch_qkv(const struct gguf *g, const struct facts *f, int l, const double *x, double *q, double *k,
                            double *v, size_t pos) {
    size_t nq = A_HEADS * f->hd, nkv = A_KV * f->hd;
    const char *names[3] = {"attn_q.weight", "attn_k.weight", "attn_v.weight"},
               *biases[3] = {"attn_q.bias", "attn_k.bias", "attn_v.bias"};
    double *to[3] = {q, k, v};
    size_t rows[3] = {nq, nkv, nkv}, at = 0;
    for (int i = 0; i < 3; at += rows[i++])
        arch_matvec(to[i],
                    f->fused ? arch_tensor(g, l, "attn_qkv.weight", at, A_EMBD) : arch_tensor(g, l, names[i], 0, 0),
                    f->bias ? arch_tensor(g, l, biases[i], 0, 0) : NULL, x, rows[i], A_EMBD);
    if (f->row_norm) {
        arch_norm(q, q, arch_tensor(g, l, "attn_q_norm.weight", 0, 0), nq, f->eps);
        arch_norm(k, k, arch_tensor(g, l, "attn_k_norm.weight", 0, 0), nkv, f->eps);
    }
    for (size_t h = 0; h < A_HEADS + A_KV; h++) {
        double *x_head = h < A_HEADS ? q + h * f->hd : k + (h - A_HEADS) * f->hd;
        if (f->head_norm)
            arch_norm(x_head, x_head,
                      arch_tensor(g, l, h < A_HEADS ? "attn_q_norm.weight" : "attn_k_norm.weight", 0, 0), f->hd,
                      f->eps);
        arch_rope(g, f, l, x_head, pos);
    }
    for (size_t i = 0; !strcmp(f->name, "mistral3") && i < nq; i++) q[i] *= 1 + 0.3f * log(1 + floor((double)pos / 16));
}

static inline void arch_attend(const struct facts *f, int l, double *y, const double *q, const double *k,
                               const double *v, size_t pos) {
    size_t hd = f->hd, kv = A_KV * hd, begin = arch_is_local(f, l) && pos + 1 > f->window ? pos + 1 - f->window : 0;
    double scale = !strcmp(f->name, "granite") ? 0.0625 : 1 / sqrt((double)hd);
    for (size_t h = 0; h < A_HEADS; h++) {
        size_t at = h / (A_HEADS / A_KV) * hd;
        double score[A_CTX], sum = 0;
        for (size_t t = begin; t <= pos; t++) {
            score[t] = 0;
            for (size_t i = 0; i < hd; i++) score[t] += q[h * hd + i] * k[t * kv + at + i] * scale;
            if (!strcmp(f->name, "gemma2")) score[t] = 2 * tanh(score[t] / 2);
            sum += score[t] = exp(score[t]);
        }
        for (size_t i = 0; i < hd; i++) {
            y[h * hd + i] = 0;
            for (size_t t = begin; t <= pos; t++) y[h * hd + i] += score[t] / sum * v[t * kv + at + i];
        }
    }
}

static inline void arch_ffn(const struct gguf *g, const struct facts *f, int l, double *y, const double *x) {
    double gate[A_FF], up[A_FF];
    arch_matvec(gate, arch_tensor(g, l, f->fused ? "ffn_up.weight" : "ffn_gate.weight", 0, 0), NULL, x, A_FF, A_EMBD);
    arch_matvec(up, arch_tensor(g, l, "ffn_up.weight", f->fused ? A_FF : 0, A_EMBD), NULL, x, A_FF, A_EMBD);
    for (size_t i = 0; i < A_FF; i++) {
        double z = gate[i];
        up[i] *= f->gelu ? 0.5 * z * (1 + tanh(sqrt(2 / M_PI) * (z + 0.044715 * z * z * z))) : z / (1 + exp(-z));
    }
    arch_matvec(y, arch_tensor(g, l, "ffn_down.weight", 0, 0), NULL, up, A_EMBD, A_FF);
}

/* x += scale * norm(delta) */
static inline void arch_add(const struct gguf *g, const struct facts *f, int l, const char *norm, double *x,
                            double *delta) {
    if (f->post_norm) arch_norm(delta, delta, arch_tensor(g, l, norm, 0, 0), A_EMBD, f->eps);
    for (size_t i = 0; i < A_EMBD; i++) x[i] += delta[i] * (strcmp(f->name, "granite") ? 1 : (double)0.22f);
}

/* out: [n, A_VOCAB] */
static inline void arch_outputs(const struct gguf *g, const char *name, const int32_t *tokens, size_t n, double *out) {
    struct facts f = facts_of(name);
    size_t kv = A_KV * f.hd;
    double *x = malloc(n * A_EMBD * sizeof *x), *k = malloc(2 * n * kv * sizeof *k), *v = k + n * kv;
    double a[A_EMBD], q[A_HEADS * 16], y[A_HEADS * 16], delta[A_EMBD];
    double embed = f.gelu ? sqrt((double)A_EMBD) : strcmp(name, "granite") ? 1 : 12;
    for (size_t i = 0; i < n * A_EMBD; i++)
        x[i] = embed * arch_tensor(g, -1, "token_embd.weight", (size_t)tokens[i / A_EMBD], A_EMBD)[i % A_EMBD];
    for (int l = 0; l < A_LAYERS; l++)
        for (size_t t = 0; t < n; t++) {
            double *row = x + t * A_EMBD;
            memcpy(a, row, sizeof a);
            if (f.pre_norm) arch_norm(a, row, arch_tensor(g, l, "attn_norm.weight", 0, 0), A_EMBD, f.eps);
            arch_qkv(g, &f, l, a, q, k + t * kv, v + t * kv, t);
            arch_attend(&f, l, y, q, k, v, t);
            arch_matvec(delta, arch_tensor(g, l, "attn_output.weight", 0, 0), NULL, y, A_EMBD, A_HEADS * f.hd);
            arch_add(g, &f, l, "post_attention_norm.weight", row, delta);
            memcpy(a, row, sizeof a);
            if (f.pre_norm) arch_norm(a, row, arch_tensor(g, l, "ffn_norm.weight", 0, 0), A_EMBD, f.eps);
            arch_ffn(g, &f, l, delta, a);
            arch_add(g, &f, l, "post_ffw_norm.weight", row, delta);
        }
    for (size_t t = 0; t < n; t++) {
        arch_norm(a, x + t * A_EMBD, arch_tensor(g, -1, "output_norm.weight", 0, 0), A_EMBD, f.eps);
        arch_matvec(out + t * A_VOCAB,
                    arch_tensor(g, -1, strcmp(name, "olmo2") ? "token_embd.weight" : "output.weight", 0, 0), NULL, a,
                    A_VOCAB, A_EMBD);
        for (size_t i = 0; i < A_VOCAB; i++) {
            double *z = &out[t * A_VOCAB + i];
            if (!strcmp(name, "granite")) *z /= 8;
            if (!strcmp(name, "gemma2")) *z = 3 * tanh(*z / 3);
        }
    }
    free(x), free(k);
}

#endif
