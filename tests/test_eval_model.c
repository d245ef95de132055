/* test_eval_model.c: the evaluator that puts policy and reward model behind the seam of search: equal keys give equal steps,
 * and values read step by step are those of the whole text read at once.
 * Not the engine: test_engine.c.
 * Next: test_train.c. */
#include "tests/tiny_model.h"

#include "search/eval_model.h"

/* Token ids below 40 are the control tokens and the bytes 0 to 37, so steps of a random model end now and then. */
enum { VOCAB = 40, SEPARATOR = 2 + '\n', CHAINS = 12, DEPTH = 5 };
static const char PROMPT[] = " !\"#$% !\"# #\n";
enum { N_PROMPT = sizeof PROMPT }; /* with the begin token */

static struct world {
    struct model *policy, *prm;
    struct tok *tok;
    struct team *team;
    struct engine *engines[2];
    struct eval_params params;
    struct eval_model *model;
    struct evaluator ev;
} w;

static const struct engine_params roomy = {.n_pages = 400, .n_seqs = 64, .max_tokens = 80, .max_rows = 64};

static int open_models(void **state) {
    (void)state;
    struct model_config c = tiny_config(2, 12, 4, 2, 24), d = tiny_config(1, 16, 2, 2, 20);
    c.n_vocab = d.n_vocab = VOCAB;
    struct net *policy = tiny_net(&c, NET_LM, 10), *prm = tiny_net(&d, NET_VALUE, 6);
    w.policy = tiny_model(policy, TYPE_F32), w.prm = tiny_model(prm, TYPE_F16);
    net_free(&policy), net_free(&prm);
    w.tok = tiny_tok(VOCAB_SIZE);
    return 0;
}

static int close_models(void **state) {
    model_close(&w.policy), model_close(&w.prm), tok_close(&w.tok);
    return tiny_cleanup(state);
}

static void open_engines(int threads, struct engine_params policy, struct engine_params prm) {
    struct error e;
    GOOD(team_new(threads, &w.team, &e));
    GOOD(engine_new(w.policy, w.team, &policy, &w.engines[0], &e));
    GOOD(engine_new(w.prm, w.team, &prm, &w.engines[1], &e));
    w.params = (struct eval_params){.policy = w.engines[0],
                                    .prm = w.engines[1],
                                    .tok = w.tok,
                                    .agg = AGG_MEAN,
                                    .sampling = {.top_p = 1},
                                    .max_step_tokens = 12,
                                    .max_tokens = 64,
                                    .max_branches = 40,
                                    .max_batch = 64,
                                    .separator = SEPARATOR};
}

static void open_world(int threads, struct engine_params policy, struct engine_params prm, uint32_t max_batch) {
    struct error e;
    open_engines(threads, policy, prm);
    w.params.max_batch = max_batch;
    GOOD(eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e));
}

static void close_engines(void) { engine_free(&w.engines[0]), engine_free(&w.engines[1]), team_free(&w.team); }

/* Nothing may be left in the engines. */
static void close_world(void) {
    struct error e;
    eval_model_close(&w.model);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(engine_kv_stats(w.engines[i]).pages_used, 0);
        if (!engine_check(w.engines[i], &e)) fail_msg("%s", e.text);
    }
    close_engines();
}

static branch_id forked(branch_id from) {
    branch_id b = 0;
    struct error e;
    GOOD(w.ev.fork(w.ev.self, from, &b, &e));
    return b;
}

/* What is known of each step of each chain. */
struct record {
    char text[80];
    uint32_t n_tokens;
    float logprob, value;
    enum step_end end;
};
struct play {
    struct record steps[CHAINS][DEPTH];
    int n[CHAINS];
};

static struct step step_of(branch_id b, int chain, int depth) {
    return (struct step){.branch = b,
                         .key = rng_fold(rng_fold(77, (uint64_t)chain), (uint64_t)depth),
                         .temperature = chain % 3 ? 1 : 0.7f};
}

static void note(struct play *p, int chain, const struct step *s, float value) {
    struct record *r = &p->steps[chain][p->n[chain]++];
    *r = (struct record){.n_tokens = s->n_tokens, .logprob = s->logprob, .value = value, .end = s->end};
    assert_true(strlen(s->text) < sizeof r->text);
    strcpy(r->text, s->text);
}

