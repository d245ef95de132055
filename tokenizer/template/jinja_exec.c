/* jinja_exec.c: runs the statements of a template; scopes, loops, macros; the public calls.
 * Not expressions: jinja_eval.c.
 * Next: jinja_eval.c. */
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "tokenizer/template/jinja_internal.h"

const struct jinja_limits jinja_limits = {
    .output_bytes = 16 << 20, .memory_bytes = 256 << 20, .steps = 10000000, .depth = 250, .range = 100000};

struct jinja {
    struct jwork w; /* holds the tree and the text */
    const struct jnode *body;
};

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static enum flow run(struct jrun *r, const struct jnode *n);

/* ---- scopes ---- */

void jscope_set(struct jrun *r, struct jscope *s, struct jstr name, struct jval v) {
    for (struct jvar *x = s->vars; x && jwork_step(&r->w, 0); x = x->next)
        if (jstr_same(x->name, name)) {
            x->value = v;
            return;
        }
    struct jvar *x = jwork_new(&r->w, 1, sizeof *x);
    if (!x) return;
    *x = (struct jvar){name, v, s->vars};
    s->vars = x;
}

static void assign(struct jrun *r, const struct jnode *target, struct jval v) {
    if (target->kind == N_NAME) {
        jscope_set(r, r->scope, target->name, v);
        return;
    }
    struct jval of = jval_evaluate(r, target->a);
    if (of.type == J_DICT && of.dict->is_namespace) jdict_set(&r->w, of.dict, jval_string(target->name), v);
    else
        jwork_fail(&r->w, ERR_INPUT, "\"%.*s\" is %s: only members of a namespace can be set",
                   (int)target->a->name.size, target->a->name.text, jval_kind(of));
}

/* One target takes the value, several its items. */
static void assign_all(struct jrun *r, const struct jnode *targets, struct jval v) {
    if (!targets->next) {
        assign(r, targets, v);
        return;
    }
    const struct jlist *items = jval_items(&r->w, v);
    size_t n = 0;
    for (const struct jnode *t = targets; t; t = t->next) n++;
    if (items && items->n != n) jwork_fail(&r->w, ERR_INPUT, "%zu names for %zu values", n, items->n);
    for (size_t i = 0; !r->w.status && items && i < n; i++, targets = targets->next) assign(r, targets, items->at[i]);
}

struct jval jval_capture(struct jrun *r, const struct jnode *body) {
    struct jbuf text = {0}, *out = r->out;
    struct jscope scope = {.parent = r->scope};
    r->out = &text, r->scope = &scope;
    run(r, body);
    r->out = out, r->scope = scope.parent;
    return r->w.status ? jval_undefined() : jbuf_value(&text);
}

struct jval jval_call_macro(struct jrun *r, const struct jnode *macro, const struct jargs *a) {
    struct jscope scope = {.parent = &r->globals}, *caller = r->scope;
    size_t n_loops = r->n_loops, i = 0;
    for (const struct jnode *p = macro->args; p && !r->w.status; p = p->next, i++) {
        char name[64];
        size_t size = p->name.size < sizeof name - 1 ? p->name.size : sizeof name - 1;
        memcpy(name, p->name.text, size), name[size] = 0;
        struct jval v = jargs_get(a, i, name);
        r->scope = &scope;
        if (v.type == J_UNDEFINED && p->a) v = jval_evaluate(r, p->a);
        jscope_set(r, &scope, p->name, v);
    }
    r->scope = &scope, r->n_loops = 0;
    struct jval v = jval_capture(r, macro->b);
    r->scope = caller, r->n_loops = n_loops;
    return v;
}

/* ---- loops ---- */

/* Those items for which the loop's condition holds. */
static struct jlist *chosen(struct jrun *r, const struct jnode *n, const struct jlist *items) {
    struct jval kept = jlist_new(&r->w, 4);
    for (size_t i = 0; kept.type == J_LIST && i < items->n && jwork_step(&r->w, 0); i++) {
        struct jscope scope = {.parent = r->scope};
        r->scope = &scope;
        assign_all(r, n->args, items->at[i]);
        if (jval_true(jval_evaluate(r, n->d))) jlist_add(&r->w, kept.list, items->at[i]);
        r->scope = scope.parent;
    }
    return r->w.status ? NULL : kept.list;
}

static enum flow run_for(struct jrun *r, const struct jnode *n) {
    const struct jlist *items = jval_items(&r->w, jval_evaluate(r, n->a));
    if (items && n->d) items = chosen(r, n, items);
    if (!items || r->w.status) return FLOW_ON;
    if (!items->n) return run(r, n->c);
    struct jloop *loop = jwork_new(&r->w, 1, sizeof *loop);
    if (!loop) return FLOW_ON;
    loop->items = items, loop->depth = ++r->n_loops;
    for (; loop->index < items->n && jwork_step(&r->w, 0); loop->index++) {
        struct jscope scope = {.parent = r->scope};
        r->scope = &scope;
        jscope_set(r, &scope, jstr_of("loop"), (struct jval){.type = J_LOOP, .loop = loop});
        assign_all(r, n->args, items->at[loop->index]);
        enum flow f = run(r, n->b);
        r->scope = scope.parent;
        if (f == FLOW_BREAK) break;
    }
    r->n_loops--;
    return FLOW_ON;
}

