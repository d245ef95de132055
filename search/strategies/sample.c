/* sample.c: N independent chains; the answer is the best one (bon), or a weighted (weighted) or plain vote (maj).
 * Not a tree search: chains share the prompt's KV and nothing else.
 * Next: beam.c, which gives up bad chains early. */
#include <math.h>

#include "base/mem.h"
#include "search/search_internal.h"

struct sampling_params {
    struct usual_params usual; /* pick: the row says it */
    uint32_t stop_when;        /* enum stop_when */
    float certainty;           /* of STOP_BETA */
    uint32_t weight;           /* of maj's votes: one each, mean confidence, lowest step */
};

/* The window: tips of the chains under way, oldest first.  Chain i's stream is rng_fold(seed, i), so neither the window's
 * width nor N changes a chain: best-of-16 is the beginning of best-of-64. */
struct window {
    uint32_t *tips; /* [cap] */
    uint32_t n, width;
    uint64_t n_chains; /* still to start */
    uint64_t n_ended, n_seen;
};

/* How many chains may be started now.  With a limit: one first, then at most half as many side by side as the rest pays for, so that
 * chains in lockstep are not all cut before their last step.  Those under way count as half done. */
static uint64_t may_start(struct run *r, struct window *w) {
    if (!run_is_limited(r)) return w->n_chains;
    if (w->n && w->n_ended == w->n_seen) return 0; /* nothing new is known */
    w->n_seen = w->n_ended;
    double half = w->n / 2.0, more = run_affords(r, (double)w->n_ended + half) - half;
    if (more < 1) return !w->n && !tree_has_finished(r->t); /* without an answer one more is always tried */
    double side = fmax(1, more / 2);
    return side > w->n ? (uint64_t)side - w->n : 0;
}

/* Chains that are not needed any more are given up. */
static void give_up(struct run *r, struct window *w) {
    for (uint32_t i = 0; i < w->n; i++)
        if (w->tips[i]) wave_prune(r, w->tips[i]);
    w->n = 0;
    run_stop(r, WHY_DECIDED);
}

/* Fills the window up with new chains, tips at the prompt: no more than may still decide a vote. */
static enum status refill(struct run *r, struct window *w, const struct sampling_params *p) {
    uint64_t some = may_start(r, w), wanted;
    enum status s = vote_wanted(r, p->stop_when, (double)p->certainty, w->n_ended, w->n + w->n_chains, &wanted);
    if (s) return s;
    if (!wanted && w->n + w->n_chains) return give_up(r, w), OK;
    for (; w->n < w->width && w->n < wanted && w->n_chains && some; some--) {
        w->tips[w->n++] = 0;
        w->n_chains--;
        r->ev->ledger->simulations++;
    }
    if (!w->n) run_stop(r, r->scarce);
    return OK;
}

/* Moves the tips to the new steps and closes the gaps of complete chains. */
static void advance(struct run *r, struct window *w) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        uint32_t tip = i < r->n_made ? r->tries[i].child : w->tips[i];
        if (r->t->nodes[tip].flags & NODE_TERMINAL) w->n_ended++;
        else w->tips[kept++] = tip;
    }
    w->n = kept;
}

/* KV is short: fewer chains at a time; the later ones wait, without KV. */
static void narrow(struct run *r, struct window *w) {
    if (!r->n_made) run_stop(r, WHY_KV_FULL);
    else if (r->n_made < r->n_tries) w->width = r->n_made;
    else if (r->split && w->width > 1) w->width /= 2;
    r->split = false;
    run_unplan(r, r->n_made);
}

