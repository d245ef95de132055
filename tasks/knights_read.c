/* knights_read.c: the sentences of a published puzzle about knights and knaves in their compact form.
 * Not a reader of English: these sentences are made from a grammar, and this is that grammar.
 * Next: knights.c. */
#include <string.h>

#include "tasks/knights.h"

struct reader {
    const char *at;
    struct island *k;
    char *out; /* [SAID] */
    size_t size;
    int depth;
};

static bool add(struct reader *r, char c) {
    if (r->size + 1 >= SAID) return false;
    r->out[r->size++] = c;
    return true;
}

/* "Scarlett is an angel". */
static bool read_claim(struct reader *r) {
    for (int i = 0; i < r->k->n; i++) {
        const char *at = r->at;
        if (!take(&at, r->k->names[i]) || !take(&at, " is ")) continue;
        bool knight = take(&at, r->k->knight);
        if (!knight && !take(&at, r->k->knave)) continue;
        r->at = at;
        return add(r, (char)((knight ? 'A' : 'a') + i));
    }
    return false;
}

static bool read_sentence(struct reader *r);

/* A claim, or a sentence in brackets. */
static bool read_part(struct reader *r) {
    if (!take(&r->at, "(")) return read_claim(r);
    return read_sentence(r) && take(&r->at, ")");
}

static bool read_if(struct reader *r) {
    return add(r, '(') && read_part(r) && take(&r->at, " then ") && add(r, '>') && read_part(r) && add(r, ')');
}

/* The sentence behind a not stands in brackets of its own.  Of another not both are left out; of a claim the opposite
 * is taken. */
static bool read_not(struct reader *r) {
    size_t from = r->size;
    if (!add(r, '!') || !take(&r->at, "(") || !read_sentence(r) || !take(&r->at, ")")) return false;
    if (r->out[from + 1] == '(') return true;
    bool claim = r->out[from + 1] != '!';
    if (claim) r->out[from + 1] ^= 'a' ^ 'A';
    int gone = claim ? 1 : 2;
    memmove(r->out + from, r->out + from + gone, r->size - from - (size_t)gone);
    r->size -= (size_t)gone;
    return true;
}

/* "A is a knight", or two and more parts with one word between them. */
static bool read_list(struct reader *r) {
    static const struct {
        const char *word;
        char op;
    } words[] = {{" and ", '&'}, {" or ", '|'}, {" if and only if ", '='}};
    size_t from = r->size;
    char op = 0;
    if (!read_part(r)) return false;
    for (int i = 0; i < 3; i++)
        while ((!op || (op == words[i].op && op != '=')) && take(&r->at, words[i].word)) {
            if (!op) { /* only now it is known that a bracket begins here */
                if (r->size + 2 >= SAID) return false;
                memmove(r->out + from + 1, r->out + from, r->size++ - from);
                r->out[from] = '(';
            }
            op = words[i].op;
            if (!add(r, op) || !read_part(r)) return false;
        }
    return !op || add(r, ')');
}

static bool read_sentence(struct reader *r) {
    if (++r->depth > 16) return false;
    bool good = take(&r->at, "if ")                        ? read_if(r)
                : take(&r->at, "it is not the case that ") ? read_not(r)
                                                           : read_list(r);
    r->depth--;
    return good;
}

/* What stands before a sentence: a quotation mark, or words with the speaker's name, "%". */
static bool take_introduction(const char **at, const char *name) {
    static const char *const forms[] = {"% said that ",
                                        "% told you that ",
                                        "% said, \"",
                                        "% stated, \"",
                                        "According to %, \"",
                                        "In %'s words: \"",
                                        "% remarked, \"",
                                        "% was heard saying, \"",
                                        "% expressed that ",
                                        "As % put it, \"",
                                        "% asserted: \"",
                                        "% commented, \"",
                                        "In a statement by %: \"",
                                        "% noted, \"",
                                        "\""};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const char *s = *at, *form = forms[i];
        for (; *form; form++) {
            if (*form == '%') {
                if (!take(&s, name)) break;
            } else if (*s++ != *form) break;
        }
        if (*form) continue;
        *at = s;
        return true;
    }
    return false;
}

static bool copy_word(const char *from, const char *end, char out[NAME]) {
    size_t n = end ? (size_t)(end - from) : 0;
    if (n == 0 || n >= NAME) return false;
    memcpy(out, from, n);
    out[n] = 0;
    return true;
}

/* "You meet 2 inhabitants: Scarlett, and James." */
static bool read_names(const char *at, struct island *k, const char **rest) {
    if (!(at = after(at, "inhabitants: "))) return false;
    for (;;) {
        if (k->n == PERSONS || !copy_word(at, at + strcspn(at, ",."), k->names[k->n])) return false;
        at += strlen(k->names[k->n++]);
        if (take(&at, ".")) break;
        if (!take(&at, ", and ") && !take(&at, ", ")) return false;
    }
    *rest = at;
    return k->n >= 2;
}

bool knights_read(const char *text, struct island *k) {
    const char *at, *roles = after(text, "So who is "), *middle = roles ? strstr(roles, " and who is ") : NULL;
    if (!middle || !copy_word(roles, middle, k->knight)) return false;
    middle += strlen(" and who is ");
    if (!copy_word(middle, strchr(middle, '?'), k->knave) || !read_names(text, k, &at)) return false;
    for (int i = 0; i < k->n; i++) {
        struct reader r = {.k = k, .out = k->said[i]};
        skip_space(&at);
        if (!take_introduction(&at, k->names[i])) return false;
        r.at = at;
        if (!read_sentence(&r)) return false;
        if (!(at = after(r.at, "."))) return false; /* behind it: who said it, or nothing */
        take(&at, "\"");
    }
    return true;
}
