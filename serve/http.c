/* http.c: see http.h.
 * Not policy: keys, hosts and routes are route.c's.
 * Next: route.c. */
#include "serve/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { MOST_WAITING = 8 << 20 }; /* bytes that a slow reader may leave unread */

struct http {
    struct http_params p;
    struct MHD_Daemon *daemon;
    uint16_t port;
    pthread_mutex_t lock; /* of the list */
    struct exchange *all;
    uint32_t n;
    atomic_ulong n_requests;
    atomic_bool stop;
    pthread_t watcher;
    bool has_watcher;
};

/* ---- exchanges ---- */

static struct exchange *new_exchange(struct http *h, struct MHD_Connection *connection) {
    struct exchange *ex = mem_new(1, sizeof *ex);
    if (!ex) return NULL;
    ex->http = h, ex->server = h->p.server, ex->connection = connection, ex->start_ns = ex->sent_ns = clock_ns();
    pthread_mutex_init(&ex->lock, NULL);
    atomic_init(&ex->refs, 1);
    ex->key = ex->latency_class = -1;
    snprintf(ex->id, sizeof ex->id, "%016llx-%lu", (unsigned long long)ex->start_ns,
             atomic_fetch_add(&h->n_requests, 1) + 1);
    pthread_mutex_lock(&h->lock);
    ex->next = h->all;
    if (h->all) h->all->before = ex;
    h->all = ex;
    h->n++;
    pthread_mutex_unlock(&h->lock);
    return ex;
}

void exchange_keep(struct exchange *ex) { atomic_fetch_add(&ex->refs, 1); }

void exchange_release(struct exchange *ex) {
    if (atomic_fetch_sub(&ex->refs, 1) > 1) return;
    struct http *h = ex->http;
    if (ex->complete) ex->complete(ex, ex->complete_arg);
    pthread_mutex_lock(&h->lock);
    if (ex->before) ex->before->next = ex->next;
    else h->all = ex->next;
    if (ex->next) ex->next->before = ex->before;
    h->n--;
    pthread_mutex_unlock(&h->lock);
    if (ex->pull_free) ex->pull_free(ex->pull_arg);
    buffer_free(&ex->body), buffer_free(&ex->out);
    pthread_mutex_destroy(&ex->lock);
    mem_free(ex);
}

struct exchange *exchange_detached(struct http *h, const char *method, const char *path, const char *body, size_t n,
                                   void (*complete)(struct exchange *ex, void *arg), void *arg) {
    struct exchange *ex = new_exchange(h, NULL);
    if (!ex) return NULL;
    snprintf(ex->method, sizeof ex->method, "%s", method);
    snprintf(ex->path, sizeof ex->path, "%s", path);
    buffer_add(&ex->body, body, n);
    if (!ex->body.failed) {
        ex->complete = complete, ex->complete_arg = arg;
        return ex;
    }
    exchange_release(ex);
    return NULL;
}

const char *exchange_header(struct exchange *ex, const char *name) {
    if (!ex->connection) return NULL;
    return MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, name);
}

/* Under the lock: a suspended connection goes on. */
static void wake(struct exchange *ex) {
    if (!ex->suspended) return;
    ex->suspended = false;
    MHD_resume_connection(ex->connection);
}

void exchange_wake(struct exchange *ex) {
    pthread_mutex_lock(&ex->lock);
    wake(ex);
    pthread_mutex_unlock(&ex->lock);
}

void exchange_reply(struct exchange *ex, int status, const char *type, const char *data, size_t n) {
    pthread_mutex_lock(&ex->lock);
    if (!ex->status) {
        ex->status = status, ex->type = type;
        buffer_add(&ex->out, data, n);
        if (ex->out.failed) ex->status = 500; /* without a word: there is no memory for one */
    }
    ex->finished = true;
    wake(ex);
    pthread_mutex_unlock(&ex->lock);
}

void exchange_begin_pull(struct exchange *ex, const char *type, long (*pull)(void *, uint64_t, char *, size_t),
                         void (*pull_free)(void *), void *arg) {
    pthread_mutex_lock(&ex->lock);
    ex->status = 200, ex->type = type, ex->stream = true;
    ex->pull = pull, ex->pull_free = pull_free, ex->pull_arg = arg;
    wake(ex);
    pthread_mutex_unlock(&ex->lock);
}

