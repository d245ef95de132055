/* quantize.c: which tensor gets which type, and the new file.
 * Not the rounding: type_from_f32.
 * Next: cli/cmd_quantize.c. */
#include "weights/quantize.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum { QUANTIZATION_VERSION = 2, NAME_BYTES = 64 };

/* The file types are llama.cpp's own ids. */
const struct quant_recipe quant_recipes[] = {
    {"Q4_0", TYPE_Q4_0, 2, QUANT_PLAIN, "4.5 bits a weight"},
    {"Q4_1", TYPE_Q4_1, 3, QUANT_PLAIN, "5 bits"},
    {"Q5_0", TYPE_Q5_0, 8, QUANT_PLAIN, "5.5 bits"},
    {"Q5_1", TYPE_Q5_1, 9, QUANT_PLAIN, "6 bits"},
    {"Q8_0", TYPE_Q8_0, 7, QUANT_PLAIN, "8.5 bits: hardly a difference"},
    {"IQ4_NL", TYPE_IQ4_NL, 25, QUANT_PLAIN, "4.5 bits, steps that are finer around zero"},
    {"MXFP4", TYPE_MXFP4, 38, QUANT_PLAIN, "4.25 bits: numbers of four bits, scales that are powers of two"},
    {"Q4_K", TYPE_Q4_K, 14, QUANT_PLAIN, "4.5 bits"},
    {"Q4_K_S", TYPE_Q4_K, 14, QUANT_S, "4.5 bits, 5.5 in the first layers"},
    {"Q4_K_M", TYPE_Q4_K, 15, QUANT_M, "4.5 bits, 6.6 where it matters: the usual choice"},
    {"Q5_K", TYPE_Q5_K, 16, QUANT_PLAIN, "5.5 bits"},
    {"Q5_K_S", TYPE_Q5_K, 16, QUANT_PLAIN, "the same as Q5_K"},
    {"Q5_K_M", TYPE_Q5_K, 17, QUANT_M, "5.5 bits, 6.6 where it matters"},
    {"Q6_K", TYPE_Q6_K, 18, QUANT_PLAIN, "6.6 bits"},
    {"F16", TYPE_F16, 1, QUANT_PLAIN, "16 bits"},
    {"BF16", TYPE_BF16, 32, QUANT_PLAIN, "16 bits, the range of F32"},
    {"F32", TYPE_F32, 0, QUANT_PLAIN, "32 bits"},
    {0},
};

const struct quant_recipe *quantize_recipe(const char *name) {
    for (const struct quant_recipe *r = quant_recipes; r->name; r++)
        if (!strcasecmp(r->name, name)) return r;
    return NULL;
}

static bool is_plain(enum tensor_type t) { return t == TYPE_F32 || t == TYPE_F16 || t == TYPE_BF16; }

/* The name as text; what is longer than any name we know is cut. */
static const char *name_text(const struct gguf_tensor *t, char text[NAME_BYTES]) {
    snprintf(text, NAME_BYTES, "%.*s", (int)(t->name.size < NAME_BYTES ? t->name.size : NAME_BYTES), t->name.data);
    return text;
}

/* Layer of "blk.N.what", with *what; false for other names. */
static bool layer_of(const char *name, uint32_t *layer, const char **what) {
    int used = 0;
    return sscanf(name, "blk.%9" SCNu32 ".%n", layer, &used) == 1 && used && (*what = name + used);
}

static bool keeps_type(const struct gguf_tensor *t, const char *name) {
    static const char *const special[] = {"_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d",  "shortconv.conv",
                                          "attn_rel_b",   "position_embd",       "token_types", "rope_f"};
    const size_t n = strlen(name);
    if (t->n_dims < 2 || t->dims[1] * t->dims[2] * t->dims[3] < 2 || t->name.size >= NAME_BYTES) return true;
    if (n < 6 || strcmp(name + n - 6, "weight") != 0) return true;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (strstr(name, special[i])) return true;
    return false;
}

