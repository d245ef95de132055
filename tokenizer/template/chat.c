/* chat.c: see chat.h.
 * Not the named templates: chat_named.c.
 * Next: jinja.h, tokenizer/tok.h. */
#include "tokenizer/template/chat.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/template/chat_named.h"
#include "tokenizer/tok_internal.h"

#define KEY "tokenizer.chat_template"

struct chat {
    const struct tok *tok;
    struct jinja *template;
    json_t *trusted; /* bos_token, eos_token */
    bool parts;      /* the template wants content as a list: [{"type": "text", "text": ...}] */
    char note[700];
};

/* ---- named templates ---- */

const char *chat_names(void) { return "llama3, granite, gemma, phi4, chatml, phi3, zephyr, llama2, mistral"; }

static const struct chat_named *named(const char *name) {
    for (const struct chat_named *n = chat_named; n->name; n++)
        if (!strcmp(n->name, name)) return n;
    return NULL;
}

bool chat_is_name(const char *name) { return named(name) != NULL; }

const char *chat_guess(const char *text, size_t size) {
    for (const struct chat_named *n = chat_named; n->name; n++) {
        bool all = true;
        for (size_t i = 0; i < 3 && n->marks[i]; i++) all = all && memmem(text, size, n->marks[i], strlen(n->marks[i]));
        if (all) return n->name;
    }
    return NULL;
}

static enum status open_named(struct chat *c, const char *name, struct error *e) {
    const struct chat_named *n = named(name);
    if (!n) return error_set(e, ERR_INPUT, "--chat-template: \"%.60s\" is none of %s", name, chat_names());
    return jinja_open(n->text, strlen(n->text), n->name, &c->template, e);
}

/* ---- opening ---- */

static bool add_token(json_t *object, const char *key, const struct tok *t, int32_t id) {
    struct gguf_string s = tok_piece(t, id, true);
    json_t *text = json_stringn(s.data, s.size);
    return json_object_set_new(object, key, text ? text : json_string("")) == 0;
}

static enum status no_conversation(struct error *e) { return error_set(e, ERR_MEMORY, "no memory for a conversation"); }

/* Replaces content that is a text by a list of one part.  False: no memory. */
static bool make_parts(json_t *messages) {
    size_t i;
    json_t *m, *whole;
    json_array_foreach(messages, i, m) {
        json_t *content = json_object_get(m, "content");
        if (!json_is_string(content)) continue;
        json_t *copy = json_copy(m); /* the caller's message stays */
        whole = json_pack("[{s:s,s:O}]", "type", "text", "text", content);
        if (!copy || !whole || json_object_set(copy, "content", whole)) {
            json_decref(copy), json_decref(whole);
            return false;
        }
        json_decref(whole);
        if (json_array_set_new(messages, i, copy)) return false;
    }
    return true;
}

/* `given` with what all templates may ask for, a new object; NULL: no memory. */
static json_t *complete(const json_t *given, bool parts) {
    json_t *all = json_copy((json_t *)given), *messages = json_copy(json_object_get(given, "messages")); /* shallow */
    bool good = all != NULL;
    if (good && !json_object_get(all, "tools")) good = !json_object_set_new(all, "tools", json_null());
    if (good && !json_object_get(all, "documents")) good = !json_object_set_new(all, "documents", json_null());
    if (good && parts && messages) good = make_parts(messages) && !json_object_set(all, "messages", messages);
    json_decref(messages);
    if (!good) json_decref(all);
    return good ? all : NULL;
}

/* One short conversation tells what parsing cannot: unknown methods and functions, and whether the text holds what
 * was said. That the template refuses it (raise_exception) is no defect. */
