/* eval_model.c: the evaluator of real models: a policy, a judge, and what the task knows, behind the seam of search.h.
 * Not branches (eval_branch.c), not what is written on them (eval_write.c, eval_put.c), not values (prm/judge.h).  One
 * evaluator serves one search on one thread; engines are shared.
 * Next: eval_branch.c; search/strategies/mcts.c for what drives it. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "search/eval_internal.h"

enum { PRM_PROMPT = 256 }; /* bytes that protocols put around a problem, about */

/* ---- text ---- */

/* Room for some bytes until close. */
static char *keep(struct eval_model *m, size_t size) {
    struct text_block *t = m->texts;
    if (!t || t->cap - t->used < size) {
        size_t cap = size > 65536 ? size : 65536;
        if (!(t = mem_new(sizeof *t + cap, 1))) return NULL;
        t->next = m->texts, t->cap = cap, m->texts = t;
    }
    t->used += size;
    return t->data + t->used - size;
}

const char *keep_text(struct eval_model *m, const char *text, size_t size) {
    char *at = keep(m, size + 1);
    if (!at) return NULL;
    memcpy(at, text, size);
    at[size] = 0;
    return at;
}

void *keep_bytes(struct eval_model *m, const void *bytes, size_t size) {
    char *at = keep(m, size + 7);
    if (!at) return NULL;
    at += -(uintptr_t)at & 7;
    return size ? memcpy(at, bytes, size) : at;
}

/* Text of n ids, without control tokens, in m->text; its size. */
static size_t decode(struct eval_model *m, const int32_t *ids, uint32_t n) {
    size_t size;
    tok_decode(m->p.tok, ids, n, false, m->text, m->text_cap, &size);
    return size < m->text_cap ? size : m->text_cap - 1;
}

/* They continue a text: with the token before them, a space that they begin with is not taken for that of the
 * beginning. */
size_t decode_from(struct eval_model *m, const struct branch *b, uint32_t from, uint32_t n) {
    trail_read(m->pool, b->tokens, from - 1, m->ids);
    size_t before = decode(m, m->ids, 1), size = decode(m, m->ids, n + 1);
    if (before > size) before = size;
    memmove(m->text, m->text + before, size - before + 1);
    return size - before;
}

size_t chain_text(struct eval_model *m, const struct branch *b) {
    trail_read(m->pool, b->tokens, b->n_prompt, m->ids);
    size_t size = decode(m, m->ids, length_of(b) - b->n_prompt);
    m->text[size -= b->n_stopped < size ? b->n_stopped : size] = 0;
    return size;
}

const char *eval_model_text(struct eval_model *m, branch_id b) {
    chain_text(m, branch_of(m, b));
    return m->text;
}

const int32_t *eval_model_tokens(struct eval_model *m, branch_id b, uint32_t *n) {
    *n = length_of(branch_of(m, b));
    trail_read(m->pool, m->branches[b].tokens, 0, m->ids);
    return m->ids;
}

const int32_t *eval_model_prm_tokens(struct eval_model *m, branch_id b, uint32_t *n, const uint8_t **scored) {
    *n = judge_prm_tokens(m->judge, b, m->ids, m->flags);
    *scored = m->flags;
    return m->ids;
}

/* ---- costs ---- */

void note_costs(struct eval_model *m) {
    uint64_t bytes = engine_kv_bytes_peak(m->p.policy) + (m->p.prm ? engine_kv_bytes_peak(m->p.prm) : 0);
    if (m->p.draft) bytes += engine_kv_bytes_peak(m->p.draft);
    if (bytes > m->ledger.peak_kv_bytes) m->ledger.peak_kv_bytes = bytes;
    if (!m->judge) return;
    struct judge_cost *c = &m->judge->cost;
    m->ledger.prm_tokens += c->tokens, m->ledger.prm_flops += c->flops;
    m->ledger.shared_tokens += c->shared_tokens, m->ledger.replayed_tokens += c->replayed_tokens;
    m->ledger.pages_copied += c->pages_copied, m->ledger.cached_tokens += c->cached_tokens;
    *c = (struct judge_cost){0};
}

/* ---- score, and what the task knows ---- */

