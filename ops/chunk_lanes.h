/* chunk_lanes.h: unpacks a chunk of a panel, over the names of lanes16_*.h.
 * Not the products: int_lanes.h.
 * Next: panel.h for the layouts that are read here. */
#ifndef PONDER_CHUNK_LANES_H
#define PONDER_CHUNK_LANES_H

#include "ops/isa.h"

/* Word i of a block as a chunk has it; with another order goes another tile that reads it (CHUNK_TILE of int_lanes.h). */
#ifndef CHUNK_WORDS
#define CHUNK_WORDS words_unpack
#endif

/* Memory that will be wanted near, asked for in pieces between products: all at once would fill the queue of the cache, and
 * everything would wait. */
struct ahead {
    const uint8_t *from, *end;
    size_t lines; /* of a piece */
};
INLINE struct ahead ahead_of(const uint8_t *from, size_t bytes, size_t n_pieces) {
    return (struct ahead){from, from ? from + bytes : NULL, n_pieces ? bytes / 64 / n_pieces + 1 : 0};
}
/* For a piece; nearest: into the first-level cache, not the second. */
INLINE void ahead_ask(struct ahead *of, bool nearest) {
    for (size_t i = 0; i < of->lines && of->from < of->end; i++, of->from += 64) {
        if (nearest) __builtin_prefetch(of->from, 0, 3);
        else __builtin_prefetch(of->from, 0, 2);
    }
}

/* One chunk of a panel, unpacked. */
struct chunk {
    _Alignas(64) uint8_t w[PANEL_CHUNK * PANEL_ROWS]; /* words: [k/4][16][4], or as CHUNK_WORDS says */
    float scale[PANEL_CHUNK / 16][PANEL_ROWS];        /* by 32 k, or by 16 */
    float low[PANEL_CHUNK / 16][PANEL_ROWS];
    const uint8_t *packed; /* where it lies, if it stays there */
    struct ahead next;
};

/* The tokens of a tile: from a on, ld blocks apart, through n_blocks of 32 k; sums: [n_columns][16]. */
struct tile {
    const struct act_block *a;
    size_t ld, n_blocks;
    float *sums;
};

enum { WORD = 64, BLOCK_WORDS = 8 * WORD };

/* Where 32 k of a panel are, and what multiplies them: scale[1], low and low[1] only in forms that have them. */
struct view {
    const uint8_t *q, *more; /* the planes of panel.h */
    f32x16 scale[2], low[2];
};

/* Bytes ahead of the reading that few tokens ask for (docs/KERNELS.md). */
INLINE size_t far_ahead(enum form form, size_t n_tokens) {
    if (n_tokens > 1 || (form != FORM_8 && form != FORM_4)) return 8192;
    return cpu_is_intel() ? 4096 : 1024;
}

/* The scales of block b of 32 k in a block of 256 k at p. */
INLINE void view_k_scales(enum form form, const uint8_t *p, size_t b, struct view *v) {
    const size_t n = forms[form].halves ? 2 : 1;
    const uint8_t *s = p + PANEL_K_SCALES + b % 8 * n * PANEL_ROWS, *t = s + 8 * n * PANEL_ROWS;
    const f32x16 d = forms[form].low ? f32x16_halves(p) : f32x16_load((const float *)(const void *)p);
    UNROLL
    for (size_t h = 0; h < n; h++) v->scale[h] = f32x16_mul(d, f32x16_signed_bytes(s + h * PANEL_ROWS));
    if (!forms[form].low) return;
    const float part = n == 2 ? 1.0f / 128 : 1; /* for sums that are multiples of 128 */
    const f32x16 m = f32x16_mul_all(f32x16_halves(p + PANEL_HALVES), &part);
    UNROLL
    for (size_t h = 0; h < n; h++) v->low[h] = f32x16_mul(m, f32x16_signed_bytes(t + h * PANEL_ROWS));
}

/* Block b of 32 k of the panel at p; the memory `ahead` bytes behind it will be wanted, unless 0. */
INLINE void view_block(enum form form, const struct packing *k, const uint8_t *p, size_t b, size_t ahead,
                       struct view *v) {
    const uint8_t *from;
    if (!forms[form].halves && k->span == 32) {
        from = p += b * block_bytes(k);
        v->scale[0] = form == FORM_SMALL_CODES ? f32x16_widen(TYPE_BF16, p) : f32x16_halves(p);
        if (forms[form].low) v->low[0] = f32x16_halves(p + PANEL_HALVES);
        v->q = p + PANEL_HALVES * (forms[form].low ? 2 : 1);
    } else {
        p += b / 8 * block_bytes(k);
        view_k_scales(form, p, b, v);
        v->q = p + PANEL_K_SCALES + scales_bytes(form) + b % 8 * quants_bytes(form);
        from = b % 8 ? v->q : p;
    }
    v->more = v->q + plane_bytes(forms[form].bits);
    if (!ahead) return;
    const uint8_t *end = v->q + quants_bytes(form);
    for (; from < end; from += 64) __builtin_prefetch(from + ahead, 0, 2);
    __builtin_prefetch(end - 1 + ahead, 0, 2);
}

/* Unpacks blocks [b, b + n) of the panel at p. */
INLINE void chunk_unpack(enum form form, const struct packing *k, const uint8_t *p, size_t b, size_t n,
                         struct chunk *to) {
    const codebook codes = codes_load(form, k->codes);
    const size_t per = forms[form].halves ? 2 : 1;
    for (size_t i = 0; i < n; i++) {
        struct view v;
        view_block(form, k, p, b + i, 0, &v);
        UNROLL
        for (size_t h = 0; h < per; h++) {
            f32x16_store(to->scale[per * i + h], v.scale[h]);
            if (forms[form].low) f32x16_store(to->low[per * i + h], v.low[h]);
        }
        UNROLL
        for (int w = 0; w < 8; w++)
            words_store(to->w + i * BLOCK_WORDS + w * WORD, CHUNK_WORDS(form, v.q, v.more, w, codes));
    }
}

/* The chunk from block b on of the panel at p (NULL: none) is wanted after n_tiles tiles, a piece for each of their blocks. */
INLINE struct ahead chunk_next(const struct packing *k, const uint8_t *p, size_t b, size_t n_tiles) {
    const size_t n = PANEL_CHUNK / 32, per = k->span / 32, bytes = n / per * block_bytes(k);
    return ahead_of(p ? p + b / per * block_bytes(k) : NULL, bytes, n * n_tiles);
}

#endif
