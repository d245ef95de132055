/* tot.c: Tree of Thoughts (Yao et al. 2023): every state has k thoughts, which are judged; breadth first the best b
 * states of each level go on, depth first the best thought is followed and the search comes back when nothing promising
 * is left.
 * Not Monte-Carlo: no statistics, every state is expanded once.
 * Next: mcts.c, which comes back by statistics. */
#include "base/mem.h"
#include "base/rng.h"
#include "search/search_internal.h"

enum { SAMPLE, PROPOSE };
enum { CHOOSE_BEST, CHOOSE_DRAWN };
struct tot_params {
    uint32_t thoughts; /* k */
    uint32_t generate, choose;
    float threshold; /* depth first: worse thoughts are set aside */
    struct usual_params usual;
};

enum { THOUGHTS = 20 }; /* of a level, when nobody says it */

struct tot {
    struct run *r;
    const struct tot_params *p;
    struct wave w;
    struct likely likely;     /* the first tokens of proposed thoughts: k of each tip */
    uint32_t *stack, n_stack; /* [nodes] states to expand, the next one last */
    uint64_t draws;           /* random numbers used */
};

/* ---- thoughts ---- */

/* The likeliest first tokens of each open tip, tip by tip. */
static enum status ask(struct tot *t) {
    struct run *r = t->r;
    struct likely *l = &t->likely;
    uint32_t n = 0;
    enum status s;
    for (uint32_t i = 0; i < t->w.n; i++) {
        const struct node *x = &r->t->nodes[t->w.tips[i]];
        size_t at = (size_t)n * l->cap;
        if (x->flags & NODE_TERMINAL) continue;
        l->asked[n++] = (struct proposal){
            .branch = x->branch, .k = t->w.share[i], .tokens = l->tokens + at, .logprobs = l->logprobs + at};
    }
    do s = r->ev->propose(r->ev->self, l->asked, n, r->e);
    while (run_retry(r, s));
    l->n = n = 0;
    for (uint32_t i = 0; i < t->w.n && !s; i++) {
        if (r->t->nodes[t->w.tips[i]].flags & NODE_TERMINAL) continue;
        for (uint32_t j = 0; j < l->asked[n].n; j++)
            l->items[l->n++] = (struct continuation){
                .parent = t->w.tips[i], .token = l->asked[n].tokens[j], .logprob = l->asked[n].logprobs[j]};
        n++;
    }
    return run_soft(r, s);
}

/* Each of them is a node, which has not come to the end of its thought unless the token is one. */
static enum status begin_thoughts(struct tot *t) {
    struct run *r = t->r;
    uint32_t room = (r->t->cap - r->t->n) / 2, n = 0; /* a node for the end of each is kept */
    enum status s = OK;
    r->score = SCORE_FINISHED;
    for (uint32_t i = 0; i < t->likely.n && !s && run_go(r); i += n) {
        n = t->likely.n - i < room ? t->likely.n - i : room;
        if (n > r->cap) n = r->cap;
        if (!n) run_stop(r, WHY_NODES);
        likely_plan(r, &t->likely, i, n);
        s = run_grow(r);
        if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
        r->ev->ledger->generated_tokens += r->n_made, r->ev->ledger->simulations += r->n_made;
        if (!s) s = run_settle(r);
        room -= n;
    }
    r->score = SCORE_ALL;
    return s;
}

/* What has been begun since node `first` is ended by the likeliest tokens; then it is judged. */
static enum status end_thoughts(struct tot *t, uint32_t first) {
    struct run *r = t->r;
    enum status s = OK;
    for (uint32_t u = first, end = r->t->n; u < end && !s && run_go(r);) {
        uint32_t room = run_room(r, r->cap);
        for (; u < end && r->n_tries < room; u++) {
            if (!(r->t->nodes[u].flags & NODE_PART)) continue;
            run_plan(r, u, true);
            r->tries[r->n_tries - 1].temperature = 0;
        }
        s = run_grow(r);
        if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
        if (!s) s = run_settle(r);
    }
    return s;
}

/* The likeliest first tokens of each state each begin a thought, which goes on by the likeliest tokens: k thoughts that
 * differ, as those of a list that a large model is asked for. */
