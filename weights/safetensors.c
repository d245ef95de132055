/* safetensors.c: one file: its header checked against its bytes; a folder: its shards, checked against their index.
 * Not the JSON grammar: jansson, which bounds nesting.
 * Next: hf.c. */
#include "weights/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "weights/gguf_impl.h"
#include "weights/hf_json.h"

enum { MAX_HEADER = 100000000, MAX_SHARDS = 1000, LENGTH_BYTES = 8 };

static const char wanted[] = "; a safetensors file is wanted";

struct st_file {
    char *path;
    const void *base; /* [size] our mapping */
    size_t size;
    json_t *header; /* holds the names */
};

struct safetensors {       /* constant after open */
    struct st_file *files; /* [n_files] */
    size_t n_files;
    struct st_tensor *tensors; /* [n] */
    size_t n;
    struct names names;
};

static const struct {
    const char *name;
    uint32_t bits, type;
} dtypes[] = {
    {"F32", 32, TYPE_F32},          {"F16", 16, TYPE_F16},          {"BF16", 16, TYPE_BF16},
    {"BOOL", 8, ST_NO_TYPE},        {"U8", 8, ST_NO_TYPE},          {"I8", 8, ST_NO_TYPE},
    {"F8_E4M3", 8, ST_NO_TYPE},     {"F8_E5M2", 8, ST_NO_TYPE},     {"F8_E8M0", 8, ST_NO_TYPE},
    {"F8_E4M3FNUZ", 8, ST_NO_TYPE}, {"F8_E5M2FNUZ", 8, ST_NO_TYPE}, {"F4", 4, ST_NO_TYPE},
    {"F6_E2M3", 6, ST_NO_TYPE},     {"F6_E3M2", 6, ST_NO_TYPE},     {"I16", 16, ST_NO_TYPE},
    {"U16", 16, ST_NO_TYPE},        {"I32", 32, ST_NO_TYPE},        {"U32", 32, ST_NO_TYPE},
    {"I64", 64, ST_NO_TYPE},        {"U64", 64, ST_NO_TYPE},        {"F64", 64, ST_NO_TYPE},
    {"C64", 64, ST_NO_TYPE},
};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

#define FAIL(file, ...) st_fail((file)->path, NULL, e, __VA_ARGS__)
#define FAIL_TENSOR(file, name, ...) st_fail((file)->path, name, e, __VA_ARGS__)

static enum status st_fail(const char *path, const char *tensor, struct error *e, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static enum status st_fail(const char *path, const char *tensor, struct error *e, const char *format, ...) {
    char what[240], shown[4 * GGUF_SHOWN + 4];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    path = gguf_short_name(path);
    if (!tensor) return error_set(e, ERR_INPUT, "%s: %s", path, what);
    gguf_escape((struct gguf_string){tensor, strlen(tensor)}, GGUF_SHOWN, shown);
    return error_set(e, ERR_INPUT, "%s: tensor \"%s\": %s", path, shown, what);
}

/* ---- one tensor ---- */

static enum status read_dtype(const struct st_file *f, const char *name, const json_t *info, struct st_tensor *t,
                              uint32_t *bits, struct error *e) {
    const char *dtype = json_string_value(json_object_get(info, "dtype"));
    for (size_t i = 0; dtype && i < N_DTYPES; i++)
        if (!strcmp(dtype, dtypes[i].name)) {
            t->dtype = dtypes[i].name, t->type = dtypes[i].type, *bits = dtypes[i].bits;
            return OK;
        }
    return FAIL_TENSOR(f, name, "dtype %s%.40s%s; allowed are those of the format, as F32, F16, BF16",
                       dtype ? "\"" : "", dtype ? dtype : "is missing or no string", dtype ? "\"" : "");
}

static enum status read_shape(const struct st_file *f, const char *name, const json_t *info, struct st_tensor *t,
                              size_t *n_weights, struct error *e) {
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape)) return FAIL_TENSOR(f, name, "shape is missing or no array");
    if (json_array_size(shape) > ST_MAX_DIMS)
        return FAIL_TENSOR(f, name, "shape of %zu dims; allowed are up to %d", json_array_size(shape), ST_MAX_DIMS);
    t->n_dims = (uint32_t)json_array_size(shape);
    *n_weights = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        const json_t *v = json_array_get(shape, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return FAIL_TENSOR(f, name, "shape[%" PRIu32 "] is not an integer of 0 or above", i);
        t->dims[i] = (uint64_t)json_integer_value(v);
    }
    for (uint32_t i = 0; i < t->n_dims; i++)
        if (!mul_size(*n_weights, t->dims[i], n_weights))
            return FAIL_TENSOR(f, name, "the product of its shape overflows at dim %" PRIu32, i);
    return OK;
}

