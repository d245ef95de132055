/* cassette.c: see cassette.h.
 * Not the shape of lines: trace.c.
 * Next: solve/tree_file.h.
 *
 * A call's items stay pending until the events of their nodes come, so that a node is one line; what no event tells gets
 * a line of its own before the next call. */
#include "search/cassette.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

struct pending {
    branch_id branch; /* 0: no event can tell it */
    struct tape_item item;
};

/* ---- lines ---- */

static void look_for_cancel(struct cassette *c) { c->cancelled |= c->inner && c->cancel && *c->cancel; }

static void put_line(struct cassette *c) {
    if (c->text.failed) c->failed = true;
    else if (!c->cancelled) c->lines.line(c->lines.arg, c->text.data, c->text.n);
    c->text.n = 0;
}

static void put_item(struct cassette *c, const struct tape_item *x) {
    trace_item(&c->text, x);
    put_line(c);
}

/* The first n of what is pending, each as a line. */
static void put_pending(struct cassette *c, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) put_item(c, &c->pending[i].item);
    if (n < c->n_pending) memmove(c->pending, c->pending + n, (c->n_pending - n) * sizeof *c->pending);
    c->n_pending -= n;
}

static uint32_t node_of(const struct cassette *c, branch_id b) { return b < c->cap_nodes ? c->nodes[b] : 0; }

static void set_node(struct cassette *c, branch_id b, uint32_t node) {
    if (b >= c->cap_nodes) {
        uint32_t cap = b < 64 ? 128 : 2 * b;
        uint32_t *nodes = node ? mem_grow(c->nodes, c->cap_nodes, cap, sizeof *nodes) : NULL;
        if (!nodes) {
            c->failed |= node != 0;
            return;
        }
        c->nodes = nodes, c->cap_nodes = cap;
    }
    c->nodes[b] = node;
}

static enum status pend(struct cassette *c, branch_id b, const struct tape_item *x, struct error *e) {
    if (c->n_pending == c->cap_pending) {
        uint32_t cap = c->cap_pending ? 2 * c->cap_pending : 64;
        struct pending *more = mem_grow(c->pending, c->cap_pending, cap, sizeof *more);
        if (!more) return error_set(e, ERR_MEMORY, "no memory for what a search says");
        c->pending = more, c->cap_pending = cap;
    }
    c->pending[c->n_pending++] = (struct pending){b, *x};
    return OK;
}

/* Is this item what the event tells?  A step only if it is all of the node. */
static bool is_told(const struct pending *p, const struct event *event) {
    const struct node *n = &event->tree->nodes[event->node];
    const struct tape_item *x = &p->item;
    if (!p->branch || p->branch != n->branch) return false;
    if (event->kind == EVENT_SCORED) return x->kind == TAPE_VALUE;
    if (event->kind != EVENT_MADE || x->n_tokens != n->n_tokens || strcmp(x->text, n->text)) return false;
    return x->kind == TAPE_PUT || (x->kind == TAPE_STEP && x->logprob == n->logprob);
}

static void put_end(struct cassette *c, const struct event *event) {
    put_pending(c, c->n_pending);
    for (uint32_t u = 1; u < event->tree->n; u++) {
        trace_node(&c->text, event->tree, u);
        put_line(c);
    }
}

void cassette_event(void *cassette, const struct event *event) {
    struct cassette *c = cassette;
    uint32_t i = 0;
    if (event->kind == EVENT_DONE) look_for_cancel(c);
    while (i < c->n_pending && !is_told(&c->pending[i], event)) i++;
    bool told = i < c->n_pending;
    if (event->kind == EVENT_MADE) set_node(c, event->tree->nodes[event->node].branch, event->node);
    if (told) put_pending(c, i); /* lines of items keep the order of the calls */
    if (event->kind == EVENT_DONE) put_end(c, event);
    trace_event(&c->text, event, told ? &c->pending[0].item : NULL, false);
    put_line(c);
    if (told) memmove(c->pending, c->pending + 1, --c->n_pending * sizeof *c->pending);
    struct event heard = *event;
    if (c->next) c->next(c->next_arg, &heard);
}

/* ---- the tape ---- */

/* Before each call. */
static enum status begin_call(struct cassette *c, struct error *e) {
    put_pending(c, c->n_pending);
    if (c->failed) return error_set(e, ERR_MEMORY, "no memory for a line of the tree file");
    return c->lines.flush(c->lines.arg, e);
}

/* Are the next n items on the tape, and of this kind?  A tape that ends among them was cut off in this call: then the
 * whole call is made again. */
