/* stats.c: see stats.h.
 * Not a library of distributions: what results need.
 * Next: study/compare.c. */
#include "base/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"

struct interval stats_wilson(uint64_t right, uint64_t of) {
    double z = 1.959964, n = (double)of, p = of ? (double)right / n : 0;
    if (!of) return (struct interval){0, 1};
    double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    double half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    /* exactly 0 and 1, where rounding would leave 1e-17 */
    return (struct interval){right ? fmax(0, middle - half) : 0, right < of ? fmin(1, middle + half) : 1};
}

double stats_mcnemar(uint64_t b, uint64_t c) {
    uint64_t n = b + c, k = b < c ? b : c;
    int sign;
    double top = lgamma_r((double)n + 1, &sign) - lgamma_r((double)k + 1, &sign) - lgamma_r((double)(n - k) + 1, &sign);
    double term = 1, sum = 0; /* in units of C(n, k), from the largest down */
    for (uint64_t i = k; term > 0; i--) {
        sum += term;
        if (!i) break;
        term *= (double)i / (double)(n - i + 1);
    }
    return fmin(1, 2 * sum * exp(top - (double)n * log(2)));
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void stats_sort(double *x, size_t n) {
    if (n) qsort(x, n, sizeof *x, compare_doubles);
}

double stats_median(const double *x, size_t n) {
    assert(n);
    return (x[(n - 1) / 2] + x[n / 2]) / 2;
}

double stats_rank(const double *x, size_t n, double p) {
    assert(n && p > 0 && p <= 1);
    return x[(size_t)ceil(p * (double)n) - 1];
}

void stats_resample(uint64_t seed, uint64_t round, uint32_t n, uint32_t *item) {
    uint64_t key = rng_fold(seed, round);
    for (uint32_t i = 0; i < n; i++) item[i] = rng_below(key, i, n);
}

struct interval stats_percentiles(double *x, size_t n) {
    stats_sort(x, n);
    return (struct interval){stats_rank(x, n, 0.025), stats_rank(x, n, 0.975)};
}
