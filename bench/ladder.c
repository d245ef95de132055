/* ladder.c: the same product and the same attention written again and again, from the textbook to the shipped kernels, each
 * rung checked against the first and timed on one core.
 * Not the kernels: ops/.  The rungs below them are for reading.
 * Next: docs/KERNELS.md, which tells the story; ops/int_lanes.h, the last rung of the products.
 *
 *   make ladder && build/bench/ladder [-o md|csv|json|jsonl] [-r ROUNDS] [--prefix CELLS] */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "bench/bench_out.h"
#include "bench/probe.h"
#include "model/forward.h"
#include "ops/ops.h"

/* The rungs are compiled for AVX2 where there is one; elsewhere the compiler does what it can. */
#if defined(__x86_64__)
#include <immintrin.h>
#define WIDE __attribute__((target("avx2,fma,f16c")))
#else
#define WIDE
#endif
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define INLINE_WIDE WIDE static inline __attribute__((always_inline))

/* One token reads a matrix that no cache holds; many tokens take the first of its rows, which a cache does hold. */
enum { COLS = 2048, STREAM_ROWS = 1 << 15, CACHED_ROWS = 256, TOKENS = 64, DISTINCT_ROWS = 256, MIN_NS = 100000000 };
/* Attention as in Qwen2.5-0.5B: layers of 2 kv heads, 7 query heads for each of them; 8 of its 24 layers. */
enum { KV_HEADS = 16, GROUP = 7, HEAD_DIM = 64, BRANCHES = 16, QUERIES = GROUP * BRANCHES, NEAR_PAGES = 4 };

/* 32 activations with one scale, as most runtimes round them: x[k] ~ d * q[k]. */
struct block32 {
    float d;
    int8_t q[32];
};

/* y[j][r] = sum over k of w[r][k] * x[j][k], the weights in three forms. */
struct product {
    enum tensor_type type;
    uint32_t rows, n;     /* of this call */
    float *f32;           /* [rows, COLS] */
    uint8_t *file;        /* [rows] rows of blocks, as in a GGUF file */
    struct panels panels; /* the same blocks, 16 rows together */
    float *x;             /* [n, row_ld(COLS)] */
    struct block32 *x32;  /* [n, COLS / 32] */
    struct act_block *x8; /* [n, row8_ld(COLS)] */
    float *y;             /* [n, rows] */
};

/* ---- rung 1: naive: a product is a dot product per output ---- */

static void naive(void *arg) {
    const struct product *p = arg;
    for (uint32_t j = 0; j < p->n; j++)
        for (uint32_t r = 0; r < p->rows; r++) {
            const float *w = p->f32 + (size_t)r * COLS, *x = p->x + j * row_ld(COLS);
            float sum = 0;
            for (size_t k = 0; k < COLS; k++) sum += w[k] * x[k];
            p->y[j * p->rows + r] = sum;
        }
}

/* ---- rung 2: blocked: a tile of 4 rows and 2 tokens lives in registers, 256 k at a time in the nearest cache ---- */

enum { TILE_ROWS = 4, TILE_TOKENS = 2, TILE_K = 256 };
typedef float lanes __attribute__((vector_size(32))); /* eight floats; the compiler finds the instructions */

