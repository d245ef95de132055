/* kernels_neon_dot.c: the matrix products compiled for AArch64 with dotprod; the rest of the table stays NEON's.
 * Not kernels itself: panel_lanes.h is one text for every instruction set.
 * Next: lanes16_neon.h. */
#include "ops/lanes16_neon.h"

#include "ops/panel_lanes.h"

void ops_fill_neon_dot(struct ops *t) {
    t->name = "neon-dot";
    t->matmul = matmul;
}
