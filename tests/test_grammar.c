/* test_grammar.c: grammars in GBNF against a naive recogniser on random grammars, masks against brute force, hostile
 * grammars.
 * Not JSON schemas: test_json_schema.c.
 * Next: model/grammar.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/grammar.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct grammar *must_open(const char *text, const struct grammar_words *words) {
    struct grammar *g;
    struct error e;
    if (grammar_open(text, strlen(text), "G", words, &g, &e)) fail_msg("%s\n%s", text, e.text);
    return g;
}

static void must_accept(struct grammar *g, grammar_state *s, const char *bytes, size_t n) {
    struct error e;
    if (grammar_accept(g, s, bytes, n, &e)) fail_msg("%s", e.text);
}

static bool matches(struct grammar *g, const char *text, size_t n) {
    grammar_state s = GRAMMAR_START;
    must_accept(g, &s, text, n);
    return grammar_can_end(g, s);
}

/* ---- the notation ---- */

static void notation(void **unused) {
    (void)unused;
    static const struct {
        const char *grammar, *yes[6], *no[6];
    } cases[] = {
        {"root ::= \"a\"", {"a"}, {"", "b", "aa"}},
        {"root ::=", {""}, {"a"}},
        {"root ::= \"ab\"*", {"", "ab", "abab"}, {"a", "aba", "b"}},
        {"root ::= \"ab\" | \"a\" \"c\"?", {"ab", "a", "ac"}, {"", "abc", "c"}},
        {"root ::= [a-c]+ # comment ) \"\n# another\n", {"a", "cab"}, {"", "d", "ad"}},
        {"root ::= [^a\\n]", {"b", "\xC3\xA9", "\xF0\x9F\x98\x80"}, {"a", "\n", "\xC3", "bb"}},
        {"root ::= [\\]\\-a]{2}", {"]-", "aa"}, {"]", "\\]", "b]"}},
        {"root ::= [a-]+", {"a-", "--"}, {"b", ""}},
        {"root ::= .{2,3}", {"ab", "\xC3\xA9z\n"}, {"a", "abcd"}},
        {"root ::= \"x\"{0,2} \"y\"{1,}", {"y", "xxyy", "xy"}, {"xxxy", "xx", ""}},
        {"root ::= \"x\"{0} \"y\"", {"y"}, {"xy", ""}},
        {"root ::= (\n \"a\" |\n \"b\"\n) \"c\"\n", {"ac", "bc"}, {"c", "abc"}},
        {"root ::= a b\na ::= \"1\"\n\nb\t::=\n \"2\"", {"12"}, {"1", "2"}},
        {"root ::= (\"a\"*)*", {"", "aaa"}, {"b"}},
        {"root ::= ((\"a\"?)+ | \"b\"*){2,4} \"c\"", {"c", "abbc", "aabbc"}, {"", "ab"}},
        {"root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"}, {"(", "())"}},
        {"root ::= e (\"+\" e)*\ne ::= \"1\" | \"(\" root \")\"", {"1", "1+(1+1)", "((1))+1"}, {"+", "1+", "(1"}},
        {"root ::= \"\\x41\\u00e9\\U0001F600\\\"\\\\\"", {"A\xC3\xA9\xF0\x9F\x98\x80\"\\"}, {"A"}},
        {"root ::= \"a\" root \"b\" | \"ab\"", {"ab", "aabb", "aaabbb"}, {"aab", "abb", ""}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct grammar *g = must_open(cases[i].grammar, NULL);
        for (size_t k = 0; k < 6 && cases[i].yes[k]; k++)
            if (!matches(g, cases[i].yes[k], strlen(cases[i].yes[k])))
                fail_msg("%s\nrefuses \"%s\"", cases[i].grammar, cases[i].yes[k]);
        for (size_t k = 0; k < 6 && cases[i].no[k]; k++)
            if (matches(g, cases[i].no[k], strlen(cases[i].no[k])))
                fail_msg("%s\nreads \"%s\"", cases[i].grammar, cases[i].no[k]);
        grammar_close(&g);
    }
}

