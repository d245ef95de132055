/* safetensors.h: bounded reader of safetensors files, one or the shards of a folder.  Source: huggingface/safetensors README.
 * Not the meaning of the names: hf.h makes a model of them.
 * Next: safetensors.c.
 *
 *   N u64 | JSON of N bytes: {"name": {"dtype": "BF16", "shape": [4, 8], "data_offsets": [0, 64]}, ...} | tensor data
 *
 * Files are hostile.  Allowed: N up to 100,000,000 and in the file; UTF-8 JSON that begins with '{', no key twice;
 * __metadata__ of strings only; shapes of up to 8 dims whose product fits; data_offsets that fit dtype and shape and cover
 * the data without holes and overlap; shards that are plain file names ending in .safetensors; a tensor in one shard only. */
#ifndef PONDER_SAFETENSORS_H
#define PONDER_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "ops/quant.h"

enum { ST_MAX_DIMS = 8, ST_NO_TYPE = TYPE_COUNT };

struct st_tensor {
    const char *name;           /* as the file writes it */
    const char *dtype;          /* "BF16" */
    uint32_t type;              /* enum tensor_type, or ST_NO_TYPE: a dtype that no tensor type of ours is */
    uint32_t n_dims;            /* 0 to ST_MAX_DIMS */
    uint64_t dims[ST_MAX_DIMS]; /* the last is the row length */
    const void *data;           /* into the mapping, at any address */
    size_t size_bytes;
    const char *file; /* for error texts */
};

struct safetensors;

/* Maps one file; or what a folder holds: model.safetensors, else the shards of model.safetensors.index.json, each of whose
 * tensors must be where it says.  *out is NULL on failure.  As with every mapping, files must not be changed in place. */
enum status safetensors_open(const char *path, struct safetensors **out, struct error *e);
enum status safetensors_open_folder(const char *folder, struct safetensors **out, struct error *e);
void safetensors_close(struct safetensors **s);

/* As gguf_forget, for tensors of these files. */
void safetensors_forget(const struct safetensors *s, const void *data, size_t size_bytes);

/* In the order of shards' names and of the data in them. */
size_t safetensors_count(const struct safetensors *s);
const struct st_tensor *safetensors_at(const struct safetensors *s, size_t i);
const struct st_tensor *safetensors_find(const struct safetensors *s, const char *name); /* NULL when absent; hashed */

#endif
