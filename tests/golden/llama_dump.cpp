/* llama_dump.cpp: what llama.cpp makes of a model file: logits, a greedy text, token ids.  It made the files of this folder.
 * Not built by our Makefile: it needs llama.cpp's headers and libraries.
 * Next: tests/golden/README.md. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

#include "llama.h"

static std::vector<llama_token> tokens_of(const llama_vocab *vocab, const std::string &text, bool special) {
    std::vector<llama_token> ids(text.size() + 16);
    int n = llama_tokenize(vocab, text.data(), (int)text.size(), ids.data(), (int)ids.size(), special, special);
    ids.resize(n < 0 ? 0 : n);
    return ids;
}

/* Texts on standard input, each ended by a zero byte: one line of ids for each. */
static int tokenize(const llama_vocab *vocab) {
    std::string all, text;
    for (int c; (c = getchar()) != EOF;) all += (char)c;
    for (size_t at = 0, end; (end = all.find('\0', at)) != std::string::npos; at = end + 1) {
        const char *gap = "";
        for (llama_token id : tokens_of(vocab, all.substr(at, end - at), false)) printf("%s%d", gap, id), gap = " ";
        puts("");
    }
    return 0;
}

/* The likeliest token each time: all ids in one line, the prompt's first. */
static int greedy(llama_context *c, const llama_vocab *vocab, const char *prompt, int n_new) {
    std::vector<llama_token> all = tokens_of(vocab, prompt, true), next = all;
    while (n_new-- > 0 && !llama_decode(c, llama_batch_get_one(next.data(), (int)next.size()))) {
        const float *logits = llama_get_logits_ith(c, -1);
        llama_token best = 0;
        for (int i = 1; i < llama_vocab_n_tokens(vocab); i++)
            if (logits[i] > logits[best]) best = i;
        all.push_back(best);
        next = {best};
        if (llama_vocab_is_eog(vocab, best)) break;
    }
    for (llama_token id : all) printf("%d ", id);
    puts("");
    return 0;
}

/* The logits at every position, float32, into a file. */
static int logits(llama_context *c, int n_vocab, const char *path, char **ids, int n) {
    FILE *f = fopen(path, "wb");
    llama_batch batch = llama_batch_init(n, 0, 1);
    batch.n_tokens = n;
    for (int i = 0; i < n; i++) {
        batch.token[i] = atoi(ids[i]), batch.pos[i] = i, batch.logits[i] = 1;
        batch.n_seq_id[i] = 1, batch.seq_id[i][0] = 0;
    }
    if (!f || llama_decode(c, batch)) return 1;
    for (int i = 0; i < n; i++) fwrite(llama_get_logits_ith(c, i), sizeof(float), n_vocab, f);
    return fclose(f);
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "llama_dump tokens|greedy|logits MODEL [PROMPT N | OUT ID...]\n"), 2;
    llama_log_set([](ggml_log_level level, const char *text, void *) { if (level >= GGML_LOG_LEVEL_ERROR) fputs(text, stderr); },
                  nullptr);
    llama_model_params mp = llama_model_default_params();
    mp.vocab_only = !strcmp(argv[1], "tokens");
    llama_model *m = llama_model_load_from_file(argv[2], mp);
    if (!m) return 1;
    const llama_vocab *vocab = llama_model_get_vocab(m);
    if (mp.vocab_only) return tokenize(vocab);
    llama_context_params cp = llama_context_default_params();
    cp.n_ctx = cp.n_batch = cp.n_ubatch = 256, cp.n_threads = cp.n_threads_batch = 1;
    cp.type_k = cp.type_v = GGML_TYPE_F32, cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    llama_context *c = llama_init_from_model(m, cp);
    if (!c || argc < 5) return 1;
    if (!strcmp(argv[1], "greedy")) return greedy(c, vocab, argv[3], atoi(argv[4]));
    return logits(c, llama_vocab_n_tokens(vocab), argv[3], argv + 4, argc - 4);
}
