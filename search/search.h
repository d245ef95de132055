/* search.h: the seam between strategies and models, the tree, budgets, ledger and events.
 * Not a model and not a task: a strategy sees steps, log-probabilities, rewards and opaque branches only, so every one of
 * them is tested exactly on a toy evaluator.
 * Next: search/strategy.h for the strategies; eval_model.c puts real models behind this seam. */
#ifndef PONDER_SEARCH_H
#define PONDER_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ask.h"
#include "base/status.h"

/* A handle given out by an evaluator: tokens + policy KV + PRM KV of one chain.  0 is never a branch. */
typedef uint32_t branch_id;

enum step_end {
    STEP_SEPARATOR, /* the step is complete, the chain goes on */
    STEP_FINISHED,  /* the end token: the chain is complete */
    STEP_TRUNCATED, /* cut by max_step_tokens, by the context, by max_depth or by a limit of the run: never an answer */
    STEP_DEAD,      /* the model gave no usable distribution (NaN) */
    STEP_OPEN,      /* max_tokens of this call are written: the next call for this branch goes on with the same step */
};

/* Tokens to make on one branch, in place: the rest of its step, up to max_tokens of them, or all steps to the chain's
 * end.  Token i of a step is draw i of the stream `key`, so a step made in parts, each with the same key, is bit for
 * bit the step made at once.  With to_end the chain's step s (0 is the first behind the prompt) has the stream
 * rng_fold(key, s). */
struct step {
    branch_id branch;    /* in */
    uint64_t key;        /* in: random stream of this step (base/rng.h); equal keys and chains give equal steps */
    float temperature;   /* in: 0 = greedy */
    uint32_t max_tokens; /* in: of this call; 0: as many as it takes */
    bool to_end;         /* in: go on with further steps until the chain ends (rollouts) */
    uint32_t max_steps;  /* in: with to_end, of this call; 0: as many as it takes */
    bool draft;          /* in: the draft model writes; needs CAN_DRAFT */
    branch_id apart;     /* in: the chain that the branch was forked from: the step is none of those that were written
                            with the same `apart` in earlier rounds, the others share their probability; 0: any */
    float floor;         /* in: with apart: tokens less likely than this share of the likeliest are not drawn */
    uint32_t round;      /* in: with apart: steps of one round do not know of each other, however calls are cut */
    bool rate;           /* in: with draft: the policy reads the step, in one pass, and logprob is its own */
    const char *text;    /* out: what this call added, without what ended the last step; NUL-terminated, owned by the
                            evaluator until its close.  The parts of an open step are joined with nothing between */
    uint32_t n_tokens;   /* out: tokens that this call added, separator or end token included */
    uint32_t n_steps;    /* out: steps that came to an end in this call */
    float logprob;       /* out: sum of log p(token) at temperature 1, by the model that wrote, unless rate */
    double left;         /* out: with apart: share of the distribution that earlier rounds had left; STEP_DEAD without
                            tokens when that is nothing */
    enum step_end end;   /* out */
    uint64_t flops;      /* out: of the model that wrote */
    /* [n_tokens] of this call, where tokens are told (enum telling): out, the evaluator's until its close.  While it
     * recites: in, with n_tokens, end and flops. */
    const int32_t *tokens;
    const float *logprobs;
    const float *shares; /* with apart, the same: the probability of each token before the others took theirs */
};

/* Cost of a search so far.  Written by evaluators (model cost) and strategies (simulations).  The first part is what the
 * search costs alone with memory enough: equal for equal searches, in a crowd and with hardly any pages too.  Work done
 * twice for want of memory, or saved because another search had read the same prompt, stands in the second part. */
struct ledger {
    uint64_t prompt_tokens, generated_tokens, prm_tokens;
    uint64_t policy_flops, prm_flops;
    uint64_t shared_tokens; /* tokens whose KV a fork re-used instead of computing them again, policy and PRM */
    uint64_t forks;
    uint64_t simulations; /* chains sampled, beams extended or MCTS expansions, as the strategy says */
    /* of this run */
    uint64_t pages_copied;
    uint64_t replayed_tokens; /* KV that was evicted, to be computed again */
    uint64_t cached_tokens;   /* of prompts, found where other searches had left them */
    uint64_t peak_kv_bytes;   /* of the engines, since they were made */
    uint64_t ns;              /* wall time of the runs; written by strategies */
};

/* Given tokens become the branch's newest ones as if the policy had written them: "Wait", the end of a thought, a
 * critique, steps of a draft.  They are `tokens`, or what the branch `from` has beyond this one, or `text`.  A finished
 * chain may go on that way. */
