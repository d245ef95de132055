/* judge.c: N chains, and a generative judge that reads their answers and says which is right: pairs in both orders, a knock-out
 * or a round robin of them, or one list (Zheng et al. 2023; Toshniwal et al. 2025, GenSelect).
 * Not values of single chains: --verifier judge, prm/judge_writes.c.
 * Next: refine.c, which lets the policy write again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "search/search_internal.h"

enum form { FORM_KNOCKOUT, FORM_ALL, FORM_LIST };
struct judge_params {
    uint32_t form;
    uint32_t reply; /* most tokens of a reply */
    struct usual_params usual;
};

enum { CHAINS = 8, MOST_LISTED = 9 };

struct court {
    struct run *r;
    const struct judge_params *p;
    struct tally *answers; /* [n] each with the chain that speaks for it, more votes first */
    uint32_t n;
    uint64_t n_asked, n_ties;
};

/* "Solution 1:\n...\n\nSolution 2:\n..." for mem_free; NULL: no memory. */
static char *listed(const struct court *c, const uint32_t *which, uint32_t n) {
    char *text = NULL, *chains[MOST_LISTED] = {NULL};
    size_t size = 1, len = 0;
    bool good = true;
    for (uint32_t i = 0; i < n; i++) {
        good &= (chains[i] = run_chain_text(c->r, c->answers[which[i]].node)) != NULL;
        size += good ? strlen(chains[i]) + 32 : 0;
    }
    if (good && (text = mem_new(size, 1)))
        for (uint32_t i = 0; i < n; i++)
            len += (size_t)snprintf(text + len, size - len, "%sSolution %u:\n%s", i ? "\n\n" : "", i + 1, chains[i]);
    for (uint32_t i = 0; i < n; i++) mem_free(chains[i]);
    return text;
}

/* The first number of a reply, if it is one of 1 to n; else 0. */
static uint32_t choice_of(const char *reply, uint32_t n) {
    reply += strcspn(reply, "0123456789");
    unsigned long x = strtoul(reply, NULL, 10);
    return x >= 1 && x <= n ? (uint32_t)x : 0;
}

/* chosen[i]: which of the solutions of order i is the right one; 0: nothing was said. */
static enum status ask(struct court *c, uint32_t (*orders)[MOST_LISTED], uint32_t n_orders, uint32_t n,
                       uint32_t *chosen) {
    struct question q[MOST_QUESTIONS] = {{.ask = {.ask = ASK_COMPARE}}};
    enum status s = OK;
    char *texts[MOST_QUESTIONS] = {NULL};
    for (uint32_t i = 0; i < n_orders && !s; i++) {
        if (!(texts[i] = listed(c, orders[i], n))) s = error_set(c->r->e, ERR_MEMORY, "no memory for solutions");
        q[i] = (struct question){.ask = {.ask = ASK_COMPARE, .note = texts[i]},
                                 .key = rng_fold(~c->r->t->nodes[0].key, c->n_asked++),
                                 .max_steps = 1,
                                 .max_tokens = c->p->reply};
    }
    if (!s) s = run_ask(c->r, q, n_orders);
    for (uint32_t i = 0; i < n_orders; i++) {
        chosen[i] = s ? 0 : choice_of(q[i].reply, n);
        mem_free(texts[i]);
    }
    return s;
}

/* +1: a, -1: b, 0: a tie, where the two orders disagree or nothing is said. */
static enum status compare(struct court *c, uint32_t a, uint32_t b, int *better) {
    uint32_t orders[2][MOST_LISTED] = {{a, b}, {b, a}}, chosen[2];
    enum status s = ask(c, orders, 2, 2, chosen);
    *better = chosen[0] == 1 && chosen[1] == 2 ? 1 : chosen[0] == 2 && chosen[1] == 1 ? -1 : 0;
    c->n_ties += !*better;
    return s;
}

/* Pairs of neighbours, round by round; ties go to the answer with more votes. */
static enum status knock_out(struct court *c, double *points) {
    enum status s = OK;
    uint32_t *left = mem_new(c->n, sizeof *left), n = c->n;
    if (!left) return error_set(c->r->e, ERR_MEMORY, "no memory for %u answers", c->n);
    for (uint32_t i = 0; i < n; i++) left[i] = i;
    for (double round = 1; n > 1 && !s && run_go(c->r); round++) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < n && !s && run_go(c->r); i += 2) {
            int better = 1;
            if (i + 1 < n) s = compare(c, left[i], left[i + 1], &better);
            left[kept++] = better >= 0 ? left[i] : left[i + 1];
            points[left[kept - 1]] = round;
        }
        n = kept;
    }
    mem_free(left);
    return s;
}

