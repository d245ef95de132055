/* block.h: the block layouts of the quantised tensor types: a block of a file as integers and scales, and its weights.
 * Not the way back: narrow.h.  Not for other rooms: they call type_to_f32 of quant.h.
 * Next: lattice.c, the types whose weights are points of a list; panel.c, which packs what is taken apart here.
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
 *   IQ4_NL    32     18   d, q[16]                                          iq4[q] d
 *   MXFP4     32     17   e u8, q[16]                                       fp4[q] 2^(e - 128)
 *   Q2_K     256     84   s[16], q[64], d, m                                q (s & 15) d - (s >> 4) m
 *   Q3_K     256    110   h[32], q[64], s[12], d                            (q - 4) (s - 32) d
 *   Q4_K     256    144   d, m, s[12], q[128]                               q s d - t m
 *   Q5_K     256    176   d, m, s[12], h[32], q[128]                        q s d - t m
 *   Q6_K     256    210   q[128], h[64], s[16], d                           (q - 32) s d, s an int8
 *   IQ4_XS   256    136   d, sh u16, s[4], q[128]                           iq4[q] (s - 32) d
 *   TQ1_0    256     54   q[48], h[4], d                                    (q - 1) d, q a digit of base 3
 *   TQ2_0    256     66   q[64], d                                          (q - 1) d
 *   IQ1_* to IQ3_*: lattice.c
 *
 * h holds the bits of q above the four (or two) low ones.  Each product is exact in f32 (11 bits of d, at most 12 of
 * integers), so a weight is rounded once at most, by the + or -, and every order of evaluation gives the same bits. */
#ifndef PONDER_BLOCK_H
#define PONDER_BLOCK_H

#include <string.h>

#include "ops/panel.h"

enum { SMALL_BLOCK = 32, K_BLOCK = 256 };

/* A block taken apart, of any type:  weight i = value(q[i]) * (d * s[i / 16]) - m * t[i / 16], where value() is that of
 * packing_of(type). */
struct parts {
    float d, m;
    int8_t q[K_BLOCK];
    int8_t s[K_BLOCK / 16], t[K_BLOCK / 16]; /* t: 0 where forms[].low is not */
};

static inline uint16_t read_u16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t read_u32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline float read_f16(const uint8_t *p) { return f16_to_f32(read_u16(p)); }

/* IQ1_S to IQ3_S: lattice.c. */
void lattice_parts(enum tensor_type type, const uint8_t *p, struct parts *to);

/* 32-weight blocks: byte j holds weight j below and weight j + 16 above; bits j and j + 16 of h are their fifth. */

static inline void parts_nibbles(const uint8_t *restrict from, int8_t *restrict q) {
    for (int j = 0; j < 16; j++) q[j] = from[j] & 15;
    for (int j = 0; j < 16; j++) q[16 + j] = from[j] >> 4;
}
static inline void parts_fifth(uint32_t h, int8_t *q) {
    for (int j = 0; j < 32; j++) q[j] = (int8_t)(q[j] | (h >> j & 1) << 4);
}

/* Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, Q8_0, MXFP4. */
static inline void parts_small(enum tensor_type type, const uint8_t *restrict p, struct parts *restrict to) {
    const bool low = type == TYPE_Q4_1 || type == TYPE_Q5_1, fifth = type == TYPE_Q5_0 || type == TYPE_Q5_1;
    to->s[0] = to->s[1] = 1, to->t[0] = to->t[1] = low;
    if (type == TYPE_MXFP4) { /* 2^-128 and 2^-127 are subnormal */
        const uint32_t bits = *p < 2 ? 0x00200000u << *p : (uint32_t)(*p - 1) << 23;
        memcpy(&to->d, &bits, sizeof bits);
        parts_nibbles(p + 1, to->q);
        return;
    }
    to->d = read_f16(p), p += 2;
    to->m = 0;
    if (low) to->m = -read_f16(p), p += 2;
    const uint8_t *h = p;
    if (fifth) p += 4;
    if (type == TYPE_Q8_0) memcpy(to->q, p, SMALL_BLOCK);
    else parts_nibbles(p, to->q);
    if (fifth) parts_fifth(read_u32(h), to->q);
}

