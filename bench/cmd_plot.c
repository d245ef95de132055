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
    bool table;
};

static const struct flag flags[] = {
    {"svg", NULL, FLAG_TEXT, offsetof(struct options, svg), NULL, 0, 0, "FILE", "the curves as a picture"},
    {"csv", NULL, FLAG_TEXT, offsetof(struct options, csv), NULL, 0, 0, "FILE",
     "the points as a table (without --svg and --csv: to stdout)"},
    {"by", NULL, FLAG_CHOICE, offsetof(struct options, by), "flops", 0, 0, "flops|policy-flops|tokens|ms|budget",
     "what accuracy is drawn over, per problem"},
    {"title", NULL, FLAG_TEXT, offsetof(struct options, title), NULL, 0, 0, "TEXT", "above the picture"},
    {"table", NULL, FLAG_YES, offsetof(struct options, table), NULL, 0, 0, NULL,
     "the runs as a Markdown table on stdout instead, in the order given"},
    {0},
};

static enum abscissa abscissa_of(const char *word) {
    static const char *const words[N_ABSCISSAS] = {"flops", "policy-flops", "tokens", "ms", "budget"};
    int by = 0;
    while (strcmp(words[by], word)) by++; /* one of them: args.c has checked it */
    return (enum abscissa)by;
}

/* To path, or to stdout. */
static enum status write_text(struct buffer *text, const char *path, struct error *e) {
    enum status s = OK;
    if (path) s = figure_write_file(text, path, e);
    else if (text->failed) s = error_set(e, ERR_MEMORY, "no memory for a table");
    else fwrite(text->data, 1, text->n, stdout);
    buffer_free(text);
    return s;
}

static enum status draw(const struct options *o, const struct run *runs, struct error *e) {
    struct figure f = {0};
    struct buffer svg = {0}, csv = {0}, table = {0};
    if (o->table) {
        runs_table(runs, ds_len(runs), &table);
        return write_text(&table, NULL, e);
    }
    enum status s = runs_plot(runs, ds_len(runs), abscissa_of(o->by), &f, e);
    snprintf(f.title, sizeof f.title, "%s", o->title ? o->title : runs->task);
    if (!s && o->svg) figure_svg(&f, &svg), s = write_text(&svg, o->svg, e);
    if (!s && (o->csv || !o->svg)) figure_csv(&f, &csv), s = write_text(&csv, o->csv, e);
    figure_free(&f);
    return s;
}

static enum status plot(const struct args *a, const struct options *o, struct run **runs, struct error *e) {
    enum status s = OK;
    for (int i = 0; i < a->n_rest && !s; i++) {
        struct run r;
        if ((s = run_open(a->rest[i], &r, e)) || ds_push(*runs, r)) continue;
        run_close(&r);
        s = error_set(e, ERR_MEMORY, "no memory for %d files", a->n_rest);
    }
    return s ? s : draw(o, *runs, e);
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
