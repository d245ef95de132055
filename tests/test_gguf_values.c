/* test_gguf_values.c: what the GGUF reader hands out: getters, printing, files of the file system, foreign files.
 * Not the checks on the structure: test_gguf.c.
 * Next: test_gguf_write.c. */
#include "tests/gguf_image.h"
#include "tests/reference.h"

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- getters ---- */

struct numeric {
    enum gguf_kind kind;
    union {
        uint64_t u;
        double f64;
        float f32;
    } bits;
    int as_u64; /* 1: gguf_get_u64 holds `u` */
    uint64_t u;
    int as_f64;
    double f;
};

static const struct numeric numbers[] = {
    {GGUF_U8, {.u = 255}, 1, 255, 1, 255},
    {GGUF_I8, {.u = 0x80}, 0, 0, 1, -128},
    {GGUF_I8, {.u = 0x7f}, 1, 127, 1, 127},
    {GGUF_U16, {.u = 65535}, 1, 65535, 1, 65535},
    {GGUF_I16, {.u = 0xffff}, 0, 0, 1, -1},
    {GGUF_U32, {.u = UINT32_MAX}, 1, UINT32_MAX, 1, 4294967295.0},
    {GGUF_I32, {.u = 0x80000000}, 0, 0, 1, -2147483648.0},
    {GGUF_F32, {.f32 = 3}, 1, 3, 1, 3},
    {GGUF_F32, {.f32 = 0.5f}, 0, 0, 1, 0.5},
    {GGUF_F32, {.f32 = -1}, 0, 0, 1, -1},
    {GGUF_F64, {.f64 = 0x1p64}, 0, 0, 1, 0x1p64},
    {GGUF_F64, {.f64 = 0x1p63}, 1, 1ull << 63, 1, 0x1p63},
    {GGUF_F64, {.u = 0x7ff8000000000000}, 0, 0, 0, 0},  /* NaN */
    {GGUF_F64, {.u = 0x7ff0000000000000}, 0, 0, 0, 0},  /* infinity: beyond any finite range */
    {GGUF_U64, {.u = UINT64_MAX}, 1, UINT64_MAX, 0, 0}, /* not a double */
    {GGUF_U64, {.u = 1ull << 63}, 1, 1ull << 63, 1, 0x1p63},
    {GGUF_I64, {.u = 1ull << 63}, 0, 0, 1, -0x1p63},
    {GGUF_I64, {.u = UINT64_MAX - (1ull << 53)}, 0, 0, 0, 0}, /* -2^53 - 1: not a double */
};

static void getters_convert_exact_values_only(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const struct numeric *x = &numbers[i];
        struct image m = {.size = 0};
        struct gguf *g;
        struct error e = {""};
        uint64_t u = 12345;
        double f = 12345;
        void *copy;
        put(&m, "GGUF", 4), put_u32(&m, 3), put_u64(&m, 0), put_u64(&m, 1);
        put_key(&m, "k", x->kind), put(&m, &x->bits, gguf_kind_size(x->kind));
        assert_int_equal(open_bytes_of(&m, m.size, &g, &copy, &e), OK);
        enum status su = gguf_get_u64(g, "k", 0, UINT64_MAX, &u, &e);
        if ((su == OK) != x->as_u64 || (su == OK && u != x->u))
            fail_msg("numbers[%zu] as u64: got %d %lu, want %d %lu", i, su == OK, u, x->as_u64, x->u);
        if (su != OK) assert_true(u == 12345 && strstr(e.text, "the.gguf: key \"k\": is "));
        enum status sf = gguf_get_f64(g, "k", -1e300, 1e300, &f, &e);
        if ((sf == OK) != x->as_f64 || (sf == OK && f != x->f))
            fail_msg("numbers[%zu] as f64: got %d %g, want %d %g", i, sf == OK, f, x->as_f64, x->f);
        gguf_close(&g);
        free(copy);
    }
}

static void expect_error(enum status s, const struct error *e, const char *text) {
    assert_int_equal(s, ERR_INPUT);
    if (strcmp(e->text, text) != 0) fail_msg("got  %s\nwant %s", e->text, text);
}

