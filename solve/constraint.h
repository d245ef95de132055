/* constraint.h: a grammar as what restricts the tokens of a text, and where users' grammars come from.
 * Not the grammar: model/grammar.h.
 * Next: constraint.c; model/write.h asks it. */
#ifndef PONDER_CONSTRAINT_H
#define PONDER_CONSTRAINT_H

#include <jansson.h>

#include "model/grammar.h"
#include "model/write.h"

/* Its states are made by grammar_begin and freed by grammar_constraint.free. */
extern const struct text_constraint grammar_constraint;
/* The start of a text.  thinking: it begins within <think>; then everything but an end token is allowed until
 * </think>, and the grammar holds for what follows.  g and tok are borrowed.  NULL: no memory. */
void *grammar_begin(struct grammar *g, const struct tok *tok, bool thinking);
/* The caller has put </think> into the text (text_put does not ask the constraint).  state NULL: there is none. */
void grammar_end_thinking(void *state);

/* The words of a vocabulary, for grammar_open.  tok is borrowed. */
enum status grammar_words_of(const struct tok *tok, struct grammar_words **out, struct error *e);
/* The grammar of a JSON schema.  ERR_INPUT names what is not supported. */
enum status grammar_of_schema(const json_t *schema, const char *name, const struct grammar_words *words,
                              struct grammar **out, struct error *e);

/* What a user may give, at most one of them; all NULL: no grammar. */
struct grammar_source {
    const char *text, *file;               /* --grammar, --grammar-file: GBNF */
    const char *schema_text, *schema_file; /* --json-schema, --json-schema-file */
    struct grammar *open;                  /* one that is there already, borrowed; instead of all others */
};
bool grammar_is_given(const struct grammar_source *from);
/* What can be said without files and a model: that one is given at most, and that texts can be read. */
enum status grammar_source_check(const struct grammar_source *from, struct error *e);
/* *out NULL: no text and no file was given.  Errors begin with the flag. */
enum status grammar_source_open(const struct grammar_source *from, const struct grammar_words *words,
                                struct grammar **out, struct error *e);

#endif
