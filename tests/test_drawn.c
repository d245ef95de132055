/* test_drawn.c: drawing without replacement, against all sequences and their probabilities written out.
 * Not the search that uses it: test_mcts.c.
 * Next: eval_world.h. */
#include "base/rng.h"
#include "search/drawn.h"
#include "tests/eval_world.h"

/* ---- the trie ---- */

/* Sequences of up to 4 tokens, each token 0 to 4; 0 ends one.  The distribution behind a prefix is a function of it. */
enum { TOKENS = 5, LONG = 4, ALL = 1024 };

static void distribution(uint64_t seed, const int32_t *ids, uint32_t n, double p[TOKENS]) {
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) seed = rng_fold(seed, (uint64_t)ids[i]);
    for (int t = 0; t < TOKENS; t++) sum += p[t] = 1 + rng_below(seed, (uint64_t)t, 9);
    for (int t = 0; t < TOKENS; t++) p[t] /= sum;
}

struct sequence {
    int32_t ids[LONG];
    uint32_t n;
    double p;
    bool drawn;
};
static struct sequence all[ALL];
static uint32_t n_all;

static void write_out(uint64_t seed, struct sequence s) {
    double p[TOKENS];
    if (s.n == LONG || (s.n && !s.ids[s.n - 1])) {
        assert_true(n_all < ALL);
        all[n_all++] = s;
        return;
    }
    distribution(seed, s.ids, s.n, p);
    for (int t = 0; t < TOKENS; t++) {
        struct sequence next = s;
        next.ids[next.n++] = t, next.p *= p[t];
        write_out(seed, next);
    }
}

/* P(next token is t | prefix, and none of those that were drawn), and how much is drawn behind the prefix. */
static double brute(const int32_t *ids, uint32_t n, int32_t t, double *used) {
    double with = 0, left = 0, whole = 0;
    for (uint32_t i = 0; i < n_all; i++) {
        if (all[i].n <= n || memcmp(all[i].ids, ids, n * sizeof *ids)) continue;
        whole += all[i].p;
        if (all[i].drawn) continue;
        left += all[i].p;
        if (all[i].ids[n] == t) with += all[i].p;
    }
    *used = 1 - left / whole;
    return with / left;
}

static void draws_are_those_of_what_is_left(void **state) {
    struct drawn *a;
    struct error e;
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        n_all = 0;
        write_out(seed, (struct sequence){.p = 1});
        GOOD(drawn_new(&a, &e));
        uint32_t roots[2] = {drawn_root(a), drawn_root(a)}, n_drawn = 0;
        for (uint64_t draw = 0; drawn_used(a, roots[1]) < 1; draw++) {
            struct sequence s = {.p = 1};
            float probabilities[LONG];
            float temperature = seed == 2 ? 0.5f : 1; /* logits are wider at a lower one, the draw is the same */
            uint32_t v = roots[1];
            do {
                double p[TOKENS], used, u = rng_uniform(rng_fold(seed, draw), s.n);
                float logits[TOKENS], sum = 0;
                int t = 0;
                distribution(seed, s.ids, s.n, p);
                for (int i = 0; i < TOKENS; i++) logits[i] = temperature * (float)log(p[i]);
                drawn_mask(a, v, temperature, logits, TOKENS);
                for (int i = 0; i < TOKENS; i++) sum += expf(logits[i] / temperature);
                for (int i = 0; i < TOKENS; i++) {
                    double want = brute(s.ids, s.n, i, &used), got = (double)(expf(logits[i] / temperature) / sum);
                    if (fabs(got - want) > 1e-3) fail_msg("draw %u: P(%d) = %g, by hand %g", n_drawn, i, got, want);
                    float bias = drawn_bias(a, v, temperature, i);
                    assert_true(isinf(bias) ? isinf(logits[i])
                                            : fabs(logits[i] - bias - temperature * (float)log(p[i])) < 1e-4);
                }
                assert_true(fabs(drawn_used(a, v) - used) < 1e-3);
                while (t + 1 < TOKENS && (u -= (double)(expf(logits[t] / temperature) / sum)) >= 0) t++;
                while (isinf(logits[t])) t--;
                probabilities[s.n] = (float)p[t], s.ids[s.n++] = t;
                v = drawn_next(a, v, t);
            } while (s.n < LONG && s.ids[s.n - 1]);
            uint32_t i = 0;
            while (all[i].n != s.n || memcmp(all[i].ids, s.ids, s.n * sizeof *s.ids)) i++;
            if (all[i].drawn) fail_msg("seed %d: a sequence comes twice", (int)seed);
            GOOD(drawn_note(a, roots[1], s.ids, probabilities, s.n, &e));
            size_t waiting = drawn_waiting(a);
            GOOD(drawn_note(a, roots[1], s.ids, probabilities, s.n, &e));
            if (draw % 2) drawn_forget(a, waiting); /* or it is added twice, which is once */
            GOOD(drawn_add(a, &e));
            all[i].drawn = true, n_drawn++;
        }
        assert_int_equal(n_drawn, n_all);
        assert_true(drawn_used(a, roots[0]) == 0); /* nobody drew behind that one */
        drawn_free(&a);
    }
}

/* ---- steps of a model ---- */

static struct step another(uint64_t key, uint32_t round) {
    struct step s = {.branch = forked(w.ev.root), .key = rng_fold(5, key), .temperature = 1, .apart = w.ev.root};
    s.round = round;
    return s;
}

