/* cmd_chat.c: a conversation with a model: lines in, answers out.
 * Not the tokens of a conversation: tokenizer/template/chat.h.
 * Next: solve/talk.h, which keeps the conversation in the KV cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/input.h"
#include "base/terminal.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "cli/flags_sampling.h"
#include "cli/text_out.h"
#include "solve/talk.h"

struct options {
    struct talk_options talk;
    const char *prompt;
    bool single, no_escape;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, talk.session),
    {"system-prompt", "sys", FLAG_TEXT, offsetof(struct options, talk.system), NULL, 0, 0, "TEXT",
     "the system message"},
    {"prompt", "p", FLAG_TEXT, offsetof(struct options, prompt), NULL, 0, 0, "TEXT", "the first message of the user"},
    {"single-turn", "st", FLAG_YES, offsetof(struct options, single), NULL, 0, 0, NULL, "one answer, then the end"},
    {"chat-template", NULL, FLAG_TEXT, offsetof(struct options, talk.template_name), NULL, 0, 0, "NAME",
     "llama3, granite, gemma, phi4, chatml, phi3, zephyr, llama2 or mistral (default: the file's own)"},
    {"chat-template-file", NULL, FLAG_TEXT, offsetof(struct options, talk.template_file), NULL, 0, 0, "FILE",
     "a Jinja template"},
    {"reasoning-budget", NULL, FLAG_INT, offsetof(struct options, talk.reasoning_budget), "-1", -1, 1e9, "N",
     "tokens of thinking before it is ended; 0 = none, -1 = any number"},
    {"no-escape", NULL, FLAG_YES, offsetof(struct options, no_escape), NULL, 0, 0, NULL,
     "\\n and the like in --prompt and --reverse-prompt are taken as they are"},
    SAMPLING_FLAGS(struct options, talk.sampling),
    SPECULATIVE_FLAGS(struct options, talk.speculative),
    COMPUTE_FLAGS(struct options, talk.session),
    COLOR_FLAGS,
    {0},
};

/* The conversation as the terminal shows it. */
struct shown {
    struct talk *talk;
    bool color, dimmed;
    uint64_t n_tokens; /* of all answers */
};

static bool show(void *arg, const char *text, size_t size, bool thinking) {
    struct shown *s = arg;
    if (s->color && thinking != s->dimmed) fputs(thinking ? "\033[2m" : "\033[0m", stdout);
    s->dimmed = thinking;
    fwrite(text, 1, size, stdout);
    return !fflush(stdout) && !ferror(stdout);
}

static enum status answer(struct shown *s, const char *message, struct error *e) {
    struct talk_turn turn = {.cancel = cancel_install(), .write = show, .arg = s};
    enum status st = talk_answer(s->talk, message, &turn, e);
    uint32_t ctx = talk_session(s->talk)->ctx;
    cancel_clear();
    if (s->dimmed) fputs("\033[0m", stdout), s->dimmed = false;
    if (st) return st;
    putchar('\n');
    fflush(stdout);
    s->n_tokens += turn.n_tokens;
    if (terminal_of(STDERR_FILENO).live)
        fprintf(stderr, "(%u tokens, %.0f/s; read in %.1f s; context %u of %u)\n", turn.n_tokens,
                turn.answer_s > 0 ? turn.n_tokens / turn.answer_s : 0, turn.read_s, turn.n_context, ctx);
    if (turn.n_context + 1 >= ctx) fputs("ponder chat: the context is full: /reset, or a larger --ctx-size\n", stderr);
    return OK;
}

static void help(void) {
    fputs("/help         this text\n"
          "/reset        forget the conversation, keep the system message\n"
          "/system TEXT  another system message, and a new conversation\n"
          "/save FILE    the conversation as JSON\n"
          "Ctrl-C stops an answer; Ctrl-D ends.  A \\ at the end of a line continues it.\n",
          stderr);
}

