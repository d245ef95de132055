/* forward.c: the transformer, one function per block, for any mix of rows.
 * Not training: net_pass.c is the same mathematics with a tape.
 * Next: attention.c.
 *
 * Three ways to do a pass with threads, one code:
 *   alone        the caller's thread does all
 *   by branches  each thread takes some segments and runs them through all layers alone: no barrier at all
 *   by weights   all threads see all rows; each makes its part of the output columns: barriers between blocks
 * A `share` says which rows and which part of the work are mine; columns of large products are taken piece by piece.
 * pace.h remembers which way is fast. */
#include "model/forward.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "model/arch.h"
#include "model/attention.h"

struct share {
    const struct pass *pass;
    uint32_t row0, row1, segment0, segment1, output0, output1;
    int index, count;  /* my part of what is shared: columns, rows */
    struct team *team; /* NULL: nothing is shared */
    unsigned n_jobs;   /* begun in this pass */
    const struct attention_plan *plan;
};

static void barrier(const struct share *s) {
    if (s->team) team_barrier(s->team);
}

/* My part of [begin, end), in whole groups of `unit`. */
static void part_of(const struct share *s, uint32_t begin, uint32_t end, uint32_t unit, uint32_t *lo, uint32_t *hi) {
    uint64_t groups = ((uint64_t)end - begin + unit - 1) / unit;
    *lo = begin + (uint32_t)(groups * (uint64_t)s->index / (uint64_t)s->count) * unit;
    *hi = begin + (uint32_t)(groups * (uint64_t)(s->index + 1) / (uint64_t)s->count) * unit;
    if (*hi > end) *hi = end;
    if (*lo > *hi) *lo = *hi;
}

/* Rows of activations: as floats, and as int8 for the matrices that want them so (NULL where none does). */
struct rows {
    const float *x;
    size_t ldx;
    struct act_block *x8;
};

/* All parts of weights and of what they make are whole groups of so many rows: panels, and blocks of 32 activations. */
enum { UNIT = 32 };

/* Products of fewer multiply-adds are cut into equal parts: to ask for pieces would take longer than to wait. */
enum { SMALL_WORK = 1 << 19 };

/* The columns of a product that are mine, piece by piece: large pieces first, so that all threads end together even when
 * some core is slower or busy.  All threads go through the same products in the same order. */
struct pieces {
    uint32_t columns, lo, hi; /* the present piece */
    uint32_t next;            /* where piece number `ticket` begins, in groups */
    unsigned job, ticket;
    bool equal; /* one piece */
};

static struct pieces pieces_of(struct share *s, uint32_t columns, uint64_t work) {
    struct pieces p = {.columns = columns, .equal = s->count == 1 || work < SMALL_WORK};
    if (!p.equal) team_job(s->team, p.job = s->n_jobs++);
    return p;
}

static bool next_piece(const struct share *s, struct pieces *p) {
    if (p->equal) {
        part_of(s, 0, p->columns, UNIT, &p->lo, &p->hi);
        return p->lo < p->hi && p->ticket++ == 0;
    }
    const uint32_t groups = (p->columns + UNIT - 1) / UNIT;
    for (unsigned ticket = team_ticket(s->team, p->job); p->next < groups; p->ticket++) {
        uint32_t size = (groups - p->next) / (2 * (uint32_t)s->count), least = groups / 128 + 1, at = p->next;
        if (size < least) size = least;
        if (size > groups - at) size = groups - at;
        p->next += size;
        if (p->ticket < ticket) continue;
        p->ticket++;
        p->lo = at * UNIT, p->hi = p->next * UNIT < p->columns ? p->next * UNIT : p->columns;
        return true;
    }
    return false;
}

/* y[row, lo..hi) = W x[row] + bias, n rows; y: [n, ldy]. */
static void columns(const struct matrix *w, uint32_t lo, uint32_t hi, struct rows x, float *y, size_t ldy, uint32_t n) {
    ops_get()->matmul(y, ldy, &w->panels, lo, hi, x.x, x.ldx, x.x8, row8_ld(w->cols), n);
    for (uint32_t j = 0; w->bias && j < n; j++) ops_get()->add(y + j * ldy + lo, w->bias + lo, hi - lo);
}

static uint64_t work_of(const struct matrix *w, uint32_t n) { return (uint64_t)w->rows * w->cols * n; }

/* My columns of all of W. */
static void multiply(struct share *s, const struct matrix *w, struct rows x, float *y, size_t ldy, uint32_t n) {
    if (n == 0) return;
    for (struct pieces p = pieces_of(s, w->rows, work_of(w, n)); next_piece(s, &p);)
        columns(w, p.lo, p.hi, x, y, ldy, n);
}

static bool wants_int8(const struct matrix *w) { return w->panels.layout == PANEL_INT8; }

