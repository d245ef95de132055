/* sandbox.h: a program that nobody trusts, run under bubblewrap (bwrap) with limits.
 * Not for programs that need the network, files, a terminal or other processes: they get none.
 * Next: sandbox.c; code.c uses it. */
#ifndef PONDER_SANDBOX_H
#define PONDER_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct sandbox_limits {
    uint64_t time_ns;    /* wall time, after which it is killed with all it started */
    size_t memory_bytes; /* address space */
    size_t output_bytes; /* standard output and error together; more ends it */
    size_t disk_bytes;   /* of /tmp, a file system in memory, the only one that can be written */
};

enum sandbox_end { SANDBOX_EXITED, SANDBOX_SIGNALLED, SANDBOX_TOO_LONG, SANDBOX_TOO_MUCH };

struct sandbox_result {
    enum sandbox_end end;
    int code;     /* exit code, or signal */
    char *output; /* [n], then a NUL; for mem_free */
    size_t n;
};

/* Runs argv (ends in NULL; argv[0] as in PATH of the sandbox: /usr/bin and /bin) with input[n] as standard input,
 * and waits for its end.  It sees /usr and what belongs to it read-only, an empty /tmp, no network, no process but
 * itself, no environment; it cannot fork (threads are allowed).  ERR_INPUT: there is no bwrap, or it does not work
 * here; ERR_IO, ERR_MEMORY.  Any thread. */
enum status sandbox_run(const char *const *argv, const char *input, size_t n, const struct sandbox_limits *limits,
                        struct sandbox_result *out, struct error *e);

#endif
