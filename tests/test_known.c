/* test_known.c: numbers whose right value is known from elsewhere, and the edges where a rule changes.
 * Not the parts that use them.
 * Next: solve/eval_run.h, prm/calibration.h, model/rope.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/stats.h"
#include "model/kv.h"
#include "model/rope.h"
#include "model/sample.h"
#include "ops/quant.h"
#include "prm/calibration.h"
#include "solve/eval_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void near(const char *what, double got, double want, double most) {
    if (!(fabs(got - want) <= most)) fail_msg("%s: %.12g, expected %.12g", what, got, want);
}

/* -- the summary of an eval -- */

static struct summary summary_of(struct score *scores, uint32_t n) {
    const struct problems p = {.n = n};
    return eval_summary(&(struct eval_run){.problems = &p, .scores = scores});
}

/* Wilson's interval at z = 1.959964, by the closed form in another program. */
static void test_wilson(void **state) {
    (void)state;
    static const struct {
        uint32_t correct, n;
        double low, high;
    } cases[] = {{8, 10, 0.49016247, 0.94331785}, {0, 20, 0, 0.16112516}, {20, 20, 0.83887484, 1},
                 {1, 3, 0.06149194, 0.79234040},  {0, 0, 0, 1},           {500, 1000, 0.46906960, 0.53093040}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct score *scores = calloc(cases[i].n + 1, sizeof *scores);
        for (uint32_t k = 0; k < cases[i].n; k++)
            scores[k] = (struct score){.done = true, .correct = k < cases[i].correct};
        struct summary s = summary_of(scores, cases[i].n);
        assert_int_equal(s.n, cases[i].n);
        assert_int_equal(s.correct, cases[i].correct);
        near("low", s.ci95.low, cases[i].low, 1e-6);
        near("high", s.ci95.high, cases[i].high, 1e-6);
        free(scores);
    }
}

static void test_times(void **state) {
    (void)state;
    static const struct {
        uint32_t n;
        double median, p95; /* of 1, 2, ... n ms: the smallest time that 95% do not pass */
    } cases[] = {{1, 1, 1}, {2, 1.5, 2}, {3, 2, 3}, {19, 10, 19}, {20, 10.5, 19}, {22, 11.5, 21}, {100, 50.5, 95}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct score scores[128] = {0};
        for (uint32_t k = 0; k < cases[i].n; k++) /* in no order, with one between them that is not done */
            scores[k * 7 % cases[i].n + (k * 7 % cases[i].n >= cases[i].n / 2)] =
                (struct score){.done = true, .ms = k + 1, .why = k % 2 ? WHY_DONE : WHY_TIME, .cost = {.forks = 2}};
        uint32_t n = cases[i].n;
        struct summary s = summary_of(scores, n + 1);
        near("median", s.median_ms, cases[i].median, 1e-12);
        near("p95", s.p95_ms, cases[i].p95, 1e-12);
        assert_int_equal(s.by_why[WHY_TIME], (n + 1) / 2);
        assert_int_equal(s.by_why[WHY_DONE], n / 2);
        assert_int_equal(s.cost.forks, 2 * n);
    }
}

/* -- paired comparisons -- */

/* Agresti's approval ratings (150 and 86; exact2x2 of R prints 3.716e-05), and sums of binomial coefficients as fractions. */
static void test_mcnemar(void **state) {
    (void)state;
    static const struct {
        uint64_t b, c;
        double p;
    } cases[] = {{86, 150, 3.715936139571e-05},
                 {0, 0, 1},
                 {1, 0, 1},
                 {5, 5, 1},
                 {3, 10, 0.09228515625},
                 {59, 6, 4.96465032713e-12},
                 {12, 31, 0.00540157265459},
                 {480, 520, 0.217448293204},
                 {0, 40, 1.81898940355e-12},
                 {1000, 1200, 2.18170264079e-05}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        near("p", stats_mcnemar(cases[i].b, cases[i].c) / cases[i].p, 1, 1e-7);
        near("p, turned round", stats_mcnemar(cases[i].c, cases[i].b) / cases[i].p, 1, 1e-7);
    }
    near("p of a million", stats_mcnemar(0, 1000000), 0, 0);
}

