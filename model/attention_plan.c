/* attention_plan.c: which segments share which pages: the page tables of a pass as a tree.
 * Not the computation: attention.c.
 * Next: attention.c. */
#include <string.h>

#include "base/mem.h"
#include "model/attention.h"
#include "model/forward.h"

bool attention_alloc(struct attention_plan *plan, const struct model *m, uint32_t max_rows, uint32_t max_tokens) {
    const struct model_config *c = &m->config;
    size_t n = max_rows, heads = n * c->n_head, group = c->n_head / c->n_head_kv;
    plan->group = (uint32_t)group;
    plan->stride = n * group;
    bool good =
        (plan->order = mem_new(n, sizeof *plan->order)) && (plan->slot0 = mem_new(n + 1, sizeof *plan->slot0)) &&
        (plan->end = mem_new(n * group, sizeof *plan->end)) &&
        (plan->q_offset = mem_new(n * group, sizeof *plan->q_offset)) &&
        (plan->o_offset = mem_new(n * group, sizeof *plan->o_offset)) && (plan->m = mem_new(heads, sizeof *plan->m)) &&
        (plan->l = mem_new(heads, sizeof *plan->l)) && (plan->runs = mem_new(2 * n, sizeof *plan->runs));
    if (!good || max_tokens <= ATTENTION_CHUNK) return good;
    return (plan->chunk_m = mem_new(heads, sizeof *plan->chunk_m)) &&
           (plan->chunk_l = mem_new(heads, sizeof *plan->chunk_l)) &&
           (plan->chunk_o = mem_new(n * row_ld((size_t)c->n_head * c->head_dim), sizeof *plan->chunk_o));
}

size_t attention_bytes(const struct model *m, uint32_t max_rows, uint32_t max_tokens) {
    const struct model_config *c = &m->config;
    size_t group = c->n_head / c->n_head_kv, slot = sizeof(uint32_t) + 2 * sizeof(size_t), state = 2 * sizeof(float);
    size_t row = 2 * sizeof(uint32_t) + 2 * sizeof(struct attention_run) + group * slot + c->n_head * state;
    size_t chunk = max_tokens > ATTENTION_CHUNK ? c->n_head * (state + c->head_dim * sizeof(float)) : 0;
    return max_rows * (row + chunk);
}

void attention_free(struct attention_plan *plan) {
    mem_free(plan->order), mem_free(plan->slot0), mem_free(plan->end), mem_free(plan->q_offset),
        mem_free(plan->o_offset);
    mem_free(plan->m), mem_free(plan->l), mem_free(plan->runs);
    mem_free(plan->chunk_m), mem_free(plan->chunk_l), mem_free(plan->chunk_o);
    *plan = (struct attention_plan){0};
}

static uint32_t n_pages(const struct segment *s) { return (s->pos + s->n + KV_PAGE - 1) / KV_PAGE; }

/* What the growing of the tree looks at. */
struct grower {
    const struct pass *pass;
    struct attention_plan *plan;
};

static const struct segment *at(const struct grower *g, uint32_t place) {
    return &g->pass->segments[g->plan->order[place]];
}

/* Page number `depth` of the segment at a place, from 1 on; 0 when it ends before. */
static uint32_t page_at(const struct grower *g, uint32_t place, uint32_t depth) {
    const struct segment *s = at(g, place);
    return depth < n_pages(s) ? kv_table(g->pass->kv, s->seq)[depth] + 1 : 0;
}

/* Sorts the places [begin, end) by their page at `depth` (Shell's method: few segments, often in order already). */
static void sort_by_page(const struct grower *g, uint32_t begin, uint32_t end, uint32_t depth) {
    uint32_t *order = g->plan->order, gap = 1;
    while (gap < (end - begin) / 3) gap = 3 * gap + 1;
    for (; gap; gap /= 3)
        for (uint32_t i = begin + gap; i < end; i++)
            for (uint32_t k = i; k >= begin + gap && page_at(g, k, depth) < page_at(g, k - gap, depth); k -= gap) {
                uint32_t other = order[k];
                order[k] = order[k - gap], order[k - gap] = other;
            }
}

