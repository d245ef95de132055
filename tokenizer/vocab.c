/* vocab.c: writes the token list and the merges that reach each of its tokens.
 * Not the encoder: bpe.c follows the merges written here.
 * Next: vocab.h for the layout.
 *
 * Order of the merges is what makes a number one token whatever its digits:
 *   1. "1"+"0" ... "9"+"9"       two digits, in ascending order
 *   2. "100" ... "255"           from the two parts that rule 1 leaves of the three digits
 *   3. " "+"0" ... " "+"255"     only then the space, so that it never takes a digit away
 *   4. " "+"+" ...               operators; " ->" from " -" and ">" */
#include "tokenizer/vocab.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tokenizer/tok_internal.h"

enum { N_MERGES = VOCAB_SIZE - 2 - 256, TEXT = 32 };

struct vocab {
    char tokens[VOCAB_SIZE][TEXT];
    char merges[N_MERGES][2 * TEXT];
    int n_tokens, n_merges;
};

#define SPACE "\xc4\xa0" /* a space, as byte-level vocabularies write it: U+0120 */

/* Every merge makes one token and every token after the bytes comes from one merge. */
static void add(struct vocab *v, const char *left, const char *right) {
    assert(v->n_tokens < VOCAB_SIZE && v->n_merges < N_MERGES);
    snprintf(v->merges[v->n_merges++], sizeof v->merges[0], "%s %s", left, right);
    int n = snprintf(v->tokens[v->n_tokens++], TEXT, "%s%s", left, right);
    assert(n < TEXT);
    (void)n;
}

static void add_bytes(struct vocab *v) {
    unsigned next = 256;
    for (unsigned b = 0; b < 256; b++) {
        unsigned code = bpe_printable(b) ? b : next++;
        char *t = v->tokens[v->n_tokens++];
        if (code < 128) {
            t[0] = (char)code;
        } else {
            t[0] = (char)(0xc0 | code >> 6);
            t[1] = (char)(0x80 | (code & 63));
        }
    }
}

/* "137": rules of rank 1 take the smaller of 13 and 37 first, if both are numbers of two digits. */
static void add_three_digits(struct vocab *v, int number) {
    int head = number / 10, tail = number % 100;
    char left[16], right[16];
    bool tail_first = tail >= 10 && tail < head;
    snprintf(left, sizeof left, "%d", tail_first ? number / 100 : head);
    snprintf(right, sizeof right, "%d", tail_first ? tail : number % 10);
    add(v, left, right);
}

static void begin(struct vocab *v) {
    memset(v, 0, sizeof *v);
    strcpy(v->tokens[v->n_tokens++], "<|begin|>");
    strcpy(v->tokens[v->n_tokens++], "<|end|>");
    add_bytes(v);
}

static void build_digits(struct vocab *v) {
    begin(v);
    for (char c = '!'; c <= '~'; c++) {
        add(v, SPACE, (char[2]){c});
        if (c == '-') add(v, SPACE "-", ">");
    }
    assert(v->n_tokens == VOCAB_DIGITS);
}

static void build_numbers(struct vocab *v) {
    begin(v);
    for (int i = 10; i < 100; i++) add(v, (char[2]){(char)('0' + i / 10)}, (char[2]){(char)('0' + i % 10)});
    for (int i = 100; i < 256; i++) add_three_digits(v, i);
    for (int i = 0; i < 256; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        add(v, SPACE, number);
    }
    for (const char *op = "-+*/=;"; *op; op++) {
        add(v, SPACE, (char[2]){*op});
        if (*op == '-') add(v, SPACE "-", ">");
    }
    assert(v->n_tokens == VOCAB_SIZE && v->n_merges == N_MERGES);
}

void vocab_add(struct gguf_writer *w) { vocab_add_sized(w, VOCAB_SIZE); }

void vocab_add_sized(struct gguf_writer *w, uint32_t n_vocab) {
    struct vocab v;
    assert(n_vocab == VOCAB_SIZE || n_vocab == VOCAB_DIGITS);
    if (n_vocab == VOCAB_SIZE) build_numbers(&v);
    else build_digits(&v);
    const char *tokens[VOCAB_SIZE], *merges[N_MERGES];
    int32_t types[VOCAB_SIZE];
    for (int i = 0; i < v.n_tokens; i++) {
        tokens[i] = v.tokens[i];
        types[i] = i < VOCAB_BYTES ? PIECE_CONTROL : PIECE_NORMAL;
    }
    for (int i = 0; i < v.n_merges; i++) merges[i] = v.merges[i];
    gguf_add_string(w, "tokenizer.ggml.model", "gpt2");
    gguf_add_string(w, "tokenizer.ggml.pre", "gpt-2");
    gguf_add_strings(w, "tokenizer.ggml.tokens", tokens, (size_t)v.n_tokens);
    gguf_add_i32s(w, "tokenizer.ggml.token_type", types, (size_t)v.n_tokens);
    gguf_add_strings(w, "tokenizer.ggml.merges", merges, (size_t)v.n_merges);
    gguf_add_u32(w, "tokenizer.ggml.bos_token_id", VOCAB_BEGIN);
    gguf_add_u32(w, "tokenizer.ggml.eos_token_id", VOCAB_END);
    gguf_add_bool(w, "tokenizer.ggml.add_bos_token", true);
}
