/* pick.c: finished chains become one answer: the best one, a vote (vote.c), or the most visited path.
 * Not a reward model: it only compares values that are there.
 * Next: vote.c. */
#include "search/search_internal.h"

/* Ties in value: the chain found more often, then the likelier one, then the first in the tree. */
bool pick_better(const struct tree *t, uint32_t a, uint32_t b) {
    const struct node *x = &t->nodes[a], *y = &t->nodes[b];
    if (!b) return true;
    if (x->value != y->value) return x->value > y->value;
    if (x->multiplicity != y->multiplicity) return x->multiplicity > y->multiplicity;
    double p = tree_logprob(t, a), q = tree_logprob(t, b);
    if (p != q) return p > q;
    return tree_path_compare(t, a, b) < 0;
}

/* Where the two paths part, the one that was visited more. */
static bool more_visited(const struct tree *t, uint32_t a, uint32_t b) {
    uint32_t x = a, y = b;
    if (!b || !tree_part(t, &x, &y)) return true;
    const struct visits *v = tree_visits(t);
    if (v && v[x].n != v[y].n) return v[x].n > v[y].n;
    return t->nodes[x].child_index < t->nodes[y].child_index;
}

static void pick_one(const struct tree *t, bool (*better)(const struct tree *, uint32_t, uint32_t),
                     struct search_result *res) {
    for (uint32_t u = tree_next(t, 0); u; u = tree_next(t, u))
        if ((t->nodes[u].flags & NODE_FINISHED) && better(t, u, res->node)) res->node = u;
    if (res->node) res->value = t->nodes[res->node].value;
}

/* Steps that were cut have no value of their own. */
static float last_value(const struct tree *t, uint32_t u) {
    if (t->nodes[u].flags & NODE_TRUNCATED) u = t->nodes[u].parent;
    return u ? t->nodes[u].value : 0;
}

static uint64_t chain_tokens(const struct tree *t, uint32_t u) {
    uint64_t n = 0;
    for (; u; u = t->nodes[u].parent) n += t->nodes[u].n_tokens;
    return n;
}

static bool more_promising(const struct tree *t, uint32_t a, uint32_t b) {
    if (!b) return true;
    if (last_value(t, a) != last_value(t, b)) return last_value(t, a) > last_value(t, b);
    if (chain_tokens(t, a) != chain_tokens(t, b)) return chain_tokens(t, a) > chain_tokens(t, b);
    return tree_logprob(t, a) > tree_logprob(t, b);
}

uint32_t search_unfinished(const struct tree *t) {
    uint32_t best = 0;
    for (uint32_t u = tree_next(t, 0); u; u = tree_next(t, u)) {
        const struct node *n = &t->nodes[u];
        if (!n->first_child && !(n->flags & (NODE_FINISHED | NODE_DEAD)) && more_promising(t, u, best)) best = u;
    }
    return best;
}

/* First steps below which a chain is complete. */
static uint32_t count_firsts(const struct tree *t) {
    uint32_t n = 0;
    for (uint32_t u = t->nodes[0].first_child; u; u = t->nodes[u].next_sibling) {
        uint32_t v = u;
        while (v && v != t->nodes[u].next_sibling && !(t->nodes[v].flags & NODE_FINISHED)) v = tree_next(t, v);
        n += v && v != t->nodes[u].next_sibling;
    }
    return n;
}

const char *pick_name(enum pick p) {
    static const char *const names[] = {"best", "weighted", "majority", "visits", "confident", "lowest"};
    return names[p];
}

enum status pick_answer(const struct tree *t, enum pick pick, struct search_result *res, struct error *e) {
    bool solved = false;
    res->node = res->n_finished = 0;
    res->n_firsts = count_firsts(t);
    res->value = 0;
    res->pick = PICK_BEST;
    for (uint32_t u = 1; u < t->n; u++) {
        res->n_finished += !!(t->nodes[u].flags & NODE_FINISHED);
        solved |= !!(t->nodes[u].flags & NODE_CHECKED_RIGHT);
    }
    /* The best chain first: it stays the answer when a vote fails.  A chain checked right needs no vote. */
    pick_one(t, pick_better, res);
    if (!res->node || solved) return OK;
    if (pick == PICK_VISITS) res->node = 0, pick_one(t, more_visited, res);
    res->pick = pick;
    return pick == PICK_BEST || pick == PICK_VISITS ? OK : vote_pick(t, res, e);
}
