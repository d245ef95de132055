/* test_hostile_file.c: files that are no model, are cut, cannot be read, or change while they are in use, as a user meets
 * them; docs/HOSTILE.md lists all rows.
 * Not one wrong field at a time: test_gguf.c.
 * Next: test_hostile_model.c. */
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/child.h"

enum { NOBODY = 65534 };

/* A small policy with our vocabulary, so that every command has what it needs. */
static const char *policy(const char *name) {
    struct model_config c = tiny_config(2, 16, 2, 1, 16);
    c.n_vocab = VOCAB_SIZE;
    struct net *n = tiny_net(&c, NET_LM, 5);
    const char *path = tiny_path(name);
    tiny_write(n, TYPE_F16, true, path);
    net_free(&n);
    return path;
}

static void write_file(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static uint8_t *read_file(const char *path, size_t *size) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    *size = (size_t)st.st_size;
    uint8_t *data = malloc(*size);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

/* ---- F1 ---- */

/* A whole model: every byte of what is read at opening, and every 61st of the weights, of which all must be there. */
static void f01_model_cut_at_every_byte(void **state) {
    (void)state;
    size_t size, data_at = 0;
    uint8_t *whole = read_file(policy("whole.gguf"), &size), *copy;
    struct gguf *g;
    struct error e;
    GOOD(gguf_open(tiny_path("whole.gguf"), &g, &e));
    const struct gguf_tensor *first = gguf_tensor_at(g, 0), *last = gguf_tensor_at(g, gguf_n_tensors(g) - 1);
    size_t end = (size_t)((const uint8_t *)last->data - (const uint8_t *)first->data) + last->size_bytes;
    while (memcmp(whole + data_at, first->data, first->size_bytes)) data_at++;
    gguf_close(&g);
    assert_true(data_at + end <= size && data_at > 1000);
    for (size_t cut = 0; cut < data_at + end; cut += cut < data_at ? 1 : 61) {
        assert_int_equal(posix_memalign((void **)&copy, 64, cut ? cut : 1), 0);
        memcpy(copy, whole, cut);
        *e.text = 0;
        enum status s = gguf_open_memory(copy, cut, "the.gguf", &g, &e);
        if (s != ERR_INPUT || g || strncmp(e.text, "the.gguf: ", 10) != 0)
            fail_msg("cut at byte %zu of %zu: status %d, \"%s\"", cut, size, s, e.text);
        free(copy);
    }
    free(whole);
}

/* ---- F2 ---- */

struct no_model {
    const char *name, *text; /* of the error */
};

static void make_no_models(void) {
    write_file(tiny_path("empty.gguf"), "", 0);
    write_file(tiny_path("text.gguf"), "# Read me\n", 10);
    write_file(tiny_path("bigend.gguf"), "FUGG\0\0\0\3", 8);
    write_file(tiny_path("bigversion.gguf"), "GGUF\0\0\0\3", 8);
    write_file(tiny_path("v0.gguf"), "GGUF\0\0\0", 8);
    write_file(tiny_path("v1.gguf"), "GGUF\1\0\0", 8);
    write_file(tiny_path("v99.gguf"), "GGUF\x63\0\0", 8);
    write_file(tiny_path("short.gguf"), "GGUF\3\0\0", 8);
    assert_int_equal(mkfifo(tiny_path("fifo.gguf"), 0600), 0);
    assert_int_equal(symlink(tiny_path("loop.gguf"), tiny_path("loop.gguf")), 0);
}

static void f02_no_model_at_all(void **state) {
    (void)state;
    static const struct no_model all[] = {
        {"missing.gguf", "No such file"},     {"empty.gguf", "is empty"},
        {"text.gguf", "magic is \"# Re\""},   {"bigend.gguf", "big-endian"},
        {"bigversion.gguf", "big-endian"},    {"v0.gguf", "version is 0; allowed are 2 and 3"},
        {"v1.gguf", "version is 1; allowed"}, {"v99.gguf", "version is 99; allowed"},
        {"short.gguf", "n_tensors"},          {"fifo.gguf", "not a regular file"},
        {"loop.gguf", "symbolic link"},
    };
    make_no_models();
    for (size_t i = 0; i < COUNT(all); i++) {
        struct child c;
        child_run(&c, NULL, CHILD("run", "-m", tiny_path(all[i].name), "-p", "x"));
        child_refused(&c, (const char *const[]){all[i].name, all[i].text, NULL});
    }
    struct child c; /* a folder may hold a model, but this one does not */
    child_run(&c, NULL, CHILD("run", "-m", tiny_folder, "-p", "x"));
    child_refused(&c, (const char *const[]){tiny_folder, NULL});
}

/* Opening a FIFO waits for its writer: no command may. */
static void f02_fifo_hangs_no_command(void **state) {
    (void)state;
    const char *fifo = tiny_path("fifo2.gguf");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    const char *const *const commands[] = {
        CHILD("run", "-m", fifo, "-p", "x"),
        CHILD("chat", "-m", fifo, "-p", "x"),
        CHILD("perplexity", "-m", fifo, "-f", "/dev/null"),
        CHILD("logits", "-m", fifo, "--tokens", "1", "-o", tiny_path("x.f32")),
        CHILD("tokenize", "-m", fifo, "-p", "x"),
        CHILD("inspect", "-m", fifo),
        CHILD("quantize", fifo, tiny_path("x.gguf"), "Q8_0"),
        CHILD("solve", "-m", fifo, "4 7 8 8"),
        CHILD("solve", "--prm", fifo, "4 7 8 8"),
    };
    for (size_t i = 0; i < COUNT(commands); i++) {
        struct child c;
        child_run(&c, NULL, commands[i]);
        child_refused(&c, (const char *const[]){"fifo2.gguf", "not a regular file", NULL});
    }
}

/* Runs f in a process of nobody's and gives its exit code. */
static int as_nobody(int (*f)(void)) {
    int status;
    assert_int_equal(chmod(tiny_folder, 0755), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        bool changed = geteuid() != 0 || (!setgroups(0, NULL) && !setgid(NOBODY) && !setuid(NOBODY));
        _exit(changed ? f() : 77);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int open_shut(void) {
    struct gguf *g;
    struct error e = {""};
    enum status s = gguf_open(tiny_path("shut.gguf"), &g, &e);
    return s == ERR_IO && !g && strstr(e.text, "shut.gguf: ") && strstr(e.text, "Permission denied") ? 0 : 1;
}

static void f02_no_permission(void **state) {
    (void)state;
    policy("shut.gguf");
    assert_int_equal(chmod(tiny_path("shut.gguf"), 0), 0);
    int code = as_nobody(open_shut);
    if (code == 77) skip();
    assert_int_equal(code, 0);
}

/* ---- F14 ---- */

/* A conversation that waits for its first line, with the model mapped. */
static void start_chat(struct child *c, const char *model) {
    child_start(c, true, NULL, CHILD("chat", "-m", model, "--chat-template", "chatml", "-n", "4", "-t", "2"));
    child_says("seed ");
}

static void end_chat(struct child *c) {
    assert_int_equal(write(c->in, "hi\n", 3), 3);
    child_end(c);
}

static void f14_truncated_while_mapped(void **state) {
    (void)state;
    const char *path = policy("cut short.gguf");
    struct child c;
    signal(SIGPIPE, SIG_IGN);
    start_chat(&c, path);
    assert_int_equal(truncate(path, 4096), 0);
    end_chat(&c);
    if (c.code != 1) fail_msg("exit code %d, expected 1: %s%s", c.code, c.out, c.err);
    if (!strstr(c.err, "/cut short.gguf: cut short while it was in use")) fail_msg("%s", c.err);
}

/* As `cp new old` does it: the same file emptied.  (Once it is as long again, nothing can tell: docs/HOSTILE.md.) */
static void f14_emptied_while_mapped(void **state) {
    (void)state;
    const char *path = policy("emptied.gguf");
    struct child c;
    start_chat(&c, path);
    assert_int_equal(truncate(path, 0), 0);
    end_chat(&c);
    if (c.code != 1) fail_msg("exit code %d, expected 1: %s%s", c.code, c.out, c.err);
    if (!strstr(c.err, "/emptied.gguf: cut short")) fail_msg("%s", c.err);
}

/* The mapping keeps the old file: nothing is lost. */
static void f14_replaced_by_rename_or_removed(void **state) {
    (void)state;
    struct child c;
    for (int removed = 0; removed < 2; removed++) {
        char path[600];
        snprintf(path, sizeof path, "%s", policy("old.gguf"));
        start_chat(&c, path);
        if (removed) assert_int_equal(unlink(path), 0);
        else assert_int_equal(rename(policy("new.gguf"), path), 0);
        end_chat(&c);
        if (c.code != 0) fail_msg("exit code %d, expected 0: %s%s", c.code, c.out, c.err);
    }
}

/* Every write to a file that would grow fails, as on a full disk; the answer goes to a pipe. */
static void no_room(void) {
    struct rlimit none = {0, 0};
    int to[2];
    if (pipe(to) || setrlimit(RLIMIT_FSIZE, &none)) _exit(126);
    dup2(to[1], 1), dup2(to[1], 2);
}

static void f14_full_disk_still_loads(void **state) {
    (void)state;
    struct child c;
    const char *path = policy("full.gguf");
    child_run(&c, no_room, CHILD("run", "-m", path, "-p", " 4 7", "-n", "4"));
    assert_int_equal(c.code, 0);
    child_run(&c, no_room, CHILD("inspect", "-m", path));
    assert_int_equal(c.code, 0);
    const char *out = tiny_path("no-room.gguf"); /* what must write says so, and leaves nothing behind */
    child_run(&c, no_room, CHILD("quantize", path, out, "Q8_0"));
    assert_int_equal(c.code, 1);
    assert_int_equal(access(out, F_OK), -1);
}

static int load_and_run(void) {
    struct gguf *g;
    struct model *m;
    struct team *team;
    struct engine *en;
    struct client *c;
    struct error e;
    float logits[VOCAB_SIZE];
    int32_t token = 3;
    struct engine_params p = {.n_pages = 2, .n_seqs = 2, .max_tokens = 16, .max_rows = 4};
    if (gguf_open(tiny_path("read-only.gguf"), &g, &e) || model_open(g, &m, &e) || team_new(1, &team, &e) ||
        engine_new(m, team, &p, &en, &e) || engine_client_new(en, NULL, &c, &e))
        return 1;
    struct span span = {.seq = engine_seq_new(c), .n_tokens = 1, .n_out = 1, .tokens = &token, .out = logits};
    return engine_run(c, &span, 1, NULL, &e) ? 1 : 0;
}

/* A file and a folder that the process may not write. */
static void f14_read_only_disk_still_loads(void **state) {
    (void)state;
    policy("read-only.gguf");
    assert_int_equal(chmod(tiny_path("read-only.gguf"), 0444), 0);
    int code = as_nobody(load_and_run);
    if (code == 77) skip();
    assert_int_equal(code, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f01_model_cut_at_every_byte),       cmocka_unit_test(f02_no_model_at_all),
        cmocka_unit_test(f02_fifo_hangs_no_command),         cmocka_unit_test(f02_no_permission),
        cmocka_unit_test(f14_truncated_while_mapped),        cmocka_unit_test(f14_emptied_while_mapped),
        cmocka_unit_test(f14_replaced_by_rename_or_removed), cmocka_unit_test(f14_full_disk_still_loads),
        cmocka_unit_test(f14_read_only_disk_still_loads),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
