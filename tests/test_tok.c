/* test_tok.c: tokenizers against hand-made vectors, naive oracles and, when they are at hand, published vectors.
 * Not broken files: test_tok_hostile.c.  Not the patterns: test_pretok.c.
 * Next: tokenizer/tok.c. */
#include "tests/reference.h"
#include "tests/tok_vocab.h"

/* ---- our own vocabulary ---- */

static void one_token(const struct tok *t, const char *text) {
    int32_t id;
    size_t n = encode(t, text, strlen(text), false, &id, 1);
    if (n != 1) fail_msg("\"%s\" is %zu tokens, expected 1", text, n);
    assert_int_equal(id, tok_find(t, text));
    round_trip(t, text, strlen(text));
}

static void own_numbers_and_operators(void **state) {
    (void)state;
    struct tok *t = spec_open(NULL);
    char text[16];
    for (int i = 0; i < 256; i++) {
        snprintf(text, sizeof text, " %d", i);
        one_token(t, text);
        one_token(t, text + 1);
    }
    for (int i = 256; i < 10100; i++) {
        snprintf(text, sizeof text, " %d", i);
        round_trip(t, text, strlen(text));
    }
    const char *ops[] = {" ->", " +", " -", " *", " /", " =", " ;", "\n", "/"};
    for (size_t i = 0; i < COUNT(ops); i++) one_token(t, ops[i]);
    for (int b = 0; b < 256; b++) EXPECT(t, ((char[2]){(char)(b ? b : 1), 0}), false, VOCAB_BYTES + (b ? b : 1));
    tok_close(&t);
    assert_null(t);
}

static void own_text_form(void **state) {
    (void)state;
    struct tok *t = spec_open(NULL);
    assert_int_equal(tok_n_vocab(t), VOCAB_SIZE);
    assert_int_equal(tok_bos(t), VOCAB_BEGIN);
    assert_int_equal(tok_eos(t), VOCAB_END);
    assert_true(tok_adds_bos(t));
    assert_true(tok_is_end(t, VOCAB_END));
    assert_false(tok_is_end(t, VOCAB_BEGIN) || tok_is_end(t, -1) || tok_is_end(t, VOCAB_SIZE) || tok_is_end(t, 5));
    const struct {
        const char *text;
        size_t n;
        const char *pieces[12];
    } cases[] = {
        {" 4 7 8 8 -> 24\n", 7, {" 4", " 7", " 8", " 8", " ->", " 24", "\n"}},
        {" 8 / 8 = 1 ; 1 4 7\n", 10, {" 8", " /", " 8", " =", " 1", " ;", " 1", " 4", " 7", "\n"}},
        {" 8/3 137/255", 6, {" 8", "/", "3", " 137", "/", "255"}},
        {" 4 * 6 = 24 ; 24", 7, {" 4", " *", " 6", " =", " 24", " ;", " 24"}},
        {" 5 - 7 = -2", 6, {" 5", " -", " 7", " =", " -", "2"}},
        {" 13*13 169", 4, {" 13", "*", "13", " 169"}},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        int32_t ids[16], want[16];
        size_t n = encode(t, cases[c].text, strlen(cases[c].text), false, ids, 16);
        for (size_t i = 0; i < cases[c].n; i++) want[i] = tok_find(t, cases[c].pieces[i]);
        same_ids(cases[c].text, ids, n, want, cases[c].n);
    }
    tok_close(&t);
}

static void own_specials_are_plain_text(void **state) {
    (void)state;
    struct tok *t = spec_open(NULL);
    struct error e;
    int32_t ids[64];
    size_t n;
    const char *text = "<|begin|> 4<|end|>";
    EXPECT(t, text, true, VOCAB_BEGIN, tok_find(t, " 4"), VOCAB_END);
    n = encode(t, text, strlen(text), false, ids, 64);
    assert_true(n > 10 && n <= 64);
    for (size_t i = 0; i < n; i++) assert_true(ids[i] >= VOCAB_BYTES);
    round_trip(t, text, strlen(text));
    assert_int_equal(tok_encode(t, "", 0, false, true, ids, 64, &n, &e), OK);
    same_ids("BOS alone", ids, n, (int32_t[]){VOCAB_BEGIN}, 1);
    assert_int_equal(tok_piece(t, VOCAB_END, false).size, 0);
    assert_int_equal(tok_piece(t, VOCAB_END, true).size, strlen("<|end|>"));
    assert_int_equal(tok_piece(t, VOCAB_SIZE, true).size, 0);
    assert_int_equal(tok_piece(t, -1, true).size, 0);
    assert_int_equal(tok_find(t, "<|end|>"), VOCAB_END);
    assert_int_equal(tok_find(t, "no such piece"), -1);
    assert_int_equal(tok_find(t, ""), -1);
    tok_close(&t);
}

