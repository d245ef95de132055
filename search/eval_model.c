/* eval_model.c: branches made of a policy sequence and a PRM sequence, behind the seam of search.h.
 * Not a strategy and not the engine: one evaluator serves one search on one thread; engines are shared.
 * Next: search/strategies/mcts.c for what drives it. */
#include "search/eval_model.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

struct chain {
    uint32_t policy_seq, prm_seq; /* 0: no KV (new, or evicted) */
    uint32_t n_tokens, n_policy;  /* tokens; how many of them are in the KV */
    uint32_t n_reward, n_prm;     /* the same for the reward model's */
    double logprob;               /* of the generated tokens */
    uint32_t n_reward_before;     /* before the newest step, so that it can be undone */
    double logprob_before;
    struct prm_chain values;
    bool live;
};

struct text_block {
    struct text_block *next;
    size_t used, cap;
    char data[];
};

struct eval_model {
    struct eval_params p;
    struct client *policy, *prm; /* of the engines; prm NULL: none */
    struct ledger ledger;
    struct limits limits;
    uint32_t n_prompt, n_vocab, n_out; /* n_out: of the reward model, per token */
    struct prm_prompt prm_prompt;
    struct chain *chains;   /* [max_branches + 1], 0 unused */
    int32_t *tokens;        /* [max_branches + 1, max_tokens] */
    int32_t *reward_tokens; /* [max_branches + 1, max_prm_tokens] */
    uint8_t *scored;        /* the same: 1 where a step's value is read */
    branch_id *free_ids;    /* stack */
    uint32_t n_free;
    branch_id root;
    float *logits;      /* [max_batch, n_vocab] */
    float *outputs;     /* [max_batch, max_prm_tokens, n_out] reward model */
    int32_t *asked;     /* [max_batch, 1 + ptrue->n] */
    uint32_t *asking;   /* [max_batch] forks of the policy's sequences */
    struct span *spans; /* [max_batch] */
    uint32_t *active;   /* [max_batch] */
    struct sample_scratch scratch;
    struct text_block *texts;
    char *text; /* [text_cap] of one chain */
    size_t text_cap;
};

static int32_t *tokens_of(const struct eval_model *m, branch_id b) { return m->tokens + (size_t)b * m->p.max_tokens; }

static int32_t *reward_tokens_of(const struct eval_model *m, branch_id b) {
    return m->reward_tokens + (size_t)b * m->p.max_prm_tokens;
}

static uint8_t *scored_of(const struct eval_model *m, branch_id b) {
    return m->scored + (size_t)b * m->p.max_prm_tokens;
}

/* NUL-terminated copy that lives until close; NULL when memory is out. */
static const char *keep_text(struct eval_model *m, const char *text, size_t size) {
    struct text_block *t = m->texts;
    if (!t || t->cap - t->used < size + 1) {
        size_t cap = size + 1 > 65536 ? size + 1 : 65536;
        if (!(t = mem_new(sizeof *t + cap, 1))) return NULL;
        t->next = m->texts, t->cap = cap, m->texts = t;
    }
    char *at = t->data + t->used;
    memcpy(at, text, size);
    at[size] = 0;
    t->used += size + 1;
    return at;
}

/* ---- fork, drop, evict ---- */

static branch_id take_id(struct eval_model *m) { return m->n_free ? m->free_ids[--m->n_free] : 0; }

