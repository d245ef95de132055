/* test_verbs.c: what strategies can ask of branches besides a whole step, each against a second way to the same: steps
 * in parts, to the end, given tokens, proposals, other prompts, a draft model, checks, states, limits; and random trees
 * against copies.
 * Not whole steps and their values: test_eval_model.c.
 * Next: search/eval_internal.h. */
#include "tests/eval_world.h"

#include "base/clock.h"

/* ---- steps in parts ---- */

static void steps_in_parts_are_whole_steps(void **state) {
    (void)state;
    int n_parts = 0, n_steps = 0;
    for (int evicting = 0; evicting < 2; evicting++) {
        open_world();
        for (int i = 0; i < CHAINS; i++) {
            branch_id whole = forked(w.ev.root), parts = forked(w.ev.root);
            for (int depth = 0; depth < 4; depth++) {
                uint64_t key = (uint64_t)(10 * i + depth);
                struct step a = step_of(whole, key), b = {.end = STEP_OPEN};
                char text[256] = "";
                uint32_t n = 0;
                extend(&a);
                assert_int_equal(a.n_steps, a.end == STEP_SEPARATOR || a.end == STEP_FINISHED);
                while (b.end == STEP_OPEN) {
                    b = step_of(parts, key);
                    b.max_tokens = 1 + rng_below(5, key, 4);
                    extend(&b);
                    assert_true(b.n_tokens <= b.max_tokens);
                    if (b.end == STEP_OPEN) assert_true(b.n_tokens == b.max_tokens && b.n_steps == 0);
                    strcat(text, b.text), n += b.n_tokens, n_parts++;
                    if (evicting) w.ev.evict(w.ev.self, parts);
                    if (n % 2) continue; /* go on on a fork, the other one being gone */
                    branch_id child = forked(parts);
                    dropped(&parts);
                    parts = child;
                }
                assert_int_equal(b.end, a.end);
                assert_int_equal(n, a.n_tokens);
                assert_string_equal(text, a.text);
                same_sight(parts, whole, "step in parts", i);
                n_steps++;
                if (is_over(a.end)) break;
            }
            dropped(&whole), dropped(&parts);
        }
        close_world();
    }
    if (n_parts < 2 * n_steps || n_steps < 80) fail_msg("%d parts of %d steps: the test is empty", n_parts, n_steps);
}

/* Chains to their end in one call; in calls of some steps or tokens; and step by step with the keys that those have. */
static void chains_to_their_end_are_their_steps(void **state) {
    (void)state;
    int n_finished = 0, n_long = 0;
    open_engines(roomy.n_pages);
    w.params.max_step_tokens = 40;
    open_eval();
    for (int i = 0; i < 4 * CHAINS; i++) {
        uint64_t key = (uint64_t)i;
        branch_id branches[4];
        for (int k = 0; k < 4; k++) branches[k] = forked(w.ev.root);
        struct step whole = step_of(branches[0], key), s = {.end = STEP_SEPARATOR};
        whole.to_end = true;
        extend(&whole);
        uint32_t n_steps = 0, n_tokens = 0, depth = 0;
        for (; !is_over(s.end); depth++) {
            s = step_of(branches[1], key);
            s.key = rng_fold(s.key, depth);
            extend(&s);
            n_steps += s.n_steps, n_tokens += s.n_tokens;
            if (s.end == STEP_SEPARATOR && n_tokens + sizeof PROMPT == w.params.max_tokens) s.end = STEP_TRUNCATED;
        }
        assert_int_equal(whole.n_steps, n_steps);
        assert_int_equal(whole.n_tokens, n_tokens);
        if (whole.n_tokens + sizeof PROMPT < w.params.max_tokens) assert_int_equal(whole.end, s.end);
        same_sight(branches[0], branches[1], "to the end", i);
        for (int how = 2; how < 4; how++) {
            for (s.end = STEP_OPEN, n_tokens = 0; !is_over(s.end) && n_tokens < whole.n_tokens;
                 n_tokens += s.n_tokens) {
                s = step_of(branches[how], key);
                s.to_end = true;
                if (how == 2) s.max_steps = 1 + (n_tokens & 1);
                else s.max_tokens = 3;
                extend(&s);
                if (how == 2) assert_true(s.n_steps <= s.max_steps);
            }
            same_sight(branches[how], branches[0], how == 2 ? "some steps" : "some tokens", i);
        }
        n_finished += whole.end == STEP_FINISHED, n_long += n_steps > 1;
        for (int k = 0; k < 4; k++) dropped(&branches[k]);
    }
    if (n_finished < 5 || n_long < 10) fail_msg("%d finished, %d long: the test is empty", n_finished, n_long);
    close_world();
}

/* ---- given tokens ---- */

