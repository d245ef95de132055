/* texts.h: what a client wants written, the texts that come of it, and the voice in which the client is told.
 * Not a protocol: openai.c, anthropic.c, ollama.c and responses.c have a voice each.
 * Next: texts.c reads the wishes, texts_write.c has them written, texts_reply.c tells what is common. */
#ifndef PONDER_TEXTS_H
#define PONDER_TEXTS_H

#include "model/write.h"
#include "serve/fields.h"
#include "serve/server.h"
#include "tokenizer/template/chat_stream.h"

enum { WISH_STOPS = 1024, TOP_LOGPROBS = 20 };

/* The fields that all protocols share under one name or another; set to the defaults by wish_default. */
struct wish {
    int64_t n, best_of, max_tokens, seed, top_k, repeat_last_n, thinking_budget, top_logprobs;
    double temperature, top_p, min_p, typical_p, repeat, presence, frequency;
    bool stream, include_usage, echo, logprobs, ignore_eos, thinking;
    const json_t *stop, *logit_bias, *grammar_json; /* grammar_json: a schema */
    bool json_object;
    const char *grammar;
    double effort; /* times the usual budget of a search; 0: nobody says it */
};
void wish_default(const struct server *s, struct wish *w);

/* One text on its way. */
struct choice {
    struct texts *all;
    uint32_t index, prompt;
    struct text text;
    struct stream stops;                 /* settled text, without stop strings */
    struct chat_stream split;            /* thinking apart */
    struct buffer said, thought, untold; /* untold: the end of either, on its way */
    bool untold_thinking;
    uint64_t n_thought; /* tokens of thinking so far */
    json_t *logprobs;   /* list of tokens that were not told yet: {"token", "logprob", "top"...}; NULL: not wanted */
    uint64_t first_ns;
    double sum_logprob;
    bool stopped_by_string, at_start, dead;
    const char *stop_string; /* which one */
};

struct prompt {
    int32_t *ids; /* [n], owned */
    size_t n;
    uint32_t n_cached;
    bool thinking;    /* the template has opened it */
    json_t *logprobs; /* of echo; NULL */
};

/* How a client is told.  All but `whole` are for streams; any may be NULL. */
struct voice {
    void (*begin)(struct texts *t, struct choice *c);
    /* Whole characters; and the tokens of logprobs that came since, borrowed (NULL: none wanted). */
    void (*delta)(struct texts *t, struct choice *c, const char *text, size_t n, bool thinking, json_t *logprobs);
    void (*end)(struct texts *t, struct choice *c);
    void (*close)(struct texts *t);
    void (*whole)(struct texts *t);
};

struct texts {
    struct job job;
    struct exchange *ex;
    struct server *server;
    const struct voice *voice;
    json_t *body; /* owned; the wish borrows from it */
    struct wish wish;
    const char *id;           /* of the reply */
    const char *content_type; /* of a stream */
    bool chat;
    struct prompt *prompts; /* [n_prompts] */
    uint32_t n_prompts;
    struct choice *choices;     /* [n_choices]: those of prompt 0, then of 1 ... */
    uint32_t n_choices, n_told; /* n_told: those that are replied, per prompt */
    uint64_t seed, created, n_generated, n_thinking;
    uint64_t read_ns, write_ns; /* reading the prompts, writing */
    /* what the rules point to */
    struct text_rules rules;
    struct sample_bias *bias;
    const char *stops[WISH_STOPS];
    size_t n_stops;
    struct grammar *grammar;
    int32_t *end_thinking; /* [n_end] */
    size_t n_end;
    struct sample_scratch scratch;
    void *extra;                         /* the voice's own, for mem_free */
    json_t *gathered;                    /* the voice's own */
    json_t *search;                      /* what a search tells about itself; NULL: it was none */
    json_t *steering;                    /* findings of scan.h; NULL: none */
    uint64_t n_search_prompt, n_dropped; /* n_dropped: tokens of texts and branches that are not told */
};

/* A body with this wish, for the queue.  Failures have been told to the exchange, and NULL is returned. */
struct texts *texts_new(struct exchange *ex, const struct voice *voice);
/* Reads what all protocols have; the protocol's own rows come from it.  False: the exchange has been told why. */
bool texts_rules(struct texts *t);
/* Prompts: takes ids over.  False: told. */
bool texts_add_prompt(struct texts *t, int32_t *ids, size_t n);
bool texts_add_text(struct texts *t, const char *text, size_t n);
/* A conversation by the model's template; more: other members for the template, or NULL.  go_on: the last message, of
 * the assistant, is continued. */
bool texts_add_chat(struct texts *t, json_t *messages, const json_t *more, bool go_on);
/* openai.c: what an effort means for thinking; NULL: nothing.  False: told. */
bool texts_effort(struct texts *t, const char *effort);
/* Has the conversation answered, by the model or by a search; `good`: what was read before is right (else it has been
 * told).  t is taken over. */
void texts_answer(struct texts *t, bool good, json_t *messages, const json_t *more, bool go_on);
/* Into the queue: from now on it is the worker's. */
void texts_queue(struct texts *t);
void texts_free(struct texts *t);

/* texts_write.c: the job; and what it takes at most. */
void texts_run(struct job *job);
struct allowance texts_most(const struct texts *t);

/* ---- texts_reply.c ---- */

/* Log-probability of a token, and the top of the distribution: one number for one token, wherever it is written. */
json_t *texts_logprob(struct texts *t, const float *logits, int32_t id);
/* Bytes as a text, U+FFFD for each that is no UTF-8. */
json_t *clean_text(const char *bytes, size_t n);
/* The bytes of a token as text that JSON can hold, and as a list. */
json_t *token_text(const struct server *s, int32_t id);
json_t *bytes_text(const char *bytes, size_t n);
json_t *token_bytes(const struct server *s, int32_t id);

/* "stop" or "length". */
const char *choice_reason(const struct choice *c);
/* OpenAI's usage. */
json_t *texts_usage(const struct texts *t);
uint64_t texts_prompt_tokens(const struct texts *t);
uint64_t texts_cached_tokens(const struct texts *t);
json_t *texts_timings(const struct texts *t);
/* Looks for steering in what the client sent, but for system messages; and in an answer. */
void texts_scan_prompts(struct texts *t);
void texts_scan_answer(struct texts *t, const struct choice *c);
/* What every reply has besides, or the last part of a stream: "search" and "steering", where there are any. */
void texts_extras(const struct texts *t, json_t *reply);

#endif
