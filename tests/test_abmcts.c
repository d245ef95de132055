/* test_abmcts.c: random numbers of its posteriors against their distribution functions, and the search against a second writing
 * that keeps every score in a list.
 * Not the tests over all rows: test_search_limits.c.
 * Next: naive_chain.h. */
#include "search/search_internal.h"
#include "tests/naive_chain.h"

/* ---- random numbers ---- */

/* The largest distance between the empirical and the true distribution function, times sqrt(n): 1.95 has 99.9%. */
static double distance(double *x, size_t n, double (*cdf)(double x, double a), double a) {
    double largest = 0;
    for (size_t i = 1; i < n; i++) { /* insertion: n is small */
        double v = x[i];
        size_t j = i;
        for (; j && v < x[j - 1]; j--) x[j] = x[j - 1];
        x[j] = v;
    }
    for (size_t i = 0; i < n; i++) {
        double p = cdf(x[i], a), low = p - (double)i / (double)n, high = (double)(i + 1) / (double)n - p;
        largest = fmax(largest, fmax(low, high));
    }
    return largest * sqrt((double)n);
}

static double normal_cdf(double x, double a) { return 0.5 * erfc(-(x - a) / sqrt(2)); }

/* The series of the lower incomplete gamma function (Abramowitz and Stegun 6.5.29). */
static double gamma_cdf(double x, double a) {
    double term = exp(a * log(x) - x - lgamma(a + 1)), sum = term;
    for (double k = 1; term > 1e-15 * sum; k++) sum += term *= x / (a + k);
    return fmin(sum, 1);
}

static void draws_have_their_distributions(void **state) {
    static const double shapes[] = {0.5, 0.9, 1, 2.5, 17, 200};
    enum { N = 3000 };
    static double x[N];
    (void)state;
    for (uint64_t i = 0; i < N; i++) x[i] = rng_normal(7, i);
    assert_true(distance(x, N, normal_cdf, 0) < 1.95);
    assert_true(distance(x, N, normal_cdf, 0.2) > 1.95); /* the test can fail */
    for (int s = 0; s < 6; s++) {
        for (uint64_t i = 0; i < N; i++) x[i] = rng_gamma(rng_fold(3, i), shapes[s]);
        double d = distance(x, N, gamma_cdf, shapes[s]);
        if (d >= 1.95) fail_msg("gamma of shape %g: distance %g", shapes[s], d);
        assert_true(distance(x, N, gamma_cdf, 1.3 * shapes[s]) > 1.95);
    }
}

/* ---- the search ---- */

struct item {
    int parent, index; /* try of the parent */
    char digits[TOY_MAX_DEPTH + 1];
    uint64_t key;
    bool over, finished;
    double value;
    uint32_t tries, multiplicity;
    int backed_up;
};
struct score {
    int at, under; /* made at this node; under this child of it (0: it is the child) */
    double value;
};

static struct naive {
    const struct toy_world *w;
    bool beta;
    struct item items[600];
    struct score scores[8000];
    int n, n_scores;
} nv;

/* Textbook forms: the posterior's parameters from a plain list of scores. */
static double posterior_draw(const double *x, int n, uint64_t key) {
    double sum = 0, spread = 0;
    for (int i = 0; i < n; i++) sum += x[i];
    if (nv.beta) {
        double a = rng_gamma(rng_fold(key, 0), 0.5 + sum), b = rng_gamma(rng_fold(key, 1), 0.5 + n - sum);
        return a / (a + b);
    }
    double mean = n ? sum / n : 0, m0 = 0, kappa0 = 1, nu0 = 1, tau0 = 0.1;
    for (int i = 0; i < n; i++) spread += (x[i] - mean) * (x[i] - mean);
    double kappa = kappa0 + n, nu = nu0 + n, m = (kappa0 * m0 + n * mean) / kappa;
    double tau = (nu0 * tau0 + spread + n * kappa0 * (m0 - mean) * (m0 - mean) / (kappa0 + n)) / nu;
    double chi2 = 2 * rng_gamma(rng_fold(key, 0), nu / 2);
    return m + sqrt(nu * tau / chi2 / kappa) * rng_normal(rng_fold(key, 1), 0);
}

/* Scores seen at a node: of its children when made (under 0), of all below them (under -1), of one child and below. */
static int scores_at(int at, int under, double *x) {
    int n = 0;
    if (under > 0) x[n++] = nv.items[under].value;
    for (int i = 0; i < nv.n_scores; i++) {
        const struct score *s = &nv.scores[i];
        if (s->at == at && (under > 0 ? s->under == under : (s->under != 0) == (under < 0))) x[n++] = s->value;
    }
    return n;
}

static int select_naive(uint64_t key) {
    static double x[8000];
    int u = 0;
    for (uint64_t depth = 0;; depth++) {
        uint64_t here = rng_fold(key, depth);
        int best = 0;
        double largest = 0;
        for (int c = 1; c < nv.n; c++) {
            if (nv.items[c].parent != u || nv.items[c].over) continue;
            double d = posterior_draw(x, scores_at(u, c, x), rng_fold(here, 2 + (uint64_t)nv.items[c].index));
            if (!best || d > largest) best = c, largest = d;
        }
        double wider = posterior_draw(x, scores_at(u, 0, x), rng_fold(here, 0));
        double deeper = posterior_draw(x, scores_at(u, -1, x), rng_fold(here, 1));
        if (!best || wider >= deeper) return u;
        u = best;
    }
}

