/* flags_session.c: see flags_session.h.
 * Not the opening: solve/session.c.
 * Next: cmd_run.c. */
#include "cli/flags_session.h"

#include <stdio.h>

void session_remark(const char *command, const struct session *s) {
    if (*s->remark) fprintf(stderr, "ponder %s: %s\n", command, s->remark);
}
