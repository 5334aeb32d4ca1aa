/* with: services/reward/ */
/*  Values mean the same in the program, in the checker that runs its test, and in the judge that
 *  compares what its calls give. What every row says is what Python itself says in one process. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include "check_fixture.h"

/*  ---- tests of arguments and results --------------------------------------------------------- */

/*  main () of the program, and what a test wants of it. */
static const struct {
    const char *verdict, *program, *wanted;
} calls[] = {
    /* Numbers are equal across their types, and of any size. */
    {"right", "def main(): return 2.0", "{\"result\":2}"},
    {"right", "def main(): return 2", "{\"result\":2.0}"},
    {"right", "def main(): return True", "{\"result\":1}"},
    {"right", "def main(): return 0", "{\"result\":false}"},
    {"wrong", "def main(): return 3", "{\"result\":2}"},
    {"wrong", "def main(): return '2'", "{\"result\":2}"},
    {"wrong", "def main(): return None", "{\"result\":0}"},
    {"right", "def main(): return 2 ** 62", "{\"result\":4611686018427387904}"},
    {"right", "def main(): return 2 ** 63 - 1", "{\"result\":9223372036854775807}"},
    {"right", "def main(): return -2 ** 63", "{\"result\":-9223372036854775808}"},
    {"right", "def main(): return 2 ** 200",
     "{\"result\":{\"$number\":"
     "\"1606938044258990275541962092341162602522202993782792835301376\"}}"},
    {"wrong", "def main(): return 2 ** 200 + 1",
     "{\"result\":{\"$number\":"
     "\"1606938044258990275541962092341162602522202993782792835301376\"}}"},
    {"wrong", "def main(): return 2 ** 53 + 1", "{\"result\":9007199254740992.0}"},
    {"right", "def main(): return [10 ** 22]", "{\"result\":[1e22]}"},
    {"right", "def main(): return float('inf')", "{\"result\":{\"$number\":\"Infinity\"}}"},
    {"wrong", "def main(): return float('nan')", "{\"result\":{\"$number\":\"NaN\"}}"},
    {"right", "from decimal import Decimal\ndef main(): return Decimal('2.50')",
     "{\"result\":2.5}"},
    {"right", "from fractions import Fraction\ndef main(): return [Fraction(8, 4)]",
     "{\"result\":[2]}"},
    {"right", "def main(): return complex(2, 0)", "{\"result\":2}"},
    {"right", "import enum\nclass E(enum.IntEnum): a = 2\ndef main(): return E.a",
     "{\"result\":2}"},
    /* Whatever is a dict, and what is none. */
    {"right", "def main(): return {c: 'aab'.count(c) for c in 'ab'}",
     "{\"result\":{\"b\":1,\"a\":2}}"},
    {"right", "def main(): return {}", "{\"result\":{}}"},
    {"right", "def main(): return [{'a': [1.0]}]", "{\"result\":[{\"a\":[1]}]}"},
    {"wrong", "def main(): return {'a': 2}", "{\"result\":{\"a\":2,\"b\":1}}"},
    {"wrong", "def main(): return {1: 2}", "{\"result\":{\"1\":2}}"},
    {"wrong", "def main(): return []", "{\"result\":{}}"},
    {"right", "from collections import Counter\ndef main(): return Counter('aab')",
     "{\"result\":{\"a\":2,\"b\":1}}"},
    {"right",
     "from collections import defaultdict\ndef main():\n    d = defaultdict(lambda: 7)\n"
     "    d['a']\n    return d",
     "{\"result\":{\"a\":7}}"},
    {"right", "from collections import OrderedDict\ndef main(): return OrderedDict(b=1, a=2)",
     "{\"result\":{\"a\":2,\"b\":1}}"},
    /* A list equals lists alone. */
    {"right", "class L(list): pass\ndef main(): return L([1])", "{\"result\":[1]}"},
    {"wrong", "def main(): return (1, 2)", "{\"result\":[1,2]}"},
    {"wrong", "def main(): return {1, 2}", "{\"result\":[1,2]}"},
    {"wrong", "from collections import deque\ndef main(): return deque([1])", "{\"result\":[1]}"},
    {"wrong", "def main(): return b'a'", "{\"result\":\"a\"}"},
    {"wrong", "def main(): return range(2)", "{\"result\":[0,1]}"},
    {"right", "def main():\n    x = [1]\n    return [x, x]", "{\"result\":[[1],[1]]}"},
    {"wrong", "def main():\n    x = []\n    x.append(x)\n    return x", "{\"result\":[[[]]]}"},
    {"wrong", "def main():\n    x = []\n    for i in range(5000): x = [x]\n    return x",
     "{\"result\":[]}"},
    {"wrong", "def main(): return 'a\\ud800'", "{\"result\":\"a\"}"},
    {"right", "def main(): return 'a\\0'", "{\"result\":\"a\\u0000\"}"},
    /* What is derived from a type is what it holds, whatever it says of itself. */
    {"wrong", "class Y(int):\n    def __eq__(self, x): return True\ndef main(): return Y(3)",
     "{\"result\":2}"},
    {"wrong",
     "class Y(dict):\n    def __eq__(self, x): return True\n    def items(self): return "
     "[('a', 1)]\ndef main(): return Y()",
     "{\"result\":{\"a\":1}}"},
    {"wrong", "def main(): return {'a': 2}.keys()", "{\"result\":[\"a\"]}"},
    {"right", "import types\ndef main(): return types.MappingProxyType({'a': 2})",
     "{\"result\":{\"a\":2}}"},
    /* No value that could be compared, and so no wrong one. */
    {"incomparable", "class Y:\n    def __eq__(self, x): return True\ndef main(): return Y()",
     "{\"result\":2}"},
    {"incomparable", "def main(): yield 2", "{\"result\":[2]}"},
    {"incomparable", "def main(): return [main]", "{\"result\":[2]}"},
    /* Errors keep their types. */
    {"right", "def main(): return {}['a']", "{\"raises\":\"KeyError\"}"},
    {"right", "def main(): return {}['a']", "{\"raises\":\"LookupError\"}"},
    {"right", "class E(ValueError): pass\ndef main(): raise E('x')", "{\"raises\":\"ValueError\"}"},
    {"right", "def main(): raise FileNotFoundError", "{\"raises\":\"IOError\"}"},
    {"right", "class E(ValueError): pass\ndef main(): raise E('x')", "{\"raises\":\"E\"}"},
    {"error", "def main(): return {}['a']", "{\"raises\":\"IndexError\"}"},
    {"error", "def main(): return {}['a']", "{\"result\":null}"},
    {"wrong", "def main(): return KeyError()", "{\"raises\":\"KeyError\"}"},
};

