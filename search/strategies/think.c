/* think.c: chains with a thinking budget (Muennighoff et al. 2025, s1): where it is spent the answer is forced; a chain that ends too
 * early has its end taken back and goes on with "Wait".  The chains vote.
 * Not truncation, which leaves no answer at all.
 * Next: refine.c, which begins again instead. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "search/search_internal.h"

struct think_params {
    uint32_t effort, tokens; /* the budget: of that level, unless a number is given */
    uint32_t least, waits;   /* a chain of fewer tokens goes on, so many times at most */
    uint32_t answer;         /* most tokens behind the forced words */
    uint32_t close;
    struct usual_params usual;
};

enum { CHAINS = 8 };
static const uint32_t budgets[] = {0, 64, 256, 1024, UINT32_MAX}; /* none, low, medium, high, max */
static const char *const closes[] = {"\n\nFinal answer: \\boxed{", "\n\nThe final answer is ", "\n</think>\n\n"};
static const char tag[] = "</think>", wait_text[] = "\n\nWait,"; /* s1's word */

/* What is known of a chain at its newest node. */
struct thought {
    uint32_t spent, waits; /* tokens of the thought, or of the answer */
    bool answers;
};
struct think {
    struct run *r;
    const struct think_params *p;
    struct thought *of; /* [nodes] the tree's column */
    struct wave w;
    char **texts; /* [cap] given ones under way */
    uint32_t budget;
    uint64_t n_forced, n_waits;
};

static bool is_due(const struct think *x, uint32_t u) { return !x->of[u].answers && x->of[u].spent >= x->budget; }

/* Tokens that the chain may still write before something is done about it; 0: as many as it wants. */
static uint32_t rest_of(const struct think *x, uint32_t u) {
    if (x->of[u].answers) return x->p->answer - x->of[u].spent;
    return x->budget == UINT32_MAX ? 0 : x->budget - x->of[u].spent;
}

/* One try for each open tip whose turn it is: to be closed, or to write. */
static void plan(struct think *x, bool close) {
    struct run *r = x->r;
    for (uint32_t i = 0; i < x->w.n && run_room(r, 1 + (uint64_t)r->n_tries) > r->n_tries; i++) {
        uint32_t u = x->w.tips[i];
        if ((r->t->nodes[u].flags & NODE_TERMINAL) || is_due(x, u) != close) continue;
        run_plan(r, u, !x->p->waits);
        struct try *try = &r->tries[r->n_tries - 1];
        try->slot = i;
        if (close) try->given = (struct put){.text = closes[x->p->close], .special = true};
        else try->max_tokens = rest_of(x, u);
    }
}

/* The node u follows its parent; true: it ended too early, and is to be taken back. */
static bool note_thought(struct think *x, uint32_t u, bool close) {
    struct node *n = &x->r->t->nodes[u];
    const struct thought *before = &x->of[n->parent];
    struct thought *now = &x->of[u];
    bool ends = !before->answers && !close && ((n->flags & NODE_FINISHED) || strstr(n->text, tag));
    *now = *before;
    now->spent = close ? 0 : before->spent + n->n_tokens;
    if (ends && now->spent < x->p->least && before->waits < x->p->waits) return true;
    if (close || ends) now->answers = true, now->spent = 0;
    else if (now->answers && now->spent >= x->p->answer && !(n->flags & NODE_FINISHED)) n->flags |= NODE_TRUNCATED;
    return false;
}

/* The text of the step that ended the thought, without the end, and "Wait"; for mem_free. */
static char *taken_back(const struct node *n) {
    const char *end = strstr(n->text, tag);
    size_t size = end ? (size_t)(end - n->text) : strlen(n->text);
    char *text = mem_new(size + sizeof wait_text, 1);
    if (text) memcpy(text, n->text, size), strcpy(text + size, wait_text);
    return text;
}

/* Makes the batch; the chains that ended too early become texts on their parents, the next batch. */
static enum status make(struct think *x, bool close, uint32_t *n_early) {
    struct run *r = x->r;
    uint32_t *early = x->w.next, *slots = x->w.from;
    *n_early = 0;
    enum status s = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    for (uint32_t i = 0; i < r->n_made && !s; i++) {
        uint32_t u = r->tries[i].child, slot = r->tries[i].slot;
        if (note_thought(x, u, close)) {
            struct node *n = &r->t->nodes[u];
            if (n->flags & NODE_FINISHED) n->flags ^= NODE_FINISHED | NODE_TRUNCATED;
            early[*n_early] = u, slots[(*n_early)++] = slot;
            continue;
        }
        x->n_forced += close;
        x->w.tips[slot] = u;
        if (x->p->waits && !r->on.keep) tree_drop(r->t, r->ev, r->t->nodes[u].parent);
    }
    return s ? s : run_settle(r);
}

