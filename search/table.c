/* table.c: the strategies by name, and their defaults.
 * Not the strategies: each has a file of its own.
 * Next: search.h for how to run one. */
#include <string.h>

#include "search/search_internal.h"

const struct strategy strategy_table[] = {
    {"greedy", "one chain, the likeliest step each time", false, greedy_run},
    {"bon", "best of N sampled chains by the reward model", true, bon_run},
    {"weighted", "N sampled chains vote, weighted by the reward model", true, weighted_run},
    {"maj", "N sampled chains vote (self-consistency), no reward model", false, maj_run},
    {"beam", "step beam search: N candidates a round, the best sqrt(N) go on", true, beam_run},
    {"mcts", "Monte-Carlo tree search (PUCT) with reward-model values", true, mcts_run},
    {0},
};

const struct strategy *strategy_find(const char *name) {
    for (const struct strategy *s = strategy_table; s->name; s++)
        if (!strcmp(s->name, name)) return s;
    return NULL;
}

struct search_params search_defaults(const char *strategy) {
    struct search_params p = {
        .seed = 1,
        .budget = {.simulations = 16},
        .temperature = 1,
        .max_depth = 16,
        .batch = 64,
        /* Measured with the shipped models on 200 puzzles at 64 and 256 tries: (0.6, 2, 0.6) solves 94 and 99 %,
         * (0.2, 1.5, 0.5) 92 and 97 %, (0.05, 1, 0.5) 85 and 94 %: a good reward model wants breadth. */
        .c_puct = 0.6f,
        .widen_c = 2,
        .widen_alpha = 0.6f,
        .backup = BACKUP_MEAN,
        .pick = PICK_BEST,
        .stop_value = 2, /* never */
        .max_nodes = 65536,
    };
    if (!strcmp(strategy, "greedy")) {
        p.budget.simulations = 1;
        p.temperature = 0;
    }
    if (!strcmp(strategy, "weighted")) p.pick = PICK_WEIGHTED;
    if (!strcmp(strategy, "maj")) p.pick = PICK_MAJORITY;
    if (!strcmp(strategy, "mcts")) {
        p.budget.simulations = 256;
        p.batch = 16;
        p.stop_value = 0.9f; /* of 153 chains above it on puzzles used for tuning, all were right */
    }
    return p;
}
