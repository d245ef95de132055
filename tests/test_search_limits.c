/* test_search_limits.c: budgets, cancel, full KV, failing evaluators, failing memory, worthless scores: for every
 * strategy, and for every choice of its parameters.  A new row is in all of it by itself.
 * Not about which chain is right: test_search.c.
 * Next: toy_eval.h for the faults on demand. */
#include "base/mem.h"
#include "search/search_internal.h"
#include "tests/toy_run.h"

static const struct toy_world world = {
    .seed = 2, .width = 4, .depth = 4, .best = "3031", .noise = 0.3f, .p_dead = 0.04f, .p_cut = 0.04f};

/* A row with its defaults, or with one parameter that says something else: each other choice, and what is off is on. */
struct variant {
    const struct strategy *s;
    const struct param *p; /* NULL: the defaults */
    double value;
    char name[80];
};
static struct variant variants[256];
static uint32_t n_variants;

static void add_variant(const struct strategy *s, const struct param *p, double value) {
    struct variant *v = &variants[n_variants++];
    assert_true(n_variants <= sizeof variants / sizeof *variants);
    *v = (struct variant){.s = s, .p = p, .value = value};
    if (p) snprintf(v->name, sizeof v->name, "%s --%s %g", s->name, p->flag, value);
    else snprintf(v->name, sizeof v->name, "%s", s->name);
}

static uint32_t n_choices(const struct param *p) {
    uint32_t n = 1;
    for (const char *c = p->choices; (c = strchr(c, '|')); c++) n++;
    return n;
}

static int list_variants(void **state) {
    (void)state;
    for (const struct strategy *const *at = strategy_table; *at; at++) {
        struct params defaults;
        strategy_defaults(*at, false, &defaults);
        add_variant(*at, NULL, 0);
        for (const struct param *p = (*at)->params; p && p->flag; p++) {
            double is = param_get(p, defaults.bytes);
            if (p->kind == PARAM_CHOICE && strcmp(p->flag, "pick")) /* has tests of its own */
                for (uint32_t c = 0; c < n_choices(p); c++)
                    if (c != is) add_variant(*at, p, c);
            if (p->kind == PARAM_YES) add_variant(*at, p, !is);
            if (p->kind == PARAM_COUNT && is == 0) add_variant(*at, p, 2);
            if (p->kind == PARAM_REAL && is == 0) add_variant(*at, p, p->high > 1 ? 1 : (p->low + p->high) / 2);
        }
    }
    return 0;
}

#define FOR_EACH_VARIANT for (const struct variant *v = variants; v < variants + n_variants; v++)

/* Which one failed: cmocka's messages do not say it. */
static const struct variant *now;

static void open_small(const struct variant *v, const struct toy_world *w) {
    now = v;
    fx_open(v->s->name, w);
    fx.common.budget.simulations = strcmp(v->s->name, "greedy") ? 24 : 1;
    fx_set("batch", 6);
    fx_set("stop-value", 2);
    fx_set("block", 3); /* ends inside of steps */
    if (v->p) fx_set(v->p->flag, v->value);
    fx.max_nodes = 512;
}

static struct variant row(const char *name) { return (struct variant){.s = strategy_find(name)}; }

/* Branches and batches are of nodes: no row asks for more of them, however small or large the run. */
static void no_room_is_larger_than_the_tree(void **state) {
    static const uint64_t budgets[] = {1, 2, 7, 100000};
    (void)state;
    FOR_EACH_VARIANT
    for (size_t k = 0; k < sizeof budgets / sizeof *budgets; k++)
        for (uint32_t depth = 1; depth <= 16; depth += 15) {
            open_small(v, &world);
            fx.common.budget.simulations = budgets[k], fx.common.max_depth = depth;
            struct search_room room = search_room(v->s, &fx.common, fx.params.bytes);
            if (!room.nodes || !room.batch || room.branches > room.nodes || room.batch > room.nodes)
                fail_msg("%s: %u nodes, %u branches, %u steps of a batch", v->s->name, room.nodes, room.branches,
                         room.batch);
        }
}

