/* test_mcts.c: Monte-Carlo tree search, with all that can be said of it, against a second writing on a flat list of
 * prefixes.
 * Not about limits and faults: test_search_limits.c.
 * Next: naive_chain.h. */
#include "search/search_internal.h"
#include "tests/naive_chain.h"

enum { MAX = 4096, PUCT = 0, UCB1, GUMBEL, FIRST_BEST, MEAN = 0, BEST, SOFTMAX };

struct naive_params {
    uint64_t seed, simulations;
    uint32_t batch, select, backup, considered, patience, commit;
    double c_puct, widen_c, widen_alpha, noise, c_visit, c_scale, heat, anneal;
    bool again, merge, rollout;
};

/* Every value that was backed up is kept: what is made of them is computed again each time. */
struct naive_node {
    struct chain chain;
    char text[TOY_MAX_DEPTH + 1]; /* what it adds; "" when it is dead */
    uint64_t key;
    uint32_t parent, depth, in_flight, tries, multiplicity, barren, n_values;
    uint32_t drawn[10]; /* batch in which a digit was drawn */
    double values[512];
    float own_logprob; /* of what it adds */
    bool scored, no_branch, spent, given_up, out;
};
static struct naive_node naive[MAX];
static uint32_t planned[64], n_planned; /* nodes that tries of the batch are below */
static uint32_t n_naive, root, began, turn, batch_number;
static double left_share;
static const struct toy_world *world;
static const struct naive_params *np;

static bool is_open(uint32_t u) { return naive[u].chain.end == STEP_SEPARATOR && !naive[u].no_branch; }

/* By definition, each time. */
static bool is_closed(uint32_t u) {
    if (naive[u].given_up || (u && !is_open(u))) return true;
    if (!naive[u].spent) return false;
    for (uint32_t c = 1; c < n_naive; c++)
        if (naive[c].parent == u && !is_closed(c)) return false;
    return true;
}

static uint32_t visits(uint32_t u) { return naive[u].n_values; }
static double visits_now(uint32_t u) { return visits(u) + naive[u].in_flight; }

static double mean(uint32_t u) {
    double sum = 0;
    for (uint32_t i = 0; i < visits(u); i++) sum += naive[u].values[i];
    return visits(u) ? sum / visits(u) : (double)naive[u].chain.value;
}

static double q(uint32_t u) {
    double best = 0, sum = 0, weights = 0;
    for (uint32_t i = 0; i < visits(u); i++) {
        double v = naive[u].values[i], weight = exp((v - 1) / (double)(float)np->heat);
        best = fmax(best, (double)(float)v), sum += weight * v, weights += weight;
    }
    return np->backup == BEST ? best : np->backup == SOFTMAX && visits(u) ? sum / weights : mean(u);
}

static double annealed(double c) { return np->anneal > 0 ? c * pow(left_share, np->anneal) : c; }

/* What the next new step below u is worth: its value is the mean of those of its steps. */
static double hope(uint32_t u) {
    double v = u ? (double)naive[u].chain.value : 0.5, left = 1, rest = v;
    for (uint32_t i = 0; i < n_planned; i++)
        if (planned[i] == u) return -1;
    if (naive[u].spent || is_closed(u)) return -1;
    for (uint32_t c = 1; c < n_naive; c++) {
        double p = exp(naive[c].own_logprob);
        if (naive[c].parent != u) continue;
        left -= p, rest -= p * (double)naive[c].chain.value;
    }
    left = fmax(left, 1e-3);
    return fmin(1, fmax(rest / left, 0.1 * v * left));
}

static double best_hope(uint32_t u) {
    double best = hope(u);
    for (uint32_t c = 1; c < n_naive; c++)
        if (naive[c].parent == u && !is_closed(c)) best = fmax(best, best_hope(c));
    return best;
}

static bool may_widen(uint32_t u) {
    if (np->select == FIRST_BEST) return best_hope(u) >= 0 && hope(u) == best_hope(u);
    if (naive[u].spent) return false;
    if (np->select == GUMBEL && u == root) return naive[u].tries < np->considered;
    return naive[u].tries < annealed(np->widen_c) * pow(fmax(1, visits_now(u)), np->widen_alpha);
}

/* What the policy thinks of the step alone, not of its chain. */
static double step_logprob(uint32_t c) {
    return np->again ? log((double)naive[c].multiplicity / naive[naive[c].parent].tries) : naive[c].own_logprob;
}

static double improved(uint32_t u, uint32_t c) {
    double most = 0;
    for (uint32_t d = 1; d < n_naive; d++)
        if (naive[d].parent == u) most = fmax(most, visits(d));
    return step_logprob(c) + (np->c_visit + most) * np->c_scale * q(c);
}

