/* cmd_tree.c: ponder tree VERB FILE: what can be done with the search trees that ponder solve --trace writes.
 * Not the doing: solve/tree_file.h, solve/tree_tools.h.
 * Next: docs/TREE.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cancel.h"
#include "cli/command.h"
#include "cli/search_flags.h"
#include "serve/page.h"
#include "solve/draw.h"
#include "solve/report.h"
#include "solve/tree_file.h"
#include "solve/tree_show.h"
#include "solve/tree_tools.h"

struct options {
    struct session_options session;
    const char *format, *out, *judge, *agg;
    bool json, explain;
};

static const struct flag flags[] = {
    {"format", NULL, FLAG_CHOICE, offsetof(struct options, format), NULL, 0, 0, "dot|svg|html|json",
     "export: the form (default: what --out ends with)"},
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FILE", "export: write there, not to stdout"},
    EXPLAIN_FLAG(struct options, explain),
    {"json", NULL, FLAG_YES, offsetof(struct options, json), NULL, 0, 0, NULL, "stats: one JSON object"},
    {"judge", NULL, FLAG_TEXT, offsetof(struct options, judge), NULL, 0, 0, "J",
     "rescore: oracle, check, logprob, or a reward model (a file, or embedded)"},
    {"prm-kind", NULL, FLAG_TEXT, offsetof(struct options, session.prm_kind), NULL, 0, 0, "NAME",
     "rescore: how it is asked (default: what its file says)"},
    {"agg", NULL, FLAG_CHOICE, offsetof(struct options, agg), NULL, 0, 0, "last|min|product|mean",
     "rescore: step values -> value of a chain (default: the model's)"},
    {"model", "m", FLAG_TEXT, offsetof(struct options, session.model), NULL, 0, 0, "FILE",
     "resume: where the policy is now"},
    {"prm", NULL, FLAG_TEXT, offsetof(struct options, session.prm), NULL, 0, 0, "FILE",
     "resume: where the reward model is now"},
    {"threads", "t", FLAG_INT, offsetof(struct options, session.threads), NULL, -1, 256, "N",
     "resume, rescore: threads; -1 and 0 = all CPUs (the default)"},
    {"kv-mb", NULL, FLAG_INT, offsetof(struct options, session.kv_mb), "1024", 1, 1 << 20, "MB",
     "resume: most memory for the KV cache of each model"},
    COLOR_FLAGS,
    {0},
};

/* One command line under way. */
struct job {
    struct args *args;
    struct options *o;
    struct saved_tree trees[2];
    int n;
};

static int failed(const struct job *j, const struct error *e) { return args_failed(j->args, e->text); }

/* ---- show ---- */

static int show(struct job *j) {
    const struct terminal term = terminal_of(STDOUT_FILENO);
    struct error e;
    tree_show(&j->trees[0], &term, stdout);
    return j->o->explain && tree_show_why(&j->trees[0], stdout, &e) ? failed(j, &e) : EXIT_GOOD;
}

/* ---- check ---- */

static void print_fault(void *arg, size_t line, const char *text) {
    printf("%s:%zu: %s\n", (const char *)arg, line, text);
}

static int check(struct job *j) {
    const char *path = j->args->rest[1];
    struct error e;
    size_t n;
    enum status s = tree_read(path, &j->trees[0], print_fault, (void *)path, &n, &e);
    if (s) return failed(j, &e);
    const struct saved_tree *f = &j->trees[0];
    struct tree_options o;
    struct solver solver;
    struct problem p;
    s = n ? OK : tree_options_read(f, &o, &e); /* what the header says must make a search */
    if (!n && !s && !(s = tree_solver(f, &o, &solver, &p, &e))) problem_free(&p);
    if (s) puts(e.text), n++;
    if (n) printf("%s: %zu faults\n", path, n);
    else
        printf("%s: %zu lines, %u nodes, %s%s\n", path, f->n_lines, f->tree.n - 1, f->done ? "complete" : "no end",
               f->torn ? ", a last line without end" : "");
    return n ? EXIT_FAILED : EXIT_GOOD;
}

/* ---- resume, replay ---- */

static int print_run(const struct job *j, const struct tree_file *file, const struct outcome *o, const char *done) {
    size_t same, all;
    tree_file_lines(file, &same, &all);
    fprintf(stderr, "%s: %zu of %zu lines %s\n", j->trees[0].path, same, all, done);
    report_votes(o, stderr);
    printf("%s\n", o->finished && *o->answer ? o->answer : "no answer");
    return o->finished && *o->answer && o->verdict != VERDICT_WRONG ? EXIT_GOOD : EXIT_FAILED;
}

