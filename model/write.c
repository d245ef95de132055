/* write.c: see write.h.
 * Not a scheduler: which rows share a pass with other callers' is the engine's matter.
 * Next: engine.h.
 *
 * Draws are made token by token in the order of the text, also where one pass verified several guesses, so that a text may end,
 * or be continued by others (text_put), after any token. */
#include "model/write.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"

enum { PIECE = 512 }; /* tokens of a prompt that one pass reads: limits are looked at between passes */

/* A text's part of the pass under way. */
struct turn {
    struct text *text;
    int32_t *ids; /* tokens from number `first` on, with room for guesses: the text's own, or a copy in `copies` */
    uint32_t first;
    uint32_t n_guesses;
};

struct writer {
    struct client *client;
    uint32_t n_vocab, max_texts, max_guesses;
    /* scratch of a pass */
    float *logits;        /* [max_texts * (1 + max_guesses), n_vocab] */
    struct span *spans;   /* [max_texts] */
    struct turn *turns;   /* [max_texts] */
    struct text **joined; /* [max_texts] texts of write_some */
    struct sample_scratch scratch;
    int32_t *copies; /* [cap_copies] tokens of texts that stand in parts */
    size_t cap_copies;
    int32_t *recent; /* [cap_recent] the same for penalties */
    size_t cap_recent;
};

/* ---- lifetime ---- */

enum status writer_new(struct client *c, uint32_t max_texts, uint32_t max_guesses, struct writer **out,
                       struct error *e) {
    struct writer *w = *out = mem_new(1, sizeof *w);
    size_t n_rows, n_logits;
    if (!w) return error_set(e, ERR_MEMORY, "no memory for a writer");
    *w = (struct writer){
        .client = c, .n_vocab = engine_n_out(engine_of(c)), .max_texts = max_texts, .max_guesses = max_guesses};
    if (mul_size(max_texts, (size_t)max_guesses + 1, &n_rows) && mul_size(n_rows, w->n_vocab, &n_logits) &&
        (w->logits = mem_new(n_logits, sizeof *w->logits)) && (w->spans = mem_new(max_texts, sizeof *w->spans)) &&
        (w->turns = mem_new(max_texts, sizeof *w->turns)) && (w->joined = mem_new(max_texts, sizeof *w->joined)) &&
        (w->scratch.p = mem_new(w->n_vocab, sizeof *w->scratch.p)) &&
        (w->scratch.ids = mem_new(w->n_vocab, sizeof *w->scratch.ids)))
        return OK;
    writer_free(out);
    return error_set(e, ERR_MEMORY, "no memory for the logits of %u texts", max_texts);
}

void writer_free(struct writer **wp) {
    struct writer *w = *wp;
    if (!w) return;
    mem_free(w->logits), mem_free(w->spans), mem_free(w->turns), mem_free(w->joined);
    mem_free(w->scratch.p), mem_free(w->scratch.ids), mem_free(w->copies), mem_free(w->recent);
    mem_free(w);
    *wp = NULL;
}

float *writer_rows(struct writer *w) { return w->logits; }

/* ---- tokens ---- */

static enum status need_room(int32_t **ids, size_t *cap, size_t n, struct error *e) {
    if (n <= *cap) return OK;
    int32_t *more = mem_grow(*ids, *cap, 2 * n, sizeof *more);
    if (!more) return error_set(e, ERR_MEMORY, "no memory for %zu tokens", n);
    *ids = more, *cap = 2 * n;
    return OK;
}

/* Tokens [from, length) of a text into `to`. */
static void copy_tokens(const struct text *t, uint32_t from, int32_t *to) {
    uint32_t n_before = t->before.len, skip = from > n_before ? from - n_before : 0;
    if (from < n_before) trail_read(t->pool, t->before, from, to);
    memcpy(to + n_before + skip - from, t->ids + skip, (t->n_ids - skip) * sizeof *to);
}

static bool has_penalties(const struct sample_penalties *p) {
    return (p->repeat != 1 && p->repeat != 0) || p->presence != 0 || p->frequency != 0;
}

/* ids: the newest tokens of a text, as many as the penalties look at, or more. */
static void adjust(struct writer *w, const struct text_rules *r, const int32_t *ids, uint32_t n, float *logits) {
    sample_add_bias(r->bias, r->n_bias, logits, w->n_vocab);
    if (!has_penalties(&r->penalties)) return;
    struct sample_penalties p = r->penalties;
    if (p.repeat == 0) p.repeat = 1;
    uint32_t last = r->n_penalized < n ? r->n_penalized : n;
    sample_penalize(&p, ids + n - last, last, w->scratch.ids, logits, w->n_vocab);
}

static enum status adjust_row(struct writer *w, const struct text *t, float *logits, struct error *e) {
    const int32_t *ids = t->ids;
    uint32_t n = t->n_ids, length = text_length(t);
    if (has_penalties(&t->rules->penalties) && n < t->rules->n_penalized && n < length) {
        n = length < t->rules->n_penalized ? length : t->rules->n_penalized;
        enum status s = need_room(&w->recent, &w->cap_recent, n, e);
        if (s) return s;
        copy_tokens(t, length - n, w->recent);
        ids = w->recent;
    }
    adjust(w, t->rules, ids, n, logits);
    return t->rules->constraint ? t->rules->constraint->mask(t->state, logits, w->n_vocab, e) : OK;
}