static void given_tokens_are_as_if_sampled(void **state) {
    (void)state;
    struct error e;
    int n_over = 0;
    open_world();
    for (int i = 0; i < CHAINS; i++) {
        branch_id sampled = forked(w.ev.root), given = forked(w.ev.root), pieces = forked(w.ev.root), copy = 0;
        for (int depth = 0; depth < 4; depth++) {
            struct step s = step_of(sampled, (uint64_t)(10 * i + depth));
            if (i % 2) copy = forked(given);
            extend(&s);
            uint32_t n, n_old;
            int32_t ids[LONGEST];
            eval_model_tokens(w.model, given, &n_old);
            memcpy(ids, eval_model_tokens(w.model, sampled, &n), sizeof ids / 2);
            assert_int_equal(n - n_old, s.n_tokens);
            struct put p = {.branch = given, .tokens = ids + n_old, .n_tokens = s.n_tokens, .rate = true};
            GOOD(w.ev.put(w.ev.self, &p, 1, &e));
            assert_int_equal(p.n_tokens, s.n_tokens);
            assert_int_equal(p.end, s.end);
            same_floats(&p.logprob, &s.logprob, 1, "chain %d, step %d: log-probability", i, depth);
            for (uint32_t k = 0; k < s.n_tokens;
                 k++) { /* one at a time; now and then a look ahead, which changes nothing */
                struct proposal look_ahead = {.branch = pieces};
                if (k % 3 == 1) GOOD(w.ev.propose(w.ev.self, &look_ahead, 1, &e));
                struct put one = {.branch = pieces, .tokens = ids + n_old + k, .n_tokens = 1, .rate = k % 2};
                GOOD(w.ev.put(w.ev.self, &one, 1, &e));
                assert_int_equal(one.end, k + 1 < s.n_tokens ? STEP_OPEN : s.end);
                assert_true(one.rate ? one.logprob < 0 : one.logprob == 0);
            }
            same_sight(given, sampled, "given", i);
            same_sight(pieces, sampled, "given in pieces", i);
            if (copy) { /* what one branch has more than another */
                struct put from = {.branch = copy, .from = sampled};
                GOOD(w.ev.put(w.ev.self, &from, 1, &e));
                assert_int_equal(from.n_tokens, s.n_tokens);
                same_sight(copy, sampled, "given from a branch", i);
                dropped(&copy);
            }
            if ((n_over += is_over(s.end), is_over(s.end))) break;
        }
        dropped(&sampled), dropped(&given), dropped(&pieces);
    }
    assert_true(n_over > 10);
    close_world();
}

static void given_text_is_its_tokens(void **state) {
    (void)state;
    struct error e;
    int32_t ids[LONGEST];
    size_t n;
    open_world();
    static const char *const texts[] = {"\"#", "#\n", "!\n# \n\"", "", "\n\n"};
    static const enum step_end ends[] = {STEP_OPEN, STEP_SEPARATOR, STEP_OPEN, STEP_SEPARATOR, STEP_SEPARATOR};
    for (size_t i = 0; i < COUNT(texts); i++) {
        branch_id a = forked(w.ev.root), b = forked(w.ev.root);
        GOOD(tok_encode(w.tok, texts[i], strlen(texts[i]), false, false, ids, LONGEST, &n, &e));
        struct put p[2] = {{.branch = a, .text = texts[i]}, {.branch = b, .tokens = ids, .n_tokens = (uint32_t)n}};
        GOOD(w.ev.put(w.ev.self, p, 2, &e));
        assert_int_equal(p[0].end, ends[i]);
        assert_int_equal(p[0].n_tokens, n);
        assert_string_equal(eval_model_text(w.model, a), texts[i]);
        same_sight(a, b, "text", (int)i);
        struct step s = step_of(a, i), t = step_of(b, i);
        extend(&s), extend(&t);
        assert_string_equal(s.text, t.text);
        same_sight(a, b, "text and a step", (int)i);
    }
    close_world();
}

/* A chain that is over goes on: its end token stays, and what follows is a step of its own. */
static void finished_chains_can_be_put_on(void **state) {
    (void)state;
    struct error e;
    int32_t end = VOCAB_END;
    open_world();
    branch_id b = forked(w.ev.root);
    struct put p[2] = {{.branch = b, .tokens = &end, .n_tokens = 1}, {.branch = b, .text = "\"!\n"}};
    GOOD(w.ev.put(w.ev.self, &p[0], 1, &e));
    assert_int_equal(p[0].end, STEP_FINISHED);
    GOOD(w.ev.put(w.ev.self, &p[1], 1, &e));
    assert_int_equal(p[1].end, STEP_SEPARATOR);
    struct step s = step_of(b, 1);
    extend(&s);
    assert_true(s.n_tokens > 0);
    close_world();
}

