/* cmd_bench_model.c: ponder bench decode, prefill and tree.
 * Not the timing: bench_run.c.
 * Next: peer.c, which runs other programs between our rounds. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "bench/bench.h"
#include "bench/bench_run.h"
#include "bench/peer.h"
#include "solve/session.h"
#include "weights/embedded.h"

enum { MAX_CASES = 32, PROBE_BYTES = 1 << 28 };

struct options {
    struct bench_options common;
    struct session_options session; /* only its model and type of KV */
    const char *prompt, *depth, *branches;
    const char *llama_bench, *batched_bench;
    int64_t gen, ubatch;
};

#define MODEL_FLAGS                                                                                                    \
    MODEL_FLAG(struct options, session), CACHE_FLAGS(struct options, session), {                                       \
        "ubatch", "ub", FLAG_INT, offsetof(struct options, ubatch), "512", 1, 65536, "N", "most rows of one pass"      \
    }
#define GEN_FLAG(n)                                                                                                    \
    { "gen", "n", FLAG_INT, offsetof(struct options, gen), n, 1, 1 << 20, "N", "tokens of each branch" }
#define PROMPT_FLAG                                                                                                    \
    { "prompt", "p", FLAG_TEXT, offsetof(struct options, prompt), "512", 0, 0, "N[,N...]", "tokens of the prompt" }

#define LLAMA_BENCH_FLAG                                                                                               \
    {                                                                                                                  \
        "vs-llama-bench", NULL, FLAG_TEXT, offsetof(struct options, llama_bench), NULL, 0, 0, "PATH",                  \
            "compare with this llama-bench, in turn"                                                                   \
    }

static const struct flag decode_flags[] = {
    MODEL_FLAGS,
    {"depth", "d", FLAG_TEXT, offsetof(struct options, depth), "0", 0, 0, "N[,N...]", "tokens that are there before"},
    GEN_FLAG("64"),
    LLAMA_BENCH_FLAG,
    BENCH_FLAGS(struct options, common, "5"),
    {0},
};
static const struct flag prefill_flags[] = {
    MODEL_FLAGS, PROMPT_FLAG, LLAMA_BENCH_FLAG, BENCH_FLAGS(struct options, common, "5"), {0},
};
static const struct flag tree_flags[] = {
    MODEL_FLAGS,
    PROMPT_FLAG,
    {"branches", "b", FLAG_TEXT, offsetof(struct options, branches), "1,4,16,32,64", 0, 0, "N[,N...]",
     "branches that share the prompt"},
    GEN_FLAG("32"),
    {"vs-batched-bench", NULL, FLAG_TEXT, offsetof(struct options, batched_bench), NULL, 0, 0, "PATH",
     "compare with this llama-batched-bench, in turn"},
    BENCH_FLAGS(struct options, common, "3"),
    {0},
};

/* All that is measured in turn. */
struct bench {
    const struct options *o;
    enum kv_type cache;
    struct bench_case cases[MAX_CASES];
    size_t n_cases;
    struct subject subject;
    struct probe_memory memory;
    struct peer peer;
    struct rates {
        struct samples ours, theirs, ratio; /* theirs and ratio: only with a peer; one ratio a round */
    } * rates;                              /* [n_cases] */
    struct samples read, ghz, vector;
};

static enum status open_peer(struct bench *b, struct error *e) {
    const struct options *o = b->o;
    struct peer *p = &b->peer;
    *p = (struct peer){.kind = o->llama_bench     ? PEER_LLAMA_BENCH
                               : o->batched_bench ? PEER_BATCHED_BENCH
                                                  : PEER_NONE,
                       .path = o->llama_bench ? o->llama_bench : o->batched_bench,
                       .model = gguf_name(b->subject.model->file),
                       .threads = bench_threads(&o->common),
                       .ubatch = (uint32_t)o->ubatch};
    if (!p->kind) return OK;
    if (access(p->model, R_OK))
        return error_set(e, ERR_INPUT, "%s: not a file that another program could read; give --model FILE", p->model);
    return peer_prepare(p, b->cases, b->n_cases, e);
}

