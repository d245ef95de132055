/* golden.h: the model files that both we and llama.cpp read for tests/golden: one of each architecture, and vocabularies
 * that show where words were cut.
 * Not the expected values: tests/golden holds what llama.cpp made of these files.
 * Next: test_golden.c. */
#ifndef PONDER_TESTS_GOLDEN_H
#define PONDER_TESTS_GOLDEN_H

#include "tests/arch_model.h"

static const char *const golden_archs[] = {"llama", "qwen2", "qwen3",  "smollm3", "granite",
                                           "phi3",  "olmo2", "gemma2", "gemma3",  "mistral3"};
static const int32_t golden_tokens[] = {3,  7, 1,  40, 12, 12, 5,  33, 20, 8,  44, 2,
                                        17, 9, 25, 31, 6,  0,  14, 38, 22, 11, 29, 4};

/* A model without a vocabulary: the sizes must be stated. */
static inline void golden_keys(struct maker *k) {
    gguf_add_string(k->w, "tokenizer.ggml.model", "none");
    make_u32(k, "vocab_size", A_VOCAB);
}

/* One name of each way of cutting that llama.cpp knows, too. */
static const char *const golden_pres[] = {"gpt-2",        "llama-bpe", "dbrx",   "qwen2",       "qwen35",
                                          "smollm",       "tekken",    "gpt-4o", "deepseek-v3", "deepseek-coder",
                                          "deepseek-llm", "falcon",    "bloom",  "viking"};

/* Byte b as GPT-2's vocabularies write it: printable bytes stand for themselves, the others for U+0100 and up. */
static inline size_t golden_byte(uint32_t b, char out[3]) {
    bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    uint32_t c = b;
    if (!plain) {
        c = 256;
        for (uint32_t i = 0; i < b; i++) c += !((i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174);
    }
    size_t n = c < 128 ? 1 : 2;
    out[0] = (char)(n == 1 ? c : 0xc0 | c >> 6);
    if (n == 2) out[1] = (char)(0x80 | (c & 0x3f));
    out[n] = 0;
    return n;
}

enum { PAIR_BYTES = 80, PAIRS_VOCAB = 256 + PAIR_BYTES * PAIR_BYTES };

/* A vocabulary of all bytes and all pairs of some of them: a pair is one token unless a word ends between the two, so that
 * the ids show where words end. */
static inline void golden_pairs_write(const char *pre, const char *path) {
    static const char bytes[PAIR_BYTES + 1] =
        "abcdefghilmnorstuvwxyABDEIKLMNORSTUVWX0123456789 \t\n\r.,:;!?'-_+/#$%()[]{}<>=\xc3\xa9";
    static char texts[PAIRS_VOCAB][6], pairs[PAIR_BYTES * PAIR_BYTES][8];
    static const char *tokens[PAIRS_VOCAB], *merges[PAIR_BYTES * PAIR_BYTES];
    struct gguf_writer *w;
    struct error e;
    size_t n = 0, n_bytes = strlen(bytes), n_pairs = 0;
    for (uint32_t b = 0; b < 256; b++) golden_byte(b, texts[n]), tokens[n] = texts[n], n++;
    for (size_t i = 0; i < n_bytes; i++)
        for (size_t j = 0; j < n_bytes; j++) {
            const char *a = texts[(uint8_t)bytes[i]], *b = texts[(uint8_t)bytes[j]];
            snprintf(texts[n], sizeof texts[n], "%s%s", a, b);
            snprintf(pairs[n_pairs], sizeof pairs[n_pairs], "%s %s", a, b);
            tokens[n] = texts[n], n++;
            merges[n_pairs] = pairs[n_pairs], n_pairs++;
        }
    GOOD(gguf_writer_new(&w, &e));
    gguf_add_string(w, "general.architecture", "llama");
    gguf_add_string(w, "tokenizer.ggml.model", "gpt2");
    gguf_add_string(w, "tokenizer.ggml.pre", pre);
    gguf_add_strings(w, "tokenizer.ggml.tokens", tokens, n);
    gguf_add_strings(w, "tokenizer.ggml.merges", merges, n_pairs);
    GOOD(gguf_write(w, path, &e));
    gguf_writer_free(&w);
}

#endif
