/* gguf_read.c: opens a GGUF file: walks it once, checks everything, builds the indexes.
 * Not the getters: gguf_get.c.
 * Next: gguf_get.c. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "weights/gguf_impl.h"
#include "weights/hf.h"

/* Where we are in the bytes, and what we are reading, for the error line. */
struct cursor {
    struct gguf *g;
    size_t at;
    struct error *e;
    const char *item; /* "key", "tensor" or NULL */
    size_t index;
    struct gguf_string item_name;
};

static enum status fail(const struct cursor *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum status fail(const struct cursor *c, const char *format, ...) {
    char what[320], where[4 * GGUF_SHOWN + 64] = "", shown[4 * GGUF_SHOWN + 4];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    gguf_escape(c->item_name, GGUF_SHOWN, shown);
    if (c->item_name.size) snprintf(where, sizeof where, "%s \"%s\": ", c->item, shown);
    else if (c->item) snprintf(where, sizeof where, "%s %zu: ", c->item, c->index);
    return error_set(c->e, ERR_INPUT, "%s: %s%s", gguf_short_name(c->g->name), where, what);
}

static enum status no_memory(const struct cursor *c, size_t size_bytes) {
    return error_set(c->e, ERR_MEMORY, "%s: no memory for %zu bytes of its index", gguf_short_name(c->g->name),
                     size_bytes);
}

static size_t bytes_left(const struct cursor *c) { return c->g->size - c->at; }

/* n elements of `size` bytes at the cursor: borrowed into *out, cursor moved behind them. */
static enum status take(struct cursor *c, const char *field, size_t n, size_t size, const uint8_t **out) {
    size_t bytes;
    *out = NULL;
    if (!mul_size(n, size, &bytes) || bytes > bytes_left(c))
        return fail(c, "%s at byte %zu: needs %zu x %zu bytes, %zu are left in the file", field, c->at, n, size,
                    bytes_left(c));
    *out = c->g->base + c->at;
    c->at += bytes;
    return OK;
}

static enum status take_u32(struct cursor *c, const char *field, uint32_t *out) {
    const uint8_t *p;
    enum status s = take(c, field, 1, sizeof *out, &p);
    if (s == OK) memcpy(out, p, sizeof *out);
    return s;
}

static enum status take_u64(struct cursor *c, const char *field, uint64_t *out) {
    const uint8_t *p;
    enum status s = take(c, field, 1, sizeof *out, &p);
    if (s == OK) memcpy(out, p, sizeof *out);
    return s;
}

static enum status take_string(struct cursor *c, const char *field, struct gguf_string *out) {
    uint64_t n;
    const uint8_t *p;
    enum status s = take_u64(c, field, &n);
    if (s == OK) s = take(c, field, n, 1, &p);
    if (s == OK) *out = (struct gguf_string){(const char *)p, n};
    return s;
}

static enum status take_name(struct cursor *c, size_t max, struct gguf_string *out) {
    enum status s = take_string(c, "name", out);
    if (s != OK) return s;
    if (out->size == 0) return fail(c, "empty name");
    if (out->size > max) return fail(c, "name of %zu bytes; at most %zu are allowed", out->size, max);
    c->item_name = *out;
    return OK;
}

/* Bytes other than 0 and 1 in a bool are invalid by the format. */
static enum status check_bools(const struct cursor *c, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] > 1) return fail(c, "bool %zu is %d; allowed are 0 and 1", i, p[i]);
    return OK;
}

/* Walks the strings first and allocates after: the index is never larger than the bytes that were really there. */
static enum status take_strings(struct cursor *c, struct gguf_key *k) {
    size_t first = c->at;
    struct gguf_string text;
    if (k->n > bytes_left(c) / sizeof(uint64_t))
        return fail(c, "array count %zu: needs at least 8 bytes for each string, %zu are left in the file", k->n,
                    bytes_left(c));
    for (size_t i = 0; i < k->n; i++) {
        enum status s = take_string(c, "array string", &text);
        if (s != OK) return s;
    }
    k->starts = mem_new(k->n + 1, sizeof *k->starts);
    if (!k->starts) return no_memory(c, (k->n + 1) * sizeof *k->starts);
    k->data = c->g->base + first;
    c->at = first;
    for (size_t i = 0; i < k->n; i++) {
        enum status s = take_string(c, "array string", &text);
        if (s != OK) return s; /* only if the file is being edited under us */
        k->starts[i + 1] = c->at - first;
    }
    return OK;
}