static void wrong_or_too_many_tokens_change_nothing(void **state) {
    (void)state;
    struct error e;
    int32_t ids[LONGEST] = {5, 6, VOCAB, 7};
    open_world();
    branch_id a = forked(w.ev.root), b = forked(w.ev.root), same = forked(w.ev.root);
    struct put p[2] = {{.branch = a, .tokens = ids, .n_tokens = 2, .rate = true},
                       {.branch = b, .tokens = ids, .n_tokens = 4}};
    assert_int_equal(w.ev.put(w.ev.self, p, 2, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "token 40"));
    same_sight(a, same, "first of a failed call", 0), same_sight(b, same, "second of a failed call", 0);
    uint32_t left = w.params.max_tokens - (uint32_t)sizeof PROMPT;
    ids[2] = 8;
    struct put full = {.branch = a, .tokens = ids, .n_tokens = left + 1};
    GOOD(w.ev.put(w.ev.self, &full, 1, &e));
    assert_true(full.end == STEP_TRUNCATED && full.n_tokens == 0);
    same_sight(a, same, "too many", 0);
    full.n_tokens = left;
    GOOD(w.ev.put(w.ev.self, &full, 1, &e));
    assert_true(full.end == STEP_TRUNCATED && full.n_tokens == left);
    close_world();
}

/* ---- against the model itself ---- */

static double log_softmax(const float *logits, int32_t id) {
    double sum = 0;
    for (int i = 0; i < VOCAB; i++) sum += exp((double)logits[i] - (double)logits[id]);
    return -log(sum);
}

static void proposals_are_the_largest_of_the_softmax(void **state) {
    (void)state;
    static float logits[LONGEST * VOCAB];
    static const uint32_t wanted[] = {0, 1, 5, VOCAB - 1, VOCAB, VOCAB + 9};
    struct error e;
    open_world();
    for (int i = 0; i < CHAINS / 2; i++) {
        branch_id branches[6], b = forked(w.ev.root);
        struct step s = step_of(b, (uint64_t)i);
        if (i % 4 == 1) s.max_tokens = 2;
        extend(&s);
        int32_t tokens[6][VOCAB + 9];
        float logprobs[6][VOCAB + 9];
        struct proposal p[6];
        for (int k = 0; k < 6; k++) {
            branches[k] = forked(b);
            if (k == 3) w.ev.evict(w.ev.self, branches[k]);
            p[k] = (struct proposal){branches[k], wanted[k], tokens[k], logprobs[k], 99, 99, 0};
        }
        GOOD(w.ev.propose(w.ev.self, p, 6, &e));
        uint32_t n;
        const int32_t *ids = eval_model_tokens(w.model, b, &n);
        logits_of(w.policy, ids, n, logits);
        const float *last = logits + (n - 1) * VOCAB;
        double entropy = 0;
        for (int k = 0; k < VOCAB; k++) entropy -= exp(log_softmax(last, k)) * log_softmax(last, k);
        for (int k = 0; k < 6; k++) {
            bool taken[VOCAB] = {false};
            assert_int_equal(p[k].n, wanted[k] < VOCAB ? wanted[k] : VOCAB);
            assert_true(fabs((double)p[k].entropy - entropy) < 1e-5);
            for (uint32_t q = 0; q < p[k].n; q++) {
                int32_t best = -1;
                for (int32_t t = 0; t < VOCAB; t++)
                    if (!taken[t] && (best < 0 || last[t] > last[best])) best = t;
                taken[best] = true;
                if (tokens[k][q] != best)
                    fail_msg("chain %d, k %u, place %u: %d, expected %d", i, wanted[k], q, tokens[k][q], best);
                assert_true(fabs((double)logprobs[k][q] - log_softmax(last, best)) < 1e-5);
            }
            struct step s1 = step_of(branches[k], 900), s2 = step_of(b, 900); /* a look ahead changes nothing */
            branch_id again = s2.branch = forked(b);
            extend(&s1), extend(&s2);
            assert_string_equal(s1.text, s2.text);
            same_sight(branches[k], again, "after a proposal", i);
            dropped(&again), dropped(&branches[k]);
        }
        dropped(&b);
    }
    close_world();
}

/* Steps of the draft model are those of an evaluator whose policy it is; under the policy they have the policy's
 * likelihood. */
