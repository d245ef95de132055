/* test_hf_tokens.c: tokenizer.json and the files beside it against the GGUF vocabularies that they stand for: same ids.
 * Not the merging: test_tok.c.
 * Next: docs/MODELS.md. */
#include "tests/hf_folder.h"
#include "tests/reference.h"
#include "tests/tok_vocab.h"

/* ---- patterns as tokenizer.json files state them ---- */

#define ENDINGS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3 ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" TAIL
#define QWEN2 ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" TAIL
#define UP "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOW "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define O200K                                                                                                          \
    "[^\\r\\n\\p{L}\\p{N}]?" UP "*" LOW "+" ENDINGS "?|[^\\r\\n\\p{L}\\p{N}]?" UP "+" LOW "*" ENDINGS                  \
    "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" TAIL
#define TEKKEN                                                                                                         \
    "[^\\r\\n\\p{L}\\p{N}]?" UP "*" LOW "+|[^\\r\\n\\p{L}\\p{N}]?" UP "+" LOW                                          \
    "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" TAIL
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

static json_t *split(const char *regex) {
    return json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", regex, "behavior", "Isolated",
                     "invert", 0);
}
static json_t *byte_level(bool regex) {
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 0, "use_regex",
                     regex);
}
static json_t *in_turn(json_t *first, json_t *second) {
    return json_pack("{s:s, s:[o, o]}", "type", "Sequence", "pretokenizers", first, second);
}

/* A pre_tokenizer that cuts as the name says. */
static json_t *pre_of(const char *name, bool *whole) {
    *whole = !strcmp(name, "llama-bpe");
    if (!strcmp(name, "gpt-2")) return byte_level(true);
    if (!strcmp(name, "qwen2")) return in_turn(split(QWEN2), byte_level(false));
    if (*whole) return in_turn(split(LLAMA3), byte_level(false));
    fail_msg("no pattern for %s", name);
    return NULL;
}

static void patterns_have_names(void **state) {
    (void)state;
    const struct {
        const char *want;
        bool whole;
        json_t *pre;
    } all[] = {
        {"gpt-2", false, byte_level(true)},
        {"gpt-2", false, in_turn(split(GPT2), byte_level(false))},
        {"gpt-2", false,
         in_turn(split("'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++(?!\\S)|\\s+"),
                 byte_level(false))},
        {"llama-bpe", true, in_turn(split(LLAMA3), byte_level(false))},
        {"dbrx", false, in_turn(split(LLAMA3), byte_level(false))},
        {"dbrx", false,
         in_turn(split("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| "
                       "?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|" TAIL),
                 byte_level(false))},
        {"qwen2", false, in_turn(split(QWEN2), byte_level(false))},
        {"qwen35", false,
         in_turn(
             split(ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" TAIL),
             byte_level(false))},
        {"smollm", false, in_turn(json_pack("{s:s, s:b}", "type", "Digits", "individual_digits", 1), byte_level(true))},
        {"gpt-4o", false, in_turn(split(O200K), byte_level(false))},
        {"tekken", true, in_turn(split(TEKKEN), byte_level(false))},
        {"tekken", false, in_turn(split(TEKKEN), byte_level(false))},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        struct gguf *g;
        struct tok *t;
        struct error e;
        struct gguf_string pre;
        put_small_folder();
        put_json("tokenizer.json",
                 json_pack("{s:{s:{s:i, s:i, s:i}, s:[[s, s]], s:b}, s:o}", "model", "vocab", "a", 0, "b", 1, "ab", 2,
                           "merges", "a", "b", "ignore_merges", all[i].whole, "pre_tokenizer", all[i].pre));
        GOOD(hf_open(tiny_folder, &g, &e));
        GOOD(gguf_get_string(g, "tokenizer.ggml.pre", &pre, &e));
        if (pre.size != strlen(all[i].want) || memcmp(pre.data, all[i].want, pre.size))
            fail_msg("pattern %zu is \"%.*s\", expected %s", i, (int)pre.size, pre.data, all[i].want);
        GOOD(tok_open(g, &t, &e)); /* so the tokenizer knows the name */
        EXPECT(t, "ab", false, 2);
        tok_close(&t);
        gguf_close(&g);
    }
}

static void unknown_patterns_are_named(void **state) {
    (void)state;
    json_t *const all[][1] = {{in_turn(split("\\w+|\\W"), byte_level(false))},
                              {json_pack("{s:s}", "type", "BertPreTokenizer")},
                              {json_pack("{s:s, s:b}", "type", "ByteLevel", "add_prefix_space", 1)},
                              {json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", "a",
                                         "behavior", "MergedWithPrevious", "invert", 0)},
                              {json_null()}};
    static const char *const parts[] = {"\"\\w+|\\W\"", "BertPreTokenizer", "add_prefix_space", "neither isolates",
                                        "without type"};
    for (size_t i = 0; i < COUNT(all); i++) {
        put_small_folder();
        put_json("tokenizer.json",
                 json_pack("{s:{s:{s:i}, s:[]}, s:o}", "model", "vocab", "a", 0, "merges", "pre_tokenizer", all[i][0]));
        FOLDER_REFUSED("tokenizer.json: pre_tokenizer", parts[i], "not known");
    }
}

