/* micro.c: what search costs below the model: forks, one decoding step of many branches, and how much of that step is not
 * matrix multiplication.
 * Not a comparison with other programs.
 * Next: model/engine.c, model/kv.c.
 *
 * Rows on stdout, one JSON object a line.  Each time is the median of many runs; matmul and step are timed in turn, so that
 * both see the same machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/engine.h"
#include "model/sample.h"
#include "weights/embedded.h"

enum { ROUNDS = 208, STEP_TOKENS = 8, MAX_BRANCHES = 64 }; /* a search forks about once in 8 tokens */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n) {
    qsort(v, n, sizeof *v, by_value);
    return v[n / 2];
}

static void die(const struct error *e) {
    fprintf(stderr, "bench: %s\n", e->text);
    exit(1);
}

/* The multiplications of one step of n branches, split over the team as the forward pass splits branches. */
struct matmuls {
    const struct model *m;
    uint32_t n;
    float *x, *y; /* [n, widest], [n, widest] */
    size_t widest;
};

static void matmul_part(void *arg, int index, int count) {
    const struct matmuls *w = arg;
    const struct ops *ops = ops_get();
    uint32_t lo = w->n * (uint32_t)index / (uint32_t)count, hi = w->n * (uint32_t)(index + 1) / (uint32_t)count;
    if (lo == hi) return;
    float *x = w->x + lo * w->widest, *y = w->y + lo * w->widest;
    for (uint32_t l = 0; l < w->m->config.n_layer; l++) {
        const struct layer *a = &w->m->layers[l];
        const struct matrix *all[] = {&a->q, &a->k, &a->v, &a->out, &a->gate, &a->up, &a->down};
        for (int i = 0; i < 7; i++)
            ops->matmul(y, w->widest, &all[i]->panels, 0, all[i]->rows, x, w->widest, NULL, 0, hi - lo);
    }
    const struct matrix *h = &w->m->head;
    ops->matmul(y, w->widest, &h->panels, 0, h->rows, x, w->widest, NULL, 0, hi - lo);
}

/* One decoding step of n branches with sampling, against its multiplications alone. */
static void bench_step(struct engine *en, struct team *team, uint32_t trunk, uint32_t n, const char *tail) {
    const struct model *m = engine_model(en);
    uint32_t v = engine_n_out(en), seqs[MAX_BRANCHES];
    int32_t tokens[MAX_BRANCHES];
    struct span spans[MAX_BRANCHES];
    double step[ROUNDS], mul[ROUNDS];
    struct matmuls w = {.m = m, .n = n, .widest = v > m->config.n_ff ? v : m->config.n_ff};
    float *logits = mem_new((size_t)n * v, sizeof(float));
    struct sample_scratch scratch = {mem_new(v, sizeof(float)), mem_new(v, sizeof(int32_t))};
    w.x = mem_new(n * w.widest, sizeof(float)), w.y = mem_new(n * w.widest, sizeof(float));
    for (size_t i = 0; i < n * w.widest; i++) w.x[i] = (float)rng_uniform(1, i) - 0.5f;
    struct sample_params sp = {.temperature = 1, .top_p = 1};
    struct error e;
    for (int r = 0; r < ROUNDS; r++) {
        for (uint32_t i = 0; i < n; i++) {
            if (r % STEP_TOKENS == 0) seqs[i] = engine_fork(en, trunk);
            tokens[i] = (int32_t)(2 + (i + (uint32_t)r) % 200);
            spans[i] = (struct span){seqs[i], 1, 1, &tokens[i], logits + (size_t)i * v};
        }
        uint64_t t0 = clock_ns();
        if (engine_run(en, spans, n, NULL, &e)) die(&e);
        for (uint32_t i = 0; i < n; i++) sample_token(&sp, logits + (size_t)i * v, v, i, (uint64_t)r, &scratch, NULL);
        uint64_t t1 = clock_ns();
        team_run(team, matmul_part, &w);
        uint64_t t2 = clock_ns();
        step[r] = (double)(t1 - t0) / 1e3, mul[r] = (double)(t2 - t1) / 1e3;
        for (uint32_t i = 0; i < n && r % STEP_TOKENS == STEP_TOKENS - 1; i++) engine_drop(en, &seqs[i]);
    }
    double s = median(step, ROUNDS), k = median(mul, ROUNDS);
    printf("{\"bench\":\"step\",\"branches\":%u,\"us_per_step\":%.1f,\"us_matmul\":%.1f,\"overhead\":%.3f,\"tokens_per_second\":%.0f,%s}\n",
           n, s, k, (s - k) / k, n * 1e6 / s, tail);
    mem_free(logits), mem_free(w.x), mem_free(w.y), mem_free(scratch.p), mem_free(scratch.ids);
}

