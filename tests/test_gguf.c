/* test_gguf.c: the GGUF reader's structure checks against good, wrong, cut, flipped and hostile files.
 * Not the values and the file system: test_gguf_values.c; not the writer: test_gguf_write.c.
 * Next: test_gguf_values.c. */
#include <sys/resource.h>

#include "tests/corpus.h"
#include "tests/gguf_image.h"

static void opens_memory(void **state) {
    (void)state;
    struct image m;
    struct gguf *g;
    struct error e = {""};
    void *copy;
    make_good(&m);
    for (uint32_t version = 2; version <= 3; version++) {
        memcpy(m.bytes + m.at[VERSION], &version, 4);
        if (open_bytes_of(&m, m.size, &g, &copy, &e) != OK) fail_msg("version %u: %s", version, e.text);
        assert_string_equal(gguf_name(g), "the.gguf");
        check_good(g);
        gguf_close(&g);
        assert_null(g);
        gguf_close(&g); /* again: allowed */
        free(copy);
    }
}

static void opens_without_tensors(void **state) {
    (void)state;
    struct image m = {.size = 0};
    struct gguf *g;
    struct error e = {""};
    void *copy;
    put(&m, "GGUF", 4), put_u32(&m, 3), put_u64(&m, 0), put_u64(&m, 0);
    for (int keys = 0; keys < 2; keys++) {
        m.bytes[16] = (uint8_t)keys; /* the second time with a key, and no padding after it */
        if (keys) put_key(&m, "k", GGUF_U8), put_u8(&m, 200);
        if (open_bytes_of(&m, m.size, &g, &copy, &e) != OK) fail_msg("%s", e.text);
        assert_int_equal(gguf_n_tensors(g), 0);
        assert_null(gguf_find(g, "a"));
        assert_int_equal(gguf_has(g, "k"), keys);
        read_everything(g);
        gguf_close(&g);
        free(copy);
    }
}

/* Alignments from 8 to 65536; the gap between the infos and the data grows with them. */
static void opens_every_alignment(void **state) {
    (void)state;
    for (uint32_t alignment = 4; alignment <= 131072; alignment *= 2) {
        struct image m = {.size = 0};
        struct error e = {""};
        struct gguf *g;
        put(&m, "GGUF", 4), put_u32(&m, 3), put_u64(&m, 2), put_u64(&m, 1);
        put_key(&m, "general.alignment", GGUF_U32), put_u32(&m, alignment);
        for (int i = 0; i < 2; i++) {
            put_text(&m, i ? "b" : "a"), put_u32(&m, 1), put_u64(&m, 2), put_u32(&m, TYPE_F16);
            put_u64(&m, i ? alignment : 0);
        }
        size_t data_at = (m.size + alignment - 1) / alignment * alignment, size = data_at + alignment + 4;
        uint8_t *copy;
        assert_int_equal(posix_memalign((void **)&copy, 64, size), 0);
        memset(copy, 0, size);
        memcpy(copy, m.bytes, m.size);
        enum status s = gguf_open_memory(copy, size, "the.gguf", &g, &e);
        assert_int_equal(s, alignment >= 8 && alignment <= 65536 ? OK : ERR_INPUT);
        if (g) assert_ptr_equal(gguf_find(g, "a")->data, copy + data_at);
        if (g) assert_ptr_equal(gguf_find(g, "b")->data, copy + data_at + alignment);
        gguf_close(&g);
        free(copy);
    }
}

/* ---- one wrong field at a time: the cases of ggml's test-gguf.cpp and of the advisories against readers ---- */

struct wrong {
    enum field field;
    int width; /* bytes to overwrite with `value` */
    uint64_t value;
    const char *text; /* must be part of the error */
};

static void refuses(void **state) {
    const struct wrong *w = *state;
    struct image m;
    struct gguf *g;
    struct error e = {""};
    void *copy;
    make_good(&m);
    memcpy(m.bytes + m.at[w->field], &w->value, (size_t)w->width);
    enum status s = open_bytes_of(&m, m.size, &g, &copy, &e);
    free(copy);
    assert_null(g);
    assert_int_equal(s, ERR_INPUT);
    if (!strstr(e.text, w->text)) fail_msg("wanted \"%s\" in: %s", w->text, e.text);
    if (strncmp(e.text, "the.gguf: ", 10) != 0) fail_msg("no file name: %s", e.text);
}

