/* eval_write.c: steps on branches, drawn token by token by the policy or by the draft model.
 * Not tokens that are given or only looked at: eval_put.c.
 * Next: eval_put.c; prm/judge.h for what becomes of a step. */
#include <string.h>

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
    return size;
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
    if (tok_is_end(m->p.tok, id)) *end = STEP_FINISHED;
    else if (ends_step(m, b, id)) *end = STEP_SEPARATOR;
    return OK;
}

/* ---- extend ---- */

/* Reads the unread tokens of the active branches; logits row i belongs to active[i].  Each model has its own pass. */
static enum status read_active(struct eval_model *m, const struct step *steps, uint32_t n_active, struct error *e) {
    for (int writer = 0; writer < N_WRITERS; writer++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < n_active; i++) {
            const struct step *st = &steps[m->active[i]];
            struct branch *b = branch_of(m, st->branch);
            if (st->draft != (writer == DRAFT)) continue;
            enum status s = pass_add(m, b, writer, length_of(b), 1, m->logits + (size_t)i * m->n_vocab,
                                     m->ids + (size_t)n * m->p.max_tokens, &m->spans[n], e);
            if (s) return s;
            m->readers[n++] = b;
        }
        enum status s = n ? pass_run(m, writer, m->readers, n, e) : OK;
        if (s) return s;
    }
    return OK;
}

/* A step has ended: does this call go on with the next one? */
static bool goes_on(const struct eval_model *m, const struct step *st) {
    return st->to_end && st->end == STEP_SEPARATOR && st->n_steps != st->max_steps && st->n_tokens != st->max_tokens &&
           length_of(&m->branches[st->branch]) < m->p.max_tokens;
}

/* Draws one token for a branch; *done when the call's work on it is. */
static enum status draw_token(struct eval_model *m, struct step *st, const float *logits, bool *done, struct error *e) {
    struct branch *b = &m->branches[st->branch];
    struct sample_params sp = m->p.sampling;
    uint64_t key = st->to_end ? rng_fold(st->key, b->n_steps) : st->key;
    float logprob = 0;
    sp.temperature = st->temperature;
    int32_t id = sample_token(&sp, logits, m->n_vocab, key, length_of(b) - b->step_at, &m->sample, &logprob);
    enum status s = OK;
    if (id < 0) st->end = STEP_DEAD;
    else {
        if ((s = step_append(m, b, id, &st->end, e))) return s;
        st->n_tokens++, st->logprob += logprob;
        if (!st->draft) b->n_rated++, b->logprob += logprob;
        m->ledger.generated_tokens++;
        if (st->end == STEP_OPEN && is_too_long(m, b)) st->end = STEP_TRUNCATED;
    }
    if (st->end != STEP_OPEN) {
        if ((s = step_finish(m, b, &st->end, e))) return s;
        st->n_steps += st->end == STEP_SEPARATOR || st->end == STEP_FINISHED;
    }
    *done = st->end == STEP_OPEN ? st->n_tokens == st->max_tokens : !goes_on(m, st);
    if (!*done) st->end = STEP_OPEN;
    return OK;
}

/* The limits of the run end all steps that are under way, as far as they are. */
static enum status cut_active(struct eval_model *m, struct step *steps, uint32_t n_active, struct error *e) {
    enum status s = OK;
    for (uint32_t i = 0; i < n_active && !s; i++) {
        struct step *st = &steps[m->active[i]];
        st->end = STEP_TRUNCATED;
        s = step_finish(m, &m->branches[st->branch], &st->end, e);
    }
    return s;
}

static enum status write_active(struct eval_model *m, struct step *steps, uint32_t n_active, struct error *e) {
    while (n_active) {
        if (limits_reached(&m->limits, &m->ledger)) return cut_active(m, steps, n_active, e);
        enum status s = read_active(m, steps, n_active, e);
        if (s == ERR_CANCELLED) return cut_active(m, steps, n_active, e);
        uint32_t still = 0;
        for (uint32_t i = 0; i < n_active && !s; i++) {
            bool done = false;
            s = draw_token(m, &steps[m->active[i]], m->logits + (size_t)i * m->n_vocab, &done, e);
            if (!done) m->active[still++] = m->active[i];
        }
        if (s) return s;
        n_active = still;
    }
    return OK;
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

static enum status extend_some(struct eval_model *m, struct step *steps, uint32_t n, struct error *e) {
    uint32_t n_active = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct step *st = &steps[i];
        struct branch *b = branch_of(m, st->branch);
        st->n_tokens = st->n_steps = 0, st->logprob = 0, st->text = "";
        st->end = is_too_long(m, b) ? STEP_TRUNCATED : STEP_OPEN;
        branch_mark(m, b);
        if (st->end == STEP_OPEN) m->active[n_active++] = i;
    }
    enum status s = write_active(m, steps, n_active, e);
    for (uint32_t i = 0; i < n && !s; i++) s = set_text(m, &steps[i], e);
    if (s) undo_steps(m, steps, n);
    note_costs(m);
    return s;
}

enum status eval_extend(void *self, struct step *steps, size_t n, struct error *e) {
    struct eval_model *m = self;
    const uint64_t flops = m->ledger.policy_flops;
    enum status s = OK;
    size_t i;
    for (i = 0; i < n; i++) branch_set_busy(m, steps[i].branch, true);
    for (i = 0; i < n && !s; i += m->p.max_batch)
        s = extend_some(m, steps + i, (uint32_t)(n - i < m->p.max_batch ? n - i : m->p.max_batch), e);
    if (s) {
        undo_steps(m, steps, i - m->p.max_batch); /* what failed is undone */
        m->ledger.policy_flops = flops;           /* and costs nothing */
    }
    for (i = 0; i < n; i++) branch_set_busy(m, steps[i].branch, false);
    return s;
}
