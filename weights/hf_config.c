/* hf_config.c: config.json: its numbers with their ranges, and the keys that all architectures have.
 * Not what single architectures add: hf_archs.c.
 * Next: hf_archs.c. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "weights/hf_impl.h"

enum { MAX_LAYERS = 1024 };

enum status hf_config_error(const struct hf *h, const char *format, ...) {
    char what[320];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(h->e, ERR_INPUT, "%s: %s", gguf_short_name(h->config_name), what);
}

json_t *hf_get(const struct hf *h, const char *key) {
    json_t *v = json_object_get(h->text, key);
    if (!v || json_is_null(v)) v = json_object_get(h->config, key);
    return v && !json_is_null(v) ? v : NULL;
}

/* "12.5" or what else stands there, cut. */
static void show_value(const json_t *v, char dst[64]) {
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(dst, 64, "%.60s", text ? text : "?");
    free(text);
}

static enum status wrong_number(const struct hf *h, const json_t *v, const char *key, const char *what, double lo,
                                double hi) {
    char shown[64];
    if (!v) return hf_config_error(h, "%s is missing; allowed are %s from %g to %g", key, what, lo, hi);
    show_value(v, shown);
    return hf_config_error(h, "%s is %s; allowed are %s from %g to %g", key, shown, what, lo, hi);
}

enum status hf_number(const struct hf *h, const json_t *object, const char *key, double lo, double hi, double fallback,
                      double *out) {
    const json_t *v = object ? json_object_get(object, key) : hf_get(h, key);
    *out = fallback;
    if (!v || json_is_null(v)) return isnan(fallback) ? wrong_number(h, NULL, key, "numbers", lo, hi) : OK;
    if (!json_is_number(v) || !(json_number_value(v) >= lo && json_number_value(v) <= hi))
        return wrong_number(h, v, key, "numbers", lo, hi);
    *out = json_number_value(v);
    return OK;
}

enum status hf_u32(const struct hf *h, const char *key, uint32_t lo, uint32_t hi, uint32_t fallback, uint32_t *out) {
    const json_t *v = hf_get(h, key);
    *out = fallback;
    if (!v) return fallback == UINT32_MAX ? wrong_number(h, NULL, key, "integers", lo, hi) : OK;
    if (!json_is_integer(v) || json_integer_value(v) < lo || json_integer_value(v) > hi)
        return wrong_number(h, v, key, "integers", lo, hi);
    *out = (uint32_t)json_integer_value(v);
    return OK;
}

/* ---- what shapes depend on ---- */

static enum status find_kind(struct hf *h) {
    const char *type = json_string_value(json_object_get(h->config, "model_type"));
    json_t *text = json_object_get(h->config, "text_config");
    h->text = h->config;
    if (json_is_object(text)) { /* a model with pictures: its text part */
        const char *inner = json_string_value(json_object_get(text, "model_type"));
        h->text = text;
        if (inner) type = inner;
    }
    if (!type) return hf_config_error(h, "model_type is missing or no string");
    if ((h->kind = hf_kind_find(type))) return OK;
    char known[200];
    hf_kind_names(known, sizeof known);
    return hf_config_error(h, "model_type \"%.40s\" is not known; known: %s", type, known);
}

/* What would give other numbers without an error. */
static enum status check_supported(const struct hf *h) {
    const char *act = json_string_value(hf_get(h, "hidden_act"));
    json_t *quant = hf_get(h, "quantization_config");
    if (quant) {
        const char *method = json_string_value(json_object_get(quant, "quant_method"));
        return hf_config_error(
            h, "quantization_config \"%.40s\": quantised safetensors are not read; F32, F16 and BF16 are",
            method ? method : "");
    }
    if (act && !h->kind->gelu && strcmp(act, "silu") && strcmp(act, "swish"))
        return hf_config_error(h, "hidden_act \"%.40s\"; %s has silu", act, h->kind->arch);
    return OK;
}

