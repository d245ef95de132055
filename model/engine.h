/* engine.h: one model, its KV cache and the passes over them.  Callers from any thread hand in rows; the first waiter
 * leads one pass for all that wait (leader/follower).
 * Not a sampler and not a search.
 * Next: forward.c for the pass itself. */
#ifndef PONDER_ENGINE_H
#define PONDER_ENGINE_H

#include "base/team.h"
#include "model/kv.h"
#include "model/model.h"

struct engine_params {
    uint32_t n_pages;     /* room for KV, in pages: engine_pages_for says how many a text needs */
    uint32_t n_seqs;      /* live branches */
    uint32_t max_tokens;  /* context of one branch */
    uint32_t max_rows;    /* rows of one pass; longer requests are cut into several passes */
    bool always_share;    /* threads share every pass, also where one alone was faster (model/pace.h): for tests */
    bool exact;           /* f32 activations also for quantised weights: slow, for comparisons */
    enum kv_type kv_type; /* 0: i16; f16: as large; f32: twice the memory, for comparisons; q8_0: about half */
};

struct engine;

/* The KV cache of a model. */
struct kv_shape engine_kv_shape(const struct model_config *c, enum kv_type type);

/* What engine_new takes, in bytes.  KV memory is touched page by page as sequences grow, all else at once. */
struct engine_memory {
    size_t kv;
    size_t buffers; /* of a pass, and the angles of all positions */
};
struct engine_memory engine_memory(const struct model *m, const struct engine_params *p);

/* model (packed here: model_pack) and team are borrowed; engines may share a team. */
enum status engine_new(struct model *m, struct team *team, const struct engine_params *p, struct engine **out,
                       struct error *e);
void engine_free(struct engine **en);
/* Goes on with another model of the same configuration (borrowed, packed here), as engine_new would have made it: for
 * weights that are being trained.  There are no clients.  On failure the engine keeps its model. */
enum status engine_reload(struct engine *en, struct model *m, struct error *e);
const struct model *engine_model(const struct engine *en);
uint32_t engine_n_out(const struct engine *en); /* outputs per row: n_vocab, or 1 for a reward model */

/* ---- clients ----
 *
 * A client is one search, one chat or one request: whoever needs KV memory of its own to go on.  Sequences belong to a
 * client, so that its pages can be counted. */
struct client;
struct client_params {
    /* Admission: so many pages can be had at any time by this client, whatever others do.  Should be enough for the
     * smallest thing it does at once (one step of one chain), and must be when its thread has clients of several
     * engines.  More than the engine has counts as all of them.  0: none are kept for it. */
    uint32_t min_pages;
    uint32_t priority;          /* higher ones are admitted and read before others that wait */
    uint64_t deadline_ns;       /* of clock_ns; 0: none */
    const volatile int *cancel; /* non-zero: give up; may be NULL */
    /* Gives back KV of what the client needs least, about n_pages pages; returns 0 when there is nothing to give. 
     * Called on the thread and from inside of an engine_run of this client; may drop, cut and fork sequences that are
     * not in that call. NULL: nothing. */
    uint32_t (*reclaim)(void *arg, uint32_t n_pages);
    void *arg;
};

/* Blocks until min_pages can be promised.  ERR_CANCELLED while waiting; ERR_MEMORY.  p NULL: all zero.
 * A thread that needs clients of several engines makes them in the same order as everybody else: policy, reward model,
 * draft. */
enum status engine_client_new(struct engine *en, const struct client_params *p, struct client **out, struct error *e);
/* Drops its sequences too. */
void engine_client_free(struct client **c);
struct engine *engine_of(const struct client *c);
/* Others than at first; for the thread that uses the client, between two calls. */
void engine_set_limits(struct client *c, uint64_t deadline_ns, const volatile int *cancel);
/* OK, or ERR_CANCELLED with its line: what an engine_run would say now. */
enum status engine_given_up(const struct client *c, struct error *e);

/* Sequences: see kv.h; these take the engine's lock.  0: none free. */
uint32_t engine_seq_new(struct client *c);
uint32_t engine_fork(struct client *c, uint32_t seq);
void engine_drop(struct client *c, uint32_t *seq);
/* Returns the length, as kv_truncate does; 0 also when the client may not hold what window layers see there. */
uint32_t engine_truncate(struct client *c, uint32_t seq, uint32_t len);
uint32_t engine_len(struct client *c, uint32_t seq);
/* kv_prefix_lookup: on an empty sequence, tokens of n that need no computation, at most n - 1; and kv_prefix_insert, after they were
 * run. */
uint32_t engine_prefix_lookup(struct client *c, uint32_t seq, const int32_t *tokens, uint32_t n);
void engine_prefix_insert(struct client *c, uint32_t seq, const int32_t *tokens, uint32_t n);

struct kv_stats engine_kv_stats(struct engine *en);
uint64_t engine_kv_bytes_peak(struct engine *en); /* largest KV memory in use so far */
uint32_t engine_pages(const struct engine *en);   /* all */
uint32_t engine_pages_free(struct engine *en);
/* Pages whose room a text of n tokens needs at most, while it is read and when it stands there: n / KV_PAGE, or with
 * window layers fewer. */
uint32_t engine_pages_for(const struct engine *en, uint32_t n_tokens);
uint64_t engine_pass_ns(struct engine *en);            /* how long the last pass took */
bool engine_check(struct engine *en, struct error *e); /* kv_check */

/* ---- passes ---- */

/* Appends tokens to one sequence and gives the outputs of its last n_out tokens. */
struct span {
    uint32_t seq;
    uint32_t n_tokens, n_out; /* n_out <= n_tokens */
    const int32_t *tokens;    /* [n_tokens], ids in [0, n_vocab) */
    float *out;               /* [n_out, engine_n_out] */
};
/* Blocks until the outputs are there.  Each sequence at most once per call and in one call at a time.  ERR_FULL (no KV
 * pages left, context passed), ERR_INPUT (an id out of range), ERR_CANCELLED (the client's deadline or flag, looked at
 * between passes): nothing was done; but a sequence may be empty after ERR_CANCELLED, as after engine_truncate.  *pages_copied (may be NULL) grows by the copies on write that this call caused.
 * Bitwise promise: the outputs of a row depend on its own tokens only. */
enum status engine_run(struct client *c, const struct span *spans, size_t n, uint64_t *pages_copied, struct error *e);

/* A text into an empty sequence: takes over what is remembered of it, waits for what another call reads just now,
 * computes the rest, and remembers it for others. */
struct reading {
    uint32_t seq, n;       /* n >= 1 */
    const int32_t *tokens; /* [n] */
    float *out;            /* [engine_n_out] of the last token; NULL: not wanted */
    uint32_t n_cached;     /* out: tokens that were not computed */
    uint64_t pages_copied; /* out: as in engine_run, grows */
};
enum status engine_read(struct client *c, struct reading *r, struct error *e);

#endif
