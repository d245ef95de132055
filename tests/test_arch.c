/* test_arch.c: every architecture of the table: llama.cpp's logits where we have them, the bitwise promise on random models of
 * each row, and files that contradict themselves.
 * Not the plain llama in depth: test_engine.c.
 * Next: docs/MODELS.md. */
#include "tests/arch_model.h"
#include "tests/engine_check.h"
#include "tests/reference.h"

#include "model/arch.h"

static const char *const all_archs[] = {"llama", "qwen2", "qwen3",  "smollm3", "granite",
                                        "phi3",  "olmo2", "gemma2", "gemma3",  "mistral3"};

/* ---- models of others, when they are there ---- */

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
    char text[512] = "";
    int32_t tokens[64];
    uint32_t n = 0;
    FILE *f = fopen(reference("%s/tokens.txt", folder), "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    for (char *word = strtok(text, ",\n"); word; word = strtok(NULL, ",\n")) tokens[n++] = atoi(word);
    struct model *m = tiny_open(reference("%s/%s.gguf", folder, name));
    struct engine_params params = small_engine;
    params.kv_type = kv_f32 ? KV_F32 : KV_I16;
    struct bench b = bench_open(m, 2, params);
    size_t count = (size_t)n * m->config.n_vocab;
    float *want = malloc(count * sizeof *want), *got = malloc(count * sizeof *got);
    assert_non_null(f = fopen(reference("%s/%s.logits.f32", folder, name), "rb"));
    assert_int_equal(fread(want, sizeof *want, count, f), count);
    fclose(f);
    run_tokens(&b, engine_seq_new(b.client), tokens, n, got);
    double off = compare(name, got, want, n, m->config.n_vocab);
    free(want), free(got), bench_close(&b), model_close(&m);
    return off;
}

static void logits_are_those_of_llama_cpp(void **state) {
    (void)state;
    if (!reference("arch")) skip();
    for (size_t i = 0; i < COUNT(all_archs); i++) {
        if (!reference("arch/%s.gguf", all_archs[i])) continue;
        double i16 = reference_error("arch", all_archs[i], false), f32 = reference_error("arch", all_archs[i], true);
        print_message("%-8s largest |difference| / largest |logit|: %.2g with f32 KV, %.2g with i16 KV\n", all_archs[i],
                      f32, i16);
        if (!(f32 <= 1e-3)) fail_msg("%s: off by %g", all_archs[i], f32);
        if (!(i16 <= 1e-3)) fail_msg("%s: off by %g with i16 KV", all_archs[i], i16);
    }
}

/* ---- random models ---- */

static struct model *arch_model(const char *name) {
    const char *path = tiny_path("arch.gguf");
    arch_write(name, NULL, NULL, path);
    return tiny_open(path);
}

/* With f32 KV what is left is float against double (9e-7 measured). */
static void outputs_are_those_of_the_naive_models(void **state) {
    (void)state;
    enum { N = 70 };
    for (size_t i = 0; i < COUNT(all_archs); i++) {
        struct model *m = arch_model(all_archs[i]);
        int32_t tokens[N];
        tiny_tokens(i, A_VOCAB, tokens, N);
        static double want[N * A_VOCAB];
        static float got[N * A_VOCAB];
        double top = 0, off = 0;
        arch_outputs(m->file, all_archs[i], tokens, N, want);
        struct engine_params params = small_engine;
        params.kv_type = KV_F32;
        struct bench b = bench_open(m, 1, params);
        run_tokens(&b, engine_seq_new(b.client), tokens, N, got);
        for (size_t k = 0; k < N * A_VOCAB; k++) top = fmax(top, fabs(want[k]));
        for (size_t k = 0; k < N * A_VOCAB; k++) {
            off = fmax(off, fabs(got[k] - want[k]) / top);
            if (!(fabs(got[k] - want[k]) <= 1e-5 * top))
                fail_msg("%s, position %zu, output %zu: %.9g, expected %.9g", all_archs[i], k / A_VOCAB, k % A_VOCAB,
                         (double)got[k], want[k]);
        }
        print_message("%-8s largest |difference| / largest |output| to naive double: %.2g\n", all_archs[i], off);
        bench_close(&b), model_close(&m);
    }
}

