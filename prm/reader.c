/* reader.c: a problem and its steps as the tokens that a reward model reads.
 * Not the table of protocols: protocol.c.
 * Next: search/eval_model.c.
 *
 * Control tokens come from the protocol or its chat template only: problem and steps are plain text.  Text between two
 * control tokens is encoded in one piece with what stands before it, so that the ids are those of the whole text. */
#include "prm/reader.h"

#include <string.h>

#include "base/mem.h"
#include "prm/protocol.h"
#include "tokenizer/template/chat.h"

/* A text of the protocol, cut at its control tokens. */
struct piece {
    char *start;  /* before the first of them; all of the text when there is none */
    int32_t *ids; /* [n_ids] from the first to the last, with what stands between */
    size_t n_ids;
    char *end; /* after the last; NULL: there is none */
};

struct prm_reader {
    const struct prm_protocol *row;
    enum prm_agg agg;
    struct tok *tok; /* the reward model's; NULL when it reads the policy's tokens */
    struct piece before, lead, join, tail;
    int32_t tag; /* the tail, when it is one token; -1: the piece is */
    char *after; /* text at the tail's end that what follows may be merged with */
};

/* ---- writing ---- */

struct writer {
    const struct tok *tok;
    int32_t *ids;
    size_t n, cap;
    char *run; /* [n_run] text since the last control token; ids hold its first n_done bytes already */
    size_t n_run, cap_run, n_done;
    struct error *e;
};

static enum status put_ids(struct writer *w, const int32_t *ids, size_t n) {
    if (w->n + n > w->cap) {
        size_t cap = 2 * w->cap + n + 64;
        int32_t *grown = mem_grow(w->ids, w->cap, cap, sizeof *grown);
        if (!grown) return error_set(w->e, ERR_MEMORY, "no memory for %zu tokens", cap);
        w->ids = grown, w->cap = cap;
    }
    if (n) memcpy(w->ids + w->n, ids, n * sizeof *ids);
    w->n += n;
    return OK;
}

static enum status put_text(struct writer *w, const char *text, size_t size) {
    if (w->n_run + size > w->cap_run) {
        size_t cap = 2 * w->cap_run + size + 256;
        char *grown = mem_grow(w->run, w->cap_run, cap, 1);
        if (!grown) return error_set(w->e, ERR_MEMORY, "no memory for a text of %zu bytes", cap);
        w->run = grown, w->cap_run = cap;
    }
    if (size) memcpy(w->run + w->n_run, text, size);
    w->n_run += size;
    return OK;
}

static enum status put_string(struct writer *w, const char *text) { return put_text(w, text, text ? strlen(text) : 0); }

/* *ids is for mem_free, also after a failure. */
static enum status encode(const struct tok *t, const char *text, size_t size, bool special, int32_t **ids, size_t *n,
                          struct error *e) {
    *ids = NULL;
    enum status s = tok_encode(t, text, size, special, false, NULL, 0, n, e);
    if (s) return s;
    if (!(*ids = mem_new(*n, sizeof **ids))) return error_set(e, ERR_MEMORY, "no memory for %zu tokens", *n);
    return tok_encode(t, text, size, special, false, *ids, *n, n, e);
}

/* Ids of the run that are not out yet.  Should the vocabulary merge across that seam, the new text is encoded alone: what
 * was read stays as it is. */
static enum status flush(struct writer *w) {
    int32_t *old = NULL, *all = NULL;
    size_t n_old = 0, n_all = 0;
    enum status s = OK;
    if (w->n_done == w->n_run) return OK;
    if (w->n_done) s = encode(w->tok, w->run, w->n_done, false, &old, &n_old, w->e);
    if (!s) s = encode(w->tok, w->run, w->n_run, false, &all, &n_all, w->e);
    if (!s && n_old && (n_old > n_all || memcmp(old, all, n_old * sizeof *old))) {
        mem_free(all), n_old = 0;
        s = encode(w->tok, w->run + w->n_done, w->n_run - w->n_done, false, &all, &n_all, w->e);
    }
    if (!s) s = put_ids(w, all + n_old, n_all - n_old);
    w->n_done = w->n_run;
    mem_free(old), mem_free(all);
    return s;
}

