/* eval_world.h: a tiny policy, draft and reward model, an evaluator of them, what a task may know, and looks at branches.
 * Not a test itself.
 * Next: test_verbs.c. */
#ifndef PONDER_TESTS_EVAL_WORLD_H
#define PONDER_TESTS_EVAL_WORLD_H

#include "tests/tiny_model.h"

#include "search/eval_model.h"

/* Token ids below 40 are the control tokens and the bytes 0 to 37, so steps of a random model end now and then. */
enum { VOCAB = 40, SEPARATOR = 2 + '\n', CHAINS = 40, CTX = 120, LONGEST = 128 };
static const char PROMPT[] = " !\"#$% !\"# #\n";

static struct world {
    struct model *policy, *draft, *prm;
    struct tok *tok;
    struct team *team;
    struct engine *engines[3]; /* policy, draft, prm */
    struct eval_params params;
    struct eval_model *model;
    struct evaluator ev;
    int n_prompts;   /* asked for */
    char about[512]; /* by the newest prompt */
    bool prompts_fail;
} w;

static inline int open_models(void **state) {
    (void)state;
    struct model_config c = tiny_config(2, 12, 4, 2, 24), d = tiny_config(1, 16, 2, 2, 20);
    c.n_vocab = d.n_vocab = VOCAB;
    struct net *policy = tiny_net(&c, NET_LM, 10), *draft = tiny_net(&d, NET_LM, 11), *prm = tiny_net(&d, NET_VALUE, 6);
    w.policy = tiny_model(policy, TYPE_F32), w.draft = tiny_model(draft, TYPE_F32), w.prm = tiny_model(prm, TYPE_F16);
    net_free(&policy), net_free(&draft), net_free(&prm);
    w.tok = tiny_tok(VOCAB_SIZE);
    return 0;
}

static inline int close_models(void **state) {
    model_close(&w.policy), model_close(&w.draft), model_close(&w.prm), tok_close(&w.tok);
    return tiny_cleanup(state);
}

/* ---- what the task knows ---- */

/* A prompt of more than one page, common to all that is asked; then what is asked, about what, with which note. */
static inline enum status prompt_of(void *arg, enum ask ask, const char *text, const char *note, int32_t **ids,
                                    size_t *n, struct error *e) {
    char all[1024];
    struct world *x = arg;
    x->n_prompts++;
    snprintf(x->about, sizeof x->about, "%s", text);
    snprintf(all, sizeof all, "################%d\n%s\n%s\n", (int)ask, text, note);
    for (char *c = all; *c; c++) /* into the tiny vocabulary */
        if ((unsigned char)*c > 37) *c = ' ';
    if (x->prompts_fail) return error_set(e, ERR_IO, "no prompt today");
    if (!(*ids = mem_new(CTX, sizeof **ids))) return error_set(e, ERR_MEMORY, "no memory for a prompt");
    return tok_encode(x->tok, all, strlen(all), false, true, *ids, CTX, n, e);
}

static inline float check_text(void *arg, const char *text, uint64_t deadline_ns, char *reason, size_t cap) {
    (void)arg;
    snprintf(reason, cap, "%zu bytes by %llu", strlen(text), (unsigned long long)deadline_ns);
    return (float)strlen(text) / 10;
}

static inline uint64_t state_of(void *arg, const char *text) {
    (void)arg;
    return strlen(text) ? 100 + strlen(text) : 0;
}

/* ---- the evaluator ---- */

static const struct engine_params roomy = {.n_pages = 900, .n_seqs = 150, .max_tokens = CTX + 8, .max_rows = 64};

