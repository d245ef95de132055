/* test_convert.c: model folders of every architecture against GGUF files that were written without the converter: the same
 * keys of the model, the same logits bit for bit, opened in place or converted.
 * Not the tokenizer: test_hf_tokens.c.  Not the file format: test_safetensors.c.
 * Next: docs/MODELS.md. */
#include "tests/arch_model.h"
#include "tests/engine_check.h"
#include "tests/hf_folder.h"

enum { N_TOKENS = 40 };

/* What the folder of an architecture looks like, as this test understands it. */
struct family {
    const char *arch, *model_type;
    enum tensor_type type; /* of all its tensors */
    bool pairs;            /* the GGUF file has q and k rows in pairs */
    int shards;            /* 1: model.safetensors */
};

static const struct family families[] = {
    {"llama", "llama", TYPE_F32, true, 1},      {"llama", "mistral", TYPE_F16, true, 3},
    {"qwen2", "qwen2", TYPE_BF16, false, 2},    {"qwen3", "qwen3", TYPE_F16, false, 1},
    {"smollm3", "smollm3", TYPE_BF16, true, 1}, {"granite", "granite", TYPE_F32, true, 2},
    {"phi3", "phi3", TYPE_BF16, false, 1},      {"olmo2", "olmo3", TYPE_F32, false, 1},
    {"gemma2", "gemma2", TYPE_F32, false, 1},   {"gemma3", "gemma3_text", TYPE_BF16, false, 3},
    {"gemma3", "gemma3", TYPE_F16, false, 1},   {"mistral3", "ministral3", TYPE_BF16, true, 1},
};

/* ---- names and rows, the other way round than the converter ---- */

static const char *hf_name(const struct family *f, const char *gguf, char name[128]) {
    static const char *const same[][2] = {{"attn_norm.weight", "input_layernorm.weight"},
                                          {"attn_q.weight", "self_attn.q_proj.weight"},
                                          {"attn_k.weight", "self_attn.k_proj.weight"},
                                          {"attn_v.weight", "self_attn.v_proj.weight"},
                                          {"attn_q.bias", "self_attn.q_proj.bias"},
                                          {"attn_k.bias", "self_attn.k_proj.bias"},
                                          {"attn_v.bias", "self_attn.v_proj.bias"},
                                          {"attn_qkv.weight", "self_attn.qkv_proj.weight"},
                                          {"attn_output.weight", "self_attn.o_proj.weight"},
                                          {"attn_q_norm.weight", "self_attn.q_norm.weight"},
                                          {"attn_k_norm.weight", "self_attn.k_norm.weight"},
                                          {"ffn_gate.weight", "mlp.gate_proj.weight"},
                                          {"ffn_up.weight", "mlp.up_proj.weight"},
                                          {"ffn_down.weight", "mlp.down_proj.weight"},
                                          {"post_attention_norm.weight", "post_attention_layernorm.weight"},
                                          {"post_ffw_norm.weight", "post_feedforward_layernorm.weight"}};
    const bool gemma = !strncmp(f->arch, "gemma", 5);
    const char *model = !strcmp(f->model_type, "gemma3") ? "language_model.model" : "model";
    int layer, used = 0;
    if (!strcmp(gguf, "token_embd.weight")) return sprintf(name, "%s.embed_tokens.weight", model), name;
    if (!strcmp(gguf, "output_norm.weight")) return sprintf(name, "%s.norm.weight", model), name;
    if (!strcmp(gguf, "output.weight")) return strcpy(name, "lm_head.weight");
    if (sscanf(gguf, "blk.%d.%n", &layer, &used) != 1) return NULL;
    const char *rest = gguf + used;
    if (!strcmp(rest, "ffn_norm.weight"))
        rest = gemma ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight";
    else if (!strcmp(rest, "ffn_up.weight") && !strcmp(f->arch, "phi3")) rest = "mlp.gate_up_proj.weight";
    else
        for (size_t i = 0; i < COUNT(same); i++)
            if (!strcmp(rest, same[i][0])) rest = same[i][1];
    sprintf(name, "%s.layers.%d.%s", model, layer, rest);
    return name;
}

