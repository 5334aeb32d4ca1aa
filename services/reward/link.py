"""link - how the program and its test ask each other; stands behind values.py's text.

What cannot be written down is lent: it stays where it is, and a Remote stands for it on the other side. A Remote
has the special methods that the object has, so that whoever looks at it (bool, list, callable, isinstance) finds
what he would find in one process. On the test's side nothing about it can be compared or computed with: what it
equals, the program would say.

What can be written down is a copy on the other side. Where both sides hold on to one, as when a program keeps the
list that it was given, it is shared: each question tells what it is by then, and each answer what has changed.
"""
import _thread, copy

ASKED = """iter next len bool call getitem setitem delitem enter exit reversed neg pos abs invert int float complex
index round trunc floor ceil await aiter anext aenter aexit""".split()
JUDGED = """contains add sub mul truediv floordiv mod divmod pow lshift rshift and or xor matmul radd rsub rmul rtruediv
rfloordiv rmod rdivmod rpow rlshift rrshift rand ror rxor rmatmul""".split()
CHANGING = frozenset(MUTABLE) | {"instance", "derived", "array", "ndarray"}
SHARED_MAX = 64  # each costs a little with every question
COMPARED = "eq ne lt le gt ge".split()
SHOWN = "str repr".split()
SPECIALS = ASKED + JUDGED
# As what a Remote passes in isinstance ().
KINDS = {kind.__name__: kind for kind in (
    types.FunctionType, types.GeneratorType, types.BuiltinFunctionType, types.MethodType, types.CoroutineType,
    types.AsyncGeneratorType, map, filter, zip, enumerate, reversed)}
OF_ALL = ("__name__", "__qualname__", "__doc__", "__module__")  # what anybody may know of a function
HIDDEN = (types.ModuleType, types.FrameType, types.CodeType, types.TracebackType)


def specials_of(value):
    """In the order of SPECIALS. What the class of the class has is not the value's."""
    given = {}
    for kind in reversed(type(value).__mro__):
        given.update(vars(kind))
    return " ".join(name for name in SPECIALS if given.get("__%s__" % name) is not None)


class Remote:
    __slots__ = ("_link", "_at", "_name", "_kind", "__weakref__")

    def __init__(self, link, at, name, kind):
        for slot, value in (("_link", link), ("_at", at), ("_name", name), ("_kind", kind or type(self))):
            object.__setattr__(self, slot, value)

    def __getattr__(self, name):
        return self._link.ask(self._at, "get", (name,))

    def __setattr__(self, name, value):
        self._link.ask(self._at, "set", (name, value))

    def __delattr__(self, name):
        self._link.ask(self._at, "del", (name,))

    def __hash__(self):
        return id(self)

    def __instancecheck__(self, value):
        return bool(self._link.ask(self._at, "isinstance", (value,)))

    def __subclasscheck__(self, value):
        return bool(self._link.ask(self._at, "issubclass", (value,)))

    def __copy__(self):
        return self._link.ask(self._at, "copy")

    def __deepcopy__(self, memo):
        return self._link.ask(self._at, "deepcopy")

    def __mro_entries__(self, bases):
        self._link.refuse("nothing can be derived from '%s' outside of the program" % self._at)

    @property
    def __class__(self):
        return self._kind

    @property
    def __module__(self):
        return self._link.ask(self._at, "get", ("__module__",))

    @property
    def __doc__(self):
        return self._link.ask(self._at, "get", ("__doc__",))


def type_of(value):
    """What type () says of a value in a test."""
    remote = type(value).__base__ is Remote
    return value._link.ask(object.__getattribute__(value, "_at"), "type") if remote else type(value)


def remote_await(self):
    """A coroutine runs to its end where it was made."""
    return self._link.ask(self._at, "await")
    yield


def remote_send(self, value):
    raise StopIteration(self._link.ask(self._at, "await"))


def remote_get(self, owner, kind=None):
    return self if owner is None else types.MethodType(self, owner)


def remote_method(operation):
    return lambda self, *arguments, **named: self._link.ask(self._at, operation, arguments, named)


def remote_judgement(operation):
    def judge(self, other, *more):
        if not self._link.guarded:
            return self._link.ask(self._at, operation, (other, *more))
        if other is self and operation in COMPARED:
            return NotImplemented
        self._link.refuse("a value of type %s cannot leave the program, so it cannot be compared or computed with"
                          % self._name)
    return judge


for name in COMPARED:
    setattr(Remote, "__%s__" % name, remote_judgement(name))
for name in SHOWN:
    setattr(Remote, "__%s__" % name, remote_method(name))


