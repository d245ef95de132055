/* test_serve.c: the server over loopback: texts in the shapes of its clients, sampling, log-probabilities, limits.
 * Not hostile requests (test_serve_hostile.c), not searches (test_serve_search.c).
 * Next: serve/server.h. */
#include "tests/http_client.h"

static struct house house;

static int open_house(void **state) {
    (void)state;
    house_open(&house, model("plain.gguf", chatml), &(struct server_params){0});
    return 0;
}
static int close_house(void **state) {
    house_close(&house);
    return tiny_cleanup(state);
}

static void small_routes(void **unused) {
    (void)unused;
    struct reply r = get(&house, "/health");
    assert_int_equal(r.status, 200);
    assert_string_equal(text_at(&r, "status"), "ok");
    reply_free(&r);
    r = get(&house, "/v1/models");
    assert_string_equal(text_at(&r, "data.0.id"), "tiny");
    assert_string_equal(text_at(&r, "data.0.type"), "model");
    assert_int_equal(int_at(&r, "data.0.meta.n_vocab"), N_TOKENS);
    assert_true(json_is_false(at(r.json, "has_more")));
    reply_free(&r);
    r = get(&house, "/v1/nothing");
    assert_int_equal(r.status, 404);
    assert_string_equal(text_at(&r, "error.type"), "not_found_error");
    reply_free(&r);
    r = get(&house, "/v1/completions");
    assert_int_equal(r.status, 405);
    reply_free(&r);
    r = post(&house, "/v1/embeddings", "{}");
    assert_int_equal(r.status, 501);
    reply_free(&r);
    r = get(&house, "/metrics");
    assert_non_null(strstr(r.body, "\nponder_requests_total "));
    assert_non_null(strstr(r.body, "ponder_request_seconds_bucket{le=\"+Inf\"}"));
    reply_free(&r);
}

/* ---- completions ---- */

static void prompts_of_all_shapes(void **unused) {
    (void)unused;
    static const char *const bodies[] = {
        "{\"prompt\":\"ab\",\"max_tokens\":5,\"temperature\":0}",
        "{\"prompt\":[\"ab\"],\"max_tokens\":5,\"temperature\":0,\"model\":\"tiny\"}",
        "{\"prompt\":[97,98],\"max_tokens\":5,\"temperature\":0}",
        "{\"prompt\":[[97,98]],\"max_tokens\":5.0,\"temperature\":0,\"unknown\":{\"x\":1},\"stop\":[]}",
    };
    char first[64] = "";
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct reply r = post(&house, "/v1/completions", bodies[i]);
        assert_int_equal(r.status, 200);
        assert_string_equal(text_at(&r, "object"), "text_completion");
        assert_int_equal(int_at(&r, "usage.prompt_tokens"), 2);
        assert_true(int_at(&r, "usage.completion_tokens") <= 5);
        if (!i) snprintf(first, sizeof first, "%s", text_at(&r, "choices.0.text"));
        else assert_string_equal(text_at(&r, "choices.0.text"), first);
        reply_free(&r);
    }
    /* In a batch each is as alone, and the indices run over prompts. */
    struct reply r = post(&house, "/v1/completions",
                          "{\"prompt\":[\"xyz\",\"ab\",[97,98]],\"max_tokens\":5,\"temperature\":0,\"n\":2}");
    assert_int_equal(json_array_size(at(r.json, "choices")), 6);
    for (int i = 0; i < 6; i++) {
        char path[32];
        snprintf(path, sizeof path, "choices.%d.index", i);
        assert_int_equal(int_at(&r, path), i);
        snprintf(path, sizeof path, "choices.%d.text", i);
        if (i >= 2) assert_string_equal(text_at(&r, path), first);
    }
    reply_free(&r);
}

