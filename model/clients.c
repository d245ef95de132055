/* clients.c: who may take how many pages, who waits for them, and why nobody waits for ever.
 * Not the passes: schedule.c.  Not the pages themselves: kv.c.
 * Next: schedule.c.
 *
 * N pages of room (kv.h: window layers hold less than all); client c holds h(c) of it (pages that two clients share
 * count for both) and was promised m(c) = min_pages.
 *
 *   admission   the sum of all m is at most N
 *   surplus     the sum of max(0, h - m) over all clients is at most N - the sum of all m
 *
 * Both are kept by every step below.  So the pages that are free, N - (held by anybody) >= N - sum h, are at least
 * sum of max(0, m - h): whoever holds less than was promised to him can have the rest, now, whatever others do.
 *
 * Nobody waits for ever:
 *   - Below its promise a call takes its pages at once.  Above, it takes them of the surplus, or asks its own client
 *     for KV that it needs least (reclaim).  When there is neither, a call for several sequences fails with ERR_FULL,
 *     and its caller does less at once.  So when min_pages is enough for the smallest thing that a client does, it goes
 *     on to its end.
 *   - A call for one sequence above its promise (min_pages was too small) waits for pages of others, but only while
 *     some other client that holds pages is not waiting itself, nor idle; when all wait, the last one fails with
 *     ERR_FULL.
 *   - Admission waits for clients to end or to shrink: nobody's surplus grows into what the next one to be admitted
 *     needs, and who has too much of it is asked to give it back (reclaim).  Higher priority first, else in order of
 *     arrival, so that the next one stays the next one.
 *   - A text that another call reads just now (engine_read) is waited for; calls wait for earlier ones only.
 *   - With two engines (a policy and a reward model) everyone makes clients in the same order of engines, and has
 *     min_pages that are enough.  Who is admitted everywhere ends, by the above.  Who waits at the last engine waits
 *     for those only, so it is admitted, and ends.  Who waits at an engine before waits for clients of these two
 *     kinds.  A client that has too few pages promised may wait in one engine for what another such holds there, while
 *     that one waits in the other engine for its pages: therefore too few is for those who use one engine. */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model/engine_internal.h"

enum { LOOK_NS = 20000000 }; /* a waiting call looks at its deadline and its cancel flag so often */
#define IDLE_NS 10000000000u /* a client without a call for so long is idle: nobody waits for its pages */

void clients_wait(struct engine *en, pthread_cond_t *cond, uint64_t ns) {
    uint64_t until = clock_ns() + ns;
    struct timespec t = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    pthread_cond_timedwait(cond, &en->lock, &t);
}

enum status engine_given_up(const struct client *c, struct error *e) {
    const struct client_params *p = &c->params;
    if (p->cancel && __atomic_load_n(p->cancel, __ATOMIC_RELAXED)) return error_set(e, ERR_CANCELLED, "cancelled");
    if (p->deadline_ns && clock_ns() >= p->deadline_ns) return error_set(e, ERR_CANCELLED, "out of time");
    return OK;
}

/* ---- pages ---- */

static int64_t taken(const struct client *c) { return (int64_t)(kv_held(c->holder) + c->promised); }
static int64_t promise(const struct client *c) { return (int64_t)c->min_room; }

/* N - sum of m - the surplus: what anybody may still take above its promise. */
static int64_t surplus_left(const struct engine *en) {
    int64_t left = (int64_t)kv_room(en->kv);
    for (const struct client *c = en->clients; c; c = c->next) left -= taken(c) > promise(c) ? taken(c) : promise(c);
    return left;
}

/* Room that c may take now: what it lacks of its promise, and of the surplus what the next one to be admitted leaves.
 * */
static int64_t room_open(const struct client *c) {
    const struct client *next = c->engine->applying;
    const int64_t below = promise(c) - taken(c), surplus = surplus_left(c->engine) - (next ? promise(next) : 0);
    return (below > 0 ? below : 0) + (surplus > 0 ? surplus : 0);
}

