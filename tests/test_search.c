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

/* MCTS ---------------------------------------------------------------------------------------------------------- */

/* The same search on a flat list of prefixes, children found by comparing strings. */
struct naive_node {
    struct chain chain;
    uint64_t key;
    uint32_t visits, in_flight, tries, multiplicity;
    double sum;
    float best;
};
static struct naive_node naive[2048];
static uint32_t n_naive;

static bool is_child(uint32_t u, uint32_t c) {
    size_t n = strlen(naive[u].chain.digits);
    return strlen(naive[c].chain.digits) == n + 1 && !strncmp(naive[c].chain.digits, naive[u].chain.digits, n);
}

struct naive_params {
    uint64_t seed, simulations;
    uint32_t batch, max_depth;
    float c_puct, widen_c, widen_alpha;
    bool max_backup;
};

static int naive_select(uint32_t u, const struct naive_params *p) {
    int best = -1;
    double best_score = 0, children = 0;
    for (uint32_t c = 1; c < n_naive; c++)
        if (is_child(u, c)) children += naive[c].visits;
    for (uint32_t c = 1; c < n_naive; c++) {
        const struct naive_node *n = &naive[c];
        if (!is_child(u, c) || n->chain.end != STEP_SEPARATOR) continue;
        /* Visits in flight below u end in a child of u or are tries at u; both are visits that will come. */
        double total = children + naive[u].in_flight, q = p->max_backup ? n->best : n->sum / n->visits;
        /* Multiplied in the order of mcts.c: where two scores are equal, rounding decides. */
        double explore = p->c_puct * sqrt(total > 1 ? total : 1) / naive[u].tries;
        double score = q + explore * n->multiplicity / (1 + n->visits + n->in_flight);
        if (best < 0 || score > best_score) best = (int)c, best_score = score;
    }
    return best;
}

static void naive_back_up(const char *digits, double value) {
    for (uint32_t u = 0; u < n_naive; u++)
        if (!strncmp(naive[u].chain.digits, digits, strlen(naive[u].chain.digits))) {
            naive[u].visits++;
            naive[u].sum += value;
            if (value > naive[u].best) naive[u].best = (float)value;
        }
}

/* Gathers up to `want` tries; parents[i] of try i and its key. */
static uint32_t naive_gather(const struct naive_params *p, uint32_t want, uint32_t *parents, uint64_t *keys) {
    uint32_t n = 0;
    while (n < want) {
        uint32_t u = 0, path[TOY_MAX_DEPTH + 1], len = 0;
        bool collision = false;
        for (;;) {
            path[len++] = u;
            double visits = naive[u].visits + naive[u].in_flight;
            if (naive[u].tries < p->widen_c * pow(visits > 1 ? visits : 1, p->widen_alpha)) break;
            int c = naive_select(u, p);
            for (uint32_t i = 0; c < 0 && i < n; i++) collision |= parents[i] == u;
            if (c < 0) break;
            u = (uint32_t)c;
        }
        if (collision) break;
        while (len) naive[path[--len]].in_flight++;
        keys[n] = rng_fold(naive[u].key, naive[u].tries++);
        parents[n++] = u;
    }
    return n;
}

static void naive_mcts(const struct toy_world *w, const struct naive_params *p) {
    uint32_t parents[64];
    uint64_t keys[64];
    naive[0] = (struct naive_node){.key = p->seed};
    n_naive = 1;
    for (uint64_t left = p->simulations; left;) {
        uint32_t first_new = n_naive, n = naive_gather(p, left < p->batch ? (uint32_t)left : p->batch, parents, keys);
        for (uint32_t u = 0; u < first_new; u++) naive[u].in_flight = 0;
        for (uint32_t i = 0; i < n; i++) {
            struct naive_node x = {.chain = naive[parents[i]].chain, .key = keys[i], .multiplicity = 1};
            naive_step(w, &x.chain, keys[i], 1, p->max_depth);
            uint32_t twin = 1;
            while (twin < n_naive && strcmp(naive[twin].chain.digits, x.chain.digits)) twin++;
            if (twin < n_naive) {
                naive[twin].multiplicity++;
                naive_back_up(x.chain.digits, naive[twin].sum / naive[twin].visits);
            } else {
                naive[n_naive++] = x;
                naive_back_up(x.chain.digits, x.chain.value);
            }
        }
        left -= n;
    }
}