/* 256-weight blocks, two halves of 128: q byte l of a half holds, two bits each, weights l, l + 32, l + 64, l + 96; a
 * scale serves 16 weights. */

static inline void parts_crumbs(const uint8_t *restrict from, int8_t *restrict q) {
    for (int i = 0; i < K_BLOCK; i += 32)
        for (int l = 0; l < 32; l++) q[i + l] = from[i / 128 * 32 + l] >> i % 128 / 32 * 2 & 3;
}

static inline void parts_q2_k(const uint8_t *restrict p, struct parts *restrict to) {
    to->d = read_f16(p + 80), to->m = read_f16(p + 82);
    for (int i = 0; i < 16; i++) to->s[i] = p[i] & 15, to->t[i] = p[i] >> 4;
    parts_crumbs(p + 16, to->q);
}

/* Scale i has its low four bits in nibble i of the first eight bytes (all low nibbles first), its high two in the last
 * four bytes.  Bit i of h[l] is the third bit of weight 32 i + l. */
static inline void parts_q3_k(const uint8_t *restrict p, struct parts *restrict to) {
    const uint8_t *s = p + 96;
    to->d = read_f16(p + 108);
    for (int i = 0; i < 16; i++)
        to->s[i] = (int8_t)(((i < 8 ? s[i] & 15 : s[i - 8] >> 4) | (s[8 + i % 4] >> i / 4 * 2 & 3) << 4) - 32);
    parts_crumbs(p + 32, to->q);
    for (int i = 0; i < K_BLOCK; i++) to->q[i] = (int8_t)(to->q[i] | (p[i % 32] >> i / 32 & 1) << 2);
}

/* Q4_K, Q5_K.  The six-bit scale s and offset t of 32-weight group i, from twelve bytes:
 *   0..3: s of 0..3, above it two high bits of s of 4..7; 4..7: the same of t; 8..11: low nibbles of s, t of 4..7
 * Groups 2c and 2c + 1 are the low and the high nibbles of q bytes 32c .. 32c + 31; bit i of h[l] is the fifth bit of
 * weight l of group i. */
static inline void parts_k(const uint8_t *restrict p, bool fifth, struct parts *restrict to) {
    const uint8_t *x = p + 4, *h = p + 16, *q = fifth ? p + 48 : p + 16;
    to->d = read_f16(p), to->m = read_f16(p + 2);
    for (int i = 0; i < 8; i++) {
        to->s[2 * i] = to->s[2 * i + 1] = (int8_t)(i < 4 ? x[i] & 63 : (x[i + 4] & 15) | (x[i - 4] >> 6) << 4);
        to->t[2 * i] = to->t[2 * i + 1] = (int8_t)(i < 4 ? x[i + 4] & 63 : x[i + 4] >> 4 | (x[i] >> 6) << 4);
        for (int l = 0; l < 32; l++)
            to->q[32 * i + l] = (int8_t)((q[i / 2 * 32 + l] >> i % 2 * 4 & 15) | (fifth ? (h[l] >> i & 1) << 4 : 0));
    }
}

/* In a half: group g = 0..3 of 32 weights has its low bits in the low (g < 2) or high nibbles of q bytes
 * 32 (g % 2) .. + 31, its high two at bit 2g of h[l]. */
static inline void parts_q6_k(const uint8_t *restrict p, struct parts *restrict to) {
    to->d = read_f16(p + 208);
    memcpy(to->s, p + 192, sizeof to->s);
    for (int i = 0; i < 8; i++) {
        const uint8_t *q = p + i / 4 * 64 + i % 2 * 32, *h = p + 128 + i / 4 * 32;
        const int g = i % 4;
        for (int l = 0; l < 32; l++) to->q[32 * i + l] = (int8_t)((q[l] >> g / 2 * 4 & 15) | (h[l] >> g * 2 & 3) << 4);
    }
}