/* Room of c that somebody who waits for admission lacks. */
static int64_t room_owed(const struct client *c) {
    const struct engine *en = c->engine;
    if (!en->applying || taken(c) <= promise(c)) return 0;
    const int64_t lacking = promise(en->applying) - surplus_left(en), surplus = taken(c) - promise(c);
    return lacking <= 0 ? 0 : lacking < surplus ? lacking : surplus;
}

/* Some other client has pages and goes on by itself: in a call, or it was in one not long ago. */
static bool others_move(const struct client *c) {
    const uint64_t now = clock_ns();
    for (const struct client *o = c->engine->clients; o; o = o->next)
        if (o != c && taken(o) && !o->n_waiting && (o->n_calls || now - o->left_ns < IDLE_NS)) return true;
    return false;
}

static int64_t room_needed(struct engine *en, const struct request *r, size_t *n_sequences) {
    uint64_t room = 0;
    *n_sequences = 0;
    for (size_t i = 0, n; i < r->n_spans;
         i += n) { /* by portions of the scratch: forks of one page count too often then */
        for (n = 0; n < en->params.max_rows && i + n < r->n_spans; n++) {
            en->needs[n] = (struct kv_need){r->spans[i + n].seq, r->spans[i + n].n_tokens};
            *n_sequences += r->spans[i + n].n_tokens > 0;
        }
        room += kv_room_needed(en->kv, en->needs, n, en->params.max_rows);
    }
    return (int64_t)room;
}

static enum status check_context(const struct engine *en, const struct request *r, struct error *e) {
    for (size_t i = 0; i < r->n_spans; i++) {
        uint32_t len = kv_len(en->kv, r->spans[i].seq), more = r->spans[i].n_tokens, most = en->params.max_tokens;
        if (more > most - len)
            return error_set(e, ERR_FULL, "context: %u tokens and %u more, at most %u", len, more, most);
    }
    return OK;
}

