/* test_sample.c: the sampler against a plain one that sorts, and against exact distributions.
 * Not a test of the kernels: sample.c and this file share exp and max.
 * Next: model/sample.h. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/sample.h"
#include "ops/ops.h"

enum { MAX_N = 3000 };

static float scratch_p[MAX_N];
static int32_t scratch_ids[MAX_N];
static struct sample_scratch scratch = {scratch_p, scratch_ids};

static const struct sample_params plain = {.temperature = 1, .top_p = 1};

/* The plain sampler: */

struct ranked {
    float logit, p; /* p: up to a factor, at temperature 1 */
    int32_t id;
};

static int compare_rank(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static int compare_id(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

struct reference {
    size_t n_kept;
    struct ranked kept[MAX_N]; /* ascending ids */
    double cumulative[MAX_N];  /* at the wanted temperature */
    double logprob[MAX_N];     /* by id */
};

/* Step by step as sample.h says: sort, top-k, top-p, min-p, temperature, sum. */
static void reference_new(struct reference *r, const struct sample_params *s, const float *logits, uint32_t n) {
    float max = -INFINITY;
    double total = 0;
    for (uint32_t i = 0; i < n; i++) max = logits[i] > max ? logits[i] : max;
    for (uint32_t i = 0; i < n; i++) total += exp((double)logits[i] - max);
    for (uint32_t i = 0; i < n; i++) {
        r->kept[i] = (struct ranked){logits[i], 0, (int32_t)i};
        r->logprob[i] = (double)logits[i] - max - log(total);
        ops_get()->exp_sum(&r->kept[i].p, &logits[i], 1, max, 1);
    }
    qsort(r->kept, n, sizeof *r->kept, compare_rank);
    size_t m = s->top_k && s->top_k < n ? s->top_k : n;
    if (s->top_p < 1) {
        double all = 0, sum = 0;
        size_t i = 0;
        for (size_t j = 0; j < m; j++) all += r->kept[j].p;
        do sum += r->kept[i++].p;
        while (i < m && sum < s->top_p * all);
        m = i;
    }
    while (m > 1 && r->kept[m - 1].p < s->min_p) m--;
    if (!(s->temperature > 0)) m = 1;
    qsort(r->kept, m, sizeof *r->kept, compare_id);
    r->n_kept = m;
    double sum = 0;
    for (size_t i = 0; i < m; i++) {
        double t = s->temperature > 0 ? s->temperature : 1;
        r->cumulative[i] = sum += exp(((double)r->kept[i].logit - max) / t);
    }
}

/* May this id be the answer to uniform number u?  `slack`: the float weights of sample.c round, the doubles here do not. */
static bool reference_allows(const struct reference *r, double u, int32_t id, double slack) {
    for (size_t i = 0; i < r->n_kept; i++) {
        if (r->kept[i].id != id) continue;
        double all = r->cumulative[r->n_kept - 1], from = i ? r->cumulative[i - 1] : 0, to = r->cumulative[i];
        return to > from && from <= (u + slack) * all && (u - slack) * all <= to;
    }
    return false;
}

static void check_draws(const struct sample_params *s, const float *logits, uint32_t n, uint64_t key, int n_draws) {
    static struct reference r;
    reference_new(&r, s, logits, n);
    for (int k = 0; k < n_draws; k++) {
        float logprob = 1;
        uint64_t counter = (uint64_t)k;
        double u = rng_uniform(key, counter);
        int32_t id = sample_token(s, logits, n, key, counter, &scratch, &logprob);
        if (id < 0 || (uint32_t)id >= n || !reference_allows(&r, u, id, 1e-6))
            fail_msg(
                "n %u, temperature %g, top_k %u, top_p %g, min_p %g, key %llu, draw %d (u = %.9f): got %d, not what "
                "%zu sorted candidates give",
                n, s->temperature, s->top_k, s->top_p, s->min_p, (unsigned long long)key, k, u, id, r.n_kept);
        if (fabs(logprob - r.logprob[id]) > 2e-6 + 1e-6 * fabs(r.logprob[id]))
            fail_msg("n %u, id %d: log-probability %.8f, want %.8f", n, id, logprob, r.logprob[id]);
        if (sample_token(s, logits, n, key, counter, &scratch, NULL) != id)
            fail_msg("n %u, draw %d: not repeatable", n, k);
    }
}

/* How many ids come up at all over many draws at a temperature that makes the kept ones nearly equally likely. */
static void check_support(const struct sample_params *s, const float *logits, uint32_t n, uint64_t key) {
    static struct reference r;
    static uint32_t seen[MAX_N];
    struct sample_params hot = *s;
    hot.temperature = 1e6f;
    reference_new(&r, &hot, logits, n);
    memset(seen, 0, sizeof seen);
    for (uint64_t k = 0; k < 40 * r.n_kept; k++) seen[sample_token(&hot, logits, n, key, k, &scratch, NULL)]++;
    for (uint32_t i = 0, j = 0; i < n; i++) {
        bool kept = j < r.n_kept && r.kept[j].id == (int32_t)i;
        j += kept;
        if (kept != (seen[i] > 0))
            fail_msg("n %u, top_k %u, top_p %g, min_p %g: id %u drawn %u times, %s", n, s->top_k, s->top_p, s->min_p, i,
                     seen[i], kept ? "but it is kept" : "but it is filtered out");
    }
}

static void random_logits(float *logits, uint32_t n, uint64_t key) {
    uint32_t style = rng_below(key, 1000000, 4);
    for (uint32_t i = 0; i < n; i++) {
        double u = rng_uniform(key, i);
        if (style == 0) logits[i] = (float)(u * 8 - 4);
        if (style == 1) logits[i] = (float)floor(u * 6); /* many ties */
        if (style == 2) logits[i] = (float)(-log(1 - u) * 2 + 100);
        if (style == 3) logits[i] = u < 0.3 ? -INFINITY : (float)(u * 20);
    }
    if (style == 3) logits[n / 2] = 3; /* never all -inf */
}

static void test_against_sorting(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 5, 8, 17, 63, 64, 65, 130, 1000};
    static const float temperatures[] = {1, 1, 0.7f, 1.5f, 0.1f, 0}, top_ps[] = {1, 0.95f, 0.5f, 0.9f, 0.01f};
    static const float min_ps[] = {0, 0, 0.05f, 0.3f};
    static float logits[MAX_N];
    for (uint64_t round = 0; round < 1500; round++) {
        uint64_t key = rng_fold(77, round);
        uint32_t n = sizes[rng_below(key, 1, sizeof sizes / sizeof *sizes)];
        struct sample_params s = {
            .temperature = temperatures[rng_below(key, 2, 6)],
            .top_k = rng_below(key, 3, 2) ? rng_below(key, 4, rng_below(key, 7, 2) ? 12 : n + 3) : 0,
            .top_p = top_ps[rng_below(key, 5, 5)],
            .min_p = min_ps[rng_below(key, 6, 4)],
        };
        random_logits(logits, n, rng_fold(key, 1));
        check_draws(&s, logits, n, rng_fold(key, 2), 20);
        /* -inf stays out at any temperature, but the plain sampler's list holds it: skip those lists here. */
        bool finite = true;
        for (uint32_t i = 0; i < n; i++) finite = finite && isfinite(logits[i]);
        if (finite && (n <= 130 || (s.top_k > 0 && s.top_k < 12))) check_support(&s, logits, n, rng_fold(key, 3));
    }
}

/* Distributions: */

/* Counts of 100000 draws against the exact probabilities: 5 standard deviations each, and chi-square in all. */
static void check_distribution(const char *name, const struct sample_params *s, const float *logits, uint32_t n,
                               const double *want) {
    enum { DRAWS = 100000 };
    uint32_t count[16] = {0}, n_cells = 0;
    double chi = 0;
    for (uint64_t k = 0; k < DRAWS; k++) {
        int32_t id = sample_token(s, logits, n, 4242, k, &scratch, NULL);
        assert_in_range(id, 0, n - 1);
        count[id]++;
    }
    for (uint32_t i = 0; i < n; i++) {
        double mean = want[i] * DRAWS, deviation = sqrt(mean * (1 - want[i]));
        if (fabs(count[i] - mean) > 5 * deviation)
            fail_msg("%s: id %u drawn %u times, want %.1f +- %.1f", name, i, count[i], mean, deviation);
        if (want[i] > 0) chi += (count[i] - mean) * (count[i] - mean) / mean, n_cells++;
    }
    if (chi > 12 + 3 * n_cells) fail_msg("%s: chi-square %.1f over %u cells", name, chi, n_cells);
}

static void test_distributions(void **state) {
    (void)state;
    /* Probabilities 0.1, 0.4, 0.2, 0.25, 0.05, up to a factor. */
    const float logits[] = {logf(2), logf(8), logf(4), logf(5), logf(1)};
    struct sample_params s = plain;
    check_distribution("plain", &s, logits, 5, (double[]){0.1, 0.4, 0.2, 0.25, 0.05});
    s.temperature = 0.5f; /* squares: 4 64 16 25 1 */
    check_distribution("temperature 0.5", &s, logits, 5,
                       (double[]){4 / 110., 64 / 110., 16 / 110., 25 / 110., 1 / 110.});
    s = plain, s.top_k = 2;
    check_distribution("top-k 2", &s, logits, 5, (double[]){0, 8 / 13., 0, 5 / 13., 0});
    s = plain, s.top_p = 0.7f; /* 0.4 + 0.25 is less, with 0.2 it is more */
    check_distribution("top-p 0.7", &s, logits, 5, (double[]){0, 8 / 17., 4 / 17., 5 / 17., 0});
    s = plain, s.min_p = 0.2f; /* at least 0.08 */
    check_distribution("min-p 0.2", &s, logits, 5, (double[]){2 / 19., 8 / 19., 4 / 19., 5 / 19., 0});
    s = plain, s.top_k = 3, s.top_p = 0.6f; /* of 8 + 5 + 4 = 17: 8 is 0.47, 13 is 0.76 */
    check_distribution("top-k 3, then top-p 0.6", &s, logits, 5, (double[]){0, 8 / 13., 0, 5 / 13., 0});
    s = plain, s.min_p = 0.55f, s.temperature = 0.5f; /* min-p before temperature: 5/8 stays */
    check_distribution("min-p 0.55, temperature 0.5", &s, logits, 5, (double[]){0, 64 / 89., 0, 25 / 89., 0});
    s = plain, s.temperature = 1e6f;
    check_distribution("temperature 1e6", &s, logits, 5, (double[]){0.2, 0.2, 0.2, 0.2, 0.2});
    s.temperature = 1e-6f;
    check_distribution("temperature 1e-6", &s, logits, 5, (double[]){0, 1, 0, 0, 0});
}

/* Typical: the plain way sorts by | -log p - H |. */

static double deviation[MAX_N]; /* by id */

static int compare_deviation(const void *a, const void *b) {
    double x = deviation[((const struct ranked *)a)->id], y = deviation[((const struct ranked *)b)->id];
    return (x > y) - (x < y);
}

static void test_typical_against_sorting(void **state) {
    (void)state;
    static struct ranked list[MAX_N];
    static float logits[MAX_N];
    for (uint64_t round = 0; round < 300; round++) {
        uint64_t key = rng_fold(78, round);
        uint32_t n = 1 + rng_below(key, 1, 200), n_kept = 0;
        double total = 0, entropy = 0, sum = 0, p = 0.02 + 0.96 * rng_uniform(key, 2);
        for (uint32_t i = 0; i < n; i++) logits[i] = (float)(rng_uniform(key, 10 + i) * 8);
        for (uint32_t i = 0; i < n; i++) total += exp(logits[i]);
        for (uint32_t i = 0; i < n; i++) entropy -= exp(logits[i]) / total * log(exp(logits[i]) / total);
        for (uint32_t i = 0; i < n; i++) {
            list[i] = (struct ranked){logits[i], (float)(exp(logits[i]) / total), (int32_t)i};
            deviation[i] = fabs(-log(exp(logits[i]) / total) - entropy);
        }
        qsort(list, n, sizeof *list, compare_deviation);
        while (n_kept < n && sum < p) sum += list[n_kept++].p;
        qsort(list, n_kept, sizeof *list, compare_id);
        struct sample_params s = {.temperature = 1, .top_p = 1, .typical_p = (float)p};
        struct sample_distribution dist;
        assert_true(sample_distribution(&s, logits, n, &scratch, &dist));
        if (dist.n != n_kept) fail_msg("n %u, typical %g: %u kept, want %u", n, p, dist.n, n_kept);
        for (uint32_t i = 0; i < n_kept; i++)
            if (dist.ids[i] != list[i].id)
                fail_msg("n %u, typical %g: kept %d at %u, want %d", n, p, dist.ids[i], i, list[i].id);
    }
}

/* Another order is another distribution, and the usual one named is the usual distribution, bit for bit. */
static void test_chains(void **state) {
    (void)state;
    const float logits[] = {logf(2), logf(8), logf(4), logf(5), logf(1)};
    struct sample_params s = {.temperature = 0.5f, .top_p = 1, .min_p = 0.55f, .chain = "mt"};
    check_distribution("m t", &s, logits, 5, (double[]){0, 64 / 89., 0, 25 / 89., 0});
    s.chain = "tm"; /* 25 of 64 is less than 0.55 */
    check_distribution("t m", &s, logits, 5, (double[]){0, 1, 0, 0, 0});
    s.chain = "m";
    check_distribution("m alone", &s, logits, 5, (double[]){0, 8 / 13., 0, 5 / 13., 0});
    s.chain = "";
    check_distribution("nothing", &s, logits, 5, (double[]){0.1, 0.4, 0.2, 0.25, 0.05});
    s = plain, s.top_k = 3, s.top_p = 0.7f, s.chain = "pk"; /* of 20: 8 + 5 + 4; of 17, in the other order, 8 + 5 do */
    check_distribution("p k", &s, logits, 5, (double[]){0, 8 / 17., 4 / 17., 5 / 17., 0});
    s.chain = "kp";
    check_distribution("k p", &s, logits, 5, (double[]){0, 8 / 13., 0, 5 / 13., 0});
    s = plain, s.temperature = 0, s.typical_p = 0.2f; /* E[logit] is 1.51: 5 is nearest, 8 next */
    check_distribution("typical, temperature 0", &s, logits, 5, (double[]){0, 0, 0, 1, 0});
    static float many[MAX_N], usual_w[MAX_N];
    static int32_t usual_ids[MAX_N];
    for (uint64_t round = 0; round < 300; round++) {
        uint64_t key = rng_fold(79, round);
        uint32_t n = 2 + rng_below(key, 1, 900);
        for (uint32_t i = 0; i < n; i++) many[i] = (float)(rng_uniform(key, 10 + i) * 12);
        struct sample_params a = {.temperature = 0.3f, .top_k = rng_below(key, 2, 60), .top_p = 0.9f, .min_p = 0.02f},
                             b = a;
        struct sample_distribution x, y;
        b.chain = "kypmt";
        assert_true(sample_distribution(&a, many, n, &scratch, &x));
        memcpy(usual_w, x.w, x.n * sizeof *x.w), memcpy(usual_ids, x.ids, x.n * sizeof *x.ids);
        assert_true(sample_distribution(&b, many, n, &scratch, &y));
        if (x.n != y.n || x.mass != y.mass || x.max != y.max || x.total != y.total)
            fail_msg("n %u: %u kept, mass %.17g; named %u, %.17g", n, x.n, x.mass, y.n, y.mass);
        assert_memory_equal(usual_ids, y.ids, x.n * sizeof *x.ids);
        assert_memory_equal(usual_w, y.w, x.n * sizeof *x.w);
    }
}

/* Long vocabularies: the block walk of the draw must reach every part of it evenly. */
static void test_long_flat(void **state) {
    (void)state;
    enum { N = 1000, DRAWS = 100000 };
    static float logits[N];
    static uint32_t count[N];
    memset(count, 0, sizeof count);
    for (uint64_t k = 0; k < DRAWS; k++) count[sample_token(&plain, logits, N, 5, k, &scratch, NULL)]++;
    double chi = 0;
    for (int i = 0; i < N; i++) chi += (count[i] - 100.) * (count[i] - 100.) / 100;
    if (chi < 800 || chi > 1220) fail_msg("chi-square %.1f over %d equal cells", chi, N);
}

/* A filter that drops nothing changes nothing, not even the draw. */
static void test_idle_filters(void **state) {
    (void)state;
    enum { N = 300 };
    static float logits[N];
    for (uint64_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < N; i++) logits[i] = (float)(rng_uniform(round, i) * 5);
        struct sample_params idle = {.temperature = 0.8f, .top_k = N + 5, .top_p = 1, .min_p = 1e-30f}, off = plain;
        off.temperature = idle.temperature;
        for (uint64_t k = 0; k < 50; k++) {
            int32_t a = sample_token(&idle, logits, N, 6, k, &scratch, NULL);
            int32_t b = sample_token(&off, logits, N, 6, k, &scratch, NULL);
            if (a != b)
                fail_msg("round %u, draw %u: %d with idle filters, %d without", (unsigned)round, (unsigned)k, a, b);
        }
    }
}

