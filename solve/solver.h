/* solver.h: one problem, one search, one verified outcome; shared by solve, eval and signature.
 * Not a strategy: search/ has those.
 * Next: solver.c. */
#ifndef PONDER_SOLVER_H
#define PONDER_SOLVER_H

#include "solve/prompt.h"
#include "solve/session.h"
#include "search/eval_model.h"
#include "tasks/task.h"

struct search_options {
    const char *task, *search, *agg, *pick, *backup, *delimiter, *system;
    int64_t budget, seed, batch, beam_width, max_tokens, max_ms, max_depth, max_step_tokens, top_k;
    double temp, c_puct, widen_c, widen_alpha, stop_value, max_gflops, top_p, min_p;
    bool check, raw;
};

/* Without a default here, the strategy's own holds, or the task's.  SEARCH_FLAGS are those of solve and eval; run has names of its
 * own for some, and takes SEARCH_CORE_FLAGS. */
/* What run has too. */
#define SEARCH_CORE_FLAGS(type, field)                                                                                   \
    {"search",                                                                                                           \
     NULL,                                                                                                               \
     FLAG_TEXT,                                                                                                          \
     offsetof(type, field.search),                                                                                       \
     NULL,                                                                                                               \
     0,                                                                                                                  \
     0,                                                                                                                  \
     "NAME",                                                                                                             \
     "greedy, bon, weighted, maj, beam or mcts (default: mcts; maj for problems in words)"},                             \
        {"budget", NULL, FLAG_INT, offsetof(type, field.budget), NULL, 1, 1e6, "N", "chains, beams or tree expansions"}, \
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
        {"agg",                                                                                                          \
         NULL,                                                                                                           \
         FLAG_CHOICE,                                                                                                    \
         offsetof(type, field.agg),                                                                                      \
         NULL,                                                                                                           \
         0,                                                                                                              \
         0,                                                                                                              \
         "last|min|product|mean",                                                                                        \
         "step values -> value of a chain (default: the model's)"},                                                      \
        {"step-delimiter",                                                                                               \
         NULL,                                                                                                           \
         FLAG_TEXT,                                                                                                      \
         offsetof(type, field.delimiter),                                                                                \
         NULL,                                                                                                           \
         0,                                                                                                              \
         0,                                                                                                              \
         "TEXT",                                                                                                         \
         "what ends a step; \\n and \\t are read (default: the line end; a blank line for problems in words)"},          \
        {"max-step-tokens",                                                                                              \
         NULL,                                                                                                           \
         FLAG_INT,                                                                                                       \
         offsetof(type, field.max_step_tokens),                                                                          \
         NULL,                                                                                                           \
         1,                                                                                                              \
         1 << 20,                                                                                                        \
         "N",                                                                                                            \
         "longer steps are given up (default 64; 256 for problems in words)"},                                           \
    {                                                                                                                    \
        "max-depth", NULL, FLAG_INT, offsetof(type, field.max_depth), NULL, 1, 1 << 16, "N",                             \
            "steps of a chain (default: as many as a puzzle can have; 32 for problems in words)"                         \
    }
