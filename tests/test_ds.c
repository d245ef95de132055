/* test_ds.c: arrays and maps of base/ds.h against naive ones, and every allocation of them failed once.
 * Not stb_ds itself.
 * Next: base/ds.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ds.h"
#include "base/rng.h"
#include "weights/names.h"

enum { N = 3000 };

struct entry {
    struct {
        int32_t a, b;
    } key;
    uint64_t value;
};

static void test_arrays(void **state) {
    (void)state;
    int32_t *a = NULL;
    assert_true(ds_room(a, 0) && ds_len(a) == 0);
    for (int32_t i = 0; i < N; i++) {
        assert_true(ds_push(a, i * 3));
        assert_int_equal(ds_len(a), i + 1);
    }
    assert_true(ds_room(a, 100));
    int32_t *more = ds_add(a, 100), *before = a;
    memset(more, 0, 100 * sizeof *more);
    assert_int_equal(ds_len(a), N + 100);
    assert_true(ds_room(a, 0) && a == before);
    for (int32_t i = 0; i < N; i++) assert_int_equal(a[i], i * 3);
    assert_false(ds_room(a, SIZE_MAX - 8)); /* sizes that wrap are refused, and nothing is lost */
    assert_false(ds_room(a, SIZE_MAX / 4));
    assert_int_equal(ds_len(a), N + 100);
    ds_free(a);
    assert_null(a);
}

/* Random keys with repetitions against a table of all of them. */
static void test_maps(void **state) {
    (void)state;
    static uint64_t naive[64][64]; /* 0: absent */
    struct entry *m = NULL;
    memset(naive, 0, sizeof naive);
    for (uint64_t i = 0; i < N; i++) {
        struct entry x = {{(int32_t)rng_below(1, i, 64), (int32_t)rng_below(2, i, 64)}, i + 1};
        ptrdiff_t found = ds_find(m, x.key);
        assert_int_equal(found >= 0 ? m[found].value : 0, naive[x.key.a][x.key.b]);
        assert_true(ds_put(m, x));
        naive[x.key.a][x.key.b] = x.value;
    }
    for (int32_t a = 0; a < 64; a++)
        for (int32_t b = 0; b < 64; b++) {
            struct entry x = {{a, b}, 0};
            ptrdiff_t found = ds_find(m, x.key);
            assert_int_equal(found >= 0 ? m[found].value : 0, naive[a][b]);
        }
    ds_map_free(m);
}

/* The n-th allocation fails: the call says so, what was there is there, and the next call works. */
static void test_memory(void **state) {
    (void)state;
    for (size_t n = 1; n < 40; n++) {
        int32_t *a = NULL;
        struct entry *m = NULL;
        size_t failures = 0, len = 0;
        mem_fail_at(n, false);
        for (int32_t i = 0; i < 400; i++) {
            struct entry x = {{i, -i}, (uint64_t)i};
            bool pushed = ds_push(a, i), put = ds_put(m, x);
            failures += !pushed + !put;
            len += pushed;
            assert_int_equal(ds_len(a), len);
            if (!put) assert_true(ds_find(m, x.key) < 0 && ds_put(m, x));
        }
        bool reached = mem_fail_at(0, false) >= n;
        assert_int_equal(failures, reached ? 1 : 0);
        for (int32_t i = 0; i < 400; i++) {
            struct entry x = {{i, -i}, 0};
            ptrdiff_t found = ds_find(m, x.key);
            assert_true(found >= 0 && m[found].value == (uint64_t)i);
        }
        ds_free(a);
        ds_map_free(m);
        if (!reached) {
            assert_true(n > 5);
            return;
        }
    }
    fail_msg("400 elements took 40 allocations and more");
}

static void test_names_without_memory(void **state) {
    (void)state;
    static const char *const text[] = {"a", "b", "a", ""};
    for (size_t n = 1; n < 6; n++) {
        struct names t = {0};
        mem_fail_at(n, true);
        for (uint32_t i = 0; i < 4; i++) names_add(&t, text[i], strlen(text[i]), i);
        bool reached = mem_fail_at(0, false) >= n;
        assert_int_equal(t.failed, reached);
        if (!reached) assert_int_equal(names_find(&t, "a", 1), 0);
        names_free(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_arrays), cmocka_unit_test(test_maps),
                                       cmocka_unit_test(test_memory), cmocka_unit_test(test_names_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
