/* terminal.h: what the stream in front of us can show, and numbers for people.
 * Not a drawing: draw.h.
 * Next: terminal.c. */
#ifndef PONDER_TERMINAL_H
#define PONDER_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct terminal {
    bool live;  /* a terminal that can move its cursor: drawn in place */
    bool color; /* NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM=dumb obeyed (no-color.org, bixense.com/clicolors) */
    bool utf8;  /* by the locale variables */
    int width, height; /* 80 x 24 when it is no terminal */
};
struct terminal terminal_of(int fd);

/* "1,934"; "612.4 MFLOP".  Each needs 32 bytes; returns text. */
const char *show_count(uint64_t n, char text[32]);
const char *show_flops(uint64_t n, char text[32]);

#endif