static void the_reason_is_the_limit_that_was_reached(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        open_small(v, &world);
        fx.common.budget.tokens = 3;
        fx_run();
        assert_int_equal(fx.res.why, WHY_TOKENS);
        fx_close();
        open_small(v, &world);
        fx.common.budget.flops = 1;
        fx_run();
        assert_int_equal(fx.res.why, WHY_FLOPS);
        fx_close();
        open_small(v, &world);
        fx.common.budget.ns = 1;
        fx_run();
        assert_int_equal(fx.res.why, WHY_TIME);
        assert_int_equal(fx.tree.n, 1);
        fx_close();
        open_small(v, &world);
        fx_run();
        assert_true(fx.res.why == WHY_DONE || fx.res.why == WHY_SIMULATIONS);
        assert_true(fx.toy.ledger.ns > 0);
        fx_close();
    }
}

/* A run goes over its limit by less than one pass, it stops before it only when nothing more of the kind fits, and for independent
 * chains a larger limit never gives a worse best one. */
static void tokens_bound_the_run_and_more_of_them_never_hurt(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        float value = 0;
        open_small(v, &world);
        fx_run();
        fx_close();
        uint64_t full = fx.toy.ledger.generated_tokens + fx.toy.ledger.prm_tokens;
        for (uint64_t limit = 1; limit <= full + 8; limit += 1 + limit / 16) {
            open_small(v, &world);
            fx.common.budget.tokens = limit;
            fx_run();
            uint64_t used = fx.toy.ledger.generated_tokens + fx.toy.ledger.prm_tokens;
            /* A pass of the toy is one token of each of 6 steps; what is read by the reward model comes on top. */
            if (used >= limit + 6 + 6 * 8)
                fail_msg("%s: %lu tokens, used %lu", v->name, (unsigned long)limit, (unsigned long)used);
            if (fx.res.why == WHY_TOKENS && fx.res.n_finished) assert_true(used + 17 >= limit); /* a chain of 4 steps */
            if (fx.res.why == WHY_TOKENS && !fx.res.n_finished) assert_true(used >= limit);
            if (!strcmp(v->s->name, "bon") || !strcmp(v->s->name, "greedy")) {
                if (fx.res.value < value) fail_msg("%s: %lu tokens: worse", v->name, (unsigned long)limit);
                value = fx.res.value;
            }
            fx_close();
        }
    }
}

/* Without any limit the default number is used; with another limit the number of simulations is open. */
static void no_simulations_means_default_or_open(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        open_small(v, &world);
        fx.common.budget.simulations = 0;
        fx_run();
        assert_int_equal(fx.status, OK);
        if (!strcmp(v->name, "mcts")) assert_int_equal(fx.toy.ledger.simulations, 256);
        if (!strcmp(v->name, "bon")) assert_int_equal(fx.toy.ledger.simulations, 16);
        fx_close();
        open_small(v, &world);
        fx.common.budget = (struct budget){.tokens = 900};
        fx_run();
        /* Populations come to their end, and may do so before the limit. */
        static const char *const endless = "bon weighted maj mcts";
        if (strstr(endless, v->name)) assert_int_equal(fx.res.why, WHY_TOKENS);
        else if (fx.res.why != WHY_TOKENS) assert_int_equal(fx.res.why, WHY_DONE);
        fx_close();
    }
}

static void smallest_sizes_work(void **state) {
    (void)state;
    FOR_EACH_VARIANT for (int k = 0; k < 16; k++) {
        open_small(v, &world);
        fx.common.budget.simulations = k & 1 ? 1 : 5;
        fx_set("batch", k & 2 ? 1 : 3);
        fx_set("beam-width", k & 4 ? 1 : 0);
        fx.common.max_depth = k & 8 ? 1 : 3;
        fx_run();
        assert_int_equal(fx.status, OK);
        assert_int_equal(fx.res.node, 0); /* chains need 4 steps */
        for (uint32_t u = 0; u < fx.tree.n; u++) assert_true(tree_steps(&fx.tree, u) <= fx.common.max_depth);
        fx_close();
    }
}

static void the_arena_never_overflows(void **state) {
    (void)state;
    FOR_EACH_VARIANT for (uint32_t cap = 2; cap < 70; cap++) {
        open_small(v, &world);
        fx.max_nodes = cap;
        fx_run();
        assert_int_equal(fx.status, OK);
        assert_true(fx.tree.n <= cap);
        if (cap < 5 && strcmp(v->s->name, "greedy")) assert_int_equal(fx.res.why, WHY_NODES);
        fx_close();
    }
}

/* Where the budget counts steps, a flat world is gone down slowly. */
static uint64_t many(const struct strategy *s) { return s->simulations[0] >= 64 ? 400 : 60; }

