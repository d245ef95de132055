/* eval_write.c: steps on branches, drawn token by token by the policy or by the draft model.
 * Not tokens that are given or only looked at: eval_put.c.
 * Next: eval_put.c; prm/judge.h for what becomes of a step. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "search/eval_internal.h"

/* ---- where steps end ---- */

/* Does the newest token of a branch end its step?  An empty step says nothing: what it begins with does not end it. */
static bool ends_step(struct eval_model *m, const struct branch *b, int32_t newest) {
    const char *d = m->p.delimiter;
    if (!d) return newest == m->p.separator;
    size_t n_d = strlen(d), size = decode_from(m, b, b->step_at, length_of(b) - b->step_at), at = 0;
    for (size_t before = 1; before != at;) {
        before = at;
        at += strspn(m->text + at, " \t\r\n");
        if (size - at >= n_d && !memcmp(m->text + at, d, n_d)) at += n_d;
    }
    return memmem(m->text + at, size - at, d, n_d) != NULL;
}

/* Text of the tokens from `from` on, in m->text; its size.  delimited: what ended the last step is left out. */
size_t text_from(struct eval_model *m, const struct branch *b, uint32_t from, bool delimited) {
    const char *d = m->p.delimiter;
    uint32_t n = length_of(b) - from;
    int32_t last = n ? trail_last(m->pool, b->tokens) : -1;
    if (n && (tok_is_end(m->p.tok, last) || (delimited && !d))) n--;
    size_t size = decode_from(m, b, from, n), n_d = d ? strlen(d) : 0;
    if (delimited && d && size >= n_d && !memcmp(m->text + size - n_d, d, n_d)) m->text[size -= n_d] = 0;
    if (b->n_stopped) m->text[size -= b->n_stopped < size ? b->n_stopped : size] = 0;
    return size;
}

enum { MOST_SILENT = 16 }; /* tokens without text among those of a stop string */

/* Bytes at the end of the chain's text from where the newest token completes one of the stop strings on; 0: it does not. */
static size_t stopped_bytes(struct eval_model *m, const struct branch *b) {
    size_t longest = 0, bytes = 0;
    for (size_t i = 0; i < m->p.n_stops; i++)
        if (strlen(m->p.stops[i]) > longest) longest = strlen(m->p.stops[i]);
    if (!longest) return 0;
    uint32_t n = length_of(b) - b->n_prompt, most = (uint32_t)longest + MOST_SILENT;
    if (n > most) n = most;
    size_t size = decode_from(m, b, length_of(b) - n, n);
    for (size_t i = 0; i < m->p.n_stops; i++) {
        const char *hit = memmem(m->text, size, m->p.stops[i], strlen(m->p.stops[i]));
        if (hit && size - (size_t)(hit - m->text) > bytes) bytes = size - (size_t)(hit - m->text);
    }
    return bytes;
}

/* The newest step has come to this end, which the judge (no room) or the task (it states the answer) may change. */
enum status step_finish(struct eval_model *m, struct branch *b, enum step_end *end, struct error *e) {
    const uint32_t n = length_of(b) - b->step_at;
    b->delimited = *end == STEP_SEPARATOR;
    size_t size = text_from(m, b, b->step_at, b->delimited);
    enum status s = OK;
    if (n && m->judge && m->judge->row->step) {
        struct prm_step step = {.tokens = m->ids,
                                .n_tokens = n,
                                .text = m->text,
                                .size = size,
                                .ended = *end == STEP_SEPARATOR || *end == STEP_FINISHED};
        bool fits = true;
        trail_read(m->pool, b->tokens, b->step_at, m->ids);
        s = m->judge->row->step(m->judge, (uint32_t)(b - m->branches), &step, &fits, e);
        if (!fits) *end = STEP_TRUNCATED;
    }
    if (*end == STEP_SEPARATOR && m->p.complete && m->p.complete(m->p.arg, m->text)) *end = STEP_FINISHED;
    b->n_steps += *end == STEP_SEPARATOR || *end == STEP_FINISHED;
    b->step_at = length_of(b);
    return s;
}