enum status hf_read_config(struct hf *h) {
    const uint32_t need = UINT32_MAX;
    const struct st_tensor *embd = NULL;
    enum status s = find_kind(h);
    if (s || (s = check_supported(h))) return s;
    h->n_layer = h->n_embd = h->n_head = h->n_ff = h->n_ctx = need;
    h->n_head_kv = h->head_dim = 0;
    h->rope_theta = 10000;
    if (h->kind->shape_defaults) h->kind->shape_defaults(h);
    static const char *const names[] = {"model.embed_tokens.weight", "language_model.model.embed_tokens.weight",
                                        "model.language_model.embed_tokens.weight"};
    for (size_t i = 0; !embd && i < sizeof names / sizeof *names; i++) embd = safetensors_find(h->keep->st, names[i]);
    if (!embd || embd->n_dims != 2 || embd->dims[0] < 1 || embd->dims[0] > INT32_MAX)
        return error_set(h->e, ERR_INPUT, "%s: tensor %s must be there with 2 dims", gguf_short_name(h->folder),
                         names[0]);
    if ((s = hf_u32(h, "num_hidden_layers", 1, MAX_LAYERS, h->n_layer, &h->n_layer)) ||
        (s = hf_u32(h, "hidden_size", 1, 65536, h->n_embd, &h->n_embd)) ||
        (s = hf_u32(h, "num_attention_heads", 1, 1024, h->n_head, &h->n_head)) ||
        (s = hf_u32(h, "num_key_value_heads", 1, 1024, h->n_head_kv ? h->n_head_kv : h->n_head, &h->n_head_kv)) ||
        (s = hf_u32(h, "head_dim", 1, 512, h->head_dim ? h->head_dim : h->n_embd / h->n_head, &h->head_dim)) ||
        (s = hf_u32(h, "intermediate_size", 1, 1 << 20, h->n_ff, &h->n_ff)) ||
        (s = hf_u32(h, "max_position_embeddings", 1, 1 << 24, h->n_ctx, &h->n_ctx)))
        return s;
    return hf_u32(h, "vocab_size", 1, INT32_MAX, (uint32_t)embd->dims[0], &h->n_vocab);
}

/* ---- keys ---- */

void hf_key(const struct hf *h, const char *suffix, char key[128]) {
    snprintf(key, 128, "%s.%s", h->kind->arch, suffix);
}

void hf_put_u32(const struct hf *h, const char *suffix, uint32_t v) {
    char key[128];
    hf_key(h, suffix, key);
    gguf_add_u32(h->w, key, v);
}

void hf_put_f32(const struct hf *h, const char *suffix, double v) {
    char key[128];
    hf_key(h, suffix, key);
    gguf_add_f32(h->w, key, (float)v);
}

void hf_put_string(const struct hf *h, const char *suffix, const char *v) {
    char key[128];
    hf_key(h, suffix, key);
    gguf_add_string(h->w, key, v);
}

/* YaRN (Peng et al. 2023).  A magnitude of its own is refused: no key says it in the same way. */
static enum status add_yarn(struct hf *h) {
    double factor, length, fast, slow, extra, magnitude;
    enum status s;
    if ((s = hf_number(h, h->rope, "factor", 1, 1e6, NAN, &factor)) ||
        (s = hf_number(h, h->rope, "original_max_position_embeddings", 1, 1 << 24, h->n_ctx, &length)) ||
        (s = hf_number(h, h->rope, "beta_fast", 0, 1e6, 32, &fast)) ||
        (s = hf_number(h, h->rope, "beta_slow", 0, 1e6, 1, &slow)) ||
        (s = hf_number(h, h->rope, "extrapolation_factor", 0, 1, 1, &extra)) ||
        (s = hf_number(h, h->rope, "attention_factor", 0, 1e3, 0, &magnitude)))
        return s;
    double usual = 0.1 * log(factor) + 1;
    if (magnitude != 0 && fabs(magnitude - usual) > 1e-3 * usual)
        return hf_config_error(h, "attention_factor is %g; allowed is YaRN's own, %g for factor %g", magnitude, usual,
                               factor);
    hf_put_string(h, "rope.scaling.type", "yarn");
    hf_put_f32(h, "rope.scaling.factor", factor);
    hf_put_u32(h, "rope.scaling.original_context_length", (uint32_t)length);
    if (fast != 32) hf_put_f32(h, "rope.scaling.yarn_beta_fast", fast);
    if (slow != 1) hf_put_f32(h, "rope.scaling.yarn_beta_slow", slow);
    if (extra != 1) hf_put_f32(h, "rope.scaling.yarn_ext_factor", extra);
    return OK;
}