/* data: the bytes behind the header. */
static enum status read_tensor(const struct st_file *f, const char *name, const json_t *info, const uint8_t *data,
                               size_t data_size, struct st_tensor *t, struct error *e) {
    uint32_t bits = 0;
    size_t n = 0, n_bits;
    *t = (struct st_tensor){.name = name, .file = f->path};
    if (!json_is_object(info)) return FAIL_TENSOR(f, name, "is described by no object");
    enum status s = read_dtype(f, name, info, t, &bits, e);
    if (s || (s = read_shape(f, name, info, t, &n, e))) return s;
    const json_t *offsets = json_object_get(info, "data_offsets"), *begin = json_array_get(offsets, 0),
                 *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return FAIL_TENSOR(f, name, "data_offsets are not two integers [begin, end] with 0 <= begin <= end");
    size_t from = (size_t)json_integer_value(begin), to = (size_t)json_integer_value(end);
    if (to > data_size)
        return FAIL_TENSOR(f, name, "data_offsets [%zu, %zu]: %zu bytes follow the header (file cut short?)", from, to,
                           data_size);
    if (!mul_size(n, bits, &n_bits) || n_bits % 8)
        return FAIL_TENSOR(f, name, "%zu weights of %s are no whole number of bytes that fits", n, t->dtype);
    if (n_bits / 8 != to - from)
        return FAIL_TENSOR(f, name, "data_offsets [%zu, %zu] hold %zu bytes; its dtype %s and shape need %zu", from, to,
                           to - from, t->dtype, n_bits / 8);
    t->data = data + from;
    t->size_bytes = to - from;
    return OK;
}

/* ---- one file ---- */

static int by_place(const void *a, const void *b) {
    const struct st_tensor *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return (x->size_bytes > y->size_bytes) - (x->size_bytes < y->size_bytes);
}

/* From first to last byte: each tensor begins where the one before ends. */
static enum status check_places(const struct st_file *f, const struct st_tensor *t, size_t n, const uint8_t *data,
                                size_t size, struct error *e) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t from = (size_t)((const uint8_t *)t[i].data - data);
        if (from != at)
            return FAIL_TENSOR(f, t[i].name, "its data begins at %zu, the tensor before ends at %zu; %s is allowed",
                               from, at, from < at ? "no overlap" : "no hole");
        at += t[i].size_bytes;
    }
    return at == size ? OK : FAIL(f, "the tensors' data ends at %zu, the file has %zu bytes of data", at, size);
}

static enum status check_metadata(const struct st_file *f, json_t *metadata, struct error *e) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) return FAIL(f, "__metadata__ is no object");
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value)) return FAIL_TENSOR(f, "__metadata__", "\"%.80s\" is no string", key);
    }
    return OK;
}

/* Appends the tensors of a file whose header is parsed. */
static enum status add_tensors(struct safetensors *s, struct st_file *f, const uint8_t *data, size_t size,
                               struct error *e) {
    size_t first = s->n, n = json_object_size(f->header);
    if (first + n > GGUF_MAX_ITEMS) return FAIL(f, "%zu tensors; allowed are %d", first + n, GGUF_MAX_ITEMS);
    struct st_tensor *all = mem_grow(s->tensors, first, first + n, sizeof *all);
    if (!all) return error_set(e, ERR_MEMORY, "%s: no memory for %zu tensors", gguf_short_name(f->path), n);
    s->tensors = all;
    const char *name;
    json_t *info;
    json_object_foreach(f->header, name, info) {
        bool is_metadata = !strcmp(name, "__metadata__");
        enum status st =
            is_metadata ? check_metadata(f, info, e) : read_tensor(f, name, info, data, size, &all[s->n], e);
        if (st) return st;
        s->n += !is_metadata;
    }
    if (s->n > first) qsort(all + first, s->n - first, sizeof *all, by_place);
    return check_places(f, all + first, s->n - first, data, size, e);
}

