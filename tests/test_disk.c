/* test_disk.c: what results and checkpoints do when the disk fails: short writes, interruptions, fsync and rename that fail.
 * Not GGUF files: test_gguf_write.c.  Not a full disk under a whole command: cli.sh.
 * Next: solve/results.c, train/checkpoint.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/tiny_model.h"

#include "solve/results.h"
#include "train/checkpoint.h"

/* ---- the disk: system calls of the library come through here, and one of them can be made to fail ---- */

static struct disk {
    int calls;        /* since the last reset */
    int fail_at;      /* 1-based; 0: never */
    int error;        /* errno of the failure */
    size_t most;      /* bytes that one write takes; 0: all */
    bool interrupted; /* every second write gives EINTR */
} disk;

static bool call_fails(void) {
    if (++disk.calls != disk.fail_at) return false;
    errno = disk.error;
    return true;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at) {
    if (call_fails()) return -1;
    if (disk.interrupted && disk.calls % 2) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, p, disk.most && n > disk.most ? disk.most : n, at);
}
int fsync(int fd) { return call_fails() ? -1 : (int)syscall(SYS_fsync, fd); }
int rename(const char *from, const char *to) {
    return call_fails() ? -1 : (int)syscall(SYS_renameat2, -100 /* AT_FDCWD */, from, -100, to, 0);
}

static int reset_disk(void **state) {
    (void)state;
    memset(&disk, 0, sizeof disk);
    return 0;
}

/* ---- results ---- */

#define HEADER "{\"format\":\"ponder-results\",\"version\":1}\n"

static void holds(const char *path, const char *want) {
    char text[4096] = "";
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    assert_string_equal(text, want);
}

static void open_results(const char *path, struct results *r) {
    struct error e;
    json_t *header = json_pack("{s:s,s:i}", "format", "ponder-results", "version", 1);
    GOOD(results_open(path, header, r, &e));
    json_decref(header);
}

static enum status append(struct results *r, const char *id, struct error *e) {
    json_t *line = json_pack("{s:s,s:s}", "id", id, "text", "forty characters, so that it takes a few");
    enum status s = results_append(r, line, e);
    json_decref(line);
    return s;
}
#define LINE(id) "{\"id\":\"" id "\",\"text\":\"forty characters, so that it takes a few\"}\n"

static void y02_short_and_interrupted_writes_lose_nothing(void **state) {
    (void)state;
    struct results r;
    struct error e;
    const char *path = tiny_path("short.results");
    unlink(path);
    disk.most = 7, disk.interrupted = true;
    open_results(path, &r);
    GOOD(append(&r, "1", &e));
    GOOD(append(&r, "2", &e));
    results_close(&r);
    assert_true(disk.calls > 40);
    holds(path, HEADER LINE("1") LINE("2"));
}

/* Each call of an append fails, with each error: the line is not there, all before it is, and the next one fits on. */
static void y02_a_line_is_there_or_not(void **state) {
    (void)state;
    static const int errors[] = {ENOSPC, EIO, EDQUOT};
    for (size_t k = 0; k < COUNT(errors); k++)
        for (int at = 1;; at++) {
            struct results r;
            struct error e;
            const char *path = tiny_path("line.results");
            unlink(path);
            open_results(path, &r);
            GOOD(append(&r, "1", &e));
            reset_disk(NULL);
            disk.most = 20, disk.fail_at = at, disk.error = errors[k];
            enum status s = append(&r, "2", &e);
            bool reached = disk.calls >= at;
            reset_disk(NULL);
            assert_int_equal(s, reached ? ERR_IO : OK);
            if (reached && !strstr(e.text, strerror(errors[k]))) fail_msg("call %d: %s", at, e.text);
            holds(path, reached ? HEADER LINE("1") : HEADER LINE("1") LINE("2"));
            GOOD(append(&r, "3", &e));
            results_close(&r);
            holds(path, reached ? HEADER LINE("1") LINE("3") : HEADER LINE("1") LINE("2") LINE("3"));
            if (!reached) {
                assert_true(at > 4); /* writes, and the fsync */
                break;
            }
        }
}

/* ---- checkpoints ---- */

static void y02_a_checkpoint_is_the_new_or_the_old_one(void **state) {
    (void)state;
    struct model_config c = tiny_config(1, 8, 2, 1, 8);
    struct net *n = tiny_net(&c, NET_LM, 3);
    struct adamw adamw;
    struct error e;
    char path[256], other[300];
    GOOD(adamw_new(n, &adamw, &e));
    snprintf(path, sizeof path, "%s", tiny_path("disk.ckpt"));
    for (int at = 1;; at++) {
        struct checkpoint k = {.path = path, .net = n, .adamw = &adamw, .seed = 1, .step = 1};
        bool found;
        unlink(path);
        snprintf(other, sizeof other, "%s.prev", path), unlink(other);
        reset_disk(NULL);
        GOOD(checkpoint_save(&k, &e));
        disk.calls = 0, disk.fail_at = at, disk.error = EIO, k.step = 2;
        enum status s = checkpoint_save(&k, &e);
        bool reached = disk.calls >= at;
        reset_disk(NULL);
        assert_int_equal(s, reached ? ERR_IO : OK);
        GOOD(checkpoint_load(&k, &found, &e));
        assert_true(found);
        assert_int_equal(k.step, reached ? 1 : 2);
        k.step = 3;
        GOOD(checkpoint_save(&k, &e)); /* the next one is not in the way of what is left */
        GOOD(checkpoint_load(&k, &found, &e));
        assert_int_equal(k.step, 3);
        if (!reached) {
            assert_int_equal(at, 4); /* fsync and two renames */
            break;
        }
    }
    adamw_free(&adamw), net_free(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(y02_short_and_interrupted_writes_lose_nothing, reset_disk),
        cmocka_unit_test_setup(y02_a_line_is_there_or_not, reset_disk),
        cmocka_unit_test_setup(y02_a_checkpoint_is_the_new_or_the_old_one, reset_disk),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
