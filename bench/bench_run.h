/* bench_run.h: one model under test and the three ways of using it that are timed.
 * Not the flags and rows: cmd_bench_model.c.
 * Next: bench_run.c. */
#ifndef PONDER_BENCH_RUN_H
#define PONDER_BENCH_RUN_H

#include "bench/bench_out.h"
#include "bench/probe.h"
#include "model/engine.h"

/* One row to be measured.  prefill reads `prompt` tokens into an empty context; decode and tree fork `branches` off a context of
 * `depth` tokens that is there already, and every branch gets `gen` tokens, one pass for all of them at a time. */
struct bench_case {
    const char *bench; /* "prefill", "decode", "tree" */
    uint32_t prompt, depth, branches, gen;
};

struct subject {
    struct model *model;
    struct team *team;
    struct engine *engine;
    struct client *client;
    int32_t *tokens; /* [n_tokens] random ids */
    uint32_t n_tokens;
    float *logits;             /* [most branches, n_out] */
    struct span *spans;        /* [most branches] */
    uint32_t *seqs;            /* [most branches] */
    uint32_t trunk, trunk_len; /* the deepest context that any case needs */
};

enum { SUBJECT_MAX_BRANCHES = 4096 };

/* An engine with room for each of the cases, in passes of at most ubatch rows, with a KV cache of this type.  s is closable on
 * failure too. */
enum status subject_open(struct subject *s, const char *model, int threads, uint32_t ubatch, enum kv_type type,
                         const struct bench_case *cases, size_t n_cases, struct error *e);
void subject_close(struct subject *s);

/* Reads the contexts that the cases start from, and a few tokens more, so that no case pays for first touches. */
enum status subject_warm(struct subject *s, struct error *e);

/* Tokens per second of all branches together.  Forking counts, dropping does not. */
enum status subject_run(struct subject *s, const struct bench_case *c, double *tokens_per_second, struct error *e);

/* Bytes of weights that one decoding pass reads. */
size_t subject_pass_bytes(const struct subject *s);

#endif
