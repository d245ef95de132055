/* panel_lanes.h: the matrix product of the table, for every layout of panels and instruction set.
 * Not the products themselves: int_lanes.h and float_lanes.h, written once over the lanes of lanes16_*.h.
 * Next: int_lanes.h. */
#ifndef PONDER_PANEL_LANES_H
#define PONDER_PANEL_LANES_H

#include "ops/float_lanes.h"
#include "ops/int_lanes.h"

static void matmul(float *y, size_t ldy, const struct panels *p, uint32_t row0, uint32_t row1, const float *x,
                   size_t ldx, const struct act_block *a, size_t lda, size_t n) {
    const struct part to = {y, ldy, row1};
    if (p->layout == PANEL_INT8) {
        int_product(&to, p, row0, a, lda, n);
        return;
    }
    if (p->layout == PANEL_FILE || n > FLOAT_DIRECT) float_product(&to, p, row0, x, ldx, n);
    else if (p->type == TYPE_F16) float_direct(&to, p, TYPE_F16, row0, x, ldx, n);
    else if (p->type == TYPE_BF16) float_direct(&to, p, TYPE_BF16, row0, x, ldx, n);
    else float_direct(&to, p, TYPE_F32, row0, x, ldx, n);
}

#endif
