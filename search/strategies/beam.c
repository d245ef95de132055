/* beam.c: step beam search guided by the reward model (Snell et al. 2024): N candidates a round, the best K go on, each
 * with N / K continuations.
 * Not token-level beam search: a candidate is a whole step.
 * Next: mcts.c, which can come back to a step it left. */
#include <math.h>

#include "base/mem.h"
#include "search/search_internal.h"

struct beam_params {
    uint32_t batch, beam_width; /* width 0: about sqrt(N) */
    uint32_t pick;
    float stop_value;
};

extern const struct strategy strategy_beam;

/* A slot is a beam that was kept: at first the prompt; later open beams, which are extended, and finished ones, which
 * keep their slot and compete, but are not extended any more. */
struct beams {
    uint32_t *slots; /* [max(keep, 1)] best first */
    uint32_t n_slots, keep;
    uint32_t *candidates; /* [n_beams + keep] */
    uint32_t n_candidates;
    uint32_t n_beams; /* N: tries of one round, shared by the slots */
};

/* Without a number of its own a round has the default one, whatever else ends the search. */
static uint64_t beams_wanted(uint64_t simulations) { return simulations ? simulations : strategy_beam.simulations[0]; }

static enum status open_beams(struct run *r, struct beams *b, uint32_t width) {
    uint64_t n = beams_wanted(r->simulations);
    *b = (struct beams){.n_slots = 1};
    b->n_beams = n < r->t->cap ? (uint32_t)n : r->t->cap;
    b->keep = width ? width : (uint32_t)lround(sqrt(b->n_beams));
    if (b->keep > b->n_beams) b->keep = b->n_beams;
    b->slots = mem_new(b->keep, sizeof *b->slots);
    b->candidates = mem_new((size_t)b->n_beams + b->keep, sizeof *b->candidates);
    if (b->slots && b->candidates) return OK;
    return error_set(r->e, ERR_MEMORY, "no memory for %u beams", b->n_beams);
}

static bool any_open(const struct run *r, const struct beams *b) {
    for (uint32_t i = 0; i < b->n_slots; i++)
        if (!(r->t->nodes[b->slots[i]].flags & NODE_TERMINAL)) return true;
    return false;
}

/* Makes and scores the planned steps.  New ones that can still become the answer are candidates. */
static enum status flush(struct run *r, struct beams *b) {
    enum status s = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    if (!s) s = run_settle(r);
    for (uint32_t i = 0; i < r->n_made && !s; i++) {
        const struct try *try = &r->tries[i];
        bool lost = r->t->nodes[try->child].flags & (NODE_TRUNCATED | NODE_DEAD);
        if (try->fresh && !lost) b->candidates[b->n_candidates++] = try->child;
        r->ev->ledger->simulations++;
    }
    r->n_tries = 0;
    return s;
}

/* Every slot has its share of the N tries, the first ones also the remainder; finished slots leave theirs unused. */
static enum status extend_slots(struct run *r, struct beams *b) {
    enum status s = OK;
    uint32_t room = run_room(r, r->cap);
    b->n_candidates = 0;
    for (uint32_t i = 0; i < b->n_slots && room; i++) {
        uint32_t share = b->n_beams / b->n_slots + (i < b->n_beams % b->n_slots);
        if (r->t->nodes[b->slots[i]].flags & NODE_TERMINAL) {
            b->candidates[b->n_candidates++] = b->slots[i];
            continue;
        }
        for (uint32_t j = 0; j < share && room; j++) {
            run_plan(r, b->slots[i], j + 1 == share);
            if (r->n_tries < room) continue;
            if ((s = flush(r, b))) return s;
            room = run_go(r) ? run_room(r, r->cap) : 0;
        }
    }
    return flush(r, b);
}

static bool ranks_before(const struct tree *t, uint32_t a, uint32_t b) {
    if (t->nodes[a].value != t->nodes[b].value) return t->nodes[a].value > t->nodes[b].value;
    return tree_path_compare(t, a, b) < 0;
}

/* The best K candidates become the slots, in order; the rest is pruned. */
static void keep_best(struct run *r, struct beams *b) {
    uint32_t *c = b->candidates, n = b->n_candidates;
    b->n_slots = n < b->keep ? n : b->keep;
    for (uint32_t i = 0; i < b->n_slots; i++) {
        uint32_t best = i;
        for (uint32_t j = i + 1; j < n; j++)
            if (ranks_before(r->t, c[j], c[best])) best = j;
        b->slots[i] = c[best];
        c[best] = c[i];
    }
    for (uint32_t i = b->n_slots; i < n; i++) {
        r->t->nodes[c[i]].flags |= NODE_PRUNED;
        tree_drop(r->t, r->ev, c[i]);
        run_emit(r, EVENT_PRUNED, c[i]);
    }
}

static struct search_room beam_room(const struct search_params *common, const void *params) {
    const struct beam_params *p = params;
    uint64_t n = beams_wanted(common->budget.simulations);
    uint32_t nodes = room_for_chains(common, n), batch = n < p->batch ? (uint32_t)n : p->batch;
    uint64_t branches = 2 * n + batch + 2; /* slots, their candidates, and the batch under way */
    return (struct search_room){nodes, branches < nodes ? (uint32_t)branches : nodes, batch};
}

static enum status beam_run(struct run *r, const void *params) {
    const struct beam_params *p = params;
    struct beams b = {0};
    enum status s = open_beams(r, &b, p->beam_width);
    r->merge = true;
    r->pick = p->pick;
    r->stop_value = p->stop_value;
    while (!s && any_open(r, &b) && run_go(r)) {
        s = extend_slots(r, &b);
        if (!s && !r->stopped) keep_best(r, &b);
    }
    mem_free(b.slots);
    mem_free(b.candidates);
    return s;
}

/* clang-format off */
static const struct param beam_params[] = {
    {"beam-width", "beams that go on after each round; 0 = about sqrt(N)", PARAM_COUNT, offsetof(struct beam_params, beam_width), 0, 1e6, NULL},
    PARAM_BATCH(struct beam_params),
    PARAM_PICK(struct beam_params),
    PARAM_STOP_VALUE(struct beam_params),
    {0},
};
/* clang-format on */
static const struct beam_params defaults = {.batch = BATCH, .pick = PICK_BEST, .stop_value = NEVER};

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
