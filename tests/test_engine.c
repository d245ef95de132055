/* test_engine.c: inference against the naive transformer, and the bitwise promise: the outputs of a row depend on its own
 * tokens only, whatever the batch, the threads, the pieces of a prefill, forks, cuts and other callers.
 * Not the KV cache alone: test_kv.c.
 * Next: test_engine_limits.c for full caches, bad files and failing memory. */
#include "tests/engine_check.h"

/* ---- against naive double ---- */

/* Pages of f16 round K and V; so does the naive net beside them, and what is left is float against double (2.5e-5 measured): a
 * value on the edge between two halves may fall to the other side.  Beside pages of int16 it rounds nothing. */
static const double NAIVE_F16 = 1e-4, NAIVE_I16 = 1e-3;

/* Largest difference over the largest output. */
static double off_naive(struct model *m, const struct model_config *c, struct naive *v, enum kv_type type, int i) {
    int32_t tokens[37];
    tiny_tokens((uint64_t)i, c->n_vocab, tokens, COUNT(tokens));
    const uint32_t n_out = i % 2 ? 1 : c->n_vocab;
    double *want = malloc(COUNT(tokens) * n_out * sizeof *want), top = 0, off = 0;
    v->kv_f16 = type == KV_F16;
    naive_outputs(v, tokens, COUNT(tokens), want);
    struct engine_params p = small_engine;
    p.kv_type = type;
    struct bench b = bench_open(m, 1, p);
    float *got = malloc(COUNT(tokens) * n_out * sizeof *got);
    run_tokens(&b, engine_seq_new(b.client), tokens, COUNT(tokens), got);
    for (size_t k = 0; k < COUNT(tokens) * n_out; k++) top = fmax(top, fabs(want[k]));
    for (size_t k = 0; k < COUNT(tokens) * n_out; k++) {
        off = fmax(off, fabs(got[k] - want[k]) / top);
        if (!(fabs(got[k] - want[k]) <= (type == KV_F16 ? NAIVE_F16 : NAIVE_I16) * top))
            fail_msg("shape %d, row %zu, output %zu: %.9g, expected %.9g", i, k / n_out, k % n_out, (double)got[k],
                     want[k]);
    }
    free(got), free(want), bench_close(&b);
    return off;
}

static void outputs_are_those_of_the_naive_net(void **state) {
    (void)state;
    double f16 = 0, i16 = 0;
    for (int i = 0; i < 2 * N_SHAPES; i++) {
        struct model_config c = shape_at(i / 2);
        struct net *n = tiny_net(&c, i % 2 ? NET_VALUE : NET_LM, (uint64_t)i);
        struct model *m = tiny_model(n, TYPE_F32);
        struct naive v = naive_new(n);
        f16 = fmax(f16, off_naive(m, &c, &v, KV_F16, i));
        i16 = fmax(i16, off_naive(m, &c, &v, KV_I16, i));
        free(v.w), model_close(&m), net_free(&n);
    }
    print_message("largest |difference| / largest |output| to naive double: f16 pages %.2g, i16 pages %.2g\n", f16,
                  i16);
}

/* -log p of a token from inference and from training.  Training rounds no K and V: what 14 bits of them lose reaches the loss. */
static void inference_agrees_with_training(void **state) {
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        struct model_config c = shape_at(i);
        struct net *n = tiny_net(&c, NET_LM, 50 + (uint64_t)i);
        struct model *m = tiny_model(n, TYPE_F32);
        struct bench b = bench_open(m, 1, small_engine);
        enum { N = 21 };
        int32_t tokens[N], targets[N];
        uint32_t starts[2] = {0, N};
        float weights[N] = {0}, *out = malloc(N * c.n_vocab * sizeof *out);
        struct tape *t;
        struct error e;
        tiny_tokens(3, c.n_vocab, tokens, N);
        tiny_tokens(4, c.n_vocab, targets, N);
        GOOD(tape_new(n, N, N, &t, &e));
        run_tokens(&b, engine_seq_new(b.client), tokens, N, out);
        for (uint32_t r = 0; r < N; r++) {
            double z[64];
            for (uint32_t k = 0; k < c.n_vocab; k++) z[k] = out[r * c.n_vocab + k];
            weights[r] = 1;
            struct net_batch batch = {.tokens = tokens, .starts = starts, .targets = targets, .weights = weights, .n_rows = N,
                                      .n_seqs = 1};
            double trained = net_loss(n, t, &batch, 1, NULL, NULL),
                   inferred = naive_cross_entropy(z, c.n_vocab, (size_t)targets[r]);
            if (!(fabs(trained - inferred) <= 0.02))
                fail_msg("shape %d, row %u: loss %.6g, in training %.6g", i, r, inferred, trained);
            weights[r] = 0;
        }
        free(out), tape_free(&t), bench_close(&b), model_close(&m), net_free(&n);
    }
}

/* ---- the bitwise promise ---- */

/* Every row of every text, alone, on one thread, in one piece: what all others must give. */
static const int thread_counts[] = {1, 2, 3};

