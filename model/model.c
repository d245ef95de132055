/* model.c: binds a GGUF's tensors by name and checks every shape against the config.
 * Not the pass: forward.c.
 * Next: forward.c. */
#include "model/model.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "model/arch.h"

/* While a model is opened. */
struct binder {
    struct model *m;
    bool *used; /* [gguf_n_tensors] tensors that were bound */
    struct error *e;
};

/* A matrix by name with the wanted shape; sets e and returns false when it is missing or different. */
static bool bind(struct binder *b, const char *name, uint32_t rows, uint32_t cols, struct matrix *out) {
    const struct gguf *file = b->m->file;
    const struct gguf_tensor *t = gguf_find(file, name);
    if (!t) {
        error_set(b->e, ERR_INPUT, "%s: tensor %s is missing; the keys ask for it with shape [%u, %u]", gguf_name(file),
                  name, cols, rows);
        return false;
    }
    if (t->dims[0] != cols || t->dims[1] != rows || t->dims[2] != 1 || t->dims[3] != 1) {
        error_set(b->e, ERR_INPUT, "%s: tensor %s has shape [%llu, %llu], the keys ask for [%u, %u]", gguf_name(file),
                  name, (unsigned long long)t->dims[0], (unsigned long long)t->dims[1], cols, rows);
        return false;
    }
    b->used[t - gguf_tensor_at(file, 0)] = true;
    *out = (struct matrix){
        .data = t->data, .row_bytes = type_row_bytes(t->type, cols), .rows = rows, .cols = cols, .type = t->type};
    return true;
}

/* A vector as f32, copied into *out. */
static enum status bind_vector(struct binder *b, const char *name, uint32_t n, float **out) {
    struct matrix v;
    if (!bind(b, name, 1, n, &v)) return ERR_INPUT;
    if (!(*out = mem_new(n, sizeof(float)))) return error_set(b->e, ERR_MEMORY, "no memory for tensor %s", name);
    type_to_f32(v.type, v.data, *out, n);
    return OK;
}

/* The same when it is there; *out stays NULL otherwise. */
static enum status bind_optional(struct binder *b, const char *name, uint32_t n, float **out) {
    return gguf_find(b->m->file, name) ? bind_vector(b, name, n, out) : OK;
}

/* The norm `name` of layer l. */
static enum status bind_norm(struct binder *b, uint32_t l, const char *name, uint32_t n, float **out) {
    char full[64];
    snprintf(full, sizeof full, "blk.%u.%s.weight", l, name);
    return bind_vector(b, full, n, out);
}

/* Up to three matrices of layer l that lie one after another in the tensor `name`, and its bias. */
static enum status bind_fused(struct binder *b, uint32_t l, const char *name, uint32_t cols, bool bias,
                              struct matrix *const *parts, const uint32_t *rows, size_t n) {
    char full[64];
    struct matrix all;
    uint32_t total = 0;
    for (size_t i = 0; i < n; i++) total += rows[i];
    snprintf(full, sizeof full, "blk.%u.%s.weight", l, name);
    if (!bind(b, full, total, cols, &all)) return ERR_INPUT;
    snprintf(full, sizeof full, "blk.%u.%s.bias", l, name);
    enum status s = bias ? bind_vector(b, full, total, &all.bias) : bind_optional(b, full, total, &all.bias);
    if (s) return s;
    for (size_t i = 0, at = 0; i < n; at += rows[i++]) {
        *parts[i] = all;
        parts[i]->rows = rows[i];
        parts[i]->data = (const char *)all.data + at * all.row_bytes;
        if (all.bias) parts[i]->bias = all.bias + at; /* the first part's is the memory */
    }
    b->m->n_weights += (uint64_t)total * cols;
    b->m->size_bytes += total * all.row_bytes;
    return OK;
}

static enum status bind_one(struct binder *b, uint32_t l, const char *name, uint32_t rows, uint32_t cols, bool bias,
                            struct matrix *to) {
    return bind_fused(b, l, name, cols, bias, &to, &rows, 1);
}