static enum status model_fork(void *self, branch_id from, branch_id *to, struct error *e) {
    struct eval_model *m = self;
    const struct chain *a = &m->chains[from];
    assert(a->live);
    branch_id id = take_id(m);
    if (!id) return error_set(e, ERR_FULL, "all %u branches are in use", m->p.max_branches);
    struct chain *b = &m->chains[id];
    *b = *a;
    b->policy_seq = a->policy_seq ? engine_fork(m->policy, a->policy_seq) : 0;
    b->prm_seq = a->prm_seq ? engine_fork(m->prm, a->prm_seq) : 0;
    if ((a->policy_seq && !b->policy_seq) || (a->prm_seq && !b->prm_seq)) {
        if (b->policy_seq) engine_drop(m->policy, &b->policy_seq);
        if (b->prm_seq) engine_drop(m->prm, &b->prm_seq);
        b->live = false;
        m->free_ids[m->n_free++] = id;
        return error_set(e, ERR_FULL, "all KV sequences are in use");
    }
    memcpy(tokens_of(m, id), tokens_of(m, from), a->n_tokens * sizeof(int32_t));
    memcpy(reward_tokens_of(m, id), reward_tokens_of(m, from), a->n_reward * sizeof(int32_t));
    memcpy(scored_of(m, id), scored_of(m, from), a->n_reward);
    m->ledger.forks++;
    m->ledger.shared_tokens += b->n_policy + b->n_prm;
    *to = id;
    return OK;
}

static void model_evict(void *self, branch_id b) {
    struct eval_model *m = self;
    struct chain *c = &m->chains[b];
    if (c->policy_seq) engine_drop(m->policy, &c->policy_seq);
    if (c->prm_seq) engine_drop(m->prm, &c->prm_seq);
    m->ledger.replayed_tokens += c->n_policy + c->n_prm; /* what using it again will cost */
    c->n_policy = c->n_prm = 0;
}

static void model_drop(void *self, branch_id *b) {
    struct eval_model *m = self;
    if (!*b) return;
    struct chain *c = &m->chains[*b];
    assert(c->live);
    if (c->policy_seq) engine_drop(m->policy, &c->policy_seq);
    if (c->prm_seq) engine_drop(m->prm, &c->prm_seq);
    c->live = false;
    m->free_ids[m->n_free++] = *b;
    *b = 0;
}

/* ---- running engines ---- */

static void note_peak(struct eval_model *m) {
    uint64_t bytes = engine_kv_bytes_peak(m->p.policy) + (m->p.prm ? engine_kv_bytes_peak(m->p.prm) : 0);
    if (bytes > m->ledger.peak_kv_bytes) m->ledger.peak_kv_bytes = bytes;
}

static uint64_t flops_of(const struct engine *en, uint32_t from, uint32_t to, uint32_t n_out) {
    uint64_t sum = 0;
    for (uint32_t pos = from; pos < to; pos++) sum += model_flops(engine_model(en), pos, pos + n_out >= to);
    return sum;
}

/* ERR_FULL when no sequence is free. */
static enum status need_seq(struct client *c, uint32_t *seq, struct error *e) {
    if (!*seq && !(*seq = engine_seq_new(c))) return error_set(e, ERR_FULL, "all KV sequences are in use");
    return OK;
}

/* ---- extend ---- */

/* Reads the unread tokens of the active branches; logits row i belongs to active[i]. */
static enum status read_pending(struct eval_model *m, const struct step *steps, uint32_t n_active, struct error *e) {
    for (uint32_t i = 0; i < n_active; i++) {
        struct chain *c = &m->chains[steps[m->active[i]].branch];
        enum status s = need_seq(m->policy, &c->policy_seq, e);
        if (s) return s;
        m->spans[i] = (struct span){.seq = c->policy_seq,
                                    .n_tokens = c->n_tokens - c->n_policy,
                                    .n_out = 1,
                                    .tokens = tokens_of(m, steps[m->active[i]].branch) + c->n_policy,
                                    .out = m->logits + (size_t)i * m->n_vocab};
    }
    enum status s = engine_run(m->policy, m->spans, n_active, &m->ledger.pages_copied, e);
    if (s) return s;
    for (uint32_t i = 0; i < n_active; i++) {
        struct chain *c = &m->chains[steps[m->active[i]].branch];
        m->ledger.policy_flops += flops_of(m->p.policy, c->n_policy, c->n_tokens, 1);
        c->n_policy = c->n_tokens;
    }
    return OK;
}

