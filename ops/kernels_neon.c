/* kernels_neon.c: the lane kernels compiled for AArch64.
 * Not kernels itself: they are in the *_lanes.h, one text for every instruction set.
 * Next: tests/ops_check.h, which holds all sets to the same bits. */
#include "ops/cells_neon.h"
#include "ops/quantize_neon.h"

#include "ops/attend_i16_lanes.h"
#include "ops/attend_lanes.h"
#include "ops/panel_lanes.h"
#include "ops/quantize_lanes.h"
#include "ops/round_lanes.h"
#include "ops/row_lanes.h"

void ops_fill_neon(struct ops *t) {
    t->name = "neon";
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
