/* config.c: hyper-parameters from and to GGUF keys.
 * Not tensor shapes: model.c compares those with the config.
 * Next: model.c. */
#include "model/config.h"

#include <math.h>
#include <string.h>

#include "model/arch.h"
#include "ops/ops.h"

enum status config_check(const struct model_config *c, const char *name, struct error *e) {
    if (c->n_head_kv == 0 || c->n_head % c->n_head_kv)
        return error_set(e, ERR_INPUT, "%s: attention.head_count_kv %u must divide head_count %u", name, c->n_head_kv,
                         c->n_head);
    if (c->head_dim == 0 || c->head_dim % 8 || c->head_dim > HEAD_DIM_MAX)
        return error_set(e, ERR_INPUT, "%s: head dimension %u, allowed multiples of 8 from 8 to %d", name,
                         c->head_dim, HEAD_DIM_MAX);
    if (c->rope_dim == 0 || c->rope_dim % 2 || c->rope_dim > c->head_dim)
        return error_set(e, ERR_INPUT, "%s: rope.dimension_count %u, allowed even numbers from 2 to %u", name,
                         c->rope_dim, c->head_dim);
    if (!(c->rms_eps > 0 && c->rms_eps < 1))
        return error_set(e, ERR_INPUT, "%s: layer_norm_rms_epsilon %g, allowed above 0 and below 1", name,
                         (double)c->rms_eps);
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
    enum status s =
        fallback == UINT32_MAX ? gguf_get_u64(g, key, lo, hi, &v, e) : gguf_get_u64_or(g, key, lo, hi, fallback, &v, e);
    *out = (uint32_t)v;
    return s;
}

