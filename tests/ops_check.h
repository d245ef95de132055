/* ops_check.h: compares kernel tables with the scalar one bit for bit, on awkward sizes and fenced memory.
 * Not a test program: test_ops.c (cmocka) and ops_selftest.c (bare, for cross builds) run it.
 * Next: ops/scalar.c, the specification. */
#ifndef PONDER_OPS_CHECK_H
#define PONDER_OPS_CHECK_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rng.h"
#include "ops/ops.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* One of so many cases of the long lists is run: emulators are slow.  Counted through all types, each of which keeps some of
 * every list; 5 has no factor in common with the lengths of the lists, so every size meets every type or a near one. */
#ifndef CHECK_EVERY
#define CHECK_EVERY 1
#endif

static const enum tensor_type check_types[] = {TYPE_F32,  TYPE_F16,  TYPE_BF16, TYPE_Q4_0,   TYPE_Q4_1,
                                               TYPE_Q5_0, TYPE_Q5_1, TYPE_Q8_0, TYPE_Q2_K,   TYPE_Q3_K,
                                               TYPE_Q4_K, TYPE_Q5_K, TYPE_Q6_K, TYPE_IQ4_NL, TYPE_IQ4_XS};
static const size_t check_sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 31, 32, 33, 64, 96, 100, 192, 512};

/* Memory that ends (but for `gap` bytes, which make it unaligned) at a page that may not be touched, after a page of
 * guard bytes: reading past the end faults, writing around it shows in fence_intact.
 *   [ GUARD ... ][ data, n bytes ][ gap, GUARD ][ no access ] */
struct fence {
    uint8_t *map, *data;
    size_t n_bytes, map_bytes, n_open; /* n_open: readable bytes from map on */
};
enum { FENCE_MARGIN = 256, FENCE_GUARD = 0xa5 }; /* at least so many guard bytes before the data */

static struct fence fence_new(size_t n_bytes, size_t gap) {
    struct fence f = {.n_bytes = n_bytes};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    f.n_open = (n_bytes + gap + FENCE_MARGIN + page - 1) / page * page;
    f.map_bytes = f.n_open + page;
    f.map = mmap(NULL, f.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (f.map == MAP_FAILED || mprotect(f.map + f.n_open, page, PROT_NONE)) abort();
    memset(f.map, FENCE_GUARD, f.n_open);
    f.data = f.map + f.n_open - gap - n_bytes;
    return f;
}

static bool fence_intact(const struct fence *f, const char *what) {
    for (const uint8_t *p = f->map; p < f->map + f->n_open; p++) {
        if (p == f->data) p += f->n_bytes;
        if (p < f->map + f->n_open && *p != FENCE_GUARD) {
            fprintf(stderr, "%s: wrote outside its output, byte %td of %zu\n", what, p - f->data, f->n_bytes);
            return false;
        }
    }
    return true;
}

static void fence_free(struct fence *f) { munmap(f->map, f->map_bytes); }

/* Equal bits, or both NaN (which NaN comes out of an operation is the CPU's choice). */
static bool same_bits(const char *what, const float *got, const float *want, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t g, w;
        memcpy(&g, got + i, sizeof g);
        memcpy(&w, want + i, sizeof w);
        if (g == w || (isnan(got[i]) && isnan(want[i]))) continue;
        fprintf(stderr, "%s: element %zu of %zu is %.9g (%08x), scalar has %.9g (%08x)\n", what, i, n, (double)got[i],
                g, (double)want[i], w);
        return false;
    }
    return true;
}

/* Values of a bell-like shape around 0; `wild` mixes in zeros of both signs, subnormals, huge values, infinity, NaN. */
static void fill_random(float *x, size_t n, uint64_t key, bool wild) {
    static const float odd[] = {0.0f, -0.0f, 1e-42f, -3e-45f, 1e-30f, -1e-30f, 3e38f, -3e38f, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < n; i++) {
        double u = rng_uniform(key, 2 * i), v = rng_uniform(key, 2 * i + 1);
        x[i] = (float)((u + v - 1) * 3);
        if (wild && v < 0.2) x[i] = odd[rng_below(key + 1, i, COUNT(odd))];
    }
}

/* A row of any type from values.  Types with scales of 16 or 32 weights: random bits, and the one or two f16 scales of a
 * block taken from its first values, so that every bit of the layout counts and wild rows have wild scales. */
