/* solver.h: one problem, one search, one verified outcome; shared by solve, eval and signature.
 * Not a strategy: search/ has those.
 * Next: solver.c. */
#ifndef PONDER_SOLVER_H
#define PONDER_SOLVER_H

#include "cli/session.h"
#include "search/eval_model.h"
#include "tasks/task.h"

struct search_options {
    const char *task, *search, *agg, *pick, *backup;
    int64_t budget, seed, batch, beam_width, max_tokens, max_ms;
    double temp, c_puct, widen_c, widen_alpha, stop_value, max_gflops;
    bool check;
};

/* Without a default here, the strategy's own holds. */
#define SEARCH_FLAGS(type, field)                                                                                        \
    {"search",                                                                                                           \
     NULL,                                                                                                               \
     FLAG_TEXT,                                                                                                          \
     offsetof(type, field.search),                                                                                       \
     "mcts",                                                                                                             \
     0,                                                                                                                  \
     0,                                                                                                                  \
     "NAME",                                                                                                             \
     "greedy, bon, weighted, maj, beam or mcts"},                                                                        \
        {"budget", NULL, FLAG_INT, offsetof(type, field.budget), NULL, 1, 1e6, "N", "chains, beams or tree expansions"}, \
        {"seed", "s", FLAG_INT, offsetof(type, field.seed), "1", 0, 9e15, "N", "same seed, same search"},                \
        {"task", NULL, FLAG_TEXT, offsetof(type, field.task), "game24", 0, 0, "NAME", "game24 or countdown"},            \
        {"check",                                                                                                        \
         NULL,                                                                                                           \
         FLAG_YES,                                                                                                       \
         offsetof(type, field.check),                                                                                    \
         NULL,                                                                                                           \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL,                                                                                                           \
         "let the search ask the task's checker"},                                                                       \
        {"max-tokens",                                                                                                   \
         NULL,                                                                                                           \
         FLAG_INT,                                                                                                       \
         offsetof(type, field.max_tokens),                                                                               \
         NULL,                                                                                                           \
         1,                                                                                                              \
         1e12,                                                                                                           \
         "N",                                                                                                            \
         "stop after so many tokens, policy + PRM"},                                                                     \
        {"max-gflops", NULL, FLAG_REAL, offsetof(type, field.max_gflops),        NULL,                                   \
         1e-6,         1e9,  "X",       "stop after so many GFLOP, policy + PRM"},                                       \
        {"max-ms",                                                                                                       \
         NULL,                                                                                                           \
         FLAG_INT,                                                                                                       \
         offsetof(type, field.max_ms),                                                                                   \
         NULL,                                                                                                           \
         1,                                                                                                              \
         1e9,                                                                                                            \
         "N",                                                                                                            \
         "stop after so many milliseconds (then timing decides)"},                                                       \
        {"temp", NULL, FLAG_REAL, offsetof(type, field.temp), NULL, 0, 100, "X", "temperature of sampled steps"},        \
        {"batch", NULL, FLAG_INT, offsetof(type, field.batch), NULL, 1, 4096, "N", "steps extended together"},           \
        {"beam-width",                                                                                                   \
         NULL,                                                                                                           \
         FLAG_INT,                                                                                                       \
         offsetof(type, field.beam_width),                                                                               \
         NULL,                                                                                                           \
         1,                                                                                                              \
         1e6,                                                                                                            \
         "N",                                                                                                            \
         "beam: how many go on (about sqrt(budget))"},                                                                   \
        {"c-puct", NULL, FLAG_REAL, offsetof(type, field.c_puct), NULL, 0, 1e6, "X", "mcts: exploration"},               \
        {"widen-c", NULL, FLAG_REAL, offsetof(type, field.widen_c),       NULL,                                          \
         1e-3,      1e6,  "X",       "mcts: children <= c * visits^alpha"},                                              \
        {"widen-alpha", NULL, FLAG_REAL, offsetof(type, field.widen_alpha), NULL, 0, 1, "X", "mcts: see widen-c"},       \
        {"stop-value",                                                                                                   \
         NULL,                                                                                                           \
         FLAG_REAL,                                                                                                      \
         offsetof(type, field.stop_value),                                                                               \
         NULL,                                                                                                           \
         0,                                                                                                              \
         1e6,                                                                                                            \
         "X",                                                                                                            \
         "stop at a finished chain of this value; above 1 = never"},                                                     \
        {"backup",                                                                                                       \
         NULL,                                                                                                           \
         FLAG_CHOICE,                                                                                                    \
         offsetof(type, field.backup),                                                                                   \
         NULL,                                                                                                           \
         0,                                                                                                              \
         0,                                                                                                              \
         "mean|max",                                                                                                     \
         "mcts: value of a node from its children"},                                                                     \
        {"pick",                                                                                                         \
         NULL,                                                                                                           \
         FLAG_CHOICE,                                                                                                    \
         offsetof(type, field.pick),                                                                                     \
         NULL,                                                                                                           \
         0,                                                                                                              \
         0,                                                                                                              \
         "best|weighted|majority|visits",                                                                                \
         "finished chains -> one answer"},                                                                               \
    {                                                                                                                    \
        "agg", NULL, FLAG_CHOICE, offsetof(type, field.agg), NULL, 0, 0, "last|min|product|mean",                        \
            "step values -> value of a chain (default: the model's)"                                                     \
    }

struct solver { /* constant once set up: any number of threads may use it */
    const struct session *session;
    const struct task *task;
    const struct strategy *strategy;
    struct search_params params; /* .seed: of the run; each problem derives its own */
    uint64_t seed;
    enum prm_agg agg;
    bool check;
};

/* Reads the flags into s, before there is a session.  ARGS_GO_ON, or the exit code after one line on stderr. */
int solver_setup(const struct args *a, const struct search_options *o, struct solver *s);
/* Once the session is open: takes it, and the reward model's own aggregation unless --agg was given.  ERR_INPUT when the strategy
 * needs a reward model and there is none. */
enum status solver_attach(struct solver *s, const struct args *a, const struct session *session, struct error *e);
/* Branches that one search can have alive. */
uint32_t solver_branches(const struct solver *s);

enum { ANSWER_TEXT = CD_TEXT + 64 };
struct outcome {
    bool finished, correct; /* correct: the task's checker, asked after the search */
    char steps[CD_TEXT];    /* the chain that was picked, one step a line */
    char answer
        [ANSWER_TEXT]; /* for people: "4 * (7 - 8 / 8) = 24"; the steps in one line when they make no expression */
    float value;
    enum why_stopped why;
    uint32_t n_finished;
    struct ledger cost;
    double ms;
    uint64_t signature;
};

/* Several threads may run several problems at once; each outcome is a function of (solver, problem) only, times apart. */
enum status solver_run(const struct solver *s, const struct problem *p, event_fn *on_event, void *arg,
                       struct outcome *o, struct error *e);

/* Reads a problem of --task from a text of the command line.  Errors name the text. */
enum status solver_parse(const struct task *t, const char *text, struct problem *p, struct error *e);

#endif
