/* http.h: GET over HTTP(S) and hashes of files, by libcurl and libcrypto, which are loaded when they are first needed: a
 * program that downloads nothing does not pay for them (6 MB, 10 ms).
 * Not in every build: HAVE_CURL says that the headers were there.
 * Next: http.c. */
#ifndef PONDER_HTTP_H
#define PONDER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Was this built with libcurl's headers? */
bool http_is_built(void);

/* The whole answer, NUL-terminated, for mem_free; at most 64 MiB.  token: for "Authorization: Bearer", or NULL; it is not sent
 * on to another host.  ERR_INPUT: the server's refusal (*code, 0 without one); ERR_IO: no answer. */
enum status http_get(const char *url, const char *token, char **text, size_t *size, long *code, struct error *e);

/* Bytes [from, size) of a resource, appended to fd.  A server that starts over makes fd empty first. */
struct http_file {
    const char *url, *token;
    int fd;
    uint64_t from, size;
    void (*progress)(void *user, uint64_t done); /* of size; often */
    void *user;
};
enum status http_append(const struct http_file *f, long *code, struct error *e);

/* Lower-case hex of the SHA-256 of prefix and file together, or of their SHA-1 (git's: prefix "blob SIZE\0"). */
enum { HTTP_HASH = 65 };
enum status http_hash(int fd, bool sha1, const void *prefix, size_t n_prefix, char hex[HTTP_HASH], struct error *e);

#endif
