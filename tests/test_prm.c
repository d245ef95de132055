/* test_prm.c: reward models: keys, step values, aggregation, calibration.
 * Not chains read step by step: test_eval_model.c.
 * Next: test_eval_model.c. */
#include "tests/tiny_model.h"

#include "prm/calibration.h"

/* ---- aggregation and keys ---- */

static void chains_are_aggregated(void **state) {
    (void)state;
    struct prm_chain c = {0};
    for (int a = AGG_LAST; a <= AGG_MEAN; a++) assert_true(prm_chain_value(&c, (enum prm_agg)a) == 0.5f);
    static const float v[] = {0.5f, 0.25f, 0.75f, 1};
    static const float want[][4] = {{0.5f, 0.5f, 0.5f, 0.5f},
                                    {0.25f, 0.25f, 0.125f, 0.375f},
                                    {0.75f, 0.25f, 0.09375f, 0.5f},
                                    {1, 0.25f, 0.09375f, 0.625f}};
    for (int i = 0; i < 4; i++) {
        prm_chain_add(&c, v[i]);
        for (int a = AGG_LAST; a <= AGG_MEAN; a++)
            if (prm_chain_value(&c, (enum prm_agg)a) != want[i][a])
                fail_msg("%s of %d steps: %g, expected %g", prm_agg_name((enum prm_agg)a), i + 1,
                         (double)prm_chain_value(&c, (enum prm_agg)a), (double)want[i][a]);
    }
    assert_int_equal(c.n_steps, 4);
}

static void aggregations_have_names(void **state) {
    (void)state;
    static const char *const names[] = {"last", "min", "product", "mean"};
    enum prm_agg a;
    for (int i = 0; i < 4; i++) {
        assert_string_equal(prm_agg_name((enum prm_agg)i), names[i]);
        assert_true(prm_agg_from_name(names[i], &a));
        assert_int_equal(a, i);
    }
    assert_false(prm_agg_from_name("max", &a));
    assert_false(prm_agg_from_name("", &a));
    assert_false(prm_agg_from_name("lastly", &a));
}

static void outputs_become_values(void **state) {
    (void)state;
    assert_true(prm_value(0) == 0.5f);
    assert_true(prm_value(INFINITY) == 1 && prm_value(-INFINITY) == 0 && prm_value(NAN) == 0);
    for (float x = -100; x < 100; x += 0.37f) {
        float p = prm_value(x);
        assert_true(p >= 0 && p <= 1 && fabs(p - 1 / (1 + exp(-(double)x))) < 1e-6);
    }
}

/* Against the definitions: all pairs for the area; one bin per item when there are at most 15. */
static void calibration_is_measured(void **state) {
    (void)state;
    struct judged items[40];
    for (size_t n = 0; n <= 40; n += n < 4 ? 1 : 6) {
        double pairs = 0, wins = 0, brier = 0, ece = 0;
        for (size_t i = 0; i < n; i++)
            items[i] = (struct judged){(float)rng_below(n, i, 9) / 8, rng_below(n, 100 + i, 3) == 0};
        for (size_t i = 0; i < n; i++) {
            double d = (double)items[i].score - items[i].truth;
            brier += d * d / (double)n, ece += fabs(d) / (double)n;
            for (size_t k = 0; k < n; k++)
                if (items[i].truth && !items[k].truth)
                    pairs++, wins += items[i].score > items[k].score ? 1 : items[i].score == items[k].score ? 0.5 : 0;
        }
        struct calibration c = calibrate(items, n);
        assert_int_equal(c.n, n);
        if (pairs > 0) assert_true(fabs(c.auc - wins / pairs) < 1e-12);
        else assert_true(isnan(c.auc));
        if (n == 0) assert_true(isnan(c.brier) && isnan(c.ece));
        else assert_true(fabs(c.brier - brier) < 1e-12 && (n > 15 || fabs(c.ece - ece) < 1e-12));
    }
    for (size_t i = 0; i < 30; i++)
        items[i] = (struct judged){0.5f, (int)(i % 2)}; /* two to a bin: their mean is right */
    assert_true(calibrate(items, 30).ece < 0.5 && calibrate(items, 30).auc == 0.5);
    for (size_t i = 0; i < 30; i++) items[i] = (struct judged){(float)i, i >= 10};
    assert_true(calibrate(items, 30).auc == 1 && calibrate(items, 30).n_true == 20);
}

