"""values - how Python's values cross between the program and whoever judges it.

A message is a heap: a list of nodes, each [kind, content ...]. A value in it is a JSON scalar for itself or
[i], the i-th node. So lists that contain themselves, the same list twice and nan, which equals only itself,
arrive as what they are. The reader makes nothing but types that it knows: no name in a message leads to code.
What the reader has is changed in place, so that an argument that was sorted over there is sorted here.

What cannot be written down can be lent: functions, iterators and objects stay where they are (link.py).
"""
import array, builtins, collections, json, math, sys, types

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


ORIGINALS = {}  # module -> what it held before a test put something else there (state.py)


def from_library(module, name):
    """A class of a module that was imported, or None: nothing is imported for a message."""
    held = ORIGINALS.get(module, ())
    found = held[name] if name in held else vars(sys.modules[module]).get(name) if module in sys.modules else None
    return found if isinstance(found, type) else None


def is_from(value, module, name):
    kind = from_library(module, name)
    return kind is not None and isinstance(value, kind)


BUILTIN = {kind.__name__: kind for kind in
           (int, float, complex, bool, str, bytes, bytearray, list, tuple, set, frozenset, dict, object, type)}
TYPES = {name: kind for name, kind in vars(builtins).items() if isinstance(kind, type)}
MUTABLE = {"list": list, "set": set, "dict": dict, "bytearray": bytearray, "OrderedDict": collections.OrderedDict,
           "Counter": collections.Counter, "defaultdict": collections.defaultdict, "deque": collections.deque}
HASHED = ("set", "dict", "OrderedDict", "Counter", "defaultdict")
CLOCK = ("hour", "minute", "second", "microsecond", "tzinfo", "fold")
DATES = {"date": ("year", "month", "day"), "time": CLOCK, "datetime": ("year", "month", "day") + CLOCK,
         "timedelta": ("days", "seconds", "microseconds")}


VIEWS = {name: type(getattr({}, name)()) for name in ("keys", "values", "items")}
DERIVABLE = {**MUTABLE, "int": int, "float": float, "complex": complex, "str": str, "bytes": bytes, "tuple": tuple, "named": tuple,
             "frozenset": frozenset, "array": array.array}
# Special methods that mean something else where a derived class has its own.
WATCHED = frozenset("__%s__" % n for n in """abs add and bool call ceil complex contains delitem divmod enter exit
float floor floordiv format getattr getitem index int invert iter len lshift matmul missing mod mul neg next or pos pow
radd rand rdivmod repr reversed rfloordiv rlshift rmatmul rmod rmul ror round rpow rrshift rshift rsub rtruediv rxor
setitem str sub truediv trunc xor""".split())


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


def fields_of(value):
    """The names of a named tuple's fields, or None."""
    names = getattr(type(value), "_fields", None)
    plain = type(names) is tuple and len(names) == tuple.__len__(value) and all(type(n) is str for n in names)
    return names if plain else None


