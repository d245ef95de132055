/* server.h: what serves: the models of a session, a bounded queue of requests, and workers that answer them.
 * Not HTTP (http.h) and not a token loop (model/write.h).
 * Next: server.c; route.c for who answers what. */
#ifndef PONDER_SERVER_H
#define PONDER_SERVER_H

#include "model/grammar.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "solve/session.h"
#include "tokenizer/template/chat.h"

enum { SERVER_KEYS = 64 };

struct server_params {
    const char *host; /* "127.0.0.1" */
    uint16_t port;
    const char *name;              /* of the model, in replies */
    const char *keys[SERVER_KEYS]; /* [n_keys] */
    int n_keys;
    uint32_t parallel, queue; /* requests answered at once, and waiting */
    uint32_t max_n;           /* choices of one request */
    uint32_t max_tokens;      /* of one answer; 0: the context */
    uint64_t max_budget;      /* simulations of one search */
    uint32_t timeout;         /* seconds of a connection without a byte */
    bool no_auth;             /* other hosts may come without a key */
    bool no_page;
    const char *version;       /* of the binary, for fingerprints */
    const char *prm;           /* name of the reward model, or "none" */
    const char *template_text; /* of a file; NULL: the model's own */
    size_t template_size;
    void (*log)(void *arg, const char *line); /* one JSON line a request; NULL: none */
    void *log_arg;
};

struct job;
struct search_store;
struct server {
    /* constant once open */
    struct server_params p;
    const struct session *session;
    struct chat *chat;           /* NULL: no template */
    struct grammar_words *words; /* for grammars */
    char fingerprint[48];
    bool own;         /* the policy is one of ours: it knows puzzles, not words */
    uint64_t started; /* seconds since 1970 */
    struct http *http;
    struct metrics metrics;
    struct search_store *searches;

    /* the queue; under the lock */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *first, *last;
    uint32_t n_waiting, n_working;
    bool stop;            /* workers end when the queue is empty */
    atomic_bool draining; /* new requests get 503 */
    pthread_t *workers;   /* [n_workers] */
    uint32_t n_workers;
};

/* Work for one exchange, on a worker.  run frees what it has. */
struct job {
    void (*run)(struct job *job);
    struct exchange *ex; /* kept until run returns */
    struct server *server;
    uint64_t queued_ns;
    struct job *next;
};

/* session is borrowed.  On success requests are answered from now on. */
enum status server_open(const struct server_params *p, const struct session *session, struct server **out,
                        struct error *e);
uint16_t server_port(const struct server *s);
/* Takes no new requests, waits up to `seconds` for those under way, then tells them to stop. */
void server_drain(struct server *s, double seconds);
void server_close(struct server **s);

/* False: the queue is full, and the exchange has been told so. */
bool server_queue(struct server *s, struct job *job);

/* ---- errors, in the form of the client's protocol ---- */

enum style { STYLE_OPENAI, STYLE_ANTHROPIC, STYLE_OLLAMA };
/* Replies with an error, or ends a stream with one.  type: NULL: what belongs to the code. */
void server_fail(struct exchange *ex, int code, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The code that belongs to a status: 400 for ERR_INPUT, 503 for ERR_FULL, 500 else. */
void server_fail_status(struct exchange *ex, enum status s, const struct error *e);
/* The prompt is longer than the context. */
void server_fail_context(struct exchange *ex, size_t n_prompt, size_t n_ctx);

/* ---- routes ---- */

struct route {
    const char *method, *path; /* a * stands for one part of the path */
    void (*handle)(struct exchange *ex);
    enum style style;
    bool is_public; /* without a key */
};
extern const struct route routes[]; /* ends in method NULL */
bool route_check(struct exchange *ex);
void route_handle(struct exchange *ex);
void route_done(struct exchange *ex);

/* info.c: numbers of the model. */
uint64_t server_n_params(const struct server *s);
uint64_t server_model_bytes(const struct server *s);

/* Is this the model that is served?  Empty names mean it, too. */
bool server_has_model(const struct server *s, const char *name);

#endif
