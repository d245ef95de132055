/* task.h: verifiable problems behind one face: parse, prompt, check.  Used by cli, train and bench, never by search.
 * Not a model: a task knows text only.
 * Next: countdown.h. */
#ifndef PONDER_TASK_H
#define PONDER_TASK_H

#include "tasks/countdown.h"

struct task;

struct problem {
    const struct task *task;
    char id[64];
    struct cd_problem countdown;
};

struct task {
    const char *name, *summary;
    /* One line of an input file: plain text or a JSON object {"id","task","problem","answer"?}.  `number` (1-based) names
     * the problem when the line gives no id. */
    enum status (*parse)(const struct task *t, const char *line, long number, struct problem *p, struct error *e);
    size_t (*prompt)(const struct problem *p, char *text, size_t cap);
    /* Verdict on a whole solution text (all lines after the prompt). */
    bool (*check)(const struct problem *p, const char *solution);
    /* Number of correct leading steps. */
    int (*check_steps)(const struct problem *p, const char *solution);
    /* For people: the answer in one line ("" when the text holds none).  canonical: equal answers give equal text. */
    size_t (*answer)(const struct problem *p, const char *solution, bool canonical, char *out, size_t cap);
};

/* By name ("game24", "countdown"); NULL when unknown.  task_table ends in a row with name NULL. */
const struct task *task_find(const char *name);
extern const struct task task_table[];

#endif
