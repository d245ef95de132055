/* quantize_lanes.h: activations of a token to int8, over quantize_group of quantize_*.h.
 * Not the weights: those come quantised.
 * Next: panel.h for what is made. */
#ifndef PONDER_QUANTIZE_LANES_H
#define PONDER_QUANTIZE_LANES_H

#include <math.h>

#include "ops/isa.h"

static void quantize(struct act_block *to, const float *x, size_t n) {
    for (size_t k = 0; k < n; k += 32, to++) {
        float total = 0;
        for (int g = 0; g < ACT_GROUPS; g++) {
            const int32_t sum = quantize_group(to->q + g * ACT_GROUP, &to->d[g], x + k + (size_t)g * ACT_GROUP);
            to->shift[g] = -128 * sum;
            total = g ? fmaf(to->d[g], (float)sum, total) : to->d[0] * (float)sum;
        }
        to->sum = total;
    }
}

#endif
