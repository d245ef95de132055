/* test_quant.c: tensor types: sizes, every half, rounding, and the error of Q8_0.
 * Not the kernels: test_ops.c.
 * Next: ops/quant.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "ops/quant.h"

static float from_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static void test_types(void **state) {
    (void)state;
    assert_null(type_info(4)); /* removed from the format */
    assert_null(type_info(TYPE_COUNT));
    assert_null(type_info(UINT32_MAX));
    assert_string_equal(type_info(TYPE_Q8_0)->name, "Q8_0");
    assert_int_equal(type_row_bytes(TYPE_F32, 5), 20);
    assert_int_equal(type_row_bytes(TYPE_F16, 5), 10);
    assert_int_equal(type_row_bytes(TYPE_BF16, 5), 10);
    assert_int_equal(type_row_bytes(TYPE_Q8_0, 64), 68);
    assert_int_equal(type_row_bytes(TYPE_Q8_0, 33), 0);
    assert_int_equal(type_row_bytes(TYPE_F32, SIZE_MAX / 2), 0);
    assert_int_equal(type_row_bytes((enum tensor_type)5, 32), 0);
    assert_int_equal(type_row_bytes(TYPE_F32, 0), 0);
}

/* The value of a half by its definition. */
static double half_value(uint16_t h) {
    int exponent = (h >> 10) & 31, mantissa = h & 0x3ff;
    double v = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    if (exponent == 31) v = mantissa ? NAN : INFINITY;
    return h & 0x8000 ? -v : v;
}

static void test_every_half(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = f16_to_f32((uint16_t)h), b = bf16_to_f32((uint16_t)h);
        double want = half_value((uint16_t)h);
        if (isnan(want) ? !isnan(f) : f != want || !signbit(f) != !signbit(want))
            fail_msg("f16 %04x is %.9g, expected %.9g", h, (double)f, want);
        uint16_t back = f32_to_f16(f), want_back = (uint16_t)(isnan(want) ? h | 0x200 : h); /* NaN turns quiet */
        if (back != want_back) fail_msg("f16 %04x comes back as %04x", h, back);
        uint32_t bits;
        memcpy(&bits, &b, sizeof bits);
        if (bits != h << 16) fail_msg("bf16 %04x is %08x", h, bits);
        back = f32_to_bf16(b), want_back = (uint16_t)(isnan(b) ? h | 0x40 : h);
        if (back != want_back) fail_msg("bf16 %04x comes back as %04x", h, back);
    }
}

/* Between neighbours a and b: nearest wins, the middle goes to the even one; both signs. */
static void test_f16_rounding(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        double a = half_value((uint16_t)h), b = h == 0x7bff ? 65536 : half_value((uint16_t)(h + 1));
        float middle = (float)((a + b) / 2);
        uint16_t even = (uint16_t)(h & 1 ? h + 1 : h);
        if (f32_to_f16(middle) != even) fail_msg("middle above %04x gives %04x", h, f32_to_f16(middle));
        if (f32_to_f16(-middle) != (even | 0x8000)) fail_msg("middle below -%04x", h);
        if (f32_to_f16(nextafterf(middle, 0)) != h) fail_msg("below the middle above %04x", h);
        if (f32_to_f16(nextafterf(middle, INFINITY)) != h + 1) fail_msg("above the middle above %04x", h);
    }
    assert_int_equal(f32_to_f16(1e30f), 0x7c00);
    assert_int_equal(f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(f32_to_f16(1e-30f), 0);
    assert_int_equal(f32_to_f16(from_bits(0x7f800001)), 0x7e00); /* a NaN with a small payload must not become Inf */
    assert_int_equal(f32_to_f16(from_bits(0xffc00000)), 0xfe00);
    float quiet = f16_to_f32(0xfc01), want = from_bits(0xffc02000); /* a signalling NaN, as the CPU converts it */
    assert_memory_equal(&quiet, &want, sizeof want);
}

static void test_bf16_rounding(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x7f80; h++) {
        uint32_t low = h << 16;
        assert_int_equal(f32_to_bf16(from_bits(low | 0x7fff)), h);
        assert_int_equal(f32_to_bf16(from_bits(low | 0x8000)), h + (h & 1));
        assert_int_equal(f32_to_bf16(from_bits(low | 0x8001)), h + 1);
        assert_int_equal(f32_to_bf16(from_bits(low | 0x80008001u)), 0x8000 + h + 1);
    }
    assert_int_equal(f32_to_bf16(from_bits(0x7f800001)), 0x7fc0);
    assert_int_equal(f32_to_bf16(from_bits(0xffffffff)), 0xffff);
}

