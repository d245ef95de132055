/* test_ops.c: scalar kernels against double arithmetic, and every other table against scalar, bit for bit.
 * Not conversions: test_quant.c.
 * Next: ops_check.h, where the bit comparisons are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/ops_check.h"

/* |got - want| <= tolerance, or the test fails with place and values. */
static void check_close(const char *what, size_t i, double got, double want, double tolerance) {
    if (fabs(got - want) <= tolerance) return;
    fail_msg("%s: element %zu is %.9g, expected %.9g within %.3g", what, i, got, want, tolerance);
}

static const struct ops *scalar(void) { return ops_by_name("scalar"); }

static void test_tables(void **state) {
    (void)state;
    assert_non_null(ops_get());
    assert_ptr_equal(ops_get(), ops_get());
    assert_non_null(scalar());
    assert_null(ops_by_name("sse9"));
    assert_null(ops_by_name(NULL));
    const char *asked = getenv("PONDER_ISA");
    if (asked && ops_by_name(asked)) assert_string_equal(ops_get()->name, asked);
    for (size_t i = 0; ops_names[i]; i++) {
        const struct ops *t = ops_by_name(ops_names[i]);
        if (!t) continue;
        assert_string_equal(t->name, ops_names[i]);
        assert_true(t->matmul && t->quantize && t->rms_norm && t->rope && t->silu_mul && t->add && t->exp_sum &&
                    t->max && t->attend[KV_F16] && t->attend[KV_F32] && t->attend[KV_Q8_0] && t->attend[KV_I16] &&
                    t->store_f16 && t->round_key && t->round_value);
    }
}

/* The order is part of the promise: these sums give another float in any other order or without fma. */
static void test_order(void **state) {
    (void)state;
    float x[17], one[17], y;
    const struct panels row = {TYPE_F32, PANEL_FILE, 1, 17, sizeof x, (const uint8_t *)x};
    for (size_t i = 0; i < 17; i++) one[i] = 1, x[i] = 0;
    x[0] = 1e8f, x[3] = 1, x[16] = -1e8f; /* ascending: the 1 is lost */
    scalar()->matmul(&y, 1, &row, 0, 1, one, 17, NULL, 0, 1);
    check_close("one chain, ascending", 0, y, 0, 0);
    x[3] = 0, x[15] = -1e8f, x[16] = 1;
    scalar()->matmul(&y, 1, &row, 0, 1, one, 17, NULL, 0, 1);
    check_close("one chain, ascending", 1, y, 1, 0);
    for (size_t i = 0; i < 17; i++) x[i] = 0;
    x[0] = -1, x[8] = one[8] = 1 + 0x1p-12f; /* (1 + 2^-12)^2 - 1: only fma keeps the 2^-24 */
    scalar()->matmul(&y, 1, &row, 0, 1, one, 17, NULL, 0, 1);
    check_close("fma", 0, y, 0x1p-11 + 0x1p-24, 0);
}

static bool type_has_low(enum tensor_type t) { return packing_of(t) && forms[packing_of(t)->form].low; }

/* Products in all layouts against doubles from type_to_f32, which knows nothing of panels; integer ones with the
 * activations that were quantised. */
static void check_scalar_product(enum tensor_type type, bool exact, size_t cols, enum values values) {
    enum { ROWS = 21, N = 3 };
    static float w[512], x[N * 512], y[N * ROWS];
    static struct act_block a[N * 16];
    struct matrix_case m = matrix_new(type, exact, ROWS, cols, 0, 5, values);
    const bool int8 = m.panels.layout == PANEL_INT8;
    fill_activations(x, cols, N * cols, 1, values);
    for (size_t j = 0; int8 && j < N; j++) {
        scalar()->quantize(a + j * (cols / 32), x + j * cols, cols);
        for (size_t i = 0; i < cols; i++) {
            const struct act_block *b = &a[j * (cols / 32) + i / 32];
            x[j * cols + i] = (float)b->q[i % 32] * ldexpf(b->d, b->up[i % 32 / ACT_GROUP]);
        }
    }
    product(scalar(), &m, y, ROWS, x, cols, a, N);
    for (size_t r = 0; r < ROWS; r++) {
        type_to_f32(type, m.file.data + r * m.row_bytes, w, cols);
        for (size_t j = 0; j < N; j++) {
            double want = 0, size = 0;
            for (size_t i = 0; i < cols; i++) {
                want += (double)w[i] * x[j * cols + i];
                size += fabs((double)w[i] * x[j * cols + i]);
            }
            if (type_has_low(type)) size *= 40; /* two large parts of a weight may nearly cancel */
            /* Equal products make equal roundings, which add up. */
            const double roundings = values >= VALUES_HIGHEST ? (double)cols : sqrt((double)cols);
            check_close(type_info(type)->name, j * ROWS + r, y[j * ROWS + r], want, size * 6e-8 * (4 + roundings));
        }
    }
    matrix_free(&m);
}