static void sizes_and_cuts(void **state) {
    (void)state;
    struct tok *t = spec_open(NULL);
    struct error e;
    int32_t ids[3] = {-7, -7, -7};
    size_t n, size;
    assert_int_equal(tok_encode(t, " 1 2 3", 6, false, true, NULL, 0, &n, &e), OK);
    assert_int_equal(n, 4);
    assert_int_equal(tok_encode(t, " 1 2 3", 6, false, true, ids, 2, &n, &e), OK);
    assert_int_equal(n, 4);
    assert_int_equal(ids[2], -7);
    char text[5] = "zzzz";
    int32_t two[2] = {tok_find(t, " 12"), tok_find(t, " 34")};
    tok_decode(t, two, 2, false, NULL, 0, &size);
    assert_int_equal(size, 6);
    tok_decode(t, two, 2, false, text, 4, &size);
    assert_int_equal(size, 6);
    assert_string_equal(text, " 12");
    assert_int_equal(text[4], 0);
    tok_close(&t);
}

/* ---- byte-level BPE ---- */

static void any_bytes_round_trip(void **state) {
    (void)state;
    struct tok *t = spec_open(NULL);
    char text[96];
    static const char *bits[] = {"\xe2\x82\xac", "\xc3\xa9",         " 12",      "\xff",        "\xe2\x82", "\n",
                                 "  ",           "\xf0\x9f\x98\x80", "\xc0\x80", "\xed\xa0\x80"};
    for (uint64_t k = 0; k < 3000; k++) {
        size_t size = 0;
        while (size < 80 && rng_below(k, size, 20) != 0) {
            const char *bit = bits[rng_below(k, size + 1000, COUNT(bits))];
            if (rng_below(k, size + 2000, 2)) {
                memcpy(text + size, bit, strlen(bit));
                size += strlen(bit);
            } else {
                text[size] = (char)rng_below(k, size + 3000, 256);
                size++;
            }
        }
        round_trip(t, text, size);
    }
    tok_close(&t);
}

static int32_t ab_find(const char *text, size_t size) {
    for (int32_t i = 0; ab.tokens[i]; i++)
        if (strlen(ab.tokens[i]) == size && memcmp(ab.tokens[i], text, size) == 0) return i;
    return -1;
}

/* The definition of BPE, in quadratic time: of all neighbours take the pair listed first, leftmost, until none. */
static size_t ab_naive(const char *text, size_t size, int32_t *ids) {
    size_t start[64], n = size;
    for (size_t i = 0; i <= size; i++) start[i] = i;
    for (;;) {
        size_t best = SIZE_MAX, at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (size_t r = 0; ab.merges[r] && r < best; r++) {
                size_t cut = strcspn(ab.merges[r], " "), rest = strlen(ab.merges[r]) - cut - 1;
                if (start[i + 1] - start[i] != cut || start[i + 2] - start[i + 1] != rest) continue;
                if (memcmp(text + start[i], ab.merges[r], cut) ||
                    memcmp(text + start[i + 1], ab.merges[r] + cut + 1, rest))
                    continue;
                best = r;
                at = i;
            }
        if (best == SIZE_MAX) break;
        memmove(start + at + 1, start + at + 2, (n - at - 1) * sizeof start[0]);
        n--;
    }
    for (size_t i = 0; i < n; i++) ids[i] = ab_find(text + start[i], start[i + 1] - start[i]);
    return n;
}

static void merges_like_the_definition(void **state) {
    (void)state;
    struct tok *t = spec_open(&ab);
    char text[64];
    int32_t got[64], want[64];
    for (uint64_t k = 0; k < 20000; k++) {
        size_t size = 1 + rng_below(k, 0, 60);
        for (size_t i = 0; i < size; i++) text[i] = "ab"[rng_below(k, i + 1, 2)];
        text[size] = 0;
        same_ids(text, got, encode(t, text, size, false, got, 64), want, ab_naive(text, size, want));
    }
    tok_close(&t);
}

/* CPU time, so that a busy machine does not matter; quadratic work would need many minutes. */
static void quick_since(clock_t start) {
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (seconds > 30) fail_msg("%.1f s of CPU", seconds);
}

