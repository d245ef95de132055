/* labels.c: samples chains, rolls out their prefixes, writes label lines in order.
 * Not a search: plain sampling through the evaluator's fork and extend.
 * Next: reward.c. */
#include "train/labels.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/progress.h"
#include "base/rng.h"
#include "search/eval_model.h"

enum { MAX_CHAINS = 16, MAX_STEPS = 32, MAX_STATES = MAX_CHAINS * MAX_STEPS, ROLL_BATCH = 64 };
enum { MAX_LIVE = MAX_STATES + MAX_CHAINS + ROLL_BATCH + 1, MAX_TOKENS = 512, CHAIN_TEXT = 4096 };

/* A state met by some chain: a branch to roll out from and the outcomes so far. */
struct place {
    uint64_t state;
    branch_id branch;
    uint32_t n, n_right; /* rollouts made, and right */
};

struct sampled {
    char text[CHAIN_TEXT];
    int n_steps;
    bool finished;
    int place[MAX_STEPS]; /* of the prefix that ends with step i; -1: value known below */
    float value[MAX_STEPS];
};

struct job {
    const struct label_params *p;
    struct problem problem;
    uint64_t key;
    struct eval_model *model;
    struct evaluator ev;
    struct sampled chains[MAX_CHAINS];
    struct place places[MAX_STATES];
    int n_places;
    struct label_stats stats; /* of this problem */
};

/* The place for a state, made from a fork of `from` when it is new. */
static enum status find_place(struct job *j, uint64_t state, branch_id from, int *out, struct error *e) {
    for (*out = 0; *out < j->n_places; ++*out)
        if (state != STATE_UNKNOWN && j->places[*out].state == state) return OK;
    struct place *new_place = &j->places[j->n_places];
    *new_place = (struct place){.state = state};
    enum status s = j->ev.fork(j->ev.self, from, &new_place->branch, e);
    if (!s) j->n_places++;
    return s;
}

/* Notes the newest step of chain c, whose branch is b. */
static enum status note_step(struct job *j, struct sampled *c, const struct step *st, struct error *e) {
    int i = c->n_steps;
    if (st->end == STEP_TRUNCATED || st->end == STEP_DEAD) return OK;
    snprintf(c->text, sizeof c->text, "%s", eval_model_text(j->model, st->branch));
    c->place[i] = -1, c->value[i] = 0;
    c->n_steps++;
    c->finished = st->end == STEP_FINISHED;
    if (c->finished) {
        c->value[i] = problem_judge(&j->problem, c->text).reward;
        return OK;
    }
    uint64_t state = problem_state(&j->problem, c->text);
    return state == STATE_WRONG ? OK : find_place(j, state, st->branch, &c->place[i], e);
}

static enum status sample_chains(struct job *j, struct error *e) {
    uint32_t n = j->p->chains, n_active = n;
    struct step steps[MAX_CHAINS];
    branch_id branches[MAX_CHAINS] = {0};
    uint32_t active[MAX_CHAINS];
    enum status s = OK;
    for (uint32_t i = 0; i < n && !s; i++) {
        active[i] = i;
        j->chains[i].n_steps = 0, j->chains[i].finished = false;
        s = j->ev.fork(j->ev.self, j->ev.root, &branches[i], e);
    }
    for (int depth = 0; n_active && depth < MAX_STEPS && !s; depth++) {
        for (uint32_t k = 0; k < n_active; k++) {
            uint32_t i = active[k];
            steps[k] = (struct step){.branch = branches[i],
                                     .key = rng_fold(rng_fold(j->key, i), (uint64_t)depth),
                                     .temperature = i % 2 ? j->p->wild_temperature : j->p->temperature};
        }
        if ((s = j->ev.extend(j->ev.self, steps, n_active, e))) break;
        uint32_t still = 0;
        for (uint32_t k = 0; k < n_active && !s; k++) {
            s = note_step(j, &j->chains[active[k]], &steps[k], e);
            if (steps[k].end == STEP_SEPARATOR) active[still++] = active[k];
        }
        n_active = still;
    }
    for (uint32_t i = 0; i < n; i++) j->ev.drop(j->ev.self, &branches[i]);
    return s;
}

