/* judge_ptrue.c: P(True): a fork of each chain's KV reads its last token, unless that ends an answer, and the question.
 * Not the question: ptrue.h.
 * Next: judge_writes.c. */
#include <string.h>

#include "base/mem.h"
#include "prm/judge.h"

struct ptrue_judge {
    struct judge j;
    float *logits;      /* [max_batch, n_vocab] */
    int32_t *ids;       /* [max_batch, 1 + ptrue->n] */
    uint32_t *forks;    /* [max_batch] sequences */
    struct span *spans; /* [max_batch] */
};

static void close_ptrue(struct judge *judge) {
    struct ptrue_judge *j = (struct ptrue_judge *)judge;
    mem_free(j->logits), mem_free(j->ids), mem_free(j->forks), mem_free(j->spans);
}

static enum status open_ptrue(struct judge *judge, struct error *e) {
    struct ptrue_judge *j = (struct ptrue_judge *)judge;
    size_t n = j->j.p.max_batch;
    if ((j->logits = mem_new(n * engine_n_out(engine_of(j->j.p.policy)), sizeof(float))) &&
        (j->ids = mem_new(n * (1 + j->j.p.ptrue->n), sizeof(int32_t))) && (j->forks = mem_new(n, sizeof *j->forks)) &&
        (j->spans = mem_new(n, sizeof *j->spans)))
        return OK;
    return error_set(e, ERR_MEMORY, "no memory for questions about %zu chains", n);
}

static enum status ask(struct ptrue_judge *j, const struct judge_chain *chains, uint32_t n, struct error *e) {
    const struct ptrue *q = j->j.p.ptrue;
    struct client *en = j->j.p.policy;
    uint32_t n_forks = 0;
    enum status s = OK;
    for (; n_forks < n; n_forks++) {
        const struct judge_chain *c = &chains[n_forks];
        int32_t *ids = j->ids + n_forks * (1 + q->n);
        uint32_t n_ids = 0;
        if (!tok_is_end(j->j.p.tok, c->last)) ids[n_ids++] = c->last;
        memcpy(ids + n_ids, q->ids, q->n * sizeof *ids);
        n_ids += (uint32_t)q->n;
        if (!(j->forks[n_forks] = engine_fork(en, c->seq))) {
            s = error_set(e, ERR_FULL, "all KV sequences are in use");
            break;
        }
        j->spans[n_forks] =
            (struct span){j->forks[n_forks], n_ids, 1, ids, j->logits + (size_t)n_forks * engine_n_out(engine_of(en))};
    }
    if (!s) s = engine_run(en, j->spans, n, &j->j.cost.pages_copied, e);
    for (uint32_t i = 0; i < n_forks; i++) engine_drop(en, &j->forks[i]);
    return s;
}

static enum status value_ptrue(struct judge *judge, struct judge_chain *chains, uint32_t n, float *values,
                               struct error *e) {
    struct ptrue_judge *j = (struct ptrue_judge *)judge;
    enum status s = ask(j, chains, n, e);
    for (uint32_t i = 0; i < n && !s; i++) {
        values[i] = ptrue_value(j->j.p.ptrue, j->spans[i].out);
        uint32_t from = chains[i].len - 1;
        chains[i].tokens = j->spans[i].n_tokens;
        chains[i].flops = judge_flops(engine_of(j->j.p.policy), from, from + j->spans[i].n_tokens, 1);
        j->j.cost.tokens += chains[i].tokens, j->j.cost.flops += chains[i].flops;
    }
    return s;
}

const struct judge_row judge_ptrue = {.name = "ptrue",
                                      .summary = "the policy's own P(True), asked on a fork",
                                      .needs = JUDGE_READS_KV,
                                      .size = sizeof(struct ptrue_judge),
                                      .open = open_ptrue,
                                      .close = close_ptrue,
                                      .value = value_ptrue};