/* Text of n tokens of a chain, without control tokens, in m->text; its size. */
static size_t decode(struct eval_model *m, const int32_t *ids, uint32_t n) {
    size_t size;
    tok_decode(m->p.tok, ids, n, false, m->text, m->text_cap, &size);
    return size < m->text_cap ? size : m->text_cap - 1;
}

/* The same for the newest n tokens of a chain.  They continue a text: with the token before them, a space that they begin
 * with is not taken for that of the beginning. */
static size_t decode_step(struct eval_model *m, const int32_t *ids, uint32_t n) {
    size_t before = decode(m, ids - 1, 1), size = decode(m, ids - 1, n + 1);
    if (before > size) before = size;
    memmove(m->text, m->text + before, size - before + 1);
    return size - before;
}

/* Whether the newest token of a step ends it.  An empty step says nothing: what it begins with does not end it. */
static bool ends_step(struct eval_model *m, const int32_t *ids, uint32_t n) {
    const char *d = m->p.delimiter;
    if (!d) return ids[n - 1] == m->p.separator;
    size_t n_d = strlen(d), size = decode_step(m, ids, n), at = 0;
    for (size_t before = 1; before != at;) {
        before = at;
        at += strspn(m->text + at, " \t\r\n");
        if (size - at >= n_d && !memcmp(m->text + at, d, n_d)) at += n_d;
    }
    return memmem(m->text + at, size - at, d, n_d) != NULL;
}

/* Draws one token for a step; true when the step has ended. */
static bool draw_token(struct eval_model *m, struct step *st, const float *logits) {
    struct chain *c = &m->chains[st->branch];
    struct sample_params sp = m->p.sampling;
    sp.temperature = st->temperature;
    float logprob = 0;
    int32_t id = sample_token(&sp, logits, m->n_vocab, st->key, st->n_tokens, &m->scratch, &logprob);
    if (id < 0) {
        st->end = STEP_DEAD;
        return true;
    }
    tokens_of(m, st->branch)[c->n_tokens++] = id;
    st->n_tokens++;
    st->logprob += logprob, c->logprob += logprob;
    m->ledger.generated_tokens++;
    if (tok_is_end(m->p.tok, id)) st->end = STEP_FINISHED;
    else if (ends_step(m, tokens_of(m, st->branch) + c->n_tokens - st->n_tokens, st->n_tokens))
        st->end = STEP_SEPARATOR;
    else if (st->n_tokens == m->p.max_step_tokens || c->n_tokens == m->p.max_tokens) st->end = STEP_TRUNCATED;
    else return false;
    return true;
}

static enum status set_step_text(struct eval_model *m, struct step *st, struct error *e) {
    const struct chain *c = &m->chains[st->branch];
    const char *d = m->p.delimiter;
    uint32_t n = st->n_tokens - (st->end == STEP_FINISHED || (st->end == STEP_SEPARATOR && !d));
    size_t size = decode_step(m, tokens_of(m, st->branch) + c->n_tokens - st->n_tokens, n), n_d = d ? strlen(d) : 0;
    if (st->end == STEP_SEPARATOR && size >= n_d && !memcmp(m->text + size - n_d, d ? d : "", n_d)) size -= n_d;
    st->text = keep_text(m, m->text, size);
    return st->text ? OK : error_set(e, ERR_MEMORY, "no memory for the text of a step");
}