struct put {
    branch_id branch;
    const int32_t *tokens; /* [n_tokens]; NULL: see from */
    branch_id from;        /* begins with the tokens of `branch`; 0: see text */
    const char *text;
    bool special;      /* control tokens in the text count as such; else it is all plain */
    bool rate;         /* also read the log-probabilities under the policy: one pass */
    uint32_t n_tokens; /* in with tokens; out */
    float logprob;     /* out: their sum at temperature 1; 0 unless rated */
    enum step_end end; /* out: how the newest step ends; STEP_OPEN: not yet */
    const char *added; /* out: their text, as that of struct step */
    uint64_t flops;    /* out */
    const int32_t *ids; /* out: [n_tokens] where tokens are told */
};

/* What would the policy write next? */
struct proposal {
    branch_id branch;
    uint32_t k;      /* in: how many tokens are wanted */
    int32_t *tokens; /* out: [k] the likeliest, largest first, ties to lower ids; the caller's memory */
    float *logprobs; /* out: [k] at temperature 1 over the whole vocabulary */
    uint32_t n;      /* out: how many there are; 0: no usable distribution (NaN) */
    float entropy;   /* out: of the whole distribution, in nats */
    uint64_t flops;  /* out */
};

/* Prompts about one problem (base/ask.h): the task writes them. */
const char *ask_name(enum ask a);
struct asking {
    enum ask ask;
    branch_id about;  /* in: the chain it is about; 0: none yet */
    const char *note; /* in: what else the prompt shows, for instance a critique; NULL: nothing */
    branch_id branch; /* out: a new branch on that prompt, nothing written after it */
    uint32_t n_tokens; /* out: of the prompt */
    uint64_t flops;    /* out */
};

/* What a checker says of a finished chain. */
struct feedback {
    float reward;       /* in [0,1]; 1: right */
    const char *reason; /* for people, and for a model that revises; "": none.  The evaluator's until its close */
};

/* What the newest value of a branch has cost. */
struct value_cost {
    uint64_t tokens, flops; /* of the judge */
    uint64_t policy_flops;  /* of reading the chain, for judges that go on from there */
};

/* For those who write a search down and do it again (search/cassette.h).  TELL_TOKENS: steps and puts say their tokens,
 * steps also what each had for a log-probability.  TELL_RECITED: what steps, values and proposals would be is known and given
 * by the caller; no model computes it, and it costs the ledger what it would have cost.  What a policy says of tokens that
 * others wrote (rate) is computed again. */
enum telling { TELL_NOTHING, TELL_TOKENS, TELL_RECITED };

/* What a run hands to its evaluator before its first call.  Every verb obeys it within one pass of a model: extend then
 * gives the steps as far as they are, marked STEP_TRUNCATED; the others return ERR_CANCELLED and have done nothing.
 * score obeys the deadline and cancel only: what was written within the other limits is valued. */
struct limits {
    uint64_t deadline_ns;         /* of clock_ns; 0: none */
    const volatile int *cancel;   /* non-zero: stop; NULL: nobody cancels */
    uint64_t max_tokens;          /* what the ledger may reach, generated + PRM; 0: no limit */
    uint64_t max_flops;           /* the same for policy + PRM */
    bool (*make_room)(void *arg); /* KV is short: evicts what is needed least; false: there is nothing.  May be NULL */
    void *arg;
};
bool limits_reached(const struct limits *l, const struct ledger *cost); /* any of them; l may be NULL */
bool limits_stopped(const struct limits *l);                            /* the deadline or a cancel */

/* Verbs of an evaluator that not every one has.  A strategy says which it needs and is refused before it starts. */
enum capability {
    CAN_VALUE = 1,    /* score */
    CAN_CHECK = 2,    /* check */
    CAN_ANSWER = 4,   /* answer */
    CAN_PUT = 8,      /* put */
    CAN_PROPOSE = 16, /* propose */
    CAN_DRAFT = 32,   /* extend with .draft */
    CAN_STATE = 64,   /* state */
    CAN_ASK = 128,    /* begin; CAN_ASK << ask for each one that the task has a prompt for */
    CAN_ALL = (CAN_ASK << N_ASKS) - 1,
};

/* What an evaluator offers; in batch form where a pass is shared.  ERR_FULL: KV pages or branches are used up and
 * nothing of that call has been done (all or nothing).  A verb that `can` does not name is NULL. */
