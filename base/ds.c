/* ds.c: the one place that compiles stb_ds.h, and the recovery points around it.
 * Not another container: what stb_ds cannot do is written elsewhere.
 * Next: mem.h. */
#define STB_DS_IMPLEMENTATION
#include "base/ds.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>

static _Thread_local jmp_buf *recovery; /* of the call under way on this thread */

void *ds_realloc(void *p, size_t size) {
    void *grown = mem_resize(p, size);
    if (!grown) longjmp(*recovery, 1);
    return grown;
}

void *ds_grow(void *a, size_t size, size_t n) {
    jmp_buf here;
    void *volatile old = a; /* outlives the jump */
    size_t bytes, len = stbds_arrlenu(a);
    if (ds_fits(stbds_arrcap(a), len, n)) return a;
    if (!add_size(len, n, &bytes) || !mul_size(bytes, 2 * size, &bytes) || bytes > PTRDIFF_MAX - 1024) return a;
    recovery = &here;
    return setjmp(here) ? old : stbds_arrgrowf(old, size, n, 0);
}

/* The entry before the first one exists before anything else is allocated: a map that came from NULL inside of stb_ds would be lost. */
static void *map_begin(void *map, size_t size) {
    jmp_buf here;
    void *volatile old = map;
    recovery = &here;
    return setjmp(here) ? old : stbds_hmput_default(old, size);
}

static void *map_put(void *map, size_t size, void *key, size_t key_size) {
    jmp_buf here;
    char *volatile old = map;
    recovery = &here;
    if (!setjmp(here)) return stbds_hmput_key(old, size, key, key_size, STBDS_HM_BINARY);
    stbds_temp(old - size) = -1;
    return old;
}

/* stb_ds counts its tables in a variable of its own, hence the lock. */
void *ds_map_put(void *map, size_t size, void *key, size_t key_size) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    map = map_begin(map, size);
    if (map) map = map_put(map, size, key, key_size);
    pthread_mutex_unlock(&lock);
    return map;
}

ptrdiff_t ds_map_find(const void *map, size_t size, const void *key, size_t key_size) {
    ptrdiff_t found = -1;
    if (map) stbds_hmget_key_ts((void *)map, size, (void *)key, key_size, &found, STBDS_HM_BINARY);
    return found;
}
