/* gguf_impl.h: what the four gguf_*.c files share: the open file and the escaping of untrusted text.
 * Not for other rooms: they include weights/gguf.h.
 * Next: gguf_read.c. */
#ifndef PONDER_GGUF_IMPL_H
#define PONDER_GGUF_IMPL_H

#include "weights/gguf.h"
#include "weights/names.h"

/* Numbers are loaded with memcpy in the file's byte order. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "GGUF is little-endian");
_Static_assert(sizeof(size_t) == 8, "file sizes and u64 counts are kept in size_t");

enum {
    GGUF_MAX_ITEMS = 1 << 20,    /* keys, and tensors: bounds the work on a file that lies about itself */
    GGUF_MAX_KEY = 65535,        /* bytes of a key: the format's own limit */
    GGUF_MAX_TENSOR_NAME = 1024, /* bytes, read leniently */
    GGUF_MAX_WRITTEN_NAME = 63,  /* bytes of a tensor name that llama.cpp still reads */
    GGUF_MIN_ALIGNMENT = 8,
    GGUF_MAX_ALIGNMENT = 65536,
    GGUF_DEFAULT_ALIGNMENT = 32,
    GGUF_SHOWN = 80, /* bytes of an untrusted string shown in an error */
};

/*  an array of strings:   data -> | 3 a b c | 0 | 5 h e l l o |
 *                        starts:   0         11  19            32        string i = [starts[i] + 8, starts[i + 1])  */
struct gguf_key {
    struct gguf_string name;
    enum gguf_kind kind;
    enum gguf_kind element; /* of an array */
    size_t n;               /* elements of an array; bytes of a string; otherwise 1 */
    const uint8_t *data;    /* the value, unaligned; a string's first byte; an array's first element */
    size_t *starts;         /* [n + 1], arrays of strings only.  Sizes come from here and not from the mapping, so that
                               a file edited while it is open cannot move a bound. */
};

/* A file that was described in memory and whose tensors lie elsewhere (hf.c): its bytes up to the tensor data, which
 * cover no data, and where each tensor is. */
struct gguf_outside {
    void *head;        /* of mem_new */
    const void **data; /* [n_tensors] of mem_new; NULL: the tensors are in the file */
    void *held;        /* what the tensors are in, given to release at close */
    void (*release)(void *held);
    void (*forget)(void *held, const void *data, size_t size_bytes); /* gguf_forget */
};

struct gguf { /* constant after open */
    char *name;
    const uint8_t *base; /* [size] */
    size_t size;
    bool mapped; /* base is ours to unmap */
    uint32_t version;
    size_t alignment;
    size_t data_at;        /* where the tensor data begins */
    struct gguf_key *keys; /* [n_keys] in file order */
    size_t n_keys;
    struct gguf_tensor *tensors; /* [n_tensors] in file order */
    size_t n_tensors;
    struct names key_names, tensor_names;
    struct gguf **parts; /* [n_parts] the other files of a split model, owned; their tensors are in `tensors` too */
    size_t n_parts;
    struct gguf_outside outside; /* owned; all NULL for a file */
};

/* gguf_open without looking for other parts; and what opens the others of a first part, into g. */
enum status gguf_open_one(const char *path, struct gguf **out, struct error *e);
enum status gguf_join(struct gguf *g, struct error *e);

/* Opens what o describes; takes over all of o, on failure too. */
enum status gguf_open_outside(const struct gguf_outside *o, size_t head_bytes, const char *name, struct gguf **out,
                              struct error *e);

/* What w collected, as such a description: head and data are set (and the caller's to free), held and release not. */
enum status gguf_describe(const struct gguf_writer *w, const char *name, struct gguf_outside *o, size_t *head_bytes,
                          struct error *e);

/* Drops the whole pages of [data, data + size_bytes) when they lie in the mapping at base. */
void gguf_drop_pages(const void *base, size_t size, const void *data, size_t size_bytes);

/* The whole of a regular file, mapped read only; `wanted` ends the error of what is none: "; a GGUF file is wanted". */
enum status gguf_map(const char *path, const char *wanted, const void **out, size_t *size, struct error *e);

/* The key, or NULL. */
const struct gguf_key *gguf_key_find(const struct gguf *g, const char *key);

/* "u32"...; NULL for an unknown kind.  Bytes of one value; 0 for strings, arrays and unknown kinds. */
const char *gguf_kind_name(uint32_t kind);
size_t gguf_kind_size(uint32_t kind);

/* String i of an array of strings; number i of an array of numbers or bools (of a scalar: i = 0) as double, and as text
 * (integers exactly). */
struct gguf_string gguf_key_string(const struct gguf_key *k, size_t i);
double gguf_key_number(const struct gguf_key *k, size_t i);
void gguf_key_show(const struct gguf_key *k, size_t i, char dst[40]);

/* Writes at most `shown` bytes of s, printable and NUL-terminated: well-formed visible UTF-8 stays, any other byte
 * becomes \xNN, what is cut becomes "...".  dst needs 4 * shown + 4 bytes. */
void gguf_escape(struct gguf_string s, size_t shown, char *dst);

/* The name, or its last part if it is so long that it would crowd out the rest of an error line. */
const char *gguf_short_name(const char *name);

#endif
