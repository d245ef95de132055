/* deferred_file.c: the folder of deferred jobs: files that are there whole or not at all.
 * Not the jobs: deferred.c.
 * Next: deferred.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/deferred.h"

enum { PATH = 4096 };

bool deferred_is_id(const char *id, size_t n) { return n == DEFERRED_ID && strspn(id, "0123456789abcdef") >= n; }

static enum status failed(const char *folder, const char *name, struct error *e) {
    return error_set(e, ERR_IO, "--deferred %.200s: %.60s: %s", folder, name, strerror(errno));
}

static int open_folder(const char *folder) { return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

static bool write_all(int fd, const char *text, size_t n) {
    while (n) {
        ssize_t k = write(fd, text, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        text += k, n -= (size_t)k;
    }
    return true;
}

enum status deferred_write(const char *folder, const char *id, const char *kind, const json_t *json, struct error *e) {
    char now[64], then[64];
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17));
    snprintf(now, sizeof now, "%s.%s.new", id, kind), snprintf(then, sizeof then, "%s.%s", id, kind);
    int in = open_folder(folder), fd = -1;
    bool good = text && in >= 0 && (fd = openat(in, now, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) >= 0;
    good = good && write_all(fd, text, strlen(text)) && !fsync(fd);
    good = good && !renameat(in, now, in, then) && !fsync(in); /* the name is on disk, too */
    enum status s = good ? OK : text ? failed(folder, then, e) : error_set(e, ERR_MEMORY, "no memory for %s", then);
    if (!good && in >= 0) unlinkat(in, now, 0);
    if (fd >= 0) close(fd);
    if (in >= 0) close(in);
    free(text);
    return s;
}

json_t *deferred_read(const char *folder, const char *id, const char *kind, struct error *e) {
    char path[PATH];
    json_error_t why;
    snprintf(path, sizeof path, "%s/%s.%s", folder, id, kind);
    json_t *json = json_load_file(path, 0, &why);
    if (!json) error_set(e, ERR_IO, "--deferred %.200s: %s.%s: %s", folder, id, kind, why.text);
    return json;
}

void deferred_unlink(const char *folder, const char *id, const char *kind) {
    char path[PATH];
    snprintf(path, sizeof path, "%s/%s.%s", folder, id, kind);
    unlink(path);
}

enum status deferred_lock(const char *folder, int *fd, struct error *e) {
    char path[PATH];
    *fd = -1;
    if (strlen(folder) > PATH - 64) return error_set(e, ERR_INPUT, "--deferred: the path is too long");
    if (mkdir(folder, 0700) && errno != EEXIST) return failed(folder, "the folder", e);
    snprintf(path, sizeof path, "%s/lock", folder);
    if ((*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0) return failed(folder, "lock", e);
    if (!flock(*fd, LOCK_EX | LOCK_NB)) return OK;
    return error_set(e, ERR_IO, "--deferred %.200s: another server has this folder", folder);
}

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), k = strlen(end);
    return n >= k && !strcmp(name + n - k, end);
}

enum status deferred_scan(const char *folder, enum status (*see)(void *arg, const char *id, struct error *e), void *arg,
                          struct error *e) {
    DIR *d = opendir(folder);
    enum status s = d ? OK : failed(folder, "the folder", e);
    for (struct dirent *f; !s && (f = readdir(d));) {
        char id[DEFERRED_ID + 1];
        if (!deferred_is_id(f->d_name, strcspn(f->d_name, "."))) continue; /* none of ours */
        snprintf(id, sizeof id, "%.*s", DEFERRED_ID, f->d_name);
        if (ends_with(f->d_name, ".new")) unlinkat(dirfd(d), f->d_name, 0);
        else if (!strcmp(f->d_name + DEFERRED_ID, ".job")) s = see(arg, id, e);
    }
    if (d) closedir(d);
    return s;
}