static enum status take_array(struct cursor *c, struct gguf_key *k) {
    uint32_t kind;
    uint64_t n;
    enum status s = take_u32(c, "array element type", &kind);
    if (s == OK) s = take_u64(c, "array count", &n);
    if (s != OK) return s;
    if (kind == GGUF_ARRAY) return fail(c, "array of arrays; only arrays of numbers and strings are allowed");
    if (!gguf_kind_name(kind)) return fail(c, "array element type %" PRIu32 "; allowed are 0 to %d", kind, GGUF_F64);
    k->element = kind;
    k->n = n;
    if (kind == GGUF_STRING) return take_strings(c, k);
    s = take(c, "array", n, gguf_kind_size(kind), &k->data);
    return s == OK && kind == GGUF_BOOL ? check_bools(c, k->data, n) : s;
}

static enum status take_key(struct cursor *c, struct gguf_key *k) {
    uint32_t kind;
    enum status s = take_name(c, GGUF_MAX_KEY, &k->name);
    if (s == OK) s = take_u32(c, "value type", &kind);
    if (s != OK) return s;
    if (!gguf_kind_name(kind)) return fail(c, "value type %" PRIu32 "; allowed are 0 to %d", kind, GGUF_F64);
    k->kind = kind;
    k->n = 1;
    if (kind == GGUF_ARRAY) return take_array(c, k);
    if (kind == GGUF_STRING) {
        struct gguf_string text;
        s = take_string(c, "value", &text);
        if (s != OK) return s;
        k->data = (const uint8_t *)text.data;
        k->n = text.size;
        return OK;
    }
    s = take(c, "value", 1, gguf_kind_size(kind), &k->data);
    return s == OK && kind == GGUF_BOOL ? check_bools(c, k->data, 1) : s;
}

static enum status unknown_type(const struct cursor *c, uint32_t type) {
    char known[240] = "";
    size_t used = 0;
    for (uint32_t t = 0; t < TYPE_COUNT && used < sizeof known; t++) {
        const struct type_info *info = type_info(t);
        if (info) used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? " " : "", info->name);
    }
    return fail(c, "tensor type %" PRIu32 " is not known here; known are %s", type, known);
}

/* size_bytes from type and dims, every product checked. */
static enum status size_tensor(const struct cursor *c, struct gguf_tensor *t) {
    const struct type_info *info = type_info(t->type);
    size_t n_rows = t->dims[1], n_weights;
    if (!mul_size(n_rows, t->dims[2], &n_rows) || !mul_size(n_rows, t->dims[3], &n_rows) ||
        !mul_size(n_rows, t->dims[0], &n_weights) || n_weights > INT64_MAX)
        return fail(c, "dims %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64 ": the number of weights overflows",
                    t->dims[0], t->dims[1], t->dims[2], t->dims[3]);
    if (t->dims[0] % info->block_weights)
        return fail(c, "dims[0] is %" PRIu64 "; %s needs a multiple of %" PRIu32, t->dims[0], info->name,
                    info->block_weights);
    size_t row_bytes = type_row_bytes(t->type, t->dims[0]);
    if (row_bytes == 0 || !mul_size(row_bytes, n_rows, &t->size_bytes))
        return fail(c, "dims %" PRIu64 " x %zu rows of %s: the size in bytes overflows", t->dims[0], n_rows,
                    info->name);
    return OK;
}

/* Everything but the data pointer: that needs the end of the tensor infos, so the offset is kept for place_tensors. */
static enum status take_tensor(struct cursor *c, struct gguf_tensor *t, size_t *offset) {
    uint32_t type;
    enum status s = take_name(c, GGUF_MAX_TENSOR_NAME, &t->name);
    if (s == OK) s = take_u32(c, "n_dims", &t->n_dims);
    if (s != OK) return s;
    if (t->n_dims < 1 || t->n_dims > 4) return fail(c, "n_dims is %" PRIu32 "; allowed are 1 to 4", t->n_dims);
    for (uint32_t i = 0; i < 4; i++) {
        t->dims[i] = 1;
        if (i < t->n_dims) s = take_u64(c, "dims", &t->dims[i]);
        if (s != OK) return s;
        if (t->dims[i] == 0) return fail(c, "dims[%" PRIu32 "] is 0; at least 1 is allowed", i);
    }
    s = take_u32(c, "type", &type);
    if (s == OK) s = take_u64(c, "offset", offset);
    if (s != OK) return s;
    if (!type_info(type)) return unknown_type(c, type);
    t->type = type;
    return size_tensor(c, t);
}

