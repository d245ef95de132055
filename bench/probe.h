/* probe.h: what this computer gives right now: clock, vector units, memory.
 * Not our kernels: cmd_bench_kernels.c.
 * Next: probe.c.
 *
 * Virtual machines share cores with neighbours who come and go within seconds, so these are measured beside every run. */
#ifndef PONDER_PROBE_H
#define PONDER_PROBE_H

#include <stddef.h>

#include "base/team.h"

/* Cycles per nanosecond: a chain of integer additions, each waiting for the one before, takes one cycle each on every CPU
 * that we know, whatever a neighbour does.  About 3 ms. */
double probe_ghz(void);

/* Independent vector operations (xor) per nanosecond of one core: falls by a third when a neighbour shares it.  About 1 ms. */
double probe_vector_rate(void);

/* A buffer much larger than caches, in huge pages where the system gives them. */
struct probe_memory {
    void *data;
    size_t size_bytes;
};
enum status probe_memory_new(struct probe_memory *m, size_t size_bytes, struct error *e);
void probe_memory_free(struct probe_memory *m);

/* Bytes per nanosecond that n of the team's members read together; the best of a few passes. */
double probe_read_rate(const struct probe_memory *m, struct team *team, int n_members);

#endif
