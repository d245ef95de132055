/* sample.c: biases and penalties, greedy, temperature, top-k, typical, top-p, min-p, and the draw.
 * Not a sort: top-k and top-p select, which is linear in the vocabulary.
 * Next: engine.h, whose outputs this reads.
 *
 * Tokens are ranked by logit, ties by lower id.  Every filter keeps a front part of that ranking, so all filters together
 * come down to one last token.  The draw always walks the kept tokens in order of id, so a filter that drops nothing
 * changes nothing.  Typical tokens are no front part, and a chain in another order is none either: their way is the last
 * part of this file, plainer and slower. */
#include "model/sample.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "ops/ops.h"

enum { BLOCK = 64, LANES = 4, SLICES = 256 };

/* Sum in double, in a fixed order that vectorises. */
static double block_sum(const float *w, size_t n) {
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += w[i + l];
    for (size_t l = 0; i < n; i++, l++) lane[l] += w[i];
    return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

static double total_of(const float *w, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i += BLOCK) sum += block_sum(w + i, n - i < BLOCK ? n - i : BLOCK);
    return sum;
}

/* The first index whose cumulative weight exceeds u * total: whole blocks first, with the very sums of total_of, then
 * inside one block.  Rounding can carry past the end; the last positive weight takes it. */
static size_t draw(const float *w, size_t n, double total, double u) {
    double target = u * total, sum = 0;
    size_t i = 0;
    for (; i < n; i += BLOCK) {
        double block = block_sum(w + i, n - i < BLOCK ? n - i : BLOCK);
        if (sum + block > target) break;
        sum += block;
    }
    for (; i < n; i++) {
        sum += w[i];
        if (sum > target) return i;
    }
    for (i = n - 1; i > 0 && !(w[i] > 0);) i--;
    return i;
}

static bool ranks_before(const float *logits, int32_t a, int32_t b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}

static void swap_ids(int32_t *a, int32_t *b) {
    int32_t t = *a;
    *a = *b, *b = t;
}

/* Puts the median of first, middle and last at the end: sorted and all-equal input then split in halves. */
static int32_t move_pivot(const float *logits, int32_t *ids, size_t n) {
    int32_t *a = &ids[0], *b = &ids[n / 2], *c = &ids[n - 1];
    if (ranks_before(logits, *b, *a)) swap_ids(a, b);
    if (ranks_before(logits, *b, *c)) swap_ids(b, c); /* now c is before or at b, a before b */
    if (ranks_before(logits, *c, *a)) swap_ids(a, c);
    return *c;
}

/* Reorders ids so that the shortest front part of the ranking whose weight reaches `need` stands first; returns its
 * length, at least 1.  The weight of an id is w[id], or 1 without w.  Quickselect that sums what it steps over. */
static size_t select_front(const float *logits, const float *w, int32_t *ids, size_t n, double need) {
    size_t low = 0, high = n; /* ids before low are in; the answer is in [low + 1, high] */
    while (high - low > 1) {
        int32_t pivot = move_pivot(logits, ids + low, high - low);
        size_t mid = low;
        double weight = 0; /* of the ids that rank before the pivot */
        for (size_t i = low; i < high - 1; i++)
            if (ranks_before(logits, ids[i], pivot)) {
                weight += w ? w[ids[i]] : 1;
                swap_ids(&ids[mid++], &ids[i]);
            }
        swap_ids(&ids[mid], &ids[high - 1]);
        if (mid > low && weight >= need) {
            high = mid;
            continue;
        }
        need -= weight + (w ? w[pivot] : 1);
        low = mid + 1;
        if (need <= 0) return low;
    }
    return high;
}

/* The largest of block i / BLOCK: what is below a bound is passed over 64 tokens at a time. */
static float block_max(const float *x, uint32_t i, uint32_t n) {
    return ops_get()->max(x + i, n - i < BLOCK ? n - i : BLOCK);
}

/* Writes the ids with at least this weight that do not rank after `last` (-1: no last), ascending; returns how many. */
static uint32_t collect(const float *logits, const float *w, uint32_t n, float least, int32_t last, int32_t *ids) {
    uint32_t n_kept = 0;
    for (uint32_t block = 0; block < n; block += BLOCK) {
        if (last >= 0 && block_max(logits, block, n) < logits[last]) continue;
        if (least > 0 && block_max(w, block, n) < least) continue;
        for (uint32_t i = block; i < n && i < block + BLOCK; i++) {
            bool kept = w[i] >= least && (last < 0 || !ranks_before(logits, last, (int32_t)i));
            ids[n_kept] = (int32_t)i;
            n_kept += kept;
        }
    }
    return n_kept;
}

