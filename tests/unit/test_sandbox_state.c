/* with: services/reward/ */
/*  What a test sets up around a program, and what it finds there afterwards, is what it would be in
 *  one process: the library's state and the program's module. */
#include <signal.h>
#include "check_fixture.h"

static const check_t honest[] = {
    /* Random numbers. */
    {"",
     "import random\n"
     "def f(n): return [random.randint(0, 99) for _ in range(n)]",
     "import random\n"
     "    random.seed(3)\n"
     "    a = f(5)\n"
     "    random.seed(3)\n"
     "    assert a == [random.randint(0, 99) for _ in range(5)]"},
    {"",
     "import random\n"
     "def f(): return random.random()",
     "import random\n"
     "    random.seed(3)\n"
     "    a = f()\n"
     "    b = random.random()\n"
     "    c = f()\n"
     "    random.seed(3)\n"
     "    assert [a, b, c] == [random.random() for _ in range(3)]"},
    {"",
     "from random import *\n"
     "def f(): return choice('abcdef')",
     "from random import seed, choice\n"
     "    seed(1)\n"
     "    a = f()\n"
     "    seed(1)\n"
     "    assert a == choice('abcdef')"},
    {"",
     "import random\n"
     "def f(): return random.random()",
     "import unittest, random\n"
     "    class T(unittest.TestCase):\n"
     "        def setUp(self): random.seed(5)\n"
     "        def test_a(self):\n"
     "            a = f(); random.seed(5); self.assertEqual(a, random.random())\n"
     "    r = "
     "unittest.TextTestRunner(stream=__import__('io').StringIO()).run(unittest.defaultTestLoader."
     "loadTestsFromTestCase(T))\n"
     "    assert r.wasSuccessful()"},
    /* Warnings, by the test's own filters. */
    {"",
     "import warnings\n"
     "def f(x):\n"
     "    warnings.warn('old', DeprecationWarning)\n"
     "    return x",
     "import warnings\n"
     "    with warnings.catch_warnings(record=True) as w:\n"
     "        warnings.simplefilter('always')\n"
     "        assert f(1) == 1\n"
     "    assert len(w) == 1 and issubclass(w[0].category, DeprecationWarning) and 'old' in "
     "str(w[0].message)"},
    {"",
     "import warnings\n"
     "def f(x):\n"
     "    try: warnings.warn('old')\n"
     "    except UserWarning: return 'caught'\n"
     "    return x",
     "import warnings\n"
     "    with warnings.catch_warnings():\n"
     "        warnings.simplefilter('error')\n"
     "        assert f(1) == 'caught'"},
    {"",
     "import warnings\n"
     "class W(UserWarning): pass\n"
     "def f(x):\n"
     "    warnings.warn('old', W)\n"
     "    return x",
     "import warnings\n"
     "    with warnings.catch_warnings(record=True) as w:\n"
     "        warnings.simplefilter('always')\n"
     "        f(1)\n"
     "    assert w[0].category.__name__ == 'W' and issubclass(w[0].category, UserWarning)"},
    {"",
     "import warnings\n"
     "def f(x):\n"
     "    warnings.warn('old', FutureWarning)\n"
     "    return x",
     "import unittest\n"
     "    with unittest.TestCase().assertWarns(FutureWarning): f(1)"},
    {"",
     "import warnings\n"
     "def f(x):\n"
     "    warnings.warn('old', FutureWarning)\n"
     "    return x",
     "import warnings\n"
     "    with warnings.catch_warnings(record=True) as w:\n"
     "        warnings.simplefilter('ignore')\n"
     "        f(1)\n"
     "    assert not w"},
    /* What the program's module holds, whenever it changes. */
    {"",
     "NAMES = ['a', 'b']\n"
     "def f(x): return NAMES[x]",
     "assert [f(0), f(1)] == NAMES"},
    {"",
     "calls = 0\n"
     "def f(x):\n"
     "    global calls\n"
     "    calls += 1\n"
     "    return x",
     "f(1); f(2)\n"
     "    assert calls == 2"},
    {"",
     "cache = {}\n"
     "def f(x):\n"
     "    cache[x] = x * x\n"
     "    return cache[x]",
     "f(3)\n"
     "    assert cache == {3: 9}\n"
     "    f(4)\n"
     "    assert cache[4] == 16"},
    {"",
     "cache = {}\n"
     "def f(x):\n"
     "    if x in cache: return 'hit'\n"
     "    cache[x] = 1\n"
     "    return 'miss'",
     "assert f(3) == 'miss' and f(3) == 'hit'\n"
     "    cache.clear()\n"
     "    assert f(3) == 'miss'"},
    {"",
     "calls = 0\n"
     "def f(x):\n"
     "    global calls\n"
     "    calls += 1\n"
     "    return calls",
     "global calls\n"
     "    f(1)\n"
     "    calls = 0\n"
     "    assert f(1) == 1"},
    {"SEEN = []\n", "def f(x): SEEN.append(x)",
     "f(1)\n"
     "    assert SEEN == [1]"},
    {"",
     "double = lambda x: 2 * x\n"
     "def f(x): return double(x)",
     "assert f(3) == double(3)"},
    {"",
     "import collections\n"
     "P = collections.namedtuple('P', 'x y')\n"
     "origin = P(0, 0)\n"
     "def f(): return P(1, 2)",
     "assert f() == P(1, 2) and origin == P(0, 0)"},
    {"",
     "class P: pass\n"
     "def f(): return P()",
     "assert type(f()) is P"},
    {"",
     "class P: pass\n"
     "class Q(P): pass\n"
     "def f(): return Q()",
     "assert issubclass(Q, P) and isinstance(f(), P)"},
    {"",
     "def helper(x): return x\n"
     "def f(x): return helper(x)",
     "g = f.__globals__\n"
     "    g['helper'] = lambda x: 9\n"
     "    assert f(1) == 9"},
    {"",
     "def helper(x): return x\n"
     "def f(x): return helper(x)",
     "from unittest.mock import patch\n"
     "    with patch.dict(f.__globals__, {'helper': lambda x: 9}): assert f(1) == 9\n"
     "    assert f(1) == 1"},
    {"",
     "def helper(x): return x\n"
     "def f(x): return helper(x)",
     "import sys\n"
     "    m = sys.modules[f.__module__]\n"
     "    m.helper = lambda x: 9\n"
     "    assert f(1) == 9"},
    {"",
     "class A:\n"
     "    def g(self): return 1\n"
     "def f(): return A().g()",
     "A.g = lambda self: 5\n"
     "    assert f() == 5"},
    {"",
     "from datetime import datetime\n"
     "def f(): return datetime.now().year",
     "from unittest.mock import patch\n"
     "    import datetime\n"
     "    class D(datetime.datetime):\n"
     "        @classmethod\n"
     "        def now(cls, tz=None): return cls(1999, 1, 1)\n"
     "    f.__globals__['datetime'] = D\n"
     "    assert f() == 1999"},
    /* The process: its environment, arguments, standard input, clock and limits. */
    {"",
     "import os\n"
     "def f(): return os.environ.get('MODE', 'none')",
     "import os\n"
     "    os.environ['MODE'] = 'x'\n"
     "    assert f() == 'x'\n"
     "    del os.environ['MODE']\n"
     "    assert f() == 'none'"},
    {"",
     "import os\n"
     "def f(): return os.getenv('MODE')",
     "import os\n"
     "    from unittest.mock import patch\n"
     "    with patch.dict(os.environ, {'MODE': 'y'}): assert f() == 'y'\n"
     "    assert f() is None"},
    {"",
     "import os\n"
     "def f(): os.environ['DONE'] = '1'",
     "import os\n"
     "    f()\n"
     "    assert os.environ['DONE'] == '1'"},
    {"",
     "import sys\n"
     "def f(): return sys.argv[1:]",
     "import sys\n"
     "    sys.argv[1:] = ['a', 'b']\n"
     "    assert f() == ['a', 'b']"},
    {"",
     "import argparse\n"
     "def f():\n"
     "    p = argparse.ArgumentParser(); p.add_argument('--n', type=int)\n"
     "    return p.parse_args().n",
     "from unittest.mock import patch\n"
     "    with patch('sys.argv', ['p', '--n', '4']): assert f() == 4"},
    {"", "def f(): return int(input()) + int(input())",
     "import sys, io\n"
     "    old = sys.stdin\n"
     "    sys.stdin = io.StringIO('1\\n2\\n')\n"
     "    try: assert f() == 3\n"
     "    finally: sys.stdin = old"},
    {"",
     "import time\n"
     "def f(s): time.sleep(s)",
     "import time\n"
     "    a = time.time(); f(1.5); assert time.time() - a >= 1.5"},
    {"",
     "import time\n"
     "T = {}\n"
     "def f(k):\n"
     "    now = time.time()\n"
     "    if k in T and now - T[k] < 1: return 'hit'\n"
     "    T[k] = now\n"
     "    return 'miss'",
     "import time\n"
     "    assert f(1) == 'miss' and f(1) == 'hit'\n"
     "    time.sleep(1.1)\n"
     "    assert f(1) == 'miss'"},
    {"",
     "import locale\n"
     "def f(): return locale.setlocale(locale.LC_ALL)",
     "import locale\n"
     "    locale.setlocale(locale.LC_ALL, 'C')\n"
     "    assert f() == 'C'"},
    /* Decimal contexts and logs. */
    {"",
     "from decimal import Decimal\n"
     "def f(): return Decimal(1) / 7",
     "from decimal import Decimal, localcontext\n"
     "    with localcontext() as c:\n"
     "        c.prec = 3\n"
     "        assert f() == Decimal('0.143')\n"
     "    assert str(f()) == '0.1428571428571428571428571429'"},
    {"",
     "from decimal import Decimal, getcontext\n"
     "getcontext().prec = 6\n"
     "def f(): return Decimal(1) / 7",
     "from decimal import Decimal\n"
     "    assert f() == Decimal(1) / 7"},
    {"",
     "import logging\n"
     "log = logging.getLogger('p')\n"
     "def f(x): log.warning('bad %s', x)",
     "import unittest\n"
     "    with unittest.TestCase().assertLogs('p', 'WARNING') as c: f(3)\n"
     "    assert c.output == ['WARNING:p:bad 3']"},
    {"",
     "import logging\n"
     "def f(x): logging.getLogger('q').info('hi')",
     "import logging, io\n"
     "    s = io.StringIO(); l = logging.getLogger('q'); l.setLevel(logging.INFO); "
     "l.addHandler(logging.StreamHandler(s))\n"
     "    f(1)\n"
     "    assert s.getvalue() == 'hi\\n'"},
    /* Stand-ins in the library's modules. */
    {"", "def f(): return input('name? ')",
     "from unittest.mock import patch\n"
     "    with patch('builtins.input', return_value='Bo'): assert f() == 'Bo'"},
    {"", "def f(x): print('hi', x)",
     "from unittest.mock import patch\n"
     "    with patch('builtins.print') as p: f(1)\n"
     "    p.assert_called_once_with('hi', 1)"},
    {"",
     "def f(p):\n"
     "    with open(p) as h: return h.read()",
     "from unittest.mock import patch, mock_open\n"
     "    with patch('builtins.open', mock_open(read_data='abc')): assert f('x') == 'abc'"},
    {"",
     "import time\n"
     "def f(n):\n"
     "    for i in range(n): time.sleep(1)",
     "from unittest.mock import patch\n"
     "    with patch('time.sleep') as s: f(3)\n"
     "    assert s.call_count == 3"},
    {"",
     "import datetime\n"
     "def f(): return datetime.date.today().year",
     "import datetime\n"
     "    from unittest.mock import patch\n"
     "    with patch('datetime.date') as d:\n"
     "        d.today.return_value = datetime.datetime(2001, 2, 3)\n"
     "        assert f() == 2001"},
    {"",
     "import random\n"
     "def f(): return [random.choice('ab') for _ in range(3)]",
     "from unittest.mock import patch\n"
     "    with patch('random.choice', side_effect=['x', 'y', 'z']): assert f() == ['x', 'y', 'z']"},
    {"",
     "import math\n"
     "def f(x): return math.floor(x)",
     "import math\n"
     "    old = math.floor\n"
     "    math.floor = lambda x: 7\n"
     "    try: assert f(2.5) == 7\n"
     "    finally: math.floor = old\n"
     "    assert f(2.5) == 2"},
    {"",
     "import math\n"
     "def f(): return math.pi",
     "import math\n"
     "    old, math.pi = math.pi, 3\n"
     "    assert f() == 3\n"
     "    math.pi = old"},
    {"",
     "import subprocess\n"
     "def f(): return subprocess.run(['ls'], capture_output=True, text=True).stdout",
     "from unittest.mock import patch, MagicMock\n"
     "    with patch('subprocess.run') as r:\n"
     "        r.return_value = MagicMock(stdout='a b')\n"
     "        assert f() == 'a b'\n"
     "    r.assert_called_once()"},
    {"",
     "import urllib.request, json\n"
     "def f(u):\n"
     "    with urllib.request.urlopen(u) as r: return json.loads(r.read())",
     "from unittest.mock import patch, MagicMock\n"
     "    with patch('urllib.request.urlopen') as u:\n"
     "        u.return_value.__enter__.return_value.read.return_value = b'{\"a\": 1}'\n"
     "        assert f('http://x') == {'a': 1}"},
    {"", "def f(db): return db.fetch(3)['name']",
     "from unittest.mock import Mock\n"
     "    d = Mock(); d.fetch.return_value = {'name': 'Bo'}\n"
     "    assert f(d) == 'Bo'\n"
     "    d.fetch.assert_called_once_with(3)"},
    {"",
     "import time, random\n"
     "def f(): return time.time() + random.random()",
     "from contextlib import ExitStack\n"
     "    from unittest.mock import patch\n"
     "    with ExitStack() as s:\n"
     "        s.enter_context(patch('time.time', return_value=1)); "
     "s.enter_context(patch('random.random', return_value=2))\n"
     "        assert f() == 3"},
    /* Objects that are changed and let go, copied, and asked for by threads. */
    {"",
     "class A:\n"
     "    def __init__(self): self.x = []\n"
     "def f(): return A()",
     "a = f()\n"
     "    a.x.append(2)\n"
     "    assert a.x == [2]"},
    {"",
     "class A:\n"
     "    def __init__(self): self.v = [1]\n"
     "def f(): return A()",
     "import copy\n"
     "    a = f(); b = copy.deepcopy(a); b.v.append(2)\n"
     "    assert a.v == [1] and b.v == [1, 2]"},
    {"",
     "import weakref\n"
     "class A: pass\n"
     "def f(): return A()",
     "import weakref\n"
     "    a = f(); r = weakref.ref(a)\n"
     "    assert r() is a"},
    {"",
     "import threading\n"
     "lock = threading.Lock()\n"
     "n = 0\n"
     "def f():\n"
     "    global n\n"
     "    with lock: n += 1\n"
     "    return n",
     "import threading\n"
     "    ts = [threading.Thread(target=f) for _ in range(4)]\n"
     "    [t.start() for t in ts]; [t.join() for t in ts]\n"
     "    assert n == 4"},
};

