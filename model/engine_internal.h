/* engine_internal.h: the engine, its clients and their calls, for the files that share them: engine.c makes it,
 * clients.c shares out pages, schedule.c shares out passes.
 * Not for callers: engine.h.
 * Next: clients.c. */
#ifndef PONDER_ENGINE_INTERNAL_H
#define PONDER_ENGINE_INTERNAL_H

#include <pthread.h>

#include "model/engine.h"
#include "model/forward.h"

struct client {
    /* constant after engine_client_new */
    struct engine *engine;
    struct client_params params; /* limits change by engine_set_limits only */
    uint64_t min_room;           /* of params.min_pages, at most all */
    struct kv_holder *holder;
    uint64_t number; /* in order of arrival */
    /* guarded by the engine's lock */
    struct client *next;  /* in the list of the admitted, or of those who wait for it */
    uint64_t promised;    /* room for rows of calls under way that is not taken yet */
    uint32_t n_calls;     /* under way */
    uint64_t left_ns;     /* when the last one was over */
    uint64_t decoded_ns;  /* when a pass last took short spans of it; 0: never */
    uint32_t n_waiting;   /* calls that wait for others: for pages, or for a text that another call reads */
    uint32_t n_returning; /* calls that the last passes finished and that may come back for their next token */
};

/* One engine_run on its caller's stack, while its rows are computed. */
struct request {
    struct client *client;
    const struct span *spans;
    size_t n_spans;
    uint64_t promised; /* its part of the client's */
    uint64_t number, pages_copied;
    /* Spans that are short are taken whole, in order; then the long ones, in pieces: */
    size_t next_short, next_long; /* the first that is not in a pass yet; n_spans: none is left */
    uint32_t at;                  /* tokens of next_long that were in a pass */
    bool decodes;                 /* has no long span */
    bool done;
    enum status status;
    pthread_cond_t wake; /* done, or time to lead */
    struct request *next;
};

/* One engine_read under way. */
struct text {
    const int32_t *tokens;
    uint32_t n;
    struct text *next; /* in order of arrival */
};

struct engine {
    /* constant after engine_new */
    const struct model *model;
    struct team *team;
    struct engine_params params;
    float *rope[ROPE_OFF]; /* the local one NULL when no layer needs it */
    /* written by the leader only, without the lock while a pass runs */
    struct pass pass;
    int32_t *tokens;
    /* guarded by the lock */
    pthread_mutex_t lock;
    struct kv *kv;
    struct kv_need *needs;             /* [max_rows] scratch */
    struct request **owners;           /* [max_rows] whose the segments of the pass are */
    struct client *clients, *applying; /* admitted; waiting for it, in the order of admission */
    struct request *first, **last;     /* calls whose rows are not all computed, in order of arrival */
    struct text *texts;                /* being read */
    uint64_t n_arrivals, n_passes;
    bool leading;
    uint32_t n_returning;             /* of all clients */
    uint64_t pass_ns, pass_end_ns;    /* how long the last pass took, and when it was over */
    double row_ns;                    /* of a row in passes of prompts, lately; 0: not known */
    pthread_cond_t changed, returned; /* pages, clients or texts; all of n_returning came back */
};

/* clients.c: */
void clients_wait(struct engine *en, pthread_cond_t *cond, uint64_t ns); /* for a change, at most so long */
/* Reserves, on paper, room for all rows of a request; status, and r->promised.  Lets go of the lock and takes it
 * again. */
enum status clients_make_room(struct request *r, struct error *e);
void client_came_back(struct client *c);
uint32_t client_truncate(struct client *c, uint32_t seq, uint32_t len); /* engine_truncate, under the lock */

#endif