/* One more token; *end: what it does to its step. */
enum status step_append(struct eval_model *m, struct branch *b, int32_t id, enum step_end *end, struct error *e) {
    enum status s = trail_append(m->pool, &b->tokens, &id, 1, e);
    *end = STEP_OPEN;
    if (s) return s;
    b->n_stopped = 0;
    if (tok_is_end(m->p.tok, id) || (b->n_stopped = (uint32_t)stopped_bytes(m, b))) *end = STEP_FINISHED;
    else if (ends_step(m, b, id)) *end = STEP_SEPARATOR;
    return OK;
}

/* ---- extend ---- */

/* A step has ended: does this call go on with the next one? */
static bool goes_on(const struct eval_model *m, const struct step *st) {
    return st->to_end && st->end == STEP_SEPARATOR && st->n_steps != st->max_steps && st->n_tokens != st->max_tokens &&
           length_of(&m->branches[st->branch]) < m->p.max_tokens;
}

/* A step under way: its text in the loop that writes, and the branch that it grows. */
struct written {
    struct text text;
    struct eval_model *m;
    struct step *step;
    float *logprobs; /* of this call's tokens; NULL: nobody wants them */
    void *grammar;   /* its state; NULL: none */
    /* Where the step must differ from others: */
    uint32_t at;               /* what they and this one have in common, in m->drawn; 0: nothing any more */
    float *p;                  /* [max_tokens] of the tokens, before those of others were taken away */
    double max, mass, log_one; /* of the next token: its distribution, and log of the sum of exp(logit) */
    enum status status;        /* of what follows from a token */
    struct error error;
};

/* ---- what restricts the next token: a grammar, and steps that this one must differ from ---- */

/* At temperature 0 steps are taken from each other as at 1. */
static float spread(const struct written *x) { return x->text.temperature > 0 ? x->text.temperature : 1; }

/* Samplers drop tokens before others are taken away, so that what is drawn uses up what can be drawn. */
static void set_apart(struct written *x, float *logits, uint32_t n_vocab) {
    struct eval_model *m = x->m;
    struct sample_params rules = m->p.sampling;
    struct sample_distribution d;
    rules.temperature = spread(x);
    if (!sample_distribution(&rules, logits, n_vocab, &m->sample, &d)) return;
    x->max = (double)d.max, x->mass = d.mass, x->log_one = (double)d.max + log(d.total);
    const float least = x->step->floor > 0 ? d.max + logf(x->step->floor) : -INFINITY;
    for (uint32_t i = 0, k = 0; i < n_vocab; i++) {
        bool kept = !d.ids || (k < d.n && (uint32_t)d.ids[k] == i);
        if (kept && logits[i] < least) x->mass -= (double)d.w[k];
        k += kept;
        if (!kept || logits[i] < least) logits[i] = -INFINITY;
    }
    drawn_mask(m->drawn, x->at, spread(x), logits, n_vocab);
}

static enum status mask_step(void *state, float *logits, uint32_t n_vocab, struct error *e) {
    struct written *x = state;
    enum status s = x->grammar ? x->m->p.constraint->mask(x->grammar, logits, n_vocab, e) : OK;
    if (!s && x->step->apart) set_apart(x, logits, n_vocab);
    return s;
}

static enum status advance_step(void *state, int32_t id, struct error *e) {
    struct written *x = state;
    return x->grammar ? x->m->p.constraint->advance(x->grammar, id, e) : OK;
}

static const struct text_constraint step_constraint = {.mask = mask_step, .advance = advance_step};

/* The token's log-probability as it was before the mask; its probability is noted. */
static float note_token(struct written *x, const struct text *t, int32_t id) {
    double logit = (double)t->logits[id] - (double)drawn_bias(x->m->drawn, x->at, spread(x), id);
    x->p[t->n_ids - 1] = (float)(exp((logit - x->max) / (double)spread(x)) / x->mass);
    x->at = drawn_next(x->m->drawn, x->at, id);
    return (float)(logit - x->log_one);
}

/* A whole step is one that others must differ from. */
static enum status note_step(struct written *x, struct error *e) {
    bool whole = x->text.end == TEXT_ENDED || x->text.end == TEXT_END_TOKEN;
    if (!x->step->apart || !whole || x->step->end == STEP_OPEN) return OK;
    return drawn_note(x->m->drawn, branch_of(x->m, x->step->apart)->drawn, x->text.ids, x->p, x->text.n_ids, e);
}

