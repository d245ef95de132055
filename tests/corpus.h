/* corpus.h: replays the kept inputs of a fuzz target through it, in every test run.
 * Not the fuzzing: `make fuzz`.
 * Next: fuzz_gguf.c and its neighbours, one of which the including test includes too. */
#ifndef PONDER_TESTS_CORPUS_H
#define PONDER_TESTS_CORPUS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline uint8_t *slurp(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st)) fail_msg("%s: %s", path, strerror(errno));
    uint8_t *p = malloc((size_t)st.st_size + 1);
    *size = fread(p, 1, (size_t)st.st_size, f);
    fclose(f);
    return p;
}

/* All files of tests/corpus/NAME, at least so many; run from the root of the tree.  The name of the file that crashes is
 * the last one in the log. */
static inline void replay(const char *name, size_t least) {
    char pattern[64];
    glob_t found;
    snprintf(pattern, sizeof pattern, "tests/corpus/%s/*", name);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        size_t size;
        uint8_t *p = slurp(found.gl_pathv[i], &size);
        fprintf(stderr, "%s\n", found.gl_pathv[i]);
        LLVMFuzzerTestOneInput(p, size);
        free(p);
    }
    if (found.gl_pathc < least) fail_msg("%s: %zu files, expected at least %zu", pattern, found.gl_pathc, least);
    globfree(&found);
}

#endif
