/* tree_export.c: saved trees as pictures and as one JSON object; see tree_tools.h.
 * Not the page's script: serve/page.html draws the trees that are put into it here.
 * Next: cli/cmd_tree.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "solve/tree_tools.h"

/* Dark blue to yellow, as on the page; grey: no value. */
static const char *colour(const struct saved_tree *f, uint32_t u, char text[8]) {
    static const int stops[4][3] = {{59, 28, 110}, {49, 104, 142}, {53, 183, 121}, {253, 231, 37}};
    const struct node *n = &f->tree.nodes[u];
    const struct visits *v = tree_visits(&f->tree);
    double value = v && v[u].n ? v[u].sum / v[u].n : (double)n->value;
    if (!(n->flags & NODE_SCORED) && !(v && v[u].n)) return "#8a8a92";
    double t = fmin(0.9999, fmax(0, value)) * 3;
    int i = (int)t;
    double part = t - i;
    for (int c = 0; c < 3; c++)
        snprintf(text + 1 + 2 * c, 3, "%02x",
                 (unsigned)lround(stops[i][c] + (stops[i + 1][c] - stops[i][c]) * part) & 255);
    text[0] = '#';
    return text;
}

/* The nodes on the way to the answer. */
static bool *picked_nodes(const struct saved_tree *f) {
    bool *picked = mem_new(f->tree.n, sizeof *picked);
    for (uint32_t u = f->done ? f->result.node : 0; picked && u; u = f->tree.nodes[u].parent) picked[u] = true;
    return picked;
}

/* ---- dot ---- */

/* Text for a label: at most 60 bytes of printable ASCII. */
static void put_label(struct buffer *to, const char *text) {
    text += strspn(text, " \n\t");
    for (int i = 0; *text && i < 60; text++, i++) {
        if (*text == '"' || *text == '\\') buffer_print(to, "\\%c", *text);
        else buffer_print(to, "%c", *text >= ' ' && *text <= '~' ? *text : *text == '\n' ? ' ' : '?');
    }
    if (*text) buffer_text(to, "...");
}

static void put_dot(const struct saved_tree *f, const bool *picked, struct buffer *to) {
    const struct tree *t = &f->tree;
    char text[8];
    buffer_text(
        to, "digraph tree {\n  node [shape=box, style=filled, fontname=\"sans-serif\", fontsize=10];\n  0 [label=\"");
    put_label(to, tree_header_text(f, "problem"));
    buffer_text(to, "\", fillcolor=white];\n");
    for (uint32_t u = 1; u < t->n; u++) {
        const struct node *n = &t->nodes[u];
        buffer_print(to, "  %u [label=\"", u);
        put_label(to, n->text);
        buffer_print(to, "\\n%s", node_status_name(n));
        if (n->flags & NODE_SCORED) buffer_print(to, " %.3f", (double)n->value);
        buffer_print(to, "\", fillcolor=\"%s\"%s];\n  %u -> %u%s;\n", colour(f, u, text),
                     (n->flags & NODE_SCORED) && n->value < 0.5f ? ", fontcolor=white" : "", n->parent, u,
                     picked[u] ? " [penwidth=3, color=\"#d4442e\"]" : "");
    }
    buffer_text(to, "}\n");
}

/* ---- svg ---- */

static void put_xml(struct buffer *to, const char *text, size_t most) {
    text += strspn(text, " \n\t");
    for (size_t i = 0; *text && i < most; text++, i++) {
        if (*text == '<') buffer_text(to, "&lt;");
        else if (*text == '>') buffer_text(to, "&gt;");
        else if (*text == '&') buffer_text(to, "&amp;");
        else buffer_print(to, "%c", *text >= ' ' && *text <= '~' ? *text : *text == '\n' ? ' ' : '?');
    }
    if (*text) buffer_text(to, "...");
}

/* x of leaves in order, of others in the middle of their children.  Returns how many leaves there are. */
static uint32_t lay_out(const struct tree *t, double *x, uint32_t *order) {
    uint32_t n = 0, leaves = 0;
    for (uint32_t u = 0; n < t->n;) { /* pre-order */
        order[n++] = u;
        if (t->nodes[u].first_child) u = t->nodes[u].first_child;
        else {
            while (u && !t->nodes[u].next_sibling) u = t->nodes[u].parent;
            if (!u) break;
            u = t->nodes[u].next_sibling;
        }
    }
    for (uint32_t i = 0; i < n; i++)
        if (!t->nodes[order[i]].first_child) x[order[i]] = leaves++;
    for (uint32_t i = n; i-- > 0;) {
        const struct node *one = &t->nodes[order[i]];
        if (one->first_child) x[order[i]] = (x[one->first_child] + x[one->last_child]) / 2;
    }
    return leaves;
}

