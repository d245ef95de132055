/* hf.c: from a folder to an open file: its JSON, its description, and the description opened by the one bounded reader.
 * Not the parts: hf_config.c, hf_archs.c, hf_tensors.c, hf_tokens.c.
 * Next: hf_config.c.
 *
 * The description is a GGUF file without its data, made in memory by the writer of gguf_write.c; so `ponder convert` and
 * opening the folder itself see the same keys, names and bytes of weights. */
#include "weights/hf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ds.h"
#include "base/mem.h"
#include "weights/hf_impl.h"

static void forget_kept(void *held, const void *data, size_t size_bytes) {
    const struct hf_keep *k = held;
    safetensors_forget(k->st, data, size_bytes);
}

static void drop_keep(void *held) {
    struct hf_keep *k = held;
    if (!k) return;
    safetensors_close(&k->st);
    for (size_t i = 0; i < ds_len(k->own); i++) mem_free(k->own[i]);
    ds_free(k->own);
    mem_free(k);
}

void *hf_alloc(struct hf *h, size_t n, size_t size) {
    struct hf_keep *k = h->keep;
    void *p = mem_new(n, size);
    if (p && !ds_push(k->own, p)) mem_free(p), p = NULL;
    if (!p) error_set(h->e, ERR_MEMORY, "%s: no memory for %zu x %zu bytes", gguf_short_name(h->folder), n, size);
    return p;
}

/* The folder's own name. */
static void add_name(struct hf *h) {
    char *full = realpath(h->folder, NULL);
    const char *slash = full ? strrchr(full, '/') : NULL;
    gguf_add_string(h->w, "general.name", slash && slash[1] ? slash + 1 : "model");
    free(full);
}

static enum status describe(struct hf *h) {
    enum status s = hf_json_read(h->config_name, 0, &h->config, h->e);
    if (!s) s = safetensors_open_folder(h->folder, &h->keep->st, h->e);
    if (!s) s = hf_read_config(h);
    if (!s) s = gguf_writer_new(&h->w, h->e);
    if (s) return s;
    gguf_add_string(h->w, "general.architecture", h->kind->arch);
    gguf_add_string(h->w, "general.type", "model");
    add_name(h);
    if ((s = hf_add_config(h)) || (s = hf_add_tokens(h))) return s;
    return hf_add_tensors(h);
}

static enum status no_config(const char *folder, struct error *e) {
    static const char wanted[] = "a GGUF file or the folder of a safetensors model is wanted";
    struct stat st;
    const char *name = gguf_short_name(folder);
    if (stat(folder, &st)) return error_set(e, ERR_IO, "%s: cannot open: %s", name, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return error_set(e, ERR_INPUT, "%s: is not a directory; a model's folder is wanted", name);
    return error_set(e, ERR_INPUT, "%s: is a directory without config.json; %s", name, wanted);
}

enum status hf_open(const char *folder, struct gguf **out, struct error *e) {
    struct hf h = {.folder = folder, .e = e, .config_name = hf_path(folder, "config.json")};
    struct gguf_outside outside = {0};
    size_t head_bytes = 0;
    enum status s = OK;
    *out = NULL;
    h.keep = mem_new(1, sizeof *h.keep);
    if (!h.keep || !h.config_name) s = error_set(e, ERR_MEMORY, "%s: no memory to open it", gguf_short_name(folder));
    else if (access(h.config_name, F_OK)) s = no_config(folder, e);
    if (!s) s = describe(&h);
    if (!s) s = gguf_describe(h.w, folder, &outside, &head_bytes, e);
    if (!s) {
        outside.held = h.keep, outside.release = drop_keep, outside.forget = forget_kept;
        s = gguf_open_outside(&outside, head_bytes, folder, out, e);
    } else {
        drop_keep(h.keep);
    }
    gguf_writer_free(&h.w);
    json_decref(h.config);
    mem_free(h.config_name);
    return s;
}

/* ---- writing ---- */

struct copying {
    const struct gguf_tensor *t;
    void (*progress)(size_t i, size_t n);
    size_t i, n;
};

static void copy_rows(void *arg, uint64_t row, uint64_t n, void *dst) {
    const struct copying *c = arg;
    const size_t row_bytes = type_row_bytes(c->t->type, c->t->dims[0]);
    if (row == 0 && c->progress) c->progress(c->i, c->n);
    memcpy(dst, (const uint8_t *)c->t->data + row * row_bytes, n * row_bytes);
}

enum status hf_write(const struct gguf *in, const char *path, void (*progress)(size_t i, size_t n), struct error *e) {
    static const char *const dropped[] = {"general.alignment", "split.no", "split.count", "split.tensors.count", NULL};
    const size_t n = gguf_n_tensors(in);
    struct gguf_writer *w = NULL;
    struct copying *all = mem_new(n, sizeof *all);
    enum status s = all ? gguf_writer_new(&w, e) : error_set(e, ERR_MEMORY, "no memory for %zu tensors", n);
    if (!s) gguf_add_keys(w, in, dropped);
    for (size_t i = 0; !s && i < n; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(in, i);
        char name[GGUF_MAX_TENSOR_NAME + 1];
        snprintf(name, sizeof name, "%.*s", (int)t->name.size, t->name.data);
        all[i] = (struct copying){t, progress, i, n};
        gguf_add_rows(w, name, t->type, t->n_dims, t->dims, copy_rows, &all[i]);
    }
    if (!s) s = gguf_write(w, path, e);
    gguf_writer_free(&w);
    mem_free(all);
    return s;
}
