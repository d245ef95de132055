/* test_answers.c: rows that ask about answers or go on behind them, against second writings without a tree.
 * Not the verbs that they use: test_verbs.c.
 * Next: naive_chain.h. */
#include "search/search_internal.h"
#include "tests/naive_chain.h"

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
                assert_true(fx_note("judgements") == (double)trial.n_asked);
                assert_true(fx_note("ties") == trial.ties);
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

/* ---- chains of the tree, and second ones, as sums of hashes ---- */

static uint64_t hash_of(const char *digits) {
    uint64_t h = 17;
    for (; *digits; digits++) h = rng_fold(h, (unsigned char)*digits);
    return h;
}

static uint64_t finished_in_tree(void) {
    uint64_t sum = 0;
    for (uint32_t u = 1; u < fx.tree.n; u++) {
        char text[256], digits[TOY_MAX_DEPTH + 1];
        size_t n = 0;
        if (!(fx.tree.nodes[u].flags & NODE_FINISHED)) continue;
        search_chain_text(&fx.tree, u, text, sizeof text);
        for (const char *c = text; *c; c++)
            if (*c >= '0' && *c <= '9') digits[n++] = *c;
        digits[n] = 0;
        sum += hash_of(digits);
    }
    return sum;
}

/* ---- think ---- */

static const uint32_t NO_LIMIT = UINT32_MAX;
struct thinker {
    const struct toy_world *w;
    uint32_t budget, least, waits, answer;
    uint64_t finished;
    uint32_t n_finished, n_forced, n_waits;
};
struct thinking {
    char digits[TOY_MAX_DEPTH + 1];
    uint64_t salt, key; /* of the node that it stands at */
    uint32_t tries, depth, spent, waits;
    bool open, answers, over;
};

static void remark(struct thinking *c, const char *text) {
    c->open = false;
    for (; *text; text++) c->salt = rng_fold(c->salt, (unsigned char)*text);
}

static void go_to(struct thinking *c, uint64_t key) {
    c->key = key, c->tries = 0;
    c->over |= ++c->depth >= 16;
}

static void close_thought(struct thinker *x, struct thinking *c, uint64_t key) {
    remark(c, "\n\nFinal answer: \\boxed{");
    c->answers = true, c->spent = 0, x->n_forced++;
    go_to(c, key);
}

/* Up to `most` tokens of the step; true: the chain ended too early. */
static bool write_tokens(struct thinker *x, struct thinking *c, uint64_t key) {
    uint32_t most = c->answers ? x->answer - c->spent : x->budget == NO_LIMIT ? NO_LIMIT : x->budget - c->spent, n = 0;
    enum step_end end = STEP_OPEN;
    if (!c->open) {
        size_t len = strlen(c->digits);
        c->digits[len] = (char)('0' + toy_digit_salted(x->w, c->digits, key, 1, c->salt)), c->digits[len + 1] = 0;
        c->open = true, n++;
    }
    if (n < most) end = toy_end(x->w, c->digits), c->open = false, n++;
    c->spent += n;
    if (end == STEP_FINISHED && !c->answers && c->spent < x->least && c->waits < x->waits) return true;
    c->over = end != STEP_OPEN && end != STEP_SEPARATOR;
    if (end == STEP_FINISHED) x->n_finished++, x->finished += hash_of(c->digits);
    else if (c->answers && c->spent >= x->answer) c->over = true;
    return false;
}

static void wait_on(struct thinker *x, struct thinking *c, uint64_t key) {
    remark(c, "\n\nWait,");
    c->waits++, x->n_waits++;
    go_to(c, key);
}

/* The first round numbers the tries at the prompt; then each chain is on its own. */
static void think_naively(struct thinker *x, uint64_t seed, uint32_t n) {
    struct thinking chains[16];
    bool early[16];
    uint32_t root = 0;
    for (uint32_t i = 0; i < n; i++) chains[i] = (struct thinking){.key = seed};
    for (uint32_t i = 0; i < n && !x->budget; i++) close_thought(x, &chains[i], rng_fold(seed, root++));
    for (uint32_t i = 0; i < n; i++) {
        struct thinking *c = &chains[i];
        uint64_t key = c->depth ? rng_fold(c->key, c->tries++) : rng_fold(seed, root++);
        if (!(early[i] = write_tokens(x, c, key))) go_to(c, key);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct thinking *c = &chains[i];
        if (early[i]) wait_on(x, c, c->depth ? rng_fold(c->key, c->tries++) : rng_fold(seed, root++));
        while (!c->over) {
            uint64_t key = rng_fold(c->key, c->tries++);
            if (!c->answers && c->spent >= x->budget) close_thought(x, c, key);
            else if (write_tokens(x, c, key)) wait_on(x, c, rng_fold(c->key, c->tries++));
            else go_to(c, key);
        }
    }
}

