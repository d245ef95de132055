/* tree_read.c: see tree_read.h.
 * Not what is done with a tree: tree_tools.c.
 * Next: tree_file.c, which writes such files.
 *
 * Each event has a row of fields, which says what is allowed; what fields say about each other is checked afterwards. */
#include "solve/tree_read.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/input.h"
#include "base/mem.h"
#include "base/rng.h"
#include "search/strategy.h"
#include "tasks/task.h"

/* ---- fields ---- */

enum field_kind { COUNT, NUMBER, TEXT, KEY, WORD, YES, IDS, NUMBERS, SHARES };
struct rule {
    const char *name;
    enum field_kind kind;
    bool may_miss;
    double low, high;  /* COUNT, NUMBER */
    const char *words; /* WORD: "a|b|c" */
};

#define STATUSES "open|part|finished|truncated|dead|pruned|right|wrong"
#define MOST 4294967295.0
#define HUGE_COUNT 9.2e18
/* clang-format off */
#define STEP_FIELDS(missing) \
    {"by", WORD, missing, 0, 0, "policy|draft|given"}, {"ids", IDS, true, 0, 0, NULL}, {"logprobs", NUMBERS, true, 0, 0, NULL}, \
    {"shares", SHARES, true, 0, 0, NULL}, {"left", NUMBER, true, 0, 1, NULL}, \
    {"ended", WORD, missing, 0, 0, "separator|finished|truncated|dead|open"}, {"steps", COUNT, missing, 0, MOST, NULL}, \
    {"flops", COUNT, missing, 0, HUGE_COUNT, NULL}, {"bytes", TEXT, true, 0, 0, NULL}
