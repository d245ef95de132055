/* schedule.c: whose rows are in the next pass, and who leads it.
 * Not the pass: forward.c.  Not the pages: clients.c.
 * Next: forward.c.
 *
 * Short spans (the next token of a branch, a few guesses, a step that a reward model reads) are taken whole and before
 * all others; what room is left goes to pieces of long ones (prompts), oldest first.  A pass for prompts alone has
 * max_rows rows. One that carries short spans, or runs while their owners are about to come back with the next token,
 * is kept so short that nobody notices: as many rows of prompts as fit MIXED_NS by the rate of the passes before it. 
 * So a token waits for one pass under way at most, and that pass is short.
 *
 * Leader and followers: whoever finds nobody leading leads passes until its own rows are done, then wakes the next
 * one.  The threads of the team are the same all the time and the leader is its member 0, so that no thread is started
 * for a request, nor is there one more thread that a lone caller would have to wake and wait for. */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "model/engine_internal.h"

enum {
    SHORT_SPAN = 32,          /* tokens */
    PROMPT_SHARE = 8,         /* of a pass, this part of its rows is kept for prompts that wait, however many decode */
    MIXED_NS = 180000000,     /* a pass that carries short spans takes about so long at most */
    MIXED_ROWS = 16,          /* but has so many rows of prompts at least */
    DECODING_NS = 1000000000, /* after its last token, so long is somebody held to be decoding */
    RATE_ROWS = 16,           /* passes of so many rows tell how long a row takes */
    GRACE_SHARE = 16,         /* of a pass: so long the next one waits for those who come back with their next token */
    GRACE_MIN_NS = 5000000,
    GRACE_MAX_NS = 2000000, /* after passes of at least 5 ms; at most 2 ms */
    TURN_OF_OLDEST = 4,     /* in every so many passes the oldest prompt comes first, whatever others' priority is */
};

/* Rows of short spans in a pass for which prompts wait too. */
static uint32_t short_rows(const struct engine *en) {
    return en->params.max_rows - (en->params.max_rows + PROMPT_SHARE - 1) / PROMPT_SHARE;
}

static bool is_short(const struct engine *en, const struct span *s) {
    return s->n_tokens <= 1 || (s->n_tokens <= SHORT_SPAN && s->n_tokens <= short_rows(en));
}

/* To the next span of its kind that has tokens. */
static void skip(struct request *r) {
    const struct engine *en = r->client->engine;
    const struct span *s = r->spans;
    while (r->next_short < r->n_spans && !(s[r->next_short].n_tokens && is_short(en, &s[r->next_short])))
        r->next_short++;
    while (r->next_long < r->n_spans && is_short(en, &s[r->next_long])) r->next_long++;
}

static bool is_complete(const struct request *r) { return r->next_short == r->n_spans && r->next_long == r->n_spans; }

/* ---- what goes into a pass ---- */

/* Tokens [at, at + n) of a span; pages for them were promised. */
static void add_piece(struct engine *en, struct request *r, const struct span *s, uint32_t at, uint32_t n) {
    struct pass *p = &en->pass;
    struct client *c = r->client;
    const uint32_t skipped = s->n_tokens - s->n_out; /* tokens without output */
    const uint64_t held = kv_held(c->holder), copied = kv_stats(en->kv).pages_copied;
    const size_t n_out = en->model->head.rows;
    enum status st = kv_reserve(en->kv, &(struct kv_need){s->seq, n}, 1, NULL);
    assert(st == OK), (void)st;
    const uint64_t now = kv_held(c->holder), more = now > held ? now - held : 0,
                   part = more < r->promised ? more : r->promised;
    r->promised -= part, c->promised -= part;
    r->pages_copied += kv_stats(en->kv).pages_copied - copied;
    en->owners[p->n_segments] = r;
    p->segments[p->n_segments++] = (struct segment){s->seq, p->n_rows, n, kv_len(en->kv, s->seq)};
    memcpy(en->tokens + p->n_rows, s->tokens + at, n * sizeof *s->tokens);
    for (uint32_t i = at > skipped ? at : skipped; i < at + n; i++)
        p->outputs[p->n_outputs++] = (struct output){p->n_rows + i - at, s->out + (i - skipped) * n_out};
    p->n_rows += n;
}

