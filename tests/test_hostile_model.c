/* test_hostile_model.c: models whose metadata contradict their tensors or themselves, and weights that are no numbers;
 * docs/HOSTILE.md lists all rows.
 * Not the container: test_gguf.c and test_hostile_file.c.
 * Next: model/config.c, model/model.c. */
#include "tests/fuzz_model.c"

#include "tests/arch_model.h"
#include "tests/child.h"
#include "tests/corpus.h"

/* One key of a good file, changed: the value that its kind takes; DROP: gone. */
struct change {
    const char *arch, *key;
    enum { DROP, U32, F32, BOOL, TEXT, I32S, F32S } kind;
    double v, v1; /* v1: of all elements but the first of an array */
    const char *text;
    const char *wants[2]; /* parts of the error; none: it loads */
};
enum { N_ARRAY = A_LAYERS };

static void add_changed(const struct change *c, const char *key, struct gguf_writer *w) {
    int32_t i[N_ARRAY];
    float f[N_ARRAY];
    for (int k = 0; k < N_ARRAY; k++) i[k] = (int32_t)(k ? c->v1 : c->v), f[k] = (float)(k ? c->v1 : c->v);
    switch (c->kind) {
    case U32: gguf_add_u32(w, key, (uint32_t)c->v); break;
    case F32: gguf_add_f32(w, key, (float)c->v); break;
    case BOOL: gguf_add_bool(w, key, c->v != 0); break;
    case TEXT: gguf_add_string(w, key, c->text); break;
    case I32S: gguf_add_i32s(w, key, i, N_ARRAY); break;
    case F32S: gguf_add_f32s(w, key, f, N_ARRAY); break;
    case DROP: break;
    }
}

/* The small model of the architecture, with the change. */
static struct gguf *changed_file(const struct change *c) {
    struct gguf *g;
    struct gguf_writer *w;
    struct error e;
    char key[96];
    const char *path = tiny_path("changed.gguf");
    arch_write(c->arch, NULL, NULL, path);
    GOOD(gguf_open(path, &g, &e));
    GOOD(gguf_writer_new(&w, &e));
    snprintf(key, sizeof key, "%s%s%s", strchr(c->key, '!') ? "" : c->arch, strchr(c->key, '!') ? "" : ".",
             strchr(c->key, '!') ? c->key + 1 : c->key);
    gguf_add_keys(w, g, (const char *const[]){key, NULL});
    add_changed(c, key, w);
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        char name[96];
        snprintf(name, sizeof name, "%.*s", (int)t->name.size, t->name.data);
        gguf_add_tensor(w, name, t->type, t->n_dims, t->dims, t->data);
    }
    path = tiny_path("the.gguf");
    GOOD(gguf_write(w, path, &e));
    gguf_writer_free(&w);
    gguf_close(&g);
    GOOD(gguf_open(path, &g, &e));
    return g;
}

/* Refused with a line that names the file and says what is wanted; or, without wants, loads and runs. */
static void try_change(const struct change *c) {
    struct model *m;
    struct error e = {""};
    enum status s = model_open(changed_file(c), &m, &e);
    if (!c->wants[0]) {
        if (s) fail_msg("%s %s %g: %s", c->arch, c->key, c->v, e.text);
        run(m);
        model_close(&m);
        return;
    }
    if (s != ERR_INPUT || m) fail_msg("%s %s %g: status %d: %s", c->arch, c->key, c->v, s, e.text);
    if (!strstr(e.text, "/the.gguf: ")) fail_msg("no file is named: %s", e.text);
    for (int i = 0; i < 2 && c->wants[i]; i++)
        if (!strstr(e.text, c->wants[i]))
            fail_msg("%s %s %g: \"%s\" does not say \"%s\"", c->arch, c->key, c->v, e.text, c->wants[i]);
}

static void try_all(const struct change *all, size_t n) {
    for (size_t i = 0; i < n; i++) try_change(&all[i]);
}
#define LOADS .wants = {NULL}
#define ALL(list) try_all(list, COUNT(list))

/* clang-format off */

