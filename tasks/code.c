/* code.c: a Python function from its docstring, judged by tests that run under bubblewrap (the form of HumanEval,
 * Chen et al. 2021).
 * Not safe against a program that reads its own source to print the word at its end: it is meant for models, not for
 * cheats.
 * Next: sandbox.h.
 *
 *   {"task_id":"X/0","prompt":"def f(x):\n    ...","entry_point":"f","test":"def check(candidate): ..."}
 *   a program = what stands before the function, the function, the tests, check(f), the word */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tasks/sandbox.h"
#include "tasks/task_internal.h"

/* The parts of a line, each with its NUL. */
struct code_problem {
    size_t prompt, entry, test; /* offsets of texts in `data` */
    char data[];
};

static const struct sandbox_limits limits = {
    .time_ns = 8000000000u, .memory_bytes = (size_t)1 << 30, .output_bytes = 1 << 16, .disk_bytes = 1 << 24};
static const char *const python[] = {"python3", "-I", "-", NULL};

/* ---- lines ---- */

static pthread_once_t tried = PTHREAD_ONCE_INIT;
static struct error why_not; /* by try_once only; "": programs can be run */

static void try_once(void) {
    struct sandbox_result r = {0};
    *why_not.text = 0;
    if (sandbox_run(python, "print(7 * 6)", 12, &limits, &r, &why_not)) return;
    if (r.end != SANDBOX_EXITED || r.code || strcmp(r.output, "42\n"))
        error_set(&why_not, ERR_INPUT, "there is no python3 under /usr");
    mem_free(r.output);
}

static const char *field(const struct entry *in, const char *name) {
    return json_string_value(json_object_get(in->object, name));
}

static enum status read_object(struct entry *in) {
    static const char *const names[] = {"prompt", "entry_point", "test"};
    const char *parts[3], *id = field(in, "task_id");
    size_t size[3];
    for (int i = 0; i < 3; i++) {
        parts[i] = field(in, names[i]);
        if (!parts[i] || !*parts[i]) return entry_bad_field(in, names[i], "a text");
        size[i] = strlen(parts[i]) + 1;
    }
    if (!json_object_get(in->object, "id") && id && *id && strlen(id) < sizeof in->p.id)
        snprintf(in->p.id, sizeof in->p.id, "%s", id);
    struct buffer text = {0};
    buffer_print(&text, "Complete this Python function:\n\n```python\n%s\n```", parts[0]);
    enum status s = text.failed ? error_set(in->e, ERR_MEMORY, "no memory for a problem")
                                : problem_set_text(&in->p, text.data, text.n, NULL, in->e);
    buffer_free(&text);
    if (s) return s;
    struct code_problem *own = mem_new(sizeof *own + size[0] + size[1] + size[2], 1);
    if (!(in->p.own = own)) {
        problem_free(&in->p);
        return error_set(in->e, ERR_MEMORY, "no memory for a problem");
    }
    own->entry = size[0], own->test = size[0] + size[1];
    memcpy(own->data, parts[0], size[0]), memcpy(own->data + own->entry, parts[1], size[1]);
    memcpy(own->data + own->test, parts[2], size[2]);
    return OK;
}

static enum status code_parse(const struct task *t, const char *line, long number, struct problem *p, struct error *e) {
    struct entry in = {.task = t, .number = number, .e = e};
    pthread_once(&tried, try_once);
    if (*why_not.text)
        return error_set(e, ERR_INPUT, "--task code runs programs under bubblewrap: %.300s", why_not.text);
    enum status s = entry_open(&in, line);
    if (!s && in.object) s = read_object(&in);
    else if (!s)
        s = error_set(
            e, ERR_INPUT,
            "line %ld: code takes lines like {\"task_id\":..., \"prompt\":..., \"entry_point\":..., \"test\":...}",
            number);
    entry_close(&in);
    if (!s) *p = in.p;
    return s;
}

static enum status code_text(const struct task *t, const char *text, struct problem *p, struct error *e) {
    (void)t, (void)text, (void)p;
    return error_set(e, ERR_INPUT, "--task code needs tests: give a file of problems to ponder eval");
}

/* ---- answers ---- */

/* Does a line of code[n] begin with a definition, or the first one with blanks, as the body of a function does? */
static bool is_code(const char *code, size_t n) {
    return n && (*code == ' ' || (n > 4 && !memcmp(code, "def ", 4)) || memmem(code, n, "\ndef ", 5));
}

/* The last whole block between ``` lines.  A block that is not closed goes to the end, unless the code stands
 * before: a text that went on from an opening line in its prompt. */
