/* memory.h: the memory that a run needs, line by line, before it is started.
 * Not a measurement of this process: what the system says of it is VmHWM in /proc/self/status.
 * Next: cli/cmd_inspect.c, which prints it. */
#ifndef PONDER_MEMORY_H
#define PONDER_MEMORY_H

#include "model/model.h"
#include "tokenizer/tok.h"

enum { MEMORY_LINES = 8 };

/* Each line is an upper bound of what is resident when the context is full; a short text needs less of the KV cache. */
struct memory_line {
    const char *name; /* "weights"; also the member in JSON */
    size_t bytes;
    const char *what;
};

struct memory_figure {
    uint32_t ctx;
    int n;
    struct memory_line lines[MEMORY_LINES]; /* [n] */
    size_t total;
};

/* Bytes this process has from the allocator; bytes resident; 0 where the system does not tell. */
size_t memory_heap(void);
size_t memory_resident(void);
size_t memory_peak(void); /* the most that was ever resident */

/* `ponder run` with a context of ctx tokens, K and V as `type`.  tok_bytes: what tok_open took (by memory_heap); program_bytes: what
 * was resident before anything was opened. */
void memory_of_run(const struct model *m, uint32_t ctx, enum kv_type type, size_t tok_bytes, size_t program_bytes,
                   struct memory_figure *f);

#endif