/* What panel.h says of one block, from the numbers alone. */
static void check_block(const struct act_block *a, const float *x, size_t which) {
    double most[ACT_GROUPS] = {0}, total = 0;
    bool finite = true;
    for (size_t i = 0; i < 32; i++) {
        most[i / ACT_GROUP] = fmax(most[i / ACT_GROUP], fabs((double)x[i]));
        finite = finite && isfinite(x[i]);
    }
    const double high = fmax(most[0], most[1]);
    const bool some = finite && high >= (double)1e-30f;
    if (!finite) assert_true(isnan(a->d) && isnan(a->sum));
    else check_close("scale", which, a->d, some ? ldexp(high / 127, -a->up[0] - a->up[1]) : 0, 1e-7 * high);
    if (a->up[0] < 0 || a->up[1] < 0 || a->up[0] + a->up[1] > ACT_UP || (a->up[0] && a->up[1]))
        fail_msg("block %zu: times 2^%d and 2^%d", which, a->up[0], a->up[1]);
    for (size_t g = 0; g < ACT_GROUPS; g++) {
        const double step = ldexp((double)a->d, a->up[g]);
        int sum = 0, largest = 0;
        for (size_t i = g * ACT_GROUP; i < (g + 1) * ACT_GROUP; i++) {
            if (abs(a->q[i]) > 127 || (!some && a->q[i])) fail_msg("block %zu: q[%zu] is %d", which, i, a->q[i]);
            if (some) check_close("activation", which * 32 + i, a->q[i] * step, x[i], 0.50001 * step);
            sum += a->q[i];
            largest = abs(a->q[i]) > largest ? abs(a->q[i]) : largest;
        }
        assert_int_equal(a->shift[g], -128 * sum);
        total += ldexp(sum, a->up[g]);
        /* No group could have a finer step: the larger one uses all of 127, the other more than half, or the limit holds. */
        const int use = most[g] == high ? 127 : a->up[0] + a->up[1] < ACT_UP ? 63 : 0;
        if (some && largest < use) fail_msg("block %zu: group %zu goes up to %d only", which, g, largest);
    }
    const double want = total * (double)a->d;
    if (finite && fabs(want) > (double)FLT_MAX) assert_true(isinf(a->sum));
    else if (finite) check_close("sum", which, a->sum, want, 1e-7 * fabs(want) + 1e-45);
}

static void test_scalar_quantize(void **state) {
    (void)state;
    float x[32];
    struct act_block a;
    for (size_t i = 0; i < 10000 + EDGES; i++) {
        if (i < EDGES) fill_edge(x, i);
        else fill_activations(x, 32, 32, i, i % 2 ? VALUES_PLAIN : VALUES_WILD);
        scalar()->quantize(&a, x, 32);
        check_block(&a, x, i);
    }
}

static void test_scalar_matmul(void **state) {
    (void)state;
    for (size_t t = 0; t < COUNT(check_types); t++)
        for (size_t s = 0; s < COUNT(check_sizes); s++)
            for (int exact = 0; exact <= 1; exact++)
                for (enum values v = VALUES_PLAIN; v <= VALUES_LOWEST; v++)
                    if (v != VALUES_WILD)
                        check_scalar_product(check_types[t], exact, padded_cols(check_types[t], check_sizes[s]), v);
}

