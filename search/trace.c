/* trace.c: see trace.h.
 * Not a JSON library: it writes fixed shapes.
 * Next: cassette.c, which knows what was said about which node. */
#include "search/trace.h"

#include <math.h>
#include <string.h>

/* ---- fields ---- */

static void put_number(struct buffer *o, const char *name, double x) {
    if (isfinite(x)) buffer_print(o, ",\"%s\":%.9g", name, x); /* 9 digits: a float comes back exactly */
    else buffer_print(o, ",\"%s\":null", name);
}

static void put_count(struct buffer *o, const char *name, uint64_t x) {
    buffer_print(o, ",\"%s\":%llu", name, (unsigned long long)x);
}

static void put_name(struct buffer *o, const char *name, const char *word) {
    buffer_print(o, ",\"%s\":\"%s\"", name, word);
}

static void put_key(struct buffer *o, const char *name, uint64_t key) {
    buffer_print(o, ",\"%s\":\"%016llx\"", name, (unsigned long long)key);
}

static void put_ids(struct buffer *o, const int32_t *ids, uint32_t n) {
    buffer_text(o, ",\"ids\":[");
    for (uint32_t i = 0; i < n; i++) buffer_print(o, i ? ",%d" : "%d", (int)ids[i]);
    buffer_text(o, "]");
}

static void put_numbers(struct buffer *o, const char *name, const float *x, uint32_t n) {
    buffer_print(o, ",\"%s\":[", name);
    for (uint32_t i = 0; i < n; i++) {
        if (i) buffer_text(o, ",");
        if (isfinite(x[i])) buffer_print(o, "%.9g", (double)x[i]);
        else buffer_text(o, "null");
    }
    buffer_text(o, "]");
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

bool trace_text(struct buffer *o, const char *text) {
    bool good = true;
    buffer_text(o, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        if (!n) buffer_text(o, "\\ufffd"), n = 1, good = false;
        else if (*s == '"' || *s == '\\') buffer_print(o, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7f) buffer_print(o, "\\u%04x", *s);
        else buffer_add(o, s, n);
        s += n;
    }
    buffer_text(o, "\"");
    return good;
}

/* And the bytes themselves, where the text does not give them back. */
static void put_text(struct buffer *o, const char *name, const char *text, bool exact) {
    buffer_print(o, ",\"%s\":", name);
    if (trace_text(o, text) || !exact) return;
    buffer_text(o, ",\"bytes\":\"");
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) buffer_print(o, "%02x", *s);
    buffer_text(o, "\"");
}

/* ---- names ---- */

const char *step_end_name(enum step_end end) {
    static const char *const names[] = {"separator", "finished", "truncated", "dead", "open"};
    return names[end];
}

const char *node_end_name(const struct node *n) {
    return n->flags & NODE_FINISHED    ? "finished"
           : n->flags & NODE_TRUNCATED ? "truncated"
           : n->flags & NODE_DEAD      ? "dead"
                                       : "open";
}

const char *node_status_name(const struct node *n) {
    if (n->flags & NODE_CHECKED_RIGHT) return "right";
    if (n->flags & NODE_CHECKED_WRONG) return "wrong";
    if (n->flags & NODE_TERMINAL) return node_end_name(n);
    return n->flags & NODE_PRUNED ? "pruned" : n->flags & NODE_PART ? "part" : "open";
}

/* ---- items ---- */

static void put_step(struct buffer *o, const struct tape_item *x) {
    put_name(o, "by", x->kind == TAPE_PUT ? "given" : x->draft ? "draft" : "policy");
    if (x->ids) put_ids(o, x->ids, x->n_tokens);
    if (x->logprobs) put_numbers(o, "logprobs", x->logprobs, x->n_tokens);
    if (x->shares) put_numbers(o, "shares", x->shares, x->n_tokens);
    if (x->apart) buffer_print(o, ",\"left\":%.17g", x->left);
    put_name(o, "ended", step_end_name(x->end));
    put_count(o, "steps", x->n_steps);
    put_count(o, "flops", x->flops);
}

static void put_value(struct buffer *o, const struct tape_item *x) {
    put_count(o, "judge_tokens", x->cost.tokens), put_count(o, "judge_flops", x->cost.flops);
    put_count(o, "flops", x->cost.policy_flops);
}

static void put_proposal(struct buffer *o, const struct tape_item *x) {
    put_count(o, "tokens", x->n_tokens);
    put_ids(o, x->ids, x->n_tokens);
    put_numbers(o, "logprobs", x->logprobs, x->n_tokens);
    put_number(o, "entropy", (double)x->number);
    put_count(o, "flops", x->flops);
}

