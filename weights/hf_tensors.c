/* hf_tensors.c: each tensor of a folder under its GGUF name, in its GGUF order of rows.
 * Not the files' format: safetensors.c.
 * Next: hf_tokens.c.
 *
 * RoPE turns pairs of numbers of a head.  In the folder a pair is rows i and i + half of the head's rows; in the GGUF
 * files of some architectures it is rows 2i and 2i + 1:
 *
 *   head of 6 rows, folder   a0 a1 a2 b0 b1 b2       GGUF   a0 b0 a1 b1 a2 b2                                          */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "weights/hf_impl.h"

/* How many rows or columns: what config.json says about it. */
enum extent { ONE, EMBD, Q, KV, FF, FF2, QKV, HEAD_Q, HEAD_KV, VOCAB, VALUE, CLASSES };

enum { PAIRS = 1, NORM = 2, POST = 4, PRE = 8 }; /* POST, PRE: only for kinds with, without post_norms */

static const struct rule {
    const char *from, *to; /* after "model.layers.N." and "blk.N." */
    enum extent rows, cols;
    int flags;
} layer_rules[] =
    {
        {"input_layernorm.weight", "attn_norm.weight", ONE, EMBD, NORM},
        {"self_attn.q_proj.weight", "attn_q.weight", Q, EMBD, PAIRS},
        {"self_attn.q_proj.bias", "attn_q.bias", ONE, Q, PAIRS},
        {"self_attn.k_proj.weight", "attn_k.weight", KV, EMBD, PAIRS},
        {"self_attn.k_proj.bias", "attn_k.bias", ONE, KV, PAIRS},
        {"self_attn.v_proj.weight", "attn_v.weight", KV, EMBD, 0},
        {"self_attn.v_proj.bias", "attn_v.bias", ONE, KV, 0},
        {"self_attn.qkv_proj.weight", "attn_qkv.weight", QKV, EMBD, 0},
        {"self_attn.qkv_proj.bias", "attn_qkv.bias", ONE, QKV, 0},
        {"self_attn.o_proj.weight", "attn_output.weight", EMBD, Q, 0},
        {"self_attn.o_proj.bias", "attn_output.bias", ONE, EMBD, 0},
        {"self_attn.q_norm.weight", "attn_q_norm.weight", ONE, HEAD_Q, NORM},
        {"self_attn.k_norm.weight", "attn_k_norm.weight", ONE, HEAD_KV, NORM},
        {"post_attention_layernorm.weight", "ffn_norm.weight", ONE, EMBD, NORM | PRE},
        {"post_attention_layernorm.weight", "post_attention_norm.weight", ONE, EMBD, NORM | POST},
        {"pre_feedforward_layernorm.weight", "ffn_norm.weight", ONE, EMBD, NORM},
        {"post_feedforward_layernorm.weight", "post_ffw_norm.weight", ONE, EMBD, NORM},
        {"mlp.gate_proj.weight", "ffn_gate.weight", FF, EMBD, 0},
        {"mlp.gate_proj.bias", "ffn_gate.bias", ONE, FF, 0},
        {"mlp.up_proj.weight", "ffn_up.weight", FF, EMBD, 0},
        {"mlp.up_proj.bias", "ffn_up.bias", ONE, FF, 0},
        {"mlp.gate_up_proj.weight", "ffn_up.weight", FF2, EMBD, 0},
        {"mlp.down_proj.weight", "ffn_down.weight", EMBD, FF, 0},
        {"mlp.down_proj.bias", "ffn_down.bias", ONE, EMBD, 0},
        {0},
},
  model_rules[] = {
      {"embed_tokens.weight", "token_embd.weight", VOCAB, EMBD, 0},
      {"norm.weight", "output_norm.weight", ONE, EMBD, NORM},
      {"lm_head.weight", "output.weight", VOCAB, EMBD, 0},
      /* heads of reward models: docs/PRM.md */
      {"score.0.weight", "cls.weight", EMBD, EMBD, 0},
      {"score.0.bias", "cls.bias", ONE, EMBD, 0},
      {"score.2.weight", "cls.output.weight", CLASSES, EMBD, 0},
      {"score.2.bias", "cls.output.bias", ONE, CLASSES, 0},
      {"v_head.summary.weight", "v_head.summary.weight", VALUE, EMBD, 0},
      {"v_head.summary.bias", "v_head.summary.bias", ONE, VALUE, 0},
      {0},
};