#define SEARCH_FLAGS(type, field)                                                                                      \
    SEARCH_CORE_FLAGS(type, field),                                                                                    \
        {"seed", "s", FLAG_INT, offsetof(type, field.seed), "1", 0, 9e15, "N", "same seed, same search"},              \
        {"task",                                                                                                       \
         NULL,                                                                                                         \
         FLAG_TEXT,                                                                                                    \
         offsetof(type, field.task),                                                                                   \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         "NAME",                                                                                                       \
         "game24, countdown, math or gsm8k (default: game24; math for models of others)"},                             \
        {"check",                                                                                                      \
         NULL,                                                                                                         \
         FLAG_YES,                                                                                                     \
         offsetof(type, field.check),                                                                                  \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "let the search ask the task's checker"},                                                                     \
        {"temp", NULL, FLAG_REAL, offsetof(type, field.temp), NULL, 0, 100, "X", "temperature of sampled steps"},      \
        {"top-k", NULL, FLAG_INT, offsetof(type, field.top_k), NULL, 0, 1e9, "N", "only the N likeliest; 0 = all"},    \
        {"top-p",                                                                                                      \
         NULL,                                                                                                         \
         FLAG_REAL,                                                                                                    \
         offsetof(type, field.top_p),                                                                                  \
         NULL,                                                                                                         \
         0,                                                                                                            \
         1,                                                                                                            \
         "X",                                                                                                          \
         "only the likeliest with together this probability (default 1; 0.95 for problems in words)"},                 \
        {"min-p",                                                                                                      \
         NULL,                                                                                                         \
         FLAG_REAL,                                                                                                    \
         offsetof(type, field.min_p),                                                                                  \
         NULL,                                                                                                         \
         0,                                                                                                            \
         1,                                                                                                            \
         "X",                                                                                                          \
         "only tokens this likely, the best one being 1; 0 = all"},                                                    \
        {"raw",                                                                                                        \
         NULL,                                                                                                         \
         FLAG_YES,                                                                                                     \
         offsetof(type, field.raw),                                                                                    \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "problems in words: the text alone is the prompt, without chat template and instruction"},                    \
    {                                                                                                                  \
        "system-prompt", "sys", FLAG_TEXT, offsetof(type, field.system), NULL, 0, 0, "TEXT",                           \
            "problems in words: the system message"                                                                    \
    }

struct solver { /* constant once set up: any number of threads may use it */
    const struct session *session;
    const struct task *task;
    const struct strategy *strategy;
    struct search_params params; /* .seed: of the run; each problem derives its own */
    uint64_t seed;
    enum prm_agg agg;
    bool agg_given; /* by the user: else the reward model says it */
    bool check;
    struct sample_params sampling; /* the temperature is in params */
    uint32_t max_step_tokens;
    uint64_t max_new_tokens; /* of a chain; 0: as many as its steps may have */
    uint32_t max_depth;      /* as the user said, 0: as the problem or the task says */
    char delimiter[64];      /* text that ends a step */
    bool one_token;          /* it is a token, and no other text holds it */
    struct prompter prompter;
    struct ptrue *ptrue; /* the question of --verifier ptrue */
};

/* The defaults of a task and a strategy. */
void solver_init(struct solver *s, const struct task *task, const struct strategy *strategy);
/* Reads the flags into s, before there is a session; `model`: the policy's name, which decides what the task is when no flag
 * says it.  ARGS_GO_ON, or the exit code after one line on stderr. */
int solver_setup(const struct args *a, const struct search_options *o, const char *model, struct solver *s);
/* Once the session is open: takes it, the model's chat template, the question of P(True), and the reward model's own aggregation
 * unless --agg was given.  ERR_INPUT when the strategy needs values and nothing gives them. */
enum status solver_attach(struct solver *s, const struct session *session, struct error *e);
void solver_close(struct solver *s);
/* Branches that one search can have alive. */
uint32_t solver_branches(const struct solver *s);
/* Problems in words: the answer is a part of a text that is worth reading. */
static inline bool task_has_words(const struct task *t) { return t->instruction != NULL; }

struct outcome {
    bool finished;             /* there is a chain */
    enum verdict verdict;      /* the task's checker, asked after the search */
    char *text;                /* owned (outcome_free): the chain that was picked, as it was written; NULL: none */
    char *unfinished;          /* owned: without a finished chain the most promising one, for readers; NULL: none */
    char answer[CD_TEXT + 64]; /* for people, in one line: "4 * (7 - 8 / 8) = 24" */
    char trouble[160];         /* why it could not be tried: the prompt is too long.  "": it was */
    float value;
    enum why_stopped why;
    uint32_t n_finished;
    struct ledger cost;
    double ms;
    uint64_t signature;
};
void outcome_free(struct outcome *o);

/* Several threads may run several problems at once; each outcome is a function of (solver, problem) only, times apart.  A
 * problem that the context cannot hold is an outcome with .trouble, no error.  o is for outcome_free on success. */
enum status solver_run(const struct solver *s, const struct problem *p, event_fn *on_event, void *arg,
                       struct outcome *o, struct error *e);

/* Reads a problem of --task from a text of the command line.  Errors name the text. */
enum status solver_parse(const struct task *t, const char *text, struct problem *p, struct error *e);

#endif
