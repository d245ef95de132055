/* decompose.c: a problem is split into smaller questions, each is searched apart, and their answers stand in the prompt on
 * which the whole is solved (Zhou et al. 2022, least-to-most prompting; Khot et al. 2022).
 * Not a tree of steps: a part has a tree of its own, and only its last step is kept.
 * Next: judge.c. */
#include <string.h>

#include "base/buffer.h"
#include "base/rng.h"
#include "search/search_internal.h"

struct decompose_params {
    uint32_t parts, chains, plan; /* most parts; chains for each of them; most tokens of the split */
    struct usual_params usual;
};

enum { CHAINS = 8 };

/* The next line that says something, in place, without the mark or number that lists it; NULL: none. */
static char *next_line(char **text) {
    for (char *line; (line = strsep(text, "\n"));) {
        line += strspn(line, " \t-*");
        size_t number = strspn(line, "0123456789");
        if (number && (line[number] == '.' || line[number] == ')')) line += number + 1;
        line += strspn(line, " \t");
        line[strcspn(line, "\r")] = 0;
        if (*line) return line;
    }
    return NULL;
}

/* A vote of chains on the part's own prompt; "question: what the picked chain ends with" is known from now on. */
static enum status solve_part(struct run *r, const struct decompose_params *p, const char *question, uint64_t key,
                              struct buffer *known) {
    struct params defaults;
    struct asking a = {.ask = ASK_PART, .note = question};
    struct apart part = {.strategy = strategy_find("maj"), .budget.simulations = p->chains, .key = key};
    strategy_defaults(part.strategy, false, &defaults);
    enum status s = run_soft(r, run_begin(r, &a, 1));
    if (s || r->stopped) return s;
    part.root = a.branch, part.params = defaults.bytes;
    s = run_apart(r, &part);
    r->ev->drop(r->ev->self, &a.branch);
    if (*part.text) buffer_print(known, "%s: %s\n", question, part.text);
    return s;
}

/* Splits the problem and solves its parts; what is known of them is added to `known`. */
static enum status solve_parts(struct run *r, const struct decompose_params *p, struct buffer *known) {
    const uint64_t key = ~r->t->nodes[0].key;
    struct question q = {.ask = {.ask = ASK_DECOMPOSE}, .key = key, .max_tokens = p->plan};
    struct buffer plan = {0};
    uint32_t n = 0;
    enum status s = run_ask(r, &q, 1);
    buffer_text(&plan, s ? "" : q.reply);
    char *rest = plan.data, *question;
    while (!s && rest && n < p->parts && run_go(r) && (question = next_line(&rest)))
        s = solve_part(r, p, question, rng_fold(key, 1 + n++), known);
    if (!s && (plan.failed || known->failed)) s = error_set(r->e, ERR_MEMORY, "no memory for the parts of a problem");
    run_note(r, "parts", n);
    buffer_free(&plan);
    return s;
}

/* First steps of n chains on the prompt that shows what is known; they hang on the prompt's node, as their text stands alone. */
static enum status compose(struct run *r, struct wave *w, const char *known) {
    struct asking a = {.ask = ASK_COMPOSE, .note = known};
    enum status s = run_soft(r, run_begin(r, &a, 1));
    if (s || r->stopped) return s;
    uint32_t n = run_room(r, w->n);
    for (uint32_t i = 0; i < n && !s; i++) {
        branch_id b;
        do s = r->ev->fork(r->ev->self, a.branch, &b, r->e);
        while (run_retry(r, s));
        if (s) break;
        run_plan(r, 0, false);
        r->tries[r->n_tries - 1].branch = b;
    }
    s = run_soft(r, s);
    enum status grown = run_grow(r);
    if (r->n_made < r->n_tries) run_stop(r, WHY_KV_FULL);
    for (uint32_t i = r->n_made; i < r->n_tries; i++) r->ev->drop(r->ev->self, &r->tries[i].branch);
    r->ev->drop(r->ev->self, &a.branch);
    for (w->n = 0; w->n < r->n_made; w->n++) w->tips[w->n] = r->tries[w->n].child;
    if (!s) s = grown;
    return s ? s : run_settle(r);
}

static enum status decompose_run(struct run *r, const void *params) {
    const struct decompose_params *p = params;
    struct wave w = {0};
    struct buffer known = {0};
    if (r->score == SCORE_ALL) r->score = SCORE_FINISHED;
    enum status s = wave_open(r, &w, &p->usual, CHAINS, 1);
    if (!s && run_go(r)) s = solve_parts(r, p, &known);
    for (uint64_t left = w.cap; !s && wave_begin(r, &w, &left);) {
        if (known.n) s = compose(r, &w, known.data);
        if (!s) s = wave_finish(r, &w);
    }
    buffer_free(&known);
    wave_close(&w);
    return s;
}

static struct search_room decompose_room(const struct search_params *common, const void *params) {
    const struct decompose_params *p = params;
    struct search_room room = wave_room(common, &p->usual, CHAINS);
    uint32_t nodes = room_for_chains(common, p->chains);
    room.branches += p->chains + 2, room.nodes = room.nodes > nodes ? room.nodes : nodes;
    if (room.batch < p->chains) room.batch = p->chains < p->usual.batch ? p->chains : p->usual.batch;
    return room;
}

/* clang-format off */
static const struct param decompose_params[] = {
    {"parts", "most parts of a problem", PARAM_COUNT, offsetof(struct decompose_params, parts), 1, 64, NULL},
    {"part-chains", "chains that vote for the answer of a part", PARAM_COUNT, offsetof(struct decompose_params, chains), 1, 1024, NULL},
    {"plan-tokens", "most tokens of the list of parts", PARAM_COUNT, offsetof(struct decompose_params, plan), 1, 65536, NULL},
    USUAL_PARAMS(struct decompose_params, usual),
    {0},
};
/* clang-format on */
static const struct decompose_params defaults = {.parts = 4, .chains = 2, .plan = 128, .usual = USUAL(PICK_MAJORITY)};

const struct strategy strategy_decompose = {
    .name = "decompose",
    .summary = "smaller questions, each searched apart; chains that are told their answers vote",
    .source = "Zhou et al. 2022, arXiv 2205.10625; Khot et al. 2022, arXiv 2210.02406",
    .unit = "chains for the whole",
    .needs = CAN_ANSWER | CAN_ASK << ASK_DECOMPOSE | CAN_ASK << ASK_PART | CAN_ASK << ASK_COMPOSE,
    .simulations = {8, 8},
    .params = decompose_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = decompose_room,
    .run = decompose_run,
};
