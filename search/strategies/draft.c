/* draft.c: steps are written by a small draft model and kept where a judge, or the policy's own likelihood, accepts
 * them; the policy writes the others (Liao et al. 2025, reward-guided speculative decoding).
 * Not speculative decoding of tokens, which changes no text: here the chain is another one.
 * Next: refine.c, the other way to use a first try. */
#include <math.h>
#include <string.h>

#include "search/search_internal.h"

enum accept { ACCEPT_VALUE, ACCEPT_LIKELIHOOD };
struct draft_params {
    uint32_t accept;
    float
        level; /* a step is kept from here on: its value over that of the chain before it, or the mean probability of its
                    tokens under the policy */
    struct usual_params usual;
};

enum { CHAINS = 8 };

/* Values are of chains: what the step has left of the value before it counts, so that a chain that was lost before is
 * not written twice. */
static bool is_accepted(const struct run *r, const struct draft_params *p, uint32_t u) {
    const struct node *x = &r->t->nodes[u];
    if (p->accept == ACCEPT_LIKELIHOOD) return exp((double)x->logprob / x->n_tokens) >= (double)p->level;
    return x->value >= p->level * (x->parent ? r->t->nodes[x->parent].value : 1);
}

/* The draft model's step below each open tip.  Kept ones become the tips; the others leave share 1, for the policy. */
static enum status draft(struct run *r, struct wave *w, const struct draft_params *p, uint64_t *kept) {
    r->draft = true;
    for (uint32_t i = 0; i < w->n; i++) w->share[i] = 1;
    enum status s = wave_grow(r, w);
    r->draft = false;
    for (uint32_t j = 0; j < w->n_next && !s; j++) {
        uint32_t u = w->next[j], slot = w->from[j], parent = w->tips[slot];
        if (u == parent) continue; /* complete before */
        if (!is_accepted(r, p, u)) {
            if (!(r->t->nodes[u].flags & NODE_TERMINAL)) wave_prune(r, u); /* a complete chain stays an answer */
            continue;
        }
        ++*kept;
        if (parent && !r->on.keep) tree_drop(r->t, r->ev, parent);
        w->tips[slot] = u, w->share[slot] = 0;
    }
    return s;
}

static enum status draft_run(struct run *r, const void *params) {
    const struct draft_params *p = params;
    struct wave w = {0};
    uint64_t kept = 0, n_steps = 0;
    r->rate = p->accept == ACCEPT_LIKELIHOOD;
    if (r->rate && r->score == SCORE_ALL) r->score = SCORE_FINISHED;
    enum status s = wave_open(r, &w, &p->usual, CHAINS, 1);
    w.n = w.cap, w.hold = true; /* all at the prompt: tips are 0 */
    while (!s && wave_is_open(r, &w) && run_go(r)) {
        if ((s = draft(r, &w, p, &kept)) || r->stopped) break;
        s = wave_grow(r, &w);
        memcpy(w.tips, w.next, (w.n = w.n_next) * sizeof *w.tips);
    }
    for (uint32_t u = r->first; u < r->t->n; u++) n_steps += !(r->t->nodes[u].flags & NODE_DRAFTED);
    run_note(r, "draft_steps", (double)kept);
    run_note(r, "policy_steps", (double)n_steps);
    wave_close(&w);
    return s;
}

static unsigned draft_needs(const void *params) {
    return ((const struct draft_params *)params)->accept == ACCEPT_VALUE ? CAN_VALUE : 0;
}

static struct search_room draft_room(const struct search_params *common, const void *params) {
    struct search_room room = wave_room(common, &((const struct draft_params *)params)->usual, CHAINS);
    room.nodes = room.nodes < 32768 ? 2 * room.nodes : 65536; /* a step may be written twice */
    return room;
}

/* clang-format off */
static const struct param draft_params[] = {
    {"accept", "what accepts a drafted step: the share of the chain's value that it leaves, or its likelihood under the policy", PARAM_CHOICE, offsetof(struct draft_params, accept), 0, 0, "value|likelihood"},
    {"accept-from", "the least share, or mean probability of its tokens, of a drafted step that is kept", PARAM_REAL, offsetof(struct draft_params, level), 0, 1e6, NULL},
    USUAL_PARAMS(struct draft_params, usual),
    {0},
};
/* clang-format on */
static const struct draft_params defaults = {.level = 0.5f, .usual = USUAL(PICK_BEST)};

const struct strategy strategy_draft = {
    .name = "draft",
    .summary = "chains whose steps a draft model writes, and the policy where they are not accepted",
    .source = "Liao et al. 2025, arXiv 2501.19324",
    .unit = "chains",
    .needs = CAN_DRAFT,
    .needs_too = draft_needs,
    .simulations = {16, 8},
    .params = draft_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = draft_room,
    .run = draft_run,
};
