/* quantize_neon.h: a group of activations to int8, for all NEON tables.
 * Not the weights: those come quantised.
 * Next: quantize_lanes.h, which takes them to whole tokens. */
#ifndef PONDER_QUANTIZE_NEON_H
#define PONDER_QUANTIZE_NEON_H

#include "ops/lanes_neon.h"

INLINE uint32x4_t size_bits(const float *x) { return vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x))); }

/* The bits of the largest |x| of a group; those of an infinity or of a NaN when there is one. */
INLINE int32_t group_most(const float *x) {
    return (int32_t)vmaxvq_u32(vmaxq_u32(vmaxq_u32(size_bits(x), size_bits(x + 4)),
                                         vmaxq_u32(size_bits(x + 8), size_bits(x + 12))));
}

/* q = x * by, rounded to nearest even, of a group; returns their sum. */
INLINE int32_t group_round(int8_t *q, const float *x, float by) {
    const f8 to = f8_set(by), s0 = f8_mul(f8_load(x), to), s1 = f8_mul(f8_load(x + 8), to);
    const int16x8_t i0 = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(s0.low)), vmovn_s32(vcvtnq_s32_f32(s0.high)));
    const int16x8_t i1 = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(s1.low)), vmovn_s32(vcvtnq_s32_f32(s1.high)));
    vst1q_s8(q, vcombine_s8(vmovn_s16(i0), vmovn_s16(i1)));
    return vaddvq_s16(vaddq_s16(i0, i1)); /* at most 16 * 127 */
}

#endif
