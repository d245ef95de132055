/* nat.h: whole numbers of up to 512 bits, for answers with more digits than 64 bits hold.
 * Not a library for long arithmetic: what does not fit is refused, and nothing here allocates.
 * Next: nat.c, then answer_number.c which makes fractions of them. */
#ifndef PONDER_NAT_H
#define PONDER_NAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAT_WORDS = 16, NAT_DIGITS = 155 }; /* 2^512 has 155 decimal digits */

struct nat {
    uint32_t w[NAT_WORDS]; /* least significant first */
};

static inline struct nat nat_small(uint32_t v) { return (struct nat){{v}}; }
bool nat_is_zero(const struct nat *a);
bool nat_is_one(const struct nat *a);

/* *a = *a * m + add.  False when it does not fit; *a is then undefined. */
bool nat_scale(struct nat *a, uint32_t m, uint32_t add);
/* *out = a * b, out neither of them.  False when it does not fit. */
bool nat_mul(const struct nat *a, const struct nat *b, struct nat *out);
/* *a += b.  False when it does not fit. */
bool nat_add(struct nat *a, const struct nat *b);

/* Divides both by their greatest common divisor.  At most one of them is 0. */
void nat_reduce(struct nat *a, struct nat *b);

/* Decimal digits, NUL-terminated; text has room for NAT_DIGITS + 1.  Returns their number. */
size_t nat_print(const struct nat *a, char *text);

#endif
