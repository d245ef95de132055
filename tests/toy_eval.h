/* toy_eval.h: a world of digits with a known best chain behind the seam of search, with faults on demand.
 * Not a model: policy, values, dead ends and answers are pure functions of the digits so far, so tests can compute
 * every search again by other means.  It watches its callers: leaks, double drops and use after drop are misuse.
 * Next: test_search.c. */
#ifndef PONDER_TOY_EVAL_H
#define PONDER_TOY_EVAL_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "search/search.h"

enum { TOY_MAX_DEPTH = 16, TOY_BRANCHES = 8192, TOY_ROOT = 1 };

/* A step is two tokens: a digit, whose id is itself, and its end. */
enum { TOY_SEPARATOR = 10, TOY_END = 11 };

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
    bool open;     /* the newest digit has no end yet */
    uint32_t drawn[10]; /* round in which a digit was drawn behind it that later ones must not be; 0: none */
    uint64_t salt; /* of its prompt: 0 for the problem's own, else what was asked about what; another policy */
    struct value_cost value_cost;
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
    struct limits limits;
    const char *misuse; /* the first wrong use */
    char answer_text[32], reason[32];
    char texts[1 << 14]; /* of steps made in one call of several */
    size_t n_texts;
    enum telling telling;
    int32_t ids[1 << 14]; /* tokens that were told, a ring like texts */
    float logprobs[1 << 14];
    size_t n_ids;
    uint32_t n_recited; /* steps */
};

/* The world: pure functions ------------------------------------------------------------------------------------- */

static uint64_t toy_hash(const struct toy_world *w, const char *digits, uint64_t salt) {
    uint64_t h = rng_fold(w->seed, salt);
    for (; *digits; digits++) h = rng_fold(h, (unsigned char)*digits);
    return h;
}

/* The draft model's is another one. */
enum { TOY_DRAFT_SALT = 77 };

/* Of all digits. */
static void toy_distribution(const struct toy_world *w, const char *digits, uint64_t salt, double p[10]) {
    uint64_t h = toy_hash(w, digits, 1 + salt);
    double total = 0;
    for (uint32_t i = 0; i < w->width; i++) total += p[i] = 1 + rng_below(h, i, 8);
    for (uint32_t i = 0; i < w->width; i++) p[i] /= total;
}

static double toy_p_salted(const struct toy_world *w, const char *digits, uint32_t d, uint64_t salt) {
    double p[10] = {0};
    toy_distribution(w, digits, salt, p);
    return p[d];
}

__attribute__((unused)) static double toy_p(const struct toy_world *w, const char *digits, uint32_t d) {
    return toy_p_salted(w, digits, d, 0);
}

/* The next digit of a distribution: argmax (lowest of equals) at temperature 0, else by its inverse. */
static uint32_t toy_draw(const double *p, uint32_t n, uint64_t key, float temperature) {
    uint32_t best = 0;
    for (uint32_t d = 1; d < n; d++)
        if (p[d] > p[best]) best = d;
    if (temperature == 0) return best;
    double u = rng_uniform(key, 0);
    for (uint32_t d = 0; d < n; d++)
        if ((u -= p[d]) < 0) return d;
    return n - 1;
}

static uint32_t toy_digit_salted(const struct toy_world *w, const char *digits, uint64_t key, float temperature,
                                 uint64_t salt) {
    double p[10];
    toy_distribution(w, digits, salt, p);
    return toy_draw(p, w->width, key, temperature);
}

