/* beam.c: step beam search guided by the reward model (Snell et al. 2024): N candidates a round, the best K go on, each
 * with N / K continuations.  A finished beam keeps its slot and competes, but is not extended any more.  And `blocks`
 * (Wang et al. 2025), the same over blocks of B tokens, for texts without clear steps.
 * Not token-level beam search: a candidate is a whole step, or a block of tokens.
 * Next: tot.c, which chooses in other ways; mcts.c, which can come back to a step it left. */
#include <math.h>

#include "search/search_internal.h"

enum { DISTINCT_STEPS, DISTINCT_STATES };
struct beam_params {
    uint32_t width; /* 0: about sqrt(N) */
    uint32_t lookahead;
    uint32_t distinct; /* what no two candidates of a round may share */
    uint32_t block;    /* tokens of a candidate; 0: it is a step */
    struct usual_params usual;
};

enum { BEAMS = 16 }; /* of a round, when nobody says it */

struct beam {
    struct run *r;
    const struct beam_params *p;
    struct wave w;
    uint32_t *ahead; /* [nodes] the tree's column: the likeliest step after a candidate, and the one after that ... */
};

static bool is_open(const struct run *r, uint32_t u) { return !(r->t->nodes[u].flags & NODE_TERMINAL); }
static bool is_lost(const struct run *r, uint32_t u) { return r->t->nodes[u].flags & (NODE_TRUNCATED | NODE_DEAD); }

/* Every slot has its share of the N tries, the first ones also the remainder; finished slots leave theirs unused, and a
 * step that was made by looking ahead is one of them. */
static void share_out(struct beam *b, uint32_t n) {
    struct wave *w = &b->w;
    for (uint32_t i = 0; i < w->n; i++) {
        w->share[i] = n / w->n + (i < n % w->n);
        if (w->share[i] && b->ahead[w->tips[i]]) w->share[i]--;
    }
}

/* Steps that were made by looking ahead are candidates of the round that gets there. */
static void add_ahead(struct beam *b) {
    struct wave *w = &b->w;
    for (uint32_t i = 0; i < w->n; i++) {
        uint32_t u = b->ahead[w->tips[i]];
        if (u && !is_lost(b->r, u)) w->next[w->n_next] = u, w->from[w->n_next++] = i;
    }
}

/* One more likeliest step at the end of each candidate's way, where that is shorter than k; *any: there was one. */
static enum status go_ahead(struct beam *b, bool *any) {
    struct run *r = b->r;
    enum status s = OK;
    *any = false;
    for (uint32_t j = 0; j < b->w.n_next && !s && run_go(r);) {
        uint32_t room = run_room(r, r->cap);
        for (; j < b->w.n_next && r->n_tries < room; j++) {
            uint32_t end = wave_end(&b->w, b->w.next[j]);
            uint32_t n = r->t->nodes[end].depth - r->t->nodes[b->w.next[j]].depth;
            if (n >= b->p->lookahead || !is_open(r, end)) continue;
            run_plan(r, end, false);
            r->tries[r->n_tries - 1].temperature = 0;
        }
        *any |= r->n_tries > 0;
        if (!(s = run_grow(r))) s = run_settle(r);
        if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
        for (uint32_t i = 0; i < r->n_made; i++) b->ahead[r->tries[i].parent] = r->tries[i].child;
    }
    return s;
}

static enum status look_ahead(struct beam *b) {
    enum status s = OK;
    for (bool any = b->p->lookahead > 0; any && !s && !b->r->stopped;) s = go_ahead(b, &any);
    return s;
}

/* The best K candidates become the slots, in order; the rest is pruned. */
static void keep_best(struct beam *b, uint32_t keep) {
    struct wave *w = &b->w;
    wave_sort(b->r, w);
    w->n = 0;
    for (uint32_t j = 0; j < w->n_next; j++) {
        uint32_t u = w->next[j];
        if (w->n < keep && !wave_is_double(b->r, w, u)) {
            w->tips[w->n++] = u;
            continue;
        }
        for (; u; u = b->ahead[u])
            if (u == w->next[j] || is_open(b->r, u)) wave_prune(b->r, u);
    }
}

