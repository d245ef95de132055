/* expression.c: a chain of steps written as one expression, and expressions of any origin checked.
 * Not algebra: only order and grouping of + - and of * / are made canonical, nothing is expanded or cancelled.
 * Next: task.c. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tasks/countdown.h"

/* Bytes of any expression here: 9 numbers of 4 digits, 8 operators of 3 bytes, 8 pairs of brackets. */
enum { EXPRESSION = 96, MAX_DEPTH = 64 };

/* -- from steps to a tree -- */

/* " 8 / 8 = 1 ; 1 4 7", " 7 - 1 = 6 ; ..." :     (-)  node 5: left 1, right 4
 *                                               /   \
 *                                             (7)   (/)  node 4: left 2, right 3
 */
struct node {
    char op; /* 0: a given number */
    int left, right;
    struct ratio value;
};

struct tree {
    int n; /* the root is the last one */
    struct node nodes[2 * CD_MAX - 1];
    bool used[2 * CD_MAX - 1]; /* has a parent */
};

/* Marks a node of value v that has no parent yet as used; the step was checked, so there is one. */
static int take_node(struct tree *t, struct ratio v) {
    int i = 0;
    while (t->used[i] || t->nodes[i].value.num != v.num || t->nodes[i].value.den != v.den) i++;
    assert(i < t->n);
    t->used[i] = true;
    return i;
}

/* False when the text is not a correct chain down to one number. */
static bool read_chain(const struct cd_problem *p, const char *text, struct tree *t) {
    struct cd_state start = cd_start(p), end;
    int n_steps;
    cd_check(p, text, &n_steps, &end);
    if (end.n != 1) return false;
    *t = (struct tree){.n = start.n};
    for (int i = 0; i < start.n; i++) t->nodes[i].value = start.left[i];
    for (int i = 0; i < n_steps; i++) {
        struct cd_step step;
        size_t size = strcspn(text, "\n");
        if (!cd_step_read(text, size, &step)) return false;
        text += size + (text[size] == '\n');
        int left = take_node(t, step.a), right = take_node(t, step.b);
        t->nodes[t->n++] = (struct node){step.op, left, right, step.result};
    }
    return text[strspn(text, " \t\r\n")] == 0;
}

/* -- from a tree to text -- */

static bool is_sum(char op) { return op == '+' || op == '-'; }
static bool is_product(char op) { return op == '*' || op == '/'; }

/* Are brackets needed around an operand? */
static bool is_bracketed(char parent, bool is_right, char child) {
    if (is_sum(child)) return is_product(parent) || (parent == '-' && is_right);
    return is_product(child) && parent == '/' && is_right;
}

/* An expression under construction. */
struct text {
    size_t n;
    char s[EXPRESSION];
};

static void put(struct text *out, const char *s) {
    size_t size = strlen(s);
    assert(out->n + size < EXPRESSION);
    memcpy(out->s + out->n, s, size + 1);
    out->n += size;
}

static void put_operator(struct text *out, char op) { put(out, (char[]){' ', op, ' ', 0}); }

static void put_number(struct text *out, struct ratio v) {
    char digits[24];
    snprintf(digits, sizeof digits, "%d", (int)v.num);
    put(out, digits);
}

static void put_plain(struct text *out, const struct tree *t, int at) {
    const struct node *x = &t->nodes[at];
    if (!x->op) {
        put_number(out, x->value);
        return;
    }
    for (int right = 0; right < 2; right++) {
        int child = right ? x->right : x->left;
        bool bracketed = is_bracketed(x->op, right, t->nodes[child].op);
        if (right) put_operator(out, x->op);
        if (bracketed) put(out, "(");
        put_plain(out, t, child);
        if (bracketed) put(out, ")");
    }
}

/* A term of a sum (inverse: subtracted) or a factor of a product (inverse: divided by). */
struct term {
    bool inverse;
    struct text text;
};

static void put_canonical(struct text *out, const struct tree *t, int at);

/* Collects the terms below `at` as far as the operators are of the kind of `sum`: a - (b - c) is a, -b, c.  Adds to the
 * n terms, returns the new count. */
