/* cmd_solve.c: the main job: a problem, the greedy answer, the search with its tree, the verified answer and what it cost.
 * Not a measurement: cmd_eval.c runs over files.
 * Next: solve/solver.c. */
#include <string.h>
#include <unistd.h>

#include "base/input.h"
#include "base/mem.h"
#include "cli/command.h"
#include "solve/draw.h"
#include "cli/search_flags.h"
#include "solve/explain.h"
#include "solve/report.h"
#include "solve/tree_file.h"

struct options {
    struct session_options session;
    struct search_options search;
    const char *file, *trace;
    bool json, quiet, explain;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    VALUE_FLAGS(struct options, session),
    DRAFT_FLAG(struct options, session),
    {"file", "f", FLAG_TEXT, offsetof(struct options, file), NULL, 0, 0, "FILE",
     "the problem, instead of words behind the flags; - = standard input"},
    {"quiet", "q", FLAG_YES, offsetof(struct options, quiet), NULL, 0, 0, NULL, "no greedy answer first, no tree"},
    TRACE_FLAG(struct options, trace),
    EXPLAIN_FLAG(struct options, explain),
    {"json", NULL, FLAG_YES, offsetof(struct options, json), NULL, 0, 0, NULL,
     "the outcome as one JSON object on stdout"},
    COMPUTE_FLAGS(struct options, session),
    COLOR_FLAGS,
    {0},
};

static void print_answer(const struct outcome *o, const struct terminal *term, FILE *to) {
    static const char *const verdicts[] = {"wrong", "right", ""}, *const colors[] = {"31", "32", "0"};
    if (!o->finished) {
        fprintf(to, "no answer (stopped: %s)\n", why_name(o->why));
        return;
    }
    fprintf(to, "%s", *o->answer ? o->answer : "the text names no answer");
    if (o->verdict != VERDICT_NONE) fprintf(to, "   ");
    if (term->color) fprintf(to, "\033[1;%sm", colors[o->verdict]);
    fprintf(to, "%s%s\n", verdicts[o->verdict], term->color ? "\033[0m" : "");
}

/* The same policy without search, for comparison. */
static enum status show_greedy(const struct solver *s, const struct problem *p, struct error *e) {
    struct terminal term = terminal_of(STDERR_FILENO);
    struct solver greedy = *s;
    struct outcome o;
    greedy.strategy = strategy_find("greedy");
    greedy.common.budget = (struct budget){.simulations = 1};
    enum status st = solver_run(&greedy, p, NULL, NULL, &o, e);
    if (st) return st;
    fprintf(stderr, "greedy: ");
    print_answer(&o, &term, stderr);
    outcome_free(&o);
    return OK;
}

/* Search with the tree on stderr, unless quiet. */
static enum status search_heard(const struct options *o, const struct solver *s, const struct problem *p,
                                struct outcome *out, struct error *e) {
    struct draw draw = {.to = stderr, .term = terminal_of(STDERR_FILENO), .title = p->text, .words = p->task->style->prose};
    if (!o->quiet) fprintf(stderr, "%s:\n", s->strategy->name);
    struct explainer why = {.solver = s, .problem = p, .next = o->quiet ? NULL : draw_event, .arg = &draw};
    struct tree_origin origin = {&o->session, &o->search};
    enum status st = tree_file_record(o->trace, &origin, s, p, o->explain ? explain_event : why.next,
                                      o->explain ? (void *)&why : &draw, out, e);
    draw_free(&draw);
    if (!st && !o->quiet && !o->explain) report_votes(out, stderr);
    if (!st && why.text.n) fputs(why.text.data, stderr);
    buffer_free(&why.text);
    return st;
}

