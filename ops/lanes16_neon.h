/* lanes16_neon.h: sixteen lanes in four NEON registers, and integer products by dotprod, or by smlal where it is missing.
 * Not kernels: panel_lanes.h is written over these names.
 * Next: kernels_neon.c, kernels_neon_dot.c, kernels_neon_i8mm.c.
 *
 * sdot adds four products of signed bytes in 32 bits, exactly.  Without it products are 16 bits wide, and with |q| <= 127 the
 * largest possible value says how many may be added before they are widened.  A group of 16 k of one row is 4 sums of four:
 *   |w| <= 128 (wide forms)                 2 * 128 * 127 = 32512: two words, then 32 bits
 *   |w| <= 32 (all others)                  8 *  32 * 127 = 32512: the four words of a group and one addition of
 *                                                                  neighbours more */
#ifndef PONDER_LANES16_NEON_H
#define PONDER_LANES16_NEON_H

#include "ops/lanes_neon.h"

typedef struct {
    f8 a, b;
} f32x16; /* rows 0..7, 8..15 */
typedef struct {
    int8x16_t a, b, c, d;
} words; /* 16 rows x 4 k, four rows in each: w, with low q */
typedef struct {
    int32x4_t a, b, c, d;
} i32x16; /* sixteen integers of 32 bits, four rows in each */

/* Two columns of integers take 24 of 32 registers: their sums, those of a group, the total of both groups; all 32
 * without dotprod.  Three spill so much that a column takes more instructions (gcc 12: 142, not 131). */
enum { INT_COLUMNS = 2, FLOAT_TILE = 6 };
/* Tokens of a product up to which each tile unpacks words in registers. */
INLINE size_t most_direct(void) { return INT_COLUMNS; }
INLINE bool stays_packed(enum form form) { return (void)form, false; }
#define FLOAT_WIDTHS4(X) X(1, 4)
#define FLOAT_WIDTHS2(X) X(1, 2) X(2, 2) X(3, 2)
#define FLOAT_WIDTHS1(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1)
#define INT_WIDTHS(X) X(1) X(2)

INLINE f32x16 f32x16_load(const float *p) { return (f32x16){f8_load(p), f8_load(p + 8)}; }
INLINE void f32x16_store(float *p, f32x16 v) { f8_store(p, v.a), f8_store(p + 8, v.b); }
INLINE f32x16 f32x16_mul(f32x16 a, f32x16 b) { return (f32x16){f8_mul(a.a, b.a), f8_mul(a.b, b.b)}; }
INLINE f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c) {
    return (f32x16){f8_fma(a.a, b.a, c.a), f8_fma(a.b, b.b, c.b)};
}
/* With one number for all lanes. */
INLINE f32x16 f32x16_mul_all(f32x16 a, const float *p) {
    return (f32x16){f8_mul(a.a, f8_set(*p)), f8_mul(a.b, f8_set(*p))};
}
INLINE f32x16 f32x16_fma_all(f32x16 a, const float *p, f32x16 c) {
    return (f32x16){f8_fma(a.a, f8_set(*p), c.a), f8_fma(a.b, f8_set(*p), c.b)};
}
INLINE f32x16 f32x16_fnma_all(f32x16 a, const float *p, f32x16 c) {
    return (f32x16){f8_fnma(a.a, f8_set(*p), c.a), f8_fnma(a.b, f8_set(*p), c.b)};
}

/* Sixteen weights at one k. */
INLINE size_t float_step(enum tensor_type type) { return type == TYPE_F32 ? 64 : 32; }
INLINE f32x16 f32x16_widen(enum tensor_type type, const uint8_t *w) {
    if (type == TYPE_F32) return (f32x16){f8_load_f32(w), f8_load_f32(w + 32)};
    if (type == TYPE_F16) return (f32x16){f8_load_f16(w), f8_load_f16(w + 16)};
    return (f32x16){f8_load_bf16(w), f8_load_bf16(w + 16)};
}

/* ---- integer products: weights are signed, so that act_block's shift is not wanted ----
 * The sum of group g of the activations in three steps: what it begins with, 8 k (k: the first or the second) with two words, and
 * times 2^up. */