static void compare_mcts(const struct toy_world *w, const struct naive_params *p) {
    fx_open("mcts", w);
    fx.common.seed = p->seed, fx.common.max_depth = p->max_depth, fx.common.budget.simulations = p->simulations;
    fx_set("batch", p->batch), fx_set("c-puct", p->c_puct), fx_set("widen-c", p->widen_c);
    fx_set("widen-alpha", p->widen_alpha), fx_set("backup", p->max_backup), fx_set("stop-value", 2);
    fx_run();
    naive_mcts(w, p);
    assert_int_equal(fx.status, OK);
    assert_int_equal(fx.res.why, WHY_SIMULATIONS);
    assert_int_equal(fx.toy.ledger.simulations, p->simulations);
    const struct visits *v = tree_visits(&fx.tree);
    assert_int_equal(v[0].n, p->simulations);
    for (uint32_t u = 0; u < n_naive && u < fx.tree.n; u++) {
        const struct node *n = &fx.tree.nodes[u];
        char digits[TOY_MAX_DEPTH + 1];
        fx_digits(u, digits);
        if (u && n->flags & NODE_DEAD) continue; /* a dead step has no text */
        if (strcmp(digits, naive[u].chain.digits) || v[u].n != naive[u].visits || n->tries != naive[u].tries ||
            fabs(v[u].sum - naive[u].sum) > 1e-9)
            fail_msg("world %lu seed %lu batch %u, node %u: %s visits %u tries %u sum %g, naive %s %u %u %g",
                     (unsigned long)w->seed, (unsigned long)p->seed, p->batch, u, digits, v[u].n, n->tries, v[u].sum,
                     naive[u].chain.digits, naive[u].visits, naive[u].tries, naive[u].sum);
    }
    assert_int_equal(fx.tree.n, n_naive);
    fx_close();
}

static void mcts_is_the_naive_mcts(void **state) {
    static const uint32_t batches[] = {1, 2, 8, 16};
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int b = 0; b < 4; b++)
            for (uint64_t seed = 1; seed <= 4; seed++) {
                struct naive_params p = {
                    .seed = seed,
                    .batch = batches[b],
                    .simulations = 150,
                    .max_depth = 1000, /* no dive at the end: it has a test of its own */
                    .c_puct = seed > 2 ? 0.6f : 0.2f,
                    .widen_c = seed > 2 ? 2 : 1.5f,
                    .widen_alpha = seed > 2 ? 0.6f : 0.5f,
                    .max_backup = seed % 2 == 0,
                };
                if (worlds[i].p_dead > 0) continue; /* dead twins have no text to compare by */
                compare_mcts(&worlds[i], &p);
            }
}

/* Two arms of constant value 0.6 and 0.4, P = 1/2, c = 0.6, computed by hand:
 * score = value + 0.3 sqrt(n_a + n_b) / (1 + n).
 *   n_a n_b   a      b              n_a n_b   a      b
 *    1   1  .8121  .6121 -> a        5   2  .7323  .6646 -> a
 *    2   1  .7732  .6598 -> a        6   2  .7212  .6828 -> a
 *    3   1  .7500  .7000 -> a        7   2  .7125  .7000 -> a
 *    4   1  .7342  .7354 -> b        8   2  .7054  .7162 -> b
 *    4   2  .7470  .6449 -> a        8   3                                                                       */
static void mcts_visits_two_arms_as_computed_by_hand(void **state) {
    static const float arms[] = {0.6f, 0.4f};
    static const uint32_t want[] = {1, 2, 3, 4, 4, 5, 6, 7, 8, 8}; /* n_a after 2, 3, ... tries */
    struct toy_world w = {.seed = 1, .width = 2, .depth = 14, .best = "", .arms = arms};
    (void)state;
    uint64_t seed = 1; /* one whose first two tries are the two arms */
    while (toy_digit(&w, "", rng_fold(seed, 0), 1) == toy_digit(&w, "", rng_fold(seed, 1), 1)) seed++;
    for (uint32_t n = 2; n < 12; n++) {
        fx_open("mcts", &w);
        fx.common.seed = seed;
        fx_set("batch", 1);
        fx_set("c-puct", 0.6f);
        fx_set("widen-c", 2);
        fx_set("widen-alpha", 0); /* exactly two tries a node */
        fx.common.budget.simulations = n;
        fx_run();
        const struct node *a = &fx.tree.nodes[1], *b = &fx.tree.nodes[2];
        if (a->text[0] != '0') a = &fx.tree.nodes[2], b = &fx.tree.nodes[1];
        const struct visits *v = tree_visits(&fx.tree);
        uint32_t n_a = v[a - fx.tree.nodes].n, n_b = v[b - fx.tree.nodes].n;
        if (n_a != want[n - 2] || n_b != n - want[n - 2])
            fail_msg("%u tries: visits %u and %u, by hand %u and %u", n, n_a, n_b, want[n - 2], n - want[n - 2]);
        assert_int_equal(fx.tree.nodes[0].tries, 2);
        fx_close();
    }
}

