/* embedded.c: finds a model inside the binary.
 * Not the bytes: embedded.S.
 * Next: gguf_read.c, which opens them. */
#include "weights/embedded.h"

#include <string.h>

_Static_assert(sizeof(struct embedded) == 24, "embedded.S lays out three 8-byte words a row");

#ifndef PONDER_EMBED /* built before there were model files */
const struct embedded embedded_table[] = {{0}};
#endif

const struct embedded *embedded_find(const char *name) {
    for (const struct embedded *m = embedded_table; m->name; m++)
        if (!strcmp(m->name, name)) return m;
    return NULL;
}
