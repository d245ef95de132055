/* bench_out.h: the flags that all measurements share, their rows, and what repeated times say.
 * Not a measurement.
 * Next: bench_out.c. */
#ifndef PONDER_BENCH_OUT_H
#define PONDER_BENCH_OUT_H

#include <jansson.h>

#include "cli/args.h"

struct bench_options {
    const char *output; /* md, csv, json, jsonl */
    int64_t threads, rounds;
};

enum { BENCH_MAX_ROUNDS = 1000 };

#define BENCH_FLAGS(type, field, n_rounds)                                                                             \
    {"threads", "t", FLAG_INT, offsetof(type, field.threads), NULL, 1, 256, "N", "threads (default: all CPUs)"},       \
        {"rounds",                                                                                                     \
         "r",                                                                                                          \
         FLAG_INT,                                                                                                     \
         offsetof(type, field.rounds),                                                                                 \
         n_rounds,                                                                                                     \
         1,                                                                                                            \
         BENCH_MAX_ROUNDS,                                                                                             \
         "N",                                                                                                          \
         "measure each row N times, in turn with the others"},                                                         \
    {                                                                                                                  \
        "output", "o", FLAG_CHOICE, offsetof(type, field.output), "md", 0, 0, "md|csv|json|jsonl", "form of the rows"  \
    }

/* Times of one row. */
struct samples {
    int n;
    double x[BENCH_MAX_ROUNDS];
};
void samples_add(struct samples *s, double x);
double samples_median(const struct samples *s);
/* Adds the median under `name`, and under PREFIXspread, PREFIXmin and PREFIXmax the distance between the quartiles and the ends. */
void samples_report(json_t *row, const char *name, const char *prefix, const struct samples *s);

/* Rows as they come: jsonl at once, the others at the end. */
struct bench_out {
    const struct bench_options *options;
    json_t *rows;
};
void bench_out_open(struct bench_out *out, const struct bench_options *o);

/* What a row is about: samples_report under `name` ("tokens_per_second"), "median" (the same number) and "rounds". */
void bench_metric(json_t *row, const char *name, const struct samples *s);

/* Takes over `row` and adds cpu, isa, commit and, unless it has them, threads and model ("-": none was measured). */
void bench_row(struct bench_out *out, json_t *row);

/* Prints what is not printed yet, if all went well. */
void bench_out_close(struct bench_out *out, bool good);

/* args_parse for parts that take flags only. */
int bench_parse(struct args *a, int argc, char **argv);

/* A flag's value "1,4,16" as numbers in [lo, hi]; ARGS_GO_ON, or the exit code after one line on stderr. */
enum { BENCH_NUMBERS = 16 };
struct bench_numbers {
    int n;
    uint32_t x[BENCH_NUMBERS];
};
int bench_list(const struct args *a, const char *flag, const char *text, uint32_t lo, uint32_t hi,
               struct bench_numbers *out);

int bench_threads(const struct bench_options *o); /* --threads, or all CPUs */
const char *bench_model_name(const char *path);   /* without the folders */
const char *bench_cpu(void);                      /* "AMD EPYC" */

#endif
