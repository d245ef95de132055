/* search_store.h: the searches of a server, running or done: what happened in them, for all who want to follow.
 * Not the running: search.c.
 * Next: search_store.c. */
#ifndef PONDER_SEARCH_STORE_H
#define PONDER_SEARCH_STORE_H

#include "search/search.h"
#include "serve/http.h"

enum { SEARCHES_KEPT = 64 };

struct search_store;
enum status search_store_new(struct search_store **out, struct error *e);
/* Nothing runs any more. */
void search_store_free(struct search_store **s);

/* One search.  Whoever finds it holds it until search_release. */
struct kept;
/* about: what is known at the start, taken over.  ex: of the client that waits for it; it is told to stop by
 * search_stop.  NULL: no memory.  The oldest one that is done makes room. */
struct kept *search_keep(struct search_store *s, struct exchange *ex, json_t *about);
struct kept *search_find(struct search_store *s, const char *id, size_t n_id);
void search_release(struct kept *k);
const char *search_id(const struct kept *k);

/* One more line of its tree (search/trace.h), from the search's own thread.  After a failure of memory it is none. */
void search_line(struct kept *k, const char *line, size_t n);
/* It is over; result: what is told about it, borrowed. */
void search_done(struct kept *k, json_t *result);
/* It ends with the best so far, within a pass of the model.  False: it is over already. */
bool search_stop(struct kept *k);
void search_remove(struct search_store *s, struct kept *k);

/* {"id", "status", about ..., result ...} and, if asked for, "trace": its events. */
void search_tell(struct kept *k, bool trace, struct buffer *out);
/* Replies with all events from the beginning, or behind event `after`, as they come.  k is taken over. */
void search_follow(struct kept *k, struct exchange *ex, uint64_t after);
/* The exchange is going away. */
void search_unfollow(struct exchange *ex);

#endif
