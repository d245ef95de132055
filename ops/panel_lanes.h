/* panel_lanes.h: products of panels with many tokens, written once over sixteen lanes (one per row).
 * Not the lanes: lanes16_*.h bring them, with the unpacking of a chunk.
 * Next: lanes16_avx512.h.
 *
 *   for a few tokens at a time, for each panel, for each chunk of 256 k:  unpack the chunk once into the first-level cache,
 *   then for tiles of tokens: go on with their 16 sums, which wait in memory from chunk to chunk.
 *
 * What is computed, whatever the tile, says ops.h: y[j][r] is one chain over ascending k. */
#ifndef PONDER_PANEL_LANES_H
#define PONDER_PANEL_LANES_H

#include <string.h>

#include "ops/chunk_lanes.h"
#include "ops/widen.h"

enum {
    BATCH_BYTES = 1 << 19, /* of activations that go through all panels together: they stay in the second-level cache */
    BATCH_MAX = 128,       /* tokens of it at most */
    BATCH_MIN = 24,
    TOGETHER = 2,      /* panels whose chunks share the first-level cache with a tile's activations */
    FLOAT_DIRECT = 32, /* tokens up to which f16 is widened in the loop: beyond, the chunk is widened once */
};

/* ---- integers ---- */

/* Where a tile has its weights from. */
enum source { FROM_PANEL, FROM_CHUNK };

/* n_columns (a constant of the caller) tokens from a on, ld blocks apart, through n_blocks of 32 k: of the chunk w, unpacked
 * once for many tiles, or of the panel at p, unpacked in registers; sums: [n_columns][16].  Each block asks for a piece of
 * `next`; of a panel to few tokens, whose arithmetic hides little, for what lies far ahead in it. */
INLINE void int_tile(enum source source, const struct chunk *w, const uint8_t *p, struct ahead *next,
                     enum tensor_type type, size_t n_blocks, const struct act_block *a, size_t ld, float *sums,
                     size_t n_columns) {
    const enum kind kind = kind_of(type);
    const bool few = source == FROM_PANEL && n_columns <= FEW_COLUMNS;
    f16 sum[INT_COLUMNS];
    UNROLL
    for (size_t c = 0; c < n_columns; c++) sum[c] = f16_load(sums + c * PANEL_ROWS);
    for (size_t b = 0; b < n_blocks; b++, a++) {
        f16 t[INT_COLUMNS];
        struct view v;
        if (source == FROM_PANEL) view_block(type, p, b, few ? far_ahead(type, n_columns) : 0, &v);
        if (!few) ahead_ask(next, source == FROM_CHUNK);
        UNROLL
        for (size_t g = 0; g < ACT_GROUPS; g++) {
            isum i[INT_COLUMNS];
            UNROLL
            for (size_t c = 0; c < n_columns; c++) i[c] = isum_start(type, &a[c * ld].shift[g]);
            UNROLL
            for (size_t k = 0; k < 2; k++) { /* 8 k at a time */
                words w8[2];
                UNROLL
                for (size_t h = 0; h < 2; h++) {
                    const size_t at = 4 * g + 2 * k + h;
                    w8[h] = source == FROM_PANEL ? words_unpack(type, v.q, v.more, (int)at)
                                                 : words_load(w->w + (b * 8 + at) * WORD);
                }
                UNROLL
                for (size_t c = 0; c < n_columns; c++)
                    i[c] = isum_add(type, i[c], w8, a[c * ld].q + g * ACT_GROUP + 8 * k);
            }
            UNROLL
            for (size_t c = 0; c < n_columns; c++) {
                const f16 s = isum_end(type, i[c], &a[c * ld].shift[g]);
                const bool first = g == 0 || kind == KIND_HALVES;
                t[c] = first ? f16_mul_all(s, &a[c * ld].d[g]) : f16_fma_all(s, &a[c * ld].d[g], t[c]);
                if (kind != KIND_HALVES) continue;
                sum[c] = f16_fma(t[c], source == FROM_PANEL ? v.scale[g] : f16_load(w->scale[2 * b + g]), sum[c]);
            }
        }
        if (kind == KIND_HALVES) continue;
        const f16 scale = source == FROM_PANEL ? v.scale[0] : f16_load(w->scale[b]);
        UNROLL
        for (size_t c = 0; c < n_columns; c++) {
            sum[c] = f16_fma(t[c], scale, sum[c]);
            if (kind != KIND_LOW) continue;
            sum[c] = f16_fnma_all(source == FROM_PANEL ? v.low : f16_load(w->low[b]), &a[c * ld].sum, sum[c]);
        }
    }
    UNROLL
    for (size_t c = 0; c < n_columns; c++) f16_store(sums + c * PANEL_ROWS, sum[c]);
}