static const char *find_code(const char *text, size_t *n) {
    const char *code = text, *open = NULL, *fence = NULL;
    *n = strlen(text);
    for (const char *at = text; (at = strstr(at, "```")); at += 3) {
        if (at != text && at[-1] != '\n') continue;
        if (open) {
            code = open, *n = (size_t)(at - open), open = NULL;
            continue;
        }
        fence = at;
        open = at + strcspn(at, "\n");
        open += *open == '\n';
    }
    if (!open || code != text) return code;
    if (is_code(text, (size_t)(fence - text))) *n = (size_t)(fence - text);
    else code = open, *n = strlen(open);
    return code;
}

/* Does code[n] define the function, so that it needs no head? */
static const char *find_definition(const char *code, size_t n, const char *entry) {
    char wanted[256];
    int size = snprintf(wanted, sizeof wanted, "def %.200s(", entry);
    return memmem(code, n, wanted, (size_t)size);
}

static void write_program(const struct code_problem *own, const char *answer, const char *word, struct buffer *out) {
    const char *prompt = own->data, *entry = own->data + own->entry;
    size_t n, head = strlen(prompt);
    const char *code = find_code(answer, &n), *in_prompt = find_definition(prompt, head, entry);
    if (find_definition(code, n, entry) && in_prompt) head = (size_t)(in_prompt - prompt); /* imports and helpers */
    buffer_add(out, prompt, head);
    buffer_add(out, code, n);
    buffer_print(out, "\n\n%s\n\ncheck(%s)\nprint('%s')\n", own->data + own->test, entry, word);
}

/* The last line of text that is not empty, cut at cap: what Python says of an exception. */
static void last_line(const char *text, size_t n, char *out, size_t cap) {
    while (n && strchr(" \t\r\n", text[n - 1])) n--;
    size_t from = n;
    while (from && text[from - 1] != '\n') from--;
    snprintf(out, cap, "%.*s", (int)(n - from < cap ? n - from : cap), text + from);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F) *c = '?';
}

static struct judgement judge_run(const struct sandbox_result *r, const char *word) {
    char line[100];
    last_line(r->output, r->n, line, sizeof line);
    switch (r->end) {
    case SANDBOX_EXITED:
        if (!r->code && !strcmp(line, word)) return judged(true, " ");
        return judged(false, "%s", *line && r->code ? line : "it ends before its tests do");
    case SANDBOX_SIGNALLED: return judged(false, "it is ended by signal %d", r->code);
    case SANDBOX_TOO_LONG: return judged(false, "it takes longer than %d s", (int)(limits.time_ns / 1000000000u));
    case SANDBOX_TOO_MUCH: break;
    }
    return judged(false, "it writes more than %zu bytes", limits.output_bytes);
}

static struct judgement code_judge(const struct problem *p, const char *chain) {
    const struct code_problem *own = p->own;
    struct buffer program = {0};
    struct sandbox_result r;
    struct error e;
    char word[40];
    if (!chain[strspn(chain, " \t\r\n")]) return judged(false, "there is no program");
    /* A word that no text can have guessed. */
    snprintf(word, sizeof word, "passed %016llx",
             (unsigned long long)rng_fold(problem_hash(p), (uint64_t)strlen(chain)));
    write_program(own, chain, word, &program);
    enum status s = program.failed ? error_set(&e, ERR_MEMORY, "no memory for a program")
                                   : sandbox_run(python, program.data, program.n, &limits, &r, &e);
    buffer_free(&program);
    if (s) return judged(false, "it could not be run: %.80s", e.text);
    struct judgement j = judge_run(&r, word);
    mem_free(r.output);
    return j;
}

static size_t code_answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    size_t n;
    const char *code = find_code(chain, &n);
    (void)p;
    return (size_t)snprintf(out, cap, "%.*s", (int)n, code);
}

static const struct task_style style_code = {
    .delimiter = "\n\n",
    .search = "bon",
    .max_depth = 32,
    .max_step_tokens = 256,
    .prose = true,
    .asks = {[ASK_SOLVE] = "Reply with the whole function, in one block that begins with ```python and ends with ```.",
             [ASK_JUDGE] = "A solution:\n\n%s\n\nDoes it do what is asked in all cases? Reply with Yes or No.",
             [ASK_CRITIQUE] = "A solution:\n\n%s\n\nName the first mistake in it, in one or two sentences. "
                              "If there is none, reply that it is right.",
             [ASK_REVISE] =
                 "An earlier try:\n\n%s\n\nIt may hold mistakes. Write the whole function again, in one block that "
                 "begins with ```python and ends with ```."},
    .cue = "\n\n```python\n"};

const struct task code_task = {.name = "code",
                               .summary = "a Python function from its docstring, with tests that run under bubblewrap",
                               .style = &style_code,
                               .parse = code_parse,
                               .parse_text = code_text,
                               .judge = code_judge,
                               .judge_answer = code_judge,
                               .answer = code_answer,
                               .vote = code_answer};
