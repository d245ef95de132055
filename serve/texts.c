/* texts.c: from the fields of a request to prompts and rules.
 * Not the writing: texts_write.c.
 * Next: texts_write.c. */
#include "serve/texts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/mem.h"
#include "serve/search.h"
#include "solve/constraint.h"

/* The sampling defaults are those of run and chat. */
void wish_default(const struct server *s, struct wish *w) {
    (void)s;
    *w = (struct wish){.n = 1,
                       .best_of = 0,
                       .max_tokens = -1,
                       .seed = -1,
                       .top_k = 40,
                       .repeat_last_n = 64,
                       .thinking_budget = -1,
                       .top_logprobs = 0,
                       .temperature = 0.8,
                       .top_p = 0.95,
                       .min_p = 0.05,
                       .typical_p = 1,
                       .repeat = 1,
                       .thinking = true};
}

struct texts *texts_new(struct exchange *ex, const struct voice *voice) {
    struct texts *t = mem_new(1, sizeof *t);
    struct error e;
    if (!t) {
        server_fail(ex, 500, NULL, "no memory for a request");
        return NULL;
    }
    t->ex = ex, t->server = ex->server, t->voice = voice, t->job.ex = ex, t->job.run = texts_run;
    t->created = (uint64_t)time(NULL);
    wish_default(t->server, &t->wish);
    enum status s = body_read(ex->body.data, ex->body.n, &t->body, &e);
    if (s) server_fail_status(ex, s, &e);
    else if (server_classify(ex, t->body)) return t;
    texts_free(t);
    return NULL;
}

void texts_free(struct texts *t) {
    for (uint32_t i = 0; i < t->n_prompts; i++) mem_free(t->prompts[i].ids), json_decref(t->prompts[i].logprobs);
    for (uint32_t i = 0; i < t->n_choices; i++) {
        struct choice *c = &t->choices[i];
        stream_end(&c->stops);
        buffer_free(&c->said), buffer_free(&c->thought), buffer_free(&c->untold);
        json_decref(c->logprobs);
        if (c->text.state) grammar_constraint.free(c->text.state);
        mem_free(c->text.ids);
    }
    grammar_close(&t->grammar);
    mem_free(t->prompts), mem_free(t->choices), mem_free(t->bias), mem_free(t->end_thinking);
    mem_free(t->scratch.p), mem_free(t->scratch.ids), mem_free(t->extra);
    json_decref(t->search), json_decref(t->steering), json_decref(t->gathered), json_decref(t->body);
    mem_free(t);
}

static bool no_memory(struct texts *t) {
    server_fail(t->ex, 500, NULL, "no memory for a request");
    return false;
}

/* ---- rules ---- */

static bool read_stops(struct texts *t) {
    const json_t *stop = t->wish.stop;
    size_t n = json_is_string(stop) ? 1 : json_array_size(stop);
    if (!stop || json_is_null(stop)) return true;
    if (n > WISH_STOPS || (!n && !json_is_array(stop))) {
        server_fail(t->ex, 400, NULL, "\"stop\": a text or a list of at most %d texts is allowed", WISH_STOPS);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_is_string(stop) ? stop : json_array_get(stop, i));
        if (!text || !*text) {
            server_fail(t->ex, 400, NULL, "\"stop\": a stop string must have at least one character");
            return false;
        }
        t->stops[t->n_stops++] = text;
    }
    return true;
}

static bool read_bias(struct texts *t) {
    const json_t *bias = t->wish.logit_bias;
    const char *key;
    json_t *value;
    uint32_t n_vocab = engine_n_out(t->server->session->policy.engine);
    if (!bias || json_is_null(bias)) return true;
    if (!json_is_object(bias)) {
        server_fail(t->ex, 400, NULL, "\"logit_bias\": an object of token ids and numbers is allowed");
        return false;
    }
    if (!(t->bias = mem_new(json_object_size(bias) + 1, sizeof *t->bias))) return no_memory(t);
    json_object_foreach((json_t *)bias, key, value) {
        char *end;
        long id = strtol(key, &end, 10);
        double x = json_number_value(value);
        if (!*key || *end || id < 0 || id >= (long)n_vocab || !json_is_number(value) || !(fabs(x) <= 1e6)) {
            server_fail(t->ex, 400, NULL,
                        "\"logit_bias\": \"%.30s\": ids from 0 to %u and numbers from -1e6 to 1e6 are allowed", key,
                        n_vocab - 1);
            return false;
        }
        /* -100 and below forbid, as OpenAI has it */
        t->bias[t->rules.n_bias++] = (struct sample_bias){(int32_t)id, x <= -100 ? -INFINITY : (float)x};
    }
    t->rules.bias = t->bias;
    return true;
}

