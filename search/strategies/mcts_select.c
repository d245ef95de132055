/* mcts_select.c: which child a visit goes on with: PUCT (Rosin 2011; Silver et al. 2017), UCB1 (Auer et al. 2002;
 * Kocsis and Szepesvari 2006), Gumbel with sequential halving (Danihelka et al. 2022), or the step whose next one is
 * worth most; and when a node has a new child (Couetoux et al. 2011).
 * Not the loop: mcts.c.
 * Next: search/trace.c, which writes the events down. */
#include <math.h>

#include "base/rng.h"
#include "search/strategies/mcts.h"

double mcts_value(const struct mcts *m, uint32_t u) {
    const struct visits *v = &m->v[u];
    if (m->p->backup == BACKUP_MAX) return v->best;
    if (m->p->backup == BACKUP_SOFTMAX && v->n) return m->x[u].weighted / m->x[u].weight;
    return node_mean(m->r->t, u);
}

/* ---- best ---- */

static const double FIRST = 0.5; /* value of the prompt, which nobody judges */
static const double DOUBT = 0.1; /* of what values say, where they say that nothing is left */

/* What the next new step below u is worth.  A value is the mean of the values of its steps, so what the steps drawn
 * so far leave of it is the mean of the others: (v - sum of p v of the steps) / (1 - sum of p).  Negative: it can
 * have none now. */
static double hope(const struct mcts *m, uint32_t u) {
    const struct node *nodes = m->r->t->nodes;
    double value = u ? (double)nodes[u].value : FIRST, left = 1, rest = value;
    if (m->x[u].closed || m->x[u].spent || m->x[u].under_way) return -1;
    for (uint32_t c = nodes[u].first_child; c; c = nodes[c].next_sibling) {
        double p = exp(nodes[c].logprob);
        left -= p, rest -= p * (double)nodes[c].value;
    }
    left = fmax(left, 1e-3);
    return fmin(1, fmax(rest / left, DOUBT * value * left));
}

void mcts_refresh(struct mcts *m, uint32_t u) {
    const struct node *nodes = m->r->t->nodes;
    if (m->p->select != SELECT_BEST) return;
    for (;; u = nodes[u].parent) {
        m->x[u].top = hope(m, u);
        for (uint32_t c = nodes[u].first_child; c; c = nodes[c].next_sibling)
            m->x[u].top = fmax(m->x[u].top, m->x[c].closed ? -1 : m->x[c].top);
        if (!u) return;
    }
}

/* ---- widening ---- */

/* tries < c * max(1, visits)^alpha.  Tries, not children: a policy with few ideas must not be asked for ever. */
bool mcts_may_widen(const struct mcts *m, uint32_t u) {
    const struct mcts_params *p = m->p;
    if (m->x[u].spent) return false;
    if (p->select == SELECT_BEST) return m->x[u].top >= 0 && hope(m, u) == m->x[u].top;
    if (p->select == SELECT_GUMBEL && u == m->root) return m->r->t->nodes[u].tries < p->considered;
    double c = p->widen_c * (p->anneal > 0 ? pow(m->left, p->anneal) : 1);
    return m->r->t->nodes[u].tries < c * pow(fmax(1, visits_now(&m->v[u])), p->widen_alpha);
}

/* Visits of all children, those under way included. */
static double visits_below(const struct mcts *m, uint32_t u) {
    return (double)visits_now(&m->v[u]) - m->r->t->nodes[u].multiplicity;
}

static double explore(const struct mcts *m) {
    return m->p->explore * (m->p->anneal > 0 ? pow(m->left, m->p->anneal) : 1);
}

/* Q + c P sqrt(max(1, visits of all children)) / (1 + visits).  P is what the policy thinks of the step: its share
 * of the tries; without replacement, its own probability. */
static double puct(const struct mcts *m, uint32_t u, uint32_t c) {
    const struct node *n = &m->r->t->nodes[c];
    double all = explore(m) * sqrt(fmax(1, visits_below(m, u)));
    double mine = m->p->again ? all / m->r->t->nodes[u].tries * n->multiplicity : all * exp(n->logprob);
    return mcts_value(m, c) + mine / (1 + visits_now(&m->v[c]));
}

/* Q + c sqrt(ln(visits of all children) / visits) */
static double ucb1(const struct mcts *m, uint32_t u, uint32_t c) {
    return mcts_value(m, c) + explore(m) * sqrt(log(fmax(1, visits_below(m, u))) / fmax(1, visits_now(&m->v[c])));
}

/* ---- gumbel ---- */

/* Of the children of a node that can be gone on from. */
struct policy {
    double most;     /* visits of the one that has most, closed ones included */
    double max, sum; /* softmax of improved() */
};

