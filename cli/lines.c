/* lines.c: see lines.h.
 * Not a terminal driver: libedit edits the line, and getline reads where nobody types.
 * Next: cmd_chat.c. */
#include "cli/lines.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

struct lines {
    const char *prompt;
    EditLine *edit; /* NULL: plain */
    History *history;
    bool goes_on;     /* the line to come continues a message */
    bool empty;       /* the line that Ctrl-C ended */
    sigset_t waiting; /* signals that are blocked while a key is awaited: SIGINT is not */
    char *line;       /* of getline */
    size_t cap;
};

/* A signal has no other place to write to. */
static volatile sig_atomic_t interrupted;

static void interrupt(int number) {
    (void)number;
    interrupted = 1;
}

/* While a line is read Ctrl-C ends the read, not the program; what was there before comes back.  The editor lets it in
 * only where it waits for a key, so that none is lost between the prompt and the reading. */
static void catch_interrupts(struct lines *l, struct sigaction *before) {
    struct sigaction action = {.sa_handler = interrupt}; /* no SA_RESTART */
    sigset_t block;
    interrupted = 0;
    sigaction(SIGINT, &action, before);
    sigemptyset(&block), sigaddset(&block, SIGINT);
    sigprocmask(SIG_BLOCK, l->edit ? &block : NULL, &l->waiting);
}

/* ---- with editing ---- */

static char *prompt_of(EditLine *edit) {
    struct lines *l;
    el_get(edit, EL_CLIENTDATA, &l);
    return (char *)(l->goes_on ? ". " : l->prompt);
}

/* Is there anything that Ctrl-C takes back?  libedit forgets the line when its reader fails. */
static void note_line(struct lines *l) {
    const LineInfo *typed = el_line(l->edit);
    l->empty = typed->lastchar == typed->buffer;
}

/* One character in the bytes of the locale; -1 when Ctrl-C came: libedit's own reader would try again. */
static int read_character(EditLine *edit, wchar_t *out) {
    mbstate_t state = {0};
    struct lines *l;
    el_get(edit, EL_CLIENTDATA, &l);
    for (;;) {
        char byte;
        struct pollfd key = {.fd = STDIN_FILENO, .events = POLLIN};
        ssize_t n = ppoll(&key, 1, NULL, &l->waiting);
        if (n > 0) n = read(STDIN_FILENO, &byte, 1);
        if (n < 0 && errno == EINTR && !interrupted) continue;
        if (n < 0) note_line(l);
        if (n <= 0) return (int)n;
        size_t size = mbrtowc(out, &byte, 1, &state);
        if (size == (size_t)-2) continue;
        if (size == (size_t)-1) *out = L'?', memset(&state, 0, sizeof state);
        if (size == 0) *out = 0;
        return 1;
    }
}

static void open_editor(struct lines *l) {
    HistEvent event;
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    if (!(l->edit = el_init("ponder", stdin, stderr, stderr))) return;
    l->history = history_init();
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_PROMPT, prompt_of);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_GETCFN, read_character);
    el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(l->edit, EL_BIND, "\\e[3~", "ed-delete-next-char", NULL);
    if (!l->history) return;
    history(l->history, &event, H_SETSIZE, 1000);
    history(l->history, &event, H_SETUNIQUE, 1);
    el_set(l->edit, EL_HIST, history, l->history);
}

static enum line_end edit_line(struct lines *l, const char **text, size_t *size) {
    int n = 0;
    HistEvent event;
    el_resize(l->edit);
    el_set(l->edit, EL_PREP_TERM, 1); /* before the prompt invites to type */
    *text = el_gets(l->edit, &n);
    if (interrupted) {
        el_reset(l->edit);
        el_set(l->edit, EL_PREP_TERM, 0);
        fputc('\n', stderr);
        return l->empty ? LINE_INTERRUPT : LINE_CLEARED;
    }
    if (!*text || n <= 0) {
        fputc('\n', stderr);
        return LINE_OVER;
    }
    *size = (size_t)n;
    if (l->history && n > 1) history(l->history, &event, H_ENTER, *text);
    return LINE_READ;
}

/* ---- without ---- */

static enum line_end plain_line(struct lines *l, const char **text, size_t *size) {
    if (*l->prompt) fputs(l->goes_on ? ". " : l->prompt, stderr);
    ssize_t n = getline(&l->line, &l->cap, stdin);
    *text = l->line, *size = n < 0 ? 0 : (size_t)n;
    if (n >= 0) return LINE_READ;
    if (!interrupted) return LINE_OVER;
    clearerr(stdin);
    fputc('\n', stderr);
    return LINE_INTERRUPT;
}

/* ---- messages ---- */

struct lines *lines_open(bool edit, const char *prompt) {
    struct lines *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    l->prompt = prompt;
    if (edit) open_editor(l);
    return l;
}

void lines_close(struct lines **lp) {
    struct lines *l = *lp;
    if (!l) return;
    if (l->history) history_end(l->history);
    if (l->edit) el_end(l->edit);
    free(l->line);
    free(l);
    *lp = NULL;
}

/* Adds a line without its end to the message; *goes_on: it ends in a backslash, which becomes a line end. */
static bool add_line(char **message, size_t *n, const char *text, size_t size, bool *goes_on) {
    if (size && text[size - 1] == '\n') size--;
    if (size && text[size - 1] == '\r') size--;
    *goes_on = size && text[size - 1] == '\\';
    char *more = realloc(*message, *n + size + 1);
    if (!more) return false;
    memcpy(more + *n, text, size);
    *message = more, *n += size;
    if (*goes_on) more[*n - 1] = '\n';
    more[*n] = 0;
    return true;
}

enum line_end lines_read(struct lines *l, char **message) {
    struct sigaction before;
    enum line_end end;
    size_t n = 0, size;
    const char *text;
    *message = NULL;
    catch_interrupts(l, &before);
    do {
        end = l->edit ? edit_line(l, &text, &size) : plain_line(l, &text, &size);
    } while (end == LINE_READ && add_line(message, &n, text, size, &l->goes_on) && l->goes_on);
    l->goes_on = false;
    sigaction(SIGINT, &before, NULL);
    sigprocmask(SIG_SETMASK, &l->waiting, NULL);
    if (end == LINE_OVER && *message) return LINE_READ; /* the last line had a backslash */
    if (end == LINE_READ && *message) return LINE_READ;
    if (end == LINE_INTERRUPT && *message) end = LINE_CLEARED;
    free(*message);
    *message = NULL;
    return end == LINE_READ ? LINE_OVER : end; /* no memory */
}
