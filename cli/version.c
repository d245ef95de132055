/* version.c: which commit this is; a file of its own, so that a new commit compiles nothing else again.
 * Not a release number: there are none.
 * Next: main.c. */
#include <jansson.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "cli/command.h"

#define TEXT_OF(x) TEXT(x)
#define TEXT(x) #x

const char version_commit[] = PONDER_COMMIT;
const char version_parts[] =
    "Jansson " JANSSON_VERSION ", PCRE2 " TEXT_OF(PCRE2_MAJOR) "." TEXT_OF(PCRE2_MINOR) ", stb_ds"
#ifdef _OPENMP
    ", OpenMP"
#endif
    ", OpenBLAS (loaded for training)";
