/* hanoi.c: tower_of_hanoi with three or more pegs.  One move at a step, written as the peg of every disk after it.
 * Not any way: only one as short as Frame and Stewart's is right.
 * Next: steps.h.
 *
 *   question  "Solve the Tower of Hanoi problem with 3 disks and 3 pegs.\nMove all disks from Peg 1 to Peg 2..."
 *   prompt    " 3 : 111 -> 222\n"      pegs; where the disks are and shall be, the smallest first
 *   step      " 211"                   disk 1 is on peg 2 now
 *   answer    "Move disk 1 from Peg 1 to Peg 2\n..." */
#include <stdio.h>
#include <string.h>

#include "tasks/steps.h"

enum { DISKS = 12, PEGS = 6 };

struct tower {
    int disks, pegs, from, to;
};

/* ---- Frame-Stewart ---- */

/* Moves for n disks with k pegs, and how many disks to set aside first. */
static int moves_for(int n, int k, int *aside) {
    int best = 1 << 30;
    if (aside) *aside = 0;
    if (n <= 1) return n;
    if (k == 3) {
        if (aside) *aside = n - 1;
        return (1 << n) - 1;
    }
    for (int m = 1; m < n; m++) {
        int moves = 2 * moves_for(m, k, NULL) + moves_for(n - m, k - 1, NULL);
        if (moves < best) best = moves, *(aside ? aside : &(int){0}) = m;
    }
    return best;
}

/* A chain under construction: places[d] is the peg of disk d. */
struct writer {
    int disks, places[DISKS];
    char *text;
    size_t cap, n;
    uint64_t key, counter; /* which free peg is used */
};

static void write_places(struct writer *w) {
    if (w->n) w->n = put(w->text, w->cap, w->n, "\n");
    w->n = put(w->text, w->cap, w->n, " ");
    for (int d = 0; d < w->disks; d++) w->n = put(w->text, w->cap, w->n, "%d", w->places[d] + 1);
}

/* Moves disks first..first+n-1 to peg `to` over the pegs of the set `free` (bits, without source and target). */
static void move_tower(struct writer *w, int first, int n, int to, unsigned free) {
    int aside, from = w->places[first], spare[PEGS], n_spare = 0;
    if (n == 0) return;
    if (n == 1) {
        w->places[first] = to;
        write_places(w);
        return;
    }
    for (int p = 0; p < PEGS; p++)
        if (free >> p & 1) spare[n_spare++] = p;
    moves_for(n, n_spare + 2, &aside);
    int via = spare[draw_int(w->key, &w->counter, 0, n_spare - 1)];
    unsigned others = free & ~(1u << via);
    move_tower(w, first, aside, via, others | 1u << to);
    move_tower(w, first + aside, n - aside, to, others);
    move_tower(w, first, aside, to, others | 1u << from);
}

/* ---- reading ---- */

static bool read_question(const char *text, struct tower *t) {
    const char *at = after(text, "Tower of Hanoi problem with "), *way = after(text, "Move all disks from Peg ");
    return at && way && take_small(&at, 1, DISKS, &t->disks) && take(&at, " disks and ") &&
           take_small(&at, 3, PEGS, &t->pegs) && take_small(&way, 1, PEGS, &t->from) && take(&way, " to Peg ") &&
           take_small(&way, 1, PEGS, &t->to);
}

/* All disks on one peg: "111". */
static int read_tower(const char **at, int *peg) {
    int n = 0;
    *peg = **at - '0';
    while ((*at)[n] && (*at)[n] == **at) n++;
    *at += n;
    return n;
}

static bool read_compact(const char *at, struct tower *t) {
    int disks;
    skip_space(&at);
    if (!take_small(&at, 3, PEGS, &t->pegs) || !take(&at, " : ")) return false;
    t->disks = read_tower(&at, &t->from);
    if (!take(&at, " -> ")) return false;
    disks = read_tower(&at, &t->to);
    skip_space(&at);
    return !*at && disks == t->disks && disks <= DISKS;
}

static bool read_problem(const char *text, void *own, char why[96]) {
    struct tower *t = own;
    bool good = strstr(text, "Hanoi") ? read_question(text, t) : read_compact(text, t);
    if (good && t->disks >= 1 && t->from != t->to && t->from >= 1 && t->to >= 1 && t->from <= t->pegs &&
        t->to <= t->pegs)
        return true;
    snprintf(why, 96, "no 1 to %d disks on 3 to %d pegs with a way between two of them", DISKS, PEGS);
    return false;
}

static void write_problem(const void *own, char *out) {
    const struct tower *t = own;
    size_t n = put(out, COMPACT, 0, " %d : ", t->pegs);
    for (int d = 0; d < t->disks; d++) n = put(out, COMPACT, n, "%d", t->from);
    n = put(out, COMPACT, n, " -> ");
    for (int d = 0; d < t->disks; d++) n = put(out, COMPACT, n, "%d", t->to);
    put(out, COMPACT, n, "\n");
}

/* ---- chains ---- */

/* May disk d go to peg `to`?  No smaller one lies on it or there. */
static bool may_move(const int *places, int d, int to) {
    for (int i = 0; i < d; i++)
        if (places[i] == places[d] || places[i] == to) return false;
    return places[d] != to;
}

/* The disk that a line moves, its places read; -1 when it is no move. */
static int read_line(const struct tower *t, const char *line, int *places) {
    int moved = -1, to = 0;
    if (line[0] != ' ' || strlen(line) != (size_t)t->disks + 1) return -1;
    for (int d = 0; d < t->disks; d++) {
        int peg = line[d + 1] - '0';
        if (peg < 1 || peg > t->pegs) return -1;
        if (peg == places[d]) continue;
        if (moved >= 0) return -1;
        moved = d, to = peg;
    }
    if (moved < 0 || !may_move(places, moved, to)) return -1;
    places[moved] = to;
    return moved;
}

