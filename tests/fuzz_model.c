/* fuzz_model.c: libFuzzer target: opens the bytes as a model and, if that works, runs a few tokens through it.
 * Not a test by itself: test_hostile_model.c replays tests/corpus/model/ through it.
 * Run: fuzz_model NEW_FOLDER tests/corpus/model
 * Next: fuzz_gguf.c for the container alone, test_hostile_model.c. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/engine.h"
#include "model/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                                       \
    if (!(x)) {                                                                                                        \
        fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #x);                                          \
        abort();                                                                                                       \
    }

/* Three tokens, whatever they give. */
static void run(struct model *m) {
    struct error e = {""};
    struct team *team;
    struct engine *en;
    struct client *c;
    struct engine_params p = {.n_pages = 4, .n_seqs = 2, .max_tokens = 32, .max_rows = 4};
    CHECK(team_new(1, &team, &e) == OK);
    enum status s = engine_new(m, team, &p, &en, &e);
    CHECK(s == OK || *e.text);
    if (s == OK) {
        CHECK(engine_client_new(en, NULL, &c, &e) == OK);
        uint32_t n = engine_n_out(en), last = m->config.n_vocab - 1;
        int32_t tokens[3] = {0, (int32_t)(last / 2), (int32_t)last};
        struct sample_scratch scratch = {mem_new(n, sizeof(float)), mem_new(n, sizeof(int32_t))};
        struct span span = {.seq = engine_seq_new(c), .n_tokens = 3, .n_out = 1, .tokens = tokens};
        CHECK((span.out = mem_new(n, sizeof(float))) && scratch.p && scratch.ids);
        CHECK(engine_run(c, &span, 1, NULL, &e) == OK);
        struct sample_params sp = {.temperature = 1, .top_p = 0.9f};
        int32_t id = sample_token(&sp, span.out, n, 1, 2, &scratch, NULL);
        CHECK(id >= -1 && id < (int32_t)n);
        mem_free(span.out), mem_free(scratch.p), mem_free(scratch.ids);
        engine_client_free(&c), engine_free(&en);
    }
    team_free(&team);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gguf *g;
    struct model *m = NULL;
    struct error e = {""};
    void *copy; /* exactly `size` bytes: one byte beyond is a sanitizer's finding */
    CHECK(posix_memalign(&copy, 64, size ? size : 1) == 0);
    if (size) memcpy(copy, data, size);
    enum status s = gguf_open_memory(copy, size, "fuzz.gguf", &g, &e);
    if (s == OK) s = model_open(g, &m, &e);
    CHECK((s == OK) == (m != NULL));
    if (s == OK) run(m);
    else CHECK(s == ERR_INPUT && strncmp(e.text, "fuzz.gguf: ", 11) == 0);
    model_close(&m);
    free(copy);
    return 0;
}