/* ---- from a GGUF vocabulary to tokenizer.json ---- */

static char *text_of(struct gguf_string s) {
    char *t = malloc(s.size + 1);
    memcpy(t, s.data, s.size);
    t[s.size] = 0;
    return t;
}

struct by_score {
    double score;
    size_t id;
};
static int highest_first(const void *a, const void *b) {
    const struct by_score *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Every pair of tokens that makes a token, best token first: what a SentencePiece model says as merges. */
static json_t *merges_of_scores(const struct gguf *g, json_t *vocab, size_t n) {
    struct by_score *all = malloc(n * sizeof *all);
    json_t *merges = json_array();
    for (size_t i = 0; i < n; i++) all[i] = (struct by_score){gguf_array_f64(g, "tokenizer.ggml.scores", i), i};
    qsort(all, n, sizeof *all, highest_first);
    for (size_t i = 0; i < n; i++) {
        if (gguf_array_f64(g, "tokenizer.ggml.token_type", all[i].id) != 1) continue;
        char *t = text_of(gguf_array_string(g, "tokenizer.ggml.tokens", all[i].id));
        for (size_t cut = 1, size = strlen(t); cut < size; cut++) {
            if ((t[cut] & 0xc0) == 0x80) continue; /* inside a character */
            char *left = strndup(t, cut);
            if (json_object_get(vocab, left) && json_object_get(vocab, t + cut))
                json_array_append_new(merges, json_pack("[s, s]", left, t + cut));
            free(left);
        }
        free(t);
    }
    free(all);
    return merges;
}

static void add_id(json_t *config, const struct gguf *g, const char *gguf_key, const char *key) {
    uint64_t id;
    struct error e;
    if (!gguf_has(g, gguf_key)) return;
    GOOD(gguf_get_u64(g, gguf_key, 0, INT32_MAX, &id, &e));
    char *text = text_of(gguf_array_string(g, "tokenizer.ggml.tokens", id));
    json_object_set_new(config, key, json_string(text));
    free(text);
}

/* The test's folder becomes a model with the vocabulary of g. */
static void put_vocabulary(const struct gguf *g) {
    struct gguf_string model, pre;
    struct error e;
    enum gguf_kind kind;
    size_t n, n_merges;
    bool whole = false;
    GOOD(gguf_get_string(g, "tokenizer.ggml.model", &model, &e));
    const bool spm = model.size == 5;
    GOOD(gguf_get_array(g, "tokenizer.ggml.tokens", &kind, &n, &e));
    json_t *vocab = json_object(), *added = json_array(), *root = json_object(), *merges = json_array();
    for (size_t i = 0; i < n; i++) {
        char *t = text_of(gguf_array_string(g, "tokenizer.ggml.tokens", i));
        const int type = (int)gguf_array_f64(g, "tokenizer.ggml.token_type", i);
        if (type == 1 || type == 6 || (type == 2 && spm)) json_object_set_new(vocab, t, json_integer((json_int_t)i));
        if (type == 2 || type == 3 || type == 4)
            json_array_append_new(added,
                                  json_pack("{s:i, s:s, s:b}", "id", (int)i, "content", t, "special", type != 4));
        if (type == 2) json_object_set_new(root, "unk", json_string(t));
        free(t);
    }
    if (spm) {
        json_decref(merges);
        merges = merges_of_scores(g, vocab, n);
        json_object_set_new(root, "normalizer",
                            json_pack("{s:s, s:[{s:s, s:s}, {s:s, s:{s:s}, s:s}]}", "type", "Sequence", "normalizers",
                                      "type", "Prepend", "prepend", SP, "type", "Replace", "pattern", "String", " ",
                                      "content", SP));
    } else {
        GOOD(gguf_get_string(g, "tokenizer.ggml.pre", &pre, &e));
        GOOD(gguf_get_array(g, "tokenizer.ggml.merges", &kind, &n_merges, &e));
        for (size_t i = 0; i < n_merges; i++) {
            char *t = text_of(gguf_array_string(g, "tokenizer.ggml.merges", i));
            json_array_append_new(merges, json_string(t));
            free(t);
        }
        char *name = text_of(pre);
        json_object_set_new(root, "pre_tokenizer", pre_of(name, &whole));
        free(name);
    }
    json_object_set_new(root, "model",
                        json_pack("{s:s, s:o, s:o, s:b, s:b, s:O?}", "type", "BPE", "vocab", vocab, "merges", merges,
                                  "byte_fallback", spm, "ignore_merges", whole, "unk_token",
                                  json_object_get(root, "unk")));
    json_object_del(root, "unk");
    json_object_set_new(root, "added_tokens", added);
    json_t *config = json_object();
    add_id(config, g, "tokenizer.ggml.bos_token_id", "bos_token");
    add_id(config, g, "tokenizer.ggml.eos_token_id", "eos_token");
    fresh_folder();
    put_small_weights(n);
    put_json("config.json", small_config(n));
    put_json("tokenizer.json", root);
    put_json("tokenizer_config.json", config);
}

static struct tok *folder_tok(void) {
    struct gguf *g;
    struct tok *t;
    struct error e;
    GOOD(hf_open(tiny_folder, &g, &e));
    GOOD(tok_open(g, &t, &e));
    gguf_close(&g);
    return t;
}

/* Random texts of these pieces give the same ids with both. */
static void same_texts(const struct tok *a, const struct tok *b, const char *const *pieces, size_t n_pieces) {
    assert_int_equal(tok_n_vocab(a), tok_n_vocab(b));
    assert_int_equal(tok_bos(a), tok_bos(b));
    assert_int_equal(tok_eos(a), tok_eos(b));
    for (uint64_t k = 0; k < 300; k++) {
        char text[400] = "";
        int32_t x[500], y[500];
        for (uint64_t i = 0; i < 1 + k % 40; i++) strcat(text, pieces[rng_below(k, i, (uint32_t)n_pieces)]);
        for (int special = 0; special < 2; special++) {
            size_t n = encode(a, text, strlen(text), special, x, COUNT(x)),
                   m = encode(b, text, strlen(text), special, y, COUNT(y));
            same_ids(text, y, m, x, n);
        }
    }
}

static void our_own_vocabulary_comes_back(void **state) {
    (void)state;
    static const char *const pieces[] = {"8",  " 8", "13",      " 137", " -",       ">",
                                         "\n", "ab", "<|end|>", " ; ",  "\xc3\xa9", "0"};
    struct gguf *g = spec_file(NULL);
    struct tok *want, *got;
    struct error e;
    put_vocabulary(g);
    GOOD(tok_open(g, &want, &e));
    got = folder_tok();
    same_texts(want, got, pieces, COUNT(pieces));
    tok_close(&want), tok_close(&got), gguf_close(&g);
}

static void a_sentencepiece_vocabulary_comes_back(void **state) {
    (void)state;
    static const char *const pieces[] = {"a", "b", "c", " ", "ab", "abc", "\n", "<sep>", "</s>", "  ", "x", "\xc3\xa9"};
    static const float distinct[] = {0,  0,  0,     -9, -8, -7, -7, -5, -6,
                                     -1, -3, -3.5f, 0,  0,  0,  0,  -4}; /* as training gives */
    struct spec without_ties = spm;
    without_ties.scores = distinct;
    struct gguf *g = spec_file(&without_ties);
    struct tok *want, *got;
    struct error e;
    put_vocabulary(g);
    GOOD(tok_open(g, &want, &e));
    got = folder_tok();
    same_texts(want, got, pieces, COUNT(pieces));
    tok_close(&want), tok_close(&got), gguf_close(&g);
}

/* ---- vocabularies of others, when they are there ---- */

static char *whole_file(const char *name, const char *suffix) {
    const char *path = reference("tokenizers/%s%s", name, suffix);
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (!f) return NULL;
    char *text = calloc(1, 1 << 20);
    assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
    fclose(f);
    return text;
}

static void known_vectors_pass_from_tokenizer_json(void **state) {
    (void)state;
    static const char *const names[] = {"gpt-2", "llama-bpe", "qwen2", "llama-spm"};
    static const char mark[] = "\n__ggml_vocab_test__\n";
    if (!reference("tokenizers")) skip();
    for (size_t i = 0; i < COUNT(names); i++) {
        struct gguf *g;
        struct error e;
        char *texts = whole_file(names[i], ".inp"), *lines = whole_file(names[i], ".out");
        if (!texts || !lines) continue;
        GOOD(gguf_open(reference("tokenizers/%s.gguf", names[i]), &g, &e));
        put_vocabulary(g);
        gguf_close(&g);
        struct tok *t = folder_tok();
        size_t n_tests = 0;
        char *line = lines;
        for (char *text = texts, *end; (end = strstr(text, mark)); text = end + sizeof mark - 1, n_tests++) {
            int32_t want[4096], got[4096];
            size_t n = 0;
            char *next = strchr(line, '\n');
            if (next) *next = 0;
            for (char *w = strtok(line, " "); w; w = strtok(NULL, " ")) want[n++] = atoi(w);
            line = next + 1;
            *end = 0;
            same_ids(names[i], got, encode(t, text, (size_t)(end - text), false, got, COUNT(got)), want, n);
        }
        print_message("%-10s %zu vectors from tokenizer.json\n", names[i], n_tests);
        assert_true(n_tests > 40);
        tok_close(&t);
        free(texts), free(lines);
    }
}

/* ---- special tokens and the template ---- */

static uint64_t key_of(const struct gguf *g, const char *key) {
    uint64_t v;
    struct error e;
    GOOD(gguf_get_u64_or(g, key, 0, UINT32_MAX, 999, &v, &e));
    return v;
}

static const char special_tokenizer[] =
    "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": []},"
    " \"added_tokens\": [{\"id\": 2, \"content\": \"<s>\", \"special\": true}, {\"id\": 3, \"content\": \"</s>\", "
    "\"special\": true},"
    "  {\"id\": 4, \"content\": \"<|x|>\", \"special\": false}, {\"id\": 9, \"content\": \"<image>\", \"special\": "
    "true}],"
    " \"post_processor\": {\"type\": \"Sequence\", \"processors\": [{\"type\": \"ByteLevel\"}, {\"type\": "
    "\"TemplateProcessing\","
    "  \"single\": [{\"SpecialToken\": {\"id\": \"<s>\"}}, {\"Sequence\": {\"id\": \"A\"}}]}]},"
    " \"pre_tokenizer\": {\"type\": \"ByteLevel\"}}";

