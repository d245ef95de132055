/* mem.h: checked allocation and checked size arithmetic.
 * Not a garbage collector and not a pool: the KV pool and the search arena plan their own memory.
 * Next: rng.h, ds.h. */
#ifndef PONDER_MEM_H
#define PONDER_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* a * b and a + b into *out; false (and *out untouched) when the result does not fit size_t. */
static inline bool mul_size(size_t a, size_t b, size_t *out) {
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}
static inline bool add_size(size_t a, size_t b, size_t *out) {
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

/* n * size zeroed bytes, 64-byte aligned; NULL when the product overflows or memory is out.  n * size == 0 gives a
 * valid pointer.  Free with mem_free. */
void *mem_new(size_t n, size_t size);

/* Resizes a block of mem_new to n * size bytes, keeping min(old, new) bytes of content (`old_n` elements were there);
 * new bytes are zero.  On failure returns NULL and leaves `old` as it was. */
void *mem_grow(void *old, size_t old_n, size_t n, size_t size);

/* Like realloc: the block keeps its content, new bytes hold anything, and nothing is aligned to more than 16 bytes.  NULL leaves `old`
 * as it was. */
void *mem_resize(void *old, size_t bytes);

/* Copy of a NUL-terminated string; NULL when memory is out. */
char *mem_string(const char *s);

/* Frees; NULL is allowed. */
void mem_free(void *p);

/* Test hook: the n-th allocation from now (1-based) fails, and, if `on`, all that follow.  n = 0 turns it off.
 * Returns the number of allocations made since the last call. */
size_t mem_fail_at(size_t n, bool on);

#endif
