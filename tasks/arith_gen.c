/* arith_gen.c: expressions drawn with the published settings, and chains that reduce them.
 * Not the rules: arith.c.
 * Next: arith.h. */
#include <string.h>

#include "tasks/arith.h"

/* clang-format off */
const struct knob chain_sum_knobs[] = {
    {"min_terms",  "terms of the sum",      2, 5, 2, 12},
    {"max_terms",  "terms of the sum",      6, 8, 2, 12},
    {"min_digits", "digits of a term",      1, 4, 1, 9},
    {"max_digits", "digits of a term",      4, 6, 1, 9},
    {0},
};
const struct knob basic_arithmetic_knobs[] = {
    {"min_terms",  "numbers in the expression", 2, 5,  1, 12},
    {"max_terms",  "numbers in the expression", 6, 10, 1, 12},
    {"min_digits", "digits of a number",        1, 2,  1, 6},
    {"max_digits", "digits of a number",        4, 5,  1, 6},
    {0},
};
const struct knob multistep_knobs[] = {
    {"terms", "numbers in each inner bracket", 4, 4, 2, 8},
    {0},
};
/* clang-format on */

struct draws {
    uint64_t key, counter;
    struct arith a;
    bool full; /* more items than there is room for */
};

static int draw(struct draws *d, int low, int high) { return draw_int(d->key, &d->counter, low, high); }

static void add(struct draws *d, char op, wide value) {
    if (d->a.n < ARITH_ITEMS) d->a.items[d->a.n++] = (struct item){op, value};
    else d->full = true;
}

static long power10(int n) {
    long p = 1;
    while (n-- > 0) p *= 10;
    return p;
}

/* Digits can make more than 32 bits. */
static long draw_long(struct draws *d, long low, long high) {
    return low + (long)(rng_u64(d->key, d->counter++) % (uint64_t)(high - low + 1));
}

enum status chain_sum_generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                               struct error *e) {
    struct draws d = {.key = key};
    int n = draw(&d, k->knobs[0], k->knobs[1]), digits = draw(&d, k->knobs[2], k->knobs[3]);
    for (int i = 0; i < n; i++) {
        if (i) add(&d, "+-"[draw(&d, 0, 1)], 0);
        add(&d, 0, draw_long(&d, digits == 1 ? 0 : power10(digits - 1), power10(digits) - 1));
    }
    return steps_problem(t, &d.a, p, e);
}

/* ---- basic_arithmetic: random splits, brackets, divisions that come out even ---- */

/* A divisor of v below 1000, 1 or more. */
static long draw_divisor(struct draws *d, wide v) {
    long found[64], n = 0;
    if (v < 0) v = -v;
    if (v == 0) return draw_long(d, 1, 99);
    for (long i = 1; i < 1000 && n < 64; i++)
        if (v % i == 0) found[n++] = i;
    return found[draw(d, 0, (int)n - 1)];
}

/* Value of the items from `from` on. */
static bool value_of(const struct draws *d, int from, wide *v) {
    struct arith part = {.n = d->a.n - from};
    memcpy(part.items, d->a.items + from, (size_t)part.n * sizeof part.items[0]);
    /* Brackets round one number are not normalised here: a copy through text would cost more than it is worth. */
    while (part.n > 1) {
        int i = arith_first(&part);
        if (i ? !arith_reduce(&part, i) : true) return false;
    }
    *v = part.items[0].value;
    return true;
}

static void add_terms(struct draws *d, int n, long most);

/* A bracket of n terms, or n terms without division in a row; where its last operand begins. */
static int add_left(struct draws *d, int n, long most) {
    int from = d->a.n;
    if (n > 1 && draw(d, 0, 1)) {
        if (draw(d, 0, 1)) add(d, '~', 0);
        add(d, '(', 0);
        add_terms(d, n, most);
        add(d, ')', 0);
        return from;
    }
    for (int i = 0; i < n; i++) {
        if (i) add(d, "+-*"[draw(d, 0, 2)], 0);
        from = d->a.n;
        add(d, 0, draw_long(d, -most, most));
    }
    return from;
}

static void add_terms(struct draws *d, int n, long most) {
    while (n > 0 && !d->full) {
        int left = draw(d, 1, n);
        int operand = add_left(d, left, most);
        n -= left;
        if (n == 0) return;
        char op = "+-*/"[draw(d, 0, 3)];
        wide dividend;
        if (op != '/' || !value_of(d, operand, &dividend)) {
            add(d, op == '/' ? '+' : op, 0);
            continue;
        }
        add(d, '/', 0);
        add(d, 0, draw_divisor(d, dividend));
        if (--n > 0) add(d, "+-*"[draw(d, 0, 2)], 0);
    }
}

enum status basic_arithmetic_generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                                      struct error *e) {
    for (uint64_t attempt = 0;; attempt++) {
        struct draws d = {.key = rng_fold(key, attempt)};
        struct arith read = {0};
        char text[COMPACT], why[96];
        int n = draw(&d, k->knobs[0], k->knobs[1]);
        add_terms(&d, n, power10(draw(&d, k->knobs[2], k->knobs[3])) - 1);
        if (d.full) continue;
        arith_write(&d.a, text); /* reading it back normalises brackets, and refuses what has no value */
        if (arith_read(text, &read, why)) return steps_problem(t, &read, p, e);
    }
}

/* "((-1 + 2 + 9 * 5) - (-2 + -4 + -4 * -7))": two brackets of small numbers, joined. */
enum status multistep_generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                               struct error *e) {
    struct draws d = {.key = key};
    add(&d, '(', 0);
    for (int side = 0; side < 2; side++) {
        if (side) add(&d, "+-*"[draw(&d, 0, 2)], 0);
        add(&d, '(', 0);
        for (int i = 0; i < k->knobs[0]; i++) {
            if (i) add(&d, "+-*"[draw(&d, 0, 2)], 0);
            add(&d, 0, draw(&d, -9, 9));
        }
        add(&d, ')', 0);
    }
    add(&d, ')', 0);
    return steps_problem(t, &d.a, p, e);
}

/* Mostly the leftmost reduction; now and then another, so that all ways on are known. */
void arith_example(const struct problem *p, uint64_t key, struct lesson *out) {
    struct arith a = *(const struct arith *)p->own;
    size_t n = 0;
    uint64_t counter = 0;
    out->n = 0, out->loss_after = 0;
    bool free_order = rng_uniform(key, counter++) < 0.1;
    do {
        int at = arith_first(&a), choice = at;
        for (int i = at + 1, seen = 1; free_order && i + 1 < a.n; i++)
            if (arith_reducible(&a, i) && draw_int(key, &counter, 0, seen++) == 0) choice = i;
        if (n) n = put(out->text, out->cap, n, "\n");
        char step[ARITH_STEP];
        if (!arith_step(&a, choice, step, sizeof step)) return;
        n = put(out->text, out->cap, n, "%s", step);
        if (n + 1 >= out->cap) return;
        if (a.n > 1 && !arith_reduce(&a, choice)) return;
    } while (a.n > 1);
    out->n = n;
}
