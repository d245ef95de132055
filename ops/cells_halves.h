/* cells_halves.h: the floats of a KV page's sixteen cells as two f8, for instruction sets of 256 or 128 bits.
 * Not sums of integers: cells_avx2.h and cells_neon.h, which include this.
 * Next: cells_avx512.h for the same names over one register. */
#ifndef PONDER_CELLS_HALVES_H
#define PONDER_CELLS_HALVES_H

/* What fills the registers: pages whose weights are computed together, rows whose values are; pages whose scores n_rows rows
 * compute together, vectors of o that n_rows rows (VALUE_ROWS at most) hold beside their sums. */
enum { WEIGHTS_TOGETHER = 2, VALUE_ROWS = 3 };
INLINE size_t scores_together(size_t n_rows) { return n_rows == 1 ? 4 : n_rows <= 3 ? 2 : 1; }
INLINE size_t values_together(size_t n_rows) { return n_rows == 1 ? 2 : 1; }

INLINE f32x16 f32x16_set(float x) { return (f32x16){f8_set(x), f8_set(x)}; }
INLINE f32x16 f32x16_sub(f32x16 x, f32x16 y) { return (f32x16){f8_sub(x.a, y.a), f8_sub(x.b, y.b)}; }
INLINE f32x16 f32x16_add(f32x16 x, f32x16 y) { return (f32x16){f8_add(x.a, y.a), f8_add(x.b, y.b)}; }
INLINE f32x16 f32x16_larger(f32x16 x, f32x16 y) { return (f32x16){f8_larger(x.a, y.a), f8_larger(x.b, y.b)}; }
INLINE f32x16 f32x16_ceil(f32x16 x) { return (f32x16){f8_ceil(x.a), f8_ceil(x.b)}; }
INLINE f32x16 f32x16_scale_exponent(f32x16 p, f32x16 t) {
    return (f32x16){f8_scale_exponent(p.a, t.a), f8_scale_exponent(p.b, t.b)};
}
/* x < low ? 0 : y. */
INLINE f32x16 f32x16_unless_less(f32x16 x, f32x16 low, f32x16 y) {
    const f8 none = f8_set(0);
    return (f32x16){f8_if_greater(low.a, x.a, none, y.a), f8_if_greater(low.b, x.b, none, y.b)};
}

#endif
