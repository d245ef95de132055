/* input.c: see input.h.
 * Not a mapping: a pipe has none.
 * Next: cmd_tokenize.c. */
#include "cli/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const size_t most_bytes = (size_t)1 << 30;

static enum status read_all(FILE *f, const char *name, char **text, size_t *size, struct error *e) {
    size_t cap = 1 << 16, n = 0;
    char *data = mem_new(cap + 1, 1), *more;
    while (data) {
        n += fread(data + n, 1, cap - n, f);
        if (n < cap) break;
        if (cap >= most_bytes) {
            mem_free(data);
            return error_set(e, ERR_INPUT, "%s: longer than %zu bytes", name, most_bytes);
        }
        if (!(more = mem_grow(data, cap + 1, 2 * cap + 1, 1))) break;
        data = more, cap *= 2;
    }
    if (data && n < cap && !ferror(f)) {
        data[n] = 0;
        *text = data, *size = n;
        return OK;
    }
    bool failed = ferror(f);
    mem_free(data);
    if (failed) return error_set(e, ERR_IO, "%s: %s", name, strerror(errno));
    return error_set(e, ERR_MEMORY, "%s: no memory for its text", name);
}

enum status input_read(const char *path, char **text, size_t *size, struct error *e) {
    FILE *f = path ? fopen(path, "rb") : stdin;
    *text = NULL, *size = 0;
    if (!f) return error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    enum status s = read_all(f, path ? path : "standard input", text, size, e);
    if (path) fclose(f);
    return s;
}
