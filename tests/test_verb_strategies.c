/* test_verb_strategies.c: strategies that need more of an evaluator than steps and values, against brute force and second writings.
 * Not the verbs: test_verbs.c.
 * Next: naive_chain.h. */
#include "search/search_internal.h"
#include "tests/naive_chain.h"

/* ---- tokenbeam ---- */

/* All complete chains of a world by their probability: the whole tree, recursively.  A step is a digit and its end. */
static void best_of_all(const struct toy_world *w, char *digits, double sum, double alpha, double *best,
                        char *best_digits) {
    size_t n = strlen(digits);
    enum step_end end = n ? toy_end(w, digits) : STEP_SEPARATOR;
    if (end == STEP_FINISHED && sum / pow(2.0 * (double)n, alpha) > *best) {
        *best = sum / pow(2.0 * (double)n, alpha);
        strcpy(best_digits, digits);
    }
    if (end != STEP_SEPARATOR) return;
    for (uint32_t d = 0; d < w->width; d++) {
        double p = log(toy_p(w, digits, d));
        digits[n] = (char)('0' + d), digits[n + 1] = 0;
        best_of_all(w, digits, sum + (double)(float)p, alpha, best, best_digits);
        digits[n] = 0;
    }
}

/* The answer without what lies between steps. */
static void answer_digits(char *digits) {
    char text[128];
    search_chain_text(&fx.tree, fx.res.node, text, sizeof text);
    size_t n = 0;
    for (const char *c = text; *c; c++)
        if (*c >= '0' && *c <= '9') digits[n++] = *c;
    digits[n] = 0;
}

static void wide_tokenbeam_finds_the_likeliest_of_all(void **state) {
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int k = 0; k < 3; k++) {
            double alpha = k * 0.5, best = -INFINITY;
            char digits[TOY_MAX_DEPTH + 1] = "", want[TOY_MAX_DEPTH + 1] = "", got[128];
            if (i == 1) continue; /* 1296 chains: more than the widest beam */
            best_of_all(&worlds[i], digits, 0, alpha, &best, want);
            fx_open("tokenbeam", &worlds[i]);
            fx_set("width", 256), fx_set("length-penalty", alpha);
            fx_run();
            assert_int_equal(fx.status, OK);
            answer_digits(got);
            if (strcmp(got, want)) fail_msg("world %d: %s, of all %s", i, got, want);
            assert_true(fabs(fx.res.value - exp(best)) < 1e-5);
            fx_close();
        }
}

/* Beam search on strings, digit by digit: the end of a step has probability 1 and moves nobody. */
struct text {
    char digits[TOY_MAX_DEPTH + 1];
    double sum;
};

static int likelier(const void *x, const void *y) {
    const struct text *a = x, *b = y;
    return (a->sum < b->sum) - (a->sum > b->sum);
}

static void narrow_tokenbeam_is_beam_search_on_strings(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++)
        for (uint32_t width = 1; width <= 5; width++) {
            struct toy_world w = {.seed = seed, .width = 5, .depth = 6, .best = "012340"};
            struct text beams[8] = {{"", 0}}, next[64];
            uint32_t n = 1;
            char got[128];
            for (uint32_t depth = 0; depth < w.depth; depth++) {
                uint32_t m = 0;
                for (uint32_t i = 0; i < n; i++)
                    for (uint32_t d = 0; d < w.width; d++) {
                        next[m] = beams[i];
                        next[m].sum += log(toy_p(&w, beams[i].digits, d));
                        next[m].digits[depth] = (char)('0' + d), next[m++].digits[depth + 1] = 0;
                    }
                qsort(next, m, sizeof *next, likelier);
                n = m < width ? m : width;
                memcpy(beams, next, n * sizeof *beams);
            }
            fx_open("tokenbeam", &w);
            fx_set("width", width), fx_set("length-penalty", 0);
            fx_run();
            answer_digits(got);
            assert_string_equal(got, beams[0].digits);
            assert_int_equal(fx.res.n_finished, width);
            assert_true(fabs(log(fx.res.value) - beams[0].sum) < 1e-4);
            fx_close();
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_tokenbeam_finds_the_likeliest_of_all),
        cmocka_unit_test(narrow_tokenbeam_is_beam_search_on_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
