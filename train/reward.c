/* reward.c: label lines in memory, examples drawn from them, the reward model's file.
 * Not the loop: trainer.c.
 * Next: prm/prm.c. */
#include "train/reward.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "prm/prm.h"
#include "tokenizer/vocab.h"
#include "train/policy.h"

/* A labelled chain: the values lie on the last token of each step. */
struct labelled {
    uint32_t at, n; /* into the token and value arrays */
};

struct group { /* the chains of one problem */
    uint32_t first, n;
};

struct reward_data {
    uint64_t key;
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

static enum status add_chain(struct reward_data *d, const struct tok *tok, const struct cd_problem *p, json_t *chain, const char *where, struct error *e) {
    const char *steps = json_string_value(json_object_get(chain, "steps"));
    json_t *values = json_object_get(chain, "values");
    struct example x;
    if (!steps || !json_is_array(values)) return error_set(e, ERR_INPUT, "%s: a chain needs \"steps\" and \"values\"", where);
    bool finished = json_is_true(json_object_get(chain, "finished"));
    size_t n_values = json_array_size(values), value = 0, cap = d->cap_tokens, k;
    json_t *number;
    json_array_foreach(values, k, number) if (!(json_is_number(number) && json_number_value(number) >= 0 && json_number_value(number) <= 1))
        return error_set(e, ERR_INPUT, "%s: value %zu of a chain is no number from 0 to 1", where, k + 1);
    if (!example_tokens(tok, p, steps, finished, &x)) return OK; /* too long to train on */
    if (!room((void **)&d->values, d->n_tokens, &cap, EXAMPLE_MAX, sizeof *d->values) ||
        !room((void **)&d->tokens, d->n_tokens, &d->cap_tokens, EXAMPLE_MAX, sizeof *d->tokens) ||
        !room((void **)&d->chains, d->n_chains, &d->cap_chains, 1, sizeof *d->chains))
        return error_set(e, ERR_MEMORY, "no memory for the labels");
    int32_t line_end = tok_find(tok, "\n");
    bool in_prompt = true;
    for (uint32_t i = 0; i < x.n; i++) {
        bool ends = x.tokens[i] == line_end || tok_is_end(tok, x.tokens[i]);
        float v = -1;
        if (ends && !in_prompt && value < n_values) v = (float)json_number_value(json_array_get(values, value++));
        if (ends) in_prompt = false;
        d->tokens[d->n_tokens + i] = x.tokens[i];
        d->values[d->n_tokens + i] = v;
    }
    if (value == 0) return OK;
    d->chains[d->n_chains++] = (struct labelled){(uint32_t)d->n_tokens, x.n};
    d->n_tokens += x.n;
    return OK;
}

static enum status add_line(struct reward_data *d, const struct tok *tok, const char *line, const char *where, struct error *e) {
    json_error_t je;
    json_t *o = json_loads(line, 0, &je);
    if (!o) return error_set(e, ERR_INPUT, "%s: not JSON: %s", where, je.text);
    struct cd_problem p;
    const char *text = json_string_value(json_object_get(o, "problem"));
    int side = json_integer_value(json_object_get(o, "index")) % 20 == 19;
    struct error why;
    enum status s = text ? cd_parse(text, 24, &p, &why) : error_set(&why, ERR_INPUT, "no \"problem\"");
    if (s) error_set(e, s, "%s: %s", where, why.text);
    if (!s && cd_is_held_out(&p)) s = error_set(e, ERR_INPUT, "%s: \"%s\" is a test problem: it must not be trained on", where, text);
    if (!s && !room((void **)&d->groups[side], d->n_groups[side], &d->cap_groups[side], 1, sizeof *d->groups[side]))
        s = error_set(e, ERR_MEMORY, "no memory for the labels");
    size_t first = d->n_chains, i;
    json_t *chain;
    if (!s) json_array_foreach(json_object_get(o, "chains"), i, chain) if ((s = add_chain(d, tok, &p, chain, where, e))) break;
    if (!s && d->n_chains > first)
        d->groups[side][d->n_groups[side]++] = (struct group){(uint32_t)first, (uint32_t)(d->n_chains - first)};
    json_decref(o);
    return s;
}

enum status reward_data_open(const char *path, const struct tok *tok, uint64_t key, struct reward_data **out, struct error *e) {
    *out = NULL;
    FILE *f = fopen(path, "r");
    if (!f) return error_set(e, ERR_IO, "%s: cannot be opened", path);
    struct reward_data *d = mem_new(1, sizeof *d);
    enum status s = d ? OK : error_set(e, ERR_MEMORY, "no memory for the labels");
    char *line = NULL, where[600];
    size_t cap = 0;
    if (d) d->key = key;
    for (long number = 1; !s && getline(&line, &cap, f) > 0; number++) {
        snprintf(where, sizeof where, "%s:%ld", path, number);
        s = add_line(d, tok, line, where, e);
    }
    if (!s && (!d->n_groups[0] || !d->n_groups[1])) s = error_set(e, ERR_INPUT, "%s: fewer than 20 labelled problems", path);
    free(line);
    fclose(f);
    if (s)
        reward_data_close(&d);
    *out = d;
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
void reward_example(void *arg, uint64_t index, struct example *out) {
    const struct reward_data *d = arg;
    bool validation = index >= EXAMPLE_VALIDATION;
    uint64_t i = validation ? index - EXAMPLE_VALIDATION : index;
    size_t n = d->n_groups[validation];
    const struct group *g = &d->groups[validation][validation ? i % n : rng_below(d->key, 2 * i, (uint32_t)n)];
    const struct labelled *c = &d->chains[g->first + rng_below(d->key, 2 * i + 1, g->n)];
    out->n = c->n;
    for (uint32_t j = 0; j < c->n; j++) {
        float v = d->values[c->at + j];
        out->tokens[j] = d->tokens[c->at + j];
        out->targets[j] = 0;
        out->values[j] = v < 0 ? 0 : v;
        out->weights[j] = v >= 0;
    }
}

enum status reward_write(const struct net *n, const struct tok *tok, const char *name, const char *path, struct error *e) {
    struct gguf_writer *w;
    void *store = NULL;
    struct prm_info info = {AGG_LAST, tok_find(tok, "\n")};
    enum status s = gguf_writer_new(&w, e);
    if (s) return s;
    s = net_write(n, name, TYPE_F16, w, &store, e);
    if (!s) {
        prm_info_write(&info, w);
        vocab_add(w);
        s = gguf_write(w, path, e);
    }
    gguf_writer_free(&w);
    mem_free(store);
    return s;
}
