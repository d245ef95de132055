/* attend_lanes.h: attention of several query rows over a run of KV pages.
 * Not the choice of rows and pages: model/attention_plan.c groups the rows that share pages, attend_block.h makes tiles of them.
 * Next: kernels_avx2.c, which puts the set together. */
#ifndef PONDER_ATTEND_LANES_H
#define PONDER_ATTEND_LANES_H

#include "ops/attend_block.h"
#include "ops/row_lanes.h"

/* A block in three steps: all scores, all weights, all values.
 * Scores and values are outer products: rows x vectors, one element of q (or p) broadcast to a widened piece of K (or V),
 * which all rows share.  Eight independent sums keep the FMA pipes busy: few rows take more pages (or columns) at once. */

/* Numbers [i, i+8) of K or V; `type` is a constant of the caller, scale is for q8_0 only. */
INLINE f8 load_kv(const void *x, size_t i, f8 scale, enum kv_type type) {
    if (type == KV_F32) return f8_load((const float *)x + i);
    if (type == KV_F16) return f8_load_f16((const uint16_t *)x + i);
    return f8_mul(f8_load_i8((const int8_t *)x + i), scale);
}

/* Scores of n_rows rows over n_pages whole pages (constants of the caller), also of cells that no row sees. */
INLINE void scores(const struct attend_args *a, struct block *b, size_t n_rows, size_t page, size_t n_pages,
                   enum kv_type type) {
    const float *q[MAX_ROWS];
    f8 sum[MAX_ROWS][2 * BLOCK], scale[2 * BLOCK];
    size_t hd = a->head_dim, group = type == KV_Q8_0 ? KV_GROUP : hd;
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        q[i] = a->q + a->q_offset[b->row[i]];
        UNROLL
        for (size_t v = 0; v < 2 * n_pages; v++) sum[i][v] = f8_set(0);
    }
    for (size_t v = 0; v < 2 * n_pages; v++) scale[v] = f8_set(1);
    for (size_t d0 = 0; d0 < hd; d0 += group) {
        if (type == KV_Q8_0) {
            UNROLL
            for (size_t v = 0; v < 2 * n_pages; v++)
                scale[v] = f8_load_f16(b->k[page + v / 2] + hd * KV_PAGE + (d0 / KV_GROUP * KV_PAGE + v % 2 * 8) * 2);
        }
        for (size_t d = d0, d1 = smaller(d0 + group, hd); d < d1; d++) {
            f8 row[MAX_ROWS], column[2 * BLOCK];
            ask_for_next(a, &b->ahead);
            UNROLL
            for (size_t i = 0; n_rows <= 3 && i < n_rows; i++) row[i] = f8_set(q[i][d]);
            UNROLL
            for (size_t v = 0; v < 2 * n_pages; v++) {
                column[v] = load_kv(b->k[page + v / 2], d * KV_PAGE + v % 2 * 8, scale[v], type);
                if (n_rows > 3) continue;
                KEEP_ORDER(column[v]);
                UNROLL
                for (size_t i = 0; i < n_rows; i++) sum[i][v] = f8_fma(row[i], column[v], sum[i][v]);
            }
            UNROLL
            for (size_t i = 0; n_rows > 3 && i < n_rows; i++) {
                row[i] = f8_set(q[i][d]);
                KEEP_ORDER(row[i]);
                UNROLL
                for (size_t v = 0; v < 2 * n_pages; v++) sum[i][v] = f8_fma(row[i], column[v], sum[i][v]);
            }
        }
    }
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        UNROLL
        for (size_t v = 0; v < 2 * n_pages; v++)
            f8_store(b->s[i] + page * KV_PAGE + 8 * v, f8_mul(f8_set(a->scale), sum[i][v]));
    }
}

/* Lanes of cells [begin, end) of v, the 8 cells from `cell` on; `other` in the rest. */
INLINE f8 seen(f8 v, size_t cell, size_t begin, size_t end, f8 other) {
    size_t hidden = begin > cell ? smaller(begin - cell, 8) : 0, n = end > cell ? smaller(end - cell, 8) : 0;
    return f8_first(hidden, other, f8_first(n, v, other));
}

/* Weights of a row that sees all cells and whose maximum stays: no corrections. */
INLINE void weights_plain(float *s, size_t n_pages, float m, float *l) {
    float sums[BLOCK];
    f8 page[BLOCK];
    for (size_t g = 0; g < n_pages; g++) {
        f8 p0 = f8_exp_low(f8_sub(f8_load(s + g * KV_PAGE), f8_set(m)));
        f8 p1 = f8_exp_low(f8_sub(f8_load(s + g * KV_PAGE + 8), f8_set(m)));
        f8_store(s + g * KV_PAGE, p0);
        f8_store(s + g * KV_PAGE + 8, p1);
        page[g] = f8_add(p0, p1);
    }
    for (size_t g = n_pages; g < BLOCK; g++) page[g] = f8_set(0);
    f8_store_sum4(sums, page);
    for (size_t g = 0; g < n_pages; g++) *l += sums[g];
}

