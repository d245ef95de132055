/* score.c: see score.h.
 * Not the verifiers: prm/judge.h has their rows.
 * Next: serve/scores.c, which answers requests with it. */
#include "solve/score.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Chains that are read at once; each step is valued before the next one is put, so that a judge reads it once. */
struct group {
    struct solver_search *x;
    enum prm_agg agg;
    struct scored *chains; /* [n], of all from `first` on */
    uint32_t n, first;
    branch_id *branches;    /* [n] */
    struct prm_chain *sums; /* [n] */
    /* scratch, [n] */
    struct put *puts;
    branch_id *now;
    float *values;
    uint32_t *which;
};

static char *step_text(const struct solver *s, const struct scored *c, uint32_t step) {
    bool last = c->finished && step + 1 == c->n;
    size_t size = strlen(c->steps[step]) + strlen(s->delimiter) + 1;
    char *text = mem_new(size, 1);
    if (text) snprintf(text, size, "%s%s", c->steps[step], last ? "" : s->delimiter);
    return text;
}

static enum status put_all(struct group *g, uint32_t n, struct error *e) {
    struct evaluator *ev = g->x->ev;
    enum status s = ev->put(ev->self, g->puts, n, e);
    for (uint32_t i = 0; i < n && !s; i++)
        if (g->puts[i].end == STEP_TRUNCATED)
            s = error_set(e, ERR_INPUT, "chain %u: more tokens than the context or --max-step-tokens allow",
                          g->first + g->which[i] + 1);
    return s;
}

/* Step number `step` of those that have one. */
static enum status put_step(struct group *g, uint32_t step, uint32_t *n, struct error *e) {
    const struct solver *s = g->x->solver;
    bool rate = g->x->solver->session->verifier == VERIFIER_LOGPROB;
    enum status st = OK;
    *n = 0;
    for (uint32_t i = 0; i < g->n && !st; i++) {
        if (step >= g->chains[i].n) continue;
        char *text = step_text(s, &g->chains[i], step);
        if (!text) st = error_set(e, ERR_MEMORY, "no memory for a step");
        g->which[*n] = i, g->now[*n] = g->branches[i];
        g->puts[(*n)++] = (struct put){.branch = g->branches[i], .text = text, .rate = rate};
    }
    if (!st) st = put_all(g, *n, e);
    for (uint32_t k = 0; k < *n; k++) mem_free((void *)g->puts[k].text);
    return st;
}

/* The end token behind the last step of finished chains. */
static enum status put_ends(struct group *g, uint32_t step, struct error *e) {
    int32_t end = tok_eos(g->x->solver->session->tok);
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        const struct scored *c = &g->chains[i];
        if (!c->finished || step + 1 != c->n || end < 0) continue;
        g->which[n] = i;
        g->puts[n++] = (struct put){.branch = g->branches[i], .tokens = &end, .n_tokens = 1};
    }
    return n ? put_all(g, n, e) : OK;
}

static enum status value_step(struct group *g, uint32_t step, struct error *e) {
    struct evaluator *ev = g->x->ev;
    uint32_t n;
    enum status s = put_step(g, step, &n, e);
    if (!s) s = put_ends(g, step, e);
    for (uint32_t i = 0, k = 0; i < g->n && !s; i++)
        if (step < g->chains[i].n) g->which[k++] = i; /* put_ends has used it */
    if (!s) s = ev->score(ev->self, g->now, n, g->values, e);
    for (uint32_t k = 0; k < n && !s; k++) {
        g->chains[g->which[k]].values[step] = g->values[k];
        prm_chain_add(&g->sums[g->which[k]], g->values[k]);
    }
    return s;
}

static enum status value_group(struct group *g, struct error *e) {
    struct evaluator *ev = g->x->ev;
    uint32_t longest = 0;
    enum status s = OK;
    for (uint32_t i = 0; i < g->n && !s; i++) {
        g->branches[i] = 0, g->sums[i] = (struct prm_chain){0};
        s = ev->fork(ev->self, ev->root, &g->branches[i], e);
        if (g->chains[i].n > longest) longest = g->chains[i].n;
    }
    for (uint32_t step = 0; step < longest && !s; step++) s = value_step(g, step, e);
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->branches[i]) ev->drop(ev->self, &g->branches[i]);
        g->chains[i].value = prm_chain_value(&g->sums[i], g->agg);
    }
    return s;
}

static enum status judge_chain(const struct solver *s, const struct problem *p, struct scored *c, struct error *e) {
    size_t size = 1, at = 0;
    for (uint32_t i = 0; i < c->n; i++) size += strlen(c->steps[i]) + strlen(s->delimiter);
    char *text = mem_new(size, 1);
    if (!text) return error_set(e, ERR_MEMORY, "no memory for a chain");
    for (uint32_t i = 0; i < c->n; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i ? s->delimiter : "", c->steps[i]);
    struct judgement j = problem_judge(p, text);
    c->verdict = !j.known ? VERDICT_NONE : j.reward >= 1 ? VERDICT_RIGHT : VERDICT_WRONG;
    snprintf(c->reason, sizeof c->reason, "%s", j.known ? j.reason : "");
    mem_free(text);
    return OK;
}

/* All chains, as many at once as a search would have. */
struct scoring {
    struct scored *chains; /* [n] */
    uint32_t n;
    enum prm_agg agg;
};

static enum status value_all(void *arg, struct solver_search *x, struct outcome *o, struct error *e) {
    const struct scoring *all = arg;
    uint32_t most = solver_room(x->solver).batch;
    enum status st = OK;
    struct group g = {.x = x,
                      .agg = all->agg,
                      .branches = mem_new(most, sizeof *g.branches),
                      .sums = mem_new(most, sizeof *g.sums),
                      .puts = mem_new(most, sizeof *g.puts),
                      .now = mem_new(most, sizeof *g.now),
                      .values = mem_new(most, sizeof *g.values),
                      .which = mem_new(most, sizeof *g.which)};
    if (!g.branches || !g.sums || !g.puts || !g.now || !g.values || !g.which)
        st = error_set(e, ERR_MEMORY, "no memory for %u chains", all->n);
    for (uint32_t i = 0; i < all->n && !st; i += g.n) {
        g.chains = all->chains + i, g.first = i, g.n = all->n - i < most ? all->n - i : most;
        st = value_group(&g, e);
        if (st == ERR_FULL && g.n > 1) most = g.n / 2, g.n = 0, st = OK; /* fewer at once */
    }
    o->cost = *x->ev->ledger;
    mem_free(g.branches), mem_free(g.sums), mem_free(g.puts), mem_free(g.now), mem_free(g.values), mem_free(g.which);
    return st;
}

enum status score_chains(const struct solver *s, const struct problem *p, struct scored *chains, uint32_t n,
                         struct ledger *cost, struct error *e) {
    struct scoring all = {chains, n, s->agg};
    struct solver last = *s;
    struct outcome o;
    last.agg = AGG_LAST; /* values of steps, put together here */
    enum status st = solver_run_tapped(&last, p, value_all, &all, &o, e);
    if (st) return st;
    *cost = o.cost;
    if (*o.trouble) st = error_set(e, ERR_INPUT, "%s", o.trouble);
    if (o.why == WHY_CANCELLED) st = error_set(e, ERR_CANCELLED, "cancelled");
    outcome_free(&o);
    for (uint32_t i = 0; i < n && !st; i++) st = judge_chain(s, p, &chains[i], e);
    return st;
}