static void drafted_steps_and_their_likelihood(void **state) {
    (void)state;
    static float logits[LONGEST * VOCAB];
    struct error e;
    open_engines(roomy.n_pages);
    w.params.prm = NULL, w.params.draft = w.engines[1];
    open_eval();
    assert_true(w.ev.can & CAN_DRAFT);
    struct eval_params other = w.params;
    struct eval_model *draft_model;
    struct evaluator alone;
    other.policy = w.engines[1], other.draft = NULL;
    GOOD(eval_model_open(&other, PROMPT, &draft_model, &alone, &e));
    assert_false(alone.can & CAN_DRAFT);
    int n_over = 0;
    for (int i = 0; i < CHAINS / 2; i++) {
        branch_id target = forked(w.ev.root), b;
        GOOD(alone.fork(alone.self, alone.root, &b, &e));
        for (int depth = 0; depth < 3; depth++) {
            branch_id drafted = forked(target);
            uint64_t key = (uint64_t)(10 * i + depth);
            struct step s[2] = {step_of(drafted, key), step_of(forked(target), key)}, t = step_of(b, key);
            s[0].draft = true; /* both models write in one call */
            GOOD(w.ev.extend(w.ev.self, s, 2, &e));
            GOOD(alone.extend(alone.self, &t, 1, &e));
            assert_string_equal(s[0].text, t.text);
            assert_true(s[0].end == t.end && s[0].n_tokens == t.n_tokens);
            same_floats(&s[0].logprob, &t.logprob, 1, "chain %d, step %d: log-probability of the draft", i, depth);
            if (i % 3 == 0) w.ev.evict(w.ev.self, drafted), w.ev.evict(w.ev.self, target);
            struct step rated = step_of(forked(target), key);
            rated.draft = rated.rate = true; /* the same step, with the log-probability that putting it gives */
            GOOD(w.ev.extend(w.ev.self, &rated, 1, &e));
            struct put p = {.branch = target, .from = drafted, .rate = true};
            GOOD(w.ev.put(w.ev.self, &p, 1, &e));
            uint32_t n;
            const int32_t *ids = eval_model_tokens(w.model, target, &n);
            double want = 0;
            logits_of(w.policy, ids, n, logits);
            for (uint32_t k = n - p.n_tokens; k < n; k++) want += log_softmax(logits + (k - 1) * VOCAB, ids[k]);
            if (!(fabs((double)p.logprob - want) < 1e-4))
                fail_msg("chain %d: %g, expected %g", i, (double)p.logprob, want);
            assert_string_equal(rated.text, s[0].text);
            assert_true(rated.end == s[0].end);
            same_floats(&rated.logprob, &p.logprob, 1, "chain %d, step %d: log-probability of the policy", i, depth);
            dropped(&drafted), dropped(&s[1].branch), dropped(&rated.branch);
            if ((n_over += is_over(t.end), is_over(t.end))) break;
        }
        dropped(&target), alone.drop(alone.self, &b);
    }
    assert_true(n_over > 5);
    eval_model_close(&draft_model);
    close_world();
}

/* ---- other prompts ---- */

static void a_branch_begins_on_another_prompt(void **state) {
    (void)state;
    struct error e;
    open_engines(roomy.n_pages);
    w.params.prm = NULL;
    w.params.prompt = prompt_of, w.params.asks = 1u << ASK_CRITIQUE | 1u << ASK_REVISE;
    open_eval();
    assert_int_equal(w.ev.can & (CAN_ASK * ((1u << N_ASKS) - 1)), CAN_ASK << ASK_CRITIQUE | CAN_ASK << ASK_REVISE);
    assert_string_equal(evaluator_lacks(&w.ev, CAN_PUT | CAN_ASK << ASK_JUDGE), "a prompt to judge");
    assert_null(evaluator_lacks(&w.ev, CAN_PUT | CAN_ASK << ASK_REVISE));
    branch_id chain = forked(w.ev.root);
    struct step s = step_of(chain, 4);
    extend(&s);
    uint64_t cached = w.ev.ledger->cached_tokens;
    struct asking asked[2] = {{ASK_CRITIQUE, chain, NULL, 0, 0, 0}, {ASK_REVISE, chain, "\" # \"", 0, 0, 0}};
    GOOD(w.ev.begin(w.ev.self, asked, 2, &e));
    assert_string_equal(w.about, eval_model_text(w.model, chain));
    assert_true(w.ev.ledger->cached_tokens >= cached + KV_PAGE); /* the second finds a page of the first */
    for (int i = 0; i < 2; i++) {
        int32_t *ids = NULL;
        size_t n;
        GOOD(prompt_of(&w, asked[i].ask, eval_model_text(w.model, chain), i ? "\" # \"" : "", &ids, &n, &e));
        struct eval_params p = w.params;
        struct eval_model *model;
        struct evaluator alone;
        p.prompt_tokens = ids, p.n_prompt_tokens = n;
        GOOD(eval_model_open(&p, NULL, &model, &alone, &e));
        branch_id b;
        GOOD(alone.fork(alone.self, alone.root, &b, &e));
        assert_string_equal(eval_model_text(w.model, asked[i].branch), "");
        for (uint64_t depth = 0; depth < 3; depth++) {
            struct step got = step_of(asked[i].branch, depth), want = step_of(b, depth);
            extend(&got);
            GOOD(alone.extend(alone.self, &want, 1, &e));
            assert_string_equal(got.text, want.text);
            assert_int_equal(got.end, want.end);
            if (is_over(got.end)) break;
        }
        assert_string_equal(eval_model_text(w.model, asked[i].branch), eval_model_text(model, b));
        eval_model_close(&model);
        mem_free(ids);
    }
    struct asking wrong = {ASK_JUDGE, chain, NULL, 0, 0, 0};
    assert_int_equal(w.ev.begin(w.ev.self, &wrong, 1, &e), ERR_INPUT);
    assert_string_equal(e.text, "the task has no prompt to judge");
    w.prompts_fail = true;
    assert_int_equal(w.ev.begin(w.ev.self, asked, 1, &e), ERR_IO);
    w.prompts_fail = false;
    assert_int_equal(asked[0].branch, 0);
    close_world();
}

