/* grammar_class.c: a set of characters as code that reads the bytes of their UTF-8.
 * Not the notation: grammar_parse.c.
 * Next: grammar_check.c.
 *
 * A range of code points is cut until each part is a product of byte ranges: U+0080..U+FFFF without surrogates is
 * [C2-DF][80-BF] | E0[A0-BF][80-BF] | [E1-EC][80-BF][80-BF] | ED[80-9F][80-BF] | [EE-EF][80-BF][80-BF].  So a token
 * that ends within a character needs no care elsewhere: the state stands between two bytes. */
#include <stdlib.h>
#include <string.h>

#include "model/grammar_internal.h"

enum { LAST_POINT = 0x10FFFF, SURROGATE = 0xD800, AFTER_SURROGATES = 0xE000 };

static enum status add_set(struct grammar *g, const struct byte_set *set, size_t at, struct error *e) {
    enum status s = grammar_grow((void **)&g->sets, g->n_sets, &g->cap_sets, sizeof *g->sets, e);
    if (s) return s;
    g->sets[g->n_sets] = *set;
    return grammar_op(g, OP_BYTES, (int32_t)g->n_sets++, at, e);
}

static void add_range(struct byte_set *set, unsigned lo, unsigned hi) {
    for (unsigned b = lo; b <= hi; b++) set->bits[b >> 6] |= 1ull << (b & 63);
}

enum status grammar_byte(struct grammar *g, unsigned char byte, size_t at, struct error *e) {
    struct byte_set set = {0};
    add_range(&set, byte, byte);
    return add_set(g, &set, at, e);
}

static int encode(uint32_t c, unsigned char *b) {
    if (c < 0x80) return b[0] = (unsigned char)c, 1;
    int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, c >>= 6) b[i] = (unsigned char)(0x80 | (c & 0x3F));
    b[0] = (unsigned char)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | c);
    return n;
}

/* Code of the alternatives so far: each but the last has a SPLIT in front and a JUMP behind, which is chained through
 * its arg. */
struct alternatives {
    struct grammar *g;
    size_t at;
    int32_t last_jump; /* -1: none */
    bool any;
    struct error *e;
};

/* One alternative: a product of byte ranges.  The SPLIT in front is always written, the last one leads nowhere: close()
 * undoes it. */
static enum status add_sequence(struct alternatives *a, const struct byte_set *sets, int n) {
    struct grammar *g = a->g;
    enum status s = OK;
    if (a->any) { /* not the first: the one before gets its SPLIT's target here */
        s = grammar_op(g, OP_JUMP, a->last_jump, a->at, a->e);
        if (s) return s;
        a->last_jump = (int32_t)g->n_ops - 1;
    }
    a->any = true;
    s = grammar_op(g, OP_SPLIT, n + 2, a->at, a->e); /* behind the bytes and the JUMP */
    for (int i = 0; !s && i < n; i++) s = add_set(g, &sets[i], a->at, a->e);
    return s;
}

/* Cuts [lo, hi], both of n bytes, at the places where a byte's range is not whole. */
static enum status add_points(struct alternatives *a, uint32_t lo, uint32_t hi) {
    for (int i = 1; i < 4; i++) {
        uint32_t mask = (1u << (6 * i)) - 1;
        unsigned char b[4];
        if (encode(lo, b) <= i || (lo & ~mask) == (hi & ~mask)) continue;
        if (lo & mask) {
            enum status s = add_points(a, lo, lo | mask);
            return s ? s : add_points(a, (lo | mask) + 1, hi);
        }
        if ((hi & mask) != mask) {
            enum status s = add_points(a, lo, (hi & ~mask) - 1);
            return s ? s : add_points(a, hi & ~mask, hi);
        }
    }
    unsigned char from[4], to[4];
    struct byte_set sets[4] = {{{0}}};
    int n = encode(lo, from);
    encode(hi, to);
    for (int i = 0; i < n; i++) add_range(&sets[i], from[i], to[i]);
    return add_sequence(a, sets, n);
}

static int by_start(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* [lo, hi] without surrogates; bytes below 0x80 are collected in *ascii. */
static enum status add_part(struct alternatives *a, uint32_t lo, uint32_t hi, struct byte_set *ascii) {
    static const uint32_t cuts[][2] = {
        {0x80, 0x7FF}, {0x800, SURROGATE - 1}, {AFTER_SURROGATES, 0xFFFF}, {0x10000, LAST_POINT}};
    if (lo < 0x80) add_range(ascii, lo, hi < 0x7F ? hi : 0x7F);
    enum status s = OK;
    for (int i = 0; !s && i < 4; i++) {
        uint32_t from = lo > cuts[i][0] ? lo : cuts[i][0], to = hi < cuts[i][1] ? hi : cuts[i][1];
        if (from <= to) s = add_points(a, from, to);
    }
    return s;
}

/* The last SPLIT has one way only, and all JUMPs lead here. */
static void close_alternatives(struct alternatives *a, uint32_t last_start) {
    struct grammar *g = a->g;
    memmove(&g->ops[last_start], &g->ops[last_start + 1], (g->n_ops - last_start - 1) * sizeof *g->ops);
    g->n_ops--;
    while (a->last_jump >= 0) {
        struct op *op = &g->ops[a->last_jump];
        int32_t before = op->arg;
        op->arg = (int32_t)g->n_ops - a->last_jump;
        a->last_jump = before;
    }
}

enum status grammar_class(struct grammar *g, uint32_t (*ranges)[2], size_t n, bool inverted, size_t at,
                          struct error *e) {
    struct alternatives a = {.g = g, .at = at, .last_jump = -1, .e = e};
    struct byte_set ascii = {{0}};
    enum status s = OK;
    uint32_t next = 0; /* the first code point that no range so far has */
    qsort(ranges, n, sizeof *ranges, by_start);
    for (size_t i = 0; !s && i < n; i++) {
        uint32_t lo = ranges[i][0] > next ? ranges[i][0] : next;
        if (inverted && ranges[i][0] > next) s = add_part(&a, next, ranges[i][0] - 1, &ascii);
        if (!s && !inverted && ranges[i][1] >= next) s = add_part(&a, lo, ranges[i][1], &ascii);
        if (ranges[i][1] >= next) next = ranges[i][1] + 1;
    }
    if (!s && inverted && next <= LAST_POINT) s = add_part(&a, next, LAST_POINT, &ascii);
    if (s) return s;
    if (ascii.bits[0] | ascii.bits[1]) s = add_sequence(&a, &ascii, 1);
    if (s) return s;
    if (!a.any) return grammar_wrong(g, at, e, "no character is in this class");
    uint32_t last = g->n_ops;
    do last--;
    while (g->ops[last].kind != OP_SPLIT);
    close_alternatives(&a, last);
    return OK;
}
