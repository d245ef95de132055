/* test_eval_verifier.c: chains judged without a reward model (P(True), mean log-probability), steps that end by a text, NaN at
 * one step, what reward models of text cost and where they end.
 * Not the protocols: test_prm_protocol.c.
 * Next: test_train.c. */
#include "tests/prm_model.h"

#include "search/eval_model.h"

enum { CHAINS = 12, DEPTH = 4 };
static const char QUESTION[] = "Is the solution above right, as far as it goes? Answer with one word, True or False.";
static const char CHATML[] = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
                             "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

static const struct p_file classes = {.arch = "qwen2", .pre = "qwen2", .head = P_CLASSES, .shift = 3, .key = 21};

static struct world {
    struct model *policy, *prm;
    struct tok *tok;
    struct team *team;
    struct engine *engine, *prm_engine;
    struct prm_reader *reader;
    struct chat *chat;
    struct ptrue *ptrue;
    struct eval_params params;
    struct eval_model *model;
    struct evaluator ev;
    int32_t prompt[64];
    uint64_t seed; /* of the steps */
} w;

static const struct engine_params roomy = {.n_pages = 900, .n_seqs = 60, .max_tokens = 1024, .max_rows = 100};

static void open_policy(const struct p_file *f) {
    struct error e;
    w = (struct world){.policy = p_model(f), .seed = 3};
    w.tok = p_tok(w.policy);
    GOOD(team_new(1, &w.team, &e));
    GOOD(engine_new(w.policy, w.team, &roomy, &w.engine, &e));
    w.params = (struct eval_params){.policy = w.engine,
                                    .verifier = VERIFIER_NONE,
                                    .tok = w.tok,
                                    .sampling = {.top_p = 1},
                                    .max_step_tokens = 20,
                                    .max_tokens = 300,
                                    .max_branches = 40,
                                    .max_batch = 5,
                                    .delimiter = "\n\n",
                                    .prompt_tokens = w.prompt,
                                    .problem = "What is 3 + 3?"};
    w.params.n_prompt_tokens = p_encode(w.tok, "Solve this: 3 + 3?\n", false, false, w.prompt);
}

static void open_prm(void) {
    struct error e;
    w.prm = p_model(&classes);
    GOOD(prm_reader_open(w.prm, NULL, &w.reader, &e));
    GOOD(engine_new(w.prm, w.team, &roomy, &w.prm_engine, &e));
    w.params.verifier = VERIFIER_PRM, w.params.prm = w.prm_engine, w.params.reader = w.reader;
}

static void open_eval(void) {
    struct error e;
    GOOD(eval_model_open(&w.params, NULL, &w.model, &w.ev, &e));
}

static void close_world(void) {
    eval_model_close(&w.model);
    assert_int_equal(engine_kv_stats(w.engine).pages_used, 0);
    if (w.prm_engine) assert_int_equal(engine_kv_stats(w.prm_engine).pages_used, 0);
    engine_free(&w.engine);
    if (w.prm_engine) engine_free(&w.prm_engine);
    prm_reader_close(&w.reader), ptrue_close(&w.ptrue), chat_close(&w.chat);
    team_free(&w.team), tok_close(&w.tok), model_close(&w.policy);
    if (w.prm) model_close(&w.prm);
}

/* ---- chains ---- */

struct play {
    branch_id branch;
    int depth;
    bool over;
    struct step step; /* the newest */
    double logprob;
};

static void fork_all(struct play *plays) {
    struct error e;
    memset(plays, 0, CHAINS * sizeof *plays);
    for (int i = 0; i < CHAINS; i++) GOOD(w.ev.fork(w.ev.self, w.ev.root, &plays[i].branch, &e));
}

/* One more step of all that are not over, in one call. */
static void extend_all(struct play *plays) {
    struct step steps[CHAINS];
    int who[CHAINS], n = 0;
    struct error e;
    for (int i = 0; i < CHAINS; i++)
        if (!plays[i].over) {
            uint64_t key = rng_fold(rng_fold(w.seed, (uint64_t)i), (uint64_t)plays[i].depth++);
            who[n] = i, steps[n++] = (struct step){.branch = plays[i].branch, .key = key, .temperature = 1};
        }
    GOOD(w.ev.extend(w.ev.self, steps, (size_t)n, &e));
    for (int k = 0; k < n; k++) {
        struct play *p = &plays[who[k]];
        p->step = steps[k], p->over = steps[k].end != STEP_SEPARATOR, p->logprob += steps[k].logprob;
    }
}

