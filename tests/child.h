/* child.h: runs the binary as a user would, with its streams in files and a clock that ends it.
 * Not for what a function call can test.
 * Next: test_hostile_file.c. */
#ifndef PONDER_TESTS_CHILD_H
#define PONDER_TESTS_CHILD_H

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/tiny_model.h"

enum { CHILD_SECONDS = 200, CHILD_ARGS = 32 };

struct child {
    pid_t pid;
    int in;                    /* write end of its standard input, or -1 */
    int code;                  /* exit code; 128 + signal; -1 when it had to be stopped */
    char out[4096], err[4096]; /* what it wrote, after child_end */
};

/* The binary that was built with this test: one folder up. */
static inline const char *child_binary(void) {
    static char path[600];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
    assert_true(n > 0);
    path[n] = 0;
    for (int i = 0; i < 2; i++) *strrchr(path, '/') = 0;
    strcat(path, "/ponder");
    if (access(path, X_OK)) skip();
    return path;
}

/* Where a stream goes, in the tests' folder. */
static inline const char *child_file(bool err) {
    static char paths[2][300];
    if (!*tiny_folder) tiny_path("");
    snprintf(paths[err], sizeof paths[err], "%s/child.%s", tiny_folder, err ? "err" : "out");
    return paths[err];
}

/* before: called in the child, NULL: nothing. */
static inline void child_start(struct child *c, bool with_in, void (*before)(void), const char *const *args) {
    const char *argv[CHILD_ARGS + 1] = {child_binary()}, *out = child_file(false), *err = child_file(true);
    int in[2];
    for (size_t i = 0; args[i]; i++) argv[i + 1] = args[i], assert_true(i + 2 < CHILD_ARGS);
    unlink(err); /* so that nobody reads the line of the run before */
    assert_int_equal(pipe(in), 0);
    fcntl(in[1], F_SETFD, FD_CLOEXEC);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        int o = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0666), e = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        dup2(in[0], 0), dup2(o, 1), dup2(e, 2);
        alarm(CHILD_SECONDS); /* survives exec: a hang ends by SIGALRM */
        if (before) before();
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(in[0]);
    c->in = in[1];
    if (!with_in) close(c->in), c->in = -1;
}

static inline void child_read(bool err, char *text, size_t cap) {
    FILE *f = fopen(child_file(err), "rb");
    text[f ? fread(text, 1, cap - 1, f) : 0] = 0;
    if (f) fclose(f);
}

static inline void child_end(struct child *c) {
    int status;
    if (c->in >= 0) close(c->in);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    c->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    child_read(false, c->out, sizeof c->out);
    child_read(true, c->err, sizeof c->err);
}

/* Waits until its standard error holds the text. */
static inline void child_says(const char *text) {
    char err[4096];
    for (int i = 0; i < 100 * CHILD_SECONDS; i++) {
        child_read(true, err, sizeof err);
        if (strstr(err, text)) return;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    fail_msg("the binary does not say \"%s\": %s", text, err);
}

static inline void child_run(struct child *c, void (*before)(void), const char *const *args) {
    child_start(c, false, before, args);
    child_end(c);
}
#define CHILD(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Exit code 1, nothing on stdout, and one line (after those of progress) that holds all the texts. */
static inline void child_refused(const struct child *c, const char *const *texts) {
    if (c->code != 1) fail_msg("exit code %d, expected 1; stdout: %s; stderr: %s", c->code, c->out, c->err);
    if (*c->out) fail_msg("stdout is not empty: %s", c->out);
    size_t n = strlen(c->err);
    const char *last = c->err;
    if (!n || c->err[n - 1] != '\n') fail_msg("no whole line on stderr: %s", c->err);
    for (const char *at = c->err; at + 1 < c->err + n; at++)
        if (*at == '\n') last = at + 1;
    for (; *texts; texts++)
        if (!strstr(last, *texts)) fail_msg("the last line does not say \"%s\": %s", *texts, c->err);
}

#endif
