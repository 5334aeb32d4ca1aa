"""values - how Python's values cross between the program and whoever judges it.

A message is a heap: a list of nodes, each [kind, content ...]. A value in it is a JSON scalar for itself or
[i], the i-th node. So lists that contain themselves, the same list twice and nan, which equals only itself,
arrive as what they are. The reader makes nothing but types that it knows: no name in a message leads to code.
What the reader has is changed in place, so that an argument that was sorted over there is sorted here.

What cannot be written down can be lent: functions, iterators and objects stay where they are, and a Remote
stands for them on the other side. Nothing about a Remote can be compared: what it equals, the program would
say. Both sides ask each other through a Link, in turns.
"""
import array, collections, json, math, sys, types

PLAIN_INT = 1 << 62  # the service in between reads whole numbers of 64 bits
DEPTH_MAX = 400      # of values that must be made from the inside out: tuples in tuples


class Uncrossable(BaseException):
    """Not a property of the program: no "except Exception" of a test may take it for one."""


def text_of(problem):
    try:
        return ("%s: %s" % (type(problem).__name__, problem))[:200]
    except BaseException:
        return "an error that cannot be printed"


def name_of(value):
    return type(value).__name__[:80]


def number_of(pairs):
    """Whole numbers and others that JSON's readers cannot hold come as {"$number": text} (lib/task/number.c)."""
    text = pairs.get("$number") if len(pairs) == 1 else None
    try:
        return pairs if type(text) is not str else float(text) if text.strip("-0123456789") else int(text)
    except ValueError:
        return pairs


def from_library(module, name):
    """A class of a module that was imported, or None: nothing is imported for a message."""
    found = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return found if isinstance(found, type) else None


def is_from(value, module, name):
    kind = from_library(module, name)
    return kind is not None and isinstance(value, kind)


BUILTIN = {kind.__name__: kind for kind in
           (int, float, complex, bool, str, bytes, bytearray, list, tuple, set, frozenset, dict, object, type)}
MUTABLE = {"list": list, "set": set, "dict": dict, "bytearray": bytearray, "OrderedDict": collections.OrderedDict,
           "Counter": collections.Counter, "defaultdict": collections.defaultdict, "deque": collections.deque}
HASHED = ("set", "dict", "OrderedDict", "Counter", "defaultdict")
DATES = {"date": ("year", "month", "day"), "time": ("hour", "minute", "second", "microsecond"),
         "datetime": ("year", "month", "day", "hour", "minute", "second", "microsecond"),
         "timedelta": ("days", "seconds", "microseconds")}


def is_scalar(value):
    kind = type(value)
    return value is None or kind is bool or kind is int and -PLAIN_INT < value < PLAIN_INT or \
        kind is float and math.isfinite(value) or kind is str and not has_surrogates(value)


def has_surrogates(text):
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


# ---- writing ------------------------------------------------------------------------------------------------


