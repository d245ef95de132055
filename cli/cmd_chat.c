/* cmd_chat.c: a conversation with a model: lines in, answers out.
 * Not the tokens of a conversation: tokenizer/template/chat.h.
 * Next: solve/talk.h, which keeps the conversation in the KV cache. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/input.h"
#include "base/mem.h"
#include "base/terminal.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "cli/flags_llama.h"
#include "cli/flags_sampling.h"
#include "cli/lines.h"
#include "cli/text_out.h"
#include "solve/talk.h"
#include "tokenizer/template/chat.h"

struct options {
    struct talk_options talk;
    const char *prompt;
    const char *system_file;
    bool single, no_escape, quiet, plain;
};

/* clang-format off */
#define AT(field) offsetof(struct options, field)
static const struct flag flags[] = {
    MODEL_FLAG(struct options, talk.session),
    {"system-prompt", "sys", FLAG_TEXT, AT(talk.system), NULL, 0, 0, "TEXT", "the system message"},
    {"system-prompt-file", "sysf", FLAG_TEXT, AT(system_file), NULL, 0, 0, "FILE", "the same from a file; - = standard input"},
    {"prompt", "p", FLAG_TEXT, AT(prompt), NULL, 0, 0, "TEXT", "the first message of the user"},
    {"single-turn", "st", FLAG_YES, AT(single), NULL, 0, 0, NULL, "one answer, then the end"},
    {"chat-template", NULL, FLAG_TEXT, AT(talk.template_name), NULL, 0, 0, "NAME", "llama3, granite, gemma, phi4, chatml, phi3, zephyr, llama2 or mistral (default: the file's own)"},
    {"chat-template-file", NULL, FLAG_TEXT, AT(talk.template_file), NULL, 0, 0, "FILE", "a Jinja template"},
    {"reasoning-budget", NULL, FLAG_INT, AT(talk.reasoning_budget), "-1", -1, 1e9, "N", "tokens of thinking before it is ended; 0 = none, -1 = any number"},
    {"no-escape", NULL, FLAG_YES, AT(no_escape), NULL, 0, 0, NULL, "\\n and the like in --prompt and --reverse-prompt are taken as they are"},
    {"no-perf", NULL, FLAG_YES, AT(quiet), NULL, 0, 0, NULL, "no line about tokens and time below an answer (also --log-disable)"},
    {"simple-io", NULL, FLAG_YES, AT(plain), NULL, 0, 0, NULL, "lines are read as the terminal gives them, without editing and history"},
    SAMPLING_FLAGS(struct options, talk.sampling),
    SPECULATIVE_FLAGS(struct options, talk.speculative),
    COMPUTE_FLAGS(struct options, talk.session),
    COLOR_FLAGS,
    {0},
};
/* clang-format on */

/* ---- answers ---- */

/* The conversation as the terminal shows it. */
struct shown {
    struct talk *talk;
    bool color, dimmed;
    bool plain, quiet; /* no editing of lines; no line about time */
    bool over, failed;
    uint64_t n_tokens; /* of all answers */
};

static bool show(void *arg, const char *text, size_t size, bool thinking) {
    struct shown *s = arg;
    if (s->color && thinking != s->dimmed) fputs(thinking ? "\033[2m" : "\033[0m", stdout);
    s->dimmed = s->color && thinking;
    fwrite(text, 1, size, stdout);
    return !fflush(stdout) && !ferror(stdout);
}

static void remark(const struct shown *s, const struct talk_turn *turn) {
    uint32_t ctx = talk_session(s->talk)->ctx;
    if (terminal_of(STDERR_FILENO).live && !s->quiet)
        fprintf(stderr, "(%u tokens, %.0f/s; read in %.1f s; context %u of %u)\n", turn->n_tokens,
                turn->answer_s > 0 ? turn->n_tokens / turn->answer_s : 0, turn->read_s, turn->n_context, ctx);
    if (turn->n_context + 1 >= ctx) fputs("ponder chat: the context is full: /reset, or a larger --ctx-size\n", stderr);
    else if (turn->end == TEXT_MAX_TOKENS)
        fprintf(stderr, "ponder chat: the answer was cut after %u tokens: -n allows no more\n", turn->n_tokens);
}

/* message NULL: the last answer again. */
static enum status answer(struct shown *s, const char *message, struct error *e) {
    struct talk_turn turn = {.cancel = cancel_install(), .write = show, .arg = s};
    enum status st = message ? talk_answer(s->talk, message, &turn, e) : talk_again(s->talk, &turn, e);
    cancel_clear();
    if (s->dimmed) fputs("\033[0m", stdout), s->dimmed = false;
    if (st) return st;
    putchar('\n');
    fflush(stdout);
    s->n_tokens += turn.n_tokens;
    remark(s, &turn);
    return OK;
}

