/* test_run.c: `ponder run` as it is used, through pipes, with a small random model whose tokens the tests force by their
 * biases; and flags that people bring along from llama.cpp.
 * Not the token loop: test_write.c.
 * Next: cli/cmd_run.c, cli/flags_llama.c. */
#include "tests/byte_model.h"

#define MORE(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Greedy, one thread, the continuation only; input NULL: standard input is closed. */
static void run(struct child *c, const char *input, const char *const *more) {
    const char *args[CHILD_ARGS] = {"run",    "-m", model("plain.gguf", chatml), "-t", "1",
                                    "--temp", "0",  "--no-display-prompt",       "-l", "81+1000"};
    size_t n = 10;
    while (*more) args[n++] = *more++;
    child_start(c, input != NULL, NULL, args);
    if (input) assert_int_equal(write(c->in, input, strlen(input)), strlen(input));
    child_end(c);
}

static void expect_out(const struct child *c, int code, const char *out) {
    if (c->code != code) fail_msg("exit code %d, expected %d: %s", c->code, code, c->err);
    if (strcmp(c->out, out)) fail_msg("stdout is \"%s\", expected \"%s\"", c->out, out);
}

static void expect_refused(const char *text, const char *const *more) {
    struct child c;
    run(&c, NULL, more);
    expect_out(&c, 2, "");
    if (!strstr(c.err, text)) fail_msg("stderr is \"%s\", expected \"%s\"", c.err, text);
    if (strchr(c.err, '\n') != c.err + strlen(c.err) - 1) fail_msg("not one line: %s", c.err);
}

/* Bytes 0xC3 and 0xA9 in turn are the letter e with an accent: -n counts tokens, and half a letter is not written. */
static void whole_characters(void **state) {
    (void)state;
    struct child c;
    const char *const in_turn[] = {"-l", "195+2000", "-l", "169+1990", "--frequency-penalty", "100", "-p", "x", "-n"};
    const char *const want[] = {"", "\n", "\xc3\xa9\n", "\xc3\xa9\n", "\xc3\xa9\xc3\xa9\n"};
    static const char *const counts[] = {"0", "1", "2", "3", "4"};
    for (size_t i = 0; i < COUNT(counts); i++) {
        const char *more[CHILD_ARGS];
        memcpy(more, in_turn, sizeof in_turn);
        more[COUNT(in_turn)] = counts[i], more[COUNT(in_turn) + 1] = NULL;
        run(&c, NULL, more);
        expect_out(&c, 0, want[i]);
    }
}

static unsigned long prompt_tokens(const struct child *c) {
    const char *at = strstr(c->err, "prompt: ");
    if (!at) fail_msg("no \"prompt: \" in: %s", c->err);
    return strtoul(at + strlen("prompt: "), NULL, 10);
}

/* Bytes are tokens here, so their number shows what was read. */
static void prompts_from_pipes(void **state) {
    (void)state;
    struct child c;
    run(&c, "four\n", MORE("-n", "1"));
    expect_out(&c, 0, "Q\n");
    assert_int_equal(prompt_tokens(&c), 4);
    run(&c, "fo\r\nur\r\n", MORE("-n", "1", "-f", "-"));
    assert_int_equal(prompt_tokens(&c), 5); /* the line ends of other systems */
    run(&c, "not read", MORE("-n", "1", "-p", "abc"));
    assert_int_equal(prompt_tokens(&c), 3);
}

