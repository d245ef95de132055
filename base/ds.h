/* ds.h: growing arrays and hash maps: stb_ds.h, with base/mem.h below it and a result where memory is out.
 * Not for memory that another part frees with mem_free, nor for loops that must not allocate.
 * Next: ds.c; weights/names.h for a user.
 *
 *   struct thing *a = NULL;                       struct entry { uint64_t key; int value; } *m = NULL;
 *   if (!ds_push(a, x)) return no_memory;         if (!ds_put(m, ((struct entry){k, v}))) return no_memory;
 *   for (size_t i = 0; i < ds_len(a); i++) ...    ptrdiff_t i = ds_find(m, k);   -1: absent, else m[i]
 *   ds_free(a);                                   ds_map_free(m);
 *
 * stb_ds knows no failing allocation.  Here its realloc returns through a recovery point, which ds.c sets around each call that
 * may allocate; array and map are then as they were before, and the call says so.  Keys are compared byte by byte: no padding
 * in them.  Finding changes nothing, so many threads may do it at once. */
#ifndef PONDER_DS_H
#define PONDER_DS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define STBDS_NO_SHORT_NAMES
#define STBDS_REALLOC(context, p, size) ds_realloc(p, size)
#define STBDS_FREE(context, p) mem_free(p)
void *ds_realloc(void *p, size_t size); /* only called inside of ds_grow and ds_map_put */
#include <stb/stb_ds.h>

#define ds_len(a) stbds_arrlenu(a)
#define ds_free(a) stbds_arrfree(a)
/* Room for n more elements; false: memory is out. */
#define ds_room(a, n) ((a) = ds_grow((a), sizeof *(a), (n)), ds_fits(stbds_arrcap(a), stbds_arrlenu(a), (n)))
static inline bool ds_fits(size_t cap, size_t len, size_t n) { return cap - len >= n; }
#define ds_push(a, value) (ds_room(a, 1) ? ((a)[stbds_header(a)->length++] = (value), true) : false)
/* n more elements of any content, after ds_room. */
#define ds_add(a, n) stbds_arraddnptr(a, n)

/* Adds an entry, or replaces the one of its key; `entry` is a variable with a member `key`.  False: memory is out. */
#define ds_put(map, entry)                                                                                             \
    ((map) = ds_map_put((map), sizeof *(map), &(entry).key, sizeof(entry).key),                                        \
     (map) && stbds_temp((map)-1) >= 0 ? ((map)[stbds_temp((map)-1)] = (entry), true) : false)
/* The index of a key, a variable; -1: absent. */
#define ds_find(map, wanted) ds_map_find((map), sizeof *(map), &(wanted), sizeof(wanted))
#define ds_map_free(map) stbds_hmfree(map)

/* What the macros call: `a` with room for n more elements, or as it was; `map` with the key, its index in stbds_temp (-1: memory is
 * out). */
void *ds_grow(void *a, size_t size, size_t n);
void *ds_map_put(void *map, size_t size, void *key, size_t key_size);
ptrdiff_t ds_map_find(const void *map, size_t size, const void *key, size_t key_size);

#endif
