/* grow.c: a batch of tries becomes nodes: fork, extend, score, finish; and what happens when KV runs short.
 * Not a strategy: which nodes are extended was decided before.
 * Next: search/strategies/greedy.c for the shortest loop on top of it. */
#include <assert.h>
#include <string.h>

#include "base/rng.h"
#include "search/search_internal.h"

void run_plan(struct run *r, uint32_t parent, bool take) {
    assert(r->n_tries < r->cap && r->t->n + r->n_tries < r->t->cap);
    r->tries[r->n_tries++] = (struct try){.parent = parent,
                                          .child_index = r->t->nodes[parent].tries++,
                                          .take = take && parent && !r->on.keep && !r->draft,
                                          .draft = r->draft,
                                          .temperature = r->temperature};
}

void run_unplan(struct run *r, uint32_t i) {
    while (r->n_tries > i) r->t->nodes[r->tries[--r->n_tries].parent].tries--;
}

uint32_t run_room(struct run *r, uint64_t want) {
    uint32_t room = r->t->cap - r->t->n;
    if (!room) run_stop(r, WHY_NODES);
    if (want > room) want = room;
    return want < r->cap ? (uint32_t)want : r->cap;
}

/* KV is short --------------------------------------------------------------------------------------------------- */

static bool has_kv(const struct node *n) { return n->branch && !(n->flags & NODE_EVICTED); }

/* Parents share their pages with children: evicting a parent first would free nothing. */
static bool is_kv_leaf(const struct tree *t, uint32_t u) {
    for (uint32_t c = t->nodes[u].first_child; c; c = t->nodes[c].next_sibling)
        if (has_kv(&t->nodes[c])) return false;
    return true;
}

/* The node with the lowest mean value whose KV can go, of equal ones the newest; 0: there is none. */
static uint32_t worst_of(const struct run *r, bool leaves) {
    uint32_t worst = 0;
    for (uint32_t u = r->t->n - 1; u > 0; u--) {
        const struct node *n = &r->t->nodes[u];
        if (!has_kv(n) || (n->flags & NODE_BUSY) || (leaves && !is_kv_leaf(r->t, u))) continue;
        if (!worst || node_mean(r->t, u) < node_mean(r->t, worst)) worst = u;
    }
    return worst;
}

/* Frees the KV of a leaf; where none can go, that of a node above one in use, whose last page is its own. */
static bool evict_one(struct run *r) {
    uint32_t worst = worst_of(r, true);
    if (!worst && !(worst = worst_of(r, false))) return false;
    r->ev->evict(r->ev->self, r->t->nodes[worst].branch);
    r->t->nodes[worst].flags |= NODE_EVICTED;
    return true;
}

bool run_retry(struct run *r, enum status s) { return s == ERR_FULL && evict_one(r); }

/* A batch call on items [first, first + n), all or nothing, and the node that item i works on. */
struct batch_call {
    enum status (*call)(struct run *r, uint32_t first, uint32_t n);
    uint32_t (*node)(const struct run *r, uint32_t i);
};

static void mark(struct run *r, const struct batch_call *b, uint32_t first, uint32_t n, bool busy) {
    for (uint32_t i = first; i < first + n; i++) {
        uint32_t *flags = &r->t->nodes[b->node(r, i)].flags;
        *flags = busy ? *flags | NODE_BUSY : *flags & ~(uint32_t)NODE_BUSY;
    }
}

bool run_make_room(void *run) { return evict_one(run); }

static bool evict_some(struct run *r, uint32_t n) {
    bool any = evict_one(r);
    for (uint32_t i = 1; any && i < n && evict_one(r); i++) {}
    return any;
}

/* Retries after evicting others; then in two halves, each of which may evict the other.  Equal keys give equal steps,
 * so none of this changes the tree.  ERR_FULL: not even one item fits. */
static enum status call_with_room(struct run *r, const struct batch_call *b, uint32_t first, uint32_t n) {
    enum status s;
    mark(r, b, first, n, true);
    do s = b->call(r, first, n);
    while (s == ERR_FULL && evict_some(r, n));
    mark(r, b, first, n, false);
    if (s != ERR_FULL || n == 1) return s;
    r->split = true;
    s = call_with_room(r, b, first, n / 2);
    return s ? s : call_with_room(r, b, first + n / 2, n - n / 2);
}

/* Making nodes -------------------------------------------------------------------------------------------------- */