static double gumbel(uint32_t c) {
    double u = fmax(rng_uniform(rng_fold(~naive[c].key, 0), 0), 1e-12);
    return improved(root, c) - np->noise * log(-log(u));
}

static double score(uint32_t u, uint32_t c) {
    /* Visits in flight below u end in a child of u or are tries at u; both are visits that will come. */
    double total = naive[u].in_flight, sum = 0, share;
    for (uint32_t d = 1; d < n_naive; d++)
        if (naive[d].parent == u) total += visits(d);
    switch (np->select) {
    case FIRST_BEST: return best_hope(c);
    case PUCT:
        /* Multiplied in the order of mcts.c: where two scores are equal, rounding decides. */
        share = annealed(np->c_puct) * sqrt(fmax(1, total));
        share = np->again ? share / naive[u].tries * naive[c].multiplicity : share * exp(step_logprob(c));
        return q(c) + share / (1 + visits_now(c));
    case UCB1: return q(c) + annealed(np->c_puct) * sqrt(log(fmax(1, total)) / fmax(1, visits_now(c)));
    }
    if (u == root) return naive[c].out ? -INFINITY : gumbel(c) - visits_now(c) * 1e6;
    double max = -INFINITY; /* divided in the order of mcts_select.c, for the same reason */
    for (uint32_t d = 1; d < n_naive; d++)
        if (naive[d].parent == u && !is_closed(d)) max = fmax(max, improved(u, d));
    for (uint32_t d = 1; d < n_naive; d++)
        if (naive[d].parent == u && !is_closed(d)) sum += exp(improved(u, d) - max);
    return exp(improved(u, c) - max) / sum - visits_now(c) / (1 + total);
}

static uint32_t naive_select(uint32_t u) {
    uint32_t best = 0;
    for (uint32_t c = 1; c < n_naive; c++)
        if (naive[c].parent == u && !is_closed(c) && (!best || score(u, c) > score(u, best))) best = c;
    if (best && u == root && turn) turn--;
    return best;
}

/* The steps of the root that are still in: counted, and after their visits the worse half goes. */
static void naive_halve(uint64_t total) {
    uint32_t in = 0, rounds = 1;
    if (np->select != GUMBEL || may_widen(root) || turn) return;
    for (uint32_t c = 1; c < n_naive; c++) in += naive[c].parent == root && !is_closed(c) && !naive[c].out;
    for (uint32_t gone = 0; began && gone < in / 2; gone++) {
        uint32_t worst = 0;
        for (uint32_t c = 1; c < n_naive; c++)
            if (naive[c].parent == root && !is_closed(c) && !naive[c].out && (!worst || gumbel(c) < gumbel(worst)))
                worst = c;
        naive[worst].out = true;
    }
    if (began) in -= in / 2;
    if (!began) began = in > 1 ? in : 1;
    while (1u << rounds < began) rounds++;
    uint64_t each = in ? total / ((uint64_t)rounds * in) : 0;
    turn = (uint32_t)fmax(1, (double)(each ? each : 1) * in);
}

/* ---- steps ---- */

/* The next digit where those of earlier batches may not come again; -1: there is none. */
static int other_digit(const struct naive_node *parent, uint64_t key) {
    double p[10], sum = 0, u = rng_uniform(key, 0);
    int last = -1;
    for (uint32_t d = 0; d < world->width; d++) {
        bool free = !parent->drawn[d] || parent->drawn[d] == batch_number;
        sum += p[d] = free ? toy_p(world, parent->chain.digits, d) : 0;
    }
    for (uint32_t d = 0; d < world->width && sum > 0; d++) {
        if (p[d] > 0) last = (int)d;
        if (p[d] > 0 && (u -= p[d] / sum) < 0) break;
    }
    return last;
}

static void take_digit(struct naive_node *x, uint32_t d) {
    size_t n = strlen(x->chain.digits);
    float logprob = (float)log(toy_p(world, x->chain.digits, d));
    x->chain.logprob += logprob, x->own_logprob += logprob;
    x->chain.digits[n] = (char)('0' + d), x->chain.digits[n + 1] = 0;
    x->chain.end = toy_end(world, x->chain.digits);
    x->chain.value =
        x->chain.end == STEP_DEAD || x->chain.end == STEP_TRUNCATED ? 0 : toy_value(world, x->chain.digits);
}