static void fill_row(enum tensor_type type, const float *row, uint8_t *bytes, size_t cols, uint64_t key) {
    const struct type_info *t = type_info(type);
    size_t at = 0, n_scales = 1;
    switch (type) {
    case TYPE_F32:
    case TYPE_F16:
    case TYPE_BF16: type_from_f32(type, row, bytes, cols); return;
    case TYPE_Q4_1:
    case TYPE_Q5_1:
    case TYPE_Q4_K:
    case TYPE_Q5_K: n_scales = 2; break;
    case TYPE_Q2_K: at = 80, n_scales = 2; break;
    case TYPE_Q3_K: at = 108; break;
    case TYPE_Q6_K: at = 208; break;
    default: break;
    }
    for (size_t b = 0; b < cols / t->block_weights; b++, bytes += t->block_bytes, row += t->block_weights) {
        for (size_t i = 0; i < t->block_bytes; i++) bytes[i] = (uint8_t)rng_below(key, b * 256 + i, 256);
        for (size_t i = 0; i < n_scales; i++) {
            uint16_t scale = f32_to_f16(row[i] / 64);
            memcpy(bytes + at + 2 * i, &scale, sizeof scale);
        }
    }
}

static size_t padded_cols(enum tensor_type type, size_t cols) {
    size_t block = type_info(type)->block_weights;
    return cols / block * block;
}

/* What is multiplied: a kind of values, and what makes the integer sums as large as they can be. */
enum values { VALUES_PLAIN, VALUES_WILD, VALUES_HIGHEST, VALUES_LOWEST };

/* A matrix of one type in file rows and as panels. */
struct matrix_case {
    struct fence file, packed;
    size_t row_bytes;
    struct panels panels;
};

/* All quants at one end, scales 1: 15 or 0 of 4 bits, 127 or -128 of 8. */
static void fill_extreme(enum tensor_type type, uint8_t *bytes, size_t cols, bool highest) {
    const struct type_info *t = type_info(type);
    float one[256];
    for (size_t i = 0; i < 256; i++) one[i] = 1;
    for (size_t b = 0; b < cols / t->block_weights; b++, bytes += t->block_bytes) {
        fill_row(type, one, bytes, t->block_weights, 1);
        const size_t quants = type == TYPE_Q6_K ? 192 : t->block_bytes;
        const size_t from = type == TYPE_Q4_K || type == TYPE_Q5_K ? 16 : type == TYPE_Q6_K ? 0 : 2;
        if (t->block_weights > 1)
            memset(bytes + from, type == TYPE_Q8_0 ? highest ? 127 : 128 : highest ? 255 : 0, quants - from);
    }
}

/* Activations of tokens ldx apart, n in all.  Plain ones: groups of 16 whose sizes differ by up to 2^9, more than ACT_UP.  Those
 * of extreme weights: all 1 or all -1, but for a token of three each group 0, or each group 1, as small as fits ACT_UP, so
 * that q is +-127 everywhere and sums are as large as they can be. */
static void fill_activations(float *x, size_t ldx, size_t n, uint64_t key, enum values values) {
    fill_random(x, n, key, values == VALUES_WILD);
    for (size_t i = 0; i < n; i++) {
        const size_t token = i / ldx, group = i % ldx / ACT_GROUP;
        int down = (int)rng_below(key, token * ldx + group, 10);
        if (values >= VALUES_HIGHEST) x[i] = token % 2 ? -1 : 1, down = token % 3 == group % 2 + 1 ? ACT_UP : 0;
        x[i] = ldexpf(x[i], -down);
    }
}

static struct matrix_case matrix_new(enum tensor_type type, bool exact, size_t rows, size_t cols, size_t extra,
                                     uint64_t key, enum values values) {
    struct matrix_case m = {.row_bytes = type_row_bytes(type, cols) + extra};
    m.file = fence_new(rows ? (rows - 1) * m.row_bytes + type_row_bytes(type, cols) : 0, extra & 1);
    float *row = calloc(cols + 1, sizeof *row);
    for (size_t r = 0; r < rows; r++) {
        fill_random(row, cols, rng_fold(key, r), values == VALUES_WILD);
        if (values >= VALUES_HIGHEST && panel_layout(type, false) == PANEL_INT8)
            fill_extreme(type, m.file.data + r * m.row_bytes, cols, values == VALUES_HIGHEST);
        else fill_row(type, row, m.file.data + r * m.row_bytes, cols, rng_fold(key, r));
    }
    free(row);
    m.panels =
        (struct panels){type, panel_layout(type, exact), (uint32_t)rows, (uint32_t)cols, m.row_bytes, m.file.data};
    if (m.panels.layout != PANEL_FILE) {
        const size_t bytes = panel_bytes(type, m.panels.layout, (uint32_t)rows, (uint32_t)cols);
        const uint32_t n = (uint32_t)((rows + PANEL_ROWS - 1) / PANEL_ROWS);
        m.packed = fence_new(bytes, 0);
        m.panels.stride = n ? bytes / n : 0, m.panels.data = m.packed.data;
        panel_pack(&m.panels, m.file.data, m.row_bytes, 0, n / 2, m.packed.data);
        panel_pack(&m.panels, m.file.data, m.row_bytes, n / 2, n, m.packed.data);
    }
    return m;
}

