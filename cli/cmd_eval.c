/* cmd_eval.c: accuracy and cost of one search over a file of problems; resumable.
 * Not a sweep over searches: run it once for each.
 * Next: solve/eval_run.c. */
#include "cli/command.h"
#include "cli/search_flags.h"
#include "solve/eval_report.h"
#include "solve/report.h"

struct options {
    struct session_options session;
    struct search_options search;
    const char *input, *out;
    const char *shard;
    int64_t limit, sample, in_flight;
    bool json;
};

static const struct flag flags[] = {
    {"input", "i", FLAG_TEXT, offsetof(struct options, input), NULL, 0, 0, "FILE",
     "problems: one puzzle a line, or JSONL (puzzles, or question and answer)"},
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FILE",
     "one JSON line a problem; an unfinished file is continued"},
    {"json", NULL, FLAG_YES, offsetof(struct options, json), NULL, 0, 0, NULL,
     "the summary as one JSON object, last on stdout"},
    {"limit", NULL, FLAG_INT, offsetof(struct options, limit), "0", 0, 1e9, "N", "only the first N problems; 0 = all"},
    {"sample", NULL, FLAG_INT, offsetof(struct options, sample), "0", 0, 1e9, "N",
     "only N random ones of those (by --seed); 0 = all"},
    {"shard", NULL, FLAG_TEXT, offsetof(struct options, shard), NULL, 0, 0, "K/N",
     "only every N-th of those, from the K-th on; ponder merge makes one file of all"},
    {"in-flight", NULL, FLAG_INT, offsetof(struct options, in_flight), NULL, 1, 256, "W",
     "problems at a time (default: 4 a thread; 1 to measure latency)"},
    MODEL_FLAG(struct options, session),
    VALUE_FLAGS(struct options, session),
    DRAFT_FLAG(struct options, session),
    COMPUTE_FLAGS(struct options, session),
    {0},
};

/* ---- summary ---- */

static void print_table(const struct eval_run *r, const struct summary *sum) {
    const struct solver *s = r->solver;
    printf("%s, %s, budget %llu, seed %llu\n", s->task->name, s->strategy->name,
           (unsigned long long)s->common.budget.simulations, (unsigned long long)s->seed);
    printf("right     %u of %u: %.1f%% (95%%: %.1f to %.1f)\n", sum->correct, sum->n, 100 * sum->accuracy,
           100 * sum->ci95.low, 100 * sum->ci95.high);
    printf("stopped  ");
    for (int w = WHY_DONE; w <= WHY_ERROR; w++)
        if (sum->by_why[w]) printf(" %s %u", why_name((enum why_stopped)w), sum->by_why[w]);
    printf("\nper problem %.1f ms (median), %.1f ms (95%%)\n", sum->median_ms, sum->p95_ms);
    report_cost(&sum->cost, r->seconds, stdout);
}

static void print_summary(const struct eval_run *r, const json_t *header, bool json) {
    struct summary sum = eval_summary(r);
    if (!json) {
        print_table(r, &sum);
        return;
    }
    json_t *j = eval_summary_json(r, &sum, header);
    json_dumpf(j, stdout, REPORT_JSON);
    putchar('\n');
    json_decref(j);
}

/* ---- the command ---- */

static int evaluate(const struct args *a, const struct options *o, struct eval_run *r) {
    struct results results;
    struct error e;
    json_t *header = NULL;
    enum status s = eval_header(r, &o->session, version_commit, &header, &e);
    if (!s && o->out) {
        s = results_open(o->out, header, &results, &e);
        if (!s) r->results = &results;
    }
    if (!s) s = eval_run(r, &e);
    if (r->results) results_close(r->results);
    int code = s ? args_failed(a, e.text) : EXIT_GOOD;
    bool stopped = !s && *r->solver->common.cancel;
    if (stopped)
        code = args_failed(a, o->out ? "stopped; the same command goes on from here"
                                     : "stopped; what follows counts only what was finished");
    if (r->scores && (!s || !o->json)) print_summary(r, header, o->json);
    eval_run_free(r);
    json_decref(header);
    return code;
}

/* Problems at a time.  Those in words have chains enough to fill a pass with one or two problems, and each costs memory. */
static int in_flight(const struct options *o, const struct solver *s) {
    int threads = o->session.threads > 0 ? (int)o->session.threads : cpu_count();
    int most = 4 * threads < 256 ? 4 * threads : 256;
    if (o->in_flight) return (int)o->in_flight;
    if (!s->task->style->prose) return most;
    int chains = (int)solver_room(s).batch, enough = 16 / (chains < 16 ? chains : 16);
    return enough < most ? enough : most;
}

int cmd_eval(int argc, char **argv) {
    struct options o = {.search = SEARCH_OPTIONS};
    struct args a = {
        .command = "eval",
        .usage = "",
        .flags = flags,
        .options = &o,
        .parts = {{search_flags, &o.search}, {search_task_flags, &o.search}, {strategy_flags(), &o.search}},
        .about = "Solves every problem of a file with one final answer each, and checks it afterwards.\n"};
    struct solver solver;
    struct problems problems;
    struct session session;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"; the problems come with --input FILE", a.rest[0]);
    if (!o.input) return args_wrong(&a, "--input is missing: a file of problems");
    if ((code = search_setup(&a, &o.search, &o.session, &solver)) != ARGS_GO_ON) return code;
    if (problems_read(o.input, solver.task, (uint64_t)o.limit, (uint64_t)o.sample, solver.seed, &problems, &e))
        return args_failed(&a, e.text);
    if (o.shard && problems_shard(&problems, o.shard, &e)) {
        problems_free(&problems);
        return args_wrong(&a, "%s", e.text);
    }
    for (uint32_t i = 0; i < problems.n; i++)
        if (problem_verdict(&problems.items[i], "") == VERDICT_NONE) {
            code = args_wrong(&a, "%s: problem %s has no answer to compare with", o.input, problems.items[i].id);
            problems_free(&problems);
            return code;
        }
    struct eval_run run = {.solver = &solver, .problems = &problems};
    run.in_flight = in_flight(&o, &solver);
    struct session_size size = {.branches = (uint32_t)run.in_flight * solver_branches(&solver), .with_prm = true};
    enum status s = session_open(&o.session, &size, &session, &e);
    if (!s) session_remark("eval", &session);
    if (!s) s = solver_attach(&solver, &session, &e);
    code = s ? args_failed(&a, e.text) : evaluate(&a, &o, &run);
    solver_close(&solver);
    session_close(&session);
    problems_free(&problems);
    return code;
}