static void score_all(const struct play *plays, float *values) {
    branch_id ids[CHAINS];
    struct error e;
    for (int i = 0; i < CHAINS; i++) ids[i] = plays[i].branch;
    GOOD(w.ev.score(w.ev.self, ids, CHAINS, values, &e));
}

/* ---- P(True) ---- */

static double softmax_of(const float *logits, int32_t yes, int32_t no) {
    return exp(logits[yes]) / (exp(logits[yes]) + exp(logits[no]));
}

/* Question and words by hand, after a chain without its end token, read at once. */
static void check_ptrue(const struct play *p, int chain, bool chat, float value) {
    static float logits[P_VOCAB];
    int32_t ids[P_IDS];
    uint32_t n;
    char question[400];
    const int32_t *tokens = eval_model_tokens(w.model, p->branch, &n);
    if (tok_is_end(w.tok, tokens[n - 1])) n--;
    memcpy(ids, tokens, n * sizeof *ids);
    snprintf(question, sizeof question,
             chat ? "<|im_end|>\n<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n"
                  : "\n\nQuestion: %s\nAnswer: ",
             QUESTION);
    n += (uint32_t)p_encode(w.tok, question, true, false, ids + n);
    p_read(w.policy, ids, n, 1, logits);
    double want =
        softmax_of(logits, tok_find(w.tok, "T"), tok_find(w.tok, "F")); /* bytes: the words part at the first letter */
    if (!(fabs((double)value - want) < 1e-6))
        fail_msg("chain %d, chat %d: P(True) %.9g, expected %.9g", chain, chat, (double)value, want);
    float same = prm_value(logits[tok_find(w.tok, "T")] - logits[tok_find(w.tok, "F")]);
    same_floats(&value, &same, 1, "chain %d, chat %d", chain, chat);
}

static void the_policy_is_asked_on_a_fork(void **state) {
    (void)state;
    for (int chat = 0; chat < 2; chat++) {
        struct p_file f = p_policy();
        struct play plays[CHAINS], silent[CHAINS];
        struct error e;
        int n_over = 0;
        f.chat = CHATML;
        open_policy(&f);
        open_eval();
        fork_all(silent); /* the same steps, nobody asked */
        for (int depth = 0; depth < DEPTH; depth++) extend_all(silent);
        eval_model_close(&w.model);
        if (chat) GOOD(chat_open(w.policy->file, w.tok, NULL, &w.chat, &e));
        GOOD(ptrue_open(w.tok, w.chat, &w.ptrue, &e));
        w.params.verifier = VERIFIER_PTRUE, w.params.ptrue = w.ptrue;
        open_eval();
        fork_all(plays);
        for (int depth = 0; depth < DEPTH; depth++) {
            float values[CHAINS], again[CHAINS];
            extend_all(plays);
            uint32_t pages = engine_kv_stats(w.engine).pages_used;
            score_all(plays, values);
            assert_int_equal(engine_kv_stats(w.engine).pages_used, pages);
            for (int i = 0; i < CHAINS; i++) check_ptrue(&plays[i], i, chat, values[i]);
            for (int i = 0; i < CHAINS; i += 2) w.ev.evict(w.ev.self, plays[i].branch);
            score_all(plays, again);
            same_floats(again, values, CHAINS, "after evictions, depth %d", depth);
        }
        for (int i = 0; i < CHAINS; i++) {
            n_over += plays[i].step.end == STEP_FINISHED;
            assert_int_equal(plays[i].depth, silent[i].depth);
            same_floats(&plays[i].step.logprob, &silent[i].step.logprob, 1, "chain %d goes on as if not asked", i);
        }
        assert_true(n_over > 0 && n_over < CHAINS);
        close_world();
    }
}

static uint64_t flops(const struct model *m, uint32_t from, uint32_t to, bool all) {
    uint64_t sum = 0;
    for (uint32_t pos = from; pos < to; pos++) sum += model_flops(m, pos, all || pos + 1 == to);
    return sum;
}