/* Extends and scores some chains, in one call each. */
static void advance(struct play *p, const int *chains, branch_id *branches, uint32_t n) {
    struct step steps[CHAINS];
    branch_id ids[CHAINS];
    float values[CHAINS];
    struct error e;
    for (uint32_t i = 0; i < n; i++)
        steps[i] = step_of(branches[chains[i]], chains[i], p->n[chains[i]]), ids[i] = branches[chains[i]];
    GOOD(w.ev.extend(w.ev.self, steps, n, &e));
    GOOD(w.ev.score(w.ev.self, ids, n, values, &e));
    for (uint32_t i = 0; i < n; i++) note(p, chains[i], &steps[i], values[i]);
}

static bool goes_on(const struct play *p, int chain) {
    return p->n[chain] < DEPTH && (p->n[chain] == 0 || p->steps[chain][p->n[chain] - 1].end == STEP_SEPARATOR);
}

/* How the same chains can be made. */
enum manner { TOGETHER, BACKWARDS, ONE_AFTER_THE_OTHER, EVICTED, FORKED, MANNERS };

static void play_all(struct play *p, enum manner how) {
    branch_id branches[CHAINS];
    memset(p, 0, sizeof *p);
    if (how == EVICTED) w.ev.evict(w.ev.self, w.ev.root);
    for (int i = 0; i < CHAINS; i++) branches[i] = forked(w.ev.root);
    for (int i = 0; how == ONE_AFTER_THE_OTHER && i < CHAINS; i++)
        while (goes_on(p, i)) advance(p, &i, branches, 1);
    for (int depth = 0; how != ONE_AFTER_THE_OTHER && depth < DEPTH; depth++) {
        int chains[CHAINS];
        uint32_t n = 0;
        for (int i = 0; i < CHAINS; i++) {
            int k = how == BACKWARDS ? CHAINS - 1 - i : i;
            if (!goes_on(p, k)) continue;
            chains[n++] = k;
            if (how == EVICTED && (k + depth) % 2) w.ev.evict(w.ev.self, branches[k]);
            if (how != FORKED) continue;
            branch_id child = forked(branches[k]); /* the parent goes before the child is used */
            w.ev.drop(w.ev.self, &branches[k]);
            branches[k] = child;
        }
        if (n) advance(p, chains, branches, n);
    }
    for (int i = 0; i < CHAINS; i++) w.ev.drop(w.ev.self, &branches[i]);
}

static void same_play(const struct play *got, const struct play *want, const char *what) {
    for (int i = 0; i < CHAINS; i++) {
        if (got->n[i] != want->n[i]) fail_msg("%s: chain %d has %d steps, expected %d", what, i, got->n[i], want->n[i]);
        for (int k = 0; k < want->n[i]; k++) {
            const struct record *a = &got->steps[i][k], *b = &want->steps[i][k];
            if (strcmp(a->text, b->text) || a->n_tokens != b->n_tokens || a->end != b->end)
                fail_msg("%s: chain %d, step %d: \"%s\" (%u tokens, end %d), expected \"%s\" (%u, %d)", what, i, k,
                         a->text, a->n_tokens, (int)a->end, b->text, b->n_tokens, (int)b->end);
            same_floats(&a->logprob, &b->logprob, 1, "%s: chain %d, step %d, log-probability", what, i, k);
            same_floats(&a->value, &b->value, 1, "%s: chain %d, step %d, value", what, i, k);
        }
    }
}

static void reference_play(struct play *p) {
    open_world(1, roomy, roomy, 64);
    play_all(p, TOGETHER);
    close_world();
    int ends[4] = {0};
    for (int i = 0; i < CHAINS; i++)
        for (int k = 0; k < p->n[i]; k++) ends[p->steps[i][k].end]++;
    assert_true(ends[STEP_SEPARATOR] >= 6 && ends[STEP_FINISHED] >= 2 &&
                ends[STEP_TRUNCATED] >= 2); /* else the test is empty */
}

