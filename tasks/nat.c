/* nat.c: see nat.h.  School methods: 16 words are too few for better ones.
 * Not constant in time, and for answers only.
 * Next: answer_number.c. */
#include "tasks/nat.h"

#include <string.h>

bool nat_is_zero(const struct nat *a) {
    uint32_t any = 0;
    for (int i = 0; i < NAT_WORDS; i++) any |= a->w[i];
    return !any;
}

bool nat_is_one(const struct nat *a) {
    uint32_t any = 0;
    for (int i = 1; i < NAT_WORDS; i++) any |= a->w[i];
    return !any && a->w[0] == 1;
}

bool nat_scale(struct nat *a, uint32_t m, uint32_t add) {
    uint64_t carry = add;
    for (int i = 0; i < NAT_WORDS; i++) {
        carry += (uint64_t)a->w[i] * m;
        a->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return !carry;
}

bool nat_mul(const struct nat *a, const struct nat *b, struct nat *out) {
    *out = nat_small(0);
    for (int i = 0; i < NAT_WORDS; i++) {
        uint64_t carry = 0;
        for (int j = 0; a->w[i] && j < NAT_WORDS; j++) {
            if (i + j >= NAT_WORDS) {
                if (b->w[j]) return false;
                continue;
            }
            carry += (uint64_t)a->w[i] * b->w[j] + out->w[i + j];
            out->w[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry) return false;
    }
    return true;
}

bool nat_add(struct nat *a, const struct nat *b) {
    uint64_t carry = 0;
    for (int i = 0; i < NAT_WORDS; i++) {
        carry += (uint64_t)a->w[i] + b->w[i];
        a->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return !carry;
}

static int compare(const struct nat *a, const struct nat *b) {
    for (int i = NAT_WORDS - 1; i >= 0; i--)
        if (a->w[i] != b->w[i]) return a->w[i] > b->w[i] ? 1 : -1;
    return 0;
}

/* *a -= b, a >= b */
static void subtract(struct nat *a, const struct nat *b) {
    uint64_t borrow = 0;
    for (int i = 0; i < NAT_WORDS; i++) {
        uint64_t d = (uint64_t)a->w[i] - b->w[i] - borrow;
        a->w[i] = (uint32_t)d;
        borrow = d >> 63;
    }
}

static void shift_right(struct nat *a) {
    for (int i = 0; i < NAT_WORDS; i++) {
        uint32_t above = i + 1 < NAT_WORDS ? a->w[i + 1] : 0;
        a->w[i] = a->w[i] >> 1 | above << 31;
    }
}

/* Euclid by remainders of repeated doubling would need divisions; by halving and subtracting it needs none (Stein). */
static struct nat odd_gcd(struct nat a, struct nat b) {
    while (!(a.w[0] & 1)) shift_right(&a);
    while (!nat_is_zero(&b)) {
        while (!(b.w[0] & 1)) shift_right(&b);
        if (compare(&a, &b) > 0) {
            struct nat t = a;
            a = b, b = t;
        }
        subtract(&b, &a);
    }
    return a;
}

/* a / b, b > 0, bit by bit.  The bit that doubling the remainder pushes out is kept: with it, the remainder exceeds b. */
static struct nat divide(const struct nat *a, const struct nat *b) {
    struct nat q = nat_small(0), r = nat_small(0);
    for (int bit = 32 * NAT_WORDS - 1; bit >= 0; bit--) {
        bool over = r.w[NAT_WORDS - 1] >> 31;
        nat_scale(&r, 2, a->w[bit / 32] >> bit % 32 & 1);
        if (!over && compare(&r, b) < 0) continue;
        subtract(&r, b);
        q.w[bit / 32] |= (uint32_t)1 << bit % 32;
    }
    return q;
}

void nat_reduce(struct nat *a, struct nat *b) {
    while (!((a->w[0] | b->w[0]) & 1) && !(nat_is_zero(a) && nat_is_zero(b))) shift_right(a), shift_right(b);
    if (nat_is_zero(a) || nat_is_zero(b)) { /* 0 and any: 0 and 1 */
        if (nat_is_zero(a)) *b = nat_small(1);
        else *a = nat_small(1);
        return;
    }
    struct nat g = odd_gcd(*a, *b);
    if (nat_is_one(&g)) return;
    *a = divide(a, &g);
    *b = divide(b, &g);
}

size_t nat_print(const struct nat *a, char *text) {
    struct nat rest = *a;
    char reversed[NAT_DIGITS];
    size_t n = 0;
    do {
        uint64_t digit = 0;
        for (int i = NAT_WORDS - 1; i >= 0; i--) {
            digit = digit << 32 | rest.w[i];
            rest.w[i] = (uint32_t)(digit / 10);
            digit %= 10;
        }
        reversed[n++] = (char)('0' + digit);
    } while (!nat_is_zero(&rest));
    for (size_t i = 0; i < n; i++) text[i] = reversed[n - 1 - i];
    text[n] = 0;
    return n;
}
