/* cmd_train.c: trains a policy from generated solutions, from chains or by its own rewards, or a reward model from labels.
 * Not the loop: train/trainer.c.
 * Next: cmd_label.c, the step between the two. */
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "cli/args.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "solve/session.h"
#include "tokenizer/vocab.h"
#include "train/chains.h"
#include "train/grpo.h"
#include "train/policy.h"
#include "train/reward.h"

struct options {
    const char *task, *size, *out, *checkpoint, *log, *labels, *init;
    int64_t steps, batch, warmup, validation, seed, threads, problems, group, epochs;
    double lr, lr_floor, explore, tries, hard, spoiled, save_every, temp, clip_low, clip_high;
};

/* clang-format off */
static const struct flag flags[] = {
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FILE", "the trained model, a GGUF file"},
    {"task", NULL, FLAG_TEXT, offsetof(struct options, task), "game24", 0, 0, "NAMES", "policy, grpo: what to learn, one task or several with commas between them"},
    {"hard", NULL, FLAG_REAL, offsetof(struct options, hard), "0", 0, 1, "X", "policy: share of problems of the hard level"},
    {"size", NULL, FLAG_TEXT, offsetof(struct options, size), "base", 0, 0, "NAME", "policy: tiny, small, base, deep or wide"},
    {"init", NULL, FLAG_TEXT, offsetof(struct options, init), NULL, 0, 0, "FILE", "start from these weights, or embedded (needed by prm, revise and grpo: the policy)"},
    {"labels", NULL, FLAG_TEXT, offsetof(struct options, labels), NULL, 0, 0, "FILE", "prm, distill, revise: labels of ponder label; distill, revise: also results of ponder eval -o"},
    {"spoiled", NULL, FLAG_REAL, offsetof(struct options, spoiled), "0.2", 0, 1, "X", "prm: share of examples with one step made wrong"},
    {"problems", NULL, FLAG_INT, offsetof(struct options, problems), "16", 1, 4096, "N", "grpo: problems of a step"},
    {"group", NULL, FLAG_INT, offsetof(struct options, group), "16", 2, GRPO_GROUP_MAX, "N", "grpo: samples of a problem"},
    {"epochs", NULL, FLAG_INT, offsetof(struct options, epochs), "2", 1, 64, "N", "grpo: updates from what was sampled"},
    {"temp", NULL, FLAG_REAL, offsetof(struct options, temp), "1", 0.01, 100, "X", "grpo: temperature of samples"},
    {"clip-low", NULL, FLAG_REAL, offsetof(struct options, clip_low), "0.2", 0, 1, "X", "grpo: ratios below 1 - X of tokens to be made less likely teach nothing more"},
    {"clip-high", NULL, FLAG_REAL, offsetof(struct options, clip_high), "0.28", 0, 100, "X", "grpo: nor those above 1 + X of tokens to be made likelier"},
    {"steps", NULL, FLAG_INT, offsetof(struct options, steps), "5000", 1, 1e9, "N", "optimiser steps"},
    {"batch", NULL, FLAG_INT, offsetof(struct options, batch), "128", 4, 65536, "N", "sequences a step, a multiple of 4"},
    {"lr", NULL, FLAG_REAL, offsetof(struct options, lr), NULL, 0, 10, "X", "peak learning rate (default: 2e-3; 1e-3 for chains, 1e-4 for grpo)"},
    {"lr-floor", NULL, FLAG_REAL, offsetof(struct options, lr_floor), "0.05", 0, 1, "X", "learning rate at the end, as a share of the peak"},
    {"warmup", NULL, FLAG_INT, offsetof(struct options, warmup), "200", 0, 1e9, "N", "steps up to the peak"},
    {"explore", NULL, FLAG_REAL, offsetof(struct options, explore), "0.3", 0, 1, "X", "policy: share of examples with random moves"},
    {"tries", NULL, FLAG_REAL, offsetof(struct options, tries), "0", 0, 1, "X", "policy: share of examples with failed tries, given up, before the solution"},
    {"validation", NULL, FLAG_INT, offsetof(struct options, validation), "512", 0, 65536, "N", "validation examples; 0 = none"},
    {"seed", "s", FLAG_INT, offsetof(struct options, seed), "1", 0, 9e15, "N", "same seed, same model"},
    {"threads", "t", FLAG_INT, offsetof(struct options, threads), NULL, 1, 256, "N", "threads (default: all CPUs)"},
    {"checkpoint", NULL, FLAG_TEXT, offsetof(struct options, checkpoint), NULL, 0, 0, "FILE", "saved to and resumed from (default: OUT.ckpt)"},
    {"save-every", NULL, FLAG_REAL, offsetof(struct options, save_every), "60", 0.1, 1e6, "S", "seconds between checkpoints"},
    {"log", NULL, FLAG_TEXT, offsetof(struct options, log), NULL, 0, 0, "FILE", "loss curve, JSONL, appended to"},
    {0},
};
/* clang-format on */