#define MINUS_1 UINT64_MAX
#define WRONG(name, ...)                                                                                               \
    {                                                                                                                  \
        "refuses_" #name, refuses, NULL, NULL, &(struct wrong) { __VA_ARGS__ }                                         \
    }

/* ---- files that need more than one wrong field ---- */

static void expect_refusal(const void *bytes, size_t size, const char *text) {
    struct gguf *g;
    struct error e = {""};
    void *copy;
    assert_int_equal(posix_memalign(&copy, 64, size), 0);
    memcpy(copy, bytes, size);
    enum status s = gguf_open_memory(copy, size, "the.gguf", &g, &e);
    free(copy);
    assert_null(g);
    assert_int_equal(s, ERR_INPUT);
    if (!strstr(e.text, text)) fail_msg("wanted \"%s\" in: %s", text, e.text);
}

static void refuses_arrays_nested_10000_deep(void **state) {
    (void)state;
    enum { DEPTH = 10000, SIZE = 24 + 9 + 4 + DEPTH * 12 };
    uint8_t *bytes = calloc(1, SIZE), *p = bytes + 24;
    struct image m = {.size = 0};
    put(&m, "GGUF", 4), put_u32(&m, 3), put_u64(&m, 0), put_u64(&m, 1);
    put_key(&m, "k", GGUF_ARRAY);
    memcpy(bytes, m.bytes, m.size);
    p = bytes + m.size;
    for (int i = 0; i < DEPTH; i++, p += 12) p[0] = GGUF_ARRAY, p[4] = 1;
    expect_refusal(bytes, SIZE, "key \"k\": array of arrays");
    free(bytes);
}

static void refuses_long_names(void **state) {
    (void)state;
    enum { MEGA = 1 << 20 };
    uint8_t *bytes = malloc(MEGA + 64);
    memset(bytes, 'x', MEGA + 64);
    memcpy(bytes, &(struct {
               char m[4];
               uint32_t v;
               uint64_t t, k, n;
           }){"GGUF", 3, 0, 1, MEGA},
           32);
    expect_refusal(bytes, MEGA + 64, "key 0: name of 1048576 bytes; at most 65535");
    memcpy(bytes, &(struct {
               char m[4];
               uint32_t v;
               uint64_t t, k, n;
           }){"GGUF", 3, 1, 0, 1025},
           32);
    expect_refusal(bytes, MEGA + 64, "tensor 0: name of 1025 bytes; at most 1024");
    free(bytes);
}

/* The longest tensor name that is read, with terminal escapes in it: errors show neither all of it nor the escapes. */
static void errors_escape_names(void **state) {
    (void)state;
    struct image m = {.size = 0};
    char name[1025] = "\x1b[31m\xff";
    memset(name + 6, 'y', 1018);
    put(&m, "GGUF", 4), put_u32(&m, 3), put_u64(&m, 1), put_u64(&m, 0);
    put_text(&m, name), put_u32(&m, 5);
    for (int i = 0; i < 16; i++) put_u8(&m, 0);
    expect_refusal(m.bytes, m.size, "tensor \"\\x1b[31m\\xffyyy");
    expect_refusal(m.bytes, m.size, "yyy...\": n_dims is 5; allowed are 1 to 4");
}

static void refuses_total_size_that_wraps(void **state) {
    (void)state;
    struct image m = {.size = 0};
    put(&m, "GGUF", 4), put_u32(&m, 3), put_u64(&m, 2), put_u64(&m, 0);
    for (int i = 0; i < 2; i++) {
        put_text(&m, i ? "b" : "a"), put_u32(&m, 2), put_u64(&m, 1u << 31), put_u64(&m, 1u << 30);
        put_u32(&m, TYPE_F32), put_u64(&m, i ? 1ull << 63 : 0);
    }
    pad(&m, 32);
    expect_refusal(m.bytes, m.size, "tensor \"a\": offset 0 + 9223372036854775808 bytes: the data section has 0 bytes");
}

/* offset + size = 60 after wrapping: it would seem to fit. */
static void refuses_offset_plus_size_that_wraps(void **state) {
    (void)state;
    struct image m;
    uint64_t dim = (1ull << 62) - 1;
    uint32_t type = TYPE_F32;
    make_good(&m);
    memcpy(m.bytes + m.at[T1_DIM_0], &dim, sizeof dim);
    memcpy(m.bytes + m.at[T1_TYPE], &type, sizeof type);
    expect_refusal(m.bytes, m.size, "tensor \"w.b\": offset 64 + 18446744073709551612 bytes: the data section has 132");
}

/* ---- cut and flipped ---- */