INLINE_WIDE lanes load(const float *p) {
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Lane l of a sum holds k = l, l + 8, ...: every output needs a horizontal sum in the end. */
INLINE_WIDE void f32_tile(const float *w, const float *x, float *y, size_t ldy, size_t n_tokens) {
    lanes sum[TILE_TOKENS][TILE_ROWS] = {{{0}}};
    for (size_t k = 0; k < TILE_K; k += 8) {
        UNROLL
        for (size_t r = 0; r < TILE_ROWS; r++) {
            UNROLL
            for (size_t j = 0; j < n_tokens; j++) sum[j][r] += load(w + r * COLS + k) * load(x + j * row_ld(COLS) + k);
        }
    }
    UNROLL
    for (size_t j = 0; j < n_tokens; j++) {
        UNROLL
        for (size_t r = 0; r < TILE_ROWS; r++) {
            UNROLL
            for (size_t l = 0; l < 8; l++) y[j * ldy + r] += sum[j][r][l];
        }
    }
}

WIDE static void blocked(void *arg) {
    const struct product *p = arg;
    memset(p->y, 0, (size_t)p->n * p->rows * sizeof *p->y);
    for (uint32_t r = 0; r < p->rows; r += TILE_ROWS)
        for (size_t k = 0; k < COLS; k += TILE_K) {
            const float *w = p->f32 + (size_t)r * COLS + k, *x = p->x + k;
            uint32_t j = 0;
            for (; j + TILE_TOKENS <= p->n; j += TILE_TOKENS)
                f32_tile(w, x + j * row_ld(COLS), p->y + (size_t)j * p->rows + r, p->rows, TILE_TOKENS);
            for (; j < p->n; j++) f32_tile(w, x + j * row_ld(COLS), p->y + (size_t)j * p->rows + r, p->rows, 1);
        }
}

/* ---- rung 3: int8: weights as they are in the file, activations rounded, a row and a token at a time ---- */

static void round_activations(struct block32 *to, const float *x) {
    for (size_t k = 0; k < COLS; k += 32, to++) {
        float most = 0;
        for (size_t i = 0; i < 32; i++) most = fabsf(x[k + i]) > most ? fabsf(x[k + i]) : most;
        to->d = most / 127;
        for (size_t i = 0; i < 32; i++) to->q[i] = (int8_t)(most > 0 ? nearbyintf(x[k + i] * (127 / most)) : 0);
    }
}

#if defined(__x86_64__)
INLINE_WIDE __m256i unpack(enum tensor_type type, const uint8_t *q) {
    if (type == TYPE_Q8_0) return _mm256_loadu_si256((const __m256i *)(const void *)q);
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)q), low = _mm_set1_epi8(15);
    const __m256i both = _mm256_set_m128i(_mm_and_si128(_mm_srli_epi16(v, 4), low), _mm_and_si128(v, low));
    return _mm256_sub_epi8(both, _mm256_set1_epi8(8));
}

/* maddubs wants one factor without a sign, so the sign of w goes to q; then pairs of pairs, to 32 bits, to floats. */
INLINE_WIDE float int8_dot(enum tensor_type type, const uint8_t *w, const struct block32 *x, size_t block_bytes) {
    lanes sum = {0};
    float all = 0;
    for (size_t b = 0; b < COLS / 32; b++, w += block_bytes, x++) {
        uint16_t half;
        memcpy(&half, w, sizeof half);
        const __m256i v = unpack(type, w + 2), q = _mm256_loadu_si256((const __m256i *)(const void *)x->q);
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(v), _mm256_sign_epi8(q, v));
        const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        sum += (lanes)_mm256_cvtepi32_ps(fours) * (_cvtsh_ss(half) * x->d);
    }
    for (int l = 0; l < 8; l++) all += sum[l];
    return all;
}
#else
INLINE_WIDE float int8_dot(enum tensor_type type, const uint8_t *w, const struct block32 *x, size_t block_bytes) {
    float sum = 0;
    for (size_t b = 0; b < COLS / 32; b++, w += block_bytes, x++) {
        uint16_t half;
        int i = 0;
        memcpy(&half, w, sizeof half);
        if (type == TYPE_Q8_0)
            for (int k = 0; k < 32; k++) i += (int8_t)w[2 + k] * x->q[k];
        else
            for (int k = 0; k < 32; k++) i += ((w[2 + k % 16] >> k / 16 * 4 & 15) - 8) * x->q[k];
        sum += (float)i * (f16_to_f32(half) * x->d);
    }
    return sum;
}
#endif

