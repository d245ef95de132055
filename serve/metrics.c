/* metrics.c: see metrics.h.
 * Not where things are counted.
 * Next: server.h. */
#include "serve/metrics.h"

#include <math.h>

#include "serve/server.h"

/* clang-format off */
static const struct { const char *name, *help; } counters[N_COUNTERS] = {
    [COUNT_REQUESTS]         = {"requests_total", "requests that came in"},
    [COUNT_REJECTED_QUEUE]   = {"requests_rejected_total{reason=\"queue\"}", "requests that were refused"},
    [COUNT_REJECTED_KEY]     = {"requests_rejected_total{reason=\"key\"}", NULL},
    [COUNT_REJECTED_HOST]    = {"requests_rejected_total{reason=\"host\"}", NULL},
    [COUNT_ERRORS]           = {"request_errors_total", "requests that ended with an error"},
    [COUNT_PROMPT_TOKENS]    = {"prompt_tokens_total", "tokens of prompts"},
    [COUNT_CACHED_TOKENS]    = {"prompt_tokens_cached_total", "tokens of prompts that others had read already"},
    [COUNT_GENERATED_TOKENS] = {"tokens_predicted_total", "tokens that were written"},
    [COUNT_THINKING_TOKENS]  = {"tokens_thinking_total", "of these in thinking"},
    [COUNT_VERIFIER_TOKENS]  = {"verifier_tokens_total", "tokens that reward models read"},
    [COUNT_DROPPED_TOKENS]   = {"tokens_dropped_total", "tokens of branches and texts that were not picked"},
    [COUNT_FLOPS]            = {"flops_total", "floating-point operations of searches, by the ledger"},
    [COUNT_SEARCHES]         = {"searches_total", "searches that were begun"},
    [COUNT_SEARCH_NODES]     = {"search_nodes_total", "steps that searches made"},
    [COUNT_PRUNED]           = {"search_branches_pruned_total", "branches that searches gave up"},
    [COUNT_FORKS]            = {"forks_total", "forks of a branch in searches"},
    [COUNT_CLIENTS_GONE]     = {"clients_gone_total", "clients that left before their answer was complete"},
};
static const char *const times[N_TIMES][2] = {
    [TIME_REQUEST]     = {"request_seconds", "from the request to the end of its reply"},
    [TIME_FIRST_TOKEN] = {"time_to_first_token_seconds", "from the request to the first token"},
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

void metrics_print(struct server *s, struct buffer *out) {
    for (int i = 0; i < N_COUNTERS; i++) {
        int n = 0;
        while (counters[i].name[n] && counters[i].name[n] != '{') n++;
        if (counters[i].help)
            buffer_print(out, "# HELP ponder_%.*s %s\n# TYPE ponder_%.*s counter\n", n, counters[i].name,
                         counters[i].help, n, counters[i].name);
        buffer_print(out, "ponder_%s %llu\n", counters[i].name, (unsigned long long)atomic_load(&s->metrics.counts[i]));
    }
    print_times(&s->metrics, out);
    struct engine *en = s->session->policy.engine;
    pthread_mutex_lock(&s->lock);
    uint32_t waiting = s->n_waiting, working = s->n_working;
    pthread_mutex_unlock(&s->lock);
    gauge(out, "requests_processing", "requests that are being answered", working);
    gauge(out, "requests_deferred", "requests that wait", waiting);
    gauge(out, "connections", "requests whose reply is not complete", http_n_exchanges(s->http));
    gauge(out, "kv_pages_used", "pages of the KV cache in use", engine_pages(en) - engine_pages_free(en));
    gauge(out, "kv_pages", "pages of the KV cache", engine_pages(en));
}
