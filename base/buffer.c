/* buffer.c: see buffer.h.
 * Not for the inner loops.
 * Next: status.h. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Room for n more bytes and the NUL. */
static bool reserve(struct buffer *b, size_t n) {
    size_t need, cap = b->cap ? b->cap : 64;
    if (b->failed || !add_size(b->n, n, &need) || !add_size(need, 1, &need)) return !(b->failed = true);
    if (need <= b->cap) return true;
    while (cap < need)
        if (!mul_size(cap, 2, &cap)) return !(b->failed = true);
    char *data = mem_grow(b->data, b->n, cap, 1);
    if (!data) return !(b->failed = true);
    b->data = data, b->cap = cap;
    return true;
}

void buffer_add(struct buffer *b, const void *data, size_t n) {
    if (!reserve(b, n)) return;
    if (n) memcpy(b->data + b->n, data, n);
    b->data[b->n += n] = '\0';
}

void buffer_text(struct buffer *b, const char *text) { buffer_add(b, text, strlen(text)); }

void buffer_print(struct buffer *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !reserve(b, (size_t)n)) return;
    va_start(args, format);
    vsnprintf(b->data + b->n, (size_t)n + 1, format, args);
    va_end(args);
    b->n += (size_t)n;
}

void buffer_free(struct buffer *b) {
    mem_free(b->data);
    *b = (struct buffer){0};
}
