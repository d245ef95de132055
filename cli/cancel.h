/* cancel.h: Ctrl-C once asks the work to stop, twice ends the program.
 * Not for cleaning up: whoever looks at the flag does that.
 * Next: solve/session.h. */
#ifndef PONDER_CANCEL_H
#define PONDER_CANCEL_H

/* Non-zero after SIGINT or SIGTERM; the second one finds the system's default action. */
const volatile int *cancel_install(void);
/* Forgets the signal and gives both back to the system: the work is over, but the program goes on. */
void cancel_clear(void);

#endif
