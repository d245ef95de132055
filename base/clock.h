/* clock.h: monotonic time.
 * Not wall-clock dates; a clock that jumps back cannot hurt a budget.
 * Next: search/search.h for budgets. */
#ifndef PONDER_CLOCK_H
#define PONDER_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since some fixed moment; never decreases. */
static inline uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
