/* figures.c: the figures that need whole runs only: strategies, sizes, judges, widths, turns, calibration.
 * Not those by difficulty: bins.c.
 * Next: bins.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/ds.h"
#include "study/study.h"

static void name_figure(struct figure *f, const char *what, const struct run *like, const char *more) {
    snprintf(f->name, sizeof f->name, "%.40s.%.40s%s%.60s", what, like->task, *more ? "." : "", more);
}

static enum status add_run(struct figure *f, const char *series, const struct run *r, double x, struct error *e) {
    return figure_add(f, series, run_point(r, x), e);
}

static enum status finish(struct page *p, struct figure *f, enum status s, const char *caption, struct error *e) {
    figure_sort(f);
    if (!s) s = page_figure(p, f, caption, e);
    figure_free(f);
    return s;
}

/* Every figure over costs is made twice. */
static const enum abscissa both[] = {BY_FLOPS, BY_POLICY_FLOPS};
static const char *const cost_names[] = {"total", "policy-only"};

/* ---- accuracy over FLOPs ---- */

enum status figures_strategies(const struct study *s, const struct run *like, struct page *p, struct error *e) {
    enum status st = OK;
    for (int k = 0; k < 2 && !st; k++) {
        struct figure f = {.log_x = true, .percent = true, .y_label = "right"};
        const struct run *r;
        char what[64];
        snprintf(what, sizeof what, "strategies-%s", cost_names[k]);
        name_figure(&f, what, like, like->policy);
        snprintf(f.title, sizeof f.title, "%.40s: strategies with %.60s", like->task, like->policy);
        snprintf(f.x_label, sizeof f.x_label, "%s", abscissa_label(both[k]));
        for (size_t i = 0; !st && (r = study_next(s, &i, "main", like));)
            st = add_run(&f, r->search, r, run_abscissa(r, both[k]), e);
        st = finish(p, &f, st, "Accuracy over cost. Bars: 95% intervals (Wilson).", e);
    }
    return st;
}

/* One figure a strategy and task, a curve for each policy; `like` is the first run of both. */
static enum status sizes_of(const struct study *s, const struct run *like, enum abscissa by, const char *cost,
                            struct page *p, struct error *e) {
    struct figure f = {.log_x = true, .percent = true, .y_label = "right"};
    const struct run *r;
    char what[64];
    enum status st = OK;
    snprintf(what, sizeof what, "sizes-%s", cost);
    name_figure(&f, what, like, like->search);
    snprintf(f.title, sizeof f.title, "%.40s: sizes of policies under %.40s", like->task, like->search);
    snprintf(f.x_label, sizeof f.x_label, "%s", abscissa_label(by));
    for (size_t i = 0; !st && (r = study_next(s, &i, "main", NULL));)
        if (!strcmp(r->task, like->task) && (!strcmp(r->search, like->search) || !strcmp(r->search, "greedy"))) {
            char series[128];
            snprintf(series, sizeof series, "%.60s%s", r->policy, strcmp(r->search, "greedy") ? "" : ", greedy");
            st = add_run(&f, series, r, run_abscissa(r, by), e);
        }
    return finish(p, &f, st, "One strategy, a curve for each policy; greedy for comparison.", e);
}

enum status figures_sizes(const struct study *s, struct page *p, struct error *e) {
    const struct run *r, *earlier;
    enum status st = OK;
    for (size_t i = 0; !st && (r = study_next(s, &i, "main", NULL));) {
        size_t k = 0;
        while ((earlier = study_next(s, &k, "main", NULL)) != r)
            if (!strcmp(earlier->task, r->task) && !strcmp(earlier->search, r->search)) break;
        if (earlier != r || !strcmp(r->search, "greedy")) continue;
        for (int c = 0; c < 2 && !st; c++) st = sizes_of(s, r, both[c], cost_names[c], p, e);
    }
    return st;
}

/* ---- judges that err ---- */

/* Which curve a run belongs to, and where on it. */
struct placing {
    void (*series)(const struct run *r, char out[128]);
    double (*x)(const struct run *r);
};

static double setting(const struct run *r, const char *name) {
    return json_number_value(json_object_get(r->results.header, name));
}

static void judge_series(const struct run *r, char out[128]) {
    char judge[96];
    run_judge_text(r, judge);
    snprintf(out, 128, "%.30s %s", r->search, judge);
}
static double budget_of(const struct run *r) { return (double)r->budget; }

