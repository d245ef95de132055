/* tasks_help.h: short cuts that the tests of the tasks share.
 * Not a test.
 * Next: test_tasks.c. */
#ifndef PONDER_TESTS_TASKS_HELP_H
#define PONDER_TESTS_TASKS_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tasks/gen.h"
#include "tasks/task.h"

static inline struct cd_problem problem(const char *text) {
    struct cd_problem p;
    struct error e;
    if (cd_parse(text, 24, &p, &e)) fail_msg("\"%s\": %s", text, e.text);
    return p;
}

/* All steps of `moves` as a solution text. */
static inline void write_solution(const struct cd_problem *p, const struct cd_move *moves, char text[CD_TEXT]) {
    struct cd_state s = cd_start(p);
    size_t n = 0;
    for (int k = 0; s.n > 1; k++) {
        n += cd_step_text(&s, moves[k], text + n, CD_TEXT - n);
        assert_true(cd_apply(&s, moves[k], &s));
        if (s.n > 1) text[n++] = '\n';
    }
    text[n] = 0;
}

static inline bool random_text(const struct cd_problem *p, uint64_t key, char text[CD_TEXT]) {
    struct cd_move moves[CD_MAX - 1];
    struct cd_state s = cd_start(p);
    if (!cd_random_solution(&s, p->target, key, moves)) return false;
    write_solution(p, moves, text);
    return true;
}

#endif