/* More prompts than branches: none is begun. */
static void begin_is_all_or_nothing(void **state) {
    (void)state;
    struct error e;
    open_engines(roomy.n_pages);
    w.params.prompt = prompt_of, w.params.asks = 1u << ASK_SOLVE, w.params.max_branches = 4;
    open_eval();
    struct asking asked[4] = {{.ask = ASK_SOLVE}, {.ask = ASK_SOLVE}, {.ask = ASK_SOLVE}, {.ask = ASK_SOLVE}};
    for (int round = 0; round < 3; round++) {
        assert_int_equal(w.ev.begin(w.ev.self, asked, 4, &e), ERR_FULL);
        for (int i = 0; i < 4; i++) assert_int_equal(asked[i].branch, 0);
    }
    GOOD(w.ev.begin(w.ev.self, asked, 3, &e));
    float values[3]; /* the judge reads the problem's own prompt */
    branch_id ids[3] = {asked[0].branch, asked[1].branch, asked[2].branch};
    GOOD(w.ev.score(w.ev.self, ids, 3, values, &e));
    assert_true(values[0] == 0.5f);
    close_world();
}

/* ---- check, state, judges by name ---- */

static void checks_have_reasons_and_states_keys(void **state) {
    (void)state;
    open_engines(roomy.n_pages);
    w.params.check = check_text, w.params.state = state_of;
    open_eval();
    assert_true((w.ev.can & CAN_CHECK) && (w.ev.can & CAN_STATE));
    branch_id a = forked(w.ev.root), b = forked(w.ev.root);
    struct error e;
    struct put p[2] = {{.branch = a, .text = "\"\"\""}, {.branch = b, .text = "\" ! ! ! ! ! !\n"}};
    GOOD(w.ev.put(w.ev.self, p, 2, &e));
    w.ev.limit(w.ev.self, &(struct limits){.deadline_ns = UINT64_MAX});
    struct feedback x = w.ev.check(w.ev.self, a), y = w.ev.check(w.ev.self, b);
    assert_true(x.reward == 0.3f && y.reward == 1);
    assert_string_equal(x.reason, "3 bytes by 18446744073709551615");
    assert_string_equal(y.reason, "14 bytes by 18446744073709551615");
    assert_int_equal(w.ev.state(w.ev.self, a), 103);
    assert_int_equal(w.ev.state(w.ev.self, w.ev.root), 0);
    close_world();
}

static void judges_of_the_task(void **state) {
    (void)state;
    struct error e;
    float value;
    open_engines(roomy.n_pages);
    w.params.verifier = VERIFIER_CHECK;
    assert_int_equal(eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e), ERR_INPUT);
    w.params.check = check_text;
    open_eval();
    branch_id b = forked(w.ev.root);
    struct put p = {.branch = b, .text = "\"\"\"\""};
    GOOD(w.ev.put(w.ev.self, &p, 1, &e));
    GOOD(w.ev.score(w.ev.self, &b, 1, &value, &e));
    assert_true(value == 0.4f);
    close_world();
}

/* The judgement of a random model says nothing (0.5); what it costs is what a greedy text on the same prompt costs. */
static void a_judge_that_writes(void **state) {
    (void)state;
    struct error e;
    float values[9];
    branch_id branches[9];
    open_engines(roomy.n_pages);
    w.params.verifier = VERIFIER_JUDGE;
    assert_int_equal(eval_model_open(&w.params, PROMPT, &w.model, &w.ev, &e), ERR_INPUT);
    assert_string_equal(e.text, "--verifier judge: the task has no prompt for it, or the model takes no messages");
    w.params.prompt = prompt_of, w.params.asks = 1u << ASK_JUDGE;
    open_eval();
    for (int i = 0; i < 9; i++) {
        branches[i] = forked(w.ev.root);
        struct step s = step_of(branches[i], (uint64_t)i);
        extend(&s);
    }
    w.n_prompts = 0;
    GOOD(w.ev.score(w.ev.self, branches, 9, values, &e));
    assert_int_equal(w.n_prompts, 9);
    for (int i = 0; i < 9; i++) assert_true(values[i] == 0.5f);
    uint64_t want = 0, got = w.ev.ledger->prm_tokens;
    assert_true(got > 0 && w.ev.ledger->prm_flops > 0);
    for (int i = 0; i < 9; i++) {
        int32_t *ids = NULL;
        size_t n;
        GOOD(prompt_of(&w, ASK_JUDGE, eval_model_text(w.model, branches[i]), "", &ids, &n, &e));
        struct eval_params q = w.params;
        struct eval_model *model;
        struct evaluator alone;
        branch_id b;
        q.verifier = VERIFIER_NONE, q.prompt_tokens = ids, q.n_prompt_tokens = n, q.separator = -1;
        GOOD(eval_model_open(&q, NULL, &model, &alone, &e));
        GOOD(alone.fork(alone.self, alone.root, &b, &e));
        struct step s = {.branch = b};
        GOOD(alone.extend(alone.self, &s, 1, &e));
        want += n + s.n_tokens - 1; /* the last one is not read */
        eval_model_close(&model);
        mem_free(ids);
    }
    assert_int_equal(got + w.ev.ledger->shared_tokens, want + 9 * (sizeof PROMPT - 1)); /* forks shared the prompt */
    close_world();
}

