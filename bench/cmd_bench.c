/* cmd_bench.c: ponder bench: the list of its parts.
 * Not a measurement: bench_*.c.
 * Next: docs/BENCH.md. */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "cli/command.h"

static const struct {
    const char *name, *summary;
    bench_part *run;
} parts[] = {
    {"decode", "tokens per second of one branch", bench_decode},
    {"prefill", "tokens per second of reading a prompt", bench_prefill},
    {"tree", "tokens per second of many branches on one prompt", bench_tree},
    {"fork", "nanoseconds of forking a branch", bench_fork},
    {"mix", "one branch decodes while a prompt is read", bench_mix},
    {"replay", "the forks, passes and drops of a search that was traced", bench_replay},
    {"overhead", "the share of a search's time that no model takes, and the memory of its tree", bench_overhead},
    {"kernels", "matrix products by tensor type, beside memory and OpenBLAS", bench_kernels},
    {"attention", "cycles per query and cell", bench_attention},
    {"bandwidth", "how fast memory is read", bench_bandwidth},
    {"make", "write a model of a known shape with random weights", bench_make},
};
enum { N_PARTS = sizeof parts / sizeof *parts };

static int usage(FILE *to, int code) {
    fputs("usage: ponder bench [PART] [flags]\nMeasures speed on this computer.  Without a part: a short look at all "
          "of it.\n\n",
          to);
    for (int i = 0; i < N_PARTS; i++) fprintf(to, "  ponder bench %-10s %s\n", parts[i].name, parts[i].summary);
    fputs("\n  ponder bench PART --help   its flags\n", to);
    return code;
}

int cmd_bench(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    for (int i = 0; i < N_PARTS; i++)
        if (!strcmp(word, parts[i].name)) return parts[i].run(argc - 1, argv + 1);
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) return usage(stdout, EXIT_GOOD);
    if (!*word || *word == '-') return bench_look(argc, argv);
    fprintf(stderr, "ponder bench: \"%.60s\" is none of", word);
    for (int i = 0; i < N_PARTS; i++) fprintf(stderr, "%s %s", i ? "," : "", parts[i].name);
    fputc('\n', stderr);
    return EXIT_USAGE;
}