static uint64_t extent_of(const struct hf *h, enum extent x) {
    const uint64_t q = (uint64_t)h->n_head * h->head_dim, kv = (uint64_t)h->n_head_kv * h->head_dim;
    switch (x) {
    case ONE: return 1;
    case EMBD: return h->n_embd;
    case Q: return q;
    case KV: return kv;
    case FF: return h->n_ff;
    case FF2: return 2 * (uint64_t)h->n_ff;
    case QKV: return q + 2 * kv;
    case HEAD_Q: return h->kind->row_norms ? q : h->head_dim;
    case HEAD_KV: return h->kind->row_norms ? kv : h->head_dim;
    case VOCAB: return h->n_vocab;
    case VALUE: return 1;
    case CLASSES: return 2;
    }
    return 0;
}

/* The keys of config.json that it comes from. */
static const char *extent_keys(enum extent x) {
    static const char *const keys[] = {
        [ONE] = "",
        [EMBD] = "hidden_size",
        [Q] = "num_attention_heads x head_dim",
        [KV] = "num_key_value_heads x head_dim",
        [FF] = "intermediate_size",
        [FF2] = "2 x intermediate_size",
        [QKV] = "(num_attention_heads + 2 x num_key_value_heads) x head_dim",
        [HEAD_Q] = "head_dim (and num_attention_heads)",
        [HEAD_KV] = "head_dim (and num_key_value_heads)",
        [VOCAB] = "vocab_size",
        [VALUE] = "one value",
        [CLASSES] = "two classes",
    };
    return keys[x];
}

static enum status tensor_error(const struct hf *h, const struct st_tensor *t, const char *what) {
    char shown[4 * GGUF_SHOWN + 4];
    gguf_escape((struct gguf_string){t->name, strlen(t->name)}, GGUF_SHOWN, shown);
    return error_set(h->e, ERR_INPUT, "%s: tensor %s %s", gguf_short_name(t->file), shown, what);
}