static void matrix_free(struct matrix_case *m) {
    fence_free(&m->file);
    if (m->packed.map) fence_free(&m->packed);
}

/* y = W x in two calls, rows [0, cut) and [cut, rows), as two threads would make it. */
static void product(const struct ops *t, const struct matrix_case *m, float *y, size_t ldy, const float *x, size_t ldx,
                    const struct act_block *a, size_t n) {
    const uint32_t rows = m->panels.rows, cut = rows / PANEL_ROWS / 2 * PANEL_ROWS;
    const bool int8 = m->panels.layout == PANEL_INT8;
    t->matmul(y, ldy, &m->panels, 0, cut, int8 ? NULL : x, ldx, int8 ? a : NULL, m->panels.cols / 32, n);
    t->matmul(y, ldy, &m->panels, cut, rows, int8 ? NULL : x, ldx, int8 ? a : NULL, m->panels.cols / 32, n);
}

/* One matmul: `extra` bytes between rows, floats between columns, and odd addresses. */
static bool check_matmul_case(const struct ops *const *v, enum tensor_type type, bool exact, size_t rows, size_t cols,
                              size_t n, size_t extra, enum values values) {
    const struct ops *scalar = ops_by_name("scalar");
    const size_t ldx = cols + extra, ldy = rows + extra, n_blocks = cols / 32;
    const size_t n_x = n ? (n - 1) * ldx + cols : 0, n_y = n ? (n - 1) * ldy + rows : 0;
    const uint64_t key = rng_fold(rng_fold(rng_fold(7, rows), cols), n);
    struct matrix_case m = matrix_new(type, exact, rows, cols, extra, key, values);
    struct fence x = fence_new(n_x * 4, 4 * (extra & 1)), a = fence_new(n * n_blocks * sizeof(struct act_block), 0);
    struct fence y = fence_new(n_y * 4, 4), want = fence_new(n_y * 4, 0);
    float *xs = (float *)(void *)x.data;
    fill_activations(xs, ldx, n_x, key + 1, values);
    for (size_t j = 0; m.panels.layout == PANEL_INT8 && j < n; j++)
        scalar->quantize((struct act_block *)(void *)a.data + j * n_blocks, xs + j * ldx, n_blocks * 32);
    struct fence between = fence_new(n_y * 4, 0); /* what lies between the rows of y must stay */
    fill_random((float *)between.data, n_y, key + 2, false);
    if (n_y) memcpy(want.data, between.data, n_y * 4);
    product(scalar, &m, (float *)want.data, ldy, xs, ldx, (const struct act_block *)(void *)a.data, n);
    bool ok = true;
    for (; *v && ok; v++) {
        if (n_y) memcpy(y.data, between.data, n_y * 4);
        product(*v, &m, (float *)y.data, ldy, xs, ldx, (const struct act_block *)(void *)a.data, n);
        char what[128];
        snprintf(what, sizeof what, "%s matmul %s%s rows %zu cols %zu n %zu extra %zu values %d", (*v)->name,
                 type_info(type)->name, exact ? " exact" : "", rows, cols, n, extra, (int)values);
        ok = same_bits(what, (float *)y.data, (float *)want.data, n_y) && fence_intact(&y, what);
    }
    matrix_free(&m);
    fence_free(&a), fence_free(&x), fence_free(&y), fence_free(&want), fence_free(&between);
    return ok;
}

static bool check_matmul(const struct ops *const *v) {
    static const size_t all_rows[] = {0, 1, 15, 16, 17, 40, 100}, all_n[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 33};
    bool ok = true;
    size_t n_cases = 0;
    for (size_t t = 0; t < 2 * COUNT(check_types); t++) {
        const enum tensor_type type = check_types[t / 2];
        const bool exact = t % 2;
        if (exact && panel_layout(type, true) == panel_layout(type, false)) continue;
        for (size_t c = 0; c < COUNT(check_sizes) && ok; c++) {
            const size_t cols = padded_cols(type, check_sizes[c]);
            if (c && cols == padded_cols(type, check_sizes[c - 1])) continue;
            for (size_t i = 0; i < COUNT(all_rows); i++)
                for (size_t j = 0; j < COUNT(all_n) && ok; j++)
                    ok = n_cases++ % CHECK_EVERY ||
                         check_matmul_case(v, type, exact, all_rows[i], cols, all_n[j], (c + i + j) % 3, (i + j) % 4);
        }
        /* More tokens than one batch holds, and more k. */
        ok = ok && check_matmul_case(v, type, exact, 20, padded_cols(type, 2344), 7, 1, VALUES_PLAIN) &&
             check_matmul_case(v, type, exact, 33, padded_cols(type, 512), 131, 0, VALUES_PLAIN) &&
             (panel_layout(type, exact) != PANEL_INT8 ||
              check_matmul_case(v, type, exact, 16, padded_cols(type, 512), 131, 0, VALUES_LOWEST));
    }
    return ok;
}

