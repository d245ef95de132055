/* trace.c: one JSON line per event.
 * Not a JSON library: it writes six fixed shapes.
 * Next: cli, which replays them. */
#include "search/trace.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

/* Text that is being written; counts on when it is full. */
struct out {
    char *text;
    size_t n, cap;
};

static void put_bytes(struct out *o, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++, o->n++)
        if (o->n + 1 < o->cap) o->text[o->n] = bytes[i];
}

__attribute__((format(printf, 2, 3))) static void put(struct out *o, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0) put_bytes(o, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static void put_number(struct out *o, const char *name, double x) {
    if (isfinite(x)) put(o, ",\"%s\":%.9g", name, x); /* 9 digits: a float comes back exactly */
    else put(o, ",\"%s\":null", name);
}

/* Length of the UTF-8 character at s (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF); 0 when it is none. */
static size_t utf8_length(const unsigned char *s) {
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F)) return 0;
    if ((s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F)) return 0;
    return n;
}

static void put_text(struct out *o, const char *name, const char *text) {
    put(o, ",\"%s\":\"", name);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        if (!n) put(o, "\\ufffd"), n = 1;
        else if (*s == '"' || *s == '\\') put(o, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7f) put(o, "\\u%04x", *s);
        else put_bytes(o, (const char *)s, n);
        s += n;
    }
    put(o, "\"");
}

static void put_made(struct out *o, const struct node *n) {
    const char *end = n->flags & NODE_FINISHED    ? "finished"
                      : n->flags & NODE_TRUNCATED ? "truncated"
                      : n->flags & NODE_DEAD      ? "dead"
                                                  : "open";
    put(o, ",\"parent\":%u,\"try\":%u,\"depth\":%u", n->parent, n->child_index, n->depth);
    put_text(o, "text", n->text);
    put(o, ",\"tokens\":%u", n->n_tokens);
    put_number(o, "logprob", n->logprob);
    put(o, ",\"end\":\"%s\"", end);
}

static void put_done(struct out *o, const struct search_result *r, const struct ledger *l) {
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
        {"simulations", l->simulations},           {"prompt_tokens", l->prompt_tokens},
        {"generated_tokens", l->generated_tokens}, {"prm_tokens", l->prm_tokens},
        {"policy_flops", l->policy_flops},         {"prm_flops", l->prm_flops},
        {"shared_tokens", l->shared_tokens},       {"forks", l->forks},
        {"pages_copied", l->pages_copied},         {"replayed_tokens", l->replayed_tokens},
        {"cached_tokens", l->cached_tokens},
        {"peak_kv_bytes", l->peak_kv_bytes},       {"ns", l->ns},
    };
    if (r) {
        put_number(o, "value", r->value);
        put(o, ",\"why\":\"%s\",\"finished\":%u", why_name(r->why), r->n_finished);
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        put(o, ",\"%s\":%llu", counts[i].name, (unsigned long long)counts[i].count);
}

size_t trace_line(const struct event *event, char *line, size_t cap) {
    static const char *const names[] = {"made", "scored", "visited", "pruned", "finished", "done"};
    const struct node *n = &event->tree->nodes[event->node];
    const struct visits *v = tree_visits(event->tree);
    struct out o = {line, 0, cap};
    put(&o, "{\"event\":\"%s\",\"node\":%u", names[event->kind], event->node);
    switch (event->kind) {
    case EVENT_MADE: put_made(&o, n); break;
    case EVENT_SCORED: put_number(&o, "value", n->value); break;
    case EVENT_VISITED:
        put(&o, ",\"visits\":%u", v ? v[event->node].n : 0);
        put_number(&o, "mean", v && v[event->node].n ? v[event->node].sum / v[event->node].n : 0);
        break;
    case EVENT_PRUNED: break;
    case EVENT_FINISHED:
        put_number(&o, "value", n->value);
        if (n->flags & (NODE_CHECKED_RIGHT | NODE_CHECKED_WRONG))
            put(&o, ",\"checked\":%s", n->flags & NODE_CHECKED_RIGHT ? "true" : "false");
        break;
    case EVENT_DONE: put_done(&o, event->result, event->ledger); break;
    }
    put(&o, "}");
    if (cap) line[o.n < cap ? o.n : cap - 1] = 0;
    return o.n;
}

void trace_write(void *trace, const struct event *event) {
    struct trace *t = trace;
    char small[1024], *line = small;
    if (t->failed) return;
    size_t n = trace_line(event, small, sizeof small);
    if (n >= sizeof small) {
        line = mem_new(n + 1, 1);
        if (line) trace_line(event, line, n + 1);
    }
    t->failed = !line || fwrite(line, 1, n, t->file) != n || putc('\n', t->file) == EOF;
    if (line != small) mem_free(line);
}
