/* status.c: formats error lines.
 * Not a logger: nothing is printed here.
 * Next: mem.c. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Names from hostile files may hold terminal escapes: C0, DEL, and C1 as UTF-8 (C2 80 to C2 9F). */
static void mask_controls(unsigned char *c) {
    for (; *c; c++) {
        if (*c < 0x20 || *c == 0x7f) *c = '?';
        if (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f) c[0] = c[1] = '?';
    }
}

enum status error_set(struct error *e, enum status s, const char *format, ...) {
    if (!e) return s;
    char text[sizeof e->text]; /* apart from e, whose own text may be among the arguments */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mask_controls((unsigned char *)text);
    memcpy(e->text, text, strlen(text) + 1);
    return s;
}
