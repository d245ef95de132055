/* engine_check.h: texts with their known outputs, and a random schedule of runs, forks, cuts and drops that must reproduce
 * them bit for bit.
 * Not a test itself.
 * Next: test_engine.c, test_engine_limits.c. */
#ifndef PONDER_TESTS_ENGINE_CHECK_H
#define PONDER_TESTS_ENGINE_CHECK_H

#include "tests/naive_net.h"

#include <pthread.h>

/* ---- models ---- */

/* All heads alike, one kv head for all, groups; odd widths; RoPE on a part of the head; head_dim past one vector. */
static inline struct model_config shape_at(int i) {
    struct model_config c[] = {tiny_config(1, 6, 1, 1, 5), tiny_config(2, 12, 4, 2, 41), tiny_config(2, 9, 3, 1, 7),
                               tiny_config(2, 20, 6, 2, 33)};
    c[1].rope_dim = 4, c[2].head_dim = 24, c[2].rope_dim = 10, c[3].n_vocab = 37;
    return c[i];
}
enum { N_SHAPES = 4 };

/* Rows that fit a Q8_0 block; more kv heads than threads, and fewer. */
static inline struct model_config wide_shape(void) {
    struct model_config c = tiny_config(2, 32, 4, 2, 64);
    c.n_vocab = 45;
    return c;
}

/* ---- an engine with its team ---- */

struct bench {
    struct team *team;
    struct engine *engine;
    struct client *client;
    int threads;
    bool shared; /* the team is another's */
};

static const struct engine_params small_engine = {.n_pages = 512, .n_seqs = 80, .max_tokens = 100, .max_rows = 48};
/* Never in pieces. */
__attribute__((unused)) static const struct engine_params large_engine = {
    .n_pages = 512, .n_seqs = 80, .max_tokens = 100, .max_rows = 2500};

static inline struct bench bench_open(struct model *m, int threads, struct engine_params p) {
    struct bench b = {.threads = threads};
    struct error e;
    GOOD(team_new(threads, &b.team, &e));
    p.max_tokens = p.max_tokens < 128 ? 128 : p.max_tokens;
    p.always_share = true; /* these models are so small that one thread would do all */
    GOOD(engine_new(m, b.team, &p, &b.engine, &e));
    GOOD(engine_client_new(b.engine, NULL, &b.client, &e));
    return b;
}

__attribute__((unused)) static inline struct bench bench_share(struct model *m, const struct bench *with,
                                                               struct engine_params p) {
    struct bench b = {.team = with->team, .threads = with->threads, .shared = true};
    struct error e;
    p.always_share = true;
    GOOD(engine_new(m, b.team, &p, &b.engine, &e));
    GOOD(engine_client_new(b.engine, NULL, &b.client, &e));
    return b;
}

static inline void bench_close(struct bench *b) {
    engine_client_free(&b->client);
    engine_free(&b->engine);
    if (!b->shared) team_free(&b->team);
}

/* Appends tokens; outputs of all of them when out is not NULL. */
static inline void run_tokens(struct bench *b, uint32_t seq, const int32_t *tokens, uint32_t n, float *out) {
    struct span s = {seq, n, out ? n : 0, tokens, out};
    struct error e;
    assert_true(seq != 0);
    GOOD(engine_run(b->client, &s, 1, NULL, &e));
}

/* ---- texts and their outputs ---- */

enum { N_TEXTS = 8, MAX_TEXT = 70, N_LIVE = 12 };

struct texts {
    uint32_t n_out, len[N_TEXTS];
    int32_t tokens[N_TEXTS][MAX_TEXT];
    float *want[N_TEXTS]; /* [len, n_out] */
};

/* Texts of 3 to 70 tokens, on both sides of page borders, that begin alike; each read alone in one piece on one thread. */
static inline struct texts texts_of(struct model *m, uint64_t key) {
    static const uint32_t lengths[N_TEXTS] = {3, 15, 16, 17, 32, 33, 49, 70};
    struct texts x = {.n_out = m->head.rows};
    struct engine_params p = small_engine;
    p.max_rows = MAX_TEXT;
    for (int i = 0; i < N_TEXTS; i++) {
        x.len[i] = lengths[i];
        tiny_tokens(key, m->config.n_vocab, x.tokens[i], lengths[i]);
        for (uint32_t k = lengths[i] / 2; k < lengths[i]; k++) /* the second half is its own */
            x.tokens[i][k] = (int32_t)rng_below(rng_fold(key, (uint64_t)i), k, m->config.n_vocab);
        x.want[i] = malloc(lengths[i] * x.n_out * sizeof(float));
        struct bench b = bench_open(m, 1, p);
        run_tokens(&b, engine_seq_new(b.client), x.tokens[i], lengths[i], x.want[i]);
        bench_close(&b);
    }
    return x;
}