/* Edges: */

static int32_t once(const struct sample_params *s, const float *logits, uint32_t n, float *logprob) {
    return sample_token(s, logits, n, 1, 2, &scratch, logprob);
}

static void test_greedy(void **state) {
    (void)state;
    const float logits[] = {1, 3, 2, 3, -INFINITY, 3};
    struct sample_params greedy = {.temperature = 0, .top_p = 1};
    float logprob;
    assert_int_equal(once(&greedy, logits, 6, &logprob), 1);
    assert_true(fabs(logprob - (3 - log(3 * exp(3) + exp(2) + exp(1)))) < 1e-6);
    greedy.top_k = 2, greedy.top_p = 0.1f, greedy.min_p = 1;
    assert_int_equal(once(&greedy, logits, 6, NULL), 1);
    greedy.temperature = -1;
    assert_int_equal(once(&greedy, logits, 6, NULL), 1);
    greedy.temperature = NAN;
    assert_int_equal(once(&greedy, logits, 6, NULL), 1);
    const float zeros[] = {-1, -0.0f, 0.0f};
    assert_int_equal(once(&greedy, zeros, 3, NULL), 1);
}

static void test_single_survivors(void **state) {
    (void)state;
    float logits[100];
    for (int i = 0; i < 100; i++) logits[i] = -INFINITY;
    logits[73] = -1e30f;
    static const float temperatures[] = {0, 1e-30f, 1e-6f, 1, 1e6f, FLT_MAX, INFINITY};
    for (size_t t = 0; t < sizeof temperatures / sizeof *temperatures; t++)
        for (int filters = 0; filters < 4; filters++) {
            struct sample_params s = {
                .temperature = temperatures[t], .top_k = filters & 1 ? 5 : 0, .top_p = filters & 2 ? 0.9f : 1};
            float logprob = 1;
            if (once(&s, logits, 100, &logprob) != 73 || logprob != 0)
                fail_msg("temperature %g, filters %d: not 73 with log-probability 0 (%g)", s.temperature, filters,
                         logprob);
            if (once(&s, logits + 73, 1, &logprob) != 0 || logprob != 0)
                fail_msg("n = 1, temperature %g", s.temperature);
        }
}

