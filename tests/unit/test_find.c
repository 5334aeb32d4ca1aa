/* with: services/reward/ */
/*  The program is found in whatever a model writes around it, and nothing else is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "task/family.h"
#include "sandbox_fixture.h"
#include "score_fixture.h"

#define OWN                                                                                        \
    "{\"id\":\"o\",\"family\":\"coding\",\"brief\":\"Add.\",\"entry_point\":\"total\","            \
    "\"tests\":[{\"args\":[[1,2]],\"result\":3},{\"args\":[[]],\"result\":0}]}"
#define HUMAN                                                                                      \
    "{\"id\":\"h\",\"family\":\"coding\",\"entry_point\":\"total\",\"prompt\":\"from typing "      \
    "import "                                                                                      \
    "List\\n\\n\\ndef total(xs: List[int]) -> int:\\n    \\\"\\\"\\\" Sum of xs. "                 \
    "\\\"\\\"\\\"\\n\",\"brief\":"                                                                 \
    "\"b\",\"test\":\"def check(f):\\n    assert f([1, 2]) == 3\\n    assert f([]) == 0\\n\"}"

typedef struct {
    const char *what, *text;
} find_case_t;

static const find_case_t answers[] = {
    {"plain", "def total(xs):\n    return sum(xs)\n"},
    {"fenced", "```python\ndef total(xs):\n    return sum(xs)\n```"},
    {"fenced, no language", "```\ndef total(xs):\n    return sum(xs)\n```"},
    {"prose around it, no fence", "Here:\n\ndef total(xs):\n    return sum(xs)\n\nThis works.\n"},
    {"a shell's line first",
     "Run:\n```bash\necho hi\n```\n```python\ndef total(xs):\n    return sum(xs)\n```"},
    {"backquotes in prose",
     "The ```total``` function:\n```python\ndef total(xs):\n    return sum(xs)\n```"},
    {"a fence in a docstring", "```python\ndef total(xs):\n    \"\"\"Example:\n    ```\n    "
                               "total([1])\n    ```\n    \"\"\"\n    return sum(xs)\n```"},
    {"a draft in thoughts",
     "<think>\nMaybe:\n```python\ndef total(xs):\n    return 5\n```\nNo.\n</think>\n```python\ndef "
     "total(xs):\n    return sum(xs)\n```"},
    {"thoughts without code",
     "<think>\nSum them.\n</think>\n\ndef total(xs):\n    return sum(xs)\n"},
    {"thoughts that the prompt began",
     "Sum them:\ndef total(xs):\n    return 5\n</think>\ndef total(xs):\n    return sum(xs)\n"},
    {"thoughts that end right before the code",
     "Sum them.\ndef total(xs):\n    return 5\nNo.</think>def total(xs):\n    return sum(xs)\n"},
    {"thoughts that never end", "def total(xs):\n    return sum(xs)\n<think>\nBut:\ndef "
                                "total(xs):\n    x = 1\n    return 5\n"},
    {"thoughts twice", "<think>a</think><think>b\n</think>\ndef total(xs):\n    return sum(xs)\n"},
    {"other words for thoughts", "<Reasoning>\ndef total(xs):\n    x = 1\n    return "
                                 "5\n</Reasoning>def total(xs):\n    return sum(xs)\n"},
    {"a tag in a string", "def total(xs):\n    return sum(xs) if \"</think>\" else 0\n"},
    {"Windows line ends", "```py\r\ndef total(xs):\r\n    return sum(xs)\r\n```\r\n"},
    {"tabs", "def total(xs):\n\treturn sum(xs)\n"},
    {"tildes", "~~~python\ndef total(xs):\n    return sum(xs)\n~~~\n"},
    {"a fence that is never closed", "```python\ndef total(xs):\n    return sum(xs)\n"},
    {"a fence with attributes", "```Python3 title=x\ndef total(xs):\n    return sum(xs)\n```"},
    {"a fence in a fence", "````md\n```python\ndef total(xs):\n    return sum(xs)\n```\n````"},
    {"a fence in a list",
     "1. First:\n   ```python\n   def total(xs):\n       return sum(xs)\n   ```\n2. Done\n"},
    {"a fence in a quote", "> ```python\n> def total(xs):\n>     return sum(xs)\n> ```\n"},
    {"indented as a whole", "   def total(xs):\n       return sum(xs)\n"},
    {"a fence behind words", "Use ```python\ndef total(xs):\n    return sum(xs)```"},
    {"all in one line", "```python def total(xs): return sum(xs)```"},
    {"a byte order mark", "\357\273\277def total(xs):\n    return sum(xs)\n"},
    {"a session", ">>> def total(xs):\n...     return sum(xs)\n...\n>>> total([1, 2])\n3\n"},
    {"a session's lines in the docstring",
     "def total(xs):\n    \"\"\"\n    >>> total([1, 2])\n    3\n    \"\"\"\n    return sum(xs)\n"},
    {"a notebook's session", "In [1]: def total(xs):\n   ...:     return sum(xs)\n   ...:\n\nIn "
                             "[2]: total([3])\nOut[2]: 3\n"},
    {"tags of HTML", "<pre><code class=\"language-python\">def total(xs):\n    return sum(xs) if "
                     "len(xs) &gt; 0 and &#39;a&#39; "
                     "!= 1 else 0</code></pre>"},
    {"a tag for the answer", "<answer>def total(xs):\n    return sum(xs)</answer>"},
    {"special tokens", "<|start|>assistant<|message|>def total(xs):\n    return sum(xs)<|end|>"},
    {"wide special tokens",
     "<\357\275\234Assistant\357\275\234>def total(xs):\n    return sum(xs)\n"},
    {"one backquote", "It is `total = lambda xs: sum(xs)`, and no more."},
    {"a byte order mark in a fence",
     "```python\n\357\273\277def total(xs):\n    return sum(xs)\n```"},
    {"spaces that do not break", "def total(xs):\n\302\240\302\240return sum(xs)\n"},
    {"a form feed", "\fdef total(xs):\n    return sum(xs)\n"},
    {"a tag and a mark in strings",
     "def total(xs):\n    return sum(xs) if '<b>`\302\240</s>'[3] == '`' else 0\n"},
    {"a lambda", "total = lambda xs: sum(xs)\n"},
    {"another function's name", "def outer():\n    return sum\n\ntotal = outer()\n"},
    {"a constant in another fence",
     "First the constant:\n```python\nZERO = 0\n```\nThen\n```python\ndef total(xs):\n    return "
     "sum(xs, ZERO)\n```"},
    {"a function in a later fence",
     "```python\ndef total(xs):\n    return add_all(xs)\n```\nwith\n```python\ndef add_all(xs):\n  "
     "  return sum(xs)\n```"},
    {"a decorator and a guard", "import functools\n@functools.lru_cache(None)\ndef same(n):\n    "
                                "return n\n\ndef total(xs):\n    return sum(same(x) for x in "
                                "xs)\n\nif __name__ == '__main__':\n    print(total(input()))\n"},
    {"a function within", "def total(xs):\n    def go(i):\n        return xs[i] + go(i + 1) if i < "
                          "len(xs) else 0\n    return go(0)\n"},
    {"a method of the same name", "class Box:\n    def total(self, xs):\n        return "
                                  "sum(xs)\n\ndef total(xs):\n    return Box().total(xs)\n"},
    {"examples that fail", "def total(xs):\n    return sum(xs)\n\nprint(total([1, 2]))\nassert "
                           "total([1]) == 5\nn = int(input())\n"},
    {"an example that does not parse", "def total(xs):\n    s = 0\n    for x in xs:\n        s += "
                                       "x\n    return s\n\n# Test\nxs = [1,2\nprint(total(xs))\n"},
    {"a table that is filled",
     "table = []\ndef fill():\n    for i in range(3):\n        table.append(0)\nfill()\ndef "
     "total(xs):\n    return sum(xs) + table[2]\n"},
    {"an entry that is stored",
     "memo = {}\nmemo[0] = 0\ndef total(xs):\n    return sum(xs) + memo[0]\n"},
    {"a word that parses", "Answer\n\ndef total(xs):\n    return sum(xs)\n"},
    {"a stub, then the code",
     "```python\ndef total(xs):\n    '''Adds what is in xs,\n    all of it.'''\n    "
     "pass\n```\nSolution:\n```python\ndef total(xs):\n    return sum(xs)\n```"},
    {"of equals the last", "```python\ndef total(xs):\n    return 7\n```\nThat is wrong. "
                           "Better:\n```python\ndef total(xs):\n    return sum(xs)\n```"},
    {"the longer one",
     "```python\ndef total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return "
     "s\n```\nWrong would be:\n```python\ndef total(xs):\n    return 0\n```"},
    {"a module that is not there and not used",
     "import no_such_module\nfrom math import *\ndef total(xs):\n    return int(fsum(xs))\n"},
    {"a module that may not be there",
     "try:\n    import numpy as np\nexcept ImportError:\n    np = None\ndef total(xs):\n    return "
     "sum(xs) if np is None else int(np.sum(xs))\n"},
    {"a global",
     "COUNT = 0\ndef total(xs):\n    global COUNT\n    COUNT += 1\n    return sum(xs)\n"},
    {"annotations that mean nothing",
     "from __future__ import annotations\ndef total(xs: Foo) -> Bar:\n    return sum(xs)\n"},
    {"deep recursion", "import sys\nsys.setrecursionlimit(5000)\ndef down(n):\n    return down(n - "
                       "1) if n else 0\ndef total(xs):\n    return sum(xs) + down(3000)\n"},
    {"entities are left alone",
     "def total(xs):\n    amp = 0\n    return sum(xs) if len('&amp;') == 5 else 0\n"},
    {"a name made while it runs",
     "ZERO = 0\ndef total(xs):\n    return sum(xs) + globals()['ZERO']\n"},
    {"statements that parse and do not compile",
     "def total(xs):\n    return sum(xs)\n\nreturn total\ndef other(a, a):\n    pass\n"},
    {"a heading and bullets", "# Solution\n\n* Adds: every number\n* Returns: the sum\n\n## "
                              "Code\n\ndef total(xs):\n    return sum(xs)\n\n**Note:** O(n).\n"},
    {"an answer's own tags", "<answer>\ndef total(xs):\n    return sum(xs)\n</answer>\n"},
};

/*  What goes on with HUMAN's prompt. */
static const find_case_t rests[] = {
    {"special tokens behind a rest", "    return sum(xs)<|im_end|>\n<|endoftext|>"},
    {"an end of text behind a rest", "    return sum(xs)</s>"},
    {"a body", "    return sum(xs)\n"},
    {"the model goes on", "    s = 0\n    for x in xs:\n        s += x\n    return s\n\n\ndef "
                          "total(xs):\n    return 0\n"},
    {"a body without its indentation", "return sum(xs)"},
    {"a body with another one", "  return sum(xs)\n"},
    {"a tab", "\treturn sum(xs)\n"},
    {"a body in a fence, behind a blank line",
     "```python\n   \n    s = sum(xs)\n    return s\n```"},
    {"a body in a fence", "```python\n    return sum(xs)\n```"},
    {"only the first line lost it", "s = 0\n    for x in xs:\n        s += x\n    return s"},
    {"all lines lost it", "s = 0\nfor x in xs:\n    s += x\nreturn s"},
    {"the prompt again", "from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    "
                         "\"\"\" Sum of xs. \"\"\"\n    return sum(xs)\n"},
    {"the prompt again, in a fence",
     "Sure! Here:\n```python\nfrom typing import List\n\n\ndef total(xs: List[int]) -> int:\n    "
     "\"\"\" Sum of xs. \"\"\"\n    return sum(xs)\n```"},
    {"a function that comes later",
     "    return add(xs)\n\ndef add(xs):\n    return sum(xs)\n\nprint(total(3))\n"},
    {"prose with a space first", " Here is it\n\ndef total(xs):\n    return sum(xs)\n"},
    {"a body that says nothing, then the code",
     "    # go\n    pass\n\nSo:\n```python\ndef total(xs):\n    return sum(xs)\n```"},
    {"the whole where a body was wanted", "    def total(xs):\n        return sum(xs)\n"},
    {"brackets at the margin", "\n    return sum(\n        xs\n)\n"},
    {"the prompt's imports", "def total(xs: List[int]) -> int:\n    return sum(xs)\n"},
    {"a comment at the margin", "    s = sum(xs)\n# and that is it\n    return s\n"},
    {"a fence closes what the prompt began",
     "    return sum(xs)\n```\n\nThis adds. Example:\n```python\ntotal([1])\n```\n"},
};

