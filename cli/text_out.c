/* text_out.c: see text_out.h.
 * Not a report of searches: solve/report.h.
 * Next: cmd_run.c, cmd_chat.c. */
#include "cli/text_out.h"

#include <stdio.h>

void text_out_guesses(const struct speculator *s, uint64_t n_tokens) {
    if (!s) return;
    struct speculate_stats t = speculate_stats(s);
    fprintf(stderr, "guessed: %llu tokens, %llu right (%.1f %%); %llu passes, %.2f tokens each\n",
            (unsigned long long)t.drafted, (unsigned long long)t.accepted,
            t.drafted ? 100 * (double)t.accepted / (double)t.drafted : 0, (unsigned long long)t.passes,
            t.passes ? (double)n_tokens / (double)t.passes : 0);
}
