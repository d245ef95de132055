/* runs.h: files of results as points of curves: what was run, how many were right, what it cost.
 * Not pairs of runs: compare.h.
 * Next: runs.c; figure.h for the curves. */
#ifndef PONDER_RUNS_H
#define PONDER_RUNS_H

#include "solve/results.h"
#include "study/cost.h"
#include "study/figure.h"

struct run {
    struct results results;
    /* From the header; texts live as long as the results. */
    const char *task, *search, *policy, *judge; /* models by name, else by hash; judge "none", "oracle", ... */
    uint64_t budget, seed;
    uint64_t weights; /* of the policy; 0: an old file that does not say */
    double noise;     /* put on the judge's values (--value-noise); 0: none */
    /* Over all lines. */
    uint32_t n, n_right;
    double mean[N_COSTS];
};

/* Reads one file; the run is for run_close on success.  ERR_INPUT: no results, no line yet, a header without task
 * and search. */
enum status run_open(const char *path, struct run *r, struct error *e);
void run_close(struct run *r);

/* "game24-prm, noise 4"; and "beam, width 4" where that is not as usual. */
void run_judge_text(const struct run *r, char out[96]);
void run_search_text(const struct run *r, char out[96]);

/* What a curve can stand over. */
enum abscissa { BY_FLOPS, BY_POLICY_FLOPS, BY_TOKENS, BY_MS, BY_BUDGET, N_ABSCISSAS };
const char *abscissa_label(enum abscissa by); /* "FLOPs per problem, policy and reward model" */
double run_abscissa(const struct run *r, enum abscissa by);

/* Accuracy at x, with Wilson's interval; a note with the budget. */
struct point run_point(const struct run *r, double x);

/* Accuracy over `by`: a curve for each setting, named by what differs between the runs (policy, search, judge,
 * noise, task). */
enum status runs_plot(const struct run *runs, size_t n, enum abscissa by, struct figure *f, struct error *e);

/* The runs as a Markdown table, a row each in the order given; tokens and FLOPs are means per problem. */
void runs_table(const struct run *runs, size_t n, struct buffer *to);

#endif
