/* prm_model.h: small random models with vocabularies and heads of each kind of reward model, and a policy that writes steps.
 * Not a test itself.
 * Next: test_prm_protocol.c, test_eval_verifier.c. */
#ifndef PONDER_TESTS_PRM_MODEL_H
#define PONDER_TESTS_PRM_MODEL_H

#include "tests/arch_model.h"

enum { P_WORD_T = 10, P_VOCAB = 340, P_TEXT = 8192, P_IDS = 2048 };

enum p_vocab { P_BPE, P_SPM };
enum p_head {
    P_TIED,    /* LM head, the embedding */
    P_WRITER,  /* LM head that prefers whole words: a policy */
    P_VALUE,   /* v_head */
    P_CLASSES, /* cls, two layers */
    P_HIDDEN,  /* the hidden state itself as the first A_EMBD outputs */
};
struct p_file {
    const char *arch, *pre, *name, *kind, *chat; /* NULL: no such key */
    enum p_vocab vocab;
    enum p_head head;
    uint32_t shift; /* ids before the first word */
    bool nan_t;     /* the embedding of the word "t" is NaN */
    uint64_t key;
};

/* ---- vocabularies ---- */

static const char *const p_words[] = {"Step", " one", " is", "\n\n", ".\n\nSo", "\n", " +",
                                      "3",    "-",    " t",  "t",    "  ",      "?"};
static const char *const p_controls[] = {"<|im_end|>",          "<|im_start|>",      "<extra_0>",
                                         "<|endoftext|>",       "<|begin_of_text|>", "<|eot_id|>",
                                         "<|start_header_id|>", "<|end_header_id|>"};
static const char *const p_spm[] = {"\xe2\x96\x81",
                                    "\xe2\x96\x81t",
                                    "\xe2\x96\x81+",
                                    "\xe2\x96\x81-",
                                    "+",
                                    "-",
                                    "\xd0\xba",
                                    "\xd0\xb8",
                                    "\xe2\x96\x81\xd0\xba",
                                    "\xd0\xba\xd0\xb8",
                                    "\xe2\x96\x81\xd0\xba\xd0\xb8",
                                    "S",
                                    "t",
                                    "e",
                                    "p",
                                    "St",
                                    "ep",
                                    "Step",
                                    "\xe2\x96\x81Step",
                                    "i",
                                    "s",
                                    "is",
                                    "\xe2\x96\x81is",
                                    "3",
                                    "?",
                                    "o",
                                    "n",
                                    "on",
                                    "one",
                                    "\xe2\x96\x81one",
                                    "."};

/* GPT-2's way to write bytes as letters. */
static inline void p_letters(const char *text, char *out) {
    for (; *text; text++) {
        unsigned b = (unsigned char)*text, other = 0;
        bool direct = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        for (unsigned c = 0; !direct && c < b; c++)
            other += !((c >= 33 && c <= 126) || (c >= 161 && c <= 172) || c >= 174);
        unsigned code = direct ? b : 256 + other;
        if (code < 128) *out++ = (char)code;
        else *out++ = (char)(0xC0 | code >> 6), *out++ = (char)(0x80 | (code & 63));
    }
    *out = 0;
}

struct p_names {
    char text[P_VOCAB][48];
    const char *list[P_VOCAB];
    int32_t types[P_VOCAB];
    float scores[P_VOCAB];
    uint32_t n;
};

static inline char *p_name(struct p_names *v, int32_t type) {
    assert_true(v->n < P_VOCAB);
    v->types[v->n] = type, v->scores[v->n] = -(float)v->n, v->list[v->n] = v->text[v->n];
    return v->text[v->n++];
}

static inline void p_fill(struct p_names *v, int32_t type) {
    while (v->n < P_VOCAB) {
        uint32_t n = v->n;
        snprintf(p_name(v, type), 48, "<fill%u>", n);
    }
}

static inline void p_bpe(struct gguf_writer *w, const struct p_file *f) {
    static const char *const merges[] = {"\xc4\x8a \xc4\x8a", "\xc4\xa0 t", "\xc4\xa0 +", "\xc4\xa0 \xc4\xa0"};
    struct p_names *v = calloc(1, sizeof *v);
    for (uint32_t i = 0; i < f->shift; i++) snprintf(p_name(v, 5), 48, "<first%u>", i);
    for (size_t i = 0; i < COUNT(p_words); i++) p_letters(p_words[i], p_name(v, 1));
    for (size_t i = 0; i < COUNT(p_controls); i++) strcpy(p_name(v, 3), p_controls[i]);
    for (int b = 0; b < 256; b++) p_letters(b ? (char[]){(char)b, 0} : "\x01", p_name(v, 1));
    p_fill(v, 5);
    gguf_add_string(w, "tokenizer.ggml.model", "gpt2");
    gguf_add_string(w, "tokenizer.ggml.pre", f->pre);
    gguf_add_strings(w, "tokenizer.ggml.tokens", v->list, P_VOCAB);
    gguf_add_i32s(w, "tokenizer.ggml.token_type", v->types, P_VOCAB);
    gguf_add_strings(w, "tokenizer.ggml.merges", merges, COUNT(merges));
    uint32_t control = f->shift + COUNT(p_words), llama = !strcmp(f->pre, "llama-bpe");
    gguf_add_u32(w, "tokenizer.ggml.bos_token_id", control + (llama ? 4 : 3));
    gguf_add_u32(w, "tokenizer.ggml.eos_token_id", control + (llama ? 5 : 0));
    free(v);
}

