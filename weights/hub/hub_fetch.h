/* hub_fetch.h: a model's files from the hub into the cache folder, resumed where it was cut, checked before it counts.
 * Not the choice among folders: hub.c.
 * Next: hub_fetch.c, weights/hub/http.h.
 *
 *   GET ENDPOINT/api/models/USER/MODEL/refs                         the commit of branch main
 *   GET ENDPOINT/api/models/USER/MODEL/tree/COMMIT?recursive=true   names, sizes, SHA-256 (lfs.oid) or git hash (oid)
 *   GET ENDPOINT/USER/MODEL/resolve/COMMIT/FILE                     Range: bytes=N-
 *
 *   CACHE/models--user--model/blobs/OID.downloadInProgress   grows, locked (flock), kept when the transfer breaks
 *                            /blobs/OID                      its new name once size and hash are right
 *                            /snapshots/COMMIT/FILE       -> ../../blobs/OID
 *                            /refs/main                      COMMIT */
#ifndef PONDER_HUB_FETCH_H
#define PONDER_HUB_FETCH_H

#include <stdbool.h>

#include "weights/hub/hub.h"

struct hub_wanted {
    const char *user, *model, *quant; /* quant "": Q4_K_M, or the first file */
    const char *cache;                /* the folder for models--user--model, made when it is missing */
};

/* false: this build has no HTTP, or HF_HUB_OFFLINE asks for none. */
bool hub_can_fetch(void);

/* Environment: MODEL_ENDPOINT or HF_ENDPOINT (default https://huggingface.co), HF_TOKEN.  Progress on stderr.  All parts of a model in
 * parts are fetched; path is the file to open.  ERR_INPUT: what the hub says, or a wrong hash (then nothing is kept); ERR_IO:
 * the transfer broke; the same call goes on from there. */
enum status hub_fetch(const struct hub_wanted *w, char path[HUB_PATH], struct error *e);

#endif
