/* engine.c: the queue of requests, and who leads the next pass.
 * Not the pass: forward.c.
 * Next: search/eval_model.c, the main caller. */
#include "model/engine.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model/forward.h"
#include "model/rope.h"

/* A caller's rows, on its stack while it waits. */
struct request {
    const struct span *spans;
    size_t n_spans;
    uint32_t n_rows;
    uint64_t pages_copied;
    enum status status;
    struct error *e;
    bool done;
    struct request *next;
};

struct client {
    struct engine *engine;
    struct client_params params;
};

struct engine {
    const struct model *model;
    struct team *team;
    struct engine_params params;
    struct kv *kv;
    struct client **owner; /* [n_seqs + 1] of a sequence; NULL: it is free */
    struct pass pass;      /* written by the leader only */
    int32_t *tokens;
    float *rope[ROPE_OFF]; /* the local one NULL when no layer needs it */
    struct kv_need *needs;
    pthread_mutex_t lock; /* guards kv tables, the queue and `leading` */
    pthread_cond_t changed;
    struct request *first, **last; /* waiting, in order of arrival */
    bool leading;
};

/* Lengths that are no multiple of 32 belong to no matrix that wants int8. */
static bool alloc_int8(struct pass *p, const struct model_config *c, size_t n) {
    const size_t q = (size_t)c->n_head * c->head_dim;
    return (p->norm8 = mem_new(n * row8_ld(c->n_embd), sizeof *p->norm8)) &&
           (p->heads8 = mem_new(n * row8_ld(q), sizeof *p->heads8)) &&
           (p->ff8 = mem_new(n * row8_ld(c->n_ff), sizeof *p->ff8));
}

/* The sum of what alloc_pass, alloc_rope and kv_new take, small change apart; test_memory.c compares. */
struct engine_memory engine_memory(const struct model *m, const struct engine_params *p) {
    const struct model_config *c = &m->config;
    size_t heads = (size_t)c->n_head * c->head_dim, kv = (size_t)c->n_head_kv * c->head_dim;
    size_t row = 3 * (size_t)c->n_embd + (heads + 2 * kv) + heads + 2 * (size_t)c->n_ff + 3 * row_ld(0); /* floats */
    size_t row8 =
        model_wants_int8(m, p->exact) ? row8_ld(c->n_embd) + row8_ld(heads) + row8_ld(c->n_ff) : 0; /* blocks */
    size_t angles = (size_t)p->max_tokens * c->rope_dim * (m->n_local ? 2 : 1);
    return (struct engine_memory){
        .kv = p->n_pages * kv_shape_bytes((struct kv_shape){c->n_layer, c->n_head_kv, c->head_dim, p->kv_type}),
        .buffers = (p->max_rows * row + angles) * sizeof(float) + p->max_rows * row8 * sizeof(struct act_block) +
                   attention_bytes(m, p->max_rows, p->max_tokens)};
}

static bool alloc_pass(struct engine *en) {
    const struct model_config *c = &en->model->config;
    struct pass *p = &en->pass;
    size_t n = en->params.max_rows, q = (size_t)c->n_head * c->head_dim, kv = (size_t)c->n_head_kv * c->head_dim;
    return (p->x = mem_new(n * c->n_embd, sizeof(float))) &&
           (p->norm = mem_new(n * row_ld(c->n_embd), sizeof(float))) &&
           (p->qkv = mem_new(n * (q + 2 * kv), sizeof(float))) && (p->heads = mem_new(n * row_ld(q), sizeof(float))) &&
           (p->ff = mem_new(n * row_ld(2 * (size_t)c->n_ff), sizeof(float))) &&
           (p->delta = mem_new(n * c->n_embd, sizeof(float))) && (p->segments = mem_new(n, sizeof *p->segments)) &&
           (p->outputs = mem_new(n, sizeof *p->outputs)) && (!en->model->int8 || alloc_int8(p, c, n)) &&
           (en->tokens = mem_new(n, sizeof *en->tokens)) && (en->needs = mem_new(n, sizeof *en->needs)) &&
           attention_alloc(&p->attention, en->model, en->params.max_rows, en->params.max_tokens);
}

