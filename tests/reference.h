/* reference.h: larger files made by other programs, which the tree does not hold.
 * Not needed by anything: tests that want them are skipped unless PONDER_REFERENCE names their folder.
 * Next: tests/golden/README.md for the files that the tree does hold. */
#ifndef PONDER_TESTS_REFERENCE_H
#define PONDER_TESTS_REFERENCE_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The path of a reference file, or NULL when it is not there.  The text lives until four more calls. */
__attribute__((format(printf, 1, 2), unused)) static const char *reference(const char *format, ...) {
    static char paths[4][600];
    static unsigned at;
    const char *folder = getenv("PONDER_REFERENCE");
    if (!folder) return NULL;
    char name[256], *path = paths[at++ % 4];
    va_list list;
    va_start(list, format);
    vsnprintf(name, sizeof name, format, list);
    va_end(list);
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return access(path, R_OK) ? NULL : path;
}

#endif