static enum status add_file(struct safetensors *s, const char *path, struct error *e) {
    struct st_file *f = &s->files[s->n_files];
    uint64_t n;
    if (!(f->path = mem_string(path)))
        return error_set(e, ERR_MEMORY, "%s: no memory to open it", gguf_short_name(path));
    s->n_files++;
    enum status st = gguf_map(path, wanted, &f->base, &f->size, e);
    if (st) return st;
    if (f->size < LENGTH_BYTES) return FAIL(f, "%zu bytes; a safetensors file has at least %d", f->size, LENGTH_BYTES);
    memcpy(&n, f->base, sizeof n);
    if (n > MAX_HEADER) return FAIL(f, "header of %" PRIu64 " bytes; allowed are up to %d", n, MAX_HEADER);
    if (n > f->size - LENGTH_BYTES)
        return FAIL(f, "header of %" PRIu64 " bytes; %zu bytes are left in the file", n, f->size - LENGTH_BYTES);
    const char *text = (const char *)f->base + LENGTH_BYTES;
    if (n == 0 || text[0] != '{') return FAIL(f, "the header does not begin with '{'");
    if ((st = hf_json_parse(text, n, JSON_REJECT_DUPLICATES, path, &f->header, e))) return st;
    return add_tensors(s, f, (const uint8_t *)text + n, f->size - LENGTH_BYTES - n, e);
}

static enum status index_names(struct safetensors *s, struct error *e) {
    for (size_t i = 0; i < s->n; i++) {
        const struct st_tensor *t = &s->tensors[i];
        if (!names_add(&s->names, t->name, strlen(t->name), (uint32_t)i))
            return st_fail(t->file, t->name, e, "is in another shard too; a tensor may be in one");
    }
    if (s->names.failed) return error_set(e, ERR_MEMORY, "no memory for the names of %zu tensors", s->n);
    return OK;
}

static enum status open_all(char *const *paths, size_t n, struct safetensors **out, struct error *e) {
    struct safetensors *s = mem_new(1, sizeof *s);
    enum status st = OK;
    if (s) s->files = mem_new(n, sizeof *s->files);
    if (!s || !s->files) st = error_set(e, ERR_MEMORY, "no memory to open %zu files", n);
    for (size_t i = 0; i < n && !st; i++) st = add_file(s, paths[i], e);
    if (!st) st = index_names(s, e);
    *out = s;
    if (st) safetensors_close(out);
    return st;
}

enum status safetensors_open(const char *path, struct safetensors **out, struct error *e) {
    return open_all((char *const[]){(char *)path}, 1, out, e);
}

/* ---- a folder ---- */

