/* test_attention.c: attention over shared pages: the outputs of a row depend on its own tokens only, also when many branches go
 * through a page together, beyond one chunk, with windows, soft-caps and every type of KV; and what branches hold.
 * Not the page kernel (test_ops.c), nor random schedules (test_engine.c).
 * Next: model/attention.h. */
#include "tests/engine_check.h"

#include "model/attention.h"

enum { LONG = ATTENTION_CHUNK + 100, N_BRANCHES = 64 };

/* Three kv heads, so that two threads cannot have heads of their own; one layer sees all, one a window, with a soft-cap or not. */
static struct model *model_of(uint64_t key, bool capped) {
    struct model_config c = tiny_config(2, 24, 6, 3, 7);
    c.n_ctx = 2 * LONG;
    struct net *n = tiny_net(&c, NET_LM, key);
    struct model *m = tiny_model(n, TYPE_F32);
    net_free(&n);
    m->layers[1].window = 40;
    if (capped) m->config.attn_softcap = 3;
    return m;
}

static struct engine_params params_of(enum kv_type type, uint32_t max_rows) {
    return (struct engine_params){
        .n_pages = 2000, .n_seqs = N_BRANCHES + 4, .max_tokens = LONG + 40, .max_rows = max_rows, .kv_type = type};
}

/* One text, read alone on one thread, and the outputs of all its positions. */
struct text {
    int32_t tokens[LONG];
    uint32_t n_out;
    float *want; /* [LONG, n_out] */
};

static struct text text_of(const struct model *m, enum kv_type type) {
    struct text x = {.n_out = m->head.rows};
    tiny_tokens(9, m->config.n_vocab, x.tokens, LONG);
    x.want = malloc((size_t)LONG * x.n_out * sizeof *x.want);
    struct bench b = bench_open((struct model *)m, 1, params_of(type, LONG));
    run_tokens(&b, engine_seq_new(b.client), x.tokens, LONG, x.want);
    bench_close(&b);
    return x;
}

static const enum kv_type types[] = {KV_F16, KV_F32, KV_Q8_0, KV_I16, KV_F16_Q8_0, KV_Q8_0_F16};

static void any_pieces_give_the_same_bits(void **state) {
    (void)state;
    static const uint32_t pieces[] = {32, 512, 7, 1};
    for (size_t t = 0; t < COUNT(types); t++) {
        struct model *m = model_of(20 + t, t == 1 || t == 3);
        struct text x = text_of(m, types[t]);
        float *out = malloc((size_t)LONG * x.n_out * sizeof *out);
        for (int threads = 1; threads <= 3; threads++)
            for (size_t k = 0; k < (threads == 1 ? 4 : t == 0 ? 3 : 2); k++) { /* barriers are slow on a busy machine */
                struct bench b = bench_open(m, threads, params_of(types[t], 512));
                uint32_t seq = engine_seq_new(b.client), from = pieces[k] > 7 ? 0 : LONG - 120;
                if (from) run_tokens(&b, seq, x.tokens, from, NULL);
                for (uint32_t at = from, n; at < LONG; at += n) {
                    n = LONG - at < pieces[k] ? LONG - at : pieces[k];
                    run_tokens(&b, seq, x.tokens + at, n, out + (size_t)at * x.n_out);
                }
                same_floats(out + (size_t)from * x.n_out, x.want + (size_t)from * x.n_out, (LONG - from) * x.n_out,
                            "KV type %d, %d threads, pieces of %u", (int)types[t], threads, pieces[k]);
                bench_close(&b);
            }
        free(out), free(x.want), model_close(&m);
    }
}

/* `batch` branches at different places of one text, forked from a trunk that holds all of it or read afresh, one token each: a
 * branch that saw another's cells, or one cell too many or too few, would give other bits. */
static void check_batch(struct bench *b, const struct text *x, uint32_t batch, bool forked, uint64_t key) {
    uint32_t trunk = engine_seq_new(b->client), seqs[N_BRANCHES], at[N_BRANCHES];
    struct span spans[N_BRANCHES];
    float *out = malloc((size_t)batch * x->n_out * sizeof *out);
    struct error e;
    if (forked) run_tokens(b, trunk, x->tokens, LONG, NULL);
    for (uint32_t i = 0; i < batch; i++) {
        uint32_t k = (i * 5 + 3) % batch; /* rows in another order than places */
        at[i] = batch < 8 ? LONG - 1 - 9 * k : 100 + 8 * k + rng_below(key, k, 8);
        seqs[i] = forked ? engine_fork(b->client, trunk) : engine_seq_new(b->client);
        if (forked) engine_truncate(b->client, seqs[i], at[i]);
        else run_tokens(b, seqs[i], x->tokens, at[i], NULL);
        spans[i] = (struct span){seqs[i], 1, 1, x->tokens + at[i], out + (size_t)i * x->n_out};
    }
    GOOD(engine_run(b->client, spans, batch, NULL, &e));
    for (uint32_t i = 0; i < batch; i++)
        same_floats(out + (size_t)i * x->n_out, x->want + (size_t)at[i] * x->n_out, x->n_out,
                    "%d threads, batch %u, %s, branch %u at position %u", b->threads, batch,
                    forked ? "forked" : "fresh", i, at[i]);
    for (uint32_t i = 0; i < batch; i++) engine_drop(b->client, &seqs[i]);
    engine_drop(b->client, &trunk);
    free(out);
}

