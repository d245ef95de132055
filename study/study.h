/* study.h: a folder of files of results as figures, tables and one page, made from nothing else.
 * Not the runs: bench/study.sh makes the files.
 * Next: study.c reads them; figures.c, bins.c and pairs.c make the figures; page.c writes them.
 *
 * A file is GROUP.*.jsonl; all else about it stands in its header.  Groups: main (every strategy at every budget),
 * samples (one chain a problem, under several seeds: what a problem's difficulty is), judges (over budgets, with
 * judges of several kinds), widths (beams under a noisy judge), turns (sweeps against particles), calibration (lines
 * of ponder calibrate). */
#ifndef PONDER_STUDY_H
#define PONDER_STUDY_H

#include "study/runs.h"

struct study_run {
    struct run run;
    char group[24];
};

struct calibration_file {
    char name[64];  /* TASK.POLICY */
    json_t **lines; /* an array of base/ds.h */
};

struct study {
    char **paths; /* [n_paths] of the runs; owned */
    size_t n_paths;
    struct study_run *runs;                /* an array of base/ds.h, in the order of the names */
    struct calibration_file *calibrations; /* the same */
    char **failures;                       /* the same: a line for each file that could not be used; owned */
};

/* Every GROUP.*.jsonl of the folder.  A file that cannot be used is a failure that the page lists, not an error; so are
 * the lines of failures.txt, where runs that made no file stand. */
enum status study_open(const char *folder, struct study *s, struct error *e);
void study_close(struct study *s);

/* Where figures and tables go: files of their own in a folder, and one page of all. */
struct page {
    const char *folder;
    struct buffer html;
};
/* Writes the figure's files, and adds it to the page with a sentence below it, if it has a point at all.  Its name
 * becomes one that a file can have. */
enum status page_figure(struct page *p, struct figure *f, const char *caption, struct error *e);
void page_heading(struct page *p, const char *text);
void page_table(struct page *p, const char *caption, const char *head); /* cells of a row are parted by | */
void page_row(struct page *p, const char *cells);
void page_end_table(struct page *p);

/* The next run of a group from *i on, with task and policy of `like` (NULL: any); NULL: none.  *i is then behind it. */
const struct run *study_next(const struct study *s, size_t *i, const char *group, const struct run *like);
/* Calls for each (task, policy) of the group main, with one of its runs. */
typedef enum status each_policy(const struct study *s, const struct run *like, struct page *p, struct error *e);
enum status study_each(const struct study *s, each_policy *call, struct page *p, struct error *e);
/* The greedy run of a policy; NULL: none. */
const struct run *study_greedy(const struct study *s, const struct run *like);

/* ---- the figures ---- */

each_policy figures_strategies, figures_judges, figures_widths, figures_turns, figures_bins, figures_optimal;
enum status figures_sizes(const struct study *s, struct page *p, struct error *e);
enum status figures_exchange(const struct study *s, struct page *p, struct error *e);
enum status figures_calibration(const struct study *s, struct page *p, struct error *e);
enum status tables_pairs(const struct study *s, struct page *p, struct error *e);
void tables_runs(const struct study *s, struct page *p);

/* All of it, into the folder `out`, which is made if need be: report.html and the figures' files. */
enum status study_report(const struct study *s, const char *out, struct error *e);

#endif
