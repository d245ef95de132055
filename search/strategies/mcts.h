/* mcts.h: what the two files of Monte-Carlo tree search share: its parameters, its numbers for each node, and
 * selection.
 * Not for others than mcts.c and mcts_select.c.
 * Next: mcts.c. */
#ifndef PONDER_SEARCH_MCTS_H
#define PONDER_SEARCH_MCTS_H

#include "search/search_internal.h"

enum selection { SELECT_PUCT, SELECT_UCB1, SELECT_GUMBEL, SELECT_BEST };
enum backup { BACKUP_MEAN, BACKUP_MAX, BACKUP_SOFTMAX };

struct mcts_params {
    uint32_t select; /* enum selection */
    float explore;   /* c of PUCT and UCB1 */
    float widen_c, widen_alpha;
    uint32_t considered; /* of gumbel: steps at the root */
    float noise;         /* of gumbel: 1 = as the paper samples, 0 = none */
    float c_visit, c_scale;
    uint32_t backup; /* enum backup */
    float heat;      /* of the softmax */
    bool again;      /* a node may draw a step that it has */
    float floor;     /* without again: tokens less likely than this share of the likeliest are not drawn */
    bool merge;      /* what another node has reached is not gone on from again */
    bool rollout;    /* each new step is visited once more, by a chain to its end */
    uint32_t patience;
    uint32_t commit;
    float anneal, dive;
    struct usual_params usual; /* batch: leaves that are extended together, a part of the result */
};

/* For each node, beside its visits. */
struct more {
    double weight, weighted; /* of the softmax: sums of exp(v / heat), and of v times that */
    uint64_t state;          /* what it has reached; 0: unknown */
    double top;              /* of best: largest hope from here down; negative: no step can be made now */
    uint32_t under_way;      /* tries of the batch that are made below it */
    uint32_t barren;         /* tries since the last one that brought a new step */
    bool spent;              /* no new step can be had below it */
    bool closed;             /* and none of its steps can be gone on from: it is not visited again */
    bool out;                /* of gumbel: a step of the root that was halved away */
};

struct mcts {
    struct run *r;
    const struct mcts_params *p;
    struct visits *v; /* [nodes] the tree's columns */
    struct more *x;
    uint32_t root;        /* the step that the search has committed to */
    double left;          /* share of the budget */
    uint32_t began, turn; /* of gumbel: steps of the root at first, 0: not begun; visits until they are halved */
    uint32_t *table;      /* [table_size] nodes by state; 0: free */
    uint32_t table_size;  /* a power of two; 0: nobody knows states */
    uint32_t *begun;      /* [batch] new steps that rollouts begin from */
};

/* Visits under way count as visits, without a value: they push the next ones of the batch elsewhere. */
static inline uint32_t visits_now(const struct visits *v) { return v->n + v->in_flight; }

/* The value of a node from what was backed up to it. */
double mcts_value(const struct mcts *m, uint32_t u);
/* May the node have one more child? */
bool mcts_may_widen(const struct mcts *m, uint32_t u);
/* The child to go on with; 0 when none is open. */
uint32_t mcts_select(struct mcts *m, uint32_t u);
/* Of best: what u can hope for has changed, because tries began or came back, or it is new. */
void mcts_refresh(struct mcts *m, uint32_t u);
/* Of gumbel, between batches: halves the steps of the root when it is time.  total: tries of the whole run. */
void mcts_halve(struct mcts *m, uint64_t total);

#endif