/* Row r of the folder, which turns rows i and i + half of a head, is this row of the file, which turns 2i and 2i + 1. */
static size_t row_in_file(const struct family *f, const char *gguf, size_t r, size_t hd) {
    if (!f->pairs || !(strstr(gguf, "attn_q.") || strstr(gguf, "attn_k."))) return r;
    size_t in_head = r % hd;
    return r - in_head + (in_head < hd / 2 ? 2 * in_head : 2 * (in_head - hd / 2) + 1);
}

/* ---- config.json ---- */

static void set(json_t *o, const char *key, double v) {
    json_object_set_new(o, key, v == floor(v) ? json_integer((json_int_t)v) : json_real(v));
}

static json_t *config_of(const struct family *f) {
    struct facts a = facts_of(f->arch);
    json_t *c = json_pack("{s:s}", "model_type", f->model_type), *rope;
    set(c, "num_hidden_layers", A_LAYERS), set(c, "hidden_size", A_EMBD), set(c, "max_position_embeddings", A_CTX);
    set(c, "num_attention_heads", A_HEADS), set(c, "num_key_value_heads", A_KV), set(c, "intermediate_size", A_FF);
    set(c, "vocab_size", A_VOCAB), set(c, "rms_norm_eps", (double)a.eps), set(c, "rope_theta", (double)a.base);
    if (a.hd * A_HEADS != A_EMBD) set(c, "head_dim", a.hd);
    if (a.window) set(c, "sliding_window", a.window);
    if (!strcmp(f->arch, "gemma3")) set(c, "rope_local_base_freq", (double)a.local_base);
    if (!strcmp(f->arch, "gemma2")) set(c, "attn_logit_softcapping", 2), set(c, "final_logit_softcapping", 3);
    if (!strcmp(f->arch, "granite")) {
        set(c, "embedding_multiplier", 12), set(c, "residual_multiplier", 0.22), set(c, "logits_scaling", 8);
        set(c, "attention_multiplier", 0.0625);
    }
    if (!strcmp(f->arch, "olmo2")) json_object_set_new(c, "tie_word_embeddings", json_false());
    if (!strcmp(f->arch, "llama")) { /* waves of 6 to 6283 tokens: all three parts of the rule are met */
        json_object_set_new(c, "rope_scaling", rope = json_pack("{s:s}", "rope_type", "llama3"));
        set(rope, "factor", 8), set(rope, "low_freq_factor", 1), set(rope, "high_freq_factor", 4);
        set(rope, "original_max_position_embeddings", 128);
    }
    if (!strcmp(f->arch, "phi3")) set(c, "partial_rotary_factor", 0.75), set(c, "original_max_position_embeddings", 64);
    if (!strcmp(f->arch, "mistral3")) {
        json_object_set_new(c, "rope_parameters", rope = json_pack("{s:s}", "rope_type", "yarn"));
        set(rope, "factor", 4), set(rope, "original_max_position_embeddings", 16), set(rope, "beta_fast", 2);
        set(rope, "beta_slow", 1), set(rope, "llama_4_scaling_beta", 0.3), set(rope, "rope_theta", (double)a.base);
    }
    if (!strcmp(f->model_type, "gemma3")) { /* a model with pictures: the text part stands inside */
        json_object_set_new(c, "model_type", json_string("gemma3_text"));
        c = json_pack("{s:s, s:o}", "model_type", "gemma3", "text_config", c);
    }
    return c;
}

/* Phi's factors stand in config.json. */
static void add_phi_factors(json_t *c, const struct gguf *g) {
    json_t *rope = json_pack("{s:s, s:[], s:[]}", "type", "longrope", "short_factor", "long_factor");
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < 3; i++)
            json_array_append_new(json_object_get(rope, k ? "long_factor" : "short_factor"),
                                  json_real((double)*arch_tensor(
                                      g, -1, k ? "rope_factors_long.weight" : "rope_factors_short.weight", i, 1)));
    json_object_set_new(c, "rope_scaling", rope);
}

