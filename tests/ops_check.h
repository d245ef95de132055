/* ops_check.h: compares kernel tables with the scalar one bit for bit, on awkward sizes and fenced memory: the list of such checks,
 * and those of operations on rows.  Not a test program: test_ops.c (cmocka) and ops_selftest.c (bare, for cross builds) run it.
 * Next: ops/scalar.c, the specification. */
#ifndef PONDER_OPS_CHECK_H
#define PONDER_OPS_CHECK_H

#include "tests/check_attend.h"
#include "tests/check_matmul.h"

enum row_op { ROW_RMS, ROW_SILU, ROW_ADD, ROW_EXP, ROW_MAX, ROW_OPS };
static const char *const row_op_names[] = {"rms_norm", "silu_mul", "add", "exp_sum", "max"};

/* Runs one row kernel of t on n elements, in place where the contract allows it; returns the scalar result or 0. */
static float run_row_op(const struct ops *t, enum row_op op, float *y, const float *a, const float *b, size_t n) {
    switch (op) {
    case ROW_RMS: t->rms_norm(y, a, b, n, 1e-5f); return 0;
    case ROW_SILU: t->silu_mul(y, a, b, n); return 0;
    case ROW_ADD: t->add(y, a, n); return 0;
    case ROW_EXP: return t->exp_sum(y, a, 0.8f, 1.5f, n);
    default: return t->max(a, n);
    }
}

static bool check_row_case(const struct ops *v, enum row_op op, size_t n, size_t gap, bool wild, bool in_place) {
    struct fence a = fence_new(n * 4, gap), b = fence_new(n * 4, gap), y = fence_new(n * 4, gap);
    struct fence want = fence_new(n * 4, 0);
    fill_random((float *)a.data, n, 11 + n, wild);
    for (size_t i = 0; i < n && op == ROW_MAX && in_place; i++) /* all below the zeros of a padded tail */
        ((float *)a.data)[i] = -1 - fabsf(((float *)a.data)[i]);
    fill_random((float *)b.data, n, 12 + n, wild);
    fill_random((float *)y.data, n, 13 + n, wild);
    if (in_place && n) memcpy(y.data, a.data, n * 4);
    if (n) memcpy(want.data, y.data, n * 4);
    float want_value = run_row_op(ops_by_name("scalar"), op, (float *)want.data, (float *)a.data, (float *)b.data, n);
    float value = run_row_op(v, op, (float *)y.data, (float *)(in_place ? y.data : a.data), (float *)b.data, n);
    char what[96];
    snprintf(what, sizeof what, "%s %s n %zu gap %zu%s%s", v->name, row_op_names[op], n, gap, wild ? " wild" : "",
             in_place ? " in place" : "");
    bool ok = same_bits(what, (float *)y.data, (float *)want.data, n) && same_bits(what, &value, &want_value, 1) &&
              fence_intact(&y, what);
    fence_free(&a), fence_free(&b), fence_free(&y), fence_free(&want);
    return ok;
}

static bool check_row_ops(const struct ops *v) {
    for (enum row_op op = 0; op < ROW_OPS; op++)
        for (size_t i = 0; i < COUNT(check_sizes); i++)
            for (size_t mode = 0; mode < 8; mode++) {
                bool in_place = mode & 4 && op != ROW_ADD;
                if (!check_row_case(v, op, check_sizes[i], mode & 1 ? 4 : 0, mode & 2, in_place)) return false;
            }
    return true;
}

/* exp over its whole range in steps of a few thousand floats, with every place where it changes character. */
static bool check_exp(const struct ops *v) {
    enum { N = 4096 };
    static float x[N], y[N], want[N];
    for (uint64_t bits = 0, step = 3571; bits < 0x100000000u; bits += step * N) {
        for (size_t i = 0; i < N; i++) {
            uint32_t u = (uint32_t)(bits + step * i);
            memcpy(&x[i], &u, sizeof u);
        }
        v->exp_sum(y, x, 1, 0, N);
        ops_by_name("scalar")->exp_sum(want, x, 1, 0, N);
        if (!same_bits("exp sweep", y, want, N)) return false;
    }
    return true;
}

static bool check_rope(const struct ops *v) {
    static const size_t dims[][2] = {{2, 2},   {8, 8},   {16, 16},  {32, 32}, {64, 64},
                                     {96, 96}, {40, 24}, {128, 32}, {8, 0}};
    for (size_t i = 0; i < COUNT(dims); i++)
        for (size_t mode = 0; mode < 8; mode++) {
            size_t n_heads = mode >> 2 ? 3 : 1, head_dim = dims[i][0], rope_dim = dims[i][1], n = n_heads * head_dim;
            enum rope_style style = mode & 1 ? ROPE_NEOX : ROPE_NORM;
            struct fence x = fence_new(n * 4, mode & 2 ? 4 : 0), cs = fence_new(rope_dim * 4, 0);
            struct fence want = fence_new(n * 4, 0);
            fill_random((float *)x.data, n, i, false);
            fill_random((float *)cs.data, rope_dim, i + 1, false);
            memcpy(want.data, x.data, n * 4);
            v->rope((float *)x.data, (float *)cs.data, n_heads, head_dim, rope_dim, style);
            ops_by_name("scalar")->rope((float *)want.data, (float *)cs.data, n_heads, head_dim, rope_dim, style);
            char what[96];
            snprintf(what, sizeof what, "%s rope style %d head_dim %zu rope_dim %zu", v->name, style, head_dim,
                     rope_dim);
            bool ok = same_bits(what, (float *)x.data, (float *)want.data, n) && fence_intact(&x, what);
            fence_free(&x), fence_free(&cs), fence_free(&want);
            if (!ok) return false;
        }
    return true;
}

