/* test_quantize.c: model files written with smaller weights: the types chosen, the keys kept, the logits, what is refused.
 * Not the blocks: test_quant_blocks.c.
 * Next: weights/quantize.h. */
#include "tests/reference.h"
#include "tests/tiny_model.h"

#include "weights/quantize.h"

static const struct quant_recipe *recipe(const char *name) {
    const struct quant_recipe *r = quantize_recipe(name);
    if (!r) fail_msg("no recipe %s", name);
    return r;
}

/* Rows of 256 and, in ffn_down, of 96: no multiple of 256. */
static struct net *source(const char *path) {
    struct model_config c = tiny_config(8, 256, 1, 1, 96);
    c.head_dim = c.rope_dim = 32;
    struct net *n = tiny_net(&c, NET_LM, 9);
    tiny_write(n, TYPE_F32, false, path);
    return n;
}

static struct gguf *open_file(const char *path) {
    struct gguf *g;
    struct error e;
    GOOD(gguf_open(path, &g, &e));
    return g;
}

static void quantize(const char *from, const char *to, const char *name) {
    struct gguf *in = open_file(from);
    struct quantize_options o = {.recipe = recipe(name)};
    struct quantize_sizes sizes;
    struct error e;
    GOOD(quantize_write(in, &o, to, &sizes, &e));
    assert_true(sizes.bytes_after < sizes.bytes_before || o.recipe->base == TYPE_F32);
    gguf_close(&in);
}

static void type_is(const struct gguf *g, const char *tensor, const char *want) {
    const struct gguf_tensor *t = gguf_find(g, tensor);
    if (!t) fail_msg("%s: no tensor %s", gguf_name(g), tensor);
    if (strcmp(type_info(t->type)->name, want) != 0)
        fail_msg("%s: %s is %s, expected %s", gguf_name(g), tensor, type_info(t->type)->name, want);
}

static uint64_t number(const struct gguf *g, const char *key) {
    uint64_t v;
    struct error e;
    GOOD(gguf_get_u64(g, key, 0, UINT32_MAX, &v, &e));
    return v;
}

static void test_types(void **state) {
    (void)state;
    const char *from = tiny_path("from.gguf"), *to = tiny_path("to.gguf");
    struct net *n = source(from);
    static const struct {
        const char *name, *q, *v0, *v2, *v3, *down2, *down3, *head;
        uint32_t file_type;
    } want[] = {{"Q8_0", "Q8_0", "Q8_0", "Q8_0", "Q8_0", "Q8_0", "Q8_0", "Q8_0", 7},
                {"Q4_0", "Q4_0", "Q4_0", "Q4_0", "Q4_0", "Q4_0", "Q4_0", "Q6_K", 2},
                {"Q5_0", "Q5_0", "Q5_0", "Q5_0", "Q5_0", "Q5_0", "Q5_0", "Q6_K", 8},
                {"q4_k", "Q4_K", "Q4_K", "Q4_K", "Q4_K", "Q5_0", "Q5_0", "Q6_K", 14},
                {"Q5_K", "Q5_K", "Q5_K", "Q5_K", "Q5_K", "Q5_1", "Q5_1", "Q6_K", 16},
                {"Q6_K", "Q6_K", "Q6_K", "Q6_K", "Q6_K", "Q8_0", "Q8_0", "Q6_K", 18},
                {"Q5_K_S", "Q5_K", "Q5_K", "Q5_K", "Q5_K", "Q5_1", "Q5_1", "Q6_K", 16},
                {"Q4_K_S", "Q4_K", "Q5_K", "Q5_K", "Q5_K", "Q5_0", "Q5_0", "Q6_K", 14},
                /* of 8 layers 0, 3, 6 and 7 get more */
                {"Q4_K_M", "Q4_K", "Q6_K", "Q4_K", "Q6_K", "Q5_0", "Q8_0", "Q6_K", 15},
                {"Q5_K_M", "Q5_K", "Q6_K", "Q5_K", "Q6_K", "Q5_1", "Q8_0", "Q6_K", 17}};
    for (size_t i = 0; i < COUNT(want); i++) {
        quantize(from, to, want[i].name);
        struct gguf *g = open_file(to), *in = open_file(from);
        type_is(g, "blk.1.attn_q.weight", want[i].q);
        type_is(g, "blk.0.attn_v.weight", want[i].v0);
        type_is(g, "blk.2.attn_v.weight", want[i].v2);
        type_is(g, "blk.3.attn_v.weight", want[i].v3);
        type_is(g, "blk.2.ffn_down.weight", want[i].down2);
        type_is(g, "blk.3.ffn_down.weight", want[i].down3);
        type_is(g, gguf_find(g, "output.weight") ? "output.weight" : "token_embd.weight", want[i].head);
        type_is(g, "blk.0.attn_norm.weight", "F32");
        assert_int_equal(number(g, "general.file_type"), want[i].file_type);
        assert_int_equal(number(g, "general.quantization_version"), 2);
        assert_int_equal(number(g, "llama.embedding_length"), 256);
        assert_int_equal(gguf_n_tensors(g), gguf_n_tensors(in));
        for (size_t t = 0; t < gguf_n_tensors(g); t++)
            assert_memory_equal(gguf_tensor_at(g, t)->dims, gguf_tensor_at(in, t)->dims, 4 * sizeof(uint64_t));
        gguf_close(&g), gguf_close(&in);
    }
    net_free(&n);
}

