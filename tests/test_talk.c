/* test_talk.c: `ponder chat` as it is used, through pipes and a terminal, with a small random model whose tokens the tests
 * force by their biases.
 * Not the template language (test_jinja.c), not the tokens of a conversation (test_chat.c).
 * Next: solve/talk.h. */
#include "tests/byte_model.h"

#include <jansson.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

/* ---- through pipes ---- */

static void color(void) {
    unsetenv("NO_COLOR");
    setenv("CLICOLOR_FORCE", "1", 1);
}

/* Greedy, one thread: Q always, or Q and Z in turn when penalties are on. */
static void chat(struct child *c, void (*before)(void), const char *path, const char *lines, const char *const *more) {
    const char *args[CHILD_ARGS] = {"chat", "-m", path, "-t", "1", "--temp", "0", "-l", "81+1000", "-l", "90+950"};
    size_t n = 11;
    while (*more) args[n++] = *more++;
    child_start(c, true, before, args);
    assert_int_equal(write(c->in, lines, strlen(lines)), strlen(lines));
    child_end(c);
}
#define MORE(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_out(const struct child *c, int code, const char *out) {
    if (c->code != code) fail_msg("exit code %d, expected %d: %s", c->code, code, c->err);
    if (strcmp(c->out, out)) fail_msg("stdout is \"%s\", expected \"%s\"", c->out, out);
}

static void expect_file(const char *path, const char *want) {
    char text[4096];
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("%s is not there", path);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    json_t *a = json_loads(text, 0, NULL), *b = json_loads(want, 0, NULL);
    if (!a || !b || !json_equal(a, b)) fail_msg("%s holds %s, expected %s", path, text, want);
    json_decref(a), json_decref(b);
}

static void test_history(void **state) {
    (void)state;
    struct child c;
    char lines[4096];
    const char *one = tiny_path("one.json"), *two = tiny_path("two.json"), *three = tiny_path("three.json");
    snprintf(lines, sizeof lines,
             "hello\\\nworld\nagain\n\n/save %s\n/reset\nfresh\n/save %s\n/system be kind\nnew\n/save "
             "%s\n/save\n/nope\n/help\n",
             one, two, three);
    chat(&c, NULL, model("plain.gguf", chatml), lines, MORE("-n", "3", "-sys", "be brief"));
    expect_out(&c, 0, "QQQ\nQQQ\nQQQ\nQQQ\n");
    expect_file(one,
                "[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":\"hello\\nworld\"},"
                "{\"role\":\"assistant\",\"content\":\"QQQ\"},{\"role\":\"user\",\"content\":\"again\"},"
                "{\"role\":\"assistant\",\"content\":\"QQQ\"}]");
    expect_file(two, "[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":\"fresh\"},"
                     "{\"role\":\"assistant\",\"content\":\"QQQ\"}]");
    expect_file(three, "[{\"role\":\"system\",\"content\":\"be kind\"},{\"role\":\"user\",\"content\":\"new\"},"
                       "{\"role\":\"assistant\",\"content\":\"QQQ\"}]");
    assert_non_null(strstr(c.err, "\"/nope\" is no command"));
    assert_non_null(strstr(c.err, "/save FILE: the name is missing"));
    assert_non_null(strstr(c.err, "/system [TEXT]"));
}

static void test_sampling_flags(void **state) {
    (void)state;
    struct child c;
    const char *path = model("plain.gguf", chatml);
    chat(&c, NULL, path, "x\n", MORE("-n", "5", "--frequency-penalty", "100"));
    expect_out(&c, 0, "QZQZQ\n");
    chat(&c, NULL, path, "x\ny\n", MORE("-n", "5", "--frequency-penalty", "100", "-r", "ZQ", "-r", "nothing"));
    expect_out(&c, 0, "Q\n\n"); /* in the second turn the first Q is penalized still: Z comes first, and ZQ ends it */
    chat(&c, NULL, path, "", MORE("-st", "-p", "a\\nb", "-n", "5", "-r", "\\x51\\x51\\x51"));
    expect_out(&c, 0, "\n");
    chat(&c, NULL, path, "x\n", MORE("-n", "-1", "-l", "259+3000"));
    expect_out(&c, 0, "\n"); /* the end token at once */
    chat(&c, NULL, path, "x\n", MORE("-n", "4", "-l", "259+3000", "--ignore-eos"));
    expect_out(&c, 0, "QQQQ\n");
    chat(&c, NULL, path, "x\n", MORE("-l", "262+1"));
    expect_out(&c, 1, "");
    assert_non_null(strstr(c.err, "--logit-bias: token 262, the model has 0 to 261"));
}

