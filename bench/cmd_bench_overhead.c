/* cmd_bench_overhead.c: ponder bench overhead: the part of a search's time that is not spent in models, and the memory of its tree.
 * Not a comparison of strategies: bench/strategies.sh.
 * Next: search/search.h, whose evaluator is the seam where time is taken. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "bench/bench_out.h"
#include "solve/models.h"
#include "solve/solver.h"

struct options {
    struct bench_options common;
    struct session_options session;
    const char *search, *problem;
    int64_t budget, nodes;
    double temp;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    PRM_FLAG_OR(struct options, session, NULL),
    VERIFIER_FLAG(struct options, session),
    {"search", NULL, FLAG_TEXT, offsetof(struct options, search), "mcts", 0, 0, "NAME", "the strategy"},
    {"budget", NULL, FLAG_INT, offsetof(struct options, budget), NULL, 1, 1e6, "N",
     "chains, beams or tree expansions (default: 1024; 32 for problems in words)"},
    {"problem", NULL, FLAG_TEXT, offsetof(struct options, problem), NULL, 0, 0, "TEXT",
     "what is searched (default: a puzzle, or a question for models of others)"},
    {"temp", NULL, FLAG_REAL, offsetof(struct options, temp), "1", 0, 100, "X",
     "temperature: hotter steps differ more, and give more nodes"},
    {"nodes", NULL, FLAG_INT, offsetof(struct options, nodes), "100000", 2, 1e7, "N",
     "of the tree whose memory is measured"},
    BENCH_FLAGS(struct options, common, "3"),
    {0},
};

/* ---- an evaluator that takes the time of another one ---- */

struct timed {
    const struct evaluator *inner;
    uint64_t model_ns, branch_ns; /* passes of models; what is done for branches, and asked of the task */
};

#define TIMED(field, call)                                                                                             \
    struct timed *t = self;                                                                                            \
    const struct evaluator *in = t->inner;                                                                             \
    uint64_t start = clock_ns();                                                                                       \
    call;                                                                                                              \
    t->field += clock_ns() - start

static enum status extend(void *self, struct step *steps, size_t n, struct error *e) {
    TIMED(model_ns, enum status s = in->extend(in->self, steps, n, e));
    return s;
}
static enum status score(void *self, const branch_id *b, size_t n, float *value, struct error *e) {
    TIMED(model_ns, enum status s = in->score(in->self, b, n, value, e));
    return s;
}
static enum status put(void *self, struct put *puts, size_t n, struct error *e) {
    TIMED(model_ns, enum status s = in->put(in->self, puts, n, e));
    return s;
}
static enum status propose(void *self, struct proposal *p, size_t n, struct error *e) {
    TIMED(model_ns, enum status s = in->propose(in->self, p, n, e));
    return s;
}
static enum status begin(void *self, struct asking *a, size_t n, struct error *e) {
    TIMED(model_ns, enum status s = in->begin(in->self, a, n, e));
    return s;
}
static enum status fork_branch(void *self, branch_id from, branch_id *to, struct error *e) {
    TIMED(branch_ns, enum status s = in->fork(in->self, from, to, e));
    return s;
}
static void drop_branch(void *self, branch_id *b) { TIMED(branch_ns, in->drop(in->self, b)); }
static void evict_branch(void *self, branch_id b) { TIMED(branch_ns, in->evict(in->self, b)); }
static struct feedback check(void *self, branch_id b) {
    TIMED(branch_ns, struct feedback f = in->check(in->self, b));
    return f;
}
static const char *answer(void *self, branch_id b) {
    TIMED(branch_ns, const char *text = in->answer(in->self, b));
    return text;
}
static uint64_t state(void *self, branch_id b) {
    TIMED(branch_ns, uint64_t key = in->state(in->self, b));
    return key;
}
static void limit(void *self, const struct limits *l) { TIMED(branch_ns, in->limit(in->self, l)); }

static struct evaluator timed_evaluator(struct timed *t) {
    struct evaluator ev = *t->inner;
    ev.self = t, ev.limit = limit, ev.fork = fork_branch, ev.drop = drop_branch, ev.evict = evict_branch,
    ev.extend = extend;
    if (ev.score) ev.score = score;
    if (ev.check) ev.check = check;
    if (ev.answer) ev.answer = answer;
    if (ev.state) ev.state = state;
    if (ev.put) ev.put = put;
    if (ev.propose) ev.propose = propose;
    if (ev.begin) ev.begin = begin;
    ev.tell = NULL, ev.value_cost = NULL;
    return ev;
}

/* ---- one search ---- */

