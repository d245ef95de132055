/* quantum_lock.c: buttons that change a number, some only under one colour of a light that every press toggles: the
 * shortest way to a target.  One press at a step.
 * Not a lock whose light a dead button toggles: a button that does nothing toggles nothing, as the published scorer
 * has it.
 * Next: steps.h.
 *
 *   question  "...Start: 0 (red)\nTarget: 8\nButtons:\nA: Multiply 2 (when any)\n..."
 *   prompt    " 0 r -> 8 ; * 2 a ; + 2 g ; + 2 a\n"      value, colour, target; three buttons with their colours
 *   step      " C 2 g"                                    the button, then what it leads to
 *   answer    "C → A → A" */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tasks/steps.h"

enum { BUTTONS = 3, LOWEST = -4096, HIGHEST = 4096, VALUES = HIGHEST - LOWEST + 1, LONGEST = 24 };

struct button {
    char op, when; /* + - *; a (any), r, g */
    int value;
};
struct lock {
    int start, target, shortest;
    char color; /* r, g */
    struct button buttons[BUTTONS];
};

struct place {
    int value;
    char color;
};

/* False when the button does nothing under this colour, or leads out of bounds. */
static bool press(const struct button *b, struct place *at) {
    if (b->when != 'a' && b->when != at->color) return false;
    int v = b->op == '+' ? at->value + b->value : b->op == '-' ? at->value - b->value : at->value * b->value;
    if (v < LOWEST || v > HIGHEST) return false;
    *at = (struct place){v, at->color == 'r' ? 'g' : 'r'};
    return true;
}

/* ---- distances ---- */

static int number_of(struct place at) { return 2 * (at.value - LOWEST) + (at.color == 'g'); }

/* Presses from `from` to the target by breadth-first search; -1 when more than `most` are needed. */
static int distance(const struct lock *l, struct place from, int most) {
    unsigned char seen[(2 * VALUES + 7) / 8] = {0};
    struct place queue[2 * VALUES];
    int head = 0, tail = 0, depth = 0, level_end;
    queue[tail++] = from;
    seen[number_of(from) / 8] |= (unsigned char)(1 << number_of(from) % 8);
    for (; depth <= most && head < tail; depth++)
        for (level_end = tail; head < level_end; head++) {
            if (queue[head].value == l->target) return depth;
            for (int i = 0; i < BUTTONS && depth < most; i++) {
                struct place next = queue[head];
                if (!press(&l->buttons[i], &next)) continue;
                int at = number_of(next);
                if (seen[at / 8] >> at % 8 & 1) continue;
                seen[at / 8] |= (unsigned char)(1 << at % 8);
                queue[tail++] = next;
            }
        }
    return -1;
}

/* ---- reading ---- */

static char lower_first(const char *word) { return (char)tolower((unsigned char)*word); }

static bool read_question(const char *text, struct lock *l) {
    const char *at = after(text, "Start: "), *target = after(text, "Target: "), *buttons = after(text, "Buttons:");
    if (!at || !target || !buttons || !take_small(&at, -99, 99, &l->start) || !take(&at, " (")) return false;
    l->color = lower_first(at);
    if (!take_small(&target, -999, 999, &l->target)) return false;
    for (int i = 0; i < BUTTONS; i++) {
        static const char *const names[] = {"Add ", "Subtract ", "Multiply "};
        struct button *b = &l->buttons[i];
        char name[4] = {(char)('A' + i), ':', ' ', 0};
        skip_space(&buttons);
        if (!take(&buttons, name)) return false;
        for (int k = 0; k < 3 && !b->op; k++)
            if (take(&buttons, names[k])) b->op = "+-*"[k];
        if (!b->op || !take_small(&buttons, 0, 99, &b->value) || !take(&buttons, " (when ")) return false;
        b->when = lower_first(buttons);
        buttons = after(buttons, ")");
        if (!buttons) return false;
    }
    skip_space(&buttons);
    return !*buttons;
}

