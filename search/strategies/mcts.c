/* mcts.c: Monte-Carlo tree search over sampled steps, whose leaves are valued by the reward model: the loop, its
 * batches, what is backed up, and what is not visited again: a step that is solved, or that reaches what another one
 * has reached.
 * Not multi-threaded: leaves are gathered one by one, extended in one batch, backed up in gather order.  Not the
 * choice of children: mcts_select.c.
 * Next: mcts_select.c. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "search/strategies/mcts.h"

/* Can it be gone on from?  What another strategy left behind may hold no branch any more. */
static bool is_open(const struct node *n) { return !(n->flags & NODE_TERMINAL) && n->branch; }

/* One more child for u; the visits on the path to it are under way. */
static void begin_path(struct mcts *m, uint32_t u) {
    run_plan(m->r, u, false);
    m->x[u].under_way++;
    mcts_refresh(m, u);
    for (uint32_t v = u;; v = m->r->t->nodes[v].parent) {
        m->v[v].in_flight++;
        if (!v) return;
    }
}

/* Walks down to a node that gets one more child and marks the path.  False on a collision: the node has nothing to go
 * on with before this batch's tries are back. */
static bool begin_visit(struct mcts *m) {
    uint32_t u = m->root;
    while (!mcts_may_widen(m, u)) {
        uint32_t child = mcts_select(m, u);
        if (!child && m->x[u].under_way) return false;
        if (!child) break; /* only closed children: widen against the rule, or this subtree is stuck */
        u = child;
    }
    begin_path(m, u);
    return true;
}

/* With the budget nearly gone and no chain finished, a visit only goes deeper, so that there is an answer at all:
 * below the best open leaf from which the tries that are left can still reach max_depth. */
static void begin_dive(struct mcts *m, uint64_t left) {
    const struct node *nodes = m->r->t->nodes;
    uint32_t best = 0;
    for (uint32_t u = 1; u < m->r->t->n; u++) {
        bool open = !m->x[u].closed && !nodes[u].n_children && nodes[u].depth + left >= m->r->common->max_depth;
        if (open && (!best || nodes[u].value > nodes[best].value)) best = u;
    }
    begin_path(m, best);
}

/* Takes back the visits from try i on, which could not be made. */
static void cancel_visits(struct mcts *m, uint32_t i) {
    for (uint32_t j = i; j < m->r->n_tries; j++) {
        m->x[m->r->tries[j].parent].under_way--;
        for (uint32_t v = m->r->tries[j].parent;; v = m->r->t->nodes[v].parent) {
            m->v[v].in_flight--;
            if (!v) break;
        }
    }
    run_unplan(m->r, i);
}

/* ---- values ---- */

static void back_up(struct mcts *m, uint32_t u, double value) {
    struct visits *v = &m->v[u];
    v->n++;
    v->sum += value;
    if (value > v->best) v->best = (float)value;
    double weight = exp((value - 1) / (double)m->p->heat);
    m->x[u].weight += weight, m->x[u].weighted += weight * value;
}

/* A new step brings its value; one seen before is a visit of its twin at the twin's present mean. */
static void finish_visit(struct mcts *m, const struct try *try, double value) {
    back_up(m, try->child, value);
    for (uint32_t v = try->parent;; v = m->r->t->nodes[v].parent) {
        m->v[v].in_flight--;
        back_up(m, v, value);
        if (!v) break;
    }
    run_emit(m->r, EVENT_VISITED, try->child);
}

/* A new step brings its value, and a rollout that came to no end nothing; a step seen before has its present mean. */
static double value_of(const struct mcts *m, const struct try *try) {
    return try->fresh ? (double)m->r->t->nodes[try->child].value : node_mean(m->r->t, try->child);
}

/* ---- what is not visited again ---- */

/* Nodes with nothing to go on with, from u up. */
static void close_up(struct mcts *m, uint32_t u) {
    const struct node *nodes = m->r->t->nodes;
    for (;; u = nodes[u].parent) {
        bool all = m->x[u].spent || !is_open(&nodes[u]);
        for (uint32_t c = nodes[u].first_child; c && all; c = nodes[c].next_sibling) all = m->x[c].closed;
        if (!all) return;
        m->x[u].closed = true;
        if (!u) return;
    }
}

/* The first node that reached this state, or where it would stand in the table. */
static uint32_t *find_state(struct mcts *m, uint64_t state) {
    uint32_t i = (uint32_t)(state ^ state >> 32) & (m->table_size - 1);
    while (m->table[i] && m->x[m->table[i]].state != state) i = (i + 1) & (m->table_size - 1);
    return &m->table[i];
}

