/* model.c: binds a GGUF's tensors by name and checks every shape against the config.
 * Not the pass: forward.c.
 * Next: forward.c. */
#include "model/model.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* A matrix by name with the wanted shape; sets e and returns false when it is missing or different. */
static bool bind(const struct model *m, const char *name, uint32_t rows, uint32_t cols, struct matrix *out, struct error *e) {
    const struct gguf_tensor *t = gguf_find(m->file, name);
    const char *file = gguf_name(m->file);
    if (!t) {
        error_set(e, ERR_INPUT, "%s: tensor %s is missing", file, name);
        return false;
    }
    if (t->dims[0] != cols || t->dims[1] != rows || t->dims[2] != 1 || t->dims[3] != 1) {
        error_set(e, ERR_INPUT, "%s: tensor %s has shape [%llu, %llu], the keys ask for [%u, %u]", file, name,
                  (unsigned long long)t->dims[0], (unsigned long long)t->dims[1], cols, rows);
        return false;
    }
    if (!ops_get()->matmul[t->type]) {
        error_set(e, ERR_INPUT, "%s: tensor %s: no kernel for type %s", file, name, type_info(t->type)->name);
        return false;
    }
    *out = (struct matrix){t->data, type_row_bytes(t->type, cols), rows, cols, t->type};
    return true;
}

/* A vector as f32, copied into *out. */
static enum status bind_vector(const struct model *m, const char *name, uint32_t n, float **out, struct error *e) {
    struct matrix v;
    if (!bind(m, name, 1, n, &v, e)) return ERR_INPUT;
    if (!(*out = mem_new(n, sizeof(float)))) return error_set(e, ERR_MEMORY, "no memory for tensor %s", name);
    type_to_f32(v.type, v.data, *out, n);
    return OK;
}

static enum status bind_layer(struct model *m, uint32_t l, struct error *e) {
    const struct model_config *c = &m->config;
    struct layer *y = &m->layers[l];
    uint32_t d = c->n_embd, q = c->n_head * c->head_dim, kv = c->n_head_kv * c->head_dim;
    struct {
        const char *suffix;
        uint32_t rows, cols;
        struct matrix *to;
    } wanted[] = {{"attn_q", q, d, &y->q},        {"attn_k", kv, d, &y->k},
                  {"attn_v", kv, d, &y->v},       {"attn_output", d, q, &y->out},
                  {"ffn_gate", c->n_ff, d, &y->gate}, {"ffn_up", c->n_ff, d, &y->up},
                  {"ffn_down", d, c->n_ff, &y->down}};
    char name[64];
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        snprintf(name, sizeof name, "blk.%u.%s.weight", l, wanted[i].suffix);
        if (!bind(m, name, wanted[i].rows, wanted[i].cols, wanted[i].to, e)) return ERR_INPUT;
        m->n_weights += (uint64_t)wanted[i].rows * wanted[i].cols;
        m->size_bytes += wanted[i].rows * wanted[i].to->row_bytes;
    }
    snprintf(name, sizeof name, "blk.%u.attn_norm.weight", l);
    enum status s = bind_vector(m, name, d, &y->attn_norm, e);
    if (s) return s;
    snprintf(name, sizeof name, "blk.%u.ffn_norm.weight", l);
    return bind_vector(m, name, d, &y->ffn_norm, e);
}

/* The head: a reward model's, an untied one, or the embedding. */
static enum status bind_head(struct model *m, struct error *e) {
    const struct model_config *c = &m->config;
    if (gguf_find(m->file, "prm.head.weight")) {
        float *bias;
        if (!bind(m, "prm.head.weight", 1, c->n_embd, &m->head, e)) return ERR_INPUT;
        enum status s = bind_vector(m, "prm.head.bias", 1, &bias, e);
        if (s) return s;
        m->head_bias = *bias;
        mem_free(bias);
        return OK;
    }
    if (!gguf_find(m->file, "output.weight")) {
        m->head = m->embd;
        return OK;
    }
    return bind(m, "output.weight", c->n_vocab, c->n_embd, &m->head, e) ? OK : ERR_INPUT;
}

