/* test_draft.c: chains of two models, and what a rejected chain would have become, against second writings.
 * Not the verbs that they use: test_verbs.c.
 * Next: naive_chain.h. */
#include "search/search_internal.h"
#include "tests/naive_chain.h"

/* ---- draft ---- */

struct two {
    const struct toy_world *w;
    bool likelihood;
    double level;
    uint32_t kept, n_policy, n_nodes, n_finished;
    float best;
};

/* A step of one of the models on a copy of the digits; what it ends. */
static enum step_end step_of(const struct two *x, const char *digits, uint64_t key, bool draft, char *out) {
    size_t n = strlen(digits);
    strcpy(out, digits);
    out[n] = (char)('0' + toy_digit_salted(x->w, digits, key, 1, draft ? TOY_DRAFT_SALT : 0)), out[n + 1] = 0;
    return toy_end(x->w, out);
}

static void note_end(struct two *x, const char *digits) {
    x->n_finished++;
    x->best = fmaxf(x->best, toy_value(x->w, digits));
}

/* Is the draft's step kept?  A cut or dead one is not. */
static bool keeps(struct two *x, const char *digits, uint64_t key, char *out, enum step_end *end) {
    *end = step_of(x, digits, key, true, out);
    x->n_nodes++;
    if (*end != STEP_SEPARATOR && *end != STEP_FINISHED) return false;
    double p = (double)(float)log(toy_p(x->w, digits, (uint32_t)(out[strlen(digits)] - '0')));
    float before = *digits ? toy_value(x->w, digits) : 1;
    bool kept =
        x->likelihood ? exp(p / 2) >= x->level /* two tokens */ : toy_value(x->w, out) >= (float)x->level * before;
    x->kept += kept;
    if (!kept && *end == STEP_FINISHED) note_end(x, out); /* an answer all the same */
    return kept;
}

static enum step_end policy_step(struct two *x, const char *digits, uint64_t key, char *out) {
    x->n_nodes++, x->n_policy++;
    return step_of(x, digits, key, false, out);
}

/* The rest of a chain: try 0 of a node is the draft's, try 1 the policy's. */
static void follow(struct two *x, uint64_t key, char *digits, enum step_end end) {
    while (end == STEP_SEPARATOR) {
        char next[TOY_MAX_DEPTH + 1];
        uint64_t step_key = rng_fold(key, 0);
        if (!keeps(x, digits, step_key, next, &end)) end = policy_step(x, digits, step_key = rng_fold(key, 1), next);
        strcpy(digits, next), key = step_key;
    }
    if (end == STEP_FINISHED) note_end(x, digits);
}

/* At the prompt the drafts have the first numbers, and the policy's steps those behind them. */
static void two_models(struct two *x, uint64_t seed, uint32_t n) {
    char digits[64][TOY_MAX_DEPTH + 1];
    uint64_t keys[64];
    enum step_end ends[64];
    bool kept[64];
    for (uint32_t i = 0; i < n; i++) kept[i] = keeps(x, "", keys[i] = rng_fold(seed, i), digits[i], &ends[i]);
    for (uint32_t i = 0, k = n; i < n; i++)
        if (!kept[i]) ends[i] = policy_step(x, "", keys[i] = rng_fold(seed, k++), digits[i]);
    for (uint32_t i = 0; i < n; i++) follow(x, keys[i], digits[i], ends[i]);
}

static void drafted_steps_are_kept_where_they_are_accepted(void **state) {
    static const double levels[] = {0, 0.3, 0.5, 0.8, 2};
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int likelihood = 0; likelihood < 2; likelihood++)
            for (int l = 0; l < 5; l++)
                for (uint64_t seed = 1; seed <= 4; seed++)
                    for (uint32_t batch = 3; batch <= 64; batch += 61) {
                        struct two x = {.w = &worlds[i], .likelihood = likelihood, .level = (double)(float)levels[l]};
                        two_models(&x, seed, 12);
                        fx_open("draft", x.w);
                        fx.common.seed = seed, fx.common.budget.simulations = 12;
                        fx_set("accept", likelihood), fx_set("accept-from", levels[l]), fx_set("batch", batch);
                        fx_run();
                        assert_int_equal(fx.status, OK);
                        if (fx.tree.n != 1 + x.n_nodes || fx.res.n_finished != x.n_finished)
                            fail_msg("world %d, %d, level %g: %u nodes, %u finished; naive %u, %u", i, likelihood,
                                     levels[l], fx.tree.n, fx.res.n_finished, 1 + x.n_nodes, x.n_finished);
                        assert_true(fx_note("draft_steps") == x.kept);
                        assert_true(fx_note("policy_steps") == x.n_policy);
                        if (x.n_finished && !worlds[i].flat) assert_true(fx.res.value == x.best);
                        fx_close();
                    }
}