static void f04_keys_of_the_wrong_kind(void **state) {
    (void)state;
    static const struct change all[] = {
        {"llama", "context_length", TEXT, .text = "many", .wants = {"\"llama.context_length\"", "has type string; wanted is an integer"}},
        {"llama", "context_length", BOOL, 1, .wants = {"has type bool"}},
        {"llama", "context_length", F32, 256.5, .wants = {"is 256.5; wanted is an integer"}},
        {"llama", "context_length", I32S, 256, 256, .wants = {"has type array"}},
        {"llama", "block_count", TEXT, .text = "7", .wants = {"\"llama.block_count\"", "has type string"}},
        {"llama", "attention.head_count", TEXT, .text = "4", .wants = {"\"llama.attention.head_count\"", "has type string"}},
        {"llama", "attention.layer_norm_rms_epsilon", TEXT, .text = "0", .wants = {"has type string"}},
        {"llama", "rope.freq_base", BOOL, 1, .wants = {"has type bool"}},
        {"llama", "rope.scaling.type", U32, 1, .wants = {"\"llama.rope.scaling.type\"", "has type u32; wanted is string"}},
        {"gemma3", "attention.sliding_window", TEXT, .text = "x", .wants = {"has type string"}},
        {"gemma3", "attention.sliding_window_pattern", TEXT, .text = "x", .wants = {"has type string"}},
        {"llama", "!general.architecture", U32, 1, .wants = {"general.architecture", "has type u32"}},
        {"llama", "!general.architecture", DROP, .wants = {"general.architecture", "missing"}},
        {"llama", "!general.architecture", TEXT, .text = "", .wants = {"general.architecture \"\" is not known"}},
        {"llama", "!general.architecture", TEXT, .text = "\x1b[31mllama", .wants = {"\"?[31mllama\" is not known"}},
    };
    ALL(all);
}

static void f08_keys_against_shapes(void **state) {
    (void)state;
    static const struct change all[] = {
        {"llama", "feed_forward_length", U32, 48, .wants = {"blk.0.ffn_gate.weight has shape [32, 40]", "[32, 48]"}},
        {"llama", "embedding_length", U32, 64, .wants = {"token_embd.weight has shape [32, 45]", "[64, 45]"}},
        {"llama", "attention.head_count", U32, 2, .wants = {"blk.0.attn_k.weight has shape [32, 16]", "[32, 32]"}},
        {"llama", "attention.head_count_kv", U32, 4, .wants = {"blk.0.attn_k.weight has shape [32, 16]", "[32, 32]"}},
        {"llama", "attention.head_count_kv", U32, 1, .wants = {"blk.0.attn_k.weight has shape [32, 16]", "[32, 8]"}},
        {"qwen3", "attention.key_length", U32, 32, .wants = {"attention.value_length 16 differs from the key length 32"}},
        {"llama", "attention.key_length", U32, 16, .wants = {"blk.0.attn_q.weight has shape [32, 32]", "[32, 64]"}},
        {"llama", "attention.value_length", U32, 16, .wants = {"attention.value_length 16 differs from the key length 8"}},
        {"llama", "block_count", U32, 8, .wants = {"blk.7.", "is missing"}},
        {"llama", "block_count", U32, 6, .wants = {"blk.6.", "with 6 layers"}},
        {"llama", "rope.dimension_count", U32, 6, .wants = {"rope_freqs.weight has shape [4, 1]", "[3, 1]"}},
        {"phi3", "feed_forward_length", U32, 80, .wants = {"ffn_up.weight has shape [32, 80]", "[32, 160]"}},
        {"phi3", "attention.head_count_kv", U32, 4, .wants = {"attn_qkv.weight has shape [32, 64]", "[32, 96]"}},
        {"phi3", "rope.dimension_count", U32, 8, .wants = {"rope_factors_short.weight has shape [3, 1]", "[4, 1]"}},
        {"gemma3", "attention.sliding_window_pattern", I32S, 1, 0, LOADS}, /* as many as layers */
        {"llama", "!general.architecture", TEXT, .text = "qwen3", .wants = {"\"qwen3.block_count\"", "missing"}},
    };
    ALL(all);
}

