/* server.c: opening, the queue and its workers, errors.
 * Not the routes: route.c.
 * Next: route.c. */
#include "serve/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "serve/search.h"
#include "serve/search_store.h"
#include "solve/constraint.h"
#include "tokenizer/vocab.h"

/* ---- errors ---- */

static const char *type_of(int code) {
    switch (code) {
    case 400: return "invalid_request_error";
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    case 501: return "not_supported_error";
    case 503: return "unavailable_error";
    default: return code < 500 ? "invalid_request_error" : "server_error";
    }
}

static void fail_json(struct exchange *ex, int code, json_t *error) {
    struct server *s = ex->server;
    enum style style = ex->route ? ex->route->style : STYLE_OPENAI;
    json_t *json = style == STYLE_OLLAMA      ? json_pack("{s:O}", "error", json_object_get(error, "message"))
                   : style == STYLE_ANTHROPIC ? json_pack("{s:s,s:O}", "type", "error", "error", error)
                                              : json_pack("{s:O}", "error", error);
    json_decref(error);
    metrics_add(&s->metrics, COUNT_ERRORS, 1);
    if (!exchange_begun(ex)) {
        exchange_json(ex, code, json);
        return;
    }
    if (style == STYLE_OLLAMA) exchange_line(ex, json);
    else exchange_event(ex, style == STYLE_ANTHROPIC ? "error" : NULL, json);
    exchange_end(ex);
}

void server_fail(struct exchange *ex, int code, const char *type, const char *format, ...) {
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    json_t *text = json_string(what);
    if (!text) text = json_string("the request is not UTF-8");
    fail_json(ex, code, json_pack("{s:i,s:o,s:s}", "code", code, "message", text, "type", type ? type : type_of(code)));
}

void server_fail_status(struct exchange *ex, enum status s, const struct error *e) {
    if (s == ERR_FULL) ex->retry_after = 1;
    server_fail(ex, s == ERR_INPUT ? 400 : s == ERR_FULL ? 503 : 500, NULL, "%s", e->text);
}

void server_fail_context(struct exchange *ex, size_t n_prompt, size_t n_ctx) {
    char what[160];
    snprintf(what, sizeof what, "the prompt has %zu tokens, more than the context length of %zu", n_prompt, n_ctx);
    fail_json(ex, 400,
              json_pack("{s:i,s:s,s:s,s:I,s:I}", "code", 400, "message", what, "type", "exceed_context_size_error",
                        "n_prompt_tokens", (json_int_t)n_prompt, "n_ctx", (json_int_t)n_ctx));
}

/* ---- the queue ---- */

static void refuse_full(struct exchange *ex, uint32_t waiting) {
    struct server *s = ex->server;
    metrics_add(&s->metrics, COUNT_REJECTED_QUEUE, 1);
    ex->retry_after = 1;
    server_fail(ex, 429, NULL, "%u requests are waiting already; try again in a second", waiting);
}

bool server_queue(struct server *s, struct job *job) {
    pthread_mutex_lock(&s->lock);
    bool full = s->n_waiting + s->n_working >= s->p.queue + s->n_workers; /* a worker may be on its way to one */
    uint32_t waiting = s->n_waiting;
    if (!full) {
        exchange_keep(job->ex);
        job->server = s, job->next = NULL, job->queued_ns = clock_ns();
        if (s->last) s->last->next = job;
        else s->first = job;
        s->last = job;
        s->n_waiting++;
        pthread_cond_signal(&s->more);
    }
    pthread_mutex_unlock(&s->lock);
    if (full) refuse_full(job->ex, waiting);
    return !full;
}

/* The next job; NULL: the server stops. */
static struct job *take(struct server *s) {
    pthread_mutex_lock(&s->lock);
    while (!s->first && !s->stop) pthread_cond_wait(&s->more, &s->lock);
    struct job *job = s->first;
    if (job) {
        s->first = job->next;
        if (!s->first) s->last = NULL;
        s->n_waiting--, s->n_working++;
    }
    pthread_mutex_unlock(&s->lock);
    return job;
}

