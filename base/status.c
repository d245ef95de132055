/* status.c: formats error lines.
 * Not a logger: nothing is printed here.
 * Next: mem.c. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

enum status error_set(struct error *e, enum status s, const char *format, ...) {
    if (!e) return s;
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    /* Names from hostile files may hold terminal escapes. */
    for (unsigned char *c = (unsigned char *)e->text; *c; c++)
        if (*c < 0x20 || *c == 0x7f) *c = '?';
    return s;
}
