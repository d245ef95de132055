/* gguf_write.c: collects keys and tensors, then writes a GGUF file in one go: the old file stays until the new one is
 * complete on disk.
 * Not an editor of existing files.
 * Next: gguf_print.c. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ds.h"
#include "base/mem.h"
#include "weights/gguf_impl.h"

struct payload {
    const void *data; /* borrowed; NULL: rows made by `make` */
    size_t size_bytes, row_bytes;
    gguf_rows_fn *make;
    void *arg;
};

/*  the file:  header | keys | infos | zeros | payload 0 | zeros | payload 1 | zeros ...  (zeros up to the alignment) */
struct gguf_writer {
    /* arrays of base/ds.h */
    char *keys, *infos;       /* as they stand in the file */
    size_t *key_at, *info_at; /* where each one begins, that is, where its name is */
    struct payload *payloads; /* [n_tensors] */
    size_t n_keys, n_tensors;
    size_t offset;      /* of the next tensor in the data section */
    enum status failed; /* the first failure, kept for gguf_write */
    struct error error;
};

enum status gguf_writer_new(struct gguf_writer **out, struct error *e) {
    *out = mem_new(1, sizeof **out);
    return *out ? OK : error_set(e, ERR_MEMORY, "no memory for a GGUF writer");
}

void gguf_writer_free(struct gguf_writer **w) {
    struct gguf_writer *x = *w;
    *w = NULL;
    if (!x) return;
    ds_free(x->keys), ds_free(x->infos);
    ds_free(x->key_at), ds_free(x->info_at);
    ds_free(x->payloads);
    mem_free(x);
}

/* Appends n bytes; false, with *b as it was, when memory is out. */
static bool append(char **b, const void *data, size_t n) {
    if (!ds_room(*b, n)) return false;
    if (n) memcpy(ds_add(*b, n), data, n);
    return true;
}

static bool append_u32(char **b, uint32_t v) { return append(b, &v, sizeof v); }
static bool append_u64(char **b, uint64_t v) { return append(b, &v, sizeof v); }
static bool append_string(char **b, const char *s) {
    size_t n = strlen(s);
    return append_u64(b, n) && append(b, s, n);
}

