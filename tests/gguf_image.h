/* gguf_image.h: a small good GGUF file, made byte by byte, with the place of each field; for the tests to spoil.
 * Not made by the writer, so that reader and writer cannot agree on a mistake.
 * Next: test_gguf.c. */
#ifndef PONDER_TESTS_GGUF_IMAGE_H
#define PONDER_TESTS_GGUF_IMAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/fuzz_gguf.c"

/* clang-format off */
enum field {
    MAGIC, VERSION, N_TENSORS, N_KV,
    K0_NAME_SIZE, K0_NAME, K0_KIND, K0_TEXT_SIZE, K0_TEXT, /* "test.a": string "hi" */
    K1_NAME, K1_KIND, K1_VALUE,                            /* "test.b": u32 7 */
    ALIGN_KIND, ALIGN_VALUE,                               /* general.alignment: u32 32 */
    WORDS_NAME, WORDS_ELEMENT, WORDS_COUNT, WORDS_SIZE_0, WORDS_SIZE_1,   /* "words": strings "abc", "" */
    FLOATS_ELEMENT, FLOATS_COUNT,                          /* "floats": f32 1.5, -2 */
    BOOL_VALUE, BOOLS_0,                                   /* "yes": true; "bools": true, false */
    T0_NAME_SIZE, T0_NAME, T0_N_DIMS, T0_DIM_0, T0_DIM_1, T0_TYPE, T0_OFFSET, /* "w.a": F32 [4, 3] at 0, 48 bytes */
    T1_NAME_SIZE, T1_NAME, T1_N_DIMS, T1_DIM_0, T1_TYPE, T1_OFFSET,           /* "w.b": Q8_0 [64] at 64, 68 bytes */
    DATA, N_FIELDS,
};
/* clang-format on */

struct image {
    uint8_t bytes[4096];
    size_t size;
    size_t at[N_FIELDS];
};

static inline void put(struct image *m, const void *p, size_t n) {
    assert_true(m->size + n <= sizeof m->bytes);
    memcpy(m->bytes + m->size, p, n);
    m->size += n;
}
static inline void put_u8(struct image *m, uint8_t v) { put(m, &v, 1); }
static inline void put_u32(struct image *m, uint32_t v) { put(m, &v, 4); }
static inline void put_u64(struct image *m, uint64_t v) { put(m, &v, 8); }
static inline void put_f32(struct image *m, float v) { put(m, &v, 4); }
static inline void put_text(struct image *m, const char *s) {
    put_u64(m, strlen(s));
    put(m, s, strlen(s));
}
static inline void put_key(struct image *m, const char *key, uint32_t kind) {
    put_text(m, key);
    put_u32(m, kind);
}
static inline void mark(struct image *m, enum field f) { m->at[f] = m->size; }
static inline void mark_back(struct image *m, enum field f, size_t back) { m->at[f] = m->size - back; }
static inline void pad(struct image *m, size_t to) {
    while (m->size % to) put_u8(m, 0);
}

static inline void put_keys(struct image *m) {
    mark(m, K0_NAME_SIZE), mark(m, K0_NAME), m->at[K0_NAME] += 8;
    put_key(m, "test.a", GGUF_STRING), mark_back(m, K0_KIND, 4);
    mark(m, K0_TEXT_SIZE), put_text(m, "hi"), mark_back(m, K0_TEXT, 2);
    put_key(m, "test.b", GGUF_U32), mark_back(m, K1_KIND, 4), mark_back(m, K1_NAME, 10);
    mark(m, K1_VALUE), put_u32(m, 7);
    put_key(m, "general.alignment", GGUF_U32), mark_back(m, ALIGN_KIND, 4);
    mark(m, ALIGN_VALUE), put_u32(m, 32);
    put_key(m, "words", GGUF_ARRAY), mark_back(m, WORDS_NAME, 9);
    mark(m, WORDS_ELEMENT), put_u32(m, GGUF_STRING);
    mark(m, WORDS_COUNT), put_u64(m, 2);
    mark(m, WORDS_SIZE_0), put_text(m, "abc");
    mark(m, WORDS_SIZE_1), put_text(m, "");
    put_key(m, "floats", GGUF_ARRAY);
    mark(m, FLOATS_ELEMENT), put_u32(m, GGUF_F32);
    mark(m, FLOATS_COUNT), put_u64(m, 2), put_f32(m, 1.5f), put_f32(m, -2);
    put_key(m, "yes", GGUF_BOOL), mark(m, BOOL_VALUE), put_u8(m, 1);
    put_key(m, "bools", GGUF_ARRAY), put_u32(m, GGUF_BOOL), put_u64(m, 2), mark(m, BOOLS_0), put_u8(m, 1), put_u8(m, 0);
}

