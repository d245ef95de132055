/* draw.c: see draw.h.  The most visited children of each node, in lines that fit the width:
 *
 *     4 7 8 8 -> 24                        visits  value
 *     |- 8 / 8 = 1 ; 1 4 7                     24   0.83
 *     |  `- 7 - 1 = 6 ; 4 6                    12   0.97
 *     `- + 12 more
 *
 * Not a search: it reads the tree between batches and changes nothing.
 * Next: cli/cmd_solve.c. */
#include "solve/draw.h"

#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tokenizer/pretok.h"

enum { MAX_DEPTH = 16, MAX_SHOWN = 8, MAX_TEXT = 56, NUMBERS = 24 }; /* NUMBERS: columns right of the text */

struct glyphs {
    const char *tee, *corner, *bar, *gap;
};
static const struct glyphs plain = {"|- ", "`- ", "|  ", "   "}, boxes = {"├─ ", "└─ ", "│  ", "   "};

/* One drawing under way: lines are collected and written at once, so that a terminal never shows half of one. */
struct canvas {
    struct draw *d;
    const struct event *ev;
    const struct glyphs *glyphs;
    uint32_t answer; /* node of the picked chain, at the end */
    int shown[3];    /* children per node at depth 0, 1, and below */
    int n_lines, max_lines;
    bool open[MAX_DEPTH + 1]; /* does the ancestor at this depth have lines still to come? */
    size_t size;
    char text[32768];
};

static void put(struct canvas *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct canvas *c, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int n = vsnprintf(c->text + c->size, sizeof c->text - c->size, format, list);
    va_end(list);
    if (n > 0) c->size += (size_t)n;
    if (c->size >= sizeof c->text) c->size = sizeof c->text - 1;
}

/* Columns of the character at text, 0: not to be shown as it is. */
static int character_columns(const struct canvas *c, const char *text, size_t size) {
    if (size == 1) return *text >= ' ' && *text <= '~';
    if (!size || !c->d->term.utf8 || (size == 2 && *text == '\xC2' && (unsigned char)text[1] < 0xA0)) return 0;
    /* Below U+1100 all are narrow, and so are the signs from U+2000 to U+2DFF; of the rest most are wide. */
    bool narrow = size == 2 || (size == 3 && ((unsigned char)*text == 0xE0 || (*text == '\xE2' && text[1] <= '\xB7')));
    return narrow ? 1 : 2;
}

/* Text of a model, which may hold anything: at most `columns` of it, the rest of them blank.  Line ends are blanks. */
static void put_text(struct canvas *c, const char *text, int columns) {
    int n = 0, last = 0;
    size_t last_size = c->size, size;
    text += strspn(text, " \n\t");
    for (size_t left = strlen(text); left; text += size, left -= size) {
        size = utf8_char(text, left);
        int width = character_columns(c, text, size);
        if (n + (width ? width : 1) > columns) break;
        if (!size) size = 1;
        last = n, last_size = c->size;
        if (width) put(c, "%.*s", (int)size, text);
        else put(c, "%c", *text == '\n' || *text == '\t' ? ' ' : '?');
        n += width ? width : 1;
    }
    if (text[strspn(text, " \n\t")] && columns > 0) { /* cut */
        if (n == columns) c->size = last_size, n = last;
        put(c, ">");
        n++;
    }
    put(c, "%*s", columns - n, "");
}

static void color(struct canvas *c, const char *code) {
    if (c->d->term.color) put(c, "\033[%sm", code);
}

static int text_columns(const struct canvas *c, uint32_t depth) {
    int n = c->d->term.width - 1 - NUMBERS;
    n = (n < MAX_TEXT ? n : MAX_TEXT) - 3 * (int)depth;
    return n > 4 ? n : 4;
}

static void end_line(struct canvas *c) {
    put(c, c->d->term.live ? "\033[K\n" : "\n");
    c->n_lines++;
}

