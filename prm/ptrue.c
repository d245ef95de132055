/* ptrue.c: see ptrue.h.
 * Not a prompt that a task may change: one wording, so that values compare.
 * Next: search/eval_model.c. */
#include "prm/ptrue.h"

#include <string.h>

#include "base/mem.h"
#include "prm/prm.h"

static const char QUESTION[] = "Is the solution above right, as far as it goes? Answer with one word, True or False.";
static const char PLAIN[] =
    "\n\nQuestion: Is the solution above right, as far as it goes? Answer with one word, True or False.\nAnswer:";
static const char MARK[] = "[[ptrue]]";

/* What the template puts after an assistant's answer and a question to it: own text, whose control tokens count. */
static enum status chat_text(const struct chat *c, char **out, struct error *e) {
    struct jinja_text x = {0};
    json_t *given = json_pack("{s:[{s:s,s:s},{s:s,s:s},{s:s,s:s}],s:b,s:b}", "messages", "role", "user", "content", "?",
                              "role", "assistant", "content", MARK, "role", "user", "content", QUESTION,
                              "add_generation_prompt", 1, "enable_thinking", 0);
    *out = NULL;
    enum status s = given ? chat_render(c, given, 0, &x, e) : error_set(e, ERR_MEMORY, "no memory for a conversation");
    const char *hit = s ? NULL : memmem(x.text, x.size, MARK, strlen(MARK));
    if (!s && !hit) s = error_set(e, ERR_INPUT, "the chat template leaves out an earlier answer: P(True) cannot ask");
    if (!s && !(*out = mem_string(hit + strlen(MARK)))) s = error_set(e, ERR_MEMORY, "no memory for a question");
    json_decref(given);
    jinja_text_free(&x);
    return s;
}

/* Ids of question + word, for mem_free. */
static enum status encode(const struct tok *t, const char *question, const char *word, int32_t **ids, size_t *n,
                          struct error *e) {
    char text[4096];
    size_t size = (size_t)snprintf(text, sizeof text, "%s%s", question, word);
    if (size >= sizeof text) return error_set(e, ERR_INPUT, "the chat template makes %zu bytes of a question", size);
    enum status s = tok_encode(t, text, size, true, false, NULL, 0, n, e);
    if (s) return s;
    if (!(*ids = mem_new(*n, sizeof **ids))) return error_set(e, ERR_MEMORY, "no memory for %zu tokens", *n);
    return tok_encode(t, text, size, true, false, *ids, *n, n, e);
}

/* The ids that both endings share are read; where they part, the two words are compared. */
static enum status set_words(const struct tok *t, const char *question, bool spaced, struct ptrue *p, struct error *e) {
    int32_t *no = NULL;
    size_t n_yes, n_no;
    enum status s = encode(t, question, spaced ? " True" : "True", &p->ids, &n_yes, e);
    if (!s) s = encode(t, question, spaced ? " False" : "False", &no, &n_no, e);
    for (p->n = 0; !s && p->n < n_yes && p->n < n_no && p->ids[p->n] == no[p->n];) p->n++;
    if (!s && (p->n == n_yes || p->n == n_no || !p->n))
        s = error_set(e, ERR_INPUT, "the vocabulary does not tell \"True\" from \"False\": P(True) cannot ask");
    if (!s) p->yes = p->ids[p->n], p->no = no[p->n];
    mem_free(no);
    return s;
}

enum status ptrue_open(const struct tok *t, const struct chat *chat, struct ptrue **out, struct error *e) {
    char *text = NULL;
    *out = NULL;
    struct ptrue *p = mem_new(1, sizeof *p);
    if (!p) return error_set(e, ERR_MEMORY, "no memory for a question");
    enum status s = chat ? chat_text(chat, &text, e) : OK;
    if (!s) s = set_words(t, chat ? text : PLAIN, !chat, p, e);
    mem_free(text);
    if (s) ptrue_close(&p);
    *out = p;
    return s;
}

void ptrue_close(struct ptrue **p) {
    if (!*p) return;
    mem_free((*p)->ids);
    mem_free(*p);
    *p = NULL;
}

float ptrue_value(const struct ptrue *p, const float *logits) { return prm_value(logits[p->yes] - logits[p->no]); }