/* The tile that reads a chunk as CHUNK_WORDS has ordered it. */
#ifndef CHUNK_TILE
#define CHUNK_TILE(w, ...) int_tile(FROM_CHUNK, w, NULL, &(w)->next, __VA_ARGS__)
#endif

/* Calls tile(.., c) with c a constant: as many full tiles as fit, in pieces of nearly equal width. */
#define TILES(n, most, CALL)                                                                                           \
    for (size_t j_ = 0, left_ = (n), width_; left_; j_ += width_, left_ -= width_) {                                   \
        size_t pieces_ = (left_ + (most)-1) / (most);                                                                  \
        width_ = (left_ + pieces_ - 1) / pieces_;                                                                      \
        CALL(j_, width_);                                                                                              \
    }

/* The tiles of n tokens over one panel. */
INLINE void int_panel(const uint8_t *p, struct ahead *next, enum tensor_type type, size_t n_blocks,
                      const struct act_block *a, size_t ld, float *sums, size_t n) {
#define ONE(c)                                                                                                         \
    case c:                                                                                                            \
        int_tile(FROM_PANEL, NULL, p, next, type, n_blocks, a + j_ * ld, ld, sums + j_ * PANEL_ROWS, c);               \
        break;
#define CALL(j, width)                                                                                                 \
    switch (width) { INT_WIDTHS(ONE) }
    TILES(n, INT_COLUMNS, CALL)
#undef CALL
#undef ONE
}

/* The tiles of n tokens over n_panels chunks: the activations of a tile are brought near once for all of them. */
INLINE void int_chunks(struct chunk *w, size_t n_panels, enum tensor_type type, size_t n_blocks,
                       const struct act_block *a, size_t ld, float (*sums)[BATCH_MAX * PANEL_ROWS], size_t n) {
#define ONE(c)                                                                                                         \
    case c:                                                                                                            \
        for (size_t p_ = 0; p_ < n_panels; p_++)                                                                       \
            CHUNK_TILE(w + p_, type, n_blocks, a + j_ * ld, ld, sums[p_] + j_ * PANEL_ROWS, c);                        \
        break;
#define CALL(j, width)                                                                                                 \
    switch (width) { INT_WIDTHS(ONE) }
    TILES(n, INT_COLUMNS, CALL)
#undef CALL
#undef ONE
}

/* ---- floats ---- */

/* n_columns tokens, n_panels panels `stride` bytes apart, n of their k; sums: [n_columns][n_panels][16]. */
INLINE void float_tile(const uint8_t *w, enum tensor_type type, size_t stride, size_t n, const float *x, size_t ldx,
                       float *sums, size_t ld_sums, size_t n_columns, size_t n_panels) {
    f16 sum[FLOAT_TILE];
    UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        UNROLL
        for (size_t p = 0; p < n_panels; p++) sum[c * n_panels + p] = f16_load(sums + c * ld_sums + p * PANEL_ROWS);
    }
    for (size_t k = 0; k < n; k++, x++, w += float_step(type)) {
        f16 v[4];
        UNROLL
        for (size_t p = 0; p < n_panels; p++) v[p] = f16_widen(type, w + p * stride);
        UNROLL
        for (size_t c = 0; c < n_columns; c++) {
            UNROLL
            for (size_t p = 0; p < n_panels; p++)
                sum[c * n_panels + p] = f16_fma_all(v[p], x + c * ldx, sum[c * n_panels + p]);
        }
    }
    UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        UNROLL
        for (size_t p = 0; p < n_panels; p++) f16_store(sums + c * ld_sums + p * PANEL_ROWS, sum[c * n_panels + p]);
    }
}