static enum status open_bench(struct bench *b, struct error *e) {
    b->rates = mem_new(b->n_cases, sizeof *b->rates);
    if (!b->rates) return error_set(e, ERR_MEMORY, "no memory for the samples");
    enum status s = session_cache_type(&b->o->session, &b->cache, e);
    if (!s) s = probe_memory_new(&b->memory, PROBE_BYTES, e);
    if (!s)
        s = subject_open(&b->subject, b->o->session.model, bench_threads(&b->o->common), (uint32_t)b->o->ubatch,
                         b->cache, b->cases, b->n_cases, e);
    if (!s) s = open_peer(b, e);
    return s ? s : subject_warm(&b->subject, e);
}

static void close_bench(struct bench *b) {
    subject_close(&b->subject);
    probe_memory_free(&b->memory);
    mem_free(b->rates);
}

static void probe(struct bench *b) {
    samples_add(&b->read, probe_read_rate(&b->memory, b->subject.team, team_size(b->subject.team)));
    samples_add(&b->ghz, probe_ghz());
    samples_add(&b->vector, probe_vector_rate());
}

/* One run of every case: rates [n_cases] grow by it. */
static enum status run_ours(struct bench *b, double *rates, struct error *e) {
    enum status s = OK;
    for (size_t i = 0; !s && i < b->n_cases; i++) {
        double rate;
        s = subject_run(&b->subject, &b->cases[i], &rate, e);
        samples_add(&b->rates[i].ours, rate);
        rates[i] += rate;
    }
    return s;
}

static enum status run_theirs(struct bench *b, double *rates, struct error *e) {
    double once[MAX_CASES];
    enum status s = peer_measure(&b->peer, b->cases, b->n_cases, once, e);
    for (size_t i = 0; !s && i < b->n_cases; i++) {
        samples_add(&b->rates[i].theirs, once[i]);
        rates[i] += once[i];
    }
    return s;
}

/* With a peer: ours, theirs, theirs, ours, so that neither gains when the computer slows down or speeds up. */
static enum status run_round(struct bench *b, struct error *e) {
    double ours[MAX_CASES] = {0}, theirs[MAX_CASES] = {0};
    probe(b);
    enum status s = run_ours(b, ours, e);
    if (s || !b->peer.kind) return s;
    s = run_theirs(b, theirs, e);
    if (!s) s = run_theirs(b, theirs, e);
    if (!s) s = run_ours(b, ours, e);
    for (size_t i = 0; !s && i < b->n_cases; i++) samples_add(&b->rates[i].ratio, ours[i] / theirs[i]);
    return s;
}

/* Where the row stands under the roofs of memory and arithmetic (Williams et al. 2009): multiplications with weights, attention
 * not counted, a second, and for each byte of weights that a pass reads. */
static void add_roofline(json_t *row, const struct bench *b, const struct bench_case *c, double rate) {
    const struct model *m = b->subject.model;
    double head = (double)m->head.rows * m->head.cols,
           macs = (double)m->n_weights + (c->prompt ? head / c->prompt : head);
    double rows = c->prompt ? (c->prompt < b->o->ubatch ? c->prompt : (double)b->o->ubatch) : c->branches;
    json_object_set_new(row, "gmac_per_second", json_real(macs * rate / 1e9));
    json_object_set_new(row, "mac_per_byte", json_real(macs * rows / (double)subject_pass_bytes(&b->subject)));
}