static void test_all_equal(void **state) {
    (void)state;
    float logits[10];
    for (int i = 0; i < 10; i++) logits[i] = -7.5f;
    double tenth[10], half[10] = {0.2, 0.2, 0.2, 0.2, 0.2}, third[10] = {1 / 3., 1 / 3., 1 / 3.}, first[10] = {1};
    for (int i = 0; i < 10; i++) tenth[i] = 0.1;
    struct sample_params s = plain;
    check_distribution("equal", &s, logits, 10, tenth);
    s.min_p = 1; /* keeps all that are as likely as the first */
    check_distribution("equal, min-p 1", &s, logits, 10, tenth);
    s = plain, s.top_p = 0.5f; /* ties to lower ids */
    check_distribution("equal, top-p 0.5", &s, logits, 10, half);
    s = plain, s.top_k = 3;
    check_distribution("equal, top-k 3", &s, logits, 10, third);
    s = plain, s.top_p = 0;
    check_distribution("equal, top-p 0", &s, logits, 10, first);
    s = plain, s.top_k = 1;
    check_distribution("equal, top-k 1", &s, logits, 10, first);
}

static void test_extreme_filters(void **state) {
    (void)state;
    const float logits[] = {0.5f, 2, 1.5f, -3};
    static const double second[] = {0, 1, 0, 0};
    const float p[] = {expf(0.5f), expf(2), expf(1.5f), expf(-3)};
    double sum = (double)p[0] + p[1] + p[2] + p[3], soft[4];
    for (int i = 0; i < 4; i++) soft[i] = p[i] / sum;
    struct sample_params s = plain;
    s.min_p = 1;
    check_distribution("min-p 1", &s, logits, 4, second);
    s.min_p = 7; /* the largest always stays */
    check_distribution("min-p 7", &s, logits, 4, second);
    s = plain, s.top_p = 0;
    check_distribution("top-p 0", &s, logits, 4, second);
    s.top_p = -100;
    check_distribution("top-p -100", &s, logits, 4, second);
    s = plain, s.top_k = 4;
    check_distribution("top-k n", &s, logits, 4, soft);
    s.top_k = UINT32_MAX;
    check_distribution("top-k above n", &s, logits, 4, soft);
    s = plain, s.top_p = 2;
    check_distribution("top-p 2", &s, logits, 4, soft);
}

