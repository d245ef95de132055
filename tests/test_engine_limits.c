/* test_engine_limits.c: engines that are full, ids and keys that are wrong, files that are not what they say, memory that
 * is not there: a clear line each, and nothing changed.
 * Not the numbers: test_engine.c.
 * Next: test_prm.c. */
#include "tests/engine_check.h"

/* ---- full ---- */

/* The branch holds `at` tokens of the text and goes on to its end with the known bits. */
static void goes_on(struct bench *b, uint32_t seq, const struct texts *x, int text, uint32_t at) {
    uint32_t left = x->len[text] - at;
    float *out = malloc((left + 1) * x->n_out * sizeof *out);
    assert_int_equal(engine_len(b->client, seq), at);
    run_tokens(b, seq, x->tokens[text] + at, left, out);
    same_floats(out, x->want[text] + at * x->n_out, left * x->n_out, "text %d from position %u", text, at);
    free(out);
}

static void refused(struct bench *b, const struct span *spans, size_t n, enum status want, const char *part) {
    struct error e = {""};
    uint64_t copied = 0;
    assert_int_equal(engine_run(b->client, spans, n, &copied, &e), want);
    if (!strstr(e.text, part) || strchr(e.text, '\n')) fail_msg("\"%s\" should say \"%s\" in one line", e.text, part);
    if (!engine_check(b->engine, &e)) fail_msg("%s", e.text);
}

/* max_rows small: the request is cut into pieces, some of which find room before one does not. */
static void a_full_cache_changes_nothing(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    struct net *n = tiny_net(&c, NET_LM, 1);
    struct model *m = tiny_model(n, TYPE_F32);
    struct texts x = texts_of(m, 1);
    for (uint32_t max_rows = 7; max_rows <= 200; max_rows += 193) {
        struct engine_params p = {.n_pages = 8, .n_seqs = 6, .max_tokens = 128, .max_rows = max_rows};
        struct bench b = bench_open(m, 2, p);
        uint32_t a = engine_seq_new(b.client), z = engine_seq_new(b.client), fork;
        run_tokens(&b, a, x.tokens[7], 20, NULL);
        run_tokens(&b, z, x.tokens[5], 17, NULL); /* 4 of 8 pages */
        fork = engine_fork(b.client, a);
        float out[70 * 64];
        struct span spans[] = {{z, 10, 0, x.tokens[5] + 17, NULL},
                               {fork, 50, 1, x.tokens[7] + 20, out},
                               {a, 30, 1, x.tokens[7] + 20, out}};
        refused(&b, spans, 3, ERR_FULL, "pages");
        refused(&b, spans + 1, 2, ERR_FULL, "pages");
        assert_true(engine_kv_stats(b.engine).pages_used <=
                    5); /* a page may have been copied for the fork; none is lost */
        assert_int_equal(engine_len(b.client, fork), 20);
        engine_drop(b.client, &fork);
        assert_int_equal(engine_kv_stats(b.engine).pages_used, 4);
        goes_on(&b, z, &x, 5, 17); /* 3 pages for 33 tokens */
        goes_on(&b, a, &x, 7, 20); /* 5 for 70: all 8 */
        assert_int_equal(engine_pages_free(b.engine), 0);
        struct span more = {z, 1, 0, x.tokens[0], NULL};
        engine_truncate(b.client, z, 32), engine_truncate(b.client, a, 64);
        assert_int_equal(engine_pages_free(b.engine), 2);
        goes_on(&b, z, &x, 5, 32), goes_on(&b, a, &x, 7, 64);
        engine_truncate(b.client, z, 32);
        run_tokens(&b, a, x.tokens[0], 3, NULL);
        assert_int_equal(engine_len(b.client, a), 73);
        run_tokens(&b, a, x.tokens[7], 7, NULL);
        run_tokens(&b, a, x.tokens[7], 1, NULL); /* the last page */
        refused(&b, &more, 1, ERR_FULL, "pages");
        bench_close(&b);
    }
    texts_free(&x), model_close(&m), net_free(&n);
}