static void getters_name_file_key_and_range(void **state) {
    (void)state;
    struct image m;
    struct gguf *g;
    struct error e = {""};
    struct gguf_string s;
    enum gguf_kind kind;
    uint64_t u;
    double f;
    bool b;
    size_t n;
    void *copy;
    make_good(&m);
    assert_int_equal(open_bytes_of(&m, m.size, &g, &copy, &e), OK);
    expect_error(gguf_get_u64(g, "test.b", 8, 9, &u, &e), &e,
                 "the.gguf: key \"test.b\": is 7; wanted is an integer in [8, 9]");
    expect_error(gguf_get_u64(g, "test.b", 0, 6, &u, &e), &e,
                 "the.gguf: key \"test.b\": is 7; wanted is an integer in [0, 6]");
    expect_error(gguf_get_u64(g, "no", 0, 6, &u, &e), &e,
                 "the.gguf: key \"no\": missing; wanted is an integer in [0, 6]");
    expect_error(gguf_get_u64(g, "test.a", 0, 6, &u, &e), &e,
                 "the.gguf: key \"test.a\": has type string; wanted is an integer in [0, 6]");
    expect_error(gguf_get_u64(g, "yes", 0, 6, &u, &e), &e,
                 "the.gguf: key \"yes\": has type bool; wanted is an integer in [0, 6]");
    expect_error(gguf_get_f64(g, "test.b", 0, 6.5, &f, &e), &e,
                 "the.gguf: key \"test.b\": is 7; wanted is a number in [0, 6.5]");
    expect_error(gguf_get_string(g, "test.b", &s, &e), &e, "the.gguf: key \"test.b\": has type u32; wanted is string");
    expect_error(gguf_get_array(g, "test.b", &kind, &n, &e), &e,
                 "the.gguf: key \"test.b\": has type u32; wanted is array");
    expect_error(gguf_get_array(g, "no", &kind, &n, &e), &e,
                 "the.gguf: key \"no\": missing; wanted is a value of type array");
    expect_error(gguf_get_u64_or(g, "test.b", 0, 6, 3, &u, &e), &e,
                 "the.gguf: key \"test.b\": is 7; wanted is an integer in [0, 6]");
    expect_error(gguf_get_f64_or(g, "test.a", 0, 6, 3, &f, &e), &e,
                 "the.gguf: key \"test.a\": has type string; wanted is a number in [0, 6]");
    expect_error(gguf_get_bool_or(g, "test.b", true, &b, &e), &e,
                 "the.gguf: key \"test.b\": has type u32; wanted is bool");
    assert_true(gguf_get_u64_or(g, "no", 0, 6, 99, &u, &e) == OK && u == 99);
    assert_true(gguf_get_f64_or(g, "no", 0, 6, 0.25, &f, &e) == OK && f == 0.25);
    assert_true(gguf_get_bool_or(g, "no", true, &b, &e) == OK && b);
    gguf_close(&g);
    free(copy);
}

/* ---- print ---- */

static void print_escapes_untrusted_text(void **state) {
    (void)state;
    struct image m = {.size = 0};
    struct gguf *g;
    struct error e = {""};
    void *copy;
    char *text;
    size_t size;
    put(&m, "GGUF", 4), put_u32(&m, 3), put_u64(&m, 1), put_u64(&m, 4);
    put_key(&m, "k\n\x1b]0;x\x07", GGUF_STRING), put_text(&m, "caf\xc3\xa9 \"q\" \xc2\x9b\xe2\x80\xae\xff\r\x7f");
    put_key(&m, "a", GGUF_ARRAY), put_u32(&m, GGUF_STRING), put_u64(&m, 1), put_text(&m, "\x1b[2J");
    put_key(&m, "u", GGUF_U64), put_u64(&m, UINT64_MAX);
    put_key(&m, "b", GGUF_BOOL), put_u8(&m, 1);
    put_text(&m, "\x1bt"), put_u32(&m, 1), put_u64(&m, 1), put_u32(&m, TYPE_F32), put_u64(&m, 0);
    pad(&m, 32), put_f32(&m, 1);
    if (open_bytes_of(&m, m.size, &g, &copy, &e) != OK) fail_msg("%s", e.text);
    FILE *to = open_memstream(&text, &size);
    gguf_print(g, true, to);
    fclose(to);
    for (size_t i = 0; i < size; i++)
        if (((uint8_t)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7f)
            fail_msg("raw control at %zu: %s", i, text);
    static const char *const parts[] = {
        "k\\x0a\\x1b]0;x\\x07",
        "\"caf\xc3\xa9 \\\"q\\\" \\xc2\\x9b\\xe2\\x80\\xae\\xff\\x0d\\x7f\"",
        "\"\\x1b[2J\"",
        "18446744073709551615",
        "true",
        "\\x1bt",
        "F32      [1] 4 bytes",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i])) fail_msg("wanted %s in:\n%s", parts[i], text);
    free(text);
    gguf_close(&g);
    free(copy);
}