static uint32_t whole_pages(const struct engine *en, int64_t room) {
    const int64_t page = kv_page_room(en->kv), n = (room + page - 1) / page;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* Asks the client for room that it can do without; false: there is none. */
static bool reclaim(struct client *c, int64_t room) {
    if (!c->params.reclaim) return false;
    pthread_mutex_unlock(&c->engine->lock);
    uint32_t got = c->params.reclaim(c->params.arg, whole_pages(c->engine, room));
    pthread_mutex_lock(&c->engine->lock);
    return got > 0;
}

enum status clients_make_room(struct request *r, struct error *e) {
    struct client *c = r->client;
    struct engine *en = c->engine;
    enum status s = check_context(en, r, e);
    for (int64_t owed; !s && (owed = room_owed(c)) && reclaim(c, owed);) {}
    while (!s && !(s = engine_given_up(c, e))) {
        size_t n_sequences;
        const int64_t need = room_needed(en, r, &n_sequences), open = room_open(c);
        if (need <= open) {
            c->promised += r->promised = (uint64_t)need;
            return OK;
        }
        if (reclaim(c, need - open)) continue;
        if (n_sequences > 1 || !others_move(c))
            return error_set(e, ERR_FULL, "KV cache: %u pages needed, %lld of %u are to be had", whole_pages(en, need),
                             (long long)(open / kv_page_room(en->kv)), en->params.n_pages);
        c->n_waiting++;
        clients_wait(en, &en->changed, LOOK_NS);
        c->n_waiting--;
    }
    return s;
}

/* ---- admission ---- */

static bool goes_first(const struct client *a, const struct client *b) {
    if (a->params.priority != b->params.priority) return a->params.priority > b->params.priority;
    return a->number < b->number;
}

static void put_in(struct client **list, struct client *c) {
    while (*list && goes_first(*list, c)) list = &(*list)->next;
    c->next = *list, *list = c;
}

static void take_out(struct client **list, struct client *c) {
    while (*list != c) list = &(*list)->next;
    *list = c->next, c->next = NULL;
}

static enum status admit(struct client *c, struct error *e) {
    struct engine *en = c->engine;
    enum status s = OK;
    pthread_mutex_lock(&en->lock);
    c->number = en->n_arrivals++;
    put_in(&en->applying, c);
    while (c->min_room && (en->applying != c || surplus_left(en) < promise(c))) {
        if ((s = engine_given_up(c, e))) break;
        clients_wait(en, &en->changed, LOOK_NS);
    }
    take_out(&en->applying, c);
    if (!s) put_in(&en->clients, c);
    pthread_cond_broadcast(&en->changed);
    pthread_mutex_unlock(&en->lock);
    return s;
}

enum status engine_client_new(struct engine *en, const struct client_params *p, struct client **out, struct error *e) {
    struct client *c = mem_new(1, sizeof *c);
    *out = NULL;
    if (!c) return error_set(e, ERR_MEMORY, "no memory for a client of the engine");
    c->engine = en;
    if (p) c->params = *p;
    c->min_room = (uint64_t)c->params.min_pages * kv_page_room(en->kv);
    if (c->min_room > kv_room(en->kv)) c->min_room = kv_room(en->kv);
    pthread_mutex_lock(&en->lock);
    c->holder = kv_holder_new(en->kv);
    pthread_mutex_unlock(&en->lock);
    enum status s = c->holder ? admit(c, e) : error_set(e, ERR_MEMORY, "no memory for a client of the engine");
    if (!s) return *out = c, OK;
    pthread_mutex_lock(&en->lock);
    kv_holder_free(en->kv, &c->holder);
    pthread_mutex_unlock(&en->lock);
    mem_free(c);
    return s;
}

void client_came_back(struct client *c) {
    if (!c->n_returning) return;
    c->n_returning--;
    if (--c->engine->n_returning == 0) pthread_cond_signal(&c->engine->returned);
}

void engine_client_free(struct client **cp) {
    struct client *c = *cp;
    if (!c) return;
    struct engine *en = c->engine;
    pthread_mutex_lock(&en->lock);
    while (c->n_returning) client_came_back(c);
    kv_holder_free(en->kv, &c->holder);
    take_out(&en->clients, c);
    pthread_cond_broadcast(&en->changed);
    pthread_mutex_unlock(&en->lock);
    mem_free(c);
    *cp = NULL;
}

struct engine *engine_of(const struct client *c) {
    return c->engine;
}

void engine_set_limits(struct client *c, uint64_t deadline_ns, const volatile int *cancel) {
    pthread_mutex_lock(&c->engine->lock); /* another thread, which leads, may look at them */
    c->params.deadline_ns = deadline_ns, c->params.cancel = cancel;
    pthread_mutex_unlock(&c->engine->lock);
}

/* ---- sequences: kv.h under the lock ---- */

uint32_t engine_seq_new(struct client *c) {
    pthread_mutex_lock(&c->engine->lock);
    uint32_t seq = kv_seq_new(c->engine->kv, c->holder);
    pthread_mutex_unlock(&c->engine->lock);
    return seq;
}

uint32_t engine_fork(struct client *c, uint32_t seq) {
    pthread_mutex_lock(&c->engine->lock);
    uint32_t to = kv_fork(c->engine->kv, seq);
    pthread_mutex_unlock(&c->engine->lock);
    return to;
}

/* Pages came free: somebody may wait for them. */
static void tell_waiting(struct engine *en) {
    bool waits = en->applying != NULL;
    for (const struct client *c = en->clients; c && !waits; c = c->next) waits = c->n_waiting > 0;
    if (waits) pthread_cond_broadcast(&en->changed);
}

void engine_drop(struct client *c, uint32_t *seq) {
    pthread_mutex_lock(&c->engine->lock);
    kv_drop(c->engine->kv, seq);
    tell_waiting(c->engine);
    pthread_mutex_unlock(&c->engine->lock);
}

uint32_t client_truncate(struct client *c, uint32_t seq, uint32_t len) {
    struct kv *kv = c->engine->kv;
    const uint64_t room = kv_room_to_cut(kv, seq, len);
    if (room && (room > INT64_MAX || (int64_t)room > room_open(c))) len = 0;
    return kv_truncate(kv, seq, len);
}

uint32_t engine_truncate(struct client *c, uint32_t seq, uint32_t len) {
    pthread_mutex_lock(&c->engine->lock);
    len = client_truncate(c, seq, len);
    tell_waiting(c->engine);
    pthread_mutex_unlock(&c->engine->lock);
    return len;
}

uint32_t engine_len(struct client *c, uint32_t seq) {
    pthread_mutex_lock(&c->engine->lock);
    uint32_t len = kv_len(c->engine->kv, seq);
    pthread_mutex_unlock(&c->engine->lock);
    return len;
}

/* ---- texts ---- */

/* As much of it as the client may hold. */
static uint32_t adopt(struct client *c, uint32_t seq, const int32_t *tokens, uint32_t n) {
    const struct kv *kv = c->engine->kv;
    const int64_t open = room_open(c);
    while (n > 1 && (int64_t)kv_room_of(kv, (n - 1) / KV_PAGE, 0) > open) n -= n > KV_PAGE ? KV_PAGE : n - 1;
    return kv_prefix_lookup(c->engine->kv, seq, tokens, n);
}

uint32_t engine_prefix_lookup(struct client *c, uint32_t seq, const int32_t *tokens, uint32_t n) {
    pthread_mutex_lock(&c->engine->lock);
    uint32_t hit = adopt(c, seq, tokens, n);
    pthread_mutex_unlock(&c->engine->lock);
    return hit;
}

void engine_prefix_insert(struct client *c, uint32_t seq, const int32_t *tokens, uint32_t n) {
    pthread_mutex_lock(&c->engine->lock);
    kv_prefix_insert(c->engine->kv, seq, tokens, n);
    pthread_mutex_unlock(&c->engine->lock);
}

/* Does another call, that came earlier, read a page of this text that is not remembered yet? */
static bool is_being_read(const struct engine *en, const struct text *mine, uint32_t n_known) {
    for (const struct text *t = en->texts; t != mine; t = t->next) {
        uint32_t same = 0, most = t->n < mine->n ? t->n : mine->n;
        while (same < most && t->tokens[same] == mine->tokens[same]) same++;
        if (same / KV_PAGE > n_known / KV_PAGE) return true;
    }
    return false;
}

/* Waits until what others read of this text is remembered, then takes it over. */
static enum status adopt_text(struct client *c, const struct text *t, struct reading *r, struct error *e) {
    struct engine *en = c->engine;
    enum status s = OK;
    const uint32_t n = t->n + !r->out; /* all of it, when no output is wanted */
    while (is_being_read(en, t, kv_prefix_length(en->kv, t->tokens, n)) && !(s = engine_given_up(c, e))) {
        c->n_waiting++;
        clients_wait(en, &en->changed, LOOK_NS);
        c->n_waiting--;
    }
    r->n_cached = s ? 0 : adopt(c, r->seq, t->tokens, n);
    return s;
}

enum status engine_read(struct client *c, struct reading *r, struct error *e) {
    struct engine *en = c->engine;
    struct text mine = {r->tokens, r->n, NULL}, **at = &en->texts;
    pthread_mutex_lock(&en->lock);
    while (*at) at = &(*at)->next;
    *at = &mine;
    enum status s = adopt_text(c, &mine, r, e);
    pthread_mutex_unlock(&en->lock);
    struct span span = {r->seq, r->n - r->n_cached, r->out != NULL, r->tokens + r->n_cached, r->out};
    if (!s) s = engine_run(c, &span, 1, &r->pages_copied, e);
    pthread_mutex_lock(&en->lock);
    if (s) kv_truncate(en->kv, r->seq, 0);
    else kv_prefix_insert(en->kv, r->seq, r->tokens, r->n);
    for (at = &en->texts; *at != &mine; at = &(*at)->next) {}
    *at = mine.next;
    pthread_cond_broadcast(&en->changed);
    pthread_mutex_unlock(&en->lock);
    return s;
}
