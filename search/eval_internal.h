/* eval_internal.h: what the files of the evaluator of real models share: its branches, its scratch, one pass over
 * branches.
 * Not for callers: eval_model.h.
 * Next: eval_branch.c, then eval_write.c. */
#ifndef PONDER_SEARCH_EVAL_INTERNAL_H
#define PONDER_SEARCH_EVAL_INTERNAL_H

#include <assert.h>

#include "base/trail.h"
#include "model/write.h"
#include "prm/judge.h"
#include "search/drawn.h"
#include "search/eval_model.h"

/* KV of a branch in one engine: its first n_read tokens. */
struct held_kv {
    uint32_t seq; /* 0: none (new, or evicted) */
    uint32_t n_read;
    uint32_t n_paid; /* what n_read would be had nothing been evicted: the ledger counts from here */
};

enum { POLICY, DRAFT, N_WRITERS };

/* What a call that fails puts back. */
struct mark {
    uint32_t len, step_at, n_steps, n_rated, n_judged, n_stopped, n_paid[N_WRITERS];
    double logprob;
};

struct branch {
    struct trail tokens; /* prompt and steps */
    struct held_kv kv[N_WRITERS];
    uint32_t n_prompt;
    uint32_t step_at; /* where the newest step begins; it is open while tokens follow */
    uint32_t n_steps; /* that came to an end */
    uint32_t n_rated; /* tokens whose log-probability under the policy is known ... */
    double logprob;   /* ... and their sum */
    bool delimited;   /* the newest complete step ended by its separator */
    bool grammar;       /* what is written on it must fit the grammar */
    uint32_t n_stopped; /* bytes at the end of the text: a stop string, and what its last token has more */
    struct value_cost value_cost; /* of the newest one */
    uint64_t flops;               /* of the passes of the call under way */
    uint32_t drawn;     /* steps that must not be written behind it again: a root of m->drawn; 0: none */
    bool live;
    bool busy; /* in the call under way: not to be evicted */
    struct mark mark;
};

struct text_block {
    struct text_block *next;
    size_t used, cap;
    char data[];
};

struct eval_model {
    /* constant after open */
    struct eval_params p;
    struct client *writers[N_WRITERS], *prm; /* of their engines; NULL: none */
    struct judge *judge;                     /* NULL: no values */
    uint32_t n_vocab;
    branch_id root;
    /* state */
    struct ledger ledger;
    struct limits limits;
    struct trail_pool *pool;
    struct branch *branches; /* [max_branches + 1], 0 unused */
    branch_id *free_ids;     /* stack */
    uint32_t n_free;
    struct text_block *texts;
    enum telling telling;
    struct drawn *drawn; /* NULL: no step was to be another one yet */
    uint32_t round;      /* whose steps wait in it */
    /* scratch */
    int32_t *ids;                    /* [max_batch, max_tokens] of a pass, or all of one branch */
    int32_t *given;                  /* [max_tokens] of a put */
    float *logits;                   /* [max_batch, n_vocab] those of loops[POLICY], free between its calls */
    uint8_t *flags;                  /* [max_prm_tokens] */
    struct span *spans;              /* [max_batch], and whose they are: */
    struct branch **readers;         /* [max_batch] */
    uint32_t *active;                /* [max_batch] */
    struct writer *loops[N_WRITERS]; /* of their clients */
    struct written *written;         /* [max_batch] steps under way, and */
    struct text **texts_now;         /* [max_batch] their texts */
    int32_t *own;                    /* [max_batch, max_tokens] tokens of those, */
    float *own_p;                    /* and their probabilities, where they must differ from others */
    struct put *rated;               /* [max_batch] drafted ones that the policy reads */
    float *own_logprobs;             /* [max_batch, max_tokens] theirs, once tokens are told */
    struct judge_chain *judged;      /* [max_batch] */
    struct sample_scratch sample;
    char *text; /* [text_cap] of one chain */
    size_t text_cap;
};