static enum status try_once(const struct chat *c, bool parts, bool *heard, bool *raised, struct error *e) {
    static const char said[] = "Hear me";
    struct jinja_text text = {0};
    json_t *talk =
        json_pack("{s:[{s:s,s:s}],s:b}", "messages", "role", "user", "content", said, "add_generation_prompt", 1);
    json_t *given = talk ? complete(talk, parts) : NULL;
    struct jinja_input in = {.trusted = c->trusted, .given = given};
    enum status s = given ? jinja_render(c->template, &in, &text, raised, e) : no_conversation(e);
    *heard = !s && text.size && memmem(text.text, text.size, said, sizeof said - 1);
    jinja_text_free(&text);
    json_decref(talk), json_decref(given);
    return s;
}

static enum status try_template(struct chat *c, struct error *e) {
    bool heard = false, raised = false;
    struct error why;
    enum status s = try_once(c, false, &heard, &raised, e);
    if (heard || s == ERR_MEMORY) return s;
    enum status again = try_once(c, true, &heard, &(bool){false}, &why);
    c->parts = heard;
    if (heard || raised) return OK;
    if (again == ERR_MEMORY) return error_set(e, again, "%s", why.text);
    return s ? s : error_set(e, ERR_INPUT, "the text that the chat template makes holds nothing of the conversation");
}

bool chat_in_file(const struct gguf *g) {
    struct gguf_string text;
    struct error why;
    if (!gguf_has(g, KEY) || gguf_get_string(g, KEY, &text, &why)) return gguf_has(g, KEY);
    while (text.size && strchr(" \t\r\n", text.data[text.size - 1])) text.size--;
    return text.size > 0;
}

static enum status open_from_text(struct chat *c, const struct chat_source *from, struct error *e) {
    struct error why;
    enum status s = jinja_open(from->text, from->size, from->text_name, &c->template, e);
    if (!s && (s = try_template(c, &why))) error_set(e, s, "%s: %s", from->text_name, why.text);
    return s;
}

static enum status open_from_file(struct chat *c, const struct gguf *g, struct error *e) {
    struct gguf_string text;
    struct error why;
    if (!chat_in_file(g))
        return error_set(e, ERR_INPUT, "%s: the file brings no chat template; give --chat-template NAME (%s)",
                         gguf_name(g), chat_names());
    enum status s = gguf_get_string(g, KEY, &text, e);
    if (s) return s;
    s = jinja_open(text.data, text.size, KEY, &c->template, &why);
    if (!s) s = try_template(c, &why);
    if (s != ERR_INPUT) return s ? error_set(e, s, "%s", why.text) : OK;
    jinja_close(&c->template);
    c->parts = false;
    const char *name = chat_guess(text.data, text.size);
    if (!name)
        return error_set(e, ERR_INPUT, "%s: %s; it looks like none of the known ones: give --chat-template NAME (%s)",
                         gguf_name(g), why.text, chat_names());
    snprintf(c->note, sizeof c->note, "%s; using the built-in template \"%s\"", why.text, name);
    return open_named(c, name, e);
}

enum status chat_open(const struct gguf *g, const struct tok *t, const struct chat_source *from, struct chat **out,
                      struct error *e) {
    *out = NULL;
    struct chat *c = mem_new(1, sizeof *c);
    if (!c) return error_set(e, ERR_MEMORY, "no memory for a chat template");
    c->tok = t;
    c->trusted = json_object();
    enum status s = OK;
    if (!c->trusted || !add_token(c->trusted, "bos_token", t, tok_bos(t)) ||
        !add_token(c->trusted, "eos_token", t, tok_eos(t)))
        s = error_set(e, ERR_MEMORY, "no memory for a chat template");
    else if (from && from->name) s = open_named(c, from->name, e);
    else if (from && from->text) s = open_from_text(c, from, e);
    else s = open_from_file(c, g, e);
    *out = c;
    if (s) chat_close(out);
    return s;
}

void chat_close(struct chat **c) {
    if (!*c) return;
    jinja_close(&(*c)->template);
    json_decref((*c)->trusted);
    mem_free(*c);
    *c = NULL;
}

const char *chat_note(const struct chat *c) { return c->note; }

/* ---- rendering ---- */

