/* sample.c: N independent chains; the answer is the best one (bon), or a weighted (weighted) or plain vote (maj).
 * Not a tree search: chains share the prompt's KV and nothing else.
 * Next: beam.c, which gives up bad chains early. */
#include "base/mem.h"
#include "search/search_internal.h"

enum { DEFAULT_CHAINS = 16 };

/* The window: tips of the chains under way, oldest first.  Chain i's stream is rng_fold(seed, i), so neither the window's
 * width nor N changes a chain: best-of-16 is the beginning of best-of-64. */
struct window {
    uint32_t *tips; /* [cap] */
    uint32_t n, width;
    uint64_t n_chains; /* to start in all */
};

static uint64_t chains_wanted(const struct search_params *p) {
    if (p->budget.simulations) return p->budget.simulations;
    return budget_is_open(&p->budget) ? DEFAULT_CHAINS : UINT64_MAX; /* else tokens, FLOPs or time end it */
}

/* Fills the window up with new chains: tips at the prompt. */
static void refill(struct run *r, struct window *w) {
    while (w->n < w->width && w->n_chains) {
        w->tips[w->n++] = 0;
        w->n_chains--;
        r->ev->ledger->simulations++;
    }
}

/* Moves the tips to the new steps and closes the gaps of complete chains. */
static void advance(struct run *r, struct window *w) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        uint32_t tip = i < r->n_made ? r->tries[i].child : w->tips[i];
        if (!(r->t->nodes[tip].flags & NODE_TERMINAL)) w->tips[kept++] = tip;
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

static enum status sample(struct run *r) {
    struct window w = {.width = r->cap, .n_chains = chains_wanted(r->p)};
    w.tips = mem_new(r->cap, sizeof *w.tips);
    if (!w.tips) return error_set(r->e, ERR_MEMORY, "no memory for %u chains", r->cap);
    enum status s = OK;
    while (!s && (w.n || w.n_chains) && run_go(r)) {
        refill(r, &w);
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

static enum status sample_run(const struct run_args *a, enum pick pick, enum score_when score) {
    struct run r;
    enum status s = run_begin(&r, a, chains_wanted(a->p), score != SCORE_NONE);
    r.pick = pick;
    r.score = score;
    if (!s) s = sample(&r);
    return run_end(&r, s);
}

enum status bon_run(struct evaluator *ev, const struct search_params *p, struct tree *t, event_fn *on_event, void *arg,
                    struct search_result *res, struct error *e) {
    return sample_run(&(struct run_args){ev, p, t, on_event, arg, res, e}, PICK_BEST, SCORE_FINISHED);
}

enum status weighted_run(struct evaluator *ev, const struct search_params *p, struct tree *t, event_fn *on_event,
                         void *arg, struct search_result *res, struct error *e) {
    return sample_run(&(struct run_args){ev, p, t, on_event, arg, res, e}, PICK_WEIGHTED, SCORE_FINISHED);
}

enum status maj_run(struct evaluator *ev, const struct search_params *p, struct tree *t, event_fn *on_event, void *arg,
                    struct search_result *res, struct error *e) {
    return sample_run(&(struct run_args){ev, p, t, on_event, arg, res, e}, PICK_MAJORITY, SCORE_NONE);
}