struct evaluator {
    void *self;
    branch_id root;                                    /* the prompt, already read; owned by the evaluator */
    struct ledger *ledger;                             /* never NULL */
    unsigned can;                                      /* set of enum capability */
    void (*limit)(void *self, const struct limits *l); /* copied; NULL: none.  Holds until the next call of it */
    enum status (*fork)(void *self, branch_id from, branch_id *to, struct error *e);
    void (*drop)(void *self, branch_id *b); /* nulls it */
    /* Frees the KV but not the tokens of a branch; it is rebuilt, bit for bit, when the branch is used again. */
    void (*evict)(void *self, branch_id b);
    enum status (*extend)(void *self, struct step *steps, size_t n, struct error *e);
    /* value[i] in [0,1]: the judge's value of chain i up to its newest step.  CAN_VALUE. */
    enum status (*score)(void *self, const branch_id *branches, size_t n, float *value, struct error *e);
    /* What a checker says of a finished chain.  CAN_CHECK: only if the user allows a checker during the search. */
    struct feedback (*check)(void *self, branch_id b);
    /* Canonical answer of a finished chain, NUL-terminated, owned by the evaluator; "" when it holds none. */
    const char *(*answer)(void *self, branch_id b);
    /* Key of what the chain has reached: equal keys have the same future, whatever led there; 0: unknown. */
    uint64_t (*state)(void *self, branch_id b);
    enum status (*put)(void *self, struct put *puts, size_t n, struct error *e);
    enum status (*propose)(void *self, struct proposal *proposals, size_t n, struct error *e);
    enum status (*begin)(void *self, struct asking *askings, size_t n, struct error *e);
    enum status (*tell)(void *self, enum telling how, struct error *e); /* from now on; NULL: it cannot */
    struct value_cost (*value_cost)(void *self, branch_id b);           /* with tell */
};
/* The first of `needs` that the evaluator lacks, in words ("values", "a draft model" ...); NULL: it can all of them. */
const char *evaluator_lacks(const struct evaluator *ev, unsigned needs);

/* 0 = no limit; no limit at all means the strategy's default number of simulations.  Shared by all strategies; every one
 * is anytime.  Limits hold for one run (the prompt was paid before it).  A strategy sizes its batches to what is left, and the
 * evaluator stops within one pass where the plan was wrong. */
struct budget {
    uint64_t
        simulations; /* the number users give as --budget: chains, beams or tree expansions, as the strategy says */
    uint64_t tokens; /* generated + PRM */
    uint64_t flops;  /* policy + PRM */
    uint64_t ns;
};

enum why_stopped {
    WHY_DONE,        /* the strategy came to its own end: all chains or beams are complete */
    WHY_SOLVED,      /* a chain was checked right or reached stop_value */
    WHY_SIMULATIONS, /* strategies that could go on for ever: all tries are used */
    WHY_TOKENS,
    WHY_FLOPS,
    WHY_TIME,
    WHY_KV_FULL, /* not even one branch could be extended */
    WHY_NODES,   /* the node arena is full */
    WHY_CANCELLED,
    WHY_DECIDED, /* further votes were not needed */
    WHY_ERROR,
};
const char *why_name(enum why_stopped w);

/* What all strategies share; what only some of them know is in their rows (search/strategy.h). */
struct search_params {
    uint64_t seed;              /* root of all random streams */
    struct budget budget;       /* when to stop */
    float temperature;          /* of sampled steps */
    uint32_t max_depth;         /* steps per chain */
    const volatile int *cancel; /* non-zero: stop with the best so far; may be NULL */
};

/* One node = one step of one chain.  Node 0 is the prompt.
 *
 *        0 prompt
 *       / \
 *      1   2     first_child / next_sibling lists, in order of creation
 *     / \
 *    3   4                                                                                       */
enum node_flag {
    NODE_FINISHED = 1,
    NODE_TRUNCATED = 2,
    NODE_DEAD = 4,
    NODE_TERMINAL = NODE_FINISHED | NODE_TRUNCATED | NODE_DEAD,
    NODE_PRUNED = 8,
    NODE_CHECKED_RIGHT = 16,
    NODE_CHECKED_WRONG = 32,
    NODE_EVICTED = 64, /* the branch is held without its KV */
    NODE_BUSY = 128,   /* in the call under way: not to be evicted */
    NODE_SCORED = 256, /* value is there */
    NODE_PART = 512,   /* ends inside a step: its text goes on without anything between */
    NODE_DRAFTED = 1024, /* the draft model wrote it */
};
struct node {
    /* constant after creation */
    uint32_t parent, depth, child_index; /* child_index: number of the try at the parent that made it */
    uint64_t key;
    const char *text;
    float logprob;
    uint32_t n_tokens;
    uint32_t n_steps; /* that came to an end in it: 1, unless steps are made in parts, or several in one node */
    /* links, written when a child is added */
    uint32_t first_child, last_child, next_sibling, n_children;
    /* evaluation */
    float value;           /* PRM (or checker) value when created */
    uint32_t flags;        /* enum node_flag */
    branch_id branch;      /* 0 when dropped */
    uint64_t answer;       /* hash of a finished chain's canonical answer; 0 = it holds none */
    uint32_t tries;        /* steps sampled below this node */
    uint32_t multiplicity; /* tries of the parent that gave this step: 1 + merged duplicates */
};