/* At most one unit in the last place off the true exp where the result is a normal float; exact at the ends. */
static void test_scalar_exp(void **state) {
    (void)state;
    float x, y;
    for (x = -87.29f; x < 88.71f; x += 0.00137f) {
        scalar()->exp_sum(&y, &x, 1, 0, 1);
        double want = exp((double)x), unit = nextafterf((float)want, INFINITY) - (double)(float)want;
        if (fabs(y - want) > unit) fail_msg("exp(%.9g) is %.9g, expected %.9g", (double)x, (double)y, want);
    }
    const float ends[][2] = {{-INFINITY, 0}, {-1e30f, 0}, {-104, 0},         {-87.31f, 0},      {0, 1},
                             {-0.0f, 1},     {1e-30f, 1}, {88.8f, INFINITY}, {1e30f, INFINITY}, {INFINITY, INFINITY}};
    for (size_t i = 0; i < COUNT(ends); i++) {
        scalar()->exp_sum(&y, &ends[i][0], 1, 0, 1);
        if (y != ends[i][1] || signbit(y)) fail_msg("exp(%g) is %g", (double)ends[i][0], (double)y);
    }
    x = NAN;
    scalar()->exp_sum(&y, &x, 1, 0, 1);
    assert_true(isnan(y));
}

static void test_scalar_rows(void **state) {
    (void)state;
    enum { N = 100 };
    float x[N], w[N], y[N];
    double squares = 0, sum = 0;
    fill_random(x, N, 1, false);
    fill_random(w, N, 2, false);
    for (size_t i = 0; i < N; i++) squares += (double)x[i] * x[i];
    scalar()->rms_norm(y, x, w, N, 1e-3f);
    for (size_t i = 0; i < N; i++) check_close("rms_norm", i, y[i], x[i] / sqrt(squares / N + 1e-3f) * w[i], 1e-5);
    scalar()->silu_mul(y, x, w, N);
    for (size_t i = 0; i < N; i++) check_close("silu_mul", i, y[i], x[i] / (1 + exp(-x[i])) * w[i], 2e-6);
    for (size_t i = 0; i < N; i++) y[i] = w[i];
    scalar()->add(y, x, N);
    for (size_t i = 0; i < N; i++) check_close("add", i, y[i], (double)w[i] + x[i], 4e-7);
    float got = scalar()->exp_sum(y, x, 0.5f, 2, N), largest = scalar()->max(x, N);
    for (size_t i = 0; i < N; i++) {
        check_close("exp_sum", i, y[i], exp(x[i] * 0.5 - 2), 1e-6);
        sum += y[i];
        assert_true(largest >= x[i]);
    }
    check_close("exp_sum total", 0, got, sum, 1e-5);
    largest = scalar()->max((float[]){-3, NAN, -2, -7}, 4);
    check_close("max passes NaN over", 0, largest, -2, 0);
    assert_true(scalar()->max(x, 0) == -INFINITY);
    float gate[] = {-INFINITY, 1000, -1000, INFINITY}, up[] = {1, 1, 1, 1};
    scalar()->silu_mul(gate, gate, up, 4);
    assert_true(gate[1] == 1000 && gate[2] == 0 && gate[3] == INFINITY);
}

static void test_scalar_rope(void **state) {
    (void)state;
    enum { HEADS = 2, DIM = 12, ROPE = 8 };
    for (int style = ROPE_NORM; style <= ROPE_NEOX; style++) {
        float x[HEADS * DIM], y[HEADS * DIM], cos_sin[ROPE];
        for (size_t i = 0; i < ROPE / 2; i++)
            cos_sin[2 * i] = (float)cos(1.0 + (double)i), cos_sin[2 * i + 1] = (float)sin(1.0 + (double)i);
        fill_random(x, HEADS * DIM, 3, false);
        memcpy(y, x, sizeof y);
        scalar()->rope(y, cos_sin, HEADS, DIM, ROPE, style);
        for (size_t h = 0; h < HEADS; h++) {
            for (size_t i = 0; i < ROPE / 2; i++) {
                size_t a = h * DIM + (style == ROPE_NORM ? 2 * i : i);
                size_t b = style == ROPE_NORM ? a + 1 : a + ROPE / 2;
                double c = cos(1.0 + (double)i), s = sin(1.0 + (double)i);
                check_close("rope first", i, y[a], x[a] * c - x[b] * s, 1e-6);
                check_close("rope second", i, y[b], x[a] * s + x[b] * c, 1e-6);
            }
            for (size_t d = ROPE; d < DIM; d++) assert_true(y[h * DIM + d] == x[h * DIM + d]);
        }
    }
}