static void put_svg(const struct saved_tree *f, const bool *picked, const double *x, uint32_t leaves,
                    struct buffer *to) {
    enum { STEP_X = 26, STEP_Y = 64, EDGE = 40 };
    const struct tree *t = &f->tree;
    uint32_t deepest = 0;
    char text[8];
    for (uint32_t u = 1; u < t->n; u++)
        if (t->nodes[u].depth > deepest) deepest = t->nodes[u].depth;
    buffer_print(to,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" font-family=\"sans-serif\" "
                 "font-size=\"10\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"%d\" y=\"16\">",
                 leaves * STEP_X + 2 * EDGE, deepest * STEP_Y + 3 * EDGE, EDGE / 2);
    put_xml(to, tree_header_text(f, "problem"), 200);
    buffer_text(to, "</text>\n");
#define PX(u) (EDGE + x[u] * STEP_X)
#define PY(u) (double)(EDGE + t->nodes[u].depth * STEP_Y)
    for (uint32_t u = 1; u < t->n; u++) {
        uint32_t up = t->nodes[u].parent;
        buffer_print(to, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\" stroke-width=\"%s\"/>\n", PX(up), PY(up),
                     PX(u), PY(u), picked[u] ? "#d4442e" : "#b0b0b8", picked[u] ? "2.5" : "1");
    }
    for (uint32_t u = 0; u < t->n; u++) {
        const struct node *n = &t->nodes[u];
        buffer_print(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"7\" fill=\"%s\"%s><title>", PX(u), PY(u),
                     u ? colour(f, u, text) : "#404048",
                     n->flags & NODE_FINISHED ? " stroke=\"black\" stroke-width=\"1.5\""
                     : n->flags & NODE_PRUNED ? " opacity=\"0.35\""
                                              : "");
        put_xml(to, u ? n->text : tree_header_text(f, "problem"), 400);
        buffer_print(to, " [%s", u ? node_status_name(n) : "prompt");
        if (n->flags & NODE_SCORED) buffer_print(to, ", value %.3f", (double)n->value);
        buffer_text(to, "]</title></circle>\n");
        if (!picked[u]) continue;
        buffer_print(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", PX(u), PY(u) + 20);
        put_xml(to, n->text, 40);
        buffer_text(to, "</text>\n");
    }
    buffer_text(to, "</svg>\n");
}

/* ---- json ---- */

static void put_json(const struct saved_tree *f, const bool *picked, struct buffer *to) {
    const struct tree *t = &f->tree;
    const struct visits *v = tree_visits(t);
    buffer_print(to, "{\"header\":%.*s,\n\"nodes\":[\n{\"node\":0,\"children\":%u}", (int)(f->lines[1] - 1), f->text,
                 t->nodes[0].n_children);
    for (uint32_t u = 1; u < t->n; u++) {
        const struct node *n = &t->nodes[u];
        buffer_print(to, ",\n{\"node\":%u,\"parent\":%u,\"try\":%u,\"depth\":%u,\"text\":", u, n->parent,
                     n->child_index, n->depth);
        trace_text(to, n->text);
        buffer_print(to, ",\"tokens\":%u,\"times\":%u,\"status\":\"%s\"", n->n_tokens, n->multiplicity,
                     node_status_name(n));
        if (isfinite(n->logprob)) buffer_print(to, ",\"logprob\":%.9g", (double)n->logprob);
        if (n->flags & NODE_SCORED) buffer_print(to, ",\"value\":%.9g", (double)n->value);
        if (v && v[u].n) buffer_print(to, ",\"visits\":%u,\"mean\":%.9g", v[u].n, v[u].sum / v[u].n);
        if (f->nodes[u].answer) {
            buffer_text(to, ",\"answer\":");
            trace_text(to, f->nodes[u].answer);
        }
        buffer_text(to, picked[u] ? ",\"picked\":true}" : "}");
    }
    buffer_text(to, "],\n\"result\":");
    if (f->done) buffer_add(to, f->text + f->lines[f->n_lines - 1], f->size - f->lines[f->n_lines - 1] - 1);
    else buffer_text(to, "null");
    buffer_text(to, "}\n");
}

/* ---- html ---- */

/* The page, with the lines of the files in front of its script.  "<" in them is escaped, or a text could end the data. */
static enum status put_html(const struct tree_page *p, const struct saved_tree *const *trees, int n, struct buffer *to,
                            struct error *e) {
    const char *page = p->data, *end = p->data + p->size;
    const char *script = memmem(page, (size_t)(end - page), "<script>", 8);
    if (!script) return error_set(e, ERR_INPUT, "this binary's page has no script");
    buffer_add(to, page, (size_t)(script - page));
    buffer_text(to, "<script id=\"saved\" type=\"application/json\">[");
    for (int k = 0; k < n; k++) {
        const struct saved_tree *f = trees[k];
        buffer_text(to, k ? ",[" : "[");
        for (size_t i = 0; i < f->n_lines; i++) {
            if (i) buffer_text(to, ",\n");
            for (const char *c = f->text + f->lines[i], *over = f->text + f->lines[i + 1] - 1; c < over; c++) {
                if (*c == '<') buffer_text(to, "\\u003c");
                else buffer_add(to, c, 1);
            }
        }
        buffer_text(to, "]");
    }
    buffer_text(to, "]</script>\n");
    buffer_add(to, script, (size_t)(end - script));
    return OK;
}

enum status tree_export(const char *format, const struct tree_page *page, const struct saved_tree *const *trees, int n,
                        struct buffer *to, struct error *e) {
    const struct saved_tree *f = trees[0];
    enum status s = OK;
    if (!strcmp(format, "html")) s = put_html(page, trees, n, to, e);
    else {
        bool *picked = picked_nodes(f);
        double *x = mem_new(f->tree.n, sizeof *x);
        uint32_t *order = mem_new(f->tree.n, sizeof *order);
        if (!picked || !x || !order) s = error_set(e, ERR_MEMORY, "no memory for a picture");
        else if (!strcmp(format, "dot")) put_dot(f, picked, to);
        else if (!strcmp(format, "svg")) put_svg(f, picked, x, lay_out(&f->tree, x, order), to);
        else put_json(f, picked, to);
        mem_free(picked), mem_free(x), mem_free(order);
    }
    if (!s && to->failed) s = error_set(e, ERR_MEMORY, "no memory for a picture");
    return s;
}