/* All but the last token of each chain are in its KV: for judges that go on from there. */
static enum status read_chains(struct eval_model *m, const branch_id *branches, uint32_t n, struct error *e) {
    for (uint32_t i = 0; i < n; i++) {
        struct branch *b = m->readers[i] = branch_of(m, branches[i]);
        enum status s =
            pass_add(m, b, POLICY, length_of(b) - 1, 0, NULL, m->ids + (size_t)i * m->p.max_tokens, &m->spans[i], e);
        if (s) return s;
    }
    return pass_run(m, POLICY, m->readers, n, e);
}

/* Values as a judge would give them that errs; a chain keeps its error. */
static float blurred(struct eval_model *m, branch_id b, float value) {
    uint64_t key = m->p.noise_key;
    for (const char *c = eval_model_text(m, b); *c; c++) key = (key ^ (unsigned char)*c) * 0x100000001b3u; /* FNV-1a */
    key = rng_fold(key, 0x6e6f697365);
    double p = fmin(fmax((double)value, 0.02), 0.98), radius = sqrt(-2 * log(1 - rng_uniform(key, 0)));
    double odds = log(p / (1 - p)) + m->p.value_noise * radius * cos(2 * M_PI * rng_uniform(key, 1)); /* Box-Muller */
    return (float)(1 / (1 + exp(-odds)));
}

static enum status score_some(struct eval_model *m, const branch_id *branches, uint32_t n, float *value,
                              struct error *e) {
    const struct judge_row *row = m->judge->row;
    for (uint32_t i = 0; i < n; i++) branch_of(m, branches[i])->flops = 0;
    enum status s = row->needs & JUDGE_READS_KV ? read_chains(m, branches, n, e) : OK;
    for (uint32_t i = 0; i < n; i++) {
        const struct branch *b = branch_of(m, branches[i]);
        m->judged[i] = (struct judge_chain){.slot = branches[i],
                                            .seq = b->kv[POLICY].seq,
                                            .len = length_of(b),
                                            .last = trail_last(m->pool, b->tokens),
                                            .logprob = b->logprob,
                                            .n_rated = b->n_rated};
    }
    bool known = m->telling == TELL_RECITED && row->recite;
    if (!s && known) row->recite(m->judge, m->judged, n);
    if (!s && !known) s = row->value(m->judge, m->judged, n, value, e);
    for (uint32_t i = 0; i < n && !s && !known && m->p.value_noise > 0; i++)
        value[i] = blurred(m, branches[i], value[i]);
    for (uint32_t i = 0; i < n; i++) {
        struct branch *b = branch_of(m, branches[i]);
        b->value_cost = (struct value_cost){m->judged[i].tokens, m->judged[i].flops, b->flops};
    }
    return s;
}

static struct value_cost model_value_cost(void *self, branch_id b) { return branch_of(self, b)->value_cost; }

static enum status model_tell(void *self, enum telling how, struct error *e) {
    struct eval_model *m = self;
    if (how && !m->own_logprobs &&
        !(m->own_logprobs = mem_new((size_t)m->p.max_batch * m->p.max_tokens, sizeof *m->own_logprobs)))
        return error_set(e, ERR_MEMORY, "no memory for the log-probabilities of %u texts", m->p.max_batch);
    m->telling = how;
    return OK;
}

static enum status model_score(void *self, const branch_id *branches, size_t n, float *value, struct error *e) {
    struct eval_model *m = self;
    enum status s = OK;
    for (size_t i = 0; i < n; i++) branch_set_busy(m, branches[i], true);
    for (size_t i = 0; i < n && !s; i += m->p.max_batch) {
        uint32_t some = (uint32_t)(n - i < m->p.max_batch ? n - i : m->p.max_batch);
        s = limits_stopped(&m->limits) ? error_set(e, ERR_CANCELLED, "stopped before chains were valued")
                                       : score_some(m, branches + i, some, value + i, e);
    }
    for (size_t i = 0; i < n; i++) branch_set_busy(m, branches[i], false);
    note_costs(m);
    return s;
}

static float reward_of(struct eval_model *m, const char *text, char *reason, size_t cap) {
    *reason = 0;
    float reward = m->p.check(m->p.arg, text, m->limits.deadline_ns, reason, cap);
    return reward > 0 ? (reward < 1 ? reward : 1) : 0;
}