static void a_test_and_its_program_share_what_modules_hold (void **state)
{
    for (size_t i = 0; i < sizeof honest / sizeof *honest; i++)
        assert_check_passes (state, &honest[i]);
}

static const check_t without_files[] = {
    {"",
     "def f(p):\n"
     "    with open(p) as h: return h.read()",
     "import tempfile, os\n"
     "    with tempfile.NamedTemporaryFile('w', delete=False) as t: t.write('abc')\n"
     "    assert f(t.name) == 'abc'\n"
     "    os.remove(t.name)"},
    {"",
     "def f(p):\n"
     "    with open(p) as h: return h.read()",
     "with open('fx.txt', 'w') as h: h.write('abc')\n"
     "    assert f('fx.txt') == 'abc'"},
    {"",
     "def f(p):\n"
     "    with open(p, 'w') as h: h.write('abc')",
     "f('fy.txt')\n"
     "    assert open('fy.txt').read() == 'abc'"},
    {"",
     "from pathlib import Path\n"
     "def f(p): return Path(p).read_text()",
     "from pathlib import Path\n"
     "    Path('fz.txt').write_text('abc')\n"
     "    assert f('fz.txt') == 'abc'"},
    {"",
     "from pathlib import Path\n"
     "def f(): return Path('q').exists()",
     "from unittest.mock import patch\n"
     "    with patch('pathlib.Path.exists', return_value=True): assert f()\n"
     "    assert not f()"},
};

