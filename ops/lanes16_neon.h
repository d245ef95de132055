/* lanes16_neon.h: sixteen lanes in four NEON registers, and integer products by dotprod, or by smlal where it is missing.
 * Not kernels: panel_lanes.h is written over these names.
 * Next: kernels_neon.c, kernels_neon_dot.c, kernels_neon_i8mm.c.
 *
 * sdot adds four products of signed bytes in 32 bits, exactly.  Without it products are 16 bits wide, and with |q| <= 127 the
 * largest possible value says how many may be added before they are widened.  A group of 16 k of one row is 4 sums of four:
 *   |w| <= 128 (Q8_0)                       2 * 128 * 127 = 32512: two words, then 32 bits
 *   |w| <= 32 (Q4_0, Q5_0, Q6_K, and the    8 *  32 * 127 = 32512: the four words of a group and one addition of
 *   unsigned 15 and 31 of Q4_K, Q5_K)                              neighbours more */
#ifndef PONDER_LANES16_NEON_H
#define PONDER_LANES16_NEON_H

#include "ops/lanes_neon.h"

typedef struct {
    f8 a, b;
} f16; /* rows 0..7, 8..15 */
typedef struct {
    int8x16_t a, b, c, d;
} words; /* 16 rows x 4 k, four rows in each: w, of Q4_K and Q5_K q */
typedef struct {
    int32x4_t a, b, c, d;
} i16; /* sixteen integers of 32 bits, four rows in each */

/* Two columns of integers take 24 of 32 registers: their sums, those of a group, the total of both groups; all 32
 * without dotprod.  Three spill so much that a column takes more instructions (gcc 12: 142, not 131). */
enum { INT_COLUMNS = 2, FLOAT_TILE = 6 };
/* Tokens of a product up to which each tile unpacks words in registers. */
INLINE size_t most_direct(void) { return INT_COLUMNS; }
INLINE bool stays_packed(enum tensor_type type) { return (void)type, false; }
#define FLOAT_WIDTHS4(X) X(1, 4)
#define FLOAT_WIDTHS2(X) X(1, 2) X(2, 2) X(3, 2)
#define FLOAT_WIDTHS1(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1)
#define INT_WIDTHS(X) X(1) X(2)

INLINE f16 f16_load(const float *p) { return (f16){f8_load(p), f8_load(p + 8)}; }
INLINE void f16_store(float *p, f16 v) { f8_store(p, v.a), f8_store(p + 8, v.b); }
INLINE f16 f16_mul(f16 a, f16 b) { return (f16){f8_mul(a.a, b.a), f8_mul(a.b, b.b)}; }
INLINE f16 f16_fma(f16 a, f16 b, f16 c) { return (f16){f8_fma(a.a, b.a, c.a), f8_fma(a.b, b.b, c.b)}; }
/* With one number for all lanes. */
INLINE f16 f16_mul_all(f16 a, const float *p) { return (f16){f8_mul(a.a, f8_set(*p)), f8_mul(a.b, f8_set(*p))}; }
INLINE f16 f16_fma_all(f16 a, const float *p, f16 c) {
    return (f16){f8_fma(a.a, f8_set(*p), c.a), f8_fma(a.b, f8_set(*p), c.b)};
}
INLINE f16 f16_fnma_all(f16 a, const float *p, f16 c) {
    return (f16){f8_fnma(a.a, f8_set(*p), c.a), f8_fnma(a.b, f8_set(*p), c.b)};
}

/* Sixteen weights at one k. */
INLINE size_t float_step(enum tensor_type type) { return type == TYPE_F32 ? 64 : 32; }
INLINE f16 f16_widen(enum tensor_type type, const uint8_t *w) {
    if (type == TYPE_F32) return (f16){f8_load_f32(w), f8_load_f32(w + 32)};
    if (type == TYPE_F16) return (f16){f8_load_f16(w), f8_load_f16(w + 16)};
    return (f16){f8_load_bf16(w), f8_load_bf16(w + 16)};
}

/* ---- integer products: weights are signed, so that act_block's shift is not wanted ----
 * The sum of group g of the activations in three steps: what it begins with, 8 k (k: the first or the second) with two words, and
 * times 2^up. */