static bool check_store_f16(const struct ops *v) {
    static const size_t strides[] = {1, 2, KV_PAGE};
    for (size_t i = 0; i < COUNT(check_sizes); i++)
        for (size_t s = 0; s < COUNT(strides); s++)
            for (size_t wild = 0; wild < 2; wild++) {
                size_t n = check_sizes[i], n_halves = n ? (n - 1) * strides[s] + 1 : 0;
                struct fence src = fence_new(n * 4, 4), dst = fence_new(n_halves * 2, 2);
                struct fence want = fence_new(n_halves * 2, 0);
                fill_random((float *)src.data, n, n, wild);
                memset(dst.data, 0x11, n_halves * 2), memset(want.data, 0x11, n_halves * 2);
                v->store_f16((uint16_t *)dst.data, strides[s], (float *)src.data, n);
                ops_by_name("scalar")->store_f16((uint16_t *)want.data, strides[s], (float *)src.data, n);
                bool ok = memcmp(dst.data, want.data, n_halves * 2) == 0 && fence_intact(&dst, "store_f16");
                if (!ok)
                    fprintf(stderr, "%s store_f16 n %zu stride %zu: differs from scalar\n", v->name, n, strides[s]);
                fence_free(&src), fence_free(&dst), fence_free(&want);
                if (!ok) return false;
            }
    return true;
}

static bool check_round(const struct ops *v) {
    static const float sizes[] = {1, 1e-3f, 1e-29f, 1e-31f, 1e20f, 3e37f, 0};
    const struct ops *scalar = ops_by_name("scalar");
    for (size_t n = 8; n <= 512; n += n < 96 ? 8 : 104)
        for (size_t i = 0; i < COUNT(sizes); i++)
            for (int wild = 0; wild < 3; wild++) {
                float x[512], s[4];
                int16_t to[2][2 * 512] = {{0}};
                char what[96];
                for (size_t d = 0; d < n; d++) x[d] = (2 * rng_uniform(n + i, d) - 1) * sizes[i];
                if (wild) x[n * 5 / 8] = wild == 1 ? NAN : -INFINITY;
                snprintf(what, sizeof what, "%s round n %zu size %g wild %d", v->name, n, (double)sizes[i], wild);
                for (int key = 0; key < 2; key++) {
                    s[0] = key ? v->round_key(to[0], 4, x, n) : v->round_value(to[0] + 1, x, n);
                    s[1] = key ? scalar->round_key(to[1], 4, x, n) : scalar->round_value(to[1] + 1, x, n);
                    if (!(isnan(s[0]) && isnan(s[1])) && !same_bits(what, s, s + 1, 1)) return false;
                    for (size_t d = 0; d < COUNT(to[0]); d++)
                        if (to[0][d] != to[1][d]) {
                            fprintf(stderr, "%s %s: [%zu] is %d, scalar has %d\n", what, key ? "key" : "value", d, to[0][d],
                                    to[1][d]);
                            return false;
                        }
                }
            }
    return true;
}

/* What both programs run on the tables of this CPU.  Where a case and its scalar result take far longer than what is tested, all
 * tables (up to NULL) are compared with one result. */
static const struct ops_check {
    const char *name;
    bool (*of_one)(const struct ops *v);
    bool (*of_all)(const struct ops *const *v);
} ops_checks[] = {
    {"matmul", .of_all = check_matmul},
    {"quantize", .of_one = check_quantize},
    {"batch invariance", .of_all = check_batch_invariance},
    {"row ops", .of_one = check_row_ops},
    {"exp", .of_one = check_exp},
    {"rope", .of_one = check_rope},
    {"attend", .of_all = check_attend},
    {"store_f16", .of_one = check_store_f16},
    {"round", .of_one = check_round},
};

/* One check of all tables that this CPU has, scalar included (it must keep inside its output too). */
static bool ops_check(const struct ops_check *c) {
    const struct ops *tables[16] = {NULL};
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; ops_names[i]; i++)
        if ((tables[n] = ops_by_name(ops_names[i]))) n++;
    for (size_t i = 0; i < n && c->of_one && ok; i++) ok = c->of_one(tables[i]);
    return ok && (!c->of_all || c->of_all(tables));
}

#endif