/* Rolls out one batch: rollout k starts at place where[k] with its own key. */
static enum status roll(struct job *j, const int *where, const uint64_t *keys, uint32_t n, struct error *e) {
    struct step steps[ROLL_BATCH];
    branch_id branches[ROLL_BATCH] = {0};
    uint32_t active[ROLL_BATCH], n_active = n;
    enum status s = OK;
    for (uint32_t k = 0; k < n && !s; k++) {
        active[k] = k;
        s = j->ev.fork(j->ev.self, j->places[where[k]].branch, &branches[k], e);
    }
    for (uint64_t depth = 0; n_active && depth < MAX_STEPS && !s; depth++) {
        for (uint32_t a = 0; a < n_active; a++)
            steps[a] = (struct step){.branch = branches[active[a]],
                                     .key = rng_fold(keys[active[a]], depth),
                                     .temperature = j->p->temperature};
        if ((s = j->ev.extend(j->ev.self, steps, n_active, e))) break;
        uint32_t still = 0;
        for (uint32_t a = 0; a < n_active; a++) {
            if (steps[a].end == STEP_SEPARATOR) {
                active[still++] = active[a];
                continue;
            }
            struct place *at = &j->places[where[active[a]]];
            if (steps[a].end == STEP_FINISHED &&
                problem_verdict(&j->problem, eval_model_text(j->model, steps[a].branch)) == VERDICT_RIGHT)
                at->n_right++;
        }
        n_active = still;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (!s) j->places[where[k]].n++;
        j->ev.drop(j->ev.self, &branches[k]);
    }
    return s;
}

/* How many rollouts a place wants next. */
static uint32_t wanted(const struct label_params *p, const struct place *at) {
    bool mixed = at->n_right > 0 && at->n_right < at->n;
    if (at->n == 0) return p->min_rollouts;
    if (at->n >= p->max_rollouts || (!mixed && at->n >= 2 * p->min_rollouts)) return 0;
    return at->n < p->max_rollouts - at->n ? at->n : p->max_rollouts - at->n;
}

static enum status roll_all(struct job *j, struct error *e) {
    int where[ROLL_BATCH];
    uint64_t keys[ROLL_BATCH];
    for (bool more = true; more;) {
        more = false;
        uint32_t n = 0, n_places = (uint32_t)j->n_places;
        uint32_t want[MAX_STATES],
            first[MAX_STATES]; /* fixed before the first batch of this round changes the counts */
        for (uint32_t i = 0; i < n_places; i++) want[i] = wanted(j->p, &j->places[i]), first[i] = j->places[i].n;
        for (uint32_t i = 0; i < n_places; i++) {
            uint32_t base = first[i];
            for (uint32_t k = 0; k < want[i]; k++) {
                where[n] = (int)i;
                keys[n++] = rng_fold(rng_fold(j->key, 1000 + i), base + k);
                more = true;
                if (n < ROLL_BATCH) continue;
                enum status s = roll(j, where, keys, n, e);
                if (s) return s;
                n = 0;
            }
        }
        if (n) {
            enum status s = roll(j, where, keys, n, e);
            if (s) return s;
        }
    }
    return OK;
}

/* One line, newly allocated by jansson; NULL when memory is out. */
static char *label_line(struct job *j, uint64_t index) {
    const char *prompt = j->problem.text;
    size_t size = strlen(prompt);
    while (size && prompt[size - 1] == '\n') size--;
    json_t *chains = json_array();
    for (uint32_t i = 0; i < j->p->chains; i++) {
        const struct sampled *c = &j->chains[i];
        if (!c->n_steps) continue;
        json_t *values = json_array(), *rollouts = json_array();
        for (int k = 0; k < c->n_steps; k++) {
            const struct place *at = c->place[k] >= 0 ? &j->places[c->place[k]] : NULL;
            double value = at ? (double)at->n_right / at->n : (double)c->value[k];
            j->stats.values++, j->stats.positive += value > 0, j->stats.mixed += value > 0 && value < 1;
            json_array_append_new(values, json_real(value));
            json_array_append_new(rollouts, json_integer(at ? at->n : 0));
        }
        json_t *text = json_string(c->text);
        if (!text) { /* not UTF-8: nothing the reward model can be trained on */
            json_decref(values), json_decref(rollouts);
            continue;
        }
        json_array_append_new(chains, json_pack("{s:o,s:b,s:o,s:o}", "steps", text, "finished", c->finished, "values",
                                                values, "rollouts", rollouts));
    }
    size_t blank = prompt[0] == ' ';
    json_t *line = json_pack("{s:I,s:s,s:s%,s:o}", "index", (json_int_t)index, "task", j->problem.task->name, "problem",
                             prompt + blank, size - blank, "chains", chains);
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(4));
    json_decref(line);
    return text;
}

