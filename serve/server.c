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
#include "base/input.h"
#include "base/mem.h"
#include "serve/deferred.h"
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

bool server_classify(struct exchange *ex, const json_t *body) {
    static const char *const tiers[] = {"auto", "default", "priority", "scale", "standard_only", "flex", "batch"};
    const json_t *tier = json_object_get(body, "service_tier");
    const char *name = json_string_value(tier);
    size_t n = sizeof tiers / sizeof *tiers, i = 0;
    while (name && i < n && strcmp(name, tiers[i])) i++;
    ex->latency_class = ex->complete || (name && i >= n - 2) ? CLASS_BATCH : CLASS_INTERACTIVE;
    if (!tier || json_is_null(tier) || (name && i < n)) return true;
    server_fail(ex, 400, NULL,
                "\"service_tier\": auto, default, priority, scale, standard_only, flex or batch is allowed");
    return false;
}

static enum latency_class class_of(const struct exchange *ex) {
    return ex->latency_class == CLASS_BATCH ? CLASS_BATCH : CLASS_INTERACTIVE;
}

/* Those without a connection are on disk, and bounded there. */
static bool is_full(const struct server *s, const struct job_list *l, const struct exchange *ex) {
    return !ex->complete && l->n_waiting + l->n_working >= s->p.queue + s->n_workers; /* some may be on their way */
}

bool server_queue(struct server *s, struct job *job) {
    struct job_list *l = &s->queue[class_of(job->ex)];
    pthread_mutex_lock(&s->lock);
    bool full = is_full(s, l, job->ex);
    uint32_t waiting = l->n_waiting;
    if (!full) {
        exchange_keep(job->ex);
        job->server = s, job->next = NULL, job->queued_ns = clock_ns();
        if (l->last) l->last->next = job;
        else l->first = job;
        l->last = job;
        l->n_waiting++;
        pthread_cond_signal(&s->more);
    }
    pthread_mutex_unlock(&s->lock);
    if (full) quota_settle(job->ex), refuse_full(job->ex, waiting);
    return !full;
}

/* Under the lock: whose turn it is.  Batch jobs take half of the workers at most, so that one is free for others. */
static struct job_list *next_list(struct server *s) {
    struct job_list *l = s->queue;
    if (l[CLASS_INTERACTIVE].first) return &l[CLASS_INTERACTIVE];
    bool room = s->stop || l[CLASS_BATCH].n_working < (s->n_workers + 1) / 2;
    return l[CLASS_BATCH].first && room ? &l[CLASS_BATCH] : NULL;
}

/* The next job, and the list that it counts in; NULL: the server stops. */
static struct job *take(struct server *s, struct job_list **from) {
    struct job_list *l;
    pthread_mutex_lock(&s->lock);
    while (!(l = next_list(s)) && !s->stop) pthread_cond_wait(&s->more, &s->lock);
    struct job *job = l ? l->first : NULL;
    if (job) {
        l->first = job->next;
        if (!l->first) l->last = NULL;
        l->n_waiting--, l->n_working++;
    }
    pthread_mutex_unlock(&s->lock);
    *from = l;
    return job;
}

