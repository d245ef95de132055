/* net.c: the trainable network's tensors: layout, initial values, GGUF in and out.
 * Not the passes: net_pass.c.
 * Next: net_pass.c. */
#include "model/net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/net_layout.h"

static void add_tensor(struct net *n, const char *name, int layer, size_t rows, size_t cols) {
    struct net_tensor *t = &n->tensors[n->n_tensors++];
    if (layer >= 0) snprintf(t->name, sizeof t->name, "blk.%d.%s", layer, name);
    else snprintf(t->name, sizeof t->name, "%s", name);
    t->offset = n->n_weights, t->rows = rows, t->cols = cols;
    n->n_weights += rows * cols;
}

/* The order here is the layout that net_layout.h indexes. */
static void add_tensors(struct net *n) {
    const struct model_config *c = &n->config;
    size_t d = c->n_embd, q = (size_t)c->n_head * c->head_dim, kv = (size_t)c->n_head_kv * c->head_dim, ff = c->n_ff;
    add_tensor(n, "token_embd.weight", -1, c->n_vocab, d);
    for (int l = 0; l < (int)c->n_layer; l++) {
        add_tensor(n, "attn_norm.weight", l, 1, d);
        add_tensor(n, "attn_q.weight", l, q, d);
        add_tensor(n, "attn_k.weight", l, kv, d);
        add_tensor(n, "attn_v.weight", l, kv, d);
        add_tensor(n, "attn_output.weight", l, d, q);
        add_tensor(n, "ffn_norm.weight", l, 1, d);
        add_tensor(n, "ffn_gate.weight", l, ff, d);
        add_tensor(n, "ffn_up.weight", l, ff, d);
        add_tensor(n, "ffn_down.weight", l, d, ff);
    }
    add_tensor(n, "output_norm.weight", -1, 1, d);
    if (n->head == NET_VALUE) {
        add_tensor(n, "prm.head.weight", -1, 1, d);
        add_tensor(n, "prm.head.bias", -1, 1, 1);
    }
}

