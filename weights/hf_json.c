/* hf_json.c: see hf_json.h.
 * Not a parser: jansson.
 * Next: hf.c. */
#include "weights/hf_json.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "weights/gguf_impl.h"

char *hf_path(const char *folder, const char *name) {
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = mem_new(n, 1);
    if (path) snprintf(path, n, "%s/%s", folder, name);
    return path;
}

enum status hf_json_parse(const char *text, size_t size, size_t flags, const char *name, json_t **out,
                          struct error *e) {
    json_error_t why;
    *out = json_loadb(text, size, flags, &why);
    if (!*out && json_error_code(&why) == json_error_out_of_memory)
        return error_set(e, ERR_MEMORY, "%s: no memory for its JSON", gguf_short_name(name));
    if (!*out)
        return error_set(e, ERR_INPUT, "%s: not valid JSON at line %d, column %d: %.150s", gguf_short_name(name),
                         why.line, why.column, why.text);
    if (json_is_object(*out)) return OK;
    json_decref(*out);
    *out = NULL;
    return error_set(e, ERR_INPUT, "%s: its JSON is no object", gguf_short_name(name));
}

enum status hf_json_read(const char *path, size_t flags, json_t **out, struct error *e) {
    const void *text;
    size_t size;
    *out = NULL;
    enum status s = gguf_map(path, "; a JSON file is wanted", &text, &size, e);
    if (s) return s;
    s = hf_json_parse(text, size, flags, path, out, e);
    munmap((void *)text, size);
    return s;
}
