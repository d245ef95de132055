/* speculative.c: see speculative.h.
 * Not a loop: model/write.c.
 * Next: model/speculate.c. */
#include "solve/speculative.h"

static enum status open_draft(const char *name, const struct session *session, struct loaded *l, struct error *e) {
    enum status st = session_open_draft(name, session, l, e);
    if (st) return st;
    const struct model *m = l->model;
    /* A shorter context only ends the guessing. */
    uint32_t ctx = m->config.n_ctx < session->ctx ? m->config.n_ctx : session->ctx;
    struct engine_params p = {
        .n_pages = (ctx + KV_PAGE - 1) / KV_PAGE + 1, .n_seqs = 1, .max_tokens = ctx, .max_rows = 512};
    st = engine_new(l->model, session->team, &p, &l->engine, e);
    return st ? st : engine_client_new(l->engine, NULL, &l->client, e);
}

enum status speculative_check(const struct speculative_options *o, struct error *e) {
    if (o->model && o->lookup) return error_set(e, ERR_INPUT, "--model-draft and --lookup: give one of them");
    if (o->min > o->max)
        return error_set(e, ERR_INPUT, "--draft-min %lld: more than --draft-max %lld", (long long)o->min,
                         (long long)o->max);
    return OK;
}

enum status speculative_open(const struct speculative_options *o, const struct session *session, struct speculative *s,
                             struct error *e) {
    *s = (struct speculative){0};
    enum status st = speculative_check(o, e);
    if (!st && o->model) st = open_draft(o->model, session, &s->draft, e);
    if (st || (!o->model && !o->lookup)) return st;
    struct speculate_params p = {.draft = s->draft.client,
                                 .n_vocab = engine_n_out(session->policy.engine),
                                 .draft_max = (uint32_t)o->max,
                                 .draft_min = (uint32_t)o->min,
                                 .p_min = (float)o->p_min};
    s->max_guesses = p.draft_max;
    return speculate_new(&p, &s->speculator, e);
}

void speculative_close(struct speculative *s) {
    speculate_free(&s->speculator);
    if (s->draft.client) engine_client_free(&s->draft.client);
    if (s->draft.engine) engine_free(&s->draft.engine);
    if (s->draft.model) model_close(&s->draft.model);
}