static enum status round_robin(struct court *c, double *points) {
    enum status s = OK;
    for (uint32_t a = 0; a < c->n; a++)
        for (uint32_t b = a + 1; b < c->n && !s && run_go(c->r); b++) {
            int better;
            s = compare(c, a, b, &better);
            points[a] += (1 + better) / 2.0, points[b] += (1 - better) / 2.0;
        }
    return s;
}

static enum status list_all(struct court *c, double *points) {
    uint32_t order[1][MOST_LISTED], n = c->n < MOST_LISTED ? c->n : MOST_LISTED, chosen = 0;
    for (uint32_t i = 0; i < n; i++) order[0][i] = i;
    enum status s = ask(c, order, 1, n, &chosen);
    if (chosen) points[chosen - 1] = 1;
    c->n_ties += !chosen;
    return s;
}

/* The judgement is the value of the chains that stand for the answers; one that was cut short leaves the vote. */
static enum status judge(struct court *c) {
    static enum status (*const forms[])(struct court *, double *) = {knock_out, round_robin, list_all};
    double *points = mem_new(c->n, sizeof *points), most = 0;
    if (!points) return error_set(c->r->e, ERR_MEMORY, "no memory for %u answers", c->n);
    enum status s = forms[c->p->form](c, points);
    for (uint32_t i = 0; i < c->n; i++) most = points[i] > most ? points[i] : most;
    for (uint32_t i = 0; i < c->n && most > 0 && !s && !c->r->stopped; i++) {
        run_set_value(c->r, c->answers[i].node, (float)(points[i] / most));
        c->r->pick = PICK_BEST;
    }
    mem_free(points);
    return s;
}

static enum status judge_run(struct run *r, const void *params) {
    const struct judge_params *p = params;
    struct court c = {.r = r, .p = p};
    struct wave w = {0};
    r->score = SCORE_NONE;
    enum status s = wave_open(r, &w, &p->usual, CHAINS, 1);
    r->pick = PICK_MAJORITY;
    for (uint64_t left = w.cap; !s && wave_begin(r, &w, &left);) s = wave_finish(r, &w);
    if (!s && !(c.answers = mem_new(r->t->n, sizeof *c.answers)))
        s = error_set(r->e, ERR_MEMORY, "no memory for the answers of %u nodes", r->t->n);
    if (!s) c.n = search_tally(r->t, PICK_MAJORITY, c.answers);
    if (!s && c.n > 1 && run_go(r)) s = judge(&c);
    run_note(r, "judgements", (double)c.n_asked);
    run_note(r, "ties", (double)c.n_ties);
    mem_free(c.answers);
    wave_close(&w);
    return s;
}

static struct search_room judge_room(const struct search_params *common, const void *params) {
    struct search_room room = wave_room(common, &((const struct judge_params *)params)->usual, CHAINS);
    room.branches += MOST_QUESTIONS, room.nodes += MOST_QUESTIONS;
    return room;
}

/* clang-format off */
static const struct param judge_params[] = {
    {"form", "pairs, whose winners meet again; all pairs; or one list of all answers", PARAM_CHOICE, offsetof(struct judge_params, form), 0, 0, "knockout|all|list"},
    {"reply", "most tokens of a judgement", PARAM_COUNT, offsetof(struct judge_params, reply), 1, 65536, NULL},
    USUAL_BATCH(struct judge_params, usual),
    {0},
};
/* clang-format on */
static const struct judge_params defaults = {.reply = 64, .usual = USUAL(PICK_BEST)};

const struct strategy strategy_judge = {
    .name = "judge",
    .summary = "N sampled chains; the policy reads their answers and says which is right",
    .source =
        "Zheng et al. 2023, arXiv 2306.05685 (pairs, both orders); Toshniwal et al. 2025, arXiv 2507.17797 (list)",
    .unit = "chains",
    .needs = CAN_ANSWER | CAN_ASK << ASK_COMPARE,
    .simulations = {8, 8},
    .params = judge_params,
    .defaults = &defaults,
    .size = sizeof defaults,
    .room = judge_room,
    .run = judge_run,
};
