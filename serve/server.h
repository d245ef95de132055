/* server.h: what serves: the models of a session, a bounded queue of requests, and workers that answer them.
 * Not HTTP (http.h) and not a token loop (model/write.h).
 * Next: server.c; route.c for who answers what. */
#ifndef PONDER_SERVER_H
#define PONDER_SERVER_H

#include "model/grammar.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "serve/quota.h"
#include "solve/session.h"
#include "tokenizer/template/chat.h"

/* Interactive ones come first, in the queue and in passes of the model. */
enum latency_class { CLASS_BATCH, CLASS_INTERACTIVE, N_CLASSES };

/* Texts are borrowed. */
struct server_params {
    const char *host; /* "127.0.0.1" */
    int64_t port;
    const char *name;      /* of the model, in replies */
    struct flag_list keys; /* and those of the file; NULL: none */
    const char *key_file;
    int64_t parallel, queue; /* requests answered at once, and waiting */
    int64_t max_n;           /* choices of one request */
    int64_t max_tokens;      /* of one answer; 0: the context */
    int64_t max_budget;      /* simulations of one search */
    /* What may be computed (quota.h), 0: no limit: by one request; by one key a day, unless its line says it; by all
     * together a day. */
    int64_t request_tokens, key_tokens, all_tokens;
    double request_gflops, key_gflops, all_gflops;
    const char *deferred; /* folder of jobs that clients come back for; NULL: there are none */
    int64_t max_deferred; /* jobs in it */
    int64_t timeout;      /* seconds of a connection without a byte */
    bool no_auth;         /* other hosts may come without a key */
    bool no_page;
    const char *version;                      /* of the binary, for fingerprints */
    const char *prm;                          /* name of the reward model, or "none" */
    const char *template_file;                /* NULL: the model's own template */
    void (*log)(void *arg, const char *line); /* one JSON line a request; NULL: none */
    void *log_arg;
};

struct job;
struct search_store;
struct deferred;
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
    struct server_keys keys;
    struct quota quota;
    struct search_store *searches;
    struct deferred *deferred; /* NULL: no folder */

    /* the queue; under the lock */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job_list {
        struct job *first, *last;
        uint32_t n_waiting, n_working;
    } queue[N_CLASSES];
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

/* False: the queue of its class (of ex->latency_class) is full, and the exchange has been told so. */
bool server_queue(struct server *s, struct job *job);
/* Sets the class of a request with this body: batch by "service_tier" flex or batch, and where nobody waits on a
 * connection.  False: told. */
bool server_classify(struct exchange *ex, const json_t *body);
uint32_t server_n_waiting(struct server *s, enum latency_class c);
uint32_t server_n_working(struct server *s, enum latency_class c);

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
    bool is_public;  /* without a key */
    bool deferrable; /* its answer may be come back for */
};
extern const struct route routes[]; /* ends in method NULL */
bool route_check(struct exchange *ex);
void route_handle(struct exchange *ex);
void route_done(struct exchange *ex);
bool route_find(struct exchange *ex);

/* info.c: of the model. */
uint64_t server_n_params(const struct server *s);
uint64_t server_model_bytes(const struct server *s);
const char *server_task(const struct server *s); /* name of the task when nobody says one */
bool server_has_values(const struct server *s);  /* something here values steps */

/* Is this the model that is served?  Empty names mean it, too. */
bool server_has_model(const struct server *s, const char *name);

#endif
