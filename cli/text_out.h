/* text_out.h: what run and chat say about a text beside it.
 * Not the text.
 * Next: text_out.c. */
#ifndef PONDER_TEXT_OUT_H
#define PONDER_TEXT_OUT_H

#include "model/speculate.h"

/* One line on stderr: guesses made and right, tokens per pass.  NULL: nobody guessed, no line. */
void text_out_guesses(const struct speculator *s, uint64_t n_tokens);

#endif
