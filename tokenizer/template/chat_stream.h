/* chat_stream.h: an answer on its way out: whole characters only, thinking told apart from the rest.
 * Not the model: pieces come from tok_piece.
 * Next: chat_stream.c. */
#ifndef PONDER_CHAT_STREAM_H
#define PONDER_CHAT_STREAM_H

#include <stdbool.h>
#include <stddef.h>

/* The tags <think> and </think> belong to the thinking.  `thinking` may be set before the first byte: some templates open
 * it in the prompt. */
struct chat_stream {
    void (*write)(void *user, const char *text, size_t size, bool thinking);
    void *user;
    bool thinking;
    /* written by chat_stream.c only */
    char character[4]; /* its first bytes; the rest is still to come */
    size_t n_character;
    char tag[16]; /* the beginning of what may become a tag */
    size_t n_tag;
};

void chat_stream_add(struct chat_stream *s, const char *text, size_t size);
void chat_stream_end(struct chat_stream *s); /* writes what is held back */

#endif
