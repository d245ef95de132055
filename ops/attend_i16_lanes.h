/* attend_i16_lanes.h: attention over KV pages of int16, sixteen cells at a time; scalar.c says the same cell by cell.
 * Not the tiles of rows and pages: attend_block.h.
 * Next: cells_avx2.h for the names it is written over. */
#ifndef PONDER_ATTEND_I16_LANES_H
#define PONDER_ATTEND_I16_LANES_H

#include <float.h>
#include <string.h>

#include "ops/attend_block.h"

/* A block in three steps as in attend_lanes.h, but sums are exact and wide: a page is one vector, and a cell that a row does not
 * see, or a page that is missing, is of weight 0, so that all rows go through all cells. */
struct weights_i16 {
    _Alignas(64) int16_t p[MAX_ROWS][BLOCK_CELLS];
    _Alignas(64) float inverse[BLOCK_CELLS]; /* 2^-exponent of V */
    float top[MAX_ROWS][BLOCK];              /* the pages' largest scores, rounded up */
    float up[MAX_ROWS][BLOCK];               /* from a page's scale to that of o */
};

/* 2^x for integers x <= 0. */
INLINE f32x16 f32x16_pow2(f32x16 x) {
    return f32x16_scale_exponent(f32x16_set(1),
                                 f32x16_add(f32x16_larger(x, f32x16_set(EXP2_LOW - 1)), f32x16_set(EXP_ROUND)));
}

/* Scores of n_rows rows over n_pages whole pages (constants of the caller). */
INLINE void scores_i16(const struct attend_args *a, struct block *b, struct weights_i16 *w, size_t n_rows, size_t page,
                       size_t n_pages) {
    const int16_t *q[MAX_ROWS];
    float factor[MAX_ROWS];
    sum16 sum[MAX_ROWS][BLOCK];
    const size_t hd = a->head_dim;
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        q[i] = (const int16_t *)(const void *)(a->q + a->q_offset[b->row[i]]);
        memcpy(&factor[i], q[i] + hd, sizeof factor[i]);
        factor[i] *= a->scale;
        if (a->softcap == 0) factor[i] *= EXP_INV_LN2;
        UNROLL
        for (size_t g = 0; g < n_pages; g++) sum[i][g] = sum16_zero();
    }
    for (size_t d = 0; d < hd; d += 2) {
        pairs16 k[BLOCK];
        ask_for_next(a, &b->ahead);
        UNROLL
        for (size_t g = 0; g < n_pages; g++) k[g] = pairs16_load(b->k[page + g] + d * KV_PAGE * sizeof **q);
        UNROLL
        for (size_t i = 0; i < n_rows; i++) {
            const pair two = pair_load(q[i] + d);
            UNROLL
            for (size_t g = 0; g < n_pages; g++) sum[i][g] = sum16_add(sum[i][g], k[g], two);
        }
    }
    UNROLL
    for (size_t g = 0; g < n_pages; g++) {
        const size_t cell = (page + g) * KV_PAGE, bytes = hd * KV_PAGE * sizeof **q;
        const f32x16 scale = f32x16_load((const float *)(const void *)(b->k[page + g] + bytes)),
                     e = f32x16_load((const float *)(const void *)(b->v[page + g] + bytes));
        f32x16_store(w->inverse + cell, f32x16_scale_exponent(f32x16_set(1), f32x16_sub(f32x16_set(EXP_ROUND), e)));
        UNROLL
        for (size_t i = 0; i < n_rows; i++) {
            const f32x16 s = f32x16_mul(sum16_float(sum[i][g]), scale), f = f32x16_set(factor[i]);
            f32x16_store(b->s[i] + cell, a->softcap > 0 ? f32x16_mul(s, f) : f32x16_fma(s, f, e));
        }
    }
}

/* Any table's softcap has the same bits. */
static __attribute__((noinline)) void cap_scores(const struct attend_args *a, struct block *b, size_t i) {
    ops_get()->softcap(b->s[i], a->softcap, b->n_pages * KV_PAGE);
    for (size_t g = 0; g < b->n_pages; g++) {
        const char *e = b->v[g] + a->head_dim * KV_PAGE * sizeof(int16_t);
        float *s = b->s[i] + g * KV_PAGE;
        f32x16_store(s,
                     f32x16_fma(f32x16_load(s), f32x16_set(EXP_INV_LN2), f32x16_load((const float *)(const void *)e)));
    }
}

/* The pages' largest scores of row i, rounded up. */
INLINE void tops_i16(struct block *b, struct weights_i16 *w, size_t i) {
    f32x16 u[BLOCK];
    for (size_t t = 0; t < b->begin[i]; t++) b->s[i][t] = -INFINITY;
    for (size_t t = b->end[i]; t < BLOCK_CELLS; t++) b->s[i][t] = -INFINITY;
    UNROLL
    for (size_t g = 0; g < BLOCK; g++) u[g] = f32x16_load(b->s[i] + g * KV_PAGE);
    f32x16_store4(w->top[i], f32x16_ceil(f32x16_larger(f32x16_largest4(u), f32x16_set(-FLT_MAX))));
}

