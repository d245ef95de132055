/* jinja_expr.c: the grammar of expressions, by recursive descent; binary operators by their binding power.
 * Not their values: jinja_eval.c.
 * Next: jinja_eval.c. */
#include <string.h>

#include "tokenizer/template/jinja_internal.h"

static bool is_op(const struct jparser *p, const char *text) { return jparser_is(p, T_OP, text); }
static bool take_op(struct jparser *p, const char *text) { return jparser_take(p, T_OP, text); }
static void need_op(struct jparser *p, const char *text) { jparser_need(p, T_OP, text); }
static bool is_word(const struct jparser *p, const char *text) { return jparser_is(p, T_NAME, text); }
static bool take_word(struct jparser *p, const char *text) { return jparser_take(p, T_NAME, text); }

static struct jnode *node_on(struct jparser *p, enum jkind kind, struct jnode *a) {
    struct jnode *n = jparser_node(p, kind);
    if (n) n->a = a;
    return n;
}

static struct jnode *literal(struct jparser *p, struct jval v) {
    struct jnode *n = jparser_node(p, N_LITERAL);
    if (n) n->value = v;
    return n;
}

/* Expressions up to the closing bracket; "x: y" pairs when the node is a dict. */
static struct jnode *members(struct jparser *p, enum jkind kind, const char *close) {
    struct jnode *n = jparser_node(p, kind);
    struct jnode **end = n ? &n->args : NULL;
    while (end && !p->w->status && !is_op(p, close)) {
        if (!(*end = jparser_expression(p))) break;
        end = &(*end)->next;
        if (kind == N_DICT) {
            need_op(p, ":");
            if (!(*end = jparser_expression(p))) break;
            end = &(*end)->next;
        }
        if (!take_op(p, ",")) break;
    }
    need_op(p, close);
    return n;
}

/* "(a)" is a; "(a, b)", "(a,)" and "()" are lists. */
static struct jnode *parenthesis(struct jparser *p) {
    if (take_op(p, ")")) return jparser_node(p, N_LIST);
    struct jnode *first = jparser_expression(p);
    if (!is_op(p, ",")) {
        need_op(p, ")");
        return first;
    }
    take_op(p, ",");
    struct jnode *n = members(p, N_LIST, ")");
    if (n && first) first->next = n->args, n->args = first;
    return n;
}

static struct jnode *string_literal(struct jparser *p) {
    struct jbuf b = {0};
    struct jstr one = p->token.text;
    jparser_advance(p);
    if (p->token.kind != T_STRING) return literal(p, jval_string(one));
    jbuf_add(p->w, &b, one); /* 'a' 'b' is 'ab' */
    for (; p->token.kind == T_STRING; jparser_advance(p)) jbuf_add(p->w, &b, p->token.text);
    return literal(p, jbuf_value(&b));
}

static struct jnode *primary(struct jparser *p) {
    struct jtoken t = p->token;
    struct jnode *n;
    if (t.kind == T_STRING) return string_literal(p);
    jparser_advance(p);
    switch (t.kind) {
    case T_INT: return literal(p, jval_int(t.i));
    case T_REAL: return literal(p, jval_real(t.r));
    case T_NAME:
        if (jstr_is(t.text, "true") || jstr_is(t.text, "True")) return literal(p, jval_bool(true));
        if (jstr_is(t.text, "false") || jstr_is(t.text, "False")) return literal(p, jval_bool(false));
        if (jstr_is(t.text, "none") || jstr_is(t.text, "None")) return literal(p, jval_none());
        if ((n = jparser_node(p, N_NAME))) n->name = t.text;
        return n;
    case T_OP:
        if (jstr_is(t.text, "(")) return parenthesis(p);
        if (jstr_is(t.text, "[")) return members(p, N_LIST, "]");
        if (jstr_is(t.text, "{")) return members(p, N_DICT, "}");
        break;
    default: break;
    }
    jwork_fail(p->w, ERR_INPUT, "a value is missing before \"%.*s\"", (int)(t.text.size < 40 ? t.text.size : 40),
               t.text.text ? t.text.text : "");
    return NULL;
}