static void f09_numbers_no_model_has(void **state) {
    (void)state;
    static const struct change all[] = {
        {"llama", "attention.head_count", U32, 0, .wants = {"\"llama.attention.head_count\": is 0; wanted is an integer in [1, 1024]"}},
        {"llama", "attention.head_count", U32, 4294967295., .wants = {"is 4294967295; wanted"}},
        {"llama", "attention.head_count", U32, 3, .wants = {"must divide head_count 3"}},
        {"llama", "attention.head_count", U32, 8, .wants = {"head dimension 4, allowed multiples of 8"}},
        {"llama", "attention.head_count", I32S, 4, 4, LOADS},
        {"llama", "attention.head_count", I32S, 4, 2, .wants = {"4 for layer 0 and 2 for layer 1; layers must be alike"}},
        {"llama", "attention.head_count", I32S, -4, -4, .wants = {"begins with -4, allowed are integers from 1 to 1024"}},
        {"llama", "attention.head_count", F32S, 4.5, 4.5, .wants = {"begins with 4.5"}},
        {"llama", "attention.head_count", F32S, NAN, NAN, .wants = {"begins with"}},
        {"llama", "attention.head_count", DROP, .wants = {"\"llama.attention.head_count\": missing"}},
        {"llama", "attention.head_count_kv", U32, 0, .wants = {"is 0; wanted is an integer in [1, 1024]"}},
        {"llama", "attention.head_count_kv", U32, 3, .wants = {"attention.head_count_kv 3 must divide head_count 4"}},
        {"llama", "attention.head_count_kv", U32, 8, .wants = {"attention.head_count_kv 8 must divide head_count 4"}},
        {"qwen3", "attention.key_length", U32, 0, .wants = {"is 0; wanted is an integer in [1, 512]"}},
        {"qwen3", "attention.key_length", U32, 1024, .wants = {"is 1024; wanted"}},
        {"llama", "block_count", U32, 0, .wants = {"\"llama.block_count\": is 0; wanted is an integer in [1, 1024]"}},
        {"llama", "block_count", U32, 1e6, .wants = {"is 1000000; wanted"}},
        {"llama", "block_count", U32, 1024, .wants = {"blk.7.", "is missing"}},
        {"llama", "block_count", U32, 1025, .wants = {"is 1025; wanted"}},
        {"llama", "block_count", DROP, .wants = {"\"llama.block_count\": missing"}},
        {"llama", "embedding_length", U32, 0, .wants = {"is 0; wanted"}},
        {"llama", "embedding_length", U32, 4294967295., .wants = {"is 4294967295; wanted"}},
        {"llama", "embedding_length", DROP, .wants = {"missing"}},
        {"llama", "feed_forward_length", U32, 0, .wants = {"is 0; wanted"}},
        {"llama", "feed_forward_length", U32, 4294967295., .wants = {"is 4294967295; wanted"}},
        {"llama", "feed_forward_length", DROP, .wants = {"missing"}},
        {"llama", "rope.dimension_count", U32, 0, .wants = {"is 0; wanted"}},
        {"llama", "rope.dimension_count", U32, 7, .wants = {"rope.dimension_count 7, allowed even numbers from 2 to 8"}},
        {"llama", "rope.dimension_count", U32, 10, .wants = {"rope.dimension_count 10, allowed even numbers from 2 to 8"}},
        {"llama", "rope.freq_base", F32, 0, .wants = {"\"llama.rope.freq_base\": is 0; wanted is a number in [1"}},
        {"llama", "rope.freq_base", F32, NAN, .wants = {"rope.freq_base", "nan"}},
        {"llama", "rope.freq_base", F32, INFINITY, .wants = {"is inf; wanted"}},
        {"gemma3", "rope.freq_base_swa", F32, -1, .wants = {"is -1; wanted"}},
        {"llama", "rope.scaling.type", TEXT, .text = "magic\x1b", .wants = {"\"magic?\" is not known; known: none, linear, yarn"}},
        {"llama", "rope.scaling.factor", F32, NAN, .wants = {"rope.scaling.factor", "nan"}},
        {"llama", "rope.scaling.factor", F32, -2, .wants = {"is -2; wanted"}},
        {"llama", "rope.scaling.factor", F32, 1e-40, .wants = {"rope.scaling.factor"}},
        {"llama", "rope.scaling.factor", F32, 0, LOADS}, /* means none */
        {"mistral3", "rope.scaling.yarn_beta_fast", F32, 0, LOADS},
        {"mistral3", "rope.scaling.original_context_length", U32, 0, .wants = {"is 0; wanted"}},
        {"mistral3", "rope.scaling.factor", F32, 1e6, LOADS},
        {"mistral3", "attention.temperature_scale", F32, NAN, .wants = {"nan"}},
        {"llama", "attention.layer_norm_rms_epsilon", F32, 0, .wants = {"layer_norm_rms_epsilon 0, allowed above 0"}},
        {"llama", "attention.layer_norm_rms_epsilon", F32, -1e-5, .wants = {"layer_norm_rms_epsilon", "wanted is a number in [0, 1]"}},
        {"llama", "attention.layer_norm_rms_epsilon", F32, NAN, .wants = {"layer_norm_rms_epsilon", "nan"}},
        {"llama", "attention.layer_norm_rms_epsilon", F32, INFINITY, .wants = {"is inf"}},
        {"llama", "attention.layer_norm_rms_epsilon", F32, 1, .wants = {"layer_norm_rms_epsilon 1, allowed"}},
        {"llama", "attention.layer_norm_rms_epsilon", F32, 1e-45, LOADS},
        {"llama", "context_length", U32, 0, .wants = {"\"llama.context_length\": is 0; wanted is an integer in [1, 16777216]"}},
        {"llama", "context_length", U32, 4294967295., .wants = {"is 4294967295; wanted"}},
        {"llama", "context_length", U32, 1 << 24, LOADS},
        {"llama", "context_length", DROP, .wants = {"missing"}},
        {"gemma3", "attention.sliding_window", U32, 0, LOADS}, /* no window: all layers see all */
        {"gemma3", "attention.sliding_window", U32, 4294967295., .wants = {"is 4294967295; wanted"}},
        {"gemma3", "attention.sliding_window_pattern", U32, 4294967295., .wants = {"is 4294967295; wanted"}},
        {"gemma3", "attention.sliding_window_pattern", U32, 0, LOADS},
        {"gemma2", "attn_logit_softcapping", F32, NAN, .wants = {"nan"}},
        {"gemma2", "final_logit_softcapping", F32, -1, .wants = {"is -1; wanted"}},
        {"granite", "logit_scale", F32, NAN, .wants = {"nan"}},
        {"granite", "attention.scale", F32, INFINITY, .wants = {"is inf; wanted"}},
        {"llama", "expert_count", U32, 8, .wants = {"mixtures of experts are not supported"}},
    };
    ALL(all);
}