/* Remembers the first failure. */
static void refuse(struct gguf_writer *w, const char *item, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void refuse(struct gguf_writer *w, const char *item, const char *name, const char *format, ...) {
    char what[200], shown[4 * GGUF_SHOWN + 4];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    gguf_escape((struct gguf_string){name, strlen(name)}, GGUF_SHOWN, shown);
    if (w->failed == OK) w->failed = error_set(&w->error, ERR_INPUT, "%s \"%s\": %s", item, shown, what);
}

static void done(struct gguf_writer *w, const char *name, bool appended) {
    if (!appended && w->failed == OK) w->failed = error_set(&w->error, ERR_MEMORY, "no memory to add \"%.80s\"", name);
}

/* Tensors are laid out as they are added, so their alignment must not change behind their back. */
static const char alignment_key[] = "general.alignment";

static bool begin_key(struct gguf_writer *w, const char *key, enum gguf_kind kind) {
    size_t n = strlen(key), at = ds_len(w->keys);
    if (n == 0 || n > GGUF_MAX_KEY) refuse(w, "key", key, "%zu bytes long; allowed are 1 to %d", n, GGUF_MAX_KEY);
    if (kind != GGUF_U32 && strcmp(key, alignment_key) == 0) refuse(w, "key", key, "has another type than u32");
    if (w->failed) return false;
    w->n_keys++;
    return ds_push(w->key_at, at) && append_string(&w->keys, key) && append_u32(&w->keys, kind);
}

static bool begin_array(struct gguf_writer *w, const char *key, enum gguf_kind element, size_t n) {
    return begin_key(w, key, GGUF_ARRAY) && append_u32(&w->keys, element) && append_u64(&w->keys, n);
}

void gguf_add_u32(struct gguf_writer *w, const char *key, uint32_t v) {
    if (strcmp(key, alignment_key) == 0 && v != GGUF_DEFAULT_ALIGNMENT)
        refuse(w, "key", key, "is %" PRIu32 "; this writer aligns to %d", v, GGUF_DEFAULT_ALIGNMENT);
    done(w, key, begin_key(w, key, GGUF_U32) && append_u32(&w->keys, v));
}

void gguf_add_f32(struct gguf_writer *w, const char *key, float v) {
    done(w, key, begin_key(w, key, GGUF_F32) && append(&w->keys, &v, sizeof v));
}

void gguf_add_bool(struct gguf_writer *w, const char *key, bool v) {
    uint8_t byte = v;
    done(w, key, begin_key(w, key, GGUF_BOOL) && append(&w->keys, &byte, 1));
}

void gguf_add_string(struct gguf_writer *w, const char *key, const char *v) {
    done(w, key, begin_key(w, key, GGUF_STRING) && append_string(&w->keys, v));
}

void gguf_add_strings(struct gguf_writer *w, const char *key, const char *const *v, size_t n) {
    bool good = begin_array(w, key, GGUF_STRING, n);
    for (size_t i = 0; good && i < n; i++) good = append_string(&w->keys, v[i]);
    done(w, key, good);
}

void gguf_add_i32s(struct gguf_writer *w, const char *key, const int32_t *v, size_t n) {
    done(w, key, begin_array(w, key, GGUF_I32, n) && append(&w->keys, v, n * sizeof *v));
}

void gguf_add_bools(struct gguf_writer *w, const char *key, const bool *v, size_t n) {
    _Static_assert(sizeof *v == 1, "a bool is the format's byte");
    done(w, key, begin_array(w, key, GGUF_BOOL, n) && append(&w->keys, v, n));
}

void gguf_add_f32s(struct gguf_writer *w, const char *key, const float *v, size_t n) {
    done(w, key, begin_array(w, key, GGUF_F32, n) && append(&w->keys, v, n * sizeof *v));
}

static bool copy_key(struct gguf_writer *w, const struct gguf_key *k) {
    size_t at = ds_len(w->keys), n_bytes = k->n;
    bool good = ds_push(w->key_at, at) && append_u64(&w->keys, k->name.size) &&
                append(&w->keys, k->name.data, k->name.size) && append_u32(&w->keys, k->kind);
    if (k->kind == GGUF_ARRAY) {
        good = good && append_u32(&w->keys, k->element) && append_u64(&w->keys, k->n);
        n_bytes = k->element == GGUF_STRING ? (k->n ? k->starts[k->n] : 0) : k->n * gguf_kind_size(k->element);
    } else if (k->kind == GGUF_STRING) {
        good = good && append_u64(&w->keys, k->n);
    } else {
        n_bytes = gguf_kind_size(k->kind);
    }
    w->n_keys++;
    return good && append(&w->keys, k->data, n_bytes);
}

void gguf_add_keys(struct gguf_writer *w, const struct gguf *from, const char *const *except) {
    for (size_t i = 0; i < from->n_keys && !w->failed; i++) {
        const struct gguf_string name = from->keys[i].name;
        const char *const *x = except;
        while (*x && (strlen(*x) != name.size || memcmp(*x, name.data, name.size) != 0)) x++;
        if (!*x) done(w, "a key of another file", copy_key(w, &from->keys[i]));
    }
}

/* Bytes of the tensor, or 0 after refusing it. */
static size_t check_tensor(struct gguf_writer *w, const char *name, enum tensor_type type, uint32_t n_dims,
                           const uint64_t *dims) {
    size_t n = strlen(name), size = 0, padded;
    if (n == 0 || n > GGUF_MAX_WRITTEN_NAME)
        refuse(w, "tensor", name, "name of %zu bytes; allowed are 1 to %d", n, GGUF_MAX_WRITTEN_NAME);
    else if (!type_info(type)) refuse(w, "tensor", name, "unknown type %d", (int)type);
    else if (n_dims < 1 || n_dims > 4) refuse(w, "tensor", name, "n_dims is %" PRIu32 "; allowed are 1 to 4", n_dims);
    else if ((size = type_row_bytes(type, dims[0])) == 0)
        refuse(w, "tensor", name, "dims[0] is %" PRIu64 "; %s needs a positive multiple of %" PRIu32, dims[0],
               type_info(type)->name, type_info(type)->block_weights);
    for (uint32_t i = 1; size && i < n_dims; i++)
        if (!mul_size(size, dims[i], &size) || size == 0) {
            refuse(w, "tensor", name, "dims[%" PRIu32 "] is %" PRIu64 "; allowed is what fits 64 bits and is not 0", i,
                   dims[i]);
            return 0;
        }
    if (!add_size(size, GGUF_DEFAULT_ALIGNMENT - 1, &padded) || !add_size(w->offset, padded, &padded)) {
        refuse(w, "tensor", name, "the sum of all sizes overflows");
        return 0;
    }
    return size;
}

static void add_payload(struct gguf_writer *w, const char *name, enum tensor_type type, uint32_t n_dims,
                        const uint64_t *dims, struct payload p) {
    size_t at = ds_len(w->infos);
    p.size_bytes = check_tensor(w, name, type, n_dims, dims);
    if (w->failed) return;
    p.row_bytes = type_row_bytes(type, dims[0]);
    bool good = ds_push(w->info_at, at) && ds_push(w->payloads, p) && append_string(&w->infos, name) &&
                append_u32(&w->infos, n_dims) && append(&w->infos, dims, n_dims * sizeof *dims) &&
                append_u32(&w->infos, (uint32_t)type) && append_u64(&w->infos, w->offset);
    w->n_tensors++;
    w->offset += (p.size_bytes + GGUF_DEFAULT_ALIGNMENT - 1) / GGUF_DEFAULT_ALIGNMENT * GGUF_DEFAULT_ALIGNMENT;
    done(w, name, good);
}

void gguf_add_tensor(struct gguf_writer *w, const char *name, enum tensor_type type, uint32_t n_dims,
                     const uint64_t *dims, const void *data) {
    assert(data);
    add_payload(w, name, type, n_dims, dims, (struct payload){.data = data});
}

void gguf_add_rows(struct gguf_writer *w, const char *name, enum tensor_type type, uint32_t n_dims,
                   const uint64_t *dims, gguf_rows_fn *make, void *arg) {
    assert(make);
    add_payload(w, name, type, n_dims, dims, (struct payload){.make = make, .arg = arg});
}

/* All names at the places `at` in `records` must differ. */
static enum status check_unique(const char *path, const char *item, const char *records, const size_t *places,
                                struct error *e) {
    const size_t n = ds_len(places);
    struct names names = {0};
    enum status s = OK;
    for (size_t i = 0; i < n && s == OK; i++) {
        const char *record = records + places[i];
        char shown[4 * GGUF_SHOWN + 4];
        uint64_t size;
        memcpy(&size, record, sizeof size);
        struct gguf_string name = {record + sizeof size, size};
        if (names_add(&names, name.data, name.size, 0)) continue;
        gguf_escape(name, GGUF_SHOWN, shown);
        s = error_set(e, ERR_INPUT, "%s: %s \"%s\": added twice", gguf_short_name(path), item, shown);
    }
    if (!s && names.failed) s = error_set(e, ERR_MEMORY, "%s: no memory to write it", gguf_short_name(path));
    names_free(&names);
    return s;
}

static bool write_fully(int fd, const void *data, size_t n) {
    const uint8_t *p = data;
    while (n) {
        ssize_t k = write(fd, p, n < (1u << 30) ? n : 1u << 30);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            if (k == 0) errno = EIO;
            return false;
        }
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static bool write_padding(int fd, size_t n) {
    static const uint8_t zeros[GGUF_DEFAULT_ALIGNMENT];
    return write_fully(fd, zeros, (GGUF_DEFAULT_ALIGNMENT - n % GGUF_DEFAULT_ALIGNMENT) % GGUF_DEFAULT_ALIGNMENT);
}

/* As many rows at a time as fit a buffer of moderate size. */
static bool write_rows(int fd, const struct payload *p) {
    enum { BUFFER_BYTES = 1 << 20 };
    uint64_t n_rows = p->size_bytes / p->row_bytes, most = BUFFER_BYTES / p->row_bytes + 1;
    void *rows = mem_new(most, p->row_bytes);
    bool good = rows != NULL;
    if (!good) errno = ENOMEM;
    for (uint64_t row = 0, n; good && row < n_rows; row += n) {
        n = n_rows - row < most ? n_rows - row : most;
        p->make(p->arg, row, n, rows);
        good = write_fully(fd, rows, n * p->row_bytes);
    }
    mem_free(rows);
    return good;
}

struct header {
    char magic[4];
    uint32_t version;
    uint64_t n_tensors, n_keys;
};
_Static_assert(sizeof(struct header) == 24, "no padding");

static struct header header_of(const struct gguf_writer *w) {
    return (struct header){{'G', 'G', 'U', 'F'}, 3, w->n_tensors, w->n_keys};
}

static bool write_body(const struct gguf_writer *w, int fd) {
    const struct header header = header_of(w);
    bool good = write_fully(fd, &header, sizeof header) && write_fully(fd, w->keys, ds_len(w->keys)) &&
                write_fully(fd, w->infos, ds_len(w->infos)) &&
                write_padding(fd, sizeof header + ds_len(w->keys) + ds_len(w->infos));
    const struct payload *p = w->payloads;
    for (size_t i = 0; good && i < w->n_tensors; i++)
        good = (p[i].data ? write_fully(fd, p[i].data, p[i].size_bytes) : write_rows(fd, &p[i])) &&
               write_padding(fd, p[i].size_bytes);
    return good;
}

/* A new file beside `path`, so that rename stays on one file system; its name goes to temp [size]. */
static int create_beside(const char *path, char *temp, size_t size) {
    int fd = -1;
    for (int i = 0; i < 100; i++) {
        snprintf(temp, size, "%s.%ld-%d.tmp", path, (long)getpid(), i);
        fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) break;
    }
    return fd;
}

/* The rename itself must reach the disk too.  Folders that cannot be opened or synced (some network file systems) are
 * left to their server. */
static bool sync_folder(const char *path, char *temp, size_t size) {
    snprintf(temp, size, "%s", path);
    char *slash = strrchr(temp, '/');
    if (slash) slash[1] = '\0';
    else snprintf(temp, size, ".");
    int fd = open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return true;
    bool good = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
    int kept = errno;
    close(fd);
    errno = kept;
    return good;
}

static enum status write_file(const struct gguf_writer *w, const char *path, struct error *e) {
    struct stat st;
    size_t size = strlen(path) + 64;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) /* rename would replace a device or fail late on a folder */
        return error_set(e, ERR_INPUT, "%s: exists and is not a regular file", gguf_short_name(path));
    char *temp = mem_new(size, 1);
    if (!temp) return error_set(e, ERR_MEMORY, "%s: no memory for %zu bytes", gguf_short_name(path), size);
    const char *step = "create";
    int fd = create_beside(path, temp, size);
    bool good = fd >= 0;
    if (good) {
        good = (step = "write", write_body(w, fd)) && (step = "fsync", fsync(fd) == 0);
        int kept = errno;
        if (close(fd) && good) good = (step = "close", false);
        else errno = kept;
        if (good) good = (step = "rename", rename(temp, path) == 0);
        kept = errno;
        if (!good) unlink(temp);
        errno = kept;
    }
    if (good) good = (step = "fsync the folder of", sync_folder(path, temp, size));
    enum status s =
        good ? OK : error_set(e, ERR_IO, "%s: cannot %s it: %s", gguf_short_name(path), step, strerror(errno));
    mem_free(temp);
    return s;
}

