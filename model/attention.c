/* attention.c: stores K and V of the rows, then takes all rows that share pages through them together.
 * Not the plan of who shares what: attention_plan.c.
 * Next: kv.c. */
#include "model/attention.h"

#include <math.h>
#include <string.h>

#include "model/arch.h"
#include "model/forward.h"

/* Pages per kernel call when several tiles of rows read them: they stay in the L1 cache meanwhile. */
enum { NEAR_PAGES = 4 };

/* Norm of each head, and RoPE, on n heads of one position. */
static void norm_and_turn(const struct pass *p, const struct layer *y, float *x, const float *norm, size_t n,
                          uint32_t pos) {
    const struct model_config *c = &p->model->config;
    const struct ops *ops = ops_get();
    size_t hd = c->head_dim;
    if (norm && c->kind->qk_norm == QK_NORM_HEAD)
        for (size_t h = 0; h < n; h++) ops->rms_norm(x + h * hd, x + h * hd, norm, hd, c->rms_eps);
    const float *angles = p->rope[y->rope];
    if (angles) ops->rope(x, angles + (size_t)pos * c->rope_dim, n, hd, c->rope_dim, c->rope_style);
}

/* What mistral3_adjust in arch.c says, on the queries of one position. */
static void temper(const struct model_config *c, float *q, size_t n, uint32_t pos) {
    float scale = (float)(1 + (double)c->temperature_scale * log(1.0 + pos / c->scaling.n_ctx_orig));
    for (size_t i = 0; i < n; i++) q[i] *= scale;
}

void attention_round_queries(float *q, size_t n, size_t hd) {
    int16_t row[HEAD_DIM_MAX];
    for (size_t h = 0; h < n; h++, q += hd) {
        float scale = ops_get()->round_key(row, 2, q, hd);
        memcpy(q, row, hd * sizeof *row);
        memcpy((int16_t *)(void *)q + hd, &scale, sizeof scale);
    }
}

/* Part `index` of `count` of n things. */
static void part(uint32_t n, int index, int count, uint32_t *begin, uint32_t *end) {
    *begin = (uint32_t)((uint64_t)n * (uint64_t)index / (uint64_t)count);
    *end = (uint32_t)((uint64_t)n * (uint64_t)(index + 1) / (uint64_t)count);
}

bool attention_by_heads(const struct pass *p, int count) { return p->model->config.n_head_kv % (uint32_t)count == 0; }

/* Rows [row0, row1) of a segment, kv heads [head0, head1). */
static void store_rows(const struct pass *p, const struct segment *s, uint32_t layer, uint32_t row0, uint32_t row1,
                       uint32_t head0, uint32_t head1) {
    const struct model_config *c = &p->model->config;
    const struct layer *y = &p->model->layers[layer];
    size_t hd = c->head_dim, q = c->n_head * hd, kv = c->n_head_kv * hd, ld = q + 2 * kv,
           group = c->n_head / c->n_head_kv;
    const uint32_t *pages = kv_table(p->kv, s->seq);
    for (uint32_t i = row0; i < row1; i++) {
        uint32_t pos = s->pos + i;
        float *row = p->qkv + (s->first + i) * ld;
        for (uint32_t h = head0; h < head1; h++) {
            float *queries = row + h * group * hd, *k = row + q + h * hd, *v = row + q + kv + h * hd;
            norm_and_turn(p, y, queries, y->q_norm, group, pos);
            norm_and_turn(p, y, k, y->k_norm, 1, pos);
            if (c->temperature_scale > 0) temper(c, queries, group * hd, pos);
            if (kv_type(p->kv) == KV_I16) attention_round_queries(queries, group, hd);
            kv_write(p->kv, pages[pos / KV_PAGE], pos % KV_PAGE, layer, h, k, v);
        }
    }
}

void attention_store(const struct pass *p, const struct attention_plan *plan, uint32_t layer, int index, int count) {
    uint32_t head0 = 0, head1 = p->model->config.n_head_kv, row0 = 0, row1 = plan->n_slots / plan->group, row = 0;
    if (attention_by_heads(p, count)) part(head1, index, count, &head0, &head1);
    else part(row1, index, count, &row0, &row1);
    for (uint32_t i = 0; i < plan->n_segments; i++) { /* rows are counted in the order of the tree */
        const struct segment *s = &p->segments[plan->order[i]];
        uint32_t begin = row0 > row ? row0 - row : 0, end = row1 > row ? row1 - row : 0;
        if (begin < s->n && end) store_rows(p, s, layer, begin, end < s->n ? end : s->n, head0, head1);
        row += s->n;
    }
}