/* The tiles of all tokens over one or more panels side by side: 16 sums a panel, so that few tokens take more panels. */
INLINE void float_panels(const uint8_t *w, enum tensor_type type, size_t stride, size_t n_k, const float *x, size_t ldx,
                         float *sums, size_t ld_sums, size_t n, size_t n_panels) {
#define ONE(c, most)                                                                                                   \
    case c:                                                                                                            \
        float_tile(w, type, stride, n_k, x + j_ * ldx, ldx, sums + j_ * ld_sums, ld_sums, c, most);                    \
        break;
#define CALL4(j, width)                                                                                                \
    switch (width) { FLOAT_WIDTHS4(ONE) }
#define CALL2(j, width)                                                                                                \
    switch (width) { FLOAT_WIDTHS2(ONE) }
#define CALL1(j, width)                                                                                                \
    switch (width) { FLOAT_WIDTHS1(ONE) }
    if (n_panels == 4) TILES(n, FLOAT_TILE / 4, CALL4)
    else if (n_panels == 2) TILES(n, FLOAT_TILE / 2, CALL2)
    else TILES(n, FLOAT_TILE, CALL1)
#undef CALL1
#undef CALL2
#undef CALL4
#undef ONE
}

/* ---- whole products ---- */

/* Which part of y a call makes. */
struct part {
    float *y;
    size_t ldy;
    uint32_t row1; /* the rows end here */
};

/* 16 sums of n tokens to y; the last panel may hold fewer rows. */
INLINE void put_sums(const struct part *to, uint32_t row, size_t j, const float *sums, size_t ld_sums, size_t n) {
    const size_t rows = to->row1 - row < PANEL_ROWS ? to->row1 - row : PANEL_ROWS;
    for (size_t c = 0; c < n; c++) {
        float *y = to->y + (j + c) * to->ldy + row;
        if (rows == PANEL_ROWS) f16_store(y, f16_load(sums + c * ld_sums));
        else memcpy(y, sums + c * ld_sums, rows * sizeof *y);
    }
}

INLINE const uint8_t *panel_at(const struct panels *p, uint32_t row) { return p->data + row / PANEL_ROWS * p->stride; }

/* The panel whose part from *k on follows in a product of n_panels at a time: the same one, or (at the end of its k, then
 * *k is 0) the one so many further; NULL: none. */
INLINE const uint8_t *panel_next(const struct panels *p, uint32_t row, uint32_t row1, uint32_t n_panels, size_t end,
                                 size_t *k) {
    if (*k == end) *k = 0, row += n_panels * PANEL_ROWS;
    return row < row1 ? panel_at(p, row) : NULL;
}

INLINE size_t batch_of(size_t bytes) {
    size_t n = BATCH_BYTES / (bytes + 1);
    return n > BATCH_MAX ? BATCH_MAX : n < BATCH_MIN ? BATCH_MIN : n / 8 * 8;
}

/* Up to most_direct tokens at once, from token j on: unpacked in registers, anew for each tile; a second one finds its panel in a
 * cache.  More than one tile ask for the panel that follows, or memory would rest while the others compute. */
INLINE void int_direct(const struct part *to, const struct panels *p, enum tensor_type type, uint32_t row0, size_t j,
                       const struct act_block *a, size_t lda, size_t n) {
    _Alignas(64) float sums[BATCH_MAX * PANEL_ROWS];
    const size_t n_blocks = p->cols / 32, n_tiles = (n + INT_COLUMNS - 1) / INT_COLUMNS;
    for (uint32_t row = row0; row < to->row1; row += PANEL_ROWS) {
        const uint8_t *following = row + PANEL_ROWS < to->row1 ? panel_at(p, row + PANEL_ROWS) : NULL;
        struct ahead next = ahead_of(following, p->stride, n_blocks * n_tiles);
        memset(sums, 0, n * PANEL_ROWS * sizeof *sums);
        int_panel(panel_at(p, row), &next, type, n_blocks, a + j * lda, lda, sums, n);
        put_sums(to, row, j, sums, PANEL_ROWS, n);
    }
}

