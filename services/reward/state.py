"""state - what the library's modules hold for a program and its test alike; stands behind link.py's text.

In one process a test that seeds random, sets a variable of the environment or puts a stand-in for time.time does so
for the program as well. Here each side has the library for itself. So each question tells what the asking side has
changed since they last agreed, and each answer what the other one has. Only what the test's text has to do with is
looked at. What the program warned of and logged is told again on the test's side.

Files cannot cross, for there are none: a test that opens one is refused by name.
"""
import ast, builtins, collections, os, re, sys, time, types, warnings

pause, passed_s = time.sleep, time.monotonic  # a test may replace them
REPLACEABLE = {"builtins": ("input", "open", "print"), "sys": ("stdin",)}
OWN = {"warnings", "checker", "program", "__main__"}  # modules whose names change for other reasons
LOGGED = "name levelno levelname pathname filename lineno funcName exc_text".split()


# ---- what can be written down -------------------------------------------------------------------------------


def read_decimal():
    c = sys.modules["decimal"].getcontext()
    return c.prec, c.rounding, c.Emin, c.Emax, c.capitals, c.clamp, sorted(s.__name__ for s in c.traps if c.traps[s])


def write_decimal(values):
    c = sys.modules["decimal"].getcontext()
    c.prec, c.rounding, c.Emin, c.Emax, c.capitals, c.clamp, trapped = values
    for signal in c.traps:
        c.traps[signal] = signal.__name__ in trapped


def write_environ(values):
    os.environ.clear()
    os.environ.update(values)


def read_filters():
    return [(action, getattr(message, "pattern", message), category, getattr(module, "pattern", module), line)
            for action, message, category, module, line in warnings.filters if isinstance(category, type)]


def write_filters(values):
    warnings.resetwarnings()
    for action, message, category, module, line in reversed(values):
        if isinstance(category, type) and issubclass(category, Warning):
            warnings.filterwarnings(action, message or "", category, module or "", line)


def read_levels():
    logging = sys.modules["logging"]
    loggers = [logging.root] + [x for x in logging.root.manager.loggerDict.values() if isinstance(x, logging.Logger)]
    return {logger.name: logger.level for logger in loggers if logger.level}


def write_levels(values):
    for name in read_levels().keys() | values.keys():
        sys.modules["logging"].getLogger(name if name != "root" else None).setLevel(values.get(name, 0))


def read_numpy():
    kind, keys, *rest = sys.modules["numpy.random"].get_state()
    return (kind, keys.tolist(), *rest)


# Name: the module, how it is read, how it is written, and what of it the text of a test that means it has in it.
STATES = {
    "random": ("random", lambda: sys.modules["random"].getstate(), lambda v: sys.modules["random"].setstate(v),
               r"\brandom\b[\s\S]*\b(seed|[gs]etstate)\b"),
    "numpy": ("numpy.random", read_numpy, lambda v: sys.modules["numpy.random"].set_state(v),
              r"\brandom\b[\s\S]*\b(seed|[gs]et_state)\b"),
    "decimal": ("decimal", read_decimal, write_decimal, r"(?i)\bdecimal\b"),
    "environ": ("os", lambda: dict(os.environ), write_environ, r"\b(environ|getenv|putenv)\b"),
    "argv": ("sys", lambda: list(sys.argv), lambda v: sys.argv.__setitem__(slice(None), v), r"\bargv\b"),
    "depth": ("sys", sys.getrecursionlimit, sys.setrecursionlimit, r"\bsetrecursionlimit\b"),
    "filters": ("warnings", read_filters, write_filters, r"(?i)warn"),
    "levels": ("logging", read_levels, write_levels, r"\blogging\b|assertLogs|assertNoLogs"),
    "locale": ("locale", lambda: sys.modules["locale"].setlocale(0), lambda v: sys.modules["locale"].setlocale(0, v),
               r"\bsetlocale\b"),
    "clock": ("time", passed_s, lambda v: pause(max(0.0, v - passed_s())), r"\b(time|datetime)\b"),
}


