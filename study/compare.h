/* compare.h: two files of results on the same problems, compared problem by problem.
 * Not two accuracies beside each other: pairs tell small differences that intervals of each alone do not.
 * Next: compare.c, base/stats.h. */
#ifndef PONDER_COMPARE_H
#define PONDER_COMPARE_H

#include "base/stats.h"
#include "solve/results.h"
#include "study/cost.h"

/* Means per problem of what a run cost, and b's over a's.  ratio is NaN when a's is 0. */
struct cost_pair {
    double a, b, ratio;
    struct interval ratio_ci95;
};

struct comparison {
    uint32_t n;                                /* problems in both files */
    uint32_t both, only_a, only_b;             /* of them: right in both, in one only */
    uint32_t missing_in_a, missing_in_b;       /* problems of the other file */
    double accuracy_a, accuracy_b, difference; /* b - a */
    struct interval ci95_a, ci95_b;            /* Wilson's */
    struct interval difference_ci95;           /* paired bootstrap over problems */
    double p;                                  /* exact McNemar test, two-sided */
    struct cost_pair costs[N_COSTS];
};

/* Pairs by id.  ERR_INPUT: of other tasks, no id in both, or one id means two problems.  The same seed and rounds
 * give the same intervals. */
enum status compare_results(const struct results *a, const struct results *b, uint64_t seed, uint32_t rounds,
                            struct comparison *out, struct error *e);

json_t *comparison_json(const struct comparison *c);

#endif
