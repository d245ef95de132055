/* http_client.h: a server in this process and a plain client over loopback, for tests.
 * Not a test itself.
 * Next: test_serve.c. */
#ifndef PONDER_TESTS_HTTP_CLIENT_H
#define PONDER_TESTS_HTTP_CLIENT_H

#include "tests/byte_model.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "model/sample.h"
#include "serve/server.h"

/* ---- the server ---- */

struct house {
    struct session session;
    struct server *server;
    char port[8];
};

/* verifier NULL: the usual one. */
static inline void house_open_as(struct house *h, const char *model, const char *verifier,
                                 const struct server_params *p) {
    struct session_options o = {.model = model,
                                .prm = "none",
                                .threads = 2,
                                .ctx = 512,
                                .kv_mb = 64,
                                .batch = 512,
                                .ubatch = 512,
                                .verifier = verifier};
    struct session_size size = {.branches = 512, .with_prm = true};
    struct server_params all = *p;
    struct error e;
    if (!strcmp(model, "embedded")) o.prm = "embedded", o.ctx = 0;
    all.host = "127.0.0.1", all.version = "test", all.prm = o.prm;
    if (!all.name) all.name = "tiny";
    if (!all.parallel) all.parallel = 8;
    if (!all.queue) all.queue = 64;
    if (!all.max_n) all.max_n = 64;
    if (!all.max_budget) all.max_budget = 256;
    if (!all.timeout) all.timeout = 30;
    if (!all.max_deferred) all.max_deferred = 100;
    GOOD(session_open(&o, &size, &h->session, &e));
    GOOD(server_open(&all, &h->session, &h->server, &e));
    snprintf(h->port, sizeof h->port, "%u", server_port(h->server));
}

static inline void house_open(struct house *h, const char *model, const struct server_params *p) {
    house_open_as(h, model, NULL, p);
}

static inline void house_close(struct house *h) {
    server_close(&h->server);
    session_close(&h->session);
}

/* ---- the client ---- */

struct reply {
    int status;       /* 0: the connection was closed without a reply */
    char *all, *body; /* all: head and body, of malloc */
    size_t n;
    json_t *json; /* of the body, or NULL */
};

static inline void reply_free(struct reply *r) {
    json_decref(r->json);
    free(r->all);
    *r = (struct reply){0};
}

static inline int http_connect(const struct house *h) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(h->port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* As much as the server takes; it may close first. */
static inline void http_send(int fd, const char *data, size_t n) {
    while (n) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0) return;
        data += sent, n -= (size_t)sent;
    }
}

/* Chunks put together, in place. */
static inline void dechunk(struct reply *r) {
    char *to = r->body, *from = r->body, *end = r->all + r->n;
    for (;;) {
        char *line;
        size_t size = strtoul(from, &line, 16);
        if (line == from || !size || line + 2 + size > end) break;
        memmove(to, line + 2, size);
        to += size, from = line + 2 + size + 2;
    }
    r->n = (size_t)(to - r->all);
    *to = '\0';
}

/* Everything until the server closes, or half a minute of silence. */
static inline struct reply http_read(int fd) {
    struct reply r = {0};
    size_t cap = 4096;
    r.all = malloc(cap + 1);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 60000) <= 0) break;
        ssize_t n = recv(fd, r.all + r.n, cap - r.n, 0);
        if (n <= 0) break;
        r.n += (size_t)n;
        if (r.n == cap) r.all = realloc(r.all, (cap *= 2) + 1);
    }
    close(fd);
    r.all[r.n] = '\0';
    if (sscanf(r.all, "HTTP/1.%*d %d", &r.status) != 1) return r;
    r.body = strstr(r.all, "\r\n\r\n");
    if (!r.body) return r;
    *r.body = '\0';
    bool chunked = strcasestr(r.all, "Transfer-Encoding: chunked") != NULL;
    *r.body = '\r', r.body += 4;
    if (chunked) dechunk(&r);
    r.json = json_loads(r.body, 0, NULL);
    return r;
}