/* Which layers get more of the 16 of a model, by its tensors' names alone; as llama-quantize chose for such files. */
static void test_mixes(void **state) {
    (void)state;
    static const struct {
        const char *recipe, *what, *more, *layers; /* layers: + where the type is `more` */
    } cases[] = {{"Q4_K_M", "attn_v", "Q6_K", "++--+--+--+--+++"},   {"Q4_K_M", "attn_qkv", "Q6_K", "++--+--+--+--+++"},
                 {"Q4_K_M", "ffn_down", "Q6_K", "++--+--+--+--+++"}, {"Q5_K_M", "attn_qkv", "Q6_K", "++--+--+--+--+++"},
                 {"Q5_K_M", "ffn_up", "Q6_K", "----------------"},   {"Q4_K_S", "attn_v", "Q5_K", "++++------------"},
                 {"Q4_K_S", "attn_qkv", "Q5_K", "++++------------"}, {"Q4_K_S", "ffn_down", "Q5_K", "++--------------"},
                 {"Q4_K_S", "attn_k", "Q5_K", "----------------"},   {"Q5_K_S", "attn_v", "Q6_K", "----------------"},
                 {"Q4_K", "attn_v", "Q5_K", "----------------"},     {"Q6_K", "ffn_down", "Q8_0", "----------------"}};
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int layer = 0; layer < 16; layer++) {
            const struct quant_recipe *r = recipe(cases[i].recipe);
            char name[64];
            int size = snprintf(name, sizeof name, "blk.%d.%s.weight", layer, cases[i].what);
            struct gguf_tensor t = {{name, (size_t)size}, TYPE_F16, 2, {256, 4, 1, 1}, NULL, 0};
            const char *got = type_info(quantize_choose(r, &(struct quant_model){16, true}, &t))->name,
                       *want = cases[i].layers[layer] == '+' ? cases[i].more : type_info(r->base)->name;
            if (strcmp(got, want) != 0) fail_msg("%s: %s is %s, expected %s", cases[i].recipe, name, got, want);
        }
}

/* Logits of 12 fixed tokens through the engine. */
enum { N_TOKENS = 12, N_VOCAB = 19 };
static void logits(const char *path, float *out) {
    struct model *m = tiny_open(path);
    struct engine_params size = {.n_pages = 4, .n_seqs = 1, .max_tokens = 32, .max_rows = 16};
    struct team *team;
    struct engine *en;
    struct error e;
    int32_t tokens[N_TOKENS];
    tiny_tokens(3, N_VOCAB, tokens, N_TOKENS);
    GOOD(team_new(1, &team, &e));
    GOOD(engine_new(m, team, &size, &en, &e));
    struct client *c;
    GOOD(engine_client_new(en, NULL, &c, &e));
    struct span span = {engine_seq_new(c), N_TOKENS, N_TOKENS, tokens, out};
    GOOD(engine_run(c, &span, 1, NULL, &e));
    engine_client_free(&c), engine_free(&en), team_free(&team), model_close(&m);
}

