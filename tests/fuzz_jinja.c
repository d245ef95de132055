/* fuzz_jinja.c: libFuzzer target: parses the bytes as a chat template and renders a short conversation with it.
 * Not a test by itself: test_hostile_template.c replays tests/corpus/jinja/ through it.
 * Run: fuzz_jinja NEW_FOLDER tests/corpus/jinja
 * Next: test_hostile_template.c. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer/template/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                                       \
    if (!(x)) {                                                                                                        \
        fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #x);                                          \
        abort();                                                                                                       \
    }

static const char talk_json[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": \" h\\u00e9 </s>\"},"
    " {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"name\": \"f\", \"arguments\": {\"x\": 1.5}}]},"
    " {\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"b\"}]}],"
    " \"add_generation_prompt\": true, \"tools\": [{\"type\": \"function\"}], \"documents\": null}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* Small, so that many templates are tried in a second. */
    static const struct jinja_limits limits = {
        .output_bytes = 1 << 16, .memory_bytes = 1 << 22, .steps = 20000, .depth = 100, .range = 1000};
    struct jinja *j = NULL;
    struct error e = {""};
    enum status s = jinja_open((const char *)data, size, "fuzz", &j, &e);
    CHECK((s == OK) == (j != NULL));
    if (s != OK) {
        CHECK(s == ERR_INPUT && *e.text);
        return 0;
    }
    json_t *given = json_loads(talk_json, 0, NULL),
           *trusted = json_pack("{s:s,s:s}", "bos_token", "<s>", "eos_token", "</s>");
    CHECK(given && trusted);
    struct jinja_input in = {.trusted = trusted, .given = given, .now = 1763900000, .limits = &limits};
    struct jinja_text out = {0};
    bool raised = false;
    s = jinja_render(j, &in, &out, &raised, &e);
    if (s == OK) {
        CHECK(out.size <= limits.output_bytes && out.text[out.size] == '\0' && !raised);
        for (size_t i = 0; i < out.size; i++) CHECK(out.plain[i] <= 1);
    } else {
        CHECK(s == ERR_INPUT && *e.text);
    }
    jinja_text_free(&out);
    json_decref(given);
    json_decref(trusted);
    jinja_close(&j);
    return 0;
}
