/* answer_number.c: numbers as people and models write them, as exact fractions in lowest terms.
 * Not floating point: 0.1 is 1/10.
 * Next: nat.c. */
#include <stdint.h>

#include "tasks/answer_internal.h"
#include "tasks/nat.h"

/* -- decimals -- */

static size_t n_digits(const char *s, size_t n) {
    size_t i = 0;
    while (i < n && is_digit(s[i])) i++;
    return i;
}

/* A comma between groups of digits, also LaTeX's {,}. */
static size_t comma_size(const char *s, size_t n) {
    if (n && s[0] == ',') return 1;
    return n > 2 && !memcmp(s, "{,}", 3) ? 3 : 0;
}

static size_t exponent_size(const char *s, size_t n) {
    size_t i = 1;
    if (n < 2 || lower(s[0]) != 'e') return 0;
    if (s[i] == '-' || s[i] == '+') i++;
    size_t digits = i < n ? n_digits(s + i, n - i) : 0;
    return digits ? i + digits : 0;
}

size_t answer_number_size(const char *s, size_t n) {
    size_t i = n_digits(s, n), comma;
    bool grouped = i >= 1 && i <= 3;
    while (grouped && (comma = comma_size(s + i, n - i)) && n_digits(s + i + comma, n - i - comma) == 3) i += comma + 3;
    if (i < n && s[i] == '.') {
        size_t fraction = n_digits(s + i + 1, n - i - 1);
        if (fraction) i += 1 + fraction;
    }
    return i ? i + exponent_size(s + i, n - i) : 0;
}