/* One try below a node; *nothing: every step was drawn. */
static struct naive_node try_below(uint32_t u, uint64_t key, bool to_end, bool *nothing) {
    struct naive_node x = {
        .chain = naive[u].chain, .key = key, .parent = u, .depth = naive[u].depth + 1, .multiplicity = 1};
    size_t from = strlen(x.chain.digits);
    *nothing = false;
    do {
        uint64_t draw = to_end ? rng_fold(key, strlen(x.chain.digits)) : key;
        int d = np->again || to_end ? (int)toy_digit(world, x.chain.digits, draw, 1) : other_digit(&naive[u], draw);
        if (d < 0) x.chain.end = STEP_DEAD, x.chain.value = 0, *nothing = true;
        else take_digit(&x, (uint32_t)d);
        if (d >= 0 && !to_end && !naive[u].drawn[d]) naive[u].drawn[d] = batch_number;
    } while (to_end && x.chain.end == STEP_SEPARATOR);
    if (x.chain.end != STEP_DEAD) strcpy(x.text, x.chain.digits + from);
    return x;
}

static void naive_back_up(uint32_t u, double value) {
    for (;; u = naive[u].parent) {
        assert_true(naive[u].n_values < 512);
        naive[u].values[naive[u].n_values++] = value;
        if (!u) return;
    }
}

static uint64_t state_of(uint32_t u) {
    uint64_t sum = 0;
    for (const char *c = naive[u].chain.digits; *c; c++) sum += (uint64_t)(*c - '0');
    return naive[u].depth * 1000 + sum;
}

/* The step that reached the same before, and can be gone on from; 0: none. */
static uint32_t same_before(uint32_t u) {
    for (uint32_t v = 1; v < u; v++)
        if (is_open(v) && !naive[v].given_up && state_of(v) == state_of(u)) return v;
    return 0;
}

/* Tries of one batch: all are made, then valued, then backed up in order.  Returns how many. */
static void naive_batch(const uint32_t *parents, const uint64_t *keys, uint32_t n, bool to_end) {
    uint32_t first_new = n_naive, child[64];
    bool fresh[64], nothing[64];
    for (uint32_t u = 0; u < first_new; u++) naive[u].in_flight = 0;
    n_planned = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct naive_node x = try_below(parents[i], keys[i], to_end, &nothing[i]);
        uint32_t twin = 1;
        while (twin < n_naive && (naive[twin].parent != x.parent || strcmp(naive[twin].text, x.text) ||
                                  naive[twin].chain.end != x.chain.end))
            twin++;
        fresh[i] = twin == n_naive, child[i] = twin;
        if (fresh[i]) naive[n_naive++] = x;
        else naive[twin].multiplicity++;
    }
    for (uint32_t i = 0; i < n && np->merge; i++) {
        uint32_t u = child[i], v = is_open(u) ? same_before(u) : 0;
        if (v && naive[v].scored) naive[u].chain.value = (float)q(v), naive[u].no_branch = naive[u].scored = true;
    }
    for (uint32_t i = 0; i < n; i++) naive[child[i]].scored = true;
    for (uint32_t i = 0; i < n && np->merge; i++)
        if (is_open(child[i]) && same_before(child[i])) naive[child[i]].no_branch = true;
    for (uint32_t i = 0; i < n; i++) {
        struct naive_node *p = &naive[parents[i]];
        p->barren = fresh[i] ? 0 : p->barren + 1;
        if (!np->again && !to_end ? nothing[i] : np->patience && p->barren >= np->patience) p->spent = true;
        naive_back_up(child[i], fresh[i] ? (double)naive[child[i]].chain.value : mean(child[i]));
    }
    batch_number++;
}

/* Gathers up to `want` tries, walking down by selection. */
static uint32_t naive_gather(uint32_t want, uint32_t *parents, uint64_t *keys) {
    uint32_t n = 0;
    while (n < want) {
        uint32_t u = root;
        bool collision = false;
        while (!may_widen(u)) {
            uint32_t c = naive_select(u);
            for (uint32_t i = 0; !c && i < n; i++) collision |= parents[i] == u;
            if (!c) break;
            u = c;
        }
        if (collision) break;
        for (uint32_t v = u;; v = naive[v].parent) {
            naive[v].in_flight++;
            if (!v) break;
        }
        keys[n] = rng_fold(naive[u].key, naive[u].tries++);
        planned[n_planned++] = u;
        parents[n++] = u;
        if (began && !turn) break;
    }
    return n;
}

static void naive_commit(void) {
    uint32_t best = 0;
    if (!np->commit || visits(root) < np->commit) return;
    for (uint32_t c = 1; c < n_naive; c++)
        if (naive[c].parent == root && !is_closed(c) && !naive[c].out && (!best || visits(c) > visits(best))) best = c;
    if (!best) return;
    for (uint32_t u = 1; u < n_naive; u++) {
        uint32_t below = u;
        while (below && naive[below].parent != root) below = naive[below].parent;
        if (below && naive[below].parent == root && below != best && naive[u].depth > naive[root].depth)
            naive[u].given_up = true;
    }
    root = best, began = turn = 0;
}