/* log P + (c_visit + most) c_scale Q.  Every child has been visited, so every Q is complete. */
static double improved(const struct mcts *m, double most, uint32_t c) {
    const struct node *n = &m->r->t->nodes[c];
    double log_p = m->p->again ? log((double)n->multiplicity / m->r->t->nodes[n->parent].tries) : n->logprob;
    return log_p + ((double)m->p->c_visit + most) * (double)m->p->c_scale * mcts_value(m, c);
}

static struct policy policy_of(const struct mcts *m, uint32_t u) {
    const struct node *nodes = m->r->t->nodes;
    struct policy p = {.max = -INFINITY};
    for (uint32_t c = nodes[u].first_child; c; c = nodes[c].next_sibling) p.most = fmax(p.most, m->v[c].n);
    for (uint32_t c = nodes[u].first_child; c; c = nodes[c].next_sibling)
        if (!m->x[c].closed) p.max = fmax(p.max, improved(m, p.most, c));
    for (uint32_t c = nodes[u].first_child; c; c = nodes[c].next_sibling)
        if (!m->x[c].closed) p.sum += exp(improved(m, p.most, c) - p.max);
    return p;
}

/* Below the root: visits follow the improved policy, the child that lacks most of its share is next. */
static double lacking(const struct mcts *m, const struct policy *p, uint32_t u, uint32_t c) {
    double share = exp(improved(m, p->most, c) - p->max) / p->sum;
    return share - visits_now(&m->v[c]) / (1 + visits_below(m, u));
}

static double noisy(const struct mcts *m, const struct policy *p, uint32_t c) {
    double u = fmax(rng_uniform(rng_fold(~m->r->t->nodes[c].key, 0), 0), 1e-12);
    return improved(m, p->most, c) - (double)m->p->noise * log(-log(u));
}

/* At the root: the steps that are left have equally many visits; of equal ones the best is next. */
static double in_turn(const struct mcts *m, const struct policy *p, uint32_t c) {
    return m->x[c].out ? -INFINITY : noisy(m, p, c) - visits_now(&m->v[c]) * 1e6;
}

static uint32_t open_steps(const struct mcts *m) {
    uint32_t n = 0;
    for (uint32_t c = m->r->t->nodes[m->root].first_child; c; c = m->r->t->nodes[c].next_sibling)
        n += !m->x[c].closed && !m->x[c].out;
    return n;
}

/* The worst step of the root that is left goes. */
static void drop_worst(struct mcts *m) {
    uint32_t worst = 0;
    struct policy p = policy_of(m, m->root);
    for (uint32_t c = m->r->t->nodes[m->root].first_child; c; c = m->r->t->nodes[c].next_sibling)
        if (!m->x[c].closed && !m->x[c].out && (!worst || noisy(m, &p, c) < noisy(m, &p, worst))) worst = c;
    m->x[worst].out = true;
}

void mcts_halve(struct mcts *m, uint64_t total) {
    if (m->p->select != SELECT_GUMBEL || mcts_may_widen(m, m->root) || m->turn) return;
    uint32_t n = open_steps(m), rounds = 1;
    for (uint32_t keep = (n + 1) / 2; m->began && n > keep; n--) drop_worst(m);
    if (!m->began) m->began = n ? n : 1;
    while (1u << rounds < m->began) rounds++;
    uint64_t each = n ? total / ((uint64_t)rounds * n) : 0, turn = (each ? each : 1) * n;
    m->turn = turn < 1 ? 1 : turn < UINT32_MAX ? (uint32_t)turn : UINT32_MAX;
}

/* ---- selection ---- */

static double score(const struct mcts *m, const struct policy *p, uint32_t u, uint32_t c) {
    switch ((enum selection)m->p->select) {
    case SELECT_PUCT: return puct(m, u, c);
    case SELECT_UCB1: return ucb1(m, u, c);
    case SELECT_BEST: return m->x[c].top;
    case SELECT_GUMBEL: return u == m->root ? in_turn(m, p, c) : lacking(m, p, u, c);
    }
    return 0;
}

/* Of equal children the first. */
uint32_t mcts_select(struct mcts *m, uint32_t u) {
    uint32_t best = 0;
    double best_score = 0;
    struct policy p = {0};
    if (m->p->select == SELECT_GUMBEL) p = policy_of(m, u);
    for (uint32_t c = m->r->t->nodes[u].first_child; c; c = m->r->t->nodes[c].next_sibling) {
        if (m->x[c].closed) continue;
        double s = score(m, &p, u, c);
        if (!best || s > best_score) best = c, best_score = s;
    }
    if (best && u == m->root && m->turn) m->turn--;
    return best;
}
