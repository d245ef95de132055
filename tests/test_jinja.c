/* test_jinja.c: the Jinja subset: values, statements, white space, origin of bytes, limits, hostile templates (F11).
 * Not conversations: test_chat.c.
 * Next: tokenizer/template/jinja.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tokenizer/template/jinja.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char vars[] =
    "{\"n\": 7, \"words\": [\"b\", \"A\", \"c\"], \"d\": {\"z\": 1, \"a\": [1.5, true, null]}, \"t\": \"<x> h\\u00e9"
    "\","
    "\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"r\"}]}";

static enum status render(const char *text, const struct jinja_limits *limits, struct jinja_text *out, bool *raised,
                          struct error *e) {
    json_error_t je;
    json_t *given = json_loads(vars, 0, &je), *trusted = json_pack("{s:s}", "bos_token", "<s>");
    assert_non_null(given);
    assert_non_null(trusted);
    struct jinja *j;
    *out = (struct jinja_text){0};
    enum status s = jinja_open(text, strlen(text), "T", &j, e);
    struct jinja_input in = {.trusted = trusted, .given = given, .now = 0, .limits = limits};
    if (!s) s = jinja_render(j, &in, out, raised, e);
    jinja_close(&j);
    json_decref(given);
    json_decref(trusted);
    return s;
}

/* Fails with the first differing byte. */
static void gives(const char *text, const char *want) {
    struct jinja_text x;
    struct error e;
    if (render(text, NULL, &x, NULL, &e)) fail_msg("%s\n%s", text, e.text);
    size_t i = 0;
    while (i < x.size && want[i] == x.text[i] && want[i]) i++;
    if (i != x.size || want[i]) fail_msg("%s\nbyte %zu differs: got \"%s\", want \"%s\"", text, i, x.text, want);
    jinja_text_free(&x);
}

/* Fails to render, with this in the message. */
static void refuses(const char *text, const char *why) {
    struct jinja_text x;
    struct error e;
    if (!render(text, NULL, &x, NULL, &e)) fail_msg("%.200s\nwas rendered: \"%.200s\"", text, x.text);
    if (!strstr(e.text, why)) fail_msg("%.200s\nfailed with \"%s\", not with \"%s\"", text, e.text, why);
    assert_null(x.text);
}

struct pair {
    const char *text, *want;
};

static void all_give(const struct pair *p, size_t n) {
    for (size_t i = 0; i < n; i++) gives(p[i].text, p[i].want);
}

static void test_expressions(void **state) {
    (void)state;
    static const struct pair p[] = {
        {"{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 3 / 2 }} {{ 2 ** 10 }}",
         "3 3 -4 2 -2 1.5 1024"},
        {"{{ 0.1 + 0.2 }} {{ 1e20 }} {{ 1e-5 }} {{ 5.0 }} {{ 9223372036854775807 + 1 }}",
         "0.30000000000000004 1e+20 1e-05 5.0 9.223372036854776e+18"},
        {"{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 == 1.0 }}",
         "True False True True True"},
        {"{{ 'a' ~ 1 ~ none }} {{ 'a' 'b' }} {{ 'ab' * 2 }} {{ [1] + [2] }} {{ (1, 'x') }}",
         "a1None ab abab [1, 2] [1, 'x']"},
        {"{{ 'b' in words }} {{ 'x' not in words }} {{ 'z' in d }} {{ 'h' in t }} {{ not n in [7] }}",
         "True True True True False"},
        {"{{ 'y' if n > 3 else 'z' }}{{ 'y' if n < 3 }}|{{ n and 0 or 'q' }}", "y|q"},
        {"{{ 'abcdef'[4:1:-1] }} {{ 'abc'[::-1] }} {{ 'abc'[-100:2] }} {{ [1,2,3][5:] }} {{ words[-1] }}",
         "edc cba ab [] c"},
        {"{{ t[4] }}{{ t | length }}{{ 'h\u00e9y'[::-1] }}", "h6y\u00e9h"},
        {"{{ missing }}|{{ d.missing }}|{{ words[9] }}|{{ none.x }}|{{ missing is defined }}", "||||False"},
        {"{{ {'a': {}} }} {{ {'k': [1]}.k[0] }} {{ d['a'][1] }} {{ messages.0.role }}", "{'a': {}} 1 True user"},
        {"{{ n is number and n is not none }} {{ d is mapping }} {{ t is string }} {{ words is iterable }} {{ n is "
         "equalto 7 }} {{ n is odd }}",
         "True True True True True True"},
        {"{{ '\\x41\\u00e9\\n\\'' }}", "A\u00e9\n'"},
    };
    all_give(p, COUNT(p));
}