static const struct rule
    made[] = {{"node", COUNT, false, 1, MOST, NULL}, {"parent", COUNT, false, 0, MOST, NULL}, {"try", COUNT, false, 0, MOST, NULL},
              {"depth", COUNT, false, 1, MOST, NULL}, {"seed", KEY, false, 0, 0, NULL}, {"text", TEXT, false, 0, 0, NULL},
              {"tokens", COUNT, false, 0, MOST, NULL}, {"logprob", NUMBER, false, -INFINITY, 1e-3, NULL},
              {"end", WORD, false, 0, 0, "open|finished|truncated|dead"}, STEP_FIELDS(true), {0}},
    step[] = {{"text", TEXT, false, 0, 0, NULL}, {"tokens", COUNT, false, 0, MOST, NULL}, {"logprob", NUMBER, false, -INFINITY, 1e-3, NULL},
              STEP_FIELDS(false), {0}},
    scored[] = {{"node", COUNT, false, 1, MOST, NULL}, {"value", NUMBER, false, 0, 1, NULL}, {"judge_tokens", COUNT, true, 0, HUGE_COUNT, NULL},
                {"judge_flops", COUNT, true, 0, HUGE_COUNT, NULL}, {"flops", COUNT, true, 0, HUGE_COUNT, NULL}, {0}},
    value[] = {{"node", COUNT, true, 1, MOST, NULL}, {"value", NUMBER, false, -INFINITY, INFINITY, NULL}, {"judge_tokens", COUNT, false, 0, HUGE_COUNT, NULL},
               {"judge_flops", COUNT, false, 0, HUGE_COUNT, NULL}, {"flops", COUNT, false, 0, HUGE_COUNT, NULL}, {0}},
    visited[] = {{"node", COUNT, false, 0, MOST, NULL}, {"visits", COUNT, false, 0, MOST, NULL}, {"mean", NUMBER, false, 0, 1.000001, NULL}, {0}},
    pruned[] = {{"node", COUNT, false, 1, MOST, NULL}, {0}},
    finished[] = {{"node", COUNT, false, 1, MOST, NULL}, {"value", NUMBER, false, 0, 1, NULL}, {"checked", YES, true, 0, 0, NULL}, {0}},
    proposed[] = {{"node", COUNT, true, 1, MOST, NULL}, {"tokens", COUNT, false, 0, MOST, NULL}, {"ids", IDS, false, 0, 0, NULL},
                  {"logprobs", NUMBERS, false, 0, 0, NULL}, {"entropy", NUMBER, false, -1e-3, 1e6, NULL}, {"flops", COUNT, false, 0, HUGE_COUNT, NULL}, {0}},
    begun[] = {{"node", COUNT, true, 1, MOST, NULL}, {"ask", TEXT, false, 0, 0, NULL},
               {"tokens", COUNT, false, 0, MOST, NULL}, {"flops", COUNT, false, 0, HUGE_COUNT, NULL}, {0}},
    checked[] = {{"node", COUNT, true, 1, MOST, NULL}, {"reward", NUMBER, false, 0, 1, NULL}, {"reason", TEXT, false, 0, 0, NULL}, {"bytes", TEXT, true, 0, 0, NULL}, {0}},
    answer[] = {{"node", COUNT, true, 1, MOST, NULL}, {"answer", TEXT, false, 0, 0, NULL}, {"bytes", TEXT, true, 0, 0, NULL}, {0}},
    state[] = {{"node", COUNT, true, 1, MOST, NULL}, {"state", KEY, false, 0, 0, NULL}, {0}},
    node[] = {{"node", COUNT, false, 1, MOST, NULL}, {"value", NUMBER, false, 0, 1, NULL}, {"times", COUNT, false, 1, MOST, NULL}, {"tries", COUNT, false, 0, MOST, NULL},
              {"visits", COUNT, true, 0, MOST, NULL}, {"mean", NUMBER, true, 0, 1.000001, NULL},
              {"status", WORD, false, 0, 0, STATUSES}, {0}},
    prompt[] = {{"can", COUNT, false, 0, MOST, NULL}, {"tokens", COUNT, false, 0, MOST, NULL}, {"ids", IDS, false, 0, 0, NULL},
                {"prompt_tokens", COUNT, false, 0, HUGE_COUNT, NULL}, {"prm_tokens", COUNT, false, 0, HUGE_COUNT, NULL},
                {"policy_flops", COUNT, false, 0, HUGE_COUNT, NULL}, {"prm_flops", COUNT, false, 0, HUGE_COUNT, NULL}, {0}},
    done[] = {{"node", COUNT, false, 0, MOST, NULL}, {"value", NUMBER, false, 0, 1, NULL},
              {"why", TEXT, false, 0, 0, NULL}, {"pick", WORD, false, 0, 0, "best|weighted|majority|visits|confident|lowest"},
              {"finished", COUNT, false, 0, MOST, NULL}, {"simulations", COUNT, false, 0, HUGE_COUNT, NULL},
              {"prompt_tokens", COUNT, false, 0, HUGE_COUNT, NULL}, {"generated_tokens", COUNT, false, 0, HUGE_COUNT, NULL},
              {"prm_tokens", COUNT, false, 0, HUGE_COUNT, NULL}, {"policy_flops", COUNT, false, 0, HUGE_COUNT, NULL},
              {"prm_flops", COUNT, false, 0, HUGE_COUNT, NULL}, {"forks", COUNT, false, 0, HUGE_COUNT, NULL}, {0}};
/* clang-format on */

struct reading {
    struct saved_tree *f;
    tree_fault_fn *on_fault;
    void *arg;
    size_t line, n_faults;
    json_t *object; /* of the line */
    struct error *e;
    enum status status; /* of memory */
};

__attribute__((format(printf, 2, 3))) static bool fault(struct reading *r, const char *format, ...) {
    char text[400];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (r->on_fault) r->on_fault(r->arg, r->line, text);
    else if (!r->n_faults) error_set(r->e, ERR_INPUT, "%s:%zu: %s", r->f->path, r->line, text);
    r->n_faults++;
    return false;
}

/* The value as it stands there, cut. */
static const char *shown(const json_t *v, char *text, size_t cap) {
    char *all = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) : NULL;
    snprintf(text, cap, "%.60s", all ? all : "missing");
    free(all);
    return text;
}

static bool is_word(const char *text, const char *words) {
    size_t n = strlen(text);
    for (const char *w = words; w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL)
        if (strcspn(w, "|") == n && !memcmp(w, text, n)) return true;
    return false;
}