/* Steps of earlier rounds are known from now on. */
static enum status begin_round(struct eval_model *m, const struct step *steps, size_t n, struct error *e) {
    enum status s = OK;
    for (size_t i = 0; i < n && !s; i++) {
        if (!steps[i].apart) continue;
        struct branch *b = branch_of(m, steps[i].apart);
        if (!m->drawn) s = drawn_new(&m->drawn, e);
        if (!s && steps[i].round != m->round) s = drawn_add(m->drawn, e);
        m->round = steps[i].round;
        if (!s && !b->drawn && !(b->drawn = drawn_root(m->drawn)))
            s = error_set(e, ERR_MEMORY, "no memory for what was drawn");
    }
    return s;
}

static int writer_of(const struct step *st) { return st->draft ? DRAFT : POLICY; }

/* What the passes so far have read of a branch, and what that cost. */
static void note_read(struct written *x) {
    struct branch *b = &x->m->branches[x->step->branch];
    const uint32_t length = text_length(&x->text), read = x->text.n_read < length ? x->text.n_read : length - 1;
    b->kv[writer_of(x->step)].n_read = read; /* without guesses */
    x->step->flops += branch_pay(x->m, b, writer_of(x->step), read, 1);
}

/* The newest step has come to st->end. */
static enum status finish(struct eval_model *m, struct step *st, struct error *e) {
    enum status s = step_finish(m, &m->branches[st->branch], &st->end, e);
    if (!s) st->n_steps += st->end == STEP_SEPARATOR || st->end == STEP_FINISHED;
    return s;
}

/* Token i of a step is draw i of the step's stream. */
static void set_stream(struct written *x) {
    const struct branch *b = &x->m->branches[x->step->branch];
    x->text.key = x->step->to_end ? rng_fold(x->step->key, b->n_steps) : x->step->key;
    x->text.counter = length_of(b) - b->step_at;
}

/* A branch gets its next token; true when the call's work on it is done. */
static bool take_token(struct written *x, int32_t id, float logprob) {
    struct eval_model *m = x->m;
    struct step *st = x->step;
    struct branch *b = &m->branches[st->branch];
    if ((x->status = step_append(m, b, id, &st->end, &x->error))) return true;
    if (x->logprobs) x->logprobs[st->n_tokens] = logprob;
    st->n_tokens++, st->logprob += logprob;
    if (!st->draft) b->n_rated++, b->logprob += logprob;
    m->ledger.generated_tokens++;
    if (st->end == STEP_OPEN && is_too_long(m, b)) st->end = STEP_TRUNCATED;
    if (st->end == STEP_OPEN) return st->n_tokens == st->max_tokens;
    if ((x->status = finish(m, st, &x->error)) || !goes_on(m, st)) return true;
    st->end = STEP_OPEN;
    set_stream(x);
    return false;
}

static bool on_token(void *arg, struct text *t, int32_t id, float logprob) {
    struct written *x = arg;
    note_read(x);
    if (x->step->apart) logprob = note_token(x, t, id);
    return take_token(x, id, logprob);
}

/* The newest token is read again. */
static void unpay_newest(struct branch *b, struct held_kv *kv) {
    if (kv->n_paid >= length_of(b)) kv->n_paid = length_of(b) - 1;
}

