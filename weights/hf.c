/* hf.c: a stub. */
#include "weights/hf.h"
enum status hf_open(const char *folder, struct gguf **out, struct error *e) {
    *out = NULL;
    return error_set(e, ERR_INPUT, "%s: is a directory; a GGUF file is wanted", folder);
}