/* clang-format on */

/* ---- F8: what only the tensors, or the tokenizer, can say ---- */

static void f08_tensors_missing_too_many_or_of_another_shape(void **state) {
    (void)state;
    static const char *const names[] = {"token_embd.weight", "output_norm.weight", "blk.0.attn_q.weight",
                                        "blk.3.ffn_norm.weight", "blk.6.ffn_down.weight"};
    struct gguf *g;
    struct model *m;
    struct error e;
    for (size_t i = 0; i < COUNT(names) + 2; i++) {
        const char *path = tiny_path("tensors.gguf"),
                   *extra = i == COUNT(names) ? "blk.0.attn_sinks.weight" : "blk.99.attn_q.weight";
        arch_write("llama", i < COUNT(names) ? names[i] : NULL, i < COUNT(names) ? NULL : extra, path);
        GOOD(gguf_open(path, &g, &e));
        assert_int_equal(model_open(g, &m, &e), ERR_INPUT);
        assert_null(m);
        const char *name = i < COUNT(names) ? names[i] : extra, *why = i == 0             ? "must be there"
                                                                       : i < COUNT(names) ? "is missing"
                                                                                          : "has no place";
        if (!strstr(e.text, name) || !strstr(e.text, why)) fail_msg("%s: %s", name, e.text);
    }
}