/* Scores of row i to weights; updates m, l and the corrections, page by page. */
INLINE void weights(const struct attend_args *a, struct block *b, size_t i) {
    float *s = b->s[i], *m = a->m + b->row[i], *l = a->l + b->row[i], now[BLOCK];
    size_t n = b->n_pages, begin = b->begin[i], end = b->end[i];
    f8 lowest = f8_set(-INFINITY), largest[BLOCK], all = lowest;
    bool whole = begin == 0 && end == n * KV_PAGE;
    for (size_t g = 0; g < n; g++) {
        f8 s0 = f8_load(s + g * KV_PAGE), s1 = f8_load(s + g * KV_PAGE + 8);
        if (!whole) {
            s0 = seen(s0, g * KV_PAGE, begin, end, lowest);
            s1 = seen(s1, g * KV_PAGE + 8, begin, end, lowest);
        }
        largest[g] = f8_larger(s1, f8_larger(s0, lowest));
        all = f8_larger(largest[g], all);
    }
    f8_store(b->c[i], f8_set(1));
    if (whole && f8_largest(all) <= *m) {
        weights_plain(s, n, *m, l);
        return;
    }
    float old = *m, c[8] = {0};
    for (size_t g = 0; g < n; g++) {
        float top = f8_largest(largest[g]);
        now[g] = top > old ? top : old;
        c[g] = begin < (g + 1) * KV_PAGE && end > g * KV_PAGE ? old - now[g] : 0; /* no cell: nothing changes */
        if (now[g] > old) b->rescale |= 1u << g;
        old = now[g];
    }
    f8_store(b->c[i], f8_exp_low(f8_load(c)));
    for (size_t g = begin / KV_PAGE; g * KV_PAGE < end; g++) {
        f8 p0 = f8_exp_low(f8_sub(f8_load(s + g * KV_PAGE), f8_set(now[g])));
        f8 p1 = f8_exp_low(f8_sub(f8_load(s + g * KV_PAGE + 8), f8_set(now[g])));
        if (!whole) {
            p0 = seen(p0, g * KV_PAGE, begin, end, f8_set(0));
            p1 = seen(p1, g * KV_PAGE + 8, begin, end, f8_set(0));
        }
        f8_store(s + g * KV_PAGE, p0);
        f8_store(s + g * KV_PAGE + 8, p1);
        *l = *l * b->c[i][g] + f8_sum(f8_add(p0, p1));
    }
    *m = old;
}

/* o[d..] = o * c + p V over the cells [t, t_end) for n_rows rows from row i on, n vectors of o from d on. */
INLINE void values(const struct attend_args *a, struct block *b, size_t first, size_t n_rows, size_t n, size_t d,
                   size_t t, size_t t_end, enum kv_type type) {
    f8 sum[MAX_ROWS][2 * BLOCK];
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        UNROLL
        for (size_t v = 0; v < n; v++) sum[i][v] = f8_load(b->o[first + i] + d + 8 * v);
    }
    while (t < t_end) {
        size_t page = t / KV_PAGE, stop = smaller((page + 1) * KV_PAGE, t_end);
        const char *base = b->v[page];
        if (t % KV_PAGE == 0 && b->rescale >> page & 1) {
            UNROLL
            for (size_t i = 0; i < n_rows; i++) {
                UNROLL
                for (size_t v = 0; v < n; v++) sum[i][v] = f8_mul(sum[i][v], f8_set(b->c[first + i][page]));
            }
        }
        for (; t < stop; t++) {
            size_t cell = t % KV_PAGE, groups = (a->head_dim + KV_GROUP - 1) / KV_GROUP;
            f8 row[MAX_ROWS], column[2 * BLOCK], scale = f8_set(1);
            UNROLL
            for (size_t i = 0; n_rows <= 3 && i < n_rows; i++) row[i] = f8_set(b->s[first + i][t]);
            UNROLL
            for (size_t v = 0; v < n; v++) {
                if (type == KV_Q8_0)
                    scale =
                        f8_load_f16_all(base + a->head_dim * KV_PAGE + (cell * groups + (d + 8 * v) / KV_GROUP) * 2);
                column[v] = load_kv(base, cell * a->head_dim + d + 8 * v, scale, type);
                if (n_rows > 3) continue;
                KEEP_ORDER(column[v]);
                UNROLL
                for (size_t i = 0; i < n_rows; i++) sum[i][v] = f8_fma(row[i], column[v], sum[i][v]);
            }
            UNROLL
            for (size_t i = 0; n_rows > 3 && i < n_rows; i++) {
                row[i] = f8_set(b->s[first + i][t]);
                KEEP_ORDER(row[i]);
                UNROLL
                for (size_t v = 0; v < n; v++) sum[i][v] = f8_fma(row[i], column[v], sum[i][v]);
            }
        }
    }
    UNROLL
    for (size_t i = 0; i < n_rows; i++) {
        UNROLL
        for (size_t v = 0; v < n; v++) f8_store(b->o[first + i] + d + 8 * v, sum[i][v]);
    }
}

