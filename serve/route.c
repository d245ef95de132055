/* route.c: who answers what, and who may ask.
 * Not the answers.
 * Next: texts.h for what the answers of models have in common; info.c for the small ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "serve/deferred.h"
#include "serve/handlers.h"
#include "serve/search_store.h"
#include "serve/server.h"

/* clang-format off */
const struct route routes[] = {
    {"GET",    "/",                         handle_page,             STYLE_OPENAI,    true,  false},
    {"GET",    "/health",                   handle_health,           STYLE_OPENAI,    true,  false},
    {"GET",    "/v1/health",                handle_health,           STYLE_OPENAI,    true,  false},
    {"GET",    "/metrics",                  handle_metrics,          STYLE_OPENAI,    false, false},
    {"GET",    "/props",                    handle_props,            STYLE_OPENAI,    false, false},
    {"GET",    "/v1/models",                handle_models,           STYLE_OPENAI,    false, false},
    {"GET",    "/models",                   handle_models,           STYLE_OPENAI,    false, false},
    {"GET",    "/v1/models/*",              handle_model,            STYLE_OPENAI,    false, false},
    {"POST",   "/v1/completions",           handle_completions,      STYLE_OPENAI,    false, true},
    {"POST",   "/completions",              handle_completions,      STYLE_OPENAI,    false, true},
    {"POST",   "/v1/chat/completions",      handle_chat,             STYLE_OPENAI,    false, true},
    {"POST",   "/chat/completions",         handle_chat,             STYLE_OPENAI,    false, true},
    {"POST",   "/v1/responses",             handle_responses,        STYLE_OPENAI,    false, true},
    {"POST",   "/v1/embeddings",            handle_not_here,         STYLE_OPENAI,    false, false},
    {"POST",   "/v1/score",                 handle_score,            STYLE_OPENAI,    false, true},
    {"GET",    "/v1/strategies",            handle_strategies,       STYLE_OPENAI,    false, false},
    {"GET",    "/v1/deferred",              handle_deferred_list,    STYLE_OPENAI,    false, false},
    {"GET",    "/v1/deferred/*",            handle_deferred_get,     STYLE_OPENAI,    false, false},
    {"DELETE", "/v1/deferred/*",            handle_deferred_delete,  STYLE_OPENAI,    false, false},
    {"GET",    "/v1/search/*",              handle_search_get,       STYLE_OPENAI,    false, false},
    {"DELETE", "/v1/search/*",              handle_search_delete,    STYLE_OPENAI,    false, false},
    {"GET",    "/v1/search/*/events",       handle_search_events,    STYLE_OPENAI,    false, false},
    {"POST",   "/v1/search/*/answer-now",   handle_search_answer,    STYLE_OPENAI,    false, false},
    {"POST",   "/tokenize",                 handle_tokenize,         STYLE_OPENAI,    false, false},
    {"POST",   "/detokenize",               handle_detokenize,       STYLE_OPENAI,    false, false},
    {"GET",    "/tokenizer_info",           handle_tokenizer_info,   STYLE_OPENAI,    false, false},
    {"POST",   "/apply-template",           handle_apply_template,   STYLE_OPENAI,    false, false},
    {"POST",   "/v1/messages",              handle_messages,         STYLE_ANTHROPIC, false, true},
    {"POST",   "/v1/messages/count_tokens", handle_count_tokens,     STYLE_ANTHROPIC, false, false},
    {"POST",   "/api/chat",                 handle_ollama_chat,      STYLE_OLLAMA,    false, true},
    {"POST",   "/api/generate",             handle_ollama_generate,  STYLE_OLLAMA,    false, true},
    {"GET",    "/api/tags",                 handle_ollama_tags,      STYLE_OLLAMA,    false, false},
    {"POST",   "/api/show",                 handle_ollama_show,      STYLE_OLLAMA,    false, false},
    {"GET",    "/api/ps",                   handle_ollama_ps,        STYLE_OLLAMA,    false, false},
    {"GET",    "/api/version",              handle_ollama_version,   STYLE_OLLAMA,    false, false},
    {0},
};
/* clang-format on */

/* "/v1/search/ID/events" under "/v1/search/" followed by a star and the rest. */
static bool fits(const char *pattern, const char *path) {
    for (; *pattern; pattern++) {
        if (*pattern == '*') {
            size_t n = strcspn(path, "/");
            if (!n) return false;
            path += n;
        } else if (*pattern != *path++) return false;
    }
    return !*path;
}

