/* test_serve_hostile.c: requests that want to do harm: bytes that are no HTTP, bodies that are no JSON, numbers out of
 * range, slow and vanishing clients, full queues, wrong keys.  docs/HOSTILE.md lists the rows.
 * Not the shapes of good requests: test_serve.c.
 * Next: serve/http.h. */
#include "tests/corpus.h"
#include "tests/fuzz_http.c"

#include <sys/resource.h>

static struct house house;

static int open_house(void **state) {
    (void)state;
    house_open(&house, model("plain.gguf", chatml), &(struct server_params){.timeout = 2});
    return 0;
}
static int close_house(void **state) {
    house_close(&house);
    if (fuzz_house.server) house_close(&fuzz_house);
    return tiny_cleanup(state);
}

static void lives(const struct house *h) {
    struct reply r = get(h, "/health");
    assert_int_equal(r.status, 200);
    reply_free(&r);
}

/* Sends bytes as they are; the reply's status, 0 when the server just closed. */
static int raw(const char *bytes, size_t n) {
    int fd = http_connect(&house);
    http_send(fd, bytes, n);
    shutdown(fd, SHUT_WR);
    struct reply r = http_read(fd);
    int status = r.status;
    reply_free(&r);
    return status;
}

/* ---- H1 to H3: HTTP ---- */

static void h01_slow_clients_are_closed(void **unused) {
    (void)unused;
    static const char *const parts[] = {
        "GET /health HT", "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"};
    int fds[2];
    uint64_t start = clock_ns();
    for (int i = 0; i < 2; i++) {
        fds[i] = http_connect(&house);
        http_send(fds[i], parts[i], strlen(parts[i]));
    }
    lives(&house); /* others are served meanwhile */
    for (int i = 0; i < 2; i++) {
        struct reply r = http_read(fds[i]);
        assert_true(r.status == 0 || r.status == 408);
        reply_free(&r);
    }
    assert_true(clock_ns() - start < 50000000000u);
}

static void h01_many_idle_connections(void **unused) {
    (void)unused;
    static int fds[1000];
    struct rlimit files, more;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    more = files;
    more.rlim_cur = more.rlim_max;
    if (files.rlim_cur < 2 * COUNT(fds) + 64) setrlimit(RLIMIT_NOFILE, &more);
    if (more.rlim_cur < 2 * COUNT(fds) + 64) skip(); /* both ends are here */
    for (size_t i = 0; i < COUNT(fds); i++) fds[i] = http_connect(&house);
    lives(&house);
    for (size_t i = 0; i < COUNT(fds); i++) close(fds[i]);
    lives(&house);
    setrlimit(RLIMIT_NOFILE, &files);
}