enum { N_WEIGHTS = 320, BLOCK = 32 };

static void q8_0_round_trip(float scale) {
    float w[N_WEIGHTS], back[N_WEIGHTS];
    uint8_t blocks[N_WEIGHTS / BLOCK * 34 + 1];
    blocks[sizeof blocks - 1] = 0x77;
    for (size_t i = 0; i < N_WEIGHTS; i++) w[i] = scale * (float)(rng_uniform(5, i) - 0.5);
    type_from_f32(TYPE_Q8_0, w, blocks, N_WEIGHTS);
    type_to_f32(TYPE_Q8_0, blocks, back, N_WEIGHTS);
    assert_int_equal(blocks[sizeof blocks - 1], 0x77);
    for (size_t i = 0; i < N_WEIGHTS; i++) {
        float largest = 0;
        for (size_t j = i / BLOCK * BLOCK; j < (i / BLOCK + 1) * BLOCK; j++) largest = fmaxf(largest, fabsf(w[j]));
        double d = f16_to_f32(f32_to_f16(largest / 127));
        double bound = d * 0.5001 + (fabs((double)w[i]) > 127 * d ? fabs((double)w[i]) - 127 * d : 0);
        if (fabs((double)w[i] - back[i]) > bound)
            fail_msg("scale %g weight %zu: %.9g came back as %.9g", (double)scale, i, (double)w[i], (double)back[i]);
    }
}

static void test_q8_0(void **state) {
    (void)state;
    const float scales[] = {1, 0.02f, 1000, 1e-4f, 3e-5f, 1e-9f, 0};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) q8_0_round_trip(scales[i]);

    float w[BLOCK] = {0}, back[BLOCK];
    uint8_t block[34];
    for (int i = 0; i < BLOCK; i++) w[i] = (float)(i - 16);
    w[0] = 127, w[1] = -127, w[2] = 0.5f, w[3] = 1.5f, w[4] = -2.5f;
    type_from_f32(TYPE_Q8_0, w, block, BLOCK);
    const uint8_t want[] = {0x00, 0x3c, 127, 129, 0, 2, 254, (uint8_t)-11}; /* d = 1; ties to even */
    for (size_t i = 0; i < sizeof want; i++)
        if (block[i] != want[i]) fail_msg("Q8_0 byte %zu is %d, expected %d", i, block[i], want[i]);

    w[7] = NAN, w[9] = INFINITY, w[11] = -INFINITY; /* no meaning, but no crash either */
    type_from_f32(TYPE_Q8_0, w, block, BLOCK);
    memset(block, 0xff, sizeof block);
    type_to_f32(TYPE_Q8_0, block, back, BLOCK);
    assert_true(isnan(back[0]));
}

/* Rows lie at any byte in a mapped file. */
static void test_unaligned(void **state) {
    (void)state;
    const enum tensor_type types[] = {TYPE_F32, TYPE_F16, TYPE_BF16, TYPE_Q8_0};
    float w[64], back[64], again[64];
    uint8_t bytes[64 * 4 + 1], aligned[64 * 4];
    for (size_t i = 0; i < 64; i++) w[i] = (float)rng_uniform(6, i);
    for (size_t t = 0; t < 4; t++) {
        type_from_f32(types[t], w, bytes + 1, 64);
        type_from_f32(types[t], w, aligned, 64);
        assert_memory_equal(bytes + 1, aligned, type_row_bytes(types[t], 64));
        type_to_f32(types[t], bytes + 1, back, 64);
        type_to_f32(types[t], aligned, again, 64);
        assert_memory_equal(back, again, sizeof back);
        for (size_t i = 0; i < 64; i++) assert_true(fabsf(back[i] - w[i]) < 0.005f);
        type_to_f32(types[t], bytes + 1, NULL, 0);
        type_from_f32(types[t], NULL, bytes + 1, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),         cmocka_unit_test(test_every_half), cmocka_unit_test(test_f16_rounding),
        cmocka_unit_test(test_bf16_rounding), cmocka_unit_test(test_q8_0),       cmocka_unit_test(test_unaligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