/* ---- a folder, and the file that it must equal ---- */

static float pool[A_MAX_FLOATS];
static uint16_t halves[A_MAX_FLOATS];

/* One tensor of `g` to the folder's file m and, rounded as there, to the expected file w. */
static void put_tensor(const struct family *f, const struct gguf_tensor *t, struct st_make *m, struct gguf_writer *w,
                       size_t *at) {
    char gguf[64], name[128];
    snprintf(gguf, sizeof gguf, "%.*s", (int)t->name.size, t->name.data);
    const bool vector = t->dims[1] == 1, shifted = vector && !strncmp(f->arch, "gemma", 5);
    const size_t cols = t->dims[0], rows = t->dims[1], n = rows * cols, size = type_row_bytes(f->type, cols);
    const size_t hd = facts_of(f->arch).hd, row_cols = vector ? 1 : cols, n_rows = vector ? cols : rows;
    if (!hf_name(f, gguf, name)) return;
    float *in_folder = malloc(n * sizeof *in_folder), *want = pool + *at;
    for (size_t r = 0; r < n_rows; r++)
        memcpy(in_folder + r * row_cols, (const float *)t->data + row_in_file(f, gguf, r, hd) * row_cols,
               row_cols * sizeof *want);
    for (size_t i = 0; i < n && shifted; i++) in_folder[i] -= 1;
    st_add(m, name, f->type, vector ? 0 : rows, cols, in_folder);
    /* rounded as the folder has it, then in the file's order */
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = 0;
        type_from_f32(f->type, in_folder + i, &bits, 1);
        type_to_f32(f->type, &bits, in_folder + i, 1);
        if (shifted) in_folder[i] += 1;
    }
    for (size_t r = 0; r < n_rows; r++)
        memcpy(want + row_in_file(f, gguf, r, hd) * row_cols, in_folder + r * row_cols, row_cols * sizeof *want);
    if (!vector && f->type != TYPE_F32) {
        for (size_t r = 0; r < rows; r++)
            type_from_f32(f->type, want + r * cols, (uint8_t *)(halves + *at) + r * size, cols);
        gguf_add_tensor(w, gguf, f->type, 2, t->dims, halves + *at);
    } else {
        gguf_add_tensor(w, gguf, TYPE_F32, t->n_dims, t->dims, want);
    }
    free(in_folder);
    *at += n;
}

/* The frequencies of Llama 3: divided by 8 where a wave is longer than 128 tokens, as they are below 32. */
static void add_llama_freqs(struct gguf_writer *w) {
    static float v[4];
    for (int i = 0; i < 4; i++) {
        double wave = 2 * M_PI * pow(10000, i / 4.0), blend = (128 / wave - 1) / (4 - 1);
        v[i] = (float)(blend >= 1 ? 1 : blend <= 0 ? 8 : 1 / (blend + (1 - blend) / 8));
    }
    gguf_add_tensor(w, "rope_freqs.weight", TYPE_F32, 1, (uint64_t[]){4}, v);
}

static void put_shards(struct st_make *shards, int n) {
    json_t *map = json_object();
    for (int i = 0; i < n; i++) {
        char name[64];
        const char *tensor;
        json_t *info;
        snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", i + 1, n);
        if (n == 1) strcpy(name, "model.safetensors");
        json_object_foreach(shards[i].header, tensor, info) json_object_set_new(map, tensor, json_string(name));
        st_put(&shards[i], name);
    }
    if (n > 1) put_json("model.safetensors.index.json", json_pack("{s:{}, s:o}", "metadata", "weight_map", map));
    else json_decref(map);
}

