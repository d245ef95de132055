/* fuzz_grammar.c: libFuzzer target: parses the bytes as a grammar (or, after '{', as a JSON schema) and writes a text
 * under it.
 * Not a test by itself: test_json_schema.c replays tests/corpus/grammar/ through it.
 * Run: fuzz_grammar NEW_FOLDER tests/corpus/grammar
 * Next: test_json_schema.c. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/grammar.h"
#include "model/json_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                                       \
    if (!(x)) {                                                                                                        \
        fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #x);                                          \
        abort();                                                                                                       \
    }

static const char *const pieces[] = {"a",    "b", "ab", "{\"",       "\":", "1",  "\xC3",
                                     "\xA9", "}", "\"", "x\xC3\xA9", "",    "\n", " "};
enum { N_PIECES = sizeof pieces / sizeof *pieces };

static struct gguf_string piece(const void *arg, int32_t id) {
    (void)arg;
    return (struct gguf_string){.data = pieces[id], .size = strlen(pieces[id])};
}
static bool is_end(const void *arg, int32_t id) {
    (void)arg;
    return id == 11;
}

/* Takes an allowed token after the other; a mask says what accept does. */
static void walk(struct grammar *g, uint64_t random) {
    grammar_state s = GRAMMAR_START;
    struct error e;
    for (int step = 0; step < 30; step++) {
        float logits[N_PIECES] = {0};
        uint32_t n, counted = 0;
        enum status st = grammar_mask(g, s, logits, N_PIECES, &n, &e);
        if (st) {
            CHECK(st == ERR_FULL && *e.text);
            return;
        }
        int32_t chosen = -1;
        for (int32_t id = 0; id < N_PIECES; id++) {
            grammar_state after = s;
            bool allowed = logits[id] == 0;
            counted += allowed;
            if (is_end(NULL, id)) {
                CHECK(allowed == grammar_can_end(g, s));
                continue;
            }
            st = grammar_accept(g, &after, pieces[id], strlen(pieces[id]), &e);
            CHECK(st || allowed == (after != GRAMMAR_DEAD));
            if (allowed && (chosen < 0 || (random >> step & 1))) chosen = id;
        }
        CHECK(counted == n);
        if (chosen < 0 || grammar_accept(g, &s, pieces[chosen], strlen(pieces[chosen]), &e)) return;
        CHECK(s != GRAMMAR_DEAD);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct grammar_words *words;
    const struct grammar_vocab v = {N_PIECES, piece, is_end, NULL};
    struct error e = {""};
    char *gbnf = NULL;
    const char *text = (const char *)data;
    uint64_t random = size;
    struct grammar *g;
    if (size > 4096) return 0; /* larger ones cost seconds under sanitizers */
    for (size_t i = 0; i < size; i++) random = random * 31 + data[i];
    if (!words) CHECK(!grammar_words_new(&v, &words, &e));
    if (size && *data == '{') {
        enum status s = json_schema_read(text, size, "fuzz", &gbnf, &e);
        CHECK((s == OK) == (gbnf != NULL));
        if (s) {
            CHECK(s == ERR_INPUT && *e.text);
            return 0;
        }
        text = gbnf, size = strlen(gbnf);
    }
    enum status s = grammar_open(text, size, "fuzz", words, &g, &e);
    CHECK((s == OK) == (g != NULL));
    if (s) CHECK((s == ERR_INPUT || s == ERR_FULL) && *e.text);
    if (g) walk(g, random);
    grammar_close(&g);
    mem_free(gbnf);
    return 0;
}