static void errors_have_line_and_column(void **unused) {
    (void)unused;
    static const char *const cases[][2] = {
        {"", "line 1, column 1: the rule root is not defined"},
        {"a ::= \"x\"", "the rule root is not defined"},
        {"root ::= \"x\"\n  b", "line 2, column 4: ::= is expected"},
        {"root ::= \"x\nroot", "line 1, column 10: this literal is not closed"},
        {"root ::= [x", "line 1, column 10: this class is not closed"},
        {"root ::= []", "column 10: this class is empty"},
        {"root ::= [b-a]", "column 13: this range of characters ends before its start"},
        {"root ::= (\"a\"", "column 10: this group is not closed"},
        {"root ::= \"a\")", "column 13: ')' is not expected here"},
        {"root ::= *", "there is nothing to repeat"},
        {"root ::= \"a\" | +", "there is nothing to repeat"},
        {"root ::= \"a\"{", "a number is expected"},
        {"root ::= \"a\"{2,1}", "a repetition of at least 2 and at most 1"},
        {"root ::= \"a\"{1,1000000000}", "column 16: a repetition of more than 10000"},
        {"root ::= \"a\"{3", "column 13: this repetition is not closed"},
        {"root ::= \"\\q\"", "no escape"},
        {"root ::= \"\\xg0\"", "a hexadecimal digit is expected"},
        {"root ::= \"\\ud800\"", "U+D800 is no character"},
        {"root ::= \"\xC3(\"", "the byte 0xC3 is not UTF-8"},
        {"root ::= \"\xFF\"", "the byte 0xFF is not UTF-8"},
        {"root ::= b c\nb ::= \"x\"", "line 1, column 12: the rule c is not defined"},
        {"root ::= \"x\"\nroot ::= \"y\"", "line 2, column 1: the rule root has been defined before"},
        {"root ::= <think>", "tokens in a grammar are not supported"},
        {"root ::= root \"a\" | \"b\"", "column 10: the rule root comes back to itself"},
        {"root ::= a\na ::= \"x\"? [y]* b\nb ::= \"\" a | \"z\"", "left recursion"},
        {"root ::= \"a\" root", "column 1: the rule root can never end"},
        {"root ::= a | \"x\"\na ::= \"b\" a", "line 2, column 1: the rule a can never end"},
        {"root ::= \"a\"; b", "';' is not expected here"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct grammar *g;
        struct error e = {""};
        if (grammar_open(cases[i][0], strlen(cases[i][0]), "G", NULL, &g, &e) != ERR_INPUT)
            fail_msg("%s\nwas not refused", cases[i][0]);
        assert_null(g);
        if (!strstr(e.text, cases[i][1])) fail_msg("%s\nwas refused with \"%s\"", cases[i][0], e.text);
    }
}

/* ---- random grammars ---- */

/*   a node of a random grammar; matched by sets of positions, each a bit */
struct node {
    enum { CHARS, SEQ, ALT, REP, REF } kind;
    char chars[4];
    int least, most; /* REP; most -1: without end */
    int rule;
    int n, kids[3]; /* indices into `pool` */
};
static struct node pool[4096];
static int n_pool, roots[4], n_rules;

static uint32_t draw(uint64_t key, uint64_t *i, uint32_t n) { return (uint32_t)(rng_u64(key, ++*i) % n); }

static int random_node(uint64_t key, uint64_t *i, int depth) {
    int id = n_pool++;
    struct node x = {0};
    uint32_t what = depth <= 0 ? draw(key, i, 6) : 3 + draw(key, i, 9);
    if (what < 5) {
        x.kind = CHARS;
        for (int k = 0, n = 1 + (int)draw(key, i, 3); k < n; k++) x.chars[k] = (char)('a' + draw(key, i, 3));
    } else if (what < 6) x.kind = REF, x.rule = (int)draw(key, i, (uint32_t)n_rules);
    else if (what < 8) x.kind = SEQ, x.n = (int)draw(key, i, 4);
    else if (what < 10) x.kind = ALT, x.n = 1 + (int)draw(key, i, 3);
    else {
        x.kind = REP, x.n = 1, x.least = (int)draw(key, i, 3);
        x.most = draw(key, i, 2) ? -1 : x.least + (int)draw(key, i, 3);
    }
    for (int k = 0; k < x.n; k++) x.kids[k] = random_node(key, i, depth - 1);
    pool[id] = x;
    return id;
}

static void print_node(int id, char *out) {
    const struct node *x = &pool[id];
    char *end = out + strlen(out);
    if (x->kind == CHARS) sprintf(end, x->chars[1] ? "[%s] " : "\"%s\" ", x->chars);
    if (x->kind == REF) sprintf(end, x->rule ? "r%d " : "root ", x->rule);
    if (x->kind < SEQ || x->kind == REF) return;
    strcpy(end, "(");
    for (int k = 0; k < x->n; k++) {
        if (k && x->kind == ALT) strcat(out, "| ");
        print_node(x->kids[k], out);
    }
    strcat(out, ")");
    end = out + strlen(out);
    if (x->kind == REP && x->most < 0) sprintf(end, x->least ? x->least == 1 ? "+" : "{%d,}" : "*", x->least);
    else if (x->kind == REP && x->least == x->most) sprintf(end, "{%d}", x->least);
    else if (x->kind == REP && !x->least && x->most == 1) strcpy(end, "?");
    else if (x->kind == REP) sprintf(end, "{%d,%d}", x->least, x->most);
    strcat(out, " ");
}

/* Positions where a match that began at one of `starts` may end. */
static uint64_t ends_of(int id, uint64_t starts, const char *text, size_t n) {
    const struct node *x = &pool[id];
    uint64_t out = 0;
    if (!starts) return 0;
    if (x->kind == REF) return ends_of(roots[x->rule], starts, text, n);
    if (x->kind == CHARS) {
        for (size_t i = 0; i < n; i++)
            if (starts >> i & 1 && strchr(x->chars, text[i])) out |= 1ull << (i + 1);
        return out;
    }
    if (x->kind == ALT) {
        for (int k = 0; k < x->n; k++) out |= ends_of(x->kids[k], starts, text, n);
        return out;
    }
    if (x->kind == SEQ) {
        for (int k = 0; k < x->n; k++) starts = ends_of(x->kids[k], starts, text, n);
        return starts;
    }
    for (int k = 0; k < x->least; k++) starts = ends_of(x->kids[0], starts, text, n);
    out = starts;
    for (int k = x->least; starts && (x->most < 0 || k < x->most); k++) {
        starts = ends_of(x->kids[0], starts, text, n) & ~(x->most < 0 ? out : 0);
        out |= starts;
    }
    return out;
}

/* Naive fixpoints: may a node read nothing; can it end. */
static bool nullable(int id, const bool *rules) {
    const struct node *x = &pool[id];
    if (x->kind == CHARS) return false;
    if (x->kind == REF) return rules[x->rule];
    if (x->kind == REP) return !x->least || nullable(x->kids[0], rules);
    bool all = true, any = false;
    for (int k = 0; k < x->n; k++) all &= nullable(x->kids[k], rules), any |= nullable(x->kids[k], rules);
    return x->kind == SEQ ? all : any;
}
static bool can_end(int id, const bool *rules) {
    const struct node *x = &pool[id];
    if (x->kind == CHARS) return true;
    if (x->kind == REF) return rules[x->rule];
    if (x->kind == REP) return !x->least || can_end(x->kids[0], rules);
    bool all = true, any = false;
    for (int k = 0; k < x->n; k++) all &= can_end(x->kids[k], rules), any |= can_end(x->kids[k], rules);
    return x->kind == SEQ ? all : any;
}
/* Rules that a node may call before it has read anything. */
static unsigned first_calls(int id, const bool *empty) {
    const struct node *x = &pool[id];
    unsigned out = 0;
    if (x->kind == REF) return 1u << x->rule;
    if (x->kind == REP && !x->most) return 0;
    for (int k = 0; k < x->n; k++) {
        out |= first_calls(x->kids[k], empty);
        if (x->kind == SEQ && !nullable(x->kids[k], empty)) break;
    }
    return out;
}

static const char *what_is_wrong(void) {
    bool empty[4] = {false}, ends[4] = {false};
    unsigned reach[4] = {0};
    for (int round = 0; round < 5; round++)
        for (int r = 0; r < n_rules; r++) empty[r] = nullable(roots[r], empty), ends[r] = can_end(roots[r], ends);
    for (int r = 0; r < n_rules; r++) reach[r] = first_calls(roots[r], empty);
    for (int round = 0; round < 5; round++)
        for (int r = 0; r < n_rules; r++)
            for (int q = 0; q < n_rules; q++)
                if (reach[r] >> q & 1) reach[r] |= reach[q];
    for (int r = 0; r < n_rules; r++)
        if (reach[r] >> r & 1) return "left recursion";
    for (int r = 0; r < n_rules; r++)
        if (!ends[r]) return "can never end";
    return NULL;
}

static void random_grammar(uint64_t key, char *text) {
    uint64_t i = 0;
    n_pool = 0, n_rules = 1 + (int)draw(key, &i, 4), *text = '\0';
    for (int r = 0; r < n_rules; r++) roots[r] = random_node(key, &i, 3);
    for (int r = 0; r < n_rules; r++) {
        sprintf(text + strlen(text), r ? "r%d ::= " : "root ::= ", r);
        print_node(roots[r], text);
        strcat(text, "\n");
    }
}

/* All texts of up to 6 letters of {a, b, c}: whether they match, and that no beginning of a match is dead. */
static void check_all_texts(struct grammar *g, const char *grammar) {
    for (size_t n = 0, count = 1; n <= 6; n++, count *= 3) {
        for (size_t v = 0; v < count; v++) {
            char text[8] = "";
            grammar_state s = GRAMMAR_START;
            for (size_t i = 0, rest = v; i < n; i++, rest /= 3) text[i] = (char)('a' + rest % 3);
            bool want = ends_of(roots[0], 1, text, n) >> n & 1;
            must_accept(g, &s, text, n);
            if (grammar_can_end(g, s) != want)
                fail_msg("%s\n\"%s\" %s match", grammar, text, want ? "does not" : "should not");
        }
    }
}

static void random_grammars_match_what_a_naive_reader_matches(void **unused) {
    (void)unused;
    static char text[1 << 20];
    int good = 0, recursive = 0, endless = 0;
    for (uint64_t key = 1; key <= 1500; key++) {
        struct grammar *g;
        struct error e = {""};
        random_grammar(key, text);
        const char *wrong = what_is_wrong();
        enum status s = grammar_open(text, strlen(text), "G", NULL, &g, &e);
        if (wrong) {
            assert_int_equal(s, ERR_INPUT);
            if (!strstr(e.text, wrong)) fail_msg("%s\n%s, not \"%s\"", text, e.text, wrong);
            *wrong == 'l' ? recursive++ : endless++;
            continue;
        }
        if (s) fail_msg("%s\n%s", text, e.text);
        check_all_texts(g, text);
        grammar_close(&g);
        good++;
    }
    assert_true(good > 300 && recursive > 50 && endless > 5);
}

/* ---- characters ---- */

static size_t put_utf8(uint32_t c, char *out) {
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xC0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return out[0] = (char)(0xE0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 63)), out[2] = (char)(0x80 | (c & 63)),
               3;
    out[0] = (char)(0xF0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 63));
    return out[2] = (char)(0x80 | (c >> 6 & 63)), out[3] = (char)(0x80 | (c & 63)), 4;
}

