/* prm.c: reward model keys, step values and their aggregation.
 * Not a model pass: model/engine.h.
 * Next: protocol.c. */
#include "prm/prm.h"

#include <math.h>
#include <string.h>

static const char *const agg_names[] = {"last", "min", "product", "mean"};

bool prm_agg_from_name(const char *name, enum prm_agg *out) {
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, agg_names[i])) {
            *out = (enum prm_agg)i;
            return true;
        }
    return false;
}

const char *prm_agg_name(enum prm_agg a) { return agg_names[a]; }

void prm_chain_add(struct prm_chain *c, float v) {
    c->min = c->n_steps ? fminf(c->min, v) : v;
    c->product = c->n_steps ? c->product * v : v;
    c->sum += v;
    c->last = v;
    c->n_steps++;
}

float prm_chain_value(const struct prm_chain *c, enum prm_agg agg) {
    if (c->n_steps == 0) return 0.5f;
    switch (agg) {
    case AGG_LAST: return c->last;
    case AGG_MIN: return c->min;
    case AGG_PRODUCT: return c->product;
    case AGG_MEAN: return (float)(c->sum / c->n_steps);
    }
    return 0;
}

enum status prm_agg_read(const struct gguf *file, enum prm_agg otherwise, enum prm_agg *out, struct error *e) {
    struct gguf_string agg;
    char name[16];
    enum status s;
    *out = otherwise;
    if (!gguf_has(file, "prm.aggregation")) return OK;
    if ((s = gguf_get_string(file, "prm.aggregation", &agg, e))) return s;
    snprintf(name, sizeof name, "%.*s", (int)(agg.size < 15 ? agg.size : 15), agg.data);
    if (prm_agg_from_name(name, out)) return OK;
    return error_set(e, ERR_INPUT, "%s: prm.aggregation \"%s\" is not known; known: last, min, product, mean",
                     gguf_name(file), name);
}

enum status prm_info_read(const struct model *m, struct prm_info *out, struct error *e) {
    struct gguf_string kind;
    uint64_t token;
    enum status s;
    if (!gguf_has(m->file, "prm.kind"))
        return error_set(e, ERR_INPUT, "%s: key prm.kind is missing: this is no reward model", gguf_name(m->file));
    if ((s = gguf_get_string(m->file, "prm.kind", &kind, e))) return s;
    if (kind.size != 5 || memcmp(kind.data, "value", 5))
        return error_set(e, ERR_INPUT, "%s: prm.kind \"%.*s\" is not known; known: value", gguf_name(m->file),
                         (int)(kind.size < 40 ? kind.size : 40), kind.data);
    if (m->head.rows != 1) return error_set(e, ERR_INPUT, "%s: tensor prm.head.weight is missing", gguf_name(m->file));
    if ((s = gguf_get_u64(m->file, "prm.step_token_id", 0, m->config.n_vocab - 1, &token, e))) return s;
    out->step_token = (int32_t)token;
    return prm_agg_read(m->file, AGG_LAST, &out->agg, e);
}

void prm_info_write(const struct prm_info *info, struct gguf_writer *w) {
    gguf_add_string(w, "prm.kind", "value");
    gguf_add_u32(w, "prm.step_token_id", (uint32_t)info->step_token);
    gguf_add_string(w, "prm.aggregation", prm_agg_name(info->agg));
}

float prm_value(float output) {
    float p = 1 / (1 + expf(-output));
    return p >= 0 && p <= 1 ? p : 0;
}