/* The search of the file again, with its tree on stderr: from the tape alone, or with models that go on. */
static int run_again(struct job *j, const struct session *session, struct tree_file *file, const struct solver *s,
                     const struct problem *p) {
    struct draw d = {
        .to = stderr, .term = terminal_of(STDERR_FILENO), .title = p->text, .words = p->task->style->prose};
    struct outcome out = {0};
    struct error e, why;
    enum status st = session ? tree_file_run(file, s, p, draw_event, &d, &out, &e)
                             : tree_file_run_tape(file, s, p, draw_event, &d, &out, &e);
    draw_free(&d);
    const char *done = !session                   ? "came again from the tape"
                       : out.why == WHY_CANCELLED ? "were there; stopped again, the same command goes on"
                                                  : "were there, the search is complete";
    int code = st ? failed(j, &e) : print_run(j, file, &out, done);
    if (!st) outcome_free(&out);
    if (tree_file_close(&file, &why) && !st) code = failed(j, &why);
    return code;
}

static int replay(struct job *j) {
    struct tree_options o;
    struct solver s;
    struct problem p;
    struct tree_file *file;
    struct error e;
    enum status st = tree_options_read(&j->trees[0], &o, &e);
    if (!st) st = tree_solver(&j->trees[0], &o, &s, &p, &e);
    if (st) return failed(j, &e);
    st = tree_file_replay(&j->trees[0], &file, &e);
    int code = st ? failed(j, &e) : run_again(j, NULL, file, &s, &p);
    problem_free(&p);
    return code;
}

static enum status open_models(const struct job *j, struct tree_options *o, struct solver *s, struct session *session,
                               struct error *e) {
    if (j->o->session.model) o->session.model = j->o->session.model;
    if (j->o->session.prm) o->session.prm = j->o->session.prm;
    o->session.threads = j->o->session.threads, o->session.kv_mb = j->o->session.kv_mb;
    enum status st = solver_models(s, &o->session, e);
    if (st) return st;
    s->common.cancel = cancel_install();
    struct session_size size = {.branches = solver_branches(s), .with_prm = true};
    st = session_open(&o->session, &size, session, e);
    return st ? st : solver_attach(s, session, e);
}

static int resume(struct job *j) {
    struct tree_options o;
    struct solver s;
    struct problem p;
    struct session session = {0};
    struct tree_file *file;
    struct error e;
    if (j->trees[0].done) {
        printf("%s: complete\n", j->trees[0].path);
        return EXIT_GOOD;
    }
    enum status st = tree_options_read(&j->trees[0], &o, &e);
    if (!st) st = tree_solver(&j->trees[0], &o, &s, &p, &e);
    if (st) return failed(j, &e);
    st = open_models(j, &o, &s, &session, &e);
    struct tree_origin origin = {&o.session, &o.search};
    if (!st) st = tree_file_resume(&j->trees[0], &origin, &file, &e);
    int code = st ? failed(j, &e) : run_again(j, &session, file, &s, &p);
    solver_close(&s);
    session_close(&session);
    problem_free(&p);
    return code;
}

/* ---- rescore ---- */

static int rescore(struct job *j) {
    struct tree_options o;
    struct solver s;
    struct problem p;
    struct rescored r;
    struct error e;
    struct saved_tree *f = &j->trees[0];
    const struct rescore_options how = {j->o->judge, j->o->session.prm_kind, j->o->agg, (int)j->o->session.threads};
    if (!how.judge) return args_wrong(j->args, "--judge is missing: oracle, check, logprob, or a reward model");
    enum status st = tree_options_read(f, &o, &e);
    if (!st) st = tree_solver(f, &o, &s, &p, &e);
    if (st) return failed(j, &e);
    if (!(st = tree_rescore(f, &s, &p, &how, &r, &e))) {
        tree_show_rescored(f, &r, how.judge, stdout);
        rescored_free(&r);
    }
    problem_free(&p);
    return st ? failed(j, &e) : EXIT_GOOD;
}

/* ---- diff, stats, export ---- */

static int diff(struct job *j) {
    struct buffer text = {0};
    struct error e;
    size_t n;
    enum status s = tree_diff(&j->trees[0], &j->trees[1], 100, &text, &n, &e);
    if (!s && n) fwrite(text.data, 1, text.n, stdout);
    buffer_free(&text);
    return s ? failed(j, &e) : n ? EXIT_FAILED : EXIT_GOOD;
}

static int stats(struct job *j) {
    json_t *all = tree_stats(&j->trees[0]), *v;
    const char *name;
    if (!all) return args_failed(j->args, "no memory for the numbers of a tree");
    if (j->o->json) {
        json_dumpf(all, stdout, REPORT_JSON);
        putchar('\n');
    } else json_object_foreach(all, name, v) {
            char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(4));
            printf("%-24s %s\n", name, text ? text : "?");
            free(text);
        }
    json_decref(all);
    return EXIT_GOOD;
}

