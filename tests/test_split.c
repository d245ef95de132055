/* test_split.c: models cut into several GGUF files.
 * Not one file: test_gguf.c.
 * Next: weights/split.c. */
#include "tests/arch_model.h"

/* Part `no` of `count` with tensors [from, to) of g, named NAME-0000N-of-0000M.gguf; the first carries the keys. */
static const char *write_part(const struct gguf *g, unsigned no, unsigned count, size_t from, size_t to,
                              uint32_t says_no, uint32_t says_total) {
    char name[64];
    struct gguf_writer *w;
    struct error e;
    struct facts f = facts_of("qwen3");
    snprintf(name, sizeof name, "m-%05u-of-%05u.gguf", no + 1, count);
    const char *path = tiny_path(name);
    GOOD(gguf_writer_new(&w, &e));
    struct maker k = {.w = w, .arch = "qwen3"};
    if (no == 0) make_keys(&k, &f);
    gguf_add_u32(w, "split.no", says_no), gguf_add_u32(w, "split.count", count),
        gguf_add_u32(w, "split.tensors.count", says_total);
    for (size_t i = from; i < to; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        char full[64];
        snprintf(full, sizeof full, "%.*s", (int)t->name.size, t->name.data);
        gguf_add_tensor(w, full, t->type, t->n_dims, t->dims, t->data);
    }
    GOOD(gguf_write(w, path, &e));
    gguf_writer_free(&w);
    return path;
}

static struct gguf *whole(void) {
    struct gguf *g;
    struct error e;
    const char *path = tiny_path("whole.gguf");
    arch_write("qwen3", NULL, NULL, path);
    GOOD(gguf_open(path, &g, &e));
    return g;
}

static void the_first_part_opens_all(void **state) {
    (void)state;
    struct gguf *g = whole(), *parts;
    struct error e;
    size_t n = gguf_n_tensors(g);
    const char *first = write_part(g, 0, 3, 0, 5, 0, (uint32_t)n);
    write_part(g, 1, 3, 5, 6, 1, (uint32_t)n);
    write_part(g, 2, 3, 6, n, 2, (uint32_t)n);
    GOOD(gguf_open(first, &parts, &e));
    assert_int_equal(gguf_n_tensors(parts), n);
    for (size_t i = 0; i < n; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i), *p;
        char full[64];
        snprintf(full, sizeof full, "%.*s", (int)t->name.size, t->name.data);
        p = gguf_find(parts, full);
        assert_non_null(p);
        assert_int_equal(p->size_bytes, t->size_bytes);
        assert_memory_equal(p->data, t->data, t->size_bytes);
    }
    struct model *m;
    GOOD(model_open(parts, &m, &e));
    model_close(&m);
    gguf_close(&g);
}

static void refused(const char *path, const char *what) {
    struct gguf *g;
    struct error e;
    if (gguf_open(path, &g, &e) == OK) fail_msg("%s was opened; the error should say \"%s\"", path, what);
    assert_null(g);
    if (!strstr(e.text, what)) fail_msg("\"%s\" does not say \"%s\"", e.text, what);
}

static void wrong_parts_are_named(void **state) {
    (void)state;
    struct gguf *g = whole();
    uint32_t n = (uint32_t)gguf_n_tensors(g);
    char first[600], other[600];
    snprintf(first, sizeof first, "%s", write_part(g, 0, 2, 0, 5, 0, n));
    snprintf(other, sizeof other, "%s", write_part(g, 1, 2, 5, n, 1, n));
    refused(other, "part 2 of 2; open the first");
    const char *renamed = tiny_path("renamed.gguf");
    assert_int_equal(rename(first, renamed), 0);
    refused(renamed, "must be named");
    assert_int_equal(rename(renamed, first), 0);
    write_part(g, 1, 2, 5, n, 0, n);
    refused(first, "split.no");
    write_part(g, 1, 2, 4, n, 1, n + 1);
    refused(first, "split.tensors.count");
    write_part(g, 0, 2, 0, 5, 0, n + 1);
    refused(first, "is in two parts");
    unlink(other);
    refused(first, "m-00002-of-00002.gguf");
    gguf_close(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_part_opens_all),
        cmocka_unit_test(wrong_parts_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