static void files_are_said_to_be_missing (void **state)
{
    for (size_t i = 0; i < sizeof without_files / sizeof *without_files; i++)
        assert_check_fails (state, &without_files[i], true);
}

static const check_t dishonest[] = {
    {"",
     "import random\n"
     "def f(n): return [1] * n",
     "import random\n"
     "    random.seed(3)\n"
     "    a = f(5)\n"
     "    random.seed(3)\n"
     "    assert a == [random.randint(0, 99) for _ in range(5)]"},
    {"", "def f(x): return x",
     "import warnings\n"
     "    with warnings.catch_warnings(record=True) as w:\n"
     "        warnings.simplefilter('always')\n"
     "        f(1)\n"
     "    assert len(w) == 1"},
    {"",
     "LIMIT = 11\n"
     "def f(x): return x",
     "assert LIMIT == 10"},
    {"", "def f(x): return x", "assert LIMIT == 10"},
    {"", "def f(): return 1",
     "from unittest.mock import patch\n"
     "    with patch('time.time', return_value=5.0): assert f() == 5.0"},
    {"", "def f(x): pass",
     "from unittest.mock import patch\n"
     "    with patch('builtins.print') as p: f(1)\n"
     "    p.assert_called_once_with('hi', 1)"},
    {"",
     "import random\n"
     "random.random = lambda: 0.5\n"
     "def f(): return 0.5",
     "import random\n"
     "    random.seed(1)\n"
     "    assert f() == random.random()"},
};

static void wrong_programs_stay_wrong (void **state)
{
    for (size_t i = 0; i < sizeof dishonest / sizeof *dishonest; i++)
        assert_check_fails (state, &dishonest[i], false);
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN); /* as every service does (lib/svc) */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (a_test_and_its_program_share_what_modules_hold,
                                         sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown (files_are_said_to_be_missing, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test_setup_teardown (wrong_programs_stay_wrong, sandbox_setup,
                                         sandbox_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
