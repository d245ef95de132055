/* bins.c: figures by difficulty (Snell et al. 2024, figures 3, 4 and 9): how often one chain of the policy is right
 * says how hard a problem is for it.
 * Not a choice that could be made before an answer is known: these bins are made with the checker.
 * Next: pairs.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ds.h"
#include "base/mem.h"
#include "base/stats.h"
#include "study/study.h"

enum { N_BINS = 5, N_SHARES = 4 };

struct rated {
    const char *id;
    uint32_t right, n; /* chains */
    int bin;           /* 0 (easiest) to N_BINS - 1: fifths */
    int share;         /* 0 to N_SHARES - 1: right in half or more, a tenth or more, any, none of the chains */
    int fold;
};
struct bins {
    struct rated *items; /* array of base/ds.h, easiest first */
    uint32_t n_chains;   /* of each problem */
};

/* ---- difficulty ---- */

static int easiest_first(const void *a, const void *b) {
    const struct rated *x = a, *y = b;
    double p = (double)x->right / x->n, q = (double)y->right / y->n;
    return p != q ? (p < q) - (p > q) : strcmp(x->id, y->id);
}

static int share_of(const struct rated *x) {
    return 2 * x->right >= x->n ? 0 : 10 * x->right >= x->n ? 1 : x->right ? 2 : 3;
}

static enum status count_chains(const struct run *r, struct bins *b, struct error *e) {
    const char *id;
    json_t *line;
    size_t i = 0;
    json_object_foreach(r->results.lines, id, line) {
        /* All runs hold the same problems in the same order; else it is looked for. */
        if (!(i < ds_len(b->items) && !strcmp(b->items[i].id, id)))
            for (i = 0; i < ds_len(b->items) && strcmp(b->items[i].id, id);) i++;
        struct rated fresh = {.id = id};
        if (i == ds_len(b->items) && !ds_push(b->items, fresh)) return error_set(e, ERR_MEMORY, "no memory for bins");
        b->items[i].n++, b->items[i].right += json_is_true(json_object_get(line, "correct"));
        i++;
    }
    b->n_chains++;
    return OK;
}

static enum status open_bins(const struct study *s, const struct run *like, struct bins *b, struct error *e) {
    enum status st = OK;
    const struct run *r;
    *b = (struct bins){0};
    for (size_t i = 0; !st && (r = study_next(s, &i, "samples", like));) st = count_chains(r, b, e);
    size_t n = ds_len(b->items);
    if (n) qsort(b->items, n, sizeof *b->items, easiest_first);
    for (size_t i = 0; i < n; i++) {
        struct rated *x = &b->items[i];
        x->bin = (int)(i * N_BINS / n), x->share = share_of(x), x->fold = (int)(i & 1);
    }
    if (st) ds_free(b->items);
    return st;
}

static void close_bins(struct bins *b) { ds_free(b->items); }

/* ---- a run on a part of the problems ---- */

struct part {
    int bin, share, fold; /* below 0: any */
};

struct tally {
    uint32_t n, right;
    double total, policy; /* FLOPs */
};

static struct tally tally_of(const struct run *r, const struct bins *b, struct part part) {
    struct tally t = {0};
    for (size_t i = 0; i < ds_len(b->items); i++) {
        const struct rated *x = &b->items[i];
        const json_t *line = json_object_get(r->results.lines, x->id);
        bool in = (part.bin < 0 || part.bin == x->bin) && (part.share < 0 || part.share == x->share) &&
                  (part.fold < 0 || part.fold == x->fold);
        if (!in || !line) continue;
        t.n++, t.right += json_is_true(json_object_get(line, "correct"));
        t.total += cost_of(line, COST_FLOPS), t.policy += cost_of(line, COST_POLICY_FLOPS);
    }
    return t;
}

static struct point point_of(const struct tally *t, double x, const char *note) {
    struct interval ci = stats_wilson(t->right, t->n);
    struct point p = {x, t->n ? (double)t->right / t->n : 0, ci.low, ci.high, ""};
    snprintf(p.note, sizeof p.note, "%s", note);
    return p;
}

/* ---- strategies by difficulty ---- */