/* A policy whose tokenizer knows more tokens than the embedding has rows, through the binary. */
static void f08_vocabulary_larger_than_the_embedding(void **state) {
    (void)state;
    struct model_config c = tiny_config(1, 16, 2, 1, 16);
    struct gguf_writer *w;
    struct error e;
    struct child child;
    void *store;
    c.n_vocab = VOCAB_SIZE - 1;
    struct net *n = tiny_net(&c, NET_LM, 5);
    const char *path = tiny_path("more-tokens.gguf");
    char tokens[32];
    GOOD(gguf_writer_new(&w, &e));
    GOOD(net_write(n, "tiny", TYPE_F16, w, &store, &e));
    vocab_add(w);
    GOOD(gguf_write(w, path, &e));
    gguf_writer_free(&w), mem_free(store), net_free(&n);
    snprintf(tokens, sizeof tokens, "has %d tokens", VOCAB_SIZE);
    child_run(&child, NULL, CHILD("run", "-m", path, "-p", "x"));
    child_refused(&child, (const char *const[]){"more-tokens.gguf: tokenizer.ggml.tokens", tokens, NULL});
}

/* A reward model has no tokens to offer. */
static void f08_reward_model_as_a_policy(void **state) {
    (void)state;
    struct model_config c = tiny_config(1, 16, 2, 1, 16);
    struct child child;
    c.n_vocab = VOCAB_SIZE;
    struct net *n = tiny_net(&c, NET_VALUE, 5);
    const char *path = tiny_path("reward.gguf");
    tiny_write(n, TYPE_F16, true, path);
    net_free(&n);
    child_run(&child, NULL, CHILD("run", "-m", path, "-p", "x"));
    child_refused(&child, (const char *const[]){"reward.gguf", "a reward model, which predicts no tokens", NULL});
}

/* A path longer than an error line: what is wrong must still fit on it. */
static void f08_error_keeps_its_end_behind_a_long_path(void **state) {
    (void)state;
    struct model *m;
    struct gguf *g;
    struct error e;
    char path[2000];
    arch_write("llama", "output_norm.weight", NULL, tiny_path("long.gguf"));
    size_t n = (size_t)snprintf(path, sizeof path, "%s", tiny_folder);
    while (n < 1500) path[n++] = '/';
    strcpy(path + n, "long.gguf");
    GOOD(gguf_open(path, &g, &e));
    assert_int_equal(model_open(g, &m, &e), ERR_INPUT);
    if (!strstr(e.text, "long.gguf: tensor output_norm.weight is missing")) fail_msg("%s", e.text);
}

/* ---- F13 ---- */

/* Weights that are no numbers, everywhere or in one place. */
static struct net *odd_net(float value, const char *where) {
    struct model_config c = tiny_config(2, 16, 2, 1, 16);
    c.n_vocab = VOCAB_SIZE;
    struct net *n = tiny_net(&c, NET_LM, 5);
    size_t hits = 0;
    for (size_t i = 0; i < n->n_tensors; i++) {
        const struct net_tensor *t = &n->tensors[i];
        if (where && strcmp(t->name, where)) continue;
        for (size_t k = 0; k < (where ? 1 : t->rows * t->cols); k++, hits++) n->weights[t->offset + k] = value;
    }
    assert_true(hits > 0);
    return n;
}

static const float odd_values[] = {NAN, INFINITY, -INFINITY, 3.4e38f, 1e-45f, -1e-40f, 0};
static const char *const odd_places[] = {NULL,
                                         "token_embd.weight",
                                         "blk.0.attn_norm.weight",
                                         "blk.0.attn_q.weight",
                                         "blk.1.ffn_down.weight",
                                         "output_norm.weight"};

/* It loads, runs, and either gives numbers or says that there is no token to draw; in every type that is written. */
static void f13_weights_that_are_no_numbers(void **state) {
    (void)state;
    static const enum tensor_type types[] = {TYPE_F32, TYPE_F16, TYPE_BF16};
    for (size_t v = 0; v < COUNT(odd_values); v++)
        for (size_t p = 0; p < COUNT(odd_places); p++)
            for (size_t t = 0; t < COUNT(types); t++) {
                struct net *n = odd_net(odd_values[v], odd_places[p]);
                struct model *m = tiny_model(n, types[t]);
                run(m);
                model_close(&m);
                net_free(&n);
            }
}