/* What the reward model will read for a step.  Without room for it the chain cannot be judged any more. */
static enum status put_reward_tokens(struct eval_model *m, struct step *st, struct error *e) {
    struct chain *c = &m->chains[st->branch];
    size_t n, cap = m->p.max_prm_tokens - c->n_reward;
    bool scored;
    struct prm_step step = {.tokens = tokens_of(m, st->branch) + c->n_tokens - st->n_tokens,
                            .n_tokens = st->n_tokens,
                            .text = st->text,
                            .size = strlen(st->text),
                            .ended = st->end == STEP_SEPARATOR || st->end == STEP_FINISHED,
                            .first = c->n_reward == m->prm_prompt.n};
    enum status s = prm_put_step(m->p.reader, &m->prm_prompt, &step, reward_tokens_of(m, st->branch) + c->n_reward, cap,
                                 &n, &scored, e);
    if (s) return s;
    if (n > cap) {
        st->end = STEP_TRUNCATED;
        return OK;
    }
    memset(scored_of(m, st->branch) + c->n_reward, 0, n);
    c->n_reward += (uint32_t)n;
    if (n) scored_of(m, st->branch)[c->n_reward - 1] = scored;
    return OK;
}

/* Back to the chains before this call; what the engines did meanwhile is cut off. */
static void undo_steps(struct eval_model *m, struct step *steps, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct chain *c = &m->chains[steps[i].branch];
        c->n_tokens -= steps[i].n_tokens;
        c->n_reward = c->n_reward_before, c->logprob = c->logprob_before;
        uint32_t keep = c->n_tokens ? c->n_tokens - 1 : 0;
        if (c->policy_seq && c->n_policy > keep) {
            engine_truncate(m->policy, c->policy_seq, keep);
            c->n_policy = keep;
        }
        m->ledger.generated_tokens -= steps[i].n_tokens;
        steps[i].n_tokens = 0;
    }
}

static enum status extend_some(struct eval_model *m, struct step *steps, uint32_t n, struct error *e) {
    uint32_t n_active = 0;
    for (uint32_t i = 0; i < n; i++) {
        steps[i].n_tokens = 0, steps[i].logprob = 0, steps[i].text = "";
        steps[i].end = STEP_TRUNCATED;
        struct chain *c = &m->chains[steps[i].branch];
        c->n_reward_before = c->n_reward, c->logprob_before = c->logprob;
        if (c->n_tokens < m->p.max_tokens) m->active[n_active++] = i;
    }
    enum status s = OK;
    while (n_active && !s && !limits_reached(&m->limits, &m->ledger)) {
        if ((s = read_pending(m, steps, n_active, e))) break;
        uint32_t still = 0;
        for (uint32_t i = 0; i < n_active; i++) {
            struct step *st = &steps[m->active[i]];
            if (!draw_token(m, st, m->logits + (size_t)i * m->n_vocab)) m->active[still++] = m->active[i];
        }
        n_active = still;
    }
    for (uint32_t i = 0; i < n && !s; i++)
        if (!(s = set_step_text(m, &steps[i], e)) && m->p.prm) s = put_reward_tokens(m, &steps[i], e);
    for (uint32_t i = 0; i < n && !s && m->p.complete; i++)
        if (steps[i].end == STEP_SEPARATOR && m->p.complete(m->p.arg, steps[i].text)) steps[i].end = STEP_FINISHED;
    if (s) undo_steps(m, steps, n);
    note_peak(m);
    return s;
}

static enum status model_extend(void *self, struct step *steps, size_t n, struct error *e) {
    struct eval_model *m = self;
    for (size_t i = 0; i < n; i += m->p.max_batch) {
        size_t some = n - i < m->p.max_batch ? n - i : m->p.max_batch;
        enum status s = extend_some(m, steps + i, (uint32_t)some, e);
        if (s) {
            undo_steps(m, steps, i);
            return s;
        }
    }
    return OK;
}

/* ---- score ---- */

const char *eval_model_text(struct eval_model *m, branch_id b) {
    decode(m, tokens_of(m, b) + m->n_prompt, m->chains[b].n_tokens - m->n_prompt);
    return m->text;
}

const int32_t *eval_model_tokens(const struct eval_model *m, branch_id b, uint32_t *n) {
    *n = m->chains[b].n_tokens;
    return tokens_of(m, b);
}

