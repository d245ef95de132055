/* search.h: searches as answers of a chat: who wants one, and the searches that are kept to be looked at.
 * Not a strategy: search/ has those.
 * Next: search.c runs one, search_store.h keeps it. */
#ifndef PONDER_SERVE_SEARCH_H
#define PONDER_SERVE_SEARCH_H

#include "search/search.h"
#include "serve/texts.h"
#include "tasks/task.h"

/* Does this request ask for a search: by "search" in its body, by its model's name (NAME:mcts64), or because the model
 * knows puzzles only? */
bool search_wanted(const struct texts *t);
/* Answers the conversation by a search, in the voice of t; takes t over.  messages: system messages, and one of the
 * user, the problem. */
void search_chat(struct texts *t, const json_t *messages);

json_t *ledger_json(const struct ledger *l);
const char *verdict_name(enum verdict v); /* "right", "wrong", "unknown" */

/* NAME:mcts64 -> "mcts", 64 (0: no number).  False: the name is no such. */
bool search_of_name(const struct server *s, const char *model, char *strategy, size_t cap, uint64_t *budget);

#endif