/* Scores without information: ties are broken, nothing hangs, values stay numbers. */
static void worthless_scores_are_harmless(void **state) {
    (void)state;
    FOR_EACH_VARIANT for (int k = 0; k < 2; k++) {
        struct toy_world w = world;
        w.flat = k == 0, w.nan = k == 1;
        open_small(v, &w);
        fx.common.budget.simulations = many(v->s);
        fx.max_nodes = 4096;
        fx_run();
        assert_int_equal(fx.status, OK);
        if (strcmp(v->s->name, "greedy") && !v->p) assert_int_not_equal(fx.res.node, 0);
        assert_true(fx.res.value >= 0 && fx.res.value <= 1);
        uint64_t first = fx.signature;
        fx_close();
        open_small(v, &w);
        fx.common.budget.simulations = many(v->s);
        fx.max_nodes = 4096;
        fx_run();
        assert_true(fx.signature == first);
        fx_close();
    }
}

static void dead_worlds_end(void **state) {
    (void)state;
    FOR_EACH_VARIANT for (int k = 0; k < 3; k++) {
        struct toy_world w = world;
        w.p_dead = k == 0 ? 1 : k == 1 ? 0 : 0.5f;
        w.p_cut = 1 - w.p_dead;
        open_small(v, &w);
        fx_run();
        assert_int_equal(fx.status, OK);
        assert_int_equal(fx.res.node, 0);
        assert_true(fx.res.why == WHY_DONE || fx.res.why == WHY_SIMULATIONS);
        fx_close();
    }
}

/* KV ------------------------------------------------------------------------------------------------------------ */

/* Whatever the KV holds: either the same tree as with endless KV, or an honest stop. */
static void short_kv_gives_the_same_tree_or_stops(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        open_small(v, &world);
        fx_run();
        uint64_t want = fx.signature;
        uint32_t peak = fx.toy.peak_kv;
        fx_close();
        for (uint32_t cap = 1; cap <= peak; cap++) {
            open_small(v, &world);
            fx.toy.cap_kv = cap;
            fx_run();
            assert_int_equal(fx.status, OK);
            assert_true(fx.toy.peak_kv <= cap);
            /* A child and its parent are enough for any of them: the rest is evicted and rebuilt. */
            if (cap == 1 && fx.res.why != WHY_KV_FULL) assert_true(fx.signature == want);
            /* The parent of a step under way is not evicted. */
            if (cap == 1 && !strcmp(v->name, "mcts")) assert_int_equal(fx.res.why, WHY_KV_FULL);
            /* Prompts about a chain are read beside it, and a deep path may hold more than two pages. */
            bool honest = (v->s->needs >= CAN_ASK || v->p) && cap < 4 && fx.res.why == WHY_KV_FULL;
            if (cap > 1 && fx.signature != want && !honest)
                fail_msg("%s with %u of %u pages: another tree", v->name, cap, peak);
            if (cap < peak && !fx.toy.n_evictions && !v->p)
                fail_msg("%s with %u of %u pages: no eviction", v->name, cap, peak);
            fx_close();
        }
    }
}

static void few_branches_stop_the_search_with_its_best(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        open_small(v, &world);
        fx_run();
        uint64_t want = fx.signature;
        fx_close();
        bool stopped = false, finished = false;
        for (uint32_t cap = 1; cap <= 513; cap += 1 + (cap >= 64) * 448) {
            open_small(v, &world);
            fx.toy.cap_branches = cap;
            fx_run();
            assert_int_equal(fx.status, OK);
            stopped |= fx.res.why == WHY_KV_FULL;
            finished |= fx.signature == want;
            if (fx.res.why != WHY_KV_FULL && fx.signature != want) fail_msg("%s with %u branches", v->name, cap);
            fx_close();
        }
        assert_true(finished);
        if (!strcmp(v->s->name, "mcts")) assert_true(stopped);
        if (!strcmp(v->s->name, "bon")) assert_false(stopped); /* fewer chains at a time */
    }
    /* It learns how many: 2 of 6 chains at a time do not ask 6 times for every step. */
    struct variant bon = row("bon");
    open_small(&bon, &world);
    fx.toy.cap_branches = 2;
    fx_run();
    assert_int_equal(fx.res.why, WHY_DONE);
    assert_true(fx.toy.calls < 150);
    fx_close();
}

