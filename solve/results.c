/* results.c: see results.h.
 * Not what the lines mean: cmd_eval.c.
 * Next: cli/cmd_eval.c. */
#include "solve/results.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "solve/report.h"

static const char *const beginning = "{\"format\":\"ponder-results\"";

static enum status io_error(const struct results *r, const char *what, struct error *e) {
    return error_set(e, ERR_IO, "%s: %s: %s", r->path, what, strerror(errno));
}

static enum status open_locked(struct results *r, struct error *e) {
    struct stat st;
    r->fd = open(r->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->fd < 0) return io_error(r, "cannot be opened for writing", e);
    if (fstat(r->fd, &st)) return io_error(r, "fstat", e);
    if (!S_ISREG(st.st_mode)) return error_set(e, ERR_INPUT, "%s: results need a regular file", r->path);
    if (!flock(r->fd, LOCK_EX | LOCK_NB)) return OK;
    if (errno == EWOULDBLOCK) return error_set(e, ERR_IO, "%s: another process is writing it", r->path);
    return io_error(r, "cannot be locked", e);
}

/* What the lines do not depend on: another run may go on with another value, and says so.  The descriptions follow
 * from the hashes; older files have none. */
static const char *const surroundings[] = {"policy", "reward_model", "git",     "host",
                                           "cpu",    "kernels",      "threads", "in_flight"};

bool results_surrounding(const char *name) {
    bool found = false;
    for (size_t i = 0; i < sizeof surroundings / sizeof *surroundings; i++) found |= !strcmp(name, surroundings[i]);
    return found;
}

static bool same_json(const json_t *a, const json_t *b) {
    char *x = json_dumps(a, REPORT_JSON | JSON_ENCODE_ANY), *y = json_dumps(b, REPORT_JSON | JSON_ENCODE_ANY);
    bool same = x && y && !strcmp(x, y);
    free(x);
    free(y);
    return same;
}

static enum status differs(const struct results *r, const char *name, const json_t *there, const json_t *here,
                           struct error *e) {
    char *x = there ? json_dumps(there, REPORT_JSON | JSON_ENCODE_ANY) : NULL,
         *y = here ? json_dumps(here, REPORT_JSON | JSON_ENCODE_ANY) : NULL;
    error_set(e, ERR_INPUT,
              "%s: made by another run: \"%s\" is %s there and %s here; give another -o, or the same flags", r->path,
              name, x ? x : "missing", y ? y : "missing");
    free(x);
    free(y);
    return ERR_INPUT;
}

enum status results_same_header(const struct results *r, json_t *there, const json_t *here, struct error *e) {
    const char *name;
    json_t *value;
    json_object_foreach(there, name, value) if (!results_surrounding(name) &&
                                                !json_object_get(here, name)) return differs(r, name, value, NULL, e);
    json_object_foreach((json_t *)here, name, value) {
        const json_t *other = json_object_get(there, name);
        bool free = results_surrounding(name) || !strcmp(name, "started");
        if (!free && (!other || !same_json(value, other))) return differs(r, name, other, value, e);
    }
    return OK;
}

/* here NULL: any will do. */
static enum status take_header(struct results *r, json_t *there, const json_t *here, struct error *e) {
    enum status s = here ? results_same_header(r, there, here, e) : OK;
    if (!s) r->header = json_incref(there);
    return s;
}

/* {"continued":{"threads":4,...}}: what was different from there on. */
static enum status take_continued(struct results *r, const json_t *changed, long number, struct error *e) {
    if (!json_is_object(changed) || json_object_update(r->header, (json_t *)changed))
        return error_set(e, ERR_INPUT, "%s:%ld: \"continued\" is no object", r->path, number);
    return OK;
}

/* Adds such a line, if need be. */
static enum status note_changes(struct results *r, const json_t *here, struct error *e) {
    json_t *changed = json_object(), *line = json_pack("{s:O}", "continued", changed);
    enum status s = changed && line ? OK : error_set(e, ERR_MEMORY, "%s: no memory for a line", r->path);
    for (size_t i = 0; !s && i < sizeof surroundings / sizeof *surroundings; i++) {
        json_t *new = json_object_get(here, surroundings[i]), *old = json_object_get(r->header, surroundings[i]);
        if (new && !(old && same_json(new, old))) json_object_set(changed, surroundings[i], new);
    }
    if (!s && json_object_size(changed)) s = results_append(r, line, e);
    json_decref(changed);
    json_decref(line);
    return s;
}