/* Fork of a branch of n_tokens; the drop is not timed. */
static void bench_fork(uint32_t n_tokens, const char *tail) {
    enum { FORKS = 1000 };
    struct error e;
    struct kv *kv;
    double ns[ROUNDS];
    uint32_t forks[FORKS];
    if (kv_new((struct kv_shape){4, 2, 32, KV_F16}, n_tokens / KV_PAGE + 8, FORKS + 2, n_tokens + KV_PAGE, &kv, &e)) die(&e);
    uint32_t trunk = kv_seq_new(kv);
    struct kv_need need = {trunk, n_tokens};
    if (kv_reserve(kv, &need, 1, &e)) die(&e);
    kv_advance(kv, trunk, n_tokens);
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t t0 = clock_ns();
        for (int i = 0; i < FORKS; i++) forks[i] = kv_fork(kv, trunk);
        ns[r] = (double)(clock_ns() - t0) / FORKS;
        for (int i = 0; i < FORKS; i++) kv_drop(kv, &forks[i]);
    }
    printf("{\"bench\":\"fork\",\"tokens\":%u,\"ns_per_fork\":%.0f,%s}\n", n_tokens, median(ns, ROUNDS), tail);
    kv_free(&kv);
}

static void cpu_name(char *name, size_t cap) {
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(name, cap, "unknown");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10)) {
            char *at = strchr(line, ':');
            line[strcspn(line, "\n")] = 0;
            if (at) snprintf(name, cap, "%s", at + 2);
            break;
        }
    if (f) fclose(f);
}

int main(int argc, char **argv) {
    struct error e = {""};
    struct gguf *file;
    const struct embedded *inside = embedded_find("game24-policy");
    if (argc < 2 && !inside) return fprintf(stderr, "usage: micro MODEL.gguf\n"), 2;
    if (argc > 1 ? gguf_open(argv[1], &file, &e) : gguf_open_memory(inside->data, inside->size_bytes, inside->name, &file, &e)) die(&e);
    struct model *m = NULL;
    struct team *team = NULL;
    struct engine *en = NULL;
    int threads = argc > 2 ? atoi(argv[2]) : 2;
    if (model_open(file, &m, &e) || team_new(threads, &team, &e)) die(&e);
    struct engine_params p = {.n_pages = 4096, .n_seqs = 256, .max_tokens = 256, .max_rows = 256};
    if (engine_new(m, team, &p, &en, &e)) die(&e);
    char cpu[128], tail[256];
    cpu_name(cpu, sizeof cpu);
    snprintf(tail, sizeof tail, "\"isa\":\"%s\",\"threads\":%d,\"cpu\":\"%s\"", ops_get()->name, threads, cpu);
    for (uint32_t n = 64; n <= 4096; n *= 8) bench_fork(n, tail);
    uint32_t trunk = engine_seq_new(en);
    int32_t prompt[24];
    for (int i = 0; i < 24; i++) prompt[i] = 2 + i;
    struct span span = {.seq = trunk, .n_tokens = 24, .tokens = prompt};
    if (engine_run(en, &span, 1, NULL, &e)) die(&e);
    for (uint32_t n = 1; n <= MAX_BRANCHES; n *= 4) bench_step(en, team, trunk, n, tail);
    engine_free(&en);
    team_free(&team);
    model_close(&m);
    return 0;
}
