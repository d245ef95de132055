/* cmd_calibrate.c: how well the reward model tells reachable from unreachable states, step by step.
 * Not an evaluation of searches: cmd_eval.c.
 * Next: prm/calibration.h for the measures. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "prm/calibration.h"
#include "solve/problems.h"
#include "solve/solver.h"

enum { MAX_STEPS = 64, CHAINS = 64 };

struct options {
    struct session_options session;
    const char *task, *input;
    int64_t chains, seed, limit;
    double temp;
    bool json;
};

static const struct flag flags[] = {
    {"input", NULL, FLAG_TEXT, offsetof(struct options, input), NULL, 0, 0, "FILE", "problems, one a line"},
    {"task", NULL, FLAG_TEXT, offsetof(struct options, task), "game24", 0, 0, "NAME",
     "one whose exact values are known: game24, countdown ..."},
    MODEL_FLAG(struct options, session),
    PRM_FLAG(struct options, session),
    {"chains", NULL, FLAG_INT, offsetof(struct options, chains), "8", 1, CHAINS, "N",
     "chains sampled for each problem"},
    {"temp", NULL, FLAG_REAL, offsetof(struct options, temp), "1", 0, 100, "X", "temperature of the chains"},
    {"limit", NULL, FLAG_INT, offsetof(struct options, limit), "1000000", 1, 1e9, "N", "problems taken from the file"},
    {"seed", "s", FLAG_INT, offsetof(struct options, seed), "1", 0, 9e15, "N", "of the chains"},
    {"json", NULL, FLAG_YES, offsetof(struct options, json), NULL, 0, 0, NULL,
     "one JSON line per step instead of a table"},
    COMPUTE_FLAGS(struct options, session),
    {0},
};

/* Scores and truths by step. */
struct pool {
    struct judged *items[MAX_STEPS];
    size_t n[MAX_STEPS], cap[MAX_STEPS];
};

static bool pool_add(struct pool *p, int step, float score, int truth) {
    if (p->n[step] == p->cap[step]) {
        size_t cap = p->cap[step] ? 2 * p->cap[step] : 1024;
        struct judged *grown = mem_grow(p->items[step], p->n[step], cap, sizeof *grown);
        if (!grown) return false;
        p->items[step] = grown, p->cap[step] = cap;
    }
    p->items[step][p->n[step]++] = (struct judged){score, truth};
    return true;
}

/* Adds a chain's newest step with the task's exact truth; what takes too long to know is left out. */
static bool judge_step(const struct problem *p, struct pool *pool, int step, float score, const char *text,
                       bool finished) {
    float truth = finished ? problem_verdict(p, text) == VERDICT_RIGHT : problem_oracle(p, text);
    return truth < 0 || pool_add(pool, step, score, truth > 0.5f);
}

/* Samples chains of one problem in lockstep; every new step is scored and judged. */
static enum status judge_problem(const struct eval_params *ep, const struct problem *p, const struct options *o,
                                 struct pool *pool, struct error *e) {
    struct eval_model *m;
    struct evaluator ev;
    struct step steps[CHAINS];
    branch_id branches[CHAINS];
    float values[CHAINS];
    uint64_t key = rng_fold((uint64_t)o->seed, hash_bytes(p->text, strlen(p->text)));
    enum status s = eval_model_open(ep, p->text, &m, &ev, e);
    if (s) return s;
    size_t n = (size_t)o->chains;
    for (size_t i = 0; i < n && !s; i++) s = ev.fork(ev.self, ev.root, &branches[i], e);
    uint64_t keys[CHAINS];
    for (size_t i = 0; i < n; i++) keys[i] = rng_fold(key, i);
    int depth = p->max_depth && p->max_depth < MAX_STEPS ? (int)p->max_depth : MAX_STEPS;
    for (int step = 0; step < depth && n && !s; step++) {
        for (size_t i = 0; i < n; i++)
            steps[i] = (struct step){
                .branch = branches[i], .key = rng_fold(keys[i], (uint64_t)step), .temperature = (float)o->temp};
        if ((s = ev.extend(ev.self, steps, n, e)) || (s = ev.score(ev.self, branches, n, values, e))) break;
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
            bool scored = steps[i].end == STEP_SEPARATOR || steps[i].end == STEP_FINISHED;
            if (scored &&
                !judge_step(p, pool, step, values[i], eval_model_text(m, branches[i]), steps[i].end == STEP_FINISHED))
                s = error_set(e, ERR_MEMORY, "no memory for the scores");
            if (steps[i].end == STEP_SEPARATOR) keys[kept] = keys[i], branches[kept++] = branches[i];
        }
        n = kept;
    }
    eval_model_close(&m);
    return s;
}

