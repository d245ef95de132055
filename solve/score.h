/* score.h: what a verifier says of chains that somebody else wrote.
 * Not a search: nothing is drawn.
 * Next: score.c; solver.h for what is set up before. */
#ifndef PONDER_SCORE_H
#define PONDER_SCORE_H

#include "solve/solver.h"

/* One chain: steps without the delimiter that ends them. */
struct scored {
    /* in */
    const char *const *steps; /* [n] */
    uint32_t n;
    bool finished; /* the last step ends with the end token */
    /* out */
    float *values; /* [n], the caller's: of each step.  Judges of whole texts give that of the chain up to it */
    float value;   /* of the chain, by the solver's aggregation; 0.5 for no steps */
    enum verdict verdict;
    char reason[128]; /* of a wrong verdict */
};

/* The values of n chains for one problem, by the verifier of the solver's session.  The solver's strategy must be one
 * that needs values, so that solver_attach has looked for them.  ERR_INPUT: a text is too long, or there is no verifier
 * for this task.  *cost is what it took. */
enum status score_chains(const struct solver *s, const struct problem *p, struct scored *chains, uint32_t n,
                         struct ledger *cost, struct error *e);

#endif
