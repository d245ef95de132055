/* eval_run.c: threads that solve one problem each with plain sequential code; the engine makes them one batch.
 * Not the search and not the file: solver.c, results.c.
 * Next: eval_report.c. */
#include "solve/eval_run.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/progress.h"
#include "solve/report.h"

struct crowd {
    struct eval_run *r;
    double seconds_before;
    uint64_t start_ns;
    /* guarded by the lock */
    pthread_mutex_t lock;
    uint32_t next;    /* problem to take */
    uint32_t written; /* all before this one are in the file */
    json_t **lines;   /* [n] waiting for their turn */
    uint32_t n_done, n_correct;
    struct progress bar;
    enum status status;
    struct error e;
};

/* ---- results that were there ---- */

static enum why_stopped why_from_name(const char *name) {
    for (int w = WHY_DONE; w < WHY_ERROR; w++)
        if (name && !strcmp(name, why_name((enum why_stopped)w))) return (enum why_stopped)w;
    return WHY_ERROR;
}

static void score_from_line(struct score *s, const json_t *line, double *seconds) {
    *s = (struct score){.done = true,
                        .correct = json_is_true(json_object_get(line, "correct")),
                        .why = why_from_name(json_string_value(json_object_get(line, "why"))),
                        .ms = json_number_value(json_object_get(line, "ms"))};
    for (const struct ledger_field *f = ledger_fields; f->name; f++)
        *ledger_at(&s->cost, f) = (uint64_t)json_integer_value(json_object_get(line, f->name));
    *seconds = fmax(*seconds, json_number_value(json_object_get(line, "elapsed")));
}

/* The first result of a problem that is not in the input; NULL: there is none. */
static const char *foreign_id(const struct eval_run *r) {
    const char *id;
    json_t *line;
    json_object_foreach(r->results->lines, id, line) {
        uint32_t i = 0;
        while (i < r->problems->n && strcmp(r->problems->items[i].id, id)) i++;
        if (i == r->problems->n) return id;
    }
    return NULL;
}

static enum status take_old(struct eval_run *r, struct error *e) {
    size_t found = 0;
    for (uint32_t i = 0; r->results && i < r->problems->n; i++) {
        const json_t *line = json_object_get(r->results->lines, r->problems->items[i].id);
        if (!line) continue;
        score_from_line(&r->scores[i], line, &r->seconds);
        found++;
    }
    if (!r->results || found == json_object_size(r->results->lines)) return OK;
    const char *id = foreign_id(r);
    return error_set(e, ERR_INPUT, "%s: holds a result for \"%s\", which is not in the input", r->results->path,
                     id ? id : "?");
}

/* ---- workers ---- */

static double elapsed(const struct crowd *c) { return c->seconds_before + (double)(clock_ns() - c->start_ns) / 1e9; }

/* Problem by problem in order: a killed run leaves no hole. */
static void write_ready(struct crowd *c) {
    const struct eval_run *r = c->r;
    for (; c->written < r->problems->n && r->scores[c->written].done && !c->status; c->written++) {
        json_t **line = &c->lines[c->written];
        if (!*line) continue; /* was there before */
        json_object_set_new(*line, "elapsed", json_real(elapsed(c)));
        if (r->results && (c->status = results_append(r->results, *line, &c->e))) break;
        json_decref(*line);
        *line = NULL;
    }
}

static void note_outcome(struct crowd *c, uint32_t i, const struct outcome *o) {
    char note[48];
    bool correct = o->verdict == VERDICT_RIGHT;
    c->r->scores[i] = (struct score){.done = true, .correct = correct, .why = o->why, .cost = o->cost, .ms = o->ms};
    c->lines[i] = report_outcome(&c->r->problems->items[i], o);
    c->n_done++, c->n_correct += correct;
    write_ready(c);
    snprintf(note, sizeof note, "%u of %u right", c->n_correct, c->n_done);
    progress_update(&c->bar, c->n_done, note);
}

/* The next problem that is not done; n when there is none, or when it is time to stop. */
static uint32_t take_problem(struct crowd *c) {
    uint32_t n = c->r->problems->n;
    const volatile int *cancel = c->r->solver->common.cancel;
    if (c->status || (cancel && *cancel)) return n;
    while (c->next < n && c->r->scores[c->next].done) c->next++;
    return c->next < n ? c->next++ : n;
}

