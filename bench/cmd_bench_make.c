/* cmd_bench_make.c: ponder bench make: a model file of a known shape with random weights.
 * Not the shapes: shapes.c.  Not the types: weights/quantize.c chooses as for `ponder quantize`.
 * Next: docs/BENCH.md.
 *
 * Weights come from a pool of blocks of 256 normal numbers: a row is a random choice of them.  A block is quantised once
 * and copied often, so a file is written about as fast as the disk takes it, yet its bytes are those that `ponder quantize`
 * makes of the F16 file with the same seed. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "bench/shapes.h"
#include "weights/quantize.h"

enum { BLOCK = 256, POOL = 512, QUANTIZATION_VERSION = 2 };

struct options {
    const char *shape, *type, *out;
    int64_t seed;
};

static const struct flag flags[] = {
    {"shape", "s", FLAG_TEXT, offsetof(struct options, shape), NULL, 0, 0, "NAME", "the model whose sizes to take"},
    {"type", NULL, FLAG_TEXT, offsetof(struct options, type), "f16", 0, 0, "TYPE", "of the weights, as for quantize"},
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FILE", "the file to write"},
    {"seed", NULL, FLAG_INT, offsetof(struct options, seed), "1", 0, 9e15, "N", "the same seed makes the same file"},
    {0},
};

/* The blocks as they stand in a tensor of one type, base and spread. */
struct pool {
    float unit[POOL * BLOCK]; /* mean 0, variance 1 */
    uint8_t bytes[POOL * BLOCK * sizeof(float)];
    enum tensor_type type;
    float base, spread;
    bool made;
};

struct source { /* of one tensor */
    struct pool *pool;
    struct shape_tensor t;
    enum tensor_type type;
    uint64_t key;
};

/* Eight 16-bit numbers added up are close to normal, and the same on every computer; libm's are not. */
static void make_units(struct pool *p, uint64_t seed) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (uint32_t i = 0; i < POOL * BLOCK; i++) {
        uint32_t counter[4] = {i, 0, 0, 0x756e6974}, r[4], sum = 0;
        rng_block(counter, key, r);
        for (int j = 0; j < 4; j++) sum += (r[j] & 0xffff) + (r[j] >> 16);
        p->unit[i] = ((float)sum / 65535 - 4) * 1.2247449F; /* the variance of the sum is 8/12 */
    }
}

/* Rounded to f16 first: what an F16 file of the same seed holds. */
static void make_blocks(struct pool *p, const struct source *s) {
    float x[BLOCK];
    if (p->made && p->type == s->type && p->base == s->t.base && p->spread == s->t.spread) return;
    size_t bytes = type_row_bytes(s->type, BLOCK);
    for (size_t b = 0; b < POOL; b++) {
        for (size_t i = 0; i < BLOCK; i++)
            x[i] = f16_to_f32(f32_to_f16(s->t.base + s->t.spread * p->unit[b * BLOCK + i]));
        type_from_f32(s->type, x, p->bytes + b * bytes, BLOCK);
    }
    p->type = s->type, p->base = s->t.base, p->spread = s->t.spread, p->made = true;
}

static void make_rows(void *arg, uint64_t row, uint64_t n, void *dst) {
    struct source *s = arg;
    const size_t cols = s->t.dims[0], bytes = type_row_bytes(s->type, BLOCK),
                 last = type_row_bytes(s->type, cols % BLOCK);
    const uint64_t per_row = (cols + BLOCK - 1) / BLOCK;
    uint8_t *to = dst;
    make_blocks(s->pool, s);
    for (uint64_t at = row * per_row; at < (row + n) * per_row; at++) {
        size_t size = cols % BLOCK && at % per_row == per_row - 1 ? last : bytes;
        memcpy(to, s->pool->bytes + rng_below(s->key, at, POOL) * bytes, size);
        to += size;
    }
}

/* sources and factors live until the file is written. */
static void add_tensors(const struct shape *shape, const struct quant_recipe *r, struct pool *pool, uint64_t seed,
                        struct source *sources, struct shape_tensor *tensors, struct gguf_writer *w) {
    size_t n = shape_tensors(shape, tensors);
    const struct quant_model m = {shape->n_layer, shape->untied};
    for (size_t i = 0; i < n; i++) {
        const struct shape_tensor *t = &tensors[i];
        struct gguf_tensor as = {
            .name = {t->name, strlen(t->name)}, .type = t->n_dims > 1 ? TYPE_F16 : TYPE_F32, .n_dims = t->n_dims};
        memcpy(as.dims, t->dims, sizeof as.dims);
        sources[i] = (struct source){pool, *t, quantize_choose(r, &m, &as), rng_fold(seed, i)};
        gguf_add_rows(w, t->name, sources[i].type, t->n_dims, t->dims, make_rows, &sources[i]);
    }
}

static enum status make_file(const struct shape *shape, const struct quant_recipe *r, const struct options *o,
                             struct error *e) {
    float factors[512];
    uint64_t n_factors = shape->head_dim / 2;
    struct gguf_writer *w = NULL;
    struct pool *pool = mem_new(1, sizeof *pool);
    struct source *sources = mem_new(SHAPE_MAX_TENSORS, sizeof *sources);
    struct shape_tensor *tensors = mem_new(SHAPE_MAX_TENSORS, sizeof *tensors);
    enum status s = pool && sources && tensors ? gguf_writer_new(&w, e) : error_set(e, ERR_MEMORY, "no memory");
    if (s == OK && !shape_add_keys(shape, w)) s = error_set(e, ERR_MEMORY, "no memory for a vocabulary");
    if (s == OK) {
        gguf_add_u32(w, "general.file_type", r->file_type);
        if (type_info(r->base)->block_weights > 1)
            gguf_add_u32(w, "general.quantization_version", QUANTIZATION_VERSION);
        make_units(pool, (uint64_t)o->seed);
        add_tensors(shape, r, pool, (uint64_t)o->seed, sources, tensors, w);
        shape_rope_factors(shape, factors);
        if (shape->rope_factor > 0) gguf_add_tensor(w, "rope_freqs.weight", TYPE_F32, 1, &n_factors, factors);
        s = gguf_write(w, o->out, e);
    }
    gguf_writer_free(&w);
    mem_free(pool);
    mem_free(sources);
    mem_free(tensors);
    return s;
}

int bench_make(int argc, char **argv) {
    struct options o = {0};
    struct error e;
    char names[400], about[700], types[160] = "";
    shape_names(names, sizeof names);
    snprintf(about, sizeof about,
             "Writes a model file with the tensors and keys of a known model and random weights.\nShapes: %s.\n",
             names);
    struct args a = {.command = "bench make", .usage = "", .flags = flags, .options = &o, .about = about};
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "\"%.60s\" is one word too many", a.rest[0]);
    if (!o.shape) return args_wrong(&a, "--shape is missing: one of %s", names);
    if (!o.out) return args_wrong(&a, "--out is missing: the file to write");
    const struct shape *shape = shape_find(o.shape);
    if (!shape) return args_wrong(&a, "--shape: \"%.60s\" is none of %s", o.shape, names);
    const struct quant_recipe *r = quantize_recipe(o.type);
    for (const struct quant_recipe *x = quant_recipes; x->name; x++)
        snprintf(types + strlen(types), sizeof types - strlen(types), "%s%s", *types ? " " : "", x->name);
    if (!r) return args_wrong(&a, "--type: \"%.60s\" is none of %s", o.type, types);
    return make_file(shape, r, &o, &e) ? args_failed(&a, e.text) : EXIT_GOOD;
}