static void test_thinking(void **state) {
    (void)state;
    struct child c;
    const char *path = model("thinker.gguf", thinker);
    chat(&c, NULL, path, "x\n", MORE("-n", "8", "--reasoning-budget", "3"));
    expect_out(&c, 0, "QQQ\n</think>\n\nQQQQQ\n");
    chat(&c, NULL, path, "x\n", MORE("-n", "2", "--reasoning-budget", "0"));
    expect_out(&c, 0, "\n</think>\n\nQQ\n");
    chat(&c, color, path, "x\n", MORE("-n", "4", "--reasoning-budget", "2"));
    expect_out(&c, 0, "\033[2mQQ\n</think>\033[0m\n\nQQ\n");
    chat(&c, color, model("bare.gguf", bare), "<think>\n", MORE("-n", "2"));
    expect_out(&c, 0, "QQ\n"); /* a user cannot open the model's thinking */
    chat(&c, color, model("plain.gguf", chatml), "x\n", MORE("-n", "2", "-l", "260+2000"));
    expect_out(&c, 0, "\033[2m<think><think>\033[0m\n");
}

/* Each answer begins the grammar anew; thinking comes before it, however it ends. */
static void test_grammar(void **state) {
    (void)state;
    struct child c;
    static const char grammar[] = "root ::= \"ab\" [QZ]{2}";
    chat(&c, NULL, model("plain.gguf", chatml), "x\ny\n/regen\n", MORE("--grammar", grammar));
    expect_out(&c, 0, "abQQ\nabQQ\nabQQ\n");
    const char *path = model("thinker.gguf", thinker);
    chat(&c, NULL, path, "x\ny\n", MORE("--grammar", grammar, "--reasoning-budget", "2"));
    expect_out(&c, 0, "QQ\n</think>\n\nabQQ\nQQ\n</think>\n\nabQQ\n");
    chat(&c, NULL, path, "x\n", MORE("--grammar", grammar, "-l", "261+2000")); /* the model ends it itself */
    expect_out(&c, 0, "</think>abQQ\n");
    chat(&c, NULL, path, "x\n", MORE("--grammar", grammar, "-l", "259+3000", "-n", "5"));
    expect_out(&c, 0, "QQQQQ\n"); /* an end token does not end what has not begun */
    chat(&c, NULL, model("bare.gguf", bare), "<think>\n", MORE("--grammar", grammar));
    expect_out(&c, 0, "abQQ\n"); /* a user cannot put it off */
    chat(&c, NULL, path, "x\n", MORE("-j", "{\"const\": \"Z\"}", "--reasoning-budget", "0"));
    expect_out(&c, 0, "\n</think>\n\n\"Z\"\n");
}

static void test_full_context(void **state) {
    (void)state;
    struct child c;
    const char *path = model("plain.gguf", chatml);
    chat(&c, NULL, path, "x\n", MORE("-c", "40"));
    assert_int_equal(c.code, 0);
    assert_int_equal(strspn(c.out, "Q"), 20); /* 20 tokens of the template and the message; the last Q needs no place */
    assert_non_null(strstr(c.err, "the context is full"));
    chat(&c, NULL, path, "a message of more than forty tokens, which are bytes\n", MORE("-c", "40"));
    expect_out(&c, 1, "");
    assert_non_null(strstr(c.err, "the context 40: /reset, or a larger --ctx-size"));
    chat(&c, NULL, path, "\xff\n", MORE("-n", "2"));
    expect_out(&c, 1, "");
    assert_non_null(strstr(c.err, "not UTF-8"));
}

/* A first word with a second slash is no command, a CR is no part of a line, and what cannot be done stops nothing. */
static void test_lines(void **state) {
    (void)state;
    struct child c;
    const char *one = tiny_path("lines.json");
    char lines[1024];
    snprintf(lines, sizeof lines, "/usr/bin is a folder?\r\n\r\n /reset\r\n/save %s\r\n/exit\r\nnever\n", one);
    chat(&c, NULL, model("plain.gguf", chatml), lines, MORE("-n", "1"));
    expect_out(&c, 0, "Q\nQ\n");
    expect_file(one,
                "[{\"role\":\"user\",\"content\":\"/usr/bin is a folder?\"},{\"role\":\"assistant\",\"content\":\"Q\"},"
                "{\"role\":\"user\",\"content\":\" /reset\"},{\"role\":\"assistant\",\"content\":\"Q\"}]");
    assert_non_null(strstr(c.err, "cut after 1 tokens: -n allows no more"));
    chat(&c, NULL, model("plain.gguf", chatml), "\xff\nhello\n/nope\nagain\n/bye\nnever\n", MORE("-n", "2"));
    expect_out(&c, 1, "QQ\nQQ\n"); /* the first message was bad, the others are answered */
    assert_non_null(strstr(c.err, "not UTF-8"));
    assert_non_null(
        strstr(c.err, "\"/nope\" is no command; they are in /help, and a blank in front makes it a message"));
}

