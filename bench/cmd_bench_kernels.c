/* cmd_bench_kernels.c: ponder bench kernels and attention: what one core reaches, in cycles, and what memory allows.
 * Not the kernels' operands: bench_kernels.c.
 * Next: docs/BENCH.md.
 *
 * Cycles are time multiplied by the clock that probe.c finds in the same round, so that numbers of different days and
 * machines can be compared. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/blas.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "bench/bench_kernels.h"
#include "bench/bench_out.h"
#include "bench/probe.h"
#include "solve/session.h"

/* Many rows: a matrix that stays in the second-level cache.  One row: one that no cache holds. */
enum { COLS = 2048, CACHED_ROWS = 256, STREAM_BYTES = 1 << 27, MIN_NS = 10000000 };

struct options {
    struct bench_options common;
    const char *types, *tokens, *contexts, *queries;
    int64_t head_dim;
    struct session_options session; /* only its cache types */
};

static const struct flag kernel_flags[] = {
    {"types", NULL, FLAG_TEXT, offsetof(struct options, types), "F32,F16,BF16,Q8_0,Q4_0,Q5_0,Q4_K,Q5_K,Q6_K", 0, 0,
     "T[,T...]", "tensor types"},
    {"tokens", "n", FLAG_TEXT, offsetof(struct options, tokens), "1,4,16,64,256", 0, 0, "N[,N...]",
     "tokens that are multiplied together"},
    BENCH_FLAGS(struct options, common, "5"),
    {0},
};
static const struct flag attention_flags[] = {
    {"queries", "n", FLAG_TEXT, offsetof(struct options, queries), "1,4,7,16,64", 0, 0, "N[,N...]",
     "query rows that share the cells"},
    {"ctx", "c", FLAG_TEXT, offsetof(struct options, contexts), "512,4096", 0, 0, "N[,N...]",
     "cells that each of them sees"},
    {"head-dim", NULL, FLAG_INT, offsetof(struct options, head_dim), "64", 8, HEAD_DIM_MAX, "N", "a multiple of 8"},
    CACHE_FLAGS(struct options, session),
    BENCH_FLAGS(struct options, common, "5"),
    {0},
};

/* Nanoseconds of one call: the best of many, so that a round says what the core does while it is ours. */
static double time_calls(void (*call)(void *), void *arg) {
    double best = 1e18;
    uint64_t start = clock_ns(), n = 1, before, now;
    call(arg); /* first touches; and how many calls the clock needs to be exact */
    for (uint64_t once = clock_ns() - start; n * once < MIN_NS / 100; n *= 2) {}
    for (start = now = clock_ns(); now - start < MIN_NS || best == 1e18;) {
        before = now;
        for (uint64_t i = 0; i < n; i++) call(arg);
        now = clock_ns();
        double ns = (double)(now - before) / (double)n;
        best = ns < best ? ns : best;
    }
    return best;
}

/* ---- products ---- */

struct kernel {
    struct product p;
    uint32_t n; /* tokens */
    bool blas;
    struct team *team; /* NULL: the caller alone */
};

static void multiply_part(void *arg, int index, int count) {
    const struct kernel *k = arg;
    uint32_t groups = k->p.rows / PRODUCT_ROWS;
    uint32_t lo = groups * (uint32_t)index / (uint32_t)count, hi = groups * (uint32_t)(index + 1) / (uint32_t)count;
    if (lo < hi) product_run(&k->p, lo * PRODUCT_ROWS, hi * PRODUCT_ROWS, k->n);
}

static void multiply(void *arg) {
    struct kernel *k = arg;
    const struct product *p = &k->p;
    if (k->blas && k->n == 1)
        blas()->sgemv(CblasRowMajor, CblasNoTrans, (int)p->rows, (int)p->cols, 1, p->weights, (int)p->cols, p->x, 1, 0,
                    p->y, 1);
    else if (k->blas)
        blas()->sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)k->n, (int)p->rows, (int)p->cols, 1, p->x,
                    (int)p->cols, p->weights, (int)p->cols, 0, p->y, (int)p->rows);
    else if (k->team) team_run(k->team, multiply_part, k);
    else product_run(p, 0, p->rows, k->n);
}

static json_t *kernel_row(const struct kernel *k, int threads) {
    json_t *row = json_object();
    json_object_set_new(row, "bench", json_string("kernels"));
    json_object_set_new(row, "type", json_string(type_info(k->p.type)->name));
    json_object_set_new(row, "library", json_string(k->blas ? "OpenBLAS" : "ponder"));
    json_object_set_new(row, "tokens", json_integer(k->n));
    json_object_set_new(row, "rows", json_integer(k->p.rows));
    json_object_set_new(row, "cols", json_integer(k->p.cols));
    json_object_set_new(row, "threads", json_integer(threads));
    return row;
}

static enum status run_kernel(struct bench_out *out, struct kernel *k, struct team *team, struct error *e) {
    static struct samples gb, mac, ghz;
    const bool stream = k->n == 1;
    const size_t bytes = type_row_bytes(k->p.type, COLS);
    uint32_t rows = stream ? (uint32_t)(STREAM_BYTES / bytes / PRODUCT_ROWS * PRODUCT_ROWS) : CACHED_ROWS;
    enum status s = product_new(&k->p, k->p.type, rows, COLS, k->n, e);
    k->team = stream ? team : NULL;
    gb.n = mac.n = ghz.n = 0;
    if (!s && k->blas && !(s = blas_open(e))) blas()->set_threads(stream ? team_size(team) : 1);
    for (int r = 0; !s && r < out->options->rounds; r++) {
        samples_add(&ghz, probe_ghz());
        double ns = time_calls(multiply, k), clock = samples_median(&ghz);
        samples_add(&gb, (double)k->p.bytes / ns);
        samples_add(&mac, (double)rows * COLS * k->n / (ns * clock * (stream ? team_size(team) : 1)));
    }
    if (!s) {
        json_t *row = kernel_row(k, stream ? team_size(team) : 1);
        bench_metric(row, stream ? "gb_per_second" : "mac_per_cycle", stream ? &gb : &mac);
        if (stream) json_object_set_new(row, "mac_per_cycle", json_real(samples_median(&mac)));
        json_object_set_new(row, "ghz", json_real(samples_median(&ghz)));
        bench_row(out, row);
    }
    product_free(&k->p);
    return s;
}

