/* test_waves.c: strategies that extend a population round by round, against second writings on plain lists of strings.
 * Not beam, which is in test_search.c; not about limits and faults: test_search_limits.c.
 * Next: naive_chain.h. */
#include "tests/naive_chain.h"

enum { MAX = 512 };

/* A chain with its random stream and its way through the tree. */
struct one {
    struct chain chain;
    uint64_t key;
    uint32_t path[TOY_MAX_DEPTH], depth;
};

static struct one child_of(const struct toy_world *w, const struct one *parent, uint32_t try) {
    struct one c = *parent;
    c.key = rng_fold(parent->key, try);
    c.path[c.depth++] = try;
    naive_step(w, &c.chain, c.key, 1, 16);
    c.chain.multiplicity = 1;
    return c;
}

static int by_value(const void *x, const void *y) {
    const struct one *a = x, *b = y;
    if (a->chain.value != b->chain.value) return a->chain.value > b->chain.value ? -1 : 1;
    for (uint32_t i = 0; i < a->depth && i < b->depth; i++)
        if (a->path[i] != b->path[i]) return a->path[i] < b->path[i] ? -1 : 1;
    return 0;
}

static int by_path(const void *x, const void *y) {
    const struct one *a = x, *b = y;
    for (uint32_t i = 0; i < a->depth && i < b->depth; i++)
        if (a->path[i] != b->path[i]) return a->path[i] < b->path[i] ? -1 : 1;
    return (a->depth > b->depth) - (a->depth < b->depth);
}

static bool is_lost(const struct one *c) { return c->chain.end == STEP_DEAD || c->chain.end == STEP_TRUNCATED; }

/* Every chain that came to its end, in any order. */
struct ends {
    struct one of[MAX];
    uint32_t n, steps;
};

static void note(struct ends *e, const struct one *c) {
    e->steps++;
    if (c->chain.end == STEP_FINISHED && e->n < MAX) e->of[e->n++] = *c;
}

/* The search found the same complete chains, and made as many steps. */
static void compare(struct ends *e, const char *what) {
    uint32_t n = 0;
    qsort(e->of, e->n, sizeof *e->of, by_path);
    assert_int_equal(fx.status, OK);
    if (fx.toy.ledger.generated_tokens != 2 * e->steps)
        fail_msg("%s: %lu tokens, naive %u", what, (unsigned long)fx.toy.ledger.generated_tokens, 2 * e->steps);
    assert_int_equal(fx.res.n_finished, e->n);
    for (uint32_t u = fx.tree.nodes[0].first_child; u;) { /* pre-order: the order of paths */
        char digits[TOY_MAX_DEPTH + 1];
        const struct node *x = &fx.tree.nodes[u];
        if (x->flags & NODE_FINISHED) {
            fx_digits(u, digits);
            if (strcmp(digits, e->of[n].chain.digits))
                fail_msg("%s: chain %u is %s, naive %s", what, n, digits, e->of[n].chain.digits);
            assert_true(x->value == e->of[n].chain.value);
            n++;
        }
        if (x->first_child) u = x->first_child;
        else {
            while (u && !fx.tree.nodes[u].next_sibling) u = fx.tree.nodes[u].parent;
            u = fx.tree.nodes[u].next_sibling;
        }
    }
    assert_int_equal(n, e->n);
}

/* ---- dvts ---- */

/* One subtree alone: nobody else is there. */
static void naive_group(const struct toy_world *w, uint64_t seed, uint32_t g, uint32_t width, uint32_t keep,
                        struct ends *e) {
    struct one root = {.key = seed, .chain.end = STEP_SEPARATOR}, tips[MAX], next[MAX];
    uint32_t n = 0;
    for (uint32_t j = 0; j < width; j++) {
        next[n] = child_of(w, &root, g * width + j);
        note(e, &next[n]);
        n += !is_lost(&next[n]);
    }
    for (bool open = true; open;) {
        qsort(next, n, sizeof *next, by_value);
        uint32_t n_tips = n < keep ? n : keep, n_open = 0, at = 0;
        memcpy(tips, next, n_tips * sizeof *tips);
        for (uint32_t i = 0; i < n_tips; i++) n_open += tips[i].chain.end == STEP_SEPARATOR;
        open = n_open > 0, n = 0;
        for (uint32_t i = 0; i < n_tips; i++) {
            if (tips[i].chain.end == STEP_FINISHED) {
                next[n++] = tips[i];
                continue;
            }
            uint32_t share = width / n_open + (at++ < width % n_open);
            for (uint32_t j = 0; j < share; j++) {
                next[n] = child_of(w, &tips[i], j);
                note(e, &next[n]);
                n += !is_lost(&next[n]);
            }
        }
    }
}

