/* test_serve_search.c: searches through the server: asked for in each way, followed, resumed, ended early, left alone.
 * Not the strategies: test_search.c.  Skipped when the binary has no models inside.
 * Next: serve/search.h. */
#include "tests/http_client.h"

#include "search/strategy.h"
#include "weights/embedded.h"

static struct house house;
static bool has_models;

static int open_house(void **state) {
    (void)state;
    has_models = embedded_find("game24-policy") && embedded_find("game24-prm");
    if (has_models) house_open(&house, "embedded", &(struct server_params){.name = "game24", .max_budget = 100000});
    return 0;
}
static int close_house(void **state) {
    if (has_models) house_close(&house);
    return tiny_cleanup(state);
}
#define NEEDS_MODELS                                                                                                   \
    (void)unused;                                                                                                      \
    if (!has_models) skip()

#define PUZZLE "\"messages\":[{\"role\":\"user\",\"content\":\"4 7 8 8\"}]"

static struct reply chat(const char *rest) {
    char body[400];
    snprintf(body, sizeof body, "{" PUZZLE "%s}", rest);
    return post(&house, "/v1/chat/completions", body);
}

static void searches_by_body_and_by_name(void **unused) {
    NEEDS_MODELS;
    static const struct {
        const char *rest, *strategy;
        int budget;
    } cases[] = {
        {",\"seed\":1", "mcts", 256},
        {",\"seed\":1,\"search\":\"greedy\"", "greedy", 1},
        {",\"seed\":1,\"search\":{\"strategy\":\"beam\",\"budget\":16}", "beam", 16},
        {",\"seed\":1,\"model\":\"game24:bon8\"", "bon", 8},
        {",\"seed\":1,\"model\":\"game24:mcts64\",\"search\":{\"c_puct\":2.5,\"backup\":\"max\"}", "mcts", 64},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct reply r = chat(cases[i].rest);
        assert_int_equal(r.status, 200);
        assert_string_equal(text_at(&r, "search.strategy"), cases[i].strategy);
        assert_int_equal(int_at(&r, "search.budget"), cases[i].budget);
        assert_int_equal(int_at(&r, "search.seed"), 1);
        assert_string_equal(text_at(&r, "search.text"), text_at(&r, "choices.0.message.content"));
        assert_int_equal(int_at(&r, "usage.completion_tokens"), int_at(&r, "search.cost.generated_tokens"));
        reply_free(&r);
    }
    struct reply r = chat(",\"seed\":1,\"search\":{\"strategy\":\"mcts\",\"budget\":256}");
    assert_string_equal(text_at(&r, "search.verdict"), "right");
    assert_non_null(strstr(text_at(&r, "choices.0.message.content"), text_at(&r, "search.answer")));
    reply_free(&r);
}

/* Effort scales the usual budget, which is 256 here; a budget of one's own comes first. */
static void efforts_scale_searches(void **unused) {
    NEEDS_MODELS;
    static const struct {
        const char *rest;
        int budget;
    } cases[] = {
        {",\"reasoning_effort\":\"none\"", 16},
        {",\"reasoning_effort\":\"low\"", 64},
        {",\"reasoning_effort\":\"medium\"", 256},
        {",\"reasoning_effort\":\"high\"", 1024},
        {",\"reasoning_effort\":\"max\"", 100000},
        {",\"reasoning_effort\":\"high\",\"search\":{\"budget\":8}", 8},
        {",\"reasoning_effort\":\"low\",\"model\":\"game24:mcts128\"", 128},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct reply r = chat(cases[i].rest);
        assert_int_equal(int_at(&r, "search.budget"), cases[i].budget);
        reply_free(&r);
    }
    struct reply r =
        post(&house, "/v1/messages",
             "{\"model\":\"game24\",\"max_tokens\":99,\"output_config\":{\"effort\":\"minimal\"}," PUZZLE "}");
    assert_int_equal(int_at(&r, "search.budget"), 32);
    reply_free(&r);
    struct house h; /* a model of words searches when it is asked to */
    house_open(&h, model("plain.gguf", chatml), &(struct server_params){0});
    r = post(&h, "/v1/responses", "{\"input\":\"x\",\"max_output_tokens\":4,\"seed\":1}");
    assert_null(at(r.json, "search"));
    reply_free(&r);
    r = post(&h, "/v1/responses",
             "{\"input\":\"x\",\"max_output_tokens\":4,\"seed\":1,\"reasoning\":{\"mode\":\"pro\"}}");
    assert_string_equal(text_at(&r, "search.strategy"), "maj");
    reply_free(&r);
    house_close(&h);
}

