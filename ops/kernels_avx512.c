/* kernels_avx512.c: the matrix products compiled for AVX-512 with VNNI; the rest of the table stays AVX2's.
 * Not kernels itself: panel_lanes.h is one text for every instruction set.
 * Next: kernels_neon.c. */
#include "ops/lanes16_avx512.h"

#include "ops/panel_lanes.h"

void ops_fill_avx512(struct ops *t) {
    t->name = "avx512";
    t->matmul = matmul;
}