/* A step that reaches what another one did, which can be gone on from and has as many steps left, or more: it has
 * that one's value, unless it was asked for its own, and gives its branch up. */
static void merge_state(struct mcts *m, uint32_t u) {
    struct node *nodes = m->r->t->nodes, *n = &nodes[u];
    if (!m->table_size || !is_open(n)) return;
    if (!m->x[u].state) m->x[u].state = m->r->ev->state(m->r->ev->self, n->branch);
    if (!m->x[u].state) return;
    uint32_t *first = find_state(m, m->x[u].state);
    if (!*first || !nodes[*first].branch || nodes[*first].depth > n->depth) *first = u;
    if (*first == u || !(nodes[*first].flags & NODE_SCORED))
        return; /* that one is in the same batch: looked at again */
    if (!(n->flags & NODE_SCORED)) run_set_value(m->r, u, (float)mcts_value(m, *first));
    tree_drop(m->r->t, m->r->ev, u);
}

/* When a node can have no new step: without replacement when nothing of the distribution is left, else when
 * `patience` tries brought none. */
static void note_try(struct mcts *m, const struct try *try) {
    struct more *x = &m->x[try->parent];
    x->under_way--;
    x->barren = try->fresh ? 0 : x->barren + 1;
    x->spent |= m->r->apart ? try->nothing : m->p->patience && x->barren >= m->p->patience;
    m->x[try->child].closed |= !is_open(&m->r->t->nodes[try->child]);
}

/* ---- a batch ---- */

/* Extends what was gathered, scores, backs up. */
static enum status simulate(struct mcts *m) {
    struct run *r = m->r;
    enum status s = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    cancel_visits(m, r->n_made);
    for (uint32_t i = 0; i < r->n_made; i++) merge_state(m, r->tries[i].child);
    if (!s) s = run_settle(r);
    for (uint32_t i = 0; i < r->n_made; i++) merge_state(m, r->tries[i].child);
    for (uint32_t i = 0; i < r->n_made; i++) {
        note_try(m, &r->tries[i]);
        finish_visit(m, &r->tries[i], value_of(m, &r->tries[i]));
    }
    for (uint32_t i = 0; i < r->n_made; i++) close_up(m, r->tries[i].child), mcts_refresh(m, r->tries[i].child);
    r->ev->ledger->simulations += r->n_made;
    assert(r->t->n > 4096 || tree_check(r->t, NULL)); /* linear: too slow after each batch of a large tree */
    return s;
}

/* One chain from each new step to its end, as a single node below it: a visit of its own. */
static enum status roll_out(struct mcts *m, uint64_t left, uint64_t *n_made) {
    struct run *r = m->r;
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_made; i++)
        if (r->tries[i].fresh && !m->x[r->tries[i].child].closed) m->begun[n++] = r->tries[i].child;
    *n_made = 0;
    if (!n || !left || !run_go(r)) return OK;
    uint32_t room = run_room(r, n < left ? n : left);
    for (uint32_t i = 0; i < room; i++) begin_path(m, m->begun[i]);
    r->to_end = true, r->apart = false;
    enum status s = simulate(m);
    r->to_end = false, r->apart = !m->p->again;
    *n_made = r->n_made;
    return s;
}

/* Steps that an earlier run made and nobody visited count as one visit for each try that gave them. */
static enum status adopt(struct mcts *m) {
    struct run *r = m->r;
    uint32_t n = r->t->n;
    enum status s = run_score_missing(r);
    for (uint32_t u = 1; u < n && !s; u++) {
        m->x[u].closed |= !is_open(&r->t->nodes[u]);
        if (m->v[u].n) continue;
        for (uint32_t i = 0; i < r->t->nodes[u].multiplicity; i++)
            for (uint32_t v = u;; v = r->t->nodes[v].parent) {
                back_up(m, v, r->t->nodes[u].value);
                if (!v) break;
            }
        run_emit(r, EVENT_VISITED, u);
    }
    for (uint32_t u = 0; u < n && !s; u++)
        if (!r->t->nodes[u].first_child) mcts_refresh(m, u);
    return s;
}

/* ---- the loop ---- */