/* The same, where the key may be an array of one number for each layer: all must be equal. */
static enum status get_layers_u32(const struct gguf *g, const char *arch, const char *suffix, uint32_t lo, uint32_t hi,
                                  uint32_t fallback, uint32_t *out, struct error *e) {
    char key[128];
    enum gguf_kind kind;
    size_t n;
    struct error not_array;
    snprintf(key, sizeof key, "%s.%s", arch, suffix);
    if (!gguf_has(g, key) || gguf_get_array(g, key, &kind, &n, &not_array))
        return get_u32(g, arch, suffix, lo, hi, fallback, out, e);
    if (n == 0 || kind == GGUF_STRING)
        return error_set(e, ERR_INPUT, "%s: %s is no array of numbers", gguf_name(g), key);
    double first = gguf_array_f64(g, key, 0);
    if (!(first >= lo && first <= hi && first == floor(first)))
        return error_set(e, ERR_INPUT, "%s: %s begins with %g, allowed are integers from %u to %u", gguf_name(g), key,
                         first, lo, hi);
    for (size_t i = 1; i < n; i++)
        if (gguf_array_f64(g, key, i) != first)
            return error_set(e, ERR_INPUT, "%s: %s is %g for layer 0 and %g for layer %zu; layers must be alike",
                             gguf_name(g), key, first, gguf_array_f64(g, key, i), i);
    *out = (uint32_t)first;
    return OK;
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

static enum status read_shape(const struct gguf *g, struct model_config *c, struct error *e) {
    const char *a = c->arch;
    const uint32_t need = UINT32_MAX;
    uint32_t value_length = 0, experts = 0;
    enum status s;
    if ((s = get_u32(g, a, "block_count", 1, MAX_LAYERS, need, &c->n_layer, e)) ||
        (s = get_u32(g, a, "embedding_length", 1, 65536, need, &c->n_embd, e)) ||
        (s = get_layers_u32(g, a, "attention.head_count", 1, 1024, need, &c->n_head, e)) ||
        (s = get_layers_u32(g, a, "attention.head_count_kv", 1, 1024, c->n_head, &c->n_head_kv, e)) ||
        (s = get_u32(g, a, "attention.key_length", 1, HEAD_DIM_MAX, c->n_embd / c->n_head, &c->head_dim, e)) ||
        (s = get_u32(g, a, "attention.value_length", 1, HEAD_DIM_MAX, c->head_dim, &value_length, e)) ||
        (s = get_layers_u32(g, a, "feed_forward_length", 1, 1 << 20, need, &c->n_ff, e)) ||
        (s = get_u32(g, a, "context_length", 1, 1 << 24, need, &c->n_ctx, e)) ||
        (s = get_u32(g, a, "expert_count", 0, 1 << 16, 0, &experts, e)) ||
        (s = get_f32(g, a, "attention.layer_norm_rms_epsilon", 0, 1, 1e-5, &c->rms_eps, e)))
        return s;
    if (experts > 0)
        return error_set(e, ERR_INPUT, "%s: %s.expert_count %u: mixtures of experts are not supported", gguf_name(g), a,
                         experts);
    if (value_length != c->head_dim)
        return error_set(e, ERR_INPUT, "%s: %s.attention.value_length %u differs from the key length %u", gguf_name(g),
                         a, value_length, c->head_dim);
    const struct gguf_tensor *embd = gguf_find(g, "token_embd.weight");
    if (!embd || embd->n_dims != 2 || embd->dims[1] > INT32_MAX)
        return error_set(e, ERR_INPUT, "%s: tensor token_embd.weight must be there with 2 dimensions", gguf_name(g));
    c->n_vocab = (uint32_t)embd->dims[1];
    return OK;
}

/* YaRN raises scores with the stretch; a file may say that its training did so less (log multiplier). */
static float yarn_magnitude(float factor, float log_multiplier) {
    float full = factor <= 1 ? 1 : 0.1f * logf(factor) + 1;
    if (log_multiplier == 0) return full;
    return full / (factor <= 1 ? 1 : 0.1f * log_multiplier * logf(factor) + 1);
}

static void settle_rope(struct rope_scaling *y) {
    y->yarn = y->ext_factor >= 0 ? y->ext_factor : y->is_yarn;
    y->magnitude = y->all_factor * (y->yarn > 0 ? yarn_magnitude(1 / y->freq_scale, y->log_multiplier) : y->attn_factor);
}

static enum status read_rope(const struct gguf *g, struct model_config *c, struct error *e) {
    const char *a = c->arch;
    struct rope_scaling *y = &c->scaling;
    struct gguf_string type = {"linear", 6};
    char key[128];
    float factor = 0, old_factor = 0;
    enum status s;
    snprintf(key, sizeof key, "%s.rope.scaling.type", a);
    if (gguf_has(g, key) && (s = gguf_get_string(g, key, &type, e))) return s;
#define IS(word) (type.size == sizeof word - 1 && !memcmp(type.data, word, sizeof word - 1))
    bool none = IS("none"), yarn = IS("yarn");
    if (!none && !yarn && !IS("linear") && !IS("longrope"))
        return error_set(e, ERR_INPUT, "%s: %s \"%.*s\" is not known; known: none, linear, yarn, longrope",
                         gguf_name(g), key, (int)(type.size < 40 ? type.size : 40), type.data);
#undef IS
    if ((s = get_u32(g, a, "rope.dimension_count", 1, HEAD_DIM_MAX, c->head_dim, &c->rope_dim, e)) ||
        (s = get_f32(g, a, "rope.freq_base", 1, 1e12, 10000, &c->rope_base, e)) ||
        (s = get_f32(g, a, "rope.freq_base_swa", 1, 1e12,
                     c->kind->rope_base_local > 0 ? (double)c->kind->rope_base_local : (double)c->rope_base,
                     &c->rope_base_local, e)) ||
        (s = get_f32(g, a, "rope.scale_linear", 0, 1e6, 0, &old_factor, e)) ||
        (s = get_f32(g, a, "rope.scaling.factor", 0, 1e6, (double)old_factor, &factor, e)) ||
        (s = get_f32(g, a, "rope.scaling.attn_factor", 0, 1e3, 1, &y->all_factor, e)) ||
        (s = get_f32(g, a, "rope.scaling.yarn_attn_factor", -1, 1e3, 1, &y->attn_factor, e)) ||
        (s = get_u32(g, a, "rope.scaling.original_context_length", 1, 1 << 24, c->n_ctx, &y->n_ctx_orig, e)) ||
        (s = get_f32(g, a, "rope.scaling.yarn_beta_fast", 0, 1e6, 32, &y->beta_fast, e)) ||
        (s = get_f32(g, a, "rope.scaling.yarn_beta_slow", 0, 1e6, 1, &y->beta_slow, e)) ||
        (s = get_f32(g, a, "rope.scaling.yarn_log_multiplier", 0, 1e3, 0, &y->log_multiplier, e)) ||
        (s = get_f32(g, a, "rope.scaling.yarn_ext_factor", -1, 1, -1, &y->ext_factor, e)))
        return s;
    if (!yarn || y->attn_factor < 0) y->attn_factor = 1; /* llama.cpp saves "not set" as -1 */
    if (!yarn) y->ext_factor = -1;
    if (factor == 0 || none) factor = 1;
    if (factor < 1e-6f)
        return error_set(e, ERR_INPUT, "%s: %s.rope.scaling.factor %g, allowed 0 (none) and 1e-6 and above",
                         gguf_name(g), a, (double)factor);
    y->is_yarn = yarn;
    y->freq_scale = 1 / factor;
    settle_rope(y);
    return OK;
}

enum status config_set_rope(struct model_config *c, const struct rope_options *o, struct error *e) {
    struct rope_scaling *y = &c->scaling;
    const float as_file = y->freq_scale;
    if (o->scale > 0 && o->freq_scale > 0)
        return error_set(e, ERR_INPUT, "--rope-scale %g and --rope-freq-scale %g say the same thing: give one", o->scale,
                         o->freq_scale);
    if (o->scale > 0) y->freq_scale = (float)(1 / o->scale);
    if (o->freq_scale > 0) y->freq_scale = (float)o->freq_scale;
    if (o->freq_base > 0) c->rope_base = (float)o->freq_base;
    if (o->orig_ctx > 0) y->n_ctx_orig = (uint32_t)o->orig_ctx;
    if (o->beta_fast > 0) y->beta_fast = (float)o->beta_fast;
    if (o->beta_slow > 0) y->beta_slow = (float)o->beta_slow;
    if (o->attn_factor > 0) y->attn_factor = (float)o->attn_factor;
    if (o->ext_factor >= 0) y->ext_factor = (float)o->ext_factor;
    if (o->scaling) y->is_yarn = !strcmp(o->scaling, "yarn");
    if (o->scaling && !strcmp(o->scaling, "none")) y->freq_scale = 1;
    settle_rope(y);
    if (y->is_yarn && y->freq_scale != as_file) {
        const double n = y->n_ctx_orig / (double)y->freq_scale;
        c->n_ctx = n < 1 ? 1 : n < 1 << 24 ? (uint32_t)n : 1 << 24;
    }
    return OK;
}

/* Which layers have a window and which have RoPE. */
static enum status read_layers(const struct gguf *g, struct model_config *c, struct error *e) {
    const struct arch *k = c->kind;
    char key[128];
    enum gguf_kind kind;
    size_t n = 0;
    enum status s;
    struct error not_array;
    for (uint32_t l = 0; l < c->n_layer && k->no_rope_every; l++)
        if ((l + 1) % k->no_rope_every == 0) layer_set(c->no_rope, l);
    if (!k->local_every) return OK;
    if ((s = get_u32(g, c->arch, "attention.sliding_window", 0, 1 << 24, k->window, &c->window, e)) || !c->window)
        return s;
    snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", c->arch);
    if (gguf_has(g, key) && !gguf_get_array(g, key, &kind, &n, &not_array)) {
        if (n < c->n_layer || kind == GGUF_STRING)
            return error_set(e, ERR_INPUT, "%s: %s has %zu elements for %u layers", gguf_name(g), key, n, c->n_layer);
        for (uint32_t l = 0; l < c->n_layer; l++)
            if (gguf_array_f64(g, key, l) != 0) layer_set(c->local, l);
        return OK;
    }
    uint32_t every;
    if ((s = get_u32(g, c->arch, "attention.sliding_window_pattern", 0, MAX_LAYERS, k->local_every, &every, e)))
        return s;
    for (uint32_t l = 0; l < c->n_layer; l++)
        if (every == 0 || (l + 1) % every != 0) layer_set(c->local, l);
    return OK;
}

static enum status read_scales(const struct gguf *g, struct model_config *c, struct error *e) {
    const char *a = c->arch;
    const struct arch *k = c->kind;
    float logit_scale = 1;
    enum status s;
    if ((s = get_f32(g, a, "attention.scale", 0, 1e3, 0, &c->attn_scale, e))) return s;
    if (k->caps_scores &&
        (s = get_f32(g, a, "attn_logit_softcapping", 0, 1e6, (double)k->attn_softcap, &c->attn_softcap, e)))
        return s;
    if (k->caps_logits &&
        (s = get_f32(g, a, "final_logit_softcapping", 0, 1e6, (double)k->final_softcap, &c->final_softcap, e)))
        return s;
    if (!k->scales) return OK;
    if ((s = get_f32(g, a, "embedding_scale", 0, 1e6, 0, &c->embed_scale, e)) ||
        (s = get_f32(g, a, "residual_scale", 0, 1e6, 0, &c->residual_scale, e)) ||
        (s = get_f32(g, a, "logit_scale", 0, 1e6, 0, &logit_scale, e)))
        return s;
    c->logit_scale = logit_scale > 0 ? 1 / logit_scale : 0;
    return OK;
}

enum status config_read(const struct gguf *g, struct model_config *c, struct error *e) {
    memset(c, 0, sizeof *c);
    struct gguf_string arch;
    enum status s = gguf_get_string(g, "general.architecture", &arch, e);
    if (s) return s;
    if (!(c->kind = arch_find(arch))) {
        char known[256];
        arch_names(known, sizeof known);
        return error_set(e, ERR_INPUT, "%s: general.architecture \"%.*s\" is not known; known: %s", gguf_name(g),
                         (int)(arch.size < 40 ? arch.size : 40), arch.data, known);
    }
    memcpy(c->arch, arch.data, arch.size);
    c->rope_style = c->kind->rope_style;
    if ((s = read_shape(g, c, e)) || (s = read_rope(g, c, e)) || (s = read_layers(g, c, e)) ||
        (s = read_scales(g, c, e)) || (c->kind->adjust && (s = c->kind->adjust(g, c, e))))
        return s;
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
