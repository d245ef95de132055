/* openai.c: /v1/completions and /v1/chat/completions.
 * Not the writing of texts: texts.h.
 * Next: responses.c, anthropic.c, ollama.c. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "serve/handlers.h"
#include "serve/search.h"
#include "serve/texts.h"

/* clang-format off */
#define AT(field) offsetof(struct texts, wish.field)
#define SAMPLING_FIELDS \
    {"n",                 FIELD_INT,  AT(n),                 1, 1e6}, \
    {"seed",              FIELD_INT,  AT(seed),             -1, 9.2e18}, \
    {"temperature",       FIELD_REAL, AT(temperature),       0, 100}, \
    {"top_p",             FIELD_REAL, AT(top_p),             0, 1}, \
    {"top_k",             FIELD_INT,  AT(top_k),             0, 1e9}, \
    {"min_p",             FIELD_REAL, AT(min_p),             0, 1}, \
    {"typical_p",         FIELD_REAL, AT(typical_p),         0, 1}, \
    {"repeat_penalty",    FIELD_REAL, AT(repeat),            1e-3, 1e3}, \
    {"repetition_penalty", FIELD_REAL, AT(repeat),           1e-3, 1e3}, \
    {"repeat_last_n",     FIELD_INT,  AT(repeat_last_n),    -1, 1e9}, \
    {"presence_penalty",  FIELD_REAL, AT(presence),       -1e3, 1e3}, \
    {"frequency_penalty", FIELD_REAL, AT(frequency),      -1e3, 1e3}, \
    {"logit_bias",        FIELD_JSON, AT(logit_bias),        0, 0}, \
    {"stop",              FIELD_JSON, AT(stop),              0, 0}, \
    {"stream",            FIELD_YES,  AT(stream),            0, 0}, \
    {"ignore_eos",        FIELD_YES,  AT(ignore_eos),        0, 0}, \
    {"grammar",           FIELD_TEXT, AT(grammar),           0, 0}, \
    {"max_tokens",        FIELD_INT,  AT(max_tokens),        0, 1e9}, \
    {"thinking_budget_tokens",  FIELD_INT, AT(thinking_budget), -1, 1e9}, \
    {"reasoning_budget_tokens", FIELD_INT, AT(thinking_budget), -1, 1e9}, \
    {"thinking_token_budget",   FIELD_INT, AT(thinking_budget), -1, 1e9}
static const struct field completion_fields[] = {
    SAMPLING_FIELDS,
    {"best_of",           FIELD_INT,  AT(best_of),           1, 1e6},
    {"echo",              FIELD_YES,  AT(echo),              0, 0},
    {"suffix",            FIELD_REFUSED, 0,                  0, 0},
    {"tools",             FIELD_REFUSED, 0,                  0, 0},
    {0},
};
static const struct field chat_fields[] = {
    SAMPLING_FIELDS,
    {"max_completion_tokens", FIELD_INT, AT(max_tokens),     0, 1e9},
    {"logprobs",          FIELD_YES,  AT(logprobs),          0, 0},
    {"top_logprobs",      FIELD_INT,  AT(top_logprobs),      0, TOP_LOGPROBS},
    {"tools",             FIELD_REFUSED, 0,                  0, 0},
    {"tool_choice",       FIELD_REFUSED, 0,                  0, 0},
    {"functions",         FIELD_REFUSED, 0,                  0, 0},
    {"audio",             FIELD_REFUSED, 0,                  0, 0},
    {0},
};
/* Tokens of thinking; times the usual budget of a search. */
static const struct { const char *name; int budget; double search; } efforts[] = {
    {"none",    0,     1.0 / 16},
    {"minimal", 128,   1.0 / 8},
    {"low",     512,   1.0 / 4},
    {"medium",  2048,  1},
    {"high",    8192,  4},
    {"xhigh",   16384, 16},
    {"max",     -1,    INFINITY},
};
/* clang-format on */

static bool tell(struct texts *t, enum status s, const struct error *e) {
    if (s) server_fail_status(t->ex, s, e);
    return !s;
}