/* The angles of all positions; window layers may have a table of their own. */
static bool alloc_rope(struct engine *en) {
    const struct model *m = en->model;
    for (int i = 0; i < ROPE_OFF; i++) {
        if (i == ROPE_LOCAL && !m->n_local) continue;
        en->rope[i] = mem_new((size_t)en->params.max_tokens * m->config.rope_dim, sizeof(float));
        if (!en->rope[i]) return false;
        rope_fill(m, i == ROPE_LOCAL, en->params.max_tokens, en->rope[i]);
        en->pass.rope[i] = en->rope[i];
    }
    return true;
}

enum status engine_new(struct model *m, struct team *team, const struct engine_params *p, struct engine **out,
                       struct error *e) {
    *out = NULL;
    const struct model_config *c = &m->config;
    if (p->max_rows == 0 || p->max_rows > 65536)
        return error_set(e, ERR_INPUT, "engine rows: %u, allowed 1 to 65536", p->max_rows);
    struct engine *en = mem_new(1, sizeof *en);
    if (!en) return error_set(e, ERR_MEMORY, "no memory for an engine");
    en->model = m, en->team = team, en->params = *p, en->last = &en->first;
    pthread_mutex_init(&en->lock, NULL);
    pthread_cond_init(&en->changed, NULL);
    struct kv_shape shape = {c->n_layer, c->n_head_kv, c->head_dim, p->kv_type};
    enum status s = kv_new(shape, p->n_pages, p->n_seqs, p->max_tokens, &en->kv, e);
    if (!s && !(en->owner = mem_new((size_t)p->n_seqs + 1, sizeof(struct client *))))
        s = error_set(e, ERR_MEMORY, "no memory for %u sequences", p->n_seqs);
    if (!s) s = model_pack(m, team, p->exact, e);
    if (!s && (!alloc_pass(en) || !alloc_rope(en)))
        s = error_set(e, ERR_MEMORY, "no memory for passes of %u rows", p->max_rows);
    if (s) {
        engine_free(&en);
        return s;
    }
    en->pass.model = m, en->pass.kv = en->kv, en->pass.tokens = en->tokens;
    en->pass.always_share = p->always_share;
    *out = en;
    return OK;
}

void engine_free(struct engine **enp) {
    struct engine *en = *enp;
    if (!en) return;
    struct pass *p = &en->pass;
    mem_free(p->x), mem_free(p->norm), mem_free(p->qkv), mem_free(p->heads), mem_free(p->ff), mem_free(p->delta);
    mem_free(p->norm8), mem_free(p->heads8), mem_free(p->ff8);
    attention_free(&p->attention);
    mem_free(p->segments), mem_free(p->outputs), mem_free(en->tokens), mem_free(en->needs);
    for (int i = 0; i < ROPE_OFF; i++) mem_free(en->rope[i]);
    mem_free(en->owner);
    kv_free(&en->kv);
    pthread_cond_destroy(&en->changed);
    pthread_mutex_destroy(&en->lock);
    mem_free(en);
    *enp = NULL;
}

const struct model *engine_model(const struct engine *en) { return en->model; }
uint32_t engine_n_out(const struct engine *en) { return en->model->head.rows; }

/* ---- clients ---- */

enum status engine_client_new(struct engine *en, const struct client_params *p, struct client **out, struct error *e) {
    struct client *c = *out = mem_new(1, sizeof *c);
    if (!c) return error_set(e, ERR_MEMORY, "no memory for a client of the engine");
    c->engine = en;
    if (p) c->params = *p;
    return OK;
}

void engine_client_free(struct client **cp) {
    struct client *c = *cp;
    if (!c) return;
    struct engine *en = c->engine;
    pthread_mutex_lock(&en->lock);
    for (uint32_t seq = 1; seq <= en->params.n_seqs; seq++) {
        uint32_t mine = seq;
        if (en->owner[seq] == c) en->owner[seq] = NULL, kv_drop(en->kv, &mine);
    }
    pthread_mutex_unlock(&en->lock);
    mem_free(c);
    *cp = NULL;
}

struct engine *engine_of(const struct client *c) {
    return c->engine;
}
void engine_set_limits(struct client *c, uint64_t deadline_ns, const volatile int *cancel) {
    c->params.deadline_ns = deadline_ns, c->params.cancel = cancel;
}

enum status engine_given_up(const struct client *c, struct error *e) {
    if (c->params.cancel && *c->params.cancel) return error_set(e, ERR_CANCELLED, "cancelled");
    if (c->params.deadline_ns && clock_ns() >= c->params.deadline_ns) return error_set(e, ERR_CANCELLED, "out of time");
    return OK;
}