WIDE static void int8_rows(void *arg) {
    const struct product *p = arg;
    const size_t block = type_info(p->type)->block_bytes, row = type_row_bytes(p->type, COLS);
    for (uint32_t j = 0; j < p->n; j++) round_activations(p->x32 + j * (COLS / 32), p->x + j * row_ld(COLS));
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t j = 0; j < p->n; j++) {
            const struct block32 *x = p->x32 + j * (COLS / 32);
            p->y[(size_t)j * p->rows + r] = p->type == TYPE_Q8_0 ? int8_dot(TYPE_Q8_0, p->file + r * row, x, block)
                                                                 : int8_dot(TYPE_Q4_0, p->file + r * row, x, block);
        }
}

/* ---- rung 4: repacked: the shipped product ---- */

static void panels(void *arg) {
    const struct product *p = arg;
    const struct ops *ops = ops_get();
    for (uint32_t j = 0; j < p->n; j++) ops->quantize(p->x8 + j * row8_ld(COLS), p->x + j * row_ld(COLS), COLS);
    ops->matmul(p->y, p->rows, &p->panels, 0, p->rows, NULL, 0, p->x8, row8_ld(COLS), p->n);
}

/* ---- attention: every query over the cells of its kv head ---- */

struct cells {
    size_t n_cells;
    float *k, *v; /* [KV_HEADS, n_cells, HEAD_DIM] */
    struct kv *f16, *i16;
    uint32_t seq; /* the only one, in both */
    uint32_t *end;
    size_t *offset;
    float *q, *o, *q_i16; /* [KV_HEADS, QUERIES, HEAD_DIM], queries of one branch one after another; q_i16: rounded */
    float *m, *l, *s;
};

/* Rung 1: scores, softmax, weighted sum, for a query at a time. */
static void attend_naive(void *arg) {
    const struct cells *a = arg;
    for (size_t i = 0; i < KV_HEADS * QUERIES; i++) {
        const float *q = a->q + i * HEAD_DIM, *k = a->k + i / QUERIES * a->n_cells * HEAD_DIM;
        const float *v = a->v + i / QUERIES * a->n_cells * HEAD_DIM;
        float *o = a->o + i * HEAD_DIM, most = -INFINITY, sum = 0;
        for (size_t t = 0; t < a->n_cells; t++) {
            float s = 0;
            for (size_t d = 0; d < HEAD_DIM; d++) s += q[d] * k[t * HEAD_DIM + d];
            a->s[t] = s / sqrtf(HEAD_DIM);
            most = a->s[t] > most ? a->s[t] : most;
        }
        memset(o, 0, HEAD_DIM * sizeof *o);
        for (size_t t = 0; t < a->n_cells; t++) {
            const float weight = expf(a->s[t] - most);
            sum += weight;
            for (size_t d = 0; d < HEAD_DIM; d++) o[d] += weight * v[t * HEAD_DIM + d];
        }
        for (size_t d = 0; d < HEAD_DIM; d++) o[d] /= sum;
    }
}

