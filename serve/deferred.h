/* deferred.h: requests whose answers clients come back for: kept in a folder, so that neither a restart nor a crash
 * loses one that was accepted, or an answer that was made.
 * Not a queue of its own: jobs go through the server's, as batch ones.
 * Next: deferred.c; deferred_file.c for the folder.
 *
 *   FOLDER/lock        held by the server
 *   FOLDER/ID.job      {"id", "created", "path", "key", "body"}       written before the client is told its id
 *   FOLDER/ID.done     {"id", "finished", "code", "response"}         written when the answer is complete
 *   FOLDER/....new     on their way to one of these names; removed at the start */
#ifndef PONDER_SERVE_DEFERRED_H
#define PONDER_SERVE_DEFERRED_H

#include <jansson.h>

#include "serve/server.h"

/* Takes the folder (made, if its parent is there) and goes on with what is not finished.  ERR_IO, also when another
 * server has it. */
enum status deferred_open(struct server *s, struct error *e);
/* Nothing runs any more. */
void deferred_close(struct server *s);
uint32_t deferred_pending(struct server *s);

/* Does the body ask for it? */
bool deferred_wanted(const struct exchange *ex);
/* Takes the request: it is on disk when the client is told. */
void deferred_take(struct exchange *ex);

/* ---- deferred_file.c ---- */

enum { DEFERRED_ID = 32 };
/* Is this a name that deferred jobs have?  It becomes part of a file's. */
bool deferred_is_id(const char *id, size_t n);
/* The file is there, whole, before it returns, or not at all.  json is borrowed. */
enum status deferred_write(const char *folder, const char *id, const char *kind, const json_t *json, struct error *e);
/* NULL: e says why. */
json_t *deferred_read(const char *folder, const char *id, const char *kind, struct error *e);
void deferred_unlink(const char *folder, const char *id, const char *kind);
/* Locks the folder: *fd is for close. */
enum status deferred_lock(const char *folder, int *fd, struct error *e);
/* Removes files that were on their way, calls see for each job. */
enum status deferred_scan(const char *folder, enum status (*see)(void *arg, const char *id, struct error *e), void *arg,
                          struct error *e);

#endif
