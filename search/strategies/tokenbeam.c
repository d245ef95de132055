/* tokenbeam.c: beam search over tokens, exact: of all continuations of B texts by one token the B likeliest go on; complete ones compete by
 * log-probability / tokens^alpha.  The tree has a node for each token kept.
 * Not random and not scored: no temperature, no reward model.
 * Next: mcts.c. */
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "search/search_internal.h"

struct tokenbeam_params {
    uint32_t width, length; /* B; most tokens of a text */
    float length_penalty;   /* alpha */
};

/* One continuation of a beam. */
struct candidate {
    uint32_t parent;
    int32_t token;
    float logprob;
    double sum; /* of the whole text */
};

struct tokenbeam {
    struct run *r;
    const struct tokenbeam_params *p;
    uint32_t *beams, *next, n; /* [B] open nodes */
    struct candidate *likely;  /* [2 B] the best continuations, likeliest first */
    uint32_t n_likely;
    struct proposal *asked; /* [B] */
    int32_t *tokens;        /* [B, 2 B] */
    float *logprobs;
};

static double score(const struct tokenbeam *b, double sum, uint32_t tokens) {
    return sum / pow(tokens, (double)b->p->length_penalty);
}

/* Ties keep the order of beams and tokens. */
static void add_likely(struct tokenbeam *b, struct candidate c) {
    uint32_t j = b->n_likely, cap = 2 * b->p->width;
    for (; j && c.sum > b->likely[j - 1].sum; j--)
        if (j < cap) b->likely[j] = b->likely[j - 1];
    if (j == cap) return;
    b->likely[j] = c;
    if (b->n_likely < cap) b->n_likely++;
}

/* What the policy would write behind each beam: 2 B tokens are enough, because at most B of them end their text. */
static enum status propose(struct tokenbeam *b) {
    struct run *r = b->r;
    uint32_t k = 2 * b->p->width;
    for (uint32_t i = 0; i < b->n; i++)
        b->asked[i] = (struct proposal){.branch = r->t->nodes[b->beams[i]].branch,
                                        .k = k,
                                        .tokens = b->tokens + (size_t)i * k,
                                        .logprobs = b->logprobs + (size_t)i * k};
    enum status s = r->ev->propose(r->ev->self, b->asked, b->n, r->e);
    b->n_likely = 0;
    for (uint32_t i = 0; i < b->n && !s; i++)
        for (uint32_t j = 0; j < b->asked[i].n; j++)
            add_likely(b, (struct candidate){b->beams[i], b->asked[i].tokens[j], b->asked[i].logprobs[j],
                                             tree_logprob(r->t, b->beams[i]) + (double)b->asked[i].logprobs[j]});
    return s;
}

/* The continuation as a node of the tree; a complete one has its score as value. */
static enum status put(struct tokenbeam *b, const struct candidate *c, uint32_t *node) {
    struct run *r = b->r;
    struct node *parent = &r->t->nodes[c->parent];
    struct step step = {.key = rng_fold(parent->key, parent->tries), .n_tokens = 1, .logprob = c->logprob};
    enum status s = r->ev->fork(r->ev->self, parent->branch, &step.branch, r->e);
    if (s) return s;
    struct put put = {.branch = step.branch, .tokens = &c->token, .n_tokens = 1};
    if ((s = r->ev->put(r->ev->self, &put, 1, r->e))) {
        r->ev->drop(r->ev->self, &step.branch);
        return s;
    }
    step.text = put.added, step.end = put.end;
    if (step.end == STEP_SEPARATOR && tree_steps(r->t, c->parent) + 1 >= r->max_depth) step.end = STEP_TRUNCATED;
    r->tries[0] = (struct try){.parent = c->parent, .child_index = parent->tries++, .fresh = true};
    *node = r->tries[0].child = tree_add(r->t, &r->tries[0], &step, b->p->length);
    struct node *n = &r->t->nodes[*node];
    r->n_tries = r->n_made = 1, r->n_steps++;
    r->ev->ledger->generated_tokens++;
    run_emit(r, EVENT_MADE, *node);
    if (n->flags & NODE_FINISHED) run_set_value(r, *node, (float)exp(score(b, c->sum, n->depth)));
    return run_settle(r);
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

static enum status advance(struct tokenbeam *b) {
    struct run *r = b->r;
    uint32_t n = 0, *old = b->beams;
    enum status s = propose(b);
    for (uint32_t i = 0; i < b->n_likely && n < b->p->width && !s && !r->stopped && run_room(r, 1); i++) {
        uint32_t node;
        if (!(s = put(b, &b->likely[i], &node)) && !(r->t->nodes[node].flags & NODE_TERMINAL)) b->next[n++] = node;
        run_look(r);
    }
    for (uint32_t i = 0; i < b->n; i++)
        if (old[i]) tree_drop(r->t, r->ev, old[i]);
    b->beams = b->next, b->next = old, b->n = n;
    return s;
}

static enum status tokenbeam_run(struct run *r, const void *params) {
    struct tokenbeam b = {.r = r, .p = params, .n = 1};
    size_t width = b.p->width;
    r->score = SCORE_NONE;
    b.beams = mem_new(width, sizeof *b.beams), b.next = mem_new(width, sizeof *b.next);
    b.asked = mem_new(width, sizeof *b.asked);
    b.likely = mem_new(2 * width + 1, sizeof *b.likely);
    b.tokens = mem_new(2 * width * width, sizeof *b.tokens),
    b.logprobs = mem_new(2 * width * width, sizeof *b.logprobs);
    enum status s = OK;
    if (!b.beams || !b.next || !b.asked || !b.likely || !b.tokens || !b.logprobs)
        s = error_set(r->e, ERR_MEMORY, "no memory for %u beams of tokens", b.p->width);
    while (!s && b.n && run_go(r) && may_improve(&b)) s = advance(&b);
    if (s == ERR_FULL) run_stop(r, WHY_KV_FULL), s = OK;
    if (s == ERR_CANCELLED) run_stop(r, WHY_CANCELLED), s = OK;
    mem_free(b.beams), mem_free(b.next), mem_free(b.asked), mem_free(b.likely), mem_free(b.tokens),
        mem_free(b.logprobs);
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