/* What follows the command's word, or NULL when the line is another one. */
static const char *after(const char *line, const char *word) {
    size_t n = strlen(word);
    if (strncmp(line, word, n) || (line[n] && line[n] != ' ')) return NULL;
    return line + n + (line[n] == ' ');
}

/* A line that begins with "/": false when it is to be answered after all. */
static bool command(struct shown *shown, const char *line) {
    struct talk *t = shown->talk;
    struct error e;
    const char *rest;
    enum status s = OK;
    if (line[0] != '/') return false;
    if (after(line, "/help")) help();
    else if (after(line, "/reset")) s = talk_reset(t, NULL, &e);
    else if ((rest = after(line, "/system"))) s = talk_reset(t, rest, &e);
    else if ((rest = after(line, "/save")) && !*rest) fputs("ponder chat: /save FILE: the name is missing\n", stderr);
    else if (rest) s = talk_save(t, rest, &e);
    else fprintf(stderr, "ponder chat: \"%.60s\" is no command; they are in /help\n", line);
    if (s) fprintf(stderr, "ponder chat: %s\n", e.text);
    return true;
}

/* The next message, for free(); NULL at the end of the input. */
static char *read_message(bool live) {
    char *line = NULL, *all = NULL;
    size_t cap = 0, n_all = 0;
    ssize_t n;
    if (live) fputs("> ", stderr);
    while ((n = getline(&line, &cap, stdin)) >= 0) {
        if (n && line[n - 1] == '\n') line[--n] = 0;
        bool goes_on = n && line[n - 1] == '\\';
        if (goes_on) line[n - 1] = '\n';
        char *more = realloc(all, n_all + (size_t)n + 1);
        if (!more) break;
        all = more;
        memcpy(all + n_all, line, (size_t)n + 1);
        n_all += (size_t)n;
        if (!goes_on) break;
    }
    free(line);
    return all;
}

/* false (and e): the conversation cannot go on. */
static enum status converse(struct shown *t, const struct options *o, struct error *e) {
    bool live = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    enum status s = o->prompt ? answer(t, o->prompt, e) : OK;
    if (live && !o->single) fputs("/help lists the commands\n", stderr);
    for (bool done = o->prompt && o->single; !done && !s && !ferror(stdout);) {
        char *message = read_message(live);
        if (!message) break;
        if (*message && !command(t, message)) {
            s = answer(t, message, e);
            done = o->single;
        }
        free(message);
        if ((s == ERR_FULL || s == ERR_INPUT) && live) { /* the message is taken back: something can be done about it */
            fprintf(stderr, "ponder chat: %s\n", e->text);
            s = OK;
        }
    }
    return s;
}

int cmd_chat(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "chat",
                     .usage = "",
                     .flags = flags,
                     .options = &o,
                     .about = "A conversation: lines from the terminal or from stdin, answers on stdout.\n"};
    struct shown shown = {.color = terminal_of(STDOUT_FILENO).color};
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"; a first message comes with --prompt", a.rest[0]);
    if (o.talk.template_name && o.talk.template_file)
        return args_wrong(&a, "--chat-template and --chat-template-file exclude each other");
    if (!o.no_escape && o.prompt) input_unescape((char *)o.prompt);
    for (int i = 0; !o.no_escape && i < o.talk.sampling.stops.n; i++)
        input_unescape((char *)o.talk.sampling.stops.values[i]);
    enum status s = talk_open(&o.talk, &shown.talk, &e);
    if (!s) {
        if (*talk_note(shown.talk)) fprintf(stderr, "ponder chat: %s\n", talk_note(shown.talk));
        if (o.talk.sampling.temp > 0) fprintf(stderr, "seed %llu\n", (unsigned long long)talk_seed(shown.talk));
        s = converse(&shown, &o, &e);
        text_out_guesses(talk_guesses(shown.talk), shown.n_tokens);
    }
    talk_close(&shown.talk);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
