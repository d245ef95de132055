/* gguf_print.c: shows a GGUF file to a person: keys, values, tensors; all text in it is untrusted and escaped.
 * Not a dump: arrays and long strings are cut.
 * Next: model/model.h. */
#include <inttypes.h>
#include <string.h>

#include "weights/gguf_impl.h"

enum { SHOWN_TEXT = 160, SHOWN_ELEMENTS = 8, SHOWN_ELEMENT = 24, NAME_TAIL = 120 };

/* Length of the well-formed UTF-8 sequence at p (n bytes are there) if it is fit to be shown; otherwise 0.  Control
 * characters and the invisible ones that reorder text or hide in it are not. */
static size_t visible_utf8(const uint8_t *p, size_t n) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80) return p[0] >= 0x20 && p[0] != 0x7f ? 1 : 0;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len > n) return 0;
    uint32_t c = p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    bool hidden = c < 0xa1 || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
                  (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) || c >= 0xe0000;
    return hidden ? 0 : len;
}

void gguf_escape(struct gguf_string s, size_t shown, char *dst) {
    const uint8_t *p = (const uint8_t *)s.data;
    size_t n = s.size < shown ? s.size : shown;
    for (size_t i = 0; i < n;) {
        size_t len = visible_utf8(p + i, s.size - i);
        if (len == 0) {
            dst += sprintf(dst, "\\x%02x", p[i++]);
            continue;
        }
        if (p[i] == '\\' || p[i] == '"') *dst++ = '\\';
        memcpy(dst, p + i, len);
        dst += len;
        i += len;
    }
    strcpy(dst, n < s.size ? "..." : "");
}

const char *gguf_short_name(const char *name) {
    size_t n = strlen(name);
    return n <= NAME_TAIL ? name : name + n - NAME_TAIL;
}

static void print_text(struct gguf_string s, size_t shown, FILE *to) {
    char text[4 * SHOWN_TEXT + 4];
    gguf_escape(s, shown, text);
    fprintf(to, "\"%s\"", text);
}

static void print_number(const struct gguf_key *k, enum gguf_kind kind, size_t i, FILE *to) {
    char shown[40];
    gguf_key_show(k, i, shown);
    if (kind == GGUF_BOOL) strcpy(shown, shown[0] == '1' ? "true" : "false");
    fprintf(to, "%s", shown);
}

static void print_key(const struct gguf_key *k, FILE *to) {
    char name[4 * SHOWN_TEXT + 4];
    gguf_escape(k->name, SHOWN_TEXT, name);
    fprintf(to, "  %-44s ", name);
    if (k->kind == GGUF_STRING) {
        fprintf(to, "%-8s ", "string");
        print_text((struct gguf_string){(const char *)k->data, k->n}, SHOWN_TEXT, to);
        if (k->n > SHOWN_TEXT) fprintf(to, " (%zu bytes)", k->n);
    } else if (k->kind == GGUF_ARRAY) {
        size_t n = k->n < SHOWN_ELEMENTS ? k->n : SHOWN_ELEMENTS;
        fprintf(to, "%s[%zu] ", gguf_kind_name(k->element), k->n);
        for (size_t i = 0; i < n; i++) {
            fprintf(to, i ? ", " : "");
            if (k->element == GGUF_STRING) print_text(gguf_key_string(k, i), SHOWN_ELEMENT, to);
            else print_number(k, k->element, i, to);
        }
        if (n < k->n) fprintf(to, ", ...");
    } else {
        fprintf(to, "%-8s ", gguf_kind_name(k->kind));
        print_number(k, k->kind, 0, to);
    }
    fprintf(to, "\n");
}

static void print_tensor(const struct gguf_tensor *t, FILE *to) {
    char name[4 * SHOWN_TEXT + 4], shape[96];
    int n = 0;
    gguf_escape(t->name, SHOWN_TEXT, name);
    for (uint32_t i = 0; i < t->n_dims; i++)
        n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%" PRIu64, i ? ", " : "", t->dims[i]);
    fprintf(to, "  %-44s %-8s [%s] %zu bytes\n", name, type_info(t->type)->name, shape, t->size_bytes);
}

void gguf_print(const struct gguf *g, bool tensors, FILE *to) {
    char name[4 * SHOWN_TEXT + 4];
    size_t data_bytes = 0;
    uint64_t n_weights = 0;
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        data_bytes += t->size_bytes;
        n_weights += t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
    }
    gguf_escape((struct gguf_string){g->name, strlen(g->name)}, SHOWN_TEXT, name);
    fprintf(to, "%s: GGUF version %" PRIu32 ", %zu bytes, alignment %zu\n", name, g->version, g->size, g->alignment);
    fprintf(to, "%zu keys\n", g->n_keys);
    for (size_t i = 0; i < g->n_keys; i++) print_key(&g->keys[i], to);
    fprintf(to, "%zu tensors, %" PRIu64 " weights, %zu bytes\n", g->n_tensors, n_weights, data_bytes);
    for (size_t i = 0; tensors && i < g->n_tensors; i++) print_tensor(&g->tensors[i], to);
}