/* ---- commands ---- */

static enum status do_reset(struct shown *s, const char *rest, struct error *e) {
    (void)rest;
    return talk_reset(s->talk, NULL, e);
}
static enum status do_system(struct shown *s, const char *rest, struct error *e) {
    return talk_reset(s->talk, rest, e);
}
static enum status do_again(struct shown *s, const char *rest, struct error *e) {
    (void)rest;
    return answer(s, NULL, e);
}
static enum status do_exit(struct shown *s, const char *rest, struct error *e) {
    (void)rest, (void)e;
    s->over = true;
    return OK;
}

/* "~/name" is in the home folder. */
static enum status with_path(struct shown *s, const char *rest,
                             enum status (*use)(struct talk *, const char *, struct error *), struct error *e) {
    char path[4096];
    const char *home = rest[0] == '~' && (rest[1] == '/' || !rest[1]) ? getenv("HOME") : NULL;
    int n = snprintf(path, sizeof path, "%s%s", home ? home : "", rest + (home != NULL));
    if (n < 0 || (size_t)n >= sizeof path) return error_set(e, ERR_INPUT, "\"%.60s...\": the path is too long", rest);
    return use(s->talk, path, e);
}
static enum status save(struct talk *t, const char *path, struct error *e) { return talk_save(t, path, e); }
static enum status do_save(struct shown *s, const char *rest, struct error *e) { return with_path(s, rest, save, e); }
static enum status do_load(struct shown *s, const char *rest, struct error *e) {
    return with_path(s, rest, talk_load, e);
}
static enum status do_help(struct shown *s, const char *rest, struct error *e);

/* clang-format off */
static const struct command {
    const char *name, *argument, *help; /* an argument in capitals is needed, one in brackets may be left out; no help: not listed */
    enum status (*run)(struct shown *s, const char *rest, struct error *e);
} commands[] = {
    {"/help",   "",       "this text", do_help},
    {"/reset",  "",       "forget the conversation, keep the system message", do_reset},
    {"/system", "[TEXT]", "another system message, or none, and a new conversation", do_system},
    {"/regen",  "",       "the last answer again, with other random numbers", do_again},
    {"/save",   "FILE",   "the conversation as JSON", do_save},
    {"/load",   "FILE",   "go on with a conversation that was saved", do_load},
    {"/exit",   "",       "the end (as Ctrl-D)", do_exit},
    {"/bye",    "",       NULL, do_exit},
    {"/quit",   "",       NULL, do_exit},
};
/* clang-format on */
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static enum status do_help(struct shown *s, const char *rest, struct error *e) {
    (void)s, (void)rest, (void)e;
    for (int i = 0; i < N_COMMANDS; i++)
        if (commands[i].help) fprintf(stderr, "%-8s%-8s%s\n", commands[i].name, commands[i].argument, commands[i].help);
    fputs("Ctrl-C stops an answer; Ctrl-D ends.  A \\ at the end of a line continues it.  A blank before a \"/\" makes "
          "it text.\n",
          stderr);
    return OK;
}

/* A command is one word with one slash: "/usr/bin is a folder?" is a message. */
static bool is_command(const char *line) { return line[0] == '/' && !memchr(line + 1, '/', strcspn(line + 1, " ")); }

static enum status run_command(struct shown *s, const char *line, struct error *e) {
    size_t n = strcspn(line, " ");
    const char *rest = line + n + strspn(line + n, " ");
    const struct command *c = commands;
    while (c < commands + N_COMMANDS && (strlen(c->name) != n || strncmp(c->name, line, n))) c++;
    if (c == commands + N_COMMANDS) {
        fprintf(stderr,
                "ponder chat: \"%.60s\" is no command; they are in /help, and a blank in front makes it a message\n",
                line);
        return OK;
    }
    if (isupper((unsigned char)c->argument[0]) && !*rest) {
        fprintf(stderr, "ponder chat: %s %s: the name is missing\n", c->name, c->argument);
        return OK;
    }
    return c->run(s, rest, e);
}

/* ---- the conversation ---- */

/* What cannot be done is said, and a message that cannot be answered is forgotten; the conversation goes on. */
static enum status go_on(struct shown *s, enum status st, const struct error *e) {
    if (!st || st == ERR_MEMORY) return st;
    fprintf(stderr, "ponder chat: %s\n", e->text);
    s->failed = true;
    return OK;
}