/* log-softmax of the token behind tokens [0, n), by the engine itself. */
static float direct_logprob(const int32_t *tokens, uint32_t n, int32_t id, double *naive) {
    struct engine *en = house.session.policy.engine;
    uint32_t n_vocab = engine_n_out(en);
    static float out[N_TOKENS], p[N_TOKENS];
    static int32_t ids[N_TOKENS];
    struct sample_scratch scratch = {p, ids};
    struct sample_distribution d;
    struct sample_params plain = {.temperature = 1, .top_p = 1};
    struct client *client;
    struct error e;
    double sum = 0;
    GOOD(engine_client_new(en, NULL, &client, &e));
    uint32_t seq = engine_seq_new(client);
    struct span span = {.seq = seq, .n_tokens = n, .n_out = 1, .tokens = tokens, .out = out};
    GOOD(engine_run(client, &span, 1, NULL, &e));
    engine_drop(client, &seq);
    engine_client_free(&client);
    assert_true(sample_distribution(&plain, out, n_vocab, &scratch, &d));
    for (uint32_t i = 0; i < n_vocab; i++) sum += exp((double)out[i]);
    *naive = (double)out[id] - log(sum);
    return sample_logprob(&d, out, id);
}

/* What lm-eval asks for likelihoods. */
static void echo_gives_likelihoods_to_the_bit(void **unused) {
    (void)unused;
    int32_t ids[] = {104, 101, 108, 108, 111};
    struct reply r = post(&house, "/v1/completions",
                          "{\"prompt\":[[104,101,108,108,111],[104]],\"max_tokens\":1,\"logprobs\":1,\"echo\":true,"
                          "\"temperature\":0,\"seed\":1234}");
    assert_int_equal(r.status, 200);
    json_t *logprobs = at(r.json, "choices.0.logprobs.token_logprobs"),
           *tops = at(r.json, "choices.0.logprobs.top_logprobs");
    assert_int_equal(json_array_size(logprobs), 6);
    assert_int_equal(json_array_size(tops), 6);
    assert_int_equal(json_array_size(at(r.json, "choices.1.logprobs.token_logprobs")), 2);
    assert_true(json_is_null(json_array_get(logprobs, 0)) && json_is_null(json_array_get(tops, 0)));
    for (uint32_t i = 1; i < 5; i++) {
        double naive, best = -INFINITY;
        const char *key;
        json_t *value;
        float want = direct_logprob(ids, i, ids[i], &naive);
        double got = json_real_value(json_array_get(logprobs, i));
        if (got != (double)want) fail_msg("token %u: %.17g, not %.17g", i, got, (double)want);
        assert_true(fabs(got - naive) < 1e-4);
        json_object_foreach(json_array_get(tops, i), key, value) best = fmax(best, json_real_value(value));
        assert_true(got <= best);
    }
    /* The token that greedy drawing took is its own top one, with the same number. */
    json_t *last = json_array_get(tops, 5);
    assert_true(json_real_value(json_object_iter_value(json_object_iter(last))) ==
                json_real_value(json_array_get(logprobs, 5)));
    assert_string_equal(json_string_value(at(r.json, "choices.0.logprobs.tokens.0")), "h");
    assert_int_equal(int_at(&r, "choices.0.logprobs.text_offset.4"), 4);
    reply_free(&r);
}

/* An end token that is drawn counts: arrays have prompt + 1 entries. */
static void one_token_comes_also_when_it_is_the_end(void **unused) {
    (void)unused;
    struct reply r = post(&house, "/v1/completions",
                          "{\"prompt\":\"ab\",\"max_tokens\":1,\"logprobs\":1,\"echo\":true,\"temperature\":0,\"logit_"
                          "bias\":{\"259\":1000}}");
    assert_int_equal(json_array_size(at(r.json, "choices.0.logprobs.tokens")), 3);
    assert_string_equal(text_at(&r, "choices.0.logprobs.tokens.2"), "<|im_end|>");
    assert_string_equal(text_at(&r, "choices.0.finish_reason"), "stop");
    assert_string_equal(text_at(&r, "choices.0.text"), "ab");
    assert_int_equal(int_at(&r, "usage.completion_tokens"), 1);
    reply_free(&r);
}

static void biases_stops_and_ends(void **unused) {
    (void)unused;
    struct reply r = post(&house, "/v1/completions",
                          "{\"prompt\":\"ab\",\"max_tokens\":4,\"temperature\":0,\"logit_bias\":{\"81\":1000}}");
    assert_string_equal(text_at(&r, "choices.0.text"), "QQQQ");
    assert_string_equal(text_at(&r, "choices.0.finish_reason"), "length");
    reply_free(&r);
    r = post(&house, "/v1/completions",
             "{\"prompt\":\"ab\",\"max_tokens\":9,\"temperature\":0,\"logit_bias\":{\"81\":1000,\"90\":950},"
             "\"frequency_penalty\":30,"
             "\"stop\":[\"ZQ\",\"nothing\"]}");
    assert_null(strstr(text_at(&r, "choices.0.text"), "ZQ"));
    assert_string_equal(text_at(&r, "choices.0.finish_reason"), "stop");
    reply_free(&r);
    r = post(&house, "/v1/completions", "{\"prompt\":\"ab\",\"max_tokens\":0}");
    assert_string_equal(text_at(&r, "choices.0.text"), "");
    reply_free(&r);
}

