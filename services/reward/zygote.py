"""zygote - what runs in the sandbox's python3; started by zygote.c with -c.

Reads the standard library into memory, imports what programs use most, puts the lock on (inside/lock.c) and
serves: every program runs in a fork of this interpreter. After the lock nothing can be opened, so whatever a
program may import has been read before: modules written in Python as code, extension modules as loaded
shared objects. Started as "light", it has no library at all, for programs that import nothing: a smaller
process forks faster. The first descriptor carries the only message of its own: "ready", or why there is no lock.

A fork plays one of four parts. What it is asked and what it answers are frames of JSON (protocol.h); a HEAP
is one of values.py, which stands before this text:

the finder     {"program": text or "", "find": seats or null, "test": text or "", "entry": name, "watch": name or "",
                "replace": bool}
                   -> {"syntax": true, "defined": true, "reached": true, "noted": true, "why": "", "names": [...],
                       "code": text, and where there are seats, in whose texts find.py finds the program:
                       "seats": [[holds code, defines its name], ...], "fits": true}
the program    {"load": code, "note": noted} -> ["ready"] or ["error", text, []]
               {"call": [function, [arguments]]}
                   -> ["value", root, HEAP] or ["error", text, [names of its classes]] or ["crossing", text]
               {"called": true} -> ["value", whether the helper was called]; where it is noted, see use.py
the checker    {"names": what the program defines, "setup": text, "test": text, "entry": name}
                   -> {"passed": true, "why": "", "right": 3, "answered": 3}   asserts, see asserts.py
program and    ["ask", whom, what, arguments, named arguments, HEAP, classes]
checker            -> ["value", root, HEAP, [printed, printed as errors]], ["error", text, root, HEAP, prints]
                      or ["crossing", text]; before that they may ask in return
the judge      {"judge": [[answer to a call, {"result": value} or {"raises": name}], ...]}
                   -> [["right"], ["wrong", what it was], ["error", text], ["incomparable", why], ...]

What is said of a program before it runs is not said where it runs. Expected values are in the checker or the judge
alone. "replace" makes the watched function fail when it is called; a program that is noted need not be run so.
"""
import ast, binascii, builtins, ctypes, gc, io, json, marshal, operator, os, struct, sys, types, warnings
import importlib.machinery, importlib.util
import _ctypes

# What programs import most: imported once, so that a fork has it at once.
COMMON = """abc array bisect cmath collections collections.abc contextlib copy dataclasses datetime decimal
enum fractions functools hashlib heapq itertools json math numbers operator queue random re statistics string
struct textwrap threading time typing""".split()
OUTPUT_MAX = {"program": 1 << 20, "checker": 3 << 20}  # bytes of a frame
PRINTED_MAX = 1 << 16
QUESTIONS, ANSWERS, INSIDE = 3, 4, 4
NUMBER = 2  # what world.c gives as the program's process and thread
FOREVER_S = 1e9  # world.c knows a wait of this length as one without an end
FINDER = types.ModuleType("find")  # find.py

ENCODER = json.JSONEncoder(separators=(",", ":"))

# ---- frames -------------------------------------------------------------------------------------------------


def read_exactly(size):
    data = b""
    while len(data) < size:
        piece = os.read(QUESTIONS, size - len(data))
        if not piece:
            os._exit(0)  # nobody asks any more
        data += piece
    return data


def receive():
    return json.loads(read_exactly(int.from_bytes(read_exactly(4), "little")), object_hook=number_of)


def send(value):
    data = ENCODER.encode(value).encode()
    if len(data) > OUTPUT_MAX["program" if "program" in sys.modules else "checker"]:
        data = b'["output"]'
    data = len(data).to_bytes(4, "little") + data
    while data:
        data = data[os.write(ANSWERS, data):]


# ---- the finder ---------------------------------------------------------------------------------------------


def code_of(request):
    """The program's code, or None, and what was found in the seats' texts."""
    if request["find"]:
        asked = {seat["name"] for seat in request["find"]}
        request["find"][-1]["also"] = [n for n in FINDER.free_names(request["test"]) if n not in asked]
        return FINDER.find(request["find"], request["watch"])
    tree = ast.parse(request["program"], "program")
    noted = FINDER.note_calls(tree.body, request["watch"])
    return compile(tree, "program", "exec", dont_inherit=True), {"noted": noted}


