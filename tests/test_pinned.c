/* test_pinned.c: the defaults of every strategy, as tests/golden/defaults.txt has them: a number that changes by mistake
 * changes every measurement.  After a change that was meant: build/tests/test_pinned --print >tests/golden/defaults.txt
 * Not what the numbers do: test_search.c.
 * Next: search/strategy.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "search/strategy.h"

/* One line for each number: strategy, which of the two sets, flag, value. */
static void print_defaults(FILE *to) {
    for (const struct strategy *const *at = strategy_table; *at; at++)
        for (int words = 0; words < 2; words++) {
            const struct strategy *s = *at;
            const char *set = words ? "words" : "puzzles";
            struct params p;
            strategy_defaults(s, words, &p);
            fprintf(to, "%s %s budget %u\n", s->name, set, s->simulations[words]);
            for (const struct param *x = s->params; x && x->flag; x++)
                fprintf(to, "%s %s %s %.9g\n", s->name, set, x->flag, param_get(x, p.bytes));
        }
}

static void defaults_are_those_that_were_measured(void **state) {
    (void)state;
    char *now = NULL, line[256];
    size_t size = 0;
    int n = 0, n_now = 0;
    FILE *f = open_memstream(&now, &size), *golden = fopen("tests/golden/defaults.txt", "r");
    assert_non_null(f);
    assert_non_null(golden);
    print_defaults(f);
    fclose(f);
    for (; fgets(line, sizeof line, golden); n++)
        if (!strstr(now, line)) fail_msg("no longer so, or no longer there: %s", line);
    fclose(golden);
    for (const char *at = now; *at; at = strchr(at, '\n') + 1) n_now++;
    print_message("%d of %d defaults are pinned\n", n, n_now); /* new strategies are measured before */
    assert_true(n > 100);
    free(now);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "--print")) return print_defaults(stdout), 0;
    const struct CMUnitTest tests[] = {cmocka_unit_test(defaults_are_those_that_were_measured)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