/* Whoever says that it sends no more gets its answer, or is taken for gone; nothing is held. */
static void h01_half_closed(void **unused) {
    (void)unused;
    char text[300];
    static const char body[] = "{\"prompt\":\"a\",\"max_tokens\":1}";
    snprintf(text, sizeof text,
             "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    int status = raw(text, strlen(text));
    assert_true(status == 200 || status == 503 || status == 0); /* or it is taken for gone */
    lives(&house);
}

static void h02_lengths_that_lie(void **unused) {
    (void)unused;
    static const char *const heads[] = {
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 12x\r\n",
        "Transfer-Encoding: chunked\r\nX: 1\r\n\r\nzz\r\n{}\r\n",
        "Transfer-Encoding: chunked\r\nX: 1\r\n\r\nffffffffffffffffff\r\n{}",
        "Content-Length: 99999999999\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "X: no length\r\n",
    };
    for (size_t i = 0; i < COUNT(heads); i++) {
        char text[500];
        snprintf(text, sizeof text, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n%s\r\n{}", heads[i]);
        int status = raw(text, strlen(text));
        if (status != 0 && (status < 400 || status > 499)) fail_msg("%s gives %d", heads[i], status);
        lives(&house);
    }
}

static void h03_bytes_that_are_no_request(void **unused) {
    (void)unused;
    static const char *const texts[] = {
        "GET /\r\n",
        "\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET //etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /v1/models/../../x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /health%00x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        int status = raw(texts[i], strlen(texts[i]));
        if (status != 0 && (status < 400 || status > 599)) fail_msg("%s gives %d", texts[i], status);
        lives(&house);
    }
    struct buffer b = {0};
    buffer_text(&b, "GET /health HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 10000; i++) buffer_print(&b, "X-%d: y\r\n", i);
    buffer_text(&b, "\r\n");
    int status = raw(b.data, b.n);
    assert_true(status == 0 || status == 431 || status == 413);
    b.n = 0;
    buffer_text(&b, "GET /health HTTP/1.1\r\nHost: localhost\r\nX: ");
    for (int i = 0; i < 1 << 16; i++) buffer_text(&b, "aaaaaaaaaaaaaaaa");
    buffer_text(&b, "\r\n\r\n");
    status = raw(b.data, b.n);
    assert_true(status == 0 || status == 431 || status == 413);
    b.n = 0;
    buffer_text(&b, "GET /");
    for (int i = 0; i < 1 << 16; i++) buffer_text(&b, "aaaaaaaaaaaaaaaa");
    buffer_text(&b, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    status = raw(b.data, b.n);
    assert_true(status == 0 || status == 414);
    buffer_free(&b);
    lives(&house);
}

/* ---- H4: JSON ---- */

static void h04_bodies_that_are_no_json(void **unused) {
    (void)unused;
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "7",
        "null",
        "{\"prompt\":\"a\"} x",
        "{\"prompt\":\"a\",\"prompt\":\"b\"}",
        "{\"prompt\":\"\\ud800\"}",
        "{\"prompt\":\"\xFF\"}",
        "{\"prompt\":\"a\\u0000b\"}",
        "{\"temperature\":1e999,\"prompt\":\"a\"}",
        "{\"temperature\":NaN,\"prompt\":\"a\"}",
        "{\"seed\":1000000000000000000000000000000,\"prompt\":\"a\"}",
        "\xEF\xBB\xBF{\"prompt\":\"a\"}",
        "{'prompt':'a'}",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) refused(&house, "/v1/completions", bodies[i], 400, "");
    static char deep[200001];
    memset(deep, '[', 100000);
    memset(deep + 100000, ']', 100000);
    refused(&house, "/v1/completions", deep, 400, "depth");
    refused(&house, "/v1/completions", "{\"prompt\":\"a\",\"temperature\":-0.0,\"max_tokens\":\"8\"}", 400,
            "\"max_tokens\": \"8\" is not allowed");
    static char large[(16 << 20) + 100];
    memset(large, ' ', sizeof large - 1);
    struct reply r = post(&house, "/v1/completions", large);
    assert_int_equal(r.status, 413);
    reply_free(&r);
    lives(&house);
}

/* ---- H5, H6: numbers ---- */

static void h05_h06_numbers_state_their_range(void **unused) {
    (void)unused;
    static const struct {
        const char *field, *words;
    } cases[] = {
        {"\"n\":0", "from 1 to"},
        {"\"n\":-1", "from 1 to"},
        {"\"n\":1000000000", "from 1 to"},
        {"\"n\":1.5", "a whole number"},
        {"\"n\":\"8\"", "\"8\" is not allowed"},
        {"\"n\":65", "at most 64"},
        {"\"best_of\":0", "from 1 to"},
        {"\"best_of\":65", "at most 64"},
        {"\"n\":3,\"best_of\":2", "less than"},
        {"\"max_tokens\":-1", "from 0 to"},
        {"\"max_tokens\":1e30", "from 0 to"},
        {"\"logprobs\":21", "from 0 to 20"},
        {"\"logprobs\":-1", "from 0 to 20"},
        {"\"temperature\":-1", "from 0 to 100"},
        {"\"temperature\":1e30", "from 0 to 100"},
        {"\"top_p\":2", "from 0 to 1"},
        {"\"min_p\":-0.5", "from 0 to 1"},
        {"\"top_k\":-1", "from 0"},
        {"\"seed\":1.8446744073709552e19", "from -1"},
        {"\"logit_bias\":{\"262\":1}", "ids from 0 to 261"},
        {"\"logit_bias\":{\"-1\":1}", "ids from 0"},
        {"\"logit_bias\":{\"1\":1e9}", "-1e6 to 1e6"},
        {"\"logit_bias\":{\"x\":1}", "ids from 0"},
        {"\"logit_bias\":[1]", "an object"},
        {"\"stop\":[\"\"]", "at least one character"},
        {"\"stop\":[1]", "at least one character"},
        {"\"stop\":7", "a text or a list"},
        {"\"stream\":1", "true or false"},
        {"\"presence_penalty\":1e9", "from -1000 to 1000"},
        {"\"suffix\":\"x\"", "not supported"},
        {"\"tools\":[{}]", "not supported"},
        {"\"response_format\":{\"type\":\"xml\"}", "none of"},
        {"\"model\":\"other\"", "is not served here"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[200];
        snprintf(body, sizeof body, "{\"prompt\":\"a\",%s}", cases[i].field);
        refused(&house, "/v1/completions", body, strstr(cases[i].field, "model") ? 404 : 400, cases[i].words);
    }
    struct buffer b = {0};
    buffer_text(&b, "{\"prompt\":\"a\",\"stop\":[\"x\"");
    for (int i = 0; i < 100000; i++) buffer_text(&b, ",\"x\"");
    buffer_text(&b, "]}");
    refused(&house, "/v1/completions", b.data, 400, "at most 1024");
    buffer_free(&b);
    struct reply r =
        post(&house, "/v1/completions",
             "{\"prompt\":\"a\",\"max_tokens\":1,\"n\":null,\"seed\":0,\"temperature\":0,\"top_p\":0,\"stop\":null}");
    assert_int_equal(r.status, 200);
    reply_free(&r);
}

static void h07_grammars_and_schemas_fail_closed(void **unused) {
    (void)unused;
    refused(&house, "/v1/completions", "{\"prompt\":\"a\",\"grammar\":\"root ::= root\"}", 400, "left recursion");
    refused(&house, "/v1/completions", "{\"prompt\":\"a\",\"grammar\":\"root ::= \\\"a\\\"{1,1000000000}\"}", 400,
            "more than 10000");
    refused(&house, "/v1/chat/completions",
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"response_format\":{\"type\":\"json_schema\","
            "\"json_schema\":{\"schema\":{\"type\":"
            "\"integer\",\"multipleOf\":3}}}}",
            400, "the keyword \"multipleOf\" is not supported");
    refused(&house, "/api/chat", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"format\":{\"not\":{}}}", 400,
            "the keyword \"not\"");
    refused(&house, "/v1/messages",
            "{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"output_config\":{\"format\":{}}}",
            400, "a JSON schema");
    struct buffer b = {0};
    buffer_text(
        &b, "{\"prompt\":\"a\",\"max_tokens\":1,\"response_format\":{\"type\":\"json_schema\",\"schema\":{\"enum\":[0");
    for (int i = 1; i < 1000000; i++) buffer_print(&b, ",%d", i);
    buffer_text(&b, "]}}}");
    refused(&house, "/v1/completions", b.data, 400, "");
    b.n = 0;
    buffer_text(&b, "{\"prompt\":\"a\",\"grammar\":\"root ::= ");
    for (int i = 0; i < 60000; i++) buffer_text(&b, "(");
    buffer_text(&b, "\"}");
    refused(&house, "/v1/completions", b.data, 400, "");
    buffer_free(&b);
    /* What takes other engines exponential time is one state a byte here. */
    struct reply r =
        post(&house, "/v1/completions",
             "{\"prompt\":\"a\",\"max_tokens\":40,\"temperature\":0,\"logit_bias\":{\"97\":1000},\"grammar\":"
             "\"root ::= ((\\\"a\\\"+)+)+ \\\"b\\\"\"}");
    assert_int_equal(r.status, 200);
    assert_int_equal(strspn(text_at(&r, "choices.0.text"), "a"), 40);
    reply_free(&r);
}

/* ---- H8: clients that leave ---- */

/* Prompts that keep the server busy for a while. */
#define MANY "[" TEN "," TEN "," TEN "," TEN "]"
#define TEN "\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\""

static uint32_t pages_used(struct house *h) { return engine_kv_stats(h->session.policy.engine).pages_used; }

/* Bounded, and counts time only to give up. */
static bool falls_to(struct house *h, uint32_t n) {
    for (int i = 0; i < 3000 && pages_used(h) > n; i++) usleep(10000);
    return pages_used(h) <= n;
}

static void h08_clients_that_leave_free_their_pages(void **unused) {
    (void)unused;
    for (int stream = 0; stream < 2; stream++) {
        char body[500];
        uint32_t before = pages_used(&house);
        snprintf(body, sizeof body,
                 "{\"prompt\":" MANY ",\"max_tokens\":400,\"n\":64,\"ignore_eos\":true,\"stream\":%s}",
                 stream ? "true" : "false");
        int fd = http_ask(&house, "POST", "/v1/completions", NULL, body, strlen(body));
        for (int i = 0; i < 3000 && pages_used(&house) <= before; i++) usleep(1000);
        close(fd);
        if (!falls_to(&house, before))
            fail_msg("%u pages are held after the client left, %u before", pages_used(&house), before);
    }
    struct reply r = get(&house, "/metrics");
    assert_null(strstr(r.body, "ponder_clients_gone_total 0\n"));
    reply_free(&r);
}

static void ignore(struct exchange *ex, void *arg) { (void)ex, (void)arg; }

/* What a reader leaves unread is bounded: then it is given up, and whoever works for it stops. */
static void h08_slow_readers_are_given_up(void **unused) {
    (void)unused;
    static char part[1 << 20];
    struct exchange *ex = exchange_detached(house.server->http, "POST", "/v1/completions", "", 0, ignore, NULL);
    assert_non_null(ex);
    exchange_begin(ex, "text/event-stream");
    for (int i = 0; i < 8; i++) exchange_add(ex, part, sizeof part);
    assert_false(ex->gone || ex->stop);
    exchange_add(ex, part, 1);
    assert_true(ex->gone && ex->stop);
    exchange_release(ex);
}

/* ---- H9: keys and hosts ---- */

static int status_with(struct house *h, const char *path, const char *head) {
    struct reply r = http_read(http_ask(h, "GET", path, head, "", 0));
    int status = r.status;
    reply_free(&r);
    return status;
}

static void h09_keys(void **unused) {
    (void)unused;
    struct house h;
    house_open(&h, model("plain.gguf", chatml), &(struct server_params){.keys = {2, {"sesame", "other"}}});
    assert_int_equal(status_with(&h, "/v1/models", ""), 401);
    assert_int_equal(status_with(&h, "/v1/models", "Authorization: Bearer \r\n"), 401);
    assert_int_equal(status_with(&h, "/v1/models", "Authorization: Bearer sesam\r\n"), 401);
    assert_int_equal(status_with(&h, "/v1/models", "Authorization: Bearer sesamesesame\r\n"), 401);
    assert_int_equal(status_with(&h, "/v1/models", "Authorization: Bearer sesame\r\n"), 200);
    assert_int_equal(status_with(&h, "/v1/models", "X-Api-Key: other\r\n"), 200);
    assert_int_equal(status_with(&h, "/v1/models", "X-Api-Key: other\r\nAuthorization: Bearer wrong\r\n"), 401);
    assert_int_equal(status_with(&h, "/v1/models", "X-Api-Key: other\r\nAuthorization: Bearer sesame\r\n"), 200);
    assert_int_equal(status_with(&h, "/v1/models", "X-Api-Key: other\r\nAuthorization: Bearer \r\n"), 200);
    assert_int_equal(status_with(&h, "/health", ""), 200);
    house_close(&h);
}

static void h09_hosts_and_origins(void **unused) {
    (void)unused;
    char text[300];
    static const char *const bad[] = {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80",
                                      "192.168.0.7"};
    static const char *const good[] = {"localhost", "127.0.0.1:9", "[::1]:9", "LOCALHOST:1"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(text, sizeof text, "GET /v1/models HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", bad[i]);
        assert_int_equal(raw(text, strlen(text)), 403);
        snprintf(text, sizeof text, "GET /v1/models HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", good[i]);
        assert_int_equal(raw(text, strlen(text)), 200);
    }
    assert_int_equal(status_with(&house, "/v1/models", "Origin: http://evil.example\r\n"), 403);
    assert_int_equal(status_with(&house, "/v1/models", "Origin: null\r\n"), 403);
    snprintf(text, sizeof text, "Origin: http://localhost:%s\r\n", house.port);
    assert_int_equal(status_with(&house, "/v1/models", text), 200);
    struct server *s;
    struct error e;
    struct server_params open = {.host = "0.0.0.0", .parallel = 1};
    assert_int_equal(server_open(&open, &house.session, &s, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "--api-key"));
}

/* ---- H10: prompts ---- */

static void h10_prompts(void **unused) {
    (void)unused;
    static const struct {
        const char *path, *body, *words;
    } cases[] = {
        {"/v1/completions", "{\"prompt\":[262]}", "ids from 0 to 261"},
        {"/v1/completions", "{\"prompt\":[-5]}", "ids from 0 to 261"},
        {"/v1/completions", "{\"prompt\":[1,99999999999999]}", "ids from 0 to 261"},
        {"/v1/completions", "{\"prompt\":[]}", "a list of 1 to"},
        {"/v1/completions", "{\"prompt\":[[]]}", "the prompt is empty"},
        {"/v1/completions", "{\"prompt\":{\"a\":1}}", "a text, token ids"},
        {"/v1/completions", "{\"prompt\":[\"a\",7]}", "texts and lists of ids"},
        {"/v1/chat/completions", "{}", "at least one message"},
        {"/v1/chat/completions", "{\"messages\":[]}", "at least one message"},
        {"/v1/chat/completions", "{\"messages\":[{\"role\":\"wizard\",\"content\":\"x\"}]}",
         "\"wizard\" is not allowed"},
        {"/v1/chat/completions", "{\"messages\":[{\"content\":\"x\"}]}", "\"role\": nothing is not allowed"},
        {"/v1/chat/completions", "{\"messages\":[7]}", "\"role\""},
        {"/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":7}]}", "neither a text nor a list"},
        {"/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
         "\"image_url\" is not supported"},
        {"/v1/messages", "{\"max_tokens\":1,\"messages\":7}", "a list is allowed"},
        {"/detokenize", "{\"tokens\":[300]}", "ids from 0 to 261"},
        {"/tokenize", "{}", "a text is allowed"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) refused(&house, cases[i].path, cases[i].body, 400, cases[i].words);
    struct buffer b = {0};
    buffer_text(&b, "{\"prompt\":\"");
    for (int i = 0; i < 600; i++) buffer_text(&b, "a");
    buffer_text(&b, "\"}");
    struct reply r = post(&house, "/v1/completions", b.data);
    assert_int_equal(r.status, 400);
    assert_string_equal(text_at(&r, "error.type"), "exceed_context_size_error");
    assert_int_equal(int_at(&r, "error.n_prompt_tokens"), 600);
    assert_int_equal(int_at(&r, "error.n_ctx"), 512);
    reply_free(&r);
    b.n = 0;
    buffer_text(&b, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}");
    for (int i = 0; i < 1 << 17; i++) buffer_text(&b, ",{\"role\":\"user\",\"content\":\"x\"}");
    buffer_text(&b, "]}");
    r = post(&house, "/v1/chat/completions", b.data);
    assert_int_equal(r.status, 400);
    reply_free(&r);
    buffer_free(&b);
}

/* ---- H11: full queues, and the end ---- */

static void h11_full_queues_say_so(void **unused) {
    (void)unused;
    struct house h;
    house_open(&h, model("plain.gguf", chatml),
               &(struct server_params){.parallel = 1, .queue = 1, .all_tokens = 1LL << 40});
    static const char body[] = "{\"prompt\":" MANY ",\"max_tokens\":400,\"n\":64,\"ignore_eos\":true}";
    int fds[12], full = 0;
    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = http_ask(&h, "POST", "/v1/completions", NULL, body, sizeof body - 1);
    for (size_t i = 0; i < COUNT(fds);
         i++) { /* one is answered, one waits: when the others come, one is too many at least */
        struct pollfd p = {.fd = fds[i], .events = POLLIN};
        if (poll(&p, 1, 1000) <= 0) continue;
        struct reply r = http_read(fds[i]);
        fds[i] = -1;
        if (r.status == 429) {
            assert_non_null(strcasestr(r.all, "Retry-After: 1\r\n"));
            assert_string_equal(text_at(&r, "error.type"), "rate_limit_error");
            full++;
        } else assert_int_equal(r.status, 200);
        reply_free(&r);
    }
    assert_true(full >= 1);
    lives(&h);
    for (size_t i = 0; i < COUNT(fds); i++)
        if (fds[i] >= 0) close(fds[i]);
    const struct allowance *reserved =
        &h.server->quota.of[QUOTA_ALL].reserved; /* by those that were refused: nothing */
    for (int i = 0; i < 3000 && server_n_working(h.server, CLASS_INTERACTIVE); i++) usleep(10000);
    for (int i = 0; i < 3000 && reserved->tokens; i++) usleep(1000);
    assert_int_equal(reserved->tokens, 0);
    house_close(&h);
}

static void h11_the_end_is_told(void **unused) {
    (void)unused;
    struct house h;
    house_open(&h, model("plain.gguf", chatml), &(struct server_params){.parallel = 2});
    static const char body[] = "{\"prompt\":" MANY ",\"max_tokens\":450,\"n\":64,\"ignore_eos\":true,\"stream\":true}";
    int fd = http_ask(&h, "POST", "/v1/completions", NULL, body, sizeof body - 1);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 30000), 1);
    server_drain(h.server, 0);
    struct reply r = http_read(fd);
    assert_int_equal(r.status, 200);
    if (!strstr(r.body, "[DONE]") && !strstr(r.body, "the server is stopping"))
        fail_msg("the stream ends with %.100s", r.body + strlen(r.body) - 100);
    reply_free(&r);
    assert_int_equal(pages_used(&h), 0);
    house_close(&h);
}

static void replays_the_fuzz_corpus(void **unused) {
    (void)unused;
    replay("http", 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h01_slow_clients_are_closed),
        cmocka_unit_test(h01_many_idle_connections),
        cmocka_unit_test(h01_half_closed),
        cmocka_unit_test(h02_lengths_that_lie),
        cmocka_unit_test(h03_bytes_that_are_no_request),
        cmocka_unit_test(h04_bodies_that_are_no_json),
        cmocka_unit_test(h05_h06_numbers_state_their_range),
        cmocka_unit_test(h07_grammars_and_schemas_fail_closed),
        cmocka_unit_test(h08_clients_that_leave_free_their_pages),
        cmocka_unit_test(h08_slow_readers_are_given_up),
        cmocka_unit_test(h09_keys),
        cmocka_unit_test(h09_hosts_and_origins),
        cmocka_unit_test(h10_prompts),
        cmocka_unit_test(h11_full_queues_say_so),
        cmocka_unit_test(h11_the_end_is_told),
        cmocka_unit_test(replays_the_fuzz_corpus),
    };
    return cmocka_run_group_tests(tests, open_house, close_house);
}
