/* progress.c: see progress.h.
 * Not used by library code that has no long work.
 * Next: train/trainer.c. */
#include "base/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

void progress_start(struct progress *p, const char *label, uint64_t done, uint64_t total) {
    const char *term = getenv("TERM");
    *p = (struct progress){.label = label, .total = total, .start_done = done, .start_ns = clock_ns()};
    p->terminal = isatty(2) && !(term && !strcmp(term, "dumb"));
}

void progress_update(struct progress *p, uint64_t done, const char *note) {
    uint64_t now = clock_ns(), every = p->terminal ? 200000000u : 30000000000u;
    if (done < p->total && p->last_ns && now - p->last_ns < every) return;
    p->last_ns = now;
    double spent = (double)(now - p->start_ns) / 1e9, share = p->total ? (double)done / (double)p->total : 1;
    double left = done > p->start_done ? spent / (double)(done - p->start_done) * (double)(p->total - done) : 0;
    char bar[25];
    int full = (int)(share * 24);
    for (int i = 0; i < 24; i++) bar[i] = i < full ? '#' : '.';
    bar[24] = 0;
    fprintf(stderr, "%s%s [%s] %3.0f%%  %s  %d:%02d left%s", p->terminal ? "\r\033[K" : "", p->label, bar, share * 100, note,
            (int)left / 60, (int)left % 60, p->terminal && done < p->total ? "" : "\n");
}
