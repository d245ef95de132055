/* trained.h: what a model of our own training says about itself in its file.
 * Not the shape: config.h.
 * Next: trained.c. */
#ifndef PONDER_TRAINED_H
#define PONDER_TRAINED_H

#include "weights/gguf.h"

struct trained {
    char tasks[512]; /* "n_queens,jugs", key ponder.tasks; "": the file says nothing */
    bool revises;    /* it has learned to go on behind tries that were given up: key ponder.revises */
};

void trained_write(const struct trained *t, struct gguf_writer *w);
/* Files of others give all zero.  ERR_INPUT: a key of another kind, or too long. */
enum status trained_read(const struct gguf *g, struct trained *out, struct error *e);
/* Is the task one of those? */
bool trained_for(const struct trained *t, const char *task);

#endif
