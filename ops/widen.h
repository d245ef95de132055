/* widen.h: the block layouts of the quantised tensor types, and their weights as f32.
 * Not the way back: narrow.h.  Not for other rooms: they call type_to_f32 of quant.h.
 * Next: quant.c and products.h, which compile this text for the base CPU and for the wide ones.
 *
 * A layout is fixed by the files there are (ggml's ids and blocks): fields in this order, f16 and u16 little-endian, at
 * any address.  d, m: f16 scales.  In words of the weights i of a block:
 *
 *   type    block  bytes  layout                                            weight
 *   Q4_0      32     18   d, q[16]                                          (q - 8) d
 *   Q4_1      32     20   d, m, q[16]                                       q d + m
 *   Q5_0      32     22   d, h[4], q[16]                                    (q - 16) d
 *   Q5_1      32     24   d, m, h[4], q[16]                                 q d + m
 *   Q8_0      32     34   d, q[32]                                          q d, q an int8
 *   IQ4_NL    32     18   d, q[16]                                          grid[q] d
 *   Q2_K     256     84   s[16], q[64], d, m                                q (s & 15) d - (s >> 4) m
 *   Q3_K     256    110   h[32], q[64], s[12], d                            (q - 4) (s - 32) d
 *   Q4_K     256    144   d, m, s[12], q[128]                               q s d - t m
 *   Q5_K     256    176   d, m, s[12], h[32], q[128]                        q s d - t m
 *   Q6_K     256    210   q[128], h[64], s[16], d                           (q - 32) s d, s an int8
 *   IQ4_XS   256    136   d, sh u16, s[4], q[128]                           grid[q] (s - 32) d
 *
 * h holds the bits of q above the four (or two) low ones.  Each product is exact in f32 (11 bits of d, at most 12 of
 * integers), so a weight is rounded once at most, by the + or -, and every order of evaluation gives the same bits. */
#ifndef PONDER_WIDEN_H
#define PONDER_WIDEN_H

#include <string.h>

#include "ops/quant.h"

enum { SMALL_BLOCK = 32, K_BLOCK = 256, K_SCALE_BYTES = 12 };