/* The layers whose errors hurt most: the first and last eighth, and every third between. */
static bool wants_more_bits(uint32_t layer, uint32_t n) {
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

/* Of a value or down projection. */
static enum tensor_type mixed_type(const struct quant_recipe *r, uint32_t layer, uint32_t n, bool value) {
    if (r->mix == QUANT_M && wants_more_bits(layer, n)) return TYPE_Q6_K;
    if (r->mix == QUANT_S && layer < (value ? 4 : n / 8)) return TYPE_Q5_K;
    return r->base;
}

static enum tensor_type fall_back(enum tensor_type type, uint64_t cols) {
    if (cols % type_info(type)->block_weights == 0) return type;
    switch (type) {
    case TYPE_Q4_K: return fall_back(TYPE_Q5_0, cols);
    case TYPE_Q5_K: return fall_back(TYPE_Q5_1, cols);
    case TYPE_Q6_K: return fall_back(TYPE_Q8_0, cols);
    default: return TYPE_F16;
    }
}

enum tensor_type quantize_choose(const struct quant_recipe *r, const struct quant_model *m,
                                 const struct gguf_tensor *t) {
    char text[NAME_BYTES];
    const char *name = name_text(t, text), *what = "";
    uint32_t layer;
    enum tensor_type type = r->base;
    if (keeps_type(t, name)) return t->type;
    if (is_plain(type)) return type;
    if (!strcmp(name, m->has_output ? "output.weight" : "token_embd.weight")) {
        if (type != TYPE_Q8_0) type = TYPE_Q6_K;
    } else if (layer_of(name, &layer, &what)) {
        bool value = !strcmp(what, "attn_v.weight") || !strcmp(what, "attn_qkv.weight");
        if (value || !strcmp(what, "ffn_down.weight")) type = mixed_type(r, layer, m->n_layer, value);
    }
    return fall_back(type, t->dims[0]);
}

static struct quant_model look_at(const struct gguf *in) {
    struct quant_model m = {0, gguf_find(in, "output.weight")};
    for (size_t i = 0; i < gguf_n_tensors(in); i++) {
        char text[NAME_BYTES];
        const char *what;
        uint32_t layer;
        if (layer_of(name_text(gguf_tensor_at(in, i), text), &layer, &what) && layer >= m.n_layer)
            m.n_layer = layer + 1;
    }
    return m;
}

/* A tensor on its way; members of the team take pieces of PIECE rows. */
enum { PIECE = 16 };
struct conversion {
    const struct gguf_tensor *from;
    enum tensor_type type;
    size_t cols, n_rows;
    uint8_t *to;
    float *rows;        /* [members][2][cols] before, and read back */
    atomic_size_t next; /* piece */
    atomic_size_t bad;  /* the first weight that cannot be written; SIZE_MAX: none */
};

/* The weight of a row that cannot be written: one that is no finite number, or the largest if `back`, what was written
 * of x, has lost it; SIZE_MAX when there is none.  Rounding leaves the largest weight more than half of its size; what
 * is past the range of a scale it does not. */
static size_t lost_weight(const float *x, const float *back, size_t n) {
    const float f16_max = 65504;
    size_t largest = 0;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) return i;
        finite = finite && isfinite(back[i]);
        if (fabsf(x[i]) > fabsf(x[largest])) largest = i;
    }
    const bool kept = fabsf(x[largest]) <= f16_max || fabsf(back[largest]) >= fabsf(x[largest]) / 2;
    return finite && kept ? SIZE_MAX : largest;
}

static void convert_row(struct conversion *c, size_t r, float *x, float *back) {
    const size_t from = type_row_bytes(c->from->type, c->cols), to = type_row_bytes(c->type, c->cols);
    type_to_f32(c->from->type, (const uint8_t *)c->from->data + r * from, x, c->cols);
    if (c->to) {
        type_from_f32(c->type, x, c->to + r * to, c->cols);
        type_to_f32(c->type, c->to + r * to, back, c->cols);
    }
    const size_t lost = lost_weight(x, c->to ? back : x, c->cols), mine = r * c->cols + lost;
    size_t first = atomic_load(&c->bad);
    while (lost != SIZE_MAX && mine < first && !atomic_compare_exchange_weak(&c->bad, &first, mine)) continue;
}

static void convert_share(void *arg, int index, int count) {
    struct conversion *c = arg;
    float *x = c->rows + (size_t)index * 2 * c->cols;
    (void)count;
    for (size_t r; (r = atomic_fetch_add(&c->next, 1) * PIECE) < c->n_rows;)
        for (size_t end = r + PIECE; r < end && r < c->n_rows; r++) convert_row(c, r, x, x + c->cols);
}

/* One weight of a tensor: for an error, after its row could be read before. */
static float weight_at(const struct gguf_tensor *t, size_t i) {
    enum { BLOCK_MAX = 256 };
    const struct type_info *info = type_info(t->type);
    float w[BLOCK_MAX];
    type_to_f32(t->type, (const uint8_t *)t->data + i / info->block_weights * info->block_bytes, w,
                info->block_weights);
    return w[i % info->block_weights];
}

