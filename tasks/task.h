/* task.h: problems behind one face: parse, what a policy reads, judge, answer, and where problems to learn from come
 * from.
 * Not a model: a task knows text only.
 * Next: task.c for the table; task_numbers.c and task_words.c for its first rows.
 *
 *   a line of a file --parse--> problem.text --a policy writes--> chain of steps --answer-->
 *   "4 * (7 - 8 / 8)" --judge--> reward
 *   a key --generate--> problem --example--> chain to learn from, never when held_out */
#ifndef PONDER_TASK_H
#define PONDER_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ask.h"
#include "base/status.h"

struct task;

struct problem {
    const struct task *task;
    char id[64];
    bool id_is_line;       /* nobody gave an id: it is the number of the line */
    uint32_t max_depth;    /* no right chain has more steps; 0: not known */
    char *text;            /* owned (problem_free): what a policy reads */
    const char *reference; /* tasks in words: the right answer, canonical; "" when nobody gave one.  Lives with text */
    void *own;             /* the task's own data, one block of mem_new (problem_free); NULL: it needs none */
};
void problem_free(struct problem *p);

enum verdict { VERDICT_WRONG, VERDICT_RIGHT, VERDICT_NONE }; /* none: nobody knows the right answer */

/* Verdict on a text, with a reason that a model can be told. */
struct judgement {
    bool known;       /* false: nobody knows the right answer */
    float reward;     /* 0 to 1; right is 1 */
    char reason[128]; /* one line: "7 - 8 is not 1"; "" when right */
};

/* How the texts of a task look: data, so that nobody needs to know which task it is. */
struct task_style {
    const char *delimiter;    /* text that ends a step */
    const char *search;       /* strategy when none is asked for */
    uint32_t max_depth;       /* steps of a chain; 0: the problem says it */
    uint32_t max_step_tokens; /* tokens of a step */
    bool prose; /* for models of others: prompts go through a chat template, the chain itself is worth reading */
    const char
        *asks[N_ASKS]; /* what is written below the problem; NULL: cannot be asked.  "%s" is the text so far */
    const char *cue;   /* prose: how the problem goes on for a model that only continues texts */
};

/* A knob of a generator, with the values of the two published levels. */
struct knob {
    const char *name, *summary; /* NULL name: end of the list */
    int easy, hard, low, high;  /* allowed: low to high */
};
enum { MAX_KNOBS = 8 };

/* What a generator is to draw. */
struct task_draw {
    int knobs[MAX_KNOBS]; /* in the order of the task's list */
    bool any;             /* also what has no solution, where the task has such problems */
};

/* A chain to learn from, or to be told apart from good ones. */
struct lesson {
    bool explore;    /* in: any legal steps instead of a solution, where the task has such chains */
    bool stray;      /* in: the same as far as they go, for a try that fails: all of it is learned */
    char *text;      /* [cap] steps with delimiters between them */
    size_t cap, n;   /* n 0: there is none */
    char loss_after; /* 0: learn all of it; else only what follows this byte in each step */
};

/* What a chain has reached.  Other values: chains with equal keys have the same ways to go on. */
enum { STATE_UNKNOWN, STATE_WRONG }; /* wrong: no right chain begins like this */

struct task {
    const char *name, *summary;
    const struct task_style *style;
    const struct kind *kind; /* of tasks of compact steps: tasks/steps.h */
    /* One line of an input file: plain text or a JSON object.  `number` (1-based) names the problem when the line gives
     * no id.  *p is untouched on failure, else for problem_free. */
    enum status (*parse)(const struct task *t, const char *line, long number, struct problem *p, struct error *e);
    /* The text of a user, who may have written anything: no JSON. */
    enum status (*parse_text)(const struct task *t, const char *text, struct problem *p, struct error *e);
    /* Verdict on a whole chain (all that follows the prompt).  Runs no text. */
    struct judgement (*judge)(const struct problem *p, const char *chain);
    /* The answer of a chain in the form that whoever posed the problem reads.  Returns its length, cut at cap. */
    size_t (*answer)(const struct problem *p, const char *chain, char *out, size_t cap);
    /* Verdict on an answer in that form, written by anyone. */
    struct judgement (*judge_answer)(const struct problem *p, const char *answer);
    /* For votes: chains with equal answers give equal text; "" has no vote.  Returns the length, cut at cap. */
    size_t (*vote)(const struct problem *p, const char *chain, char *out, size_t cap);
    /* Does this step state the answer, so that nothing needs to follow?  NULL: none does. */
    bool (*is_last)(const char *step);

    /* ---- what a program knows about it; each may be NULL: nobody does ---- */
    /* 1 when the chain can still become right, 0 when not, exactly; below 0 when that takes too long to find out. */
    float (*oracle)(const struct problem *p, const char *chain);
    uint64_t (*state)(const struct problem *p, const char *chain);

    /* ---- problems to learn from; NULL: none ---- */
    const struct knob *knobs;
    /* A problem, a pure function of (key, draw); for problem_free.  ERR_MEMORY only. */
    enum status (*generate)(const struct task *t, uint64_t key, const struct task_draw *d, struct problem *p,
                            struct error *e);
    /* A chain for the problem, drawn with key. */
    void (*example)(const struct problem *p, uint64_t key, struct lesson *out);
    /* What makes it the same problem however it is written, as a hash.  NULL: its text. */
    uint64_t (*content)(const struct problem *p);
    /* What is kept for tests and never learned from, beside the published test sets.  NULL: one in sixteen by content. */
    bool (*held_out)(const struct problem *p);
};

/* By name ("game24"); NULL when unknown.  task_table ends in NULL. */
const struct task *task_find(const char *name);
extern const struct task *const task_table[];
extern const char task_names[]; /* "game24, countdown, ..." */

/* A chain of compact steps may hold tries that were given up, each with the line TRY_GIVEN_UP behind it: what counts is the last
 * one.  These ask the task about it (task.h above says what), and give no verdict on the others. */
#define TRY_GIVEN_UP " <"
const char *problem_last_try(const struct problem *p, const char *chain);
struct judgement problem_judge(const struct problem *p, const char *chain);
enum verdict problem_verdict(const struct problem *p, const char *chain);
size_t problem_answer(const struct problem *p, const char *chain, char *out, size_t cap);
size_t problem_vote(const struct problem *p, const char *chain, char *out, size_t cap);
float problem_oracle(const struct problem *p, const char *chain);
uint64_t problem_state(const struct problem *p, const char *chain); /* STATE_UNKNOWN when the task has none */
/* A buffer of this size holds the answer of any chain. */
size_t problem_answer_room(const struct problem *p, const char *chain);
/* Never to be trained on: a problem of a published test set, or one that its task keeps for tests. */
bool problem_is_held_out(const struct problem *p);
/* Equal texts have equal hashes, whatever their ids. */
uint64_t problem_hash(const struct problem *p);
/* Equal problems have equal contents, also those that are written in another order. */
uint64_t problem_content(const struct problem *p);
/* The text of a message or prompt for `ask`, for mem_free; so_far: a chain or "".  NULL: no memory, or it cannot be
 * asked. */
char *problem_ask(const struct problem *p, enum ask ask, const char *so_far, bool message);
struct task_draw task_level(const struct task *t, bool hard);
/* "degree=4,node_range=90" over what d says.  ERR_INPUT: an unknown knob, a value out of its range, min_x above max_x. */
enum status task_set_knobs(const struct task *t, const char *text, struct task_draw *d, struct error *e);

#endif
