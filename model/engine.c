/* engine.c: what an engine is made of.
 * Not what it does: clients.c shares out pages, schedule.c passes, forward.c computes one.
 * Next: clients.c. */
#include "model/engine_internal.h"

#include <assert.h>
#include <time.h>

#include "base/mem.h"
#include "model/rope.h"

/* Lengths that are no multiple of 32 belong to no matrix that wants int8. */
static bool alloc_int8(struct pass *p, const struct model_config *c, size_t n) {
    const size_t q = (size_t)c->n_head * c->head_dim;
    return (p->norm8 = mem_new(n * row8_ld(c->n_embd), sizeof *p->norm8)) &&
           (p->heads8 = mem_new(n * row8_ld(q), sizeof *p->heads8)) &&
           (p->ff8 = mem_new(n * row8_ld(c->n_ff), sizeof *p->ff8));
}

struct kv_shape engine_kv_shape(const struct model_config *c, enum kv_type type) {
    return (struct kv_shape){.n_layer = c->n_layer,
                             .n_head_kv = c->n_head_kv,
                             .head_dim = c->head_dim,
                             .type = type,
                             .window = c->window,
                             .local = c->local};
}

/* The sum of what alloc_pass, alloc_rope and kv_new take, small change apart; test_memory.c compares. */
struct engine_memory engine_memory(const struct model *m, const struct engine_params *p) {
    const struct model_config *c = &m->config;
    size_t heads = (size_t)c->n_head * c->head_dim, kv = (size_t)c->n_head_kv * c->head_dim;
    size_t row = 3 * (size_t)c->n_embd + (heads + 2 * kv) + heads + 2 * (size_t)c->n_ff + 3 * row_ld(0); /* floats */
    size_t row8 =
        model_wants_int8(m, p->exact) ? row8_ld(c->n_embd) + row8_ld(heads) + row8_ld(c->n_ff) : 0; /* blocks */
    size_t angles = (size_t)p->max_tokens * c->rope_dim * (m->n_local ? 2 : 1);
    return (struct engine_memory){.kv = p->n_pages * kv_shape_bytes(engine_kv_shape(c, p->kv_type)),
                                  .buffers = (p->max_rows * row + angles) * sizeof(float) +
                                             p->max_rows * row8 * sizeof(struct act_block) +
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
           (en->owners = mem_new(n, sizeof *en->owners)) &&
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
    pthread_condattr_t monotonic; /* waiting calls look at deadlines of clock_ns */
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&en->changed, &monotonic);
    pthread_cond_init(&en->returned, &monotonic);
    pthread_condattr_destroy(&monotonic);
    enum status s = kv_new(engine_kv_shape(c, p->kv_type), p->n_pages, p->n_seqs, p->max_tokens, &en->kv, e);
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

enum status engine_reload(struct engine *en, struct model *m, struct error *e) {
    const struct model_config *a = &en->model->config, *b = &m->config;
    assert(!en->clients && !en->applying);
    assert(a->n_layer == b->n_layer && a->n_embd == b->n_embd && a->n_head == b->n_head && a->n_ff == b->n_ff &&
           a->n_head_kv == b->n_head_kv && a->head_dim == b->head_dim && a->n_vocab == b->n_vocab &&
           a->rope_dim == b->rope_dim && a->rope_base == b->rope_base);
    enum status s = model_pack(m, en->team, en->params.exact, e);
    if (s) return s;
    assert(m->int8 == en->model->int8);
    en->model = m, en->pass.model = m;
    kv_prefix_forget(en->kv);
    return OK;
}

void engine_free(struct engine **enp) {
    struct engine *en = *enp;
    if (!en) return;
    assert(!en->clients && !en->applying);
    struct pass *p = &en->pass;
    mem_free(p->x), mem_free(p->norm), mem_free(p->qkv), mem_free(p->heads), mem_free(p->ff), mem_free(p->delta);
    mem_free(p->norm8), mem_free(p->heads8), mem_free(p->ff8);
    attention_free(&p->attention);
    mem_free(p->segments), mem_free(p->outputs), mem_free(en->tokens), mem_free(en->needs), mem_free(en->owners);
    for (int i = 0; i < ROPE_OFF; i++) mem_free(en->rope[i]);
    kv_free(&en->kv);
    pthread_cond_destroy(&en->changed), pthread_cond_destroy(&en->returned);
    pthread_mutex_destroy(&en->lock);
    mem_free(en);
    *enp = NULL;
}

const struct model *engine_model(const struct engine *en) { return en->model; }
uint32_t engine_n_out(const struct engine *en) { return en->model->head.rows; }

struct kv_stats engine_kv_stats(struct engine *en) {
    pthread_mutex_lock(&en->lock);
    struct kv_stats s = kv_stats(en->kv);
    pthread_mutex_unlock(&en->lock);
    return s;
}

uint64_t engine_kv_bytes_peak(struct engine *en) { return engine_kv_stats(en).bytes_peak; }

uint32_t engine_pages(const struct engine *en) { return en->params.n_pages; }

uint32_t engine_pages_free(struct engine *en) {
    pthread_mutex_lock(&en->lock);
    uint32_t n = kv_pages_free(en->kv);
    pthread_mutex_unlock(&en->lock);
    return n;
}

uint32_t engine_pages_for(const struct engine *en, uint32_t n_tokens) {
    return kv_shape_pages(engine_kv_shape(&en->model->config, en->params.kv_type), n_tokens, en->params.max_rows);
}

uint64_t engine_pass_ns(struct engine *en) {
    pthread_mutex_lock(&en->lock);
    uint64_t ns = en->pass_ns;
    pthread_mutex_unlock(&en->lock);
    return ns;
}

bool engine_check(struct engine *en, struct error *e) {
    pthread_mutex_lock(&en->lock);
    bool good = kv_check(en->kv, e);
    pthread_mutex_unlock(&en->lock);
    return good;
}