static int export(struct job *j) {
    const struct saved_tree *both[] = {&j->trees[0], &j->trees[1]};
    const struct tree_page page = {(const char *)page_html, (size_t)(page_html_end - page_html)};
    const char *format = j->o->format, *end = j->o->out ? strrchr(j->o->out, '.') : NULL;
    struct buffer text = {0};
    struct error e;
    static const char *const forms[] = {"dot", "svg", "html", "json"};
    for (int i = 0; i < 4 && !format && end; i++)
        if (!strcmp(end + 1, forms[i])) format = forms[i];
    if (!format) return args_wrong(j->args, "--format is missing: dot, svg, html or json");
    if (j->n == 2 && strcmp(format, "html")) return args_wrong(j->args, "--format %s: takes one file", format);
    enum status s = tree_export(format, &page, both, j->n, &text, &e);
    if (s) return failed(j, &e);
    FILE *to = j->o->out ? fopen(j->o->out, "w") : stdout;
    bool good = to && fwrite(text.data, 1, text.n, to) == text.n;
    if (to && to != stdout && fclose(to)) good = false;
    buffer_free(&text);
    if (good) return EXIT_GOOD;
    error_set(&e, ERR_IO, "--out %s: %s", j->o->out ? j->o->out : "-", strerror(errno));
    return failed(j, &e);
}

/* ---- the command ---- */

/* clang-format off */
static const struct {
    const char *name;
    int least, most;      /* files */
    const char *flags;    /* those that mean something, each between blanks */
    int (*run)(struct job *j);
} verbs[] = {
    {"show",   1, 1, " color no-color explain ", show},
    {"check",  1, 1, " ", check},
    {"resume", 1, 1, " model prm threads kv-mb color no-color ", resume},
    {"replay", 1, 1, " color no-color ", replay},
    {"rescore", 1, 1, " judge prm-kind agg threads ", rescore},
    {"diff",   2, 2, " ", diff},
    {"stats",  1, 1, " json ", stats},
    {"export", 1, 2, " format out ", export},
};
/* clang-format on */
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static int run(struct job *j, int verb) {
    struct args *a = j->args;
    struct error e;
    int code = ARGS_GO_ON;
    for (int i = 0; i < a->n_given; i++) {
        char name[64];
        snprintf(name, sizeof name, " %s ", a->given[i]->name);
        if (!strstr(verbs[verb].flags, name))
            return args_wrong(a, "--%s: %s has no use for it", a->given[i]->name, verbs[verb].name);
    }
    if (a->n_rest - 1 < verbs[verb].least || a->n_rest - 1 > verbs[verb].most)
        return args_wrong(a, "%s takes %s, found %d", verbs[verb].name,
                          verbs[verb].most == 1    ? "one file"
                          : verbs[verb].least == 2 ? "two files"
                                                   : "one or two files",
                          a->n_rest - 1);
    for (int i = 1; i < a->n_rest && code == ARGS_GO_ON && verbs[verb].run != check; i++) {
        enum status s = tree_read(a->rest[i], &j->trees[j->n], NULL, NULL, NULL, &e);
        if (s) code = args_failed(a, e.text);
        else if (j->trees[j->n].prompt || verbs[verb].run == resume) j->n++;
        else {
            error_set(&e, ERR_INPUT, "%s: holds no search yet", a->rest[i]);
            tree_close(&j->trees[j->n]);
            code = args_failed(a, e.text);
        }
    }
    return code == ARGS_GO_ON ? verbs[verb].run(j) : code;
}

int cmd_tree(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "tree",
                     .usage = "VERB FILE",
                     .flags = flags,
                     .options = &o,
                     .about = "FILE: a search that ponder solve --trace FILE wrote down.\n"
                              "  show     the tree, its answer and what it cost\n"
                              "  check    every field; one line a fault\n"
                              "  resume   go on with a search that was killed, as if it had not been\n"
                              "  replay   the same search again, without models, and compare every line\n"
                              "  rescore  pick again with the values of another judge, without the policy\n"
                              "  diff     what two trees differ in (exit code 1)\n"
                              "  stats    sizes, values, costs\n"
                              "  export   as a picture or a page; html takes two files, side by side\n"};
    struct job j = {.args = &a, .o = &o};
    int code = args_parse(&a, argc, argv), verb = 0;
    if (code != ARGS_GO_ON) return code;
    if (!a.n_rest)
        return args_wrong(&a, "the verb is missing: show, check, resume, replay, rescore, diff, stats or export");
    while (verb < N_VERBS && strcmp(verbs[verb].name, a.rest[0])) verb++;
    if (verb == N_VERBS)
        return args_wrong(&a, "\"%.60s\" is none of show, check, resume, replay, rescore, diff, stats, export",
                          a.rest[0]);
    code = run(&j, verb);
    for (int i = 0; i < 2; i++) tree_close(&j.trees[i]);
    return code;
}
