/* countdown.c: the rules of the numbers game: problems, moves, and the text of steps, written and read back.
 * Not the solver (oracle.c) and not the reader of expressions (expression.c).
 * Next: oracle.c. */
#include "tasks/countdown.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const problem_form =
    "write 3 to 9 whole numbers from 1 to 9999, like \"4 7 8 8\" or \"4 7 8 8 -> 24\"";

/* -- problems -- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == ',' || c == '\r' || c == '\n'; }

/* Length of the arrow at s: "->" or "=", else 0. */
static size_t arrow_size(const char *s) { return s[0] == '=' ? 1 : s[0] == '-' && s[1] == '>' ? 2 : 0; }

/* A word of `size` bytes as a whole number in 1..9999; 0 when it is anything else. */
static int small_number(const char *word, size_t size) {
    int v = 0;
    for (size_t i = 0; i < size; i++) {
        if (word[i] < '0' || word[i] > '9') return 0;
        v = v * 10 + (word[i] - '0');
        if (v > 9999) return 0;
    }
    return v;
}

/* Takes the next word of *at as a number; ERR_INPUT names the word. */
static enum status read_number(const char **at, int *value, struct error *e) {
    const char *word = *at;
    size_t size = 0;
    while (word[size] && !is_blank(word[size]) && !arrow_size(word + size)) size++;
    *value = small_number(word, size);
    *at = word + size;
    if (*value) return OK;
    int shown = size < 40 ? (int)size : 40;
    return error_set(e, ERR_INPUT, "problem: \"%.*s%s\" is not allowed; %s", shown, word, size > 40 ? "..." : "",
                     problem_form);
}

static const char *skip_blanks(const char *s) {
    while (*s && is_blank(*s)) s++;
    return s;
}

/* What follows the arrow: one number and nothing else. */
static enum status read_target(const char *at, int *target, struct error *e) {
    at = skip_blanks(at);
    if (!*at) return error_set(e, ERR_INPUT, "problem: no target after the arrow; %s", problem_form);
    enum status s = read_number(&at, target, e);
    if (s) return s;
    at = skip_blanks(at);
    if (*at) return error_set(e, ERR_INPUT, "problem: \"%.40s\" after the target; %s", at, problem_form);
    return OK;
}

enum status cd_parse(const char *text, int target, struct cd_problem *p, struct error *e) {
    struct cd_problem r = {.target = target};
    const char *at = skip_blanks(text);
    bool has_target = false;
    while (*at && !has_target) {
        if (arrow_size(at)) {
            enum status s = read_target(at + arrow_size(at), &r.target, e);
            if (s) return s;
            has_target = true;
        } else {
            int value;
            enum status s = read_number(&at, &value, e);
            if (s) return s;
            if (r.n < CD_MAX) r.numbers[r.n] = value;
            r.n++;
            at = skip_blanks(at);
        }
    }
    if (r.n < CD_MIN || r.n > CD_MAX) return error_set(e, ERR_INPUT, "problem: %d numbers; %s", r.n, problem_form);
    if (r.target < 1 || r.target > 9999)
        return error_set(e, ERR_INPUT, "problem: target %d is not in 1..9999; add one, like \"-> 24\"", r.target);
    *p = r;
    return OK;
}

bool cd_is_held_out(const struct cd_problem *p) {
    if (p->n != 4 || p->target != 24) return false;
    for (int i = 0; i < 4; i++)
        if (p->numbers[i] > 13) return false;
    return true;
}

/* -- states and moves -- */

/* Puts v into the ascending list of n values. */
static void insert_value(struct ratio *list, int n, struct ratio v) {
    for (; n > 0 && ratio_compare(list[n - 1], v) > 0; n--) list[n] = list[n - 1];
    list[n] = v;
}

struct cd_state cd_start(const struct cd_problem *p) {
    struct cd_state s = {0};
    assert(p->n >= 1 && p->n <= CD_MAX);
    for (; s.n < p->n; s.n++) insert_value(s.left, s.n, ratio_int(p->numbers[s.n]));
    return s;
}