static void long_words_are_quick(void **state) {
    (void)state;
    struct tok *t = spec_open(NULL);
    enum { SIZE = 1 << 20, LESS = 1 << 18 };
    char *text = malloc(SIZE);
    int32_t *ids = malloc(SIZE * sizeof *ids), pair = tok_find(t, "11");
    clock_t start = clock();
    memset(text, '1', SIZE);
    assert_int_equal(encode(t, text, SIZE, false, ids, SIZE), SIZE / 2);
    for (size_t i = 0; i < SIZE / 2; i++)
        if (ids[i] != pair) fail_msg("token %zu is %d, expected %d", i, ids[i], pair);
    const char fills[] = {' ', '\n', 'x', '\xff', '\'', '!'};
    for (size_t i = 0; i < COUNT(fills); i++) {
        memset(text, fills[i], LESS);
        assert_int_equal(encode(t, text, LESS, false, ids, SIZE), LESS);
    }
    quick_since(start);
    free(text);
    free(ids);
    tok_close(&t);
}

static void whole_words_skip_the_merges(void **state) {
    (void)state;
    struct spec s = {.model = "gpt2", .tokens = {"a", "b", "c", "bc", "abc", "<|x|>"}, .merges = {"b c"}};
    s.types = (const int32_t[]){1, 1, 1, 1, 1, 3};
    s.n_types = 6;
    s.pre = "gpt-2";
    struct tok *t = spec_open(&s);
    EXPECT(t, "abc", false, 0, 3);
    assert_false(tok_adds_bos(t));
    tok_close(&t);
    s.pre = "llama-bpe";
    s.has_bos = true;
    s.bos = 5;
    t = spec_open(&s);
    EXPECT(t, "abc", false, 4);
    EXPECT(t, "bcabc", false, 3, 0, 3);
    assert_true(tok_adds_bos(t));
    tok_close(&t);
}

static void decodes(const struct tok *t, const char *want, bool special, const int32_t *ids, size_t n) {
    char text[64];
    size_t size;
    tok_decode(t, ids, n, special, text, sizeof text, &size);
    assert_string_equal(text, want);
    assert_int_equal(size, strlen(want));
}

/* U+200D, once as it is and once in the byte alphabet: text becomes the latter, whichever comes first. */
static void stray_tokens_come_last(void **state) {
    (void)state;
    struct spec s = {
        .model = "gpt2",
        .pre = "gpt-2",
        .tokens = {"\xe2\x80\x8d", "\xc3\xa2", "\xc4\xa2", "\xc4\xaf", "\xc3\xa2\xc4\xa2", "\xc3\xa2\xc4\xa2\xc4\xaf"},
        .merges = {"\xc3\xa2 \xc4\xa2", "\xc3\xa2\xc4\xa2 \xc4\xaf"}};
    struct tok *t = spec_open(&s);
    EXPECT(t, "\xe2\x80\x8d", false, 5);
    decodes(t, "\xe2\x80\x8d", false, (const int32_t[]){0}, 1);
    decodes(t, "\xe2\x80\x8d", false, (const int32_t[]){5}, 1);
    tok_close(&t);
}

/* Longest first; user-defined ones always, control and unknown ones when asked. */
static void special_tokens_in_text(void **state) {
    (void)state;
    struct spec s = {.model = "gpt2",
                     .pre = "gpt-2",
                     .tokens = {"a", "b", "<", ">", "<a>", "<a>b", "<b>", "<|im_end|>", "a<", "\xc3\xa9"}};
    s.types = (const int32_t[]){1, 1, 1, 1, 4, 4, 3, 3, 5, 4};
    s.n_types = 10;
    s.merges[0] = "a <";
    s.no_merges = true;
    struct error e;
    struct gguf *g = spec_file(&s);
    struct tok *t;
    assert_int_equal(tok_open(g, &t, &e), ERR_INPUT); /* no merges at all */
    assert_null(t);
    gguf_close(&g);
    s.no_merges = false;
    s.merges[0] = NULL;
    t = spec_open(&s);
    EXPECT(t, "a<a>a<a>b<b>", false, 0, 4, 0, 5, 2, 1, 3);
    EXPECT(t, "a<a>a<a>b<b>", true, 0, 4, 0, 5, 6);
    EXPECT(t, "<a><a>", false, 4, 4);
    EXPECT(t, "a<", false, 0, 2); /* unused tokens are never made */
    EXPECT(t, "\xc3\xa9", false, 9);
    assert_true(tok_is_end(t, 7));
    assert_false(tok_is_end(t, 6));
    assert_int_equal(tok_find(t, "<b>"), 6);
    tok_close(&t);
}

