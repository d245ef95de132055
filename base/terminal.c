/* terminal.c: see terminal.h.
 * Not curses: two escape sequences are all that is needed.
 * Next: solve/draw.c. */
#include "base/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && *value;
}

static bool is_utf8(void) {
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"}; /* the first one set decides, as in setlocale(3) */
    for (int i = 0; i < 3; i++)
        if (is_set(names[i])) return strstr(getenv(names[i]), "UTF-8") || strstr(getenv(names[i]), "utf8");
    return false;
}

static bool wants_color(bool live) {
    const char *force = getenv("CLICOLOR_FORCE"), *on = getenv("CLICOLOR");
    if (is_set("NO_COLOR")) return false;
    if (force && *force && strcmp(force, "0")) return true;
    return live && !(on && !strcmp(on, "0"));
}

struct terminal terminal_of(int fd) {
    const char *term = getenv("TERM");
    struct terminal t = {.width = 80, .height = 24, .utf8 = is_utf8()};
    struct winsize size;
    t.live = isatty(fd) && term && *term && strcmp(term, "dumb");
    t.color = wants_color(t.live);
    if (t.live && !ioctl(fd, TIOCGWINSZ, &size) && size.ws_col && size.ws_row)
        t.width = size.ws_col, t.height = size.ws_row;
    return t;
}

const char *show_count(uint64_t n, char text[32]) {
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;
    for (int i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
    return text;
}

const char *show_flops(uint64_t n, char text[32]) {
    const char *units[] = {"FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"};
    double x = (double)n;
    int u = 0;
    while (x >= 999.5 && u < 6) x /= 1000, u++;
    snprintf(text, 32, x < 10 && u ? "%.2f %s" : x < 100 && u ? "%.1f %s" : "%.0f %s", x, units[u]);
    return text;
}
