/* bench_out.c: see bench_out.h.
 * Not a measurement.
 * Next: cmd_bench_model.c for the first that uses it. */
#include "bench/bench_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "solve/report.h"
#include "solve/session.h"
#include "ops/ops.h"

void samples_add(struct samples *s, double x) {
    if (s->n < BENCH_MAX_ROUNDS) s->x[s->n++] = x;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct samples sorted(const struct samples *s) {
    struct samples r = *s;
    qsort(r.x, (size_t)r.n, sizeof *r.x, by_value);
    return r;
}

/* Of sorted samples: the value below which a share p lies, between neighbours by a straight line. */
static double quantile(const struct samples *s, double p) {
    double at = p * (s->n - 1);
    int i = (int)at;
    if (s->n == 0) return 0;
    return i + 1 < s->n ? s->x[i] + (at - i) * (s->x[i + 1] - s->x[i]) : s->x[s->n - 1];
}

double samples_median(const struct samples *s) {
    struct samples r = sorted(s);
    return quantile(&r, 0.5);
}

void samples_report(json_t *row, const char *name, const char *prefix, const struct samples *s) {
    const struct samples r = sorted(s);
    const struct {
        const char *name;
        double value;
    } more[] = {
        {"spread", quantile(&r, 0.75) - quantile(&r, 0.25)}, {"min", quantile(&r, 0)}, {"max", quantile(&r, 1)}};
    json_object_set_new(row, name, json_real(quantile(&r, 0.5)));
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s%s", prefix, more[i].name);
        json_object_set_new(row, key, json_real(more[i].value));
    }
}

int bench_parse(struct args *a, int argc, char **argv) {
    int code = args_parse(a, argc, argv);
    if (code == ARGS_GO_ON && a->n_rest) return args_wrong(a, "\"%.60s\" is one word too many", a->rest[0]);
    return code;
}

int bench_list(const struct args *a, const char *flag, const char *text, uint32_t lo, uint32_t hi,
               struct bench_numbers *out) {
    const char *at = text;
    out->n = 0;
    for (;;) {
        char *end;
        unsigned long v = strtoul(at, &end, 10);
        if (end == at || *at < '0' || *at > '9' || v < lo || v > hi || (*end && *end != ','))
            return args_wrong(a, "--%s: \"%.60s\" is no list of whole numbers from %u to %u", flag, text, lo, hi);
        if (out->n == BENCH_NUMBERS) return args_wrong(a, "--%s: more than %d numbers", flag, BENCH_NUMBERS);
        out->x[out->n++] = (uint32_t)v;
        if (!*end) return ARGS_GO_ON;
        at = end + 1;
    }
}

int bench_threads(const struct bench_options *o) { return o->threads ? (int)o->threads : cpu_count(); }

const char *bench_model_name(const char *path) { return strrchr(path, '/') ? strrchr(path, '/') + 1 : path; }

const char *bench_cpu(void) {
    static char name[128];
    char line[256];
    if (*name) return name;
    snprintf(name, sizeof name, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
            line[strcspn(line, "\n")] = 0;
            snprintf(name, sizeof name, "%.100s", strchr(line, ':') + 2);
            break;
        }
    if (f) fclose(f);
    return name;
}

void bench_out_open(struct bench_out *out, const struct bench_options *o) {
    *out = (struct bench_out){o, json_array()};
}

void bench_metric(json_t *row, const char *name, const struct samples *s) {
    samples_report(row, name, "", s);
    json_object_set_new(row, "median", json_real(samples_median(s)));
    json_object_set_new(row, "rounds", json_integer(s->n));
}

void bench_row(struct bench_out *out, json_t *row) {
    if (!json_object_get(row, "threads"))
        json_object_set_new(row, "threads", json_integer(bench_threads(out->options)));
    if (!json_object_get(row, "model")) json_object_set_new(row, "model", json_string("-"));
    json_object_set_new(row, "isa", json_string(ops_get()->name));
    json_object_set_new(row, "cpu", json_string(bench_cpu()));
    json_object_set_new(row, "commit", json_string(version_commit));
    json_array_append_new(out->rows, row);
    if (strcmp(out->options->output, "jsonl")) return;
    json_dumpf(row, stdout, REPORT_JSON);
    putchar('\n');
    fflush(stdout); /* a long run shows what it has */
}

/* A value as a cell of a table: text as it is, numbers short. */
static const char *cell(const json_t *v, char text[200]) {
    if (!v || json_is_null(v)) return "";
    if (json_is_string(v)) return json_string_value(v);
    if (json_is_boolean(v)) return json_is_true(v) ? "yes" : "no";
    if (json_is_integer(v)) snprintf(text, 200, "%lld", (long long)json_integer_value(v));
    else snprintf(text, 200, json_real_value(v) < 1000 ? "%.4g" : "%.0f", json_number_value(v));
    return text;
}