static void test_filters_and_methods(void **state) {
    (void)state;
    static const struct pair p[] = {
        {"{{ d | tojson }}", "{\"z\": 1, \"a\": [1.5, true, null]}"},
        {"{{ d | tojson(indent=2) }}", "{\n  \"z\": 1,\n  \"a\": [\n    1.5,\n    true,\n    null\n  ]\n}"},
        {"{{ 'a\"\\n\u00e9' | tojson }} {{ '\u00e9' | tojson(ensure_ascii=true) }} {{ {'b': 1, 'a': 2} | "
         "tojson(sort_keys=true) }}",
         "\"a\\\"\\n\u00e9\" \"\\u00e9\" {\"a\": 2, \"b\": 1}"},
        {"{{ '{\"a\": [1, null]}' | from_json }}", "{'a': [1, None]}"},
        {"{{ words | sort | join(',') }} {{ words | sort(case_sensitive=true, reverse=true) | join }} {{ words | "
         "map('upper') | join }}",
         "A,b,c cbA BAC"},
        {"{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }} {{ messages | "
         "rejectattr('role', 'eq', 'user') | list | length }}",
         "['q'] 1"},
        {"{{ [0, 1, 2] | select | list }} {{ [1, 2, 3] | reject('odd') | list }} {{ [3, 1] | min }}{{ [3, 1] | max }} "
         "{{ ['a', 'A', 'b'] | unique | list }}",
         "[1, 2] [2] 13 ['a', 'b']"},
        {"{% for k, v in d | dictsort %}{{ k }}{% endfor %}{% for k, v in d.items() %}{{ k }}{% endfor %}{% for k, v "
         "in d | items %}{{ k }}{% endfor %}",
         "azzaza"},
        {"[{{ ' \u00a0a\u3000 ' | trim }}] {{ 'xxaxx'.strip('x') }} {{ 'xax'.lstrip('x') }} {{ 'xax'.rstrip('x') }}",
         "[a] a ax xa"},
        {"{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a.b.c'.split('.', 1) }} {{ 'x,'.split(',') }} {{ "
         "''.split(',') }}",
         "['a', 'b', '', 'c'] ['a', 'b'] ['a', 'b.c'] ['x', ''] ['']"},
        {"{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'aXa' | "
         "replace('X', '-') }}",
         "TrueTrue bba a-a"},
        {"{{ \"don't\" | title }} {{ 'x.y z' | title }} {{ 'a-b (c [d {e <f' | title }}",
         "Don't X.y Z A-B (C [D {E <F"},
        {"{{ \"don't\".title() }} {{ 'x.y z'.title() }}", "Don'T X.Y Z"},
        {"{{ 'hello wORLD' | title }} {{ 'hello World' | capitalize }} {{ 'a\\n\\nb' | indent(2) }} {{ '5' | int + 1 "
         "}} {{ -3 | abs }} {{ 2.567 | round(1) }}",
         "Hello World Hello world a\n\n  b 6 3 2.6"},
        {"{{ missing | default('x') }} {{ '' | default('y', true) }} {{ d.get('q', 'dflt') }} {{ d.get('q') }} {{ "
         "words | first }}{{ words | last }}",
         "x y dflt None bc"},
        {"{% set l = [1, 2] %}{% set _ = l.append(3) %}{{ l.pop(0) }}{{ l }} {% set e = {'a': 1} %}{{ e.pop('a') }}{{ "
         "e }} {{ '{} {k}'.format(1, k=2) }}",
         "1[2, 3] 1{} 1 2"},
    };
    all_give(p, COUNT(p));
}