/* For the draft model, which guesses better when it knows of biases and penalties. */
struct draft_adjust {
    struct writer *w;
    const struct text_rules *rules;
};
static void adjust_draft(void *arg, const int32_t *ids, uint32_t n, float *logits) {
    struct draft_adjust *a = arg;
    adjust(a->w, a->rules, ids, n, logits);
}

static struct speculate_draws draws_of(const struct text *t, struct draft_adjust *a) {
    struct speculate_draws d = {.sampling = t->rules->sampling, .key = t->key, .counter = t->counter};
    d.sampling.temperature = t->temperature;
    d.adjust = adjust_draft, d.arg = a;
    return d;
}

/* ---- one token ---- */

static enum status show(struct text *t, int32_t id, struct error *e) {
    const struct text_rules *r = t->rules;
    bool stopped = false;
    if (!t->stream) return OK;
    struct gguf_string piece = r->piece ? r->piece(t->arg, id) : tok_piece(r->tok, id, r->special);
    enum status s = stream_put(t->stream, piece.data, piece.size, &stopped, e);
    if (stopped) t->end = TEXT_STOP_STRING;
    return s;
}

enum status text_put(struct text *t, const int32_t *ids, uint32_t n, struct error *e) {
    enum status s = OK;
    assert(n <= t->cap_ids - t->n_ids);
    for (uint32_t i = 0; i < n && !s && t->end != TEXT_STOP_STRING; i++) {
        t->ids[t->n_ids++] = ids[i];
        s = show(t, ids[i], e);
    }
    return s;
}

/* Appends a drawn token and asks whether the text ends with it. */
static enum status take_token(struct text *t, int32_t id, float logprob, struct error *e) {
    const struct text_rules *r = t->rules;
    enum status s = OK;
    t->ids[t->n_ids++] = id;
    t->counter++, t->n_drawn++;
    if (r->constraint) s = r->constraint->advance(t->state, id, e);
    if (s) return s;
    if (r->tok && tok_is_end(r->tok, id)) t->end = TEXT_END_TOKEN;
    else s = show(t, id, e);
    if (s) return s;
    bool ended = r->on_token && r->on_token(t->arg, t, id, logprob);
    if (t->end) return OK;
    if (ended) t->end = TEXT_ENDED;
    else if (t->n_drawn == t->max_tokens) t->end = TEXT_MAX_TOKENS;
    else if (t->n_ids >= t->cap_ids) t->end = TEXT_FULL;
    return OK;
}

/* ---- a pass ---- */

/* KV beyond token n of a text goes. */
static void cut_kv(struct writer *w, struct text *t, uint32_t n) {
    if (t->n_read <= n) return;
    t->n_read = engine_truncate(w->client, t->seq, n);
}

void text_cut(struct writer *w, struct text *t, uint32_t n_ids) {
    assert(n_ids <= t->n_ids);
    t->n_ids = n_ids;
    if (t->seq) cut_kv(w, t, text_length(t));
    if (t->speculator) speculate_cut(t->speculator, text_length(t));
}

/* Where the pass finds a text's tokens.  Those that do not stand in one row are copied. */
static enum status place_tokens(struct writer *w, size_t n, struct error *e) {
    size_t n_copied = 0, at = 0;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < n; i++) {
            struct turn *turn = &w->turns[i];
            const struct text *t = turn->text;
            uint32_t n_before = t->before.len, length = text_length(t);
            turn->first = t->speculator ? 0 : t->n_read; /* guesses look at the whole text */
            if (turn->first >= n_before) {
                turn->ids = t->ids + (turn->first - n_before);
            } else if (!round) {
                n_copied += length - turn->first + w->max_guesses;
            } else {
                turn->ids = w->copies + at;
                copy_tokens(t, turn->first, turn->ids);
                at += length - turn->first + w->max_guesses;
            }
        }
        enum status s = round ? OK : need_room(&w->copies, &w->cap_copies, n_copied, e);
        if (s) return s;
    }
    return OK;
}

static enum status make_guesses(struct writer *w, struct turn *turn, struct error *e) {
    struct text *t = turn->text;
    struct draft_adjust a = {w, t->rules};
    struct speculate_draws d = draws_of(t, &a);
    uint32_t room = t->cap_ids - t->n_ids - 1;
    if (t->max_tokens && t->max_tokens - t->n_drawn - 1 < room) room = t->max_tokens - t->n_drawn - 1;
    if (room > w->max_guesses) room = w->max_guesses;
    return speculate_guess(t->speculator, &d, turn->ids, text_length(t), room, &turn->n_guesses, e);
}

