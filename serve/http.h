/* http.h: requests that arrive over HTTP and the replies that are written for them, whole or piece by piece.
 * Not what is asked: route.c finds who answers.
 * Next: http.c; server.h for the queue of those that need the model.
 *
 *     libmicrohttpd's one thread            a worker
 *     reads the request                          .
 *     handler: replies at once, or hands over -> exchange_begin, exchange_add ...
 *     (suspended: nothing to send)               .
 *     sends what was added                 <- wakes the connection
 *     the client leaves: `stop` is set     -> is looked at between passes of the model, exchange_end
 *     frees when both have let go */
#ifndef PONDER_HTTP_H
#define PONDER_HTTP_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"

struct http;
struct MHD_Connection;
struct exchange;

enum { HTTP_PATH = 512 };

struct exchange {
    /* constant once the handler is called */
    struct http *http;
    void *server; /* of http_params */
    char method[8], path[HTTP_PATH];
    char id[40]; /* of the request, for logs and replies */
    struct buffer body;
    const struct route *route;
    uint64_t start_ns;
    /* route.c's and quota.c's */
    int key;           /* number of the client's key; -1: it has none */
    int latency_class; /* enum latency_class, once it is in the queue; -1: it needs no model */
    uint64_t reserved_tokens, reserved_flops;

    volatile int gone; /* the client has left */
    volatile int stop; /* it has, or the answer is wanted now: whoever works for it ends within a pass of the model */

    /* the reply; under the lock */
    pthread_mutex_t lock;
    int status;        /* 0: not begun */
    const char *type;  /* of the content, constant text */
    int retry_after;   /* seconds; 0: none */
    bool finished;     /* nothing more is added */
    bool stream;       /* sent as it comes */
    struct buffer out; /* [taken, n) is still to be sent */
    size_t taken;
    uint64_t sent_ns; /* when something was added last */
    /* Another place where the bytes come from, instead of `out`: fills text [cap], 0: nothing yet, -1: the end. */
    long (*pull)(void *arg, uint64_t at, char *text, size_t cap);
    void (*pull_free)(void *arg);
    void *pull_arg;

    /* http.c's own */
    struct MHD_Connection *connection; /* NULL: the client has left, or never was */
    void (*complete)(struct exchange *ex, void *arg);
    void *complete_arg;
    struct exchange *next, *before; /* of all that live */
    atomic_int refs;
    bool routed, suspended, too_large;
};

struct http_params {
    const char *host;
    uint16_t port;   /* 0: any free one */
    size_t max_body; /* bytes; longer ones get 413 */
    uint32_t max_connections;
    uint32_t idle_seconds; /* without a byte of a request, or between two */
    uint32_t ping_seconds; /* comments to keep streams alive */
    void *server;
    /* Before the body is read: false when it has replied already. */
    bool (*check)(struct exchange *ex);
    void (*handle)(struct exchange *ex); /* on HTTP's thread: must not block */
    void (*done)(struct exchange *ex);   /* the reply is sent, or the client has gone */
};

/* ERR_IO names host and port. */
enum status http_open(const struct http_params *p, struct http **out, struct error *e);
uint16_t http_port(const struct http *h);
void http_stop_accepting(struct http *h);
/* Tells everyone who works for a client to stop. */
void http_cancel_all(struct http *h);
uint32_t http_n_exchanges(struct http *h);
/* Calls see for each that lives; it must not block, and takes no other lock of an exchange. */
void http_each(struct http *h, void (*see)(void *arg, struct exchange *ex), void *arg);
/* Nobody works for an exchange any more. */
void http_close(struct http **h);

/* A request without a connection: its reply stays in `out`.  When it is complete and nobody keeps it any more,
 * `complete` is called once, with ex->status and ex->out, on the thread that let go last; then it is freed.  The caller
 * keeps it.  NULL: no memory. */
struct exchange *exchange_detached(struct http *h, const char *method, const char *path, const char *body, size_t n,
                                   void (*complete)(struct exchange *ex, void *arg), void *arg);

/* Value of a header, borrowed; NULL: not given.  While the handler runs only. */
const char *exchange_header(struct exchange *ex, const char *name);

/* A worker keeps it until it lets go. */
void exchange_keep(struct exchange *ex);
void exchange_release(struct exchange *ex);

/* The whole reply.  Or the beginning of one in pieces, each sent as it comes (status 200), and its end. */
void exchange_reply(struct exchange *ex, int status, const char *type, const char *data, size_t n);
void exchange_begin(struct exchange *ex, const char *type);
void exchange_add(struct exchange *ex, const char *data, size_t n);
void exchange_end(struct exchange *ex);
/* The reply is pulled from elsewhere; exchange_wake after there is more. */
void exchange_begin_pull(struct exchange *ex, const char *type, long (*pull)(void *, uint64_t, char *, size_t),
                         void (*pull_free)(void *), void *arg);
void exchange_wake(struct exchange *ex);
bool exchange_begun(struct exchange *ex);
int exchange_status(struct exchange *ex); /* 0: not begun */

/* json is taken over.  NULL: no memory. */
void exchange_json(struct exchange *ex, int status, json_t *json);
/* One event of a stream: "event: NAME" (NULL: no such line), "data: JSON".  json is taken over. */
void exchange_event(struct exchange *ex, const char *name, json_t *json);
/* One line of JSON. */
void exchange_line(struct exchange *ex, json_t *json);

#endif
