/* mcts.c: Monte-Carlo tree search whose leaves are valued by the reward model: PUCT (Rosin 2011; Silver et al. 2017)
 * over sampled children with progressive widening (Couetoux et al. 2011).  No rollouts.
 * Not multi-threaded: leaves are gathered one by one, extended in one batch, backed up in gather order.
 * Next: search/trace.c, which writes the events down. */
#include <assert.h>
#include <math.h>

#include "search/search_internal.h"

enum backup { BACKUP_MEAN, BACKUP_MAX };
struct mcts_params {
    float c_puct, widen_c, widen_alpha;
    uint32_t backup;
    struct usual_params usual; /* batch: leaves that are extended together, a part of the result */
};

struct mcts {
    struct run *r;
    const struct mcts_params *p;
    struct visits *v; /* [nodes] the tree's column */
};

/* Visits under way count as visits, without a value: they push the next ones of the batch elsewhere. */
static uint32_t visits_now(const struct visits *v) { return v->n + v->in_flight; }

static double mean_or_max(const struct mcts *m, uint32_t u) {
    return m->p->backup == BACKUP_MAX ? m->v[u].best : node_mean(m->r->t, u);
}

/* Can it be gone on from?  What another strategy left behind may hold no branch any more. */
static bool is_open(const struct node *n) { return !(n->flags & NODE_TERMINAL) && n->branch; }

/* tries < widen_c * max(1, visits)^widen_alpha.  Tries, not children: a policy with few ideas must not be asked for
 * ever. */
static bool may_widen(const struct mcts *m, uint32_t u) {
    double visits = fmax(1, visits_now(&m->v[u]));
    return m->r->t->nodes[u].tries < m->p->widen_c * pow(visits, m->p->widen_alpha);
}

/* PUCT: Q + c * P * sqrt(max(1, visits of all children)) / (1 + visits), P = multiplicity / tries.  Of equal children
 * the first; 0 when none is open. */