def names_in(text):
    """Of STATES, and "replaced" where the test assigns to attributes or patches."""
    tree = ast.parse(text)
    named = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(tree)}
    assigned = any(isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load) for n in ast.walk(tree))
    replaces = assigned or named & {"patch", "setattr", "delattr", "__dict__"}
    return [name for name, state in STATES.items() if re.search(state[3], text)] + ["replaced"] * bool(replaces)


# ---- stand-ins ----------------------------------------------------------------------------------------------


def parts_of(module, words):
    """The module and those of its classes that the words name, each with the path that leads to it."""
    found = [("", vars(sys.modules[module]))]
    return found + [(name, vars(kind)) for name, kind in found[0][1].items()
                    if name in words and isinstance(kind, type) and kind.__module__ == module]


IMPORTED = []  # functions that are told of each module that has been imported


class Originals:
    """What the modules that a test's words name held before the test ran."""
    def __init__(self, words):
        self.words, self.kept = words, {}
        for module in list(sys.modules):
            self.keep(module)
        IMPORTED.append(self.keep)

    def keep(self, module):
        named = module in REPLACEABLE or all(part in self.words for part in module.split("."))
        if named and module not in OWN and isinstance(sys.modules[module], types.ModuleType):
            self.kept[module] = {path: dict(names) for path, names in parts_of(module, self.words)}
            ORIGINALS[module] = self.kept[module][""]

    def replaced(self):
        """[module, path to the class or "", name, what is there now]"""
        found = []
        for module, parts in self.kept.items():
            for path, names in parts.items():
                holder = vars(holder_of(module, path))
                found += [[module, path, n, holder.get(n)] for n, old in names.items()
                          if holder.get(n) is not old and not isinstance(old, types.ModuleType) and
                          n in REPLACEABLE.get(module, (n,)) and n[:1] != "_"]
        return found


def holder_of(module, path):
    original = ORIGINALS.get(module, {}).get(path)
    return sys.modules[module] if not path else original or vars(sys.modules[module])[path]


class Stand:
    """The program's side: puts stand-ins in and takes them out again."""
    def __init__(self):
        self.originals = {}

    def put(self, replaced):
        wanted = {(module, path, name): value for module, path, name, value in replaced}
        for at in [at for at in self.originals if at not in wanted]:
            setattr(holder_of(*at[:2]), at[2], self.originals.pop(at))
        for at, value in wanted.items():
            __import__(at[0])
            holder = holder_of(*at[:2])
            if at not in self.originals:
                self.originals[at] = vars(holder).get(at[2])
                ORIGINALS.setdefault(at[0], {}).setdefault(at[2], self.originals[at])
            setattr(holder, at[2], value)


# ---- both together ------------------------------------------------------------------------------------------