static inline void open_engines(uint32_t n_pages) {
    struct model *models[3] = {w.policy, w.draft, w.prm};
    struct engine_params p = roomy;
    struct error e;
    p.n_pages = n_pages;
    GOOD(team_new(1, &w.team, &e));
    for (int i = 0; i < 3; i++) GOOD(engine_new(models[i], w.team, &p, &w.engines[i], &e));
    w.params = (struct eval_params){.policy = w.engines[0],
                                    .prm = w.engines[2],
                                    .tok = w.tok,
                                    .agg = AGG_MEAN,
                                    .sampling = {.top_p = 1},
                                    .max_step_tokens = 12,
                                    .max_tokens = 64,
                                    .max_branches = CHAINS,
                                    .max_batch = 7,
                                    .separator = SEPARATOR,
                                    .arg = &w};
}

static inline void open_eval(void) {
    struct error e;
    GOOD(eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e));
}

static inline void open_world(void) {
    open_engines(roomy.n_pages);
    open_eval();
}

static inline void close_world(void) {
    struct error e;
    eval_model_close(&w.model);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(engine_kv_stats(w.engines[i]).pages_used, 0);
        if (!engine_check(w.engines[i], &e)) fail_msg("%s", e.text);
        engine_free(&w.engines[i]);
    }
    team_free(&w.team);
}

static inline branch_id forked(branch_id from) {
    branch_id b = 0;
    struct error e;
    GOOD(w.ev.fork(w.ev.self, from, &b, &e));
    return b;
}

static inline void dropped(branch_id *b) { w.ev.drop(w.ev.self, b); }

/* All that can be seen of a branch. */
struct sight {
    int32_t tokens[LONGEST];
    uint32_t n;
    char text[512];
    float value;
};

static inline void look(struct sight *s, branch_id b) {
    struct error e;
    memset(s, 0, sizeof *s);
    memcpy(s->tokens, eval_model_tokens(w.model, b, &s->n), sizeof *s->tokens);
    const int32_t *ids = eval_model_tokens(w.model, b, &s->n);
    memcpy(s->tokens, ids, s->n * sizeof *ids);
    snprintf(s->text, sizeof s->text, "%s", eval_model_text(w.model, b));
    if (w.ev.score) GOOD(w.ev.score(w.ev.self, &b, 1, &s->value, &e));
}

static inline void same_sight(branch_id got, branch_id want, const char *what, int i) {
    struct sight a, b;
    look(&a, got), look(&b, want);
    if (a.n != b.n) fail_msg("%s %d: %u tokens, expected %u", what, i, a.n, b.n);
    for (uint32_t k = 0; k < a.n; k++)
        if (a.tokens[k] != b.tokens[k])
            fail_msg("%s %d: token %u is %d, expected %d", what, i, k, a.tokens[k], b.tokens[k]);
    assert_string_equal(a.text, b.text);
    same_floats(&a.value, &b.value, 1, "%s %d: value", what, i);
}

static inline struct step step_of(branch_id b, uint64_t key) {
    return (struct step){.branch = b, .key = rng_fold(77, key), .temperature = key % 3 ? 1 : 0.7f};
}

static inline void extend(struct step *s) {
    struct error e;
    GOOD(w.ev.extend(w.ev.self, s, 1, &e));
}

static inline bool is_over(enum step_end end) { return end != STEP_SEPARATOR && end != STEP_OPEN; }

/* Logits behind each of n tokens by a fresh engine that reads them at once. */
static inline void logits_of(struct model *m, const int32_t *ids, uint32_t n, float *logits) {
    struct error e;
    struct team *team;
    struct engine *en;
    struct client *client;
    struct engine_params p = {.n_pages = 20, .n_seqs = 1, .max_tokens = LONGEST, .max_rows = LONGEST};
    GOOD(team_new(1, &team, &e));
    GOOD(engine_new(m, team, &p, &en, &e));
    GOOD(engine_client_new(en, NULL, &client, &e));
    struct span s = {engine_seq_new(client), n, n, ids, logits};
    GOOD(engine_run(client, &s, 1, NULL, &e));
    engine_client_free(&client), engine_free(&en), team_free(&team);
}

#endif