static void check_every_character(const uint32_t (*ranges)[2], int n, bool inverted) {
    char text[256] = "root ::= [";
    if (inverted) strcat(text, "^");
    for (int i = 0; i < n; i++) sprintf(text + strlen(text), "\\U%08X-\\U%08X", ranges[i][0], ranges[i][1]);
    strcat(text, "]");
    struct grammar *g = must_open(text, NULL);
    for (uint32_t c = 0; c <= 0x10FFFF; c += c >= 0xD7FF && c < 0xE000 ? 0xE000 - c : 1) {
        char bytes[4];
        bool in = false;
        for (int i = 0; i < n; i++) in |= c >= ranges[i][0] && c <= ranges[i][1];
        if (matches(g, bytes, put_utf8(c, bytes)) == (in == inverted)) fail_msg("%s: U+%04X is wrong", text, c);
    }
    static const char *const not_utf8[] = {"\x80",         "\xC0\x80",         "\xC1\xBF",         "\xE0\x80\x80",
                                           "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
                                           "\xFF"};
    for (size_t i = 0; i < COUNT(not_utf8); i++) {
        grammar_state s = GRAMMAR_START;
        must_accept(g, &s, not_utf8[i], strlen(not_utf8[i]));
        assert_int_equal(s, GRAMMAR_DEAD);
    }
    grammar_close(&g);
}