/* Streams of random numbers drawn from --seed. */
enum { STREAM_DATA = 7 };

/* So that a resume notices another file under the same name; 0 when it cannot be read. */
static unsigned long long hash_of(const char *path) {
    uint64_t h = 0;
    return path && !session_hash(path, "policy", &h, NULL) ? h : 0;
}

/* What decides the weights, flag by flag: a checkpoint of other settings is refused by name. */
static void describe(const struct options *o, const char *verb, char *out, size_t cap) {
    snprintf(out, cap,
             "train=%s\nsteps=%lld\nbatch=%lld\nlr=%.9g\nlr-floor=%.9g\nwarmup=%lld\ninit=%s %016llx\n"
             "labels=%s %016llx\nspoiled=%.9g\ntask=%s\nhard=%.9g\nsize=%s\nexplore=%.9g\ntries=%.9g\nproblems=%lld\n"
             "group=%lld\nepochs=%lld\ntemp=%.9g\nclip-low=%.9g\nclip-high=%.9g\n",
             verb, (long long)o->steps, (long long)o->batch, o->lr, o->lr_floor, (long long)o->warmup,
             o->init ? o->init : "none", hash_of(o->init), o->labels ? o->labels : "none", hash_of(o->labels),
             o->spoiled, o->task, o->hard, o->size, o->explore, o->tries, (long long)o->problems, (long long)o->group,
             (long long)o->epochs, o->temp, o->clip_low, o->clip_high);
}

/* ---- what is learned ---- */

/* A training run: options, and what its parts open. */
struct job {
    const struct options *o;
    const struct verb *verb;
    const char *checkpoint;
    char settings[1024];
    struct tok *tok;
    struct net *net;
    struct trained about;
    struct policy_data policy;
    struct reward_data *reward;
    struct chains *chains;
    double result; /* validation loss, or reward */
};

struct verb {
    const char *name, *about, *result; /* .result: what the number is */
    enum net_head head;
    bool needs_init, needs_labels;
    double lr; /* when none is given */
    enum status (*run)(struct job *j, struct error *e);
};

static uint64_t data_key(const struct job *j) { return rng_fold((uint64_t)j->o->seed, STREAM_DATA); }
static int threads(const struct options *o) { return o->threads ? (int)o->threads : cpu_count(); }

static enum status learn(struct job *j, example_fn *source, void *arg, struct error *e) {
    const struct options *o = j->o;
    struct train_params p = {
        .settings = j->settings,
        .steps = (uint64_t)o->steps,
        .warmup = (uint64_t)o->warmup,
        .batch = (uint32_t)o->batch,
        .lr = (float)o->lr,
        .lr_floor = (float)o->lr_floor,
        .seed = (uint64_t)o->seed,
        .threads = threads(o),
        .checkpoint = j->checkpoint,
        .log = o->log,
        .save_every_s = o->save_every,
        .n_validation = (uint32_t)o->validation,
        .cancel = cancel_install(),
    };
    fprintf(stderr, "%zu weights, %lld steps of %lld sequences\n", j->net->n_weights, (long long)o->steps,
            (long long)o->batch);
    return train_run(j->net, source, arg, &p, &j->result, e);
}

