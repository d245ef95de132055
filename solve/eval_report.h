/* eval_report.h: what a file of results says of its run, and its summary.
 * Not the file: results.h.
 * Next: eval_report.c. */
#ifndef PONDER_EVAL_REPORT_H
#define PONDER_EVAL_REPORT_H

#include <jansson.h>

#include "solve/eval_run.h"

/* The header of r's file of results: everything that the lines depend on, so that a file never mixes two settings,
 * and what describes it (results.h).  `commit` of the source tree. */
enum status eval_header(const struct eval_run *r, const struct session_options *o, const char *commit, json_t **out,
                        struct error *e);

/* The summary as one object: counts, costs, then the header's fields. */
json_t *eval_summary_json(const struct eval_run *r, const struct summary *sum, const json_t *header);

#endif
