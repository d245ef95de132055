/* test_search.c: every strategy against an independent, naive computation of the same search in the toy world.
 * Not about limits and faults: test_search_limits.c.
 * Next: toy_eval.h for the world. */
#include "tests/naive_chain.h"

static void greedy_is_the_likeliest_chain(void **state) {
    (void)state;
    for (int i = 0; i < N_WORLDS; i++) {
        struct chain c = naive_chain(&worlds[i], 1, 0, 0);
        fx_open("greedy", &worlds[i]);
        fx_run();
        assert_int_equal(fx.status, OK);
        assert_int_equal(fx.res.why, WHY_DONE);
        assert_string_equal(fx.digits, c.end == STEP_FINISHED ? c.digits : "");
        assert_int_equal(fx.toy.ledger.prm_tokens, 0);
        assert_int_equal(fx.toy.ledger.simulations, 1);
        fx_close();
    }
}

/* Sampling ------------------------------------------------------------------------------------------------------ */

enum { MAX_CHAINS = 64 };

/* Which of the n chains is the answer, and its value or share; -1 = none.  Quadratic on purpose. */
static int naive_pick(const struct chain *c, int n, const char *strategy, double *value) {
    int best = -1;
    double best_votes = -1, total = 0;
    bool voting = strcmp(strategy, "bon") != 0;
    for (int i = 0; i < n; i++) {
        char mine[32], other[32];
        double votes = 0;
        toy_answer_of(c[i].digits, mine, sizeof mine);
        if (c[i].end != STEP_FINISHED || (voting && !*mine)) continue;
        for (int j = 0; j < n && voting; j++) {
            toy_answer_of(c[j].digits, other, sizeof other);
            if (c[j].end == STEP_FINISHED && !strcmp(mine, other)) votes += *strategy == 'w' ? c[j].value : 1;
        }
        total += !voting ? 0 : *strategy == 'w' ? c[i].value : 1;
        if (best < 0 || votes > best_votes || (votes == best_votes && naive_better(&c[i], &c[best])))
            best = i, best_votes = votes;
    }
    if (voting && total == 0) best = naive_pick(c, n, *strategy == 'w' ? "maj" : "bon", value);
    else if (best >= 0) *value = voting ? best_votes / total : c[best].value;
    return best;
}

static void compare_sampling(const char *strategy, const struct toy_world *w, uint64_t seed, uint32_t n) {
    struct chain c[MAX_CHAINS];
    double value = 0;
    uint32_t finished = 0;
    for (uint32_t i = 0; i < n; i++) {
        c[i] = naive_chain(w, seed, i, 1);
        if (*strategy == 'm') c[i].value = 0; /* no reward model */
        finished += c[i].end == STEP_FINISHED;
    }
    int best = naive_pick(c, (int)n, strategy, &value);
    fx_open(strategy, w);
    fx.common.seed = seed;
    fx.common.budget.simulations = n;
    fx_set("batch", 1 + n / 3);
    fx_run();
    assert_int_equal(fx.status, OK);
    assert_int_equal(fx.res.why, WHY_DONE);
    assert_int_equal(fx.res.n_finished, finished);
    assert_int_equal(fx.toy.ledger.simulations, n);
    if (strcmp(fx.digits, best < 0 ? "" : c[best].digits))
        fail_msg("%s of %u, world %lu, seed %lu: chain %s, naive %s", strategy, n, (unsigned long)w->seed,
                 (unsigned long)seed, fx.digits, best < 0 ? "none" : c[best].digits);
    assert_true(fabs(fx.res.value - value) < 1e-6);
    fx_close();
}

static void sampling_picks_what_the_definition_says(void **state) {
    static const char *const names[] = {"bon", "weighted", "maj"};
    static const uint32_t counts[] = {1, 2, 7, MAX_CHAINS};
    (void)state;
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < N_WORLDS; i++)
            for (int n = 0; n < 4; n++)
                for (uint64_t seed = 1; seed <= 6; seed++) compare_sampling(names[s], &worlds[i], seed, counts[n]);
}