static void results_are_equal_as_in_python (void **state)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        json_t *answer =
            ask (state,
                 json_pack ("{s:s, s:[[s, []]], s:[o]}", "program", calls[i].program, "calls",
                            "main", "wanted", json_loads (calls[i].wanted, JSON_ALLOW_NUL, NULL)));
        const json_t *result = json_array_get (json_object_get (answer, "results"), 0);
        const char *verdict = json_string_value (json_array_get (result, 0));
        if (!verdict || strcmp (verdict, calls[i].verdict) != 0)
            fail_msg ("%s is %s, not %s: %s", calls[i].program, calls[i].wanted, calls[i].verdict,
                      json_dumps (answer, JSON_COMPACT));
        json_decref (answer);
    }
}

/*  An answer on which comparing ends is that program's alone. */
static void one_program_s_values_do_not_touch_another_s (void **state)
{
    static const char *const programs[] = {
        "import json\njson.JSONEncoder.encode = lambda self, v: '[\"value\", [7], [[\"int\", "
        "5]]]'\n"
        "def main(): return 2",
        "import json\njson.JSONEncoder.encode = lambda self, v: "
        "'[\"value\", [0], [[\"range\", [0, [1], 1]], [\"tuple\", [[1]]]]]'\ndef main(): return 2",
        "import json\njson.JSONEncoder.encode = lambda self, v: "
        "'[\"value\", [0], [[\"exception\", [\"os:system\"], [\"x\"], []]]]'\ndef main(): return 2",
        "def main(): return 10 ** 100000"};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        for (int k = 0; k < 2; k++) {
            json_t *answer = ask (state, json_pack ("{s:s, s:[[s, []]], s:[{s:i}]}", "program",
                                                    k ? "def main(): return 2" : programs[i],
                                                    "calls", "main", "wanted", "result", 2));
            const json_t *result = json_array_get (json_object_get (answer, "results"), 0);
            const char *verdict = json_string_value (json_array_get (result, 0));
            if ((verdict && strcmp (verdict, "right") == 0) != (k == 1))
                fail_msg ("%s: %s", programs[i], json_dumps (answer, JSON_COMPACT));
            json_decref (answer);
        }
    }
}