static enum status take_line(struct shown *s, const char *line, struct error *e) {
    return go_on(s, is_command(line) ? run_command(s, line, e) : answer(s, line, e), e);
}

static enum status read_lines(struct shown *s, bool live, bool single, struct error *e) {
    bool edit = live && terminal_of(STDERR_FILENO).live && !s->plain;
    struct lines *lines = lines_open(edit, live ? "> " : "");
    enum status st = lines ? OK : error_set(e, ERR_MEMORY, "no memory for a line");
    enum line_end last = LINE_READ;
    while (!st && !s->over && !ferror(stdout)) {
        char *message;
        enum line_end end = lines_read(lines, &message);
        if (end == LINE_OVER || (end == LINE_INTERRUPT && (last == LINE_INTERRUPT || !live))) break;
        if (end == LINE_INTERRUPT) fputs("(Ctrl-C once more, or Ctrl-D, ends the conversation)\n", stderr);
        last = end;
        if (end != LINE_READ) continue;
        bool is_message = *message && !is_command(message);
        if (*message) st = take_line(s, message, e);
        free(message);
        if (is_message && single) break;
    }
    lines_close(&lines);
    return st;
}

static enum status converse(struct shown *s, const struct options *o, struct error *e) {
    bool live = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    enum status st = o->prompt ? go_on(s, answer(s, o->prompt, e), e) : OK;
    if (st || (o->prompt && o->single)) return st;
    if (live && !o->single) fputs("/help lists the commands\n", stderr);
    return read_lines(s, live, o->single, e);
}

/* What is wrong with the command line and can be said without a model. */
static int check_flags(const struct args *a, const struct options *o) {
    struct error e;
    if (!strcmp(o->talk.session.model, "embedded"))
        return args_wrong(a, "give a model that talks, with -m FILE or -hf USER/MODEL: the one inside solves puzzles");
    if (o->talk.template_name && o->talk.template_file)
        return args_wrong(a, "--chat-template and --chat-template-file exclude each other");
    if (o->talk.template_name && !chat_is_name(o->talk.template_name))
        return args_wrong(a, "--chat-template: \"%.60s\" is none of %s", o->talk.template_name, chat_names());
    if (o->talk.system && o->system_file)
        return args_wrong(a, "--system-prompt and --system-prompt-file: give one of them");
    if (sampling_check(&o->talk.sampling, &e) || speculative_check(&o->talk.speculative, &e))
        return args_wrong(a, "%s", e.text);
    return ARGS_GO_ON;
}

/* The words of the command line are changed in place: they only get shorter. */
static void unescape_all(struct options *o) {
    if (o->prompt) input_unescape((char *)o->prompt);
    for (int i = 0; i < o->talk.sampling.stops.n; i++) input_unescape((char *)o->talk.sampling.stops.values[i]);
}

static enum status talk_to_the_end(struct shown *shown, const struct options *o, struct error *e) {
    enum status s = talk_open(&o->talk, &shown->talk, e);
    if (s) return s;
    session_remark("chat", talk_session(shown->talk));
    if (*talk_note(shown->talk)) fprintf(stderr, "ponder chat: %s\n", talk_note(shown->talk));
    if (o->talk.sampling.temp > 0) fprintf(stderr, "seed %llu\n", (unsigned long long)talk_seed(shown->talk));
    s = converse(shown, o, e);
    text_out_guesses(talk_guesses(shown->talk), shown->n_tokens);
    talk_close(&shown->talk);
    return s;
}

int cmd_chat(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "chat",
                     .usage = "",
                     .flags = flags,
                     .options = &o,
                     .parts = {{llama_flags, &o}, {llama_chat_flags, &o}},
                     .about = "A conversation: lines from the terminal or from stdin, answers on stdout.\n"};
    char *system = NULL;
    size_t size;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"; a first message comes with --prompt", a.rest[0]);
    if ((code = check_flags(&a, &o)) != ARGS_GO_ON) return code;
    if (!o.no_escape) unescape_all(&o);
    enum status s = o.system_file ? input_read(o.system_file, &system, &size, &e) : OK;
    if (system) {
        if (size && system[size - 1] == '\n') system[size - 1] = 0; /* editors add it */
        o.talk.system = system;
    }
    struct shown shown = {.color = terminal_of(STDOUT_FILENO).color, .plain = o.plain, .quiet = o.quiet};
    if (!s) s = talk_to_the_end(&shown, &o, &e);
    mem_free(system);
    if (s) return args_failed(&a, e.text);
    return shown.failed ? EXIT_FAILED : EXIT_GOOD;
}