static enum status draw_bins(const struct study *s, const struct run *like, const struct bins *b, bool fifths,
                             struct page *p, struct error *e) {
    struct figure f = {.percent = true, .y_label = "right"};
    const struct run *r;
    enum status st = OK;
    snprintf(f.name, sizeof f.name, "%s.%.40s.%.60s", fifths ? "bins" : "shares", like->task, like->policy);
    snprintf(f.title, sizeof f.title, "%.40s: strategies by difficulty, %.60s", like->task, like->policy);
    snprintf(f.x_label, sizeof f.x_label, "%s",
             fifths ? "difficulty: fifths of the problems, 1 = easiest"
                    : "share of right chains: 1 = half or more, 2 = a tenth or more, 3 = some, 4 = none");
    for (size_t i = 0; !st && (r = study_next(s, &i, "main", like));) {
        if (strcmp(r->search, "greedy") && r->budget != 16 && r->budget != 64) continue;
        for (int k = 0; k < (fifths ? N_BINS : N_SHARES) && !st; k++) {
            struct part part = {fifths ? k : -1, fifths ? -1 : k, -1};
            struct tally t = tally_of(r, b, part);
            char series[128], note[48];
            snprintf(series, sizeof series, "%.40s %llu", r->search, (unsigned long long)r->budget);
            snprintf(note, sizeof note, "%u problems", t.n);
            if (t.n) st = figure_add(&f, series, point_of(&t, k + 1, note), e);
        }
    }
    char caption[200];
    snprintf(caption, sizeof caption, "Difficulty from %u chains of the policy for each problem.", b->n_chains);
    if (!st) st = page_figure(p, &f, caption, e);
    figure_free(&f);
    return st;
}

enum status figures_bins(const struct study *s, const struct run *like, struct page *p, struct error *e) {
    struct bins b;
    enum status st = open_bins(s, like, &b, e);
    if (!st && b.n_chains) st = draw_bins(s, like, &b, true, p, e);
    if (!st && b.n_chains) st = draw_bins(s, like, &b, false, p, e);
    close_bins(&b);
    return st;
}

/* ---- the best strategy of each bin ---- */

/* The run of this budget that is best on a part; ties: the cheaper one. */
static const struct run *best_of(const struct study *s, const struct run *like, const struct bins *b, uint64_t budget,
                                 struct part part) {
    const struct run *r, *best = NULL;
    struct tally top = {0};
    for (size_t i = 0; (r = study_next(s, &i, "main", like));) {
        struct tally t = r->budget == budget ? tally_of(r, b, part) : (struct tally){0};
        if (!t.n || (best && (t.right < top.right || (t.right == top.right && t.total >= top.total)))) continue;
        best = r, top = t;
    }
    return best;
}

static void add_tally(struct tally *to, const struct tally *t) {
    to->n += t->n, to->right += t->right, to->total += t->total, to->policy += t->policy;
}

/* Two-fold cross-validation within each bin (below 0: all): what was best on one half answers the other. */
static struct tally optimal(const struct study *s, const struct run *like, const struct bins *b, uint64_t budget,
                            int only) {
    struct tally sum = {0};
    for (int bin = 0; bin < N_BINS; bin++)
        for (int fold = 0; fold < 2; fold++) {
            const struct run *r =
                only < 0 || only == bin ? best_of(s, like, b, budget, (struct part){bin, -1, 1 - fold}) : NULL;
            if (!r) continue;
            struct tally t = tally_of(r, b, (struct part){bin, -1, fold});
            add_tally(&sum, &t);
        }
    return sum;
}

static const uint64_t budgets[] = {4, 16, 64, 256};
enum { N_BUDGETS = sizeof budgets / sizeof *budgets };

static double mean_cost(const struct tally *t, bool policy_only) { return (policy_only ? t->policy : t->total) / t->n; }

static enum status draw_optimal(const struct study *s, const struct run *like, const struct bins *b, bool policy_only,
                                struct page *p, struct error *e) {
    struct figure f = {.log_x = true, .percent = true, .y_label = "right"};
    enum status st = OK;
    snprintf(f.name, sizeof f.name, "optimal-%s.%.40s.%.60s", policy_only ? "policy-only" : "total", like->task,
             like->policy);
    snprintf(f.title, sizeof f.title, "%.40s: the best strategy of each bin, %.60s", like->task, like->policy);
    snprintf(f.x_label, sizeof f.x_label, "%s", abscissa_label(policy_only ? BY_POLICY_FLOPS : BY_FLOPS));
    for (int k = 0; k < N_BUDGETS && !st; k++) {
        char note[48];
        struct tally t = optimal(s, like, b, budgets[k], -1);
        snprintf(note, sizeof note, "budget %llu", (unsigned long long)budgets[k]);
        if (t.n) st = figure_add(&f, "best of each bin", point_of(&t, mean_cost(&t, policy_only), note), e);
        const struct run *r;
        for (size_t i = 0; !st && (r = study_next(s, &i, "main", like));) {
            if (r->budget != budgets[k] || (strcmp(r->search, "bon") && strcmp(r->search, "mcts"))) continue;
            struct tally one = tally_of(r, b, (struct part){-1, -1, -1});
            if (one.n) st = figure_add(&f, r->search, point_of(&one, mean_cost(&one, policy_only), note), e);
        }
    }
    figure_sort(&f);
    if (!st)
        st = page_figure(p, &f,
                         "At each budget the strategy that was best on one half of a bin answers the other half "
                         "(two-fold cross-validation), against best-of-N and tree search everywhere.",
                         e);
    figure_free(&f);
    return st;
}