static void asking_is_counted_and_full_caches_are_said(void **state) {
    (void)state;
    struct p_file f = p_policy();
    struct error e = {""};
    struct play plays[CHAINS];
    float values[CHAINS];
    uint32_t n, seqs[64], held = 0;
    open_policy(&f);
    GOOD(ptrue_open(w.tok, NULL, &w.ptrue, &e));
    w.params.verifier = VERIFIER_PTRUE, w.params.ptrue = w.ptrue;
    open_eval();
    fork_all(plays);
    extend_all(plays);
    uint64_t policy = w.ev.ledger->policy_flops;
    GOOD(w.ev.score(w.ev.self, &plays[0].branch, 1, values, &e));
    eval_model_tokens(w.model, plays[0].branch, &n);
    uint32_t fresh = (uint32_t)w.ptrue->n + (plays[0].step.end != STEP_FINISHED);
    assert_int_equal(w.ev.ledger->prm_tokens, fresh);
    assert_int_equal(w.ev.ledger->prm_flops, flops(w.policy, n - 1, n - 1 + fresh, false));
    assert_int_equal(w.ev.ledger->policy_flops, policy);
    struct client *other;
    GOOD(engine_client_new(w.engine, NULL, &other, &e));
    while ((seqs[held] = engine_seq_new(other))) held++;
    engine_drop(other, &seqs[held - 1]);
    branch_id two[2] = {plays[0].branch, plays[1].branch};
    for (int round = 0; round < 3; round++) {
        e.text[0] = 0;
        assert_int_equal(w.ev.score(w.ev.self, two, 2, values, &e), ERR_FULL);
        assert_true(e.text[0]);
        GOOD(w.ev.score(w.ev.self, two, 1, values, &e)); /* the fork that failed has left its sequence free */
    }
    engine_client_free(&other);
    close_world();
}

/* ---- mean log-probability ---- */

static void logprobs_are_averaged(void **state) {
    (void)state;
    static float logits[512 * P_VOCAB];
    struct p_file f = p_policy();
    struct play plays[CHAINS];
    struct error e;
    float root;
    open_policy(&f);
    w.params.verifier = VERIFIER_LOGPROB;
    open_eval();
    GOOD(w.ev.score(w.ev.self, &w.ev.root, 1, &root, &e));
    assert_true(root == 0.5f);
    fork_all(plays);
    for (int depth = 0; depth < DEPTH; depth++) {
        float values[CHAINS];
        extend_all(plays);
        score_all(plays, values);
        for (int i = 0; i < CHAINS; i++) {
            uint32_t n, n_prompt = (uint32_t)w.params.n_prompt_tokens;
            const int32_t *ids = eval_model_tokens(w.model, plays[i].branch, &n);
            p_read(w.policy, ids, n, n, logits);
            double sum = 0;
            for (uint32_t k = n_prompt; k < n; k++) {
                double all = 0;
                for (int v = 0; v < P_VOCAB; v++) all += exp(logits[(k - 1) * P_VOCAB + (uint32_t)v]);
                sum += logits[(k - 1) * P_VOCAB + (uint32_t)ids[k]] - log(all);
            }
            double want = exp(sum / (n - n_prompt));
            if (!(fabs((double)values[i] - want) < 1e-5))
                fail_msg("chain %d, depth %d: %.9g, expected %.9g", i, depth, (double)values[i], want);
        }
    }
    assert_int_equal(w.ev.ledger->prm_tokens + w.ev.ledger->prm_flops, 0);
    close_world();
}

/* ---- steps that end by a text ---- */

/* The text of the first n tokens of a step: does something with words in it come before a delimiter? */
static bool is_complete(const int32_t *ids, uint32_t n, char *text, size_t cap) {
    size_t size;
    tok_decode(w.tok, ids, n, false, text, cap, &size);
    return strstr(text + strspn(text, " \n"), "\n\n") != NULL;
}