/* One more step below u; the same step again is its twin. */
static int grow_naive(int u, int index) {
    struct item *p = &nv.items[u], *c = &nv.items[nv.n];
    *c = (struct item){.parent = u, .index = index, .key = rng_fold(p->key, (uint64_t)index), .multiplicity = 1};
    strcpy(c->digits, p->digits);
    size_t len = strlen(c->digits);
    c->digits[len] = (char)('0' + toy_digit(nv.w, p->digits, c->key, 1)), c->digits[len + 1] = 0;
    enum step_end end = toy_end(nv.w, c->digits);
    c->finished = end == STEP_FINISHED, c->over = end != STEP_SEPARATOR;
    c->value = c->over && !c->finished ? 0 : (double)toy_value(nv.w, c->digits);
    if (end == STEP_DEAD) c->digits[len] = 0; /* it has no text, so that all dead steps of a node are one */
    for (int t = 1; t < nv.n; t++)
        if (nv.items[t].parent == u && !strcmp(nv.items[t].digits, c->digits)) return nv.items[t].multiplicity++, t;
    return nv.n++;
}

static void back_up_naive(int u) {
    double value = nv.items[u].backed_up++ ? 0 : nv.items[u].value; /* nothing new */
    nv.scores[nv.n_scores++] = (struct score){nv.items[u].parent, 0, value};
    for (int v = nv.items[u].parent; v; v = nv.items[v].parent)
        nv.scores[nv.n_scores++] = (struct score){nv.items[v].parent, v, value};
}

static void search_naive(uint64_t seed, int n, int batch) {
    nv.n = 1, nv.n_scores = 0;
    nv.items[0] = (struct item){.key = seed};
    for (int done = 0; done < n;) {
        int at[64], index[64], child[64], some = batch < n - done ? batch : n - done;
        for (int i = 0; i < some; i++) {
            at[i] = select_naive(rng_fold(~seed, (uint64_t)(done + i)));
            index[i] = (int)nv.items[at[i]].tries++;
        }
        for (int i = 0; i < some; i++) child[i] = grow_naive(at[i], index[i]);
        for (int i = 0; i < some; i++) back_up_naive(child[i]);
        done += some;
    }
}

static void the_search_is_that_of_the_second_writing(void **state) {
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int beta = 0; beta < 2; beta++)
            for (uint64_t seed = 1; seed <= 3; seed++)
                for (int batch = 1; batch <= 7; batch += 6) {
                    nv.w = &worlds[i], nv.beta = beta;
                    search_naive(seed, 60, batch);
                    fx_open("abmcts", nv.w);
                    fx.common.seed = seed, fx.common.budget.simulations = 60;
                    fx_set("posterior", !beta), fx_set("batch", batch), fx_set("stop-value", 2);
                    fx_run();
                    assert_int_equal(fx.status, OK);
                    assert_int_equal(fx.res.why, WHY_SIMULATIONS);
                    assert_int_equal(fx.tree.n, nv.n);
                    for (uint32_t u = 1; u < fx.tree.n; u++) {
                        char digits[TOY_MAX_DEPTH + 1];
                        fx_digits(u, digits);
                        if (strcmp(digits, nv.items[u].digits))
                            fail_msg("world %d, %d, seed %d, batch %d, node %u: %s, naive %s", i, beta, (int)seed,
                                     batch, u, digits, nv.items[u].digits);
                        assert_int_equal(fx.tree.nodes[u].multiplicity, nv.items[u].multiplicity);
                    }
                    fx_close();
                }
}

/* Two runs on one tree end where one run of both budgets does: what an earlier run left is counted once. */
static void it_goes_on_in_its_own_tree_and_in_those_of_others(void **state) {
    (void)state;
    uint64_t signatures[2];
    for (int parts = 1; parts <= 2; parts++) {
        fx_open("abmcts", &worlds[0]);
        fx_set("stop-value", 2), fx_set("batch", 1);
        fx.common.budget.simulations = parts == 1 ? 60 : 30, fx.keep = true;
        fx_run();
        if (parts == 2) assert_int_equal(fx_search(NULL, NULL), OK);
        signatures[parts - 1] = search_signature(&fx.tree, &fx.res);
        fx_close();
    }
    assert_true(signatures[0] == signatures[1]);
    fx_open("bon", &worlds[0]);
    fx.keep = true, fx.common.budget.simulations = 6;
    fx_run();
    uint32_t n = fx.tree.n;
    fx.strategy = "abmcts", fx.common.budget.simulations = 40;
    strategy_defaults(strategy_find("abmcts"), false, &fx.params);
    fx_set("stop-value", 2);
    assert_int_equal(fx_search(NULL, NULL), OK);
    if (!(fx.tree.n > n + 5 && fx.tree.n <= n + 40)) fail_msg("%u nodes, then %u", n, fx.tree.n);
    fx_close();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_have_their_distributions),
        cmocka_unit_test(the_search_is_that_of_the_second_writing),
        cmocka_unit_test(it_goes_on_in_its_own_tree_and_in_those_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