/* Any order and mix of pieces, forks, cuts and drops. */
static void any_schedule_gives_the_same_bits(void **state) {
    (void)state;
    static const enum tensor_type types[] = {TYPE_F32, TYPE_F16, TYPE_BF16, TYPE_Q8_0};
    for (int i = 0; i < 2 * (int)COUNT(types); i++) {
        struct model_config c = wide_shape();
        struct net *n = tiny_net(&c, i % 2 ? NET_VALUE : NET_LM, 60 + (uint64_t)i);
        struct model *m = tiny_model(n, types[i / 2]);
        struct texts x = texts_of(m, (uint64_t)i);
        for (size_t t = 0; t < COUNT(thread_counts); t++) {
            struct bench b = bench_open(m, thread_counts[t], t ? large_engine : small_engine);
            random_schedule(&b, &x, 1000 * (uint64_t)i + t, t == 0 ? 25 : 5);
            if (*schedule_failure) fail_msg("%s: %s", type_info(types[i / 2])->name, schedule_failure);
            bench_close(&b);
        }
        texts_free(&x), model_close(&m), net_free(&n);
    }
}

/* Decoding one token of each of `batch` branches at different places; rows in another order than the branches were made. */
static void check_batch(struct bench *b, const struct texts *x, uint32_t batch, uint64_t key) {
    uint32_t seqs[64], at[64], which[64];
    struct span spans[64];
    float *out = malloc(batch * x->n_out * sizeof *out);
    struct error e;
    for (uint32_t i = 0; i < batch; i++) {
        which[i] = i % N_TEXTS;
        at[i] = rng_below(key, i, x->len[which[i]] - 1);
        seqs[i] = engine_seq_new(b->client);
        spans[i] = (struct span){seqs[i], at[i], 0, x->tokens[which[i]], NULL};
    }
    GOOD(engine_run(b->client, spans, batch, NULL, &e));
    for (uint32_t i = 0; i < batch; i++) {
        uint32_t k = batch % 5 ? (i * 5 + 3) % batch : batch - 1 - i;
        spans[i] = (struct span){seqs[k], 1, 1, x->tokens[which[k]] + at[k], out + k * x->n_out};
    }
    GOOD(engine_run(b->client, spans, batch, NULL, &e));
    for (uint32_t i = 0; i < batch; i++)
        same_floats(out + i * x->n_out, x->want[which[i]] + at[i] * x->n_out, x->n_out,
                    "%d threads, batch %u, branch %u, position %u", b->threads, batch, i, at[i]);
    for (uint32_t i = 0; i < batch; i++) engine_drop(b->client, &seqs[i]);
    free(out);
}

static void any_batch_gives_the_same_bits(void **state) {
    (void)state;
    static const uint32_t batches[] = {1, 2, 5, 6, 7, 16, 64};
    for (int i = 0; i < N_SHAPES; i++) {
        struct model_config c = shape_at(i);
        struct net *n = tiny_net(&c, NET_LM, 70);
        struct model *m = tiny_model(n, i % 2 ? TYPE_F16 : TYPE_F32);
        struct texts x = texts_of(m, 5);
        for (size_t t = 0; t < (i < 2 ? COUNT(thread_counts) : 1); t++) { /* barriers are slow on a busy machine */
            struct bench b = bench_open(m, thread_counts[t], large_engine);
            for (size_t k = 0; k < COUNT(batches); k++) check_batch(&b, &x, batches[k], k);
            bench_close(&b);
        }
        texts_free(&x), model_close(&m), net_free(&n);
    }
}

static void any_pieces_give_the_same_bits(void **state) {
    (void)state;
    static const uint32_t pieces[] = {1, 7, 15, 16, 17, 1000};
    struct model_config c = wide_shape();
    struct net *n = tiny_net(&c, NET_LM, 71);
    struct model *m = tiny_model(n, TYPE_F32);
    struct texts x = texts_of(m, 6);
    for (size_t t = 0; t < COUNT(thread_counts); t++) {
        struct bench b = bench_open(m, thread_counts[t], small_engine);
        int which = t == 0 ? N_TEXTS - 1 : N_TEXTS - 3;
        uint32_t len = x.len[which], n_out = x.n_out;
        float *out = malloc(len * n_out * sizeof *out);
        for (size_t k = 0; k < COUNT(pieces); k++) {
            uint32_t seq = engine_seq_new(b.client);
            for (uint32_t at = 0; at < len; at += pieces[k])
                run_tokens(&b, seq, x.tokens[which] + at, len - at < pieces[k] ? len - at : pieces[k],
                           out + at * n_out);
            same_floats(out, x.want[which], len * n_out, "%d threads, pieces of %u", b.threads, pieces[k]);
            engine_drop(b.client, &seq);
        }
        free(out), bench_close(&b);
    }
    texts_free(&x), model_close(&m), net_free(&n);
}