static bool check_list(struct reading *r, const struct rule *x, const json_t *v) {
    char text[80];
    size_t i;
    json_t *item;
    const double most = x->kind == SHARES ? 1.001 : 1e-3;
    if (!json_is_array(v)) return fault(r, "\"%s\": %s, a list is allowed", x->name, shown(v, text, sizeof text));
    json_array_foreach((json_t *)v, i, item) {
        bool good = x->kind == IDS ? json_is_integer(item) && json_integer_value(item) >= 0 &&
                                         json_integer_value(item) <= INT32_MAX
                                   : json_is_null(item) || (json_is_number(item) && json_number_value(item) <= most);
        if (!good)
            return fault(r, "\"%s\"[%zu]: %s, %s is allowed", x->name, i, shown(item, text, sizeof text),
                         x->kind == IDS      ? "a token from 0 on"
                         : x->kind == SHARES ? "null or a number up to 1"
                                             : "null or a number up to 0");
    }
    return true;
}

static bool check_field(struct reading *r, const struct rule *x) {
    const json_t *v = json_object_get(r->object, x->name);
    char text[80];
    if (!v && x->may_miss) return true;
    if (!v) return fault(r, "\"%s\" is missing", x->name);
    shown(v, text, sizeof text);
    double n = json_number_value(v);
    switch (x->kind) {
    case COUNT:
        if (json_is_integer(v) && n >= x->low && n <= x->high) return true;
        return fault(r, "\"%s\": %s, a whole number from %.0f to %.0f is allowed", x->name, text, x->low, x->high);
    case NUMBER:
        if (json_is_null(v) || (json_is_number(v) && n >= x->low && n <= x->high)) return true;
        return fault(r, "\"%s\": %s, null or a number from %g to %g is allowed", x->name, text, x->low, x->high);
    case TEXT:
        if (json_is_string(v)) return true;
        return fault(r, "\"%s\": %s, a text is allowed", x->name, text);
    case KEY:
        if (json_is_string(v) && json_string_length(v) == 16 && strspn(json_string_value(v), "0123456789abcdef") == 16)
            return true;
        return fault(r, "\"%s\": %s, 16 hexadecimal digits are allowed", x->name, text);
    case WORD:
        if (json_is_string(v) && is_word(json_string_value(v), x->words)) return true;
        return fault(r, "\"%s\": %s, allowed are %s", x->name, text, x->words);
    case YES:
        if (json_is_boolean(v)) return true;
        return fault(r, "\"%s\": %s, true or false is allowed", x->name, text);
    case IDS:
    case NUMBERS:
    case SHARES: return check_list(r, x, v);
    }
    return true;
}

static bool check_fields(struct reading *r, const struct rule *rules) {
    bool good = true;
    const char *name;
    json_t *v;
    for (const struct rule *x = rules; x->name; x++) good &= check_field(r, x);
    json_object_foreach(r->object, name, v) {
        const struct rule *x = rules;
        while (x->name && strcmp(x->name, name)) x++;
        if (!x->name && strcmp(name, "event")) good = fault(r, "\"%.60s\": no such field here", name);
    }
    return good;
}

/* ---- values of checked fields ---- */

static uint64_t count(const struct reading *r, const char *name) {
    return (uint64_t)json_integer_value(json_object_get(r->object, name));
}
/* null: not a number, or minus infinity where a logarithm is. */
static float number(const struct reading *r, const char *name, float of_null) {
    const json_t *v = json_object_get(r->object, name);
    return json_is_number(v) ? (float)json_number_value(v) : of_null;
}
static const char *word(const struct reading *r, const char *name) {
    const char *text = json_string_value(json_object_get(r->object, name));
    return text ? text : "";
}
static uint64_t key(const struct reading *r, const char *name) { return strtoull(word(r, name), NULL, 16); }
static bool has(const struct reading *r, const char *name) { return json_object_get(r->object, name) != NULL; }

/* ---- memory that lives as long as the tree ---- */

struct block {
    struct block *next;
    max_align_t data[];
};

static void *keep(struct reading *r, size_t n, size_t size) {
    struct block *b = mem_new(1, sizeof *b + n * size);
    if (!b) {
        if (!r->status) r->status = error_set(r->e, ERR_MEMORY, "%s: no memory for its lines", r->f->path);
        return NULL;
    }
    b->next = r->f->blocks, r->f->blocks = b;
    return b->data;
}