/* attn_qkv instead of attn_q, attn_k and attn_v, in any architecture: the same bits. */
static void keys_that_mean_nothing_change_nothing(void **state) {
    (void)state;
    enum { N = 40 };
    for (size_t i = 0; i < COUNT(all_archs); i++) {
        int32_t tokens[N];
        static float got[2][N * A_VOCAB];
        tiny_tokens(i, A_VOCAB, tokens, N);
        for (int saved = 0; saved < 2; saved++) {
            const char *path = tiny_path("arch.gguf");
            arch_write_with(all_archs[i], NULL, NULL, saved ? make_saved_keys : NULL, path);
            struct model *m = tiny_open(path);
            struct bench b = bench_open(m, 1, small_engine);
            run_tokens(&b, engine_seq_new(b.client), tokens, N, got[saved]);
            bench_close(&b), model_close(&m);
        }
        same_floats(got[1], got[0], N * A_VOCAB, "%s with the keys of a saved file", all_archs[i]);
    }
}

/* Two models with the same outputs to the bit; closes both. */
static void same_outputs(struct model *want, struct model *got, const char *what) {
    enum { N = 20 };
    static float out[2][N * A_VOCAB];
    struct model *both[2] = {want, got};
    int32_t tokens[N];
    tiny_tokens(3, A_VOCAB, tokens, N);
    for (int i = 0; i < 2; i++) {
        struct bench b = bench_open(both[i], 1, small_engine);
        run_tokens(&b, engine_seq_new(b.client), tokens, N, out[i]);
        bench_close(&b);
    }
    same_floats(out[1], out[0], N * A_VOCAB, "%s", what);
    model_close(&got), model_close(&want);
}

static void fused_tensors_are_taken_apart(void **state) {
    (void)state;
    enum { COLS = A_EMBD };
    struct model *whole = arch_model("qwen2");
    const char *path = tiny_path("fused.gguf");
    struct gguf_writer *w;
    struct error e;
    struct facts f = facts_of("qwen2");
    struct maker k = {.arch = "qwen2"};
    size_t rows[3] = {A_HEADS * f.hd, A_KV * f.hd, A_KV * f.hd}, all = rows[0] + rows[1] + rows[2];
    float *memory = malloc(A_LAYERS * all * (COLS + 1) * sizeof(float)), *at = memory;
    GOOD(gguf_writer_new(&w, &e));
    k.w = w;
    make_keys(&k, &f);
    for (size_t i = 0; i < gguf_n_tensors(whole->file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(whole->file, i);
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)t->name.size, t->name.data);
        if (!strstr(name, "attn_q.") && !strstr(name, "attn_k.") && !strstr(name, "attn_v."))
            gguf_add_tensor(w, name, t->type, t->n_dims, t->dims, t->data);
    }
    for (int l = 0; l < A_LAYERS; l++)
        for (int part = 0; part < 2; part++) {
            static const char *const names[2][3] = {{"attn_q.weight", "attn_k.weight", "attn_v.weight"},
                                                    {"attn_q.bias", "attn_k.bias", "attn_v.bias"}};
            size_t cols = part ? 1 : COLS;
            uint64_t dims[2] = {part ? all : cols, all};
            char name[64];
            float *from = at;
            for (int i = 0; i < 3; at += rows[i++] * cols)
                memcpy(at, arch_tensor(whole->file, l, names[part][i], 0, 0), rows[i] * cols * sizeof *at);
            snprintf(name, sizeof name, "blk.%d.attn_qkv.%s", l, part ? "bias" : "weight");
            gguf_add_tensor(w, name, TYPE_F32, part ? 1 : 2, dims, from);
        }
    GOOD(gguf_write(w, path, &e));
    gguf_writer_free(&w);
    free(memory);
    same_outputs(whole, tiny_open(path), "fused qwen2");
}

