/* judge_prm.c: values by a reward model that reads each step once.
 * Not how it is asked: reader.h.
 * Next: judge_ptrue.c.
 *
 *   tokens : [prompt for it ..... step 1 x step 2 x]    what its protocol makes of prompt and steps; x: outputs are
 * read
 *   KV     : [...........................__________]    up to the newest step that was valued */
#include <string.h>

#include "base/mem.h"
#include "base/trail.h"
#include "prm/judge.h"

enum { SCORED = 1 << 30 }; /* in an id: outputs are read here */

struct chain {
    struct trail tokens;
    uint32_t seq, n_read; /* 0: no KV (new, or evicted) */
    uint32_t n_paid;      /* read once, however often again: their costs are counted ... */
    uint32_t n_valued;    /* ... and their values known; fewer, if those were recited */
    struct prm_chain values;
};

struct prm_judge {
    struct judge j;
    struct prm_prompt prompt; /* one for all chains */
    uint32_t n_out;
    struct trail_pool *pool;
    struct chain *chains; /* [n_slots + 1] */
    int32_t *ids;         /* [max_batch, max_tokens] */
    float *outputs;       /* [max_batch, max_tokens, n_out] */
    struct span *spans;   /* [max_batch] */
};

static void close_prm(struct judge *judge) {
    struct prm_judge *j = (struct prm_judge *)judge;
    prm_prompt_free(&j->prompt);
    trail_pool_free(&j->pool);
    mem_free(j->chains), mem_free(j->ids), mem_free(j->outputs), mem_free(j->spans);
}

static enum status open_prm(struct judge *judge, struct error *e) {
    struct prm_judge *j = (struct prm_judge *)judge;
    const struct judge_params *p = &j->j.p;
    size_t n_ids = (size_t)p->max_batch * p->max_tokens;
    j->n_out = engine_n_out(engine_of(p->prm));
    enum status s = trail_pool_new(&j->pool, e);
    if (s) return s;
    if ((j->chains = mem_new((size_t)p->n_slots + 1, sizeof *j->chains)) && (j->ids = mem_new(n_ids, sizeof *j->ids)) &&
        (j->outputs = mem_new(n_ids, j->n_out * sizeof(float))) && (j->spans = mem_new(p->max_batch, sizeof *j->spans)))
        return OK;
    return error_set(e, ERR_MEMORY, "no memory for values of %u chains of %u tokens", p->n_slots, p->max_tokens);
}

/* What is new in a chain is read, each token with outputs. */
static void pay(struct prm_judge *j, struct chain *c, struct judge_chain *which) {
    which->tokens = c->tokens.len - c->n_paid;
    which->flops = judge_flops(engine_of(j->j.p.prm), c->n_paid, c->tokens.len, (uint32_t)which->tokens);
    j->j.cost.tokens += which->tokens, j->j.cost.flops += which->flops;
    c->n_paid = c->tokens.len;
}

static void recite_prm(struct judge *judge, struct judge_chain *chains, uint32_t n) {
    struct prm_judge *j = (struct prm_judge *)judge;
    for (uint32_t i = 0; i < n; i++) pay(j, &j->chains[chains[i].slot], &chains[i]);
}

/* Reads what is new in each chain; every step's end in it adds a step value. */
static enum status read_steps(struct prm_judge *j, struct judge_chain *which, uint32_t n, struct error *e) {
    struct client *en = j->j.p.prm;
    for (uint32_t i = 0; i < n; i++) {
        struct chain *c = &j->chains[which[i].slot];
        if (!c->seq && !(c->seq = engine_seq_new(en))) return error_set(e, ERR_FULL, "all KV sequences are in use");
        uint32_t fresh = c->tokens.len - c->n_read;
        int32_t *ids = j->ids + (size_t)i * j->j.p.max_tokens;
        trail_read(j->pool, c->tokens, c->n_read, ids);
        for (uint32_t k = 0; k < fresh; k++) ids[k] &= ~SCORED;
        j->spans[i] = (struct span){.seq = c->seq,
                                    .n_tokens = fresh,
                                    .n_out = fresh,
                                    .tokens = ids,
                                    .out = j->outputs + (size_t)i * j->j.p.max_tokens * j->n_out};
    }
    enum status s = engine_run(en, j->spans, n, &j->j.cost.pages_copied, e);
    for (uint32_t i = 0; i < n && s; i++)
        if (j->chains[which[i].slot].seq)
            j->chains[which[i].slot].n_read = engine_len(en, j->chains[which[i].slot].seq);
    for (uint32_t i = 0; i < n && !s; i++) {
        struct chain *c = &j->chains[which[i].slot];
        int32_t *ids = j->ids + (size_t)i * j->j.p.max_tokens;
        const uint32_t first = c->n_valued > c->n_read ? c->n_valued - c->n_read : 0, fresh = j->spans[i].n_tokens;
        trail_read(j->pool, c->tokens, c->n_read, ids);
        pay(j, c, &which[i]);
        for (uint32_t k = first; k < fresh; k++)
            if (ids[k] & SCORED)
                prm_chain_add(&c->values, prm_reader_value(j->j.p.reader, j->spans[i].out + (size_t)k * j->n_out));
        c->n_read = c->n_valued = c->tokens.len;
    }
    return s;
}