static char *keep_text(struct reading *r, const char *name) {
    const char *hex = word(r, "bytes"), *text = word(r, name);
    size_t n = *hex ? strlen(hex) / 2 : strlen(text);
    char *to = keep(r, n + 1, 1);
    if (!to) return NULL;
    if (!*hex) return memcpy(to, text, n + 1);
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        to[i] = (char)strtoul(two, NULL, 16);
    }
    return to;
}

static int32_t *keep_ids(struct reading *r, const char *name) {
    const json_t *list = json_object_get(r->object, name);
    size_t n = json_array_size(list);
    int32_t *to = list ? keep(r, n, sizeof *to) : NULL;
    for (size_t i = 0; to && i < n; i++) to[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return to;
}

static float *keep_numbers(struct reading *r, const char *name) {
    const json_t *list = json_object_get(r->object, name);
    size_t n = json_array_size(list);
    float *to = list ? keep(r, n, sizeof *to) : NULL;
    for (size_t i = 0; to && i < n; i++) {
        const json_t *v = json_array_get(list, i);
        to[i] = json_is_number(v) ? (float)json_number_value(v) : -INFINITY;
    }
    return to;
}

/* ---- items ---- */

static struct tape_item *add_item(struct reading *r, enum tape_kind kind) {
    struct saved_tree *f = r->f;
    struct tape_item *x = &f->items[f->n_items];
    f->item_lines[f->n_items++] = r->line;
    *x = (struct tape_item){.kind = kind, .node = has(r, "node") ? (uint32_t)count(r, "node") : 0, .text = ""};
    return x;
}

static enum step_end step_end_of(const char *name) {
    enum step_end end = STEP_SEPARATOR;
    while (end < STEP_OPEN && strcmp(step_end_name(end), name)) end++;
    return end;
}

/* Lists as long as "tokens" says, and those there that the writer needs. */
static bool check_lengths(struct reading *r, bool needed) {
    const char *const lists[] = {"ids", "logprobs", "shares"};
    for (int i = 0; i < 3; i++) {
        const json_t *list = json_object_get(r->object, lists[i]);
        if (!list && needed && i < 2) return fault(r, "\"%s\" is missing", lists[i]);
        if (list && json_array_size(list) != count(r, "tokens"))
            return fault(r, "\"%s\": %zu of them, \"tokens\" is %llu", lists[i], json_array_size(list),
                         (unsigned long long)count(r, "tokens"));
    }
    return true;
}

static bool add_step(struct reading *r) {
    bool given = !strcmp(word(r, "by"), "given");
    const char *hex = word(r, "bytes");
    if (strlen(hex) % 2 || strspn(hex, "0123456789abcdef") != strlen(hex))
        return fault(r, "\"bytes\": \"%.40s\", an even number of hexadecimal digits is allowed", hex);
    for (int i = 0; i < 3; i++) {
        static const char *const with[] = {"ended", "steps", "flops"};
        if (!has(r, with[i])) return fault(r, "\"%s\" is missing beside \"by\"", with[i]);
    }
    if (!check_lengths(r, !given)) return false;
    struct tape_item *x = add_item(r, given ? TAPE_PUT : TAPE_STEP);
    x->node = 0;
    x->draft = !strcmp(word(r, "by"), "draft");
    x->end = step_end_of(word(r, "ended"));
    x->n_tokens = (uint32_t)count(r, "tokens"), x->n_steps = (uint32_t)count(r, "steps");
    x->ids = keep_ids(r, "ids"), x->logprobs = keep_numbers(r, "logprobs"), x->shares = keep_numbers(r, "shares");
    x->apart = has(r, "left"), x->left = json_number_value(json_object_get(r->object, "left"));
    x->logprob = number(r, "logprob", -INFINITY);
    x->text = keep_text(r, "text");
    x->flops = count(r, "flops");
    return true;
}

static bool add_value(struct reading *r) {
    struct tape_item *x = add_item(r, TAPE_VALUE);
    x->number = number(r, "value", NAN);
    x->cost = (struct value_cost){count(r, "judge_tokens"), count(r, "judge_flops"), count(r, "flops")};
    return true;
}

/* ---- events ---- */

static bool is_node(struct reading *r, const char *name) {
    uint64_t u = has(r, name) ? count(r, name) : 0;
    return u < r->f->tree.n ||
           fault(r, "\"%s\": %llu, there are nodes 0 to %u so far", name, (unsigned long long)u, r->f->tree.n - 1);
}

static bool add_made(struct reading *r) {
    struct saved_tree *f = r->f;
    struct tree *t = &f->tree;
    const uint64_t u = count(r, "node"), up = count(r, "parent");
    if (u != t->n) return fault(r, "\"node\": %llu, the next one is %u", (unsigned long long)u, t->n);
    if (!is_node(r, "parent")) return false;
    struct node *parent = &t->nodes[up], *n = &t->nodes[u];
    if (count(r, "depth") != parent->depth + 1)
        return fault(r, "\"depth\": %llu, its parent has %u", (unsigned long long)count(r, "depth"), parent->depth);
    if (key(r, "seed") != rng_fold(parent->key, count(r, "try")))
        return fault(r, "\"seed\": %s is not that of try %llu of node %llu", word(r, "seed"),
                     (unsigned long long)count(r, "try"), (unsigned long long)up);
    if (has(r, "by") && !add_step(r)) return false;
    struct saved_node *more = &f->nodes[u];
    *more = (struct saved_node){.line = r->line, .item = has(r, "by") ? &f->items[f->n_items - 1] : NULL};
    const char *end = word(r, "end");
    *n = (struct node){
        .parent = (uint32_t)up,
        .depth = parent->depth + 1,
        .child_index = (uint32_t)count(r, "try"),
        .key = key(r, "seed"),
        .text = more->item ? more->item->text : keep_text(r, "text"),
        .logprob = number(r, "logprob", -INFINITY),
        .n_tokens = (uint32_t)count(r, "tokens"),
        .multiplicity = 1,
        .n_steps = more->item ? more->item->n_steps : 1,
    };
    n->flags = !strcmp(end, "finished")                            ? NODE_FINISHED
               : !strcmp(end, "truncated")                         ? NODE_TRUNCATED
               : !strcmp(end, "dead")                              ? NODE_DEAD
               : has(r, "by") && !strcmp(word(r, "ended"), "open") ? NODE_PART
                                                                   : 0;
    if (more->item && more->item->draft) n->flags |= NODE_DRAFTED;
    if (parent->last_child) t->nodes[parent->last_child].next_sibling = (uint32_t)u;
    else parent->first_child = (uint32_t)u;
    parent->last_child = (uint32_t)u, parent->n_children++, parent->tries++;
    t->n++;
    return n->text != NULL;
}

static bool add_scored(struct reading *r) {
    if (!is_node(r, "node")) return false;
    struct node *n = &r->f->tree.nodes[count(r, "node")];
    n->value = number(r, "value", 0), n->flags |= NODE_SCORED;
    r->f->nodes[count(r, "node")].judged = has(r, "judge_tokens");
    return !has(r, "judge_tokens") || add_value(r);
}

static struct visits *visits_of(struct reading *r) {
    struct visits *v = tree_column(&r->f->tree, "visits", sizeof *v);
    if (!v && !r->status) r->status = error_set(r->e, ERR_MEMORY, "%s: no memory for visits", r->f->path);
    return v;
}

static bool add_visited(struct reading *r) {
    struct visits *v = visits_of(r);
    if (!v || !is_node(r, "node")) return false;
    uint32_t u = (uint32_t)count(r, "node");
    v[u].n = (uint32_t)count(r, "visits"), v[u].sum = v[u].n * (double)number(r, "mean", 0);
    while (u) u = r->f->tree.nodes[u].parent, v[u].n++, v[u].sum += (double)number(r, "mean", 0);
    return true;
}

static bool add_finished(struct reading *r) {
    if (!is_node(r, "node")) return false;
    struct node *n = &r->f->tree.nodes[count(r, "node")];
    n->value = number(r, "value", 0);
    const json_t *verdict = json_object_get(r->object, "checked");
    if (verdict) n->flags |= json_is_true(verdict) ? NODE_CHECKED_RIGHT : NODE_CHECKED_WRONG;
    return (n->flags & NODE_FINISHED) ||
           fault(r, "\"node\": %llu has not come to its end", (unsigned long long)count(r, "node"));
}

static bool add_node(struct reading *r) {
    if (!is_node(r, "node")) return false;
    uint32_t u = (uint32_t)count(r, "node");
    struct node *n = &r->f->tree.nodes[u];
    n->value = number(r, "value", 0), n->multiplicity = (uint32_t)count(r, "times"),
    n->tries = (uint32_t)count(r, "tries");
    r->f->nodes[u].status = keep_text(r, "status");
    struct visits *v = has(r, "visits") ? visits_of(r) : NULL;
    if (v) v[u].n = (uint32_t)count(r, "visits"), v[u].sum = v[u].n * (double)number(r, "mean", 0);
    return true;
}

static bool add_prompt(struct reading *r) {
    struct saved_tree *f = r->f;
    if (f->prompt) return fault(r, "\"event\": a second prompt");
    if (!check_lengths(r, false)) return false;
    f->prompt = keep_ids(r, "ids"), f->n_prompt = (size_t)count(r, "tokens");
    f->start.can = (unsigned)count(r, "can");
    f->start.ledger = (struct ledger){.prompt_tokens = count(r, "prompt_tokens"),
                                      .prm_tokens = count(r, "prm_tokens"),
                                      .policy_flops = count(r, "policy_flops"),
                                      .prm_flops = count(r, "prm_flops")};
    return f->prompt != NULL;
}

static bool add_done(struct reading *r) {
    struct saved_tree *f = r->f;
    if (!is_node(r, "node")) return false;
    f->done = true;
    f->result = (struct search_result){.node = (uint32_t)count(r, "node"),
                                       .value = number(r, "value", 0),
                                       .n_finished = (uint32_t)count(r, "finished")};
    while (f->result.why < WHY_ERROR && strcmp(why_name(f->result.why), word(r, "why"))) f->result.why++;
    while (strcmp(pick_name(f->result.pick), word(r, "pick"))) f->result.pick++;
    if (strcmp(why_name(f->result.why), word(r, "why")))
        return fault(r, "\"why\": \"%.40s\" is no reason to stop", word(r, "why"));
    f->cost = (struct ledger){.simulations = count(r, "simulations"),
                              .prompt_tokens = count(r, "prompt_tokens"),
                              .generated_tokens = count(r, "generated_tokens"),
                              .prm_tokens = count(r, "prm_tokens"),
                              .policy_flops = count(r, "policy_flops"),
                              .prm_flops = count(r, "prm_flops"),
                              .forks = count(r, "forks")};
    if (f->result.node && !(f->tree.nodes[f->result.node].flags & NODE_FINISHED))
        return fault(r, "\"node\": %u has not come to its end", f->result.node);
    return true;
}

static bool add_proposed(struct reading *r) {
    if (!check_lengths(r, true)) return false;
    struct tape_item *x = add_item(r, TAPE_PROPOSAL);
    x->n_tokens = (uint32_t)count(r, "tokens"), x->ids = keep_ids(r, "ids"), x->logprobs = keep_numbers(r, "logprobs");
    x->number = number(r, "entropy", 0), x->flops = count(r, "flops");
    return true;
}

static bool add_begun(struct reading *r) {
    unsigned ask = 0;
    while (ask < N_ASKS && strcmp(ask_name((enum ask)ask), word(r, "ask"))) ask++;
    if (ask == N_ASKS) return fault(r, "\"ask\": \"%.40s\" is nothing that tasks are asked for", word(r, "ask"));
    struct tape_item *x = add_item(r, TAPE_BEGUN);
    x->n_tokens = (uint32_t)count(r, "tokens"), x->flops = count(r, "flops"), x->ask = (enum ask)ask;
    return true;
}

static bool add_checked(struct reading *r) {
    struct tape_item *x = add_item(r, TAPE_CHECKED);
    x->number = number(r, "reward", 0), x->text = keep_text(r, "reason");
    return true;
}

static bool add_answer(struct reading *r) {
    if (!is_node(r, "node")) return false;
    struct tape_item *x = add_item(r, TAPE_ANSWER);
    x->text = keep_text(r, "answer");
    r->f->nodes[x->node].answer = x->text;
    if (x->text) r->f->tree.nodes[x->node].answer = search_answer_key(x->text);
    return true;
}

static bool add_state(struct reading *r) {
    struct tape_item *x = add_item(r, TAPE_STATE);
    x->state = key(r, "state");
    return true;
}

static bool add_pruned(struct reading *r) {
    if (!is_node(r, "node")) return false;
    r->f->tree.nodes[count(r, "node")].flags |= NODE_PRUNED;
    return true;
}

/* clang-format off */
static const struct {
    const char *name;
    const struct rule *rules;
    bool (*add)(struct reading *r);
    int event; /* enum event_kind; -1: none */
} rows[] = {
    {"prompt", prompt, add_prompt, -1},
    {"made", made, add_made, EVENT_MADE},
    {"scored", scored, add_scored, EVENT_SCORED},
    {"visited", visited, add_visited, EVENT_VISITED},
    {"pruned", pruned, add_pruned, EVENT_PRUNED},
    {"finished", finished, add_finished, EVENT_FINISHED},
    {"step", step, add_step, -1},
    {"value", value, add_value, -1},
    {"proposed", proposed, add_proposed, -1},
    {"begun", begun, add_begun, -1},
    {"checked", checked, add_checked, -1},
    {"answer", answer, add_answer, -1},
    {"state", state, add_state, -1},
    {"node", node, add_node, -1},
    {"done", done, add_done, EVENT_DONE},
};
/* clang-format on */

static void add_event(struct reading *r, int kind) {
    struct saved_tree *f = r->f;
    f->events[f->n_events++] = (struct saved_event){
        .kind = (enum event_kind)kind,
        .node = (uint32_t)count(r, "node"),
        .value = number(r, kind == EVENT_VISITED ? "mean" : "value", 0),
        .visits = kind == EVENT_VISITED ? (uint32_t)count(r, "visits") : 0,
    };
}

static void take_event(struct reading *r) {
    const char *name = word(r, "event");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, name)) continue;
        if (r->f->done) fault(r, "\"event\": %s behind the end of the search", name);
        else if (!r->f->prompt && rows[i].rules != prompt) fault(r, "\"event\": %s before the prompt", name);
        else if (check_fields(r, rows[i].rules) && rows[i].add(r) && rows[i].event >= 0) add_event(r, rows[i].event);
        return;
    }
    fault(r, "\"event\": \"%.60s\" is none of those of a tree file", name);
}

