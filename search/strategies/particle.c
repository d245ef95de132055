/* particle.c: particle filtering (Puri et al. 2025): after each step all particles are drawn again by weight = odds of their value; and
 * particle Gibbs, which repeats this with one chain of the last sweep kept in the population.
 * Not a ranking: weak particles survive now and then, which is the point.
 * Next: mcts.c, which can come back to a step it left. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "search/search_internal.h"

enum scheme { MULTINOMIAL, SYSTEMATIC };
struct particle_params {
    uint32_t resample; /* enum scheme */
    float ess;         /* draw again when the effective number of particles is at most this share of all */
    uint32_t sweeps;
    struct usual_params usual;
};

enum { PARTICLES = 16 };

struct filter {
    struct run *r;
    const struct particle_params *p;
    struct wave w;
    uint32_t *count; /* [2 cap] particles on each of the next nodes, then on each tip */
    double *edge;    /* [2 cap] scratch: sums of weights */
    uint32_t *path;  /* [max_depth + 1] nodes of the chain that is kept, by depth; 0: none */
    uint64_t draws;  /* random numbers used */
};

static double uniform(struct filter *f) { return rng_uniform(rng_fold(~f->r->common->seed, 0), f->draws++); }

/* Odds of the value: exp(logit). */
static double weight(const struct filter *f, uint32_t u) {
    double v = fmin(fmax((double)f->r->t->nodes[u].value, 1e-7), 1 - 1e-7);
    return v / (1 - v);
}

/* (sum of weights)^2 / sum of squared weights: as many equal particles would be worth as much. */
static double effective(const struct filter *f) {
    double sum = 0, squares = 0;
    for (uint32_t j = 0; j < f->w.n_next; j++) {
        double x = weight(f, f->w.next[j]);
        sum += f->count[j] * x, squares += f->count[j] * x * x;
    }
    return squares > 0 ? sum * sum / squares : 0;
}

/* n particles drawn from the population by weight: independently, or at n equal distances behind one random start. */
static void resample(struct filter *f, uint32_t n) {
    double sum = 0, start = f->p->resample == SYSTEMATIC ? uniform(f) : 0;
    for (uint32_t j = 0; j < f->w.n_next; j++) {
        f->edge[j] = sum += f->count[j] * weight(f, f->w.next[j]);
        f->count[j] = 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        double at = sum * (f->p->resample == SYSTEMATIC ? (start + i) / n : uniform(f));
        uint32_t j = 0;
        while (j + 1 < f->w.n_next && f->edge[j] <= at) j++;
        f->count[j]++;
    }
}

/* The kept chain's node in this round: by depth, and its last one from then on. */
static uint32_t kept_node(const struct filter *f, uint32_t depth) {
    while (depth && !f->path[depth]) depth--;
    return f->path[depth];
}

/* The kept chain always has a particle of its own. */
static void add_kept(struct filter *f, uint32_t kept) {
    struct wave *w = &f->w;
    uint32_t j = 0;
    while (j < w->n_next && w->next[j] != kept) j++;
    if (j == w->n_next) w->next[w->n_next++] = kept, f->count[j] = 0;
    f->count[j]++;
}

/* Particles of the next round: those of next that still have any.  The kept chain's own one goes on along its chain. */
static void take_particles(struct filter *f, uint32_t kept) {
    struct wave *w = &f->w;
    w->n = 0;
    for (uint32_t j = 0; j < w->n_next; j++) {
        uint32_t u = w->next[j];
        bool open = !(f->r->t->nodes[u].flags & NODE_TERMINAL);
        if (!f->count[j] && open && !f->r->on.keep) wave_prune(f->r, u);
        if (!f->count[j]) continue;
        f->count[w->n] = f->count[j];
        w->share[w->n] = open ? f->count[j] - (u == kept) : 0;
        w->tips[w->n++] = u;
    }
}

/* One sweep: all particles from the prompt to their ends. */
static enum status sweep(struct filter *f) {
    struct run *r = f->r;
    struct wave *w = &f->w;
    enum status s = OK;
    w->n = 1, w->tips[0] = 0, w->share[0] = w->cap - (f->path[1] && w->cap > 1);
    for (uint32_t depth = 1; wave_is_open(r, w) && run_go(r); depth++) {
        if ((s = wave_grow(r, w)) || r->stopped) break;
        /* A complete particle keeps its count; every step made is one particle. */
        for (uint32_t j = w->n_next; j-- > 0;)
            f->count[j] = w->next[j] == w->tips[w->from[j]] ? f->count[w->from[j]] : 1;
        uint32_t n = (uint32_t)run_round(r, w->cap, depth), alive = 0;
        const uint32_t last = depth < r->common->max_depth ? depth : r->common->max_depth;
        uint32_t kept = w->cap > 1 ? kept_node(f, last) : 0; /* a single particle leaves it no place */
        for (uint32_t j = 0; j < w->n_next; j++) alive += f->count[j];
        if (w->n_next && (alive < n || effective(f) <= (double)f->p->ess * n)) resample(f, n - (kept && n > 1));
        if (kept) add_kept(f, kept);
        take_particles(f, kept);
    }
    return s;
}