const int32_t *eval_model_prm_tokens(const struct eval_model *m, branch_id b, uint32_t *n, const uint8_t **scored) {
    *n = m->chains[b].n_reward;
    *scored = scored_of(m, b);
    return reward_tokens_of(m, b);
}

/* The reward model reads what is new in each chain; every step's end in it adds a step value. */
static enum status read_rewards(struct eval_model *m, const branch_id *branches, uint32_t n, struct error *e) {
    for (uint32_t i = 0; i < n; i++) {
        struct chain *c = &m->chains[branches[i]];
        enum status s = need_seq(m->prm, &c->prm_seq, e);
        if (s) return s;
        uint32_t fresh = c->n_reward - c->n_prm;
        m->spans[i] = (struct span){.seq = c->prm_seq,
                                    .n_tokens = fresh,
                                    .n_out = fresh,
                                    .tokens = reward_tokens_of(m, branches[i]) + c->n_prm,
                                    .out = m->outputs + (size_t)i * m->p.max_prm_tokens * m->n_out};
    }
    enum status s = engine_run(m->prm, m->spans, n, &m->ledger.pages_copied, e);
    if (s) return s;
    for (uint32_t i = 0; i < n; i++) {
        struct chain *c = &m->chains[branches[i]];
        const uint8_t *scored = scored_of(m, branches[i]) + c->n_prm;
        uint32_t fresh = c->n_reward - c->n_prm, known = c->values.n_steps, seen = 0;
        m->ledger.prm_tokens += fresh;
        m->ledger.prm_flops += flops_of(m->p.prm, c->n_prm, c->n_reward, fresh);
        /* After an eviction the whole chain is read again: values known already are not added twice. */
        for (uint32_t j = 0; j < fresh; j++)
            if (scored[j] && (c->n_prm > 0 || ++seen > known))
                prm_chain_add(&c->values, prm_reader_value(m->p.reader, m->spans[i].out + (size_t)j * m->n_out));
        c->n_prm = c->n_reward;
    }
    return OK;
}

/* P(True): all but the last token of each chain is in its KV ... */
static enum status read_chains(struct eval_model *m, const branch_id *branches, uint32_t n, struct error *e) {
    for (uint32_t i = 0; i < n; i++) {
        struct chain *c = &m->chains[branches[i]];
        enum status s = need_seq(m->policy, &c->policy_seq, e);
        if (s) return s;
        m->spans[i] = (struct span){.seq = c->policy_seq,
                                    .n_tokens = c->n_tokens - 1 - c->n_policy,
                                    .tokens = tokens_of(m, branches[i]) + c->n_policy};
    }
    enum status s = engine_run(m->policy, m->spans, n, &m->ledger.pages_copied, e);
    for (uint32_t i = 0; i < n && !s; i++) {
        struct chain *c = &m->chains[branches[i]];
        m->ledger.policy_flops += flops_of(m->p.policy, c->n_policy, c->n_tokens - 1, 0);
        c->n_policy = c->n_tokens - 1;
    }
    return s;
}

/* ... a fork of it reads the last one, unless it is an end token, and the question. */
static enum status fork_and_ask(struct eval_model *m, const branch_id *branches, uint32_t n, struct error *e) {
    const struct ptrue *q = m->p.ptrue;
    uint32_t n_forks = 0;
    enum status s = OK;
    for (; n_forks < n && !s; n_forks++) {
        const struct chain *c = &m->chains[branches[n_forks]];
        int32_t *ids = m->asked + n_forks * (1 + q->n), last = tokens_of(m, branches[n_forks])[c->n_tokens - 1];
        uint32_t n_ids = 0;
        if (!tok_is_end(m->p.tok, last)) ids[n_ids++] = last;
        memcpy(ids + n_ids, q->ids, q->n * sizeof *ids);
        n_ids += (uint32_t)q->n;
        if (!(m->asking[n_forks] = engine_fork(m->policy, c->policy_seq))) {
            s = error_set(e, ERR_FULL, "all KV sequences are in use");
            break;
        }
        m->spans[n_forks] = (struct span){m->asking[n_forks], n_ids, 1, ids, m->logits + (size_t)n_forks * m->n_vocab};
    }
    if (!s) s = engine_run(m->policy, m->spans, n, &m->ledger.pages_copied, e);
    for (uint32_t i = 0; i < n_forks; i++) engine_drop(m->policy, &m->asking[i]);
    return s;
}

