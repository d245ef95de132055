/* names.c: names by a keyed hash, in a map of base/ds.h.
 * Not ordered: the owner keeps its items in file order.
 * Next: gguf_read.c. */
#include "weights/names.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/ds.h"

struct name_entry {
    uint64_t key; /* two names of one key: once in 2^64 pairs, and then the second one counts as there */
    const char *name;
    uint32_t size, index;
};

/* Eight bytes a step: times an odd number, both halves of the product together.  The secret keeps a file from choosing them. */
static uint64_t hash(uint64_t secret, const char *name, size_t size) {
    uint64_t h = secret ^ size * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, name + i, size - i < 8 ? size - i : 8);
        unsigned __int128 product = (unsigned __int128)(h ^ word) * 0xd6e8feb86659fd93u;
        h = secret ^ (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    return h;
}

void names_free(struct names *t) {
    ds_map_free(t->map);
    *t = (struct names){0};
}

bool names_add(struct names *t, const char *name, size_t size, uint32_t index) {
    if (!t->map && getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) != sizeof t->seed) t->seed = clock_ns();
    struct name_entry x = {hash(t->seed, name, size), name, (uint32_t)size, index};
    if (ds_find(t->map, x.key) >= 0) return false;
    if (!ds_put(t->map, x)) t->failed = true;
    return true;
}

size_t names_find(const struct names *t, const char *name, size_t size) {
    uint64_t key = hash(t->seed, name, size);
    ptrdiff_t i = ds_find(t->map, key);
    bool same = i >= 0 && t->map[i].size == size && memcmp(t->map[i].name, name, size) == 0;
    return same ? t->map[i].index : SIZE_MAX;
}