/* ---- sequences: kv.h under the lock ---- */

uint32_t engine_seq_new(struct client *c) {
    struct engine *en = c->engine;
    pthread_mutex_lock(&en->lock);
    uint32_t seq = kv_seq_new(en->kv);
    if (seq) en->owner[seq] = c;
    pthread_mutex_unlock(&en->lock);
    return seq;
}

uint32_t engine_fork(struct client *c, uint32_t seq) {
    struct engine *en = c->engine;
    pthread_mutex_lock(&en->lock);
    uint32_t to = kv_fork(en->kv, seq);
    if (to) en->owner[to] = c;
    pthread_mutex_unlock(&en->lock);
    return to;
}

void engine_drop(struct client *c, uint32_t *seq) {
    struct engine *en = c->engine;
    pthread_mutex_lock(&en->lock);
    en->owner[*seq] = NULL;
    kv_drop(en->kv, seq);
    pthread_mutex_unlock(&en->lock);
}

void engine_truncate(struct client *c, uint32_t seq, uint32_t len) {
    struct engine *en = c->engine;
    pthread_mutex_lock(&en->lock);
    kv_truncate(en->kv, seq, len);
    pthread_mutex_unlock(&en->lock);
}

uint32_t engine_len(struct client *c, uint32_t seq) {
    struct engine *en = c->engine;
    pthread_mutex_lock(&en->lock);
    uint32_t len = kv_len(en->kv, seq);
    pthread_mutex_unlock(&en->lock);
    return len;
}

struct kv_stats engine_kv_stats(struct engine *en) {
    pthread_mutex_lock(&en->lock);
    struct kv_stats s = kv_stats(en->kv);
    pthread_mutex_unlock(&en->lock);
    return s;
}

uint64_t engine_kv_bytes_peak(struct engine *en) {
    return (uint64_t)engine_kv_stats(en).pages_peak * kv_page_bytes(en->kv);
}

uint32_t engine_pages_free(struct engine *en) {
    pthread_mutex_lock(&en->lock);
    uint32_t n = kv_pages_free(en->kv);
    pthread_mutex_unlock(&en->lock);
    return n;
}

uint32_t engine_prefix(struct client *c, uint32_t seq, const int32_t *tokens, uint32_t n) {
    struct engine *en = c->engine;
    pthread_mutex_lock(&en->lock);
    uint32_t hit = kv_adopt(en->kv, seq, tokens, n);
    pthread_mutex_unlock(&en->lock);
    return hit;
}

void engine_remember(struct client *c, uint32_t seq, const int32_t *tokens, uint32_t n) {
    struct engine *en = c->engine;
    pthread_mutex_lock(&en->lock);
    kv_remember(en->kv, seq, tokens, n);
    pthread_mutex_unlock(&en->lock);
}

bool engine_check(struct engine *en, struct error *e) {
    pthread_mutex_lock(&en->lock);
    bool good = kv_check(en->kv, e);
    pthread_mutex_unlock(&en->lock);
    return good;
}

/* ---- passes ---- */

/* Adds a request's rows to the pass; its sequences have room already. */
static void add_to_pass(struct engine *en, const struct request *r) {
    struct pass *p = &en->pass;
    size_t n_out = en->model->head.rows;
    for (size_t i = 0; i < r->n_spans; i++) {
        const struct span *s = &r->spans[i];
        if (s->n_tokens == 0) continue;
        p->segments[p->n_segments++] = (struct segment){s->seq, p->n_rows, s->n_tokens, kv_len(en->kv, s->seq)};
        memcpy(en->tokens + p->n_rows, s->tokens, s->n_tokens * sizeof *s->tokens);
        p->n_rows += s->n_tokens;
        for (uint32_t j = 0; j < s->n_out; j++)
            p->outputs[p->n_outputs++] = (struct output){p->n_rows - s->n_out + j, s->out + j * n_out};
    }
}

