/* names.c: the hash table of names.h.
 * Not ordered: the owner keeps its items in file order.
 * Next: gguf_read.c. */
#include "weights/names.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"

struct name_slot {
    const char *name; /* NULL: empty */
    uint32_t size;
    uint32_t index;
};

/* Eight bytes a step through the Philox mixer.  "a" and "a\0" share a slot; probe tells them apart. */
static uint64_t hash(const struct names *t, const char *name, size_t size) {
    uint64_t h = t->seed;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, name + i, size - i < 8 ? size - i : 8);
        h = rng_fold(h, word);
    }
    return h;
}

/* The slot that holds the name, or the empty one where it belongs. */
static struct name_slot *probe(const struct names *t, const char *name, size_t size) {
    for (size_t i = hash(t, name, size);; i++) {
        struct name_slot *s = &t->slots[i & t->mask];
        if (!s->name || (s->size == size && memcmp(s->name, name, size) == 0)) return s;
    }
}

bool names_new(struct names *t, size_t n) {
    size_t n_slots = 8;
    while (n_slots < 2 * n) n_slots *= 2;
    t->slots = mem_new(n_slots, sizeof *t->slots);
    t->mask = n_slots - 1;
    if (getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) != sizeof t->seed) t->seed = clock_ns();
    return t->slots != NULL;
}

void names_free(struct names *t) {
    mem_free(t->slots);
    *t = (struct names){0};
}

bool names_add(struct names *t, const char *name, size_t size, uint32_t index) {
    struct name_slot *s = probe(t, name, size);
    if (s->name) return false;
    *s = (struct name_slot){name, (uint32_t)size, index};
    return true;
}

size_t names_find(const struct names *t, const char *name, size_t size) {
    if (!t->slots) return SIZE_MAX;
    const struct name_slot *s = probe(t, name, size);
    return s->name ? s->index : SIZE_MAX;
}
