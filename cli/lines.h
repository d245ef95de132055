/* lines.h: messages from a terminal, with editing and history, or from a pipe.
 * Not their meaning: cmd_chat.c.
 * Next: lines.c. */
#ifndef PONDER_LINES_H
#define PONDER_LINES_H

#include <stdbool.h>

enum line_end {
    LINE_READ,
    LINE_OVER,      /* the input is at its end */
    LINE_INTERRUPT, /* Ctrl-C while the line was empty; *message is NULL */
    LINE_CLEARED,   /* Ctrl-C took back a line */
};

struct lines;

/* edit: the terminal in front of us edits lines (arrow keys, history).  Without: prompt "" for pipes.  NULL: no memory. */
struct lines *lines_open(bool edit, const char *prompt);
void lines_close(struct lines **l);

/* The next message, for free().  A \ at the end of a line continues it with the next one; a CR before a line end is no part of it. */
enum line_end lines_read(struct lines *l, char **message);

#endif