static void steps_end_where_the_delimiter_is_complete(void **state) {
    (void)state;
    struct p_file f = p_policy();
    struct play plays[CHAINS];
    int whole = 0, split = 0, inside = 0, leading = 0;
    open_policy(&f);
    open_eval();
    assert_null(w.ev.score);
    for (int round = 0; round < 80; round++) {
        int depth = round % 8;
        uint32_t before[CHAINS], n;
        for (int i = 0; depth == 0 && round && i < CHAINS; i++) w.ev.drop(w.ev.self, &plays[i].branch);
        if (depth == 0) w.seed++, fork_all(plays);
        for (int i = 0; i < CHAINS; i++) eval_model_tokens(w.model, plays[i].branch, &before[i]);
        if (depth == 0)
            for (int i = 0; i < CHAINS; i++) assert_int_equal(before[i], w.params.n_prompt_tokens);
        extend_all(plays);
        for (int i = 0; i < CHAINS; i++) {
            char text[400], shorter[400];
            const int32_t *ids = eval_model_tokens(w.model, plays[i].branch, &n) + before[i];
            n -= before[i];
            if (!n) continue;
            bool ends = is_complete(ids, n, text, sizeof text),
                 early = is_complete(ids, n - 1, shorter, sizeof shorter);
            if (early || ends != (plays[i].step.end == STEP_SEPARATOR))
                fail_msg("chain %d, depth %d: \"%s\" ended with %d", i, depth, text, (int)plays[i].step.end);
            if (!ends) continue;
            struct gguf_string last = tok_piece(w.tok, ids[n - 1], false);
            leading += text[0] == '\n' && text[1] == '\n';
            whole += last.size == 2, split += last.size == 1, inside += last.size > 2;
            if (last.size <= 2) text[strlen(text) - 2] = 0; /* what follows the delimiter in a token stays */
            assert_string_equal(plays[i].step.text, text);
        }
    }
    if (!whole || !split || !inside || !leading)
        fail_msg("%d whole, %d split, %d inside a token, %d led: the test is empty", whole, split, inside, leading);
    close_world();
}

/* ---- NaN at one step ---- */

/* The model breaks down behind the word "t": chains that write it die with their next token, the others do not notice. */
static void nan_ends_one_branch(void **state) {
    (void)state;
    struct p_file f = p_policy();
    struct play good[CHAINS], plays[CHAINS];
    int n_dead = 0, n_live = 0;
    open_policy(&f);
    open_eval();
    fork_all(good);
    int32_t word = tok_find(w.tok, "t");
    uint32_t n, at[CHAINS];
    extend_all(good);
    for (int i = 0; i < CHAINS; i++) { /* where "t" is, or the end */
        const int32_t *ids = eval_model_tokens(w.model, good[i].branch, &n);
        for (at[i] = (uint32_t)w.params.n_prompt_tokens; at[i] < n && ids[at[i]] != word;) at[i]++;
        if (at[i] + 1 >= n) at[i] = 0; /* nothing comes after it */
    }
    for (int i = 0; i < CHAINS; i++) good[i].branch = 0;
    close_world();
    f.nan_t = true;
    open_policy(&f);
    open_eval();
    fork_all(plays);
    extend_all(plays);
    for (int i = 0; i < CHAINS; i++) {
        const struct step *a = &plays[i].step, *b = &good[i].step;
        eval_model_tokens(w.model, plays[i].branch, &n);
        n_dead += at[i] > 0, n_live += at[i] == 0;
        if (at[i] && (a->end != STEP_DEAD || n != at[i] + 1))
            fail_msg("chain %d: end %d with %u tokens, expected a dead one with %u", i, (int)a->end, n, at[i] + 1);
        if (at[i]) continue;
        assert_int_equal(a->end, b->end);
        assert_int_equal(a->n_tokens, b->n_tokens);
        same_floats(&a->logprob, &b->logprob, 1, "chain %d lives on", i);
    }
    if (!n_dead || !n_live) fail_msg("%d dead, %d live: the test is empty", n_dead, n_live);
    close_world();
}

/* ---- reward models of text: costs, limits, memory ---- */

static void text_rewards_are_counted(void **state) {
    (void)state;
    struct p_file f = p_policy();
    struct play plays[CHAINS];
    struct error e;
    float value;
    uint32_t n, n_prompt;
    const uint8_t *scored;
    open_policy(&f);
    open_prm();
    open_eval();
    eval_model_prm_tokens(w.model, w.ev.root, &n_prompt, &scored);
    assert_int_equal(w.ev.ledger->prm_tokens, n_prompt);
    uint64_t hidden = 2ull * A_EMBD * A_EMBD, out = 2ull * 2 * A_EMBD; /* both layers of the head */
    assert_int_equal(model_flops(w.prm, 0, true) - model_flops(w.prm, 0, false), hidden + out);
    const uint64_t unasked = n_prompt * (hidden + out); /* no value is wanted of the prompt */
    assert_int_equal(w.ev.ledger->prm_flops, flops(w.prm, 0, n_prompt, true) - unasked);
    fork_all(plays);
    extend_all(plays);
    GOOD(w.ev.score(w.ev.self, &plays[0].branch, 1, &value, &e));
    eval_model_prm_tokens(w.model, plays[0].branch, &n, &scored);
    assert_true(n > n_prompt && scored[n - 1]);
    assert_int_equal(w.ev.ledger->prm_tokens, n);
    assert_int_equal(w.ev.ledger->prm_flops, flops(w.prm, 0, n, true) - unasked);
    close_world();
}

