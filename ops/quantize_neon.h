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
    const f8 v = f8_load(x);
    const float most = vmaxvq_f32(vmaxq_f32(vabsq_f32(v.low), vabsq_f32(v.high))); /* NaN when there is one */
    const bool finite = most <= FLT_MAX;
    if (!finite || most < ACT_SMALLEST) {
        vst1_s8(q, vdup_n_s8(0));
        *d = finite ? 0 : NAN;
        return 0;
    }
    const f8 scaled = f8_mul(v, f8_set(127 / most));
    const int32x4_t low = vcvtnq_s32_f32(scaled.low), high = vcvtnq_s32_f32(scaled.high);
    vst1_s8(q, vmovn_s16(vcombine_s16(vmovn_s32(low), vmovn_s32(high))));
    *d = most / 127;
    return vaddvq_s32(vaddq_s32(low, high));
}

#endif