/* The mean of 200 numbers 0 and 1: each item is drawn once on average, and means of samples scatter as p(1 - p) / n says. */
static void test_bootstrap(void **state) {
    (void)state;
    enum { N = 200, ROUNDS = 4000, RIGHT = 60 };
    static double means[ROUNDS];
    uint32_t item[N], again[N], drawn[N] = {0};
    for (uint32_t r = 0; r < ROUNDS; r++) {
        stats_resample(7, r, N, item);
        for (uint32_t i = 0; i < N; i++) means[r] += item[i] < RIGHT ? 1.0 / N : 0, drawn[item[i]]++;
    }
    stats_resample(7, ROUNDS - 1, N, again);
    assert_memory_equal(item, again, sizeof item);
    stats_resample(8, ROUNDS - 1, N, again);
    assert_memory_not_equal(item, again, sizeof item);
    for (uint32_t i = 0; i < N; i++) near("draws of an item", drawn[i], ROUNDS, 6 * sqrt(ROUNDS));
    struct interval ci = stats_percentiles(means, ROUNDS);
    double p = (double)RIGHT / N, half = 1.96 * sqrt(p * (1 - p) / N);
    near("low", ci.low, p - half, 0.01);
    near("high", ci.high, p + half, 0.01);
}

/* -- calibration -- */

static void test_calibration(void **state) {
    (void)state;
    struct judged one_a_bin[15], two_a_bin[30];
    double gap = 0, brier = 0;
    for (int i = 0; i < 15; i++) {
        one_a_bin[14 - i] = (struct judged){(float)(i / 16.0), i % 3 == 0};
        gap += fabs(i / 16.0 - (i % 3 == 0)) / 15;
        brier += (i / 16.0 - (i % 3 == 0)) * (i / 16.0 - (i % 3 == 0)) / 15;
    }
    struct calibration c = calibrate(one_a_bin, 15);
    near("ece", c.ece, gap, 1e-9);
    near("brier", c.brier, brier, 1e-9);
    assert_int_equal(c.n_true, 5);
    near("auc", c.auc, 20.0 / 50, 1e-12); /* pairs in which 0, 3, 6, 9, 12 is above another: 0 + 2 + 4 + 6 + 8 */
    /* Bins of 0.25 and 0.75 with one of two true: their mean score against 1/2. */
    for (int i = 0; i < 30; i++) two_a_bin[i] = (struct judged){i < 16 ? 0.25f : 0.75f, i % 2};
    near("ece of pairs", calibrate(two_a_bin, 30).ece, 0.25, 1e-9);
    /* Nobody is right: the gap is the mean score, however 20 are cut into 15 bins. */
    for (int i = 0; i < 20; i++) two_a_bin[i] = (struct judged){(float)(i / 32.0), 0};
    near("ece of 20", calibrate(two_a_bin, 20).ece, 9.5 / 32, 1e-9);
    struct judged ties[] = {{0.5f, 1}, {0.5f, 0}, {0.5f, 0}, {0.9f, 1}};
    near("auc with ties", calibrate(ties, 4).auc, (0.5 + 0.5 + 1 + 1) / 4, 1e-12);
    struct judged alike[] = {{0.1f, 1}, {0.9f, 1}};
    assert_true(isnan(calibrate(alike, 2).auc) && isnan(calibrate(alike, 0).ece));
}

/* -- RoPE -- */

static struct model rope_model(uint32_t dim) {
    struct model m = {0};
    m.config.rope_dim = dim, m.config.rope_base = 10000, m.config.rope_base_local = 10000;
    return m;
}

/* YaRN's paper, appendix A.2, evaluated elsewhere: 128 dimensions, 4096 tokens stretched four times; the ramp goes
 * from pair 20 to 46. */
static void test_yarn(void **state) {
    (void)state;
    static const struct {
        uint32_t pair;
        double angle;
    } cases[] = {{0, 1},
                 {20, 0.05623413251903491},
                 {21, 0.047292038501684786},
                 {30, 0.009488517882700576},
                 {40, 0.0013378867023789297},
                 {45, 0.0004294025889973583},
                 {46, 0.000333380358040831},
                 {50, 0.00018747355233311396},
                 {63, 2.8869549617236455e-05}};
    enum { TOKENS = 5, DIM = 128 };
    struct model m = rope_model(DIM);
    m.config.scaling = (struct rope_scaling){
        .freq_scale = 0.25f, .yarn = 1, .beta_fast = 32, .beta_slow = 1, .n_ctx_orig = 4096, .magnitude = 1.1386294f};
    static float table[TOKENS * DIM];
    rope_fill(&m, false, TOKENS, table);
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int pos = 0; pos < TOKENS; pos++) {
            const float *cs = table + pos * DIM + 2 * cases[i].pair;
            near("cosine", (double)cs[0], 1.1386294 * cos(pos * cases[i].angle), 1e-6);
            near("sine", (double)cs[1], 1.1386294 * sin(pos * cases[i].angle), 1e-6);
        }
    rope_fill(&m, true, TOKENS, table); /* window layers are not stretched */
    near("local", (double)table[DIM + 2 * 63 + 1], sin(pow(10000, -126.0 / 128)), 1e-7);
    near("local", (double)table[DIM], cos(1), 1e-7);
}