static const find_case_t none[] = {
    {"nothing", ""},
    {"prose", "The sum of xs is what you want.\n"},
    {"only thoughts", "<think>\ndef total(xs):\n    return sum(xs)\n"},
    {"a method", "class Box:\n    def total(self, xs):\n        return sum(xs)\n"},
    {"a function within another",
     "def outer():\n    def total(xs):\n        return sum(xs)\n    return total\n"},
    {"another name", "def sum_of(xs):\n    return sum(xs)\n"},
    {"a coroutine", "async def total(xs):\n    return sum(xs)\n"},
    {"a header", "def total(xs):\n"},
    {"an import", "from solution import total\n"},
    {"a number", "total = 3\n"},
    {"two arguments", "def total(xs, ys):\n    return sum(xs)\n"},
};

static json_t *run (void *sandbox, const json_t *request, err_t *err)
{
    return sandbox_run (sandbox, request, err);
}

static reward_score_t score_of (sandbox_t *sandbox, const char *task, const char *const *roles,
                                const char *const *texts, size_t n)
{
    const task_sandbox_t lent = {.self = sandbox, .run = run};
    err_t err = {0};
    episode_limits_t limits = {.tokens = 72};
    episode_t *e = episode_new (task, roles, n, &limits, &err);
    if (!e)
        fail_msg ("%s", err.text);
    for (size_t r = 0; r < n; r++) {
        episode_action_t action = {.text = texts[r], .size = strlen (texts[r]), .tokens = 20};
        assert_int_equal (episode_act (e, r, &action, &err), 0);
    }
    assert_int_equal (episode_step (e, &err), 0);
    reward_score_t score;
    if (family_find ("coding")->score (e, &(task_capabilities_t){.sandbox = &lent}, &score, &err))
        fail_msg ("%s", err.text);
    episode_destroy (&e);
    return score;
}

