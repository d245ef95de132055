/* refine.c: answers that are written again (Madaan et al. 2023; Snell et al. 2024): chains side by side, each revised some times with
 * a critique of the policy's, the checker's reason, or neither.  The best of all attempts is the answer, never simply the last.
 * Not a longer chain: a revision is a new text on another prompt, which shows the attempt.
 * Next: mcts.c, which can come back to a step it left. */
#include "base/mem.h"
#include "base/rng.h"
#include "search/search_internal.h"

struct refine_params {
    uint32_t rounds; /* revisions of each chain: N / (1 + rounds) chains side by side */
    bool critique;   /* the policy writes one first; needs its prompt */
    struct usual_params usual;
};

enum { ATTEMPTS = 8, CRITIQUE_TOKENS = 256 };

/* Attempts under way, all written to their ends in lockstep. */
static enum status write_out(struct run *r, uint32_t *tips, uint32_t n) {
    enum status s = OK;
    for (bool open = true; open && !s && run_go(r);) {
        open = false;
        for (uint32_t i = 0; i < n && run_room(r, 1 + r->n_tries) > r->n_tries; i++)
            if (!(r->t->nodes[tips[i]].flags & NODE_TERMINAL)) run_plan(r, tips[i], true), open = true;
        if (!open || (s = run_grow(r))) break;
        if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
        for (uint32_t k = 0, i = 0; k < r->n_made; k++) {
            while (tips[i] != r->tries[k].parent) i++;
            tips[i] = r->tries[k].child;
        }
        s = run_settle(r);
    }
    return s;
}

static enum status write_critique(struct run *r, uint32_t u, const char **note) {
    struct asking a = {.ask = ASK_CRITIQUE, .about = r->t->nodes[u].branch};
    struct step step = {.key = rng_fold(~r->t->nodes[u].key, 0), .temperature = r->temperature, .to_end = true};
    enum status s = r->ev->begin(r->ev->self, &a, 1, r->e);
    if (s) return s;
    step.branch = a.branch, step.max_tokens = CRITIQUE_TOKENS;
    s = r->ev->extend(r->ev->self, &step, 1, r->e);
    *note = step.text;
    r->ev->drop(r->ev->self, &a.branch);
    return s;
}

/* The revision of attempt *tip begins: its first step hangs on the prompt's node, since its text stands alone. */
static enum status begin_revision(struct run *r, const struct refine_params *p, uint32_t tip) {
    struct asking a = {.ask = ASK_REVISE, .about = r->t->nodes[tip].branch};
    enum status s = OK;
    if (r->ev->check) a.note = r->ev->check(r->ev->self, a.about).reason;
    if (p->critique) s = write_critique(r, tip, &a.note);
    if (!s) s = r->ev->begin(r->ev->self, &a, 1, r->e);
    if (s) return s;
    run_plan(r, 0, false);
    r->tries[r->n_tries - 1].branch = a.branch;
    return OK;
}

/* One round: every attempt that came to its end, and not to the answer of the one before it, is revised. */
static enum status revise(struct run *r, const struct refine_params *p, uint32_t *tips, uint64_t *answers,
                          uint32_t *n) {
    uint32_t n_old = *n;
    enum status s = OK;
    *n = 0;
    for (uint32_t i = 0; i < n_old; i++) {
        struct node *x = &r->t->nodes[tips[i]];
        bool again = (x->flags & NODE_FINISHED) && (x->answer != answers[i] || !x->answer) && !s &&
                     run_room(r, 1 + r->n_tries) > r->n_tries;
        if (again && !(s = begin_revision(r, p, tips[i]))) answers[(*n)++] = x->answer;
        tree_drop(r->t, r->ev, tips[i]);
    }
    if (s == ERR_FULL || s == ERR_CANCELLED) run_stop(r, s == ERR_FULL ? WHY_KV_FULL : WHY_CANCELLED), s = OK;
    enum status grown = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    for (uint32_t i = r->n_made; i < r->n_tries; i++) r->ev->drop(r->ev->self, &r->tries[i].branch);
    for (uint32_t i = 0; i < r->n_made; i++) tips[i] = r->tries[i].child;
    *n = r->n_made;
    if (!s) s = grown;
    return s ? s : run_settle(r);
}

static enum status refine_run(struct run *r, const void *params) {
    const struct refine_params *p = params;
    uint64_t wide = run_width(r, ATTEMPTS) / (1 + p->rounds);
    uint32_t n = wide < 1 ? 1 : wide < r->cap ? (uint32_t)wide : r->cap, all = n;
    uint32_t *tips = mem_new(n, sizeof *tips);
    uint64_t *answers = mem_new(n, sizeof *answers); /* of the attempt before */
    r->pick = p->usual.pick, r->stop_value = p->usual.stop_value, r->keep_finished = true;
    if (r->score == SCORE_ALL) r->score = SCORE_FINISHED;
    enum status s = tips && answers ? OK : error_set(r->e, ERR_MEMORY, "no memory for %u attempts", n);
    const char *lack = p->critique ? evaluator_lacks(r->ev, CAN_ASK << ASK_CRITIQUE) : NULL;
    if (lack) s = error_set(r->e, ERR_INPUT, "--critique yes needs %s", lack);
    if (!s) s = write_out(r, tips, n);
    for (uint32_t round = 0; round < p->rounds && n && !s && run_go(r); round++) {
        if (!(s = revise(r, p, tips, answers, &n)) && !r->stopped) s = write_out(r, tips, n);
    }
    for (uint32_t u = 1; u < r->t->n; u++)
        if (r->t->nodes[u].flags & NODE_TERMINAL) tree_drop(r->t, r->ev, u);
    r->ev->ledger->simulations += all;
    mem_free(tips), mem_free(answers);
    return s;
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
    .simulations = {8, 8},
    .params = refine_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = refine_room,
    .run = refine_run,
};
