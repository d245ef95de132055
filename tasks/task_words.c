/* task_words.c: problems in words as rows of the task table: the answer is what a text says last, and how it says it
 * does not matter.
 * Not a judge of the way to an answer.
 * Next: answer.h. */
#include <stdio.h>
#include <string.h>

#include "tasks/answer.h"
#include "tasks/task_internal.h"

/* The first of two fields that is there. */
static const char *field_of(const struct entry *in, const char *a, const char *b) {
    return json_object_get(in->object, a) || !json_object_get(in->object, b) ? a : b;
}

/* "answer", else "solution": a text that states the answer (#### 18, \boxed{18}) or is the answer, or a number.  ""
 * when there is none. */
static enum status read_reference(const struct entry *in, char out[ANSWER_CAP]) {
    const char *field = field_of(in, "answer", "solution");
    const json_t *v = json_object_get(in->object, field);
    char number[64] = "";
    *out = 0;
    if (!v || json_is_null(v)) return OK;
    if (json_is_integer(v)) snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v)) snprintf(number, sizeof number, "%.15g", json_real_value(v));
    else if (!json_is_string(v)) return entry_bad_field(in, field, "a text or a number");
    const char *text = *number ? number : json_string_value(v);
    bool stated = strstr(text, "####") || strstr(text, "\\boxed") || strcmp(field, "solution") == 0;
    size_t n = stated ? answer_of(text, strlen(text), out) : answer_canonical(text, strlen(text), out);
    return n ? OK : entry_bad_field(in, field, "a text that holds an answer, like \"#### 18\" or \"18\"");
}

static enum status read_object(struct entry *in, bool must_answer) {
    char reference[ANSWER_CAP];
    const char *field = field_of(in, "question", "problem");
    const json_t *v = json_object_get(in->object, field);
    enum status s = read_reference(in, reference);
    if (s) return s;
    if (must_answer && !*reference)
        return error_set(in->e, ERR_INPUT, "line %ld: no \"answer\"; %s needs one", in->number, in->task->name);
    const char *text = json_string_value(v);
    if (!text || !text[strspn(text, " \t\r\n")])
        return entry_bad_field(in, field, "a text, the problem"); /* jansson lets no NUL into it */
    return problem_set_text(&in->p, text, strlen(text), reference, in->e);
}

static enum status parse(struct entry *in, const char *line, bool must_answer, struct problem *p) {
    enum status s = entry_open(in, line);
    if (!s && in->object) s = read_object(in, must_answer);
    else if (!s && must_answer)
        s = error_set(in->e, ERR_INPUT,
                      "line %ld: %s takes lines like {\"question\":\"...\",\"answer\":\"... #### 18\"}", in->number,
                      in->task->name);
    else if (!s) s = problem_set_text(&in->p, in->text, in->size, NULL, in->e);
    entry_close(in);
    if (!s) *p = in->p;
    return s;
}

static enum status words_parse(const struct task *t, const char *line, long number, struct problem *p,
                               struct error *e) {
    return parse(&(struct entry){.task = t, .number = number, .e = e}, line, false, p);
}

static enum status words_parse_answered(const struct task *t, const char *line, long number, struct problem *p,
                                        struct error *e) {
    return parse(&(struct entry){.task = t, .number = number, .e = e}, line, true, p);
}

static enum status words_text(const struct task *t, const char *text, struct problem *p, struct error *e) {
    struct problem r = {.task = t, .id = "1"};
    if (!text[strspn(text, " \t\r\n")]) return error_set(e, ERR_INPUT, "the problem is empty");
    enum status s = problem_set_text(&r, text, strlen(text), NULL, e);
    if (!s) *p = r;
    return s;
}

static struct judgement words_judge(const struct problem *p, const char *chain) {
    char answer[ANSWER_CAP];
    if (!*p->reference) return (struct judgement){.known = false};
    answer_of(chain, strlen(chain), answer);
    if (!*answer) return judged(false, "the text states no answer");
    return judged(!strcmp(answer, p->reference), "the answer %.80s is wrong", answer);
}

/* Models without an end, those that only continue texts, would go on with the next problem. */
static bool words_is_last(const char *step) { return answer_is_stated(step, strlen(step)); }

/* The canonical answer is also the one for people: it is short, and shows what was compared. */
static size_t words_vote(const struct problem *p, const char *solution, char *out, size_t cap) {
    char answer[ANSWER_CAP];
    (void)p;
    answer_of(solution, strlen(solution), answer);
    return (size_t)snprintf(out, cap, "%s", answer);
}

#define WORDS                                                                                                          \
    .style = &style_prose, .parse_text = words_text, .judge = words_judge, .answer = words_vote,                       \
    .judge_answer = words_judge, .vote = words_vote, .is_last = words_is_last

const struct task math_task = {
    .name = "math", .summary = "a problem in words, with an answer or without", .parse = words_parse, WORDS};
const struct task gsm8k_task = {.name = "gsm8k",
                                .summary = "problems in words with their answers, as in the files of GSM8K",
                                .parse = words_parse_answered,
                                WORDS};
