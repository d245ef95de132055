/* steps.h: what the tasks of compact steps share: lines to problems, lines of a chain, small readers of text.
 * Not for others than tasks/.
 * Next: steps.c; tasks/jugs.c for a small task that uses it.
 *
 * Such a task has its data in one plain struct.  It reads the question of whoever posed it or its own compact form,
 * and writes the compact form, which is one line: what a policy reads. */
#ifndef PONDER_STEPS_H
#define PONDER_STEPS_H

#include "base/rng.h"
#include "tasks/task_internal.h"

enum { COMPACT = 4096 }; /* bytes of any compact form */

struct kind {
    size_t size; /* of the task's data */
    /* Reads a question or a compact form into *own ([size], zeroed before); false with what is wrong in why. */
    bool (*read)(const char *text, void *own, char why[96]);
    /* Writes the compact form with its line end into out[COMPACT]. */
    void (*write)(const void *own, char *out);
    uint32_t (*depth)(const void *own); /* steps of the longest right chain; NULL or 0: not known */
};

enum status steps_parse(const struct task *t, const char *line, long number, struct problem *p, struct error *e);
enum status steps_parse_text(const struct task *t, const char *text, struct problem *p, struct error *e);
/* A problem with a copy of own. */
enum status steps_problem(const struct task *t, const void *own, struct problem *p, struct error *e);
/* The verdict on the answer that the chain comes to. */
struct judgement steps_judge(const struct problem *p, const char *chain);
/* For the row of such a task. */
#define STEPS_VERBS .parse = steps_parse, .parse_text = steps_parse_text, .judge = steps_judge

/* ---- text ---- */

/* The next line of *at into line[cap] without its end; false when none is left.  A longer one is cut, and is no right
 * step. */
bool next_line(const char **at, char *line, size_t cap);
/* Appends; returns the new length, at most cap - 1. */
size_t __attribute__((format(printf, 4, 5))) put(char *out, size_t cap, size_t n, const char *format, ...);
/* Takes `word` from *at, or a whole number of up to 18 digits with an optional minus; false (nothing taken) when it is
 * not there. */
bool take(const char **at, const char *word);
bool take_int(const char **at, long *value);
/* Like take, for a number from low to high. */
bool take_small(const char **at, long low, long high, int *value);
/* Blanks and line ends. */
void skip_space(const char **at);
/* After the first `mark` in text; NULL when it is not there. */
const char *after(const char *text, const char *mark);
uint64_t hash_text(const char *text); /* never one of the special states */

/* Integer in [low, high], draw number (*counter)++ of the stream. */
int draw_int(uint64_t key, uint64_t *counter, int low, int high);
void draw_shuffle(uint64_t key, uint64_t *counter, int *items, int n);

#endif