INLINE i32x16 i32x16_add(i32x16 a, i32x16 b) {
    return (i32x16){vaddq_s32(a.a, b.a), vaddq_s32(a.b, b.b), vaddq_s32(a.c, b.c), vaddq_s32(a.d, b.d)};
}
INLINE i32x16 i32x16_up(i32x16 a, const int32_t *up) {
    const int32x4_t by = vdupq_n_s32(*up);
    return (i32x16){vshlq_s32(a.a, by), vshlq_s32(a.b, by), vshlq_s32(a.c, by), vshlq_s32(a.d, by)};
}
INLINE f32x16 f32x16_of(i32x16 a) {
    return (f32x16){{vcvtq_f32_s32(a.a), vcvtq_f32_s32(a.b)}, {vcvtq_f32_s32(a.c), vcvtq_f32_s32(a.d)}};
}

INLINE int8x16_t bytes_load(const uint8_t *p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
INLINE words words_load(const uint8_t *w) {
    return (words){bytes_load(w), bytes_load(w + 16), bytes_load(w + 32), bytes_load(w + 48)};
}

#if defined(__ARM_FEATURE_DOTPROD)

typedef i32x16 isum;

INLINE isum isum_start(enum form form, const struct act_block *a, size_t g, int offset) {
    const int32x4_t none = vdupq_n_s32(0);
    (void)form, (void)a, (void)g, (void)offset;
    return (isum){none, none, none, none};
}
INLINE isum isum_add(enum form form, isum s, const words *w, const struct act_block *a, size_t g, size_t k) {
    const int8_t *q = a->q + g * ACT_GROUP + k * 8;
    (void)form;
    for (size_t h = 0; h < 2; h++) {
        int32_t four;
        __builtin_memcpy(&four, q + 4 * h, sizeof four);
        const int8x16_t all = vreinterpretq_s8_s32(vdupq_n_s32(four));
        s = (isum){vdotq_s32(s.a, w[h].a, all), vdotq_s32(s.b, w[h].b, all), vdotq_s32(s.c, w[h].c, all),
                   vdotq_s32(s.d, w[h].d, all)};
    }
    return s;
}
INLINE i32x16 isum_end(enum form form, isum s, const struct act_block *a, size_t g, int offset) {
    return (void)form, (void)offset, i32x16_up(s, &a->up[g]);
}

#else

typedef struct {
    int16x8_t low, high;
} sums4; /* four rows, 4 sums each; of wide forms 2 sums of 32 bits each */
typedef struct {
    sums4 a, b, c, d;
} isum;

INLINE isum isum_start(enum form form, const struct act_block *a, size_t g, int offset) {
    const sums4 none = {vdupq_n_s16(0), vdupq_n_s16(0)};
    (void)form, (void)a, (void)g, (void)offset;
    return (isum){none, none, none, none};
}
INLINE int16x8_t pair_add(enum form form, int16x8_t s, int16x8_t first, int8x8_t w, int8x8_t q) {
    if (!forms[form].wide) return vmlal_s8(vaddq_s16(s, first), w, q);
    return vreinterpretq_s16_s32(vpadalq_s16(vreinterpretq_s32_s16(s), vmlal_s8(first, w, q)));
}
INLINE sums4 sums4_add(enum form form, sums4 s, int8x16_t w0, int8x16_t w1, int8x16_t q0, int8x16_t q1) {
    return (sums4){pair_add(form, s.low, vmull_s8(vget_low_s8(w0), vget_low_s8(q0)), vget_low_s8(w1), vget_low_s8(q1)),
                   pair_add(form, s.high, vmull_high_s8(w0, q0), vget_high_s8(w1), vget_high_s8(q1))};
}
INLINE isum isum_add(enum form form, isum s, const words *w, const struct act_block *a, size_t g, size_t k) {
    const int8_t *q = a->q + g * ACT_GROUP + k * 8;
    int32_t four[2];
    __builtin_memcpy(four, q, sizeof four);
    const int8x16_t q0 = vreinterpretq_s8_s32(vdupq_n_s32(four[0])), q1 = vreinterpretq_s8_s32(vdupq_n_s32(four[1]));
    return (isum){sums4_add(form, s.a, w[0].a, w[1].a, q0, q1), sums4_add(form, s.b, w[0].b, w[1].b, q0, q1),
                  sums4_add(form, s.c, w[0].c, w[1].c, q0, q1), sums4_add(form, s.d, w[0].d, w[1].d, q0, q1)};
}
INLINE int32x4_t sums4_end(enum form form, sums4 s) {
    if (!forms[form].wide) return vpaddlq_s16(vpaddq_s16(s.low, s.high));
    return vpaddq_s32(vreinterpretq_s32_s16(s.low), vreinterpretq_s32_s16(s.high));
}
INLINE i32x16 isum_end(enum form form, isum s, const struct act_block *a, size_t g, int offset) {
    const i32x16 i = {sums4_end(form, s.a), sums4_end(form, s.b), sums4_end(form, s.c), sums4_end(form, s.d)};
    (void)offset;
    return i32x16_up(i, &a->up[g]);
}

#endif

/* ---- unpacking a chunk ---- */

INLINE f32x16 f32x16_halves(const uint8_t *p) { return (f32x16){f8_load_f16(p), f8_load_f16(p + 16)}; }
INLINE f32x16 f32x16_signed_bytes(const uint8_t *p) { return (f32x16){f8_load_i8(p), f8_load_i8(p + 8)}; }

/* Bit i of 16 as `value` in byte i. */
INLINE uint8x16_t plane_bit(const uint8_t *p, uint8_t value) {
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    const uint8x16_t spread = vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1]));
    return vandq_u8(vtstq_u8(spread, bit), vdupq_n_u8(value));
}