/* Which of two steps is to be committed to: the one visited more; of equal ones the first. */
static void commit(struct mcts *m) {
    struct node *nodes = m->r->t->nodes;
    uint32_t best = 0, from = m->root;
    if (!m->p->commit || m->v[from].n < m->p->commit) return;
    for (uint32_t c = nodes[from].first_child; c; c = nodes[c].next_sibling)
        if (!m->x[c].closed && !m->x[c].out && (!best || m->v[c].n > m->v[best].n)) best = c;
    if (!best) return;
    for (uint32_t u = from + 1; u < m->r->t->n; u++) { /* what is below the others is given up */
        uint32_t top = u;
        while (nodes[top].depth > nodes[best].depth) top = nodes[top].parent;
        if (top == best || nodes[top].parent != from) continue;
        m->x[u].closed = true;
        if (is_open(&nodes[u])) wave_prune(m->r, u);
    }
    m->root = best, m->began = m->turn = 0;
}

/* Tries that are kept back for begin_dive. */
static uint64_t dive_of(const struct mcts *m, double total) {
    uint32_t deepest = m->r->common->max_depth;
    return deepest <= total * (double)m->p->dive ? deepest : 0;
}

/* With a limit the first try shows what tries cost.  Where the rest does not pay for enough dives, one chain is
 * sampled to its end at once: an answer at any stop.  Returns the tries to keep back for begin_dive. */
static enum status measure(struct mcts *m, uint64_t left, uint64_t *dive) {
    struct run *r = m->r;
    double more = run_affords(r, (double)r->n_steps), total = (double)r->n_steps + fmin(more, (double)left);
    *dive = dive_of(m, total);
    if (*dive) return OK;
    enum status s = run_probe(r);
    return s ? s : adopt(m);
}

static void gather(struct mcts *m, uint32_t n, uint64_t total) {
    mcts_halve(m, total);
    while (m->r->n_tries < n && begin_visit(m))
        if (m->began && !m->turn) return; /* time to halve again, once these are back */
}

