/* responses.c: /v1/responses.
 * Not the writing of texts: texts.h.
 * Next: search.h. */
#include <string.h>

#include "base/mem.h"
#include "serve/handlers.h"
#include "serve/texts.h"

/* clang-format off */
#define AT(field) offsetof(struct texts, wish.field)
static const struct field fields[] = {
    {"max_output_tokens",    FIELD_INT,     AT(max_tokens),   1, 1e9},
    {"temperature",          FIELD_REAL,    AT(temperature),  0, 100},
    {"top_p",                FIELD_REAL,    AT(top_p),        0, 1},
    {"top_k",                FIELD_INT,     AT(top_k),        0, 1e9},
    {"seed",                 FIELD_INT,     AT(seed),        -1, 9.2e18},
    {"stream",               FIELD_YES,     AT(stream),       0, 0},
    {"tools",                FIELD_REFUSED, 0,                0, 0},
    {"previous_response_id", FIELD_REFUSED, 0,                0, 0},
    {"background",           FIELD_REFUSED, 0,                0, 0},
    {0},
};
/* clang-format on */

/* The items of an answer as they open in a stream. */
struct items {
    int open;        /* 0 none, 1 reasoning, 2 message */
    int index;       /* of the open item */
    json_int_t next; /* sequence_number */
};

/* ---- the request ---- */

