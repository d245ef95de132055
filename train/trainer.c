/* trainer.c: data-parallel training.  A batch is cut into SHARDS fixed parts, each with its own gradient, summed in
 * order: the result does not depend on the number of threads.
 * Not distributed over machines.
 * Next: policy.c. */
#include "train/trainer.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/team.h"
#include "train/checkpoint.h"

enum { SHARDS = 4 };

struct shard {
    struct tape *tape;
    float *grad;              /* [n_weights] */
    struct example *examples; /* [batch / SHARDS] */
    int32_t *tokens, *targets;
    float *values, *weights;
    uint32_t *starts;
    double loss, weight; /* sums over the shard */
    uint32_t n_rows;
    enum status status;
    struct error e;
};

struct run {
    struct net *net;
    example_fn *source;
    void *arg;
    const struct train_params *p;
    struct adamw adamw;
    struct shard shards[SHARDS];
    struct team *team;
    uint64_t first_index; /* of this batch */
    float scale;          /* 1 / total loss weight; known after the examples are there */
    bool with_grad;
    atomic_int next; /* shard to take */
};

static uint32_t shard_rows(const struct train_params *p) {
    uint32_t n = p->batch / SHARDS;
    return n * EXAMPLE_ROOM > EXAMPLE_MAX ? n * EXAMPLE_ROOM : EXAMPLE_MAX;
}

/* Lays out the examples of a shard as one packed batch. */
static struct net_batch pack(struct run *r, struct shard *s, uint64_t first) {
    uint32_t n = r->p->batch / SHARDS, row = 0, cap = shard_rows(r->p), kept = 0;
    s->weight = 0;
    for (uint32_t i = 0; i < n && !s->status; i++) {
        struct example *x = &s->examples[i];
        if ((s->status = r->source(r->arg, first + i, x, &s->e)) || row + x->n > cap) continue;
        s->starts[kept++] = row;
        memcpy(s->tokens + row, x->tokens, x->n * sizeof *x->tokens);
        memcpy(s->targets + row, x->targets, x->n * sizeof *x->targets);
        memcpy(s->values + row, x->values, x->n * sizeof *x->values);
        memcpy(s->weights + row, x->weights, x->n * sizeof *x->weights);
        for (uint32_t j = 0; j < x->n; j++) s->weight += x->weights[j];
        row += x->n;
    }
    s->starts[kept] = s->n_rows = row;
    return (struct net_batch){.tokens = s->tokens,
                              .starts = s->starts,
                              .targets = s->targets,
                              .values = s->values,
                              .weights = s->weights,
                              .n_rows = row,
                              .n_seqs = kept};
}

/* Gradients are sums of the loss; the mean is taken once, after the shards are added. */
static void work(void *arg, int index, int count) {
    (void)index, (void)count;
    struct run *r = arg;
    for (int i; (i = atomic_fetch_add(&r->next, 1)) < SHARDS;) {
        struct shard *s = &r->shards[i];
        struct net_batch b = pack(r, s, r->first_index + (uint64_t)i * (r->p->batch / SHARDS));
        if (r->with_grad) memset(s->grad, 0, r->net->n_weights * sizeof(float));
        if (s->status) continue;
        s->loss = net_loss(r->net, s->tape, &b, 1, r->with_grad ? s->grad : NULL, NULL);
    }
}

/* Runs one batch; the gradient sum lands in shard 0.  Returns the mean loss and the number of rows. */
static double run_batch(struct run *r, uint64_t first, bool with_grad, uint64_t *rows) {
    r->first_index = first, r->with_grad = with_grad;
    atomic_store(&r->next, 0);
    team_run(r->team, work, r);
    double loss = 0, weight = 0;
    for (int i = 0; i < SHARDS; i++)
        loss += r->shards[i].loss, weight += r->shards[i].weight, *rows += r->shards[i].n_rows;
    if (weight <= 0) weight = 1;
    if (with_grad) {
        float *g = r->shards[0].grad, k = (float)(1 / weight);
        const float *g1 = r->shards[1].grad, *g2 = r->shards[2].grad, *g3 = r->shards[3].grad;
        for (size_t i = 0; i < r->net->n_weights; i++) g[i] = (g[i] + g1[i] + g2[i] + g3[i]) * k;
    }
    return loss / weight;
}

/* The first shard without memory. */
static enum status shards_failed(struct run *r, struct error *e) {
    for (int i = 0; i < SHARDS; i++)
        if (r->shards[i].status) {
            if (e) *e = r->shards[i].e;
            return r->shards[i].status;
        }
    return OK;
}

static double validate(struct run *r) {
    double sum = 0;
    uint64_t rows = 0, n = 0;
    for (uint64_t at = 0; at + r->p->batch <= r->p->n_validation; at += r->p->batch, n++)
        sum += run_batch(r, EXAMPLE_VALIDATION + at, false, &rows);
    return n ? sum / (double)n : NAN;
}

static void run_close(struct run *r) {
    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &r->shards[i];
        tape_free(&s->tape);
        mem_free(s->grad), mem_free(s->examples), mem_free(s->tokens), mem_free(s->targets);
        mem_free(s->values), mem_free(s->weights), mem_free(s->starts);
    }
    adamw_free(&r->adamw);
    team_free(&r->team);
}

