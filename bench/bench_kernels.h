/* bench_kernels.h: the seam between the measurement of kernels and ops/ops.h: products and attention as one call each.
 * Not a second implementation: it prepares operands and calls the table of the CPU that runs.
 * Next: cmd_bench_kernels.c. */
#ifndef PONDER_BENCH_KERNELS_H
#define PONDER_BENCH_KERNELS_H

#include "base/status.h"
#include "model/kv.h"
#include "ops/ops.h"

/* A random matrix of one type as the kernels want it, and random activations for up to n_max tokens. */
struct product {
    enum tensor_type type;
    uint32_t rows, cols, n_max;
    struct panels panels;
    size_t bytes; /* of all weights */
    void *weights;
    struct act_block *a; /* x as int8 */
    float *x, *y;        /* [n_max, cols], [n_max, rows] */
};
/* Is there a kernel of our own for this type? */
bool product_possible(enum tensor_type type);
enum status product_new(struct product *p, enum tensor_type type, uint32_t rows, uint32_t cols, uint32_t n_max,
                        struct error *e);
void product_free(struct product *p);
/* Rows [first, end) for the first n tokens; first is a multiple of PRODUCT_ROWS, end too or p->rows. */
enum { PRODUCT_ROWS = 16 };
void product_run(const struct product *p, uint32_t first, uint32_t end, uint32_t n);

/* One KV head and a context of whole pages, seen by n_rows queries. */
struct attention {
    uint32_t n_rows, head_dim, n_cells;
    struct kv *kv;
    const uint32_t *pages;
    float *q, *m, *l, *o;
    size_t *q_offset;
    uint32_t *end;
};
enum status attend_bench_new(struct attention *a, enum kv_type type, uint32_t n_rows, uint32_t head_dim,
                             uint32_t n_cells, struct error *e);
void attend_bench_free(struct attention *a);
void attend_bench_run(struct attention *a);

#endif
