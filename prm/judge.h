/* judge.h: where the values of chains come from: a reward model, the policy itself, what the task knows.  One row each.
 * Not a search and not the policy's KV: search/eval_model.c owns chains and shows them here.
 * Next: judge.c for the rows; judge_prm.c for the one with a model of its own.
 *
 *   chain begun --> step written --> step written --> value wanted ------> step written --> ...
 *   begin           step             step             value: reads what    step             and fork, evict, cut, drop,
 *                                                     is new                              as the chain is         */
#ifndef PONDER_PRM_JUDGE_H
#define PONDER_PRM_JUDGE_H

#include "prm/ptrue.h"
#include "prm/reader.h"

/* What a judge has used since it was asked last. */
struct judge_cost {
    uint64_t tokens, flops, shared_tokens, pages_copied, replayed_tokens, cached_tokens; /* as in struct ledger */
};

/* What the owner of the chains answers; a judge uses what its row needs. */
struct judge_chains {
    void *self;
    const char *(*text)(void *self, uint32_t slot); /* behind the prompt, valid until the next question */
    /* The prompt that asks for a judgement of the chain, ids for mem_free. */
    enum status (*prompt)(void *self, uint32_t slot, int32_t **ids, size_t *n, struct error *e);
    /* The score in [0,1] that a written judgement gives, NaN: it gives none.  NULL: judgement_value. */
    float (*read)(void *self, const char *judgement);
    float (*oracle)(void *self, const char *text);
    float (*check)(void *self, const char *text); /* the reward, in [0,1] */
};

struct judge_params {
    struct client *policy, *prm; /* of their engines; prm NULL: none */
    const struct prm_reader *reader;
    const struct ptrue *ptrue;
    const struct tok *tok; /* the policy's */
    enum prm_agg agg;
    uint32_t n_slots;       /* chains are numbered from 0 to n_slots */
    uint32_t max_batch;     /* chains of one call of value */
    uint32_t max_tokens;    /* that the reward model reads of a chain */
    uint32_t max_judgement; /* tokens of a written judgement */
    struct judge_chains chains;
};

/* A chain whose value is wanted. */
struct judge_chain {
    uint32_t slot;
    /* JUDGE_READS_KV: its sequence in the policy's engine, which holds all of its len tokens but `last` */
    uint32_t seq, len;
    int32_t last;
    double logprob; /* sum over its n_rated tokens */
    uint32_t n_rated;
    uint64_t tokens, flops; /* out: what its value has cost, a part of the judge's cost */
};

enum judge_needs { JUDGE_READS_KV = 1 };

/* struct judge begins with its row; the rest is the row's own. */
struct judge {
    const struct judge_row *row;
    struct judge_params p;
    struct judge_cost cost;
};

struct judge_row {
    const char *name, *summary;
    unsigned needs; /* set of enum judge_needs */
    size_t size;    /* of its struct */
    /* All but value may be NULL: nothing to do. */
    enum status (*open)(struct judge *j, struct error *e);
    void (*close)(struct judge *j); /* also after an open that failed */
    /* A chain with nothing behind its prompt. */
    enum status (*begin)(struct judge *j, uint32_t slot, const char *problem, const int32_t *prompt, uint32_t n,
                         struct error *e);
    /* A step was written.  *fits: false when the judge has no room for it: then the chain is over. */
    enum status (*step)(struct judge *j, uint32_t slot, const struct prm_step *step, bool *fits, struct error *e);
    uint32_t (*length)(struct judge *j, uint32_t slot); /* of what its steps gave ... */
    void (*cut)(struct judge *j, uint32_t slot,
                uint32_t length);                              /* ... and back to it: those steps were not valued yet */
    bool (*fork)(struct judge *j, uint32_t from, uint32_t to); /* false: no sequence is free */
    void (*evict)(struct judge *j, uint32_t slot);
    void (*drop)(struct judge *j, uint32_t slot);
    /* values[i] in [0,1] of n <= max_batch chains.  ERR_FULL: nothing was read. */
    enum status (*value)(struct judge *j, struct judge_chain *chains, uint32_t n, float *values, struct error *e);
    /* The values are known: only the costs are counted.  NULL: value finds them again. */
    void (*recite)(struct judge *j, struct judge_chain *chains, uint32_t n);
};

/* prm, ptrue, logprob, oracle, judge, check; ends in name NULL. */
extern const struct judge_row *const judge_rows[];
const struct judge_row *judge_find(const char *name); /* NULL: none */

enum status judge_open(const struct judge_row *row, const struct judge_params *p, struct judge **out, struct error *e);
void judge_close(struct judge **j);

/* FLOPs of reading positions [from, to) with outputs at the last n_out of them. */
uint64_t judge_flops(const struct engine *en, uint32_t from, uint32_t to, uint32_t n_out);

/* What the reward model was or will be given for a chain: the count; ids [count], and 1 in scored where a value is
 * read. */
uint32_t judge_prm_tokens(const struct judge *j, uint32_t slot, int32_t *ids, uint8_t *scored);

/* What a judgement in words says: the last "N/10" or "N out of 10", else the last of yes, true, correct, right (1) and
 * no, false, incorrect, wrong (0), in any case; NaN: nothing of the kind. */
float judgement_value(const char *text);

extern const struct judge_row judge_prm, judge_ptrue, judge_writes;

#endif
