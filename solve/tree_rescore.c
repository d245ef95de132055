/* tree_rescore.c: see tree_rescore.h.
 * Not how a reward model is asked: prm/reader.h.
 * Next: cli/cmd_tree.c.
 *
 * The tree is walked in pre-order.  The chain of the node at depth d is slot d of the judge: it forks that of its parent and
 * reads what is new. */
#include "solve/tree_rescore.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* A reward model without a policy. */
struct judging {
    struct model *model;
    struct tok *tok;
    struct prm_reader *reader;
    struct team *team;
    struct engine *engine;
    struct client *client;
    struct judge *judge;
    uint32_t deepest, longest; /* of the chains; tokens, the prompt's included */
    int32_t *open;             /* [longest] tokens of the step under way */
    bool *live;                /* [deepest + 1] slots */
};

static void measure(const struct saved_tree *f, struct judging *x) {
    const struct tree *t = &f->tree;
    for (uint32_t u = 1; u < t->n; u++) {
        uint32_t tokens = (uint32_t)f->n_prompt;
        for (uint32_t v = u; v; v = t->nodes[v].parent) tokens += t->nodes[v].n_tokens;
        if (tokens > x->longest) x->longest = tokens;
        if (t->nodes[u].depth > x->deepest) x->deepest = t->nodes[u].depth;
    }
}

/* Protocols of text read more tokens than the policy wrote; never more than twice as many and what they put around. */
static enum status open_model(const struct saved_tree *f, const struct problem *p, const struct rescore_options *o,
                              struct judging *x, struct error *e) {
    enum { AROUND = 1024 };
    enum status st = session_open_model(o->judge, "prm", &x->model, e);
    if (!st) st = tok_open(x->model->file, &x->tok, e);
    if (!st) st = prm_reader_open(x->model, o->prm_kind, &x->reader, e);
    if (st) return st;
    uint32_t ctx = 2 * x->longest + (uint32_t)strlen(p->text) + AROUND;
    if (ctx > x->model->config.n_ctx) ctx = x->model->config.n_ctx;
    struct engine_params ep = {.n_pages = (x->deepest + 3) * (ctx / KV_PAGE + 2),
                               .n_seqs = x->deepest + 3,
                               .max_tokens = ctx,
                               .max_rows = 512,
                               .exact = json_is_true(json_object_get(json_object_get(f->header, "session"), "exact")),
                               .kv_type = KV_I16};
    const char *kv = json_string_value(json_object_get(json_object_get(f->header, "session"), "cache_type_k"));
    struct session_options cache = {.cache_k = kv};
    if (!st) st = session_cache_type(&cache, &ep.kv_type, e);
    if (!st) st = team_new(o->threads > 0 ? o->threads : cpu_count(), &x->team, e);
    if (!st) st = engine_new(x->model, x->team, &ep, &x->engine, e);
    if (!st) st = engine_client_new(x->engine, NULL, &x->client, e);
    enum prm_agg agg = prm_reader_agg(x->reader);
    if (o->agg && !prm_agg_from_name(o->agg, &agg))
        return error_set(e, ERR_INPUT, "--agg: \"%.40s\" is none of last, min, product, mean", o->agg);
    struct judge_params jp = {.prm = x->client,
                              .reader = x->reader,
                              .tok = x->tok,
                              .agg = agg,
                              .n_slots = x->deepest + 1,
                              .max_batch = 1,
                              .max_tokens = ctx};
    if (!st) st = judge_open(&judge_prm, &jp, &x->judge, e);
    if (st) return st;
    x->live[0] = true;
    return x->judge->row->begin(x->judge, 0, p->text, f->prompt, (uint32_t)f->n_prompt, e);
}

static void close_model(struct judging *x) {
    for (uint32_t d = 0; x->judge && d <= x->deepest; d++)
        if (x->live[d]) x->judge->row->drop(x->judge, d);
    judge_close(&x->judge);
    if (x->client) engine_client_free(&x->client);
    if (x->engine) engine_free(&x->engine);
    if (x->team) team_free(&x->team);
    prm_reader_close(&x->reader);
    if (x->tok) tok_close(&x->tok);
    if (x->model) model_close(&x->model);
    mem_free(x->open), mem_free(x->live);
}

