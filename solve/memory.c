/* memory.c: see memory.h.
 * Not a limit: --kv-mb is one.
 * Next: model/engine.h. */
#include "solve/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "model/engine.h"

size_t memory_heap(void) {
#if defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
#else
    return 0;
#endif
}

size_t memory_resident(void) {
    unsigned long size, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%lu %lu", &size, &resident) != 2) resident = 0;
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

size_t memory_peak(void) {
    size_t kb = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %zu kB", &kb) == 1) break;
    if (f) fclose(f);
    return kb << 10;
}

static const char *const kv_lines[KV_TYPES] = {
    [KV_F16_Q8_0] = "keys (f16) and values (q8_0) of one branch; forks share it",
    [KV_Q8_0_F16] = "keys (q8_0) and values (f16) of one branch; forks share it",
    [KV_I16] = "keys and values of one branch, i16; forks share it",
    [KV_F16] = "keys and values of one branch, f16; forks share it",
    [KV_F32] = "keys and values of one branch, f32; forks share it",
    [KV_Q8_0] = "keys and values of one branch, q8_0; forks share it",
};

static void add(struct memory_figure *f, const char *name, size_t bytes, const char *what) {
    f->lines[f->n++] = (struct memory_line){name, bytes, what};
    f->total += bytes;
}

void memory_of_run(const struct model *m, uint32_t ctx, enum kv_type type, size_t tok_bytes, size_t program_bytes,
                   struct memory_figure *f) {
    enum { ROWS = 512, COPIES = 3 }; /* as cmd_run.c asks: rows of a pass; logits, probabilities and their ids */
    const size_t RUNNING = 3 << 20;  /* code and stacks that a run touches and `inspect` does not; measured */
    struct engine_params p = {.n_pages = kv_shape_pages(engine_kv_shape(&m->config, type), ctx, ROWS),
                              .max_tokens = ctx,
                              .max_rows = ROWS,
                              .kv_type = type};
    struct engine_memory engine = engine_memory(m, &p);
    *f = (struct memory_figure){.ctx = ctx};
    add(f, "weights", model_weight_bytes(m, false), "in the layout of the kernels; the file is not kept");
    add(f, "kv", engine.kv, kv_lines[type]);
    add(f, "buffers", engine.buffers, "one pass of 512 rows, and the angles of all positions");
    add(f, "logits", (size_t)m->head.rows * COPIES * sizeof(float), "and what sampling needs");
    add(f, "vocabulary", gguf_header_bytes(m->file) + tok_bytes, "the keys of the file, and tables made of them");
    add(f, "program", program_bytes + RUNNING, "ponder, its libraries and the stacks of its threads");
}
