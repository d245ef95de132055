/* reward.c: labels in memory, examples drawn from them, the reward model's file.
 * Not the loop: trainer.c.
 * Next: prm/prm.c. */
#include "train/reward.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "prm/prm.h"
#include "tokenizer/vocab.h"
#include "train/label_file.h"
#include "train/policy.h"

/* A labelled chain: the values lie on the last token of each step. */
struct labelled {
    uint32_t at, n; /* into the token and value arrays */
};

struct group {                    /* the chains of one problem */
    uint32_t first, n, n_spoiled; /* the spoiled ones stand behind the others */
};

struct reward_data {
    const struct tok *tok;
    uint64_t key;
    double spoiled;
    int32_t *tokens;
    float *values; /* < 0: no label on this token */
    struct labelled *chains;
    struct group *groups[2]; /* training, validation */
    size_t n_tokens, cap_tokens, n_chains, cap_chains, n_groups[2], cap_groups[2];
};

/* Room for one more element; false when memory is out. */
static bool room(void **array, size_t n, size_t *cap, size_t more, size_t size) {
    if (n + more <= *cap) return true;
    size_t want = *cap ? *cap * 2 : 1024;
    while (want < n + more) want *= 2;
    void *grown = mem_grow(*array, n, want, size);
    if (!grown) return false;
    *array = grown, *cap = want;
    return true;
}

/* A chain with the values of its steps; from step `spoiled` on they are 0 (-1: none is). */
static enum status add_chain(struct reward_data *d, const struct problem *p, const struct label_chain *c, int spoiled,
                             struct error *e) {
    struct example x;
    size_t value = 0, cap = d->cap_tokens;
    if (!example_tokens(d->tok, p->text, c->steps, c->finished, &x)) return OK; /* too long to train on */
    if (!room((void **)&d->values, d->n_tokens, &cap, EXAMPLE_MAX, sizeof *d->values) ||
        !room((void **)&d->tokens, d->n_tokens, &d->cap_tokens, EXAMPLE_MAX, sizeof *d->tokens) ||
        !room((void **)&d->chains, d->n_chains, &d->cap_chains, 1, sizeof *d->chains))
        return error_set(e, ERR_MEMORY, "no memory for the labels");
    int32_t line_end = tok_find(d->tok, "\n");
    bool in_prompt = true;
    for (uint32_t i = 0; i < x.n; i++) {
        bool ends = x.tokens[i] == line_end || tok_is_end(d->tok, x.tokens[i]);
        float v = -1;
        if (ends && !in_prompt && value < c->n_values) {
            v = spoiled >= 0 && value >= (size_t)spoiled ? 0 : c->values[value];
            value++;
        }
        if (ends) in_prompt = false;
        d->tokens[d->n_tokens + i] = x.tokens[i];
        d->values[d->n_tokens + i] = v;
    }
    if (value == 0) return OK;
    d->chains[d->n_chains++] = (struct labelled){(uint32_t)d->n_tokens, x.n};
    d->n_tokens += x.n;
    return OK;
}

/* The lines of `steps` up to number k with one byte of that line changed into another of its kind; false when that
 * made no step that is surely wrong. */
static bool spoil(const struct problem *p, const char *steps, int k, uint64_t key, char *out, size_t cap) {
    static const char *const kinds[] = {"0123456789", "+-*/", "TF", "&|"};
    size_t start = 0, end;
    for (int i = 0; i < k; i++) start += strcspn(steps + start, "\n") + 1;
    end = start + strcspn(steps + start, "\n");
    if (end == start || end + 2 > cap) return false;
    memcpy(out, steps, end), out[end] = 0;
    size_t at = start + rng_below(key, 0, (uint32_t)(end - start));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *found = out[at] ? strchr(kinds[i], out[at]) : NULL;
        if (!found) continue;
        uint32_t n = (uint32_t)strlen(kinds[i]);
        out[at] = kinds[i][((uint32_t)(found - kinds[i]) + 1 + rng_below(key, 1, n - 1)) % n];
        if (p->task->state(p, out) != STATE_WRONG) return false;
        out[end] = '\n', out[end + 1] = 0;
        return true;
    }
    return false;
}

/* One spoiled chain for each good one, where a few tries find one. */
static enum status add_spoiled(struct reward_data *d, const struct problem *p, const struct label_chain *good,
                               uint64_t key, struct error *e) {
    char text[8192];
    struct label_chain c = *good;
    if (!c.n_values || !p->task->state) return OK;
    for (uint64_t try = 0; try < 16; try++) {
        int at = (int)rng_below(rng_fold(key, try), 2, c.n_values);
        if (at && c.values[at - 1] <= 0) continue;
        if (!spoil(p, c.steps, at, rng_fold(key, try), text, sizeof text)) continue;
        c.steps = text, c.finished = false;
        return add_chain(d, p, &c, at, e);
    }
    return OK;
}