static void no_branch_at_all_is_no_crash(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        open_small(v, &world);
        for (branch_id b = 2; b < TOY_BRANCHES; b++) fx.toy.branches[b].live = true;
        fx_run();
        assert_int_equal(fx.status, OK);
        assert_int_equal(fx.res.why, WHY_KV_FULL);
        assert_int_equal(fx.tree.n, 1);
        fx_close();
    }
}

/* Faults at every call ------------------------------------------------------------------------------------------ */

static uint64_t n_calls(const struct variant *v, uint32_t batch) {
    open_small(v, &world);
    fx_set("batch", batch);
    fx_run();
    uint64_t n = fx.toy.calls;
    fx_close();
    return n;
}

static void one_full_call_changes_nothing_or_stops(void **state) {
    (void)state;
    FOR_EACH_VARIANT for (uint32_t batch = 1; batch <= 6; batch += 5) {
        uint32_t same = 0, tried = 0;
        uint64_t calls = n_calls(v, batch), want = fx.signature;
        for (uint64_t k = 1; k <= calls; k += 1 + k / 16) {
            open_small(v, &world);
            fx_set("batch", batch);
            fx.toy.full_at_call = k;
            fx_run();
            assert_int_equal(fx.status, OK);
            same += fx.signature == want, tried++;
            if (fx.signature != want && fx.res.why != WHY_KV_FULL)
                fail_msg("%s, call %lu full: another tree", v->name, (unsigned long)k);
            fx_close();
        }
        /* One step alone, with nobody to evict, cannot be made smaller. */
        if (!(v->s->without & WITHOUT_TEMPERATURE) && batch > 1 && 2 * same <= tried)
            fail_msg("%s: %u of %u the same", v->name, same, tried);
    }
}

static void a_failing_call_ends_the_run_with_its_best(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        uint64_t calls = n_calls(v, 6);
        for (uint64_t k = 1; k <= calls; k += 1 + k / 16) {
            open_small(v, &world);
            fx.toy.fail_at_call = k;
            fx_run();
            assert_int_equal(fx.status, ERR_IO);
            assert_string_equal(fx.error.text, "toy: failed on demand");
            fx_close();
        }
    }
}

static void cancel_stops_at_every_call(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        uint64_t calls = n_calls(v, 6), cancelled = 0, tried = 0;
        for (uint64_t k = 1; k <= calls; k += 1 + k / 16) {
            open_small(v, &world);
            fx.toy.cancel_at_call = k;
            fx_run();
            assert_int_equal(fx.status, OK);
            cancelled += fx.res.why == WHY_CANCELLED, tried++;
            /* At most the batch under way: 6 forks, an extend and a score; or prompts for 6 chains one by one. */
            assert_true(fx.toy.calls <= k + (v->s->needs >= CAN_ASK ? 24 : 8));
            fx_close();
        }
        assert_true(2 * cancelled > tried);
    }
}

/* fx_check_promises is not called when search_open fails, so count down until nothing fails any more. */
static void every_allocation_may_fail(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        size_t k = 1;
        for (;; k++) {
            open_small(v, &world);
            mem_fail_at(k, true);
            enum status opened = search_open(&fx.tree, &fx.toy.ev, fx.common.seed, fx.max_nodes, &fx.error), ran = OK;
            if (!opened) ran = fx_search(fx_on_event, NULL);
            mem_fail_at(0, false);
            if (!opened) assert_int_equal(fx.n_events[EVENT_DONE], 1);
            if (!opened && ran) assert_int_equal(fx.res.why, WHY_ERROR);
            /* A vote that finds no memory still has a best chain. */
            if (ran && fx.res.n_finished) assert_int_not_equal(fx.res.node, 0);
            fx_close();
            if (!opened && !ran) break;
            assert_int_equal(opened ? opened : ran, ERR_MEMORY);
            assert_non_null(strstr(fx.error.text, "memory"));
        }
        assert_true(k > 5);
    }
}

/* Checker, stop value, params ----------------------------------------------------------------------------------- */