/* The sixteen values of IQ4: denser around zero, as weights are. */
static const int8_t iq4_grid[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static inline uint16_t widen_u16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline float widen_f16(const uint8_t *p) { return f16_to_f32(widen_u16(p)); }

/* 32-weight blocks: byte j holds weight j below and weight j + 16 above; bits j and j + 16 of h are their fifth. */

static inline void widen_q4_0(const uint8_t *restrict p, float *restrict w) {
    const float d = widen_f16(p);
    for (int j = 0; j < 16; j++) w[j] = (float)((p[2 + j] & 15) - 8) * d;
    for (int j = 0; j < 16; j++) w[16 + j] = (float)((p[2 + j] >> 4) - 8) * d;
}

static inline void widen_q4_1(const uint8_t *restrict p, float *restrict w) {
    const float d = widen_f16(p), m = widen_f16(p + 2);
    for (int j = 0; j < 16; j++) w[j] = (float)(p[4 + j] & 15) * d + m;
    for (int j = 0; j < 16; j++) w[16 + j] = (float)(p[4 + j] >> 4) * d + m;
}

static inline void widen_q5_0(const uint8_t *restrict p, float *restrict w) {
    const float d = widen_f16(p);
    uint32_t h;
    memcpy(&h, p + 2, sizeof h);
    for (int j = 0; j < 16; j++) w[j] = (float)((int)((p[6 + j] & 15) | (h >> j & 1) << 4) - 16) * d;
    for (int j = 0; j < 16; j++) w[16 + j] = (float)((int)((p[6 + j] >> 4) | (h >> (j + 16) & 1) << 4) - 16) * d;
}

static inline void widen_q5_1(const uint8_t *restrict p, float *restrict w) {
    const float d = widen_f16(p), m = widen_f16(p + 2);
    uint32_t h;
    memcpy(&h, p + 4, sizeof h);
    for (int j = 0; j < 16; j++) w[j] = (float)(int)((p[8 + j] & 15) | (h >> j & 1) << 4) * d + m;
    for (int j = 0; j < 16; j++) w[16 + j] = (float)(int)((p[8 + j] >> 4) | (h >> (j + 16) & 1) << 4) * d + m;
}

static inline void widen_q8_0(const uint8_t *restrict p, float *restrict w) {
    const float d = widen_f16(p);
    for (int j = 0; j < 32; j++) w[j] = (float)(int8_t)p[2 + j] * d;
}

static inline void widen_grid(const uint8_t *restrict q, float d, float *restrict w) {
    for (int j = 0; j < 16; j++) w[j] = (float)iq4_grid[q[j] & 15] * d;
    for (int j = 0; j < 16; j++) w[16 + j] = (float)iq4_grid[q[j] >> 4] * d;
}

static inline void widen_iq4_nl(const uint8_t *restrict p, float *restrict w) { widen_grid(p + 2, widen_f16(p), w); }

/* 256-weight blocks, two halves of 128: q byte l of a half holds, two bits each, weights l, l + 32, l + 64, l + 96; a
 * scale serves 16 weights. */

static inline void widen_q2_k(const uint8_t *restrict p, float *restrict w) {
    const uint8_t *q = p + 16;
    const float d = widen_f16(p + 80), m = widen_f16(p + 82);
    for (int i = 0; i < 16; i++, w += 16) {
        const float scale = d * (float)(p[i] & 15), low = m * (float)(p[i] >> 4);
        const uint8_t *from = q + i / 8 * 32 + i % 2 * 16;
        const int shift = i % 8 / 2 * 2;
        for (int l = 0; l < 16; l++) w[l] = (float)(from[l] >> shift & 3) * scale - low;
    }
}

/* Scale i has its low four bits in nibble i of the first eight bytes (all low nibbles first), its high two in the last
 * four bytes.  Bit i / 2 of h[l] is the third bit of the weights of scale i. */
static inline void widen_q3_k(const uint8_t *restrict p, float *restrict w) {
    const uint8_t *h = p, *q = p + 32, *s = p + 96;
    const float d = widen_f16(p + 108);
    for (int i = 0; i < 16; i++, w += 16) {
        const int scale = (i < 8 ? s[i] & 15 : s[i - 8] >> 4) | (s[8 + i % 4] >> i / 4 * 2 & 3) << 4;
        const float ds = d * (float)(scale - 32);
        const uint8_t *from = q + i / 8 * 32 + i % 2 * 16, *high = h + i % 2 * 16;
        const int shift = i % 8 / 2 * 2, bit = i / 2;
        for (int l = 0; l < 16; l++) w[l] = (float)((from[l] >> shift & 3) + (high[l] >> bit & 1) * 4 - 4) * ds;
    }
}

/* The six-bit scale s and offset t of 32-weight group i of Q4_K and Q5_K, from twelve bytes:
 *   0..3: s of 0..3, above it two high bits of s of 4..7; 4..7: the same of t; 8..11: low nibbles of s, t of 4..7 */
static inline void widen_k_scale(const uint8_t *p, int i, int *s, int *t) {
    *s = i < 4 ? p[i] & 63 : (p[i + 4] & 15) | (p[i - 4] >> 6) << 4;
    *t = i < 4 ? p[i + 4] & 63 : p[i + 4] >> 4 | (p[i] >> 6) << 4;
}

/* Groups 2c and 2c + 1 are the low and the high nibbles of q bytes 32c .. 32c + 31. */
static inline void widen_q4_k(const uint8_t *restrict p, float *restrict w) {
    const uint8_t *q = p + 16;
    const float d = widen_f16(p), m = widen_f16(p + 2);
    for (int i = 0; i < 8; i++, w += 32) {
        int s, t;
        widen_k_scale(p + 4, i, &s, &t);
        const float scale = d * (float)s, low = m * (float)t;
        const int shift = i % 2 * 4;
        for (int l = 0; l < 32; l++) w[l] = (float)(q[i / 2 * 32 + l] >> shift & 15) * scale - low;
    }
}

/* As Q4_K; bit i of h[l] is the fifth bit of weight l of group i. */
static inline void widen_q5_k(const uint8_t *restrict p, float *restrict w) {
    const uint8_t *h = p + 16, *q = p + 48;
    const float d = widen_f16(p), m = widen_f16(p + 2);
    for (int i = 0; i < 8; i++, w += 32) {
        int s, t;
        widen_k_scale(p + 4, i, &s, &t);
        const float scale = d * (float)s, low = m * (float)t;
        const int shift = i % 2 * 4;
        for (int l = 0; l < 32; l++)
            w[l] = (float)((q[i / 2 * 32 + l] >> shift & 15) + (h[l] >> i & 1) * 16) * scale - low;
    }
}

/* In a half: group g = 0..3 of 32 weights has its low bits in the low (g < 2) or high nibbles of q bytes
 * 32 (g % 2) .. + 31, its high two at bit 2g of h[l]. */
static inline void widen_q6_k(const uint8_t *restrict p, float *restrict w) {
    const uint8_t *s = p + 192;
    const float d = widen_f16(p + 208);
    for (int i = 0; i < 16; i++, w += 16) {
        const int g = i % 8 / 2, at = i % 2 * 16;
        const uint8_t *q = p + i / 8 * 64 + g % 2 * 32 + at, *h = p + 128 + i / 8 * 32 + at;
        const float ds = d * (float)(int8_t)s[i];
        for (int l = 0; l < 16; l++) w[l] = (float)((q[l] >> g / 2 * 4 & 15) + (h[l] >> g * 2 & 3) * 16 - 32) * ds;
    }
}

/* Eight groups of 32, each laid out as IQ4_NL; scale i: nibble i of s, bits 2i of sh above it. */
static inline void widen_iq4_xs(const uint8_t *restrict p, float *restrict w) {
    const float d = widen_f16(p);
    const int high = widen_u16(p + 2);
    for (int i = 0; i < 8; i++) {
        const int s = (p[4 + i / 2] >> i % 2 * 4 & 15) | (high >> 2 * i & 3) << 4;
        widen_grid(p + 8 + 16 * i, d * (float)(s - 32), w + 32 * i);
    }
}

/* w[i] = weight i of n, a multiple of the block, of a quantised type (not F32, F16, BF16, which have no blocks). */
static inline void widen_blocks(enum tensor_type type, const uint8_t *p, float *w, size_t n) {
    const struct type_info *t = type_info(type);
    for (const float *end = w + n; w < end; w += t->block_weights, p += t->block_bytes) switch (type) {
        case TYPE_Q4_0: widen_q4_0(p, w); break;
        case TYPE_Q4_1: widen_q4_1(p, w); break;
        case TYPE_Q5_0: widen_q5_0(p, w); break;
        case TYPE_Q5_1: widen_q5_1(p, w); break;
        case TYPE_Q8_0: widen_q8_0(p, w); break;
        case TYPE_Q2_K: widen_q2_k(p, w); break;
        case TYPE_Q3_K: widen_q3_k(p, w); break;
        case TYPE_Q4_K: widen_q4_k(p, w); break;
        case TYPE_Q5_K: widen_q5_k(p, w); break;
        case TYPE_Q6_K: widen_q6_k(p, w); break;
        case TYPE_IQ4_NL: widen_iq4_nl(p, w); break;
        case TYPE_IQ4_XS: widen_iq4_xs(p, w); break;
        default: return;
        }
}

#endif