static enum status bind_matrices(struct binder *b, uint32_t l) {
    const struct model_config *c = &b->m->config;
    const struct arch *k = c->kind;
    struct layer *y = &b->m->layers[l];
    uint32_t d = c->n_embd, q = c->n_head * c->head_dim, kv = c->n_head_kv * c->head_dim, ff = c->n_ff;
    enum status s;
    char fused[64], single[64];
    snprintf(fused, sizeof fused, "blk.%u.attn_qkv.weight", l);
    snprintf(single, sizeof single, "blk.%u.attn_q.weight", l);
    y->fused_qkv = gguf_find(b->m->file, fused) || (k->fused_qkv && !gguf_find(b->m->file, single));
    if (y->fused_qkv) {
        s = bind_fused(b, l, "attn_qkv", d, k->qkv_bias, (struct matrix *[]){&y->q, &y->k, &y->v},
                       (uint32_t[]){q, kv, kv}, 3);
    } else if (!(s = bind_one(b, l, "attn_q", q, d, k->qkv_bias, &y->q)) &&
               !(s = bind_one(b, l, "attn_k", kv, d, k->qkv_bias, &y->k))) {
        s = bind_one(b, l, "attn_v", kv, d, k->qkv_bias, &y->v);
    }
    if (s || (s = bind_one(b, l, "attn_output", d, q, false, &y->out))) return s;
    if (k->fused_ffn)
        s = bind_fused(b, l, "ffn_up", d, false, (struct matrix *[]){&y->gate, &y->up}, (uint32_t[]){ff, ff}, 2);
    else if (!(s = bind_one(b, l, "ffn_gate", ff, d, false, &y->gate)))
        s = bind_one(b, l, "ffn_up", ff, d, false, &y->up);
    return s ? s : bind_one(b, l, "ffn_down", d, ff, false, &y->down);
}

static enum status bind_layer(struct binder *b, uint32_t l) {
    const struct model_config *c = &b->m->config;
    const struct arch *k = c->kind;
    struct layer *y = &b->m->layers[l];
    bool whole = k->qk_norm == QK_NORM_ROW;
    enum status s = bind_matrices(b, l);
    if (layer_has(c->local, l)) y->window = c->window, b->m->n_local++;
    y->rope = layer_has(c->no_rope, l) ? ROPE_OFF : y->window ? ROPE_LOCAL : ROPE_GLOBAL;
    if (!s && !k->no_pre_norm && !(s = bind_norm(b, l, "attn_norm", c->n_embd, &y->attn_norm)))
        s = bind_norm(b, l, "ffn_norm", c->n_embd, &y->ffn_norm);
    if (!s && k->post_norm && !(s = bind_norm(b, l, "post_attention_norm", c->n_embd, &y->attn_post_norm)))
        s = bind_norm(b, l, "post_ffw_norm", c->n_embd, &y->ffn_post_norm);
    if (!s && k->qk_norm && !(s = bind_norm(b, l, "attn_q_norm", c->head_dim * (whole ? c->n_head : 1), &y->q_norm)))
        s = bind_norm(b, l, "attn_k_norm", c->head_dim * (whole ? c->n_head_kv : 1), &y->k_norm);
    return s;
}

/* Divisors of RoPE's frequencies: one set, or one for short and one for long contexts. */
static enum status bind_rope(struct binder *b) {
    struct model *m = b->m;
    uint32_t n = m->config.rope_dim / 2;
    bool two = gguf_find(m->file, "rope_factors_long.weight") != NULL;
    enum status s = two ? bind_vector(b, "rope_factors_short.weight", n, &m->rope_factors)
                        : bind_optional(b, "rope_freqs.weight", n, &m->rope_factors);
    if (!s && two) s = bind_vector(b, "rope_factors_long.weight", n, &m->rope_factors_long);
    for (uint32_t i = 0; !s && i < n && m->rope_factors; i++) {
        float f = m->rope_factors[i], g = two ? m->rope_factors_long[i] : 1;
        if (!(f > 0 && g > 0))
            s = error_set(b->e, ERR_INPUT, "%s: rope factor %u is %g, allowed above 0", gguf_name(m->file), i,
                          (double)(f > 0 ? g : f));
    }
    return s;
}

