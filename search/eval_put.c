/* eval_put.c: tokens that nobody draws: given ones, with their log-probabilities if wanted, and the likeliest next
 * ones.
 * Not what the policy writes: eval_write.c.
 * Next: eval_model.c. */
#include <math.h>
#include <string.h>

#include "search/eval_internal.h"

/* ---- put ---- */

/* What is put, into m->given; its count in p->n_tokens. */
static enum status gather(struct eval_model *m, struct put *p, struct error *e) {
    const struct branch *b = branch_of(m, p->branch);
    size_t n = p->n_tokens;
    if (p->tokens) {
        memcpy(m->given, p->tokens, (n < m->p.max_tokens ? n : m->p.max_tokens) * sizeof *m->given);
    } else if (p->from) {
        const struct branch *from = branch_of(m, p->from);
        n = length_of(from) > length_of(b) ? length_of(from) - length_of(b) : 0;
        if (n) trail_read(m->pool, from->tokens, length_of(b), m->given);
    } else {
        enum status s =
            tok_encode(m->p.tok, p->text, strlen(p->text), p->special, false, m->given, m->p.max_tokens, &n, e);
        if (s) return s;
    }
    p->n_tokens = (uint32_t)n;
    for (size_t i = 0; i < n && n <= m->p.max_tokens; i++)
        if (m->given[i] < 0 || (uint32_t)m->given[i] >= m->n_vocab)
            return error_set(e, ERR_INPUT, "token %d: the vocabulary has 0 to %u", m->given[i], m->n_vocab - 1);
    return OK;
}

static enum status put_one(struct eval_model *m, struct put *p, struct error *e) {
    struct branch *b = branch_of(m, p->branch);
    enum status s = gather(m, p, e);
    p->logprob = 0, p->end = is_open(b) ? STEP_OPEN : STEP_SEPARATOR;
    if (s) return s;
    if (p->n_tokens > m->p.max_tokens - length_of(b)) {
        p->n_tokens = 0, p->end = STEP_TRUNCATED;
        return OK;
    }
    for (uint32_t i = 0; i < p->n_tokens && !s; i++) {
        s = step_append(m, b, m->given[i], &p->end, e);
        if (!s && p->end == STEP_OPEN && i + 1 == p->n_tokens && is_too_long(m, b)) p->end = STEP_TRUNCATED;
        if (!s && p->end != STEP_OPEN) s = step_finish(m, b, &p->end, e);
    }
    return s;
}

static float logprob_of(struct eval_model *m, const float *logits, int32_t id) {
    const struct sample_params plain = {.temperature = 1, .top_p = 1};
    struct sample_distribution dist;
    if (!sample_distribution(&plain, logits, m->n_vocab, &m->sample, &dist)) return -INFINITY;
    return (float)((double)logits[id] - dist.max - log(dist.total));
}

/* One pass: as many tokens of as many puts as there is room for outputs.  *n_rows: how many. */
static enum status rate_some(struct eval_model *m, struct put *puts, size_t n, uint32_t *n_rows, struct error *e) {
    uint32_t n_spans = 0, rows = 0;
    for (size_t i = 0; i < n && rows < m->p.max_batch; i++) {
        struct branch *b = branch_of(m, puts[i].branch);
        uint32_t from = b->mark.len - 1 + (b->n_rated - b->mark.n_rated), to = length_of(b) - 1;
        if (!puts[i].rate || from >= to) continue;
        if (to - from > m->p.max_batch - rows) to = from + m->p.max_batch - rows;
        enum status s = pass_add(m, b, POLICY, to, to - from, m->logits + (size_t)rows * m->n_vocab,
                                 m->ids + (size_t)n_spans * m->p.max_tokens, &m->spans[n_spans], e);
        if (s) return s;
        m->active[n_spans] = (uint32_t)i, m->readers[n_spans++] = b, rows += to - from;
    }
    enum status s = n_spans ? pass_run(m, POLICY, m->readers, n_spans, e) : OK;
    for (uint32_t k = 0; k < n_spans && !s; k++) {
        struct branch *b = m->readers[k];
        const struct span *span = &m->spans[k];
        trail_read(m->pool, b->tokens, b->kv[POLICY].n_read - span->n_out + 1, m->given);
        for (uint32_t q = 0; q < span->n_out; q++) {
            float x = logprob_of(m, span->out + (size_t)q * m->n_vocab, m->given[q]);
            puts[m->active[k]].logprob += x, b->logprob += x, b->n_rated++;
        }
    }
    *n_rows = rows;
    return s;
}

enum status put_rate(struct eval_model *m, struct put *puts, size_t n, struct error *e) {
    enum status s = OK;
    for (uint32_t rows = n != 0; rows && !s;)
        s = limits_reached(&m->limits, &m->ledger) ? error_set(e, ERR_CANCELLED, "stopped before tokens were rated")
                                                   : rate_some(m, puts, n, &rows, e);
    return s;
}

/* What was put, as a reader sees it: without what ended its last step. */
static enum status set_added(struct eval_model *m, struct put *p, struct error *e) {
    const struct branch *b = branch_of(m, p->branch);
    size_t size = text_from(m, b, length_of(b) - p->n_tokens, p->end == STEP_SEPARATOR);
    p->added = keep_text(m, m->text, size);
    return p->added ? OK : error_set(e, ERR_MEMORY, "no memory for the text of a step");
}