/* The whole trace of a search with this seed, without times. */
static void *trace_of(void *out) {
    char path[100];
    struct reply r = chat(",\"search\":{\"strategy\":\"mcts\",\"budget\":48,\"stop_value\":2,\"seed\":5}");
    snprintf(path, sizeof path, "/v1/search/%s", text_at(&r, "search.id"));
    reply_free(&r);
    r = get(&house, path);
    json_t *trace = at(r.json, "trace");
    assert_true(json_array_size(trace) > 50);
    assert_string_equal(text_at(&r, "status"), "done");
    json_t *last = json_array_get(trace, json_array_size(trace) - 1);
    assert_string_equal(json_string_value(json_object_get(last, "event")), "done");
    json_object_del(last, "ns"), json_object_del(last, "peak_kv_bytes"); /* of all that ran */
    json_object_del(last, "shared_tokens"), json_object_del(last, "prompt_tokens"),
        json_object_del(last, "policy_flops");
    json_object_del(last, "prm_flops"), json_object_del(last, "pages_copied"), json_object_del(last, "prm_tokens");
    *(json_t **)out = json_incref(trace);
    reply_free(&r);
    return NULL;
}

static void the_same_tree_alone_and_in_a_crowd(void **unused) {
    NEEDS_MODELS;
    json_t *alone, *crowd[4];
    pthread_t threads[4];
    trace_of(&alone);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, trace_of, &crowd[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) {
        for (size_t k = 0; k < json_array_size(alone); k++)
            if (!json_equal(json_array_get(alone, k), json_array_get(crowd[i], k)))
                fail_msg("event %zu: %s and %s", k, json_dumps(json_array_get(alone, k), 0),
                         json_dumps(json_array_get(crowd[i], k), 0));
        json_decref(crowd[i]);
    }
    json_decref(alone);
}

/* Lines of steps have their tokens: their texts are the step's, their log-probabilities add up to its own. */
static void steps_have_their_tokens(void **unused) {
    NEEDS_MODELS;
    char path[100];
    struct reply r = chat(",\"search\":{\"strategy\":\"beam\",\"budget\":8,\"seed\":2}");
    snprintf(path, sizeof path, "/v1/search/%s", text_at(&r, "search.id"));
    reply_free(&r);
    r = get(&house, path);
    size_t i, k, n = 0;
    json_t *event, *x;
    json_array_foreach(at(r.json, "trace"), i, event) {
        double sum = 0;
        if (strcmp(json_string_value(json_object_get(event, "event")), "made")) continue;
        json_array_foreach(json_object_get(event, "logprobs"), k, x) sum += json_real_value(x);
        double own = json_number_value(json_object_get(event, "logprob"));
        if (fabs(sum - own) > 1e-4) fail_msg("%.9g, tokens %.9g", own, sum);
        json_t *ask = json_pack("{s:O,s:b}", "tokens", json_object_get(event, "ids"), "with_pieces", 1);
        char *body = json_dumps(ask, 0);
        struct reply text = post(&house, "/detokenize", body);
        const char *step = json_string_value(json_object_get(event, "text"));
        assert_int_equal(strncmp(text_at(&text, "prompt"), step, strlen(step)), 0);
        assert_int_equal(json_array_size(at(text.json, "pieces")), json_array_size(json_object_get(event, "ids")));
        free(body), json_decref(ask), reply_free(&text);
        n++;
    }
    assert_true(n > 3);
    reply_free(&r);
}