static enum status put_piece(struct writer *w, const struct piece *p) {
    enum status s = put_string(w, p->start);
    if (s || !p->end) return s;
    if ((s = flush(w)) || (s = put_ids(w, p->ids, p->n_ids))) return s;
    w->n_run = w->n_done = 0;
    return put_string(w, p->end);
}

static void free_writer(struct writer *w) { mem_free(w->ids), mem_free(w->run); }

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static void trim(const struct prm_reader *r, bool problem, const char **text, size_t *size) {
    if (problem && !r->row->strip) return;
    while (*size && is_blank((*text)[*size - 1])) --*size;
    for (; *size && (r->row->strip ? is_blank(**text) : **text == '\n' || **text == '\r'); ++*text) --*size;
}

/* ---- asking ---- */

static char *copy(const char *text, size_t size) {
    char *to = mem_new(size + 1, 1);
    if (to && size) memcpy(to, text, size);
    return to;
}

static enum status begin_text(const struct prm_reader *r, const char *problem, struct writer *w) {
    size_t size = strlen(problem);
    int32_t bos = tok_bos(r->tok);
    bool has_bos = !*r->before.start && r->before.n_ids && r->before.ids[0] == bos;
    enum status s = OK;
    if ((r->row->bos || tok_adds_bos(r->tok)) && !has_bos) s = put_ids(w, &bos, 1);
    trim(r, true, &problem, &size);
    if (s || (s = put_piece(w, &r->before)) || (s = put_text(w, problem, size))) return s;
    if ((r->lead.end || r->row->apart) && (s = put_piece(w, &r->lead))) return s;
    return flush(w);
}

enum status prm_begin(const struct prm_reader *r, const char *problem, const int32_t *tokens, size_t n_tokens,
                      struct prm_prompt *out, struct error *e) {
    struct writer w = {.tok = r->tok, .e = e};
    *out = (struct prm_prompt){0};
    if (!r->row->policy_tokens && !problem)
        return error_set(e, ERR_INPUT, "a reward model of kind %s needs the problem's text", r->row->name);
    enum status s = r->row->policy_tokens ? put_ids(&w, tokens, n_tokens) : begin_text(r, problem, &w);
    if (!s && !(out->context = copy(w.run, r->row->apart ? 0 : w.n_run)))
        s = error_set(e, ERR_MEMORY, "no memory for a problem");
    out->ids = w.ids, out->n = w.n;
    w.ids = NULL;
    free_writer(&w);
    return s;
}

void prm_prompt_free(struct prm_prompt *p) {
    mem_free(p->ids), mem_free(p->context);
    *p = (struct prm_prompt){0};
}

static enum status step_text(const struct prm_reader *r, const struct prm_prompt *p, const struct prm_step *step,
                             struct writer *w) {
    enum status s = put_string(w, step->first ? p->context : r->after);
    w->n_done = w->n_run;
    if (s) return s;
    if (!step->first) s = put_piece(w, &r->join);
    else if (!r->lead.end && !r->row->apart) s = put_piece(w, &r->lead);
    if (s || (s = put_text(w, step->text, step->size))) return s;
    if (r->tag < 0) return (s = put_piece(w, &r->tail)) ? s : flush(w);
    return (s = flush(w)) ? s : put_ids(w, &r->tag, 1);
}

enum status prm_put_step(const struct prm_reader *r, const struct prm_prompt *p, const struct prm_step *given,
                         int32_t *ids, size_t cap, size_t *n, bool *scored, struct error *e) {
    struct writer w = {.tok = r->tok, .e = e};
    struct prm_step step = *given;
    enum status s = OK;
    *scored = step.ended;
    if (r->row->policy_tokens) {
        *n = step.n_tokens;
        memcpy(ids, step.tokens, (*n < cap ? *n : cap) * sizeof *ids);
        return OK;
    }
    trim(r, false, &step.text, &step.size);
    *scored = step.ended && step.size;
    if (*scored) s = step_text(r, p, &step, &w);
    *n = s ? 0 : w.n;
    if (*n) memcpy(ids, w.ids, (*n < cap ? *n : cap) * sizeof *ids);
    free_writer(&w);
    return s;
}

float prm_reader_value(const struct prm_reader *r, const float *out) {
    switch (r->row->outputs) {
    case PRM_VALUE: return prm_value(out[0]);
    case PRM_CLASSES: return prm_value(out[1] - out[0]); /* softmax of two */
    case PRM_WORDS: return prm_value(out[0] - out[1]);
    }
    return 0;
}