/* NULL kind or agg, or token UINT32_MAX: no such key.  number: prm.kind is a number. */
static struct model *prm_file(enum net_head head, const char *kind, uint32_t token, const char *agg, bool number) {
    struct model_config c = tiny_config(1, 8, 1, 1, 8);
    struct net *n = tiny_net(&c, head, 1);
    struct gguf_writer *w;
    struct error e;
    void *store;
    GOOD(gguf_writer_new(&w, &e));
    GOOD(net_write(n, "x", TYPE_F32, w, &store, &e));
    if (kind) gguf_add_string(w, "prm.kind", kind);
    if (number) gguf_add_u32(w, "prm.kind", 1);
    if (token != UINT32_MAX) gguf_add_u32(w, "prm.step_token_id", token);
    if (agg) gguf_add_string(w, "prm.aggregation", agg);
    GOOD(gguf_write(w, tiny_path("prm.gguf"), &e));
    gguf_writer_free(&w), mem_free(store), net_free(&n);
    return tiny_open(tiny_path("prm.gguf"));
}

static void info_fails(struct model *m, const char *part) {
    struct prm_info info;
    struct error e = {""};
    assert_int_equal(prm_info_read(m, &info, &e), ERR_INPUT);
    if (!strstr(e.text, part) || !strstr(e.text, "prm.gguf") || strchr(e.text, '\n'))
        fail_msg("\"%s\" should name the file and \"%s\" in one line", e.text, part);
    model_close(&m);
}

static void keys_are_read_and_checked(void **state) {
    (void)state;
    struct prm_info info;
    struct error e;
    struct model *m = prm_file(NET_VALUE, "value", 18, "product", false);
    GOOD(prm_info_read(m, &info, &e));
    assert_int_equal(info.agg, AGG_PRODUCT);
    assert_int_equal(info.step_token, 18);
    model_close(&m);
    m = prm_file(NET_VALUE, "value", 0, NULL, false);
    GOOD(prm_info_read(m, &info, &e));
    assert_int_equal(info.agg, AGG_LAST);
    model_close(&m);
    info_fails(prm_file(NET_LM, NULL, UINT32_MAX, NULL, false), "no reward model");
    info_fails(prm_file(NET_VALUE, "values", 3, "last", false), "prm.kind \"values\"");
    info_fails(prm_file(NET_VALUE, "valu", 3, "last", false), "prm.kind \"valu\"");
    info_fails(prm_file(NET_VALUE, "value", UINT32_MAX, "last", false), "prm.step_token_id");
    info_fails(prm_file(NET_VALUE, "value", 19, "last", false), "prm.step_token_id"); /* the vocabulary has 19 */
    info_fails(prm_file(NET_VALUE, "value", 3, "max", false), "prm.aggregation \"max\"");
    info_fails(prm_file(NET_VALUE, "value", 3, "last but one, and some more", false), "prm.aggregation");
    info_fails(prm_file(NET_VALUE, NULL, 3, "last", true), "prm.kind");
    info_fails(prm_file(NET_LM, "value", 3, "last", false), "prm.head.weight"); /* outputs would be a vocabulary wide */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_are_aggregated),     cmocka_unit_test(aggregations_have_names),
        cmocka_unit_test(outputs_become_values),     cmocka_unit_test(calibration_is_measured),
        cmocka_unit_test(keys_are_read_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
