/* grammar.c: the states of a text under a grammar.
 * Not the notation (grammar_parse.c) and not tokens (grammar_mask.c).
 * Next: grammar_mask.c.
 *
 * A reading of a text is a place in the code and a list of places to return to.  A state is the set of all readings,
 * each standing before an OP_BYTES or at the end.  Lists share their tails (frames), equal sets are one state, and each
 * step from a state by a byte is computed once.  A call in the last place pushes nothing, so that lists written as  a
 * ::= x | x "," a  do not grow. */
#include "model/grammar_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    CLOSURE = 1 << 13, /* readings looked at for one state */
    MAX_FRAMES = 1 << 20,
    MAX_ITEMS = 1 << 22,
    MAX_STATES = 1 << 19,
    MAX_STEPS = 1 << 22,
};

/* ---- maps of pairs: open addressing, never more than half full ---- */

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 31) * 0x9E3779B97F4A7C15u;
    return x ^ x >> 29;
}

/* The slot of the key, or the empty one where it belongs. */
static uint32_t pair_slot(const struct pair_map *m, uint64_t key) {
    uint32_t i = (uint32_t)mix(key) & (m->cap - 1);
    while (m->values[i] && m->keys[i] != key) i = (i + 1) & (m->cap - 1);
    return i;
}

static uint32_t pair_get(const struct pair_map *m, uint64_t key) { return m->cap ? m->values[pair_slot(m, key)] : 0; }

static void pair_free(struct pair_map *m) {
    mem_free(m->keys), mem_free(m->values);
    *m = (struct pair_map){0};
}

static enum status pair_room(struct pair_map *m, uint32_t cap, struct error *e) {
    struct pair_map wider = {.cap = cap, .n = m->n};
    wider.keys = mem_new(cap, sizeof *wider.keys), wider.values = mem_new(cap, sizeof *wider.values);
    if (!wider.keys || !wider.values) {
        pair_free(&wider);
        return error_set(e, ERR_MEMORY, "no memory for the states of a grammar");
    }
    for (uint32_t i = 0; i < m->cap; i++) {
        if (!m->values[i]) continue;
        uint32_t slot = pair_slot(&wider, m->keys[i]);
        wider.keys[slot] = m->keys[i], wider.values[slot] = m->values[i];
    }
    pair_free(m);
    *m = wider;
    return OK;
}

/* value > 0; a key that is there gets the new value. */
static enum status pair_put(struct pair_map *m, uint64_t key, uint32_t value, struct error *e) {
    enum status s = m->n * 2 >= m->cap ? pair_room(m, m->cap ? m->cap * 2 : 256, e) : OK;
    if (s) return s;
    uint32_t slot = pair_slot(m, key);
    m->n += !m->values[slot];
    m->keys[slot] = key, m->values[slot] = value;
    return OK;
}

/* ---- closures ---- */

static enum status out_of(const struct grammar *g, const char *what, struct error *e) {
    return error_set(e, ERR_FULL, "%s: %s", g->name, what);
}

static enum status push_frame(struct grammar *g, uint32_t pc, uint32_t parent, uint32_t *frame, struct error *e) {
    uint64_t key = (uint64_t)pc << 32 | parent;
    if ((*frame = pair_get(&g->frame_of, key))) return OK;
    if (g->n_frames >= MAX_FRAMES) return out_of(g, "the text nests too deep", e);
    enum status s = grammar_grow((void **)&g->frames, g->n_frames, &g->cap_frames, sizeof *g->frames, e);
    if (!s) s = pair_put(&g->frame_of, key, g->n_frames, e);
    if (s) return s;
    *frame = g->n_frames;
    g->frames[g->n_frames++] = (struct frame){pc, parent};
    return OK;
}

/* Where a JUMP leads. */
static uint32_t landing(const struct grammar *g, uint32_t pc) {
    while (g->ops[pc].kind == OP_JUMP) pc = (uint32_t)((int32_t)pc + g->ops[pc].arg);
    return pc;
}

struct closure {
    struct grammar *g;
    uint32_t n_todo, n_seen;
};

static enum status add(struct closure *c, uint32_t pc, uint32_t frame, struct error *e) {
    struct grammar *g = c->g;
    if (pc != ITEM_END) pc = landing(g, pc);
    uint64_t key = (uint64_t)pc << 32 | frame;
    if (pair_get(&g->seen, key)) return OK;
    if (c->n_seen++ >= CLOSURE) return out_of(g, "the text can be read in too many ways at once", e);
    enum status s = pair_put(&g->seen, key, 1, e);
    if (s) return s;
    if (pc == ITEM_END || g->ops[pc].kind == OP_BYTES) g->found[g->n_found++] = (struct item){pc, frame};
    else g->todo[c->n_todo++] = (struct item){pc, frame};
    return OK;
}

