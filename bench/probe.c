/* probe.c: see probe.h.
 * Not a benchmark of its own: cmd_bench.c prints these as rows.
 * Next: cmd_bench_kernels.c. */
#include "bench/probe.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"

typedef uint64_t vector __attribute__((vector_size(16)));

enum { CHAIN = 1 << 16, CHAIN_STEPS = 16, XORS = 1 << 15, PASSES = 3 };

double probe_ghz(void) {
    double best = 0;
    for (int pass = 0; pass < 10; pass++) {
        uint64_t x = 1, y = 3, start = clock_ns();
        __asm__ volatile("" : "+r"(x), "+r"(y));
        for (int i = 0; i < CHAIN; i++)
#if defined(__x86_64__)
            __asm__ volatile("add %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\t"
                             "add %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\t"
                             "add %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\t"
                             "add %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\tadd %1, %0"
                             : "+r"(x)
                             : "r"(y));
#else
            for (int j = 0; j < CHAIN_STEPS; j++) {
                x += y;
                __asm__ volatile("" : "+r"(x));
            }
#endif
        double rate = (double)CHAIN * CHAIN_STEPS / (double)(clock_ns() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* Twelve independent operations on registers. */
#if defined(__x86_64__)
#define IN_REGISTER(v) __asm__ volatile("" : "+x"(v))
#define TWELVE_XORS                                                                                                    \
    __asm__ volatile("pxor %%xmm12, %%xmm0\n\tpxor %%xmm12, %%xmm1\n\tpxor %%xmm12, %%xmm2\n\t"                        \
                     "pxor %%xmm12, %%xmm3\n\tpxor %%xmm12, %%xmm4\n\tpxor %%xmm12, %%xmm5\n\t"                        \
                     "pxor %%xmm12, %%xmm6\n\tpxor %%xmm12, %%xmm7\n\tpxor %%xmm12, %%xmm8\n\t"                        \
                     "pxor %%xmm12, %%xmm9\n\tpxor %%xmm12, %%xmm10\n\tpxor %%xmm12, %%xmm11" ::                       \
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",    \
                           "xmm11", "xmm12")
#elif defined(__aarch64__)
#define IN_REGISTER(v) __asm__ volatile("" : "+w"(v))
#define TWELVE_XORS                                                                                                    \
    __asm__ volatile("eor v0.16b, v0.16b, v12.16b\n\teor v1.16b, v1.16b, v12.16b\n\t"                                  \
                     "eor v2.16b, v2.16b, v12.16b\n\teor v3.16b, v3.16b, v12.16b\n\t"                                  \
                     "eor v4.16b, v4.16b, v12.16b\n\teor v5.16b, v5.16b, v12.16b\n\t"                                  \
                     "eor v6.16b, v6.16b, v12.16b\n\teor v7.16b, v7.16b, v12.16b\n\t"                                  \
                     "eor v8.16b, v8.16b, v12.16b\n\teor v9.16b, v9.16b, v12.16b\n\t"                                  \
                     "eor v10.16b, v10.16b, v12.16b\n\teor v11.16b, v11.16b, v12.16b" ::                               \
                         : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12")
#endif

double probe_vector_rate(void) {
    double best = 0;
    for (int pass = 0; pass < PASSES; pass++) {
        uint64_t start = clock_ns();
        for (int i = 0; i < XORS; i++) TWELVE_XORS;
        double rate = (double)XORS * 12 / (double)(clock_ns() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

enum status probe_memory_new(struct probe_memory *m, size_t size_bytes, struct error *e) {
    *m = (struct probe_memory){NULL, size_bytes};
    void *p = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return error_set(e, ERR_MEMORY, "no memory for %zu bytes to read", size_bytes);
    m->data = p;
    madvise(p, size_bytes, MADV_HUGEPAGE);
    memset(p, 1, size_bytes); /* pages that were never written are all the same one */
    return OK;
}

void probe_memory_free(struct probe_memory *m) {
    if (m->data) munmap(m->data, m->size_bytes);
    m->data = NULL;
}

struct reading {
    const struct probe_memory *m;
    int n_members;
};

/* This member's share, in order, as four streams of sums. */
static void read_part(void *arg, int index, int count) {
    const struct reading *r = arg;
    (void)count;
    if (index >= r->n_members) return;
    size_t n = r->m->size_bytes / sizeof(vector) / (size_t)r->n_members / 4 * 4;
    const vector *v = (const vector *)r->m->data + n * (size_t)index;
    vector s[4] = {{0}};
    for (size_t i = 0; i < n; i += 4)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) s[j] += v[i + (size_t)j];
    for (int j = 0; j < 4; j++) IN_REGISTER(s[j]);
}

double probe_read_rate(const struct probe_memory *m, struct team *team, int n_members) {
    struct reading r = {m, n_members < team_size(team) ? n_members : team_size(team)};
    double best = 0;
    for (int pass = 0; pass < PASSES; pass++) {
        uint64_t start = clock_ns();
        team_run(team, read_part, &r);
        double rate = (double)m->size_bytes / (double)(clock_ns() - start);
        best = rate > best ? rate : best;
    }
    return best;
}
