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

/* n_columns (a constant of the caller) tokens through the chunk w, unpacked once for many tiles, or through the panel
 * at p, unpacked in registers.  Each block asks for a piece of `next`; of a panel to FEW_COLUMNS or less, for what lies
 * far ahead in it. */
INLINE void int_tile(enum source source, enum form form, const struct chunk *w, const struct packing *packing,
                     const uint8_t *p, struct ahead *next, const struct tile *to, size_t n_columns) {
    const struct form_info *f = &forms[form];
    const bool few = source == FROM_PANEL && n_columns <= FEW_COLUMNS;
    const size_t far = few ? far_ahead(form, n_columns) : 0, ld = to->ld, n_blocks = to->n_blocks;
    const int offset = forms[packing->form].offset;
    const codebook codes = codes_load(form, packing->codes);
    const struct act_block *a = to->a;
    float *sums = to->sums;
    f32x16 sum[INT_COLUMNS];
    UNROLL
    for (size_t c = 0; c < n_columns; c++) sum[c] = f32x16_load(sums + c * PANEL_ROWS);
    for (size_t b = 0; b < n_blocks; b++, a++) {
        i32x16 total[INT_COLUMNS]; /* of both groups; halves: t, with the weights' scales */
        f32x16 t[INT_COLUMNS];
        struct view v;
        if (source == FROM_PANEL) view_block(form, packing, p, b, far, &v);
        if (!few) ahead_ask(next, source == FROM_CHUNK);
        UNROLL
        for (size_t g = 0; g < ACT_GROUPS; g++) {
            isum i[INT_COLUMNS];
            UNROLL
            for (size_t c = 0; c < n_columns; c++) i[c] = isum_start(form, &a[c * ld], g, offset);
            UNROLL
            for (size_t k = 0; k < 2; k++) { /* 8 k at a time */
                words w8[2];
                UNROLL
                for (size_t h = 0; h < 2; h++) {
                    const size_t at = 4 * g + 2 * k + h;
                    w8[h] = source == FROM_PANEL ? words_unpack(form, v.q, v.more, (int)at, codes)
                                                 : words_load(w->w + (b * 8 + at) * WORD);
                }
                UNROLL
                for (size_t c = 0; c < n_columns; c++) i[c] = isum_add(form, i[c], w8, &a[c * ld], g, k);
            }
            UNROLL
            for (size_t c = 0; c < n_columns; c++) {
                const i32x16 s = isum_end(form, i[c], &a[c * ld], g, offset);
                if (!f->halves) {
                    total[c] = g ? i32x16_add(total[c], s) : s;
                    continue;
                }
                const f32x16 scale = source == FROM_PANEL ? v.scale[g] : f32x16_load(w->scale[2 * b + g]);
                t[c] = g ? f32x16_fma(f32x16_of(s), scale, t[c]) : f32x16_mul(f32x16_of(s), scale);
            }
        }
        UNROLL
        for (size_t c = 0; c < n_columns; c++) {
            const struct act_block *x = &a[c * ld];
            if (f->halves) {
                for (size_t g = 0; f->low && g < ACT_GROUPS; g++) {
                    const float too_much = (float)(x->shift[g] * x->times[g]);
                    t[c] = f32x16_fma_all(source == FROM_PANEL ? v.low[g] : f32x16_load(w->low[2 * b + g]), &too_much,
                                          t[c]);
                }
                sum[c] = f32x16_fma_all(t[c], &x->d, sum[c]);
                continue;
            }
            const f32x16 scale = source == FROM_PANEL ? v.scale[0] : f32x16_load(w->scale[b]);
            sum[c] = f32x16_fma(f32x16_mul_all(f32x16_of(total[c]), &x->d), scale, sum[c]);
            if (!f->low) continue;
            sum[c] = f32x16_fnma_all(source == FROM_PANEL ? v.low[0] : f32x16_load(w->low[b]), &x->sum, sum[c]);
        }
    }
    UNROLL
    for (size_t c = 0; c < n_columns; c++) f32x16_store(sums + c * PANEL_ROWS, sum[c]);
}

/* The tile that reads a chunk as CHUNK_WORDS has ordered it. */
#ifndef CHUNK_TILE
#define CHUNK_TILE(form, w, packing, tile, n_columns)                                                                  \
    int_tile(FROM_CHUNK, form, w, packing, NULL, &(w)->next, tile, n_columns)
#endif

/* Runs CASE(form) for the value of a variable: what follows is compiled for each form. */
#define EACH_FORM(CASE)                                                                                                \
    CASE(FORM_8)                                                                                                       \
    CASE(FORM_4)                                                                                                       \
    CASE(FORM_5)                                                                                                       \
    CASE(FORM_2)                                                                                                       \
    CASE(FORM_4_LOW)                                                                                                   \
    CASE(FORM_5_LOW)                                                                                                   \
    CASE(FORM_6_HALVES)                                                                                                \
    CASE(FORM_3_HALVES) CASE(FORM_2_LOW) CASE(FORM_CODES) CASE(FORM_CODES_HALVES) CASE(FORM_SMALL_CODES)
#define EACH_UNPACKED(CASE)                                                                                            \
    CASE(FORM_8) CASE(FORM_5) CASE(FORM_5_LOW) CASE(FORM_6_HALVES) CASE(FORM_2_LOW) CASE(FORM_CODES_HALVES)

/* The tiles of n tokens over one panel, or over the part of it at p. */
INLINE void int_panel(enum form form, const struct packing *packing, const uint8_t *p, struct ahead *next,
                      struct tile all, size_t n) {
#define ONE(c)                                                                                                         \
    case c:                                                                                                            \
        int_tile(FROM_PANEL, form, NULL, packing, p, next,                                                             \
                 &(struct tile){all.a + j_ * all.ld, all.ld, all.n_blocks, all.sums + j_ * PANEL_ROWS}, c);            \
        break;
    TILES(n, INT_COLUMNS, INT_WIDTHS, ONE)
#undef ONE
}