void exchange_begin(struct exchange *ex, const char *type) { exchange_begin_pull(ex, type, NULL, NULL, NULL); }

/* Under the lock: what was sent makes room. */
static void drop_sent(struct exchange *ex) {
    if (ex->taken * 2 < ex->out.n) return;
    if (ex->taken < ex->out.n) memmove(ex->out.data, ex->out.data + ex->taken, ex->out.n - ex->taken);
    ex->out.n -= ex->taken, ex->taken = 0;
}

void exchange_add(struct exchange *ex, const char *data, size_t n) {
    pthread_mutex_lock(&ex->lock);
    drop_sent(ex);
    buffer_add(&ex->out, data, n);
    if (ex->out.failed || ex->out.n - ex->taken > MOST_WAITING) ex->gone = ex->stop = 1, ex->finished = true;
    ex->sent_ns = clock_ns();
    wake(ex);
    pthread_mutex_unlock(&ex->lock);
}

void exchange_end(struct exchange *ex) {
    pthread_mutex_lock(&ex->lock);
    ex->finished = true;
    wake(ex);
    pthread_mutex_unlock(&ex->lock);
}

int exchange_status(struct exchange *ex) {
    pthread_mutex_lock(&ex->lock);
    int status = ex->status;
    pthread_mutex_unlock(&ex->lock);
    return status;
}
bool exchange_begun(struct exchange *ex) { return exchange_status(ex) != 0; }

/* ---- JSON ---- */

static char *dump(json_t *json) {
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    return text;
}

void exchange_json(struct exchange *ex, int status, json_t *json) {
    static const char no_memory[] = "{\"error\":{\"code\":500,\"message\":\"no memory\",\"type\":\"server_error\"}}";
    char *text = dump(json);
    if (text) exchange_reply(ex, status, "application/json", text, strlen(text));
    else exchange_reply(ex, 500, "application/json", no_memory, sizeof no_memory - 1);
    free(text);
}

void exchange_event(struct exchange *ex, const char *name, json_t *json) {
    struct buffer b = {0};
    char *text = dump(json);
    if (name) buffer_print(&b, "event: %s\n", name);
    if (text) buffer_print(&b, "data: %s\n\n", text);
    if (text && !b.failed) exchange_add(ex, b.data, b.n);
    else ex->gone = ex->stop = 1;
    free(text);
    buffer_free(&b);
}

void exchange_line(struct exchange *ex, json_t *json) {
    struct buffer b = {0};
    char *text = dump(json);
    if (text) buffer_print(&b, "%s\n", text);
    if (text && !b.failed) exchange_add(ex, b.data, b.n);
    else ex->gone = ex->stop = 1;
    free(text);
    buffer_free(&b);
}

/* ---- libmicrohttpd ---- */

/* What is there to send; without anything the connection sleeps until there is. */
static ssize_t read_reply(void *arg, uint64_t at, char *text, size_t cap) {
    struct exchange *ex = arg;
    ssize_t n = 0;
    pthread_mutex_lock(&ex->lock);
    if (ex->taken < ex->out.n) { /* pings, too, while bytes are pulled */
        size_t left = ex->out.n - ex->taken;
        n = (ssize_t)(left < cap ? left : cap);
        memcpy(text, ex->out.data + ex->taken, (size_t)n);
        ex->taken += (size_t)n;
    } else if (ex->pull && !ex->gone) {
        n = ex->pull(ex->pull_arg, at, text, cap);
        if (n < 0) n = MHD_CONTENT_READER_END_OF_STREAM;
        if (n > 0) ex->sent_ns = clock_ns();
    } else if (ex->finished) n = MHD_CONTENT_READER_END_OF_STREAM;
    if (!n) {
        ex->suspended = true;
        MHD_suspend_connection(ex->connection);
    }
    pthread_mutex_unlock(&ex->lock);
    return n;
}