static bool read_grammar(struct texts *t) {
    const struct wish *w = &t->wish;
    struct error e;
    enum status s = OK;
    if (!w->grammar && !w->grammar_json && !w->json_object) return true;
    if (w->grammar && (w->grammar_json || w->json_object)) {
        server_fail(t->ex, 400, NULL, "\"grammar\" and a format of JSON exclude each other");
        return false;
    }
    const struct grammar_words *words = t->server->words;
    json_t *any = json_pack("{s:s}", "type", "object"); /* of json_object */
    if (w->grammar) s = grammar_open(w->grammar, strlen(w->grammar), "\"grammar\"", words, &t->grammar, &e);
    else s = grammar_of_schema(w->grammar_json ? w->grammar_json : any, "the JSON schema", words, &t->grammar, &e);
    json_decref(any);
    if (!s) t->rules.constraint = &grammar_constraint;
    else server_fail_status(t->ex, s == ERR_FULL ? ERR_INPUT : s, &e);
    return !s;
}

static bool prepare_thinking(struct texts *t) {
    static const char end[] = "\n</think>\n\n";
    struct error e;
    if (t->wish.thinking_budget < 0) return true;
    if (!(t->end_thinking = mem_new(sizeof end, sizeof *t->end_thinking))) return no_memory(t);
    enum status s = tok_encode(t->server->session->tok, end, sizeof end - 1, true, false, t->end_thinking, sizeof end,
                               &t->n_end, &e);
    if (s) server_fail_status(t->ex, s, &e);
    return !s;
}

bool texts_rules(struct texts *t) {
    const struct wish *w = &t->wish;
    const struct server *s = t->server;
    if (w->n > s->p.max_n || w->best_of > s->p.max_n) {
        server_fail(t->ex, 400, NULL, "\"n\" and \"best_of\": at most %lld are allowed here", (long long)s->p.max_n);
        return false;
    }
    if (w->best_of && (w->best_of < w->n || w->stream)) {
        server_fail(t->ex, 400, NULL, w->stream ? "\"best_of\" cannot be streamed" : "\"best_of\" is less than \"n\"");
        return false;
    }
    if (w->logprobs && w->top_logprobs > TOP_LOGPROBS) {
        server_fail(t->ex, 400, NULL, "\"top_logprobs\": at most %d are allowed", TOP_LOGPROBS);
        return false;
    }
    t->rules.tok = w->ignore_eos ? NULL : s->session->tok;
    t->rules.sampling = (struct sample_params){.top_k = (uint32_t)w->top_k,
                                               .top_p = (float)w->top_p,
                                               .min_p = (float)w->min_p,
                                               .typical_p = (float)w->typical_p};
    t->rules.penalties = (struct sample_penalties){(float)w->repeat, (float)w->presence, (float)w->frequency};
    t->rules.n_penalized = w->repeat_last_n < 0 ? UINT32_MAX : (uint32_t)w->repeat_last_n;
    if (w->repeat == 1 && w->presence == 0 && w->frequency == 0) t->rules.n_penalized = 0;
    t->seed = (uint64_t)w->seed;
    if (w->seed < 0 && getrandom(&t->seed, sizeof t->seed, 0) != sizeof t->seed) return no_memory(t);
    return read_stops(t) && read_bias(t) && read_grammar(t) && prepare_thinking(t);
}

/* ---- prompts ---- */

bool texts_add_prompt(struct texts *t, int32_t *ids, size_t n) {
    const struct session *s = t->server->session;
    uint32_t n_vocab = engine_n_out(s->policy.engine);
    struct prompt *more = mem_grow(t->prompts, t->n_prompts, t->n_prompts + 1, sizeof *more);
    if (!more) {
        mem_free(ids);
        return no_memory(t);
    }
    t->prompts = more;
    more[t->n_prompts++] = (struct prompt){.ids = ids, .n = n};
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= 0 && (uint32_t)ids[i] < n_vocab) continue;
        server_fail(t->ex, 400, NULL, "\"prompt\": the token %d is not allowed; ids from 0 to %u", ids[i], n_vocab - 1);
        return false;
    }
    if (!n) {
        server_fail(t->ex, 400, NULL, "the prompt is empty");
        return false;
    }
    if (n + 1 > s->ctx) {
        server_fail_context(t->ex, n, s->ctx);
        return false;
    }
    return true;
}

bool texts_add_text(struct texts *t, const char *text, size_t n) {
    const struct tok *tok = t->server->session->tok;
    struct error e;
    size_t count = 0;
    enum status s = tok_encode(tok, text, n, false, tok_adds_bos(tok), NULL, 0, &count, &e);
    int32_t *ids = s ? NULL : mem_new(count + 1, sizeof *ids);
    if (!s && !ids) return no_memory(t);
    if (!s) s = tok_encode(tok, text, n, false, tok_adds_bos(tok), ids, count, &count, &e);
    if (!s && !count && tok_bos(tok) >= 0) ids[count++] = tok_bos(tok); /* an empty text begins as all do */
    if (!s) return texts_add_prompt(t, ids, count);
    mem_free(ids);
    server_fail_status(t->ex, s, &e);
    return false;
}