/* Names say what is a control token, whatever type the file gives; Gemma 4's end of a strike-through is text. */
static void known_names_are_control_tokens(void **state) {
    (void)state;
    struct spec s = {.model = "gpt2",
                     .pre = "gpt-2",
                     .tokens = {"<", "/", "s", ">", "<|im_end|>", "<|fim_middle|>", "</s>", "<tag>", "<|im_start|>"},
                     .types = (const int32_t[]){1, 1, 1, 1, 4, 4, 1, 4, 3},
                     .n_types = 9};
    struct tok *t = spec_open(&s);
    EXPECT(t, "<tag></s>", false, 7, 0, 1, 2, 3);
    EXPECT(t, "<|im_end|><|fim_middle|></s><|im_start|>", true, 4, 5, 6, 8);
    assert_true(tok_is_end(t, 4));
    assert_false(tok_is_end(t, 5));
    assert_true(tok_is_end(t, 6));
    assert_false(tok_is_end(t, 8));
    int32_t ids[64];
    struct error e;
    size_t n;
    assert_int_equal(tok_encode(t, "<|im_end|>", 10, false, false, ids, 64, &n, &e), ERR_INPUT); /* no token for '|' */
    tok_close(&t);
    s.tokens[8] = "<|tool_response>";
    t = spec_open(&s);
    EXPECT(t, "</s>", true, 0, 1, 2, 3);
    assert_false(tok_is_end(t, 6));
    assert_true(tok_is_end(t, 8));
    tok_close(&t);
}

/* The end of a message ends an answer, whatever its name. */
static void the_end_of_a_message_ends_an_answer(void **state) {
    (void)state;
    struct spec s = {.model = "gpt2",
                     .pre = "gpt-2",
                     .tokens = {"a", "b", "[over]"},
                     .types = (const int32_t[]){1, 1, 3},
                     .n_types = 3};
    for (int named = 0; named < 2; named++) {
        s.has_eom = named, s.eom = 2;
        struct tok *t = spec_open(&s);
        assert_int_equal(tok_is_end(t, 2), named);
        assert_false(tok_is_end(t, 1));
        tok_close(&t);
    }
}

/* Phi-3 drops blanks behind most special tokens; it is known by its name only. */
static void blanks_behind_special_tokens(void **state) {
    (void)state;
    struct spec s = {.name = "My Phi-3 Mini",
                     .model = "gpt2",
                     .pre = "gpt-2",
                     .tokens = {"a", "\xc4\xa0", "\xc4\x8a", "<|user|>", "<|endoftext|>", "<u>"},
                     .types = (const int32_t[]){1, 1, 1, 3, 3, 4},
                     .n_types = 6};
    struct tok *t = spec_open(&s);
    EXPECT(t, " <|user|> \n\ta<|endoftext|> a<u> ", true, 1, 3, 0, 4, 1, 0, 5);
    EXPECT(t, "<u> a", false, 5, 0);
    tok_close(&t);
    s.name = "other";
    t = spec_open(&s);
    EXPECT(t, "<|user|> \na", true, 3, 1, 2, 0);
    tok_close(&t);
}

/* ---- SentencePiece ---- */

static void spm_vectors(void **state) {
    (void)state;
    struct tok *t = spec_open(&spm);
    assert_true(tok_adds_bos(t));
    EXPECT(t, "a", false, 9);
    EXPECT(t, " a", false, 3, 9);       /* " a" (-1) goes before two spaces (-4) */
    EXPECT(t, "bcab", false, 3, 5, 11); /* ab (-5), then c + ab (-3) before bc (-6) */
    EXPECT(t, "abc", false, 9, 8);      /* " a" takes the a that abc would need */
    EXPECT(t, "\n\xc3\xa9", false, 3, 12, 13, 14);
    EXPECT(t, "zb", false, 3, 0, 5); /* no byte token for z: unknown */
    EXPECT(t, "b<sep>b", false, 3, 5, 15, 3, 5);
    EXPECT(t, "<sep>", false, 15);
    EXPECT(t, "b</s>", true, 3, 5, 2);
    EXPECT(t, "b</s>", false, 3, 5, 0, 0, 0, 0);
    EXPECT(t, SP "b", false, 16, 5); /* a written U+2581 is a space */
    assert_int_equal(encode(t, "", 0, false, NULL, 0), 0);
    assert_int_equal(tok_find(t, " a"), 9);
    assert_int_equal(tok_find(t, "\n"), 12);
    assert_true(tok_is_end(t, 2));
    tok_close(&t);

    struct spec bare = spm;
    bare.no_space = true;
    t = spec_open(&bare);
    EXPECT(t, "ab", false, 7);
    EXPECT(t, " ab<sep>ab", false, 9, 5, 15, 7);
    round_trip(t, "  a b", 5);
    tok_close(&t);
}