static enum status follow(struct closure *c, struct item at, struct error *e) {
    struct grammar *g = c->g;
    const struct op *op = &g->ops[at.pc];
    uint32_t frame = at.frame;
    enum status s = OK;
    if (op->kind == OP_RETURN) {
        if (!frame) return add(c, ITEM_END, 0, e);
        return add(c, g->frames[frame].pc, g->frames[frame].parent, e);
    }
    if (op->kind == OP_SPLIT) {
        s = add(c, (uint32_t)((int32_t)at.pc + op->arg), frame, e);
        return s ? s : add(c, at.pc + 1, frame, e);
    }
    uint32_t back = landing(g, at.pc + 1);
    if (g->ops[back].kind != OP_RETURN) s = push_frame(g, back, frame, &frame, e);
    return s ? s : add(c, g->rules[op->arg].start, frame, e);
}

static int by_place(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    if (x->pc != y->pc) return x->pc < y->pc ? -1 : 1;
    return x->frame < y->frame ? -1 : x->frame > y->frame;
}

static bool equal_items(const struct grammar *g, uint32_t state) {
    const struct state *s = &g->states[state];
    return s->n == g->n_found && !memcmp(&g->items[s->first], g->found, g->n_found * sizeof *g->found);
}

static enum status new_state(struct grammar *g, uint32_t next_equal, struct error *e) {
    if (g->n_states >= MAX_STATES || g->n_items + g->n_found > MAX_ITEMS)
        return out_of(g, "the text needs more states than there is memory for", e);
    enum status s = grammar_grow((void **)&g->states, g->n_states, &g->cap_states, sizeof *g->states, e);
    for (uint32_t i = 0; !s && i < g->n_found; i++) {
        s = grammar_grow((void **)&g->items, g->n_items + i, &g->cap_items, sizeof *g->items, e);
        if (!s) g->items[g->n_items + i] = g->found[i];
    }
    if (s) return s;
    g->states[g->n_states++] = (struct state){g->n_items, g->n_found, next_equal};
    g->n_items += g->n_found;
    return OK;
}

/* Follows what is to do, and finds or makes the state of what was found. */
static enum status close_state(struct closure *c, grammar_state *out, struct error *e) {
    struct grammar *g = c->g;
    enum status s = OK;
    while (!s && c->n_todo) s = follow(c, g->todo[--c->n_todo], e);
    if (s) return s;
    if (!g->n_found) return *out = GRAMMAR_DEAD, OK;
    qsort(g->found, g->n_found, sizeof *g->found, by_place);
    uint64_t hash = g->n_found;
    for (uint32_t i = 0; i < g->n_found; i++) hash = mix(hash ^ ((uint64_t)g->found[i].pc << 32 | g->found[i].frame));
    uint32_t first = pair_get(&g->state_of, hash);
    for (*out = first; *out; *out = g->states[*out].next_equal)
        if (equal_items(g, *out)) return OK;
    if ((s = new_state(g, first, e))) return s;
    if ((s = pair_put(&g->state_of, hash, g->n_states - 1, e))) {
        g->n_states--, g->n_items -= g->n_found;
        return s;
    }
    *out = g->n_states - 1;
    return OK;
}

static struct closure begin(struct grammar *g) {
    g->n_found = 0, g->seen.n = 0;
    if (g->seen.cap) memset(g->seen.values, 0, g->seen.cap * sizeof *g->seen.values);
    return (struct closure){.g = g};
}

/* ---- steps ---- */

static enum status take_step(struct grammar *g, grammar_state from, unsigned char byte, grammar_state *to,
                             struct error *e) {
    struct closure c = begin(g);
    enum status s = OK;
    struct state st = g->states[from];
    for (uint32_t i = 0; !s && i < st.n; i++) {
        struct item it = g->items[st.first + i];
        if (it.pc != ITEM_END && set_has(&g->sets[g->ops[it.pc].arg], byte)) s = add(&c, it.pc + 1, it.frame, e);
    }
    return s ? s : close_state(&c, to, e);
}

enum status grammar_step(struct grammar *g, grammar_state from, unsigned char byte, grammar_state *to,
                         struct error *e) {
    uint64_t key = (uint64_t)from << 8 | g->byte_class[byte];
    uint32_t known = pair_get(&g->step_of, key); /* state + 1 */
    if (known) return *to = known - 1, OK;
    if (g->step_of.n >= MAX_STEPS) return out_of(g, "the text needs more states than there is memory for", e);
    enum status s = take_step(g, from, byte, to, e);
    return s ? s : pair_put(&g->step_of, key, *to + 1, e);
}