/* Deltas put together are the whole reply; and the shape of the stream. */
static void streams_are_the_whole_in_pieces(void **unused) {
    (void)unused;
    static const char ask[] = "{\"prompt\":\"ab\",\"max_tokens\":12,\"seed\":7,\"n\":3%s}";
    char body[200], whole[3][64], parts[3][64] = {"", "", ""};
    snprintf(body, sizeof body, ask, "");
    struct reply r = post(&house, "/v1/completions", body);
    for (int i = 0; i < 3; i++) {
        char path[32];
        snprintf(path, sizeof path, "choices.%d.text", i);
        snprintf(whole[i], sizeof whole[i], "%s", text_at(&r, path));
    }
    reply_free(&r);
    snprintf(body, sizeof body, ask, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    r = post(&house, "/v1/completions", body);
    assert_non_null(strcasestr(r.all, "Content-Type: text/event-stream"));
    const char *rest = r.body;
    bool usage = false;
    for (json_t *event; (event = next_event(&rest)); json_decref(event)) {
        const char *text = json_string_value(at(event, "choices.0.text"));
        if (text) strcat(parts[json_integer_value(at(event, "choices.0.index"))], text);
        usage |= json_is_array(at(event, "choices")) && !json_array_size(at(event, "choices")) &&
                 at(event, "usage.total_tokens");
    }
    assert_true(usage);
    assert_non_null(strstr(r.body, "data: [DONE]"));
    for (int i = 0; i < 3; i++) assert_string_equal(parts[i], whole[i]);
    reply_free(&r);
}

static void *ask_again(void *out) {
    struct reply r =
        post(&house, "/v1/completions", "{\"prompt\":\"crowd\",\"max_tokens\":20,\"seed\":11,\"temperature\":1}");
    snprintf(out, 100, "%s", text_at(&r, "choices.0.text"));
    reply_free(&r);
    return NULL;
}

/* The same request and seed: the same text, whatever else runs; without a seed another one. */
static void seeds_say_the_text(void **unused) {
    (void)unused;
    pthread_t threads[6];
    char texts[7][100];
    ask_again(texts[6]);
    for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, ask_again, texts[i]);
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 6; i++) assert_string_equal(texts[i], texts[6]);
    /* Flat distributions and no early end: equal texts of different seeds are next to impossible.  No NUL (token 0),
     * which would end what the test reads. */
    for (int i = 0; i < 2; i++) {
        struct reply r = post(&house, "/v1/completions",
                              "{\"prompt\":\"crowd\",\"max_tokens\":24,\"temperature\":3,\"top_k\":0,\"top_p\":1,"
                              "\"min_p\":0,\"ignore_eos\":true,\"logit_bias\":{\"0\":-100}}");
        snprintf(texts[i], sizeof texts[i], "%s", text_at(&r, "choices.0.text"));
        reply_free(&r);
    }
    assert_string_not_equal(texts[0], texts[1]);
}

/* ---- sharing ---- */

static json_int_t count_of(const struct house *h, const char *name) {
    char line[100];
    struct reply r = get(h, "/metrics");
    snprintf(line, sizeof line, "\nponder_%s ", name);
    const char *at = strstr(r.body, line);
    assert_non_null(at);
    json_int_t n = atoll(at + strlen(line));
    reply_free(&r);
    return n;
}

static char shared[300]; /* a prompt that nobody has sent yet */
static void *ask_shared(void *unused) {
    (void)unused;
    char body[500];
    snprintf(body, sizeof body, "{\"prompt\":\"%s\",\"max_tokens\":2,\"ignore_eos\":true}", shared);
    reply_free(&(struct reply[]){post(&house, "/v1/completions", body)}[0]);
    return NULL;
}

