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

static void wide_tokenbeam_finds_the_likeliest_of_all(void **state) {
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int k = 0; k < 3; k++) {
            double alpha = k * 0.5, best = -INFINITY;
            char digits[TOY_MAX_DEPTH + 1] = "", want[TOY_MAX_DEPTH + 1] = "";
            if (i == 1) continue; /* 1296 chains: more than the widest beam */
            best_of_all(&worlds[i], digits, 0, alpha, &best, want);
            fx_open("tokenbeam", &worlds[i]);
            fx_set("width", 256), fx_set("length-penalty", alpha);
            fx_run();
            assert_int_equal(fx.status, OK);
            if (strcmp(fx.digits, want)) fail_msg("world %d: %s, of all %s", i, fx.digits, want);
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
            assert_string_equal(fx.digits, beams[0].digits);
            assert_int_equal(fx.res.n_finished, width);
            assert_true(fabs(log(fx.res.value) - beams[0].sum) < 1e-4);
            fx_close();
        }
}

/* ---- refine ---- */

/* The policy behind a prompt to revise: that of toy_eval.h's begin. */
static uint64_t revision_salt(const struct toy_world *w, const char *about, const char *note) {
    uint64_t salt = 1000 + toy_hash(w, about, 100 + ASK_REVISE);
    for (const char *c = note; *c; c++) salt = rng_fold(salt, (unsigned char)*c);
    return salt;
}

/* An attempt from its first key on; returns how it ended. */
static enum step_end attempt(const struct toy_world *w, uint64_t key, uint64_t salt, char *digits) {
    enum step_end end = STEP_SEPARATOR;
    *digits = 0;
    for (size_t n = 0; end == STEP_SEPARATOR; key = rng_fold(key, 0), n++) {
        uint32_t d = toy_digit_salted(w, digits, key, 1, salt);
        digits[n] = (char)('0' + d), digits[n + 1] = 0;
        end = toy_end(w, digits);
    }
    return end;
}

/* Attempts one after the other; a chain of revisions ends when the answer stays or the text did not come to its end. */
static void refine_revises_until_the_answer_stays(void **state) {
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (uint32_t rounds = 0; rounds <= 3; rounds++)
            for (uint64_t seed = 1; seed <= 5; seed++)
                for (int checked = 0; checked < 2; checked++) {
                    const struct toy_world *w = &worlds[i];
                    uint32_t wide = 3, try = 0, n_finished = 0, n_steps = 0;
                    char at[3][TOY_MAX_DEPTH + 1], before[3][32] = {"", "", ""};
                    bool alive[3] = {true, true, true}, solved = false;
                    for (uint32_t round = 0; round <= rounds && !solved; round++)
                        for (uint32_t c = 0; c < wide; c++) {
                            char answer[32], note[32] = "", next[TOY_MAX_DEPTH + 1];
                            if (!alive[c]) continue;
                            if (round) {
                                toy_answer_of(at[c], answer, sizeof answer);
                                if ((alive[c] = !*answer || strcmp(answer, before[c])) == false) continue;
                                strcpy(before[c], answer);
                                uint32_t right = 0;
                                while (at[c][right] && at[c][right] == w->best[right]) right++;
                                if (checked) snprintf(note, sizeof note, "%u right", right);
                            }
                            uint64_t salt = round ? revision_salt(w, at[c], note) : 0;
                            enum step_end end = attempt(w, rng_fold(seed, try++), salt, next);
                            n_steps += (uint32_t)strlen(next), n_finished += end == STEP_FINISHED;
                            alive[c] = end == STEP_FINISHED;
                            strcpy(at[c], next);
                            solved |= checked && alive[c] && !strcmp(next, w->best);
                        }
                    fx_open("refine", w);
                    if (checked) fx.toy.ev.check = toy_check, fx.toy.ev.can |= CAN_CHECK;
                    fx.common.seed = seed, fx.common.budget.simulations = wide * (1 + rounds);
                    fx_set("rounds", rounds), fx_set("pick", 0);
                    fx_run();
                    assert_int_equal(fx.status, OK);
                    if (fx.res.n_finished != n_finished && !solved)
                        fail_msg("world %d, %u rounds: %u attempts, naive %u", i, rounds, fx.res.n_finished,
                                 n_finished);
                    if (!solved) assert_int_equal(fx.tree.n, 1 + n_steps);
                    assert_int_equal(fx.res.why == WHY_SOLVED, solved);
                    fx_close();
                }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_tokenbeam_finds_the_likeliest_of_all),
        cmocka_unit_test(refine_revises_until_the_answer_stays),
        cmocka_unit_test(narrow_tokenbeam_is_beam_search_on_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
