/* test_talk.c: `ponder chat` as it is used, through pipes and a terminal, with a small random model whose tokens the tests
 * force by their biases.
 * Not the template language (test_jinja.c), not the tokens of a conversation (test_chat.c).
 * Next: solve/talk.h. */
#include "tests/child.h"

#include <jansson.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "tokenizer/tok_internal.h"

/* ---- the model: the 256 bytes and some control tokens ---- */

static const char *const controls[] = {"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"};
enum { N_TOKENS = 256 + COUNT(controls), END = 256 + 3 };

static const char chatml[] = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                             "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
static const char thinker[] = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                              "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}";

/* The text ends with the user's own words. */
static const char bare[] = "{% for m in messages %}{{ m.content }}\n{% endfor %}";

static void add_vocabulary(struct gguf_writer *w) {
    static char bytes[256][4];
    static const char *tokens[N_TOKENS];
    int32_t types[N_TOKENS];
    unsigned next = 256;
    for (unsigned b = 0; b < 256; b++) {
        unsigned c = bpe_printable((unsigned char)b) ? b : next++;
        if (c < 0x80) snprintf(bytes[b], 4, "%c", (char)c);
        else snprintf(bytes[b], 4, "%c%c", (char)(0xC0 | c >> 6), (char)(0x80 | (c & 63)));
        tokens[b] = bytes[b], types[b] = PIECE_NORMAL;
    }
    for (size_t i = 0; i < COUNT(controls); i++) tokens[256 + i] = controls[i], types[256 + i] = PIECE_CONTROL;
    gguf_add_string(w, "tokenizer.ggml.model", "gpt2");
    gguf_add_string(w, "tokenizer.ggml.pre", "gpt-2");
    gguf_add_strings(w, "tokenizer.ggml.tokens", tokens, N_TOKENS);
    gguf_add_i32s(w, "tokenizer.ggml.token_type", types, N_TOKENS);
    gguf_add_strings(w, "tokenizer.ggml.merges", tokens, 0);
    gguf_add_u32(w, "tokenizer.ggml.bos_token_id", 256);
    gguf_add_u32(w, "tokenizer.ggml.eos_token_id", END);
    gguf_add_bool(w, "tokenizer.ggml.add_bos_token", false);
}

static const char *model(const char *name, const char *template) {
    const char *path = tiny_path(name);
    struct model_config c = tiny_config(1, 16, 2, 1, 24);
    struct gguf_writer *w;
    struct error e;
    void *store;
    if (!access(path, R_OK)) return path;
    c.n_vocab = N_TOKENS, c.n_ctx = 1 << 16;
    struct net *n = tiny_net(&c, NET_LM, 5);
    GOOD(gguf_writer_new(&w, &e));
    GOOD(net_write(n, "tiny", TYPE_F32, w, &store, &e));
    add_vocabulary(w);
    gguf_add_string(w, "tokenizer.chat_template", template);
    GOOD(gguf_write(w, path, &e));
    gguf_writer_free(&w);
    mem_free(store);
    net_free(&n);
    return path;
}

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
        cmocka_unit_test(test_history),  cmocka_unit_test(test_sampling_flags),
        cmocka_unit_test(test_thinking), cmocka_unit_test(test_full_context),
        cmocka_unit_test(test_ctrl_c),   cmocka_unit_test(test_plain_text_of_users),
        cmocka_unit_test(test_guessing),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
