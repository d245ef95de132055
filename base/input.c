/* input.c: see input.h.
 * Not a mapping: a pipe has none.
 * Next: cli/cmd_tokenize.c. */
#include "base/input.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const size_t most_bytes = (size_t)1 << 30;

static enum status read_all(FILE *f, const char *name, char **text, size_t *size, struct error *e) {
    size_t cap = 1 << 16, n = 0;
    char *data = mem_new(cap + 1, 1), *more;
    while (data) {
        n += fread(data + n, 1, cap - n, f);
        if (n < cap) break;
        if (cap >= most_bytes) {
            mem_free(data);
            return error_set(e, ERR_INPUT, "%s: longer than %zu bytes", name, most_bytes);
        }
        if (!(more = mem_grow(data, cap + 1, 2 * cap + 1, 1))) break;
        data = more, cap *= 2;
    }
    if (data && n < cap && !ferror(f)) {
        data[n] = 0;
        *text = data, *size = n;
        return OK;
    }
    bool failed = ferror(f);
    mem_free(data);
    if (failed) return error_set(e, ERR_IO, "%s: %s", name, strerror(errno));
    return error_set(e, ERR_MEMORY, "%s: no memory for its text", name);
}

const char *input_name(const char *path) { return path && strcmp(path, "-") ? path : "standard input"; }

FILE *input_open(const char *path, struct error *e) {
    FILE *f = path && strcmp(path, "-") ? fopen(path, "rb") : stdin;
    if (!f) error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    return f;
}

void input_close(FILE *f) {
    if (f != stdin) fclose(f);
}

enum status input_read_bytes(const char *path, char **text, size_t *size, struct error *e) {
    *text = NULL, *size = 0;
    FILE *f = input_open(path, e);
    if (!f) return ERR_IO;
    enum status s = read_all(f, input_name(path), text, size, e);
    input_close(f);
    return s;
}

size_t input_unix_lines(char *text, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] != '\r' || i + 1 == size || text[i + 1] != '\n') text[n++] = text[i];
    if (n < size) text[n] = 0;
    return n;
}

enum status input_read(const char *path, char **text, size_t *size, struct error *e) {
    enum status s = input_read_bytes(path, text, size, e);
    if (!s) *size = input_unix_lines(*text, *size);
    return s;
}

static int hex_digit(char c) {
    if (!isxdigit((unsigned char)c)) return -1;
    return isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

char *input_unescape(char *text) {
    static const char names[] = "nrt'\"\\", values[] = "\n\r\t'\"\\";
    char *to = text;
    for (const char *at = text; *at; at++) {
        const char *name = *at == '\\' && at[1] ? strchr(names, at[1]) : NULL;
        if (name) {
            *to++ = values[name - names];
            at++;
        } else if (*at == '\\' && at[1] == 'x' && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0) {
            *to++ = (char)(16 * hex_digit(at[2]) + hex_digit(at[3]));
            at += 3;
        } else {
            *to++ = *at;
        }
    }
    *to = 0;
    return text;
}
