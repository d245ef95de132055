/* gen.h: problems to train on, a pure function of a key.
 * Never yields a held-out problem (four numbers from 1 to 13 with target 24): asserted here and tested.
 * Next: train/. */
#ifndef PONDER_GEN_H
#define PONDER_GEN_H

#include "tasks/countdown.h"

/* Shares of the kinds of training problem, any non-negative weights. */
struct gen_mix {
    double four_other_target; /* four numbers 1..13, a reachable target in 1..100 other than 24 */
    double four_24;           /* four numbers, at least one outside 1..13 (up to 30), target 24 */
    double three_24;          /* three integers 1..n (small ones more often, up to 169), target 24 */
    double three_any;         /* three numbers, any reachable target 1..100 */
};
extern const struct gen_mix gen_default_mix; /* for the policy */
extern const struct gen_mix gen_label_mix;   /* for reward labels: more of what a first step with target 24 leaves */

/* The problem of the stream `key`; always solvable when `solvable`, else whatever comes. */
void gen_one(uint64_t key, const struct gen_mix *mix, bool solvable, struct cd_problem *p);
/* Problem number `index` of a stream. */
void gen_problem(uint64_t key, uint64_t index, const struct gen_mix *mix, bool solvable, struct cd_problem *p);

#endif
