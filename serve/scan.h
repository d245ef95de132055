/* scan.h: texts that try to steer: the verifier that will value a chain, the thinking of a model, or the roles of a
 * conversation by names of control tokens.
 * Not a filter: nothing is refused, and names of control tokens stay text anyway (tokenizer/template/chat.h).  Who acts
 * on it is the client: the reply has "steering".
 * Next: scan.c for the phrases; docs/SERVE.md for how much steering does. */
#ifndef PONDER_SERVE_SCAN_H
#define PONDER_SERVE_SCAN_H

#include <jansson.h>
#include <stddef.h>

#include "tokenizer/tok.h"

/* At most so many findings of one request are told, and so many bytes of a text looked at. */
enum { SCAN_FINDINGS = 16, SCAN_BYTES = 1 << 20 };

/* Appends {"where", "kind", "text"} to *findings (a list, made with the first one) for each kind of attempt in the
 * text: "verifier", "thinking", "control".  where: "messages.2", "choices.0" ...  A failure of memory adds nothing. */
void scan_text(const struct tok *tok, const char *text, size_t n, const char *where, json_t **findings);

#endif