static void dvts_is_greedy_in_each_subtree_alone(void **state) {
    static const uint32_t sizes[][3] = {{1, 1, 1}, {4, 4, 1}, {16, 4, 1}, {12, 3, 2}, {20, 5, 3}, {7, 4, 1}};
    static struct ends e;
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int k = 0; k < 6; k++)
            for (uint64_t seed = 1; seed <= 5; seed++) {
                e.n = e.steps = 0;
                for (uint32_t g = 0; g < sizes[k][0] / sizes[k][1]; g++)
                    naive_group(&worlds[i], seed, g, sizes[k][1], sizes[k][2], &e);
                fx_open("dvts", &worlds[i]);
                fx.common.seed = seed, fx.common.budget.simulations = sizes[k][0];
                fx_set("width", sizes[k][1]), fx_set("group-width", sizes[k][2]), fx_set("batch", 5);
                fx_run();
                compare(&e, "dvts");
                assert_int_equal(fx.res.why, WHY_DONE);
                fx_close();
            }
}

/* ---- rebase ---- */

/* Quotas by hand: floors, then one each in the order of the remainders. */
static void naive_shares(const struct one *tips, uint32_t n, uint32_t places, double t, uint32_t *share) {
    double p[MAX], sum = 0;
    uint32_t given = 0;
    for (uint32_t i = 0; i < n; i++) sum += p[i] = exp((double)tips[i].chain.value / t);
    for (uint32_t i = 0; i < n; i++) p[i] *= places / sum, given += share[i] = (uint32_t)p[i];
    while (given < places) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < n; i++)
            if (p[i] - share[i] > p[best] - share[best] + 1e-9) best = i;
        share[best]++, given++;
    }
}

static void naive_rebase(const struct toy_world *w, uint64_t seed, uint32_t places, double t, struct ends *e) {
    static struct one tips[MAX], next[MAX];
    uint32_t share[MAX], n = 1;
    tips[0] = (struct one){.key = seed, .chain.end = STEP_SEPARATOR};
    while (n && places) {
        uint32_t m = 0;
        naive_shares(tips, n, places, t, share);
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < share[i]; j++) {
                struct one c = child_of(w, &tips[i], j);
                note(e, &c);
                if (c.chain.end == STEP_FINISHED) places--;
                if (c.chain.end == STEP_SEPARATOR) next[m++] = c;
            }
        memcpy(tips, next, m * sizeof *tips);
        n = m;
    }
}

static void rebase_shares_by_softmax(void **state) {
    static const uint32_t places[] = {1, 3, 16, 40};
    static const float balances[] = {0.05f, 0.2f, 3};
    static struct ends e;
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int k = 0; k < 4; k++)
            for (int b = 0; b < 3; b++)
                for (uint64_t seed = 1; seed <= 4; seed++) {
                    e.n = e.steps = 0;
                    naive_rebase(&worlds[i], seed, places[k], (double)balances[b], &e);
                    fx_open("rebase", &worlds[i]);
                    fx.common.seed = seed, fx.common.budget.simulations = places[k];
                    fx_set("balance", (double)balances[b]), fx_set("batch", 7);
                    fx_run();
                    compare(&e, "rebase");
                    fx_close();
                }
}

/* ---- particle ---- */

static double odds(const struct one *c) {
    double v = fmin(fmax((double)c->chain.value, 1e-7), 1 - 1e-7);
    return v / (1 - v);
}

/* Every particle is an element of the list: copies stand side by side.  Returns how many are alive. */
static uint32_t naive_resample(struct one *p, uint32_t n, uint32_t want, bool systematic, uint64_t seed,
                               uint64_t *draws) {
    static struct one old[MAX];
    double edge[MAX], sum = 0, start = systematic ? rng_uniform(rng_fold(~seed, 0), (*draws)++) : 0;
    uint32_t count[MAX] = {0}, m = 0;
    memcpy(old, p, n * sizeof *old);
    for (uint32_t j = 0; j < n; j++) edge[j] = sum += odds(&old[j]);
    for (uint32_t i = 0; i < want; i++) {
        double at = sum * (systematic ? (start + i) / want : rng_uniform(rng_fold(~seed, 0), (*draws)++));
        uint32_t j = 0;
        while (j + 1 < n && edge[j] <= at) j++;
        count[j]++;
    }
    for (uint32_t j = 0; j < n; j++)
        for (uint32_t i = 0; i < count[j]; i++) p[m++] = old[j];
    return m;
}

static void naive_particles(const struct toy_world *w, uint64_t seed, uint32_t n, bool systematic, double ess,
                            struct ends *e) {
    static struct one p[MAX];
    uint64_t draws = 0;
    uint32_t alive = n;
    for (uint32_t i = 0; i < n; i++) p[i] = (struct one){.key = seed, .chain.end = STEP_SEPARATOR};
    for (bool open = true; open && alive;) {
        static struct one next[MAX];
        uint32_t m = 0, try = 0;
        double sum = 0, squares = 0;
        for (uint32_t i = 0; i < alive; i++) {
            try = i && p[i].key == p[i - 1].key ? try + 1 : 0;
            next[m] = p[i].chain.end == STEP_FINISHED ? p[i] : child_of(w, &p[i], try);
            if (p[i].chain.end != STEP_FINISHED) note(e, &next[m]);
            m += !is_lost(&next[m]);
        }
        for (uint32_t i = 0; i < m; i++) sum += odds(&next[i]), squares += odds(&next[i]) * odds(&next[i]);
        memcpy(p, next, m * sizeof *p);
        alive = m;
        if (m && (m < n || sum * sum / squares <= (double)(float)ess * n))
            alive = naive_resample(p, m, n, systematic, seed, &draws);
        open = false;
        for (uint32_t i = 0; i < alive; i++) open |= p[i].chain.end == STEP_SEPARATOR;
    }
}

