/* tokenbeam.c: beam search over tokens, exact: of all continuations of B texts by one token the B likeliest go on; complete ones compete by
 * log-probability / tokens^alpha.  The tree has a node for each token kept.
 * Not random and not scored: no temperature, no reward model.
 * Next: mcts.c. */
#include <math.h>

#include "base/mem.h"
#include "search/search_internal.h"

struct tokenbeam_params {
    uint32_t width, length; /* B; most tokens of a text */
    float length_penalty;   /* alpha */
};

struct tokenbeam {
    struct run *r;
    const struct tokenbeam_params *p;
    uint32_t *beams, *next, n, n_next; /* [B] open nodes */
    struct likely likely;              /* what may follow them */
};

static double score(const struct tokenbeam *b, double sum, uint32_t tokens) {
    return sum / pow(tokens, (double)b->p->length_penalty);
}

/* n of the likeliest continuations, from `first` on, as nodes; complete ones have their score as value. */
static enum status put(struct tokenbeam *b, uint32_t first, uint32_t n) {
    struct run *r = b->r;
    likely_plan(r, &b->likely, first, n);
    enum status s = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    for (uint32_t i = 0; i < r->n_made; i++) {
        uint32_t u = r->tries[i].child;
        struct node *x = &r->t->nodes[u];
        bool longest = x->depth >= b->p->length && !(x->flags & NODE_TERMINAL);
        if (longest) x->flags = (x->flags & ~(uint32_t)NODE_PART) | NODE_TRUNCATED;
        if (x->flags & NODE_FINISHED) run_set_value(r, u, (float)exp(score(b, b->likely.items[first + i].sum, x->depth)));
        if (!(x->flags & NODE_TERMINAL)) b->next[b->n_next++] = u;
    }
    r->ev->ledger->generated_tokens += r->n_made;
    return s ? s : run_settle(r);
}

/* Could an open beam still pass the B best complete texts?  A text's log-probability only falls, its length helps at most so much. */
static bool may_improve(const struct tokenbeam *b) {
    uint32_t better = 0;
    double hope = -INFINITY;
    for (uint32_t i = 0; i < b->n; i++) {
        double sum = tree_logprob(b->r->t, b->beams[i]);
        uint32_t most = b->p->length_penalty > 0 ? b->p->length : b->r->t->nodes[b->beams[i]].depth + 1;
        hope = fmax(hope, score(b, sum, most));
    }
    for (uint32_t u = 1; u < b->r->t->n; u++)
        better += (b->r->t->nodes[u].flags & NODE_FINISHED) && (double)b->r->t->nodes[u].value >= exp(hope);
    return better < b->p->width;
}

/* B continuations that go on, and those before them that end. */
static enum status advance(struct tokenbeam *b) {
    struct run *r = b->r;
    uint32_t *old = b->beams, n = 0;
    enum status s = likely_find(r, &b->likely, old, b->n);
    b->n_next = 0;
    for (uint32_t i = 0; i < b->likely.n && b->n_next < b->p->width && !s && run_go(r); i += n) {
        uint32_t places = b->p->width - b->n_next, rest = b->likely.n - i;
        if (!(n = run_room(r, places < rest ? places : rest))) break;
        s = put(b, i, n);
    }
    for (uint32_t i = 0; i < b->n; i++) tree_drop(r->t, r->ev, old[i]);
    b->beams = b->next, b->next = old, b->n = b->n_next;
    return s;
}

static enum status tokenbeam_run(struct run *r, const void *params) {
    struct tokenbeam b = {.r = r, .p = params, .n = 1};
    r->score = SCORE_NONE;
    enum status s = likely_open(r, &b.likely, b.p->width);
    b.beams = mem_new(b.p->width, sizeof *b.beams), b.next = mem_new(b.p->width, sizeof *b.next);
    if (!s && (!b.beams || !b.next)) s = error_set(r->e, ERR_MEMORY, "no memory for %u beams", b.p->width);
    while (!s && b.n && run_go(r) && may_improve(&b)) s = advance(&b);
    likely_close(&b.likely);
    mem_free(b.beams), mem_free(b.next);
    return s;
}

static struct search_room tokenbeam_room(const struct search_params *common, const void *params) {
    const struct tokenbeam_params *p = params;
    uint64_t nodes = 2ull * p->width * p->length + 2;
    (void)common;
    return (struct search_room){nodes < 65536 ? (uint32_t)nodes : 65536, 3 * p->width + 1, p->width};
}

/* clang-format off */
static const struct param tokenbeam_params[] = {
    {"width", "B: texts that go on after each token", PARAM_COUNT, offsetof(struct tokenbeam_params, width), 1, 256, NULL},
    {"length", "most tokens of a text", PARAM_COUNT, offsetof(struct tokenbeam_params, length), 1, 65536, NULL},
    {"length-penalty", "alpha: complete texts compete by log-probability / tokens^alpha", PARAM_REAL, offsetof(struct tokenbeam_params, length_penalty), -4, 4, NULL},
    {0},
};
/* clang-format on */
static const struct tokenbeam_params defaults = {.width = 4, .length = 256, .length_penalty = 1};

const struct strategy strategy_tokenbeam = {
    .name = "tokenbeam",
    .summary = "beam search over tokens: the likeliest text, not the best by a reward model",
    .source = "Lowerre 1976; Wu et al. 2016, arXiv 1609.08144 (length penalty)",
    .unit = "beams",
    .needs = CAN_PROPOSE | CAN_PUT,
    .without = WITHOUT_TEMPERATURE | WITHOUT_BUDGET,
    .simulations = {1, 1},
    .params = tokenbeam_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = tokenbeam_room,
    .run = tokenbeam_run,
};