/* The model still says the same, as well as its bits allow. */
static void test_runs(void **state) {
    (void)state;
    const char *from = tiny_path("from.gguf"), *to = tiny_path("to.gguf");
    struct net *n = source(from);
    float want[N_TOKENS * N_VOCAB], got[N_TOKENS * N_VOCAB];
    static const struct {
        const char *name;
        double bound; /* RMS difference over RMS */
    } cases[] = {{"F32", 0},     {"Q8_0", 0.025},  {"Q6_K", 0.06}, {"Q5_K_M", 0.1}, {"Q5_K", 0.11},
                 {"Q5_0", 0.13}, {"Q4_K_M", 0.17}, {"Q4_K", 0.19}, {"Q4_0", 0.26}};
    logits(from, want);
    for (size_t i = 0; i < COUNT(cases); i++) {
        double error = 0, size = 0;
        quantize(from, to, cases[i].name);
        logits(to, got);
        for (size_t k = 0; k < N_TOKENS * N_VOCAB; k++) {
            error += ((double)got[k] - want[k]) * ((double)got[k] - want[k]);
            size += (double)want[k] * want[k];
        }
        if (!(sqrt(error / size) <= cases[i].bound))
            fail_msg("%s: logits move by %.4f, allowed %.4f", cases[i].name, sqrt(error / size), cases[i].bound);
        print_message("%s: logits move by %.4f\n", cases[i].name, sqrt(error / size));
    }
    net_free(&n);
}

static void test_refused(void **state) {
    (void)state;
    const char *from = tiny_path("from.gguf"), *small = tiny_path("small.gguf"), *to = tiny_path("no.gguf");
    struct net *n = source(from);
    assert_null(quantize_recipe("Q9"));
    assert_null(quantize_recipe("Q2_K"));
    assert_null(quantize_recipe(""));
    quantize(from, small, "Q4_0");
    struct gguf *in = open_file(small);
    struct quantize_options o = {.recipe = recipe("Q8_0")};
    struct quantize_sizes sizes;
    struct error e;
    assert_int_equal(quantize_write(in, &o, to, &sizes, &e), ERR_INPUT);
    if (!strstr(e.text, "already; start from an F32")) fail_msg("unclear: %s", e.text);
    assert_int_equal(access(to, F_OK), -1);
    o.requantize = true;
    GOOD(quantize_write(in, &o, to, &sizes, &e));
    o.requantize = false, o.recipe = recipe("Q4_0"); /* nothing changes: nothing to refuse */
    GOOD(quantize_write(in, &o, to, &sizes, &e));
    assert_int_equal(sizes.bytes_before, sizes.bytes_after);
    gguf_close(&in);
    net_free(&n);
}

