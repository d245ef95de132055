/* merge.h: the shards of one run (ponder eval --shard) as the file that one process would have written.
 * Not a sum of different runs: their settings must be the same.
 * Next: merge.c. */
#ifndef PONDER_MERGE_H
#define PONDER_MERGE_H

#include "solve/results.h"

/* Writes `out` from the files of all shards 1/N to N/N, in any order: header without "shard", lines in the order of
 * the problems, each as it stands in its shard.  In the header, what may differ (threads, host, ...) becomes a list
 * where it does. ERR_INPUT: a file is no shard, two are the same, one is missing or not finished, settings differ,
 * an id comes twice.  An `out` that holds the beginning of the same is continued, as by results_open. */
enum status merge_results(const char *const *paths, int n, const char *out, struct error *e);

#endif