static void test_system_messages_that_the_template_refuses(void **state) {
    (void)state;
    struct child c;
    const char *path = model("strict.gguf", strict);
    chat(&c, NULL, path, "x\n/system be kind\ny\n/reset\nz\n", MORE("-n", "1"));
    expect_out(&c, 1, "Q\nQ\nQ\n");
    assert_non_null(strstr(c.err, "no system message"));
    chat(&c, NULL, path, "x\n", MORE("-n", "1", "-sys", "be kind"));
    expect_out(&c, 1, "");
    assert_non_null(strstr(c.err, "no system message"));
}

static void home(void) { setenv("HOME", tiny_folder, 1); }

static void test_saving_and_loading(void **state) {
    (void)state;
    struct child c;
    const char *path = model("plain.gguf", chatml), *kept = tiny_path("kept.json"), *bad = tiny_path("bad.json");
    static const char want[] = "[{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"assistant\",\"content\":\"QQ\"},"
                               "{\"role\":\"user\",\"content\":\"two\"},{\"role\":\"assistant\",\"content\":\"QQ\"}]";
    chat(&c, home, path, "one\ntwo\n/save ~/kept.json\n", MORE("-n", "2"));
    expect_out(&c, 0, "QQ\nQQ\n");
    expect_file(kept, want);
    chat(&c, home, path, "/save ~/kept.json\n/load ~/nothing.json\n", MORE("-n", "2"));
    expect_out(&c, 1, "");
    assert_non_null(strstr(c.err, "not written, the conversation is empty"));
    assert_non_null(strstr(c.err, "nothing.json: No such file"));
    expect_file(kept, want); /* still */
    FILE *f = fopen(bad, "w");
    assert_non_null(f);
    fputs("[{\"role\":\"user\"}]", f);
    fclose(f);
    chat(&c, home, path, "/load ~/bad.json\n/load ~/kept.json\nthree\n/save ~/more.json\n", MORE("-n", "2"));
    expect_out(&c, 1, "QQ\n");
    assert_non_null(strstr(c.err, "bad.json: message 1 has no \"role\" or no \"content\""));
    expect_file(tiny_path("more.json"),
                "[{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"assistant\",\"content\":\"QQ\"},"
                "{\"role\":\"user\",\"content\":\"two\"},{\"role\":\"assistant\",\"content\":\"QQ\"},"
                "{\"role\":\"user\",\"content\":\"three\"},{\"role\":\"assistant\",\"content\":\"QQ\"}]");
}

/* The same message, other draws: two answers in all, and only the newer one is kept. */
static void test_answers_again(void **state) {
    (void)state;
    struct child c;
    const char *file = tiny_path("again.json");
    char lines[512], want[512], first[32] = "", second[32] = "";
    snprintf(lines, sizeof lines, "/regen\nx\n/regen\n/save %s\n", file);
    chat(&c, NULL, model("plain.gguf", chatml), lines,
         MORE("-n", "16", "-l", "90+50", "--temp", "5", "-s", "3", "--top-p=1", "--min-p=0"));
    assert_int_equal(c.code, 1);
    assert_non_null(strstr(c.err, "there is no answer yet"));
    assert_int_equal(sscanf(c.out, "%31s %31s", first, second), 2);
    assert_true(strlen(first) == 16 && strspn(first, "QZ") == 16 && strspn(second, "QZ") == 16);
    assert_string_not_equal(first, second);
    snprintf(want, sizeof want, "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"%s\"}]",
             second);
    expect_file(file, want);
}