/* ---- events ---- */

static int count_events(const struct reply *r, int *first) {
    int n = 0, id;
    *first = 0;
    for (const char *at = r->body; (at = strstr(at, "id: ")); at += 4) {
        if (sscanf(at, "id: %d\nevent: ", &id) != 1) continue;
        if (!n++) *first = id;
    }
    return n;
}

static void events_from_the_start_and_resumed(void **unused) {
    NEEDS_MODELS;
    char path[100];
    struct reply r = chat(",\"search\":{\"strategy\":\"bon\",\"budget\":4}");
    snprintf(path, sizeof path, "/v1/search/%s/events", text_at(&r, "search.id"));
    reply_free(&r);
    int first, all;
    r = get(&house, path);
    assert_non_null(strcasestr(r.all, "Content-Type: text/event-stream"));
    all = count_events(&r, &first);
    assert_true(all > 5 && first == 1);
    assert_non_null(strstr(r.body, "event: made\n"));
    assert_non_null(strstr(r.body, "event: done\n"));
    assert_non_null(strstr(r.body, "event: end\n"));
    reply_free(&r);
    r = http_read(http_ask(&house, "GET", path, "Last-Event-ID: 3\r\n", "", 0));
    assert_int_equal(count_events(&r, &first), all - 3);
    assert_int_equal(first, 4);
    reply_free(&r);
    r = http_read(http_ask(&house, "GET", path, "Last-Event-ID: 99999\r\n", "", 0));
    assert_int_equal(count_events(&r, &first), 0);
    reply_free(&r);
    r = http_read(http_ask(&house, "GET", path, "Last-Event-ID: x\r\n", "", 0));
    assert_int_equal(r.status, 400);
    reply_free(&r);
}

/* Starts a search that goes on for long; its id, from the first chunk of the stream. */
static int start_long(char id[64]) {
    static const char body[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"1 5 5 5 7 9 -> 947\"}],\"stream\":true,"
        "\"search\":{\"strategy\":\"mcts\",\"budget\":100000,\"stop_value\":2,\"task\":\"countdown\"}}";
    char text[4096];
    size_t n = 0;
    int fd = http_ask(&house, "POST", "/v1/chat/completions", NULL, body, sizeof body - 1);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 60000), 1);
        ssize_t got = recv(fd, text + n, sizeof text - 1 - n, 0);
        if (got <= 0) fail_msg("the server said: %.300s", text + (n > 300 ? n - 300 : 0));
        text[n += (size_t)got] = '\0';
        const char *at = strstr(text, "\"search\":{\"id\":\"");
        if (at && strchr(at, '}')) {
            sscanf(at, "\"search\":{\"id\":\"%63[^\"]", id);
            return fd;
        }
    }
}

static void followed_while_it_runs_and_answered_now(void **unused) {
    NEEDS_MODELS;
    char id[64], path[120];
    int fd = start_long(id), first;
    snprintf(path, sizeof path, "/v1/search/%s/events", id);
    int follower = http_ask(&house, "GET", path, NULL, "", 0);
    snprintf(path, sizeof path, "/v1/search/%s", id);
    struct reply r = get(&house, path);
    for (int i = 0; i < 3000 && json_array_size(at(r.json, "trace")) < 5; i++) { /* until something has happened */
        usleep(20000);
        reply_free(&r);
        r = get(&house, path);
    }
    assert_string_equal(text_at(&r, "status"), "running");
    reply_free(&r);
    snprintf(path, sizeof path, "/v1/search/%s/answer-now", id);
    r = post(&house, path, "{}");
    assert_int_equal(r.status, 200);
    reply_free(&r);
    r = http_read(fd);
    if (!strstr(r.all, "\"why\":\"cancelled\"")) fail_msg("it ends with %.500s", r.n > 500 ? r.all + r.n - 500 : r.all);
    assert_non_null(strstr(r.all, "data: [DONE]"));
    reply_free(&r);
    r = http_read(follower);
    assert_true(count_events(&r, &first) > 1 && first == 1);
    assert_non_null(strstr(r.body, "event: end\n"));
    reply_free(&r);
    snprintf(path, sizeof path, "/v1/search/%s", id);
    r = http_read(http_ask(&house, "DELETE", path, NULL, "", 0));
    assert_int_equal(r.status, 200);
    reply_free(&r);
    r = get(&house, path);
    assert_int_equal(r.status, 404);
    reply_free(&r);
}

