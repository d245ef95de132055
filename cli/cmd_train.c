/* cmd_train.c: trains a policy from generated solutions, or a reward model from labels.
 * Not the loop: train/trainer.c.
 * Next: cmd_label.c, the step between the two. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "solve/session.h"
#include "tokenizer/vocab.h"
#include "train/policy.h"
#include "train/reward.h"

struct options {
    const char *size, *out, *checkpoint, *log, *labels, *init;
    int64_t steps, batch, warmup, validation, seed, threads;
    double lr, lr_floor, explore, save_every;
};

static const struct flag flags[] = {
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FILE", "the trained model, a GGUF file"},
    {"size", NULL, FLAG_TEXT, offsetof(struct options, size), "base", 0, 0, "NAME", "policy: tiny, small or base"},
    {"init", NULL, FLAG_TEXT, offsetof(struct options, init), NULL, 0, 0, "FILE",
     "start from these weights, or embedded (prm: needed, the policy)"},
    {"labels", NULL, FLAG_TEXT, offsetof(struct options, labels), NULL, 0, 0, "FILE", "prm: labels of ponder label"},
    {"steps", NULL, FLAG_INT, offsetof(struct options, steps), "5000", 1, 1e9, "N", "optimiser steps"},
    {"batch", NULL, FLAG_INT, offsetof(struct options, batch), "128", 4, 65536, "N",
     "sequences a step, a multiple of 4"},
    {"lr", NULL, FLAG_REAL, offsetof(struct options, lr), "2e-3", 0, 10, "X", "peak learning rate"},
    {"lr-floor", NULL, FLAG_REAL, offsetof(struct options, lr_floor), "0.05", 0, 1, "X",
     "learning rate at the end, as a share of the peak"},
    {"warmup", NULL, FLAG_INT, offsetof(struct options, warmup), "200", 0, 1e9, "N", "steps up to the peak"},
    {"explore", NULL, FLAG_REAL, offsetof(struct options, explore), "0.3", 0, 1, "X",
     "policy: share of examples with random moves"},
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

static enum status run(const struct options *o, struct net *n, example_fn *source, void *arg, const char *checkpoint,
                       double *loss, struct error *e) {
    struct train_params p = {
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
static enum status open_own_tok(const char *out, struct tok **tok, struct error *e) {
    struct gguf_writer *w;
    struct gguf *g;
    char path[4096];
    *tok = NULL;
    if (snprintf(path, sizeof path, "%s.vocab", out) >= (int)sizeof path)
        return error_set(e, ERR_INPUT, "--out: the name is too long");
    enum status s = gguf_writer_new(&w, e);
    if (s) return s;
    vocab_add(w);
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

static enum status train_policy(const struct options *o, const char *checkpoint, struct error *e) {
    struct model_config c;
    struct tok *tok = NULL;
    struct net *n = NULL;
    double loss;
    policy_size(o->size, &c); /* the name was checked */
    enum status s = open_own_tok(o->out, &tok, e);
    if (!s) s = o->init ? load_net(o->init, NET_LM, &n, e) : net_new(&c, NET_LM, (uint64_t)o->seed, &n, e);
    struct policy_data data = {
        .tok = tok, .key = rng_fold((uint64_t)o->seed, STREAM_DATA), .mix = gen_default_mix, .explore = o->explore};
    if (!s) s = run(o, n, policy_example, &data, checkpoint, &loss, e);
    if (!s) s = policy_write(n, "game24-policy", o->out, e);
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
    if (!s) s = reward_data_open(o->labels, tok, rng_fold((uint64_t)o->seed, STREAM_DATA), &data, e);
    if (!s) fprintf(stderr, "%s: %llu chains\n", o->labels, (unsigned long long)reward_data_chains(data));
    if (!s) s = run(o, n, reward_example, data, checkpoint, &loss, e);
    if (!s) s = reward_write(n, tok, "game24-prm", o->out, e);
    if (!s) printf("%s: reward model, validation loss %.5f\n", o->out, loss);
    if (data) reward_data_close(&data);
    if (n) net_free(&n);
    if (tok) tok_close(&tok);
    return s;
}

int cmd_train(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "train",
                     .usage = "policy|prm",
                     .flags = flags,
                     .options = &o,
                     .about = "policy: learns to write solutions of generated puzzles.  Never sees a Game of 24.\n"
                              "prm: learns from labels how often the policy solves a puzzle from each step.\n"};
    char checkpoint[4096];
    struct model_config c;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    bool prm = a.n_rest == 1 && !strcmp(a.rest[0], "prm");
    if (a.n_rest != 1 || (!prm && strcmp(a.rest[0], "policy")))
        return args_wrong(&a, "what is to be trained? policy or prm");
    if (!o.out) return args_wrong(&a, "--out is missing: the file for the trained model");
    if (prm && (!o.init || !o.labels)) return args_wrong(&a, "--%s is missing", o.init ? "labels FILE" : "init POLICY");
    if (!policy_size(o.size, &c)) return args_wrong(&a, "--size: \"%.60s\" is none of tiny, small, base", o.size);
    if (o.batch % 4) return args_wrong(&a, "--batch: %lld is not a multiple of 4", (long long)o.batch);
    if (snprintf(checkpoint, sizeof checkpoint, "%s.ckpt", o.out) >= (int)sizeof checkpoint)
        return args_wrong(&a, "--out: the name is too long");
    if (o.checkpoint) snprintf(checkpoint, sizeof checkpoint, "%s", o.checkpoint);
    enum status s = prm ? train_prm(&o, checkpoint, &e) : train_policy(&o, checkpoint, &e);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
