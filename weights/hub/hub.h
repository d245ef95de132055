/* hub.h: models by name: in the cache that Hugging Face tools and llama.cpp share, or fetched into it.
 * Not the transfer: hub_fetch.h.
 * Next: docs/RUN.md.
 *
 *   CACHE/models--user--model/refs/main                        the newest commit's name
 *   CACHE/models--user--model/snapshots/COMMIT/[DIR/]FILE.gguf a link to ../../blobs/... */
#ifndef PONDER_HUB_H
#define PONDER_HUB_H

#include <stddef.h>

#include "base/status.h"

enum { HUB_PATH = 4096 };

/* The file of "user/model" or "user/model:QUANT".  Cache folders, first hit wins: $LLAMA_CACHE, $HF_HUB_CACHE,
 * $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub, $HOME/.cache/huggingface/hub.  The snapshot
 * of refs/main is looked at first.  QUANT is a part of the name between '-', '.' or '_' on the left and '-' or '.' on
 * the right, in any case; without it Q4_K_M, and then the first file by name.  Of a model in parts it is the first part;
 * projectors (mmproj) and importance matrices are no models.  ERR_INPUT says where was looked, or what there is. */
enum status hub_find(const char *spec, char path[HUB_PATH], struct error *e);

/* How well a file of this name fits: 2 the quantisation ("": Q4_K_M), 1 another model, 0 no model to open. */
int hub_rank(const char *name, const char *quant);

/* For every name of a model file: one that begins with "hf:" becomes the path of that model, from a cache or (hub_fetch.h)
 * downloaded into the first cache that a variable names; any other one stays. */
enum status hub_resolve(const char **name, char path[HUB_PATH], struct error *e);

#endif