/* H8: the whole tree goes when its client does. */
static void h08_a_search_ends_with_its_client(void **unused) {
    NEEDS_MODELS;
    char id[64], path[100];
    int fd = start_long(id);
    close(fd);
    snprintf(path, sizeof path, "/v1/search/%s", id);
    const char *why = "";
    for (int i = 0; i < 3000; i++) {
        struct reply r = get(&house, path);
        bool done = !strcmp(text_at(&r, "status"), "done");
        if (done) why = strcmp(text_at(&r, "why"), "cancelled") ? "other" : "cancelled";
        reply_free(&r);
        if (done) break;
        usleep(20000);
    }
    assert_string_equal(why, "cancelled");
    assert_int_equal(engine_kv_stats(house.session.policy.engine).pages_used, 0);
    assert_int_equal(engine_kv_stats(house.session.prm.engine).pages_used, 0);
}

/* ---- what is refused ---- */

static void h05_searches_state_their_range(void **unused) {
    NEEDS_MODELS;
    static const char *const cases[][2] = {
        {"\"search\":{\"budget\":0}", "from 1 to"},
        {"\"search\":{\"budget\":-1}", "from 1 to"},
        {"\"search\":{\"budget\":1000000000}", "from 1 to"},
        {"\"search\":{\"budget\":200000}", "at most 100000"},
        {"\"search\":{\"budget\":1.5}", "a whole number"},
        {"\"search\":{\"budget\":\"8\"}", "\"8\" is not allowed"},
        {"\"search\":{\"strategy\":\"magic\"}", "\"magic\" is none of"},
        {"\"search\":{\"strategy\":\"beam\",\"beam_width\":-1}", "beam-width"},
        {"\"search\":{\"strategy\":\"beam\",\"c_puct\":1}", "c-puct"},
        {"\"search\":{\"strategy\":\"mcts\",\"c_puct\":-1}", "c-puct"},
        {"\"search\":{\"strategy\":\"mcts\",\"nothing\":1}", "nothing"},
        {"\"search\":{\"task\":\"chess\"}", "\"chess\" is none of"},
        {"\"search\":{\"temperature\":-1}", "from 0 to 100"},
        {"\"search\":{\"step_delimiter\":\"\"}", "empty"},
        {"\"search\":7", "the name of a strategy"},
        {"\"n\":2", "one answer"},
        {"\"logit_bias\":{\"1\":1}", "together with a search"},
        {"\"presence_penalty\":1e9", "from -1000 to 1000"},
        {"\"logprobs\":true", "together with a search"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[300];
        snprintf(body, sizeof body, "{" PUZZLE ",%s}", cases[i][0]);
        refused(&house, "/v1/chat/completions", body, 400, cases[i][1]);
    }
    refused(&house, "/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"no puzzle\"}]}", 400,
            "no puzzle");
    refused(&house, "/v1/chat/completions", "{\"messages\":[{\"role\":\"assistant\",\"content\":\"4 7 8 8\"}]}", 400,
            "one message");
    refused(&house, "/v1/chat/completions", "{\"model\":\"game24:magic7\"," PUZZLE "}", 404, "is not served here");
}

/* A model of words: every chain of the search follows the format of the chat, and its stop strings. */
static void searches_keep_formats(void **unused) {
    (void)unused;
    struct house h;
    house_open(&h, model("plain.gguf", chatml), &(struct server_params){0});
    for (int i = 0; i < 4; i++) {
        static const char *const names[] = {"greedy", "maj", "maj", "maj"};
        char body[500];
        snprintf(body, sizeof body,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"search\":{\"strategy\":\"%s\",\"seed\":%d},"
                 "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"type\":\"object\","
                 "\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":5}},\"required\":[\"a\"]}}}}",
                 names[i], i);
        struct reply r = post(&h, "/v1/chat/completions", body);
        assert_int_equal(r.status, 200);
        json_t *said = json_loads(text_at(&r, "choices.0.message.content"), 0, NULL);
        if (!json_is_string(json_object_get(said, "a"))) fail_msg("%s: %s", names[i], r.body);
        json_decref(said);
        reply_free(&r);
    }
    struct reply r = post(&h, "/v1/chat/completions",
                          "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"search\":\"maj\",\"seed\":1,"
                          "\"grammar\":\"root ::= [ab]{3} \\\"STOP\\\" [ab]*\",\"stop\":[\"TOP\"]}");
    const char *said = text_at(&r, "choices.0.message.content");
    if (strspn(said, "ab") != 3 || strcmp(said + 3, "S")) fail_msg("it says \"%s\"", said);
    reply_free(&r);
    refused(&h, "/v1/chat/completions",
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"search\":\"maj\",\"grammar\":\"root ::= (\"}", 400,
            "line 1");
    house_close(&h);
}