static void classes_hold_exactly_their_characters(void **unused) {
    (void)unused;
    check_every_character((const uint32_t[][2]){{'a', 'z'}, {0x10FFFF, 0x10FFFF}}, 2, false);
    check_every_character((const uint32_t[][2]){{0x7F, 0x80}, {0x7FE, 0x801}, {0xD7FF, 0xD7FF}, {0xFFFF, 0x10000}}, 4,
                          false);
    check_every_character((const uint32_t[][2]){{0x12345, 0x34567}, {0x900, 0x1234}, {0xA00, 0x2000}}, 3, false);
    check_every_character((const uint32_t[][2]){{'"', '"'}, {0x3FF, 0x8FFF}, {0, 0x1F}}, 3, true);
    uint64_t i = 0;
    for (int round = 0; round < 4; round++) {
        uint32_t r[3][2];
        for (int k = 0; k < 3; k++) {
            r[k][0] = draw(7, &i, 0xD800), r[k][1] = r[k][0] + draw(7, &i, 0xD800 - r[k][0]);
            if (k == 2) r[k][0] += 0xE000, r[k][1] += 0xE000;
        }
        check_every_character((const uint32_t(*)[2])r, 3, round & 1);
    }
}

/* ---- masks ---- */

struct words {
    char bytes[600][12];
    size_t size[600];
};
static struct gguf_string piece(const void *arg, int32_t id) {
    const struct words *w = arg;
    return (struct gguf_string){.data = w->bytes[id], .size = w->size[id]};
}
static bool is_end(const void *arg, int32_t id) {
    (void)arg;
    return id == 3 || id == 599;
}

