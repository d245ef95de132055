/* int_lanes.h: products of quantised panels, over sixteen lanes (one per row).
 * Not the unpacking: chunk_lanes.h, and lanes16_*.h, which bring the lanes.
 * Next: lanes16_avx512.h.
 *
 *   for a few tokens at a time, for each panel, for each chunk of 256 k:  unpack the chunk once into the first-level cache,
 *   then for tiles of tokens: go on with their 16 sums, which wait in memory from chunk to chunk.
 *
 * What is computed, whatever the tile, says ops.h: y[j][r] is one chain over ascending k. */
#ifndef PONDER_INT_LANES_H
#define PONDER_INT_LANES_H

#include "ops/products.h"

enum {
    TOGETHER = 2,    /* panels whose chunks share the first-level cache with a tile's activations */
    FEW_COLUMNS = 4, /* tokens of a tile whose arithmetic hides little: they ask for what lies far ahead */
};

/* Where a tile has its weights from. */
enum source { FROM_PANEL, FROM_CHUNK };

/* n_columns (a constant of the caller) tokens from a on, ld blocks apart, through n_blocks of 32 k: of the chunk w, unpacked
 * once for many tiles, or of the panel at p, unpacked in registers; sums: [n_columns][16].  Each block asks for a piece of
 * `next`; of a panel to FEW_COLUMNS or less, for what lies far ahead in it. */
INLINE void int_tile(enum source source, const struct chunk *w, const uint8_t *p, struct ahead *next,
                     enum tensor_type type, size_t n_blocks, const struct act_block *a, size_t ld, float *sums,
                     size_t n_columns) {
    const enum kind kind = kind_of(type);
    const bool few = source == FROM_PANEL && n_columns <= FEW_COLUMNS;
    const size_t far = few ? far_ahead(type, n_columns) : 0;
    f16 sum[INT_COLUMNS];
    UNROLL
    for (size_t c = 0; c < n_columns; c++) sum[c] = f16_load(sums + c * PANEL_ROWS);
    for (size_t b = 0; b < n_blocks; b++, a++) {
        i16 total[INT_COLUMNS]; /* of both groups; KIND_HALVES: t, with the weights' scales */
        f16 t[INT_COLUMNS];
        struct view v;
        if (source == FROM_PANEL) view_block(type, p, b, far, &v);
        if (!few) ahead_ask(next, source == FROM_CHUNK);
        UNROLL
        for (size_t g = 0; g < ACT_GROUPS; g++) {
            isum i[INT_COLUMNS];
            UNROLL
            for (size_t c = 0; c < n_columns; c++) i[c] = isum_start(type, &a[c * ld], g);
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
                for (size_t c = 0; c < n_columns; c++) i[c] = isum_add(type, i[c], w8, &a[c * ld], g, k);
            }
            UNROLL
            for (size_t c = 0; c < n_columns; c++) {
                const i16 s = isum_end(type, i[c], &a[c * ld], g);
                if (kind != KIND_HALVES) {
                    total[c] = g ? i16_add(total[c], s) : s;
                    continue;
                }
                const f16 scale = source == FROM_PANEL ? v.scale[g] : f16_load(w->scale[2 * b + g]);
                t[c] = g ? f16_fma(f16_of(s), scale, t[c]) : f16_mul(f16_of(s), scale);
            }
        }
        UNROLL
        for (size_t c = 0; c < n_columns; c++) {
            const float *d = &a[c * ld].d;
            if (kind == KIND_HALVES) {
                sum[c] = f16_fma_all(t[c], d, sum[c]);
                continue;
            }
            const f16 scale = source == FROM_PANEL ? v.scale[0] : f16_load(w->scale[b]);
            sum[c] = f16_fma(f16_mul_all(f16_of(total[c]), d), scale, sum[c]);
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

/* The tiles of n tokens over one panel. */
INLINE void int_panel(const uint8_t *p, struct ahead *next, enum tensor_type type, size_t n_blocks,
                      const struct act_block *a, size_t ld, float *sums, size_t n) {
#define ONE(c)                                                                                                         \
    case c: int_tile(FROM_PANEL, NULL, p, next, type, n_blocks, a + j_ * ld, ld, sums + j_ * PANEL_ROWS, c); break;
    TILES(n, INT_COLUMNS, INT_WIDTHS, ONE)
#undef ONE
}

/* The tiles of n tokens over n_panels chunks: the activations of a tile are brought near once for all of them.  at: [n_panels],
 * where a chunk that stays packed lies. */
INLINE void int_chunks(struct chunk *w, const uint8_t *const *at, size_t n_panels, enum tensor_type type,
                       size_t n_blocks, const struct act_block *a, size_t ld, float (*sums)[BATCH_MAX * PANEL_ROWS],
                       size_t n) {
#define ONE(c)                                                                                                         \
    case c:                                                                                                            \
        for (size_t p_ = 0; p_ < n_panels; p_++) {                                                                     \
            float *s_ = sums[p_] + j_ * PANEL_ROWS;                                                                    \
            if (stays_packed(type))                                                                                    \
                int_tile(FROM_PANEL, NULL, at[p_], &w[p_].next, type, n_blocks, a + j_ * ld, ld, s_, c);               \
            else CHUNK_TILE(w + p_, type, n_blocks, a + j_ * ld, ld, s_, c);                                           \
        }                                                                                                              \
        break;
    TILES(n, INT_COLUMNS, INT_WIDTHS, ONE)
#undef ONE
}

/* Up to most_direct() tokens at once, from token j on: unpacked in registers, anew for each tile; a second one finds its panel in a
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
    const uint8_t *at[TOGETHER] = {NULL};
    _Alignas(64) float sums[TOGETHER][BATCH_MAX * PANEL_ROWS];
    const size_t batch = batch_of(p->cols / 32 * sizeof *a);
    for (size_t j = 0, some; j < n; j += some) {
        some = n - j < batch ? n - j : batch;
        if (n <= most_direct()) {
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
                    if (stays_packed(type)) at[i] = panel_at(p, mine) + k * panel_block_bytes(type);
                    else chunk_unpack(type, panel_at(p, mine), k, blocks, &w[i]);
                    w[i].next = chunk_next(type, from, next, (some + INT_COLUMNS - 1) / INT_COLUMNS);
                }
                int_chunks(w, at, n_panels, type, blocks, a + j * lda + k, lda, sums, some);
            }
            for (uint32_t i = 0; i < n_panels; i++) put_sums(to, row + i * PANEL_ROWS, j, sums[i], PANEL_ROWS, some);
        }
    }
}

#endif
