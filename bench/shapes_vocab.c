/* shapes_vocab.c: the keys of a made model: its sizes, and a vocabulary of the right length.
 * Not a tokenizer anybody should use: its words are all strings of two, three and four letters in order.
 * Next: tokenizer/bpe.c, which reads the merges. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "bench/shapes.h"

enum { LETTERS = 26, PAIRS = LETTERS * LETTERS, TRIPLES = PAIRS * LETTERS, WORD = 8, TEXT = 24 };
enum { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_BYTE = 6 }; /* GGUF's tokenizer.ggml.token_type */

/* Word k as the two known words that merge into it: letters; then a pair and a letter; then two pairs. */
static void split_word(uint32_t k, char left[WORD], char right[WORD]) {
    memset(left, 0, WORD);
    memset(right, 0, WORD);
    uint32_t pair = 0;
    if (k < PAIRS) {
        left[0] = (char)('a' + k / LETTERS), right[0] = (char)('a' + k % LETTERS);
        return;
    }
    k -= PAIRS;
    if (k < TRIPLES) {
        pair = k / LETTERS, right[0] = (char)('a' + k % LETTERS);
    } else {
        k -= TRIPLES;
        assert(k < PAIRS * PAIRS);
        pair = k / PAIRS, right[0] = (char)('a' + k % PAIRS / LETTERS), right[1] = (char)('a' + k % LETTERS);
    }
    left[0] = (char)('a' + pair / LETTERS), left[1] = (char)('a' + pair % LETTERS);
}

/* The printable character that stands for a byte in GPT-2's vocabulary: itself, or the next of those from U+0100. */
static void byte_text(uint32_t byte, char text[TEXT]) {
    uint32_t c = byte;
    if (byte < 33) c = 256 + byte;
    else if (byte >= 127 && byte < 161) c = 256 + 33 + byte - 127;
    else if (byte == 173) c = 256 + 33 + 34;
    if (c < 128) snprintf(text, TEXT, "%c", (int)c);
    else snprintf(text, TEXT, "%c%c", (int)(0xC0 | c >> 6), (int)(0x80 | (c & 63)));
}

struct words {
    char (*text)[TEXT];      /* [n] of each token */
    const char **token;      /* [n] into text */
    int32_t *type;           /* [n] */
    float *score;            /* [n] SentencePiece only */
    char (*merge)[2 * WORD]; /* [n_merges] "left right" */
    const char **merges;
    uint32_t n, n_merges;
};

static void free_words(struct words *v) {
    mem_free(v->text);
    mem_free(v->token);
    mem_free(v->type);
    mem_free(v->score);
    mem_free(v->merge);
    mem_free(v->merges);
}

static bool new_words(struct words *v, uint32_t n) {
    *v = (struct words){.n = n};
    v->text = mem_new(n, sizeof *v->text), v->token = mem_new(n, sizeof *v->token);
    v->type = mem_new(n, sizeof *v->type), v->score = mem_new(n, sizeof *v->score);
    v->merge = mem_new(n, sizeof *v->merge), v->merges = mem_new(n, sizeof *v->merges);
    return v->text && v->token && v->type && v->score && v->merge && v->merges;
}

/* Token `plain` among those that are not special: bytes, for SentencePiece the space and the letters, then words. */
static void plain_token(const struct shape *s, struct words *v, uint32_t id, uint32_t plain) {
    char left[WORD], right[WORD];
    bool spm = s->vocab == VOCAB_SPM;
    v->type[id] = TOKEN_NORMAL;
    if (plain < 256) {
        if (!spm) return byte_text(plain, v->text[id]);
        snprintf(v->text[id], TEXT, "<0x%02X>", plain);
        v->type[id] = TOKEN_BYTE;
        return;
    }
    plain -= 256;
    if (spm) {
        v->score[id] = -(float)plain;
        if (plain <= LETTERS) {
            if (plain) snprintf(v->text[id], TEXT, "%c", (int)('a' + plain - 1));
            else snprintf(v->text[id], TEXT, "\xe2\x96\x81"); /* U+2581, the space */
            return;
        }
        plain -= LETTERS + 1;
    }
    split_word(plain, left, right);
    snprintf(v->text[id], TEXT, "%s%s", left, right);
    snprintf(v->merge[v->n_merges++], sizeof *v->merge, "%s %s", left, right);
}

static void fill_words(const struct shape *s, struct words *v) {
    for (uint32_t id = 0, plain = 0; id < v->n; id++) {
        v->token[id] = v->text[id];
        if (id < s->special || id >= s->special + s->n_special) {
            plain_token(s, v, id, plain++);
            continue;
        }
        bool unknown = s->vocab == VOCAB_SPM && id == s->special;
        v->type[id] = unknown ? TOKEN_UNKNOWN : TOKEN_CONTROL;
        if (unknown) snprintf(v->text[id], TEXT, "<unk>");
        else if (id == s->bos) snprintf(v->text[id], TEXT, "<|begin|>");
        else if (id == s->eos) snprintf(v->text[id], TEXT, "<|end|>");
        else snprintf(v->text[id], TEXT, "<|special_%u|>", id);
    }
    for (uint32_t i = 0; i < v->n_merges; i++) v->merges[i] = v->merge[i];
}

static bool add_vocab(const struct shape *s, struct gguf_writer *w) {
    struct words v;
    bool good = new_words(&v, s->n_vocab), spm = s->vocab == VOCAB_SPM;
    if (good) {
        fill_words(s, &v);
        gguf_add_string(w, "tokenizer.ggml.model", spm ? "llama" : "gpt2");
        if (s->pre) gguf_add_string(w, "tokenizer.ggml.pre", s->pre);
        gguf_add_strings(w, "tokenizer.ggml.tokens", v.token, v.n);
        gguf_add_i32s(w, "tokenizer.ggml.token_type", v.type, v.n);
        if (spm) gguf_add_f32s(w, "tokenizer.ggml.scores", v.score, v.n);
        else gguf_add_strings(w, "tokenizer.ggml.merges", v.merges, v.n_merges);
        gguf_add_u32(w, "tokenizer.ggml.bos_token_id", s->bos);
        gguf_add_u32(w, "tokenizer.ggml.eos_token_id", s->eos);
        gguf_add_bool(w, "tokenizer.ggml.add_bos_token", spm || s->rope_factor > 0);
    }
    free_words(&v);
    return good;
}

bool shape_add_keys(const struct shape *s, struct gguf_writer *w) {
    const struct {
        const char *name;
        uint32_t value;
    } sizes[] = {
        {"block_count", s->n_layer},           {"context_length", s->n_ctx},
        {"embedding_length", s->n_embd},       {"feed_forward_length", s->n_ff},
        {"attention.head_count", s->n_head},   {"attention.head_count_kv", s->n_head_kv},
        {"attention.key_length", s->head_dim}, {"attention.value_length", s->head_dim},
        {"rope.dimension_count", s->head_dim}, {"vocab_size", s->n_vocab},
    };
    char key[80], name[80];
    snprintf(name, sizeof name, "%s shape, random weights", s->name);
    gguf_add_string(w, "general.architecture", s->arch);
    gguf_add_string(w, "general.name", name);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        snprintf(key, sizeof key, "%s.%s", s->arch, sizes[i].name);
        gguf_add_u32(w, key, sizes[i].value);
    }
    snprintf(key, sizeof key, "%s.rope.freq_base", s->arch);
    gguf_add_f32(w, key, s->rope_base);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", s->arch);
    gguf_add_f32(w, key, s->rms_eps);
    return add_vocab(s, w);
}