static void the_context_ends(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    struct net *n = tiny_net(&c, NET_LM, 1);
    struct model *m = tiny_model(n, TYPE_F32);
    struct texts x = texts_of(m, 1);
    struct engine_params p = {.n_pages = 64, .n_seqs = 3, .max_tokens = 33, .max_rows = 40};
    struct team *team;
    struct error e;
    struct bench b = {.threads = 1};
    GOOD(team_new(1, &team, &e));
    b.team = team;
    GOOD(engine_new(m, team, &p, &b.engine, &e));
    GOOD(engine_client_new(b.engine, NULL, &b.client, &e));
    uint32_t s = engine_seq_new(b.client);
    struct span all = {s, 34, 0, x.tokens[7], NULL}, one = {s, 1, 0, x.tokens[0], NULL};
    refused(&b, &all, 1, ERR_FULL, "context");
    goes_on(&b, s, &x, 5, 0); /* exactly 33 */
    refused(&b, &one, 1, ERR_FULL, "context");
    assert_int_equal(engine_len(b.client, s), 33);
    bench_close(&b), texts_free(&x), model_close(&m), net_free(&n);
}

static void ids_out_of_range_change_nothing(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    struct net *n = tiny_net(&c, NET_LM, 1);
    struct model *m = tiny_model(n, TYPE_F32);
    struct texts x = texts_of(m, 1);
    struct bench b = bench_open(m, 1, small_engine);
    uint32_t a = engine_seq_new(b.client), z = engine_seq_new(b.client);
    run_tokens(&b, a, x.tokens[7], 20, NULL);
    static const int32_t bad[] = {-1, INT32_MIN, INT32_MAX, 45};
    for (int i = 0; i < 4; i++) {
        int32_t tokens[60] = {0};
        tokens[59] = bad[i];
        struct span spans[] = {{a, 3, 0, x.tokens[0], NULL}, {z, i % 2 ? 60 : 1, 0, tokens + (i % 2 ? 0 : 59), NULL}};
        refused(&b, spans, 2, ERR_INPUT, "token id");
        assert_int_equal(engine_len(b.client, z), 0);
    }
    struct span none = {z, 0, 0, NULL, NULL};
    struct error e;
    GOOD(engine_run(b.client, &none, 1, NULL, &e));
    GOOD(engine_run(b.client, NULL, 0, NULL, &e));
    goes_on(&b, a, &x, 7, 20);
    bench_close(&b), texts_free(&x), model_close(&m), net_free(&n);
}

/* Spans longer than a pass, and more spans than a pass has rows. */
static void long_requests_are_cut(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    struct net *n = tiny_net(&c, NET_LM, 2);
    struct model *m = tiny_model(n, TYPE_F32);
    struct texts x = texts_of(m, 2);
    for (uint32_t max_rows = 1; max_rows <= 71; max_rows += 14) {
        struct engine_params p = {.n_pages = 64, .n_seqs = 20, .max_tokens = 128, .max_rows = max_rows};
        struct bench b = bench_open(m, 1, p);
        struct span spans[N_TEXTS + 1];
        float *out = malloc(N_TEXTS * MAX_TEXT * x.n_out * sizeof *out);
        struct error e;
        for (uint32_t i = 0; i < N_TEXTS; i++)
            spans[i] = (struct span){engine_seq_new(b.client), x.len[i], x.len[i] - i % 3, x.tokens[i],
                                     out + i * MAX_TEXT * x.n_out};
        spans[N_TEXTS] = (struct span){engine_seq_new(b.client), 0, 0, NULL, NULL};
        GOOD(engine_run(b.client, spans, N_TEXTS + 1, NULL, &e));
        for (uint32_t i = 0; i < N_TEXTS; i++)
            same_floats(spans[i].out, x.want[i] + i % 3 * x.n_out, spans[i].n_out * x.n_out,
                        "passes of %u rows, text %u", max_rows, i);
        free(out), bench_close(&b);
    }
    texts_free(&x), model_close(&m), net_free(&n);
}

static void bad_engine_sizes_are_refused(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    struct net *n = tiny_net(&c, NET_LM, 2);
    struct model *m = tiny_model(n, TYPE_F32);
    struct team *team;
    struct error e;
    GOOD(team_new(1, &team, &e));
    for (int i = 0; i < 5; i++) {
        struct engine_params p = {.n_pages = i != 0,
                                  .n_seqs = i != 1,
                                  .max_tokens = i != 2,
                                  .max_rows = i == 3   ? 0
                                              : i == 4 ? 65537
                                                       : 1};
        struct engine *en = (struct engine *)&p;
        assert_int_equal(engine_new(m, team, &p, &en, &e), ERR_INPUT);
        assert_null(en);
    }
    team_free(&team), model_close(&m), net_free(&n);
}

/* ---- files that are not what they say ---- */