def facts_of(request):
    """The program's code, and what can be said of it before it runs."""
    facts = {"syntax": False, "defined": False, "reached": False, "noted": False, "why": "", "names": [], "code": ""}
    helper = request["watch"]
    try:
        code, found = code_of(request)
        facts.update(found)
        facts["syntax"] = code is not None
    except BaseException as problem:
        facts["why"] = text_of(problem)
        return facts
    if not code:
        return facts
    functions = {part.co_name: part for part in reversed(code.co_consts) if type(part) is types.CodeType}
    facts["names"] = [name for name in functions if name[0] != "<"]
    if helper in functions:
        facts["defined"] = True
        facts["reached"] = FINDER.reached(functions, code, request["entry"], helper) and not FINDER.looks_inside(code)
        if request["replace"]:
            code = FINDER.without(code, helper)
    facts["code"] = binascii.b2a_base64(marshal.dumps(code), newline=False).decode()
    return facts


def play_finder():
    """Never runs a text, so one of them reads many. What is left of one goes before the next one comes: how code is
    written down depends on who else has its names."""
    while True:
        send(facts_of(receive()))
        gc.collect()


# ---- the program --------------------------------------------------------------------------------------------


def answer_to_call(function, arguments):
    """A test of args and result: nobody looks at anything but what the call gives."""
    packer = Packer()
    try:
        result = function(*arguments)
        root = packer.ref(result)
        heap = packer.heap()
        return ["value", root, heap] if heap else ["value", root]
    except Uncrossable as problem:
        return ["crossing", str(problem)]
    except BaseException as problem:
        names = [kind.__name__ for kind in type(problem).__mro__]
        return ["error", text_of(problem), names[:20]]


def answer_to(question, names, link):
    if type(question) is list:
        link.prints()
        return link.serve(question)
    try:
        if "load" in question:
            if question["note"]:
                names[FINDER.NOTE] = [False]
            exec(marshal.loads(binascii.a2b_base64(question["load"])), names)
            return ["ready"]
        if "called" in question:
            return ["value", names[FINDER.NOTE][0]]
        function, arguments = question["call"]
        function = names[function]
    except BaseException as problem:
        return ["error", text_of(problem), []]
    return answer_to_call(function, arguments)


def play_program():
    module = types.ModuleType("program")
    sys.modules["program"] = module
    link = Link(send, receive, printed, module.__dict__, False)
    rehearse()
    while True:
        send(answer_to(receive(), module.__dict__, link))


# ---- the checker --------------------------------------------------------------------------------------------


def run_setup(text, names):
    """A prompt ends where a body is wanted; one that is no Python by itself either sets nothing up."""
    for ending in ("", "\n    pass\n"):
        try:
            code = compile(text + ending, "setup", "exec", dont_inherit=True)
        except SyntaxError:
            continue
        exec(code, names)
        break


def lend_names(link, lent, names, test):
    """What the program defines beside the entry point, for a test that counts on one namespace. It gets nothing
    that has a meaning already."""
    named = {node.id for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)}
    for name in lent:
        if name in named and name not in names and not hasattr(builtins, name):
            names[name] = link.named(name)


def play_checker():
    """HumanEval: runs the test, whose candidate stands for the program's function."""
    request = receive()
    names = Names(__name__="checker")
    sys.modules["checker"] = types.ModuleType("checker")
    link = names.link = Link(send, receive, lambda: ["", ""], {}, True)
    said, tally = {"passed": False, "why": ""}, Tally()
    try:
        run_setup(request["setup"], names)
        link.classes = {name: kind for name, kind in names.items()
                        if isinstance(kind, type) and kind.__module__ == "checker"}
        share_state(link, names, request["test"])
        lend_names(link, request["names"], names, request["test"])
        candidate = names[request["entry"]] = link.borrow(request["entry"], "function", "call")
        names.update({TALLY: tally, TYPE_OF: type_of})
        exec(counted_test(request["test"]), names)
        names["check"](candidate)
    except BaseException as problem:
        tally.first = tally.first or problem
    vars(builtins).update(link.builtins)
    if tally.first:
        locked = isinstance(tally.first, PermissionError) and NO_FILES % ("program", tally.first)
        link.crossing = link.crossing or link.state.missed or locked or ""
    said["passed"] = not link.crossing and not tally.first
    said["right"], said["answered"] = tally.counts()
    if tally.first:
        said["why"] = text_of(tally.first)
    if link.crossing:
        said["why"] = "cannot be compared: " + link.crossing[:200]
    send(said)


# ---- the judge ----------------------------------------------------------------------------------------------


