/* test_vote.c: votes that end early, their weights and their tally, against definitions computed by other means.
 * Not about who wins a plain vote: test_search.c.
 * Next: search/vote.c. */
#include "search/search_internal.h"
#include "tests/naive_chain.h"

/* P(p > 1/2) under Beta(a + 1, b + 1) by Simpson's rule. */
static double by_integral(double a, double b) {
    double whole = 0, half = 0, n = 20000;
    for (int i = 0; i <= n; i++) {
        double x = i / n, y = pow(x, a) * pow(1 - x, b) * (i == 0 || i == n ? 1 : i % 2 ? 4 : 2);
        whole += y;
        if (i >= n / 2) half += i == n / 2 ? y / 2 : y;
    }
    return half / whole;
}

static void certainty_is_the_integral_of_the_beta_density(void **state) {
    (void)state;
    for (int a = 0; a < 12; a++)
        for (int b = 0; b <= a; b++) assert_true(fabs(vote_certainty(a, b) - by_integral(a, b)) < 2e-4);
    assert_true(fabs(vote_certainty(4, 0) - (1 - 1 / 32.0)) < 1e-12); /* five heads of five: 31 of 32 */
}

/* The two largest counts among the first n chains. */
static void leaders(const struct chain *c, uint32_t n, uint32_t *a, uint32_t *b) {
    uint32_t count[128] = {0};
    for (uint32_t i = 0; i < n; i++) {
        char answer[32];
        toy_answer_of(c[i].digits, answer, sizeof answer);
        if (c[i].end == STEP_FINISHED && *answer) count[atoi(answer)]++;
    }
    *a = *b = 0;
    for (int i = 0; i < 128; i++)
        if (count[i] > *a) *b = *a, *a = count[i];
        else if (count[i] > *b) *b = count[i];
}

/* Can `more` chains, whatever they say, change who leads? */
static bool may_change(uint32_t a, uint32_t b, uint32_t more) { return b + more >= a; }

/* Chains that a rule takes: it looks again when as many have ended as could decide at best. */
static uint32_t naive_chains(const struct chain *c, uint32_t n, enum stop_when rule) {
    uint32_t done = 0, stage = 1;
    while (done < n) {
        uint32_t a, b, k = 0, left = n - done;
        leaders(c, done, &a, &b);
        if (rule == STOP_DECIDED)
            while (k < left && may_change(a + k, b, left - k)) k++;
        if (rule == STOP_BETA)
            while (k < left && by_integral(a + k, b) < 0.95) k++;
        if (rule == STOP_DOUBLING) {
            if (done == stage && done > 1 && 4 * a >= 3 * done) return done;
            stage *= 2;
            k = stage - done < left ? stage - done : left;
        }
        if (!k) return done;
        done += k;
    }
    return n;
}

static void votes_end_when_the_rule_says(void **state) {
    static const uint32_t counts[] = {1, 2, 9, 40};
    uint32_t saved[4] = {0};
    (void)state;
    for (int i = 0; i < N_WORLDS; i++)
        for (enum stop_when rule = STOP_DECIDED; rule <= STOP_DOUBLING; rule++)
            for (int k = 0; k < 4; k++)
                for (uint64_t seed = 1; seed <= 5; seed++) {
                    struct chain c[40];
                    uint64_t answer = 0;
                    if (worlds[i].p_dead > 0 || worlds[i].p_cut > 0) continue; /* chains of one length end together */
                    for (uint32_t j = 0; j < counts[k]; j++) c[j] = naive_chain(&worlds[i], seed, j, 1);
                    for (int stops = 0; stops < 2; stops++) {
                        fx_open("maj", &worlds[i]);
                        fx.common.seed = seed, fx.common.budget.simulations = counts[k];
                        fx_set("stop-when", stops ? rule : STOP_NEVER);
                        fx_run();
                        uint32_t want = stops ? naive_chains(c, counts[k], rule) : counts[k];
                        if (fx.toy.ledger.simulations != want)
                            fail_msg("rule %d, world %d, %u chains: %lu, naive %u", rule, i, counts[k],
                                     (unsigned long)fx.toy.ledger.simulations, want);
                        assert_int_equal(fx.res.why, want < counts[k] ? WHY_DECIDED : WHY_DONE);
                        /* The exact rule changes no answer. */
                        uint64_t mine = fx.res.node ? fx.tree.nodes[fx.res.node].answer : 0;
                        if (stops && rule == STOP_DECIDED && want < counts[k]) assert_true(mine == answer);
                        answer = mine;
                        saved[rule] += counts[k] - want;
                        fx_close();
                    }
                }
    for (enum stop_when rule = STOP_DECIDED; rule <= STOP_DOUBLING; rule++) assert_true(saved[rule] > 0);
}

