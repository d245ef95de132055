/* cmd_bench.c: ponder bench: the list of its parts.
 * Not a measurement: bench_*.c.
 * Next: docs/BENCH.md. */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/command.h"

int cmd_bench(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "make")) return bench_make(argc - 1, argv + 1);
    fprintf(stderr, "ponder bench: no part\n");
    return EXIT_USAGE;
}
