/* test_serve_faults.c: the server when memory fails at each allocation in turn, and when who asked goes away; requests
 * come without a connection, so that what happens depends on no clock.
 * Not hostile bytes: test_serve_hostile.c.
 * Next: serve/http.h, exchange_detached. */
#include "tests/corpus.h"
#include "tests/fuzz_body.c"

#include "weights/embedded.h"

/* ---- memory ---- */

/* Fails the first allocation, then the second ... of whatever the request needs of base/mem.h, until none fails (the
 * JSON library allocates by itself); on: all that follow fail, too.  Each time there is
 * a whole answer, good or an error, and all pages are free afterwards. */
static void fail_each(struct house *h, const char *path, const char *body, bool on) {
    enum { MOST = 20000 };
    struct engine *en = h->session.policy.engine;
    for (size_t n = 1; n < MOST; n++) {
        struct answer a;
        uint32_t held = engine_kv_stats(en).pages_used;
        mem_fail_at(n, on);
        struct exchange *ex = ask_begin(h, &a, path, body);
        if (ex) exchange_release(ex), ask_end(&a);
        bool failed = mem_fail_at(0, false) >= n;
        if (ex && a.status != 200 && a.status != 500 && a.status != 503 && a.status != 400)
            fail_msg("%s: allocation %zu: status %d: %.200s", path, n, a.status, a.body.data ? a.body.data : "");
        if (ex && !a.body.n && !a.gone && a.status != 500)
            fail_msg("%s: allocation %zu: status %d without a body", path, n, a.status);
        for (int i = 0; i < 6000 && engine_kv_stats(en).pages_used > held; i++) usleep(1000); /* the worker lets go */
        if (engine_kv_stats(en).pages_used > held) fail_msg("%s: allocation %zu leaves pages behind", path, n);
        if (!failed) {
            if (a.status != 200) fail_msg("%s: without a failure: %d %s", path, a.status, a.body.data);
            ask_forget(&a);
            return;
        }
        ask_forget(&a);
    }
    fail_msg("%s: more than %d allocations", path, MOST);
}

static void each_allocation_may_fail(void **unused) {
    (void)unused;
    static const char *const cases[][2] = {
        {"/v1/completions",
         "{\"prompt\":[\"ab\",[97]],\"n\":2,\"best_of\":3,\"max_tokens\":2,\"logprobs\":2,\"echo\":true}"},
        {"/v1/completions",
         "{\"prompt\":\"ab\",\"max_tokens\":3,\"stream\":true,\"grammar\":\"root ::= [ab]+\",\"seed\":1}"},
        {"/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"stop thinking\"}],\"max_tokens\":2,"
                                 "\"stop\":[\"zz\"],\"logit_bias\":{\"81\":1},\"logprobs\":true,\"top_logprobs\":2}"},
        {"/v1/chat/completions",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":2,\"response_format\":{"
         "\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"enum\":[1,2]}}}}"},
        {"/v1/chat/completions",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"search\":{\"strategy\":\"maj\","
         "\"budget\":2,\"max_step_tokens\":3,\"max_depth\":2},\"grammar\":\"root ::= [ab]{4}\"}"},
        {"/v1/messages", "{\"max_tokens\":2,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}"},
        {"/v1/responses", "{\"max_output_tokens\":2,\"input\":\"x\",\"stream\":true}"},
        {"/api/chat", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"options\":{\"num_predict\":2}}"},
        {"/v1/score", "{\"problem\":\"x\",\"chains\":[\"a\\n\\nb\",[\"c\"]]}"},
    };
    struct house h;
    house_open_as(&h, model("plain.gguf", chatml), "logprob", &(struct server_params){.parallel = 1});
    for (size_t i = 0; i < COUNT(cases); i++) {
        fail_each(&h, cases[i][0], cases[i][1], false);
        fail_each(&h, cases[i][0], cases[i][1], true);
        struct answer a;
        struct exchange *ex = ask_begin(&h, &a, "/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":1}");
        exchange_release(ex), ask_end(&a);
        assert_int_equal(a.status, 200); /* it lives */
        ask_forget(&a);
    }
    assert_int_equal(engine_kv_stats(h.session.policy.engine).pages_used, 0);
    house_close(&h);
}