static bool read_compact(const char *at, struct lock *l) {
    skip_space(&at);
    if (!take_small(&at, -99, 99, &l->start) || !take(&at, " ")) return false;
    l->color = *at++;
    if (!take(&at, " -> ") || !take_small(&at, -999, 999, &l->target)) return false;
    for (int i = 0; i < BUTTONS; i++) {
        struct button *b = &l->buttons[i];
        if (!take(&at, " ; ") || !*at) return false;
        b->op = *at++;
        if (!strchr("+-*", b->op) || !take(&at, " ") || !take_small(&at, 0, 99, &b->value) || !take(&at, " "))
            return false;
        b->when = *at;
        if (*at) at++;
    }
    skip_space(&at);
    return !*at;
}

static bool read_lock(const char *text, void *own, char why[96]) {
    struct lock *l = own;
    bool good = strstr(text, "Buttons:") ? read_question(text, l) : read_compact(text, l);
    good = good && (l->color == 'r' || l->color == 'g');
    for (int i = 0; i < BUTTONS && good; i++) good = l->buttons[i].when && strchr("arg", l->buttons[i].when);
    if (!good) {
        snprintf(why, 96, "no start, target and three buttons");
        return false;
    }
    l->shortest = distance(l, (struct place){l->start, l->color}, LONGEST);
    if (l->shortest >= 0) return true;
    snprintf(why, 96, "the target cannot be reached in %d presses", LONGEST);
    return false;
}

static void write_lock(const void *own, char *out) {
    const struct lock *l = own;
    size_t n = put(out, COMPACT, 0, " %d %c -> %d", l->start, l->color, l->target);
    for (int i = 0; i < BUTTONS; i++)
        n = put(out, COMPACT, n, " ; %c %d %c", l->buttons[i].op, l->buttons[i].value, l->buttons[i].when);
    put(out, COMPACT, n, "\n");
}

/* ---- chains ---- */

static size_t write_step(int button, struct place at, char *out, size_t cap) {
    return put(out, cap, 0, " %c %d %c", 'A' + button, at.value, at.color);
}

static bool follow(const struct lock *l, const char *chain, struct place *at, int *n) {
    char line[32], want[32];
    *at = (struct place){l->start, l->color}, *n = 0;
    for (; next_line(&chain, line, sizeof line); ++*n) {
        int button = line[0] == ' ' ? line[1] - 'A' : -1;
        if (button < 0 || button >= BUTTONS || !press(&l->buttons[button], at)) return false;
        write_step(button, *at, want, sizeof want);
        if (strcmp(line, want) != 0) return false;
    }
    return true;
}

/* Only a shortest way is right. */
static float oracle(const struct problem *p, const char *chain) {
    const struct lock *l = p->own;
    struct place at;
    int n;
    if (!follow(l, chain, &at, &n) || n > l->shortest) return 0;
    return distance(l, at, l->shortest - n) == l->shortest - n;
}

static uint64_t state(const struct problem *p, const char *chain) {
    struct place at;
    int n;
    if (!follow(p->own, chain, &at, &n)) return STATE_WRONG;
    return rng_fold(rng_fold((uint64_t)n, (uint64_t)at.value), (uint64_t)at.color) | 2;
}

static size_t answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    char line[32];
    size_t n = 0;
    (void)p;
    if (cap) *out = 0;
    while (next_line(&chain, line, sizeof line))
        if (line[0] == ' ' && line[1] >= 'A' && line[1] < 'A' + BUTTONS)
            n = put(out, cap, n, "%s%c", n ? " → " : "", line[1]);
    return n;
}

/* The letters A to C of the text, in any case, are the presses; those that do nothing count, too. */
static struct judgement judge_answer(const struct problem *p, const char *text) {
    const struct lock *l = p->own;
    struct place at = {l->start, l->color};
    int n = 0;
    for (; *text; text++) {
        int button = toupper((unsigned char)*text) - 'A';
        if (button < 0 || button >= BUTTONS) continue;
        press(&l->buttons[button], &at);
        n++;
    }
    if (at.value != l->target) return judged(false, "the presses lead to %d, not to %d", at.value, l->target);
    return judged(n == l->shortest, "%d presses; %d are enough", n, l->shortest);
}

