/* cmd_bench_mix.c: ponder bench mix: one branch decodes while a prompt is read: how long does a token take, and how
 * much slower is the prompt?
 * Not who gets the rows of a pass: model/schedule.c.
 * Next: model/schedule.c. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "bench/bench_run.h"
#include "solve/session.h"

enum { DEPTH = 64, GEN = 64 }; /* the branch that decodes: from 64 tokens to 128, then from 64 again */

struct options {
    struct bench_options common;
    struct session_options session; /* only its model */
    int64_t prompt, ubatch;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    {"prompt", "p", FLAG_INT, offsetof(struct options, prompt), "4000", 64, 1 << 20, "N", "tokens of the prompt"},
    {"ubatch", "ub", FLAG_INT, offsetof(struct options, ubatch), "512", 1, 65536, "N", "most rows of one pass"},
    BENCH_FLAGS(struct options, common, "3"),
    {0},
};

/* Times in ms: of the tokens of one round, and their median and 95th percentile round by round. */
struct times {
    double *x;
    size_t n, cap;
    struct samples median, p95;
};

struct mix {
    const struct options *o;
    struct subject subject;
    struct client *reader; /* of the prompt */
    float *logits;         /* [n_out] of the prompt's last token */
    struct times alone, token, pass;
    struct samples alone_rate, mixed_rate, share; /* of the prompt, tokens a second */
    /* the prompt of this round */
    _Atomic int done;
    double seconds;
    enum status status;
    struct error e;
};

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* More than fit are left out: a round has some thousands at most. */
static void times_add(struct times *t, double ms) {
    if (t->n < t->cap) t->x[t->n++] = ms;
}

static void times_end_round(struct times *t) {
    if (!t->n) return;
    qsort(t->x, t->n, sizeof *t->x, compare);
    samples_add(&t->median, t->x[t->n / 2]);
    samples_add(&t->p95, t->x[(t->n - 1) * 95 / 100]);
    t->n = 0;
}

static void *read_prompt(void *arg) {
    struct mix *m = arg;
    uint32_t seq = engine_seq_new(m->reader);
    struct span span = {seq, (uint32_t)m->o->prompt, 1, m->subject.tokens, m->logits};
    const uint64_t start = clock_ns();
    m->status = engine_run(m->reader, &span, 1, NULL, &m->e);
    m->seconds = (double)(clock_ns() - start) / 1e9;
    engine_drop(m->reader, &seq);
    m->done = 1;
    return NULL;
}

/* The next token of the branch, and how long it took. */
static enum status decode_one(struct mix *m, uint32_t *seq, struct times *t, struct error *e) {
    struct subject *s = &m->subject;
    if (!*seq || engine_len(s->client, *seq) == DEPTH + GEN) {
        engine_drop(s->client, seq);
        *seq = engine_fork(s->client, s->trunk);
        engine_truncate(s->client, *seq, DEPTH);
    }
    struct span span = {*seq, 1, 1, s->tokens + engine_len(s->client, *seq), s->logits};
    const uint64_t start = clock_ns();
    const enum status st = engine_run(s->client, &span, 1, NULL, e);
    times_add(t, (double)(clock_ns() - start) / 1e6);
    return st;
}