/* phi3 with q, k and v apart: the same tensors, cut. */
static void usually_fused_tensors_may_be_apart(void **state) {
    (void)state;
    struct model *whole = arch_model("phi3");
    struct facts f = facts_of("phi3");
    const char *path = tiny_path("apart.gguf");
    struct maker k = {.arch = "phi3"};
    struct error e;
    GOOD(gguf_writer_new(&k.w, &e));
    make_keys(&k, &f);
    for (size_t i = 0; i < gguf_n_tensors(whole->file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(whole->file, i);
        char name[64];
        const float *at = t->data;
        snprintf(name, sizeof name, "%.*s", (int)t->name.size, t->name.data);
        char *what = strstr(name, "attn_qkv");
        if (!what) gguf_add_tensor(k.w, name, t->type, t->n_dims, t->dims, t->data);
        for (int part = 0; what && part < 3; part++) {
            uint64_t dims[2] = {A_EMBD, (part ? A_KV : A_HEADS) * f.hd};
            snprintf(what, 16, "attn_%c.weight", "qkv"[part]);
            gguf_add_tensor(k.w, name, TYPE_F32, 2, dims, at);
            at += dims[0] * dims[1];
        }
    }
    GOOD(gguf_write(k.w, path, &e));
    gguf_writer_free(&k.w);
    same_outputs(whole, tiny_open(path), "phi3 with q, k and v apart");
}

static void every_layer_keys(struct maker *k) { make_u32(k, "attention.sliding_window_pattern", 0); }

/* sliding_window_pattern: every so many layers one sees all; 0: none does. */
static void a_pattern_of_zero_gives_each_layer_a_window(void **state) {
    (void)state;
    const char *path = tiny_path("pattern.gguf");
    struct model *usual = arch_model("gemma3");
    arch_write_with("gemma3", NULL, NULL, every_layer_keys, path);
    struct model *all = tiny_open(path);
    assert_int_equal(usual->n_local, A_LAYERS - 1);
    assert_int_equal(all->n_local, A_LAYERS);
    struct texts x = texts_of(all, 3); /* pages are kept whole then */
    struct bench b = bench_open(all, 2, small_engine);
    random_schedule(&b, &x, 5, 6);
    if (*schedule_failure) fail_msg("%s", schedule_failure);
    bench_close(&b), texts_free(&x), model_close(&all), model_close(&usual);
}

/* Any batch, pieces, forks, cuts and threads. */
static void any_schedule_gives_the_same_bits(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(all_archs); i++) {
        struct model *m = arch_model(all_archs[i]);
        struct texts x = texts_of(m, i);
        for (int threads = 1; threads <= 3; threads++) {
            struct bench b = bench_open(m, threads, threads == 1 ? small_engine : large_engine);
            random_schedule(&b, &x, 100 * i + (uint64_t)threads, threads == 1 ? 12 : 4);
            if (*schedule_failure) fail_msg("%s: %s", all_archs[i], schedule_failure);
            /* One branch alone: the threads share the rows of each matrix. */
            float *out = malloc(x.len[N_TEXTS - 1] * x.n_out * sizeof *out);
            run_tokens(&b, engine_seq_new(b.client), x.tokens[N_TEXTS - 1], x.len[N_TEXTS - 1], out);
            same_floats(out, x.want[N_TEXTS - 1], x.len[N_TEXTS - 1] * x.n_out, "%s, one branch on %d threads",
                        all_archs[i], threads);
            free(out), bench_close(&b);
        }
        texts_free(&x), model_close(&m);
    }
}