/* Scores to weights, n pages (a constant of the caller) from `first` on, counted through the rows: p, and in place of s what they add
 * to l.  Step by step for all: alone, a page would wait for each of its own steps. */
INLINE void weights_i16(struct block *b, struct weights_i16 *w, size_t first, size_t n) {
    f32x16 x[WEIGHTS_TOGETHER], t[WEIGHTS_TOGETHER], y[WEIGHTS_TOGETHER];
    float *s = b->s[0] + first * KV_PAGE;
    int16_t *p = w->p[0] + first * KV_PAGE;
    const float *top = w->top[0] + first;
    UNROLL
    for (size_t k = 0; k < n; k++) {
        x[k] = f32x16_sub(f32x16_load(s + k * KV_PAGE), f32x16_set(top[k]));
        t[k] = f32x16_add(x[k], f32x16_set(EXP_ROUND));
    }
    UNROLL
    for (size_t k = 0; k < n; k++) {
        const f32x16 r = f32x16_sub(x[k], f32x16_sub(t[k], f32x16_set(EXP_ROUND)));
        y[k] = f32x16_fma(f32x16_set(I16_WEIGHT * EXP2_C5), r, f32x16_set(I16_WEIGHT * EXP2_C4));
        y[k] = f32x16_fma(y[k], r, f32x16_set(I16_WEIGHT * EXP2_C3));
        y[k] = f32x16_fma(y[k], r, f32x16_set(I16_WEIGHT * EXP2_C2));
        y[k] = f32x16_fma(y[k], r, f32x16_set(I16_WEIGHT * EXP2_C1));
        y[k] = f32x16_fma(y[k], r, f32x16_set(I16_WEIGHT));
    }
    UNROLL
    for (size_t k = 0; k < n; k++) {
        y[k] = f32x16_unless_less(x[k], f32x16_set(EXP2_LOW), f32x16_scale_exponent(y[k], t[k]));
        f32x16_store_i16(p + k * KV_PAGE, y[k]);
        f32x16_store(s + k * KV_PAGE, f32x16_mul(y[k], f32x16_load(w->inverse + (first + k) % BLOCK * KV_PAGE)));
    }
}

/* Updates m, l and the corrections of row i, page by page. */
INLINE void sums_i16(const struct attend_args *a, struct block *b, struct weights_i16 *w, size_t i) {
    float *row_m = a->m + b->row[i], l = a->l[b->row[i]], more[BLOCK], largest[BLOCK];
    const f32x16 m = f32x16_load4(w->top[i]), now = f32x16_so_far4(f32x16_larger(m, f32x16_set(*row_m))),
                 c = f32x16_pow2(f32x16_sub(f32x16_after4(*row_m, now), now)), up = f32x16_pow2(f32x16_sub(m, now));
    f32x16 u[BLOCK];
    UNROLL
    for (size_t g = 0; g < BLOCK; g++) u[g] = f32x16_load(b->s[i] + g * KV_PAGE);
    f32x16_store4(b->c[i], c);
    f32x16_store4(w->up[i], up);
    f32x16_store4(more, f32x16_mul(f32x16_sum4(u), up));
    f32x16_store4(largest, now);
    b->rescale |= f32x16_below_one4(c);
    *row_m = largest[BLOCK - 1];
    UNROLL
    for (size_t g = 0; g < BLOCK; g++) l = fmaf(l, b->c[i][g], more[g]);
    a->l[b->row[i]] = l;
}