static int collect_terms(const struct tree *t, int at, bool sum, bool inverse, struct term *terms, int n) {
    const struct node *x = &t->nodes[at];
    if (x->op && is_sum(x->op) == sum) {
        bool flips = x->op == '-' || x->op == '/';
        n = collect_terms(t, x->left, sum, inverse, terms, n);
        return collect_terms(t, x->right, sum, inverse != flips, terms, n);
    }
    bool bracketed = !sum && is_sum(x->op);
    terms[n] = (struct term){.inverse = inverse};
    if (bracketed) put(&terms[n].text, "(");
    put_canonical(&terms[n].text, t, at);
    if (bracketed) put(&terms[n].text, ")");
    return n + 1;
}

/* Inverse ones last (there is always one that is not), then by length, which sorts plain numbers by value. */
static bool is_before(const struct term *a, const struct term *b) {
    if (a->inverse != b->inverse) return b->inverse;
    if (a->text.n != b->text.n) return a->text.n < b->text.n;
    return strcmp(a->text.s, b->text.s) < 0;
}

static void sort_terms(struct term *terms, int n) {
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && is_before(&terms[k], &terms[k - 1]); k--) {
            struct term swap = terms[k];
            terms[k] = terms[k - 1], terms[k - 1] = swap;
        }
}

static void put_canonical(struct text *out, const struct tree *t, int at) {
    const struct node *x = &t->nodes[at];
    if (!x->op) {
        put_number(out, x->value);
        return;
    }
    struct term terms[CD_MAX];
    bool sum = is_sum(x->op);
    int n = collect_terms(t, at, sum, false, terms, 0);
    sort_terms(terms, n);
    for (int i = 0; i < n; i++) {
        if (i > 0) put_operator(out, sum ? "+-"[terms[i].inverse] : "*/"[terms[i].inverse]);
        put(out, terms[i].text.s);
    }
}

size_t cd_expression(const struct cd_problem *p, const char *text, bool canonical, char *out, size_t cap) {
    struct tree t;
    struct text whole = {0};
    if (cap) out[0] = 0;
    if (!cap || !read_chain(p, text, &t)) return 0;
    if (canonical) put_canonical(&whole, &t, t.n - 1);
    else put_plain(&whole, &t, t.n - 1);
    size_t n = whole.n < cap ? whole.n : cap - 1;
    memcpy(out, whole.s, n);
    out[n] = 0;
    return n;
}

/* -- checking an expression: recursive descent that computes as it reads -- */

struct reader {
    const struct cd_problem *p;
    const char *start, *at;
    int depth;
    bool used[CD_MAX];
    bool posed; /* signs are allowed, "= 24" and zeros before a number are not */
    struct error *e;
};

static bool fail_at(struct reader *r, const char *expected) {
    return !error_set(r->e, ERR_INPUT, "expression, column %zu: \"%.12s\" where %s is expected",
                      (size_t)(r->at - r->start) + 1, r->at, expected);
}

static void skip_spaces(struct reader *r) { r->at += strspn(r->at, " \t\r\n"); }

/* Takes one operator of `set`, also as the signs that people type; 0 when there is none. */
static char take_operator(struct reader *r, const char *set) {
    static const struct {
        const char *text;
        char op;
    } signs[] = {{"+", '+'}, {"-", '-'}, {"*", '*'}, {"/", '/'}, {"×", '*'}, {"÷", '/'}, {"−", '-'}};
    skip_spaces(r);
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        size_t size = strlen(signs[i].text);
        if (strncmp(r->at, signs[i].text, size) != 0 || !strchr(set, signs[i].op)) continue;
        r->at += size;
        return signs[i].op;
    }
    return 0;
}

static bool read_number(struct reader *r, struct ratio *v) {
    int number = 0;
    size_t size = strspn(r->at, "0123456789");
    if (r->posed && size > 1 && *r->at == '0') return fail_at(r, "a number without zeros before it");
    for (size_t i = 0; i < size && number <= 9999; i++) number = number * 10 + (r->at[i] - '0');
    for (int i = 0; i < r->p->n; i++) {
        if (r->used[i] || r->p->numbers[i] != number) continue;
        r->used[i] = true;
        r->at += size;
        if (r->posed && *r->at == '.' && !(r->at[1] >= '0' && r->at[1] <= '9')) r->at++; /* "35." */
        *v = ratio_int(number);
        return true;
    }
    return !error_set(r->e, ERR_INPUT, "expression, column %zu: %.*s is not among the numbers left to use",
                      (size_t)(r->at - r->start) + 1, size < 20 ? (int)size : 20, r->at);
}

