/* jinja.h: the part of Jinja that chat templates use: parsed once, rendered with bounded work.
 * Not a web template engine: no include, import, inheritance, and nothing that reaches outside the template.
 * Next: jinja_internal.h, then jinja_parse.c and jinja_eval.c; docs/CHAT.md lists the subset.
 *
 * Whitespace as transformers sets it: trim_blocks and lstrip_blocks on, one newline at the end dropped. */
#ifndef PONDER_JINJA_H
#define PONDER_JINJA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct jinja;

/* All bounds of one rendering; templates come from files, so each has one. */
struct jinja_limits {
    size_t output_bytes; /* of the text, and of each text made on the way */
    size_t memory_bytes; /* of all values together */
    uint64_t steps;      /* nodes evaluated, plus one per 64 bytes handled */
    uint32_t depth;      /* of expressions, macros and nested values */
    uint32_t range;      /* length of range() */
};
extern const struct jinja_limits jinja_limits; /* what NULL means */

/* What a rendering gives.  plain[i] says that byte i came from `given`: it must never become a control token. */
struct jinja_text {
    char *text;     /* [size + 1], NUL-terminated; may hold NULs */
    uint8_t *plain; /* [size] 0 or 1 */
    size_t size;
};

/* The template's text is copied.  name: for error texts.  ERR_INPUT names the line and what is not known. */
enum status jinja_open(const char *text, size_t size, const char *name, struct jinja **out, struct error *e);
void jinja_close(struct jinja **j);

/* Renders with the members of two objects as variables (either may be NULL; `trusted` wins).  All strings of `given`
 * (conversation, tools) are marked plain through every operation; those of `trusted` (bos_token) are the template's own.
 * now: seconds since 1970 for strftime_now.  *raised (may be NULL): the template itself refused, by raise_exception.
 * Many threads may render one template.  jinja_text_free may be called after a failure too. */
struct jinja_input {
    const json_t *trusted, *given;
    int64_t now;
    const struct jinja_limits *limits;
};
enum status jinja_render(const struct jinja *j, const struct jinja_input *in, struct jinja_text *out, bool *raised,
                         struct error *e);
void jinja_text_free(struct jinja_text *t);

#endif