/* ---- fields that are objects ---- */

static bool read_format(struct texts *t) {
    const json_t *format = json_object_get(t->body, "response_format");
    const char *type = json_string_value(json_object_get(format, "type"));
    if (!format || json_is_null(format) || (type && !strcmp(type, "text"))) return true;
    if (type && !strcmp(type, "json_object")) return t->wish.json_object = true;
    if (type && !strcmp(type, "json_schema")) {
        const json_t *inner = json_object_get(format, "json_schema"), *schema = json_object_get(inner, "schema");
        if (!schema) schema = json_object_get(format, "schema");
        if (schema) return t->wish.grammar_json = schema, true;
        server_fail(t->ex, 400, NULL, "\"response_format\": \"json_schema\" lacks its \"schema\"");
        return false;
    }
    server_fail(t->ex, 400, NULL, "\"response_format\": the type is none of text, json_object, json_schema");
    return false;
}

bool texts_effort(struct texts *t, const char *effort) {
    size_t i = 0, n = sizeof efforts / sizeof *efforts;
    if (!effort) return true;
    while (i < n && strcmp(effort, efforts[i].name)) i++;
    if (i == n) {
        server_fail(t->ex, 400, NULL,
                    "\"reasoning_effort\": \"%.40s\" is none of none, minimal, low, medium, high, xhigh, max", effort);
        return false;
    }
    if (t->wish.thinking_budget < 0) t->wish.thinking_budget = efforts[i].budget;
    t->wish.effort = efforts[i].search;
    if (!efforts[i].budget) t->wish.thinking = false;
    return true;
}

static bool read_options(struct texts *t) {
    const json_t *stream = json_object_get(t->body, "stream_options");
    const char *model = json_string_value(json_object_get(t->body, "model"));
    t->wish.include_usage = json_is_true(json_object_get(stream, "include_usage"));
    if (server_has_model(t->server, model)) return true;
    server_fail(t->ex, 404, NULL, "the model \"%.100s\" is not served here; %s is", model, t->server->p.name);
    return false;
}

/* ---- log-probabilities ---- */

/* {"token", "logprob", "bytes", "top_logprobs"} of each. */
static json_t *chat_logprobs(const struct texts *t, const json_t *tokens) {
    json_t *content = json_array(), *one, *entry;
    size_t i, k;
    json_array_foreach((json_t *)tokens, i, one) {
        json_t *top = json_array();
        int32_t id = (int32_t)json_integer_value(json_object_get(one, "id"));
        json_array_foreach(json_object_get(one, "top"), k, entry) {
            int32_t other = (int32_t)json_integer_value(json_object_get(entry, "id"));
            json_array_append_new(top,
                                  json_pack("{s:o,s:O,s:o}", "token", token_text(t->server, other), "logprob",
                                            json_object_get(entry, "logprob"), "bytes", token_bytes(t->server, other)));
        }
        json_array_append_new(content, json_pack("{s:o,s:O,s:o,s:o}", "token", token_text(t->server, id), "logprob",
                                                 json_object_get(one, "logprob"), "bytes", token_bytes(t->server, id),
                                                 "top_logprobs", top));
    }
    return json_pack("{s:o,s:n}", "content", content, "refusal");
}

/* The lists of /v1/completions; text_offset counts characters. */
struct lists {
    json_t *tokens, *logprobs, *tops, *offsets;
    size_t offset;
};

