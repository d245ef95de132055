/* lanes_neon.h: eight lanes of f32 in two NEON registers (AArch64); the names of lanes_avx2.h.
 * Not kernels: *_lanes.h are written over these names once, for both.
 * Next: products.h. */
#ifndef PONDER_LANES_NEON_H
#define PONDER_LANES_NEON_H

#include <arm_neon.h>

#include "ops/isa.h"

typedef struct {
    float32x4_t low, high;
} f8; /* a pair of registers, not a struct to look into: hence the typedef */

/* See lanes_avx2.h.  A 4 x 3 tile would need 24 + 6 + 2 registers of 32: gcc 12 puts ten of them on the stack, and none
 * for 4 x 2. */
#if defined(__clang__)
#define KEEP_ORDER(v) (void)(v)
#else
#define KEEP_ORDER(v) __asm__("" : "+w"((v).low), "+w"((v).high))
#endif
enum { FITS_4X3 = 0 };

INLINE f8 f8_set(float x) { return (f8){vdupq_n_f32(x), vdupq_n_f32(x)}; }
INLINE f8 f8_add(f8 a, f8 b) { return (f8){vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
INLINE f8 f8_sub(f8 a, f8 b) { return (f8){vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
INLINE f8 f8_mul(f8 a, f8 b) { return (f8){vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
INLINE f8 f8_div(f8 a, f8 b) { return (f8){vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)}; }
INLINE f8 f8_neg(f8 a) { return (f8){vnegq_f32(a.low), vnegq_f32(a.high)}; }
INLINE f8 f8_fma(f8 a, f8 b, f8 c) { return (f8){vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)}; }
INLINE f8 f8_fnma(f8 a, f8 b, f8 c) { return (f8){vfmsq_f32(c.low, a.low, b.low), vfmsq_f32(c.high, a.high, b.high)}; }

INLINE f8 f8_if_greater(f8 a, f8 b, f8 yes, f8 no) {
    return (f8){vbslq_f32(vcgtq_f32(a.low, b.low), yes.low, no.low),
                vbslq_f32(vcgtq_f32(a.high, b.high), yes.high, no.high)};
}
INLINE f8 f8_larger(f8 a, f8 b) { return f8_if_greater(a, b, a, b); } /* fmax would treat NaN and -0 otherwise */
INLINE f8 f8_if_nan(f8 x, f8 no) {
    return (f8){vbslq_f32(vceqq_f32(x.low, x.low), no.low, x.low),
                vbslq_f32(vceqq_f32(x.high, x.high), no.high, x.high)};
}

INLINE float32x4_t scale_exponent4(float32x4_t p, float32x4_t t) {
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(p), vshlq_n_u32(vreinterpretq_u32_f32(t), 23)));
}
INLINE f8 f8_scale_exponent(f8 p, f8 t) { return (f8){scale_exponent4(p.low, t.low), scale_exponent4(p.high, t.high)}; }

INLINE f8 f8_first(size_t n, f8 a, f8 b) {
    static const uint32_t ones[16] = {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u};
    return (f8){vbslq_f32(vld1q_u32(ones + 8 - n), a.low, b.low), vbslq_f32(vld1q_u32(ones + 12 - n), a.high, b.high)};
}

INLINE f8 f8_load(const float *p) { return (f8){vld1q_f32(p), vld1q_f32(p + 4)}; }
INLINE void f8_store(float *p, f8 v) { vst1q_f32(p, v.low), vst1q_f32(p + 4, v.high); }
INLINE f8 f8_load_n(const float *p, size_t n) {
    float all[8] = {0};
    __builtin_memcpy(all, p, n * sizeof *p);
    return f8_load(all);
}
INLINE void f8_store_n(float *p, f8 v, size_t n) {
    float all[8];
    f8_store(all, v);
    __builtin_memcpy(p, all, n * sizeof *p);
}

INLINE void f8_load_pairs(const float *p, f8 *a, f8 *b) {
    float32x4x2_t low = vld2q_f32(p), high = vld2q_f32(p + 8);
    *a = (f8){low.val[0], high.val[0]};
    *b = (f8){low.val[1], high.val[1]};
}
INLINE void f8_store_pairs(float *p, f8 a, f8 b) {
    float32x4x2_t low = {{a.low, b.low}}, high = {{a.high, b.high}};
    vst2q_f32(p, low);
    vst2q_f32(p + 8, high);
}

/* Byte loads: weights may lie at odd addresses. */
INLINE f8 f8_load_f32(const void *p) {
    const uint8_t *b = p;
    return (f8){vreinterpretq_f32_u8(vld1q_u8(b)), vreinterpretq_f32_u8(vld1q_u8(b + 16))};
}
INLINE f8 f8_load_f16(const void *p) {
    float16x8_t h = vreinterpretq_f16_u8(vld1q_u8(p));
    return (f8){vcvt_f32_f16(vget_low_f16(h)), vcvt_high_f32_f16(h)};
}
INLINE f8 f8_load_bf16(const void *p) {
    uint16x8_t h = vreinterpretq_u16_u8(vld1q_u8(p));
    return (f8){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(h), 16)),
                vreinterpretq_f32_u32(vshll_high_n_u16(h, 16))};
}
INLINE f8 f8_load_i8(const void *p) {
    int16x8_t q = vmovl_s8(vld1_s8(p));
    return (f8){vcvtq_f32_s32(vmovl_s16(vget_low_s16(q))), vcvtq_f32_s32(vmovl_high_s16(q))};
}
INLINE f8 f8_load_f16_all(const void *p) {
    uint16_t half;
    __builtin_memcpy(&half, p, sizeof half);
    float32x4_t d = vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
    return (f8){d, d};
}
INLINE void f8_store_f16(uint16_t *p, f8 v) {
    vst1q_u16(p, vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(v.low), v.high)));
}

INLINE float f8_sum(f8 v) {
    float32x4_t s = vaddq_f32(v.low, v.high);
    float32x2_t t = vadd_f32(vget_low_f32(s), vget_high_f32(s));
    return vget_lane_f32(t, 0) + vget_lane_f32(t, 1);
}
INLINE float f8_largest(f8 v) {
    float32x4_t s = vbslq_f32(vcgtq_f32(v.low, v.high), v.low, v.high);
    float32x2_t low = vget_low_f32(s), high = vget_high_f32(s), t = vbsl_f32(vcgt_f32(low, high), low, high);
    float a = vget_lane_f32(t, 0), b = vget_lane_f32(t, 1);
    return a > b ? a : b;
}

INLINE float32x4_t halves4(f8 a, f8 b) { /* [a0+a4 + a2+a6, a1+a5 + a3+a7, the same of b] */
    float32x4_t s = vaddq_f32(a.low, a.high), t = vaddq_f32(b.low, b.high);
    return vaddq_f32(vcombine_f32(vget_low_f32(s), vget_low_f32(t)), vcombine_f32(vget_high_f32(s), vget_high_f32(t)));
}
INLINE void f8_store_sum4(float *y, const f8 *v) { vst1q_f32(y, vpaddq_f32(halves4(v[0], v[1]), halves4(v[2], v[3]))); }

#endif