static size_t allocated(void) {
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

struct measured {
    struct timed timed;
    size_t before, bytes; /* allocated before the search, and by it at its end */
    uint32_t nodes;
    uint64_t search_ns;
};

static void on_event(void *arg, const struct event *event) {
    struct measured *x = arg;
    if (event->kind != EVENT_DONE) return;
    x->nodes = event->tree->n;
    x->bytes = allocated() - x->before;
}

static enum status run_timed(void *arg, struct solver_search *s, struct outcome *o, struct error *e) {
    struct measured *x = arg;
    x->timed = (struct timed){.inner = s->ev};
    struct evaluator ev = timed_evaluator(&x->timed);
    struct solver_search heard = *s;
    heard.ev = &ev, heard.on_event = on_event, heard.arg = x;
    uint64_t start = clock_ns();
    enum status st = solver_search(&heard, o, e);
    x->search_ns = clock_ns() - start;
    return st;
}

struct rows {
    struct samples strategy, branches, seconds;
    struct measured last;
};

static enum status measure(const struct options *o, const struct solver *s, const struct problem *p, struct rows *r,
                           struct error *e) {
    struct outcome out;
    enum status st = OK;
    for (int i = 0; i < o->common.rounds && !st; i++) {
        r->last = (struct measured){.before = allocated()};
        if ((st = solver_run_tapped(s, p, run_timed, &r->last, &out, e))) break;
        outcome_free(&out);
        const struct measured *x = &r->last;
        double total = (double)x->search_ns, other = total - (double)x->timed.model_ns;
        samples_add(&r->strategy, 100 * (other - (double)x->timed.branch_ns) / total);
        samples_add(&r->branches, 100 * (double)x->timed.branch_ns / total);
        samples_add(&r->seconds, total / 1e9);
    }
    return st;
}

/* ---- a tree of many nodes ---- */

/* Steps of no model: names of branches, texts that differ, values at random. */
struct ghost {
    struct ledger ledger;
    char (*texts)[8]; /* [n_texts] no two are the same */
    uint64_t n, n_texts;
    branch_id next;
};

static enum status ghost_fork(void *self, branch_id from, branch_id *to, struct error *e) {
    struct ghost *g = self;
    (void)from, (void)e;
    *to = ++g->next;
    return OK;
}
static void ghost_drop(void *self, branch_id *b) { (void)self, *b = 0; }
static void ghost_evict(void *self, branch_id b) { (void)self, (void)b; }
static void ghost_limit(void *self, const struct limits *l) { (void)self, (void)l; }

static enum status ghost_extend(void *self, struct step *steps, size_t n, struct error *e) {
    struct ghost *g = self;
    (void)e;
    for (size_t i = 0; i < n; i++) {
        char *text = g->texts[g->n % g->n_texts];
        snprintf(text, sizeof *g->texts, "%x", (unsigned)g->n++);
        steps[i].text = text;
        steps[i].n_tokens = 1, steps[i].n_steps = 1, steps[i].logprob = -1, steps[i].end = STEP_SEPARATOR;
    }
    return OK;
}

static enum status ghost_score(void *self, const branch_id *b, size_t n, float *value, struct error *e) {
    (void)self, (void)e;
    for (size_t i = 0; i < n; i++) value[i] = (float)rng_uniform(7, b[i]);
    return OK;
}

/* Bytes of a tree of n nodes with visits, and the time that each has taken. */
static enum status grow_tree(uint32_t n, double *bytes, double *ns_a_node, struct error *e) {
    struct ghost g = {.next = 1, .n_texts = 2 * (uint64_t)n, .texts = mem_new(2 * (size_t)n, sizeof *g.texts)};
    struct evaluator ev = {.self = &g,
                           .root = 1,
                           .ledger = &g.ledger,
                           .can = CAN_VALUE,
                           .limit = ghost_limit,
                           .fork = ghost_fork,
                           .drop = ghost_drop,
                           .evict = ghost_evict,
                           .extend = ghost_extend,
                           .score = ghost_score};
    struct tree tree;
    struct search_result res;
    struct params params;
    const struct strategy *mcts = strategy_find("mcts");
    strategy_defaults(mcts, false, &params);
    struct search on = {
        .ev = &ev,
        .tree = &tree,
        .common = {.seed = 1, .budget = {.simulations = 50 * (uint64_t)n}, .temperature = 1, .max_depth = 1000}};
    if (!g.texts) return error_set(e, ERR_MEMORY, "no memory for the texts of %u nodes", n);
    size_t before = allocated();
    enum status s = search_open(&tree, &ev, 1, n + 1, e);
    if (s) return s;
    uint64_t start = clock_ns();
    s = search_run(mcts, &on, params.bytes, &res, e);
    *ns_a_node = (double)(clock_ns() - start) / tree.n;
    *bytes = (double)(allocated() - before);
    if (!s && tree.n != n + 1) s = error_set(e, ERR_INPUT, "the tree has %u nodes", tree.n);
    search_close(&tree, &ev);
    mem_free(g.texts);
    return s;
}

/* ---- rows ---- */

static enum status print_rows(const struct options *o, const struct solver *s, struct rows *r, struct error *e) {
    struct bench_out out;
    double bytes = 0, ns = 0;
    enum status st = grow_tree((uint32_t)o->nodes, &bytes, &ns, e);
    if (st) return st;
    bench_out_open(&out, &o->common);
    json_t *row = json_object();
    json_object_set_new(row, "bench", json_string("overhead"));
    json_object_set_new(row, "model", json_string(bench_model_name(gguf_name(s->session->policy.model->file))));
    json_object_set_new(row, "search", json_string(s->strategy->name));
    json_object_set_new(row, "budget", json_integer((json_int_t)s->common.budget.simulations));
    json_object_set_new(row, "nodes", json_integer(r->last.nodes));
    json_object_set_new(row, "seconds", json_real(samples_median(&r->seconds)));
    json_object_set_new(row, "branches_percent", json_real(samples_median(&r->branches)));
    json_object_set_new(row, "bytes_per_node", json_real((double)r->last.bytes / r->last.nodes));
    bench_metric(row, "strategy_percent", &r->strategy);
    bench_row(&out, row);
    row = json_object();
    json_object_set_new(row, "bench", json_string("overhead"));
    json_object_set_new(row, "search", json_string("mcts, steps of no model"));
    json_object_set_new(row, "nodes", json_integer(o->nodes));
    json_object_set_new(row, "tree_mb", json_real(bytes / 1e6));
    json_object_set_new(row, "ns_per_node", json_real(ns));
    json_object_set_new(row, "bytes_per_node", json_real(bytes / (double)o->nodes));
    bench_row(&out, row);
    bench_out_close(&out, true);
    return OK;
}

static enum status run(struct options *o, struct solver *s, struct error *e) {
    static struct rows rows;
    struct session session = {0};
    struct problem p;
    const char *text = o->problem ? o->problem : s->task->style->prose ? "What is 17 * 23 - 5?" : "3 3 8 8";
    enum status st = solver_parse(s->task, text, &p, e);
    if (st) return st;
    struct session_size size = {.branches = solver_branches(s), .with_prm = true};
    if (!(st = solver_models(s, &o->session, e))) st = session_open(&o->session, &size, &session, e);
    if (!st) st = solver_attach(s, &session, e);
    if (!st) st = measure(o, s, &p, &rows, e);
    if (!st) st = print_rows(o, s, &rows, e);
    solver_close(s);
    session_close(&session);
    problem_free(&p);
    return st;
}

int bench_overhead(int argc, char **argv) {
    struct options o = {.session = {.ctx = -1, .kv_mb = 1024, .batch = 2048, .ubatch = 512}};
    struct solver s;
    struct error e;
    const struct task *task;
    struct args a = {
        .command = "bench overhead",
        .usage = "",
        .flags = flags,
        .options = &o,
        .about = "How much of a search's time strategy and tree take (strategy_percent), and branches and the\n"
                 "task's questions (branches_percent); bytes per node, without the KV; and the memory of a tree\n"
                 "of --nodes nodes.\n"};
    int code = bench_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    struct trained known;
    if (models_known(o.session.model, &known, &e) || models_pick(&known, o.problem, &task, &e))
        return args_failed(&a, e.text);
    bool words = task->style->prose;
    struct search_options search = SEARCH_OPTIONS;
    search.search = o.search, search.budget = o.budget ? o.budget : words ? 32 : 1024;
    o.session.threads = o.common.threads;
    if (strategy_find(o.search) && !(strategy_find(o.search)->without & WITHOUT_TEMPERATURE)) search.temp = o.temp;
    if (words && !o.session.verifier) o.session.verifier = "logprob";
    if (strategy_find(o.search) && strategy_param(strategy_find(o.search), "stop-value", 10))
        search.settings = (struct settings){1, {{"stop-value", "2"}}}; /* to the end of the budget */
    if (solver_setup(&s, task, &search, &e)) return args_wrong(&a, "%s", e.text);
    return run(&o, &s, &e) ? args_failed(&a, e.text) : EXIT_GOOD;
}
