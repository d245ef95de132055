/* test_gguf_write.c: the GGUF writer: exact bytes, round trips, refusals, and every failure of disk and memory.
 * Not the reader's checks: test_gguf.c.
 * Next: weights/gguf_write.c. */
#include "tests/gguf_image.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the disk: the writer's system calls come through here, and one of them can be made to fail ---- */

static struct disk {
    int calls;        /* since the last reset */
    int fail_at;      /* 1-based; 0: never */
    int error;        /* errno of the failure; 0: kill this process instead */
    size_t most;      /* bytes that one write takes; 0: all */
    bool interrupted; /* every second write gives EINTR */
    char last[4];     /* the last three calls: w(rite), f(sync), r(ename) */
} disk;

static bool call_fails(char call) {
    memmove(disk.last, disk.last + 1, 2);
    disk.last[2] = call;
    if (++disk.calls != disk.fail_at) return false;
    if (disk.error == 0) raise(SIGKILL);
    errno = disk.error;
    return true;
}

ssize_t write(int fd, const void *p, size_t n) {
    if (call_fails('w')) return -1;
    if (disk.interrupted && disk.calls % 2) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_write, fd, p, disk.most && n > disk.most ? disk.most : n);
}
int fsync(int fd) { return call_fails('f') ? -1 : (int)syscall(SYS_fsync, fd); }
int rename(const char *from, const char *to) {
    return call_fails('r') ? -1 : (int)syscall(SYS_renameat2, -100 /* AT_FDCWD */, from, -100, to, 0);
}

static char folder[] = "/tmp/test_gguf_write_XXXXXX";
static char path[64];

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    return 0;
}
static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails if a temporary file was left */
}
static int reset_disk(void **state) {
    (void)state;
    memset(&disk, 0, sizeof disk);
    mem_fail_at(0, false);
    return 0;
}

