/* fuzz_gguf.c: libFuzzer target: opens the bytes as a GGUF file and reads everything that the reader hands out.
 * Not a test by itself: test_gguf.c replays tests/corpus/gguf/ through it.
 * Build: clang with -fsanitize=fuzzer,address,undefined; link base, ops/quant.c and weights.
 * Run: fuzz_gguf NEW_FOLDER tests/corpus/gguf
 * Next: test_gguf.c. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights/gguf_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                                       \
    if (!(x)) {                                                                                                        \
        fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #x);                                          \
        abort();                                                                                                       \
    }

/* A sum over bytes, so that the sanitizer sees each of them being read. */
static unsigned sum_bytes(const void *p, size_t n) {
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((const uint8_t *)p)[i];
    return sum;
}

/* The getters take NUL-terminated names; a name with a NUL inside cannot be asked for. */
static char *name_copy(struct gguf_string s) {
    char *name = malloc(s.size + 1);
    CHECK(name);
    memcpy(name, s.data, s.size);
    name[s.size] = '\0';
    return name;
}

static unsigned read_key(const struct gguf *g, const struct gguf_key *k, const char *key) {
    struct gguf_string text;
    struct error e;
    uint64_t u;
    double f;
    bool b;
    unsigned sum = 0;
    size_t n = 0;
    enum gguf_kind kind;
    CHECK(gguf_key_find(g, key) == k);
    if (gguf_get_u64(g, key, 3, 1000, &u, &e) == OK) CHECK(u >= 3 && u <= 1000);
    if (gguf_get_f64(g, key, -2.5, 1e6, &f, &e) == OK) CHECK(f >= -2.5 && f <= 1e6);
    if (gguf_get_bool_or(g, key, false, &b, &e) == OK) sum += b;
    if (gguf_get_string(g, key, &text, &e) == OK) sum += sum_bytes(text.data, text.size);
    if (gguf_get_array(g, key, &kind, &n, &e) != OK) return sum;
    for (size_t i = 0; i < n; i++) {
        if (kind == GGUF_STRING) text = gguf_array_string(g, key, i), sum += sum_bytes(text.data, text.size);
        else sum += gguf_array_f64(g, key, i) > 0;
    }
    return sum;
}

/* Reads all of an open file; also used by the tests. */
static unsigned read_everything(const struct gguf *g) {
    unsigned sum = 0;
    const uint8_t *end = NULL;
    for (size_t i = 0; i < g->n_keys; i++) {
        char *key = name_copy(g->keys[i].name);
        if (strlen(key) == g->keys[i].name.size) sum += read_key(g, &g->keys[i], key);
        free(key);
    }
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        char *name = name_copy(t->name);
        if (strlen(name) == t->name.size) CHECK(gguf_find(g, name) == t);
        free(name);
        CHECK((uintptr_t)t->data % 8 == 0 && t->size_bytes > 0 && (const uint8_t *)t->data >= end);
        end = (const uint8_t *)t->data + t->size_bytes;
        sum += sum_bytes(t->data, t->size_bytes);
    }
    FILE *to = fopen("/dev/null", "w");
    CHECK(to);
    gguf_print(g, true, to);
    fclose(to);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    volatile unsigned sink = 0; /* so that no read is optimised away */
    struct gguf *g;
    struct error e = {""};
    void *copy; /* exactly `size` bytes: one byte beyond is a sanitizer's finding */
    CHECK(posix_memalign(&copy, 64, size ? size : 1) == 0);
    if (size) memcpy(copy, data, size);
    enum status s = gguf_open_memory(copy, size, "fuzz.gguf", &g, &e);
    CHECK((s == OK) == (g != NULL));
    if (s == OK) sink = read_everything(g);
    else CHECK(s == ERR_INPUT && strncmp(e.text, "fuzz.gguf: ", 11) == 0);
    (void)sink;
    gguf_close(&g);
    free(copy);
    return 0;
}