/* All drafts are kept at level 0, none above 1: then the chains are those of one model alone. */
static void the_ends_of_the_range_are_the_two_models_alone(void **state) {
    (void)state;
    fx_open("draft", &worlds[0]);
    fx_set("accept-from", 0);
    fx_run();
    assert_true(fx_note("policy_steps") == 0);
    for (uint32_t u = 1; u < fx.tree.n; u++) assert_true(fx.tree.nodes[u].flags & NODE_DRAFTED);
    fx_close();
    fx_open("draft", &worlds[0]);
    fx_set("accept", 1), fx_set("accept-from", 2);
    fx_run();
    assert_true(fx_note("draft_steps") == 0);
    for (uint32_t u = 1; u < fx.tree.n; u++)
        assert_true(!(fx.tree.nodes[u].flags & NODE_DRAFTED) == !(fx.tree.nodes[u].flags & NODE_PRUNED) ||
                    (fx.tree.nodes[u].flags & NODE_TERMINAL));
    fx_close();
}

static void a_draft_model_must_be_there(void **state) {
    (void)state;
    fx_open("draft", &worlds[0]);
    fx.toy.ev.can &= ~(unsigned)CAN_DRAFT;
    fx_run();
    assert_int_equal(fx.status, ERR_INPUT);
    assert_string_equal(fx.error.text, "--search draft needs a draft model");
    fx_close();
    fx_open("draft", &worlds[0]); /* the policy's likelihood needs no values */
    fx.toy.ev.score = NULL, fx.toy.ev.can &= ~(unsigned)CAN_VALUE;
    fx_set("accept", 1);
    fx_run();
    assert_int_equal(fx.status, OK);
    fx_close();
}

static void flags_of_nobody_are_named_as_such(void **state) {
    const struct settings wrong[] = {{.n = 1, .items = {{"nope", "1"}}}, {.n = 1, .items = {{"accept", "value"}}}};
    static const char *const said[] = {"--nope: no strategy has a parameter of this name",
                                       "--accept: --search reject does not use it; those that do: draft"};
    struct params p;
    struct error e;
    (void)state;
    strategy_defaults(strategy_find("reject"), false, &p);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(strategy_set(strategy_find("reject"), &wrong[i], &p, &e), ERR_INPUT);
        assert_string_equal(e.text, said[i]);
    }
}

/* ---- what was rejected ---- */

/* Rejected nodes are found in the tree; how each would have ended is computed from its key, step by step. */
static void looking_up_counts_what_was_lost_and_changes_nothing(void **state) {
    uint32_t some = 0;
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (uint64_t seed = 1; seed <= 8; seed++)
            for (int checked = 0; checked < 2; checked++) {
                const struct toy_world *w = &worlds[i];
                uint64_t signatures[2] = {0, 0};
                for (int look = 0; look < 2; look++) {
                    fx_open("reject", w);
                    if (checked) fx.toy.ev.check = toy_check, fx.toy.ev.can |= CAN_CHECK;
                    fx.common.seed = seed, fx.common.budget.simulations = 24;
                    fx_set("look-up", look);
                    fx_run();
                    signatures[look] = fx.signature;
                    uint32_t lost = 0, rejected = 0;
                    float best = 0;
                    for (uint32_t u = 1; u < fx.tree.n; u++)
                        if (fx.tree.nodes[u].flags & NODE_FINISHED) best = fmaxf(best, fx.tree.nodes[u].value);
                    for (uint32_t u = 1; u < fx.tree.n; u++) {
                        const struct node *n = &fx.tree.nodes[u];
                        char digits[TOY_MAX_DEPTH + 2];
                        if (!(n->flags & NODE_PRUNED)) continue;
                        rejected++;
                        fx_digits(u, digits);
                        enum step_end end = STEP_SEPARATOR;
                        for (size_t len = strlen(digits); end == STEP_SEPARATOR; len++) {
                            digits[len] = (char)('0' + toy_digit(w, digits, rng_fold(n->key, len), 1));
                            digits[len + 1] = 0;
                            end = toy_end(w, digits);
                        }
                        if (end != STEP_FINISHED) continue;
                        lost += checked ? !strcmp(digits, w->best) : toy_value(w, digits) >= best;
                    }
                    assert_true(fx_note("rejected") == rejected);
                    if (look && fx_note("false_rejects") != lost)
                        fail_msg("world %d: %g lost, naive %u", i, fx_note("false_rejects"), lost);
                    some += lost;
                    fx_close();
                }
                assert_true(signatures[0] == signatures[1]);
            }
    assert_true(some > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drafted_steps_are_kept_where_they_are_accepted),
        cmocka_unit_test(the_ends_of_the_range_are_the_two_models_alone),
        cmocka_unit_test(a_draft_model_must_be_there),
        cmocka_unit_test(flags_of_nobody_are_named_as_such),
        cmocka_unit_test(looking_up_counts_what_was_lost_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
