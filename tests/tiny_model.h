/* tiny_model.h: tiny random models for tests: configs of odd shapes, nets with lively weights, files in a folder of their
 * own that is gone at the end.
 * Not a test itself.
 * Next: naive_net.h, which computes the same models in double. */
#ifndef PONDER_TESTS_TINY_MODEL_H
#define PONDER_TESTS_TINY_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/engine.h"
#include "model/net.h"
#include "prm/prm.h"
#include "tokenizer/tok.h"
#include "tokenizer/vocab.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GOOD(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != OK) fail_msg("%s: %s", #call, e.text);                                                           \
    } while (0)

/* ---- files ---- */

static char tiny_folder[256];

/* NAME in the folder, which is made at the first call.  The text lives until 8 more calls. */
static inline const char *tiny_path(const char *name) {
    static char paths[8][600];
    static unsigned at;
    if (!*tiny_folder) {
        const char *tmp = getenv("TMPDIR");
        snprintf(tiny_folder, sizeof tiny_folder, "%s/ponder-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
        assert_non_null(mkdtemp(tiny_folder));
    }
    char *path = paths[at++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", tiny_folder, name);
    return path;
}

/* A group teardown: removes the folder and the files in it. */
static inline int tiny_cleanup(void **state) {
    (void)state;
    DIR *d = *tiny_folder ? opendir(tiny_folder) : NULL;
    if (!d) return 0;
    for (struct dirent *f; (f = readdir(d));)
        if (f->d_name[0] != '.') unlink(tiny_path(f->d_name));
    closedir(d);
    rmdir(tiny_folder);
    *tiny_folder = 0;
    return 0;
}

/* ---- nets ---- */

static inline struct model_config tiny_config(uint32_t n_layer, uint32_t n_embd, uint32_t n_head, uint32_t n_head_kv,
                                              uint32_t n_ff) {
    return (struct model_config){.arch = "llama",
                                 .n_layer = n_layer,
                                 .n_embd = n_embd,
                                 .n_head = n_head,
                                 .n_head_kv = n_head_kv,
                                 .head_dim = 8,
                                 .n_ff = n_ff,
                                 .n_vocab = 19,
                                 .n_ctx = 256,
                                 .rope_dim = 8,
                                 .rope_base = 10000,
                                 .rms_eps = 1e-5f,
                                 .rope_style = ROPE_NORM};
}

/* About normal (sum of 4 uniforms), variance 1. */
static inline double tiny_gauss(uint64_t key, uint64_t i) {
    double s = -2;
    for (uint64_t k = 0; k < 4; k++) s += rng_uniform(key, 4 * i + k);
    return s * sqrt(3);
}

/* Weights large enough that every part of the network moves the outputs: logits spread over some units. */
static inline struct net *tiny_net(const struct model_config *c, enum net_head head, uint64_t key) {
    struct net *n;
    struct error e;
    GOOD(net_new(c, head, key, &n, &e));
    for (size_t i = 0; i < n->n_tensors; i++) {
        struct net_tensor *t = &n->tensors[i];
        float *w = n->weights + t->offset;
        bool norm = strstr(t->name, "norm.weight") != NULL;
        double sigma = i == 0 ? 0.7 : norm ? 0.3 : 1 / sqrt((double)t->cols);
        for (size_t j = 0; j < t->rows * t->cols; j++) w[j] = (float)(norm + sigma * tiny_gauss(key, t->offset + j));
    }
    return n;
}

/* As a file.  PRM keys when the head is a value; our vocabulary's keys if asked for. */
static inline void tiny_write(const struct net *n, enum tensor_type type, bool with_vocab, const char *path) {
    struct gguf_writer *w;
    struct error e;
    void *store;
    GOOD(gguf_writer_new(&w, &e));
    GOOD(net_write(n, "tiny", type, w, &store, &e));
    struct prm_info info = {AGG_LAST, 3};
    if (n->head == NET_VALUE) prm_info_write(&info, w);
    if (with_vocab) vocab_add(w);
    GOOD(gguf_write(w, path, &e));
    gguf_writer_free(&w);
    mem_free(store);
}

static inline struct model *tiny_open(const char *path) {
    struct gguf *g;
    struct model *m;
    struct error e;
    GOOD(gguf_open(path, &g, &e));
    GOOD(model_open(g, &m, &e));
    return m;
}

/* Our vocabulary of so many tokens, for tok_close. */
static inline struct tok *tiny_tok(uint32_t n_vocab) {
    struct gguf_writer *w;
    struct gguf *g;
    struct tok *tok;
    struct error e;
    GOOD(gguf_writer_new(&w, &e));
    vocab_add_sized(w, n_vocab);
    GOOD(gguf_write(w, tiny_path("vocab.gguf"), &e));
    gguf_writer_free(&w);
    GOOD(gguf_open(tiny_path("vocab.gguf"), &g, &e));
    GOOD(tok_open(g, &tok, &e));
    gguf_close(&g);
    return tok;
}

/* Through a file that is unlinked at once: the mapping keeps it. */
static inline struct model *tiny_model(const struct net *n, enum tensor_type type) {
    const char *path = tiny_path("model.gguf");
    tiny_write(n, type, n->config.n_vocab == VOCAB_SIZE, path);
    struct model *m = tiny_open(path);
    unlink(path);
    return m;
}

/* ---- random tokens and exact comparison ---- */

static inline void tiny_tokens(uint64_t key, uint32_t n_vocab, int32_t *tokens, size_t n) {
    for (size_t i = 0; i < n; i++) tokens[i] = (int32_t)rng_below(key, i, n_vocab);
}

/* Bit for bit; says where and shows both. */
static inline void same_floats(const float *got, const float *want, size_t n, const char *format, ...) {
    if (!memcmp(got, want, n * sizeof *got)) return;
    char what[256];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    for (size_t i = 0; i < n; i++)
        if (memcmp(got + i, want + i, sizeof *got))
            fail_msg("%s: number %zu is %.9g, expected %.9g", what, i, (double)got[i], (double)want[i]);
}

#endif
