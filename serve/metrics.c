/* metrics.c: see metrics.h.
 * Not where things are counted.
 * Next: server.h. */
#include "serve/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "serve/deferred.h"
#include "serve/server.h"

_Static_assert((int)LATENCY_CLASSES == (int)N_CLASSES, "one ring for each class");

/* clang-format off */
static const struct { const char *name, *help; } counters[N_COUNTERS] = {
    [COUNT_REQUESTS]         = {"requests_total", "requests that came in"},
    [COUNT_REJECTED_QUEUE]   = {"requests_rejected_total{reason=\"queue\"}", "requests that were refused"},
    [COUNT_REJECTED_KEY]     = {"requests_rejected_total{reason=\"key\"}", NULL},
    [COUNT_REJECTED_HOST]    = {"requests_rejected_total{reason=\"host\"}", NULL},
    [COUNT_REJECTED_QUOTA]   = {"requests_rejected_total{reason=\"quota\"}", NULL},
    [COUNT_ERRORS]           = {"request_errors_total", "requests that ended with an error"},
    [COUNT_PROMPT_TOKENS]    = {"prompt_tokens_total", "tokens of prompts"},
    [COUNT_CACHED_TOKENS]    = {"prompt_tokens_cached_total", "tokens of prompts that others had read already"},
    [COUNT_GENERATED_TOKENS] = {"tokens_predicted_total", "tokens that were written"},
    [COUNT_THINKING_TOKENS]  = {"tokens_thinking_total", "of these in thinking"},
    [COUNT_VERIFIER_TOKENS]  = {"verifier_tokens_total", "tokens that reward models read"},
    [COUNT_DROPPED_TOKENS]   = {"tokens_dropped_total", "tokens of branches and texts that were not picked"},
    [COUNT_POLICY_FLOPS]     = {"flops_total{model=\"policy\"}", "floating-point operations of models"},
    [COUNT_VERIFIER_FLOPS]   = {"flops_total{model=\"verifier\"}", NULL},
    [COUNT_SEARCHES]         = {"searches_total", "searches that were begun"},
    [COUNT_SEARCH_NODES]     = {"search_nodes_total", "steps that searches made"},
    [COUNT_PRUNED]           = {"search_branches_pruned_total", "branches that searches gave up"},
    [COUNT_FORKS]            = {"forks_total", "forks of a branch: of searches, and of prompts for several choices"},
    [COUNT_STEERING]         = {"steering_flags_total", "requests with a text that tries to steer (docs/SERVE.md)"},
    [COUNT_DEFERRED_DONE]    = {"deferred_finished_total", "jobs whose answers were put on disk"},
    [COUNT_CLIENTS_GONE]     = {"clients_gone_total", "clients that left before their answer was complete"},
    [COUNT_PROMPT_US]        = {"prompt_seconds_total", "time of reading prompts"},
    [COUNT_PREDICTED_US]     = {"tokens_predicted_seconds_total", "time of writing texts"},
};
static const char *const times[N_TIMES][2] = {
    [TIME_REQUEST]     = {"request_seconds", "from the request to the end of its reply"},
    [TIME_FIRST_TOKEN] = {"time_to_first_token_seconds", "from the request to the first token"},
    [TIME_BETWEEN_TOKENS] = {"inter_token_latency_seconds", "between two tokens of a text, its mean"},
    [TIME_QUEUE]       = {"queue_seconds", "time in the queue"},
};
/* clang-format on */

void metrics_add(struct metrics *m, enum metric_counter c, uint64_t n) { atomic_fetch_add(&m->counts[c], n); }

/* Bucket i holds times up to 2^i ms. */
void metrics_time(struct metrics *m, enum metric_time t, uint64_t ns) {
    int i = 0;
    while (i < TIME_BUCKETS && ns > (1000000ull << i)) i++;
    atomic_fetch_add(&m->times[t].buckets[i], 1);
    atomic_fetch_add(&m->times[t].n, 1);
    atomic_fetch_add(&m->times[t].sum_us, ns / 1000);
}

/* ---- latencies by class ---- */

