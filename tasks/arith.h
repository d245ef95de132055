/* arith.h: what arith.c and arith_gen.c share: expressions of whole numbers as lists of items.
 * Not for others than tasks/.
 * Next: arith.c. */
#ifndef PONDER_ARITH_H
#define PONDER_ARITH_H

#include "tasks/steps.h"

typedef __int128 wide; /* 38 digits */

enum { ARITH_ITEMS = 128, ARITH_STEP = 4096 };

struct item {
    char op; /* + - * / ( ) and ~, the minus before a bracket; 0: a number */
    wide value;
};
struct arith {
    int n;
    struct item items[ARITH_ITEMS];
};

/* Text of a number, its last digit first when reversed; the length. */
size_t arith_number(wide v, bool reversed, char out[48]);
bool arith_read(const char *text, void *own, char why[96]);
void arith_write(const void *own, char *out);
/* x op y; false for a division by zero and for more than 38 digits. */
bool arith_apply(wide x, char op, wide y, wide *out);
/* May the operation at items[i] be done now?  The first that may (0: none); doing it; its step as text (0: it cannot
 * be done). */
bool arith_reducible(const struct arith *a, int i);
int arith_first(const struct arith *a);
bool arith_reduce(struct arith *a, int i);
size_t arith_step(const struct arith *a, int i, char *out, size_t cap);
bool arith_value(const struct arith *a, wide *out);

enum status chain_sum_generate(const struct task *t, uint64_t key, const struct task_draw *d, struct problem *p,
                               struct error *e);
enum status basic_arithmetic_generate(const struct task *t, uint64_t key, const struct task_draw *d, struct problem *p,
                                      struct error *e);
enum status multistep_generate(const struct task *t, uint64_t key, const struct task_draw *d, struct problem *p,
                               struct error *e);
void arith_example(const struct problem *p, uint64_t key, struct lesson *out);
extern const struct knob chain_sum_knobs[], basic_arithmetic_knobs[], multistep_knobs[];

#endif
