/* likely.c: the likeliest tokens behind some nodes, all of them compared: what goes on from where.
 * Not random, and not a step: one token each.
 * Next: search/strategies/tokenbeam.c. */
#include "base/mem.h"
#include "search/search_internal.h"

enum status likely_open(struct run *r, struct likely *l, uint32_t width) {
    size_t k = 2 * (size_t)width;
    *l = (struct likely){.cap = (uint32_t)k};
    l->asked = mem_new(width, sizeof *l->asked);
    l->items = mem_new(k + 1, sizeof *l->items);
    l->tokens = mem_new(k * width, sizeof *l->tokens);
    l->logprobs = mem_new(k * width, sizeof *l->logprobs);
    if (l->asked && l->items && l->tokens && l->logprobs) return OK;
    return error_set(r->e, ERR_MEMORY, "no memory for the continuations of %u texts", width);
}

void likely_close(struct likely *l) {
    mem_free(l->asked), mem_free(l->items), mem_free(l->tokens), mem_free(l->logprobs);
}

/* Ties keep the order of nodes and tokens. */
static void add(struct likely *l, struct continuation c) {
    uint32_t j = l->n;
    for (; j && c.sum > l->items[j - 1].sum; j--)
        if (j < l->cap) l->items[j] = l->items[j - 1];
    if (j == l->cap) return;
    l->items[j] = c;
    if (l->n < l->cap) l->n++;
}

enum status likely_find(struct run *r, struct likely *l, const uint32_t *nodes, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        l->asked[i] = (struct proposal){.branch = r->t->nodes[nodes[i]].branch,
                                        .k = l->cap,
                                        .tokens = l->tokens + (size_t)i * l->cap,
                                        .logprobs = l->logprobs + (size_t)i * l->cap};
    enum status s;
    do s = r->ev->propose(r->ev->self, l->asked, n, r->e);
    while (run_retry(r, s));
    l->n = 0;
    for (uint32_t i = 0; i < n && !s; i++)
        for (uint32_t j = 0; j < l->asked[i].n; j++)
            add(l, (struct continuation){nodes[i], l->asked[i].tokens[j], l->asked[i].logprobs[j],
                                         tree_logprob(r->t, nodes[i]) + (double)l->asked[i].logprobs[j]});
    return run_soft(r, s);
}

void likely_plan(struct run *r, const struct likely *l, uint32_t first, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        const struct continuation *c = &l->items[first + i];
        run_plan(r, c->parent, false);
        r->tries[i].given = (struct put){.tokens = &c->token, .n_tokens = 1, .logprob = c->logprob};
    }
}
