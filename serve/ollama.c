/* ollama.c: /api/chat, generate, tags, show, ps, version: lines of JSON, streamed unless the request says no.
 * Not the writing of texts: texts.h.
 * Next: responses.c. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "serve/handlers.h"
#include "serve/texts.h"

/* clang-format off */
#define AT(field) offsetof(struct texts, wish.field)
static const struct field fields[] = {
    {"stream",       FIELD_YES,     AT(stream),       0, 0},
    {"logprobs",     FIELD_YES,     AT(logprobs),     0, 0},
    {"top_logprobs", FIELD_INT,     AT(top_logprobs), 0, TOP_LOGPROBS},
    {"tools",        FIELD_REFUSED, 0,                0, 0},
    {"suffix",       FIELD_REFUSED, 0,                0, 0},
    {"images",       FIELD_REFUSED, 0,                0, 0},
    {"context",      FIELD_REFUSED, 0,                0, 0},
    {"template",     FIELD_REFUSED, 0,                0, 0},
    {0},
};
static const struct field options[] = {
    {"num_predict",       FIELD_INT,  AT(max_tokens),    -2, 1e9},
    {"seed",              FIELD_INT,  AT(seed),          -1, 9.2e18},
    {"temperature",       FIELD_REAL, AT(temperature),    0, 100},
    {"top_k",             FIELD_INT,  AT(top_k),          0, 1e9},
    {"top_p",             FIELD_REAL, AT(top_p),          0, 1},
    {"min_p",             FIELD_REAL, AT(min_p),          0, 1},
    {"typical_p",         FIELD_REAL, AT(typical_p),      0, 1},
    {"repeat_penalty",    FIELD_REAL, AT(repeat),         1e-3, 1e3},
    {"repeat_last_n",     FIELD_INT,  AT(repeat_last_n), -1, 1e9},
    {"presence_penalty",  FIELD_REAL, AT(presence),    -1e3, 1e3},
    {"frequency_penalty", FIELD_REAL, AT(frequency),   -1e3, 1e3},
    {"stop",              FIELD_JSON, AT(stop),           0, 0},
    {0},
};
/* clang-format on */

/* ---- the reply ---- */

