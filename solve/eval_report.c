/* eval_report.c: see eval_report.h.
 * Not the table for people: cli/cmd_eval.c.
 * Next: results.c. */
#include "solve/eval_report.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "ops/ops.h"
#include "solve/report.h"

/* ---- header ---- */

static void cpu_name(char *text, size_t cap) {
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(text, cap, "unknown");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
            snprintf(text, cap, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"), strchr(line, ':') + 2);
            break;
        }
    if (f) fclose(f);
}

static json_t *hex(uint64_t hash) {
    char text[20];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    return json_string(text);
}

/* {"name","weights","flops_per_token"}: the file without folder and ending; all its weights; a token with its head,
 * without attention to others. */
static json_t *describe(const struct model *m) {
    const char *path = gguf_name(m->file), *slash = strrchr(path, '/'), *name = slash && slash[1] ? slash + 1 : path;
    size_t n = strlen(name), end = strlen(".gguf");
    uint64_t weights = 0;
    if (n > end && !strcmp(name + n - end, ".gguf")) n -= end;
    for (size_t i = 0; i < gguf_n_tensors(m->file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(m->file, i);
        weights += t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
    }
    return json_pack("{s:o,s:I,s:I}", "name", json_stringn(name, n), "weights", (json_int_t)weights, "flops_per_token",
                     (json_int_t)model_flops(m, 0, true));
}

static void add_surroundings(json_t *h, const struct eval_run *r, const char *commit) {
    const struct session *session = r->solver->session;
    char text[160], now[32];
    struct utsname host;
    struct tm utc;
    time_t t = time(NULL);
    json_object_set_new(h, "policy", describe(session->policy.model));
    if (session->prm.model) json_object_set_new(h, "reward_model", describe(session->prm.model));
    json_object_set_new(h, "git", json_string(commit));
    json_object_set_new(h, "host", json_string(uname(&host) ? "unknown" : host.nodename));
    cpu_name(text, sizeof text);
    json_object_set_new(h, "cpu", json_string(text));
    json_object_set_new(h, "kernels", json_string(ops_get()->name));
    json_object_set_new(h, "threads", json_integer(session->threads));
    json_object_set_new(h, "in_flight", json_integer(r->in_flight));
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &utc));
    json_object_set_new(h, "started", json_string(now));
}

enum status eval_header(const struct eval_run *r, const struct session_options *o, const char *commit, json_t **out,
                        struct error *e) {
    uint64_t policy, prm, draft;
    const struct session *session = r->solver->session;
    const struct problems *p = r->problems;
    enum status s = session_hash(o->model, "policy", &policy, e);
    if (!s && session->prm.model) s = session_hash(o->prm, "prm", &prm, e);
    if (!s && session->draft.model) s = session_hash(o->draft, "policy", &draft, e);
    if (s) return s;
    json_t *h = json_pack("{s:s,s:i}", "format", "ponder-results", "version", 1);
    json_object_set_new(h, "model", hex(policy));
    json_object_set_new(h, "prm", session->prm.model ? hex(prm) : json_string(session->oracle ? "oracle" : "none"));
    if (session->draft.model) json_object_set_new(h, "draft", hex(draft));
    json_object_set_new(h, "input", hex(p->hash));
    json_object_set_new(h, "problems", json_integer(p->n_all));
    if (p->n_shards) json_object_set_new(h, "shard", json_sprintf("%u/%u", p->shard, p->n_shards));
    json_object_update_new(h, report_settings(r->solver));
    add_surroundings(h, r, commit);
    *out = h;
    return h ? OK : error_set(e, ERR_MEMORY, "no memory for a header");
}

/* ---- summary ---- */

json_t *eval_summary_json(const struct eval_run *r, const struct summary *sum, const json_t *header) {
    const struct solver *s = r->solver;
    const struct ledger *c = &sum->cost;
    json_t *j = json_pack("{s:s,s:s,s:I,s:I,s:I,s:f,s:[f,f],s:I,s:I,s:I,s:I,s:f}", "task", s->task->name, "search",
                          s->strategy->name, "budget", (json_int_t)s->common.budget.simulations, "n",
                          (json_int_t)sum->n, "correct", (json_int_t)sum->correct, "accuracy", sum->accuracy, "ci95",
                          sum->ci95.low, sum->ci95.high, "generated_tokens", (json_int_t)c->generated_tokens,
                          "prm_tokens", (json_int_t)c->prm_tokens, "policy_flops", (json_int_t)c->policy_flops,
                          "prm_flops", (json_int_t)c->prm_flops, "seconds", r->seconds);
    json_t *why = json_object(), *ledger = json_object();
    for (int w = WHY_DONE; w <= WHY_ERROR; w++)
        if (sum->by_why[w]) json_object_set_new(why, why_name((enum why_stopped)w), json_integer(sum->by_why[w]));
    json_object_set_new(j, "median_ms", json_real(sum->median_ms));
    json_object_set_new(j, "p95_ms", json_real(sum->p95_ms));
    json_object_set_new(j, "why", why);
    report_add_ledger(ledger, c, true);
    json_object_update_missing(j, ledger); /* the fields that are not there yet */
    json_object_update_missing(j, (json_t *)header);
    json_decref(ledger);
    const char *of_the_file[] = {"format", "version", "started"};
    for (int i = 0; i < 3; i++) json_object_del(j, of_the_file[i]);
    return j;
}