static reward_score_t solo (sandbox_t *sandbox, const char *task, const char *text)
{
    static const char *const roles[] = {"solo"};
    return score_of (sandbox, task, roles, &text, 1);
}

static void all_succeed (sandbox_t *sandbox, const char *task, const find_case_t *cases, size_t n)
{
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        reward_score_t s = solo (sandbox, task, cases[i].text);
        if (!s.success)
            print_error ("%s: %s\n", cases[i].what, s.verdict);
        failed += !s.success;
    }
    assert_int_equal (failed, 0);
}

static void an_answer_is_found_wherever_it_stands (void **state)
{
    all_succeed (*state, OWN, answers, sizeof answers / sizeof *answers);
    all_succeed (*state, HUMAN, answers, sizeof answers / sizeof *answers);
}

static void a_file_s_rest_is_found (void **state)
{
    all_succeed (*state, HUMAN, rests, sizeof rests / sizeof *rests);
}

static void what_defines_nothing_fails (void **state)
{
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        reward_score_t s = solo (*state, OWN, none[i].text);
        if (s.success || s.quality > 0.1)
            fail_msg ("%s: quality %g, %s", none[i].what, s.quality, s.verdict);
    }
}

/*  Each step towards a program that runs is worth something, all of them less than one test. */
static void steps_towards_a_program_are_graded (void **state)
{
    static const char *const steps[] = {
        "The sum.",
        "def add(xs):\n    return sum(xs)\n",
        "def total(xs, ys):\n    return sum(xs)\n",
        "def total(xs):\n    return xs[7]\n",
        "def total(xs):\n    return xs + [4]\n",
        "def total(xs):\n    return len(xs)\n",
        "def total(xs):\n    return sum(xs)\n",
    };
    double before = -1, qualities[7];
    for (size_t i = 0; i < 7; i++) {
        qualities[i] = solo (*state, OWN, steps[i]).quality;
        if (!(qualities[i] > before))
            fail_msg ("%s: quality %g after %g", steps[i], qualities[i], before);
        before = qualities[i];
    }
    assert_true (fabs (qualities[0]) < 1e-12 && fabs (qualities[6] - 1) < 1e-12);
    assert_true (qualities[5] - qualities[4] >= qualities[4]);
    /* A constant passes one test of two, and is worth less than an attempt that passes none. */
    reward_score_t lucky = solo (*state, OWN, "def total(xs):\n    return 3\n");
    assert_true (part_of (&lucky, "tests") > 0.4 && lucky.quality < qualities[4]);
    assert_non_null (strstr (lucky.verdict, "one answer to all calls"));
}

