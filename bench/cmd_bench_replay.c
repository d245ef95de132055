/* cmd_bench_replay.c: ponder bench replay: the forks, tokens and drops of a search that really happened, with any model.
 * Not a search: nothing is sampled or scored, so that two programs, or two versions, do the same work.
 * Next: docs/TREE.md for what a tree file holds.
 *
 * A step of the search is a fork of its parent's branch and as many tokens as the trace says.  Steps that follow each other in
 * the trace, none a child of another, were grown together and are here: one pass for each of their tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "bench/bench_out.h"
#include "solve/session.h"
#include "solve/tree_read.h"

struct options {
    struct bench_options common;
    struct session_options session; /* only its model */
    int64_t prompt, ubatch;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    {"prompt", "p", FLAG_INT, offsetof(struct options, prompt), "0", 0, 1 << 20, "N",
     "tokens of the prompt; 0 = as in the file"},
    {"ubatch", "ub", FLAG_INT, offsetof(struct options, ubatch), "512", 1, 65536, "N", "most rows of one pass"},
    BENCH_FLAGS(struct options, common, "3"),
    {0},
};

enum { MAX_STEP_TOKENS = 1 << 16 };

/* What the trace says, in its order. */
struct traced {
    uint32_t node, parent, n_tokens; /* n_tokens 0: the node is dropped */
};
struct script {
    struct traced *steps;      /* [n_steps] */
    uint32_t n_steps, n_nodes; /* nodes have numbers below n_nodes; 0 is the prompt */
    uint32_t prompt;
    uint64_t n_tokens;
};

/* ---- reading ---- */

static enum status read_tree(const char *path, struct script *s, struct error *e) {
    struct saved_tree f;
    enum status st = tree_read(path, &f, NULL, NULL, NULL, e);
    if (st) return st;
    s->n_nodes = f.tree.n, s->prompt = (uint32_t)f.n_prompt;
    s->steps = mem_new(f.n_events + 1, sizeof *s->steps);
    if (!s->steps) st = error_set(e, ERR_MEMORY, "no memory for %zu steps", f.n_events);
    for (size_t i = 0; i < f.n_events && !st; i++) {
        const struct saved_event *x = &f.events[i];
        const struct node *n = &f.tree.nodes[x->node];
        if (n->n_tokens > MAX_STEP_TOKENS)
            st = error_set(e, ERR_INPUT, "%s: node %u has %u tokens, at most %d are allowed", path, x->node, n->n_tokens,
                           MAX_STEP_TOKENS);
        else if (x->kind == EVENT_MADE && n->n_tokens) {
            s->steps[s->n_steps++] = (struct traced){x->node, n->parent, n->n_tokens};
            s->n_tokens += n->n_tokens;
        } else if (x->kind == EVENT_PRUNED) s->steps[s->n_steps++] = (struct traced){.node = x->node};
    }
    if (!st && !s->n_tokens) st = error_set(e, ERR_INPUT, "%s: no step was made in this search", path);
    tree_close(&f);
    return st;
}

/* ---- doing it again ---- */

struct replay {
    const struct script *script;
    struct model *model;
    struct team *team;
    struct engine *engine;
    struct client *client;
    uint32_t *seqs; /* [n_nodes] branch of each node; 0: none */
    uint32_t *left; /* [n_steps] tokens that a step of the batch still needs */
    struct span *spans;
    int32_t *tokens; /* [n_random] */
    uint32_t n_random;
    float *logits; /* [most steps of a batch, n_out] */
    uint32_t most, passes;
};

/* The end of the batch that begins at step i. */
static uint32_t batch_end(const struct script *s, uint32_t i) {
    uint32_t j = i + 1;
    for (; j < s->n_steps && s->steps[j].n_tokens; j++)
        for (uint32_t k = i; k < j; k++)
            if (s->steps[k].node == s->steps[j].parent) return j;
    return j;
}

