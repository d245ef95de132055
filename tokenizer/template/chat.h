/* chat.h: a conversation as the tokens that a model was trained to answer.
 * Not the answering, and not the template language: jinja.h.
 * Next: chat.c, chat_named.c; cli/cmd_chat.c for a user.
 *
 * Control tokens come from the template only.  Every byte of the rendered text knows whether the conversation brought it
 * (jinja_text.plain); a control token is recognised only where all its bytes are the template's own.  The text between two
 * control tokens is encoded in one piece, so that words merge across the edge of a message as they did in training. */
#ifndef PONDER_CHAT_H
#define PONDER_CHAT_H

#include "tokenizer/template/jinja.h"
#include "tokenizer/tok.h"

struct chat;

/* Where the template comes from: `name` a named one (see chat_names), else `text` (the content of a template file),
 * else the file's tokenizer.chat_template.  A trial conversation of one message tells whether it runs, whether its
 * text holds what was said, and whether it wants content as a list of parts.  Of the file's, if it fails, the named
 * template that its text looks like, and chat_note says so; ERR_INPUT when there is none.  g and t are borrowed; g
 * only until return. */
struct chat_source {
    const char *name; /* or NULL */
    const char *text; /* [size] or NULL */
    size_t size;
    const char *text_name; /* for error texts */
};
enum status chat_open(const struct gguf *g, const struct tok *t, const struct chat_source *from, struct chat **out,
                      struct error *e);
void chat_close(struct chat **c);

/* Does the file bring a template?  A blank one is none. */
bool chat_in_file(const struct gguf *g);

const char *chat_note(const struct chat *c); /* one line for the user, "" when there is nothing to say */
bool chat_is_name(const char *name); /* of a template that is built in */
const char *chat_names(void);                /* "chatml, llama3, ..." */
/* The named template that a template's text looks like; NULL: none. */
const char *chat_guess(const char *text, size_t size);

/* given: {"messages": [{"role", "content", ...}, ...], "add_generation_prompt": bool, "tools": ..., ...}; what else
 * it has becomes variables too (enable_thinking ...).  tools and documents are none unless given.  now: for the
 * date. */
enum status chat_render(const struct chat *c, const json_t *given, int64_t now, struct jinja_text *out,
                        struct error *e);

/* Ids of bytes [from, size) of a rendered text.  BOS is added in front when from is 0, the file wants one, and the text
 * does not begin with it.  *ids is for mem_free. */
enum status chat_encode(const struct chat *c, const struct jinja_text *text, size_t from, int32_t **ids, size_t *n,
                        struct error *e);
/* Does a control token of the template begin at this byte? */
bool chat_control_at(const struct chat *c, const struct jinja_text *text, size_t at);

/* Does the text end within <think>, opened by the template and not by the conversation? */
bool chat_ends_thinking(const struct jinja_text *text);

#endif
