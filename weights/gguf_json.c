/* gguf_json.c: what gguf_print shows, for programs.
 * Not a converter: arrays are cut, tensors are named only.
 * Next: cli/cmd_inspect.c. */
#include <inttypes.h>
#include <string.h>

#include "weights/gguf_impl.h"

enum { SHOWN_ELEMENTS = 8 };

/* Length of the well-formed UTF-8 sequence at p (n bytes are there), or 0. */
static size_t utf8_length(const uint8_t *p, size_t n) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (len == 1) return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len > n) return 0;
    uint32_t c = p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

/* Bytes that are no UTF-8 become U+FFFD each. */
static void put_text(struct gguf_string s, FILE *to) {
    const uint8_t *p = (const uint8_t *)s.data;
    fputc('"', to);
    for (size_t i = 0, len; i < s.size; i += len ? len : 1) {
        len = utf8_length(p + i, s.size - i);
        if (len == 0) fputs("\\ufffd", to);
        else if (p[i] < 0x20 || p[i] == 0x7f) fprintf(to, "\\u%04x", p[i]);
        else if (p[i] == '"' || p[i] == '\\') fprintf(to, "\\%c", p[i]);
        else fwrite(p + i, 1, len, to);
    }
    fputc('"', to);
}

static void put_number(const struct gguf_key *k, enum gguf_kind kind, size_t i, FILE *to) {
    char shown[40];
    gguf_key_show(k, i, shown);
    if (kind == GGUF_BOOL) fputs(shown[0] == '1' ? "true" : "false", to);
    else fputs(strpbrk(shown, "ni") ? "null" : shown, to); /* JSON has no nan and no inf */
}

static void put_key(const struct gguf_key *k, FILE *to) {
    put_text(k->name, to);
    fputc(':', to);
    if (k->kind == GGUF_STRING) {
        put_text((struct gguf_string){(const char *)k->data, k->n}, to);
    } else if (k->kind == GGUF_ARRAY) {
        fprintf(to, "{\"kind\":\"%s\",\"n\":%zu,\"first\":[", gguf_kind_name(k->element), k->n);
        for (size_t i = 0; i < k->n && i < SHOWN_ELEMENTS; i++) {
            if (i) fputc(',', to);
            if (k->element == GGUF_STRING) put_text(gguf_key_string(k, i), to);
            else put_number(k, k->element, i, to);
        }
        fputs("]}", to);
    } else {
        put_number(k, k->kind, 0, to);
    }
}

static void put_tensor(const struct gguf_tensor *t, FILE *to) {
    fputs("{\"name\":", to);
    put_text(t->name, to);
    fprintf(to, ",\"type\":\"%s\",\"shape\":[", type_info(t->type)->name);
    for (uint32_t i = 0; i < t->n_dims; i++) fprintf(to, "%s%" PRIu64, i ? "," : "", t->dims[i]);
    fprintf(to, "],\"bytes\":%zu}", t->size_bytes);
}

void gguf_print_json(const struct gguf *g, FILE *to) {
    fputs("{\"name\":", to);
    put_text((struct gguf_string){g->name, strlen(g->name)}, to);
    fprintf(to, ",\"version\":%" PRIu32 ",\"bytes\":%zu,\"keys\":{", g->version, g->size);
    for (size_t i = 0; i < g->n_keys; i++) {
        if (i) fputc(',', to);
        put_key(&g->keys[i], to);
    }
    fputs("},\"tensors\":[", to);
    for (size_t i = 0; i < g->n_tensors; i++) {
        if (i) fputc(',', to);
        put_tensor(&g->tensors[i], to);
    }
    fputs("]}", to);
}
