/* test_beams.c: beam search, blocks and Tree of Thoughts against second writings on lists of strings, without a tree.
 * Not the other populations, which are in test_waves.c; not about limits and faults: test_search_limits.c.
 * Next: naive_chain.h. */
#include "search/search_internal.h"
#include "tests/naive_chain.h"

enum { MAX = 1024 };

/* A chain with its random stream and its way through the tree. */
struct one {
    struct chain chain;
    bool open; /* the newest digit has no end yet */
    uint64_t key;
    uint32_t path[2 * TOY_MAX_DEPTH], depth;
    float rank;
};

static bool is_lost(const struct one *c) { return c->chain.end == STEP_DEAD || c->chain.end == STEP_TRUNCATED; }
static bool goes_on(const struct one *c) { return c->chain.end == STEP_SEPARATOR; }

static int by_rank(const void *x, const void *y) {
    const struct one *a = x, *b = y;
    if (a->rank != b->rank) return a->rank > b->rank ? -1 : 1;
    for (uint32_t i = 0; i < a->depth && i < b->depth; i++)
        if (a->path[i] != b->path[i]) return a->path[i] < b->path[i] ? -1 : 1;
    return 0;
}

/* Every chain that came to its end, and how often; steps: made in all. */
static struct {
    struct chain of[MAX];
    uint32_t n, steps;
} ends;

static void note(const struct one *c, bool again) {
    uint32_t i = 0;
    if (c->chain.end != STEP_FINISHED) return;
    while (i < ends.n && strcmp(ends.of[i].digits, c->chain.digits)) i++;
    if (i == ends.n) {
        assert_true(ends.n < MAX);
        ends.of[ends.n] = c->chain, ends.of[ends.n++].multiplicity = 1;
    } else if (again) ends.of[i].multiplicity++;
}

static struct chain best_of_ends(void) {
    struct chain best = {0};
    for (uint32_t i = 0; i < ends.n; i++)
        if (!*best.digits || naive_better(&ends.of[i], &best)) best = ends.of[i];
    return best;
}

static void compare(const char *what) {
    struct chain c = best_of_ends();
    assert_int_equal(fx.status, OK);
    assert_int_equal(fx.res.n_finished, ends.n);
    if (fx.toy.ledger.generated_tokens != 2 * ends.steps)
        fail_msg("%s: %lu tokens, naive %u", what, (unsigned long)fx.toy.ledger.generated_tokens, 2 * ends.steps);
    if (strcmp(fx.digits, c.digits)) fail_msg("%s: chain %s, naive %s", what, fx.digits, c.digits);
    assert_true(fx.res.value == c.value);
    bool firsts[10] = {false};
    uint32_t n = 0;
    for (uint32_t i = 0; i < ends.n; i++)
        n += !firsts[ends.of[i].digits[0] - '0'], firsts[ends.of[i].digits[0] - '0'] = true;
    assert_int_equal(fx.res.n_firsts, n);
}

static struct one child_of(const struct toy_world *w, const struct one *parent, uint32_t try, float temperature) {
    struct one c = *parent;
    c.key = rng_fold(parent->key, try);
    c.path[c.depth++] = try;
    naive_step(w, &c.chain, c.key, temperature, 16);
    c.chain.multiplicity = 1, c.rank = c.chain.value;
    return c;
}

static uint32_t sum_of(const char *digits) {
    uint32_t sum = 0;
    while (*digits) sum += (uint32_t)(*digits++ - '0');
    return sum;
}

/* Has one of the n slots reached the same sum with as many digits?  Complete chains have reached nothing. */
static bool is_double(const struct one *slots, uint32_t n, const struct one *c) {
    for (uint32_t i = 0; i < n && goes_on(c); i++)
        if (goes_on(&slots[i]) && slots[i].depth == c->depth &&
            sum_of(slots[i].chain.digits) == sum_of(c->chain.digits))
            return true;
    return false;
}

/* Adds a try to the candidates of one slot, which begin at `first`, unless it is lost or a twin. */
static void add(struct one *next, uint32_t *m, uint32_t first, const struct one *c) {
    uint32_t twin = first;
    note(c, true);
    while (twin < *m && (next[twin].open != c->open || strcmp(next[twin].chain.digits, c->chain.digits))) twin++;
    if (twin < *m || is_lost(c)) return;
    next[(*m)++] = *c;
}

/* ---- beam ---- */