static enum status ask_some(struct eval_model *m, const branch_id *branches, uint32_t n, float *value,
                            struct error *e) {
    enum status s = read_chains(m, branches, n, e);
    if (s || (s = fork_and_ask(m, branches, n, e))) return s;
    for (uint32_t i = 0; i < n; i++) {
        const struct chain *c = &m->chains[branches[i]];
        value[i] = ptrue_value(m->p.ptrue, m->spans[i].out);
        m->ledger.prm_tokens += m->spans[i].n_tokens;
        m->ledger.prm_flops += flops_of(m->p.policy, c->n_policy, c->n_policy + m->spans[i].n_tokens, 1);
    }
    return OK;
}

static float mean_probability(const struct eval_model *m, const struct chain *c) {
    uint32_t n = c->n_tokens - m->n_prompt;
    return n ? (float)exp(c->logprob / n) : 0.5f;
}

static float value_of(struct eval_model *m, branch_id b) {
    if (m->p.oracle) return m->p.oracle(m->p.arg, eval_model_text(m, b));
    const struct chain *c = &m->chains[b];
    return m->p.verifier == VERIFIER_LOGPROB ? mean_probability(m, c) : prm_chain_value(&c->values, m->p.agg);
}

static enum status model_score(void *self, const branch_id *branches, size_t n, float *value, struct error *e) {
    struct eval_model *m = self;
    bool asks = !m->p.oracle && m->p.verifier == VERIFIER_PTRUE, reads = !m->p.oracle && m->p.prm;
    for (size_t i = 0; i < n && (asks || reads); i += m->p.max_batch) {
        uint32_t some = (uint32_t)(n - i < m->p.max_batch ? n - i : m->p.max_batch);
        enum status s = asks ? ask_some(m, branches + i, some, value + i, e) : read_rewards(m, branches + i, some, e);
        if (s) return s;
    }
    for (size_t i = 0; i < n && !asks; i++) value[i] = value_of(m, branches[i]);
    note_peak(m);
    return OK;
}

static struct feedback model_check(void *self, branch_id b) {
    struct eval_model *m = self;
    return (struct feedback){(float)m->p.check(m->p.arg, eval_model_text(m, b)), ""};
}

static void model_limit(void *self, const struct limits *l) {
    struct eval_model *m = self;
    m->limits = l ? *l : (struct limits){0};
}

static const char *model_answer(void *self, branch_id b) {
    struct eval_model *m = self;
    if (!m->p.answer) return "";
    char out[1024];
    size_t size = m->p.answer(m->p.arg, eval_model_text(m, b), out, sizeof out);
    const char *kept = keep_text(m, out, size < sizeof out ? size : sizeof out - 1);
    return kept ? kept : "";
}

/* ---- open, close ---- */

