/* test_speculate.c: speculative decoding against plain decoding: the same text where that is promised, the same distribution
 * where tokens are drawn twice.
 * Not a test of speed: random models guess badly.
 * Next: model/speculate.h. */
#include "tests/engine_check.h"

#include "model/write.h"

enum { CTX = 96, N_PROMPT = 9 };

/* ---- plain decoding, and the other ---- */

struct setting {
    struct sample_params sampling;
    struct sample_penalties penalties;
    struct sample_bias bias;
};

static const struct setting settings[] = {
    {{.temperature = 0, .top_p = 1}, {1, 0, 0}, {0, 0}},
    {{.temperature = 0, .top_p = 1}, {1.3f, 0.5f, 0.25f}, {2, 1}},
    {{.temperature = 1, .top_p = 1}, {1, 0, 0}, {0, 0}},
    {{.temperature = 0.8f, .top_k = 9, .top_p = 0.95f, .min_p = 0.05f}, {1, 0, 0}, {0, 0}},
    {{.temperature = 0.6f, .top_k = 5, .top_p = 0.8f}, {1.2f, 0.1f, 0.3f}, {3, -INFINITY}},
};

struct rules {
    const struct setting *set;
    uint32_t n_vocab;
    int32_t counts[64];
};

/* A text of b's engine with its rules; ids hold the prompt. */
static struct text text_of(struct bench *b, const struct text_rules *rules, float temperature, uint64_t key,
                           int32_t *ids, uint32_t cap) {
    return (struct text){.rules = rules,
                         .seq = engine_seq_new(b->client),
                         .ids = ids,
                         .n_ids = N_PROMPT,
                         .cap_ids = cap,
                         .key = key,
                         .temperature = temperature};
}

static struct text_rules rules_of(const struct setting *set) {
    return (struct text_rules){.sampling = set->sampling,
                               .bias = &set->bias,
                               .n_bias = 1,
                               .penalties = set->penalties,
                               .n_penalized = UINT32_MAX};
}

static void adjust(void *arg, const int32_t *ids, size_t n_ids, float *logits) {
    struct rules *r = arg;
    sample_add_bias(&r->set->bias, 1, logits, r->n_vocab);
    sample_penalize(&r->set->penalties, ids, n_ids, r->counts, logits, r->n_vocab);
}

/* The whole context, one token after the other. */
static void decode_plain(struct bench *b, struct rules *r, uint64_t key, int32_t *ids) {
    float p[64], logits[64];
    int32_t scratch_ids[64];
    struct sample_scratch scratch = {p, scratch_ids};
    uint32_t seq = engine_seq_new(b->client);
    run_tokens(b, seq, ids, N_PROMPT - 1, NULL);
    for (uint32_t n = N_PROMPT; n <= CTX; n++) {
        run_tokens(b, seq, ids + n - 1, 1, logits);
        adjust(r, ids, n, logits);
        ids[n] = sample_token(&r->set->sampling, logits, r->n_vocab, key, n - N_PROMPT, &scratch, NULL);
        assert_true(ids[n] >= 0);
    }
    engine_drop(b->client, &seq);
}

/* The same, by guesses; up to CTX + 1 tokens in all. */
static struct speculate_stats decode_guessing(struct bench *b, struct bench *draft, struct rules *r, uint32_t max,
                                              uint64_t key, int32_t *ids) {
    struct speculate_params p = {
        .draft = draft ? draft->client : NULL, .n_vocab = r->n_vocab, .draft_max = max, .draft_min = max / 4};
    struct text_rules rules = rules_of(r->set);
    struct text t = text_of(b, &rules, r->set->sampling.temperature, key, ids, CTX + 1), *texts = &t;
    struct writer *w;
    struct error e;
    GOOD(speculate_new(&p, &t.speculator, &e));
    GOOD(writer_new(b->client, 1, max, &w, &e));
    text_begin(&t);
    while (!t.end) {
        uint32_t n = t.n_ids;
        GOOD(write_pass(w, &texts, 1, NULL, &e));
        assert_true(t.n_ids > n && t.n_ids - n <= max + 1 && t.n_ids <= CTX + 1);
        assert_int_equal(engine_len(b->client, t.seq), t.n_read);
        assert_true(t.n_read == t.n_ids - 1 || (t.end && t.n_read == t.n_ids));
        assert_true(!draft || engine_len(draft->client, 1) <= t.n_read); /* its only sequence: no wrong guess is left */
    }
    assert_int_equal(t.end, TEXT_FULL);
    struct speculate_stats stats = speculate_stats(t.speculator);
    speculate_free(&t.speculator);
    writer_free(&w);
    engine_drop(b->client, &t.seq);
    if (!engine_check(b->engine, &e)) fail_msg("%s", e.text);
    assert_int_equal(engine_kv_stats(b->engine).pages_used, 0);
    return stats;
}