static struct feedback model_check(void *self, branch_id b) {
    struct eval_model *m = self;
    char reason[1024];
    float reward = reward_of(m, eval_model_text(m, b), reason, sizeof reason);
    const char *kept = *reason ? keep_text(m, reason, strlen(reason)) : "";
    return (struct feedback){reward, kept ? kept : ""};
}

static const char *model_answer(void *self, branch_id b) {
    struct eval_model *m = self;
    if (!m->p.answer) return "";
    char out[1024];
    size_t size = m->p.answer(m->p.arg, eval_model_text(m, b), out, sizeof out);
    const char *kept = keep_text(m, out, size < sizeof out ? size : sizeof out - 1);
    return kept ? kept : "";
}

static uint64_t model_state(void *self, branch_id b) {
    struct eval_model *m = self;
    return m->p.state(m->p.arg, eval_model_text(m, b));
}

static void model_limit(void *self, const struct limits *l) {
    struct eval_model *m = self;
    m->limits = l ? *l : (struct limits){.deadline_ns = m->p.deadline_ns, .cancel = m->p.cancel};
    struct client *clients[] = {m->writers[POLICY], m->prm, m->writers[DRAFT]};
    for (int i = 0; i < 3; i++)
        if (clients[i]) engine_set_limits(clients[i], m->limits.deadline_ns, m->limits.cancel);
}

/* What the judge asks for. */

static const char *text_of_slot(void *self, uint32_t slot) { return eval_model_text(self, slot); }

static float oracle_of(void *self, const char *text) {
    struct eval_model *m = self;
    return m->p.oracle(m->p.arg, text);
}

static float check_of(void *self, const char *text) {
    char reason[1024];
    return reward_of(self, text, reason, sizeof reason);
}

static enum status judge_prompt(void *self, uint32_t slot, int32_t **ids, size_t *n, struct error *e) {
    struct eval_model *m = self;
    return m->p.prompt(m->p.arg, ASK_JUDGE, eval_model_text(m, slot), "", ids, n, e);
}

/* ---- open, close ---- */

static enum status alloc_model(struct eval_model *m, struct error *e) {
    const struct eval_params *p = &m->p;
    size_t n = (size_t)p->max_branches + 1;
    m->text_cap = (size_t)p->max_tokens * 64 + 1;
    size_t longest = p->max_tokens > p->max_prm_tokens ? p->max_tokens : p->max_prm_tokens;
    enum status s = trail_pool_new(&m->pool, e);
    if (s) return s;
    if ((m->branches = mem_new(n, sizeof *m->branches)) && (m->free_ids = mem_new(n, sizeof *m->free_ids)) &&
        (m->spans = mem_new(p->max_batch, sizeof *m->spans)) &&
        (m->readers = mem_new(p->max_batch, sizeof *m->readers)) &&
        (m->active = mem_new(p->max_batch, sizeof *m->active)) &&
        (m->judged = mem_new(p->max_batch, sizeof *m->judged)) &&
        (m->ids = mem_new(p->max_batch * longest, sizeof *m->ids)) &&
        (m->given = mem_new(p->max_tokens, sizeof *m->given)) && (m->text = mem_new(m->text_cap, 1)) &&
        (m->flags = mem_new(p->max_prm_tokens, sizeof *m->flags)) &&
        (m->sample.p = mem_new(m->n_vocab, sizeof(float))) && (m->sample.ids = mem_new(m->n_vocab, sizeof(int32_t)))) {
        for (branch_id b = p->max_branches; b >= 1; b--) m->free_ids[m->n_free++] = b;
        return OK;
    }
    return error_set(e, ERR_MEMORY, "no memory for %u branches of %u tokens", p->max_branches, p->max_tokens);
}

/* An engine wants pages back: the search says whose. */
static uint32_t give_back(void *arg, uint32_t n_pages) {
    struct eval_model *m = arg;
    (void)n_pages; /* it asks again */
    return m->limits.make_room && m->limits.make_room(m->limits.arg);
}

/* Pages for the smallest thing that a search does: one chain as long as it can be, beside the prompt that stays; a page
 * that both began is copied.  The judge may ask on a fork, or write a text of its own. */