static int32_t last_ranked(const float *logits, const int32_t *ids, size_t n) {
    int32_t last = ids[0];
    for (size_t i = 1; i < n; i++)
        if (ranks_before(logits, last, ids[i])) last = ids[i];
    return last;
}

/* The k best ids to the front of ids, in no order.  Each block has a leader, its best; the k best tokens are in the blocks
 * of the k best leaders, and what is left to select from is short. */
static size_t select_k(const float *logits, uint32_t n, uint32_t k, int32_t *ids) {
    uint32_t n_blocks = (n + BLOCK - 1) / BLOCK, n_near = 0;
    if (n_blocks + (uint64_t)k * BLOCK > n) {
        for (uint32_t i = 0; i < n; i++) ids[i] = (int32_t)i;
        return select_front(logits, NULL, ids, n, k);
    }
    for (uint32_t b = 0; b < n_blocks; b++) {
        float max = block_max(logits, b * BLOCK, n);
        ids[b] = (int32_t)(b * BLOCK);
        while (logits[ids[b]] != max) ids[b]++;
    }
    select_front(logits, NULL, ids, n_blocks, k);
    int32_t *near = ids + n_blocks, bound = last_ranked(logits, ids, k);
    for (uint32_t b = 0; b < k; b++) {
        uint32_t begin = (uint32_t)ids[b] / BLOCK * BLOCK;
        for (uint32_t i = begin; i < n && i < begin + BLOCK; i++) {
            near[n_near] = (int32_t)i;
            n_near += !ranks_before(logits, bound, (int32_t)i);
        }
    }
    memmove(ids, near, n_near * sizeof *ids);
    return select_front(logits, NULL, ids, n_near, k);
}

/* Distance from the largest logit, in sixteenths, the last one for all the rest. */
static int slice_of(float logit, float max) {
    float distance = (max - logit) * 16;
    return distance < SLICES - 1 ? (int)distance : SLICES - 1;
}

/* The token with which the ranking reaches this weight.  The slice in which that happens is found by adding up all of
 * them, so that only its tokens are selected from. */
static int32_t last_of_mass(const float *logits, const float *w, uint32_t n, float max, double need, int32_t *ids) {
    double mass[LANES][SLICES] = {{0}}; /* lanes: a sum need not wait for the one before it */
    for (uint32_t i = 0; i < n; i++) mass[i % LANES][slice_of(logits[i], max)] += w[i];
    int slice = 0, last = 0;
    for (; slice < SLICES; slice++) {
        double sum = (mass[0][slice] + mass[2][slice]) + (mass[1][slice] + mass[3][slice]);
        if (sum > 0) last = slice;
        if (sum >= need) break;
        need -= sum;
    }
    if (slice == SLICES) slice = last, need = INFINITY; /* rounding: then all that weigh anything */
    uint32_t n_in = 0;
    for (uint32_t block = 0; block < n; block += BLOCK) {
        if (slice_of(block_max(logits, block, n), max) > slice) continue;
        for (uint32_t i = block; i < n && i < block + BLOCK; i++) {
            ids[n_in] = (int32_t)i;
            n_in += slice_of(logits[i], max) == slice;
        }
    }
    return last_ranked(logits, ids, select_front(logits, w, ids, n_in, need));
}

/* The last token in the ranking that top-k and top-p keep, or -1 for all.  w: probabilities times `total`. */
static int32_t last_kept(const struct sample_params *s, const float *logits, const float *w, uint32_t n, float max,
                         double total, int32_t *ids) {
    double p = fmaxf(s->top_p, 0), mass = 0;
    if (s->top_k == 0 || s->top_k >= n) return s->top_p < 1 ? last_of_mass(logits, w, n, max, p * total, ids) : -1;
    size_t n_kept = select_k(logits, n, s->top_k, ids);
    for (size_t i = 0; i < n_kept; i++) mass += w[ids[i]];
    if (s->top_p < 1) n_kept = select_front(logits, w, ids, n_kept, p * mass);
    return last_ranked(logits, ids, n_kept);
}

