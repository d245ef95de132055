/* round_lanes.h: rows of q, K and V to the int16 of KV_I16, eight numbers at a time.
 * Not their places in a page: model/kv.c.
 * Next: attend_i16_lanes.h, which multiplies them. */
#ifndef PONDER_ROUND_LANES_H
#define PONDER_ROUND_LANES_H

#include <math.h>
#include <string.h>

#include "ops/isa.h"

INLINE f8 largest_sizes(const float *x, size_t n) {
    f8 most = f8_set(0);
    for (size_t i = 0; i < n; i += 8) {
        const f8 v = f8_load(x + i);
        most = f8_larger(f8_larger(f8_neg(v), v), most);
    }
    return most;
}

static float round_key(int16_t *to, size_t step, const float *x, size_t n) {
    const float most = f8_largest(largest_sizes(x, n)), limit = (float)I16_NORM * I16_NORM;
    float by = most >= I16_SMALLEST ? 32767 / most : 0;
    f8 sum = f8_set(0);
    for (size_t i = 0; i < n; i += 8) {
        const f8 v = f8_mul(f8_load(x + i), f8_set(by));
        sum = f8_fma(v, v, sum);
    }
    const float norm2 = f8_sum(sum);
    const bool finite = norm2 == norm2;
    if (norm2 > limit) by *= I16_NORM / sqrtf(norm2);
    for (size_t i = 0; i < n; i += 8, to += 4 * step) {
        int16_t v[8] = {0};
        if (finite) f8_store_i16(v, f8_mul(f8_load(x + i), f8_set(by)));
        for (size_t pair = 0; pair < 4; pair++) memcpy(to + pair * step, v + 2 * pair, 2 * sizeof *v);
    }
    return !finite ? NAN : by > 0 ? 1 / by : 0;
}

static float round_value(int16_t *to, const float *x, size_t n) {
    const float most = f8_largest(largest_sizes(x, n)) / I16_VALUE;
    uint32_t bits;
    memcpy(&bits, &most, sizeof bits);
    int e = (int)(bits >> 23) - 127 + ((bits & 0x7fffff) != 0);
    if (e < I16_EXP_LOW) e = I16_EXP_LOW;
    const float by = ldexpf(1, -e);
    f8 nan = f8_set(0);
    for (size_t i = 0; i < n; i += 8) nan = f8_if_nan(f8_load(x + i), nan);
    const float any = f8_sum(nan);
    const bool finite = any == any && e <= I16_EXP_HIGH;
    for (size_t i = 0; i < n; i += 8, to += 16) {
        int16_t v[8] = {0};
        if (finite) f8_store_i16(v, f8_mul(f8_load(x + i), f8_set(by)));
        for (size_t d = 0; d < 8; d++) to[2 * d] = v[d];
    }
    return finite ? (float)e : NAN;
}

#endif