static struct search_room beam_room(const struct search_params *common, const void *params) {
    const struct beam_params *p = params;
    struct search_params all = *common;
    struct search_room one = wave_room(common, &p->usual, BEAMS);
    uint64_t ways = 1 + (uint64_t)p->lookahead;
    all.budget.simulations *= ways;
    struct search_room room = wave_room(&all, &p->usual, BEAMS * ways);
    room.batch = one.batch;
    if (p->block) room.nodes = 65536; /* blocks of a chain: nobody knows how many */
    return room;
}

static enum status beam_run(struct run *r, const void *params) {
    struct beam b = {.r = r, .p = params};
    b.ahead = tree_column(r->t, "ahead", sizeof *b.ahead);
    uint64_t *states = tree_column(r->t, "states", sizeof *states);
    if (!b.ahead || !states) return error_set(r->e, ERR_MEMORY, "no memory for %u beams", r->t->cap);
    r->max_tokens = b.p->block, r->to_end = b.p->block > 0;
    enum status s = wave_open(r, &b.w, &b.p->usual, BEAMS, 1);
    uint32_t keep = b.p->width ? b.p->width : (uint32_t)lround(sqrt(b.w.cap)), ways = 1 + b.p->lookahead;
    if (keep > b.w.cap) keep = b.w.cap;
    r->merge = true, b.w.ahead = b.ahead;
    if (b.p->distinct == DISTINCT_STATES) b.w.states = states;
    for (uint32_t depth = 0; !s && wave_is_open(r, &b.w) && run_go(r); depth++) {
        uint32_t n = (uint32_t)(run_round(r, (uint64_t)b.w.cap * ways, depth) / ways);
        share_out(&b, n ? n : 1);
        if ((s = wave_grow(r, &b.w)) || r->stopped) break;
        add_ahead(&b);
        s = look_ahead(&b);
        if (!s && !r->stopped) keep_best(&b, keep);
    }
    wave_close(&b.w);
    return s;
}

/* clang-format off */
#define WIDTH {"beam-width", "beams that go on after each round; 0 = about sqrt(N)", PARAM_COUNT, offsetof(struct beam_params, width), 0, 1e6, NULL}
static const struct param beam_params[] = {
    WIDTH,
    {"lookahead", "likeliest steps behind each candidate before it is ranked; they stay in the tree", PARAM_COUNT, offsetof(struct beam_params, lookahead), 0, 64, NULL},
    {"distinct", "what no two beams of a round share: their steps, or what they have reached", PARAM_CHOICE, offsetof(struct beam_params, distinct), 0, 0, "steps|states"},
    USUAL_PARAMS(struct beam_params, usual),
    {0},
};
static const struct param blocks_params[] = {
    {"block", "tokens of a block", PARAM_COUNT, offsetof(struct beam_params, block), 1, 65536, NULL},
    WIDTH,
    USUAL_PARAMS(struct beam_params, usual),
    {0},
};
/* clang-format on */
static const struct beam_params steps = {.usual = USUAL(PICK_BEST)};
static const struct beam_params blocks = {.block = 16, .usual = USUAL(PICK_WEIGHTED)};

const struct strategy strategy_beam = {
    .name = "beam",
    .summary = "step beam search: N candidates a round, the best sqrt(N) go on",
    .source = "Snell et al. 2024, arXiv 2408.03314",
    .unit = "candidates a round",
    .needs = CAN_VALUE,
    .simulations = {16, 8},
    .params = beam_params,
    .defaults = &steps,
    .size = sizeof steps,
    .room = beam_room,
    .run = beam_run,
};

const struct strategy strategy_blocks = {
    .name = "blocks",
    .summary = "beam search over blocks of tokens, with a weighted vote at the end",
    .source = "Wang et al. 2025, value-guided search, arXiv 2505.17373",
    .unit = "candidates a round",
    .needs = CAN_VALUE,
    .simulations = {16, 8},
    .params = blocks_params,
    .defaults = &blocks,
    .size = sizeof blocks,
    .room = beam_room,
    .run = beam_run,
};