/* The tiles of n tokens over n_panels chunks: the activations of a tile are brought near once for all of them. */
INLINE void int_chunks(enum form form, const struct packing *packing, struct chunk *w, size_t n_panels, struct tile all,
                       float (*sums)[BATCH_MAX * PANEL_ROWS], size_t n) {
#define ONE(c)                                                                                                         \
    case c:                                                                                                            \
        for (size_t p_ = 0; p_ < n_panels; p_++) {                                                                     \
            const struct tile t_ = {all.a + j_ * all.ld, all.ld, all.n_blocks, sums[p_] + j_ * PANEL_ROWS};            \
            if (stays_packed(form) && packing->form == form)                                                           \
                int_tile(FROM_PANEL, form, NULL, packing, w[p_].packed, &w[p_].next, &t_, c);                          \
            else CHUNK_TILE(form, &w[p_], packing, &t_, c);                                                            \
        }                                                                                                              \
        break;
    TILES(n, INT_COLUMNS, INT_WIDTHS, ONE)
#undef ONE
}

static void panel_tiles(const struct packing *packing, const uint8_t *p, struct ahead *next, struct tile all,
                        size_t n) {
    switch (packing->form) {
#define CASE(form)                                                                                                     \
    case form: int_panel(form, packing, p, next, all, n); return;
        EACH_FORM(CASE)
#undef CASE
    default: return;
    }
}

static void chunk_tiles(const struct packing *packing, struct chunk *w, size_t n_panels, struct tile all,
                        float (*sums)[BATCH_MAX * PANEL_ROWS], size_t n) {
    switch (forms[packing->form].unpacked) {
#define CASE(form)                                                                                                     \
    case form: int_chunks(form, packing, w, n_panels, all, sums, n); return;
        EACH_UNPACKED(CASE)
#undef CASE
    default: return;
    }
}

static void unpack(const struct packing *packing, const uint8_t *p, size_t b, size_t n, struct chunk *to) {
    switch (packing->form) {
#define CASE(form)                                                                                                     \
    case form: chunk_unpack(form, packing, p, b, n, to); return;
        EACH_FORM(CASE)
#undef CASE
    default: return;
    }
}

/* Up to most_direct() tokens at once, from token j on: unpacked in registers, anew for each tile; a second one finds its panel in a
 * cache.  More than one tile ask for the panel that follows, or memory would rest while the others compute. */
static void int_direct(const struct part *to, const struct panels *p, uint32_t row0, size_t j,
                       const struct act_block *a, size_t lda, size_t n) {
    _Alignas(64) float sums[BATCH_MAX * PANEL_ROWS];
    const size_t n_blocks = p->cols / 32, n_tiles = (n + INT_COLUMNS - 1) / INT_COLUMNS;
    for (uint32_t row = row0; row < to->row1; row += PANEL_ROWS) {
        const uint8_t *following = row + PANEL_ROWS < to->row1 ? panel_at(p, row + PANEL_ROWS) : NULL;
        struct ahead next = ahead_of(following, p->stride, n_blocks * n_tiles);
        memset(sums, 0, n * PANEL_ROWS * sizeof *sums);
        panel_tiles(packing_of(p->type), panel_at(p, row), &next, (struct tile){a + j * lda, lda, n_blocks, sums}, n);
        put_sums(to, row, j, sums, PANEL_ROWS, n);
    }
}

static void int_product(const struct part *to, const struct panels *p, uint32_t row0, const struct act_block *a,
                        size_t lda, size_t n) {
    struct chunk w[TOGETHER];
    _Alignas(64) float sums[TOGETHER][BATCH_MAX * PANEL_ROWS];
    const struct packing *packing = packing_of(p->type);
    const size_t n_k = p->cols / 32, batch = batch_of(n_k * sizeof *a);
    for (size_t j = 0, some; j < n; j += some) {
        some = n - j < batch ? n - j : batch;
        if (n <= most_direct()) {
            int_direct(to, p, row0, j, a, lda, some);
            continue;
        }
        for (uint32_t row = row0, n_panels; row < to->row1; row += n_panels * PANEL_ROWS) {
            n_panels = (to->row1 - row + PANEL_ROWS - 1) / PANEL_ROWS;
            if (n_panels > TOGETHER) n_panels = TOGETHER;
            for (uint32_t i = 0; i < n_panels; i++) memset(sums[i], 0, some * PANEL_ROWS * sizeof **sums);
            for (size_t k = 0; k < n_k; k += PANEL_CHUNK / 32) {
                const size_t blocks = n_k - k < PANEL_CHUNK / 32 ? n_k - k : PANEL_CHUNK / 32;
                const struct tile tile = {a + j * lda + k, lda, blocks, NULL};
                for (uint32_t i = 0; i < n_panels; i++) {
                    const uint32_t mine = row + i * PANEL_ROWS;
                    size_t next = k + blocks;
                    const uint8_t *from = panel_next(p, mine, to->row1, n_panels, n_k, &next);
                    if (stays_packed(packing->form)) w[i].packed = panel_at(p, mine) + k * block_bytes(packing);
                    else unpack(packing, panel_at(p, mine), k, blocks, &w[i]);
                    w[i].next = chunk_next(packing, from, next, (some + INT_COLUMNS - 1) / INT_COLUMNS);
                }
                chunk_tiles(packing, w, n_panels, tile, sums, some);
            }
            for (uint32_t i = 0; i < n_panels; i++) put_sums(to, row + i * PANEL_ROWS, j, sums[i], PANEL_ROWS, some);
        }
    }
}

#endif