static enum status check_shape(const struct hf *h, const struct st_tensor *t, const struct rule *r) {
    const uint64_t rows = extent_of(h, r->rows), cols = extent_of(h, r->cols);
    char what[300], shape[100] = "";
    size_t n = 0;
    if (t->type == ST_NO_TYPE) {
        snprintf(what, sizeof what, "has dtype %s; F32, F16 and BF16 are read", t->dtype);
        return tensor_error(h, t, what);
    }
    const bool good = r->rows == ONE ? t->n_dims == 1 && t->dims[0] == cols
                                     : t->n_dims == 2 && t->dims[0] == rows && t->dims[1] == cols;
    if (good) return OK;
    for (uint32_t i = 0; i < t->n_dims && n < sizeof shape; i++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%s%" PRIu64, i ? ", " : "", t->dims[i]);
    if (r->rows == ONE)
        snprintf(what, sizeof what, "has shape [%.80s]; config.json asks for [%" PRIu64 "]: %s", shape, cols,
                 extent_keys(r->cols));
    else
        snprintf(what, sizeof what, "has shape [%.80s]; config.json asks for [%" PRIu64 ", %" PRIu64 "]: %s, %s", shape,
                 rows, cols, extent_keys(r->rows), extent_keys(r->cols));
    return tensor_error(h, t, what);
}

/* ---- weights that are not as in the file ---- */

/* Vectors are f32 in GGUF files. */
static void *vector_of(struct hf *h, const struct st_tensor *t, bool norm) {
    float *v = hf_alloc(h, t->dims[0], sizeof *v);
    if (!v) return NULL;
    const size_t size = t->size_bytes / t->dims[0];
    for (uint64_t i = 0; i < t->dims[0]; i++) { /* one at a time: the file aligns nothing */
        uint32_t number;
        memcpy(&number, (const uint8_t *)t->data + i * size, size);
        type_to_f32(t->type, &number, &v[i], 1);
        if (norm && h->kind->norm_offset) v[i] += 1;
    }
    return v;
}

/* Rows of each head from halves to pairs. */
static void pair_rows(uint8_t *to, const uint8_t *from, uint64_t n_rows, uint64_t head_dim, size_t row_bytes) {
    for (uint64_t r = 0; r < n_rows; r++) {
        const uint64_t head = r / head_dim * head_dim, pair = r % head_dim / 2, second = r % 2;
        memcpy(to + r * row_bytes, from + (head + second * (head_dim / 2) + pair) * row_bytes, row_bytes);
    }
}

/* What the GGUF tensor holds: the mapping itself where it can be. */
static const void *data_of(struct hf *h, const struct st_tensor *t, const struct rule *r, enum tensor_type *type) {
    const bool pairs = r->flags & PAIRS && h->kind->paired_rope;
    const size_t size = t->type == TYPE_F32 ? sizeof(float) : sizeof(uint16_t);
    const void *data = t->data;
    *type = t->type;
    if (r->rows == ONE) {
        *type = TYPE_F32;
        if (!(data = vector_of(h, t, r->flags & NORM)) || !pairs) return data;
        float *to = hf_alloc(h, t->dims[0], sizeof *to);
        if (to) pair_rows((uint8_t *)to, data, t->dims[0], h->head_dim, sizeof *to);
        return to;
    }
    if (!pairs && (uintptr_t)data % size == 0) return data;
    uint8_t *copy = hf_alloc(h, t->size_bytes, 1);
    if (!copy) return NULL;
    if (pairs) pair_rows(copy, data, t->dims[0], h->head_dim, t->dims[1] * size);
    else memcpy(copy, data, t->size_bytes);
    return copy;
}

/* ---- names ---- */

static bool begins(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

/* Parts of a model that a text has no use for, and tables that follow from the config. */
static bool is_skipped(const char *name) {
    static const char *const parts[] = {"vision_tower.",       "multi_modal_projector.",       "vision_model.",
                                        "model.vision_tower.", "model.multi_modal_projector.", "model.vision_model."};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (begins(name, parts[i])) return true;
    return strstr(name, ".rotary_emb.") != NULL;
}

/* The name without what stands before the text model's own names. */
static const char *own_name(const char *name) {
    static const char *const before[] = {"model.language_model.", "language_model.model.", "language_model.", "model."};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        if (begins(name, before[i])) return name + strlen(before[i]);
    return name;
}

/* The rule of a name, and its GGUF name; NULL: none. */
static const struct rule *rule_of(const struct hf *h, const char *name, uint32_t *layer, char to[64]) {
    const char *own = own_name(name);
    unsigned l = 0;
    int used = 0;
    const bool in_layer = sscanf(own, "layers.%9u.%n", &l, &used) == 1 && used > 0;
    *layer = in_layer ? l : UINT32_MAX;
    for (const struct rule *r = in_layer ? layer_rules : model_rules; r->from; r++) {
        if (strcmp(own + used, r->from)) continue;
        if (r->flags & (PRE | POST) && !(r->flags & POST) == h->kind->post_norms) continue;
        if (in_layer) snprintf(to, 64, "blk.%u.%s", l, r->to);
        else snprintf(to, 64, "%s", r->to);
        return r;
    }
    return NULL;
}

static enum status add_tensor(struct hf *h, const struct st_tensor *t, uint32_t *counts) {
    uint32_t layer;
    char name[64];
    enum tensor_type type;
    const struct rule *r = rule_of(h, t->name, &layer, name);
    if (!r) {
        snprintf(name, sizeof name, "has no place in a %s model", h->kind->model_type);
        return tensor_error(h, t, name);
    }
    if (layer != UINT32_MAX && layer >= h->n_layer) {
        snprintf(name, sizeof name, "is there; config.json's num_hidden_layers is %u", h->n_layer);
        return tensor_error(h, t, name);
    }
    enum status s = check_shape(h, t, r);
    if (s) return s;
    const void *data = data_of(h, t, r, &type);
    if (!data) return ERR_MEMORY;
    const uint64_t dims[2] = {t->dims[t->n_dims - 1], t->dims[0]};
    gguf_add_tensor(h->w, name, type, t->n_dims, dims, data);
    if (layer != UINT32_MAX) counts[layer]++;
    return OK;
}

/* ---- tensors that stand in config.json ---- */

/* Divisors of RoPE's frequencies for contexts that were stretched the way of Llama 3: short waves stay, long ones are
 * divided, and between them it goes smoothly. */
static enum status add_llama3_factors(struct hf *h) {
    double factor, low, high, length;
    enum status s;
    if ((s = hf_number(h, h->rope, "factor", 1, 1e6, 8, &factor)) ||
        (s = hf_number(h, h->rope, "low_freq_factor", 1e-3, 1e6, 1, &low)) ||
        (s = hf_number(h, h->rope, "high_freq_factor", 1e-3, 1e6, 4, &high)) ||
        (s = hf_number(h, h->rope, "original_max_position_embeddings", 1, 1 << 24, 8192, &length)))
        return s;
    if (!(low < high)) return hf_config_error(h, "low_freq_factor %g must be below high_freq_factor %g", low, high);
    const uint64_t n = h->rope_dim / 2;
    float *v = hf_alloc(h, n, sizeof *v);
    if (!v) return ERR_MEMORY;
    for (uint64_t i = 0; i < n; i++) {
        const double wave = 2 * 3.141592653589793 * pow(h->rope_theta, 2.0 * (double)i / h->rope_dim);
        const double smooth = (length / wave - low) / (high - low);
        v[i] = (float)(wave < length / high ? 1 : wave > length / low ? factor : 1 / ((1 - smooth) / factor + smooth));
    }
    gguf_add_tensor(h->w, "rope_freqs.weight", TYPE_F32, 1, &n, v);
    return OK;
}

static enum status add_list(struct hf *h, const char *key, const char *name) {
    const json_t *list = json_object_get(h->rope, key);
    const uint64_t n = h->rope_dim / 2;
    if (json_array_size(list) != n)
        return hf_config_error(h, "%s has %zu elements; half of the %u turned dims of a head are allowed", key,
                               json_array_size(list), h->rope_dim);
    float *v = hf_alloc(h, n, sizeof *v);
    if (!v) return ERR_MEMORY;
    for (uint64_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(list, i);
        if (!json_is_number(x)) return hf_config_error(h, "%s[%" PRIu64 "] is no number", key, i);
        v[i] = (float)json_number_value(x);
    }
    gguf_add_tensor(h->w, name, TYPE_F32, 1, &n, v);
    return OK;
}

static enum status add_rope_tensors(struct hf *h) {
    const char *type = json_string_value(json_object_get(h->rope, "rope_type"));
    if (!type) type = json_string_value(json_object_get(h->rope, "type"));
    if (type && !strcmp(type, "llama3")) return add_llama3_factors(h);
    if (strcmp(h->kind->arch, "phi3") || !json_object_get(h->rope, "long_factor")) return OK;
    enum status s = add_list(h, "long_factor", "rope_factors_long.weight");
    return s ? s : add_list(h, "short_factor", "rope_factors_short.weight");
}

/* ---- all of them ---- */

/* Every layer must have as many tensors as the first: what is missing is named by model_open, by its GGUF name. */
static enum status check_layers(const struct hf *h, const uint32_t *counts) {
    for (uint32_t l = 0; l < h->n_layer; l++)
        if (counts[l] == 0 || counts[l] != counts[0])
            return hf_config_error(h,
                                   "num_hidden_layers is %u; model.layers.%u has %u tensors in the safetensors files, "
                                   "model.layers.0 has %u",
                                   h->n_layer, l, counts[l], counts[0]);
    return OK;
}

/* The head is the embedding if config.json says so, or if there is no other one and it says nothing.  Two-class reward models
 * have none. */
static enum status is_tied(const struct hf *h, bool *tied) {
    const json_t *says = hf_get(h, "tie_word_embeddings");
    const bool has_head = safetensors_find(h->keep->st, "lm_head.weight") ||
                          safetensors_find(h->keep->st, "language_model.lm_head.weight") ||
                          safetensors_find(h->keep->st, "score.0.weight");
    *tied = says ? json_is_true(says) : !has_head || h->kind->norm_offset;
    if (*tied || has_head) return OK;
    return hf_config_error(h, "tie_word_embeddings is false; tensor lm_head.weight is missing");
}

/* general.file_type: that of the first matrix of a layer. */
static uint32_t file_type_of(const struct hf *h) {
    for (size_t i = 0; i < safetensors_count(h->keep->st); i++) {
        const struct st_tensor *t = safetensors_at(h->keep->st, i);
        if (t->n_dims == 2 && strstr(t->name, "layers.")) return t->type == TYPE_F32 ? 0 : t->type == TYPE_F16 ? 1 : 32;
    }
    return 0;
}

enum status hf_add_tensors(struct hf *h) {
    bool tied;
    uint32_t *counts = mem_new(h->n_layer, sizeof *counts); /* tensors of each layer */
    if (!counts) return error_set(h->e, ERR_MEMORY, "no memory for %u layers", h->n_layer);
    enum status s = is_tied(h, &tied);
    for (size_t i = 0; !s && i < safetensors_count(h->keep->st); i++) {
        const struct st_tensor *t = safetensors_at(h->keep->st, i);
        const bool is_head = !strcmp(own_name(t->name), "lm_head.weight");
        if (!is_skipped(t->name) && !(is_head && tied)) s = add_tensor(h, t, counts);
    }
    if (!s) s = check_layers(h, counts);
    if (!s) s = add_rope_tensors(h);
    gguf_add_u32(h->w, "general.file_type", file_type_of(h));
    gguf_add_u32(h->w, "general.quantization_version", 2);
    mem_free(counts);
    return s;
}
