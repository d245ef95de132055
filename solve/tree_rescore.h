/* tree_rescore.h: the chains of a saved tree valued by another judge, and the answer picked again.  The policy is not needed.
 * Not a search: no step is made.
 * Next: tree_rescore.c; prm/judge.h for the judges. */
#ifndef PONDER_TREE_RESCORE_H
#define PONDER_TREE_RESCORE_H

#include "solve/tree_file.h"

struct rescore_options {
    const char *judge;    /* oracle, check, logprob, or a reward model: a file, or one inside the binary ("embedded") */
    const char *prm_kind; /* NULL: what its file says */
    const char *agg;      /* NULL: the model's own */
    int threads;
};

struct rescored {
    float *old; /* [tree.n] values before; the tree has the new ones now */
    struct search_result was, result;
    uint32_t n, n_had, n_changed; /* steps that were valued; had a value before; have another one now */
    double rank;           /* Kendall's tau-b of old and new values of finished chains; NaN: fewer than two of them */
    struct ledger cost;    /* of the judge */
};

/* Values every step of `f`, whose tree then has the new values, and picks by the rule that the search went by; a tree without an end: by
 * the best value.  s and p: of tree_solver.  out is for rescored_free. */
enum status tree_rescore(struct saved_tree *f, const struct solver *s, const struct problem *p,
                         const struct rescore_options *o, struct rescored *out, struct error *e);
void rescored_free(struct rescored *r);

#endif
