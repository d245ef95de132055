/* keys.c: see keys.h.
 * Not the headers that clients send them in: route.c.
 * Next: quota.h. */
#include "serve/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/input.h"
#include "base/mem.h"

static enum status read_limit(const char *word, struct allowance *day, struct error *e) {
    char *end = NULL;
    bool flops = !strncmp(word, "gflops=", 7);
    double x = flops || !strncmp(word, "tokens=", 7) ? strtod(word + 7, &end) : -1;
    if (!end || end == word + 7 || *end || !(x >= 0 && x <= 1e9))
        return error_set(e, ERR_INPUT, "\"%.40s\": tokens=N or gflops=N, with N from 0 to 1e9, is allowed", word);
    if (flops) day->flops = (uint64_t)(x * 1e9);
    else day->tokens = (uint64_t)x;
    return OK;
}

static enum status add(struct server_keys *k, const char *text, const struct allowance *day, struct error *e) {
    if (k->n == SERVER_KEYS) return error_set(e, ERR_INPUT, "more than %d keys", SERVER_KEYS);
    if (!*text) return error_set(e, ERR_INPUT, "an empty key");
    k->text[k->n] = text, k->day[k->n++] = *day;
    return OK;
}

/* In place. */
static enum status read_line(char *line, const struct allowance *each, struct server_keys *k, struct error *e) {
    char *rest = NULL, *key = strtok_r(line, " \t", &rest);
    struct allowance day = *each;
    enum status s = OK;
    if (!key) return OK;
    for (char *word; !s && (word = strtok_r(NULL, " \t", &rest));) s = read_limit(word, &day, e);
    return s ? s : add(k, key, &day, e);
}

static enum status read_file(const char *path, const struct allowance *each, struct server_keys *k, struct error *e) {
    size_t size;
    char *rest = NULL;
    int before = k->n;
    struct error why;
    enum status s = input_read(path, &k->file, &size, e);
    for (char *line = s ? NULL : strtok_r(k->file, "\n", &rest); line && !s; line = strtok_r(NULL, "\n", &rest))
        if ((s = read_line(line, each, k, &why))) error_set(e, s, "--api-key-file %.200s: %s", path, why.text);
    return s || k->n > before ? s : error_set(e, ERR_INPUT, "--api-key-file %.200s: no key in it", path);
}

enum status keys_read(const struct flag_list *list, const char *file, const struct allowance *each,
                      struct server_keys *k, struct error *e) {
    struct error why;
    enum status s = OK;
    *k = (struct server_keys){0};
    for (int i = 0; i < list->n && !s; i++)
        if ((s = add(k, list->values[i], each, &why))) error_set(e, s, "--api-key: %s", why.text);
    return s || !file ? s : read_file(file, each, k, e);
}

void keys_free(struct server_keys *k) { mem_free(k->file), k->file = NULL, k->n = 0; }

static bool same_key(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    unsigned char differs = n != m;
    for (size_t i = 0; i < n; i++) differs |= (unsigned char)a[i] ^ (unsigned char)b[m ? i % m : 0];
    return !differs;
}

int keys_find(const struct server_keys *k, const char *given) {
    int found = -1;
    for (int i = 0; i < k->n; i++) found = same_key(given, k->text[i]) ? i : found;
    return found;
}
