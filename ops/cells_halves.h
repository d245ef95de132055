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

INLINE f16 f16_set(float x) { return (f16){f8_set(x), f8_set(x)}; }
INLINE f16 f16_sub(f16 x, f16 y) { return (f16){f8_sub(x.a, y.a), f8_sub(x.b, y.b)}; }
INLINE f16 f16_add(f16 x, f16 y) { return (f16){f8_add(x.a, y.a), f8_add(x.b, y.b)}; }
INLINE f16 f16_larger(f16 x, f16 y) { return (f16){f8_larger(x.a, y.a), f8_larger(x.b, y.b)}; }
INLINE f16 f16_ceil(f16 x) { return (f16){f8_ceil(x.a), f8_ceil(x.b)}; }
INLINE f16 f16_scale_exponent(f16 p, f16 t) { return (f16){f8_scale_exponent(p.a, t.a), f8_scale_exponent(p.b, t.b)}; }
/* x < low ? 0 : y. */
INLINE f16 f16_unless_less(f16 x, f16 low, f16 y) {
    const f8 none = f8_set(0);
    return (f16){f8_if_greater(low.a, x.a, none, y.a), f8_if_greater(low.b, x.b, none, y.b)};
}

#endif
