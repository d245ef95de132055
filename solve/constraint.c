/* constraint.c: see constraint.h.
 * Not the masks: model/grammar_mask.c.
 * Next: solve/sampling.h. */
#include "solve/constraint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/input.h"
#include "base/mem.h"
#include "model/json_schema.h"

/* ---- the state of a text ---- */

static const char end_tag[] = "</think>";

struct place {
    struct grammar *grammar;
    const struct tok *tok;
    bool thinking;
    size_t n_tag; /* bytes of end_tag that the thinking ends with */
    grammar_state at;
};

void *grammar_begin(struct grammar *g, const struct tok *tok, bool thinking) {
    struct place *p = mem_new(1, sizeof *p);
    if (p) *p = (struct place){g, tok, thinking, 0, GRAMMAR_START};
    return p;
}

void grammar_end_thinking(void *state) {
    struct place *p = state;
    if (p) p->thinking = false;
}

/* A text under a grammar cannot end before it has begun. */
static void forbid_ends(const struct place *p, float *logits, uint32_t n_vocab) {
    for (uint32_t id = 0; id < n_vocab && id < tok_n_vocab(p->tok); id++)
        if (tok_is_end(p->tok, (int32_t)id)) logits[id] = -INFINITY;
}

static enum status mask(void *state, float *logits, uint32_t n_vocab, struct error *e) {
    struct place *p = state;
    uint32_t n;
    if (!p->thinking) return grammar_mask(p->grammar, p->at, logits, n_vocab, &n, e);
    forbid_ends(p, logits, n_vocab);
    return OK;
}

/* The tag may be one control token, or any number of others; what follows it in the last one is dropped: it can be
 * white space only where a tokenizer merges across the tag. */
static void think(struct place *p, int32_t id) {
    struct gguf_string piece = tok_piece(p->tok, id, true);
    for (size_t i = 0; i < piece.size && p->thinking; i++) {
        char c = piece.data[i];
        p->n_tag = c == end_tag[p->n_tag] ? p->n_tag + 1 : c == end_tag[0]; /* no other byte of the tag is a '<' */
        p->thinking = p->n_tag < sizeof end_tag - 1;
    }
}

static enum status advance(void *state, int32_t id, struct error *e) {
    struct place *p = state;
    if (p->thinking) return think(p, id), OK;
    struct gguf_string piece = tok_piece(p->tok, id, false);
    return tok_is_end(p->tok, id) ? OK : grammar_accept(p->grammar, &p->at, piece.data, piece.size, e);
}

static void *clone(const void *state) {
    struct place *p = mem_new(1, sizeof *p);
    if (p) *p = *(const struct place *)state;
    return p;
}

const struct text_constraint grammar_constraint = {mask, advance, clone, mem_free};

/* ---- grammars of users ---- */

static struct gguf_string piece_of(const void *tok, int32_t id) { return tok_piece(tok, id, false); }
static bool is_end(const void *tok, int32_t id) { return tok_is_end(tok, id); }

enum status grammar_words_of(const struct tok *tok, struct grammar_words **out, struct error *e) {
    struct grammar_vocab v = {tok_n_vocab(tok), piece_of, is_end, tok};
    return grammar_words_new(&v, out, e);
}

enum status grammar_of_schema(const json_t *schema, const char *name, const struct grammar_words *words,
                              struct grammar **out, struct error *e) {
    char *gbnf = NULL;
    *out = NULL;
    enum status s = json_schema_grammar(schema, name, &gbnf, e);
    if (!s) s = grammar_open(gbnf, strlen(gbnf), name, words, out, e);
    mem_free(gbnf);
    return s;
}

static enum status open_text(const char *text, size_t size, bool schema, const char *name,
                             const struct grammar_words *words, struct grammar **out, struct error *e) {
    char *gbnf = NULL;
    enum status s = schema ? json_schema_read(text, size, name, &gbnf, e) : OK;
    if (!s)
        s = gbnf ? grammar_open(gbnf, strlen(gbnf), name, words, out, e)
                 : grammar_open(text, size, name, words, out, e);
    mem_free(gbnf);
    return s;
}

bool grammar_is_given(const struct grammar_source *from) {
    return from->open || from->text || from->file || from->schema_text || from->schema_file;
}

enum status grammar_source_check(const struct grammar_source *from, struct error *e) {
    struct grammar *g = NULL;
    int n = !!from->text + !!from->file + !!from->schema_text + !!from->schema_file;
    if (n > 1)
        return error_set(e, ERR_INPUT,
                         "--grammar, --grammar-file, --json-schema, --json-schema-file: give one of them");
    struct grammar_source texts = {.text = from->text, .schema_text = from->schema_text};
    enum status s = grammar_source_open(&texts, NULL, &g, e);
    grammar_close(&g);
    return s;
}

enum status grammar_source_open(const struct grammar_source *from, const struct grammar_words *words,
                                struct grammar **out, struct error *e) {
    const char *file = from->file ? from->file : from->schema_file;
    bool schema = from->schema_text || from->schema_file;
    const char *flag = file     ? (schema ? "--json-schema-file" : "--grammar-file")
                       : schema ? "--json-schema"
                                : "--grammar";
    char name[256], *held = NULL;
    const char *text = schema ? from->schema_text : from->text;
    size_t size = text ? strlen(text) : 0;
    *out = NULL;
    if (!file && !text) return OK;
    snprintf(name, sizeof name, "%s%s%.200s", flag, file ? " " : "", file ? file : "");
    enum status s = file ? input_read(file, &held, &size, e) : OK;
    if (!s) s = open_text(file ? held : text, size, schema, name, words, out, e);
    mem_free(held);
    return s;
}
