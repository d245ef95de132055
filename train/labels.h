/* labels.h: Monte-Carlo labels: how often the policy solves a problem from each prefix of its own chains.
 * Not reachability: the label is the value under this policy (the oracle only calibrates).
 * Next: reward.h, which trains on them.
 *
 * For problem i: `chains` chains are sampled, every second one at a higher temperature so that mistakes are seen too.
 * Every distinct state met (task.h: state; without it, every prefix) gets rollouts on forked KV: min_rollouts first,
 * then doubling up to max_rollouts while both outcomes have been seen, once otherwise.  States reached twice share
 * their rollouts.  A prefix with a wrong step has value 0; a finished chain has the judge's reward.
 * Output: JSONL, a header with what made it, then one line per problem, in order, each a pure function of (policy,
 * key, i):
 *   {"format":"ponder-labels","version":1,"model":"...","seed":1,...}
 *   {"index":0,"task":"countdown","problem":"4 7 8 8 -> 22","chains":[{"steps":"8 / 8 = 1 ; 1 4
 * 7\n...","finished":true,
 *    "values":[0.53,0.9,1],"rollouts":[32,8,0]}]} */
#ifndef PONDER_LABELS_H
#define PONDER_LABELS_H

#include "model/engine.h"
#include "tokenizer/tok.h"
#include "train/policy.h"

struct label_params {
    struct model *policy;
    const struct tok *tok;
    uint64_t key;
    struct task_mix mix;
    double solvable_share; /* of the problems; the rest comes unfiltered */
    const char *header;    /* first line of the file; one that is there must be equal.  NULL: none */
    uint64_t first, n_problems;
    uint32_t chains, min_rollouts, max_rollouts;
    float temperature, wild_temperature; /* of rollouts and plain chains; of every second chain */
    const char *out;                     /* JSONL; lines already there (whole ones) are kept and skipped: resume */
    const volatile int *cancel;
    int threads; /* one problem and one engine each */
};

/* What the labels say: without both outcomes there is nothing to learn from. */
struct label_stats {
    uint64_t problems, values, positive, mixed; /* step values; above 0; between 0 and 1 */
};

/* stats (may be NULL): of the lines made by this call. */
enum status labels_make(const struct label_params *p, struct label_stats *stats, struct error *e);

#endif
