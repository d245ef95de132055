/* naive_chain.h: worlds, and one chain of them computed without a tree, branches or batches: what second writings of searches share.
 * Not a search: each test file has those of its strategies.
 * Next: test_search.c, test_waves.c. */
#ifndef PONDER_NAIVE_CHAIN_H
#define PONDER_NAIVE_CHAIN_H

#include "tests/toy_run.h"

static const struct toy_world worlds[] = {
    {.seed = 1, .width = 4, .depth = 5, .best = "13203"},
    {.seed = 2, .width = 6, .depth = 4, .best = "5035", .noise = 0.3f, .p_dead = 0.05f, .p_cut = 0.05f},
    {.seed = 3, .width = 2, .depth = 6, .best = "011010", .noise = 0.1f},
    {.seed = 4, .width = 9, .depth = 3, .best = "777", .flat = true, .p_cut = 0.1f},
    {.seed = 5, .width = 3, .depth = 1, .best = "2"},
};
enum { N_WORLDS = sizeof worlds / sizeof *worlds };

/* One chain, naively ------------------------------------------------------------------------------------------- */

struct chain {
    char digits[TOY_MAX_DEPTH + 1];
    enum step_end end;
    double logprob;
    float value;
    uint32_t multiplicity;
};

/* Adds the step with this key; what the chain is afterwards. */
__attribute__((unused)) static void naive_step(const struct toy_world *w, struct chain *c, uint64_t key,
                                               float temperature, uint32_t max_depth) {
    size_t n = strlen(c->digits);
    uint32_t d = toy_digit(w, c->digits, key, temperature);
    c->logprob += (float)log(toy_p(w, c->digits, d));
    c->digits[n] = (char)('0' + d);
    c->digits[n + 1] = 0;
    c->end = toy_end(w, c->digits);
    if (c->end == STEP_SEPARATOR && n + 1 >= max_depth) c->end = STEP_TRUNCATED;
    bool lost = c->end == STEP_TRUNCATED || c->end == STEP_DEAD;
    c->value = lost || w->nan ? 0 : toy_value(w, c->digits);
}

__attribute__((unused)) static struct chain naive_chain(const struct toy_world *w, uint64_t seed, uint32_t index,
                                                        float temperature) {
    struct chain c = {.end = STEP_SEPARATOR};
    for (uint64_t key = rng_fold(seed, index); c.end == STEP_SEPARATOR; key = rng_fold(key, 0))
        naive_step(w, &c, key, temperature, 16);
    return c;
}

__attribute__((unused)) static bool naive_better(const struct chain *a, const struct chain *b) {
    if (a->value != b->value) return a->value > b->value;
    if (a->multiplicity != b->multiplicity) return a->multiplicity > b->multiplicity;
    return a->logprob > b->logprob;
}

#endif