/* One of the tensors that are bound here. */
static bool is_used(const struct model *m, struct gguf_string name) {
    static const char *const top[] = {"token_embd.weight", "output_norm.weight", "output.weight", "prm.head.weight", "prm.head.bias"};
    static const char *const in_layer[] = {"attn_norm.weight", "attn_q.weight",   "attn_k.weight", "attn_v.weight",  "attn_output.weight",
                                           "ffn_norm.weight",  "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"};
    char text[64], same[96];
    unsigned layer;
    if (name.size >= sizeof text) return false;
    memcpy(text, name.data, name.size);
    text[name.size] = 0;
    if (sscanf(text, "blk.%u.", &layer) == 1 && layer < m->config.n_layer)
        for (size_t i = 0; i < sizeof in_layer / sizeof *in_layer; i++) {
            snprintf(same, sizeof same, "blk.%u.%s", layer, in_layer[i]); /* written back: sscanf wraps large numbers */
            if (!strcmp(text, same)) return true;
        }
    for (size_t i = 0; i < sizeof top / sizeof *top; i++)
        if (!strcmp(text, top[i])) return true;
    return false;
}

/* What is left over (biases, RoPE factors, experts) would be missed in every output: better no answer than a wrong one. */
static enum status refuse_others(const struct model *m, struct error *e) {
    for (size_t i = 0; i < gguf_n_tensors(m->file); i++) {
        struct gguf_string name = gguf_tensor_at(m->file, i)->name;
        if (!is_used(m, name))
            return error_set(e, ERR_INPUT, "%s: tensor %.*s is not used by this build: its outputs would be wrong without it",
                             gguf_name(m->file), (int)(name.size < 64 ? name.size : 64), name.data);
    }
    return OK;
}

enum status model_open(struct gguf *file, struct model **out, struct error *e) {
    *out = NULL;
    struct model *m = mem_new(1, sizeof *m);
    if (!m) {
        gguf_close(&file);
        return error_set(e, ERR_MEMORY, "no memory for a model");
    }
    m->file = file;
    enum status s = config_read(file, &m->config, e);
    if (s) goto fail;
    s = ERR_MEMORY;
    if (!(m->layers = mem_new(m->config.n_layer, sizeof *m->layers))) {
        error_set(e, s, "%s: no memory for %u layers", gguf_name(file), m->config.n_layer);
        goto fail;
    }
    s = ERR_INPUT;
    if (!bind(m, "token_embd.weight", m->config.n_vocab, m->config.n_embd, &m->embd, e)) goto fail;
    m->size_bytes = m->embd.rows * m->embd.row_bytes;
    for (uint32_t l = 0; l < m->config.n_layer; l++)
        if ((s = bind_layer(m, l, e))) goto fail;
    if ((s = bind_vector(m, "output_norm.weight", m->config.n_embd, &m->output_norm, e)) || (s = bind_head(m, e)) ||
        (s = refuse_others(m, e)))
        goto fail;
    if (m->head.data != m->embd.data) m->size_bytes += m->head.rows * m->head.row_bytes;
    *out = m;
    return OK;
fail:
    model_close(&m);
    return s;
}

void model_close(struct model **mp) {
    struct model *m = *mp;
    if (!m) return;
    for (uint32_t l = 0; m->layers && l < m->config.n_layer; l++) {
        mem_free(m->layers[l].attn_norm);
        mem_free(m->layers[l].ffn_norm);
    }
    mem_free(m->layers);
    mem_free(m->output_norm);
    gguf_close(&m->file);
    mem_free(m);
    *mp = NULL;
}

uint64_t model_flops(const struct model *m, uint32_t pos, bool with_head) {
    const struct model_config *c = &m->config;
    uint64_t head = with_head ? (uint64_t)m->head.rows * m->head.cols : 0;
    return 2 * (m->n_weights + head) + 4 * (uint64_t)c->n_layer * c->n_head * c->head_dim * (pos + 1);
}