/* Block `which` of activations at the edges of what panel.h says: the largest numbers of the groups 2^0 to 2^9 apart, exactly
 * or by a bit more or less; of sizes from below ACT_SMALLEST to FLT_MAX; half of the others lie between two q (exactly so
 * for 127); one group of zeros, or with a NaN or an infinity. */
enum { EDGES = 10 * 3 * 2 * 10 * 5 };
static void fill_edge(float x[32], size_t which) {
    static const float sizes[] = {127, 1, 3.1f, 1e-30f, 1.001e-30f, 0.999e-30f, 1e-37f, 1e-42f, 1e20f, FLT_MAX};
    static const float odd[] = {1, 1, 0, NAN, -INFINITY};
    const int apart = (int)(which % 10), side = (int)(which / 10 % 3), smaller = (int)(which / 30 % 2);
    const size_t kind = which / 600 % 5;
    const float high = sizes[which / 60 % 10], near = ldexpf(high, -apart);
    const float low = side == 0 ? near : nextafterf(near, side == 1 ? 0 : apart ? high : near);
    for (size_t i = 0; i < 32; i++) {
        const float most = i / ACT_GROUP == (size_t)smaller ? low : high;
        const float between = (float)((int)rng_below(which, i, 127) * 2 - 126 + (i % 2 ? 1 : 0)) / 254;
        x[i] = i % ACT_GROUP == which % 7 ? (which % 2 ? -most : most) : most * (i % 3 ? between : 2 * rng_uniform(which, i) - 1);
    }
    if (kind == 2) memset(x + ACT_GROUP * smaller, 0, ACT_GROUP * sizeof *x);
    else if (kind > 2) x[which % 32] = odd[kind];
}

/* Activations to int8: plain and wild ones, groups of different size, and edges. */
static bool check_quantize(const struct ops *v) {
    float x[256];
    struct act_block got[8], want[8];
    for (size_t round = 0; round < 200 + EDGES / 8; round++) {
        fill_activations(x, COUNT(x), COUNT(x), 100 + round, round % 3 ? VALUES_PLAIN : VALUES_WILD);
        for (size_t b = 0; round >= 200 && b < 8; b++) fill_edge(x + b * 32, (round - 200) * 8 + b);
        memset(got, 0, sizeof got), memset(want, 0, sizeof want);
        v->quantize(got, x, COUNT(x));
        ops_by_name("scalar")->quantize(want, x, COUNT(x));
        for (size_t b = 0; b < COUNT(got); b++) {
            char what[64];
            snprintf(what, sizeof what, "%s quantize round %zu block %zu", v->name, round, b);
            if (!same_bits(what, &got[b].d, &want[b].d, 1) || !same_bits(what, &got[b].sum, &want[b].sum, 1)) return false;
            if (memcmp(&got[b], &want[b], sizeof got[b]) == 0) continue;
            fprintf(stderr, "%s: q, shift, up, base or times differs from scalar\n", what);
            return false;
        }
    }
    return true;
}

/* The bits of y[j] may not depend on who else is in the batch. */
static bool check_batch_invariance(const struct ops *const *v) {
    enum { ROWS = 45, COLS = 512, N = 140 };
    static float x[N * COLS], y[N * ROWS], alone[N * ROWS];
    static struct act_block a[N * COLS / 32];
    fill_activations(x, COLS, COUNT(x), 4, VALUES_PLAIN);
    const struct ops *scalar = ops_by_name("scalar");
    scalar->quantize(a, x, COUNT(x));
    size_t n_cases = 0;
    bool ok = true;
    for (size_t t = 0; t < COUNT(check_types) && ok; t++) {
        struct matrix_case m = matrix_new(check_types[t], false, ROWS, COLS, 0, 3, VALUES_PLAIN);
        for (size_t j = 0; j < N; j++) product(scalar, &m, alone + j * ROWS, ROWS, x + j * COLS, COLS, a + j * COLS / 32, 1);
        for (size_t n = 1; n <= N && ok; n = n < 20 ? n + 1 : n + 15) {
            if (n_cases++ % CHECK_EVERY) continue;
            for (size_t i = 0; v[i] && ok; i++) {
                product(v[i], &m, y, ROWS, x, COLS, a, n);
                char what[96];
                snprintf(what, sizeof what, "%s matmul %s of %zu columns (want: each alone)", v[i]->name,
                         type_info(check_types[t])->name, n);
                ok = same_bits(what, y, alone, n * ROWS);
            }
        }
        matrix_free(&m);
    }
    return ok;
}

enum row_op { ROW_RMS, ROW_SILU, ROW_ADD, ROW_EXP, ROW_MAX, ROW_OPS };
static const char *const row_op_names[] = {"rms_norm", "silu_mul", "add", "exp_sum", "max"};

