/* task.h: problems behind one face: parse, what a policy reads, check, answer.  Used by cli, train and bench, never by search.
 * Not a model: a task knows text only.
 * Next: task.c for the table; task_numbers.c and task_words.c for its rows. */
#ifndef PONDER_TASK_H
#define PONDER_TASK_H

#include "tasks/answer.h"
#include "tasks/countdown.h"

struct task;

struct problem {
    const struct task *task;
    char id[64];
    bool id_is_line; /* nobody gave an id: it is the number of the line */
    uint32_t max_depth;    /* no right chain has more steps; 0: not known */
    char *text;            /* owned (problem_free): what a policy reads */
    const char *reference; /* tasks in words: the right answer, canonical; "" when nobody gave one.  Lives with text */
    struct cd_problem countdown;
};
void problem_free(struct problem *p);

enum verdict { VERDICT_WRONG, VERDICT_RIGHT, VERDICT_NONE }; /* none: nobody knows the right answer */

struct task {
    const char *name, *summary;
    const char *delimiter; /* text that ends a step */
    /* What a model that follows instructions is asked below the problem's text, and how the text goes on for one that only
     * continues texts.  NULL: the text alone is the prompt, in the form that the policy was trained on. */
    const char *instruction, *cue;
    uint32_t max_depth, max_step_tokens; /* steps of a chain (0: the search's own), tokens of a step */
    /* One line of an input file: plain text or a JSON object.  `number` (1-based) names the problem when the line gives
     * no id.  *p is untouched on failure, else for problem_free. */
    enum status (*parse)(const struct task *t, const char *line, long number, struct problem *p, struct error *e);
    /* The text of a user, who may have written anything: no JSON. */
    enum status (*parse_text)(const struct task *t, const char *text, struct problem *p, struct error *e);
    /* Verdict on a whole solution text (all that follows the prompt). */
    enum verdict (*check)(const struct problem *p, const char *solution);
    /* For votes: solutions with equal answers give equal text; "" has no vote.  Returns the length, cut at cap. */
    size_t (*vote)(const struct problem *p, const char *solution, char *out, size_t cap);
    /* For people: the answer in one line, whatever the text holds. */
    size_t (*show)(const struct problem *p, const char *solution, char *out, size_t cap);
    /* Does this step state the answer, so that nothing needs to follow?  NULL: none does. */
    bool (*is_last)(const char *step);
    /* 1 when the chain can still become right, 0 when not, exactly; NULL: nobody knows. */
    float (*oracle)(const struct problem *p, const char *solution);
};

/* By name ("game24"); NULL when unknown.  task_table ends in a row with name NULL. */
const struct task *task_find(const char *name);
extern const struct task task_table[];
extern const char task_names[]; /* "game24, countdown, ..." */

#endif
