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

#include "tests/toy_eval.h"

/* The world and the params may be changed between fx_open and fx_run. */
static struct fixture {
    struct toy toy;
    struct search_params params;
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
    fx.params = search_defaults(strategy);
    fx.params.cancel = &fx.toy.cancel;
    fx.params.max_nodes = 8192;
}

/* Digits of the chain that ends in node u. */
static void fx_digits(uint32_t u, char *digits) {
    digits[fx.tree.nodes[u].depth] = 0;
    for (; u; u = fx.tree.nodes[u].parent) digits[fx.tree.nodes[u].depth - 1] = fx.tree.nodes[u].text[0];
}

static void fx_on_event(void *arg, const struct event *event) {
    struct error e;
    (void)arg;
    fx.n_events[event->kind]++;
    /* The pairwise test of branches is quadratic: all of it for small trees, every 64th event for large ones. */
    if ((event->tree->n < 64 || fx.n_events[event->kind] % 64 == 0) && !search_check(event->tree, &e))
        fail_msg("%s, event %d number %u: %s", fx.strategy, event->kind, fx.n_events[event->kind], e.text);
    assert_ptr_equal(event->tree, &fx.tree);
    assert_ptr_equal(event->ledger, &fx.toy.ledger);
    if (event->kind == EVENT_DONE) assert_ptr_equal(event->result, &fx.res);
    if (event->kind == EVENT_PRUNED) assert_int_equal(event->tree->nodes[event->node].branch, 0);
    if (event->kind == EVENT_FINISHED) assert_true(event->tree->nodes[event->node].flags & NODE_FINISHED);
}

/* What holds after every run, also after failed ones. */
static void fx_check_promises(void) {
    const struct tree *t = &fx.tree;
    uint32_t finished = 0;
    float best = 0;
    if (!search_check(t, &fx.error)) fail_msg("%s: %s", fx.strategy, fx.error.text);
    for (uint32_t u = 1; u < t->n; u++) {
        const struct node *n = &t->nodes[u];
        assert_false(n->flags & NODE_BUSY);
        assert_int_equal(n->in_flight, 0);
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
    bool votes = !strcmp(fx.strategy, "maj") || !strcmp(fx.strategy, "weighted") || fx.params.pick != PICK_BEST;
    if (!votes && fx.res.value != best)
        fail_msg("%s: answer has value %g, best is %g", fx.strategy, fx.res.value, best);
}

static void fx_run(void) {
    const struct strategy *s = strategy_find(fx.strategy);
    assert_non_null(s);
    if ((fx.status = search_open(&fx.tree, &fx.toy.ev, &fx.params, &fx.error))) return;
    fx.status = s->run(&fx.toy.ev, &fx.params, &fx.tree, fx_on_event, NULL, &fx.res, &fx.error);
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

/* Open, run with this seed and number of simulations, close: the tree is gone, numbers stay. */
__attribute__((unused)) static uint64_t fx_signature(const char *strategy, const struct toy_world *world,
                                                     uint64_t simulations, uint32_t batch) {
    fx_open(strategy, world);
    fx.params.budget.simulations = simulations;
    fx.params.batch = batch;
    fx_run();
    fx_close();
    assert_int_equal(fx.status, OK);
    return fx.signature;
}

#endif