static void thoughts_are_closed_and_taken_back(void **state) {
    static const uint32_t budgets[] = {1, 2, 3, 5, 64, 0}, least[] = {0, 4, 100};
    uint32_t forced = 0, waits = 0;
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (int b = 0; b < 6; b++)
            for (int l = 0; l < 3; l++)
                for (uint64_t seed = 1; seed <= 4; seed++) {
                    struct thinker x = {
                        .w = &worlds[i], .budget = budgets[b], .least = least[l], .waits = 2, .answer = 6};
                    think_naively(&x, seed, 8);
                    fx_open("think", x.w);
                    fx.common.seed = seed, fx.common.budget.simulations = 8;
                    fx_set("effort", 0), fx_set("think-tokens", x.budget), fx_set("least-tokens", x.least);
                    fx_set("waits", 2), fx_set("answer-tokens", 6);
                    fx_run();
                    assert_int_equal(fx.status, OK);
                    if (fx.res.n_finished != x.n_finished || finished_in_tree() != x.finished)
                        fail_msg("world %d, budget %u, least %u, seed %d: %u finished, naive %u", i, x.budget, x.least,
                                 (int)seed, fx.res.n_finished, x.n_finished);
                    assert_true(fx_note("forced") == x.n_forced && fx_note("waits") == x.n_waits);
                    forced += x.n_forced, waits += x.n_waits;
                    fx_close();
                }
    assert_true(forced > 100 && waits > 100);
}

/* Without limits the chains are those of a vote. */
static void endless_thought_is_a_vote(void **state) {
    (void)state;
    for (int i = 0; i < N_WORLDS; i++) {
        uint64_t want = fx_signature("maj", &worlds[i], 8, 8);
        fx_open("think", &worlds[i]);
        fx_set("effort", 4);
        fx_run();
        assert_true(fx.signature == want);
        fx_close();
    }
}

/* ---- decompose ---- */

/* A chain by the policy behind a prompt; to_end: one call, whose step s has the stream fold(key, s). */
static enum step_end chain_of(const struct toy_world *w, uint64_t key, uint64_t salt, bool to_end, char *digits) {
    enum step_end end = STEP_SEPARATOR;
    *digits = 0;
    for (size_t n = 0; end == STEP_SEPARATOR; n++) {
        uint64_t k = to_end ? rng_fold(key, n) : key;
        digits[n + 1] = 0, digits[n] = (char)('0' + toy_digit_salted(w, digits, k, 1, salt));
        end = toy_end(w, digits);
        key = to_end ? key : rng_fold(key, 0);
    }
    return end;
}

static void the_whole_is_solved_with_the_answer_of_its_part(void **state) {
    uint32_t n_parts = 0, n_plain = 0;
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            const struct toy_world *w = &worlds[i];
            char plan[TOY_MAX_DEPTH + 1], part[TOY_MAX_DEPTH + 1], known[64] = "", digits[TOY_MAX_DEPTH + 1];
            enum step_end end = chain_of(w, ~seed, prompt_salt(w, ASK_DECOMPOSE, "", ""), true, plan);
            bool split = end != STEP_DEAD;
            if (split) {
                uint64_t key = rng_fold(rng_fold(~seed, 1), 0); /* the first chain of the search for the part */
                end = chain_of(w, key, prompt_salt(w, ASK_PART, "", plan), false, part);
                if (end == STEP_FINISHED) sprintf(known, "%s: %c\n", plan, part[strlen(part) - 1]);
            }
            uint64_t salt = *known ? prompt_salt(w, ASK_COMPOSE, "", known) : 0, sum = 0;
            for (uint32_t c = 0; c < 6; c++)
                if (chain_of(w, rng_fold(seed, c), salt, false, digits) == STEP_FINISHED) sum += hash_of(digits);
            fx_open("decompose", w);
            fx.common.seed = seed, fx.common.budget.simulations = 6;
            fx_set("part-chains", 1);
            fx_run();
            assert_int_equal(fx.status, OK);
            assert_true(fx_note("parts") == split);
            if (finished_in_tree() != sum)
                fail_msg("world %d, seed %d: other chains than after \"%s\"", i, (int)seed, known);
            n_parts += *known != 0, n_plain += !*known;
            fx_close();
        }
    assert_true(n_parts > 10 && n_plain > 0);
}

