/* progress.h: one line of progress on stderr: a bar on a terminal, a line now and then elsewhere.
 * Not a log: results go to files.
 * Next: train/trainer.c. */
#ifndef PONDER_PROGRESS_H
#define PONDER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *label;
    uint64_t total, start_done, start_ns, last_ns;
    bool terminal;
};

/* done: where the work starts (after a resume). */
void progress_start(struct progress *p, const char *label, uint64_t done, uint64_t total);
/* Prints at most 5 times a second on a terminal, every 30 s elsewhere, and always when done == total.  `note` is appended. */
void progress_update(struct progress *p, uint64_t done, const char *note);

#endif
