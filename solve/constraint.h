/* constraint.h: a grammar as what restricts the tokens of a text.
 * Not the grammar: model/grammar.h.
 * Next: constraint.c; model/write.h asks it. */
#ifndef PONDER_CONSTRAINT_H
#define PONDER_CONSTRAINT_H

#include "model/grammar.h"
#include "model/write.h"

/* Its states are made by grammar_begin and freed by grammar_constraint.free. */
extern const struct text_constraint grammar_constraint;
/* The start of a text.  g and tok are borrowed.  NULL: no memory. */
void *grammar_begin(struct grammar *g, const struct tok *tok);

/* The words of a vocabulary, for grammar_open.  tok is borrowed. */
enum status grammar_words_of(const struct tok *tok, struct grammar_words **out, struct error *e);

#endif
