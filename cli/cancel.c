/* cancel.c: see cancel.h.
 * Not more than one flag: a signal has no other place to write to, which makes it the one global of the binary.
 * Next: solve/session.c. */
#include "cli/cancel.h"

#include <signal.h>
#include <stddef.h>

static volatile int asked;

static void ask(int number) {
    (void)number;
    asked = 1;
}

const volatile int *cancel_install(void) {
    struct sigaction action = {.sa_handler = ask, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &asked;
}

void cancel_clear(void) {
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    asked = 0;
}