static struct bench bench_of(const struct model_config *c, uint64_t key, struct model **m) {
    struct net *n = tiny_net(c, NET_LM, key);
    struct engine_params p = {.n_pages = 2 * CTX / KV_PAGE + 2, .n_seqs = 2, .max_tokens = CTX, .max_rows = 20};
    struct team *team;
    struct error e;
    *m = tiny_model(n, TYPE_F32);
    net_free(&n);
    struct bench b = {.threads = 1};
    GOOD(team_new(1, &team, &e));
    b.team = team;
    GOOD(engine_new(*m, team, &p, &b.engine, &e));
    GOOD(engine_client_new(b.engine, NULL, &b.client, &e));
    return b;
}

static void same_ids(const int32_t *got, const int32_t *want, const char *what, size_t set, uint64_t key) {
    for (uint32_t i = 0; i < CTX + 1; i++)
        if (got[i] != want[i])
            fail_msg("%s, setting %zu, key %u: token %u is %d, plain decoding gives %d", what, set, (unsigned)key, i,
                     got[i], want[i]);
}

/* Guesses from the text with any setting, from a model at temperature 0. */
static void texts_are_those_of_plain_decoding(void **state) {
    (void)state;
    uint64_t drafted = 0, accepted = 0;
    for (int shape = 0; shape < N_SHAPES; shape++) {
        struct model_config c = shape_at(shape), other = shape_at((shape + 1) % N_SHAPES);
        other.n_vocab = c.n_vocab + (uint32_t)shape % 3 - 1; /* fewer, as many and more tokens */
        struct model *m[2];
        struct bench target = bench_of(&c, 20 + (uint64_t)shape, &m[0]),
                     draft = bench_of(&other, 40 + (uint64_t)shape, &m[1]);
        for (size_t set = 0; set < COUNT(settings); set++)
            for (uint64_t key = 0; key < 3; key++) {
                struct rules r = {.set = &settings[set], .n_vocab = c.n_vocab};
                int32_t want[CTX + 1], got[CTX + 1];
                tiny_tokens(key, c.n_vocab - 1, want, N_PROMPT);
                memcpy(got, want, sizeof got);
                decode_plain(&target, &r, key, want);
                struct speculate_stats s = decode_guessing(&target, NULL, &r, 1 + 5 * (uint32_t)key, key, got);
                same_ids(got, want, "lookup", set, key);
                drafted += s.drafted, accepted += s.accepted;
                if (r.set->sampling.temperature > 0) continue;
                decode_guessing(&target, &draft, &r, 2 + 3 * (uint32_t)key, key, got);
                same_ids(got, want, "draft model", set, key);
            }
        bench_close(&target), bench_close(&draft), model_close(&m[0]), model_close(&m[1]);
    }
    print_message("lookup: %u of %u guesses right\n", (unsigned)accepted, (unsigned)drafted);
    assert_true(accepted > 100 && drafted > accepted);
}

