/* bench.h: the parts of `ponder bench`.
 * Not a measurement.
 * Next: cmd_bench.c for the list. */
#ifndef PONDER_BENCH_H
#define PONDER_BENCH_H

#include "base/status.h"
#include "cli/flags_session.h"

/* argv[0] is the part's name; returns the exit code. */
typedef int bench_part(int argc, char **argv);
bench_part bench_make, bench_decode, bench_prefill, bench_tree, bench_fork, bench_mix, bench_replay, bench_overhead,
    bench_kernels, bench_attention, bench_bandwidth;
bench_part bench_look; /* without a part: argv[0] is "bench" */

/* One row of forking a branch of n tokens in a cache of the model's shape. */
struct bench_out;
struct model;
enum status bench_fork_row(struct bench_out *out, struct model *m, uint32_t n, int rounds, struct error *e);

#endif