/* Eight groups of 32, each laid out as IQ4_NL; scale i: nibble i of s, bits 2i of sh above it. */
static inline void parts_iq4_xs(const uint8_t *restrict p, struct parts *restrict to) {
    const int high = read_u16(p + 2);
    to->d = read_f16(p);
    for (int i = 0; i < 8; i++) {
        to->s[2 * i] = to->s[2 * i + 1] = (int8_t)(((p[4 + i / 2] >> i % 2 * 4 & 15) | (high >> 2 * i & 3) << 4) - 32);
        parts_nibbles(p + 8 + 16 * i, to->q + 32 * i);
    }
}

/* TQ1_0: a byte is a fraction of 256 whose digits to the base 3 are weights; times three, what passes 256 is the next
 * digit.
 * The first digit of all bytes comes first, then the second of all. */
static inline void parts_digits(const uint8_t *from, int n_bytes, int n_digits, int8_t *q) {
    static const uint8_t power[] = {1, 3, 9, 27, 81};
    for (int n = 0; n < n_digits; n++)
        for (int j = 0; j < n_bytes; j++) *q++ = (int8_t)((uint8_t)(from[j] * power[n]) * 3 >> 8);
}

static inline void parts_ternary(enum tensor_type type, const uint8_t *restrict p, struct parts *restrict to) {
    memset(to->s, 1, sizeof to->s);
    to->d = read_f16(p + type_info(type)->block_bytes - 2);
    if (type == TYPE_TQ2_0) {
        parts_crumbs(p, to->q);
        return;
    }
    parts_digits(p, 32, 5, to->q), parts_digits(p + 32, 16, 5, to->q + 160), parts_digits(p + 48, 4, 4, to->q + 240);
}

/* One block of a quantised type. */
static inline void block_parts(enum tensor_type type, const uint8_t *p, struct parts *to) {
    to->m = 0;
    switch (type) {
    case TYPE_Q2_K: parts_q2_k(p, to); return;
    case TYPE_Q3_K: parts_q3_k(p, to); return;
    case TYPE_Q4_K: parts_k(p, false, to); return;
    case TYPE_Q5_K: parts_k(p, true, to); return;
    case TYPE_Q6_K: parts_q6_k(p, to); return;
    case TYPE_IQ4_XS: parts_iq4_xs(p, to); return;
    case TYPE_TQ1_0:
    case TYPE_TQ2_0: parts_ternary(type, p, to); return;
    case TYPE_Q4_0:
    case TYPE_Q4_1:
    case TYPE_Q5_0:
    case TYPE_Q5_1:
    case TYPE_Q8_0:
    case TYPE_MXFP4:
    case TYPE_IQ4_NL: parts_small(type, p, to); return;
    default: lattice_parts(type, p, to);
    }
}

/* w[i] = weight i of n, a multiple of the block, of a quantised type (not F32, F16, BF16, which have no blocks). */
static inline void widen_blocks(enum tensor_type type, const uint8_t *p, float *w, size_t n) {
    const struct type_info *t = type_info(type);
    const struct packing *k = packing_of(type);
    const bool low = forms[k->form].low;
    const int offset = forms[k->form].offset;
    struct parts b;
    for (const float *end = w + n; w < end; p += t->block_bytes) {
        block_parts(type, p, &b);
        for (size_t g = 0; g < t->block_weights / 16; g++, w += 16) {
            const float scale = b.d * (float)b.s[g], less = b.m * (float)b.t[g];
            const int8_t *q = b.q + 16 * g;
            if (k->codes)
                for (int i = 0; i < 16; i++) w[i] = (float)k->codes[q[i]] * scale;
            else
                for (int i = 0; i < 16; i++) w[i] = (float)(q[i] - offset) * scale;
            for (int i = 0; low && i < 16; i++) w[i] -= less;
        }
    }
}

#endif
