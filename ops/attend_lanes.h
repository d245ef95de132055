/* attend_lanes.h: attention of several query rows over one KV page.
 * Not the choice of rows and pages: model/ groups the rows that share a page.
 * Next: kernels_avx2.c, which puts the set together. */
#ifndef PONDER_ATTEND_LANES_H
#define PONDER_ATTEND_LANES_H

#include <assert.h>

#include "ops/row_lanes.h"

/* Both products are outer products: rows x 2 vectors, one element of q (or p) broadcast to a widened piece of K (or V),
 * which all rows share.  Four rows give 8 independent sums, as many as the FMA pipes need. */
enum { MAX_ROWS = 4 };

/* Eight numbers of K or V from index i on; `f32` is a constant of the caller. */
INLINE f8 load_kv(const void *x, size_t i, bool f32) {
    return f32 ? f8_load((const float *)x + i) : f8_load_f16((const uint16_t *)x + i);
}

/* Scores of n_rows rows over all 16 cells (also those past n_visible: their lanes are dropped later), widened K shared. */
INLINE void scores(const struct attend_args *a, const size_t *row, size_t n_rows, bool f32, f8 (*s)[2]) {
    const float *q[MAX_ROWS];
    f8 sum[MAX_ROWS][2];
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        q[i] = a->q + a->q_offset[row[i]];
        sum[i][0] = sum[i][1] = f8_set(0);
    }
    for (size_t d = 0; d < a->head_dim; d++) {
        f8 k0 = load_kv(a->k, d * KV_PAGE, f32), k1 = load_kv(a->k, d * KV_PAGE + 8, f32);
        UNROLL
        for (size_t i = 0; i < n_rows; i++) {
            f8 qd = f8_set(q[i][d]);
            sum[i][0] = f8_fma(qd, k0, sum[i][0]);
            sum[i][1] = f8_fma(qd, k1, sum[i][1]);
        }
    }
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        s[i][0] = f8_mul(f8_set(a->scale), sum[i][0]);
        s[i][1] = f8_mul(f8_set(a->scale), sum[i][1]);
    }
}

/* Scores of one row to weights p; updates m and l, returns m_old - m_new (its exp is the row's correction). */
INLINE float softmax(const struct attend_args *a, size_t row, const f8 s[2], float p[KV_PAGE], float *l_page) {
    size_t n = a->n_visible[row], n0 = n < 8 ? n : 8, n1 = n - n0;
    f8 lowest = f8_set(-INFINITY);
    f8 largest = f8_larger(f8_first(n1, s[1], lowest), f8_larger(f8_first(n0, s[0], lowest), lowest));
    float old = a->m[row], page_max = f8_largest(largest), m = page_max > old ? page_max : old;
    f8 p0 = f8_first(n0, f8_exp(f8_sub(s[0], f8_set(m))), f8_set(0));
    f8 p1 = f8_first(n1, f8_exp(f8_sub(s[1], f8_set(m))), f8_set(0));
    f8_store(p, p0);
    f8_store(p + 8, p1);
    *l_page = f8_sum(f8_add(p0, p1));
    a->m[row] = m;
    return old - m;
}

/* o[row][d..] = o * c + p V for the cells [t, t_end), n_vectors vectors of o from d on, V shared by the rows. */
INLINE void values(const struct attend_args *a, float *const *o, size_t n_rows, size_t n_vectors, const float *c,
                   float (*p)[KV_PAGE], size_t d, size_t t, size_t t_end, bool f32) {
    f8 sum[MAX_ROWS][2];
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        UNROLL
        for (size_t v = 0; v < n_vectors; v++) {
            sum[i][v] = f8_load(o[i] + d + 8 * v);
            if (c) sum[i][v] = f8_mul(sum[i][v], f8_set(c[i]));
        }
    }
    for (; t < t_end; t++) {
        f8 vt[2];
        UNROLL
        for (size_t v = 0; v < n_vectors; v++) vt[v] = load_kv(a->v, t * a->head_dim + d + 8 * v, f32);
        UNROLL
        for (size_t i = 0; i < n_rows; i++) {
            f8 pt = f8_set(p[i][t]);
            UNROLL
            for (size_t v = 0; v < n_vectors; v++) sum[i][v] = f8_fma(pt, vt[v], sum[i][v]);
        }
    }
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        UNROLL
        for (size_t v = 0; v < n_vectors; v++) f8_store(o[i] + d + 8 * v, sum[i][v]);
    }
}

/* n_rows (a constant of the caller) rows together; each sees at least one cell. */
INLINE void attend_rows(const struct attend_args *a, const size_t *row, size_t n_rows, bool f32) {
    f8 s[MAX_ROWS][2];
    _Alignas(32) float p[MAX_ROWS][KV_PAGE], c[8] = {0};
    float l_page[MAX_ROWS], *o[MAX_ROWS];
    size_t n_common = KV_PAGE;
    scores(a, row, n_rows, f32, s);
    for (size_t i = 0; a->softcap > 0 && i < n_rows; i++) {
        s[i][0] = f8_softcap(s[i][0], a->softcap);
        s[i][1] = f8_softcap(s[i][1], a->softcap);
    }
    for (size_t i = 0; i < n_rows; i++) {
        c[i] = softmax(a, row[i], s[i], p[i], &l_page[i]);
        o[i] = a->o + row[i] * a->head_dim;
        if (a->n_visible[row[i]] < n_common) n_common = a->n_visible[row[i]];
    }
    f8_store(c, f8_exp(f8_load(c)));
    for (size_t i = 0; i < n_rows; i++) a->l[row[i]] = a->l[row[i]] * c[i] + l_page[i];

    size_t d = 0;
    for (; d + 16 <= a->head_dim; d += 16) values(a, o, n_rows, 2, c, p, d, 0, n_common, f32);
    if (d < a->head_dim) values(a, o, n_rows, 1, c, p, d, 0, n_common, f32);
    /* Rows of one page may end at different cells (a prompt's diagonal): the rest of the longer ones, row by row. */
    for (size_t i = 0; i < n_rows; i++) {
        size_t n = a->n_visible[row[i]];
        for (d = 0; n > n_common && d < a->head_dim; d += 8) values(a, &o[i], 1, 1, NULL, &p[i], d, n_common, n, f32);
    }
}

INLINE void attend_page(const struct attend_args *a, bool f32) {
    assert(a->head_dim % 8 == 0 && a->head_dim <= 512);
    size_t row[MAX_ROWS], n = 0;
    for (size_t i = 0; i < a->n_rows; i++) {
        if (a->n_visible[i] == 0) continue;
        row[n++] = i;
        if (n < MAX_ROWS) continue;
        attend_rows(a, row, MAX_ROWS, f32);
        n = 0;
    }
    if (n == 3) attend_rows(a, row, 3, f32);
    if (n == 2) attend_rows(a, row, 2, f32);
    if (n == 1) attend_rows(a, row, 1, f32);
}

static void attend(const struct attend_args *a) { attend_page(a, false); }
static void attend_f32(const struct attend_args *a) { attend_page(a, true); }

#endif