__attribute__((unused)) static uint32_t toy_digit(const struct toy_world *w, const char *digits, uint64_t key,
                                                  float temperature) {
    return toy_digit_salted(w, digits, key, temperature, 0);
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
    if (strlen(digits) > w->depth) return 0;
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
    memset(y->branches[id].drawn, 0, sizeof y->branches[id].drawn);
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

/* One token at the end of a branch: a digit, or the end of a step, as the digits decide.  False: not allowed here. */
static bool toy_append(struct toy *y, struct toy_branch *b, int32_t token, enum step_end *end) {
    *end = STEP_OPEN;
    if (!b->open) {
        if (token < 0 || (uint32_t)token >= y->world.width || b->len == TOY_MAX_DEPTH) return false;
        b->digits[b->len++] = (char)('0' + token), b->digits[b->len] = 0;
        return b->open = true;
    }
    enum step_end real = toy_end(&y->world, b->digits);
    if (token != (real == STEP_FINISHED ? TOY_END : TOY_SEPARATOR)) return false;
    *end = real;
    b->open = false;
    b->ended = real != STEP_SEPARATOR;
    return true;
}

/* A digit that no earlier round has drawn, by the distribution of those; false: there is none. */
static bool toy_other(const struct toy *y, const struct toy_branch *b, struct step *st, uint64_t key, uint32_t *d) {
    const uint32_t *drawn = y->branches[st->apart].drawn;
    double p[10];
    st->left = 0;
    toy_distribution(&y->world, b->digits, b->salt, p);
    for (uint32_t i = 0; i < y->world.width; i++) st->left += p[i] *= !drawn[i] || drawn[i] == st->round;
    for (uint32_t i = 0; i < y->world.width && st->left > 0; i++) p[i] /= st->left;
    *d = toy_draw(p, y->world.width, key, st->temperature);
    while (*d && p[*d] == 0) --*d; /* rounding went past the last one */
    return p[*d] > 0;
}

/* The token that the policy (or the draft model) writes next, and its log-probability. */
static int32_t toy_next(const struct toy *y, const struct toy_branch *b, struct step *st, float *logprob) {
    uint64_t salt = b->salt + (st->draft ? TOY_DRAFT_SALT : 0);
    *logprob = 0;
    if (b->open) return toy_end(&y->world, b->digits) == STEP_FINISHED ? TOY_END : TOY_SEPARATOR;
    uint64_t key = st->to_end ? rng_fold(st->key, b->len) : st->key;
    uint32_t d = toy_digit_salted(&y->world, b->digits, key, st->temperature, salt);
    if (st->apart && !toy_other(y, b, st, key, &d)) return -1;
    *logprob = (float)log(toy_p_salted(&y->world, b->digits, d, st->rate ? b->salt : salt));
    return (int32_t)d;
}

/* Text of a call's digits from `from` on: of one digit a constant, of several in the ring of texts. */
static const char *toy_step_text(struct toy *y, const struct toy_branch *b, uint32_t from) {
    if (b->len == from) return "";
    if (b->len == from + 1) return toy_text((uint32_t)(b->digits[from] - '0'));
    if (y->n_texts + b->len - from + 1 > sizeof y->texts) y->n_texts = 0;
    char *text = memcpy(y->texts + y->n_texts, b->digits + from, b->len - from + 1);
    y->n_texts += b->len - from + 1;
    return text;
}

/* What is recited must be what the toy would write itself. */
static void toy_compare(struct toy *y, const struct step *known, const struct step *st) {
    y->n_recited++;
    if (known->n_tokens != st->n_tokens || known->end != st->end) y->misuse = "a recited step of another length or end";
    for (uint32_t i = 0; i < st->n_tokens && !y->misuse; i++)
        if (known->tokens[i] != st->tokens[i] || known->logprobs[i] != st->logprobs[i])
            y->misuse = "a recited step of other tokens";
}

static void toy_write(struct toy *y, struct step *st) {
    struct toy_branch *b = toy_get(y, st->branch, "one branch twice in a batch");
    const struct step known = *st;
    uint32_t first = b->len;
    if (y->n_ids + 2 * TOY_MAX_DEPTH > sizeof y->ids / sizeof *y->ids) y->n_ids = 0;
    st->n_tokens = st->n_steps = 0, st->logprob = 0, st->end = STEP_OPEN, st->flops = 0;
    st->tokens = y->telling ? y->ids + y->n_ids : NULL, st->logprobs = y->telling ? y->logprobs + y->n_ids : NULL;
    for (bool done = false; !done;) {
        float logprob;
        bool cut = y->telling == TELL_RECITED ? known.end == STEP_TRUNCATED && st->n_tokens == known.n_tokens
                                              : limits_reached(&y->limits, &y->ledger);
        if (cut) {
            st->end = STEP_TRUNCATED, b->ended = true;
            break;
        }
        int32_t id = toy_next(y, b, st, &logprob);
        if (id < 0) {
            st->end = STEP_DEAD, b->ended = true;
            break;
        }
        uint32_t *drawn = st->apart && !b->open ? &y->branches[st->apart].drawn[id] : NULL;
        if (drawn && !*drawn) *drawn = st->round;
        toy_append(y, b, id, &st->end);
        y->ids[y->n_ids] = id, y->logprobs[y->n_ids++] = logprob, st->flops += 5;
        st->logprob += logprob, st->n_tokens++, st->n_steps += st->end != STEP_OPEN;
        y->ledger.generated_tokens++, y->ledger.policy_flops += 5;
        done = st->end == STEP_SEPARATOR ? !st->to_end || st->n_steps == st->max_steps : st->end != STEP_OPEN;
        if (!done && st->n_tokens == st->max_tokens) done = true, st->end = b->open ? STEP_OPEN : STEP_SEPARATOR;
    }
    st->text = st->end == STEP_DEAD ? NULL : toy_step_text(y, b, first);
    toy_set_kv(y, b, true);
    if (y->telling == TELL_RECITED) toy_compare(y, &known, st);
}

static enum status toy_extend(void *self, struct step *steps, size_t n, struct error *e) {
    struct toy *y = self;
    uint32_t missing = 0;
    enum status s = toy_fault(y, e);
    for (size_t i = 0; i < n; i++) {
        const struct toy_branch *b = toy_get(y, steps[i].branch, "extend of a branch that is not live");
        if (steps[i].branch == TOY_ROOT || b->ended) y->misuse = "extend of the root or of an ended chain";
        missing += !b->kv;
    }
    if (!s) s = toy_reserve(y, missing, e);
    if (s) return s;
    y->n_extends++;
    if (n > y->max_batch) y->max_batch = (uint32_t)n;
    for (size_t i = 0; i < n; i++) toy_write(y, &steps[i]);
    return OK;
}

/* What is no digit is a remark: it ends an open step, and the policy is another one from there on. */
static void toy_remark(struct toy_branch *b, const char *text) {
    b->open = false;
    for (; *text; text++) b->salt = rng_fold(b->salt, (unsigned char)*text);
}

/* Digits of a text, each with its end, and a remark behind them; or tokens; or the digits that another branch is ahead. */
static enum status toy_put_one(struct toy *y, struct put *p, struct error *e) {
    struct toy_branch *b = toy_get(y, p->branch, "put on a branch that is not live"), old = *b;
    const char *text = p->tokens ? "" : p->from ? y->branches[p->from].digits + b->len : p->text;
    uint32_t n = 0;
    p->logprob = 0, p->end = b->open ? STEP_OPEN : STEP_SEPARATOR;
    if (y->n_ids + 2 * TOY_MAX_DEPTH > sizeof y->ids / sizeof *y->ids) y->n_ids = 0;
    p->ids = y->telling ? y->ids + y->n_ids : NULL;
    b->ended = false;
    for (uint32_t i = 0; p->tokens ? i < p->n_tokens : *text || b->open; i++) {
        if (!p->tokens && *text && (*text < '0' || *text > '9')) {
            toy_remark(b, text);
            b->ended = false, p->end = STEP_SEPARATOR, n++;
            break;
        }
        int32_t token = p->tokens ? p->tokens[i]
                        : !b->open ? *text++ - '0'
                        : toy_end(&y->world, b->digits) == STEP_FINISHED ? TOY_END : TOY_SEPARATOR;
        if (p->rate && !b->open && token >= 0 && (uint32_t)token < y->world.width)
            p->logprob += (float)log(toy_p_salted(&y->world, b->digits, (uint32_t)token, b->salt));
        if (!toy_append(y, b, token, &p->end)) {
            *b = old;
            return error_set(e, ERR_INPUT, "toy: token %d cannot stand here", token);
        }
        y->ids[y->n_ids++] = token;
        n++;
    }
    p->n_tokens = n;
    p->added = toy_step_text(y, b, old.len);
    p->flops = p->rate ? 5 * n : 0;
    y->ledger.policy_flops += p->flops;
    return OK;
}

static enum status toy_put(void *self, struct put *puts, size_t n, struct error *e) {
    struct toy *y = self;
    enum status s = toy_fault(y, e);
    for (size_t i = 0; i < n && !s; i++) s = toy_put_one(y, &puts[i], e);
    return s;
}

static enum status toy_propose(void *self, struct proposal *proposals, size_t n, struct error *e) {
    struct toy *y = self;
    enum status s = toy_fault(y, e);
    for (size_t i = 0; i < n && !s; i++) {
        struct proposal *p = &proposals[i];
        struct toy_branch *b = toy_get(y, p->branch, "proposals for a branch that is not live");
        bool taken[10] = {false};
        p->n = 0, p->entropy = 0, p->flops = 5;
        y->ledger.policy_flops += 5;
        if (b->open && p->k) {
            p->tokens[0] = toy_end(&y->world, b->digits) == STEP_FINISHED ? TOY_END : TOY_SEPARATOR;
            p->logprobs[0] = 0, p->n = 1;
            continue;
        }
        for (uint32_t d = 0; d < y->world.width; d++) {
            double x = toy_p_salted(&y->world, b->digits, d, b->salt);
            p->entropy -= (float)(x * log(x));
        }
        for (; p->n < p->k && p->n < y->world.width; p->n++) {
            uint32_t best = 10;
            for (uint32_t d = 0; d < y->world.width; d++)
                if (!taken[d] && (best == 10 || toy_p_salted(&y->world, b->digits, d, b->salt) >
                                                    toy_p_salted(&y->world, b->digits, best, b->salt)))
                    best = d;
            taken[best] = true, p->tokens[p->n] = (int32_t)best;
            p->logprobs[p->n] = (float)log(toy_p_salted(&y->world, b->digits, best, b->salt));
        }
    }
    return s;
}

/* An empty chain under another policy, which what is asked, about what and with which note decide. */
static enum status toy_begin(void *self, struct asking *askings, size_t n, struct error *e) {
    struct toy *y = self;
    enum status s = toy_fault(y, e);
    for (size_t i = 0; i < n && !s; i++) {
        struct asking *a = &askings[i];
        const char *about = a->about ? toy_get(y, a->about, "a prompt about a branch that is not live")->digits : "";
        branch_id id = TOY_ROOT + 1;
        while (id < TOY_BRANCHES && y->branches[id].live) id++;
        if (id == TOY_BRANCHES || (y->cap_branches && y->n_branches >= y->cap_branches)) {
            while (i--) toy_drop(y, &askings[i].branch);
            return error_set(e, ERR_FULL, "toy: out of branches");
        }
        uint64_t salt = 1000 + toy_hash(&y->world, about, 100 + (uint64_t)a->ask);
        for (const char *c = a->note; c && *c; c++) salt = rng_fold(salt, (unsigned char)*c);
        y->branches[id] = (struct toy_branch){.live = true, .salt = salt};
        y->n_branches++;
        a->branch = id, a->n_tokens = 0, a->flops = 0;
    }
    return s;
}

/* Digits in another order have the same sum and the same future answers: the toy world's transpositions. */
static uint64_t toy_state(void *self, branch_id b) {
    const struct toy_branch *x = toy_get(self, b, "state of a branch that is not live");
    uint64_t sum = 0;
    for (uint32_t i = 0; i < x->len; i++) sum += (uint64_t)(x->digits[i] - '0');
    return x->len ? rng_fold(x->len, sum) : 0;
}

static void toy_limit(void *self, const struct limits *l) {
    struct toy *y = self;
    y->limits = l ? *l : (struct limits){0};
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
        b->value_cost = (struct value_cost){2 * (b->len - b->prm_len), 7 * (b->len - b->prm_len), 0};
        b->prm_len = b->len;
        toy_set_kv(y, b, true);
        float v = toy_value(&y->world, b->digits);
        if (y->telling == TELL_RECITED && v == v && value[i] != fminf(1, fmaxf(0, v))) y->misuse = "another value recited";
        value[i] = v;
    }
    return OK;
}

