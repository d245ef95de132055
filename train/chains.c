/* chains.c: see chains.h.
 * Not a judge: what is right was said when the chains were written.
 * Next: trainer.c. */
#include "train/chains.h"

#include <string.h>

#include "base/ds.h"
#include "base/rng.h"
#include "train/label_file.h"
#include "train/policy.h"

enum { MOST_TRIES = 4, STEPS = 64, TEXT = 8192 };

/* One chain of a problem; texts lie in chains.text, each with its NUL. */
struct chain {
    size_t text;
    uint32_t nearest; /* of a right chain: the wrong one of its problem with the least distance */
};

struct group { /* a problem with a right chain */
    size_t prompt;
    uint32_t right, n_right, wrong, n_wrong; /* into chains.right and .wrong */
};

struct chains {
    const struct tok *tok;
    uint64_t key;
    bool revise;
    /* arrays of base/ds.h */
    char *text;
    struct chain *right, *wrong;
    struct group *groups[2]; /* training, validation */
};

/* ---- reading ---- */

static bool add_text(struct chains *c, const char *text, size_t *at) {
    size_t n = strlen(text) + 1;
    if (!ds_room(c->text, n)) return false;
    *at = ds_len(c->text);
    memcpy(ds_add(c->text, n), text, n);
    return true;
}

static uint32_t hash_steps(const char *text, uint64_t hashes[STEPS]) {
    uint32_t n = 0;
    for (; *text && n < STEPS; n++) {
        size_t size = strcspn(text, "\n");
        uint64_t h = 1;
        for (size_t i = 0; i < size; i++) h = rng_fold(h, (unsigned char)text[i]);
        hashes[n] = h;
        text += size + (text[size] == '\n');
    }
    return n;
}

/* Steps to insert, delete or exchange (Levenshtein). */
static uint32_t distance(const char *a, const char *b) {
    uint64_t x[STEPS], y[STEPS];
    uint32_t n = hash_steps(a, x), m = hash_steps(b, y), row[STEPS + 1];
    for (uint32_t j = 0; j <= m; j++) row[j] = j;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t corner = row[0];
        row[0] = i + 1;
        for (uint32_t j = 0; j < m; j++) {
            uint32_t least = corner + (x[i] != y[j]);
            if (row[j] + 1 < least) least = row[j] + 1;
            if (row[j + 1] + 1 < least) least = row[j + 1] + 1;
            corner = row[j + 1], row[j + 1] = least;
        }
    }
    return row[m];
}

static void find_nearest(struct chains *c, const struct group *g) {
    for (uint32_t i = 0; i < g->n_right; i++) {
        struct chain *r = &c->right[g->right + i];
        uint32_t least = UINT32_MAX;
        for (uint32_t k = 0; k < g->n_wrong; k++) {
            uint32_t d = distance(c->text + r->text, c->text + c->wrong[g->wrong + k].text);
            if (d < least) least = d, r->nearest = k;
        }
    }
}

/* A label_fn.  Chains that came to no end are neither right nor wrong: nobody would give an unfinished try up. */
static enum status add_line(void *arg, const struct label_line *line, struct error *e) {
    struct chains *c = arg;
    struct group g = {.right = (uint32_t)ds_len(c->right), .wrong = (uint32_t)ds_len(c->wrong)};
    bool memory = true;
    for (uint32_t i = 0; i < line->n && memory; i++) {
        const struct label_chain *l = &line->chains[i];
        struct example x;
        struct chain new = {.nearest = 0};
        bool right = l->finished && l->n_values && l->values[l->n_values - 1] >= 1;
        if (!l->finished || !example_tokens(c->tok, line->problem.text, l->steps, true, &x)) continue;
        memory = add_text(c, l->steps, &new.text) && (right ? ds_push(c->right, new) : ds_push(c->wrong, new));
        if (right) g.n_right++;
        else g.n_wrong++;
    }
    if (g.n_right && memory) {
        int side = rng_fold(problem_content(&line->problem), 1) % 20 == 0;
        memory = add_text(c, line->problem.text, &g.prompt) && ds_push(c->groups[side], g);
        if (memory && c->revise) find_nearest(c, &g);
    }
    return memory ? OK : error_set(e, ERR_MEMORY, "no memory for the chains");
}

enum status chains_open(const char *path, const struct tok *tok, uint64_t key, bool revise, struct chains **out,
                        struct error *e) {
    struct chains *c = *out = mem_new(1, sizeof *c);
    if (!c) return error_set(e, ERR_MEMORY, "no memory for the chains");
    c->tok = tok, c->key = key, c->revise = revise;
    enum status s = label_file_read(path, add_line, c, e);
    if (!s && (!ds_len(c->groups[0]) || !ds_len(c->groups[1])))
        s = error_set(e, ERR_INPUT, "%s: right chains for %zu problems are too few: some must be left for validation",
                      path, ds_len(c->groups[0]) + ds_len(c->groups[1]));
    if (s) chains_close(out);
    return s;
}

void chains_close(struct chains **cp) {
    struct chains *c = *cp;
    if (!c) return;
    ds_free(c->text), ds_free(c->right), ds_free(c->wrong), ds_free(c->groups[0]), ds_free(c->groups[1]);
    mem_free(c);
    *cp = NULL;
}

struct chains_count chains_counts(const struct chains *c) {
    struct chains_count n = {.problems = 0};
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < ds_len(c->groups[side]); i++)
            n.problems++, n.right += c->groups[side][i].n_right, n.wrong += c->groups[side][i].n_wrong;
    return n;
}

/* ---- examples ---- */

/* Up to n wrong chains, each given up: others at random, the nearest one last.  Their lines; 0 when they do not fit. */
static uint32_t write_tries(const struct chains *c, const struct group *g, const struct chain *right, uint32_t n,
                            uint64_t key, char *text, size_t cap) {
    size_t at = 0;
    uint32_t lines = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t which = i + 1 < n ? rng_below(key, i, g->n_wrong) : right->nearest;
        int size = snprintf(text + at, cap - at, "%s\n%s\n", c->text + c->wrong[g->wrong + which].text, TRY_GIVEN_UP);
        if ((size_t)size >= cap - at) return 0;
        for (const char *b = text + at; *b; b++) lines += *b == '\n';
        at += (size_t)size;
    }
    return lines;
}

/* Of each problem equally often, whatever it has of right chains. */
enum status chains_example(void *arg, uint64_t index, struct example *out, struct error *e) {
    const struct chains *c = arg;
    bool validation = index >= EXAMPLE_VALIDATION;
    uint64_t i = validation ? index - EXAMPLE_VALIDATION : index, key = rng_fold(rng_fold(c->key, validation), i);
    size_t n = ds_len(c->groups[validation]);
    const struct group *g = &c->groups[validation][validation ? i % n : rng_below(key, 0, (uint32_t)n)];
    const struct chain *right = &c->right[g->right + rng_below(key, 1, g->n_right)];
    uint32_t tries = c->revise && g->n_wrong ? rng_below(key, 2, MOST_TRIES + 1) : 0;
    (void)e;
    for (;; tries--) { /* as many as fit; the right chain alone does */
        char text[TEXT];
        uint32_t skip = write_tries(c, g, right, tries, rng_fold(key, 3), text, sizeof text / 2);
        size_t at = skip ? strlen(text) : 0;
        if (tries && !skip) continue;
        snprintf(text + at, sizeof text - at, "%s", c->text + right->text);
        if (!example_tokens(c->tok, c->text + g->prompt, text, true, out)) continue;
        example_targets(c->tok, out, 1 + skip, 0);
        return OK;
    }
}
