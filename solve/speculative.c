/* speculative.c: see speculative.h.
 * Not a loop: cmd_run.c and talk.c have it.
 * Next: model/speculate.c. */
#include "solve/speculative.h"

#include <stdio.h>

static enum status open_draft(const char *name, const struct session *session, struct loaded *l, struct error *e) {
    enum status st = session_open_model(name, "policy", &l->model, e);
    if (st) return st;
    const struct model *m = l->model;
    bool same;
    if (!m->lm_head)
        return error_set(e, ERR_INPUT, "%s: a reward model, which predicts no tokens; --model-draft wants a policy",
                         gguf_name(m->file));
    if ((st = session_same_tokens(session->tok, m->file, &same, e))) return st;
    if (!same)
        return error_set(e, ERR_INPUT, "--model-draft %s: it has other tokens than %s; both must have one vocabulary",
                         gguf_name(m->file), gguf_name(session->policy.model->file));
    /* A shorter context only ends the guessing. */
    uint32_t ctx = m->config.n_ctx < session->ctx ? m->config.n_ctx : session->ctx;
    struct engine_params p = {
        .n_pages = (ctx + KV_PAGE - 1) / KV_PAGE + 1, .n_seqs = 1, .max_tokens = ctx, .max_rows = 512};
    st = engine_new(l->model, session->team, &p, &l->engine, e);
    return st ? st : engine_client_new(l->engine, NULL, &l->client, e);
}

static void adjust(void *arg, const int32_t *ids, size_t n_ids, float *logits) {
    sampling_adjust(arg, ids, n_ids, logits);
}

enum status speculative_open(const struct speculative_options *o, const struct session *session, struct speculative *s,
                             struct error *e) {
    *s = (struct speculative){.o = o, .session = session};
    if (o->model && o->lookup) return error_set(e, ERR_INPUT, "--model-draft and --lookup: give one of them");
    if (o->least > o->most)
        return error_set(e, ERR_INPUT, "--draft-min %lld: more than --draft-max %lld", (long long)o->least,
                         (long long)o->most);
    return o->model ? open_draft(o->model, session, &s->draft, e) : OK;
}

enum status speculative_begin(struct speculative *s, struct sampling *sampling, uint32_t seq, struct error *e) {
    const struct speculative_options *o = s->o;
    if (!o->model && !o->lookup) return OK;
    struct speculate_params p = {.target = s->session->policy.client,
                                 .draft = s->draft.client,
                                 .seq = seq,
                                 .sampling = sampling_params(sampling),
                                 .key = sampling->key,
                                 .draft_max = (uint32_t)o->most,
                                 .draft_min = (uint32_t)o->least,
                                 .p_min = (float)o->p_min,
                                 .adjust = adjust,
                                 .arg = sampling};
    return speculate_new(&p, &s->speculator, e);
}

void speculative_close(struct speculative *s) {
    speculate_free(&s->speculator);
    if (s->draft.client) engine_client_free(&s->draft.client);
    if (s->draft.engine) engine_free(&s->draft.engine);
    if (s->draft.model) model_close(&s->draft.model);
}

void speculative_report(const struct speculative *s, uint64_t n_tokens) {
    struct speculate_stats t = speculate_stats(s->speculator);
    fprintf(stderr, "guessed: %llu tokens, %llu right (%.1f %%); %llu passes, %.2f tokens each\n",
            (unsigned long long)t.drafted, (unsigned long long)t.accepted,
            t.drafted ? 100 * (double)t.accepted / (double)t.drafted : 0, (unsigned long long)t.passes,
            t.passes ? (double)n_tokens / (double)t.passes : 0);
}
