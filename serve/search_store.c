/* search_store.c: see search_store.h.
 * Not the tree: a client makes it again from the events.
 * Next: search/trace.h for what an event says.
 *
 * Locks: the list of a store; the log of a search, within which nothing else is taken; its followers, within which
 * their exchanges are woken.  An exchange reads the log under its own lock: follower -> exchange -> log, and never the
 * other way. */
#include "serve/search_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

enum { MOST_FOLLOWERS = 16 };

struct kept {
    struct search_store *store;
    char id[48];
    atomic_int refs;
    json_t *about; /* constant */
    time_t created;
    struct kept *next;
    bool listed; /* under the store's lock */

    pthread_mutex_t log_lock;
    struct buffer log;     /* server-sent events, one behind the other */
    struct buffer offsets; /* uint64_t: where each begins */
    json_t *result;        /* NULL: it runs */
    bool done;

    pthread_mutex_t follow_lock;
    struct exchange *followers[MOST_FOLLOWERS];
    struct exchange *client; /* whom it is run for; NULL when it is over */
};

struct search_store {
    pthread_mutex_t lock;
    struct kept *first; /* newest first */
    uint64_t n;
};

enum status search_store_new(struct search_store **out, struct error *e) {
    *out = mem_new(1, sizeof **out);
    if (!*out) return error_set(e, ERR_MEMORY, "no memory for searches");
    pthread_mutex_init(&(*out)->lock, NULL);
    return OK;
}

static void free_kept(struct kept *k) {
    json_decref(k->about), json_decref(k->result);
    buffer_free(&k->log), buffer_free(&k->offsets);
    pthread_mutex_destroy(&k->log_lock), pthread_mutex_destroy(&k->follow_lock);
    mem_free(k);
}

void search_release(struct kept *k) {
    if (atomic_fetch_sub(&k->refs, 1) == 1) free_kept(k);
}

void search_store_free(struct search_store **s) {
    if (!*s) return;
    for (struct kept *k = (*s)->first, *next; k; k = next) {
        next = k->next;
        search_release(k);
    }
    pthread_mutex_destroy(&(*s)->lock);
    mem_free(*s);
    *s = NULL;
}

static bool is_done(struct kept *k) {
    pthread_mutex_lock(&k->log_lock);
    bool done = k->done;
    pthread_mutex_unlock(&k->log_lock);
    return done;
}

/* Under the store's lock. */
static void unlist(struct search_store *s, struct kept *k) {
    struct kept **at = &s->first;
    while (*at && *at != k) at = &(*at)->next;
    if (!*at) return;
    *at = k->next;
    search_release(k);
}

static void drop_oldest(struct search_store *s) {
    struct kept *oldest = NULL;
    size_t n = 0;
    for (struct kept *k = s->first; k; k = k->next, n++)
        if (is_done(k)) oldest = k;
    if (n >= SEARCHES_KEPT && oldest) unlist(s, oldest);
}

struct kept *search_keep(struct search_store *s, struct exchange *ex, json_t *about) {
    struct kept *k = mem_new(1, sizeof *k);
    if (!k) {
        json_decref(about);
        return NULL;
    }
    k->store = s, k->about = about, k->client = ex, k->created = time(NULL);
    snprintf(k->id, sizeof k->id, "search-%s", ex->id);
    pthread_mutex_init(&k->log_lock, NULL), pthread_mutex_init(&k->follow_lock, NULL);
    atomic_init(&k->refs, 2); /* the list's and the caller's */
    pthread_mutex_lock(&s->lock);
    drop_oldest(s);
    k->next = s->first, s->first = k;
    pthread_mutex_unlock(&s->lock);
    return k;
}

struct kept *search_find(struct search_store *s, const char *id, size_t n_id) {
    pthread_mutex_lock(&s->lock);
    struct kept *k = s->first;
    while (k && (strlen(k->id) != n_id || memcmp(k->id, id, n_id))) k = k->next;
    if (k) atomic_fetch_add(&k->refs, 1);
    pthread_mutex_unlock(&s->lock);
    return k;
}

const char *search_id(const struct kept *k) { return k->id; }

void search_remove(struct search_store *s, struct kept *k) {
    pthread_mutex_lock(&s->lock);
    unlist(s, k);
    pthread_mutex_unlock(&s->lock);
}

/* ---- events ---- */

static void wake_followers(struct kept *k) {
    pthread_mutex_lock(&k->follow_lock);
    for (int i = 0; i < MOST_FOLLOWERS; i++)
        if (k->followers[i]) exchange_wake(k->followers[i]);
    pthread_mutex_unlock(&k->follow_lock);
}

static uint64_t n_events(const struct kept *k) { return k->offsets.n / sizeof(uint64_t); }

/* kind: "made" and so on, or "end". */
static void append(struct kept *k, const char *kind, const char *line, size_t size) {
    pthread_mutex_lock(&k->log_lock);
    uint64_t at = k->log.n;
    size_t n = k->log.n;
    if (!k->log.failed && !k->offsets.failed) {
        buffer_print(&k->log, "id: %llu\nevent: %s\ndata: ", (unsigned long long)n_events(k) + 1, kind);
        buffer_add(&k->log, line, size);
        buffer_text(&k->log, "\n\n");
        if (!k->log.failed) buffer_add(&k->offsets, &at, sizeof at);
        if (k->offsets.failed) k->log.n = n; /* a log has no holes: it ends here */
    }
    pthread_mutex_unlock(&k->log_lock);
    wake_followers(k);
}