/* "2024-05-01T12:00:00.000000Z" */
static json_t *time_json(time_t when) {
    char text[40];
    struct tm tm;
    gmtime_r(&when, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
    return json_string(text);
}

static json_t *logprobs_json(const struct texts *t, const json_t *tokens) {
    json_t *list = json_array(), *one, *entry;
    size_t i, k;
    json_array_foreach((json_t *)tokens, i, one) {
        json_t *top = json_array();
        json_array_foreach(json_object_get(one, "top"), k, entry) {
            int32_t id = (int32_t)json_integer_value(json_object_get(entry, "id"));
            json_array_append_new(top, json_pack("{s:o,s:O}", "token", token_text(t->server, id), "logprob",
                                                 json_object_get(entry, "logprob")));
        }
        int32_t id = (int32_t)json_integer_value(json_object_get(one, "id"));
        json_array_append_new(list, json_pack("{s:o,s:O,s:o}", "token", token_text(t->server, id), "logprob",
                                              json_object_get(one, "logprob"), "top_logprobs", top));
    }
    return list;
}

/* said and thought are taken over. */
static json_t *line(const struct texts *t, json_t *said, json_t *thought, bool done) {
    json_t *reply = json_pack("{s:s,s:o,s:b}", "model", t->server->p.name, "created_at", time_json((time_t)t->created),
                              "done", (int)done);
    if (t->ex->path[5] == 'c') { /* /api/chat */
        json_t *message = json_pack("{s:s,s:o}", "role", "assistant", "content", said);
        if (thought) json_object_set_new(message, "thinking", thought);
        json_object_set_new(reply, "message", message);
    } else {
        json_object_set_new(reply, "response", said);
        if (thought) json_object_set_new(reply, "thinking", thought);
    }
    return reply;
}

static void add_numbers(const struct texts *t, const struct choice *c, json_t *reply) {
    json_object_update_new(reply, json_pack("{s:s,s:I,s:i,s:I,s:I,s:I,s:I}", "done_reason", choice_reason(c),
                                            "total_duration", (json_int_t)(clock_ns() - t->ex->start_ns),
                                            "load_duration", 0, "prompt_eval_count", (json_int_t)texts_prompt_tokens(t),
                                            "prompt_eval_duration", (json_int_t)t->read_ns, "eval_count",
                                            (json_int_t)t->n_generated, "eval_duration", (json_int_t)t->write_ns));
    texts_extras(t, reply);
}

static json_t *text_of(const struct buffer *b) { return clean_text(b->data ? b->data : "", b->n); }

static void whole(struct texts *t) {
    const struct choice *c = &t->choices[0];
    json_t *reply = line(t, text_of(&c->said), c->thought.n ? text_of(&c->thought) : NULL, true);
    if (t->wish.logprobs) json_object_set_new(reply, "logprobs", logprobs_json(t, c->logprobs));
    add_numbers(t, c, reply);
    exchange_json(t->ex, 200, reply);
}

static void delta(struct texts *t, struct choice *c, const char *text, size_t n, bool thinking, json_t *logprobs) {
    json_t *said = clean_text(text, n);
    json_t *reply = thinking ? line(t, json_string(""), said, false) : line(t, said, NULL, false);
    (void)c;
    if (logprobs) json_object_set_new(reply, "logprobs", logprobs_json(t, logprobs));
    exchange_line(t->ex, reply);
}

static void close_stream(struct texts *t) {
    json_t *reply = line(t, json_string(""), NULL, true);
    add_numbers(t, &t->choices[0], reply);
    exchange_line(t->ex, reply);
    exchange_end(t->ex);
}

static const struct voice voice = {NULL, delta, NULL, close_stream, whole};

/* ---- the request ---- */

/* Names may come with a tag, "NAME:latest". */
static bool check_model(struct exchange *ex, const char *name) {
    struct server *s = ex->server;
    char plain[256];
    snprintf(plain, sizeof plain, "%s", name ? name : "");
    size_t n = strlen(plain);
    if (n > 7 && !strcmp(plain + n - 7, ":latest")) plain[n - 7] = '\0';
    if (server_has_model(s, plain)) return true;
    server_fail(ex, 404, NULL, "model '%.100s' not found; %s is served here", name, s->p.name);
    return false;
}

static bool read_think(struct texts *t) {
    const json_t *think = json_object_get(t->body, "think");
    if (json_is_false(think)) t->wish.thinking = false, t->wish.thinking_budget = 0;
    return !json_is_string(think) || texts_effort(t, json_string_value(think));
}

static bool read_format(struct texts *t) {
    const json_t *format = json_object_get(t->body, "format");
    if (json_is_object(format)) t->wish.grammar_json = format;
    else if (json_is_string(format) && !strcmp(json_string_value(format), "json")) t->wish.json_object = true;
    else if (format && !json_is_null(format) && !(json_is_string(format) && !json_string_length(format))) {
        server_fail(t->ex, 400, NULL, "\"format\": \"json\" or a schema is allowed");
        return false;
    }
    return true;
}

static bool read_request(struct texts *t) {
    struct error e;
    t->wish.stream = true;
    enum status s = fields_read(t->body, fields, t, &e);
    if (!s) s = fields_read(json_object_get(t->body, "options"), options, t, &e);
    if (s) server_fail_status(t->ex, s, &e);
    if (t->wish.max_tokens < 0) t->wish.max_tokens = -1;
    return !s && check_model(t->ex, json_string_value(json_object_get(t->body, "model"))) && read_think(t) &&
           read_format(t) && texts_rules(t);
}

void handle_ollama_chat(struct exchange *ex) {
    struct texts *t = texts_new(ex, &voice);
    if (!t) return;
    t->chat = true, t->content_type = "application/x-ndjson";
    texts_answer(t, read_request(t), json_object_get(t->body, "messages"), NULL, true);
}

/* A prompt is a message of the user, unless it is raw or the model has no template. */
static bool add_prompt(struct texts *t) {
    const json_t *prompt = json_object_get(t->body, "prompt"), *system = json_object_get(t->body, "system");
    if (prompt && !json_is_string(prompt)) {
        server_fail(t->ex, 400, NULL, "\"prompt\": a text is allowed");
        return false;
    }
    const char *text = prompt ? json_string_value(prompt) : "";
    if (json_is_true(json_object_get(t->body, "raw")) || !t->server->chat) return texts_add_text(t, text, strlen(text));
    json_t *messages = json_array();
    if (json_is_string(system) && json_string_length(system))
        json_array_append_new(messages, json_pack("{s:s,s:O}", "role", "system", "content", (json_t *)system));
    json_array_append_new(messages, json_pack("{s:s,s:s}", "role", "user", "content", text));
    t->chat = true;
    bool good = texts_add_chat(t, messages, NULL, false);
    json_decref(messages);
    return good;
}

void handle_ollama_generate(struct exchange *ex) {
    struct texts *t = texts_new(ex, &voice);
    if (!t) return;
    t->content_type = "application/x-ndjson";
    if (read_request(t) && add_prompt(t)) texts_queue(t);
    else texts_free(t);
}

/* ---- the model ---- */

static json_t *details(const struct server *s) {
    char size[24];
    double n = (double)server_n_params(s);
    snprintf(size, sizeof size, n >= 1e9 ? "%.1fB" : "%.0fM", n >= 1e9 ? n / 1e9 : n / 1e6);
    const char *arch = s->session->policy.model->config.arch;
    return json_pack("{s:s,s:s,s:s,s:[s],s:s,s:s}", "parent_model", "", "format", "gguf", "family", arch, "families",
                     arch, "parameter_size", size, "quantization_level", "unknown");
}

static json_t *model_json(const struct server *s) {
    return json_pack("{s:s,s:s,s:o,s:I,s:s,s:o}", "name", s->p.name, "model", s->p.name, "modified_at",
                     time_json((time_t)s->started), "size", (json_int_t)server_model_bytes(s), "digest",
                     "0000000000000000", "details", details(s));
}

void handle_ollama_tags(struct exchange *ex) {
    exchange_json(ex, 200, json_pack("{s:[o]}", "models", model_json(ex->server)));
}

void handle_ollama_ps(struct exchange *ex) {
    json_t *one = model_json(ex->server);
    json_object_set_new(one, "expires_at", time_json((time_t)4102444800));
    json_object_set_new(one, "size_vram", json_integer(0));
    exchange_json(ex, 200, json_pack("{s:[o]}", "models", one));
}

void handle_ollama_show(struct exchange *ex) {
    const struct server *s = ex->server;
    const struct model_config *c = &s->session->policy.model->config;
    json_t *body;
    struct error e;
    enum status st = body_read(ex->body.data, ex->body.n, &body, &e);
    if (st) {
        server_fail_status(ex, st, &e);
        return;
    }
    const char *name = json_string_value(json_object_get(body, "model"));
    if (check_model(ex, name ? name : json_string_value(json_object_get(body, "name"))))
        exchange_json(ex, 200,
                      json_pack("{s:s,s:s,s:s,s:o,s:{s:s,s:I,s:I,s:I},s:[s],s:o}", "modelfile", "", "parameters", "",
                                "template", "", "details", details(s), "model_info", "general.architecture", c->arch,
                                "general.parameter_count", (json_int_t)server_n_params(s), "context_length",
                                (json_int_t)c->n_ctx, "embedding_length", (json_int_t)c->n_embd, "capabilities",
                                "completion", "modified_at", time_json((time_t)s->started)));
    json_decref(body);
}

void handle_ollama_version(struct exchange *ex) {
    const struct server *s = ex->server;
    exchange_json(ex, 200, json_pack("{s:s}", "version", s->p.version));
}
