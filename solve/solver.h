/* solver.h: one problem, one search, one verified outcome; shared by solve, eval and signature.
 * Not a strategy: search/ has those.
 * Next: solver.c. */
#ifndef PONDER_SOLVER_H
#define PONDER_SOLVER_H

#include "search/eval_model.h"
#include "search/strategy.h"
#include "solve/prompt.h"
#include "solve/sampling.h"
#include "solve/session.h"
#include "tasks/task.h"

/* What a user may say about a search, in any order; SEARCH_OPTIONS: nothing.  Texts are borrowed. */
struct search_options {
    const char *problem;                                                   /* its task is meant when none is given */
    const char *task, *search, *agg, *delimiter, *system;                  /* NULL: not given */
    int64_t budget, max_tokens, max_ms, max_depth, max_step_tokens, top_k; /* negative: not given */
    double temp, max_gflops, top_p, min_p;                                 /* negative: not given */
    double value_noise;                                                    /* 0: none */
    int64_t seed;
    bool check, raw, lookup;
    int64_t draft_max; /* with lookup: guesses a pass */
    bool special;      /* raw: names of control tokens in the problem are those tokens */
    int64_t max_new;   /* tokens of a chain; 0: as many as its steps may have */
    struct settings settings;      /* parameters of strategies */
    struct sampling_options words; /* but for n, seed, temp, top_k, top_p, min_p: those above */
};
#define SEARCH_OPTIONS                                                                                                 \
    {                                                                                                                  \
        .budget = -1, .max_tokens = -1, .max_ms = -1, .max_depth = -1, .max_step_tokens = -1, .top_k = -1, .temp = -1, \
        .max_gflops = -1, .top_p = -1, .min_p = -1, .seed = 1, .words = {                                              \
            .typical = 1,                                                                                              \
            .repeat = 1,                                                                                               \
            .repeat_last_n = 64                                                                                        \
        }                                                                                                              \
    }

struct solver { /* constant once set up: any number of threads may use it */
    const struct session *session;
    const struct task *task;
    const struct strategy *strategy;
    struct params params;        /* of the strategy */
    struct search_params common; /* .seed: each problem derives its own */
    uint64_t seed;               /* of the run */
    enum prm_agg agg;
    bool agg_given; /* by the user: else the reward model says it */
    bool check;
    double value_noise; /* as in struct eval_params */
    struct sample_params sampling; /* the temperature is in params */
    struct sampling_options words; /* what else is said about tokens; its texts are borrowed */
    struct sampling drawn;         /* all of it, from solver_attach to solver_close */
    uint32_t guesses; /* a pass, from the text itself; 0: none */
    uint32_t max_step_tokens;
    uint64_t max_new_tokens; /* of a chain; 0: as many as its steps may have */
    uint32_t max_depth;      /* as the user said, 0: as the problem or the task says */
    char delimiter[64];      /* text that ends a step */
    bool one_token;          /* it is a token, and no other text holds it */
    struct prompter prompter;
    struct ptrue *ptrue; /* the question of --verifier ptrue */
    uint32_t priority;   /* of its passes (model/engine.h) */
};

/* The defaults of a task and a strategy. */
void solver_init(struct solver *s, const struct task *task, const struct strategy *strategy);
/* The defaults, and over them what the user said, before there is a session.  ERR_INPUT: one line that begins with the flag. */
enum status solver_setup(struct solver *s, const struct task *task, const struct search_options *o, struct error *e);
/* The models that the search works with: those that nobody gave in o are chosen (models.h; the reward model inside the binary for
 * puzzles, where the strategy wants values).  ERR_INPUT: one was given that the strategy does not use; the line begins with the flag. */
enum status solver_models(const struct solver *s, struct session_options *o, struct error *e);
/* Once the session is open: takes it, the rules of drawing tokens, the model's chat template, the question of P(True), and the
 * reward model's own aggregation unless --agg was given.  ERR_INPUT when the strategy needs what the session does not have (values, a
 * draft model, a checker, a prompt), or when the model has no token of --logit-bias.  s must not move from here on. */
enum status solver_attach(struct solver *s, const struct session *session, struct error *e);
void solver_close(struct solver *s);
/* How much one search takes, and branches that it can have alive, those of questions about them included. */
struct search_room solver_room(const struct solver *s);
uint32_t solver_branches(const struct solver *s);

/* One answer of a vote, as people read it. */
struct vote {
    char answer[64]; /* cut where it is longer */
    double votes;
    uint32_t chains;
};
enum { MOST_VOTES = 8 };

struct outcome {
    bool finished;        /* there is a chain */
    enum verdict verdict; /* the task's checker, asked after the search */
    char *text;           /* owned (outcome_free): the chain that was picked, as it was written; NULL: none */
    char *unfinished;     /* owned: without a finished chain the most promising one, for readers; NULL: none */
    char *answer;         /* owned: in the form that whoever posed the problem reads; NULL: there is no chain */
    char trouble[160];    /* why it could not be tried: the prompt is too long.  "": it was */
    float value;
    enum why_stopped why;
    uint32_t n_finished, n_firsts; /* complete chains; different first steps of theirs */
    struct vote votes[MOST_VOTES]; /* [min(n_votes, MOST_VOTES)] when the answer was voted for, the leader first */
    uint32_t n_votes;              /* different answers */
    struct note notes[MOST_NOTES]; /* [n_notes] the strategy's own numbers */
    uint32_t n_notes;
    struct ledger cost;
    double ms;
    uint64_t signature;
};
void outcome_free(struct outcome *o);

/* Several threads may run several problems at once; each outcome is a function of (solver, problem) only, times apart.  A
 * problem that the context cannot hold is an outcome with .trouble, no error.  o is for outcome_free on success. */
enum status solver_run(const struct solver *s, const struct problem *p, event_fn *on_event, void *arg,
                       struct outcome *o, struct error *e);

/* One search under way, for those who stand between its models and the strategy (tree_file.c). */
struct solver_search {
    const struct solver *solver;
    const struct problem *problem;
    struct eval_model *model; /* NULL: there are none */
    struct evaluator *ev;
    uint64_t seed;        /* of the tree */
    uint64_t deadline_ns; /* of clock_ns, for --max-ms; 0: the time of the search alone counts */
    event_fn *on_event;
    void *arg;
};
/* Runs it: the tree, the strategy, the outcome. */
enum status solver_search(const struct solver_search *x, struct outcome *o, struct error *e);
/* solver_run, but for the search: tap is called with the models open, and calls solver_search. */
typedef enum status solver_tap(void *arg, struct solver_search *x, struct outcome *o, struct error *e);
enum status solver_run_tapped(const struct solver *s, const struct problem *p, solver_tap *tap, void *arg,
                              struct outcome *o, struct error *e);

/* The chain's text, its steps with what ended them, for mem_free; NULL: no memory. */
char *solver_chain_text(const struct solver *s, const struct tree *t, uint32_t node);

/* Reads a problem of --task from a text of the command line.  Errors name the text. */
enum status solver_parse(const struct task *t, const char *text, struct problem *p, struct error *e);

#endif