enum status grammar_accept(struct grammar *g, grammar_state *state, const char *bytes, size_t n, struct error *e) {
    enum status s = OK;
    grammar_state at = *state;
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; !s && i < n && at != GRAMMAR_DEAD; i++) s = grammar_step(g, at, (unsigned char)bytes[i], &at, e);
    pthread_mutex_unlock(&g->lock);
    if (!s) *state = at;
    return s;
}

bool grammar_can_end(struct grammar *g, grammar_state state) {
    pthread_mutex_lock(&g->lock);
    bool ends = grammar_ends(g, state);
    pthread_mutex_unlock(&g->lock);
    return ends;
}

/* ---- opening ---- */

/* Splits the classes by each set in turn: bytes that are in it move to a class of their own. */
static void find_classes(struct grammar *g) {
    uint32_t n = 1;
    for (uint32_t i = 0; i < g->n_sets && n < 256; i++) {
        const struct byte_set *set = &g->sets[i];
        uint16_t moved[256] = {0}; /* class -> the new one + 1 */
        bool mixed[256] = {false}; /* a class with bytes outside the set */
        for (unsigned b = 0; b < 256; b++) mixed[g->byte_class[b]] |= !set_has(set, b);
        for (unsigned b = 0; b < 256; b++) {
            uint8_t old = g->byte_class[b];
            if (!set_has(set, b) || !mixed[old]) continue;
            if (!moved[old]) moved[old] = (uint16_t)++n;
            g->byte_class[b] = (uint8_t)(moved[old] - 1);
        }
    }
}

static enum status make_start(struct grammar *g, struct error *e) {
    struct closure c = begin(g);
    grammar_state start;
    enum status s = grammar_grow((void **)&g->frames, 0, &g->cap_frames, sizeof *g->frames, e);
    if (!s) s = grammar_grow((void **)&g->states, 0, &g->cap_states, sizeof *g->states, e);
    if (s) return s;
    g->n_frames = 1, g->n_states = 1;
    if (!(s = add(&c, 0, 0, e))) s = close_state(&c, &start, e);
    return s;
}

enum status grammar_open(const char *text, size_t size, const char *name, const struct grammar_words *words,
                         struct grammar **out, struct error *e) {
    enum { MOST_BYTES = 1 << 24, MASK_BYTES = 1 << 24 };
    *out = NULL;
    if (size > MOST_BYTES) return error_set(e, ERR_INPUT, "%s: %zu bytes; at most %d", name, size, MOST_BYTES);
    struct grammar *g = mem_new(1, sizeof *g);
    if (!g) return error_set(e, ERR_MEMORY, "no memory for a grammar");
    g->has_lock = !pthread_mutex_init(&g->lock, NULL);
    g->words = words, g->size = size;
    g->text = mem_new(size + 1, 1), g->name = mem_string(name);
    g->todo = mem_new(CLOSURE, sizeof *g->todo), g->found = mem_new(CLOSURE, sizeof *g->found);
    if (words) {
        g->n_slots = (uint32_t)(MASK_BYTES / (words->n / 8 + 1)) + 1;
        if (g->n_slots > 4096) g->n_slots = 4096;
        g->masks = mem_new(g->n_slots, sizeof *g->masks);
        g->path = mem_new((size_t)words->longest + 1, sizeof *g->path);
    }
    enum status s = OK;
    if (!g->has_lock || !g->text || !g->name || !g->todo || !g->found || (words && (!g->masks || !g->path)))
        s = error_set(e, ERR_MEMORY, "no memory for a grammar of %zu bytes", size);
    if (!s) memcpy(g->text, text, size);
    if (!s) s = grammar_parse(g, e);
    if (!s) s = grammar_check(g, e);
    if (!s) find_classes(g);
    if (!s) s = make_start(g, e);
    if (s) grammar_close(&g);
    *out = g;
    return s;
}

const char *grammar_text(const struct grammar *g) { return g->text; }

void grammar_close(struct grammar **out) {
    struct grammar *g = *out;
    *out = NULL;
    if (!g) return;
    if (g->has_lock) pthread_mutex_destroy(&g->lock);
    for (uint32_t i = 0; g->masks && i < g->n_slots; i++) mem_free(g->masks[i].bits);
    void *all[] = {g->text,  g->name,   g->ops,  g->sets,  g->rules, g->frames,
                   g->items, g->states, g->todo, g->found, g->masks, g->path};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    struct pair_map *maps[] = {&g->frame_of, &g->state_of, &g->step_of, &g->seen};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) pair_free(maps[i]);
    mem_free(g);
}
