/* matmul_lanes.h: W x for all weight types: register tiles of rows by columns, eight lanes along a row.
 * Not a packed GEMM: the matrices of small models live in L1 and L2, and packing them would cost more than it saves.
 * Next: row_lanes.h. */
#ifndef PONDER_MATMUL_LANES_H
#define PONDER_MATMUL_LANES_H

#include <stdbool.h>
#include <string.h>

#include "ops/isa.h"
#include "ops/widen.h"

enum {
    TILE_ROWS = 4, /* x 3 columns = 12 sums, 3 x, 1 w: all 16 registers; 8 independent FMAs fill the pipes */
    TILE_COLUMNS = 3,
    VECTOR_ROWS = 8,   /* rows at a time when there is one column */
    PANEL_COLS = 1024, /* columns of 4 rows that are widened into the stack at a time: 16 KB */
    PANEL_MIN = 4,     /* columns of x from which Q8_0 gains by it */
    BLOCK_COLUMNS = 12 /* columns that go through all rows together: their x stays in L1 */
};

/* What one call multiplies, in bytes and elements; constant during the call. */
struct product {
    float *y;
    size_t ldy;
    const uint8_t *w;
    size_t row_bytes;
    const float *x;
    size_t ldx, cols;
};

/* Bytes of the weights that one step widens: 8, or for Q8_0 a whole block of 32. */
INLINE size_t step_bytes(enum tensor_type type) { return type == TYPE_Q8_0 ? 34 : type == TYPE_F32 ? 32 : 16; }

/* Eight weights (the piece-th eight of a Q8_0 block) as f32, with the rounding of type_to_f32. */
INLINE f8 widen(enum tensor_type type, const uint8_t *w, size_t piece) {
    switch (type) {
    case TYPE_F32: return f8_load_f32(w);
    case TYPE_F16: return f8_load_f16(w);
    case TYPE_BF16: return f8_load_bf16(w);
    default: return f8_mul(f8_load_i8(w + 2 + 8 * piece), f8_load_f16_all(w)); /* Q8_0 */
    }
}

/* The last n < 8 weights of a row, zeros after them; no byte past the row is read. */
INLINE f8 widen_tail(enum tensor_type type, const uint8_t *w, size_t n) {
    uint8_t bytes[32] = {0};
    memcpy(bytes, w, (type == TYPE_F32 ? 4 : 2) * n);
    return widen(type, bytes, 0);
}

/* Writes the sums of one column for n_rows rows. */
INLINE void store_sums(float *y, const f8 *sum, size_t n_rows) {
    size_t r = 0;
    for (; r + 4 <= n_rows; r += 4) f8_store_sum4(y + r, sum + r);
    for (; r < n_rows; r++) y[r] = f8_sum(sum[r]);
}

/* n_rows x n_columns outputs from row r, column j on.  type, n_rows and n_columns are constants of the caller, so that
 * the loops over them unroll and the sums stay in registers. */
INLINE void tile(const struct product *p, enum tensor_type type, size_t r, size_t j, size_t n_rows, size_t n_columns) {
    f8 sum[TILE_COLUMNS][VECTOR_ROWS];
    const uint8_t *w = p->w + r * p->row_bytes;
    const uint8_t *w4 = n_rows > 4 ? w + 4 * p->row_bytes : w; /* rows 4..7 by the same three index registers */
    const float *x = p->x + j * p->ldx;
    const size_t row_bytes = p->row_bytes, ldx = p->ldx, n_pieces = type == TYPE_Q8_0 ? 4 : 1, n_tail = p->cols % 8;
    UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        UNROLL
        for (size_t i = 0; i < n_rows; i++) sum[c][i] = f8_set(0);
    }
    for (const float *end = x + p->cols - n_tail; x < end;
         x += 8 * n_pieces, w += step_bytes(type), w4 += step_bytes(type)) {
        UNROLL
        for (size_t piece = 0; piece < n_pieces; piece++) {
            UNROLL
            for (size_t i = 0; i < n_rows; i++) {
                f8 ws = widen(type, (i < 4 ? w : w4) + i % 4 * row_bytes, piece);
                KEEP_ORDER(ws);
                UNROLL
                for (size_t c = 0; c < n_columns; c++) /* the rows share the loads of x */
                    sum[c][i] = f8_fma(ws, f8_load(x + c * ldx + 8 * piece), sum[c][i]);
            }
        }
    }
    if (n_tail && type != TYPE_Q8_0) {
        UNROLL
        for (size_t i = 0; i < n_rows; i++) {
            f8 ws = widen_tail(type, (i < 4 ? w : w4) + i % 4 * row_bytes, n_tail);
            UNROLL
            for (size_t c = 0; c < n_columns; c++) {
                f8 more = f8_fma(ws, f8_load_n(x + c * ldx, n_tail), sum[c][i]);
                sum[c][i] = f8_first(n_tail, more, sum[c][i]); /* lanes past the end are absent, not zero */
            }
        }
    }
    UNROLL
    for (size_t c = 0; c < n_columns; c++) store_sums(p->y + (j + c) * p->ldy + r, sum[c], n_rows);
}