def judge(answer, wanted):
    """What a call gave against what a test wants: {"result": value} or {"raises": name of an exception}."""
    kind = answer[0]
    if kind == "crossing":
        return ["incomparable", str(answer[1])]
    if kind == "error":
        raises = TYPES.get(wanted.get("raises"))  # IOError is another name of OSError
        return ["right"] if (raises.__name__ if raises else wanted.get("raises")) in answer[2:][0] else ["error", answer[1]]
    try:
        reader = Unpacker(answer[2] if len(answer) > 2 else [])
        value = reader.value(answer[1])
        reader.settle()
    except Exception as problem:
        return ["incomparable", "what came back is no value (%s)" % text_of(problem)]
    try:
        same = "result" in wanted and value == wanted["result"]
        if same is True or is_from(same, "numpy", "bool_") and same:
            return ["right"]
        shown = repr(value)
        return ["wrong", shown if len(shown) <= 200 else shown[:199] + "…"]
    except BaseException as problem:
        return ["wrong", text_of(problem)]


def play_judge():
    """Never runs anybody's text, so one of them judges many programs."""
    while True:
        send([judge(answer, wanted) for answer, wanted in receive()["judge"]])


REHEARSALS = 64  # CPython specialises code that has run so often
SCRIPT = []  # the questions to a program, as they come


def write_script():
    program = "def aux(xs):\n    return [x for x in xs if x > 1]\ndef main(*xs):\n    return sum(aux(xs)), str(xs)[::-1]\n"
    facts = facts_of({"program": program, "find": None, "entry": "main", "watch": "aux", "replace": False})
    questions = {"load": facts["code"], "note": facts["noted"]}, {"call": ["main", [1, 2]]}, {"called": True}
    SCRIPT[:] = [ENCODER.encode(question) for question in questions]


def rehearse():
    """What the interpreter learns about code while it runs is written beside it, into memory that a fork would have
    to copy first. So it is learnt before; and a fork that is made ahead copies what a program needs before one comes."""
    names = {}
    link = Link(send, receive, printed, names, False)
    for question in SCRIPT:
        ENCODER.encode(answer_to(json.loads(question, object_hook=number_of), names, link))


def play(kind):
    try:
        (play_program, play_checker, play_judge, play_finder)[kind]()
    except BaseException:
        pass  # what could not be answered is seen outside


# ---- what can be imported -----------------------------------------------------------------------------------

LIBRARY = {}  # name of a module -> (path, whether it is a package, None or (whether compiled, first byte, last))
SKIPPED = {"test", "idlelib", "turtledemo", "site-packages", "dist-packages", "__pycache__"}
EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)


def code_bytes(path):
    """A module's code as the interpreter left it beside the source, if it belongs to it; else the source."""
    with open(path, "rb") as file:
        source = file.read()
    try:
        with open(importlib.util.cache_from_source(path), "rb") as file:
            cached = file.read()
        flags = int.from_bytes(cached[4:8], "little")
        status = os.stat(path)
        same = int(status.st_mtime) & 0xFFFFFFFF == int.from_bytes(cached[8:12], "little") and \
            status.st_size & 0xFFFFFFFF == int.from_bytes(cached[12:16], "little")
        if cached[:4] == importlib.util.MAGIC_NUMBER and (same if flags == 0 else flags & 1):
            return True, cached[16:]
    except (OSError, NotImplementedError):
        pass
    return False, source


class Texts:
    """The bytes of all modules that are written in Python. A file in memory that is mapped and read-only costs
    a fork nothing, unlike as many bytes of the interpreter's own."""
    file, size, data = None, 0, None

    @classmethod
    def open(cls):
        cls.file = os.memfd_create("library")

    @classmethod
    def add(cls, compiled, data):
        first = cls.size
        cls.size += os.write(cls.file, data)
        if cls.size != first + len(data):
            raise MemoryError("no memory for the standard library")
        return compiled, first, cls.size

    @classmethod
    def close(cls):
        import mmap
        cls.data = memoryview(mmap.mmap(cls.file, cls.size, prot=mmap.PROT_READ))
        os.close(cls.file)


def read_module(path, name, package):
    if path.endswith(EXTENSIONS):
        try:  # Python opens it by the same path later, and finds it open already
            _ctypes.dlopen(path, os.RTLD_NOW | os.RTLD_LOCAL)
        except OSError:
            return  # misses a library of its own: it cannot be imported outside either
        LIBRARY[name] = (path, package, None)
    else:
        LIBRARY[name] = (path, package, Texts.add(*code_bytes(path)))


def module_name(entry):
    for ending in EXTENSIONS + (".py",):
        if entry.endswith(ending):
            return entry[:-len(ending)]
    return None


