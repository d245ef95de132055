/* mem.c: allocation behind one door, so that tests can fail every single one of them.
 * Not used by the inner loops: forward pass and search loop allocate nothing.
 * Next: team.c. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t n_allocs;
static atomic_size_t fail_index; /* 0 = off */
static atomic_bool fail_rest;

size_t mem_fail_at(size_t n, bool on) {
    size_t made = atomic_exchange(&n_allocs, 0);
    atomic_store(&fail_rest, on);
    atomic_store(&fail_index, n);
    return made;
}

static bool allocation_allowed(void) {
    size_t i = atomic_fetch_add(&n_allocs, 1) + 1;
    size_t at = atomic_load(&fail_index);
    return at == 0 || i < at || (i > at && !atomic_load(&fail_rest));
}

void *mem_new(size_t n, size_t size) {
    size_t bytes;
    if (!mul_size(n, size, &bytes) || bytes > PTRDIFF_MAX) return NULL;
    if (!allocation_allowed()) return NULL;
    void *p = NULL;
    /* Not rounded up: a sanitizer then sees the first byte past the end. */
    if (posix_memalign(&p, 64, bytes ? bytes : 1)) return NULL;
    memset(p, 0, bytes);
    return p;
}

void *mem_grow(void *old, size_t old_n, size_t n, size_t size) {
    void *p = mem_new(n, size);
    if (!p) return NULL;
    if (old) memcpy(p, old, (old_n < n ? old_n : n) * size);
    mem_free(old);
    return p;
}

void *mem_resize(void *old, size_t bytes) {
    if (bytes > PTRDIFF_MAX || !allocation_allowed()) return NULL;
    return realloc(old, bytes);
}

char *mem_string(const char *s) {
    size_t n = strlen(s) + 1;
    char *p = mem_new(n, 1);
    if (p) memcpy(p, s, n);
    return p;
}

void mem_free(void *p) { free(p); }