class Packer:
    """known: the objects that the reader has already, under their numbers. What stands for a built-in type by
    being derived from it crosses as that type, read by its own methods, with the names of what it has besides."""
    def __init__(self, known=(), classes=None, lend=None):
        self.kept, self.nodes, self.named = list(known), [None] * len(known), [0] * len(known)
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
            self.named.append(0)
            self.ahead.append(i)
        self.named[i] += 1
        return [i]

    def refs(self, values):
        return [self.ref(v) for v in values]

    def pairs(self, value):
        kind = collections.OrderedDict if isinstance(value, collections.OrderedDict) else dict  # has its own order
        return [[self.ref(k), self.ref(v)] for k, v in kind.items(value)]

    def heap(self):
        while self.ahead:
            i = self.ahead.pop()
            self.nodes[i] = self.node(self.kept[i])
        return self.nodes

    def node(self, value):
        kind = type(value)
        if self.classes.get(kind.__name__) is kind:
            return self.instance(value, kind)
        node = self.scalar(value) or self.number(value) or self.builtin(value) or self.library(value)
        if node:
            more = node[0] in DERIVABLE and kind is not DERIVABLE[node[0]] and self.own_names(value, node[0])
            return ["derived", name_of(value), more, node] if more else node
        if isinstance(value, BaseException):
            return self.exception(value, kind)
        if type(value).__base__ is Remote:
            return ["yours", object.__getattribute__(value, "_at")]
        if self.lend:
            return self.lend(value)
        raise Uncrossable("a value of type %s cannot leave the program" % name_of(value))

    def own_names(self, value, base):
        """What a derived class gives its values beside what the base has. How values compare is not asked."""
        given = [n for kind in type(value).__mro__ if not issubclass(DERIVABLE[base], kind) for n in vars(kind)]
        given += list(getattr(value, "__dict__", ()))
        named = fields_of(value) or () if base == "named" else None
        return sorted({n for n in given if type(n) is str and (n in WATCHED if n[:2] == "__" else True) and
                       (named is None or n not in named and n[:1] != "_")})

    def exception(self, value, kind):
        """Its words are sent where its class makes them, since that class may not be known over there."""
        names = exception_names(kind)
        words = str(value) if isinstance(kind.__str__, types.FunctionType) else None
        notes = getattr(value, "__notes__", None)
        return ["exception", names, self.refs(value.args), self.attributes(value),
                self.refs((value.__cause__, notes, words))]

    def scalar(self, value):
        """numpy's numbers, some of which are Python's as well."""
        if is_from(value, "numpy", "generic") and value.dtype.kind in "biufcU":
            item = value.item()
            return None if is_from(item, "numpy", "generic") else ["scalar", value.dtype.str, self.ref(item)]

    def number(self, value):
        if isinstance(value, int):
            return ["int", hex(int.__add__(value, 0))]
        if value is math.nan:
            return ["constant", "nan"]
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
            parts, names = self.refs(tuple.__iter__(value)), fields_of(value)
            return ["named", name_of(value), names, parts] if names else ["tuple", parts]
        if isinstance(value, set):
            return ["set", self.refs(set.__iter__(value))]
        if isinstance(value, frozenset):
            return ["frozenset", self.refs(frozenset.__iter__(value))]
        if isinstance(value, dict):
            return self.mapping(value)
        for name, kind in VIEWS.items():
            if isinstance(value, kind):
                return ["view", name, self.ref(dict(value.mapping))]
        if isinstance(value, types.MappingProxyType):
            return ["view", "proxy", self.ref(dict(value))]
        if isinstance(value, memoryview):
            return ["memoryview", value.tobytes().hex(), value.format] if value.contiguous else None
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
        if isinstance(value, type) and TYPES.get(value.__name__) is value:
            return ["type", value.__name__]
        return None

    def mapping(self, value):
        if isinstance(value, collections.defaultdict):
            factory = value.default_factory
            known = self.lend or factory is None or type(factory) is type and TYPES.get(factory.__name__) is factory
            return ["defaultdict", self.pairs(value), self.ref(factory if known else None)]
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
            if is_from(value, "datetime", name):
                return ["when", name, self.refs(getattr(value, part) for part in DATES[name])]
        if is_from(value, "datetime", "timezone"):
            return ["timezone", self.refs(value.__getinitargs__())]
        if is_from(value, "uuid", "UUID"):
            return ["UUID", self.ref(value.int)]
        for name in ("PurePosixPath", "PureWindowsPath"):
            if is_from(value, "pathlib", name):
                return ["path", type(value).__name__, str(value)]
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
            return ["member", kind.__name__, value.name, self.ref(value.value)]
        inner = None
        if not isinstance(value, BaseException):
            inner = self.number(value) or self.builtin(value)
        else:
            inner = ["tuple", self.refs(value.args)]
        return ["instance", kind.__name__, self.attributes(value), inner]


# ---- classes for what others have derived -------------------------------------------------------------------


def words_of(problem):
    words = problem.__dict__.get("__words__")
    known = next(kind for kind in type(problem).__mro__ if not getattr(kind, "of_program", False))
    return known.__str__(problem) if words is None else words


def derived_class(name, base, more, link):
    """Values are the base's; whatever they have of the other side's class cannot be had here, and that is said."""
    def refuse(what):
        text = "'%s' of type %s cannot leave the program" % (str(what)[:80], name)
        if not link:
            raise AttributeError(text)
        link.refuse(text)

    def look_up(self, wanted):
        if wanted in more or "__getattr__" in more and wanted[:2] != "__":
            refuse(wanted)
        raise AttributeError("'%s' object has no attribute '%s'" % (name, wanted))

    members = {"__getattr__": look_up, "__module__": "program"}
    for special in more:
        if special in WATCHED and special != "__getattr__":
            members[special] = lambda self, *arguments, special=special: refuse(special)
        elif hasattr(base, special):
            members[special] = property(lambda self, special=special: refuse(special))
    return type(name, (base,), members)


# ---- reading ------------------------------------------------------------------------------------------------