static void put_indent(struct canvas *c, uint32_t depth) {
    color(c, "2");
    for (uint32_t i = 1; i < depth; i++) put(c, "%s", c->open[i] ? c->glyphs->bar : c->glyphs->gap);
}

static void put_branch(struct canvas *c, uint32_t depth, bool last) {
    put_indent(c, depth);
    put(c, "%s", last ? c->glyphs->corner : c->glyphs->tee);
    color(c, "0");
}

static const struct node *node_at(const struct canvas *c, uint32_t u) { return &c->ev->tree->nodes[u]; }

static float value_of(const struct canvas *c, uint32_t u) {
    const struct node *n = node_at(c, u);
    const struct visits *v = tree_visits(c->ev->tree);
    return v && v[u].n ? (float)(v[u].sum / v[u].n) : n->value > 0 ? n->value : c->d->best[u];
}

static const char *mark_of(const struct canvas *c, uint32_t u) {
    uint32_t flags = node_at(c, u)->flags;
    if (c->answer == u) return "answer";
    if (flags & NODE_FINISHED) return "end";
    if (flags & NODE_TRUNCATED) return "cut";
    if (flags & NODE_DEAD) return "dead";
    return flags & NODE_PRUNED ? "pruned" : "";
}

static void put_numbers(struct canvas *c, uint32_t u) {
    float value = value_of(c, u);
    put(c, " %6u", c->d->weight[u]);
    color(c, value >= 0.75f ? "32" : value >= 0.35f ? "33" : "31");
    if (c->d->scored) put(c, "   %4.2f", (double)value);
    color(c, "0");
    const char *mark = mark_of(c, u);
    if (c->answer == u) color(c, "1");
    if (*mark) put(c, " %s", mark);
    if (c->answer == u) color(c, "0");
}

/* The child of u on the way to the picked answer; 0 when there is none. */
static uint32_t answer_child(const struct canvas *c, uint32_t u) {
    uint32_t v = c->answer;
    while (v && node_at(c, v)->parent != u) v = node_at(c, v)->parent;
    return v;
}

static bool comes_before(const struct canvas *c, uint32_t a, uint32_t b) {
    const uint32_t *weight = c->d->weight;
    return weight[a] != weight[b] ? weight[a] > weight[b] : value_of(c, a) > value_of(c, b);
}

/* The children to show, most visited first, then by value; the picked one always among them.  Returns how many. */
static int choose(const struct canvas *c, uint32_t u, uint32_t *chosen) {
    uint32_t depth = node_at(c, u)->depth, answer = answer_child(c, u);
    int cap = c->shown[depth < 2 ? depth : 2], n = 0;
    bool has_answer = !answer;
    for (uint32_t k = node_at(c, u)->first_child; k; k = node_at(c, k)->next_sibling) {
        int at = n;
        while (at > 0 && comes_before(c, k, chosen[at - 1])) at--;
        if (at == cap) continue;
        if (n < cap) n++;
        memmove(chosen + at + 1, chosen + at, (size_t)(n - 1 - at) * sizeof *chosen);
        chosen[at] = k;
    }
    for (int i = 0; i < n; i++) has_answer |= chosen[i] == answer;
    if (!has_answer) chosen[n - 1] = answer;
    return n;
}

static void put_more(struct canvas *c, uint32_t n, const char *what) {
    color(c, "2");
    put(c, "+ %u more%s", n, what);
    color(c, "0");
    end_line(c);
}

static void put_node(struct canvas *c, uint32_t u, uint32_t indent) {
    put_text(c, node_at(c, u)->text, text_columns(c, indent));
    put_numbers(c, u);
    end_line(c);
}

/* Steps that follow u without a choice, below it: the next one, the last one, and how many are between.  Returns the last. */
static uint32_t put_run(struct canvas *c, uint32_t u, uint32_t indent) {
    uint32_t n = 0, end = u, i = 0;
    for (; node_at(c, end)->n_children == 1; n++) end = node_at(c, end)->first_child;
    while (u != end && c->n_lines < c->max_lines) {
        u = node_at(c, u)->first_child;
        bool shown = ++i == 1 || u == end || n <= 3;
        if (!shown && i > 2) continue; /* told with the second */
        put_indent(c, indent);
        put(c, "%s", c->open[indent] ? c->glyphs->bar : c->glyphs->gap);
        color(c, "0");
        if (shown) put_node(c, u, indent);
        else put_more(c, n - 2, " steps");
    }
    return end;
}