static void test_statements(void **state) {
    (void)state;
    static const struct pair p[] = {
        {"{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% "
         "endfor %}",
         "10TrueFalse2 21FalseTrue2 "},
        {"{% for i in [1, 2, 3] if i > 1 %}{{ loop.index }}{{ i }}{{ loop.previtem is defined }}{{ loop.nextitem }};{% "
         "endfor %}",
         "12False3;23True;"},
        {"{% for i in [] %}x{% else %}none{% endfor %}{% for c in 'h\u00e9' %}({{ c }}){% endfor %}",
         "none(h)(\u00e9)"},
        {"{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i "
         "}}{% endfor %}",
         "013"},
        {"{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}", "15151"},
        {"{% set ns = namespace(a=0) %}{% for i in range(5) %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}", "10"},
        {"{% set x %} a{{ n }} {% endset %}[{{ x }}]{% set y | trim | upper %} b {% endset %}[{{ y }}]", "[ a7 ][B]"},
        {"{% set a, b = [1, 2] %}{{ b }}{{ a }}{% if false %}1{% elif n == 7 %}2{% elif true %}3{% else %}4{% endif %}",
         "212"},
        {"{% macro f(x, y='d') %}<{{ x }}{{ y }}>{% endmacro %}{{ f(1) }}{{ f(1, y=2) }}{{ f(3) | upper }}",
         "<1d><12><3D>"},
        {"{% macro r(n) %}{{ n }}{% if n > 0 %}{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(5) }}", "543210"},
        /* macros see what the template has set, not what a loop around the call has, and keep what they set */
        {"{% set x = 1 %}{% macro f() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ f() }}", "2"},
        {"{% macro f() %}[{{ x }}]{% endmacro %}{% for x in [1, 2] %}{{ f() }}{% endfor %}", "[][]"},
        {"{% set x = 1 %}{% macro f() %}{% set x = 5 %}{{ x }}{% endmacro %}{{ f() }}{{ x }}", "51"},
        {"{% set x = 7 %}{% macro f(x) %}{{ x }}{% endmacro %}{{ f(1) }}{{ x }}", "17"},
        {"{% macro f() %}a{% endmacro %}{% macro g() %}a{% endmacro %}{% if f == f %}1{% endif %}{% if f == g "
         "%}2{% endif %}{% if f != g %}3{% endif %}",
         "13"},
        {"{% filter upper %}ab{{ n }}c{% endfilter %}{% generation %}g{% endgeneration %}{# c #}{{ strftime_now('%Y') "
         "}}",
         "AB7Cg1970"},
    };
    all_give(p, COUNT(p));
}

/* trim_blocks and lstrip_blocks, and the signs; the answers are Python's jinja2's. */
static void test_white_space(void **state) {
    (void)state;
    static const struct pair p[] = {
        {"  {% if true %}\n    a\n  {% endif %}\n  b\n{#- c -#}   z {# d #}\nx\n", "    a\n  bz x"},
        {"{%- if n %}\n  {{ n }}\n  {%- endif %}\n\n  {% set x = 1 %}\n  q\n", "  7\n  q"},
        {"a \n {{- n -}} \n b\n\n", "a7b\n"},
        {"a\r\n{% if true %}\r\nb\r{% endif %}", "a\nb\n"},
        {"  {%+ if true %}x{% endif +%}\ny", "  x\ny"},
        {" x {% if true %}y{% endif %} \n", " x y "},
    };
    all_give(p, COUNT(p));
}