static void steps_without_room_for_the_reward_model_are_truncated(void **state) {
    (void)state;
    struct p_file f = p_policy();
    struct play plays[CHAINS];
    struct error e = {""};
    uint32_t n, n_prompt;
    const uint8_t *scored;
    int n_cut = 0, n_kept = 0;
    open_policy(&f);
    open_prm();
    open_eval();
    eval_model_prm_tokens(w.model, w.ev.root, &n_prompt, &scored);
    eval_model_close(&w.model);
    w.params.max_prm_tokens = n_prompt;
    assert_int_equal(eval_model_open(&w.params, NULL, &w.model, &w.ev, &e), ERR_INPUT);
    if (!strstr(e.text, "reward model's prompt")) fail_msg("\"%s\"", e.text);
    for (uint32_t room = 1; room <= 24; room++) {
        w.params.max_prm_tokens = n_prompt + room;
        open_eval();
        fork_all(plays);
        for (int depth = 0; depth < 2; depth++) {
            float values[CHAINS];
            extend_all(plays);
            score_all(plays, values);
            for (int i = 0; i < CHAINS; i++) {
                eval_model_prm_tokens(w.model, plays[i].branch, &n, &scored);
                assert_true(n <= n_prompt + room);
                bool cut = plays[i].step.end == STEP_TRUNCATED && plays[i].step.n_tokens < 20;
                n_cut += cut, n_kept += n > n_prompt;
                if (n == n_prompt) assert_true(values[i] == 0.5f);
            }
        }
        eval_model_close(&w.model);
    }
    if (!n_cut || !n_kept) fail_msg("%d cut, %d kept: the test is empty", n_cut, n_kept);
    close_world();
}

static enum status use_reader(struct error *e) {
    struct prm_reader *r = NULL;
    struct evaluator ev;
    struct eval_model *m = NULL;
    branch_id b = 0;
    float value;
    enum status s = prm_reader_open(w.prm, NULL, &r, e);
    if (s) assert_null(r);
    w.params.reader = r;
    if (!s && !(s = eval_model_open(&w.params, NULL, &m, &ev, e)) && !(s = ev.fork(ev.self, ev.root, &b, e))) {
        struct step step = {.branch = b, .key = rng_fold(rng_fold(3, 0), 0), .temperature = 1};
        if (!(s = ev.extend(ev.self, &step, 1, e))) s = ev.score(ev.self, &b, 1, &value, e);
    }
    eval_model_close(&m);
    prm_reader_close(&r);
    return s;
}

static void failed_memory_is_an_error_and_no_leak(void **state) {
    (void)state;
    struct p_file f = p_policy();
    struct error e;
    open_policy(&f);
    open_prm();
    mem_fail_at(0, false);
    GOOD(use_reader(&e));
    size_t n = mem_fail_at(0, false);
    assert_true(n > 60);
    for (size_t i = 1; i <= n; i++) {
        e.text[0] = 0;
        mem_fail_at(i, true);
        enum status s = use_reader(&e);
        mem_fail_at(0, false);
        if (s != ERR_MEMORY || !e.text[0]) fail_msg("allocation %zu of %zu: status %d, \"%s\"", i, n, (int)s, e.text);
    }
    w.params.reader = w.reader;
    close_world();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_is_asked_on_a_fork),
        cmocka_unit_test(asking_is_counted_and_full_caches_are_said),
        cmocka_unit_test(logprobs_are_averaged),
        cmocka_unit_test(steps_end_where_the_delimiter_is_complete),
        cmocka_unit_test(nan_ends_one_branch),
        cmocka_unit_test(text_rewards_are_counted),
        cmocka_unit_test(steps_without_room_for_the_reward_model_are_truncated),
        cmocka_unit_test(failed_memory_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
