/* chunk_lanes.h: unpacks a chunk of a panel, over the names of lanes16_*.h.
 * Not the products: panel_lanes.h.
 * Next: panel.h for the layouts that are read here. */
#ifndef PONDER_CHUNK_LANES_H
#define PONDER_CHUNK_LANES_H

#include "ops/isa.h"

/* One chunk of a panel, unpacked. */
struct chunk {
    _Alignas(64) uint8_t w[PANEL_CHUNK * PANEL_ROWS]; /* words: [k/4][16][4] */
    float scale[PANEL_CHUNK / 16][PANEL_ROWS];        /* by 32 k, or by 16 for Q6_K */
    float low[PANEL_CHUNK / 32][PANEL_ROWS];
};

enum { HALVES = PANEL_ROWS * 2, NIBBLES = 256, FIFTH = 64, HIGH = 128, WORD = 64, BLOCK_WORDS = 8 * WORD };

/* Bytes ahead of the reading that are asked for: some hundred cycles of work. */
enum { PREFETCH = 4096 };
INLINE void prefetch(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i += 64) __builtin_prefetch(p + PREFETCH + i);
}

/* Unpacks n_blocks blocks of 32 k (K types: 8) and returns where the next chunk begins. */
INLINE const uint8_t *chunk_unpack(enum tensor_type type, const uint8_t *p, size_t n_blocks, struct chunk *to) {
    if (type == TYPE_Q8_0 || type == TYPE_Q4_0 || type == TYPE_Q5_0) {
        const size_t quants = type == TYPE_Q8_0 ? 512 : NIBBLES,
                     size = HALVES + quants + (type == TYPE_Q5_0 ? FIFTH : 0);
        for (size_t b = 0; b < n_blocks; b++, p += size) {
            prefetch(p, size);
            f16_store(to->scale[b], f16_halves(p));
            unpack_words(type, p + HALVES, p + HALVES + quants, to->w + b * BLOCK_WORDS);
        }
        return p;
    }
    const f16 d = f16_halves(p);
    if (type == TYPE_Q6_K) {
        const uint8_t *s = p + HALVES, *q = s + 256;
        for (int i = 0; i < 16; i++) f16_store(to->scale[i], f16_mul(d, f16_signed_bytes(s + i * PANEL_ROWS)));
        for (int b = 0; b < 8; b++, q += NIBBLES + HIGH) {
            prefetch(q, NIBBLES + HIGH);
            unpack_words(type, q, q + NIBBLES, to->w + b * BLOCK_WORDS);
        }
        return q;
    }
    const f16 m = f16_halves(p + HALVES);
    const size_t piece = type == TYPE_Q5_K ? NIBBLES + FIFTH : NIBBLES;
    const uint8_t *s = p + 2 * HALVES, *q = s + 256;
    for (int b = 0; b < 8; b++, q += piece) {
        prefetch(q, piece);
        f16_store(to->scale[b], f16_mul(d, f16_bytes(s + b * PANEL_ROWS)));
        f16_store(to->low[b], f16_mul(m, f16_bytes(s + 128 + b * PANEL_ROWS)));
        unpack_words(type, q, q + NIBBLES, to->w + b * BLOCK_WORDS);
    }
    return q;
}

#endif
