/* refine.c: answers that are written again (Madaan et al. 2023; Snell et al. 2024): chains side by side, each revised some times with
 * a critique of the policy's, the checker's reason, or neither.  The best of all attempts is the answer, never simply the last.
 * Not a longer chain: a revision is a new text on another prompt, which shows the attempt.
 * Next: mcts.c, which can come back to a step it left. */
#include "search/search_internal.h"

struct refine_params {
    uint32_t rounds; /* revisions of each chain: N / (1 + rounds) chains side by side */
    bool critique;   /* the policy writes one first; needs its prompt */
    struct usual_params usual;
};

enum { ATTEMPTS = 8, CRITIQUE_TOKENS = 256 };

/* The revision of attempt u begins: its first step hangs on the prompt's node, since its text stands alone. */
static enum status begin_revision(struct run *r, const struct refine_params *p, uint32_t u) {
    struct asking a = {.ask = ASK_REVISE, .about = r->t->nodes[u].branch};
    struct question q = {{.ask = ASK_CRITIQUE, .about = a.about}, ~r->t->nodes[u].key, 0, CRITIQUE_TOKENS, NULL};
    enum status s = p->critique ? run_ask(r, &q, 1) : OK;
    if (s || r->stopped) return s;
    if (r->ev->check) a.note = r->ev->check(r->ev->self, a.about).reason;
    if (p->critique) a.note = q.reply;
    if ((s = run_begin(r, &a, 1))) return s;
    run_plan(r, 0, false);
    r->tries[r->n_tries - 1].branch = a.branch;
    return OK;
}

/* answers[u]: what the attempt answered that step u, the first of another one, is a revision of. */
static uint64_t answer_before(const struct run *r, const uint64_t *answers, uint32_t u) {
    while (r->t->nodes[u].parent) u = r->t->nodes[u].parent;
    return answers[u];
}

/* One round: every attempt that came to its end, and not to the answer of the one before it, is revised. */
static enum status revise(struct run *r, const struct refine_params *p, struct wave *w, uint64_t *answers) {
    enum status s = OK;
    for (uint32_t i = 0; i < w->n; i++) {
        const struct node *x = &r->t->nodes[w->tips[i]];
        bool again = (x->flags & NODE_FINISHED) && (!x->answer || x->answer != answer_before(r, answers, w->tips[i]));
        if (again && !s && !r->stopped && run_room(r, 1 + r->n_tries) > r->n_tries) {
            w->from[r->n_tries] = w->tips[i];
            s = run_soft(r, begin_revision(r, p, w->tips[i]));
        }
        tree_drop(r->t, r->ev, w->tips[i]);
    }
    enum status grown = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    for (uint32_t i = r->n_made; i < r->n_tries; i++) r->ev->drop(r->ev->self, &r->tries[i].branch);
    for (w->n = 0; w->n < r->n_made; w->n++) {
        w->tips[w->n] = r->tries[w->n].child;
        answers[w->tips[w->n]] = r->t->nodes[w->from[w->n]].answer;
    }
    if (!s) s = grown;
    return s ? s : run_settle(r);
}

static enum status refine_run(struct run *r, const void *params) {
    const struct refine_params *p = params;
    struct wave w = {0};
    uint64_t *answers = tree_column(r->t, "refine", sizeof *answers);
    enum status s = wave_open(r, &w, &p->usual, ATTEMPTS, 1);
    uint64_t left = run_width(r, ATTEMPTS) / (1 + p->rounds);
    r->keep_finished = true;
    if (r->score == SCORE_ALL) r->score = SCORE_FINISHED;
    if (!s && !answers) s = error_set(r->e, ERR_MEMORY, "no memory for the answers of %u nodes", r->t->cap);
    for (left += !left; !s && wave_begin(r, &w, &left);) {
        s = wave_finish(r, &w);
        for (uint32_t round = 0; round < p->rounds && w.n && !s && run_go(r); round++)
            if (!(s = revise(r, p, &w, answers)) && !r->stopped) s = wave_finish(r, &w);
    }
    for (uint32_t u = 1; u < r->t->n; u++)
        if (r->t->nodes[u].flags & NODE_TERMINAL) tree_drop(r->t, r->ev, u);
    wave_close(&w);
    return s;
}

static unsigned refine_needs(const void *params) {
    return ((const struct refine_params *)params)->critique ? CAN_ASK << ASK_CRITIQUE : 0;
}

static struct search_room refine_room(const struct search_params *common, const void *params) {
    return wave_room(common, &((const struct refine_params *)params)->usual, ATTEMPTS);
}

/* clang-format off */
static const struct param refine_params[] = {
    {"rounds", "revisions of each chain; N / (1 + rounds) chains stand side by side", PARAM_COUNT, offsetof(struct refine_params, rounds), 0, 1024, NULL},
    {"critique", "the policy writes a critique before each revision", PARAM_YES, offsetof(struct refine_params, critique), 0, 0, NULL},
    USUAL_PARAMS(struct refine_params, usual),
    {0},
};
/* clang-format on */
static const struct refine_params defaults = {.rounds = 3, .usual = USUAL(PICK_MAJORITY)};

const struct strategy strategy_refine = {
    .name = "refine",
    .summary = "chains side by side, each revised some times; all attempts vote",
    .source = "Madaan et al. 2023, arXiv 2303.17651; Snell et al. 2024, arXiv 2408.03314",
    .unit = "attempts, revisions included",
    .needs = CAN_ASK << ASK_REVISE | CAN_ANSWER,
    .needs_too = refine_needs,
    .simulations = {8, 8},
    .params = refine_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = refine_room,
    .run = refine_run,
};