static enum status check_writer(const struct gguf_writer *w, const char *path, struct error *e) {
    if (w->failed) return error_set(e, w->failed, "%s: %s", gguf_short_name(path), w->error.text);
    enum status s = check_unique(path, "key", w->keys, w->key_at, e);
    if (s == OK) s = check_unique(path, "tensor", w->infos, w->info_at, e);
    return s;
}

enum status gguf_write(struct gguf_writer *w, const char *path, struct error *e) {
    enum status s = check_writer(w, path, e);
    return s == OK ? write_file(w, path, e) : s;
}

/* Through an anonymous file in memory: what writes bodies writes to descriptors. */
enum status gguf_write_memory(struct gguf_writer *w, const char *name, void **data, size_t *size, struct error *e) {
    *data = NULL, *size = 0;
    enum status s = check_writer(w, name, e);
    if (s) return s;
    int fd = memfd_create("gguf", MFD_CLOEXEC);
    struct stat st;
    bool good = fd >= 0 && write_body(w, fd) && fstat(fd, &st) == 0;
    if (good && !(*data = mem_new((size_t)st.st_size, 1))) good = false;
    for (size_t n = 0; good && n < (size_t)st.st_size;) {
        ssize_t k = pread(fd, (char *)*data + n, (size_t)st.st_size - n, (off_t)n);
        if (k <= 0) good = false;
        else n += (size_t)k;
    }
    if (fd >= 0) close(fd);
    if (good) {
        *size = (size_t)st.st_size;
        return OK;
    }
    mem_free(*data);
    *data = NULL;
    return error_set(e, ERR_MEMORY, "no memory for %s", name);
}