/* The parts of a message as one text.  NULL: told. */
static json_t *plain_content(struct texts *t, const json_t *content) {
    struct buffer all = {0};
    size_t i;
    json_t *part;
    if (json_is_string(content)) return json_incref((json_t *)content);
    if (!content || json_is_null(content)) return json_string("");
    json_array_foreach(content, i, part) {
        const char *text = json_string_value(json_object_get(part, "text"));
        const char *type = json_string_value(json_object_get(part, "type"));
        bool is_text =
            text && (!type || !strcmp(type, "text") || !strcmp(type, "input_text") || !strcmp(type, "output_text"));
        if (is_text) buffer_text(&all, text);
        else {
            server_fail(t->ex, 400, NULL, "\"content\": a part of type \"%.40s\" is not supported", type ? type : "?");
            buffer_free(&all);
            return NULL;
        }
    }
    json_t *text = json_is_array(content) ? json_string(all.data ? all.data : "") : NULL;
    if (!text) server_fail(t->ex, 400, NULL, "\"content\" is neither a text nor a list of texts");
    buffer_free(&all);
    return text;
}

/* Messages with plain contents and known roles, a new list.  NULL: told. */
static json_t *plain_messages(struct texts *t, const json_t *messages) {
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool"};
    json_t *out = json_array(), *m;
    size_t i;
    if (!json_is_array(messages) || !json_array_size(messages)) {
        server_fail(t->ex, 400, NULL, "\"messages\": a list with at least one message is allowed");
        json_decref(out);
        return NULL;
    }
    json_array_foreach(messages, i, m) {
        const char *role = json_string_value(json_object_get(m, "role"));
        size_t k = 0;
        while (role && k < 5 && strcmp(role, roles[k])) k++;
        if (!role || k == 5) {
            char value[60];
            server_fail(t->ex, 400, NULL, "\"role\": %s is not allowed; system, developer, user, assistant or tool",
                        json_short(json_object_get(m, "role"), value, sizeof value));
            json_decref(out);
            return NULL;
        }
        json_t *content = plain_content(t, json_object_get(m, "content"));
        json_t *one = content ? json_pack("{s:s,s:o}", "role", k == 1 ? "system" : role, "content", content) : NULL;
        if (!one || json_array_append_new(out, one)) {
            if (content && !exchange_begun(t->ex)) no_memory(t);
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

/* Ids of a conversation; the text of go_on, if any, is put behind it as plain text. */
static enum status encode_chat(struct texts *t, json_t *given, const char *go_on, struct error *e) {
    const struct server *s = t->server;
    struct jinja_text x = {0};
    int32_t *ids = NULL;
    size_t n = 0, more = 0, size = strlen(go_on);
    enum status st = chat_render(s->chat, given, (int64_t)time(NULL), &x, e);
    if (!st) st = chat_encode(s->chat, &x, 0, &ids, &n, e);
    bool thinking = !st && chat_ends_thinking(&x);
    jinja_text_free(&x);
    if (!st && size) st = tok_encode(s->session->tok, go_on, size, false, false, NULL, 0, &more, e);
    if (!st && more) {
        int32_t *longer = mem_grow(ids, n, n + more, sizeof *ids);
        if (!longer) st = error_set(e, ERR_MEMORY, "no memory for %zu tokens", n + more);
        else ids = longer, st = tok_encode(s->session->tok, go_on, size, false, false, ids + n, more, &more, e);
    }
    if (st) {
        mem_free(ids);
        return st;
    }
    if (texts_add_prompt(t, ids, n + more)) t->prompts[t->n_prompts - 1].thinking = thinking;
    return OK;
}

bool texts_add_chat(struct texts *t, json_t *messages, const json_t *more, bool go_on) {
    json_t *list = plain_messages(t, messages), *last = NULL;
    struct error e;
    if (!list) return false;
    if (!t->server->chat) {
        json_decref(list);
        server_fail(t->ex, 400, NULL, "the model has no chat template; /v1/completions continues texts");
        return false;
    }
    size_t n = json_array_size(list);
    if (go_on && n && !strcmp(json_string_value(json_object_get(json_array_get(list, n - 1), "role")), "assistant")) {
        last = json_incref(json_array_get(list, n - 1));
        json_array_remove(list, n - 1);
    }
    json_t *given = json_pack("{s:o,s:b}", "messages", list, "add_generation_prompt", 1);
    enum status s = given ? OK : error_set(&e, ERR_MEMORY, "no memory for a conversation");
    if (!s && json_is_object(more)) json_object_update_missing(given, (json_t *)more);
    if (!s && !t->wish.thinking) json_object_set_new(given, "enable_thinking", json_false());
    if (!s) s = encode_chat(t, given, last ? json_string_value(json_object_get(last, "content")) : "", &e);
    if (s) server_fail_status(t->ex, s, &e);
    json_decref(given), json_decref(last);
    return !exchange_begun(t->ex);
}

void texts_queue(struct texts *t) {
    struct allowance most = texts_most(t);
    if (!quota_admit(t->ex, &most) || !server_queue(t->server, &t->job)) texts_free(t);
}

void texts_answer(struct texts *t, bool good, json_t *messages, const json_t *more, bool go_on) {
    if (good && search_wanted(t)) search_chat(t, messages);
    else if (good && texts_add_chat(t, messages, more, go_on)) texts_queue(t);
    else texts_free(t);
}