/* ---- files ---- */

static char folder[] = "/tmp/test_gguf_XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}
static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

static const char *in_folder(const char *name) {
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void write_bytes(const char *path, const void *p, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void expect_open(const char *path, enum status wanted, const char *text) {
    struct gguf *g;
    struct error e = {""};
    enum status s = gguf_open(path, &g, &e);
    if (s != wanted || g || strncmp(e.text, path, strlen(path)) != 0 || !strstr(e.text, text))
        fail_msg("%s: status %d (want %d), want \"%s\" in: %s", path, s, wanted, text, e.text);
}

static void opens_a_file(void **state) {
    (void)state;
    struct image m;
    struct gguf *g;
    struct error e = {""};
    const char *path = in_folder("good.gguf");
    make_good(&m);
    write_bytes(path, m.bytes, m.size);
    if (gguf_open(path, &g, &e) != OK) fail_msg("%s", e.text);
    unlink(path); /* the mapping needs no name */
    check_good(g);
    gguf_close(&g);
}

static void refuses_what_is_not_a_gguf_file(void **state) {
    (void)state;
    const char *path = in_folder("x");
    expect_open(folder, ERR_INPUT, ": is a directory");
    expect_open(path, ERR_IO, "No such file");
    write_bytes(path, "", 0);
    expect_open(path, ERR_INPUT, ": is empty");
    write_bytes(path, "GGU", 3);
    expect_open(path, ERR_INPUT, ": magic at byte 0: needs 4 x 1 bytes, 3 are left");
    write_bytes(path, "# Read me\n", 10);
    expect_open(path, ERR_INPUT, ": magic is \"# Re\"");
    if (geteuid() != 0) {
        chmod(path, 0);
        expect_open(path, ERR_IO, "Permission denied");
    }
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_open(path, ERR_INPUT, ": is not a regular file");
    unlink(path);
    assert_int_equal(symlink(path, path), 0);
    expect_open(path, ERR_IO, "symbolic links");
    unlink(path);
    expect_open("/dev/null", ERR_INPUT, ": is not a regular file");
}

/* A path longer than an error line: what is wrong must still fit on it. */
static void error_keeps_its_end_behind_a_long_path(void **state) {
    (void)state;
    struct gguf *g;
    struct error e = {""};
    char path[3000];
    memset(path, '/', sizeof path);
    strcpy(path + sizeof path - 8, "no.gguf");
    assert_int_equal(gguf_open(path, &g, &e), ERR_IO);
    assert_non_null(strstr(e.text, "no.gguf: cannot open: No such file"));
}

/* Files made by other programs. */
static void opens_reference_files(void **state) {
    (void)state;
    static const char *const patterns[] = {"", "arch", "tokenizers", "quant"};
    glob_t found = {0};
    if (!reference(".")) skip();
    for (int i = 0; i < 4; i++) {
        char pattern[700];
        snprintf(pattern, sizeof pattern, "%s/%s/*.gguf", reference("."), patterns[i]);
        glob(pattern, i ? GLOB_APPEND : 0, NULL, &found);
    }
    if (found.gl_pathc == 0) globfree(&found), skip();
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        struct gguf *g;
        struct error e = {""};
        enum status s = gguf_open(path, &g, &e);
        if (s == OK) read_everything(g);
        else if (!strstr(path, "/quant/") || !strstr(e.text, " is not known here; known are F32 "))
            fail_msg("%s: status %d, %s", path, s, e.text);
        gguf_close(&g);
    }
    globfree(&found);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(getters_convert_exact_values_only),
    cmocka_unit_test(getters_name_file_key_and_range),
    cmocka_unit_test(print_escapes_untrusted_text),
    cmocka_unit_test(opens_a_file),
    cmocka_unit_test(refuses_what_is_not_a_gguf_file),
    cmocka_unit_test(error_keeps_its_end_behind_a_long_path),
    cmocka_unit_test(opens_reference_files),
};

int main(void) { return cmocka_run_group_tests(tests, make_folder, remove_folder); }