/* ---- header ---- */

const char *tree_header_text(const struct saved_tree *f, const char *name) {
    const char *text = json_string_value(json_object_get(f->header, name));
    return text ? text : "";
}

static void take_header(struct reading *r) {
    struct saved_tree *f = r->f;
    const json_t *version = json_object_get(r->object, "version"), *seed = json_object_get(r->object, "seed");
    char text[80];
    f->header = json_incref(r->object);
    if (strcmp(word(r, "format"), "ponder-tree")) {
        fault(r, "\"format\": %s, a tree file begins with \"ponder-tree\"",
              shown(json_object_get(r->object, "format"), text, sizeof text));
        return;
    }
    if (json_integer_value(version) != TREE_VERSION)
        fault(r, "\"version\": %s, allowed is %d", shown(version, text, sizeof text), TREE_VERSION);
    if (!task_find(word(r, "task"))) fault(r, "\"task\": \"%.60s\" is none of %s", word(r, "task"), task_names);
    if (!strategy_find(word(r, "strategy")))
        fault(r, "\"strategy\": \"%.60s\" is none of those of: ponder strategies", word(r, "strategy"));
    if (!json_is_string(json_object_get(r->object, "problem")))
        fault(r, "\"problem\": %s, a text is allowed", shown(json_object_get(r->object, "problem"), text, sizeof text));
    if (!json_is_integer(seed) || json_integer_value(seed) < 0)
        fault(r, "\"seed\": %s, a whole number from 0 on is allowed", shown(seed, text, sizeof text));
    static const char *const objects[] = {"policy", "settings", "options", "session"};
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        if (!json_is_object(json_object_get(r->object, objects[i])))
            fault(r, "\"%s\": %s, an object is allowed", objects[i],
                  shown(json_object_get(r->object, objects[i]), text, sizeof text));
    static const char *const models[] = {"policy", "prm", "draft"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const json_t *model = json_object_get(r->object, models[i]), *hash = json_object_get(model, "hash");
        const char *digits = json_string_value(hash);
        if (json_is_object(model) && (!digits || strlen(digits) != 16 || strspn(digits, "0123456789abcdef") != 16))
            fault(r, "\"%s\".\"hash\": %s, 16 hexadecimal digits are allowed", models[i],
                  shown(hash, text, sizeof text));
    }
    const json_t *root = json_object_get(r->object, "root");
    if (!json_is_string(root) || json_string_length(root) != 16 || strspn(word(r, "root"), "0123456789abcdef") != 16)
        fault(r, "\"root\": %s, 16 hexadecimal digits are allowed", shown(root, text, sizeof text));
    f->tree.nodes[0].key = key(r, "root");
}