class Packer:
    """known: the objects that the reader has already, under their numbers. What stands for a built-in type by
    being derived from it crosses as that type, read by its own methods."""
    def __init__(self, known=(), classes=None, lend=None):
        self.kept, self.nodes = list(known), [None] * len(known)
        self.index = {id(value): i for i, value in enumerate(self.kept)}
        self.ahead = list(range(len(self.kept)))
        self.classes, self.lend = classes or {}, lend

    def ref(self, value):
        if is_scalar(value):
            return value
        i = self.index.get(id(value))
        if i is None:
            i = self.index[id(value)] = len(self.kept)
            self.kept.append(value)  # alive, so that no other object gets its id
            self.nodes.append(None)
            self.ahead.append(i)
        return [i]

    def refs(self, values):
        return [self.ref(v) for v in values]

    def pairs(self, value):
        return [[self.ref(k), self.ref(v)] for k, v in dict.items(value)]

    def heap(self):
        while self.ahead:
            i = self.ahead.pop()
            self.nodes[i] = self.node(self.kept[i])
        return self.nodes

    def node(self, value):
        kind = type(value)
        if self.classes.get(kind.__name__) is kind:
            return self.instance(value, kind)
        node = self.number(value) or self.builtin(value) or self.library(value)
        if node:
            return node
        if isinstance(value, BaseException):
            names = ["%s:%s" % (c.__module__, c.__name__) for c in kind.__mro__ if issubclass(c, BaseException)]
            return ["exception", names, self.refs(value.args), self.attributes(value)]
        if isinstance(value, Remote):
            return ["yours", object.__getattribute__(value, "_at")]
        if self.lend:
            return self.lend(value)
        raise Uncrossable("a value of type %s cannot leave the program" % name_of(value))

    def number(self, value):
        if isinstance(value, int):
            return ["int", hex(int.__add__(value, 0))]
        if isinstance(value, float):
            return ["float", float.__repr__(float.__add__(value, 0.0))]
        if isinstance(value, complex):
            return ["complex", repr(value.real), repr(value.imag)]
        if isinstance(value, str):
            return ["str", str.encode(value, "utf-8", "surrogatepass").hex()]
        return None

    def builtin(self, value):
        if isinstance(value, list):
            return ["list", self.refs(list.__iter__(value))]
        if isinstance(value, tuple):
            return ["tuple", self.refs(tuple.__iter__(value))]
        if isinstance(value, set):
            return ["set", self.refs(set.__iter__(value))]
        if isinstance(value, frozenset):
            return ["frozenset", self.refs(frozenset.__iter__(value))]
        if isinstance(value, dict):
            return self.mapping(value)
        if isinstance(value, (bytes, bytearray)):
            return ["bytes" if isinstance(value, bytes) else "bytearray", memoryview(value).hex()]
        if isinstance(value, collections.deque):
            return ["deque", self.refs(collections.deque.__iter__(value)), self.ref(value.maxlen)]
        if isinstance(value, range):
            return ["range", self.refs((value.start, value.stop, value.step))]
        if isinstance(value, slice):
            return ["slice", self.refs((value.start, value.stop, value.step))]
        if value is ... or value is NotImplemented:
            return ["constant", repr(value)]
        if isinstance(value, type) and BUILTIN.get(value.__name__) is value:
            return ["type", value.__name__]
        return None

    def mapping(self, value):
        if isinstance(value, collections.defaultdict):
            factory = value.default_factory
            return ["defaultdict", self.pairs(value), self.ref(factory if factory in BUILTIN.values() else None)]
        for kind in (collections.Counter, collections.OrderedDict):
            if isinstance(value, kind):
                return [kind.__name__, self.pairs(value)]
        if isinstance(value, dict):
            return ["dict", self.pairs(value)]

    def library(self, value):
        if is_from(value, "decimal", "Decimal"):
            return ["Decimal", str(value)]
        if is_from(value, "fractions", "Fraction"):
            return ["Fraction", self.ref(value.numerator), self.ref(value.denominator)]
        if isinstance(value, array.array):
            return ["array", value.typecode, self.refs(value)]
        for name in ("datetime", "date", "time", "timedelta"):
            if is_from(value, "datetime", name) and getattr(value, "tzinfo", None) is None:
                return ["when", name, [getattr(value, part) for part in DATES[name]]]
        if is_from(value, "numpy", "generic") and is_scalar(value.item()):
            return ["scalar", value.dtype.str, value.item()]
        if is_from(value, "numpy", "ndarray") and value.dtype.kind in "biufc":
            return ["ndarray", value.dtype.str, list(value.shape), value.tobytes().hex()]
        return None

    def attributes(self, value):
        names = list(getattr(value, "__dict__", ()))
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            names += [s for s in ((slots,) if isinstance(slots, str) else slots) if hasattr(value, s)]
        return [[n, self.ref(getattr(value, n))] for n in names if type(n) is str and not n.startswith("__")]

    def instance(self, value, kind):
        if is_from(value, "enum", "Enum"):
            return ["member", kind.__name__, value.name]
        inner = None
        if not isinstance(value, BaseException):
            inner = self.number(value) or self.builtin(value)
        else:
            inner = ["tuple", self.refs(value.args)]
        return ["instance", kind.__name__, self.attributes(value), inner]


# ---- reading ------------------------------------------------------------------------------------------------