/* A token outside the window of every layer changes nothing; the first one inside does. */
static void windows_end_where_they_should(void **state) {
    (void)state;
    struct model *m = arch_model("gemma3");
    for (uint32_t l = 0; l < A_LAYERS; l++) m->layers[l].window = l == 0 ? 20 : 1;
    enum { N = 60 };
    int32_t tokens[N];
    static float want[N * A_VOCAB], got[N * A_VOCAB];
    tiny_tokens(1, A_VOCAB, tokens, N);
    struct bench b = bench_open(m, 1, small_engine);
    run_tokens(&b, engine_seq_new(b.client), tokens, N, want);
    tokens[30] = (tokens[30] + 1) % A_VOCAB;
    run_tokens(&b, engine_seq_new(b.client), tokens, N, got);
    for (uint32_t t = 0; t < N; t++) {
        bool seen = t >= 30 && t < 50, same = !memcmp(want + t * A_VOCAB, got + t * A_VOCAB, A_VOCAB * sizeof *got);
        if (same == seen) fail_msg("position %u %s token 30", t, same ? "does not see" : "sees");
    }
    bench_close(&b), model_close(&m);
}

/* ---- facts for ledgers ---- */

static void flops_count_what_is_seen(void **state) {
    (void)state;
    struct model *m = arch_model("gemma2"); /* layers 0, 2, 4, 6 see 5 tokens; 1, 3, 5 all */
    assert_int_equal(m->n_local, 4);
    uint64_t one = 4 * A_HEADS * 8, weights = 2 * m->n_weights;
    assert_int_equal(model_flops(m, 2, false) - weights, one * 7 * 3);
    assert_int_equal(model_flops(m, 99, false) - weights, one * (3 * 100 + 4 * 5));
    assert_int_equal(model_flops(m, 99, true) - model_flops(m, 99, false), 2 * A_VOCAB * A_EMBD);
    model_close(&m);
    m = arch_model("phi3"); /* fused tensors count once */
    assert_int_equal(m->n_weights, A_LAYERS * A_EMBD * (2 * A_HEADS * 8 + 2 * A_KV * 8 + 3 * A_FF));
    assert_int_equal(m->size_bytes, 4 * (m->n_weights + A_VOCAB * A_EMBD));
    model_close(&m);
}

/* ---- files that contradict themselves ---- */

static void refused(const char *path, const char *const *parts) {
    struct gguf *g;
    struct model *m;
    struct error e;
    GOOD(gguf_open(path, &g, &e));
    if (model_open(g, &m, &e) == OK) fail_msg("%s was opened; the error should say %s", path, parts[0]);
    for (; *parts; parts++)
        if (!strstr(e.text, *parts)) fail_msg("\"%s\" does not say \"%s\"", e.text, *parts);
    unlink(path);
}
#define REFUSED(path, ...) refused(path, (const char *const[]){__VA_ARGS__, NULL})

static void wrong_files_are_named(void **state) {
    (void)state;
    const char *path = tiny_path("wrong.gguf");
    static const char *const needed[][2] = {
        {"qwen2", "blk.3.attn_k.bias"},        {"qwen3", "blk.6.attn_q_norm.weight"},
        {"olmo2", "blk.0.attn_k_norm.weight"}, {"gemma2", "blk.2.post_ffw_norm.weight"},
        {"phi3", "blk.1.attn_qkv.weight"},     {"phi3", "rope_factors_short.weight"},
        {"llama", "blk.5.ffn_gate.weight"}};
    for (size_t i = 0; i < COUNT(needed); i++) {
        arch_write(needed[i][0], needed[i][1], NULL, path);
        REFUSED(path, needed[i][1], "is missing", "[");
    }
    arch_write("llama", NULL, "blk.2.attn_q_norm.weight", path);
    REFUSED(path, "blk.2.attn_q_norm.weight", "no place in architecture llama");
    arch_write("llama", NULL, "blk.7.attn_norm.weight", path);
    REFUSED(path, "blk.7.attn_norm.weight", "7 layers");
    arch_write("qwen3", NULL, "blk.0.attn_output.bias", path);
    REFUSED(path, "blk.0.attn_output.bias", "[8, 1]", "[32, 1]");
}