static inline void p_sentencepiece(struct gguf_writer *w) {
    struct p_names *v = calloc(1, sizeof *v);
    strcpy(p_name(v, 2), "<unk>"), strcpy(p_name(v, 3), "<s>"), strcpy(p_name(v, 3), "</s>");
    for (int b = 0; b < 256; b++) snprintf(p_name(v, 6), 48, "<0x%02X>", (unsigned)b);
    for (size_t i = 0; i < COUNT(p_spm); i++) strcpy(p_name(v, 1), p_spm[i]);
    p_fill(v, 5);
    gguf_add_string(w, "tokenizer.ggml.model", "llama");
    gguf_add_strings(w, "tokenizer.ggml.tokens", v->list, P_VOCAB);
    gguf_add_i32s(w, "tokenizer.ggml.token_type", v->types, P_VOCAB);
    gguf_add_f32s(w, "tokenizer.ggml.scores", v->scores, P_VOCAB);
    gguf_add_u32(w, "tokenizer.ggml.bos_token_id", 1);
    gguf_add_u32(w, "tokenizer.ggml.eos_token_id", 2);
    free(v);
}

/* ---- models ---- */

static inline void p_add_head(struct maker *k, const struct p_file *f) {
    double s = 1 / sqrt((double)A_EMBD);
    float *x = k->pool + k->at;
    if (f->head == P_VALUE)
        make_tensor(k, -1, "v_head.summary.weight", 1, A_EMBD, 0, s),
            make_tensor(k, -1, "v_head.summary.bias", 1, 1, 0.3, 0);
    if (f->head == P_CLASSES) {
        make_tensor(k, -1, "cls.weight", A_EMBD, A_EMBD, 0, s), make_tensor(k, -1, "cls.bias", 1, A_EMBD, 0, 0.3);
        make_tensor(k, -1, "cls.output.weight", 2, A_EMBD, 0, s), make_tensor(k, -1, "cls.output.bias", 1, 2, 0, 0.5);
    }
    if (f->head == P_HIDDEN) {
        make_tensor(k, -1, "output.weight", P_VOCAB, A_EMBD, 0, 0);
        for (size_t i = 0; i < A_EMBD; i++) x[i * A_EMBD + i] = 1;
    }
    if (f->head != P_WRITER) return;
    make_tensor(k, -1, "output.weight", P_VOCAB, A_EMBD, 0, s);
    x = k->pool + k->at;
    make_tensor(k, -1, "output.bias", 1, P_VOCAB, -40, 0);
    for (size_t i = 0; i <= COUNT(p_words); i++) x[f->shift + i] = 0; /* the words, and the end token */
}

static inline void p_write(const struct p_file *f, const char *path) {
    struct facts facts = facts_of(f->arch);
    struct maker k = {.arch = f->arch, .pool = malloc(A_MAX_FLOATS * sizeof(float)), .key = f->key};
    struct error e;
    GOOD(gguf_writer_new(&k.w, &e));
    make_keys(&k, &facts);
    if (f->name) gguf_add_string(k.w, "general.name", f->name);
    if (f->kind) gguf_add_string(k.w, "prm.kind", f->kind);
    if (f->chat) gguf_add_string(k.w, "tokenizer.chat_template", f->chat);
    if (f->vocab == P_BPE) p_bpe(k.w, f);
    else p_sentencepiece(k.w);
    float *embd = k.pool + k.at;
    make_tensor(&k, -1, "token_embd.weight", P_VOCAB, A_EMBD, 0, 0.7);
    for (size_t i = 0; f->nan_t && i < A_EMBD; i++) embd[(f->shift + P_WORD_T) * A_EMBD + i] = NAN;
    for (int l = 0; l < A_LAYERS; l++) make_layer(&k, &facts, l);
    make_tensor(&k, -1, "output_norm.weight", 1, A_EMBD, 1, 0.2);
    p_add_head(&k, f);
    GOOD(gguf_write(k.w, path, &e));
    gguf_writer_free(&k.w);
    free(k.pool);
}

static inline struct model *p_model(const struct p_file *f) {
    const char *path = tiny_path("prm-model.gguf");
    p_write(f, path);
    struct model *m = tiny_open(path);
    unlink(path);
    return m;
}

/* A policy that writes words; its chat template is f's. */
static inline struct p_file p_policy(void) {
    return (struct p_file){.arch = "qwen2", .pre = "qwen2", .vocab = P_BPE, .head = P_WRITER, .key = 5};
}

static inline struct tok *p_tok(const struct model *m) {
    struct tok *t;
    struct error e;
    GOOD(tok_open(m->file, &t, &e));
    return t;
}

/* ---- reading at once ---- */

static inline size_t p_encode(const struct tok *t, const char *text, bool special, bool bos, int32_t *ids) {
    size_t n;
    struct error e;
    GOOD(tok_encode(t, text, strlen(text), special, bos, ids, P_IDS, &n, &e));
    assert_true(n <= P_IDS);
    return n;
}

/* Outputs of the last n_out tokens of a text, by an engine of its own. */
static inline void p_read(struct model *m, const int32_t *ids, size_t n, size_t n_out, float *out) {
    struct engine_params p = {.n_pages = P_IDS / KV_PAGE, .n_seqs = 1, .max_tokens = P_IDS, .max_rows = 512};
    struct team *team;
    struct engine *en;
    struct client *c;
    struct error e;
    GOOD(team_new(1, &team, &e));
    GOOD(engine_new(m, team, &p, &en, &e));
    GOOD(engine_client_new(en, NULL, &c, &e));
    struct span s = {engine_seq_new(c), (uint32_t)n, (uint32_t)n_out, ids, out};
    GOOD(engine_run(c, &s, 1, NULL, &e));
    engine_client_free(&c), engine_free(&en), team_free(&team);
}

#endif