/* A tensor of a layer that nobody asked for means that the model computes something else than we would. */
static enum status check_all_used(const struct binder *b) {
    const struct gguf *file = b->m->file;
    for (size_t i = 0; i < gguf_n_tensors(file); i++) {
        struct gguf_string name = gguf_tensor_at(file, i)->name;
        if (b->used[i] || name.size < 4 || memcmp(name.data, "blk.", 4)) continue;
        return error_set(b->e, ERR_INPUT, "%s: tensor %.*s has no place in architecture %s with %u layers",
                         gguf_name(file), (int)(name.size < 80 ? name.size : 80), name.data, b->m->config.arch,
                         b->m->config.n_layer);
    }
    return OK;
}

/* One row of [n_embd] and its bias. */
static enum status bind_value(struct binder *b, const char *weight, const char *bias, struct matrix *to) {
    if (!bind(b, weight, 1, b->m->config.n_embd, to)) return ERR_INPUT;
    return bind_vector(b, bias, 1, &to->bias);
}

/* Two classes behind a hidden layer, under llama.cpp's names. */
static enum status bind_classes(struct binder *b) {
    struct model *m = b->m;
    uint32_t d = m->config.n_embd;
    if (!bind(b, "cls.weight", d, d, &m->head_hidden)) return ERR_INPUT;
    enum status s = bind_vector(b, "cls.bias", d, &m->head_hidden.bias);
    if (s) return s;
    if (!bind(b, "cls.output.weight", 2, d, &m->head)) return ERR_INPUT;
    m->size_bytes += m->head_hidden.rows * m->head_hidden.row_bytes;
    return bind_vector(b, "cls.output.bias", 2, &m->head.bias);
}

/* The head: a reward model's, an untied one, or the embedding. */
static enum status bind_head(struct binder *b) {
    struct model *m = b->m;
    const struct model_config *c = &m->config;
    if (gguf_find(m->file, "prm.head.weight")) {
        enum status s = bind_value(b, "prm.head.weight", "prm.head.bias", &m->head);
        if (s) return s;
        m->head_bias = *m->head.bias;
        mem_free(m->head.bias), m->head.bias = NULL;
        return OK;
    }
    if (gguf_find(m->file, "v_head.summary.weight"))
        return bind_value(b, "v_head.summary.weight", "v_head.summary.bias", &m->head);
    if (gguf_find(m->file, "cls.weight")) return bind_classes(b);
    m->lm_head = true;
    if (!gguf_find(m->file, "output.weight")) {
        m->head = m->embd;
        return OK;
    }
    if (!bind(b, "output.weight", c->n_vocab, c->n_embd, &m->head)) return ERR_INPUT;
    return bind_optional(b, "output.bias", c->n_vocab, &m->head.bias);
}

static enum status bind_all(struct binder *b) {
    struct model *m = b->m;
    const struct model_config *c = &m->config;
    enum status s = OK;
    if (!bind(b, "token_embd.weight", c->n_vocab, c->n_embd, &m->embd)) return ERR_INPUT;
    m->size_bytes = m->embd.rows * m->embd.row_bytes;
    for (uint32_t l = 0; !s && l < c->n_layer; l++) s = bind_layer(b, l);
    if (s || (s = bind_vector(b, "output_norm.weight", c->n_embd, &m->output_norm)) || (s = bind_head(b)) ||
        (s = bind_rope(b)))
        return s;
    if (m->head.data != m->embd.data) m->size_bytes += m->head.rows * m->head.row_bytes;
    return check_all_used(b);
}