/* "input": a text or items; "instructions": the system message.  NULL: told. */
static json_t *conversation(struct texts *t) {
    const json_t *input = json_object_get(t->body, "input"), *system = json_object_get(t->body, "instructions");
    json_t *all = json_array(), *one;
    size_t i;
    if (json_is_string(system))
        json_array_append_new(all, json_pack("{s:s,s:O}", "role", "system", "content", (json_t *)system));
    if (json_is_string(input))
        json_array_append_new(all, json_pack("{s:s,s:O}", "role", "user", "content", (json_t *)input));
    json_array_foreach((json_t *)input, i, one) {
        const char *type = json_string_value(json_object_get(one, "type"));
        if (type && !strcmp(type, "reasoning")) continue; /* earlier thinking is not read again */
        if (!type || !strcmp(type, "message")) json_array_append(all, one);
        else {
            server_fail(t->ex, 400, NULL, "\"input\": an item of type \"%.40s\" is not supported", type);
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static bool read_format(struct texts *t) {
    const json_t *format = json_object_get(json_object_get(t->body, "text"), "format");
    const char *type = json_string_value(json_object_get(format, "type"));
    if (!type || !strcmp(type, "text")) return true;
    if (!strcmp(type, "json_object")) return t->wish.json_object = true;
    t->wish.grammar_json = json_object_get(format, "schema");
    if (!strcmp(type, "json_schema") && t->wish.grammar_json) return true;
    server_fail(t->ex, 400, NULL, "\"text\": the format is none of text, json_object, json_schema with its schema");
    return false;
}

/* ---- the reply ---- */

static json_t *usage(const struct texts *t) {
    json_int_t in = (json_int_t)texts_prompt_tokens(t), out = (json_int_t)t->n_generated;
    return json_pack("{s:I,s:{s:I,s:i},s:I,s:{s:I},s:I}", "input_tokens", in, "input_tokens_details", "cached_tokens",
                     (json_int_t)texts_cached_tokens(t), "cache_write_tokens", 0, "output_tokens", out,
                     "output_tokens_details", "reasoning_tokens", (json_int_t)t->n_thinking, "total_tokens", in + out);
}

static json_t *text_of(const struct buffer *b) { return clean_text(b->data ? b->data : "", b->n); }

static json_t *part_json(json_t *text) {
    return json_pack("{s:s,s:o,s:[],s:[]}", "type", "output_text", "text", text, "annotations", "logprobs");
}

/* content is taken over. */
static json_t *message_json(const struct texts *t, const char *status, json_t *content) {
    return json_pack("{s:s,s:s+,s:s,s:s,s:o}", "type", "message", "id", "msg_", t->ex->id, "status", status, "role",
                     "assistant", "content", content);
}

static json_t *reasoning_json(const struct texts *t, const struct buffer *thought) {
    json_t *content =
        thought ? json_pack("[{s:s,s:o}]", "type", "reasoning_text", "text", text_of(thought)) : json_array();
    return json_pack("{s:s,s:s+,s:[],s:o}", "type", "reasoning", "id", "rs_", t->ex->id, "summary", "content", content);
}

/* status: in_progress, completed, incomplete.  output is taken over. */
static json_t *response(const struct texts *t, const char *status, json_t *output) {
    bool cut = !strcmp(status, "incomplete");
    json_t *why = cut ? json_pack("{s:s}", "reason", "max_output_tokens") : json_null();
    json_t *all =
        json_pack("{s:s+,s:s,s:I,s:s,s:s,s:n,s:o,s:n,s:o,s:b,s:s,s:[],s:f,s:f,s:o,s:{}}", "id", "resp_", t->ex->id,
                  "object", "response", "created_at", (json_int_t)t->created, "model", t->server->p.name, "status",
                  status, "error", "incomplete_details", why, "instructions", "output", output, "parallel_tool_calls",
                  0, "tool_choice", "none", "tools", "temperature", t->wish.temperature, "top_p", t->wish.top_p,
                  "usage", !strcmp(status, "in_progress") ? json_null() : usage(t), "metadata");
    if (strcmp(status, "in_progress")) texts_extras(t, all);
    return all;
}

static const char *status_of(const struct choice *c) {
    return strcmp(choice_reason(c), "stop") ? "incomplete" : "completed";
}

static void whole(struct texts *t) {
    const struct choice *c = &t->choices[0];
    json_t *output = json_array();
    if (c->thought.n) json_array_append_new(output, reasoning_json(t, &c->thought));
    json_array_append_new(output, message_json(t, status_of(c), json_pack("[o]", part_json(text_of(&c->said)))));
    exchange_json(t->ex, 200, response(t, status_of(c), output));
}

/* ---- the stream ---- */

static void event(struct texts *t, const char *type, json_t *members) {
    struct items *it = t->extra;
    json_object_set_new(members, "type", json_string(type));
    json_object_set_new(members, "sequence_number", json_integer(it->next++));
    exchange_event(t->ex, type, members);
}

static json_t *place(const struct texts *t, const char *prefix) {
    const struct items *it = t->extra;
    return json_pack("{s:s+,s:i,s:i}", "item_id", prefix, t->ex->id, "output_index", it->index, "content_index", 0);
}

static void close_item(struct texts *t, struct choice *c) {
    struct items *it = t->extra;
    json_t *item;
    if (!it->open) return;
    if (it->open == 2) {
        json_t *done = place(t, "msg_"), *part = place(t, "msg_");
        json_object_set_new(done, "text", text_of(&c->said));
        json_object_set_new(done, "logprobs", json_array());
        event(t, "response.output_text.done", done);
        json_object_set_new(part, "part", part_json(text_of(&c->said)));
        event(t, "response.content_part.done", part);
        item = message_json(t, "completed", json_pack("[o]", part_json(text_of(&c->said))));
    } else {
        json_t *done = place(t, "rs_");
        json_object_set_new(done, "text", text_of(&c->thought));
        event(t, "response.reasoning_text.done", done);
        item = reasoning_json(t, &c->thought);
    }
    json_array_append(t->gathered, item);
    event(t, "response.output_item.done", json_pack("{s:i,s:o}", "output_index", it->index, "item", item));
    it->open = 0, it->index++;
}

static void open_item(struct texts *t, struct choice *c, int kind) {
    struct items *it = t->extra;
    if (it->open == kind) return;
    close_item(t, c);
    it->open = kind;
    json_t *item = kind == 2 ? message_json(t, "in_progress", json_array()) : reasoning_json(t, NULL);
    event(t, "response.output_item.added", json_pack("{s:i,s:o}", "output_index", it->index, "item", item));
    if (kind != 2) return;
    json_t *part = place(t, "msg_");
    json_object_set_new(part, "part", part_json(json_string("")));
    event(t, "response.content_part.added", part);
}

static void begin(struct texts *t, struct choice *c) {
    (void)c;
    t->gathered = json_array();
    event(t, "response.created", json_pack("{s:o}", "response", response(t, "in_progress", json_array())));
    event(t, "response.in_progress", json_pack("{s:o}", "response", response(t, "in_progress", json_array())));
}

static void delta(struct texts *t, struct choice *c, const char *text, size_t n, bool thinking, json_t *logprobs) {
    (void)logprobs;
    open_item(t, c, thinking ? 1 : 2);
    json_t *members = place(t, thinking ? "rs_" : "msg_");
    json_object_set_new(members, "delta", clean_text(text, n));
    if (!thinking) json_object_set_new(members, "logprobs", json_array());
    event(t, thinking ? "response.reasoning_text.delta" : "response.output_text.delta", members);
}

static void end(struct texts *t, struct choice *c) {
    open_item(t, c, 2); /* an empty answer is one */
    close_item(t, c);
    const char *status = status_of(c);
    json_t *members = json_pack("{s:o}", "response", response(t, status, json_incref(t->gathered)));
    event(t, strcmp(status, "completed") ? "response.incomplete" : "response.completed", members);
}

static void close_stream(struct texts *t) { exchange_end(t->ex); }

static const struct voice voice = {begin, delta, end, close_stream, whole};

static bool read_request(struct texts *t) {
    struct error e;
    const char *model = json_string_value(json_object_get(t->body, "model"));
    const json_t *reasoning = json_object_get(t->body, "reasoning");
    enum status s = fields_read(t->body, fields, t, &e);
    if (s) server_fail_status(t->ex, s, &e);
    if (s) return false;
    if (!server_has_model(t->server, model)) {
        server_fail(t->ex, 404, NULL, "the model \"%.100s\" is not served here; %s is", model, t->server->p.name);
        return false;
    }
    return texts_effort(t, json_string_value(json_object_get(reasoning, "effort"))) && read_format(t) && texts_rules(t);
}

void handle_responses(struct exchange *ex) {
    struct texts *t = texts_new(ex, &voice);
    if (!t) return;
    t->chat = true, t->content_type = "text/event-stream";
    if (!(t->extra = mem_new(1, sizeof(struct items)))) server_fail(ex, 500, NULL, "no memory for a request");
    json_t *messages = t->extra && read_request(t) ? conversation(t) : NULL;
    texts_answer(t, messages != NULL, messages, NULL, false);
    json_decref(messages);
}