static bool has_suffix(const char *s, const char *suffix) {
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

static enum status net_alloc(const struct model_config *c, enum net_head head, struct net **out, struct error *e) {
    *out = NULL;
    struct net *n = mem_new(1, sizeof *n);
    if (!n) goto fail;
    n->config = *c, n->head = head;
    n->tensors = mem_new(TENSORS_PER_LAYER * c->n_layer + 4u, sizeof *n->tensors);
    if (!n->tensors) goto fail;
    add_tensors(n);
    n->weights = mem_new(n->n_weights, sizeof(float));
    if (!n->weights) goto fail;
    *out = n;
    return OK;
fail:
    net_free(&n);
    return error_set(e, ERR_MEMORY, "no memory for a network of %u layers of width %u", c->n_layer, c->n_embd);
}

enum status net_new(const struct model_config *c, enum net_head head, uint64_t key, struct net **out, struct error *e) {
    *out = NULL;
    enum status s = config_check(c, "network", e);
    if (s || (s = net_alloc(c, head, out, e))) return s;
    struct net *n = *out;
    for (size_t i = 0; i < n->n_tensors; i++) {
        struct net_tensor *t = &n->tensors[i];
        float *w = n->weights + t->offset;
        bool norm = has_suffix(t->name, "norm.weight"), head_tensor = !strncmp(t->name, "prm.", 4);
        bool residual = has_suffix(t->name, "attn_output.weight") || has_suffix(t->name, "ffn_down.weight");
        double sigma = residual ? 0.02 / sqrt(2.0 * c->n_layer) : 0.02;
        for (size_t j = 0; j < t->rows * t->cols; j++) {
            /* Box-Muller on two uniforms of this weight's own counters. */
            double u = 1 - rng_uniform(key, 2 * (t->offset + j)), v = rng_uniform(key, 2 * (t->offset + j) + 1);
            w[j] = norm ? 1 : head_tensor ? 0 : (float)(sigma * sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
        }
    }
    return OK;
}

void net_free(struct net **np) {
    struct net *n = *np;
    if (!n) return;
    mem_free(n->weights);
    mem_free(n->tensors);
    mem_free(n);
    *np = NULL;
}

/* Training knows the plain llama with a tied head only: no other architecture, no stretched RoPE, ... */
static enum status check_plain(const struct gguf *g, const struct model_config *c, struct error *e) {
    if (strcmp(c->arch, "llama"))
        return error_set(e, ERR_INPUT, "%s: training supports architecture llama only; this is %s", gguf_name(g),
                         c->arch);
    if (c->scaling.freq_scale != 1 || c->scaling.magnitude != 1 || c->attn_scale != 0 || c->attn_softcap != 0 ||
        c->final_softcap != 0)
        return error_set(e, ERR_INPUT, "%s: training supports no rope scaling, attention scale or soft-capping",
                         gguf_name(g));
    return OK;
}

/* ... and no tensor that its layout lacks, such as a bias. */
static enum status check_tensors(const struct gguf *g, const struct net *n, struct error *e) {
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        struct gguf_string name = gguf_tensor_at(g, i)->name;
        bool known = name.size >= 4 && !memcmp(name.data, "prm.", 4);
        for (size_t k = 0; k < n->n_tensors && !known; k++)
            known = strlen(n->tensors[k].name) == name.size && !memcmp(n->tensors[k].name, name.data, name.size);
        if (!known)
            return error_set(e, ERR_INPUT,
                             "%s: training supports the plain llama with a tied head; tensor %.*s is not part of it",
                             gguf_name(g), (int)(name.size < 80 ? name.size : 80), name.data);
    }
    return OK;
}

enum status net_load(const struct gguf *g, enum net_head head, struct net **out, struct error *e) {
    *out = NULL;
    struct model_config c;
    enum status s = config_read(g, &c, e);
    if (s || (s = check_plain(g, &c, e)) || (s = net_alloc(&c, head, out, e))) return s;
    struct net *n = *out;
    if ((s = check_tensors(g, n, e))) {
        net_free(out);
        return s;
    }
    for (size_t i = 0; i < n->n_tensors; i++) {
        struct net_tensor *t = &n->tensors[i];
        const struct gguf_tensor *src = gguf_find(g, t->name);
        if (!src && !strncmp(t->name, "prm.", 4)) continue;
        if (!src || src->dims[0] != t->cols || src->dims[1] != t->rows || src->dims[2] != 1 || src->dims[3] != 1) {
            s = error_set(e, ERR_INPUT, "%s: tensor %s must be there with shape [%zu, %zu]", gguf_name(g), t->name, t->cols, t->rows);
            net_free(out);
            return s;
        }
        size_t row = type_row_bytes(src->type, t->cols);
        for (size_t r = 0; r < t->rows; r++)
            type_to_f32(src->type, (const char *)src->data + r * row, n->weights + t->offset + r * t->cols, t->cols);
    }
    return OK;
}

enum status net_write(const struct net *n, const char *name, enum tensor_type type, struct gguf_writer *w, void **store,
                      struct error *e) {
    size_t total = 0;
    for (size_t i = 0; i < n->n_tensors; i++) {
        const struct net_tensor *t = &n->tensors[i];
        total += t->rows * type_row_bytes(t->rows > 1 ? type : TYPE_F32, t->cols);
    }
    char *out = *store = mem_new(total, 1);
    if (!out) return error_set(e, ERR_MEMORY, "no memory for %zu bytes of converted weights", total);
    config_write(&n->config, name, w);
    for (size_t i = 0; i < n->n_tensors; i++) {
        const struct net_tensor *t = &n->tensors[i];
        enum tensor_type as = t->rows > 1 ? type : TYPE_F32;
        size_t row = type_row_bytes(as, t->cols);
        if (!row)
            return error_set(e, ERR_INPUT, "tensor %s: rows of %zu weights do not fit type %s", t->name, t->cols,
                             type_info(as)->name);
        for (size_t r = 0; r < t->rows; r++)
            type_from_f32(as, n->weights + t->offset + r * t->cols, out + r * row, t->cols);
        uint64_t dims[2] = {t->cols, t->rows};
        gguf_add_tensor(w, t->name, as, t->rows > 1 ? 2 : 1, dims, out);
        out += t->rows * row;
    }
    return OK;
}
