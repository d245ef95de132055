/* jinja_parse.c: the grammar of statements; opening a template.
 * Not expressions: jinja_expr.c.
 * Next: jinja_expr.c, then jinja_exec.c, which runs the tree. */
#include <string.h>

#include "base/mem.h"
#include "tokenizer/template/jinja_internal.h"

struct jnode *jparser_node(struct jparser *p, enum jkind kind) {
    struct jnode *n = jwork_new(p->w, 1, sizeof *n);
    if (n) n->kind = kind, n->line = p->token.line;
    return n;
}

void jparser_advance(struct jparser *p) {
    p->token = jlexer_next(&p->lexer);
    jwork_step(p->w, p->token.text.size);
    p->w->line = p->token.line;
}

bool jparser_is(const struct jparser *p, enum jtoken_kind kind, const char *text) {
    return p->token.kind == kind && (!text || jstr_is(p->token.text, text));
}

bool jparser_take(struct jparser *p, enum jtoken_kind kind, const char *text) {
    if (p->w->status || !jparser_is(p, kind, text)) return false;
    jparser_advance(p);
    return true;
}

void jparser_need(struct jparser *p, enum jtoken_kind kind, const char *text) {
    static const char *const kinds[] = {"the end", "text",     "{{",       "}}",       "{%",         "%}",
                                        "a name",  "a string", "a number", "a number", "an operator"};
    if (jparser_take(p, kind, text)) return;
    struct jstr found = p->token.text.size ? p->token.text : jstr_of(kinds[p->token.kind]);
    jwork_fail(p->w, ERR_INPUT, "\"%s\" is missing before \"%.*s\"", text ? text : kinds[kind],
               (int)(found.size < 40 ? found.size : 40), found.text);
}

static struct jnode *body(struct jparser *p, const char *const *ends);

/* The rest of "{% endNAME %}", whose name is the token now. */
static void end_of(struct jparser *p, const char *name) {
    jparser_need(p, T_NAME, name);
    jparser_need(p, T_TAG_CLOSE, NULL);
}

/* "%} body {% endNAME %}" */
static struct jnode *block(struct jparser *p, const char *end) {
    jparser_need(p, T_TAG_CLOSE, NULL);
    struct jnode *n = body(p, (const char *const[]){end, NULL});
    end_of(p, end);
    return n;
}

static struct jnode *if_statement(struct jparser *p) {
    struct jnode *first = NULL, **at = &first;
    do { /* elif: an if in the else of the one before */
        struct jnode *n = *at = jparser_node(p, N_IF);
        if (!n) return NULL;
        n->a = jparser_expression(p);
        jparser_need(p, T_TAG_CLOSE, NULL);
        n->b = body(p, (const char *const[]){"elif", "else", "endif", NULL});
        at = &n->c;
    } while (jparser_take(p, T_NAME, "elif"));
    if (jparser_take(p, T_NAME, "else")) {
        jparser_need(p, T_TAG_CLOSE, NULL);
        *at = body(p, (const char *const[]){"endif", NULL});
    }
    end_of(p, "endif");
    return first;
}

/* "a", "a, b", "(a, b)", "a.b" */
static struct jnode *targets(struct jparser *p) {
    struct jnode *first = NULL, **end = &first;
    bool bracket = jparser_take(p, T_OP, "(");
    do {
        struct jnode *n = jparser_node(p, N_NAME);
        if (!n) return NULL;
        n->name = p->token.text;
        jparser_need(p, T_NAME, NULL);
        if (jparser_take(p, T_OP, ".")) {
            struct jnode *of = n;
            if (!(n = jparser_node(p, N_ATTRIBUTE))) return NULL;
            n->a = of, n->name = p->token.text;
            jparser_need(p, T_NAME, NULL);
        }
        *end = n, end = &n->next;
    } while (jparser_take(p, T_OP, ","));
    if (bracket) jparser_need(p, T_OP, ")");
    return first;
}

static struct jnode *for_statement(struct jparser *p) {
    struct jnode *n = jparser_node(p, N_FOR);
    if (!n) return NULL;
    n->args = targets(p);
    jparser_need(p, T_NAME, "in");
    n->a = jparser_operand(p);
    if (jparser_take(p, T_NAME, "if")) n->d = jparser_expression(p);
    if (jparser_is(p, T_NAME, "recursive")) jwork_fail(p->w, ERR_INPUT, "recursive loops are not supported");
    jparser_need(p, T_TAG_CLOSE, NULL);
    p->n_loops++;
    n->b = body(p, (const char *const[]){"else", "endfor", NULL});
    p->n_loops--;
    if (jparser_take(p, T_NAME, "else")) {
        jparser_need(p, T_TAG_CLOSE, NULL);
        n->c = body(p, (const char *const[]){"endfor", NULL});
    }
    end_of(p, "endfor");
    return n;
}

/* Filters on the text that the body writes: "| f %} body {% endNAME %}". */
static struct jnode *captured(struct jparser *p, bool filtered, const char *end) {
    struct jnode *n = jparser_node(p, N_CAPTURE), *value = n;
    int n_loops = p->n_loops;
    if (!n) return NULL;
    if (filtered) value = jparser_filters(p, n);
    p->n_loops = 0; /* a break may not leave the body: its text would be lost */
    n->b = block(p, end);
    p->n_loops = n_loops;
    return value;
}