static enum MHD_Result send_reply(struct exchange *ex) {
    struct MHD_Response *r;
    char seconds[16];
    pthread_mutex_lock(&ex->lock);
    if (ex->stream) r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_reply, ex, NULL);
    else r = MHD_create_response_from_buffer(ex->out.n, ex->out.data ? ex->out.data : "", MHD_RESPMEM_MUST_COPY);
    int status = ex->status;
    pthread_mutex_unlock(&ex->lock);
    if (!r) return MHD_NO;
    if (ex->type) MHD_add_response_header(r, "Content-Type", ex->type);
    MHD_add_response_header(r, "X-Request-Id", ex->id);
    MHD_add_response_header(r, "Cache-Control", "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    snprintf(seconds, sizeof seconds, "%d", ex->retry_after);
    if (ex->retry_after) MHD_add_response_header(r, "Retry-After", seconds);
    enum MHD_Result result = MHD_queue_response(ex->connection, (unsigned)status, r);
    MHD_destroy_response(r);
    return result;
}

static void refuse(struct exchange *ex, int status, const char *type, const char *what) {
    exchange_json(ex, status, json_pack("{s:{s:i,s:s,s:s}}", "error", "code", status, "message", what, "type", type));
}

/* Two lengths, or a length beside chunks: where the body ends would depend on who reads it. */
struct lengths {
    int given, chunked;
};
static enum MHD_Result count_length(void *arg, enum MHD_ValueKind kind, const char *name, const char *value) {
    struct lengths *l = arg;
    (void)kind, (void)value;
    l->given += !strcasecmp(name, "Content-Length"), l->chunked += !strcasecmp(name, "Transfer-Encoding");
    return MHD_YES;
}

static bool has_one_length(struct MHD_Connection *c) {
    struct lengths l = {0};
    MHD_get_connection_values(c, MHD_HEADER_KIND, count_length, &l);
    return l.given + l.chunked <= 1;
}

static enum MHD_Result begin_request(struct http *h, struct MHD_Connection *c, const char *path, const char *method,
                                     void **state) {
    struct exchange *ex = *state = new_exchange(h, c);
    if (!ex) return MHD_NO;
    snprintf(ex->method, sizeof ex->method, "%s", method);
    snprintf(ex->path, sizeof ex->path, "%s", path);
    if (!has_one_length(c)) refuse(ex, 400, "invalid_request_error", "the body has two lengths");
    else if (strlen(path) >= sizeof ex->path) refuse(ex, 414, "invalid_request_error", "the path is too long");
    else if (h->p.check(ex)) return MHD_YES;
    return send_reply(ex);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path, const char *method,
                                  const char *version, const char *data, size_t *size, void **state) {
    struct http *h = arg;
    struct exchange *ex = *state;
    (void)version;
    if (!ex) return begin_request(h, c, path, method, state);
    if (*size) {
        if (ex->body.n + *size > h->p.max_body) ex->too_large = true;
        if (!ex->too_large) buffer_add(&ex->body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (!ex->routed) {
        ex->routed = true;
        if (ex->too_large) refuse(ex, 413, "invalid_request_error", "the body is too large");
        else if (ex->body.failed) refuse(ex, 503, "unavailable_error", "no memory for the body");
        else h->p.handle(ex);
    }
    pthread_mutex_lock(&ex->lock);
    bool ready = ex->status != 0;
    if (!ready) {
        ex->suspended = true;
        MHD_suspend_connection(c);
    }
    pthread_mutex_unlock(&ex->lock);
    return ready ? send_reply(ex) : MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code) {
    struct http *h = arg;
    struct exchange *ex = *state;
    (void)c;
    if (!ex) return;
    *state = NULL;
    pthread_mutex_lock(&ex->lock);
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK) ex->gone = ex->stop = 1;
    ex->connection = NULL, ex->suspended = false;
    pthread_mutex_unlock(&ex->lock);
    h->p.done(ex);
    exchange_release(ex);
}

/* libmicrohttpd does not look at suspended connections: whether their client is still there is asked here. */
static void watch(struct exchange *ex, uint64_t now) {
    pthread_mutex_lock(&ex->lock);
    if (ex->suspended && !ex->gone) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(ex->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct pollfd p = {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP};
        if (p.fd >= 0 && poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR)) {
            ex->gone = ex->stop = 1;
            if (ex->stream) wake(ex); /* finds out by itself; others are woken by their worker */
        }
        bool events = ex->stream && ex->type && !strncmp(ex->type, "text/event-stream", 17);
        if (events && !ex->gone && now - ex->sent_ns > ex->http->p.ping_seconds * 1000000000ull) {
            drop_sent(ex);
            buffer_text(&ex->out, ": ping\n\n");
            ex->sent_ns = now;
            wake(ex);
        }
    }
    pthread_mutex_unlock(&ex->lock);
}