class Unpacker:
    """Makes the values of a heap. Whatever is no value raises, at the latest in settle ()."""
    def __init__(self, nodes, known=(), classes=None, link=None):
        self.nodes, self.classes, self.link = nodes, classes or {}, link
        self.built = dict(enumerate(known))
        self.fills, self.hashed, self.depth = [], [], 0
        for i in range(len(known)):
            if nodes[i] is not None:
                self.change(known[i], nodes[i])

    def value(self, ref):
        if type(ref) is not list:
            if is_scalar(ref):
                return ref
            raise ValueError("no value")
        i, = ref
        if i not in self.built:
            self.depth += 1
            if type(i) is not int or i < 0 or self.depth > DEPTH_MAX:
                raise ValueError("no value")
            self.built[i] = self.make(self.nodes[i], i)
            self.depth -= 1
        return self.built[i]

    def values(self, refs):
        return [self.value(r) for r in refs]

    def settle(self):
        """Hashed last: what they hold must be whole by then."""
        while self.fills or self.hashed:
            if self.fills:
                self.fill(*self.fills.pop())
            else:
                self.fill_hashed(*self.hashed.pop())

    def settle_fills(self):
        while self.fills:
            self.fill(*self.fills.pop())

    def change(self, value, node):
        """An object of ours of which the other side says that it is another one now."""
        if node[0] == "instance" and self.classes.get(node[1]) is type(value):
            self.fills.append((value, node))
            if node[3]:
                self.change_as(value, node[3])
        else:
            self.change_as(value, node)

    def change_as(self, value, node):
        if not isinstance(value, MUTABLE.get(node[0], ())) and not \
                (node[0] == "array" and isinstance(value, array.array)) and not \
                (node[0] == "ndarray" and is_from(value, "numpy", "ndarray")):
            raise ValueError("a value that cannot change has changed")
        (self.hashed if node[0] in HASHED else self.fills).append((value, node))

    def make(self, node, i):
        kind = node[0]
        if kind in MUTABLE:
            value = self.shell(MUTABLE[kind], node)
            (self.hashed if kind in HASHED else self.fills).append((value, node))
            return value
        if kind == "instance":
            return self.make_instance(node, i)
        return getattr(self, "make_" + kind)(*node[1:])

    def shell(self, kind, node):
        if kind is collections.deque:
            return kind((), self.value(node[2]))
        if kind is collections.defaultdict:
            return kind(self.value(node[2]))
        return kind()

    def fill(self, value, node):
        kind = node[0]
        if kind == "list":
            list.__setitem__(value, slice(None), self.values(node[1]))
        elif kind == "bytearray":
            value[:] = bytes.fromhex(node[1])
        elif kind == "deque":
            items = self.values(node[1])
            collections.deque.clear(value)
            collections.deque.extend(value, items)
        elif kind == "array":
            value[:] = array.array(value.typecode, self.values(node[2]))
        elif kind == "ndarray":
            value[...] = self.make_ndarray(*node[1:])
        else:
            self.fill_attributes(value, node[2])

    def fill_attributes(self, value, attributes):
        new = {name: self.value(ref) for name, ref in attributes}
        for name in list(getattr(value, "__dict__", ())):
            if name not in new:
                object.__delattr__(value, name)
        for name, part in new.items():
            if name.startswith("__"):
                raise ValueError("no attribute")
            object.__setattr__(value, name, part)

    def fill_hashed(self, value, node):
        if node[0] == "set":
            items = self.values(node[1])
            self.settle_fills()
            set.clear(value)
            set.update(value, items)
        else:
            items = [(self.value(k), self.value(v)) for k, v in node[1]]
            self.settle_fills()
            kind = collections.OrderedDict if isinstance(value, collections.OrderedDict) else dict
            kind.clear(value)
            for k, v in items:
                kind.__setitem__(value, k, v)

    def make_instance(self, node, i):
        _, name, attributes, inner = node
        kind = self.classes[name]
        if issubclass(kind, BaseException):
            value = self.raised(kind, self.make_tuple(inner[1]))
        elif inner is None:
            value = object.__new__(kind)
        elif inner[0] in MUTABLE:
            value = MUTABLE[inner[0]].__new__(kind)
            (self.hashed if inner[0] in HASHED else self.fills).append((value, inner))
        else:
            base = BUILTIN[inner[0]]
            value = base.__new__(kind, self.make(inner, i))
        self.fills.append((value, node))
        return value

    def make_tuple(self, refs):
        return tuple(self.values(refs))

    def make_frozenset(self, refs):
        items = self.values(refs)
        self.settle_fills()
        return frozenset(items)

    def make_int(self, text):
        return int(text, 16)

    def make_float(self, text):
        return float(text)

    def make_complex(self, real, imaginary):
        return complex(float(real), float(imaginary))

    def make_str(self, text):
        return bytes.fromhex(text).decode("utf-8", "surrogatepass")

    def make_bytes(self, text):
        return bytes.fromhex(text)

    def make_range(self, parts):
        return range(*self.values(parts))

    def make_slice(self, parts):
        return slice(*self.values(parts))

    def make_constant(self, name):
        return {"Ellipsis": ..., "NotImplemented": NotImplemented}[name]

    def make_type(self, name):
        return BUILTIN[name]

    def make_member(self, name, member):
        return self.classes[name].__members__[member]

    def make_Decimal(self, text):
        return from_library("decimal", "Decimal")(text)

    def make_Fraction(self, over, under):
        return from_library("fractions", "Fraction")(self.value(over), self.value(under))

    def make_array(self, code, parts):
        return array.array(code, self.values(parts))

    def make_when(self, name, parts):
        parts = dict(zip(DATES[name], self.values(parts)))
        return from_library("datetime", name)(**parts)

    def make_scalar(self, kind, value):
        return self.dtype(kind).type(self.value(value))

    def make_ndarray(self, kind, shape, text):
        kind = self.dtype(kind)
        return sys.modules["numpy"].frombuffer(bytes.fromhex(text), kind).reshape(self.values(shape)).copy()

    def dtype(self, text):
        kind = sys.modules["numpy"].dtype(str(text))
        if kind.kind not in "biufcU":
            raise ValueError("no value")
        return kind

    def make_yours(self, at):
        return self.link.own(at)

    def make_lent(self, at, name):
        return self.link.borrow(at, name)

    def make_exception(self, names, arguments, attributes):
        """The first class of the list that is known here, which the others are derived from."""
        kind = Exception
        for module, name in [n.split(":") for n in names]:
            found = self.classes.get(name) or from_library(module, name)
            if isinstance(found, type) and issubclass(found, BaseException) and found is not Uncrossable:
                kind = found
                break
        value = self.raised(kind, self.make_tuple(arguments))
        if kind.__name__ == names[0].split(":")[1]:
            self.fills.append((value, ["", "", attributes]))
        return value

    def raised(self, kind, arguments):
        try:
            value = kind.__new__(kind, *arguments)
            if kind.__module__ == "builtins":
                kind.__init__(value, *arguments)
        except Exception:
            value = Exception.__new__(kind) if issubclass(kind, Exception) else BaseException.__new__(kind)
        value.args = arguments
        return value