static void judgements_in_words(void **state) {
    (void)state;
    static const struct {
        const char *text;
        float want;
    } cases[] = {{"Yes", 1},
                 {"No.", 0},
                 {"The step is incorrect", 0},
                 {"not wrong, so it is correct.", 1},
                 {"7/10", 0.7f},
                 {"Score: 7.5 out of 10. Yes?", 0.75f},
                 {"True or false? True", 1},
                 {"12/10", NAN},
                 {"", NAN},
                 {"nobody knows", NAN},
                 {"1/100", NAN},
                 {"I would say 3 / 10, then 10/10", 1},
                 {"CORRECT", 1},
                 {"rightly", NAN}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        float got = judgement_value(cases[i].text);
        if (isnan(cases[i].want) ? !isnan(got) : got != cases[i].want)
            fail_msg("\"%s\": %g", cases[i].text, (double)got);
    }
}

/* ---- limits ---- */

static void limits_cut_steps_in_the_middle(void **state) {
    (void)state;
    struct error e;
    int n_cut = 0;
    open_world();
    for (int i = 0; i < CHAINS / 4; i++)
        for (uint32_t limit = 1; limit < 12; limit += 3) {
            branch_id whole[3], cut[3];
            struct step a[3], b[3];
            for (uint64_t k = 0; k < 3; k++) {
                whole[k] = forked(w.ev.root), cut[k] = forked(w.ev.root);
                a[k] = step_of(whole[k], 10 * (uint64_t)i + k), b[k] = step_of(cut[k], 10 * (uint64_t)i + k);
            }
            GOOD(w.ev.extend(w.ev.self, a, 3, &e));
            uint64_t used = w.ev.ledger->generated_tokens + w.ev.ledger->prm_tokens;
            w.ev.limit(w.ev.self, &(struct limits){.max_tokens = used + limit});
            GOOD(w.ev.extend(w.ev.self, b, 3, &e));
            w.ev.limit(w.ev.self, NULL);
            uint64_t made = w.ev.ledger->generated_tokens + w.ev.ledger->prm_tokens - used;
            assert_true(made < limit + 3);
            for (int k = 0; k < 3; k++) {
                assert_true(b[k].n_tokens <= a[k].n_tokens && !strncmp(a[k].text, b[k].text, strlen(b[k].text)));
                if (b[k].n_tokens == a[k].n_tokens) continue;
                assert_int_equal(b[k].end, STEP_TRUNCATED);
                assert_true(made >= limit);
                assert_string_equal(eval_model_text(w.model, cut[k]), b[k].text);
                n_cut++;
            }
            for (int k = 0; k < 3; k++) dropped(&whole[k]), dropped(&cut[k]);
        }
    assert_true(n_cut > 30);
    close_world();
}

static void cancelled_calls_do_nothing(void **state) {
    (void)state;
    struct error e;
    open_engines(roomy.n_pages);
    w.params.prompt = prompt_of, w.params.asks = 1u << ASK_SOLVE;
    open_eval();
    branch_id a = forked(w.ev.root), same = forked(w.ev.root);
    int cancel = 1;
    const struct limits all[] = {{.cancel = &cancel}, {.deadline_ns = clock_ns()}, {.max_flops = 1}};
    for (size_t i = 0; i < COUNT(all); i++) {
        int32_t token;
        float logprob, value = -1;
        w.ev.limit(w.ev.self, &all[i]);
        struct step s = step_of(a, 1);
        GOOD(w.ev.extend(w.ev.self, &s, 1, &e));
        assert_true(s.end == STEP_TRUNCATED && s.n_tokens == 0 && !*s.text);
        struct put p = {.branch = a, .text = "!\n", .rate = true};
        assert_int_equal(w.ev.put(w.ev.self, &p, 1, &e), ERR_CANCELLED);
        struct proposal q = {.branch = a, .k = 1, .tokens = &token, .logprobs = &logprob};
        assert_int_equal(w.ev.propose(w.ev.self, &q, 1, &e), ERR_CANCELLED);
        struct asking asked = {.ask = ASK_SOLVE};
        assert_int_equal(w.ev.begin(w.ev.self, &asked, 1, &e), ERR_CANCELLED);
        assert_int_equal(asked.branch, 0);
        assert_int_equal(w.ev.score(w.ev.self, &a, 1, &value, &e), i < 2 ? ERR_CANCELLED : OK);
        w.ev.limit(w.ev.self, NULL);
        same_sight(a, same, "cancelled", (int)i);
    }
    close_world();
}