/* Every byte that comes from `given` is marked, through every way that text can take; nothing else is. */
static void test_origin(void **state) {
    (void)state;
    /* 'p': the byte is the conversation's, '.': the template's.  t has 7 bytes. */
    static const struct pair ways[] = {
        {"<x>{{ t }}<x>", "...ppppppp..."},
        {"<x>{{ t | trim | upper }}", "...ppppppp"},
        {"{{ '<x>' + t + bos_token }}", "...ppppppp..."},
        {"{{ [t, t] | join('-') }}", "ppppppp.ppppppp"},
        {"{{ t[1:3] }}-{{ t[::-1] }}", "pp.ppppppp"},
        {"{{ t.split('>')[0] }}{{ t.strip('<') }}", "pppppppp"},
        {"{{ '<x>'.replace('x', t) }}", ".ppppppp."},
        {"{{ t.replace('x', '<') }}", "p.ppppp"},
        {"{{ [t] | tojson }}", "..ppppppp.."},
        {"{{ [t, 'x'] }}", "..ppppppp......."},
        {"{{ '<{}>'.format(t) }}", ".ppppppp."},
        {"{% set y %}<{{ t }}>{% endset %}{{ y }}", ".ppppppp."},
        {"{% for c in t %}{{ c }}-{% endfor %}", "p.p.p.p.p.pp."},
        {"{{ t | tojson | from_json }}", "ppppppp"},
        {"{{ t | indent(1, true) }}{{ t * 2 }}{{ n }}", ".ppppppppppppppppppppp."},
        {"{% for k in d %}{{ k }}{% endfor %}{{ d | tojson }}", "pp..p.......p....................."},
        {"{% macro f(a) %}<{{ a }}>{% endmacro %}{{ f(t) | title }}", ".ppppppp."},
        {"{{ messages | map(attribute='role') | map('upper') | list }}", "..pppp....ppppppppp.."},
    };
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct jinja_text x;
        struct error e;
        if (render(ways[i].text, NULL, &x, NULL, &e)) fail_msg("%s: %s", ways[i].text, e.text);
        for (size_t k = 0; k < x.size || ways[i].want[k]; k++)
            if (k >= x.size || (x.plain[k] ? 'p' : '.') != ways[i].want[k])
                fail_msg("%s: \"%s\", byte %zu: got %c, want %c", ways[i].text, x.text, k,
                         k < x.size && x.plain[k] ? 'p' : '.', ways[i].want[k]);
        jinja_text_free(&x);
    }
}

static void test_bad_templates(void **state) {
    (void)state;
    static const struct pair p[] = {
        {"{{ n", "no end"},
        {"{% if n %}x", "endif"},
        {"a\nb{% unknown %}", "T:2: tag \"unknown\" is not known"},
        {"{{ n | nofilter }}", "filter \"nofilter\" is not known"},
        {"{{ n is notest }}", "test \"notest\" is not known"},
        {"{{ n.nomethod() }}", "no method \"nomethod\""},
        {"{{ missing.x }}", "\"missing\" is undefined"},
        {"{{ 1 + 'a' }}", "no meaning"},
        {"{{ 1 / 0 }}{{ 1 % 0 }}", "division by zero"},
        {"{% for i in 5 %}{% endfor %}", "no items"},
        {"{% break %}", "outside of a loop"},
        {"{{ raise_exception('roles must alternate') }}", "roles must alternate"},
        {"{% set d.z = 2 %}", "namespace"},
        {"{{ f( }}", "missing"},
        {"{# c", "no end"},
        {"{{ 'a }}", "no end"},
        {"{% endif %}", "not known"},
        {"{{ }}", "missing"},
    };
    for (size_t i = 0; i < COUNT(p); i++) refuses(p[i].text, p[i].want);
    struct jinja_text x;
    struct error e;
    bool raised;
    assert_int_equal(render("{{ raise_exception('x') }}", NULL, &x, &raised, &e), ERR_INPUT);
    assert_true(raised);
    assert_int_equal(render("{{ 1 / 0 }}", NULL, &x, &raised, &e), ERR_INPUT);
    assert_false(raised);
}

