/* cmd_plot.c: ponder plot: accuracy over cost, a curve for each setting, from files of results.
 * Not a study: cmd_study.c.
 * Next: study/runs.h. */
#include <stdio.h>
#include <string.h>

#include "base/ds.h"
#include "cli/command.h"
#include "study/runs.h"

struct options {
    const char *svg, *csv, *by, *title;
};

static const struct flag flags[] = {
    {"svg", NULL, FLAG_TEXT, offsetof(struct options, svg), NULL, 0, 0, "FILE", "the curves as a picture"},
    {"csv", NULL, FLAG_TEXT, offsetof(struct options, csv), NULL, 0, 0, "FILE",
     "the points as a table (without --svg and --csv: to stdout)"},
    {"by", NULL, FLAG_CHOICE, offsetof(struct options, by), "flops", 0, 0, "flops|policy-flops|tokens|ms|budget",
     "what accuracy is drawn over, per problem"},
    {"title", NULL, FLAG_TEXT, offsetof(struct options, title), NULL, 0, 0, "TEXT", "above the picture"},
    {0},
};

static enum abscissa abscissa_of(const char *word) {
    static const char *const words[N_ABSCISSAS] = {"flops", "policy-flops", "tokens", "ms", "budget"};
    int by = 0;
    while (strcmp(words[by], word)) by++; /* one of them: args.c has checked it */
    return (enum abscissa)by;
}

static enum status write_one(const struct figure *f, void (*form)(const struct figure *, struct buffer *),
                             const char *path, struct error *e) {
    struct buffer text = {0};
    form(f, &text);
    enum status s = OK;
    if (path) s = figure_write_file(&text, path, e);
    else if (text.failed) s = error_set(e, ERR_MEMORY, "no memory for the table");
    else fwrite(text.data, 1, text.n, stdout);
    buffer_free(&text);
    return s;
}

static enum status plot(const struct args *a, const struct options *o, struct run **runs, struct error *e) {
    struct figure f = {0};
    enum status s = OK;
    for (int i = 0; i < a->n_rest && !s; i++) {
        struct run r;
        if ((s = run_open(a->rest[i], &r, e))) break;
        if (ds_push(*runs, r)) continue;
        run_close(&r);
        s = error_set(e, ERR_MEMORY, "no memory for %d files", a->n_rest);
    }
    if (!s) s = runs_plot(*runs, ds_len(*runs), abscissa_of(o->by), &f, e);
    if (!s) snprintf(f.title, sizeof f.title, "%s", o->title ? o->title : (*runs)[0].task);
    if (!s && o->svg) s = write_one(&f, figure_svg, o->svg, e);
    if (!s && (o->csv || !o->svg)) s = write_one(&f, figure_csv, o->csv, e);
    figure_free(&f);
    return s;
}

int cmd_plot(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "plot",
                     .usage = "RESULTS.jsonl...",
                     .flags = flags,
                     .options = &o,
                     .about = "Draws accuracy over cost, a curve for each setting, from files of ponder eval -o.\n"};
    struct run *runs = NULL;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (!a.n_rest) return args_wrong(&a, "files of results are missing");
    enum status s = plot(&a, &o, &runs, &e);
    for (size_t i = 0; i < ds_len(runs); i++) run_close(&runs[i]);
    ds_free(runs);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