/* Writes the folder, and want.gguf in it. */
static void put_pair(const struct family *f) {
    static const char *const except[] = {"phi3.rope.scaling.attn_factor", NULL};
    struct st_make shards[3] = {st_new(), st_new(), st_new()};
    struct gguf_writer *w;
    struct gguf *g;
    struct error e;
    size_t at = 0;
    fresh_folder();
    arch_write(f->arch, NULL, NULL, tiny_path("base.gguf"));
    GOOD(gguf_open(tiny_path("base.gguf"), &g, &e));
    GOOD(gguf_writer_new(&w, &e));
    gguf_add_keys(w, g, except);
    if (!strcmp(f->arch, "phi3")) gguf_add_f32(w, except[0], (float)sqrt(1 + log(4) / log(64)));
    for (size_t i = 0; i < gguf_n_tensors(g); i++)
        put_tensor(f, gguf_tensor_at(g, i), &shards[i % (size_t)f->shards], w, &at);
    if (!strcmp(f->arch, "llama")) add_llama_freqs(w);
    if (!strcmp(f->arch, "phi3"))
        for (int k = 0; k < 2; k++) {
            const char *name = k ? "rope_factors_long.weight" : "rope_factors_short.weight";
            gguf_add_tensor(w, name, TYPE_F32, 1, (uint64_t[]){3}, arch_tensor(g, -1, name, 0, 0));
        }
    GOOD(gguf_write(w, tiny_path("want.gguf"), &e));
    gguf_writer_free(&w);
    put_shards(shards, f->shards);
    for (int i = f->shards; i < 3; i++) json_decref(shards[i].header), free(shards[i].data);
    json_t *c = config_of(f);
    if (!strcmp(f->arch, "phi3")) add_phi_factors(c, g);
    put_json("config.json", c);
    put_text("tokenizer.json", small_tokenizer);
    gguf_close(&g);
}

static void logits_of(const char *path, float *out) {
    struct model *m = tiny_open(path);
    struct bench b = bench_open(m, 1, small_engine);
    int32_t tokens[N_TOKENS];
    assert_int_equal(m->config.n_vocab, A_VOCAB);
    tiny_tokens(3, A_VOCAB, tokens, N_TOKENS);
    run_tokens(&b, engine_seq_new(b.client), tokens, N_TOKENS, out);
    bench_close(&b), model_close(&m);
}

static void logits_are_those_of_the_file(void **state) {
    (void)state;
    static float want[N_TOKENS * A_VOCAB], got[N_TOKENS * A_VOCAB];
    for (size_t i = 0; i < COUNT(families); i++) {
        struct gguf *g;
        struct error e;
        put_pair(&families[i]);
        logits_of(tiny_path("want.gguf"), want);
        logits_of(tiny_folder, got);
        same_floats(got, want, COUNT(got), "%s, from the folder", families[i].model_type);
        GOOD(hf_open(tiny_folder, &g, &e));
        GOOD(hf_write(g, tiny_path("got.gguf"), NULL, &e));
        gguf_close(&g);
        logits_of(tiny_path("got.gguf"), got);
        same_floats(got, want, COUNT(got), "%s, converted", families[i].model_type);
        if (want[0] == want[1] || !isfinite(want[0])) fail_msg("%s: the logits say nothing", families[i].model_type);
    }
}

/* Every key of the model that the file was given is there, with the same value. */
static void keys_are_those_of_the_file(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(families); i++) {
        struct gguf *got;
        struct error e;
        static const char *const numbers[] = {"block_count",
                                              "embedding_length",
                                              "context_length",
                                              "attention.head_count",
                                              "attention.head_count_kv",
                                              "feed_forward_length",
                                              "rope.freq_base",
                                              "attention.layer_norm_rms_epsilon"};
        struct gguf *want;
        put_pair(&families[i]);
        GOOD(gguf_open(tiny_path("want.gguf"), &want, &e));
        GOOD(hf_open(tiny_folder, &got, &e));
        for (size_t k = 0; k < COUNT(numbers); k++) {
            char key[128];
            double a, b;
            snprintf(key, sizeof key, "%s.%s", families[i].arch, numbers[k]);
            GOOD(gguf_get_f64(want, key, 0, 1e9, &a, &e));
            GOOD(gguf_get_f64(got, key, 0, 1e9, &b, &e));
            if (a != b) fail_msg("%s: %s is %g, expected %g", families[i].model_type, key, b, a);
        }
        assert_int_equal(gguf_n_tensors(got), gguf_n_tensors(want));
        for (size_t k = 0; k < gguf_n_tensors(want); k++) {
            const struct gguf_tensor *a = gguf_tensor_at(want, k), *b;
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)a->name.size, a->name.data);
            if (!(b = gguf_find(got, name))) fail_msg("%s: no tensor %s", families[i].model_type, name);
            if (a->type != b->type || a->n_dims != b->n_dims || memcmp(a->dims, b->dims, sizeof a->dims) ||
                memcmp(a->data, b->data, a->size_bytes))
                fail_msg("%s: tensor %s differs", families[i].model_type, name);
        }
        gguf_close(&got), gguf_close(&want);
    }
}

