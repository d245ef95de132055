/* sampling.h: how the user wants tokens to be drawn, as the rules of the loop that writes.
 * Not the flags (cli/flags_sampling.h) and not the arithmetic (model/sample.h).
 * Next: sampling.c. */
#ifndef PONDER_SAMPLING_H
#define PONDER_SAMPLING_H

#include "base/flag_list.h"
#include "model/write.h"
#include "solve/constraint.h"

struct sampling_options {
    int64_t n, seed, top_k, repeat_last_n; /* seed -1: a new one */
    double temp, top_p, min_p, typical, repeat, presence, frequency;
    const char *samplers, *sampler_seq; /* NULL: the usual order */
    struct flag_list bias, stops;
    bool ignore_eos;
    struct grammar_source grammar;
};

enum { SAMPLING_CHAIN = 32 };

struct sampling {
    struct text_rules rules; /* without functions: the caller adds them to a copy */
    float temperature;
    uint64_t seed, key;
    /* what the rules point to */
    struct sample_bias *bias;
    char chain[SAMPLING_CHAIN];
    struct grammar_words *words;
    struct grammar *grammar, *own_grammar; /* NULL: none; what was opened here */
};

/* What can be said without a model: the words of --logit-bias, of the orders and of grammars.  ERR_INPUT names the flag. */
enum status sampling_check(const struct sampling_options *o, struct error *e);
/* tok is borrowed.  s is defined (and closable) on failure too; ERR_INPUT names the flag. */
enum status sampling_open(const struct sampling_options *o, const struct tok *tok, uint32_t n_vocab, struct sampling *s,
                          struct error *e);
void sampling_close(struct sampling *s);
/* The state of the grammar at the beginning of a text, for text.state and grammar_constraint.free; NULL without a
 * grammar.  thinking: see grammar_begin. */
enum status sampling_begin(const struct sampling *s, bool thinking, void **state, struct error *e);

/* A new seed, short enough to type again, when `given` is negative. */
uint64_t sampling_seed(int64_t given);

#endif
