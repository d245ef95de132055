/* models.h: which of the models inside the binary goes with a task, and which task with a text.
 * Not their opening: session.h.
 * Next: models.c. */
#ifndef PONDER_MODELS_H
#define PONDER_MODELS_H

#include "model/trained.h"
#include "tasks/task.h"

/* The tasks of a model's file: what it says, else those of the numbers game for the models that know only that; "" for models
 * of others. */
enum status models_tasks(const struct gguf *file, struct trained *out, struct error *e);

/* "embedded" becomes the name of the model inside the binary that was trained for the task in this role ("policy", "prm"), if
 * there is one; other names stay. */
const char *models_for(const char *name, const char *role, const struct task *t);

/* What a policy was trained for; "embedded": the models inside the binary, together. */
enum status models_known(const char *policy, struct trained *out, struct error *e);
/* The task that reads `text`, of those.  Numbers alone are the numbers game.  text NULL: the only task, game24 where that is known,
 * math for models of others.  ERR_INPUT: several could be meant (they are named), or none. */
enum status models_pick(const struct trained *known, const char *text, const struct task **task, struct error *e);

#endif
