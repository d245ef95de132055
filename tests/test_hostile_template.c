/* test_hostile_template.c: chat templates that never end, fill memory or are nonsense, as a model file brings them;
 * docs/HOSTILE.md lists all rows.
 * Not the language: test_jinja.c, whose limits these templates meet.
 * Next: tokenizer/template/chat.c. */
#include "tests/fuzz_jinja.c"

#include "tests/corpus.h"
#include "tests/tok_vocab.h"
#include "tokenizer/template/chat.h"

enum { MOST_SECONDS = 20 }; /* generous: sanitizers, slow machines; unbounded work would take for ever */

struct hostile {
    const char *name, *template, *why; /* part of the error */
};

static const struct hostile all[] = {
    {"macro recursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested deeper than"},
    {"two macros", "{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}", "nested deeper than"},
    {"range", "{{ range(1000000000) | list | length }}", "range"},
    {"loops",
     "{% for i in range(99999) %}{% for j in range(99999) %}{% for k in range(99999) %}{% endfor %}{% endfor %}{% "
     "endfor %}",
     "more than"},
    {"growing list", "{% set l = [1] %}{% for i in l %}{% set _ = l.append(i) %}{% endfor %}", "more than"},
    {"1 GB output",
     "{% for i in range(99999) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' * 1000 }}{% endfor %}",
     "bytes"},
    {"doubling",
     "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(90) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "bytes"},
    {"product", "{{ 'x' * 9000000000 }}", "more than"},
    {"itself", "{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}", "nested deeper than"},
    {"replace",
     "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(40) %}{% set ns.s = ns.s | replace('a', ns.s) "
     "%}{% endfor %}",
     "bytes"},
    {"join", "{% set l = range(9999) | list %}{% for i in l %}{% set x = l | join(l | join(',')) %}{% endfor %}",
     "more than"},
    {"sort", "{% for i in range(99999) %}{% set x = range(99999) | list | sort %}{% endfor %}", "more than"},
    {"unknown filter", "{{ messages | nope }}", "nope"},
    {"unknown tag", "{% include 'secret' %}", "include"},
    {"imports", "{% import 'os' as os %}", "import"},
    {"python", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "__"},
    {"globals", "{{ messages.__init__.__globals__['os'].system('id') }}", "__"},
    {"syntax", "{% if %}x{% endif %}", "missing"},
    {"no end", "{% for m in messages %}x", "for"},
    {"odd bytes", "{{ \xff ? }}", ":1: \"?\" has no meaning"},
};

static struct gguf *template_file(const char *template) {
    struct gguf_writer *w;
    struct error e;
    assert_int_equal(gguf_writer_new(&w, &e), OK);
    spec_add(&spm, w);
    gguf_add_string(w, "tokenizer.chat_template", template);
    return written(w);
}

/* Refused at opening, with the file's name, the reason and the way out, soon enough. */
static void f11_hostile_templates_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        struct gguf *g = template_file(all[i].template);
        struct tok *t;
        struct chat *c;
        struct error e = {""};
        if (tok_open(g, &t, &e)) fail_msg("%s", e.text);
        clock_t start = clock(); /* of this process: others may be busy */
        enum status s = chat_open(g, t, NULL, &c, &e);
        long seconds = (long)((clock() - start) / CLOCKS_PER_SEC);
        if (s != ERR_INPUT || c) fail_msg("%s: status %d", all[i].name, s);
        if (!strstr(e.text, all[i].why) || !strstr(e.text, gguf_name(g)) || !strstr(e.text, "--chat-template"))
            fail_msg("%s: \"%s\" does not say \"%s\", the file and --chat-template", all[i].name, e.text, all[i].why);
        if (seconds > MOST_SECONDS) fail_msg("%s: %ld s", all[i].name, seconds);
        tok_close(&t);
        gguf_close(&g);
    }
}

/* One that looks like a known one gives way to that. */
static void f11_known_templates_stand_in(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        char text[1000];
        struct tok *t;
        struct chat *c;
        struct error e = {""};
        snprintf(text, sizeof text, "%s{# <|im_start|> #}", all[i].template);
        struct gguf *g = template_file(text);
        if (tok_open(g, &t, &e)) fail_msg("%s", e.text);
        if (chat_open(g, t, NULL, &c, &e)) fail_msg("%s: %s", all[i].name, e.text);
        if (!strstr(chat_note(c), "built-in template \"chatml\"")) fail_msg("%s: %s", all[i].name, chat_note(c));
        chat_close(&c);
        tok_close(&t);
        gguf_close(&g);
    }
}

/* raise_exception is no defect: the template's reason reaches the user when it happens. */
static void f11_raise_exception_gives_its_reason(void **state) {
    (void)state;
    struct gguf *g = template_file("{{ raise_exception('roles must\x1b alternate') }}");
    struct tok *t;
    struct chat *c;
    struct error e = {""};
    struct jinja_text x;
    json_t *talk = json_loads(talk_json, 0, NULL);
    if (tok_open(g, &t, &e) || chat_open(g, t, NULL, &c, &e)) fail_msg("%s", e.text);
    assert_int_equal(chat_render(c, talk, 0, &x, &e), ERR_INPUT);
    if (!strstr(e.text, "roles must? alternate")) fail_msg("%s", e.text);
    jinja_text_free(&x);
    chat_close(&c);
    tok_close(&t);
    gguf_close(&g);
    json_decref(talk);
}

static void replays_the_fuzz_corpus(void **state) {
    (void)state;
    replay("jinja", 18);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f11_hostile_templates_are_refused),
        cmocka_unit_test(f11_known_templates_stand_in),
        cmocka_unit_test(f11_raise_exception_gives_its_reason),
        cmocka_unit_test(replays_the_fuzz_corpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