static inline void make_good(struct image *m) {
    m->size = 0;
    mark(m, MAGIC), put(m, "GGUF", 4);
    mark(m, VERSION), put_u32(m, 3);
    mark(m, N_TENSORS), put_u64(m, 2);
    mark(m, N_KV), put_u64(m, 7);
    put_keys(m);
    mark(m, T0_NAME_SIZE), put_text(m, "w.a"), mark_back(m, T0_NAME, 3);
    mark(m, T0_N_DIMS), put_u32(m, 2);
    mark(m, T0_DIM_0), put_u64(m, 4);
    mark(m, T0_DIM_1), put_u64(m, 3);
    mark(m, T0_TYPE), put_u32(m, TYPE_F32);
    mark(m, T0_OFFSET), put_u64(m, 0);
    mark(m, T1_NAME_SIZE), put_text(m, "w.b"), mark_back(m, T1_NAME, 3);
    mark(m, T1_N_DIMS), put_u32(m, 1);
    mark(m, T1_DIM_0), put_u64(m, 64);
    mark(m, T1_TYPE), put_u32(m, TYPE_Q8_0);
    mark(m, T1_OFFSET), put_u64(m, 64);
    pad(m, 32);
    mark(m, DATA);
    for (int i = 0; i < 12; i++) put_f32(m, (float)i);
    for (int i = 0; i < 16 + 68; i++) put_u8(m, (uint8_t)i);
}

static inline enum status open_bytes_of(const struct image *m, size_t size, struct gguf **g, void **copy,
                                        struct error *e) {
    assert_int_equal(posix_memalign(copy, 64, size ? size : 1), 0);
    memcpy(*copy, m->bytes, size);
    return gguf_open_memory(*copy, size, "the.gguf", g, e);
}

/* What the good file says, through every getter. */
static inline void check_good(const struct gguf *g) {
    struct error e = {""};
    struct gguf_string s;
    enum gguf_kind kind;
    uint64_t u;
    size_t n;
    bool b = false;
    assert_int_equal(gguf_get_string(g, "test.a", &s, &e), OK);
    assert_int_equal(s.size, 2);
    assert_memory_equal(s.data, "hi", 2);
    assert_int_equal(gguf_get_u64(g, "test.b", 7, 7, &u, &e), OK);
    assert_int_equal(u, 7);
    assert_int_equal(gguf_get_array(g, "words", &kind, &n, &e), OK);
    assert_int_equal(kind, GGUF_STRING);
    assert_int_equal(n, 2);
    s = gguf_array_string(g, "words", 0);
    assert_int_equal(s.size, 3);
    assert_memory_equal(s.data, "abc", 3);
    assert_int_equal(gguf_array_string(g, "words", 1).size, 0);
    assert_int_equal(gguf_get_array(g, "floats", &kind, &n, &e), OK);
    assert_int_equal(kind, GGUF_F32);
    assert_true(n == 2 && gguf_array_f64(g, "floats", 0) == 1.5 && gguf_array_f64(g, "floats", 1) == -2);
    assert_int_equal(gguf_get_bool_or(g, "yes", false, &b, &e), OK);
    assert_true(b);
    assert_true(gguf_array_f64(g, "bools", 0) == 1 && gguf_array_f64(g, "bools", 1) == 0);
    assert_true(gguf_has(g, "yes") && !gguf_has(g, "ye") && !gguf_has(g, "yes!") && !gguf_has(g, ""));
    assert_int_equal(gguf_n_tensors(g), 2);
    const struct gguf_tensor *t = gguf_find(g, "w.a");
    assert_ptr_equal(t, gguf_tensor_at(g, 0));
    assert_true(t->type == TYPE_F32 && t->n_dims == 2 && t->size_bytes == 48);
    assert_true(t->dims[0] == 4 && t->dims[1] == 3 && t->dims[2] == 1 && t->dims[3] == 1);
    for (int i = 0; i < 12; i++) assert_true(((const float *)t->data)[i] == (float)i);
    t = gguf_find(g, "w.b");
    assert_ptr_equal(t, gguf_tensor_at(g, 1));
    assert_true(t->type == TYPE_Q8_0 && t->n_dims == 1 && t->dims[0] == 64 && t->size_bytes == 68);
    for (int i = 0; i < 68; i++) assert_int_equal(((const uint8_t *)t->data)[i], 16 + i);
    assert_null(gguf_find(g, "w."));
    assert_null(gguf_find(g, "w.c"));
    read_everything(g);
}

#endif