/* Value at the end of k likeliest steps; those that nobody had made yet are made. */
static float look_ahead(const struct toy_world *w, const struct one *c, uint32_t k) {
    static char made[4096][TOY_MAX_DEPTH + 1];
    static uint32_t n_made;
    struct one x = *c;
    if (!ends.steps) n_made = 0;
    for (uint32_t i = 0; i < k && goes_on(&x); i++) {
        uint32_t j = 0;
        x = child_of(w, &x, 0, 0);
        while (j < n_made && strcmp(made[j], x.chain.digits)) j++;
        if (j == n_made) strcpy(made[n_made++], x.chain.digits), ends.steps++, note(&x, false);
    }
    return x.chain.value;
}

static void naive_beam(const struct toy_world *w, uint64_t seed, uint32_t n, uint32_t keep, uint32_t k, bool states) {
    static struct one slots[MAX], next[MAX];
    uint32_t n_slots = 1;
    bool open = true;
    slots[0] = (struct one){.key = seed, .chain.end = STEP_SEPARATOR};
    ends.n = ends.steps = 0;
    look_ahead(w, &slots[0], 0);
    for (bool first_round = true; open; first_round = false) {
        uint32_t m = 0;
        for (uint32_t i = 0; i < n_slots; i++) {
            uint32_t first = m, share = n / n_slots + (i < n % n_slots), at = 0;
            if (!goes_on(&slots[i])) {
                next[m++] = slots[i];
                continue;
            }
            if (k && !first_round) { /* the step ahead stands there already, and is one of the share */
                struct one c = child_of(w, &slots[i], at++, 0);
                if (!is_lost(&c)) next[m++] = c;
            }
            for (; at < share; at++) {
                struct one c = child_of(w, &slots[i], at, 1);
                ends.steps++;
                add(next, &m, first, &c);
            }
        }
        for (uint32_t i = 0; i < m; i++) next[i].rank = look_ahead(w, &next[i], k);
        qsort(next, m, sizeof *next, by_rank);
        n_slots = 0, open = false;
        for (uint32_t i = 0; i < m && n_slots < keep; i++)
            if (!states || !is_double(slots, n_slots, &next[i])) {
                open |= goes_on(&next[i]);
                slots[n_slots++] = next[i];
            }
    }
}

static void beam_is_the_naive_beam(void **state) {
    static const uint32_t widths[][2] = {{1, 1}, {4, 1}, {4, 4}, {7, 3}, {16, 4}, {60, 7}};
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int k = 0; k < 6; k++)
            for (uint64_t seed = 1; seed <= 6; seed++)
                for (uint32_t ahead = 0; ahead <= 3; ahead++) {
                    bool states = seed % 2;
                    naive_beam(&worlds[i], seed, widths[k][0], widths[k][1], ahead, states);
                    fx_open("beam", &worlds[i]);
                    fx.common.seed = seed, fx.common.budget.simulations = widths[k][0];
                    fx_set("beam-width", widths[k][1]), fx_set("lookahead", ahead), fx_set("distinct", states);
                    fx_set("batch", 5);
                    fx_run();
                    assert_int_equal(fx.res.why, WHY_DONE);
                    compare("beam");
                    fx_close();
                }
}

/* ---- blocks ---- */

/* A block of B tokens: digits and their ends, through the ends of steps. */
static struct one block_of(const struct toy_world *w, const struct one *parent, uint32_t try, uint32_t block) {
    struct one c = *parent;
    c.key = rng_fold(parent->key, try);
    c.path[c.depth++] = try;
    for (uint32_t t = 0; t < block && goes_on(&c); t++) {
        size_t n = strlen(c.chain.digits);
        ends.steps++; /* halves of steps here */
        if (c.open) c.chain.end = toy_end(w, c.chain.digits);
        else
            c.chain.digits[n] = (char)('0' + toy_digit(w, c.chain.digits, rng_fold(c.key, n), 1)),
            c.chain.digits[n + 1] = 0;
        c.open = !c.open;
    }
    c.chain.value = c.rank = is_lost(&c) || w->nan ? 0 : toy_value(w, c.chain.digits);
    return c;
}