static void masks_are_those_of_brute_force(void **unused) {
    (void)unused;
    static const char *const grammars[] = {
        "root ::= ([a-c\xC3\xA9] | \"\xE2\x82\xAC\" root \"!\")*",
        "root ::= \"{\" (pair (\",\" pair)*)? \"}\"\npair ::= \"\\\"\" [^\"\\\\]{0,3} \"\\\":\" (root | [0-9]+)",
        "root ::= .{3}",
        "root ::= \"abc\" | \"abcabc\"",
    };
    static const char *const parts[] = {"a", "b",    "c",    "{",        "}",    "\"", ":",   ",",
                                        "1", "\xC3", "\xA9", "\xE2\x82", "\xAC", "!",  "\xFF"};
    struct words *w = calloc(1, sizeof *w);
    uint64_t i = 0;
    for (int id = 0; id < 600; id++) {
        for (uint32_t k = 0, n = draw(3, &i, 5); k < n; k++) {
            const char *part = parts[draw(3, &i, COUNT(parts))];
            memcpy(w->bytes[id] + w->size[id], part, strlen(part)), w->size[id] += strlen(part);
        }
    }
    struct grammar_vocab v = {600, piece, is_end, w};
    struct grammar_words *words;
    struct error e;
    assert_int_equal(grammar_words_new(&v, &words, &e), OK);
    for (size_t k = 0; k < COUNT(grammars); k++) {
        struct grammar *g = must_open(grammars[k], words);
        for (int walk = 0; walk < 60; walk++) {
            grammar_state s = GRAMMAR_START;
            for (int step = 0; step < 12 && s != GRAMMAR_DEAD; step++) {
                float logits[610];
                uint32_t n, counted = 0, allowed[600];
                for (int id = 0; id < 610; id++) logits[id] = (float)id;
                assert_int_equal(grammar_mask(g, s, logits, 610, &n, &e), OK);
                for (int id = 0; id < 610; id++) {
                    grammar_state after = s;
                    bool want = id < 600 && (is_end(NULL, id) ? grammar_can_end(g, s) : w->size[id] > 0);
                    if (want && !is_end(NULL, id))
                        must_accept(g, &after, w->bytes[id], w->size[id]), want = after != GRAMMAR_DEAD;
                    if (logits[id] != (want ? (float)id : -INFINITY))
                        fail_msg("%s: token %d is wrong", grammars[k], id);
                    if (want) allowed[counted++] = (uint32_t)id;
                }
                assert_int_equal(n, counted);
                if (!n) break;
                uint32_t id = allowed[draw(5, &i, n)];
                if (is_end(NULL, (int32_t)id)) break;
                must_accept(g, &s, w->bytes[id], w->size[id]);
            }
        }
        grammar_close(&g);
    }
    grammar_words_free(&words);
    free(w);
}

/* ---- H7: grammars that ask for too much ---- */

static void refused(const char *text, const char *why) {
    struct grammar *g;
    struct error e = {""};
    uint64_t start = clock_ns();
    assert_int_equal(grammar_open(text, strlen(text), "G", NULL, &g, &e), ERR_INPUT);
    if (!strstr(e.text, why)) fail_msg("refused with \"%s\", not \"%s\"", e.text, why);
    assert_true(clock_ns() - start < 60000000000u);
}

