/* test_trail.c: sequences that share their beginnings, against copies of everything.
 * Not branches of models: test_verbs.c.
 * Next: base/trail.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/trail.h"

enum { TRAILS = 24, LONGEST = 400, STEPS = 30000 };

/* What each trail must hold. */
static struct {
    struct trail trail;
    int32_t ids[LONGEST];
    uint32_t n;
} x[TRAILS];

static void compare(const struct trail_pool *p, int i, uint32_t from) {
    int32_t got[LONGEST];
    assert_int_equal(x[i].trail.len, x[i].n);
    trail_read(p, x[i].trail, from, got);
    for (uint32_t k = from; k < x[i].n; k++)
        if (got[k - from] != x[i].ids[k])
            fail_msg("trail %d, read from %u: id %u is %d, expected %d", i, from, k, got[k - from], x[i].ids[k]);
    if (x[i].n) assert_int_equal(trail_last(p, x[i].trail), x[i].ids[x[i].n - 1]);
}

static void random_trails_are_those_of_copies(void **state) {
    (void)state;
    struct error e;
    struct trail_pool *p;
    uint32_t longest = 0, forks = 0;
    assert_int_equal(trail_pool_new(&p, &e), OK);
    memset(x, 0, sizeof x);
    for (uint64_t step = 0; step < STEPS; step++) {
        int i = (int)rng_below(1, step, TRAILS), j = (int)rng_below(2, step, TRAILS);
        uint32_t what = rng_below(3, step, 16), some = rng_below(4, step, what == 0 ? 90 : 4);
        if (what < 9) {
            int32_t ids[90];
            if (some > LONGEST - x[i].n) some = LONGEST - x[i].n;
            for (uint32_t k = 0; k < some; k++) ids[k] = x[i].ids[x[i].n++] = (int32_t)rng_below(5, 100 * step + k, 50);
            assert_int_equal(trail_append(p, &x[i].trail, ids, some, &e), OK);
        } else if (what < 12 && i != j) {
            trail_drop(p, &x[i].trail);
            x[i] = x[j], x[i].trail = trail_fork(p, x[j].trail);
            forks++;
        } else if (what < 14) {
            x[i].n = x[i].n ? rng_below(6, step, x[i].n + 1) : 0;
            trail_cut(p, &x[i].trail, x[i].n);
        } else if (what == 15 && !some) {
            trail_drop(p, &x[i].trail), x[i].n = 0;
        }
        if (x[i].n > longest) longest = x[i].n;
        compare(p, i, rng_below(7, step, x[i].n + 1));
        compare(p, j, 0);
    }
    if (longest < 4 * TRAIL_BLOCK || forks < 1000) fail_msg("%u ids, %u forks: the test is empty", longest, forks);
    for (int i = 0; i < TRAILS; i++) trail_drop(p, &x[i].trail);
    assert_int_equal(trail_blocks_used(p), 0);
    trail_pool_free(&p);
}

/* Blocks are shared: a thousand forks of a long trail take no block, and one more id each takes one. */
static void forks_take_no_memory(void **state) {
    (void)state;
    enum { FORKS = 1000, N = 4096 };
    static struct trail forks[FORKS];
    static int32_t ids[N];
    struct error e;
    struct trail_pool *p;
    struct trail t = {0};
    assert_int_equal(trail_pool_new(&p, &e), OK);
    assert_int_equal(trail_append(p, &t, ids, N, &e), OK);
    uint32_t used = trail_blocks_used(p);
    mem_fail_at(0, false);
    for (int i = 0; i < FORKS; i++) forks[i] = trail_fork(p, t);
    assert_int_equal(mem_fail_at(0, false), 0);
    assert_int_equal(trail_blocks_used(p), used);
    for (int32_t i = 0; i < FORKS; i++) assert_int_equal(trail_append(p, &forks[i], &i, 1, &e), OK);
    assert_in_range(trail_blocks_used(p), used + FORKS - 1, used + FORKS);
    for (int i = 0; i < FORKS; i++) {
        assert_int_equal(trail_last(p, forks[i]), i);
        trail_drop(p, &forks[i]);
    }
    trail_drop(p, &t);
    assert_int_equal(trail_blocks_used(p), 0);
    trail_pool_free(&p);
}

static void failed_memory_leaves_the_trail(void **state) {
    (void)state;
    static int32_t ids[4000];
    struct error e;
    struct trail_pool *p;
    for (size_t i = 1; i <= 2; i++) {
        mem_fail_at(i, true);
        assert_int_equal(trail_pool_new(&p, &e), ERR_MEMORY);
        mem_fail_at(0, false);
        assert_null(p);
    }
    assert_int_equal(trail_pool_new(&p, &e), OK);
    struct trail t = {0};
    assert_int_equal(trail_append(p, &t, ids, 100, &e), OK);
    struct trail before = t;
    uint32_t used = trail_blocks_used(p);
    mem_fail_at(1, true);
    assert_int_equal(trail_append(p, &t, ids, 4000, &e), ERR_MEMORY);
    mem_fail_at(0, false);
    assert_memory_equal(&t, &before, sizeof t);
    assert_int_equal(trail_blocks_used(p), used);
    assert_int_equal(trail_append(p, &t, ids, 4000, &e), OK);
    trail_drop(p, &t);
    trail_pool_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_trails_are_those_of_copies),
        cmocka_unit_test(forks_take_no_memory),
        cmocka_unit_test(failed_memory_leaves_the_trail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