static void add(struct run *r, struct try *try, struct step *step) {
    struct node *parent = &r->t->nodes[try->parent];
    const char *text = step->text ? step->text : "";
    uint32_t steps = tree_steps(r->t, try->parent) + (step->to_end ? step->n_steps : step->end != STEP_OPEN);
    uint32_t ends = tree_end_flag(step->end, steps, r->max_depth);
    parent->flags &= ~(uint32_t)NODE_EVICTED;
    if (try->take) parent->branch = 0;
    uint32_t twin = r->merge ? tree_twin(r->t, try->parent, text, ends) : 0;
    if (twin) {
        r->ev->drop(r->ev->self, &step->branch);
        r->t->nodes[twin].multiplicity++;
    }
    try->fresh = !twin, try->nothing = step->apart && step->end == STEP_DEAD && !step->n_tokens;
    try->child = twin ? twin : tree_add(r->t, try, step, ends);
    if (try->fresh) run_emit(r, EVENT_MADE, try->child);
}

/* The steps of a batch, on their branches: written, or given. */
static enum status make_steps(struct run *r, const struct try *tries, uint32_t n) {
    const struct evaluator *ev = r->ev;
    const struct put *given = &tries->given;
    if (!given->tokens && !given->from && !given->text) return ev->extend(ev->self, r->steps, n, r->e);
    for (uint32_t i = 0; i < n; i++) r->puts[i] = tries[i].given, r->puts[i].branch = r->steps[i].branch;
    enum status s = ev->put(ev->self, r->puts, n, r->e);
    for (uint32_t i = 0; i < n && !s; i++) {
        struct step *step = &r->steps[i];
        step->text = r->puts[i].added, step->n_tokens = r->puts[i].n_tokens, step->end = r->puts[i].end;
        step->logprob = tries[i].given.rate ? r->puts[i].logprob : tries[i].given.logprob;
    }
    return s;
}

static enum status grow_call(struct run *r, uint32_t first, uint32_t n) {
    const struct evaluator *ev = r->ev;
    const uint64_t forks = ev->ledger->forks, shared = ev->ledger->shared_tokens;
    enum status s = OK;
    uint32_t i;
    for (i = 0; i < n && !s; i++) {
        const struct try *try = &r->tries[first + i];
        const struct node *parent = &r->t->nodes[try->parent];
        r->steps[i] = (struct step){.key = rng_fold(parent->key, try->child_index),
                                    .temperature = try->temperature,
                                    .max_tokens = try->max_tokens ? try->max_tokens : r->max_tokens,
                                    .draft = try->draft,
                                    .rate = try->draft && r->rate,
                                    .apart = r->apart && !try->draft ? parent->branch : 0,
                                    .floor = r->floor,
                                    .round = r->round,
                                    .to_end = r->to_end,
                                    .max_steps = r->to_end ? r->max_depth - tree_steps(r->t, try->parent) : 0};
        if (try->branch) r->steps[i].branch = try->branch;
        else if (try->take) r->steps[i].branch = parent->branch;
        else s = ev->fork(ev->self, parent->branch, &r->steps[i].branch, r->e);
    }
    if (!s) s = make_steps(r, r->tries + first, n);
    if (s) ev->ledger->forks = forks, ev->ledger->shared_tokens = shared; /* what is not done costs nothing */
    while (s && i-- > 0)
        if (!r->tries[first + i].take && !r->tries[first + i].branch && r->steps[i].branch)
            ev->drop(ev->self, &r->steps[i].branch);
    for (i = 0; i < n && !s; i++) add(r, &r->tries[first + i], &r->steps[i]);
    return s;
}

static uint32_t grow_node(const struct run *r, uint32_t i) { return r->tries[i].parent; }

/* A call that a limit ended has done nothing: the run stops with what there is. */
static bool was_cancelled(struct run *r, enum status s) {
    if (s != ERR_CANCELLED) return false;
    run_look(r);
    run_stop(r, WHY_CANCELLED);
    return true;
}

enum status run_grow(struct run *r) {
    static const struct batch_call grow = {grow_call, grow_node};
    r->round = (uint32_t)(r->start.generated_tokens + r->n_steps + 1); /* grows over runs, too: a step has a token */
    enum status s = r->n_tries ? call_with_room(r, &grow, 0, r->n_tries) : OK;
    run_look(r);
    r->n_made = 0;
    while (r->n_made < r->n_tries && r->tries[r->n_made].child) r->n_made++;
    r->n_steps += r->n_made;
    return s == ERR_FULL || was_cancelled(r, s) ? OK : s;
}