/* ---- RoPE itself ---- */

/* Turning rows i and i + half in the folder's order is turning rows 2i and 2i + 1 in the file's. */
static void pairs_turn_like_halves(void **state) {
    (void)state;
    enum { HD = 8, POS = 7 };
    struct gguf *got;
    struct error e;
    put_pair(&families[0]); /* llama, F32 */
    struct safetensors *st;
    GOOD(safetensors_open_folder(tiny_folder, &st, &e));
    GOOD(hf_open(tiny_folder, &got, &e));
    const float *file = arch_tensor(got, 2, "attn_q.weight", 0, 0);
    const struct st_tensor *t = safetensors_find(st, "model.layers.2.self_attn.q_proj.weight");
    float *folder = malloc(t->size_bytes);
    memcpy(folder, t->data, t->size_bytes);
    double x[A_EMBD], a[A_HEADS * HD], b[A_HEADS * HD];
    for (size_t i = 0; i < A_EMBD; i++) x[i] = tiny_gauss(9, i);
    arch_matvec(a, folder, NULL, x, A_HEADS * HD, A_EMBD);
    arch_matvec(b, file, NULL, x, A_HEADS * HD, A_EMBD);
    for (size_t h = 0; h < A_HEADS; h++)
        for (size_t i = 0; i < HD / 2; i++) {
            double angle = POS * pow(10000, -2.0 * (double)i / HD), c = cos(angle), s = sin(angle);
            const double *u = a + h * HD, *v = b + h * HD;
            double half[2] = {u[i] * c - u[i + HD / 2] * s, u[i + HD / 2] * c + u[i] * s};
            double pair[2] = {v[2 * i] * c - v[2 * i + 1] * s, v[2 * i + 1] * c + v[2 * i] * s};
            if (half[0] != pair[0] || half[1] != pair[1])
                fail_msg("head %zu, pair %zu: (%g, %g), expected (%g, %g)", h, i, pair[0], pair[1], half[0], half[1]);
        }
    free(folder);
    safetensors_close(&st);
    gguf_close(&got);
}