/* Tokens of the step that ends with node u: steps may have been made in parts.  Returns how many. */
static uint32_t step_tokens(const struct saved_tree *f, struct judging *x, uint32_t u) {
    const struct tree *t = &f->tree;
    uint32_t first = u, n = 0;
    while (t->nodes[t->nodes[first].parent].flags & NODE_PART) first = t->nodes[first].parent;
    for (uint32_t depth = t->nodes[first].depth; depth <= t->nodes[u].depth; depth++) {
        uint32_t v = u;
        while (t->nodes[v].depth > depth) v = t->nodes[v].parent;
        const struct tape_item *item = f->nodes[v].item;
        if (!item || !item->ids) return 0;
        memcpy(x->open + n, item->ids, item->n_tokens * sizeof *x->open);
        n += item->n_tokens;
    }
    return n;
}

static enum status value_by_model(const struct saved_tree *f, struct judging *x, uint32_t u, float *value,
                                  struct error *e) {
    const struct node *n = &f->tree.nodes[u];
    struct judge *j = x->judge;
    bool fits = true;
    for (uint32_t d = n->depth; d <= x->deepest && x->live[d]; d++) j->row->drop(j, d), x->live[d] = false;
    if (!j->row->fork(j, n->depth - 1, n->depth)) return error_set(e, ERR_FULL, "all KV sequences are in use");
    x->live[n->depth] = true;
    if (n->flags & NODE_PART) return OK;
    uint32_t n_tokens = step_tokens(f, x, u);
    if (!n_tokens)
        return n->n_tokens
                   ? error_set(e, ERR_INPUT, "%s:%zu: \"ids\" is missing: without its tokens a step cannot be valued",
                               f->path, f->nodes[u].line)
                   : OK;
    enum step_end end = f->nodes[u].item->end;
    struct prm_step step = {.tokens = x->open,
                            .n_tokens = n_tokens,
                            .text = n->text,
                            .size = strlen(n->text),
                            .ended = end == STEP_SEPARATOR || end == STEP_FINISHED};
    enum status s = j->row->step(j, n->depth, &step, &fits, e);
    if (s || !fits || (n->flags & (NODE_TRUNCATED | NODE_DEAD))) return s;
    struct judge_chain chain = {.slot = n->depth};
    return j->row->value(j, &chain, 1, value, e);
}

static enum status value_by_task(const struct saved_tree *f, const struct solver *s, const struct problem *p,
                                 const char *judge, uint32_t u, float *value, struct error *e) {
    char *text = solver_chain_text(s, &f->tree, u);
    if (!text) return error_set(e, ERR_MEMORY, "no memory for a chain");
    float v = !strcmp(judge, "oracle") ? problem_oracle(p, text) : problem_judge(p, text).reward;
    *value = v < 0 ? 0.5f : v > 0 ? fminf(v, 1) : 0; /* not known: neither good nor bad */
    mem_free(text);
    return OK;
}

static float value_by_logprob(const struct tree *t, uint32_t u) {
    double sum = 0, tokens = 0;
    for (; u; u = t->nodes[u].parent) sum += (double)t->nodes[u].logprob, tokens += t->nodes[u].n_tokens;
    return tokens > 0 ? (float)exp(sum / tokens) : 0.5f;
}

/* Over all pairs of finished chains. */
static double rank_correlation(const struct tree *t, const float *old) {
    double same = 0, ties_a = 0, ties_b = 0, pairs = 0;
    for (uint32_t u = 1; u < t->n; u++)
        for (uint32_t v = u + 1; (t->nodes[u].flags & NODE_FINISHED) && v < t->n; v++) {
            if (!(t->nodes[v].flags & NODE_FINISHED)) continue;
            int a = (old[u] > old[v]) - (old[u] < old[v]);
            int b = (t->nodes[u].value > t->nodes[v].value) - (t->nodes[u].value < t->nodes[v].value);
            same += a * b, ties_a += !a, ties_b += !b, pairs++;
        }
    double scale = sqrt((pairs - ties_a) * (pairs - ties_b));
    return scale > 0 ? same / scale : NAN;
}