/* Takes waiting requests, in order, as long as they fit one pass; a request without room in the KV cache is done at once. */
static struct request *take_requests(struct engine *en) {
    struct request *taken = NULL, **tail = &taken;
    struct pass *p = &en->pass;
    p->n_rows = p->n_segments = p->n_outputs = 0;
    while (en->first && p->n_rows + en->first->n_rows <= en->params.max_rows) {
        struct request *r = en->first;
        if (!(en->first = r->next)) en->last = &en->first;
        for (size_t i = 0; i < r->n_spans; i++) en->needs[i] = (struct kv_need){r->spans[i].seq, r->spans[i].n_tokens};
        uint64_t copied = kv_stats(en->kv).pages_copied;
        r->status = kv_reserve(en->kv, en->needs, r->n_spans, r->e);
        r->pages_copied = kv_stats(en->kv).pages_copied - copied;
        if (r->status == OK) add_to_pass(en, r);
        r->next = NULL;
        *tail = r, tail = &r->next;
    }
    return taken;
}

static void lead(struct engine *en) {
    struct request *taken = take_requests(en);
    if (en->pass.n_rows) {
        pthread_mutex_unlock(&en->lock);
        forward_run(&en->pass, en->team);
        pthread_mutex_lock(&en->lock);
    }
    for (struct request *r = taken, *next; r; r = next) {
        next = r->next; /* the owner may return as soon as it is done */
        for (size_t i = 0; r->status == OK && i < r->n_spans; i++)
            kv_advance(en->kv, r->spans[i].seq, r->spans[i].n_tokens);
        r->done = true;
    }
}

static enum status submit(struct engine *en, const struct span *spans, size_t n, uint32_t n_rows, uint64_t *copied,
                          struct error *e) {
    struct request r = {.spans = spans, .n_spans = n, .n_rows = n_rows, .e = e};
    pthread_mutex_lock(&en->lock);
    *en->last = &r, en->last = &r.next;
    while (!r.done) {
        if (en->leading) {
            pthread_cond_wait(&en->changed, &en->lock);
            continue;
        }
        en->leading = true;
        lead(en);
        en->leading = false;
        pthread_cond_broadcast(&en->changed);
    }
    pthread_mutex_unlock(&en->lock);
    if (copied) *copied += r.pages_copied;
    return r.status;
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

/* More rows than one pass holds: pieces one after another, undone if one of them finds no room. */
static enum status run_pieces(struct client *c, const struct span *spans, size_t n, uint64_t *copied, struct error *e) {
    struct engine *en = c->engine;
    size_t i = 0, n_out = en->model->head.rows;
    uint32_t at = 0; /* tokens of span i that are done */
    enum status s = OK;
    while (!s && i < n) {
        uint32_t left = spans[i].n_tokens - at, take = left < en->params.max_rows ? left : en->params.max_rows;
        uint32_t skipped = spans[i].n_tokens - spans[i].n_out; /* tokens without output */
        struct span piece = {spans[i].seq, take, 0, spans[i].tokens + at, NULL};
        if (at + take > skipped) {
            uint32_t from = at > skipped ? at : skipped;
            piece.n_out = at + take - from, piece.out = spans[i].out + (from - skipped) * n_out;
        }
        if ((s = engine_given_up(c, e))) break;
        s = submit(en, &piece, 1, take, copied, e);
        if (!s && (at += take) == spans[i].n_tokens) i++, at = 0;
    }
    if (s)
        for (size_t j = 0; j <= i && j < n; j++) {
            uint32_t added = j < i ? spans[j].n_tokens : at;
            engine_truncate(c, spans[j].seq, engine_len(c, spans[j].seq) - added);
        }
    return s;
}

enum status engine_run(struct client *c, const struct span *spans, size_t n, uint64_t *pages_copied, struct error *e) {
    struct engine *en = c->engine;
    uint64_t rows;
    enum status s = check_spans(en, spans, n, &rows, e);
    if (s || rows == 0 || (s = engine_given_up(c, e))) return s;
    if (rows <= en->params.max_rows && n <= en->params.max_rows)
        return submit(en, spans, n, (uint32_t)rows, pages_copied, e);
    return run_pieces(c, spans, n, pages_copied, e);
}

enum status engine_read(struct client *c, struct reading *r, struct error *e) {
    r->n_cached = engine_prefix(c, r->seq, r->tokens, r->n + !r->out); /* all of it, when no output is wanted */
    struct span span = {r->seq, r->n - r->n_cached, r->out != NULL, r->tokens + r->n_cached, r->out};
    enum status s = engine_run(c, &span, 1, &r->pages_copied, e);
    if (s) engine_truncate(c, r->seq, 0);
    else engine_remember(c, r->seq, r->tokens, r->n);
    return s;
}
