/* cmd_train.c: trains a policy from generated solutions or by its own rewards, or a reward model from labels.
 * Not the loop: train/trainer.c.
 * Next: cmd_label.c, the step between the two. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "cli/args.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "solve/session.h"
#include "tokenizer/vocab.h"
#include "train/grpo.h"
#include "train/policy.h"
#include "train/reward.h"

struct options {
    const char *task, *size, *out, *checkpoint, *log, *labels, *init;
    int64_t steps, batch, warmup, validation, seed, threads, problems, group, epochs;
    double lr, lr_floor, explore, tries, hard, spoiled, save_every, temp, clip_low, clip_high;
};

static const struct flag flags[] = {
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FILE", "the trained model, a GGUF file"},
    {"task", NULL, FLAG_TEXT, offsetof(struct options, task), "game24", 0, 0, "NAMES",
     "policy: what to learn, one task or several with commas between them"},
    {"hard", NULL, FLAG_REAL, offsetof(struct options, hard), "0", 0, 1, "X",
     "policy: share of problems of the hard level"},
    {"size", NULL, FLAG_TEXT, offsetof(struct options, size), "base", 0, 0, "NAME",
     "policy: tiny, small, base, deep or wide"},
    {"init", NULL, FLAG_TEXT, offsetof(struct options, init), NULL, 0, 0, "FILE",
     "start from these weights, or embedded (prm: needed, the policy)"},
    {"labels", NULL, FLAG_TEXT, offsetof(struct options, labels), NULL, 0, 0, "FILE", "prm: labels of ponder label"},
    {"spoiled", NULL, FLAG_REAL, offsetof(struct options, spoiled), "0.2", 0, 1, "X",
     "prm: share of examples with one step made wrong"},
    {"problems", NULL, FLAG_INT, offsetof(struct options, problems), "16", 1, 4096, "N", "grpo: problems of a step"},
    {"group", NULL, FLAG_INT, offsetof(struct options, group), "16", 2, GRPO_GROUP_MAX, "N",
     "grpo: samples of a problem"},
    {"epochs", NULL, FLAG_INT, offsetof(struct options, epochs), "2", 1, 64, "N",
     "grpo: updates from what was sampled"},
    {"temp", NULL, FLAG_REAL, offsetof(struct options, temp), "1", 0.01, 100, "X", "grpo: temperature of samples"},
    {"clip-low", NULL, FLAG_REAL, offsetof(struct options, clip_low), "0.2", 0, 1, "X",
     "grpo: ratios below 1 - X of tokens to be made less likely teach nothing more"},
    {"clip-high", NULL, FLAG_REAL, offsetof(struct options, clip_high), "0.28", 0, 100, "X",
     "grpo: nor those above 1 + X of tokens to be made likelier"},
    {"steps", NULL, FLAG_INT, offsetof(struct options, steps), "5000", 1, 1e9, "N", "optimiser steps"},
    {"batch", NULL, FLAG_INT, offsetof(struct options, batch), "128", 4, 65536, "N",
     "sequences a step, a multiple of 4"},
    {"lr", NULL, FLAG_REAL, offsetof(struct options, lr), "2e-3", 0, 10, "X", "peak learning rate"},
    {"lr-floor", NULL, FLAG_REAL, offsetof(struct options, lr_floor), "0.05", 0, 1, "X",
     "learning rate at the end, as a share of the peak"},
    {"warmup", NULL, FLAG_INT, offsetof(struct options, warmup), "200", 0, 1e9, "N", "steps up to the peak"},
    {"explore", NULL, FLAG_REAL, offsetof(struct options, explore), "0.3", 0, 1, "X",
     "policy: share of examples with random moves"},
    {"tries", NULL, FLAG_REAL, offsetof(struct options, tries), "0", 0, 1, "X",
     "policy: share of examples with failed tries, given up, before the solution"},
    {"validation", NULL, FLAG_INT, offsetof(struct options, validation), "512", 0, 65536, "N",
     "validation examples; 0 = none"},
    {"seed", "s", FLAG_INT, offsetof(struct options, seed), "1", 0, 9e15, "N", "same seed, same model"},
    {"threads", "t", FLAG_INT, offsetof(struct options, threads), NULL, 1, 256, "N", "threads (default: all CPUs)"},
    {"checkpoint", NULL, FLAG_TEXT, offsetof(struct options, checkpoint), NULL, 0, 0, "FILE",
     "saved to and resumed from (default: OUT.ckpt)"},
    {"save-every", NULL, FLAG_REAL, offsetof(struct options, save_every), "60", 0.1, 1e6, "S",
     "seconds between checkpoints"},
    {"log", NULL, FLAG_TEXT, offsetof(struct options, log), NULL, 0, 0, "FILE", "loss curve, JSONL, appended to"},
    {0},
};

/* Streams of random numbers drawn from --seed. */
enum { STREAM_DATA = 7 };

