/* split.c: models cut into several files, NAME-00001-of-0000N.gguf: opening the first opens all.
 * Not the format of one file: gguf_read.c.
 * Next: gguf_get.c; the keys split.* are of llama.cpp's gguf-split. */
#include <string.h>

#include "base/mem.h"
#include "weights/gguf_impl.h"

enum { MAX_PARTS = 999, SUFFIX = sizeof "-00001-of-00002.gguf" - 1 };

/* The file name of part i (from 0) of n, from that of another part; NULL when memory is out or `path` is not named so. */
static char *part_path(const char *path, unsigned i, unsigned n) {
    size_t size = strlen(path);
    unsigned no, count;
    int end = 0;
    if (size < SUFFIX || sscanf(path + size - SUFFIX, "-%5u-of-%5u.gguf%n", &no, &count, &end) != 2 || end != SUFFIX ||
        count != n)
        return NULL;
    char *name = mem_string(path);
    if (name) snprintf(name + size - SUFFIX, SUFFIX + 1, "-%05u-of-%05u.gguf", i + 1, n);
    return name;
}

/* Part i: its own keys must say so. */
static enum status open_part(const struct gguf *first, unsigned i, unsigned n, struct gguf **out, struct error *e) {
    char *path = part_path(first->name, i, n);
    if (!path)
        return error_set(e, ERR_INPUT, "%s: the first of %u parts must be named NAME-00001-of-%05u.gguf",
                         gguf_short_name(first->name), n, n);
    uint64_t no, count;
    enum status s = gguf_open_one(path, out, e);
    if (!s) s = gguf_get_u64(*out, "split.count", n, n, &count, e);
    if (!s) s = gguf_get_u64(*out, "split.no", i, i, &no, e);
    mem_free(path);
    return s;
}

/* One list and one index of the tensors of all parts. */
static enum status merge(struct gguf *g, size_t total, struct error *e) {
    struct names names = {0};
    struct gguf_tensor *all = mem_new(total, sizeof *all);
    enum status s = all ? OK : ERR_MEMORY;
    size_t n = 0;
    for (size_t i = 0; i <= g->n_parts && !s; i++) {
        const struct gguf *part = i ? g->parts[i - 1] : g;
        for (size_t k = 0; k < part->n_tensors && !s; k++, n++) {
            all[n] = part->tensors[k];
            if (names_add(&names, all[n].name.data, all[n].name.size, (uint32_t)n)) continue;
            char shown[4 * GGUF_SHOWN + 4];
            gguf_escape(all[n].name, GGUF_SHOWN, shown);
            s = error_set(e, ERR_INPUT, "%s: tensor \"%s\" is in two parts", gguf_short_name(part->name), shown);
        }
    }
    if (s == ERR_MEMORY || (!s && names.failed))
        s = error_set(e, ERR_MEMORY, "%s: no memory for %zu tensors", gguf_short_name(g->name), total);
    if (s) {
        names_free(&names);
        mem_free(all);
        return s;
    }
    names_free(&g->tensor_names);
    mem_free(g->tensors);
    g->tensors = all, g->n_tensors = n, g->tensor_names = names;
    return OK;
}

enum status gguf_join(struct gguf *g, struct error *e) {
    uint64_t count, no, wanted;
    enum status s = gguf_get_u64_or(g, "split.count", 0, MAX_PARTS, 1, &count, e);
    if (s || count <= 1) return s;
    if ((s = gguf_get_u64(g, "split.no", 0, count - 1, &no, e))) return s;
    if (no > 0) {
        return error_set(e, ERR_INPUT, "%s: this is part %llu of %llu; open the first, NAME-00001-of-%05llu.gguf",
                         gguf_short_name(g->name), (unsigned long long)no + 1, (unsigned long long)count,
                         (unsigned long long)count);
    }
    if (!(g->parts = mem_new(count - 1, sizeof *g->parts)))
        return error_set(e, ERR_MEMORY, "%s: no memory for %llu parts", gguf_short_name(g->name),
                         (unsigned long long)count);
    size_t total = g->n_tensors;
    for (unsigned i = 1; i < count; i++) {
        s = open_part(g, i, (unsigned)count, &g->parts[g->n_parts], e);
        if (g->parts[g->n_parts]) total += g->parts[g->n_parts++]->n_tensors;
        if (s) return s;
    }
    if (total > GGUF_MAX_ITEMS)
        return error_set(e, ERR_INPUT, "%s: %zu tensors in all parts, allowed are %d", gguf_short_name(g->name), total,
                         GGUF_MAX_ITEMS);
    if ((s = gguf_get_u64_or(g, "split.tensors.count", total, total, total, &wanted, e))) return s;
    return merge(g, total, e);
}
