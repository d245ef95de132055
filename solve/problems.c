/* problems.c: see problems.h.
 * Not a generator: tasks/gen.h.
 * Next: cli/cmd_eval.c. */
#include "solve/problems.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ds.h"
#include "base/input.h"
#include "base/rng.h"
#include "weights/names.h"

static enum status no_memory(const char *name, struct error *e) {
    return error_set(e, ERR_MEMORY, "%s: no memory for its problems", name);
}

static enum status read_all(FILE *f, const char *name, const struct task *t, uint64_t limit, struct problems *out,
                            struct error *e) {
    char *line = NULL;
    size_t line_cap = 0;
    ssize_t size;
    enum status s = OK;
    for (long number = 1; !s && (!limit || out->n < limit) && (size = getline(&line, &line_cap, f)) > 0; number++) {
        struct problem p;
        struct error why;
        const char *first = line + strspn(line, " \t\r\n");
        if (!*first || *first == '#') continue;
        size = (ssize_t)input_unix_lines(line, (size_t)size);
        if (strlen(line) != (size_t)size) s = error_set(e, ERR_INPUT, "%s: line %ld: holds a NUL byte", name, number);
        else if ((s = t->parse(t, line, number, &p, &why))) error_set(e, s, "%s: %s", name, why.text);
        else {
            p.id_is_line = *first != '{' || !strstr(line, "\"id\"");
            s = out->n < UINT32_MAX / 2 && ds_push(out->items, p) ? OK : no_memory(name, e);
            if (s) problem_free(&p);
            else out->n++;
        }
    }
    if (!s && ferror(f)) s = error_set(e, ERR_IO, "%s: %s", name, strerror(errno));
    free(line);
    return s;
}

/* Results are found again by id: two problems must not share one.  Given ids come first; a line without one whose
 * number is another's id becomes "line 2". */
static enum status take_ids(struct problems *p, bool given, struct names *ids, const char *name, struct error *e) {
    for (uint32_t i = 0; i < p->n; i++) {
        struct problem *x = &p->items[i];
        char number[sizeof x->id];
        if (x->id_is_line == given || names_add(ids, x->id, strlen(x->id), i)) continue;
        memcpy(number, x->id, sizeof number);
        if (x->id_is_line) snprintf(x->id, sizeof x->id, "line %.50s", number);
        if (!x->id_is_line || !names_add(ids, x->id, strlen(x->id), i))
            return error_set(e, ERR_INPUT, "%s: two problems have the id \"%s\"", name, x->id);
    }
    return ids->failed ? no_memory(name, e) : OK;
}

static enum status check_ids(struct problems *p, const char *name, struct error *e) {
    struct names ids = {0};
    enum status s = take_ids(p, true, &ids, name, e);
    if (!s) s = take_ids(p, false, &ids, name, e);
    names_free(&ids);
    return s;
}

/* Selection sampling (Knuth, TAOCP 2, algorithm S): every subset is equally likely, and the order stays. */
static void keep_sample(struct problems *p, uint64_t sample, uint64_t seed) {
    uint32_t kept = 0, n = p->n;
    for (uint32_t i = 0; i < n; i++) {
        bool keep = kept < sample && rng_below(rng_fold(seed, 0x73616d706c65), i, n - i) < sample - kept;
        if (keep) p->items[kept++] = p->items[i];
        else problem_free(&p->items[i]);
    }
    p->n = kept;
}

static uint64_t hash_text(uint64_t h, const char *text) {
    do h = (h ^ (unsigned char)*text) * 0x100000001b3u; /* FNV-1a, the NUL included */
    while (*text++);
    return h;
}

enum status problems_read(const char *path, const struct task *t, uint64_t limit, uint64_t sample, uint64_t seed,
                          struct problems *out, struct error *e) {
    *out = (struct problems){.hash = 0xcbf29ce484222325u};
    const char *name = input_name(path);
    FILE *f = input_open(path, e);
    if (!f) return ERR_IO;
    enum status s = read_all(f, name, t, limit, out, e);
    input_close(f);
    if (!s && !out->n) s = error_set(e, ERR_INPUT, "%s: holds no problem", name);
    if (!s) s = check_ids(out, name, e);
    if (!s && sample && sample < out->n) keep_sample(out, sample, seed);
    for (uint32_t i = 0; !s && i < out->n; i++) {
        const struct problem *p = &out->items[i];
        out->hash = hash_text(hash_text(out->hash, p->id), p->text);
        if (*p->reference) out->hash = hash_text(out->hash, p->reference);
    }
    out->n_all = out->n;
    if (s) problems_free(out);
    return s;
}

enum status problems_shard(struct problems *p, const char *text, struct error *e) {
    unsigned k, n, kept = 0;
    char rest;
    if (text[strspn(text, "0123456789/")] || sscanf(text, "%6u/%6u%c", &k, &n, &rest) != 2 || k < 1 || k > n)
        return error_set(e, ERR_INPUT, "--shard: \"%.60s\" is not of the form K/N with K from 1 to N", text);
    for (uint32_t i = 0; i < p->n; i++) {
        if (i % n == k - 1) p->items[kept++] = p->items[i];
        else problem_free(&p->items[i]);
    }
    p->n = kept, p->shard = k, p->n_shards = n;
    return OK;
}

void problems_free(struct problems *p) {
    for (uint32_t i = 0; i < p->n; i++) problem_free(&p->items[i]);
    ds_free(p->items);
    p->n = 0;
}
