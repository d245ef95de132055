/* speculate.c: see speculate.h.
 * Not a cache of earlier texts: guesses come from this text or from the draft model.
 * Next: solve/speculative.c, which gives it flags. */
#include "model/speculate.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

enum { MATCH_MAX = 4, MATCH_MIN = 2 }; /* tokens at the end of the text that must occur before */

/* Streams of random numbers beside the plain draws. */
enum stream { STREAM_GUESS = 1, STREAM_ACCEPT, STREAM_REST };

struct speculator {
    struct speculate_params p;
    uint32_t draft_seq;    /* 0: lookup */
    uint32_t n_vocab, row; /* of the target; of the larger vocabulary of the two */
    uint64_t n_drawn;      /* tokens of the text so far: the counter of the next draw */
    uint32_t n_try;        /* guesses of the next pass */
    float *logits;         /* [draft_max + 1, n_vocab] of the target */
    float *draft_logits;   /* [draft_max, row] */
    double *chances;       /* [draft_max] what the draft's law gave its guess */
    struct sample_scratch scratch, draft_scratch;
    struct speculate_stats stats;
};

static bool alloc_speculator(struct speculator *s) {
    size_t n = s->p.draft_max, row = s->row;
    return (s->logits = mem_new((n + 1) * s->n_vocab, sizeof(float))) && (s->scratch.p = mem_new(row, sizeof(float))) &&
           (s->scratch.ids = mem_new(row, sizeof(int32_t))) && (s->chances = mem_new(n, sizeof(double))) &&
           (!s->p.draft || ((s->draft_logits = mem_new(n * row, sizeof(float))) &&
                            (s->draft_scratch.p = mem_new(row, sizeof(float))) &&
                            (s->draft_scratch.ids = mem_new(row, sizeof(int32_t)))));
}

enum status speculate_new(const struct speculate_params *p, struct speculator **out, struct error *e) {
    *out = NULL;
    if (p->draft_max < 1 || p->draft_max > 4096)
        return error_set(e, ERR_INPUT, "guesses per pass: %u, allowed 1 to 4096", p->draft_max);
    struct speculator *s = mem_new(1, sizeof *s);
    if (!s) return error_set(e, ERR_MEMORY, "no memory for drafts");
    s->p = *p, s->n_try = p->draft_max;
    s->n_vocab = s->row = engine_n_out(engine_of(p->target));
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
    mem_free(s->logits), mem_free(s->draft_logits), mem_free(s->chances);
    mem_free(s->scratch.p), mem_free(s->scratch.ids);
    mem_free(s->draft_scratch.p), mem_free(s->draft_scratch.ids);
    mem_free(s);
    *sp = NULL;
}

struct speculate_stats speculate_stats(const struct speculator *s) {
    return s->stats;
}

static void adjust(const struct speculator *s, const int32_t *ids, size_t n_ids, float *logits) {
    if (s->p.adjust) s->p.adjust(s->p.arg, ids, n_ids, logits);
}

static double uniform(const struct speculator *s, enum stream stream, uint64_t counter) {
    return rng_uniform(rng_fold(s->p.key, stream), counter);
}

/* ---- guesses ---- */

/* The end of the text, up to 4 tokens of it, at its newest earlier place: what followed there may follow here.  Guesses may
 * run into themselves: then the text goes round. */
static uint32_t guess_from_text(int32_t *ids, size_t n_ids, uint32_t most) {
    for (size_t n = MATCH_MAX; n >= MATCH_MIN; n--)
        for (size_t at = n_ids > n ? n_ids - n : 0; at-- > 0;) {
            if (memcmp(ids + at, ids + n_ids - n, n * sizeof *ids)) continue;
            for (uint32_t i = 0; i < most; i++) ids[n_ids + i] = ids[at + n + i];
            return most;
        }
    return 0;
}

/* Draws guesses one by one; where the draft's context, its KV cache or its vocabulary ends there are no more. */
static enum status guess_from_model(struct speculator *s, int32_t *ids, size_t n_ids, uint32_t most, uint32_t *n,
                                    struct error *e) {
    uint32_t n_out = engine_n_out(engine_of(s->p.draft)), len = engine_len(s->p.draft, s->draft_seq);
    assert(len <= n_ids); /* speculate_cut */
    for (*n = 0; *n < most; ++*n) {
        float *logits = s->draft_logits + (size_t)*n * s->row;
        struct span span = {s->draft_seq, (uint32_t)(n_ids + *n) - len, 1, ids + len, logits};
        struct sample_law law;
        enum status st = engine_run(s->p.draft, &span, 1, NULL, e);
        if (st) return st == ERR_FULL || st == ERR_INPUT ? OK : st;
        len += span.n_tokens;
        for (uint32_t i = n_out; i < s->n_vocab; i++) logits[i] = -INFINITY; /* tokens that only the target has */
        adjust(s, ids, n_ids + *n, logits);
        if (!sample_law(&s->p.sampling, logits, s->n_vocab, &s->draft_scratch, &law)) return OK;
        if (1 / law.total < s->p.p_min) return OK;
        ids[n_ids + *n] = sample_draw(&law, uniform(s, STREAM_GUESS, s->n_drawn + *n));
        s->chances[*n] = sample_chance(&law, ids[n_ids + *n]);
    }
    return OK;
}