/* A label_fn. */
static enum status add_line(void *arg, const struct label_line *line, struct error *e) {
    struct reward_data *d = arg;
    int side = line->index % 20 == 19;
    if (!line->has_values)
        return error_set(e, ERR_INPUT, "%s: no values of steps, as ponder label writes them", line->where);
    struct group g = {.first = (uint32_t)d->n_chains};
    if (!room((void **)&d->groups[side], d->n_groups[side], &d->cap_groups[side], 1, sizeof *d->groups[side]))
        return error_set(e, ERR_MEMORY, "no memory for the labels");
    enum status s = OK;
    for (uint32_t i = 0; i < line->n && !s; i++) s = add_chain(d, &line->problem, &line->chains[i], -1, e);
    g.n = (uint32_t)d->n_chains - g.first;
    uint64_t key = rng_fold(d->key, problem_hash(&line->problem));
    for (uint32_t i = 0; i < line->n && !s && d->spoiled > 0; i++)
        s = add_spoiled(d, &line->problem, &line->chains[i], rng_fold(key, i), e);
    g.n_spoiled = (uint32_t)d->n_chains - g.first - g.n;
    if (!s && g.n) d->groups[side][d->n_groups[side]++] = g;
    return s;
}

enum status reward_data_open(const char *path, const struct tok *tok, uint64_t key, double spoiled,
                             struct reward_data **out, struct error *e) {
    struct reward_data *d = *out = mem_new(1, sizeof *d);
    if (!d) return error_set(e, ERR_MEMORY, "no memory for the labels");
    d->key = key, d->spoiled = spoiled, d->tok = tok;
    enum status s = label_file_read(path, add_line, d, e);
    if (!s && (!d->n_groups[0] || !d->n_groups[1]))
        s = error_set(e, ERR_INPUT, "%s: fewer than 20 labelled problems", path);
    if (s) reward_data_close(out);
    return s;
}

void reward_data_close(struct reward_data **dp) {
    struct reward_data *d = *dp;
    if (!d) return;
    mem_free(d->tokens), mem_free(d->values), mem_free(d->chains), mem_free(d->groups[0]), mem_free(d->groups[1]);
    mem_free(d);
    *dp = NULL;
}

uint64_t reward_data_chains(const struct reward_data *d) { return d->n_chains; }

/* A problem uniformly, then one of its chains: problems weigh the same however many chains they kept. */
enum status reward_example(void *arg, uint64_t index, struct example *out, struct error *e) {
    const struct reward_data *d = arg;
    (void)e;
    bool validation = index >= EXAMPLE_VALIDATION;
    uint64_t i = validation ? index - EXAMPLE_VALIDATION : index;
    size_t n = d->n_groups[validation];
    const struct group *g = &d->groups[validation][validation ? i % n : rng_below(d->key, 2 * i, (uint32_t)n)];
    bool spoiled = g->n_spoiled && rng_uniform(rng_fold(d->key, 1), i) < d->spoiled;
    const struct labelled *c = &d->chains[spoiled ? g->first + g->n + rng_below(d->key, 2 * i + 1, g->n_spoiled)
                                                  : g->first + rng_below(d->key, 2 * i + 1, g->n)];
    out->n = c->n;
    for (uint32_t j = 0; j < c->n; j++) {
        float v = d->values[c->at + j];
        out->tokens[j] = d->tokens[c->at + j];
        out->targets[j] = 0;
        out->values[j] = v < 0 ? 0 : v;
        out->weights[j] = v >= 0;
    }
    return OK;
}

enum status reward_write(const struct net *n, const struct tok *tok, const char *name, const struct trained *about,
                         const char *path, struct error *e) {
    struct gguf_writer *w;
    void *store = NULL;
    struct prm_info info = {AGG_LAST, tok_find(tok, "\n")};
    enum status s = gguf_writer_new(&w, e);
    if (s) return s;
    s = net_write(n, name, TYPE_F16, w, &store, e);
    if (!s) {
        prm_info_write(&info, w);
        trained_write(about, w);
        vocab_add_sized(w, n->config.n_vocab);
        s = gguf_write(w, path, e);
    }
    gguf_writer_free(&w);
    mem_free(store);
    return s;
}