static void *watch_all(void *arg) {
    struct http *h = arg;
    while (!atomic_load(&h->stop)) {
        uint64_t now = clock_ns();
        pthread_mutex_lock(&h->lock); /* whoever is in the list is not freed meanwhile */
        for (struct exchange *ex = h->all; ex; ex = ex->next) watch(ex, now);
        pthread_mutex_unlock(&h->lock);
        poll(NULL, 0, 20);
    }
    return NULL;
}

/* ---- opening ---- */

/* Paths and queries stay as they were sent: no route has an escape in it, and %00 ends no text. */
static size_t keep_escapes(void *arg, struct MHD_Connection *c, char *text) {
    (void)arg, (void)c;
    return strlen(text);
}

static enum status address_of(const struct http_params *p, struct sockaddr_storage *a, struct error *e) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", p->port);
    int code = getaddrinfo(p->host, port, &hints, &found);
    if (code) return error_set(e, ERR_INPUT, "--host: \"%.100s\": %s", p->host, gai_strerror(code));
    memcpy(a, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return OK;
}

enum status http_open(const struct http_params *p, struct http **out, struct error *e) {
    struct sockaddr_storage address = {0};
    *out = NULL;
    enum status s = address_of(p, &address, e);
    if (s) return s;
    struct http *h = mem_new(1, sizeof *h);
    if (!h) return error_set(e, ERR_MEMORY, "no memory for a server");
    h->p = *p;
    pthread_mutex_init(&h->lock, NULL);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    h->daemon = MHD_start_daemon(flags, p->port, NULL, NULL, on_request, h, MHD_OPTION_SOCK_ADDR, &address,
                                 MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_CONNECTION_TIMEOUT,
                                 p->idle_seconds, MHD_OPTION_CONNECTION_LIMIT, p->max_connections,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32768, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                 MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    if (!h->daemon) {
        s = error_set(e, ERR_IO, "--host %.100s --port %u: %s", p->host, p->port, strerror(errno));
        http_close(&h);
        return s;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);
    h->port = info ? info->port : p->port;
    h->has_watcher = !pthread_create(&h->watcher, NULL, watch_all, h);
    if (!h->has_watcher) {
        http_close(&h);
        return error_set(e, ERR_MEMORY, "no thread for a server");
    }
    *out = h;
    return OK;
}

uint16_t http_port(const struct http *h) { return h->port; }

void http_stop_accepting(struct http *h) {
    MHD_socket fd = MHD_quiesce_daemon(h->daemon);
    if (fd != MHD_INVALID_SOCKET) close(fd);
}

void http_cancel_all(struct http *h) {
    pthread_mutex_lock(&h->lock);
    for (struct exchange *ex = h->all; ex; ex = ex->next) ex->stop = 1, exchange_wake(ex);
    pthread_mutex_unlock(&h->lock);
}

void http_each(struct http *h, void (*see)(void *arg, struct exchange *ex), void *arg) {
    pthread_mutex_lock(&h->lock);
    for (struct exchange *ex = h->all; ex; ex = ex->next) see(arg, ex);
    pthread_mutex_unlock(&h->lock);
}

uint32_t http_n_exchanges(struct http *h) {
    pthread_mutex_lock(&h->lock);
    uint32_t n = h->n;
    pthread_mutex_unlock(&h->lock);
    return n;
}

void http_close(struct http **out) {
    struct http *h = *out;
    *out = NULL;
    if (!h) return;
    atomic_store(&h->stop, true);
    if (h->has_watcher) pthread_join(h->watcher, NULL);
    if (h->daemon) MHD_stop_daemon(h->daemon);
    pthread_mutex_destroy(&h->lock);
    mem_free(h);
}
