/* test_pace.c: the choice among ways of sharing a pass, with made-up times: does it find the fastest, follow a machine
 * that changes, and lose little by trying?
 * Not the ways: test_engine.c holds that they give the same bits.
 * Next: model/pace.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/pace.h"

/* ns of a pass of one row in each way. */
struct machine {
    double ns[N_WAYS];
};
static const struct machine quiet = {{20000, 12000, 14000}}, busy = {{22000, 90000, 800000}};

/* n passes; the time they took over what the fastest way would have taken.  Times vary by a tenth. */
static double run(struct pace *p, const struct machine *m, int n, bool branches, enum way first) {
    double took = 0, ideal = 0;
    for (int i = 0; i < n; i++) {
        double vary = 0.95 + 0.1 * rng_uniform(7, p->sizes[branches][0].n);
        enum way way = pace_choose(p, 1, branches, first);
        assert_true(branches || way != WAY_BRANCHES);
        pace_learn(p, 1, branches, way, (uint64_t)(vary * m->ns[way]));
        double best = m->ns[WAY_ALONE] < m->ns[WAY_WEIGHTS] ? m->ns[WAY_ALONE] : m->ns[WAY_WEIGHTS];
        if (branches && m->ns[WAY_BRANCHES] < best) best = m->ns[WAY_BRANCHES];
        took += vary * m->ns[way], ideal += vary * best;
    }
    return took / ideal;
}

#define AT_MOST(value, limit)                                                                                          \
    do {                                                                                                               \
        double v_ = (value);                                                                                           \
        if (!(v_ <= (limit))) fail_msg("%s: %.3f of the least time, at most %.3f", #value, v_, (double)(limit));       \
    } while (0)

static void the_fastest_way_is_found(void **state) {
    (void)state;
    for (int first = 0; first < N_WAYS; first++)
        for (int branches = first == WAY_BRANCHES; branches < 2; branches++) {
            struct pace p = {0};
            assert_int_equal(pace_choose(&p, 1, branches, (enum way)first), first);
            run(&p, &quiet, 300, branches, (enum way)first);
            assert_int_equal(p.sizes[branches][0].best, branches ? WAY_BRANCHES : WAY_WEIGHTS);
            AT_MOST(run(&p, &quiet, 20000, branches, (enum way)first), 1.03);
            struct pace q = {0};
            AT_MOST(run(&q, &busy, 20000, branches, (enum way)first), 1.08);
        }
}

/* A program that takes a CPU for a while: what it costs, and what is left of it when it is gone. */
static void changes_are_followed(void **state) {
    (void)state;
    for (int branches = 0; branches < 2; branches++) {
        struct pace p = {0};
        run(&p, &quiet, 5000, branches, WAY_WEIGHTS);
        AT_MOST(run(&p, &busy, 5000, branches, WAY_WEIGHTS), 1.15);
        AT_MOST(run(&p, &quiet, 5000, branches, WAY_WEIGHTS), 1.2);
        AT_MOST(run(&p, &quiet, 5000, branches, WAY_WEIGHTS), 1.03);
    }
}

/* A pass that stood still for two seconds says nothing about its way. */
static void one_stall_changes_little(void **state) {
    (void)state;
    struct pace p = {0};
    run(&p, &quiet, 1000, false, WAY_WEIGHTS);
    pace_learn(&p, 1, false, WAY_WEIGHTS, 2000000000);
    AT_MOST(run(&p, &quiet, 200, false, WAY_WEIGHTS), 1.1);
}

/* A way that is hardly faster is no reason to change: noise would send the passes to and fro. */
static void what_is_hardly_faster_changes_nothing(void **state) {
    (void)state;
    for (int better = 0; better < 2; better++) { /* by 2%, by 10%; without noise */
        struct pace p = {0};
        for (int i = 0; i < 3000; i++) {
            enum way way = pace_choose(&p, 1, false, WAY_WEIGHTS);
            pace_learn(&p, 1, false, way, way == WAY_WEIGHTS ? 12300 : better ? 11000 : 12050);
        }
        assert_int_equal(p.sizes[0][0].best, better ? WAY_ALONE : WAY_WEIGHTS);
    }
}

/* A model whose passes take long, begun on a busy machine: after its first passes and a tenth of a second it looks for
 * another way.  On a quiet one that costs little, and prompts do not do it. */
static void a_busy_machine_is_noticed_soon(void **state) {
    (void)state;
    static const struct machine slow[] = {{{20e6, 20e6, 11e6}}, {{22e6, 22e6, 250e6}}}; /* quiet, busy */
    for (int busy = 0; busy < 2; busy++)
        for (uint32_t rows = 1; rows <= 256; rows *= 256) {
            struct pace p = {0};
            double took = 0;
            int n = 0, n_alone = 0;
            for (; took < 2e9; n++) {
                enum way way = pace_choose(&p, rows, false, WAY_WEIGHTS);
                pace_learn(&p, rows, false, way, (uint64_t)slow[busy].ns[way]);
                took += slow[busy].ns[way], n_alone += way == WAY_ALONE;
            }
            if (rows > 1) assert_true(busy || n_alone <= 9);
            else if (busy) assert_true(n > 40); /* of 8 in the way that it began with */
            else assert_true(n > 170);          /* of 181 */
        }
}

/* Sizes are apart: what small passes taught does not choose for large ones. */
static void sizes_are_apart(void **state) {
    (void)state;
    struct pace p = {0};
    run(&p, &busy, 100, false, WAY_WEIGHTS);
    assert_int_equal(p.sizes[false][0].best, WAY_ALONE);
    for (uint32_t rows = 2; rows <= 65536; rows *= 2) {
        assert_int_equal(pace_choose(&p, rows, false, WAY_WEIGHTS), WAY_WEIGHTS);
        assert_int_equal(pace_choose(&p, rows, true, WAY_BRANCHES), WAY_BRANCHES);
        pace_learn(&p, rows, false, WAY_WEIGHTS, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fastest_way_is_found),       cmocka_unit_test(changes_are_followed),
        cmocka_unit_test(one_stall_changes_little),       cmocka_unit_test(what_is_hardly_faster_changes_nothing),
        cmocka_unit_test(a_busy_machine_is_noticed_soon), cmocka_unit_test(sizes_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