static int print_outcome(const struct solver *s, const struct problem *p, const struct outcome *o, bool json) {
    struct terminal term = terminal_of(STDOUT_FILENO);
    if (json) {
        json_t *object = report_outcome(p, o);
        json_object_update_new(object, report_settings(s));
        json_dumpf(object, stdout, REPORT_JSON);
        putchar('\n');
        json_decref(object);
    } else {
        if (p->task->style->prose && o->text) printf("%s\n\nanswer: ", o->text + strspn(o->text, " \n"));
        print_answer(o, &term, stdout);
        if (o->verdict == VERDICT_WRONG && p->task->oracle && p->task->oracle(p, "") == 0)
            puts("there is no solution: nothing made of these numbers reaches the target");
        report_cost(&o->cost, o->ms / 1e3, stdout);
    }
    return o->finished && *o->answer && o->verdict != VERDICT_WRONG ? EXIT_GOOD : EXIT_FAILED;
}

static enum status solve_open(const struct options *o, const struct solver *s, const struct problem *p,
                              struct outcome *out, struct error *e) {
    enum status st = OK;
    if (!o->quiet && strcmp(s->strategy->name, "greedy")) st = show_greedy(s, p, e);
    if (!st) st = search_heard(o, s, p, out, e);
    if (!st && *out->trouble) {
        st = error_set(e, ERR_INPUT, "%s", out->trouble);
        outcome_free(out);
    }
    return st;
}

static int solve(const struct args *a, const struct options *o, struct solver *s, const struct problem *p) {
    struct session session;
    struct outcome out;
    struct error e;
    struct session_size size = {.branches = solver_branches(s), .with_prm = true};
    enum status st = session_open(&o->session, &size, &session, &e);
    if (!st) session_remark("solve", &session);
    if (!st) st = solver_attach(s, &session, &e);
    if (!st) st = solve_open(o, s, p, &out, &e);
    int code = st ? args_failed(a, e.text) : print_outcome(s, p, &out, o->json);
    if (!st) outcome_free(&out);
    solver_close(s);
    session_close(&session);
    return code;
}

/* From the words behind the flags, or from --file: for mem_free; NULL after one line on stderr. */
static char *read_problem(const struct args *a, const struct options *o, int *code) {
    enum { MOST = 1 << 20 };
    char *text = NULL;
    size_t size;
    struct error e;
    if (o->file && a->n_rest) {
        *code = args_wrong(a, "--file and \"%.60s\": give one of them", a->rest[0]);
    } else if (o->file) {
        if (input_read(strcmp(o->file, "-") ? o->file : NULL, &text, &size, &e)) *code = args_failed(a, e.text);
        else if (strlen(text) == size) return text;
        else *code = args_failed(a, "--file: holds a NUL byte");
    } else if (!(text = mem_new(MOST, 1))) {
        *code = args_failed(a, "no memory for the problem");
    } else {
        if (!args_join(a, text, MOST)) *code = args_wrong(a, "the problem has more than %d bytes", MOST - 1);
        else if (!*text) *code = args_wrong(a, "the problem is missing: a puzzle as in ponder solve \"4 7 8 8\", or a question");
        else return text;
    }
    mem_free(text);
    return NULL;
}

int cmd_solve(int argc, char **argv) {
    struct options o = {.search = SEARCH_OPTIONS};
    struct args a = {
        .command = "solve",
        .usage = "PROBLEM",
        .flags = flags,
        .options = &o,
        .parts = {{search_flags, &o.search}, {search_task_flags, &o.search}, {strategy_flags(), &o.search}},
        .about = "PROBLEM: four numbers to reach 24, \"4 7 8 8\"; or three to six and a target, \"4 7 8 -> 20\".\n"
                 "With the model of someone else (-m FILE): a problem in words, given through its chat template.\n"
                 "The answer is checked after the search; exit code 0 when it is right (in words: when there is\n"
                 "one), 1 when not.\n"};
    struct solver s;
    struct problem p;
    struct error e;
    int code = args_parse(&a, argc, argv);
    char *text = code == ARGS_GO_ON ? read_problem(&a, &o, &code) : NULL;
    if (!text) return code;
    o.search.problem = text;
    code = search_setup(&a, &o.search, &o.session, &s);
    if (code == ARGS_GO_ON && solver_parse(s.task, text, &p, &e)) code = args_wrong(&a, "%s", e.text);
    else if (code == ARGS_GO_ON) {
        code = solve(&a, &o, &s, &p);
        problem_free(&p);
    }
    mem_free(text);
    return code;
}