def perform(target, operation, arguments, named):
    if operation == "call":
        return target(*arguments, **named)
    function = {"get": getattr, "set": setattr, "del": delattr, "next": next, "iter": iter, "len": len, "bool": bool,
                "str": str, "repr": repr, "isinstance": lambda kind, value: isinstance(value, kind),
                "issubclass": lambda kind, value: issubclass(value, kind), "type": type,
                "copy": copy.copy, "deepcopy": copy.deepcopy,
                "raised": exception_names, "await": run_awaited, "itself": lambda value: value,
                "names": lambda held: [n for n in held if n[:2] != "__"]}.get(operation)
    if function:
        return function(target, *arguments)
    if operation not in SPECIALS and operation not in COMPARED:
        raise ValueError("no operation")
    return getattr(type(target), "__%s__" % operation)(target, *arguments)


def exception_names(kind):
    """What Unpacker.exception_class () wants, of a class that can be raised; of all else nothing."""
    raised = isinstance(kind, type) and issubclass(kind, BaseException)
    return ["%s:%s" % (c.__module__, c.__name__) for c in kind.__mro__ if issubclass(c, BaseException)] if raised else []


class Link:
    """One side of the two. names: what the other side may call by name. guarded: this side has something to
    hide, so functions and iterators that it lends can be used and not looked into."""
    def __init__(self, send, receive, prints, names, guarded):
        self.send, self.receive, self.prints, self.names = send, receive, prints, names
        self.guarded, self.classes, self.crossing = guarded, {}, ""
        self.lent, self.numbers, self.remotes, self.made, self.kinds = [], {}, {}, {}, {}
        self.builtins = self.own_builtins()
        self.state, self.program, self.globals = State(guarded), None, None
        self.lock = _thread.RLock()
        self.shared = []  # in the same order on both sides
        self.idle = []    # of the first of them: whether nobody here held on to it at the last question

    def own_builtins(self):
        return {n: v for n, v in vars(builtins).items() if n not in REPLACEABLE["builtins"]}

    def refuse(self, text):
        self.crossing = self.crossing or text
        raise Uncrossable(text)

    def lend(self, value):
        if self.guarded and isinstance(value, HIDDEN):
            self.refuse("a value of type %s cannot be given to the program" % name_of(value))
        if id(value) not in self.numbers:
            self.numbers[id(value)] = len(self.lent)
            self.lent.append(value)
        base = next((kind for kind in type(value).__mro__ if self.classes.get(kind.__name__) is kind), None)
        return ["lent", self.numbers[id(value)], name_of(value), specials_of(value), base and base.__name__]

    def borrow(self, at, name, specials, base=None):
        """base: the class that both sides know and the object's is derived from."""
        if at not in self.remotes:
            kind = self.classes.get(base, KINDS.get(name))
            bound = name == "function" and type(at) is not str
            self.remotes[at] = self.remote_class(specials, bound)(self, at, str(name), kind)
        return self.remotes[at]

    def remote_class(self, specials, bound):
        """bound: like a function, it is a method where a class has it."""
        if (specials, bound) not in self.kinds:
            given = [name for name in specials.split() if name in SPECIALS]
            members = {"__%s__" % n: (remote_judgement if n in JUDGED else remote_method)(n) for n in given}
            members.update(__slots__=(), __doc__=vars(Remote)["__doc__"], __module__=vars(Remote)["__module__"])
            if "await" in given:
                members.update(__await__=remote_await, send=remote_send)
            if bound:
                members.update(__get__=remote_get)
            self.kinds[specials, bound] = type("Remote", (Remote,), members)
        return self.kinds[specials, bound]

    def own(self, at):
        if type(at) is str:
            return self.names[at] if at or self.guarded else self.names
        return self.lent[at]

    def let_go(self):
        """Which of the shared are told of once more. What nobody holds any more is, since it may have been changed
        before it was let go; after that it is forgotten."""
        idle = [sys.getrefcount(self.shared[i]) <= 2 for i in range(len(self.shared))]
        alive = [i for i in range(len(idle)) if not (idle[i] and i < len(self.idle) and self.idle[i])]
        self.shared, self.idle = [self.shared[i] for i in alive], [idle[i] for i in alive]
        return alive

    def program_names(self):
        """What the program's module holds. Asked once: a test that counts on a name has it from the start."""
        if self.program is None:
            self.program = frozenset(self.ask("", "names"))
        return self.program

    def named(self, name):
        """An exception of the program is one here as well, so that it can be caught."""
        raised = self.ask(name, "raised")
        return Unpacker([], (), self.classes, self).exception_class(raised) if raised else self.ask(name, "itself")

    def tell(self):
        changes = self.state.changes()
        if self.globals is not None:
            given = self.globals.to_program()
            changes.update({"globals": given} if given else {})
        packer = Packer((), self.classes, self.lend)
        begins, self.state.begun = not self.state.begun, True
        return [self.state.wanted, packer.ref(changes), packer.heap()] if changes or begins else None

    def hear(self, told):
        if told:
            wanted, root, heap = told
            reader = Unpacker(heap, (), self.classes, self)
            changes = reader.value(root)
            reader.settle()
            self.state.follow(wanted, changes)
            if not self.guarded:
                self.names.update(changes.get("globals", {}))

    def ask(self, at, operation, arguments=(), named={}):
        with self.lock:  # threads ask one after the other
            return self.ask_alone(at, operation, arguments, named)

    def ask_alone(self, at, operation, arguments, named):
        if self.guarded and self.own_builtins() != self.builtins:
            self.refuse("the test replaces a built-in function, and the program has its own")
        alive = self.let_go() if self.guarded else []
        packer = Packer(self.shared if self.guarded else (), self.classes, self.lend)
        question = ["ask", at, operation, packer.ref(tuple(arguments)), packer.ref(dict(named))]
        self.send(question + [packer.heap(), list(self.classes), alive, self.tell()])
        answer = self.receive()
        while answer[0] == "ask":
            self.send(self.serve(answer))
            answer = self.receive()
        if answer[0] == "crossing":
            self.refuse(str(answer[1]))
        return self.take(answer, packer)

    def take(self, answer, packer):
        try:
            root, heap, prints, kept, told = answer[-5:]
            reader = Unpacker(heap, packer.kept, self.classes, self)
            value = reader.value(root)
            reader.settle()
            if self.guarded:
                self.shared += [reader.value([i]) for i in kept]
            for stream, words in zip((sys.stdout, sys.stderr), prints):
                stream.write(words)
            self.hear(told)
        except Exception as problem:
            self.refuse("what came back is no value (%s)" % text_of(problem))
        if answer[0] == "value":
            return value
        if isinstance(value, BaseException):
            raise value from value.__cause__
        self.refuse("what came back is no exception")

    def serve(self, question):
        _, at, operation, arguments, named, heap, classes, alive, told = question
        shared = ()
        if not self.guarded:
            self.classes = {n: self.names[n] for n in classes if isinstance(self.names.get(n), type)}
            self.shared = shared = [self.shared[i] for i in alive]
        try:
            reader = Unpacker(heap, shared, self.classes, self)
            arguments, named = reader.value(arguments), reader.value(named)
            reader.settle()
            known = [reader.value([i]) for i in range(len(heap))]
            target = self.own(at)
            self.hear(told)
        except Exception as problem:
            return ["crossing", "the other side cannot read a value (%s)" % text_of(problem)]
        try:
            if self.guarded and operation in ("get", "set", "del"):
                self.guard(target, operation, arguments[0])
            return self.answer(["value"], perform(target, operation, arguments, named), known, heap)
        except Uncrossable as problem:
            return ["crossing", str(problem)]
        except BaseException as problem:
            return self.answer_error(problem, known, heap)

    def guard(self, target, operation, name):
        """The program uses what the test's objects show. Names with an underscore are not there for it, and
        functions and iterators show nothing: through them it would get at the test itself."""
        if operation == "get" and name in OF_ALL and callable(target):
            return
        if type(name) is not str or name[:1] == "_":
            raise AttributeError(name)
        usable = isinstance(target, type) or is_from(target, "unittest.mock", "NonCallableMock")
        closed = callable(target) and not usable or hasattr(target, "__next__") and not hasattr(target, "read")
        if closed and (operation != "get" or hasattr(target, name)):
            self.refuse("a test's own object cannot be looked at by the program")

    def answer(self, head, value, known, before):
        """Of what the other side has, only what has changed."""
        packer = Packer(known, self.classes, self.lend)
        root, heap = packer.ref(value), packer.heap()
        kept = [] if self.guarded else self.share(packer, heap, len(before))
        for i, node in enumerate(before):
            if heap[i][0] not in CHANGING or json.dumps(heap[i]) == json.dumps(node):
                heap[i] = None
        return head + [root, heap, self.prints(), kept, self.tell()]

    def share(self, packer, heap, n):
        """Which objects somebody here holds on to: more refer to them than those that the message tells of, the
        message itself and, of the n that were in the question, its reader. One too many does no harm."""
        known, kept = {id(value) for value in self.shared}, []
        for i, node in enumerate(heap):
            if node[0] in CHANGING and len(known) + len(kept) < SHARED_MAX and id(packer.kept[i]) not in known and \
                    sys.getrefcount(packer.kept[i]) > packer.named[i] + (4 if i < n else 2):
                kept.append(i)
        self.shared = self.shared + [packer.kept[i] for i in kept]
        return kept

    def answer_error(self, problem, known, before):
        head = ["error", text_of(problem)]
        try:
            return self.answer(head, problem, known, before)
        except BaseException:  # what it carries cannot leave: its words can
            plain = next(kind for kind in type(problem).__mro__ if kind.__module__ == "builtins")
            return self.answer(head, Unpacker([]).raised(plain, (head[1],)), known, before)