static enum status run_round(struct mix *m, struct error *e) {
    struct subject *s = &m->subject;
    uint32_t seq = 0;
    pthread_t thread;
    enum status st = OK;
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 200000000}, NULL); /* nobody is held to be decoding any more */
    read_prompt(m);
    const double alone = m->seconds;
    for (int i = 0; !st && i < GEN; i++) st = decode_one(m, &seq, &m->alone, e);
    if (st) return st;
    m->done = 0;
    if (!m->status && pthread_create(&thread, NULL, read_prompt, m))
        return error_set(e, ERR_MEMORY, "no thread to be had");
    while (!m->status && !m->done && !st) {
        st = decode_one(m, &seq, &m->token, e);
        if (!m->done) times_add(&m->pass, (double)engine_pass_ns(s->engine) / 1e6);
    }
    if (!m->status) pthread_join(thread, NULL);
    engine_drop(s->client, &seq);
    if (m->status) return error_set(e, m->status, "%s", m->e.text);
    if (!m->pass.n)
        return error_set(e, ERR_INPUT, "--prompt %d: it was read before one token was written; give a longer one",
                         (int)m->o->prompt);
    samples_add(&m->alone_rate, (double)m->o->prompt / alone);
    samples_add(&m->mixed_rate, (double)m->o->prompt / m->seconds);
    samples_add(&m->share, alone / m->seconds);
    times_end_round(&m->alone), times_end_round(&m->token), times_end_round(&m->pass);
    return st;
}

static void put_row(const struct mix *m, struct bench_out *out) {
    json_t *row = json_pack("{s:s,s:s,s:I,s:I}", "bench", "mix", "model", bench_model_name(m->o->session.model),
                            "prompt", (json_int_t)m->o->prompt, "ubatch", (json_int_t)m->o->ubatch);
    bench_metric(row, "token_ms", &m->token.median);
    samples_report(row, "token_p95_ms", "token_p95_", &m->token.p95);
    samples_report(row, "token_alone_ms", "token_alone_", &m->alone.median);
    samples_report(row, "pass_ms", "pass_", &m->pass.median);
    samples_report(row, "pass_p95_ms", "pass_p95_", &m->pass.p95);
    samples_report(row, "prompt_tokens_per_second", "prompt_", &m->mixed_rate);
    samples_report(row, "prompt_alone_tokens_per_second", "prompt_alone_", &m->alone_rate);
    samples_report(row, "prompt_share", "prompt_share_", &m->share);
    bench_row(out, row);
}

static enum status open_mix(struct mix *m, struct error *e) {
    const struct bench_case room = {"mix", (uint32_t)m->o->prompt + 2 * GEN, DEPTH + GEN, 1, 1};
    enum status st = subject_open(&m->subject, m->o->session.model, bench_threads(&m->o->common),
                                  (uint32_t)m->o->ubatch, KV_I16, &room, 1, e);
    if (!st) st = engine_client_new(m->subject.engine, NULL, &m->reader, e);
    if (st) return st;
    struct times *all[] = {&m->alone, &m->token, &m->pass};
    for (int i = 0; i < 3; i++)
        if (!(all[i]->x = mem_new(all[i]->cap = 1 << 16, sizeof(double))))
            return error_set(e, ERR_MEMORY, "no memory for times");
    if (!(m->logits = mem_new(engine_n_out(m->subject.engine), sizeof(float))))
        return error_set(e, ERR_MEMORY, "no memory for logits");
    return subject_warm(&m->subject, e);
}

static void close_mix(struct mix *m) {
    mem_free(m->alone.x), mem_free(m->token.x), mem_free(m->pass.x), mem_free(m->logits);
    if (m->reader) engine_client_free(&m->reader);
    subject_close(&m->subject);
}

int bench_mix(int argc, char **argv) {
    static struct mix m;
    struct options o = {0};
    struct bench_out out;
    struct error e;
    struct args a = {.command = "bench mix",
                     .usage = "",
                     .flags = flags,
                     .options = &o,
                     .about = "Milliseconds of a token while a prompt is read, beside those of the branch alone and of "
                              "the passes, and what the\nprompt loses by it (prompt_share: 1 is nothing).\n"};
    int code = bench_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    m = (struct mix){.o = &o};
    bench_out_open(&out, &o.common);
    enum status s = open_mix(&m, &e);
    for (int64_t r = 0; !s && r < o.common.rounds; r++) s = run_round(&m, &e);
    if (!s) put_row(&m, &out);
    bench_out_close(&out, s == OK);
    close_mix(&m);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