INLINE i16 i16_add(i16 a, i16 b) {
    return (i16){vaddq_s32(a.a, b.a), vaddq_s32(a.b, b.b), vaddq_s32(a.c, b.c), vaddq_s32(a.d, b.d)};
}
INLINE i16 i16_up(i16 a, const int32_t *up) {
    const int32x4_t by = vdupq_n_s32(*up);
    return (i16){vshlq_s32(a.a, by), vshlq_s32(a.b, by), vshlq_s32(a.c, by), vshlq_s32(a.d, by)};
}
INLINE f16 f16_of(i16 a) {
    return (f16){{vcvtq_f32_s32(a.a), vcvtq_f32_s32(a.b)}, {vcvtq_f32_s32(a.c), vcvtq_f32_s32(a.d)}};
}

INLINE int8x16_t bytes_load(const uint8_t *p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
INLINE words words_load(const uint8_t *w) {
    return (words){bytes_load(w), bytes_load(w + 16), bytes_load(w + 32), bytes_load(w + 48)};
}

#if defined(__ARM_FEATURE_DOTPROD)

typedef i16 isum;

INLINE isum isum_start(enum tensor_type type, const struct act_block *a, size_t g) {
    const int32x4_t none = vdupq_n_s32(0);
    (void)type, (void)a, (void)g;
    return (isum){none, none, none, none};
}
INLINE isum isum_add(enum tensor_type type, isum s, const words *w, const struct act_block *a, size_t g, size_t k) {
    const int8_t *q = a->q + g * ACT_GROUP + k * 8;
    (void)type;
    for (size_t h = 0; h < 2; h++) {
        int32_t four;
        __builtin_memcpy(&four, q + 4 * h, sizeof four);
        const int8x16_t all = vreinterpretq_s8_s32(vdupq_n_s32(four));
        s = (isum){vdotq_s32(s.a, w[h].a, all), vdotq_s32(s.b, w[h].b, all), vdotq_s32(s.c, w[h].c, all),
                   vdotq_s32(s.d, w[h].d, all)};
    }
    return s;
}
INLINE i16 isum_end(enum tensor_type type, isum s, const struct act_block *a, size_t g) {
    return (void)type, i16_up(s, &a->up[g]);
}

#else

typedef struct {
    int16x8_t low, high;
} sums4; /* four rows, 4 sums each; of Q8_0 2 sums of 32 bits each */
typedef struct {
    sums4 a, b, c, d;
} isum;

INLINE isum isum_start(enum tensor_type type, const struct act_block *a, size_t g) {
    const sums4 none = {vdupq_n_s16(0), vdupq_n_s16(0)};
    (void)type, (void)a, (void)g;
    return (isum){none, none, none, none};
}
INLINE int16x8_t pair_add(enum tensor_type type, int16x8_t s, int16x8_t first, int8x8_t w, int8x8_t q) {
    if (type != TYPE_Q8_0) return vmlal_s8(vaddq_s16(s, first), w, q);
    return vreinterpretq_s16_s32(vpadalq_s16(vreinterpretq_s32_s16(s), vmlal_s8(first, w, q)));
}
INLINE sums4 sums4_add(enum tensor_type type, sums4 s, int8x16_t w0, int8x16_t w1, int8x16_t q0, int8x16_t q1) {
    return (sums4){pair_add(type, s.low, vmull_s8(vget_low_s8(w0), vget_low_s8(q0)), vget_low_s8(w1), vget_low_s8(q1)),
                   pair_add(type, s.high, vmull_high_s8(w0, q0), vget_high_s8(w1), vget_high_s8(q1))};
}
INLINE isum isum_add(enum tensor_type type, isum s, const words *w, const struct act_block *a, size_t g, size_t k) {
    const int8_t *q = a->q + g * ACT_GROUP + k * 8;
    int32_t four[2];
    __builtin_memcpy(four, q, sizeof four);
    const int8x16_t q0 = vreinterpretq_s8_s32(vdupq_n_s32(four[0])), q1 = vreinterpretq_s8_s32(vdupq_n_s32(four[1]));
    return (isum){sums4_add(type, s.a, w[0].a, w[1].a, q0, q1), sums4_add(type, s.b, w[0].b, w[1].b, q0, q1),
                  sums4_add(type, s.c, w[0].c, w[1].c, q0, q1), sums4_add(type, s.d, w[0].d, w[1].d, q0, q1)};
}
INLINE int32x4_t sums4_end(enum tensor_type type, sums4 s) {
    if (type != TYPE_Q8_0) return vpaddlq_s16(vpaddq_s16(s.low, s.high));
    return vpaddq_s32(vreinterpretq_s32_s16(s.low), vreinterpretq_s32_s16(s.high));
}
INLINE i16 isum_end(enum tensor_type type, isum s, const struct act_block *a, size_t g) {
    const i16 i = {sums4_end(type, s.a), sums4_end(type, s.b), sums4_end(type, s.c), sums4_end(type, s.d)};
    return i16_up(i, &a->up[g]);
}

#endif

/* ---- unpacking a chunk ---- */

INLINE f16 f16_halves(const uint8_t *p) { return (f16){f8_load_f16(p), f8_load_f16(p + 16)}; }
INLINE f16 f16_signed_bytes(const uint8_t *p) { return (f16){f8_load_i8(p), f8_load_i8(p + 8)}; }
INLINE f8 f8_load_u8(const uint8_t *p) {
    const uint16x8_t q = vmovl_u8(vld1_u8(p));
    return (f8){vcvtq_f32_u32(vmovl_u16(vget_low_u16(q))), vcvtq_f32_u32(vmovl_high_u16(q))};
}
INLINE f16 f16_bytes(const uint8_t *p) { return (f16){f8_load_u8(p), f8_load_u8(p + 8)}; }

/* Bit i of 16 as 16 in byte i. */
INLINE uint8x16_t fifth_bits(const uint8_t *p) {
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    const uint8x16_t spread = vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1]));
    return vandq_u8(vtstq_u8(spread, bit), vdupq_n_u8(16));
}

