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

/* The rows' functions. */
enum status numbers_parse_any(const struct task *t, const char *line, long number, struct problem *p, struct error *e);
enum status numbers_parse_24(const struct task *t, const char *line, long number, struct problem *p, struct error *e);
enum status numbers_text_any(const struct task *t, const char *text, struct problem *p, struct error *e);
enum status numbers_text_24(const struct task *t, const char *text, struct problem *p, struct error *e);
enum verdict numbers_check(const struct problem *p, const char *solution);
size_t numbers_vote(const struct problem *p, const char *solution, char *out, size_t cap);
size_t numbers_show(const struct problem *p, const char *solution, char *out, size_t cap);
float numbers_oracle(const struct problem *p, const char *solution);

enum status words_parse(const struct task *t, const char *line, long number, struct problem *p, struct error *e);
enum status words_parse_answered(const struct task *t, const char *line, long number, struct problem *p,
                                 struct error *e);
enum status words_text(const struct task *t, const char *text, struct problem *p, struct error *e);
enum verdict words_check(const struct problem *p, const char *solution);
bool words_is_last(const char *step);
size_t words_vote(const struct problem *p, const char *solution, char *out, size_t cap);
size_t words_show(const struct problem *p, const char *solution, char *out, size_t cap);

#endif