/* Equal prompts that come at once are read once: the others wait for whole pages of it. */
static void equal_prompts_are_read_once(void **unused) {
    (void)unused;
    enum { CROWD = 8, LENGTH = 200 };
    pthread_t threads[CROWD];
    for (int i = 0; i < LENGTH; i++) shared[i] = (char)('a' + (i * i) % 23);
    json_int_t before = count_of(&house, "prompt_tokens_cached_total"), all = count_of(&house, "prompt_tokens_total");
    for (int i = 0; i < CROWD; i++) pthread_create(&threads[i], NULL, ask_shared, NULL);
    for (int i = 0; i < CROWD; i++) pthread_join(threads[i], NULL);
    assert_int_equal(count_of(&house, "prompt_tokens_total") - all, CROWD * LENGTH);
    json_int_t cached = count_of(&house, "prompt_tokens_cached_total") - before;
    json_int_t want = (CROWD - 1) * (LENGTH - KV_PAGE);
    if (cached < want) fail_msg("%lld tokens were shared, at least %lld could be", (long long)cached, (long long)want);
}

/* 256 choices hold one prompt between them, and little more each. */
static void many_choices_share_their_prompt(void **unused) {
    (void)unused;
    struct house h;
    house_open(&h, model("plain.gguf", chatml), &(struct server_params){.max_n = 256});
    char body[700], prompt[401] = "";
    memset(prompt, 'p', 400);
    snprintf(body, sizeof body, "{\"prompt\":\"%s\",\"max_tokens\":2,\"ignore_eos\":true,\"n\":256}", prompt);
    struct reply r = post(&h, "/v1/completions", body);
    assert_int_equal(json_array_size(at(r.json, "choices")), 256);
    assert_int_equal(int_at(&r, "usage.completion_tokens"), 512);
    reply_free(&r);
    uint32_t peak = engine_kv_stats(h.session.policy.engine).pages_peak, prompt_pages = 400 / KV_PAGE + 1;
    if (peak > prompt_pages + 2 * 256) fail_msg("%u pages, the prompt has %u", peak, prompt_pages);
    house_close(&h);
}

static void best_of_is_the_likeliest(void **unused) {
    (void)unused;
    static const char all[] =
        "{\"prompt\":\"ab\",\"max_tokens\":6,\"seed\":3,\"n\":8,\"logprobs\":0,\"temperature\":1,\"ignore_eos\":true}";
    double best = -INFINITY, means[8];
    int which = 0;
    struct reply r = post(&house, "/v1/completions", all);
    for (int i = 0; i < 8; i++) {
        char path[48];
        size_t k;
        json_t *one;
        snprintf(path, sizeof path, "choices.%d.logprobs.token_logprobs", i);
        means[i] = 0;
        json_array_foreach(at(r.json, path), k, one) means[i] += json_real_value(one) / 6;
        if (means[i] > best) best = means[i], which = i;
    }
    char path[32], text[100];
    snprintf(path, sizeof path, "choices.%d.text", which);
    snprintf(text, sizeof text, "%s", text_at(&r, path));
    reply_free(&r);
    r = post(
        &house, "/v1/completions",
        "{\"prompt\":\"ab\",\"max_tokens\":6,\"seed\":3,\"n\":1,\"best_of\":8,\"temperature\":1,\"ignore_eos\":true}");
    assert_int_equal(json_array_size(at(r.json, "choices")), 1);
    assert_string_equal(text_at(&r, "choices.0.text"), text);
    assert_int_equal(int_at(&r, "usage.completion_tokens"), 48);
    reply_free(&r);
}

/* ---- chat ---- */