static void mcts_widens_by_its_formula(void **state) {
    static const float params[][2] = {{1, 0.5f}, {2, 0.6f}, {1.5f, 0.9f}, {3, 0}};
    struct toy_world w = {.seed = 9, .width = 9, .depth = 12, .best = "012345678012", .noise = 0.2f};
    (void)state;
    for (int i = 0; i < 4; i++) {
        uint32_t tries = 0;
        for (int n = 0; n < 200; n++) tries += tries < params[i][0] * pow(n > 1 ? n : 1, params[i][1]);
        fx_open("mcts", &w);
        fx_set("batch", 1);
        fx_set("widen-c", params[i][0]);
        fx_set("widen-alpha", params[i][1]);
        fx.common.max_depth = 1000;
        fx.common.budget.simulations = 200;
        fx_run();
        assert_int_equal(fx.tree.nodes[0].tries, tries);
        fx_close();
    }
}

/* A budget too small for the widening rule to get to the bottom still ends in an answer, and not in more tries. */
static void mcts_dives_when_nothing_is_finished(void **state) {
    struct toy_world w = {.seed = 3, .width = 9, .depth = 12, .best = "012345678012"};
    (void)state;
    for (uint32_t batch = 1; batch <= 16; batch *= 4)
        for (int dives = 0; dives < 2; dives++) {
            fx_open("mcts", &w);
            fx_set("batch", batch);
            fx.common.budget.simulations = 64;
            fx_set("stop-value", 2);
            fx.common.max_depth = dives ? 12 : 1000;
            fx_run();
            assert_int_equal(fx.res.n_finished > 0, dives);
            assert_int_equal(fx.res.node != 0, dives);
            assert_int_equal(fx.toy.ledger.simulations, 64);
            fx_close();
        }
}

static void visits_pick_walks_the_most_visited_path(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        fx_open("mcts", &worlds[2]);
        fx.common.seed = seed;
        fx_set("pick", 3);
        fx_set("stop-value", 2);
        fx.common.budget.simulations = 300;
        fx_run();
        const struct node *n = fx.tree.nodes;
        assert_int_not_equal(fx.res.node, 0);
        /* No sibling along the path that also leads to a finished chain has more visits. */
        for (uint32_t f = 1; f < fx.tree.n; f++) {
            uint32_t x = fx.res.node, y = f;
            if (!(n[f].flags & NODE_FINISHED) || f == fx.res.node) continue;
            while (n[x].depth > n[y].depth) x = n[x].parent;
            while (n[y].depth > n[x].depth) y = n[y].parent;
            while (n[x].parent != n[y].parent) x = n[x].parent, y = n[y].parent;
            assert_true(tree_visits(&fx.tree)[x].n >= tree_visits(&fx.tree)[y].n);
        }
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
        cmocka_unit_test(mcts_is_the_naive_mcts),
        cmocka_unit_test(mcts_visits_two_arms_as_computed_by_hand),
        cmocka_unit_test(mcts_widens_by_its_formula),
        cmocka_unit_test(mcts_dives_when_nothing_is_finished),
        cmocka_unit_test(visits_pick_walks_the_most_visited_path),
        cmocka_unit_test(the_best_chain_is_found),
        cmocka_unit_test(batches_do_not_change_the_tree),
        cmocka_unit_test(same_seed_same_tree_other_seed_other_tree),
        cmocka_unit_test(mcts_goes_on_where_bon_ended),
        cmocka_unit_test(chain_text_is_cut_at_every_capacity),
        cmocka_unit_test(the_most_promising_chain_without_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