/* The problem of this index: the first key of its stream that gives one. */
static enum status draw_problem(struct job *j, struct error *e) {
    bool any = rng_uniform(j->key, 0) >= j->p->solvable_share, found = false;
    enum status s = OK;
    for (uint64_t attempt = 0; !s && !found; attempt++)
        s = task_mix_draw(&j->p->mix, attempt ? rng_fold(j->key, attempt) : j->key, 0, any, &j->problem, &found, e);
    return s;
}

static enum status label_one(const struct label_params *p, struct engine *en, uint64_t index, struct job *j,
                             char **line, struct error *e) {
    j->p = p, j->n_places = 0, j->stats = (struct label_stats){.problems = 1};
    j->key = rng_fold(p->key, index);
    enum status s = draw_problem(j, e);
    if (s) return s;
    struct eval_params ep = {.policy = en,
                             .tok = p->tok,
                             .sampling = {.top_p = 1},
                             .max_step_tokens = j->problem.task->style->max_step_tokens,
                             .max_tokens = p->policy->config.n_ctx < MAX_TOKENS ? p->policy->config.n_ctx : MAX_TOKENS,
                             .max_branches = MAX_LIVE,
                             .max_batch = ROLL_BATCH,
                             .separator = tok_find(p->tok, "\n")};
    s = eval_model_open(&ep, j->problem.text, &j->model, &j->ev, e);
    if (!s) {
        s = sample_chains(j, e);
        if (!s) s = roll_all(j, e);
        if (!s && !(*line = label_line(j, index))) s = error_set(e, ERR_MEMORY, "no memory for a label line");
        eval_model_close(&j->model);
    }
    problem_free(&j->problem);
    return s;
}

/* ---- workers, in order of index ---- */

struct work {
    const struct label_params *p;
    FILE *file;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    uint64_t next, written, end; /* next to take, next to write */
    enum status status;
    struct error e;
    struct progress bar;
    struct label_stats stats;
};

static void write_line(struct work *w, uint64_t index, char *line, const struct label_stats *stats, enum status s,
                       const struct error *e) {
    pthread_mutex_lock(&w->lock);
    while (w->written != index && !w->status) pthread_cond_wait(&w->turn, &w->lock);
    if (!w->status) {
        if (s) w->status = s, w->e = *e;
        else if (fprintf(w->file, "%s\n", line) < 0 ||
                 ((index % 256 == 255 || index + 1 == w->end) && (fflush(w->file) || fsync(fileno(w->file)))))
            w->status = error_set(&w->e, ERR_IO, "%s: %s", w->p->out, strerror(errno));
        w->written++;
        w->stats.problems += stats->problems, w->stats.values += stats->values;
        w->stats.positive += stats->positive, w->stats.mixed += stats->mixed;
        progress_update(&w->bar, w->written, "problems labelled");
    }
    pthread_cond_broadcast(&w->turn);
    pthread_mutex_unlock(&w->lock);
    free(line);
}

