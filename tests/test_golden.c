/* test_golden.c: logits, greedy text and token ids against llama.cpp's, from the files of tests/golden: every clone can run it.
 * Not a test of speed, and not of quantised types: test_quant_model.c.
 * Next: tests/golden/README.md. */
#include "tests/engine_check.h"
#include "tests/golden.h"

#include <jansson.h>

enum { STORY_LOGITS = 32 };

static float *read_floats(const char *name, size_t n) {
    char path[256];
    snprintf(path, sizeof path, "tests/golden/%s.logits.f32", name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing; tests run in the folder of the tree", path);
    float *x = malloc(n * sizeof *x);
    assert_int_equal(fread(x, sizeof *x, n, f), n);
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
    return x;
}

/* Largest |difference| / largest |logit|; fails where it is above `allowed`, naming the first such place. */
static void same_logits(const char *what, const float *got, const float *want, size_t n, size_t n_vocab,
                        double allowed) {
    double top = 0, off = 0;
    for (size_t i = 0; i < n * n_vocab; i++) top = fmax(top, fabs((double)want[i]));
    for (size_t i = 0; i < n * n_vocab; i++) {
        double apart = fabs((double)got[i] - (double)want[i]);
        if (!(apart <= allowed * top))
            fail_msg("%s, position %zu, token %zu: logit %g, llama.cpp has %g", what, i / n_vocab, i % n_vocab,
                     (double)got[i], (double)want[i]);
        off = fmax(off, apart);
    }
    print_message("%-12s largest |difference| / largest |logit|: %.2g\n", what, off / top);
}

/* With K and V in f32, where only `allowed` separates the two programs, and in our own default type. */
static void check_logits(const char *name, const char *path, const int32_t *ids, uint32_t n, double allowed) {
    static const enum kv_type types[] = {KV_F32, KV_I16};
    for (int i = 0; i < 2; i++) {
        struct model *m = tiny_open(path);
        struct engine_params params = small_engine;
        params.kv_type = types[i];
        struct bench b = bench_open(m, 2, params);
        size_t n_vocab = m->config.n_vocab;
        float *want = read_floats(name, n * n_vocab), *got = malloc(n * n_vocab * sizeof *got);
        run_tokens(&b, engine_seq_new(b.client), ids, n, got);
        same_logits(name, got, want, n, n_vocab, types[i] == KV_F32 ? allowed : 3e-3);
        free(want), free(got), bench_close(&b), model_close(&m);
    }
}

static void logits_of_every_architecture(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(golden_archs); i++) {
        const char *path = tiny_path("arch.gguf");
        arch_write_with(golden_archs[i], NULL, NULL, golden_keys, path);
        /* llama.cpp looks GELU up in a table of halves. */
        bool table = facts_of(golden_archs[i]).gelu;
        check_logits(golden_archs[i], path, golden_tokens, COUNT(golden_tokens), table ? 2e-3 : 5e-6);
    }
}

/* ---- the trained model ---- */

static const char story_model[] = "tests/golden/stories260K-f16.gguf";

static size_t read_ids(const json_t *list, int32_t *ids, size_t cap) {
    size_t n = json_array_size(list);
    assert_true(n <= cap);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

/* The prompt as tokens, then the likeliest token again and again: ids as llama.cpp's. */
static void greedy_text_of_a_trained_model(void **state) {
    (void)state;
    struct error e;
    json_t *story = json_load_file("tests/golden/story.json", 0, NULL);
    assert_non_null(story);
    int32_t want[128], got[128];
    size_t n_want = read_ids(json_object_get(story, "ids"), want, 128), n, n_prompt;
    const char *prompt = json_string_value(json_object_get(story, "prompt"));
    struct model *m = tiny_open(story_model);
    struct bench b = bench_open(m, 1, small_engine);
    struct tok *t;
    GOOD(tok_open(m->file, &t, &e));
    GOOD(tok_encode(t, prompt, strlen(prompt), false, true, got, 128, &n, &e));
    n_prompt = n;
    assert_true(n_prompt >= 4 && n_prompt < STORY_LOGITS && n_want > STORY_LOGITS);
    uint32_t n_vocab = m->config.n_vocab, seq = engine_seq_new(b.client);
    float *logits = malloc(n * n_vocab * sizeof *logits), *last = logits + (n - 1) * n_vocab;
    run_tokens(&b, seq, got, (uint32_t)n, logits);
    for (; n < n_want && n < small_engine.max_tokens; n++) {
        got[n] = 0;
        for (uint32_t i = 1; i < n_vocab; i++)
            if (last[i] > last[got[n]]) got[n] = (int32_t)i;
        run_tokens(&b, seq, got + n, 1, last = logits);
    }
    for (size_t i = 0; i < n; i++)
        if (got[i] != want[i]) fail_msg("token %zu: %d, llama.cpp has %d", i, got[i], want[i]);
    assert_true(n > n_prompt + 60);
    json_decref(story), free(logits), tok_close(&t), bench_close(&b), model_close(&m);
}

static void logits_of_a_trained_model(void **state) {
    (void)state;
    int32_t ids[128];
    json_t *story = json_load_file("tests/golden/story.json", 0, NULL);
    assert_non_null(story);
    read_ids(json_object_get(story, "ids"), ids, 128);
    check_logits("stories260K", story_model, ids, STORY_LOGITS, 1e-3); /* it rounds activations to f16 before f16 weights */
    json_decref(story);
}

/* ---- tokens ---- */

static void check_tokens(const char *name, const char *path) {
    struct error e;
    struct gguf *g;
    struct tok *t;
    GOOD(gguf_open(path, &g, &e));
    GOOD(tok_open(g, &t, &e));
    gguf_close(&g);
    FILE *f = fopen("tests/golden/tokens.jsonl", "r");
    assert_non_null(f);
    int n_lines = 0;
    for (json_t *line; (line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)); json_decref(line), n_lines++) {
        const json_t *text = json_object_get(line, "text"), *ids = json_object_get(line, name);
        int32_t want[256], got[256];
        size_t n, n_want = read_ids(ids, want, 256);
        assert_true(json_is_array(ids));
        GOOD(tok_encode(t, json_string_value(text), json_string_length(text), false, false, got, 256, &n, &e));
        for (size_t i = 0; i < n && i < n_want; i++)
            if (got[i] != want[i])
                fail_msg("%s: \"%s\", token %zu: %d, llama.cpp has %d", name, json_string_value(text), i, got[i],
                         want[i]);
        if (n != n_want)
            fail_msg("%s: \"%s\": %zu tokens, llama.cpp has %zu", name, json_string_value(text), n, n_want);
    }
    fclose(f);
    assert_int_equal(n_lines, 45);
    tok_close(&t);
}

static void tokens_of_a_sentencepiece_vocabulary(void **state) {
    (void)state;
    check_tokens("stories260K", story_model);
}

static void words_of_every_pre_tokenizer(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(golden_pres); i++) {
        const char *path = tiny_path("pairs.gguf");
        golden_pairs_write(golden_pres[i], path);
        check_tokens(golden_pres[i], path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_of_every_architecture), cmocka_unit_test(greedy_text_of_a_trained_model),
        cmocka_unit_test(logits_of_a_trained_model),    cmocka_unit_test(tokens_of_a_sentencepiece_vocabulary),
        cmocka_unit_test(words_of_every_pre_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
