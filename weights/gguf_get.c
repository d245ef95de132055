/* gguf_get.c: looks up keys and tensors of an open GGUF file, and converts values.
 * Not the checks on the file's structure: gguf_read.c made them all.
 * Next: gguf_write.c. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "weights/gguf_impl.h"

static const struct {
    const char *name;
    size_t size;
} kinds[] = {
    [GGUF_U8] = {"u8", 1},       [GGUF_I8] = {"i8", 1},   [GGUF_U16] = {"u16", 2}, [GGUF_I16] = {"i16", 2},
    [GGUF_U32] = {"u32", 4},     [GGUF_I32] = {"i32", 4}, [GGUF_F32] = {"f32", 4}, [GGUF_BOOL] = {"bool", 1},
    [GGUF_U64] = {"u64", 8},     [GGUF_I64] = {"i64", 8}, [GGUF_F64] = {"f64", 8}, [GGUF_STRING] = {"string", 0},
    [GGUF_ARRAY] = {"array", 0},
};

const char *gguf_kind_name(uint32_t kind) { return kind <= GGUF_F64 ? kinds[kind].name : NULL; }
size_t gguf_kind_size(uint32_t kind) { return kind <= GGUF_F64 ? kinds[kind].size : 0; }

const char *gguf_name(const struct gguf *g) { return gguf_short_name(g->name); }
size_t gguf_n_tensors(const struct gguf *g) { return g->n_tensors; }

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i) {
    assert(i < g->n_tensors);
    return &g->tensors[i];
}

const struct gguf_tensor *gguf_find(const struct gguf *g, const char *name) {
    size_t i = names_find(&g->tensor_names, name, strlen(name));
    return i == SIZE_MAX ? NULL : &g->tensors[i];
}

const struct gguf_key *gguf_key_find(const struct gguf *g, const char *key) {
    size_t i = names_find(&g->key_names, key, strlen(key));
    return i == SIZE_MAX ? NULL : &g->keys[i];
}

bool gguf_has(const struct gguf *g, const char *key) { return gguf_key_find(g, key) != NULL; }

/* A number as the file holds it; exactly one of the three is meant. */
struct number {
    enum { UNSIGNED, NEGATIVE, FLOATING } is;
    uint64_t u; /* UNSIGNED */
    int64_t i;  /* NEGATIVE: < 0 */
    double f;   /* FLOATING */
};

static struct number of_signed(int64_t i) {
    return i < 0 ? (struct number){NEGATIVE, 0, i, 0} : (struct number){UNSIGNED, (uint64_t)i, 0, 0};
}

/* p: gguf_kind_size(kind) bytes, unaligned.  kind: a number or a bool. */
static struct number load(enum gguf_kind kind, const uint8_t *p) {
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        uint64_t u64;
        int64_t i64;
        float f32;
        double f64;
    } v;
    memcpy(&v, p, gguf_kind_size(kind));
    switch (kind) {
    case GGUF_U8:
    case GGUF_BOOL: return (struct number){UNSIGNED, v.u8, 0, 0};
    case GGUF_U16: return (struct number){UNSIGNED, v.u16, 0, 0};
    case GGUF_U32: return (struct number){UNSIGNED, v.u32, 0, 0};
    case GGUF_U64: return (struct number){UNSIGNED, v.u64, 0, 0};
    case GGUF_I8: return of_signed(v.i8);
    case GGUF_I16: return of_signed(v.i16);
    case GGUF_I32: return of_signed(v.i32);
    case GGUF_I64: return of_signed(v.i64);
    case GGUF_F32: return (struct number){FLOATING, 0, 0, v.f32};
    case GGUF_F64: return (struct number){FLOATING, 0, 0, v.f64};
    case GGUF_STRING:
    case GGUF_ARRAY: break;
    }
    assert(!"a number or a bool");
    return (struct number){0};
}

static bool is_number(enum gguf_kind kind) { return kind != GGUF_STRING && kind != GGUF_ARRAY && kind != GGUF_BOOL; }

static bool to_u64(struct number n, uint64_t *out) {
    if (n.is == NEGATIVE) return false;
    if (n.is == FLOATING && !(n.f >= 0 && n.f < 0x1p64 && n.f == floor(n.f))) return false;
    *out = n.is == FLOATING ? (uint64_t)n.f : n.u;
    return true;
}

static double to_f64(struct number n) { return n.is == FLOATING ? n.f : n.is == NEGATIVE ? (double)n.i : (double)n.u; }

static bool to_f64_exactly(struct number n, double *out) {
    double f = to_f64(n);
    /* 2^64 - 1 rounds to 2^64, whose cast back is undefined: saturating machines would call it exact. */
    if (n.is == UNSIGNED && !(f < 0x1p64 && (uint64_t)f == n.u)) return false;
    if (n.is == NEGATIVE && (int64_t)f != n.i) return false;
    *out = f;
    return true;
}

static void show_number(struct number n, char dst[40]) {
    if (n.is == UNSIGNED) snprintf(dst, 40, "%" PRIu64, n.u);
    else if (n.is == NEGATIVE) snprintf(dst, 40, "%" PRId64, n.i);
    else snprintf(dst, 40, "%.9g", n.f);
}

/* The key and its number; or the error of an absent key or of another kind.  `wanted` names the range. */
static enum status get_number(const struct gguf *g, const char *key, const char *wanted, struct number *out,
                              struct error *e) {
    const struct gguf_key *k = gguf_key_find(g, key);
    if (!k)
        return error_set(e, ERR_INPUT, "%s: key \"%s\": missing; wanted is %s", gguf_short_name(g->name), key, wanted);
    if (!is_number(k->kind))
        return error_set(e, ERR_INPUT, "%s: key \"%s\": has type %s; wanted is %s", gguf_short_name(g->name), key,
                         gguf_kind_name(k->kind), wanted);
    *out = load(k->kind, k->data);
    return OK;
}