/* FNV-1a of a file, so that a resume notices other labels under the same name; 0 when it cannot be read. */
static uint64_t hash_file(const char *path) {
    unsigned char block[65536];
    uint64_t h = 0xcbf29ce484222325u;
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        for (size_t i = 0; i < n; i++) h = (h ^ block[i]) * 0x100000001b3u;
    fclose(f);
    return h;
}

/* What decides the weights, flag by flag: a checkpoint of other settings is refused by name. */
static void describe(const struct options *o, bool prm, char *out, size_t cap) {
    int n = snprintf(out, cap, "steps=%lld\nbatch=%lld\nlr=%.9g\nlr-floor=%.9g\nwarmup=%lld\ninit=%s %016llx\n",
                     (long long)o->steps, (long long)o->batch, o->lr, o->lr_floor, (long long)o->warmup,
                     o->init ? o->init : "none", o->init ? (unsigned long long)hash_file(o->init) : 0);
    if (n < 0 || (size_t)n >= cap) return;
    if (prm)
        snprintf(out + n, cap - (size_t)n, "labels=%s %016llx\nspoiled=%.9g\n", o->labels,
                 (unsigned long long)hash_file(o->labels), o->spoiled);
    else
        snprintf(out + n, cap - (size_t)n, "task=%s\nhard=%.9g\nsize=%s\nexplore=%.9g\ntries=%.9g\n", o->task, o->hard,
                 o->size, o->explore, o->tries);
}

static enum status run(const struct options *o, struct net *n, example_fn *source, void *arg, const char *checkpoint,
                       double *loss, struct error *e) {
    char settings[1024];
    describe(o, n->head == NET_VALUE, settings, sizeof settings);
    struct train_params p = {
        .settings = settings,
        .steps = (uint64_t)o->steps,
        .warmup = (uint64_t)o->warmup,
        .batch = (uint32_t)o->batch,
        .lr = (float)o->lr,
        .lr_floor = (float)o->lr_floor,
        .seed = (uint64_t)o->seed,
        .threads = o->threads ? (int)o->threads : cpu_count(),
        .checkpoint = checkpoint,
        .log = o->log,
        .save_every_s = o->save_every,
        .n_validation = (uint32_t)o->validation,
        .cancel = cancel_install(),
    };
    fprintf(stderr, "%zu weights, %lld steps of %lld sequences\n", n->n_weights, (long long)o->steps,
            (long long)o->batch);
    enum status s = train_run(n, source, arg, &p, loss, e);
    if (!s && *p.cancel) return error_set(e, ERR_IO, "stopped; the same command goes on from %s", checkpoint);
    return s;
}

/* Our own vocabulary is made, not trained: it reaches the tokenizer by way of a file, as every vocabulary does. */
static enum status open_own_tok(const char *out, uint32_t n_vocab, struct tok **tok, struct error *e) {
    struct gguf_writer *w;
    struct gguf *g;
    char path[4096];
    *tok = NULL;
    if (snprintf(path, sizeof path, "%s.vocab", out) >= (int)sizeof path)
        return error_set(e, ERR_INPUT, "--out: the name is too long");
    enum status s = gguf_writer_new(&w, e);
    if (s) return s;
    vocab_add_sized(w, n_vocab);
    s = gguf_write(w, path, e);
    gguf_writer_free(&w);
    if (s || (s = gguf_open(path, &g, e))) return s;
    s = tok_open(g, tok, e);
    gguf_close(&g);
    unlink(path);
    return s;
}

