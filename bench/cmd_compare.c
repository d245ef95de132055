/* cmd_compare.c: ponder compare and ponder merge: files of results, side by side and put together.
 * Not a run: cli/cmd_eval.c makes the files.
 * Next: study/compare.h, study/merge.h. */
#include <math.h>
#include <stdio.h>

#include "base/terminal.h"
#include "cli/command.h"
#include "solve/report.h"
#include "study/compare.h"
#include "study/merge.h"

/* ---- compare ---- */

struct compare_options {
    int64_t seed, rounds;
    bool json;
};

static const struct flag compare_flags[] = {
    {"seed", "s", FLAG_INT, offsetof(struct compare_options, seed), "1", 0, 9e15, "N", "of the bootstrap"},
    {"resamples", NULL, FLAG_INT, offsetof(struct compare_options, rounds), "10000", 100, 1e6, "N",
     "samples of the bootstrap"},
    {"json", NULL, FLAG_YES, offsetof(struct compare_options, json), NULL, 0, 0, NULL, "one JSON object"},
    {0},
};

static const char *show(double x, bool flops, char text[32]) {
    if (flops) return show_flops((uint64_t)llround(x), text);
    if (x >= 1000) return show_count((uint64_t)llround(x), text);
    snprintf(text, 32, "%.3g", x);
    return text;
}

static void print_cost(enum cost k, const struct cost_pair *p) {
    char a[32], b[32];
    bool flops = k == COST_POLICY_FLOPS || k == COST_PRM_FLOPS || k == COST_FLOPS;
    printf("%-13s %11s %11s", cost_name(k), show(p->a, flops, a), show(p->b, flops, b));
    if (!isnan(p->ratio)) printf("  x %.3g (%.3g to %.3g)", p->ratio, p->ratio_ci95.low, p->ratio_ci95.high);
    putchar('\n');
}

static void print_comparison(const struct comparison *c, const char *a, const char *b) {
    printf("A: %s\nB: %s\n%u problems in both", a, b, c->n);
    if (c->missing_in_a + c->missing_in_b) printf(" (%u only in A, %u only in B)", c->missing_in_b, c->missing_in_a);
    printf("\nright: %u in both, %u only in A, %u only in B, %u in neither\n", c->both, c->only_a, c->only_b,
           c->n - c->both - c->only_a - c->only_b);
    printf("A  %.1f%% (%.1f to %.1f)\nB  %.1f%% (%.1f to %.1f)\n", 100 * c->accuracy_a, 100 * c->ci95_a.low,
           100 * c->ci95_a.high, 100 * c->accuracy_b, 100 * c->ci95_b.low, 100 * c->ci95_b.high);
    printf("B - A  %+.1f points (%+.1f to %+.1f), McNemar's exact test: p = %.3g\n", 100 * c->difference,
           100 * c->difference_ci95.low, 100 * c->difference_ci95.high, c->p);
    printf("\nper problem             A           B  B / A (95%%)\n");
    for (int k = 0; k < N_COSTS; k++) print_cost((enum cost)k, &c->costs[k]);
}

int cmd_compare(int argc, char **argv) {
    struct compare_options o = {0};
    struct args a = {.command = "compare",
                     .usage = "A.jsonl B.jsonl",
                     .flags = compare_flags,
                     .options = &o,
                     .about = "Two files of results on the same problems: who is right where, and what it cost.\n"};
    struct results x, y;
    struct comparison c;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest != 2) return args_wrong(&a, "two files of results are needed, %d were given", a.n_rest);
    if (results_load(a.rest[0], &x, &e)) return args_failed(&a, e.text);
    enum status s = results_load(a.rest[1], &y, &e);
    if (!s) {
        s = compare_results(&x, &y, (uint64_t)o.seed, (uint32_t)o.rounds, &c, &e);
        results_close(&y);
    }
    results_close(&x);
    if (s) return args_failed(&a, e.text);
    if (!o.json) {
        print_comparison(&c, a.rest[0], a.rest[1]);
        return EXIT_GOOD;
    }
    json_t *j = comparison_json(&c);
    json_dumpf(j, stdout, REPORT_JSON), putchar('\n');
    json_decref(j);
    return EXIT_GOOD;
}

/* ---- merge ---- */

struct merge_options {
    const char *out;
};

static const struct flag merge_flags[] = {
    {"out", "o", FLAG_TEXT, offsetof(struct merge_options, out), NULL, 0, 0, "FILE", "the file of the whole run"},
    {0},
};

int cmd_merge(int argc, char **argv) {
    struct merge_options o = {0};
    struct args a = {.command = "merge",
                     .usage = "SHARD.jsonl...",
                     .flags = merge_flags,
                     .options = &o,
                     .about = "Makes one file of results of the shards of a run (ponder eval --shard K/N).\n"};
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (!o.out) return args_wrong(&a, "--out is missing: the file to write");
    if (!a.n_rest) return args_wrong(&a, "the files of the shards are missing");
    return merge_results((const char *const *)a.rest, a.n_rest, o.out, &e) ? args_failed(&a, e.text) : EXIT_GOOD;
}
