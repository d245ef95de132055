/* pace.h: which way of sharing a pass among threads was the fastest lately.
 * Not the ways: forward.c.
 * Next: pace.c.
 *
 * Threads that meet in a pass save time on a quiet machine.  When another program holds one of their CPUs, every meeting may
 * wait for its time slice, some milliseconds, which is many passes of a tiny model; then one thread alone is faster.  This
 * cannot be known, so it is measured, for passes of every size apart: the time per row of each way, and now and then another try
 * of the ways that lost, which takes about a hundredth of the time.  Ways give the same bits, so only time depends on it. */
#ifndef PONDER_PACE_H
#define PONDER_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum way {
    WAY_ALONE,    /* the caller's thread does all */
    WAY_BRANCHES, /* each thread takes some branches through all layers */
    WAY_WEIGHTS,  /* each thread makes a part of every matrix's rows */
    N_WAYS
};

enum { PACE_SIZES = 17 }; /* passes of 1, 2-3, 4-7, ... 65536 rows */

/* All zero at first.  For one caller at a time. */
struct pace {
    struct pace_size {
        double ns[N_WAYS];         /* of a row, lately; 0: not known */
        double rest;               /* ns of passes until the next try of another way */
        double sum, lost;          /* ns of a row in the present try, and over the usual */
        unsigned n_try;            /* passes of it so far; 0: none */
        enum way way;              /* that is tried */
        uint64_t tried[N_WAYS], n; /* the number of the pass when it was tried last; passes so far */
        enum way best;             /* the smallest known of ns, or nearly */
    } sizes[2][PACE_SIZES];        /* without and with WAY_BRANCHES */
};

/* `first` when nothing is known of such passes.  branches: WAY_BRANCHES is possible; the others always are. */
enum way pace_choose(const struct pace *p, uint32_t n_rows, bool branches, enum way first);

/* Such a pass took so long, done as pace_choose said. */
void pace_learn(struct pace *p, uint32_t n_rows, bool branches, enum way way, uint64_t ns);

#endif
