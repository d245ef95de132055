/* special.c: which tokens nobody can type, which of them end an answer, and which swallow the blanks behind them.
 * Not where they are cut out of a text: tok.c and chat.c.
 * Next: tok.c. */
#include <ctype.h>
#include <string.h>

#include "tokenizer/tok_internal.h"

#define KEY "tokenizer.ggml."

/* Names that are control tokens in whatever vocabulary has them, and end an answer: many files give them another type, or
 * name only one of several end tokens.  The list is llama.cpp's. */
static const char *const ends[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|fim_pad|>",
    "<|tool_response>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
    "<\357\275\234end\342\226\201of\342\226\201sentence\357\275\234>", /* DeepSeek's, with wide bars */
};

/* Control tokens, too: the marks of a gap in a text. */
static const char *const marks[] = {
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<PRE>",
    "\xe2\x96\x81<PRE>",
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<SUF>",
    "\xe2\x96\x81<SUF>",
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<MID>",
    "\xe2\x96\x81<MID>",
    "<\357\275\234fim\342\226\201begin\357\275\234>",
    "<\357\275\234fim\342\226\201hole\357\275\234>",
    "<\357\275\234fim\342\226\201end\357\275\234>",
};

static bool same(struct gguf_string s, const char *name) {
    return s.size == strlen(name) && memcmp(s.data, name, s.size) == 0;
}

static bool any_of(struct gguf_string s, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (same(s, names[i])) return true;
    return false;
}

static bool is_end_name(struct gguf_string s) { return any_of(s, ends, sizeof ends / sizeof *ends); }
static bool is_mark(struct gguf_string s) { return any_of(s, marks, sizeof marks / sizeof *marks); }

static enum status read_id(const struct gguf *g, const struct tok *t, const char *key, int32_t *id, struct error *e) {
    uint64_t v;
    *id = -1;
    if (!gguf_has(g, key)) return OK;
    enum status s = gguf_get_u64(g, key, 0, t->n_vocab - 1, &v, e);
    if (!s) *id = (int32_t)v;
    return s;
}

/* All names begin with one of four bytes, which most pieces do not. */
static void types_by_name(const struct gguf *g, struct tok *t) {
    int32_t html_end = -1; /* Gemma 4's "</s>" is a word of HTML */
    bool gemma4 = false;
    for (uint32_t i = 0; i < t->n_vocab; i++) {
        struct gguf_string s = gguf_array_string(g, KEY "tokens", i);
        if (s.size < 4 || !strchr("<[_\xe2", s.data[0])) continue;
        if (!is_end_name(s) && !is_mark(s)) continue;
        t->types[i] = PIECE_CONTROL;
        if (same(s, "</s>")) html_end = (int32_t)i;
        gemma4 = gemma4 || same(s, "<|tool_response>");
    }
    if (gemma4 && html_end >= 0) t->types[html_end] = PIECE_NORMAL;
}

/* Phi-3's tokenizer drops blanks behind its special tokens; its files do not say so, and llama.cpp goes by the name. */
static bool is_phi3(const struct gguf *g) {
    char name[64];
    struct gguf_string s;
    struct error none;
    if (!gguf_has(g, "general.name") || gguf_get_string(g, "general.name", &s, &none)) return false;
    size_t n = s.size < sizeof name ? s.size : sizeof name - 1;
    for (size_t i = 0; i < n; i++) name[i] = (char)tolower((unsigned char)s.data[i]);
    name[n] = 0;
    return strstr(name, "phi-3") || strstr(name, "phi3");
}

enum status special_read(const struct gguf *g, struct tok *t, struct error *e) {
    enum status s = read_id(g, t, KEY "bos_token_id", &t->bos, e);
    if (!s) s = read_id(g, t, KEY "eos_token_id", &t->eos, e);
    if (!s) s = read_id(g, t, KEY "eot_token_id", &t->eot, e);
    if (!s) s = read_id(g, t, KEY "eom_token_id", &t->eom, e);
    if (!s) s = read_id(g, t, KEY "unknown_token_id", &t->unk, e);
    if (s) return s;
    types_by_name(g, t);
    t->strips = is_phi3(g);
    for (uint32_t i = 0; i < t->n_vocab && t->unk < 0; i++)
        if (t->types[i] == PIECE_UNKNOWN) t->unk = (int32_t)i;
    /* Nobody can type these, whatever type the file gives them.  A single byte is spared: some files end with "\n". */
    const int32_t ids[] = {t->bos, t->eos, t->eot, t->eom};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        if (ids[i] >= 0 && gguf_array_string(g, KEY "tokens", (size_t)ids[i]).size > 1)
            t->types[ids[i]] = PIECE_CONTROL;
    return OK;
}

size_t special_swallows(const struct tok *t, int32_t id, const char *text, size_t left) {
    static const char *const polite[] = {"<unk>", "<s>", "<|endoftext|>"};
    size_t n = 0;
    if (!t->strips || any_of(tok_piece(t, id, true), polite, sizeof polite / sizeof *polite)) return 0;
    while (n < left && (text[n] == ' ' || (text[n] >= '\t' && text[n] <= '\r'))) n++;
    return n;
}

bool tok_is_end(const struct tok *t, int32_t id) {
    if (id < 0 || (uint32_t)id >= t->n_vocab) return false;
    if (id == t->eos || id == t->eot || id == t->eom) return true;
    return t->types[id] == PIECE_CONTROL && is_end_name(tok_piece(t, id, true));
}