static void chat_by_template(void **unused) {
    (void)unused;
    struct reply r =
        post(&house, "/v1/chat/completions",
             "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}],\"max_tokens\":3,"
             "\"temperature\":0,\"logprobs\":true,\"top_logprobs\":2,\"logit_bias\":{\"81\":1000}}");
    assert_int_equal(r.status, 200);
    assert_string_equal(text_at(&r, "choices.0.message.content"), "QQQ");
    assert_string_equal(text_at(&r, "choices.0.message.role"), "assistant");
    assert_int_equal(json_array_size(at(r.json, "choices.0.logprobs.content")), 3);
    assert_string_equal(text_at(&r, "choices.0.logprobs.content.0.token"), "Q");
    assert_int_equal(int_at(&r, "choices.0.logprobs.content.0.bytes.0"), 'Q');
    assert_int_equal(json_array_size(at(r.json, "choices.0.logprobs.content.0.top_logprobs")), 2);
    json_int_t n = int_at(&r, "usage.prompt_tokens");
    assert_int_equal(n, strlen("user\nhi") + 2 + 1 + 1 + strlen("assistant\n"));
    reply_free(&r);
    /* S8: names of control tokens in a message are its text. */
    r = post(&house, "/v1/chat/completions",
             "{\"messages\":[{\"role\":\"user\",\"content\":\"hi<|im_end|>\"}],\"max_tokens\":1}");
    assert_int_equal(int_at(&r, "usage.prompt_tokens"), n + 10);
    reply_free(&r);
    r = post(&house, "/v1/chat/completions",
             "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"Well\"}],"
             "\"continue_final_message\":true,\"add_generation_prompt\":false,\"max_tokens\":1}");
    assert_int_equal(int_at(&r, "usage.prompt_tokens"), n + 4);
    reply_free(&r);
}

static void first_chunks_come_in_order(void **unused) {
    (void)unused;
    struct reply r = post(
        &house, "/v1/chat/completions",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":3,\"n\":4,\"stream\":true,\"seed\":1}");
    const char *rest = r.body;
    int ends = 0;
    for (int i = 0; i < 4; i++) {
        json_t *event = next_event(&rest);
        assert_int_equal(json_integer_value(at(event, "choices.0.index")), i);
        assert_string_equal(json_string_value(at(event, "choices.0.delta.role")), "assistant");
        assert_string_equal(json_string_value(at(event, "object")), "chat.completion.chunk");
        json_decref(event);
    }
    for (json_t *event; (event = next_event(&rest)); json_decref(event))
        ends += json_is_string(at(event, "choices.0.finish_reason"));
    assert_int_equal(ends, 4);
    reply_free(&r);
}

/* Random as the model is, what it says under a schema is valid under it, and ends. */
static void formats_are_kept(void **unused) {
    (void)unused;
    for (int seed = 1; seed <= 5; seed++) {
        char body[600];
        snprintf(body, sizeof body,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":200,\"seed\":%d,\"temperature\":"
                 "1,\"response_format\":{\"type\":"
                 "\"json_schema\",\"json_schema\":{\"name\":\"s\",\"strict\":true,\"schema\":{\"type\":\"object\","
                 "\"properties\":{\"a\":{\"type\":"
                 "\"string\",\"maxLength\":5},\"b\":{\"enum\":[1,2]}},\"required\":[\"a\",\"b\"],"
                 "\"additionalProperties\":false}}}}",
                 seed);
        struct reply r = post(&house, "/v1/chat/completions", body);
        assert_string_equal(text_at(&r, "choices.0.finish_reason"), "stop");
        json_t *said = json_loads(text_at(&r, "choices.0.message.content"), JSON_ALLOW_NUL, NULL);
        assert_true(json_is_string(json_object_get(said, "a")) && json_is_integer(json_object_get(said, "b")));
        assert_int_equal(json_object_size(said), 2);
        json_decref(said);
        reply_free(&r);
    }
    struct reply r = post(&house, "/v1/completions",
                          "{\"prompt\":\"x\",\"grammar\":\"root ::= [ab]{3} \\\"!\\\"\",\"seed\":1,\"max_tokens\":9}");
    assert_int_equal(strspn(text_at(&r, "choices.0.text"), "ab"), 3);
    assert_string_equal(text_at(&r, "choices.0.text") + 3, "!");
    assert_string_equal(text_at(&r, "choices.0.finish_reason"), "stop");
    reply_free(&r);
}

/* ---- tokens ---- */

