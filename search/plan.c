/* plan.c: a limit in tokens, FLOPs or time as a plan: how much more of the same the rest pays for, and a first chain to learn it from.
 * Not the limits themselves: budget.c ends runs.
 * Next: search/strategies/sample.c, which sizes its window by it. */
#include <math.h>

#include "base/clock.h"
#include "search/search_internal.h"

enum { MOST_CHAINS = 1024 }; /* of a width that nobody gave */

bool run_is_limited(const struct run *r) {
    const struct budget *b = &r->common->budget;
    return b->tokens || b->flops || b->ns;
}

/* What the run has used of each limit. */
static struct spent spent_now(const struct run *r) {
    const struct ledger *now = r->ev->ledger, *then = &r->start;
    return (struct spent){
        .tokens = (double)(now->generated_tokens - then->generated_tokens + now->prm_tokens - then->prm_tokens),
        .flops = (double)(now->policy_flops - then->policy_flops + now->prm_flops - then->prm_flops),
        .ns = (double)(clock_ns() - r->start_ns)};
}

void run_note_adopted(struct run *r) {
    if (!r->n_steps) r->adopted = spent_now(r);
}

/* (limit - used) / (cost / done), and which limit it is when it is the lowest so far. */
static void take_limit(struct run *r, double limit, double used, double cost, enum why_stopped why, double done,
                       double *least) {
    if (limit == 0) return;
    double more = done > 0 && cost > 0 ? (limit - used) / (cost / done) : 1;
    if (more < *least) *least = more, r->scarce = why;
}

double run_affords(struct run *r, double done) {
    const struct budget *b = &r->common->budget;
    const struct spent now = spent_now(r), *before = &r->adopted;
    double least = INFINITY;
    take_limit(r, (double)b->tokens, now.tokens, now.tokens - before->tokens, WHY_TOKENS, done, &least);
    take_limit(r, (double)b->flops, now.flops, now.flops - before->flops, WHY_FLOPS, done, &least);
    take_limit(r, (double)b->ns, now.ns, now.ns - before->ns, WHY_TIME, done, &least);
    return fmax(least, 0);
}

/* Mean depth of complete chains; max_depth while there is none. */
static double usual_depth(const struct run *r) {
    double sum = 0, n = 0;
    for (uint32_t u = 1; u < r->t->n; u++)
        if (r->t->nodes[u].flags & NODE_FINISHED) sum += r->t->nodes[u].depth, n++;
    return n ? sum / n : r->common->max_depth;
}

uint64_t run_round(struct run *r, uint64_t want, uint32_t depth) {
    if (!run_is_limited(r)) return want;
    double left = run_affords(r, (double)r->n_steps) / fmax(1, usual_depth(r) - depth);
    return left < 1 ? 1 : left < (double)want ? (uint64_t)left : want;
}

uint64_t run_width(struct run *r, uint64_t fallback) {
    if (r->simulations || !run_is_limited(r)) return r->simulations ? r->simulations : fallback;
    double chains = run_affords(r, (double)r->n_steps) / usual_depth(r);
    return chains < 1 ? 1 : chains < MOST_CHAINS ? (uint64_t)chains : MOST_CHAINS;
}

enum status run_chain(struct run *r) {
    enum status s = OK;
    uint32_t tip = 0;
    r->ev->ledger->simulations++;
    while (!s && !(r->t->nodes[tip].flags & NODE_TERMINAL) && run_go(r) && run_room(r, 1)) {
        run_plan(r, tip, true);
        if ((s = run_grow(r))) break;
        if (!r->n_made) run_stop(r, WHY_KV_FULL);
        else tip = r->tries[0].child;
        s = run_settle(r);
    }
    return s;
}

enum status run_probe(struct run *r) {
    if (!run_is_limited(r) || tree_has_finished(r->t)) return OK;
    bool merge = r->merge;
    r->merge = false;
    enum status s = run_chain(r);
    r->merge = merge;
    return s;
}
