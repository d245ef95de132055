/* merge.c: see merge.h.
 * Not the reading and writing: solve/results.c.
 * Next: bench/cmd_compare.c. */
#include "study/merge.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct shards {
    struct results *files; /* [n] the k-th is shard k + 1; header NULL: not read yet */
    void **at;             /* [n] line to take next: an iterator of its lines */
    unsigned n;
};

static enum status read_shard(struct shards *s, const char *path, struct error *e) {
    struct results r;
    unsigned k = 0, n = 0;
    enum status st = results_load(path, &r, e);
    if (st) return st;
    const char *shard = json_string_value(json_object_get(r.header, "shard"));
    if (!shard || sscanf(shard, "%u/%u", &k, &n) != 2 || k < 1 || k > n)
        st = error_set(e, ERR_INPUT, "%s: is no shard (ponder eval --shard K/N)", path);
    else if (n != s->n)
        st = error_set(e, ERR_INPUT, "%s: is shard %u of %u, and %u files were given", path, k, n, s->n);
    else if (s->files[k - 1].header)
        st = error_set(e, ERR_INPUT, "%s, %s: both are shard %u of %u", s->files[k - 1].path, path, k, n);
    if (st) results_close(&r);
    else s->files[k - 1] = r;
    return st;
}

/* Has shard k all of its lines? */
static enum status check_finished(const struct shards *s, unsigned k, size_t problems, struct error *e) {
    const struct results *r = &s->files[k];
    size_t want = problems > k ? (problems - k + s->n - 1) / s->n : 0, have = json_object_size(r->lines);
    if (have == want) return OK;
    return error_set(e, ERR_INPUT,
                     "%s: holds %zu of the %zu problems of its shard; the same ponder eval goes on with it", r->path,
                     have, want);
}

/* Surroundings that differ: a list of what there was. */
static void add_surrounding(json_t *header, const char *name, json_t *value) {
    json_t *here = json_object_get(header, name);
    size_t i;
    json_t *known;
    if (!here || json_equal(here, value)) return;
    json_array_foreach(here, i, known) if (json_equal(known, value)) return;
    if (!json_is_array(here)) {
        here = json_pack("[O]", here);
        json_object_set_new(header, name, here);
    }
    json_array_append(here, value);
}

/* The header of all: *out is new. */
static enum status join_headers(const struct shards *s, json_t **out, struct error *e) {
    enum status st = OK;
    json_t *header = json_copy(s->files[0].header);
    json_object_del(header, "shard");
    for (unsigned k = 1; k < s->n && !st; k++) {
        const char *name;
        json_t *value, *other = json_copy(s->files[k].header);
        json_object_del(other, "shard");
        st = results_same_header(&s->files[k], other, header, e);
        json_object_foreach(other, name, value) if (results_surrounding(name)) add_surrounding(header, name, value);
        json_decref(other);
    }
    if (st) json_decref(header);
    else *out = header;
    return st;
}

/* The problems went round the shards, so the lines come back that way. */
static enum status join_lines(struct shards *s, size_t problems, struct results *out, struct error *e) {
    enum status st = OK;
    json_t *seen = json_object();
    for (unsigned k = 0; k < s->n; k++) s->at[k] = json_object_iter(s->files[k].lines);
    for (size_t i = 0; i < problems && !st; i++) {
        const struct results *r = &s->files[i % s->n];
        void **at = &s->at[i % s->n];
        const char *id = json_object_iter_key(*at);
        if (json_object_get(seen, id)) st = error_set(e, ERR_INPUT, "%s: a second result for \"%s\"", r->path, id);
        else if (json_object_set_new(seen, id, json_true())) st = error_set(e, ERR_MEMORY, "no memory for an id");
        else if (!json_object_get(out->lines, id)) st = results_append(out, json_object_iter_value(*at), e);
        *at = json_object_iter_next(s->files[i % s->n].lines, *at);
    }
    json_decref(seen);
    return st;
}

static enum status merge(struct shards *s, const char *const *paths, const char *path, struct error *e) {
    json_t *header = NULL;
    struct results out;
    enum status st = OK;
    for (unsigned i = 0; i < s->n && !st; i++) st = read_shard(s, paths[i], e);
    if (!st) st = join_headers(s, &header, e);
    if (st) return st;
    size_t problems = (size_t)json_integer_value(json_object_get(header, "problems"));
    for (unsigned k = 0; k < s->n && !st; k++) st = check_finished(s, k, problems, e);
    if (!st && !(st = results_open(path, header, &out, e))) {
        st = join_lines(s, problems, &out, e);
        results_close(&out);
    }
    json_decref(header);
    return st;
}

enum status merge_results(const char *const *paths, int n, const char *out, struct error *e) {
    struct shards s = {mem_new((size_t)n, sizeof *s.files), mem_new((size_t)n, sizeof *s.at), (unsigned)n};
    enum status st = s.files && s.at ? OK : error_set(e, ERR_MEMORY, "no memory for %d files", n);
    for (int i = 0; i < n && s.files; i++) s.files[i].fd = -1;
    if (!st) st = merge(&s, paths, out, e);
    for (int i = 0; i < n && s.files; i++) results_close(&s.files[i]);
    mem_free(s.files), mem_free(s.at);
    return st;
}
