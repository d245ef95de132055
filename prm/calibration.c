/* calibration.c: AUC, expected calibration error, Brier score.
 * Not a plot.
 * Next: calibration.h. */
#include "prm/calibration.h"

#include <math.h>
#include <stdlib.h>

static int by_score(const void *a, const void *b) {
    float x = ((const struct judged *)a)->score, y = ((const struct judged *)b)->score;
    return (x > y) - (x < y);
}

/* Mann-Whitney: ranks of the true ones, ties share their mean rank. */
static double area(const struct judged *items, size_t n, size_t n_true) {
    double ranks = 0;
    for (size_t i = 0, j; i < n; i = j) {
        size_t in_tie = 0;
        for (j = i; j < n && items[j].score == items[i].score; j++) in_tie += (size_t)items[j].truth;
        ranks += (double)in_tie * ((double)(i + 1) + (double)j) / 2;
    }
    double t = (double)n_true, f = (double)(n - n_true);
    return (ranks - t * (t + 1) / 2) / (t * f);
}

struct calibration calibrate(struct judged *items, size_t n) {
    enum { BINS = 15 };
    struct calibration c = {.n = n, .auc = NAN, .ece = NAN, .brier = NAN};
    if (n == 0) return c;
    qsort(items, n, sizeof *items, by_score);
    c.ece = c.brier = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)items[i].score - items[i].truth;
        c.brier += d * d / (double)n;
        c.n_true += (size_t)items[i].truth;
    }
    for (size_t b = 0; b < BINS; b++) {
        size_t from = n * b / BINS, to = n * (b + 1) / BINS;
        double gap = 0;
        for (size_t i = from; i < to; i++) gap += (double)items[i].score - items[i].truth;
        c.ece += fabs(gap) / (double)n;
    }
    if (c.n_true && c.n_true < n) c.auc = area(items, n, c.n_true);
    return c;
}