static uint32_t smallest(const struct eval_model *m, const struct engine *en, size_t n_prompt, uint32_t n_chain) {
    const struct eval_params *p = &m->p;
    const uint32_t chain = engine_pages_for(en, n_chain);
    uint32_t n = engine_pages_for(en, n_prompt < n_chain ? (uint32_t)n_prompt : n_chain) + chain + 1;
    if (p->ptrue) n += engine_pages_for(en, (uint32_t)p->ptrue->n + 1) + 1;
    return p->verifier == VERIFIER_JUDGE ? n + chain + 1 : n;
}

/* In the order that all threads keep, so that nobody waits in a circle. */
static enum status open_clients(struct eval_model *m, const char *prompt, struct error *e) {
    const struct eval_params *p = &m->p;
    const size_t n_prompt = p->prompt_tokens ? p->n_prompt_tokens : strlen(prompt) + 1; /* a token is a byte or more */
    const size_t n_told = n_prompt + strlen(p->problem ? p->problem : prompt) + PRM_PROMPT;
    struct client_params policy = {.min_pages = smallest(m, p->policy, n_prompt, p->max_tokens),
                                   .priority = p->priority,
                                   .deadline_ns = p->deadline_ns,
                                   .cancel = p->cancel,
                                   .reclaim = give_back,
                                   .arg = m},
                         prm = policy;
    if (p->prm) prm.min_pages = smallest(m, p->prm, n_told, p->max_prm_tokens);
    enum status s = engine_client_new(p->policy, &policy, &m->writers[POLICY], e);
    if (!s && p->prm) s = engine_client_new(p->prm, &prm, &m->prm, e);
    if (!s && p->draft) s = engine_client_new(p->draft, &policy, &m->writers[DRAFT], e);
    model_limit(m, NULL);
    return s;
}

const char *verifier_name(enum verifier v) {
    static const char *const names[] = {"prm", "ptrue", "logprob", "judge", "check", "none"};
    return names[v];
}

static enum status open_judge(struct eval_model *m, struct error *e) {
    const struct eval_params *p = &m->p;
    const char *name = p->oracle ? "oracle" : verifier_name(p->verifier);
    if ((p->verifier == VERIFIER_NONE && !p->oracle) || (p->verifier == VERIFIER_PRM && !p->oracle && !p->prm))
        return OK;
    if (p->verifier == VERIFIER_JUDGE && !(p->asks & 1u << ASK_JUDGE))
        return error_set(e, ERR_INPUT,
                         "--verifier judge: the task has no prompt for it, or the model takes no messages");
    if (p->verifier == VERIFIER_CHECK && !p->check)
        return error_set(e, ERR_INPUT, "--verifier check: nobody knows the right answer");
    struct judge_params jp = {.policy = m->writers[POLICY],
                              .prm = m->prm,
                              .reader = p->reader,
                              .ptrue = p->ptrue,
                              .tok = p->tok,
                              .agg = p->agg,
                              .n_slots = p->max_branches,
                              .max_batch = p->max_batch,
                              .max_tokens = p->max_prm_tokens,
                              .max_judgement = p->max_step_tokens,
                              .chains = {m, text_of_slot, judge_prompt, NULL, oracle_of, check_of}};
    return judge_open(judge_find(name), &jp, &m->judge, e);
}

/* All of the prompt through the judge, all but its last token through the models that write.  Pages that an earlier
 * search left behind are not computed again. */
static enum status read_root(struct eval_model *m, const char *prompt, struct error *e) {
    const struct eval_params *p = &m->p;
    size_t n = p->n_prompt_tokens;
    enum status s = OK;
    m->root = branch_new(m);
    m->branches[m->root].grammar = p->constraint;
    if (p->prompt_tokens)
        memcpy(m->given, p->prompt_tokens, (n < p->max_tokens ? n : p->max_tokens) * sizeof *m->given);
    else s = tok_encode(p->tok, prompt, strlen(prompt), false, tok_adds_bos(p->tok), m->given, p->max_tokens, &n, e);
    if (s) return s;
    if (n == 0 || n >= p->max_tokens)
        return error_set(e, ERR_INPUT, "the prompt has %zu tokens, allowed 1 to %u (-c)", n, p->max_tokens - 1);
    if ((s = branch_read_prompt(m, m->root, m->given, (uint32_t)n, e)) || !m->judge || !m->judge->row->begin) return s;
    return m->judge->row->begin(m->judge, m->root, p->problem ? p->problem : prompt, m->given, (uint32_t)n, e);
}

