/* test_memory.c: the memory that inspect announces is the memory that an engine takes.
 * Not the resident set of a process: tests/cli.sh compares that.
 * Next: solve/memory.h. */
#include "tests/arch_model.h"

#include "solve/memory.c" /* commands are not in the library that tests link */

static void expect_close(const char *what, size_t got, size_t want, size_t slack) {
    if (got > want + slack || want > got + slack) fail_msg("%s: %zu bytes, announced %zu", what, got, want);
}

/* Heap bytes of an engine against the figure, tables of pages and sequences being the slack; and the bytes of one page, which are
 * the system's until they are touched. */
static void compare(const char *what, struct model *m, struct engine_params p) {
    struct engine *en;
    struct team *team;
    struct error e;
    int32_t token = 0;
    GOOD(team_new(1, &team, &e));
    size_t before = memory_heap();
    GOOD(engine_new(m, team, &p, &en, &e));
    struct client *c;
    GOOD(engine_client_new(en, NULL, &c, &e));
    size_t heap = memory_heap() - before;
    struct engine_memory figure = engine_memory(m, &p);
    if (before) /* a sanitizer's allocator does not tell */
        expect_close(what, heap, figure.buffers, figure.buffers / 50 + 256 * (size_t)p.n_pages + p.max_tokens);
    struct span one = {.seq = engine_seq_new(c), .n_tokens = 1, .tokens = &token};
    GOOD(engine_run(c, &one, 1, NULL, &e));
    expect_close(what, engine_kv_bytes_peak(en) * p.n_pages, figure.kv, 0);
    engine_client_free(&c), engine_free(&en);
    team_free(&team);
}

static void test_engines(void **state) {
    (void)state;
    const char *names[] = {"llama", "qwen3", "gemma3", "phi3"}; /* gemma3: two tables of angles */
    struct error e;
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *path = tiny_path("m.gguf");
        struct gguf *g;
        struct model *m;
        arch_write(names[i], NULL, NULL, path);
        GOOD(gguf_open(path, &g, &e));
        GOOD(model_open(g, &m, &e));
        struct engine_params p = {.n_pages = 4096, .n_seqs = 2, .max_tokens = 16384, .max_rows = 512};
        compare(names[i], m, p);
        p.kv_type = KV_F32;
        compare("f32", m, p);
        p.max_tokens = 65536, p.n_pages = 16;
        compare("angles", m, p);
        model_close(&m);
    }
}

static void test_lines(void **state) {
    (void)state;
    struct memory_figure f, longer;
    struct error e;
    struct gguf *g;
    struct model *m;
    const char *path = tiny_path("m.gguf");
    arch_write("llama", NULL, NULL, path);
    GOOD(gguf_open(path, &g, &e));
    GOOD(model_open(g, &m, &e));
    memory_of_run(m, 1000, KV_I16, 7, 11, &f);
    memory_of_run(m, 2000, KV_I16, 7, 11, &longer);
    size_t sum = 0;
    for (int i = 0; i < f.n; i++) {
        sum += f.lines[i].bytes;
        assert_string_equal(f.lines[i].name, longer.lines[i].name);
        bool grows = !strcmp(f.lines[i].name, "kv") || !strcmp(f.lines[i].name, "buffers");
        if ((longer.lines[i].bytes > f.lines[i].bytes) != grows)
            fail_msg("%s: %zu bytes for 1000 tokens, %zu for 2000", f.lines[i].name, f.lines[i].bytes,
                     longer.lines[i].bytes);
    }
    assert_int_equal(sum, f.total);
    const struct model_config *c = &m->config;
    assert_int_equal(f.lines[1].bytes,
                     1008u * 2 * c->n_layer * c->n_head_kv * (2 * c->head_dim + 4)); /* 63 pages of 16 */
    model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_engines), cmocka_unit_test(test_lines)};
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