class State:
    """One side's. The test's begins with what the program's is after the program has run once."""
    def __init__(self, guarded, wanted=(), words=()):
        self.guarded, self.wanted, self.agreed, self.said, self.missed = guarded, list(wanted), {}, [], ""
        self.stand, self.begun, self.listening = None if guarded else Stand(), False, False
        self.originals = Originals(words) if guarded and "replaced" in wanted else None
        self.sent = []

    def known(self):
        found = [name for name in self.wanted if name in STATES]
        found = [name for name in found if name != "numpy" or "numpy.random" in sys.modules]
        for name in found:
            __import__(STATES[name][0])
        return found

    def changes(self):
        """What the other side has to be told."""
        new = {name: STATES[name][1]() for name in self.known() if not self.guarded or name in self.agreed}
        changed = {name: value for name, value in new.items() if name not in self.agreed or self.agreed[name] != value}
        self.agreed.update(changed)
        if self.originals:
            replaced = self.originals.replaced()
            if [(r[:3], id(r[3])) for r in replaced] != [(r[:3], id(r[3])) for r in self.sent]:
                changed["replaced"] = self.sent = replaced
        if self.said:
            changed["said"], self.said = self.said, []
        if self.missed and not self.guarded:
            changed["missed"] = self.missed
        return changed

    def follow(self, wanted, changes):
        if not self.guarded:
            self.wanted = wanted
            if not self.listening:
                self.listen()
        for name, value in changes.items():
            if name in STATES and name in self.wanted:
                STATES[name][2](value)
                self.agreed[name] = STATES[name][1]()
        if self.stand and "replaced" in changes:
            self.stand.put(changes["replaced"])
        if self.guarded:
            self.missed = self.missed or str(changes.get("missed", ""))
            for kind, *words in changes.get("said", ()):
                self.say_again(kind, words)

    def miss(self, what):
        self.missed = NO_FILES % ("program", what)

    # What is said in the program, for the test's filters and handlers.

    def listen(self):
        self.listening = True
        watch_files(self.miss)
        if "filters" in self.wanted:
            warnings.showwarning = lambda message, category, filename, lineno, file=None, line=None: \
                self.said.append(["warning", message, str(filename), lineno])
        if "levels" in self.wanted:
            import logging
            handle = logging.Logger.callHandlers

            def told(logger, record):
                self.said.append(["record", {"msg": record.getMessage(), **{n: getattr(record, n) for n in LOGGED}}])
                if logger.hasHandlers():
                    handle(logger, record)
            logging.Logger.callHandlers = told

    def say_again(self, kind, words):
        if kind == "warning":
            message, filename, line = words
            warnings.showwarning(message, type(message), filename, line)
        else:
            record = sys.modules["logging"].makeLogRecord({n: words[0][n] for n in ["msg"] + LOGGED})
            sys.modules["logging"].getLogger(record.name if record.name != "root" else None).callHandlers(record)


# ---- the program's module -----------------------------------------------------------------------------------


class ProgramModule(types.ModuleType):
    """As what a test has the program's module: sys.modules[candidate.__module__]."""
    def __init__(self, link):
        super().__init__("program")
        object.__setattr__(self, "link", link)

    def __getattr__(self, name):
        if name not in self.link.program_names():
            raise AttributeError("module 'program' has no attribute '%s'" % name)
        return self.link.named(name)

    def __setattr__(self, name, value):
        self.link.ask("", "setitem", (name, value))

    def __delattr__(self, name):
        self.link.ask("", "delitem", (name,))


class Names(dict):
    """A test's global names. One that it has not is the program's, which is asked for it each time: it may have
    changed. What the test declares global and the program has is the program's."""
    link, declared = None, ()

    def __missing__(self, name):
        if hasattr(builtins, name) or name[:2] == "__" or name not in self.link.program_names():
            raise KeyError(name)
        return self.link.named(name)

    def to_program(self):
        names = [n for n in self.declared if n in self]
        return {n: self.pop(n) for n in names if n in self.link.program_names()} if names else {}


def share_state(link, names, test):
    """The test's side, before it runs. What the prompt defines as data is the program's from now on, which may
    change it."""
    watch_files(lambda what: link.refuse(NO_FILES % ("test", what)))
    sys.modules["program"] = ProgramModule(link)
    words, wanted = set(re.findall(r"\w+", test)), names_in(test)
    names.declared = {name for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Global) for name in node.names}
    if wanted:
        link.state = State(True, wanted, words)
    if wanted or names.declared:
        link.program_names()
    link.globals = names
    for name in [n for n in names if n in words and type(names[n]) in DATA and n in link.program_names()]:
        del names[name]


NO_FILES = "the %s wants a file, another program or the network (%s), and the sandbox has none"
FILES = ("open", "os.", "shutil.", "glob.", "tempfile.", "socket.", "subprocess.")
HARMLESS_EVENTS = ("os.putenv", "os.unsetenv", "socket.gethostname")
DATA = (bool, int, float, str, bytes, list, tuple, set, dict, collections.Counter, collections.defaultdict, collections.deque)


def watch_files(met):
    """Calls met (what) when something of this process wants a file, another program or the network."""
    sys.addaudithook(lambda event, arguments: met(event) if event.startswith(FILES) and event not in HARMLESS_EVENTS
                     else None)
