/* metrics.h: what the server counts, for Prometheus: counters, gauges, histograms, and latencies by class.
 * Not a log: route.c writes one line a request.
 * Next: metrics.c; docs/SERVE.md lists them. */
#ifndef PONDER_METRICS_H
#define PONDER_METRICS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/buffer.h"

enum metric_counter {
    COUNT_REQUESTS,
    COUNT_REJECTED_QUEUE,
    COUNT_REJECTED_KEY,
    COUNT_REJECTED_HOST,
    COUNT_REJECTED_QUOTA,
    COUNT_ERRORS,
    COUNT_PROMPT_TOKENS,
    COUNT_CACHED_TOKENS,
    COUNT_GENERATED_TOKENS,
    COUNT_THINKING_TOKENS,
    COUNT_VERIFIER_TOKENS,
    COUNT_DROPPED_TOKENS,
    COUNT_POLICY_FLOPS,
    COUNT_VERIFIER_FLOPS,
    COUNT_SEARCHES,
    COUNT_SEARCH_NODES,
    COUNT_PRUNED,
    COUNT_FORKS,
    COUNT_STEERING,
    COUNT_DEFERRED_DONE,
    COUNT_CLIENTS_GONE,
    COUNT_PROMPT_US, /* shown in seconds */
    COUNT_PREDICTED_US,
    N_COUNTERS
};
enum metric_time { TIME_REQUEST, TIME_FIRST_TOKEN, TIME_BETWEEN_TOKENS, TIME_QUEUE, N_TIMES };
enum { TIME_BUCKETS = 16, LATENCIES = 1024, LATENCY_CLASSES = 2 };

struct metrics {
    atomic_ullong counts[N_COUNTERS];
    struct {
        atomic_ullong buckets[TIME_BUCKETS + 1], n, sum_us;
    } times[N_TIMES];
    /* The newest latencies of each class (enum latency_class), under the lock. */
    pthread_mutex_t lock;
    struct latencies {
        uint64_t ns[LATENCIES], n; /* all so far; the ring holds the last ones */
        uint64_t slow;             /* of these: longer than twice the 95th percentile before them */
    } latencies[LATENCY_CLASSES];
};

void metrics_open(struct metrics *m);
void metrics_close(struct metrics *m);
void metrics_add(struct metrics *m, enum metric_counter c, uint64_t n);
void metrics_time(struct metrics *m, enum metric_time t, uint64_t ns);
/* A request of this class was answered. */
void metrics_latency(struct metrics *m, int latency_class, uint64_t ns);

struct server;
/* All of them as text, with the gauges of the server. */
void metrics_print(struct server *s, struct buffer *out);

#endif