class Unpacker:
    """Makes the values of a heap. Whatever is no value raises, at the latest in settle ()."""
    def __init__(self, nodes, known=(), classes=None, link=None):
        self.made = link.made if link else {}
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
            self.change_as(value, node[3] if node[0] == "derived" else node)

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
        if kind == "derived":
            return self.make_derived(node, i)
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
            bytearray.__setitem__(value, slice(None), bytes.fromhex(node[1]))
        elif kind == "deque":
            items = self.values(node[1])
            collections.deque.clear(value)
            collections.deque.extend(value, items)
        elif kind == "array":
            array.array.__setitem__(value, slice(None), array.array(value.typecode, self.values(node[2])))
        elif kind == "ndarray":
            value[...] = self.make_ndarray(*node[1:])
        else:
            self.fill_attributes(value, node[2])

    def fill_attributes(self, value, attributes):
        new = {name: self.value(ref) for name, ref in attributes}
        for name in list(getattr(value, "__dict__", ())):
            if name not in new and name[:2] != "__":
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
        else:
            value = self.make_based(kind, inner, i)
        self.fills.append((value, node))
        return value

    def make_based(self, kind, node, i):
        """A value of a class that is derived from what the node is."""
        if node[0] == "named":
            return tuple.__new__(kind, self.values(node[3]))
        if node[0] == "array":
            return array.array.__new__(kind, node[1], self.values(node[2]))
        if node[0] not in MUTABLE:
            return DERIVABLE[node[0]].__new__(kind, self.make(node, i))
        value = MUTABLE[node[0]].__new__(kind)
        if node[0] == "deque":
            collections.deque.__init__(value, (), self.value(node[2]))
        if node[0] == "defaultdict":
            value.default_factory = self.value(node[2])
        (self.hashed if node[0] in HASHED else self.fills).append((value, node))
        return value

    def make_derived(self, node, i):
        _, name, more, inner = node
        key = ("derived", name, inner[0], *more)
        if key not in self.made:
            base = self.named_class(*inner[1:3]) if inner[0] == "named" else DERIVABLE[inner[0]]
            self.made[key] = derived_class(str(name), base, more, self.link)
        return self.make_based(self.made[key], inner, i)

    def make_named(self, name, names, refs):
        return tuple.__new__(self.named_class(name, names), self.values(refs))

    def named_class(self, name, names):
        key = ("named", name, *names)
        if key not in self.made:
            self.made[key] = collections.namedtuple(str(name), names)
        return self.made[key]

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
        return {"Ellipsis": ..., "NotImplemented": NotImplemented, "nan": math.nan}[name]

    def make_type(self, name):
        return TYPES[name]

    def make_view(self, name, ref):
        value = self.value(ref)
        if type(value) is not dict or name not in VIEWS and name != "proxy":
            raise ValueError("no view")
        return types.MappingProxyType(value) if name == "proxy" else getattr(value, name)()

    def make_memoryview(self, text, code):
        return memoryview(bytes.fromhex(text)).cast(str(code))

    def make_member(self, name, member, value):
        """Flags have values without a member of their own."""
        kind = self.classes[name]
        return kind.__members__[member] if member in kind.__members__ else kind(self.value(value))

    def make_Decimal(self, text):
        return from_library("decimal", "Decimal")(text)

    def make_Fraction(self, over, under):
        return from_library("fractions", "Fraction")(self.value(over), self.value(under))

    def make_timezone(self, parts):
        return from_library("datetime", "timezone")(*self.values(parts))

    def make_UUID(self, number):
        return from_library("uuid", "UUID")(int=self.value(number))

    def make_path(self, name, text):
        if name not in ("PurePosixPath", "PureWindowsPath", "PosixPath", "WindowsPath"):
            raise ValueError("no path")
        return from_library("pathlib", name)(str(text))

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

    def make_lent(self, at, name, specials, base):
        return self.link.borrow(at, name, specials, base)

    def make_exception(self, names, arguments, attributes, more):
        arguments = self.make_tuple(arguments)
        self.settle_fills()  # a group wants its exceptions when it is made
        value = self.raised(self.exception_class(names), arguments)
        self.fills.append((value, ["", "", attributes]))
        cause, notes, words = self.values(more)
        if cause is not None:
            value.__cause__ = cause
        if notes is not None:
            value.__notes__ = notes
        if words is not None and getattr(type(value), "of_program", False):
            value.__words__ = words
        return value

    def exception_class(self, names):
        """What of the list is not known here is derived from the first class that is."""
        kind, unknown = Exception, []
        for module, name in [n.split(":") for n in names]:
            found = self.classes.get(name) or from_library(module, name)
            if isinstance(found, type) and issubclass(found, BaseException) and found is not Uncrossable:
                kind = found
                break
            unknown.append(name)
        for name in reversed(unknown):
            key = ("exception", name, kind)
            if key not in self.made:
                self.made[key] = type(name, (kind,), {"of_program": True, "__module__": "program", "__str__": words_of})
            kind = self.made[key]
        return kind

    def raised(self, kind, arguments):
        try:
            value = kind.__new__(kind, *arguments)
            if not isinstance(kind.__init__, types.FunctionType):
                kind.__init__(value, *arguments)
        except Exception:
            value = Exception.__new__(kind) if issubclass(kind, Exception) else BaseException.__new__(kind)
        value.args = arguments
        return value
