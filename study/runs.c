/* runs.c: see runs.h.
 * Not the drawing: figure_svg.c.
 * Next: bench/cmd_plot.c. */
#include "study/runs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/stats.h"

static const char *text_of(const json_t *header, const char *object, const char *name) {
    const json_t *from = object ? json_object_get(header, object) : header;
    return json_string_value(json_object_get(from, name));
}

/* The reward model by name, else how values were made. */
static const char *judge_of(const json_t *header) {
    const char *prm = text_of(header, NULL, "prm"), *name = text_of(header, "reward_model", "name"),
               *verifier = text_of(header, NULL, "verifier");
    if (!text_of(header, NULL, "agg")) return "none"; /* the search asks for no values */
    if (verifier && strcmp(verifier, "prm")) return verifier;
    return name ? name : prm ? prm : "none";
}

enum status run_open(const char *path, struct run *r, struct error *e) {
    *r = (struct run){0};
    enum status s = results_load(path, &r->results, e);
    if (s) return s;
    const json_t *h = r->results.header;
    const char *id, *name = text_of(h, "policy", "name");
    json_t *line;
    r->task = text_of(h, NULL, "task"), r->search = text_of(h, NULL, "search");
    r->policy = name ? name : text_of(h, NULL, "model");
    r->judge = judge_of(h);
    r->budget = (uint64_t)json_integer_value(json_object_get(h, "budget"));
    r->seed = (uint64_t)json_integer_value(json_object_get(h, "seed"));
    r->weights = (uint64_t)json_integer_value(json_object_get(json_object_get(h, "policy"), "weights"));
    r->noise = json_number_value(json_object_get(h, "value_noise"));
    r->n = (uint32_t)json_object_size(r->results.lines);
    if (!r->task || !r->search || !r->policy)
        s = error_set(e, ERR_INPUT, "%s: its header names no task, search and model", path);
    else if (!r->n) s = error_set(e, ERR_INPUT, "%s: holds no result yet", path);
    if (s) {
        run_close(r);
        return s;
    }
    json_object_foreach(r->results.lines, id, line) {
        r->n_right += json_is_true(json_object_get(line, "correct"));
        for (int k = 0; k < N_COSTS; k++) r->mean[k] += cost_of(line, (enum cost)k) / r->n;
    }
    return OK;
}

void run_close(struct run *r) { results_close(&r->results); }

const char *abscissa_label(enum abscissa by) {
    static const char *const labels[] = {"FLOPs per problem, policy and reward model", "FLOPs per problem, policy only",
                                         "tokens per problem, policy and reward model", "ms per problem", "budget"};
    return labels[by];
}

double run_abscissa(const struct run *r, enum abscissa by) {
    switch (by) {
    case BY_FLOPS: return r->mean[COST_FLOPS];
    case BY_POLICY_FLOPS: return r->mean[COST_POLICY_FLOPS];
    case BY_TOKENS: return r->mean[COST_POLICY_TOKENS] + r->mean[COST_PRM_TOKENS];
    case BY_MS: return r->mean[COST_MS];
    case BY_BUDGET: return (double)r->budget;
    case N_ABSCISSAS: break;
    }
    return NAN;
}

struct point run_point(const struct run *r, double x) {
    struct interval ci = stats_wilson(r->n_right, r->n);
    struct point p = {x, (double)r->n_right / r->n, ci.low, ci.high, ""};
    snprintf(p.note, sizeof p.note, "budget %llu", (unsigned long long)r->budget);
    return p;
}

void run_judge_text(const struct run *r, char out[96]) {
    if (r->noise > 0) snprintf(out, 96, "%.60s, noise %g", r->judge, r->noise);
    else snprintf(out, 96, "%.60s", r->judge);
}

void run_search_text(const struct run *r, char out[96]) {
    double width = json_number_value(json_object_get(r->results.header, "beam_width"));
    if (width > 0) snprintf(out, 96, "%.60s, width %g", r->search, width);
    else snprintf(out, 96, "%.60s", r->search);
}

static void add_part(char name[128], const char *part) {
    size_t n = strlen(name);
    snprintf(name + n, 128 - n, "%s%s", n ? " " : "", part);
}

enum status runs_plot(const struct run *runs, size_t n, enum abscissa by, struct figure *f, struct error *e) {
    bool tasks = false, policies = false, judges = false, noises = false;
    for (size_t i = 0; i < n; i++) {
        tasks |= strcmp(runs[i].task, runs[0].task) != 0;
        policies |= strcmp(runs[i].policy, runs[0].policy) != 0;
        noises |= runs[i].noise != runs[0].noise;
        for (size_t k = 0; k < i; k++) /* a greedy run has no judge, which is nothing to tell */
            judges |= !strcmp(runs[i].search, runs[k].search) && strcmp(runs[i].judge, runs[k].judge);
    }
    for (size_t i = 0; i < n; i++) {
        char name[128] = "", noise[32];
        if (tasks) add_part(name, runs[i].task);
        if (policies) add_part(name, runs[i].policy);
        add_part(name, runs[i].search);
        if (judges) add_part(name, runs[i].judge);
        snprintf(noise, sizeof noise, "noise %g", runs[i].noise);
        if (noises) add_part(name, noise);
        double x = run_abscissa(&runs[i], by);
        if (!(x > 0)) return error_set(e, ERR_INPUT, "%s: has no %s", runs[i].results.path, abscissa_label(by));
        enum status s = figure_add(f, name, run_point(&runs[i], x), e);
        if (s) return s;
    }
    f->log_x = f->percent = true;
    snprintf(f->x_label, sizeof f->x_label, "%s", abscissa_label(by));
    snprintf(f->y_label, sizeof f->y_label, "right");
    figure_sort(f);
    return OK;
}

void runs_table(const struct run *runs, size_t n, struct buffer *to) {
    buffer_text(
        to, "| policy | search | budget | judge | right | 95% interval | policy tokens | PRM tokens | MFLOP policy | "
            "MFLOP PRM |\n|---|---|---:|---|---:|---|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < n; i++) {
        const struct run *r = &runs[i];
        struct point at = run_point(r, 1);
        char judge[96], search[96];
        run_judge_text(r, judge), run_search_text(r, search);
        buffer_print(to, "| %s | %s | %llu | %s | %u/%u, %.1f%% | %.1f-%.1f | %.0f | %.0f | %.0f | %.0f |\n", r->policy,
                     search, (unsigned long long)r->budget, judge, r->n_right, r->n, 100 * at.y, 100 * at.low,
                     100 * at.high, r->mean[COST_POLICY_TOKENS], r->mean[COST_PRM_TOKENS],
                     r->mean[COST_POLICY_FLOPS] / 1e6, r->mean[COST_PRM_FLOPS] / 1e6);
    }
}
