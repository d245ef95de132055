/* checkpoint.h: weights, optimiser moments and step on disk, safe against kill -9 at any moment.
 * Not a model file: net_write makes those.
 * Next: trainer.c. */
#ifndef PONDER_CHECKPOINT_H
#define PONDER_CHECKPOINT_H

#include "train/adamw.h"

/* Writes `path` whole or not at all (temporary file, fsync, rename); the one before it stays as path.prev. */
enum status checkpoint_save(const char *path, const struct net *n, const struct adamw *a, uint64_t step, uint64_t seed, struct error *e);

/* Reads path, or path.prev when path is damaged or missing.  *found = false (and nothing changed) when there is neither.
 * ERR_INPUT when a sound checkpoint belongs to another network or seed. */
enum status checkpoint_load(const char *path, struct net *n, struct adamw *a, uint64_t *step, uint64_t seed, bool *found, struct error *e);

#endif