static void width_series(const struct run *r, char out[128]) {
    snprintf(out, 128, "%.60s, noise %g, %g candidates", r->judge, r->noise, budget_of(r));
}
static double width_of(const struct run *r) { return setting(r, "beam_width"); }

static void turn_series(const struct run *r, char out[128]) {
    snprintf(out, 128, "%.40s, %g chains", r->search, setting(r, "sweeps") * budget_of(r));
}
static double sweeps_of(const struct run *r) { return setting(r, "sweeps"); }

/* The runs of a group; search NULL: any. */
static enum status add_group(const struct study *s, const struct run *like, const char *group, const char *search,
                             struct placing place, struct figure *f, struct error *e) {
    enum status st = OK;
    const struct run *r;
    for (size_t i = 0; !st && (r = study_next(s, &i, group, like));) {
        char series[128];
        place.series(r, series);
        if (!search || !strcmp(r->search, search)) st = add_run(f, series, r, place.x(r), e);
    }
    return st;
}

static struct figure group_figure(const struct run *like, const char *group, const char *title, const char *x_label) {
    struct figure f = {.log_x = true, .percent = true, .y_label = "right"};
    name_figure(&f, group, like, like->policy);
    snprintf(f.title, sizeof f.title, "%.40s: %s, %.60s", like->task, title, like->policy);
    snprintf(f.x_label, sizeof f.x_label, "%s", x_label);
    return f;
}

/* Beside the same searches with the judge as it is. */
enum status figures_judges(const struct study *s, const struct run *like, struct page *p, struct error *e) {
    struct figure f = group_figure(like, "judges", "what a judge's errors cost", "budget");
    const struct placing place = {judge_series, budget_of};
    enum status st = add_group(s, like, "judges", NULL, place, &f, e);
    for (int k = 0; k < 2 && !st && ds_len(f.series); k++)
        st = add_group(s, like, "main", k ? "beam" : "bon", place, &f, e);
    return finish(p, &f, st,
                  "Over-optimisation: with a judge that errs more candidates find more of its errors; with the exact "
                  "oracle the curve cannot fall. Noise: normal errors on the log-odds of every value.",
                  e);
}

enum status figures_widths(const struct study *s, const struct run *like, struct page *p, struct error *e) {
    struct figure f = group_figure(like, "widths", "useful width of a beam", "beams that go on");
    enum status st = add_group(s, like, "widths", NULL, (struct placing){width_series, width_of}, &f, e);
    return finish(p, &f, st,
                  "The same number of candidates a round, of which more or fewer go on, under judges that err by more "
                  "or less.",
                  e);
}

enum status figures_turns(const struct study *s, const struct run *like, struct page *p, struct error *e) {
    struct figure f = group_figure(like, "turns", "sequential against parallel",
                                   "sweeps one after another (particles = chains / sweeps)");
    enum status st = add_group(s, like, "turns", NULL, (struct placing){turn_series, sweeps_of}, &f, e);
    return finish(p, &f, st,
                  "The same number of chains, drawn at once (left) or in sweeps that each go on from the best of the "
                  "last (right).",
                  e);
}

/* ---- calibration ---- */

enum status figures_calibration(const struct study *s, struct page *p, struct error *e) {
    struct figure f = {
        .name = "calibration", .title = "The reward model by depth", .x_label = "step", .y_label = "AUC, and ECE"};
    enum status st = OK;
    for (size_t i = 0; i < ds_len(s->calibrations); i++) {
        const struct calibration_file *c = &s->calibrations[i];
        for (size_t k = 0; k < 2 * ds_len(c->lines) && !st; k++) {
            const json_t *line = c->lines[k / 2], *y = json_object_get(line, k % 2 ? "ece" : "auc");
            char series[128];
            struct point at = {json_number_value(json_object_get(line, "step")), json_number_value(y), NAN, NAN, ""};
            snprintf(series, sizeof series, "%s %s", c->name, k % 2 ? "ECE" : "AUC");
            snprintf(at.note, sizeof at.note, "n = %lld", (long long)json_integer_value(json_object_get(line, "n")));
            if (json_is_number(y)) st = figure_add(&f, series, at, e);
        }
    }
    return finish(
        p, &f, st,
        "Values of the reward model on the policy's own chains against exact reachability (ponder calibrate).", e);
}