/* The model guesses what it would say itself: all is right, and passes carry draft_max + 1 tokens. */
static void own_guesses_are_all_right(void **state) {
    (void)state;
    struct model_config c = shape_at(1);
    struct model *m[2];
    struct bench target = bench_of(&c, 3, &m[0]), draft = bench_of(&c, 3, &m[1]);
    for (size_t set = 0; set < COUNT(settings); set++) {
        struct rules r = {.set = &settings[set], .n_vocab = c.n_vocab};
        int32_t ids[CTX + 1];
        tiny_tokens(7, c.n_vocab, ids, N_PROMPT);
        struct speculate_stats s = decode_guessing(&target, &draft, &r, 7, set, ids);
        if (s.accepted != s.drafted) fail_msg("setting %zu: %u of %u", set, (unsigned)s.accepted, (unsigned)s.drafted);
        assert_int_equal(s.passes, (CTX + 1 - N_PROMPT + 7) / 8);
    }
    bench_close(&target), bench_close(&draft), model_close(&m[0]), model_close(&m[1]);
}

/* ---- the distribution ---- */

enum { V = 5, N_DRAWN = 3, CELLS = V * V * V, RUNS = 12000 };

/* P(a, b, c) of the tokens after the prompt, exactly. */
static void exact_distribution(struct bench *b, struct rules *r, int32_t *ids, double *p_text) {
    float p[V], logits[V];
    int32_t scratch_ids[V];
    struct sample_scratch scratch = {p, scratch_ids};
    for (int cell = 0; cell < CELLS; cell++) {
        int32_t next[N_DRAWN] = {cell / (V * V), cell / V % V, cell % V};
        p_text[cell] = 1;
        uint32_t seq = engine_seq_new(b->client);
        run_tokens(b, seq, ids, N_PROMPT - 1, NULL);
        for (uint32_t i = 0; i < N_DRAWN; i++) {
            struct sample_distribution l;
            run_tokens(b, seq, ids + N_PROMPT - 1 + i, 1, logits);
            adjust(r, ids, N_PROMPT + i, logits);
            assert_true(sample_distribution(&r->set->sampling, logits, V, &scratch, &l));
            p_text[cell] *= sample_probability(&l, next[i]);
            ids[N_PROMPT + i] = next[i];
        }
        engine_drop(b->client, &seq);
    }
}

/* Fixed keys, so that it always passes or always fails: 4 standard deviations of chi-square. */
static void drawn_texts_follow_the_distribution(void **state) {
    (void)state;
    struct model_config c = tiny_config(1, 8, 1, 1, 9), d = tiny_config(1, 6, 1, 1, 5);
    c.n_vocab = d.n_vocab = V;
    struct model *m[2];
    struct bench target = bench_of(&c, 5, &m[0]), draft = bench_of(&d, 8, &m[1]);
    struct writer *w;
    struct error e;
    GOOD(writer_new(target.client, 1, 2, &w, &e));
    static const struct setting sets[] = {
        {{.temperature = 1.5f, .top_p = 1}, {1, 0, 0}, {0, 0}},
        {{.temperature = 2, .top_k = 4, .top_p = 0.97f, .min_p = 0.01f}, {1.1f, 0.2f, 0.1f}, {1, 0.5f}},
    };
    for (size_t set = 0; set < COUNT(sets); set++) {
        struct rules r = {.set = &sets[set], .n_vocab = V};
        int32_t ids[CTX + 1];
        double p_text[CELLS], sum = 0, chi = 0, rare = 0, n_rare = 0;
        int seen[CELLS] = {0}, freedom = -1;
        uint64_t drafted = 0, accepted = 0;
        tiny_tokens(11, V, ids, N_PROMPT);
        exact_distribution(&target, &r, ids, p_text);
        for (uint64_t key = 0; key < RUNS; key++) {
            struct speculate_params p = {.draft = draft.client, .n_vocab = V, .draft_max = 2};
            struct text_rules rules = rules_of(r.set);
            struct text t =
                text_of(&target, &rules, r.set->sampling.temperature, rng_fold(99, key), ids, N_PROMPT + N_DRAWN);
            struct text *texts = &t;
            GOOD(speculate_new(&p, &t.speculator, &e));
            GOOD(write_some(w, &texts, 1, NULL, NULL, &e));
            seen[(ids[N_PROMPT] * V + ids[N_PROMPT + 1]) * V + ids[N_PROMPT + 2]]++;
            drafted += speculate_stats(t.speculator).drafted, accepted += speculate_stats(t.speculator).accepted;
            speculate_free(&t.speculator);
            engine_drop(target.client, &t.seq);
        }
        for (int i = 0; i < CELLS; i++) {
            sum += p_text[i];
            if (p_text[i] == 0 && seen[i]) fail_msg("setting %zu: impossible text %d came %d times", set, i, seen[i]);
            if (p_text[i] * RUNS < 8) rare += p_text[i] * RUNS, n_rare += seen[i];
            else chi += pow(seen[i] - p_text[i] * RUNS, 2) / (p_text[i] * RUNS), freedom++;
        }
        if (rare > 8) chi += pow(n_rare - rare, 2) / rare, freedom++;
        print_message("setting %zu: chi-square %.1f at %d degrees, %.0f %% of guesses right\n", set, chi, freedom,
                      100.0 * (double)accepted / (double)drafted);
        assert_true(fabs(sum - 1) < 1e-5 && freedom > 20);
        assert_true(accepted * 5 > drafted && accepted * 10 < drafted * 9); /* both ways are taken often */
        if (!(chi < freedom + 4 * sqrt(2.0 * freedom))) fail_msg("setting %zu: another distribution", set);
    }
    writer_free(&w);
    bench_close(&target), bench_close(&draft), model_close(&m[0]), model_close(&m[1]);
}

