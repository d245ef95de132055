/* eval_branch.c: branches of the evaluator: begun on a prompt, forked, evicted, dropped, put back; and passes over
 * them.
 * Not what is written on them: eval_write.c.
 * Next: eval_write.c. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "search/eval_internal.h"

branch_id branch_new(struct eval_model *m) {
    branch_id id = m->n_free ? m->free_ids[--m->n_free] : 0;
    if (id) m->branches[id] = (struct branch){.live = true};
    return id;
}

/* KV of both engines; false, and nothing held, when a sequence is missing. */
static bool fork_kv(struct eval_model *m, const struct branch *a, struct branch *b) {
    for (int w = 0; w < N_WRITERS; w++) {
        if (!a->kv[w].seq || (b->kv[w].seq = engine_fork(m->writers[w], a->kv[w].seq))) continue;
        while (w--)
            if (b->kv[w].seq) engine_drop(m->writers[w], &b->kv[w].seq);
        return false;
    }
    return true;
}

enum status branch_fork(void *self, branch_id from, branch_id *to, struct error *e) {
    struct eval_model *m = self;
    const struct branch *a = &m->branches[from];
    assert(a->live);
    if (!m->n_free) return error_set(e, ERR_FULL, "all %u branches are in use", m->p.max_branches);
    branch_id id = m->free_ids[m->n_free - 1];
    struct branch *b = &m->branches[id];
    *b = *a;
    bool good = fork_kv(m, a, b);
    if (good && m->judge && m->judge->row->fork && !m->judge->row->fork(m->judge, from, id)) {
        for (int w = 0; w < N_WRITERS; w++)
            if (b->kv[w].seq) engine_drop(m->writers[w], &b->kv[w].seq);
        good = false;
    }
    b->live = good;
    b->drawn = 0;
    if (!good) return error_set(e, ERR_FULL, "all KV sequences are in use");
    m->n_free--;
    b->busy = false;
    b->tokens = trail_fork(m->pool, a->tokens);
    m->ledger.forks++;
    m->ledger.shared_tokens += b->kv[POLICY].n_paid + b->kv[DRAFT].n_paid;
    if (m->judge) m->ledger.shared_tokens += m->judge->cost.shared_tokens, m->judge->cost.shared_tokens = 0;
    *to = id;
    return OK;
}

void branch_evict(void *self, branch_id id) {
    struct eval_model *m = self;
    struct branch *b = &m->branches[id];
    if (b->busy) return;
    for (int w = 0; w < N_WRITERS; w++) {
        if (b->kv[w].seq) engine_drop(m->writers[w], &b->kv[w].seq);
        m->ledger.replayed_tokens += b->kv[w].n_read; /* what using it again will cost */
        b->kv[w].n_read = 0;
    }
    if (m->judge && m->judge->row->evict) m->judge->row->evict(m->judge, id);
    note_costs(m);
}

void branch_drop(void *self, branch_id *id) {
    struct eval_model *m = self;
    if (!*id) return;
    struct branch *b = &m->branches[*id];
    assert(b->live);
    for (int w = 0; w < N_WRITERS; w++)
        if (b->kv[w].seq) engine_drop(m->writers[w], &b->kv[w].seq);
    if (m->judge && m->judge->row->drop) m->judge->row->drop(m->judge, *id);
    trail_drop(m->pool, &b->tokens);
    b->live = false;
    m->free_ids[m->n_free++] = *id;
    *id = 0;
}

void branch_set_busy(struct eval_model *m, branch_id b, bool busy) { m->branches[b].busy = busy; }

static branch_id id_of(const struct eval_model *m, const struct branch *b) { return (branch_id)(b - m->branches); }

void branch_mark(struct eval_model *m, struct branch *b) {
    const struct judge *j = m->judge;
    b->mark = (struct mark){length_of(b),
                            b->step_at,
                            b->n_steps,
                            b->n_rated,
                            j && j->row->length ? j->row->length(m->judge, id_of(m, b)) : 0,
                            b->n_stopped,
                            {b->kv[POLICY].n_paid, b->kv[DRAFT].n_paid},
                            b->logprob};
}

void branch_undo(struct eval_model *m, struct branch *b) {
    const struct mark *old = &b->mark;
    trail_cut(m->pool, &b->tokens, old->len);
    b->step_at = old->step_at, b->n_steps = old->n_steps, b->n_rated = old->n_rated, b->logprob = old->logprob;
    b->n_stopped = old->n_stopped;
    if (m->judge && m->judge->row->cut) m->judge->row->cut(m->judge, id_of(m, b), old->n_judged);
    for (int w = 0; w < N_WRITERS; w++) {
        b->kv[w].n_paid = old->n_paid[w];
        if (!b->kv[w].seq || b->kv[w].n_read < old->len) continue;
        b->kv[w].n_read = engine_truncate(m->writers[w], b->kv[w].seq, old->len - 1);
    }
}

/* ---- passes ---- */

