/* trail.h: growing sequences of token ids that share their beginnings: a fork copies a handle, whatever the length.
 * Not KV: that is shared by pages (model/kv.h).  Not for several threads.
 * Next: trail.c.
 *
 *   a [block 2, length 5] --> [ block 2: 6 1    | 2 references ] --> [ block 1: 4 7 9 ]
 *   b [block 3, length 5] --> [ block 3: 8      | 1 reference  ] ----^ up to length 4
 *
 * A block holds up to TRAIL_BLOCK ids behind those of its parent, of which it sees a beginning.  Whoever stands at the
 * end of what a block holds appends in place; everyone else starts a block of his own. */
#ifndef PONDER_TRAIL_H
#define PONDER_TRAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { TRAIL_BLOCK = 28 }; /* with its header 128 bytes */

struct trail_pool; /* blocks of all trails that share */
struct trail {
    uint32_t block; /* 0: empty */
    uint32_t len;
};

enum status trail_pool_new(struct trail_pool **out, struct error *e);
void trail_pool_free(struct trail_pool **p);
uint32_t trail_blocks_used(const struct trail_pool *p); /* 0 when all trails are dropped: for leak checks */

/* A second handle of the same ids; drop each of them.  Allocates nothing. */
struct trail trail_fork(struct trail_pool *p, struct trail t);
void trail_drop(struct trail_pool *p, struct trail *t); /* nulls it */
/* ERR_MEMORY: the trail is as before. */
enum status trail_append(struct trail_pool *p, struct trail *t, const int32_t *ids, uint32_t n, struct error *e);
void trail_cut(struct trail_pool *p, struct trail *t, uint32_t len); /* to its first len ids; len <= t->len */
/* ids [from, t->len) into out. */
void trail_read(const struct trail_pool *p, struct trail t, uint32_t from, int32_t *out);
int32_t trail_last(const struct trail_pool *p, struct trail t); /* of a trail that is not empty */

#endif
