/* cmd_label.c: labels for a reward model: how often the policy solves generated puzzles from each of its own steps.
 * Not the rollouts: train/labels.c.
 * Next: cmd_train.c, which trains on them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "solve/session.h"
#include "train/labels.h"

struct options {
    struct session_options session;
    const char *out, *task;
    int64_t problems, first, chains, min_rollouts, max_rollouts, seed;
    double temp, wild_temp, solvable, hard;
};

/* clang-format off */
static const struct flag flags[] = {
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FILE", "JSONL, one line a problem; an unfinished file is continued"},
    MODEL_FLAG(struct options, session),
    {"task", NULL, FLAG_TEXT, offsetof(struct options, task), "game24", 0, 0, "NAMES", "what the problems are: one task or several with commas between them"},
    {"hard", NULL, FLAG_REAL, offsetof(struct options, hard), "1", 0, 1, "X", "share of problems of the hard level"},
    {"problems", "n", FLAG_INT, offsetof(struct options, problems), "10000", 1, 1e9, "N", "how many problems"},
    {"first", NULL, FLAG_INT, offsetof(struct options, first), "0", 0, 1e12, "N", "number of the first problem"},
    {"chains", NULL, FLAG_INT, offsetof(struct options, chains), "8", 1, 16, "N", "chains sampled per problem"},
    {"min-rollouts", NULL, FLAG_INT, offsetof(struct options, min_rollouts), "4", 1, 1024, "N", "rollouts from each state at first"},
    {"max-rollouts", NULL, FLAG_INT, offsetof(struct options, max_rollouts), "32", 1, 1024, "N", "rollouts while both outcomes are seen"},
    {"temp", NULL, FLAG_REAL, offsetof(struct options, temp), "1", 0, 100, "X", "temperature of rollouts and of every first chain"},
    {"wild-temp", NULL, FLAG_REAL, offsetof(struct options, wild_temp), "1.5", 0, 100, "X", "temperature of every second chain"},
    {"solvable", NULL, FLAG_REAL, offsetof(struct options, solvable), "0.8", 0, 1, "X", "share of problems that are surely solvable"},
    {"seed", "s", FLAG_INT, offsetof(struct options, seed), "1", 0, 9e15, "N", "same seed, same labels"},
    {"threads", "t", FLAG_INT, offsetof(struct options, session.threads), NULL, 1, 64, "N", "threads (default: all CPUs)"},
    {0},
};
/* clang-format on */

enum { STREAM_LABELS = 8 }; /* of --seed */

/* What made the labels: a file goes on only with the same. */
static json_t *header_of(const struct options *o, uint64_t weights) {
    char hex[20];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)weights);
    return json_pack("{s:s,s:i,s:s,s:s,s:I,s:s,s:f,s:I,s:I,s:I,s:I,s:f,s:f,s:f}", "format", "ponder-labels", "version",
                     1, "model", o->session.model, "weights", hex, "seed", (json_int_t)o->seed, "task", o->task, "hard",
                     o->hard, "first", (json_int_t)o->first, "chains", (json_int_t)o->chains, "min_rollouts",
                     (json_int_t)o->min_rollouts, "max_rollouts", (json_int_t)o->max_rollouts, "temp", o->temp,
                     "wild_temp", o->wild_temp, "solvable", o->solvable);
}

/* A reward model learns from differences: says so when there are hardly any. */
static void report(const struct label_stats *s) {
    double n = s->values ? (double)s->values : 1;
    fprintf(stderr, "%llu problems, %llu step values: %.1f%% above 0, %.1f%% between 0 and 1\n",
            (unsigned long long)s->problems, (unsigned long long)s->values, 100 * (double)s->positive / n,
            100 * (double)s->mixed / n);
    double share = (double)s->positive / n;
    if (s->values && (share < 0.01 || (share > 0.99 && s->mixed == 0)))
        fprintf(stderr, "ponder label: warning: %s, so there is next to nothing to learn from\n",
                share < 0.01 ? "hardly any step leads to a right answer" : "all steps lead to a right answer");
}

static enum status label(const struct options *o, struct model *policy, const struct tok *tok, struct error *e) {
    struct label_stats stats = {0};
    uint64_t weights;
    enum status s = session_hash(o->session.model, "policy", &weights, e);
    if (s) return s;
    json_t *header = header_of(o, weights);
    char *first_line = header ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (!first_line) return error_set(e, ERR_MEMORY, "no memory for a header");
    struct label_params p = {
        .policy = policy,
        .tok = tok,
        .key = rng_fold((uint64_t)o->seed, STREAM_LABELS),
        .header = first_line,
        .solvable_share = o->solvable,
        .first = (uint64_t)o->first,
        .n_problems = (uint64_t)o->problems,
        .chains = (uint32_t)o->chains,
        .min_rollouts = (uint32_t)o->min_rollouts,
        .max_rollouts = (uint32_t)o->max_rollouts,
        .temperature = (float)o->temp,
        .wild_temperature = (float)o->wild_temp,
        .out = o->out,
        .cancel = cancel_install(),
        .threads = o->session.threads ? (int)o->session.threads
                   : cpu_count() < 64 ? cpu_count()
                                      : 64,
    };
    s = task_mix_read(o->task, &p.mix, e);
    p.mix.hard = o->hard;
    if (!s) s = labels_make(&p, &stats, e);
    if (!s) report(&stats);
    free(first_line);
    if (!s && *p.cancel) return error_set(e, ERR_IO, "stopped; the same command goes on from %s", o->out);
    return s;
}

int cmd_label(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "label",
                     .usage = "",
                     .flags = flags,
                     .options = &o,
                     .about = "Samples chains of the policy and rolls each of their steps out on forked KV.\n"};
    struct model *policy = NULL;
    struct tok *tok = NULL;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"", a.rest[0]);
    if (!o.out) return args_wrong(&a, "--out is missing: the file for the labels");
    if (o.max_rollouts < o.min_rollouts)
        return args_wrong(&a, "--max-rollouts: %lld is below --min-rollouts", (long long)o.max_rollouts);
    enum status s = session_open_model(o.session.model, "policy", &policy, &e);
    if (!s) s = tok_open(policy->file, &tok, &e);
    if (!s) s = label(&o, policy, tok, &e);
    if (tok) tok_close(&tok);
    if (policy) model_close(&policy);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
