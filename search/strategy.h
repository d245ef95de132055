/* strategy.h: strategies as rows: name, parameters, what they need and how much room they take; and how one is run.
 * Not the seam to models: search.h.  Not for strategies themselves: search_internal.h has what they share.
 * Next: search/strategies/greedy.c, the shortest row; strategy.c lists them.
 *
 * Flags, help, errors, result headers and `ponder strategies` are made of these rows, so that a new strategy is one file and
 * one word in strategy.c. */
#ifndef PONDER_STRATEGY_H
#define PONDER_STRATEGY_H

#include <stdalign.h>

#include "search/search.h"

enum param_kind {
    PARAM_COUNT,  /* uint32_t in [low, high] */
    PARAM_REAL,   /* float in [low, high]; a NaN never is */
    PARAM_CHOICE, /* uint32_t: place in `choices`, "a|b|c" */
    PARAM_YES,    /* bool */
};
struct param {
    const char *flag, *summary; /* "c-puct" for --c-puct */
    enum param_kind kind;
    size_t offset; /* in the strategy's struct of parameters */
    double low, high;
    const char *choices;
};

/* How much a strategy takes at most: nodes of its tree, branches alive at once, steps of one batch. */
struct search_room {
    uint32_t nodes, branches, batch;
};

/* Common settings that a strategy has no use for. */
enum without { WITHOUT_TEMPERATURE = 1, WITHOUT_BUDGET = 2 };

struct run;
struct strategy {
    const char *name, *summary, *source;
    const char *unit;               /* what --budget counts */
    unsigned needs;                 /* set of enum capability: without them it is refused */
    unsigned (*needs_too)(const void *params); /* what these parameters need beside; NULL: nothing */
    unsigned without;               /* set of enum without */
    uint32_t simulations[2];        /* default of --budget: for puzzles, for problems in words */
    const struct param *params;     /* ends in a row without flag; NULL: none */
    const void *defaults;           /* the parameters' struct, of `size` bytes; NULL: none */
    const void *defaults_for_words; /* NULL: the same */
    size_t size;
    struct search_room (*room)(const struct search_params *common, const void *params);
    enum status (*run)(struct run *r, const void *params);
};
extern const struct strategy *const strategy_table[]; /* ends in NULL */
const struct strategy *strategy_find(const char *name);
/* "greedy, bon, ...".  Returns text. */
const char *strategy_names(char *text, size_t cap);

/* Storage for the parameters of any strategy. */
enum { STRATEGY_PARAMS = 128 };
struct params {
    alignas(double) unsigned char bytes[STRATEGY_PARAMS];
};

/* All that it needs with these parameters. */
unsigned strategy_needs(const struct strategy *s, const void *params);
void strategy_defaults(const struct strategy *s, bool words, struct params *p);
/* The row's parameter of this name (the first `size` bytes of flag); NULL: it has none. */
const struct param *strategy_param(const struct strategy *s, const char *flag, size_t size);
/* "beam, mcts": those that have a parameter of this name.  Returns text. */
const char *strategy_owners(const char *flag, char *text, size_t cap);
/* ERR_INPUT: one line that names flag, value and what is allowed. */
enum status param_set(const struct param *p, struct params *to, const char *text, struct error *e);
double param_get(const struct param *p, const void *params);
/* Parameters as text, from flags or JSON, before the strategy is known. */
enum { SETTINGS_CAP = 32 };
struct settings {
    int n;
    struct {
        const char *flag, *text; /* borrowed */
    } items[SETTINGS_CAP];
};
/* ERR_INPUT also for a flag that the strategy does not have: the line names those that do. */
enum status strategy_set(const struct strategy *s, const struct settings *from, struct params *to, struct error *e);
/* The value as a user would type it.  Returns text. */
const char *param_text(const struct param *p, const void *params, char *text, size_t cap);
/* The allowed values, "0 to 1", "mean|max". */
const char *param_range(const struct param *p, char *text, size_t cap);

/* What a run is given. */
struct search {
    struct evaluator *ev;
    struct tree *tree; /* open; what an earlier run left in it is continued */
    struct search_params common;
    event_fn *on_event; /* may be NULL */
    void *arg;
    /* Nodes keep their branches when the strategy is done with them, so that another one can go on below them.  Takes a branch
     * for every node. */
    bool keep;
    bool nested; /* part of another run: no EVENT_DONE at its end */
};
struct search_room search_room(const struct strategy *s, const struct search_params *common, const void *params);
/* The default number of simulations when the budget has no limit at all; else the budget's (0: another limit ends it). */
uint64_t search_simulations(const struct strategy *s, const struct budget *b);
/* Runs to the end of the budget.  params: of this strategy.  res is the answer so far, valid also on errors.  ERR_INPUT: params
 * out of range, or an ability is missing; nothing was done then. */
enum status search_run(const struct strategy *s, const struct search *on, const void *params, struct search_result *res,
                       struct error *e);

#endif