static int n_files(void) {
    int n = 0;
    DIR *d = opendir(folder);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

struct content {
    uint8_t bytes[8192];
    size_t size;
};

static struct content read_file(void) {
    struct content c;
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s: %s", path, strerror(errno));
    c.size = fread(c.bytes, 1, sizeof c.bytes, f);
    fclose(f);
    return c;
}

static bool same(const struct content *a, const struct content *b) {
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* ---- what is written ---- */

static const float weights_f32[15] = {1, -2, 3.5f, 0, 1e-30f, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
static const uint16_t weights_f16[8] = {0x3c00, 1, 2, 3, 4, 5, 6, 7};
static uint8_t weights_q8[2 * 34] = {1, 2, 3};

/* One of every kind; `seed` makes two different files. */
static struct gguf_writer *collect(uint32_t seed, struct error *e) {
    static const char *const words[] = {"<unk>", "", "caf\xc3\xa9"};
    static const int32_t ints[] = {-1, INT32_MAX, INT32_MIN};
    static const float floats[] = {0.1f, -0.0f};
    struct gguf_writer *w;
    if (gguf_writer_new(&w, e) != OK) return NULL;
    gguf_add_string(w, "general.architecture", "llama");
    gguf_add_u32(w, "general.alignment", 32);
    gguf_add_u32(w, "seed", seed);
    gguf_add_f32(w, "eps", 1e-5f);
    gguf_add_bool(w, "yes", true);
    gguf_add_bool(w, "no", false);
    gguf_add_strings(w, "words", words, 3);
    gguf_add_strings(w, "none", words, 0);
    gguf_add_i32s(w, "ints", ints, 3);
    gguf_add_f32s(w, "floats", floats, 2);
    gguf_add_tensor(w, "f32", TYPE_F32, 2, (const uint64_t[]){3, 5}, weights_f32);
    gguf_add_tensor(w, "f16", TYPE_F16, 4, (const uint64_t[]){2, 1, 2, 2}, weights_f16);
    gguf_add_tensor(w, "a.name.of.63.bytes.is.the.longest.that.llama.cpp.reads.from.us.", TYPE_Q8_0, 1,
                    (const uint64_t[]){64}, weights_q8);
    return w;
}

static enum status write_once(uint32_t seed, struct error *e) {
    struct gguf_writer *w = collect(seed, e);
    if (!w) return ERR_MEMORY;
    enum status s = gguf_write(w, path, e);
    gguf_writer_free(&w);
    assert_null(w);
    return s;
}

static struct content content_of(uint32_t seed) {
    struct error e = {""};
    if (write_once(seed, &e) != OK) fail_msg("%s", e.text);
    return read_file();
}

static void check_text(struct gguf_string s, const char *text) {
    assert_int_equal(s.size, strlen(text));
    assert_memory_equal(s.data, text, s.size);
}

static void check_tensor(const struct gguf *g, size_t i, const char *name, enum tensor_type type,
                         const uint64_t dims[4], const void *data, size_t size) {
    const struct gguf_tensor *t = gguf_find(g, name);
    assert_ptr_equal(t, gguf_tensor_at(g, i));
    assert_int_equal(t->type, type);
    assert_memory_equal(t->dims, dims, 4 * sizeof *dims);
    assert_int_equal(t->size_bytes, size);
    assert_int_equal((uintptr_t)t->data % 32, 0);
    assert_memory_equal(t->data, data, size);
}

static void round_trip_of_every_kind(void **state) {
    (void)state;
    struct error e = {""};
    struct gguf_string s;
    struct gguf *g;
    enum gguf_kind kind;
    uint64_t u;
    double f;
    size_t n;
    bool yes = false, no = true;
    content_of(41);
    if (gguf_open(path, &g, &e) != OK) fail_msg("%s", e.text);
    assert_int_equal(gguf_get_string(g, "general.architecture", &s, &e), OK);
    check_text(s, "llama");
    assert_true(gguf_get_u64(g, "seed", 0, 99, &u, &e) == OK && u == 41);
    assert_true(gguf_get_f64(g, "eps", 0, 1, &f, &e) == OK && f == (double)1e-5f);
    assert_true(gguf_get_bool_or(g, "yes", false, &yes, &e) == OK && yes);
    assert_true(gguf_get_bool_or(g, "no", true, &no, &e) == OK && !no);
    assert_true(gguf_get_array(g, "words", &kind, &n, &e) == OK && kind == GGUF_STRING && n == 3);
    check_text(gguf_array_string(g, "words", 0), "<unk>");
    check_text(gguf_array_string(g, "words", 1), "");
    check_text(gguf_array_string(g, "words", 2), "caf\xc3\xa9");
    assert_true(gguf_get_array(g, "none", &kind, &n, &e) == OK && kind == GGUF_STRING && n == 0);
    assert_true(gguf_get_array(g, "ints", &kind, &n, &e) == OK && kind == GGUF_I32 && n == 3);
    assert_true(gguf_array_f64(g, "ints", 0) == -1 && gguf_array_f64(g, "ints", 1) == INT32_MAX);
    assert_true(gguf_array_f64(g, "ints", 2) == INT32_MIN);
    assert_true(gguf_get_array(g, "floats", &kind, &n, &e) == OK && kind == GGUF_F32 && n == 2);
    assert_true(gguf_array_f64(g, "floats", 0) == (double)0.1f && gguf_array_f64(g, "floats", 1) == 0);
    assert_int_equal(gguf_n_tensors(g), 3);
    check_tensor(g, 0, "f32", TYPE_F32, (uint64_t[]){3, 5, 1, 1}, weights_f32, sizeof weights_f32);
    check_tensor(g, 1, "f16", TYPE_F16, (uint64_t[]){2, 1, 2, 2}, weights_f16, sizeof weights_f16);
    check_tensor(g, 2, "a.name.of.63.bytes.is.the.longest.that.llama.cpp.reads.from.us.", TYPE_Q8_0,
                 (uint64_t[]){64, 1, 1, 1}, weights_q8, sizeof weights_q8);
    read_everything(g);
    gguf_close(&g);
}

/* Against bytes put down by hand, field by field, from the format's text. */
static void bytes_are_exactly_the_format(void **state) {
    (void)state;
    struct error e = {""};
    struct gguf_writer *w;
    struct image m = {.size = 0};
    assert_int_equal(gguf_writer_new(&w, &e), OK);
    gguf_add_u32(w, "n", 7);
    gguf_add_strings(w, "s", (const char *const[]){"ab"}, 1);
    gguf_add_bool(w, "b", true);
    gguf_add_tensor(w, "t", TYPE_F32, 2, (const uint64_t[]){3, 3}, weights_f32);
    gguf_add_tensor(w, "u", TYPE_F16, 1, (const uint64_t[]){8}, weights_f16);
    if (gguf_write(w, path, &e) != OK) fail_msg("%s", e.text);
    gguf_writer_free(&w);
    put(&m, "GGUF", 4), put_u32(&m, 3), put_u64(&m, 2), put_u64(&m, 3);
    put_key(&m, "n", 4), put_u32(&m, 7);
    put_key(&m, "s", 9), put_u32(&m, 8), put_u64(&m, 1), put_text(&m, "ab");
    put_key(&m, "b", 7), put_u8(&m, 1);
    put_text(&m, "t"), put_u32(&m, 2), put_u64(&m, 3), put_u64(&m, 3), put_u32(&m, 0), put_u64(&m, 0);
    put_text(&m, "u"), put_u32(&m, 1), put_u64(&m, 8), put_u32(&m, 1), put_u64(&m, 64);
    pad(&m, 32);
    size_t data_at = m.size;
    put(&m, weights_f32, 36);
    pad(&m, 32);
    assert_int_equal(m.size - data_at, 64);
    put(&m, weights_f16, 16);
    pad(&m, 32);
    struct content c = read_file();
    assert_int_equal(c.size, m.size);
    for (size_t i = 0; i < m.size; i++)
        if (c.bytes[i] != m.bytes[i]) fail_msg("byte %zu is %d, want %d", i, c.bytes[i], m.bytes[i]);
}

static void same_calls_same_bytes(void **state) {
    (void)state;
    struct content a = content_of(1), b = content_of(2), c = content_of(1);
    assert_true(same(&a, &c));
    assert_false(same(&a, &b));
}

static void an_empty_file_is_a_file(void **state) {
    (void)state;
    struct error e = {""};
    struct gguf_writer *w;
    struct gguf *g;
    assert_int_equal(gguf_writer_new(&w, &e), OK);
    if (gguf_write(w, path, &e) != OK) fail_msg("%s", e.text);
    gguf_writer_free(&w);
    gguf_writer_free(&w); /* again: allowed */
    if (gguf_open(path, &g, &e) != OK) fail_msg("%s", e.text);
    assert_int_equal(gguf_n_tensors(g), 0);
    gguf_close(&g);
}

static void many_tensors_and_long_arrays(void **state) {
    (void)state;
    enum { N = 1000, WORDS = 50000 };
    struct error e = {""};
    struct gguf_writer *w;
    struct gguf *g;
    char name[32];
    float *data = malloc(N * sizeof *data);
    char **words = malloc(WORDS * sizeof *words);
    for (size_t i = 0; i < WORDS; i++) {
        words[i] = malloc(16);
        snprintf(words[i], 16, "word%zu", i);
    }
    assert_int_equal(gguf_writer_new(&w, &e), OK);
    gguf_add_strings(w, "words", (const char *const *)words, WORDS);
    for (int i = 0; i < N; i++) {
        data[i] = (float)i;
        snprintf(name, sizeof name, "blk.%d.w", i);
        gguf_add_tensor(w, name, TYPE_F32, 1, (const uint64_t[]){1}, &data[i]);
    }
    if (gguf_write(w, path, &e) != OK) fail_msg("%s", e.text);
    gguf_writer_free(&w);
    if (gguf_open(path, &g, &e) != OK) fail_msg("%s", e.text);
    for (size_t i = 0; i < WORDS; i++) check_text(gguf_array_string(g, "words", i), words[i]);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "blk.%d.w", i);
        assert_true(*(const float *)gguf_find(g, name)->data == (float)i);
    }
    gguf_close(&g);
    for (size_t i = 0; i < WORDS; i++) free(words[i]);
    free(words);
    free(data);
}

/* ---- refusals ---- */

static void expect_refusal(struct gguf_writer *w, const char *text) {
    struct error e = {""};
    struct content before = content_of(3), after;
    enum status s = gguf_write(w, path, &e);
    assert_int_equal(s, ERR_INPUT);
    if (!strstr(e.text, text) || !strstr(e.text, "m.gguf: ")) fail_msg("wanted \"%s\" in: %s", text, e.text);
    gguf_writer_free(&w);
    after = read_file();
    assert_true(same(&before, &after));
    assert_int_equal(n_files(), 1);
}

static struct gguf_writer *new_writer(void) {
    struct error e;
    struct gguf_writer *w;
    assert_int_equal(gguf_writer_new(&w, &e), OK);
    return w;
}

static void refuse_tensor(const char *name, uint32_t type, uint32_t n_dims, const uint64_t *dims, const char *text) {
    struct gguf_writer *w = new_writer();
    gguf_add_tensor(w, name, (enum tensor_type)type, n_dims, dims, weights_f32);
    gguf_add_u32(w, "later", 1); /* the first failure is the one that is told */
    gguf_add_u32(w, "", 1);
    expect_refusal(w, text);
}

static void refuses_bad_tensors(void **state) {
    (void)state;
    const uint64_t good[] = {32, 1, 1, 1}, zero[] = {0, 1}, zero_1[] = {32, 0}, odd[] = {33, 1};
    const uint64_t wraps[] = {32, 1ull << 62}, row_wraps[] = {1ull << 63, 1}, sum_wraps[] = {(1ull << 62) - 1, 1};
    refuse_tensor("", TYPE_F32, 1, good, "tensor \"\": name of 0 bytes; allowed are 1 to 63");
    refuse_tensor("a.name.of.64.bytes.is.one.too.long.for.llama.cpp.so.we.refuse.it", TYPE_F32, 1, good, "of 64 bytes");
    refuse_tensor("t", 4, 1, good, "tensor \"t\": unknown type 4");
    refuse_tensor("t", 77, 1, good, "tensor \"t\": unknown type 77");
    refuse_tensor("t", TYPE_F32, 0, good, "tensor \"t\": n_dims is 0; allowed are 1 to 4");
    refuse_tensor("t", TYPE_F32, 5, good, "tensor \"t\": n_dims is 5; allowed are 1 to 4");
    refuse_tensor("t", TYPE_F32, 2, zero, "tensor \"t\": dims[0] is 0;");
    refuse_tensor("t", TYPE_F32, 2, zero_1, "tensor \"t\": dims[1] is 0;");
    refuse_tensor("t", TYPE_Q8_0, 2, odd, "tensor \"t\": dims[0] is 33; Q8_0 needs a positive multiple of 32");
    refuse_tensor("t", TYPE_F32, 2, wraps, "tensor \"t\": dims[1] is 4611686018427387904;");
    refuse_tensor("t", TYPE_F32, 2, row_wraps, "tensor \"t\": dims[0] is 9223372036854775808;");
    refuse_tensor("t", TYPE_F32, 2, sum_wraps, "tensor \"t\": the sum of all sizes overflows");
}

static void refuses_bad_keys(void **state) {
    (void)state;
    struct gguf_writer *w = new_writer();
    gguf_add_u32(w, "", 1);
    expect_refusal(w, "key \"\": 0 bytes long; allowed are 1 to 65535");
    char *key = malloc(65537);
    memset(key, 'k', 65536);
    key[65536] = '\0';
    w = new_writer();
    gguf_add_u32(w, key, 1);
    free(key);
    expect_refusal(w, "kkk...\": 65536 bytes long");
    w = new_writer();
    gguf_add_u32(w, "general.alignment", 64);
    expect_refusal(w, "key \"general.alignment\": is 64; this writer aligns to 32");
    w = new_writer();
    gguf_add_f32(w, "general.alignment", 32);
    expect_refusal(w, "key \"general.alignment\": has another type than u32");
}

static void refuses_duplicates(void **state) {
    (void)state;
    struct gguf_writer *w = new_writer();
    gguf_add_u32(w, "a.b", 1);
    gguf_add_string(w, "c", "a.b");
    gguf_add_bool(w, "a.b", true);
    expect_refusal(w, "key \"a.b\": added twice");
    w = new_writer();
    for (int i = 0; i < 2; i++) gguf_add_tensor(w, "w\x1b", TYPE_F32, 1, (const uint64_t[]){1}, weights_f32);
    expect_refusal(w, "tensor \"w\\x1b\": added twice");
}

static void expect_write_error(const char *to, enum status wanted, const char *text) {
    struct error e = {""};
    struct gguf_writer *w = new_writer();
    enum status s = gguf_write(w, to, &e);
    gguf_writer_free(&w);
    if (s != wanted || !strstr(e.text, to) || !strstr(e.text, text))
        fail_msg("%s: status %d, wanted \"%s\" in: %s", to, s, text, e.text);
}

/* As root, a rename over /dev/null would take it away from everybody. */
static void refuses_targets_that_are_no_files(void **state) {
    (void)state;
    char missing[96];
    struct stat st;
    snprintf(missing, sizeof missing, "%s/no/m.gguf", folder);
    expect_write_error(folder, ERR_INPUT, "exists and is not a regular file");
    expect_write_error("/dev/null", ERR_INPUT, "exists and is not a regular file");
    expect_write_error(missing, ERR_IO, "cannot create it: No such file or directory");
    assert_true(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
}

/* ---- failures ---- */

/* What a power cut needs: the bytes on disk before the rename, and the rename after it. */
static void syncs_before_and_after_the_rename(void **state) {
    (void)state;
    content_of(1);
    assert_string_equal(disk.last, "frf");
}

/* Each system call fails once, with each error: the old file stays as it was until the rename, the new one is whole
 * after it, nothing else is left in the folder, and the next try succeeds. */
static void survives_each_failed_call(void **state) {
    (void)state;
    static const int errors[] = {EIO, ENOSPC};
    const struct content new = content_of(2), old = content_of(1);
    for (int i = 0; i < 2; i++) {
        int at = 0, kept = 0;
        enum status s;
        do {
            struct error e = {""};
            content_of(1);
            disk = (struct disk){.fail_at = ++at, .error = errors[i]};
            s = write_once(2, &e);
            disk.fail_at = 0;
            struct content now = read_file();
            kept += same(&now, &old);
            if (!same(&now, &old) && !same(&now, &new)) fail_msg("call %d: neither the old nor the new file", at);
            if (s != OK && (s != ERR_IO || !strstr(e.text, strerror(errors[i])) || !strstr(e.text, path)))
                fail_msg("call %d: status %d, %s", at, s, e.text);
            if (n_files() != 1) fail_msg("call %d left a temporary file", at);
        } while (s != OK);
        assert_int_equal(kept, at - 2); /* all but the fsync of the folder, and the success */
        assert_true(at > 10);
    }
}

/* The process dies at each call.  What a reader finds is the old or the new file; a temporary file may be left. */
static void survives_a_kill_at_each_call(void **state) {
    (void)state;
    const struct content new = content_of(2), old = content_of(1);
    int at = 0, status;
    do {
        content_of(1);
        pid_t child = fork();
        if (child == 0) {
            struct error e;
            disk = (struct disk){.fail_at = at + 1, .error = 0};
            _exit(write_once(2, &e));
        }
        at++;
        assert_int_equal(waitpid(child, &status, 0), child);
        struct content now = read_file();
        if (!same(&now, &old) && !same(&now, &new)) fail_msg("call %d: neither the old nor the new file", at);
        char temp[96];
        snprintf(temp, sizeof temp, "%s.%ld-0.tmp", path, (long)child);
        unlink(temp);
        assert_int_equal(n_files(), 1);
    } while (WIFSIGNALED(status));
    assert_int_equal(WEXITSTATUS(status), OK);
    assert_true(at > 10);
}

static void survives_short_and_interrupted_writes(void **state) {
    (void)state;
    const struct content want = content_of(5);
    struct error e = {""};
    disk = (struct disk){.most = 7, .interrupted = true};
    if (write_once(5, &e) != OK) fail_msg("%s", e.text);
    assert_true(disk.calls > 100);
    disk = (struct disk){0};
    struct content got = read_file();
    assert_true(same(&got, &want));
}

static void survives_failed_allocations(void **state) {
    (void)state;
    const struct content new = content_of(2), old = content_of(1);
    for (int mode = 0; mode < 2; mode++) {
        size_t n = 0;
        enum status s;
        do {
            struct error e = {""};
            content_of(1);
            mem_fail_at(++n, mode);
            s = write_once(2, &e);
            mem_fail_at(0, false);
            struct content now = read_file();
            if (!same(&now, s == OK ? &new : &old)) fail_msg("allocation %zu: the wrong file", n);
            if (s != OK && (s != ERR_MEMORY || !strstr(e.text, "no memory"))) fail_msg("allocation %zu: %s", n, e.text);
            assert_int_equal(n_files(), 1);
        } while (s != OK);
        assert_true(n > 8);
    }
}

/* gguf_write itself can be repeated after it ran out of memory or disk. */
static void a_failed_write_can_be_repeated(void **state) {
    (void)state;
    const struct content want = content_of(6);
    struct error e = {""};
    struct gguf_writer *w = collect(6, &e);
    mem_fail_at(1, true);
    assert_int_equal(gguf_write(w, path, &e), ERR_MEMORY);
    mem_fail_at(0, false);
    disk = (struct disk){.fail_at = 3, .error = ENOSPC};
    assert_int_equal(gguf_write(w, path, &e), ERR_IO);
    disk = (struct disk){0};
    if (gguf_write(w, path, &e) != OK) fail_msg("%s", e.text);
    gguf_writer_free(&w);
    struct content got = read_file();
    assert_true(same(&got, &want));
}

#define TEST(f) cmocka_unit_test_setup(f, reset_disk)

static const struct CMUnitTest tests[] = {
    TEST(round_trip_of_every_kind),
    TEST(bytes_are_exactly_the_format),
    TEST(same_calls_same_bytes),
    TEST(an_empty_file_is_a_file),
    TEST(many_tensors_and_long_arrays),
    TEST(refuses_bad_tensors),
    TEST(refuses_bad_keys),
    TEST(refuses_duplicates),
    TEST(refuses_targets_that_are_no_files),
    TEST(syncs_before_and_after_the_rename),
    TEST(survives_each_failed_call),
    TEST(survives_a_kill_at_each_call),
    TEST(survives_short_and_interrupted_writes),
    TEST(survives_failed_allocations),
    TEST(a_failed_write_can_be_repeated),
};

int main(void) { return cmocka_run_group_tests(tests, make_folder, remove_folder); }