struct column;
struct tree {
    struct node *nodes; /* [cap], arena of 32-bit indices */
    uint32_t n, cap;
    struct column *columns; /* what strategies keep beside the nodes */
};

/* Numbers of one strategy for every node: [cap] items of `size` bytes, zeroed, made when they are first asked for, freed with
 * the tree.  The address of `name` does not matter, its text does.  NULL: no memory. */
void *tree_column(struct tree *t, const char *name, size_t size);

/* The column of strategies that visit: Monte-Carlo statistics. */
struct visits {
    uint32_t n, in_flight; /* finished visits; visits begun in the batch under way */
    double sum;            /* of backed-up values */
    float best;            /* largest backed-up value */
};
/* [cap]; NULL: nobody visits this tree. */
const struct visits *tree_visits(const struct tree *t);

enum event_kind { EVENT_MADE, EVENT_SCORED, EVENT_VISITED, EVENT_PRUNED, EVENT_FINISHED, EVENT_DONE };
struct event {
    enum event_kind kind;
    uint32_t node;
    const struct tree *tree;
    const struct ledger *ledger;
    const struct search_result *result; /* EVENT_DONE only, else NULL */
};
typedef void event_fn(void *arg, const struct event *event);

/* Finished chains -> one answer: the best one; votes weighted by values, by one each; the most visited path; votes weighted by the
 * mean probability of the chain's tokens, or of those of its least likely step. */
enum pick { PICK_BEST, PICK_WEIGHTED, PICK_MAJORITY, PICK_VISITS, PICK_CONFIDENT, PICK_LOWEST };
const char *pick_name(enum pick p); /* "best", "weighted" ... */

/* What a strategy has to say of its run: how many steps were drafted, how many chains were rejected ... */
struct note {
    const char *name; /* constant text */
    double value;
};
enum { MOST_NOTES = 4 };

struct search_result {
    uint32_t node; /* finished node whose chain is the answer; 0 = none finished */
    float value;   /* its value, or its share of the votes */
    enum why_stopped why;
    uint32_t n_finished; /* finished chains seen */
    uint32_t n_firsts;   /* different first steps that they begin with: 1 = all have one ancestor */
    enum pick pick;      /* how the answer was picked */
    struct note notes[MOST_NOTES];
    uint32_t n_notes;
};

/* All finished chains with one canonical answer. */
struct tally {
    uint64_t answer;
    double votes;
    uint32_t chains, node; /* the best of them speaks for all */
};
/* The key of a canonical answer in struct node; 0: it holds none. */
uint64_t search_answer_key(const char *answer);
/* Fills to [as many as there are finished chains], the leader first; chains without an answer are left out.  Returns how
 * many. */
uint32_t search_tally(const struct tree *t, enum pick how, struct tally *to);
/* Fills res->node, value, pick and the counts from all finished chains of the tree. */
enum status pick_answer(const struct tree *t, enum pick pick, struct search_result *res, struct error *e);

/* A tree with room for n_nodes nodes, 2 or more, and the prompt as node 0; search_close drops all branches still held. */
enum status search_open(struct tree *t, const struct evaluator *ev, uint64_t seed, uint32_t n_nodes, struct error *e);
void search_close(struct tree *t, const struct evaluator *ev);

/* Text of the chain from the first step to `node`, steps joined by '\n'.  Returns the length, cut at cap. */
size_t search_chain_text(const struct tree *t, uint32_t node, char *text, size_t cap);

/* The most promising of the chains that came to no end, for readers only: the last step with an evaluation decides,
 * then the number of tokens, then the likelihood.  0: there is none. */
uint32_t search_unfinished(const struct tree *t);

/* Invariants: links, depths, visit sums, no branch held twice.  True when they hold; else e says which and where. */
bool search_check(const struct tree *t, struct error *e);

/* A hash of everything a search decided (texts, values, visits, order): equal for equal searches.  make signature. */
uint64_t search_signature(const struct tree *t, const struct search_result *r);

#endif