/* ---- clients that leave ---- */

static size_t count_lines(const struct buffer *b, const char *what) {
    size_t n = 0;
    for (const char *at = b->data; at && (at = memmem(at, b->n - (size_t)(at - b->data), what, strlen(what))); at++)
        n++;
    return n;
}

/* From the moment that its client is known to be gone, a request may finish the pass that is under way: one token of
 * each text, no more; then its pages are free. */
static void h08_within_one_pass(void **unused) {
    (void)unused;
    enum { TEXTS = 8 };
    struct house h;
    house_open(&h, model("plain.gguf", chatml), &(struct server_params){.parallel = 1});
    struct answer a;
    struct exchange *ex = ask_begin(&h, &a, "/v1/completions",
                                    "{\"prompt\":\"a\",\"n\":8,\"max_tokens\":500,\"ignore_eos\":true,\"stream\":true,"
                                    "\"temperature\":0,\"logit_bias\":{\"81\":1000}}");
    assert_non_null(ex);
    size_t before = 0;
    for (int i = 0; i < 60000 && before < 5 * TEXTS; i++) {
        usleep(100);
        pthread_mutex_lock(&ex->lock);
        before = count_lines(&ex->out, "\"text\":\"Q");
        if (before >= 5 * TEXTS) ex->gone = ex->stop = 1;
        pthread_mutex_unlock(&ex->lock);
    }
    assert_true(before >= 5 * TEXTS && before < 500 * TEXTS);
    exchange_release(ex);
    ask_end(&a);
    size_t after = count_lines(&a.body, "\"text\":\"Q");
    if (after > before + TEXTS) fail_msg("%zu tokens were told, %zu when the client left", after, before);
    assert_int_equal(engine_kv_stats(h.session.policy.engine).pages_used, 0);
    ask_forget(&a);
    house_close(&h);
}

/* The same for a search: no more than one pass of its branches. */
static void h08_searches_within_one_pass(void **unused) {
    (void)unused;
    struct house h;
    struct answer a;
    if (!embedded_find("game24-policy") || !embedded_find("game24-prm")) skip();
    house_open(&h, "embedded", &(struct server_params){.name = "game24", .max_budget = 100000});
    struct exchange *ex = ask_begin(
        &h, &a, "/v1/chat/completions",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"1 5 5 5 7 9 -> 947\"}],\"search\":{\"strategy\":\"mcts\","
        "\"budget\":100000,\"stop_value\":2,\"task\":\"countdown\",\"seed\":1}}");
    assert_non_null(ex);
    uint32_t used = 0;
    for (int i = 0; i < 60000 && used < 4; i++) {
        usleep(500);
        used = engine_kv_stats(h.session.policy.engine).pages_used;
    }
    assert_true(used >= 4);
    ex->gone = ex->stop = 1;
    exchange_release(ex);
    ask_end(&a);
    assert_non_null(strstr(a.body.data, "\"why\":\"cancelled\""));
    assert_int_equal(engine_kv_stats(h.session.policy.engine).pages_used, 0);
    assert_int_equal(engine_kv_stats(h.session.prm.engine).pages_used, 0);
    ask_forget(&a);
    house_close(&h);
}

static void replays_the_fuzz_corpus(void **unused) {
    (void)unused;
    replay("body", 15);
}

static int teardown(void **state) {
    if (fuzz_house.server) house_close(&fuzz_house);
    return tiny_cleanup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(h08_within_one_pass),
        cmocka_unit_test(h08_searches_within_one_pass),
        cmocka_unit_test(replays_the_fuzz_corpus),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