INLINE void int_product(const struct part *to, const struct panels *p, enum tensor_type type, uint32_t row0,
                        const struct act_block *a, size_t lda, size_t n) {
    struct chunk w[TOGETHER];
    _Alignas(64) float sums[TOGETHER][BATCH_MAX * PANEL_ROWS];
    const size_t batch = batch_of(p->cols / 32 * sizeof *a);
    for (size_t j = 0, some; j < n; j += some) {
        some = n - j < batch ? n - j : batch;
        if (n <= most_direct(type)) {
            int_direct(to, p, type, row0, j, a, lda, some);
            continue;
        }
        for (uint32_t row = row0, n_panels; row < to->row1; row += n_panels * PANEL_ROWS) {
            n_panels = (to->row1 - row + PANEL_ROWS - 1) / PANEL_ROWS;
            if (n_panels > TOGETHER) n_panels = TOGETHER;
            for (uint32_t i = 0; i < n_panels; i++) memset(sums[i], 0, some * PANEL_ROWS * sizeof **sums);
            for (size_t k = 0; k < p->cols / 32; k += PANEL_CHUNK / 32) {
                const size_t blocks = p->cols / 32 - k < PANEL_CHUNK / 32 ? p->cols / 32 - k : PANEL_CHUNK / 32;
                for (uint32_t i = 0; i < n_panels; i++) {
                    const uint32_t mine = row + i * PANEL_ROWS;
                    size_t next = k + blocks;
                    const uint8_t *from = panel_next(p, mine, to->row1, n_panels, p->cols / 32, &next);
                    chunk_unpack(type, panel_at(p, mine), k, blocks, &w[i]);
                    w[i].next = chunk_next(type, from, next, (some + INT_COLUMNS - 1) / INT_COLUMNS);
                }
                int_chunks(w, n_panels, type, blocks, a + j * lda + k, lda, sums, some);
            }
            for (uint32_t i = 0; i < n_panels; i++) put_sums(to, row + i * PANEL_ROWS, j, sums[i], PANEL_ROWS, some);
        }
    }
}

/* A chunk of one panel as f32 [k][16]: whatever the type, for many tokens, or from the rows of the file. */
static void chunk_widen(const struct panels *p, uint32_t row, size_t k, size_t n, float *to) {
    if (p->layout == PANEL_FLOAT) {
        const uint8_t *from = panel_at(p, row) + k * float_step(p->type);
        for (size_t i = 0; i < n; i++, to += PANEL_ROWS, from += float_step(p->type))
            f16_store(to, p->type == TYPE_F16    ? f16_widen(TYPE_F16, from)
                          : p->type == TYPE_BF16 ? f16_widen(TYPE_BF16, from)
                                                 : f16_widen(TYPE_F32, from));
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

static void matmul(float *y, size_t ldy, const struct panels *p, uint32_t row0, uint32_t row1, const float *x,
                   size_t ldx, const struct act_block *a, size_t lda, size_t n) {
    const struct part to = {y, ldy, row1};
    if (p->layout == PANEL_INT8) switch (p->type) {
        case TYPE_Q8_0: int_product(&to, p, TYPE_Q8_0, row0, a, lda, n); return;
        case TYPE_Q4_0: int_product(&to, p, TYPE_Q4_0, row0, a, lda, n); return;
        case TYPE_Q5_0: int_product(&to, p, TYPE_Q5_0, row0, a, lda, n); return;
        case TYPE_Q4_K: int_product(&to, p, TYPE_Q4_K, row0, a, lda, n); return;
        case TYPE_Q5_K: int_product(&to, p, TYPE_Q5_K, row0, a, lda, n); return;
        default: int_product(&to, p, TYPE_Q6_K, row0, a, lda, n); return;
        }
    if (p->layout == PANEL_FILE || n > FLOAT_DIRECT) float_product(&to, p, row0, x, ldx, n);
    else if (p->type == TYPE_F16) float_direct(&to, p, TYPE_F16, row0, x, ldx, n);
    else if (p->type == TYPE_BF16) float_direct(&to, p, TYPE_BF16, row0, x, ldx, n);
    else float_direct(&to, p, TYPE_F32, row0, x, ldx, n);
}

#endif
