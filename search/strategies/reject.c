/* reject.c: speculative rejection (Sun et al. 2024): N chains in lockstep; after each step the worst are given up, by rank (a share of the
 * open ones goes on) or by an absolute value (each one below it is replaced by a fresh chain).
 * Not beam search: what is given up is not replaced by copies of better ones.
 * Next: mcts.c, which can come back to a step it left. */
#include <math.h>

#include "search/search_internal.h"

struct reject_params {
    float share;       /* of the open chains that goes on */
    float threshold;   /* > 0: instead of the share, chains below this value are replaced */
    uint32_t after;    /* steps before the first look */
    uint32_t restarts; /* fresh chains at most, for each place */
    struct usual_params usual;
};

enum { CHAINS = 16 };

/* Is the open step u, which has `rank` better ones before it among n, given up? */
static bool is_rejected(const struct run *r, const struct reject_params *p, uint32_t u, uint32_t rank, uint32_t n) {
    const struct node *x = &r->t->nodes[u];
    if ((x->flags & NODE_TERMINAL) || x->depth < p->after) return false;
    return p->threshold > 0 ? x->value < p->threshold : rank >= (uint32_t)ceil((double)p->share * n);
}

/* Those that go on are the next tips, each with one step; rejected ones may be replaced at the prompt. */
static void look(struct run *r, struct wave *w, const struct reject_params *p, uint64_t *restarts) {
    uint32_t n_open = 0, rank = 0, fresh = 0;
    wave_sort(r, w);
    w->n = 0;
    for (uint32_t j = 0; j < w->n_next; j++) n_open += !(r->t->nodes[w->next[j]].flags & NODE_TERMINAL);
    for (uint32_t j = 0; j < w->n_next; j++) {
        uint32_t u = w->next[j];
        if (is_rejected(r, p, u, rank, n_open)) {
            wave_prune(r, u);
            if (p->threshold > 0 && *restarts) fresh++, --*restarts;
            continue;
        }
        rank += !(r->t->nodes[u].flags & NODE_TERMINAL);
        if (!(r->t->nodes[u].flags & NODE_TERMINAL)) w->share[w->n] = 1, w->tips[w->n++] = u;
    }
    if (fresh) w->share[w->n] = fresh, w->tips[w->n++] = 0;
}

static struct search_room reject_room(const struct search_params *common, const void *params) {
    const struct reject_params *p = params;
    struct search_params all = *common;
    if (p->threshold > 0) all.budget.simulations *= 1 + p->restarts;
    struct search_room room = wave_room(&all, &p->usual, CHAINS), narrow = wave_room(common, &p->usual, CHAINS);
    return (struct search_room){room.nodes, narrow.branches, narrow.batch};
}

static enum status reject_run(struct run *r, const void *params) {
    const struct reject_params *p = params;
    struct wave w = {0};
    enum status s = wave_open(r, &w, &p->usual, CHAINS, 1);
    uint64_t restarts = (uint64_t)w.cap * p->restarts;
    if (!s) w.share[0] = w.cap;
    while (!s && w.n && run_go(r)) {
        if ((s = wave_grow(r, &w)) || r->stopped) break;
        look(r, &w, p, &restarts);
    }
    wave_close(&w);
    return s;
}

/* clang-format off */
static const struct param reject_params[] = {
    {"share", "of the open chains that goes on after each step", PARAM_REAL, offsetof(struct reject_params, share), 0, 1, NULL},
    {"threshold", "above 0: chains of a smaller value are replaced by fresh ones, instead of --share", PARAM_REAL, offsetof(struct reject_params, threshold), 0, 1, NULL},
    {"after", "steps of a chain before it may be rejected", PARAM_COUNT, offsetof(struct reject_params, after), 1, 65536, NULL},
    {"restarts", "with --threshold: fresh chains at most, for each of N", PARAM_COUNT, offsetof(struct reject_params, restarts), 0, 1024, NULL},
    USUAL_PARAMS(struct reject_params, usual),
    {0},
};
/* clang-format on */
static const struct reject_params defaults = {.share = 0.5f, .after = 1, .restarts = 4, .usual = USUAL(PICK_BEST)};

const struct strategy strategy_reject = {
    .name = "reject",
    .summary = "speculative rejection: best of N, the worst given up after each step",
    .source = "Sun et al. 2024, arXiv 2410.20290",
    .unit = "chains",
    .needs = CAN_VALUE,
    .simulations = {16, 8},
    .params = reject_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = reject_room,
    .run = reject_run,
};