static void special_tokens_come_from_all_files(void **state) {
    (void)state;
    struct gguf *g;
    struct error e;
    struct gguf_string template;
    bool adds;
    put_small_folder();
    put_text("tokenizer.json", special_tokenizer);
    put_text("tokenizer_config.json",
             "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"</s>\", \"pad_token\": null,"
             " \"chat_template\": \"from the config\"}");
    put_text("generation_config.json", "{\"eos_token_id\": [3, 4, 1], \"pad_token_id\": 0}");
    GOOD(hf_open(tiny_folder, &g, &e));
    assert_int_equal(key_of(g, "tokenizer.ggml.bos_token_id"), 2);
    assert_int_equal(key_of(g, "tokenizer.ggml.eos_token_id"), 3);
    assert_int_equal(key_of(g, "tokenizer.ggml.eot_token_id"), 4);
    assert_int_equal(key_of(g, "tokenizer.ggml.eom_token_id"), 1);
    assert_int_equal(key_of(g, "tokenizer.ggml.padding_token_id"), 0);
    assert_int_equal(key_of(g, "tokenizer.ggml.unknown_token_id"), 999);
    GOOD(gguf_get_bool_or(g, "tokenizer.ggml.add_bos_token", false, &adds, &e));
    assert_true(adds);                                                           /* the post-processor's first token */
    assert_int_equal((int)gguf_array_f64(g, "tokenizer.ggml.token_type", 4), 3); /* looks like a control token */
    GOOD(gguf_get_string(g, "tokenizer.chat_template", &template, &e));
    assert_int_equal(template.size, strlen("from the config"));
    gguf_close(&g);

    put_text("tokenizer_config.json",
             "{\"add_bos_token\": false, \"chat_template\": [{\"name\": \"tool_use\", \"template\": \"T\"},"
             " {\"name\": \"default\", \"template\": \"D\"}]}");
    unlink(tiny_path("generation_config.json"));
    json_t *c = small_config(5);
    json_object_set_new(c, "bos_token_id", json_integer(2)),
        json_object_set_new(c, "eos_token_id", json_pack("[i, i]", 4, 3));
    put_json("config.json", c);
    GOOD(hf_open(tiny_folder, &g, &e));
    assert_int_equal(key_of(g, "tokenizer.ggml.bos_token_id"), 2);
    assert_int_equal(key_of(g, "tokenizer.ggml.eos_token_id"), 4);
    assert_int_equal(key_of(g, "tokenizer.ggml.eot_token_id"), 3);
    GOOD(gguf_get_bool_or(g, "tokenizer.ggml.add_bos_token", true, &adds, &e));
    assert_false(adds);
    GOOD(gguf_get_string(g, "tokenizer.chat_template", &template, &e));
    assert_memory_equal(template.data, "D", template.size);
    GOOD(gguf_get_string(g, "tokenizer.chat_template.tool_use", &template, &e));
    assert_memory_equal(template.data, "T", template.size);
    gguf_close(&g);

    put_text("chat_template.jinja", "{{ 'the file' }}");
    GOOD(hf_open(tiny_folder, &g, &e));
    GOOD(gguf_get_string(g, "tokenizer.chat_template", &template, &e));
    assert_int_equal(template.size, strlen("{{ 'the file' }}"));
    gguf_close(&g);
}