static void blocks_are_beams_of_tokens(void **state) {
    static struct one slots[MAX], next[MAX];
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (uint32_t block = 1; block <= 6; block++)
            for (uint64_t seed = 1; seed <= 6; seed++) {
                uint32_t n = seed % 2 ? 12 : 5, keep = 3, n_slots = 1;
                slots[0] = (struct one){.key = seed, .chain.end = STEP_SEPARATOR};
                ends.n = ends.steps = 0;
                for (bool open = true; open;) {
                    uint32_t m = 0;
                    for (uint32_t j = 0; j < n_slots; j++) {
                        uint32_t first = m;
                        if (!goes_on(&slots[j])) next[m++] = slots[j];
                        else
                            for (uint32_t t = 0; t < n / n_slots + (j < n % n_slots); t++) {
                                struct one c = block_of(&worlds[i], &slots[j], t, block);
                                add(next, &m, first, &c);
                            }
                    }
                    qsort(next, m, sizeof *next, by_rank);
                    n_slots = m < keep ? m : keep, open = false;
                    for (uint32_t j = 0; j < n_slots; j++) open |= goes_on(&next[j]), slots[j] = next[j];
                }
                fx_open("blocks", &worlds[i]);
                fx.common.seed = seed, fx.common.budget.simulations = n;
                fx_set("block", block), fx_set("beam-width", keep), fx_set("batch", 5), fx_set("pick", 0);
                fx_run();
                assert_int_equal(fx.status, OK);
                assert_int_equal(fx.res.why, WHY_DONE);
                assert_int_equal(fx.toy.ledger.generated_tokens, ends.steps);
                assert_int_equal(fx.res.n_finished, ends.n);
                if (ends.n) assert_true(fx.res.value == best_of_ends().value);
                for (uint32_t u = 1; u < fx.tree.n; u++) assert_true(fx.tree.nodes[u].n_tokens <= block);
                fx_close();
            }
}

/* A chain has as many steps as it may have, however they are spread over blocks. */
static void blocks_keep_the_number_of_steps(void **state) {
    (void)state;
    for (uint32_t block = 1; block <= 9; block++)
        for (uint32_t most = 1; most <= 5; most++) {
            fx_open("blocks", &worlds[0]); /* 5 steps */
            fx_set("block", block);
            fx.common.max_depth = most;
            fx_run();
            uint32_t deepest = 0;
            for (uint32_t u = 1; u < fx.tree.n; u++)
                deepest = tree_steps(&fx.tree, u) > deepest ? tree_steps(&fx.tree, u) : deepest;
            assert_int_equal(deepest, most);
            assert_int_equal(fx.res.node != 0, most == 5);
            fx_close();
        }
}

/* ---- Tree of Thoughts ---- */

/* At most k thoughts of a state, the likeliest or drawn ones. */
static void think(const struct toy_world *w, const struct one *c, uint32_t k, bool propose, struct one *next,
                  uint32_t *m) {
    uint32_t first = *m;
    bool taken[10] = {false};
    for (uint32_t j = 0; j < k && (!propose || j < w->width); j++) {
        struct one x = child_of(w, c, j, 1);
        if (propose) {
            uint32_t best = 10;
            for (uint32_t d = 0; d < w->width; d++)
                if (!taken[d] && (best == 10 || toy_p(w, c->chain.digits, d) > toy_p(w, c->chain.digits, best)))
                    best = d;
            taken[best] = true;
            /* Drawn again with other streams until it is that digit: only the chain matters. */
            for (uint64_t i = 0; x.chain.digits[strlen(x.chain.digits) - 1] != (char)('0' + best); i++)
                x.chain = c->chain, naive_step(w, &x.chain, rng_fold(99, i), 1, 16);
            x.rank = x.chain.value, x.chain.multiplicity = 1;
        }
        ends.steps++;
        add(next, m, first, &x);
    }
}

static void naive_breadth_first(const struct toy_world *w, uint64_t seed, uint32_t b, uint32_t k, bool propose,
                                bool drawn) {
    static struct one slots[MAX], next[MAX];
    uint32_t n_slots = 1;
    uint64_t draws = 0;
    slots[0] = (struct one){.key = seed, .chain.end = STEP_SEPARATOR};
    ends.n = ends.steps = 0;
    for (bool open = true; open;) {
        uint32_t m = 0;
        for (uint32_t i = 0; i < n_slots; i++)
            if (goes_on(&slots[i])) think(w, &slots[i], k, propose, next, &m);
            else next[m++] = slots[i];
        qsort(next, m, sizeof *next, by_rank);
        n_slots = 0, open = false;
        while (m && n_slots < b) {
            double sum = 0, at = 0;
            uint32_t j = 0;
            for (uint32_t i = 0; i < m; i++) sum += (double)next[i].rank;
            if (drawn)
                for (at = sum * rng_uniform(rng_fold(~seed, 0), draws++); j + 1 < m && at >= (double)next[j].rank; j++)
                    at -= (double)next[j].rank;
            if (!is_double(slots, n_slots, &next[j])) open |= goes_on(&next[j]), slots[n_slots++] = next[j];
            memmove(next + j, next + j + 1, (--m - j) * sizeof *next);
        }
    }
}

