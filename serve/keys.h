/* keys.h: the keys of a server, with what each may use a day.
 * Not the counting of what was used: quota.h.
 * Next: keys.c. */
#ifndef PONDER_SERVE_KEYS_H
#define PONDER_SERVE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/flag_list.h"
#include "base/status.h"

enum { SERVER_KEYS = 64 };

/* Tokens (read, written, and read by verifiers) and floating-point operations; 0: as many as you like. */
struct allowance {
    uint64_t tokens, flops;
};

static inline struct allowance allowance_of(int64_t tokens, double gflops) {
    return (struct allowance){(uint64_t)tokens, (uint64_t)(gflops * 1e9)};
}

struct server_keys {
    int n;
    const char *text[SERVER_KEYS]; /* [n] */
    struct allowance day[SERVER_KEYS];
    char *file; /* what those of a file point into */
};

/* Keys of the list, and of a file, one a line: "KEY", or "KEY tokens=100000 gflops=50000".  each: where a line says
 * nothing.  k is for keys_free on failure, too.  ERR_INPUT: one line, which holds no key. */
enum status keys_read(const struct flag_list *list, const char *file, const struct allowance *each,
                      struct server_keys *k, struct error *e);
void keys_free(struct server_keys *k);

/* Its number; -1: it is none.  Takes as long whatever is given: only its length may be known. */
int keys_find(const struct server_keys *k, const char *given);

#endif