/* Returns whether it came to the end before the budget did. */
static bool naive_mcts(const struct toy_world *w, const struct naive_params *p) {
    uint32_t parents[64];
    uint64_t keys[64], left = p->simulations, steps = 0;
    world = w, np = p;
    naive[0] = (struct naive_node){.key = p->seed, .chain.end = STEP_SEPARATOR, .parent = UINT32_MAX};
    n_naive = 1, root = began = turn = n_planned = 0, batch_number = 1;
    while (left && !is_closed(root)) {
        left_share = (double)left / (double)(steps + left);
        naive_halve(steps + left);
        uint32_t first_new = n_naive, n = naive_gather(left < p->batch ? (uint32_t)left : p->batch, parents, keys),
                 m = 0;
        naive_batch(parents, keys, n, false);
        left -= n, steps += n;
        for (uint32_t u = first_new; p->rollout && u < n_naive && m < left; u++)
            if (!is_closed(u)) keys[m] = rng_fold(naive[u].key, naive[u].tries++), parents[m++] = u;
        if (m) naive_batch(parents, keys, m, true);
        left -= m, steps += m;
        naive_commit();
    }
    return left > 0;
}

static void compare_mcts(const struct toy_world *w, const struct naive_params *p) {
    fx_open("mcts", w);
    fx.common.seed = p->seed, fx.common.max_depth = 1000; /* no dive at the end: it has a test of its own */
    fx.common.budget.simulations = p->simulations;
    fx_set("batch", p->batch), fx_set("select", p->select), fx_set("backup", p->backup);
    fx_set("c-puct", p->c_puct), fx_set("widen-c", p->widen_c), fx_set("widen-alpha", p->widen_alpha);
    fx_set("considered", p->considered), fx_set("noise", p->noise), fx_set("c-visit", p->c_visit);
    fx_set("c-scale", p->c_scale), fx_set("heat", p->heat), fx_set("again", p->again), fx_set("merge-states", p->merge);
    fx_set("patience", p->patience), fx_set("rollout", p->rollout), fx_set("commit", p->commit);
    fx_set("anneal", p->anneal), fx_set("stop-value", 2);
    fx_run();
    bool done = naive_mcts(w, p);
    assert_int_equal(fx.status, OK);
    assert_int_equal(fx.res.why, done ? WHY_DONE : WHY_SIMULATIONS);
    const struct visits *v = tree_visits(&fx.tree);
    for (uint32_t u = 0; u < n_naive && u < fx.tree.n; u++) {
        const struct node *n = &fx.tree.nodes[u];
        char digits[TOY_MAX_DEPTH + 1];
        fx_digits(u, digits);
        bool dead = n->flags & NODE_DEAD; /* such a step has no text */
        if ((!dead && strcmp(digits, naive[u].chain.digits)) || dead != (naive[u].chain.end == STEP_DEAD) ||
            v[u].n != visits(u) || n->tries != naive[u].tries || fabs(v[u].sum - mean(u) * visits(u)) > 1e-6)
            fail_msg("world %lu seed %lu batch %u, node %u: %s visits %u tries %u sum %g, naive %s %u %u %g",
                     (unsigned long)w->seed, (unsigned long)p->seed, p->batch, u, digits, v[u].n, n->tries, v[u].sum,
                     naive[u].chain.digits, visits(u), naive[u].tries, mean(u) * visits(u));
    }
    assert_int_equal(fx.tree.n, n_naive);
    fx_close();
}

static const struct naive_params usual = {.seed = 1,
                                          .simulations = 150,
                                          .batch = 1,
                                          .c_puct = 0.6f,
                                          .widen_c = 2,
                                          .widen_alpha = 0.6f,
                                          .considered = 6,
                                          .noise = 1,
                                          .c_visit = 50,
                                          .c_scale = 0.1f,
                                          .heat = 0.1f,
                                          .again = true};

static void compare_all(struct naive_params p) {
    static const uint32_t batches[] = {1, 2, 8, 16};
    for (int i = 0; i < N_WORLDS; i++)
        for (int b = 0; b < 4; b++)
            for (p.seed = 1; p.seed <= 4; p.seed++) {
                p.batch = batches[b];
                if (p.seed % 2) p.c_puct = 0.2f, p.widen_c = 1.5f, p.widen_alpha = 0.5f;
                else p.c_puct = 0.6f, p.widen_c = 2, p.widen_alpha = 0.6f;
                compare_mcts(&worlds[i], &p);
            }
}