static enum status run_policy(struct job *j, struct error *e) {
    j->policy = (struct policy_data){
        .tok = j->tok, .key = data_key(j), .mix = j->policy.mix, .explore = j->o->explore, .tries = j->o->tries};
    j->policy.mix.hard = j->o->hard;
    j->about.revises |= j->o->tries > 0;
    return learn(j, policy_example, &j->policy, e);
}

static enum status run_prm(struct job *j, struct error *e) {
    enum status s = reward_data_open(j->o->labels, j->tok, data_key(j), j->o->spoiled, &j->reward, e);
    if (s) return s;
    fprintf(stderr, "%s: %llu chains\n", j->o->labels, (unsigned long long)reward_data_chains(j->reward));
    return learn(j, reward_example, j->reward, e);
}

static enum status run_chains(struct job *j, struct error *e) {
    bool revise = !strcmp(j->verb->name, "revise");
    enum status s = chains_open(j->o->labels, j->tok, data_key(j), revise, &j->chains, e);
    if (s) return s;
    struct chains_count n = chains_counts(j->chains);
    fprintf(stderr, "%s: %llu problems with %llu right chains and %llu wrong ones\n", j->o->labels,
            (unsigned long long)n.problems, (unsigned long long)n.right, (unsigned long long)n.wrong);
    j->about.revises |= revise;
    return learn(j, chains_example, j->chains, e);
}

static enum status run_grpo(struct job *j, struct error *e) {
    const struct options *o = j->o;
    struct grpo_report last = {0};
    struct grpo_params p = {
        .mix = j->policy.mix,
        .tok = j->tok,
        .key = data_key(j),
        .seed = (uint64_t)o->seed,
        .steps = (uint64_t)o->steps,
        .problems = (uint32_t)o->problems,
        .group = (uint32_t)o->group,
        .epochs = (uint32_t)o->epochs,
        .lr = (float)o->lr,
        .temperature = (float)o->temp,
        .clip_low = (float)o->clip_low,
        .clip_high = (float)o->clip_high,
        .threads = threads(o),
        .checkpoint = j->checkpoint,
        .settings = j->settings,
        .log = o->log,
        .save_every_s = o->save_every,
        .cancel = cancel_install(),
    };
    p.mix.hard = o->hard;
    enum status s = grpo_run(j->net, &p, &last, e);
    j->result = last.reward;
    return s;
}

/* clang-format off */
static const struct verb verbs[] = {
    {"policy",  "learns to write chains that solve generated problems, never held-out ones: no Game of 24",     "validation loss",              NET_LM,    false, false, 2e-3, run_policy},
    {"prm",     "learns from labels how often the policy solves a puzzle from each step",                       "validation loss",              NET_VALUE, true,  true,  2e-3, run_prm},
    {"distill", "learns the right chains of a file: those of a search, of a larger policy, or its own",         "validation loss",              NET_LM,    false, true,  1e-3, run_chains},
    {"revise",  "learns to write a right chain behind wrong ones of the same problem",                          "validation loss",              NET_LM,    true,  true,  1e-3, run_chains},
    {"grpo",    "goes on with a policy by sampling chains and learning from their rewards",                     "mean reward of the last step", NET_LM,    true,  false, 1e-4, run_grpo},
};
/* clang-format on */
enum { N_VERBS = sizeof verbs / sizeof *verbs };

/* ---- the command ---- */

/* The weights to start from.  The numbers game alone has the vocabulary of the shipped models; what is there has its own. */
static enum status open_net(struct job *j, struct error *e) {
    const struct options *o = j->o;
    struct model_config c;
    struct gguf *g;
    if (!o->init) {
        uint32_t n_vocab = !o->labels && !strcmp(o->task, "game24") ? VOCAB_SIZE : VOCAB_DIGITS;
        policy_size(o->size, n_vocab, &c);
        return net_new(&c, j->verb->head, (uint64_t)o->seed, &j->net, e);
    }
    enum status s = session_open_file(o->init, "policy", &g, e);
    if (s) return s;
    s = net_load(g, j->verb->head, &j->net, e);
    if (!s) s = trained_read(g, &j->about, e);
    gguf_close(&g);
    if (s) return s;
    uint32_t n_vocab = j->net->config.n_vocab;
    if (n_vocab == VOCAB_SIZE || n_vocab == VOCAB_DIGITS) return OK;
    return error_set(e, ERR_INPUT, "--init %s: its vocabulary is not one of ours", o->init);
}