static void particles_are_drawn_by_odds(void **state) {
    static struct ends e;
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int k = 0; k < 8; k++)
            for (uint64_t seed = 1; seed <= 5; seed++) {
                uint32_t n = k & 1 ? 5 : 24;
                bool systematic = k & 2;
                double ess = k & 4 ? 0.5 : 1;
                e.n = e.steps = 0;
                naive_particles(&worlds[i], seed, n, systematic, ess, &e);
                fx_open("particle", &worlds[i]);
                fx.common.seed = seed, fx.common.budget.simulations = n;
                fx_set("resample", systematic), fx_set("ess", ess), fx_set("batch", 7);
                fx_run();
                compare(&e, "particle");
                fx_close();
            }
}

/* One sweep is a particle filter; later ones make N - 1 chains beside the one that is kept, which costs nothing. */
static void gibbs_keeps_one_chain_between_sweeps(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint64_t tokens[4];
        float best[4];
        fx_open("particle", &worlds[0]);
        fx.common.seed = seed, fx.common.budget.simulations = 6;
        fx_run();
        uint64_t filter = fx.signature;
        fx_close();
        for (uint32_t sweeps = 1; sweeps <= 3; sweeps++) {
            fx_open("gibbs", &worlds[0]);
            fx.common.seed = seed, fx.common.budget.simulations = 6;
            fx_set("sweeps", sweeps);
            fx_run();
            assert_int_equal(fx.status, OK);
            if (sweeps == 1) assert_true(fx.signature == filter);
            tokens[sweeps] = fx.toy.ledger.generated_tokens, best[sweeps] = fx.res.value;
            if (sweeps > 1) {
                /* 5 depths of at most 5 new steps of 2 tokens each; nothing found is lost. */
                assert_true(tokens[sweeps] > tokens[sweeps - 1] && tokens[sweeps] <= tokens[sweeps - 1] + 50);
                assert_true(best[sweeps] >= best[sweeps - 1]);
            }
            fx_close();
        }
    }
}

/* ---- reject ---- */

static void naive_reject(const struct toy_world *w, uint64_t seed, uint32_t n, double share, double threshold,
                         uint32_t after, uint32_t restarts, struct ends *e) {
    static struct one tips[MAX], next[MAX];
    uint32_t n_tips = 0, n_fresh = n, started = 0;
    while (n_tips || n_fresh) {
        struct one root = {.key = seed, .chain.end = STEP_SEPARATOR};
        uint32_t m = 0, kept = 0, fresh = 0;
        for (uint32_t i = 0; i < n_tips; i++) next[m++] = child_of(w, &tips[i], 0);
        for (uint32_t i = 0; i < n_fresh; i++) next[m++] = child_of(w, &root, started++);
        for (uint32_t i = 0; i < m; i++) note(e, &next[i]);
        qsort(next, m, sizeof *next, by_value);
        uint32_t open = 0, rank = 0;
        for (uint32_t i = 0; i < m; i++) open += next[i].chain.end == STEP_SEPARATOR;
        for (uint32_t i = 0; i < m; i++) {
            if (next[i].chain.end != STEP_SEPARATOR) continue;
            bool bad =
                threshold > 0 ? next[i].chain.value < (float)threshold : rank >= ceil((double)(float)share * open);
            rank++;
            if (!bad || next[i].depth < after) tips[kept++] = next[i];
            else if (threshold > 0 && restarts) restarts--, fresh++;
        }
        n_tips = kept, n_fresh = fresh;
    }
}

static void reject_gives_up_the_worst(void **state) {
    static struct ends e;
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int k = 0; k < 6; k++)
            for (uint64_t seed = 1; seed <= 5; seed++) {
                uint32_t n = k & 1 ? 5 : 24, after = 1 + (k == 2);
                double share = k < 4 ? 0.5 : 0.2, threshold = k >= 4 ? 0.55 : 0;
                e.n = e.steps = 0;
                naive_reject(&worlds[i], seed, n, share, threshold, after, 2 * n, &e);
                fx_open("reject", &worlds[i]);
                fx.common.seed = seed, fx.common.budget.simulations = n;
                fx_set("share", share), fx_set("threshold", threshold), fx_set("after", after);
                fx_set("restarts", 2), fx_set("batch", 7);
                fx_run();
                compare(&e, "reject");
                fx_close();
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dvts_is_greedy_in_each_subtree_alone), cmocka_unit_test(rebase_shares_by_softmax),
        cmocka_unit_test(particles_are_drawn_by_odds),          cmocka_unit_test(reject_gives_up_the_worst),
        cmocka_unit_test(gibbs_keeps_one_chain_between_sweeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