/* The kernel over the pages of all kv heads, `together` queries a call, `n_pages` pages a call. */
static void attend_pages(const struct cells *a, const struct kv *kv, size_t together, size_t n_pages) {
    const size_t all_pages = a->n_cells / KV_PAGE;
    const float *q = kv_type(kv) == KV_I16 ? a->q_i16 : a->q;
    for (size_t i = 0; i < KV_HEADS * QUERIES; i++) a->m[i] = -INFINITY, a->l[i] = 0;
    memset(a->o, 0, sizeof *a->o * KV_HEADS * QUERIES * HEAD_DIM);
    for (size_t i = 0; i < KV_HEADS * QUERIES; i += together)
        for (size_t page = 0; page < all_pages; page += n_pages) {
            const uint32_t head = (uint32_t)(i / QUERIES);
            ops_get()->attend[kv_type(kv)](
                &(struct attend_args){.q = q + i * HEAD_DIM,
                                      .o = a->o + i * HEAD_DIM,
                                      .q_offset = a->offset,
                                      .o_offset = a->offset,
                                      .m = a->m + i,
                                      .l = a->l + i,
                                      .end = a->end,
                                      .first = (uint32_t)(page * KV_PAGE),
                                      .pages = kv_table(kv, a->seq) + page,
                                      .n_pages = n_pages < all_pages - page ? n_pages : all_pages - page,
                                      .page_bytes = kv_page_bytes(kv),
                                      .k = kv_k(kv, 0, 0, head),
                                      .v = kv_v(kv, 0, 0, head),
                                      .n_rows = together,
                                      .head_dim = HEAD_DIM,
                                      .scale = 1 / sqrtf(HEAD_DIM)});
        }
    for (size_t i = 0; i < KV_HEADS * QUERIES * HEAD_DIM; i++) a->o[i] /= a->l[i / HEAD_DIM];
}

static void attend_rows(void *arg) { attend_pages(arg, ((struct cells *)arg)->f16, 1, SIZE_MAX); }
static void attend_branches(void *arg) { attend_pages(arg, ((struct cells *)arg)->f16, GROUP, SIZE_MAX); }
static void attend_page_major(void *arg) { attend_pages(arg, ((struct cells *)arg)->f16, QUERIES, NEAR_PAGES); }
static void attend_integers(void *arg) { attend_pages(arg, ((struct cells *)arg)->i16, QUERIES, NEAR_PAGES); }

/* ---- operands ---- */

/* Near enough to a normal distribution: the error of rounding depends on it. */
static float normal(uint64_t key, size_t i) {
    float sum = 0;
    for (uint64_t k = 0; k < 4; k++) sum += (float)rng_uniform(key, i * 4 + k) - 0.5F;
    return sum * 1.7320508F;
}

/* Some random rows, repeated: time does not depend on the values. */
static enum status product_new(struct product *p, enum tensor_type type, struct probe_memory memory[3],
                               struct error *e) {
    const size_t row = type_row_bytes(type, COLS), packed = panel_bytes(type, PANEL_INT8, STREAM_ROWS, COLS);
    *p = (struct product){.type = type};
    p->x = mem_new(TOKENS * row_ld(COLS), sizeof *p->x);
    p->x32 = mem_new(TOKENS * (COLS / 32), sizeof *p->x32);
    p->x8 = mem_new(TOKENS * row8_ld(COLS), sizeof *p->x8);
    p->y = mem_new((size_t)TOKENS * CACHED_ROWS + STREAM_ROWS, sizeof *p->y);
    if (!p->x || !p->x32 || !p->x8 || !p->y) return error_set(e, ERR_MEMORY, "no memory for %d tokens", TOKENS);
    enum status s = probe_memory_new(&memory[0], sizeof *p->f32 * STREAM_ROWS * COLS, e);
    if (!s) s = probe_memory_new(&memory[1], row * STREAM_ROWS, e);
    if (!s) s = probe_memory_new(&memory[2], packed, e);
    if (s) return s;
    p->f32 = memory[0].data, p->file = memory[1].data;
    p->panels =
        (struct panels){type, PANEL_INT8, STREAM_ROWS, COLS, packed / (STREAM_ROWS / PANEL_ROWS), memory[2].data};
    for (size_t i = 0; i < TOKENS * row_ld(COLS); i++) p->x[i] = normal(1, i);
    for (size_t i = 0; i < DISTINCT_ROWS * COLS; i++) p->f32[i] = normal(2, i);
    for (size_t r = 0; r < STREAM_ROWS; r++) {
        if (r < DISTINCT_ROWS) type_from_f32(type, p->f32 + r * COLS, p->file + r * row, COLS);
        else memcpy(p->file + r * row, p->file + r % DISTINCT_ROWS * row, row);
        type_to_f32(type, p->file + r * row, p->f32 + r * COLS, COLS);
    }
    panel_pack(&p->panels, p->file, row, 0, STREAM_ROWS / PANEL_ROWS, memory[2].data);
    return OK;
}

