/* test_arch.c: every architecture of the table: llama.cpp's logits where we have them, the bitwise promise on random models of
 * each row, and files that contradict themselves.
 * Not the plain llama in depth: test_engine.c.
 * Next: docs/MODELS.md. */
#include "tests/engine_check.h"

#include "model/arch.h"

static const char *const all_archs[] = {"llama", "qwen2", "qwen3",  "smollm3", "granite",
                                        "phi3",  "olmo2", "gemma2", "gemma3",  "mistral3"};

/* ---- models of others, when they are there ---- */

static const char *reference(const char *name) {
    static char path[512];
    const char *folder = getenv("PONDER_REFERENCE");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "../shared/reference", name);
    return path;
}

/* Largest |difference| / largest |logit|; fails where the greedy token differs though the two best are further apart. */
static double compare(const char *name, const float *got, const float *want, size_t n, size_t n_vocab) {
    double top = 0, off = 0;
    for (size_t i = 0; i < n * n_vocab; i++) top = fmax(top, fabsf(want[i])), off = fmax(off, fabsf(got[i] - want[i]));
    for (size_t r = 0; r < n; r++) {
        const float *a = got + r * n_vocab, *b = want + r * n_vocab;
        size_t mine = 0, best = 0;
        float second = -INFINITY;
        for (size_t i = 1; i < n_vocab; i++) {
            if (a[i] > a[mine]) mine = i;
            if (b[i] > b[best]) second = b[best], best = i;
            else if (b[i] > second) second = b[i];
        }
        if (mine != best && (double)(b[best] - second) > 2 * off)
            fail_msg("%s, position %zu: greedy token %zu, expected %zu", name, r, mine, best);
    }
    return off / top;
}

static double reference_error(const char *folder, const char *name, bool kv_f32) {
    char text[512] = "", file[128];
    int32_t tokens[64];
    uint32_t n = 0;
    snprintf(file, sizeof file, "%s/tokens.txt", folder);
    FILE *f = fopen(reference(file), "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    for (char *word = strtok(text, ",\n"); word; word = strtok(NULL, ",\n")) tokens[n++] = atoi(word);
    snprintf(file, sizeof file, "%s/%s.gguf", folder, name);
    struct model *m = tiny_open(reference(file));
    struct engine_params params = small_engine;
    params.kv_f32 = kv_f32;
    struct bench b = bench_open(m, 2, params);
    size_t count = (size_t)n * m->config.n_vocab;
    float *want = malloc(count * sizeof *want), *got = malloc(count * sizeof *got);
    snprintf(file, sizeof file, "%s/%s.logits.f32", folder, name);
    assert_non_null(f = fopen(reference(file), "rb"));
    assert_int_equal(fread(want, sizeof *want, count, f), count);
    fclose(f);
    run_tokens(&b, engine_seq_new(b.engine), tokens, n, got);
    double off = compare(name, got, want, n, m->config.n_vocab);
    free(want), free(got), bench_close(&b), model_close(&m);
    return off;
}

static void logits_are_those_of_llama_cpp(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(all_archs); i++) {
        char file[64];
        snprintf(file, sizeof file, "arch/%s.gguf", all_archs[i]);
        if (access(reference(file), R_OK)) continue;
        double f16 = reference_error("arch", all_archs[i], false), f32 = reference_error("arch", all_archs[i], true);
        print_message("%-8s largest |difference| / largest |logit|: %.2g with f32 KV, %.2g with f16 KV\n", all_archs[i],
                      f32, f16);
        if (!(f32 <= 1e-3)) fail_msg("%s: off by %g", all_archs[i], f32);
        if (!(f16 <= 1e-3)) fail_msg("%s: off by %g with f16 KV", all_archs[i], f16);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_llama_cpp),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
