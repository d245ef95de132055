/* http.c: see http.h.
 * Not a retry: hub_fetch.c asks again from where a transfer broke.
 * Next: hub_fetch.c. */
#include "weights/hub/http.h"

#ifndef HAVE_CURL

bool http_is_built(void) { return false; }

static enum status none(struct error *e) {
    return error_set(e, ERR_INPUT, "this build downloads nothing: libcurl was missing");
}

enum status http_get(const char *url, const char *token, char **text, size_t *size, long *code, struct error *e) {
    (void)url, (void)token;
    *text = NULL, *size = 0, *code = 0;
    return none(e);
}

enum status http_append(const struct http_file *f, long *code, struct error *e) {
    (void)f;
    *code = 0;
    return none(e);
}

enum status http_hash(int fd, bool sha1, const void *prefix, size_t n_prefix, char hex[HTTP_HASH], struct error *e) {
    (void)fd, (void)sha1, (void)prefix, (void)n_prefix;
    hex[0] = 0;
    return none(e);
}

#else

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

bool http_is_built(void) { return true; }

/* ---- the libraries ---- */

#define CURL_CALLS(X)                                                                                                  \
    X(curl_easy_init)                                                                                                  \
    X(curl_easy_setopt)                                                                                                \
    X(curl_easy_perform) X(curl_easy_getinfo) X(curl_easy_cleanup) X(curl_easy_strerror) X(curl_slist_append)          \
        X(curl_slist_free_all)
#define CRYPTO_CALLS(X)                                                                                                \
    X(EVP_MD_CTX_new)                                                                                                  \
    X(EVP_MD_CTX_free) X(EVP_DigestInit_ex) X(EVP_DigestUpdate) X(EVP_DigestFinal_ex) X(EVP_sha256) X(EVP_sha1)

struct library { /* the functions under their own names */
#define FIELD(name) __typeof__(&name) name;
    CURL_CALLS(FIELD)
    CRYPTO_CALLS(FIELD)
#undef FIELD
};

static void *find(void *handle, const char *name, bool *good) {
    void *at = handle ? dlsym(handle, name) : NULL;
    *good = *good && at;
    return at;
}

/* Loaded as often as asked: the system counts, and they stay until the end. */
static enum status load_curl(struct library *lib, struct error *e) {
    void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    bool good = true;
#define LOAD(name) lib->name = (__typeof__(lib->name))find(handle, #name, &good);
    CURL_CALLS(LOAD)
    return good ? OK : error_set(e, ERR_INPUT, "downloads need libcurl: %s", handle ? "it is too old" : dlerror());
}

static enum status load_crypto(struct library *lib, struct error *e) {
    void *handle = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    bool good = true;
    if (!handle) handle = dlopen("libcrypto.so.1.1", RTLD_NOW | RTLD_LOCAL);
    CRYPTO_CALLS(LOAD)
#undef LOAD
    return good ? OK : error_set(e, ERR_INPUT, "checksums need libcrypto: %s", handle ? "it is too old" : dlerror());
}

/* ---- one transfer ---- */

struct transfer {
    struct library lib;
    CURL *curl;
    struct curl_slist *headers;
    long code;
    /* http_get */
    char *text;
    size_t n, cap;
    /* http_append */
    const struct http_file *file;
    uint64_t at;
    bool begun, too_long, no_room; /* no_room: errno has the disk's reason, or memory is out */
};

static enum status begin(struct transfer *t, const char *url, const char *token, struct error *e) {
    char header[1024];
    enum status s = load_curl(&t->lib, e);
    if (s) return s;
    if (!(t->curl = t->lib.curl_easy_init())) return error_set(e, ERR_MEMORY, "no memory for a download");
    if (token && *token) {
        if (snprintf(header, sizeof header, "Authorization: Bearer %s", token) >= (int)sizeof header)
            return error_set(e, ERR_INPUT, "HF_TOKEN: longer than any token");
        if (!(t->headers = t->lib.curl_slist_append(NULL, header)))
            return error_set(e, ERR_MEMORY, "no memory for a download");
        t->lib.curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
    }
    t->lib.curl_easy_setopt(t->curl, CURLOPT_URL, url);
    t->lib.curl_easy_setopt(t->curl, CURLOPT_USERAGENT, "ponder");
    t->lib.curl_easy_setopt(t->curl, CURLOPT_FOLLOWLOCATION, 1L);
    t->lib.curl_easy_setopt(t->curl, CURLOPT_MAXREDIRS, 10L);
    t->lib.curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
    t->lib.curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT, 30L);
    t->lib.curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    t->lib.curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_TIME, 60L);
    return OK;
}

static void end(struct transfer *t) {
    if (t->curl) t->lib.curl_easy_cleanup(t->curl);
    if (t->headers) t->lib.curl_slist_free_all(t->headers);
    mem_free(t->text);
}

static enum status perform(struct transfer *t, const char *url, struct error *e) {
    CURLcode c = t->lib.curl_easy_perform(t->curl);
    t->lib.curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->code);
    if (t->too_long) return error_set(e, ERR_INPUT, "%.300s: more bytes than announced", url);
    if (c && !t->no_room) return error_set(e, ERR_IO, "%.300s: %s", url, t->lib.curl_easy_strerror(c));
    if (t->code == 401 || t->code == 403)
        return error_set(e, ERR_INPUT, "%.300s: the server says %ld: log in on its page, and give HF_TOKEN", url,
                         t->code);
    if (t->code >= 500) return error_set(e, ERR_IO, "%.300s: the server says %ld", url, t->code);
    if (t->code >= 300) return error_set(e, ERR_INPUT, "%.300s: the server says %ld", url, t->code);
    return OK;
}