/* Runs one row kernel of t on n elements, in place where the contract allows it; returns the scalar result or 0. */
static float run_row_op(const struct ops *t, enum row_op op, float *y, const float *a, const float *b, size_t n) {
    switch (op) {
    case ROW_RMS: t->rms_norm(y, a, b, n, 1e-5f); return 0;
    case ROW_SILU: t->silu_mul(y, a, b, n); return 0;
    case ROW_ADD: t->add(y, a, n); return 0;
    case ROW_EXP: return t->exp_sum(y, a, 0.8f, 1.5f, n);
    default: return t->max(a, n);
    }
}

static bool check_row_case(const struct ops *v, enum row_op op, size_t n, size_t gap, bool wild, bool in_place) {
    struct fence a = fence_new(n * 4, gap), b = fence_new(n * 4, gap), y = fence_new(n * 4, gap);
    struct fence want = fence_new(n * 4, 0);
    fill_random((float *)a.data, n, 11 + n, wild);
    for (size_t i = 0; i < n && op == ROW_MAX && in_place; i++) /* all below the zeros of a padded tail */
        ((float *)a.data)[i] = -1 - fabsf(((float *)a.data)[i]);
    fill_random((float *)b.data, n, 12 + n, wild);
    fill_random((float *)y.data, n, 13 + n, wild);
    if (in_place && n) memcpy(y.data, a.data, n * 4);
    if (n) memcpy(want.data, y.data, n * 4);
    float want_value = run_row_op(ops_by_name("scalar"), op, (float *)want.data, (float *)a.data, (float *)b.data, n);
    float value = run_row_op(v, op, (float *)y.data, (float *)(in_place ? y.data : a.data), (float *)b.data, n);
    char what[96];
    snprintf(what, sizeof what, "%s %s n %zu gap %zu%s%s", v->name, row_op_names[op], n, gap, wild ? " wild" : "",
             in_place ? " in place" : "");
    bool ok = same_bits(what, (float *)y.data, (float *)want.data, n) && same_bits(what, &value, &want_value, 1) &&
              fence_intact(&y, what);
    fence_free(&a), fence_free(&b), fence_free(&y), fence_free(&want);
    return ok;
}

static bool check_row_ops(const struct ops *v) {
    for (enum row_op op = 0; op < ROW_OPS; op++)
        for (size_t i = 0; i < COUNT(check_sizes); i++)
            for (size_t mode = 0; mode < 8; mode++) {
                bool in_place = mode & 4 && op != ROW_ADD;
                if (!check_row_case(v, op, check_sizes[i], mode & 1 ? 4 : 0, mode & 2, in_place)) return false;
            }
    return true;
}

/* exp over its whole range in steps of a few thousand floats, with every place where it changes character. */
static bool check_exp(const struct ops *v) {
    enum { N = 4096 };
    static float x[N], y[N], want[N];
    for (uint64_t bits = 0, step = 3571; bits < 0x100000000u; bits += step * N) {
        for (size_t i = 0; i < N; i++) {
            uint32_t u = (uint32_t)(bits + step * i);
            memcpy(&x[i], &u, sizeof u);
        }
        v->exp_sum(y, x, 1, 0, N);
        ops_by_name("scalar")->exp_sum(want, x, 1, 0, N);
        if (!same_bits("exp sweep", y, want, N)) return false;
    }
    return true;
}

static bool check_rope(const struct ops *v) {
    static const size_t dims[][2] = {{2, 2},   {8, 8},   {16, 16},  {32, 32}, {64, 64},
                                     {96, 96}, {40, 24}, {128, 32}, {8, 0}};
    for (size_t i = 0; i < COUNT(dims); i++)
        for (size_t mode = 0; mode < 8; mode++) {
            size_t n_heads = mode >> 2 ? 3 : 1, head_dim = dims[i][0], rope_dim = dims[i][1], n = n_heads * head_dim;
            enum rope_style style = mode & 1 ? ROPE_NEOX : ROPE_NORM;
            struct fence x = fence_new(n * 4, mode & 2 ? 4 : 0), cs = fence_new(rope_dim * 4, 0);
            struct fence want = fence_new(n * 4, 0);
            fill_random((float *)x.data, n, i, false);
            fill_random((float *)cs.data, rope_dim, i + 1, false);
            memcpy(want.data, x.data, n * 4);
            v->rope((float *)x.data, (float *)cs.data, n_heads, head_dim, rope_dim, style);
            ops_by_name("scalar")->rope((float *)want.data, (float *)cs.data, n_heads, head_dim, rope_dim, style);
            char what[96];
            snprintf(what, sizeof what, "%s rope style %d head_dim %zu rope_dim %zu", v->name, style, head_dim,
                     rope_dim);
            bool ok = same_bits(what, (float *)x.data, (float *)want.data, n) && fence_intact(&x, what);
            fence_free(&x), fence_free(&cs), fence_free(&want);
            if (!ok) return false;
        }
    return true;
}

