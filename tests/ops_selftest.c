/* ops_selftest.c: the bit comparisons of ops_check.h without cmocka, for cross builds that run under an emulator.
 * Not the accuracy of scalar itself: test_ops.c.
 * Build for aarch64 (an emulator then runs the static program):
 *   aarch64-linux-gnu-gcc -std=c11 -D_GNU_SOURCE -O2 -ffp-contract=off -I. -static tests/ops_selftest.c ops/quant.c
 *   ops/narrow.c ops/narrow_k.c ops/scalar.c ops/ops.c ops/kernels_neon.c base/rng.c -lm -o ops_selftest */
#include "tests/ops_check.h"

int main(void) {
    int n_failed = 0;
    for (size_t i = 0; ops_names[i]; i++) {
        const struct ops *v = ops_by_name(ops_names[i]);
        for (size_t c = 0; v && c < COUNT(ops_checks); c++) {
            bool ok = ops_checks[c].run(v);
            printf("%s %s: %s\n", v->name, ops_checks[c].name, ok ? "ok" : "FAILED");
            n_failed += !ok;
        }
    }
    return n_failed != 0;
}