/* A row of x8; NULL where no matrix wants int8. */
static struct act_block *at8(struct act_block *x8, size_t row, size_t cols) {
    return x8 ? x8 + row * row8_ld(cols) : NULL;
}

/* Columns [lo, hi) of one row as int8, when it is wanted. */
static void quantize(bool wanted, struct act_block *to, const float *x, uint32_t lo, uint32_t hi) {
    if (wanted && lo < hi) ops_get()->quantize(to + lo / 32, x + lo, hi - lo);
}

/* x[i] *= scale, where 0 stands for 1. */
static void scale_by(float *x, float scale, size_t n) {
    if (scale == 0 || scale == 1) return;
    for (size_t i = 0; i < n; i++) x[i] *= scale;
}

static void embed(const struct share *s) {
    const struct pass *p = s->pass;
    const struct matrix *w = &p->model->embd;
    uint32_t lo, hi;
    part_of(s, s->row0, s->row1, 1, &lo, &hi);
    for (uint32_t r = lo; r < hi; r++) {
        float *x = p->x + (size_t)r * w->cols;
        type_to_f32(w->type, (const char *)w->data + (size_t)p->tokens[r] * w->row_bytes, x, w->cols);
        scale_by(x, p->model->config.embed_scale, w->cols);
    }
}

/* x[row] += what the last block made of it, with its post norm (NULL: none). */
static void add_delta(const struct pass *p, size_t row, const float *post) {
    const struct model_config *c = &p->model->config;
    float *delta = p->delta + row * c->n_embd;
    if (post) ops_get()->rms_norm(delta, delta, post, c->n_embd, c->rms_eps);
    scale_by(delta, c->residual_scale, c->n_embd);
    ops_get()->add(p->x + row * c->n_embd, delta, c->n_embd);
}

/* Adds the last block's delta (unless there is none yet), then norm(x) (w NULL: x itself), on my share of the rows; also
 * as int8 when that is wanted. */
static void add_and_norm(const struct share *s, bool add, const float *post, const float *w, bool int8) {
    const struct pass *p = s->pass;
    const struct ops *ops = ops_get();
    size_t d = p->model->config.n_embd;
    uint32_t lo, hi;
    part_of(s, s->row0, s->row1, 1, &lo, &hi);
    for (uint32_t r = lo; r < hi; r++) {
        if (add) add_delta(p, r, post);
        if (w) ops->rms_norm(p->norm + r * row_ld(d), p->x + r * d, w, d, p->model->config.rms_eps);
        else memcpy(p->norm + r * row_ld(d), p->x + r * d, d * sizeof(float));
        quantize(int8, at8(p->norm8, r, d), p->norm + r * row_ld(d), 0, (uint32_t)d);
    }
}

/* Norms over whole rows of q and k, which the threads have made in parts. */
static void norm_qk_rows(const struct share *s, const struct layer *y) {
    const struct pass *p = s->pass;
    const struct model_config *c = &p->model->config;
    size_t q = (size_t)c->n_head * c->head_dim, kv = (size_t)c->n_head_kv * c->head_dim;
    uint32_t lo, hi;
    part_of(s, s->row0, s->row1, 1, &lo, &hi);
    for (uint32_t r = lo; r < hi; r++) {
        float *row = p->qkv + r * (q + 2 * kv);
        ops_get()->rms_norm(row, row, y->q_norm, q, c->rms_eps);
        ops_get()->rms_norm(row + q, row + q, y->k_norm, kv, c->rms_eps);
    }
    barrier(s);
}

static void attention_block(struct share *s, const struct layer *y, uint32_t layer) {
    const struct pass *p = s->pass;
    const struct model_config *c = &p->model->config;
    size_t d = c->n_embd, q = (size_t)c->n_head * c->head_dim, kv = (size_t)c->n_head_kv * c->head_dim, ld = q + 2 * kv;
    uint32_t n = s->row1 - s->row0, lo, hi;
    const struct rows x = {p->norm + s->row0 * row_ld(d), row_ld(d), at8(p->norm8, s->row0, d)};
    const struct rows heads = {p->heads + s->row0 * row_ld(q), row_ld(q), at8(p->heads8, s->row0, q)};
    float *qkv = p->qkv + s->row0 * ld;
    multiply(s, &y->q, x, qkv, ld, n);
    multiply(s, &y->k, x, qkv + q, ld, n);
    multiply(s, &y->v, x, qkv + q + kv, ld, n);
    barrier(s);
    if (c->kind->qk_norm == QK_NORM_ROW) norm_qk_rows(s, y);
    attention_store(p, s->plan, layer, s->index, s->count);
    if (!attention_by_heads(p, s->count)) barrier(s);
    attention_read(p, s->plan, layer, s->index, s->count);
    barrier(s);
    if (wants_int8(&y->out)) {
        part_of(s, s->row0, s->row1, 1, &lo, &hi);
        for (uint32_t r = lo; r < hi; r++)
            quantize(true, at8(p->heads8, r, q), p->heads + r * row_ld(q), 0, (uint32_t)q);
        barrier(s);
    }
    multiply(s, &y->out, heads, p->delta + s->row0 * d, d, n);
    barrier(s);
}

