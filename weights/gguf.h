/* gguf.h: bounded reader (v2, v3, memory-mapped) and writer (v3) of GGUF files.  Source: ggml docs/gguf.md.
 * Not the meaning of the keys: model/config.c and tokenizer/ know those.
 * Next: model/model.h, which binds tensors by name.
 *
 *   magic "GGUF" | version u32 | n_tensors u64 | n_kv u64 | kv pairs | tensor infos | padding | tensor data
 *
 * Files are hostile: each count, length, offset and product is checked against the bytes that are left; an error
 * names the file, the field, the value found and what is allowed.
 *
 * Allowed: at most 2^20 keys and 2^20 tensors, names not empty and used once; a key up to 65535 bytes, a tensor's name
 * up to 1024 (written: up to 63, which is what llama.cpp reads); arrays of numbers, bools or strings, not of arrays;
 * general.alignment a u32, a power of two in 8..65536; 1 to 4 dims, none 0; rows a multiple of the type's block;
 * tensors in ascending order of offset, none overlapping another. */
#ifndef PONDER_GGUF_H
#define PONDER_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "ops/quant.h"

enum gguf_kind { /* GGUF's own value type ids */
    GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL, GGUF_STRING, GGUF_ARRAY,
    GGUF_U64, GGUF_I64, GGUF_F64,
};

/* Borrowed from the mapping: not NUL-terminated. */
struct gguf_string {
    const char *data;
    size_t size;
};

struct gguf_tensor {
    struct gguf_string name;
    enum tensor_type type;
    uint32_t n_dims;
    uint64_t dims[4];  /* dims[0] is the row length (columns); absent ones are 1 */
    const void *data;  /* into the mapping; aligned as general.alignment says, as far as the mapping (a page) or the
                          memory (64) is */
    size_t size_bytes; /* exact */
};

struct gguf;

/* Opens a regular file (memory-mapped, read only), or a file's bytes: 64-byte aligned, alive and unchanged until close
 * (`name`, for error texts, is copied).  *out is NULL on failure.  The index takes memory in proportion to the keys and
 * tensors that are really there, never to a count.
 * A file that is cut short by someone else while it is open gives SIGBUS at the next touch of the lost pages, as with
 * every mapping (the binary ends with the file's name: cli/sigbus.h): replace model files by rename, as gguf_write does,
 * never in place. */
enum status gguf_open(const char *path, struct gguf **out, struct error *e); /* the first part of a split model opens all; a
                                                                                 folder is opened by hf_open of weights/hf.h */
enum status gguf_open_memory(const void *data, size_t size_bytes, const char *name, struct gguf **out, struct error *e);
void gguf_close(struct gguf **g);

const char *gguf_name(const struct gguf *g); /* path or name for error texts; of a very long one the end */
size_t gguf_n_tensors(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i);
const struct gguf_tensor *gguf_find(const struct gguf *g, const char *name); /* NULL when absent; hashed */

/* Metadata.  has: key present.  get_*: convert any integer or float kind that holds the value exactly; ERR_INPUT names
 * file, key, value and the allowed range [lo, hi] when the key is absent or unfit.  *_or: the default when absent, still
 * an error when present and unfit. */
bool gguf_has(const struct gguf *g, const char *key);
enum status gguf_get_u64(const struct gguf *g, const char *key, uint64_t lo, uint64_t hi, uint64_t *out, struct error *e);
enum status gguf_get_u64_or(const struct gguf *g, const char *key, uint64_t lo, uint64_t hi, uint64_t fallback, uint64_t *out, struct error *e);
enum status gguf_get_f64(const struct gguf *g, const char *key, double lo, double hi, double *out, struct error *e);
enum status gguf_get_f64_or(const struct gguf *g, const char *key, double lo, double hi, double fallback, double *out, struct error *e);
enum status gguf_get_bool_or(const struct gguf *g, const char *key, bool fallback, bool *out, struct error *e);
enum status gguf_get_string(const struct gguf *g, const char *key, struct gguf_string *out, struct error *e);

/* Arrays.  n and element kind; then one element at a time (bounds and kind asserted).  Strings are found in O(1): an
 * index is built at open.  gguf_array_f64 reads bools as 0 and 1, and rounds integers beyond 2^53. */
enum status gguf_get_array(const struct gguf *g, const char *key, enum gguf_kind *kind, size_t *n, struct error *e);
struct gguf_string gguf_array_string(const struct gguf *g, const char *key, size_t i);
double gguf_array_f64(const struct gguf *g, const char *key, size_t i);

/* Tells the system that these bytes of a mapped file are not needed for now; they come back when they are touched.  Nothing
 * for a file in memory, which stays: gguf_memory_bytes, else 0. */
void gguf_forget(const struct gguf *g, const void *data, size_t size_bytes);
size_t gguf_memory_bytes(const struct gguf *g);

/* Prints every key with its value (arrays: kind, count and first elements) and, if asked, every tensor. */
void gguf_print(const struct gguf *g, bool tensors, FILE *to);
/* The same as one JSON object: name, version, bytes, keys, tensors.  Arrays are {"kind","n","first"}. */
void gguf_print_json(const struct gguf *g, FILE *to);
/* Bytes before the tensors: keys, vocabulary, names. */
size_t gguf_header_bytes(const struct gguf *g);

/* The way out.  Collect, then write: temporary file beside `path`, fsync, rename, fsync of the folder; on failure the
 * old file is as it was and the temporary one is gone.  Strings are copied, tensor data is borrowed until gguf_write.
 * A failed add is remembered and reported by gguf_write.  The same calls give the same bytes; alignment is 32.
 * A symbolic link at `path` is replaced, not followed. */
struct gguf_writer;
enum status gguf_writer_new(struct gguf_writer **out, struct error *e);
void gguf_writer_free(struct gguf_writer **w);
void gguf_add_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_add_f32(struct gguf_writer *w, const char *key, float v);
void gguf_add_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_add_string(struct gguf_writer *w, const char *key, const char *v);
void gguf_add_strings(struct gguf_writer *w, const char *key, const char *const *v, size_t n);
void gguf_add_i32s(struct gguf_writer *w, const char *key, const int32_t *v, size_t n);
void gguf_add_bools(struct gguf_writer *w, const char *key, const bool *v, size_t n);
void gguf_add_f32s(struct gguf_writer *w, const char *key, const float *v, size_t n);
/* All keys of a file as they are, but those named in `except` (ends in NULL). */
void gguf_add_keys(struct gguf_writer *w, const struct gguf *from, const char *const *except);
void gguf_add_tensor(struct gguf_writer *w, const char *name, enum tensor_type type, uint32_t n_dims, const uint64_t *dims, const void *data);
/* The same for weights that never are in memory as a whole: gguf_write asks for rows [row, row + n) of dims[0] weights,
 * in ascending order, each once. */
typedef void gguf_rows_fn(void *arg, uint64_t row, uint64_t n, void *dst);
void gguf_add_rows(struct gguf_writer *w, const char *name, enum tensor_type type, uint32_t n_dims, const uint64_t *dims,
                   gguf_rows_fn *make, void *arg);
enum status gguf_write(struct gguf_writer *w, const char *path, struct error *e);
/* The same bytes into memory: *data [*size] for mem_free, to be opened with gguf_open_memory.  name: for error texts. */
enum status gguf_write_memory(struct gguf_writer *w, const char *name, void **data, size_t *size, struct error *e);

#endif
