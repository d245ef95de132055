/* attend_avx2.c: attention of several query rows over one KV page.
 * Not the choice of rows and pages: model/ groups the rows that share a page.
 * Next: model/forward.c. */
#include <assert.h>
#include <math.h>

#include "ops/avx2.h"

/* Both products are outer products: rows x 2 vectors, one element of q (or p) broadcast to a widened piece of K (or V),
 * which all rows share.  Four rows give 8 independent sums, as many as the FMA pipes need. */
enum { MAX_ROWS = 4 };

/* Scores of n_rows rows over all 16 cells (also those past n_visible: their lanes are dropped later), widened K shared. */
INLINE void scores(const struct attend_args *a, const size_t *row, size_t n_rows, __m256 (*s)[2]) {
    const float *q[MAX_ROWS];
    __m256 sum[MAX_ROWS][2];
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        q[i] = a->q + a->q_offset[row[i]];
        sum[i][0] = sum[i][1] = _mm256_setzero_ps();
    }
    for (size_t d = 0; d < a->head_dim; d++) {
        __m256 k0 = load_f16(a->k + d * KV_PAGE), k1 = load_f16(a->k + d * KV_PAGE + 8);
        UNROLL
        for (size_t i = 0; i < n_rows; i++) {
            __m256 qd = _mm256_broadcast_ss(q[i] + d);
            sum[i][0] = _mm256_fmadd_ps(qd, k0, sum[i][0]);
            sum[i][1] = _mm256_fmadd_ps(qd, k1, sum[i][1]);
        }
    }
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        s[i][0] = _mm256_mul_ps(_mm256_set1_ps(a->scale), sum[i][0]);
        s[i][1] = _mm256_mul_ps(_mm256_set1_ps(a->scale), sum[i][1]);
    }
}

/* Scores of one row to weights p; updates m and l, returns m_old - m_new (its exp is the row's correction). */
INLINE float softmax(const struct attend_args *a, size_t row, const __m256 s[2], float p[KV_PAGE], float *l_page) {
    size_t n = a->n_visible[row];
    __m256 in0 = _mm256_castsi256_ps(first_lanes(n < 8 ? n : 8)),
           in1 = _mm256_castsi256_ps(first_lanes(n < 8 ? 0 : n - 8));
    __m256 lowest = _mm256_set1_ps(-INFINITY);
    __m256 largest = _mm256_max_ps(_mm256_blendv_ps(lowest, s[0], in0), lowest);
    largest = _mm256_max_ps(_mm256_blendv_ps(lowest, s[1], in1), largest);
    float old = a->m[row], page_max = lane_max(largest), m = page_max > old ? page_max : old;
    __m256 less = _mm256_set1_ps(m);
    __m256 p0 = _mm256_and_ps(exp_avx2(_mm256_sub_ps(s[0], less)), in0);
    __m256 p1 = _mm256_and_ps(exp_avx2(_mm256_sub_ps(s[1], less)), in1);
    _mm256_store_ps(p, p0);
    _mm256_store_ps(p + 8, p1);
    *l_page = lane_tree(_mm256_add_ps(p0, p1));
    a->m[row] = m;
    return old - m;
}

/* o[row][d..] = o * c + p V for the cells [t, t_end), n_vectors vectors of o from d on, V shared by the rows. */
INLINE void values(const struct attend_args *a, float *const *o, size_t n_rows, size_t n_vectors, const float *c,
                   float (*p)[KV_PAGE], size_t d, size_t t, size_t t_end) {
    __m256 sum[MAX_ROWS][2];
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        UNROLL
        for (size_t v = 0; v < n_vectors; v++) {
            sum[i][v] = _mm256_loadu_ps(o[i] + d + 8 * v);
            if (c) sum[i][v] = _mm256_mul_ps(sum[i][v], _mm256_broadcast_ss(c + i));
        }
    }
    for (; t < t_end; t++) {
        __m256 vt[2];
        UNROLL
        for (size_t v = 0; v < n_vectors; v++) vt[v] = load_f16(a->v + t * a->head_dim + d + 8 * v);
        UNROLL
        for (size_t i = 0; i < n_rows; i++) {
            __m256 pt = _mm256_broadcast_ss(&p[i][t]);
            UNROLL
            for (size_t v = 0; v < n_vectors; v++) sum[i][v] = _mm256_fmadd_ps(pt, vt[v], sum[i][v]);
        }
    }
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        UNROLL
        for (size_t v = 0; v < n_vectors; v++) _mm256_storeu_ps(o[i] + d + 8 * v, sum[i][v]);
    }
}

/* n_rows (a constant of the caller) rows together; each sees at least one cell. */
INLINE void attend_rows(const struct attend_args *a, const size_t *row, size_t n_rows) {
    __m256 s[MAX_ROWS][2];
    _Alignas(32) float p[MAX_ROWS][KV_PAGE], c[8] = {0};
    float l_page[MAX_ROWS], *o[MAX_ROWS];
    size_t n_common = KV_PAGE;
    scores(a, row, n_rows, s);
    for (size_t i = 0; i < n_rows; i++) {
        c[i] = softmax(a, row[i], s[i], p[i], &l_page[i]);
        o[i] = a->o + row[i] * a->head_dim;
        if (a->n_visible[row[i]] < n_common) n_common = a->n_visible[row[i]];
    }
    _mm256_store_ps(c, exp_avx2(_mm256_load_ps(c)));
    for (size_t i = 0; i < n_rows; i++) a->l[row[i]] = a->l[row[i]] * c[i] + l_page[i];

    size_t d = 0;
    for (; d + 16 <= a->head_dim; d += 16) values(a, o, n_rows, 2, c, p, d, 0, n_common);
    if (d < a->head_dim) values(a, o, n_rows, 1, c, p, d, 0, n_common);
    /* Rows of one page may end at different cells (a prompt's diagonal): the rest of the longer ones, row by row. */
    for (size_t i = 0; i < n_rows; i++) {
        size_t n = a->n_visible[row[i]];
        for (d = 0; n > n_common && d < a->head_dim; d += 8) values(a, &o[i], 1, 1, NULL, &p[i], d, n_common, n);
    }
}

void attend_avx2(const struct attend_args *a) {
    assert(a->head_dim % 8 == 0 && a->head_dim <= 512);
    size_t row[MAX_ROWS], n = 0;
    for (size_t i = 0; i < a->n_rows; i++) {
        if (a->n_visible[i] == 0) continue;
        row[n++] = i;
        if (n < MAX_ROWS) continue;
        attend_rows(a, row, MAX_ROWS);
        n = 0;
    }
    if (n == 3) attend_rows(a, row, 3);
    if (n == 2) attend_rows(a, row, 2);
    if (n == 1) attend_rows(a, row, 1);
}
