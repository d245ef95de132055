/* speculate.c: see speculate.h.
 * Not a cache of earlier texts: guesses come from this text or from the draft model.
 * Next: write.c, which runs the passes. */
#include "model/speculate.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

enum { MATCH_MAX = 4, MATCH_MIN = 2 }; /* tokens at the end of the text that must occur before */

/* Streams of random numbers beside the plain draws. */
enum stream_of { STREAM_GUESS = 1, STREAM_ACCEPT, STREAM_REST };

struct speculator {
    struct speculate_params p;
    uint32_t draft_seq;  /* 0: lookup */
    uint32_t row;        /* the larger vocabulary of the two */
    uint32_t n_try;      /* guesses of the next pass */
    float *draft_logits; /* [draft_max, row] */
    double *probability; /* [draft_max] that the draft gave its guess */
    struct sample_scratch draft_scratch;
    struct speculate_stats stats;
};

static bool alloc_speculator(struct speculator *s) {
    size_t n = s->p.draft_max, row = s->row;
    return !s->p.draft ||
           ((s->probability = mem_new(n, sizeof(double))) && (s->draft_logits = mem_new(n * row, sizeof(float))) &&
            (s->draft_scratch.p = mem_new(row, sizeof(float))) &&
            (s->draft_scratch.ids = mem_new(row, sizeof(int32_t))));
}

enum status speculate_new(const struct speculate_params *p, struct speculator **out, struct error *e) {
    *out = NULL;
    if (p->draft_max < 1 || p->draft_max > SPECULATE_MAX)
        return error_set(e, ERR_INPUT, "guesses per pass: %u, allowed 1 to %d", p->draft_max, SPECULATE_MAX);
    struct speculator *s = mem_new(1, sizeof *s);
    if (!s) return error_set(e, ERR_MEMORY, "no memory for drafts");
    s->p = *p, s->n_try = p->draft_max;
    s->row = p->n_vocab;
    if (p->draft && engine_n_out(engine_of(p->draft)) > s->row) s->row = engine_n_out(engine_of(p->draft));
    enum status st =
        alloc_speculator(s) ? OK : error_set(e, ERR_MEMORY, "no memory for drafts of %u tokens", p->draft_max);
    if (!st && p->draft && !(s->draft_seq = engine_seq_new(p->draft)))
        st = error_set(e, ERR_FULL, "the draft model has no free sequence");
    if (st) speculate_free(&s);
    *out = s;
    return st;
}

void speculate_free(struct speculator **sp) {
    struct speculator *s = *sp;
    if (!s) return;
    if (s->draft_seq) engine_drop(s->p.draft, &s->draft_seq);
    mem_free(s->draft_logits), mem_free(s->probability);
    mem_free(s->draft_scratch.p), mem_free(s->draft_scratch.ids);
    mem_free(s);
    *sp = NULL;
}

struct speculate_stats speculate_stats(const struct speculator *s) {
    return s->stats;
}

static double uniform(const struct speculate_draws *d, enum stream_of stream, uint64_t counter) {
    return rng_uniform(rng_fold(d->key, stream), counter);
}

/* ---- guesses ---- */

/* The end of the text, up to 4 tokens of it, at its newest earlier place: what followed there may follow here.  Guesses may
 * run into themselves: then the text goes round. */
static uint32_t guess_from_text(int32_t *ids, uint32_t n_ids, uint32_t max) {
    for (uint32_t n = MATCH_MAX; n >= MATCH_MIN; n--)
        for (uint32_t at = n_ids > n ? n_ids - n : 0; at-- > 0;) {
            if (memcmp(ids + at, ids + n_ids - n, n * sizeof *ids)) continue;
            for (uint32_t i = 0; i < max; i++) ids[n_ids + i] = ids[at + n + i];
            return max;
        }
    return 0;
}

