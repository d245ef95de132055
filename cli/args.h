/* args.h: one table of flags per command: it parses, checks ranges, and prints the help.
 * Not the meaning of the flags: each command fills a struct of its own.
 * Next: args.c, then cmd_solve.c for a command that uses it. */
#ifndef PONDER_ARGS_H
#define PONDER_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/flag_list.h"
#include "search/strategy.h"

enum flag_kind {
    FLAG_YES,    /* bool, no value */
    FLAG_INT,    /* int64_t in [lo, hi] */
    FLAG_REAL,   /* double in [lo, hi] */
    FLAG_TEXT,   /* const char *, borrowed from argv */
    FLAG_CHOICE, /* const char *, one of the words of `value`, "a|b|c" */
    FLAG_LIST,   /* struct flag_list: may be given several times */
    FLAG_HUB, /* const char *: "hf:" and the value, kept in struct args: a model by its name in the hub (weights/hub/hub.h) */
    FLAG_ENV,     /* no value, no field: sets the environment variable named in `value` to 1 */
    FLAG_COLOR,   /* no field: on, off, auto or no value (on): sets the variables that terminal.h reads */
    FLAG_SETTING, /* struct settings: name and text are added to it; who reads it knows what is allowed */
    /* Flags of other programs, for command lines that people paste; no field, not in the help. */
    FLAG_SAME, /* what it asks for holds anyway; takes a value if `value` is set, and if lo is 1 only its words, else `help` says why */
    FLAG_IGNORED, /* changes nothing, which `help` explains on stderr unless the value is 0 */
    FLAG_ABSENT,  /* refused: `help` says why */
};

enum { FLAG_HUB_CAP = 800, FLAG_CAP = 192, FLAG_PARTS = 8 };

struct flag {
    const char *name;  /* "budget" for --budget */
    const char *brief; /* "n" for -n, or NULL */
    enum flag_kind kind;
    size_t at;            /* offset in the command's options struct */
    const char *fallback; /* taken as if given; NULL: the field stays zero (and `given` says no) */
    double lo, hi;
    const char *value; /* "N", "FILE", "a|b|c": for the help and for choices */
    const char *help;
};

/* clang-format off */
#define COLOR_FLAGS \
    {"color", "co", FLAG_COLOR, 0, NULL, 0, 0, "on|off|auto", "colours: always, never, on a terminal (auto)"}, \
    {"no-color", NULL, FLAG_ENV, 0, NULL, 0, 0, "NO_COLOR", "no colours (as NO_COLOR=1)"}
/* clang-format on */

/* A table that several commands share, and the struct that it fills. */
struct flag_part {
    const struct flag *flags; /* ends in a row with name NULL */
    void *options;
};

struct args {
    /* constant: what the command is */
    const char *command;      /* "solve" */
    const char *usage;        /* what follows the flags: "PUZZLE" or "" */
    const char *about;        /* one or more lines under the usage */
    const struct flag *flags; /* its own; ends in a row with name NULL */
    void *options;
    struct flag_part parts[FLAG_PARTS]; /* those it shares with others; ends in a row without flags */
    /* out */
    const struct flag *given[FLAG_CAP]; /* [n_given] what was on the command line */
    int n_given;
    const char *from; /* the environment variable that is read just now; NULL: none */
    char hub[FLAG_HUB_CAP];
    char **rest; /* [n_rest] what is no flag, in order */
    int n_rest;
};

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, ARGS_GO_ON = -1 };

/* argv[0] is the command's name; flags and other words may be mixed; "--" ends the flags; --top_p is --top-p.  A flag that is
 * not on the command line takes the value of PONDER_ARG_TOP_P, if that is set.  Moves the words that are no flags to the front of argv.  Returns ARGS_GO_ON, or the exit code after the help (0, on stdout) or an error (2, one line on stderr). */
int args_parse(struct args *a, int argc, char **argv);
/* Was --name on the command line, or in the environment? */
bool args_given(const struct args *a, const char *name);

/* One line on stderr, "ponder COMMAND: ...", and the exit code. */
int args_wrong(const struct args *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
int args_failed(const struct args *a, const char *text);

/* All words after the flags joined by blanks; false when they do not fit. */
bool args_join(const struct args *a, char *text, size_t cap);

#endif
