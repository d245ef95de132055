/* results.h: a file of results, one JSON object a line, that survives being killed at any moment.
 * Not a log: every line counts, in the order of the problems.
 * Next: results.c.
 *
 *   {"format":"ponder-results","version":1,...}     the run's header: what made these lines
 *   {"id":"1",...}                                  one line a problem, fsynced
 *   {"continued":{"threads":1}}                     another run goes on, where lines do not depend on what differs
 *   {"id":"2",...
 *                 \_ a torn last line: cut off when the file is opened again */
#ifndef PONDER_RESULTS_H
#define PONDER_RESULTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"

struct results {
    const char *path;
    int fd;
    size_t size;    /* bytes of whole lines */
    json_t *lines;  /* those that were there by id, in the order of the file */
    json_t *header; /* the one that was there, with what "continued" lines changed; NULL: the file is new */
};

/* Makes the file, or continues it: locks it (ERR_IO when another process has it), cuts a torn last line, and
 * compares the header (ERR_INPUT names the first field that differs).  "started" may differ, and what results do not
 * depend on: git, host, cpu, kernels, threads, in_flight, the models' names (their hashes may not), which a line of
 * their own then records.  A file that holds something else is not touched. */
enum status results_open(const char *path, const json_t *header, struct results *r, struct error *e);
/* Adds a line and makes it durable.  After a failure (disk full) the file is as it was before the call. */
enum status results_append(struct results *r, const json_t *line, struct error *e);
/* Reads what a file holds, without a torn last line, and leaves it as it is; ERR_INPUT when it has no header. */
enum status results_load(const char *path, struct results *r, struct error *e);
void results_close(struct results *r);

/* ERR_INPUT names the first field in which `there`, a header of r->path, differs from `here`, but for what may. */
enum status results_same_header(const struct results *r, json_t *there, const json_t *here, struct error *e);
/* May a field of a header differ in a run that goes on? */
bool results_surrounding(const char *name);

#endif