static enum status run_open(struct run *r, struct error *e) {
    uint32_t n = r->p->batch / SHARDS, rows = shard_rows(r->p);
    if (!n || r->p->batch % SHARDS)
        return error_set(e, ERR_INPUT, "--batch %u: allowed multiples of %d", r->p->batch, SHARDS);
    enum status s = team_new(r->p->threads, &r->team, e);
    if (s || (s = adamw_new(r->net, &r->adamw, e))) return s;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *h = &r->shards[i];
        if ((s = tape_new(r->net, rows, EXAMPLE_MAX, &h->tape, e))) return s;
        h->grad = mem_new(r->net->n_weights, sizeof(float));
        h->examples = mem_new(n, sizeof *h->examples);
        h->tokens = mem_new(rows, sizeof *h->tokens), h->targets = mem_new(rows, sizeof *h->targets);
        h->values = mem_new(rows, sizeof *h->values), h->weights = mem_new(rows, sizeof *h->weights);
        h->starts = mem_new(n + 1, sizeof *h->starts);
        if (!h->grad || !h->examples || !h->tokens || !h->targets || !h->values || !h->weights || !h->starts)
            return error_set(e, ERR_MEMORY, "no memory for a batch of %u sequences: lower --batch", r->p->batch);
    }
    return OK;
}

/* One line of the log: what a loss curve needs. */
static enum status report(const struct train_params *p, FILE *log, uint64_t step, double loss, double val, float lr,
                          double rate, double seconds, struct error *e) {
    if (!log) return OK;
    char v[32] = "null";
    if (isfinite(val)) snprintf(v, sizeof v, "%.5f", val);
    fprintf(log,
            "{\"step\":%llu,\"steps\":%llu,\"loss\":%.5f,\"validation\":%s,\"lr\":%.3g,\"tokens_per_second\":%.0f,"
            "\"seconds\":%.1f}\n",
            (unsigned long long)step, (unsigned long long)p->steps, loss, v, (double)lr, rate, seconds);
    return fflush(log) ? error_set(e, ERR_IO, "%s: %s", p->log, strerror(errno)) : OK;
}

enum status train_cut_log(FILE *log, const char *path, uint64_t step, struct error *e) {
    char line[512];
    long keep = 0;
    rewind(log);
    for (unsigned long long at; fgets(line, sizeof line, log) && strchr(line, '\n'); keep = ftell(log))
        if (sscanf(line, "{\"step\":%llu,", &at) == 1 && at > step) break;
    if (fflush(log) || ftruncate(fileno(log), keep) || fseek(log, 0, SEEK_END))
        return error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    return OK;
}

static enum status loop(struct run *r, FILE *log, double *final_loss, struct error *e) {
    const struct train_params *p = r->p;
    uint64_t step = 0, rows = 0, report_rows = 0, n_report = 0;
    bool found = false;
    struct checkpoint at = {
        .path = p->checkpoint, .net = r->net, .adamw = &r->adamw, .settings = p->settings, .seed = p->seed};
    enum status s = p->checkpoint ? checkpoint_load(&at, &found, e) : OK;
    if (!s && log) s = train_cut_log(log, p->log, found ? at.step : 0, e);
    if (s) return s;
    step = at.step;
    if (found)
        fprintf(stderr, "resuming at step %llu of %llu\n", (unsigned long long)step, (unsigned long long)p->steps);
    struct progress bar;
    progress_start(&bar, r->net->head == NET_LM ? "policy" : "reward", step, p->steps);
    uint64_t start = clock_ns(), saved = start, reported = start, every = p->steps / 50 ? p->steps / 50 : 1;
    double sum = 0, smooth = NAN;
    int bad = 0;
    for (uint64_t last = p->stop_after ? p->stop_after : p->steps;
         step < last && step < p->steps && !(p->cancel && *p->cancel);) {
        uint64_t before = rows;
        double loss = run_batch(r, step * p->batch, true, &rows);
        if ((s = shards_failed(r, e))) return s;
        float lr = lr_at(step, p->steps, p->warmup, p->lr, p->lr_floor);
        float norm = adamw_step(&r->adamw, r->net, r->shards[0].grad, step + 1, lr);
        step++;
        bad = isfinite(loss) && isfinite(norm) ? 0 : bad + 1;
        if (bad == 10)
            return error_set(e, ERR_INPUT, "training loss is not finite at step %llu: lower --lr",
                             (unsigned long long)step);
        if (bad) continue;
        sum += loss, n_report++, report_rows += rows - before;
        smooth = isfinite(smooth) ? 0.98 * smooth + 0.02 * loss : loss;
        uint64_t now = clock_ns();
        char note[96];
        snprintf(note, sizeof note, "step %llu  loss %.4f  %.0f tok/s", (unsigned long long)step, smooth,
                 (double)rows * 1e9 / (double)(now - start));
        progress_update(&bar, step, note);
        if (step % every == 0 || step == p->steps) {
            s = report(p, log, step, sum / (double)n_report, validate(r), lr,
                       (double)report_rows * 1e9 / (double)(now - reported), (double)(now - start) / 1e9, e);
            if (s) return s;
            sum = 0, n_report = 0, report_rows = 0, reported = clock_ns();
        }
        if (p->checkpoint && (double)(now - saved) / 1e9 > p->save_every_s) {
            at.step = step;
            if ((s = checkpoint_save(&at, e))) return s;
            saved = clock_ns();
        }
    }
    at.step = step;
    if (p->checkpoint && (s = checkpoint_save(&at, e))) return s;
    double v = validate(r);
    *final_loss = isfinite(v) ? v : smooth;
    return OK;
}

enum status train_run(struct net *n, example_fn *source, void *arg, const struct train_params *p, double *final_loss,
                      struct error *e) {
    struct run r = {.net = n, .source = source, .arg = arg, .p = p};
    FILE *log = NULL;
    enum status s = run_open(&r, e);
    if (!s && p->log && !(log = fopen(p->log, "a+"))) s = error_set(e, ERR_IO, "%s: %s", p->log, strerror(errno));
    if (!s) s = loop(&r, log, final_loss, e);
    if (log) fclose(log);
    run_close(&r);
    return s;
}
