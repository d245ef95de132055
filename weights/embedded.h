/* embedded.h: the shipped model files, inside the binary.
 * Not a loader: gguf_open_memory reads them.
 * Next: embedded.S, which includes the bytes. */
#ifndef PONDER_EMBEDDED_H
#define PONDER_EMBEDDED_H

#include <stddef.h>

struct embedded {
    const char *name; /* "game24-policy", "game24-prm", "ponder-policy", ... */
    const void *data;
    size_t size_bytes;
};

/* NULL when there is none of that name.  embedded_table ends in a row with name NULL. */
const struct embedded *embedded_find(const char *name);
extern const struct embedded embedded_table[];

#endif
