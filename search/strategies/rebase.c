/* rebase.c: reward balanced search (Wu et al. 2024): every round has as many steps as chains are wanted; those that are open share them
 * by softmax(value / T), those that are complete take their place out of it.
 * Not a cut: a weak chain loses its places little by little.
 * Next: mcts.c, which can come back to a step it left. */
#include <math.h>

#include "search/search_internal.h"

struct rebase_params {
    float balance; /* T: 0 is greedy, large is even */
    struct usual_params usual;
};

enum { CHAINS = 16 };

/* exp(value / T), scaled so that the largest is 1. */
static double weight(const struct run *r, const struct wave *w, uint32_t i, float t, float best) {
    float value = r->t->nodes[w->tips[i]].value;
    return t > 0 ? exp((value - best) / (double)t) : value == best;
}

/* The tip with the largest rest of its quota that has not had one yet; of equal ones the first. */
static uint32_t largest_rest(const struct run *r, const struct wave *w, float t, float best, double scale) {
    uint32_t at = 0;
    double largest = -1;
    for (uint32_t i = 0; i < w->n; i++) {
        double rest = weight(r, w, i, t, best) * scale - w->share[i];
        if (rest > largest) largest = rest, at = i;
    }
    return at;
}

/* n places by largest remainder: the whole parts of the quotas, then one each for the largest rests. */
static void balance(const struct run *r, struct wave *w, uint32_t n, float t) {
    float best = 0;
    double sum = 0;
    uint32_t given = 0;
    for (uint32_t i = 0; i < w->n; i++) best = fmaxf(best, r->t->nodes[w->tips[i]].value);
    for (uint32_t i = 0; i < w->n; i++) sum += weight(r, w, i, t, best);
    for (uint32_t i = 0; i < w->n; i++) given += w->share[i] = (uint32_t)(weight(r, w, i, t, best) * n / sum);
    for (; given < n; given++) w->share[largest_rest(r, w, t, best, n / sum)]++;
}

/* Open steps are the next tips; returns how many chains came to their end. */
static uint32_t take_open(const struct run *r, struct wave *w) {
    w->n = 0;
    for (uint32_t j = 0; j < w->n_next; j++)
        if (!(r->t->nodes[w->next[j]].flags & NODE_TERMINAL)) w->tips[w->n++] = w->next[j];
    return w->n_next - w->n;
}

static struct search_room rebase_room(const struct search_params *common, const void *params) {
    return wave_room(common, &((const struct rebase_params *)params)->usual, CHAINS);
}

static enum status rebase_run(struct run *r, const void *params) {
    const struct rebase_params *p = params;
    struct wave w = {0};
    enum status s = wave_open(r, &w, &p->usual, CHAINS, 1);
    uint32_t places = w.cap;
    for (uint32_t depth = 0; !s && places && w.n && run_go(r); depth++) {
        balance(r, &w, (uint32_t)run_round(r, places, depth), p->balance);
        if ((s = wave_grow(r, &w)) || r->stopped) break;
        places -= take_open(r, &w);
    }
    wave_close(&w);
    return s;
}

/* clang-format off */
static const struct param rebase_params[] = {
    {"balance", "temperature of softmax(value / T): 0 = all for the best, large = equal parts", PARAM_REAL, offsetof(struct rebase_params, balance), 0, 1e6, NULL},
    USUAL_PARAMS(struct rebase_params, usual),
    {0},
};
/* clang-format on */
static const struct rebase_params defaults = {.balance = 0.2f, .usual = USUAL(PICK_WEIGHTED)};

const struct strategy strategy_rebase = {
    .name = "rebase",
    .summary = "reward balanced search: steps of a round are shared by softmax of values",
    .source = "Wu et al. 2024, arXiv 2408.00724",
    .unit = "chains",
    .needs = CAN_VALUE,
    .simulations = {16, 8},
    .params = rebase_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = rebase_room,
    .run = rebase_run,
};
