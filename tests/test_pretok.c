/* test_pretok.c: where the known pre-tokenizers cut, and that they keep every byte of long or broken text.
 * Not the merges: test_tok.c.
 * Next: tokenizer/pretok.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tokenizer/pretok.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct cut {
    const char *pre, *words; /* the words with | between them */
};

static const struct cut cuts[] = {
    {"gpt-2", "I|'m| 1234|'re| ok|!?|  | x|\n\n|\n|b| \xe2\x82\xac|\t"},
    {"gpt-2", "I|'|M| d\xc3\xa9"
              "j\xc3\xa0| \xe4\xb8\xad\xe6\x96\x87"},
    {"gpt-2", "a|\xe1\xa0\x8e!|b"},           /* U+180E is no white space ... */
    {"gpt-2", "a|\xc2\x85|b|\xe2\x80\xa8|c"}, /* ... U+0085 and U+2028 are */
    {"gpt-2", "a|\xff\xfe|b|\xe2\x82| c"},
    /* overlong forms, a surrogate and a code point above U+10FFFF are not characters */
    {"gpt-2", "!|\xc0\x80|!|\xe0\x80\x80|!|\xed\xa0\x80|!|\xf0\x80\x80\x80|!|\xf4\x90\x80\x80|!|\xf5|!"},
    {"llama-bpe", "I|'M|123|4| ok|!?\n\n|  | x|\n\n|(b| \xe2\x82\xac|\t"},
    {"dbrx", "a|123|456|7|'LL"},
    {"qwen2", "I|'m| |1|2|.|5|\n \n|  | x|\tb|...\r\n"},
    {"qwen2", "\xe0\xa4\x95|\xe0\xa4\xbe\xe0\xa4\xae"}, /* a combining vowel sign is not a letter ... */
    {"qwen35", "\xe0\xa4\x95\xe0\xa4\xbe\xe0\xa4\xae"}, /* ... but belongs to the word here */
    {"smollm", "a| |1|2|3| b|'s|4|\n\n|5| "},
    {"refact", "x|1|0|  | y"},
    {"minicpm5", "a| |123|45| b|'S|!\n"},
    {"tekken", "Hello|World| ABC| |1|2|//\n|I|'m| A"},
    {"tekken", "(x| XMLParser| is|'It"},
    {"gpt-4o", "Hello|World's| |123|4|//\n|I'm| A"},
    {"deepseek-v3", "ab|123|4| c|\xe4\xb8\xad\xe6\x96\x87|d|(x|)\n|  | e"},
    {"deepseek-coder", "a| b|\n|\n|1|2| |\xe4\xb8\xad|.,"},
    {"deepseek-llm", "Hi| there|,| |12|b| |\xe4\xb8\xad|\n|  "},
    {"deepseek-llm", "a|\xe1\x83\x90| |\xe1\x83\x91| \xd0\x94"}, /* Georgian was no cased script for it, Cyrillic was */
    {"falcon", "a| b|123|45| |+<=>| c"},
    {"bloom", "a| b|,| c1|.\n"},
    {"viking", "a| b|1|2"},
};

static void cuts_into_words(void **state) {
    (void)state;
    for (size_t c = 0; c < COUNT(cuts); c++) {
        struct error e;
        struct pretok *p;
        if (pretok_open(cuts[c].pre, strlen(cuts[c].pre), &p, &e)) fail_msg("%s", e.text);
        char text[128];
        uint32_t want[64], got[128];
        size_t size = 0, n_want = 0, n = 0;
        for (const char *w = cuts[c].words; *w; w++)
            if (*w == '|') want[n_want++] = (uint32_t)size;
            else text[size++] = *w;
        want[n_want++] = (uint32_t)size;
        assert_int_equal(pretok_split(p, text, size, got, &n, &e), OK);
        for (size_t i = 0; i < n && i < n_want; i++)
            if (got[i] != want[i])
                fail_msg("%s \"%s\": word %zu ends at %u, expected %u", cuts[c].pre, cuts[c].words, i, got[i], want[i]);
        assert_int_equal(n, n_want);
        assert_int_equal(pretok_split(p, text, 0, got, &n, &e), OK);
        assert_int_equal(n, 0);
        pretok_close(&p);
    }
}

static void every_pretokenizer_keeps_every_byte(void **state) {
    (void)state;
    const char *names[] = {"gpt-2",  "llama-bpe", "dbrx",        "qwen2",          "qwen35", "smollm", "minicpm5",
                           "tekken", "gpt-4o",    "deepseek-v3", "deepseek-coder", "falcon", "bloom",  "viking"};
    enum { SIZE = 1 << 16 };
    char *text = malloc(SIZE);
    uint32_t *ends = malloc(SIZE * sizeof *ends);
    static const char *units[] = {" ",    "A",   "a",  "1", "'",        "\xe4\xb8\xad",
                                  "\xff", "\n ", "aA", "(", "\xcc\x81", "\xe0\xa4\x95\xe0\xa4\xbe"};
    for (size_t k = 0; k < COUNT(names); k++) {
        struct error e;
        struct pretok *p;
        if (pretok_open(names[k], strlen(names[k]), &p, &e)) fail_msg("%s", e.text);
        for (size_t u = 0; u < COUNT(units); u++) {
            size_t n, size = SIZE - SIZE % strlen(units[u]);
            for (size_t i = 0; i < size; i++) text[i] = units[u][i % strlen(units[u])];
            if (pretok_split(p, text, size, ends, &n, &e)) fail_msg("%s: %s", names[k], e.text);
            for (size_t i = 0; i < n; i++) assert_true(ends[i] > (i ? ends[i - 1] : 0));
            assert_int_equal(ends[n - 1], size);
        }
        pretok_close(&p);
    }
    free(text);
    free(ends);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_into_words),
        cmocka_unit_test(every_pretokenizer_keeps_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