enum status gguf_describe(const struct gguf_writer *w, const char *name, struct gguf_outside *o, size_t *head_bytes,
                          struct error *e) {
    const struct header header = header_of(w);
    const struct payload *p = w->payloads;
    *o = (struct gguf_outside){0};
    if (w->failed) return error_set(e, w->failed, "%s: %s", gguf_short_name(name), w->error.text);
    *head_bytes = sizeof header + ds_len(w->keys) + ds_len(w->infos);
    uint8_t *head = o->head = mem_new(*head_bytes, 1);
    o->data = mem_new(w->n_tensors, sizeof *o->data);
    if (!o->head || !o->data) {
        mem_free(o->head);
        mem_free(o->data);
        *o = (struct gguf_outside){0};
        return error_set(e, ERR_MEMORY, "%s: no memory for %zu bytes of its index", gguf_short_name(name), *head_bytes);
    }
    memcpy(head, &header, sizeof header);
    if (ds_len(w->keys)) memcpy(head + sizeof header, w->keys, ds_len(w->keys));
    if (ds_len(w->infos)) memcpy(head + sizeof header + ds_len(w->keys), w->infos, ds_len(w->infos));
    for (size_t i = 0; i < w->n_tensors; i++) o->data[i] = p[i].data;
    return OK;
}
