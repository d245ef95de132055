/* draw.h: the search tree for people, drawn from the event stream: in place on a terminal while it grows, once elsewhere.
 * Not a record: search/trace.h writes that.
 * Next: draw.c. */
#ifndef PONDER_DRAW_H
#define PONDER_DRAW_H

#include <stdio.h>

#include "base/terminal.h"
#include "search/search.h"

struct draw {
    /* set by the caller before the first event */
    FILE *to;
    struct terminal term;
    const char *title; /* of node 0: the problem */
    bool words;        /* chains are long texts that seldom branch */
    /* draw.c's own */
    bool scored, visited; /* values and visits have been seen: their columns mean something */
    uint64_t last_ns;
    int n_lines;      /* on the screen now */
    uint32_t *weight; /* [cap] chains through a node */
    float *best;      /* [cap] largest value in and below it */
};

/* An event_fn; arg is a struct draw.  A drawing that finds no memory draws nothing. */
void draw_event(void *draw, const struct event *event);
void draw_free(struct draw *d);

#endif