static void release(struct replay *r) {
    for (uint32_t i = 0; i < r->script->n_nodes; i++)
        if (r->seqs[i]) engine_drop(r->client, &r->seqs[i]);
}

static enum status grow(struct replay *r, uint32_t first, uint32_t end, struct error *e) {
    const struct traced *steps = r->script->steps;
    enum status s = OK;
    uint32_t n_out = engine_n_out(r->engine), longest = 0;
    for (uint32_t i = first; i < end; i++) {
        uint32_t parent = r->seqs[steps[i].parent];
        if (!parent || r->seqs[steps[i].node])
            return error_set(e, ERR_INPUT, "the trace grows node %u from %u, which is not there", steps[i].node,
                             steps[i].parent);
        r->seqs[steps[i].node] = engine_fork(r->client, parent);
        longest = steps[i].n_tokens > longest ? steps[i].n_tokens : longest;
    }
    for (uint32_t t = 0; !s && t < longest; t++) {
        size_t n = 0;
        for (uint32_t i = first; i < end; i++)
            if (t < steps[i].n_tokens) {
                r->spans[n] = (struct span){r->seqs[steps[i].node], 1, 1, &r->tokens[(i + t) % r->n_random],
                                            r->logits + n * n_out};
                n++;
            }
        s = engine_run(r->client, r->spans, n, NULL, e);
        r->passes++;
    }
    return s;
}

static enum status replay(struct replay *r, double *seconds, struct error *e) {
    const struct script *s = r->script;
    r->passes = 0;
    r->seqs[0] = engine_seq_new(r->client);
    struct span prompt = {.seq = r->seqs[0], .n_tokens = s->prompt, .tokens = r->tokens};
    enum status st = engine_run(r->client, &prompt, 1, NULL, e);
    uint64_t start = clock_ns();
    for (uint32_t i = 0, end; !st && i < s->n_steps; i = end) {
        end = i + 1;
        if (!s->steps[i].n_tokens) {
            if (r->seqs[s->steps[i].node]) engine_drop(r->client, &r->seqs[s->steps[i].node]);
        } else {
            end = batch_end(s, i);
            st = grow(r, i, end, e);
        }
    }
    *seconds = (double)(clock_ns() - start) / 1e9;
    release(r);
    return st;
}

static uint32_t pages_of(uint32_t n_tokens) { return n_tokens / KV_PAGE + 2; }

/* Room for every node at once: an upper bound that only the pages in use pay for. */
static enum status open_replay(struct replay *r, const struct options *o, const struct script *s, struct error *e) {
    uint64_t pages = pages_of(s->prompt);
    uint32_t longest = s->prompt;
    for (uint32_t i = 0; i < s->n_steps; i++) {
        pages += pages_of(s->steps[i].n_tokens);
        if (s->steps[i].n_tokens) {
            uint32_t end = batch_end(s, i);
            r->most = end - i > r->most ? end - i : r->most;
        }
    }
    enum status st = session_open_model(o->session.model, "policy", &r->model, e);
    if (!st) st = team_new(bench_threads(&o->common), &r->team, e);
    if (st) return st;
    r->seqs = mem_new(s->n_nodes, sizeof *r->seqs);
    uint32_t *length = mem_new(s->n_nodes, sizeof *length); /* of each node's branch */
    for (uint32_t i = 0; r->seqs && length && i < s->n_steps; i++) {
        const struct traced *x = &s->steps[i];
        if (!x->n_tokens) continue;
        length[x->node] = (x->parent ? length[x->parent] : s->prompt) + x->n_tokens;
        longest = length[x->node] > longest ? length[x->node] : longest;
    }
    bool good = length != NULL;
    mem_free(length);
    struct engine_params p = {.n_pages = (uint32_t)pages,
                              .n_seqs = s->n_nodes + 1,
                              .max_tokens = longest + 1,
                              .max_rows = (uint32_t)o->ubatch};
    if (p.max_rows < r->most) p.max_rows = r->most;
    r->n_random = longest + 1;
    r->spans = mem_new(r->most, sizeof *r->spans);
    r->tokens = mem_new(r->n_random, sizeof *r->tokens);
    r->logits = mem_new((size_t)r->most * r->model->head.rows, sizeof *r->logits);
    if (!good || !r->seqs || !r->spans || !r->tokens || !r->logits)
        return error_set(e, ERR_MEMORY, "no memory for %u steps", s->n_steps);
    for (uint32_t i = 0; i < r->n_random; i++) r->tokens[i] = (int32_t)rng_below(1, i, r->model->config.n_vocab);
    if (longest > r->model->config.n_ctx)
        return error_set(e, ERR_INPUT, "branches of %u tokens; the model was trained for %u", longest,
                         r->model->config.n_ctx);
    st = engine_new(r->model, r->team, &p, &r->engine, e);
    return st ? st : engine_client_new(r->engine, NULL, &r->client, e);
}