static enum status add_scaling(struct hf *h) {
    const char *type = json_string_value(json_object_get(h->rope, "rope_type"));
    double factor;
    if (!type) type = json_string_value(json_object_get(h->rope, "type"));
    if (!type || !strcmp(type, "default")) return OK;
    if (!strcmp(type, "yarn")) return add_yarn(h);
    if (!strcmp(type, "linear")) {
        enum status s = hf_number(h, h->rope, "factor", 1, 1e6, NAN, &factor);
        hf_put_string(h, "rope.scaling.type", "linear");
        hf_put_f32(h, "rope.scaling.factor", factor);
        return s;
    }
    if (!strcmp(type, "longrope") || !strcmp(type, "su")) {
        if (strcmp(h->kind->arch, "phi3")) return hf_config_error(h, "rope type \"%s\" is known for phi3 only", type);
        hf_put_string(h, "rope.scaling.type", "longrope");
        return OK;
    }
    /* llama3 becomes a tensor (hf_tensors.c); dynamic changes nothing within max_position_embeddings. */
    if (!strcmp(type, "llama3") || !strcmp(type, "dynamic")) return OK;
    return hf_config_error(
        h, "rope type \"%.40s\" is not known; known: default, linear, dynamic, yarn, llama3, longrope", type);
}

/* rope_parameters (newer files) or rope_scaling, perhaps with one object for window layers and one for the others. */
static enum status add_rope(struct hf *h) {
    json_t *rope = hf_get(h, "rope_parameters"), *local = NULL;
    double base, local_base, part;
    enum status s;
    if (!json_is_object(rope)) rope = hf_get(h, "rope_scaling");
    if (json_is_object(json_object_get(rope, "full_attention"))) {
        local = json_object_get(rope, "sliding_attention");
        rope = json_object_get(rope, "full_attention");
    }
    h->rope = json_is_object(rope) ? rope : NULL;
    if ((s = hf_number(h, NULL, "rope_theta", 1, 1e12, h->rope_theta, &base)) ||
        (h->rope && (s = hf_number(h, h->rope, "rope_theta", 1, 1e12, base, &base))) ||
        (s = hf_number(h, NULL, "rope_local_base_freq", 1, 1e12, 0, &local_base)) ||
        (json_is_object(local) && (s = hf_number(h, local, "rope_theta", 1, 1e12, local_base, &local_base))) ||
        (s = hf_number(h, NULL, "partial_rotary_factor", 0, 1, 1, &part)) ||
        (h->rope && (s = hf_number(h, h->rope, "partial_rotary_factor", 0, 1, part, &part))))
        return s;
    h->rope_theta = base;
    h->rope_dim = (uint32_t)(part * h->head_dim);
    if (h->rope_dim != h->head_dim && strcmp(h->kind->arch, "phi3"))
        return hf_config_error(h, "partial_rotary_factor is %g; %s turns whole heads", part, h->kind->arch);
    hf_put_f32(h, "rope.freq_base", base);
    if (local_base > 0) hf_put_f32(h, "rope.freq_base_swa", local_base);
    return add_scaling(h);
}

enum status hf_add_config(struct hf *h) {
    double eps;
    enum status s = hf_number(h, NULL, "rms_norm_eps", 1e-12, 0.1, 1e-6, &eps);
    if (s) return s;
    hf_put_u32(h, "block_count", h->n_layer);
    hf_put_u32(h, "context_length", h->n_ctx);
    hf_put_u32(h, "embedding_length", h->n_embd);
    hf_put_u32(h, "feed_forward_length", h->n_ff);
    hf_put_u32(h, "attention.head_count", h->n_head);
    hf_put_u32(h, "attention.head_count_kv", h->n_head_kv);
    hf_put_f32(h, "attention.layer_norm_rms_epsilon", eps);
    if (hf_get(h, "head_dim") || h->head_dim * h->n_head != h->n_embd) {
        hf_put_u32(h, "attention.key_length", h->head_dim);
        hf_put_u32(h, "attention.value_length", h->head_dim);
    }
    if ((s = add_rope(h))) return s;
    return h->kind->keys ? h->kind->keys(h) : OK;
}