static void ffn_block(struct share *s, const struct layer *y) {
    const struct pass *p = s->pass;
    size_t d = p->model->config.n_embd, ff = p->model->config.n_ff;
    uint32_t n = s->row1 - s->row0;
    const struct rows x = {p->norm + s->row0 * row_ld(d), row_ld(d), at8(p->norm8, s->row0, d)};
    const size_t ld = row_ld(2 * ff);
    float *gate = p->ff + s->row0 * ld;
    const struct rows hidden = {gate, ld, at8(p->ff8, s->row0, ff)};
    const struct ops *ops = ops_get();
    for (struct pieces c = pieces_of(s, (uint32_t)ff, 2 * work_of(&y->gate, n)); next_piece(s, &c);) {
        columns(&y->gate, c.lo, c.hi, x, gate, ld, n);
        columns(&y->up, c.lo, c.hi, x, gate + ff, ld, n);
        for (uint32_t r = 0; r < n; r++) {
            float *g = gate + r * ld;
            (p->model->config.kind->gelu ? ops->gelu_mul : ops->silu_mul)(g + c.lo, g + c.lo, g + ff + c.lo,
                                                                          c.hi - c.lo);
            quantize(wants_int8(&y->down), at8(p->ff8, s->row0 + r, ff), g, c.lo, c.hi);
        }
    }
    barrier(s);
    multiply(s, &y->down, hidden, p->delta + s->row0 * d, d, n);
    barrier(s);
}

/* Scale and cap of columns [lo, hi) of n rows of logits; a reward model's output is none. */
static void finish_logits(const struct model *m, float *logits, uint32_t lo, uint32_t hi, uint32_t n) {
    for (uint32_t j = 0; m->lm_head && j < n; j++) {
        float *row = logits + (size_t)j * m->head.rows + lo;
        scale_by(row, m->config.logit_scale, hi - lo);
        if (m->config.final_softcap > 0) ops_get()->softcap(row, m->config.final_softcap, hi - lo);
    }
}

/* ReLU(head_hidden x) of all outputs, in delta, whose rows have been used up; x: their final norms.  Returns where
 * output 0 would stand. */
static float *hidden_layer(struct share *s, const float *x, struct act_block *norm8) {
    const struct matrix *w = &s->pass->model->head_hidden;
    float *y = s->pass->delta + ((ptrdiff_t)s->row0 - (ptrdiff_t)s->output0) * (ptrdiff_t)w->rows;
    const uint32_t n = s->output1 - s->output0;
    const struct rows in = {x + s->output0 * row_ld(w->cols), row_ld(w->cols), at8(norm8, s->output0, w->cols)};
    for (struct pieces c = pieces_of(s, w->rows, work_of(w, n)); n && next_piece(s, &c);) {
        columns(w, c.lo, c.hi, in, y + (size_t)s->output0 * w->rows, w->rows, n);
        for (uint32_t i = s->output0; i < s->output1; i++)
            for (uint32_t k = c.lo; k < c.hi; k++)
                y[(size_t)i * w->rows + k] = y[(size_t)i * w->rows + k] < 0 ? 0 : y[(size_t)i * w->rows + k];
    }
    barrier(s);
    return y;
}

/* Final norm and head on the rows that are asked for.  Outputs that lie one after another are made by one matmul. */
static void head_block(struct share *s) {
    const struct pass *p = s->pass;
    const struct model *m = p->model;
    size_t d = m->config.n_embd, ld = row_ld(d), n_out = m->head.rows;
    const struct ops *ops = ops_get();
    const ptrdiff_t shift = (ptrdiff_t)s->row0 - (ptrdiff_t)s->output0;
    float *norm = p->norm + shift * (ptrdiff_t)row_ld(d);
    struct act_block *norm8 = p->norm8 ? p->norm8 + shift * (ptrdiff_t)row8_ld(d) : NULL;
    uint32_t lo, hi;
    part_of(s, s->output0, s->output1, 1, &lo, &hi);
    for (uint32_t i = lo; i < hi; i++) {
        add_delta(p, p->outputs[i].row, m->layers[m->config.n_layer - 1].ffn_post_norm);
        /* My i-th row of norm is free: outputs are in row order, so it is not behind the output's own row. */
        ops->rms_norm(norm + i * ld, p->x + p->outputs[i].row * d, m->output_norm, d, m->config.rms_eps);
        quantize(wants_int8(&m->head) || wants_int8(&m->head_hidden), at8(norm8, i, d), norm + i * ld, 0, (uint32_t)d);
    }
    barrier(s);
    if (m->head_hidden.rows) norm = hidden_layer(s, norm, norm8), ld = d;
    for (struct pieces c = pieces_of(s, (uint32_t)n_out, work_of(&m->head, s->output1 - s->output0));
         next_piece(s, &c);)
        for (uint32_t i = s->output0, run; i < s->output1; i += run) {
            for (run = 1; i + run < s->output1 && p->outputs[i + run].to == p->outputs[i].to + run * n_out;) run++;
            columns(&m->head, c.lo, c.hi, (struct rows){norm + i * ld, ld, at8(norm8, i, d)}, p->outputs[i].to, n_out,
                    run);
            finish_logits(m, p->outputs[i].to, c.lo, c.hi, run);
        }
    barrier(s);
    if (m->head_bias != 0 && s->index == 0)
        for (uint32_t i = s->output0; i < s->output1; i++) p->outputs[i].to[0] += m->head_bias;
}

