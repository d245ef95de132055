/* pace.c: see pace.h.
 * Not a clock: the caller measures.
 * Next: forward.c. */
#include "model/pace.h"

enum {
    TRY_SHARE = 50, /* of the time that a try lost to the best way, so many times must pass until the next try */
    TRY_SOON = 64,  /* and at least so many passes */
    TRY_PASSES = 3, /* of a try: the first wakes threads and is not counted; a bad second one ends it */
    STALL = 4,      /* a pass counts at most so many times the usual: a machine that stopped says nothing of a way */
    WORST = 16,     /* and has lost at most so many times the usual */
    SMOOTH = 8,     /* passes over which a way's time is smoothed */
    QUICK_PASS_NS = 2000000, /* passes up to here try all ways at once; for longer ones that would be felt */
    FEW_ROWS = 16, /* passes of fewer rows decode: there the wrong way may cost twenty times its time, so that */
    UNKNOWN_NS = 100000000 /* a way that is not known is tried so soon; a prompt would feel the try */
};

static unsigned size_of(uint32_t n_rows) {
    unsigned i = 0;
    while (i < PACE_SIZES - 1 && n_rows >> (i + 1)) i++;
    return i;
}

/* The way that was not tried for the longest time, the best one apart. */
static enum way other_of(const struct pace_size *s, bool branches) {
    int other = -1;
    for (int w = 0; w < N_WAYS; w++)
        if (w != (int)s->best && (branches || w != WAY_BRANCHES) && (other < 0 || s->tried[w] < s->tried[other]))
            other = w;
    return (enum way)other;
}

enum way pace_choose(const struct pace *p, uint32_t n_rows, bool branches, enum way first) {
    const struct pace_size *s = &p->sizes[branches][size_of(n_rows)];
    if (!s->n) return first;
    if (s->n_try) return s->way;
    const enum way other = other_of(s, branches);
    const bool unknown = s->ns[other] == 0 && n_rows * s->ns[s->best] <= QUICK_PASS_NS;
    return s->rest > 0 && !unknown ? s->best : other;
}

/* The best so far, unless another one is clearly better. */
static enum way best_of(const struct pace_size *s) {
    enum way best = s->best;
    for (int w = 0; w < N_WAYS; w++)
        if (s->ns[w] > 0 && (s->ns[best] == 0 || s->ns[w] < 0.95 * s->ns[best])) best = (enum way)w;
    return best;
}

static double least(double a, double b) { return a < b ? a : b; }

/* One more pass of a try: true when it is over, and ns[way] known. */
static bool learn_try(struct pace_size *s, enum way way, double took, double usual) {
    if (s->n_try == 0) s->way = way, s->lost = s->sum = 0;
    else s->sum += least(took, STALL * usual);
    s->lost += least(took - usual, WORST * usual);
    if (++s->n_try < TRY_PASSES && s->sum < STALL * usual) return false;
    s->ns[way] = s->sum / (s->n_try - 1); /* what is old counts for nothing */
    s->n_try = 0;
    return true;
}

void pace_learn(struct pace *p, uint32_t n_rows, bool branches, enum way way, uint64_t ns) {
    struct pace_size *s = &p->sizes[branches][size_of(n_rows)];
    const double took = ((double)ns + 1) / n_rows;
    if (s->n == 0) s->best = way, s->ns[way] = took; /* until it has had its try */
    const double usual = s->ns[s->best];
    s->tried[way] = ++s->n;
    if (s->n_try || way != s->best || s->n == 1) {
        if (!learn_try(s, way, took, usual)) return;
        s->rest = n_rows * (s->lost * TRY_SHARE > usual * TRY_SOON ? s->lost * TRY_SHARE : usual * TRY_SOON);
    } else {
        s->rest -= (double)ns;
        s->ns[way] += (least(took, STALL * usual) - usual) / SMOOTH;
    }
    const enum way best = best_of(s);
    if (best != s->best) s->rest = n_rows * s->ns[best] * TRY_SOON;
    s->best = best;
    if (n_rows < FEW_ROWS && s->ns[other_of(s, branches)] == 0 && s->rest > UNKNOWN_NS) s->rest = UNKNOWN_NS;
}