static void report(struct pool *pool, bool json) {
    if (!json) printf("step       n  reachable     AUC     ECE   Brier\n");
    for (int i = 0; i < MAX_STEPS; i++) {
        if (!pool->n[i]) continue;
        struct calibration c = calibrate(pool->items[i], pool->n[i]);
        double share = (double)c.n_true / (double)c.n;
        char auc[32] = "null"; /* there is none without both outcomes */
        if (isfinite(c.auc)) snprintf(auc, sizeof auc, "%.4f", c.auc);
        if (json)
            printf("{\"step\":%d,\"n\":%zu,\"reachable\":%.4f,\"auc\":%s,\"ece\":%.4f,\"brier\":%.4f}\n", i + 1, c.n,
                   share, auc, c.ece, c.brier);
        else printf("%4d %7zu     %6.3f  %6.4f  %6.4f  %6.4f\n", i + 1, c.n, share, c.auc, c.ece, c.brier);
    }
}

static enum status run(const struct options *o, const struct session *s, const struct task *task,
                       const struct problems *problems, struct pool *pool, struct error *e) {
    struct eval_params ep = {.policy = s->policy.engine,
                             .prm = s->prm.engine,
                             .reader = s->reader,
                             .tok = s->tok,
                             .agg = s->prm_info.agg,
                             .sampling = {.top_p = 1},
                             .max_step_tokens = task->style->max_step_tokens,
                             .max_tokens = s->ctx,
                             .max_branches = CHAINS + 1,
                             .max_batch = CHAINS,
                             .separator = tok_find(s->tok, "\n")};
    const volatile int *cancel = cancel_install();
    enum status st = OK;
    for (uint32_t i = 0; !st && i < problems->n && !*cancel; i++)
        st = judge_problem(&ep, &problems->items[i], o, pool, e);
    return st;
}

int cmd_calibrate(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "calibrate",
                     .usage = "",
                     .flags = flags,
                     .options = &o,
                     .about =
                         "Scores of the reward model on the policy's own chains against exact reachability, by step."};
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    const struct task *task = task_find(o.task);
    if (!task) return args_wrong(&a, "--task: \"%.60s\" is none of %s", o.task, task_names);
    if (!task->oracle) return args_wrong(&a, "--task: nobody knows the exact values of %s", o.task);
    if (!o.input) return args_wrong(&a, "--input: a file of problems is needed");
    struct error e = {""};
    struct problems problems;
    if (problems_read(o.input, task, (uint64_t)o.limit, 0, 0, &problems, &e)) return args_failed(&a, e.text);
    struct session s;
    struct pool pool = {0};
    struct session_size size = {.branches = CHAINS + 1, .with_prm = true};
    enum status st = session_open(&o.session, &size, &s, &e);
    if (!st) session_remark("calibrate", &s);
    if (!st && !s.prm.model) st = error_set(&e, ERR_INPUT, "--prm %s: a reward model is needed", o.session.prm);
    if (!st) st = run(&o, &s, task, &problems, &pool, &e);
    problems_free(&problems);
    if (!st) report(&pool, o.json);
    for (int i = 0; i < MAX_STEPS; i++) mem_free(pool.items[i]);
    session_close(&s);
    return st ? args_failed(&a, e.text) : EXIT_GOOD;
}
