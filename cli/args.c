/* args.c: see args.h.
 * Not getopt: that has no ranges, no defaults and no help.
 * Next: main.c. */
#include "cli/args.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int args_wrong(const struct args *a, const char *format, ...) {
    va_list list;
    fprintf(stderr, "ponder %s: %s%s", a->command, a->from ? a->from : "", a->from ? ": " : "");
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

int args_failed(const struct args *a, const char *text) {
    fprintf(stderr, "ponder %s: %s\n", a->command, text);
    return EXIT_FAILED;
}

static bool is_word_of(const char *list, const char *word) {
    size_t size = strlen(word);
    for (const char *at = list; size && at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (!strncmp(at, word, size) && (at[size] == '|' || !at[size])) return true;
    return false;
}

/* For wants_color of terminal.c; auto leaves it to what the user has set. */
static bool set_color(const char *text) {
    if (!strcmp(text, "on")) return !unsetenv("NO_COLOR") && !setenv("CLICOLOR_FORCE", "1", 1);
    return strcmp(text, "off") || !setenv("NO_COLOR", "1", 1);
}

/* All flags of a command, its own and those of its parts, one after the other: zero the walk, then flag_next until NULL. */
struct walk {
    int part; /* 0: its own, i: parts[i - 1] */
    const struct flag *flag;
    void *options; /* of the flag's table */
};

static const struct flag *flag_next(const struct args *a, struct walk *w) {
    if (w->flag) w->flag++;
    else w->flag = a->flags, w->options = a->options;
    for (; !w->flag->name; w->part++) {
        if (w->part == FLAG_PARTS || !a->parts[w->part].flags) return NULL;
        w->flag = a->parts[w->part].flags, w->options = a->parts[w->part].options;
    }
    return w->flag;
}

static bool add_setting(struct settings *to, const char *name, const char *text) {
    if (to->n == SETTINGS_CAP) return false;
    to->items[to->n].flag = name, to->items[to->n++].text = text;
    return true;
}

/* Writes the value into the options of the flag's table; false when it is none of the flag's. */
static bool set_value(struct args *a, const struct flag *f, void *options, const char *text) {
    char *field = (char *)options + f->at, *end = NULL;
    errno = 0;
    switch (f->kind) {
    case FLAG_YES: *(bool *)field = true; return true;
    case FLAG_TEXT: *(const char **)field = text; return true;
    case FLAG_CHOICE: *(const char **)field = text; return is_word_of(f->value, text);
    case FLAG_ENV: return !setenv(f->value, "1", 1);
    case FLAG_COLOR: return set_color(text) && is_word_of(f->value, text);
    case FLAG_HUB: *(const char **)field = a->hub; return snprintf(a->hub, sizeof a->hub, "hf:%s", text) < FLAG_HUB_CAP;
    case FLAG_SETTING: return add_setting((struct settings *)(void *)field, f->name, text);
    case FLAG_SAME: return !f->value || !f->lo || is_word_of(f->value, text);
    case FLAG_IGNORED:
        if (!text || strcmp(text, "0")) fprintf(stderr, "ponder %s: --%s: %s\n", a->command, f->name, f->help);
        return true;
    case FLAG_ABSENT: return false;
    case FLAG_LIST: {
        struct flag_list *list = (struct flag_list *)field;
        if (list->n == FLAG_LIST_CAP) return false;
        list->values[list->n++] = text;
        return true;
    }
    case FLAG_INT: {
        long long v = strtoll(text, &end, 10);
        *(int64_t *)field = v;
        return end != text && !*end && !errno && (double)v >= f->lo && (double)v <= f->hi;
    }
    case FLAG_REAL: {
        double v = strtod(text, &end);
        *(double *)field = v;
        return end != text && !*end && v >= f->lo && v <= f->hi;
    }
    }
    return false;
}

static int wrong_value(const struct args *a, const struct flag *f, const char *text) {
    switch (f->kind) {
    case FLAG_INT:
        return args_wrong(a, "--%s: \"%.60s\" is not a whole number from %.0f to %.0f", f->name, text, f->lo, f->hi);
    case FLAG_REAL: return args_wrong(a, "--%s: \"%.60s\" is not a number from %g to %g", f->name, text, f->lo, f->hi);
    case FLAG_HUB: return args_wrong(a, "--%s: \"%.60s...\" is too long for a name", f->name, text);
    case FLAG_ENV: return args_wrong(a, "--%s: the environment takes no more", f->name);
    case FLAG_SETTING: return args_wrong(a, "--%s: more than %d settings of a search", f->name, SETTINGS_CAP);
    case FLAG_LIST: return args_wrong(a, "--%s: given more than %d times", f->name, FLAG_LIST_CAP);
    case FLAG_SAME: return args_wrong(a, "--%s: \"%.60s\": %s", f->name, text, f->help);
    default: return args_wrong(a, "--%s: \"%.60s\" is none of %s", f->name, text, f->value);
    }
}

/* Are n bytes of text this name?  Both spellings of names hold: top-p and top_p. */
static bool is_name(const char *name, const char *text, size_t n) {
    size_t i = 0;
    while (i < n && name[i] && (name[i] == text[i] || (name[i] == '-' && text[i] == '_'))) i++;
    return i == n && !name[i];
}

/* Second names that llama.cpp gives its flags. */
static bool is_alias(const char *name, const char *text, size_t size) {
    static const char *const pairs[][2] = {{"predict", "n-predict"},   {"temp", "temperature"},
                                           {"typical", "typical-p"},   {"sampler-seq", "sampling-seq"},
                                           {"no-perf", "log-disable"}, {"n-gpu-layers", "gpu-layers"},
                                           {"draft-max", "draft-n"},   {"draft-min", "draft-n-min"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (!strcmp(name, pairs[i][0]) && is_name(pairs[i][1], text, size)) return true;
    return false;
}

/* "--name", "--name=...", "-x": the flag, and where its value begins (NULL: it is the next word). */
static const struct flag *find_flag(const struct args *a, const char *word, const char **value, void **options) {
    const char *equals = strchr(word, '=');
    bool is_long = word[1] == '-';
    *value = is_long && equals ? equals + 1 : NULL;
    struct walk w = {0};
    for (const struct flag *f; (f = flag_next(a, &w));) {
        const char *name = is_long ? f->name : f->brief;
        const char *at = word + (is_long ? 2 : 1);
        size_t size = *value ? (size_t)(equals - at) : strlen(at);
        *options = w.options;
        if (name && is_name(name, at, size)) return f;
        if (is_long && is_alias(f->name, at, size)) return f;
    }
    return NULL;
}

static bool takes_value(const struct flag *f) {
    if (f->kind == FLAG_SAME || f->kind == FLAG_IGNORED) return f->value != NULL;
    return f->kind != FLAG_YES && f->kind != FLAG_ENV && f->kind != FLAG_ABSENT;
}

/* Not in the help. */
static bool is_hidden(const struct flag *f) {
    return f->kind == FLAG_SAME || f->kind == FLAG_IGNORED || f->kind == FLAG_ABSENT;
}

/* Older programs take --color and --flash-attn alone. */
static bool may_stand_alone(const struct flag *f, const char *next) {
    bool may = f->kind == FLAG_COLOR || (f->kind == FLAG_SAME && f->value && is_word_of(f->value, "on"));
    return may && (!next || !is_word_of(f->value, next));
}

/* ---- near misses ---- */

enum { NEAR_CAP = 40 };

/* Letters to insert, remove, replace or swap with the next one, to get from a to b. */
static int distance(const char *a, const char *b) {
    int n = (int)strlen(a), m = (int)strlen(b), d[NEAR_CAP + 1][NEAR_CAP + 1];
    if (n > NEAR_CAP || m > NEAR_CAP) return NEAR_CAP;
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= m; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

/* The flag that a word was probably meant to be; NULL: none is near. */
static const struct flag *nearest(const struct args *a, const char *word) {
    const struct flag *best = NULL;
    char name[NEAR_CAP + 1];
    size_t size = strcspn(word + 2, "=");
    if (word[1] != '-' || size < 3 || size > NEAR_CAP) return NULL;
    for (size_t i = 0; i <= size; i++) name[i] = word[2 + i] == '_' ? '-' : word[2 + i];
    name[size] = 0;
    int least = size < 6 ? 2 : 3;
    struct walk w = {0};
    for (const struct flag *f; (f = flag_next(a, &w));) {
        int d = strncmp(f->name, name, size) ? distance(f->name, name) : 1; /* the beginning of a name is near, too */
        if (d >= least || is_hidden(f)) continue;
        least = d, best = f;
    }
    return best;
}

static int unknown_flag(const struct args *a, const char *word) {
    const struct flag *near = nearest(a, word);
    char hint[NEAR_CAP + 32] = "";
    if (near) snprintf(hint, sizeof hint, "; did you mean --%.40s?", near->name);
    return args_wrong(a, "unknown flag %.60s%s%s ponder %s --help", word, hint,
                      near ? " The others are in:" : "; the flags are in:", a->command);
}

/* How a flag is written: "-n, --predict N". */
static int flag_form(const struct flag *f, char *text, size_t cap) {
    bool has_value = takes_value(f);
    return snprintf(text, cap, "%s%s%s--%s%s%s", f->brief ? "-" : "    ", f->brief ? f->brief : "",
                    f->brief ? ", " : "", f->name, has_value ? " " : "", has_value ? f->value : "");
}

static int print_help(const struct args *a) {
    printf("usage: ponder %s [flags]%s%s\n%s\n", a->command, *a->usage ? " " : "", a->usage, a->about);
    struct walk w = {0};
    for (const struct flag *f; (f = flag_next(a, &w));) {
        char form[96];
        if (is_hidden(f)) continue;
        flag_form(f, form, sizeof form);
        printf("  %-34s %s%s", form, strlen(form) > 34 ? "\n                                     " : "", f->help);
        if (f->fallback) printf(" (default %s)", f->fallback);
        putchar('\n');
    }
    printf("  %-34s %s\n", "-h, --help", "this text");
    return EXIT_GOOD;
}

/* "-4 7 8 8" is a puzzle, if a wrong one. */
static bool is_flag(const char *word) { return word[0] == '-' && word[1] && !isdigit((unsigned char)word[1]); }

/* The place that a flag writes. */
static const char *field_of(const struct args *a, const struct flag *f) {
    struct walk w = {0};
    for (const struct flag *other; (other = flag_next(a, &w)) && other != f;) continue;
    return (const char *)w.options + f->at;
}

/* Another flag that was given and writes the same field: --model and --hf-repo. */
static const struct flag *is_set(const struct args *a, const struct flag *f) {
    for (int i = 0; i < a->n_given; i++) {
        const struct flag *g = a->given[i];
        bool names = (f->kind == FLAG_HUB && g->kind == FLAG_TEXT) || (f->kind == FLAG_TEXT && g->kind == FLAG_HUB);
        if (names && field_of(a, f) == field_of(a, g)) return g;
    }
    return NULL;
}

static int give(struct args *a, const struct flag *f, void *options, const char *value) {
    const struct flag *other = is_set(a, f);
    if (other) return args_wrong(a, "--%s and --%s: give one of them", other->name, f->name);
    if (!args_given(a, f->name) && a->n_given < FLAG_CAP) a->given[a->n_given++] = f;
    return set_value(a, f, options, value) ? ARGS_GO_ON : wrong_value(a, f, value);
}

/* One flag at argv[*i]; moves *i over its value. */
static int take_flag(struct args *a, int argc, char **argv, int *i) {
    const char *word = argv[*i], *value;
    void *options;
    const struct flag *f = find_flag(a, word, &value, &options);
    if (!f) return unknown_flag(a, word);
    if (f->kind == FLAG_ABSENT) return args_wrong(a, "%.60s: %s", word, f->help);
    if (!takes_value(f) && value) return args_wrong(a, "--%s takes no value, found \"%.60s\"", f->name, value);
    if (!value && may_stand_alone(f, *i + 1 < argc ? argv[*i + 1] : NULL)) value = "on";
    if (takes_value(f) && !value) {
        if (*i + 1 >= argc) return args_wrong(a, "--%s: a value is missing: %s", f->name, f->value);
        value = argv[++*i];
    }
    return give(a, f, options, value);
}

/* PONDER_ARG_TOP_P for --top-p, unless the command line has it.  Parameters of one strategy have none: others would refuse them. */
static int take_environment(struct args *a) {
    struct walk w = {0};
    for (const struct flag *f; (f = flag_next(a, &w));) {
        char name[96];
        int n = snprintf(name, sizeof name, "PONDER_ARG_%s", f->name), go_on = ARGS_GO_ON;
        for (int i = 0; i < n; i++) name[i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
        const char *text = getenv(name);
        if (!text || is_hidden(f) || f->kind == FLAG_SETTING || args_given(a, f->name) || is_set(a, f)) continue;
        if (!takes_value(f) && is_word_of("0|false|off|no", text)) continue;
        if (!takes_value(f) && !is_word_of("1|true|on|yes", text))
            return args_wrong(a, "%s: \"%.60s\" is none of 1, true, on, yes, 0, false, off, no", name, text);
        a->from = name;
        go_on = give(a, f, w.options, text);
        a->from = NULL;
        if (go_on != ARGS_GO_ON) return go_on;
    }
    return ARGS_GO_ON;
}

int args_parse(struct args *a, int argc, char **argv) {
    bool flags_over = false;
    a->rest = argv, a->n_rest = 0;
    struct walk w = {0};
    for (const struct flag *f; (f = flag_next(a, &w));)
        if (f->fallback) set_value(a, f, w.options, f->fallback);
    for (int i = 1; i < argc; i++) {
        int go_on = ARGS_GO_ON;
        if (flags_over || !is_flag(argv[i])) a->rest[a->n_rest++] = argv[i];
        else if (!strcmp(argv[i], "--")) flags_over = true;
        else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return print_help(a);
        else go_on = take_flag(a, argc, argv, &i);
        if (go_on != ARGS_GO_ON) return go_on;
    }
    return take_environment(a);
}

bool args_given(const struct args *a, const char *name) {
    for (int i = 0; i < a->n_given; i++)
        if (!strcmp(a->given[i]->name, name)) return true;
    return false;
}

bool args_join(const struct args *a, char *text, size_t cap) {
    size_t size = 0;
    for (int i = 0; i < a->n_rest; i++) {
        int n = snprintf(text + size, cap - size, "%s%s", i ? " " : "", a->rest[i]);
        if (n < 0 || (size += (size_t)n) >= cap) return false;
    }
    if (!a->n_rest) *text = 0;
    return true;
}