/* Slots [slot0, slot1) of one kv head. */
struct part {
    uint32_t slot0, slot1, head;
};

/* What a part reads of one run in one chunk of positions: pages [page0, page1) of a table, for slots [slot0, slot1). */
struct stretch {
    uint32_t chunk, run; /* the chunk by its first page; UINT32_MAX: before the first run */
    const uint32_t *pages;
    uint32_t page0, page1, slot0, slot1;
};

enum { CHUNK_PAGES = ATTENTION_CHUNK / KV_PAGE };

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }
static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* The stretch after s, in ascending order of chunks; its chunk is not below n_pages when there is none. */
static struct stretch following(const struct attention_plan *plan, const struct part *mine, uint32_t window,
                                uint32_t n_pages, struct stretch s) {
    do {
        if (++s.run == plan->n_runs) s.run = 0, s.chunk += CHUNK_PAGES;
        const struct attention_run *run = &plan->runs[s.run];
        const uint32_t seen0 = window && run->min_end > window ? (run->min_end - window) / KV_PAGE : 0,
                       seen1 = (run->max_end + KV_PAGE - 1) / KV_PAGE;
        s.pages = run->pages;
        s.slot0 = larger(run->slot0, mine->slot0), s.slot1 = smaller(run->slot1, mine->slot1);
        s.page0 = larger(larger(run->page0, s.chunk), seen0);
        s.page1 = smaller(smaller(run->page1, s.chunk + CHUNK_PAGES), seen1);
    } while (s.chunk < n_pages && (s.slot0 >= s.slot1 || s.page0 >= s.page1));
    return s;
}

/* One stretch; next: what is read after it, NULL where there is none or nothing is to be asked for ahead. */
static void read_stretch(const struct attention_plan *plan, const struct stretch *s, const struct stretch *next,
                         bool ahead, const struct attend_args *a, attend_fn *attend) {
    struct attend_args r = *a;
    r.n_rows = s->slot1 - s->slot0;
    r.q_offset = plan->q_offset + s->slot0, r.o_offset = plan->o_offset + s->slot0, r.end = plan->end + s->slot0;
    r.m += s->slot0, r.l += s->slot0;
    for (uint32_t page = s->page0; page < s->page1; page += NEAR_PAGES) {
        r.pages = s->pages + page, r.first = page * KV_PAGE;
        r.n_pages = smaller(s->page1 - page, NEAR_PAGES);
        const uint32_t after = page + (uint32_t)r.n_pages;
        if (next && after == s->page1)
            r.next = next->pages + next->page0, r.n_next = smaller(next->page1 - next->page0, NEAR_PAGES);
        else if (ahead) r.next = s->pages + after, r.n_next = smaller(s->page1 - after, NEAR_PAGES);
        attend(&r);
    }
}

static void start(const struct attention_plan *plan, const struct part *mine, size_t hd, float *m, float *l, float *o) {
    for (uint32_t i = mine->slot0; i < mine->slot1; i++) {
        m[i] = -INFINITY, l[i] = 0;
        memset(o + plan->o_offset[i], 0, hd * sizeof *o);
    }
}

static float exp2_integer(float x) { return x < -126 ? 0 : ldexpf(1, (int)x); }

/* Merges the state of a chunk into that of the chunks before; the first that a slot sees is taken as it is.  The maximum of
 * integer pages is an integer logarithm to the base 2: both factors are exact. */
static void fold(const struct attention_plan *plan, uint32_t slot, size_t hd, const struct attend_args *chunk,
                 enum kv_type type, float *m, float *l, float *o) {
    const float *from = chunk->o + plan->o_offset[slot];
    float *to = o + plan->o_offset[slot], cm = chunk->m[slot], cl = chunk->l[slot];
    if (cl == 0) return;
    if (l[slot] == 0) {
        m[slot] = cm, l[slot] = cl;
        memcpy(to, from, hd * sizeof *to);
        return;
    }
    float top = cm > m[slot] ? cm : m[slot], scale[2] = {m[slot] - top, cm - top};
    if (type == KV_I16) scale[0] = exp2_integer(scale[0]), scale[1] = exp2_integer(scale[1]);
    else ops_get()->exp_sum(scale, scale, 1, 0, 2);
    m[slot] = top, l[slot] = l[slot] * scale[0] + cl * scale[1];
    for (size_t d = 0; d < hd; d++) to[d] = to[d] * scale[0] + from[d] * scale[1];
}