/* Room for one more of `max` items; grows by doubling, because `max` is only what the file says. */
static enum status grow(const struct cursor *c, void **items, size_t n, size_t max, size_t size) {
    bool full = n == 0 || (n >= 64 && (n & (n - 1)) == 0);
    if (!full) return OK;
    size_t cap = n == 0 ? 64 : 2 * n;
    if (cap > max) cap = max;
    void *p = mem_grow(*items, n, cap, size);
    if (!p) return no_memory(c, cap * size);
    *items = p;
    return OK;
}

static enum status read_keys(struct cursor *c, size_t n) {
    struct gguf *g = c->g;
    c->item = "key";
    for (c->index = 0; c->index < n; c->index++) {
        c->item_name = (struct gguf_string){0};
        void *keys = g->keys;
        enum status s = grow(c, &keys, g->n_keys, n, sizeof *g->keys);
        g->keys = keys;
        if (s != OK) return s;
        s = take_key(c, &g->keys[g->n_keys++]);
        if (s != OK) return s;
    }
    for (size_t i = 0; i < n; i++) {
        c->item_name = g->keys[i].name;
        if (!names_add(&g->key_names, c->item_name.data, c->item_name.size, (uint32_t)i))
            return fail(c, "appears twice; a key may appear once");
    }
    return g->key_names.failed ? no_memory(c, n * 32) : OK;
}

/* *offsets: [n], for place_tensors; the caller frees it, also on failure. */
static enum status read_tensors(struct cursor *c, size_t n, size_t **offsets) {
    struct gguf *g = c->g;
    c->item = "tensor";
    for (c->index = 0; c->index < n; c->index++) {
        c->item_name = (struct gguf_string){0};
        void *tensors = g->tensors, *places = *offsets;
        enum status s = grow(c, &tensors, g->n_tensors, n, sizeof *g->tensors);
        g->tensors = tensors;
        if (s == OK) s = grow(c, &places, g->n_tensors, n, sizeof **offsets);
        *offsets = places;
        if (s != OK) return s;
        s = take_tensor(c, &g->tensors[g->n_tensors], &(*offsets)[g->n_tensors]);
        if (s != OK) return s;
        g->n_tensors++;
    }
    for (size_t i = 0; i < n; i++) {
        c->item_name = g->tensors[i].name;
        if (!names_add(&g->tensor_names, c->item_name.data, c->item_name.size, (uint32_t)i))
            return fail(c, "appears twice; a tensor may appear once");
    }
    return g->tensor_names.failed ? no_memory(c, n * 32) : OK;
}

/* Every writer lays tensors out in the order of their infos, so ascending offsets are asked for: one comparison with
 * the end of the tensor before excludes every overlap. */
static enum status place_tensors(struct cursor *c, const size_t *offsets) {
    struct gguf *g = c->g;
    size_t section = g->size > g->data_at ? g->size - g->data_at : 0, end = 0;
    for (size_t i = 0; i < g->n_tensors; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        size_t offset = offsets[i];
        c->item_name = t->name;
        if (g->outside.data) { /* whoever described them knows where they are */
            t->data = g->outside.data[i];
            continue;
        }
        if (offset % g->alignment)
            return fail(c, "offset %zu is not a multiple of the alignment %zu", offset, g->alignment);
        if (offset < end) return fail(c, "offset %zu overlaps the tensor before, which ends at %zu", offset, end);
        if (offset > section || t->size_bytes > section - offset)
            return fail(c, "offset %zu + %zu bytes: the data section has %zu bytes (file cut short?)", offset,
                        t->size_bytes, section);
        t->data = g->base + g->data_at + offset;
        end = offset + t->size_bytes;
    }
    return OK;
}