static bool is_known(struct cassette *c, size_t n, enum tape_kind kind) {
    for (size_t i = 0; i < n; i++) {
        if (c->at + i == c->n_items) {
            if (i) c->n_items = c->at, c->lines.cut(c->lines.arg);
            return false;
        }
        if (c->items[c->at + i].kind != kind) return false;
    }
    return n > 0;
}

/* Something that the tape does not say, and nobody else is there to say it. */
static enum status over(struct cassette *c, struct error *e) {
    c->over = true;
    return error_set(e, c->full_at_end ? ERR_FULL : ERR_CANCELLED, "the recorded search ends here");
}

/* Asks the models; `known`: they recite. */
static enum status tell(struct cassette *c, bool known, struct error *e) {
    return c->inner->tell(c->inner->self, known ? TELL_RECITED : TELL_TOKENS, e);
}

/* ---- branches ---- */

static enum status fork_branch(void *self, branch_id from, branch_id *to, struct error *e) {
    struct cassette *c = self;
    if (c->inner) {
        enum status s = c->inner->fork(c->inner->self, from, to, e);
        if (!s) set_node(c, *to, 0);
        return s;
    }
    *to = c->n_free ? c->free_ids[--c->n_free] : c->next_id++;
    c->ledger.forks++;
    set_node(c, *to, 0);
    return OK;
}

static void drop_branch(void *self, branch_id *b) {
    struct cassette *c = self;
    for (uint32_t i = 0; i < c->n_pending; i++)
        if (c->pending[i].branch == *b) c->pending[i].branch = 0;
    set_node(c, *b, 0);
    if (c->inner) {
        c->inner->drop(c->inner->self, b);
        return;
    }
    if (c->n_free == c->cap_free) { /* without memory the number is lost, which hurts nobody */
        uint32_t cap = c->cap_free ? 2 * c->cap_free : 64;
        branch_id *more = mem_grow(c->free_ids, c->cap_free, cap, sizeof *more);
        if (more) c->free_ids = more, c->cap_free = cap;
    }
    if (c->n_free < c->cap_free) c->free_ids[c->n_free++] = *b;
    *b = 0;
}

static void evict_branch(void *self, branch_id b) {
    struct cassette *c = self;
    if (c->inner) c->inner->evict(c->inner->self, b);
}

static void set_limits(void *self, const struct limits *l) {
    struct cassette *c = self;
    c->limits = l ? *l : (struct limits){0};
    if (l) c->cancel = l->cancel;
    if (c->inner && c->inner->limit) c->inner->limit(c->inner->self, l);
}

/* ---- calls ---- */

static void recite_step(struct cassette *c, struct step *st, const struct tape_item *x) {
    st->n_tokens = x->n_tokens, st->end = x->end, st->tokens = x->ids, st->logprobs = x->logprobs, st->flops = x->flops;
    st->shares = x->shares;
    if (c->inner) return;
    st->left = x->left;
    st->text = x->text, st->n_steps = x->n_steps, st->logprob = x->logprob;
    c->ledger.generated_tokens += x->n_tokens, c->ledger.policy_flops += x->flops;
}

static enum status extend(void *self, struct step *steps, size_t n, struct error *e) {
    struct cassette *c = self;
    enum status s = begin_call(c, e);
    if (s) return s;
    bool known = is_known(c, n, TAPE_STEP);
    if (!c->inner && !known) return over(c, e);
    for (size_t i = 0; i < n && known; i++) recite_step(c, &steps[i], &c->items[c->at + i]);
    if (c->inner && !(s = tell(c, known, e))) s = c->inner->extend(c->inner->self, steps, n, e);
    look_for_cancel(c);
    if (!s && known) c->at += n;
    for (size_t i = 0; i < n && !s; i++) {
        const struct step *st = &steps[i];
        s = pend(c, st->branch,
                 &(struct tape_item){.kind = TAPE_STEP,
                                     .node = 0,
                                     .draft = st->draft,
                                     .end = st->end,
                                     .n_tokens = st->n_tokens,
                                     .n_steps = st->n_steps,
                                     .ids = st->tokens,
                                     .logprobs = st->logprobs,
                                     .apart = st->apart != 0,
                                     .shares = st->shares,
                                     .left = st->apart ? st->left : 0,
                                     .logprob = st->logprob,
                                     .text = st->text ? st->text : "",
                                     .flops = st->flops},
                 e);
    }
    return s;
}

