/* report.h: outcomes as JSON and as one line of cost.
 * Not the file of results: results.h.
 * Next: report.c. */
#ifndef PONDER_REPORT_H
#define PONDER_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "solve/solver.h"

/* "cost: 412 policy + 388 PRM tokens, ..." */
void report_cost(const struct ledger *l, double seconds, FILE *to);

/* "votes: 8: 5, 5: 2", nothing when nobody voted. */
void report_votes(const struct outcome *o, FILE *to);

/* The fields of the ledger by name; the same list writes, adds up and reads back. */
struct ledger_field {
    const char *name;
    size_t at;   /* of a uint64_t in struct ledger */
    bool of_run; /* depends on memory and on other searches: in summaries, not in the line of one problem */
};
extern const struct ledger_field ledger_fields[]; /* ends in name NULL */
uint64_t *ledger_at(struct ledger *l, const struct ledger_field *f);
void report_add_ledger(json_t *object, const struct ledger *l, bool with_run);

/* Numbers as they are written in every JSON of ours. */
enum { REPORT_JSON = JSON_COMPACT | JSON_REAL_PRECISION(6) };

/* {"id","problem","answer","correct","value","why",...ledger...,"ms"}; NULL when memory is out. */
json_t *report_outcome(const struct problem *p, const struct outcome *o);

/* The search's settings, defaults filled in: what makes two runs comparable. */
json_t *report_settings(const struct solver *s);

#endif