static enum status read_alignment(struct cursor *c) {
    const struct gguf_key *k = gguf_key_find(c->g, "general.alignment");
    uint32_t v = GGUF_DEFAULT_ALIGNMENT;
    if (k) {
        c->item = "key";
        c->item_name = k->name;
        if (k->kind != GGUF_U32) return fail(c, "has type %s; allowed is u32", gguf_kind_name(k->kind));
        memcpy(&v, k->data, sizeof v);
        if (v < GGUF_MIN_ALIGNMENT || v > GGUF_MAX_ALIGNMENT || (v & (v - 1)))
            return fail(c, "is %" PRIu32 "; allowed are powers of two from %d to %d", v, GGUF_MIN_ALIGNMENT,
                        GGUF_MAX_ALIGNMENT);
    }
    c->g->alignment = v;
    return OK;
}

static enum status read_header(struct cursor *c, uint64_t *n_tensors, uint64_t *n_keys) {
    static const size_t min_key = 8 + 1 + 4 + 1, min_tensor = 8 + 1 + 4 + 8 + 4 + 8;
    const uint8_t *magic;
    enum status s = take(c, "magic", 4, 1, &magic);
    if (s != OK) return s;
    if (memcmp(magic, "FUGG", 4) == 0)
        return fail(c, "magic is \"FUGG\": a big-endian GGUF file; only little-endian ones are read");
    if (memcmp(magic, "GGUF", 4) != 0) {
        char shown[4 * 4 + 4];
        gguf_escape((struct gguf_string){(const char *)magic, 4}, 4, shown);
        return fail(c, "magic is \"%s\"; a GGUF file begins with \"GGUF\"", shown);
    }
    s = take_u32(c, "version", &c->g->version);
    if (s != OK) return s;
    uint32_t v = c->g->version;
    if (v != 0 && (v & 0xffff) == 0)
        return fail(c, "version is 0x%08" PRIx32 ": a big-endian file; only little-endian ones are read", v);
    if (v != 2 && v != 3) return fail(c, "version is %" PRIu32 "; allowed are 2 and 3", v);
    s = take_u64(c, "n_tensors", n_tensors);
    if (s == OK) s = take_u64(c, "n_kv", n_keys);
    if (s != OK) return s;
    size_t left = bytes_left(c);
    if (*n_tensors > left / min_tensor || *n_tensors > GGUF_MAX_ITEMS)
        return fail(c, "n_tensors is %" PRIu64 "; allowed are at most %d, and %zu bytes are left", *n_tensors,
                    GGUF_MAX_ITEMS, left);
    if (*n_keys > left / min_key || *n_keys > GGUF_MAX_ITEMS)
        return fail(c, "n_kv is %" PRIu64 "; allowed are at most %d, and %zu bytes are left", *n_keys, GGUF_MAX_ITEMS,
                    left);
    return OK;
}

static enum status read_all(struct gguf *g, struct error *e) {
    struct cursor c = {.g = g, .e = e};
    uint64_t n_tensors = 0, n_keys = 0;
    size_t *offsets = NULL;
    enum status s = read_header(&c, &n_tensors, &n_keys);
    if (s == OK) s = read_keys(&c, n_keys);
    if (s == OK) s = read_alignment(&c);
    if (s == OK) s = read_tensors(&c, n_tensors, &offsets);
    if (s == OK) {
        g->data_at = (c.at + g->alignment - 1) & ~(g->alignment - 1);
        s = place_tensors(&c, offsets);
    }
    mem_free(offsets);
    return s;
}

static void free_outside(const struct gguf_outside *o) {
    mem_free(o->head);
    mem_free(o->data);
    if (o->release) o->release(o->held);
}

/* Takes over the mapping, or what is `outside` (else NULL): whatever fails, it is undone here. */
static enum status open_bytes(const void *data, size_t size, bool mapped, const char *name,
                              const struct gguf_outside *outside, struct gguf **out, struct error *e) {
    enum status s = ERR_MEMORY;
    struct gguf *g = mem_new(1, sizeof *g);
    if (g) {
        g->base = data;
        g->size = size;
        g->mapped = mapped;
        g->name = mem_string(name);
        if (outside) g->outside = *outside;
    } else if (mapped) {
        munmap((void *)data, size);
    } else if (outside) {
        free_outside(outside);
    }
    if (!g || !g->name) error_set(e, s, "%s: no memory to open it", gguf_short_name(name));
    else s = read_all(g, e);
    if (s != OK) gguf_close(&g);
    *out = g;
    return s;
}

