/* grammar.h: which tokens may come next when the text must follow a grammar in GBNF, llama.cpp's notation.
 * Not a sampler: it forbids tokens, the sampler draws among the others.
 * Next: grammar_parse.c for the notation, grammar.c for the states, grammar_mask.c for tokens; json_schema.h writes
 * grammars.
 *
 *   root  ::= "yes" | "no" ws [0-9]+ ("," .){0,3}   # rules, literals, classes, any character, groups, repetition
 *   ws    ::= " " | "\n"
 *
 * A grammar is compiled to a machine over bytes (grammar_internal.h).  The set of all readings of a text so far is one
 * number, a state, so that a fork of a text copies a number; equal sets are one state, and what a state allows is
 * computed once. */
#ifndef PONDER_GRAMMAR_H
#define PONDER_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "weights/gguf.h"

/* The words that a mask chooses from: the tokens of a model, sorted by their bytes.  Constant: many grammars and
 * threads use one. */
struct grammar_words;
struct grammar_vocab {
    uint32_t n;                                               /* tokens */
    struct gguf_string (*piece)(const void *arg, int32_t id); /* bytes of a token, empty for control tokens */
    bool (*is_end)(const void *arg, int32_t id);              /* ends a text */
    const void *arg;
};
/* The pieces are borrowed until grammar_words_free. */
enum status grammar_words_new(const struct grammar_vocab *v, struct grammar_words **out, struct error *e);
void grammar_words_free(struct grammar_words **w);

struct grammar;

/* Reads the rules; the text is no longer needed afterwards.  words (borrowed) may be NULL when no mask is asked for. 
 * `name` stands in front of errors, which give line and column.  ERR_INPUT: bad notation, a rule that is missing or
 * defined twice, left recursion, a rule that can never end, more than GRAMMAR_OPS elements or GRAMMAR_DEPTH nested
 * groups. */
enum { GRAMMAR_OPS = 1 << 18, GRAMMAR_DEPTH = 200, GRAMMAR_RULES = 1 << 12, GRAMMAR_REPEAT = 10000 };
enum status grammar_open(const char *text, size_t size, const char *name, const struct grammar_words *words,
                         struct grammar **out, struct error *e);
void grammar_close(struct grammar **g);
const char *grammar_text(const struct grammar *g); /* what was read */

/* A state is meant for its grammar.  0: the text follows the grammar no longer.  All functions below may be called from
 * many threads. */
typedef uint32_t grammar_state;
enum { GRAMMAR_DEAD = 0, GRAMMAR_START = 1 };

/* *state after n more bytes.  ERR_FULL: the text has too many readings at once, or the memory for states is used up;
 * ERR_MEMORY.  *state is then as before. */
enum status grammar_accept(struct grammar *g, grammar_state *state, const char *bytes, size_t n, struct error *e);
bool grammar_can_end(struct grammar *g, grammar_state state);

/* Forbids (sets to -INFINITY) every token of logits [n_vocab] whose bytes leave no reading alive; end tokens unless the
 * text may end here; empty tokens; and ids that the words do not have.  *n_allowed: tokens left.  Errors as above:
 * nothing was forbidden. */
enum status grammar_mask(struct grammar *g, grammar_state state, float *logits, uint32_t n_vocab, uint32_t *n_allowed,
                         struct error *e);

#endif
