/* ops.c: fills the kernel tables once, by what the CPU can do and what PONDER_ISA asks for.
 * Not kernels.
 * Next: scalar.c. */
#include "ops/ops.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ops/isa.h"

enum { SCALAR, AVX2, AVX_VNNI, AVX512, NEON, NEON_DOT, NEON_I8MM, N_TABLES };

const char *const ops_names[] = {
    [SCALAR] = "scalar", [AVX2] = "avx2",         [AVX_VNNI] = "avx-vnni",    [AVX512] = "avx512",
    [NEON] = "neon",     [NEON_DOT] = "neon-dot", [NEON_I8MM] = "neon-i8mm", [N_TABLES] = NULL};

/* Written once under `once`, constant afterwards. */
static struct ops tables[N_TABLES]; /* name NULL: this CPU or build does not have it */
static const struct ops *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct ops *find(const char *name) {
    for (int i = 0; name && i < N_TABLES; i++)
        if (tables[i].name && strcmp(tables[i].name, name) == 0) return &tables[i];
    return NULL;
}

#if defined(__x86_64__)
/* The builtin also asks whether the system saves the wide registers; clang 14's does not know f16c by name. */
static bool cpu_has_avx2(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_F16C)) return false;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* The name of this one is not known to gcc 12's builtin. */
static bool cpu_has_avxvnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & bit_AVXVNNI);
}

/* What the integer products need; 512-bit registers alone are not worth it. */
static bool cpu_has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}
#endif

static void fill(void) {
    ops_fill_scalar(&tables[SCALAR]);
    chosen = &tables[SCALAR];
#if defined(__x86_64__)
    if (cpu_has_avx2()) {
        ops_fill_scalar(&tables[AVX2]);
        ops_fill_avx2(&tables[AVX2]);
        chosen = &tables[AVX2];
        if (cpu_has_avxvnni()) {
            tables[AVX_VNNI] = tables[AVX2];
            ops_fill_avxvnni(&tables[AVX_VNNI]);
            chosen = &tables[AVX_VNNI];
        }
        if (cpu_has_avx512()) {
            tables[AVX512] = tables[AVX2];
            ops_fill_avx512(&tables[AVX512]);
            chosen = &tables[AVX512];
        }
    }
#elif defined(__aarch64__)
    ops_fill_scalar(&tables[NEON]);
    ops_fill_neon(&tables[NEON]);
    chosen = &tables[NEON];
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) {
        tables[NEON_DOT] = tables[NEON];
        ops_fill_neon_dot(&tables[NEON_DOT]);
        chosen = &tables[NEON_DOT];
        if (getauxval(AT_HWCAP2) & HWCAP2_I8MM) {
            tables[NEON_I8MM] = tables[NEON_DOT];
            ops_fill_neon_i8mm(&tables[NEON_I8MM]);
            chosen = &tables[NEON_I8MM];
        }
    }
#endif
    /* All tables give the same bits, so a name that is not here costs speed only; the cli checks it by ops_by_name. */
    const struct ops *named = find(getenv("PONDER_ISA"));
    if (named) chosen = named;
}

const struct ops *ops_get(void) {
    pthread_once(&once, fill);
    return chosen;
}

const struct ops *ops_by_name(const char *name) {
    pthread_once(&once, fill);
    return find(name);
}