static void test_wrong_words(void **state) {
    (void)state;
    struct child c;
    const char *path = model("plain.gguf", chatml);
    child_start(&c, false, NULL, MORE("chat", "--chat-template", "nope", "-m", path));
    child_end(&c);
    expect_out(&c, 2, "");
    assert_non_null(strstr(c.err, "--chat-template: \"nope\" is none of llama3, "));
    child_start(&c, false, NULL, MORE("chat"));
    child_end(&c);
    expect_out(&c, 2, "");
    assert_non_null(strstr(c.err, "give a model that talks, with -m FILE"));
    child_start(&c, false, NULL, MORE("chat", "-no-cnv", "-m", path));
    child_end(&c);
    expect_out(&c, 2, "");
    assert_non_null(strstr(c.err, "-no-cnv: without a conversation: ponder run"));
    chat(&c, NULL, path, "x\n", MORE("-n", "1", "-cnv", "-i", "--jinja", "--simple-io", "-sysf", "absent.txt"));
    expect_out(&c, 1, "");
    assert_non_null(strstr(c.err, "absent.txt: No such file"));
}

/* ---- through a terminal ---- */

struct terminal_child {
    pid_t pid;
    int fd;
    char text[1 << 16]; /* [n] everything it wrote; `seen` of it was awaited */
    size_t n, seen;
};