static bool is_equal(struct ratio a, struct ratio b) { return a.num == b.num && a.den == b.den; }

int cd_moves(const struct cd_state *s, struct cd_move moves[CD_MAX_MOVES]) {
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        /* Equal values are neighbours: only the first of them leads, and only the next one after i follows. */
        if (i > 0 && is_equal(s->left[i], s->left[i - 1])) continue;
        for (int j = i + 1; j < s->n; j++) {
            if (j > i + 1 && is_equal(s->left[j], s->left[j - 1])) continue;
            moves[n++] = (struct cd_move){i, j, '+'};
            moves[n++] = (struct cd_move){j, i, '-'};
            moves[n++] = (struct cd_move){i, j, '*'};
            if (s->left[i].num != 0) moves[n++] = (struct cd_move){j, i, '/'};
            if (s->left[j].num != 0 && !is_equal(s->left[i], s->left[j])) moves[n++] = (struct cd_move){i, j, '/'};
        }
    }
    return n;
}

/* *next = s without values i and j, with v. */
static void replace_pair(const struct cd_state *s, int i, int j, struct ratio v, struct cd_state *next) {
    struct cd_state r = {0};
    for (int k = 0; k < s->n; k++)
        if (k != i && k != j) r.left[r.n++] = s->left[k];
    insert_value(r.left, r.n++, v);
    *next = r;
}

bool cd_apply(const struct cd_state *s, struct cd_move m, struct cd_state *next) {
    struct ratio v;
    assert(m.i != m.j && m.i >= 0 && m.i < s->n && m.j >= 0 && m.j < s->n);
    if (!ratio_apply(s->left[m.i], m.op, s->left[m.j], &v)) return false;
    replace_pair(s, m.i, m.j, v, next);
    return true;
}

/* -- writing -- */

/* Appends at text + n, never past cap; returns the new length. */
static size_t __attribute__((format(printf, 4, 5))) put(char *text, size_t cap, size_t n, const char *format, ...) {
    if (n + 1 >= cap) return n;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text + n, cap - n, format, args);
    va_end(args);
    size_t room = cap - n - 1;
    return n + ((size_t)size < room ? (size_t)size : room);
}

static size_t put_value(char *text, size_t cap, size_t n, struct ratio v) {
    if (v.den == 1) return put(text, cap, n, " %lld", (long long)v.num);
    return put(text, cap, n, " %lld/%lld", (long long)v.num, (long long)v.den);
}

size_t cd_prompt(const struct cd_problem *p, char *text, size_t cap) {
    struct cd_state s = cd_start(p);
    size_t n = 0;
    if (cap) text[0] = 0;
    for (int i = 0; i < s.n; i++) n = put_value(text, cap, n, s.left[i]);
    return put(text, cap, n, " -> %d\n", p->target);
}

size_t cd_step_text(const struct cd_state *s, struct cd_move m, char *text, size_t cap) {
    struct cd_state next;
    struct ratio v;
    size_t n = 0;
    if (cap) text[0] = 0;
    if (!cd_apply(s, m, &next) || !ratio_apply(s->left[m.i], m.op, s->left[m.j], &v)) return 0;
    n = put_value(text, cap, n, s->left[m.i]);
    n = put(text, cap, n, " %c", m.op);
    n = put_value(text, cap, n, s->left[m.j]);
    n = put(text, cap, n, " =");
    n = put_value(text, cap, n, v);
    n = put(text, cap, n, " ;");
    for (int i = 0; i < next.n; i++) n = put_value(text, cap, n, next.left[i]);
    return n;
}

/* -- reading back -- */

/* What of a line is not read yet. */
struct cursor {
    const char *at, *end;
};

static bool skip_spaces(struct cursor *c) {
    const char *start = c->at;
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t')) c->at++;
    return c->at > start;
}

