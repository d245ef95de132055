/* cmd_study.c: ponder study: figures, tables and one page from a folder of results.
 * Not the runs: bench/study.sh.
 * Next: study/study.h. */
#include "cli/command.h"
#include "study/study.h"

struct options {
    const char *out;
};

static const struct flag flags[] = {
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FOLDER",
     "where report.html and the figures go; it is made"},
    {0},
};

int cmd_study(int argc, char **argv) {
    struct options o = {0};
    struct args a = {
        .command = "study",
        .usage = "ROWS",
        .flags = flags,
        .options = &o,
        .about = "Makes figures (CSV, SVG) and a page of a folder of results; bench/study.sh makes such folders.\n"};
    struct study s;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest != 1) return args_wrong(&a, "one folder of results is needed, %d were given", a.n_rest);
    if (!o.out) return args_wrong(&a, "--out is missing: the folder to write");
    if (study_open(a.rest[0], &s, &e)) return args_failed(&a, e.text);
    enum status st = study_report(&s, o.out, &e);
    study_close(&s);
    return st ? args_failed(&a, e.text) : EXIT_GOOD;
}
