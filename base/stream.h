/* stream.h: text on its way to the reader, piece by piece: whole characters only, and nothing of a stop string.
 * Not a terminal: terminal.h.
 * Next: model/write.h, which fills it. */
#ifndef PONDER_STREAM_H
#define PONDER_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/*   "... He said St" | "op"      what may still become the stop string "Stop" waits; so do the first
 *        written     | new piece  bytes of a character */
struct stream {
    /* The caller's.  write: whole characters; NULL: only stop strings are looked for. */
    void (*write)(void *arg, const char *text, size_t size);
    void *arg;
    const char *const *stops; /* [n_stops], borrowed; empty ones are passed over */
    size_t n_stops;
    /* stream.c's own */
    char *held; /* [n_held] of cap: not written yet */
    size_t n_held, cap;
};

/* Adds the piece and writes what is settled.  *stopped: a stop string is complete; the text ends before it and the
 * stream takes no more.  The earliest place wins.  Only memory for the held text can fail. */
enum status stream_put(struct stream *s, const char *piece, size_t size, bool *stopped, struct error *e);
/* Writes what is held, but for the first bytes of a character that did not come to its end, and frees it. */
void stream_end(struct stream *s);

#endif