/* w[i] = (weight w at temperature 1 of ids[i], or of i without ids) at the wanted temperature. */
static void set_weights(float *w, const float *logits, float max, float temperature, const int32_t *ids, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) w[i] = logits[ids ? (uint32_t)ids[i] : i] - max;
    /* An infinite or zero factor would make NaN of the differences 0 and -inf. */
    ops_get()->exp_sum(w, w, fminf(fmaxf(1 / temperature, FLT_MIN), FLT_MAX), 0, n);
}

/* A chain of filters on a list of tokens. */
struct chain {
    const float *logits; /* [n_vocab] */
    float *w;            /* [n_vocab] weights by id, 1 for the best of the list */
    int32_t *ids;        /* [n] the list, in no order */
    uint32_t n, n_vocab;
    float temperature;
    double mass; /* of the list */
};

static float best_logit(const struct chain *c) {
    float best = c->logits[c->ids[0]];
    for (uint32_t i = 1; i < c->n; i++) best = fmaxf(best, c->logits[c->ids[i]]);
    return best;
}

static void weigh(struct chain *c) {
    set_weights(c->w, c->logits, best_logit(c), c->temperature, NULL, c->n_vocab);
    c->mass = 0;
    for (uint32_t i = 0; i < c->n; i++) c->mass += c->w[c->ids[i]];
}

/* The mass of the list within this distance of the centre; with `keep` all others leave it. */
static double near(struct chain *c, float centre, float distance, bool keep) {
    double mass = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        if (!(fabsf(c->logits[c->ids[i]] - centre) <= distance)) continue;
        mass += c->w[c->ids[i]];
        if (keep) c->ids[n++] = c->ids[i];
    }
    if (keep) c->n = n;
    return mass;
}

/* The least distance with the wanted mass: bisection over the floats, whose bits count upwards as they do. */
static void keep_typical(struct chain *c, double p) {
    double centre = 0;
    uint32_t low = 0, high = 0x7f800000; /* infinity */
    float distance;
    for (uint32_t i = 0; i < c->n; i++)
        if (c->w[c->ids[i]] > 0) centre += c->w[c->ids[i]] / c->mass * c->logits[c->ids[i]];
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        memcpy(&distance, &mid, sizeof distance);
        if (near(c, (float)centre, distance, false) >= p * c->mass) high = mid;
        else low = mid + 1;
    }
    memcpy(&distance, &high, sizeof distance);
    near(c, (float)centre, distance, true);
}

static void keep_likely(struct chain *c, float least) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++)
        if (c->w[c->ids[i]] >= least) c->ids[n++] = c->ids[i];
    c->n = n;
}

static void apply_filter(const struct sample_params *s, char letter, struct chain *c) {
    uint32_t k = letter == 't' ? !(s->temperature > 0) : letter == 'k' ? s->top_k : 0; /* temperature 0 keeps one */
    if (k && k < c->n) c->n = (uint32_t)select_front(c->logits, NULL, c->ids, c->n, k);
    if (letter == 't' && s->temperature > 0) c->temperature *= s->temperature;
    weigh(c);
    if (letter == 'y' && s->typical_p > 0 && s->typical_p < 1) keep_typical(c, s->typical_p);
    if (letter == 'p' && s->top_p < 1)
        c->n = (uint32_t)select_front(c->logits, c->w, c->ids, c->n, fmaxf(s->top_p, 0) * c->mass);
    if (letter == 'm' && s->min_p > 0) keep_likely(c, fminf(s->min_p, 1));
}

static void filter_chain(const struct sample_params *s, const float *logits, uint32_t n_vocab,
                         struct sample_scratch *scratch, struct sample_distribution *d) {
    struct chain c = {logits, scratch->p, scratch->ids, 0, n_vocab, 1, 0};
    for (uint32_t i = 0; i < n_vocab; i++)
        if (logits[i] > -INFINITY) c.ids[c.n++] = (int32_t)i;
    for (const char *letter = s->chain ? s->chain : "kypmt"; *letter; letter++) apply_filter(s, *letter, &c);
    float best = best_logit(&c);
    for (uint32_t i = 0; i < n_vocab; i++) c.w[i] = 0; /* a mark by id puts the list into ascending order */
    for (uint32_t i = 0; i < c.n; i++) c.w[c.ids[i]] = 1;
    d->n = 0, d->ids = c.ids;
    for (uint32_t i = 0; i < n_vocab; i++)
        if (c.w[i] > 0) d->ids[d->n++] = (int32_t)i;
    set_weights(c.w, logits, best, c.temperature, d->ids, d->n);
    d->mass = total_of(c.w, d->n);
}