static enum status value_prm(struct judge *judge, struct judge_chain *chains, uint32_t n, float *values,
                             struct error *e) {
    struct prm_judge *j = (struct prm_judge *)judge;
    enum status s = read_steps(j, chains, n, e);
    for (uint32_t i = 0; i < n && !s; i++) values[i] = prm_chain_value(&j->chains[chains[i].slot].values, j->j.p.agg);
    return s;
}

/* The first chain reads all of the prompt, also pages that an earlier search left behind; the others fork that one's
 * KV. */
static enum status begin_prm(struct judge *judge, uint32_t slot, const char *problem, const int32_t *prompt, uint32_t n,
                             struct error *e) {
    struct prm_judge *j = (struct prm_judge *)judge;
    struct client *en = j->j.p.prm;
    struct chain *c = &j->chains[slot];
    *c = (struct chain){0};
    enum status s = prm_begin(j->j.p.reader, problem, prompt, n, &j->prompt, e);
    if (s) return s;
    if (j->prompt.n >= j->j.p.max_tokens)
        return error_set(e, ERR_INPUT, "the reward model's prompt has %zu tokens, allowed 1 to %u (-c)", j->prompt.n,
                         j->j.p.max_tokens - 1);
    if ((s = trail_append(j->pool, &c->tokens, j->prompt.ids, (uint32_t)j->prompt.n, e))) return s;
    if (!(c->seq = engine_seq_new(en))) return error_set(e, ERR_FULL, "all KV sequences are in use");
    struct reading r = {.seq = c->seq, .n = c->tokens.len, .tokens = j->prompt.ids};
    if (r.n && (s = engine_read(en, &r, e))) return s;
    c->n_read = c->n_paid = c->n_valued = r.n;
    j->j.cost.cached_tokens += r.n_cached, j->j.cost.pages_copied += r.pages_copied;
    j->j.cost.tokens += r.n;
    j->j.cost.flops += judge_flops(engine_of(en), 0, r.n, 0);
    return OK;
}

/* Without room for what a step gives the chain cannot be judged any more. */
static enum status step_prm(struct judge *judge, uint32_t slot, const struct prm_step *given, bool *fits,
                            struct error *e) {
    struct prm_judge *j = (struct prm_judge *)judge;
    struct chain *c = &j->chains[slot];
    struct prm_step step = *given;
    size_t n, cap = j->j.p.max_tokens - c->tokens.len;
    bool scored;
    step.first = c->tokens.len == j->prompt.n;
    enum status s = prm_put_step(j->j.p.reader, &j->prompt, &step, j->ids, cap, &n, &scored, e);
    *fits = n <= cap;
    if (s || !*fits || !n) return s;
    if (scored) j->ids[n - 1] |= SCORED;
    return trail_append(j->pool, &c->tokens, j->ids, (uint32_t)n, e);
}

static uint32_t length_prm(struct judge *judge, uint32_t slot) {
    return ((struct prm_judge *)judge)->chains[slot].tokens.len;
}

static void cut_prm(struct judge *judge, uint32_t slot, uint32_t length) {
    struct prm_judge *j = (struct prm_judge *)judge;
    trail_cut(j->pool, &j->chains[slot].tokens, length);
}

static bool fork_prm(struct judge *judge, uint32_t from, uint32_t to) {
    struct prm_judge *j = (struct prm_judge *)judge;
    const struct chain *a = &j->chains[from];
    struct chain *b = &j->chains[to];
    *b = *a;
    if (a->seq && !(b->seq = engine_fork(j->j.p.prm, a->seq))) {
        *b = (struct chain){0};
        return false;
    }
    b->tokens = trail_fork(j->pool, a->tokens);
    j->j.cost.shared_tokens += b->n_paid;
    return true;
}

static void evict_prm(struct judge *judge, uint32_t slot) {
    struct prm_judge *j = (struct prm_judge *)judge;
    struct chain *c = &j->chains[slot];
    if (c->seq) engine_drop(j->j.p.prm, &c->seq);
    j->j.cost.replayed_tokens += c->n_read; /* what using it again will cost */
    c->n_read = 0;
}

static void drop_prm(struct judge *judge, uint32_t slot) {
    struct prm_judge *j = (struct prm_judge *)judge;
    struct chain *c = &j->chains[slot];
    if (c->seq) engine_drop(j->j.p.prm, &c->seq);
    trail_drop(j->pool, &c->tokens);
}

uint32_t judge_prm_tokens(const struct judge *judge, uint32_t slot, int32_t *ids, uint8_t *scored) {
    const struct prm_judge *j = (const struct prm_judge *)judge;
    const struct chain *c = &j->chains[slot];
    trail_read(j->pool, c->tokens, 0, ids);
    for (uint32_t k = 0; k < c->tokens.len; k++) scored[k] = !!(ids[k] & SCORED), ids[k] &= ~SCORED;
    return c->tokens.len;
}

const struct judge_row judge_prm = {.name = "prm",
                                    .summary = "a reward model: the value of each step, aggregated over the chain",
                                    .size = sizeof(struct prm_judge),
                                    .open = open_prm,
                                    .close = close_prm,
                                    .begin = begin_prm,
                                    .step = step_prm,
                                    .length = length_prm,
                                    .cut = cut_prm,
                                    .fork = fork_prm,
                                    .evict = evict_prm,
                                    .drop = drop_prm,
                                    .value = value_prm,
                                    .recite = recite_prm};