/* Votes weighted by the probability of tokens, counted again from the chains. */
static void weights_are_the_probabilities_of_tokens(void **state) {
    static struct tally tally[64];
    (void)state;
    for (int lowest = 0; lowest < 2; lowest++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            double votes[128] = {0}, best = 0, total = 0;
            for (uint32_t j = 0; j < 20; j++) {
                struct chain c = naive_chain(&worlds[0], seed, j, 1);
                char answer[32], prefix[TOY_MAX_DEPTH + 1] = "";
                double mean = 0, least = 0, n = (double)strlen(c.digits);
                for (int d = 0; c.digits[d]; d++) {
                    double lp =
                        log(toy_p(&worlds[0], prefix, (uint32_t)(c.digits[d] - '0'))) / 2; /* two tokens a step */
                    mean += lp / n, least = fmin(least, lp);
                    prefix[d] = c.digits[d];
                }
                toy_answer_of(c.digits, answer, sizeof answer);
                if (*answer) votes[atoi(answer)] += exp(lowest ? least : mean), total += exp(lowest ? least : mean);
            }
            for (int i = 0; i < 128; i++) best = fmax(best, votes[i]);
            fx_open("maj", &worlds[0]);
            fx.common.seed = seed, fx.common.budget.simulations = 20;
            fx_set("weight", 1 + lowest);
            fx_run();
            assert_true(fabs(fx.res.value - best / total) < 1e-5);
            uint32_t n = search_tally(&fx.tree, fx.res.pick, tally);
            double sum = 0;
            for (uint32_t i = 0; i < n; i++) {
                sum += tally[i].votes;
                assert_true(!i || tally[i].votes <= tally[i - 1].votes);
            }
            assert_true(fabs(sum - total) < 1e-5 && fabs(tally[0].votes - best) < 1e-5);
            fx_close();
        }
}

/* Values that say nothing leave a plain vote. */
static void without_weights_every_chain_has_one_vote(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct toy_world blind = worlds[0];
        blind.nan = true;
        uint64_t answers[2] = {0};
        float shares[2] = {0};
        for (int weighted = 0; weighted < 2; weighted++) {
            fx_open(weighted ? "weighted" : "maj", &blind);
            fx.common.seed = seed, fx.common.budget.simulations = 20;
            fx_run();
            assert_true(fx.res.node != 0);
            assert_int_equal(fx.res.pick, PICK_MAJORITY);
            answers[weighted] = fx.tree.nodes[fx.res.node].answer, shares[weighted] = fx.res.value;
            fx_close();
        }
        assert_true(answers[0] == answers[1] && shares[0] == shares[1]);
    }
}

/* Where equal steps were merged into one node, it counts as often as it was found: votes and ties of all picks, counted
 * again from the nodes. */
static void merged_twins_count_as_often_as_they_were_found(void **state) {
    static const char *const rows[] = {"mcts", "beam", "rebase", "dvts"};
    static const struct toy_world flat = {.seed = 9, .width = 3, .depth = 3, .best = "021", .flat = true};
    uint32_t twins = 0, ties = 0;
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (uint64_t seed = 1; seed <= 6; seed++)
            for (enum pick pick = PICK_BEST; pick <= PICK_MAJORITY; pick++) {
                double votes[256] = {0}, total = 0, most = 0;
                uint64_t answers[256];
                uint32_t n = 0;
                fx_open(rows[k], seed % 2 ? &flat : &worlds[2]);
                fx.common.seed = seed, fx.common.budget.simulations = 40;
                fx_set("pick", pick), fx_set("stop-value", 2);
                fx_run();
                const struct node *nodes = fx.tree.nodes, *best = &nodes[fx.res.node];
                for (uint32_t u = 1; u < fx.tree.n; u++) {
                    const struct node *x = &nodes[u];
                    if (!(x->flags & NODE_FINISHED)) continue;
                    twins += x->multiplicity > 1;
                    if (pick == PICK_BEST && x->value == best->value && x != best) {
                        ties++;
                        assert_true(x->multiplicity <= best->multiplicity);
                    }
                    if (pick == PICK_BEST) assert_true(x->value <= best->value);
                    if (!x->answer) continue; /* it has no vote */
                    uint32_t g = 0;
                    while (g < n && answers[g] != x->answer) g++;
                    if (g == n) answers[n++] = x->answer;
                    double weight = x->multiplicity * (pick == PICK_WEIGHTED ? fmax(0, (double)x->value) : 1);
                    votes[g] += weight, total += weight;
                }
                for (uint32_t g = 0; g < n; g++) most = fmax(most, votes[g]);
                if (fx.res.pick != PICK_BEST && total > 0) {
                    uint32_t g = 0;
                    while (answers[g] != best->answer) g++;
                    assert_true(fabs(votes[g] - most) < 1e-5);
                    assert_true(fabs(fx.res.value - most / total) < 1e-5);
                }
                fx_close();
            }
    print_message("%u twins, %u ties\n", twins, ties);
    assert_true(twins > 50 && ties > 50); /* else nothing was tested */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged_twins_count_as_often_as_they_were_found),
        cmocka_unit_test(without_weights_every_chain_has_one_vote),
        cmocka_unit_test(certainty_is_the_integral_of_the_beta_density),
        cmocka_unit_test(votes_end_when_the_rule_says),
        cmocka_unit_test(weights_are_the_probabilities_of_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
