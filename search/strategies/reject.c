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
    bool look_up;      /* finish what is rejected, only to know what was lost */
    struct usual_params usual;
};

enum { CHAINS = 16 };

struct reject {
    struct run *r;
    const struct reject_params *p;
    struct wave w;
    float *lost; /* [nodes] the tree's column: what a rejected chain was worth at its end */
    uint64_t restarts, n_rejected;
};

/* Is the open step u, which has `rank` better ones before it among n, given up? */
static bool is_rejected(const struct reject *x, uint32_t u, uint32_t rank, uint32_t n) {
    const struct node *node = &x->r->t->nodes[u];
    if ((node->flags & NODE_TERMINAL) || node->depth < x->p->after) return false;
    return x->p->threshold > 0 ? node->value < x->p->threshold : rank >= (uint32_t)ceil((double)x->p->share * n);
}

/* What a rejected chain would have been worth at its end, below 0: it comes to none.  Changes nothing but the cost. */
static enum status look_up(struct run *r, uint32_t u, float *lost) {
    const struct evaluator *ev = r->ev;
    struct step step = {.branch = r->t->nodes[u].branch,
                        .key = r->t->nodes[u].key,
                        .temperature = r->temperature,
                        .to_end = true,
                        .max_steps = r->max_depth - r->t->nodes[u].depth};
    *lost = -1;
    enum status s = ev->extend(ev->self, &step, 1, r->e);
    if (!s && step.end == STEP_FINISHED && ev->check) *lost = ev->check(ev->self, step.branch).reward;
    else if (!s && step.end == STEP_FINISHED) s = ev->score(ev->self, &step.branch, 1, lost, r->e);
    return s == ERR_FULL || s == ERR_CANCELLED ? OK : s;
}

/* Of the chains that were rejected, those that would have been right, or as good as the answer. */
static void note_lost(struct run *r, const float *lost) {
    uint64_t n = 0;
    float best = 0;
    for (uint32_t u = 1; u < r->t->n; u++)
        if (r->t->nodes[u].flags & NODE_FINISHED) best = fmaxf(best, r->t->nodes[u].value);
    for (uint32_t u = r->first; u < r->t->n; u++)
        n += (r->t->nodes[u].flags & NODE_PRUNED) && lost[u] >= (r->ev->check ? 1 : best);
    run_note(r, "false_rejects", (double)n);
}

static enum status reject(struct reject *x, uint32_t u) {
    run_look(x->r);
    enum status s = x->p->look_up && !x->r->stopped ? look_up(x->r, u, &x->lost[u]) : OK;
    wave_prune(x->r, u);
    x->n_rejected++;
    return s;
}

/* Those that go on are the next tips, each with one step; rejected ones may be replaced at the prompt. */
static enum status look(struct reject *x) {
    struct run *r = x->r;
    struct wave *w = &x->w;
    uint32_t n_open = 0, rank = 0, fresh = 0;
    enum status s = OK;
    wave_sort(r, w);
    w->n = 0;
    for (uint32_t j = 0; j < w->n_next; j++) n_open += !(r->t->nodes[w->next[j]].flags & NODE_TERMINAL);
    for (uint32_t j = 0; j < w->n_next && !s; j++) {
        uint32_t u = w->next[j];
        if (is_rejected(x, u, rank, n_open)) {
            s = reject(x, u);
            if (x->p->threshold > 0 && x->restarts) fresh++, x->restarts--;
            continue;
        }
        rank += !(r->t->nodes[u].flags & NODE_TERMINAL);
        if (!(r->t->nodes[u].flags & NODE_TERMINAL)) w->share[w->n] = 1, w->tips[w->n++] = u;
    }
    if (fresh) w->share[w->n] = fresh, w->tips[w->n++] = 0;
    return s;
}

static struct search_room reject_room(const struct search_params *common, const void *params) {
    const struct reject_params *p = params;
    struct search_params all = *common;
    if (p->threshold > 0) all.budget.simulations *= 1 + p->restarts;
    struct search_room room = wave_room(&all, &p->usual, CHAINS), narrow = wave_room(common, &p->usual, CHAINS);
    return (struct search_room){room.nodes, narrow.branches, narrow.batch};
}

static enum status reject_run(struct run *r, const void *params) {
    struct reject x = {.r = r, .p = params, .lost = tree_column(r->t, "reject", sizeof *x.lost)};
    enum status s = wave_open(r, &x.w, &x.p->usual, CHAINS, 1);
    if (!s && !x.lost) s = error_set(r->e, ERR_MEMORY, "no memory for the ends of %u nodes", r->t->cap);
    x.restarts = (uint64_t)x.w.cap * x.p->restarts;
    if (!s) x.w.share[0] = x.w.cap;
    while (!s && x.w.n && run_go(r)) {
        if ((s = wave_grow(r, &x.w)) || r->stopped) break;
        s = look(&x);
    }
    if (x.p->look_up && x.lost) note_lost(r, x.lost);
    run_note(r, "rejected", (double)x.n_rejected);
    wave_close(&x.w);
    return s;
}

/* clang-format off */
static const struct param reject_params[] = {
    {"share", "of the open chains that goes on after each step", PARAM_REAL, offsetof(struct reject_params, share), 0, 1, NULL},
    {"threshold", "above 0: chains of a smaller value are replaced by fresh ones, instead of --share", PARAM_REAL, offsetof(struct reject_params, threshold), 0, 1, NULL},
    {"after", "steps of a chain before it may be rejected", PARAM_COUNT, offsetof(struct reject_params, after), 1, 65536, NULL},
    {"restarts", "with --threshold: fresh chains at most, for each of N", PARAM_COUNT, offsetof(struct reject_params, restarts), 0, 1024, NULL},
    {"look-up", "finish rejected chains too, only to count those that would have been right, or as good as the answer", PARAM_YES, offsetof(struct reject_params, look_up), 0, 0, NULL},
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