static inline void texts_free(struct texts *x) {
    for (int i = 0; i < N_TEXTS; i++) free(x->want[i]);
}

/* ---- a random schedule ---- */

/* cmocka cannot fail from another thread: the first trouble is kept here. */
static char schedule_failure[512];
static pthread_mutex_t schedule_lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((format(printf, 1, 2))) static inline void schedule_fails(const char *format, ...) {
    va_list list;
    va_start(list, format);
    pthread_mutex_lock(&schedule_lock);
    if (!*schedule_failure) vsnprintf(schedule_failure, sizeof schedule_failure, format, list);
    pthread_mutex_unlock(&schedule_lock);
    va_end(list);
}

struct live {
    uint32_t seq, text, at;
};

/* Each branch gets, by chance, nothing, one token, or a piece; in one call, in a random order. */
static inline void schedule_run(struct bench *b, const struct texts *x, struct live *live, uint64_t key) {
    struct span spans[N_LIVE];
    struct live *of[N_LIVE];
    float *out = malloc(N_LIVE * MAX_TEXT * x->n_out * sizeof *out), *at = out;
    uint32_t n = 0;
    struct error e = {""};
    for (uint32_t i = 0; i < N_LIVE; i++) {
        struct live *l = &live[(i + rng_below(key, 0, N_LIVE)) % N_LIVE];
        uint32_t left = x->len[l->text] - l->at, kind = rng_below(key, 10 + i, 4);
        uint32_t take = kind < 2 ? 1 : kind == 2 ? rng_below(key, 30 + i, 20) : left;
        if (take > left) take = left;
        spans[n] = (struct span){l->seq, take, rng_below(key, 50 + i, take + 1), x->tokens[l->text] + l->at, at};
        at += spans[n].n_out * x->n_out;
        of[n++] = l;
    }
    for (uint32_t i = n - 1; i > 0; i--) { /* shuffle */
        uint32_t k = rng_below(key, 70 + i, i + 1);
        struct span s = spans[i];
        struct live *l = of[i];
        spans[i] = spans[k], of[i] = of[k], spans[k] = s, of[k] = l;
    }
    if (engine_run(b->client, spans, n, NULL, &e)) schedule_fails("engine_run: %s", e.text);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t first = of[i]->at + spans[i].n_tokens - spans[i].n_out;
        const float *want = x->want[of[i]->text] + first * x->n_out;
        of[i]->at += spans[i].n_tokens;
        for (uint32_t k = 0; k < spans[i].n_out * x->n_out; k++)
            if (memcmp(spans[i].out + k, want + k, sizeof *want)) {
                schedule_fails("%d threads: text %u, position %u, output %u is %.9g, expected %.9g", b->threads,
                               of[i]->text, first + k / x->n_out, k % x->n_out, (double)spans[i].out[k],
                               (double)want[k]);
                break;
            }
    }
    free(out);
}

/* Cuts, forks onto a text that begins alike, drops and starts again. */
static inline void schedule_change(struct bench *b, const struct texts *x, struct live *live, uint64_t key) {
    for (uint32_t i = 0; i < N_LIVE; i++) {
        struct live *l = &live[i], *other = &live[rng_below(key, i, N_LIVE)];
        uint32_t text = rng_below(key, 20 + i, N_TEXTS), same = 0;
        switch (rng_below(key, 40 + i, 4)) {
        case 0: /* cut */
            l->at = engine_truncate(b->client, l->seq, rng_below(key, 60 + i, l->at + 1));
            break;
        case 1: /* a fork of another branch goes on with a text that is equal so far; the parent may go first */
            while (same < x->len[text] && same < other->at && x->tokens[text][same] == x->tokens[other->text][same])
                same++;
            if (same < other->at || other == l) break;
            engine_drop(b->client, &l->seq);
            *l = (struct live){engine_fork(b->client, other->seq), text, same};
            if (!l->seq) schedule_fails("no sequence for a fork");
            break;
        case 2:
            if (l->at < x->len[l->text]) break;
            engine_drop(b->client, &l->seq);
            *l = (struct live){engine_seq_new(b->client), text, 0};
            break;
        default: break;
        }
    }
}

static inline void random_schedule(struct bench *b, const struct texts *x, uint64_t key, int rounds) {
    struct live live[N_LIVE];
    for (uint32_t i = 0; i < N_LIVE; i++) live[i] = (struct live){engine_seq_new(b->client), i % N_TEXTS, 0};
    for (int r = 0; r < rounds && !*schedule_failure; r++) {
        schedule_run(b, x, live, rng_fold(key, 2 * (uint64_t)r));
        schedule_change(b, x, live, rng_fold(key, 2 * (uint64_t)r + 1));
    }
    for (uint32_t i = 0; i < N_LIVE; i++) engine_drop(b->client, &live[i].seq);
}

#endif