/* What a plain model's file says, and the flags. */
static struct model set_rope(struct rope_options o) {
    struct model m = rope_model(128);
    struct error e;
    m.config.n_ctx = 4096;
    m.config.scaling = (struct rope_scaling){.freq_scale = 1,
                                             .magnitude = 1,
                                             .beta_fast = 32,
                                             .beta_slow = 1,
                                             .n_ctx_orig = 4096,
                                             .ext_factor = -1,
                                             .attn_factor = 1,
                                             .all_factor = 1};
    if (config_set_rope(&m.config, &o, &e)) fail_msg("%s", e.text);
    return m;
}

/* The cosine of a pair at a position. */
static double rope_cosine(const struct model *m, uint32_t pair, uint32_t pos) {
    static float table[64 * 128];
    rope_fill(m, false, 64, table);
    return (double)table[pos * 128 + 2 * pair];
}

/* As llama.cpp's flags: what they are worth is written down here from its README and YaRN's paper. */
static void test_rope_flags(void **state) {
    (void)state;
    const double f = pow(10000, -60.0 / 128), slow = pow(10000, -120.0 / 128); /* pairs 30 and 60 */
    struct rope_options o = {.ext_factor = -1};
    struct model m = set_rope(o);
    near("as the file", rope_cosine(&m, 30, 50), cos(50 * f), 1e-6);
    assert_int_equal(m.config.n_ctx, 4096);
    o.scaling = "linear", o.scale = 4;
    m = set_rope(o);
    near("linear", rope_cosine(&m, 30, 50), cos(50 * f / 4), 1e-6);
    assert_int_equal(m.config.n_ctx, 4096);
    o = (struct rope_options){.ext_factor = -1, .freq_scale = 0.5, .freq_base = 500}; /* without a word: linear */
    m = set_rope(o);
    near("base", rope_cosine(&m, 30, 50), cos(50 * pow(500, -60.0 / 128) / 2), 1e-6);
    o.scaling = "none";
    m = set_rope(o);
    near("none", rope_cosine(&m, 30, 50), cos(50 * pow(500, -60.0 / 128)), 1e-6);
    o = (struct rope_options){.ext_factor = -1, .scaling = "yarn", .freq_scale = 0.25};
    m = set_rope(o);
    near("yarn, in the ramp", rope_cosine(&m, 30, 50), 1.1386294 * cos(50 * 0.009488517882700576), 1e-5);
    near("yarn, below it", rope_cosine(&m, 60, 50), 1.1386294 * cos(50 * slow / 4), 1e-5);
    assert_int_equal(m.config.n_ctx, 16384);
    o.attn_factor = 3; /* with YaRN its own formula holds */
    m = set_rope(o);
    near("yarn, magnitude", (double)m.config.scaling.magnitude, 1.1386294, 1e-6);
    o.ext_factor = 0, o.orig_ctx = 1000; /* everything is stretched */
    m = set_rope(o);
    near("yarn without extrapolation", rope_cosine(&m, 30, 50), 3 * cos(50 * f / 4), 1e-5);
    assert_int_equal(m.config.n_ctx, 4000);
    o = (struct rope_options){
        .ext_factor = -1, .scaling = "yarn", .scale = 4, .orig_ctx = 256, .beta_fast = 8, .beta_slow = 2};
    m = set_rope(o); /* pair(turns) = 128 ln(256 / (2 pi turns)) / (2 ln 10000): 11.3 and 20.9 */
    const double keep = 1 - (15 - 11) / (21.0 - 11), g = pow(10000, -30.0 / 128);
    near("other ramp", rope_cosine(&m, 15, 50), 1.1386294 * cos(50 * (g * keep + g / 4 * (1 - keep))), 1e-5);
    struct error e;
    o.freq_scale = 0.25;
    assert_int_equal(config_set_rope(&m.config, &o, &e), ERR_INPUT);
}

/* Up to the original context the short factors count, from the next token on the long ones. */
static void test_longrope_at_its_edge(void **state) {
    (void)state;
    enum { DIM = 8, ORIGINAL = 12 };
    float brief[DIM / 2] = {1, 1, 1, 2}, wide[DIM / 2] = {1, 1, 1, 16}, table[2 * ORIGINAL * DIM];
    struct model m = rope_model(DIM);
    m.config.scaling.n_ctx_orig = ORIGINAL;
    m.rope_factors = brief, m.rope_factors_long = wide;
    for (uint32_t n = ORIGINAL - 1; n <= ORIGINAL + 1; n++) {
        rope_fill(&m, false, n, table);
        double angle = pow(10000, -6.0 / 8) / (n > ORIGINAL ? 16 : 2);
        near("longrope", (double)table[5 * DIM + 7], sin(5 * angle), 1e-7);
    }
}

/* -- sampling -- */