/* Arguments after "(". */
static struct jnode *arguments(struct jparser *p) {
    struct jnode *first = NULL, **end = &first;
    while (!p->w->status && !is_op(p, ")")) {
        struct jnode *a = jparser_expression(p);
        if (a && a->kind == N_NAME && take_op(p, "=")) {
            struct jstr name = a->name;
            a = jparser_expression(p);
            /* a node of its own, for the name: the value may be a name itself */
            if ((a = node_on(p, N_BLOCK, a))) a->name = name;
        }
        if (!a) break;
        *end = a, end = &a->next;
        if (!take_op(p, ",")) break;
    }
    need_op(p, ")");
    return first;
}

/* After "[": an index or a slice. */
static struct jnode *subscript(struct jparser *p, struct jnode *of) {
    struct jnode *n = node_on(p, N_ITEM, of);
    if (!n) return NULL;
    if (!is_op(p, ":")) n->b = jparser_expression(p);
    if (take_op(p, ":")) {
        n->kind = N_SLICE;
        if (!is_op(p, "]") && !is_op(p, ":")) n->c = jparser_expression(p);
        if (take_op(p, ":") && !is_op(p, "]")) n->d = jparser_expression(p);
    }
    need_op(p, "]");
    return n;
}

/* ".name", "[index]" and "(arguments)". */
static struct jnode *postfix(struct jparser *p, struct jnode *a) {
    while (a && jwork_step(p->w, 0)) {
        if (take_op(p, ".")) {
            a = node_on(p, N_ATTRIBUTE, a);
            if (a) a->name = p->token.text;
            if (a && p->token.kind == T_INT) a->kind = N_ITEM, a->b = literal(p, jval_int(p->token.i));
            if (p->token.kind == T_INT) jparser_advance(p);
            else jparser_need(p, T_NAME, NULL);
        } else if (take_op(p, "[")) {
            a = subscript(p, a);
        } else if (take_op(p, "(")) {
            a = node_on(p, N_CALL, a);
            if (a) a->args = arguments(p);
        } else {
            break;
        }
    }
    return a;
}

struct jnode *jparser_filters(struct jparser *p, struct jnode *a) {
    do {
        struct jnode *n = node_on(p, N_FILTER, a);
        if (!n) return NULL;
        struct jstr name = p->token.text;
        jparser_need(p, T_NAME, NULL);
        n->value = jval_int(jfilter_find(name));
        if (!p->w->status && n->value.i < 0)
            jwork_fail(p->w, ERR_INPUT, "filter \"%.*s\" is not known", (int)(name.size < 40 ? name.size : 40),
                       name.text);
        if (take_op(p, "(")) n->args = arguments(p);
        a = n;
    } while (!p->w->status && take_op(p, "|"));
    return a;
}

/* After "is". */
static struct jnode *test(struct jparser *p, struct jnode *a) {
    bool negated = take_word(p, "not");
    struct jnode *n = node_on(p, N_TEST, a);
    struct jtoken t = p->token;
    if (!n) return NULL;
    jparser_need(p, T_NAME, NULL);
    n->value = jval_int(jtest_find(t.text));
    if (!p->w->status && n->value.i < 0)
        jwork_fail(p->w, ERR_INPUT, "test \"%.*s\" is not known", (int)(t.text.size < 40 ? t.text.size : 40),
                   t.text.text);
    enum jtoken_kind k = p->token.kind;
    bool ends = is_word(p, "and") || is_word(p, "or") || is_word(p, "else") || is_word(p, "if") || is_word(p, "is") ||
                is_word(p, "not") || is_word(p, "in");
    if (take_op(p, "(")) n->args = arguments(p);
    else if ((k == T_NAME && !ends) || k == T_STRING || k == T_INT || k == T_REAL || is_op(p, "[") || is_op(p, "{"))
        n->args = postfix(p, primary(p));
    return negated ? node_on(p, N_NOT, n) : n;
}

static struct jnode *unary(struct jparser *p, bool with_filters) {
    struct jnode *a;
    if (!jwork_enter(p->w)) {
        p->w->depth--;
        return NULL;
    }
    if (take_op(p, "-")) a = node_on(p, N_MINUS, unary(p, false));
    else if (take_op(p, "+")) a = node_on(p, N_PLUS, unary(p, false));
    else a = postfix(p, primary(p));
    while (with_filters && a && !p->w->status) {
        if (take_op(p, "|")) a = jparser_filters(p, a);
        else if (take_word(p, "is")) a = test(p, a);
        else if (is_op(p, "(") || is_op(p, ".") || is_op(p, "[")) a = postfix(p, a);
        else break;
    }
    p->w->depth--;
    return a;
}