enum { FEW = 20 }; /* latencies that say nothing about the tail yet */
static const char *const classes[LATENCY_CLASSES] = {[CLASS_BATCH] = "batch", [CLASS_INTERACTIVE] = "interactive"};

void metrics_open(struct metrics *m) { pthread_mutex_init(&m->lock, NULL); }
void metrics_close(struct metrics *m) { pthread_mutex_destroy(&m->lock); }

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Under the lock: into sorted [LATENCIES]; how many. */
static size_t sort_latencies(const struct latencies *l, uint64_t *sorted) {
    size_t n = l->n < LATENCIES ? (size_t)l->n : LATENCIES;
    memcpy(sorted, l->ns, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_size);
    return n;
}

/* The smallest one that is not less than a share q of all. */
static uint64_t quantile(const uint64_t *sorted, size_t n, double q) {
    size_t at = (size_t)ceil(q * (double)n);
    return n ? sorted[at ? at - 1 : 0] : 0;
}

/* Twice the 95th percentile; UINT64_MAX while too few are known. */
static uint64_t alert_after(const uint64_t *sorted, size_t n) {
    return n < FEW ? UINT64_MAX : 2 * quantile(sorted, n, 0.95);
}

void metrics_latency(struct metrics *m, int latency_class, uint64_t ns) {
    struct latencies *l = &m->latencies[latency_class];
    uint64_t sorted[LATENCIES];
    pthread_mutex_lock(&m->lock);
    l->slow += ns > alert_after(sorted, sort_latencies(l, sorted));
    l->ns[l->n++ % LATENCIES] = ns;
    pthread_mutex_unlock(&m->lock);
}

struct slow { /* requests under way that take too long */
    uint64_t now, after[LATENCY_CLASSES], n[LATENCY_CLASSES];
};
static void see_slow(void *arg, struct exchange *ex) {
    struct slow *s = arg;
    int c = ex->latency_class;
    if (c >= 0 && !ex->gone && s->now - ex->start_ns > s->after[c]) s->n[c]++;
}

static void print_classes(struct server *s, struct buffer *out) {
    static const double shares[] = {0.5, 0.95, 0.99};
    uint64_t sorted[LATENCIES], finished_slow[LATENCY_CLASSES];
    struct slow slow = {.now = clock_ns()};
    buffer_text(out, "# HELP ponder_latency_seconds latencies of the newest requests by class\n"
                     "# TYPE ponder_latency_seconds gauge\n");
    for (int c = 0; c < LATENCY_CLASSES; c++) {
        pthread_mutex_lock(&s->metrics.lock);
        size_t n = sort_latencies(&s->metrics.latencies[c], sorted);
        finished_slow[c] = s->metrics.latencies[c].slow;
        pthread_mutex_unlock(&s->metrics.lock);
        slow.after[c] = alert_after(sorted, n);
        for (size_t i = 0; i < sizeof shares / sizeof *shares && n; i++)
            buffer_print(out, "ponder_latency_seconds{class=\"%s\",quantile=\"%g\"} %.6f\n", classes[c], shares[i],
                         (double)quantile(sorted, n, shares[i]) / 1e9);
    }
    http_each(s->http, see_slow, &slow);
    buffer_text(out, "# HELP ponder_slow_requests requests under way for more than twice the p95 of their class\n"
                     "# TYPE ponder_slow_requests gauge\n");
    for (int c = 0; c < LATENCY_CLASSES; c++)
        buffer_print(out, "ponder_slow_requests{class=\"%s\"} %llu\n", classes[c], (unsigned long long)slow.n[c]);
    buffer_text(out, "# HELP ponder_slow_requests_total requests that took more than that\n"
                     "# TYPE ponder_slow_requests_total counter\n");
    for (int c = 0; c < LATENCY_CLASSES; c++)
        buffer_print(out, "ponder_slow_requests_total{class=\"%s\"} %llu\n", classes[c],
                     (unsigned long long)finished_slow[c]);
}