/* Pages from `depth` on that the segment at `place` has in common with the one at `first`, at most up to entry `most`. */
static uint32_t common(const struct grower *g, uint32_t first, uint32_t place, uint32_t depth, uint32_t most) {
    const uint32_t *a = kv_table(g->pass->kv, at(g, first)->seq), *b = kv_table(g->pass->kv, at(g, place)->seq);
    uint32_t n = n_pages(at(g, place));
    if (n < most) most = n;
    while (depth < most && a[depth] == b[depth]) depth++;
    return depth;
}

/* Segments [begin, end) have the pages before `depth` in common: makes the runs of all that follows. */
static void grow(const struct grower *g, uint32_t begin, uint32_t end, uint32_t depth) {
    struct attention_plan *plan = g->plan;
    if (end - begin > 1) sort_by_page(g, begin, end, depth);
    for (uint32_t i = begin, k; i < end; i = k) {
        const struct segment *s = at(g, i);
        uint32_t page = page_at(g, i, depth), last = n_pages(s);
        if (page == 0) { /* it has no more pages */
            k = i + 1;
            continue;
        }
        struct attention_run run = {kv_table(g->pass->kv, s->seq), depth, 0, i, 0, s->pos + 1, s->pos + s->n};
        for (k = i + 1; k < end && page_at(g, k, depth) == page; k++) {
            const struct segment *other = at(g, k);
            last = common(g, i, k, depth, last);
            if (other->pos + 1 < run.min_end) run.min_end = other->pos + 1;
            if (other->pos + other->n > run.max_end) run.max_end = other->pos + other->n;
        }
        run.page1 = last, run.slot1 = k;
        plan->runs[plan->n_runs++] = run;
        if (k - i > 1) grow(g, i, k, last);
    }
}

/* Numbers the slots, and turns the runs' places into slots. */
static void number_slots(const struct pass *p, struct attention_plan *plan) {
    const struct model_config *c = &p->model->config;
    size_t q = (size_t)c->n_head * c->head_dim, ld = q + 2 * (size_t)c->n_head_kv * c->head_dim;
    uint32_t slot = 0;
    for (uint32_t i = 0; i < plan->n_segments; i++) {
        const struct segment *s = &p->segments[plan->order[i]];
        plan->slot0[i] = slot;
        for (uint32_t row = 0; row < s->n; row++)
            for (uint32_t h = 0; h < plan->group; h++, slot++) {
                plan->end[slot] = s->pos + row + 1;
                plan->q_offset[slot] = (s->first + row) * ld + h * (size_t)c->head_dim;
                plan->o_offset[slot] = (s->first + row) * row_ld(q) + h * (size_t)c->head_dim;
            }
    }
    plan->n_slots = slot;
    for (uint32_t i = 0; i < plan->n_runs; i++) {
        struct attention_run *run = &plan->runs[i];
        run->slot0 = plan->slot0[run->slot0];
        run->slot1 = run->slot1 < plan->n_segments ? plan->slot0[run->slot1] : slot;
    }
}

struct attention_plan attention_plan(const struct attention_plan *all, const struct pass *p, uint32_t segment0,
                                     uint32_t segment1) {
    struct attention_plan plan = *all;
    size_t slot = p->segments[segment0].first * (size_t)plan.group;
    plan.order += segment0, plan.slot0 += segment0, plan.runs += 2 * (size_t)segment0;
    plan.end += slot, plan.q_offset += slot, plan.o_offset += slot;
    plan.m += slot, plan.l += slot;
    if (plan.chunk_o) plan.chunk_m += slot, plan.chunk_l += slot;
    plan.n_segments = segment1 - segment0, plan.n_runs = 0;
    for (uint32_t i = 0; i < plan.n_segments; i++) plan.order[i] = segment0 + i;
    grow(&(struct grower){p, &plan}, 0, plan.n_segments, 0);
    number_slots(p, &plan);
    return plan;
}
