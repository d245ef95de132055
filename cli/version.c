/* version.c: which commit this is; a file of its own, so that a new commit compiles nothing else again.
 * Not a release number: there are none.
 * Next: main.c. */
#include "cli/command.h"

const char version_commit[] = PONDER_COMMIT;
