/* cmd_bench_fork.c: ponder bench fork and bandwidth: what a fork costs, and what memory gives.
 * Not a search: cmd_bench_replay.c.
 * Next: model/kv.h. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "bench/bench_out.h"
#include "bench/probe.h"
#include "model/kv.h"
#include "search/eval_model.h"
#include "solve/session.h"

enum { LIVE = 4096, STEP_ROUNDS = 11, FORKS = 1000, COPIES = 32, PROBE_BYTES = 1 << 28 };

struct options {
    struct bench_options common;
    struct session_options session; /* only its model */
    const char *contexts;
};

static const struct flag fork_flags[] = {
    MODEL_FLAG(struct options, session),
    {"ctx", "c", FLAG_TEXT, offsetof(struct options, contexts), "64,512,4096", 0, 0, "N[,N...]",
     "tokens of the branch that is forked"},
    BENCH_FLAGS(struct options, common, "101"),
    {0},
};
static const struct flag bandwidth_flags[] = {
    BENCH_FLAGS(struct options, common, "9"),
    {0},
};

/* ---- forks ---- */

/* A branch of n tokens in a cache of the model's shape; no model need be run for that. */
struct forking {
    struct kv *kv;
    uint32_t trunk, seqs[LIVE];
    struct samples fork, drop, copy, live; /* nanoseconds of one; live: of each of 4,096 that all stay */
};

static enum status open_forking(struct forking *f, const struct model_config *c, uint32_t n, struct error *e) {
    *f = (struct forking){0};
    enum status s = kv_new(engine_kv_shape(c, KV_I16), n / KV_PAGE + 2 + 2 * COPIES, LIVE + 1, n + KV_PAGE, &f->kv, e);
    if (s) return s;
    struct kv_holder *h = kv_holder_new(f->kv);
    if (!h) return error_set(e, ERR_MEMORY, "no memory for a holder of pages");
    f->trunk = kv_seq_new(f->kv, h);
    struct kv_need need = {f->trunk, n};
    if ((s = kv_reserve(f->kv, &need, 1, e))) return s;
    kv_advance(f->kv, f->trunk, n);
    return OK;
}

static void time_forks(struct forking *f) {
    uint64_t start = clock_ns();
    for (int i = 0; i < FORKS; i++) f->seqs[i] = kv_fork(f->kv, f->trunk);
    uint64_t middle = clock_ns();
    for (int i = 0; i < FORKS; i++) kv_drop(f->kv, &f->seqs[i]);
    samples_add(&f->fork, (double)(middle - start) / FORKS);
    samples_add(&f->drop, (double)(clock_ns() - middle) / FORKS);
}

static void time_live(struct forking *f) {
    uint64_t start = clock_ns();
    for (int i = 0; i < LIVE; i++) f->seqs[i] = kv_fork(f->kv, f->trunk);
    samples_add(&f->live, (double)(clock_ns() - start) / LIVE);
    for (int i = 0; i < LIVE; i++) kv_drop(f->kv, &f->seqs[i]);
}

/* The room for a branch's first own token: a copy of the page that it shares, or a page of its own. */
static enum status time_copies(struct forking *f, struct error *e) {
    struct kv_need needs[COPIES];
    for (int i = 0; i < COPIES; i++) needs[i] = (struct kv_need){f->seqs[i] = kv_fork(f->kv, f->trunk), 1};
    uint64_t start = clock_ns();
    enum status s = kv_reserve(f->kv, needs, COPIES, e);
    samples_add(&f->copy, (double)(clock_ns() - start) / COPIES);
    for (int i = 0; i < COPIES; i++) kv_drop(f->kv, &f->seqs[i]);
    return s;
}

/* The same through the evaluator of a search, on a prompt of n tokens that was read: what a strategy pays for a branch. */
struct forking_whole {
    struct team *team;
    struct engine *engine;
    struct tok *tok;
    struct eval_model *model;
    struct evaluator ev;
    int32_t *prompt; /* [n] */
    branch_id branches[LIVE];
    struct samples fork, drop;
    struct samples beside; /* time of a token beside 4,095 idle branches, alone = 1 */
};