/* A row that is no multiple of the block, in a file that says so of itself. */
static void test_bad_rows(void **state) {
    (void)state;
    const char *path = tiny_path("rows.gguf");
    static const struct {
        uint32_t type;
        const char *text;
    } cases[] = {
        {TYPE_Q2_K, "Q2_K needs a multiple of 256"},   {TYPE_Q3_K, "Q3_K needs a multiple of 256"},
        {TYPE_Q4_K, "Q4_K needs a multiple of 256"},   {TYPE_Q5_K, "Q5_K needs a multiple of 256"},
        {TYPE_Q6_K, "Q6_K needs a multiple of 256"},   {TYPE_IQ4_XS, "IQ4_XS needs a multiple of 256"},
        {TYPE_IQ3_S, "IQ3_S needs a multiple of 256"}, {TYPE_IQ1_M, "IQ1_M needs a multiple of 256"},
        {TYPE_TQ2_0, "TQ2_0 needs a multiple of 256"}, {9, "tensor type 9 is not known here; known are F32 F16 Q4_0"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct gguf_writer *w;
        struct gguf *g;
        struct error e;
        uint8_t weights[162] = {0}, bytes[1024];
        GOOD(gguf_writer_new(&w, &e));
        gguf_add_tensor(w, "odd.row", TYPE_Q4_0, 1, (const uint64_t[]){288}, weights);
        GOOD(gguf_write(w, path, &e));
        gguf_writer_free(&w);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        const size_t n = fread(bytes, 1, sizeof bytes, f);
        fclose(f);
        uint8_t *name = memmem(bytes, n, "odd.row", 7); /* then n_dims u32, dims[0] u64, type u32 */
        assert_non_null(name);
        memcpy(name + 7 + 4 + 8, &cases[i].type, 4);
        _Alignas(64) uint8_t aligned[1024];
        memcpy(aligned, bytes, n);
        assert_int_equal(gguf_open_memory(aligned, n, "rows", &g, &e), ERR_INPUT);
        if (!strstr(e.text, cases[i].text) || !strstr(e.text, "odd.row")) fail_msg("unclear: %s", e.text);
    }
}

/* Numbers that are none, and weights that a type cannot hold, are refused with the tensor's and the weight's name; by one
 * thread and by three. */
static void test_bad_weights(void **state) {
    (void)state;
    enum { COLS = 256, ROWS = 40, AT = 21 * COLS + 77 };
    static float w[ROWS * COLS];
    const char *from = tiny_path("bad.gguf"), *to = tiny_path("bad-out.gguf");
    static const float bad[] = {NAN, INFINITY, -INFINITY, 1e6f, -1e30f};
    struct team *team;
    struct error e;
    GOOD(team_new(3, &team, &e));
    for (size_t b = 0; b < COUNT(bad); b++) {
        for (size_t i = 0; i < COUNT(w); i++) w[i] = i == AT ? bad[b] : (float)((i * 37) % 101) / 50 - 1;
        struct gguf_writer *writer;
        GOOD(gguf_writer_new(&writer, &e));
        gguf_add_tensor(writer, "blk.0.attn_q.weight", TYPE_F32, 2, (const uint64_t[]){COLS, ROWS}, w);
        GOOD(gguf_write(writer, from, &e));
        gguf_writer_free(&writer);
        struct gguf *in = open_file(from);
        for (const struct quant_recipe *r = quant_recipes; r->name; r++) {
            const enum tensor_type t = r->base;
            const bool wide = t == TYPE_F32 || t == TYPE_BF16 || t == TYPE_MXFP4;
            const bool holds = isfinite(bad[b]) && (wide || (t == TYPE_Q8_0 && bad[b] == 1e6f));
            struct quantize_options o = {.recipe = r, .team = b % 2 ? team : NULL};
            struct quantize_sizes sizes;
            unlink(to);
            const enum status s = quantize_write(in, &o, to, &sizes, &e);
            if (s != (holds ? OK : ERR_INPUT)) fail_msg("%s of %g: status %d", r->name, (double)bad[b], (int)s);
            if (holds) continue;
            if (!strstr(e.text, "blk.0.attn_q.weight: weight 5453 is")) fail_msg("unclear: %s", e.text);
            assert_int_equal(access(to, F_OK), -1);
        }
        gguf_close(&in);
    }
    team_free(&team);
}

/* Each allocation fails once: an error, no leak, no file. */
static void test_memory(void **state) {
    (void)state;
    const char *from = tiny_path("from.gguf"), *to = tiny_path("oom.gguf");
    struct net *n = source(from);
    struct gguf *in = open_file(from);
    struct quantize_options o = {.recipe = recipe("Q8_0")};
    struct quantize_sizes sizes;
    struct error e;
    mem_fail_at(0, false);
    GOOD(quantize_write(in, &o, to, &sizes, &e));
    const size_t n_allocations = mem_fail_at(0, false);
    unlink(to);
    for (size_t i = 1; i <= n_allocations; i += 1 + n_allocations / 40) {
        mem_fail_at(i, false);
        if (quantize_write(in, &o, to, &sizes, &e) != ERR_MEMORY) fail_msg("allocation %zu failed unseen", i);
        if (!access(to, F_OK)) fail_msg("allocation %zu failed, the file is there", i);
    }
    mem_fail_at(0, false);
    gguf_close(&in);
    net_free(&n);
}

/* llama.cpp's own files: tensor for tensor the types that we choose from its F16 file. */
static void test_reference_types(void **state) {
    (void)state;
    static const char *const names[] = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K_M", "Q5_K_M", "Q6_K"};
    if (!reference("quant/q-F16.gguf")) skip();
    struct gguf *in = open_file(reference("quant/q-F16.gguf"));
    struct quant_model m = {0, gguf_find(in, "output.weight") != NULL};
    m.n_layer = (uint32_t)number(in, "llama.block_count");
    for (size_t i = 0; i < COUNT(names); i++) {
        struct gguf *theirs = open_file(reference("quant/q-%s.gguf", names[i]));
        for (size_t t = 0; t < gguf_n_tensors(in); t++) {
            const struct gguf_tensor *from = gguf_tensor_at(in, t);
            char name[80];
            snprintf(name, sizeof name, "%.*s", (int)from->name.size, from->name.data);
            type_is(theirs, name, type_info(quantize_choose(recipe(names[i]), &m, from))->name);
        }
        assert_int_equal(number(theirs, "general.file_type"), recipe(names[i])->file_type);
        gguf_close(&theirs);
    }
    gguf_close(&in);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_types),       cmocka_unit_test(test_mixes),
                                       cmocka_unit_test(test_runs),        cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_bad_weights), cmocka_unit_test(test_bad_rows),
                                       cmocka_unit_test(test_memory),      cmocka_unit_test(test_reference_types)};
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
