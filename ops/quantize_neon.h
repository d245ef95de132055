/* quantize_neon.h: a group of activations to int8, for all NEON tables.
 * Not the weights: those come quantised.
 * Next: quantize_lanes.h, which takes them to whole tokens. */
#ifndef PONDER_QUANTIZE_NEON_H
#define PONDER_QUANTIZE_NEON_H

#include <float.h>
#include <math.h>

#include "ops/lanes_neon.h"

/* A group of activations to q, their scale and the sum of q. */
INLINE int32_t quantize_group(int8_t *q, float *d, const float *x) {
    const f8 v0 = f8_load(x), v1 = f8_load(x + 8);
    const float most =
        vmaxvq_f32(vmaxq_f32(vmaxq_f32(vabsq_f32(v0.low), vabsq_f32(v0.high)),
                             vmaxq_f32(vabsq_f32(v1.low), vabsq_f32(v1.high)))); /* NaN when there is one */
    const bool finite = most <= FLT_MAX;
    if (!finite || most < ACT_SMALLEST) {
        vst1q_s8(q, vdupq_n_s8(0));
        *d = finite ? 0 : NAN;
        return 0;
    }
    const f8 to = f8_set(127 / most), s0 = f8_mul(v0, to), s1 = f8_mul(v1, to);
    const int16x8_t i0 = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(s0.low)), vmovn_s32(vcvtnq_s32_f32(s0.high)));
    const int16x8_t i1 = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(s1.low)), vmovn_s32(vcvtnq_s32_f32(s1.high)));
    vst1q_s8(q, vcombine_s8(vmovn_s16(i0), vmovn_s16(i1)));
    *d = most / 127;
    return vaddvq_s16(vaddq_s16(i0, i1)); /* at most 16 * 127 */
}

#endif