/* A model too large to be split by branches: 64 rows go by weights, with barriers, on 3 threads; alone on one. */
static void a_large_model_gives_the_same_bits(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    c.n_layer = 1, c.n_vocab = (8 << 20) / 4 / c.n_embd + 100;
    struct net *n;
    struct error e;
    GOOD(net_new(&c, NET_LM, 1, &n, &e));
    for (size_t i = 0; i < n->n_weights; i++) n->weights[i] *= 8;
    struct model *m = tiny_model(n, TYPE_F32);
    assert_true(m->size_bytes > 8 << 20);
    net_free(&n);
    enum { N = 9, BATCH = 64 };
    int32_t tokens[N];
    tiny_tokens(8, c.n_vocab, tokens, N);
    float *want = malloc(N * c.n_vocab * sizeof *want), *out = malloc(BATCH * c.n_vocab * sizeof *out);
    struct bench b = bench_open(m, 1, small_engine);
    run_tokens(&b, engine_seq_new(b.client), tokens, N, want);
    bench_close(&b);
    b = bench_open(m, 3, large_engine);
    struct span spans[BATCH];
    uint32_t seqs[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
        seqs[i] = engine_seq_new(b.client);
        spans[i] = (struct span){seqs[i], i % N, 0, tokens, NULL};
    }
    GOOD(engine_run(b.client, spans, BATCH, NULL, &e));
    for (uint32_t i = 0; i < BATCH; i++) spans[i] = (struct span){seqs[i], 1, 1, tokens + i % N, out + i * c.n_vocab};
    GOOD(engine_run(b.client, spans, BATCH, NULL, &e));
    for (uint32_t i = 0; i < BATCH; i++)
        same_floats(out + i * c.n_vocab, want + i % N * c.n_vocab, c.n_vocab, "branch %u", i);
    free(out), free(want), bench_close(&b), model_close(&m);
}

/* One thread alone, branches, weights: whatever is tried next by the clock. */
static void measured_ways_give_the_same_bits(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    struct net *n = tiny_net(&c, NET_LM, 72);
    struct model *m = tiny_model(n, TYPE_Q8_0);
    struct texts x = texts_of(m, 9);
    struct bench b = bench_open(m, 3, small_engine);
    struct engine_params p = small_engine;
    struct error e;
    engine_client_free(&b.client), engine_free(&b.engine);
    p.max_tokens = 128;
    GOOD(engine_new(m, b.team, &p, &b.engine, &e));
    GOOD(engine_client_new(b.engine, NULL, &b.client, &e));
    random_schedule(&b, &x, 33, 100);
    if (*schedule_failure) fail_msg("%s", schedule_failure);
    texts_free(&x), bench_close(&b), model_close(&m), net_free(&n);
}

/* ---- several callers ---- */

struct caller {
    struct bench *bench;
    const struct texts *texts;
    uint64_t key;
};

static void *call(void *arg) {
    struct caller *c = arg;
    random_schedule(c->bench, c->texts, c->key, 20);
    return NULL;
}

/* Four callers share an engine, and two engines share a team. */
static void callers_do_not_see_each_other(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    struct net *policy = tiny_net(&c, NET_LM, 80), *value = tiny_net(&c, NET_VALUE, 81);
    struct model *m[2] = {tiny_model(policy, TYPE_F32), tiny_model(value, TYPE_F16)};
    struct texts x[2] = {texts_of(m[0], 7), texts_of(m[1], 8)};
    for (int threads = 1; threads <= 2; threads++) {
        struct bench b[2] = {bench_open(m[0], threads, small_engine), {0}};
        b[1] = bench_share(m[1], &b[0], small_engine);
        pthread_t ids[5];
        struct caller callers[5];
        for (uint64_t i = 0; i < 5; i++) {
            callers[i] = (struct caller){&b[i == 4], &x[i == 4], 90 + i};
            assert_int_equal(pthread_create(&ids[i], NULL, call, &callers[i]), 0);
        }
        for (int i = 0; i < 5; i++) pthread_join(ids[i], NULL);
        if (*schedule_failure) fail_msg("%d threads: %s", threads, schedule_failure);
        struct error e;
        if (!engine_check(b[0].engine, &e) || !engine_check(b[1].engine, &e)) fail_msg("%s", e.text);
        assert_int_equal(engine_kv_stats(b[0].engine).pages_used, 0);
        bench_close(&b[1]), bench_close(&b[0]);
    }
    for (int i = 0; i < 2; i++) texts_free(&x[i]), model_close(&m[i]);
    net_free(&policy), net_free(&value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_those_of_the_naive_net), cmocka_unit_test(inference_agrees_with_training),
        cmocka_unit_test(any_batch_gives_the_same_bits),      cmocka_unit_test(any_pieces_give_the_same_bits),
        cmocka_unit_test(any_schedule_gives_the_same_bits),   cmocka_unit_test(a_large_model_gives_the_same_bits),
        cmocka_unit_test(measured_ways_give_the_same_bits),   cmocka_unit_test(callers_do_not_see_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
