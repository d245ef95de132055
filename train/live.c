/* live.c: see live.h.
 * Not a file on any disk.
 * Next: grpo.c. */
#include "train/live.h"

#include "base/mem.h"
#include "tokenizer/vocab.h"

enum status live_open(const struct net *n, struct team *team, const struct engine_params *p, struct live *out,
                      struct error *e) {
    struct gguf_writer *w;
    struct gguf *file;
    void *store = NULL;
    size_t size;
    *out = (struct live){NULL, NULL, NULL};
    enum status s = gguf_writer_new(&w, e);
    if (s) return s;
    s = net_write(n, "live", TYPE_F32, w, &store, e);
    if (!s) {
        vocab_add_sized(w, n->config.n_vocab);
        s = gguf_write_memory(w, "a model in training", &out->image, &size, e);
    }
    gguf_writer_free(&w);
    mem_free(store);
    if (!s) s = gguf_open_memory(out->image, size, "a model in training", &file, e);
    if (!s) s = model_open(file, &out->model, e);
    if (!s) s = engine_new(out->model, team, p, &out->engine, e);
    if (s) live_close(out);
    return s;
}

void live_close(struct live *l) {
    engine_free(&l->engine);
    if (l->model) model_close(&l->model);
    mem_free(l->image);
    l->image = NULL;
}
