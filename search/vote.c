/* vote.c: finished chains vote for their canonical answers; who leads, and when nobody can change that any more.
 * Not the choice among other ways to pick: pick.c.
 * Next: search/strategies/sample.c, which stops by it. */
#include <math.h>

#include "base/mem.h"
#include "search/search_internal.h"

/* exp of the mean log-probability of a chain's tokens, or of those of its least likely step. */
static double confidence(const struct tree *t, uint32_t u, bool lowest) {
    double sum = 0, tokens = 0, least = 0;
    for (; u; u = t->nodes[u].parent) {
        const struct node *n = &t->nodes[u];
        sum += n->logprob, tokens += n->n_tokens;
        if (n->n_tokens) least = fmin(least, n->logprob / n->n_tokens);
    }
    return exp(lowest ? least : tokens > 0 ? sum / tokens : 0);
}

static double weight_of(const struct tree *t, uint32_t u, enum pick how) {
    switch (how) {
    case PICK_WEIGHTED: return t->nodes[u].value > 0 ? (double)t->nodes[u].value : 0; /* NaN, too, says nothing */
    case PICK_CONFIDENT: return confidence(t, u, false);
    case PICK_LOWEST: return confidence(t, u, true);
    default: return 1;
    }
}

/* Leads before: more votes; of equal ones the better chain. */
static bool leads(const struct tree *t, const struct tally *a, const struct tally *b) {
    return a->votes != b->votes ? a->votes > b->votes : pick_better(t, a->node, b->node);
}

static void add_vote(const struct tree *t, struct tally *to, uint32_t *n, uint32_t u, double weight) {
    uint32_t g = 0;
    while (g < *n && to[g].answer != t->nodes[u].answer) g++;
    if (g == *n) to[(*n)++] = (struct tally){.answer = t->nodes[u].answer};
    to[g].votes += weight;
    to[g].chains += t->nodes[u].multiplicity;
    if (pick_better(t, u, to[g].node)) to[g].node = u;
}

/* In pre-order, so that sums of weights are added in one order whatever the batches were. */
uint32_t search_tally(const struct tree *t, enum pick how, struct tally *to) {
    uint32_t n = 0;
    for (uint32_t u = tree_next(t, 0); u; u = tree_next(t, u)) {
        const struct node *x = &t->nodes[u];
        if ((x->flags & NODE_FINISHED) && x->answer) add_vote(t, to, &n, u, weight_of(t, u, how) * x->multiplicity);
    }
    for (uint32_t i = 1; i < n; i++) { /* insertion: answers are few */
        struct tally x = to[i];
        uint32_t j = i;
        for (; j && leads(t, &x, &to[j - 1]); j--) to[j] = to[j - 1];
        to[j] = x;
    }
    return n;
}

/* A chain without an answer has no vote; when nobody has one the best chain stays the answer.  When no weight says anything
 * every chain has one vote. */
enum status vote_pick(const struct tree *t, struct search_result *res, struct error *e) {
    struct tally *tally = mem_new(res->n_finished, sizeof *tally);
    if (!tally) return error_set(e, ERR_MEMORY, "no memory to count %u votes", res->n_finished);
    uint32_t n = search_tally(t, res->pick, tally);
    if (n && !(tally[0].votes > 0)) n = search_tally(t, res->pick = PICK_MAJORITY, tally);
    double total = 0;
    for (uint32_t i = 0; i < n; i++) total += tally[i].votes;
    if (total > 0) res->node = tally[0].node, res->value = (float)(tally[0].votes / total);
    else res->pick = PICK_BEST;
    mem_free(tally);
    return OK;
}

/* P(the leader is the more frequent of two answers) after a and b votes, from a uniform prior: with p ~ Beta(a + 1, b + 1),
 * P(p > 1/2) = P(Binomial(a + b + 1, 1/2) <= a). */
double vote_certainty(double a, double b) {
    double n = a + b + 1, sum = 0;
    for (double k = 0; k <= a; k++) sum += exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2));
    return sum;
}

/* The least number of further votes, all for the leader, after which nothing that is left can change the answer. */
static uint64_t until_decided(double lead, uint64_t left) {
    if (lead > (double)left) return 0;
    uint64_t k = (uint64_t)(((double)left - lead) / 2) + 1;
    return k < left ? k : left;
}

static uint64_t until_certain(double a, double b, double level, uint64_t left) {
    uint64_t k = 0;
    while (k < left && vote_certainty(a + (double)k, b) < level) k++;
    return k;
}

/* At 2, 4, 8 ... chains: do three quarters of them agree? */
static uint64_t until_doubled(double a, uint64_t ended, uint64_t left) {
    uint64_t stage = 2;
    while (stage < ended) stage *= 2;
    if (stage == ended && a >= 0.75 * (double)ended) return 0;
    if (stage == ended) stage *= 2;
    return stage - ended < left ? stage - ended : left;
}

enum status vote_wanted(struct run *r, enum stop_when rule, double level, uint64_t ended, uint64_t left,
                        uint64_t *wanted) {
    *wanted = left;
    if (rule == STOP_NEVER || !left) return OK;
    struct tally *tally = mem_new(r->t->n, sizeof *tally);
    if (!tally) return error_set(r->e, ERR_MEMORY, "no memory to count %u votes", r->t->n);
    uint32_t n = search_tally(r->t, r->pick, tally);
    double a = n ? tally[0].votes : 0, b = n > 1 ? tally[1].votes : 0;
    if (rule == STOP_DECIDED) *wanted = until_decided(a - b, left);
    if (rule == STOP_BETA) *wanted = until_certain(n ? tally[0].chains : 0, n > 1 ? tally[1].chains : 0, level, left);
    if (rule == STOP_DOUBLING) *wanted = until_doubled(n ? tally[0].chains : 0, ended, left);
    mem_free(tally);
    return OK;
}