/* What a reader needs to judge a rate: how near to memory, how quiet the computer. */
static void add_machine(json_t *row, const struct bench *b, const struct bench_case *c, double rate) {
    double read = samples_median(&b->read);
    if (!c->prompt) {
        double bytes = (double)subject_pass_bytes(&b->subject);
        json_object_set_new(row, "weight_gb_per_second", json_real(bytes * rate / c->branches / 1e9));
        json_object_set_new(row, "of_read_bandwidth", json_real(bytes * rate / c->branches / 1e9 / read));
    }
    add_roofline(row, b, c, rate);
    json_object_set_new(row, "read_gb_per_second", json_real(read));
    json_object_set_new(row, "ghz", json_real(samples_median(&b->ghz)));
    json_object_set_new(row, "vector_ops_per_cycle", json_real(samples_median(&b->vector) / samples_median(&b->ghz)));
}

static void add_peer(json_t *row, const struct bench *b, const struct rates *r) {
    json_object_set_new(row, "peer", json_string(b->peer.version));
    json_object_set_new(row, "peer_flash_attention", json_boolean(b->peer.flash));
    samples_report(row, "peer_tokens_per_second", "peer_", &r->theirs);
    samples_report(row, "ratio", "ratio_", &r->ratio);
}

static void add_row(struct bench_out *out, const struct bench *b, size_t i) {
    const struct bench_case *c = &b->cases[i];
    json_t *row = json_object();
    json_object_set_new(row, "bench", json_string(c->bench));
    json_object_set_new(row, "model", json_string(bench_model_name(gguf_name(b->subject.model->file))));
    json_object_set_new(row, "kv", json_string(session_cache_name(b->cache)));
    if (!strcmp(c->bench, "decode")) json_object_set_new(row, "depth", json_integer(c->depth));
    else json_object_set_new(row, "prompt", json_integer(c->prompt ? c->prompt : c->depth));
    if (!strcmp(c->bench, "tree")) json_object_set_new(row, "branches", json_integer(c->branches));
    if (c->gen) json_object_set_new(row, "gen", json_integer(c->gen));
    bench_metric(row, "tokens_per_second", &b->rates[i].ours);
    if (b->peer.kind) add_peer(row, b, &b->rates[i]);
    add_machine(row, b, c, samples_median(&b->rates[i].ours));
    bench_row(out, row);
}

/* Measures the cases of b with its model and prints their rows. */
static enum status run_cases(struct bench *b, struct bench_out *out, struct error *e) {
    enum status s = open_bench(b, e);
    for (int r = 0; !s && r < b->o->common.rounds; r++) s = run_round(b, e);
    for (size_t i = 0; !s && i < b->n_cases; i++) add_row(out, b, i);
    close_bench(b);
    return s;
}

static int run_bench(const struct args *a, struct bench *b) {
    struct error e;
    struct bench_out out;
    const char *peer = b->o->llama_bench ? b->o->llama_bench : b->o->batched_bench;
    if (peer && !*peer)
        return args_wrong(a, "--vs-%s-bench: \"\" is no path of a program", b->o->llama_bench ? "llama" : "batched");
    bench_out_open(&out, &b->o->common);
    enum status s = run_cases(b, &out, &e);
    bench_out_close(&out, s == OK);
    return s ? args_failed(a, e.text) : EXIT_GOOD;
}

int bench_decode(int argc, char **argv) {
    struct options o = {0};
    struct bench b = {.o = &o};
    struct bench_numbers depths;
    struct args a = {.command = "bench decode",
                     .usage = "",
                     .about = "Tokens per second of one branch, at empty and at deep contexts.\n",
                     .flags = decode_flags,
                     .options = &o};
    int code = bench_parse(&a, argc, argv);
    if (code == ARGS_GO_ON) code = bench_list(&a, "depth", o.depth, 0, 1 << 20, &depths);
    if (code != ARGS_GO_ON) return code;
    for (int i = 0; i < depths.n; i++)
        b.cases[b.n_cases++] = (struct bench_case){"decode", 0, depths.x[i], 1, (uint32_t)o.gen};
    return run_bench(&a, &b);
}