static void test_unusable(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY};
    struct sample_params s[3] = {plain, {.top_p = 1}, {.temperature = 0.7f, .top_k = 3, .top_p = 0.9f, .min_p = 0.1f}};
    for (int k = 0; k < 3; k++) {
        for (uint32_t n = 1; n < 40; n++)
            for (uint32_t at = 0; at < n; at++)
                for (int b = 0; b < 2; b++) {
                    float logits[40];
                    for (uint32_t i = 0; i < n; i++) logits[i] = (float)i;
                    logits[at] = bad[b];
                    int32_t got = once(&s[k], logits, n, NULL);
                    if (got != -1) fail_msg("params %d, n %u, %g at %u: got %d, want -1", k, n, bad[b], at, got);
                }
        float none[20];
        for (int i = 0; i < 20; i++) none[i] = -INFINITY;
        assert_int_equal(once(&s[k], none, 20, NULL), -1);
        assert_int_equal(once(&s[k], none, 0, NULL), -1);
    }
}

/* Logits that differ by more than a float holds, and ones so far apart that all but one vanish. */
static void test_extreme_logits(void **state) {
    (void)state;
    const float wide[] = {-FLT_MAX, FLT_MAX, -FLT_MAX, 0}, far[] = {10000, 9000, 10000, -10000};
    static const float temperatures[] = {1e-6f, 1, 3, 1e6f};
    for (size_t t = 0; t < 4; t++) {
        struct sample_params s = {.temperature = temperatures[t], .top_p = 1};
        float logprob;
        assert_int_equal(once(&s, wide, 4, &logprob), 1);
        assert_true(logprob == 0);
        if (s.temperature > 100) continue; /* then even 1000 apart is close */
        check_distribution("far apart", &s, far, 4, (double[]){0.5, 0, 0.5, 0});
        once(&s, far, 4, &logprob);
        assert_true(fabs(logprob + log(2)) < 1e-6);
    }
}