static void refuses_every_cut(void **state) {
    (void)state;
    struct image m;
    make_good(&m);
    for (size_t size = 0; size < m.size; size++) {
        struct gguf *g;
        struct error e = {""};
        void *copy;
        enum status s = open_bytes_of(&m, size, &g, &copy, &e);
        if (s != ERR_INPUT || g || strncmp(e.text, "the.gguf: ", 10) != 0)
            fail_msg("cut at byte %zu of %zu: status %d, \"%s\"", size, m.size, s, e.text);
        free(copy);
    }
}

static void survives_every_flip(void **state) {
    (void)state;
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct image m;
    make_good(&m);
    for (size_t i = 0; i < m.size; i++) {
        uint8_t old = m.bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            m.bytes[i] = old ^ (uint8_t)(1 << bit);
            LLVMFuzzerTestOneInput(m.bytes, m.size);
        }
        for (size_t v = 0; v < sizeof values; v++) {
            m.bytes[i] = values[v];
            LLVMFuzzerTestOneInput(m.bytes, m.size);
        }
        m.bytes[i] = old;
    }
}

/* ---- memory ---- */

static void survives_failed_allocations(void **state) {
    (void)state;
    struct image m;
    struct gguf *g;
    struct error e;
    void *copy;
    make_good(&m);
    for (int mode = 0; mode < 2; mode++) {
        size_t n = 0;
        enum status s;
        do {
            e.text[0] = '\0';
            mem_fail_at(++n, mode);
            s = open_bytes_of(&m, m.size, &g, &copy, &e);
            mem_fail_at(0, false);
            if (s == OK) check_good(g);
            else if (s != ERR_MEMORY || g || strncmp(e.text, "the.gguf: no memory", 19) != 0)
                fail_msg("allocation %zu: status %d, \"%s\"", n, s, e.text);
            gguf_close(&g);
            free(copy);
        } while (s != OK);
        assert_true(n > 6); /* handle, name, keys, words, tensors, offsets, two tables */
    }
}

/* A count from the file must not become an allocation before the bytes behind it were seen: 2^20 keys would be 72 MB.
 * mem_new touches all it gives, so the process's peak shows it. */
static void memory_follows_the_bytes_not_the_count(void **state) {
    (void)state;
    enum { SIZE = 40 << 20, COUNT = 1 << 20 };
    struct image m;
    struct rusage before, after;
    struct error e;
    struct gguf *g;
    void *bytes;
    assert_int_equal(posix_memalign(&bytes, 64, SIZE), 0);
    memset(bytes, 0xff, SIZE);
    for (int tensors = 0; tensors < 2; tensors++) {
        m.size = 0;
        put(&m, "GGUF", 4), put_u32(&m, 3), put_u64(&m, tensors ? COUNT : 0), put_u64(&m, tensors ? 0 : COUNT);
        memcpy(bytes, m.bytes, m.size);
        getrusage(RUSAGE_SELF, &before);
        assert_int_equal(gguf_open_memory(bytes, SIZE, "the.gguf", &g, &e), ERR_INPUT);
        getrusage(RUSAGE_SELF, &after);
        assert_non_null(strstr(e.text, tensors ? "tensor 0: name" : "key 0: name"));
        assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 16 << 10); /* KB */
    }
    free(bytes);
}

/* ---- lookup ---- */

static void finds_each_of_4097_names(void **state) {
    (void)state;
    enum { N = 4097 };
    struct names t = {0};
    static char text[N][12];
    for (uint32_t i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "k.%u", i);
        assert_true(names_add(&t, text[i], strlen(text[i]), i));
    }
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(names_find(&t, text[i], strlen(text[i])), i);
        assert_false(names_add(&t, text[i], strlen(text[i]), 7));
    }
    assert_true(names_find(&t, "k.4097", 6) == SIZE_MAX && names_find(&t, "k.", 2) == SIZE_MAX);
    assert_true(names_find(&t, "k.1\0", 4) == SIZE_MAX); /* a zero byte is part of a name */
    names_free(&t);
}