static enum status search(struct mcts *m) {
    struct run *r = m->r;
    enum status s = OK;
    uint64_t left = r->simulations ? r->simulations : UINT64_MAX;
    bool measured = !run_is_limited(r);
    uint64_t dive = measured ? dive_of(m, (double)left) : 0, rolled;
    while (!s && left && run_go(r)) {
        if (m->x[m->root].closed) run_stop(r, WHY_DONE);
        double more = run_affords(r, (double)r->n_steps);
        if (more < 1 && tree_has_finished(r->t)) run_stop(r, r->scarce);
        if (r->stopped) break;
        uint64_t rest = more < 1 ? 1 : more < (double)left ? (uint64_t)more : left;
        uint64_t reserve = rest > dive + m->p->usual.batch || tree_has_finished(r->t) ? 0 : dive;
        uint32_t n = run_room(r, rest > reserve ? rest - reserve : 1);
        if (!n) break;
        m->left = (double)rest / ((double)r->n_steps + (double)rest);
        if (rest > reserve) gather(m, n, r->n_steps + rest);
        else begin_dive(m, rest);
        s = simulate(m);
        left -= r->n_tries;
        if (!s && m->p->rollout) s = roll_out(m, left, &rolled), left -= rolled;
        if (!s && !r->stopped) commit(m);
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

/* The states of steps that are there. */
static enum status know_states(struct mcts *m) {
    uint32_t size = 1;
    if (!m->p->merge || !m->r->ev->state) return OK;
    while (size < 2 * m->r->t->cap) size *= 2;
    if (!(m->table = mem_new(size, sizeof *m->table)))
        return error_set(m->r->e, ERR_MEMORY, "no memory for %u states", m->r->t->cap);
    m->table_size = size;
    for (uint32_t u = 1; u < m->r->t->n; u++) {
        const struct node *n = &m->r->t->nodes[u];
        if (!is_open(n)) continue;
        if (!m->x[u].state) m->x[u].state = m->r->ev->state(m->r->ev->self, n->branch);
        uint32_t *first = m->x[u].state ? find_state(m, m->x[u].state) : NULL;
        if (first && !*first) *first = u;
    }
    return OK;
}

static enum status mcts_run(struct run *r, const void *params) {
    struct mcts m = {.r = r, .p = params, .left = 1};
    m.v = tree_column(r->t, "visits", sizeof *m.v), m.x = tree_column(r->t, "mcts", sizeof *m.x);
    m.begun = mem_new(r->cap, sizeof *m.begun);
    enum status s = OK;
    if (!m.v || !m.x || !m.begun) s = error_set(r->e, ERR_MEMORY, "no memory for the visits of %u nodes", r->t->cap);
    r->merge = true, r->apart = !m.p->again, r->floor = m.p->floor;
    r->pick = m.p->usual.pick;
    r->stop_value = m.p->usual.stop_value;
    r->on.keep = true; /* every step may be gone on from */
    if (!s) s = know_states(&m);
    if (!s) s = adopt(&m);
    if (!s) s = search(&m);
    mem_free(m.table), mem_free(m.begun);
    return s;
}

/* clang-format off */
#define AT(field) offsetof(struct mcts_params, field)
static const struct param mcts_params[] = {
    {"select", "which child a visit goes on with", PARAM_CHOICE, AT(select), 0, 0, "puct|ucb1|gumbel|best"},
    {"c-puct", "exploration, of puct and ucb1", PARAM_REAL, AT(explore), 0, 1e6, NULL},
    {"widen-c", "a node may have a new child while its tries are fewer than c * visits^alpha", PARAM_REAL, AT(widen_c), 1e-3, 1e6, NULL},
    {"widen-alpha", "see widen-c", PARAM_REAL, AT(widen_alpha), 0, 1, NULL},
    {"considered", "gumbel: steps tried at the root before it is halved", PARAM_COUNT, AT(considered), 1, 4096, NULL},
    {"noise", "gumbel: of the choice at the root; 1 = as when training, 0 = none", PARAM_REAL, AT(noise), 0, 100, NULL},
    {"c-visit", "gumbel: values count (c-visit + visits) * c-scale times against log-probabilities", PARAM_REAL, AT(c_visit), 0, 1e6, NULL},
    {"c-scale", "see c-visit", PARAM_REAL, AT(c_scale), 0, 1e6, NULL},
    {"backup", "value of a node from those below it", PARAM_CHOICE, AT(backup), 0, 0, "mean|max|softmax"},
    {"heat", "of the softmax: 0.01 is nearly the largest value, large the mean", PARAM_REAL, AT(heat), 0.01, 1e6, NULL},
    {"again", "a node may draw a step that it has; no: drawing without replacement", PARAM_YES, AT(again), 0, 0, NULL},
    {"floor", "with --again no: tokens less likely than this share of the likeliest are not drawn", PARAM_REAL, AT(floor), 0, 1, NULL},
    {"merge-states", "a step that reaches what another one has reached is not gone on from", PARAM_YES, AT(merge), 0, 0, NULL},
    {"patience", "with --again yes: tries in a row without a new step after which a node has none; 0 = never", PARAM_COUNT, AT(patience), 0, 1e6, NULL},
    {"rollout", "each new step is visited once more by one chain drawn from it to its end", PARAM_YES, AT(rollout), 0, 0, NULL},
    {"commit", "visits after which the search goes on below the most visited step only; 0 = never", PARAM_COUNT, AT(commit), 0, 1e6, NULL},
    {"anneal", "exploration and widening fall with this power of the budget that is left; 0 = they stay", PARAM_REAL, AT(anneal), 0, 100, NULL},
    {"dive", "without a complete chain the end of the budget only goes deeper, if that takes at most this share of it", PARAM_REAL, AT(dive), 0, 1, NULL},
    USUAL_BATCH(struct mcts_params, usual),
    {"pick", "finished chains -> one answer", PARAM_CHOICE, AT(usual.pick), 0, 0, "best|weighted|majority|visits"},
    USUAL_STOP(struct mcts_params, usual),
    {0},
};
/* clang-format on */

/* Measured with the shipped models on 200 puzzles at 64 and 256 tries: (0.6, 2, 0.6) solves 94 and 99 %, (0.2, 1.5,
 * 0.5) 92 and 97 %, (0.05, 1, 0.5) 85 and 94 %: a good reward model wants breadth.  Of 153 chains above 0.9 on
 * puzzles used for tuning, all were right. */
static const struct mcts_params for_puzzles = {.explore = 0.6f,
                                               .widen_c = 2,
                                               .widen_alpha = 0.6f,
                                               .considered = 16,
                                               .c_visit = 50,
                                               .c_scale = 0.1f,
                                               .heat = 0.1f,
                                               .again = true,
                                               .dive = 0.25f,
                                               .usual = {.batch = 16, .stop_value = 0.9f}};
/* Chains in words are longer, and only those that come to their end count. */
static const struct mcts_params for_words = {.explore = 0.6f,
                                             .widen_c = 1,
                                             .widen_alpha = 0.5f,
                                             .considered = 8,
                                             .c_visit = 50,
                                             .c_scale = 0.1f,
                                             .heat = 0.1f,
                                             .again = true,
                                             .dive = 0.25f,
                                             .usual = {.batch = 16, .stop_value = NEVER}};

const struct strategy strategy_mcts = {
    .name = "mcts",
    .summary = "Monte-Carlo tree search with reward-model values",
    .source = "Rosin 2011; Silver et al. 2017; Couetoux et al. 2011; Danihelka et al. 2022; Shi et al. 2020",
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
