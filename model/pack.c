/* pack.c: the matrices of an open model in the layout of the kernels, in memory of their own; the file's pages are given
 * back as they are read.
 * Not the layouts: ops/panel.h.
 * Next: forward.c, which multiplies. */
#include <pthread.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "model/model.h"
#include "ops/ops.h"

enum { PER_LAYER = 7, ALIGN = 64, HUGE_PAGE = 2 << 20 };

/* Matrix i of all that are multiplied: the layers' in order, then the head's (a hidden one may have no rows). */
static const struct matrix *matrix_at(const struct model *m, uint32_t i) {
    if (i == m->config.n_layer * PER_LAYER) return &m->head_hidden;
    if (i > m->config.n_layer * PER_LAYER) return &m->head;
    const struct layer *y = &m->layers[i / PER_LAYER];
    return (const struct matrix *[]){&y->q, &y->k, &y->v, &y->out, &y->gate, &y->up, &y->down}[i % PER_LAYER];
}

static uint32_t n_matrices(const struct model *m) { return m->config.n_layer * PER_LAYER + 2; }

static size_t aligned(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

/* A head behind a hidden layer reads floats. */
static enum panel_layout layout_of(const struct model *m, const struct matrix *w, bool exact) {
    return panel_layout(w->type, exact || (w == &m->head && m->head_hidden.rows));
}

bool model_wants_int8(const struct model *m, bool exact) {
    for (uint32_t i = 0; i < n_matrices(m); i++)
        if (layout_of(m, matrix_at(m, i), exact) == PANEL_INT8 && matrix_at(m, i)->rows) return true;
    return false;
}

static size_t pack_bytes(const struct model *m, bool exact) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < n_matrices(m); i++) {
        const struct matrix *w = matrix_at(m, i);
        bytes += aligned(panel_bytes(w->type, layout_of(m, w, exact), w->rows, w->cols));
    }
    return (bytes + HUGE_PAGE) / HUGE_PAGE *
           HUGE_PAGE; /* they read faster than small ones, and mapped files have none */
}

size_t model_weight_bytes(const struct model *m, bool exact) {
    size_t bytes = pack_bytes(m, exact) + gguf_memory_bytes(m->file);
    for (uint32_t i = 0; i < n_matrices(m); i++) {
        const struct matrix *w = matrix_at(m, i);
        if (layout_of(m, w, exact) == PANEL_FILE) bytes += w->rows * w->row_bytes;
    }
    return bytes + (m->head.data == m->embd.data ? 0 : m->embd.rows * m->embd.row_bytes);
}

/* Lays the panels out one after another in m->packed. */
static void plan(struct model *m, bool exact) {
    uint8_t *at = m->packed;
    for (uint32_t i = 0; i < n_matrices(m); i++) {
        struct matrix *w = (struct matrix *)matrix_at(m, i);
        struct panels *p = &w->panels;
        *p = (struct panels){w->type, layout_of(m, w, exact), w->rows, w->cols, w->row_bytes, w->data};
        if (p->layout == PANEL_FILE || !w->rows) continue;
        const size_t bytes = panel_bytes(p->type, p->layout, p->rows, p->cols);
        p->stride = bytes / ((p->rows + PANEL_ROWS - 1) / PANEL_ROWS);
        p->data = at;
        at += aligned(bytes);
    }
}

/* Every thread packs its share of each matrix. */
static void pack_share(void *arg, int index, int count) {
    struct model *m = arg;
    for (uint32_t i = 0; i < n_matrices(m); i++) {
        const struct matrix *w = matrix_at(m, i);
        const struct panels *p = &w->panels;
        if (p->layout == PANEL_FILE || !w->rows) continue;
        const uint64_t n = (w->rows + PANEL_ROWS - 1) / PANEL_ROWS;
        const uint32_t lo = (uint32_t)(n * (uint64_t)index / (uint64_t)count),
                       hi = (uint32_t)(n * (uint64_t)(index + 1) / (uint64_t)count);
        if (lo == hi) continue;
        const uint32_t end = hi * PANEL_ROWS < w->rows ? hi * PANEL_ROWS : w->rows;
        panel_pack(p, w->data, w->row_bytes, lo, hi, m->packed + (p->data - m->packed));
        gguf_forget(m->file, (const char *)w->data + lo * PANEL_ROWS * w->row_bytes,
                    (end - lo * PANEL_ROWS) * w->row_bytes);
    }
}

enum status model_pack(struct model *m, struct team *team, bool exact, struct error *e) {
    static pthread_mutex_t one_at_a_time =
        PTHREAD_MUTEX_INITIALIZER; /* engines of one model may be made by any thread */
    enum status s = OK;
    pthread_mutex_lock(&one_at_a_time);
    if (!m->packed) {
        m->packed_bytes = pack_bytes(m, exact);
        void *to = mmap(NULL, m->packed_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (to == MAP_FAILED) {
            s = error_set(e, ERR_MEMORY, "%s: no memory for %zu bytes of weights", gguf_name(m->file), m->packed_bytes);
        } else {
            madvise(to, m->packed_bytes, MADV_HUGEPAGE); /* a hint: failure changes speed only */
            m->packed = to, m->exact = exact, m->int8 = model_wants_int8(m, exact);
            plan(m, exact);
            team_run(team, pack_share, m);
            mprotect(to, m->packed_bytes, PROT_READ);
        }
    } else if (m->exact != exact) {
        s = error_set(e, ERR_INPUT, "%s: is in use with %s activations already", gguf_name(m->file),
                      m->exact ? "f32" : "int8");
    }
    pthread_mutex_unlock(&one_at_a_time);
    return s;
}

void model_unpack(struct model *m) {
    if (m->packed) munmap(m->packed, m->packed_bytes);
    m->packed = NULL;
}