enum status pass_add(struct eval_model *m, struct branch *b, int writer, uint32_t to, uint32_t n_out, float *out,
                     int32_t *ids, struct span *span, struct error *e) {
    struct client *en = m->writers[writer];
    struct held_kv *kv = &b->kv[writer];
    if (!kv->seq && !(kv->seq = engine_seq_new(en))) return error_set(e, ERR_FULL, "all KV sequences are in use");
    if (kv->n_paid > to - n_out) kv->n_paid = to - n_out;
    if (kv->n_read > to - n_out) {
        kv->n_read = engine_truncate(en, kv->seq, to - n_out);
    }
    trail_read(m->pool, b->tokens, kv->n_read, ids);
    *span = (struct span){kv->seq, to - kv->n_read, n_out, ids, out};
    return OK;
}

uint64_t branch_pay(struct eval_model *m, struct branch *b, int writer, uint32_t to, uint32_t n_out) {
    struct held_kv *kv = &b->kv[writer];
    if (to <= kv->n_paid) return 0;
    uint64_t flops = judge_flops(engine_of(m->writers[writer]), kv->n_paid, to, n_out);
    m->ledger.policy_flops += flops;
    kv->n_paid = to;
    return flops;
}

enum status pass_run(struct eval_model *m, int writer, struct branch *const *branches, uint32_t n, struct error *e) {
    struct client *en = m->writers[writer];
    enum status s = engine_run(en, m->spans, n, &m->ledger.pages_copied, e);
    for (uint32_t i = 0; i < n; i++) {
        struct held_kv *kv = &branches[i]->kv[writer];
        kv->n_read = s ? engine_len(en, kv->seq) : kv->n_read + m->spans[i].n_tokens;
        if (!s) branches[i]->flops += branch_pay(m, branches[i], writer, kv->n_read, m->spans[i].n_out);
    }
    return s;
}

/* ---- prompts ---- */

enum status branch_read_prompt(struct eval_model *m, branch_id id, const int32_t *ids, uint32_t n, struct error *e) {
    struct branch *b = &m->branches[id];
    enum status s = trail_append(m->pool, &b->tokens, ids, n, e);
    if (s) return s;
    b->n_prompt = b->step_at = n;
    m->ledger.prompt_tokens += n;
    for (int w = 0; w < N_WRITERS && m->writers[w] && !s; w++) {
        struct held_kv *kv = &b->kv[w];
        if (!(kv->seq = engine_seq_new(m->writers[w]))) return error_set(e, ERR_FULL, "all KV sequences are in use");
        struct reading r = {.seq = kv->seq, .n = n - 1, .tokens = ids};
        if (r.n && (s = engine_read(m->writers[w], &r, e))) return s;
        kv->n_read = kv->n_paid = r.n;
        m->ledger.cached_tokens += r.n_cached, m->ledger.pages_copied += r.pages_copied;
        m->ledger.policy_flops += judge_flops(engine_of(m->writers[w]), 0, r.n, 0);
    }
    return s;
}

/* The judge of such a branch reads the problem's own prompt and then the branch's steps. */
static enum status begin_one(struct eval_model *m, struct asking *a, struct error *e) {
    int32_t *ids = NULL;
    size_t n = 0;
    if (!(m->p.asks & (1u << a->ask))) return error_set(e, ERR_INPUT, "the task has no prompt to %s", ask_name(a->ask));
    if (a->about) chain_text(m, &m->branches[a->about]);
    enum status s = m->p.prompt(m->p.arg, a->ask, a->about ? m->text : "", a->note ? a->note : "", &ids, &n, e);
    if (!s && (n == 0 || n >= m->p.max_tokens))
        s = error_set(e, ERR_INPUT, "the prompt to %s has %zu tokens, allowed 1 to %u (-c)", ask_name(a->ask), n,
                      m->p.max_tokens - 1);
    if (!s && !(a->branch = branch_new(m))) s = error_set(e, ERR_FULL, "all %u branches are in use", m->p.max_branches);
    if (!s && m->judge && m->judge->row->fork && !m->judge->row->fork(m->judge, m->root, a->branch))
        s = error_set(e, ERR_FULL, "all KV sequences are in use");
    const uint64_t flops = m->ledger.policy_flops;
    if (!s) s = branch_read_prompt(m, a->branch, ids, (uint32_t)n, e);
    if (s && a->branch) branch_drop(m, &a->branch);
    a->n_tokens = (uint32_t)n, a->flops = m->ledger.policy_flops - flops;
    mem_free(ids);
    return s;
}

/* One after the other: what two prompts have in common is computed once. */
enum status branch_begin(void *self, struct asking *askings, size_t n, struct error *e) {
    struct eval_model *m = self;
    enum status s = OK;
    size_t i;
    for (i = 0; i < n; i++) askings[i].branch = 0;
    for (i = 0; i < n && !s; i++)
        s = limits_reached(&m->limits, &m->ledger) ? error_set(e, ERR_CANCELLED, "stopped before a prompt was read")
                                                   : begin_one(m, &askings[i], e);
    while (s && i--)
        if (askings[i].branch) branch_drop(m, &askings[i].branch);
    note_costs(m);
    return s;
}
