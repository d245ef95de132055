/* grpo.c: see grpo.h.
 * Not threaded beyond the sampler: what is sampled together is small.
 * Next: live.h, which gives the weights to a sampler. */
#include "train/grpo.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/rng.h"
#include "base/team.h"
#include "search/eval_model.h"
#include "train/checkpoint.h"
#include "train/live.h"

enum { CHUNK = 16 }; /* sequences of one forward and backward pass */

/* ---- the rule ---- */

bool grpo_advantages(const float *rewards, uint32_t n, float *advantages) {
    double mean = 0, square = 0;
    for (uint32_t i = 0; i < n; i++) mean += rewards[i] / n;
    for (uint32_t i = 0; i < n; i++) square += (rewards[i] - mean) * (rewards[i] - mean) / n;
    double deviation = sqrt(square);
    bool signal = deviation > 1e-6;
    for (uint32_t i = 0; i < n; i++) advantages[i] = signal ? (float)((rewards[i] - mean) / deviation) : 0;
    return signal;
}

float grpo_coefficient(float advantage, float ratio, float clip_low, float clip_high, bool *clipped) {
    *clipped = advantage > 0 ? ratio > 1 + clip_high : ratio < 1 - clip_low;
    return *clipped ? 0 : advantage * ratio;
}

/* ---- a step's samples ---- */

struct sample {
    uint32_t n, n_prompt;
    int32_t tokens[EXAMPLE_MAX];
    float old[EXAMPLE_MAX]; /* log-probabilities of the next tokens when it was sampled */
    float reward, advantage;
};

struct run {
    const struct grpo_params *p;
    struct net *net;
    struct team *team;
    struct adamw adamw;
    struct tape *tape;
    struct live live;       /* what is sampled from; opened by the first step */
    struct sample *samples; /* [problems * group] */
    float *grad;            /* [n_weights] */
    /* of one chunk */
    int32_t *tokens, *targets;
    float *weights, *out, *coefficient;
    uint32_t starts[CHUNK + 1];
};

/* Notes a finished branch.  A sample that is too long or came to no end has reward 0. */
static void note_sample(struct run *r, struct eval_model *m, const struct problem *p, const struct step *st,
                        uint32_t n_prompt, struct sample *x) {
    uint32_t n;
    const int32_t *tokens = eval_model_tokens(m, st->branch, &n);
    x->reward = 0, x->n_prompt = n_prompt;
    if (st->end == STEP_FINISHED) x->reward = problem_judge(p, eval_model_text(m, st->branch)).reward;
    if (n > EXAMPLE_MAX) n = EXAMPLE_MAX;
    memcpy(x->tokens, tokens, n * sizeof *tokens);
    int32_t end = tok_eos(r->p->tok);
    if (st->end == STEP_FINISHED && n < EXAMPLE_MAX && x->tokens[n - 1] != end) x->tokens[n++] = end;
    x->n = n;
}

/* One problem and its group of samples. */
static enum status sample_group(struct run *r, struct engine *engine, uint64_t key, struct sample *group,
                                struct error *e) {
    const struct grpo_params *p = r->p;
    struct problem problem;
    struct eval_model *m;
    struct evaluator ev;
    struct step steps[GRPO_GROUP_MAX];
    bool found = false;
    enum status s = OK;
    for (uint64_t attempt = 0; !s && !found; attempt++)
        s = task_mix_draw(&p->mix, rng_fold(key, attempt), 1, false, &problem, &found, e);
    if (s) return s;
    uint32_t ctx = r->net->config.n_ctx < EXAMPLE_MAX ? r->net->config.n_ctx : EXAMPLE_MAX;
    struct eval_params ep = {.policy = engine,
                             .tok = p->tok,
                             .sampling = {.top_p = 1},
                             .max_step_tokens = problem.task->style->max_step_tokens,
                             .max_tokens = ctx,
                             .max_branches = p->group + 1,
                             .max_batch = p->group,
                             .separator = tok_find(p->tok, "\n")};
    if ((s = eval_model_open(&ep, problem.text, &m, &ev, e))) {
        problem_free(&problem);
        return s;
    }
    uint32_t n_prompt;
    eval_model_tokens(m, ev.root, &n_prompt);
    for (uint32_t i = 0; i < p->group && !s; i++) {
        steps[i] = (struct step){.key = rng_fold(key, 1000 + i), .temperature = p->temperature, .to_end = true};
        s = ev.fork(ev.self, ev.root, &steps[i].branch, e);
    }
    if (!s) s = ev.extend(ev.self, steps, p->group, e);
    for (uint32_t i = 0; i < p->group && !s; i++) note_sample(r, m, &problem, &steps[i], n_prompt, &group[i]);
    eval_model_close(&m);
    problem_free(&problem);
    return s;
}

