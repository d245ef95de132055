/* fuzz_tok.c: libFuzzer target: makes a vocabulary of the bytes, opens it, and sends a text through it and back.
 * Not a test by itself: test_hostile_vocab.c replays tests/corpus/tok/ through it.
 * Run: fuzz_tok NEW_FOLDER tests/corpus/tok
 * Next: test_hostile_vocab.c.
 *
 *   gaBgpt-2       kind (g gpt2, else llama), id of BOS and EOS (a = 0), pre-tokenizer
 *   1@text         a token: its type (1 = 1), its score (@ = 0), its text; up to an empty line
 *   a b            a merge; up to an empty line
 *   the rest       what is encoded */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer/tok_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                                       \
    if (!(x)) {                                                                                                        \
        fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #x);                                          \
        abort();                                                                                                       \
    }

/* A GGUF file in memory. */
struct bytes {
    uint8_t *at; /* [cap] */
    size_t n, cap;
};

static void add(struct bytes *b, const void *p, size_t n) {
    CHECK(b->n + n <= b->cap);
    if (n) memcpy(b->at + b->n, p, n);
    b->n += n;
}
static void add_u32(struct bytes *b, uint32_t v) { add(b, &v, sizeof v); }
static void add_u64(struct bytes *b, uint64_t v) { add(b, &v, sizeof v); }
static void add_text(struct bytes *b, struct gguf_string s) {
    add_u64(b, s.size);
    add(b, s.data, s.size);
}
static void add_name(struct bytes *b, const char *name, uint32_t kind) {
    add_text(b, (struct gguf_string){name, strlen(name)});
    add_u32(b, kind);
}

/* The next line, without its end. */
static struct gguf_string take_line(const char **at, const char *end) {
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    struct gguf_string s = {*at, (size_t)((stop ? stop : end) - *at)};
    *at = stop ? stop + 1 : end;
    return s;
}

/* Lines up to an empty one, as an array: 's' strings, 't' types, 'f' scores, 'm' whole lines.  Moves *at. */
static void add_lines(struct bytes *b, const char *name, char what, const char **at, const char *end) {
    add_name(b, name, GGUF_ARRAY);
    add_u32(b, what == 't' ? GGUF_I32 : what == 'f' ? GGUF_F32 : GGUF_STRING);
    size_t count_at = b->n;
    uint64_t n = 0;
    add_u64(b, 0);
    for (struct gguf_string s; (s = take_line(at, end)).size > 0; n++) {
        size_t head = what == 'm' ? 0 : s.size < 2 ? s.size : 2;
        float score = s.size > 1 ? (float)(s.data[1] - '@') : 0;
        if (what == 't') add_u32(b, (uint32_t)(s.data[0] - '0'));
        else if (what == 'f') add(b, &score, sizeof score);
        else add_text(b, (struct gguf_string){s.data + head, s.size - head});
    }
    memcpy(b->at + count_at, &n, sizeof n);
}

/* The text to encode is what is left. */
static struct gguf_string build(struct bytes *b, const char *at, const char *end) {
    struct gguf_string head = take_line(&at, end);
    const char *tokens = at, *again;
    bool gpt2 = head.size > 0 && head.data[0] == 'g';
    add(b, "GGUF", 4), add_u32(b, 3), add_u64(b, 0), add_u64(b, 8);
    add_name(b, "tokenizer.ggml.model", GGUF_STRING);
    add_text(b, gpt2 ? (struct gguf_string){"gpt2", 4} : (struct gguf_string){"llama", 5});
    add_name(b, "tokenizer.ggml.pre", GGUF_STRING);
    add_text(b, head.size > 3 ? (struct gguf_string){head.data + 3, head.size - 3} : (struct gguf_string){"", 0});
    add_name(b, "tokenizer.ggml.bos_token_id", GGUF_U32),
        add_u32(b, head.size > 1 ? (uint32_t)(head.data[1] - 'a') : 0);
    add_name(b, "tokenizer.ggml.eos_token_id", GGUF_U32),
        add_u32(b, head.size > 2 ? (uint32_t)(head.data[2] - 'a') : 0);
    add_lines(b, "tokenizer.ggml.tokens", 's', &at, end);
    add_lines(b, "tokenizer.ggml.token_type", 't', (again = tokens, &again), end);
    add_lines(b, "tokenizer.ggml.scores", 'f', (again = tokens, &again), end);
    add_lines(b, "tokenizer.ggml.merges", 'm', &at, end);
    return (struct gguf_string){at, (size_t)(end - at)};
}

/* There and back; the same bytes wherever no byte was lost to the unknown token. */
static void send(const struct tok *t, struct gguf_string text, bool special) {
    struct error e = {""};
    size_t n, again, size;
    enum status s = tok_encode(t, text.data, text.size, special, false, NULL, 0, &n, &e);
    CHECK(s == OK || (s == ERR_INPUT && *e.text));
    if (s != OK) return;
    int32_t *ids = malloc((n + 1) * sizeof *ids); /* a sanitizer sees one id too many */
    CHECK(ids && tok_encode(t, text.data, text.size, special, false, ids, n, &again, &e) == OK && again == n);
    for (size_t i = 0; i < n; i++) CHECK(ids[i] >= 0 && (uint32_t)ids[i] < tok_n_vocab(t));
    tok_decode(t, ids, n, true, NULL, 0, &size);
    char *back = malloc(size + 1);
    CHECK(back);
    tok_decode(t, ids, n, true, back, size + 1, &again);
    CHECK(again == size && back[size] == '\0');
    if (!t->is_spm && t->unk < 0) CHECK(size == text.size && memcmp(back, text.data, size) == 0);
    free(ids);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error e = {""};
    struct gguf *g;
    struct tok *t;
    struct bytes b = {.cap = 64 * size + 1024}; /* a line of one byte is a string, a type, a score: less than 64 */
    CHECK(posix_memalign((void **)&b.at, 64, b.cap) == 0);
    struct gguf_string text = build(&b, (const char *)data, (const char *)data + size);
    CHECK(gguf_open_memory(b.at, b.n, "fuzz.gguf", &g, &e) == OK);
    enum status s = tok_open(g, &t, &e);
    gguf_close(&g);
    free(b.at); /* what the tokenizer needs it has copied */
    CHECK((s == OK) == (t != NULL));
    if (s != OK) {
        CHECK(s == ERR_INPUT && strncmp(e.text, "fuzz.gguf: ", 11) == 0);
        return 0;
    }
    for (uint32_t i = 0; i < tok_n_vocab(t); i++) (void)tok_is_end(t, (int32_t)i);
    CHECK(tok_piece(t, -1, true).size == 0 && tok_piece(t, (int32_t)tok_n_vocab(t), true).size == 0);
    send(t, text, false);
    send(t, text, true);
    tok_close(&t);
    return 0;
}