static void equal_keys_give_equal_steps(void **state) {
    (void)state;
    static const uint32_t batches[] = {64, 3, 1};
    struct play want, got;
    reference_play(&want);
    for (int how = TOGETHER; how < MANNERS; how++)
        for (int i = 0; i < 4; i++) { /* the last time on two threads */
            char what[64];
            if (i == 3 && how != FORKED) continue; /* barriers are slow on a busy machine */
            snprintf(what, sizeof what, "manner %d, max_batch %u", how, batches[i % 3]);
            open_world(i == 3 ? 2 : 1, roomy, roomy, batches[i % 3]);
            play_all(&got, (enum manner)how);
            same_play(&got, &want, what);
            close_world();
        }
}

/* The value of a chain from its text alone: all tokens read by a fresh engine in one piece. */
static float value_at_once(const char *text, bool finished, enum prm_agg agg, uint32_t *n_tokens) {
    char all[256];
    int32_t ids[128];
    float out[128];
    size_t n;
    struct error e;
    struct team *team;
    struct engine *en;
    struct client *client;
    struct engine_params p = {.n_pages = 8, .n_seqs = 1, .max_tokens = 128, .max_rows = 128};
    snprintf(all, sizeof all, "%s%s", PROMPT, text);
    GOOD(tok_encode(w.tok, all, strlen(all), false, true, ids, 127, &n, &e));
    if (finished) ids[n++] = VOCAB_END;
    *n_tokens = (uint32_t)n;
    GOOD(team_new(1, &team, &e));
    GOOD(engine_new(w.prm, team, &p, &en, &e));
    GOOD(engine_client_new(en, NULL, &client, &e));
    struct span s = {engine_seq_new(client), (uint32_t)n, (uint32_t)n, ids, out};
    GOOD(engine_run(client, &s, 1, NULL, &e));
    struct prm_chain c = {0};
    for (size_t i = N_PROMPT; i < n; i++)
        if (ids[i] == SEPARATOR || ids[i] == VOCAB_END) prm_chain_add(&c, prm_value(out[i]));
    engine_client_free(&client), engine_free(&en), team_free(&team);
    return prm_chain_value(&c, agg);
}

static void values_are_those_of_the_whole_text(void **state) {
    (void)state;
    int n_compared = 0;
    for (int agg = AGG_LAST; agg <= AGG_MEAN; agg++) {
        struct play p = {0};
        branch_id branches[CHAINS];
        struct error e;
        open_engines(1, roomy, roomy);
        w.params.agg = (enum prm_agg)agg;
        GOOD(eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e));
        float root;
        GOOD(w.ev.score(w.ev.self, &w.ev.root, 1, &root, &e));
        assert_true(root == 0.5f);
        for (int i = 0; i < CHAINS; i++) {
            branches[i] = forked(w.ev.root);
            uint32_t n_tokens = N_PROMPT, n_text;
            while (goes_on(&p, i)) {
                if (i % 3 == 2) w.ev.evict(w.ev.self, branches[i]);
                advance(&p, &i, branches, 1);
                const struct record *r = &p.steps[i][p.n[i] - 1];
                n_tokens += r->n_tokens;
                float want = value_at_once(eval_model_text(w.model, branches[i]), r->end == STEP_FINISHED, w.params.agg,
                                           &n_text);
                if (n_text != n_tokens) break; /* a zero byte has cut the text: nothing to compare with */
                same_floats(&r->value, &want, 1, "%s, chain %d, step %d", prm_agg_name(w.params.agg), i, p.n[i] - 1);
                float again;
                w.ev.evict(w.ev.self, branches[i]);
                GOOD(w.ev.score(w.ev.self, &branches[i], 1, &again, &e)); /* read again, added once */
                same_floats(&again, &want, 1, "%s, chain %d, step %d, after an eviction", prm_agg_name(w.params.agg), i,
                            p.n[i] - 1);
                n_compared++;
            }
        }
        close_world(); /* with all branches still held */
    }
    assert_true(n_compared >= 40);
}

static uint32_t free_sequences(struct engine *en) {
    uint32_t n = 0;
    struct client *c;
    struct error e;
    GOOD(engine_client_new(en, NULL, &c, &e));
    while (engine_seq_new(c)) n++;
    engine_client_free(&c); /* drops them */
    return n;
}

