/* deferred.c: deferred jobs: taken, run without a connection, asked for, forgotten.
 * Not their files: deferred_file.c.
 * Next: http.h, exchange_detached. */
#include "serve/deferred.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "serve/fields.h"
#include "serve/handlers.h"
#include "serve/search_store.h"
#include "serve/texts.h"

struct one {
    struct deferred *all;
    char id[DEFERRED_ID + 1];
    time_t created;
    /* under the lock */
    struct one *next;
    bool done;           /* its answer is on disk */
    bool unwanted;       /* to be forgotten as soon as nobody works for it */
    char trouble[160];   /* why there is no answer although nobody works for it; "": somebody does */
    struct exchange *ex; /* NULL: nobody works for it */
};

struct deferred {
    struct server *server;
    const char *folder;
    int lock_fd;
    pthread_mutex_t lock;
    struct one *first; /* newest first */
    uint32_t n, n_pending;
};

/* ---- the list ---- */

static struct one *new_one(struct deferred *d, const char *id) {
    struct one *o = mem_new(1, sizeof *o);
    if (!o) return NULL;
    o->all = d, o->created = time(NULL);
    memcpy(o->id, id, DEFERRED_ID);
    pthread_mutex_lock(&d->lock);
    o->next = d->first, d->first = o;
    d->n++, d->n_pending++;
    pthread_mutex_unlock(&d->lock);
    return o;
}

/* Under the lock: it and its files are gone. */
static void forget(struct one *o) {
    struct deferred *d = o->all;
    struct one **at = &d->first;
    while (*at != o) at = &(*at)->next;
    *at = o->next;
    d->n--, d->n_pending -= !o->done;
    deferred_unlink(d->folder, o->id, "done"); /* before the job: what is left would be done again */
    deferred_unlink(d->folder, o->id, "job");
    mem_free(o);
}

/* Under the lock. */
static struct one *find(struct deferred *d, const char *id) {
    struct one *o = d->first;
    while (o && strcmp(o->id, id)) o = o->next;
    return o;
}

uint32_t deferred_pending(struct server *s) {
    pthread_mutex_lock(&s->deferred->lock);
    uint32_t n = s->deferred->n_pending;
    pthread_mutex_unlock(&s->deferred->lock);
    return n;
}

/* ---- running ---- */

static enum status store(struct one *o, const struct exchange *ex, struct error *e) {
    json_t *response = json_loadb(ex->out.data ? ex->out.data : "", ex->out.n, JSON_DECODE_ANY, NULL);
    if (!response) return error_set(e, ERR_MEMORY, "no memory for the answer");
    json_t *done = json_pack("{s:s,s:I,s:i,s:o}", "id", o->id, "finished", (json_int_t)time(NULL), "code", ex->status,
                             "response", response);
    enum status s = done ? deferred_write(o->all->folder, o->id, "done", done, e)
                         : error_set(e, ERR_MEMORY, "no memory for the answer");
    json_decref(done);
    return s;
}

/* Nobody works for it any more. */
static void complete(struct exchange *ex, void *arg) {
    struct one *o = arg;
    struct deferred *d = o->all;
    struct server *s = d->server;
    struct error e = {""};
    pthread_mutex_lock(&d->lock);
    bool wanted = !o->unwanted, cut = ex->stop && (s->draining || s->stop); /* the next server does it again */
    pthread_mutex_unlock(&d->lock);
    enum status st = wanted && !cut ? store(o, ex, &e) : OK;
    if (wanted && !cut && !st) {
        metrics_latency(&s->metrics, CLASS_BATCH, clock_ns() - ex->start_ns);
        metrics_add(&s->metrics, COUNT_DEFERRED_DONE, 1);
    }
    pthread_mutex_lock(&d->lock);
    o->ex = NULL;
    if (wanted && !cut && !st) o->done = true, d->n_pending--;
    else snprintf(o->trouble, sizeof o->trouble, "%.150s", st ? e.text : "the server is stopping");
    if (o->unwanted) forget(o);
    pthread_mutex_unlock(&d->lock);
}

/* Hands the request to its route.  NULL: no memory, or the path is none of a route's; else for exchange_release. */
static struct exchange *start(struct one *o, const char *path, int key, const json_t *body) {
    struct deferred *d = o->all;
    char *text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(17));
    struct exchange *ex =
        text ? exchange_detached(d->server->http, "POST", path, text, strlen(text), complete, o) : NULL;
    free(text);
    if (!ex) return NULL;
    ex->key = key;
    pthread_mutex_lock(&d->lock);
    o->ex = ex;
    pthread_mutex_unlock(&d->lock);
    if (route_find(ex)) ex->route->handle(ex);
    else server_fail(ex, 404, NULL, "there is no %.100s here", path);
    return ex;
}

/* ---- taking ---- */