def read_folder(folder, prefix, only=None):
    """All modules of a folder: those of a package whose dotted name is prefix, or of a path."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return
    for entry in entries:
        path, name = os.path.join(folder, entry), module_name(entry)
        if entry in SKIPPED or only and (name or entry) not in only or prefix + (name or entry) in LIBRARY:
            continue
        # sysconfig's own data is in a module whose name has hyphens in it.
        if name and name.replace("-", "_").isidentifier() and not name.startswith("_test") and name != "__init__":
            read_module(path, prefix + name, False)
        elif entry.isidentifier() and os.path.isdir(path):
            start = os.path.join(path, "__init__.py")
            if os.path.isfile(start):
                read_module(start, prefix + entry, True)
            if os.path.isfile(start) or only:
                read_folder(path, prefix + entry + ".")


class Library:
    """Finds and loads modules from memory (importlib's protocols of a finder and a loader)."""
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in LIBRARY:
            return None
        place, package, code = LIBRARY[name]
        loader = importlib.machinery.ExtensionFileLoader(name, place) if code is None else cls
        return importlib.util.spec_from_file_location(
            name, place, loader=loader, submodule_search_locations=[os.path.dirname(place)] if package else None)

    @classmethod
    def create_module(cls, spec):
        return None

    @classmethod
    def get_code(cls, name):
        path, _, (compiled, first, last) = LIBRARY[name]
        data = Texts.data[first:last]
        return marshal.loads(data) if compiled else compile(bytes(data), path, "exec", dont_inherit=True)

    @classmethod
    def exec_module(cls, module):
        exec(cls.get_code(module.__name__), module.__dict__)
        if module.__name__ == "asyncio":
            prepare_asyncio(module)
        for told in IMPORTED:
            told(module.__name__)

    @classmethod
    def get_source(cls, name):
        return None

    @classmethod
    def is_package(cls, name):
        return LIBRARY[name][1]


def read_library(modules):
    """The standard library and, of what else is installed, the modules that were asked for."""
    for name in COMMON:
        importlib.import_module(name)
    for folder in [p for p in sys.path if os.path.isdir(p)]:
        read_folder(folder, "")
    if not modules:
        return
    import site
    site.main()
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException as problem:
            raise RuntimeError("reward.python_modules: '%s' cannot be imported by %s (%s)"
                               % (name, sys.executable, text_of(problem)))
    for folder in [p for p in sys.path if os.path.isdir(p)]:
        read_folder(folder, "", {name.split(".")[0] for name in modules})


# ---- the start ----------------------------------------------------------------------------------------------


class Sink(io.RawIOBase):
    """Where prints go. The beginning is kept, since a test may look at it; the rest takes up no memory."""
    def __init__(self):
        self.kept = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.kept += memoryview(data)[:PRINTED_MAX - len(self.kept)]
        return len(data)


PRINTS = []  # (text stream, its sink), of standard output and standard error


def printed():
    """What was printed since the last time, on both streams."""
    texts = []
    for stream, sink in PRINTS:
        stream.flush()
        texts.append(bytes(sink.kept).decode("utf-8", "replace"))
        sink.kept.clear()
    return texts


def quiet():
    for _ in range(2):
        sink = Sink()
        stream = io.TextIOWrapper(io.BufferedWriter(sink), encoding="utf-8", errors="replace")
        PRINTS.append((stream, sink))
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO()), encoding="utf-8")
    sys.stdout, sys.stderr = PRINTS[0][0], PRINTS[1][0]
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr


def forget_machine():
    """Leaves nothing in sight that differs from machine to machine or from start to start."""
    os.environ.clear()
    sys.argv[:] = sys.orig_argv[:] = ["program"]
    sys.path[:] = []
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter, Library]
    sys.setrecursionlimit(2000)
    sys.setswitchinterval(FOREVER_S)  # threads take turns where they wait, not when a clock says so
    sys.setswitchinterval = lambda interval: None  # and no program may wish it otherwise
    if "threading" in sys.modules:  # its main thread asked for its number before there was a lock
        sys.modules["threading"].main_thread()._native_id = NUMBER
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    if "random" in sys.modules:
        sys.modules["random"].seed(0)


class Plan(ctypes.Structure):
    _fields_ = [("used", ctypes.c_uint64), ("parent", ctypes.c_uint64), ("gvisor", ctypes.c_uint64),
                ("no_calls", ctypes.c_void_p * 2), ("no_memory", ctypes.c_void_p * 6), ("play", ctypes.PYFUNCTYPE(None, ctypes.c_int))]


