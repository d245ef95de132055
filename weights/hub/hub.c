/* hub.c: see hub.h.
 * No index: a cache folder is read each time, which takes milliseconds.
 * Next: hub_fetch.c. */
#include "weights/hub/hub_fetch.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "weights/hub/http.h"

enum { MAX_DEPTH = 2, NAME = 256 }; /* some repositories keep each quantisation in a folder of its own */

/* "user/model:QUANT" taken apart. */
struct spec {
    char user[NAME], model[NAME], quant[NAME]; /* quant "": not given */
};

/* The best file so far. */
struct search {
    const char *quant;     /* wanted; "": Q4_K_M, or else any */
    int rank;              /* of path: 0 none yet, 1 any file, 2 the quantisation */
    char path[HUB_PATH];   /* full path */
    char others[NAME + 1]; /* names of what is there, for the error text */
};

static bool is_name(const char *s, size_t n) {
    if (!n || n >= NAME || s[0] == '.') return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("._-", s[i])) return false;
    return true;
}

static bool parse(const char *text, struct spec *s) {
    const char *slash = strchr(text, '/'), *colon = slash ? strchr(slash, ':') : NULL;
    if (!slash) return false;
    size_t n_user = (size_t)(slash - text), n_model = colon ? (size_t)(colon - slash - 1) : strlen(slash + 1);
    if (!is_name(text, n_user) || !is_name(slash + 1, n_model) || (colon && !is_name(colon + 1, strlen(colon + 1))))
        return false;
    memset(s, 0, sizeof *s);
    memcpy(s->user, text, n_user), memcpy(s->model, slash + 1, n_model);
    if (colon) strcpy(s->quant, colon + 1);
    return true;
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n > m && !strcasecmp(s + n - m, end);
}

/* Does the name have the word between separators?  "_" may stand before it only: Q4_K is not a part of Q4_K_M. */
static bool has_word(const char *name, const char *word) {
    size_t n = strlen(word);
    for (const char *at = name; (at = strcasestr(at, word)); at++)
        if ((at == name || strchr("-._", at[-1])) && strchr("-.", at[n])) return true;
    return false;
}

/* A weights file to open: of several parts the first. */
static bool is_model(const char *name) {
    const char *of = strstr(name, "-of-");
    if (!ends_with(name, ".gguf") || strcasestr(name, "mmproj") || strcasestr(name, "imatrix")) return false;
    return !of || of - name < 6 || !isdigit((unsigned char)of[-1]) || !strncmp(of - 6, "-00001", 6);
}

int hub_rank(const char *name, const char *quant) {
    if (!is_model(name)) return 0;
    return has_word(name, *quant ? quant : "Q4_K_M") ? 2 : 1;
}

static void consider(struct search *s, const char *folder, const char *name) {
    char path[HUB_PATH];
    int size = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (size < 0 || size >= HUB_PATH || access(path, R_OK)) return; /* a link whose blob is gone, too */
    int rank = hub_rank(name, s->quant);
    size_t used = strlen(s->others), left = sizeof s->others - used;
    size = snprintf(s->others + used, left, "%s%s", used ? ", " : "", name);
    if (size < 0 || (size_t)size >= left) s->others[used] = 0; /* whole names only */
    if (rank > s->rank || (rank == s->rank && strcmp(path, s->path) < 0)) s->rank = rank, strcpy(s->path, path);
}

static void scan(struct search *s, const char *folder, int depth) {
    DIR *dir = opendir(folder);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[HUB_PATH];
        if (entry->d_name[0] == '.') continue;
        if (is_model(entry->d_name)) {
            consider(s, folder, entry->d_name);
        } else if (depth && snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < HUB_PATH) {
            scan(s, path, depth - 1); /* does nothing when it is no folder */
        }
    }
    closedir(dir);
}