/* Quarter h (4 rows) of word i of a block; q as panel.h lays the quants out, `more` their further bits. */
INLINE int8x16_t quarter_unpack(enum tensor_type type, const uint8_t *q, const uint8_t *more, int i, int h) {
    if (type == TYPE_Q8_0) return bytes_load(q + i * 64 + h * 16);
    uint8x16_t v = vld1q_u8(q + i % 4 * 64 + h * 16);
    v = i < 4 ? vandq_u8(v, vdupq_n_u8(15)) : vshrq_n_u8(v, 4);
    if (type == TYPE_Q5_0 || type == TYPE_Q5_K) v = vorrq_u8(v, fifth_bits(more + i * 8 + h * 2));
    if (type == TYPE_Q6_K) {
        const uint8x16_t bits = vld1q_u8(more + i / 4 * 64 + h * 16);
        const uint8_t up = (uint8_t)(4 - i % 4 * 2), down = (uint8_t)(i % 4 * 2 - 4);
        v = vorrq_u8(v, vandq_u8(i % 4 < 2 ? bits << up : bits >> down, vdupq_n_u8(0x30)));
    }
    if (type == TYPE_Q4_K || type == TYPE_Q5_K) return vreinterpretq_s8_u8(v);
    return vreinterpretq_s8_u8(vsubq_u8(v, vdupq_n_u8(type == TYPE_Q4_0 ? 8 : type == TYPE_Q5_0 ? 16 : 32)));
}
INLINE words words_unpack(enum tensor_type type, const uint8_t *q, const uint8_t *more, int i) {
    return (words){quarter_unpack(type, q, more, i, 0), quarter_unpack(type, q, more, i, 1),
                   quarter_unpack(type, q, more, i, 2), quarter_unpack(type, q, more, i, 3)};
}
INLINE void words_store(uint8_t *to, words w) {
    vst1q_u8(to, vreinterpretq_u8_s8(w.a)), vst1q_u8(to + 16, vreinterpretq_u8_s8(w.b));
    vst1q_u8(to + 32, vreinterpretq_u8_s8(w.c)), vst1q_u8(to + 48, vreinterpretq_u8_s8(w.d));
}

#endif