#define DECODES(t, want, special, ...)                                                                                 \
    decodes(t, want, special, (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / 4)

#define SP "\xe2\x96\x81" /* a space in such a file */

/* Merges by the list, in runs of newlines and of others; no scores, no space in front. */
static void ranked_vocabularies(void **state) {
    (void)state;
    struct spec s = {.model = "gemma4",
                     .tokens = {"<unk>", "a", "b", SP, "ab", SP "a", "\n", "\n\n", SP "ab", "<0xC3>", "<0xA9>", "a\n"},
                     .types = (const int32_t[]){2, 1, 1, 1, 1, 1, 1, 1, 1, 6, 6, 1},
                     .n_types = 12,
                     .merges = {"a \n", "a b", SP " ab", SP " a"}};
    struct tok *t = spec_open(&s);
    EXPECT(t, "ab ab\n\na a", false, 4, 8, 7, 1, 5);
    EXPECT(t, "a\n\n\n", false, 1, 6, 6, 6);
    EXPECT(t, " \xc3\xa9", false, 3, 9, 10);
    decodes(t, "ab ab\n\n\xc3\xa9", false, (const int32_t[]){4, 8, 7, 9, 10}, 5);
    assert_false(tok_adds_bos(t));
    tok_close(&t);
}

static void spm_decodes_what_it_encodes(void **state) {
    (void)state;
    struct tok *t = spec_open(&spm);
    DECODES(t, "a", false, 1, 9);
    DECODES(t, "a", false, 9);
    DECODES(t, "a a", false, 9, 9);
    DECODES(t, "<s>a</s>", true, 1, 9, 2);
    DECODES(t, "a<sep>b", false, 9, 15, 3, 5);
    DECODES(t, " a", false, 3, 9);
    DECODES(t, "b\xc3\xa9\n", false, 3, 5, 13, 14, 12);
    DECODES(t, "ab", false, 4, -1, 99, 5);
    const char *texts[] = {"a", " a", "  a", "a b  c", "\n", " <sep> ab<sep>", "cab abc\xc3\xa9", "\xc3", " \xa9 "};
    for (size_t i = 0; i < COUNT(texts); i++) round_trip(t, texts[i], strlen(texts[i]));
    tok_close(&t);
}

/* Scores that collide, signed zeros and an infinity: ties must go to the left. */
static const float tie_scores[] = {0, -1, -1, -1, -0.0f, 0.0f, -2, 1, 1, -INFINITY, 0.5f, 0};
static const struct spec ties = {
    .model = "llama",
    .tokens = {SP, "a", "b", "c", "ab", "ba", "bc", "ca", "abc", "cb", "bab", "caca"},
    .scores = tie_scores,
    .n_scores = 12,
    .no_space = true,
};

static int32_t tie_find(const char *text, size_t size) {
    for (int32_t i = 0; ties.tokens[i]; i++)
        if (strlen(ties.tokens[i]) == size && memcmp(ties.tokens[i], text, size) == 0) return i;
    return -1;
}

static size_t tie_naive(const char *text, size_t size, int32_t *ids) {
    size_t start[64], n = size;
    for (size_t i = 0; i <= size; i++) start[i] = i;
    for (;;) {
        int32_t best = -1;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            int32_t id = tie_find(text + start[i], start[i + 2] - start[i]);
            if (id < 0 || (best >= 0 && tie_scores[id] <= tie_scores[best])) continue;
            best = id;
            at = i;
        }
        if (best < 0) break;
        memmove(start + at + 1, start + at + 2, (n - at - 1) * sizeof start[0]);
        n--;
    }
    for (size_t i = 0; i < n; i++) ids[i] = tie_find(text + start[i], start[i + 1] - start[i]);
    return n;
}

