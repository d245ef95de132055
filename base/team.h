/* team.h: a fixed team of threads that run one function together, with barriers inside it.
 * Not a task queue: forward passes need every thread at the same place at the same time.
 * Next: model/engine.h, which owns one. */
#ifndef PONDER_TEAM_H
#define PONDER_TEAM_H

#include "base/status.h"

struct team;

/* fn runs once per member, index in [0, count). */
typedef void team_fn(void *arg, int index, int count);

/* n_threads in [1, 256], the caller included: n_threads - 1 threads are started.  They spin briefly between runs, then
 * sleep.  *out is NULL on failure. */
enum status team_new(int n_threads, struct team **out, struct error *e);
void team_free(struct team **t);
int team_size(const struct team *t);

/* Runs fn on all members; returns when all have returned.  Callers from several threads take turns, so that engines of two
 * models can share one team.  Never call it from inside fn. */
void team_run(struct team *t, team_fn *fn, void *arg);

/* Only inside fn: waits until every member of this run is here. */
void team_barrier(struct team *t);

/* Only inside fn: work that is shared piece by piece, so that a member whose core is slow takes fewer.  Members number the
 * jobs of a run 0, 1, .. alike and are never more than TEAM_JOBS / 2 - 1 jobs apart (there is a barrier so often).
 * team_job begins one; then team_ticket gives 0, 1, 2, .. to whichever member asks next. */
enum { TEAM_JOBS = 16 };
void team_job(struct team *t, unsigned job);
unsigned team_ticket(struct team *t, unsigned job);

#endif