/* min-p = 1 keeps the largest and its equals, in a chain of samplers as in the usual order. */
static void test_min_p_of_one(void **state) {
    (void)state;
    static const float logits[2][6] = {{0, 1, 4, 3.5f, 4, -2}, {0, 5, 4, 3.5f, 4, -2}};
    static const char *const chains[] = {NULL, "m", "mt", "tm", "kypmt", "pm"};
    float p[6];
    int32_t ids[6];
    struct sample_scratch scratch = {p, ids};
    for (size_t c = 0; c < COUNT(chains); c++)
        for (int ties = 0; ties < 2; ties++) {
            struct sample_params s = {.temperature = 0.7f, .top_p = 1, .min_p = 1, .chain = chains[c]};
            struct sample_distribution d;
            assert_true(sample_distribution(&s, logits[!ties], 6, &scratch, &d));
            for (int32_t id = 0; id < 6; id++) {
                bool best = ties ? id == 2 || id == 4 : id == 1;
                near(chains[c] ? chains[c] : "usual", sample_probability(&d, id), best ? (ties ? 0.5 : 1) : 0, 1e-6);
            }
        }
}

/* -- the KV cache in q8_0, against rounding in double -- */

static double scale_error(uint16_t half, double wanted) { return fabs((double)f16_to_f32(half) - wanted); }

/* One group: the nearest f16 of max / 127, then the nearest multiples of that. */
static void check_group(const float *x, size_t n, const int8_t *q, size_t step, uint16_t half) {
    double most = 0, scale = (double)f16_to_f32(half);
    for (size_t d = 0; d < n; d++) most = fmax(most, fabs((double)x[d]));
    if (scale_error(half, most / 127) > scale_error((uint16_t)(half + 1), most / 127) ||
        (half && scale_error(half, most / 127) > scale_error((uint16_t)(half - 1), most / 127)))
        fail_msg("scale %g of %g", scale, most);
    for (size_t d = 0; d < n; d++) {
        double exact = scale > 0 ? fmin(127, fmax(-127, (double)x[d] / scale)) : 0;
        if (fabs(q[d * step] - exact) > 0.5 + 1e-4) fail_msg("%g as %d times %g", (double)x[d], q[d * step], scale);
    }
}

static void test_q8_0_cells(void **state) {
    (void)state;
    enum { HD = 40, GROUPS = 2, CELLS = KV_PAGE }; /* the second group has 8 numbers */
    struct kv *kv;
    struct error e;
    assert_int_equal(
        kv_new((struct kv_shape){.n_layer = 1, .n_head_kv = 1, .head_dim = HD, .type = KV_Q8_0}, 2, 1, 64, &kv, &e),
        OK);
    struct kv_holder *h = kv_holder_new(kv);
    uint32_t seq = kv_seq_new(kv, h);
    assert_int_equal(kv_reserve(kv, &(struct kv_need){seq, CELLS}, 1, &e), OK);
    uint32_t page = kv_table(kv, seq)[0];
    static float k[CELLS][HD], v[CELLS][HD];
    for (uint32_t t = 0; t < CELLS; t++) {
        float size = t == 3 ? 0 : ldexpf(1, (int)t - 12); /* one cell of zeros */
        for (uint32_t d = 0; d < HD; d++) {
            k[t][d] = size * (float)(rng_uniform(t, d) - 0.5);
            v[t][d] = size * (float)(rng_uniform(t + 100, d) - 0.5);
        }
        kv_write(kv, page, t, 0, 0, k[t], v[t]);
    }
    const int8_t *qk = (const int8_t *)kv_k(kv, page, 0, 0), *qv = (const int8_t *)kv_v(kv, page, 0, 0);
    const uint16_t *sk = (const uint16_t *)(const void *)(qk + HD * KV_PAGE),
                   *sv = (const uint16_t *)(const void *)(qv + HD * KV_PAGE);
    for (uint32_t t = 0; t < CELLS; t++)
        for (uint32_t g = 0; g < GROUPS; g++) {
            size_t from = g * KV_GROUP, n = g ? HD - KV_GROUP : KV_GROUP;
            check_group(k[t] + from, n, qk + from * KV_PAGE + t, KV_PAGE, sk[g * KV_PAGE + t]);
            check_group(v[t] + from, n, qv + t * HD + from, 1, sv[t * GROUPS + g]);
        }
    kv_holder_free(kv, &h);
    kv_free(&kv);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson),       cmocka_unit_test(test_times),
        cmocka_unit_test(test_mcnemar),      cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_calibration),  cmocka_unit_test(test_yarn),
        cmocka_unit_test(test_rope_flags),   cmocka_unit_test(test_longrope_at_its_edge),
        cmocka_unit_test(test_min_p_of_one), cmocka_unit_test(test_q8_0_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