static enum status load_net(const char *path, enum net_head head, struct net **n, struct error *e) {
    struct gguf *g;
    enum status s = session_open_file(path, "policy", &g, e);
    if (s) return s;
    s = net_load(g, head, n, e);
    gguf_close(&g);
    return s;
}

/* The numbers game alone has the vocabulary of the shipped models; weights that are there have their own. */
static enum status vocab_for(const struct options *o, const struct task_mix *mix, struct net *init, uint32_t *n_vocab,
                             struct error *e) {
    *n_vocab = mix->n == 1 && !strcmp(mix->tasks[0]->name, "game24") ? VOCAB_SIZE : VOCAB_DIGITS;
    if (!init) return OK;
    *n_vocab = init->config.n_vocab;
    if (*n_vocab == VOCAB_SIZE || *n_vocab == VOCAB_DIGITS) return OK;
    return error_set(e, ERR_INPUT, "--init %s: its vocabulary is not one of ours", o->init);
}

static enum status train_policy(const struct options *o, const char *checkpoint, struct error *e) {
    struct model_config c;
    struct tok *tok = NULL;
    struct net *n = NULL;
    struct policy_data data = {
        .key = rng_fold((uint64_t)o->seed, STREAM_DATA), .explore = o->explore, .tries = o->tries};
    double loss;
    uint32_t n_vocab = 0;
    enum status s = task_mix_read(o->task, &data.mix, e);
    data.mix.hard = o->hard;
    if (!s && o->init) s = load_net(o->init, NET_LM, &n, e);
    if (!s) s = vocab_for(o, &data.mix, n, &n_vocab, e);
    if (!s) s = open_own_tok(o->out, n_vocab, &tok, e);
    data.tok = tok;
    if (!s && !n && policy_size(o->size, n_vocab, &c)) s = net_new(&c, NET_LM, (uint64_t)o->seed, &n, e);
    if (!s) s = run(o, n, policy_example, &data, checkpoint, &loss, e);
    if (!s) s = policy_write(n, n_vocab == VOCAB_SIZE ? "game24-policy" : "ponder-policy", o->out, e);
    if (!s) printf("%s: policy, validation loss %.5f\n", o->out, loss);
    if (n) net_free(&n);
    if (tok) tok_close(&tok);
    return s;
}

static enum status train_prm(const struct options *o, const char *checkpoint, struct error *e) {
    struct gguf *g = NULL;
    struct tok *tok = NULL;
    struct reward_data *data = NULL;
    struct net *n = NULL;
    double loss;
    enum status s = session_open_file(o->init, "policy", &g, e);
    if (!s) s = tok_open(g, &tok, e);
    if (!s) s = net_load(g, NET_VALUE, &n, e);
    if (g) gguf_close(&g);
    if (!s) s = reward_data_open(o->labels, tok, rng_fold((uint64_t)o->seed, STREAM_DATA), o->spoiled, &data, e);
    if (!s) fprintf(stderr, "%s: %llu chains\n", o->labels, (unsigned long long)reward_data_chains(data));
    if (!s) s = run(o, n, reward_example, data, checkpoint, &loss, e);
    if (!s) s = reward_write(n, tok, n->config.n_vocab == VOCAB_SIZE ? "game24-prm" : "ponder-prm", o->out, e);
    if (!s) printf("%s: reward model, validation loss %.5f\n", o->out, loss);
    if (data) reward_data_close(&data);
    if (n) net_free(&n);
    if (tok) tok_close(&tok);
    return s;
}

