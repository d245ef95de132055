/* grammar_internal.h: the machine that a grammar is compiled to.
 * Not for users of grammar.h.
 * Next: grammar_parse.c makes it, grammar.c runs it.
 *
 * Code of   a ::= "x" b* | [0-9]     a byte of the text is read by OP_BYTES only:
 *
 *     0 SPLIT +6      to 1 and to 6: both alternatives
 *     1 BYTES {x}
 *     2 SPLIT +3      the loop or what follows it
 *     3 CALL b        pushes 4
 *     4 JUMP -2
 *     5 JUMP +2       behind the alternatives
 *     6 BYTES {0..9}
 *     7 RETURN                                                                                          */
#ifndef PONDER_GRAMMAR_INTERNAL_H
#define PONDER_GRAMMAR_INTERNAL_H

#include <pthread.h>

#include "model/grammar.h"

enum op_kind { OP_BYTES, OP_JUMP, OP_SPLIT, OP_CALL, OP_RETURN };
struct op {
    enum op_kind kind;
    int32_t arg; /* BYTES: its set; JUMP, SPLIT: from here to there; CALL: its rule */
    uint32_t at; /* place in the grammar's text, for errors */
};

struct byte_set {
    uint64_t bits[4];
};
static inline bool set_has(const struct byte_set *s, unsigned byte) { return s->bits[byte >> 6] >> (byte & 63) & 1; }

struct rule {
    const char *name; /* [n_name], in the grammar's copy of the text */
    size_t n_name;
    uint32_t start; /* its first op */
    uint32_t at;    /* place of the definition, or of the first use */
    bool defined;
};

/* A place and the places to return to, each list of those stored once. */
struct frame {
    uint32_t pc, parent; /* parent 0: the bottom, behind which the text may end */
};
struct item {
    uint32_t pc, frame; /* pc: of an OP_BYTES, or ITEM_END */
};
enum { ITEM_END = UINT32_MAX };

/* Maps a pair of numbers to the index where it was first seen. */
struct pair_map {
    uint64_t *keys;   /* [cap] */
    uint32_t *values; /* [cap]; 0: empty */
    uint32_t n, cap;  /* cap: a power of two */
};

struct grammar {
    /* constant after grammar_open */
    const struct grammar_words *words;
    char *text, *name;
    size_t size;
    struct op *ops;
    uint32_t n_ops, cap_ops;
    struct byte_set *sets;
    uint32_t n_sets, cap_sets;
    struct rule *rules;
    uint32_t n_rules, cap_rules;
    uint8_t byte_class[256]; /* bytes that no set tells apart have one number */

    /* grows while texts are read; under the lock */
    pthread_mutex_t lock;
    bool has_lock;
    struct frame *frames; /* [n_frames]; 0: the bottom */
    uint32_t n_frames, cap_frames;
    struct item *items;
    uint32_t n_items, cap_items;
    struct state {
        uint32_t first, n;   /* its items, sorted */
        uint32_t next_equal; /* another state of the same hash; 0: none */
    } * states;              /* [n_states]; 0: dead */
    uint32_t n_states, cap_states;
    struct pair_map frame_of, state_of, step_of; /* (pc, parent), (hash), (state, byte class) */
    /* scratch of closures */
    struct item *todo, *found; /* [CLOSURE] */
    uint32_t n_found;
    struct pair_map seen;
    /* masks: slot = state % n_slots */
    struct mask {
        grammar_state state; /* 0: empty */
        uint32_t n_allowed;
        uint64_t *bits; /* [(n_words + 63) / 64] */
    } * masks;
    uint32_t n_slots;
    grammar_state *path; /* [longest word + 1] */
};

struct grammar_words {
    uint32_t n, n_sorted;
    struct word {
        const char *bytes;
        uint32_t size, shared; /* shared: bytes at the start in common with the word before */
        int32_t id;
    } * sorted; /* [n_sorted] */
    uint32_t longest;
    int32_t *ends; /* [n_ends] */
    uint32_t n_ends;
};

/* grammar_parse.c: the text to ops, sets and rules, checked. */
enum status grammar_parse(struct grammar *g, struct error *e);
/* grammar_check.c: left recursion, rules that can never end. */
enum status grammar_check(const struct grammar *g, struct error *e);
/* An error at a place of the text. */
enum status grammar_wrong(const struct grammar *g, size_t at, struct error *e, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Room for one more element of an array that grows by doubling. */
enum status grammar_grow(void **array, uint32_t n, uint32_t *cap, size_t size, struct error *e);
/* Appends an op. */
enum status grammar_op(struct grammar *g, enum op_kind kind, int32_t arg, size_t at, struct error *e);

/* grammar_class.c: appends code that reads one character of ranges [n][2] (changed here), or one that is in none of
 * them. */
enum status grammar_class(struct grammar *g, uint32_t (*ranges)[2], size_t n, bool inverted, size_t at,
                          struct error *e);
/* Appends code that reads this one byte. */
enum status grammar_byte(struct grammar *g, unsigned char byte, size_t at, struct error *e);

/* grammar.c, under the lock: the state after one byte. */
enum status grammar_step(struct grammar *g, grammar_state from, unsigned char byte, grammar_state *to, struct error *e);
static inline bool grammar_ends(const struct grammar *g, grammar_state s) {
    const struct state *st = &g->states[s];
    return st->n && g->items[st->first + st->n - 1].pc == ITEM_END; /* sorted: the end is last */
}

#endif