/* indent: how deep the children are drawn; in words, unbranched steps go straight down instead of to the right. */
static void put_children(struct canvas *c, uint32_t u, uint32_t indent) {
    uint32_t chosen[MAX_SHOWN];
    int n = choose(c, u, chosen);
    uint32_t more = node_at(c, u)->n_children - (uint32_t)n;
    for (int i = 0; i < n && c->n_lines < c->max_lines; i++) {
        bool last = i == n - 1 && !more;
        put_branch(c, indent, last);
        put_node(c, chosen[i], indent);
        c->open[indent] = !last;
        uint32_t below = c->d->words ? put_run(c, chosen[i], indent) : chosen[i];
        if (indent < MAX_DEPTH) put_children(c, below, indent + 1);
    }
    if (!more || c->n_lines >= c->max_lines) return;
    put_branch(c, indent, true);
    put_more(c, more, "");
}

/* Chains through each node, and the best value below it: children have higher numbers than their parents. */
static bool weigh(struct draw *d, const struct tree *t) {
    const struct visits *v = tree_visits(t);
    if (!d->weight) d->weight = mem_new(t->cap, sizeof *d->weight);
    if (!d->best) d->best = mem_new(t->cap, sizeof *d->best);
    if (!d->weight || !d->best) return false;
    memset(d->weight, 0, t->n * sizeof *d->weight);
    memset(d->best, 0, t->n * sizeof *d->best);
    for (uint32_t u = t->n; u-- > 0;) {
        const struct node *n = &t->nodes[u];
        if (v) d->weight[u] = v[u].n;
        else if (!n->first_child) d->weight[u] = n->multiplicity;
        if (n->value > d->best[u]) d->best[u] = n->value;
        if (!u) break;
        if (!v) d->weight[n->parent] += d->weight[u];
        if (d->best[u] > d->best[n->parent]) d->best[n->parent] = d->best[u];
    }
    return true;
}

static void draw_tree(struct draw *d, const struct event *ev) {
    int rows = d->term.live ? d->term.height : 48;
    struct canvas c = {.d = d, .ev = ev, .glyphs = d->term.utf8 ? &boxes : &plain, .max_lines = rows - 3};
    c.answer = ev->result ? ev->result->node : 0;
    c.shown[0] = rows >= 40 ? 4 : 3, c.shown[1] = rows >= 60 ? 3 : 2, c.shown[2] = rows >= 60 ? 2 : 1;
    if (!weigh(d, ev->tree)) return;
    if (d->n_lines) put(&c, "\033[%dA\r", d->n_lines);
    color(&c, "1");
    put_text(&c, d->title, text_columns(&c, 0));
    color(&c, "0");
    put(&c, "%7s%s", d->visited ? "visits" : "chains", d->scored ? "  value" : "");
    end_line(&c);
    put_children(&c, 0, 1);
    if (d->term.live) put(&c, "\033[J");
    fwrite(c.text, 1, c.size, d->to);
    fflush(d->to);
    d->n_lines = c.n_lines;
}

void draw_event(void *draw, const struct event *ev) {
    struct draw *d = draw;
    uint64_t now = clock_ns();
    d->scored |= ev->kind == EVENT_SCORED;
    d->visited |= ev->kind == EVENT_VISITED;
    if (ev->kind != EVENT_DONE && (!d->term.live || now - d->last_ns < 100000000u)) return;
    d->last_ns = now;
    draw_tree(d, ev);
}

void draw_free(struct draw *d) {
    mem_free(d->weight);
    mem_free(d->best);
    d->weight = NULL, d->best = NULL;
}