/* One whole line that was there. */
static enum status take_line(struct results *r, const char *line, size_t size, long number, const json_t *header,
                             struct error *e) {
    json_error_t why;
    json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
    const char *id = json_string_value(json_object_get(object, "id"));
    enum status s = OK;
    if (!json_is_object(object))
        s = error_set(e, ERR_INPUT, "%s:%ld: not a JSON object: %s", r->path, number, why.text);
    else if (number == 1) s = take_header(r, object, header, e);
    else if (json_object_get(object, "continued"))
        s = take_continued(r, json_object_get(object, "continued"), number, e);
    else if (!id) s = error_set(e, ERR_INPUT, "%s:%ld: a result without \"id\"", r->path, number);
    else if (json_object_get(r->lines, id))
        s = error_set(e, ERR_INPUT, "%s:%ld: a second result for \"%s\"", r->path, number, id);
    else if (json_object_set(r->lines, id, object))
        s = error_set(e, ERR_MEMORY, "%s: no memory for its lines", r->path);
    json_decref(object);
    return s;
}

static enum status read_lines(struct results *r, const json_t *header, struct error *e) {
    int copy = dup(r->fd);
    FILE *f = copy < 0 ? NULL : fdopen(copy, "r");
    if (!f) {
        if (copy >= 0) close(copy);
        return io_error(r, "cannot be read", e);
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t size;
    enum status s = OK;
    for (long number = 1; !s && (size = getline(&line, &cap, f)) > 0; number++) {
        bool whole = line[size - 1] == '\n';
        size_t known = strlen(beginning) < (size_t)size ? strlen(beginning) : (size_t)size;
        if (number == 1 && memcmp(line, beginning, known))
            s = error_set(e, ERR_INPUT, "%s: holds something else than results; it is left as it is", r->path);
        if (s || !whole) break;
        s = take_line(r, line, (size_t)size, number, header, e);
        r->size += (size_t)size;
    }
    if (!s && ferror(f)) s = io_error(r, "cannot be read", e);
    free(line);
    fclose(f);
    return s;
}

enum status results_append(struct results *r, const json_t *line, struct error *e) {
    char *text = json_dumps(line, REPORT_JSON);
    if (!text) return error_set(e, ERR_MEMORY, "%s: no memory for a line", r->path);
    size_t size = strlen(text), at = 0;
    text[size++] = '\n'; /* in place of the NUL */
    while (at < size) {
        ssize_t n = pwrite(r->fd, text + at, size - at, (off_t)(r->size + at));
        if (n > 0) at += (size_t)n;
        else if (n == 0 || errno != EINTR) break;
    }
    free(text);
    if (at == size && !fsync(r->fd)) {
        r->size += size;
        return OK;
    }
    enum status s = io_error(r, "a line cannot be written; what was finished is kept", e);
    if (ftruncate(r->fd, (off_t)r->size)) return s; /* a torn line: the next open cuts it */
    return s;
}

enum status results_open(const char *path, const json_t *header, struct results *r, struct error *e) {
    *r = (struct results){.path = path, .fd = -1, .lines = json_object()};
    enum status s = r->lines ? open_locked(r, e) : error_set(e, ERR_MEMORY, "%s: no memory", path);
    if (!s) s = read_lines(r, header, e);
    if (!s && ftruncate(r->fd, (off_t)r->size)) s = io_error(r, "a torn last line cannot be cut", e);
    if (!s) s = r->size ? note_changes(r, header, e) : results_append(r, header, e);
    if (s) results_close(r);
    return s;
}

enum status results_load(const char *path, struct results *r, struct error *e) {
    *r = (struct results){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC), .lines = json_object()};
    enum status s = r->fd < 0 ? io_error(r, "cannot be read", e) : OK;
    if (!s && !r->lines) s = error_set(e, ERR_MEMORY, "%s: no memory", path);
    if (!s) s = read_lines(r, NULL, e);
    if (!s && !r->header) s = error_set(e, ERR_INPUT, "%s: holds no results", path);
    if (s) results_close(r);
    return s;
}

void results_close(struct results *r) {
    if (r->fd >= 0) close(r->fd);
    json_decref(r->lines);
    json_decref(r->header);
    r->fd = -1, r->lines = r->header = NULL;
}