static void run_share(struct share *s) {
    const struct pass *p = s->pass;
    const struct model *m = p->model;
    embed(s);
    for (uint32_t l = 0; l < m->config.n_layer; l++) {
        const struct layer *y = &m->layers[l];
        add_and_norm(s, l > 0, l > 0 ? y[-1].ffn_post_norm : NULL, y->attn_norm,
                     wants_int8(&y->q) || wants_int8(&y->k) || wants_int8(&y->v));
        barrier(s);
        attention_block(s, y, l);
        add_and_norm(s, true, y->attn_post_norm, y->ffn_norm, wants_int8(&y->gate) || wants_int8(&y->up));
        barrier(s);
        ffn_block(s, y);
    }
    head_block(s);
}

/* Segments for thread `index`: cut where the running row count passes its part. */
static uint32_t segment_at(const struct pass *p, uint64_t rows) {
    uint32_t i = 0;
    while (i < p->n_segments && p->segments[i].first + p->segments[i].n / 2 < rows) i++;
    return i;
}

static void by_branches(void *arg, int index, int count) {
    const struct pass *p = arg;
    struct share s = {.pass = p, .count = 1};
    s.segment0 = segment_at(p, (uint64_t)p->n_rows * (uint64_t)index / (uint64_t)count);
    s.segment1 = index + 1 == count ? p->n_segments
                                    : segment_at(p, (uint64_t)p->n_rows * (uint64_t)(index + 1) / (uint64_t)count);
    if (s.segment0 >= s.segment1) return;
    s.row0 = p->segments[s.segment0].first;
    s.row1 = p->segments[s.segment1 - 1].first + p->segments[s.segment1 - 1].n;
    while (s.output0 < p->n_outputs && p->outputs[s.output0].row < s.row0) s.output0++;
    for (s.output1 = s.output0; s.output1 < p->n_outputs && p->outputs[s.output1].row < s.row1;) s.output1++;
    struct attention_plan plan = attention_plan(&p->attention, p, s.segment0, s.segment1);
    s.plan = &plan;
    run_share(&s);
}

struct weights_run {
    struct pass *pass;
    struct team *team;
};

static void by_weights(void *arg, int index, int count) {
    const struct weights_run *w = arg;
    struct pass *p = w->pass;
    struct share s = {.pass = p,
                      .row1 = p->n_rows,
                      .segment1 = p->n_segments,
                      .output1 = p->n_outputs,
                      .index = index,
                      .count = count,
                      .team = count > 1 ? w->team : NULL,
                      .plan = &p->attention};
    if (index == 0) p->attention = attention_plan(&p->attention, p, 0, p->n_segments); /* the others embed meanwhile */
    run_share(&s);
}

static void run_as(struct pass *p, struct team *team, enum way way) {
    struct weights_run w = {p, team};
    if (way == WAY_ALONE) by_weights(&w, 0, 1);
    else team_run(team, way == WAY_BRANCHES ? by_branches : by_weights, way == WAY_BRANCHES ? (void *)p : &w);
}

void forward_run(struct pass *p, struct team *team) {
    const uint32_t n = (uint32_t)team_size(team);
    const bool branches = p->model->size_bytes <= SMALL_MODEL_BYTES && p->n_segments >= 2 * n;
    const enum way shared = branches ? WAY_BRANCHES : WAY_WEIGHTS;
    if (n == 1 || p->always_share) {
        run_as(p, team, n == 1 ? WAY_ALONE : shared);
        return;
    }
    const enum way way = pace_choose(&p->pace, p->n_rows, branches, shared);
    const uint64_t start = clock_ns();
    run_as(p, team, way);
    pace_learn(&p->pace, p->n_rows, branches, way, clock_ns() - start);
}
