/* bench.h: the parts of `ponder bench`.
 * Not a measurement.
 * Next: cmd_bench.c for the list. */
#ifndef PONDER_BENCH_H
#define PONDER_BENCH_H

#include "cli/args.h"

/* argv[0] is the part's name; returns the exit code. */
typedef int bench_part(int argc, char **argv);
bench_part bench_make, bench_decode, bench_prefill, bench_tree, bench_fork, bench_replay, bench_kernels,
    bench_attention, bench_bandwidth;

#endif
