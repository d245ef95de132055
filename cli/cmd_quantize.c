/* cmd_quantize.c: a model file again with smaller weights.
 * Not the choice of types: weights/quantize.c.
 * Next: docs/QUANT.md. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/args.h"
#include "cli/command.h"
#include "solve/session.h"
#include "weights/quantize.h"

struct options {
    bool requantize, quiet;
    int64_t threads;
};

static const struct flag flags[] = {
    {"allow-requantize", NULL, FLAG_YES, offsetof(struct options, requantize), NULL, 0, 0, NULL,
     "take weights that are quantised already: their errors add up"},
    {"offline", NULL, FLAG_ENV, 0, NULL, 0, 0, "HF_HUB_OFFLINE", "download nothing (as HF_HUB_OFFLINE=1)"},
    {"threads", "t", FLAG_INT, offsetof(struct options, threads), NULL, 1, 256, "N", "threads (default: all CPUs)"},
    {"quiet", "q", FLAG_YES, offsetof(struct options, quiet), NULL, 0, 0, NULL, "no line per tensor"},
    {0},
};

static void show_tensor(size_t i, size_t n, const struct gguf_tensor *from, enum tensor_type to) {
    fprintf(stderr, "[%zu/%zu] ", i + 1, n);
    for (size_t c = 0; c < from->name.size && c < 60; c++) /* names are the file's: nothing that moves a cursor */
        fputc(from->name.data[c] > ' ' && from->name.data[c] < 127 ? from->name.data[c] : '?', stderr);
    fprintf(stderr, " %s", type_info(from->type)->name);
    if (to != from->type) fprintf(stderr, " -> %s", type_info(to)->name);
    fputc('\n', stderr);
}

/* The names of all recipes, for the help and for errors. */
static const char *recipe_names(char *text, size_t size) {
    size_t used = 0;
    for (const struct quant_recipe *r = quant_recipes; r->name && used < size; r++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " " : "", r->name);
    return text;
}

/* One file under two names, too: the weights that were read cannot be had again from what would be written. */
static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int cmd_quantize(int argc, char **argv) {
    struct options o = {0};
    char names[160], about[400];
    snprintf(about, sizeof about,
             "Writes OUT.gguf with the weights of IN.gguf in TYPE:\n%s.\n"
             "IN.gguf may be hf:USER/MODEL[:QUANT].  "
             "Rows that do not fit a type's blocks get the next larger type; norms and vectors stay.\n",
             recipe_names(names, sizeof names));
    struct args a = {
        .command = "quantize", .usage = "IN.gguf OUT.gguf TYPE", .flags = flags, .options = &o, .about = about};
    struct error e;
    struct gguf *in;
    struct quantize_sizes sizes;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest != 3) return args_wrong(&a, "expected IN.gguf OUT.gguf TYPE, found %d words", a.n_rest);
    const struct quant_recipe *r = quantize_recipe(a.rest[2]);
    if (!r) return args_wrong(&a, "\"%.60s\" is no type to write; there are %s", a.rest[2], names);
    enum status s = session_open_file(a.rest[0], "policy", &in, &e);
    if (s) return args_failed(&a, e.text);
    if (same_file(gguf_name(in), a.rest[1])) {
        gguf_close(&in);
        return args_wrong(&a, "OUT.gguf %s: is the file that is read; give another name", a.rest[1]);
    }
    struct team *team = NULL;
    s = team_new(o.threads ? (int)o.threads : cpu_count(), &team, &e);
    struct quantize_options options = {r, o.requantize, team, o.quiet ? NULL : show_tensor};
    if (!s) s = quantize_write(in, &options, a.rest[1], &sizes, &e);
    team_free(&team);
    gguf_close(&in);
    if (s) return args_failed(&a, e.text);
    fprintf(stderr, "%s: %.1f MiB -> %.1f MiB, %.2f bits a weight\n", a.rest[1], (double)sizes.bytes_before / 0x1p20,
            (double)sizes.bytes_after / 0x1p20,
            8 * (double)sizes.bytes_after / (double)(sizes.n_weights + !sizes.n_weights));
    return EXIT_GOOD;
}
