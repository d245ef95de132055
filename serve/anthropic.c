/* anthropic.c: /v1/messages and /v1/messages/count_tokens.
 * Not the writing of texts: texts.h.
 * Next: ollama.c. */
#include <string.h>

#include "base/mem.h"
#include "serve/handlers.h"
#include "serve/texts.h"

/* clang-format off */
#define AT(field) offsetof(struct texts, wish.field)
static const struct field fields[] = {
    {"max_tokens",     FIELD_INT,  AT(max_tokens),  1, 1e9},
    {"temperature",    FIELD_REAL, AT(temperature), 0, 100},
    {"top_p",          FIELD_REAL, AT(top_p),       0, 1},
    {"top_k",          FIELD_INT,  AT(top_k),       0, 1e9},
    {"seed",           FIELD_INT,  AT(seed),       -1, 9.2e18},
    {"stop_sequences", FIELD_JSON, AT(stop),        0, 0},
    {"stream",         FIELD_YES,  AT(stream),      0, 0},
    {"tools",          FIELD_REFUSED, 0,            0, 0},
    {0},
};
/* clang-format on */

/* ---- the request ---- */

/* The system prompt, a text or blocks, in front of the messages.  NULL: told. */
static json_t *conversation(struct texts *t) {
    const json_t *system = json_object_get(t->body, "system"), *messages = json_object_get(t->body, "messages");
    json_t *all = json_array();
    if (!json_is_array(messages)) {
        server_fail(t->ex, 400, NULL, "\"messages\": a list is allowed");
        json_decref(all);
        return NULL;
    }
    if (system && !json_is_null(system))
        json_array_append_new(all, json_pack("{s:s,s:O}", "role", "system", "content", (json_t *)system));
    json_array_extend(all, (json_t *)messages);
    return all;
}

/* thinking {"type": enabled, with budget_tokens | disabled | adaptive}; output_config {"effort"}. */
static bool read_thinking(struct texts *t) {
    const json_t *thinking = json_object_get(t->body, "thinking"), *config = json_object_get(t->body, "output_config");
    const json_t *budget = json_object_get(thinking, "budget_tokens"), *format = json_object_get(config, "format");
    const char *type = json_string_value(json_object_get(thinking, "type"));
    if (type && !strcmp(type, "disabled")) t->wish.thinking = false, t->wish.thinking_budget = 0;
    if (type && !strcmp(type, "enabled")) {
        json_int_t n = json_integer_value(budget);
        if (!json_is_integer(budget) || n < 1 || n >= t->wish.max_tokens) {
            server_fail(t->ex, 400, NULL,
                        "\"budget_tokens\": a whole number from 1 to less than \"max_tokens\" is allowed");
            return false;
        }
        t->wish.thinking_budget = n;
    }
    if (json_is_object(format) && !(t->wish.grammar_json = json_object_get(format, "schema"))) {
        server_fail(t->ex, 400, NULL, "\"format\": a JSON schema in \"schema\" is needed");
        return false;
    }
    return texts_effort(t, json_string_value(json_object_get(config, "effort")));
}

static bool read_request(struct texts *t, bool needs_max) {
    struct error e;
    const char *model = json_string_value(json_object_get(t->body, "model"));
    enum status s = fields_read(t->body, fields, t, &e);
    if (s) server_fail_status(t->ex, s, &e);
    if (s) return false;
    if (!server_has_model(t->server, model)) {
        server_fail(t->ex, 404, NULL, "the model \"%.100s\" is not served here; %s is", model, t->server->p.name);
        return false;
    }
    if (needs_max && t->wish.max_tokens < 0) {
        server_fail(t->ex, 400, NULL, "\"max_tokens\" is missing");
        return false;
    }
    return read_thinking(t) && texts_rules(t);
}

/* ---- the reply ---- */

static const char *stop_reason(const struct choice *c) {
    if (c->text.end == TEXT_STOP_STRING) return "stop_sequence";
    return !strcmp(choice_reason(c), "stop") ? "end_turn" : "max_tokens";
}

static json_t *usage(const struct texts *t) {
    uint64_t cached = texts_cached_tokens(t);
    return json_pack("{s:I,s:I,s:I,s:i,s:{s:I}}", "input_tokens", (json_int_t)(texts_prompt_tokens(t) - cached),
                     "output_tokens", (json_int_t)t->n_generated, "cache_read_input_tokens", (json_int_t)cached,
                     "cache_creation_input_tokens", 0, "output_tokens_details", "thinking_tokens",
                     (json_int_t)t->n_thinking);
}

