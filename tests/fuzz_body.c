/* fuzz_body.c: libFuzzer target: the first byte picks a route, the rest is the body of a request to it; a small model
 * answers.
 * Not a test by itself: test_serve_faults.c replays tests/corpus/body/ through it.
 * Run: fuzz_body NEW_FOLDER tests/corpus/body
 * Next: fuzz_http.c for the bytes around bodies. */
#include "tests/http_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                                       \
    if (!(x)) {                                                                                                        \
        fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #x);                                          \
        abort();                                                                                                       \
    }

static struct house fuzz_house;

static const char *const fuzz_paths[] = {"/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/messages",
                                         "/api/chat",       "/api/generate",        "/v1/score"};

/* Little is allowed, so that no input takes long. */
static void fuzz_open(void) {
    if (fuzz_house.server) return;
    house_open_as(
        &fuzz_house, model("fuzz.gguf", chatml), "logprob",
        &(struct server_params){.parallel = 2, .max_n = 3, .max_tokens = 4, .max_budget = 3, .request_tokens = 600});
}

/* Every body gets a reply, in JSON unless it streams, and leaves nothing behind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct answer a;
    char body[4096];
    if (!size || size > sizeof body) return 0;
    fuzz_open();
    memcpy(body, data + 1, size - 1), body[size - 1] = '\0';
    struct exchange *ex = ask_begin(&fuzz_house, &a, fuzz_paths[*data % COUNT(fuzz_paths)], body);
    CHECK(ex);
    exchange_release(ex);
    ask_end(&a);
    CHECK(a.status >= 200 && a.status < 600 && a.body.n);
    if (a.stream) CHECK(a.status == 200);
    if (!a.stream) {
        json_t *json = json_loadb(a.body.data, a.body.n, JSON_ALLOW_NUL, NULL);
        CHECK(json_is_object(json));
        CHECK((a.status == 200) == !json_object_get(json, "error") || a.status == 200); /* responses have one of null */
        json_decref(json);
    }
    ask_forget(&a);
    CHECK(!engine_kv_stats(fuzz_house.session.policy.engine).pages_used);
    return 0;
}
