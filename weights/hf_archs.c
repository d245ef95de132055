/* hf_archs.c: the table of model types, and what each adds to the common keys.
 * Not the table of architectures that run: model/arch.c.
 * Next: hf_tensors.c. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "weights/hf_impl.h"

enum { MAX_PATTERN = 1024 };

/* ---- llama and its relatives ---- */

static enum status llama_keys(struct hf *h) {
    hf_put_u32(h, "vocab_size", h->n_vocab);
    hf_put_u32(h, "rope.dimension_count", h->rope_dim);
    return OK;
}

/* Which layers have no RoPE is fixed in the architecture; config.json says it too. */
static enum status smollm3_keys(struct hf *h) {
    const json_t *list = hf_get(h, "no_rope_layers");
    if (json_is_array(list) && json_array_size(list) != h->n_layer)
        return hf_config_error(h, "no_rope_layers has %zu elements, num_hidden_layers is %u", json_array_size(list),
                               h->n_layer);
    for (uint32_t l = 0; json_is_array(list) && l < h->n_layer; l++) {
        bool rope = json_integer_value(json_array_get(list, l)) != 0;
        if (rope != ((l + 1) % 4 != 0))
            return hf_config_error(h, "no_rope_layers[%u] is %d; smollm3 leaves out every fourth layer", l, rope);
    }
    return llama_keys(h);
}

