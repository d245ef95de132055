/* prompt.h: a problem in words as the tokens that a model is to continue.
 * Not a conversation: solve/talk.h.
 * Next: prompt.c; tokenizer/template/chat.h for what keeps the problem's text from becoming control tokens. */
#ifndef PONDER_PROMPT_H
#define PONDER_PROMPT_H

#include "solve/session.h"
#include "tasks/task.h"
#include "tokenizer/template/chat.h"

/* Constant after prompter_open: any number of threads may use it.  All zero: closable. */
struct prompter {
    /* set by the caller before prompter_open */
    const char *system; /* message, or NULL */
    bool raw;           /* the text alone */
    bool special;       /* raw: names of control tokens become those tokens */
    /* prompt.c's own */
    const struct tok *tok;
    struct chat *chat; /* NULL: the text goes to the model without a template */
    bool revises;      /* of compact steps: the policy has learned to write on behind an attempt that was given up */
};

/* For problems in words (prose): takes the template of the policy's file, if it has one and raw does not forbid it.  Remarks go to
 * stderr. */
enum status prompter_open(struct prompter *r, const struct session *session, bool prose, struct error *e);
void prompter_close(struct prompter *r);

/* *ids [*n] are for mem_free.  With a template: a message of the user, the problem with the task's instruction below it.  Without:
 * the problem and the task's cue.  Raw: the problem.  Text of control tokens in it stays text, unless `special`.  *thinking: the
 * template has opened <think>. */
enum status prompter_encode(const struct prompter *r, const struct problem *p, int32_t **ids, size_t *n, bool *thinking,
                            struct error *e);
/* The same for another question about the problem and a chain (so_far; "": none yet), with a note below the chain ("":
 * none).  ERR_INPUT: it cannot be asked. */
enum status prompter_ask(const struct prompter *r, const struct problem *p, enum ask ask, const char *so_far,
                         const char *note, int32_t **ids, size_t *n, struct error *e);
/* 1 << ask for each question that can be asked: the task has words for it, and the model takes messages, or has learned it. */
unsigned prompter_asks(const struct prompter *r, const struct task *t);

#endif