static inline int http_ask(const struct house *h, const char *method, const char *path, const char *head,
                           const char *body, size_t n) {
    struct buffer b = {0};
    int fd = http_connect(h);
    buffer_print(&b, "%s %s HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
                 method, path, h->port, head ? head : "", n);
    buffer_add(&b, body, n);
    http_send(fd, b.data, b.n);
    buffer_free(&b);
    return fd;
}

static inline struct reply post(const struct house *h, const char *path, const char *body) {
    return http_read(http_ask(h, "POST", path, "Content-Type: application/json\r\n", body, strlen(body)));
}
static inline struct reply get(const struct house *h, const char *path) {
    return http_read(http_ask(h, "GET", path, NULL, "", 0));
}

/* "choices.0.text" of a JSON. */
static inline json_t *at(const json_t *json, const char *path) {
    char part[64];
    while (json && *path) {
        size_t n = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(part)) : json_object_get(json, part);
        path += n + (path[n] == '.');
    }
    return (json_t *)json;
}
static inline const char *text_at(const struct reply *r, const char *path) {
    const char *text = json_string_value(at(r->json, path));
    if (!text) fail_msg("no text at %s: %d %.300s", path, r->status, r->body ? r->body : "");
    return text ? text : "";
}
static inline json_int_t int_at(const struct reply *r, const char *path) {
    if (!json_is_integer(at(r->json, path)))
        fail_msg("no number at %s: %d %.300s", path, r->status, r->body ? r->body : "");
    return json_integer_value(at(r->json, path));
}

/* Refused with this code, and these words in the message. */
static inline void refused(const struct house *h, const char *path, const char *body, int code, const char *words) {
    struct reply r = post(h, path, body);
    const char *message = json_string_value(at(r.json, "error.message"));
    if (!message) message = json_string_value(at(r.json, "error"));
    if (r.status != code || !message || !strstr(message, words))
        fail_msg("%.200s: expected %d \"%s\", got %d \"%.300s\"", body, code, words, r.status, r.body ? r.body : "");
    reply_free(&r);
}

/* The next "data: " line of a stream of events from *at on as JSON; NULL: the end. */
static inline json_t *next_event(const char **at) {
    const char *line = strstr(*at, "data: ");
    if (!line) return NULL;
    const char *end = strchr(line, '\n');
    *at = end ? end : line + strlen(line);
    return json_loadb(line + 6, (size_t)(*at - line - 6), 0, NULL);
}

/* ---- requests without a connection ---- */

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t there;
    bool complete, gone, stream;
    int status;
    struct buffer body;
};

static inline void ask_keep(struct exchange *ex, void *arg) {
    struct answer *a = arg;
    pthread_mutex_lock(&a->lock);
    a->status = ex->status, a->gone = ex->gone, a->stream = ex->stream;
    a->body = ex->out, ex->out = (struct buffer){0}; /* copied without an allocation */
    a->complete = true;
    pthread_cond_signal(&a->there);
    pthread_mutex_unlock(&a->lock);
}

/* Kept by the caller; NULL: no memory. */
static inline struct exchange *ask_begin(struct house *h, struct answer *a, const char *path, const char *body) {
    *a = (struct answer){.status = 0};
    pthread_mutex_init(&a->lock, NULL), pthread_cond_init(&a->there, NULL);
    struct exchange *ex = exchange_detached(h->server->http, "POST", path, body, strlen(body), ask_keep, a);
    if (!ex) return NULL;
    assert_true(route_find(ex));
    ex->route->handle(ex);
    return ex;
}

static inline void ask_end(struct answer *a) {
    pthread_mutex_lock(&a->lock);
    while (!a->complete) pthread_cond_wait(&a->there, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

static inline void ask_forget(struct answer *a) {
    buffer_free(&a->body);
    pthread_mutex_destroy(&a->lock), pthread_cond_destroy(&a->there);
}

#endif