static enum status open_whole(struct forking_whole *f, struct model *m, uint32_t n, struct error *e) {
    struct engine_params ep = {
        .n_pages = n / KV_PAGE + 4, .n_seqs = LIVE + 2, .max_tokens = n + KV_PAGE, .max_rows = 256};
    *f = (struct forking_whole){.prompt = mem_new(n, sizeof *f->prompt)};
    if (!f->prompt) return error_set(e, ERR_MEMORY, "no memory for a prompt of %u tokens", n);
    for (uint32_t i = 0; i < n; i++) f->prompt[i] = (int32_t)(i % 11);
    enum status s = tok_open(m->file, &f->tok, e);
    if (!s) s = team_new(cpu_count(), &f->team, e);
    if (!s) s = engine_new(m, f->team, &ep, &f->engine, e);
    struct eval_params p = {.policy = f->engine,
                            .verifier = VERIFIER_LOGPROB,
                            .tok = f->tok,
                            .sampling = {.top_p = 1},
                            .max_step_tokens = 1,
                            .max_tokens = n + 1,
                            .max_branches = LIVE + 1,
                            .max_batch = 1,
                            .separator = -1,
                            .prompt_tokens = f->prompt,
                            .n_prompt_tokens = n};
    return s ? s : eval_model_open(&p, NULL, &f->model, &f->ev, e);
}

static enum status time_whole(struct forking_whole *f, struct error *e) {
    enum status s = OK;
    uint64_t start = clock_ns();
    for (int i = 0; i < FORKS && !s; i++) s = f->ev.fork(f->ev.self, f->ev.root, &f->branches[i], e);
    uint64_t middle = clock_ns();
    for (int i = 0; i < FORKS; i++) f->ev.drop(f->ev.self, &f->branches[i]);
    samples_add(&f->fork, (double)(middle - start) / FORKS);
    samples_add(&f->drop, (double)(clock_ns() - middle) / FORKS);
    return s;
}

/* One token on a branch of its own. */
static enum status time_step(struct forking_whole *f, uint64_t *ns, struct error *e) {
    struct step step = {0};
    enum status s = f->ev.fork(f->ev.self, f->ev.root, &step.branch, e);
    uint64_t start = clock_ns();
    if (!s) s = f->ev.extend(f->ev.self, &step, 1, e);
    *ns = clock_ns() - start;
    f->ev.drop(f->ev.self, &step.branch);
    return s;
}

static enum status time_beside(struct forking_whole *f, struct error *e) {
    uint64_t alone, beside;
    enum status s = time_step(f, &alone, e);
    int n = 0;
    while (!s && n < LIVE - 1 && !(s = f->ev.fork(f->ev.self, f->ev.root, &f->branches[n], e))) n++;
    if (!s) s = time_step(f, &beside, e);
    while (n--) f->ev.drop(f->ev.self, &f->branches[n]);
    if (!s) samples_add(&f->beside, (double)beside / (double)alone);
    return s;
}

static void close_whole(struct forking_whole *f) {
    eval_model_close(&f->model);
    engine_free(&f->engine), team_free(&f->team), tok_close(&f->tok);
    mem_free(f->prompt);
}

