/* kernels_avxvnni.c: the matrix products, and attention over pages of integers, compiled for AVX2 with AVX-VNNI (what CPUs of laptops
 * have in place of AVX-512); the rest of the table stays AVX2's.
 * Not kernels itself: they are in the *_lanes.h, one text for every instruction set.
 * Next: kernels_avx512.c. */
#include "ops/cells_avx2.h"

#include "ops/attend_i16_lanes.h"
#include "ops/panel_lanes.h"

void ops_fill_avxvnni(struct ops *t) {
    t->name = "avx-vnni";
    t->matmul = matmul;
    t->attend[KV_I16] = attend_i16;
}