/* Columns [j, j_end), at least 2, by threes and twos (16 = 4*3 + 2*2): one column would leave the pipes half empty. */
INLINE void tile_row(const struct product *p, enum tensor_type type, size_t r, size_t j, size_t j_end, size_t n_rows) {
    while (j < j_end) {
        size_t left = j_end - j;
        if (left == 3 || (left > 4 && FITS_4X3)) {
            tile(p, type, r, j, n_rows, 3);
            j += 3;
        } else {
            tile(p, type, r, j, n_rows, 2);
            j += 2;
        }
    }
}

/* sum[c][i] of the panel's rows with n columns of x, n_columns of them at a time, over `cols` elements. */
INLINE void panel_tile(const float *panel, size_t ld, const float *x, size_t ldx, size_t cols, f8 (*sums)[TILE_ROWS],
                       size_t n_columns) {
    f8 sum[TILE_COLUMNS][TILE_ROWS];
    UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        UNROLL
        for (size_t i = 0; i < TILE_ROWS; i++) sum[c][i] = sums[c][i];
    }
    for (size_t k = 0; k < cols; k += 8) {
        UNROLL
        for (size_t i = 0; i < TILE_ROWS; i++) {
            f8 ws = f8_load(panel + i * ld + k);
            KEEP_ORDER(ws);
            UNROLL
            for (size_t c = 0; c < n_columns; c++) sum[c][i] = f8_fma(ws, f8_load(x + c * ldx + k), sum[c][i]);
        }
    }
    UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        UNROLL
        for (size_t i = 0; i < TILE_ROWS; i++) sums[c][i] = sum[c][i];
    }
}

/* n_rows <= TILE_ROWS rows of a block type against columns [j, j_end), at most BLOCK_COLUMNS + 1: a stretch of the rows
 * is widened once for all of them, and the lane sums go on from stretch to stretch.  Same values, same bits as if each
 * weight were widened where it is used, but that would be far too dear to repeat for every tile. */
static void panel_rows(const struct product *p, enum tensor_type type, size_t r, size_t n_rows, size_t j,
                       size_t j_end) {
    enum { LD = PANEL_COLS + 16 }; /* rows not 4 KB apart: they would share cache sets */
    _Alignas(32) float panel[TILE_ROWS * LD];
    f8 sums[BLOCK_COLUMNS + 1][TILE_ROWS];
    const struct type_info *t = type_info(type);
    const uint8_t *w = p->w + r * p->row_bytes;
    const size_t n = j_end - j;
    for (size_t c = 0; c < n; c++)
        for (size_t i = 0; i < TILE_ROWS; i++) sums[c][i] = f8_set(0);
    for (size_t k = 0; k < p->cols; k += PANEL_COLS) {
        const size_t cols = p->cols - k < PANEL_COLS ? p->cols - k : PANEL_COLS;
        const float *x = p->x + j * p->ldx + k;
        for (size_t i = 0; i < n_rows; i++) /* rows past n_rows: whatever is there, their sums are not stored */
            widen_blocks(type, w + i * p->row_bytes + k / t->block_weights * t->block_bytes, panel + i * LD, cols);
        size_t c = 0;
        for (; FITS_4X3 && (n - c == 3 || n - c > 4); c += 3)
            panel_tile(panel, LD, x + c * p->ldx, p->ldx, cols, sums + c, 3);
        for (; n - c >= 2; c += 2) panel_tile(panel, LD, x + c * p->ldx, p->ldx, cols, sums + c, 2);
        if (c < n) panel_tile(panel, LD, x + c * p->ldx, p->ldx, cols, sums + c, 1);
    }
    for (size_t c = 0; c < n; c++) store_sums(p->y + (j + c) * p->ldy + r, sums[c], n_rows);
}

/* Types whose weights are widened where they are used, eight at a time. */
INLINE bool widens_in_tile(enum tensor_type type) {
    return type == TYPE_F32 || type == TYPE_F16 || type == TYPE_BF16 || type == TYPE_Q8_0;
}

INLINE void matmul(const struct product *p, enum tensor_type type, size_t rows, size_t n) {
    size_t r = 0;
    if (n == 1 && widens_in_tile(type)) {
        for (; r + VECTOR_ROWS <= rows; r += VECTOR_ROWS) tile(p, type, r, 0, VECTOR_ROWS, 1);
        for (; r < rows; r++) tile(p, type, r, 0, 1, 1);
        return;
    }
    for (size_t j = 0, j_end; j < n; j = j_end) {
        j_end = n - j < BLOCK_COLUMNS + 2 ? n : j + BLOCK_COLUMNS; /* never leaves a last block of one column */
        bool panel = !widens_in_tile(type) || (type == TYPE_Q8_0 && j_end - j >= PANEL_MIN);
        for (r = 0; panel && r < rows; r += TILE_ROWS)
            panel_rows(p, type, r, rows - r < TILE_ROWS ? rows - r : TILE_ROWS, j, j_end);
        if (panel || !widens_in_tile(type)) continue;
        for (r = 0; r + TILE_ROWS <= rows; r += TILE_ROWS) tile_row(p, type, r, j, j_end, TILE_ROWS);
        for (; r < rows; r++) tile_row(p, type, r, j, j_end, 1);
    }
}

#define MATMUL(type)                                                                                                   \
    static void matmul_##type(float *y, size_t ldy, const void *w, size_t row_bytes, const float *x, size_t ldx,       \
                              size_t rows, size_t cols, size_t n) {                                                    \
        matmul(&(struct product){y, ldy, w, row_bytes, x, ldx, cols}, type, rows, n);                                  \
    }
EACH_TYPE(MATMUL)

#endif
