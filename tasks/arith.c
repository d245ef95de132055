/* arith.c: whole numbers with + - * / and brackets, reduced one operation at a step: chain_sum, basic_arithmetic, and
 * the two-bracket expressions of BBH.
 * Not the numbers game: countdown.c.
 * Next: arith_gen.c, where problems and examples come from; steps.h.
 *
 * The compact form writes every number with its last digit first, because that is the order in which digits are
 * computed:
 *   question  "Calculate -65 - 4 * 120."
 *   prompt    " < -56 - 4 * 021\n"
 *   step      " 4 * 021 : 0 08 084 = 084 ; -56 - 084\n"     behind ":" the running sums of the product, digit by digit
 *   last      " -56 - 084 = -545"                       only a "~" before it leaves something behind ";"
 * "~" is the minus before a bracket.  A step reduces the leftmost operation, or any other that may be done now. */
#include "tasks/arith.h"

#include <stdio.h>
#include <string.h>

/* ---- text of numbers ---- */

size_t arith_number(wide v, bool reversed, char out[48]) {
    char digits[44];
    unsigned __int128 u = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
    size_t n = 0, at = 0;
    do digits[n++] = (char)('0' + (int)(u % 10));
    while (u /= 10);
    if (v < 0) out[at++] = '-';
    for (size_t i = 0; i < n; i++) out[at++] = reversed ? digits[i] : digits[n - 1 - i];
    out[at] = 0;
    return at;
}

/* Digits at *at, up to 38 of them. */
static bool take_number(const char **at, bool reversed, wide *value) {
    size_t n = strspn(*at, "0123456789");
    if (n == 0 || n > 38) return false;
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = (*at)[reversed ? n - 1 - i : i] - '0';
        if (__builtin_mul_overflow(*value, (wide)10, value) || __builtin_add_overflow(*value, (wide)digit, value))
            return false;
    }
    *at += n;
    return true;
}

/* ---- reading expressions ---- */

static bool push(struct arith *a, char op, wide value) {
    if (a->n == ARITH_ITEMS) return false;
    a->items[a->n++] = (struct item){op, value};
    return true;
}

static bool expects_operand(const struct arith *a) {
    char last = a->n ? a->items[a->n - 1].op : '(';
    return last && last != ')';
}

/* A minus where an operand is expected belongs to the number or the bracket behind it. */
static bool read_sign(struct arith *a, const char **at, bool reversed) {
    wide v;
    ++*at;
    *at += strspn(*at, " ");
    if (**at == '(') return push(a, '~', 0);
    return take_number(at, reversed, &v) && push(a, 0, -v);
}

/* Items up to the end of the text or one of the bytes of `ends`. */
static bool read_items(const char **at, const char *ends, bool reversed, struct arith *a) {
    int open = 0;
    for (;;) {
        *at += strspn(*at, " \t");
        char c = **at;
        if (!c || strchr(ends, c)) return open == 0 && a->n && !expects_operand(a);
        bool operand = expects_operand(a);
        wide v;
        if (operand && (c == '-' || c == '~')) {
            if (!read_sign(a, at, reversed)) return false;
        } else if (operand && c == '(') {
            if (!push(a, '(', 0)) return false;
            open++, ++*at;
        } else if (operand) {
            if (!take_number(at, reversed, &v) || !push(a, 0, v)) return false;
        } else if (c == ')') {
            if (open-- == 0 || !push(a, ')', 0)) return false;
            ++*at;
        } else if (strchr("+-*/", c)) {
            if (!push(a, c, 0)) return false;
            ++*at;
        } else return false;
    }
}

/* "( 5 )" is 5 and "~ 5" is -5. */
static void normalize(struct arith *a) {
    for (int i = 0; i < a->n;) {
        bool bracketed = i + 2 < a->n && a->items[i].op == '(' && !a->items[i + 1].op && a->items[i + 2].op == ')';
        bool negated = i + 1 < a->n && a->items[i].op == '~' && !a->items[i + 1].op;
        if (!bracketed && !negated) {
            i++;
            continue;
        }
        wide v = bracketed ? a->items[i + 1].value : -a->items[i + 1].value;
        int gone = bracketed ? 2 : 1;
        memmove(&a->items[i + 1], &a->items[i + 1 + gone], (size_t)(a->n - i - 1 - gone) * sizeof a->items[0]);
        a->items[i] = (struct item){0, v};
        a->n -= gone;
        i = 0;
    }
}