static inline struct branch *branch_of(struct eval_model *m, branch_id id) {
    assert(id && id <= m->p.max_branches && m->branches[id].live);
    return &m->branches[id];
}
static inline uint32_t length_of(const struct branch *b) { return b->tokens.len; }
static inline bool is_open(const struct branch *b) { return b->tokens.len > b->step_at; }
static inline bool is_too_long(const struct eval_model *m, const struct branch *b) {
    return b->tokens.len - b->step_at >= m->p.max_step_tokens || b->tokens.len == m->p.max_tokens;
}

/* ---- eval_branch.c ---- */

branch_id branch_new(struct eval_model *m); /* 0: all are in use */
enum status branch_fork(void *self, branch_id from, branch_id *to, struct error *e);
void branch_drop(void *self, branch_id *b);
void branch_evict(void *self, branch_id b);
/* In a call that may need KV pages: their owner may be asked for some, but not for these. */
void branch_set_busy(struct eval_model *m, branch_id b, bool busy);
/* Before a call changes a branch; and back, in the KV caches too. */
void branch_mark(struct eval_model *m, struct branch *b);
void branch_undo(struct eval_model *m, struct branch *b);
/* The prompt's tokens become an empty branch's; all but the last are read by the engines that write. */
enum status branch_read_prompt(struct eval_model *m, branch_id id, const int32_t *ids, uint32_t n, struct error *e);
enum status branch_begin(void *self, struct asking *askings, size_t n, struct error *e);

/* ---- passes ---- */

/* Adds to a pass of one engine: the unread tokens of a branch up to `to`, outputs at the last n_out of them.  A branch
 * that was read beyond them is cut.  ids: [max_tokens] of scratch.  ERR_FULL: no sequence. */
enum status pass_add(struct eval_model *m, struct branch *b, int writer, uint32_t to, uint32_t n_out, float *out,
                     int32_t *ids, struct span *span, struct error *e);
/* Runs it and notes what was read; branches[i] is that of spans[i]. */
enum status pass_run(struct eval_model *m, int writer, struct branch *const *branches, uint32_t n, struct error *e);
/* Tokens up to `to` of a branch are read, outputs at the last n_out of them: those that are read again are not paid again.
 * Returns the FLOPs. */
uint64_t branch_pay(struct eval_model *m, struct branch *b, int writer, uint32_t to, uint32_t n_out);

/* ---- eval_write.c, eval_put.c ---- */

enum status eval_extend(void *self, struct step *steps, size_t n, struct error *e);
/* Scratch of eval_extend, once the writers are there. */
enum status write_alloc(struct eval_model *m, struct error *e);
void write_free(struct eval_model *m);
/* The log-probabilities of what was added since branch_mark to those that want it, in as many passes as it takes. */
enum status put_rate(struct eval_model *m, struct put *puts, size_t n, struct error *e);
enum status eval_put(void *self, struct put *puts, size_t n, struct error *e);
enum status eval_propose(void *self, struct proposal *proposals, size_t n, struct error *e);
/* One more token; *end: what it does to its step. */
enum status step_append(struct eval_model *m, struct branch *b, int32_t id, enum step_end *end, struct error *e);
/* The newest step has come to this end, which the judge (no room) or the task (it states the answer) may change. */
enum status step_finish(struct eval_model *m, struct branch *b, enum step_end *end, struct error *e);

/* ---- eval_model.c ---- */

const char *keep_text(struct eval_model *m, const char *text, size_t size); /* lives until close; NULL: no memory */
void *keep_bytes(struct eval_model *m, const void *bytes, size_t size);     /* the same, aligned to 8 bytes */
size_t text_from(struct eval_model *m, const struct branch *b, uint32_t from, bool delimited);
size_t chain_text(struct eval_model *m, const struct branch *b); /* behind the prompt, in m->text */
size_t decode_from(struct eval_model *m, const struct branch *b, uint32_t from, uint32_t n);
void note_costs(struct eval_model *m); /* those of the judge, and the peak of KV memory */

#endif