bool deferred_wanted(const struct exchange *ex) {
    if (ex->complete || !ex->body.n || !memmem(ex->body.data, ex->body.n, "\"deferred\"", 10)) return false;
    json_t *body = json_loadb(ex->body.data, ex->body.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *wish = json_object_get(body, "deferred");
    bool wanted = wish && !json_is_null(wish) && !json_is_false(wish);
    json_decref(body);
    return wanted;
}

/* The key's hash, so that a job of yesterday counts for the same key. */
static void hash_key(const struct server *s, int key, char text[20]) {
    const char *k = key >= 0 ? s->keys.text[key] : "";
    snprintf(text, 20, "%016llx", (unsigned long long)hash_bytes(k, strlen(k)));
}

static int find_key(const struct server *s, const char *hash) {
    char text[20];
    for (int i = 0; i < s->keys.n; i++) {
        hash_key(s, i, text);
        if (hash && !strcmp(hash, text)) return i;
    }
    return -1;
}

/* NULL: told. */
static json_t *read_body(struct exchange *ex) {
    json_t *body;
    struct error e;
    enum status s = body_read(ex->body.data, ex->body.n, &body, &e);
    if (s) {
        server_fail_status(ex, s, &e);
        return NULL;
    }
    const char *wrong = !json_is_true(json_object_get(body, "deferred")) ? "\"deferred\": true or false is allowed"
                        : json_is_true(json_object_get(body, "stream"))  ? "\"stream\": a deferred answer comes in one"
                                                                         : NULL;
    json_object_del(body, "deferred");
    json_object_set_new(body, "stream", json_false());
    if (!wrong) return body;
    server_fail(ex, 400, NULL, "%s", wrong);
    json_decref(body);
    return NULL;
}

static struct one *accept_one(struct exchange *ex, const json_t *body, struct error *e) {
    struct server *s = ex->server;
    struct deferred *d = s->deferred;
    unsigned char random[DEFERRED_ID / 2];
    char id[DEFERRED_ID + 1], key[20];
    if (getrandom(random, sizeof random, 0) != sizeof random) {
        error_set(e, ERR_IO, "no random numbers");
        return NULL;
    }
    for (size_t i = 0; i < sizeof random; i++) snprintf(id + 2 * i, 3, "%02x", random[i]);
    hash_key(s, ex->key, key);
    json_t *job = json_pack("{s:s,s:I,s:s,s:s,s:O}", "id", id, "created", (json_int_t)time(NULL), "path", ex->path,
                            "key", key, "body", body);
    enum status st =
        job ? deferred_write(d->folder, id, "job", job, e) : error_set(e, ERR_MEMORY, "no memory for a job");
    json_decref(job);
    struct one *o = st ? NULL : new_one(d, id);
    if (!st && !o) {
        deferred_unlink(d->folder, id, "job");
        error_set(e, ERR_MEMORY, "no memory for a job");
    }
    return o;
}

/* On a worker: disks are slow. */
static void take(struct job *job) {
    struct exchange *ex = job->ex, *work;
    struct server *s = job->server;
    struct error e;
    json_t *body = read_body(ex);
    struct one *o = body ? accept_one(ex, body, &e) : NULL;
    mem_free(job);
    if (body && !o) server_fail(ex, 500, NULL, "%s", e.text);
    if (!o) {
        json_decref(body);
        return;
    }
    char id[DEFERRED_ID + 1];
    memcpy(id, o->id, sizeof id);
    work = start(o, ex->path, ex->key, body);
    json_decref(body);
    int code = 500;
    pthread_mutex_lock(&s->deferred->lock);
    if (work) code = exchange_status(work);
    if (!work || code >= 400) o->unwanted = true; /* it was wrong, and the client hears it now */
    if (!work) forget(o);
    pthread_mutex_unlock(&s->deferred->lock);
    if (!work) server_fail(ex, 500, NULL, "no memory for a job");
    else if (code >= 400) exchange_reply(ex, code, "application/json", work->out.data, work->out.n);
    else exchange_json(ex, 202, json_pack("{s:s,s:s,s:s}", "id", id, "object", "deferred", "status", "pending"));
    if (work) exchange_release(work);
}

void deferred_take(struct exchange *ex) {
    struct server *s = ex->server;
    if (!s->deferred) {
        server_fail(ex, 400, NULL, "\"deferred\": this server keeps no answers (--deferred FOLDER)");
        return;
    }
    pthread_mutex_lock(&s->deferred->lock);
    uint32_t n = s->deferred->n;
    pthread_mutex_unlock(&s->deferred->lock);
    if (n >= s->p.max_deferred) {
        ex->retry_after = 60;
        server_fail(ex, 429, NULL, "%u deferred jobs are kept already; DELETE those whose answers were read", n);
        return;
    }
    struct job *job = mem_new(1, sizeof *job);
    if (job) *job = (struct job){.run = take, .ex = ex};
    if (!job) server_fail(ex, 500, NULL, "no memory for a job");
    else if (!server_queue(s, job)) mem_free(job);
}

/* ---- opening ---- */

static enum status see(void *arg, const char *id, struct error *e) {
    struct deferred *d = arg;
    struct error why;
    struct one *o = new_one(d, id);
    if (!o) return error_set(e, ERR_MEMORY, "no memory for deferred jobs");
    json_t *done = deferred_read(d->folder, id, "done", &why), *job = deferred_read(d->folder, id, "job", &why);
    o->created = (time_t)json_integer_value(json_object_get(job, "created"));
    pthread_mutex_lock(&d->lock); /* jobs before it run already */
    o->done = done != NULL, d->n_pending -= o->done;
    pthread_mutex_unlock(&d->lock);
    const char *path = json_string_value(json_object_get(job, "path"));
    int key = find_key(d->server, json_string_value(json_object_get(job, "key")));
    struct exchange *work = path && !done ? start(o, path, key, json_object_get(job, "body")) : NULL;
    if (!done && !work) snprintf(o->trouble, sizeof o->trouble, "%.150s", job ? "it is no job" : why.text);
    if (work) exchange_release(work);
    json_decref(done), json_decref(job);
    return OK;
}

enum status deferred_open(struct server *s, struct error *e) {
    struct deferred *d = s->deferred = mem_new(1, sizeof *d);
    if (!d) return error_set(e, ERR_MEMORY, "no memory for deferred jobs");
    d->server = s, d->folder = s->p.deferred;
    pthread_mutex_init(&d->lock, NULL);
    enum status st = deferred_lock(d->folder, &d->lock_fd, e);
    return st ? st : deferred_scan(d->folder, see, d, e);
}

void deferred_close(struct server *s) {
    struct deferred *d = s->deferred;
    if (!d) return;
    for (struct one *o = d->first, *next; o; o = next) {
        next = o->next;
        mem_free(o);
    }
    if (d->lock_fd >= 0) close(d->lock_fd);
    pthread_mutex_destroy(&d->lock);
    mem_free(d);
    s->deferred = NULL;
}

/* ---- routes ---- */

/* Under the lock. */
static json_t *state_json(const struct one *o) {
    json_t *all = json_pack("{s:s,s:s,s:I,s:s}", "id", o->id, "object", "deferred", "created", (json_int_t)o->created,
                            "status", o->done ? "done" : "pending");
    if (all && *o->trouble && !o->done) json_object_set_new(all, "trouble", json_string(o->trouble));
    char search[64] = "";
    if (o->ex) snprintf(search, sizeof search, "search-%s", o->ex->id);
    struct kept *k = *search ? search_find(o->all->server->searches, search, strlen(search)) : NULL;
    if (k) json_object_set_new(all, "search", json_string(search)), search_release(k);
    return all;
}

void handle_deferred_list(struct exchange *ex) {
    struct server *s = ex->server;
    json_t *data = json_array();
    if (s->deferred) {
        pthread_mutex_lock(&s->deferred->lock);
        for (const struct one *o = s->deferred->first; o; o = o->next) json_array_append_new(data, state_json(o));
        pthread_mutex_unlock(&s->deferred->lock);
    }
    exchange_json(ex, 200, json_pack("{s:s,s:o}", "object", "list", "data", data));
}

/* The job of "/v1/deferred/ID", with the lock taken; NULL: told, without the lock. */
static struct one *find_locked(struct exchange *ex) {
    struct server *s = ex->server;
    const char *id = ex->path + strlen("/v1/deferred/");
    if (s->deferred) pthread_mutex_lock(&s->deferred->lock);
    struct one *o = s->deferred && deferred_is_id(id, strlen(id)) ? find(s->deferred, id) : NULL;
    if (o && !o->unwanted) return o;
    if (s->deferred) pthread_mutex_unlock(&s->deferred->lock);
    server_fail(ex, 404, NULL, "there is no deferred job \"%.60s\"", id);
    return NULL;
}

void handle_deferred_get(struct exchange *ex) {
    struct one *o = find_locked(ex);
    struct error e;
    if (!o) return;
    struct deferred *d = o->all;
    char id[DEFERRED_ID + 1];
    bool done = o->done;
    json_t *all = state_json(o);
    memcpy(id, o->id, sizeof id);
    pthread_mutex_unlock(&d->lock);
    json_t *result = done ? deferred_read(d->folder, id, "done", &e) : NULL;
    if (done && !result) {
        json_decref(all);
        server_fail(ex, 500, NULL, "%s", e.text);
        return;
    }
    if (json_integer_value(json_object_get(result, "code")) >= 400)
        json_object_set_new(all, "status", json_string("failed"));
    json_object_update_missing(all, result);
    json_decref(result);
    exchange_json(ex, 200, all);
}

void handle_deferred_delete(struct exchange *ex) {
    struct one *o = find_locked(ex);
    if (!o) return;
    struct deferred *d = o->all;
    json_t *said = json_pack("{s:s,s:b}", "id", o->id, "deleted", 1);
    o->unwanted = true;
    if (o->ex) o->ex->stop = 1; /* complete forgets it */
    else forget(o);
    pthread_mutex_unlock(&d->lock);
    exchange_json(ex, 200, said);
}