static size_t n_characters(const char *text, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

static void add_token(const struct texts *t, struct lists *l, int32_t id, const json_t *one) {
    struct gguf_string piece = tok_piece(t->server->session->tok, id, false);
    json_array_append_new(l->tokens, token_text(t->server, id));
    json_array_append_new(l->offsets, json_integer((json_int_t)l->offset));
    l->offset += n_characters(piece.data, piece.size);
    if (!one) { /* the first token of all follows nothing */
        json_array_append_new(l->logprobs, json_null()), json_array_append_new(l->tops, json_null());
        return;
    }
    json_t *top = json_object(), *entry;
    size_t i;
    json_array_append(l->logprobs, json_object_get(one, "logprob"));
    json_array_foreach(json_object_get(one, "top"), i, entry) {
        json_t *name = token_text(t->server, (int32_t)json_integer_value(json_object_get(entry, "id")));
        const char *key = json_string_value(name);
        if (key && !json_object_get(top, key)) json_object_set(top, key, json_object_get(entry, "logprob"));
        json_decref(name);
    }
    json_t *own = token_text(t->server, id);
    const char *key = json_string_value(own);
    if (key && !json_object_get(top, key)) json_object_set(top, key, json_object_get(one, "logprob"));
    json_decref(own);
    json_array_append_new(l->tops, top);
}

static json_t *completion_logprobs(const struct texts *t, const struct choice *c, const json_t *tokens,
                                   bool with_prompt) {
    struct lists l = {json_array(), json_array(), json_array(), json_array(), 0};
    const struct prompt *p = &t->prompts[c->prompt];
    json_t *one;
    size_t i;
    for (i = 0; with_prompt && i < p->n; i++)
        add_token(t, &l, p->ids[i], i ? json_array_get(p->logprobs, i - 1) : NULL);
    json_array_foreach((json_t *)tokens, i, one)
        add_token(t, &l, (int32_t)json_integer_value(json_object_get(one, "id")), one);
    return json_pack("{s:o,s:o,s:o,s:o}", "tokens", l.tokens, "token_logprobs", l.logprobs, "top_logprobs", l.tops,
                     "text_offset", l.offsets);
}

/* ---- /v1/completions ---- */

static json_t *text_json(const struct buffer *b) { return clean_text(b->data ? b->data : "", b->n); }

static json_t *frame(const struct texts *t, const char *object, json_t *choices) {
    json_t *all = json_pack("{s:s+,s:s,s:I,s:s,s:s,s:o}", "id", t->chat ? "chatcmpl-" : "cmpl-", t->ex->id, "object",
                            object, "created", (json_int_t)t->created, "model", t->server->p.name, "system_fingerprint",
                            t->server->fingerprint, "choices", choices);
    texts_extras(t, all);
    return all;
}

static json_t *prompt_text(const struct texts *t, const struct choice *c) {
    const struct prompt *p = &t->prompts[c->prompt];
    struct buffer b = {0};
    for (size_t i = 0; i < p->n; i++) {
        struct gguf_string piece = tok_piece(t->server->session->tok, p->ids[i], false);
        buffer_add(&b, piece.data, piece.size);
    }
    json_t *text = text_json(&b);
    buffer_free(&b);
    return text;
}

static json_t *with_echo(const struct texts *t, const struct choice *c) {
    json_t *text = text_json(&c->said);
    if (!t->wish.echo) return text;
    json_t *before = prompt_text(t, c), *all = json_sprintf("%s%s", json_string_value(before), json_string_value(text));
    json_decref(before), json_decref(text);
    return all;
}

/* index: over all prompts; choices that best_of dropped are not told. */
static void completion_whole(struct texts *t) {
    json_t *choices = json_array();
    uint32_t each = t->n_choices / t->n_prompts;
    for (uint32_t p = 0, index = 0; p < t->n_prompts; p++)
        for (uint32_t k = 0; k < t->n_told; k++, index++) {
            struct choice *c = &t->choices[p * each + k];
            json_t *logprobs = t->wish.logprobs ? completion_logprobs(t, c, c->logprobs, t->wish.echo) : json_null();
            json_array_append_new(choices,
                                  json_pack("{s:I,s:o,s:s,s:o}", "index", (json_int_t)index, "text", with_echo(t, c),
                                            "finish_reason", choice_reason(c), "logprobs", logprobs));
        }
    json_t *reply = frame(t, "text_completion", choices);
    json_object_set_new(reply, "usage", texts_usage(t));
    json_object_set_new(reply, "timings", texts_timings(t));
    exchange_json(t->ex, 200, reply);
}

static void completion_chunk(struct texts *t, const struct choice *c, json_t *text, const char *reason,
                             json_t *logprobs) {
    json_t *one = json_pack("{s:I,s:o,s:o,s:o}", "index", (json_int_t)c->index, "text", text, "finish_reason",
                            reason ? json_string(reason) : json_null(), "logprobs", logprobs ? logprobs : json_null());
    exchange_event(t->ex, NULL, frame(t, "text_completion", json_pack("[o]", one)));
}

static void completion_begin(struct texts *t, struct choice *c) {
    if (t->wish.echo) completion_chunk(t, c, prompt_text(t, c), NULL, NULL);
}

static void completion_delta(struct texts *t, struct choice *c, const char *text, size_t n, bool thinking,
                             json_t *logprobs) {
    (void)thinking;
    completion_chunk(t, c, clean_text(text, n), NULL, logprobs ? completion_logprobs(t, c, logprobs, false) : NULL);
}

static void completion_end(struct texts *t, struct choice *c) {
    json_t *rest = json_array_size(c->logprobs) ? completion_logprobs(t, c, c->logprobs, false) : NULL;
    completion_chunk(t, c, json_string(""), choice_reason(c), rest);
}

static void close_stream(struct texts *t) {
    static const char done[] = "data: [DONE]\n\n";
    if (t->wish.include_usage) {
        json_t *last = frame(t, t->chat ? "chat.completion.chunk" : "text_completion", json_array());
        json_object_set_new(last, "usage", texts_usage(t));
        json_object_set_new(last, "timings", texts_timings(t));
        exchange_event(t->ex, NULL, last);
    }
    exchange_add(t->ex, done, sizeof done - 1);
    exchange_end(t->ex);
}

static const struct voice completion_voice = {completion_begin, completion_delta, completion_end, close_stream,
                                              completion_whole};

static bool add_ids(struct texts *t, const json_t *list) {
    size_t n = json_array_size(list), i;
    json_t *one;
    int32_t *ids = mem_new(n + 1, sizeof *ids);
    if (!ids) {
        server_fail(t->ex, 500, NULL, "no memory for %zu tokens", n);
        return false;
    }
    json_array_foreach((json_t *)list, i, one) {
        json_int_t id = json_is_integer(one) ? json_integer_value(one) : -1;
        ids[i] = id < 0 || id > INT32_MAX ? -1 : (int32_t)id;
    }
    return texts_add_prompt(t, ids, n);
}

/* A text, ids, or a list of either. */
static bool add_prompts(struct texts *t, const json_t *prompt) {
    enum { MOST_PROMPTS = 2048 };
    size_t i;
    json_t *one;
    if (json_is_string(prompt)) return texts_add_text(t, json_string_value(prompt), json_string_length(prompt));
    if (json_is_array(prompt) && json_is_integer(json_array_get(prompt, 0))) return add_ids(t, prompt);
    if (!prompt || json_is_null(prompt)) return texts_add_text(t, "", 0);
    if (!json_array_size(prompt) || json_array_size(prompt) > MOST_PROMPTS) {
        server_fail(t->ex, 400, NULL, "\"prompt\": a text, token ids, or a list of 1 to %d of either are allowed",
                    MOST_PROMPTS);
        return false;
    }
    json_array_foreach((json_t *)prompt, i, one) {
        bool good = json_is_string(one) ? texts_add_text(t, json_string_value(one), json_string_length(one))
                    : json_is_array(one)
                        ? add_ids(t, one)
                        : (server_fail(t->ex, 400, NULL, "\"prompt\": texts and lists of ids are allowed"), false);
        if (!good) return false;
    }
    return true;
}

/* "logprobs" is a number here, of the top ones; true is what some clients send. */
static bool read_logprobs(struct texts *t) {
    const json_t *v = json_object_get(t->body, "logprobs");
    if (!v || json_is_null(v) || json_is_false(v)) return true;
    if (!json_is_true(v) &&
        !(json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= TOP_LOGPROBS)) {
        server_fail(t->ex, 400, NULL, "\"logprobs\": a whole number from 0 to %d is allowed", TOP_LOGPROBS);
        return false;
    }
    t->wish.logprobs = true;
    t->wish.top_logprobs = json_is_true(v) ? 1 : json_integer_value(v);
    return true;
}

void handle_completions(struct exchange *ex) {
    struct texts *t = texts_new(ex, &completion_voice);
    struct error e;
    if (!t) return;
    t->content_type = "text/event-stream";
    bool good = tell(t, fields_read(t->body, completion_fields, t, &e), &e) && read_options(t) && read_logprobs(t) &&
                read_format(t) && texts_rules(t) && add_prompts(t, json_object_get(t->body, "prompt"));
    if (good) texts_queue(t);
    else texts_free(t);
}

/* ---- /v1/chat/completions ---- */

static void chat_chunk(struct texts *t, const struct choice *c, json_t *delta, const char *reason, json_t *logprobs) {
    json_t *one = json_pack("{s:I,s:o,s:o,s:o}", "index", (json_int_t)c->index, "delta", delta, "finish_reason",
                            reason ? json_string(reason) : json_null(), "logprobs", logprobs ? logprobs : json_null());
    exchange_event(t->ex, NULL, frame(t, "chat.completion.chunk", json_pack("[o]", one)));
}

static void chat_begin(struct texts *t, struct choice *c) {
    chat_chunk(t, c, json_pack("{s:s,s:s}", "role", "assistant", "content", ""), NULL, NULL);
}

/* Thinking goes under both names that clients look for. */
static void chat_delta(struct texts *t, struct choice *c, const char *text, size_t n, bool thinking, json_t *logprobs) {
    json_t *said = clean_text(text, n);
    json_t *delta = thinking ? json_pack("{s:O,s:o}", "reasoning_content", said, "reasoning", said)
                             : json_pack("{s:o}", "content", said);
    chat_chunk(t, c, delta, NULL, logprobs ? chat_logprobs(t, logprobs) : NULL);
}

static void chat_end(struct texts *t, struct choice *c) {
    json_t *rest = json_array_size(c->logprobs) ? chat_logprobs(t, c->logprobs) : NULL;
    chat_chunk(t, c, json_object(), choice_reason(c), rest);
}

static void chat_whole(struct texts *t) {
    json_t *choices = json_array();
    for (uint32_t i = 0; i < t->n_told; i++) {
        const struct choice *c = &t->choices[i];
        json_t *message = json_pack("{s:s,s:o,s:n}", "role", "assistant", "content", text_json(&c->said), "refusal");
        if (c->thought.n) {
            json_object_set_new(message, "reasoning_content", text_json(&c->thought));
            json_object_set(message, "reasoning", json_object_get(message, "reasoning_content"));
        }
        json_array_append_new(choices, json_pack("{s:I,s:o,s:s,s:o}", "index", (json_int_t)i, "message", message,
                                                 "finish_reason", choice_reason(c), "logprobs",
                                                 t->wish.logprobs ? chat_logprobs(t, c->logprobs) : json_null()));
    }
    json_t *reply = frame(t, "chat.completion", choices);
    json_object_set_new(reply, "usage", texts_usage(t));
    json_object_set_new(reply, "timings", texts_timings(t));
    exchange_json(t->ex, 200, reply);
}

static const struct voice chat_voice = {chat_begin, chat_delta, chat_end, close_stream, chat_whole};

void handle_chat(struct exchange *ex) {
    struct texts *t = texts_new(ex, &chat_voice);
    struct error e;
    if (!t) return;
    t->chat = true, t->content_type = "text/event-stream";
    const json_t *kwargs = json_object_get(t->body, "chat_template_kwargs");
    bool go_on = json_is_true(json_object_get(t->body, "continue_final_message"));
    bool good = tell(t, fields_read(t->body, chat_fields, t, &e), &e) && read_options(t) && read_format(t) &&
                texts_effort(t, json_string_value(json_object_get(t->body, "reasoning_effort"))) && texts_rules(t);
    texts_answer(t, good, json_object_get(t->body, "messages"), kwargs, go_on);
}