static void spm_merges_like_the_definition(void **state) {
    (void)state;
    struct tok *t = spec_open(&ties);
    char text[64];
    int32_t got[64], want[64];
    for (uint64_t k = 0; k < 20000; k++) {
        size_t size = 1 + rng_below(k, 0, 60);
        for (size_t i = 0; i < size; i++) text[i] = "abc"[rng_below(k, i + 1, 3)];
        text[size] = 0;
        same_ids(text, got, encode(t, text, size, false, got, 64), want, tie_naive(text, size, want));
    }
    tok_close(&t);
}

static void spm_long_text_is_quick(void **state) {
    (void)state;
    struct tok *t = spec_open(&ties);
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE);
    clock_t start = clock();
    for (size_t i = 0; i < SIZE; i++) text[i] = "ca"[i % 2];
    assert_int_equal(encode(t, text, SIZE, false, NULL, 0), SIZE / 4);
    quick_since(start);
    free(text);
    tok_close(&t);
}

/* ---- published vectors, when they are at hand ---- */

static char *slurp(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *text = calloc(1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = 0;
    fclose(f);
    return text;
}

static size_t read_ids(char **at, int32_t *ids, size_t cap) {
    size_t n = 0;
    while (**at && **at != '\n') {
        char *end;
        long v = strtol(*at, &end, 10);
        if (end == *at) break;
        assert_true(n < cap);
        ids[n++] = (int32_t)v;
        *at = end;
        while (**at == ' ') ++*at;
    }
    if (**at == '\n') ++*at;
    return n;
}

static void published_vectors(void **state) {
    (void)state;
    const char *names[] = {"gpt-2", "llama-bpe", "llama-spm", "qwen2"}, *line = "\n__ggml_vocab_test__\n";
    if (!reference("tokenizers")) skip();
    for (size_t k = 0; k < COUNT(names); k++) {
        char path[128];
        struct error e;
        struct gguf *g;
        struct tok *t;
        if (gguf_open(reference("tokenizers/%s.gguf", names[k]), &g, &e) || tok_open(g, &t, &e)) fail_msg("%s", e.text);
        gguf_close(&g);
        char *texts = slurp(reference("tokenizers/%s.inp", names[k]));
        char *outs = slurp(reference("tokenizers/%s.out", names[k])), *out = outs;
        int cases = 0;
        for (char *at = texts, *end; (end = strstr(at, line)); at = end + strlen(line), cases++) {
            int32_t want[1024], got[1024];
            size_t n_want = read_ids(&out, want, 1024);
            *end = 0;
            size_t n = encode(t, at, strlen(at), false, got, 1024);
            snprintf(path, sizeof path, "%s case %d", names[k], cases);
            same_ids(path, got, n, want, n_want);
            round_trip(t, at, strlen(at));
        }
        assert_int_equal(cases, 46);
        tok_close(&t);
        free(texts);
        free(outs);
    }
}

static void tiny_stories(void **state) {
    (void)state;
    struct error e;
    struct gguf *g;
    struct tok *t;
    if (gguf_open("tests/golden/stories260K-f16.gguf", &g, &e) || tok_open(g, &t, &e)) fail_msg("%s", e.text);
    gguf_close(&g);
    int32_t ids[16];
    size_t n;
    assert_int_equal(tok_encode(t, "Once upon a time", 16, false, true, ids, 16, &n, &e), OK);
    same_ids("Once upon a time", ids, n, (int32_t[]){1, 403, 407, 261, 378}, 5);
    DECODES(t, "Once upon a time", false, 1, 403, 407, 261, 378);
    tok_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_numbers_and_operators),
        cmocka_unit_test(own_text_form),
        cmocka_unit_test(own_specials_are_plain_text),
        cmocka_unit_test(sizes_and_cuts),
        cmocka_unit_test(any_bytes_round_trip),
        cmocka_unit_test(merges_like_the_definition),
        cmocka_unit_test(long_words_are_quick),
        cmocka_unit_test(whole_words_skip_the_merges),
        cmocka_unit_test(stray_tokens_come_last),
        cmocka_unit_test(special_tokens_in_text),
        cmocka_unit_test(known_names_are_control_tokens),
        cmocka_unit_test(the_end_of_a_message_ends_an_answer),
        cmocka_unit_test(blanks_behind_special_tokens),
        cmocka_unit_test(spm_vectors),
        cmocka_unit_test(ranked_vocabularies),
        cmocka_unit_test(spm_decodes_what_it_encodes),
        cmocka_unit_test(spm_merges_like_the_definition),
        cmocka_unit_test(spm_long_text_is_quick),
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(tiny_stories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