static bool follow(const struct tower *t, const char *chain, int *places, int *n) {
    char line[DISKS + 8];
    for (int d = 0; d < t->disks; d++) places[d] = t->from;
    for (*n = 0; next_line(&chain, line, sizeof line); ++*n)
        if (read_line(t, line, places) < 0) return false;
    return true;
}

static uint64_t state(const struct problem *p, const char *chain) {
    int places[DISKS], n;
    uint64_t key = 1;
    const struct tower *t = p->own;
    if (!follow(t, chain, places, &n) || n > moves_for(t->disks, t->pegs, NULL)) return STATE_WRONG;
    for (int d = 0; d < t->disks; d++) key = rng_fold(key, (uint64_t)places[d]);
    return rng_fold(key, (uint64_t)n) | 2;
}

static size_t answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    const struct tower *t = p->own;
    char line[DISKS + 8];
    int places[DISKS];
    size_t n = 0;
    if (cap) *out = 0;
    for (int d = 0; d < t->disks; d++) places[d] = t->from;
    while (next_line(&chain, line, sizeof line)) {
        int before[DISKS], d;
        memcpy(before, places, sizeof before);
        if ((d = read_line(t, line, places)) < 0) break;
        n = put(out, cap, n, "%sMove disk %d from Peg %d to Peg %d", n ? "\n" : "", d + 1, before[d], places[d]);
    }
    return n;
}

static struct judgement judge_answer(const struct problem *p, const char *text) {
    const struct tower *t = p->own;
    int places[DISKS], moves = 0, most = moves_for(t->disks, t->pegs, NULL);
    char line[128];
    for (int d = 0; d < t->disks; d++) places[d] = t->from;
    while (next_line(&text, line, sizeof line)) {
        const char *at = line;
        int disk, from, to;
        skip_space(&at);
        if (!*at) continue;
        moves++;
        while (*at && *at != ' ' && strncmp(at, "Move disk ", 10))
            at++; /* "+Move": its first word may begin otherwise */
        if (!take(&at, "Move disk ") || !take_small(&at, 1, t->disks, &disk) || !take(&at, " from Peg ") ||
            !take_small(&at, 1, t->pegs, &from) || !take(&at, " to Peg ") || !take_small(&at, 1, t->pegs, &to) ||
            at[strspn(at, " \t\r")])
            return judged(false, "move %d is not written as asked", moves);
        if (places[disk - 1] != from || !may_move(places, disk - 1, to))
            return judged(false, "move %d is not allowed", moves);
        places[disk - 1] = to;
    }
    for (int d = 0; d < t->disks; d++)
        if (places[d] != t->to) return judged(false, "disk %d is not on peg %d at the end", d + 1, t->to);
    return judged(moves <= most, "%d moves; %d are enough", moves, most);
}

/* Exact for three pegs: the fewest moves from any legal place is the classical recursion. */
static float oracle(const struct problem *p, const char *chain) {
    const struct tower *t = p->own;
    int places[DISKS], n, to = t->to, needed = 0;
    if (!follow(t, chain, places, &n)) return 0;
    if (t->pegs != 3) return -1;
    for (int d = t->disks - 1; d >= 0; d--)
        if (places[d] != to) {
            needed += 1 << d;
            to = 6 - places[d] - to; /* the smaller ones must stand on the third peg */
        }
    return n + needed <= (1 << t->disks) - 1;
}

/* ---- problems to learn from ---- */

static const struct knob knobs[] = {{"min_disks", "disks", 3, 5, 1, DISKS},
                                    {"max_disks", "disks", 7, 10, 1, DISKS},
                                    {"min_pegs", "pegs", 3, 3, 3, PEGS},
                                    {"max_pegs", "pegs", 4, 4, 3, PEGS},
                                    {0}};

static enum status generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                            struct error *e) {
    uint64_t counter = 0;
    struct tower w = {.disks = draw_int(key, &counter, k->knobs[0], k->knobs[1]),
                      .pegs = draw_int(key, &counter, k->knobs[2], k->knobs[3])};
    w.from = draw_int(key, &counter, 1, w.pegs);
    w.to = draw_int(key, &counter, 1, w.pegs - 1);
    w.to += w.to >= w.from;
    return steps_problem(t, &w, p, e);
}

static void example(const struct problem *p, uint64_t key, struct lesson *out) {
    const struct tower *t = p->own;
    struct writer w = {.disks = t->disks, .text = out->text, .cap = out->cap, .key = key};
    unsigned all = (1u << t->pegs) - 1;
    for (int d = 0; d < t->disks; d++) w.places[d] = t->from - 1;
    move_tower(&w, 0, t->disks, t->to - 1, all & ~(1u << (t->from - 1)) & ~(1u << (t->to - 1)));
    out->n = w.n + 1 < w.cap ? w.n : 0, out->loss_after = 0;
}

static uint32_t depth(const void *own) {
    const struct tower *t = own;
    return (uint32_t)moves_for(t->disks, t->pegs, NULL);
}

static const struct kind kind = {sizeof(struct tower), read_problem, write_problem, depth};

/* So few problems of the published sizes exist that none can be kept from training: what is learned is the method. */
static bool held_out(const struct problem *p) { return ((const struct tower *)p->own)->disks > 10; }

const struct task tower_of_hanoi_task = {.name = "tower_of_hanoi",
                                         .summary = "the tower of Hanoi with three or more pegs",
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
                                         .held_out = held_out};