static void *work(void *arg) {
    struct server *s = arg;
    for (struct job *job; (job = take(s));) {
        struct exchange *ex = job->ex;
        metrics_time(&s->metrics, TIME_QUEUE, clock_ns() - job->queued_ns);
        job->run(job);
        exchange_end(ex);
        exchange_release(ex);
        pthread_mutex_lock(&s->lock);
        s->n_working--;
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static enum status start_workers(struct server *s, struct error *e) {
    pthread_attr_t small;
    s->workers = mem_new(s->p.parallel, sizeof *s->workers);
    if (!s->workers) return error_set(e, ERR_MEMORY, "no memory for %u workers", s->p.parallel);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 1 << 20);
    while (s->n_workers < s->p.parallel && !pthread_create(&s->workers[s->n_workers], &small, work, s)) s->n_workers++;
    pthread_attr_destroy(&small);
    return s->n_workers ? OK : error_set(e, ERR_MEMORY, "no thread for a worker");
}

/* ---- opening ---- */

static enum status open_model(struct server *s, struct error *e) {
    const struct session *n = s->session;
    const struct gguf *file = n->policy.model->file;
    struct chat_source from = {
        .text = s->p.template_text, .size = s->p.template_size, .text_name = "--chat-template-file"};
    s->own = tok_n_vocab(n->tok) == VOCAB_SIZE;
    enum status st = grammar_words_of(n->tok, &s->words, e);
    if (!st && (from.text || gguf_has(file, "tokenizer.chat_template")))
        st = chat_open(file, n->tok, &from, &s->chat, e);
    return st;
}

static bool has_key(const struct server_params *p, struct error *e) {
    bool local = !strcmp(p->host, "127.0.0.1") || !strcmp(p->host, "localhost") || !strcmp(p->host, "::1");
    if (local || p->n_keys) return true;
    error_set(e, ERR_INPUT, "--host %.100s: others can reach it; give --api-key or --api-key-file, or --no-auth",
              p->host);
    return false;
}

enum status server_open(const struct server_params *p, const struct session *session, struct server **out,
                        struct error *e) {
    *out = NULL;
    if (!p->no_auth && !has_key(p, e)) return ERR_INPUT;
    struct server *s = mem_new(1, sizeof *s);
    if (!s) return error_set(e, ERR_MEMORY, "no memory for a server");
    s->p = *p, s->session = session, s->started = (uint64_t)time(NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->more, NULL);
    snprintf(s->fingerprint, sizeof s->fingerprint, "ponder-%s", p->version);
    struct http_params h = {.host = p->host,
                            .port = p->port,
                            .max_body = 16 << 20,
                            .max_connections = 4096,
                            .idle_seconds = p->timeout,
                            .ping_seconds = 30,
                            .server = s,
                            .check = route_check,
                            .handle = route_handle,
                            .done = route_done};
    enum status st = open_model(s, e);
    if (!st) st = search_store_new(&s->searches, e);
    if (!st) st = start_workers(s, e);
    if (!st) st = http_open(&h, &s->http, e);
    if (st) server_close(&s);
    *out = s;
    return st;
}

uint16_t server_port(const struct server *s) { return http_port(s->http); }

static bool is_idle(struct server *s) {
    pthread_mutex_lock(&s->lock);
    bool idle = !s->n_waiting && !s->n_working;
    pthread_mutex_unlock(&s->lock);
    return idle;
}

void server_drain(struct server *s, double seconds) {
    uint64_t start = clock_ns();
    pthread_mutex_lock(&s->lock);
    s->draining = true;
    pthread_mutex_unlock(&s->lock);
    http_stop_accepting(s->http);
    while (!is_idle(s) && (double)(clock_ns() - start) < seconds * 1e9) usleep(5000);
    http_cancel_all(s->http);
    while (!is_idle(s)) usleep(5000); /* each is told between two passes of the model */
    for (int i = 0; i < 200 && http_n_exchanges(s->http); i++) usleep(5000); /* what is said already is sent */
}

void server_close(struct server **out) {
    struct server *s = *out;
    *out = NULL;
    if (!s) return;
    if (s->http) http_cancel_all(s->http);
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->more);
    pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < s->n_workers; i++) pthread_join(s->workers[i], NULL);
    http_close(&s->http);
    search_store_free(&s->searches);
    chat_close(&s->chat);
    grammar_words_free(&s->words);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->more);
    mem_free(s->workers);
    mem_free(s);
}

bool server_has_model(const struct server *s, const char *name) {
    char strategy[32];
    uint64_t budget;
    if (search_of_name(s, name, strategy, sizeof strategy, &budget)) return true;
    return !name || !*name || !strcmp(name, s->p.name) || !strcmp(name, "ponder");
}
