/* live.h: a net as a model that can be sampled from, while it is being trained: no file between.
 * Not a copy that follows: after an update of the weights live_update takes them over.
 * Next: grpo.h. */
#ifndef PONDER_LIVE_H
#define PONDER_LIVE_H

#include "model/engine.h"
#include "model/net.h"

struct live {
    void *image; /* the bytes of a model file */
    struct model *model;
    struct engine *engine;
};

/* Weights as f32, so that samples come from what is trained.  The vocabulary is ours of the net's size.  team is borrowed. */
enum status live_open(const struct net *n, struct team *team, const struct engine_params *p, struct live *out,
                      struct error *e);
/* Takes over the net's weights; the engine has no clients.  On failure it keeps the old ones. */
enum status live_update(struct live *l, const struct net *n, struct error *e);
void live_close(struct live *l);

#endif
