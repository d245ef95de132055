/* chat_stream.c: see chat_stream.h.
 * Not a parser of Markdown or tool calls.
 * Next: cli/cmd_chat.c. */
#include "tokenizer/template/chat_stream.h"

#include <string.h>

static const char *const tags[] = {"<think>", "</think>"}; /* the one that is awaited, by `thinking` */

static void flush_tag(struct chat_stream *s) {
    if (s->n_tag) s->write(s->user, s->tag, s->n_tag, s->thinking);
    s->n_tag = 0;
}

/* '<' stands only at the beginning of a tag, so a wrong byte ends the match, and only '<' begins another. */
static void add_character(struct chat_stream *s, const char *text, size_t size) {
    const char *awaited = tags[s->thinking];
    if (size > 1 || text[0] != awaited[s->n_tag]) flush_tag(s);
    if (size > 1 || text[0] != awaited[s->n_tag]) {
        s->write(s->user, text, size, s->thinking);
        return;
    }
    s->tag[s->n_tag++] = text[0];
    if (awaited[s->n_tag]) return;
    bool opens = !s->thinking;
    s->thinking = true;
    flush_tag(s);
    s->thinking = opens;
}

static size_t character_size(unsigned char c) { return c >= 0xF0 && c < 0xF8 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1; }

static void flush_character(struct chat_stream *s) {
    if (s->n_character) add_character(s, s->character, s->n_character);
    s->n_character = 0;
}

void chat_stream_add(struct chat_stream *s, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c & 0xC0) != 0x80) flush_character(s);
        s->character[s->n_character++] = (char)c;
        if (s->n_character >= character_size((unsigned char)s->character[0])) flush_character(s);
    }
}

void chat_stream_end(struct chat_stream *s) {
    flush_character(s);
    flush_tag(s);
}
