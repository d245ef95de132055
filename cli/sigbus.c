/* sigbus.c: see sigbus.h.
 * Not a table of mappings: the kernel keeps one, /proc/self/maps, and it holds every room's.
 * Next: main.c.
 *
 * The handler may call only what is safe in a signal (signal-safety(7)): no stdio, no memory. */
#include "cli/sigbus.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"

/* A line of /proc/self/maps: "7f12a000-7f12f000 r--p 00000000 fe:01 131 /path with spaces". */
enum { LINE = 4096 + 128 };

/* Hexadecimal digits at *at, which is moved behind them. */
static uintptr_t take_hex(const char **at) {
    uintptr_t v = 0;
    for (;; ++*at) {
        char c = **at;
        if (c >= '0' && c <= '9') v = v * 16 + (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f') v = v * 16 + (uintptr_t)(c - 'a' + 10);
        else return v;
    }
}

/* The path in a line whose range holds the address; NULL when it does not, or has none. */
static const char *path_of(const char *line, uintptr_t address) {
    uintptr_t from = take_hex(&line);
    if (*line++ != '-') return NULL;
    uintptr_t to = take_hex(&line);
    return address >= from && address < to ? strchr(line, '/') : NULL;
}

/* The file that is mapped at the address, into path [LINE]; false when it cannot be told. */
static bool find_file(uintptr_t address, char *path) {
    char line[LINE + 1];
    size_t n = 0;
    ssize_t got;
    const char *found = NULL;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    while (!found && (got = read(fd, line + n, LINE - n)) > 0) {
        n += (size_t)got;
        for (char *end; !found && (end = memchr(line, '\n', n));) {
            *end = 0;
            if ((found = path_of(line, address))) strcpy(path, found);
            n -= (size_t)(end + 1 - line);
            memmove(line, end + 1, n);
        }
        if (n == LINE) n = 0; /* longer than any path: no file of ours */
    }
    close(fd);
    return found != NULL;
}

static void say(const char *text) {
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n; /* nobody is left to tell */
}

static void lost(int number, siginfo_t *info, void *context) {
    (void)context;
    static volatile sig_atomic_t told; /* several threads may meet the same hole: one line is enough */
    char path[LINE + 1];
    if (info->si_code != BUS_ADRERR) { /* not a page that cannot be read: our own mistake, so let it show */
        signal(number, SIG_DFL);
        return;
    }
    while (__atomic_exchange_n(&told, 1, __ATOMIC_RELAXED)) pause();
    say("ponder: ");
    say(find_file((uintptr_t)info->si_addr, path) ? path : "a mapped file");
    say(": cut short while it was in use, or its disk failed; replace files by renaming, not in place\n");
    _exit(EXIT_FAILED);
}

void sigbus_install(void) {
    struct sigaction action = {.sa_sigaction = lost, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, NULL);
}
