/* countdown.h: the numbers game.  Reach the target from 3 to 9 numbers with + - * /, each number used once.  Game of 24
 * is the case of four numbers from 1 to 13 and target 24.  Exact over rationals.
 * Not a search: the oracle here serves tests, calibration and training data, never a strategy (unless --prm oracle).
 * Next: task.h, the face that cli and train see.
 *
 * Text form, one step per line; the line ends with the separator, the last line with the end token:
 *   prompt   " 4 7 8 8 -> 24\n"
 *   step     " 8 / 8 = 1 ; 1 4 7\n"      operands, result; then what is left, ascending
 *   step     " 7 - 1 = 6 ; 4 6\n"
 *   last     " 4 * 6 = 24 ; 24"
 * A fraction is written 8/3 without spaces; the operator / has spaces on both sides. */
#ifndef PONDER_COUNTDOWN_H
#define PONDER_COUNTDOWN_H

#include <stddef.h>

#include "base/status.h"
#include "tasks/ratio.h"

enum { CD_MIN = 3, CD_MAX = 9, CD_STEP_TEXT = 160, CD_TEXT = 1024 };

struct cd_problem {
    int n;               /* CD_MIN..CD_MAX */
    int numbers[CD_MAX]; /* 1..9999, kept in the order given */
    int target;          /* 1..9999 */
};

/* What is left to use: n values in ascending order. */
struct cd_state {
    int n;
    struct ratio left[CD_MAX];
};

/* left[i] op left[j], i != j.  Legal moves keep values >= 0; of the two orders of + and * only i < j is legal. */
struct cd_move {
    int i, j;
    char op;
};

enum { CD_MAX_MOVES = CD_MAX * (CD_MAX - 1) * 3 };

/* "4 7 8 8", "4,7,8,8", "4 7 8 8 -> 24", "4 7 8 8 = 24"; without a target `target` is taken.  One clear line on bad
 * input (what was found, what is allowed). */
enum status cd_parse(const char *text, int target, struct cd_problem *p, struct error *e);
struct cd_state cd_start(const struct cd_problem *p); /* sorted */

/* True for what is never trained on: four numbers, all in 1..13, target 24. */
bool cd_is_held_out(const struct cd_problem *p);

/* All legal moves of a state, in a fixed order (pairs i < j, then + - * /); moves with equal operand values and op are
 * listed once, so distinct moves have distinct step texts.  Returns the count. */
int cd_moves(const struct cd_state *s, struct cd_move moves[CD_MAX_MOVES]);
/* Applies a legal move; false (and *next untouched) on overflow or division by zero.  next may be s. */
bool cd_apply(const struct cd_state *s, struct cd_move m, struct cd_state *next);

/* Text. Return the length without the NUL; buffers of CD_STEP_TEXT / CD_TEXT always suffice, smaller ones truncate.
 * The prompt lists the numbers ascending, as every later line does.  The step text has no line end: the caller appends
 * the separator. */
size_t cd_prompt(const struct cd_problem *p, char *text, size_t cap);
size_t cd_step_text(const struct cd_state *s, struct cd_move m, char *text, size_t cap);

/* One step as written, each value in lowest terms, rest ascending; nothing in it is checked yet. */
struct cd_step {
    struct ratio a, b, result;
    char op;
    int n_rest;
    struct ratio rest[CD_MAX];
};
/* Reads "a op b = result ; rest"; false when the line has another form.  size: bytes of line, which may hold anything.
 * */
bool cd_step_read(const char *line, size_t size, struct cd_step *step);

/* Reads one step (surrounding blanks and a line end are allowed): *next is what is left after it.  False when it does
 * not parse, uses a number that is not there, computes wrongly or states a wrong remainder.  Any order of operands and
 * any legal rational arithmetic is accepted, negative values too.  next may be s; it is untouched on false. */
bool cd_step_check(const struct cd_state *s, const char *line, size_t size, struct cd_state *next);

/* How far a solution text (lines after the prompt) is right: number of leading correct steps into *n_ok (may be NULL),
 * the state after them into *end (may be NULL).  True when every line is right, one number is left and it is the
 * target. */
bool cd_check(const struct cd_problem *p, const char *text, int *n_ok, struct cd_state *end);

/* The steps as one expression, "4 * (7 - 8 / 8)", parentheses only where needed.  canonical: operands of + and * in a
 * fixed order (for votes).  Returns 0 and "" when the steps are not a correct chain down to one number. */
size_t cd_expression(const struct cd_problem *p, const char *text, bool canonical, char *out, size_t cap);
/* Checks a final expression written by anyone: each number exactly once, value equals the target; e says why not. */
bool cd_check_expression(const struct cd_problem *p, const char *expression, struct error *e);
/* The same for the published wordings: digits, + - * /, brackets and blanks only, no "= 24"; signs before a number or
 * a bracket. */
bool cd_check_posed(const struct cd_problem *p, const char *expression, struct error *e);

/* Oracle, by exhaustive search over legal moves: number of distinct move sequences from s that end in the target (0:
 * unreachable).  stop_at_first returns 0 or 1 fast. */
long cd_count_solutions(const struct cd_state *s, int target, bool stop_at_first);
/* One solution drawn uniformly from those sequences with `key`; moves[] relative to the successive states; false:
 * none. */
bool cd_random_solution(const struct cd_state *s, int target, uint64_t key, struct cd_move moves[CD_MAX - 1]);

#endif