/* All pages of some slots, chunk after chunk, then the division by the sum. */
static void read_part(const struct pass *p, const struct attention_plan *plan, uint32_t layer,
                      const struct part *mine) {
    const struct model_config *c = &p->model->config;
    size_t hd = c->head_dim, base = mine->head * (size_t)plan->group * hd, ml = mine->head * plan->stride;
    float *m = plan->m + ml, *l = plan->l + ml, *o = p->heads + base;
    struct attend_args a = {.q = p->qkv + base,
                            .page_bytes = kv_stride(p->kv, layer),
                            .k = kv_k(p->kv, 0, layer, mine->head),
                            .v = kv_v(p->kv, 0, layer, mine->head),
                            .head_dim = hd,
                            .window = p->model->layers[layer].window,
                            .scale = c->attn_scale > 0 ? c->attn_scale : 1 / sqrtf((float)hd),
                            .softcap = c->attn_softcap};
    uint32_t n_pages = 0;
    for (uint32_t i = 0; i < plan->n_runs; i++) n_pages = larger(plan->runs[i].page1, n_pages);
    /* The pages of a short context stay in the caches, unless the weights of a layer drive them out. */
    const bool ahead = n_pages > 4 * NEAR_PAGES || p->model->size_bytes > SMALL_MODEL_BYTES;
    start(plan, mine, hd, m, l, o);
    struct stretch now = following(plan, mine, a.window, n_pages, (struct stretch){.run = UINT32_MAX}), next;
    for (uint32_t page = 0; page < n_pages; page += CHUNK_PAGES) {
        a.m = m, a.l = l, a.o = o;
        if (page) {
            a.m = plan->chunk_m + ml, a.l = plan->chunk_l + ml, a.o = plan->chunk_o + base;
            start(plan, mine, hd, a.m, a.l, a.o);
        }
        for (; now.chunk == page; now = next) {
            next = following(plan, mine, a.window, n_pages, now);
            read_stretch(plan, &now, ahead && next.chunk < n_pages ? &next : NULL, ahead, &a,
                         ops_get()->attend[kv_type(p->kv)]);
        }
        for (uint32_t i = mine->slot0; page && i < mine->slot1; i++) fold(plan, i, hd, &a, kv_type(p->kv), m, l, o);
    }
    for (uint32_t i = mine->slot0; i < mine->slot1; i++) {
        float inv = 1 / l[i], *to = o + plan->o_offset[i];
        for (size_t d = 0; d < hd; d++) to[d] *= inv;
    }
}

static uint64_t cells(const struct attention_plan *plan, uint32_t slot, uint32_t window) {
    return window && plan->end[slot] > window ? window : plan->end[slot];
}

/* The slot before which `work` of the `all` cells that a kv head's slots see lie. */
static uint32_t slot_at(const struct attention_plan *plan, uint32_t window, uint64_t work) {
    uint64_t sum = 0;
    uint32_t slot = 0;
    while (slot < plan->n_slots && sum + cells(plan, slot, window) / 2 < work) sum += cells(plan, slot++, window);
    return slot;
}

void attention_read(const struct pass *p, const struct attention_plan *plan, uint32_t layer, int index, int count) {
    uint32_t n_heads = p->model->config.n_head_kv, head0, head1, window = p->model->layers[layer].window;
    if (attention_by_heads(p, count)) {
        part(n_heads, index, count, &head0, &head1);
        for (uint32_t h = head0; h < head1; h++) read_part(p, plan, layer, &(struct part){0, plan->n_slots, h});
        return;
    }
    /* All heads' slots in a row, cut into parts of equal work. */
    uint64_t all = 0, begin, end;
    for (uint32_t i = 0; i < plan->n_slots; i++) all += cells(plan, i, window);
    begin = all * n_heads * (uint64_t)index / (uint64_t)count,
    end = all * n_heads * ((uint64_t)index + 1) / (uint64_t)count;
    for (uint32_t h = (uint32_t)(begin / all); h < n_heads && h * all < end; h++) {
        struct part mine = {h * all < begin ? slot_at(plan, window, begin - h * all) : 0,
                            (h + 1) * all > end ? slot_at(plan, window, end - h * all) : plan->n_slots, h};
        if (mine.slot0 < mine.slot1) read_part(p, plan, layer, &mine);
    }
}
