/* cmd_tokenize.c: text to token ids and back, by the vocabulary of a model file: the weights are not needed.
 * Not the rules: tokenizer/.
 * Next: tokenizer/tok.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/input.h"
#include "base/mem.h"
#include "cli/args.h"
#include "cli/command.h"
#include "solve/session.h"
#include "tokenizer/tok.h"

struct options {
    const char *model, *prompt, *file;
    bool from_stdin, special, bos, no_escape;
};

#define VOCABULARY_FLAGS                                                                                               \
    {"model", "m", FLAG_TEXT, offsetof(struct options, model), "embedded",                                             \
     0,       0,   "FILE",    "a GGUF file with a vocabulary"},                                                        \
        HUB_FLAGS(struct options, model)

static const struct flag tokenize_flags[] = {
    VOCABULARY_FLAGS,
    {"prompt", "p", FLAG_TEXT, offsetof(struct options, prompt), NULL, 0, 0, "TEXT",
     "the text; \\n, \\t, \\xHH and the like become their characters"},
    {"file", "f", FLAG_TEXT, offsetof(struct options, file), NULL, 0, 0, "FILE",
     "a file with the text; -: standard input"},
    {"stdin", NULL, FLAG_YES, offsetof(struct options, from_stdin), NULL, 0, 0, NULL, "the text is standard input"},
    {"special", "sp", FLAG_YES, offsetof(struct options, special), NULL, 0, 0, NULL,
     "the names of control tokens in the text become those tokens"},
    {"no-escape", NULL, FLAG_YES, offsetof(struct options, no_escape), NULL, 0, 0, NULL,
     "\\n, \\t and the like in --prompt are taken as they are"},
    {"bos", NULL, FLAG_YES, offsetof(struct options, bos), NULL, 0, 0, NULL,
     "begin with the token that begins a text (fails if the model has none)"},
    {0},
};

static const struct flag detokenize_flags[] = {
    VOCABULARY_FLAGS,
    {"stdin", NULL, FLAG_YES, offsetof(struct options, from_stdin), NULL, 0, 0, NULL, "the ids are standard input"},
    {"special", "sp", FLAG_YES, offsetof(struct options, special), NULL, 0, 0, NULL, "write control tokens too"},
    {0},
};

/* The vocabulary is copied, so the file is closed again. */
static enum status open_vocabulary(const struct options *o, struct tok **tok, struct error *e) {
    struct gguf *file;
    enum status s = session_open_file(o->model, "policy", &file, e);
    *tok = NULL;
    if (s) return s;
    s = tok_open(file, tok, e);
    gguf_close(&file);
    return s;
}

static enum status print_ids(const struct options *o, const struct tok *tok, const char *text, size_t size,
                             struct error *e) {
    size_t n;
    if (o->bos && tok_bos(tok) < 0) return error_set(e, ERR_INPUT, "--bos: the vocabulary names no such token");
    enum status s = tok_encode(tok, text, size, o->special, o->bos, NULL, 0, &n, e);
    if (s) return s;
    int32_t *ids = mem_new(n, sizeof *ids);
    if (!ids) return error_set(e, ERR_MEMORY, "no memory for %zu ids", n);
    s = tok_encode(tok, text, size, o->special, o->bos, ids, n, &n, e);
    for (size_t i = 0; !s && i < n; i++) printf("%s%d", i ? " " : "", ids[i]);
    if (!s) putchar('\n');
    mem_free(ids);
    return s;
}

int cmd_tokenize(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "tokenize",
                     .usage = "",
                     .flags = tokenize_flags,
                     .options = &o,
                     .about = "Prints the ids of one text, with blanks between them, on one line.\n"};
    struct tok *tok = NULL;
    struct error e;
    char *read = NULL;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"; the text comes with --prompt", a.rest[0]);
    if ((o.prompt != NULL) + (o.file != NULL) + o.from_stdin != 1)
        return args_wrong(&a, "give one of --prompt TEXT, --file FILE and --stdin");
    if (o.prompt && !o.no_escape) input_unescape((char *)o.prompt);
    size_t size = o.prompt ? strlen(o.prompt) : 0;
    enum status s = open_vocabulary(&o, &tok, &e);
    if (!s && !o.prompt) s = input_read_bytes(o.file, &read, &size, &e);
    if (!s) s = print_ids(&o, tok, o.prompt ? o.prompt : read, size, &e);
    code = s ? args_failed(&a, e.text) : EXIT_GOOD;
    mem_free(read);
    if (tok) tok_close(&tok);
    return code;
}

/* Ids with blanks, commas or brackets between them, as tokenize and other tools print them. */
static enum status parse_ids(const char *text, uint32_t n_vocab, int32_t *ids, size_t *n, struct error *e) {
    for (text += strspn(text, " \t\r\n,[]"); *text; text += strspn(text, " \t\r\n,[]")) {
        char *end;
        errno = 0;
        long id = strtol(text, &end, 10);
        if (end == text || (*end && !strchr(" \t\r\n,[]", *end)))
            return error_set(e, ERR_INPUT, "\"%.*s\" is no token id", (int)strcspn(text, " \t\r\n"), text);
        if (errno || id < 0 || id >= (long)n_vocab)
            return error_set(e, ERR_INPUT, "id %.*s: the vocabulary has 0 to %u", (int)(end - text), text, n_vocab - 1);
        ids[(*n)++] = (int32_t)id;
        text = end;
    }
    return OK;
}

/* No newline is added: the bytes are those of the text. */
static enum status print_text(const struct options *o, const struct tok *tok, const int32_t *ids, size_t n,
                              struct error *e) {
    size_t size;
    tok_decode(tok, ids, n, o->special, NULL, 0, &size);
    char *text = mem_new(size + 1, 1);
    if (!text) return error_set(e, ERR_MEMORY, "no memory for %zu bytes of text", size);
    tok_decode(tok, ids, n, o->special, text, size + 1, &size);
    fwrite(text, 1, size, stdout);
    mem_free(text);
    return OK;
}

static enum status detokenize(const struct options *o, char **words, int n_words, struct error *e) {
    struct tok *tok = NULL;
    char *text = NULL;
    int32_t *ids = NULL;
    size_t size = 0, n = 0;
    enum status s = open_vocabulary(o, &tok, e);
    if (!s && o->from_stdin) s = input_read(NULL, &text, &size, e);
    for (int i = 0; i < n_words; i++) size += strlen(words[i]) + 1;
    if (!s && !(ids = mem_new(size / 2 + 1, sizeof *ids))) s = error_set(e, ERR_MEMORY, "no memory for the ids");
    if (!s && text && strlen(text) != size) s = error_set(e, ERR_INPUT, "standard input: a zero byte among the ids");
    if (!s && text) s = parse_ids(text, tok_n_vocab(tok), ids, &n, e);
    for (int i = 0; !s && i < n_words; i++) s = parse_ids(words[i], tok_n_vocab(tok), ids, &n, e);
    if (!s) s = print_text(o, tok, ids, n, e);
    mem_free(ids), mem_free(text);
    if (tok) tok_close(&tok);
    return s;
}

int cmd_detokenize(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "detokenize",
                     .usage = "[ID...]",
                     .flags = detokenize_flags,
                     .options = &o,
                     .about = "Prints the text of token ids, byte by byte: no newline is added.\n"};
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (o.from_stdin == (a.n_rest > 0)) return args_wrong(&a, "give ids, or --stdin");
    return detokenize(&o, a.rest, a.n_rest, &e) ? args_failed(&a, e.text) : EXIT_GOOD;
}
