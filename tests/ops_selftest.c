/* ops_selftest.c: the bit comparisons of ops_check.h without cmocka, for cross builds that run under an emulator.
 * Not the accuracy of scalar itself: test_ops.c.
 * Usage: ops_selftest [TABLE]: all tables that this CPU has; TABLE must be the one that it gets.  make arm. */
#include <time.h>

#define CHECK_EVERY 5
#include "tests/ops_check.h"

int main(int argc, char **argv) {
    int n_failed = 0;
    if (argc > 1 && strcmp(ops_get()->name, argv[1]) != 0) {
        fprintf(stderr, "this CPU gets the table %s, not %s\n", ops_get()->name, argv[1]);
        return 2;
    }
    for (size_t c = 0; c < COUNT(ops_checks); c++) {
        const clock_t start = clock();
        const bool ok = ops_check(&ops_checks[c]);
        printf("%-9s %-17s %-6s %5.1f s\n", ops_get()->name, ops_checks[c].name, ok ? "ok" : "FAILED",
               (double)(clock() - start) / CLOCKS_PER_SEC);
        fflush(stdout);
        n_failed += !ok;
    }
    return n_failed != 0;
}
