/* stats.h: shares, medians and paired comparisons, with their intervals.
 * Not the measures of a reward model: prm/calibration.h.
 * Next: stats.c; study/compare.h for a user. */
#ifndef PONDER_STATS_H
#define PONDER_STATS_H

#include <stddef.h>
#include <stdint.h>

struct interval {
    double low, high;
};

/* The 95% score interval of a share, `right` of n (Wilson 1927): good for shares near 0 and 1 too.  n 0: [0, 1]. */
struct interval stats_wilson(uint64_t right, uint64_t n);

/* Two-sided p of the exact McNemar test: were b and c, the pairs that only one of two runs has right, drawn with a
 * fair coin? min(1, 2 * sum_{i <= min(b,c)} C(b+c, i) / 2^(b+c)). */
double stats_mcnemar(uint64_t b, uint64_t c);

/* Sorts x[n] upwards. */
void stats_sort(double *x, size_t n);
/* Of sorted x[n], n > 0: the mean of the two middle ones; the smallest x that at least a share p in (0, 1] does not
 * exceed (nearest rank). */
double stats_median(const double *x, size_t n);
double stats_rank(const double *x, size_t n, double p);

/* One draw of the paired bootstrap (Efron 1979): item[n], a sample of 0..n-1 with replacement.  The same (seed,
 * round) gives the same sample, so that several numbers can be computed on it together. */
void stats_resample(uint64_t seed, uint64_t round, uint32_t n, uint32_t *item);
/* The 95% percentile interval of what `n` rounds gave; sorts it. */
struct interval stats_percentiles(double *x, size_t n);

#endif