static enum status train_grpo(const struct options *o, const char *checkpoint, struct error *e) {
    char settings[1024];
    struct tok *tok = NULL;
    struct net *n = NULL;
    struct grpo_report last = {0};
    uint32_t n_vocab;
    struct grpo_params p = {
        .key = rng_fold((uint64_t)o->seed, STREAM_DATA),
        .seed = (uint64_t)o->seed,
        .steps = (uint64_t)o->steps,
        .problems = (uint32_t)o->problems,
        .group = (uint32_t)o->group,
        .epochs = (uint32_t)o->epochs,
        .lr = (float)o->lr,
        .temperature = (float)o->temp,
        .clip_low = (float)o->clip_low,
        .clip_high = (float)o->clip_high,
        .threads = o->threads ? (int)o->threads : cpu_count(),
        .checkpoint = checkpoint,
        .settings = settings,
        .log = o->log,
        .save_every_s = o->save_every,
        .cancel = cancel_install(),
    };
    snprintf(
        settings, sizeof settings,
        "steps=%lld\nlr=%.9g\ninit=%s %016llx\ntask=%s\nhard=%.9g\nproblems=%lld\ngroup=%lld\nepochs=%lld\ntemp=%.9g\n"
        "clip-low=%.9g\nclip-high=%.9g\n",
        (long long)o->steps, o->lr, o->init, (unsigned long long)hash_file(o->init), o->task, o->hard,
        (long long)o->problems, (long long)o->group, (long long)o->epochs, o->temp, o->clip_low, o->clip_high);
    enum status s = task_mix_read(o->task, &p.mix, e);
    p.mix.hard = o->hard;
    if (!s) s = load_net(o->init, NET_LM, &n, e);
    if (!s) s = vocab_for(o, &p.mix, n, &n_vocab, e);
    if (!s) s = open_own_tok(o->out, n_vocab, &tok, e);
    p.tok = tok;
    if (!s) s = grpo_run(n, &p, &last, e);
    if (!s && *p.cancel) s = error_set(e, ERR_IO, "stopped; the same command goes on from %s", checkpoint);
    if (!s) s = policy_write(n, n_vocab == VOCAB_SIZE ? "game24-policy" : "ponder-policy", o->out, e);
    if (!s) printf("%s: policy, mean reward of the last step %.4f\n", o->out, last.reward);
    if (n) net_free(&n);
    if (tok) tok_close(&tok);
    return s;
}

int cmd_train(int argc, char **argv) {
    struct options o = {0};
    struct args a = {
        .command = "train",
        .usage = "policy|prm|grpo",
        .flags = flags,
        .options = &o,
        .about = "policy: learns to write chains that solve generated problems, never held-out ones: no Game of 24.\n"
                 "prm: learns from labels how often the policy solves a puzzle from each step.\n"
                 "grpo: goes on with a policy (--init) by sampling chains and learning from their rewards.\n"};
    char checkpoint[4096];
    struct model_config c;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    bool prm = a.n_rest == 1 && !strcmp(a.rest[0], "prm"), grpo = a.n_rest == 1 && !strcmp(a.rest[0], "grpo");
    if (a.n_rest != 1 || (!prm && !grpo && strcmp(a.rest[0], "policy")))
        return args_wrong(&a, "what is to be trained? policy or prm, or grpo to go on with one");
    if (!o.out) return args_wrong(&a, "--out is missing: the file for the trained model");
    if (prm && (!o.init || !o.labels)) return args_wrong(&a, "--%s is missing", o.init ? "labels FILE" : "init POLICY");
    if (grpo && !o.init) return args_wrong(&a, "--init POLICY is missing");
    if (grpo && !args_given(&a, "lr")) o.lr = 1e-4; /* 2e-3 is for weights that know nothing */
    if (!policy_size(o.size, VOCAB_SIZE, &c))
        return args_wrong(&a, "--size: \"%.60s\" is none of %s", o.size, policy_sizes);
    struct task_mix mix;
    if (!prm && task_mix_read(o.task, &mix, &e)) return args_wrong(&a, "%s", e.text);
    if (o.batch % 4) return args_wrong(&a, "--batch: %lld is not a multiple of 4", (long long)o.batch);
    if (snprintf(checkpoint, sizeof checkpoint, "%s.ckpt", o.out) >= (int)sizeof checkpoint)
        return args_wrong(&a, "--out: the name is too long");
    if (o.checkpoint) snprintf(checkpoint, sizeof checkpoint, "%s", o.checkpoint);
    enum status s = prm    ? train_prm(&o, checkpoint, &e)
                    : grpo ? train_grpo(&o, checkpoint, &e)
                           : train_policy(&o, checkpoint, &e);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
