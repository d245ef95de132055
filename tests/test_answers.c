/* test_answers.c: rows that ask about answers or go on behind them, against second writings without a tree.
 * Not the verbs that they use: test_verbs.c.
 * Next: naive_chain.h. */
#include "search/search_internal.h"
#include "tests/naive_chain.h"

static double note(const char *name) {
    for (uint32_t i = 0; i < fx.res.n_notes; i++)
        if (!strcmp(fx.res.notes[i].name, name)) return fx.res.notes[i].value;
    fail_msg("%s: no note %s", fx.strategy, name);
    return NAN;
}

/* The policy behind another prompt: that of toy_eval.h's begin. */
static uint64_t prompt_salt(const struct toy_world *w, enum ask ask, const char *about, const char *text) {
    uint64_t salt = 1000 + toy_hash(w, about, 100 + (uint64_t)ask);
    for (const char *c = text; *c; c++) salt = rng_fold(salt, (unsigned char)*c);
    return salt;
}

/* Steps of a chain as a text. */
static void add_lines(char *text, const char *digits) {
    for (size_t n = strlen(text), i = 0; digits[i]; i++)
        n += (size_t)sprintf(text + n, "%s%c", i ? "\n" : "", digits[i]);
}

/* ---- judge ---- */

/* An answer, how many chains have it, and the likeliest of those. */
struct stand {
    char answer[32], digits[TOY_MAX_DEPTH + 1];
    int votes, first;
    double logprob;
};

static struct trial {
    const struct toy_world *w;
    uint64_t seed, n_asked;
    int ties;
} trial;

/* What the judge says of a list: 1 to n, 0: nothing of the kind. */
static int judged(const struct stand *const *list, int n) {
    char text[1024] = "";
    for (int i = 0; i < n; i++) {
        sprintf(text + strlen(text), "%sSolution %d:\n", i ? "\n\n" : "", i + 1);
        add_lines(text, list[i]->digits);
    }
    uint64_t key = rng_fold(rng_fold(~trial.seed, trial.n_asked++), 0);
    int d = (int)toy_digit_salted(trial.w, "", key, 1, prompt_salt(trial.w, ASK_COMPARE, "", text));
    return d >= 1 && d <= n ? d : 0;
}

static int duel(const struct stand *a, const struct stand *b) {
    const struct stand *one[] = {a, b}, *two[] = {b, a};
    int x = judged(one, 2), y = judged(two, 2);
    if (x == 1 && y == 2) return 1;
    if (x == 2 && y == 1) return -1;
    trial.ties++;
    return 0;
}

static int by_votes(const void *x, const void *y) {
    const struct stand *a = x, *b = y;
    if (a->votes != b->votes) return b->votes - a->votes;
    if (a->logprob != b->logprob) return a->logprob < b->logprob ? 1 : -1;
    return a->first - b->first;
}

/* From the last step to the first, so that equal sums are equal to the bit. */
static double logprob_of(const struct toy_world *w, const char *digits) {
    char head[TOY_MAX_DEPTH + 1];
    double sum = 0;
    strcpy(head, digits);
    for (size_t n = strlen(head); n--;) {
        uint32_t d = (uint32_t)(head[n] - '0');
        head[n] = 0;
        sum += (double)(float)log(toy_p(w, head, d));
    }
    return sum;
}

static int stands_of(const struct toy_world *w, uint64_t seed, int n_chains, struct stand *s) {
    int n = 0;
    for (int i = 0; i < n_chains; i++) {
        struct chain c = naive_chain(w, seed, (uint32_t)i, 1);
        char answer[32];
        toy_answer_of(c.digits, answer, sizeof answer);
        if (c.end != STEP_FINISHED || !*answer) continue;
        int k = 0;
        while (k < n && strcmp(s[k].answer, answer)) k++;
        if (k == n) s[n] = (struct stand){.first = i, .logprob = -INFINITY}, strcpy(s[n++].answer, answer);
        s[k].votes++;
        double p = logprob_of(w, c.digits);
        if (p > s[k].logprob) s[k].logprob = p, s[k].first = i, strcpy(s[k].digits, c.digits);
    }
    qsort(s, (size_t)n, sizeof *s, by_votes);
    return n;
}

/* The winner's place, and its points over the most. */
static int winner_of(struct stand *s, int n, int form) {
    int left[16], points[16] = {0}, best = 0;
    for (int i = 0; i < n; i++) left[i] = i;
    if (form == 2) {
        const struct stand *list[16];
        for (int i = 0; i < n && i < 9; i++) list[i] = &s[i];
        int x = judged(list, n < 9 ? n : 9);
        trial.ties += !x;
        return x ? x - 1 : 0;
    }
    if (form == 1) {
        for (int a = 0; a < n; a++)
            for (int b = a + 1; b < n; b++) {
                int x = duel(&s[a], &s[b]);
                points[a] += 1 + x, points[b] += 1 - x;
            }
        for (int i = 1; i < n; i++)
            if (points[i] > points[best]) best = i;
        return best;
    }
    for (int m = n; m > 1; m = (m + 1) / 2)
        for (int i = 0; i < m; i += 2)
            left[i / 2] = i + 1 == m || duel(&s[left[i]], &s[left[i + 1]]) >= 0 ? left[i] : left[i + 1];
    return left[0];
}

static void the_judge_chooses_as_its_replies_say(void **state) {
    int n_judged = 0, n_turned = 0;
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int form = 0; form < 3; form++)
            for (uint64_t seed = 1; seed <= 12; seed++) {
                struct stand s[64];
                trial = (struct trial){.w = &worlds[i], .seed = seed};
                int n = stands_of(trial.w, seed, 12, s), best = n > 1 ? winner_of(s, n, form) : 0;
                fx_open("judge", trial.w);
                fx.common.seed = seed, fx.common.budget.simulations = 12;
                fx_set("form", form);
                fx_run();
                assert_int_equal(fx.status, OK);
                assert_true(note("judgements") == (double)trial.n_asked);
                assert_true(note("ties") == trial.ties);
                if (n && form != 1) { /* points of a round robin may be equal: then the better chain is the answer */
                    if (strcmp(fx.digits, s[best].digits))
                        fail_msg("world %d, form %d, seed %d: %s, naive %s", i, form, (int)seed, fx.digits,
                                 s[best].digits);
                }
                n_judged += n > 1, n_turned += best > 0;
                fx_close();
            }
    assert_true(n_judged > 50 && n_turned > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_judge_chooses_as_its_replies_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