/* A case of attend: rows that end at random places, and pages in a random order.  Cells that no row sees hold NaN, which must
 * not leak. */
struct attend_case {
    enum kv_type type;
    size_t n_rows, head_dim, n_pages;
    uint32_t window;
    float softcap;
    uint64_t key;
};
enum { ATTEND_ROWS = 32, ATTEND_PAGES = 11, ATTEND_FIRST = 3 * KV_PAGE };

/* Bytes of K (or of V) in a page. */
static size_t attend_bytes(const struct attend_case *c) {
    size_t n = c->head_dim * KV_PAGE, groups = (c->head_dim + KV_GROUP - 1) / KV_GROUP;
    if (c->type == KV_I16) return 2 * n + 4 * KV_PAGE;
    return c->type == KV_F32 ? 4 * n : c->type == KV_F16 ? 2 * n : n + 2 * groups * KV_PAGE;
}

/* Number i of a page's K or V; a cell that is not seen is NaN (q8_0: has a NaN scale). */
static void attend_set(const struct attend_case *c, uint8_t *x, size_t i, size_t group, float value, bool seen) {
    size_t n = c->head_dim * KV_PAGE;
    uint16_t half = seen ? f32_to_f16(value) : 0x7e00, scale = seen ? f32_to_f16(0.01f + (float)(group % 7)) : 0x7e00;
    if (c->type == KV_F32) memcpy(x + 4 * i, seen ? &value : &(float){NAN}, 4);
    else if (c->type == KV_F16) memcpy(x + 2 * i, &half, 2);
    else x[i] = (uint8_t)(int8_t)(value * 20), memcpy(x + n + 2 * group, &scale, 2);
}

/* K and V [hd] of one token to cell t of a page of KV_I16. */
static void attend_store_i16(size_t hd, uint8_t *k, uint8_t *v, size_t t, const float *a, const float *b) {
    const struct ops *scalar = ops_by_name("scalar");
    const float scale = scalar->round_key((int16_t *)(void *)k + t * 2, 2 * KV_PAGE, a, hd),
                exponent = scalar->round_value((int16_t *)(void *)v + t / 2 * hd * 2 + t % 2, b, hd);
    memcpy(k + 2 * hd * KV_PAGE + 4 * t, &scale, 4), memcpy(v + 2 * hd * KV_PAGE + 4 * t, &exponent, 4);
}

/* The same with random numbers, those of V of random size; a cell that is not seen has a NaN scale and exponent, and large numbers. */
static void attend_set_i16(size_t hd, uint8_t *k, uint8_t *v, size_t t, uint64_t key, bool seen) {
    float a[512], b[512], size = ldexpf(1, (int)rng_below(key, 2 * hd, 12) - 6);
    for (size_t d = 0; d < hd; d++) a[d] = 4 * rng_uniform(key, 2 * d) - 2, b[d] = size * (rng_uniform(key, 2 * d + 1) - 0.4f);
    if (!seen) a[0] = b[0] = NAN;
    attend_store_i16(hd, k, v, t, a, b);
    for (size_t d = 0; d < hd && !seen; d++) {
        const int16_t large = -32767;
        memcpy(k + 2 * ((d / 2 * KV_PAGE + t) * 2 + d % 2), &large, 2), memcpy(v + 2 * ((t / 2 * hd + d) * 2 + t % 2), &large, 2);
    }
}

/* A row of q to integers in its place. */
static void attend_round_q(float *q, size_t hd) {
    int16_t row[512];
    const float scale = ops_by_name("scalar")->round_key(row, 2, q, hd);
    memcpy(q, row, 2 * hd), memcpy((uint8_t *)q + 2 * hd, &scale, 4);
}

/* Runs the case in pieces of at most n_run pages. */
static void attend_in_runs(const struct ops *v, const struct attend_args *all, enum kv_type type, size_t n_run) {
    for (size_t page = 0; page < all->n_pages; page += n_run) {
        struct attend_args a = *all;
        a.pages += page, a.first += (uint32_t)(page * KV_PAGE);
        a.n_pages = all->n_pages - page < n_run ? all->n_pages - page : n_run;
        v->attend[type](&a);
    }
}