static void any_batch_gives_the_same_bits(void **state) {
    (void)state;
    static const uint32_t batches[] = {1, 2, 5, 6, 7, 64};
    for (size_t t = 0; t < COUNT(types); t++) {
        struct model *m = model_of(30 + t, t == 2);
        struct text x = text_of(m, types[t]);
        for (int threads = 1; threads <= 3; threads++) {
            struct bench b = bench_open(m, threads, params_of(types[t], LONG));
            m->size_bytes +=
                threads == 2 ? 64 << 20 : 0; /* by weights as well, where two threads share three kv heads */
            for (size_t k = 0; k < COUNT(batches); k++)
                for (int forked = 1; forked >= (batches[k] == 5); forked--)
                    if (forked || batches[k] < 8) check_batch(&b, &x, batches[k], forked, k);
            m->size_bytes -= threads == 2 ? 64 << 20 : 0;
            bench_close(&b);
        }
        free(x.want), model_close(&m);
    }
}

/* ---- random trees ---- */

/* Branches that fork from each other and write tokens of their own, all in one pass a step, against each text read alone. */
static void random_trees_give_the_same_bits(void **state) {
    (void)state;
    enum { N = 24, STEPS = 90 };
    static int32_t tokens[N][STEPS + 1];
    for (int threads = 1; threads <= 2; threads++) {
        struct model *m = model_of(40, false);
        uint32_t n_out = m->head.rows, seqs[N] = {0}, len[N] = {0};
        struct bench b = bench_open(m, threads, params_of(KV_F16, 256)),
                     alone = bench_open(m, 1, params_of(KV_F16, 256));
        float *out = malloc((size_t)N * n_out * sizeof *out),
              *want = malloc((size_t)(STEPS + 1) * n_out * sizeof *want);
        struct error e;
        seqs[0] = engine_seq_new(b.client);
        for (uint32_t step = 0; step < STEPS; step++) {
            uint64_t key = rng_fold(50 + (uint64_t)threads, step);
            struct span spans[N];
            uint32_t of[N], n = 0, to = rng_below(key, 0, N), from = rng_below(key, 1, N);
            if (seqs[from] && to != from) { /* `to` goes on from `from` */
                engine_drop(b.client, &seqs[to]);
                seqs[to] = engine_fork(b.client, seqs[from]), len[to] = len[from];
                memcpy(tokens[to], tokens[from], sizeof tokens[0]);
            }
            for (uint32_t i = 0; i < N; i++) {
                uint32_t k = (i + step) % N;
                if (!seqs[k] || rng_below(key, 10 + k, 4) == 0) continue;
                tokens[k][len[k]] = (int32_t)rng_below(key, 40 + k, m->config.n_vocab);
                spans[n] = (struct span){seqs[k], 1, 1, tokens[k] + len[k], out + (size_t)n * n_out};
                of[n++] = k, len[k]++;
            }
            if (n) GOOD(engine_run(b.client, spans, n, NULL, &e));
            for (uint32_t i = 0; i < n; i++) { /* some of them, alone */
                uint32_t k = of[i], seq;
                if (rng_below(key, 70 + i, 8)) continue;
                seq = engine_seq_new(alone.client);
                run_tokens(&alone, seq, tokens[k], len[k], want);
                same_floats(out + (size_t)i * n_out, want + (size_t)(len[k] - 1) * n_out, n_out,
                            "%d threads, step %u, branch %u of %u tokens", threads, step, k, len[k]);
                engine_drop(alone.client, &seq);
            }
        }
        free(out), free(want), bench_close(&alone), bench_close(&b), model_close(&m);
    }
}

/* ---- against naive double, beyond a chunk ---- */

static void chunks_are_one_softmax(void **state) {
    (void)state;
    struct model_config c = tiny_config(2, 24, 6, 3, 7);
    c.n_ctx = 2 * LONG;
    struct net *n = tiny_net(&c, NET_LM, 70);
    struct model *m = tiny_model(n, TYPE_F32);
    struct naive v = naive_new(n);
    struct text x = text_of(m, KV_F32);
    double *want = malloc((size_t)LONG * x.n_out * sizeof *want), off = 0, top = 0;
    naive_outputs(&v, x.tokens, LONG, want);
    for (size_t i = 0; i < (size_t)LONG * x.n_out; i++) {
        off = fmax(off, fabs(x.want[i] - want[i])), top = fmax(top, fabs(want[i]));
        if (!(off <= 1e-4 * top))
            fail_msg("position %zu: %.9g, expected %.9g", i / x.n_out, (double)x.want[i], want[i]);
    }
    print_message("largest |difference| / largest |output| to naive double: %.2g\n", off / top);
    free(want), free(x.want), free(v.w), model_close(&m), net_free(&n);
}

