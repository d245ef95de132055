/* ratio.c: fractions in lowest terms.  Wide arithmetic first, then one reduction and one range check.
 * Not fast for large values: the short path covers what puzzles are made of.
 * Next: countdown.c. */
#include "tasks/ratio.h"

typedef __int128 wide; /* products of two int64 and sums of two such products fit */

static int64_t gcd_small(int64_t a, int64_t b) {
    while (b) {
        int64_t r = a % b;
        a = b, b = r;
    }
    return a;
}

static wide gcd_wide(wide a, wide b) {
    while (b) {
        wide r = a % b;
        a = b, b = r;
    }
    return a;
}

/* num / den, den != 0, reduced to lowest terms. */
static bool reduce_wide(wide num, wide den, struct ratio *out) {
    if (den < 0) num = -num, den = -den;
    wide g = gcd_wide(den, num < 0 ? -num : num); /* >= 1 because den > 0 */
    num /= g, den /= g;
    if (num < INT64_MIN || num > INT64_MAX || den > INT64_MAX) return false;
    *out = (struct ratio){(int64_t)num, (int64_t)den};
    return true;
}

static bool apply_wide(struct ratio a, char op, struct ratio b, struct ratio *out) {
    wide an = a.num, ad = a.den, bn = b.num, bd = b.den;
    switch (op) {
    case '+': return reduce_wide(an * bd + bn * ad, ad * bd, out);
    case '-': return reduce_wide(an * bd - bn * ad, ad * bd, out);
    case '*': return reduce_wide(an * bn, ad * bd, out);
    case '/': return bn != 0 && reduce_wide(an * bd, ad * bn, out);
    default: return false;
    }
}

static bool is_small(struct ratio a) { return a.num >= 0 && a.num < (1 << 30) && a.den < (1 << 30); }

/* Both small and not negative: everything fits int64, and whole numbers need no reduction. */
static void apply_small(struct ratio a, char op, struct ratio b, struct ratio *out) {
    int64_t num, den = a.den * b.den;
    if (op == '+') num = a.num * b.den + b.num * a.den;
    else if (op == '-') num = a.num * b.den - b.num * a.den;
    else if (op == '*') num = a.num * b.num;
    else num = a.num * b.den, den = a.den * b.num;
    int64_t g = den == 1 ? 1 : gcd_small(den, num < 0 ? -num : num);
    *out = g == 1 ? (struct ratio){num, den} : (struct ratio){num / g, den / g};
}

bool ratio_apply(struct ratio a, char op, struct ratio b, struct ratio *out) {
    bool known = op == '+' || op == '-' || op == '*' || (op == '/' && b.num != 0);
    if (!known) return false;
    if (!is_small(a) || !is_small(b)) return apply_wide(a, op, b, out);
    apply_small(a, op, b, out);
    return true;
}

int ratio_compare(struct ratio a, struct ratio b) {
    if (a.den == b.den) return (a.num > b.num) - (a.num < b.num);
    wide l = (wide)a.num * b.den, r = (wide)b.num * a.den;
    return (l > r) - (l < r);
}