static enum status wait_for(struct think *x, uint32_t n_early) {
    struct run *r = x->r;
    const uint32_t *early = x->w.next, *slots = x->w.from;
    enum status s = OK;
    uint32_t n = run_go(r) ? run_room(r, n_early) : 0;
    for (uint32_t i = 0; i < n && !s; i++) {
        const struct node *c = &r->t->nodes[early[i]];
        if (!(x->texts[i] = taken_back(c))) s = error_set(r->e, ERR_MEMORY, "no memory for a step");
        run_plan(r, c->parent, true);
        r->tries[i].slot = slots[i], r->tries[i].given = (struct put){.text = x->texts[i]};
    }
    if (!s) s = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    for (uint32_t i = 0; i < r->n_made && !s; i++) {
        uint32_t u = r->tries[i].child, c = early[i];
        x->of[u] = (struct thought){.spent = x->of[c].spent, .waits = x->of[c].waits + 1};
        x->w.tips[slots[i]] = u, x->n_waits++;
        if (!(r->t->nodes[c].flags & NODE_TERMINAL)) wave_prune(r, c);
    }
    for (uint32_t i = 0; i < n; i++) mem_free(x->texts[i]), x->texts[i] = NULL;
    return s ? s : run_settle(r);
}

static enum status think_on(struct think *x) {
    struct run *r = x->r;
    enum status s = OK;
    while (!s && wave_is_open(r, &x->w))
        for (int close = 1; close >= 0 && !s; close--) {
            uint32_t n_early = 0;
            if (!run_go(r)) return s;
            plan(x, close);
            if (r->n_tries) s = make(x, close, &n_early);
            if (n_early && !s) s = wait_for(x, n_early);
        }
    return s;
}

static enum status think_run(struct run *r, const void *params) {
    struct think x = {.r = r, .p = params, .of = tree_column(r->t, "think", sizeof *x.of)};
    r->score = SCORE_NONE;
    enum status s = wave_open(r, &x.w, &x.p->usual, CHAINS, 1);
    x.budget = x.p->tokens ? x.p->tokens : budgets[x.p->effort];
    x.texts = mem_new(r->cap, sizeof *x.texts);
    if (!s && (!x.of || !x.texts)) s = error_set(r->e, ERR_MEMORY, "no memory for %u thoughts", r->cap);
    for (uint64_t left = x.w.cap; !s && wave_begin(r, &x.w, &left);) s = think_on(&x);
    run_note(r, "forced", (double)x.n_forced);
    run_note(r, "waits", (double)x.n_waits);
    mem_free(x.texts);
    wave_close(&x.w);
    return s;
}

static struct search_room think_room(const struct search_params *common, const void *params) {
    const struct think_params *p = params;
    struct search_params more = *common;
    more.max_depth += 2 + p->waits; /* parts of steps, and given ones */
    return wave_room(&more, &p->usual, CHAINS);
}

/* clang-format off */
static const struct param think_params[] = {
    {"effort", "thinking budget of a chain: 0, 64, 256, 1024 tokens or any number", PARAM_CHOICE, offsetof(struct think_params, effort), 0, 0, "none|low|medium|high|max"},
    {"think-tokens", "the budget in tokens, instead of --effort; 0 = that", PARAM_COUNT, offsetof(struct think_params, tokens), 0, 1 << 24, NULL},
    {"least-tokens", "a chain that ends before goes on with \"Wait\"", PARAM_COUNT, offsetof(struct think_params, least), 0, 1 << 24, NULL},
    {"waits", "so many times at most", PARAM_COUNT, offsetof(struct think_params, waits), 0, 1024, NULL},
    {"answer-tokens", "most tokens of an answer that is forced", PARAM_COUNT, offsetof(struct think_params, answer), 1, 65536, NULL},
    {"close", "what forces it: \"Final answer: \\boxed{\", \"The final answer is\", or the tag </think>", PARAM_CHOICE, offsetof(struct think_params, close), 0, 0, "boxed|words|tag"},
    USUAL_BATCH(struct think_params, usual),
    {0},
};
/* clang-format on */
static const struct think_params defaults = {.effort = 2, .answer = 64, .usual = USUAL(PICK_MAJORITY)};

const struct strategy strategy_think = {
    .name = "think",
    .summary = "chains with a thinking budget: the answer is forced at its end, \"Wait\" before it; they vote",
    .source = "Muennighoff et al. 2025, arXiv 2501.19393 (s1)",
    .unit = "chains",
    .needs = CAN_ANSWER | CAN_PUT,
    .simulations = {8, 8},
    .params = think_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = think_room,
    .run = think_run,
};
