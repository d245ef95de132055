/* byte_model.h: a small random model whose tokens are the 256 bytes and some control tokens, as a file; tests force what it
 * says by biases.
 * Not a test itself.
 * Next: test_talk.c, test_run.c. */
#ifndef PONDER_TESTS_BYTE_MODEL_H
#define PONDER_TESTS_BYTE_MODEL_H

#include "tests/byte_tokens.h"
#include "tests/child.h"

static const char *const controls[] = {"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"};
enum { N_TOKENS = 256 + COUNT(controls), END = 256 + 3 };

__attribute__((unused)) static const char chatml[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
__attribute__((unused)) static const char thinker[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}";

/* No system message for this one. */
__attribute__((unused)) static const char strict[] =
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system message') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n";

/* The text ends with the user's own words. */
__attribute__((unused)) static const char bare[] = "{% for m in messages %}{{ m.content }}\n{% endfor %}";

static inline void add_vocabulary(struct gguf_writer *w) {
    static const char *tokens[N_TOKENS];
    int32_t types[N_TOKENS];
    byte_tokens(tokens, types);
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

/* The file of this name, made at the first call. */
static inline const char *model(const char *name, const char *template) {
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

#endif