static enum status sample_all(struct run *r, uint64_t step, struct grpo_report *report, struct error *e) {
    const struct grpo_params *p = r->p;
    float rewards[GRPO_GROUP_MAX], advantages[GRPO_GROUP_MAX];
    struct engine_params ep = {
        .n_pages = 8192, .n_seqs = 2 * GRPO_GROUP_MAX + 2, .max_tokens = EXAMPLE_MAX, .max_rows = 256};
    if (r->net->config.n_ctx < EXAMPLE_MAX) ep.max_tokens = r->net->config.n_ctx;
    *report = (struct grpo_report){.reward = 0};
    enum status s = r->live.engine ? live_update(&r->live, r->net, e) : live_open(r->net, r->team, &ep, &r->live, e);
    for (uint32_t k = 0; k < p->problems && !s; k++) {
        struct sample *group = r->samples + (size_t)k * p->group;
        s = sample_group(r, r->live.engine, rng_fold(rng_fold(p->key, step), k), group, e);
        for (uint32_t i = 0; i < p->group && !s; i++) rewards[i] = group[i].reward;
        if (s) break;
        report->signal += (double)grpo_advantages(rewards, p->group, advantages) / p->problems;
        for (uint32_t i = 0; i < p->group; i++) {
            group[i].advantage = advantages[i];
            report->reward += rewards[i] / ((double)p->problems * p->group);
            report->length += (group[i].n - group[i].n_prompt) / ((double)p->problems * p->group);
        }
    }
    return s;
}

/* ---- learning from them ---- */

/* Packs up to CHUNK samples with an advantage from number *at on; the packed ones into which[]. */
static struct net_batch pack(struct run *r, uint32_t *at, const struct sample *which[CHUNK]) {
    uint32_t n = 0, row = 0, total = r->p->problems * r->p->group;
    for (; *at < total && n < CHUNK; ++*at) {
        const struct sample *x = &r->samples[*at];
        if (x->advantage == 0 || x->n < 2) continue;
        r->starts[n] = row, which[n++] = x;
        for (uint32_t i = 0; i < x->n; i++, row++) {
            r->tokens[row] = x->tokens[i];
            r->targets[row] = i + 1 < x->n ? x->tokens[i + 1] : 0;
            r->weights[row] = i + 1 < x->n && i + 1 >= x->n_prompt;
        }
    }
    r->starts[n] = row;
    return (struct net_batch){.tokens = r->tokens,
                              .starts = r->starts,
                              .targets = r->targets,
                              .weights = r->weights,
                              .n_rows = row,
                              .n_seqs = n};
}

/* One epoch: one update.  The first one notes the log-probabilities: the weights are those that sampled. */
static void learn(struct run *r, uint32_t epoch, uint64_t update, double n_tokens, uint64_t *n_clipped) {
    memset(r->grad, 0, r->net->n_weights * sizeof *r->grad);
    for (uint32_t at = 0; at < r->p->problems * r->p->group;) {
        const struct sample *which[CHUNK];
        struct net_batch b = pack(r, &at, which);
        if (!b.n_seqs) break;
        net_forward(r->net, r->tape, &b, r->out);
        for (uint32_t s = 0; s < b.n_seqs; s++) {
            struct sample *x = &r->samples[which[s] - r->samples];
            for (uint32_t i = 0, row = r->starts[s]; i < x->n; i++, row++) {
                bool clipped = false;
                r->coefficient[row] = 0;
                if (r->weights[row] == 0) continue;
                if (epoch == 0) x->old[i] = r->out[row];
                r->coefficient[row] = grpo_coefficient(x->advantage, expf(r->out[row] - x->old[i]), r->p->clip_low,
                                                       r->p->clip_high, &clipped);
                *n_clipped += clipped;
            }
        }
        net_backward(r->net, r->tape, &b, r->coefficient, (float)(1 / n_tokens), r->grad);
    }
    adamw_step(&r->adamw, r->net, r->grad, update, r->p->lr);
}