static bool is_digit_at(const struct cursor *c, int ahead) {
    return c->end - c->at > ahead && c->at[ahead] >= '0' && c->at[ahead] <= '9';
}

static bool read_digits(struct cursor *c, int64_t *value) {
    if (!is_digit_at(c, 0)) return false;
    for (*value = 0; is_digit_at(c, 0); c->at++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *c->at - '0', value))
            return false;
    return true;
}

/* "8", "8/3" (no spaces inside) or either with a minus sign. */
static bool read_value(struct cursor *c, struct ratio *v) {
    int64_t num, den = 1;
    bool minus = c->at < c->end && *c->at == '-';
    if (minus) c->at++;
    if (!read_digits(c, &num)) return false;
    if (c->at < c->end && *c->at == '/' && is_digit_at(c, 1)) {
        c->at++;
        if (!read_digits(c, &den)) return false;
    }
    return ratio_apply(ratio_int(minus ? -num : num), '/', ratio_int(den), v);
}

/* Spaces around one character of `set`; 0 when there is another. */
static char read_sign(struct cursor *c, const char *set) {
    skip_spaces(c);
    if (c->at >= c->end || !*c->at || !strchr(set, *c->at)) return 0;
    char sign = *c->at++;
    skip_spaces(c);
    return sign;
}

bool cd_step_read(const char *line, size_t size, struct cd_step *step) {
    struct cursor c = {line, line + size};
    if (c.end > c.at && c.end[-1] == '\n') c.end--;
    if (c.end > c.at && c.end[-1] == '\r') c.end--;
    memset(step, 0, sizeof *step);
    skip_spaces(&c);
    if (!read_value(&c, &step->a) || !(step->op = read_sign(&c, "+-*/")) || !read_value(&c, &step->b)) return false;
    if (!read_sign(&c, "=") || !read_value(&c, &step->result) || !read_sign(&c, ";")) return false;
    for (bool spaced = true; c.at < c.end; spaced = skip_spaces(&c)) {
        struct ratio v;
        if (!spaced || step->n_rest == CD_MAX || !read_value(&c, &v)) return false;
        insert_value(step->rest, step->n_rest++, v);
    }
    return true;
}

/* Index of value v in s, not `taken`; -1 when it is not there. */
static int find_value(const struct cd_state *s, struct ratio v, int taken) {
    for (int i = 0; i < s->n; i++)
        if (i != taken && is_equal(s->left[i], v)) return i;
    return -1;
}

bool cd_step_check(const struct cd_state *s, const char *line, size_t size, struct cd_state *next) {
    struct cd_step step;
    if (!cd_step_read(line, size, &step)) return false;
    int i = find_value(s, step.a, -1), j = find_value(s, step.b, i);
    if (i < 0 || j < 0) return false;
    struct cd_state after;
    if (!cd_apply(s, (struct cd_move){i, j, step.op}, &after)) return false;
    if (after.n != step.n_rest) return false;
    struct ratio v;
    if (!ratio_apply(step.a, step.op, step.b, &v) || !is_equal(v, step.result)) return false;
    for (int k = 0; k < after.n; k++)
        if (!is_equal(after.left[k], step.rest[k])) return false;
    *next = after;
    return true;
}

bool cd_check(const struct cd_problem *p, const char *text, int *n_ok, struct cd_state *end) {
    struct cd_state s = cd_start(p);
    int n = 0;
    bool right = true;
    while (right && text[strspn(text, " \t\r\n")]) { /* blanks after the last line are no line */
        const char *stop = strchr(text, '\n');
        size_t size = stop ? (size_t)(stop - text) + 1 : strlen(text);
        right = cd_step_check(&s, text, size, &s);
        n += right;
        text += size;
    }
    if (n_ok) *n_ok = n;
    if (end) *end = s;
    return right && s.n == 1 && is_equal(s.left[0], ratio_int(p->target));
}