static enum status score(void *self, const branch_id *branches, size_t n, float *value, struct error *e) {
    struct cassette *c = self;
    enum status s = begin_call(c, e);
    if (s) return s;
    bool known = is_known(c, n, TAPE_VALUE);
    if (!c->inner && limits_stopped(&c->limits)) return error_set(e, ERR_CANCELLED, "stopped");
    if (!c->inner && !known) return over(c, e);
    for (size_t i = 0; i < n && known; i++) value[i] = c->items[c->at + i].number;
    if (c->inner && !(s = tell(c, known, e))) s = c->inner->score(c->inner->self, branches, n, value, e);
    look_for_cancel(c);
    const struct tape_item *from = c->items + c->at;
    if (!s && known) c->at += n;
    for (size_t i = 0; i < n && !s; i++) {
        struct tape_item x = {.kind = TAPE_VALUE, .node = node_of(c, branches[i]), .number = value[i]};
        x.cost = c->inner ? c->inner->value_cost(c->inner->self, branches[i]) : from[i].cost;
        if (!c->inner) {
            c->ledger.prm_tokens += x.cost.tokens, c->ledger.prm_flops += x.cost.flops;
            c->ledger.policy_flops += x.cost.policy_flops;
        }
        s = pend(c, branches[i], &x, e);
    }
    return s;
}

/* What is given is given again: only its costs are nobody's to say but the models'. */
static enum status put(void *self, struct put *puts, size_t n, struct error *e) {
    struct cassette *c = self;
    enum status s = begin_call(c, e);
    if (s) return s;
    bool known = is_known(c, n, TAPE_PUT);
    if (!c->inner && limits_reached(&c->limits, &c->ledger)) return error_set(e, ERR_CANCELLED, "stopped");
    if (!c->inner && !known) return over(c, e);
    for (size_t i = 0; i < n && !c->inner; i++) {
        const struct tape_item *x = &c->items[c->at + i];
        struct put *p = &puts[i];
        p->n_tokens = x->n_tokens, p->logprob = x->logprob, p->end = x->end, p->added = x->text, p->flops = x->flops;
        p->ids = x->ids;
        c->ledger.policy_flops += x->flops;
    }
    if (c->inner && !(s = tell(c, known, e))) s = c->inner->put(c->inner->self, puts, n, e);
    look_for_cancel(c);
    if (!s && known) c->at += n;
    for (size_t i = 0; i < n && !s; i++) {
        const struct put *p = &puts[i];
        s = pend(c, p->branch,
                 &(struct tape_item){.kind = TAPE_PUT,
                                     .end = p->end,
                                     .n_tokens = p->n_tokens,
                                     .ids = p->ids,
                                     .logprob = p->logprob,
                                     .text = p->added ? p->added : "",
                                     .flops = p->flops},
                 e);
    }
    return s;
}

static enum status propose(void *self, struct proposal *proposals, size_t n, struct error *e) {
    struct cassette *c = self;
    enum status s = begin_call(c, e);
    if (s) return s;
    bool known = is_known(c, n, TAPE_PROPOSAL);
    if (!c->inner && limits_reached(&c->limits, &c->ledger)) return error_set(e, ERR_CANCELLED, "stopped");
    if (!c->inner && !known) return over(c, e);
    for (size_t i = 0; i < n && known; i++) {
        const struct tape_item *x = &c->items[c->at + i];
        struct proposal *p = &proposals[i];
        p->n = x->n_tokens < p->k ? x->n_tokens : p->k;
        if (p->n) memcpy(p->tokens, x->ids, p->n * sizeof *p->tokens);
        if (p->n) memcpy(p->logprobs, x->logprobs, p->n * sizeof *p->logprobs);
        p->entropy = x->number;
        if (!c->inner) p->flops = x->flops, c->ledger.policy_flops += x->flops;
    }
    if (c->inner && !(s = tell(c, known, e))) s = c->inner->propose(c->inner->self, proposals, n, e);
    look_for_cancel(c);
    if (!s && known) c->at += n;
    for (size_t i = 0; i < n && !s; i++) { /* at once: the arrays are the caller's */
        const struct proposal *p = &proposals[i];
        put_item(c, &(struct tape_item){.kind = TAPE_PROPOSAL,
                                        .node = node_of(c, p->branch),
                                        .n_tokens = p->n,
                                        .ids = p->tokens,
                                        .logprobs = p->logprobs,
                                        .number = p->entropy,
                                        .flops = p->flops});
    }
    return s;
}

