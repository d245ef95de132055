/* test_eval_rules.c: biases, penalties, filters, stop strings and grammars hold in searches, against a loop that computes every token
 * from the whole text again.
 * Not the loop that writes: test_write.c.
 * Next: model/write.h. */
#include "tests/eval_world.h"

#include "model/write.h"

/* A constraint with a state: the ids of a text must go up and down in turn. */
struct zigzag {
    int32_t last;
    bool up;
};
static int n_zigzags; /* alive */

static bool zigzag_allows(const struct zigzag *z, int32_t id) {
    return z->last < 0 || id == VOCAB_END || (z->up ? id > z->last : id < z->last);
}

static enum status zigzag_mask(void *state, float *logits, uint32_t n_vocab, struct error *e) {
    (void)e;
    for (uint32_t i = 0; i < n_vocab; i++)
        if (!zigzag_allows(state, (int32_t)i)) logits[i] = -INFINITY;
    return OK;
}

static enum status zigzag_advance(void *state, int32_t id, struct error *e) {
    struct zigzag *z = state;
    (void)e;
    z->up = !z->up, z->last = id;
    return OK;
}

static void *zigzag_clone(const void *state) {
    struct zigzag *z = mem_new(1, sizeof *z);
    if (z) *z = *(const struct zigzag *)state, n_zigzags++;
    return z;
}

static void zigzag_free(void *state) {
    mem_free(state);
    n_zigzags--;
}

static const struct text_constraint zigzag = {zigzag_mask, zigzag_advance, zigzag_clone, zigzag_free};
static const struct zigzag zigzag_begin = {.last = -1, .up = true};

/* One step behind n tokens, each token from the logits of the whole text. */
static uint32_t naive_step(const struct eval_params *p, int32_t *ids, uint32_t n, uint64_t key, float temperature) {
    static float logits[LONGEST * VOCAB], scratch[VOCAB];
    static int32_t scratch_ids[VOCAB], counts[VOCAB];
    struct sample_params sp = p->sampling;
    uint32_t first = n;
    sp.temperature = temperature;
    while (n - first < p->max_step_tokens && n < p->max_tokens) {
        logits_of(w.policy, ids, n, logits);
        float *last = logits + (n - 1) * VOCAB;
        sample_add_bias(p->bias, p->n_bias, last, VOCAB);
        uint32_t look = p->n_penalized < n ? p->n_penalized : n;
        if (p->n_penalized) sample_penalize(&p->penalties, ids + n - look, look, counts, last, VOCAB);
        if (p->constraint) {
            struct zigzag z = zigzag_begin;
            struct error e;
            for (uint32_t i = (uint32_t)sizeof PROMPT; i < n; i++) zigzag_advance(&z, ids[i], &e);
            zigzag_mask(&z, last, VOCAB, &e);
        }
        struct sample_scratch s = {scratch, scratch_ids};
        int32_t id = sample_token(&sp, last, VOCAB, key, n - first, &s, NULL);
        if (id < 0) break;
        ids[n++] = id;
        if (id == VOCAB_END || id == p->separator) break;
    }
    return n;
}

static void compare_steps(const char *what) {
    int n_steps = 0;
    uint32_t n_tokens = 0;
    open_eval();
    for (int i = 0; i < 12; i++) {
        branch_id b = forked(w.ev.root);
        int32_t ids[LONGEST];
        for (int depth = 0; depth < 3; depth++) {
            struct step s = step_of(b, (uint64_t)(10 * i + depth));
            uint32_t n, n_got;
            memcpy(ids, eval_model_tokens(w.model, b, &n), LONGEST / 2 * sizeof *ids);
            if (i % 3 == 2) w.ev.evict(w.ev.self, b);
            uint64_t key = s.key;
            if (i % 2) { /* in parts */
                for (s.end = STEP_OPEN; s.end == STEP_OPEN;)
                    s = step_of(b, (uint64_t)(10 * i + depth)), s.max_tokens = 2, extend(&s);
            } else extend(&s);
            uint32_t want = naive_step(&w.params, ids, n, key, s.temperature);
            const int32_t *got = eval_model_tokens(w.model, b, &n_got);
            for (uint32_t k = n; k < want && k < n_got; k++)
                if (got[k] != ids[k])
                    fail_msg("%s, chain %d, step %d, token %u: %d, expected %d", what, i, depth, k - n, got[k], ids[k]);
            assert_int_equal(n_got, want);
            n_steps++, n_tokens += want - n;
            if (is_over(s.end)) break;
        }
        dropped(&b);
    }
    if (n_tokens < 80) fail_msg("%s: %d steps of %u tokens: the test is empty", what, n_steps, n_tokens);
    close_world();
    assert_int_equal(n_zigzags, 0);
}