static struct eval_params with_defaults(const struct eval_params *given) {
    struct eval_params p = *given;
    if (p.verifier != VERIFIER_PRM || p.oracle) p.prm = NULL;
    if (p.verifier != VERIFIER_PTRUE) p.ptrue = NULL;
    if (p.ptrue) p.max_tokens = p.max_tokens > p.ptrue->n ? p.max_tokens - (uint32_t)p.ptrue->n : 1;
    if (!p.reader) p.reader = prm_value_reader();
    if (!p.max_prm_tokens) p.max_prm_tokens = p.max_tokens;
    if (!p.prompt) p.asks = 0;
    return p;
}

static struct evaluator evaluator_of(struct eval_model *m) {
    const struct eval_params *p = &m->p;
    struct evaluator ev = {.self = m,
                           .root = m->root,
                           .ledger = &m->ledger,
                           .can = CAN_ANSWER | CAN_PUT | CAN_PROPOSE | p->asks * CAN_ASK,
                           .limit = model_limit,
                           .fork = branch_fork,
                           .drop = branch_drop,
                           .evict = branch_evict,
                           .extend = eval_extend,
                           .answer = model_answer,
                           .put = eval_put,
                           .propose = eval_propose,
                           .tell = model_tell,
                           .value_cost = model_value_cost};
    if (m->judge) ev.can |= CAN_VALUE, ev.score = model_score;
    if (p->check) ev.can |= CAN_CHECK, ev.check = model_check;
    if (p->state) ev.can |= CAN_STATE, ev.state = model_state;
    if (p->draft) ev.can |= CAN_DRAFT;
    if (p->asks) ev.begin = branch_begin;
    return ev;
}

enum status eval_model_open(const struct eval_params *p, const char *prompt, struct eval_model **out,
                            struct evaluator *ev, struct error *e) {
    *out = NULL;
    if (p->draft && engine_n_out(p->draft) != engine_n_out(p->policy))
        return error_set(e, ERR_INPUT, "the draft model has %u tokens, the policy %u: they must share a vocabulary",
                         engine_n_out(p->draft), engine_n_out(p->policy));
    struct eval_model *m = mem_new(1, sizeof *m);
    if (!m) return error_set(e, ERR_MEMORY, "no memory for an evaluator");
    m->p = with_defaults(p);
    m->n_vocab = engine_n_out(p->policy);
    enum status s = alloc_model(m, e);
    if (!s) s = open_clients(m, prompt ? prompt : "", e);
    if (!s) s = write_alloc(m, e);
    if (!s) s = open_judge(m, e);
    if (s || (s = read_root(m, prompt, e))) {
        eval_model_close(&m);
        return s;
    }
    note_costs(m);
    *ev = evaluator_of(m);
    *out = m;
    return OK;
}

void eval_model_close(struct eval_model **mp) {
    struct eval_model *m = *mp;
    if (!m) return;
    for (branch_id b = 1; m->branches && b <= m->p.max_branches; b++)
        if (m->branches[b].live) {
            branch_id id = b;
            branch_drop(m, &id);
        }
    assert(!m->pool || trail_blocks_used(m->pool) == 0);
    for (struct text_block *t = m->texts, *next; t; t = next) {
        next = t->next;
        mem_free(t);
    }
    judge_close(&m->judge);
    trail_pool_free(&m->pool);
    write_free(m);
    drawn_free(&m->drawn);
    if (m->writers[DRAFT]) engine_client_free(&m->writers[DRAFT]);
    if (m->prm) engine_client_free(&m->prm);
    if (m->writers[POLICY]) engine_client_free(&m->writers[POLICY]);
    mem_free(m->branches), mem_free(m->free_ids), mem_free(m->spans), mem_free(m->readers), mem_free(m->active);
    mem_free(m->judged), mem_free(m->ids), mem_free(m->given), mem_free(m->text), mem_free(m->flags);
    mem_free(m->sample.p), mem_free(m->sample.ids);
    mem_free(m);
    *mp = NULL;
}