enum status figures_optimal(const struct study *s, const struct run *like, struct page *p, struct error *e) {
    struct bins b;
    enum status st = open_bins(s, like, &b, e);
    for (int k = 0; k < 2 && !st && b.n_chains; k++) st = draw_optimal(s, like, &b, k, p, e);
    close_bins(&b);
    return st;
}

/* ---- a small model with search against a larger one ---- */

static double token_flops(const struct run *r) {
    return json_number_value(json_object_get(json_object_get(r->results.header, "policy"), "flops_per_token"));
}

/* The policies of a task with the fewest and the most FLOPs a token; false: there is one only, or no greedy run. */
static bool find_pair(const struct study *s, const struct run *like, const struct run **small,
                      const struct run **large) {
    const struct run *r;
    *small = *large = NULL;
    for (size_t i = 0; (r = study_next(s, &i, "main", NULL));) {
        if (strcmp(r->task, like->task) || strcmp(r->search, "greedy") || !(token_flops(r) > 0)) continue;
        if (!*small || token_flops(r) < token_flops(*small)) *small = r;
        if (!*large || token_flops(r) > token_flops(*large)) *large = r;
    }
    return *small && token_flops(*small) < token_flops(*large);
}

/* Bins of the small model; costs in greedy answers of the small model. */
static enum status draw_exchange(const struct study *s, const struct run *small, const struct run *large,
                                 bool policy_only, struct page *p, struct error *e) {
    static const double ratios[] = {0.16, 0.79, 22};
    struct figure f = {.log_x = true,
                       .percent = true,
                       .y_label = "right",
                       .x_label = "FLOPs of the answer, 1 = a greedy answer of the small model"};
    struct bins b;
    enum status st = open_bins(s, small, &b, e);
    double unit = small->mean[policy_only ? COST_POLICY_FLOPS : COST_FLOPS],
           m = token_flops(large) / token_flops(small);
    snprintf(f.name, sizeof f.name, "exchange-%s.%.40s", policy_only ? "policy-only" : "total", small->task);
    snprintf(f.title, sizeof f.title, "%.40s: %.60s with search, %.60s without", small->task, small->policy,
             large->policy);
    for (int bin = 0; bin < N_BINS && !st && b.n_chains; bin++) {
        char series[128], note[48];
        snprintf(series, sizeof series, "bin %d, search", bin + 1);
        for (int k = 0; k < N_BUDGETS && !st; k++) {
            struct tally t = optimal(s, small, &b, budgets[k], bin);
            snprintf(note, sizeof note, "budget %llu", (unsigned long long)budgets[k]);
            if (t.n) st = figure_add(&f, series, point_of(&t, mean_cost(&t, policy_only) / unit, note), e);
        }
    }
    for (int bin = 0; bin < N_BINS && !st && b.n_chains; bin++)
        for (size_t k = 0; k < 3 && !st; k++) {
            char series[128], note[48];
            struct tally t = tally_of(large, &b, (struct part){bin, -1, -1});
            snprintf(series, sizeof series, "bin %d, larger, greedy", bin + 1);
            snprintf(note, sizeof note, "R = %g", ratios[k]);
            struct series *dots = figure_series(&f, series);
            if (dots) dots->dots = true, dots->color = (size_t)bin + 1;
            if (t.n) st = figure_add(&f, series, point_of(&t, m + 3 * (m - 1) / ratios[k], note), e);
        }
    char caption[360];
    snprintf(caption, sizeof caption,
             "The larger model costs %.1f times as much a token. A diamond stands (from left to right R = 22, 0.79, "
             "0.16) where the small one may spend as much, training included: M + 3(M - 1)/R, where R is tokens of "
             "inference "
             "over tokens of training.",
             m);
    figure_sort(&f);
    if (!st) st = page_figure(p, &f, caption, e);
    figure_free(&f);
    close_bins(&b);
    return st;
}

enum status figures_exchange(const struct study *s, struct page *p, struct error *e) {
    const struct run *r, *small, *large;
    enum status st = OK;
    for (size_t i = 0; !st && (r = study_next(s, &i, "main", NULL));) {
        size_t k = 0;
        const struct run *first;
        while ((first = study_next(s, &k, "main", NULL)) && strcmp(first->task, r->task)) continue;
        if (first != r || !find_pair(s, r, &small, &large)) continue;
        for (int c = 0; c < 2 && !st; c++) st = draw_exchange(s, small, large, c, p, e);
    }
    return st;
}
