/* float_lanes.h: products of panels of floats, and of all that is widened to them, over sixteen lanes (one per row).
 * Not the widening of blocks: block.h.
 * Next: panel_lanes.h. */
#ifndef PONDER_FLOAT_LANES_H
#define PONDER_FLOAT_LANES_H

#include "ops/block.h"
#include "ops/products.h"

enum { FLOAT_DIRECT = 32 /* tokens up to which f16 is widened in the loop: beyond, the chunk is widened once */ };

/* n_columns tokens, n_panels panels `stride` bytes apart, n of their k; sums: [n_columns][n_panels][16]. */
INLINE void float_tile(const uint8_t *w, enum tensor_type type, size_t stride, size_t n, const float *x, size_t ldx,
                       float *sums, size_t ld_sums, size_t n_columns, size_t n_panels) {
    f32x16 sum[FLOAT_TILE];
    UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        UNROLL
        for (size_t p = 0; p < n_panels; p++) sum[c * n_panels + p] = f32x16_load(sums + c * ld_sums + p * PANEL_ROWS);
    }
    for (size_t k = 0; k < n; k++, x++, w += float_step(type)) {
        f32x16 v[4];
        UNROLL
        for (size_t p = 0; p < n_panels; p++) v[p] = f32x16_widen(type, w + p * stride);
        UNROLL
        for (size_t c = 0; c < n_columns; c++) {
            UNROLL
            for (size_t p = 0; p < n_panels; p++)
                sum[c * n_panels + p] = f32x16_fma_all(v[p], x + c * ldx, sum[c * n_panels + p]);
        }
    }
    UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        UNROLL
        for (size_t p = 0; p < n_panels; p++) f32x16_store(sums + c * ld_sums + p * PANEL_ROWS, sum[c * n_panels + p]);
    }
}

/* The tiles of all tokens over one or more panels side by side: 16 sums a panel, so that few tokens take more panels. */
INLINE void float_panels(const uint8_t *w, enum tensor_type type, size_t stride, size_t n_k, const float *x, size_t ldx,
                         float *sums, size_t ld_sums, size_t n, size_t n_panels) {
#define ONE(c, most)                                                                                                   \
    case c: float_tile(w, type, stride, n_k, x + j_ * ldx, ldx, sums + j_ * ld_sums, ld_sums, c, most); break;
    if (n_panels == 4) TILES(n, FLOAT_TILE / 4, FLOAT_WIDTHS4, ONE)
    else if (n_panels == 2) TILES(n, FLOAT_TILE / 2, FLOAT_WIDTHS2, ONE)
    else TILES(n, FLOAT_TILE, FLOAT_WIDTHS1, ONE)
#undef ONE
}

/* A chunk of one panel as f32 [k][16]: whatever the type, for many tokens, or from the rows of the file. */
static void chunk_widen(const struct panels *p, uint32_t row, size_t k, size_t n, float *to) {
    if (p->layout == PANEL_FLOAT) {
        const uint8_t *from = panel_at(p, row) + k * float_step(p->type);
        for (size_t i = 0; i < n; i++, to += PANEL_ROWS, from += float_step(p->type))
            f32x16_store(to, p->type == TYPE_F16    ? f32x16_widen(TYPE_F16, from)
                             : p->type == TYPE_BF16 ? f32x16_widen(TYPE_BF16, from)
                                                    : f32x16_widen(TYPE_F32, from));
        return;
    }
    const struct type_info *t = type_info(p->type);
    for (uint32_t r = 0; r < PANEL_ROWS; r++) {
        float w[PANEL_CHUNK] = {0};
        if (row + r < p->rows) {
            const uint8_t *from = p->data + (row + r) * p->stride + k / t->block_weights * t->block_bytes;
            widen_blocks(p->type, from, w, n);
        }
        for (size_t i = 0; i < n; i++) to[i * PANEL_ROWS + r] = w[i];
    }
}

