/* knights.c: knights_knaves: each person says something about who tells the truth; who is what?  A step tries one
 * assignment.
 * Not a prover: with so few persons the assignments can be tried one by one.
 * Next: knights_read.c, which reads the sentences; steps.h.
 *
 *   question  "...You meet 2 inhabitants: Scarlett, and James. \"if James is a devil then James is an angel,\" Scarlett claimed. ..."
 *   prompt    " (b>B) ; (A=B)\n"      what A says, what B says; B: B tells the truth, b: B lies; & | > = and ! before a bracket
 *   step      " FT : TT"              if A lies and B does not, A's sentence is true, and so is B's
 *   last      " TT : TT"              the assignment that agrees with the truth of the sentences
 *   answer    "Scarlett is an angel, and James is an angel." */
#include "tasks/knights.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- truth of a sentence ---- */

/* Reads one operand or bracket at *at and gives its truth; assignment: bit i set when person i tells the truth. */
static bool truth(const char **at, unsigned assignment) {
    bool negated = take(at, "!");
    if (**at != '(') {
        char c = *(*at)++;
        return isupper((unsigned char)c) ? assignment >> (c - 'A') & 1 : !(assignment >> (c - 'a') & 1);
    }
    ++*at;
    bool value = truth(at, assignment);
    while (**at != ')') {
        char op = *(*at)++;
        bool right = truth(at, assignment);
        value = op == '&' ? value && right : op == '|' ? value || right : op == '>' ? !value || right : value == right;
    }
    ++*at;
    return value != negated;
}

static unsigned truths(const struct island *k, unsigned assignment) {
    unsigned all = 0;
    for (int i = 0; i < k->n; i++) {
        const char *at = k->said[i];
        all |= (unsigned)truth(&at, assignment) << i;
    }
    return all;
}

/* Assignments that agree with what is said, up to `most`; the last one into *solution. */
static int solve(const struct island *k, unsigned *solution) {
    int n = 0;
    for (unsigned a = 0; a < 1u << k->n; a++)
        if (truths(k, a) == a) n++, *solution = a;
    return n;
}

/* ---- reading ---- */

/* One sentence in its compact form: operand, or bracket of operands with one operator between them (> and = between
 * two). */
static bool copy_sentence(const char **at, int n, char *out, size_t *size) {
    if (*size + 4 >= SAID) return false;
    if (**at == '!') {
        out[(*size)++] = *(*at)++;
        if (**at != '(') return false;
    }
    if (**at != '(') {
        int person = toupper((unsigned char)**at) - 'A';
        if (person < 0 || person >= n) return false;
        out[(*size)++] = *(*at)++;
        return true;
    }
    out[(*size)++] = *(*at)++;
    char op = 0;
    for (int parts = 0;; parts++) {
        if (!copy_sentence(at, n, out, size) || *size + 4 >= SAID) return false;
        if (**at == ')') {
            out[(*size)++] = *(*at)++;
            return parts > 0;
        }
        if (!**at || !strchr("&|>=", **at) || (op && (**at != op || op == '>' || op == '='))) return false;
        op = out[(*size)++] = *(*at)++;
    }
}

static bool read_compact(const char *text, struct island *k) {
    static const char *const names[PERSONS] = {"Ava", "Ben", "Cleo", "Dan", "Eve"};
    int n = 1;
    for (const char *c = text; *c; c++) n += *c == ';';
    if (n < 2 || n > PERSONS) return false;
    k->n = n;
    for (int i = 0; i < n; i++) {
        size_t size = 0;
        skip_space(&text);
        if (!copy_sentence(&text, n, k->said[i], &size)) return false;
        skip_space(&text);
        if (i + 1 < n && !take(&text, ";")) return false;
        snprintf(k->names[i], NAME, "%s", names[i]);
    }
    snprintf(k->knight, NAME, "a knight"), snprintf(k->knave, NAME, "a knave");
    return !*text;
}

static bool read_island(const char *text, void *own, char why[96]) {
    struct island *k = own;
    unsigned solution;
    bool question = strstr(text, "inhabit") != NULL;
    if (!(question ? knights_read(text, k) : read_compact(text, k))) {
        snprintf(why, 96, "no sentences of 2 to %d persons about each other", PERSONS);
        return false;
    }
    if (solve(k, &solution) == 1) return true;
    snprintf(why, 96, "the sentences do not leave exactly one possibility");
    return false;
}

