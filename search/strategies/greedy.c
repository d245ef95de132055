/* greedy.c: the likeliest step each time, until the chain is complete: what every search must beat.
 * Not random and not scored: one chain, temperature 0, no reward model.
 * Next: sample.c, many chains. */
#include "search/search_internal.h"

static struct search_room greedy_room(const struct search_params *common, const void *params) {
    (void)params;
    return (struct search_room){room_for_chains(common, 1), 2, 1};
}

static enum status greedy_run(struct run *r, const void *params) {
    enum status s = OK;
    uint32_t tip = 0;
    (void)params;
    r->temperature = 0;
    r->score = SCORE_NONE;
    r->ev->ledger->simulations++;
    while (!s && !(r->t->nodes[tip].flags & NODE_TERMINAL) && run_go(r) && run_room(r, 1)) {
        run_plan(r, tip, true);
        if ((s = run_grow(r))) break;
        if (!r->n_made) run_stop(r, WHY_KV_FULL);
        else tip = r->tries[0].child;
        s = run_settle(r);
    }
    return s;
}

const struct strategy strategy_greedy = {
    .name = "greedy",
    .summary = "one chain, the likeliest step each time",
    .source = "the baseline; ties go to the lower token id",
    .unit = "chains",
    .without = WITHOUT_TEMPERATURE | WITHOUT_BUDGET,
    .simulations = {1, 1},
    .room = greedy_room,
    .run = greedy_run,
};
