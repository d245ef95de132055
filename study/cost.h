/* cost.h: what one line of a file of results says that a problem cost.
 * Not the ledger of a search: search/search.h.
 * Next: compare.h. */
#ifndef PONDER_COST_H
#define PONDER_COST_H

#include <jansson.h>

/* Tokens with those of the prompt; FLOPs of policy and reward model together in COST_FLOPS. */
enum cost { COST_POLICY_TOKENS, COST_PRM_TOKENS, COST_POLICY_FLOPS, COST_PRM_FLOPS, COST_FLOPS, COST_MS, N_COSTS };

const char *cost_name(enum cost c); /* "policy tokens" */
double cost_of(const json_t *line, enum cost c);

#endif
