/* talk_messages.c: the messages of a conversation: added, forgotten, saved and loaded.
 * Not its tokens: talk.c.
 * Next: tokenizer/template/chat.h. */
#include "solve/talk_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum status talk_add(json_t *messages, const char *role, const char *text, size_t size, struct error *e) {
    json_t *m = json_object(), *content = json_stringn(text, size);
    if (!content) { /* a byte that is no UTF-8: not for JSON, nor for the model */
        json_decref(m);
        return error_set(e, ERR_INPUT, "the message of the %s is not UTF-8", role);
    }
    if (json_object_set_new(m, "role", json_string(role)) | json_object_set_new(m, "content", content) |
        json_array_append_new(messages, m))
        return error_set(e, ERR_MEMORY, "no memory for a message");
    return OK;
}

void talk_drop_last(struct talk *t) { json_array_remove(t->messages, json_array_size(t->messages) - 1); }

static const char *member(const json_t *messages, size_t i, const char *name) {
    return json_string_value(json_object_get(json_array_get(messages, i), name));
}

static bool has_role(const json_t *messages, size_t i, const char *role) {
    const char *found = member(messages, i, "role");
    return found && !strcmp(found, role);
}

enum status talk_render(const struct talk *t, json_t *messages, struct jinja_text *x, struct error *e) {
    json_t *given = json_object();
    enum status s = OK;
    if (!given || json_object_set(given, "messages", messages) ||
        json_object_set_new(given, "add_generation_prompt", json_true()) ||
        (t->o->reasoning_budget == 0 && json_object_set_new(given, "enable_thinking", json_false())))
        s = error_set(e, ERR_MEMORY, "no memory for a conversation");
    if (!s) s = chat_render(t->chat, given, (int64_t)time(NULL), x, e);
    json_decref(given);
    return s;
}

/* Does the template take these messages, and another one of the user? */
static enum status try_messages(const struct talk *t, const json_t *messages, struct error *e) {
    json_t *copy = json_copy((json_t *)messages);
    struct jinja_text x = {0};
    enum status s = copy ? OK : error_set(e, ERR_MEMORY, "no memory for a conversation");
    if (!s && !has_role(copy, json_array_size(copy) - 1, "user")) s = talk_add(copy, "user", "x", 1, e);
    if (!s) s = talk_render(t, copy, &x, e);
    jinja_text_free(&x);
    json_decref(copy);
    return s;
}

/* The KV cache stays: what the next conversation shares with it is kept. */
static enum status take_messages(struct talk *t, json_t *messages, enum status s) {
    if (s) {
        json_decref(messages);
        return s;
    }
    json_decref(t->messages);
    t->messages = messages;
    return OK;
}

enum status talk_reset(struct talk *t, const char *system, struct error *e) {
    json_t *messages = json_array();
    enum status s = OK;
    if (!messages) return error_set(e, ERR_MEMORY, "no memory for a conversation");
    if (system && *system) {
        s = talk_add(messages, "system", system, strlen(system), e);
        if (!s) s = try_messages(t, messages, e);
    } else if (!system && has_role(t->messages, 0, "system")) {
        if (json_array_append(messages, json_array_get(t->messages, 0)))
            s = error_set(e, ERR_MEMORY, "no memory for a conversation");
    }
    return take_messages(t, messages, s);
}

enum status talk_save(const struct talk *t, const char *path, struct error *e) {
    size_t n = json_array_size(t->messages);
    if (n == 0 || (n == 1 && has_role(t->messages, 0, "system")))
        return error_set(e, ERR_INPUT, "%s: not written, the conversation is empty", path);
    if (json_dump_file(t->messages, path, JSON_INDENT(1) | JSON_PRESERVE_ORDER))
        return error_set(e, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    return OK;
}

/* Roles and contents that are texts, and a template that takes them. */
static enum status check_messages(const struct talk *t, const json_t *messages, const char *path, struct error *e) {
    struct error why;
    if (!json_is_array(messages) || !json_array_size(messages))
        return error_set(e, ERR_INPUT, "%s: no conversation: a list of messages is expected", path);
    for (size_t i = 0; i < json_array_size(messages); i++)
        if (!member(messages, i, "role") || !member(messages, i, "content"))
            return error_set(e, ERR_INPUT, "%s: message %zu has no \"role\" or no \"content\"", path, i + 1);
    enum status s = try_messages(t, messages, &why);
    return s ? error_set(e, s, "%s: %s", path, why.text) : OK;
}

enum status talk_load(struct talk *t, const char *path, struct error *e) {
    json_error_t why;
    json_t *messages;
    if (access(path, R_OK)) return error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    messages = json_load_file(path, 0, &why);
    if (!messages) return error_set(e, ERR_INPUT, "%s: line %d: %s", path, why.line, why.text);
    return take_messages(t, messages, check_messages(t, messages, path, e));
}

enum status talk_again(struct talk *t, struct talk_turn *turn, struct error *e) {
    size_t n = json_array_size(t->messages);
    json_t *answer = NULL, *message = NULL;
    if (n < 2 || !has_role(t->messages, n - 1, "assistant") || !has_role(t->messages, n - 2, "user"))
        return error_set(e, ERR_INPUT, "there is no answer yet");
    answer = json_incref(json_array_get(t->messages, n - 1)), message = json_incref(json_array_get(t->messages, n - 2));
    talk_drop_last(t), talk_drop_last(t);
    const char *text = json_string_value(json_object_get(message, "content"));
    enum status s = talk_answer(t, text, turn, e);
    if (json_array_size(t->messages) < n && /* no answer came: the old one is back */
        (json_array_append(t->messages, message) | json_array_append(t->messages, answer)) && !s)
        s = error_set(e, ERR_MEMORY, "no memory for a message");
    json_decref(answer), json_decref(message);
    return s;
}