static enum status step_once(struct run *r, uint64_t step, struct grpo_report *report, struct error *e) {
    double n_tokens = 0;
    uint64_t n_clipped = 0;
    enum status s = sample_all(r, step, report, e);
    for (uint32_t i = 0; i < r->p->problems * r->p->group && !s; i++)
        if (r->samples[i].advantage != 0) n_tokens += r->samples[i].n - r->samples[i].n_prompt;
    if (s || n_tokens == 0) return s; /* no group had signal */
    for (uint32_t epoch = 0; epoch < r->p->epochs; epoch++)
        learn(r, epoch, step * r->p->epochs + epoch + 1, n_tokens, &n_clipped);
    report->clipped = (double)n_clipped / (n_tokens * r->p->epochs);
    return OK;
}

/* ---- the run ---- */

static void run_close(struct run *r) {
    live_close(&r->live);
    adamw_free(&r->adamw);
    tape_free(&r->tape);
    team_free(&r->team);
    mem_free(r->samples), mem_free(r->grad), mem_free(r->tokens), mem_free(r->targets);
    mem_free(r->weights), mem_free(r->out), mem_free(r->coefficient);
}

static enum status run_open(struct run *r, struct error *e) {
    size_t rows = CHUNK * EXAMPLE_MAX;
    enum status s = team_new(r->p->threads, &r->team, e);
    if (!s) s = adamw_new(r->net, &r->adamw, e);
    if (!s) s = tape_new(r->net, (uint32_t)rows, EXAMPLE_MAX, &r->tape, e);
    if (s) return s;
    r->adamw.weight_decay = 0; /* the weights are good already: nothing pulls them to zero */
    r->samples = mem_new((size_t)r->p->problems * r->p->group, sizeof *r->samples);
    r->grad = mem_new(r->net->n_weights, sizeof *r->grad);
    r->tokens = mem_new(rows, sizeof *r->tokens), r->targets = mem_new(rows, sizeof *r->targets);
    r->weights = mem_new(rows, sizeof *r->weights), r->out = mem_new(rows, sizeof *r->out);
    r->coefficient = mem_new(rows, sizeof *r->coefficient);
    if (r->samples && r->grad && r->tokens && r->targets && r->weights && r->out && r->coefficient) return OK;
    return error_set(e, ERR_MEMORY, "no memory for %u samples a step", r->p->problems * r->p->group);
}

static enum status loop(struct run *r, FILE *log, struct grpo_report *last, struct error *e) {
    const struct grpo_params *p = r->p;
    struct checkpoint at = {
        .path = p->checkpoint, .net = r->net, .adamw = &r->adamw, .settings = p->settings, .seed = p->seed};
    bool found = false;
    enum status s = p->checkpoint ? checkpoint_load(&at, &found, e) : OK;
    if (!s && log) s = train_cut_log(log, p->log, at.step, e);
    if (s) return s;
    if (found)
        fprintf(stderr, "resuming at step %llu of %llu\n", (unsigned long long)at.step, (unsigned long long)p->steps);
    struct progress bar;
    progress_start(&bar, "grpo", at.step, p->steps);
    uint64_t saved = clock_ns();
    while (at.step < p->steps && !(p->cancel && *p->cancel)) {
        char note[96];
        if ((s = step_once(r, at.step, last, e))) return s;
        at.step++;
        snprintf(note, sizeof note, "step %llu  reward %.3f  signal %.2f", (unsigned long long)at.step, last->reward,
                 last->signal);
        progress_update(&bar, at.step, note);
        if (log && (fprintf(log, "{\"step\":%llu,\"reward\":%.5f,\"signal\":%.4f,\"clipped\":%.5f,\"length\":%.2f}\n",
                            (unsigned long long)at.step, last->reward, last->signal, last->clipped, last->length) < 0 ||
                    fflush(log)))
            return error_set(e, ERR_IO, "%s: %s", p->log, strerror(errno));
        if (p->checkpoint && (double)(clock_ns() - saved) / 1e9 > p->save_every_s) {
            if ((s = checkpoint_save(&at, e))) return s;
            saved = clock_ns();
        }
    }
    return p->checkpoint ? checkpoint_save(&at, e) : OK;
}

enum status grpo_run(struct net *n, const struct grpo_params *p, struct grpo_report *last, struct error *e) {
    struct run r = {.p = p, .net = n};
    FILE *log = NULL;
    if (p->group < 2 || p->group > GRPO_GROUP_MAX)
        return error_set(e, ERR_INPUT, "--group %u: allowed 2 to %d", p->group, GRPO_GROUP_MAX);
    enum status s = run_open(&r, e);
    if (!s && p->log && !(log = fopen(p->log, "a+"))) s = error_set(e, ERR_IO, "%s: %s", p->log, strerror(errno));
    if (!s) s = loop(&r, log, last, e);
    if (log) fclose(log);
    run_close(&r);
    return s;
}