static void write_island(const void *own, char *out) {
    const struct island *k = own;
    size_t n = 0;
    for (int i = 0; i < k->n; i++) n = put(out, COMPACT, n, "%s %s", i ? " ;" : "", k->said[i]);
    put(out, COMPACT, n, "\n");
}

/* ---- chains ---- */

/* "TF" at *at as bits. */
static bool take_bits(const char **at, int n, unsigned *bits) {
    *bits = 0;
    for (int i = 0; i < n; i++, ++*at) {
        if (**at != 'T' && **at != 'F') return false;
        *bits |= (unsigned)(**at == 'T') << i;
    }
    return true;
}

static bool read_line(const struct island *k, const char *line, unsigned *assignment, unsigned *said) {
    return take(&line, " ") && take_bits(&line, k->n, assignment) && take(&line, " : ") &&
           take_bits(&line, k->n, said) && !*line;
}

/* The assignments tried so far as a set; false at a line that is none, tells the truth wrong, or follows the right
 * one. */
static bool follow(const struct island *k, const char *chain, uint64_t *tried, bool *solved) {
    char line[2 * PERSONS + 8];
    unsigned a, said;
    *tried = 0, *solved = false;
    while (next_line(&chain, line, sizeof line)) {
        if (*solved || !read_line(k, line, &a, &said) || truths(k, a) != said) return false;
        *tried |= 1ull << a, *solved = said == a;
    }
    return true;
}

static float oracle(const struct problem *p, const char *chain) {
    uint64_t tried;
    bool solved;
    return follow(p->own, chain, &tried, &solved);
}

static uint64_t state(const struct problem *p, const char *chain) {
    uint64_t tried;
    bool solved;
    return follow(p->own, chain, &tried, &solved) ? rng_fold(solved, tried) | 2 : STATE_WRONG;
}

static size_t write_answer(const struct island *k, unsigned a, char *out, size_t cap) {
    size_t n = 0;
    for (int i = 0; i < k->n; i++)
        n = put(out, cap, n, "%s%s is %s",
                i == 0         ? ""
                : i + 1 < k->n ? ", "
                               : ", and ",
                k->names[i], a >> i & 1 ? k->knight : k->knave);
    return put(out, cap, n, ".");
}

static size_t answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    char line[2 * PERSONS + 8] = "";
    unsigned a, said;
    if (cap) *out = 0;
    while (next_line(&chain, line, sizeof line)) {}
    return read_line(p->own, line, &a, &said) ? write_answer(p->own, a, out, cap) : 0;
}

/* The next word of *at in small letters; bytes of "., ()" are blanks. */
static bool next_word(const char **at, char word[NAME]) {
    static const char blanks[] = " .,()\t\r\n";
    *at += strspn(*at, blanks);
    size_t n = strcspn(*at, blanks);
    for (size_t i = 0; i < n && i + 1 < NAME; i++) word[i] = (char)tolower((unsigned char)(*at)[i]);
    word[n < NAME ? n : NAME - 1] = 0;
    *at += n;
    return n > 0;
}