static bool check_attend_case(const struct ops *const *v, const struct attend_case *c) {
    size_t hd = c->head_dim, n_o = c->n_rows * hd, bytes = attend_bytes(c), offset[ATTEND_ROWS];
    size_t groups = (hd + KV_GROUP - 1) / KV_GROUP, page_bytes = 2 * bytes + 4;
    uint32_t pages[ATTEND_PAGES], end[ATTEND_ROWS];
    struct fence q = fence_new(n_o * 4, 4), kv = fence_new(c->n_pages * page_bytes, 4), o = fence_new(n_o * 4, 4);
    float m[ATTEND_ROWS], l[ATTEND_ROWS], want_m[ATTEND_ROWS], want_l[ATTEND_ROWS], *want = calloc(n_o + 1, sizeof *want);
    bool seen[ATTEND_PAGES * KV_PAGE] = {false}, ok = true;
    fill_random((float *)q.data, n_o, hd, false);
    for (size_t i = 0; i < c->n_rows && c->type == KV_I16; i++) attend_round_q((float *)q.data + i * hd, hd);
    for (size_t i = 0; i < c->n_rows; i++) {
        offset[i] = (c->n_rows - 1 - i) * hd; /* rows of one prompt end near each other, branches at one place, others anywhere */
        uint32_t near = 40 + (uint32_t)i / 3, any = rng_below(c->key, i, (uint32_t)(c->n_pages + 4) * KV_PAGE);
        end[i] = c->key % 3 == 0 ? near + ATTEND_FIRST : c->key % 3 == 1 ? ATTEND_FIRST + ATTEND_PAGES * KV_PAGE - 7 : any;
        for (uint32_t t = 0; t < c->n_pages * KV_PAGE; t++)
            seen[t] |= t + ATTEND_FIRST < end[i] && (!c->window || t + ATTEND_FIRST + c->window >= end[i]);
    }
    for (uint32_t j = 0; j < c->n_pages; j++) {
        pages[j] = (uint32_t)((j * 7 + c->key) % c->n_pages); /* a permutation, for 1 to 11 pages but 7 */
        uint8_t *k = kv.data + pages[j] * page_bytes, *vv = k + bytes;
        for (size_t t = 0; t < KV_PAGE; t++) {
            if (c->type == KV_I16) attend_set_i16(hd, k, vv, t, (c->key << 16) + j * KV_PAGE + t, seen[j * KV_PAGE + t]);
            for (size_t d = 0; d < hd && c->type != KV_I16; d++) {
                float a = 4 * rng_uniform(c->key + j, 2 * (t * hd + d)) - 2, b = rng_uniform(c->key + j, 2 * (t * hd + d) + 1);
                attend_set(c, k, d * KV_PAGE + t, d / KV_GROUP * KV_PAGE + t, a, seen[j * KV_PAGE + t]);
                attend_set(c, vv, t * hd + d, t * groups + d / KV_GROUP, b - 0.4f, seen[j * KV_PAGE + t]);
            }
        }
    }
    struct attend_args a = {.q = (float *)q.data, .o = want, .q_offset = offset, .o_offset = offset, .m = want_m, .l = want_l,
                            .end = end, .window = c->window, .first = ATTEND_FIRST, .pages = pages, .n_pages = c->n_pages,
                            .page_bytes = page_bytes, .k = kv.data, .v = kv.data + bytes, .n_rows = c->n_rows,
                            .head_dim = hd, .scale = 0.3f, .softcap = c->softcap};
    for (size_t i = 0; i < c->n_rows; i++) want_m[i] = -INFINITY, want_l[i] = 0;
    ops_by_name("scalar")->attend[c->type](&a);
    for (size_t i = 0; i < n_o && ok; i++) ok = !isnan(want[i]);
    if (!ok) fprintf(stderr, "scalar attend case %d: NaN from a cell that is not visible\n", (int)c->key);
    a.m = m, a.l = l, a.o = (float *)o.data;
    for (; *v && ok; v++)
        for (size_t run = 1; run <= 11 && ok; run += run == 1 ? 2 : 8) { /* scalar above in one piece; here in runs of 1, 3, 11 */
            memset(o.data, 0, n_o * 4);
            for (size_t i = 0; i < c->n_rows; i++) m[i] = -INFINITY, l[i] = 0;
            attend_in_runs(*v, &a, c->type, run);
            char what[128];
            snprintf(what, sizeof what, "%s attend type %d rows %zu dim %zu pages %zu window %u case %d runs of %zu",
                     (*v)->name, (int)c->type, c->n_rows, hd, c->n_pages, c->window, (int)c->key, run);
            ok = same_bits(what, m, want_m, c->n_rows) && same_bits(what, l, want_l, c->n_rows) &&
                 same_bits(what, (float *)o.data, want, n_o) && fence_intact(&o, what);
        }
    free(want);
    fence_free(&q), fence_free(&kv), fence_free(&o);
    return ok;
}