enum status bench_fork_row(struct bench_out *out, struct model *m, uint32_t n, int rounds, struct error *e) {
    static struct forking f;
    static struct forking_whole whole;
    enum status s = open_forking(&f, &m->config, n, e);
    if (!s) s = open_whole(&whole, m, n, e);
    for (int r = 0; !s && r < rounds; r++) {
        time_forks(&f);
        s = time_copies(&f, e);
        time_live(&f);
        if (!s) s = time_whole(&whole, e);
        if (!s && r < STEP_ROUNDS) s = time_beside(&whole, e);
    }
    if (!s) {
        json_t *row = json_object();
        json_object_set_new(row, "bench", json_string("fork"));
        json_object_set_new(row, "model", json_string(bench_model_name(gguf_name(m->file))));
        json_object_set_new(row, "ctx", json_integer(n));
        json_object_set_new(row, "threads", json_integer(1));
        bench_metric(row, "ns_per_fork", &f.fork);
        json_object_set_new(row, "ns_evaluator_fork", json_real(samples_median(&whole.fork)));
        json_object_set_new(row, "ns_evaluator_drop", json_real(samples_median(&whole.drop)));
        json_object_set_new(row, "ns_per_drop", json_real(samples_median(&f.drop)));
        json_object_set_new(row, "ns_first_token_room", json_real(samples_median(&f.copy)));
        json_object_set_new(row, "ns_fork_of_4096_live", json_real(samples_median(&f.live)));
        json_object_set_new(row, "step_beside_4095_idle", json_real(samples_median(&whole.beside)));
        json_object_set_new(row, "page_bytes", json_integer((json_int_t)kv_page_bytes(f.kv)));
        bench_row(out, row);
    }
    kv_free(&f.kv);
    close_whole(&whole);
    return s;
}

int bench_fork(int argc, char **argv) {
    struct options o = {0};
    struct bench_numbers contexts;
    struct bench_out out;
    struct model *m = NULL;
    struct error e;
    struct args a = {.command = "bench fork",
                     .usage = "",
                     .flags = fork_flags,
                     .options = &o,
                     .about = "Nanoseconds of forking a branch, of dropping it, and of the room for its first own "
                              "token, in a KV cache of\n"
                              "the model's shape; and of forking and dropping through the evaluator of a search.\n"};
    int code = bench_parse(&a, argc, argv);
    if (code == ARGS_GO_ON) code = bench_list(&a, "ctx", o.contexts, 1, 1 << 20, &contexts);
    if (code != ARGS_GO_ON) return code;
    enum status s = session_open_model(o.session.model, "policy", &m, &e);
    bench_out_open(&out, &o.common);
    for (int i = 0; !s && i < contexts.n; i++) s = bench_fork_row(&out, m, contexts.x[i], (int)o.common.rounds, &e);
    bench_out_close(&out, s == OK);
    if (m) model_close(&m);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}

/* ---- memory ---- */

static void run_bandwidth(struct bench_out *out, struct team *team, const struct probe_memory *memory, int n_members) {
    static struct samples read, ghz, vector;
    read.n = ghz.n = vector.n = 0;
    for (int r = 0; r < out->options->rounds; r++) {
        samples_add(&read, probe_read_rate(memory, team, n_members));
        samples_add(&ghz, probe_ghz());
        samples_add(&vector, probe_vector_rate());
    }
    json_t *row = json_object();
    json_object_set_new(row, "bench", json_string("bandwidth"));
    json_object_set_new(row, "threads", json_integer(n_members));
    bench_metric(row, "read_gb_per_second", &read);
    json_object_set_new(row, "ghz", json_real(samples_median(&ghz)));
    json_object_set_new(row, "vector_ops_per_cycle", json_real(samples_median(&vector) / samples_median(&ghz)));
    bench_row(out, row);
}

int bench_bandwidth(int argc, char **argv) {
    struct options o = {0};
    struct bench_out out;
    struct probe_memory memory = {0};
    struct team *team = NULL;
    struct error e;
    struct args a = {.command = "bench bandwidth",
                     .usage = "",
                     .flags = bandwidth_flags,
                     .options = &o,
                     .about = "How fast memory is read by one thread and by all, and the clock.\n"};
    int code = bench_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    enum status s = team_new(bench_threads(&o.common), &team, &e);
    if (!s) s = probe_memory_new(&memory, PROBE_BYTES, &e);
    bench_out_open(&out, &o.common);
    if (!s) run_bandwidth(&out, team, &memory, 1);
    if (!s && team_size(team) > 1) run_bandwidth(&out, team, &memory, team_size(team));
    bench_out_close(&out, s == OK);
    probe_memory_free(&memory);
    team_free(&team);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
