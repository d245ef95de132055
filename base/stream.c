/* stream.c: see stream.h.
 * Not an automaton: stop strings are a few bytes, and so is what is held.
 * Next: model/write.c. */
#include "base/stream.h"

#include <string.h>

#include "base/mem.h"

/* Bytes of the character that begins with c; 1 for what begins none. */
static size_t utf8_size(unsigned char c) {
    return c >= 0xF0 && c < 0xF8 ? 4 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xC2 && c < 0xE0 ? 2 : 1;
}

/* How many bytes of text [n] come before an unfinished last character. */
static size_t whole_characters(const char *text, size_t n) {
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)text[n - back];
        if ((c & 0xC0) == 0x80) continue;
        return utf8_size(c) > back ? n - back : n;
    }
    return n;
}

/* The earliest place where a whole stop string begins, or n. */
static size_t find_stop(const struct stream *s) {
    for (size_t at = 0; at < s->n_held; at++)
        for (size_t i = 0; i < s->n_stops; i++) {
            size_t size = strlen(s->stops[i]);
            if (size && size <= s->n_held - at && !memcmp(s->held + at, s->stops[i], size)) return at;
        }
    return s->n_held;
}

/* The earliest place from which the rest is the beginning of a stop string, or n. */
static size_t find_beginning(const struct stream *s) {
    for (size_t at = 0; at < s->n_held; at++)
        for (size_t i = 0; i < s->n_stops; i++)
            if (!strncmp(s->held + at, s->stops[i], s->n_held - at) && strlen(s->stops[i]) > s->n_held - at) return at;
    return s->n_held;
}

static enum status hold(struct stream *s, const char *piece, size_t size, struct error *e) {
    if (size > s->cap - s->n_held) {
        size_t cap = 2 * (s->n_held + size) + 64;
        char *more = s->held ? mem_grow(s->held, s->cap, cap, 1) : mem_new(cap, 1);
        if (!more) return error_set(e, ERR_MEMORY, "no memory for the text");
        s->held = more, s->cap = cap;
    }
    memcpy(s->held + s->n_held, piece, size);
    s->n_held += size;
    return OK;
}

static void write_out(struct stream *s, size_t n) {
    if (s->write && n) s->write(s->arg, s->held, n);
}

enum status stream_put(struct stream *s, const char *piece, size_t size, bool *stopped, struct error *e) {
    *stopped = false;
    if (!size) return OK;
    enum status st = hold(s, piece, size, e);
    if (st) return st;
    size_t end = find_stop(s);
    *stopped = end < s->n_held;
    if (*stopped) {
        write_out(s, end);
        s->n_held = 0;
    } else {
        end = whole_characters(s->held, find_beginning(s));
        write_out(s, end);
        memmove(s->held, s->held + end, s->n_held - end);
        s->n_held -= end;
    }
    return OK;
}

void stream_end(struct stream *s) {
    write_out(s, whole_characters(s->held, s->n_held));
    mem_free(s->held);
    s->held = NULL;
    s->n_held = s->cap = 0;
}
