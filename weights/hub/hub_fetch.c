/* hub_fetch.c: see hub_fetch.h.
 * Not HTTP: http.c.
 * Next: http.c. */
#include "weights/hub/hub_fetch.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "weights/hub/http.h"
#include "base/terminal.h"

enum { NAME_BYTES = 256, MAX_DEPTH = 2, MAX_PARTS = 999, TRIES = 5 };

/* One file of the repository, as its tree says. */
struct remote {
    char path[NAME_BYTES];
    char oid[HTTP_HASH]; /* SHA-256 of the content, or git's SHA-1 (40 digits) */
    uint64_t size;
};

struct fetch {
    const struct hub_wanted *w;
    char endpoint[512];      /* without "/" at its end */
    char repo[HUB_PATH];     /* CACHE/models--user--model */
    char commit[NAME_BYTES]; /* of branch main */
    json_t *tree;
};

bool hub_can_fetch(void) {
    const char *offline = getenv("HF_HUB_OFFLINE");
    return http_is_built() && !(offline && *offline && strcmp(offline, "0"));
}

/* ---- what the hub has ---- */

static void choose_endpoint(struct fetch *f) {
    const char *at = getenv("MODEL_ENDPOINT");
    if (!at || !*at) at = getenv("HF_ENDPOINT");
    if (!at || !*at) at = "https://huggingface.co";
    snprintf(f->endpoint, sizeof f->endpoint, "%s", at);
    for (size_t n = strlen(f->endpoint); n && f->endpoint[n - 1] == '/';) f->endpoint[--n] = 0;
}

static enum status get_json(const struct fetch *f, const char *what, json_t **out, struct error *e) {
    char url[2 * NAME_BYTES + 1024], *text;
    size_t size;
    long code;
    json_error_t why;
    snprintf(url, sizeof url, "%s/api/models/%s/%s/%s", f->endpoint, f->w->user, f->w->model, what);
    enum status s = http_get(url, getenv("HF_TOKEN"), &text, &size, &code, e);
    *out = NULL;
    if (s && code == 404)
        return error_set(e, ERR_INPUT, "-hf %s/%s: no such model, neither here nor at %s", f->w->user, f->w->model,
                         f->endpoint);
    if (s == ERR_IO) return error_set(e, s, "%.400s; %.100s has no such model", e->text, f->w->cache);
    if (s) return s;
    if (!(*out = json_loadb(text, size, 0, &why)))
        s = error_set(e, ERR_INPUT, "%.300s: the answer is no JSON: %s", url, why.text);
    mem_free(text);
    return s;
}

static bool is_hex(const char *s, size_t n) { return s && strlen(s) == n && strspn(s, "0123456789abcdef") == n; }

static enum status find_commit(struct fetch *f, struct error *e) {
    json_t *refs, *branch;
    size_t i;
    enum status s = get_json(f, "refs", &refs, e);
    if (s) return s;
    json_array_foreach(json_object_get(refs, "branches"), i, branch) {
        const char *name = json_string_value(json_object_get(branch, "name"));
        const char *commit = json_string_value(json_object_get(branch, "targetCommit"));
        if (name && !strcmp(name, "main") && is_hex(commit, 40)) strcpy(f->commit, commit);
    }
    json_decref(refs);
    if (*f->commit) return OK;
    return error_set(e, ERR_INPUT, "-hf %s/%s: %s names no commit of its branch main", f->w->user, f->w->model,
                     f->endpoint);
}

/* A name that stays in its folder when it becomes a path. */
static bool is_safe(const char *path) {
    int depth = 0;
    if (!path || !*path || strlen(path) >= NAME_BYTES) return false;
    for (const char *c = path; *c; c++) {
        bool begins = c == path || c[-1] == '/';
        if (begins && (*c == '.' || *c == '/')) return false;
        if (*c == '/' && ++depth > MAX_DEPTH) return false;
        if (!isalnum((unsigned char)*c) && !strchr("._-+/ ()=,@", *c)) return false;
    }
    return path[strlen(path) - 1] != '/';
}

