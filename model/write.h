/* write.h: the one loop that writes tokens: texts in lockstep, one pass of the model for all of them.
 * Not a search and not a conversation: both own their texts and say here how they go on.
 * Next: write.c; sample.h for the draw, speculate.h for guesses.
 *
 *   before   [ tokens shared with others ...]                      a trail
 *   ids                                      [ own ........ t ]    t: the newest token, not read yet
 *   KV       [..............................................]
 *   pass     reads what is unread (t, or a prompt, or t and guesses), draws, asks the text's rules whether it ends
 *
 * What is drawn depends on the text's own tokens, rules, key and counter only: alone or in a crowd, in one call or in many,
 * with guesses from the text or without, it is the same text. */
#ifndef PONDER_WRITE_H
#define PONDER_WRITE_H

#include "base/stream.h"
#include "base/trail.h"
#include "model/engine.h"
#include "model/sample.h"
#include "model/speculate.h"
#include "tokenizer/tok.h"

struct text;

/* What restricts the next token, a grammar for instance.  The state belongs to one text: who forks the text clones it. */
struct text_constraint {
    /* -INFINITY where a token may not come next.  An error ends the call that writes. */
    enum status (*mask)(void *state, float *logits, uint32_t n_vocab, struct error *e);
    enum status (*advance)(void *state, int32_t id, struct error *e); /* the text goes on with id */
    void *(*clone)(const void *state);                                /* NULL: no memory */
    void (*free)(void *state);
};

/* How texts go on.  Constant while they are written; any number of texts share one. */
struct text_rules {
    const struct tok *tok;          /* end tokens, and the bytes of a token; NULL: no token ends a text */
    struct sample_params sampling;  /* but for the temperature, which is the text's */
    const struct sample_bias *bias; /* [n_bias] */
    size_t n_bias;
    struct sample_penalties penalties;        /* repeat 1 and the others 0, or all 0: none */
    uint32_t n_penalized;                     /* over so many tokens at the end of the text; UINT32_MAX: all */
    const struct text_constraint *constraint; /* NULL: none */
    bool special;                             /* control tokens go into the text's stream by name */
    /* The bytes of a token for the stream, instead of tok_piece with `special`.  NULL: those. */
    struct gguf_string (*piece)(void *arg, int32_t id);
    /* After each drawn token; t->end is set when the token itself ended the text (end token, stop string).  True: the text ends
     * here.  It may use text_put.  t->logits are what the token was drawn from.  NULL: nothing is asked. */
    bool (*on_token)(void *arg, struct text *t, int32_t id, float logprob);
};

enum text_end {
    TEXT_GOES_ON,
    TEXT_END_TOKEN,   /* the newest token is an end token */
    TEXT_STOP_STRING, /* its newest tokens complete a stop string */
    TEXT_ENDED,       /* on_token said so */
    TEXT_MAX_TOKENS,
    TEXT_FULL,      /* cap_ids */
    TEXT_DEAD,      /* no usable distribution: NaN, or every token forbidden */
    TEXT_CANCELLED, /* a cancel or a deadline came first */
};

/* One text.  All is the caller's between calls. */
struct text {
    const struct text_rules *rules;
    void *arg; /* for the functions of the rules */
    uint32_t seq;
    const struct trail_pool *pool; /* NULL: nothing comes before */
    struct trail before;           /* what comes before, borrowed */
    int32_t *ids;                  /* [n_ids of cap_ids] what follows; the end is overwritten by guesses */
    uint32_t n_ids, cap_ids;
    uint32_t n_read;       /* tokens in the KV cache, counted from the beginning of the text: engine_len(seq) */
    uint64_t key, counter; /* the next draw is number `counter` of the stream `key` */
    float temperature;
    uint32_t max_tokens;           /* drawn ones of one call; 0: as many as fit */
    struct speculator *speculator; /* guesses, the text's alone; NULL: none */
    struct stream *stream;         /* gets the bytes, looks for stop strings; NULL: none */
    void *state;                   /* of the constraint */
    /* out */
    enum text_end end;
    uint32_t n_drawn;    /* tokens of this call, an end token included */
    uint64_t n_flops;    /* of all calls: added to */
    const float *logits; /* [n_out] in on_token */
};

struct writer;

/* For the sequences of one client (borrowed): scratch for passes over at most max_texts texts, with at most max_guesses guesses each (speculate_params.draft_max).  One thread
 * uses it at a time. */
enum status writer_new(struct client *c, uint32_t max_texts, uint32_t max_guesses, struct writer **out,
                       struct error *e);
void writer_free(struct writer **w);
float *
writer_rows(struct writer *w); /* [max_texts * (1 + max_guesses), n_out]: scratch that is free between two passes */

/* A limit of all texts of a call, asked before each pass: true ends them, TEXT_CANCELLED.  The client's own deadline and flag do so,
 * too, also in the middle of a pass (engine_set_limits). */
struct write_limit {
    bool (*reached)(void *arg);
    void *arg;
};

/* Writes n texts until each has come to its end, at most max_texts at once: when one ends the next one joins.  A long
 * prompt is read in pieces while other texts go on.  *pages_copied (may be NULL) grows by the copies on write.  An error is one of the
 * engine (ERR_FULL: no KV pages) or of memory; every text is then as its last complete pass left it, and those that had
 * not ended say TEXT_GOES_ON. */
enum status write_some(struct writer *w, struct text *const *texts, size_t n, const struct write_limit *limit,
                       uint64_t *pages_copied, struct error *e);

/* The same by hand, for texts that come and go: text_begin, then passes while its end is TEXT_GOES_ON.  n <= max_texts. */
void text_begin(struct text *t);
enum status write_pass(struct writer *w, struct text *const *texts, size_t n, uint64_t *pages_copied, struct error *e);

static inline uint32_t text_length(const struct text *t) { return t->before.len + t->n_ids; }

/* Appends tokens that nobody drew; they go through the stream, not through the constraint.  There must be room. */
enum status text_put(struct text *t, const int32_t *ids, uint32_t n, struct error *e);
/* Forgets all but the first n_ids of the text's own tokens, in the KV cache and for guesses, too. */
void text_cut(struct writer *w, struct text *t, uint32_t n_ids);

#endif