static enum status tell_put(struct eval_model *m, struct put *p, struct error *e) {
    const struct branch *b = branch_of(m, p->branch);
    trail_read(m->pool, b->tokens, length_of(b) - p->n_tokens, m->given);
    p->ids = keep_bytes(m, m->given, p->n_tokens * sizeof *m->given);
    return p->ids ? OK : error_set(e, ERR_MEMORY, "no memory for the tokens of a step");
}

enum status eval_put(void *self, struct put *puts, size_t n, struct error *e) {
    struct eval_model *m = self;
    enum status s = OK;
    const uint64_t flops = m->ledger.policy_flops;
    for (size_t i = 0; i < n; i++) {
        branch_mark(m, branch_of(m, puts[i].branch));
        branch_set_busy(m, puts[i].branch, true);
        m->branches[puts[i].branch].flops = 0;
    }
    for (size_t i = 0; i < n && !s; i++) s = put_one(m, &puts[i], e);
    if (!s) s = put_rate(m, puts, n, e);
    for (size_t i = 0; i < n && !s; i++) {
        s = set_added(m, &puts[i], e);
        if (!s && m->telling) s = tell_put(m, &puts[i], e);
    }
    for (size_t i = 0; i < n; i++) {
        puts[i].flops = m->branches[puts[i].branch].flops;
        branch_set_busy(m, puts[i].branch, false);
        if (s) branch_undo(m, &m->branches[puts[i].branch]);
    }
    if (s) m->ledger.policy_flops = flops; /* what is not done costs nothing */
    note_costs(m);
    return s;
}

/* ---- propose ---- */

/* The k largest logits, largest first, ties to lower ids: each new one finds its place among those so far. */
static uint32_t largest(const float *logits, uint32_t n, uint32_t k, int32_t *ids) {
    uint32_t n_ids = 0;
    for (uint32_t i = 0; i < n && k; i++) {
        if (n_ids == k && !(logits[i] > logits[ids[k - 1]])) continue;
        uint32_t low = 0, high = n_ids; /* the first that is smaller */
        while (low < high) {
            uint32_t mid = low + (high - low) / 2;
            if (logits[ids[mid]] < logits[i]) high = mid;
            else low = mid + 1;
        }
        if (n_ids < k) n_ids++;
        memmove(ids + low + 1, ids + low, (n_ids - 1 - low) * sizeof *ids);
        ids[low] = (int32_t)i;
    }
    return n_ids;
}

static void fill_proposal(struct eval_model *m, struct proposal *p, const float *logits) {
    const struct sample_params plain = {.temperature = 1, .top_p = 1};
    struct sample_distribution dist;
    double mean = 0;
    p->n = 0, p->entropy = 0;
    if (!sample_distribution(&plain, logits, m->n_vocab, &m->sample, &dist)) return;
    double log_total = log(dist.total);
    for (uint32_t i = 0; i < m->n_vocab; i++)
        if (dist.w[i] > 0) mean += (double)dist.w[i] * ((double)logits[i] - dist.max);
    p->entropy = (float)(log_total - mean / dist.total);
    p->n = largest(logits, m->n_vocab, p->k, p->tokens);
    for (uint32_t i = 0; i < p->n; i++) p->logprobs[i] = (float)((double)logits[p->tokens[i]] - dist.max - log_total);
}

static void recite_proposal(struct eval_model *m, struct proposal *p) {
    struct branch *b = branch_of(m, p->branch);
    if (b->kv[POLICY].n_paid >= length_of(b)) b->kv[POLICY].n_paid = length_of(b) - 1;
    p->flops = branch_pay(m, b, POLICY, length_of(b), 1);
}

static enum status propose_some(struct eval_model *m, struct proposal *proposals, uint32_t n, struct error *e) {
    if (limits_reached(&m->limits, &m->ledger))
        return error_set(e, ERR_CANCELLED, "stopped before tokens were proposed");
    for (uint32_t i = 0; i < n && m->telling == TELL_RECITED; i++) recite_proposal(m, &proposals[i]);
    if (m->telling == TELL_RECITED) return OK;
    for (uint32_t i = 0; i < n; i++) {
        branch_of(m, proposals[i].branch)->flops = 0;
        struct branch *b = m->readers[i] = branch_of(m, proposals[i].branch);
        enum status s = pass_add(m, b, POLICY, length_of(b), 1, m->logits + (size_t)i * m->n_vocab,
                                 m->ids + (size_t)i * m->p.max_tokens, &m->spans[i], e);
        if (s) return s;
    }
    enum status s = pass_run(m, POLICY, m->readers, n, e);
    for (uint32_t i = 0; i < n && !s; i++) {
        fill_proposal(m, &proposals[i], m->spans[i].out);
        proposals[i].flops = m->readers[i]->flops;
    }
    return s;
}

enum status eval_propose(void *self, struct proposal *proposals, size_t n, struct error *e) {
    struct eval_model *m = self;
    enum status s = OK;
    for (size_t i = 0; i < n; i++) branch_set_busy(m, proposals[i].branch, true);
    for (size_t i = 0; i < n && !s; i += m->p.max_batch)
        s = propose_some(m, proposals + i, (uint32_t)(n - i < m->p.max_batch ? n - i : m->p.max_batch), e);
    for (size_t i = 0; i < n; i++) branch_set_busy(m, proposals[i].branch, false);
    note_costs(m);
    return s;
}
