/* quantize_lanes.h: activations of a token to int8, over group_most and group_round of quantize_*.h.
 * Not the weights: those come quantised.
 * Next: panel.h for what is made. */
#ifndef PONDER_QUANTIZE_LANES_H
#define PONDER_QUANTIZE_LANES_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "ops/isa.h"

/* The bits of numbers that are not negative are ordered as they are, with infinity and NaN above all, and their exponents are in
 * bits 23 and up.  So the difference of the bits of two, shifted down by 23, is the largest s for which the smaller * 2^s is not
 * above the larger. */
INLINE void quantize_block(struct act_block *to, const float *x) {
    const int32_t most0 = group_most(x), most1 = group_most(x + ACT_GROUP), low = most0 > most1 ? most1 : most0,
                  high = most0 > most1 ? most0 : most1, apart = (high - low) >> 23, s = apart < ACT_UP ? apart : ACT_UP;
    float most;
    memcpy(&most, &high, sizeof most);
    if (!(most >= ACT_SMALLEST && most <= FLT_MAX)) {
        const float d = most < ACT_SMALLEST ? 0 : NAN;
        *to = (struct act_block){.d = d, .sum = d};
        return;
    }
    const float by = 127 / most;
    const int32_t up0 = most0 > low ? s : 0, up1 = most1 > low ? s : 0;
    const int32_t sum0 = group_round(to->q, x, by * (float)(1 << (s - up0))),
                  sum1 = group_round(to->q + ACT_GROUP, x + ACT_GROUP, by * (float)(1 << (s - up1)));
    to->shift[0] = -128 * sum0, to->shift[1] = -128 * sum1;
    to->up[0] = up0, to->up[1] = up1;
    to->d = most / 127 / (float)(1 << s);
    to->times[0] = (int16_t)(1 << up0), to->times[1] = (int16_t)(1 << up1);
    const int32_t total = sum0 * to->times[0] + sum1 * to->times[1];
    to->sum = to->d * (float)total;
    to->base = -128 * total;
}

static void quantize(struct act_block *to, const float *x, size_t n) {
    for (size_t k = 0; k < n; k += 32, to++) quantize_block(to, x + k);
}

#endif
