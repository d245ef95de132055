/* chat_named.h: templates for files that bring none, or one that cannot be run.
 * Not guessed silently: chat.c tells.
 * Next: chat_named.c. */
#ifndef PONDER_CHAT_NAMED_H
#define PONDER_CHAT_NAMED_H

struct chat_named {
    const char *name;
    const char *marks[3]; /* a template that holds all of these looks like this one */
    const char *text;     /* Jinja, in the subset */
};
extern const struct chat_named chat_named[]; /* ends in a row without a name */

#endif
