/* search_internal.h: what the strategies share: one run, its batch of tries, the tree, the pick.
 * Not for callers: strategy.h runs one, search.h is the seam to models.
 * Next: search/strategies/greedy.c, the shortest strategy; then search/strategies/sample.c, search/strategies/beam.c, search/strategies/mcts.c. */
#ifndef PONDER_SEARCH_INTERNAL_H
#define PONDER_SEARCH_INTERNAL_H

#include "search/strategy.h"

/* One step to sample below `parent`. */
struct try {
    uint32_t parent, child_index;
    bool take;        /* the child takes over the parent's branch instead of forking it: the parent is done with */
    branch_id branch; /* where the step is made, instead of on a fork of the parent's; 0: there.  Taken over */
    float temperature; /* the run's, unless the strategy says another */
    bool draft;       /* the draft model writes it */
    uint32_t slot;    /* of a wave: whose step it is */
    uint32_t max_tokens; /* of this call, instead of the run's; 0: that */
    /* Nobody writes: its tokens, text or `from` are put there, all tries of a batch or none.  Its branch is set by
     * run_grow; unless it is rated, its log-probability is what stands here. */
    struct put given;
    bool fresh;       /* out: false when the step equals an earlier one of this parent */
    bool nothing;     /* out: with apart: every step had been drawn */
    uint32_t child;   /* out: the node; 0 = not made */
};

enum score_when { SCORE_NONE, SCORE_FINISHED, SCORE_ALL }; /* which nodes the reward model sees */

/* Parameters that many strategies have, and their rows; T, f: the strategy's struct and the field of this type in it. */
struct usual_params {
    uint32_t batch, pick; /* enum pick */
    float stop_value;     /* NEVER: no finished chain ends the search */
};
#define NEVER 2.0f
/* clang-format off */
#define USUAL_BATCH(T, f) {"batch", "steps extended together", PARAM_COUNT, offsetof(T, f.batch), 1, 4096, NULL}
#define USUAL_PICK(T, f)  {"pick", "finished chains -> one answer", PARAM_CHOICE, offsetof(T, f.pick), 0, 0, "best|weighted|majority"}
#define USUAL_STOP(T, f)  {"stop-value", "stop at a finished chain of this value; above 1 = never", PARAM_REAL, offsetof(T, f.stop_value), 0, 1e6, NULL}
#define USUAL_PARAMS(T, f) USUAL_BATCH(T, f), USUAL_PICK(T, f), USUAL_STOP(T, f)
/* clang-format on */
#define USUAL(how)                                                                                                     \
    { .batch = 64, .pick = how, .stop_value = NEVER }

struct spent {
    double tokens, flops, ns;
};

/* One run of a strategy, begun and ended by search_run.  Every loop has the same shape:
 *
 *     while (run_go)      limits and cancel
 *         run_plan ...    which nodes get one more step
 *         run_grow        fork, extend, add nodes      (one batch call)
 *         run_settle      score, check, finish, drop   (one batch call)                                           */
