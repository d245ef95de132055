/* cmd_eval.c: accuracy and cost of one search over a file of problems; resumable.
 * Not a sweep over searches: run it once for each.
 * Next: solve/eval_run.c. */
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "cli/command.h"
#include "cli/search_flags.h"
#include "solve/eval_run.h"
#include "solve/report.h"

struct options {
    struct session_options session;
    struct search_options search;
    const char *input, *out;
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
    {"in-flight", NULL, FLAG_INT, offsetof(struct options, in_flight), NULL, 1, 256, "W",
     "problems at a time (default: 4 a thread; 1 to measure latency)"},
    MODEL_FLAG(struct options, session),
    PRM_FLAG(struct options, session),
    VERIFIER_FLAG(struct options, session),
    COMPUTE_FLAGS(struct options, session),
    {0},
};

/* ---- header ---- */

static void cpu_name(char *text, size_t cap) {
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(text, cap, "unknown");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
            snprintf(text, cap, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"), strchr(line, ':') + 2);
            break;
        }
    if (f) fclose(f);
}

static json_t *hex(uint64_t hash) {
    char text[20];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    return json_string(text);
}

/* Everything that the lines depend on, times included: a file never mixes two settings. */
static enum status make_header(const struct options *o, const struct eval_run *r, json_t **out, struct error *e) {
    uint64_t policy, prm;
    char text[160], now[32];
    struct utsname host;
    const struct session *session = r->solver->session;
    json_t *h = json_pack("{s:s,s:i}", "format", "ponder-results", "version", 1);
    enum status s = session_hash(o->session.model, "policy", &policy, e);
    if (!s && session->prm.model) s = session_hash(o->session.prm, "prm", &prm, e);
    if (s) {
        json_decref(h);
        return s;
    }
    json_object_set_new(h, "model", hex(policy));
    json_object_set_new(h, "prm", session->prm.model ? hex(prm) : json_string(session->oracle ? "oracle" : "none"));
    json_object_set_new(h, "input", hex(r->problems->hash));
    json_object_set_new(h, "problems", json_integer(r->problems->n));
    json_object_update_new(h, report_settings(r->solver));
    json_object_set_new(h, "git", json_string(version_commit));
    json_object_set_new(h, "host", json_string(uname(&host) ? "unknown" : host.nodename));
    cpu_name(text, sizeof text);
    json_object_set_new(h, "cpu", json_string(text));
    json_object_set_new(h, "kernels", json_string(ops_get()->name));
    json_object_set_new(h, "threads", json_integer(session->threads));
    json_object_set_new(h, "in_flight", json_integer(r->in_flight));
    time_t t = time(NULL);
    struct tm utc;
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &utc));
    json_object_set_new(h, "started", json_string(now));
    *out = h;
    return OK;
}

/* ---- summary ---- */

static json_t *summary_json(const struct eval_run *r, const struct summary *sum, const json_t *header) {
    const struct solver *s = r->solver;
    const struct ledger *c = &sum->cost;
    json_t *j = json_pack("{s:s,s:s,s:I,s:I,s:I,s:f,s:[f,f],s:I,s:I,s:I,s:I,s:f}", "task", s->task->name, "search",
                          s->strategy->name, "budget", (json_int_t)s->common.budget.simulations, "n",
                          (json_int_t)sum->n, "correct", (json_int_t)sum->correct, "accuracy", sum->accuracy, "ci95",
                          sum->low, sum->high, "generated_tokens", (json_int_t)c->generated_tokens, "prm_tokens",
                          (json_int_t)c->prm_tokens, "policy_flops", (json_int_t)c->policy_flops, "prm_flops",
                          (json_int_t)c->prm_flops, "seconds", r->seconds);
    json_t *why = json_object();
    for (int w = WHY_DONE; w <= WHY_ERROR; w++)
        if (sum->by_why[w]) json_object_set_new(why, why_name((enum why_stopped)w), json_integer(sum->by_why[w]));
    json_object_set_new(j, "median_ms", json_real(sum->median_ms));
    json_object_set_new(j, "p95_ms", json_real(sum->p95_ms));
    json_object_set_new(j, "why", why);
    json_t *ledger = json_object();
    report_add_ledger(ledger, c, true);
    json_object_update_missing(j, ledger); /* the fields that are not there yet */
    json_object_update_missing(j, (json_t *)header);
    json_decref(ledger);
    const char *of_the_file[] = {"format", "version", "started"};
    for (int i = 0; i < 3; i++) json_object_del(j, of_the_file[i]);
    return j;
}

static void print_table(const struct eval_run *r, const struct summary *sum) {
    const struct solver *s = r->solver;
    printf("%s, %s, budget %llu, seed %llu\n", s->task->name, s->strategy->name,
           (unsigned long long)s->common.budget.simulations, (unsigned long long)s->seed);
    printf("right     %u of %u: %.1f%% (95%%: %.1f to %.1f)\n", sum->correct, sum->n, 100 * sum->accuracy,
           100 * sum->low, 100 * sum->high);
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
    json_t *j = summary_json(r, &sum, header);
    json_dumpf(j, stdout, REPORT_JSON);
    putchar('\n');
    json_decref(j);
}

/* ---- the command ---- */

static int evaluate(const struct args *a, const struct options *o, struct eval_run *r) {
    struct results results;
    struct error e;
    json_t *header = NULL;
    enum status s = make_header(o, r, &header, &e);
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
    if (!task_has_words(s->task)) return most;
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
    if ((code = search_setup(&a, &o.search, o.session.model, &solver)) != ARGS_GO_ON) return code;
    if (problems_read(o.input, solver.task, (uint64_t)o.limit, (uint64_t)o.sample, solver.seed, &problems, &e))
        return args_failed(&a, e.text);
    for (uint32_t i = 0; i < problems.n; i++)
        if (problem_verdict(&problems.items[i], "") == VERDICT_NONE) {
            code = args_wrong(&a, "%s: problem %s has no answer to compare with", o.input, problems.items[i].id);
            problems_free(&problems);
            return code;
        }
    if (task_has_words(solver.task) && !args_given(&a, "prm")) o.session.prm = "none";
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
