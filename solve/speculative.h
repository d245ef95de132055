/* speculative.h: flags and lifetime of guessing for `run` and `chat`: a draft model, or the text itself.
 * Not the method: model/speculate.h.
 * Next: speculative.c. */
#ifndef PONDER_SPECULATIVE_H
#define PONDER_SPECULATIVE_H

#include "solve/sampling.h"
#include "solve/session.h"
#include "model/speculate.h"

struct speculative_options {
    const char *model; /* NULL: none */
    bool lookup;
    int64_t most, least;
    double p_min;
};

/* Names, meanings and defaults are llama.cpp's, where it has them. */
#define SPECULATIVE_FLAGS(type, field)                                                                                 \
    {"model-draft",                                                                                                    \
     "md",                                                                                                             \
     FLAG_TEXT,                                                                                                        \
     offsetof(type, field.model),                                                                                      \
     NULL,                                                                                                             \
     0,                                                                                                                \
     0,                                                                                                                \
     "FILE",                                                                                                           \
     "a smaller model with the same tokens: it guesses, the model verifies; same law, fewer passes"},                  \
        {"lookup",                                                                                                     \
         NULL,                                                                                                         \
         FLAG_YES,                                                                                                     \
         offsetof(type, field.lookup),                                                                                 \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "guess what followed the last words when they stood in the text before; same text, fewer passes"},            \
        {"draft-max",                                                                                                  \
         "draft",                                                                                                      \
         FLAG_INT,                                                                                                     \
         offsetof(type, field.most),                                                                                   \
         "16",                                                                                                         \
         1,                                                                                                            \
         4096,                                                                                                         \
         "N",                                                                                                          \
         "tokens guessed at once"},                                                                                    \
        {"draft-min", NULL, FLAG_INT, offsetof(type, field.least), "0", 0, 4096, "N", "fewer guesses are not tried"},  \
    {                                                                                                                  \
        "draft-p-min", NULL, FLAG_REAL, offsetof(type, field.p_min), "0.75", 0, 1, "X",                                \
            "the draft model stops guessing where its likeliest token is less likely than this"                        \
    }

struct speculative {
    const struct speculative_options *o; /* borrowed, and so is session */
    const struct session *session;
    struct loaded draft;           /* both NULL: lookup */
    struct speculator *speculator; /* NULL: not begun, or not wanted */
};

/* Checks the flags and opens the draft model, if one is wanted.  s is defined (and closable) on failure too. */
enum status speculative_open(const struct speculative_options *o, const struct session *session, struct speculative *s,
                             struct error *e);
/* For the text of session's policy in `seq`, drawn as `sampling` (borrowed) says.  Nothing when no flag asked for it. */
enum status speculative_begin(struct speculative *s, struct sampling *sampling, uint32_t seq, struct error *e);
void speculative_close(struct speculative *s);

/* One line on stderr: guesses made and right, tokens per pass. */
void speculative_report(const struct speculative *s, uint64_t n_tokens);

#endif