static void *worker(void *arg) {
    struct work *w = arg;
    struct error e = {""};
    struct team *team = NULL;
    struct engine *en = NULL;
    struct job *j = mem_new(1, sizeof *j);
    uint32_t ctx = w->p->policy->config.n_ctx;
    struct engine_params ep = {
        .n_pages = 16384, .n_seqs = 2 * MAX_LIVE, .max_tokens = ctx < MAX_TOKENS ? ctx : MAX_TOKENS, .max_rows = 128};
    enum status s = j ? team_new(1, &team, &e) : error_set(&e, ERR_MEMORY, "no memory for a labelling thread");
    if (!s) s = engine_new(w->p->policy, team, &ep, &en, &e);
    for (;;) {
        pthread_mutex_lock(&w->lock);
        bool stop = w->next >= w->end || w->status || (w->p->cancel && *w->p->cancel);
        uint64_t index = stop ? 0 : w->next++;
        if (s && !w->status) w->status = s, w->e = e;
        pthread_mutex_unlock(&w->lock);
        if (stop || s) break;
        char *line = NULL;
        enum status made = label_one(w->p, en, index, j, &line, &e);
        write_line(w, index, line, &j->stats, made, &e);
    }
    engine_free(&en);
    team_free(&team);
    mem_free(j);
    return NULL;
}

/* The header that is there must be the one of this run, or the file would mix two.  A file without lines gets it. */
static enum status check_header(FILE *f, const struct label_params *p, bool fresh, struct error *e) {
    char *line = NULL;
    size_t cap = 0;
    if (fresh) return fprintf(f, "%s\n", p->header) < 0 ? error_set(e, ERR_IO, "%s: %s", p->out, strerror(errno)) : OK;
    rewind(f);
    ssize_t n = getline(&line, &cap, f);
    enum status s = OK;
    if (n <= 0 || strncmp(line, p->header, strlen(p->header)) != 0 || line[strlen(p->header)] != '\n')
        s = error_set(e, ERR_INPUT, "%s: holds labels of other settings: its header is %.200s", p->out,
                      n > 0 ? line : "");
    free(line);
    return s;
}

/* Opens the output, cuts a torn last line, counts the whole ones that are no header. */
static enum status open_output(const struct label_params *p, FILE **out, uint64_t *lines, struct error *e) {
    *lines = 0;
    FILE *f = fopen(p->out, "r+b");
    if (!f && errno == ENOENT) f = fopen(p->out, "w+b");
    if (!f) return error_set(e, ERR_IO, "%s: %s", p->out, strerror(errno));
    long whole = 0, at = 0;
    for (int c; (c = fgetc(f)) != EOF;) {
        at++;
        if (c == '\n') ++*lines, whole = at;
    }
    enum status s = OK;
    if (ftruncate(fileno(f), whole) || fseek(f, whole, SEEK_SET))
        s = error_set(e, ERR_IO, "%s: %s", p->out, strerror(errno));
    if (!s && p->header) s = check_header(f, p, !*lines, e);
    if (!s && p->header && *lines) --*lines;
    if (!s && fseek(f, 0, SEEK_END)) s = error_set(e, ERR_IO, "%s: %s", p->out, strerror(errno));
    if (s) fclose(f);
    else *out = f;
    return s;
}

enum status labels_make(const struct label_params *p, struct label_stats *stats, struct error *e) {
    if (p->chains < 1 || p->chains > MAX_CHAINS)
        return error_set(e, ERR_INPUT, "--chains %u: allowed 1 to %d", p->chains, MAX_CHAINS);
    if (p->threads < 1 || p->threads > 64) return error_set(e, ERR_INPUT, "-t %d: allowed 1 to 64", p->threads);
    struct work w = {.p = p, .end = p->first + p->n_problems};
    uint64_t lines;
    enum status s = open_output(p, &w.file, &lines, e);
    if (s) return s;
    w.next = w.written = p->first + lines;
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.turn, NULL);
    progress_start(&w.bar, "labels", w.next, w.end);
    pthread_t threads[64];
    int started = 0;
    while (started < p->threads && !pthread_create(&threads[started], NULL, worker, &w)) started++;
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    if (!started) w.status = error_set(&w.e, ERR_MEMORY, "no thread could be started");
    if (fclose(w.file) && !w.status) w.status = error_set(&w.e, ERR_IO, "%s: %s", p->out, strerror(errno));
    pthread_cond_destroy(&w.turn);
    pthread_mutex_destroy(&w.lock);
    if (w.status && e) *e = w.e;
    if (stats) *stats = w.stats;
    return w.status;
}