bool arith_read(const char *text, void *own, char why[96]) {
    static const char *const begins[] = {
        "arithmetic problem:", "Calculate", "What is", "Solve", "Compute", "Evaluate:"};
    struct arith *a = own;
    const char *at = text;
    wide value;
    skip_space(&at);
    bool compact = take(&at, "<");
    for (size_t i = 0; i < sizeof begins / sizeof *begins && !compact; i++) {
        const char *found = after(text, begins[i]);
        if (found) at = found, i = sizeof begins;
    }
    if (!read_items(&at, "=.?\n", compact, a)) {
        snprintf(why, 96, "\"%.30s\" where an expression of whole numbers goes on", at);
        return false;
    }
    at += strspn(at, "=.? \t\r\n");
    if (*at) {
        snprintf(why, 96, "\"%.30s\" behind the expression", at);
        return false;
    }
    normalize(a);
    if (arith_value(a, &value)) return true;
    snprintf(why, 96, "a division by zero, or a value of more than 38 digits");
    return false;
}

static size_t write_items(const struct arith *a, char *out, size_t cap, size_t n) {
    for (int i = 0; i < a->n; i++) {
        char number[48] = {a->items[i].op, 0};
        if (!a->items[i].op) arith_number(a->items[i].value, true, number);
        n = put(out, cap, n, " %s", number);
    }
    return n;
}

void arith_write(const void *own, char *out) {
    size_t n = put(out, COMPACT, 0, " <");
    n = write_items(own, out, COMPACT, n);
    put(out, COMPACT, n, "\n");
}

/* ---- reductions ---- */

static bool is_product(char op) { return op == '*' || op == '/'; }

bool arith_reducible(const struct arith *a, int i) {
    if (i < 1 || i + 1 >= a->n || !a->items[i].op || !strchr("+-*/", a->items[i].op)) return false;
    if (a->items[i - 1].op || a->items[i + 1].op) return false;
    char left = i >= 2 ? a->items[i - 2].op : '(', right = i + 2 < a->n ? a->items[i + 2].op : ')';
    if (is_product(a->items[i].op)) return !is_product(left);
    return left == '(' && !is_product(right);
}

/* Division rounds down, as the published problems have it. */
bool arith_apply(wide x, char op, wide y, wide *out) {
    if (op == '+') return !__builtin_add_overflow(x, y, out);
    if (op == '-') return !__builtin_sub_overflow(x, y, out);
    if (op == '*') return !__builtin_mul_overflow(x, y, out);
    if (y == 0) return false;
    *out = x / y;
    if (x % y && (x < 0) != (y < 0)) --*out;
    return true;
}

bool arith_reduce(struct arith *a, int i) {
    wide v;
    if (!arith_apply(a->items[i - 1].value, a->items[i].op, a->items[i + 1].value, &v)) return false;
    a->items[i - 1].value = v;
    memmove(&a->items[i], &a->items[i + 2], (size_t)(a->n - i - 2) * sizeof a->items[0]);
    a->n -= 2;
    normalize(a);
    return true;
}

int arith_first(const struct arith *a) {
    for (int i = 1; i + 1 < a->n; i++)
        if (arith_reducible(a, i)) return i;
    return 0;
}

bool arith_value(const struct arith *a, wide *out) {
    struct arith work = *a;
    while (work.n > 1)
        if (!arith_reduce(&work, arith_first(&work))) return false;
    *out = work.items[0].value;
    return true;
}

/* " : s0 s1 ...", the sums of x times the last digits of y, where both have several digits. */
static size_t write_sums(wide x, wide y, char *out, size_t cap, size_t n) {
    wide sum = 0, power = 1, left = y < 0 ? -y : y;
    if (x < 0) x = -x;
    if (x < 10 || left < 10) return n;
    n = put(out, cap, n, " :");
    for (; left; left /= 10, power *= 10) {
        char number[48];
        sum += x * (left % 10) * power;
        arith_number(sum, true, number);
        n = put(out, cap, n, " %s", number);
    }
    return n;
}

size_t arith_step(const struct arith *a, int i, char *out, size_t cap) {
    struct arith next = *a;
    char x[48], y[48], v[48];
    wide value;
    if (a->n == 1) { /* nothing to reduce: the number is the answer */
        arith_number(a->items[0].value, true, v);
        return put(out, cap, 0, " = %s", v);
    }
    if (!arith_apply(a->items[i - 1].value, a->items[i].op, a->items[i + 1].value, &value)) return 0;
    if (!arith_reduce(&next, i)) return 0;
    arith_number(a->items[i - 1].value, true, x);
    arith_number(a->items[i + 1].value, true, y);
    arith_number(value, true, v);
    size_t n = put(out, cap, 0, " %s %c %s", x, a->items[i].op, y);
    if (a->items[i].op == '*') n = write_sums(a->items[i - 1].value, a->items[i + 1].value, out, cap, n);
    n = put(out, cap, n, " = %s", v);
    if (next.n == 1 && next.items[0].value == value) return n;
    n = put(out, cap, n, " ;");
    return write_items(&next, out, cap, n);
}

/* ---- chains ---- */