/* What each text reads in this pass: a piece of what is unread, or the rest of it and guesses; then rows come out. */
static enum status plan_pass(struct writer *w, size_t n, struct error *e) {
    float *rows = w->logits;
    enum status s = place_tokens(w, n, e);
    for (size_t i = 0; i < n && !s; i++) {
        struct turn *turn = &w->turns[i];
        struct text *t = turn->text;
        uint32_t length = text_length(t), n_tokens = length - t->n_read, n_out = 0;
        turn->n_guesses = 0;
        if (n_tokens > PIECE) {
            n_tokens = PIECE;
        } else {
            if (t->speculator) s = make_guesses(w, turn, e);
            n_out = turn->n_guesses + 1, n_tokens += turn->n_guesses;
        }
        w->spans[i] = (struct span){t->seq, n_tokens, n_out, turn->ids + (t->n_read - turn->first), rows};
        rows += (size_t)n_out * w->n_vocab;
    }
    return s;
}

static void count_read(struct writer *w, struct text *t, const struct span *span) {
    uint32_t end = t->n_read + span->n_tokens;
    for (uint32_t at = t->n_read; at < end; at++)
        t->n_flops += model_flops(engine_model(engine_of(w->client)), at, at + span->n_out >= end);
    t->n_read = end;
}

/* Draws from the rows of a text: one token, and one more for each guess that was right. */
static enum status draw_tokens(struct writer *w, struct turn *turn, const struct span *span, struct error *e) {
    struct text *t = turn->text;
    uint32_t before = text_length(t), right = 0, i = 0;
    enum status s = OK;
    for (; !s && !t->end && i < span->n_out && right == i && text_length(t) == before + i; i++) {
        float *logits = span->out + (size_t)i * w->n_vocab, logprob;
        struct sample_distribution p;
        struct draft_adjust a = {w, t->rules};
        struct speculate_draws d = draws_of(t, &a);
        int32_t guess = i < turn->n_guesses ? turn->ids[before + i - turn->first] : -1, id;
        if ((s = adjust_row(w, t, logits, e))) break;
        if (!sample_distribution(&d.sampling, logits, w->n_vocab, &w->scratch, &p)) {
            t->end = TEXT_DEAD;
            break;
        }
        id = t->speculator ? speculate_verify(t->speculator, &d, &p, guess, i, turn->n_guesses)
                           : sample_draw(&p, rng_uniform(t->key, t->counter));
        logprob = sample_logprob(&p, logits, id);
        right += id == guess;
        t->logits = logits;
        s = take_token(t, id, logprob, e);
        t->logits = NULL;
    }
    cut_kv(w, t, before + right);
    if (t->speculator) speculate_learn(t->speculator, before + right, i < turn->n_guesses ? i : turn->n_guesses, right);
    return s;
}

void text_begin(struct text *t) {
    t->n_drawn = 0;
    t->end = t->n_ids < t->cap_ids ? TEXT_GOES_ON : TEXT_FULL;
}

enum status write_pass(struct writer *w, struct text *const *texts, size_t n, uint64_t *pages_copied, struct error *e) {
    enum status s = OK;
    assert(n <= w->max_texts);
    for (size_t i = 0; i < n; i++) {
        struct text *t = texts[i];
        assert(!t->end && text_length(t) && t->n_ids < t->cap_ids);
        w->turns[i] = (struct turn){.text = t};
        cut_kv(w, t, text_length(t) - 1); /* the newest token is read again: its logits are wanted */
    }
    s = plan_pass(w, n, e);
    if (!s) s = engine_run(w->client, w->spans, n, pages_copied, e);
    if (s) {
        for (size_t i = 0; i < n; i++) {
            texts[i]->n_read = engine_len(w->client, texts[i]->seq);
            if (texts[i]->speculator) speculate_cut(texts[i]->speculator, text_length(texts[i]));
        }
        return s;
    }
    for (size_t i = 0; i < n; i++) count_read(w, texts[i], &w->spans[i]);
    for (size_t i = 0; i < n && !s; i++)
        if (w->spans[i].n_out) s = draw_tokens(w, &w->turns[i], &w->spans[i], e);
    return s;
}

/* ---- whole texts ---- */

static enum status end_all(struct text *const *texts, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!texts[i]->end) texts[i]->end = TEXT_CANCELLED;
    return OK;
}

enum status write_some(struct writer *w, struct text *const *texts, size_t n, const struct write_limit *limit,
                       uint64_t *pages_copied, struct error *e) {
    size_t n_live = 0, next = 0;
    for (size_t i = 0; i < n; i++) text_begin(texts[i]);
    for (;;) {
        for (; next < n && n_live < w->max_texts; next++)
            if (!texts[next]->end) w->joined[n_live++] = texts[next];
        if (!n_live) return OK;
        if ((limit && limit->reached(limit->arg)) || engine_given_up(w->client, e)) return end_all(texts, n);
        enum status s = write_pass(w, w->joined, n_live, pages_copied, e);
        if (s == ERR_CANCELLED) return end_all(texts, n);
        if (s) return s;
        size_t still = 0;
        for (size_t i = 0; i < n_live; i++)
            if (!w->joined[i]->end) w->joined[still++] = w->joined[i];
        n_live = still;
    }
}