#define COMPARE(name, ...)                                                                                             \
    static void name(void **state) {                                                                                   \
        (void)state;                                                                                                   \
        struct naive_params p = usual;                                                                                 \
        __VA_ARGS__;                                                                                                   \
        compare_all(p);                                                                                                \
    }
COMPARE(puct, p.backup = MEAN)
COMPARE(the_best_value_is_backed_up, p.backup = BEST)
COMPARE(a_softmax_is_backed_up, p.backup = SOFTMAX)
COMPARE(ucb1, p.select = UCB1)
COMPARE(the_best_hope_is_next, p.select = FIRST_BEST, p.again = false)
COMPARE(the_best_hope_among_states, p.select = FIRST_BEST, p.again = false, p.merge = true, p.rollout = true)
COMPARE(gumbel_halves_the_root, p.select = GUMBEL)
COMPARE(gumbel_without_noise_and_replacement, p.select = GUMBEL, p.noise = 0, p.again = false)
COMPARE(drawing_without_replacement, p.again = false)
COMPARE(equal_states_are_gone_on_from_once, p.merge = true)
COMPARE(equal_states_without_replacement, p.merge = true, p.again = false, p.backup = BEST)
COMPARE(a_node_without_ideas_is_closed, p.patience = 3)
COMPARE(rollouts_are_visits, p.rollout = true)
COMPARE(rollouts_of_merged_states, p.rollout = true, p.merge = true, p.again = false)
COMPARE(the_search_commits_to_steps, p.commit = 25)
COMPARE(gumbel_commits_to_steps, p.commit = 40, p.select = GUMBEL, p.patience = 2)
COMPARE(exploration_falls_with_the_budget, p.anneal = 0.7f)

/* Without replacement a search that never stops sees every chain of the world once, and then ends. */
static void all_chains(const struct toy_world *w, char *digits, uint32_t *n) {
    size_t len = strlen(digits);
    enum step_end end = len ? toy_end(w, digits) : STEP_SEPARATOR;
    *n += end == STEP_FINISHED;
    for (uint32_t d = 0; end == STEP_SEPARATOR && d < w->width; d++) {
        digits[len] = (char)('0' + d), digits[len + 1] = 0;
        all_chains(w, digits, n);
        digits[len] = 0;
    }
}

static void without_replacement_the_world_is_enumerated(void **state) {
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int how = 0; how < 4; how++) {
            char digits[TOY_MAX_DEPTH + 1] = "";
            uint32_t n = 0;
            if (i == 1) continue; /* 1296 chains: a long test */
            all_chains(&worlds[i], digits, &n);
            fx_open("mcts", &worlds[i]);
            fx_set("again", 0), fx_set("stop-value", 2), fx_set("select", how);
            fx.common.budget.simulations = 8000;
            fx_run();
            assert_int_equal(fx.res.why, WHY_DONE);
            assert_int_equal(fx.res.n_finished, n);
            for (uint32_t u = 1; u < fx.tree.n; u++)
                if (fx.tree.nodes[u].flags & NODE_FINISHED) assert_true(fx.tree.nodes[u].multiplicity <= 16);
            fx_close();
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puct),
        cmocka_unit_test(the_best_value_is_backed_up),
        cmocka_unit_test(a_softmax_is_backed_up),
        cmocka_unit_test(ucb1),
        cmocka_unit_test(the_best_hope_is_next),
        cmocka_unit_test(the_best_hope_among_states),
        cmocka_unit_test(gumbel_halves_the_root),
        cmocka_unit_test(gumbel_without_noise_and_replacement),
        cmocka_unit_test(drawing_without_replacement),
        cmocka_unit_test(equal_states_are_gone_on_from_once),
        cmocka_unit_test(equal_states_without_replacement),
        cmocka_unit_test(a_node_without_ideas_is_closed),
        cmocka_unit_test(rollouts_are_visits),
        cmocka_unit_test(rollouts_of_merged_states),
        cmocka_unit_test(the_search_commits_to_steps),
        cmocka_unit_test(gumbel_commits_to_steps),
        cmocka_unit_test(exploration_falls_with_the_budget),
        cmocka_unit_test(without_replacement_the_world_is_enumerated),
        cmocka_unit_test(mcts_visits_two_arms_as_computed_by_hand),
        cmocka_unit_test(mcts_widens_by_its_formula),
        cmocka_unit_test(mcts_dives_when_nothing_is_finished),
        cmocka_unit_test(visits_pick_walks_the_most_visited_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
