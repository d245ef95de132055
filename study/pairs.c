/* pairs.c: runs compared problem by problem: a small model with search against a larger one's greedy answers, and
 * tree search against independent chains; and the list of all runs.
 * Not a figure.
 * Next: page.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/ds.h"
#include "base/terminal.h"
#include "study/compare.h"
#include "study/study.h"

static const char *const head =
    "A|B|n|A right|B right|B - A, points (95%)|p (McNemar)|FLOPs, B / A (95%)|policy FLOPs, B / A";

static void name_run(const struct run *r, char out[128]) {
    snprintf(out, 128, "%.40s %.20s %llu", r->policy, r->search, (unsigned long long)r->budget);
}

static enum status compare_row(struct page *p, const struct run *a, const struct run *b, struct error *e) {
    struct comparison c;
    char cells[800], x[128], y[128];
    enum status s = compare_results(&a->results, &b->results, 1, 2000, &c, e);
    if (s) return s;
    const struct cost_pair *flops = &c.costs[COST_FLOPS], *policy = &c.costs[COST_POLICY_FLOPS];
    name_run(a, x), name_run(b, y);
    snprintf(cells, sizeof cells, "%s|%s|%u|%.1f%%|%.1f%%|%+.1f (%+.1f to %+.1f)|%.3g|%.3g (%.3g to %.3g)|%.3g", x, y,
             c.n, 100 * c.accuracy_a, 100 * c.accuracy_b, 100 * c.difference, 100 * c.difference_ci95.low,
             100 * c.difference_ci95.high, c.p, flops->ratio, flops->ratio_ci95.low, flops->ratio_ci95.high,
             policy->ratio);
    page_row(p, cells);
    return OK;
}

/* Of one policy and search, the dearest run that costs at most `most`; NULL: none. */
static const struct run *dearest(const struct study *s, const struct run *like, const char *search, enum cost cost,
                                 double most) {
    const struct run *r, *best = NULL;
    for (size_t i = 0; (r = study_next(s, &i, "main", like));)
        if (!strcmp(r->search, search) && r->mean[cost] <= most && (!best || r->mean[cost] > best->mean[cost]))
            best = r;
    return best;
}

/* Each smaller policy's searches against the greedy answers of each larger one, at no more than their FLOPs. */
static enum status small_against_large(const struct study *s, enum cost cost, struct page *p, struct error *e) {
    const struct run *large, *small, *r;
    enum status st = OK;
    for (size_t i = 0; !st && (large = study_next(s, &i, "main", NULL));) {
        if (strcmp(large->search, "greedy")) continue;
        for (size_t k = 0; !st && (small = study_next(s, &k, "main", NULL));) {
            if (strcmp(small->search, "greedy") || strcmp(small->task, large->task) || small->weights >= large->weights)
                continue;
            for (size_t j = 0; !st && (r = study_next(s, &j, "main", small));)
                if (strcmp(r->search, "greedy") && r == dearest(s, small, r->search, cost, large->mean[cost]))
                    st = compare_row(p, large, r, e);
        }
    }
    return st;
}

/* The run of these searches whose cost is nearest; NULL: none within a factor of 1.5. */
static const struct run *nearest(const struct study *s, const struct run *like) {
    const struct run *r, *best = NULL;
    double least = log(1.5);
    for (size_t i = 0; (r = study_next(s, &i, "main", like));) {
        double gap = fabs(log(r->mean[COST_FLOPS] / like->mean[COST_FLOPS]));
        if ((strcmp(r->search, "bon") && strcmp(r->search, "weighted")) || gap > least) continue;
        best = r, least = gap;
    }
    return best;
}

enum status tables_pairs(const struct study *s, struct page *p, struct error *e) {
    static const enum cost costs[] = {COST_FLOPS, COST_POLICY_FLOPS};
    const struct run *r;
    enum status st = OK;
    for (int k = 0; k < 2 && !st; k++) {
        page_table(p,
                   k ? "A: a larger policy's greedy answers. B: a smaller policy with search, at no more policy FLOPs "
                       "(the reward model is not counted)."
                     : "A: a larger policy's greedy answers. B: a smaller policy with search, at no more FLOPs, policy "
                       "and reward model together.",
                   head);
        st = small_against_large(s, costs[k], p, e);
        page_end_table(p);
    }
    if (st) return st;
    page_table(p,
               "A: independent chains (bon, weighted). B: tree search, which can come back to a step it left, at the "
               "nearest cost.",
               head);
    for (size_t i = 0; !st && (r = study_next(s, &i, "main", NULL));) {
        const struct run *parallel = strcmp(r->search, "mcts") ? NULL : nearest(s, r);
        if (parallel) st = compare_row(p, parallel, r, e);
    }
    page_end_table(p);
    return st;
}

static void run_row(struct page *p, const struct study_run *x) {
    const struct run *r = &x->run;
    char cells[800], judge[96], search[96], flops[2][32];
    struct point at = run_point(r, 1);
    const char *commit = json_string_value(json_object_get(r->results.header, "git"));
    run_judge_text(r, judge), run_search_text(r, search);
    snprintf(cells, sizeof cells, "%s|%.20s|%.40s|%.80s|%llu|%s|%llu|%u|%.1f%% (%.1f to %.1f)|%.0f|%.0f|%s|%s|%.16s",
             x->group, r->task, r->policy, search, (unsigned long long)r->budget, judge, (unsigned long long)r->seed,
             r->n, 100 * at.y, 100 * at.low, 100 * at.high, r->mean[COST_POLICY_TOKENS], r->mean[COST_PRM_TOKENS],
             show_flops((uint64_t)r->mean[COST_POLICY_FLOPS], flops[0]),
             show_flops((uint64_t)r->mean[COST_PRM_FLOPS], flops[1]), commit ? commit : "?");
    page_row(p, cells);
}

void tables_runs(const struct study *s, struct page *p) {
    page_table(p, "All runs. Tokens and FLOPs are means per problem, intervals Wilson's.",
               "group|task|policy|search|budget|judge|seed|n|right (95%)|policy tokens|PRM tokens|policy FLOPs|PRM "
               "FLOPs|commit");
    for (size_t i = 0; i < ds_len(s->runs); i++) run_row(p, &s->runs[i]);
    page_end_table(p);
    page_table(p, "Files that were not used.", "file and reason");
    for (size_t i = 0; i < ds_len(s->failures); i++) page_row(p, s->failures[i]);
    page_end_table(p);
}