/* Prompts are read again, not recited: what is written on them goes on from their KV. */
static enum status begin(void *self, struct asking *askings, size_t n, struct error *e) {
    struct cassette *c = self;
    enum status s = begin_call(c, e);
    if (s) return s;
    bool known = is_known(c, n, TAPE_BEGUN);
    if (!c->inner && limits_reached(&c->limits, &c->ledger)) return error_set(e, ERR_CANCELLED, "stopped");
    if (!c->inner && !known) return over(c, e);
    for (size_t i = 0; i < n && !c->inner; i++) {
        const struct tape_item *x = &c->items[c->at + i];
        askings[i].n_tokens = x->n_tokens, askings[i].flops = x->flops;
        askings[i].branch = c->n_free ? c->free_ids[--c->n_free] : c->next_id++;
        c->ledger.prompt_tokens += x->n_tokens, c->ledger.policy_flops += x->flops;
    }
    if (c->inner && !(s = tell(c, known, e))) s = c->inner->begin(c->inner->self, askings, n, e);
    look_for_cancel(c);
    if (!s && known) c->at += n;
    for (size_t i = 0; i < n && !s; i++) {
        const struct asking *a = &askings[i];
        set_node(c, a->branch, 0);
        put_item(c, &(struct tape_item){.kind = TAPE_BEGUN,
                                        .node = node_of(c, a->about),
                                        .n_tokens = a->n_tokens,
                                        .flops = a->flops,
                                        .ask = a->ask});
    }
    return s;
}

/* ---- what the task says: from the tape while it lasts ---- */

/* The next item, if it is of this kind; NULL: ask whoever is behind. */
static const struct tape_item *next_item(struct cassette *c, enum tape_kind kind) {
    put_pending(c, c->n_pending);
    if (is_known(c, 1, kind)) return &c->items[c->at++];
    c->over |= !c->inner;
    return NULL;
}

static struct feedback check(void *self, branch_id b) {
    struct cassette *c = self;
    const struct tape_item *x = next_item(c, TAPE_CHECKED);
    struct feedback f = x          ? (struct feedback){x->number, x->text}
                        : c->inner ? c->inner->check(c->inner->self, b)
                                   : (struct feedback){0, ""};
    if (x || c->inner)
        put_item(
            c, &(struct tape_item){.kind = TAPE_CHECKED, .node = node_of(c, b), .number = f.reward, .text = f.reason});
    return f;
}

static const char *answer(void *self, branch_id b) {
    struct cassette *c = self;
    const struct tape_item *x = next_item(c, TAPE_ANSWER);
    const char *text = x ? x->text : c->inner ? c->inner->answer(c->inner->self, b) : "";
    if (x || c->inner) put_item(c, &(struct tape_item){.kind = TAPE_ANSWER, .node = node_of(c, b), .text = text});
    return text;
}

static uint64_t state(void *self, branch_id b) {
    struct cassette *c = self;
    const struct tape_item *x = next_item(c, TAPE_STATE);
    uint64_t key = x ? x->state : c->inner ? c->inner->state(c->inner->self, b) : 0;
    if (x || c->inner) put_item(c, &(struct tape_item){.kind = TAPE_STATE, .node = node_of(c, b), .state = key});
    return key;
}

/* ---- open, close ---- */

enum status cassette_open(struct cassette *c, struct error *e) {
    const struct evaluator *in = c->inner;
    if (in && (!in->tell || !in->value_cost)) return error_set(e, ERR_INPUT, "this evaluator cannot be recorded");
    assert(in || c->start);
    unsigned can = in ? in->can : c->start->can;
    bool tape_only = !in;
    if (tape_only) c->ledger = c->start->ledger, c->next_id = 2;
    c->ev = (struct evaluator){.self = c,
                               .root = in ? in->root : 1,
                               .ledger = in ? in->ledger : &c->ledger,
                               .can = can,
                               .limit = set_limits,
                               .fork = fork_branch,
                               .drop = drop_branch,
                               .evict = evict_branch,
                               .extend = extend};
    if (in ? in->score != NULL : can & CAN_VALUE) c->ev.score = score;
    if (in ? in->check != NULL : can & CAN_CHECK) c->ev.check = check;
    if (in ? in->answer != NULL : can & CAN_ANSWER) c->ev.answer = answer;
    if (in ? in->state != NULL : can & CAN_STATE) c->ev.state = state;
    if (in ? in->put != NULL : can & CAN_PUT) c->ev.put = put;
    if (in ? in->propose != NULL : can & CAN_PROPOSE) c->ev.propose = propose;
    if (in ? in->begin != NULL : can >= CAN_ASK) c->ev.begin = begin;
    return OK;
}

void cassette_close(struct cassette *c) {
    mem_free(c->pending), mem_free(c->nodes), mem_free(c->free_ids);
    buffer_free(&c->text);
    c->pending = NULL, c->nodes = NULL, c->free_ids = NULL;
}