enum status chat_render(const struct chat *c, const json_t *given, int64_t now, struct jinja_text *out,
                        struct error *e) {
    *out = (struct jinja_text){0};
    json_t *all = complete(given, c->parts);
    if (!all) return no_conversation(e);
    struct jinja_input in = {.trusted = c->trusted, .given = all, .now = now};
    enum status s = jinja_render(c->template, &in, out, NULL, e);
    json_decref(all);
    return s;
}

/* ---- encoding ---- */

/* The longest control token whose bytes are all the template's own, and which no longer user-defined token hides. */
static int32_t control_at(const struct tok *t, const struct jinja_text *x, size_t at, size_t *n) {
    size_t own = 0;
    if (!(t->starts[(unsigned char)x->text[at]] & 1)) return -1;
    while (own < t->longest && at + own < x->size && !x->plain[at + own]) own++;
    for (size_t i = 0; i < t->n_lengths; i++) {
        if (t->lengths[i] > own) continue;
        int32_t id = tok_map_get(t, &t->special, x->text + at, t->lengths[i]);
        if (id < 0) continue;
        *n = t->lengths[i];
        return t->types[id] == PIECE_USER ? -1 : id;
    }
    return -1;
}

bool chat_control_at(const struct chat *c, const struct jinja_text *text, size_t at) {
    size_t n;
    return at < text->size && control_at(c->tok, text, at, &n) >= 0;
}

struct ids {
    int32_t *at; /* [cap] */
    size_t n, cap;
};

static enum status reserve(struct ids *ids, size_t more, struct error *e) {
    if (ids->n + more <= ids->cap) return OK;
    size_t cap = 2 * ids->cap + more;
    int32_t *at = mem_grow(ids->at, ids->cap, cap, sizeof *at);
    if (!at) return error_set(e, ERR_MEMORY, "no memory for %zu tokens", cap);
    ids->at = at, ids->cap = cap;
    return OK;
}

static enum status put_text(const struct tok *t, const char *text, size_t size, struct ids *ids, struct error *e) {
    size_t n;
    enum status s = size ? tok_encode(t, text, size, false, false, NULL, 0, &n, e) : OK;
    if (!size || s) return s;
    if ((s = reserve(ids, n, e))) return s;
    s = tok_encode(t, text, size, false, false, ids->at + ids->n, n, &n, e);
    ids->n += n;
    return s;
}

static enum status put_id(int32_t id, struct ids *ids, struct error *e) {
    enum status s = reserve(ids, 1, e);
    if (!s) ids->at[ids->n++] = id;
    return s;
}

enum status chat_encode(const struct chat *c, const struct jinja_text *text, size_t from, int32_t **out, size_t *n_out,
                        struct error *e) {
    const struct tok *t = c->tok;
    struct ids ids = {0};
    size_t start = from, i = from, length = 0;
    bool has_bos = from > 0 || (text->size && control_at(t, text, 0, &length) == tok_bos(t));
    enum status s = reserve(&ids, 16, e);
    if (!s && tok_adds_bos(t) && !has_bos) s = put_id(tok_bos(t), &ids, e);
    while (i < text->size && !s) {
        int32_t id = control_at(t, text, i, &length);
        if (id < 0) {
            i++;
            continue;
        }
        s = put_text(t, text->text + start, i - start, &ids, e);
        if (!s) s = put_id(id, &ids, e);
        i += length;
        start = i += special_swallows(t, id, text->text + i, text->size - i);
    }
    if (!s) s = put_text(t, text->text + start, text->size - start, &ids, e);
    *out = ids.at, *n_out = ids.n;
    if (s) mem_free(ids.at), *out = NULL, *n_out = 0;
    return s;
}

bool chat_ends_thinking(const struct jinja_text *text) {
    size_t end = text->size;
    while (end && strchr(" \n", text->text[end - 1])) end--;
    return end >= 7 && !memcmp(text->text + end - 7, "<think>", 7) && !text->plain[end - 1];
}
