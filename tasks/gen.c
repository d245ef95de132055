/* gen.c: training problems by rejection: draw numbers, keep what is solvable and not held out.
 * Not a data set on disk: a key always gives the same problem, so a run needs only its seed.
 * Next: task.c. */
#include "tasks/gen.h"

#include <assert.h>

#include "base/rng.h"

/* The draws of one problem, in order. */
struct stream {
    uint64_t key, counter;
};

const struct gen_mix gen_default_mix = {.four_other_target = 0.35, .four_24 = 0.25, .three_24 = 0.3, .three_any = 0.1};
const struct gen_mix gen_label_mix = {.four_other_target = 0.3, .four_24 = 0.5, .three_24 = 0.1, .three_any = 0.1};

enum { CARD_MAX = 13, NUMBER_MAX = 30, TARGET_MAX = 100, WALKS = 16 };

/* Integer in [low, high]. */
static int draw(struct stream *r, int low, int high) {
    return low + (int)rng_below(r->key, r->counter++, (uint32_t)(high - low + 1));
}

static bool draw_chance(struct stream *r, double p) { return rng_uniform(r->key, r->counter++) < p; }

static bool is_reachable(const struct cd_problem *p) {
    struct cd_state s = cd_start(p);
    return cd_count_solutions(&s, p->target, true) > 0;
}

/* Random legal moves down to one value; 0 when it is no whole number in 1..TARGET_MAX. */
static int walk_to_target(struct stream *r, const struct cd_problem *p) {
    struct cd_state s = cd_start(p);
    while (s.n > 1) {
        struct cd_move moves[CD_MAX_MOVES];
        int n = cd_moves(&s, moves);
        if (!cd_apply(&s, moves[draw(r, 0, n - 1)], &s)) return 0;
    }
    return s.left[0].den == 1 && s.left[0].num <= TARGET_MAX ? (int)s.left[0].num : 0;
}

/* A target for the numbers of p other than `avoid`; false when the walks found none. */
static bool draw_target(struct stream *r, bool solvable, int avoid, struct cd_problem *p) {
    for (int walk = 0; walk < WALKS; walk++) {
        p->target = solvable ? walk_to_target(r, p) : draw(r, 1, TARGET_MAX);
        if (p->target != 0 && p->target != avoid) return true;
    }
    return false;
}

static void draw_cards(struct stream *r, int n, struct cd_problem *p) {
    p->n = n;
    for (int i = 0; i < n; i++) p->numbers[i] = draw(r, 1, CARD_MAX);
}

/* Mostly cards, now and then a larger number. */
static void draw_mixed(struct stream *r, int n, struct cd_problem *p) {
    draw_cards(r, n, p);
    for (int i = 0; i < n; i++)
        if (draw_chance(r, 0.2)) p->numbers[i] = draw(r, CARD_MAX + 1, NUMBER_MAX);
}

static bool draw_four_other_target(struct stream *r, bool solvable, struct cd_problem *p) {
    draw_cards(r, 4, p);
    return draw_target(r, solvable, 24, p);
}

static bool draw_four_24(struct stream *r, bool solvable, struct cd_problem *p) {
    draw_mixed(r, 4, p);
    int large = draw(r, 0, 3); /* its own statement: the order of draws must not depend on the compiler */
    p->numbers[large] = draw(r, CARD_MAX + 1, NUMBER_MAX);
    p->target = 24;
    return !solvable || is_reachable(p);
}

/* What one move leaves of four cards: two cards and the result of two others, when it is a whole number. */
static bool draw_three_24(struct stream *r, bool solvable, struct cd_problem *p) {
    struct ratio v;
    draw_cards(r, 4, p);
    if (!ratio_apply(ratio_int(p->numbers[2]), "+-*/"[draw(r, 0, 3)], ratio_int(p->numbers[3]), &v)) return false;
    if (v.den != 1 || v.num < 1) return false;
    *p = (struct cd_problem){3, {p->numbers[0], p->numbers[1], (int)v.num}, 24};
    return !solvable || is_reachable(p);
}

static bool draw_three_any(struct stream *r, bool solvable, struct cd_problem *p) {
    draw_mixed(r, 3, p);
    return draw_target(r, solvable, 0, p);
}

void gen_one(uint64_t key, const struct gen_mix *mix, bool solvable, struct cd_problem *p) {
    static bool (*const draw_kind[])(struct stream *, bool, struct cd_problem *) = {
        draw_four_other_target, draw_four_24, draw_three_24, draw_three_any};
    const double share[] = {mix->four_other_target, mix->four_24, mix->three_24, mix->three_any};
    struct stream r = {key, 0};
    double total = share[0] + share[1] + share[2] + share[3];
    assert(total > 0);
    double at = rng_uniform(r.key, r.counter++) * total;
    int kind = 0;
    while (kind < 3 && at >= share[kind]) at -= share[kind++];
    while (share[kind] <= 0) kind--; /* rounding may step past the last share */
    /* The second condition never holds by construction; it stands here so that no later kind can break it. */
    do *p = (struct cd_problem){0};
    while (!draw_kind[kind](&r, solvable, p) || cd_is_held_out(p));
    assert(!cd_is_held_out(p));
}

void gen_problem(uint64_t key, uint64_t index, const struct gen_mix *mix, bool solvable, struct cd_problem *p) {
    gen_one(rng_fold(key, index), mix, solvable, p);
}
