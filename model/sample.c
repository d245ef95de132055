/* sample.c: biases and penalties, greedy, temperature, top-k, top-p, min-p, and the draw.
 * Not a sort: top-k and top-p select, which is linear in the vocabulary.
 * Next: engine.h, whose outputs this reads.
 *
 * Tokens are ranked by logit, ties by lower id.  Every filter keeps a front part of that ranking, so all filters together
 * come down to one last token.  The draw always walks the kept tokens in order of id, so a filter that drops nothing
 * changes nothing. */
#include "model/sample.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "base/rng.h"
#include "ops/ops.h"

enum { BLOCK = 64, LANES = 4 };

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

/* Writes the ids with at least this weight that do not rank after `last` (-1: no last), ascending; returns how many. */
static uint32_t collect(const float *logits, const float *w, uint32_t n, float least, int32_t last, int32_t *ids) {
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool kept = w[i] >= least && (last < 0 || !ranks_before(logits, last, (int32_t)i));
        ids[n_kept] = (int32_t)i;
        n_kept += kept;
    }
    return n_kept;
}

static int32_t last_ranked(const float *logits, const int32_t *ids, size_t n) {
    int32_t last = ids[0];
    for (size_t i = 1; i < n; i++)
        if (ranks_before(logits, last, ids[i])) last = ids[i];
    return last;
}

/* The k best ids to the front of ids, in no order.  The best k of the block leaders are k tokens, so nothing that ranks
 * after all of them is among the k best; what is left to select from is short. */
static size_t select_k(const float *logits, const float *w, uint32_t n, uint32_t k, int32_t *ids) {
    int32_t bound = -1;
    uint32_t n_blocks = 0;
    for (uint32_t i = 0; i < n; i++)
        if (i % BLOCK == 0) ids[n_blocks++] = (int32_t)i;
        else if (logits[i] > logits[ids[n_blocks - 1]]) ids[n_blocks - 1] = (int32_t)i;
    if (k < n_blocks) bound = last_ranked(logits, ids, select_front(logits, NULL, ids, n_blocks, k));
    return select_front(logits, NULL, ids, collect(logits, w, n, 0, bound, ids), k);
}

/* The last token in the ranking that top-k and top-p keep, or -1 for all.  w: probabilities times `total`. */
static int32_t last_kept(const struct sample_params *s, const float *logits, const float *w, uint32_t n, double total,
                         int32_t *ids) {
    bool top_k = s->top_k > 0 && s->top_k < n, top_p = s->top_p < 1;
    double p = fmaxf(s->top_p, 0), mass = 0;
    size_t n_kept = n;
    if (!top_k && !top_p) return -1;
    if (top_k) {
        n_kept = select_k(logits, w, n, s->top_k, ids);
        for (size_t i = 0; i < n_kept; i++) mass += w[ids[i]];
    } else {
        /* Tokens below this weigh less than half of 1 - p together, so the set is complete without them. */
        n_kept = collect(logits, w, n, (float)(0.5 * (1 - p) * total / n), -1, ids);
        mass = total;
    }
    if (top_p) n_kept = select_front(logits, w, ids, n_kept, p * mass);
    return last_ranked(logits, ids, n_kept);
}

/* w[i] = (weight w at temperature 1 of ids[i], or of i without ids) at the wanted temperature. */
static void set_weights(float *w, const float *logits, float max, float temperature, const int32_t *ids, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) w[i] = logits[ids ? (uint32_t)ids[i] : i] - max;
    /* An infinite or zero factor would make NaN of the differences 0 and -inf. */
    ops_get()->exp_sum(w, w, fminf(fmaxf(1 / temperature, FLT_MIN), FLT_MAX), 0, n);
}

int32_t sample_token(const struct sample_params *s, const float *logits, uint32_t n_vocab, uint64_t key,
                     uint64_t counter, struct sample_scratch *scratch, float *logprob) {
    assert(n_vocab <= INT32_MAX);
    float *w = scratch->p, max = ops_get()->max(logits, n_vocab);
    if (!isfinite(max)) return -1;
    if (isnan(ops_get()->exp_sum(w, logits, 1, max, n_vocab))) return -1; /* max passes over NaN, the sum does not */
    double total = total_of(w, n_vocab), mass = total;

    int32_t id = 0;
    if (!(s->temperature > 0)) {
        while (logits[id] != max) id++;
    } else {
        bool filtered = s->top_k > 0 || s->top_p < 1 || s->min_p > 0;
        int32_t *ids = filtered ? scratch->ids : NULL;
        uint32_t n = n_vocab;
        if (filtered) {
            float least = fminf(fmaxf(s->min_p, 0), 1); /* the largest weight is 1 and stays */
            n = collect(logits, w, n_vocab, least, last_kept(s, logits, w, n_vocab, total, ids), ids);
        }
        if (filtered || s->temperature != 1) {
            set_weights(w, logits, max, s->temperature, ids, n);
            mass = total_of(w, n);
        }
        id = (int32_t)draw(w, n, mass, rng_uniform(key, counter));
        if (ids) id = ids[id];
    }
    if (logprob) *logprob = (float)((double)logits[id] - max - log(total));
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