struct run {
    /* constant */
    struct search on;
    struct evaluator *ev; /* those of `on` */
    struct tree *t;
    const struct search_params *common;
    struct search_result *res;
    struct error *e;
    uint64_t simulations; /* to do; 0: another limit ends the run */
    struct ledger start;  /* the ledger when the run began */
    uint64_t start_ns;
    uint32_t first; /* nodes that were there when the run began */
    uint32_t cap;   /* of the scratch arrays below: the row's room().batch */
    /* set by the strategy before its loop */
    enum score_when score; /* default SCORE_ALL; SCORE_NONE without values */
    enum pick pick;        /* default PICK_BEST */
    float stop_value;      /* default NEVER */
    bool apart;            /* a new step is none of those that were drawn below its node before (struct step) */
    float floor;           /* with apart: see struct step */
    bool merge;            /* equal steps of one parent become one node */
    float temperature;     /* default common->temperature */
    uint32_t max_depth;    /* in steps; default common->max_depth */
    uint32_t max_tokens;   /* of one node, whose step then ends inside it; default 0: all of the step */
    bool to_end;           /* a node goes on through the ends of steps, to max_tokens or to the chain's end */
    bool draft;            /* the draft model writes: steps planned from now on */
    bool rate;             /* drafted steps have the policy's log-probability */
    bool keep_finished;    /* complete chains keep their branches; the strategy drops them */
    /* the batch */
    struct try *tries;        /* [cap] */
    uint32_t n_tries, n_made; /* made: the first ones; fewer than n_tries only when the KV is full */
    struct step *steps;       /* [cap] */
    struct put *puts;         /* [cap] */
    uint32_t *scored;         /* [cap] nodes for the next score call */
    uint32_t n_scored;
    branch_id *branches; /* [cap] */
    float *values;       /* [cap] */
    /* state */
    uint64_t n_steps;        /* made in this run */
    struct spent adopted;    /* on what an earlier run left, before the first step: no part of what steps cost */
    enum why_stopped scarce; /* the limit that run_affords found the nearest */
    uint32_t round;          /* number of the batch */
    bool split;              /* KV was short: a batch had to be cut in parts */
    bool stopped;            /* res->why is final */
};

/* False when a limit is reached, cancelled, or run_stop was called: the loop ends with res->why set. */
bool run_go(struct run *r);
/* Evicts the least promising branch that is not in the call under way; false: there is none.  For struct limits. */
bool run_make_room(void *run);
/* s is ERR_FULL, and a branch was evicted: the call may be made again. */
bool run_retry(struct run *r, enum status s);
/* The same look at limits and cancel, within a batch: the evaluator may have cut its steps. */
void run_look(struct run *r);
/* Ends the run for this reason; the first call wins. */
void run_stop(struct run *r, enum why_stopped why);
/* For people and results: a number that is the strategy's own.  The first MOST_NOTES stay. */
void run_note(struct run *r, const char *name, double value);
/* No limit but cancel: strategies then use their default number of simulations. */
bool budget_is_open(const struct budget *b);
void run_emit(const struct run *r, enum event_kind kind, uint32_t node);
/* Another strategy on the same tree, for a part of what is left of the budget. */
enum status run_part(struct run *r, const struct strategy *s, const void *params, const struct budget *part,
                     struct search_result *res);
/* Another strategy on a prompt of its own, with a tree of its own that is gone afterwards. */
struct apart {
    branch_id root; /* the caller's */
    const struct strategy *strategy;
    const void *params;
    uint64_t key;
    struct budget budget; /* at most, of what is left */
    const char *text;     /* out: the last step of the chain that was picked, the evaluator's; "": none */
};
enum status run_apart(struct run *r, struct apart *a);
/* Room for n chains of max_depth steps, at most 65536 nodes; n = 0: for 16384 nodes. */
uint32_t room_for_chains(const struct search_params *common, uint64_t n);

/* Adds a try below `parent` to the batch.  take: see struct try; the root's branch is never taken, and none where nodes keep
 * theirs.  A drafted step leaves it there: the policy may have to write instead. */
void run_plan(struct run *r, uint32_t parent, bool take);
/* Takes back try i and all later ones (they must be unmade). */
void run_unplan(struct run *r, uint32_t i);
/* How many tries the batch may hold: the smaller of `want`, cap and the nodes left (then run_stop when none is left). */
uint32_t run_room(struct run *r, uint64_t want);
/* Makes all planned steps.  When KV is short, evicts the least promising leaves, then works in smaller parts: the tree is
 * the same.  When not even one step fits it returns OK with n_made < n_tries: the strategy takes the others back. */
enum status run_grow(struct run *r);
/* Evaluates the fresh children of the tries made: verdict or reward as r->score says, answers of finished chains, stop when solved; drops
 * the branches of terminal nodes.  Leaves the batch in place.  Stops (WHY_KV_FULL) when a score does not fit. */
enum status run_settle(struct run *r);
/* The value of a node, cut to [0,1]; a NaN is 0.  A finished chain of at least stop_value ends the run. */
void run_set_value(struct run *r, uint32_t u, float value);
/* Values for the open nodes that an earlier run left without one. */
enum status run_score_missing(struct run *r);

