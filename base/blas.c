/* blas.c: see blas.h.
 * Not a fallback: without the library nothing is trained.
 * Next: base/team.h, whose threads call it. */
#include "base/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

static struct blas functions;
static bool is_open;

const struct blas *blas(void) { return &functions; }

/* ISO C knows no conversion from objects to functions; POSIX does. */
static bool find(void *library, const char *name, void *to) { return (*(void **)to = dlsym(library, name)) != NULL; }

/* The library counts CPUs and starts as many threads while it is loaded, unless the environment says otherwise. */
static void *load(void) {
    static const char variable[] = "OPENBLAS_NUM_THREADS";
    const bool given = getenv(variable) != NULL;
    if (!given) setenv(variable, "1", 1);
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!given) unsetenv(variable);
    return library;
}

enum status blas_open(struct error *e) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    enum status s = OK;
    pthread_mutex_lock(&lock);
    if (!is_open) {
        void *library = load();
        if (!library || !find(library, "cblas_sgemm", &functions.sgemm) ||
            !find(library, "cblas_sgemv", &functions.sgemv) || !find(library, "cblas_sdot", &functions.sdot) ||
            !find(library, "cblas_saxpy", &functions.saxpy) ||
            !find(library, "openblas_set_num_threads", &functions.set_threads))
            s = error_set(e, ERR_IO, "libopenblas.so.0: %s", library ? "has no cblas functions" : dlerror());
        else functions.set_threads(1), is_open = true;
    }
    pthread_mutex_unlock(&lock);
    return s;
}
