/* search_flags.h: the flags of a search: those of every strategy, and those that the strategies' rows name.
 * Not their meaning: solve/solver.h, search/strategy.h.
 * Next: search_flags.c, then cmd_strategies.c. */
#ifndef PONDER_SEARCH_FLAGS_H
#define PONDER_SEARCH_FLAGS_H

#include "cli/args.h"
#include "solve/solver.h"

/* Parts of a command's flags (struct args); options: a struct search_options.  run has names of its own for some and takes
 * the first and the last. */
extern const struct flag search_flags[];      /* what run has too */
extern const struct flag search_task_flags[]; /* the problem and the sampling, in solve and eval */
/* Of commands that run one search. */
/* clang-format off */
#define TRACE_FLAG(type, field) \
    {"trace", NULL, FLAG_TEXT, offsetof(type, field), NULL, 0, 0, "FILE", "write the search down as it goes, as a tree file (see: ponder tree)"}
#define EXPLAIN_FLAG(type, field) \
    {"explain", NULL, FLAG_YES, offsetof(type, field), NULL, 0, 0, NULL, "say after the search why this answer won: votes, values, the runner-up"}
/* clang-format on */
/* Every parameter of every strategy once; made of their rows at the first call. */
const struct flag *strategy_flags(void);

/* The first flag of a search on the command line; NULL: none. */
const char *search_flag_given(const struct args *a);

/* Reads o into s, with the task that it names or that goes with the model, and chooses the models that nobody gave; looks at Ctrl-C
 * from now on.  ARGS_GO_ON, or the exit code after one line on stderr. */
int search_setup(const struct args *a, const struct search_options *o, struct session_options *models, struct solver *s);

#endif