/* Limits as a plan (plan.c). */
/* Has it another limit than a number of simulations? */
bool run_is_limited(const struct run *r);
/* How many more of what has been done `done` times in this run the rest of the limits pays for; 1 when nothing is known yet,
 * INFINITY without limits.  Sets r->scarce. */
double run_affords(struct run *r, double done);
void run_note_adopted(struct run *r);
/* Steps of a round whose chains have `depth` steps: `want`, or fewer, so that what is left lasts to the usual end of a chain. */
uint64_t run_round(struct run *r, uint64_t want, uint32_t depth);
/* Chains side by side: what the user said, or what a limit pays for, or the fallback. */
uint64_t run_width(struct run *r, uint64_t fallback);
/* One chain from the prompt to its end. */
enum status run_chain(struct run *r);
/* The same as the first thing of a limited run: it shows what a step costs and how long chains are, and is an answer at any stop. */
enum status run_probe(struct run *r);

/* A population of chains, round by round (wave.c):
 *
 *     wave_open
 *     while (wave_is_open && run_go)
 *         share[i] = ...          steps wanted below tips[i]
 *         wave_grow               next[j] is a step below tips[from[j]]; complete chains stay as they are
 *         tips = ...              those of next that go on, and wave_prune for the others
 *     wave_close                                                                                        */
struct wave {
    uint32_t *tips, *share; /* [cap]; at first the prompt alone */
    uint32_t n, cap;
    uint32_t *next, *from; /* [2 cap] in the order of the slots they come from */
    uint32_t n_next;
    bool hold; /* set by the strategy: an open tip with a share of 0 waits, it is not given up */
    const uint32_t *ahead; /* [nodes] a column: the node after this one on a way ahead, 0: none; NULL: no ways */
    uint64_t *states;      /* [nodes] a column: keys of what nodes have reached; NULL: nobody asks */
};
/* Takes the parameters over, looks at a first chain when there is a limit, and makes room for as many tips, and steps of a round, as
 * the user or the limit says, else `fallback`: a multiple of `unit`, at least one.  To be closed on failure too. */
enum status wave_open(struct run *r, struct wave *w, const struct usual_params *p, uint64_t fallback, uint32_t unit);
/* The room of a population of n chains. */
struct search_room wave_room(const struct search_params *common, const struct usual_params *p, uint64_t fallback);
void wave_close(struct wave *w);
/* All of the next chains begin at the prompt: as many of the `left` ones as a batch holds, which are taken out of it.  False: there
 * are none, or the run is over. */
bool wave_begin(struct run *r, struct wave *w, uint64_t *left);
/* Is there a chain that is not complete? */
bool wave_is_open(const struct run *r, const struct wave *w);
/* Makes share[i] steps below each tip.  An open tip without a step below it is given up, and so are steps that were cut
 * or are dead.  r->stopped: not all were made. */
enum status wave_grow(struct run *r, struct wave *w);
/* Every tip is written to its end, one step a round; cut and dead ones are left out. */
enum status wave_finish(struct run *r, struct wave *w);
/* The chain is given up. */
void wave_prune(struct run *r, uint32_t u);
/* By value at the end of the way ahead, of equal ones the first in the tree. */
void wave_sort(const struct run *r, struct wave *w);
/* Has a tip reached what u has reached?  Only where the wave has states, and the evaluator knows them. */
bool wave_is_double(const struct run *r, const struct wave *w, uint32_t u);
uint32_t wave_end(const struct wave *w, uint32_t u); /* of the way ahead of u; u itself when there is none */

/* Questions beside the search (asks.c). */
struct question {
    struct asking ask;
    uint64_t key;
    uint32_t max_steps, max_tokens; /* of the reply; 0: as many as it takes */
    const char *reply;              /* out: the evaluator's until its close; "": none */
};
enum { MOST_QUESTIONS = 2 };
/* Asks up to MOST_QUESTIONS at once.  Where memory or a limit does not allow it the run stops and there is no reply; neither is there
 * one where the prompt is longer than the context. */