static void unknown_architectures_are_told_the_known_ones(void **state) {
    (void)state;
    const char *path = tiny_path("unknown.gguf");
    arch_write("mamba", NULL, NULL, path);
    REFUSED(path, "\"mamba\" is not known", "llama, qwen2", "gemma3", "mistral3");
    arch_write("llam", NULL, NULL, path);
    REFUSED(path, "\"llam\" is not known");
}

static void training_refuses_all_but_the_plain_llama(void **state) {
    (void)state;
    const char *path = tiny_path("train.gguf");
    for (size_t i = 0; i < COUNT(all_archs); i++) {
        struct gguf *g;
        struct net *n;
        struct error e;
        arch_write(all_archs[i], NULL, NULL, path);
        GOOD(gguf_open(path, &g, &e));
        assert_int_equal(net_load(g, NET_LM, &n, &e), ERR_INPUT);
        if (!strstr(e.text, i ? all_archs[i] : "rope_freqs.weight") || !strstr(e.text, "training supports"))
            fail_msg("%s", e.text);
        gguf_close(&g);
    }
}

/* ---- kernels that only some architectures use ---- */

static void tables_agree_bit_for_bit(void **state) {
    (void)state;
    enum { N = 37 };
    static float x[N], up[N];
    for (size_t i = 0; i < N; i++) x[i] = (float)(8 * tiny_gauss(4, i)), up[i] = (float)tiny_gauss(5, i);
    x[3] = INFINITY, x[5] = -INFINITY, x[7] = 0, x[9] = 1e30f, x[11] = -200;
    for (const char *const *name = ops_names; *name; name++) {
        const struct ops *both[2] = {ops_by_name("scalar"), ops_by_name(*name)};
        float gelu[2][N], capped[2][N];
        if (!both[1]) continue;
        for (int i = 0; i < 2; i++) {
            both[i]->gelu_mul(gelu[i], x, up, N);
            memcpy(capped[i], x, sizeof x);
            both[i]->softcap(capped[i], 7, N);
        }
        same_floats(gelu[1], gelu[0], N, "%s gelu", *name);
        same_floats(capped[1], capped[0], N, "%s softcap", *name);
        for (size_t i = 0; i < N; i++) {
            double z = x[i],
                   g = fabs(z) > 100 ? fmax(z, 0) : 0.5 * z * (1 + tanh(sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
            if (isfinite(z) && !(fabs(gelu[1][i] - g * up[i]) <= 1e-6 * (1 + fabs(g * up[i]))))
                fail_msg("gelu(%g): %g", z, (double)gelu[1][i]);
            if (!(fabs(capped[1][i] - 7 * tanh(z / 7)) <= 2e-6)) fail_msg("softcap(%g): %g", z, (double)capped[1][i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_those_of_the_naive_models),
        cmocka_unit_test(keys_that_mean_nothing_change_nothing),
        cmocka_unit_test(fused_tensors_are_taken_apart),
        cmocka_unit_test(usually_fused_tensors_may_be_apart),
        cmocka_unit_test(a_pattern_of_zero_gives_each_layer_a_window),
        cmocka_unit_test(any_schedule_gives_the_same_bits),
        cmocka_unit_test(windows_end_where_they_should),
        cmocka_unit_test(flops_count_what_is_seen),
        cmocka_unit_test(wrong_files_are_named),
        cmocka_unit_test(unknown_architectures_are_told_the_known_ones),
        cmocka_unit_test(training_refuses_all_but_the_plain_llama),
        cmocka_unit_test(tables_agree_bit_for_bit),
        cmocka_unit_test(logits_are_those_of_llama_cpp),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