/* ---- adaptive ---- */

/* Share of the leader among the first n chains. */
static double leader_of(const struct toy_world *w, uint64_t seed, int n) {
    struct stand s[64];
    int n_stands = stands_of(w, seed, n, s), votes = 0;
    for (int i = 0; i < n_stands; i++) votes += s[i].votes;
    return votes ? (double)s[0].votes / votes : 0;
}

static void chains_are_added_until_the_vote_is_clear(void **state) {
    static const int stages[] = {4, 8, 16, 32};
    uint32_t ends[4] = {0};
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            const struct toy_world *w = &worlds[i];
            uint64_t sum = 0;
            int stage = 0;
            while (stage < 3 && leader_of(w, seed, stages[stage]) < 0.63) stage++;
            for (int c = 0; c < stages[stage]; c++) {
                struct chain x = naive_chain(w, seed, (uint32_t)c, 1);
                if (x.end == STEP_FINISHED) sum += hash_of(x.digits);
            }
            fx_open("adaptive", w);
            fx.common.seed = seed, fx.common.budget.simulations = 64;
            fx_set("estimate", 1), fx_set("stop-value", 0.63);
            fx_run();
            assert_int_equal(fx.status, OK);
            assert_true(fabs(fx_note("ease") - leader_of(w, seed, 4)) < 1e-9);
            assert_true(fx_note("tiers") == stage);
            assert_true(finished_in_tree() == sum);
            assert_int_equal(fx.res.why, stage < 3 ? WHY_DECIDED : WHY_DONE);
            ends[stage]++;
            fx_close();
        }
    assert_true(ends[0] && ends[1] && ends[2] && ends[3]);
}

/* bon, then mcts twice, on one tree, by hand. */
static void tiers_go_on_in_one_tree(void **state) {
    static const struct {
        const char *name;
        uint64_t n;
    } parts[] = {{"bon", 4}, {"mcts", 64}, {"mcts", 12}};
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        double ease = 0;
        uint64_t tree = 0, n = 0;
        for (uint32_t c = 0; c < 4; c++) {
            struct chain x = naive_chain(&worlds[0], seed, c, 1);
            ease += x.end == STEP_FINISHED ? (double)x.value / 4 : 0;
        }
        for (int k = 0; k < 3; k++) {
            if (!k) fx_open("bon", &worlds[0]);
            fx.strategy = parts[k].name, fx.keep = true;
            strategy_defaults(strategy_find(fx.strategy), false, &fx.params);
            fx.common.seed = seed, fx.common.budget.simulations = parts[k].n;
            fx_set("stop-value", 2), fx_set("batch", 16);
            if (!k) fx_run();
            else assert_int_equal(fx_search(NULL, NULL), OK);
        }
        tree = finished_in_tree(), n = fx.tree.n;
        fx_close();
        fx_open("adaptive", &worlds[0]);
        fx.common.seed = seed, fx.common.budget.simulations = 80;
        fx_set("stop-value", 2);
        fx_run();
        assert_true(finished_in_tree() == tree && fx.tree.n == n);
        assert_true(fabs(fx_note("ease") - ease) < 1e-6);
        assert_true(fx_note("tiers") == 2);
        assert_int_equal(fx.res.why, WHY_SIMULATIONS);
        fx_close();
        fx_open("adaptive", &worlds[0]); /* nothing is worth this */
        fx.common.seed = seed;
        fx_set("price", 100), fx_set("stop-value", 2);
        fx_run();
        uint64_t probe = 0;
        for (uint32_t u = 1; u < fx.tree.n; u++) probe += fx.tree.nodes[u].parent == 0;
        assert_true(probe == 4 && fx_note("tiers") == 0);
        fx_close();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_judge_chooses_as_its_replies_say),
        cmocka_unit_test(thoughts_are_closed_and_taken_back),
        cmocka_unit_test(endless_thought_is_a_vote),
        cmocka_unit_test(the_whole_is_solved_with_the_answer_of_its_part),
        cmocka_unit_test(chains_are_added_until_the_vote_is_clear),
        cmocka_unit_test(tiers_go_on_in_one_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
