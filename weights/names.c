/* names.c: names by a keyed hash, in a map of base/ds.h.
 * Not ordered: the owner keeps its items in file order.
 * Next: gguf_read.c. */
#include "weights/names.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/ds.h"
#include "base/rng.h"

struct name_entry {
    struct {
        uint64_t hash, size;
    } key; /* two names of one key: once in 2^64 pairs, and then the second one counts as there */
    const char *name;
    uint32_t index;
};

/* Eight bytes a step through the Philox mixer. */
static uint64_t hash(uint64_t seed, const char *name, size_t size) {
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, name + i, size - i < 8 ? size - i : 8);
        seed = rng_fold(seed, word);
    }
    return seed;
}

void names_free(struct names *t) {
    ds_map_free(t->map);
    *t = (struct names){0};
}

bool names_add(struct names *t, const char *name, size_t size, uint32_t index) {
    if (!t->map && getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) != sizeof t->seed) t->seed = clock_ns();
    struct name_entry x = {.key = {hash(t->seed, name, size), size}, .name = name, .index = index};
    if (ds_find(t->map, x.key) >= 0) return false;
    if (!ds_put(t->map, x)) t->failed = true;
    return true;
}

size_t names_find(const struct names *t, const char *name, size_t size) {
    struct name_entry x = {.key = {hash(t->seed, name, size), size}};
    ptrdiff_t i = ds_find(t->map, x.key);
    return i >= 0 && memcmp(t->map[i].name, name, size) == 0 ? t->map[i].index : SIZE_MAX;
}
