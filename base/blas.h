/* blas.h: OpenBLAS, for training and for comparisons.  It is loaded when one of them begins: just by being there it takes
 * memory for each CPU and starts threads, which fails in ugly ways where memory is limited.
 * Not used by inference: ops/ops.h.
 * Next: model/net_pass.c. */
#ifndef PONDER_BLAS_H
#define PONDER_BLAS_H

#include <cblas.h>

#include "base/status.h"

struct blas {
    __typeof__(cblas_sgemm) *sgemm;
    __typeof__(cblas_sgemv) *sgemv;
    __typeof__(cblas_sdot) *sdot;
    __typeof__(cblas_saxpy) *saxpy;
    void (*set_threads)(int n); /* it begins with one: the callers' threads are the parallelism */
};

/* Loads it the first time; any thread.  ERR_IO: it is not installed. */
enum status blas_open(struct error *e);
const struct blas *blas(void); /* after blas_open */

#endif