/*  Each assert of a check is a test of its own, also behind one that fails and before an end. */
static void asserts_count_one_by_one (void **state)
{
    static const char task[] =
        "{\"id\":\"h\",\"family\":\"coding\",\"entry_point\":\"f\",\"prompt\":\"def f(n):\\n\","
        "\"brief\":\"b\",\"test\":\"def check(f):\\n    assert f(1) == 1\\n    assert f(2) == 4\\n"
        "    for i in range(3, 5):\\n        assert f(i) == i * i, i\\n    assert True\\n"
        "    try:\\n        f(-1)\\n        assert f(0) == 1\\n    except ValueError:\\n"
        "        pass\\n    assert(f(0) == 0)\\n\"}";
    static const struct {
        const char *body;
        double tests, runs;
        bool success;
    } cases[] = {
        {"    if n < 0:\n        raise ValueError\n    return n * n\n", 1, 1, true},
        {"    if n < 0:\n        raise ValueError\n    return n\n", 0.4, 0.8, false},
        {"    if n < 0:\n        raise ValueError\n    return 1 // n\n", 0.2, 0.6, false},
        {"    while n == 3:\n        pass\n    return n * n\n", 0.4, 0.4, false},
        {"    return n *\n", 0, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reward_score_t s = solo (*state, task, cases[i].body);
        if (fabs (part_of (&s, "tests") - cases[i].tests) > 1e-9 ||
            fabs (part_of (&s, "runs") - cases[i].runs) > 1e-9 || s.success != cases[i].success)
            fail_msg ("%s: tests %g, runs %g, %s", cases[i].body, part_of (&s, "tests"),
                      part_of (&s, "runs"), s.verdict);
    }
}

/*  A test may make objects of the classes that a prompt defines; the program need not name them. */
static void classes_of_the_prompt_are_in_the_program (void **state)
{
    static const char task[] =
        "{\"id\":\"h\",\"family\":\"coding\",\"entry_point\":\"f\",\"brief\":\"b\",\"prompt\":\""
        "from collections import namedtuple\\nP = namedtuple('P', 'x y')\\nclass N:\\n"
        "    def __init__(self, v, next=None): self.v, self.next = v, next\\ndef f(n):\\n\","
        "\"test\":\"def check(f):\\n    n = N(P(1, 2), N(3))\\n    assert f(n) is n.next\\n"
        "    assert n.v == (2, 1)\\n\"}";
    static const char *const texts[] = {
        "    n.v = n.v._replace(x=n.v.y, y=n.v.x)\n    return n.next\n",
        "def f(n):\n    n.v = n.v._replace(x=n.v.y, y=n.v.x)\n    return n.next\n",
        "class N:\n    pass\ndef f(n):\n    n.v = n.v[::-1]\n    return n.next\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        reward_score_t s = solo (*state, task, texts[i]);
        if (!s.success)
            fail_msg ("%s: %s", texts[i], s.verdict);
    }
}

static void a_helper_that_does_not_parse_spoils_nothing (void **state)
{
    static const char *const roles[] = {"aux", "main"};
    static const char *const helpers[] = {
        "def aux(xs)\n    return sum(xs)\n",
        "I would rather not.",
        "def aux(a, a):\n    return 1\n",
        "```\ndef aux(xs:\n```",
        "<think>\ndef aux(xs):\n    return sum(xs)\n",
        "def total(xs):\n    return 7\n\nimport no_such_module\n",
    };
    for (size_t i = 0; i < sizeof helpers / sizeof *helpers; i++) {
        const char *texts[] = {helpers[i], "def total(xs):\n    return sum(xs)\n"};
        reward_score_t s = score_of (*state, OWN, roles, texts, 2);
        if (part_of (&s, "all_tests") < 1 || s.success || part_of (&s, "defined") > 0.6 ||
            !strstr (s.verdict, "helper left out"))
            fail_msg ("%s: %s", helpers[i], s.verdict);
    }
    /* Prose around both, and what the helper needs comes along. */
    const char *texts[] = {"Sure:\n```python\nimport math\nONE = 1\ndef aux(x):\n"
                           "    return math.floor(x) * ONE\n```\nprint(aux())",
                           "It calls aux:\n\ndef total(xs):\n    return sum(aux(x) for x in xs)\n"};
    assert_true (score_of (*state, OWN, roles, texts, 2).success);
    /* HumanEval's helper goes on behind "def aux(". */
    const char *rest[] = {"x):\n    return x\n\n\ndef aux(y):\n    return 5\n",
                          "    return sum(aux(x) for x in xs)\n"};
    assert_true (score_of (*state, HUMAN, roles, rest, 2).success);
}

/*  Texts of any length and kind end, and the next program runs. */
static void texts_that_cost_much_end (void **state)
{
    static const struct {
        const char *line;
        size_t times;
    } hard[] = {{"def total(x):\n", 3000}, {"a(\n", 9000}, {"foo = '''\n", 5001}, {"if x:\n", 3000},
                {">>> a=\n", 5000},        {"-", 90000},   {"x=(", 30000},        {"lambda:", 5000},
                {"x: total\n", 9000},      {"a=1;", 9000}, {"```", 20000},        {"<think>", 9000},
                {"</think>\n", 9000},      {"> ", 20000},  {"    \n", 20000},     {"@a\n", 9000}};
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
        buf_t text = {0};
        for (size_t n = 0; n < hard[i].times; n++)
            buf_text (&text, hard[i].line);
        assert_false (solo (*state, HUMAN, text.data).success);
        buf_free (&text);
        assert_true (solo (*state, OWN, "def total(xs):\n    return sum(xs)\n").success);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (an_answer_is_found_wherever_it_stands),
        cmocka_unit_test (a_file_s_rest_is_found),
        cmocka_unit_test (what_defines_nothing_fails),
        cmocka_unit_test (steps_towards_a_program_are_graded),
        cmocka_unit_test (asserts_count_one_by_one),
        cmocka_unit_test (classes_of_the_prompt_are_in_the_program),
        cmocka_unit_test (a_helper_that_does_not_parse_spoils_nothing),
        cmocka_unit_test (texts_that_cost_much_end),
    };
    return cmocka_run_group_tests (tests, sandbox_setup, sandbox_teardown);
}