static void best_of_16_is_the_beginning_of_best_of_64(void **state) {
    static char first[64][TOY_MAX_DEPTH + 1];
    (void)state;
    for (int round = 0; round < 2; round++) {
        uint32_t i = 0, n = round ? 16 : 64;
        fx_open("bon", &worlds[1]);
        fx.common.budget.simulations = n;
        fx_run();
        for (uint32_t u = fx.tree.nodes[0].first_child; u; u = fx.tree.nodes[u].next_sibling, i++) {
            char digits[TOY_MAX_DEPTH + 1];
            uint32_t tip = u;
            while (fx.tree.nodes[tip].first_child) tip = fx.tree.nodes[tip].first_child;
            fx_digits(tip, digits);
            if (!round) strcpy(first[i], digits);
            else assert_string_equal(first[i], digits);
        }
        assert_int_equal(i, n);
        fx_close();
    }
}

/* All strategies ------------------------------------------------------------------------------------------------ */

static void the_best_chain_is_found(void **state) {
    static const struct {
        const char *strategy;
        uint64_t simulations;
    } runs[] = {{"bon", 1000}, {"beam", 256}, {"mcts", 400}};
    (void)state;
    for (int i = 0; i < 3; i++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            const struct toy_world *w = &worlds[i ? 0 : 2]; /* sampling alone does not find 1 of 1024 */
            fx_open(runs[i].strategy, w);
            fx.common.seed = seed;
            fx.common.budget.simulations = runs[i].simulations;
            fx_set("beam-width", 4);
            fx_run();
            if (strcmp(fx.digits, w->best)) fail_msg("%s found %s only", runs[i].strategy, fx.digits);
            assert_true(fx.res.value == 1);
            if (i == 2) assert_int_equal(fx.res.why, WHY_SOLVED);
            fx_close();
        }
}

static void batches_do_not_change_the_tree(void **state) {
    static const char *const names[] = {"greedy", "bon", "weighted", "maj", "beam"};
    static const uint32_t batches[] = {1, 2, 3, 16, 64};
    (void)state;
    for (int s = 0; s < 5; s++)
        for (int i = 0; i < N_WORLDS; i++) {
            uint64_t want = fx_signature(names[s], &worlds[i], 24, 7);
            for (int b = 0; b < 5; b++)
                if (fx_signature(names[s], &worlds[i], 24, batches[b]) != want)
                    fail_msg("%s, world %d: another tree with batch %u", names[s], i, batches[b]);
        }
}

static void same_seed_same_tree_other_seed_other_tree(void **state) {
    (void)state;
    for (const struct strategy *const *at = strategy_table, *s; (s = *at); at++) {
        uint64_t first = fx_signature(s->name, &worlds[1], 40, 8);
        assert_true(fx_signature(s->name, &worlds[1], 40, 8) == first);
        fx_open(s->name, &worlds[1]);
        fx.common.budget.simulations = 40;
        fx.common.seed = 99;
        fx_run();
        if (!(s->without & WITHOUT_TEMPERATURE)) assert_true(fx.signature != first);
        else assert_true(fx.signature == first);
        fx_close();
    }
}

/* Strategies on one tree, one after the other -------------------------------------------------------------------- */

/* Column values computed again from the tree alone: one visit for each try that gave a node, with the node's value, at the node and
 * all above it.  Exact as long as no try gave a step twice after the first strategy. */
static double sum_below(uint32_t u, uint32_t *n) {
    const struct node *x = &fx.tree.nodes[u];
    double sum = u ? (double)x->value * x->multiplicity : 0;
    *n += u ? x->multiplicity : 0;
    for (uint32_t c = x->first_child; c; c = fx.tree.nodes[c].next_sibling) sum += sum_below(c, n);
    return sum;
}

