/* cells_neon.h: the sixteen cells of a KV page in four NEON registers: floats, and sums of products of pairs of int16 by smlal.
 * Not kernels: attend_i16_lanes.h is written over these names.
 * Next: cells_avx2.h, where they are explained. */
#ifndef PONDER_CELLS_NEON_H
#define PONDER_CELLS_NEON_H

#include "ops/lanes16_neon.h"

INLINE f8 f8_ceil(f8 x) { return (f8){vrndpq_f32(x.low), vrndpq_f32(x.high)}; }

#include "ops/cells_halves.h"

typedef struct {
    int32x4_t a, b, c, d;
} sum16;
typedef struct {
    int16x8x2_t a, b;
} pairs16; /* the first numbers of eight pairs, then the second ones */
typedef int16x4_t pair;

INLINE f32x16 four_of(float32x4_t v) {
    const float32x4_t none = vdupq_n_f32(0);
    return (f32x16){{v, none}, {none, none}};
}
INLINE f32x16 f32x16_largest4(const f32x16 *v) {
    float four[4];
    UNROLL
    for (size_t i = 0; i < 4; i++) four[i] = f8_largest(f8_larger(v[i].a, v[i].b));
    return four_of(vld1q_f32(four));
}
INLINE f32x16 f32x16_sum4(const f32x16 *v) {
    float four[4];
    const f8 halves[4] = {f8_add(v[0].a, v[0].b), f8_add(v[1].a, v[1].b), f8_add(v[2].a, v[2].b),
                          f8_add(v[3].a, v[3].b)};
    f8_store_sum4(four, halves);
    return four_of(vld1q_f32(four));
}
INLINE f32x16 f32x16_so_far4(f32x16 v) {
    v.a.low = vmaxq_f32(v.a.low, vextq_f32(vdupq_laneq_f32(v.a.low, 0), v.a.low, 3));
    return four_of(vmaxq_f32(v.a.low, vextq_f32(vdupq_laneq_f32(v.a.low, 0), v.a.low, 2)));
}
INLINE f32x16 f32x16_after4(float x, f32x16 v) { return four_of(vextq_f32(vdupq_n_f32(x), v.a.low, 3)); }
INLINE unsigned f32x16_below_one4(f32x16 v) {
    const uint32_t bits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcltq_f32(v.a.low, vdupq_n_f32(1)), vld1q_u32(bits)));
}
INLINE f32x16 f32x16_load4(const float *p) { return four_of(vld1q_f32(p)); }
INLINE void f32x16_store4(float *p, f32x16 v) { vst1q_f32(p, v.a.low); }

INLINE sum16 sum16_zero(void) {
    const int32x4_t none = vdupq_n_s32(0);
    return (sum16){none, none, none, none};
}
INLINE pairs16 pairs16_load(const char *p) {
    return (pairs16){vld2q_s16((const int16_t *)(const void *)p), vld2q_s16((const int16_t *)(const void *)(p + 32))};
}
INLINE pair pair_load(const int16_t *p) {
    int32_t both;
    __builtin_memcpy(&both, p, sizeof both);
    return vreinterpret_s16_s32(vdup_n_s32(both));
}
INLINE sum16 sum16_add(sum16 s, pairs16 x, pair y) {
    s.a = vmlal_lane_s16(s.a, vget_low_s16(x.a.val[0]), y, 0), s.b = vmlal_high_lane_s16(s.b, x.a.val[0], y, 0);
    s.c = vmlal_lane_s16(s.c, vget_low_s16(x.b.val[0]), y, 0), s.d = vmlal_high_lane_s16(s.d, x.b.val[0], y, 0);
    s.a = vmlal_lane_s16(s.a, vget_low_s16(x.a.val[1]), y, 1), s.b = vmlal_high_lane_s16(s.b, x.a.val[1], y, 1);
    s.c = vmlal_lane_s16(s.c, vget_low_s16(x.b.val[1]), y, 1), s.d = vmlal_high_lane_s16(s.d, x.b.val[1], y, 1);
    return s;
}
INLINE f32x16 sum16_float(sum16 s) {
    return (f32x16){{vcvtq_f32_s32(s.a), vcvtq_f32_s32(s.b)}, {vcvtq_f32_s32(s.c), vcvtq_f32_s32(s.d)}};
}
INLINE void f8_store_i16(int16_t *p, f8 v) {
    vst1q_s16(p, vcombine_s16(vmovn_s32(vcvtnq_s32_f32(v.low)), vmovn_s32(vcvtnq_s32_f32(v.high))));
}
INLINE void f32x16_store_i16(int16_t *p, f32x16 v) { f8_store_i16(p, v.a), f8_store_i16(p + 8, v.b); }

#endif
