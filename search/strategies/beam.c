/* beam.c: step beam search guided by the reward model (Snell et al. 2024): N candidates a round, the best K go on, each
 * with N / K continuations.  A finished beam keeps its slot and competes, but is not extended any more.
 * Not token-level beam search: a candidate is a whole step.
 * Next: mcts.c, which can come back to a step it left. */
#include <math.h>

#include "search/search_internal.h"

struct beam_params {
    uint32_t width; /* 0: about sqrt(N) */
    struct usual_params usual;
};

enum { BEAMS = 16 }; /* of a round, when nobody says it */

/* Every slot has its share of the N tries, the first ones also the remainder; finished slots leave theirs unused. */
static void share_out(struct wave *w, uint32_t n) {
    for (uint32_t i = 0; i < w->n; i++) w->share[i] = n / w->n + (i < n % w->n);
}

/* The best K candidates become the slots, in order; the rest is pruned. */
static void keep_best(struct run *r, struct wave *w, uint32_t keep) {
    wave_sort(r, w);
    for (w->n = 0; w->n < w->n_next && w->n < keep; w->n++) w->tips[w->n] = w->next[w->n];
    for (uint32_t i = w->n; i < w->n_next; i++) wave_prune(r, w->next[i]);
}

static struct search_room beam_room(const struct search_params *common, const void *params) {
    return wave_room(common, &((const struct beam_params *)params)->usual, BEAMS);
}

static enum status beam_run(struct run *r, const void *params) {
    const struct beam_params *p = params;
    struct wave w = {0};
    r->merge = true;
    enum status s = wave_open(r, &w, &p->usual, BEAMS, 1);
    uint32_t keep = p->width ? p->width : (uint32_t)lround(sqrt(w.cap));
    if (keep > w.cap) keep = w.cap;
    for (uint32_t depth = 0; !s && wave_is_open(r, &w) && run_go(r); depth++) {
        share_out(&w, (uint32_t)run_round(r, w.cap, depth));
        s = wave_grow(r, &w);
        if (!s && !r->stopped) keep_best(r, &w, keep);
    }
    wave_close(&w);
    return s;
}

/* clang-format off */
static const struct param beam_params[] = {
    {"beam-width", "beams that go on after each round; 0 = about sqrt(N)", PARAM_COUNT, offsetof(struct beam_params, width), 0, 1e6, NULL},
    USUAL_PARAMS(struct beam_params, usual),
    {0},
};
/* clang-format on */
static const struct beam_params defaults = {.usual = USUAL(PICK_BEST)};

const struct strategy strategy_beam = {
    .name = "beam",
    .summary = "step beam search: N candidates a round, the best sqrt(N) go on",
    .source = "Snell et al. 2024, arXiv 2408.03314",
    .unit = "candidates a round",
    .needs = CAN_VALUE,
    .simulations = {16, 8},
    .params = beam_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = beam_room,
    .run = beam_run,
};