/* Follows a chain as far as its lines are steps; *a is where it comes to.  False at a line that is none. */
static bool follow(const char *chain, struct arith *a, bool *done) {
    char line[ARITH_STEP], want[ARITH_STEP];
    bool stated = false;
    while (next_line(&chain, line, sizeof line)) {
        bool found = false;
        if (stated) return false;
        if (a->n == 1) {
            arith_step(a, 0, want, sizeof want);
            if (strcmp(line, want) != 0) return false;
            stated = true;
            continue;
        }
        for (int i = 1; i + 1 < a->n && !found; i++)
            if (arith_reducible(a, i) && arith_step(a, i, want, sizeof want) && !strcmp(line, want))
                found = arith_reduce(a, i);
        if (!found) return false;
        stated = a->n == 1;
    }
    *done = stated;
    return true;
}

static float oracle(const struct problem *p, const char *chain) {
    struct arith a = *(const struct arith *)p->own;
    bool done;
    return follow(chain, &a, &done);
}

static uint64_t state(const struct problem *p, const char *chain) {
    struct arith a = *(const struct arith *)p->own;
    char text[COMPACT];
    bool done;
    if (!follow(chain, &a, &done)) return STATE_WRONG;
    arith_write(&a, text);
    return hash_text(text) ^ (uint64_t)done << 2;
}

/* What is left behind the last step: behind ";", or "=" when that is missing.  Its digits are turned round again. */
static size_t answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    const char *last = strrchr(chain, '='), *rest = last ? strchr(last, ';') : NULL;
    char number[48];
    wide v;
    (void)p;
    if (cap) *out = 0;
    if (!last) return 0;
    last = (rest ? rest : last) + 1;
    skip_space(&last);
    bool minus = take(&last, "-");
    if (!take_number(&last, true, &v)) return 0;
    skip_space(&last);
    if (*last) return 0;
    arith_number(minus ? -v : v, false, number);
    return put(out, cap, 0, "%s", number);
}

static struct judgement judge_exact(const struct problem *p, const char *text) {
    char want[48];
    wide v;
    arith_value(p->own, &v);
    arith_number(v, false, want);
    return judged(!strcmp(text, want), "\"%.40s\" is not the value", text);
}

/* As a decimal: signs, leading zeros, commas and a fraction of zeros do not matter. */
static struct judgement judge_decimal(const struct problem *p, const char *text) {
    char plain[64] = "", digits[64];
    size_t n = 0;
    for (const char *c = text; *c; c++) {
        if (*c == ',') continue;
        if (n + 1 == sizeof plain) return judged(false, "the answer is too long for a number");
        plain[n++] = *c;
    }
    const char *at = plain;
    skip_space(&at);
    bool minus = *at == '-';
    at += *at == '-' || *at == '+';
    size_t size = strspn(at, "0123456789"), zeros = strspn(at, "0");
    if (!size) return judged(false, "\"%.40s\" is not a number", text);
    if (zeros == size) zeros--;
    snprintf(digits, sizeof digits, "%s%.*s", minus && at[zeros] != '0' ? "-" : "", (int)(size - zeros), at + zeros);
    at += size;
    if (*at == '.') at += 1 + strspn(at + 1, "0");
    skip_space(&at);
    if (*at) return judged(false, "\"%.40s\" is not a whole number", text);
    return judge_exact(p, digits);
}

/* ---- rows ---- */

static uint32_t depth(const void *own) {
    const struct arith *a = own;
    uint32_t n = 0;
    for (int i = 0; i < a->n; i++) n += a->items[i].op && strchr("+-*/", a->items[i].op);
    return n ? n : 1;
}

static const struct kind kind = {sizeof(struct arith), arith_read, arith_write, depth};
static const struct task_style style = {.delimiter = "\n", .search = "maj", .max_step_tokens = 320};

#define ARITH                                                                                                          \
    .style = &style, .kind = &kind, STEPS_VERBS, .answer = answer, .vote = answer, .oracle = oracle, .state = state,   \
    .example = arith_example

const struct task chain_sum_task = {.name = "chain_sum",
                                    .summary = "long sums and differences of whole numbers",
                                    .judge_answer = judge_decimal,
                                    .knobs = chain_sum_knobs,
                                    .generate = chain_sum_generate,
                                    ARITH};
const struct task basic_arithmetic_task = {.name = "basic_arithmetic",
                                           .summary = "+ - * / and brackets",
                                           .judge_answer = judge_exact,
                                           .knobs = basic_arithmetic_knobs,
                                           .generate = basic_arithmetic_generate,
                                           ARITH};
const struct task multistep_arithmetic_task = {.name = "multistep_arithmetic_two",
                                               .summary =
                                                   "the arithmetic of BIG-Bench Hard: nested brackets of small numbers",
                                               .judge_answer = judge_exact,
                                               .knobs = multistep_knobs,
                                               .generate = multistep_generate,
                                               ARITH};
