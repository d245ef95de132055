/* names.h: a set of names with an index for each, keyed by a secret so that no file can be made of names that collide.
 * Not ordered: the owner keeps its items in file order.
 * Next: gguf_read.c, which keeps one for its keys and one for its tensors. */
#ifndef PONDER_NAMES_H
#define PONDER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names {
    struct name_entry *map; /* base/ds.h; all zero: an empty set */
    uint64_t seed;          /* random, for each process another one */
    bool failed;            /* memory was out: some name is missing */
};

void names_free(struct names *t);

/* Adds a name (size < 2^32; its bytes are borrowed).  Returns false, adding nothing, when the name is there.  Whoever has added all
 * names looks at `failed`. */
bool names_add(struct names *t, const char *name, size_t size, uint32_t index);

/* The index that was added with the name, or SIZE_MAX. */
size_t names_find(const struct names *t, const char *name, size_t size);

#endif