static void a_checked_chain_ends_every_search(void **state) {
    (void)state;
    struct toy_world w = {.seed = 2, .width = 2, .depth = 3, .best = "100", .flat = true};
    FOR_EACH_VARIANT {
        if (v->s->without & WITHOUT_TEMPERATURE) continue; /* nothing is sampled: it may not come by */
        open_small(v, &w);
        fx.toy.ev.check = toy_check;
        fx.common.budget.simulations = 400;
        fx.max_nodes = 4096;
        fx_set("beam-width", 8);
        fx_run();
        if (v->p && fx.res.why != WHY_SOLVED) { /* it may be decided, or given up, before */
            fx_close();
            continue;
        }
        assert_int_equal(fx.res.why, WHY_SOLVED);
        assert_string_equal(fx.digits, w.best);
        for (uint32_t u = 1; u < fx.tree.n; u++) {
            const struct node *n = &fx.tree.nodes[u];
            if (!(n->flags & NODE_FINISHED)) continue;
            assert_true(!(n->flags & NODE_CHECKED_RIGHT) != !(n->flags & NODE_CHECKED_WRONG));
            assert_true(n->flags & NODE_CHECKED_RIGHT ? n->value == 1 : n->value < 1);
        }
        fx_close();
    }
}

static void stop_value_ends_the_search(void **state) {
    static const char *const names[] = {"bon", "weighted", "beam", "mcts"};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct toy_world w = world;
        w.flat = true;
        struct variant v = row(names[i]);
        open_small(&v, &w);
        fx_set("stop-value", 0.5f);
        fx.common.budget.simulations = 400; /* in a flat world mcts goes down slowly */
        fx.max_nodes = 4096;
        fx_run();
        assert_int_equal(fx.res.why, WHY_SOLVED);
        assert_true(fx.tree.n < 500);
        fx_close();
    }
}

/* Common settings, and every parameter of the row just outside of its range. */
static void wrong_params_are_refused(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        for (int k = 0; k < 5; k++) {
            open_small(v, &world);
            if (k == 0) fx.common.temperature = NAN;
            if (k == 1) fx.common.temperature = -1;
            if (k == 2) fx.common.max_depth = 0;
            if (k == 3) fx.max_nodes = 1;
            if (k == 4) fx.max_nodes = UINT32_MAX;
            fx_run();
            assert_int_equal(fx.status, ERR_INPUT);
            assert_true(strlen(fx.error.text) > 10);
            assert_int_equal(fx.toy.calls, 0);
            fx_close();
        }
        for (const struct param *p = v->s->params; p && p->flag; p++)
            for (int k = 0; k < 3; k++) {
                double wrong[] = {p->low - 1, p->high + 1 + p->high / 1e6, NAN};
                if (p->kind == PARAM_CHOICE || p->kind == PARAM_YES) continue;
                if (p->kind == PARAM_COUNT && (k == 2 || wrong[k] < 0 || wrong[k] > UINT32_MAX)) continue;
                open_small(v, &world);
                fx_set(p->flag, wrong[k]);
                fx_run();
                assert_int_equal(fx.status, ERR_INPUT);
                assert_non_null(strstr(fx.error.text, p->flag));
                assert_int_equal(fx.toy.calls, 0);
                fx_close();
            }
    }
}

static void without_a_reward_model(void **state) {
    (void)state;
    FOR_EACH_VARIANT {
        open_small(v, &world);
        fx.toy.ev.score = NULL, fx.toy.ev.can &= ~(unsigned)CAN_VALUE;
        fx_run();
        assert_int_equal(fx.status, strategy_needs(v->s, fx.params.bytes) & CAN_VALUE ? ERR_INPUT : OK);
        fx_close();
    }
}

static int say_which(void **state) {
    (void)state;
    if (now && fx.tree.nodes) print_message("           with %s\n", now->name);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, NULL, say_which)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_reason_is_the_limit_that_was_reached),
        TEST(no_room_is_larger_than_the_tree),
        TEST(tokens_bound_the_run_and_more_of_them_never_hurt),
        TEST(no_simulations_means_default_or_open),
        TEST(smallest_sizes_work),
        TEST(the_arena_never_overflows),
        TEST(worthless_scores_are_harmless),
        TEST(dead_worlds_end),
        TEST(short_kv_gives_the_same_tree_or_stops),
        TEST(few_branches_stop_the_search_with_its_best),
        TEST(no_branch_at_all_is_no_crash),
        TEST(one_full_call_changes_nothing_or_stops),
        TEST(a_failing_call_ends_the_run_with_its_best),
        TEST(cancel_stops_at_every_call),
        TEST(every_allocation_may_fail),
        TEST(a_checked_chain_ends_every_search),
        TEST(stop_value_ends_the_search),
        TEST(wrong_params_are_refused),
        TEST(without_a_reward_model),
    };
    return cmocka_run_group_tests(tests, list_variants, NULL);
}