bool sample_distribution(const struct sample_params *s, const float *logits, uint32_t n_vocab,
                         struct sample_scratch *scratch, struct sample_distribution *d) {
    assert(n_vocab <= INT32_MAX);
    float *w = scratch->p, max = ops_get()->max(logits, n_vocab);
    if (!isfinite(max)) return false;
    if (isnan(ops_get()->exp_sum(w, logits, 1, max, n_vocab))) return false; /* max passes over NaN, the sum does not */
    double total = total_of(w, n_vocab);
    *d = (struct sample_distribution){.w = w, .n = n_vocab, .mass = total, .max = max, .total = total};
    if (s->chain || (s->typical_p > 0 && s->typical_p < 1)) return filter_chain(s, logits, n_vocab, scratch, d), true;
    if (!(s->temperature > 0)) {
        int32_t id = 0;
        while (logits[id] != max) id++;
        d->ids = scratch->ids, d->ids[0] = id;
        d->w[0] = 1, d->n = 1, d->mass = 1;
        return true;
    }
    if (s->top_k > 0 || s->top_p < 1 || s->min_p > 0) {
        float least = fminf(fmaxf(s->min_p, 0), 1); /* the largest weight is 1 and stays */
        int32_t last = last_kept(s, logits, w, n_vocab, max, total, scratch->ids);
        d->ids = scratch->ids;
        d->n = collect(logits, w, n_vocab, least, last, d->ids);
    }
    if (d->ids || s->temperature != 1) {
        set_weights(w, logits, max, s->temperature, d->ids, d->n);
        d->mass = total_of(w, d->n);
    }
    return true;
}

int32_t sample_draw(const struct sample_distribution *d, double u) {
    size_t i = draw(d->w, d->n, d->mass, u);
    return d->ids ? d->ids[i] : (int32_t)i;
}

double sample_probability(const struct sample_distribution *d, int32_t id) {
    uint32_t low = 0, high = d->n; /* the place of id is in [low, high) */
    if (!d->ids) return d->w[id] / d->mass;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (d->ids[mid] <= id) low = mid;
        else high = mid;
    }
    return d->ids[low] == id ? d->w[low] / d->mass : 0;
}

float sample_logprob(const struct sample_distribution *d, const float *logits, int32_t id) {
    return (float)((double)logits[id] - d->max - log(d->total));
}

int32_t sample_token(const struct sample_params *s, const float *logits, uint32_t n_vocab, uint64_t key,
                     uint64_t counter, struct sample_scratch *scratch, float *logprob) {
    struct sample_distribution d;
    if (!sample_distribution(s, logits, n_vocab, scratch, &d)) return -1;
    int32_t id = sample_draw(&d, rng_uniform(key, counter));
    if (logprob) *logprob = sample_logprob(&d, logits, id);
    return id;
}

void sample_add_bias(const struct sample_bias *bias, size_t n, float *logits, uint32_t n_vocab) {
    for (size_t i = 0; i < n; i++)
        if ((uint32_t)bias[i].id < n_vocab) logits[bias[i].id] += bias[i].bias;
}

/* Only the counts of recent tokens are touched: a large vocabulary costs nothing. */
void sample_penalize(const struct sample_penalties *p, const int32_t *recent, size_t n, int32_t *counts, float *logits,
                     uint32_t n_vocab) {
    if (p->repeat == 1 && p->presence == 0 && p->frequency == 0) return;
    for (size_t i = 0; i < n; i++)
        if ((uint32_t)recent[i] < n_vocab) counts[recent[i]] = 0;
    for (size_t i = 0; i < n; i++)
        if ((uint32_t)recent[i] < n_vocab) counts[recent[i]]++;
    for (size_t i = 0; i < n; i++) {
        int32_t id = recent[i];
        if ((uint32_t)id >= n_vocab || !counts[id]) continue; /* done at its first occurrence */
        float x = logits[id];
        x = x > 0 ? x / p->repeat : x * p->repeat;
        logits[id] = x - ((float)counts[id] * p->frequency + p->presence);
        counts[id] = 0;
    }
}
