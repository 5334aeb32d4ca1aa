/*  Chat templates, and the conversations that they write out. */
#include "text/jinja.h"
#include "fuzz.h"

static const char chatml[] =
    "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\\n' + messages[0].content + "
    "'<|im_end|>\\n' }}{%- else %}{{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}{%- endif %}"
    "{%- for m in messages %}{%- if (m.role == \"user\") or (m.role == \"system\" and not "
    "loop.first) %}{{- '<|im_start|>' + m.role + '\\n' + m.content|trim + '<|im_end|>' + '\\n' }}"
    "{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- endif %}";
static const char words[] =
    "{% set ns = namespace(found=false, n=0) %}{# a comment #}{% for m in messages[::-1] %}{% set "
    "ns.n = ns.n + loop.index0 * 2 - 1 %}{% if m is mapping and 'content' in m and m.content is "
    "string %}{% set ns.found = true %}{{ m.content.split('\\n')[0].strip() ~ ns.n }}{% elif "
    "loop.last %}{{ raise_exception('no ' + m.role) }}{% endif %}{% endfor %}{{ bos_token if "
    "ns.found else '' }}{{ messages|length }}{{ [1, 2.5, none, true]|join(', ') }}{{ x.y is "
    "defined }}{{ 'a' * 3 }}{{ messages[0].content[1:-1:2]|upper }}";

static const char blocks[] =
    "{%- macro f(x, y='d') -%}[{{ x }}{{ y | tojson(indent=2) }}]{%- endmacro -%}{% set t | trim "
    "%} a {% endset %}{% for k, v in {'a': [1, 2.5], 'b': (none, true)}.items() if v is sequence "
    "%}{% if loop.first %}{% continue %}{% endif %}{{ f(k, y=v) }}{{ loop.cycle('x', 'y') }}{% "
    "else %}none{% endfor %}{{ messages | selectattr('role', 'equalto', 'user') | "
    "map(attribute='content') | list | join('|') }}{{ 1 < 2 <= 3 }}{{ 'a b'.split() | last | "
    "indent(2) }}{{ 'abc'[::-1] ~ messages[-1:] }}{% raw %}{{ x }}{% endraw %}{{ "
    "strftime_now('%d %-d %b %%') }}";

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size)
{
    char *data = fuzz_text (bytes, size);
    err_t err = {0};
    struct tm day;
    buf_t out = {.max = 1 << 20};
    json_t *variables =
        json_pack ("{s:[{s:s, s:s}, {s:s, s:s}], s:b, s:s, s:n}", "messages", "role", "system",
                   "content", "Be kind.\n", "role", "user", "content", " Hi \xc3\xa9 there ",
                   "add_generation_prompt", 1, "bos_token", "<s>", "tools");
    date_parse ("2026-11-09", &day);
    jinja_render (data, variables, &day, &out, &err);
    json_decref (variables);
    buf_free (&out);
    free (data);
    return 0;
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
{
    fuzz_seed ("chatml", chatml, sizeof chatml - 1);
    fuzz_seed ("words", words, sizeof words - 1);
    fuzz_seed ("blocks", blocks, sizeof blocks - 1);
    return fuzz_seeds (argc, argv);
}