static void replays_the_fuzz_corpus(void **state) {
    (void)state;
    replay("gguf", 30);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(opens_memory),
    cmocka_unit_test(opens_without_tensors),
    cmocka_unit_test(opens_every_alignment),
    /* header */
    WRONG(bad_magic, MAGIC, 4, 0x46554758, "magic is \"XGUF\"; a GGUF file begins with \"GGUF\""),
    WRONG(big_endian_magic, MAGIC, 4, 0x47475546, "big-endian"),
    WRONG(version_0, VERSION, 4, 0, "version is 0; allowed are 2 and 3"),
    WRONG(version_1, VERSION, 4, 1, "version is 1; allowed are 2 and 3"),
    WRONG(version_4, VERSION, 4, 4, "version is 4; allowed are 2 and 3"),
    WRONG(version_99, VERSION, 4, 99, "version is 99; allowed are 2 and 3"),
    WRONG(big_endian_version, VERSION, 4, 0x03000000, "version is 0x03000000: a big-endian file"),
    WRONG(n_tensors_minus_1, N_TENSORS, 8, MINUS_1, "n_tensors is 18446744073709551615; allowed"),
    WRONG(n_tensors_2_63, N_TENSORS, 8, 1ull << 63, "n_tensors is 9223372036854775808; allowed"),
    WRONG(n_tensors_just_too_many, N_TENSORS, 8, 3, "tensor 2: empty name"),
    WRONG(n_kv_minus_1, N_KV, 8, MINUS_1, "n_kv is 18446744073709551615; allowed"),
    WRONG(n_kv_2_63, N_KV, 8, 1ull << 63, "n_kv is 9223372036854775808; allowed"),
    WRONG(n_kv_one_too_many, N_KV, 8, 8, "tensor 0: name at byte"),
    WRONG(n_kv_more_than_bytes_left, N_KV, 8, 100, "n_kv is 100; allowed"),
    /* keys */
    WRONG(key_size_minus_1, K0_NAME_SIZE, 8, MINUS_1, "key 0: name at byte 32: needs 18446744073709551615 x 1 bytes"),
    WRONG(key_size_2_63, K0_NAME_SIZE, 8, 1ull << 63, "key 0: name at byte 32: needs 9223372036854775808 x 1 bytes"),
    WRONG(empty_key, K0_NAME_SIZE, 8, 0, "key 0: empty name"),
    WRONG(key_type_13, K0_KIND, 4, 13, "key \"test.a\": value type 13; allowed are 0 to 12"),
    WRONG(key_type_minus_1, K0_KIND, 4, MINUS_1, "key \"test.a\": value type 4294967295; allowed"),
    WRONG(text_size_minus_1, K0_TEXT_SIZE, 8, MINUS_1, "key \"test.a\": value at byte 50: needs 18446744073709551615"),
    WRONG(duplicate_key, K1_NAME, 6, 0x612e74736574, "key \"test.a\": appears twice"),
    WRONG(array_of_arrays, WORDS_ELEMENT, 4, GGUF_ARRAY, "key \"words\": array of arrays"),
    WRONG(array_element_type_13, WORDS_ELEMENT, 4, 13, "key \"words\": array element type 13; allowed are 0 to 12"),
    WRONG(string_count_minus_1, WORDS_COUNT, 8, MINUS_1, "key \"words\": array count 18446744073709551615"),
    WRONG(string_count_2_61, WORDS_COUNT, 8, 1ull << 61, "key \"words\": array count 2305843009213693952"),
    WRONG(string_count_just_too_many, WORDS_COUNT, 8, 3, "key 4: name at byte"),
    WRONG(string_size_minus_1, WORDS_SIZE_0, 8, MINUS_1, "key \"words\": array string at byte"),
    WRONG(last_string_size_minus_8, WORDS_SIZE_1, 8, MINUS_1 - 7, "key \"words\": array string at byte"),
    WRONG(float_count_minus_1, FLOATS_COUNT, 8, MINUS_1, "key \"floats\": array at byte"),
    WRONG(float_count_that_wraps, FLOATS_COUNT, 8, (1ull << 62) + 2, "key \"floats\": array at byte"),
    WRONG(bool_2, BOOL_VALUE, 1, 2, "key \"yes\": bool 0 is 2; allowed are 0 and 1"),
    WRONG(bool_255_in_array, BOOLS_0, 1, 255, "key \"bools\": bool 0 is 255; allowed are 0 and 1"),
    WRONG(alignment_0, ALIGN_VALUE, 4, 0, "key \"general.alignment\": is 0; allowed are powers of two from 8 to 65536"),
    WRONG(alignment_13, ALIGN_VALUE, 4, 13, "key \"general.alignment\": is 13; allowed"),
    WRONG(alignment_2_31, ALIGN_VALUE, 4, 1u << 31, "key \"general.alignment\": is 2147483648; allowed"),
    WRONG(alignment_of_wrong_type, ALIGN_KIND, 4, GGUF_I32, "key \"general.alignment\": has type i32; allowed is u32"),
    /* tensors */
    WRONG(tensor_name_size_minus_1, T0_NAME_SIZE, 8, MINUS_1, "tensor 0: name at byte"),
    WRONG(empty_tensor_name, T0_NAME_SIZE, 8, 0, "tensor 0: empty name"),
    WRONG(duplicate_tensor, T1_NAME, 3, 0x612e77, "tensor \"w.a\": appears twice"),
    WRONG(n_dims_0, T0_N_DIMS, 4, 0, "tensor \"w.a\": n_dims is 0; allowed are 1 to 4"),
    WRONG(n_dims_5, T0_N_DIMS, 4, 5, "tensor \"w.a\": n_dims is 5; allowed are 1 to 4"),
    WRONG(n_dims_minus_1, T0_N_DIMS, 4, MINUS_1, "tensor \"w.a\": n_dims is 4294967295; allowed"),
    WRONG(dim_0, T0_DIM_0, 8, 0, "tensor \"w.a\": dims[0] is 0; at least 1"),
    WRONG(dim_1_0, T0_DIM_1, 8, 0, "tensor \"w.a\": dims[1] is 0; at least 1"),
    WRONG(dim_minus_1, T0_DIM_0, 8, MINUS_1, "the number of weights overflows"),
    WRONG(dims_product_2_63, T0_DIM_0, 8, 1ull << 62, "the number of weights overflows"),
    WRONG(dims_product_that_wraps_to_0, T0_DIM_0, 8, 1ull << 63, "the number of weights overflows"),
    WRONG(bytes_that_wrap, T0_DIM_0, 8, (1ull << 62) / 3 + 1, "the size in bytes overflows"),
    WRONG(row_bytes_that_wrap, T1_DIM_0, 8, (1ull << 63) - 32, "tensor \"w.b\": offset 64 + 9799832789158199262 bytes"),
    WRONG(more_rows_than_data, T0_DIM_1, 8, 1000, "tensor \"w.a\": offset 0 + 16000 bytes: the data section has 132"),
    WRONG(row_not_whole_blocks, T1_DIM_0, 8, 63, "tensor \"w.b\": dims[0] is 63; Q8_0 needs a multiple of 32"),
    WRONG(removed_type, T0_TYPE, 4, 4, "tensor \"w.a\": tensor type 4 is not known here; known are F32 F16"),
    WRONG(unknown_type, T0_TYPE, 4, 100000, "tensor \"w.a\": tensor type 100000 is not known here; known are F32 F16"),
    WRONG(type_minus_1, T0_TYPE, 4, MINUS_1, "tensor \"w.a\": tensor type 4294967295 is not known here"),
    WRONG(offset_unaligned, T1_OFFSET, 8, 65, "tensor \"w.b\": offset 65 is not a multiple of the alignment 32"),
    WRONG(offset_overlaps, T1_OFFSET, 8, 32, "tensor \"w.b\": offset 32 overlaps the tensor before, which ends at 48"),
    WRONG(offset_of_both_0, T1_OFFSET, 8, 0, "tensor \"w.b\": offset 0 overlaps"),
    WRONG(offset_past_end, T1_OFFSET, 8, 96, "tensor \"w.b\": offset 96 + 68 bytes: the data section has 132 bytes"),
    WRONG(offset_that_wraps, T1_OFFSET, 8, MINUS_1 - 31, "tensor \"w.b\": offset 18446744073709551584 + 68 bytes"),
    WRONG(alignment_that_tensors_break, ALIGN_VALUE, 4, 128, "tensor \"w.b\": offset 64 is not a multiple of the alignment 128"),
    cmocka_unit_test(refuses_arrays_nested_10000_deep),
    cmocka_unit_test(refuses_long_names),
    cmocka_unit_test(refuses_total_size_that_wraps),
    cmocka_unit_test(refuses_offset_plus_size_that_wraps),
    cmocka_unit_test(errors_escape_names),
    cmocka_unit_test(refuses_every_cut),
    cmocka_unit_test(survives_every_flip),
    cmocka_unit_test(survives_failed_allocations),
    cmocka_unit_test(memory_follows_the_bytes_not_the_count),
    cmocka_unit_test(finds_each_of_4097_names),
    cmocka_unit_test(replays_the_fuzz_corpus),
};
/* clang-format on */

int main(void) { return cmocka_run_group_tests(tests, NULL, NULL); }