/* n_k of all tokens over n_panels chunks at w, `step` floats apart: as int_chunks; next: [n_panels]. */
INLINE void float_chunks(const float *w, size_t step, struct ahead *next, size_t n_panels, size_t n_k, const float *x,
                         size_t ldx, float (*sums)[BATCH_MAX * PANEL_ROWS], size_t n) {
    for (size_t j = 0, some; j < n; j += some) {
        some = n - j < FLOAT_TILE ? n - j : FLOAT_TILE;
        for (size_t i = 0; i < n_panels; i++) {
            ahead_ask(&next[i], true);
            float_panels((const uint8_t *)(w + i * step), TYPE_F32, 0, n_k, x + j * ldx, ldx, sums[i] + j * PANEL_ROWS,
                         PANEL_ROWS, some, 1);
        }
    }
}

/* Through chunks widened to f32: two short ones, or one as long as the blocks of the file's types are. */
static void float_product(const struct part *to, const struct panels *p, uint32_t row0, const float *x, size_t ldx,
                          size_t n) {
    _Alignas(64) float w[PANEL_CHUNK * PANEL_ROWS], sums[2][BATCH_MAX * PANEL_ROWS];
    const size_t batch = batch_of(p->cols * sizeof *x);
    const uint32_t most = p->layout == PANEL_FLOAT ? 2 : 1;
    struct ahead next[2];
    const size_t chunk = PANEL_CHUNK / most, step = chunk * PANEL_ROWS;
    for (size_t j = 0, some; j < n; j += some) {
        some = n - j < batch ? n - j : batch;
        for (uint32_t row = row0, n_panels; row < to->row1; row += n_panels * PANEL_ROWS) {
            n_panels = to->row1 - row > PANEL_ROWS ? most : 1;
            for (uint32_t i = 0; i < n_panels; i++) memset(sums[i], 0, some * PANEL_ROWS * sizeof **sums);
            for (size_t k = 0; k < p->cols; k += chunk) {
                const size_t n_k = p->cols - k < chunk ? p->cols - k : chunk;
                for (uint32_t i = 0; i < n_panels; i++) {
                    const uint32_t mine = row + i * PANEL_ROWS;
                    size_t at = k + n_k;
                    const uint8_t *from =
                        p->layout == PANEL_FLOAT ? panel_next(p, mine, to->row1, n_panels, p->cols, &at) : NULL;
                    chunk_widen(p, mine, k, n_k, w + i * step);
                    next[i] = ahead_of(from ? from + at * float_step(p->type) : NULL, chunk * float_step(p->type),
                                       (some + FLOAT_TILE - 1) / FLOAT_TILE);
                }
                float_chunks(w, step, next, n_panels, n_k, x + j * ldx + k, ldx, sums, some);
            }
            for (uint32_t i = 0; i < n_panels; i++) put_sums(to, row + i * PANEL_ROWS, j, sums[i], PANEL_ROWS, some);
        }
    }
}

/* Few tokens: widened in registers, as many panels together as there are registers for their sums. */
INLINE void float_direct(const struct part *to, const struct panels *p, enum tensor_type type, uint32_t row0,
                         const float *x, size_t ldx, size_t n) {
    _Alignas(64) float sums[FLOAT_DIRECT * 4 * PANEL_ROWS];
    const uint32_t want = n <= FLOAT_TILE / 4 ? 4 : n <= FLOAT_TILE / 2 ? 2 : 1;
    for (uint32_t row = row0, some; row < to->row1; row += some * PANEL_ROWS) {
        const uint32_t left = (to->row1 - row + PANEL_ROWS - 1) / PANEL_ROWS;
        some = left >= want ? want : left >= 2 && want == 4 ? 2 : 1;
        memset(sums, 0, n * some * PANEL_ROWS * sizeof *sums);
        float_panels(panel_at(p, row), type, p->stride, p->cols, x, ldx, sums, some * PANEL_ROWS, n, some);
        for (uint32_t i = 0; i < some; i++)
            put_sums(to, row + i * PANEL_ROWS, 0, sums + i * PANEL_ROWS, some * PANEL_ROWS, n);
    }
}

#endif