static uint32_t select_child(const struct mcts *m, uint32_t u) {
    const struct node *n = &m->r->t->nodes[u];
    double explore = m->p->c_puct * sqrt(fmax(1, visits_now(&m->v[u]) - n->multiplicity)) / n->tries;
    double best_score = 0;
    uint32_t best = 0;
    for (uint32_t c = n->first_child; c; c = m->r->t->nodes[c].next_sibling) {
        const struct node *child = &m->r->t->nodes[c];
        if (!is_open(child)) continue;
        double score = mean_or_max(m, c) + explore * child->multiplicity / (1 + visits_now(&m->v[c]));
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
static void begin_path(struct mcts *m, uint32_t u) {
    run_plan(m->r, u, false);
    for (uint32_t v = u;; v = m->r->t->nodes[v].parent) {
        m->v[v].in_flight++;
        if (!v) return;
    }
}

/* Walks down to a node that gets one more child and marks the path.  False on a collision: the node has nothing to go
 * on with before this batch's tries are back. */
static bool begin_visit(struct mcts *m) {
    uint32_t u = 0;
    while (!may_widen(m, u)) {
        uint32_t child = select_child(m, u);
        if (!child && is_planned(m->r, u)) return false;
        if (!child) break; /* only terminal children: widen against the rule, or this subtree is stuck */
        u = child;
    }
    begin_path(m, u);
    return true;
}

/* With the budget nearly gone and no chain finished, a visit only goes deeper, so that there is an answer at all: below the
 * best open leaf from which the tries that are left can still reach max_depth. */
static void begin_dive(struct mcts *m, uint64_t left) {
    const struct node *nodes = m->r->t->nodes;
    uint32_t best = 0;
    for (uint32_t u = 1; u < m->r->t->n; u++) {
        bool open = is_open(&nodes[u]) && !nodes[u].n_children && nodes[u].depth + left >= m->r->common->max_depth;
        if (open && (!best || nodes[u].value > nodes[best].value)) best = u;
    }
    begin_path(m, best);
}

/* Takes back the visits from try i on, which could not be made. */
static void cancel_visits(struct mcts *m, uint32_t i) {
    for (uint32_t j = i; j < m->r->n_tries; j++)
        for (uint32_t v = m->r->tries[j].parent;; v = m->r->t->nodes[v].parent) {
            m->v[v].in_flight--;
            if (!v) break;
        }
    run_unplan(m->r, i);
}

static void back_up(struct visits *v, double value) {
    v->n++;
    v->sum += value;
    if (value > v->best) v->best = (float)value;
}

/* A new step brings its value; one seen before is a visit of its twin at the twin's present mean. */
static void finish_visit(struct mcts *m, const struct try *try) {
    struct visits *child = &m->v[try->child];
    double value = try->fresh ? (double)m->r->t->nodes[try->child].value : node_mean(m->r->t, try->child);
    back_up(child, value);
    for (uint32_t v = try->parent;; v = m->r->t->nodes[v].parent) {
        m->v[v].in_flight--;
        back_up(&m->v[v], value);
        if (!v) break;
    }
    run_emit(m->r, EVENT_VISITED, try->child);
}

/* One batch: extend what was gathered, score, back up. */
static enum status simulate(struct mcts *m) {
    struct run *r = m->r;
    enum status s = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    cancel_visits(m, r->n_made);
    if (!s) s = run_settle(r);
    for (uint32_t i = 0; i < r->n_made; i++) finish_visit(m, &r->tries[i]);
    r->ev->ledger->simulations += r->n_made;
    assert(r->t->n > 4096 || tree_check(r->t, NULL)); /* linear: too slow after each batch of a large tree */
    return s;
}

/* Steps that an earlier run made and nobody visited count as one visit for each try that gave them. */
static enum status adopt(struct mcts *m) {
    struct run *r = m->r;
    uint32_t n = r->t->n;
    enum status s = run_score_missing(r);
    for (uint32_t u = 1; u < n && !s; u++) {
        if (m->v[u].n) continue;
        for (uint32_t i = 0; i < r->t->nodes[u].multiplicity; i++)
            for (uint32_t v = u;; v = r->t->nodes[v].parent) {
                back_up(&m->v[v], r->t->nodes[u].value);
                if (!v) break;
            }
        run_emit(r, EVENT_VISITED, u);
    }
    return s;
}

/* With a limit the first try shows what tries cost.  Where the rest does not pay for four times the deepest dive, one chain is sampled
 * to its end at once: an answer at any stop.  Returns the tries to keep back for begin_dive. */
static enum status measure(struct mcts *m, uint64_t left, uint64_t *dive) {
    struct run *r = m->r;
    double more = run_affords(r, (double)r->n_steps), total = (double)r->n_steps + fmin(more, (double)left);
    *dive = r->common->max_depth <= total / 4 ? r->common->max_depth : 0;
    if (*dive) return OK;
    enum status s = run_probe(r);
    return s ? s : adopt(m);
}

static enum status search(struct mcts *m) {
    struct run *r = m->r;
    enum status s = OK;
    uint64_t left = r->simulations ? r->simulations : UINT64_MAX;
    bool measured = !run_is_limited(r);
    uint64_t dive = measured && r->common->max_depth <= left / 4 ? r->common->max_depth : 0; /* kept for begin_dive */
    while (!s && left && run_go(r)) {
        double more = run_affords(r, (double)r->n_steps);
        if (more < 1 && tree_has_finished(r->t)) run_stop(r, r->scarce);
        if (r->stopped) break;
        uint64_t rest = more < 1 ? 1 : more < (double)left ? (uint64_t)more : left;
        uint64_t reserve = rest > dive + m->p->usual.batch || tree_has_finished(r->t) ? 0 : dive;
        uint32_t n = run_room(r, rest > reserve ? rest - reserve : 1);
        if (!n) break;
        if (rest > reserve)
            while (r->n_tries < n && begin_visit(m)) {}
        else begin_dive(m, rest);
        s = simulate(m);
        left -= r->n_tries;
        if (!s && !measured) s = measure(m, left, &dive), measured = true;
    }
    if (!left) run_stop(r, WHY_SIMULATIONS);
    return s;
}

static struct search_room mcts_room(const struct search_params *common, const void *params) {
    const struct mcts_params *p = params;
    uint64_t n = common->budget.simulations;
    uint32_t nodes = n && n < 65534 ? (uint32_t)n + 2 : n ? 65536 : 16384;
    return (struct search_room){nodes, nodes, n && n < p->usual.batch ? (uint32_t)n : p->usual.batch};
}

static enum status mcts_run(struct run *r, const void *params) {
    struct mcts m = {.r = r, .p = params, .v = tree_column(r->t, "visits", sizeof *m.v)};
    if (!m.v) return error_set(r->e, ERR_MEMORY, "no memory for the visits of %u nodes", r->t->cap);
    r->merge = true;
    r->pick = m.p->usual.pick;
    r->stop_value = m.p->usual.stop_value;
    r->on.keep = true; /* every step may be gone on from */
    enum status s = adopt(&m);
    return s ? s : search(&m);
}

/* clang-format off */
static const struct param mcts_params[] = {
    {"c-puct", "exploration", PARAM_REAL, offsetof(struct mcts_params, c_puct), 0, 1e6, NULL},
    {"widen-c", "a node may have a new child while its tries are fewer than c * visits^alpha", PARAM_REAL, offsetof(struct mcts_params, widen_c), 1e-3, 1e6, NULL},
    {"widen-alpha", "see widen-c", PARAM_REAL, offsetof(struct mcts_params, widen_alpha), 0, 1, NULL},
    {"backup", "value of a node from those below it", PARAM_CHOICE, offsetof(struct mcts_params, backup), 0, 0, "mean|max"},
    USUAL_BATCH(struct mcts_params, usual),
    {"pick", "finished chains -> one answer", PARAM_CHOICE, offsetof(struct mcts_params, usual.pick), 0, 0, "best|weighted|majority|visits"},
    USUAL_STOP(struct mcts_params, usual),
    {0},
};
/* clang-format on */

/* Measured with the shipped models on 200 puzzles at 64 and 256 tries: (0.6, 2, 0.6) solves 94 and 99 %, (0.2, 1.5, 0.5) 92 and
 * 97 %, (0.05, 1, 0.5) 85 and 94 %: a good reward model wants breadth.  Of 153 chains above 0.9 on puzzles used for tuning,
 * all were right. */
static const struct mcts_params for_puzzles = {
    .c_puct = 0.6f, .widen_c = 2, .widen_alpha = 0.6f, .usual = {.batch = 16, .stop_value = 0.9f}};
/* Chains in words are longer, and only those that come to their end count. */
static const struct mcts_params for_words = {
    .c_puct = 0.6f, .widen_c = 1, .widen_alpha = 0.5f, .usual = {.batch = 16, .stop_value = NEVER}};

const struct strategy strategy_mcts = {
    .name = "mcts",
    .summary = "Monte-Carlo tree search (PUCT) with reward-model values",
    .source = "Rosin 2011; Silver et al. 2017; Couetoux et al. 2011",
    .unit = "tree expansions",
    .needs = CAN_VALUE,
    .simulations = {256, 64},
    .params = mcts_params,
    .defaults = &for_puzzles,
    .defaults_for_words = &for_words,
    .size = sizeof for_puzzles,
    .room = mcts_room,
    .run = mcts_run,
};
