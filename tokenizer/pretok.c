/* pretok.c: the patterns of the known pre-tokenizers, run with PCRE2.
 * Not for SentencePiece, which has no words.
 * Next: bpe.c.
 *
 * The patterns are the ones the models' own tokenizer.json files state.  Where a file states several splits in a row,
 * each pattern cuts the words that the one before it left; what a pattern does not match stays a word of its own. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/pretok.h"

#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_PATTERNS = 6, MAX_PATTERN_TEXT = 2048 };

struct pretok_kind {
    const char *names; /* separated by spaces */
    bool ignores_merges, adds_bos;
    const char *patterns[MAX_PATTERNS]; /* up to the first NULL */
};

/* Endings of English contractions, and the parts that most patterns share. */
#define ENDINGS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define EDGE "[^\\r\\n\\p{L}\\p{N}]?"

#define GPT2 "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define WORDS(digits) ENDINGS "|" EDGE "\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" TAIL
#define CASED(endings, digits)                                                                                         \
    EDGE UPPER "*" LOWER "+" endings "|" EDGE UPPER "+" LOWER "*" endings "|" digits                                   \
               "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" TAIL
#define DEEPSEEK3                                                                                                      \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"                \
    "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" TAIL
/* Cased letters, those that DeepSeek LLM lists and no later ones. */
#define CASED_LETTERS                                                                                                  \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}"                    \
    "\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}"             \
    "\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}"                    \
    "\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"                  \
    "\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}"                  \
    "\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}"          \
    "\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}"         \
    "\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}"                   \
    "\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}"                    \
    "\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}"                    \
    "\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}"                   \
    "\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}"                  \
    "\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}"                \
    "\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}"                             \
    "\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"
#define BLOOM " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"