# ---- asking -------------------------------------------------------------------------------------------------


class Remote:
    """Stands for an object on the other side."""
    __slots__ = ("_link", "_at", "_name")

    def __init__(self, link, at, name):
        for slot, value in (("_link", link), ("_at", at), ("_name", name)):
            object.__setattr__(self, slot, value)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return self._link.ask(self._at, "get", (name,))

    def __setattr__(self, name, value):
        self._link.ask(self._at, "set", (name, value))

    def __call__(self, *arguments, **named):
        return self._link.ask(self._at, "call", arguments, named)

    def __hash__(self):
        return id(self)


def remote_method(operation):
    return lambda self, *arguments: self._link.ask(self._at, operation, arguments)


def remote_refusal(self, other, *_):
    if other is self:
        return NotImplemented
    self._link.refuse("a value of type %s cannot leave the program, so it cannot be compared or computed with"
                      % self._name)


for name in "iter next len bool str repr getitem setitem".split():
    setattr(Remote, "__%s__" % name, remote_method(name))
for name in "eq ne lt le gt ge contains add sub mul truediv floordiv mod pow and or xor matmul".split():
    setattr(Remote, "__%s__" % name, remote_refusal)
for name in "add sub mul truediv floordiv mod pow and or xor matmul".split():
    setattr(Remote, "__r%s__" % name, remote_refusal)