enum status run_ask(struct run *r, struct question *q, uint32_t n);
/* The verb begin, after evicting others where memory is short.  The branches are the caller's. */
enum status run_begin(struct run *r, struct asking *asks, uint32_t n);
/* What a verb said that was called without run_grow: full and cancelled end the run and are no errors. */
enum status run_soft(struct run *r, enum status s);
/* Text of a chain, for mem_free; NULL: no memory. */
char *run_chain_text(const struct run *r, uint32_t u);

/* The likeliest continuations by one token of up to `width` nodes, compared by the log-probability of the whole chain (likely.c). */
struct continuation {
    uint32_t parent;
    int32_t token;
    float logprob;
    double sum; /* of the whole chain */
};
struct likely {
    struct continuation *items; /* [n <= cap] likeliest first */
    uint32_t n, cap;            /* cap: 2 width, enough even where half of them end their texts */
    struct proposal *asked;     /* [width] */
    int32_t *tokens;            /* [width, cap] */
    float *logprobs;            /* [width, cap] */
};
enum status likely_open(struct run *r, struct likely *l, uint32_t width); /* to be closed on failure too */
void likely_close(struct likely *l);
/* Stops the run when the policy cannot be asked any more; then there are none. */
enum status likely_find(struct run *r, struct likely *l, const uint32_t *nodes, uint32_t n);
/* The batch: n of them from `first` on. */
void likely_plan(struct run *r, const struct likely *l, uint32_t first, uint32_t n);

/* The tree. */
/* A new last child of the try's parent; ends: how, from tree_end_flag.  The caller left room. */
uint32_t tree_add(struct tree *t, const struct try *try, const struct step *step, uint32_t ends);
/* The child with the same text and end; 0: none. */
uint32_t tree_twin(const struct tree *t, uint32_t parent, const char *text, uint32_t ends);
uint32_t tree_end_flag(enum step_end end, uint32_t depth, uint32_t max_depth);
/* Pre-order walk; 0 after the last node.  The order does not depend on how batches were composed. */
uint32_t tree_next(const struct tree *t, uint32_t u);
/* < 0 when a comes before b in pre-order (lower child_index where the paths part). */
int tree_path_compare(const struct tree *t, uint32_t a, uint32_t b);
/* Moves a and b up to the two siblings where their paths part; false when one is above the other. */
bool tree_part(const struct tree *t, uint32_t *a, uint32_t *b);
/* Sum of log-probabilities from the first step to u. */
double tree_logprob(const struct tree *t, uint32_t u);
/* Mean of the backed-up values where there are visits, else the value. */
double node_mean(const struct tree *t, uint32_t u);
/* Complete steps from the prompt to u: its depth, unless nodes are parts of steps or hold several. */
uint32_t tree_steps(const struct tree *t, uint32_t u);
bool tree_has_finished(const struct tree *t);
void tree_drop(struct tree *t, const struct evaluator *ev, uint32_t u);
/* search_check without the pairwise test of branches: linear, cheap enough for an assert in the loop. */
bool tree_check(const struct tree *t, struct error *e);

/* Is chain a better than b?  By value; ties: the chain found more often, then the likelier one, then the first in the tree. */
bool pick_better(const struct tree *t, uint32_t a, uint32_t b);

/* Votes (vote.c).  When independent chains may stop (Aggarwal et al. 2023, arXiv 2305.11860, for `beta`): never; when the chains left
 * cannot change the answer; when it is the more frequent one of the two leading answers with this certainty; when three
 * quarters of 2, 4, 8 ... chains agree. */
enum stop_when { STOP_NEVER, STOP_DECIDED, STOP_BETA, STOP_DOUBLING };
/* How many of the chains left are wanted before one may look again, at least; 0: the vote is over. */
enum status vote_wanted(struct run *r, enum stop_when rule, double level, uint64_t ended, uint64_t left,
                        uint64_t *wanted);
double vote_certainty(double a, double b);
/* The answer of a vote, as res->pick says; n_finished is set. */
enum status vote_pick(const struct tree *t, struct search_result *res, struct error *e);

#endif
