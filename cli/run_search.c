/* run_search.c: see run_search.h.
 * Not for puzzles: cmd_solve.c.
 * Next: solve/solver.c. */
#include "cli/run_search.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/flags_session.h"
#include "cli/search_flags.h"
#include "solve/draw.h"
#include "solve/explain.h"
#include "solve/report.h"
#include "solve/tree_file.h"

/* Flags of run that a search has no use for: better refused than passed over. */
static int check_flags(const struct args *a) {
    static const char *const others[] = {"draft-min", "draft-p-min"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (args_given(a, others[i])) return args_wrong(a, "--%s: not together with --search", others[i]);
    return ARGS_GO_ON;
}

static int setup(const struct args *a, const struct run_search *r, struct session_options *models, struct solver *s) {
    const struct sampling_options *o = r->sampling;
    uint64_t seed = sampling_seed(o->seed);
    r->search->seed = (int64_t)seed;
    r->search->task = "math", r->search->raw = true;
    r->search->words = *o;
    r->search->lookup = r->speculative->lookup, r->search->draft_max = r->speculative->max;
    r->search->top_k = o->top_k < 0 ? 0 : o->top_k, r->search->top_p = o->top_p, r->search->min_p = o->min_p;
    r->search->special = r->special, r->search->max_new = o->n > 0 ? o->n : 0;
    const struct strategy *strategy = strategy_find(r->search->search);
    bool cold = strategy && (strategy->without & WITHOUT_TEMPERATURE);
    if (!cold || args_given(a, "temp")) r->search->temp = o->temp; /* it is refused where nobody uses it */
    int code = search_setup(a, r->search, models, s);
    if (code != ARGS_GO_ON) return code;
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    return ARGS_GO_ON;
}

static const char *what_allows_more(enum why_stopped why) {
    switch (why) {
    case WHY_TIME: return "--max-ms";
    case WHY_TOKENS: return "--max-tokens";
    case WHY_FLOPS: return "--max-gflops";
    default: return "--max-depth, --max-step-tokens, -n or -c";
    }
}

static enum status search(const struct run_search *r, const struct session_options *models, const struct solver *s,
                          struct error *e) {
    struct problem p;
    struct outcome out = {0};
    struct draw d = {.to = stderr, .term = terminal_of(STDERR_FILENO), .title = r->text, .words = true};
    struct explainer why = {.solver = s, .problem = &p, .next = draw_event, .arg = &d};
    struct tree_origin origin = {models, r->search};
    enum status st = s->task->parse_text(s->task, r->text, &p, e);
    if (st) return st;
    st = tree_file_record(r->trace, &origin, s, &p, r->explain ? explain_event : draw_event,
                          r->explain ? (void *)&why : &d, &out, e);
    if (!st && *out.trouble) st = error_set(e, ERR_INPUT, "--prompt: %s", out.trouble);
    if (!st && (out.finished || out.unfinished)) {
        printf("%s%s\n", r->hide_prompt ? "" : r->text, out.finished ? out.text : out.unfinished);
        fflush(stdout); /* what comes next is on stderr */
        if (out.answer && *out.answer) fprintf(stderr, "answer: %s\n", out.answer);
    }
    if (!st && !r->explain) report_votes(&out, stderr);
    if (!st && why.text.n) fputs(why.text.data, stderr);
    if (!st) report_cost(&out.cost, out.ms / 1e3, stderr);
    if (!st && !out.finished)
        st = error_set(e, ERR_INPUT, "no chain came to its end (stopped: %s)%s: allow more with %s", why_name(out.why),
                       out.unfinished ? ", the most promising one is shown" : "", what_allows_more(out.why));
    draw_free(&d);
    buffer_free(&why.text);
    outcome_free(&out);
    problem_free(&p);
    return st;
}

int run_search(const struct args *a, const struct run_search *r) {
    struct solver solver;
    struct session session;
    struct error e;
    int code = check_flags(a);
    struct session_options o = *r->session;
    if (code == ARGS_GO_ON) code = setup(a, r, &o, &solver);
    if (code != ARGS_GO_ON) return code;
    struct session_size size = {.branches = solver_branches(&solver), .with_prm = true};
    enum status s = session_open(&o, &size, &session, &e);
    if (!s) session_remark("run", &session);
    if (!s) s = solver_attach(&solver, &session, &e);
    if (!s) s = search(r, &o, &solver, &e);
    solver_close(&solver);
    session_close(&session);
    return s ? args_failed(a, e.text) : EXIT_GOOD;
}
