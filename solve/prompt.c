/* prompt.c: see prompt.h.
 * Not the wording: tasks/task.c has it.
 * Next: tokenizer/template/chat.c. */
#include "solve/prompt.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/trained.h"

/* What templates that write a date are told: the same search must be the same tomorrow. */
static const int64_t fixed_date = 1735689600; /* 2025-01-01 */

enum status prompter_open(struct prompter *r, const struct session *session, bool prose, struct error *e) {
    const struct gguf *file = session->policy.model->file;
    r->tok = session->tok;
    if (!prose) {
        struct trained about;
        enum status s = trained_read(file, &about, e);
        r->revises = about.revises;
        return s;
    }
    if (r->raw || !chat_in_file(file)) {
        if (!r->system) return OK;
        return error_set(e, ERR_INPUT, "--system-prompt: %s",
                         r->raw ? "--raw leaves no place for it" : "the model has no chat template");
    }
    struct error why;
    enum status s = chat_open(file, session->tok, NULL, &r->chat, &why);
    if (s) return error_set(e, s, "%s (--raw does without)", why.text);
    if (*chat_note(r->chat)) fprintf(stderr, "ponder: %s\n", chat_note(r->chat));
    return OK;
}

void prompter_close(struct prompter *r) { chat_close(&r->chat); }

static json_t *message(const char *role, const char *text) {
    return json_pack("{s:s,s:s}", "role", role, "content", text);
}

/* NULL: memory is out, or a text is no UTF-8. */
static json_t *conversation(const struct prompter *r, const char *text) {
    json_t *user = message("user", text), *system = r->system ? message("system", r->system) : NULL;
    if (!user || (r->system && !system)) {
        json_decref(user), json_decref(system);
        return NULL;
    }
    json_t *messages = system ? json_pack("[o,o]", system, user) : json_pack("[o]", user);
    /* Thinking blocks are long steps without an end that a search could use. */
    return json_pack("{s:o,s:b,s:b}", "messages", messages, "add_generation_prompt", 1, "enable_thinking", 0);
}

static enum status encode_chat(const struct prompter *r, const char *text, int32_t **ids, size_t *n, bool *thinking,
                               struct error *e) {
    struct jinja_text rendered = {0};
    json_t *given = conversation(r, text);
    if (!given) return error_set(e, ERR_INPUT, "the problem or the system prompt is not UTF-8");
    enum status s = chat_render(r->chat, given, fixed_date, &rendered, e);
    if (!s) s = chat_encode(r->chat, &rendered, 0, ids, n, e);
    *thinking = !s && chat_ends_thinking(&rendered);
    jinja_text_free(&rendered);
    json_decref(given);
    return s;
}

static enum status encode_plain(const struct prompter *r, const char *text, int32_t **ids, size_t *n, struct error *e) {
    size_t size = strlen(text);
    enum status s = tok_encode(r->tok, text, size, r->special, tok_adds_bos(r->tok), NULL, 0, n, e);
    if (s || !*n) return s;
    if (!(*ids = mem_new(*n, sizeof **ids))) return error_set(e, ERR_MEMORY, "no memory for %zu tokens", *n);
    return tok_encode(r->tok, text, size, r->special, tok_adds_bos(r->tok), *ids, *n, n, e);
}

/* Takes over the text. */
static enum status encode(const struct prompter *r, char *text, int32_t **ids, size_t *n, bool *thinking,
                          struct error *e) {
    *ids = NULL, *n = 0, *thinking = false;
    if (!text) return error_set(e, ERR_MEMORY, "no memory for a prompt");
    enum status s = r->chat ? encode_chat(r, text, ids, n, thinking, e) : encode_plain(r, text, ids, n, e);
    mem_free(text);
    if (!s && !*n) s = error_set(e, ERR_INPUT, "the prompt is empty, and the model has no token to begin with");
    if (s) mem_free(*ids), *ids = NULL;
    return s;
}

enum status prompter_encode(const struct prompter *r, const struct problem *p, int32_t **ids, size_t *n, bool *thinking,
                            struct error *e) {
    return encode(r, r->raw ? mem_string(p->text) : problem_ask(p, ASK_SOLVE, "", r->chat != NULL), ids, n, thinking,
                  e);
}

unsigned prompter_asks(const struct prompter *r, const struct task *t) {
    unsigned asks = 0;
    for (int a = 0; a < N_ASKS && (t->style->prose ? r->chat != NULL : r->revises); a++)
        if (t->style->asks[a]) asks |= 1u << a;
    return asks;
}

enum status prompter_ask(const struct prompter *r, const struct problem *p, enum ask ask, const char *so_far,
                         const char *note, int32_t **ids, size_t *n, struct error *e) {
    *ids = NULL, *n = 0;
    if (!(prompter_asks(r, p->task) & 1u << ask)) return error_set(e, ERR_INPUT, "this question cannot be asked here");
    if (!r->chat) note = ""; /* puzzles are learned without */
    size_t size = strlen(so_far) + strlen(note) + 3;
    bool thinking;
    char *all = mem_new(size, 1);
    if (!all) return error_set(e, ERR_MEMORY, "no memory for a prompt");
    snprintf(all, size, "%s%s%s", so_far, *note ? "\n\n" : "", note);
    enum status s = encode(r, problem_ask(p, ask, all, r->chat != NULL), ids, n, &thinking, e);
    mem_free(all);
    return s;
}