static const char *next_type(const char *at, enum tensor_type *type) {
    size_t n = strcspn(at, ",");
    *type = TYPE_COUNT;
    for (uint32_t t = 0; t < TYPE_COUNT; t++) {
        const struct type_info *info = type_info(t);
        if (info && strlen(info->name) == n && !strncasecmp(info->name, at, n)) *type = (enum tensor_type)t;
    }
    return at[n] ? at + n + 1 : NULL;
}

/* ARGS_GO_ON when every word of the list is a type that has a kernel. */
static int check_types(const struct args *a, const char *list) {
    for (const char *at = list, *next; at; at = next) {
        enum tensor_type type;
        next = next_type(at, &type);
        if (type == TYPE_COUNT || !product_possible(type))
            return args_wrong(a, "--types: \"%.*s\" is no tensor type that has a kernel, such as Q8_0",
                              (int)(strcspn(at, ",") & 63), at);
    }
    return ARGS_GO_ON;
}

int bench_kernels(int argc, char **argv) {
    struct options o = {0};
    struct bench_numbers tokens;
    struct bench_out out;
    struct team *team = NULL;
    struct error e;
    struct args a = {
        .command = "bench kernels",
        .usage = "",
        .flags = kernel_flags,
        .options = &o,
        .about = "Matrix products by tensor type: one token as GB/s of weights read from memory by all threads, more\n"
                 "tokens as multiply-accumulates per cycle of one core.  OpenBLAS beside F32.\n"};
    int code = bench_parse(&a, argc, argv);
    if (code == ARGS_GO_ON) code = check_types(&a, o.types);
    if (code == ARGS_GO_ON) code = bench_list(&a, "tokens", o.tokens, 1, 4096, &tokens);
    if (code != ARGS_GO_ON) return code;
    enum status s = team_new(bench_threads(&o.common), &team, &e);
    bench_out_open(&out, &o.common);
    for (const char *at = o.types; !s && at;) {
        enum tensor_type type;
        at = next_type(at, &type);
        for (int blas = 0; blas <= (type == TYPE_F32); blas++)
            for (int i = 0; !s && i < tokens.n; i++) {
                struct kernel k = {.p.type = type, .n = tokens.x[i], .blas = blas};
                s = run_kernel(&out, &k, team, &e);
            }
    }
    team_free(&team);
    bench_out_close(&out, s == OK);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}

/* ---- attention ---- */

static void attend(void *arg) { attend_bench_run(arg); }

static enum status run_attention(struct bench_out *out, enum kv_type type, uint32_t n_rows, uint32_t head_dim,
                                 uint32_t n_cells, struct error *e) {
    static struct samples cycles, ghz;
    struct attention at;
    enum status s = attend_bench_new(&at, type, n_rows, head_dim, n_cells, e);
    cycles.n = ghz.n = 0;
    for (int r = 0; !s && r < out->options->rounds; r++) {
        samples_add(&ghz, probe_ghz());
        samples_add(&cycles, time_calls(attend, &at) * samples_median(&ghz) / n_rows / at.n_cells);
    }
    if (!s) {
        json_t *row = json_object();
        json_object_set_new(row, "bench", json_string("attention"));
        json_object_set_new(row, "queries", json_integer(n_rows));
        json_object_set_new(row, "context", json_integer(at.n_cells));
        json_object_set_new(row, "head_dim", json_integer(head_dim));
        json_object_set_new(row, "kv", json_string(session_cache_name(type)));
        json_object_set_new(row, "threads", json_integer(1));
        bench_metric(row, "cycles_per_cell", &cycles);
        json_object_set_new(row, "ghz", json_real(samples_median(&ghz)));
        bench_row(out, row);
    }
    attend_bench_free(&at);
    return s;
}

int bench_attention(int argc, char **argv) {
    struct options o = {0};
    struct bench_numbers queries, contexts;
    struct bench_out out;
    struct error e;
    enum status s = OK;
    struct args a = {
        .command = "bench attention",
        .usage = "",
        .flags = attention_flags,
        .options = &o,
        .about = "Cycles of one core per visible (query, head, cell), softmax included, by the number of queries that\n"
                 "share the cells (heads of a group times branches) and by context.\n"};
    int code = bench_parse(&a, argc, argv);
    if (code == ARGS_GO_ON) code = bench_list(&a, "queries", o.queries, 1, 4096, &queries);
    if (code == ARGS_GO_ON) code = bench_list(&a, "ctx", o.contexts, KV_PAGE, 1 << 20, &contexts);
    if (code != ARGS_GO_ON) return code;
    if (o.head_dim % 8) return args_wrong(&a, "--head-dim: %lld is no multiple of 8", (long long)o.head_dim);
    enum kv_type type = KV_I16;
    if (session_cache_type(&o.session, &type, &e)) return args_wrong(&a, "%s", e.text);
    bench_out_open(&out, &o.common);
    for (int c = 0; c < contexts.n; c++)
        for (int q = 0; !s && q < queries.n; q++)
            s = run_attention(&out, type, queries.x[q], (uint32_t)o.head_dim, contexts.x[c], &e);
    bench_out_close(&out, s == OK);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