/* Opens what a changed net wrote and expects one line with `part`. */
static void open_fails(struct net *n, const char *part) {
    struct gguf *g;
    struct model *m = (struct model *)n;
    struct error e;
    const char *path = tiny_path("bad.gguf");
    tiny_write(n, TYPE_F32, false, path);
    GOOD(gguf_open(path, &g, &e));
    assert_int_equal(model_open(g, &m, &e), ERR_INPUT);
    assert_null(m);
    if (!strstr(e.text, part) || !strstr(e.text, "bad.gguf") || strchr(e.text, '\n'))
        fail_msg("\"%s\" should name the file and \"%s\" in one line", e.text, part);
    net_free(&n);
}

static void missing_and_misshapen_tensors_are_named(void **state) {
    (void)state;
    struct model_config c = shape_at(1);
    struct net *n = tiny_net(&c, NET_VALUE, 1);
    size_t n_tensors = n->n_tensors;
    net_free(&n);
    for (size_t i = 0; i < n_tensors; i++) {
        char name[80];
        n = tiny_net(&c, NET_VALUE, 1);
        snprintf(name, sizeof name, "%s", n->tensors[i].name);
        if (strcmp(name, "prm.head.weight")) { /* without it the file is a language model */
            snprintf(n->tensors[i].name, sizeof n->tensors[i].name, "other%zu", i);
            open_fails(n, name);
            n = tiny_net(&c, NET_VALUE, 1);
        }
        if (n->tensors[i].cols > 1) n->tensors[i].cols--;
        else n->tensors[i].rows++, n->tensors[i].offset--;
        open_fails(n, i == 0 ? "token_embd.weight has shape" : name);
        if (i == 0) continue; /* fewer tokens are a smaller vocabulary */
        n = tiny_net(&c, NET_VALUE, 1);
        if (n->tensors[i].rows > 1) n->tensors[i].rows--;
        else n->tensors[i].rows = 2, n->tensors[i].offset = 0;
        open_fails(n, name);
    }
}

/* Writes a sound model and one tensor or key more. */
static void one_more_fails(const char *tensor, const char *scaling, const char *part) {
    struct model_config c = shape_at(1);
    struct net *n = tiny_net(&c, NET_LM, 1);
    struct gguf_writer *w;
    struct gguf *g;
    struct model *m;
    struct error e = {""};
    void *store;
    GOOD(gguf_writer_new(&w, &e));
    GOOD(net_write(n, "x", TYPE_F32, w, &store, &e));
    uint64_t dims[] = {4};
    if (tensor) gguf_add_tensor(w, tensor, TYPE_F32, 1, dims, n->weights);
    if (scaling) gguf_add_string(w, "llama.rope.scaling.type", scaling);
    GOOD(gguf_write(w, tiny_path("bad.gguf"), &e));
    gguf_writer_free(&w), mem_free(store), net_free(&n);
    GOOD(gguf_open(tiny_path("bad.gguf"), &g, &e));
    enum status s = model_open(g, &m, &e);
    if (s != (part ? ERR_INPUT : OK) || (part && !strstr(e.text, part))) fail_msg("status %d, \"%s\"", (int)s, e.text);
    model_close(&m);
}

/* What would silently be left out of the computation. */
static void parts_that_are_not_computed_are_refused(void **state) {
    (void)state;
    static const char *const others[] = {"rope_freqs.weight", "blk.1.ffn_gate_inp.weight", "blk.2.attn_q.weight",
                                         "blk.0.attn_q_norm.weight", "blk.4294967296.attn_q.weight"};
    one_more_fails(NULL, NULL, NULL);
    one_more_fails(NULL, "none", NULL);
    for (size_t i = 0; i < COUNT(others); i++) one_more_fails(others[i], NULL, others[i]);
}

