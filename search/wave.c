/* wave.c: a population of chains that is extended round by round: what beam, dvts, rebase, particle and others have in common.
 * Not a choice: which chains go on, and how often, is the strategy's.
 * Next: search/strategies/beam.c. */
#include <string.h>

#include "base/mem.h"
#include "search/search_internal.h"

enum status wave_open(struct run *r, struct wave *w, const struct usual_params *p, uint64_t fallback, uint32_t unit) {
    r->pick = p->pick;
    r->stop_value = p->stop_value;
    enum status s = run_probe(r);
    uint64_t n = run_width(r, fallback);
    if (n > r->t->cap) n = r->t->cap;
    *w = (struct wave){.n = 1, .cap = n < unit ? unit : (uint32_t)(n / unit * unit)};
    if (s) return s;
    w->tips = mem_new(w->cap, sizeof *w->tips);
    w->share = mem_new(w->cap, sizeof *w->share);
    w->next = mem_new(2 * (size_t)w->cap, sizeof *w->next);
    w->from = mem_new(2 * (size_t)w->cap, sizeof *w->from);
    if (w->tips && w->share && w->next && w->from) return OK;
    return error_set(r->e, ERR_MEMORY, "no memory for %u chains at a time", w->cap);
}

struct search_room wave_room(const struct search_params *common, const struct usual_params *p, uint64_t fallback) {
    uint64_t n = common->budget.simulations ? common->budget.simulations : fallback;
    uint32_t nodes = room_for_chains(common, common->budget.simulations);
    uint32_t batch = common->budget.simulations && n < p->batch ? (uint32_t)n : p->batch;
    uint64_t branches = 2 * n + batch + 2; /* tips, the steps of a round, and those under way */
    return (struct search_room){nodes, branches < nodes ? (uint32_t)branches : nodes, batch};
}

void wave_close(struct wave *w) { mem_free(w->tips), mem_free(w->share), mem_free(w->next), mem_free(w->from); }

bool wave_begin(struct run *r, struct wave *w, uint64_t *left) {
    uint32_t most = w->cap < r->cap ? w->cap : r->cap;
    w->n = *left < most ? (uint32_t)*left : most;
    *left -= w->n;
    for (uint32_t i = 0; i < w->n; i++) w->tips[i] = 0;
    return w->n && run_go(r);
}

bool wave_is_open(const struct run *r, const struct wave *w) {
    for (uint32_t i = 0; i < w->n; i++)
        if (!(r->t->nodes[w->tips[i]].flags & NODE_TERMINAL)) return true;
    return false;
}

void wave_prune(struct run *r, uint32_t u) {
    r->t->nodes[u].flags |= NODE_PRUNED;
    tree_drop(r->t, r->ev, u);
    run_emit(r, EVENT_PRUNED, u);
}

static void add_next(struct wave *w, uint32_t u, uint32_t from) {
    w->next[w->n_next] = u;
    w->from[w->n_next++] = from;
}

/* Makes and scores the planned steps, which are in the order of their slots. */
static enum status flush(struct run *r, struct wave *w) {
    enum status s = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    if (!s) s = run_settle(r);
    for (uint32_t i = 0; i < r->n_made && !s; i++) {
        const struct try *try = &r->tries[i];
        bool lost = r->t->nodes[try->child].flags & (NODE_TRUNCATED | NODE_DEAD);
        if (try->fresh && !lost) add_next(w, try->child, try->slot);
        r->ev->ledger->simulations++;
    }
    r->n_tries = 0;
    return s;
}

/* Complete chains were added at once, new steps when their batch was full: back to the order of the slots, whatever the batches. */
static void sort_by_slot(struct wave *w) {
    for (uint32_t i = 1; i < w->n_next; i++) {
        uint32_t u = w->next[i], from = w->from[i], j = i;
        for (; j && from < w->from[j - 1]; j--) w->next[j] = w->next[j - 1], w->from[j] = w->from[j - 1];
        w->next[j] = u, w->from[j] = from;
    }
}

/* A tip that no step is wanted below any more: the chain ends there, unless one was made by looking ahead. */
static void give_up(struct run *r, uint32_t u) {
    if (r->t->nodes[u].n_children) tree_drop(r->t, r->ev, u);
    else wave_prune(r, u);
}

enum status wave_grow(struct run *r, struct wave *w) {
    enum status s = OK;
    uint32_t room = run_room(r, r->cap);
    w->n_next = 0;
    for (uint32_t i = 0; i < w->n && room; i++) {
        if ((r->t->nodes[w->tips[i]].flags & NODE_TERMINAL) || (w->hold && !w->share[i])) {
            add_next(w, w->tips[i], i);
            continue;
        }
        if (!w->share[i] && !r->on.keep) give_up(r, w->tips[i]);
        for (uint32_t j = 0; j < w->share[i] && room; j++) {
            run_plan(r, w->tips[i], j + 1 == w->share[i]);
            r->tries[r->n_tries - 1].slot = i;
            if (r->n_tries < room) continue;
            if ((s = flush(r, w))) return s;
            room = run_go(r) ? run_room(r, r->cap) : 0;
        }
    }
    s = flush(r, w);
    sort_by_slot(w);
    return s;
}

enum status wave_finish(struct run *r, struct wave *w) {
    enum status s = OK;
    while (!s && wave_is_open(r, w) && run_go(r)) {
        for (uint32_t i = 0; i < w->n; i++) w->share[i] = 1;
        s = wave_grow(r, w);
        memcpy(w->tips, w->next, (w->n = w->n_next) * sizeof *w->tips);
    }
    return s;
}

uint32_t wave_end(const struct wave *w, uint32_t u) {
    while (w->ahead && w->ahead[u]) u = w->ahead[u];
    return u;
}

bool wave_is_double(const struct run *r, const struct wave *w, uint32_t u) {
    if (!w->states || !r->ev->state || !r->t->nodes[u].branch) return false;
    w->states[u] = r->ev->state(r->ev->self, r->t->nodes[u].branch);
    for (uint32_t i = 0; i < w->n && w->states[u]; i++)
        if (w->states[w->tips[i]] == w->states[u]) return true;
    return false;
}

static bool ranks_before(const struct tree *t, const struct wave *w, uint32_t a, uint32_t b) {
    float x = t->nodes[wave_end(w, a)].value, y = t->nodes[wave_end(w, b)].value;
    return x != y ? x > y : tree_path_compare(t, a, b) < 0;
}

/* Insertion by rank: populations are small, and equal inputs keep their order. */
void wave_sort(const struct run *r, struct wave *w) {
    for (uint32_t i = 1; i < w->n_next; i++) {
        uint32_t u = w->next[i], from = w->from[i], j = i;
        for (; j && ranks_before(r->t, w, u, w->next[j - 1]); j--)
            w->next[j] = w->next[j - 1], w->from[j] = w->from[j - 1];
        w->next[j] = u, w->from[j] = from;
    }
}