/* ---- few pages ---- */

static struct {
    branch_id branches[CHAINS];
    int next, calls;
} spare;

/* Also evicts what is in the call, which must not happen. */
static bool evict_next(void *arg) {
    (void)arg;
    spare.calls++;
    if (spare.next == CHAINS) return false;
    w.ev.evict(w.ev.self, spare.branches[spare.next++]);
    return true;
}

/* Pages for a third of the chains: whoever is asked gives some back, and no call fails; the chains are those of plenty. */
static void a_search_short_of_pages_gives_some_back(void **state) {
    (void)state;
    static struct sight want[CHAINS];
    struct error e;
    for (int scarce = 0; scarce < 2; scarce++) {
        open_engines(scarce ? 16 : roomy.n_pages);
        open_eval();
        memset(&spare, 0, sizeof spare);
        w.ev.limit(w.ev.self, &(struct limits){.make_room = evict_next});
        for (int i = 0; i < CHAINS - 1; i++) spare.branches[i] = forked(w.ev.root);
        spare.branches[CHAINS - 1] = spare.branches[0];
        for (uint64_t depth = 0; depth < 2; depth++)
            for (int i = 0; i < CHAINS - 1; i++) {
                struct step s = step_of(spare.branches[i], 10 * (uint64_t)i + depth);
                spare.next = 0;
                GOOD(w.ev.extend(w.ev.self, &s, 1, &e));
            }
        for (int i = 0; i < CHAINS - 1; i++) {
            struct sight got;
            spare.next = 0;
            look(&got, spare.branches[i]);
            if (scarce) assert_memory_equal(&got, &want[i], sizeof got);
            else want[i] = got;
        }
        if (scarce) assert_true(spare.calls > 20);
        else assert_int_equal(spare.calls, 0);
        close_world();
    }
}

/* ---- random trees ---- */

enum { LIVE = 16, STEPS = 1500 };
static struct {
    branch_id branch;
    struct sight copy; /* of everything */
} live[LIVE];

/* The copy's tokens put on a fresh evaluator with plenty of memory: value and next step must be the same. */
static void same_as_fresh(const struct sight *s, branch_id b, uint64_t key) {
    struct error e;
    struct eval_model *model;
    struct evaluator fresh;
    struct eval_params p = w.params;
    branch_id f;
    float value;
    uint32_t n_prompt = (uint32_t)sizeof PROMPT;
    GOOD(eval_model_open(&p, PROMPT, &model, &fresh, &e));
    GOOD(fresh.fork(fresh.self, fresh.root, &f, &e));
    struct put put = {.branch = f, .tokens = s->tokens + n_prompt, .n_tokens = s->n - n_prompt};
    GOOD(fresh.put(fresh.self, &put, 1, &e));
    GOOD(fresh.score(fresh.self, &f, 1, &value, &e));
    same_floats(&s->value, &value, 1, "value of a random chain");
    struct step want = step_of(f, key), got = step_of(forked(b), key);
    GOOD(fresh.extend(fresh.self, &want, 1, &e));
    extend(&got);
    assert_int_equal(got.end, want.end);
    assert_string_equal(got.text, want.text);
    dropped(&got.branch);
    eval_model_close(&model);
}

static void change(int i, uint64_t step) {
    struct error e;
    branch_id b = live[i].branch;
    struct step s = step_of(b, step);
    int32_t ids[3] = {2 + '!', 2 + '"', SEPARATOR};
    struct put p = {.branch = b, .tokens = ids, .n_tokens = 1 + rng_below(11, step, 3), .rate = rng_below(12, step, 2)};
    struct proposal q = {.branch = b};
    enum status st = OK;
    switch (rng_below(10, step, 8)) {
    case 0: st = w.ev.put(w.ev.self, &p, 1, &e); break;
    case 1: st = w.ev.propose(w.ev.self, &q, 1, &e); break;
    case 2: s.max_tokens = 2; /* fallthrough */
    case 3:
    case 4: st = w.ev.extend(w.ev.self, &s, 1, &e); break;
    case 5:
    case 6: w.ev.evict(w.ev.self, b); break;
    default: break;
    }
    assert_true(st == OK || st == ERR_FULL);
}