/* ---- what can go wrong ---- */

/* state: the number of tokens that are still drawn before the logits break. */
static enum status spoil(void *state, float *logits, uint32_t n_vocab, struct error *e) {
    (void)n_vocab, (void)e;
    if (*(uint32_t *)state == 0) logits[0] = NAN;
    return OK;
}
static enum status count_down(void *state, int32_t id, struct error *e) {
    (void)id, (void)e;
    --*(uint32_t *)state;
    return OK;
}

/* An unusable row ends the text where it is next, not where it was computed. */
static void broken_rows_are_reported_in_turn(void **state) {
    (void)state;
    static const struct text_constraint breaks = {.mask = spoil, .advance = count_down};
    struct model_config c = shape_at(1);
    struct model *m[2];
    struct bench target = bench_of(&c, 3, &m[0]), draft = bench_of(&c, 3, &m[1]);
    for (int with_draft = 0; with_draft < 2; with_draft++) {
        struct speculate_params p = {.draft = with_draft ? draft.client : NULL, .n_vocab = c.n_vocab, .draft_max = 5};
        struct text_rules rules = {.sampling = {.top_p = 1}, .constraint = &breaks};
        uint32_t left = 13;
        int32_t ids[CTX + 1];
        struct text t = text_of(&target, &rules, 1, 0, ids, CTX + 1), *texts = &t;
        struct writer *w;
        struct error e;
        t.state = &left;
        tiny_tokens(1, c.n_vocab, ids, N_PROMPT);
        GOOD(speculate_new(&p, &t.speculator, &e));
        GOOD(writer_new(target.client, 1, 5, &w, &e));
        GOOD(write_some(w, &texts, 1, NULL, NULL, &e));
        assert_int_equal(t.end, TEXT_DEAD);
        assert_int_equal(t.n_ids, N_PROMPT + 13);
        assert_int_equal(t.counter, 13);
        speculate_free(&t.speculator);
        writer_free(&w);
        engine_drop(target.client, &t.seq);
    }
    bench_close(&target), bench_close(&draft), model_close(&m[0]), model_close(&m[1]);
}