static void breadth_first_is_the_paper_on_strings(void **state) {
    static const uint32_t sizes[][2] = {{1, 1}, {1, 4}, {3, 2}, {4, 4}, {5, 8}};
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int k = 0; k < 5; k++)
            for (uint64_t seed = 1; seed <= 8; seed++) {
                bool propose = seed % 2, drawn = seed & 2;
                naive_breadth_first(&worlds[i], seed, sizes[k][0], sizes[k][1], propose, drawn);
                fx_open("tot-bfs", &worlds[i]);
                fx.common.seed = seed, fx.common.budget.simulations = sizes[k][0] * sizes[k][1];
                if (seed > 4) fx.common.max_depth = worlds[i].depth; /* as long as a right chain, and no longer */
                fx_set("thoughts", sizes[k][1]), fx_set("generate", propose), fx_set("choose", drawn);
                fx_set("batch", 3);
                fx_run();
                assert_int_equal(fx.res.why, WHY_DONE);
                compare(propose ? "tot-bfs, proposed" : "tot-bfs");
                fx_close();
            }
}

/* States that wait: all that were made, in the order in which they were made. */
static struct one waiting[MAX];
static uint32_t n_waiting;

/* The paper's recursion. */
static void naive_depth_first(const struct toy_world *w, const struct one *c, uint32_t k, float threshold, bool propose,
                              uint32_t *left) {
    struct one next[16];
    uint32_t m = 0, before = ends.steps;
    if (!*left) return;
    think(w, c, k < *left ? k : *left, propose, next, &m);
    *left -= ends.steps - before;
    for (uint32_t i = 0; i < m; i++)
        if (goes_on(&next[i])) waiting[n_waiting++] = next[i];
    qsort(next, m, sizeof *next, by_rank);
    for (uint32_t i = 0; i < m; i++) {
        if (!goes_on(&next[i]) || next[i].rank < threshold || !*left) continue;
        for (uint32_t j = 0; j < n_waiting; j++)
            if (!strcmp(waiting[j].chain.digits, next[i].chain.digits)) waiting[j].depth = 0;
        naive_depth_first(w, &next[i], k, threshold, propose, left);
    }
}

static void depth_first_is_the_recursion_of_the_paper(void **state) {
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (uint32_t budget = 1; budget <= 90; budget += 1 + budget / 4)
            for (uint64_t seed = 1; seed <= 6; seed++) {
                bool propose = seed % 2;
                float threshold = seed % 3 ? 0.5f : 0;
                uint32_t k = 1 + (uint32_t)seed % 4, left = budget;
                struct one root = {.key = seed, .chain.end = STEP_SEPARATOR};
                ends.n = ends.steps = n_waiting = 0;
                naive_depth_first(&worlds[i], &root, k, threshold, propose, &left);
                for (uint32_t best = 0; best < MAX && left;) { /* those set aside, best first */
                    best = MAX;
                    for (uint32_t j = 0; j < n_waiting; j++)
                        if (waiting[j].depth && (best == MAX || waiting[j].rank > waiting[best].rank)) best = j;
                    if (best == MAX) break;
                    struct one c = waiting[best];
                    waiting[best].depth = 0;
                    naive_depth_first(&worlds[i], &c, k, threshold, propose, &left);
                }
                fx_open("tot-dfs", &worlds[i]);
                fx.common.seed = seed, fx.common.budget.simulations = budget;
                fx.common.max_depth = worlds[i].depth;
                fx_set("thoughts", k), fx_set("generate", propose), fx_set("threshold", threshold);
                fx_set("batch", 3), fx_set("stop-value", 2);
                fx_run();
                assert_int_equal(fx.res.why, left ? WHY_DONE : WHY_SIMULATIONS);
                compare("tot-dfs");
                fx_close();
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beam_is_the_naive_beam),
        cmocka_unit_test(blocks_are_beams_of_tokens),
        cmocka_unit_test(blocks_keep_the_number_of_steps),
        cmocka_unit_test(breadth_first_is_the_paper_on_strings),
        cmocka_unit_test(depth_first_is_the_recursion_of_the_paper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