static const struct route *find_route(const char *method, const char *path, bool *other_method) {
    *other_method = false;
    if (!strcmp(method, "HEAD")) method = "GET";
    for (const struct route *r = routes; r->method; r++) {
        if (!fits(r->path, path)) continue;
        if (!strcmp(r->method, method)) return r;
        *other_method = true;
    }
    return NULL;
}

/* ---- who may ask ---- */

/* Without keys everybody may. */
static bool key_is_right(struct server *s, struct exchange *ex) {
    const char *bearer = exchange_header(ex, "Authorization"), *own = exchange_header(ex, "X-Api-Key");
    if (!s->keys.n) return true;
    if (bearer && !strncasecmp(bearer, "Bearer ", 7)) bearer += 7;
    int by_bearer = bearer && *bearer ? keys_find(&s->keys, bearer) : -2; /* -2: none was sent */
    int by_own = own && *own ? keys_find(&s->keys, own) : -2;
    ex->key = by_own >= 0 ? by_own : by_bearer >= 0 ? by_bearer : -1;
    return ex->key >= 0 && by_bearer != -1 && by_own != -1;
}

static size_t host_length(const char *host) { return *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":"); }

/* A page elsewhere can make a browser send requests here, and let a name of its own mean this address: the names are
 * checked. */
static bool host_is_right(const struct server *s, struct exchange *ex) {
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host = exchange_header(ex, "Host"), *origin = exchange_header(ex, "Origin");
    bool local = !strncmp(s->p.host, "127.", 4) || !strcmp(s->p.host, "localhost") || !strcmp(s->p.host, "::1");
    bool known = !local || !host; /* HTTP/1.0 */
    for (size_t i = 0; !known && i < sizeof names / sizeof *names; i++)
        known = host_length(host) == strlen(names[i]) && !strncasecmp(host, names[i], strlen(names[i]));
    if (!known) return false;
    if (!origin) return true;
    const char *from = strstr(origin, "://");
    return from && host && !strcasecmp(from + 3, host);
}

bool route_check(struct exchange *ex) {
    struct server *s = ex->server;
    bool other_method;
    metrics_add(&s->metrics, COUNT_REQUESTS, 1);
    ex->route = find_route(ex->method, ex->path, &other_method);
    if (!host_is_right(s, ex)) {
        metrics_add(&s->metrics, COUNT_REJECTED_HOST, 1);
        server_fail(ex, 403, NULL, "this Host or Origin is not served here");
    } else if (!ex->route) {
        if (other_method) server_fail(ex, 405, NULL, "%s is not allowed for %s", ex->method, ex->path);
        else server_fail(ex, 404, NULL, "there is no %s here", ex->path);
    } else if (!ex->route->is_public && !key_is_right(s, ex)) {
        metrics_add(&s->metrics, COUNT_REJECTED_KEY, 1);
        server_fail(ex, 401, NULL, "the API key is missing or wrong");
    } else if (s->draining && !ex->route->is_public) {
        ex->retry_after = 5;
        server_fail(ex, 503, NULL, "the server is stopping");
    } else return true;
    return false;
}

void route_handle(struct exchange *ex) {
    if (ex->route->deferrable && deferred_wanted(ex)) deferred_take(ex);
    else ex->route->handle(ex);
}

/* For requests without a connection: who may ask was asked when they came. */
bool route_find(struct exchange *ex) {
    bool other;
    return (ex->route = find_route(ex->method, ex->path, &other)) && ex->route->deferrable;
}

void route_done(struct exchange *ex) {
    struct server *s = ex->server;
    uint64_t ns = clock_ns() - ex->start_ns;
    search_unfollow(ex);
    metrics_time(&s->metrics, TIME_REQUEST, ns);
    if (ex->latency_class >= 0 && !ex->gone) metrics_latency(&s->metrics, ex->latency_class, ns);
    if (ex->gone) metrics_add(&s->metrics, COUNT_CLIENTS_GONE, 1);
    if (!s->p.log) return;
    json_t *line = json_pack("{s:I,s:s,s:s,s:s,s:i,s:f,s:b,s:i}", "time", (json_int_t)time(NULL), "id", ex->id,
                             "method", ex->method, "path", ex->path, "status", ex->status, "ms", (double)ns / 1e6,
                             "gone", ex->gone, "key", ex->key);
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    if (text) s->p.log(s->p.log_arg, text);
    free(text);
    json_decref(line);
}