/* llama.cpp's meaning, or a word why not. */
static void flags_of_llama_cpp(void **state) {
    (void)state;
    struct child c;
    run(&c, NULL,
        MORE("-p", "a", "-n", "2", "-t", "-1", "--top-k", "-1", "-fa", "--no-warmup", "--keep", "4", "--mirostat", "0",
             "--jinja", "-no-cnv", "--no-context-shift", "--log-disable"));
    expect_out(&c, 0, "QQ\n");
    assert_string_equal(c.err, "");
    run(&c, NULL, MORE("-p", "a", "-n", "-2", "-c", "5", "-ngl", "99", "-tb", "2", "--top_p", "0.5", "-fa", "auto"));
    expect_out(&c, 0, "QQQQQ\n"); /* one token was the prompt; the last one needs no place */
    assert_non_null(strstr(c.err, "--n-gpu-layers: changes nothing: there is no GPU here"));
    assert_non_null(strstr(c.err, "--threads-batch: changes nothing"));
    assert_non_null(strstr(c.err, "the context is full"));
    run(&c, NULL, MORE("-p", "a", "-n", "1", "-ngl", "0", "--simple-io", "--no-perf"));
    expect_out(&c, 0, "Q\n");
    assert_string_equal(c.err, "");
    expect_refused("--mirostat: \"2\": there is no Mirostat", MORE("--mirostat", "2"));
    expect_refused("-cnv: a conversation is: ponder chat", MORE("-cnv"));
    expect_refused("-i: a conversation is: ponder chat", MORE("-i"));
    expect_refused("--lora: adapters", MORE("--lora", "x"));
    expect_refused("--predict: \"-3\"", MORE("-n", "-3"));
    expect_refused("--model and --hf-repo: give one of them", MORE("-hf", "a/b"));
}

static void wrong_words(void **state) {
    (void)state;
    expect_refused("--samplers: \"foo\" is none of", MORE("--samplers", "top_k;foo"));
    expect_refused("--sampler-seq: penalties (e) can only be the first", MORE("--sampler-seq", "ke"));
    expect_refused("--logit-bias: \"z\" is not of the form", MORE("--logit-bias", "z"));
    expect_refused("--draft-min 9: more than --draft-max 3", MORE("--lookup", "--draft-min", "9", "--draft-max", "3"));
    expect_refused("unknown flag --tmep; did you mean --temp?", MORE("--tmep", "1"));
    expect_refused("unknown flag --repeat_penalt=1; did you mean --repeat-penalty?", MORE("--repeat_penalt=1"));
    expect_refused("unknown flag --zzzz; the flags are in", MORE("--zzzz"));
}

/* ---- grammars ---- */

/* Two letters of "QZab" and a line end, three times, then "ok". */
static const char lines_of_two[] = "root ::= (pair \"\\n\"){3} \"ok\"\npair ::= [QZab] [QZab]";
static bool is_lines_of_two(const char *text) {
    for (int i = 0; i < 3; i++, text += 3)
        if (strspn(text, "QZab") != 2 || text[2] != '\n') return false;
    return !strcmp(text, "ok");
}

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void texts_follow_a_grammar(void **state) {
    (void)state;
    struct child c;
    const char *file = tiny_path("two.gbnf"), *schema = tiny_path("schema.json");
    write_file(file, lines_of_two);
    write_file(schema, "{\"enum\": [\"QQQQ\", 17]}");
    run(&c, NULL, MORE("-p", "x", "--no-perf", "--grammar", lines_of_two));
    expect_out(&c, 0, "QQ\nQQ\nQQ\nok\n"); /* and ends by itself */
    run(&c, NULL, MORE("-p", "x", "--no-perf", "--grammar-file", file, "-s", "3"));
    expect_out(&c, 0, "QQ\nQQ\nQQ\nok\n");
    run(&c, NULL, MORE("-p", "x", "--lookup", "--grammar", "root ::= \"QQ\" \"ZZ\" [Q]"));
    expect_out(&c, 0, "QQZZQ\n");
    run(&c, NULL, MORE("-p", "x", "-l", "34+500", "-j", "{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}"));
    expect_out(&c, 0, "\"QQQ\"\n");
    run(&c, NULL, MORE("-p", "x", "-jf", schema, "-l", "34+2000"));
    expect_out(&c, 0, "\"QQQQ\"\n");
}

