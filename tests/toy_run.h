/* toy_run.h: runs a strategy on the toy world and checks what every run must keep, whatever the test is about.
 * Not a test: tests set fx up, run and look.
 * Next: test_search.c, test_search_limits.c. */
#ifndef PONDER_TOY_RUN_H
#define PONDER_TOY_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "search/strategy.h"
#include "tests/toy_eval.h"

/* The world and the params may be changed between fx_open and fx_run. */
static struct fixture {
    struct toy toy;
    struct search_params common;
    struct params params;
    uint32_t max_nodes;
    bool keep;
    const char *strategy;
    struct tree tree;
    struct search_result res;
    struct error error;
    enum status status;
    uint32_t n_events[EVENT_DONE + 1];
    uint64_t signature;
    char digits[TOY_MAX_DEPTH + 1]; /* of the answer */
} fx;

static void fx_open(const char *strategy, const struct toy_world *world) {
    memset(&fx, 0, sizeof fx);
    toy_open(&fx.toy, world);
    fx.strategy = strategy;
    strategy_defaults(strategy_find(strategy), false, &fx.params);
    fx.common = (struct search_params){.seed = 1,
                                       .budget = {.simulations = strategy_find(strategy)->simulations[0]},
                                       .temperature = 1,
                                       .max_depth = 16,
                                       .cancel = &fx.toy.cancel};
    fx.max_nodes = 8192;
}

/* A parameter of the strategy, if it has one of this name. */
__attribute__((unused)) static void fx_set(const char *flag, double value) {
    const struct param *p = strategy_param(strategy_find(fx.strategy), flag, strlen(flag));
    unsigned char *field = fx.params.bytes + (p ? p->offset : 0);
    if (!p) return;
    if (p->kind == PARAM_REAL) *(float *)(void *)field = (float)value;
    else if (p->kind == PARAM_YES) *(bool *)field = value != 0;
    else *(uint32_t *)(void *)field = (uint32_t)value;
}

/* Digits of the chain that ends in node u, whatever stands between them. */
static void fx_digits(uint32_t u, char *digits) {
    char text[4 * TOY_MAX_DEPTH];
    size_t n = 0;
    search_chain_text(&fx.tree, u, text, sizeof text);
    for (const char *c = text; *c; c++)
        if (*c >= '0' && *c <= '9') digits[n++] = *c;
    digits[n] = 0;
}

static void fx_on_event(void *arg, const struct event *event) {
    struct error e;
    (void)arg;
    fx.n_events[event->kind]++;
    /* The pairwise test of branches is quadratic: now and then, for large trees seldom. */
    if (fx.n_events[event->kind] % (event->tree->n < 64 ? 8 : 64) == 0 && !search_check(event->tree, &e))
        fail_msg("%s, event %d number %u: %s", fx.strategy, event->kind, fx.n_events[event->kind], e.text);
    assert_ptr_equal(event->tree, &fx.tree);
    assert_ptr_equal(event->ledger, &fx.toy.ledger);
    if (event->kind == EVENT_DONE) assert_ptr_equal(event->result, &fx.res);
    if (event->kind == EVENT_PRUNED) assert_int_equal(event->tree->nodes[event->node].branch, 0);
    if (event->kind == EVENT_FINISHED) assert_true(event->tree->nodes[event->node].flags & NODE_FINISHED);
}

/* Is the answer another one than the chain of the largest value? */
static bool fx_votes(void) {
    const struct param *pick = strategy_param(strategy_find(fx.strategy), "pick", 4);
    return fx.res.pick == PICK_MAJORITY || !strcmp(fx.strategy, "maj") || !strcmp(fx.strategy, "weighted") ||
           (pick && param_get(pick, fx.params.bytes) != 0);
}

/* What holds after every run, also after failed ones. */
static void fx_check_promises(void) {
    const struct tree *t = &fx.tree;
    const struct visits *v = tree_visits(t);
    uint32_t finished = 0;
    float best = 0;
    if (!search_check(t, &fx.error)) fail_msg("%s: %s", fx.strategy, fx.error.text);
    for (uint32_t u = 1; u < t->n; u++) {
        const struct node *n = &t->nodes[u];
        assert_false(n->flags & NODE_BUSY);
        assert_int_equal(v ? v[u].in_flight : 0, 0);
        if ((n->flags & NODE_TERMINAL) && n->branch && !fx.status)
            fail_msg("%s: node %u keeps a branch", fx.strategy, u);
        if (!(n->flags & NODE_FINISHED)) continue;
        finished++;
        if (n->value > best) best = n->value;
    }
    assert_int_equal(fx.res.n_finished, finished);
    assert_int_equal(fx.res.node != 0, finished != 0);
    assert_int_equal(fx.res.why == WHY_ERROR, fx.status != OK);
    assert_int_equal(fx.n_events[EVENT_MADE], t->n - 1);
    assert_int_equal(fx.n_events[EVENT_DONE], 1);
    if (!fx.status) assert_int_equal(fx.n_events[EVENT_FINISHED], finished);
    if (fx.res.node) assert_true(t->nodes[fx.res.node].flags & NODE_FINISHED);
    if (!fx_votes() && fx.res.value != best)
        fail_msg("%s: answer has value %g, best is %g", fx.strategy, fx.res.value, best);
}

/* One strategy on the open tree. */
static enum status fx_search(event_fn *on_event, void *arg) {
    struct search on = {
        .ev = &fx.toy.ev, .tree = &fx.tree, .common = fx.common, .on_event = on_event, .arg = arg, .keep = fx.keep};
    return search_run(strategy_find(fx.strategy), &on, fx.params.bytes, &fx.res, &fx.error);
}

static void fx_run(void) {
    if ((fx.status = search_open(&fx.tree, &fx.toy.ev, fx.common.seed, fx.max_nodes, &fx.error))) return;
    fx.status = fx_search(fx_on_event, NULL);
    fx_check_promises();
    fx.signature = search_signature(&fx.tree, &fx.res);
    fx_digits(fx.res.node, fx.digits);
}

/* Every branch is given back, none twice. */
static void fx_close(void) {
    search_close(&fx.tree, &fx.toy.ev);
    if (fx.toy.misuse) fail_msg("%s: %s", fx.strategy, fx.toy.misuse);
    assert_int_equal(fx.toy.n_branches, 0);
    assert_int_equal(fx.toy.n_kv, 0);
}

/* A number that the strategy says of its run. */
__attribute__((unused)) static double fx_note(const char *name) {
    for (uint32_t i = 0; i < fx.res.n_notes; i++)
        if (!strcmp(fx.res.notes[i].name, name)) return fx.res.notes[i].value;
    fail_msg("%s: no note %s", fx.strategy, name);
    return NAN;
}

/* Open, run with this seed and number of simulations, close: the tree is gone, numbers stay. */
__attribute__((unused)) static uint64_t fx_signature(const char *strategy, const struct toy_world *world,
                                                     uint64_t simulations, uint32_t batch) {
    fx_open(strategy, world);
    fx.common.budget.simulations = simulations;
    fx_set("batch", batch);
    fx_run();
    fx_close();
    assert_int_equal(fx.status, OK);
    return fx.signature;
}

#endif