static void failures_leave_nothing(void **state) {
    (void)state;
    struct model_config c = shape_at(1);
    struct model *m[2];
    struct bench target = bench_of(&c, 3, &m[0]), draft = bench_of(&c, 3, &m[1]);
    struct speculate_params p = {.draft = draft.client, .n_vocab = c.n_vocab, .draft_max = 4};
    struct speculator *s = NULL;
    struct error e;
    enum status st;
    uint32_t taken[2], n_failed = 0;
    for (size_t n = 1; !s; n++) {
        mem_fail_at(n, true);
        st = speculate_new(&p, &s, &e);
        mem_fail_at(0, false);
        assert_int_equal(st, s ? OK : ERR_MEMORY);
        n_failed += !s;
    }
    assert_true(n_failed >= 5);
    speculate_free(&s);
    for (int i = 0; i < 2; i++) taken[i] = engine_seq_new(draft.client);
    assert_int_equal(speculate_new(&p, &s, &e), ERR_FULL);
    assert_null(s);
    for (int i = 0; i < 2; i++) engine_drop(draft.client, &taken[i]);
    p.draft_max = 0;
    assert_int_equal(speculate_new(&p, &s, &e), ERR_INPUT);
    speculate_free(&s);
    bench_close(&target), bench_close(&draft), model_close(&m[0]), model_close(&m[1]);
}

/* As many guesses as were right, and one; twice as many when all were; never outside of what is allowed. */
static void guesses_follow_what_was_right(void **state) {
    (void)state;
    static const struct {
        uint32_t n, right, next;
    } cases[] = {{8, 3, 4}, {4, 4, 8}, {8, 0, 2}, {2, 2, 4}, {4, 4, 8}, {8, 8, 16}, {16, 16, 16}, {16, 14, 15}};
    struct speculator *s;
    struct error e;
    struct speculate_draws d = {.sampling = {.top_p = 1}};
    int32_t ids[64];
    uint32_t n;
    GOOD(speculate_new(&(struct speculate_params){.n_vocab = 40, .draft_max = 16, .draft_min = 2}, &s, &e));
    for (int i = 0; i < 64; i++) ids[i] = i % 3; /* the text goes round */
    GOOD(speculate_guess(s, &d, ids, 30, 8, &n, &e));
    assert_int_equal(n, 8); /* the caller's room */
    for (size_t i = 0; i < COUNT(cases); i++) {
        speculate_learn(s, 30, cases[i].n, cases[i].right);
        GOOD(speculate_guess(s, &d, ids, 30, 30, &n, &e));
        if (n != cases[i].next)
            fail_msg("%u of %u were right: %u guesses, want %u", cases[i].right, cases[i].n, n, cases[i].next);
    }
    GOOD(speculate_guess(s, &d, ids, 30, 1, &n, &e));
    assert_int_equal(n, 0); /* fewer than draft_min */
    speculate_free(&s);
}

/* A model that is not sure enough of its likeliest token makes no guess. */
static void unsure_models_do_not_guess(void **state) {
    (void)state;
    struct model_config c = tiny_config(1, 12, 2, 1, 16);
    c.n_vocab = 40;
    struct net *net = tiny_net(&c, NET_LM, 5);
    struct model *m = tiny_model(net, TYPE_F32);
    struct bench b = bench_open(m, 1, small_engine);
    struct speculate_draws d = {.sampling = {.top_p = 1}};
    struct error e;
    for (int sure = 0; sure < 2; sure++) {
        struct speculate_params p = {
            .draft = b.client, .n_vocab = 40, .draft_max = 5, .draft_min = 1, .p_min = sure ? 1e-6f : 0.999f};
        struct speculator *s;
        int32_t ids[32] = {1, 2, 3, 4};
        uint32_t n;
        GOOD(speculate_new(&p, &s, &e));
        GOOD(speculate_guess(s, &d, ids, 4, 5, &n, &e));
        assert_int_equal(n, sure ? 5 : 0);
        speculate_free(&s);
    }
    bench_close(&b), model_close(&m), net_free(&net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_those_of_plain_decoding),
        cmocka_unit_test(own_guesses_are_all_right),
        cmocka_unit_test(guesses_follow_what_was_right),
        cmocka_unit_test(unsure_models_do_not_guess),
        cmocka_unit_test(drawn_texts_follow_the_distribution),
        cmocka_unit_test(broken_rows_are_reported_in_turn),
        cmocka_unit_test(failures_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