static void forks_and_drops_leave_nothing_behind(void **state) {
    (void)state;
    struct play p;
    open_world(1, roomy, roomy, 64);
    uint32_t pages[2], seqs[2];
    for (int i = 0; i < 2; i++)
        pages[i] = engine_kv_stats(w.engines[i]).pages_used, seqs[i] = free_sequences(w.engines[i]);
    for (int round = 0; round < 4; round++) {
        play_all(&p, round == 2 ? FORKED : ONE_AFTER_THE_OTHER);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(engine_kv_stats(w.engines[i]).pages_used, pages[i]);
            assert_int_equal(free_sequences(w.engines[i]), seqs[i]);
        }
    }
    branch_id none = 0;
    w.ev.drop(w.ev.self, &none);
    close_world();
}

/* A fork fails for want of branches, policy sequences or PRM sequences: nothing is lost with it. */
static void failed_forks_leave_nothing_behind(void **state) {
    (void)state;
    for (int which = 0; which < 3; which++) {
        struct engine_params policy = roomy, prm = roomy;
        struct error e;
        if (which == 0) policy.n_seqs = 5;
        if (which == 1) prm.n_seqs = 5;
        open_engines(1, policy, prm);
        if (which == 2) w.params.max_branches = 5;
        GOOD(eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e));
        for (int round = 0; round < 3; round++) {
            branch_id made[5] = {0};
            uint64_t forks = w.ev.ledger->forks;
            for (int i = 0; i < 4; i++) made[i] = forked(w.ev.root);
            for (int i = 0; i < 20; i++) {
                e.text[0] = 0;
                assert_int_equal(w.ev.fork(w.ev.self, w.ev.root, &made[4], &e), ERR_FULL);
                assert_int_equal(made[4], 0);
                assert_true(e.text[0] != 0);
            }
            assert_int_equal(w.ev.ledger->forks, forks + 4);
            for (int i = 0; i < 2; i++) assert_int_equal(free_sequences(w.engines[i]), (i ? prm : policy).n_seqs - 5);
            for (int i = 0; i < 4; i++) w.ev.drop(w.ev.self, &made[i]);
        }
        close_world();
    }
}

/* Too few pages for all chains at once: the call fails whole; with fewer chains alive the same steps come out. */
static void a_full_cache_undoes_the_call(void **state) {
    (void)state;
    struct play want, got = {0};
    reference_play(&want);
    for (int how = 0; how < 4; how++) {
        uint32_t max_batch = how % 2 ? 64 : 3;
        struct engine_params policy = roomy;
        struct error e;
        /* full at the first token; or in the middle of a step, after 12 copies of the prompt's page */
        policy.n_pages = how < 2 ? 7 : 15;
        open_world(1, policy, roomy, max_batch);
        branch_id branches[CHAINS];
        struct step steps[CHAINS];
        uint64_t generated = w.ev.ledger->generated_tokens;
        for (int i = 0; i < CHAINS; i++) branches[i] = forked(w.ev.root), steps[i] = step_of(branches[i], i, 0);
        for (int round = 0; round < 3; round++) {
            e.text[0] = 0;
            assert_int_equal(w.ev.extend(w.ev.self, steps, CHAINS, &e), ERR_FULL);
            assert_true(e.text[0] != 0);
            for (int i = 0; i < CHAINS; i++) assert_string_equal(eval_model_text(w.model, branches[i]), "");
            assert_int_equal(w.ev.ledger->generated_tokens, generated);
            if (!engine_check(w.engines[0], &e)) fail_msg("%s", e.text);
        }
        memset(&got, 0, sizeof got);
        for (int i = 0; i < CHAINS; i++) {
            for (int k = 0; k < CHAINS; k++)
                w.ev.evict(w.ev.self, branches[k]); /* as the search does when pages run out */
            while (goes_on(&got, i)) advance(&got, &i, branches, 1);
        }
        same_play(&got, &want, "after a full cache");
        close_world();
    }
}