static void random_trees_are_those_of_copies(void **state) {
    (void)state;
    struct error e;
    int n_full = 0, n_fresh = 0;
    open_engines(30);
    w.params.max_step_tokens = 40; /* puts do not know where a step was cut */
    open_eval();
    memset(live, 0, sizeof live);
    live[0].branch = forked(w.ev.root);
    look(&live[0].copy, live[0].branch);
    for (uint64_t step = 0; step < STEPS; step++) {
        int i = (int)rng_below(1, step, LIVE), j = (int)rng_below(2, step, LIVE);
        if (!live[j].branch) continue;
        if (i != j && rng_below(3, step, 3)) {
            if (live[i].branch) dropped(&live[i].branch);
            if (w.ev.fork(w.ev.self, live[j].branch, &live[i].branch, &e)) live[i].branch = 0;
            else live[i].copy = live[j].copy;
        }
        if (live[i].branch && live[i].copy.n < 50) {
            change(i, step);
            for (int k = 0; k < LIVE; k++) /* room for the look */
                if (live[k].branch && k != i) w.ev.evict(w.ev.self, live[k].branch);
            look(&live[i].copy, live[i].branch);
        }
        for (int k = 0; k < LIVE; k++) {
            uint32_t n;
            if (!live[k].branch) continue;
            const int32_t *ids = eval_model_tokens(w.model, live[k].branch, &n);
            assert_int_equal(n, live[k].copy.n);
            assert_memory_equal(ids, live[k].copy.tokens, n * sizeof *ids);
        }
        uint32_t pages = engine_pages_free(w.engines[0]);
        n_full += pages < 3;
        if (step % 50 || !live[i].branch || pages < 12) continue;
        same_as_fresh(&live[i].copy, live[i].branch, step);
        n_fresh++;
    }
    if (n_fresh < 10) fail_msg("%d comparisons (%d times full): the test is empty", n_fresh, n_full);
    close_world();
}

/* ---- failing memory ---- */

static enum status use_all(struct error *e) {
    enum status s = eval_model_open(&w.params, PROMPT, &w.model, &w.ev, e);
    if (s) return s;
    branch_id b = 0;
    int32_t tokens[3];
    float logprobs[3], value;
    struct asking asked = {.ask = ASK_REVISE, .note = "\"!"};
    s = w.ev.fork(w.ev.self, w.ev.root, &b, e);
    struct step one = step_of(b, 1), draft = step_of(b, 2);
    one.to_end = true, one.max_tokens = 40, draft.draft = true;
    if (!s) s = w.ev.extend(w.ev.self, &one, 1, e);
    if (!s) s = w.ev.extend(w.ev.self, &draft, 1, e);
    struct put put = {.branch = b, .text = "!\"\n", .rate = true};
    if (!s) s = w.ev.put(w.ev.self, &put, 1, e);
    struct proposal p = {.branch = b, .k = 3, .tokens = tokens, .logprobs = logprobs};
    if (!s) s = w.ev.propose(w.ev.self, &p, 1, e);
    if (!s && !(s = w.ev.score(w.ev.self, &b, 1, &value, e))) w.ev.check(w.ev.self, b);
    asked.about = b;
    if (!s) s = w.ev.begin(w.ev.self, &asked, 1, e);
    eval_model_close(&w.model);
    return s;
}

static void failed_memory_is_an_error_and_no_leak(void **state) {
    (void)state;
    struct error e;
    for (int judge = 0; judge < 2; judge++) {
        open_engines(roomy.n_pages);
        w.params.draft = w.engines[1], w.params.check = check_text;
        w.params.prompt = prompt_of, w.params.asks = 1u << ASK_REVISE | 1u << ASK_JUDGE;
        if (judge) w.params.verifier = VERIFIER_JUDGE;
        mem_fail_at(0, false);
        GOOD(use_all(&e));
        size_t n = mem_fail_at(0, false);
        assert_true(n > 20);
        for (size_t i = 1; i <= n; i++) {
            e.text[0] = 0;
            mem_fail_at(i, true);
            enum status s = use_all(&e);
            mem_fail_at(0, false);
            if (s != ERR_MEMORY || !e.text[0])
                fail_msg("allocation %zu of %zu: status %d, \"%s\"", i, n, (int)s, e.text);
            for (int k = 0; k < 3; k++) assert_int_equal(engine_kv_stats(w.engines[k]).pages_used, 0);
        }
        close_world();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_in_parts_are_whole_steps),
        cmocka_unit_test(chains_to_their_end_are_their_steps),
        cmocka_unit_test(given_tokens_are_as_if_sampled),
        cmocka_unit_test(given_text_is_its_tokens),
        cmocka_unit_test(finished_chains_can_be_put_on),
        cmocka_unit_test(wrong_or_too_many_tokens_change_nothing),
        cmocka_unit_test(proposals_are_the_largest_of_the_softmax),
        cmocka_unit_test(drafted_steps_and_their_likelihood),
        cmocka_unit_test(a_branch_begins_on_another_prompt),
        cmocka_unit_test(begin_is_all_or_nothing),
        cmocka_unit_test(checks_have_reasons_and_states_keys),
        cmocka_unit_test(judges_of_the_task),
        cmocka_unit_test(a_judge_that_writes),
        cmocka_unit_test(judgements_in_words),
        cmocka_unit_test(limits_cut_steps_in_the_middle),
        cmocka_unit_test(cancelled_calls_do_nothing),
        cmocka_unit_test(a_search_short_of_pages_gives_some_back),
        cmocka_unit_test(random_trees_are_those_of_copies),
        cmocka_unit_test(failed_memory_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