static void add_short_spans(struct engine *en, uint32_t most, uint64_t now) {
    for (struct request *r = en->first; r; r = r->next)
        for (; r->next_short < r->n_spans; r->next_short++, skip(r)) {
            const struct span *s = &r->spans[r->next_short];
            if (en->pass.n_rows + s->n_tokens > most) return;
            add_piece(en, r, s, 0, s->n_tokens);
            r->client->decoded_ns = now;
        }
}

/* The prompt whose turn it is: of the highest priority the oldest. */
static struct request *next_prompt(const struct engine *en) {
    struct request *best = NULL;
    for (struct request *r = en->first; r; r = r->next) {
        if (r->next_long == r->n_spans) continue;
        if (!best || r->client->params.priority > best->client->params.priority) best = r;
        if (en->n_passes % TURN_OF_OLDEST == 0) break;
    }
    return best;
}

static void add_prompts(struct engine *en, uint32_t most) {
    struct request *r;
    while (en->pass.n_rows < most && (r = next_prompt(en))) {
        const struct span *s = &r->spans[r->next_long];
        const uint32_t left = s->n_tokens - r->at, room = most - en->pass.n_rows, n = left < room ? left : room;
        add_piece(en, r, s, r->at, n);
        if ((r->at += n) == s->n_tokens) r->at = 0, r->next_long++, skip(r);
    }
}

/* Rows of a pass that is to take at most so long. */
static uint32_t rows_for(const struct engine *en, uint64_t ns) {
    const double rows = en->row_ns > 0 ? (double)ns / en->row_ns : MIXED_ROWS;
    return rows < MIXED_ROWS ? MIXED_ROWS : rows < en->params.max_rows ? (uint32_t)rows : en->params.max_rows;
}

/* What is left until the nearest deadline of those who wait for the pass. */
static uint64_t time_left(const struct engine *en, uint64_t now) {
    uint64_t left = UINT64_MAX;
    for (const struct request *r = en->first; r; r = r->next) {
        const uint64_t until = r->client->params.deadline_ns;
        if (until && (until <= now || until - now < left)) left = until > now ? until - now : 0;
    }
    return left;
}

static bool waits_for_prompt(const struct engine *en, const struct client *c) {
    for (const struct request *r = en->first; r; r = r->next)
        if (r->client == c && r->next_long < r->n_spans) return true;
    return false;
}

/* Is somebody about to come back with the next token who does not wait for a prompt of his own? */
static bool others_decode(const struct engine *en, uint64_t now) {
    for (const struct client *c = en->clients; c; c = c->next)
        if (c->decoded_ns && now - c->decoded_ns < DECODING_NS && !waits_for_prompt(en, c)) return true;
    return false;
}

static void compose(struct engine *en) {
    struct pass *p = &en->pass;
    const uint64_t now = clock_ns(), left = time_left(en, now);
    const bool prompts = next_prompt(en) != NULL;
    uint32_t most = en->params.max_rows;
    p->n_rows = p->n_segments = p->n_outputs = 0;
    en->n_passes++;
    add_short_spans(en, prompts ? short_rows(en) : most, now);
    if (!prompts) return;
    uint32_t rows = p->n_rows || others_decode(en, now) ? rows_for(en, MIXED_NS) : most;
    if (left != UINT64_MAX && rows_for(en, left) < rows) rows = rows_for(en, left);
    if (rows < p->n_rows + MIXED_ROWS) rows = p->n_rows + MIXED_ROWS;
    add_prompts(en, rows < most ? rows : most);
}

/* ---- leading ---- */

static void finish(struct engine *en, struct request **at, enum status s) {
    struct request *r = *at;
    if (!(*at = r->next)) en->last = at;
    r->client->promised -= r->promised;
    r->status = s, r->done = true;
    if (!s && r->decodes) r->client->n_returning++, en->n_returning++;
    pthread_cond_signal(&r->wake); /* its owner may return as soon as the lock is free */
}

/* Back to what its sequences held before the call. */
static void undo(struct engine *en, const struct request *r) {
    for (size_t i = 0; i < r->n_spans; i++) {
        const struct span *s = &r->spans[i];
        uint32_t added = is_short(en, s) ? (i < r->next_short ? s->n_tokens : 0) : i < r->next_long ? s->n_tokens : 0;
        if (i == r->next_long) added = r->at;
        client_truncate(r->client, s->seq, kv_len(en->kv, s->seq) - added);
    }
}