static bool is_role(const char *word) {
    static const char *const roles[] = {"knight",  "knave", "pioneer", "laggard",  "saint",  "sinner", "hero",
                                        "villain", "angel", "devil",   "altruist", "egoist", "sage",   "fool"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (!strcmp(word, roles[i])) return true;
    return false;
}

static bool same_word(const char *word, const char *name) {
    size_t i = 0;
    for (; name[i] && word[i] == tolower((unsigned char)name[i]); i++) {}
    return !name[i] && !word[i];
}

/* Pairs of a name and a role, in any order and wording: all of the solution, and no other. */
static struct judgement judge_answer(const struct problem *p, const char *text) {
    const struct island *k = p->own;
    char word[NAME], name[NAME] = "";
    unsigned solution = 0, seen = 0;
    solve(k, &solution);
    while (next_word(&text, word)) {
        if (!strcmp(word, "is") || !strcmp(word, "a") || !strcmp(word, "an") || !strcmp(word, "and")) continue;
        if (!is_role(word)) {
            snprintf(name, sizeof name, "%s", word);
            continue;
        }
        if (!*name) continue;
        int person = 0;
        while (person < k->n && !same_word(name, k->names[person])) person++;
        if (person == k->n) return judged(false, "nobody is called %s", name);
        const char *role = strchr(solution >> person & 1 ? k->knight : k->knave, ' ');
        if (!role || strcmp(word, role + 1) != 0) return judged(false, "%s is no %s", k->names[person], word);
        seen |= 1u << person, *name = 0;
    }
    return judged(seen == (1u << k->n) - 1, "it does not say what everybody is");
}

/* ---- problems to learn from ---- */

static const struct knob knobs[] = {{"n_people", "persons", 2, 3, 2, PERSONS},
                                    {"depth", "brackets within brackets", 2, 3, 1, 3},
                                    {"width", "parts of an and or an or", 2, 3, 2, 3},
                                    {0}};

struct draws {
    uint64_t key, counter;
    int n, width;
    char *out;
    size_t size;
};

static int draw(struct draws *d, int low, int high) { return draw_int(d->key, &d->counter, low, high); }

static void add(struct draws *d, char c) {
    if (d->size + 1 < SAID) d->out[d->size++] = c;
}

/* A sentence of `person`; nobody says of himself that he lies. */
static void add_sentence(struct draws *d, int person, int depth) {
    int kind = depth == 1 ? 0 : draw(d, 0, 5);
    if (kind == 0) {
        int who = draw(d, 0, d->n - 1), lies = draw(d, 0, 1);
        while (lies && who == person) who = draw(d, 0, d->n - 1), lies = draw(d, 0, 1);
        add(d, (char)((lies ? 'a' : 'A') + who));
    } else if (kind == 1) {
        size_t from = d->size;
        add(d, '!');
        add_sentence(d, person, depth - 1);
        if (d->out[from + 1] == '(') return;
        char c = d->out[from + 1]; /* not of a person is the other case; not of not is nothing */
        if (c == '!') memmove(d->out + from, d->out + from + 2, d->size -= 2);
        else d->out[from] = (char)(c ^ ('a' ^ 'A')), d->size--;
    } else {
        int parts = kind <= 3 ? draw(d, 2, d->width) : 2;
        add(d, '(');
        for (int i = 0; i < parts; i++) {
            if (i) add(d, "&|>="[kind - 2]);
            add_sentence(d, person, depth - 1);
        }
        add(d, ')');
    }
}

static enum status generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                            struct error *e) {
    for (uint64_t attempt = 0;; attempt++) {
        struct island island = {.n = k->knobs[0]};
        char text[COMPACT], why[96];
        size_t n = 0;
        for (int i = 0; i < island.n; i++) {
            struct draws d = {
                rng_fold(rng_fold(key, attempt), (uint64_t)i), 0, island.n, k->knobs[2], island.said[i], 0};
            add_sentence(&d, i, k->knobs[1]);
            d.out[d.size < SAID ? d.size : SAID - 1] = 0;
            n = put(text, sizeof text, n, "%s %s", i ? " ;" : "", island.said[i]);
        }
        memset(&island, 0, sizeof island);
        if (read_island(text, &island, why)) return steps_problem(t, &island, p, e);
    }
}

/* Assignments in random order up to the right one. */
static void example(const struct problem *p, uint64_t key, struct lesson *out) {
    const struct island *k = p->own;
    int order[1 << PERSONS];
    uint64_t counter = 0;
    for (int a = 0; a < 1 << k->n; a++) order[a] = a;
    draw_shuffle(key, &counter, order, 1 << k->n);
    out->n = 0, out->loss_after = 0;
    for (int i = 0; i < 1 << k->n; i++) {
        unsigned a = (unsigned)order[i], said = truths(k, a);
        out->n = put(out->text, out->cap, out->n, "%s ", i ? "\n" : "");
        for (int b = 0; b < k->n; b++) out->n = put(out->text, out->cap, out->n, "%c", "FT"[a >> b & 1]);
        out->n = put(out->text, out->cap, out->n, " : ");
        for (int b = 0; b < k->n; b++) out->n = put(out->text, out->cap, out->n, "%c", "FT"[said >> b & 1]);
        if (said == a) return;
    }
}

static uint32_t depth(const void *own) { return 1u << ((const struct island *)own)->n; }

static const struct kind kind = {sizeof(struct island), read_island, write_island, depth};

const struct task knights_knaves_task = {.name = "knights_knaves",
                                         .summary = "who tells the truth and who lies",
                                         .style = &style_steps,
                                         .kind = &kind,
                                         STEPS_VERBS,
                                         .answer = answer,
                                         .judge_answer = judge_answer,
                                         .vote = answer,
                                         .oracle = oracle,
                                         .state = state,
                                         .knobs = knobs,
                                         .generate = generate,
                                         .example = example};