static void h12_names_of_searches(void **unused) {
    NEEDS_MODELS;
    static const char *const paths[] = {"/v1/search/../models", "/v1/search/%2e%2e",  "/v1/search/",
                                        "/v1/search//events",   "/v1/search/nothing", "/v1/search/nothing/events",
                                        "/v1/search/a/b/events"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct reply r = get(&house, paths[i]);
        if (r.status != 404) fail_msg("%s gives %d", paths[i], r.status);
        reply_free(&r);
    }
    char path[4200] = "/v1/search/";
    memset(path + strlen(path), 'x', 4000);
    struct reply r = get(&house, path);
    assert_int_equal(r.status, 414);
    reply_free(&r);
}

/* ---- other voices ---- */

static void other_protocols_search_too(void **unused) {
    NEEDS_MODELS;
    struct reply r =
        post(&house, "/v1/messages", "{\"model\":\"game24:mcts64\",\"max_tokens\":100,\"seed\":1," PUZZLE "}");
    char said[300];
    snprintf(said, sizeof said, "%s", text_at(&r, "content.0.text"));
    assert_non_null(strstr(said, "24"));
    reply_free(&r);
    r = post(&house, "/api/chat", "{\"model\":\"game24:mcts64\",\"stream\":false,\"seed\":1," PUZZLE "}");
    assert_string_equal(text_at(&r, "message.content"), said);
    reply_free(&r);
    r = get(&house, "/v1/strategies");
    size_t n = 0;
    while (strategy_table[n]) n++;
    assert_int_equal(json_array_size(at(r.json, "data")), n);
    assert_string_equal(text_at(&r, "data.0.name"), strategy_table[0]->name);
    reply_free(&r);
    r = get(&house, "/metrics");
    assert_null(strstr(r.body, "ponder_searches_total 0\n"));
    reply_free(&r);
    r = get(&house, "/");
    assert_non_null(strstr(r.body, "<!doctype html>"));
    assert_null(strstr(r.body, "http://"));
    assert_null(strstr(r.body, "https://"));
    reply_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_by_body_and_by_name),
        cmocka_unit_test(efforts_scale_searches),
        cmocka_unit_test(the_same_tree_alone_and_in_a_crowd),
        cmocka_unit_test(steps_have_their_tokens),
        cmocka_unit_test(events_from_the_start_and_resumed),
        cmocka_unit_test(followed_while_it_runs_and_answered_now),
        cmocka_unit_test(h08_a_search_ends_with_its_client),
        cmocka_unit_test(h05_searches_state_their_range),
        cmocka_unit_test(searches_keep_formats),
        cmocka_unit_test(h12_names_of_searches),
        cmocka_unit_test(other_protocols_search_too),
    };
    return cmocka_run_group_tests(tests, open_house, close_house);
}
