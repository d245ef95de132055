/* cmd_solve.c: the main job: a puzzle, the greedy answer, the search with its tree, the verified answer and what it cost.
 * Not a measurement: cmd_eval.c runs over files.
 * Next: solver.c. */
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/draw.h"
#include "cli/report.h"

struct options {
    struct session_options session;
    struct search_options search;
    bool json, quiet;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    PRM_FLAG(struct options, session),
    SEARCH_FLAGS(struct options, search),
    {"quiet", "q", FLAG_YES, offsetof(struct options, quiet), NULL, 0, 0, NULL, "no greedy answer first, no tree"},
    {"json", NULL, FLAG_YES, offsetof(struct options, json), NULL, 0, 0, NULL,
     "the outcome as one JSON object on stdout"},
    COMPUTE_FLAGS(struct options, session),
    {0},
};

static void print_answer(const struct outcome *o, const struct terminal *term, FILE *to) {
    if (!o->finished) {
        fprintf(to, "no answer (stopped: %s)\n", why_name(o->why));
        return;
    }
    fprintf(to, "%s   ", o->answer);
    if (term->color) fprintf(to, "\033[1;%sm", o->correct ? "32" : "31");
    fprintf(to, "%s%s\n", o->correct ? "right" : "wrong", term->color ? "\033[0m" : "");
}

/* The same policy without search, for comparison. */
static enum status show_greedy(const struct solver *s, const struct problem *p, struct error *e) {
    struct terminal term = terminal_of(STDERR_FILENO);
    struct solver greedy = *s;
    struct outcome o;
    greedy.strategy = strategy_find("greedy");
    greedy.params = search_defaults("greedy");
    greedy.params.max_nodes = s->params.max_nodes;
    greedy.params.cancel = s->params.cancel;
    enum status st = solver_run(&greedy, p, NULL, NULL, &o, e);
    if (st) return st;
    fprintf(stderr, "greedy: ");
    print_answer(&o, &term, stderr);
    return OK;
}

/* Search with the tree on stderr, unless quiet. */
static enum status search_drawn(const struct solver *s, const struct problem *p, bool quiet, struct outcome *o,
                                struct error *e) {
    char title[CD_TEXT];
    size_t size = p->task->prompt(p, title, sizeof title);
    while (size && title[size - 1] == '\n') title[--size] = 0;
    struct draw d = {.to = stderr, .term = terminal_of(STDERR_FILENO), .title = title};
    if (!quiet) fprintf(stderr, "%s:\n", s->strategy->name);
    enum status st = solver_run(s, p, quiet ? NULL : draw_event, &d, o, e);
    draw_free(&d);
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
        print_answer(o, &term, stdout);
        report_cost(&o->cost, o->ms / 1e3, stdout);
    }
    return o->correct ? EXIT_GOOD : EXIT_FAILED;
}

static int solve(const struct args *a, const struct options *o, struct solver *s, const struct problem *p) {
    struct session session;
    struct outcome out;
    struct error e;
    struct session_size size = {.branches = solver_branches(s), .max_rows = 512, .with_prm = true};
    enum status st = session_open(&o->session, &size, &session, &e);
    if (!st) st = solver_attach(s, a, &session, &e);
    if (!st && !o->quiet && strcmp(s->strategy->name, "greedy")) st = show_greedy(s, p, &e);
    if (!st) st = search_drawn(s, p, o->quiet, &out, &e);
    int code = st ? args_failed(a, e.text) : print_outcome(s, p, &out, o->json);
    session_close(&session);
    return code;
}

int cmd_solve(int argc, char **argv) {
    struct options o = {0};
    struct args a = {
        .command = "solve",
        .usage = "PUZZLE",
        .flags = flags,
        .options = &o,
        .about = "PUZZLE: four numbers to reach 24, \"4 7 8 8\"; or three to six and a target, \"4 7 8 -> 20\".\n"
                 "The answer is checked after the search; exit code 0 when it is right, 1 when not.\n"};
    struct solver s;
    struct problem p;
    struct error e;
    char puzzle[512];
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (!args_join(&a, puzzle, sizeof puzzle))
        return args_wrong(&a, "the puzzle has more than %zu bytes", sizeof puzzle - 1);
    if (!*puzzle) return args_wrong(&a, "a puzzle is missing, as in: ponder solve \"4 7 8 8\"");
    bool has_target = strpbrk(puzzle, ">=") != NULL;
    if (has_target && !args_given(&a, "task")) o.search.task = "countdown";
    if ((code = solver_setup(&a, &o.search, &s)) != ARGS_GO_ON) return code;
    if (solver_parse(s.task, puzzle, &p, &e)) return args_wrong(&a, "%s", e.text);
    return solve(&a, &o, &s, &p);
}