static void product_free(struct product *p, struct probe_memory memory[3]) {
    for (int i = 0; i < 3; i++) probe_memory_free(&memory[i]);
    mem_free(p->x);
    mem_free(p->x32);
    mem_free(p->x8);
    mem_free(p->y);
}

/* K and V of all cells in pages of a type. */
static enum status pages_new(struct cells *a, enum kv_type type, struct kv **out, struct error *e) {
    const uint32_t n = (uint32_t)a->n_cells;
    enum status s = kv_new((struct kv_shape){.n_layer = 1, .n_head_kv = KV_HEADS, .head_dim = HEAD_DIM, .type = type}, n / KV_PAGE, 1, n, out, e);
    if (s) return s;
    struct kv_holder *h = kv_holder_new(*out);
    if (!h) return error_set(e, ERR_MEMORY, "no memory for a holder of pages");
    const struct kv_need need = {a->seq = kv_seq_new(*out, h), n};
    if ((s = kv_reserve(*out, &need, 1, e))) return s;
    for (uint32_t head = 0; head < KV_HEADS; head++)
        for (uint32_t t = 0; t < n; t++) {
            const size_t at = (head * a->n_cells + t) * HEAD_DIM;
            kv_write(*out, kv_table(*out, a->seq)[t / KV_PAGE], t % KV_PAGE, 0, head, a->k + at, a->v + at);
        }
    return OK;
}

static enum status cells_new(struct cells *a, size_t n_cells, struct error *e) {
    const size_t n = KV_HEADS * n_cells * HEAD_DIM, rows = KV_HEADS * QUERIES;
    *a = (struct cells){.n_cells = n_cells,
                        .k = mem_new(n, sizeof *a->k),
                        .v = mem_new(n, sizeof *a->v),
                        .end = mem_new(QUERIES, sizeof *a->end),
                        .offset = mem_new(QUERIES, sizeof *a->offset),
                        .q = mem_new(rows * HEAD_DIM, sizeof *a->q),
                        .o = mem_new(rows * HEAD_DIM, sizeof *a->o),
                        .q_i16 = mem_new(rows * HEAD_DIM, sizeof *a->q_i16),
                        .m = mem_new(rows, sizeof *a->m),
                        .l = mem_new(rows, sizeof *a->l),
                        .s = mem_new(n_cells, sizeof *a->s)};
    if (!a->k || !a->v || !a->end || !a->offset || !a->q || !a->o || !a->q_i16 || !a->m || !a->l || !a->s)
        return error_set(e, ERR_MEMORY, "no memory for %zu cells", n_cells);
    for (size_t i = 0; i < QUERIES; i++) a->end[i] = (uint32_t)n_cells, a->offset[i] = i * HEAD_DIM;
    for (size_t i = 0; i < rows * HEAD_DIM; i++) a->q[i] = normal(3, i);
    memcpy(a->q_i16, a->q, rows * HEAD_DIM * sizeof *a->q);
    attention_round_queries(a->q_i16, rows, HEAD_DIM);
    for (size_t i = 0; i < n; i++)
        a->k[i] = f16_to_f32(f32_to_f16(normal(4, i))), a->v[i] = f16_to_f32(f32_to_f16(normal(5, i)));
    enum status s = pages_new(a, KV_F16, &a->f16, e);
    return s ? s : pages_new(a, KV_I16, &a->i16, e);
}

