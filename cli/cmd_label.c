/* cmd_label.c: labels for a reward model: how often the policy solves generated puzzles from each of its own steps.
 * Not the rollouts: train/labels.c.
 * Next: cmd_train.c, which trains on them. */
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "solve/session.h"
#include "train/labels.h"

struct options {
    struct session_options session;
    const char *out;
    int64_t problems, first, chains, min_rollouts, max_rollouts, seed;
    double temp, wild_temp, solvable;
};

static const struct flag flags[] = {
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FILE",
     "JSONL, one line a problem; an unfinished file is continued"},
    MODEL_FLAG(struct options, session),
    {"problems", "n", FLAG_INT, offsetof(struct options, problems), "10000", 1, 1e9, "N", "how many problems"},
    {"first", NULL, FLAG_INT, offsetof(struct options, first), "0", 0, 1e12, "N", "number of the first problem"},
    {"chains", NULL, FLAG_INT, offsetof(struct options, chains), "8", 1, 16, "N", "chains sampled per problem"},
    {"min-rollouts", NULL, FLAG_INT, offsetof(struct options, min_rollouts), "4", 1, 1024, "N",
     "rollouts from each state at first"},
    {"max-rollouts", NULL, FLAG_INT, offsetof(struct options, max_rollouts), "32", 1, 1024, "N",
     "rollouts while both outcomes are seen"},
    {"temp", NULL, FLAG_REAL, offsetof(struct options, temp), "1", 0, 100, "X",
     "temperature of rollouts and of every first chain"},
    {"wild-temp", NULL, FLAG_REAL, offsetof(struct options, wild_temp), "1.5", 0, 100, "X",
     "temperature of every second chain"},
    {"solvable", NULL, FLAG_REAL, offsetof(struct options, solvable), "0.8", 0, 1, "X",
     "share of problems that are surely solvable"},
    {"seed", "s", FLAG_INT, offsetof(struct options, seed), "1", 0, 9e15, "N", "same seed, same labels"},
    {"threads", "t", FLAG_INT, offsetof(struct options, session.threads), NULL, 1, 64, "N",
     "threads (default: all CPUs)"},
    {0},
};

enum { STREAM_LABELS = 8 }; /* of --seed */

static enum status label(const struct options *o, struct model *policy, const struct tok *tok, struct error *e) {
    struct label_params p = {
        .policy = policy,
        .tok = tok,
        .key = rng_fold((uint64_t)o->seed, STREAM_LABELS),
        .mix = gen_label_mix,
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
    enum status s = labels_make(&p, e);
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