static void bad_keys_are_named(void **state) {
    (void)state;
    struct net *n;
    struct model_config c = shape_at(1);
#define BAD(change, part)                                                                                              \
    do {                                                                                                               \
        n = tiny_net(&c, NET_LM, 1);                                                                                   \
        change;                                                                                                        \
        open_fails(n, part);                                                                                           \
    } while (0)
    BAD(n->config.n_head = 0, "llama.attention.head_count");
    BAD(n->config.n_head_kv = 0, "llama.attention.head_count_kv");
    BAD(n->config.n_head_kv = 3, "head_count_kv 3 must divide head_count 4");
    BAD(n->config.n_head_kv = 8, "head_count_kv 8 must divide");
    BAD(n->config.n_head = 1025, "llama.attention.head_count");
    BAD(n->config.n_head = 8, "attn_q.weight has shape");
    BAD(n->config.rms_eps = 0, "layer_norm_rms_epsilon");
    BAD(n->config.rms_eps = 1, "layer_norm_rms_epsilon");
    BAD(n->config.rms_eps = -1, "layer_norm_rms_epsilon");
    BAD(n->config.rms_eps = NAN, "layer_norm_rms_epsilon");
    BAD(n->config.n_layer = 0, "llama.block_count");
    BAD(n->config.n_layer = 1025, "llama.block_count");
    BAD(n->config.n_layer = 3, "blk.2.");
    BAD(n->config.n_embd = 0, "llama.embedding_length");
    BAD(n->config.n_embd = 65537, "llama.embedding_length");
    BAD(n->config.n_embd = 13, "token_embd.weight has shape");
    BAD(n->config.n_ff = 0, "llama.feed_forward_length");
    BAD(n->config.n_ff = 42, "ffn_gate.weight has shape");
    BAD(n->config.head_dim = 12, "head dimension 12");
    BAD(n->config.head_dim = 0, "llama.attention.key_length");
    BAD(n->config.head_dim = 520, "llama.attention.key_length");
    BAD(n->config.rope_dim = 0, "llama.rope.dimension_count");
    BAD(n->config.rope_dim = 3, "rope.dimension_count");
    BAD(n->config.rope_dim = 16, "rope.dimension_count");
    BAD(n->config.rope_base = 0, "llama.rope.freq_base");
    BAD(n->config.rope_base = INFINITY, "llama.rope.freq_base");
    BAD(n->config.n_ctx = 0, "llama.context_length");
    BAD(strcpy(n->config.arch, "mamba"), "general.architecture \"mamba\"");
    BAD(strcpy(n->config.arch, "llama4"), "general.architecture \"llama4\"");
    BAD(strcpy(n->config.arch, ""), "general.architecture");
}

/* ---- failing memory ---- */

static enum status open_all(const char *path, struct error *e) {
    struct gguf *g;
    struct model *m = NULL;
    struct team *team = NULL;
    struct engine *en = NULL;
    struct client *c = NULL;
    struct engine_params p = {.n_pages = 8, .n_seqs = 6, .max_tokens = 128, .max_rows = 9};
    enum status s = gguf_open(path, &g, e);
    if (!s) s = model_open(g, &m, e);
    if (!s) s = team_new(2, &team, e);
    if (!s) s = engine_new(m, team, &p, &en, e);
    assert_true((s == OK) == (en != NULL));
    if (!s) s = engine_client_new(en, NULL, &c, e);
    assert_true((s == OK) == (c != NULL));
    engine_client_free(&c), engine_free(&en), team_free(&team), model_close(&m);
    return s;
}

static void failed_memory_is_an_error_and_no_leak(void **state) {
    (void)state;
    struct model_config c = shape_at(1);
    struct net *n = tiny_net(&c, NET_VALUE, 1);
    const char *path = tiny_path("good.gguf");
    struct error e;
    tiny_write(n, TYPE_F32, false, path);
    net_free(&n);
    mem_fail_at(0, false);
    GOOD(open_all(path, &e));
    size_t n_allocs = mem_fail_at(0, false);
    assert_true(n_allocs > 25);
    for (size_t i = 1; i <= n_allocs; i++)
        for (int rest = 0; rest < 2; rest++) {
            e.text[0] = 0;
            mem_fail_at(i, rest);
            enum status s = open_all(path, &e);
            mem_fail_at(0, false);
            if (s != ERR_MEMORY || !e.text[0]) fail_msg("allocation %zu: status %d, \"%s\"", i, (int)s, e.text);
        }
}

/* After warm-up, runs and forks allocate nothing. */
static void running_allocates_nothing(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    struct net *n = tiny_net(&c, NET_LM, 2);
    struct model *m = tiny_model(n, TYPE_F16);
    struct texts x = texts_of(m, 2);
    struct bench b = bench_open(m, 2, small_engine);
    mem_fail_at(1, true);
    random_schedule(&b, &x, 4, 3);
    assert_int_equal(mem_fail_at(0, false), 0);
    if (*schedule_failure) fail_msg("%s", schedule_failure);
    bench_close(&b), texts_free(&x), model_close(&m), net_free(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_cache_changes_nothing),
        cmocka_unit_test(the_context_ends),
        cmocka_unit_test(ids_out_of_range_change_nothing),
        cmocka_unit_test(long_requests_are_cut),
        cmocka_unit_test(bad_engine_sizes_are_refused),
        cmocka_unit_test(missing_and_misshapen_tensors_are_named),
        cmocka_unit_test(parts_that_are_not_computed_are_refused),
        cmocka_unit_test(bad_keys_are_named),
        cmocka_unit_test(failed_memory_is_an_error_and_no_leak),
        cmocka_unit_test(running_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
