/* toy_eval.h: a world of digits with a known best chain behind the seam of search, with faults on demand.
 * Not a model: policy, values, dead ends and answers are pure functions of the digits so far, so tests can compute every
 * search again by other means.  It watches its callers: leaks, double drops and use after drop are misuse.
 * Next: test_search.c. */
#ifndef PONDER_TOY_EVAL_H
#define PONDER_TOY_EVAL_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "search/search.h"

enum { TOY_MAX_DEPTH = 16, TOY_BRANCHES = 8192, TOY_ROOT = 1 };

struct toy_world {
    uint64_t seed;
    uint32_t width, depth; /* digits 0..width-1; a chain is finished after `depth` of them */
    const char *best;      /* the best chain; its value is 1 */
    float noise;           /* added to values, by digits */
    bool flat, nan;        /* all values equal; all values NaN */
    const float *arms;     /* [width] when set: the value depends on the first digit only */
    float p_dead, p_cut;   /* share of prefixes that are dead or truncated */
};

struct toy_branch {
    bool live, kv;
    uint32_t len, prm_len;
    char digits[TOY_MAX_DEPTH + 1];
    bool ended;
};

struct toy {
    struct toy_world world;
    struct evaluator ev;
    struct ledger ledger;
    struct toy_branch branches[TOY_BRANCHES]; /* [1] is the root */
    uint32_t cap_branches, cap_kv;            /* 0 = no limit */
    uint32_t n_branches, n_kv, peak_kv;
    uint64_t calls, full_at_call, fail_at_call; /* ERR_FULL or ERR_IO once at this call (1-based) of any verb */
    uint64_t cancel_at_call;
    int cancel;
    uint32_t n_extends, n_scores, max_batch, n_evictions;
    const char *misuse; /* the first wrong use */
    char answer_text[32];
};

/* The world: pure functions ------------------------------------------------------------------------------------- */

static uint64_t toy_hash(const struct toy_world *w, const char *digits, uint64_t salt) {
    uint64_t h = rng_fold(w->seed, salt);
    for (; *digits; digits++) h = rng_fold(h, (unsigned char)*digits);
    return h;
}

static double toy_p(const struct toy_world *w, const char *digits, uint32_t d) {
    uint64_t h = toy_hash(w, digits, 1);
    double total = 0, mine = 0;
    for (uint32_t i = 0; i < w->width; i++) {
        double weight = 1 + rng_below(h, i, 8);
        total += weight;
        if (i == d) mine = weight;
    }
    return mine / total;
}

/* The next digit: argmax (lowest of equals) at temperature 0, else by the inverse of the distribution. */
static uint32_t toy_digit(const struct toy_world *w, const char *digits, uint64_t key, float temperature) {
    uint32_t best = 0;
    for (uint32_t d = 1; d < w->width; d++)
        if (toy_p(w, digits, d) > toy_p(w, digits, best)) best = d;
    if (temperature == 0) return best;
    double u = rng_uniform(key, 0);
    for (uint32_t d = 0; d < w->width; d++)
        if ((u -= toy_p(w, digits, d)) < 0) return d;
    return w->width - 1;
}

static enum step_end toy_end(const struct toy_world *w, const char *digits) {
    double u = rng_uniform(toy_hash(w, digits, 2), 0);
    if (u < w->p_dead) return STEP_DEAD;
    if (u < w->p_dead + w->p_cut) return STEP_TRUNCATED;
    return strlen(digits) >= w->depth ? STEP_FINISHED : STEP_SEPARATOR;
}

static float toy_value(const struct toy_world *w, const char *digits) {
    if (w->nan) return NAN;
    if (w->flat) return 0.5f;
    if (w->arms) return w->arms[digits[0] - '0'];
    double matches = 0, open = 0.3 * (w->depth - strlen(digits));
    for (uint32_t i = 0; digits[i]; i++) matches += digits[i] == w->best[i];
    double v = (matches + open) / w->depth + w->noise * (rng_uniform(toy_hash(w, digits, 3), 0) - 0.5);
    if (matches == w->depth) return 1;
    return (float)fmin(0.99, fmax(0, v));
}

/* Sum of the digits; no answer when it is a multiple of 7. */
static void toy_answer_of(const char *digits, char *text, size_t cap) {
    int sum = 0;
    for (; *digits; digits++) sum += *digits - '0';
    if (sum % 7 == 0) text[0] = 0;
    else snprintf(text, cap, "%d", sum);
}

