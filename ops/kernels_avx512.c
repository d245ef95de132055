/* kernels_avx512.c: the matrix products, and attention over pages of integers, compiled for AVX-512 with VNNI; the rest of the
 * table stays AVX2's.
 * Not kernels itself: they are in the *_lanes.h, one text for every instruction set.
 * Next: kernels_neon.c. */
#include "ops/cells_avx512.h"

#include "ops/attend_i16_lanes.h"
#include "ops/panel_lanes.h"

void ops_fill_avx512(struct ops *t) {
    t->name = "avx512";
    t->matmul = matmul;
    t->attend[KV_I16] = attend_i16;
}