static bool check_attend(const struct ops *const *v) {
    static const size_t rows[] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 13, 32}, dims[] = {8, 16, 24, 40, 64, 80, 128, 256, 512};
    static const size_t pages[] = {1, 2, 3, 4, 5, 8, 9, 11};
    static const uint32_t windows[] = {0, 1, 5, 17, 40, 64, 1000};
    uint64_t key = 0;
    for (int type = 0; type < KV_TYPES; type++)
        for (size_t i = 0; i < COUNT(rows); i++)
            for (size_t d = 0; d < COUNT(dims); d++, key++) {
                struct attend_case c = {(enum kv_type)type, rows[i], dims[d], pages[(i + d) % COUNT(pages)], windows[key % 9 % 7],
                                        key % 4 ? 0 : 1.5f, key};
                if (key % CHECK_EVERY == 0 && !check_attend_case(v, &c)) return false;
            }
    return true;
}

static bool check_store_f16(const struct ops *v) {
    static const size_t strides[] = {1, 2, KV_PAGE};
    for (size_t i = 0; i < COUNT(check_sizes); i++)
        for (size_t s = 0; s < COUNT(strides); s++)
            for (size_t wild = 0; wild < 2; wild++) {
                size_t n = check_sizes[i], n_halves = n ? (n - 1) * strides[s] + 1 : 0;
                struct fence src = fence_new(n * 4, 4), dst = fence_new(n_halves * 2, 2);
                struct fence want = fence_new(n_halves * 2, 0);
                fill_random((float *)src.data, n, n, wild);
                memset(dst.data, 0x11, n_halves * 2), memset(want.data, 0x11, n_halves * 2);
                v->store_f16((uint16_t *)dst.data, strides[s], (float *)src.data, n);
                ops_by_name("scalar")->store_f16((uint16_t *)want.data, strides[s], (float *)src.data, n);
                bool ok = memcmp(dst.data, want.data, n_halves * 2) == 0 && fence_intact(&dst, "store_f16");
                if (!ok)
                    fprintf(stderr, "%s store_f16 n %zu stride %zu: differs from scalar\n", v->name, n, strides[s]);
                fence_free(&src), fence_free(&dst), fence_free(&want);
                if (!ok) return false;
            }
    return true;
}

static bool check_round(const struct ops *v) {
    static const float sizes[] = {1, 1e-3f, 1e-29f, 1e-31f, 1e20f, 3e37f, 0};
    const struct ops *scalar = ops_by_name("scalar");
    for (size_t n = 8; n <= 512; n += n < 96 ? 8 : 104)
        for (size_t i = 0; i < COUNT(sizes); i++)
            for (int wild = 0; wild < 3; wild++) {
                float x[512], s[4];
                int16_t to[2][2 * 512] = {{0}};
                char what[96];
                for (size_t d = 0; d < n; d++) x[d] = (2 * rng_uniform(n + i, d) - 1) * sizes[i];
                if (wild) x[n * 5 / 8] = wild == 1 ? NAN : -INFINITY;
                snprintf(what, sizeof what, "%s round n %zu size %g wild %d", v->name, n, (double)sizes[i], wild);
                for (int key = 0; key < 2; key++) {
                    s[0] = key ? v->round_key(to[0], 4, x, n) : v->round_value(to[0] + 1, x, n);
                    s[1] = key ? scalar->round_key(to[1], 4, x, n) : scalar->round_value(to[1] + 1, x, n);
                    if (!(isnan(s[0]) && isnan(s[1])) && !same_bits(what, s, s + 1, 1)) return false;
                    for (size_t d = 0; d < COUNT(to[0]); d++)
                        if (to[0][d] != to[1][d]) {
                            fprintf(stderr, "%s %s: [%zu] is %d, scalar has %d\n", what, key ? "key" : "value", d, to[0][d],
                                    to[1][d]);
                            return false;
                        }
                }
            }
    return true;
}

/* What both programs run on the tables of this CPU.  Where a case and its scalar result take far longer than what is tested, all
 * tables (up to NULL) are compared with one result. */
static const struct ops_check {
    const char *name;
    bool (*of_one)(const struct ops *v);
    bool (*of_all)(const struct ops *const *v);
} ops_checks[] = {
    {"matmul", .of_all = check_matmul},
    {"quantize", .of_one = check_quantize},
    {"batch invariance", .of_all = check_batch_invariance},
    {"row ops", .of_one = check_row_ops},
    {"exp", .of_one = check_exp},
    {"rope", .of_one = check_rope},
    {"attend", .of_all = check_attend},
    {"store_f16", .of_one = check_store_f16},
    {"round", .of_one = check_round},
};

/* One check of all tables that this CPU has, scalar included (it must keep inside its output too). */
static inline bool ops_check(const struct ops_check *c) {
    const struct ops *tables[16] = {NULL};
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; ops_names[i]; i++)
        if ((tables[n] = ops_by_name(ops_names[i]))) n++;
    for (size_t i = 0; i < n && c->of_one && ok; i++) ok = c->of_one(tables[i]);
    return ok && (!c->of_all || c->of_all(tables));
}

#endif