static enum status out_of_range(const struct gguf *g, const char *key, const char *wanted, struct number n,
                                struct error *e) {
    char shown[40];
    show_number(n, shown);
    return error_set(e, ERR_INPUT, "%s: key \"%s\": is %s; wanted is %s", gguf_short_name(g->name), key, shown, wanted);
}

enum status gguf_get_u64(const struct gguf *g, const char *key, uint64_t lo, uint64_t hi, uint64_t *out,
                         struct error *e) {
    char wanted[96];
    struct number n = {0};
    uint64_t v;
    snprintf(wanted, sizeof wanted, "an integer in [%" PRIu64 ", %" PRIu64 "]", lo, hi);
    enum status s = get_number(g, key, wanted, &n, e);
    if (s != OK) return s;
    if (!to_u64(n, &v) || v < lo || v > hi) return out_of_range(g, key, wanted, n, e);
    *out = v;
    return OK;
}

enum status gguf_get_u64_or(const struct gguf *g, const char *key, uint64_t lo, uint64_t hi, uint64_t fallback,
                            uint64_t *out, struct error *e) {
    if (gguf_has(g, key)) return gguf_get_u64(g, key, lo, hi, out, e);
    *out = fallback;
    return OK;
}

enum status gguf_get_f64(const struct gguf *g, const char *key, double lo, double hi, double *out, struct error *e) {
    char wanted[96];
    struct number n = {0};
    double v;
    snprintf(wanted, sizeof wanted, "a number in [%g, %g]", lo, hi);
    enum status s = get_number(g, key, wanted, &n, e);
    if (s != OK) return s;
    if (!to_f64_exactly(n, &v) || !(v >= lo && v <= hi)) return out_of_range(g, key, wanted, n, e);
    *out = v;
    return OK;
}

enum status gguf_get_f64_or(const struct gguf *g, const char *key, double lo, double hi, double fallback, double *out,
                            struct error *e) {
    if (gguf_has(g, key)) return gguf_get_f64(g, key, lo, hi, out, e);
    *out = fallback;
    return OK;
}

/* The key, which must be of this kind. */
static enum status get_kind(const struct gguf *g, const char *key, enum gguf_kind kind, const struct gguf_key **out,
                            struct error *e) {
    *out = gguf_key_find(g, key);
    if (!*out)
        return error_set(e, ERR_INPUT, "%s: key \"%s\": missing; wanted is a value of type %s",
                         gguf_short_name(g->name), key, gguf_kind_name(kind));
    if ((*out)->kind != kind)
        return error_set(e, ERR_INPUT, "%s: key \"%s\": has type %s; wanted is %s", gguf_short_name(g->name), key,
                         gguf_kind_name((*out)->kind), gguf_kind_name(kind));
    return OK;
}

enum status gguf_get_bool_or(const struct gguf *g, const char *key, bool fallback, bool *out, struct error *e) {
    const struct gguf_key *k;
    if (!gguf_has(g, key)) {
        *out = fallback;
        return OK;
    }
    enum status s = get_kind(g, key, GGUF_BOOL, &k, e);
    if (s == OK) *out = *k->data != 0;
    return s;
}

enum status gguf_get_string(const struct gguf *g, const char *key, struct gguf_string *out, struct error *e) {
    const struct gguf_key *k;
    enum status s = get_kind(g, key, GGUF_STRING, &k, e);
    if (s == OK) *out = (struct gguf_string){(const char *)k->data, k->n};
    return s;
}

enum status gguf_get_array(const struct gguf *g, const char *key, enum gguf_kind *kind, size_t *n, struct error *e) {
    const struct gguf_key *k;
    enum status s = get_kind(g, key, GGUF_ARRAY, &k, e);
    if (s != OK) return s;
    *kind = k->element;
    *n = k->n;
    return OK;
}

struct gguf_string gguf_key_string(const struct gguf_key *k, size_t i) {
    size_t first = k->starts[i] + sizeof(uint64_t);
    return (struct gguf_string){(const char *)k->data + first, k->starts[i + 1] - first};
}

static struct number element(const struct gguf_key *k, size_t i) {
    enum gguf_kind kind = k->kind == GGUF_ARRAY ? k->element : k->kind;
    return load(kind, k->data + i * gguf_kind_size(kind));
}

double gguf_key_number(const struct gguf_key *k, size_t i) { return to_f64(element(k, i)); }
void gguf_key_show(const struct gguf_key *k, size_t i, char dst[40]) { show_number(element(k, i), dst); }

struct gguf_string gguf_array_string(const struct gguf *g, const char *key, size_t i) {
    const struct gguf_key *k = gguf_key_find(g, key);
    assert(k && k->kind == GGUF_ARRAY && k->element == GGUF_STRING && i < k->n);
    return gguf_key_string(k, i);
}

double gguf_array_f64(const struct gguf *g, const char *key, size_t i) {
    const struct gguf_key *k = gguf_key_find(g, key);
    assert(k && k->kind == GGUF_ARRAY && k->element != GGUF_STRING && i < k->n);
    return gguf_key_number(k, i);
}

size_t gguf_header_bytes(const struct gguf *g) {
    size_t bytes = g->data_at;
    for (size_t i = 0; i < g->n_parts; i++) bytes += g->parts[i]->data_at;
    return bytes;
}
