/* names.h: a set of borrowed names with an index for each: open addressing, keyed hash.
 * Not a general map: it never removes and never grows, because a file says how many names it has.
 * Next: gguf_read.c, which keeps one for its keys and one for its tensors. */
#ifndef PONDER_NAMES_H
#define PONDER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  slots: [ - ][ "a.b",2 ][ - ][ "x",0 ][ "y",1 ][ - ][ - ][ - ]     at most half of them are used, so that a probe
 *                                \_ hash("y") = 3, taken: one on      always ends at an empty one                     */
struct names {
    struct name_slot *slots; /* [mask + 1] */
    size_t mask;
    uint64_t seed; /* random, so that no file can be made of names that collide */
};

/* Room for n names, n <= 2^31.  False when memory is out; then nothing is held. */
bool names_new(struct names *t, size_t n);
void names_free(struct names *t);

/* Adds a name (size < 2^32; its bytes are borrowed).  Returns false, adding nothing, when the name is there. */
bool names_add(struct names *t, const char *name, size_t size, uint32_t index);

/* The index that was added with the name, or SIZE_MAX.  An empty table (all zero) holds no names. */
size_t names_find(const struct names *t, const char *name, size_t size);

#endif