static enum status begin_text(struct written *x, struct eval_model *m, struct step *st, const struct text_rules *rules,
                              uint32_t row, struct error *e) {
    struct branch *b = branch_of(m, st->branch);
    struct client *client = m->writers[writer_of(st)];
    struct held_kv *kv = &b->kv[writer_of(st)];
    int32_t *ids = m->own + (size_t)row * m->p.max_tokens;
    *x = (struct written){.m = m, .step = st, .p = m->own_p + (size_t)row * m->p.max_tokens};
    if (m->telling) x->logprobs = m->own_logprobs + (size_t)row * m->p.max_tokens;
    if (!kv->seq && !(kv->seq = engine_seq_new(client))) return error_set(e, ERR_FULL, "all KV sequences are in use");
    unpay_newest(b, kv);
    x->text = (struct text){.rules = rules,
                            .arg = x,
                            .seq = kv->seq,
                            .pool = m->pool,
                            .before = b->tokens,
                            .ids = ids,
                            .cap_ids = m->p.max_tokens - length_of(b),
                            .n_read = kv->n_read,
                            .temperature = st->temperature};
    set_stream(x);
    if (m->p.guesses && !st->draft) {
        const struct speculate_params p = {.n_vocab = engine_n_out(m->p.policy), .draft_max = m->p.guesses};
        enum status s = speculate_new(&p, &x->text.speculator, e);
        if (s) return s;
    }
    x->text.state = x;
    if (st->apart) x->at = branch_of(m, st->apart)->drawn, st->left = 1 - drawn_used(m->drawn, x->at);
    if (!b->grammar) return OK;
    if (!(x->grammar = m->p.constraint->clone(m->p.constraint_state)))
        return error_set(e, ERR_MEMORY, "no memory for the state of a grammar");
    enum status s = OK;
    trail_read(m->pool, b->tokens, b->n_prompt, m->ids);
    for (uint32_t i = 0; i < length_of(b) - b->n_prompt && !s; i++)
        s = m->p.constraint->advance(x->grammar, m->ids[i], e);
    return s;
}

/* Wrong guesses were read, too. */
static void end_guesses(struct written *x) {
    if (!x->text.speculator) return;
    const struct speculate_stats n = speculate_stats(x->text.speculator);
    const uint32_t at = text_length(&x->text);
    const uint64_t flops = (n.drafted - n.accepted) * judge_flops(engine_of(x->m->writers[POLICY]), at, at + 1, 1);
    x->m->ledger.policy_flops += flops, x->step->flops += flops;
    speculate_free(&x->text.speculator);
}

/* What the loop says of a text that on_token did not end: no distribution, or the limits of the run. */
static enum status end_text(struct written *x, struct error *e) {
    struct step *st = x->step;
    note_read(x);
    if (x->status) return error_set(e, x->status, "%s", x->error.text);
    if (x->text.end != TEXT_DEAD && x->text.end != TEXT_CANCELLED) return OK;
    st->end = x->text.end == TEXT_DEAD ? STEP_DEAD : STEP_TRUNCATED;
    return finish(x->m, st, e);
}

enum status write_alloc(struct eval_model *m, struct error *e) {
    const struct eval_params *p = &m->p;
    if (!(m->written = mem_new(p->max_batch, sizeof *m->written)) ||
        !(m->texts_now = mem_new(p->max_batch, sizeof *m->texts_now)) ||
        !(m->rated = mem_new(p->max_batch, sizeof *m->rated)) ||
        !(m->own = mem_new((size_t)p->max_batch * p->max_tokens, sizeof *m->own)) ||
        !(m->own_p = mem_new((size_t)p->max_batch * p->max_tokens, sizeof *m->own_p)))
        return error_set(e, ERR_MEMORY, "no memory for %u texts of %u tokens", p->max_batch, p->max_tokens);
    enum status s = OK;
    for (int w = 0; w < N_WRITERS && !s; w++)
        if (m->writers[w]) s = writer_new(m->writers[w], p->max_batch, w == POLICY ? p->guesses : 0, &m->loops[w], e);
    if (!s) m->logits = writer_rows(m->loops[POLICY]);
    return s;
}

void write_free(struct eval_model *m) {
    for (int w = 0; w < N_WRITERS; w++) writer_free(&m->loops[w]);
    mem_free(m->written), mem_free(m->texts_now), mem_free(m->own), mem_free(m->own_p);
    mem_free(m->own_logprobs), mem_free(m->rated);
}

/* Tokens of this call and their log-probabilities, for those who write the search down. */
static enum status keep_told(struct written *x, const int32_t *ids, struct error *e) {
    struct step *st = x->step;
    st->tokens = keep_bytes(x->m, ids, st->n_tokens * sizeof *ids);
    st->logprobs = keep_bytes(x->m, x->logprobs, st->n_tokens * sizeof *x->logprobs);
    if (st->apart) st->shares = keep_bytes(x->m, x->p, st->n_tokens * sizeof *x->p);
    if (st->tokens && st->logprobs && (st->shares || !st->apart)) return OK;
    return error_set(e, ERR_MEMORY, "no memory for the tokens of a step");
}

