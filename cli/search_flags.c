/* search_flags.c: see search_flags.h.
 * Not the checks: solver_setup says what is wrong, here it becomes an exit code.
 * Next: cmd_strategies.c, which prints the rows. */
#include "cli/search_flags.h"

#include <stdio.h>
#include <string.h>

#include "base/input.h"
#include "cli/cancel.h"
#include "cli/flags_sampling.h"
#include "solve/models.h"

/* clang-format off */
#define AT(field) offsetof(struct search_options, field)
const struct flag search_flags[] = {
    {"search", NULL, FLAG_TEXT, AT(search), NULL, 0, 0, "NAME", "the strategy, see: ponder strategies (default: mcts for the numbers game, else maj)"},
    {"budget", NULL, FLAG_INT, AT(budget), NULL, 1, 1e6, "N", "chains, beams or tree expansions"},
    {"max-tokens", NULL, FLAG_INT, AT(max_tokens), NULL, 1, 1e12, "N", "stop after so many tokens, policy + PRM"},
    {"max-gflops", NULL, FLAG_REAL, AT(max_gflops), NULL, 1e-6, 1e9, "X", "stop after so many GFLOP, policy + PRM"},
    {"max-ms", NULL, FLAG_INT, AT(max_ms), NULL, 1, 1e9, "N", "stop after so many milliseconds (then timing decides)"},
    {"agg", NULL, FLAG_CHOICE, AT(agg), NULL, 0, 0, "last|min|product|mean", "step values -> value of a chain (default: the model's)"},
    {"value-noise", NULL, FLAG_REAL, AT(value_noise), "0", 0, 1000, "X", "for studies: normal errors of this size on the log-odds of values"},
    {"step-delimiter", NULL, FLAG_TEXT, AT(delimiter), NULL, 0, 0, "TEXT", "what ends a step; \\n and \\t are read (default: the line end; a blank line for problems in words)"},
    {"max-step-tokens", NULL, FLAG_INT, AT(max_step_tokens), NULL, 1, 1 << 20, "N", "longer steps are given up (default 64; 256 for problems in words)"},
    {"max-depth", NULL, FLAG_INT, AT(max_depth), NULL, 1, 1 << 16, "N", "steps of a chain (default: as many as a puzzle can have; 32 for problems in words)"},
    {0},
};
const struct flag search_task_flags[] = {
    {"seed", "s", FLAG_INT, AT(seed), "1", 0, 9e15, "N", "same seed, same search"},
    {"task", NULL, FLAG_TEXT, AT(task), NULL, 0, 0, "NAME", "game24, countdown, math, gsm8k, code ...: docs/TASKS.md (default: game24; math for models of others)"},
    {"check", NULL, FLAG_YES, AT(check), NULL, 0, 0, NULL, "let the search ask the task's checker"},
    {"temp", NULL, FLAG_REAL, AT(temp), NULL, 0, 100, "X", "temperature of sampled steps"},
    {"top-k", NULL, FLAG_INT, AT(top_k), NULL, 0, 1e9, "N", "only the N likeliest; 0 = all"},
    {"top-p", NULL, FLAG_REAL, AT(top_p), NULL, 0, 1, "X", "only the likeliest with together this probability (default 1; 0.95 for problems in words)"},
    {"min-p", NULL, FLAG_REAL, AT(min_p), NULL, 0, 1, "X", "only tokens this likely, the best one being 1; 0 = all"},
    SAMPLING_MORE_FLAGS(struct search_options, words),
    {"lookup", NULL, FLAG_YES, AT(lookup), NULL, 0, 0, NULL, "guess what followed the last words where they stood in a chain before; the same chains"},
    {"draft-max", "draft", FLAG_INT, AT(draft_max), "8", 1, 64, "N", "with --lookup: tokens guessed at once"},
    {"raw", NULL, FLAG_YES, AT(raw), NULL, 0, 0, NULL, "problems in words: the text alone is the prompt, without chat template and instruction"},
    {"system-prompt", "sys", FLAG_TEXT, AT(system), NULL, 0, 0, "TEXT", "problems in words: the system message"},
    {0},
};
/* clang-format on */

enum { MOST_PARAMS = 96, HELP = 200 };
static struct flag made[MOST_PARAMS + 1]; /* by strategy_flags, once, from constant rows */
static char help[MOST_PARAMS][HELP];

static bool is_made(const char *name, int n) {
    for (int i = 0; i < n; i++)
        if (!strcmp(made[i].name, name)) return true;
    return false;
}

const struct flag *strategy_flags(void) {
    int n = 0;
    if (made[0].name) return made;
    for (const struct strategy *const *s = strategy_table; *s; s++)
        for (const struct param *p = (*s)->params; p && p->flag; p++) {
            char owners[HELP];
            if (n == MOST_PARAMS || is_made(p->flag, n)) continue;
            snprintf(help[n], HELP, "%.80s: %.110s", strategy_owners(p->flag, owners, sizeof owners), p->summary);
            made[n] = (struct flag){.name = p->flag, .kind = FLAG_SETTING, .at = AT(settings), .help = help[n]};
            made[n++].value = p->choices               ? p->choices
                              : p->kind == PARAM_YES   ? "yes|no"
                              : p->kind == PARAM_COUNT ? "N"
                                                       : "X";
        }
    return made;
}

static bool is_in(const struct flag *flag, const struct flag *table) {
    while (table->name && table != flag) table++;
    return table == flag && table->name;
}

const char *search_flag_given(const struct args *a) {
    for (int i = 0; i < a->n_given; i++)
        if (is_in(a->given[i], search_flags) || is_in(a->given[i], strategy_flags())) return a->given[i]->name;
    return NULL;
}

int search_setup(const struct args *a, const struct search_options *o, struct session_options *models,
                 struct solver *s) {
    struct error e;
    const struct task *task = o->task ? task_find(o->task) : NULL;
    if (o->task && !task) return args_wrong(a, "--task: \"%.60s\" is none of %s", o->task, task_names);
    struct trained known;
    if (!task && models_known(models->model, &known, &e)) return args_failed(a, e.text);
    if (!task && models_pick(&known, o->problem, &task, &e)) return args_wrong(a, "%s", e.text);
    for (int i = 0; !o->raw && i < o->words.stops.n; i++) /* run has done so, unless told not to; they get shorter */
        input_unescape((char *)o->words.stops.values[i]);
    if (solver_setup(s, task, o, &e) || solver_models(s, models, &e)) return args_wrong(a, "%s", e.text);
    s->common.cancel = cancel_install();
    return ARGS_GO_ON;
}
