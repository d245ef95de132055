/* numbers_gen.c: problems of the numbers game to learn from, and chains for them.
 * Not the mixes that the shipped models learned from: gen.c has those.
 * Next: gen.c. */
#include "base/rng.h"
#include "tasks/gen.h"
#include "tasks/numbers.h"

/* clang-format off */
/* The shipped models learned from these two mixes. */
const struct knob cards_knobs[] = {
    {"mix", "0: for a policy; 1: more of what a first step of a card puzzle leaves", 0, 1, 0, 1},
    {0},
};
const struct knob countdown_knobs[] = {
    {"min_numbers", "numbers",        4, 3,    3, CD_MAX},
    {"max_numbers", "numbers",        6, 9,    3, CD_MAX},
    {"min_value",   "of a number",    1, 1,    1, 9999},
    {"max_value",   "of a number",    100, 100,  1, 9999},
    {"min_target",  "of the target",  100, 100,  1, 9999},
    {"max_target",  "of the target",  999, 1000, 1, 9999},
    {0},
};
/* clang-format on */

enum status cards_generate(const struct task *t, uint64_t key, const struct task_draw *d, struct problem *p,
                           struct error *e) {
    struct numbers n = {.posed = false};
    struct problem made = {.task = task_find("countdown"), .id = "1"}; /* most of them are no card puzzles */
    (void)t;
    gen_one(key, d->knobs[0] ? &gen_label_mix : &gen_default_mix, !d->any, &n.c);
    enum status s = numbers_set(&made, &n, e);
    if (!s) *p = made;
    return s;
}

/* Random moves that keep to whole numbers up to 9999, down to one number; false when a draw finds none. */
static bool whole_walk(struct cd_state s, uint64_t key, uint64_t *counter, struct cd_move *moves,
                       struct cd_state *end) {
    for (int n = 0, tries = 0; s.n > 1; tries++) {
        int j = 1 + (int)rng_below(key, (*counter)++, (uint32_t)s.n - 1);
        int i = (int)rng_below(key, (*counter)++, (uint32_t)j);
        char op = "+-*/"[rng_below(key, (*counter)++, 4)];
        struct cd_move m = op == '-' || op == '/' ? (struct cd_move){j, i, op} : (struct cd_move){i, j, op};
        struct ratio v;
        if (tries == 64) return false;
        if (!ratio_apply(s.left[m.i], op, s.left[m.j], &v) || v.den != 1 || v.num > 9999) continue;
        cd_apply(&s, m, &s);
        moves[n++] = m;
    }
    *end = s;
    return true;
}

/* Numbers first, then a target that random moves come to. */
static void draw_countdown(uint64_t key, const int *k, struct numbers *n) {
    for (uint64_t counter = 0;;) {
        struct cd_state start, end;
        n->c.n = k[0] + (int)rng_below(key, counter++, (uint32_t)(k[1] - k[0] + 1));
        for (int i = 0; i < n->c.n; i++)
            n->c.numbers[i] = k[2] + (int)rng_below(key, counter++, (uint32_t)(k[3] - k[2] + 1));
        start = cd_start(&n->c);
        for (int walk = 0; walk < 16; walk++) {
            if (!whole_walk(start, key, &counter, n->way, &end)) continue;
            if (end.left[0].num < k[4] || end.left[0].num > k[5]) continue;
            n->c.target = (int)end.left[0].num, n->has_way = true;
            return;
        }
    }
}

enum status countdown_generate(const struct task *t, uint64_t key, const struct task_draw *d, struct problem *p,
                               struct error *e) {
    struct numbers n = {.posed = false};
    struct problem made = {.task = t, .id = "1"};
    draw_countdown(key, d->knobs, &n);
    if (d->any) /* the target may be out of reach */
        n.c.target = d->knobs[4] + (int)rng_below(key, 1u << 20, (uint32_t)(d->knobs[5] - d->knobs[4] + 1)),
        n.has_way = false;
    enum status s = numbers_set(&made, &n, e);
    if (!s) *p = made;
    return s;
}

/* ---- chains ---- */

/* Random legal moves down to one number; false when they come to none. */
static bool random_walk(struct cd_state s, uint64_t key, struct cd_move moves[CD_MAX - 1]) {
    int n = 0;
    for (uint64_t draw = 0; s.n > 1 && draw < 64; draw++) {
        struct cd_move all[CD_MAX_MOVES];
        int n_moves = cd_moves(&s, all);
        moves[n] = all[rng_below(key, draw, (uint32_t)n_moves)];
        if (cd_apply(&s, moves[n], &s)) n++;
    }
    return s.n == 1;
}

/* All solutions are equally likely where they can be counted; of more numbers the generator's own is taken. */
static bool find_moves(const struct numbers *n, bool explore, uint64_t key, struct cd_move *moves) {
    struct cd_state s = cd_start(&n->c), end;
    uint64_t counter = 0;
    if (explore) return n->c.n <= 4 ? random_walk(s, key, moves) : whole_walk(s, key, &counter, moves, &end);
    if (n->c.n <= 4) return cd_random_solution(&s, n->c.target, key, moves);
    for (int i = 0; i < n->c.n - 1; i++) moves[i] = n->way[i];
    return n->has_way;
}

void numbers_example(const struct problem *p, uint64_t key, struct lesson *out) {
    const struct numbers *n = p->own;
    struct cd_state s = cd_start(&n->c);
    struct cd_move moves[CD_MAX - 1];
    size_t at = 0;
    out->n = 0, out->loss_after = out->explore ? '=' : 0;
    if (!find_moves(n, out->explore || out->stray, key, moves)) return;
    for (int i = 0; i < n->c.n - 1; i++) {
        if (at + CD_STEP_TEXT + 1 > out->cap) return;
        if (i) out->text[at++] = '\n';
        at += cd_step_text(&s, moves[i], out->text + at, out->cap - at);
        if (!cd_apply(&s, moves[i], &s)) return;
    }
    out->n = at;
}
