/* run_search.h: `ponder run --search`: the continuation of a text that a search prefers.
 * Not the plain continuation: cmd_run.c.
 * Next: run_search.c, solve/solver.h. */
#ifndef PONDER_RUN_SEARCH_H
#define PONDER_RUN_SEARCH_H

#include "cli/args.h"
#include "solve/sampling.h"
#include "solve/solver.h"
#include "solve/speculative.h"

struct run_search {
    const struct session_options *session;
    struct search_options *search; /* .search is set; seed and sampling are taken from below */
    const struct sampling_options *sampling;
    const struct speculative_options *speculative;
    const char *text; /* NUL-terminated prompt, read as it is */
    bool special, hide_prompt, explain;
    const char *trace; /* a tree file to write; NULL: none */
};

/* The exit code, after one line on stderr when it is not 0.  stdout: the prompt (unless hidden) and the text of the picked chain;
 * stderr: the tree, the answer, the cost. */
int run_search(const struct args *a, const struct run_search *r);

#endif