/* ---- what types of KV cost and lose ---- */

static double nmse(const float *x, const float *want, size_t n) {
    double off = 0, all = 0;
    for (size_t i = 0; i < n; i++) off += pow((double)x[i] - want[i], 2), all += pow(want[i], 2);
    return off / all;
}

static void rounding_of_kv_is_small(void **state) {
    (void)state;
    struct model *m = model_of(60, false);
    struct text exact = text_of(m, KV_F32), half = text_of(m, KV_F16), q8 = text_of(m, KV_Q8_0),
                i16 = text_of(m, KV_I16);
    double f16 = nmse(half.want, exact.want, (size_t)LONG * exact.n_out),
           q = nmse(q8.want, exact.want, (size_t)LONG * exact.n_out),
           i = nmse(i16.want, exact.want, (size_t)LONG * exact.n_out);
    print_message("NMSE of logits against f32 KV: f16 %.1e, q8_0 %.1e, i16 %.1e\n", f16, q, i);
    assert_true(f16 < 1e-6 && q < 1e-3 && q > f16 && i < f16);
    struct text k8 = text_of(m, KV_Q8_0_F16), v8 = text_of(m, KV_F16_Q8_0); /* half of the rounding each */
    double k = nmse(k8.want, exact.want, (size_t)LONG * exact.n_out),
           v = nmse(v8.want, exact.want, (size_t)LONG * exact.n_out);
    print_message("K alone of q8_0 %.1e, V alone %.1e\n", k, v);
    assert_true(k > f16 && v > f16 && fabs(k + v - q) < q / 3);
    free(k8.want), free(v8.want);
    struct kv_shape shape = {.n_layer = 4, .n_head_kv = 2, .head_dim = 64, .type = KV_F16};
    size_t bytes = kv_shape_bytes(shape);
    shape.type = KV_F32, assert_int_equal(kv_shape_bytes(shape), 2 * bytes);
    shape.type = KV_Q8_0_F16, assert_int_equal(kv_shape_bytes(shape), bytes * 3 / 4 + bytes / 64);
    shape.type = KV_F16_Q8_0, assert_int_equal(kv_shape_bytes(shape), bytes * 3 / 4 + bytes / 64);
    shape.type = KV_Q8_0, assert_int_equal(kv_shape_bytes(shape), bytes / 2 + bytes / 32); /* int8, and f16 for 32 */
    shape.type = KV_I16, assert_int_equal(kv_shape_bytes(shape), bytes + bytes / 32);      /* and f32 for 64 */
    free(exact.want), free(half.want), free(q8.want), free(i16.want), model_close(&m);
}

/* A trunk of 2048 tokens and 1000 branches of 64 own tokens. */
static void a_thousand_branches_hold_their_own_tokens(void **state) {
    (void)state;
    enum { TRUNK = 2048, OWN = 64, N = 1000 };
    static uint32_t seqs[N];
    struct kv *kv;
    struct error e;
    GOOD(kv_new((struct kv_shape){.n_layer = 1, .n_head_kv = 1, .head_dim = 8, .type = KV_F16}, 4200, N + 1,
                TRUNK + OWN, &kv, &e));
    uint32_t trunk = kv_seq_new(kv, kv_holder_new(kv));
    struct kv_need need = {trunk, TRUNK};
    GOOD(kv_reserve(kv, &need, 1, &e));
    kv_advance(kv, trunk, TRUNK);
    for (int i = 0; i < N; i++) seqs[i] = kv_fork(kv, trunk);
    assert_int_equal(kv_stats(kv).pages_used, TRUNK / KV_PAGE);
    for (uint32_t own = 0; own < OWN; own++)
        for (int i = 0; i < N; i++) {
            need = (struct kv_need){seqs[i], 1};
            GOOD(kv_reserve(kv, &need, 1, &e));
            kv_advance(kv, seqs[i], 1);
        }
    double page = (double)kv_page_bytes(kv), held = page * kv_stats(kv).pages_used,
           least = page / KV_PAGE * (TRUNK + N * OWN);
    print_message("%.0f bytes held, %.0f is the least\n", held, least);
    assert_true(held <= 1.1 * least);
    kv_free(&kv);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_pieces_give_the_same_bits),   cmocka_unit_test(any_batch_gives_the_same_bits),
        cmocka_unit_test(random_trees_give_the_same_bits), cmocka_unit_test(chunks_are_one_softmax),
        cmocka_unit_test(rounding_of_kv_is_small),         cmocka_unit_test(a_thousand_branches_hold_their_own_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