static const char *toy_text(uint32_t digit) {
    static const char *const texts[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    return texts[digit];
}

/* The evaluator ------------------------------------------------------------------------------------------------- */

static struct toy_branch *toy_get(struct toy *y, branch_id b, const char *misuse) {
    static struct toy_branch nobody;
    if (b && b < TOY_BRANCHES && y->branches[b].live) return &y->branches[b];
    if (!y->misuse) y->misuse = misuse;
    return memset(&nobody, 0, sizeof nobody);
}

static enum status toy_fault(struct toy *y, struct error *e) {
    y->calls++;
    if (y->calls == y->cancel_at_call) y->cancel = 1;
    if (y->calls == y->full_at_call) return error_set(e, ERR_FULL, "toy: full on demand");
    if (y->calls == y->fail_at_call) return error_set(e, ERR_IO, "toy: failed on demand");
    return OK;
}

static void toy_set_kv(struct toy *y, struct toy_branch *b, bool kv) {
    y->n_kv += kv - b->kv;
    b->kv = kv;
    if (y->n_kv > y->peak_kv) y->peak_kv = y->n_kv;
}

static enum status toy_fork(void *self, branch_id from, branch_id *to, struct error *e) {
    struct toy *y = self;
    enum status s = toy_fault(y, e);
    const struct toy_branch *b = toy_get(y, from, "fork of a branch that is not live");
    if (s) return s;
    if (b->ended) y->misuse = "fork of an ended chain";
    if (y->cap_branches && y->n_branches >= y->cap_branches) return error_set(e, ERR_FULL, "toy: out of branches");
    branch_id id = TOY_ROOT + 1;
    while (id < TOY_BRANCHES && y->branches[id].live) id++;
    if (id == TOY_BRANCHES) return error_set(e, ERR_FULL, "toy: out of branches");
    y->branches[id] = *b;
    y->branches[id].kv = false; /* owns no page before its first step */
    y->n_branches++;
    y->ledger.forks++;
    *to = id;
    return OK;
}

static void toy_drop(void *self, branch_id *b) {
    struct toy *y = self;
    struct toy_branch *x = toy_get(y, *b, "drop of a branch that is not live");
    if (*b == TOY_ROOT) y->misuse = "drop of the root";
    toy_set_kv(y, x, false);
    if (x->live) x->live = false, y->n_branches--;
    *b = 0;
}

static void toy_evict(void *self, branch_id b) {
    struct toy *y = self;
    if (b == TOY_ROOT) y->misuse = "eviction of the root";
    toy_set_kv(y, toy_get(y, b, "eviction of a branch that is not live"), false);
    y->n_evictions++;
}

/* Room for the KV of all these branches, or ERR_FULL with nothing done. */
static enum status toy_reserve(struct toy *y, uint32_t missing, struct error *e) {
    if (y->cap_kv && y->n_kv + missing > y->cap_kv)
        return error_set(e, ERR_FULL, "toy: %u pages of %u used, %u more wanted", y->n_kv, y->cap_kv, missing);
    return OK;
}

static enum status toy_extend(void *self, struct step *steps, size_t n, struct error *e) {
    struct toy *y = self;
    uint32_t missing = 0;
    enum status s = toy_fault(y, e);
    for (size_t i = 0; i < n; i++) missing += !toy_get(y, steps[i].branch, "extend of a branch that is not live")->kv;
    if (!s) s = toy_reserve(y, missing, e);
    if (s) return s;
    y->n_extends++;
    if (n > y->max_batch) y->max_batch = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        struct toy_branch *b = toy_get(y, steps[i].branch, "one branch twice in a batch");
        if (steps[i].branch == TOY_ROOT || b->ended) y->misuse = "extend of the root or of an ended chain";
        uint32_t d = toy_digit(&y->world, b->digits, steps[i].key, steps[i].temperature);
        steps[i].text = toy_text(d);
        steps[i].logprob = (float)log(toy_p(&y->world, b->digits, d));
        steps[i].n_tokens = 2;
        b->digits[b->len++] = (char)('0' + d);
        steps[i].end = toy_end(&y->world, b->digits);
        b->ended = steps[i].end != STEP_SEPARATOR;
        if (steps[i].end == STEP_DEAD) steps[i].text = NULL;
        toy_set_kv(y, b, true);
        y->ledger.generated_tokens += 2;
        y->ledger.policy_flops += 10;
    }
    return OK;
}

static enum status toy_score(void *self, const branch_id *branches, size_t n, float *value, struct error *e) {
    struct toy *y = self;
    uint32_t missing = 0;
    enum status s = toy_fault(y, e);
    for (size_t i = 0; i < n; i++) missing += !toy_get(y, branches[i], "score of a branch that is not live")->kv;
    if (!s) s = toy_reserve(y, missing, e);
    if (s) return s;
    y->n_scores++;
    for (size_t i = 0; i < n; i++) {
        struct toy_branch *b = toy_get(y, branches[i], "score of a branch that is not live");
        y->ledger.prm_tokens += 2 * (b->len - b->prm_len);
        y->ledger.prm_flops += 7 * (b->len - b->prm_len);
        b->prm_len = b->len;
        toy_set_kv(y, b, true);
        value[i] = toy_value(&y->world, b->digits);
    }
    return OK;
}

__attribute__((unused)) static int toy_check(void *self, branch_id b) {
    struct toy *y = self;
    return !strcmp(toy_get(y, b, "check of a branch that is not live")->digits, y->world.best);
}

/* One buffer for all answers: callers must not keep the pointer. */
static const char *toy_answer(void *self, branch_id b) {
    struct toy *y = self;
    toy_answer_of(toy_get(y, b, "answer of a branch that is not live")->digits, y->answer_text, sizeof y->answer_text);
    return y->answer_text;
}

static void toy_open(struct toy *y, const struct toy_world *w) {
    memset(y, 0, sizeof *y);
    y->world = *w;
    y->branches[TOY_ROOT] = (struct toy_branch){.live = true};
    y->ev = (struct evaluator){.self = y,
                               .root = TOY_ROOT,
                               .ledger = &y->ledger,
                               .fork = toy_fork,
                               .drop = toy_drop,
                               .evict = toy_evict,
                               .extend = toy_extend,
                               .score = toy_score,
                               .answer = toy_answer};
}

#endif