/* The same for the reward model. */
static void a_full_reward_cache_undoes_the_call(void **state) {
    (void)state;
    struct play want, got = {0};
    struct engine_params prm = roomy;
    struct error e;
    reference_play(&want);
    prm.n_pages = 7;
    open_world(1, roomy, prm, 3);
    branch_id branches[CHAINS];
    struct step steps[CHAINS];
    float values[CHAINS];
    for (int i = 0; i < CHAINS; i++) branches[i] = forked(w.ev.root), steps[i] = step_of(branches[i], i, 0);
    GOOD(w.ev.extend(w.ev.self, steps, CHAINS, &e));
    for (int round = 0; round < 3; round++)
        assert_int_equal(w.ev.score(w.ev.self, branches, CHAINS, values, &e), ERR_FULL);
    if (!engine_check(w.engines[1], &e)) fail_msg("%s", e.text);
    for (int i = 0; i < CHAINS; i++) {
        for (int k = 0; k < CHAINS; k++) w.ev.evict(w.ev.self, branches[k]);
        GOOD(w.ev.score(w.ev.self, &branches[i], 1, &values[i], &e));
        note(&got, i, &steps[i], values[i]);
        while (goes_on(&got, i)) advance(&got, &i, branches, 1);
    }
    same_play(&got, &want, "after a full reward cache");
    close_world();
}

/* ---- the ledger, by hand ---- */

/* 2 per weight, 4 * layers * heads * head_dim * (tokens looked at). */
static uint64_t token_flops(const struct model_config *c, uint32_t pos, uint64_t head) {
    uint64_t q = c->n_head * c->head_dim, kv = c->n_head_kv * c->head_dim;
    uint64_t weights = c->n_layer * (2 * c->n_embd * q + 2 * c->n_embd * kv + 3ull * c->n_embd * c->n_ff);
    return 2 * (weights + head * c->n_embd) + 4ull * c->n_layer * q * (pos + 1);
}

static void costs_are_exact(void **state) {
    (void)state;
    struct error e;
    const struct model_config *c = &w.policy->config, *d = &w.prm->config;
    open_world(1, roomy, roomy, 64);
    struct ledger want = {.prompt_tokens = N_PROMPT, .prm_tokens = N_PROMPT}, *got = w.ev.ledger;
    for (uint32_t i = 0; i + 1 < N_PROMPT; i++) want.policy_flops += token_flops(c, i, 0);
    for (uint32_t i = 0; i < N_PROMPT; i++) want.prm_flops += token_flops(d, i, 0); /* no value is asked for yet */
    const uint64_t half = KV_PAGE * (8 * 2 + 4);                   /* cells, dim, int16, and a scale for each cell */
    uint64_t page[2] = {2ull * 2 * 2 * half, 1ull * 2 * 2 * half}; /* layers, kv heads, K and V */
    want.peak_kv_bytes = page[0] + page[1];
    assert_true((int)N_PROMPT < (int)KV_PAGE);
    assert_memory_equal(got, &want, sizeof want);

    branch_id a = forked(w.ev.root), b = forked(a);
    want.forks = 2, want.shared_tokens = 2 * (2 * N_PROMPT - 1);
    assert_memory_equal(got, &want, sizeof want);

    struct step s = step_of(b, 0, 0);
    float value;
    GOOD(w.ev.extend(w.ev.self, &s, 1, &e));
    want.generated_tokens = s.n_tokens, want.pages_copied = 1;
    for (uint32_t i = 0; i < s.n_tokens; i++) want.policy_flops += token_flops(c, N_PROMPT - 1 + i, VOCAB);
    uint64_t pages = 2 + (N_PROMPT - 1 + s.n_tokens > (uint32_t)KV_PAGE);
    want.peak_kv_bytes = pages * page[0] + page[1];
    assert_memory_equal(got, &want, sizeof want);

    GOOD(w.ev.score(w.ev.self, &b, 1, &value, &e));
    want.prm_tokens += s.n_tokens, want.pages_copied++;
    for (uint32_t i = 0; i < s.n_tokens; i++) want.prm_flops += token_flops(d, N_PROMPT + i, 1);
    want.peak_kv_bytes += page[1] * (1 + (N_PROMPT + s.n_tokens > (uint32_t)KV_PAGE));
    assert_memory_equal(got, &want, sizeof want);

    GOOD(w.ev.score(w.ev.self, &b, 1, &value, &e)); /* nothing new: free */
    assert_memory_equal(got, &want, sizeof want);
    w.ev.evict(w.ev.self, b);
    want.replayed_tokens = 2 * (N_PROMPT + s.n_tokens) - 1;
    assert_memory_equal(got, &want, sizeof want);
    close_world();
}

