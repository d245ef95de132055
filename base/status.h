/* status.h: the one error channel for bad input, failed memory and failed I/O.
 * Not for programmer errors (assert) and never exits: exit belongs to cli/, bench/ and tests/.
 * Next: mem.h for memory, then ops/ops.h for the kernels. */
#ifndef PONDER_STATUS_H
#define PONDER_STATUS_H

enum status {
    OK = 0,
    ERR_INPUT,     /* a file, flag or request holds a value that is not allowed */
    ERR_MEMORY,    /* an allocation failed */
    ERR_IO,        /* the operating system refused a read or write */
    ERR_FULL,      /* a fixed capacity (KV pages, branches, context) is used up */
    ERR_CANCELLED, /* a deadline, a limit or a cancel came first */
};

/* The text of the first failure: one line, no newline at its end, naming file or flag, value and what is allowed. */
struct error {
    char text[512];
};

/* Writes the formatted line into e (which may be NULL) and returns s, so that a failing function can
 * `return error_set(e, ERR_INPUT, "%s: ...", path)`.  Truncates; control characters become '?'.  The arguments may
 * include e's own text. */
enum status error_set(struct error *e, enum status s, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
