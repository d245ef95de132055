/* problems.h: a file of problems, one a line, all or a chosen part of it.
 * Not the meaning of a line: tasks/task.h.
 * Next: problems.c. */
#ifndef PONDER_PROBLEMS_H
#define PONDER_PROBLEMS_H

#include "tasks/task.h"

struct problems {
    struct problem *items; /* [n] in the order of the file, an array of base/ds.h */
    uint32_t n;
    uint32_t n_all;           /* n, before problems_shard left some out */
    uint32_t shard, n_shards; /* 1 to n_shards; 0: these are all */
    uint64_t hash;            /* of every id, text and known answer of all, in order */
};

/* Reads plain lines or JSONL from a file or, path "-", from standard input (empty lines and lines that begin with #
 * are passed over); errors name file and line.  Then keeps the first `limit` (0: all), then a random `sample` of
 * those (0: all) drawn with `seed`. */
enum status problems_read(const char *path, const struct task *t, uint64_t limit, uint64_t sample, uint64_t seed,
                          struct problems *out, struct error *e);
/* Keeps shard K of N, `text` being "K/N": the K-th problem and every N-th after it, so that each shard has easy and
 * hard ones of a sorted file.  N may exceed n: then some are empty.  ERR_INPUT: one line that begins with --shard. */
enum status problems_shard(struct problems *p, const char *text, struct error *e);
void problems_free(struct problems *p);

#endif
