/* greedy.c: the likeliest step each time, until the chain is complete: what every search must beat.
 * Not random and not scored: one chain, temperature 0, no reward model.
 * Next: sample.c, many chains. */
#include "search/search_internal.h"

static struct search_room greedy_room(const struct search_params *common, const void *params) {
    (void)params;
    return (struct search_room){room_for_chains(common, 1), 2, 1};
}

static enum status greedy_run(struct run *r, const void *params) {
    (void)params;
    r->temperature = 0;
    r->score = SCORE_NONE;
    return run_chain(r);
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