static enum status propose(struct tot *t) {
    struct wave *w = &t->w;
    const struct node *nodes = t->r->t->nodes;
    uint32_t first = t->r->t->n;
    enum status s = ask(t);
    w->n_next = 0;
    if (!s) s = begin_thoughts(t);
    if (!s) s = end_thoughts(t, first);
    for (uint32_t i = 0; i < w->n && !s; i++) {
        if (nodes[w->tips[i]].flags & NODE_TERMINAL) w->next[w->n_next++] = w->tips[i];
        else tree_drop(t->r->t, t->r->ev, w->tips[i]);
        for (uint32_t c = nodes[w->tips[i]].first_child; c; c = nodes[c].next_sibling) {
            uint32_t u = nodes[c].flags & NODE_PART ? nodes[c].first_child : c;
            if (c >= first && u && !(nodes[u].flags & (NODE_TRUNCATED | NODE_DEAD))) w->next[w->n_next++] = u;
        }
    }
    return s;
}

/* share[i] thoughts of each tip, into next. */
static enum status think(struct tot *t) { return t->p->generate == PROPOSE ? propose(t) : wave_grow(t->r, &t->w); }

/* ---- breadth first ---- */

/* Which of the thoughts left is next: the best, or one drawn in proportion to their values. */
static uint32_t choose(struct tot *t) {
    const struct node *nodes = t->r->t->nodes;
    const struct wave *w = &t->w;
    double sum = 0;
    if (t->p->choose == CHOOSE_BEST) return 0;
    for (uint32_t j = 0; j < w->n_next; j++) sum += (double)nodes[w->next[j]].value;
    double at = sum * rng_uniform(rng_fold(~t->r->common->seed, 0), t->draws++);
    uint32_t j = 0;
    while (j + 1 < w->n_next && (at -= (double)nodes[w->next[j]].value) >= 0) j++;
    return j;
}

/* b states with different futures go on, the others are given up. */
static void keep_some(struct tot *t, uint32_t b) {
    struct wave *w = &t->w;
    wave_sort(t->r, w);
    for (w->n = 0; w->n_next;) {
        uint32_t j = w->n < b ? choose(t) : 0, u = w->next[j];
        for (w->n_next--; j < w->n_next; j++) w->next[j] = w->next[j + 1];
        if (w->n < b && !wave_is_double(t->r, w, u)) w->tips[w->n++] = u;
        else wave_prune(t->r, u);
    }
}

static enum status breadth_first(struct tot *t) {
    struct run *r = t->r;
    struct wave *w = &t->w;
    uint32_t b = w->cap / t->p->thoughts;
    enum status s = OK;
    for (uint32_t depth = 0; !s && wave_is_open(r, w) && run_go(r); depth++) {
        uint32_t each = (uint32_t)run_round(r, w->cap, depth) / w->n;
        if (each > t->p->thoughts) each = t->p->thoughts;
        for (uint32_t i = 0; i < w->n; i++) w->share[i] = each ? each : 1;
        s = think(t);
        if (!s && !r->stopped) keep_some(t, b ? b : 1);
    }
    return s;
}

/* ---- depth first ---- */

/* Nothing promising is left: the best thought that was set aside.  False: there is none. */
static bool take_up(struct tot *t) {
    const struct node *nodes = t->r->t->nodes;
    uint32_t best = 0;
    for (uint32_t u = 1; u < t->r->t->n; u++) {
        if ((nodes[u].flags & (NODE_TERMINAL | NODE_PART)) || !nodes[u].branch || nodes[u].n_children) continue;
        if (!best || nodes[u].value > nodes[best].value) best = u;
    }
    if (best) t->stack[t->n_stack++] = best;
    return best;
}

static void push_promising(struct tot *t) {
    struct wave *w = &t->w;
    wave_sort(t->r, w);
    for (uint32_t j = w->n_next; j-- > 0;) {
        const struct node *x = &t->r->t->nodes[w->next[j]];
        if (!(x->flags & NODE_TERMINAL) && x->value >= t->p->threshold) t->stack[t->n_stack++] = w->next[j];
    }
}

static enum status depth_first(struct tot *t) {
    struct run *r = t->r;
    struct wave *w = &t->w;
    uint64_t left = r->simulations ? r->simulations : UINT64_MAX;
    enum status s = OK;
    t->stack[t->n_stack++] = 0;
    while (!s && left && run_go(r) && (t->n_stack || take_up(t))) {
        uint32_t u = t->stack[--t->n_stack];
        uint64_t n = run_round(r, t->p->thoughts, r->t->nodes[u].depth), before = r->ev->ledger->simulations;
        w->n = 1, w->tips[0] = u, w->share[0] = (uint32_t)(n < left ? n : left);
        s = think(t);
        left -= r->ev->ledger->simulations - before;
        if (!s && !r->stopped) push_promising(t);
    }
    if (!left) run_stop(r, WHY_SIMULATIONS);
    return s;
}

/* ---- rows ---- */