static enum status value_all(struct saved_tree *f, const struct solver *s, const struct problem *p,
                             const struct rescore_options *o, struct judging *x, struct rescored *out,
                             struct error *e) {
    struct tree *t = &f->tree;
    enum status st = OK;
    uint32_t u = 0;
    for (;;) { /* pre-order */
        if (t->nodes[u].first_child) u = t->nodes[u].first_child;
        else {
            while (u && !t->nodes[u].next_sibling) u = t->nodes[u].parent;
            if (!u) break;
            u = t->nodes[u].next_sibling;
        }
        struct node *n = &t->nodes[u];
        float value = 0;
        if (x->judge) st = value_by_model(f, x, u, &value, e);
        else if (!strcmp(o->judge, "logprob")) value = value_by_logprob(t, u);
        else st = value_by_task(f, s, p, o->judge, u, &value, e);
        if (st) return st;
        out->n += !(n->flags & (NODE_TRUNCATED | NODE_DEAD | NODE_PART));
        if (n->flags & (NODE_TRUNCATED | NODE_DEAD | NODE_PART)) continue;
        n->value = value > 0 ? fminf(value, 1) : 0;
        out->n_had += !!(n->flags & NODE_SCORED);
        out->n_changed += (n->flags & NODE_SCORED) && n->value != out->old[u];
        n->flags = (n->flags | NODE_SCORED) & ~(uint32_t)(NODE_CHECKED_RIGHT | NODE_CHECKED_WRONG);
    }
    return OK;
}

enum status tree_rescore(struct saved_tree *f, const struct solver *s, const struct problem *p,
                         const struct rescore_options *o, struct rescored *out, struct error *e) {
    struct judging x = {0};
    *out = (struct rescored){.was = f->result};
    measure(f, &x);
    bool named = !strcmp(o->judge, "oracle") || !strcmp(o->judge, "check") || !strcmp(o->judge, "logprob");
    if (!strcmp(o->judge, "ptrue") || !strcmp(o->judge, "judge"))
        return error_set(e, ERR_INPUT,
                         "--judge %s: the policy is asked, which a saved tree does not need; give a reward model",
                         o->judge);
    if (!strcmp(o->judge, "oracle") && !s->task->oracle)
        return error_set(e, ERR_INPUT, "--judge oracle: nobody knows it for --task %s", s->task->name);
    if (!strcmp(o->judge, "check") && problem_verdict(p, "") == VERDICT_NONE)
        return error_set(e, ERR_INPUT, "--judge check: nobody knows the right answer");
    out->old = mem_new(f->tree.n, sizeof *out->old);
    x.open = mem_new(x.longest + 1, sizeof *x.open), x.live = mem_new(x.deepest + 2, sizeof *x.live);
    enum status st = out->old && x.open && x.live ? OK : error_set(e, ERR_MEMORY, "no memory to value a tree");
    for (uint32_t u = 0; u < f->tree.n && !st; u++) out->old[u] = f->tree.nodes[u].value;
    if (!st && !named) st = open_model(f, p, o, &x, e);
    if (!st) st = value_all(f, s, p, o, &x, out, e);
    if (!st) st = pick_answer(&f->tree, f->done ? f->result.pick : PICK_BEST, &out->result, e);
    if (!st) out->rank = rank_correlation(&f->tree, out->old), out->result.why = f->result.why;
    if (x.judge) out->cost.prm_tokens = x.judge->cost.tokens, out->cost.prm_flops = x.judge->cost.flops;
    close_model(&x);
    if (st) rescored_free(out);
    return st;
}

void rescored_free(struct rescored *r) {
    mem_free(r->old);
    r->old = NULL;
}