/* Makes c->to, or only looks at the weights when their type stays. */
static enum status convert(const struct gguf *in, const char *name, struct conversion *c, struct team *team,
                           struct error *e) {
    const size_t members = team ? (size_t)team_size(team) : 1, row = type_row_bytes(c->type, c->cols);
    const bool changes = c->type != c->from->type;
    c->rows = mem_new(2 * members * c->cols, sizeof *c->rows);
    c->to = changes ? mem_new(c->n_rows, row) : NULL;
    const bool room = c->rows && (c->to || !changes);
    if (room && team) team_run(team, convert_share, c);
    else if (room) convert_share(c, 0, 1);
    mem_free(c->rows);
    if (room && c->bad == SIZE_MAX) return OK;
    mem_free(c->to);
    c->to = NULL;
    if (!room)
        return error_set(e, ERR_MEMORY, "%s: no memory for %zu bytes of new weights", gguf_name(in), c->n_rows * row);
    return error_set(e, ERR_INPUT, "%s: tensor %s: weight %zu is %g; allowed are finite numbers that %s can hold",
                     gguf_name(in), name, (size_t)c->bad, (double)weight_at(c->from, c->bad), type_info(c->type)->name);
}

static enum status add_tensor(struct gguf_writer *w, const struct gguf *in, const struct gguf_tensor *t,
                              enum tensor_type type, const struct quantize_options *o, void **own, size_t *size,
                              struct error *e) {
    char name[NAME_BYTES];
    name_text(t, name);
    *size = 0;
    if (strlen(name) != t->name.size) /* too long, or a zero byte in it */
        return error_set(e, ERR_INPUT, "%s: tensor %s...: a name of %zu bytes; at most %d can be written",
                         gguf_name(in), name, t->name.size, NAME_BYTES - 1);
    if (type != t->type && !is_plain(t->type) && !o->requantize)
        return error_set(e, ERR_INPUT,
                         "%s: tensor %s is %s already; start from an F32, F16 or BF16 file, or accept "
                         "the added error with --allow-requantize",
                         gguf_name(in), name, type_info(t->type)->name);
    struct conversion c = {
        .from = t, .type = type, .cols = t->dims[0], .n_rows = t->dims[1] * t->dims[2] * t->dims[3], .bad = SIZE_MAX};
    enum status s = type == t->type && !is_plain(type) ? OK : convert(in, name, &c, o->team, e);
    *own = c.to; /* the product below cannot wrap: at most 4 bytes a weight, and the reader bounds the weights */
    *size = c.n_rows * type_row_bytes(type, c.cols);
    if (s == OK) gguf_add_tensor(w, name, type, t->n_dims, t->dims, c.to ? c.to : t->data);
    return s;
}

static void add_keys(struct gguf_writer *w, const struct gguf *in, const struct quant_recipe *r) {
    static const char *const replaced[] = {"general.file_type",
                                           "general.quantization_version",
                                           "general.alignment",
                                           "split.no",
                                           "split.count",
                                           "split.tensors.count",
                                           NULL};
    gguf_add_keys(w, in, replaced);
    gguf_add_u32(w, "general.file_type", r->file_type);
    if (!is_plain(r->base)) gguf_add_u32(w, "general.quantization_version", QUANTIZATION_VERSION);
}

enum status quantize_write(const struct gguf *in, const struct quantize_options *o, const char *path,
                           struct quantize_sizes *sizes, struct error *e) {
    const size_t n = gguf_n_tensors(in);
    const struct quant_model m = look_at(in);
    struct gguf_writer *w = NULL;
    void **own = mem_new(n, sizeof *own); /* [n] new weights; NULL: those of the file */
    enum status s = own ? gguf_writer_new(&w, e) : error_set(e, ERR_MEMORY, "no memory for %zu tensors", n);
    *sizes = (struct quantize_sizes){0};
    if (s == OK) add_keys(w, in, o->recipe);
    for (size_t i = 0; s == OK && i < n; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(in, i);
        const enum tensor_type type = quantize_choose(o->recipe, &m, t);
        size_t size;
        if (o->progress) o->progress(i, n, t, type);
        s = add_tensor(w, in, t, type, o, &own[i], &size, e);
        sizes->bytes_before += t->size_bytes, sizes->bytes_after += size;
        sizes->n_weights += t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
    }
    if (s == OK) s = gguf_write(w, path, e);
    gguf_writer_free(&w);
    for (size_t i = 0; own && i < n; i++) mem_free(own[i]);
    mem_free(own);
    return s;
}