/* The biases of q and k are turned with their rows. */
static void biases_go_with_their_rows(void **state) {
    (void)state;
    const float values[8] = {0, 1, 2, 3, 4, 5, 6, 7}, want[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    struct gguf *g;
    struct error e;
    struct st_make m = st_new();
    put_small_folder();
    put_small_tensors(&m, 5);
    st_add(&m, "model.layers.0.self_attn.q_proj.bias", TYPE_BF16, 0, 8, values);
    st_add(&m, "model.layers.0.self_attn.v_proj.bias", TYPE_BF16, 0, 8, values);
    st_put(&m, "model.safetensors");
    GOOD(hf_open(tiny_folder, &g, &e));
    same_floats(arch_tensor(g, 0, "attn_q.bias", 0, 0), want, 8, "attn_q.bias");
    same_floats(arch_tensor(g, 0, "attn_v.bias", 0, 0), values, 8, "attn_v.bias");
    gguf_close(&g);
}

/* ---- keys that the models above leave at their defaults ---- */

static void keys_come_from_the_config(void **state) {
    (void)state;
    static const struct {
        const char *model_type, *config, *key;
        double want;
    } all[] = {
        {"gemma3_text", "{\"rope_local_base_freq\": 20000}", "gemma3.rope.freq_base_swa", 20000},
        {"gemma3_text",
         "{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 5e5}, \"sliding_attention\": "
         "{\"rope_theta\": 3e4}}}",
         "gemma3.rope.freq_base", 5e5},
        {"gemma3_text",
         "{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 5e5}, \"sliding_attention\": "
         "{\"rope_theta\": 3e4}}}",
         "gemma3.rope.freq_base_swa", 3e4},
        {"gemma3_text", "{\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 8}}", "gemma3.rope.scaling.factor",
         8},
        {"gemma3_text", "{}", "gemma3.rope.freq_base", 1e6},
        {"gemma3_text", "{\"query_pre_attn_scalar\": 4}", "gemma3.attention.scale", 0.5},
        {"gemma2", "{}", "gemma2.attention.sliding_window", 4096},
        {"qwen2", "{\"rope_theta\": 1e6, \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"beta_slow\": 2}}",
         "qwen2.rope.scaling.yarn_beta_slow", 2},
        {"qwen2", "{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"beta_fast\": 16}}",
         "qwen2.rope.scaling.yarn_beta_fast", 16},
        {"qwen2", "{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"original_max_position_embeddings\": 32}}",
         "qwen2.rope.scaling.original_context_length", 32},
        {"ministral3", "{\"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 16, \"mscale_all_dim\": 1}}",
         "mistral3.rope.scaling.yarn_log_multiplier", 1},
        {"phi3", "{\"sliding_window\": 2047}", "phi3.attention.sliding_window", 2047},
        {"granite", "{\"logits_scaling\": 16.5}", "granite.logit_scale", 16.5},
        {"qwen3", "{\"head_dim\": 8}", "qwen3.attention.key_length", 8},
        {"llama", "{\"head_dim\": null}", "llama.rope.dimension_count", 8},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        struct gguf *g;
        struct error e;
        double got;
        put_small_folder();
        json_t *c = small_config(5), *more = json_loads(all[i].config, 0, NULL);
        json_object_set_new(c, "model_type", json_string(all[i].model_type));
        if (!strcmp(all[i].model_type, "gemma3_text")) set(c, "head_dim", 8), set(c, "num_key_value_heads", 1);
        json_object_update(c, more);
        json_decref(more);
        put_json("config.json", c);
        GOOD(hf_open(tiny_folder, &g, &e));
        GOOD(gguf_get_f64(g, all[i].key, 0, 1e9, &got, &e));
        if (got != all[i].want)
            fail_msg("%s %s: %s is %g, expected %g", all[i].model_type, all[i].config, all[i].key, got, all[i].want);
        gguf_close(&g);
    }
}

/* ---- tensors at odd addresses ---- */

static void odd_headers_change_nothing(void **state) {
    (void)state;
    static float want[N_TOKENS * A_VOCAB], got[N_TOKENS * A_VOCAB];
    put_pair(&families[3]);
    logits_of(tiny_path("want.gguf"), want);
    FILE *f = fopen(tiny_path("model.safetensors"), "rb");
    static uint8_t image[ST_MAX_DATA];
    uint64_t n;
    size_t size = fread(image, 1, sizeof image, f);
    fclose(f);
    memcpy(&n, image, 8);
    for (int pad = 1; pad <= 3; pad++) {
        static char header[1 << 16];
        memcpy(header, image + 8, n);
        memset(header + n, ' ', (size_t)pad);
        put_image("model.safetensors", header, n + (size_t)pad, image + 8 + n, size - 8 - n);
        logits_of(tiny_folder, got);
        same_floats(got, want, COUNT(got), "%d blanks behind the header", pad);
        struct gguf *g;
        struct error e;
        GOOD(hf_open(tiny_folder, &g, &e));
        for (size_t i = 0; i < gguf_n_tensors(g); i++) /* kernels may read whole numbers */
            assert_int_equal((uintptr_t)gguf_tensor_at(g, i)->data % (gguf_tensor_at(g, i)->type == TYPE_F32 ? 4 : 2),
                             0);
        gguf_close(&g);
    }
}

/* ---- folders that contradict themselves ---- */

static void config_with(const char *key, json_t *value) {
    json_t *c = config_of(&families[0]);
    if (value) json_object_set_new(c, key, value);
    else json_object_del(c, key);
    put_json("config.json", c);
}

/* F12: config.json contradicts tensors; both are named */
static void contradictions_name_both_sides(void **state) {
    (void)state;
    put_pair(&families[0]);
    config_with("hidden_size", json_integer(64));
    FOLDER_REFUSED("model.safetensors", "tensor model.", "has shape [", "config.json asks for [", "hidden_size");
    config_with("intermediate_size", json_integer(48));
    FOLDER_REFUSED("model.layers.0.mlp.", "[40, 32]", "config.json asks for [48, 32]", "intermediate_size");
    config_with("num_key_value_heads", json_integer(4));
    FOLDER_REFUSED("self_attn.k_proj.weight", "[16, 32]", "asks for [32, 32]", "num_key_value_heads x head_dim");
    config_with("vocab_size", json_integer(46));
    FOLDER_REFUSED("embed_tokens.weight", "[45, 32]", "asks for [46, 32]", "vocab_size");
    config_with("head_dim", json_integer(16));
    FOLDER_REFUSED("self_attn.", "config.json asks for", "head_dim");
    config_with("num_hidden_layers", json_integer(6));
    FOLDER_REFUSED("tensor model.layers.6.", "config.json's num_hidden_layers is 6");
    config_with("num_hidden_layers", json_integer(8));
    FOLDER_REFUSED("config.json: num_hidden_layers is 8", "model.layers.7 has 0 tensors");
    config_with("tie_word_embeddings", json_false());
    FOLDER_REFUSED("config.json: tie_word_embeddings is false", "lm_head.weight is missing");
}

static void wrong_configs_are_named(void **state) {
    (void)state;
    put_pair(&families[0]);
    config_with("model_type", json_string("mamba"));
    FOLDER_REFUSED("config.json: model_type \"mamba\" is not known", "llama, mistral, qwen2", "ministral3");
    config_with("model_type", NULL);
    FOLDER_REFUSED("config.json: model_type is missing");
    config_with("hidden_size", NULL);
    FOLDER_REFUSED("config.json: hidden_size is missing", "1 to 65536");
    config_with("num_attention_heads", json_integer(0));
    FOLDER_REFUSED("config.json: num_attention_heads is 0", "integers from 1 to 1024");
    config_with("num_hidden_layers", json_integer(1000000));
    FOLDER_REFUSED("config.json: num_hidden_layers is 1000000", "1 to 1024");
    config_with("rms_norm_eps", json_string("small"));
    FOLDER_REFUSED("config.json: rms_norm_eps is \"small\"", "numbers");
    config_with("hidden_act", json_string("relu"));
    FOLDER_REFUSED("config.json: hidden_act \"relu\"", "silu");
    config_with("quantization_config", json_pack("{s:s}", "quant_method", "gptq"));
    FOLDER_REFUSED("config.json: quantization_config \"gptq\"", "not read");
    config_with("rope_scaling", json_pack("{s:s}", "type", "ntk"));
    FOLDER_REFUSED("config.json: rope type \"ntk\" is not known", "llama3");
    config_with("rope_scaling",
                json_pack("{s:s, s:f, s:f}", "rope_type", "yarn", "factor", 4.0, "attention_factor", 2.0));
    FOLDER_REFUSED("config.json: attention_factor is 2");
    config_with("partial_rotary_factor", json_real(0.5));
    FOLDER_REFUSED("config.json: partial_rotary_factor is 0.5");
    put_text("config.json", "{\"model_type\": ");
    FOLDER_REFUSED("config.json: not valid JSON at line 1");
    put_text("config.json", "[]");
    FOLDER_REFUSED("config.json: its JSON is no object");
    unlink(tiny_path("config.json"));
    FOLDER_REFUSED("without config.json");
    put_pair(&families[4]);
    json_t *c = config_of(&families[4]), *list = json_array();
    for (int l = 0; l < A_LAYERS; l++) json_array_append_new(list, json_integer(1));
    json_object_set_new(c, "no_rope_layers", list);
    put_json("config.json", c);
    FOLDER_REFUSED("no_rope_layers[3] is 1", "every fourth");
}

static void wrong_tensors_are_named(void **state) {
    (void)state;
    const float values[16] = {1};
    struct {
        const char *name, *part;
    } extra[] = {{"model.layers.0.mlp.experts.0.weight", "has no place in a llama model"},
                 {"score.weight", "has no place in a llama model"},
                 {"model.layers.0.self_attn.q_norm.weight", "has shape [16]"}};
    for (size_t i = 0; i < COUNT(extra); i++) {
        struct st_make m = st_new();
        fresh_folder();
        st_add(&m, "model.embed_tokens.weight", TYPE_F32, 2, 8, values);
        st_add(&m, extra[i].name, TYPE_F32, 0, 16, values);
        st_put(&m, "model.safetensors");
        put_json("config.json", small_config(2));
        put_text("tokenizer.json",
                 "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}");
        FOLDER_REFUSED(extra[i].name, extra[i].part);
    }
    const char *header = "{\"model.embed_tokens.weight\":{\"dtype\":\"I8\",\"shape\":[5,8],\"data_offsets\":[0,40]}}";
    put_small_folder();
    put_image("model.safetensors", header, strlen(header), values, 40);
    FOLDER_REFUSED("model.embed_tokens.weight", "dtype I8", "F32, F16 and BF16");
}

/* F1: each file of a folder cut at every byte (the weights at some): an error, or the same model, but never a crash. */
static void folders_cut_anywhere_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors"};
    for (size_t i = 0; i < COUNT(names); i++) {
        put_small_folder();
        static char whole[1 << 16];
        FILE *f = fopen(tiny_path(names[i]), "rb");
        size_t size = fread(whole, 1, sizeof whole, f);
        fclose(f);
        for (size_t n = 0; n < size; n += n < 300 ? 1 : 37) {
            struct gguf *g;
            struct error e = {""};
            put_file(names[i], whole, n);
            if (hf_open(tiny_folder, &g, &e) == OK)
                fail_msg("%s cut to %zu of %zu bytes: the folder was opened", names[i], n, size);
            if (!strstr(e.text, names[i])) fail_msg("\"%s\" does not name %s", e.text, names[i]);
        }
    }
}

static void failed_allocations_are_errors(void **state) {
    (void)state;
    put_small_folder();
    for (int on = 0; on < 2; on++)
        for (size_t n = 1;; n++) {
            struct gguf *g;
            struct error e = {""};
            mem_fail_at(n, on);
            enum status st = hf_open(tiny_folder, &g, &e);
            mem_fail_at(0, false);
            if (st == OK) {
                gguf_close(&g);
                assert_true(n > 20);
                break;
            }
            if (st != ERR_MEMORY || !*e.text) fail_msg("allocation %zu fails: status %d, \"%s\"", n, (int)st, e.text);
            assert_null(g);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_the_file),   cmocka_unit_test(keys_are_those_of_the_file),
        cmocka_unit_test(pairs_turn_like_halves),         cmocka_unit_test(biases_go_with_their_rows),
        cmocka_unit_test(keys_come_from_the_config),      cmocka_unit_test(odd_headers_change_nothing),
        cmocka_unit_test(contradictions_name_both_sides), cmocka_unit_test(wrong_configs_are_named),
        cmocka_unit_test(wrong_tensors_are_named),        cmocka_unit_test(folders_cut_anywhere_are_refused),
        cmocka_unit_test(failed_allocations_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
