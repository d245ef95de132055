/* cmd_convert.c: the folder of a safetensors model as one GGUF file.
 * Not the conversion: weights/hf.h opens a folder as if it were that file.
 * Next: docs/MODELS.md. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/command.h"
#include "model/model.h"
#include "weights/hf.h"
#include "weights/quantize.h"

struct options {
    const char *type;
    bool quiet;
};

static const struct flag flags[] = {
    {"type", NULL, FLAG_TEXT, offsetof(struct options, type), NULL, 0, 0, "TYPE",
     "of the matrices, as in `ponder quantize`: f32, f16, bf16, q8_0 ... (default: that of the folder)"},
    {"quiet", "q", FLAG_YES, offsetof(struct options, quiet), NULL, 0, 0, NULL, "no progress"},
    {0},
};

static void show_progress(size_t i, size_t n) {
    fprintf(stderr, "\rtensor %zu of %zu%s", i + 1, n, i + 1 == n ? "\n" : "");
    fflush(stderr);
}

static void show_tensor(size_t i, size_t n, const struct gguf_tensor *from, enum tensor_type to) {
    (void)from, (void)to;
    show_progress(i, n);
}

static enum status write_file(const struct options *o, const struct gguf *in, const struct quant_recipe *r,
                              const char *path, struct error *e) {
    const bool show = !o->quiet && isatty(STDERR_FILENO);
    struct quantize_sizes sizes;
    if (!r) return hf_write(in, path, show ? show_progress : NULL, e);
    return quantize_write(in, &(struct quantize_options){.recipe = r, .progress = show ? show_tensor : NULL}, path,
                          &sizes, e);
}

int cmd_convert(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "convert",
                     .usage = "FOLDER OUT.gguf",
                     .flags = flags,
                     .options = &o,
                     .about = "Writes a model folder (config.json, *.safetensors, tokenizer.json) as one GGUF file.\n"
                              "Every command also opens the folder itself: -m FOLDER gives the same numbers.\n"};
    struct error e;
    struct gguf *in;
    struct model *m = NULL;
    struct stat st;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest != 2) return args_wrong(&a, "expected FOLDER OUT.gguf, found %d words", a.n_rest);
    const struct quant_recipe *r = o.type ? quantize_recipe(o.type) : NULL;
    if (o.type && !r)
        return args_wrong(&a, "--type \"%.60s\" is no type to write; `ponder quantize --help` lists them", o.type);
    enum status s = hf_open(a.rest[0], &in, &e);
    if (!s) s = model_open(in, &m, &e); /* a file that nothing can open is not written */
    if (s) return args_failed(&a, e.text);
    const size_t n = gguf_n_tensors(in);
    s = write_file(&o, in, r, a.rest[1], &e);
    model_close(&m);
    if (s) return args_failed(&a, e.text);
    if (!stat(a.rest[1], &st))
        fprintf(stderr, "%s: %zu tensors, %.1f MiB\n", a.rest[1], n, (double)st.st_size / 0x1p20);
    return EXIT_GOOD;
}