static enum status alloc_model(struct eval_model *m, struct error *e) {
    const struct eval_params *p = &m->p;
    size_t n = (size_t)p->max_branches + 1, n_reward = p->prm ? p->max_prm_tokens : 0;
    size_t n_asked = p->ptrue ? 1 + p->ptrue->n : 0;
    m->text_cap = (size_t)p->max_tokens * 64 + 1;
    if ((m->chains = mem_new(n, sizeof *m->chains)) && (m->tokens = mem_new(n * p->max_tokens, sizeof *m->tokens)) &&
        (m->reward_tokens = mem_new(n * n_reward, sizeof *m->reward_tokens)) &&
        (m->scored = mem_new(n * n_reward, 1)) && (m->free_ids = mem_new(n, sizeof *m->free_ids)) &&
        (m->spans = mem_new(p->max_batch, sizeof *m->spans)) &&
        (m->active = mem_new(p->max_batch, sizeof *m->active)) && (m->text = mem_new(m->text_cap, 1)) &&
        (m->logits = mem_new((size_t)p->max_batch * m->n_vocab, sizeof(float))) &&
        (m->outputs = mem_new(p->max_batch * n_reward, m->n_out * sizeof(float))) &&
        (m->asked = mem_new(p->max_batch * n_asked, sizeof(int32_t))) &&
        (m->asking = mem_new(p->max_batch, sizeof(uint32_t))) && (m->scratch.p = mem_new(m->n_vocab, sizeof(float))) &&
        (m->scratch.ids = mem_new(m->n_vocab, sizeof(int32_t)))) {
        for (branch_id b = p->max_branches; b >= 1; b--) m->free_ids[m->n_free++] = b;
        return OK;
    }
    return error_set(e, ERR_MEMORY, "no memory for %u branches of %u tokens", p->max_branches, p->max_tokens);
}

static enum status open_clients(struct eval_model *m, struct error *e) {
    struct client_params p = {.deadline_ns = m->p.deadline_ns, .cancel = m->p.cancel};
    enum status s = engine_client_new(m->p.policy, &p, &m->policy, e);
    return s || !m->p.prm ? s : engine_client_new(m->p.prm, &p, &m->prm, e);
}

/* All of what the reward model reads before the first step. */
static enum status read_reward_prompt(struct eval_model *m, const char *problem, struct error *e) {
    struct chain *c = &m->chains[m->root];
    enum status s = prm_begin(m->p.reader, problem, tokens_of(m, m->root), m->n_prompt, &m->prm_prompt, e);
    if (s) return s;
    if (m->prm_prompt.n >= m->p.max_prm_tokens)
        return error_set(e, ERR_INPUT, "the reward model's prompt has %zu tokens, allowed 1 to %u (-c)",
                         m->prm_prompt.n, m->p.max_prm_tokens - 1);
    memcpy(reward_tokens_of(m, m->root), m->prm_prompt.ids, m->prm_prompt.n * sizeof(int32_t));
    c->n_reward = (uint32_t)m->prm_prompt.n;
    if ((s = need_seq(m->prm, &c->prm_seq, e))) return s;
    struct reading r = {.seq = c->prm_seq, .n = c->n_reward, .tokens = m->prm_prompt.ids};
    if (r.n && (s = engine_read(m->prm, &r, e))) return s;
    c->n_prm = c->n_reward;
    m->ledger.shared_tokens += r.n_cached, m->ledger.pages_copied += r.pages_copied;
    m->ledger.prm_tokens += r.n - r.n_cached;
    m->ledger.prm_flops += flops_of(m->p.prm, r.n_cached, r.n, 0);
    return OK;
}

/* The prompt: all of it through the reward model, all but its last token through the policy.  Pages that an earlier search
 * left behind are not computed again. */