static void tokens_there_and_back(void **unused) {
    (void)unused;
    struct reply r = post(&house, "/tokenize", "{\"prompt\":\"a<|im_end|>\",\"add_special_tokens\":false}");
    assert_int_equal(json_array_size(at(r.json, "tokens")), 2);
    assert_int_equal(int_at(&r, "tokens.1"), END);
    reply_free(&r);
    r = post(&house, "/tokenize", "{\"content\":\"ab\",\"with_pieces\":true}");
    assert_string_equal(text_at(&r, "tokens.1.piece"), "b");
    reply_free(&r);
    r = post(&house, "/detokenize", "{\"tokens\":[104,105,259]}");
    assert_string_equal(text_at(&r, "prompt"), "hi<|im_end|>");
    reply_free(&r);
    r = get(&house, "/tokenizer_info");
    assert_string_equal(text_at(&r, "eos_token"), "<|im_end|>");
    assert_string_equal(text_at(&r, "chat_template"), chatml);
    reply_free(&r);
    r = post(&house, "/apply-template", "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_string_equal(text_at(&r, "prompt"), "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    reply_free(&r);
}

/* ---- Anthropic, Ollama, responses ---- */

static void anthropic_messages(void **unused) {
    (void)unused;
    static const char ask[] = "{\"model\":\"tiny\",\"max_tokens\":3,\"system\":\"s\",\"messages\":[{\"role\":\"user\","
                              "\"content\":\"hi\"}],\"temperature\":0%s}";
    char body[300];
    snprintf(body, sizeof body, ask, "");
    struct reply r = post(&house, "/v1/messages", body);
    assert_string_equal(text_at(&r, "type"), "message");
    assert_string_equal(text_at(&r, "content.0.type"), "text");
    char whole[64], parts[64] = "";
    snprintf(whole, sizeof whole, "%s", text_at(&r, "content.0.text"));
    json_int_t in = int_at(&r, "usage.input_tokens") + int_at(&r, "usage.cache_read_input_tokens");
    reply_free(&r);
    r = post(&house, "/v1/messages/count_tokens", body);
    assert_int_equal(int_at(&r, "input_tokens"), in);
    reply_free(&r);
    snprintf(body, sizeof body, ask, ",\"stream\":true");
    r = post(&house, "/v1/messages", body);
    static const char *const order[] = {"event: message_start", "event: content_block_start",
                                        "event: content_block_stop", "event: message_delta", "event: message_stop"};
    const char *from = r.body;
    for (size_t i = 0; i < COUNT(order); i++) {
        from = strstr(from, order[i]);
        if (!from) fail_msg("%s is missing or out of order:\n%s", order[i], r.body);
    }
    from = r.body;
    for (json_t *event; (event = next_event(&from)); json_decref(event))
        if (json_is_string(at(event, "delta.text"))) strcat(parts, json_string_value(at(event, "delta.text")));
    assert_string_equal(parts, whole);
    reply_free(&r);
    r = post(&house, "/v1/messages",
             "{\"model\":\"tiny\",\"max_tokens\":20,\"stop_sequences\":[\"zz\",\"ca\",\"bc\"],\"messages\":[{\"role\":"
             "\"user\","
             "\"content\":\"hi\"}],\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"const\":"
             "\"abcabc\"}}}}");
    assert_string_equal(text_at(&r, "content.0.text"), "\"a");
    assert_string_equal(text_at(&r, "stop_reason"), "stop_sequence");
    assert_string_equal(text_at(&r, "stop_sequence"), "bc");
    reply_free(&r);
    r = post(&house, "/v1/messages", "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_int_equal(r.status, 400);
    assert_string_equal(text_at(&r, "type"), "error");
    assert_string_equal(text_at(&r, "error.type"), "invalid_request_error");
    reply_free(&r);
}

static void ollama_lines(void **unused) {
    (void)unused;
    struct reply r = post(&house, "/api/chat",
                          "{\"model\":\"tiny:latest\",\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":"
                          "\"hi\"}],\"options\":{\"num_predict\":4,\"seed\":1}}");
    assert_true(json_is_true(at(r.json, "done")));
    char whole[64], parts[64] = "";
    snprintf(whole, sizeof whole, "%s", text_at(&r, "message.content"));
    assert_true(int_at(&r, "eval_count") <= 4);
    reply_free(&r);
    r = post(&house, "/api/chat",
             "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"options\":{\"num_predict\":4,"
             "\"seed\":1}}");
    assert_non_null(strcasestr(r.all, "Content-Type: application/x-ndjson"));
    int done = 0;
    for (char *line = strtok(r.body, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *one = json_loads(line, 0, NULL);
        assert_non_null(one);
        strcat(parts, json_string_value(at(one, "message.content")));
        done += json_is_true(at(one, "done"));
        json_decref(one);
    }
    assert_int_equal(done, 1);
    assert_string_equal(parts, whole);
    reply_free(&r);
    r = post(&house, "/api/generate",
             "{\"model\":\"tiny\",\"prompt\":\"hi\",\"raw\":true,\"stream\":false,\"options\":{\"num_predict\":2}}");
    assert_int_equal(int_at(&r, "prompt_eval_count"), 2);
    assert_true(json_is_string(at(r.json, "response")));
    reply_free(&r);
    r = get(&house, "/api/tags");
    assert_string_equal(text_at(&r, "models.0.name"), "tiny");
    reply_free(&r);
    r = post(&house, "/api/show", "{\"model\":\"tiny\"}");
    assert_non_null(at(r.json, "model_info"));
    reply_free(&r);
    r = post(&house, "/api/chat", "{\"model\":\"other\",\"messages\":[]}");
    assert_int_equal(r.status, 404);
    assert_true(json_is_string(at(r.json, "error")));
    reply_free(&r);
}

static void responses_stream_in_order(void **unused) {
    (void)unused;
    static const char *const order[] = {"response.created",           "response.in_progress",
                                        "response.output_item.added", "response.content_part.added",
                                        "response.output_text.done",  "response.content_part.done",
                                        "response.output_item.done"};
    struct reply r = post(&house, "/v1/responses",
                          "{\"input\":\"hi\",\"max_output_tokens\":4,\"stream\":true,\"temperature\":0,\"seed\":1}");
    const char *from = r.body;
    for (size_t i = 0; i < COUNT(order); i++) {
        char line[64];
        snprintf(line, sizeof line, "event: %s\n", order[i]);
        from = strstr(from, line);
        if (!from) fail_msg("%s is missing or out of order:\n%s", order[i], r.body);
    }
    json_int_t next = 0;
    from = r.body;
    char text[64] = "";
    for (json_t *event; (event = next_event(&from)); json_decref(event)) {
        assert_int_equal(json_integer_value(at(event, "sequence_number")), next++);
        if (at(event, "response.output.0"))
            snprintf(text, sizeof text, "%s", json_string_value(at(event, "response.output.0.content.0.text")));
    }
    reply_free(&r);
    r = post(
        &house, "/v1/responses",
        "{\"input\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_output_tokens\":4,\"temperature\":0,\"seed\":1}");
    assert_string_equal(text_at(&r, "object"), "response");
    assert_string_equal(text_at(&r, "output.0.content.0.text"), text);
    assert_int_equal(int_at(&r, "usage.output_tokens_details.reasoning_tokens"), 0);
    reply_free(&r);
}

/* ---- thinking ---- */

static void thinking_is_told_apart(void **unused) {
    (void)unused;
    struct house h;
    house_open(&h, model("thinker.gguf", thinker), &(struct server_params){0});
    struct reply r = post(&h, "/v1/chat/completions",
                          "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":8,\"temperature\":0,"
                          "\"logit_bias\":{\"81\":1000},"
                          "\"thinking_budget_tokens\":3}");
    assert_string_equal(text_at(&r, "choices.0.message.content"), "QQQQQ");
    assert_memory_equal(text_at(&r, "choices.0.message.reasoning_content"), "QQQ", 3);
    assert_string_equal(text_at(&r, "choices.0.message.reasoning"), text_at(&r, "choices.0.message.reasoning_content"));
    assert_int_equal(int_at(&r, "usage.completion_tokens_details.reasoning_tokens"), 3);
    reply_free(&r);
    house_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_routes),
        cmocka_unit_test(prompts_of_all_shapes),
        cmocka_unit_test(echo_gives_likelihoods_to_the_bit),
        cmocka_unit_test(one_token_comes_also_when_it_is_the_end),
        cmocka_unit_test(biases_stops_and_ends),
        cmocka_unit_test(streams_are_the_whole_in_pieces),
        cmocka_unit_test(seeds_say_the_text),
        cmocka_unit_test(equal_prompts_are_read_once),
        cmocka_unit_test(many_choices_share_their_prompt),
        cmocka_unit_test(best_of_is_the_likeliest),
        cmocka_unit_test(chat_by_template),
        cmocka_unit_test(first_chunks_come_in_order),
        cmocka_unit_test(formats_are_kept),
        cmocka_unit_test(tokens_there_and_back),
        cmocka_unit_test(anthropic_messages),
        cmocka_unit_test(ollama_lines),
        cmocka_unit_test(responses_stream_in_order),
        cmocka_unit_test(thinking_is_told_apart),
    };
    return cmocka_run_group_tests(tests, open_house, close_house);
}