/* Evaluating them ----------------------------------------------------------------------------------------------- */

/* A reward model may give anything; a NaN is as bad as 0. */
static float clean_value(float v) { return v > 0 ? (v < 1 ? v : 1) : 0; }

void run_set_value(struct run *r, uint32_t u, float value) {
    struct node *n = &r->t->nodes[u];
    n->value = clean_value(value);
    n->flags |= NODE_SCORED;
    run_emit(r, EVENT_SCORED, u);
    if ((n->flags & NODE_FINISHED) && n->value >= r->stop_value) run_stop(r, WHY_SOLVED);
}

static enum status score_call(struct run *r, uint32_t first, uint32_t n) {
    const struct evaluator *ev = r->ev;
    for (uint32_t i = 0; i < n; i++) r->branches[i] = r->t->nodes[r->scored[first + i]].branch;
    enum status s = ev->score(ev->self, r->branches, n, r->values, r->e);
    for (uint32_t i = 0; i < n && !s; i++) {
        r->t->nodes[r->scored[first + i]].flags &= ~(uint32_t)NODE_EVICTED;
        run_set_value(r, r->scored[first + i], r->values[i]);
    }
    return s;
}

static uint32_t score_node(const struct run *r, uint32_t i) { return r->scored[i]; }

uint64_t search_answer_key(const char *s) {
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    if (!s || !*s) return 0;
    while (*s) h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
    return h ? h : 1;
}

/* The verdict of a checker stands above the reward model. */
static void settle_finished(struct run *r, uint32_t u) {
    struct node *n = &r->t->nodes[u];
    if (r->ev->answer) n->answer = search_answer_key(r->ev->answer(r->ev->self, n->branch));
    if (!r->ev->check) return;
    float reward = r->ev->check(r->ev->self, n->branch).reward;
    bool right = reward >= 1;
    n->flags |= right ? NODE_CHECKED_RIGHT : NODE_CHECKED_WRONG;
    run_set_value(r, u, reward);
    if (right) run_stop(r, WHY_SOLVED);
}

static bool wants_score(const struct run *r, const struct node *n) {
    if (n->flags & (NODE_TRUNCATED | NODE_DEAD | NODE_SCORED)) return false;
    return r->score == SCORE_ALL || (r->score == SCORE_FINISHED && (n->flags & NODE_FINISHED));
}

static enum status score(struct run *r) {
    static const struct batch_call score = {score_call, score_node};
    enum status s = r->n_scored ? call_with_room(r, &score, 0, r->n_scored) : OK;
    if (s == ERR_FULL) run_stop(r, WHY_KV_FULL), s = OK;
    if (was_cancelled(r, s)) s = OK;
    r->n_scored = 0;
    return s;
}

enum status run_score_missing(struct run *r) {
    enum status s = OK;
    r->n_scored = 0;
    for (uint32_t u = 1; u < r->t->n && !s; u++) {
        if (r->t->nodes[u].branch && !(r->t->nodes[u].flags & (NODE_SCORED | NODE_TERMINAL)))
            r->scored[r->n_scored++] = u;
        if (r->n_scored == r->cap || u + 1 == r->t->n) s = score(r);
    }
    run_note_adopted(r);
    return s;
}

enum status run_settle(struct run *r) {
    r->n_scored = 0;
    for (uint32_t i = 0; i < r->n_made; i++) {
        if (!r->tries[i].fresh) continue;
        uint32_t u = r->tries[i].child;
        if (r->t->nodes[u].flags & NODE_FINISHED) settle_finished(r, u);
        if (wants_score(r, &r->t->nodes[u])) r->scored[r->n_scored++] = u;
    }
    enum status s = score(r);
    for (uint32_t i = 0; i < r->n_made; i++) {
        if (!r->tries[i].fresh) continue;
        uint32_t u = r->tries[i].child, flags = r->t->nodes[u].flags;
        if (flags & NODE_FINISHED) run_emit(r, EVENT_FINISHED, u);
        if ((flags & NODE_TERMINAL) && !(r->keep_finished && flags & NODE_FINISHED)) tree_drop(r->t, r->ev, u);
    }
    return s;
}