static void refuse_tokenizer(const char *text, const char *part, const char *other) {
    put_text("tokenizer.json", text);
    FOLDER_REFUSED("tokenizer.json", part, other);
}

static void wrong_vocabularies_are_named(void **state) {
    (void)state;
#define PRE ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}"
    put_small_folder();
    refuse_tokenizer("{}", "model.vocab", "missing");
    refuse_tokenizer("{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "\"Unigram\"", "BPE is read");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":5}}" PRE, "token \"a\"", "below 5");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":-1}}" PRE, "token \"a\"", "below 5");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":\"0\"}}" PRE, "token \"a\"", "no id");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":0,\"b\":0}}" PRE, "same id 0", "\"b\"");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":0}}" PRE, "model.merges", "missing");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a\"]}" PRE, "model.merges[0]", "not two tokens");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}" PRE, "model.merges[0]", "not two tokens");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[7]}" PRE, "model.merges[0]", "not two tokens");
    refuse_tokenizer(
        "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[],\"byte_fallback\":true},\"normalizer\":{\"type\":\"NFKC\"}}",
        "normalizer \"NFKC\"", "not known");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a a\"],\"byte_fallback\":true}}", "model.merges[0]",
                     "not in the vocabulary");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[],\"byte_fallback\":true},\"pre_tokenizer\":{"
                     "\"type\":\"Punctuation\"}}",
                     "\"Punctuation\"", "not known");
    refuse_tokenizer("{\"model\":{\"vocab\":{\"a\":0}},\"added_tokens\":[{\"content\":\"x\"}]" PRE, "added_tokens[0]",
                     "no id");
    refuse_tokenizer("{\"model\":", "not valid JSON", "line 1");
    unlink(tiny_path("tokenizer.json"));
    FOLDER_REFUSED("tokenizer.json", "No such file");
    put_text("tokenizer.json", small_tokenizer);
    put_text("tokenizer_config.json", "{");
    FOLDER_REFUSED("tokenizer_config.json", "not valid JSON");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_have_names),
        cmocka_unit_test(unknown_patterns_are_named),
        cmocka_unit_test(our_own_vocabulary_comes_back),
        cmocka_unit_test(a_sentencepiece_vocabulary_comes_back),
        cmocka_unit_test(special_tokens_come_from_all_files),
        cmocka_unit_test(wrong_vocabularies_are_named),
        cmocka_unit_test(known_vectors_pass_from_tokenizer_json),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