/* F11: work, memory, output and depth are bounded. */
static void test_limits(void **state) {
    (void)state;
    refuses("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "deeper");
    refuses("{{ range(1000000000) | length }}", "range");
    refuses("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "more than");
    refuses("{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(90) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
            "bytes");
    refuses("{{ 'x' * 9000000000 }}", "more than");
    refuses("{% set l = [1] %}{% for i in l %}{% set _ = l.append(i) %}{% endfor %}", "more than");
    refuses("{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", "deeper");
    refuses("{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}", "deeper");
    refuses("{% set l = [] %}{% set _ = l.append(l) %}{% set m = [] %}{% set _ = m.append(m) %}{{ l == m }}", "deeper");
    refuses("{{ 'aaaa' | indent(900000000) }}", "more than");
    enum { N = 20000 };
    static const char *const opens[] = {"(", "[", "{'a':", "-", "not ", "{% if 1 %}", "1 if "};
    char *text = malloc(16 * N);
    assert_non_null(text);
    for (size_t k = 0; k < COUNT(opens); k++) {
        size_t n = 0;
        bool tag = opens[k][0] == '{' && opens[k][1] == '%';
        if (!tag) memcpy(text, "{{ ", 3), n = 3;
        for (size_t i = 0; i < N; i++) memcpy(text + n, opens[k], strlen(opens[k])), n += strlen(opens[k]);
        text[n] = 0;
        struct jinja_text x;
        struct error e;
        assert_int_equal(render(text, NULL, &x, NULL, &e), ERR_INPUT);
    }
    size_t n = (size_t)sprintf(text, "{{ 1");
    for (size_t i = 0; i < N; i++) memcpy(text + n, "+1", 2), n += 2;
    memcpy(text + n, " }}", 4);
    refuses(text, "deeper");
    free(text);
    struct jinja_limits small = jinja_limits;
    small.output_bytes = 10;
    struct jinja_text x;
    struct error e;
    assert_int_equal(render("0123456789", &small, &x, NULL, &e), OK);
    jinja_text_free(&x);
    assert_int_equal(render("01234567890", &small, &x, NULL, &e), ERR_INPUT);
    small.output_bytes = 1000, small.steps = 100;
    assert_int_equal(render("{% for i in range(9) %}{% endfor %}", &small, &x, NULL, &e), OK);
    jinja_text_free(&x);
    assert_int_equal(render("{% for i in range(90) %}{% endfor %}", &small, &x, NULL, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "steps"));
}

static const char busy[] = "{%- macro f(a, b=1) %}{{ a }}{{ b }}{% endmacro %}{% set ns = namespace(x=[]) %}\n{% for m "
                           "in messages[::-1] if m.role %}"
                           "{% set ns.x = ns.x + [m | tojson] %}{{ f(m.content | trim, b='q'.split('x')) }}{% else "
                           "%}z{% endfor %}{{ ns.x | sort | join(',') }}";

/* A template cut at every byte, and with every byte replaced: an error or a text, never more. */
static void test_damaged(void **state) {
    (void)state;
    char text[sizeof busy];
    struct jinja_text x;
    struct error e;
    for (size_t cut = 0; cut < sizeof busy; cut++) {
        memcpy(text, busy, sizeof busy);
        text[cut] = 0;
        render(text, NULL, &x, NULL, &e);
        jinja_text_free(&x);
        for (const char *c = "{}%|'\\(.-\xff"; *c && cut + 1 < sizeof busy; c++) {
            memcpy(text, busy, sizeof busy);
            text[cut] = *c;
            render(text, NULL, &x, NULL, &e);
            jinja_text_free(&x);
        }
    }
}

/* Every allocation fails once: ERR_MEMORY and no leak. */
static void test_memory(void **state) {
    (void)state;
    struct jinja_text x;
    struct error e;
    size_t i = 1;
    for (;; i++) {
        mem_fail_at(i, false);
        enum status s = render(busy, NULL, &x, NULL, &e);
        mem_fail_at(0, false);
        jinja_text_free(&x);
        if (s == OK) break;
        if (s != ERR_MEMORY) fail_msg("allocation %zu: status %d, %s", i, (int)s, e.text);
        assert_true(i < 1000);
    }
    assert_true(i > 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions), cmocka_unit_test(test_filters_and_methods),
        cmocka_unit_test(test_statements),  cmocka_unit_test(test_white_space),
        cmocka_unit_test(test_origin),      cmocka_unit_test(test_bad_templates),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