static json_t *message(const struct texts *t, json_t *content, const struct choice *c) {
    json_t *which = c && c->stop_string ? json_string(c->stop_string) : json_null();
    return json_pack("{s:s+,s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "id", "msg_", t->ex->id, "type", "message", "role",
                     "assistant", "model", t->server->p.name, "content", content, "stop_reason",
                     c ? json_string(stop_reason(c)) : json_null(), "stop_sequence", which, "usage", usage(t));
}

static json_t *text_of(const struct buffer *b) { return clean_text(b->data ? b->data : "", b->n); }

static void whole(struct texts *t) {
    const struct choice *c = &t->choices[0];
    json_t *content = json_array();
    if (c->thought.n)
        json_array_append_new(
            content, json_pack("{s:s,s:o,s:s}", "type", "thinking", "thinking", text_of(&c->thought), "signature", ""));
    json_array_append_new(content, json_pack("{s:s,s:o}", "type", "text", "text", text_of(&c->said)));
    json_t *reply = message(t, content, c);
    texts_extras(t, reply);
    exchange_json(t->ex, 200, reply);
}

/* The block that is open: 0 none, 1 thinking, 2 text. */
struct blocks {
    int kind, index;
};

static void close_block(struct texts *t, struct blocks *b) {
    if (!b->kind) return;
    if (b->kind == 1)
        exchange_event(t->ex, "content_block_delta",
                       json_pack("{s:s,s:i,s:{s:s,s:s}}", "type", "content_block_delta", "index", b->index, "delta",
                                 "type", "signature_delta", "signature", ""));
    exchange_event(t->ex, "content_block_stop",
                   json_pack("{s:s,s:i}", "type", "content_block_stop", "index", b->index));
    b->index++, b->kind = 0;
}

static void open_block(struct texts *t, struct blocks *b, int kind) {
    if (b->kind == kind) return;
    close_block(t, b);
    b->kind = kind;
    json_t *block = kind == 1 ? json_pack("{s:s,s:s,s:s}", "type", "thinking", "thinking", "", "signature", "")
                              : json_pack("{s:s,s:s}", "type", "text", "text", "");
    exchange_event(
        t->ex, "content_block_start",
        json_pack("{s:s,s:i,s:o}", "type", "content_block_start", "index", b->index, "content_block", block));
}

static void begin(struct texts *t, struct choice *c) {
    (void)c;
    exchange_event(t->ex, "message_start",
                   json_pack("{s:s,s:o}", "type", "message_start", "message", message(t, json_array(), NULL)));
}

static void delta(struct texts *t, struct choice *c, const char *text, size_t n, bool thinking, json_t *logprobs) {
    struct blocks *b = t->extra;
    const char *kind = thinking ? "thinking_delta" : "text_delta", *key = thinking ? "thinking" : "text";
    (void)c, (void)logprobs;
    open_block(t, b, thinking ? 1 : 2);
    exchange_event(t->ex, "content_block_delta",
                   json_pack("{s:s,s:i,s:{s:s,s:o}}", "type", "content_block_delta", "index", b->index, "delta", "type",
                             kind, key, clean_text(text, n)));
}

static void end(struct texts *t, struct choice *c) {
    struct blocks *b = t->extra;
    json_t *which = c->stop_string ? json_string(c->stop_string) : json_null();
    if (!b->kind) open_block(t, b, 2);
    close_block(t, b);
    json_t *last = json_pack("{s:s,s:{s:s,s:o},s:o}", "type", "message_delta", "delta", "stop_reason", stop_reason(c),
                             "stop_sequence", which, "usage", usage(t));
    texts_extras(t, last);
    exchange_event(t->ex, "message_delta", last);
    exchange_event(t->ex, "message_stop", json_pack("{s:s}", "type", "message_stop"));
}

static void close_stream(struct texts *t) { exchange_end(t->ex); }

static const struct voice voice = {begin, delta, end, close_stream, whole};

void handle_messages(struct exchange *ex) {
    struct texts *t = texts_new(ex, &voice);
    if (!t) return;
    t->chat = true, t->content_type = "text/event-stream";
    t->extra = mem_new(1, sizeof(struct blocks));
    if (!t->extra) server_fail(ex, 500, NULL, "no memory for a request");
    json_t *messages = t->extra && read_request(t, true) ? conversation(t) : NULL;
    texts_answer(t, messages != NULL, messages, NULL, true);
    json_decref(messages);
}

void handle_count_tokens(struct exchange *ex) {
    struct texts *t = texts_new(ex, &voice);
    if (!t) return;
    json_t *messages = read_request(t, false) ? conversation(t) : NULL;
    if (messages && texts_add_chat(t, messages, NULL, true))
        exchange_json(ex, 200, json_pack("{s:I}", "input_tokens", (json_int_t)texts_prompt_tokens(t)));
    json_decref(messages);
    texts_free(t);
}
