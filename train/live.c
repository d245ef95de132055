/* live.c: see live.h.
 * Not a file on any disk.
 * Next: grpo.c. */
#include "train/live.h"

#include "base/mem.h"
#include "tokenizer/vocab.h"

/* The net as a model; *image holds its bytes and is freed after it. */
static enum status open_image(const struct net *n, void **image, struct model **model, struct error *e) {
    struct gguf_writer *w;
    struct gguf *file;
    void *store = NULL;
    size_t size;
    *image = NULL, *model = NULL;
    enum status s = gguf_writer_new(&w, e);
    if (s) return s;
    s = net_write(n, "live", TYPE_F32, w, &store, e);
    if (!s) {
        vocab_add_sized(w, n->config.n_vocab);
        s = gguf_write_memory(w, "a model in training", image, &size, e);
    }
    gguf_writer_free(&w);
    mem_free(store);
    if (!s) s = gguf_open_memory(*image, size, "a model in training", &file, e);
    if (!s) s = model_open(file, model, e);
    if (s) mem_free(*image), *image = NULL;
    return s;
}

enum status live_open(const struct net *n, struct team *team, const struct engine_params *p, struct live *out,
                      struct error *e) {
    *out = (struct live){NULL, NULL, NULL};
    enum status s = open_image(n, &out->image, &out->model, e);
    if (!s) s = engine_new(out->model, team, p, &out->engine, e);
    if (s) live_close(out);
    return s;
}

enum status live_update(struct live *l, const struct net *n, struct error *e) {
    struct live fresh = {.engine = l->engine};
    enum status s = open_image(n, &fresh.image, &fresh.model, e);
    if (!s) s = engine_reload(l->engine, fresh.model, e);
    struct live *old = s ? &fresh : l; /* what goes */
    if (old->model) model_close(&old->model);
    mem_free(old->image);
    if (!s) *l = fresh;
    return s;
}

void live_close(struct live *l) {
    engine_free(&l->engine);
    if (l->model) model_close(&l->model);
    mem_free(l->image);
    l->image = NULL;
}