/* Every branch of every search follows it, wherever a step or a fork cuts the text. */
static void searches_follow_a_grammar(void **state) {
    (void)state;
    static const char *const searches[] = {"greedy", "maj", "bon", "beam", "mcts", "particle"};
    const char *path = model("plain.gguf", chatml);
    for (size_t i = 0; i < COUNT(searches); i++) {
        struct child c;
        bool votes = !strcmp(searches[i], "greedy") || !strcmp(searches[i], "maj"); /* nothing values their texts */
        child_run(&c, NULL,
                  CHILD("run", "-m", path, "-t", "1", "-p", "x", "-s", "5", "--no-display-prompt", "--search",
                        searches[i], "--step-delimiter", "\\n", "--grammar", lines_of_two, "--verifier",
                        votes ? "none" : "logprob"));
        size_t n = strlen(c.out);
        if (c.code) fail_msg("%s: exit code %d: %s", searches[i], c.code, c.err);
        if (n) c.out[n - 1] = 0; /* the line end that run adds */
        if (!is_lines_of_two(c.out)) fail_msg("%s writes \"%s\"", searches[i], c.out);
    }
}

static void grammars_that_cannot_be_kept(void **state) {
    (void)state;
    struct child c;
    const char *schema = tiny_path("wrong.json");
    expect_refused("--grammar: line 1, column", MORE("--grammar", "root ::= ("));
    expect_refused("--grammar: ", MORE("--grammar", "other ::= [a]"));
    expect_refused("--json-schema: line 1", MORE("-j", "{"));
    expect_refused("--json-schema: ", MORE("-j", "{\"type\": \"number\", \"multipleOf\": 3}"));
    expect_refused("give one of them", MORE("-j", "{}", "--grammar", "root ::= [a]"));
    expect_refused("give one of them", MORE("-jf", "a", "--grammar-file", "b"));
    write_file(schema, "{\"type\": \"object\", \"minProperties\": 1}");
    run(&c, NULL, MORE("-p", "x", "-jf", schema));
    child_refused(&c, (const char *const[]){"--json-schema-file ", "minProperties", NULL});
    run(&c, NULL, MORE("-p", "x", "--grammar-file", "/nothing/here"));
    child_refused(&c, (const char *const[]){"/nothing/here", NULL});
}

static void environment(void) {
    setenv("PONDER_ARG_PREDICT", "3", 1);
    setenv("PONDER_ARG_IGNORE_EOS", "1", 1);
    setenv("PONDER_ARG_SPECIAL", "off", 1);
    setenv("PONDER_ARG_TEMP", "7", 1); /* the command line comes first */
}
static void bad_environment(void) { setenv("PONDER_ARG_TOP_P", "much", 1); }

static void flags_from_the_environment(void **state) {
    (void)state;
    struct child c;
    const char *args[CHILD_ARGS] = {
        "run", "-m", model("plain.gguf", chatml), "-t", "1", "--temp", "0", "-l", "81+1000", "-l", "259+3000",
        "-p",  "a"};
    child_start(&c, false, environment, args);
    child_end(&c);
    expect_out(&c, 0, "aQQQ\n");
    child_start(&c, false, bad_environment, args);
    child_end(&c);
    expect_out(&c, 2, "");
    assert_non_null(strstr(c.err, "PONDER_ARG_TOP_P: --top-p: \"much\" is not a number from 0 to 1"));
}

static void contexts_beyond_training(void **state) {
    (void)state;
    struct child c;
    run(&c, NULL, MORE("-p", "a", "-n", "2", "-c", "70000"));
    expect_out(&c, 0, "QQ\n");
    assert_non_null(strstr(c.err, "--ctx-size 70000: the model was trained for 65536 tokens"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_characters),
        cmocka_unit_test(prompts_from_pipes),
        cmocka_unit_test(flags_of_llama_cpp),
        cmocka_unit_test(wrong_words),
        cmocka_unit_test(flags_from_the_environment),
        cmocka_unit_test(contexts_beyond_training),
        cmocka_unit_test(texts_follow_a_grammar),
        cmocka_unit_test(searches_follow_a_grammar),
        cmocka_unit_test(grammars_that_cannot_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