static void give_up_some(struct engine *en) {
    for (struct request **at = &en->first; *at;) {
        struct request *r = *at;
        if (!engine_given_up(r->client, NULL)) at = &r->next;
        else undo(en, r), finish(en, at, ERR_CANCELLED);
    }
}

/* Those who just got a token are most likely back at once with the next one, and then share the pass: else two callers
 * would take turns, each in passes of its own, and a prompt would pass between two tokens. */
static void wait_for_returning(struct engine *en) {
    if (en->pass_ns >= GRACE_MIN_NS) {
        const uint64_t share = en->pass_ns / GRACE_SHARE, now = clock_ns();
        const uint64_t until = en->pass_end_ns + (share < GRACE_MAX_NS ? share : GRACE_MAX_NS);
        if (en->n_returning && now < until) clients_wait(en, &en->returned, until - now);
    }
    for (struct client *c = en->clients; c && en->n_returning; c = c->next)
        en->n_returning -= c->n_returning, c->n_returning = 0;
}

static void learn_rate(struct engine *en, uint64_t ns) {
    if (en->pass.n_rows < RATE_ROWS) return;
    const double row = (double)ns / en->pass.n_rows;
    en->row_ns = en->row_ns > 0 ? en->row_ns + (row - en->row_ns) / 4 : row;
}

/* One pass for all who wait, without the lock while it is computed. */
static void lead(struct engine *en) {
    wait_for_returning(en);
    give_up_some(en);
    compose(en);
    if (en->pass.n_rows) {
        pthread_mutex_unlock(&en->lock);
        const uint64_t start = clock_ns();
        forward_run(&en->pass, en->team);
        const uint64_t end = clock_ns();
        pthread_mutex_lock(&en->lock);
        en->pass_ns = end - start, en->pass_end_ns = end;
        learn_rate(en, end - start);
    }
    for (uint32_t i = 0; i < en->pass.n_segments; i++) {
        const uint64_t room = kv_advance(en->kv, en->pass.segments[i].seq, en->pass.segments[i].n);
        en->owners[i]->promised += room, en->owners[i]->client->promised += room; /* for its next piece */
    }
    for (struct request **at = &en->first; *at;)
        if (is_complete(*at)) finish(en, at, OK);
        else at = &(*at)->next;
}

static void wait_or_lead(struct engine *en, struct request *r) {
    while (!r->done) {
        if (en->leading) {
            pthread_cond_wait(&r->wake, &en->lock);
            continue;
        }
        en->leading = true;
        lead(en);
        en->leading = false;
    }
    if (!en->leading && en->first) pthread_cond_signal(&en->first->wake);
}

static enum status check_spans(const struct engine *en, const struct span *spans, size_t n, uint64_t *rows,
                               struct error *e) {
    *rows = 0;
    for (size_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < spans[i].n_tokens; j++)
            if (spans[i].tokens[j] < 0 || (uint32_t)spans[i].tokens[j] >= en->model->config.n_vocab)
                return error_set(e, ERR_INPUT, "token id %d, allowed 0 to %u", spans[i].tokens[j],
                                 en->model->config.n_vocab - 1);
        *rows += spans[i].n_tokens;
    }
    return OK;
}

enum status engine_run(struct client *c, const struct span *spans, size_t n, uint64_t *pages_copied, struct error *e) {
    struct engine *en = c->engine;
    struct request r = {.client = c, .spans = spans, .n_spans = n, .wake = PTHREAD_COND_INITIALIZER};
    uint64_t rows;
    enum status s = check_spans(en, spans, n, &rows, e);
    if (s || rows == 0 || (s = engine_given_up(c, e))) return s;
    skip(&r);
    r.decodes = r.next_long == n;
    pthread_mutex_lock(&en->lock);
    client_came_back(c);
    c->n_calls++;
    if (!(s = clients_make_room(&r, e))) {
        *en->last = &r, en->last = &r.next;
        wait_or_lead(en, &r);
        s = r.status;
    }
    c->n_calls--, c->left_ns = clock_ns();
    pthread_mutex_unlock(&en->lock);
    if (pages_copied) *pages_copied += r.pages_copied;
    if (r.status == ERR_CANCELLED && !engine_given_up(c, e)) error_set(e, ERR_CANCELLED, "cancelled");
    return s;
}