static bool read_sum(struct reader *r, struct ratio *v);

static bool read_operand(struct reader *r, struct ratio *v) {
    skip_spaces(r);
    if (r->posed && (*r->at == '-' || *r->at == '+')) {
        bool minus = *r->at++ == '-';
        if (++r->depth > MAX_DEPTH || !read_operand(r, v)) return false;
        r->depth--;
        if (minus) v->num = -v->num;
        return true;
    }
    if (*r->at >= '0' && *r->at <= '9') return read_number(r, v);
    if (*r->at != '(') return fail_at(r, "a number or '('");
    if (++r->depth > MAX_DEPTH)
        return !error_set(r->e, ERR_INPUT, "expression: more than %d brackets are open", MAX_DEPTH);
    r->at++;
    if (!read_sum(r, v)) return false;
    if (*r->at != ')') return fail_at(r, "an operator or ')'");
    r->at++, r->depth--;
    return true;
}

static bool apply(struct reader *r, char op, struct ratio b, struct ratio *v) {
    if (ratio_apply(*v, op, b, v)) return true;
    const char *why = op == '/' && b.num == 0 ? "division by zero" : "a value is too large";
    return !error_set(r->e, ERR_INPUT, "expression, before column %zu: %s", (size_t)(r->at - r->start) + 1, why);
}

static bool read_product(struct reader *r, struct ratio *v) {
    if (!read_operand(r, v)) return false;
    for (char op; (op = take_operator(r, "*/"));) {
        struct ratio b;
        if (!read_operand(r, &b) || !apply(r, op, b, v)) return false;
    }
    return true;
}

/* Leaves r->at on the first byte that is neither blank nor part of the sum. */
static bool read_sum(struct reader *r, struct ratio *v) {
    if (!read_product(r, v)) return false;
    for (char op; (op = take_operator(r, "+-"));) {
        struct ratio b;
        if (!read_product(r, &b) || !apply(r, op, b, v)) return false;
    }
    return true;
}

static bool check(const struct cd_problem *p, const char *expression, bool posed, struct error *e) {
    struct reader r = {.p = p, .start = expression, .at = expression, .posed = posed, .e = e};
    struct ratio v;
    char stated[16];
    if (!read_sum(&r, &v)) return false;
    snprintf(stated, sizeof stated, "%d", p->target);
    if (*r.at == '=' && !posed) { /* people end with "= 24" */
        r.at++;
        skip_spaces(&r);
        size_t size = strspn(r.at, "0123456789");
        if (size != strlen(stated) || strncmp(r.at, stated, size) != 0) return fail_at(&r, "the target");
        r.at += size;
        skip_spaces(&r);
    }
    if (*r.at) return fail_at(&r, "an operator or the end");
    for (int i = 0; i < p->n; i++)
        if (!r.used[i]) return !error_set(e, ERR_INPUT, "expression: %d is not used", p->numbers[i]);
    if (v.num == p->target && v.den == 1) return true;
    if (v.den == 1) return !error_set(e, ERR_INPUT, "expression: its value is %lld, not %s", (long long)v.num, stated);
    return !error_set(e, ERR_INPUT, "expression: its value is %lld/%lld, not %s", (long long)v.num, (long long)v.den,
                      stated);
}

bool cd_check_expression(const struct cd_problem *p, const char *expression, struct error *e) {
    return check(p, expression, false, e);
}

bool cd_check_posed(const struct cd_problem *p, const char *expression, struct error *e) {
    size_t good = strspn(expression, "0123456789+-*/(). ");
    if (!expression[good]) return check(p, expression, true, e);
    return !error_set(e, ERR_INPUT, "expression, column %zu: \"%.12s\" is not allowed", good + 1, expression + good);
}
