/* metrics.h: what the server counts, for Prometheus: counters, gauges and a histogram of latencies.
 * Not a log: route.c writes one line a request.
 * Next: metrics.c. */
#ifndef PONDER_METRICS_H
#define PONDER_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buffer.h"

enum metric_counter {
    COUNT_REQUESTS,
    COUNT_REJECTED_QUEUE,
    COUNT_REJECTED_KEY,
    COUNT_REJECTED_HOST,
    COUNT_ERRORS,
    COUNT_PROMPT_TOKENS,
    COUNT_CACHED_TOKENS,
    COUNT_GENERATED_TOKENS,
    COUNT_THINKING_TOKENS,
    COUNT_VERIFIER_TOKENS,
    COUNT_DROPPED_TOKENS,
    COUNT_FLOPS,
    COUNT_SEARCHES,
    COUNT_SEARCH_NODES,
    COUNT_PRUNED,
    COUNT_FORKS,
    COUNT_CLIENTS_GONE,
    N_COUNTERS
};
enum metric_time { TIME_REQUEST, TIME_FIRST_TOKEN, TIME_QUEUE, N_TIMES };
enum { TIME_BUCKETS = 16 };

struct metrics {
    atomic_ullong counts[N_COUNTERS];
    struct {
        atomic_ullong buckets[TIME_BUCKETS + 1], n, sum_us;
    } times[N_TIMES];
};

void metrics_add(struct metrics *m, enum metric_counter c, uint64_t n);
void metrics_time(struct metrics *m, enum metric_time t, uint64_t ns);

struct server;
/* All of them as text, with the gauges of the server. */
void metrics_print(struct server *s, struct buffer *out);

#endif
