/* dvts.c: diverse verifier tree search (Beeching, Tunstall and Rush 2024): N / M subtrees apart, in each of which the best K of M
 * steps go on, so that one early favourite cannot take all places.
 * Not beam search, where all candidates compete: beam.c.
 * Next: rebase.c. */
#include <string.h>

#include "base/mem.h"
#include "search/search_internal.h"

struct dvts_params {
    uint32_t width, group_width; /* M, K */
    struct usual_params usual;
};

enum { CHAINS = 16 };

/* Who belongs to which subtree. */
struct groups {
    uint32_t *of;                       /* [nodes] the tree's column: 1 + the group of a node */
    uint32_t *open, *seen;              /* [n] scratch */
    uint32_t n, width, keep, first_try; /* number of the prompt's first try in this run */
};

/* Steps of the first round are dealt out by their number, M to a group; later ones have the group of their parent. */
static void join_group(const struct run *r, const struct groups *g, uint32_t u) {
    const struct node *n = &r->t->nodes[u];
    if (g->of[u]) return;
    g->of[u] = n->parent ? g->of[n->parent] : 1 + (n->child_index - g->first_try) / g->width;
}

static void clear(uint32_t *counts, uint32_t n) { memset(counts, 0, n * sizeof *counts); }

/* The best K of each group become tips, best first; the others are given up. */
static void keep_best(struct run *r, struct wave *w, struct groups *g) {
    clear(g->seen, g->n);
    wave_sort(r, w);
    w->n = 0;
    for (uint32_t j = 0; j < w->n_next; j++) {
        uint32_t u = w->next[j];
        join_group(r, g, u);
        if (g->seen[g->of[u] - 1]++ < g->keep) w->tips[w->n++] = u;
        else wave_prune(r, u);
    }
}

/* A group's tries go to its open tips in equal parts, the better ones have the remainder. */
static void share_out(const struct run *r, struct wave *w, struct groups *g, uint32_t tries) {
    clear(g->open, g->n), clear(g->seen, g->n);
    for (int counted = 0; counted < 2; counted++)
        for (uint32_t i = 0; i < w->n; i++) {
            uint32_t of = g->of[w->tips[i]] - 1;
            if (r->t->nodes[w->tips[i]].flags & NODE_TERMINAL) continue;
            if (!counted) g->open[of]++;
            else w->share[i] = tries / g->open[of] + (g->seen[of]++ < tries % g->open[of]);
        }
}

static struct search_room dvts_room(const struct search_params *common, const void *params) {
    return wave_room(common, &((const struct dvts_params *)params)->usual, CHAINS);
}

static enum status grow_groups(struct run *r, struct wave *w, struct groups *g) {
    enum status s = OK;
    for (uint32_t depth = 0; !s && wave_is_open(r, w) && run_go(r); depth++) {
        uint32_t tries = (uint32_t)run_round(r, (uint64_t)g->n * g->width, depth) / g->n;
        if (depth) share_out(r, w, g, tries ? tries : 1);
        else w->share[0] = g->n * g->width;
        s = wave_grow(r, w);
        if (!s && !r->stopped) keep_best(r, w, g);
    }
    return s;
}

static enum status dvts_run(struct run *r, const void *params) {
    const struct dvts_params *p = params;
    struct groups g = {.of = tree_column(r->t, "dvts", sizeof *g.of), .keep = p->group_width};
    struct wave w = {0};
    g.width = r->simulations && r->simulations < p->width ? (uint32_t)r->simulations : p->width;
    enum status s = wave_open(r, &w, &p->usual, CHAINS, g.width);
    if (g.keep > g.width) g.keep = g.width;
    g.first_try = r->t->nodes[0].tries;
    g.n = w.cap / g.width;
    g.open = mem_new(g.n, sizeof *g.open);
    g.seen = mem_new(g.n, sizeof *g.seen);
    if (!s && (!g.of || !g.open || !g.seen)) s = error_set(r->e, ERR_MEMORY, "no memory for %u groups", g.n);
    if (!s) s = grow_groups(r, &w, &g);
    mem_free(g.open), mem_free(g.seen);
    wave_close(&w);
    return s;
}

/* clang-format off */
static const struct param dvts_params[] = {
    {"width", "M: steps tried in each subtree a round; N / M is the number of subtrees", PARAM_COUNT, offsetof(struct dvts_params, width), 1, 4096, NULL},
    {"group-width", "K: steps of a subtree that go on", PARAM_COUNT, offsetof(struct dvts_params, group_width), 1, 4096, NULL},
    USUAL_PARAMS(struct dvts_params, usual),
    {0},
};
/* clang-format on */
static const struct dvts_params defaults = {.width = 4, .group_width = 1, .usual = USUAL(PICK_BEST)};

const struct strategy strategy_dvts = {
    .name = "dvts",
    .summary = "diverse verifier tree search: N / M subtrees, each follows its best step",
    .source = "Beeching, Tunstall, Rush 2024, Scaling test-time compute with open models",
    .unit = "candidates a round",
    .needs = CAN_VALUE,
    .simulations = {16, 8},
    .params = dvts_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = dvts_room,
    .run = dvts_run,
};