static enum status read_prompt(struct eval_model *m, const char *prompt, struct error *e) {
    size_t n;
    m->root = take_id(m);
    struct chain *c = &m->chains[m->root];
    int32_t *tokens = tokens_of(m, m->root);
    c->live = true;
    enum status s = OK;
    if (m->p.prompt_tokens) {
        n = m->p.n_prompt_tokens;
        memcpy(tokens, m->p.prompt_tokens, (n < m->p.max_tokens ? n : m->p.max_tokens) * sizeof *tokens);
    } else {
        s = tok_encode(m->p.tok, prompt, strlen(prompt), false, tok_adds_bos(m->p.tok), tokens, m->p.max_tokens, &n, e);
    }
    if (s) return s;
    if (n == 0 || n >= m->p.max_tokens)
        return error_set(e, ERR_INPUT, "the prompt has %zu tokens, allowed 1 to %u (-c)", n, m->p.max_tokens - 1);
    c->n_tokens = m->n_prompt = (uint32_t)n;
    m->ledger.prompt_tokens = n;
    if ((s = need_seq(m->policy, &c->policy_seq, e))) return s;
    struct reading r = {.seq = c->policy_seq, .n = (uint32_t)n - 1, .tokens = tokens};
    if (r.n && (s = engine_read(m->policy, &r, e))) return s;
    c->n_policy = r.n;
    m->ledger.policy_flops += flops_of(m->p.policy, r.n_cached, r.n, 0);
    m->ledger.shared_tokens += r.n_cached, m->ledger.pages_copied += r.pages_copied;
    return m->p.prm ? read_reward_prompt(m, m->p.problem ? m->p.problem : prompt, e) : OK;
}

static struct eval_params with_defaults(const struct eval_params *given) {
    struct eval_params p = *given;
    if (p.verifier != VERIFIER_PRM) p.prm = NULL;
    if (p.verifier != VERIFIER_PTRUE) p.ptrue = NULL;
    if (p.ptrue) p.max_tokens = p.max_tokens > p.ptrue->n ? p.max_tokens - (uint32_t)p.ptrue->n : 1;
    if (!p.reader) p.reader = prm_value_reader();
    if (!p.max_prm_tokens) p.max_prm_tokens = p.max_tokens;
    return p;
}

enum status eval_model_open(const struct eval_params *p, const char *prompt, struct eval_model **out,
                            struct evaluator *ev, struct error *e) {
    *out = NULL;
    struct eval_model *m = mem_new(1, sizeof *m);
    if (!m) return error_set(e, ERR_MEMORY, "no memory for an evaluator");
    m->p = with_defaults(p);
    m->n_vocab = engine_n_out(p->policy), m->n_out = m->p.prm ? engine_n_out(p->prm) : 1;
    bool scores = p->oracle || m->p.prm || m->p.ptrue || p->verifier == VERIFIER_LOGPROB;
    enum status s = alloc_model(m, e);
    if (!s) s = open_clients(m, e);
    if (s || (s = read_prompt(m, prompt, e))) {
        eval_model_close(&m);
        return s;
    }
    note_peak(m);
    *ev = (struct evaluator){.self = m,
                             .root = m->root,
                             .ledger = &m->ledger,
                             .can = (scores ? CAN_VALUE : 0) | (p->check ? CAN_CHECK : 0) | CAN_ANSWER,
                             .limit = model_limit,
                             .fork = model_fork,
                             .drop = model_drop,
                             .evict = model_evict,
                             .extend = model_extend,
                             .score = scores ? model_score : NULL,
                             .check = p->check ? model_check : NULL,
                             .answer = model_answer};
    *out = m;
    return OK;
}

void eval_model_close(struct eval_model **mp) {
    struct eval_model *m = *mp;
    if (!m) return;
    for (branch_id b = 1; m->chains && b <= m->p.max_branches; b++)
        if (m->chains[b].live) {
            branch_id id = b;
            model_drop(m, &id);
        }
    for (struct text_block *t = m->texts, *next; t; t = next) {
        next = t->next;
        mem_free(t);
    }
    if (m->prm) engine_client_free(&m->prm);
    if (m->policy) engine_client_free(&m->policy);
    prm_prompt_free(&m->prm_prompt);
    mem_free(m->reward_tokens), mem_free(m->scored), mem_free(m->asked), mem_free(m->asking);
    mem_free(m->chains), mem_free(m->tokens), mem_free(m->free_ids), mem_free(m->spans), mem_free(m->active);
    mem_free(m->text), mem_free(m->logits), mem_free(m->outputs), mem_free(m->scratch.p), mem_free(m->scratch.ids);
    mem_free(m);
    *mp = NULL;
}