/* Temperatures whose inverse is 0 or infinite as a float. */
static void test_extreme_temperatures(void **state) {
    (void)state;
    const float logits[] = {2, 1, -INFINITY, 2, -INFINITY};
    struct sample_params s = plain;
    s.temperature = 1e-40f;
    check_distribution("temperature 1e-40", &s, logits, 5, (double[]){0.5, 0, 0, 0.5, 0});
    s.temperature = INFINITY;
    check_distribution("temperature infinite", &s, logits, 5, (double[]){1 / 3., 1 / 3., 0, 1 / 3., 0});
}

/* The same answer whatever the scratch held before, and none of the neighbours touched. */
static void test_scratch(void **state) {
    (void)state;
    enum { N = 70 };
    float logits[N], p[2][N + 2];
    int32_t ids[2][N + 2];
    for (uint32_t i = 0; i < N; i++) logits[i] = (float)rng_uniform(11, i);
    struct sample_params s = {.temperature = 0.9f, .top_k = 20, .top_p = 0.8f, .min_p = 0.01f};
    int32_t got[2];
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < N + 2; i++) p[k][i] = k ? NAN : 12, ids[k][i] = k ? -77 : 1 << 30;
        struct sample_scratch mine = {p[k] + 1, ids[k] + 1};
        got[k] = sample_token(&s, logits, N, 3, 9, &mine, NULL);
        assert_true(k ? isnan(p[k][0]) && isnan(p[k][N + 1]) : p[k][0] == 12 && p[k][N + 1] == 12);
        assert_int_equal(ids[k][0], ids[k][N + 1]);
        assert_int_equal(ids[k][0], k ? -77 : 1 << 30);
    }
    assert_int_equal(got[0], got[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_sorting),
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_typical_against_sorting),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_long_flat),
        cmocka_unit_test(test_idle_filters),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_single_survivors),
        cmocka_unit_test(test_all_equal),
        cmocka_unit_test(test_extreme_filters),
        cmocka_unit_test(test_unusable),
        cmocka_unit_test(test_extreme_logits),
        cmocka_unit_test(test_extreme_temperatures),
        cmocka_unit_test(test_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
