/* adaptive.c: how much search a problem gets is decided while it is solved (Snell et al. 2024): a probe shows how hard it
 * is, a learned table says how much more pays at that difficulty, and each tier goes on in the tree of those before it.
 * Not a search of its own: bon, maj and mcts do the work, nested.
 * Next: mcts.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "search/search_internal.h"

enum estimate { BY_VALUES, BY_VOTES, BY_ENTROPY };
struct adaptive_params {
    uint32_t estimate;
    uint32_t probe;            /* chains */
    float easy, hard;          /* ease of a problem: from here on, and below */
    float price;               /* least share of problems that 100 simulations of a tier must solve */
    struct usual_params usual; /* stop_value: or the share of the votes */
};

/* Simulations of each tier, and the share of a bin's problems that it solves, of those that reach it. */
struct tier {
    uint32_t n;
    float gain;
};
enum { BINS = 3, TIERS = 3, TOTAL = 260 };
struct work {
    const char *probe, *more; /* strategies */
    enum pick pick;
    struct tier bins[BINS][TIERS]; /* easy, middle, hard */
};
/* clang-format off */
/* Learned by bench/adaptive.sh from 105 puzzles; no easy one needed a tier. */
static const struct work by_values = {"bon", "mcts", PICK_BEST, {
    {{64, 1.000f}, {64, 0.000f}, {128, 0.000f}},
    {{64, 1.000f}, {64, 0.000f}, {128, 0.000f}},
    {{64, 0.667f}, {64, 0.400f}, {128, 0.833f}}}};
/* Not learned: a price cuts nothing off. */
static const struct work by_votes = {"maj", "maj", PICK_MAJORITY, {
    {{4, 1e9f}, {8, 1e9f}, {16, 1e9f}},
    {{4, 1e9f}, {8, 1e9f}, {16, 1e9f}},
    {{4, 1e9f}, {8, 1e9f}, {16, 1e9f}}}};
/* clang-format on */

struct adaptive {
    struct run *r;
    const struct adaptive_params *p;
    const struct work *work;
    uint64_t left;        /* simulations */
    enum why_stopped why; /* of the newest tier */
};

static void set_param(const struct strategy *s, const char *name, double value, struct params *to) {
    const struct param *p = strategy_param(s, name, strlen(name));
    struct error ignored;
    char text[32];
    snprintf(text, sizeof text, "%.9g", value);
    if (p) param_set(p, to, text, &ignored);
}

/* Nothing more of that kind fits, but another tier may. */
static bool is_limit(enum why_stopped why) { return why == WHY_TOKENS || why == WHY_FLOPS || why == WHY_TIME; }

/* n simulations more of a strategy. */
static enum status run_tier(struct adaptive *a, const char *name, uint64_t n) {
    const struct strategy *s = strategy_find(name);
    const struct budget part = {.simulations = n < a->left ? n : a->left};
    struct params params;
    struct search_result res;
    if (!part.simulations) return OK;
    strategy_defaults(s, false, &params);
    set_param(s, "stop-value", (double)a->p->usual.stop_value, &params);
    set_param(s, "batch", a->p->usual.batch, &params);
    a->left -= part.simulations;
    enum status st = run_part(a->r, s, params.bytes, &part, &res);
    a->why = res.why;
    if (!is_limit(a->why) && a->why != WHY_DONE && a->why != WHY_SIMULATIONS) run_stop(a->r, a->why);
    return st;
}

/* The share of the leader in the votes so far. */
static enum status leading_share(struct run *r, double *share) {
    struct tally *tally = mem_new(r->t->n, sizeof *tally);
    double votes = 0;
    if (!tally) return error_set(r->e, ERR_MEMORY, "no memory to count %u votes", r->t->n);
    uint32_t n = search_tally(r->t, PICK_MAJORITY, tally);
    for (uint32_t i = 0; i < n; i++) votes += tally[i].votes;
    *share = n ? tally[0].votes / votes : 0;
    mem_free(tally);
    return OK;
}

/* How easy the problem is, in [0,1]: the mean value of some chains, the leader's share of their votes, or 1 / perplexity of the
 * first token.  What it costs is part of the search. */
static enum status estimate(struct adaptive *a, double *ease) {
    struct run *r = a->r;
    struct proposal first = {.branch = r->t->nodes[0].branch};
    double sum = 0;
    enum status s = OK;
    if (a->p->estimate == BY_ENTROPY) {
        do s = r->ev->propose(r->ev->self, &first, 1, r->e);
        while (run_retry(r, s));
        *ease = exp(-(double)first.entropy);
        return run_soft(r, s);
    }
    if ((s = run_tier(a, a->work->probe, a->p->probe)) || a->p->estimate == BY_VOTES)
        return s ? s : leading_share(r, ease);
    for (uint32_t u = 1; u < r->t->n; u++)
        sum += r->t->nodes[u].flags & NODE_FINISHED ? (double)r->t->nodes[u].value : 0;
    *ease = sum / a->p->probe;
    return OK;
}

