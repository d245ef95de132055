/* sampling.h: from logits to the next token of one text, as the flags say: run and chat share them.
 * Not the arithmetic: model/sample.h.
 * Next: sampling.c. */
#ifndef PONDER_SAMPLING_H
#define PONDER_SAMPLING_H

#include "cli/args.h"
#include "model/sample.h"
#include "tokenizer/tok.h"

struct sampling_options {
    int64_t n, seed, top_k, repeat_last_n;
    double temp, top_p, min_p, typical, repeat, presence, frequency;
    const char *samplers, *sampler_seq; /* NULL: the usual order */
    struct flag_list bias, stops;
    bool ignore_eos;
};

/* Names, meanings and defaults are llama.cpp's. */
#define SAMPLING_FLAGS(type, field)                                                                                    \
    {"predict",                                                                                                        \
     "n",                                                                                                              \
     FLAG_INT,                                                                                                         \
     offsetof(type, field.n),                                                                                          \
     "-1",                                                                                                             \
     -1,                                                                                                               \
     1e9,                                                                                                              \
     "N",                                                                                                              \
     "tokens to write; -1 = until the end or the context is full"},                                                    \
        {"reverse-prompt",                                                                                             \
         "r",                                                                                                          \
         FLAG_LIST,                                                                                                    \
         offsetof(type, field.stops),                                                                                  \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         "TEXT",                                                                                                       \
         "stop before this text; may be given several times"},                                                         \
        {"ignore-eos", NULL, FLAG_YES, offsetof(type, field.ignore_eos), NULL, 0, 0, NULL, "never end by a token"},    \
        {"temp",                                                                                                       \
         NULL,                                                                                                         \
         FLAG_REAL,                                                                                                    \
         offsetof(type, field.temp),                                                                                   \
         "0.8",                                                                                                        \
         0,                                                                                                            \
         100,                                                                                                          \
         "X",                                                                                                          \
         "temperature; 0 = always the likeliest token"},                                                               \
        {"top-k", NULL, FLAG_INT, offsetof(type, field.top_k), "40", 0, 1e9, "N", "only the N likeliest; 0 = all"},    \
        {"top-p",                                                                                                      \
         NULL,                                                                                                         \
         FLAG_REAL,                                                                                                    \
         offsetof(type, field.top_p),                                                                                  \
         "0.95",                                                                                                       \
         0,                                                                                                            \
         1,                                                                                                            \
         "X",                                                                                                          \
         "only the likeliest with together this probability; 1 = all"},                                                \
        {"min-p",                                                                                                      \
         NULL,                                                                                                         \
         FLAG_REAL,                                                                                                    \
         offsetof(type, field.min_p),                                                                                  \
         "0.05",                                                                                                       \
         0,                                                                                                            \
         1,                                                                                                            \
         "X",                                                                                                          \
         "only tokens this likely, the best one being 1; 0 = all"},                                                    \
        {"typical",                                                                                                    \
         NULL,                                                                                                         \
         FLAG_REAL,                                                                                                    \
         offsetof(type, field.typical),                                                                                \
         "1",                                                                                                          \
         0,                                                                                                            \
         1,                                                                                                            \
         "X",                                                                                                          \
         "only those with together this probability that surprise as much as the average one does; 1 = all"},          \
        {"samplers",                                                                                                   \
         NULL,                                                                                                         \
         FLAG_TEXT,                                                                                                    \
         offsetof(type, field.samplers),                                                                               \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         "NAMES",                                                                                                      \
         "their order, those left out are off (default: penalties;top_k;typ_p;top_p;min_p;temperature)"},              \
        {"sampler-seq",                                                                                                \
         NULL,                                                                                                         \
         FLAG_TEXT,                                                                                                    \
         offsetof(type, field.sampler_seq),                                                                            \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         "LETTERS",                                                                                                    \
         "the same in letters (default: ekypmt)"},                                                                     \
        {"repeat-last-n",                                                                                              \
         NULL,                                                                                                         \
         FLAG_INT,                                                                                                     \
         offsetof(type, field.repeat_last_n),                                                                          \
         "64",                                                                                                         \
         -1,                                                                                                           \
         1e9,                                                                                                          \
         "N",                                                                                                          \
         "the penalties look at the last N tokens; 0 = none, -1 = all"},                                               \
        {"repeat-penalty",                                                                                             \
         NULL,                                                                                                         \
         FLAG_REAL,                                                                                                    \
         offsetof(type, field.repeat),                                                                                 \
         "1",                                                                                                          \
         1e-3,                                                                                                         \
         1e3,                                                                                                          \
         "X",                                                                                                          \
         "divides positive logits of recent tokens and multiplies negative ones; 1 = off"},                            \
        {"presence-penalty",                                                                                           \
         NULL,                                                                                                         \
         FLAG_REAL,                                                                                                    \
         offsetof(type, field.presence),                                                                               \
         "0",                                                                                                          \
         -1e3,                                                                                                         \
         1e3,                                                                                                          \
         "X",                                                                                                          \
         "taken from the logit of each recent token; 0 = off"},                                                        \
        {"frequency-penalty",                                                                                          \
         NULL,                                                                                                         \
         FLAG_REAL,                                                                                                    \
         offsetof(type, field.frequency),                                                                              \
         "0",                                                                                                          \
         -1e3,                                                                                                         \
         1e3,                                                                                                          \
         "X",                                                                                                          \
         "taken from it for each time that it occurred; 0 = off"},                                                     \
        {"logit-bias",                                                                                                 \
         "l",                                                                                                          \
         FLAG_LIST,                                                                                                    \
         offsetof(type, field.bias),                                                                                   \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         "ID(+|-)X",                                                                                                   \
         "added to the logit of a token, -inf forbids it: 15043+1, 15043-inf; may be given several times"},            \
    {                                                                                                                  \
        "seed", "s", FLAG_INT, offsetof(type, field.seed), "-1", -1, 9e15, "N", "same seed, same text; -1 = a new one" \
    }

enum { SAMPLING_CHAIN = 32 };

struct sampling {
    const struct sampling_options *o; /* borrowed, and so is tok */
    const struct tok *tok;
    uint32_t n_vocab;
    float *logits; /* [n_vocab] the engine writes them; sampling_next changes them */
    struct sample_scratch scratch;
    struct sample_bias bias[FLAG_LIST_CAP]; /* [o->bias.n] */
    uint64_t key, counter;
    char chain[SAMPLING_CHAIN]; /* for sample_params */
    bool no_penalties;          /* the order that was asked for has none */
};

/* Says the seed on stderr when it matters.  s is defined (and closable) on failure too. */
enum status sampling_open(const struct sampling_options *o, const struct tok *tok, uint32_t n_vocab, struct sampling *s,
                          struct error *e);
void sampling_close(struct sampling *s);

struct sample_params sampling_params(const struct sampling *s);
/* Biases, penalties over the last of ids [n] (the whole text so far), on any logits of the next token. */
void sampling_adjust(struct sampling *s, const int32_t *ids, size_t n, float *logits);
/* These on s->logits, and the draw.  ERR_INPUT: no usable distribution. */
enum status sampling_next(struct sampling *s, const int32_t *ids, size_t n, int32_t *id, struct error *e);

#endif