/* ---- statements ---- */

static enum flow run_one(struct jrun *r, const struct jnode *n) {
    r->w.line = n->line;
    switch (n->kind) {
    case N_TEXT: jbuf_add(&r->w, r->out, n->value.s); break;
    case N_PRINT: {
        struct jval v = jval_evaluate(r, n->a);
        if (!r->w.status) jbuf_value_text(&r->w, r->out, v);
        break;
    }
    case N_IF:
        for (; n; n = n->c) { /* along elif; anything else in the else is a body */
            if (n->kind != N_IF) return run(r, n);
            if (jval_true(jval_evaluate(r, n->a))) return run(r, n->b);
            if (r->w.status || !n->c || n->c->next) return run(r, n->c);
        }
        break;
    case N_FOR: return run_for(r, n);
    case N_SET: assign_all(r, n->args, jval_evaluate(r, n->a)); break;
    case N_MACRO: jscope_set(r, r->scope, n->name, (struct jval){.type = J_MACRO, .macro = n}); break;
    case N_BLOCK: return run(r, n->b);
    case N_BREAK: return FLOW_BREAK;
    case N_CONTINUE: return FLOW_CONTINUE;
    default: jwork_fail(&r->w, ERR_INPUT, "an expression where a statement is wanted");
    }
    return FLOW_ON;
}

static enum flow run(struct jrun *r, const struct jnode *n) {
    enum flow f = FLOW_ON;
    if (jwork_enter(&r->w))
        for (; n && f == FLOW_ON && jwork_step(&r->w, 0); n = n->next) f = run_one(r, n);
    r->w.depth--;
    return f;
}

/* ---- the public calls ---- */

/* A copy with "\n" for every kind of line end and without the one at the end. */
static struct jstr normalised(struct jwork *w, const char *text, size_t size) {
    char *copy = jwork_new(w, size, 1);
    size_t n = 0;
    if (!copy) return (struct jstr){"", NULL, 0};
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\r' && i + 1 < size && text[i + 1] == '\n') continue;
        copy[n++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (n && copy[n - 1] == '\n') n--;
    return (struct jstr){copy, NULL, n};
}

static void parse(struct jinja *j, const char *text, size_t size) {
    struct jstr source = normalised(&j->w, text, size);
    struct jparser p = {
        .w = &j->w, .lexer = {.w = &j->w, .text = source.text, .size = source.size, .line = 1, .line_begins = true}};
    j->body = jparser_template(&p);
}

enum status jinja_open(const char *text, size_t size, const char *name, struct jinja **out, struct error *e) {
    *out = NULL;
    struct jinja *j = mem_new(1, sizeof *j);
    char *copy = mem_string(name);
    if (!j || !copy) {
        mem_free(j), mem_free(copy);
        return error_set(e, ERR_MEMORY, "%s: no memory for the template", name);
    }
    j->w = (struct jwork){.e = e, .name = copy, .line = 1, .limits = jinja_limits};
    parse(j, text, size);
    enum status s = j->w.status;
    j->w.e = NULL;
    *out = j;
    if (s) jinja_close(out);
    return s;
}

void jinja_close(struct jinja **j) {
    if (!*j) return;
    jwork_free(&(*j)->w);
    mem_free((char *)(*j)->w.name);
    mem_free(*j);
    *j = NULL;
}

static void set_variables(struct jrun *r, const json_t *object, bool plain) {
    const char *key;
    json_t *value;
    if (!object) return;
    json_object_foreach((json_t *)object, key, value)
        jscope_set(r, &r->globals, jstr_of(key), jval_of_json(&r->w, value, plain));
}

static void copy_out(struct jwork *w, const struct jbuf *b, struct jinja_text *out) {
    out->text = mem_new(b->n + 1, 1);
    out->plain = mem_new(b->n, 1);
    if (!out->text || !out->plain) {
        jwork_fail(w, ERR_MEMORY, "no memory for a text of %zu bytes", b->n);
        return;
    }
    if (b->n) memcpy(out->text, b->text, b->n), memcpy(out->plain, b->plain, b->n);
    out->size = b->n;
}

enum status jinja_render(const struct jinja *j, const struct jinja_input *in, struct jinja_text *out, bool *raised,
                         struct error *e) {
    struct jbuf text = {0};
    struct jrun r = {.w = {.e = e, .name = j->w.name, .line = 1, .limits = in->limits ? *in->limits : jinja_limits},
                     .out = &text,
                     .now = in->now};
    r.scope = &r.globals;
    *out = (struct jinja_text){0};
    set_variables(&r, in->given, true);
    set_variables(&r, in->trusted, false);
    run(&r, j->body);
    if (!r.w.status) copy_out(&r.w, &text, out);
    if (raised) *raised = r.w.raised;
    jwork_free(&r.w);
    if (r.w.status) jinja_text_free(out);
    return r.w.status;
}

void jinja_text_free(struct jinja_text *t) {
    mem_free(t->text), mem_free(t->plain);
    *t = (struct jinja_text){0};
}
