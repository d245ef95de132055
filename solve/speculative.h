/* speculative.h: how the user wants tokens to be guessed: by a draft model, or from the text itself; and the draft's lifetime.
 * Not the method: model/speculate.h.  Not the flags: cli/flags_sampling.h.
 * Next: speculative.c. */
#ifndef PONDER_SPECULATIVE_H
#define PONDER_SPECULATIVE_H

#include "model/speculate.h"
#include "solve/session.h"

struct speculative_options {
    const char *model; /* NULL: none */
    bool lookup;
    int64_t max, min; /* guesses per pass */
    double p_min;
};

struct speculative {
    struct loaded draft;           /* both NULL: lookup, or nothing */
    struct speculator *speculator; /* NULL: not wanted */
    uint32_t max_guesses;          /* for writer_new; 0: none */
};

/* What can be said without a model. */
enum status speculative_check(const struct speculative_options *o, struct error *e);
/* For one text of session's policy: opens the draft model, if one is wanted.  session is borrowed.  s is defined (and closable)
 * on failure too. */
enum status speculative_open(const struct speculative_options *o, const struct session *session, struct speculative *s,
                             struct error *e);
void speculative_close(struct speculative *s);

#endif
