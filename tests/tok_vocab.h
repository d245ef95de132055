/* tok_vocab.h: small vocabularies written to GGUF files, and checks that several tokenizer tests share.
 * Not a test itself.
 * Next: test_tok.c, test_tok_hostile.c. */
#ifndef PONDER_TESTS_TOK_VOCAB_H
#define PONDER_TESTS_TOK_VOCAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tokenizer/tok.h"
#include "tokenizer/vocab.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- vocabularies made here ---- */

struct spec {
    const char *name;        /* general.name, or NULL */
    const char *model, *pre; /* pre NULL: no such key */
    const char *tokens[40];  /* up to the first NULL */
    const int32_t *types;
    size_t n_types;
    const float *scores;
    size_t n_scores;
    const char *merges[40];
    bool has_bos, has_eos, has_eom, no_space, no_merges;
    uint32_t bos, eos, eom;
};

static inline size_t count(const char *const *list, size_t cap) {
    size_t n = 0;
    while (n < cap && list[n]) n++;
    return n;
}

static inline void spec_add(const struct spec *s, struct gguf_writer *w) {
    if (s->name) gguf_add_string(w, "general.name", s->name);
    if (s->model) gguf_add_string(w, "tokenizer.ggml.model", s->model);
    if (s->pre) gguf_add_string(w, "tokenizer.ggml.pre", s->pre);
    gguf_add_strings(w, "tokenizer.ggml.tokens", s->tokens, count(s->tokens, COUNT(s->tokens)));
    if (s->types) gguf_add_i32s(w, "tokenizer.ggml.token_type", s->types, s->n_types);
    if (s->scores) gguf_add_f32s(w, "tokenizer.ggml.scores", s->scores, s->n_scores);
    if (!s->no_merges) gguf_add_strings(w, "tokenizer.ggml.merges", s->merges, count(s->merges, COUNT(s->merges)));
    if (s->has_bos) gguf_add_u32(w, "tokenizer.ggml.bos_token_id", s->bos);
    if (s->has_eom) gguf_add_u32(w, "tokenizer.ggml.eom_token_id", s->eom);
    if (s->has_eos) gguf_add_u32(w, "tokenizer.ggml.eos_token_id", s->eos);
    if (s->no_space) gguf_add_bool(w, "tokenizer.ggml.add_space_prefix", false);
}

static inline struct gguf *written(struct gguf_writer *w) {
    struct error e;
    char path[] = "/tmp/ponder-tok-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct gguf *g = NULL;
    if (gguf_write(w, path, &e) || gguf_open(path, &g, &e)) fail_msg("%s", e.text);
    unlink(path);
    gguf_writer_free(&w);
    return g;
}

static inline struct gguf *spec_file(const struct spec *s) {
    struct error e;
    struct gguf_writer *w;
    if (gguf_writer_new(&w, &e)) fail_msg("%s", e.text);
    gguf_add_string(w, "general.architecture", "llama");
    if (s) spec_add(s, w);
    else vocab_add(w);
    return written(w);
}

/* NULL: our own vocabulary. */
static inline struct tok *spec_open(const struct spec *s) {
    struct error e;
    struct tok *t;
    struct gguf *g = spec_file(s);
    if (tok_open(g, &t, &e)) fail_msg("%s", e.text);
    gguf_close(&g);
    return t;
}

/* ---- helpers ---- */

static inline size_t encode(const struct tok *t, const char *text, size_t size, bool special, int32_t *ids,
                            size_t cap) {
    struct error e;
    size_t n;
    if (tok_encode(t, text, size, special, false, ids, cap, &n, &e)) fail_msg("\"%.60s\": %s", text, e.text);
    return n;
}

static inline void same_ids(const char *what, const int32_t *got, size_t n_got, const int32_t *want, size_t n_want) {
    for (size_t i = 0; i < n_got && i < n_want; i++)
        if (got[i] != want[i]) fail_msg("%s: token %zu is %d, expected %d", what, i, got[i], want[i]);
    if (n_got != n_want) fail_msg("%s: %zu tokens, expected %zu", what, n_got, n_want);
}

/* Text to ids and back gives the same bytes. */
static inline void round_trip(const struct tok *t, const char *text, size_t size) {
    int32_t *ids = malloc((size + 2) * sizeof *ids);
    char *back = malloc(size + 8);
    size_t n = encode(t, text, size, false, ids, size + 2), m;
    assert_true(n <= size + 2);
    tok_decode(t, ids, n, false, back, size + 8, &m);
    for (size_t i = 0; i < size && i < m; i++)
        if (back[i] != text[i])
            fail_msg("byte %zu of %zu comes back as 0x%02X, expected 0x%02X", i, size, (unsigned char)back[i],
                     (unsigned char)text[i]);
    if (m != size) fail_msg("%zu bytes come back as %zu", size, m);
    assert_int_equal(back[m], 0);
    free(ids);
    free(back);
}

static inline void expect(const struct tok *t, const char *text, bool special, const int32_t *want, size_t n_want) {
    int32_t ids[256];
    same_ids(text, ids, encode(t, text, strlen(text), special, ids, COUNT(ids)), want, n_want);
}
#define EXPECT(t, text, special, ...)                                                                                  \
    expect(t, text, special, (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / 4)

/* ---- two hand-made vocabularies ---- */

/* Merges over the letters a and b, oddly ranked, with pairs that compete for the same letters. */
static const struct spec ab = {
    .model = "gpt2",
    .pre = "gpt-2",
    .tokens = {"a", "b", "ba", "ab", "aa", "bab", "aab", "abab", "baba", "aaaa", "bb", "bbb"},
    .merges = {"b a", "a b", "a a", "ba b", "aa b", "b b", "ab ab", "ba ba", "aa aa", "bb b"},
};

#define SP "\xe2\x96\x81"
static const float spm_scores[] = {0, 0, 0, -9, -8, -7, -7, -5, -6, -1, -3, -3, 0, 0, 0, 0, -4};
static const int32_t spm_types[] = {2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 6, 6, 6, 4, 1};
static const struct spec spm = {
    .model = "llama",
    .tokens = {"<unk>", "<s>", "</s>", SP, "a", "b", "c", "ab", "bc", SP "a", "abc", "cab", "<0x0A>", "<0xC3>",
               "<0xa9>", "<sep>", SP SP},
    .scores = spm_scores,
    .n_scores = 17,
    .types = spm_types,
    .n_types = 17,
    .has_bos = true,
    .bos = 1,
    .has_eos = true,
    .eos = 2,
};

#endif