static enum status guess(struct speculator *s, int32_t *ids, size_t n_ids, size_t cap, uint32_t *n, struct error *e) {
    size_t room = cap - n_ids - 1;
    uint32_t most = room < s->n_try ? (uint32_t)room : s->n_try;
    enum status st = OK;
    *n = 0;
    if (s->p.draft) st = guess_from_model(s, ids, n_ids, most, n, e);
    else *n = guess_from_text(ids, n_ids, most);
    if (*n < s->p.draft_min) *n = 0;
    return st;
}

/* ---- verification ---- */

/* A draw from max(0, p - q), the law of what guesses from q leave out; the guess where rounding leaves nothing. */
static int32_t draw_rest(struct speculator *s, struct sample_law *p, int32_t guess, uint32_t i) {
    struct sample_law q;
    double mass = 0;
    sample_law(&s->p.sampling, s->draft_logits + (size_t)i * s->row, s->n_vocab, &s->draft_scratch, &q);
    for (uint32_t k = 0; k < p->n; k++) {
        double more = p->w[k] / p->mass - sample_chance(&q, p->ids ? p->ids[k] : (int32_t)k);
        p->w[k] = (float)fmax(0, more);
        mass += p->w[k];
    }
    p->mass = mass;
    return mass > 0 ? sample_draw(p, uniform(s, STREAM_REST, s->n_drawn)) : guess;
}

/* The next token of the text, given guess i of n (i == n: no guess is left). */
static int32_t verified(struct speculator *s, struct sample_law *p, int32_t guess, uint32_t i, uint32_t n) {
    bool drawn = s->p.draft && s->p.sampling.temperature > 0; /* the guess is a draw, not one sure token */
    if (i == n || !drawn) return sample_draw(p, rng_uniform(s->p.key, s->n_drawn));
    if (uniform(s, STREAM_ACCEPT, s->n_drawn) * s->chances[i] < sample_chance(p, guess)) return guess;
    return draw_rest(s, p, guess, i);
}

/* Turns guesses into tokens up to the first wrong one, which is replaced, or the one after the last; says how many were right.
 * A row without a usable law ends it too: the next pass begins there and reports it. */
static enum status verify(struct speculator *s, int32_t *ids, size_t n_ids, uint32_t n, size_t *n_new, uint32_t *right,
                          struct error *e) {
    *n_new = *right = 0;
    for (uint32_t i = 0; i <= n && *right == i; i++) {
        float *logits = s->logits + (size_t)i * s->n_vocab;
        struct sample_law law;
        adjust(s, ids, n_ids + i, logits);
        if (!sample_law(&s->p.sampling, logits, s->n_vocab, &s->scratch, &law)) break;
        int32_t guess = ids[n_ids + i];
        ids[n_ids + i] = verified(s, &law, guess, i, n);
        *right += i < n && ids[n_ids + i] == guess;
        s->n_drawn++, ++*n_new;
    }
    if (*n_new) return OK;
    return error_set(e, ERR_INPUT, "no usable distribution (NaN, or every token forbidden) for token %llu",
                     (unsigned long long)s->n_drawn + 1);
}

/* As many guesses as were right, and one; twice as many when all were. */
static void learn(struct speculator *s, uint32_t n, uint32_t right) {
    if (!n) return;
    s->n_try = right == n ? 2 * n : right + 1;
    if (s->n_try < s->p.draft_min) s->n_try = s->p.draft_min;
    if (s->n_try > s->p.draft_max) s->n_try = s->p.draft_max;
    s->stats.drafted += n, s->stats.accepted += right;
}

static void cut(struct client *c, uint32_t seq, size_t len) {
    if (engine_len(c, seq) > len) engine_truncate(c, seq, (uint32_t)len);
}

void speculate_cut(struct speculator *s, size_t n_ids, size_t n_unused) {
    if (s->draft_seq) cut(s->p.draft, s->draft_seq, n_ids);
    s->n_drawn -= n_unused;
}

enum status speculate_step(struct speculator *s, int32_t *ids, size_t n_ids, size_t cap, size_t *n_new,
                           struct error *e) {
    uint32_t n = 0, right = 0, len = engine_len(s->p.target, s->p.seq);
    *n_new = 0;
    enum status st = guess(s, ids, n_ids, cap, &n, e);
    if (st) return st;
    struct span span = {s->p.seq, (uint32_t)n_ids + n - len, n + 1, ids + len, s->logits};
    if ((st = engine_run(s->p.target, &span, 1, NULL, e))) return st;
    s->stats.passes++;
    st = verify(s, ids, n_ids, n, n_new, &right, e);
    cut(s->p.target, s->p.seq, st ? len : n_ids + *n_new - 1);
    if (s->draft_seq) cut(s->p.draft, s->draft_seq, n_ids + right);
    if (!st) learn(s, n, right);
    return st;
}
