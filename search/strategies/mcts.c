/* mcts.c: Monte-Carlo tree search whose leaves are valued by the reward model: PUCT (Rosin 2011; Silver et al. 2017)
 * over sampled children with progressive widening (Couetoux et al. 2011).  No rollouts.
 * Not multi-threaded: leaves are gathered one by one, extended in one batch, backed up in gather order.
 * Next: search/trace.c, which writes the events down. */
#include <assert.h>
#include <math.h>

#include "search/search_internal.h"

enum { DEFAULT_TRIES = 64 };

/* Visits under way count as visits, without a value: they push the next ones of the batch elsewhere. */
static uint32_t visits_now(const struct node *n) { return n->visits + n->in_flight; }

static double mean_or_max(const struct run *r, const struct node *n) {
    return r->p->backup == BACKUP_MAX ? n->best : node_mean(n);
}

/* tries < widen_c * max(1, visits)^widen_alpha.  Tries, not children: a policy with few ideas must not be asked for
 * ever. */
static bool may_widen(const struct run *r, const struct node *n) {
    double visits = fmax(1, visits_now(n));
    return n->tries < r->p->widen_c * pow(visits, r->p->widen_alpha);
}

/* PUCT: Q + c * P * sqrt(max(1, visits of all children)) / (1 + visits), P = multiplicity / tries.  Of equal children
 * the first; 0 when none is open. */
static uint32_t select_child(const struct run *r, uint32_t u) {
    const struct node *n = &r->t->nodes[u];
    double explore = r->p->c_puct * sqrt(fmax(1, visits_now(n) - n->multiplicity)) / n->tries;
    double best_score = 0;
    uint32_t best = 0;
    for (uint32_t c = n->first_child; c; c = r->t->nodes[c].next_sibling) {
        const struct node *child = &r->t->nodes[c];
        if (child->flags & NODE_TERMINAL) continue;
        double score = mean_or_max(r, child) + explore * child->multiplicity / (1 + visits_now(child));
        if (!best || score > best_score) best = c, best_score = score;
    }
    return best;
}

static bool is_planned(const struct run *r, uint32_t parent) {
    for (uint32_t i = 0; i < r->n_tries; i++)
        if (r->tries[i].parent == parent) return true;
    return false;
}

/* One more child for u; the visits on the path to it are under way. */
static void begin_path(struct run *r, uint32_t u) {
    run_plan(r, u, false);
    for (uint32_t v = u;; v = r->t->nodes[v].parent) {
        r->t->nodes[v].in_flight++;
        if (!v) return;
    }
}

/* Walks down to a node that gets one more child and marks the path.  False on a collision: the node has nothing to go
 * on with before this batch's tries are back. */
static bool begin_visit(struct run *r) {
    uint32_t u = 0;
    while (!may_widen(r, &r->t->nodes[u])) {
        uint32_t child = select_child(r, u);
        if (!child && is_planned(r, u)) return false;
        if (!child) break; /* only terminal children: widen against the rule, or this subtree is stuck */
        u = child;
    }
    begin_path(r, u);
    return true;
}

/* With the budget nearly gone and no chain finished, a visit only goes deeper, so that there is an answer at all: below the
 * best open leaf from which the tries that are left can still reach max_depth. */
static void begin_dive(struct run *r, uint64_t left) {
    const struct node *nodes = r->t->nodes;
    uint32_t best = 0;
    for (uint32_t u = 1; u < r->t->n; u++) {
        bool open =
            !(nodes[u].flags & NODE_TERMINAL) && !nodes[u].n_children && nodes[u].depth + left >= r->p->max_depth;
        if (open && (!best || nodes[u].value > nodes[best].value)) best = u;
    }
    begin_path(r, best);
}

static bool has_finished(const struct run *r) {
    for (uint32_t u = 1; u < r->t->n; u++)
        if (r->t->nodes[u].flags & NODE_FINISHED) return true;
    return false;
}

/* Takes back the visits from try i on, which could not be made. */
static void cancel_visits(struct run *r, uint32_t i) {
    for (uint32_t j = i; j < r->n_tries; j++)
        for (uint32_t v = r->tries[j].parent;; v = r->t->nodes[v].parent) {
            r->t->nodes[v].in_flight--;
            if (!v) break;
        }
    run_unplan(r, i);
}

static void back_up(struct node *n, double value) {
    n->visits++;
    n->sum += value;
    if (value > n->best) n->best = (float)value;
}

/* A new step brings its value; one seen before is a visit of its twin at the twin's present mean. */
static void finish_visit(struct run *r, const struct try *try) {
    struct node *child = &r->t->nodes[try->child];
    double value = try->fresh ? child->value : node_mean(child);
    back_up(child, value);
    for (uint32_t v = try->parent;; v = r->t->nodes[v].parent) {
        r->t->nodes[v].in_flight--;
        back_up(&r->t->nodes[v], value);
        if (!v) break;
    }
    run_emit(r, EVENT_VISITED, try->child);
}

/* One batch: extend what was gathered, score, back up. */
static enum status simulate(struct run *r) {
    enum status s = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    cancel_visits(r, r->n_made);
    if (!s) s = run_settle(r);
    for (uint32_t i = 0; i < r->n_made; i++) finish_visit(r, &r->tries[i]);
    r->ev->ledger->simulations += r->n_made;
    assert(tree_check(r->t, NULL));
    return s;
}

enum status mcts_run(struct evaluator *ev, const struct search_params *p, struct tree *t, event_fn *on_event, void *arg,
                     struct search_result *res, struct error *e) {
    struct run r;
    uint64_t left = p->budget.simulations;
    if (!left) left = budget_is_open(&p->budget) ? DEFAULT_TRIES : UINT64_MAX;
    enum status s = run_begin(&r, &(struct run_args){ev, p, t, on_event, arg, res, e}, left, true);
    r.merge = true;
    uint64_t dive = p->max_depth <= left / 4 ? p->max_depth : 0; /* tries kept back for begin_dive */
    for (; !s && left && run_go(&r); left -= r.n_tries) {
        uint64_t reserve = left > dive + p->batch || has_finished(&r) ? 0 : dive;
        uint32_t n = run_room(&r, left > reserve ? left - reserve : 1);
        if (!n) break;
        if (left > reserve)
            while (r.n_tries < n && begin_visit(&r)) {}
        else begin_dive(&r, left);
        s = simulate(&r);
    }
    if (!left) run_stop(&r, WHY_SIMULATIONS);
    return run_end(&r, s);
}