static enum status tot_run(struct run *r, const struct tot_params *p, enum status (*search)(struct tot *t)) {
    struct tot t = {.r = r, .p = p};
    enum status s = wave_open(r, &t.w, &p->usual, THOUGHTS, p->thoughts);
    size_t n = t.w.cap, k = p->thoughts;
    struct likely *l = &t.likely;
    l->cap = p->thoughts;
    l->asked = mem_new(n, sizeof *l->asked), l->items = mem_new(n * k, sizeof *l->items);
    l->tokens = mem_new(n * k, sizeof *l->tokens), l->logprobs = mem_new(n * k, sizeof *l->logprobs);
    t.stack = mem_new(r->t->cap, sizeof *t.stack);
    t.w.states = tree_column(r->t, "states", sizeof *t.w.states);
    if (!s && (!l->asked || !l->items || !l->tokens || !l->logprobs || !t.stack || !t.w.states))
        s = error_set(r->e, ERR_MEMORY, "no memory for %zu thoughts", n * k);
    r->merge = true;
    if (!s) s = search(&t);
    mem_free(t.stack);
    likely_close(l);
    wave_close(&t.w);
    return s;
}

static enum status bfs_run(struct run *r, const void *params) { return tot_run(r, params, breadth_first); }
static enum status dfs_run(struct run *r, const void *params) { return tot_run(r, params, depth_first); }

static unsigned tot_needs_too(const void *params) {
    return ((const struct tot_params *)params)->generate == PROPOSE ? CAN_PROPOSE | CAN_PUT : 0;
}

/* A thought is two nodes when it is proposed. */
static struct search_room bfs_room(const struct search_params *common, const void *params) {
    struct search_room room = wave_room(common, &((const struct tot_params *)params)->usual, THOUGHTS);
    room.nodes = 2 * room.nodes;
    return room;
}

static struct search_room dfs_room(const struct search_params *common, const void *params) {
    const struct tot_params *p = params;
    uint64_t n = common->budget.simulations;
    uint32_t nodes = n && n < 32000 ? (uint32_t)(2 * n + 2 * p->thoughts + 2) : 65536;
    return (struct search_room){nodes, nodes, p->thoughts < p->usual.batch ? p->thoughts : p->usual.batch};
}

/* clang-format off */
#define THOUGHT_PARAMS \
    {"thoughts", "k: thoughts of each state", PARAM_COUNT, offsetof(struct tot_params, thoughts), 1, 256, NULL}, \
    {"generate", "thoughts: drawn, or begun by the likeliest first tokens, which all differ", PARAM_CHOICE, offsetof(struct tot_params, generate), 0, 0, "sample|propose"}
static const struct param bfs_params[] = {
    THOUGHT_PARAMS,
    {"choose", "states that go on: the best, or drawn in proportion to their values", PARAM_CHOICE, offsetof(struct tot_params, choose), 0, 0, "best|drawn"},
    USUAL_PARAMS(struct tot_params, usual),
    {0},
};
static const struct param dfs_params[] = {
    THOUGHT_PARAMS,
    {"threshold", "thoughts of a smaller value are set aside until nothing else is left", PARAM_REAL, offsetof(struct tot_params, threshold), 0, 1, NULL},
    USUAL_PARAMS(struct tot_params, usual),
    {0},
};
/* clang-format on */
static const struct tot_params breadth = {.thoughts = 4, .usual = USUAL(PICK_BEST)};
static const struct tot_params depth = {.thoughts = 8, .threshold = 0.1f, .usual = {.batch = 64, .stop_value = 0.9f}};
static const struct tot_params depth_for_words = {.thoughts = 4, .threshold = 0.1f, .usual = USUAL(PICK_BEST)};

const struct strategy strategy_tot_bfs = {
    .name = "tot-bfs",
    .summary = "Tree of Thoughts, breadth first: N thoughts a level, k for each state that goes on",
    .source = "Yao et al. 2023, arXiv 2305.10601",
    .unit = "thoughts a level",
    .needs = CAN_VALUE,
    .needs_too = tot_needs_too,
    .simulations = {32, 8},
    .params = bfs_params,
    .defaults = &breadth,
    .size = sizeof breadth,
    .room = bfs_room,
    .run = bfs_run,
};

const struct strategy strategy_tot_dfs = {
    .name = "tot-dfs",
    .summary = "Tree of Thoughts, depth first: follows the best thought and comes back",
    .source = "Yao et al. 2023, arXiv 2305.10601",
    .unit = "thoughts",
    .needs = CAN_VALUE,
    .needs_too = tot_needs_too,
    .simulations = {64, 32},
    .params = dfs_params,
    .defaults = &depth,
    .defaults_for_words = &depth_for_words,
    .size = sizeof depth,
    .room = dfs_room,
    .run = dfs_run,
};