size_t answer_minus_size(const char *s, size_t n) {
    static const char *const signs[] = {"-",           "\xE2\x88\x92", "\xE2\x80\x93", "\xE2\x80\x90", "\xE2\x80\x91",
                                        "\xE2\x80\x92"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (span_starts((struct answer_span){s, n}, signs[i])) return strlen(signs[i]);
    return 0;
}

/* An unsigned decimal: value = digits * 10^exponent.  Without leading and trailing zeros, so that equal ones are
 * equal. */
struct decimal {
    char digits[ANSWER_WORK]; /* [n], n = 0: the value 0 */
    size_t n;
    int exponent;
};

enum { MAX_EXPONENT = 100000 };

static int read_exponent(const char *s, size_t n) {
    int v = 0;
    size_t i = s[0] == '-' || s[0] == '+';
    for (; i < n && v < MAX_EXPONENT; i++) v = 10 * v + (s[i] - '0');
    return s[0] == '-' ? -v : v;
}

/* s[0, n) has the form of answer_number_size, n < ANSWER_WORK. */
static void read_decimal(const char *s, size_t n, struct decimal *d) {
    bool point = false;
    d->n = 0, d->exponent = 0;
    for (size_t i = 0; i < n; i++) {
        if (lower(s[i]) == 'e') {
            d->exponent += read_exponent(s + i + 1, n - i - 1);
            break;
        }
        if (s[i] == '.') point = true;
        if (!is_digit(s[i])) continue;
        d->exponent -= point;
        if (d->n || s[i] != '0') d->digits[d->n++] = s[i];
    }
    while (d->n && d->digits[d->n - 1] == '0') d->n--, d->exponent++;
    if (!d->n) d->exponent = 0;
}

/* -- fractions -- */

struct fraction {
    struct nat num, den;
};

static bool scale_ten(struct nat *a, int times) {
    bool fits = times <= NAT_DIGITS;
    for (int i = 0; i < times && fits; i++) fits = nat_scale(a, 10, 0);
    return fits;
}

static bool from_decimal(const struct decimal *d, struct fraction *f) {
    bool fits = d->n <= NAT_DIGITS;
    *f = (struct fraction){nat_small(0), nat_small(1)};
    for (size_t i = 0; i < d->n && fits; i++) fits = nat_scale(&f->num, 10, (uint32_t)(d->digits[i] - '0'));
    return fits && scale_ten(d->exponent > 0 ? &f->num : &f->den, d->exponent > 0 ? d->exponent : -d->exponent);
}

/* *f /= g; false when it does not fit or g is 0. */
static bool divide(struct fraction *f, const struct fraction *g) {
    struct fraction r;
    if (nat_is_zero(&g->num) || !nat_mul(&f->num, &g->den, &r.num) || !nat_mul(&f->den, &g->num, &r.den)) return false;
    nat_reduce(&r.num, &r.den);
    *f = r;
    return true;
}

/* *f += g */
static bool add(struct fraction *f, const struct fraction *g) {
    struct nat left, right, den;
    if (!nat_mul(&f->num, &g->den, &left) || !nat_mul(&g->num, &f->den, &right) || !nat_mul(&f->den, &g->den, &den))
        return false;
    if (!nat_add(&left, &right)) return false;
    nat_reduce(&left, &den);
    *f = (struct fraction){left, den};
    return true;
}

/* -- units -- */

/* clang-format off */
/* Words behind a number that are no mere unit. */
static const struct number_word {
    const char *word;
    enum { FACTOR, NEVER, NOT_FIRST } kind; /* a factor, if first; no unit anywhere; none right behind the number */
    unsigned times, power;                  /* FACTOR: times * 10^power */
} number_words[] = {
    {"hundred", FACTOR, 1, 2}, {"thousand", FACTOR, 1, 3}, {"million", FACTOR, 1, 6}, {"billion", FACTOR, 1, 9},
    {"trillion", FACTOR, 1, 12}, {"dozen", FACTOR, 12, 0}, {"dozens", FACTOR, 12, 0}, {"gross", FACTOR, 144, 0},
    {"below", NEVER, 1, 0}, {"than", NEVER, 1, 0}, {"itself", NEVER, 1, 0},
    {"under", NOT_FIRST, 1, 0}, {"half", NOT_FIRST, 1, 0}, {"halves", NOT_FIRST, 1, 0}, {"thirds", NOT_FIRST, 1, 0},
    {"fourths", NOT_FIRST, 1, 0}, {"fifths", NOT_FIRST, 1, 0}, {"sixths", NOT_FIRST, 1, 0},
    {"sevenths", NOT_FIRST, 1, 0}, {"eighths", NOT_FIRST, 1, 0}, {"ninths", NOT_FIRST, 1, 0},
    {"tenths", NOT_FIRST, 1, 0}, {"hundredths", NOT_FIRST, 1, 0}, {"thousandths", NOT_FIRST, 1, 0},
    {"hundreds", NOT_FIRST, 1, 0}, {"thousands", NOT_FIRST, 1, 0}, {"millions", NOT_FIRST, 1, 0},
    {"billions", NOT_FIRST, 1, 0}, {"double", NOT_FIRST, 1, 0}, {"doubled", NOT_FIRST, 1, 0},
    {"tripled", NOT_FIRST, 1, 0}, {"halved", NOT_FIRST, 1, 0}, {"sqrt", NOT_FIRST, 1, 0}, {"sin", NOT_FIRST, 1, 0},
    {"cos", NOT_FIRST, 1, 0}, {"tan", NOT_FIRST, 1, 0}, {"cot", NOT_FIRST, 1, 0}, {"log", NOT_FIRST, 1, 0},
    {"exp", NOT_FIRST, 1, 0}, {"mod", NOT_FIRST, 1, 0}, {"modulo", NOT_FIRST, 1, 0}, {"choose", NOT_FIRST, 1, 0},
    {"over", NOT_FIRST, 1, 0}, {"raised", NOT_FIRST, 1, 0}, {"to", NOT_FIRST, 1, 0}, {"divided", NOT_FIRST, 1, 0},
    {"multiplied", NOT_FIRST, 1, 0}, {"frac", NOT_FIRST, 1, 0},
};
/* clang-format on */

static bool is_word(const char *is, const char *word, size_t size) {
    size_t i = 0;
    while (i < size && is[i] && is[i] == lower(word[i])) i++;
    return i == size && !is[i];
}

static const struct number_word *find_number_word(const char *word, size_t size) {
    for (size_t i = 0; i < sizeof number_words / sizeof *number_words; i++)
        if (is_word(number_words[i].word, word, size)) return &number_words[i];
    return NULL;
}

/* May stand right behind the number; all other units need a blank, and three letters: 2ab is no number. */
static const char *const short_units[] = {"cm",   "mm",  "km",   "kg", "mg", "ml", "mi", "ft",  "in",  "lb",  "lbs",
                                          "oz",   "hr",  "hrs",  "yd", "am", "pm", "mb", "gb",  "mph", "kmh", "min",
                                          "mins", "sec", "secs", "th", "st", "nd", "rd", "deg", "usd"};
static const char *const letter_units[] = {"m", "g", "s", "l", "h", "c", "f"}; /* behind a blank */

static bool is_one_of(const char *const *list, size_t n, const char *word, size_t size) {
    size_t i = 0;
    while (i < n && !is_word(list[i], word, size)) i++;
    return i < n;
}
#define IS_ONE_OF(list, word, size) is_one_of(list, sizeof(list) / sizeof *(list), word, size)

static bool is_word_byte(char c) {
    return is_letter(c) || ((unsigned char)c >= 0x80 && (unsigned char)c < SET_OPEN) || c == '\'' || c == '-';
}

struct unit {
    unsigned times, power; /* the number counts times * 10^power of them */
};

/* One word of a unit, the first one or not. */
static bool is_unit_word(const char *word, size_t size, bool first, bool spaced, struct unit *u) {
    const struct number_word *w = find_number_word(word, size);
    if (w && (w->kind == NEVER || (w->kind == NOT_FIRST && first))) return false;
    if (!first) return true;
    if (w && spaced) *u = (struct unit){w->times, w->power};
    return IS_ONE_OF(short_units, word, size) || (spaced && (size >= 3 || IS_ONE_OF(letter_units, word, size)));
}

/* Is all of this a unit? */
static bool is_unit(struct answer_span s, struct unit *u) {
    size_t i = 0;
    bool spaced = s.size && is_space(s.at[0]);
    *u = (struct unit){1, 0};
    for (int words = 0; i < s.size;) {
        char c = s.at[i];
        if (is_space(c) || c == '.' || c == '%' || c == '/') { /* "miles / hour", "sq. ft" */
            if (c == '/' && !words) return false;
            spaced |= is_space(c) || c == '/';
            i++;
            continue;
        }
        if (c == '^' && words && i + 1 < s.size && (s.at[i + 1] == '2' || s.at[i + 1] == '3')) { /* cm^2 */
            i += 2;
            continue;
        }
        size_t size = 0;
        while (i + size < s.size && is_word_byte(s.at[i + size])) size++;
        if (!size || c == '-' || ++words > 10 || !is_unit_word(s.at + i, size, words == 1, spaced, u)) return false;
        i += size;
    }
    return true;
}

bool answer_is_unit(struct answer_span text) {
    struct unit u;
    return is_unit(text, &u) && u.times == 1 && u.power == 0;
}

/* -- the whole text -- */

struct reader {
    const char *at, *end;
};

static void skip_spaces(struct reader *r) {
    while (r->at < r->end && is_space(*r->at)) r->at++;
}

static bool take(struct reader *r, char c) {
    if (r->at >= r->end || *r->at != c) return false;
    r->at++;
    return true;
}

/* Signs may be several steps away from the digits: "- 5", "+5". */
static bool take_sign(struct reader *r, bool *negative) {
    skip_spaces(r);
    if (take(r, '-')) *negative = !*negative;
    else if (!take(r, '+')) return false;
    skip_spaces(r);
    return true;
}

static bool take_decimal(struct reader *r, struct decimal *d) {
    size_t n = answer_number_size(r->at, (size_t)(r->end - r->at));
    if (!n || n >= ANSWER_WORK) return false;
    read_decimal(r->at, n, d);
    r->at += n;
    return true;
}

/* "* 10^5" after a decimal. */
static void take_power(struct reader *r, struct decimal *d) {
    struct reader t = *r;
    skip_spaces(&t);
    if (!take(&t, '*')) return;
    skip_spaces(&t);
    if (!take(&t, '1') || !take(&t, '0') || !take(&t, '^')) return;
    bool bracket = take(&t, '('), minus = take(&t, '-');
    size_t n = n_digits(t.at, (size_t)(t.end - t.at));
    if (!n) return;
    int power = read_exponent(t.at, n);
    t.at += n;
    if (bracket && !take(&t, ')')) return;
    d->exponent += minus ? -power : power;
    if (!d->n) d->exponent = 0;
    *r = t;
}

static size_t print(bool negative, const struct fraction *f, char *out) {
    size_t n = 0;
    if (negative && !nat_is_zero(&f->num)) out[n++] = '-';
    n += nat_print(&f->num, out + n);
    if (nat_is_one(&f->den)) return n;
    out[n++] = '/';
    return n + nat_print(&f->den, out + n);
}

/* Too long for arithmetic: the digits themselves, and where the point is. */
static size_t print_digits(bool negative, const struct decimal *d, char *out) {
    size_t n = 0, exponent = (size_t)(d->exponent < 0 ? -d->exponent : d->exponent);
    if (negative) out[n++] = '-';
    memcpy(out + n, d->digits, d->n);
    n += d->n;
    if (!exponent) return n;
    out[n++] = 'e';
    if (d->exponent < 0) out[n++] = '-';
    struct nat e = nat_small((uint32_t)exponent);
    char digits[NAT_DIGITS + 1];
    size_t n_e = nat_print(&e, digits);
    memcpy(out + n, digits, n_e);
    return n + n_e;
}

/* What follows the first decimal: a denominator, or the fraction of a mixed number.  False: neither can be. */
static bool take_fraction(struct reader *r, const struct decimal *first, struct decimal *d, struct fraction *f,
                          bool *negative) {
    struct reader t = *r;
    struct fraction g, h;
    skip_spaces(&t);
    if (take(&t, '/')) {
        take_sign(&t, negative);
        if (!take_decimal(&t, d) || !from_decimal(d, &g) || !divide(f, &g)) return false;
        *r = t;
        return true;
    }
    bool spaced = t.at > r->at, whole = first->exponent >= 0;
    if (!spaced || !whole || !take_decimal(&t, d)) return true;
    if (!from_decimal(d, &g) || !take(&t, '/') || !take_decimal(&t, d)) return false; /* "2 3" is no number */
    if (!from_decimal(d, &h) || !divide(&g, &h) || !add(f, &g)) return false;
    *r = t;
    return true;
}

/* f *= times * 10^power */
static bool count_units(struct fraction *f, const struct unit *u) {
    bool fits = nat_scale(&f->num, u->times, 0) && scale_ten(&f->num, (int)u->power);
    if (fits) nat_reduce(&f->num, &f->den);
    return fits;
}

bool answer_number(struct answer_span text, char *out, size_t *n_out) {
    struct reader r = {text.at, text.at + text.size};
    struct decimal first, other;
    struct fraction f;
    struct unit u;
    bool negative = false;
    take_sign(&r, &negative);
    if (!take_decimal(&r, &first)) return false;
    take_power(&r, &first);
    struct answer_span rest = {r.at, (size_t)(r.end - r.at)};
    bool plain = is_unit(rest, &u);
    if (!from_decimal(&first, &f)) {
        if (!plain || u.times != 1) return false;
        first.exponent += (int)u.power;
        *n_out = print_digits(negative, &first, out);
        return true;
    }
    nat_reduce(&f.num, &f.den);
    if (!plain) {
        if (!take_fraction(&r, &first, &other, &f, &negative)) return false;
        rest = (struct answer_span){r.at, (size_t)(r.end - r.at)};
        if (!is_unit(rest, &u)) return false;
    }
    if (!count_units(&f, &u)) return false;
    *n_out = print(negative, &f, out);
    return true;
}
