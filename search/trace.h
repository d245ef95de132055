/* trace.h: the event stream of a search as JSONL, one line an event: enough to replay the tree, or to score it again.
 * Not a log for people: cli draws the tree from the same events.
 * Next: trace.c. */
#ifndef PONDER_TRACE_H
#define PONDER_TRACE_H

#include <stdio.h>

#include "search/search.h"

/* The line of one event, without newline, NUL-terminated; the fields by kind:
 *
 *     {"event":"made","node":7,"parent":3,"try":0,"depth":2,"text":"4*6=24","tokens":6,"logprob":-0.52,"end":"open"}
 *     {"event":"scored","node":7,"value":0.81}
 *     {"event":"visited","node":7,"visits":3,"mean":0.77}           the counts of its ancestors follow by addition
 *     {"event":"pruned","node":7}
 *     {"event":"finished","node":7,"value":0.81,"checked":true}     "checked" only when a checker ran
 *     {"event":"done","node":7,"value":0.81,"why":"solved","finished":4,"simulations":...,the whole ledger}
 *
 * "end" is open, finished, truncated or dead.  Text is escaped; bytes that are no UTF-8 become U+FFFD; numbers that JSON
 * cannot hold become null.  Returns the full length, also when it does not fit into cap (the text is then cut). */
size_t trace_line(const struct event *event, char *line, size_t cap);

/* An event_fn that writes lines to a file.  Zero it and set `file`.  After a failed write or allocation it writes no
 * more, so that a trace never has holes; `failed` says so. */
struct trace {
    FILE *file;
    bool failed;
};
void trace_write(void *trace, const struct event *event);

#endif