typedef int8x16_t codebook;
INLINE codebook codes_load(enum form form, const int8_t *codes) {
    return forms[form].codes ? vld1q_s8(codes) : vdupq_n_s8(0);
}

/* 4 or 2 bits of word i of the plane at p, quarter h (4 rows). */
INLINE uint8x16_t plane_quarter(int bits, const uint8_t *p, int i, int h) {
    const int piece = bits == 4 ? i % 4 : i / 4, shift = bits == 4 ? i / 4 * 4 : i % 4 * 2;
    const uint8x16_t v = vld1q_u8(p + piece * 64 + h * 16);
    return vandq_u8(v >> (uint8_t)shift, vdupq_n_u8((uint8_t)((1 << bits) - 1)));
}
/* The plane of more bits at p, in their place above `below` others. */
INLINE uint8x16_t more_quarter(int bits, int below, const uint8_t *p, int i, int h) {
    if (bits == 1) return plane_bit(p + i * 8 + h * 2, (uint8_t)(1 << below));
    const uint8x16_t two = vld1q_u8(p + i / 4 * 64 + h * 16);
    const int up = below - i % 4 * 2;
    return vandq_u8(up >= 0 ? two << (uint8_t)up : two >> (uint8_t)-up, vdupq_n_u8((uint8_t)(3 << below)));
}
/* Quarter h (4 rows) of word i of a block; the planes of panel.h at q and `more`. */
INLINE int8x16_t quarter_unpack(enum form form, const uint8_t *q, const uint8_t *more, int i, int h, codebook codes) {
    const struct form_info *f = &forms[form];
    if (f->bits == 8) return bytes_load(q + i * 64 + h * 16);
    uint8x16_t v = plane_quarter(f->bits, q, i, h);
    if (f->more) v = vorrq_u8(v, more_quarter(f->more, f->bits, more, i, h));
    if (f->codes) return vqtbl1q_s8(codes, v);
    return vreinterpretq_s8_u8(f->offset ? vsubq_u8(v, vdupq_n_u8(f->offset)) : v);
}
INLINE words words_unpack(enum form form, const uint8_t *q, const uint8_t *more, int i, codebook codes) {
    return (words){quarter_unpack(form, q, more, i, 0, codes), quarter_unpack(form, q, more, i, 1, codes),
                   quarter_unpack(form, q, more, i, 2, codes), quarter_unpack(form, q, more, i, 3, codes)};
}
INLINE void words_store(uint8_t *to, words w) {
    vst1q_u8(to, vreinterpretq_u8_s8(w.a)), vst1q_u8(to + 16, vreinterpretq_u8_s8(w.b));
    vst1q_u8(to + 32, vreinterpretq_u8_s8(w.c)), vst1q_u8(to + 48, vreinterpretq_u8_s8(w.d));
}

#endif