/* ---- lines ---- */

static void take_line(struct reading *r, const char *line, size_t size) {
    json_error_t why;
    json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(object)) fault(r, "%s", object ? "no JSON object" : why.text);
    else {
        r->object = object;
        if (r->line == 1) take_header(r);
        else take_event(r);
    }
    json_decref(object);
}

/* Whole lines only. */
static enum status find_lines(struct saved_tree *f, struct error *e) {
    for (const char *c = f->text, *end = f->text + f->size; (c = memchr(c, '\n', (size_t)(end - c))); c++) f->n_lines++;
    f->lines = mem_new(f->n_lines + 1, sizeof *f->lines);
    f->items = mem_new(f->n_lines + 1, sizeof *f->items),
    f->item_lines = mem_new(f->n_lines + 1, sizeof *f->item_lines);
    f->events = mem_new(f->n_lines + 1, sizeof *f->events), f->nodes = mem_new(f->n_lines + 2, sizeof *f->nodes);
    if (!f->lines || !f->items || !f->item_lines || !f->events || !f->nodes)
        return error_set(e, ERR_MEMORY, "%s: no memory for %zu lines", f->path, f->n_lines);
    size_t n = 0;
    for (size_t i = 0; i < f->size; i++)
        if (f->text[i] == '\n') f->lines[++n] = i + 1;
    f->torn = f->lines[n] != f->size;
    f->size = f->lines[n];
    struct evaluator nobody = {0};
    if (f->n_lines > UINT32_MAX / 4) return error_set(e, ERR_INPUT, "%s: more than %u lines", f->path, UINT32_MAX / 4);
    return search_open(&f->tree, &nobody, 0, (uint32_t)f->n_lines + 2, e);
}