/* o = o * c + up * p V for n_rows rows from row0 on, n vectors of V from dimension d on, which is where o points; page by page. */
INLINE void values_i16(const struct attend_args *a, const struct block *b, const struct weights_i16 *w, float *const *o,
                       size_t row0, size_t n_rows, size_t n, size_t d) {
    const size_t step = a->head_dim * 2 * sizeof(int16_t);
    size_t n_cells = KV_PAGE;
    f32x16 y[VALUE_ROWS][BLOCK];
    __asm__("" : "+r"(n_cells)); /* gcc 12 would unroll a known number, and spill */
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        UNROLL
        for (size_t k = 0; k < n; k++) y[i][k] = f32x16_load(o[row0 + i] + k * KV_PAGE);
    }
    for (size_t g = 0; g < b->n_pages; g++) {
        const char *v = b->v[g] + d * 2 * sizeof(int16_t);
        sum16 sum[VALUE_ROWS][BLOCK];
        UNROLL
        for (size_t i = 0; i < n_rows; i++) {
            UNROLL
            for (size_t k = 0; k < n; k++) sum[i][k] = sum16_zero();
        }
        for (size_t t = 0; t < n_cells; t += 2, v += step) {
            pairs16 x[BLOCK];
            UNROLL
            for (size_t k = 0; k < n; k++) x[k] = pairs16_load(v + k * KV_PAGE * 2 * sizeof(int16_t));
            UNROLL
            for (size_t i = 0; i < n_rows; i++) {
                const pair two = pair_load(w->p[row0 + i] + g * KV_PAGE + t);
                UNROLL
                for (size_t k = 0; k < n; k++) sum[i][k] = sum16_add(sum[i][k], x[k], two);
            }
        }
        if (b->rescale >> g & 1) {
            UNROLL
            for (size_t i = 0; i < n_rows; i++) {
                const f32x16 c = f32x16_set(b->c[row0 + i][g]);
                UNROLL
                for (size_t k = 0; k < n; k++) y[i][k] = f32x16_mul(y[i][k], c);
            }
        }
        UNROLL
        for (size_t i = 0; i < n_rows; i++) {
            const f32x16 up = f32x16_set(w->up[row0 + i][g]);
            UNROLL
            for (size_t k = 0; k < n; k++) y[i][k] = f32x16_fma(sum16_float(sum[i][k]), up, y[i][k]);
        }
    }
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        UNROLL
        for (size_t k = 0; k < n; k++) f32x16_store(o[row0 + i] + k * KV_PAGE, y[i][k]);
    }
}

/* The same for all rows, so many at a time that their sums and outputs stay in registers. */
INLINE void all_values_i16(const struct attend_args *a, const struct block *b, const struct weights_i16 *w,
                           float *const *o, size_t n_rows, size_t n, size_t d) {
    const size_t first = n_rows <= VALUE_ROWS ? n_rows : (n_rows + 1) / 2;
    values_i16(a, b, w, o, 0, first, n, d);
    if (first < n_rows) values_i16(a, b, w, o, first, n_rows - first, n, d);
}

/* The last eight numbers of o, where a vector reaches beyond: in V follow the next cells, at the end the exponents. */
INLINE void last_values_i16(const struct attend_args *a, const struct block *b, const struct weights_i16 *w,
                            size_t n_rows) {
    const size_t d = a->head_dim - 8;
    float last[MAX_ROWS][KV_PAGE] = {{0}}, *o[MAX_ROWS];
    for (size_t i = 0; i < n_rows; i++) {
        memcpy(last[i], b->o[i] + d, 8 * sizeof(float));
        o[i] = last[i];
    }
    all_values_i16(a, b, w, o, n_rows, 1, d);
    for (size_t i = 0; i < n_rows; i++) memcpy(b->o[i] + d, last[i], 8 * sizeof(float));
}

/* n_rows (a constant of the caller) rows through the block. */
INLINE void block_i16(const struct attend_args *a, struct block *b, size_t n_rows) {
    const size_t wide = scores_together(n_rows), wide_o = values_together(n_rows);
    struct weights_i16 w;
    size_t page = 0, d = 0;
    if (b->n_pages < BLOCK) memset(w.inverse, 0, sizeof w.inverse);
    for (; page + wide <= b->n_pages; page += wide) scores_i16(a, b, &w, n_rows, page, wide);
    for (; page < b->n_pages; page++) scores_i16(a, b, &w, n_rows, page, 1);
    for (size_t i = 0; i < n_rows; i++) {
        if (a->softcap > 0) cap_scores(a, b, i);
        tops_i16(b, &w, i);
    }
    for (size_t first = 0; first < n_rows * BLOCK; first += WEIGHTS_TOGETHER) {
        if (first + WEIGHTS_TOGETHER <= n_rows * BLOCK) weights_i16(b, &w, first, WEIGHTS_TOGETHER);
        else weights_i16(b, &w, first, n_rows * BLOCK % WEIGHTS_TOGETHER);
    }
    for (size_t i = 0; i < n_rows; i++) sums_i16(a, b, &w, i);
    for (size_t n; d + KV_PAGE <= a->head_dim; d += n * KV_PAGE) {
        float *o[MAX_ROWS];
        for (size_t i = 0; i < n_rows; i++) o[i] = b->o[i] + d;
        n = d + wide_o * KV_PAGE <= a->head_dim ? wide_o : 1;
        if (n == wide_o) all_values_i16(a, b, &w, o, n_rows, wide_o, d);
        else all_values_i16(a, b, &w, o, n_rows, 1, d);
    }
    if (d < a->head_dim) last_values_i16(a, b, &w, n_rows);
}

static void attend_i16(const struct attend_args *a) { attend_blocks(a, block_i16); }

#endif
