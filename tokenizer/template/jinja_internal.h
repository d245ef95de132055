/* jinja_internal.h: what the jinja_*.c files share: memory, values, syntax tree, the state of a rendering.
 * Not for other files: they include jinja.h.
 * Next: jinja_lex.c -> jinja_parse.c, jinja_expr.c -> jinja_exec.c, jinja_eval.c -> jinja_filter.c, jinja_method.c.
 *
 * Failures are sticky: the first one is kept in struct jwork, later calls see work->status and give J_UNDEFINED.  So most
 * functions need no checks; loops look at the status once a turn, through jwork_step. */
#ifndef PONDER_JINJA_INTERNAL_H
#define PONDER_JINJA_INTERNAL_H

#include "tokenizer/template/jinja.h"

/* ---- memory and errors: jinja_value.c ---- */

struct jchunk {
    struct jchunk *next;
    size_t size;
};

/* Memory of one template or one rendering; freed at once. */
struct jwork {
    struct jchunk *chunks;
    char *free;
    size_t n_free, n_used;
    enum status status;
    struct error *e;
    const char *name; /* of the template */
    int line;         /* of what is under way */
    uint64_t n_steps;
    uint32_t depth;
    bool raised;
    struct jinja_limits limits;
};

void *jwork_new(struct jwork *w, size_t n, size_t size); /* zeroed, 16-byte aligned; NULL after a failure */
void jwork_free(struct jwork *w);
void jwork_fail(struct jwork *w, enum status s, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* One turn of a loop or one node, and so many bytes of text; false: stop. */
bool jwork_step(struct jwork *w, size_t bytes);
bool jwork_enter(struct jwork *w); /* depth + 1; false: too deep.  Pairs with w->depth-- in either case. */

/* ---- values ---- */

/* Text and where each byte comes from.  Slices share both arrays. */
struct jstr {
    const char *text;
    const uint8_t *plain; /* [size] or NULL: all bytes are the template's own */
    size_t size;
};

enum jtype { J_UNDEFINED, J_NONE, J_BOOL, J_INT, J_REAL, J_STRING, J_LIST, J_DICT, J_LOOP, J_MACRO, J_FUNCTION };

struct jval {
    enum jtype type;
    union {
        bool yes;
        int64_t i;
        double r;
        struct jstr s; /* J_UNDEFINED: the name that was looked for */
        struct jlist *list;
        struct jdict *dict;
        struct jloop *loop;
        const struct jnode *macro;
        int function; /* row of the table in jinja_call.c */
    };
};

struct jlist {
    struct jval *at; /* [cap] */
    size_t n, cap;
};

struct jpair {
    struct jval key, value;
};

struct jdict {
    struct jpair *at; /* [cap] in order of insertion; searched one by one: templates' dicts are small */
    size_t n, cap;
    bool is_namespace;
};

struct jloop {
    const struct jlist *items;
    size_t index; /* from 0 */
    size_t depth;
};

static inline struct jval jval_undefined(void) { return (struct jval){.type = J_UNDEFINED}; }
static inline struct jval jval_none(void) { return (struct jval){.type = J_NONE}; }
static inline struct jval jval_bool(bool yes) { return (struct jval){.type = J_BOOL, .yes = yes}; }
static inline struct jval jval_int(int64_t i) { return (struct jval){.type = J_INT, .i = i}; }
static inline struct jval jval_real(double r) { return (struct jval){.type = J_REAL, .r = r}; }
static inline struct jval jval_string(struct jstr s) { return (struct jval){.type = J_STRING, .s = s}; }
struct jstr jstr_of(const char *text); /* borrowed */
struct jstr jstr_slice(struct jstr s, size_t from, size_t to);
bool jstr_is(struct jstr s, const char *text);
bool jstr_same(struct jstr a, struct jstr b);
int jstr_order(struct jstr a, struct jstr b); /* by bytes, which for UTF-8 is by code point */
size_t jstr_find(struct jwork *w, struct jstr s, struct jstr what, size_t from); /* SIZE_MAX: absent */
size_t jstr_next(struct jstr s, size_t at); /* where the character after the one at `at` begins */
size_t jstr_length(struct jstr s);          /* in characters */

struct jval jlist_new(struct jwork *w, size_t cap);
void jlist_add(struct jwork *w, struct jlist *l, struct jval v);
struct jval jdict_new(struct jwork *w);
struct jval *jdict_find(struct jwork *w, const struct jdict *d, struct jval key); /* NULL: absent */
void jdict_set(struct jwork *w, struct jdict *d, struct jval key, struct jval v);

const char *jval_kind(struct jval v); /* "a string", for error texts */
bool jval_true(struct jval v);
bool jval_is_number(struct jval v); /* int, real or bool */
double jval_number(struct jval v);  /* of those; 0 for others */
bool jval_same(struct jwork *w, struct jval a, struct jval b);
/* Numbers, strings, lists; others fail.  <0, 0, >0. */
int jval_order(struct jwork *w, struct jval a, struct jval b, bool fold_case);
/* The items that a for loop would see: of lists, keys of dicts, characters of strings, none of undefined. */
struct jlist *jval_items(struct jwork *w, struct jval v);
struct jval jval_of_json(struct jwork *w, const json_t *j, bool plain);

/* ---- text under construction ---- */

struct jbuf {
    char *text;
    uint8_t *plain;
    size_t n, cap;
};
void jbuf_add(struct jwork *w, struct jbuf *b, struct jstr s);
void jbuf_text(struct jwork *w, struct jbuf *b, const char *text);
void jbuf_code_point(struct jwork *w, struct jbuf *b, uint32_t c);
struct jval jbuf_value(const struct jbuf *b);

/* ---- text of values: jinja_print.c ---- */

void jbuf_value_text(struct jwork *w, struct jbuf *b, struct jval v); /* as Python's str() */
struct jstr jval_text(struct jwork *w, struct jval v);                /* the same; of a string itself */
struct json_style {
    int indent; /* -1: one line */
    bool ascii, sort_keys;
    struct jstr item_separator, key_separator;
};
void jbuf_json(struct jwork *w, struct jbuf *b, struct jval v, const struct json_style *s);

/* ---- syntax tree ---- */

enum jkind {
    /* expressions */
    N_LITERAL,
    N_NAME,
    N_LIST,
    N_DICT,
    N_ATTRIBUTE,
    N_ITEM,
    N_SLICE,
    N_CALL,
    N_FILTER,
    N_TEST,
    N_NOT,
    N_MINUS,
    N_PLUS,
    N_AND,
    N_OR,
    N_BINARY,
    N_CHOICE,
    N_CAPTURE,
    /* statements */
    N_TEXT,
    N_PRINT,
    N_IF,
    N_FOR,
    N_SET,
    N_MACRO,
    N_BLOCK,
    N_BREAK,
    N_CONTINUE,
};

enum jop {
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOOR,
    OP_MOD,
    OP_POWER,
    OP_JOIN
};

/* kind        name       a         b        c       d        args                          value
 * LITERAL                                                                                  itself
 * NAME        variable
 * LIST, DICT                                                 items; keys and values in turn
 * ATTRIBUTE   member     of
 * ITEM, SLICE            of        index    stop    step     (slice: b start; each may be NULL)
 * CALL                   callee                              arguments (name: keyword)
 * FILTER,TEST            operand                             arguments                      i: row of its table
 * NOT ...                operand
 * AND ... BINARY         left      right
 * CHOICE                 value     when     else
 * CAPTURE                          body
 * TEXT                                                                                     the text
 * PRINT                  value
 * IF                     when      body     else
 * FOR                    items     body     else    only if  targets
 * SET                    value                               targets
 * MACRO       name                 body                      parameters (a: default) */
struct jnode {
    enum jkind kind;
    enum jop op;
    int line;
    struct jstr name;
    struct jval value;
    struct jnode *a, *b, *c, *d, *args;
    struct jnode *next; /* the next statement, item, argument or target */
};

/* ---- lexer: jinja_lex.c ---- */

enum jtoken_kind {
    T_END,
    T_TEXT,
    T_PRINT_OPEN,
    T_PRINT_CLOSE,
    T_TAG_OPEN,
    T_TAG_CLOSE,
    T_NAME,
    T_STRING,
    T_INT,
    T_REAL,
    T_OP
};

struct jtoken {
    enum jtoken_kind kind;
    struct jstr text; /* T_STRING: without quotes and escapes */
    int64_t i;
    double r;
    int line;
};

struct jlexer {
    struct jwork *w;
    const char *text;
    size_t size, at;
    int line;
    char tag;         /* '{' or '%' inside {{ }} or {% %}, 0 in text */
    char opening;     /* the text before this tag was given out; the tag comes next */
    int braces;       /* open ( [ { inside the tag */
    bool line_begins; /* the text begins at the start of a line */
};
struct jtoken jlexer_next(struct jlexer *l);

/* ---- parser: jinja_parse.c (statements), jinja_expr.c ---- */

struct jparser {
    struct jwork *w;
    struct jlexer lexer;
    struct jtoken token; /* not yet taken */
    int n_loops;         /* around the statement: break and continue need one */
};
struct jnode *jparser_node(struct jparser *p, enum jkind kind);
void jparser_advance(struct jparser *p);
bool jparser_is(const struct jparser *p, enum jtoken_kind kind, const char *text);
bool jparser_take(struct jparser *p, enum jtoken_kind kind, const char *text); /* and advances, if it is */
void jparser_need(struct jparser *p, enum jtoken_kind kind, const char *text);
struct jnode *jparser_expression(struct jparser *p); /* never NULL, except after a failure */
struct jnode *jparser_operand(struct jparser *p);    /* binds tighter than `if`: what follows `in` of a for */
struct jnode *jparser_filters(struct jparser *p, struct jnode *a); /* "f(..) | g": the first bar is taken already */
struct jnode *jparser_template(struct jparser *p);

/* ---- a rendering: jinja_exec.c, jinja_eval.c, jinja_call.c ---- */

struct jvar {
    struct jstr name;
    struct jval value;
    struct jvar *next;
};

struct jscope {
    struct jvar *vars;
    struct jscope *parent;
};

struct jrun {
    struct jwork w;
    struct jscope *scope, globals;
    struct jbuf *out;
    size_t n_loops; /* around what is under way */
    int64_t now;
};

struct jargs {
    struct jval *at;   /* [n] */
    struct jstr *name; /* [n] size 0: by position */
    size_t n;
};

struct jval jval_evaluate(struct jrun *r, const struct jnode *n);
struct jval jval_member(struct jrun *r, struct jval of, struct jval key); /* item or attribute; undefined if absent */
struct jval jval_path(struct jrun *r, struct jval of, struct jval path);  /* "a.b.0" */
struct jval jval_call(struct jrun *r, const struct jnode *call);
struct jval jval_capture(struct jrun *r, const struct jnode *body);
struct jval jval_call_macro(struct jrun *r, const struct jnode *macro, const struct jargs *a);
bool jfunction_find(struct jstr name, struct jval *out);
void jscope_set(struct jrun *r, struct jscope *s, struct jstr name, struct jval v);

struct jargs jargs_evaluate(struct jrun *r, const struct jnode *args);
/* The argument at place i or of that name; undefined when absent.  name may be NULL. */
struct jval jargs_get(const struct jargs *a, size_t i, const char *name);
struct jargs jargs_from(const struct jargs *a, size_t i); /* without the first i */

/* -1: no such filter or test. */
int jfilter_find(struct jstr name);
int jtest_find(struct jstr name);
struct jval jfilter_apply(struct jrun *r, int filter, struct jval v, const struct jargs *a);
bool jtest_apply(struct jrun *r, int test, struct jval v, const struct jargs *a);

/* jinja_list.c: filters on sequences.  jinja_method.c: methods of strings, lists and dicts; false when there is none. */
typedef struct jval jfilter_fn(struct jrun *r, struct jval v, const struct jargs *a);
jfilter_fn jfilter_list, jfilter_first, jfilter_last, jfilter_join, jfilter_map, jfilter_select, jfilter_reject,
    jfilter_selectattr, jfilter_rejectattr, jfilter_sort, jfilter_dictsort, jfilter_unique, jfilter_min, jfilter_max,
    jfilter_reverse, jfilter_sum;
bool jval_method(struct jrun *r, struct jval self, struct jstr name, const struct jargs *a, struct jval *out);

/* Text: jinja_method.c. */
enum { STRIP_LEFT = 1, STRIP_RIGHT = 2 };
struct jstr jstr_strip(struct jstr s, const struct jstr *characters, int sides); /* NULL: white space */
/* how: 'u' upper, 'l' lower, 'c' the first letter, 't' letters behind no letter, 'w' letters behind blanks and - ( [
 * { < */
struct jval jstr_case(struct jwork *w, struct jstr s, char how);
struct jval jstr_replace(struct jwork *w, struct jstr s, struct jstr old, struct jstr new_text, int64_t most);

#endif
