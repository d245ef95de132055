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

/* How the weights of a chunk are stored in it and summed. */
enum kind {
    KIND_SIGNED, /* w, one scale for 32 k */
    KIND_HALVES, /* w, a scale for 16 k */
    KIND_LOW,    /* unsigned, with low */
};
INLINE enum kind kind_of(enum tensor_type type) {
    return type == TYPE_Q4_K || type == TYPE_Q5_K ? KIND_LOW : type == TYPE_Q6_K ? KIND_HALVES : KIND_SIGNED;
}

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
    float scale[PANEL_CHUNK / 16][PANEL_ROWS];        /* by 32 k, or by 16 for Q6_K */
    float low[PANEL_CHUNK / 32][PANEL_ROWS];
    struct ahead next;
};

enum { WORD = 64, BLOCK_WORDS = 8 * WORD };

/* Where 32 k of a panel are, and what multiplies them: scale[1] and low only where the type has them. */
struct view {
    const uint8_t *q, *more; /* as panel.h lays them out; more: their further bits */
    f16 scale[2], low;
};

/* Bytes ahead of the reading that few tokens ask for (docs/KERNELS.md). */
INLINE size_t far_ahead(enum tensor_type type, size_t n_tokens) {
    if (n_tokens > 1 || (type != TYPE_Q8_0 && type != TYPE_Q4_0)) return 8192;
    return cpu_is_intel() ? 4096 : 1024;
}

/* Block b of 32 k of the panel at p; the memory `ahead` bytes behind it will be wanted, unless 0. */
INLINE void view_block(enum tensor_type type, const uint8_t *p, size_t b, size_t ahead, struct view *v) {
    if (panel_short(type)) {
        p += b * panel_block_bytes(type);
        v->scale[0] = f16_halves(p);
        v->q = p + PANEL_HALVES;
    } else {
        const size_t i = b % 8;
        p += b / 8 * panel_block_bytes(type);
        const uint8_t *s = p + PANEL_K_SCALES;
        if (type == TYPE_Q6_K) {
            const f16 d = f16_load((const float *)(const void *)p);
            v->scale[0] = f16_mul(d, f16_signed_bytes(s + 2 * i * PANEL_ROWS));
            v->scale[1] = f16_mul(d, f16_signed_bytes(s + (2 * i + 1) * PANEL_ROWS));
        } else {
            v->scale[0] = f16_mul(f16_halves(p), f16_bytes(s + i * PANEL_ROWS));
            v->low = f16_mul(f16_halves(p + PANEL_HALVES), f16_bytes(s + 128 + i * PANEL_ROWS));
        }
        v->q = p + PANEL_K_QUANTS + i * panel_quant_bytes(type);
    }
    v->more = v->q + PANEL_NIBBLES;
    if (!ahead) return;
    const uint8_t *from = panel_short(type) || b % 8 == 0 ? p : v->q, *end = v->q + panel_quant_bytes(type);
    for (; from < end; from += 64) __builtin_prefetch(from + ahead, 0, 2);
    __builtin_prefetch(end - 1 + ahead, 0, 2);
}

/* Unpacks blocks [b, b + n) of the panel at p. */
INLINE void chunk_unpack(enum tensor_type type, const uint8_t *p, size_t b, size_t n, struct chunk *to) {
    for (size_t i = 0; i < n; i++) {
        struct view v;
        view_block(type, p, b + i, 0, &v);
        if (type == TYPE_Q6_K) {
            f16_store(to->scale[2 * i], v.scale[0]);
            f16_store(to->scale[2 * i + 1], v.scale[1]);
        } else {
            f16_store(to->scale[i], v.scale[0]);
        }
        if (kind_of(type) == KIND_LOW) f16_store(to->low[i], v.low);
        UNROLL
        for (int k = 0; k < 8; k++) words_store(to->w + i * BLOCK_WORDS + k * WORD, CHUNK_WORDS(type, v.q, v.more, k));
    }
}

/* The chunk from block b on of the panel at p (NULL: none) is wanted after n_tiles tiles, a piece for each of their blocks. */
INLINE struct ahead chunk_next(enum tensor_type type, const uint8_t *p, size_t b, size_t n_tiles) {
    const size_t block = panel_block_bytes(type), n = PANEL_CHUNK / 32;
    if (panel_short(type)) return ahead_of(p ? p + b * block : NULL, n * block, n * n_tiles);
    return ahead_of(p ? p + b / n * block : NULL, block, n * n_tiles);
}

#endif
