/* ratio.h: exact fractions of 64-bit integers with overflow detection.
 * Not arbitrary precision: an operation that overflows says so and the caller treats the move as impossible.
 * Next: countdown.h. */
#ifndef PONDER_RATIO_H
#define PONDER_RATIO_H

#include <stdbool.h>
#include <stdint.h>

/* den > 0, gcd(|num|, den) = 1: equal values have equal fields. */
struct ratio {
    int64_t num, den;
};

/* *out = a op b, op one of '+', '-', '*', '/'.  False (and *out untouched) on overflow or division by zero. */
bool ratio_apply(struct ratio a, char op, struct ratio b, struct ratio *out);
int ratio_compare(struct ratio a, struct ratio b); /* <0, 0, >0; exact */
static inline struct ratio ratio_int(int64_t v) { return (struct ratio){v, 1}; }

#endif