int bench_prefill(int argc, char **argv) {
    struct options o = {0};
    struct bench b = {.o = &o};
    struct bench_numbers prompts;
    struct args a = {.command = "bench prefill",
                     .usage = "",
                     .about = "Tokens per second of reading a prompt.\n",
                     .flags = prefill_flags,
                     .options = &o};
    int code = bench_parse(&a, argc, argv);
    if (code == ARGS_GO_ON) code = bench_list(&a, "prompt", o.prompt, 1, 1 << 20, &prompts);
    if (code != ARGS_GO_ON) return code;
    for (int i = 0; i < prompts.n; i++) b.cases[b.n_cases++] = (struct bench_case){"prefill", prompts.x[i], 0, 1, 0};
    return run_bench(&a, &b);
}

int bench_tree(int argc, char **argv) {
    struct options o = {0};
    struct bench b = {.o = &o};
    struct bench_numbers prompts, branches;
    struct args a = {
        .command = "bench tree",
        .usage = "",
        .about = "Tokens per second, all branches together, that share one prompt: it is read once and forked.\n",
        .flags = tree_flags,
        .options = &o};
    int code = bench_parse(&a, argc, argv);
    if (code == ARGS_GO_ON) code = bench_list(&a, "prompt", o.prompt, 1, 1 << 20, &prompts);
    if (code == ARGS_GO_ON) code = bench_list(&a, "branches", o.branches, 1, SUBJECT_MAX_BRANCHES, &branches);
    if (code != ARGS_GO_ON) return code;
    if (prompts.n * branches.n > MAX_CASES)
        return args_wrong(&a, "%d rows; at most %d at once", prompts.n * branches.n, MAX_CASES);
    for (int i = 0; i < prompts.n; i++)
        for (int j = 0; j < branches.n; j++)
            b.cases[b.n_cases++] = (struct bench_case){"tree", 0, prompts.x[i], branches.x[j], (uint32_t)o.gen};
    return run_bench(&a, &b);
}

/* A short look at one model; what is longer than it was trained for is left out. */
static enum status look_at(const struct options *o, const char *model, struct bench_out *out, struct error *e) {
    static const struct bench_case cases[] = {{"prefill", 128, 0, 1, 0}, {"decode", 0, 0, 1, 64},
                                              {"tree", 0, 64, 1, 32},    {"tree", 0, 64, 4, 32},
                                              {"tree", 0, 64, 16, 32},   {"tree", 0, 64, 64, 32}};
    static const uint32_t contexts[] = {512, 4096};
    struct options own = *o;
    struct bench b = {.o = &own};
    struct model *m;
    own.session.model = model, own.ubatch = 512;
    enum status s = session_open_model(model, "policy", &m, e);
    if (s) return s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cases[i].prompt + cases[i].depth + cases[i].gen < m->config.n_ctx) b.cases[b.n_cases++] = cases[i];
    s = b.n_cases ? run_cases(&b, out, e) : OK;
    for (size_t i = 0; !s && i < sizeof contexts / sizeof *contexts; i++)
        s = bench_fork_row(out, m, contexts[i], 101, e);
    model_close(&m);
    return s;
}

static const struct flag look_flags[] = {
    MODEL_FLAG(struct options, session), BENCH_FLAGS(struct options, common, "5"), {0}};

int bench_look(int argc, char **argv) {
    struct options o = {0};
    struct bench_out out;
    struct error e;
    struct args a = {
        .command = "bench",
        .usage = "[PART]",
        .about =
            "Measures speed on this computer.  Without a PART: a short look at the models inside the binary, or at\n"
            "--model FILE.\n",
        .flags = look_flags,
        .options = &o};
    int code = bench_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    enum status s = OK;
    bench_out_open(&out, &o.common);
    if (args_given(&a, "model") || !embedded_table->name) s = look_at(&o, o.session.model, &out, &e);
    else
        for (const struct embedded *m = embedded_table; !s && m->name; m++) s = look_at(&o, m->name, &out, &e);
    bench_out_close(&out, s == OK);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