static void cells_free(struct cells *a) {
    void *all[] = {a->k, a->v, a->end, a->offset, a->q, a->o, a->q_i16, a->m, a->l, a->s};
    kv_free(&a->f16);
    kv_free(&a->i16);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

/* ---- measuring ---- */

struct rung {
    const char *name;
    void (*run)(void *arg);
    double bytes; /* of weights or K and V that it reads at least */
    double nmse;  /* allowed against the first rung */
};
enum { MAX_RUNGS = 5 };

struct ladder {
    const char *bench, *what;
    const struct rung *rungs;
    int n_rungs;
    void *arg;
    const float *out; /* [n_out] what every rung makes */
    size_t n_out;
    double work; /* multiply-accumulates, or (query, cell) pairs */
};

/* Nanoseconds of one call: the best of some, so that a round says what the core does while it is ours. */
static double time_of(const struct rung *r, void *arg) {
    double best = 1e18;
    for (uint64_t start = clock_ns(), before = start, now = start; now - start < MIN_NS; before = now) {
        r->run(arg);
        now = clock_ns();
        best = (double)(now - before) < best ? (double)(now - before) : best;
    }
    return best;
}

static double nmse_of(const float *a, const float *truth, size_t n) {
    double error = 0, power = 0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)a[i] - truth[i]) * ((double)a[i] - truth[i]);
        power += (double)truth[i] * truth[i];
    }
    return error / power;
}

/* Runs every rung once: what it makes must be what the first makes, up to rounding. */
static enum status check(const struct ladder *l, double nmse[], struct error *e) {
    float *truth = mem_new(l->n_out, sizeof *truth);
    enum status s = truth ? OK : error_set(e, ERR_MEMORY, "no memory for %zu outputs", l->n_out);
    for (int i = 0; !s && i < l->n_rungs; i++) {
        memset((float *)l->out, 0xff, l->n_out * sizeof *l->out);
        l->rungs[i].run(l->arg);
        if (i == 0) memcpy(truth, l->out, l->n_out * sizeof *truth);
        nmse[i] = nmse_of(l->out, truth, l->n_out);
        if (!(nmse[i] <= l->rungs[i].nmse))
            s = error_set(e, ERR_INPUT, "%s, %s: NMSE %g against %s, allowed %g", l->what, l->rungs[i].name, nmse[i],
                          l->rungs[0].name, l->rungs[i].nmse);
    }
    mem_free(truth);
    return s;
}

static enum status climb(const struct ladder *l, struct bench_out *out, struct error *e) {
    static struct samples ns[MAX_RUNGS], ghz;
    double nmse[MAX_RUNGS];
    const bool products = !strcmp(l->bench, "ladder");
    enum status s = check(l, nmse, e);
    if (s) return s;
    ghz.n = 0;
    for (int i = 0; i < l->n_rungs; i++) ns[i].n = 0;
    for (int round = 0; round < out->options->rounds; round++) {
        samples_add(&ghz, probe_ghz());
        for (int i = 0; i < l->n_rungs; i++) samples_add(&ns[i], time_of(&l->rungs[i], l->arg));
    }
    for (int i = 0; i < l->n_rungs; i++) {
        const double now = samples_median(&ns[i]), cycles = now * samples_median(&ghz);
        json_t *row = json_object();
        json_object_set_new(row, "bench", json_string(l->bench));
        json_object_set_new(row, products ? "product" : "attention", json_string(l->what));
        json_object_set_new(row, "rung", json_string(l->rungs[i].name));
        json_object_set_new(row, products ? "mac_per_cycle" : "cycles_per_query_and_cell",
                            json_real(products ? l->work / cycles : cycles / l->work));
        json_object_set_new(row, "gb_per_second", json_real(l->rungs[i].bytes / now));
        json_object_set_new(row, "gain", json_real(i ? samples_median(&ns[i - 1]) / now : 1));
        json_object_set_new(row, "over_first", json_real(samples_median(&ns[0]) / now));
        json_object_set_new(row, "nmse", json_real(nmse[i]));
        bench_metric(row, "ns", &ns[i]);
        json_object_set_new(row, "ghz", json_real(samples_median(&ghz)));
        json_object_set_new(row, "threads", json_integer(1));
        bench_row(out, row);
    }
    return OK;
}