static enum status toy_tell(void *self, enum telling how, struct error *e) {
    (void)e;
    ((struct toy *)self)->telling = how;
    return OK;
}

static struct value_cost toy_value_cost(void *self, branch_id b) {
    return toy_get(self, b, "cost of a branch that is not live")->value_cost;
}

/* The share of right digits; only the best chain is right. */
__attribute__((unused)) static struct feedback toy_check(void *self, branch_id b) {
    struct toy *y = self;
    const char *digits = toy_get(y, b, "check of a branch that is not live")->digits, *best = y->world.best;
    uint32_t right = 0;
    while (digits[right] && digits[right] == best[right]) right++;
    snprintf(y->reason, sizeof y->reason, "%u right", right);
    bool whole = !strcmp(digits, best);
    return (struct feedback){whole ? 1 : 0.9f * (float)right / (float)y->world.depth, y->reason};
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
                               .can = CAN_ALL & ~CAN_CHECK,
                               .limit = toy_limit,
                               .fork = toy_fork,
                               .drop = toy_drop,
                               .evict = toy_evict,
                               .extend = toy_extend,
                               .score = toy_score,
                               .answer = toy_answer,
                               .state = toy_state,
                               .tell = toy_tell,
                               .value_cost = toy_value_cost,
                               .put = toy_put,
                               .propose = toy_propose,
                               .begin = toy_begin};
}

#endif