enum status gguf_open_memory(const void *data, size_t size_bytes, const char *name, struct gguf **out,
                             struct error *e) {
    assert((uintptr_t)data % 64 == 0);
    return open_bytes(data, size_bytes, false, name, NULL, out, e);
}

static enum status refuse(enum status s, const char *path, const char *why, const char *detail, struct error *e) {
    return error_set(e, s, "%s: %s%s", gguf_short_name(path), why, detail);
}

/* The whole of a regular file, or MAP_FAILED with *s and *e set. */
static void *map_file(int fd, const char *path, const char *wanted, size_t *size, enum status *s, struct error *e) {
    struct stat st = {0};
    *s = OK;
    *size = 0;
    if (fstat(fd, &st)) *s = refuse(ERR_IO, path, "cannot stat: ", strerror(errno), e);
    else if (S_ISDIR(st.st_mode)) *s = refuse(ERR_INPUT, path, "is a directory", wanted, e);
    else if (!S_ISREG(st.st_mode)) *s = refuse(ERR_INPUT, path, "is not a regular file", wanted, e);
    else if (st.st_size == 0) *s = refuse(ERR_INPUT, path, "is empty", wanted, e);
    if (*s != OK) return MAP_FAILED;
    *size = (size_t)st.st_size;
    void *base = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) {
        *s = refuse(ERR_IO, path, "cannot map: ", strerror(errno), e);
    } else if (fstat(fd, &st) || (size_t)st.st_size != *size) {
        munmap(base, *size);
        base = MAP_FAILED;
        *s = refuse(ERR_IO, path, "its size changed while it was opened", "", e);
    }
    return base;
}

enum status gguf_map(const char *path, const char *wanted, const void **out, size_t *size, struct error *e) {
    enum status s;
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: a FIFO must not hang us */
    if (fd < 0) return refuse(ERR_IO, path, "cannot open: ", strerror(errno), e);
    void *base = map_file(fd, path, wanted, size, &s, e);
    close(fd); /* the mapping stays */
    if (base != MAP_FAILED) *out = base;
    return s;
}

enum status gguf_open_one(const char *path, struct gguf **out, struct error *e) {
    const void *base;
    size_t size;
    *out = NULL;
    enum status s = gguf_map(path, "; a GGUF file is wanted", &base, &size, e);
    return s ? s : open_bytes(base, size, true, path, NULL, out, e);
}

enum status gguf_open_outside(const struct gguf_outside *o, size_t head_bytes, const char *name, struct gguf **out,
                              struct error *e) {
    return open_bytes(o->head, head_bytes, false, name, o, out, e);
}

enum status gguf_open(const char *path, struct gguf **out, struct error *e) {
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) return hf_open(path, out, e);
    enum status s = gguf_open_one(path, out, e);
    if (!s && (s = gguf_join(*out, e))) gguf_close(out);
    return s;
}

void gguf_drop_pages(const void *base, size_t size, const void *data, size_t size_bytes) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)data, start = (uintptr_t)base;
    if (at < start || at >= start + size) return;
    const uintptr_t first = (at + page - 1) / page * page, end = (at + size_bytes) / page * page;
    if (first < end) madvise((void *)first, end - first, MADV_DONTNEED);
}

void gguf_forget(const struct gguf *g, const void *data, size_t size_bytes) {
    for (size_t i = 0; i < g->n_parts; i++) gguf_forget(g->parts[i], data, size_bytes);
    if (g->mapped) gguf_drop_pages(g->base, g->size, data, size_bytes);
    if (g->outside.forget) g->outside.forget(g->outside.held, data, size_bytes);
}

size_t gguf_memory_bytes(const struct gguf *g) { return g->mapped || g->outside.data ? 0 : g->size; }

void gguf_close(struct gguf **g) {
    struct gguf *f = *g;
    *g = NULL;
    if (!f) return;
    for (size_t i = 0; i < f->n_parts; i++) gguf_close(&f->parts[i]);
    mem_free(f->parts);
    for (size_t i = 0; i < f->n_keys; i++) mem_free(f->keys[i].starts);
    mem_free(f->keys);
    mem_free(f->tensors);
    names_free(&f->key_names);
    names_free(&f->tensor_names);
    if (f->mapped) munmap((void *)f->base, f->size);
    free_outside(&f->outside);
    mem_free(f->name);
    mem_free(f);
}