static bool limits_of_run(void *arg) {
    const struct eval_model *m = arg;
    return limits_reached(&m->limits, &m->ledger);
}

/* Steps of one model, all at once.  A grammar is for what follows the problem's own prompt. */
static enum status write_by(struct eval_model *m, int writer, struct step *steps, uint32_t n_active, struct error *e) {
    const struct text_rules free = {.tok = m->p.tok,
                                    .sampling = m->p.sampling,
                                    .bias = m->p.bias,
                                    .n_bias = m->p.n_bias,
                                    .penalties = m->p.penalties,
                                    .n_penalized = m->p.n_penalized,
                                    .on_token = on_token};
    struct text_rules bound = free;
    bound.constraint = &step_constraint;
    struct text_rules apart = bound; /* what samplers drop is masked before */
    apart.sampling = (struct sample_params){.top_p = 1};
    const struct write_limit limit = {limits_of_run, m};
    uint32_t n = 0;
    enum status s = OK;
    for (uint32_t i = 0; i < n_active && !s; i++) {
        struct step *st = &steps[m->active[i]];
        if (st->draft != (writer == DRAFT)) continue;
        const struct text_rules *rules = st->apart ? &apart : m->branches[st->branch].grammar ? &bound : &free;
        s = begin_text(&m->written[n], m, st, rules, n, e);
        m->texts_now[n] = &m->written[n].text, n++;
    }
    if (!s && n) s = write_some(m->loops[writer], m->texts_now, n, &limit, &m->ledger.pages_copied, e);
    for (uint32_t i = 0; i < n; i++) {
        struct written *x = &m->written[i];
        if (x->grammar) m->p.constraint->free(x->grammar);
        end_guesses(x);
        if (!s) s = end_text(x, e);
        else if (x->text.seq) note_read(x); /* what is undone is cut there */
        if (!s) s = note_step(x, e);
        if (!s && x->logprobs) s = keep_told(x, x->text.ids, e);
    }
    return s;
}

/* ---- recite ---- */

/* A step that is known, as if it had been written, but for the KV: a later pass reads it, as after an eviction. */
static enum status recite(struct eval_model *m, struct step *st, const struct step *known, struct error *e) {
    struct branch *b = branch_of(m, st->branch);
    struct written x = {.m = m, .step = st};
    bool done = false;
    if (st->apart && !known->shares)
        return error_set(e, ERR_INPUT, "a recited step: how likely its tokens were is not given");
    if (st->apart) st->left = 1 - drawn_used(m->drawn, branch_of(m, st->apart)->drawn);
    unpay_newest(b, &b->kv[writer_of(st)]);
    for (uint32_t i = 0; i < known->n_tokens && !done; i++) {
        if (known->tokens[i] < 0 || (uint32_t)known->tokens[i] >= m->n_vocab || length_of(b) >= m->p.max_tokens)
            return error_set(e, ERR_INPUT, "a recited step: token %d cannot stand there", known->tokens[i]);
        st->flops += branch_pay(m, b, writer_of(st), length_of(b), 1);
        done = take_token(&x, known->tokens[i], known->logprobs[i]);
        if (x.status) return error_set(e, x.status, "%s", x.error.text);
    }
    if (st->apart && done && st->end != STEP_OPEN) { /* as note_step */
        enum status s = drawn_note(m->drawn, branch_of(m, st->apart)->drawn, known->tokens, known->shares, known->n_tokens, e);
        if (s) return s;
    }
    if (!st->draft && known->flops > st->flops) /* wrong guesses */
        m->ledger.policy_flops += known->flops - st->flops, st->flops = known->flops;
    if (done || (known->end != STEP_DEAD && known->end != STEP_TRUNCATED)) return OK;
    st->end = known->end;
    return finish(m, st, e);
}

