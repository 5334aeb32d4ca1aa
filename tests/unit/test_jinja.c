/*  Chat templates: what comes out is what jinja2 writes (3.1, trim_blocks and lstrip_blocks); what
 *  is not known is refused, and no template takes long. */
#include "text/jinja.h"

#include "model_fixture.h"

static json_t *variables (void)
{
    return json_pack ("{s:[{s:s, s:s}], s:b, s:n, s:s}", "messages", "role", "user", "content",
                      "Hi \xc3\xa9", "add_generation_prompt", 1, "tools", "bos_token", "<s>");
}

/*  why "": out is what is written; else it is refused and says why. */
static void check (const char *template, const char *out, const char *why)
{
    buf_t text = {.max = 1 << 16};
    err_t err = {0};
    json_t *v = variables ();
    buf_text (&text, "");
    int rc = jinja_render (template, v, NULL, &text, &err);
    json_decref (v);
    if (*why ? rc == 0 || !strstr (err.text, why) : rc != 0 || strcmp (text.data, out) != 0)
        fail_msg ("%s: got '%s' (%s), wanted '%s'%s", template, rc == 0 ? text.data : "", err.text,
                  out, why);
    buf_free (&text);
}

static void templates_write_what_jinja_writes (void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        {"plain\n", "plain"},
        {"a \n  {% if true %}  b {% endif %}\n c  {#- x -#}  d {# y #}\n e{%+ if 1 %} f{% endif "
         "+%}\n g {{ 'x' -}}  h\n",
         "a \n  b  cd  e f\n g xh"},
        {"\n\n  {% for m in messages %}\n   {{ loop.index }}{% if not loop.last %},{% endif "
         "%}\n\t{%- endfor %}\n\n",
         "\n\n   1"},
        {"{{ bos_token }}{%- for message in messages -%}\n  {{ message['role'] + ': ' + "
         "message.content }}\n{%- endfor %}",
         "<s>user: Hi \xc3\xa9"},
        {"{{ 'it\\'s' \"\\n\\\"\" }}{{ 1 }}{{ none }}{{ true }}{{ missing }}", "it's\n\"1NoneTrue"},
        {"{{ 'a' if messages[1] is defined else 'b' if tools else 'c' }}{{ 'x' if tools }}", "c"},
        {"{{ messages[5].content if messages[5] else 'none there' }}", "none there"},
        {"{% if tools %}{{ tools | tojson }}{% elif not tools and 'i' in 'hi' %}yes{% else %}no{% "
         "endif %}",
         "yes"},
        {"{{ 2 + 3 - 1 }}{{ -3 + 5 }}{{ 7 % 4 }}{{ 'a' ~ 1 }}{{ 3 > 2 }}{{ 3 <= 2 }}",
         "423a1TrueFalse"},
        {"{{ not 'a' in 'abc' }}{{ 'd' not in ['a', 'd'] }}{{ 'role' in messages[0] }}",
         "FalseFalseTrue"},
        {"{{ messages[0].content[:2] }}|{{ messages[0].content[3:] }}|{{ messages[0].content[-1:] "
         "}}",
         "Hi|\xc3\xa9|\xc3\xa9"},
        {"{{ messages | length }}{{ messages[1:] | length }}{{ messages[::-1][0].role }}{{ "
         "messages[-1].role }}",
         "10useruser"},
        {"{{ ' a b\\n' | trim }}|{{ 'xxay'.strip('xy') }}|{{ ' a '.rstrip() }}|{{ "
         "'ab'.startswith('a') }}{{ 'ab'.endswith('a') }}",
         "a b|a| a|TrueFalse"},
        {"{{ missing | default('d') }}{{ '' | default('e', true) }}{{ 'a' | upper }}{{ "
         "messages[0].get('x', 'y') }}",
         "deAy"},
        {"{% set ns = namespace(a=1, b=false) %}{% for m in messages %}{% set ns.a = ns.a + 4 %}{% "
         "set z = 3 %}{% endfor %}{{ ns.a }}{{ z is defined }}{{ ns.b is false }}",
         "5FalseTrue"},
        {"{% for i in ['u', 'v'] %}{{ i }}{{ loop.first }}{% endfor %}{% for i in [] %}x{% else "
         "%}empty{% endfor %}",
         "uTruevFalseempty"},
        {"{% macro f(x) %}{{ x | tojson }}{% endmacro %}{% generation %}g{% endgeneration %}", "g"},
        {"{% if false %}{{ unknown(1) | what }}{% set x %}{% endset %}{{ '%}' }}{% endif %}ok",
         "ok"},
        {"{{ true or unknown(1) }}{{ false and messages.x.y }}", "TrueFalse"},
        {"{{ messages is string }}{{ messages is iterable }}{{ tools is none }}{{ x is not defined "
         "}}",
         "FalseTrueTrueTrue"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check (cases[i][0], cases[i][1], "");
}

/*  One set of the constructs in the file, with what the reference writes. */
static void follow (const char *set, const struct tm *day)
{
    json_error_t where;
    json_t *all = json_load_file ("tests/golden/data/templates.json", 0, &where), *one;
    size_t i, wrong = 0;
    if (!all)
        fail_msg ("%s, line %d", where.text, where.line);
    assert_true (json_array_size (json_object_get (all, set)) > 0);
    json_array_foreach (json_object_get (all, set), i, one) {
        const char *template = json_string_value (json_array_get (one, 0));
        const char *wanted = json_string_value (json_array_get (one, 1));
        buf_t text = {.max = 1 << 16};
        err_t err = {0};
        buf_text (&text, "");
        if (jinja_render (template, json_object_get (all, "variables"), day, &text, &err) != 0 ||
            strcmp (text.data, wanted) != 0) {
            print_error ("%s: got '%s' (%s), wanted '%s'\n", template, text.data, err.text, wanted);
            wrong++;
        }
        buf_free (&text);
    }
    assert_int_equal (wrong, 0);
    json_decref (all);
}

static void constructs_of_templates_are_followed (void **state)
{
    (void) state;
    follow ("cases", NULL);
}

/*  Beside jinja2 with a clock that stands at that day's midnight. */
static void dates_are_written_as_python_writes_them (void **state)
{
    (void) state;
    struct tm day;
    assert_true (date_parse ("2026-11-09", &day));
    follow ("dated", &day);
    static const char *const refused[][2] = {
        {"{{ strftime_now('%s') }}", "'%s' of a date is not known here"},
        {"{{ strftime_now('%Ey') }}", "'%Ey' of a date"},
        {"{{ strftime_now('%') }}", "'%' of a date"},
        {"{{ strftime_now(3) }}", "takes a format"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        buf_t text = {.max = 1 << 16};
        err_t err = {0};
        json_t *v = variables ();
        assert_int_equal (jinja_render (refused[i][0], v, &day, &text, &err), -1);
        if (!strstr (err.text, refused[i][1]))
            fail_msg ("got '%s', wanted '%s'", err.text, refused[i][1]);
        json_decref (v);
        buf_free (&text);
    }
}

static void only_days_are_dates (void **state)
{
    (void) state;
    static const char *const none[] = {"",           "2026-11-9",   "2026-02-29", "2026-13-01",
                                       "2026-00-01", "2026-11-00",  "2026-11-31", "0999-01-01",
                                       "2026/11/09", "2026-11-09 ", " 026-11-09", "20261109"};
    struct tm day;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (date_parse (none[i], &day))
            fail_msg ("'%s' was taken for a day", none[i]);
    assert_true (date_parse ("2024-02-29", &day) && day.tm_wday == 4 && day.tm_yday == 59);
    assert_true (date_parse ("1969-12-31", &day) && day.tm_wday == 3);
    assert_true (date_parse ("9999-12-31", &day));
}

static void what_is_not_known_is_refused (void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        {"\n\n{{ strftime_now('%d') }}", "line 3: it writes the date"},
        {"{{ raise_exception('no system') }}", "no system"},
        {"{{ messages.x.y }}", "attribute y of what is undefined"},
        {"{{ f(1) }}", "function f"},
        {"{% if strftime_now is defined %}{{ strftime_now('%d') }}{% endif %}", "writes the date"},
        {"{{ messages | groupby('role') }}", "filter groupby"},
        {"{{ messages.append(1) }}", "method append"},
        {"{{ namespace(a=1) }}", "a namespace, a range or what holds the undefined is written out"},
        {"{% for a in [1] %}{% macro f() %}{{ a }}{% endmacro %}{% endfor %}", "inside of a loop"},
        {"{{ [range(2)] }}", "a namespace, a range or what holds the undefined is written out"},
        {"{% macro f(a) %}{% endmacro %}{{ f.name }}", "attribute name of a macro"},
        {"{{ [] | tojson(separators=3) }}", "such separators"},
        {"{% with a %}{% endwith %}", "such a with"},
        {"{% with a = 1 %}", "with has no end"},
        {"{% if 0 %}{% call f() %}{% endif %}", "call has no end"},
        {"{{ {true: 2} }}", "a key of such a kind"},
        {"{{ {1.5: 2} }}", "a key of such a kind"},
        {"{{ {1: 2} | tojson(sort_keys=true) }}", "sort_keys of numbers"},
        {"{{ {'a': missing} }}", "what holds the undefined is written out"},
        {"{{ {'a': missing}.items() }}", "of what is undefined in part"},
        {"{{ 'a' in {'a': missing} }}", "'in' of such values"},
        {"{{ dict(a=missing) }}", "dict with what is undefined"},
        {"{% macro f(a='d') %}{{ a }}{% endmacro %}{{ f(a=missing) }}",
         "is given what is undefined by name"},
        {"{{ namespace() is mapping }}", "the test mapping of a namespace"},
        {"{{ {'a': 1}.items }}", "a function is written out"},
        {"{{ (2).real }}", "attribute real of a number"},
        {"{% set ns = namespace(a=[]) %}{% for i in range(200) %}{% set ns.a = [ns.a] %}{% endfor "
         "%}",
         "a value is nested too deep"},
        {"{{ '{:3}'.format(1) }}", "a place like {:3}"},
        {"{{ '{a.b}'.format(a=1) }}", "a place like {a.b}"},
        {"{{ '{} {0}'.format(1) }}", "with and without numbers"},
        {"{{ '{}{}'.format(1) }}", "nothing is given for {}"},
        {"{{ '{b}'.format(a=1) }}", "nothing is given for {b}"},
        {"{{ '}'.format(1) }}", "a } without its {"},
        {"{{ missing | int }}", "a number of what is undefined"},
        {"{{ 1 | indent }}", "indent of what is no text"},
        {"{{ 'a'.join([1]) }}", "method join"},
        {"{{ ['a' | safe] }}", "Markup ()"},
        {"{% raw +%}{% endraw %}", "such a raw block"},
        {"{% filter length %}a{% endfilter %}", "a filter block of what is no text"},
        {"{{ messages | map(attribute='x.y') | list }}", "the attribute y of what is undefined"},
        {"{{ messages | map(attribute='role') }}", "a filter list in front makes a list of it"},
        {"{{ messages | map(attribute='role') | length }}", "length of a generator"},
        {"{% set m = messages | select %}{{ m | first }}{{ m | list }}", "gone through twice"},
        {"{{ ('<' | safe).strip() }}", "method strip"},
        {"{{ messages | unique | list }}", "unique of lists or objects"},
        {"{{ [1] | sum(start=5) }}", "filter sum"},
        {"{{ '1_000' | int }}", "a number like 1_000"},
        {"{{ '10' | int(0, 2) }}", "another base"},
        {"{{ 15 | round(-1) }}", "round of such a value"},
        {"{{ '%' % 1 }}{{ '%s' % (1, 2) }}", "such a % is not known"},
        {"{{ '%s' % (1, 2) }}", "a value has no %"},
        {"{{ '%x' % 15 }}", "such a % is not known"},
        {"{{ '%s' % [1] }}", "'%' of a list"},
        {"{% macro f() %}{{ varargs }}{% endmacro %}{{ f() }}", "function is written out"},
        {"{{ '\\101' }}", "escape"},
        {"{{ 3 is prime }}", "test prime"},
        {"{% for a, b in [1] %}{% endfor %}", "no list"},
        {"{% for a, b in [[1]] %}{% endfor %}", "2 names for 1 values"},
        {"{% for a in 3 %}{% endfor %}", "no list"},
        {"{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "nested too deep"},
        {"{% macro f(x) %}{% endmacro %}{{ f(1, 2) }}", "takes 1 arguments"},
        {"{% set x %}a", "set has no end"},
        {"{% break %}", "outside of a loop"},
        {"{% call f() %}{% endcall %}", "tag call"},
        {"{{ range }}", "function is written out"},
        {"{{ 'a' * 100000000 }}", "does too much"},
        {"{{ range(100000000) }}", "does too much"},
        {"{{ 'a' + missing }}", "undefined"},
        {"{{ 1 + 'a' }}", "'+' of such values"},
        {"{% include 'x' %}", "tag include"},
        {"{% if 1 %}", "if has no end"},
        {"{% for a in [] %}", "for has no end"},
        {"{% endif %}", "end without a beginning"},
        {"{{ 'a", "no end"},
        {"{{ 1 ", "wanted"},
        {"{# a", "comment has no end"},
        {"{{ \"\xff\" }}", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check (cases[i][0], "", cases[i][1]);
}

/*  Text that repeats a piece n times between two ends. */
static void repeated (const char *before, const char *piece, size_t n, const char *after,
                      const char *why)
{
    buf_t text = {0};
    buf_text (&text, before);
    for (size_t i = 0; i < n; i++)
        buf_text (&text, piece);
    buf_text (&text, after);
    check (text.data, "", why);
    buf_free (&text);
}

static void no_template_takes_long (void **state)
{
    (void) state;
    repeated ("{{ ", "(", 100000, "", "nested too deep");
    repeated ("{{ ", "not ", 100000, "1 }}", "nested too deep");
    repeated ("{{ ", "[", 100000, "", "nested too deep");
    repeated ("{{ 1 ", "if 1 else 1 ", 100000, "}}", "nested too deep");
    repeated ("", "{% if 1 %}", 100000, "", "nested too deep");
    repeated ("{% set n = namespace(a='ab') %}", "{% set n.a = n.a + n.a %}", 60, "",
              "does too much");
    buf_t nested = {0};
    for (size_t i = 0; i < 8; i++)
        buf_text (&nested, "{% for a in [1,1,1,1,1,1,1,1,1,1] %}");
    for (size_t i = 0; i < 8; i++)
        buf_text (&nested, "{% endfor %}");
    check (nested.data, "", "does too much");
    buf_free (&nested);
    check ("{% set n = namespace() %}{% set n.a = n %}{% set n.b = [n, n] %}{{ n == n.b }}", "",
           "a namespace is given to itself");
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (templates_write_what_jinja_writes),
                                       cmocka_unit_test (constructs_of_templates_are_followed),
                                       cmocka_unit_test (dates_are_written_as_python_writes_them),
                                       cmocka_unit_test (only_days_are_dates),
                                       cmocka_unit_test (what_is_not_known_is_refused),
                                       cmocka_unit_test (no_template_takes_long)};
    return cmocka_run_group_tests_name ("jinja", tests, NULL, NULL);
}