/* NaN logits end each command with a reason; weights that are merely tiny or huge are no reason. */
static void f13_nan_logits_end_with_a_reason(void **state) {
    (void)state;
    struct child c;
    const char *text = tiny_path("text.txt"), *model = tiny_path("nan.gguf");
    FILE *f = fopen(text, "w");
    for (int i = 0; i < 200; i++) fputs(" 4 7 8 8 -> 24\n", f);
    fclose(f);
    struct net *n = odd_net(NAN, "output_norm.weight");
    tiny_write(n, TYPE_F32, true, model);
    net_free(&n);
    child_run(&c, NULL, CHILD("run", "-m", model, "-p", " 4 7", "-n", "5", "--no-display-prompt"));
    if (c.code != 1 || !strstr(c.err, "no usable distribution (NaN")) fail_msg("run: %d %s%s", c.code, c.out, c.err);
    child_run(&c, NULL, CHILD("chat", "-m", model, "--chat-template", "chatml", "-p", "hi", "-st", "-n", "5"));
    if (c.code != 1 || !strstr(c.err, "no usable distribution (NaN")) fail_msg("chat: %d %s%s", c.code, c.out, c.err);
    child_run(&c, NULL, CHILD("perplexity", "-m", model, "-f", text, "-c", "64"));
    child_refused(&c, (const char *const[]){"no usable distribution (NaN", NULL});
    child_run(&c, NULL, CHILD("logits", "-m", model, "--tokens", "1,2", "-o", tiny_path("nan.f32")));
    assert_int_equal(c.code, 0); /* these are the logits */
    n = odd_net(1e-45f, "blk.0.attn_q.weight");
    tiny_write(n, TYPE_F32, true, model);
    net_free(&n);
    child_run(&c, NULL, CHILD("run", "-m", model, "-p", " 4 7", "-n", "5"));
    if (c.code != 0) fail_msg("run with a denormal: %d %s%s", c.code, c.out, c.err);
}

/* A search with it ends too: with no answer, or one that the checker calls wrong, and its costs. */
static void f13_search_on_nan_ends(void **state) {
    (void)state;
    struct child c;
    const char *model = tiny_path("nan.gguf");
    struct net *n = odd_net(NAN, "output_norm.weight");
    tiny_write(n, TYPE_F32, true, model);
    net_free(&n);
    static const char *const strategies[] = {"greedy", "bon", "weighted", "maj", "beam", "mcts"};
    for (size_t i = 0; i < COUNT(strategies); i++) {
        bool votes = !strcmp(strategies[i], "greedy") || !strcmp(strategies[i], "maj"); /* no reward model is asked */
        child_run(&c, NULL,
                  CHILD("solve", "-q", "-m", model, "--prm", votes ? "none" : "oracle", "--search", strategies[i],
                        "--budget", i ? "8" : "1", "--json", "4 7 8 8"));
        if (c.code != 1 || !strstr(c.out, "\"correct\":false"))
            fail_msg("%s: %d %s%s", strategies[i], c.code, c.out, c.err);
    }
}

static void replays_the_fuzz_corpus(void **state) {
    (void)state;
    replay("model", 19);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f04_keys_of_the_wrong_kind),
        cmocka_unit_test(f08_keys_against_shapes),
        cmocka_unit_test(f09_numbers_no_model_has),
        cmocka_unit_test(f08_tensors_missing_too_many_or_of_another_shape),
        cmocka_unit_test(f08_vocabulary_larger_than_the_embedding),
        cmocka_unit_test(f08_reward_model_as_a_policy),
        cmocka_unit_test(f08_error_keeps_its_end_behind_a_long_path),
        cmocka_unit_test(f13_weights_that_are_no_numbers),
        cmocka_unit_test(f13_nan_logits_end_with_a_reason),
        cmocka_unit_test(f13_search_on_nan_ends),
        cmocka_unit_test(replays_the_fuzz_corpus),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