/* The commit that refs/main names; "" when it cannot be told. */
static void read_ref(const char *repo, char commit[NAME]) {
    char path[HUB_PATH];
    commit[0] = 0;
    if (snprintf(path, sizeof path, "%s/refs/main", repo) >= HUB_PATH) return;
    FILE *f = fopen(path, "r");
    if (!f) return;
    if (!fgets(commit, NAME, f)) commit[0] = 0;
    fclose(f);
    commit[strcspn(commit, "\r\n")] = 0;
    if (!is_name(commit, strlen(commit))) commit[0] = 0;
}

static bool is_found(const struct search *s) { return s->rank == 2 || (s->rank == 1 && !*s->quant); }

/* The snapshot of refs/main, and only without a fitting file there the other ones. */
static bool search_repo(struct search *s, const char *repo) {
    char path[HUB_PATH], commit[NAME];
    read_ref(repo, commit);
    if (*commit && snprintf(path, sizeof path, "%s/snapshots/%s", repo, commit) < HUB_PATH)
        scan(s, path, MAX_DEPTH - 1);
    if (is_found(s)) return true;
    s->others[0] = 0;
    if (snprintf(path, sizeof path, "%s/snapshots", repo) < HUB_PATH) scan(s, path, MAX_DEPTH);
    return is_found(s);
}

/* Where caches are, in llama.cpp's order: a variable, and what follows its value. */
static const struct {
    const char *variable, *below;
} caches[] = {
    {"LLAMA_CACHE", ""},
    {"HF_HUB_CACHE", ""},
    {"HUGGINGFACE_HUB_CACHE", ""},
    {"HF_HOME", "/hub"},
    {"XDG_CACHE_HOME", "/huggingface/hub"},
    {"HOME", "/.cache/huggingface/hub"},
};

enum status hub_find(const char *spec, char path[HUB_PATH], struct error *e) {
    struct spec want;
    char repo[HUB_PATH], places[320] = "", seen[NAME + 1] = "";
    if (!parse(spec, &want))
        return error_set(e, ERR_INPUT, "-hf \"%.100s\": expected user/model or user/model:QUANT", spec);
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
        const char *at = getenv(caches[i].variable);
        struct search s = {.quant = want.quant};
        if (!at || !*at) continue;
        int size = snprintf(repo, sizeof repo, "%s%s/models--%s--%s", at, caches[i].below, want.user, want.model);
        if (size < 0 || size >= HUB_PATH) continue;
        if (search_repo(&s, repo)) {
            strcpy(path, s.path);
            return OK;
        }
        if (!*seen) strcpy(seen, s.others);
        size_t used = strlen(places);
        snprintf(places + used, sizeof places - used, "%s%s%s", used ? ", " : "", at, caches[i].below);
    }
    if (*seen) return error_set(e, ERR_INPUT, "-hf %.100s: no file of %.40s; there are: %s", spec, want.quant, seen);
    return error_set(e, ERR_INPUT,
                     "-hf %.100s: no such model in %s; nothing is downloaded (%s), so give the file with --model", spec,
                     *places ? places : "any cache, as no variable (HF_HOME, HOME, ...) names one",
                     http_is_built() ? "offline" : "built without libcurl");
}

static bool first_cache(char path[HUB_PATH]) {
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
        const char *at = getenv(caches[i].variable);
        if (at && *at) return snprintf(path, HUB_PATH, "%s%s", at, caches[i].below) < HUB_PATH;
    }
    return false;
}

enum status hub_resolve(const char **name, char path[HUB_PATH], struct error *e) {
    if (strncmp(*name, "hf:", 3)) return OK;
    struct spec want;
    char cache[HUB_PATH];
    enum status s = hub_find(*name + 3, path, e);
    if (s && hub_can_fetch() && parse(*name + 3, &want) && first_cache(cache)) {
        struct hub_wanted w = {want.user, want.model, want.quant, cache};
        s = hub_fetch(&w, path, e);
    }
    if (!s) *name = path;
    return s;
}