static void *worker(void *arg) {
    struct crowd *c = arg;
    struct outcome *o = mem_new(1, sizeof *o);
    pthread_mutex_lock(&c->lock);
    if (!o && !c->status) c->status = error_set(&c->e, ERR_MEMORY, "no memory for an outcome");
    for (uint32_t i; (i = take_problem(c)) < c->r->problems->n;) {
        struct error e;
        pthread_mutex_unlock(&c->lock);
        enum status s = solver_run(c->r->solver, &c->r->problems->items[i], NULL, NULL, o, &e);
        pthread_mutex_lock(&c->lock);
        if (!s && o->why != WHY_CANCELLED) note_outcome(c, i, o);
        else if (s && !c->status)
            c->status = error_set(&c->e, s, "problem %s: %s", c->r->problems->items[i].id, e.text);
        if (!s) outcome_free(o);
    }
    pthread_mutex_unlock(&c->lock);
    mem_free(o);
    return NULL;
}

static void run_workers(struct crowd *c) {
    pthread_t threads[256];
    int n = 0, want = c->r->in_flight < 256 ? c->r->in_flight : 256;
    while (n < want && !pthread_create(&threads[n], NULL, worker, c)) n++;
    if (!n) worker(c); /* no thread to be had: this one works */
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
}

/* A problem that was finished before one that was cancelled is not in the file: it is solved again, and not counted
 * now. */
static void forget_unwritten(struct crowd *c) {
    for (uint32_t i = 0; i < c->r->problems->n; i++) {
        if (!c->lines[i]) continue;
        if (c->r->results) c->r->scores[i].done = false;
        json_decref(c->lines[i]);
    }
}

enum status eval_run(struct eval_run *r, struct error *e) {
    struct crowd c = {.r = r, .lock = PTHREAD_MUTEX_INITIALIZER, .start_ns = clock_ns()};
    r->seconds = 0;
    r->scores = mem_new(r->problems->n, sizeof *r->scores);
    c.lines = mem_new(r->problems->n, sizeof *c.lines);
    if (!r->scores || !c.lines) {
        mem_free(c.lines);
        return error_set(e, ERR_MEMORY, "no memory for %u outcomes", r->problems->n);
    }
    enum status s = take_old(r, e);
    c.seconds_before = r->seconds;
    for (uint32_t i = 0; !s && i < r->problems->n; i++)
        c.n_done += r->scores[i].done, c.n_correct += r->scores[i].correct;
    if (!s && c.n_done < r->problems->n) {
        progress_start(&c.bar, "eval", c.n_done, r->problems->n);
        run_workers(&c);
        s = c.status;
        if (s && e) *e = c.e;
        r->seconds = elapsed(&c);
    }
    forget_unwritten(&c);
    mem_free(c.lines);
    return s;
}

void eval_run_free(struct eval_run *r) {
    mem_free(r->scores);
    r->scores = NULL;
}

/* ---- summary ---- */

static void set_times(struct summary *sum, const struct eval_run *r) {
    double *ms = mem_new(sum->n, sizeof *ms);
    size_t n = 0;
    for (uint32_t i = 0; ms && i < r->problems->n; i++)
        if (r->scores[i].done) ms[n++] = r->scores[i].ms;
    stats_sort(ms, n);
    if (n) sum->median_ms = stats_median(ms, n), sum->p95_ms = stats_rank(ms, n, 0.95);
    mem_free(ms);
}

struct summary eval_summary(const struct eval_run *r) {
    struct summary sum = {0};
    for (uint32_t i = 0; i < r->problems->n; i++) {
        struct score *s = &r->scores[i];
        if (!s->done) continue;
        sum.n++;
        sum.correct += s->correct;
        sum.by_why[s->why]++;
        for (const struct ledger_field *f = ledger_fields; f->name; f++)
            *ledger_at(&sum.cost, f) += *ledger_at(&s->cost, f);
    }
    sum.accuracy = sum.n ? (double)sum.correct / sum.n : 0;
    sum.ci95 = stats_wilson(sum.correct, sum.n);
    set_times(&sum, r);
    return sum;
}
