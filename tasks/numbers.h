/* numbers.h: what task_numbers.c and numbers_gen.c share.
 * Not for others than tasks/.
 * Next: numbers_gen.c. */
#ifndef PONDER_NUMBERS_H
#define PONDER_NUMBERS_H

#include "tasks/countdown.h"
#include "tasks/task_internal.h"

/* The own data of a problem. */
struct numbers {
    struct cd_problem c; /* first: tests read it as that */
    bool posed;          /* in one of the published wordings, which want the answer without "= 24" */
    bool has_way;        /* the generator knows a solution: */
    struct cd_move way[CD_MAX - 1];
};

/* Sets text, own data and depth of *p; *p is untouched on failure. */
enum status numbers_set(struct problem *p, const struct numbers *given, struct error *e);

enum status cards_generate(const struct task *t, uint64_t key, const struct task_draw *d, struct problem *p,
                           struct error *e);
enum status countdown_generate(const struct task *t, uint64_t key, const struct task_draw *d, struct problem *p,
                               struct error *e);
void numbers_example(const struct problem *p, uint64_t key, struct lesson *out);
extern const struct knob cards_knobs[], countdown_knobs[];

#endif