/* Binding powers: a higher one binds tighter. */
enum { BIND_OR = 1, BIND_AND, BIND_NOT, BIND_COMPARE, BIND_ADD, BIND_JOIN, BIND_MULTIPLY, BIND_POWER };

static const struct {
    const char *text;
    enum jtoken_kind token;
    enum jkind kind;
    enum jop op;
    int power;
} operators[] = {
    {"or", T_NAME, N_OR, 0, BIND_OR},
    {"and", T_NAME, N_AND, 0, BIND_AND},
    {"==", T_OP, N_BINARY, OP_EQ, BIND_COMPARE},
    {"!=", T_OP, N_BINARY, OP_NE, BIND_COMPARE},
    {"<", T_OP, N_BINARY, OP_LT, BIND_COMPARE},
    {"<=", T_OP, N_BINARY, OP_LE, BIND_COMPARE},
    {">", T_OP, N_BINARY, OP_GT, BIND_COMPARE},
    {">=", T_OP, N_BINARY, OP_GE, BIND_COMPARE},
    {"in", T_NAME, N_BINARY, OP_IN, BIND_COMPARE},
    {"not", T_NAME, N_BINARY, OP_NOT_IN, BIND_COMPARE},
    {"+", T_OP, N_BINARY, OP_ADD, BIND_ADD},
    {"-", T_OP, N_BINARY, OP_SUB, BIND_ADD},
    {"~", T_OP, N_BINARY, OP_JOIN, BIND_JOIN},
    {"*", T_OP, N_BINARY, OP_MUL, BIND_MULTIPLY},
    {"/", T_OP, N_BINARY, OP_DIV, BIND_MULTIPLY},
    {"//", T_OP, N_BINARY, OP_FLOOR, BIND_MULTIPLY},
    {"%", T_OP, N_BINARY, OP_MOD, BIND_MULTIPLY},
    {"**", T_OP, N_BINARY, OP_POWER, BIND_POWER},
};
enum { N_OPERATORS = sizeof operators / sizeof *operators };

static struct jnode *binary(struct jparser *p, int least);

static struct jnode *prefix(struct jparser *p, int least) {
    if (least > BIND_NOT || !is_word(p, "not")) return unary(p, true);
    jparser_advance(p);
    if (!jwork_enter(p->w)) {
        p->w->depth--;
        return NULL;
    }
    struct jnode *n = node_on(p, N_NOT, binary(p, BIND_NOT));
    p->w->depth--;
    return n;
}

/* a < b < c: a < b and b < c, as in Python. */
static struct jnode *compared(struct jparser *p, struct jnode *left, struct jnode *n) {
    const struct jnode *last = left->kind == N_AND ? left->b : left;
    if (!last) return NULL;
    n->a = last->b;
    struct jnode *both = node_on(p, N_AND, left);
    if (both) both->b = n;
    return both;
}

static struct jnode *binary(struct jparser *p, int least) {
    struct jnode *left = prefix(p, least);
    bool was_compared = false;
    while (left && jwork_step(p->w, 0)) {
        int i = 0;
        while (i < N_OPERATORS && !jparser_is(p, operators[i].token, operators[i].text)) i++;
        if (i == N_OPERATORS || operators[i].power < least) break;
        jparser_advance(p);
        if (operators[i].op == OP_NOT_IN && operators[i].kind == N_BINARY) jparser_need(p, T_NAME, "in");
        struct jnode *n = node_on(p, operators[i].kind, left);
        if (!n) return NULL;
        n->op = operators[i].op;
        n->b = binary(p, operators[i].power + 1);
        bool compares = operators[i].power == BIND_COMPARE;
        left = compares && was_compared ? compared(p, left, n) : n;
        was_compared = compares;
    }
    return left;
}

struct jnode *jparser_operand(struct jparser *p) {
    return binary(p, BIND_OR);
}

/* value if when else other */
struct jnode *jparser_expression(struct jparser *p) {
    struct jnode *n = NULL;
    if (jwork_enter(p->w)) n = binary(p, BIND_OR);
    while (n && !p->w->status && take_word(p, "if")) {
        n = node_on(p, N_CHOICE, n);
        if (n) n->b = binary(p, BIND_OR);
        if (n && take_word(p, "else")) n->c = jparser_expression(p);
    }
    p->w->depth--;
    return p->w->status ? NULL : n;
}