enum status tree_read(const char *path, struct saved_tree *f, tree_fault_fn *on_fault, void *arg, size_t *n_faults,
                      struct error *e) {
    *f = (struct saved_tree){.path = path};
    struct reading r = {.f = f, .on_fault = on_fault, .arg = arg, .e = e};
    enum status s = input_read_bytes(path, &f->text, &f->size, e);
    if (!s) s = find_lines(f, e);
    if (!s && !f->n_lines) r.line = 1, fault(&r, "the header is missing");
    for (size_t i = 0; i < f->n_lines && !s && !r.status && (on_fault || !r.n_faults); i++) {
        r.line = i + 1;
        take_line(&r, f->text + f->lines[i], f->lines[i + 1] - f->lines[i] - 1);
    }
    if (!s) s = r.status ? r.status : r.n_faults && !on_fault ? ERR_INPUT : OK;
    if (n_faults) *n_faults = r.n_faults;
    if (s) tree_close(f);
    return s;
}

void tree_close(struct saved_tree *f) {
    struct evaluator nobody = {0};
    for (struct block *b = f->blocks, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    if (f->tree.nodes) search_close(&f->tree, &nobody);
    mem_free(f->text), mem_free(f->lines), mem_free(f->items), mem_free(f->item_lines), mem_free(f->events);
    mem_free(f->nodes);
    json_decref(f->header);
    *f = (struct saved_tree){0};
}