enum status model_try(struct gguf *file, struct model **out, struct error *e) {
    *out = NULL;
    struct model *m = mem_new(1, sizeof *m);
    if (!m) return error_set(e, ERR_MEMORY, "no memory for a model");
    m->file = file;
    struct binder b = {.m = m, .e = e};
    enum status s = config_read(file, &m->config, e);
    if (!s) {
        m->layers = mem_new(m->config.n_layer, sizeof *m->layers);
        b.used = mem_new(gguf_n_tensors(file), sizeof *b.used);
        s = m->layers && b.used
                ? bind_all(&b)
                : error_set(e, ERR_MEMORY, "%s: no memory for %u layers", gguf_name(file), m->config.n_layer);
    }
    mem_free(b.used);
    if (s) m->file = NULL, model_close(&m);
    *out = m;
    return s;
}

enum status model_open(struct gguf *file, struct model **out, struct error *e) {
    enum status s = model_try(file, out, e);
    if (s) gguf_close(&file);
    return s;
}

static void free_layer(struct layer *y, const struct arch *k) {
    mem_free(y->attn_norm), mem_free(y->ffn_norm), mem_free(y->attn_post_norm), mem_free(y->ffn_post_norm);
    mem_free(y->q_norm), mem_free(y->k_norm);
    mem_free(y->q.bias), mem_free(y->out.bias), mem_free(y->gate.bias), mem_free(y->down.bias);
    if (!y->fused_qkv) mem_free(y->k.bias), mem_free(y->v.bias);
    if (!k->fused_ffn) mem_free(y->up.bias);
}

void model_close(struct model **mp) {
    struct model *m = *mp;
    if (!m) return;
    for (uint32_t l = 0; m->layers && l < m->config.n_layer; l++) free_layer(&m->layers[l], m->config.kind);
    model_unpack(m);
    mem_free(m->layers);
    mem_free(m->head.bias), mem_free(m->head_hidden.bias), mem_free(m->head_rows);
    mem_free(m->rope_factors);
    mem_free(m->rope_factors_long);
    mem_free(m->output_norm);
    gguf_close(&m->file);
    mem_free(m);
    *mp = NULL;
}

enum status model_keep_tokens(struct model *m, const int32_t *ids, uint32_t n, struct error *e) {
    struct matrix kept = m->head;
    if (!m->lm_head) return error_set(e, ERR_INPUT, "%s: the model has no LM head", gguf_name(m->file));
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= m->head.rows)
            return error_set(e, ERR_INPUT, "%s: token id %d, allowed 0 to %u", gguf_name(m->file), ids[i],
                             m->head.rows - 1);
    char *rows = mem_new(n, m->head.row_bytes);
    kept.bias = m->head.bias && rows ? mem_new(n, sizeof(float)) : NULL;
    if (!rows || (m->head.bias && !kept.bias)) {
        mem_free(rows);
        return error_set(e, ERR_MEMORY, "no memory for a head of %u tokens", n);
    }
    for (uint32_t i = 0; i < n; i++) {
        memcpy(rows + i * kept.row_bytes, (const char *)m->head.data + (size_t)ids[i] * kept.row_bytes, kept.row_bytes);
        if (kept.bias) kept.bias[i] = m->head.bias[ids[i]];
    }
    mem_free(m->head.bias), mem_free(m->head_rows);
    kept.data = m->head_rows = rows, kept.rows = n;
    m->head = kept;
    return OK;
}

uint64_t model_flops(const struct model *m, uint32_t pos, bool with_head) {
    const struct model_config *c = &m->config;
    uint64_t hidden = (uint64_t)m->head_hidden.rows * m->head_hidden.cols;
    uint64_t head = with_head ? hidden + (uint64_t)m->head.rows * m->head.cols : 0;
    uint64_t all = (uint64_t)pos + 1, local = all < c->window ? all : c->window;
    uint64_t seen = (c->n_layer - m->n_local) * all + m->n_local * local;
    return 2 * (m->n_weights + head) + 4 * seen * c->n_head * c->head_dim;
}
