/* config.c: hyper-parameters from and to GGUF keys.
 * Not tensor shapes: model.c compares those with the config.
 * Next: model.c. */
#include "model/config.h"

#include <math.h>
#include <string.h>

enum status config_check(const struct model_config *c, const char *name, struct error *e) {
    if (c->n_head_kv == 0 || c->n_head % c->n_head_kv)
        return error_set(e, ERR_INPUT, "%s: attention.head_count_kv %u must divide head_count %u", name, c->n_head_kv, c->n_head);
    if (c->head_dim == 0 || c->head_dim % 8 || c->head_dim > 512)
        return error_set(e, ERR_INPUT, "%s: head dimension %u, allowed multiples of 8 from 8 to 512", name, c->head_dim);
    if (c->rope_dim == 0 || c->rope_dim % 2 || c->rope_dim > c->head_dim)
        return error_set(e, ERR_INPUT, "%s: rope.dimension_count %u, allowed even numbers from 2 to %u", name, c->rope_dim, c->head_dim);
    if (!(c->rms_eps > 0 && c->rms_eps < 1))
        return error_set(e, ERR_INPUT, "%s: layer_norm_rms_epsilon %g, allowed above 0 and below 1", name, (double)c->rms_eps);
    if (!(c->rope_base >= 1 && isfinite(c->rope_base)))
        return error_set(e, ERR_INPUT, "%s: rope.freq_base %g, allowed 1 and above", name, (double)c->rope_base);
    return OK;
}

/* `<arch>.suffix` as unsigned; a fallback of UINT32_MAX means that the key must be there. */
static enum status get_u32(const struct gguf *g, const char *arch, const char *suffix, uint32_t lo, uint32_t hi,
                           uint32_t fallback, uint32_t *out, struct error *e) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", arch, suffix);
    uint64_t v = 0;
    enum status s = fallback == UINT32_MAX ? gguf_get_u64(g, key, lo, hi, &v, e)
                                           : gguf_get_u64_or(g, key, lo, hi, fallback, &v, e);
    *out = (uint32_t)v;
    return s;
}

static enum status get_f32(const struct gguf *g, const char *arch, const char *suffix, double lo, double hi,
                           double fallback, float *out, struct error *e) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", arch, suffix);
    double v = 0;
    enum status s = gguf_get_f64_or(g, key, lo, hi, fallback, &v, e);
    *out = (float)v;
    return s;
}

enum status config_read(const struct gguf *g, struct model_config *c, struct error *e) {
    memset(c, 0, sizeof *c);
    struct gguf_string arch;
    enum status s = gguf_get_string(g, "general.architecture", &arch, e);
    if (s) return s;
    if (arch.size != 5 || memcmp(arch.data, "llama", 5))
        return error_set(e, ERR_INPUT, "%s: general.architecture \"%.*s\" is not known; known: llama", gguf_name(g),
                         (int)(arch.size < 40 ? arch.size : 40), arch.data);
    memcpy(c->arch, arch.data, arch.size);
    const char *a = c->arch;
    const uint32_t need = UINT32_MAX;
    uint32_t n_embd_head = 0;
    if ((s = get_u32(g, a, "block_count", 1, 1024, need, &c->n_layer, e)) ||
        (s = get_u32(g, a, "embedding_length", 1, 65536, need, &c->n_embd, e)) ||
        (s = get_u32(g, a, "attention.head_count", 1, 1024, need, &c->n_head, e)) ||
        (s = get_u32(g, a, "attention.head_count_kv", 1, 1024, c->n_head, &c->n_head_kv, e)))
        return s;
    n_embd_head = c->n_embd / c->n_head;
    if ((s = get_u32(g, a, "attention.key_length", 1, 512, n_embd_head, &c->head_dim, e)) ||
        (s = get_u32(g, a, "feed_forward_length", 1, 1 << 20, need, &c->n_ff, e)) ||
        (s = get_u32(g, a, "context_length", 1, 1 << 24, need, &c->n_ctx, e)) ||
        (s = get_u32(g, a, "rope.dimension_count", 1, 512, c->head_dim, &c->rope_dim, e)) ||
        (s = get_f32(g, a, "rope.freq_base", 1, 1e12, 10000, &c->rope_base, e)) ||
        (s = get_f32(g, a, "attention.layer_norm_rms_epsilon", 0, 1, 1e-5, &c->rms_eps, e)))
        return s;
    struct gguf_string scaling;
    if (gguf_has(g, "llama.rope.scaling.type")) {
        if ((s = gguf_get_string(g, "llama.rope.scaling.type", &scaling, e))) return s;
        if (scaling.size != 4 || memcmp(scaling.data, "none", 4))
            return error_set(e, ERR_INPUT, "%s: llama.rope.scaling.type \"%.*s\" is not known; known: none", gguf_name(g),
                             (int)(scaling.size < 40 ? scaling.size : 40), scaling.data);
    }
    const struct gguf_tensor *embd = gguf_find(g, "token_embd.weight");
    if (!embd || embd->n_dims != 2 || embd->dims[1] > INT32_MAX)
        return error_set(e, ERR_INPUT, "%s: tensor token_embd.weight must be there with 2 dimensions", gguf_name(g));
    c->n_vocab = (uint32_t)embd->dims[1];
    c->rope_style = ROPE_NORM;
    return config_check(c, gguf_name(g), e);
}

void config_write(const struct model_config *c, const char *name, struct gguf_writer *w) {
    gguf_add_string(w, "general.architecture", c->arch);
    gguf_add_string(w, "general.name", name);
    gguf_add_u32(w, "llama.block_count", c->n_layer);
    gguf_add_u32(w, "llama.embedding_length", c->n_embd);
    gguf_add_u32(w, "llama.attention.head_count", c->n_head);
    gguf_add_u32(w, "llama.attention.head_count_kv", c->n_head_kv);
    gguf_add_u32(w, "llama.attention.key_length", c->head_dim);
    gguf_add_u32(w, "llama.attention.value_length", c->head_dim);
    gguf_add_u32(w, "llama.feed_forward_length", c->n_ff);
    gguf_add_u32(w, "llama.vocab_size", c->n_vocab);
    gguf_add_u32(w, "llama.context_length", c->n_ctx);
    gguf_add_u32(w, "llama.rope.dimension_count", c->rope_dim);
    gguf_add_f32(w, "llama.rope.freq_base", c->rope_base);
    gguf_add_f32(w, "llama.attention.layer_norm_rms_epsilon", c->rms_eps);
}
