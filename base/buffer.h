/* buffer.h: a text that grows at its end.
 * Not a stream: nothing is ever taken from its start.
 * Next: buffer.c. */
#ifndef PONDER_BUFFER_H
#define PONDER_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* All zero: empty.  After an allocation has failed, `failed` is set and everything added is lost: callers look once, at
 * the end. */
struct buffer {
    char *data; /* [n], then a NUL; NULL while nothing was added */
    size_t n, cap;
    bool failed;
};

void buffer_add(struct buffer *b, const void *data, size_t n);
void buffer_text(struct buffer *b, const char *text);
void buffer_print(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_free(struct buffer *b); /* and makes it empty */

#endif