/* Log-probability of a branch's step, read by a put of the same tokens. */
static float rated(branch_id b) {
    struct error e;
    struct put p = {.branch = forked(w.ev.root), .from = b, .rate = true};
    GOOD(w.ev.put(w.ev.self, &p, 1, &e));
    dropped(&p.branch);
    return p.logprob;
}

static void steps_differ_until_there_are_none(void **state) {
    static char texts[4096][16];
    (void)state;
    open_engines(roomy.n_pages);
    w.params.max_step_tokens = 2;
    open_eval();
    double sum = 0;
    uint32_t n = 0;
    for (;; n++) {
        struct step s = another(n, n + 1);
        extend(&s);
        if (fabs(s.left - (1 - sum)) > 1e-3) fail_msg("step %u: %g is left, by hand %g", n, s.left, 1 - sum);
        if (s.end == STEP_DEAD) {
            assert_int_equal(s.n_tokens, 0);
            assert_true(s.left == 0);
            dropped(&s.branch);
            break;
        }
        if (n % 16 == 0) assert_true(fabs(rated(s.branch) - s.logprob) < 1e-4);
        assert_true(n < 4096);
        const int32_t *ids = eval_model_tokens(w.model, s.branch, &(uint32_t){0});
        snprintf(texts[n], sizeof texts[n], "%d,%d", ids[sizeof PROMPT], s.n_tokens > 1 ? ids[sizeof PROMPT + 1] : -1);
        for (uint32_t i = 0; i < n; i++)
            if (!strcmp(texts[i], texts[n])) fail_msg("step %u is step %u again: %s", n, i, texts[n]);
        sum += exp(s.logprob);
        dropped(&s.branch);
    }
    assert_true(n > 1000 && fabs(sum - 1) < 1e-3);
    close_world();
}

/* How a round is cut into calls does not show, and a first round is one of steps that may be any. */
static void steps_of_a_round_do_not_know_of_each_other(void **state) {
    struct error e;
    char texts[2][20][64];
    (void)state;
    for (int how = 0; how < 2; how++) {
        open_world();
        for (uint32_t round = 1; round <= 4; round++) {
            struct step s[5];
            for (uint32_t i = 0; i < 5; i++) s[i] = another(10 * round + i, round);
            if (how) GOOD(w.ev.extend(w.ev.self, s, 5, &e));
            for (uint32_t i = 0; i < 5; i++) {
                if (!how) extend(&s[i]);
                snprintf(texts[how][5 * (round - 1) + i], 64, "%s %.9g %.9g", s[i].text, (double)s[i].logprob,
                         s[i].left);
                struct step any = step_of(forked(w.ev.root), 0);
                any.key = s[i].key, any.temperature = 1;
                extend(&any);
                if (round == 1) assert_string_equal(any.text, s[i].text);
                dropped(&any.branch);
            }
            for (uint32_t i = 0; i < 5; i++) dropped(&s[i].branch);
        }
        close_world();
    }
    for (int i = 0; i < 20; i++) assert_string_equal(texts[0][i], texts[1][i]);
}

/* What samplers and the floor drop is not drawn, and is no part of what is left: all that they keep comes, and once. */
static void dropped_tokens_are_left_out(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        open_engines(roomy.n_pages);
        w.params.max_step_tokens = 1;
        if (how == 1) w.params.sampling.top_k = 7;
        if (how == 2) w.params.sampling.top_p = 0.8f;
        open_eval();
        float logits[VOCAB], *behind = mem_new((size_t)LONGEST * VOCAB, sizeof *behind);
        uint32_t n, drawn = 0;
        const int32_t *ids = eval_model_tokens(w.model, w.ev.root, &n);
        logits_of(w.policy, ids, n, behind);
        memcpy(logits, behind + (size_t)(n - 1) * VOCAB, sizeof logits);
        double sum = 0, max = 0, floor = how ? 0 : 0.1, kept[VOCAB], mass = 0, before = 0;
        for (int i = 0; i < VOCAB; i++) sum += exp(logits[i]), max = fmax(max, exp(logits[i]));
        uint32_t want = 0;
        for (int i = 0; i < VOCAB; i++) { /* by definition: which are more likely? */
            double larger = 0;
            uint32_t n_larger = 0;
            for (int j = 0; j < VOCAB; j++)
                if (logits[j] > logits[i]) larger += exp(logits[j]) / sum, n_larger++;
            bool is = how == 0 ? exp(logits[i]) >= floor * max : how == 1 ? n_larger < 7 : larger < 0.8;
            kept[i] = is ? exp(logits[i]) / sum : 0;
            mass += kept[i], want += is;
        }
        for (;; drawn++) {
            struct step s = another(drawn, drawn + 1);
            s.floor = (float)floor;
            extend(&s);
            assert_true(fabs(s.left - (1 - before / mass)) < 1e-4);
            if (s.end == STEP_DEAD) {
                dropped(&s.branch);
                break;
            }
            double p = kept[eval_model_tokens(w.model, s.branch, &n)[sizeof PROMPT]];
            assert_true(p > 0 && fabs(log(p) - s.logprob) < 1e-4); /* that of the whole vocabulary */
            before += p;
            dropped(&s.branch);
        }
        assert_true(want > 1 && want < VOCAB);
        assert_int_equal(drawn, want);
        mem_free(behind);
        close_world();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_those_of_what_is_left),
        cmocka_unit_test(steps_differ_until_there_are_none),
        cmocka_unit_test(steps_of_a_round_do_not_know_of_each_other),
        cmocka_unit_test(dropped_tokens_are_left_out),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
