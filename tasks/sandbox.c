/* sandbox.c: see sandbox.h.
 * Not the namespaces: bubblewrap makes them.
 * Next: code.c. */
#include "tasks/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/mem.h"

/* ---- no new processes ---- */

/* RLIMIT_NPROC does not bind root, so the system calls themselves are refused: fork and vfork, clone without
 * CLONE_THREAD; clone3, whose flags a filter cannot see, is said not to exist, so that libraries take clone. */
#define AT(field) (uint32_t) offsetof(struct seccomp_data, field)
#define REFUSE(errno_) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (errno_))
#define ON(number, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), action
#ifdef __x86_64__
#define OWN_ARCH AUDIT_ARCH_X86_64
#define OLD_CALLS ON(__NR_fork, REFUSE(EPERM)), ON(__NR_vfork, REFUSE(EPERM)),
#else
#define OWN_ARCH AUDIT_ARCH_AARCH64
#define OLD_CALLS
#endif
/* clang-format off */
static const struct sock_filter no_processes[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT(arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT(nr)),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* the calls of x32 */
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    OLD_CALLS
    ON(__NR_clone3, REFUSE(ENOSYS)),
    ON(__NR_unshare, REFUSE(EPERM)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT(args[0])),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
    REFUSE(EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
/* clang-format on */

/* ---- the child ---- */

enum { FILTER_FD = 3, MAX_ARGS = 64 };

static const char *const walls[] = {
    "bwrap",
    "--unshare-all",
    "--die-with-parent",
    "--new-session",
    "--clearenv",
    "--setenv",
    "PATH",
    "/usr/bin:/bin",
    "--setenv",
    "HOME",
    "/tmp",
    "--ro-bind",
    "/usr",
    "/usr",
    "--ro-bind-try",
    "/lib",
    "/lib",
    "--ro-bind-try",
    "/lib64",
    "/lib64",
    "--ro-bind-try",
    "/bin",
    "/bin",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--seccomp",
    "3",
    "--chdir",
    "/tmp",
    "--size",
};

/* walls, the size of /tmp, argv. */
static void write_command(const char *const *argv, const char *size, const char *out[MAX_ARGS]) {
    size_t n = sizeof walls / sizeof *walls;
    memcpy(out, walls, sizeof walls);
    out[n++] = size, out[n++] = "--tmpfs", out[n++] = "/tmp", out[n++] = "--remount-ro", out[n++] = "/";
    out[n++] = "--";
    while (*argv && n < MAX_ARGS - 1) out[n++] = *argv++;
    out[n] = NULL;
}

static void limit(int what, rlim_t most) { setrlimit(what, &(struct rlimit){most, most}); }

/* Between fork and exec: system calls only. */
static void become(const char *const *command, const int fds[3], const struct sandbox_limits *l) {
    for (int i = 0; i < 3; i++) fcntl(fds[i], F_SETFD, 0);
    dup2(fds[0], 0), dup2(fds[1], 1), dup2(fds[1], 2), dup2(fds[2], FILTER_FD);
    syscall(SYS_close_range, FILTER_FD + 1, ~0u, 0);
    limit(RLIMIT_AS, l->memory_bytes);
    limit(RLIMIT_CPU, l->time_ns / 1000000000u + 1);
    limit(RLIMIT_FSIZE, l->disk_bytes);
    limit(RLIMIT_CORE, 0);
    execvp(command[0], (char *const *)command);
    static const char why[] = "bwrap: cannot be started; install bubblewrap\n";
    _exit(write(1, why, sizeof why - 1) < 0 ? 1 : 127);
}

/* A file in memory that holds data[n], to be read from its start; above FILTER_FD, so that no dup2 above hits it. */
static int file_of(const void *data, size_t n) {
    int low = memfd_create("ponder", MFD_CLOEXEC), fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, FILTER_FD + 1);
    if (low >= 0) close(low);
    if (fd < 0) return -1;
    for (size_t at = 0; at < n;) {
        ssize_t k = write(fd, (const char *)data + at, n - at);
        if (k <= 0) {
            close(fd);
            return -1;
        }
        at += (size_t)k;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* ---- the parent ---- */

/* Reads what comes, until its end or a limit. */
static enum sandbox_end read_output(int fd, const struct sandbox_limits *l, struct buffer *out) {
    uint64_t end = clock_ns() + l->time_ns;
    for (;;) {
        char part[4096];
        uint64_t now = clock_ns();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (now >= end) return SANDBOX_TOO_LONG;
        int ready = poll(&p, 1, (int)((end - now) / 1000000u + 1));
        if (ready < 0 && errno != EINTR) return SANDBOX_TOO_LONG;
        if (ready <= 0) continue;
        ssize_t n = read(fd, part, sizeof part);
        if (n <= 0) return SANDBOX_EXITED;
        if (out->n + (size_t)n > l->output_bytes) return SANDBOX_TOO_MUCH;
        buffer_add(out, part, (size_t)n);
    }
}

/* A program may close its output and go on: it is waited for until its time is over. */
static int wait_for(pid_t pid, enum sandbox_end *end, uint64_t deadline) {
    int status = 0;
    if (*end != SANDBOX_EXITED) kill(pid, SIGKILL); /* its first process dies with it, and so all */
    while (*end == SANDBOX_EXITED) {
        pid_t done = waitpid(pid, &status, WNOHANG);
        if (done == pid || (done < 0 && errno != EINTR)) return status;
        if (clock_ns() >= deadline) *end = SANDBOX_TOO_LONG, kill(pid, SIGKILL);
        else poll(NULL, 0, 1);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return status;
}

static enum status finish(pid_t pid, int from, const struct sandbox_limits *l, struct sandbox_result *out,
                          struct error *e) {
    struct buffer text = {0};
    uint64_t deadline = clock_ns() + l->time_ns;
    buffer_add(&text, "", 0);
    out->end = read_output(from, l, &text);
    int status = wait_for(pid, &out->end, deadline);
    if (out->end == SANDBOX_EXITED && WIFSIGNALED(status)) out->end = SANDBOX_SIGNALLED;
    out->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    if (text.failed) return error_set(e, ERR_MEMORY, "no memory for the output of a program");
    /* A program that says so itself is judged as one that could not be run: wrong, too. */
    if (out->end == SANDBOX_EXITED && out->code && text.n > 7 && !strncmp(text.data, "bwrap: ", 7)) {
        error_set(e, ERR_INPUT, "no program can be run: %.*s", (int)strcspn(text.data, "\n"), text.data);
        buffer_free(&text);
        return ERR_INPUT;
    }
    out->output = text.data, out->n = text.n;
    if (!out->output && !(out->output = mem_string(""))) return error_set(e, ERR_MEMORY, "no memory for an output");
    return OK;
}

enum status sandbox_run(const char *const *argv, const char *input, size_t n, const struct sandbox_limits *limits,
                        struct sandbox_result *out, struct error *e) {
    const char *command[MAX_ARGS];
    char size[32];
    struct sock_fprog filter = {sizeof no_processes / sizeof *no_processes, (struct sock_filter *)no_processes};
    int ends[2] = {-1, -1}, in = file_of(input, n), rules = file_of(filter.filter, sizeof no_processes);
    *out = (struct sandbox_result){0};
    snprintf(size, sizeof size, "%zu", limits->disk_bytes);
    write_command(argv, size, command);
    pid_t pid = -1;
    if (in >= 0 && rules >= 0 && !pipe2(ends, O_CLOEXEC)) {
        int to = fcntl(ends[1], F_DUPFD_CLOEXEC, FILTER_FD + 1);
        if (to >= 0 && !(pid = fork())) become(command, (int[]){in, to, rules}, limits);
        if (to >= 0) close(to);
    }
    enum status s = pid < 0 ? error_set(e, ERR_IO, "a program cannot be started: %s", strerror(errno)) : OK;
    if (ends[1] >= 0) close(ends[1]);
    if (!s) s = finish(pid, ends[0], limits, out, e);
    if (ends[0] >= 0) close(ends[0]);
    if (in >= 0) close(in);
    if (rules >= 0) close(rules);
    return s;
}