static struct jnode *set_statement(struct jparser *p) {
    struct jnode *n = jparser_node(p, N_SET);
    if (!n) return NULL;
    n->args = targets(p);
    if (!jparser_take(p, T_OP, "=")) {
        n->a = captured(p, jparser_take(p, T_OP, "|"), "endset");
        return n;
    }
    n->a = jparser_expression(p);
    if (n->a && jparser_is(p, T_OP, ",")) { /* a list without brackets */
        struct jnode *list = jparser_node(p, N_LIST), *last = n->a;
        if (!list) return NULL;
        list->args = n->a, n->a = list;
        while (last && jparser_take(p, T_OP, ",")) last = last->next = jparser_expression(p);
    }
    jparser_need(p, T_TAG_CLOSE, NULL);
    return n;
}

static struct jnode *macro_statement(struct jparser *p) {
    struct jnode *n = jparser_node(p, N_MACRO), **end = n ? &n->args : NULL;
    int n_loops = p->n_loops;
    if (!n) return NULL;
    n->name = p->token.text;
    jparser_need(p, T_NAME, NULL);
    jparser_need(p, T_OP, "(");
    while (jparser_is(p, T_NAME, NULL)) {
        struct jnode *parameter = *end = jparser_node(p, N_NAME);
        if (!parameter) return NULL;
        parameter->name = p->token.text;
        jparser_advance(p);
        if (jparser_take(p, T_OP, "=")) parameter->a = jparser_expression(p);
        end = &parameter->next;
        if (!jparser_take(p, T_OP, ",")) break;
    }
    jparser_need(p, T_OP, ")");
    p->n_loops = 0;
    n->b = block(p, "endmacro");
    p->n_loops = n_loops;
    return n;
}

static struct jnode *filter_statement(struct jparser *p) {
    struct jnode *n = jparser_node(p, N_PRINT);
    if (n) n->a = captured(p, true, "endfilter");
    return n;
}

/* generation marks what the model is trained on: its body is written as it is. */
static struct jnode *generation_statement(struct jparser *p) {
    struct jnode *n = jparser_node(p, N_BLOCK);
    if (n) n->b = block(p, "endgeneration");
    return n;
}

static struct jnode *leave_loop(struct jparser *p, enum jkind kind) {
    struct jnode *n = jparser_node(p, kind);
    if (!p->n_loops) jwork_fail(p->w, ERR_INPUT, "%s outside of a loop", kind == N_BREAK ? "break" : "continue");
    jparser_need(p, T_TAG_CLOSE, NULL);
    return n;
}
static struct jnode *break_statement(struct jparser *p) { return leave_loop(p, N_BREAK); }
static struct jnode *continue_statement(struct jparser *p) { return leave_loop(p, N_CONTINUE); }

static const struct {
    const char *name;
    struct jnode *(*parse)(struct jparser *p);
} statements[] = {
    {"if", if_statement},       {"for", for_statement},           {"set", set_statement},
    {"macro", macro_statement}, {"filter", filter_statement},     {"generation", generation_statement},
    {"break", break_statement}, {"continue", continue_statement},
};
enum { N_STATEMENTS = sizeof statements / sizeof *statements };

static struct jnode *statement(struct jparser *p) {
    struct jstr name = p->token.text;
    for (int i = 0; i < N_STATEMENTS; i++)
        if (jparser_take(p, T_NAME, statements[i].name)) return statements[i].parse(p);
    jwork_fail(p->w, ERR_INPUT,
               "tag \"%.*s\" is not known here; known are if, for, set, macro, filter, generation, break, continue",
               (int)(name.size < 40 ? name.size : 40), name.text ? name.text : "");
    return NULL;
}

static bool is_one_of(const struct jparser *p, const char *const *names) {
    for (; names && *names; names++)
        if (jparser_is(p, T_NAME, *names)) return true;
    return false;
}

/* Statements up to a tag of one of these names, which becomes the token; NULL: up to the end of the template. */
static struct jnode *body(struct jparser *p, const char *const *ends) {
    struct jnode *first = NULL, **end = &first;
    if (!jwork_enter(p->w)) goto out;
    while (!p->w->status && p->token.kind != T_END) {
        struct jnode *n = NULL;
        if (p->token.kind == T_TEXT) {
            if ((n = jparser_node(p, N_TEXT))) n->value = jval_string(p->token.text);
            jparser_advance(p);
        } else if (jparser_take(p, T_PRINT_OPEN, NULL)) {
            if ((n = jparser_node(p, N_PRINT))) n->a = jparser_expression(p);
            jparser_need(p, T_PRINT_CLOSE, NULL);
        } else {
            jparser_need(p, T_TAG_OPEN, NULL);
            if (is_one_of(p, ends)) goto out;
            n = statement(p);
        }
        if (!n) goto out;
        *end = n, end = &n->next;
    }
    while (ends && ends[1]) ends++; /* the last one closes the statement */
    if (ends) jwork_fail(p->w, ERR_INPUT, "\"%s\" is missing at the end", ends[0]);
out:
    p->w->depth--;
    return first;
}

struct jnode *jparser_template(struct jparser *p) {
    jparser_advance(p);
    return body(p, NULL);
}