static size_t keep_text(char *data, size_t one, size_t n, void *user) {
    enum { MOST = 64 << 20 };
    struct transfer *t = user;
    (void)one; /* always 1 */
    if (n > MOST - t->n) return t->too_long = true, 0;
    if (t->n + n + 1 > t->cap) {
        size_t cap = 2 * (t->n + n + 1);
        char *more = mem_grow(t->text, t->cap, cap, 1);
        if (!more) return t->no_room = true, 0;
        t->text = more, t->cap = cap;
    }
    memcpy(t->text + t->n, data, n);
    t->text[t->n += n] = 0;
    return n;
}

enum status http_get(const char *url, const char *token, char **text, size_t *size, long *code, struct error *e) {
    struct transfer t = {0};
    *text = NULL, *size = 0;
    enum status s = begin(&t, url, token, e);
    if (!s) {
        t.lib.curl_easy_setopt(t.curl, CURLOPT_WRITEFUNCTION, keep_text);
        t.lib.curl_easy_setopt(t.curl, CURLOPT_WRITEDATA, &t);
        s = perform(&t, url, e);
    }
    if (!s && t.no_room) s = error_set(e, ERR_MEMORY, "%.300s: no memory for the answer", url);
    *code = t.code;
    if (!s && (t.text || (t.text = mem_new(1, 1)))) *text = t.text, *size = t.n, t.text = NULL;
    else if (!s) s = error_set(e, ERR_MEMORY, "no memory for an answer");
    end(&t);
    return s;
}

/* ---- into a file ---- */

static size_t keep_bytes(char *data, size_t one, size_t n, void *user) {
    struct transfer *t = user;
    const struct http_file *f = t->file;
    (void)one;
    t->lib.curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->code);
    if (t->code >= 300) return n; /* the text of an error */
    if (!t->begun && t->code != 206 && t->at) {
        if (ftruncate(f->fd, 0) || lseek(f->fd, 0, SEEK_SET)) return t->no_room = true, 0;
        t->at = 0;
    }
    t->begun = true;
    if (n > f->size - t->at) return t->too_long = true, 0;
    for (size_t i = 0; i < n;) {
        ssize_t written = write(f->fd, data + i, n - i);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return t->no_room = true, 0;
        i += (size_t)written;
    }
    t->at += n;
    f->progress(f->user, t->at);
    return n;
}

enum status http_append(const struct http_file *f, long *code, struct error *e) {
    struct transfer t = {.file = f, .at = f->from};
    char range[32];
    enum status s = begin(&t, f->url, f->token, e);
    if (!s && lseek(f->fd, (off_t)f->from, SEEK_SET) < 0) s = error_set(e, ERR_IO, "%s", strerror(errno));
    if (!s) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)f->from);
        if (f->from) t.lib.curl_easy_setopt(t.curl, CURLOPT_RANGE, range);
        t.lib.curl_easy_setopt(t.curl, CURLOPT_WRITEFUNCTION, keep_bytes);
        t.lib.curl_easy_setopt(t.curl, CURLOPT_WRITEDATA, &t);
        errno = 0;
        s = perform(&t, f->url, e);
    }
    if (!s && t.no_room) s = error_set(e, ERR_INPUT, "%.300s: cannot be written: %s", f->url, strerror(errno));
    if (!s && t.at != f->size) s = error_set(e, ERR_IO, "%.300s: the transfer ended early", f->url);
    *code = t.code;
    end(&t);
    return s;
}

/* ---- hashes ---- */

static enum status hash_bytes_of(struct library *lib, EVP_MD_CTX *ctx, int fd, struct error *e) {
    enum { PART = 1 << 18 };
    char *part = mem_new(PART, 1);
    ssize_t n = -1;
    if (!part) return error_set(e, ERR_MEMORY, "no memory for a checksum");
    if (!lseek(fd, 0, SEEK_SET))
        while ((n = read(fd, part, PART)) > 0) lib->EVP_DigestUpdate(ctx, part, (size_t)n);
    mem_free(part);
    return n < 0 ? error_set(e, ERR_IO, "the download cannot be read: %s", strerror(errno)) : OK;
}

enum status http_hash(int fd, bool sha1, const void *prefix, size_t n_prefix, char hex[HTTP_HASH], struct error *e) {
    struct library lib;
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    enum status s = load_crypto(&lib, e);
    if (s) return s;
    EVP_MD_CTX *ctx = lib.EVP_MD_CTX_new();
    if (!ctx || !lib.EVP_DigestInit_ex(ctx, sha1 ? lib.EVP_sha1() : lib.EVP_sha256(), NULL))
        s = error_set(e, ERR_MEMORY, "no memory for a checksum");
    if (!s) lib.EVP_DigestUpdate(ctx, prefix, n_prefix);
    if (!s) s = hash_bytes_of(&lib, ctx, fd, e);
    if (!s) lib.EVP_DigestFinal_ex(ctx, sum, &n);
    for (unsigned i = 0; i < n && 2 * i + 2 < HTTP_HASH; i++) sprintf(hex + 2 * i, "%02x", sum[i]);
    hex[2 * n] = 0;
    lib.EVP_MD_CTX_free(ctx);
    return s;
}

#endif
