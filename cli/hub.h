/* hub.h: models that are already on this computer, in the cache that Hugging Face tools and llama.cpp share.
 * Not a download: nothing here touches a network.
 * Next: docs/RUN.md.
 *
 *   CACHE/models--user--model/refs/main                        the newest commit's name
 *   CACHE/models--user--model/snapshots/COMMIT/[DIR/]FILE.gguf a link to ../../blobs/... */
#ifndef PONDER_HUB_H
#define PONDER_HUB_H

#include <stddef.h>

#include "base/status.h"

enum { HUB_PATH = 4096 };

/* For the flag tables of commands that open a model; field: a const char *. */
#define HUB_FLAG(type, field)                                                                                          \
    {                                                                                                                  \
        "hf-repo", "hf", FLAG_TEXT, offsetof(type, field), NULL, 0, 0, "USER/MODEL[:QUANT]",                           \
            "policy, from the Hugging Face cache of this computer (Q4_K_M, else the first file)"                       \
    }

/* The file of "user/model" or "user/model:QUANT".  Cache folders, first hit wins: $LLAMA_CACHE, $HF_HUB_CACHE,
 * $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub, $HOME/.cache/huggingface/hub.  The snapshot
 * of refs/main is looked at first.  QUANT is a part of the name between '-', '.' or '_' on the left and '-' or '.' on
 * the right, in any case; without it Q4_K_M, and then the first file by name.  Of a model in parts it is the first part;
 * projectors (mmproj) and importance matrices are no models.  ERR_INPUT says where was looked, or what there is. */
enum status hub_find(const char *spec, char path[HUB_PATH], struct error *e);

/* What a command does with its flags: *model becomes `path` when hf is not NULL. */
enum status hub_choose(const char *hf, const char **model, char path[HUB_PATH], struct error *e);

#endif