static void *work(void *arg) {
    struct server *s = arg;
    struct job_list *l;
    for (struct job *job; (job = take(s, &l));) {
        struct exchange *ex = job->ex;
        metrics_time(&s->metrics, TIME_QUEUE, clock_ns() - job->queued_ns);
        job->run(job);
        quota_settle(ex);
        exchange_end(ex);
        exchange_release(ex);
        pthread_mutex_lock(&s->lock);
        l->n_working--;
        pthread_cond_signal(&s->more); /* a batch job may have waited for this one */
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

uint32_t server_n_waiting(struct server *s, enum latency_class c) {
    pthread_mutex_lock(&s->lock);
    uint32_t n = s->queue[c].n_waiting;
    pthread_mutex_unlock(&s->lock);
    return n;
}

uint32_t server_n_working(struct server *s, enum latency_class c) {
    pthread_mutex_lock(&s->lock);
    uint32_t n = s->queue[c].n_working;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static enum status start_workers(struct server *s, struct error *e) {
    pthread_attr_t small;
    s->workers = mem_new((size_t)s->p.parallel, sizeof *s->workers);
    if (!s->workers) return error_set(e, ERR_MEMORY, "no memory for %lld workers", (long long)s->p.parallel);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 1 << 20);
    pthread_mutex_lock(&s->lock); /* those that are there already look at the number */
    while (s->n_workers < (uint32_t)s->p.parallel && !pthread_create(&s->workers[s->n_workers], &small, work, s))
        s->n_workers++;
    pthread_mutex_unlock(&s->lock);
    pthread_attr_destroy(&small);
    return s->n_workers ? OK : error_set(e, ERR_MEMORY, "no thread for a worker");
}

/* ---- opening ---- */

static enum status open_model(struct server *s, struct error *e) {
    const struct session *n = s->session;
    const struct gguf *file = n->policy.model->file;
    struct chat_source from = {.text_name = "--chat-template-file"};
    char *text = NULL;
    s->own = tok_n_vocab(n->tok) == VOCAB_SIZE;
    enum status st = s->p.template_file ? input_read(s->p.template_file, &text, &from.size, e) : OK;
    from.text = text;
    if (!st) st = grammar_words_of(n->tok, &s->words, e);
    if (!st && (from.text || gguf_has(file, "tokenizer.chat_template")))
        st = chat_open(file, n->tok, &from, &s->chat, e);
    mem_free(text);
    return st;
}

static enum status open_keys(struct server *s, struct error *e) {
    const struct server_params *p = &s->p;
    struct allowance each = allowance_of(p->key_tokens, p->key_gflops);
    bool local = !strcmp(p->host, "127.0.0.1") || !strcmp(p->host, "localhost") || !strcmp(p->host, "::1");
    enum status st = keys_read(&p->keys, p->key_file, &each, &s->keys, e);
    if (!st && !local && !p->no_auth && !s->keys.n)
        st = error_set(e, ERR_INPUT,
                       "--host %.100s: others can reach it; give --api-key or --api-key-file, or --no-auth", p->host);
    if (!st && !s->keys.n && (each.tokens || each.flops))
        st = error_set(e, ERR_INPUT, "--key-tokens and --key-gflops: there are no keys (--api-key, --api-key-file)");
    return st;
}

enum status server_open(const struct server_params *p, const struct session *session, struct server **out,
                        struct error *e) {
    *out = NULL;
    struct server *s = mem_new(1, sizeof *s);
    if (!s) return error_set(e, ERR_MEMORY, "no memory for a server");
    s->p = *p, s->session = session, s->started = (uint64_t)time(NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->more, NULL);
    snprintf(s->fingerprint, sizeof s->fingerprint, "ponder-%s", p->version);
    struct http_params h = {.host = p->host,
                            .port = (uint16_t)p->port,
                            .max_body = 16 << 20,
                            .max_connections = 4096,
                            .idle_seconds = (uint32_t)p->timeout,
                            .ping_seconds = 30,
                            .server = s,
                            .check = route_check,
                            .handle = route_handle,
                            .done = route_done};
    metrics_open(&s->metrics);
    enum status st = open_keys(s, e);
    quota_open(s);
    if (!st) st = open_model(s, e);
    if (!st) st = search_store_new(&s->searches, e);
    if (!st) st = start_workers(s, e);
    if (!st) st = http_open(&h, &s->http, e);
    if (!st && p->deferred) st = deferred_open(s, e);
    if (st) server_close(&s);
    *out = s;
    return st;
}

uint16_t server_port(const struct server *s) { return http_port(s->http); }

static bool is_idle(struct server *s) {
    pthread_mutex_lock(&s->lock);
    bool idle = true;
    for (int c = 0; c < N_CLASSES; c++) idle &= !s->queue[c].n_waiting && !s->queue[c].n_working;
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
    deferred_close(s);
    search_store_free(&s->searches);
    quota_close(s);
    keys_free(&s->keys);
    metrics_close(&s->metrics);
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