/* ---- problems to learn from ---- */

static const struct knob knobs[] = {
    {"difficulty", "drawn from 1 to this: values and target grow with it", 10, 5, 1, 10}, {0}};

static void draw_buttons(uint64_t key, uint64_t *counter, int difficulty, struct lock *l) {
    for (int i = 0; i < BUTTONS;) {
        struct button b = {.op = "+-*"[draw_int(key, counter, 0, 2)]};
        int second = draw_int(key, counter, 0, 1), light = draw_int(key, counter, 0, 6);
        b.value = b.op == '*' ? 2 + (difficulty >= 7 && second) : (difficulty >= 5 ? 2 : 1) + second;
        b.when = light < 4 ? 'a' : light < 6 ? 'g' : 'r';
        bool taken = false;
        for (int k = 0; k < i; k++)
            taken =
                taken || (l->buttons[k].op == b.op && l->buttons[k].value == b.value && l->buttons[k].when == b.when);
        if (!taken) l->buttons[i++] = b;
    }
}

static enum status generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                            struct error *e) {
    /* 5 + difficulty^1.5, rounded down after its spread */
    static const double base[] = {6, 7.83, 10.2, 13, 16.18, 19.7, 23.52, 27.63, 32, 36.62};
    for (uint64_t attempt = 0;; attempt++) {
        uint64_t draw = rng_fold(key, attempt), counter = 0;
        int d = draw_int(draw, &counter, 1, k->knobs[0]);
        struct lock l = {.color = 'r'};
        draw_buttons(draw, &counter, d, &l);
        l.target = (int)(base[d - 1] + draw_int(draw, &counter, -(int)(base[d - 1] * 0.2), (int)(base[d - 1] * 0.3)));
        if (l.target < 8) l.target = 8;
        int most = 6 + d * 3 / 2 < 15 ? 6 + d * 3 / 2 : 15;
        l.shortest = distance(&l, (struct place){0, 'r'}, most);
        if (l.shortest > 0) return steps_problem(t, &l, p, e);
    }
}

/* One of the shortest ways. */
static void example(const struct problem *p, uint64_t key, struct lesson *out) {
    const struct lock *l = p->own;
    struct place at = {l->start, l->color};
    uint64_t counter = 0;
    out->n = 0, out->loss_after = 0;
    for (int left = l->shortest; left > 0; left--) {
        int order[BUTTONS] = {0, 1, 2};
        char step[32];
        draw_shuffle(key, &counter, order, BUTTONS);
        for (int i = 0; i < BUTTONS; i++) {
            struct place next = at;
            if (!press(&l->buttons[order[i]], &next) || distance(l, next, left - 1) != left - 1) continue;
            at = next;
            write_step(order[i], at, step, sizeof step);
            out->n = put(out->text, out->cap, out->n, "%s%s", out->n ? "\n" : "", step);
            break;
        }
    }
}

static uint32_t depth(const void *own) { return (uint32_t)((const struct lock *)own)->shortest; }

/* The buttons in any order. */
static uint64_t content(const struct problem *p) {
    const struct lock *l = p->own;
    uint64_t sum = 0;
    for (int i = 0; i < BUTTONS; i++) {
        const struct button *b = &l->buttons[i];
        sum += rng_fold(rng_fold((uint64_t)b->op, (uint64_t)b->when), (uint64_t)b->value);
    }
    return rng_fold(rng_fold(rng_fold(sum, (uint64_t)l->start), (uint64_t)l->color), (uint64_t)l->target);
}

static const struct kind kind = {sizeof(struct lock), read_lock, write_lock, depth};

const struct task quantum_lock_task = {.name = "quantum_lock",
                                       .summary = "the shortest way of button presses to a number",
                                       .style = &style_steps,
                                       .kind = &kind,
                                       STEPS_VERBS,
                                       .answer = answer,
                                       .judge_answer = judge_answer,
                                       .vote = answer,
                                       .oracle = oracle,
                                       .state = state,
                                       .knobs = knobs,
                                       .generate = generate,
                                       .example = example,
                                       .content = content};