static void biases_penalties_and_filters(void **state) {
    (void)state;
    static const struct sample_bias bias[] = {{VOCAB_END, -3}, {7, 2}, {9, -INFINITY}};
    open_engines(roomy.n_pages);
    w.params.bias = bias, w.params.n_bias = COUNT(bias);
    compare_steps("biases");
    open_engines(roomy.n_pages);
    w.params.penalties = (struct sample_penalties){1.5f, 0.5f, 0.25f}, w.params.n_penalized = UINT32_MAX;
    compare_steps("penalties over all");
    open_engines(roomy.n_pages);
    w.params.penalties = (struct sample_penalties){1.5f, 0.5f, 0.25f}, w.params.n_penalized = 5;
    compare_steps("penalties over five tokens");
    open_engines(roomy.n_pages);
    w.params.sampling = (struct sample_params){.top_k = 9, .top_p = 0.9f, .min_p = 0.01f, .chain = "tkpm"};
    compare_steps("filters in another order");
}

static void grammars(void **state) {
    (void)state;
    open_engines(roomy.n_pages);
    w.params.constraint = &zigzag, w.params.constraint_state = &zigzag_begin;
    compare_steps("a constraint");
}

/* With and without: the same chain up to the string, which is not part of the text. */
static void stop_strings_end_chains(void **state) {
    (void)state;
    static const char *const stops[] = {"##", "\"\n", "!"};
    int n_stopped = 0, n_free = 0;
    open_engines(roomy.n_pages);
    struct eval_params with = w.params;
    with.stops = stops, with.n_stops = COUNT(stops);
    open_eval();
    struct eval_model *model;
    struct evaluator ev;
    struct error e;
    GOOD(eval_model_open(&with, PROMPT, &model, &ev, &e));
    for (int i = 0; i < CHAINS; i++) {
        branch_id a = forked(w.ev.root), b;
        GOOD(ev.fork(ev.self, ev.root, &b, &e));
        struct step s = step_of(a, (uint64_t)i), t = step_of(b, (uint64_t)i);
        s.to_end = t.to_end = true;
        extend(&s);
        GOOD(ev.extend(ev.self, &t, 1, &e));
        char want[512];
        const char *first = NULL;
        snprintf(want, sizeof want, "%s", eval_model_text(w.model, a));
        for (size_t k = 0; k < COUNT(stops); k++) { /* which is completed first; then, which begins first */
            const char *hit = strstr(want, stops[k]);
            if (hit && (!first || hit + strlen(stops[k]) < first)) first = hit + strlen(stops[k]);
        }
        if (first) {
            char *cut = want + (first - want);
            size_t bytes = 0;
            for (size_t k = 0; k < COUNT(stops); k++)
                if ((size_t)(cut - want) >= strlen(stops[k]) &&
                    !memcmp(cut - strlen(stops[k]), stops[k], strlen(stops[k])) && strlen(stops[k]) > bytes)
                    bytes = strlen(stops[k]);
            cut[-(ptrdiff_t)bytes] = 0;
            assert_int_equal(t.end, STEP_FINISHED);
        } else assert_int_equal(t.end, s.end);
        assert_string_equal(eval_model_text(model, b), want);
        n_stopped += first != NULL, n_free += !first;
        dropped(&a), ev.drop(ev.self, &b);
    }
    if (n_stopped < 5 || n_free < 5) fail_msg("%d stopped, %d not: the test is empty", n_stopped, n_free);
    eval_model_close(&model);
    close_world();
}

static void failed_memory_in_a_grammar(void **state) {
    (void)state;
    struct error e;
    open_engines(roomy.n_pages);
    w.params.constraint = &zigzag, w.params.constraint_state = &zigzag_begin;
    open_eval();
    branch_id a = forked(w.ev.root), b = forked(w.ev.root);
    struct step s[2] = {step_of(a, 1), step_of(b, 2)};
    for (size_t i = 1;; i++) {
        mem_fail_at(i, true);
        enum status st = w.ev.extend(w.ev.self, s, 2, &e);
        mem_fail_at(0, false);
        assert_int_equal(n_zigzags, 0);
        if (!st) break;
        assert_int_equal(st, ERR_MEMORY);
        assert_string_equal(eval_model_text(w.model, a), "");
    }
    close_world();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(biases_penalties_and_filters),
        cmocka_unit_test(grammars),
        cmocka_unit_test(stop_strings_end_chains),
        cmocka_unit_test(failed_memory_in_a_grammar),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