void search_line(struct kept *k, const char *line, size_t n) {
    static const char begin[] = "{\"event\":\"";
    char kind[16] = "";
    if (n > sizeof begin && !memcmp(line, begin, sizeof begin - 1)) sscanf(line + sizeof begin - 1, "%15[a-z]", kind);
    append(k, kind, line, n);
}

void search_done(struct kept *k, json_t *result) {
    pthread_mutex_lock(&k->follow_lock);
    k->client = NULL;
    pthread_mutex_unlock(&k->follow_lock);
    pthread_mutex_lock(&k->log_lock);
    k->result = json_incref(result);
    pthread_mutex_unlock(&k->log_lock);
    char *text = json_dumps(result, JSON_COMPACT | JSON_REAL_PRECISION(9));
    append(k, "end", text ? text : "{}", text ? strlen(text) : 2);
    free(text);
    pthread_mutex_lock(&k->log_lock);
    k->done = true;
    pthread_mutex_unlock(&k->log_lock);
    wake_followers(k);
}

bool search_stop(struct kept *k) {
    pthread_mutex_lock(&k->follow_lock);
    bool runs = k->client != NULL;
    if (runs) k->client->stop = 1;
    pthread_mutex_unlock(&k->follow_lock);
    return runs;
}

/* ---- telling ---- */

/* The data of an event in the log, from its offset. */
static const char *event_data(const struct kept *k, uint64_t i, size_t *n) {
    uint64_t from, to = k->log.n;
    memcpy(&from, k->offsets.data + i * sizeof from, sizeof from);
    if (i + 1 < n_events(k)) memcpy(&to, k->offsets.data + (i + 1) * sizeof to, sizeof to);
    const char *data = strstr(k->log.data + from, "data: ") + 6;
    *n = (size_t)(k->log.data + to - data) - 2; /* two line ends */
    return data;
}

void search_tell(struct kept *k, bool trace, struct buffer *out) {
    pthread_mutex_lock(&k->log_lock);
    json_t *all = json_pack("{s:s,s:s,s:I}", "id", k->id, "status", k->done ? "done" : "running", "created",
                            (json_int_t)k->created);
    if (all) json_object_update_missing(all, k->about);
    if (all && k->result) json_object_update_missing(all, k->result);
    char *text = all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    if (!text) out->failed = true;
    else buffer_add(out, text, strlen(text) - 1);
    if (trace) buffer_text(out, ",\"trace\":[");
    for (uint64_t i = 0, n_all = n_events(k) - (k->done && n_events(k)); trace && i < n_all; i++) {
        size_t n;
        const char *data = event_data(k, i, &n);
        if (i) buffer_text(out, ",\n");
        buffer_add(out, data, n);
    }
    buffer_text(out, trace ? "]}" : "}");
    pthread_mutex_unlock(&k->log_lock);
    free(text);
    json_decref(all);
}

/* ---- following ---- */

struct follower {
    struct kept *k;
    size_t at; /* in the log */
};

/* Under the exchange's lock. */
static long pull(void *arg, uint64_t at, char *text, size_t cap) {
    struct follower *f = arg;
    long n = 0;
    (void)at; /* counts pings, too */
    pthread_mutex_lock(&f->k->log_lock);
    size_t left = f->k->log.n - f->at;
    if (left) {
        n = (long)(left < cap ? left : cap);
        memcpy(text, f->k->log.data + f->at, (size_t)n);
        f->at += (size_t)n;
    } else if (f->k->done) n = -1;
    pthread_mutex_unlock(&f->k->log_lock);
    return n;
}

static void free_follower(void *arg) {
    struct follower *f = arg;
    search_release(f->k);
    mem_free(f);
}

static bool add_follower(struct kept *k, struct exchange *ex) {
    bool added = false;
    pthread_mutex_lock(&k->follow_lock);
    for (int i = 0; i < MOST_FOLLOWERS && !added; i++)
        if (!k->followers[i]) k->followers[i] = ex, added = true;
    pthread_mutex_unlock(&k->follow_lock);
    return added;
}

void search_follow(struct kept *k, struct exchange *ex, uint64_t after) {
    struct follower *f = mem_new(1, sizeof *f);
    if (!f || !add_follower(k, ex)) {
        mem_free(f);
        search_release(k);
        ex->retry_after = 1;
        exchange_json(ex, 503,
                      json_pack("{s:{s:i,s:s,s:s}}", "error", "code", 503, "message", "too many follow this search",
                                "type", "unavailable_error"));
        return;
    }
    pthread_mutex_lock(&k->log_lock);
    f->k = k;
    if (after >= n_events(k)) f->at = k->log.n;
    else {
        uint64_t at;
        memcpy(&at, k->offsets.data + after * sizeof at, sizeof at);
        f->at = (size_t)at;
    }
    pthread_mutex_unlock(&k->log_lock);
    exchange_begin_pull(ex, "text/event-stream", pull, free_follower, f);
}

void search_unfollow(struct exchange *ex) {
    if (ex->pull != pull) return;
    struct kept *k = ((struct follower *)ex->pull_arg)->k;
    pthread_mutex_lock(&k->follow_lock);
    for (int i = 0; i < MOST_FOLLOWERS; i++)
        if (k->followers[i] == ex) k->followers[i] = NULL;
    pthread_mutex_unlock(&k->follow_lock);
}
