/* test_grpo.c: advantages, the clip, a model made of weights in memory, and a policy that learns what is rewarded.
 * Not the gradient itself: test_net.c.
 * Next: train/grpo.h. */
#include "tests/tiny_model.h"

#include "base/team.h"
#include "tasks/task.h"
#include "tokenizer/tok.h"
#include "tokenizer/vocab.h"
#include "train/grpo.h"
#include "train/live.h"

static void advantages_have_mean_0_and_deviation_1(void **state) {
    (void)state;
    float got[8];
    assert_true(grpo_advantages((float[]){1, 0, 0, 1}, 4, got));
    for (int i = 0; i < 4; i++) assert_true(fabsf(got[i] - (i % 3 ? -1.0f : 1.0f)) < 1e-6f);
    assert_true(grpo_advantages((float[]){1, 0, 0, 0}, 4, got)); /* mean 1/4, deviation sqrt(3)/4 */
    assert_true(fabsf(got[0] - 1.7320508f) < 1e-5f && fabsf(got[1] + 0.57735027f) < 1e-5f);
    assert_false(grpo_advantages((float[]){1, 1, 1}, 3, got));
    assert_true(got[0] == 0 && got[2] == 0);
}

/* What is maximised, as the paper writes it. */
static double objective(double a, double log_ratio) {
    double r = exp(log_ratio), c = r < 0.8 ? 0.8 : r > 1.28 ? 1.28 : r;
    return r * a < c * a ? r * a : c * a;
}

static void the_coefficient_is_the_derivative(void **state) {
    (void)state;
    for (int side = -1; side <= 1; side += 2)
        for (double log_ratio = -1; log_ratio <= 1; log_ratio += 0.0625) {
            double a = 1.5 * side, h = 1e-5;
            double want = (objective(a, log_ratio + h) - objective(a, log_ratio - h)) / (2 * h);
            bool clipped;
            float got = grpo_coefficient((float)a, (float)exp(log_ratio), 0.2f, 0.28f, &clipped);
            if (fabs(got - want) > 1e-3)
                fail_msg("A %g, log ratio %g: %g, expected %g", a, log_ratio, (double)got, want);
            assert_true(clipped == (want == 0));
        }
}

static struct net *new_net(void) {
    struct model_config c;
    struct net *n;
    struct error e;
    policy_size("tiny", VOCAB_DIGITS, &c);
    GOOD(net_new(&c, NET_LM, 3, &n, &e));
    return n;
}

/* The image in memory is a file of f32 weights, byte for byte what gguf_write makes. */
static void a_live_model_is_the_file_of_its_weights(void **state) {
    (void)state;
    struct net *n = new_net(), *again;
    struct team *team;
    struct live live;
    struct error e;
    struct engine_params ep = {.n_pages = 64, .n_seqs = 4, .max_tokens = 64, .max_rows = 16};
    GOOD(team_new(1, &team, &e));
    GOOD(live_open(n, team, &ep, &live, &e));
    GOOD(net_load(live.model->file, NET_LM, &again, &e));
    assert_memory_equal(n->weights, again->weights, n->n_weights * sizeof(float));
    live_close(&live);
    assert_null(live.image);
    for (size_t i = 1; i < 40; i++) { /* no memory: an error, no leak */
        mem_fail_at(i, true);
        enum status s = live_open(n, team, &ep, &live, &e);
        mem_fail_at(0, false);
        if (!s) live_close(&live);
        else assert_int_equal(s, ERR_MEMORY);
    }
    net_free(&again), net_free(&n), team_free(&team);
}

/* Logits of the last of some tokens, which are remembered as the beginning of a text. */
static void read_out(struct engine *en, float *out) {
    static const int32_t tokens[40] = {0, 5, 9, 17, 33, 65, 129, 257, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24};
    struct client *c;
    struct error e;
    GOOD(engine_client_new(en, NULL, &c, &e));
    struct reading r = {.seq = engine_seq_new(c), .n = 40, .tokens = tokens, .out = out};
    GOOD(engine_read(c, &r, &e));
    engine_client_free(&c);
}

