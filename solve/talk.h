/* talk.h: one conversation whose history stays in the KV cache: a turn reads only the tokens that are new.
 * Not the reading of lines: cli/cmd_chat.c.
 * Next: talk.c, talk_messages.c. */
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
    int64_t reasoning_budget; /* tokens of thinking before it is ended; negative: any number */
};

struct talk;

/* o is borrowed.  *out is NULL on failure. */
enum status talk_open(const struct talk_options *o, struct talk **out, struct error *e);
void talk_close(struct talk **t);

uint64_t talk_seed(const struct talk *t);
const char *talk_note(const struct talk *t); /* one line about the template, "" when there is nothing to say */
const struct session *talk_session(const struct talk *t);
/* NULL: nothing was guessed by anyone. */
const struct speculator *talk_guesses(const struct talk *t);

/* One answer. */
struct talk_turn {
    /* in */
    const volatile int *cancel; /* non-zero: the answer ends, or, before its first token, the message is forgotten */
    /* Whole characters; false: the reader went away. */
    bool (*write)(void *arg, const char *text, size_t size, bool thinking);
    void *arg;
    /* out */
    enum text_end end;
    uint32_t n_tokens, n_context; /* of the answer; of the conversation */
    double read_s, answer_s;
};

/* Answers a message.  On an error (ERR_FULL: the context has no room; ERR_INPUT: no UTF-8, or the template refuses) the message is
 * forgotten. */
enum status talk_answer(struct talk *t, const char *message, struct talk_turn *turn, struct error *e);
/* Answers the last message again, with other random numbers.  ERR_INPUT: there is none. */
enum status talk_again(struct talk *t, struct talk_turn *turn, struct error *e);

/* Forgets everything; system: the new system message, "" = none, NULL = the old one.  ERR_INPUT: the template refuses it; then nothing
 * is forgotten. */
enum status talk_reset(struct talk *t, const char *system, struct error *e);
/* The conversation as a file in JSON, [{"role", "content"}, ...]; an empty one is not written. */
enum status talk_save(const struct talk *t, const char *path, struct error *e);
enum status talk_load(struct talk *t, const char *path, struct error *e);

#endif