static void close_replay(struct replay *r) {
    if (r->client) engine_client_free(&r->client);
    engine_free(&r->engine);
    team_free(&r->team);
    if (r->model) model_close(&r->model);
    mem_free(r->seqs);
    mem_free(r->spans);
    mem_free(r->tokens);
    mem_free(r->logits);
}

static void print_row(struct bench_out *out, struct replay *r, const char *trace, const struct samples *rates) {
    const struct script *s = r->script;
    struct kv_stats kv = engine_kv_stats(r->engine);
    json_int_t rounds = out->options->rounds;
    json_t *row = json_object();
    json_object_set_new(row, "bench", json_string("replay"));
    json_object_set_new(row, "model", json_string(bench_model_name(gguf_name(r->model->file))));
    json_object_set_new(row, "trace", json_string(bench_model_name(trace)));
    json_object_set_new(row, "prompt", json_integer(s->prompt));
    json_object_set_new(row, "steps", json_integer((json_int_t)kv.forks / rounds));
    json_object_set_new(row, "tokens", json_integer((json_int_t)s->n_tokens));
    json_object_set_new(row, "passes", json_integer(r->passes));
    json_object_set_new(row, "pages_copied", json_integer((json_int_t)kv.pages_copied / rounds));
    json_object_set_new(row, "peak_kv_bytes", json_integer((json_int_t)engine_kv_bytes_peak(r->engine)));
    bench_metric(row, "tokens_per_second", rates);
    bench_row(out, row);
}

static enum status run(const struct options *o, const char *path, struct error *e) {
    static struct samples rates;
    struct script script = {0};
    struct replay r = {.script = &script};
    struct bench_out out;
    double seconds;
    enum status s = read_tree(path, &script, e);
    if (o->prompt) script.prompt = (uint32_t)o->prompt;
    if (!s) s = open_replay(&r, o, &script, e);
    for (int i = 0; !s && i < o->common.rounds; i++) {
        s = replay(&r, &seconds, e);
        samples_add(&rates, (double)script.n_tokens / seconds);
    }
    if (!s) {
        bench_out_open(&out, &o->common);
        print_row(&out, &r, path, &rates);
        bench_out_close(&out, s == OK);
    }
    close_replay(&r);
    mem_free(script.steps);
    return s;
}

int bench_replay(int argc, char **argv) {
    struct options o = {0};
    struct error e;
    struct args a = {
        .command = "bench replay",
        .usage = "TRACE",
        .flags = flags,
        .options = &o,
        .about = "Does the forks, passes and drops of a search again, without sampling and scoring.  TRACE: what\n"
                 "ponder solve --trace wrote.  The prompt is read before the clock starts.\n"};
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest != 1) return args_wrong(&a, "expected one TRACE, found %d words", a.n_rest);
    return run(&o, a.rest[0], &e) ? args_failed(&a, e.text) : EXIT_GOOD;
}
