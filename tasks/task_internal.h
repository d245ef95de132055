/* task_internal.h: what the rows of the task table share: a line on its way to a problem.
 * Not for others.
 * Next: task_numbers.c. */
#ifndef PONDER_TASK_INTERNAL_H
#define PONDER_TASK_INTERNAL_H

#include <jansson.h>

#include "tasks/task.h"

struct entry {
    /* in */
    const struct task *task;
    long number;
    struct error *e;
    /* out of entry_open */
    const char *text; /* [size] without byte-order mark, line end and blanks around it */
    size_t size;
    json_t *object; /* the line as JSON, NULL when it is plain text */
    /* out */
    struct problem p; /* .id, .task are set by entry_open */
};

/* Reads what all tasks have in common: "id" and "task".  entry_close frees the object. */
enum status entry_open(struct entry *in, const char *line);
void entry_close(struct entry *in);

/* ERR_INPUT: line 3: "answer" must be ... */
enum status entry_bad_field(const struct entry *in, const char *field, const char *allowed);

/* p->text = text, and below it p->reference = reference ("" for NULL). */
enum status problem_set_text(struct problem *p, const char *text, size_t size, const char *reference, struct error *e);

/* Is it a problem of a published test set?  (tasks/official.c) */
bool is_official(uint64_t content);

/* One step a line, of the numbers game and of other puzzles; paragraphs of a model that talks. */
extern const struct task_style style_numbers, style_steps, style_prose;

/* A verdict of a task that knows; the reason is kept when it is not right. */
struct judgement __attribute__((format(printf, 2, 3))) judged(bool right, const char *format, ...);

/* The rows, each in a file of its own or beside its like. */
extern const struct task game24_task, countdown_task, puzzle24_task, chain_sum_task, basic_arithmetic_task,
    multistep_arithmetic_task, boolean_expressions_task, n_queens_task, path_star_task, quantum_lock_task, jugs_task,
    tower_of_hanoi_task, mini_sudoku_task, futoshiki_task, knights_knaves_task, kakurasu_task, math_task, gsm8k_task, code_task;

#endif