/* ---- ends, callbacks, errors ---- */

static void long_steps_and_chains_are_truncated(void **state) {
    (void)state;
    struct error e;
    open_engines(1, roomy, roomy);
    w.params.max_step_tokens = 3, w.params.max_tokens = N_PROMPT + 7;
    GOOD(eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e));
    int cut_by_step = 0, cut_by_context = 0;
    for (int i = 0; i < CHAINS; i++) {
        branch_id b = forked(w.ev.root);
        uint32_t n_tokens = N_PROMPT;
        for (int depth = 0; depth < 12; depth++) { /* goes on past truncated steps, as no search does */
            struct step s = step_of(b, i, depth);
            GOOD(w.ev.extend(w.ev.self, &s, 1, &e));
            if (n_tokens == w.params.max_tokens) assert_true(s.n_tokens == 0 && s.end == STEP_TRUNCATED && !*s.text);
            n_tokens += s.n_tokens;
            assert_true(s.n_tokens <= 3 && n_tokens <= w.params.max_tokens);
            if (s.end == STEP_TRUNCATED) assert_true(s.n_tokens == 3 || n_tokens == w.params.max_tokens);
            cut_by_step += s.end == STEP_TRUNCATED && s.n_tokens == 3;
            cut_by_context += s.end == STEP_TRUNCATED && s.n_tokens < 3;
        }
    }
    assert_true(cut_by_step > 0 && cut_by_context > 0);
    close_world();
}

static float check_text(void *arg, const char *text, uint64_t deadline_ns, char *reason, size_t cap) {
    snprintf(reason, cap, "%zu bytes by %llu", strlen(text), (unsigned long long)deadline_ns);
    return arg == &w && strlen(text) % 2 == 0;
}
static size_t answer_text(void *arg, const char *text, char *out, size_t cap) {
    (void)arg;
    return (size_t)snprintf(out, cap, "<%s>", text);
}
static float oracle_text(void *arg, const char *text) {
    (void)arg;
    return 1 / (1 + (float)strlen(text));
}

static void what_the_task_knows_is_asked(void **state) {
    (void)state;
    struct error e;
    open_engines(1, roomy, roomy);
    assert_int_equal(eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e), OK);
    assert_null(w.ev.check);
    assert_non_null(w.ev.score);
    assert_string_equal(w.ev.answer(w.ev.self, w.ev.root), "");
    eval_model_close(&w.model);
    w.params.prm = NULL;
    GOOD(eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e));
    assert_null(w.ev.score);
    eval_model_close(&w.model);
    w.params.check = check_text, w.params.answer = answer_text, w.params.oracle = oracle_text, w.params.arg = &w;
    GOOD(eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e));
    branch_id b = forked(w.ev.root);
    struct step s = step_of(b, 1, 0);
    float value;
    char want[256];
    GOOD(w.ev.extend(w.ev.self, &s, 1, &e));
    const char *text = eval_model_text(w.model, b);
    size_t n = strlen(text);
    assert_memory_equal(text, s.text, strlen(s.text));
    snprintf(want, sizeof want, "<%s>", text);
    const char *answer = w.ev.answer(w.ev.self, b), *other = w.ev.answer(w.ev.self, w.ev.root);
    assert_string_equal(answer, want);
    assert_string_equal(other, "<>");
    assert_true(w.ev.check(w.ev.self, b).reward == (n % 2 == 0));
    GOOD(w.ev.score(w.ev.self, &b, 1, &value, &e));
    assert_true(value == 1 / (1 + (float)n));
    close_world();
}

