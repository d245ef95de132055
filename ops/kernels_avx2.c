/* kernels_avx2.c: the lane kernels compiled for AVX2 with FMA and F16C.
 * Not kernels itself: they are in the *_lanes.h, one text for every instruction set.
 * Next: kernels_neon.c. */
#include "ops/cells_avx2.h"
#include "ops/quantize_avx2.h"

#include "ops/attend_i16_lanes.h"
#include "ops/attend_lanes.h"
#include "ops/panel_lanes.h"
#include "ops/quantize_lanes.h"
#include "ops/round_lanes.h"
#include "ops/row_lanes.h"

void ops_fill_avx2(struct ops *t) {
    t->name = "avx2";
    t->matmul = matmul;
    t->quantize = quantize;
    t->rms_norm = rms_norm;
    t->rope = rope;
    t->silu_mul = silu_mul;
    t->gelu_mul = gelu_mul;
    t->softcap = softcap;
    t->add = add;
    t->exp_sum = exp_sum;
    t->max = max;
    t->attend[KV_F16] = attend_f16;
    t->attend[KV_F32] = attend_f32;
    t->attend[KV_Q8_0] = attend_q8_0;
    t->attend[KV_F16_Q8_0] = attend_f16_q8_0;
    t->attend[KV_Q8_0_F16] = attend_q8_0_f16;
    t->attend[KV_I16] = attend_i16;
    t->store_f16 = store_f16;
    t->round_key = round_key;
    t->round_value = round_value;
}
