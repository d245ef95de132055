/* quota.c: see quota.h.
 * Not the counting in requests: texts_write.c, search.c and score.c say what they took.
 * Next: metrics.h, where the same numbers are shown. */
#include "serve/quota.h"

#include "base/clock.h"
#include "serve/server.h"

/* ---- the day ---- */

void quota_open(struct server *s) {
    struct quota *q = &s->quota;
    pthread_mutex_init(&q->lock, NULL);
    for (int i = 0; i < s->keys.n; i++) q->of[i].limit = s->keys.day[i];
    q->of[QUOTA_ALL].limit = allowance_of(s->p.all_tokens, s->p.all_gflops);
    q->request = allowance_of(s->p.request_tokens, s->p.request_gflops);
    q->until = clock_ns() + QUOTA_SECONDS * 1000000000ull;
}

void quota_close(struct server *s) { pthread_mutex_destroy(&s->quota.lock); }

/* Under the lock.  Reservations of requests that run over midnight stay theirs. */
static void begin_day(struct quota *q) {
    uint64_t now = clock_ns();
    if (now < q->until) return;
    for (int i = 0; i <= QUOTA_ALL; i++) q->of[i].used = (struct allowance){0};
    while (q->until <= now) q->until += QUOTA_SECONDS * 1000000000ull;
}

static uint64_t left_of(uint64_t limit, uint64_t used, uint64_t reserved) {
    if (!limit) return UINT64_MAX;
    return used + reserved < limit ? limit - used - reserved : 0;
}

/* Under the lock: of one row. */
static struct allowance left_in(const struct quota *q, int i) {
    return (struct allowance){left_of(q->of[i].limit.tokens, q->of[i].used.tokens, q->of[i].reserved.tokens),
                              left_of(q->of[i].limit.flops, q->of[i].used.flops, q->of[i].reserved.flops)};
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

struct allowance quota_left(struct exchange *ex) {
    struct server *s = ex->server;
    struct quota *q = &s->quota;
    struct allowance most = {q->request.tokens ? q->request.tokens : UINT64_MAX,
                             q->request.flops ? q->request.flops : UINT64_MAX};
    pthread_mutex_lock(&q->lock);
    begin_day(q);
    for (int i = 0; i <= QUOTA_ALL; i++) {
        if (i != ex->key && i != QUOTA_ALL) continue;
        struct allowance a = left_in(q, i);
        most.tokens = least(most.tokens, a.tokens), most.flops = least(most.flops, a.flops);
    }
    pthread_mutex_unlock(&q->lock);
    return most;
}

/* ---- one request ---- */

static bool fits_request(struct exchange *ex, const struct allowance *most) {
    const struct server *s = ex->server;
    const struct allowance *cap = &s->quota.request;
    if (cap->tokens && most->tokens > cap->tokens)
        server_fail(ex, 400, NULL, "the request may take %llu tokens; at most %llu are allowed (--max-request-tokens)",
                    (unsigned long long)most->tokens, (unsigned long long)cap->tokens);
    else if (cap->flops && most->flops > cap->flops)
        server_fail(ex, 400, NULL, "the request may take %.4g GFLOP; at most %.4g are allowed (--max-request-gflops)",
                    (double)most->flops / 1e9, (double)cap->flops / 1e9);
    else return true;
    return false;
}

static void refuse(struct exchange *ex, int row, const struct allowance *left, const struct allowance *most) {
    struct server *s = ex->server;
    double seconds = (double)(s->quota.until - clock_ns()) / 1e9;
    metrics_add(&s->metrics, COUNT_REJECTED_QUOTA, 1);
    ex->retry_after = (int)seconds + 1;
    if (most->tokens > left->tokens || !left->tokens)
        server_fail(ex, 429, "insufficient_quota",
                    "the quota of %s has %llu tokens left for the next %.0f s; the request may take %llu",
                    row == QUOTA_ALL ? "the server" : "this key", (unsigned long long)left->tokens, seconds,
                    (unsigned long long)most->tokens);
    else
        server_fail(ex, 429, "insufficient_quota",
                    "the quota of %s has %.4g GFLOP left for the next %.0f s; the request may take %.4g",
                    row == QUOTA_ALL ? "the server" : "this key", (double)left->flops / 1e9, seconds,
                    (double)most->flops / 1e9);
}

/* Under the lock: adds to what is reserved, or takes it back. */
static void reserve(struct quota *q, const struct exchange *ex, bool back) {
    for (int i = 0; i <= QUOTA_ALL; i++) {
        struct allowance *r = &q->of[i].reserved;
        if (i != ex->key && i != QUOTA_ALL) continue;
        r->tokens = back ? r->tokens - ex->reserved_tokens : r->tokens + ex->reserved_tokens;
        r->flops = back ? r->flops - ex->reserved_flops : r->flops + ex->reserved_flops;
    }
}

bool quota_admit(struct exchange *ex, const struct allowance *most) {
    struct server *s = ex->server;
    struct quota *q = &s->quota;
    struct allowance left;
    int bad = -1;
    if (!fits_request(ex, most)) return false;
    pthread_mutex_lock(&q->lock);
    begin_day(q);
    for (int i = 0; i <= QUOTA_ALL && bad < 0; i++) {
        if (i != ex->key && i != QUOTA_ALL) continue;
        left = left_in(q, i);
        if (!left.tokens || !left.flops || most->tokens > left.tokens || most->flops > left.flops) bad = i;
    }
    if (bad < 0) {
        ex->reserved_tokens = most->tokens, ex->reserved_flops = most->flops;
        reserve(q, ex, false);
    }
    pthread_mutex_unlock(&q->lock);
    if (bad >= 0) refuse(ex, bad, &left, most);
    return bad < 0;
}

void quota_settle(struct exchange *ex) {
    struct server *s = ex->server;
    pthread_mutex_lock(&s->quota.lock);
    reserve(&s->quota, ex, true);
    ex->reserved_tokens = ex->reserved_flops = 0;
    pthread_mutex_unlock(&s->quota.lock);
}

void quota_charge(struct exchange *ex, const struct ledger *cost) {
    struct server *s = ex->server;
    struct quota *q = &s->quota;
    struct metrics *m = &s->metrics;
    uint64_t tokens = cost->prompt_tokens - least(cost->cached_tokens, cost->prompt_tokens) + cost->generated_tokens +
                      cost->prm_tokens;
    pthread_mutex_lock(&q->lock);
    begin_day(q);
    for (int i = 0; i <= QUOTA_ALL; i++) {
        if (i != ex->key && i != QUOTA_ALL) continue;
        q->of[i].used.tokens += tokens;
        q->of[i].used.flops += cost->policy_flops + cost->prm_flops;
    }
    pthread_mutex_unlock(&q->lock);
    metrics_add(m, COUNT_PROMPT_TOKENS, cost->prompt_tokens);
    metrics_add(m, COUNT_CACHED_TOKENS, cost->cached_tokens);
    metrics_add(m, COUNT_GENERATED_TOKENS, cost->generated_tokens);
    metrics_add(m, COUNT_VERIFIER_TOKENS, cost->prm_tokens);
    metrics_add(m, COUNT_POLICY_FLOPS, cost->policy_flops);
    metrics_add(m, COUNT_VERIFIER_FLOPS, cost->prm_flops);
    metrics_add(m, COUNT_FORKS, cost->forks);
}
