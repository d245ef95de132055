/* talk.h: one conversation whose history stays in the KV cache: a turn reads only the tokens that are new.
 * Not the reading of lines: cmd_chat.c.
 * Next: talk.c. */
#ifndef PONDER_TALK_H
#define PONDER_TALK_H

#include "solve/sampling.h"
#include "solve/session.h"
#include "solve/speculative.h"

struct talk_options {
    struct session_options session;
    const char *system, *template_name, *template_file; /* NULL: none */
    struct sampling_options sampling;
    struct speculative_options speculative;
    int64_t reasoning_budget;
};

struct talk;

/* o is borrowed.  *out is NULL on failure. */
enum status talk_open(const struct talk_options *o, struct talk **out, struct error *e);
void talk_close(struct talk **t);

/* Answers on stdout.  ERR_FULL: the context has no room for the message, which is forgotten. */
enum status talk_answer(struct talk *t, const char *message, struct error *e);

/* Forgets everything; system: the new system message, "" = none, NULL = the old one. */
enum status talk_reset(struct talk *t, const char *system, struct error *e);
enum status talk_save(const struct talk *t, const char *path, struct error *e);

#endif
