/* bench_run.c: see bench_run.h.
 * Not a sampler: tokens are drawn beforehand, as other programs' benchmarks do it, so that the same work is timed.
 * Next: cmd_bench_model.c. */
#include "bench/bench_run.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "solve/session.h"

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* What all cases together need. */
struct room {
    uint32_t depth, prompt, branches, gen, tokens, pages;
};

static struct room room_of(const struct bench_case *cases, size_t n) {
    struct room r = {.branches = 1};
    for (size_t i = 0; i < n; i++) {
        const struct bench_case *c = &cases[i];
        r.depth = larger(r.depth, c->depth), r.prompt = larger(r.prompt, c->prompt);
        r.branches = larger(r.branches, c->branches), r.gen = larger(r.gen, c->gen);
        r.pages = larger(r.pages, c->branches * (c->gen / KV_PAGE + 2));
    }
    r.tokens = larger(r.prompt, r.depth + r.gen + 1);
    r.pages = larger(r.pages, r.prompt / KV_PAGE + 2) + r.depth / KV_PAGE + 2;
    return r;
}

static enum status new_engine(struct subject *s, const struct room *r, uint32_t ubatch, enum kv_type type,
                              struct error *e) {
    const struct model_config *c = &s->model->config;
    if (r->tokens > c->n_ctx)
        return error_set(e, ERR_INPUT, "%s: %u tokens wanted; the model was trained for %u", gguf_name(s->model->file),
                         r->tokens, c->n_ctx);
    struct engine_params p = {.n_pages = r->pages,
                              .n_seqs = r->branches + 4,
                              .max_tokens = r->tokens,
                              .max_rows = larger(ubatch, r->branches),
                              .kv_type = type};
    enum status st = engine_new(s->model, s->team, &p, &s->engine, e);
    return st ? st : engine_client_new(s->engine, NULL, &s->client, e);
}

enum status subject_open(struct subject *s, const char *model, int threads, uint32_t ubatch, enum kv_type type,
                         const struct bench_case *cases, size_t n_cases, struct error *e) {
    const struct room r = room_of(cases, n_cases);
    *s = (struct subject){.n_tokens = r.tokens, .trunk_len = r.depth};
    enum status st = session_open_model(model, "policy", &s->model, e);
    if (!st) st = team_new(threads, &s->team, e);
    if (!st) st = new_engine(s, &r, ubatch, type, e);
    if (st) return st;
    s->tokens = mem_new(r.tokens, sizeof *s->tokens);
    s->logits = mem_new((size_t)r.branches * engine_n_out(s->engine), sizeof *s->logits);
    s->spans = mem_new(r.branches, sizeof *s->spans);
    s->seqs = mem_new(r.branches, sizeof *s->seqs);
    if (!s->tokens || !s->logits || !s->spans || !s->seqs)
        return error_set(e, ERR_MEMORY, "no memory for %u branches", r.branches);
    for (uint32_t i = 0; i < r.tokens; i++) s->tokens[i] = (int32_t)rng_below(1, i, s->model->config.n_vocab);
    return OK;
}

void subject_close(struct subject *s) {
    if (s->client) engine_client_free(&s->client);
    engine_free(&s->engine);
    team_free(&s->team);
    if (s->model) model_close(&s->model);
    mem_free(s->tokens);
    mem_free(s->logits);
    mem_free(s->spans);
    mem_free(s->seqs);
    *s = (struct subject){0};
}

size_t subject_pass_bytes(const struct subject *s) {
    const struct model *m = s->model;
    size_t n = (size_t)m->head.rows * m->head.row_bytes;
    for (uint32_t l = 0; l < m->config.n_layer; l++) {
        const struct layer *a = &m->layers[l];
        const struct matrix *all[] = {&a->q, &a->k, &a->v, &a->out, &a->gate, &a->up, &a->down};
        for (int i = 0; i < 7; i++) n += (size_t)all[i]->rows * all[i]->row_bytes;
    }
    return n;
}

static enum status run_prefill(struct subject *s, uint32_t n, double *seconds, struct error *e) {
    uint32_t seq = engine_seq_new(s->client);
    struct span span = {.seq = seq, .n_tokens = n, .n_out = 1, .tokens = s->tokens, .out = s->logits};
    uint64_t start = clock_ns();
    enum status st = engine_run(s->client, &span, 1, NULL, e);
    *seconds = (double)(clock_ns() - start) / 1e9;
    engine_drop(s->client, &seq);
    return st;
}

/* The trunk cut to `depth` tokens; sharing pages, so nothing is read again. */
static uint32_t context_of(struct subject *s, uint32_t depth) {
    uint32_t seq = s->trunk ? engine_fork(s->client, s->trunk) : engine_seq_new(s->client);
    engine_truncate(s->client, seq, depth);
    return seq;
}

static enum status run_branches(struct subject *s, const struct bench_case *c, double *seconds, struct error *e) {
    uint32_t base = context_of(s, c->depth), n_out = engine_n_out(s->engine);
    uint64_t start = clock_ns();
    enum status st = OK;
    for (uint32_t i = 0; i < c->branches; i++) s->seqs[i] = engine_fork(s->client, base);
    for (uint32_t t = 0; !st && t < c->gen; t++) {
        for (uint32_t i = 0; i < c->branches; i++)
            s->spans[i] =
                (struct span){s->seqs[i], 1, 1, &s->tokens[(i + t) % s->n_tokens], s->logits + (size_t)i * n_out};
        st = engine_run(s->client, s->spans, c->branches, NULL, e);
    }
    *seconds = (double)(clock_ns() - start) / 1e9;
    for (uint32_t i = 0; i < c->branches; i++) engine_drop(s->client, &s->seqs[i]);
    engine_drop(s->client, &base);
    return st;
}

enum status subject_warm(struct subject *s, struct error *e) {
    const struct bench_case little = {"decode", 0, s->trunk_len, 1, 1};
    double seconds;
    enum status st = OK;
    if (s->trunk_len) {
        s->trunk = engine_seq_new(s->client);
        struct span span = {.seq = s->trunk, .n_tokens = s->trunk_len, .tokens = s->tokens};
        st = engine_run(s->client, &span, 1, NULL, e);
    }
    return st ? st : run_branches(s, &little, &seconds, e);
}

enum status subject_run(struct subject *s, const struct bench_case *c, double *tokens_per_second, struct error *e) {
    double seconds = 0;
    bool prefill = c->prompt > 0;
    enum status st = prefill ? run_prefill(s, c->prompt, &seconds, e) : run_branches(s, c, &seconds, e);
    *tokens_per_second = (prefill ? c->prompt : (double)c->branches * c->gen) / seconds;
    return st;
}