/* Three pages of one row, with and without a window, against one softmax over all visible cells in double. */
static void test_scalar_attend(void **state) {
    (void)state;
    enum { PAGES = 3, DIM = 40, HALVES = DIM * KV_PAGE };
    static uint16_t kv[PAGES][2 * HALVES];
    float q[DIM], buffer[HALVES];
    uint32_t pages[PAGES] = {2, 0, 1};
    size_t offset = 0;
    fill_random(q, DIM, 1, false);
    for (size_t page = 0; page < PAGES; page++) {
        fill_random(buffer, COUNT(buffer), 10 + page, false);
        for (size_t i = 0; i < COUNT(buffer); i++) buffer[i] *= 1 + (float)page; /* so that the maximum grows */
        scalar()->store_f16(kv[page], 1, buffer, COUNT(buffer));
        fill_random(buffer, COUNT(buffer), 20 + page, false);
        scalar()->store_f16(kv[page] + HALVES, 1, buffer, COUNT(buffer));
    }
    for (uint32_t end = 1; end <= PAGES * KV_PAGE; end++)
        for (uint32_t window = 0; window <= end; window += 11) {
            float m = -INFINITY, l = 0, o[DIM] = {0};
            double weights = 0, want[DIM] = {0};
            struct attend_args a = {.q = q,
                                    .o = o,
                                    .q_offset = &offset,
                                    .o_offset = &offset,
                                    .m = &m,
                                    .l = &l,
                                    .end = &end,
                                    .window = window,
                                    .pages = pages,
                                    .n_pages = PAGES,
                                    .page_bytes = sizeof kv[0],
                                    .k = kv[0],
                                    .v = kv[0] + HALVES,
                                    .n_rows = 1,
                                    .head_dim = DIM,
                                    .scale = 0.4f};
            scalar()->attend[KV_F16](&a);
            for (uint32_t t = window ? end - window : 0; t < end; t++) {
                const uint16_t *k = kv[pages[t / KV_PAGE]], *v = k + HALVES;
                double s = 0;
                for (size_t d = 0; d < DIM; d++) s += (double)q[d] * f16_to_f32(k[d * KV_PAGE + t % KV_PAGE]);
                weights += exp(s * 0.4);
                for (size_t d = 0; d < DIM; d++) want[d] += exp(s * 0.4) * f16_to_f32(v[t % KV_PAGE * DIM + d]);
            }
            for (size_t d = 0; d < DIM; d++) check_close("attend", d, o[d] / l, want[d] / weights, 3e-6);
        }
}

static void test_store_f16(void **state) {
    (void)state;
    float x[40];
    uint16_t y[40 * KV_PAGE];
    fill_random(x, COUNT(x), 9, true);
    memset(y, 0x5a, sizeof y);
    scalar()->store_f16(y, KV_PAGE, x, COUNT(x));
    for (size_t i = 0; i < COUNT(y); i++) assert_int_equal(y[i], i % KV_PAGE ? 0x5a5a : f32_to_f16(x[i / KV_PAGE]));
}

static void test_bits(void **state) {
    if (!ops_check(*state)) fail_msg("a table differs from scalar, see above");
}

int main(void) {
    struct CMUnitTest tests[10 + COUNT(ops_checks)] = {
        cmocka_unit_test(test_tables),          cmocka_unit_test(test_order),
        cmocka_unit_test(test_scalar_matmul),   cmocka_unit_test(test_scalar_exp),
        cmocka_unit_test(test_scalar_rows),     cmocka_unit_test(test_scalar_rope),
        cmocka_unit_test(test_scalar_attend),   cmocka_unit_test(test_store_f16),
        cmocka_unit_test(test_scalar_quantize),
    };
    size_t n = 9;
    for (size_t i = 0; i < COUNT(ops_checks); i++)
        tests[n++] = (struct CMUnitTest){ops_checks[i].name, test_bits, NULL, NULL, (void *)&ops_checks[i]};
    return _cmocka_run_group_tests("ops", tests, n, NULL, NULL);
}
