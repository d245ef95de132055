/* bench.h: the parts of `ponder bench`.
 * Not a measurement.
 * Next: cmd_bench.c for the list. */
#ifndef PONDER_BENCH_H
#define PONDER_BENCH_H

#include "cli/args.h"

/* argv[0] is the part's name; returns the exit code. */
typedef int bench_part(int argc, char **argv);
bench_part bench_make, bench_decode, bench_prefill, bench_tree;

/* A flag's value "1,4,16" as numbers in [lo, hi]; ARGS_GO_ON, or the exit code after one line on stderr. */
enum { BENCH_NUMBERS = 16 };
struct bench_numbers {
    int n;
    uint32_t x[BENCH_NUMBERS];
};
int bench_list(const struct args *a, const char *flag, const char *text, uint32_t lo, uint32_t hi,
               struct bench_numbers *out);

#endif