static void tty_start(struct terminal_child *t, const char *const *args) {
    const char *argv[CHILD_ARGS + 1] = {child_binary()};
    for (size_t i = 0; args[i]; i++) argv[i + 1] = args[i];
    memset(t, 0, sizeof *t);
    t->fd = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(t->fd >= 0);
    assert_int_equal(grantpt(t->fd) | unlockpt(t->fd), 0);
    const char *name = ptsname(t->fd);
    assert_non_null(name);
    t->pid = fork();
    assert_true(t->pid >= 0);
    if (t->pid) return;
    setsid(); /* the terminal becomes its own, so that Ctrl-C reaches it */
    int fd = open(name, O_RDWR);
    ioctl(fd, TIOCSCTTY, 0);
    dup2(fd, 0), dup2(fd, 1), dup2(fd, 2);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR"), unsetenv("CLICOLOR"), unsetenv("CLICOLOR_FORCE");
    alarm(CHILD_SECONDS);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

/* Reads until the text comes, after what was awaited before. */
static const char *tty_await(struct terminal_child *t, const char *text) {
    for (;;) {
        char *found = strstr(t->text + t->seen, text);
        if (found) {
            t->seen = (size_t)(found - t->text) + strlen(text);
            return found;
        }
        ssize_t got = t->n + 1 < sizeof t->text ? read(t->fd, t->text + t->n, sizeof t->text - 1 - t->n) : -1;
        if (got <= 0) fail_msg("the terminal does not show \"%s\" but: %s", text, t->text + t->seen);
        t->n += (size_t)got;
    }
}

static void tty_type(struct terminal_child *t, const char *text) {
    assert_int_equal(write(t->fd, text, strlen(text)), strlen(text));
}

static int tty_end(struct terminal_child *t) {
    int status;
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    close(t->fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_ctrl_c(void **state) {
    (void)state;
    struct terminal_child t;
    tty_start(
        &t, MORE("chat", "-m", model("plain.gguf", chatml), "-t", "1", "-c", "60000", "--temp", "0", "-l", "81+1000"));
    tty_await(&t, "> ");
    tty_type(&t, "talk\n");
    tty_await(&t, "QQQQ");
    tty_type(&t, "\003");
    tty_await(&t, " tokens, ");
    tty_await(&t, "> ");
    if (strstr(t.text, "context is full")) fail_msg("Ctrl-C did not stop the answer");
    tty_type(&t, "/help\n"); /* it is alive */
    tty_await(&t, "Ctrl-C stops an answer");
    tty_await(&t, "> ");
    tty_type(&t, "\004");
    assert_int_equal(tty_end(&t), 0);
}

static void test_editing(void **state) {
    (void)state;
    struct terminal_child t;
    tty_start(&t,
              MORE("chat", "-m", model("plain.gguf", chatml), "-t", "1", "--temp", "0", "-l", "81+1000", "-n", "3"));
    tty_await(&t, "> ");
    tty_type(&t, "/sXave"); /* three letters back, the X goes, and on to the end */
    tty_type(&t, "\033[D\033[D\033[D\177\005\n");
    tty_await(&t, "/save FILE: the name is missing");
    tty_await(&t, "> ");
    tty_type(&t, "\033[A\n"); /* from the history */
    tty_await(&t, "/save FILE: the name is missing");
    tty_await(&t, "> ");
    tty_type(&t, "half a line");
    tty_await(&t, "half a line"); /* the terminal forgets what is not read yet at a Ctrl-C */
    tty_type(&t, "\003");
    tty_await(&t, "> ");
    tty_type(&t, "\003");
    tty_await(&t, "(Ctrl-C once more, or Ctrl-D, ends the conversation)");
    tty_await(&t, "> ");
    tty_type(&t, "hello\n");
    tty_await(&t, "QQQ");
    tty_await(&t, "> ");
    tty_type(&t, "\003");
    tty_await(&t, "Ctrl-C once more");
    tty_await(&t, "> ");
    tty_type(&t, "\003");
    assert_int_equal(tty_end(&t), 0);
}

/* Tokens in the context after one message, as the line below the answer says. */
static unsigned long context_of(const char *message) {
    struct terminal_child t;
    tty_start(&t,
              MORE("chat", "-m", model("plain.gguf", chatml), "-t", "1", "--temp", "0", "-l", "81+1000", "-n", "2"));
    tty_await(&t, "> ");
    tty_type(&t, message);
    tty_type(&t, "\n");
    const char *at = tty_await(&t, "; context ");
    tty_await(&t, " of "); /* now the number is whole */
    unsigned long n = strtoul(at + strlen("; context "), NULL, 10);
    tty_await(&t, "> ");
    tty_type(&t, "\004");
    assert_int_equal(tty_end(&t), 0);
    return n;
}

static void test_plain_text_of_users(void **state) {
    (void)state;
    const char *tags[] = {"<think>", "<|im_start|>", "<|im_end|>", "</think>"};
    for (size_t i = 0; i < COUNT(tags); i++) {
        char letters[16] = "";
        memset(letters, 'x', strlen(tags[i]));
        unsigned long of_tag = context_of(tags[i]), of_letters = context_of(letters);
        if (of_tag != of_letters) fail_msg("%s: %lu tokens, %s: %lu", tags[i], of_tag, letters, of_letters);
    }
}

/* The same answers, turn for turn, whatever ends them: a number of tokens, a stop string, the end token, the context, the end of
 * thinking.  Q and Z come in random order, so that guesses are right now and then; W ends an answer. */
static void test_guessing(void **state) {
    (void)state;
    const char *path = model("plain.gguf", chatml), *thinks = model("thinker.gguf", thinker);
    const char *const guesses[][6] = {{"--lookup"},
                                      {"--lookup", "--draft-max", "3"},
                                      {"--temp", "0", "-md", path},
                                      {"--temp", "0", "-md", thinks, "--draft-p-min=0"}};
    const struct {
        const char *path, *const *more;
    } cases[] = {
        {path, MORE("-n", "30")},
        {path, MORE("-n", "30", "-r", "ZZQ", "-r", "QQQ")},
        {path, MORE("-l", "259+990")},
        {path, MORE("-c", "230")},
        {path, MORE("-n", "40", "--frequency-penalty", "1.5")},
        {path, MORE("-n", "9", "--typical", "0.7", "-ub", "3")},
        {thinks, MORE("-n", "20", "--reasoning-budget", "7")},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t g = 0; g < COUNT(guesses); g++) {
            const char *more[CHILD_ARGS] = {"-l", "90+50", "--temp", "5", "-s", "7", "--top-p=1", "--min-p=0"};
            static const char lines[] = "one\ntwo\n/reset\nthree\none\ntwo\nthree\nfour\nfive\n";
            size_t n = 8;
            struct child plain, guessed;
            if (g >= 2) more[3] = "0";
            for (const char *const *a = cases[i].more; *a;) more[n++] = *a++;
            chat(&plain, NULL, cases[i].path, lines, more);
            for (size_t k = 0; guesses[g][k];) more[n++] = guesses[g][k++];
            chat(&guessed, NULL, cases[i].path, lines, more);
            if (guessed.code != plain.code || strcmp(guessed.out, plain.out))
                fail_msg("case %zu, guesses %zu: \"%s\" (%d), without guesses \"%s\" (%d); %s", i, g, guessed.out,
                         guessed.code, plain.out, plain.code, guessed.err);
            if (!strstr(guessed.err, "guessed: ") || strstr(guessed.err, "guessed: 0"))
                fail_msg("case %zu, guesses %zu: none were made: %s", i, g, guessed.err);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_sampling_flags),
        cmocka_unit_test(test_thinking),
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_full_context),
        cmocka_unit_test(test_ctrl_c),
        cmocka_unit_test(test_plain_text_of_users),
        cmocka_unit_test(test_guessing),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_system_messages_that_the_template_refuses),
        cmocka_unit_test(test_saving_and_loading),
        cmocka_unit_test(test_answers_again),
        cmocka_unit_test(test_wrong_words),
        cmocka_unit_test(test_editing),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