/* ---- opening: the pieces ---- */

static enum status open_piece(const struct prm_reader *r, const char *text, size_t size, struct piece *out,
                              struct error *e) {
    int32_t *ids;
    size_t n, first = SIZE_MAX, last = 0, at = 0, from = size;
    enum status s = encode(r->tok, text, size, true, &ids, &n, e);
    for (size_t i = 0; i < n && !s; i++) {
        struct gguf_string name = tok_piece(r->tok, ids[i], true);
        if (tok_piece(r->tok, ids[i], false).size || !name.size) continue; /* ordinary text */
        const char *hit = memmem(text + at, size - at, name.data, name.size);
        if (!hit) continue;
        if (first == SIZE_MAX) first = i, from = (size_t)(hit - text);
        last = i, at = (size_t)(hit - text) + name.size;
    }
    bool any = first != SIZE_MAX, good = !s && (out->start = copy(text, from));
    if (good && any) {
        out->n_ids = last - first + 1;
        good = (out->end = copy(text + at, size - at)) && (out->ids = mem_new(out->n_ids, sizeof *ids));
        if (good) memcpy(out->ids, ids + first, out->n_ids * sizeof *ids);
    }
    mem_free(ids);
    return good ? OK : s ? s : error_set(e, ERR_MEMORY, "no memory for a reward model's prompt");
}

static enum status open_string(const struct prm_reader *r, const char *text, struct piece *out, struct error *e) {
    return open_piece(r, text ? text : "", text ? strlen(text) : 0, out, e);
}

/* ---- opening: chat ---- */

enum { MARKS = 5, TEMPLATE_TIME = 1721952000 /* 26 July 2024: what Llama 3.1's template says when it has no clock */ };
static const char *const marks[MARKS] = {"[[prm:a]]", "[[prm:b]]", "[[prm:c]]", "[[prm:d]]", "[[prm:e]]"};

static json_t *conversation(const struct prm_protocol *row, int n) {
    json_t *list = json_array();
    if (row->system) json_array_append_new(list, json_pack("{s:s,s:s}", "role", "system", "content", row->system));
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s,s:s}", "role", i % 2 ? "assistant" : "user", "content", marks[i]));
    return json_pack("{s:o,s:b}", "messages", list, "add_generation_prompt", 0);
}

/* What the template puts before each mark: text [from[i], to[i]). */
static bool cut_at_marks(const struct jinja_text *x, int n, size_t *from, size_t *to) {
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const char *hit = memmem(x->text + at, x->size - at, marks[i], strlen(marks[i]));
        if (!hit) return false;
        from[i] = at, to[i] = (size_t)(hit - x->text);
        at = to[i] + strlen(marks[i]);
    }
    return true;
}

static enum status take_pieces(struct prm_reader *r, const struct jinja_text *x, struct error *e) {
    size_t from[MARKS] = {0}, to[MARKS] = {0};
    int n = r->row->turns ? MARKS : 2;
    bool good = cut_at_marks(x, n, from, to);
    for (int i = 3; good && i < n; i++) /* every turn must look like the one before */
        good = to[i] - from[i] == to[i - 2] - from[i - 2] &&
               !memcmp(x->text + from[i], x->text + from[i - 2], to[i] - from[i]);
    if (!good)
        return error_set(e, ERR_INPUT, "the chat template does not keep the messages of a reward model's prompt");
    enum status s = open_piece(r, x->text, to[0], &r->before, e);
    if (s) return s;
    if (!r->row->turns) return open_piece(r, x->text + from[1], to[1] - from[1], &r->lead, e);
    struct writer w = {.e = e};
    if (!(s = open_piece(r, x->text + from[1], to[1] - from[1], &r->tail, e)) && !(s = put_string(&w, r->row->good)) &&
        !(s = put_text(&w, x->text + from[2], to[2] - from[2])))
        s = open_piece(r, w.run, w.n_run, &r->join, e);
    free_writer(&w);
    return s;
}

