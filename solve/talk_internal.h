/* talk_internal.h: what talk.c and talk_messages.c share.
 * Not for others.
 * Next: talk.c. */
#ifndef PONDER_TALK_INTERNAL_H
#define PONDER_TALK_INTERNAL_H

#include "solve/talk.h"
#include "tokenizer/template/chat.h"
#include "tokenizer/template/chat_stream.h"

struct bytes {
    char *at; /* [n of cap] */
    size_t n, cap;
};
enum status bytes_add(struct bytes *b, const char *text, size_t size, struct error *e);

struct talk {
    const struct talk_options *o;
    struct session session;
    struct chat *chat;
    json_t *messages;
    struct sampling sampling;
    struct speculative speculative;
    struct writer *writer;
    struct text_rules rules;
    struct text text;           /* ids: [ctx] the conversation */
    struct bytes known, answer; /* the conversation as bytes, "" = not known; the answer under way */
    int32_t *end_thinking;      /* [n_end] */
    size_t n_end;
    /* of the answer under way */
    struct talk_turn *turn;
    struct stream stops;       /* pieces go through it: stop strings are cut off */
    struct chat_stream stream; /* and from there to the reader */
    int64_t n_thinking;
    uint64_t start_ns, read_ns;
    bool gone;          /* the reader went away */
    enum status status; /* of keeping what was shown */
};

/* ---- talk_messages.c ---- */

enum status talk_add(json_t *messages, const char *role, const char *text, size_t size, struct error *e);
void talk_drop_last(struct talk *t);
/* The conversation as the template writes it. */
enum status talk_render(const struct talk *t, json_t *messages, struct jinja_text *x, struct error *e);

#endif