static enum status sample(struct run *r, const struct sampling_params *p) {
    struct window w = {.width = r->cap, .n_chains = r->simulations ? r->simulations : UINT64_MAX};
    w.tips = mem_new(r->cap, sizeof *w.tips);
    if (!w.tips) return error_set(r->e, ERR_MEMORY, "no memory for %u chains", r->cap);
    enum status s = OK;
    while (!s && (w.n || w.n_chains) && run_go(r)) {
        if ((s = refill(r, &w, p))) break;
        uint32_t n = run_room(r, w.n < w.width ? w.n : w.width);
        for (uint32_t i = 0; i < n; i++) run_plan(r, w.tips[i], true);
        if (!n || (s = run_grow(r))) break;
        narrow(r, &w);
        s = run_settle(r);
        advance(r, &w);
    }
    mem_free(w.tips);
    return s;
}

static struct search_room sample_room(const struct search_params *common, const void *params) {
    const struct usual_params *p = &((const struct sampling_params *)params)->usual;
    uint64_t chains = common->budget.simulations;
    uint32_t batch = chains && chains < p->batch ? (uint32_t)chains : p->batch;
    return (struct search_room){room_for_chains(common, chains), batch + 1, batch};
}

static enum status bon_run(struct run *r, const void *params) {
    const struct sampling_params *p = params;
    r->score = SCORE_FINISHED;
    r->stop_value = p->usual.stop_value;
    return sample(r, p);
}

static enum status weighted_run(struct run *r, const void *params) {
    r->pick = PICK_WEIGHTED;
    return bon_run(r, params);
}

static enum status maj_run(struct run *r, const void *params) {
    static const enum pick picks[] = {PICK_MAJORITY, PICK_CONFIDENT, PICK_LOWEST};
    const struct sampling_params *p = params;
    r->score = SCORE_NONE;
    r->pick = picks[p->weight];
    return sample(r, p);
}

/* clang-format off */
#define STOP_WHEN(choices) {"stop-when", "when the vote may end early", PARAM_CHOICE, offsetof(struct sampling_params, stop_when), 0, 0, choices}
static const struct param bon_params[] = {
    USUAL_BATCH(struct sampling_params, usual),
    USUAL_STOP(struct sampling_params, usual),
    {0},
};
static const struct param weighted_params[] = {
    STOP_WHEN("never|decided"),
    USUAL_BATCH(struct sampling_params, usual),
    USUAL_STOP(struct sampling_params, usual),
    {0},
};
static const struct param maj_params[] = {
    STOP_WHEN("never|decided|beta|doubling"),
    {"certainty", "of --stop-when beta: that the leader is ahead of the second", PARAM_REAL, offsetof(struct sampling_params, certainty), 0.5, 1, NULL},
    {"weight", "of a vote: one each, or the mean probability of the chain's tokens, or of those of its least likely step", PARAM_CHOICE, offsetof(struct sampling_params, weight), 0, 0, "one|mean|lowest"},
    USUAL_BATCH(struct sampling_params, usual),
    {0},
};
/* clang-format on */
static const struct sampling_params defaults = {.usual = USUAL(PICK_BEST), .certainty = 0.95f};

const struct strategy strategy_bon = {
    .name = "bon",
    .summary = "best of N sampled chains by the reward model",
    .source = "Cobbe et al. 2021, arXiv 2110.14168",
    .unit = "chains",
    .needs = CAN_VALUE,
    .simulations = {16, 8},
    .params = bon_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = sample_room,
    .run = bon_run,
};

const struct strategy strategy_weighted = {
    .name = "weighted",
    .summary = "N sampled chains vote, weighted by the reward model",
    .source = "Li et al. 2023, arXiv 2206.02336",
    .unit = "chains",
    .needs = CAN_VALUE,
    .simulations = {16, 8},
    .params = weighted_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = sample_room,
    .run = weighted_run,
};

const struct strategy strategy_maj = {
    .name = "maj",
    .summary = "N sampled chains vote (self-consistency), no reward model",
    .source = "Wang et al. 2023, arXiv 2203.11171",
    .unit = "chains",
    .simulations = {16, 8},
    .params = maj_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = sample_room,
    .run = maj_run,
};