/*  ---- HumanEval's tests ---------------------------------------------------------------------- */

#define NODE                                                                                       \
    "class Node:\n    def __init__(self, value, next=None):\n"                                     \
    "        self.value, self.next = value, next\n"

static const check_t honest[] = {
    /* Arguments are changed in place, and stay the objects that they are. */
    {"", "def f(x): x.sort()", "a = [3, 1, 2]; assert f(a) is None; assert a == [1, 2, 3]"},
    {"", "def f(x): x['k'] = 1", "a = {}; f(a); assert a == {'k': 1}"},
    {"", "def f(x): x.pop('k')", "a = {'k': 1}; f(a); assert a == {}"},
    {"", "def f(x): x.add(3)", "a = {1}; f(a); assert a == {1, 3}"},
    {"", "def f(x): x[0] = 65", "a = bytearray(b'bc'); f(a); assert a == b'Ac'"},
    {"", "def f(x): x.rotate(1)",
     "from collections import deque; a = deque([1, 2, 3]); f(a); assert a == deque([3, 1, 2])"},
    {"", "def f(x): x[0].append(x[1])", "b = [7]; a = [[], b]; f(a); assert a[0][0] is b"},
    {"", "def f(x): x[0][0].append(1)", "a = ([[]],); f(a); assert a == ([[1]],)"},
    {"", "def f(x): x.append(x)", "a = []; f(a); assert a[0] is a"},
    {"", "def f(x): return x", "a = [1]; assert f(a) is a"},
    {"", "def f(x): return [y for y in x]", "a = [1]; assert f(a) is not a and f(a) == a"},
    {"", "def f(x): return [x[0], x[0]]", "a = [float('nan')]; assert f(a) == [a[0], a[0]]"},
    {"", "def f(x): return float('nan')", "a = f(0); assert a != a and [a] == [a]"},
    {"", "def f(x):\n    x.clear()\n    raise ValueError(x)",
     "a = [1]\n    try: f(a)\n    except ValueError as e: assert e.args[0] is a and a == []\n"
     "    else: assert False"},
    {"", "def f(*x, **y): y['k'].extend(x)", "a = []; f(1, 2, k=a); assert a == [1, 2]"},
    /* Types. */
    {"", "def f(x): return (1, [2], {3}, frozenset([4]), b'5', {6: 7}, 8j)",
     "assert f(0) == (1, [2], {3}, frozenset([4]), b'5', {6: 7}, 8j)"},
    {"", "def f(x): return frozenset([(1, 2)])",
     "a = f(0); assert type(a) is frozenset and (1, 2) in a"},
    {"", "from collections import *\ndef f(x): return Counter(x)",
     "from collections import Counter\n    assert f('aab') == Counter('aba')\n"
     "    assert f('aab').most_common(1) == [('a', 2)] and f('a')['z'] == 0"},
    {"", "from collections import *\ndef f(x): return OrderedDict(x)",
     "from collections import OrderedDict\n    a = [(1, 2), (3, 4)]\n"
     "    assert f(a) == OrderedDict(a) != OrderedDict(a[::-1])"},
    {"", "from collections import *\ndef f(x): return defaultdict(list, x)",
     "a = f({1: [2]}); assert a == {1: [2]} and a[5] == []"},
    {"", "from collections import *\ndef f(x): return deque(x, 2)",
     "a = f([1, 2, 3]); assert list(a) == [2, 3] and a.maxlen == 2"},
    {"", "from decimal import *\ndef f(x): return Decimal(x) / 3",
     "from decimal import Decimal; assert f(1) == Decimal(1) / 3"},
    {"", "from fractions import *\ndef f(x): return Fraction(x, 3)",
     "from fractions import Fraction; assert f(2) + Fraction(1, 3) == 1"},
    {"", "import datetime\ndef f(x): return x + datetime.timedelta(1)",
     "from datetime import date; assert f(date(2024, 2, 28)) == date(2024, 2, 29)"},
    {"", "import array\ndef f(x): x.append(3)",
     "from array import array; a = array('i', [1]); f(a); assert a.tolist() == [1, 3]"},
    {"", "def f(x): return 7 ** 5000", "assert f(0) == 7 ** 5000"},
    {"", "def f(x): return [x, -x]", "assert f(float('inf')) == [float('inf'), -float('inf')]"},
    {"", "def f(x): return range(x)", "assert f(3) == range(3) and list(f(3)) == [0, 1, 2]"},
    {"", "def f(x): return type(x)", "assert f(3) is int and f([]) is list"},
    {"", "def f(x): return x[::-1]", "assert f('a\\ud800') == '\\ud800a'"},
    {"", "def f(x):\n    for i in range(3000): x = [x]\n    return x",
     "a = f(0)\n    for i in range(3000): a, = a\n    assert a == 0"},
    /* Errors keep their types and what they carry. */
    {"", "def f(x): raise KeyError(x)",
     "try: f('k')\n    except KeyError as e: assert e.args == ('k',)\n    else: assert False"},
    {"", "class E(ValueError): pass\ndef f(x): raise E('bad', 3)",
     "try: f(0)\n    except ValueError as e: assert str(e) == \"('bad', 3)\"\n    else: assert 0"},
    {"class E(Exception):\n    def __init__(self, code): self.code = code\n",
     "def f(x): raise E(x)",
     "try: f(7)\n    except E as e: assert e.code == 7\n    else: assert False"},
    {"", "import json\ndef f(x): return json.loads(x)",
     "import json\n    try: f('[')\n    except json.JSONDecodeError: pass\n    else: assert False"},
    {"", "from decimal import *\ndef f(x): return Decimal(x)",
     "import decimal\n    try: f('x')\n    except decimal.InvalidOperation: pass\n"
     "    else: assert False"},
    {"", "def f(x): return next(x)",
     "try: f(iter([]))\n    except StopIteration: pass\n    else: assert False"},
    {"", "import unittest\ndef f(x): return 1 / x",
     "import unittest\n    with unittest.TestCase().assertRaises(ZeroDivisionError): f(0)"},
    {"", "def f(x): raise SystemExit(3)",
     "try: f(0)\n    except SystemExit as e: assert e.code == 3\n    else: assert False"},
    /* What is printed. */
    {"", "import sys\ndef f(x):\n    print(x)\n    print('e', file=sys.stderr)\n    return 1 / x",
     "import contextlib, io\n    out, bad = io.StringIO(), io.StringIO()\n"
     "    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(bad):\n        f(2)\n"
     "        try: f(0)\n        except ZeroDivisionError: pass\n"
     "    assert out.getvalue() == '2\\n0\\n' and bad.getvalue() == 'e\\ne\\n'"},
    /* Functions, iterators and objects stay where they are. */
    {"", "def f(x):\n    yield from range(x)\n    return 'end'",
     "assert list(f(3)) == [0, 1, 2]; g = f(1); assert next(g) == 0 and iter(g) is g"},
    {"", "def f(x): return map(str, x)", "assert ''.join(f([1, 2])) == '12'"},
    {"", "def f(x): return lambda y: x + y", "assert f(2)(3) == 5"},
    {"", "def f(x): return sorted(x, key=lambda y: -y)", "assert f([1, 3, 2]) == [3, 2, 1]"},
    {"", "def f(g, x): return [g(y) for y in x]", "assert f(lambda y: y + 1, [1, 2]) == [2, 3]"},
    {"", "def f(g): g()",
     "def bad(): raise KeyError('mine')\n    try: f(bad)\n"
     "    except KeyError as e: assert e.args == ('mine',)\n    else: assert False"},
    {"", "def f(x): return sum(x)", "assert f(y * y for y in [1, 2, 3]) == 14"},
    {"",
     "class f:\n    def __init__(self, x): self.x = [x]\n    def push(self, y): self.x.append(y)\n"
     "    def __len__(self): return len(self.x)\n    def __getitem__(self, i): return self.x[i]",
     "s = f(1); s.push(2); assert len(s) == 2 and s[1] == 2 and s.x == [1, 2] and list(s) == [1, "
     "2]"},
    {"", "def double(x): return 2 * x\ndef f(x): return double(x)",
     "assert f(2) == double(2) == 4"},
    /* Objects of classes that the prompt defines. */
    {NODE,
     "def f(x):\n    last = None\n    while x: x.next, x, last = last, x.next, x\n"
     "    return last",
     "a = Node(1, Node(2, Node(3))); b = f(a)\n"
     "    assert type(b) is Node and b.value == 3 and b.next.next is a and a.next is None"},
    {"from dataclasses import dataclass\n@dataclass(frozen=True)\nclass P:\n    x: int\n    y: "
     "int\n",
     "def f(p): return P(p.y, p.x)", "assert f(P(1, 2)) == P(2, 1) and f(P(1, 2)) in {P(2, 1)}"},
    {"from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\n    y: int\n",
     "def f(p): return p._replace(x=9)", "a = f(P(1, 2)); assert a == (9, 2) and a.x == 9"},
    {"import enum\nclass E(enum.Flag):\n    a = 1\n    b = 2\n", "def f(e): return e | E.b",
     "assert f(E.a) == E.a | E.b"},
    {"class B:\n    pass\n", "class C(B):\n    def g(self): return 4\ndef f(x): return C()",
     "assert isinstance(f(0), B) and f(0).g() == 4"},
    {"", "def f(d): d.move_to_end('a')",
     "from collections import OrderedDict\n    d = OrderedDict(a=1, b=2); f(d); assert list(d) == "
     "['b', 'a']"},
    {"import enum\nclass E(enum.Enum):\n    a = 1\n    b = 2\n",
     "def f(e): return E.b if e is E.a else E.a", "assert f(E.a) is E.b and f(E.b) is E.a"},
    {"def f(n):\n", "def f(n): return n", "assert f(1) == 1"},
    /* What is lent looks like what it is: to bool (), list (), callable () and isinstance (). */
    {"", "def f(x, key=None): return sorted(x, key=key) if key else sorted(x)",
     "assert f([1, 2], lambda y: -y) == [2, 1]"},
    {"", "def f(x, key=None): return sorted(x, key=key) if key != None else sorted(x)",
     "assert f([1, 2], lambda y: -y) == [2, 1]"},
    {"", "def f(x): return list(x), [*x]",
     "assert f(y for y in [1, 2]) == f(iter([1, 2])) == ([1, 2], [])"},
    {"", "def f(x): return x() if callable(x) else x",
     "assert f(lambda: 3) == 3; next(f(iter([1])))"},
    {"", "import types\ndef f(x): return isinstance(x, types.FunctionType)",
     "assert f(lambda: 1) and not f(1) and not f(iter([]))"},
    {"", "def f(x): yield x",
     "import types, collections.abc; assert isinstance(f(1), types.GeneratorType)\n"
     "    assert isinstance(f(1), collections.abc.Iterator) and not callable(f(1))"},
    {"",
     "import functools\ndef f(g):\n    @functools.wraps(g)\n    def h(*x): return g(*x) + 1\n"
     "    return h",
     "def twice(x): 'doubles'; return 2 * x\n    h = f(twice)\n"
     "    assert h(2) == 5 and (h.__name__, h.__doc__) == ('twice', 'doubles')"},
    {"", "def f(x, y=2):\n    'adds'\n    return x + y",
     "import inspect; assert list(inspect.signature(f).parameters) == ['x', 'y']\n"
     "    assert (f.__name__, f.__doc__) == ('f', 'adds')"},
    {"",
     "class f:\n    def __init__(self, x): self._x = x\n    def __neg__(self): return f(-self._x)\n"
     "    def __index__(self): return self._x\n    def __enter__(self): return self\n"
     "    def __exit__(self, *e): self._x = 0\n    def __reversed__(self): return iter('ba')\n"
     "    def __delitem__(self, i): self._x = i",
     "a = f(1); assert [5, 6][a] == 6 and (-a)._x == -1 and isinstance(a, f)\n"
     "    del a[7]; assert a._x == 7 and list(reversed(a)) == ['b', 'a']\n"
     "    with a as b: assert b is a\n    assert a._x == 0 and not hasattr(a, '__len__')"},
    /* A test's own objects and files can be used, and are changed in place. */
    {"", "def f(x):\n    x.v += 1\n    return x.more(1), max([x, x]).v",
     "class A:\n        def __init__(self): self.v = 1\n"
     "        def more(self, n): return self.v + n\n"
     "        def __gt__(self, other): return self.v > other.v\n"
     "    a = A(); assert f(a) == (3, 2) and a.v == 2"},
    {"", "def f(x): return x(3).v",
     "class A:\n        def __init__(self, v): self.v = v\n    assert f(A) == 3"},
    {"", "def f(x, y): y.write(x.read() + 'd')",
     "import io; a = io.StringIO(); f(io.StringIO('abc'), a); assert a.getvalue() == 'abcd'"},
    /* Types that have parts with names, a zone or a view behind them. */
    {"", "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(x): return P(x, 1)",
     "a = f(3); assert a == (3, 1) and a.x == 3 and a._asdict() == {'x': 3, 'y': 1}"},
    {"", "def f(x): return x.keys(), x.items(), x.values()",
     "k, i, v = f({1: 2}); assert k == {1} and i == {(1, 2)} and list(v) == [2]"},
    {"", "def f(x): return memoryview(x)", "assert f(b'ab') == b'ab'"},
    {"",
     "from datetime import *\ndef f(x): return datetime(2020, 1, 1, fold=1, tzinfo=timezone.utc)",
     "from datetime import datetime, timezone, timedelta; a = f(0); assert a.tzinfo is "
     "timezone.utc and a.fold == 1\n"
     "    assert a == datetime(2020, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))"},
    {"",
     "import uuid, pathlib\ndef f(x): return uuid.UUID(int=x), pathlib.PurePosixPath('a') / 'b'",
     "import uuid, pathlib; assert f(5) == (uuid.UUID(int=5), pathlib.PurePosixPath('a/b'))"},
    {"", "from collections import defaultdict\ndef f(x): return defaultdict(lambda: 7, x)",
     "a = f({1: 2}); assert a == {1: 2} and a[5] == 7"},
    {"", "import math\ndef f(x): return [math.nan]", "import math; assert f(0) == [math.nan]"},
    {"", "def f(x): return ValueError", "assert f(0) is ValueError"},
    /* What both hold on to is one object, however late it is changed. */
    {"", "s = []\ndef f(x):\n    s.append(x)\n    return s",
     "a = f(1); b = f(2); assert a is b and a == [1, 2]; a.pop(); assert f(3) == [1, 3] and a is "
     "b"},
    {"", "s = []\ndef f(x):\n    s.append(x)\n    return list(s[0])",
     "a = [1]; f(a); a.append(2); assert f([]) == [1, 2]"},
    {"", "def f(x):\n    try: yield x\n    finally: x.append(1)",
     "a = []; g = f(a); assert next(g) is a; g.close(); assert a == [1]"},
    {"", "class f:\n    def __init__(self, x): self.x = x\n    def put(self, k, v): self.x[k] = v",
     "a = {}; b = [7]; s = f(a); s.put('k', b); assert a == {'k': [7]} and a['k'] is b\n"
     "    b.append(8); s.put('l', 9); assert a == {'k': [7, 8], 'l': 9} and s.x is a"},
    {"", "def f(x): return x and f(x - 1)",
     "import sys; sys.setrecursionlimit(9000); assert f(8000) == 0"},
    /* Coroutines run to their end where they were made. */
    {"", "import asyncio\nasync def f(x):\n    await asyncio.sleep(0.01)\n    return x + 1",
     "import asyncio, inspect\n    assert inspect.iscoroutinefunction(f)\n"
     "    async def both(): return [await f(1)] + await asyncio.gather(f(2), f(3))\n"
     "    assert asyncio.run(f(1)) == 2 and asyncio.run(both()) == [2, 3, 4]"},
    {"", "import asyncio\nasync def f(g): return await asyncio.wait_for(g(), 1)",
     "import asyncio\n    async def g(): return 5\n    assert asyncio.run(f(g)) == 5"},
    {"", "import asyncio\nasync def f(x):\n    for i in range(x):\n        yield i",
     "import asyncio\n    async def g(): return [i async for i in f(3)]\n"
     "    assert asyncio.run(g()) == [0, 1, 2]"},
    {"",
     "import asyncio\ndef f(x):\n    out = []\n    async def say(i):\n"
     "        await asyncio.sleep(0.1 * (x - i))\n"
     "        out.append(await asyncio.to_thread(lambda: i))\n"
     "    async def all(): await asyncio.gather(*map(say, range(x)))\n"
     "    asyncio.run(all())\n    return out",
     "assert f(3) == [2, 1, 0]"},
    /* Exceptions of the program's own. */
    {"",
     "class E(ValueError):\n    def __init__(self, c): self.c = c\n"
     "    def __str__(self): return 'code %d' % self.c\ndef f(x): raise E(x)",
     "try: f(3)\n    except ValueError as e:\n"
     "        assert type(e).__name__ == 'E' and e.c == 3 and str(e) == 'code 3'\n"
     "    else: assert False"},
    {"", "class E(Exception): pass\ndef f(x): raise E(x)",
     "try: f(3)\n    except E as e: assert e.args == (3,)\n    else: assert False"},
    {"",
     "def f(x):\n    try: 1 / 0\n    except ZeroDivisionError as e:\n        e.add_note('n')\n"
     "        raise ValueError from e",
     "try: f(3)\n    except ValueError as e:\n"
     "        assert type(e.__cause__) is ZeroDivisionError and e.__cause__.__notes__ == ['n']\n"
     "    else: assert False"},
    {"", "def f(x): raise ExceptionGroup('g', [ValueError(x)])",
     "try: f(3)\n    except ExceptionGroup as e: assert e.exceptions[0].args == (3,)\n"
     "    else: assert False"},
};