static enum status climb(struct adaptive *a, double ease, uint32_t *tiers) {
    struct run *r = a->r;
    const struct tier *t = a->work->bins[ease >= (double)a->p->easy ? 0 : ease >= (double)a->p->hard ? 1 : 2];
    double share = ease;
    enum status s = OK;
    for (*tiers = 0; *tiers < TIERS && !s && a->left && run_go(r); ++*tiers, t++) {
        if (a->work == &by_votes && share >= (double)a->p->usual.stop_value) run_stop(r, WHY_DECIDED);
        if (r->stopped) break;
        if (100 * (double)t->gain / t->n < (double)a->p->price) return a->why = WHY_DONE, s; /* its own end */
        s = run_tier(a, a->work->more, t->n);
        if (!s && a->work == &by_votes) s = leading_share(r, &share);
    }
    return s;
}

static enum status adaptive_run(struct run *r, const void *params) {
    const struct adaptive_params *p = params;
    struct adaptive a = {.r = r, .p = p, .work = p->estimate == BY_VOTES ? &by_votes : &by_values};
    double ease = 0;
    uint32_t tiers = 0;
    a.left = r->simulations ? r->simulations : UINT64_MAX;
    r->pick = a.work->pick, r->on.keep = true;
    enum status s = estimate(&a, &ease);
    if (!s) s = climb(&a, ease, &tiers);
    run_look(r);
    if (is_limit(a.why)) run_stop(r, a.why);
    if (!a.left) run_stop(r, WHY_SIMULATIONS);
    run_note(r, "ease", ease);
    run_note(r, "tiers", tiers);
    return s;
}

static unsigned adaptive_needs(const void *params) {
    const struct adaptive_params *p = params;
    return p->estimate == BY_VOTES ? CAN_ANSWER : p->estimate == BY_ENTROPY ? CAN_VALUE | CAN_PROPOSE : CAN_VALUE;
}

static struct search_room adaptive_room(const struct search_params *common, const void *params) {
    const struct adaptive_params *p = params;
    uint64_t n = common->budget.simulations ? common->budget.simulations : TOTAL, chains = p->probe;
    if (p->estimate == BY_VOTES) chains = n;
    uint64_t nodes = n + (chains + 1) * (common->max_depth + 1) + 2;
    uint32_t room = nodes < 65536 ? (uint32_t)nodes : 65536;
    return (struct search_room){room, room, 64};
}

/* clang-format off */
static const struct param adaptive_params[] = {
    {"estimate", "of difficulty: mean value of a few chains, their vote, or the entropy of the first token", PARAM_CHOICE, offsetof(struct adaptive_params, estimate), 0, 0, "values|votes|entropy"},
    {"probe", "chains of the estimate; the search goes on with them", PARAM_COUNT, offsetof(struct adaptive_params, probe), 1, 1024, NULL},
    {"easy", "problems of this ease or more are easy", PARAM_REAL, offsetof(struct adaptive_params, easy), 0, 1, NULL},
    {"hard", "problems of less ease are hard", PARAM_REAL, offsetof(struct adaptive_params, hard), 0, 1, NULL},
    {"price", "share of problems that 100 simulations more must solve, or they are not tried", PARAM_REAL, offsetof(struct adaptive_params, price), 0, 100, NULL},
    USUAL_BATCH(struct adaptive_params, usual),
    USUAL_STOP(struct adaptive_params, usual),
    {0},
};
/* clang-format on */
static const struct adaptive_params for_puzzles = {
    .estimate = BY_VALUES, .probe = 4, .easy = 0.5f, .hard = 0.05f, .usual = {.batch = 16, .stop_value = 0.9f}};
static const struct adaptive_params for_words = {
    .estimate = BY_VOTES, .probe = 4, .easy = 0.75f, .hard = 0.5f, .usual = {.batch = 16, .stop_value = 0.75f}};

const struct strategy strategy_adaptive = {
    .name = "adaptive",
    .summary = "a probe shows how hard the problem is, and a learned table how much more search pays",
    .source = "Snell et al. 2024, arXiv 2408.03314",
    .unit = "simulations of all tiers together",
    .needs_too = adaptive_needs,
    .simulations = {TOTAL, 32},
    .params = adaptive_params,
    .defaults = &for_puzzles,
    .defaults_for_words = &for_words,
    .size = sizeof for_puzzles,
    .room = adaptive_room,
    .run = adaptive_run,
};