/* false: no file, or one that cannot be checked. */
static bool read_remote(const json_t *item, struct remote *r) {
    const json_t *lfs = json_object_get(item, "lfs");
    const char *path = json_string_value(json_object_get(item, "path"));
    const char *oid = json_string_value(json_object_get(lfs ? lfs : item, "oid"));
    json_int_t size = json_integer_value(json_object_get(lfs ? lfs : item, "size"));
    if (!is_safe(path) || size <= 0 || !is_hex(oid, lfs ? 64 : 40)) return false;
    strcpy(r->path, path), strcpy(r->oid, oid);
    r->size = (uint64_t)size;
    return true;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The rule of hub_find: the quantisation before any, then by name. */
static enum status choose(const struct fetch *f, struct remote *best, struct error *e) {
    int best_rank = 0;
    size_t i;
    const json_t *item;
    char others[NAME_BYTES] = "";
    json_array_foreach(f->tree, i, item) {
        struct remote r;
        if (!read_remote(item, &r)) continue;
        int rank = hub_rank(base_name(r.path), f->w->quant);
        size_t used = strlen(others);
        if (rank && used + strlen(base_name(r.path)) + 2 < sizeof others)
            sprintf(others + used, "%s%s", used ? ", " : "", base_name(r.path));
        if (rank > best_rank || (rank && rank == best_rank && strcmp(r.path, best->path) < 0))
            best_rank = rank, *best = r;
    }
    if (best_rank == 2 || (best_rank && !*f->w->quant)) return OK;
    return error_set(e, ERR_INPUT, "-hf %s/%s: no file of %.40s at %s; there are: %s", f->w->user, f->w->model,
                     *f->w->quant ? f->w->quant : "a GGUF model", f->endpoint, *others ? others : "none");
}

static bool find_path(const struct fetch *f, const char *path, struct remote *r) {
    size_t i;
    const json_t *item;
    json_array_foreach(f->tree, i, item) if (read_remote(item, r) && !strcmp(r->path, path)) return true;
    return false;
}

/* ---- one file ---- */

/* Makes the folders above the last "/". */
static enum status make_folders(const char *path, struct error *e) {
    char at[HUB_PATH];
    snprintf(at, sizeof at, "%s", path);
    for (char *c = at + 1; *c; c++) {
        if (*c != '/') continue;
        *c = 0;
        if (mkdir(at, 0777) && errno != EEXIST) return error_set(e, ERR_IO, "%s: %s", at, strerror(errno));
        *c = '/';
    }
    return OK;
}

/* A line on a terminal, redrawn; elsewhere one line when it begins. */
struct progress {
    const struct remote *file;
    struct terminal term;
    uint64_t start_ns, shown_ns, from;
};

static void show_progress(void *user, uint64_t done) {
    struct progress *p = user;
    uint64_t now = clock_ns();
    if (!p->term.live || (now - p->shown_ns < 200000000u && done != p->file->size)) return;
    p->shown_ns = now;
    double seconds = (double)(now - p->start_ns) / 1e9, speed = (double)(done - p->from) / (seconds + 1e-9);
    fprintf(stderr, "\r\033[K%.40s: %.1f of %.1f MB, %.1f MB/s, %.0f s to go", base_name(p->file->path),
            (double)done / 1e6, (double)p->file->size / 1e6, speed / 1e6, (double)(p->file->size - done) / (speed + 1));
}

/* Again from where it broke, as long as something came. */
static enum status transfer(const struct fetch *f, const struct remote *r, int fd, struct error *e) {
    char url[HUB_PATH];
    struct progress p = {.file = r, .term = terminal_of(STDERR_FILENO), .start_ns = clock_ns()};
    struct http_file h = {
        .url = url, .token = getenv("HF_TOKEN"), .fd = fd, .size = r->size, .progress = show_progress, .user = &p};
    enum status s = OK;
    long code;
    int n = snprintf(url, sizeof url, "%s/%s/%s/resolve/%s/", f->endpoint, f->w->user, f->w->model, f->commit);
    for (const char *c = r->path; *c && n + 4 < HUB_PATH; c++) /* what is_safe lets through */
        n += sprintf(url + n, isalnum((unsigned char)*c) || strchr("._-/", *c) ? "%c" : "%%%02X", (unsigned char)*c);
    p.from = (uint64_t)lseek(fd, 0, SEEK_END);
    if (!p.term.live)
        fprintf(stderr, "downloading %s, %.1f MB%s\n", r->path, (double)r->size / 1e6, p.from ? ", resumed" : "");
    for (int tries = TRIES; tries; tries--) {
        h.from = (uint64_t)lseek(fd, 0, SEEK_END);
        if (h.from == r->size) break;
        s = http_append(&h, &code, e);
        if (s != ERR_IO) break;
        if ((uint64_t)lseek(fd, 0, SEEK_END) == h.from) break; /* nothing came */
    }
    if (p.term.live) fputs("\r\033[K", stderr);
    if (s != ERR_IO) return s;
    struct error why = *e;
    return error_set(e, s, "%.400s; the same command goes on from %.1f MB", why.text,
                     (double)lseek(fd, 0, SEEK_END) / 1e6);
}

static enum status check(const struct remote *r, int fd, const char *partial, struct error *e) {
    char found[HTTP_HASH], prefix[40];
    bool git = strlen(r->oid) == 40;
    size_t n = git ? (size_t)snprintf(prefix, sizeof prefix, "blob %llu", (unsigned long long)r->size) + 1 : 0;
    enum status s = http_hash(fd, git, prefix, n, found, e);
    if (s || !strcmp(found, r->oid)) return s;
    unlink(partial);
    return error_set(e, ERR_INPUT, "%s: the download has the %s %s, the hub says %s; it was removed", r->path,
                     git ? "git hash" : "SHA-256", found, r->oid);
}

static enum status fetch_blob(const struct fetch *f, const struct remote *r, const char *blob, struct error *e) {
    char partial[HUB_PATH];
    struct stat st;
    if (!stat(blob, &st) && (uint64_t)st.st_size == r->size) return OK;
    if (snprintf(partial, sizeof partial, "%s.downloadInProgress", blob) >= HUB_PATH)
        return error_set(e, ERR_INPUT, "%s: the path is too long", blob);
    int fd = open(partial, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return error_set(e, ERR_IO, "%s: %s", partial, strerror(errno));
    enum status s = OK;
    if (flock(fd, LOCK_EX | LOCK_NB)) s = error_set(e, ERR_IO, "%s: another process is downloading it", partial);
    if (!s && (fstat(fd, &st) || (uint64_t)st.st_size > r->size) && ftruncate(fd, 0))
        s = error_set(e, ERR_IO, "%s: %s", partial, strerror(errno));
    if (!s) s = transfer(f, r, fd, e);
    if (!s) s = check(r, fd, partial, e);
    if (!s && (fsync(fd) || rename(partial, blob))) s = error_set(e, ERR_IO, "%s: %s", blob, strerror(errno));
    close(fd);
    return s;
}

/* blobs/OID, and the link to it from the snapshot. */
static enum status fetch_file(const struct fetch *f, const struct remote *r, char path[HUB_PATH], struct error *e) {
    char blob[HUB_PATH], target[NAME_BYTES];
    int n = 0, up = 2;
    for (const char *c = r->path; *c; c++) up += *c == '/';
    for (int i = 0; i < up; i++) n += sprintf(target + n, "../");
    snprintf(target + n, sizeof target - (size_t)n, "blobs/%s", r->oid);
    if (snprintf(blob, sizeof blob, "%s/blobs/%s", f->repo, r->oid) >= HUB_PATH ||
        snprintf(path, HUB_PATH, "%s/snapshots/%s/%s", f->repo, f->commit, r->path) >= HUB_PATH)
        return error_set(e, ERR_INPUT, "%s: the path is too long", f->repo);
    enum status s = make_folders(blob, e);
    if (!s) s = make_folders(path, e);
    if (!s) s = fetch_blob(f, r, blob, e);
    if (!s && symlink(target, path) && errno != EEXIST) s = error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    return s;
}

/* ---- all files of a model ---- */

/* "NAME-00001-of-00003.gguf" has three: the others after the first, whose path becomes `path`. */
static enum status fetch_parts(const struct fetch *f, const struct remote *first, char path[HUB_PATH],
                               struct error *e) {
    char other[HUB_PATH], name[NAME_BYTES];
    struct remote r;
    enum status s = fetch_file(f, first, path, e);
    const char *of = strstr(first->path, "-00001-of-");
    int n = of ? atoi(of + 10) : 1;
    for (int i = 2; !s && i <= n && i <= MAX_PARTS; i++) {
        snprintf(name, sizeof name, "%.*s-%05d-of-%s", (int)(of - first->path), first->path, i, of + 10);
        if (!find_path(f, name, &r)) return error_set(e, ERR_INPUT, "%s: the hub has no such part", name);
        s = fetch_file(f, &r, other, e);
    }
    return s;
}

static enum status write_ref(const struct fetch *f, struct error *e) {
    char path[HUB_PATH], fresh[HUB_PATH];
    if (snprintf(path, sizeof path, "%s/refs/main", f->repo) >= HUB_PATH ||
        snprintf(fresh, sizeof fresh, "%s.%ld", path, (long)getpid()) >= HUB_PATH)
        return error_set(e, ERR_INPUT, "%s: the path is too long", f->repo);
    enum status s = make_folders(path, e);
    if (s) return s;
    FILE *to = fopen(fresh, "w");
    bool good = to && fputs(f->commit, to) >= 0;
    good = to && !fclose(to) && good && !rename(fresh, path);
    return good ? OK : error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
}

enum status hub_fetch(const struct hub_wanted *w, char path[HUB_PATH], struct error *e) {
    struct fetch f = {.w = w};
    struct remote first;
    char what[NAME_BYTES + 32];
    if (snprintf(f.repo, sizeof f.repo, "%s/models--%s--%s", w->cache, w->user, w->model) >= HUB_PATH)
        return error_set(e, ERR_INPUT, "%s: the path is too long", w->cache);
    choose_endpoint(&f);
    enum status s = find_commit(&f, e);
    snprintf(what, sizeof what, "tree/%s?recursive=true", f.commit);
    if (!s) s = get_json(&f, what, &f.tree, e);
    if (!s) s = choose(&f, &first, e);
    if (!s) s = fetch_parts(&f, &first, path, e);
    if (!s) s = write_ref(&f, e);
    json_decref(f.tree);
    return s;
}