static void print_queues(struct server *s, struct buffer *out) {
    buffer_text(out, "# HELP ponder_requests_processing requests that are being answered\n"
                     "# TYPE ponder_requests_processing gauge\n");
    for (int c = 0; c < LATENCY_CLASSES; c++)
        buffer_print(out, "ponder_requests_processing{class=\"%s\"} %u\n", classes[c], server_n_working(s, c));
    buffer_text(
        out,
        "# HELP ponder_requests_deferred requests that wait in the queue\n# TYPE ponder_requests_deferred gauge\n");
    for (int c = 0; c < LATENCY_CLASSES; c++)
        buffer_print(out, "ponder_requests_deferred{class=\"%s\"} %u\n", classes[c], server_n_waiting(s, c));
}

static void print_times(const struct metrics *m, struct buffer *out) {
    for (int t = 0; t < N_TIMES; t++) {
        unsigned long long sum = 0;
        buffer_print(out, "# HELP ponder_%s %s\n# TYPE ponder_%s histogram\n", times[t][0], times[t][1], times[t][0]);
        for (int i = 0; i < TIME_BUCKETS; i++) {
            sum += atomic_load(&m->times[t].buckets[i]);
            buffer_print(out, "ponder_%s_bucket{le=\"%.12g\"} %llu\n", times[t][0], ldexp(1e-3, i), sum);
        }
        buffer_print(out, "ponder_%s_bucket{le=\"+Inf\"} %llu\n", times[t][0],
                     (unsigned long long)atomic_load(&m->times[t].n));
        buffer_print(out, "ponder_%s_sum %.6f\n", times[t][0], (double)atomic_load(&m->times[t].sum_us) / 1e6);
        buffer_print(out, "ponder_%s_count %llu\n", times[t][0], (unsigned long long)atomic_load(&m->times[t].n));
    }
}

static void gauge(struct buffer *out, const char *name, const char *help, double x) {
    buffer_print(out, "# HELP ponder_%s %s\n# TYPE ponder_%s gauge\nponder_%s %.12g\n", name, help, name, name, x);
}

static void counter(struct buffer *out, const char *name, const char *help, uint64_t n) {
    buffer_print(out, "# HELP ponder_%s %s\n# TYPE ponder_%s counter\nponder_%s %llu\n", name, help, name, name,
                 (unsigned long long)n);
}

void metrics_print(struct server *s, struct buffer *out) {
    for (int i = 0; i < N_COUNTERS; i++) {
        int n = 0;
        while (counters[i].name[n] && counters[i].name[n] != '{') n++;
        if (counters[i].help)
            buffer_print(out, "# HELP ponder_%.*s %s\n# TYPE ponder_%.*s counter\n", n, counters[i].name,
                         counters[i].help, n, counters[i].name);
        unsigned long long count = atomic_load(&s->metrics.counts[i]);
        if (i < COUNT_PROMPT_US) buffer_print(out, "ponder_%s %llu\n", counters[i].name, count);
        else buffer_print(out, "ponder_%s %.6f\n", counters[i].name, (double)count / 1e6);
    }
    print_times(&s->metrics, out);
    print_classes(s, out);
    print_queues(s, out);
    struct engine *en = s->session->policy.engine;
    struct kv_stats kv = engine_kv_stats(en);
    uint32_t pages = engine_pages(en), used = pages - engine_pages_free(en);
    gauge(out, "deferred_pending", "deferred jobs that are not finished", s->deferred ? deferred_pending(s) : 0);
    gauge(out, "connections", "requests whose reply is not complete", http_n_exchanges(s->http));
    gauge(out, "kv_pages", "pages of the policy's KV cache", pages);
    gauge(out, "kv_pages_used", "those that hold tokens of requests", used);
    gauge(out, "kv_pages_peak", "the most that were so at once", kv.pages_peak);
    gauge(out, "kv_pages_remembered", "those that hold prompts for others to come", kv.pages_remembered);
    gauge(out, "kv_cache_usage_perc", "share that is in use", pages ? (double)used / pages : 0);
    counter(out, "kv_pages_copied_total", "pages that were copied on write", kv.pages_copied);
    counter(out, "kv_pages_evicted_total", "remembered pages that were given to others", kv.pages_evicted);
    counter(out, "prefix_cache_queries_total", "tokens of prompts that were looked for", kv.prefix_tokens_asked);
    counter(out, "prefix_cache_hits_total", "those that were found", kv.prefix_tokens_hit);
}
