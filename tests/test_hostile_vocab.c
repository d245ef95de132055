/* test_hostile_vocab.c: vocabularies of absurd sizes and kinds, with what is asked of them; docs/HOSTILE.md lists all rows.
 * Not broken merges, scores and byte tokens: test_tok_hostile.c.
 * Next: tokenizer/tok.c. */
#include <sys/mman.h>

#include "tests/fuzz_tok.c"

#include "tests/corpus.h"
#include "tests/tok_vocab.h"

/* One key of a good vocabulary replaced by a value of a kind that it must not have. */
static void f10_keys_of_the_wrong_kind(void **state) {
    (void)state;
    static const char *const keys[] = {"model",  "pre",          "tokens",       "token_type",    "scores",
                                       "merges", "bos_token_id", "eos_token_id", "add_bos_token", "add_space_prefix"};
    static const char *const texts[] = {"x", "y"};
    static const int32_t numbers[] = {1, 2};
    struct spec gpt2 = ab;
    gpt2.types = NULL, gpt2.has_bos = gpt2.has_eos = true;
    for (size_t i = 0; i < 3 * COUNT(keys); i++) {
        const struct spec *s = i / 3 == 4 || i / 3 == 9 || i / 3 == 3 ? &spm : &gpt2;
        struct gguf *good = spec_file(s), *g;
        struct gguf_writer *w;
        struct error e;
        struct tok *t;
        char key[64];
        snprintf(key, sizeof key, "tokenizer.ggml.%s", keys[i / 3]);
        assert_int_equal(gguf_writer_new(&w, &e), OK);
        gguf_add_keys(w, good, (const char *const[]){key, NULL});
        bool is_text = i / 3 < 2, is_texts = i / 3 == 2 || i / 3 == 5, is_numbers = i / 3 == 3 || i / 3 == 4;
        if (i % 3 == 0 && !is_text) gguf_add_string(w, key, "x");
        else if (i % 3 == 1 && !is_texts) gguf_add_strings(w, key, texts, 2);
        else if (i % 3 == 2 && !is_numbers) gguf_add_i32s(w, key, numbers, 2);
        else gguf_add_f32(w, key, 0.5f);
        g = written(w);
        gguf_close(&good);
        if (tok_open(g, &t, &e) != ERR_INPUT || t) fail_msg("%s, kind %zu: opened", key, i % 3);
        if (!strstr(e.text, gguf_name(g)) || !strstr(e.text, keys[i / 3])) fail_msg("%s: %s", key, e.text);
        gguf_close(&g);
    }
}

static void f10_token_of_10_mb(void **state) {
    (void)state;
    enum { BIG = 10 << 20 };
    char *big = malloc(BIG + 2);
    memset(big, 'a', BIG), big[BIG] = 0;
    struct spec s = {.model = "gpt2", .pre = "llama-bpe", .tokens = {"a", big}};
    struct tok *t = spec_open(&s);
    EXPECT(t, "aa", false, 0, 0);
    expect(t, big, false, (int32_t[]){1}, 1);
    assert_int_equal(tok_piece(t, 1, false).size, BIG);
    tok_close(&t);
    static const float scores[] = {0, -1, -2};
    static const int32_t types[] = {2, 1, 1};
    s = (struct spec){.model = "llama",
                      .tokens = {"<unk>", "a", big},
                      .scores = scores,
                      .n_scores = 3,
                      .types = types,
                      .n_types = 3,
                      .no_space = true};
    t = spec_open(&s);
    EXPECT(t, "aa", false, 1, 1);
    tok_close(&t);
    free(big);
}

/* Lengths beyond 2^31 in a file with a hole: nothing narrows them, and nobody reads the bytes. */
static void f10_token_of_2_gib(void **state) {
    (void)state;
    const uint64_t length = ((uint64_t)1 << 31) + 5;
    uint8_t head[512];
    struct bytes b = {.at = head, .cap = sizeof head};
    struct gguf_string gpt2 = {"gpt2", 4};
    char path[] = "/tmp/ponder-tok-XXXXXX";
    struct gguf *g;
    struct tok *t;
    struct error e;
    add(&b, "GGUF", 4), add_u32(&b, 3), add_u64(&b, 0), add_u64(&b, 2);
    add_name(&b, "tokenizer.ggml.model", GGUF_STRING), add_text(&b, gpt2);
    add_name(&b, "tokenizer.ggml.tokens", GGUF_ARRAY), add_u32(&b, GGUF_STRING), add_u64(&b, 1), add_u64(&b, length);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    snprintf(path, sizeof path, "/dev/fd/%d", fd);
    bool room = write(fd, head, b.n) == (ssize_t)b.n && !ftruncate(fd, (off_t)(b.n + length));
    if (!room) close(fd), skip(); /* a file system without holes or with small files */
    if (gguf_open(path, &g, &e)) fail_msg("%s", e.text);
    assert_int_equal(gguf_array_string(g, "tokenizer.ggml.tokens", 0).size, length);
    assert_int_equal(tok_open(g, &t, &e), ERR_INPUT);
    if (!strstr(e.text, "tokens[0] has 2147483653 bytes; at most 536870911 are allowed")) fail_msg("%s", e.text);
    gguf_close(&g);
    close(fd);
}

/* A text whose token count would not fit an int32; its pages are never touched. */
static void f10_prompt_of_4_gib(void **state) {
    (void)state;
    const size_t size = ((size_t)1 << 32) + 7;
    struct error e;
    size_t n = 77;
    void *text = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (text == MAP_FAILED) skip();
    struct tok *t = spec_open(&ab);
    assert_int_equal(tok_encode(t, text, size, false, false, NULL, 0, &n, &e), ERR_INPUT);
    if (!strstr(e.text, "4294967303 bytes; at most 536870911")) fail_msg("%s", e.text);
    assert_int_equal(n, 0);
    tok_close(&t);
    munmap(text, size);
}

/* A control token of 64 KB, and its beginning at every byte of the text: work of at most text x name, and the right cut. */
static void f10_token_names_that_are_almost_there(void **state) {
    (void)state;
    enum { BIG = 1 << 16 };
    char *name = malloc(BIG + 1), *text = malloc(2 * BIG + 1);
    memset(name, 'a', BIG), name[BIG - 1] = 'b', name[BIG] = 0;
    memset(text, 'a', 2 * BIG), text[2 * BIG] = 0;
    static const int32_t types[] = {1, 3};
    struct spec s = {.model = "gpt2", .pre = "gpt-2", .tokens = {"a", name}, .types = types, .n_types = 2};
    struct tok *t = spec_open(&s);
    int32_t *ids = malloc(2 * BIG * sizeof *ids);
    assert_int_equal(encode(t, text, 4096, true, ids, 2 * BIG), 4096);
    memcpy(text + 1000, name, BIG);
    assert_int_equal(encode(t, text, BIG + 1010, true, ids, 2 * BIG), 1000 + 1 + 10);
    assert_int_equal(ids[1000], 1);
    tok_close(&t);
    free(ids), free(text), free(name);
}

static void replays_the_fuzz_corpus(void **state) {
    (void)state;
    replay("tok", 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f10_keys_of_the_wrong_kind),
        cmocka_unit_test(f10_token_of_10_mb),
        cmocka_unit_test(f10_token_of_2_gib),
        cmocka_unit_test(f10_prompt_of_4_gib),
        cmocka_unit_test(f10_token_names_that_are_almost_there),
        cmocka_unit_test(replays_the_fuzz_corpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
