/* team.c: spin-then-sleep thread team.
 * Not NUMA-aware.
 * Next: model/forward.c for what it runs. */
#include "base/team.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/mem.h"

enum { MAX_TEAM = 256 };

struct team {
    int n_threads, n_started;
    long n_cpus;
    pthread_t threads[MAX_TEAM];
    struct member {
        struct team *team;
        int index;
    } members[MAX_TEAM];
    /* A run: set by the caller before the generation goes up, read by members after they saw it go up. */
    team_fn *fn;
    void *arg;
    atomic_uint generation, n_left;
    atomic_uint barrier_count, barrier_generation;
    atomic_uint tickets[TEAM_JOBS]; /* by job % TEAM_JOBS; cleared half a round before */
    atomic_bool stop;
    atomic_int n_sleeping; /* raised before a sleeper looks again, read after a change: one of the two sees the other */
    pthread_mutex_t lock;  /* only for sleeping and waking */
    pthread_cond_t wake;
    pthread_mutex_t turn; /* held by the caller of a run */
};

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Waits until *value != old: spins when every member can have its own core (4000 pauses are 100 to 200 us, more
 * than the gap between two passes), then sleeps. */
static void wait_change(struct team *t, atomic_uint *value, unsigned old) {
    int spins = t->n_threads <= t->n_cpus ? 4000 : 16;
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(value, memory_order_acquire) != old) return;
        relax();
    }
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->n_sleeping, 1);
    while (atomic_load(value) == old) pthread_cond_wait(&t->wake, &t->lock);
    atomic_fetch_sub(&t->n_sleeping, 1);
    pthread_mutex_unlock(&t->lock);
}

/* After a change of what others may wait for. */
static void wake_sleepers(struct team *t) {
    if (atomic_load(&t->n_sleeping) == 0) return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

static void advance(struct team *t, atomic_uint *value) {
    atomic_fetch_add(value, 1);
    wake_sleepers(t);
}

static void finish_run(struct team *t) {
    if (atomic_fetch_sub(&t->n_left, 1) == 1) wake_sleepers(t);
}

static void *member_main(void *arg) {
    struct member *m = arg;
    struct team *t = m->team;
    unsigned seen = 0;
    for (;;) {
        wait_change(t, &t->generation, seen);
        seen++;
        if (atomic_load(&t->stop)) return NULL;
        t->fn(t->arg, m->index, t->n_threads);
        finish_run(t);
    }
}

/* What taskset or a container left to this process, not what the machine has. */
static long usable_cpus(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);
}

enum status team_new(int n_threads, struct team **out, struct error *e) {
    *out = NULL;
    if (n_threads < 1 || n_threads > MAX_TEAM)
        return error_set(e, ERR_INPUT, "threads: %d, allowed 1 to %d", n_threads, MAX_TEAM);
    struct team *t = mem_new(1, sizeof *t);
    if (!t) return error_set(e, ERR_MEMORY, "no memory for a team of %d threads", n_threads);
    t->n_threads = n_threads;
    t->n_cpus = usable_cpus();
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    pthread_mutex_init(&t->turn, NULL);
    for (int i = 1; i < n_threads; i++) {
        t->members[i] = (struct member){t, i};
        if (pthread_create(&t->threads[i], NULL, member_main, &t->members[i])) {
            team_free(&t);
            return error_set(e, ERR_MEMORY, "thread %d of %d could not be started; use fewer with -t", i + 1,
                             n_threads);
        }
        t->n_started++;
    }
    *out = t;
    return OK;
}

void team_free(struct team **tp) {
    struct team *t = *tp;
    if (!t) return;
    atomic_store(&t->stop, true);
    advance(t, &t->generation);
    for (int i = 1; i <= t->n_started; i++) pthread_join(t->threads[i], NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    pthread_mutex_destroy(&t->turn);
    mem_free(t);
    *tp = NULL;
}

int team_size(const struct team *t) { return t->n_threads; }

void team_run(struct team *t, team_fn *fn, void *arg) {
    pthread_mutex_lock(&t->turn);
    for (int i = 0; i < TEAM_JOBS; i++) atomic_store_explicit(&t->tickets[i], 0, memory_order_relaxed);
    if (t->n_threads == 1) {
        fn(arg, 0, 1);
        pthread_mutex_unlock(&t->turn);
        return;
    }
    t->fn = fn, t->arg = arg;
    atomic_store_explicit(&t->n_left, (unsigned)t->n_threads, memory_order_relaxed);
    atomic_store_explicit(&t->barrier_count, 0, memory_order_relaxed);
    advance(t, &t->generation);
    fn(arg, 0, t->n_threads);
    finish_run(t);
    unsigned left;
    while ((left = atomic_load_explicit(&t->n_left, memory_order_acquire)) != 0) wait_change(t, &t->n_left, left);
    pthread_mutex_unlock(&t->turn);
}

void team_barrier(struct team *t) {
    if (t->n_threads == 1) return;
    unsigned generation = atomic_load_explicit(&t->barrier_generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&t->barrier_count, 1, memory_order_acq_rel) == (unsigned)t->n_threads - 1) {
        atomic_store_explicit(&t->barrier_count, 0, memory_order_relaxed);
        advance(t, &t->barrier_generation);
    } else {
        wait_change(t, &t->barrier_generation, generation);
    }
}

void team_job(struct team *t, unsigned job) {
    atomic_store_explicit(&t->tickets[(job + TEAM_JOBS / 2) % TEAM_JOBS], 0, memory_order_relaxed);
}

unsigned team_ticket(struct team *t, unsigned job) {
    return atomic_fetch_add_explicit(&t->tickets[job % TEAM_JOBS], 1, memory_order_relaxed);
}