static const struct pretok_kind kinds[] = {
    {"gpt-2 phi-2 olmo mpt jais exaone4 mellum gigachat a.x-4.0 trillion granite-docling", false, false, {GPT2}},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2", true, true, {WORDS("\\p{N}{1,3}")}},
    {"dbrx smaug-bpe glm4 chatglm-bpe", false, false, {WORDS("\\p{N}{1,3}")}},
    {"qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez kormo solar-open grok-2", false, false, {WORDS("\\p{N}")}},
    {"qwen35", false, false, {ENDINGS "|" EDGE "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" TAIL}},
    {"smollm refact starcoder command-r codeshell exaone minerva-7b mellum2", false, false, {"\\p{N}", GPT2}},
    {"minicpm5", true, false, {"\\p{N}{1,3}", WORDS("\\p{N}+")}},
    {"tekken", true, true, {CASED("", "\\p{N}")}},
    {"gpt-4o llama4 kanana2 minimax-m2", false, false, {CASED(ENDINGS "?", "\\p{N}{1,3}")}},
    {"deepseek-v3 hunyuan-dense",
     false,
     false,
     {"\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{30ff}]+", DEEPSEEK3}},
    {"deepseek-coder",
     false,
     false,
     {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[\\x{800}-\\x{9fa5}\\x{ac00}-\\x{d7ff}]+", "\\p{N}"}},
    {"deepseek-llm",
     false,
     false,
     {"[\\r\\n]", "\\s?[" CASED_LETTERS "]+",
      "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+", "\\s+$",
      "[\\x{800}-\\x{9fa5}\\x{ac00}-\\x{d7ff}]+", "\\p{N}+"}},
    {"falcon", false, false, {"[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {"bloom poro-chat gpt3-finnish", false, false, {BLOOM}},
    {"viking", false, false, {BLOOM, "\\p{N}"}},
};

enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

struct pretok {
    const struct pretok_kind *kind;
    pcre2_general_context *memory;
    pcre2_code *codes[MAX_PATTERNS];
};

static void *regex_new(size_t size, void *user) {
    (void)user;
    return mem_new(size, 1);
}

static void regex_free(void *p, void *user) {
    (void)user;
    mem_free(p);
}

static const struct pretok_kind *kind_find(const char *name, size_t size) {
    for (size_t k = 0; k < N_KINDS; k++)
        for (const char *at = kinds[k].names; *at;) {
            size_t n = strcspn(at, " ");
            if (n == size && memcmp(at, name, n) == 0) return &kinds[k];
            at += n + (at[n] == ' ');
        }
    return NULL;
}

/* One name of each kind: all names would not fit an error's line. */
static enum status unknown_name(const char *name, size_t size, struct error *e) {
    char known[256] = "";
    size_t n = 0;
    for (size_t k = 0; k < N_KINDS && n < sizeof known; k++)
        n += (size_t)snprintf(known + n, sizeof known - n, " %.*s", (int)strcspn(kinds[k].names, " "), kinds[k].names);
    return error_set(e, ERR_INPUT, "unknown pre-tokenizer \"%.*s\"; known are%s and models that cut like these",
                     size < 40 ? (int)size : 40, name, known);
}

/* \s and \S of the original engines are Unicode's White_Space, PCRE2's also hold U+180E: write them out. */
static void expand_space(const char *pattern, char out[MAX_PATTERN_TEXT]) {
    size_t n = 0;
    for (const char *c = pattern; *c && n + 20 < MAX_PATTERN_TEXT; c++) {
        if (c[0] == '\\' && (c[1] == 's' || c[1] == 'S')) {
            n += (size_t)sprintf(out + n, "\\%c{White_Space}", c[1] == 's' ? 'p' : 'P');
            c++;
        } else {
            out[n++] = *c;
            if (*c == '\\') out[n++] = *++c;
        }
    }
    out[n] = 0;
}

static enum status compile(const char *pattern, pcre2_compile_context *context, pcre2_code **out, struct error *e) {
    char text[MAX_PATTERN_TEXT];
    expand_space(pattern, text);
    int code;
    PCRE2_SIZE at;
    *out = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &at, context);
    if (!*out && code == 121) return error_set(e, ERR_MEMORY, "no memory for a pre-tokenizer pattern");
    if (!*out)
        return error_set(
            e, ERR_INPUT,
            "this PCRE2 cannot compile a pre-tokenizer pattern (error %d at %zu); version 10.40 or newer is needed",
            code, (size_t)at);
    pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE); /* only speed: without it the interpreter runs */
    return OK;
}

enum status pretok_open(const char *name, size_t size, struct pretok **out, struct error *e) {
    *out = NULL;
    const struct pretok_kind *kind = kind_find(name, size);
    if (!kind) return unknown_name(name, size, e);
    struct pretok *p = mem_new(1, sizeof *p);
    if (!p) return error_set(e, ERR_MEMORY, "no memory for a pre-tokenizer");
    p->kind = kind;
    p->memory = pcre2_general_context_create(regex_new, regex_free, NULL);
    pcre2_compile_context *context = p->memory ? pcre2_compile_context_create(p->memory) : NULL;
    enum status s = context ? OK : error_set(e, ERR_MEMORY, "no memory for a pre-tokenizer");
    for (int i = 0; i < MAX_PATTERNS && kind->patterns[i] && !s; i++)
        s = compile(kind->patterns[i], context, &p->codes[i], e);
    pcre2_compile_context_free(context);
    *out = p;
    if (s) pretok_close(out);
    return s;
}

void pretok_close(struct pretok **p) {
    if (!*p) return;
    for (int i = 0; i < MAX_PATTERNS; i++) pcre2_code_free((*p)->codes[i]);
    pcre2_general_context_free((*p)->memory);
    mem_free(*p);
    *p = NULL;
}

bool pretok_ignores_merges(const struct pretok *p) { return p->kind->ignores_merges; }
bool pretok_adds_bos(const struct pretok *p) { return p->kind->adds_bos; }

size_t utf8_char(const char *text, size_t size) {
    const unsigned char *c = (const unsigned char *)text;
    if (size == 0 || (c[0] >= 0x80 && c[0] < 0xc2) || c[0] > 0xf4) return 0;
    size_t n = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    if (n > size) return 0;
    for (size_t i = 1; i < n; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f)) return 0; /* overlong, surrogate */
    if ((c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f)) return 0; /* overlong, above U+10FFFF */
    return n;
}

/* Runs of well-formed characters and runs of other bytes, in turn: patterns may only see the former. */
static size_t split_valid(const char *text, size_t size, uint32_t *ends) {
    size_t n = 0;
    bool was_valid = false;
    for (size_t i = 0; i < size;) {
        size_t step = utf8_char(text + i, size - i);
        if (i > 0 && (step > 0) != was_valid) ends[n++] = (uint32_t)i;
        was_valid = step > 0;
        i += step ? step : 1;
    }
    ends[n++] = (uint32_t)size;
    return n;
}

/* Cuts one word: each match is a word, and so is each gap between matches.  The end of the word is the end of the
 * subject, so that look-ahead sees what the published tokenizers see. */
static enum status split_word(const pcre2_code *code, pcre2_match_data *match, pcre2_match_context *limits,
                              const char *text, size_t start, size_t end, uint32_t *ends, size_t *n, struct error *e) {
    size_t at = start, done = start;
    while (at < end) {
        PCRE2_SPTR word = (PCRE2_SPTR)text + start;
        int r = pcre2_match(code, word, end - start, at - start, PCRE2_NO_UTF_CHECK, match, limits);
        if (r == PCRE2_ERROR_JIT_STACKLIMIT)
            r = pcre2_match(code, word, end - start, at - start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, limits);
        if (r == PCRE2_ERROR_NOMATCH) break;
        if (r == PCRE2_ERROR_NOMEMORY) return error_set(e, ERR_MEMORY, "tokenizer: no memory to cut a text into words");
        if (r < 0)
            return error_set(e, ERR_INPUT, "tokenizer: cannot cut a text of %zu bytes into words (PCRE2 error %d)",
                             end - start, r);
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(match);
        size_t from = start + span[0], to = start + span[1];
        if (from > done) ends[(*n)++] = (uint32_t)from;
        if (to > from) ends[(*n)++] = (uint32_t)to;
        done = to > from ? to : from;
        at = to > from ? to : from + utf8_char(text + from, end - from);
    }
    if (done < end) ends[(*n)++] = (uint32_t)end;
    return OK;
}

enum status pretok_split(const struct pretok *p, const char *text, size_t size, uint32_t *ends, size_t *n,
                         struct error *e) {
    *n = size ? split_valid(text, size, ends) : 0;
    if (size == 0) return OK;
    uint32_t *before = mem_new(size, sizeof *before);
    pcre2_match_data *match = pcre2_match_data_create(1, p->memory);
    pcre2_match_context *limits = pcre2_match_context_create(p->memory);
    enum status s = OK;
    if (!before || !match || !limits)
        s = error_set(e, ERR_MEMORY, "tokenizer: no memory for a text of %zu bytes", size);
    /* The patterns backtrack at most once over a word, which is linear: long texts need more than the default limit. */
    if (limits) pcre2_set_match_limit(limits, UINT32_MAX);
    for (int k = 0; k < MAX_PATTERNS && p->codes[k] && !s; k++) {
        size_t n_before = *n, start = 0;
        memcpy(before, ends, n_before * sizeof *before);
        *n = 0;
        for (size_t i = 0; i < n_before && !s; start = before[i++]) {
            if (utf8_char(text + start, before[i] - start) == 0) ends[(*n)++] = before[i];
            else s = split_word(p->codes[k], match, limits, text, start, before[i], ends, n, e);
        }
    }
    pcre2_match_context_free(limits);
    pcre2_match_data_free(match);
    mem_free(before);
    return s;
}