/* After an update the engine computes as a new one would: nothing of the old weights is left, remembered texts included. */
static void an_update_forgets_the_old_weights(void **state) {
    (void)state;
    struct net *n = new_net();
    struct team *team;
    struct live live, fresh;
    struct error e;
    float old[VOCAB_DIGITS], got[VOCAB_DIGITS], want[VOCAB_DIGITS];
    struct engine_params ep = {.n_pages = 64, .n_seqs = 4, .max_tokens = 64, .max_rows = 16};
    GOOD(team_new(1, &team, &e));
    GOOD(live_open(n, team, &ep, &live, &e));
    read_out(live.engine, old);
    for (size_t i = 0; i < n->n_weights; i++) n->weights[i] *= 1.25f;
    GOOD(live_open(n, team, &ep, &fresh, &e));
    read_out(fresh.engine, want);
    for (size_t i = 1; i < 40; i++) { /* no memory: it stays as it was */
        mem_fail_at(i, true);
        enum status s = live_update(&live, n, &e);
        mem_fail_at(0, false);
        if (!s) break;
        assert_int_equal(s, ERR_MEMORY);
        read_out(live.engine, got);
        assert_memory_equal(got, old, sizeof got);
    }
    GOOD(live_update(&live, n, &e));
    read_out(live.engine, got);
    assert_memory_equal(got, want, sizeof got);
    assert_memory_not_equal(got, old, sizeof got);
    live_close(&live), live_close(&fresh), net_free(&n), team_free(&team);
}

/* Whoever comes to an end is right. */
static struct judgement any_end(const struct problem *p, const char *chain) {
    (void)p, (void)chain;
    return (struct judgement){.known = true, .reward = 1};
}

static struct grpo_params short_run(const struct tok *tok) {
    static struct task task;
    task = *task_find("boolean_expressions");
    task.judge = any_end;
    return (struct grpo_params){.mix = {.n = 1, .tasks = {&task}},
                                .tok = tok,
                                .key = 5,
                                .seed = 1,
                                .steps = 14,
                                .problems = 2,
                                .group = 16,
                                .epochs = 2,
                                .lr = 0.01f,
                                .temperature = 1,
                                .clip_low = 0.2f,
                                .clip_high = 0.28f,
                                .threads = 1,
                                .save_every_s = 1e9};
}

static void a_policy_learns_what_is_rewarded(void **state) {
    (void)state;
    struct tok *tok = tiny_tok(VOCAB_DIGITS);
    struct net *n = new_net();
    struct grpo_params p = short_run(tok);
    struct grpo_report first, last;
    struct error e;
    p.steps = 1;
    GOOD(grpo_run(n, &p, &first, &e));
    net_free(&n);
    n = new_net(), p.steps = 14;
    GOOD(grpo_run(n, &p, &last, &e));
    print_message("reward %.3f at first, %.3f at last; %.1f and %.1f tokens\n", first.reward, last.reward, first.length,
                  last.length);
    assert_true(first.reward < 0.5 && last.reward > 0.9 && last.length < first.length);
    net_free(&n), tok_close(&tok);
}

/* In two parts, and on another number of threads: the same weights. */
static void runs_can_be_stopped_and_go_on(void **state) {
    (void)state;
    struct tok *tok = tiny_tok(VOCAB_DIGITS);
    struct net *whole = new_net(), *parts = new_net();
    struct grpo_params p = short_run(tok);
    struct grpo_report r;
    struct error e;
    p.steps = 4;
    GOOD(grpo_run(whole, &p, &r, &e));
    p.checkpoint = tiny_path("grpo.ckpt"), p.steps = 2, p.threads = 2;
    GOOD(grpo_run(parts, &p, &r, &e));
    net_free(&parts);
    parts = new_net(), p.steps = 4;
    GOOD(grpo_run(parts, &p, &r, &e));
    same_floats(parts->weights, whole->weights, whole->n_weights, "weights");
    p.settings = "lr=1\n";
    assert_int_equal(grpo_run(parts, &p, &r, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "lr"));
    p.group = 1;
    assert_int_equal(grpo_run(parts, &p, &r, &e), ERR_INPUT);
    net_free(&whole), net_free(&parts), tok_close(&tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advantages_have_mean_0_and_deviation_1),  cmocka_unit_test(the_coefficient_is_the_derivative),
        cmocka_unit_test(a_live_model_is_the_file_of_its_weights), cmocka_unit_test(an_update_forgets_the_old_weights),
        cmocka_unit_test(a_policy_learns_what_is_rewarded),        cmocka_unit_test(runs_can_be_stopped_and_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