void trace_item(struct buffer *o, const struct tape_item *x) {
    static const char *const names[] = {"step", "step", "value", "proposed", "begun", "checked", "answer", "state"};
    buffer_print(o, "{\"event\":\"%s\"", names[x->kind]);
    if (x->node) put_count(o, "node", x->node);
    switch (x->kind) {
    case TAPE_STEP:
    case TAPE_PUT:
        put_text(o, "text", x->text, true);
        put_count(o, "tokens", x->n_tokens);
        put_number(o, "logprob", (double)x->logprob);
        put_step(o, x);
        break;
    case TAPE_VALUE:
        put_number(o, "value", (double)x->number);
        put_value(o, x);
        break;
    case TAPE_PROPOSAL: put_proposal(o, x); break;
    case TAPE_BEGUN:
        put_name(o, "ask", ask_name(x->ask));
        put_count(o, "tokens", x->n_tokens);
        put_count(o, "flops", x->flops);
        break;
    case TAPE_CHECKED:
        put_number(o, "reward", (double)x->number);
        put_text(o, "reason", x->text, true);
        break;
    case TAPE_ANSWER: put_text(o, "answer", x->text, true); break;
    case TAPE_STATE: put_key(o, "state", x->state); break;
    }
    buffer_text(o, "}");
}

/* ---- events ---- */

static void put_made(struct buffer *o, const struct node *n, bool exact) {
    put_count(o, "parent", n->parent), put_count(o, "try", n->child_index), put_count(o, "depth", n->depth);
    put_key(o, "seed", n->key);
    put_text(o, "text", n->text, exact);
    put_count(o, "tokens", n->n_tokens);
    put_number(o, "logprob", (double)n->logprob);
    put_name(o, "end", node_end_name(n));
}

static void put_done(struct buffer *o, const struct search_result *r, const struct ledger *l, bool of_run) {
    const struct {
        const char *name;
        uint64_t count;
        bool of_run;
    } counts[] = {
        {"simulations", l->simulations, false},
        {"prompt_tokens", l->prompt_tokens, false},
        {"generated_tokens", l->generated_tokens, false},
        {"prm_tokens", l->prm_tokens, false},
        {"policy_flops", l->policy_flops, false},
        {"prm_flops", l->prm_flops, false},
        {"forks", l->forks, false},
        {"shared_tokens", l->shared_tokens, true}, /* a tape does not say it */
        {"pages_copied", l->pages_copied, true},
        {"replayed_tokens", l->replayed_tokens, true},
        {"cached_tokens", l->cached_tokens, true},
        {"peak_kv_bytes", l->peak_kv_bytes, true},
        {"ns", l->ns, true},
    };
    if (r) {
        put_number(o, "value", (double)r->value);
        put_name(o, "why", why_name(r->why));
        put_name(o, "pick", pick_name(r->pick));
        put_count(o, "finished", r->n_finished);
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (of_run || !counts[i].of_run) put_count(o, counts[i].name, counts[i].count);
}

void trace_event(struct buffer *o, const struct event *event, const struct tape_item *item, bool of_run) {
    static const char *const names[] = {"made", "scored", "visited", "pruned", "finished", "done"};
    const struct node *n = &event->tree->nodes[event->node];
    const struct visits *v = tree_visits(event->tree);
    buffer_print(o, "{\"event\":\"%s\",\"node\":%u", names[event->kind], event->node);
    switch (event->kind) {
    case EVENT_MADE:
        put_made(o, n, !of_run);
        if (item) put_step(o, item);
        break;
    case EVENT_SCORED:
        put_number(o, "value", (double)n->value);
        if (item) put_value(o, item);
        break;
    case EVENT_VISITED:
        put_count(o, "visits", v ? v[event->node].n : 0);
        put_number(o, "mean", v && v[event->node].n ? v[event->node].sum / v[event->node].n : 0);
        break;
    case EVENT_PRUNED: break;
    case EVENT_FINISHED:
        put_number(o, "value", (double)n->value);
        if (n->flags & (NODE_CHECKED_RIGHT | NODE_CHECKED_WRONG))
            buffer_print(o, ",\"checked\":%s", n->flags & NODE_CHECKED_RIGHT ? "true" : "false");
        break;
    case EVENT_DONE: put_done(o, event->result, event->ledger, of_run); break;
    }
    buffer_text(o, "}");
}

void trace_node(struct buffer *o, const struct tree *t, uint32_t node) {
    const struct node *n = &t->nodes[node];
    const struct visits *v = tree_visits(t);
    buffer_print(o, "{\"event\":\"node\",\"node\":%u", node);
    put_number(o, "value", (double)n->value);
    put_count(o, "times", n->multiplicity), put_count(o, "tries", n->tries);
    if (v) put_count(o, "visits", v[node].n), put_number(o, "mean", v[node].n ? v[node].sum / v[node].n : 0);
    put_name(o, "status", node_status_name(n));
    buffer_text(o, "}");
}