static enum status climb_products(enum tensor_type type, struct bench_out *out, struct error *e) {
    struct product p = {0};
    struct probe_memory memory[3] = {{0}};
    char what[32];
    enum status s = product_new(&p, type, memory, e);
    for (int many = 0; !s && many < 2; many++) {
        p.n = many ? TOKENS : 1, p.rows = many ? CACHED_ROWS : STREAM_ROWS;
        const double weights = (double)p.rows * COLS, bytes = (double)type_row_bytes(type, COLS) * p.rows;
        const struct rung rungs[] = {{"naive f32", naive, weights * 4, 0},
                                     {"blocked f32", blocked, weights * 4, 1e-10},
                                     {"int8 by row", int8_rows, bytes, 1e-4},
                                     {"panels", panels, bytes, 5e-5}};
        snprintf(what, sizeof what, "%s, %u token%s", type_info(type)->name, p.n, many ? "s" : "");
        s = climb(&(struct ladder){"ladder", what, rungs, 4, &p, p.y, (size_t)p.n * p.rows, weights * p.n}, out, e);
    }
    product_free(&p, memory);
    return s;
}

static enum status climb_attention(size_t n_cells, struct bench_out *out, struct error *e) {
    struct cells a = {0};
    const double halves = 2.0 * KV_HEADS * HEAD_DIM * (double)n_cells;
    const struct rung rungs[] = {{"naive f32", attend_naive, halves * 4, 0},
                                 {"pages, a query at a time", attend_rows, halves * 2, 1e-9},
                                 {"pages, a branch at a time", attend_branches, halves * 2, 1e-9},
                                 {"page-major", attend_page_major, halves * 2, 1e-9},
                                 {"integers", attend_integers, halves * 2, 1e-6}};
    char what[64];
    snprintf(what, sizeof what, "%d branches on %zu cells", BRANCHES, n_cells);
    enum status s = cells_new(&a, n_cells, e);
    if (!s)
        s = climb(&(struct ladder){"ladder attention", what, rungs, 5, &a, a.o, KV_HEADS * QUERIES * HEAD_DIM,
                                   (double)KV_HEADS * QUERIES * (double)n_cells},
                  out, e);
    cells_free(&a);
    return s;
}

struct options {
    struct bench_options common;
    int64_t prefix;
};
static const struct flag flags[] = {
    {"prefix", NULL, FLAG_INT, offsetof(struct options, prefix), "512", 16, 16384, "N",
     "cells that all branches share"},
    {"rounds", "r", FLAG_INT, offsetof(struct options, common.rounds), "7", 1, BENCH_MAX_ROUNDS, "N",
     "measure each rung N times, in turn with the others"},
    {"output", "o", FLAG_CHOICE, offsetof(struct options, common.output), "md", 0, 0, "md|csv|json|jsonl",
     "form of the rows"},
    {0},
};

int main(int argc, char **argv) {
    struct options o = {0};
    struct bench_out out;
    struct error e;
    struct args a = {.command = "ladder",
                     .usage = "",
                     .flags = flags,
                     .options = &o,
                     .about = "From naive loops to the shipped kernels, one core: docs/KERNELS.md.\n"};
    int code = bench_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
#if defined(__x86_64__)
    if (!ops_by_name("avx2")) return args_failed(&a, "this CPU has no AVX2, which the rungs are written for");
#endif
    bench_out_open(&out, &o.common);
    enum status s = climb_products(TYPE_Q4_0, &out, &e);
    if (!s) s = climb_products(TYPE_Q8_0, &out, &e);
    if (!s) s = climb_attention((size_t)o.prefix / KV_PAGE * KV_PAGE, &out, &e);
    bench_out_close(&out, s == OK);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