/* Draws guesses one by one; where the draft's context, its KV cache or its vocabulary ends there are no more. */
static enum status guess_from_model(struct speculator *s, const struct speculate_draws *d, int32_t *ids, uint32_t n_ids,
                                    uint32_t max, uint32_t *n, struct error *e) {
    uint32_t n_out = engine_n_out(engine_of(s->p.draft)), len = engine_len(s->p.draft, s->draft_seq);
    assert(len <= n_ids); /* speculate_cut */
    for (*n = 0; *n < max; ++*n) {
        float *logits = s->draft_logits + (size_t)*n * s->row;
        struct span span = {s->draft_seq, n_ids + *n - len, 1, ids + len, logits};
        struct sample_distribution q;
        enum status st = engine_run(s->p.draft, &span, 1, NULL, e);
        if (st) return st == ERR_FULL || st == ERR_INPUT ? OK : st;
        len += span.n_tokens;
        for (uint32_t i = n_out; i < s->p.n_vocab; i++) logits[i] = -INFINITY; /* tokens that only the target has */
        if (d->adjust) d->adjust(d->arg, ids, n_ids + *n, logits);
        if (!sample_distribution(&d->sampling, logits, s->p.n_vocab, &s->draft_scratch, &q)) return OK;
        if (1 / q.total < s->p.p_min) return OK;
        ids[n_ids + *n] = sample_draw(&q, uniform(d, STREAM_GUESS, d->counter + *n));
        s->probability[*n] = sample_probability(&q, ids[n_ids + *n]);
    }
    return OK;
}

enum status speculate_guess(struct speculator *s, const struct speculate_draws *d, int32_t *ids, uint32_t n_ids,
                            uint32_t max, uint32_t *n, struct error *e) {
    enum status st = OK;
    *n = 0;
    if (max > s->n_try) max = s->n_try;
    if (s->p.draft) st = guess_from_model(s, d, ids, n_ids, max, n, e);
    else *n = guess_from_text(ids, n_ids, max);
    if (*n < s->p.draft_min) *n = 0;
    return st;
}

/* ---- verification ---- */

/* A draw from max(0, p - q), the distribution of what guesses from q leave out; the guess where rounding leaves nothing. */
static int32_t draw_rest(struct speculator *s, const struct speculate_draws *d, struct sample_distribution *p,
                         int32_t guess, uint32_t i) {
    struct sample_distribution q;
    double mass = 0;
    sample_distribution(&d->sampling, s->draft_logits + (size_t)i * s->row, s->p.n_vocab, &s->draft_scratch, &q);
    for (uint32_t k = 0; k < p->n; k++) {
        double more = p->w[k] / p->mass - sample_probability(&q, p->ids ? p->ids[k] : (int32_t)k);
        p->w[k] = (float)fmax(0, more);
        mass += p->w[k];
    }
    p->mass = mass;
    return mass > 0 ? sample_draw(p, uniform(d, STREAM_REST, d->counter)) : guess;
}

int32_t speculate_verify(struct speculator *s, const struct speculate_draws *d, struct sample_distribution *p,
                         int32_t guess, uint32_t i, uint32_t n) {
    bool drawn = s->p.draft && d->sampling.temperature > 0; /* the guess is a draw, not one sure token */
    if (i == n || !drawn) return sample_draw(p, rng_uniform(d->key, d->counter));
    if (uniform(d, STREAM_ACCEPT, d->counter) * s->probability[i] < sample_probability(p, guess)) return guess;
    return draw_rest(s, d, p, guess, i);
}

/* As many guesses as were right, and one; twice as many when all were. */
void speculate_learn(struct speculator *s, uint32_t n_ids, uint32_t n, uint32_t right) {
    s->stats.passes++;
    speculate_cut(s, n_ids);
    if (!n) return;
    s->n_try = right == n ? 2 * n : right + 1;
    if (s->n_try < s->p.draft_min) s->n_try = s->p.draft_min;
    if (s->n_try > s->p.draft_max) s->n_try = s->p.draft_max;
    s->stats.drafted += n, s->stats.accepted += right;
}

void speculate_cut(struct speculator *s, uint32_t n_ids) {
    if (s->draft_seq && engine_len(s->p.draft, s->draft_seq) > n_ids) engine_truncate(s->p.draft, s->draft_seq, n_ids);
}
