/* compare.c: see compare.h.
 * Not the reading of files: solve/results.c.
 * Next: bench/cmd_compare.c. */
#include "study/compare.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/report.h"

/* ---- pairs ---- */

/* What one run spent on one problem, and whether it was right. */
enum { RIGHT = N_COSTS, N_NUMBERS };
struct spent {
    double x[N_NUMBERS];
};
struct pair {
    struct spent a, b;
};

static struct spent spent_on(const json_t *line) {
    struct spent s;
    for (int k = 0; k < N_COSTS; k++) s.x[k] = cost_of(line, (enum cost)k);
    s.x[RIGHT] = json_is_true(json_object_get(line, "correct"));
    return s;
}

static enum status same_task(const struct results *a, const struct results *b, struct error *e) {
    const char *x = json_string_value(json_object_get(a->header, "task")),
               *y = json_string_value(json_object_get(b->header, "task"));
    if (x && y && !strcmp(x, y)) return OK;
    return error_set(e, ERR_INPUT, "%s is of task %s, %s of %s", a->path, x ? x : "?", b->path, y ? y : "?");
}

/* pairs: [lines of a]. */
static enum status find_pairs(const struct results *a, const struct results *b, struct pair *pairs, uint32_t *n,
                              struct error *e) {
    const char *id;
    json_t *line;
    *n = 0;
    json_object_foreach(a->lines, id, line) {
        const json_t *other = json_object_get(b->lines, id);
        if (!other) continue;
        if (!json_equal(json_object_get(line, "problem"), json_object_get(other, "problem")))
            return error_set(e, ERR_INPUT, "%s, %s: the problem \"%s\" is not the same in both", a->path, b->path, id);
        pairs[(*n)++] = (struct pair){spent_on(line), spent_on(other)};
    }
    return *n ? OK : error_set(e, ERR_INPUT, "%s, %s: have no problem in common", a->path, b->path);
}

/* ---- numbers ---- */

static void count(const struct pair *pairs, struct comparison *c) {
    struct spent a = {{0}}, b = {{0}};
    for (uint32_t i = 0; i < c->n; i++) {
        bool x = pairs[i].a.x[RIGHT] != 0, y = pairs[i].b.x[RIGHT] != 0;
        c->both += x && y, c->only_a += x && !y, c->only_b += y && !x;
        for (int k = 0; k < N_NUMBERS; k++) a.x[k] += pairs[i].a.x[k] / c->n, b.x[k] += pairs[i].b.x[k] / c->n;
    }
    uint32_t right_a = c->both + c->only_a, right_b = c->both + c->only_b;
    c->accuracy_a = (double)right_a / c->n, c->accuracy_b = (double)right_b / c->n;
    c->difference = ((double)right_b - (double)right_a) / c->n;
    c->ci95_a = stats_wilson(right_a, c->n), c->ci95_b = stats_wilson(right_b, c->n);
    c->p = stats_mcnemar(c->only_a, c->only_b);
    for (int k = 0; k < N_COSTS; k++)
        c->costs[k] = (struct cost_pair){a.x[k], b.x[k], a.x[k] > 0 ? b.x[k] / a.x[k] : NAN, {NAN, NAN}};
}

/* The same samples for all numbers.  draws: [N_COSTS + 1][rounds], the difference last. */
static void resample(const struct pair *pairs, uint32_t *item, double *draws, uint64_t seed, uint32_t rounds,
                     struct comparison *c) {
    for (uint32_t r = 0; r < rounds; r++) {
        struct spent a = {{0}}, b = {{0}};
        stats_resample(seed, r, c->n, item);
        for (uint32_t i = 0; i < c->n; i++)
            for (int k = 0; k < N_NUMBERS; k++) a.x[k] += pairs[item[i]].a.x[k], b.x[k] += pairs[item[i]].b.x[k];
        for (int k = 0; k < N_COSTS; k++) draws[(size_t)k * rounds + r] = a.x[k] > 0 ? b.x[k] / a.x[k] : INFINITY;
        draws[(size_t)N_COSTS * rounds + r] = (b.x[RIGHT] - a.x[RIGHT]) / c->n;
    }
    c->difference_ci95 = stats_percentiles(draws + (size_t)N_COSTS * rounds, rounds);
    for (int k = 0; k < N_COSTS; k++)
        if (!isnan(c->costs[k].ratio)) c->costs[k].ratio_ci95 = stats_percentiles(draws + (size_t)k * rounds, rounds);
}

enum status compare_results(const struct results *a, const struct results *b, uint64_t seed, uint32_t rounds,
                            struct comparison *out, struct error *e) {
    *out = (struct comparison){0};
    enum status s = same_task(a, b, e);
    if (s) return s;
    size_t room = json_object_size(a->lines);
    struct pair *pairs = mem_new(room, sizeof *pairs);
    uint32_t *item = mem_new(room, sizeof *item);
    double *draws = mem_new((size_t)rounds * (N_COSTS + 1), sizeof *draws);
    if (!pairs || !item || !draws) s = error_set(e, ERR_MEMORY, "no memory for %zu pairs", room);
    if (!s) s = find_pairs(a, b, pairs, &out->n, e);
    if (!s) {
        out->missing_in_b = (uint32_t)room - out->n;
        out->missing_in_a = (uint32_t)json_object_size(b->lines) - out->n;
        count(pairs, out);
        resample(pairs, item, draws, seed, rounds, out);
    }
    mem_free(pairs), mem_free(item), mem_free(draws);
    return s;
}

/* ---- as JSON ---- */

static json_t *interval_json(struct interval i) {
    return json_pack("[o,o]", isfinite(i.low) ? json_real(i.low) : json_null(),
                     isfinite(i.high) ? json_real(i.high) : json_null());
}

json_t *comparison_json(const struct comparison *c) {
    json_t *costs = json_object();
    for (int k = 0; k < N_COSTS; k++) {
        const struct cost_pair *p = &c->costs[k];
        json_object_set_new(costs, cost_name((enum cost)k),
                            json_pack("{s:f,s:f,s:o,s:o}", "a", p->a, "b", p->b, "ratio",
                                      isnan(p->ratio) ? json_null() : json_real(p->ratio), "ci95",
                                      interval_json(p->ratio_ci95)));
    }
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:o,s:f,s:o,s:f,s:o,s:f,s:o}", "n", (json_int_t)c->n, "both",
                     (json_int_t)c->both, "only_a", (json_int_t)c->only_a, "only_b", (json_int_t)c->only_b,
                     "missing_in_a", (json_int_t)c->missing_in_a, "missing_in_b", (json_int_t)c->missing_in_b,
                     "accuracy_a", c->accuracy_a, "ci95_a", interval_json(c->ci95_a), "accuracy_b", c->accuracy_b,
                     "ci95_b", interval_json(c->ci95_b), "difference", c->difference, "difference_ci95",
                     interval_json(c->difference_ci95), "p", c->p, "costs", costs);
}
