/* oracle.c: exhaustive counting of solutions, and one solution drawn uniformly from them.
 * Not a strategy: it knows the rules, which a search over a model must not.
 * Next: gen.c, which asks it for training data. */
#include <assert.h>

#include "base/rng.h"
#include "tasks/countdown.h"

static bool is_small(struct ratio a) { return a.num >= 0 && a.num < (1 << 24) && a.den < (1 << 24); }

/* Solutions of the last pair a <= b, by cross multiplication: this is the innermost loop, and no value is built. */
static long count_last(struct ratio a, struct ratio b, int64_t target) {
    int64_t ab = a.num * b.den, ba = b.num * a.den, whole = target * a.den * b.den;
    long n = (ab + ba == whole) + (ba - ab == whole) + (a.num * b.num == target * a.den * b.den);
    if (a.num != 0) n += ba == target * ab;
    if (b.num != 0 && ab != ba) n += ab == target * ba;
    return n;
}

long cd_count_solutions(const struct cd_state *s, int target, bool stop_at_first) {
    assert(s->n >= 1 && s->n <= CD_MAX && target >= 1 && target <= 9999);
    if (s->n == 1) return s->left[0].num == target && s->left[0].den == 1;
    if (s->n == 2 && is_small(s->left[0]) && is_small(s->left[1])) {
        long n = count_last(s->left[0], s->left[1], target);
        return stop_at_first ? n > 0 : n;
    }
    struct cd_move moves[CD_MAX_MOVES];
    int n_moves = cd_moves(s, moves);
    long n = 0;
    for (int k = 0; k < n_moves; k++) {
        struct cd_state next;
        if (cd_apply(s, moves[k], &next)) n += cd_count_solutions(&next, target, stop_at_first);
        if (stop_at_first && n) return 1;
    }
    return n;
}

/* Solutions after each move of s into count[]; returns their sum. */
static long count_by_move(const struct cd_state *s, int target, const struct cd_move *moves, int n_moves, long *count) {
    long total = 0;
    for (int k = 0; k < n_moves; k++) {
        struct cd_state next;
        count[k] = cd_apply(s, moves[k], &next) ? cd_count_solutions(&next, target, false) : 0;
        total += count[k];
    }
    return total;
}

/* Solutions are numbered in the order of the moves; one draw picks a number and each level walks to its subtree. */
bool cd_random_solution(const struct cd_state *s, int target, uint64_t key, struct cd_move moves[CD_MAX - 1]) {
    struct cd_state at = *s;
    long rank = 0;
    for (int step = 0; step < s->n - 1; step++) {
        struct cd_move list[CD_MAX_MOVES];
        long count[CD_MAX_MOVES];
        int n_moves = cd_moves(&at, list);
        long total = count_by_move(&at, target, list, n_moves, count);
        if (total == 0) return false;
        if (step == 0) rank = (long)rng_below(key, 0, (uint32_t)total);
        int k = 0;
        for (; rank >= count[k]; k++) rank -= count[k];
        moves[step] = list[k];
        cd_apply(&at, list[k], &at);
    }
    return s->n > 1 || cd_count_solutions(s, target, true);
}