static enum status set_text(struct eval_model *m, struct step *st, struct error *e) {
    const struct branch *b = &m->branches[st->branch];
    bool delimited = st->n_tokens && !is_open(b) && b->delimited;
    size_t size = text_from(m, b, length_of(b) - st->n_tokens, delimited);
    st->text = keep_text(m, m->text, size);
    return st->text ? OK : error_set(e, ERR_MEMORY, "no memory for the text of a step");
}

static void undo_steps(struct eval_model *m, struct step *steps, size_t n) {
    for (size_t i = 0; i < n; i++) {
        branch_undo(m, &m->branches[steps[i].branch]);
        m->ledger.generated_tokens -= steps[i].n_tokens;
        steps[i].n_tokens = 0;
    }
}

/* The policy reads drafted steps: their log-probability is its own.  At a limit they are cut: nobody knows it. */
static enum status rate_drafts(struct eval_model *m, struct step *steps, uint32_t n, struct error *e) {
    uint32_t n_puts = 0;
    for (uint32_t i = 0; i < n; i++)
        if (steps[i].draft && steps[i].rate && steps[i].n_tokens)
            m->rated[n_puts++] = (struct put){.branch = steps[i].branch, .rate = true};
    for (uint32_t i = 0; i < n; i++) m->branches[steps[i].branch].flops = 0;
    enum status s = put_rate(m, m->rated, n_puts, e); /* also of those that are recited */
    for (uint32_t i = 0; i < n; i++) steps[i].flops += m->branches[steps[i].branch].flops;
    for (uint32_t i = 0, k = 0; i < n && k < n_puts; i++) {
        if (!steps[i].draft || !steps[i].rate || !steps[i].n_tokens) continue;
        steps[i].logprob = m->rated[k++].logprob;
        if (s == ERR_CANCELLED) steps[i].end = STEP_TRUNCATED;
    }
    return s == ERR_CANCELLED ? OK : s;
}

static enum status extend_some(struct eval_model *m, struct step *steps, uint32_t n, struct error *e) {
    uint32_t n_active = 0;
    enum status s = OK;
    for (uint32_t i = 0; i < n; i++) branch_mark(m, branch_of(m, steps[i].branch));
    for (uint32_t i = 0; i < n; i++) {
        struct step *st = &steps[i], known = *st;
        st->n_tokens = st->n_steps = 0, st->logprob = 0, st->text = "", st->flops = 0;
        st->end = is_too_long(m, branch_of(m, st->branch)) ? STEP_TRUNCATED : STEP_OPEN;
        if (m->telling != TELL_RECITED) st->tokens = NULL, st->logprobs = NULL, st->shares = NULL;
        if (st->end != STEP_OPEN || s) continue;
        if (m->telling == TELL_RECITED) s = recite(m, st, &known, e);
        else m->active[n_active++] = i;
    }
    if (!s) s = write_by(m, POLICY, steps, n_active, e);
    if (!s) s = write_by(m, DRAFT, steps, n_active, e);
    if (!s) s = rate_drafts(m, steps, n, e);
    for (uint32_t i = 0; i < n && !s; i++) s = set_text(m, &steps[i], e);
    if (s) undo_steps(m, steps, n);
    note_costs(m);
    return s;
}

enum status eval_extend(void *self, struct step *steps, size_t n, struct error *e) {
    struct eval_model *m = self;
    const uint64_t flops = m->ledger.policy_flops;
    enum status s = begin_round(m, steps, n, e);
    const size_t waiting = m->drawn ? drawn_waiting(m->drawn) : 0;
    size_t i;
    if (s) return s;
    for (i = 0; i < n; i++) branch_set_busy(m, steps[i].branch, true);
    for (i = 0; i < n && !s; i += m->p.max_batch)
        s = extend_some(m, steps + i, (uint32_t)(n - i < m->p.max_batch ? n - i : m->p.max_batch), e);
    if (s) {
        undo_steps(m, steps, i - m->p.max_batch); /* what failed is undone */
        m->ledger.policy_flops = flops;           /* and costs nothing */
        if (m->drawn) drawn_forget(m->drawn, waiting);
    }
    for (i = 0; i < n; i++) branch_set_busy(m, steps[i].branch, false);
    return s;
}