/*  None of these may pass; the last word says whether it is for want of a value to compare. */
static const struct {
    check_t check;
    bool incomparable;
} dishonest[] = {
    {{"", "def f(x): x = sorted(x)", "a = [2, 1]; f(a); assert a == [1, 2]"}, false},
    {{"", "def f(x): return (1,)", "assert f(0) == [1]"}, false},
    {{"", "def f(x): raise TypeError()",
      "try: f(0)\n    except ValueError: pass\n    else: assert False"},
     false},
    {{"",
      "class Y:\n    def __eq__(self, x): return True\n    def __ne__(self, x): return False\n"
      "def f(x): return Y()",
      "assert f(0) == 1"},
     true},
    {{"", "class Y:\n    def __ne__(self, x): return False\ndef f(x): return Y()",
      "assert not f(0) != 1"},
     true},
    {{"", "class Y:\n    def __sub__(self, x): return 0\ndef f(x): return Y()",
      "assert abs(f(0) - 1) < 1e-6"},
     true},
    {{"", "class Y:\n    def __rsub__(self, x): return 0\ndef f(x): return Y()",
      "assert abs(1 - f(0)) < 1e-6"},
     true},
    {{"", "class Y:\n    def __contains__(self, x): return True\ndef f(x): return Y()",
      "assert 1 in f(0)"},
     true},
    {{"", "class Y:\n    def __eq__(self, x): return True\ndef f(x): return [Y()]",
      "assert f(0) == [1]"},
     true},
    {{"",
      "class Y:\n    def __eq__(self, x): return True\n    def __hash__(self): return hash(1)\n"
      "def f(x): return {Y()}",
      "assert f(0) == {1}"},
     false},
    {{"", "class Y:\n    pass\ndef f(x): return Y()", "try: assert f(0) == 1\n    except: pass"},
     true},
    {{"",
      "class Y(str):\n    def __eq__(self, x): return True\n    __hash__ = str.__hash__\n"
      "def f(x): return Y('no')",
      "assert f(0) == 'yes'"},
     false},
    /* What a class of the program's has beside its base stays there, and that is said. */
    {{"", "class S(list):\n    def push(self, y): self.append(y)\ndef f(x): return S()",
      "a = f(0); a.push(1); assert a == [1]"},
     true},
    {{"", "class S(dict):\n    def __missing__(self, k): return 7\ndef f(x): return S()",
      "assert f(0)[1] == 7"},
     true},
    {{"", "def f(x): return input()",
      "import builtins; builtins.input = lambda: 'a'; assert f(0) == 'b'"},
     false},
    {{"", "def f(x): return len(x)",
      "import builtins; builtins.len = lambda x: 1; assert f([]) == 1"},
     true},
    {{"", "class f: pass", "class B(f): pass\n    B()"}, true},
    {{"", "class Y:\n    def __lshift__(self, x): return 1\ndef f(x): return Y()",
      "assert f(0) << 1 == 1"},
     true},
    {{"",
      "import __main__\nclass Y: pass\ndef f(g):\n"
      "    return g._link.ask(g._at, 'getattribute', ('__globals__',))",
      "f(lambda: 1)"},
     false},
    /* What a prompt defines is the prompt's, not the program's. */
    {{NODE "    def __eq__(self, x): return self.value == x.value\n",
      "class Node:\n    def __init__(self, value): self.value = 0\n"
      "    def __eq__(self, x): return True\ndef f(x): return Node(0)",
      "assert f(0) == Node(1)"},
     false},
    /* A test's own function lets nobody look into it. */
    {{"", "def f(g): return g.__globals__", "f(lambda: 1)"}, false},
    {{"", "def f(g): return g.gi_frame", "f(x for x in [1])"}, true},
    {{"", "def f(g):\n    g.secret = 1\n    return 1", "def t(): pass\n    assert f(t) == 1"},
     true},
    {{"",
      "import __main__\nclass Y: pass\ndef f(x):\n"
      "    __main__.Packer.node = lambda self, v: ['yours', 0]\n    return Y()",
      "assert f([1]) == [2]"},
     true},
    {{"",
      "import __main__\nclass Y: pass\ndef f(x):\n"
      "    __main__.Packer.node = lambda self, v: ['tuple', [1]]\n    return Y()",
      "a = (1, 2); f(a); assert a == (1,)"},
     false},
    {{"", "def len(x): return 3\ndef f(x): return 1", "assert len([]) == 3"}, false},
    {{"", "def check(f): pass\ndef f(x): return 1", "assert f(0) == 2"}, false},
};

static void a_test_sees_what_it_would_see_in_one_process (void **state)
{
    for (size_t i = 0; i < sizeof honest / sizeof *honest; i++)
        assert_check_passes (state, &honest[i]);
}

static void no_program_says_what_it_equals (void **state)
{
    for (size_t i = 0; i < sizeof dishonest / sizeof *dishonest; i++)
        assert_check_fails (state, &dishonest[i].check, dishonest[i].incomparable);
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN); /* as every service does (lib/svc) */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (results_are_equal_as_in_python, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test_setup_teardown (one_program_s_values_do_not_touch_another_s, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test_setup_teardown (a_test_sees_what_it_would_see_in_one_process,
                                         sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown (no_program_says_what_it_equals, sandbox_setup,
                                         sandbox_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
