/* shapes.c: the table, and what follows from a row of it.
 * Not the random numbers: cmd_bench_make.c.
 * Next: shapes_vocab.c for the keys. */
#include "bench/shapes.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Sizes are facts of the published config.json files. */
static const struct shape shapes[] = {
    {"qwen2.5-0.5b", "qwen2", 24, 896, 4864, 14, 2, 64, 151936, 32768, 1e6F, 1e-6F, .qkv_bias = true, .pre = "qwen2",
     .special = 151643, .n_special = 293, .bos = 151643, .eos = 151645},
    {"qwen2.5-1.5b", "qwen2", 28, 1536, 8960, 12, 2, 128, 151936, 32768, 1e6F, 1e-6F, .qkv_bias = true, .pre = "qwen2",
     .special = 151643, .n_special = 293, .bos = 151643, .eos = 151645},
    {"qwen3-0.6b", "qwen3", 28, 1024, 3072, 16, 8, 128, 151936, 40960, 1e6F, 1e-6F, .qk_norm = true, .pre = "qwen2",
     .special = 151643, .n_special = 293, .bos = 151643, .eos = 151645},
    {"qwen3-1.7b", "qwen3", 28, 2048, 6144, 16, 8, 128, 151936, 40960, 1e6F, 1e-6F, .qk_norm = true, .pre = "qwen2",
     .special = 151643, .n_special = 293, .bos = 151643, .eos = 151645},
    {"llama-3.2-1b", "llama", 16, 2048, 8192, 32, 8, 64, 128256, 131072, 5e5F, 1e-5F, .rope_factor = 32,
     .pre = "llama-bpe", .special = 128000, .n_special = 256, .bos = 128000, .eos = 128009},
    {"llama-3.2-3b", "llama", 28, 3072, 8192, 24, 8, 128, 128256, 131072, 5e5F, 1e-5F, .rope_factor = 32,
     .pre = "llama-bpe", .special = 128000, .n_special = 256, .bos = 128000, .eos = 128009},
    {"smollm2-135m", "llama", 30, 576, 1536, 9, 3, 64, 49152, 8192, 1e5F, 1e-5F, .pre = "smollm", .n_special = 17,
     .bos = 1, .eos = 2},
    {"smollm2-360m", "llama", 32, 960, 2560, 15, 5, 64, 49152, 8192, 1e5F, 1e-5F, .pre = "smollm", .n_special = 17,
     .bos = 1, .eos = 2},
    {"smollm2-1.7b", "llama", 24, 2048, 8192, 32, 32, 64, 49152, 8192, 1.3e5F, 1e-5F, .pre = "smollm", .n_special = 17,
     .bos = 1, .eos = 2},
    {"tinyllama-1.1b", "llama", 22, 2048, 5632, 32, 4, 64, 32000, 2048, 1e4F, 1e-5F, .untied = true, .vocab = VOCAB_SPM,
     .n_special = 3, .bos = 1, .eos = 2},
    {"tiny", "llama", 2, 256, 512, 4, 2, 64, 400, 2048, 1e4F, 1e-5F, .pre = "smollm", .n_special = 3, .bos = 1,
     .eos = 2, .hidden = true},
    {"tiny-odd", "qwen2", 3, 96, 288, 3, 1, 32, 500, 1024, 1e6F, 1e-6F, .qkv_bias = true, .pre = "qwen2",
     .special = 490, .n_special = 10, .bos = 490, .eos = 491, .hidden = true},
    {"tiny-spm", "llama", 2, 64, 128, 2, 1, 32, 400, 512, 1e4F, 1e-5F, .untied = true, .rope_factor = 8,
     .vocab = VOCAB_SPM, .n_special = 3, .bos = 1, .eos = 2, .hidden = true},
    {"tiny-qwen3", "qwen3", 2, 64, 128, 4, 2, 32, 400, 512, 1e6F, 1e-6F, .qk_norm = true, .pre = "qwen2",
     .special = 390, .n_special = 10, .bos = 390, .eos = 391, .hidden = true},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

const struct shape *shape_find(const char *name) {
    for (size_t i = 0; i < N_SHAPES; i++)
        if (!strcmp(shapes[i].name, name)) return &shapes[i];
    return NULL;
}

void shape_names(char *text, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < N_SHAPES && n < size; i++)
        if (!shapes[i].hidden) n += (size_t)snprintf(text + n, size - n, "%s%s", n ? ", " : "", shapes[i].name);
}