def foreign_call_functions():
    """Where libffi prepares a call: through the module that needs it, since its name differs by system."""
    found = []
    library = ctypes.CDLL(getattr(_ctypes, "__file__", None))
    for name in ("ffi_prep_cif", "ffi_prep_cif_var"):
        try:
            found.append(ctypes.cast(getattr(library, name), ctypes.c_void_p))
        except AttributeError:
            found.append(ctypes.c_void_p())
    return found


TYPE_NEW = 65  # Py_tp_new, of typeslots.h


def memory_functions():
    """What makes ctypes' objects, and what reads an object at an address."""
    api = ctypes.pythonapi
    api.PyType_GetSlot.restype = api.PyCFunction_GetFunction.restype = ctypes.c_void_p
    of_type, of_function = api.PyType_GetSlot, api.PyCFunction_GetFunction
    found = [of_type(ctypes.py_object(ctypes.c_int), TYPE_NEW)]
    names = "from_address", "from_buffer", "from_buffer_copy", "in_dll"
    methods = [getattr(ctypes.c_int, name) for name in names]
    return found + [of_function(ctypes.py_object(f)) for f in methods + [_ctypes.PyObj_FromPtr]]


class Number:
    """A number of ctypes': all that is left of it, for the sake of programs that count as C does."""
    def __init__(self, value=0):
        self.value = value

    def __setattr__(self, name, value):
        if name == "value" and self.bits:
            value = (operator.index(value) + self.least) % (1 << self.bits) - self.least
        elif name == "value":
            value = struct.unpack(self.code, struct.pack(self.code, value))[0]
        object.__setattr__(self, name, value)

    def __repr__(self):
        return "%s(%r)" % (type(self).__name__, self.value)


def number_module():
    module = types.ModuleType("ctypes")
    for code, names in zip("bhilq", ("byte int8", "short int16", "int int32", "long int64 ssize_t", "longlong")):
        bits = 8 * struct.calcsize(code)
        for name in names.split():
            unsigned = name.replace("ssize_t", "size_t") if name == "ssize_t" else "u" + name
            for name, least in ((name, 1 << (bits - 1)), (unsigned, 0)):
                name, what = "c_" + name, {"bits": bits, "least": least, "code": code}
                setattr(module, name, type(name, (Number,), what))
    for name, code in (("float", "f"), ("double", "d"), ("bool", "?")):
        setattr(module, "c_" + name, type("c_" + name, (Number,), {"bits": 0, "code": code}))
    module.sizeof = lambda x: struct.calcsize(x.code)
    return module


def hide_ctypes():
    for name in [n for n in {**LIBRARY, **sys.modules} if n.split(".")[0] in ("ctypes", "_ctypes")]:
        LIBRARY.pop(name, None)
        sys.modules.pop(name, None)
    sys.modules["ctypes"], sys.modules["_ctypes"] = number_module(), None


def main():
    parent, full, modules = int(sys.argv[1]), sys.argv[2] == "full", [m for m in sys.argv[3].split(",") if m]
    gvisor = sys.argv[4] == "runsc"
    exec(compile("\n".join(sys.argv[5:7]), "find", "exec"), FINDER.__dict__)
    sys.path[:] = [p for p in sys.path if p]
    if full:
        Texts.open()
        read_library(modules)
        Texts.close()
    if len(os.listdir("/proc/self/task")) != 1:
        raise RuntimeError("one of %s starts threads when it is imported" % ", ".join(modules))
    inside = ctypes.PyDLL("/proc/self/fd/%d" % INSIDE)
    try:  # libc loads it when a thread is ended, which is too late
        ctypes.CDLL("libgcc_s.so.1")
    except OSError:
        pass
    trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)  # a smaller process forks faster
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    raw = [] if "ctypes" in modules else memory_functions()
    plan = Plan(used, parent, gvisor, (ctypes.c_void_p * 2)(*foreign_call_functions()), (ctypes.c_void_p * 6)(*raw),
                Plan._fields_[5][1](play))
    del parent, used
    why = ctypes.create_string_buffer(500)
    if raw:
        hide_ctypes()
    forget_machine()
    quiet()
    write_script()
    for _ in range(REHEARSALS):
        rehearse()
    gc.collect()
    trim(0)
    gc.freeze()
    inside.inside_serve(ctypes.byref(plan), why, ctypes.c_size_t(len(why)))
    raise RuntimeError(why.value.decode())


try:
    main()
except BaseException as problem:
    os.write(0, text_of(problem).encode()[:1000])
os._exit(1)