static void prompts_have_a_largest_size(void **state) {
    (void)state;
    struct error e;
    open_engines(1, roomy, roomy);
    for (uint32_t max = 1; max <= N_PROMPT + 1; max++) {
        w.params.max_tokens = max;
        w.model = (struct eval_model *)&w;
        enum status s = eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e);
        assert_int_equal(s, max <= N_PROMPT ? ERR_INPUT : OK);
        if (s && !strstr(e.text, "prompt")) fail_msg("\"%s\"", e.text);
        if (s) assert_null(w.model);
        eval_model_close(&w.model);
    }
    close_world();
}

/* A policy that gives NaN ends its steps; a reward model that does gives 0. */
static void nan_is_dead_or_worthless(void **state) {
    (void)state;
    struct model_config c = w.policy->config;
    struct net *nets[2] = {tiny_net(&c, NET_LM, 5), tiny_net(&c, NET_VALUE, 5)};
    struct model *good[2] = {w.policy, w.prm};
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < nets[i]->n_weights; k++)
            if (k >= nets[i]->tensors[1].offset) nets[i]->weights[k] = NAN;
    for (int i = 0; i < 2; i++) {
        struct model *bad = tiny_model(nets[i], TYPE_F32);
        struct error e;
        float value = -1;
        w.policy = i ? good[0] : bad, w.prm = i ? bad : good[1];
        open_world(1, roomy, roomy, 64);
        int n_ended = 0;
        for (int chain = 0; chain < CHAINS; chain++) {
            branch_id b = forked(w.ev.root);
            struct step s = step_of(b, chain, 0);
            GOOD(w.ev.extend(w.ev.self, &s, 1, &e));
            GOOD(w.ev.score(w.ev.self, &b, 1, &value, &e));
            bool ended = s.end == STEP_SEPARATOR || s.end == STEP_FINISHED;
            if (!i) assert_true(s.end == STEP_DEAD && s.n_tokens == 0 && !*s.text);
            assert_true(value == (i && ended ? 0 : 0.5f));
            n_ended += ended;
        }
        assert_int_equal(n_ended > 0, i);
        close_world();
        model_close(&bad), net_free(&nets[i]);
    }
    w.policy = good[0], w.prm = good[1];
}

static enum status use_evaluator(struct error *e) {
    enum status s = eval_model_open(&w.params, PROMPT, &w.model, &w.ev, e);
    if (s) return s;
    branch_id b = 0;
    struct step step;
    s = w.ev.fork(w.ev.self, w.ev.root, &b, e);
    if (!s) step = step_of(b, 1, 0), s = w.ev.extend(w.ev.self, &step, 1, e);
    eval_model_close(&w.model);
    return s;
}

static void failed_memory_is_an_error_and_no_leak(void **state) {
    (void)state;
    struct error e;
    open_engines(1, roomy, roomy);
    mem_fail_at(0, false);
    GOOD(use_evaluator(&e));
    size_t n = mem_fail_at(0, false);
    assert_true(n > 10);
    for (size_t i = 1; i <= n; i++) {
        e.text[0] = 0;
        mem_fail_at(i, true);
        enum status s = use_evaluator(&e);
        mem_fail_at(0, false);
        if (s != ERR_MEMORY || !e.text[0]) fail_msg("allocation %zu of %zu: status %d, \"%s\"", i, n, (int)s, e.text);
        for (int k = 0; k < 2; k++) assert_int_equal(engine_kv_stats(w.engines[k]).pages_used, 0);
    }
    close_world();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_keys_give_equal_steps),
        cmocka_unit_test(values_are_those_of_the_whole_text),
        cmocka_unit_test(forks_and_drops_leave_nothing_behind),
        cmocka_unit_test(failed_forks_leave_nothing_behind),
        cmocka_unit_test(a_full_cache_undoes_the_call),
        cmocka_unit_test(a_full_reward_cache_undoes_the_call),
        cmocka_unit_test(costs_are_exact),
        cmocka_unit_test(long_steps_and_chains_are_truncated),
        cmocka_unit_test(what_the_task_knows_is_asked),
        cmocka_unit_test(prompts_have_a_largest_size),
        cmocka_unit_test(nan_is_dead_or_worthless),
        cmocka_unit_test(failed_memory_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
