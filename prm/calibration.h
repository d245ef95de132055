/* calibration.h: how good scores in [0,1] are as probabilities of a binary truth.
 * Not a loss: these are for reports.
 * Next: bench/cmd_calibrate.c. */
#ifndef PONDER_CALIBRATION_H
#define PONDER_CALIBRATION_H

#include <stddef.h>

#include "base/status.h"

struct judged {
    float score;
    int truth; /* 0 or 1 */
};

struct calibration {
    size_t n, n_true;
    double
        auc; /* probability that a true one scores above a false one, ties count half (Mann-Whitney); NaN without both kinds */
    double ece;   /* expected calibration error over 15 bins of equal mass: mean of |mean score - share true| */
    double brier; /* mean squared error */
};

/* Sorts `items` by score.  n = 0 gives NaN everywhere. */
struct calibration calibrate(struct judged *items, size_t n);

#endif