/* All columns of o, `wide` vectors at a time. */
INLINE void all_values(const struct attend_args *a, struct block *b, size_t first, size_t n_rows, size_t wide, size_t t,
                       size_t t_end, enum kv_type type) {
    size_t d = 0;
    if (t >= t_end) return;
    for (; d + 8 * wide <= a->head_dim; d += 8 * wide) values(a, b, first, n_rows, wide, d, t, t_end, type);
    for (; d < a->head_dim; d += 8) values(a, b, first, n_rows, 1, d, t, t_end, type);
}

/* One row alone: what it sees more than its neighbours.  Not inlined: it is called from many places and seldom. */
static __attribute__((noinline)) void one_f16(const struct attend_args *a, struct block *b, size_t i, size_t t,
                                              size_t t_end) {
    all_values(a, b, i, 1, 8, t, t_end, KV_F16);
}
static __attribute__((noinline)) void one_f32(const struct attend_args *a, struct block *b, size_t i, size_t t,
                                              size_t t_end) {
    all_values(a, b, i, 1, 8, t, t_end, KV_F32);
}
static __attribute__((noinline)) void one_q8_0(const struct attend_args *a, struct block *b, size_t i, size_t t,
                                               size_t t_end) {
    all_values(a, b, i, 1, 8, t, t_end, KV_Q8_0);
}
INLINE void one(const struct attend_args *a, struct block *b, size_t i, size_t t, size_t t_end, enum kv_type type) {
    (type == KV_F16 ? one_f16 : type == KV_F32 ? one_f32 : one_q8_0)(a, b, i, t, t_end);
}

/* n_rows (a constant of the caller) rows through the block; each sees at least one cell of it. */
INLINE void attend_block(const struct attend_args *a, struct block *b, size_t n_rows, enum kv_type both) {
    const enum kv_type type = kv_type_of_v(both), type_k = kv_type_of_k(both);
    size_t begin = 0, end = BLOCK_CELLS, page, last = 0;
    bool two = n_rows == 2 || (n_rows == 3 && FITS_4X3); /* three rows x four vectors as well */
    size_t together = n_rows == 1 ? 4 : two ? 2 : 1, wide = 2 * together;
    for (size_t i = 0; i < n_rows; i++) {
        if (b->begin[i] > begin) begin = b->begin[i];
        if (b->end[i] < end) end = b->end[i];
        if (b->end[i] > last) last = b->end[i];
    }
    for (page = 0; page + together <= b->n_pages; page += together) scores(a, b, n_rows, page, together, type_k);
    for (; page < b->n_pages; page++) scores(a, b, n_rows, page, 1, type_k);
    for (size_t i = 0; i < n_rows; i++) {
        if (a->softcap > 0)
            for (size_t t = 0; t < last; t += 8) f8_store(b->s[i] + t, f8_softcap(f8_load(b->s[i] + t), a->softcap));
        weights(a, b, i);
    }
    bool apart = begin >= end; /* no cell that all see */
    for (size_t i = 0; i < n_rows; i++) {
        if (b->begin[i] % KV_PAGE) { /* its first page does not begin with a cell of its own */
            float c = b->c[i][b->begin[i] / KV_PAGE];
            for (size_t d = 0; d < a->head_dim; d += 8) f8_store(b->o[i] + d, f8_mul(f8_load(b->o[i] + d), f8_set(c)));
        }
        if (apart) one(a, b, i, b->begin[i], b->end[i], type);
        else if (b->begin[i] < begin) one(a, b, i, b->begin[i], begin, type);
    }
    if (apart) return;
    all_values(a, b, 0, n_rows, wide, begin, end, type);
    for (size_t i = 0; i < n_rows; i++)
        if (b->end[i] > end) one(a, b, i, end, b->end[i], type);
}

INLINE void block_f16(const struct attend_args *a, struct block *b, size_t n) { attend_block(a, b, n, KV_F16); }
INLINE void block_f32(const struct attend_args *a, struct block *b, size_t n) { attend_block(a, b, n, KV_F32); }
INLINE void block_q8_0(const struct attend_args *a, struct block *b, size_t n) { attend_block(a, b, n, KV_Q8_0); }
INLINE void block_f16_q8_0(const struct attend_args *a, struct block *b, size_t n) {
    attend_block(a, b, n, KV_F16_Q8_0);
}
INLINE void block_q8_0_f16(const struct attend_args *a, struct block *b, size_t n) {
    attend_block(a, b, n, KV_Q8_0_F16);
}
static void attend_f16(const struct attend_args *a) { attend_blocks(a, block_f16); }
static void attend_f32(const struct attend_args *a) { attend_blocks(a, block_f32); }
static void attend_q8_0(const struct attend_args *a) { attend_blocks(a, block_q8_0); }
static void attend_f16_q8_0(const struct attend_args *a) { attend_blocks(a, block_f16_q8_0); }
static void attend_q8_0_f16(const struct attend_args *a) { attend_blocks(a, block_q8_0_f16); }

#endif