/* The names of all columns, in order of appearance; an array of strings. */
static json_t *columns_of(const json_t *rows) {
    json_t *columns = json_array(), *seen = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++)
        for (void *at = json_object_iter(json_array_get(rows, i)); at;
             at = json_object_iter_next(json_array_get(rows, i), at)) {
            const char *key = json_object_iter_key(at);
            if (json_object_get(seen, key)) continue;
            json_object_set_new(seen, key, json_true());
            json_array_append_new(columns, json_string(key));
        }
    json_decref(seen);
    return columns;
}

static void print_csv_cell(const char *text) {
    if (!strpbrk(text, ",\"\n")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_csv(const json_t *rows) {
    json_t *columns = columns_of(rows);
    const size_t n = json_array_size(columns);
    char text[200];
    for (size_t i = 0; i <= json_array_size(rows); i++)
        for (size_t c = 0; c < n; c++) {
            const char *key = json_string_value(json_array_get(columns, c));
            const json_t *v = i ? json_object_get(json_array_get(rows, i - 1), key) : NULL;
            print_csv_cell(i == 0 ? key : cell(v, text));
            putchar(c + 1 < n ? ',' : '\n');
        }
    json_decref(columns);
}

/* Is `key` the same in all rows?  Such columns go above the table. */
static bool is_common(const json_t *rows, const char *key) {
    const json_t *first = json_object_get(json_array_get(rows, 0), key);
    for (size_t i = 1; i < json_array_size(rows); i++)
        if (!json_equal(first, json_object_get(json_array_get(rows, i), key))) return false;
    return true;
}

static bool is_word(const char *const *words, const char *key) {
    while (*words && strcmp(*words, key)) words++;
    return *words;
}

/* Columns that go above a table when all rows agree; and those that only the other forms show otherwise, or always. */
static const char *const settings[] = {"bench", "model", "rounds", "threads", "isa", "cpu", "commit", "peer", NULL};
static const char *const machine[] = {"peer_flash_attention", "read_gb_per_second", "ghz", "vector_ops_per_cycle",
                                      NULL};
static const char *const details[] = {"median",   "min",       "max",       "peer_spread", "peer_min",
                                      "peer_max", "ratio_min", "ratio_max", NULL};

/* Is it what the rows are about?  Its value stands a second time under "median". */
static bool is_metric(const json_t *rows, const char *key) {
    const json_t *first = json_array_get(rows, 0);
    return json_equal(json_object_get(first, key), json_object_get(first, "median"));
}

static void print_md_line(const json_t *columns, const json_t *row, const int *width) {
    char text[200];
    for (size_t c = 0; c < json_array_size(columns); c++) {
        const char *key = json_string_value(json_array_get(columns, c));
        const char *shown = row ? cell(json_object_get(row, key), text) : key;
        printf("| %*s ", width[c], shown);
    }
    puts("|");
}

/* One table of rows with the same "bench". */
static void print_md_table(const json_t *rows) {
    json_t *all = columns_of(rows), *columns = json_array();
    char text[200];
    const char *between = "";
    for (size_t c = 0; c < json_array_size(all); c++) {
        const char *key = json_string_value(json_array_get(all, c));
        bool common = is_common(rows, key);
        if (is_word(details, key) || (is_word(machine, key) && !common && !is_metric(rows, key))) continue;
        if (!common || !(is_word(settings, key) || is_word(machine, key))) {
            json_array_append(columns, json_array_get(all, c));
            continue;
        }
        printf("%s%s %s", between, key, cell(json_object_get(json_array_get(rows, 0), key), text));
        between = ", ";
    }
    printf("\n\n");
    size_t n = json_array_size(columns);
    int width[128];
    for (size_t c = 0; c < n && c < 128; c++) {
        const char *key = json_string_value(json_array_get(columns, c));
        width[c] = (int)strlen(key);
        for (size_t i = 0; i < json_array_size(rows); i++) {
            int w = (int)strlen(cell(json_object_get(json_array_get(rows, i), key), text));
            width[c] = w > width[c] ? w : width[c];
        }
    }
    print_md_line(columns, NULL, width);
    for (size_t c = 0; c < n; c++) {
        printf("| ");
        for (int i = 1; i < width[c]; i++) putchar('-');
        printf(": ");
    }
    puts("|");
    for (size_t i = 0; i < json_array_size(rows); i++) print_md_line(columns, json_array_get(rows, i), width);
    json_decref(all);
    json_decref(columns);
}

/* Rows of the same kind stand in one table, wherever they were measured. */
static void print_md(const json_t *rows) {
    json_t *tables = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        const char *bench = json_string_value(json_object_get(row, "bench"));
        if (!json_object_get(tables, bench)) json_object_set_new(tables, bench, json_array());
        json_array_append(json_object_get(tables, bench), row);
    }
    for (void *at = json_object_iter(tables); at; at = json_object_iter_next(tables, at)) {
        if (at != json_object_iter(tables)) putchar('\n');
        print_md_table(json_object_iter_value(at));
    }
    json_decref(tables);
}

void bench_out_close(struct bench_out *out, bool good) {
    const char *form = out->options->output;
    if (good && !strcmp(form, "md")) print_md(out->rows);
    if (good && !strcmp(form, "csv")) print_csv(out->rows);
    if (good && !strcmp(form, "json")) {
        json_dumpf(out->rows, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    json_decref(out->rows);
}