/* A model says what it was trained for: its --task, or what the one before it was; those of the numbers game are known. */
static enum status train(struct job *j, bool task_given, struct error *e) {
    const struct options *o = j->o;
    enum status s = open_net(j, e);
    uint32_t n_vocab = s ? 0 : j->net->config.n_vocab;
    if (n_vocab == VOCAB_DIGITS && (task_given || !*j->about.tasks))
        snprintf(j->about.tasks, sizeof j->about.tasks, "%s", o->task);
    if (!s) s = policy_tok(n_vocab, &j->tok, e);
    if (!s) s = j->verb->run(j, e);
    if (!s && *cancel_install())
        return error_set(e, ERR_IO, "stopped; the same command goes on from %s", j->checkpoint);
    bool prm = j->verb->head == NET_VALUE;
    char name[32];
    snprintf(name, sizeof name, "%s-%s", n_vocab == VOCAB_SIZE ? "game24" : "ponder", prm ? "prm" : "policy");
    if (!s)
        s = prm ? reward_write(j->net, j->tok, name, &j->about, o->out, e)
                : policy_write(j->net, name, &j->about, o->out, e);
    if (!s) printf("%s: %s, %s %.5f\n", o->out, prm ? "reward model" : "policy", j->verb->result, j->result);
    return s;
}

static void job_close(struct job *j) {
    reward_data_close(&j->reward);
    chains_close(&j->chains);
    if (j->net) net_free(&j->net);
    if (j->tok) tok_close(&j->tok);
}

static int check(const struct args *a, struct options *o, struct job *j) {
    struct model_config c;
    struct error e;
    for (int i = 0; i < N_VERBS && a->n_rest == 1; i++)
        if (!strcmp(a->rest[0], verbs[i].name)) j->verb = &verbs[i];
    if (!j->verb) return args_wrong(a, "what is to be trained? one of policy, prm, distill, revise, grpo");
    if (!o->out) return args_wrong(a, "--out is missing: the file for the trained model");
    if (j->verb->needs_init && !o->init) return args_wrong(a, "--init POLICY is missing");
    if (j->verb->needs_labels && !o->labels) return args_wrong(a, "--labels FILE is missing");
    if (!args_given(a, "lr")) o->lr = j->verb->lr;
    if (!policy_size(o->size, VOCAB_SIZE, &c))
        return args_wrong(a, "--size: \"%.60s\" is none of %s", o->size, policy_sizes);
    if (task_mix_read(o->task, &j->policy.mix, &e)) return args_wrong(a, "%s", e.text);
    if (o->batch % 4) return args_wrong(a, "--batch: %lld is not a multiple of 4", (long long)o->batch);
    return ARGS_GO_ON;
}

int cmd_train(int argc, char **argv) {
    struct options o = {0};
    struct job j = {.o = &o};
    char checkpoint[4096], about[1024] = "";
    struct error e;
    for (int i = 0, n = 0; i < N_VERBS; i++)
        n += snprintf(about + n, sizeof about - (size_t)n, "%s: %s.\n", verbs[i].name, verbs[i].about);
    struct args a = {
        .command = "train", .usage = "policy|prm|distill|revise|grpo", .flags = flags, .options = &o, .about = about};
    int code = args_parse(&a, argc, argv);
    if (code == ARGS_GO_ON) code = check(&a, &o, &j);
    if (code != ARGS_GO_ON) return code;
    if (snprintf(checkpoint, sizeof checkpoint, "%s.ckpt", o.out) >= (int)sizeof checkpoint)
        return args_wrong(&a, "--out: the name is too long");
    j.checkpoint = o.checkpoint ? o.checkpoint : checkpoint;
    describe(&o, j.verb->name, j.settings, sizeof j.settings);
    enum status s = train(&j, args_given(&a, "task"), &e);
    job_close(&j);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
