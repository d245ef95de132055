/* labels.h: Monte-Carlo labels: how often the policy solves a problem from each prefix of its own chains.
 * Not reachability: the label is the value under this policy (the oracle only calibrates).
 * Next: reward.h, which trains on them.
 *
 * For problem i: `chains` chains are sampled, every second one at a higher temperature so that mistakes are seen too.  Every
 * distinct state met (what is left, after right steps only) gets rollouts on forked KV: min_rollouts first, then doubling up to
 * max_rollouts while both outcomes have been seen, once otherwise.  States reached twice share their rollouts.  A prefix
 * with a wrong step has value 0; a finished chain has the checker's verdict.
 * Output: JSONL, one line per problem, in order, each a pure function of (policy, key, i):
 *   {"index":0,"problem":"4 7 8 8 -> 22","chains":[{"steps":["8 / 8 = 1 ; 1 4 7", ...],"values":[0.53,0.9,1],"rollouts":[32,8,1]}]} */
#ifndef PONDER_LABELS_H
#define PONDER_LABELS_H

#include "model/engine.h"
#include "tasks/gen.h"
#include "tokenizer/tok.h"

struct label_params {
    struct model *policy;
    const struct tok *tok;
    uint64_t key;
    struct gen_mix mix;
    double solvable_share;   /* of the problems; the rest comes unfiltered */
    uint64_t first, n_problems;
    uint32_t chains, min_rollouts, max_rollouts;
    float temperature, wild_temperature; /* of rollouts and plain chains; of every second chain */
    const char *out;         /* JSONL; lines already there (whole ones) are kept and skipped: resume */
    const volatile int *cancel;
    int threads;             /* one problem and one engine each */
};

enum status labels_make(const struct label_params *p, struct error *e);

#endif