/* The chain kept for the next sweep: one of this sweep's complete particles by weight. */
static void keep_one(struct filter *f) {
    struct wave *w = &f->w;
    double sum = 0, at = uniform(f);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->n; i++)
        if (f->r->t->nodes[w->tips[i]].flags & NODE_FINISHED) sum += f->count[i] * weight(f, w->tips[i]);
    at *= sum;
    for (uint32_t i = 0; i < w->n && at >= 0; i++)
        if (f->r->t->nodes[w->tips[i]].flags & NODE_FINISHED) kept = w->tips[i], at -= f->count[i] * weight(f, kept);
    memset(f->path, 0, ((size_t)f->r->common->max_depth + 1) * sizeof *f->path);
    for (uint32_t u = kept; u; u = f->r->t->nodes[u].parent) f->path[f->r->t->nodes[u].depth] = u;
}

static enum status particle_run(struct run *r, const void *params) {
    struct filter f = {.r = r, .p = params};
    enum status s = wave_open(r, &f.w, &f.p->usual, PARTICLES, 1);
    f.count = mem_new(2 * (size_t)f.w.cap + 1, sizeof *f.count);
    f.edge = mem_new(2 * (size_t)f.w.cap + 1, sizeof *f.edge);
    f.path = mem_new((size_t)r->common->max_depth + 1, sizeof *f.path);
    if (!s && (!f.count || !f.edge || !f.path)) s = error_set(r->e, ERR_MEMORY, "no memory for %u particles", f.w.cap);
    r->on.keep |= f.p->sweeps > 1; /* later sweeps branch off the chain that is kept */
    for (uint32_t i = 0; !s && i < f.p->sweeps && !r->stopped; i++) {
        s = sweep(&f);
        if (!s) keep_one(&f);
    }
    mem_free(f.count), mem_free(f.edge), mem_free(f.path);
    wave_close(&f.w);
    return s;
}

static struct search_room particle_room(const struct search_params *common, const void *params) {
    const struct particle_params *p = params;
    struct search_params all = *common;
    if (p->sweeps == 1) return wave_room(common, &p->usual, PARTICLES);
    all.budget.simulations *= p->sweeps;
    struct search_room room = wave_room(&all, &p->usual, PARTICLES);
    room.branches = room.nodes;
    return room;
}

/* clang-format off */
static const struct param particle_params[] = {
    {"resample", "how particles are drawn", PARAM_CHOICE, offsetof(struct particle_params, resample), 0, 0, "multinomial|systematic"},
    {"ess", "draw when the effective number of particles is at most this share of all", PARAM_REAL, offsetof(struct particle_params, ess), 0, 1, NULL},
    USUAL_PARAMS(struct particle_params, usual),
    {0},
};
static const struct param gibbs_params[] = {
    {"sweeps", "how often all particles start again, one chain being kept", PARAM_COUNT, offsetof(struct particle_params, sweeps), 1, 1024, NULL},
    {"resample", "how particles are drawn", PARAM_CHOICE, offsetof(struct particle_params, resample), 0, 0, "multinomial|systematic"},
    USUAL_PARAMS(struct particle_params, usual),
    {0},
};
/* clang-format on */
static const struct particle_params once = {.resample = SYSTEMATIC, .ess = 1, .sweeps = 1, .usual = USUAL(PICK_BEST)};
static const struct particle_params gibbs = {.resample = SYSTEMATIC, .ess = 1, .sweeps = 4, .usual = USUAL(PICK_BEST)};

const struct strategy strategy_particle = {
    .name = "particle",
    .summary = "particle filter: after each step the chains are drawn again by their values",
    .source = "Puri et al. 2025, arXiv 2502.01618",
    .unit = "particles",
    .needs = CAN_VALUE,
    .simulations = {16, 8},
    .params = particle_params,
    .defaults = &once,
    .size = sizeof once,
    .room = particle_room,
    .run = particle_run,
};

const struct strategy strategy_gibbs = {
    .name = "gibbs",
    .summary = "particle Gibbs: sweeps of a particle filter, each beside one chain of the last",
    .source = "Andrieu, Doucet, Holenstein 2010; Puri et al. 2025, arXiv 2502.01618",
    .unit = "particles of a sweep",
    .needs = CAN_VALUE,
    .simulations = {8, 4},
    .params = gibbs_params,
    .defaults = &gibbs,
    .size = sizeof gibbs,
    .room = particle_room,
    .run = particle_run,
};
