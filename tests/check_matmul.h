/* check_matmul.h: products and the rounding of activations, compared with the scalar table bit for bit: all types, awkward sizes, extremes.
 * Not their accuracy: test_ops.c.
 * Next: ops/panel.h, the layouts. */
#ifndef PONDER_CHECK_MATMUL_H
#define PONDER_CHECK_MATMUL_H

#include <float.h>

#include "tests/fence.h"

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

/* All quants at one end, scales 1: 15 or 0 of 4 bits, 127 or -128 of 8.  They lie in bytes [from, to) of a block. */
static void fill_extreme(enum tensor_type type, uint8_t *bytes, size_t cols, bool highest) {
    const struct type_info *t = type_info(type);
    size_t from = 2, to = t->block_bytes;
    float one[256];
    switch (type) {
    case TYPE_Q4_K:
    case TYPE_Q5_K: from = 16; break;
    case TYPE_Q6_K: from = 0, to = 192; break;
    case TYPE_Q2_K: from = 16, to = 80; break;
    case TYPE_Q3_K: from = 0, to = 96; break;
    case TYPE_IQ4_XS: from = 8; break;
    case TYPE_MXFP4: from = 1; break;
    case TYPE_TQ1_0:
    case TYPE_TQ2_0: from = 0, to -= 2; break;
    case TYPE_IQ1_M: from = 0, to = 48; break;
    case TYPE_Q4_1:
    case TYPE_Q5_1: from = 4; break;
    default: break;
    }
    for (size_t i = 0; i < 256; i++) one[i] = 1;
    for (size_t b = 0; b < cols / t->block_weights; b++, bytes += t->block_bytes) {
        fill_row(type, one, bytes, t->block_weights, 1);
        memset(bytes + from, type == TYPE_Q8_0 ? highest ? 127 : 128 : highest ? 255 : 0, to - from);
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
        x[i] = i % ACT_GROUP == which % 7 ? (which % 2 ? -most : most)
                                          : most * (i % 3 ? between : 2 * rng_uniform(which, i) - 1);
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
            if (!same_bits(what, &got[b].d, &want[b].d, 1) || !same_bits(what, &got[b].sum, &want[b].sum, 1))
                return false;
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
        for (size_t j = 0; j < N; j++)
            product(scalar, &m, alone + j * ROWS, ROWS, x + j * COLS, COLS, a + j * COLS / 32, 1);
        for (size_t n = 1; n <= N && ok; n = n < 20 ? n + 1 : n + 15) {
            if (n_cases++ % CHECK_EVERY) continue;
            for (size_t i = 0; v[i] && ok; i++) {
                memset(y, FENCE_GUARD, sizeof y); /* what the table before wrote may not pass for its own */
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

#endif
