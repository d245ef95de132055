/* eval_run.h: many problems through one solver: several in flight, their engine passes shared, lines in order.
 * Not the printing: cmd_eval.c.
 * Next: eval_run.c. */
#ifndef PONDER_EVAL_RUN_H
#define PONDER_EVAL_RUN_H

#include "base/stats.h"
#include "solve/problems.h"
#include "solve/results.h"
#include "solve/solver.h"

/* What is kept of one outcome. */
struct score {
    bool done, correct;
    enum why_stopped why;
    struct ledger cost;
    double ms;
};

struct eval_run {
    /* set by the caller */
    const struct solver *solver;
    const struct problems *problems;
    struct results *results; /* NULL: none are kept */
    int in_flight;
    /* out */
    struct score *scores; /* [problems.n], from results that were there and new ones */
    double seconds;       /* of this run and, continued, of the ones before it */
};

/* Solves what is not yet there.  Ctrl-C: what was finished, in order, is kept.  scores is set on failure too. */
enum status eval_run(struct eval_run *r, struct error *e);
void eval_run_free(struct eval_run *r);

struct summary {
    uint32_t n, correct, by_why[WHY_ERROR + 1];
    double accuracy;
    struct interval ci95; /* Wilson's */
    double median_ms, p95_ms;
    struct ledger cost;
};
struct summary eval_summary(const struct eval_run *r);

#endif
