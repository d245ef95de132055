/* checkpoint.h: weights, optimiser moments, step and settings on disk, safe against kill -9 at any moment.
 * Not a model file: net_write makes those.
 * Next: trainer.c. */
#ifndef PONDER_CHECKPOINT_H
#define PONDER_CHECKPOINT_H

#include "train/adamw.h"

struct checkpoint {
    const char *path;
    struct net *net;      /* weights read into and written from */
    struct adamw *adamw;  /* moments */
    const char *settings; /* lines "flag=value": what decides the result beside the seed; NULL: "" */
    uint64_t seed, step;
};

/* Writes the file whole or not at all (temporary file, fsync, rename); the one before it stays as path.prev. */
enum status checkpoint_save(const struct checkpoint *c, struct error *e);

/* Reads path, or path.prev when path is damaged or missing, into net, adamw and step.  *found = false (and nothing
 * changed) when there is neither.  ERR_INPUT when a sound checkpoint belongs to another network, seed or settings:
 * names the flag. */
enum status checkpoint_load(struct checkpoint *c, bool *found, struct error *e);

#endif