def perform(target, operation, arguments, named):
    if operation == "call":
        return target(*arguments, **named)
    if operation == "next":
        return next(target)
    if operation == "iter":
        return iter(target)
    function = {"get": getattr, "set": setattr, "len": len, "bool": bool, "str": str, "repr": repr,
                "getitem": lambda x, key: x[key],
                "setitem": lambda x, key, value: x.__setitem__(key, value)}[operation]
    return function(target, *arguments)


class Link:
    """One side of the two. names: what the other side may call by name. guarded: this side has something to
    hide, so what it lends can be called and walked over, and nothing else."""
    def __init__(self, send, receive, prints, names, guarded):
        self.send, self.receive, self.prints, self.names = send, receive, prints, names
        self.guarded, self.classes, self.crossing = guarded, {}, ""
        self.lent, self.numbers, self.remotes = [], {}, {}

    def refuse(self, text):
        self.crossing = self.crossing or text
        raise Uncrossable(text)

    def lend(self, value):
        if self.guarded and not callable(value) and not hasattr(value, "__next__"):
            self.refuse("a value of type %s cannot be given to the program" % name_of(value))
        if id(value) not in self.numbers:
            self.numbers[id(value)] = len(self.lent)
            self.lent.append(value)
        return ["lent", self.numbers[id(value)], name_of(value)]

    def borrow(self, at, name):
        if at not in self.remotes:
            self.remotes[at] = Remote(self, at, str(name))
        return self.remotes[at]

    def own(self, at):
        return self.names[at] if type(at) is str else self.lent[at]

    def ask(self, at, operation, arguments=(), named={}):
        packer = Packer((), self.classes, self.lend)
        question = ["ask", at, operation, packer.ref(tuple(arguments)), packer.ref(dict(named))]
        self.send(question + [packer.heap(), list(self.classes)])
        answer = self.receive()
        while answer[0] == "ask":
            self.send(self.serve(answer))
            answer = self.receive()
        if answer[0] == "crossing":
            self.refuse(str(answer[1]))
        return self.take(answer, packer)

    def take(self, answer, packer):
        try:
            root, heap, prints = answer[-3:]
            reader = Unpacker(heap, packer.kept, self.classes, self)
            value = reader.value(root)
            reader.settle()
            for stream, words in zip((sys.stdout, sys.stderr), prints):
                stream.write(words)
        except Exception as problem:
            self.refuse("what came back is no value (%s)" % text_of(problem))
        if answer[0] == "value":
            return value
        if isinstance(value, BaseException):
            raise value from None
        self.refuse("what came back is no exception")

    def serve(self, question):
        _, at, operation, arguments, named, heap, classes = question
        if not self.guarded:
            self.classes = {n: self.names[n] for n in classes if isinstance(self.names.get(n), type)}
        try:
            reader = Unpacker(heap, (), self.classes, self)
            arguments, named = reader.value(arguments), reader.value(named)
            reader.settle()
            known = [reader.value([i]) for i in range(len(heap))]
            target = self.own(at)
        except Exception as problem:
            return ["crossing", "the other side cannot read a value (%s)" % text_of(problem)]
        try:
            if self.guarded and operation not in ("call", "next", "iter"):
                self.refuse("a test's own object cannot be looked at by the program")
            return self.answer(["value"], perform(target, operation, arguments, named), known, heap)
        except Uncrossable as problem:
            return ["crossing", str(problem)]
        except BaseException as problem:
            return self.answer_error(problem, known, heap)

    def answer(self, head, value, known, before):
        """Of what the other side has, only what has changed."""
        packer = Packer(known, self.classes, self.lend)
        root, heap = packer.ref(value), packer.heap()
        for i, node in enumerate(before):
            changes = heap[i][0] in MUTABLE or heap[i][0] in ("instance", "array", "ndarray")
            if not changes or json.dumps(heap[i]) == json.dumps(node):
                heap[i] = None
        return head + [root, heap, self.prints()]

    def answer_error(self, problem, known, before):
        head = ["error", text_of(problem)]
        try:
            return self.answer(head, problem, known, before)
        except BaseException:  # what it carries cannot leave: its words can
            plain = next(kind for kind in type(problem).__mro__ if kind.__module__ == "builtins")
            return self.answer(head, Unpacker([]).raised(plain, (head[1],)), known, before)