static enum status granite_keys(struct hf *h) {
    static const char *const names[][2] = {{"attention_multiplier", "attention.scale"},
                                           {"embedding_multiplier", "embedding_scale"},
                                           {"residual_multiplier", "residual_scale"},
                                           {"logits_scaling", "logit_scale"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double v;
        enum status s = hf_number(h, NULL, names[i][0], 0, 1e6, 0, &v);
        if (s) return s;
        if (v > 0) hf_put_f32(h, names[i][1], v);
    }
    return llama_keys(h);
}

static enum status ministral3_keys(struct hf *h) {
    double mscale, beta;
    enum status s;
    if (!h->rope) return hf_config_error(h, "rope_parameters is missing or no object");
    if ((s = hf_number(h, h->rope, "mscale_all_dim", 0, 1e3, 0, &mscale)) ||
        (s = hf_number(h, h->rope, "llama_4_scaling_beta", 0, 1e3, 0, &beta)))
        return s;
    hf_put_f32(h, "rope.scaling.yarn_log_multiplier", mscale);
    hf_put_f32(h, "attention.temperature_scale", beta);
    return llama_keys(h);
}

/* ---- phi3 ---- */

/* Long contexts have factors of their own, and a magnitude that grows with the stretch. */
static enum status phi3_keys(struct hf *h) {
    uint32_t original, window;
    double of_rope;
    enum status s = hf_u32(h, "original_max_position_embeddings", 1, 1 << 24, h->n_ctx, &original);
    if (!s) s = hf_u32(h, "sliding_window", 0, 1 << 24, 0, &window);
    if (!s && h->rope) {
        s = hf_number(h, h->rope, "original_max_position_embeddings", 1, 1 << 24, original, &of_rope);
        original = (uint32_t)of_rope;
    }
    if (s) return s;
    hf_put_u32(h, "rope.dimension_count", h->rope_dim);
    hf_put_u32(h, "rope.scaling.original_context_length", original);
    hf_put_u32(h, "attention.sliding_window", window);
    if (h->rope && json_is_array(json_object_get(h->rope, "long_factor"))) {
        double scale = (double)h->n_ctx / original;
        hf_put_f32(h, "rope.scaling.attn_factor", scale > 1 ? sqrt(1 + log(scale) / log(original)) : 1);
    }
    return OK;
}

/* ---- windows ---- */

/* One bool a layer: layer_types where it is given, else every layer but each `every`-th. */
static enum status add_pattern(struct hf *h, uint32_t every, bool write_usual) {
    const json_t *types = hf_get(h, "layer_types");
    if (types && (!json_is_array(types) || json_array_size(types) != h->n_layer))
        return hf_config_error(h, "layer_types has %zu elements, num_hidden_layers is %u", json_array_size(types),
                               h->n_layer);
    bool *local = hf_alloc(h, h->n_layer, sizeof *local), usual = true;
    if (!local) return ERR_MEMORY;
    for (uint32_t l = 0; l < h->n_layer; l++) {
        const char *type = json_string_value(json_array_get(types, l));
        local[l] = type ? !strcmp(type, "sliding_attention") : (l + 1) % every != 0;
        usual = usual && local[l] == ((l + 1) % every != 0);
    }
    char key[128];
    hf_key(h, "attention.sliding_window_pattern", key);
    if (write_usual || !usual) gguf_add_bools(h->w, key, local, h->n_layer);
    return OK;
}

static enum status olmo2_keys(struct hf *h) {
    uint32_t window;
    enum status s = hf_u32(h, "sliding_window", 0, 1 << 24, 0, &window);
    if (s || !window) return s; /* OLMo 2 has none, OLMo 3 has */
    hf_put_u32(h, "attention.sliding_window", window);
    return add_pattern(h, 4, true);
}

/* Scores are divided by sqrt(query_pre_attn_scalar), which is head_dim but in the largest models, where arch.c knows. */
static enum status gemma_scale(struct hf *h, uint32_t largest) {
    uint32_t scalar;
    enum status s = hf_u32(h, "query_pre_attn_scalar", 1, 1 << 20, h->head_dim, &scalar);
    if (!s && scalar != h->head_dim && h->n_layer != largest) hf_put_f32(h, "attention.scale", 1 / sqrt(scalar));
    return s;
}

static enum status gemma2_keys(struct hf *h) {
    double attn, final;
    uint32_t window;
    enum status s;
    if ((s = hf_number(h, NULL, "attn_logit_softcapping", 0, 1e6, 0, &attn)) ||
        (s = hf_number(h, NULL, "final_logit_softcapping", 0, 1e6, 0, &final)) ||
        (s = hf_u32(h, "sliding_window", 1, 1 << 24, 4096, &window)))
        return s;
    hf_put_f32(h, "attn_logit_softcapping", attn);
    hf_put_f32(h, "final_logit_softcapping", final);
    hf_put_u32(h, "attention.sliding_window", window);
    s = add_pattern(h, 2, false);
    return s ? s : gemma_scale(h, 46);
}

static void gemma3_defaults(struct hf *h) {
    h->n_layer = 26, h->n_embd = 2304, h->n_head = 8, h->n_head_kv = 4, h->head_dim = 256, h->n_ff = 9216;
    h->n_ctx = 131072, h->rope_theta = 1e6;
}

static enum status gemma3_keys(struct hf *h) {
    double final, attn;
    uint32_t window, every, named;
    enum status s;
    if ((s = hf_number(h, NULL, "attn_logit_softcapping", 0, 1e6, 0, &attn)) ||
        (s = hf_number(h, NULL, "final_logit_softcapping", 0, 1e6, 0, &final)) ||
        (s = hf_u32(h, "sliding_window", 1, 1 << 24, 4096, &window)) ||
        (s = hf_u32(h, "_sliding_window_pattern", 1, MAX_PATTERN, 6, &named)) ||
        (s = hf_u32(h, "sliding_window_pattern", 1, MAX_PATTERN, named, &every)))
        return s;
    if (attn > 0) return hf_config_error(h, "attn_logit_softcapping is %g; gemma3 has none", attn);
    if (final > 0) hf_put_f32(h, "final_logit_softcapping", final);
    if (every != 1) hf_put_u32(h, "attention.sliding_window", window);
    if (every != 1 && every != 6 && !hf_get(h, "layer_types")) s = add_pattern(h, every, true);
    else if (every != 1) s = add_pattern(h, 6, false);
    return s ? s : gemma_scale(h, 62);
}

/* ---- the table ---- */

static const struct hf_kind kinds[] = {
    {.model_type = "llama", .arch = "llama", .paired_rope = true, .keys = llama_keys},
    {.model_type = "mistral", .arch = "llama", .paired_rope = true, .keys = llama_keys},
    {.model_type = "qwen2", .arch = "qwen2"},
    {.model_type = "qwen3", .arch = "qwen3"},
    {.model_type = "smollm3", .arch = "smollm3", .paired_rope = true, .keys = smollm3_keys},
    {.model_type = "granite", .arch = "granite", .paired_rope = true, .keys = granite_keys},
    {.model_type = "phi3", .arch = "phi3", .keys = phi3_keys},
    {.model_type = "olmo2", .arch = "olmo2", .post_norms = true, .row_norms = true, .keys = olmo2_keys},
    {.model_type = "olmo3", .arch = "olmo2", .post_norms = true, .row_norms = true, .keys = olmo2_keys},
    {.model_type = "gemma2",
     .arch = "gemma2",
     .norm_offset = true,
     .post_norms = true,
     .gelu = true,
     .keys = gemma2_keys},
    {.model_type = "gemma3_text",
     .arch = "gemma3",
     .norm_offset = true,
     .post_norms = true,
     .gelu = true,
     .shape_defaults = gemma3_defaults,
     .keys = gemma3_keys},
    {.model_type = "gemma3",
     .arch = "gemma3",
     .norm_offset = true,
     .post_norms = true,
     .gelu = true,
     .shape_defaults = gemma3_defaults,
     .keys = gemma3_keys},
    {.model_type = "ministral3", .arch = "mistral3", .paired_rope = true, .keys = ministral3_keys},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

const struct hf_kind *hf_kind_find(const char *model_type) {
    for (size_t i = 0; i < N_KINDS; i++)
        if (!strcmp(kinds[i].model_type, model_type)) return &kinds[i];
    return NULL;
}

void hf_kind_names(char *dst, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < N_KINDS && n < size; i++)
        n += (size_t)snprintf(dst + n, size - n, "%s%s", i ? ", " : "", kinds[i].model_type);
}