static void h07_grammar_bombs(void **unused) {
    (void)unused;
    static char text[1 << 20];
    strcpy(text, "root ::= ");
    memset(text + strlen(text), '(', 60000);
    refused(text, "more than 200 groups within each other");
    refused("root ::= ((((\"a\"{1000}){1000}){1000}){1000})", "more than 262144 elements");
    strcpy(text, "root ::= r0\n");
    for (int r = 0; r < 5000; r++) sprintf(text + strlen(text), "r%d ::= r%d\n", r, r + 1);
    refused(text, "more than 4096 rules");
    /* Many rules, each called first by the one before: no recursion of ours. */
    strcpy(text, "root ::= r0\n");
    for (int r = 0; r < 4000; r++) sprintf(text + strlen(text), "r%d ::= r%d\n", r, r + 1);
    strcat(text, "r4000 ::= \"x\"\n");
    struct grammar *g = must_open(text, NULL);
    assert_true(matches(g, "x", 1));
    grammar_close(&g);
}

/* Two ways for each letter, told apart only later: readings double, until the engine says that it gives up. */
static void h07_ambiguity_is_bounded(void **unused) {
    (void)unused;
    struct grammar *g = must_open("root ::= \"\" | \"a\" root \"b\" | \"a\" root \"c\"", NULL);
    grammar_state s = GRAMMAR_START;
    struct error e;
    enum status st = OK;
    int n = 0;
    while (!st && n < 100) st = grammar_accept(g, &s, "a", 1, &e), n++;
    assert_int_equal(st, ERR_FULL);
    assert_non_null(strstr(e.text, "too many ways at once"));
    assert_true(s != GRAMMAR_DEAD); /* as before the byte that failed */
    grammar_close(&g);
}

static void h07_nesting_is_bounded_by_memory(void **unused) {
    (void)unused;
    struct grammar *g = must_open("root ::= \"(\" root \")\" | \"x\"", NULL);
    grammar_state s = GRAMMAR_START;
    for (int i = 0; i < 100000; i++) must_accept(g, &s, "(", 1);
    must_accept(g, &s, "x", 1);
    for (int i = 0; i < 100000; i++) must_accept(g, &s, ")", 1);
    assert_true(grammar_can_end(g, s));
    must_accept(g, &s, ")", 1);
    assert_int_equal(s, GRAMMAR_DEAD);
    grammar_close(&g);
}

/* Lists that are written with the rest as the last call take no more memory as they grow. */
static void long_lists_are_few_states(void **unused) {
    (void)unused;
    struct grammar *g = must_open("root ::= [0-9] | [0-9] \",\" root", NULL);
    grammar_state s = GRAMMAR_START, first;
    must_accept(g, &s, "1,", 2);
    first = s;
    for (int i = 0; i < 1000; i++) must_accept(g, &s, "2,", 2);
    assert_int_equal(s, first);
    grammar_close(&g);
}

static void each_allocation_may_fail(void **unused) {
    (void)unused;
    static const char text[] = "root ::= \"{\" (pair (\",\" pair)*)? \"}\"\npair ::= [a-z\xC3\xA9]+ \":\" root";
    struct words w = {.bytes = {"{", "a:", "}"}, .size = {1, 2, 1}};
    struct grammar_vocab v = {4, piece, is_end, &w};
    for (size_t i = 1;; i++) {
        struct grammar_words *words;
        struct grammar *g = NULL;
        struct error e;
        float logits[4] = {0};
        uint32_t n;
        mem_fail_at(i, true);
        enum status s = grammar_words_new(&v, &words, &e);
        if (!s) s = grammar_open(text, strlen(text), "G", words, &g, &e);
        grammar_state at = GRAMMAR_START;
        if (!s) s = grammar_accept(g, &at, "{a:{", 4, &e);
        if (!s) s = grammar_mask(g, at, logits, 4, &n, &e);
        mem_fail_at(0, false);
        if (s) assert_int_equal(s, ERR_MEMORY);
        else assert_int_equal(n, 2);
        grammar_close(&g);
        grammar_words_free(&words);
        if (!s) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notation),
        cmocka_unit_test(errors_have_line_and_column),
        cmocka_unit_test(random_grammars_match_what_a_naive_reader_matches),
        cmocka_unit_test(classes_hold_exactly_their_characters),
        cmocka_unit_test(masks_are_those_of_brute_force),
        cmocka_unit_test(h07_grammar_bombs),
        cmocka_unit_test(h07_ambiguity_is_bounded),
        cmocka_unit_test(h07_nesting_is_bounded_by_memory),
        cmocka_unit_test(long_lists_are_few_states),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
