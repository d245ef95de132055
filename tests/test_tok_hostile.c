/* test_tok_hostile.c: vocabularies that are broken or odd, and memory that runs out.
 * Not the GGUF container: that has its own tests.
 * Next: tokenizer/tok.c. */
#include "tests/tok_vocab.h"

/* ---- hostile vocabularies (F10) ---- */

static void refused(const struct spec *s, const char *why) {
    struct error e;
    struct tok *t = (struct tok *)&e;
    struct gguf *g = spec_file(s);
    enum status got = tok_open(g, &t, &e);
    if (got != ERR_INPUT) fail_msg("expected a refusal with \"%s\", got status %d", why, got);
    if (!strstr(e.text, why) || !strstr(e.text, gguf_name(g)))
        fail_msg("\"%s\" does not say \"%s\" and the file", e.text, why);
    assert_null(t);
    gguf_close(&g);
}

static void hostile_vocabularies(void **state) {
    (void)state;
    struct spec s = spm;
    s.n_scores = 3;
    refused(&s, "scores must be 17 numbers");
    s.scores = NULL;
    refused(&s, "tokenizer.ggml.scores");
    s = spm;
    s.n_types = 16;
    refused(&s, "token_type must be 17 numbers");
    int32_t types[17];
    memcpy(types, spm_types, sizeof types);
    s = spm;
    s.types = types;
    types[5] = 7;
    refused(&s, "token_type[5] is 7");
    types[5] = -1;
    refused(&s, "token_type[5] is -1");
    types[5] = 1;
    const char *bytes[] = {"<0x-1>", "<0xG0>", "<0x1G>", "<0x1>", "<0x100>", "<0x00", "", "x"};
    for (size_t i = 0; i < COUNT(bytes); i++) {
        s.tokens[12] = bytes[i];
        refused(&s, "is of type byte; <0x00> to <0xFF>");
    }
    s = spm;
    float scores[17];
    memcpy(scores, spm_scores, sizeof scores);
    scores[2] = NAN;
    s.scores = scores;
    refused(&s, "scores[2] is not a number");
    s = spm;
    s.bos = 17;
    refused(&s, "bos_token_id");
    s.bos = UINT32_MAX;
    refused(&s, "bos_token_id");
    s = spm;
    s.eos = 17;
    refused(&s, "eos_token_id");
    s = (struct spec){.model = "bert", .tokens = {"a"}};
    refused(&s, "known are gpt2");
    s.model = NULL;
    refused(&s, "tokenizer.ggml.model");
    s = (struct spec){.model = "gpt2", .pre = "gpt-2"};
    refused(&s, "tokenizer.ggml.tokens");

    s = ab;
    s.pre = NULL;
    refused(&s, "tokenizer.ggml.pre is missing");
    s.pre = "gpt-";
    refused(&s, "unknown pre-tokenizer \"gpt-\"");
    refused(&s, "bloom viking and");
    refused(&s, "known are gpt-2 llama-bpe dbrx qwen2 qwen35 smollm");
    s.pre = "gpt-2 phi-2";
    refused(&s, "unknown pre-tokenizer");
    s.pre = "";
    refused(&s, "unknown pre-tokenizer \"\"");
    const char *merges[] = {"a c", "c a", "", " ", "a", "a ", " a", "ab", "a b b", "b aa"};
    for (size_t i = 0; i < COUNT(merges); i++) {
        s = ab;
        s.merges[3] = merges[i];
        refused(&s, "tokenizer.ggml.merges[3]");
    }
    s = ab;
    s.no_merges = true;
    refused(&s, "tokenizer.ggml.merges");
}

/* What is odd but allowed, and what it means. */
static void odd_vocabularies(void **state) {
    (void)state;
    struct error e;
    size_t n;
    /* Equal tokens: the first wins.  An empty token is never found.  Equal merges: the first counts. */
    struct spec s = {.model = "gpt2",
                     .pre = "gpt-2",
                     .tokens = {"a", "b", "a", "ab", "", "ab", "ba"},
                     .merges = {"b a", "a b", "b a"}};
    struct tok *t = spec_open(&s);
    EXPECT(t, "ab", false, 3);
    EXPECT(t, "aba", false, 0, 6);
    assert_int_equal(tok_find(t, "a"), 0);
    assert_int_equal(tok_piece(t, 4, true).size, 0);
    /* No token for a byte and no unknown token: an error at that text, not a silent loss. */
    assert_int_equal(tok_encode(t, "abc", 3, false, false, NULL, 0, &n, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "0x63"));
    assert_int_equal(tok_encode(t, "a", 1, false, true, NULL, 0, &n, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "BOS"));
    assert_int_equal(tok_bos(t), -1);
    tok_close(&t);
    /* A merge that would make a control token is left out: nobody can type one. */
    s = (struct spec){
        .model = "gpt2", .pre = "gpt-2", .tokens = {"a", "b", "ab"}, .merges = {"a b"}, .has_eos = true, .eos = 2};
    t = spec_open(&s);
    EXPECT(t, "ab", false, 0, 1);
    EXPECT(t, "ab", true, 2);
    tok_close(&t);
    /* No types: byte tokens are known by their text. */
    s = spm;
    s.types = NULL;
    t = spec_open(&s);
    EXPECT(t, "\n", false, 3, 12);
    assert_int_equal(tok_encode(t, "z", 1, false, false, NULL, 0, &n, &e), ERR_INPUT);
    tok_close(&t);
    /* A token of a megabyte. */
    enum { BIG = 1 << 20 };
    char *big = malloc(BIG + 1);
    memset(big, 'a', BIG);
    big[BIG] = 0;
    s = (struct spec){.model = "gpt2", .pre = "llama-bpe", .tokens = {"a", big}};
    t = spec_open(&s);
    EXPECT(t, "aa", false, 0, 0);
    expect(t, big, false, (int32_t[]){1}, 1);
    tok_close(&t);
    free(big);
}

/* ---- memory that runs out ---- */

static void each_allocation_may_fail(void **state) {
    (void)state;
    const struct {
        const struct spec *spec;
        const char *text;
    } cases[] = {{NULL, " 13 + 4 =\n\xff"}, {&ab, "ababaabb"}, {&spm, "abc<sep>b"}};
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct gguf *g = spec_file(cases[c].spec);
        for (int rest = 0; rest < 2; rest++) {
            bool done = false;
            for (size_t at = 1; !done; at++) {
                struct error e = {"untouched"};
                struct tok *t = NULL;
                int32_t ids[32];
                size_t n;
                mem_fail_at(at, rest);
                enum status s = tok_open(g, &t, &e);
                if (!s) s = tok_encode(t, cases[c].text, strlen(cases[c].text), true, false, ids, 32, &n, &e);
                mem_fail_at(0, false);
                if (s != OK && s != ERR_MEMORY) fail_msg("allocation %zu: status %d, %s", at, s, e.text);
                if (s) assert_string_not_equal(e.text, "untouched");
                if (t && !s) assert_true(n > 3);
                done = s == OK && at > 10;
                if (at > 1000) fail_msg("still failing at allocation %zu", at);
                tok_close(&t);
            }
        }
        gguf_close(&g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_vocabularies),
        cmocka_unit_test(odd_vocabularies),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