/* Where the next tensor goes. */
struct list {
    struct shape_tensor *t;
    size_t n;
    uint32_t layer;
};

/* Products of a normed row with spread 1/sqrt(cols) are about 1 each. */
static void add(struct list *l, struct shape_tensor t) {
    assert(l->n < SHAPE_MAX_TENSORS);
    l->t[l->n++] = t;
}

static void add_matrix(struct list *l, const char *name, uint64_t cols, uint64_t rows, float gain) {
    struct shape_tensor t = {.n_dims = 2, .dims = {cols, rows, 1, 1}, .spread = gain / sqrtf((float)cols)};
    snprintf(t.name, sizeof t.name, "%s", name);
    add(l, t);
}

static void add_part(struct list *l, const char *part, uint64_t cols, uint64_t rows) {
    char name[64];
    snprintf(name, sizeof name, "blk.%u.%s", l->layer, part);
    add_matrix(l, name, cols, rows, 1);
}

static void add_vector(struct list *l, const char *part, uint64_t n, float base, float spread) {
    struct shape_tensor t = {.n_dims = 1, .dims = {n, 1, 1, 1}, .base = base, .spread = spread};
    snprintf(t.name, sizeof t.name, "blk.%u.%s", l->layer, part);
    add(l, t);
}

static void add_layer(struct list *l, const struct shape *s) {
    const float norm = 0.05F, bias = 0.1F;
    const uint64_t d = s->n_embd, q = (uint64_t)s->n_head * s->head_dim, kv = (uint64_t)s->n_head_kv * s->head_dim;
    add_vector(l, "attn_norm.weight", d, 1, norm);
    add_part(l, "attn_q.weight", d, q);
    add_part(l, "attn_k.weight", d, kv);
    add_part(l, "attn_v.weight", d, kv);
    if (s->qkv_bias) {
        add_vector(l, "attn_q.bias", q, 0, bias);
        add_vector(l, "attn_k.bias", kv, 0, bias);
        add_vector(l, "attn_v.bias", kv, 0, bias);
    }
    if (s->qk_norm) {
        add_vector(l, "attn_q_norm.weight", s->head_dim, 1, norm);
        add_vector(l, "attn_k_norm.weight", s->head_dim, 1, norm);
    }
    add_part(l, "attn_output.weight", q, d);
    add_vector(l, "ffn_norm.weight", d, 1, norm);
    add_part(l, "ffn_gate.weight", d, s->n_ff);
    add_part(l, "ffn_up.weight", d, s->n_ff);
    add_part(l, "ffn_down.weight", s->n_ff, d);
}

size_t shape_tensors(const struct shape *s, struct shape_tensor *t) {
    const float logits = 2; /* their standard deviation */
    struct list l = {.t = t};
    struct shape_tensor norm = {"output_norm.weight", 1, {s->n_embd, 1, 1, 1}, 1, 0.05F};
    add_matrix(&l, "token_embd.weight", s->n_embd, s->n_vocab, logits);
    for (; l.layer < s->n_layer; l.layer++) add_layer(&l, s);
    add(&l, norm);
    if (s->untied) add_matrix(&l, "output.weight", s->n_embd, s->n_vocab, logits);
    return l.n;
}

void shape_rope_factors(const struct shape *s, float *factors) {
    const double context = 8192, low = 1, high = 4, turn = 6.283185307179586;
    for (uint32_t i = 0; i < s->head_dim / 2; i++) {
        double wave = turn * pow((double)s->rope_base, 2.0 * i / s->head_dim);
        double blend = (context / wave - low) / (high - low); /* of 1 against 1/factor; outside [0, 1]: one alone */
        blend = blend < 0 ? 0 : blend > 1 ? 1 : blend;
        factors[i] = (float)(1 / ((1 - blend) / (double)s->rope_factor + blend));
    }
}