static enum status open_chat(struct prm_reader *r, const struct gguf *file, struct error *e) {
    struct chat *chat;
    struct chat_source by_name = {.name = r->row->chat};
    struct jinja_text text = {0};
    enum status s = chat_open(file, r->tok, NULL, &chat, e);
    if (s == ERR_INPUT) s = chat_open(file, r->tok, &by_name, &chat, e);
    if (s) return s;
    json_t *given = conversation(r->row, r->row->turns ? MARKS : 2);
    s = given ? chat_render(chat, given, TEMPLATE_TIME, &text, e) : error_set(e, ERR_MEMORY, "no memory for a chat");
    if (!s) s = take_pieces(r, &text, e);
    json_decref(given);
    jinja_text_free(&text);
    chat_close(&chat);
    return s;
}

/* ---- opening ---- */

static int32_t word(const struct prm_reader *r, const struct gguf *file, const char *text, struct error *e) {
    int32_t id = tok_find(r->tok, text);
    if (id < 0)
        error_set(e, ERR_INPUT, "%s: a reward model of kind %s needs \"%s\" as one token; the vocabulary has none",
                  gguf_name(file), r->row->name, strcmp(text, "\n") ? text : "\\n");
    return id;
}

/* The tail that is one token, and what of it later text may merge with. */
static enum status open_tag(struct prm_reader *r, const struct gguf *file, struct error *e) {
    const char *text = r->row->tail;
    if ((r->tag = word(r, file, text, e)) < 0) return ERR_INPUT;
    bool control = tok_piece(r->tok, r->tag, false).size == 0;
    r->after = copy(text, control || r->row->apart ? 0 : strlen(text));
    return r->after ? OK : error_set(e, ERR_MEMORY, "no memory for a reward model's prompt");
}

static enum status open_text(struct prm_reader *r, struct model *m, struct error *e) {
    const struct prm_protocol *row = r->row;
    enum status s = tok_open(m->file, &r->tok, e);
    if (s) return s;
    if (row->bos && tok_bos(r->tok) < 0)
        return error_set(e, ERR_INPUT, "%s: a reward model of kind %s begins with BOS; the file names none",
                         gguf_name(m->file), row->name);
    if (row->chat) s = open_chat(r, m->file, e);
    if (!s && !r->before.start) s = open_string(r, "", &r->before, e);
    if (!s && !r->lead.start) s = open_string(r, row->lead, &r->lead, e);
    if (!s && !r->join.start) s = open_string(r, row->join, &r->join, e);
    if (!s && row->tail) s = open_tag(r, m->file, e);
    else if (!s && !(r->after = copy(r->tail.end, r->tail.end ? strlen(r->tail.end) : 0)))
        s = error_set(e, ERR_MEMORY, "no memory for a reward model's prompt");
    if (s || row->outputs != PRM_WORDS) return s;
    int32_t words[2] = {word(r, m->file, row->good, e), word(r, m->file, row->bad, e)};
    if (words[0] < 0 || words[1] < 0) return ERR_INPUT;
    return model_keep_tokens(m, words, 2, e);
}

enum status prm_reader_open(struct model *m, const char *kind, struct prm_reader **out, struct error *e) {
    const struct prm_protocol *row;
    struct prm_info info;
    *out = NULL;
    enum status s = prm_protocol_of(m, kind, &row, e);
    if (s) return s;
    struct prm_reader *r = mem_new(1, sizeof *r);
    if (!r) return error_set(e, ERR_MEMORY, "no memory for a reward model");
    r->row = row, r->tag = -1;
    s = prm_agg_read(m->file, row->agg, &r->agg, e);
    if (!s) s = row->policy_tokens ? prm_info_read(m, &info, e) : open_text(r, m, e);
    if (s) prm_reader_close(&r);
    *out = r;
    return s;
}

static void free_piece(struct piece *p) { mem_free(p->start), mem_free(p->ids), mem_free(p->end); }

void prm_reader_close(struct prm_reader **rp) {
    struct prm_reader *r = *rp;
    if (!r) return;
    free_piece(&r->before), free_piece(&r->lead), free_piece(&r->join), free_piece(&r->tail);
    if (r->tok) tok_close(&r->tok);
    mem_free(r->after), mem_free(r);
    *rp = NULL;
}

const struct prm_reader *prm_value_reader(void) {
    static const struct prm_reader value = {.row = &prm_protocols[0], .tag = -1};
    return &value;
}

const char *prm_reader_kind(const struct prm_reader *r) { return r->row->name; }
enum prm_agg prm_reader_agg(const struct prm_reader *r) { return r->agg; }
bool prm_reads_policy_tokens(const struct prm_reader *r) { return r->row->policy_tokens; }