static void mcts_goes_on_where_bon_ended(void **state) {
    (void)state;
    for (int keep = 0; keep < 2; keep++)
        for (uint64_t seed = 1; seed <= 6; seed++) {
            fx_open("bon", &worlds[0]);
            fx.common.seed = seed, fx.common.budget.simulations = 12, fx.keep = keep;
            fx_run();
            assert_int_equal(fx.status, OK);
            uint32_t n_bon = fx.tree.n, n_finished = fx.res.n_finished, below_bon = 0;
            uint64_t policy = fx.toy.ledger.generated_tokens;
            float value = fx.res.value;
            fx.strategy = "mcts";
            strategy_defaults(strategy_find("mcts"), false, &fx.params);
            fx.common.budget.simulations = 100;
            fx_set("stop-value", 2);
            memset(fx.n_events, 0, sizeof fx.n_events);
            fx.status = fx_search(fx_on_event, NULL);
            assert_int_equal(fx.status, OK);
            assert_int_equal(fx.res.why, WHY_SIMULATIONS);
            if (!search_check(&fx.tree, &fx.error)) fail_msg("%s", fx.error.text);
            /* What was paid for stays in use: the chains of bon are there, and its best one is at most beaten. */
            assert_true(fx.res.n_finished >= n_finished && fx.res.value >= value);
            assert_int_equal(fx.toy.ledger.generated_tokens, policy + 200);
            /* The statistics are those of all steps, bon's and mcts' own. */
            uint32_t n = 0;
            double sum = sum_below(0, &n);
            const struct visits *v = tree_visits(&fx.tree);
            assert_int_equal(v[0].n, n);
            if (n == fx.tree.n - 1) assert_true(fabs(v[0].sum - sum) < 1e-6);
            for (uint32_t u = n_bon; u < fx.tree.n; u++)
                below_bon += fx.tree.nodes[u].parent && fx.tree.nodes[u].parent < n_bon;
            if (keep) assert_true(below_bon > 0); /* it went on below steps of bon */
            else assert_int_equal(below_bon, 0);  /* whose branches are gone */
            fx_close();
        }
}

static void chain_text_is_cut_at_every_capacity(void **state) {
    char text[16];
    (void)state;
    fx_open("greedy", &worlds[0]);
    fx_run();
    for (size_t cap = 0; cap < sizeof text; cap++) {
        char want[16] = "";
        for (size_t i = 0; i + 1 < cap && i < 9; i++) want[i] = i % 2 ? '\n' : fx.digits[i / 2], want[i + 1] = 0;
        memset(text, '#', sizeof text);
        assert_int_equal(search_chain_text(&fx.tree, fx.res.node, text, cap), strlen(want));
        if (cap) assert_string_equal(text, want);
        for (size_t i = cap; i < sizeof text; i++) assert_int_equal(text[i], '#');
    }
    fx_close();
}

/*   0 - 1 (0.5) - 2 cut, 4 tokens
 *     \ 3 (0.4) - 4 cut, 9 tokens
 *     \ 5 (0.5) - 6 cut, 4 tokens, likelier; 7 dead; 8 finished */
static void the_most_promising_chain_without_an_end(void **state) {
    (void)state;
    struct node n[9] = {
        {.first_child = 1},
        {.value = 0.5f, .first_child = 2, .next_sibling = 3, .n_tokens = 2},
        {.parent = 1, .flags = NODE_TRUNCATED, .n_tokens = 4, .logprob = -2},
        {.value = 0.4f, .first_child = 4, .next_sibling = 5, .n_tokens = 2},
        {.parent = 3, .flags = NODE_TRUNCATED, .n_tokens = 9},
        {.value = 0.5f, .first_child = 6, .n_tokens = 2},
        {.parent = 5, .flags = NODE_TRUNCATED, .n_tokens = 4, .logprob = -1, .next_sibling = 7},
        {.parent = 5, .flags = NODE_DEAD, .n_tokens = 50, .next_sibling = 8},
        {.parent = 5, .flags = NODE_FINISHED, .n_tokens = 50, .value = 1},
    };
    struct tree t = {.nodes = n, .n = 9, .cap = 9};
    assert_int_equal(search_unfinished(&t), 6); /* likelier than 2, which is as good and as long */
    n[2].n_tokens = 5;
    assert_int_equal(search_unfinished(&t), 2);
    n[3].value = 0.6f;
    assert_int_equal(search_unfinished(&t), 4);
    n[4].flags = n[2].flags = n[6].flags = NODE_FINISHED;
    assert_int_equal(search_unfinished(&t), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_is_the_likeliest_chain),
        cmocka_unit_test(sampling_picks_what_the_definition_says),
        cmocka_unit_test(best_of_16_is_the_beginning_of_best_of_64),
        cmocka_unit_test(the_best_chain_is_found),
        cmocka_unit_test(batches_do_not_change_the_tree),
        cmocka_unit_test(same_seed_same_tree_other_seed_other_tree),
        cmocka_unit_test(mcts_goes_on_where_bon_ended),
        cmocka_unit_test(chain_text_is_cut_at_every_capacity),
        cmocka_unit_test(the_most_promising_chain_without_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