/* A name that could leave the folder is refused, whatever it points to. */
static bool is_shard_name(const char *name) {
    size_t n = name ? strlen(name) : 0, end = sizeof ".safetensors" - 1;
    return n > end && n < 256 && name[0] != '.' && !strchr(name, '/') && !strchr(name, '\\') && !strstr(name, "..") &&
           !strcmp(name + n - end, ".safetensors");
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The distinct shards of the map, in order, as paths.  *list: [*n], NULL on failure; free_list frees it. */
static void free_list(char **list, size_t n) {
    for (size_t i = 0; i < n; i++) mem_free(list[i]);
    mem_free(list);
}

static enum status list_shards(const char *folder, const char *index, json_t *map, char ***list, size_t *n,
                               struct error *e) {
    const char *tensor;
    json_t *value, *seen = json_object();
    enum status s = seen ? OK : error_set(e, ERR_MEMORY, "%s: no memory for its shards", gguf_short_name(index));
    *list = mem_new(MAX_SHARDS, sizeof **list);
    *n = 0;
    if (!s && !*list) s = error_set(e, ERR_MEMORY, "%s: no memory for its shards", gguf_short_name(index));
    json_object_foreach(map, tensor, value) {
        const char *name = json_string_value(value);
        if (s) break;
        if (!is_shard_name(name)) {
            s = st_fail(index, tensor, e, "shard \"%.100s\"; allowed are names NAME.safetensors of files beside it",
                        name ? name : "(no string)");
        } else if (!json_object_get(seen, name)) {
            if (*n == MAX_SHARDS) s = st_fail(index, NULL, e, "more than %d shards", MAX_SHARDS);
            else if (json_object_set_new(seen, name, json_true()) || !((*list)[*n] = hf_path(folder, name)))
                s = error_set(e, ERR_MEMORY, "%s: no memory for its shards", gguf_short_name(index));
            else ++*n;
        }
    }
    json_decref(seen);
    if (!s && *n == 0) s = st_fail(index, NULL, e, "weight_map names no shard");
    if (!s) qsort(*list, *n, sizeof **list, by_text);
    return s;
}

/* Each tensor of the map must be in the shard that it names. */
static enum status check_map(const struct safetensors *s, const char *index, json_t *map, struct error *e) {
    const char *name;
    json_t *value;
    json_object_foreach(map, name, value) {
        const struct st_tensor *t = safetensors_find(s, name);
        const char *shard = json_string_value(value), *slash = t ? strrchr(t->file, '/') : NULL;
        if (!t || strcmp(slash ? slash + 1 : t->file, shard))
            return st_fail(index, name, e, "should be in %.100s, where it is not", shard);
    }
    return OK;
}

static enum status open_index(const char *folder, const char *path, struct safetensors **out, struct error *e) {
    json_t *index = NULL, *map;
    char **list = NULL;
    size_t n = 0;
    enum status s = hf_json_read(path, JSON_REJECT_DUPLICATES, &index, e);
    if (s) return s;
    map = json_object_get(index, "weight_map");
    if (!json_is_object(map)) s = st_fail(path, NULL, e, "weight_map is missing or no object");
    if (!s) s = list_shards(folder, path, map, &list, &n, e);
    if (!s) s = open_all(list, n, out, e);
    if (!s && (s = check_map(*out, path, map, e))) safetensors_close(out);
    if (list) free_list(list, n);
    json_decref(index);
    return s;
}

enum status safetensors_open_folder(const char *folder, struct safetensors **out, struct error *e) {
    char *single = hf_path(folder, "model.safetensors"), *index = hf_path(folder, "model.safetensors.index.json");
    enum status s;
    *out = NULL;
    if (!single || !index) s = error_set(e, ERR_MEMORY, "%s: no memory to open it", gguf_short_name(folder));
    else if (!access(single, F_OK)) s = safetensors_open(single, out, e);
    else if (!access(index, F_OK)) s = open_index(folder, index, out, e);
    else
        s = error_set(e, ERR_INPUT, "%s: holds neither model.safetensors nor model.safetensors.index.json",
                      gguf_short_name(folder));
    mem_free(single);
    mem_free(index);
    return s;
}

void safetensors_forget(const struct safetensors *s, const void *data, size_t size_bytes) {
    for (size_t i = 0; i < s->n_files; i++) gguf_drop_pages(s->files[i].base, s->files[i].size, data, size_bytes);
}

void safetensors_close(struct safetensors **sp) {
    struct safetensors *s = *sp;
    *sp = NULL;
    if (!s) return;
    for (size_t i = 0; i < s->n_files; i++) {
        json_decref(s->files[i].header);
        if (s->files[i].base) munmap((void *)s->files[i].base, s->files[i].size);
        mem_free(s->files[i].path);
    }
    names_free(&s->names);
    mem_free(s->files);
    mem_free(s->tensors);
    mem_free(s);
}

size_t safetensors_count(const struct safetensors *s) { return s->n; }
const struct st_tensor *safetensors_at(const struct safetensors *s, size_t i) { return &s->tensors[i]; }

const struct st_tensor *safetensors_find(const struct safetensors *s, const char *name) {
    size_t i = names_find(&s->names, name, strlen(name));
    return i == SIZE_MAX ? NULL : &s->tensors[i];
}
