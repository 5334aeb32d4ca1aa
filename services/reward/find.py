"""find - the program in what a team wrote; loaded by zygote.py, which runs it.

A seat's answer is a text of any kind: prose, fences of Markdown, drafts, a whole file, or only the rest of one.
What counts in it:

1. What a model thinks is no answer: <think> to </think>, and everything behind a <think> that is never closed.
2. A seat that was given the beginning of a file may go on with it. That counts when the function which the
   beginning leaves open gets a body so; what the same text defines again later does not.
3. Else a span counts: lines that parse together, as many as there are, wherever they stand, also indented as in
   a list. Of the spans that define the wanted name at their margin the longest counts, of equal ones the last.
   A definition without a body of its own (pass, ..., a docstring) counts only where there is no other.
   A method, or a function within another one, defines nothing at the margin.
4. Else an interpreter's session (">>> def f(x):"), else what stands between marks that are no code (tags, special
   tokens, single backquotes, invisible characters), else a body alone that fits behind the beginning.

Of these spans the program takes the wanted definition and what it needs: definitions, constants and imports that
it names, and statements which change those (memo[0] = 1); the beginning's classes; what the test names. They come from the same
span, or else from the text's other spans, from the beginning that was given, or from what another seat wrote. Calls
beside them (examples, tests, input) are left out, and so is a seat in whose text nothing is found.

Nothing of the text is run here. Parsing is bounded by PARSED_MAX bytes in all; the process has its own limits.
"""
import ast, builtins, re, warnings

PARSED_MAX = 1 << 20
WINDOW = 64  # lines that are tried at first: an error among them often shows that more are of no use
BUILTINS = frozenset(dir(builtins))
REFLECTIVE = frozenset(("eval", "exec", "globals", "locals", "vars"))  # may name anything: so all is kept
ENDINGS = frozenset(("exit", "_exit", "abort", "quit"))  # a module whose end is called would end the program
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

THOUGHTS = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad"
OPENED = re.compile(r"^[ \t]*(?:<(%s)>|\[(THINK)\]|<\|begin_of_(thought)\|>)" % THOUGHTS, re.I | re.M)
CLOSE = r"(?:</(?:%s)>|\[/THINK\]|<\|end_of_thought\|>)" % THOUGHTS
# Without a beginning it counts at either end of a line and right before code, not in the middle of a string.
CLOSED = re.compile(r"^[ \t]*%s|^.*%s(?=[ \t]*(?:$|```|~~~|@|(?:async|class|def|from|import)\b))" % (CLOSE, CLOSE),
                    re.I | re.M)
CLOSED_ANYWHERE = re.compile(CLOSE, re.I)
FENCE = re.compile(r"[ \t>]*(?:`{3,}|~{3,})")
FENCE_ANYWHERE = re.compile(r"(?:`{3,}|~{3,})[ \t]*(?:\{?\.?(?:python|py|Python)[\w.-]*\}?(?:[ \t]+\w+=\S*)*(?=\s))?")
INDENT = re.compile(r"[ \t>]*")
# How a line begins that a span may begin with: a statement that binds or changes something.
BEGIN = re.compile(r"(?:async\s+def|def|class|import|from|if|for|while|with|try|match|global|del)\b|@|"
                   r"[^\W\d]\w*\s*(?:[=:.\[(,;]|[-+*/%@&|^<>]{1,3}=)")
BLOCK = re.compile(r"(?:async\s+def|def|class)\b|@")
PROMPTED = re.compile(r"^[ \t]*(?:>>>|\.\.\.|In \[\d+\]:|\.\.\.:)(?: |$)", re.M)
TAG = re.compile(r"</?(?:a|answer|article|b|body|br|code|details|div|em|h[1-6]|html|i|kbd|li|ol|p|pre|python|samp|section|"
                 r"solution|span|strong|summary|td|tr|tt|ul)\b[^<>\n]*>", re.I)
TOKEN = re.compile(r"<\|[^|<>\n]{1,40}\|>|<\uff5c[^\uff5c<>\n]{1,40}\uff5c>|</?s>|\[/?(?:ANSWER|CODE|INST|PYTHON)\]|`")
ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&#x27;": "'", "&nbsp;": " ", "&amp;": "&"}
INVISIBLE = {**dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\x0c"), ""), **dict.fromkeys(map(ord, "\xa0\u202f"), " ")}


# ---- parsing ------------------------------------------------------------------------------------------------


PROBLEMS = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


class Parser:
    """Parses within a budget, and remembers what was wrong with the text at first."""
    def __init__(self, strict):
        self.left, self.why, self.open, self.strict = PARSED_MAX, "", False, strict

    def tree(self, text):
        """The statements of a text, or the line that it fails at (0: nobody knows)."""
        self.left -= len(text)
        if self.left < 0:
            return 0
        try:
            return ast.parse(text).body
        except SyntaxError as problem:
            self.open = "triple-quoted" in problem.msg or "never closed" in problem.msg
            self.why = self.why or "%s: %s" % (type(problem).__name__, problem.msg)
            return problem.lineno or 0
        except PROBLEMS as problem:
            self.why = self.why or type(problem).__name__
            return 0

    def prefix(self, lines, first=0):
        """The statements of as many lines from the first one on as parse together, and how many lines those are,
        without the first one's indentation. An error at a line says that no longer text parses, so each try is
        shorter than the last one; only what ends in the middle of a statement may go on well."""
        want = WINDOW
        while True:
            some, more = dedented(lines, first, want)
            n, self.open = len(some), False
            found = self.tree("\n".join(some) + "\n") if n else 0
            if not (more and (type(found) is list or self.open or found >= n)):
                break
            want *= 2
        while type(found) is not list and found and n > 1:
            n = min(n - 1, found - 1)
            while n and not some[n - 1].strip():
                n -= 1
            found = self.tree("\n".join(some[:n]) + "\n") if n else 0
        return (found, n) if type(found) is list and found else ([], 0)

    def span(self, nodes, lines):
        """None where the nodes cannot be looked through."""
        try:
            return Span([node for node in nodes if not self.strict or compiles([node])], lines)
        except RecursionError:
            self.why = self.why or "RecursionError"
            return None


def compiles(nodes):
    try:
        return compile(ast.Module(nodes, []), "program", "exec", dont_inherit=True)
    except PROBLEMS:
        return None


# ---- what a statement binds, needs and changes --------------------------------------------------------------


def arguments_of(node):
    a = node.args
    found = a.posonlyargs + a.args + a.kwonlyargs + [x for x in (a.vararg, a.kwarg) if x]
    outside = a.defaults + [d for d in a.kw_defaults if d] + [x.annotation for x in found if x.annotation]
    return [x.arg for x in found], outside


class Scope:
    """The names of one scope, with those that inner scopes leave to it. Order is kept: it decides."""
    def __init__(self):
        self.stores, self.loads, self.globals, self.outer = {}, {}, {}, {}

    def free(self):
        """What is looked up outside of it."""
        found = {n: None for n in self.loads if n not in self.stores or n in self.globals}
        found.update((n, None) for n in self.globals)
        return found


def inner(kind, inside, outside, names, scope):
    """A function's scope (or a comprehension's): its free names are loads of the scope around it."""
    own = Scope()
    own.stores.update((n, None) for n in names)
    for node in inside:
        visit(node, own)
    for name in own.globals:
        scope.globals[name] = None
        if name in own.stores:
            scope.outer[name] = None
    scope.outer.update((n, None) for n in own.outer if n not in own.stores or kind == "class")
    scope.loads.update(own.free())
    if kind == "class":  # what a class body binds, its own methods do not see
        scope.loads.update((n, None) for n in own.loads)
    for node in outside:
        visit(node, scope)


def visit(node, scope):
    if isinstance(node, ast.Name):
        (scope.loads if isinstance(node.ctx, ast.Load) else scope.stores)[node.id] = None
    elif isinstance(node, FUNCTIONS + (ast.Lambda,)):
        names, outside = arguments_of(node)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        if not isinstance(node, ast.Lambda):
            scope.stores[node.name] = None
            outside = outside + node.decorator_list + [node.returns] * bool(node.returns)
        inner("function", body, outside, names + [p.name for p in getattr(node, "type_params", [])], scope)
    elif isinstance(node, ast.ClassDef):
        scope.stores[node.name] = None
        inner("class", node.body, node.bases + [k.value for k in node.keywords] + node.decorator_list, [], scope)
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        inner("comprehension", ast.iter_child_nodes(node), [], [], scope)
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            scope.stores[(alias.asname or alias.name).split(".")[0]] = None
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        (scope.globals if isinstance(node, ast.Global) else scope.loads).update((n, None) for n in node.names)
    else:
        for name in (getattr(node, "name", None), getattr(node, "rest", None)):  # of except and of match
            if isinstance(name, str):
                scope.stores[name] = None
        change = changed(node)
        if change:
            scope.outer[change] = None
        for child in ast.iter_child_nodes(node):
            visit(child, scope)


def changed(node):
    """The name of the object that a part or an attribute is stored in, or a method is called of for nothing."""
    call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if call:
        node = node.value.func
        if isinstance(node, ast.Attribute) and node.attr in ENDINGS:
            return None
    elif not (isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load)):
        return None
    inside = False
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node, inside = node.func if isinstance(node, ast.Call) else node.value, True
    return node.id if inside and isinstance(node, ast.Name) else None


def calls_of(node):
    """The plain functions that a statement at the margin calls for nothing."""
    call = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    return call.func.id if call and isinstance(call.func, ast.Name) else None


class Statement:
    def __init__(self, node):
        self.node, scope = node, Scope()
        visit(node, scope)
        self.needs = scope.free()
        self.needs.update(scope.loads)
        self.changes, self.calls = scope.outer, calls_of(node)
        # A name with an annotation alone gets no value; what a function binds by "global" it binds when called.
        bare = isinstance(node, ast.AnnAssign) and not node.value
        self.binds = {} if bare or isinstance(node, (ast.Expr, ast.Delete)) else scope.stores
        self.star = isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names)
        self.future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        self.deepens = isinstance(node, ast.Expr) and changed(node) == "sys" and "setrecursionlimit" in ast.dump(node)


class Span:
    """Lines that parse together."""
    def __init__(self, nodes, lines):
        self.statements, self.names, self.lines, self.kept = [], {}, lines, set()
        self.add([Statement(node) for node in nodes])

    def add(self, statements):
        for s in statements:
            for name in s.binds:
                self.names.setdefault(name, []).append(len(self.statements))
            self.statements.append(s)

    def defining(self, name):
        """The last statement that gives a name a meaning as a function: (statement, how well it does) or None.
        2: a body, 1: another callable thing's name, 0: a definition without a body."""
        for i in reversed(self.names.get(name, [])):
            node = self.statements[i].node
            if isinstance(node, FUNCTIONS + (ast.ClassDef,)):
                return i, 0 if is_stub(node) else 2
            value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
            if isinstance(value, ast.Lambda):
                return i, 2
            if isinstance(value, (ast.Name, ast.Attribute, ast.Call, ast.IfExp)) and (
                    name not in self.statements[i].needs or self.names[name][0] < i):
                return i, 1
            if isinstance(node, (ast.If, ast.Try)):
                return i, 1
        return None


def is_stub(node):
    """Whether a definition says nothing of its own."""
    for part in node.body:
        empty = isinstance(part, ast.Pass) or isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
        if not empty and not (isinstance(part, ast.Raise) and "NotImplementedError" in ast.dump(part)):
            return False
    return isinstance(node, FUNCTIONS)


# ---- the spans of a text ------------------------------------------------------------------------------------


def without_thoughts(text):
    place = 0
    while True:
        opened, closed = OPENED.search(text, place), CLOSED.search(text, place)
        if closed and (not opened or closed.start() < opened.start()):
            text = text[closed.end():]  # begun before the answer, as some models' prompts do
        elif opened:
            end = CLOSED_ANYWHERE.search(text, opened.end())
            text = text[:opened.start()] + ("\n" + text[end.end():] if end else "")
            place = opened.start()
        else:
            return text


def dedented(lines, first, most):
    """At most so many lines from the first one on, without its indentation, as far as they have it; and whether
    there are more."""
    indent, some = INDENT.match(lines[first]).group(), lines[first:first + most]
    if indent:
        for i, line in enumerate(some):
            if line.startswith(indent):
                some[i] = line[len(indent):]
            elif not line.strip(" \t>"):
                some[i] = ""
            else:
                return some[:i], False
    return some, first + most < len(lines)


def width(line):
    return len(INDENT.match(line).group())


def spans_of(text, parser):
    lines, found, i = text.split("\n"), [], 0
    while i < len(lines) and parser.left > 0:
        start = lines[i].lstrip(" \t>")
        if not BEGIN.match(start):
            i += 1
            continue
        nodes, n = parser.prefix(lines, i)
        margin, broken = width(lines[i]), n == 0 and BLOCK.match(start)
        span = nodes and parser.span(nodes, sum(1 for line in lines[i:i + n] if line.strip()))
        if span:
            found.append(span)
        i += n or 1
        # What is left of a block that broke off is no span of its own.
        while (nodes or broken) and i < len(lines) and lines[i].strip() and width(lines[i]) > margin:
            i += 1
    return found


def unprompted(text):
    """What was typed into an interpreter's session."""
    found = [(line, PROMPTED.match(line)) for line in text.split("\n")]
    return "\n".join(line[prompt.end():] if prompt else "```" for line, prompt in found)


def other_readings(text):
    """A text in which nothing was found, without what is no code. Inside of a literal these would be code."""
    if PROMPTED.search(text):
        yield unprompted(text)
    if TAG.search(text):
        text = TAG.sub("\n", text)
        for entity, meant in ENTITIES.items():
            text = text.replace(entity, meant)
        yield text
    for changed in (TOKEN.sub("\n", text), TOKEN.sub("\n", text).translate(INVISIBLE)):
        if changed != text:
            yield changed


def best(spans, name):
    """(span, statement, how well) of the definition that counts."""
    found = None
    for span in spans:
        at = span.defining(name)
        if at and (not found or (at[1], span.lines) >= (found[2], found[0].lines)):
            found = (span, at[0], at[1])
    return found


# ---- going on with a file -----------------------------------------------------------------------------------


def blocks_of(text):
    """What stands in fences, and at last the text as a whole."""
    found, block = [], None
    for line in text.split("\n"):
        if FENCE.match(line):
            if block:
                found.append("\n".join(block))
            block = [] if block is None else None
        elif block is not None:
            block.append(line)
    return found + (["\n".join(block)] if block else []) + [text]


def continued(before, text, name, parser):
    """The span of a file's beginning together with its rest, if the function that it leaves open gets a body.
    What defines that name again is taken out: the model has only gone on writing."""
    lines = (before + text).split("\n")
    given = before.rstrip().count("\n") + 1
    nodes, n = parser.prefix(lines)
    for i, node in enumerate(nodes):
        if isinstance(node, FUNCTIONS) and node.name == name and node.lineno <= given <= node.end_lineno:
            if is_stub(node) or (node.end_lineno == given and before.endswith("\n")) or says_again(node):
                return None
            span = parser.span(nodes[:i + 1], n)
            more = parser.span(nodes[i + 1:], n)
            if not span or not more or name not in span.names:
                return None
            span.add([s for s in more.statements if name not in s.binds])
            return span, span.names[name][-1], 2
    return None


def says_again(node):
    """Whether a body begins with the function itself: the whole of it was written where a body was wanted."""
    for part in node.body:
        if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)):
            return isinstance(part, FUNCTIONS) and part.name == node.name
    return False


def refitted(block, indent):
    """A body's lines at the indentation that is wanted, in the ways in which models lose it."""
    lines = block.rstrip().split("\n")
    while not lines[0].strip():
        lines.pop(0)
    own = INDENT.match(lines[0]).group()
    yield "\n".join(indent + line[len(own):] if line.startswith(own) else line for line in lines)
    if not own:
        yield "\n".join([indent + lines[0]] + lines[1:])


def body_alone(before, text, name, parser):
    """A body in a fence, or one that lost its indentation."""
    last = before.rstrip().split("\n")[-1]
    indent = INDENT.match(last).group() or "    "
    head = before if before.endswith("\n") else before + "\n"
    found = None
    for block in blocks_of(text):
        for body in refitted(block, indent) if block.strip() else ():
            other = continued(head, body + "\n", name, parser)
            if other and (not found or other[0].lines > found[0].lines):
                found = other
    return found


def given_file(before, parser):
    """The span of a file's beginning, completed; its last function is the open one."""
    for more in ("", "    pass\n", "\n    pass\n"):
        nodes = parser.tree(before + more)
        span = parser.span(nodes, 0) if type(nodes) is list else None
        if span:
            return span
    return Span([], 0)


# ---- a seat -------------------------------------------------------------------------------------------------


class Seat:
    """What a text holds for the name that is wanted of it."""
    def __init__(self, text, name, before, parser):
        text = without_thoughts(text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
        self.spans, at = [], continued(before, text, name, parser) if before else None
        if at:
            self.spans = [at[0]]
        else:
            self.spans = spans_of(text, parser)
            at = best(self.spans, name)
            if FENCE_ANYWHERE.search(text):  # a fence may stand in the middle of a line
                self.take(spans_of(FENCE_ANYWHERE.sub("\n", text), parser), at, name)
                at = best(self.spans, name)
            for reading in () if at else other_readings(text):
                at = continued(before, reading, name, parser) if before else None
                spans = [at[0]] if at else spans_of(reading, parser)
                at = at or best(spans, name)
                if at:
                    self.spans = spans
                    break
            if before and (not at or at[2] == 0):
                body = body_alone(before, text, name, parser)
                if body:
                    at, self.spans = body, [body[0]]
        self.span, self.statement = (at[0], at[1]) if at else (None, None)
        self.code = bool(at) or any(s.names for s in self.spans)

    def take(self, spans, at, name):
        """Another reading of the text, if it finds more."""
        other = best(spans, name)
        if other and (not at or (other[2], other[0].lines) > (at[2], at[0].lines)):
            self.spans = spans

    def node(self):
        return self.span.statements[self.statement].node if self.span else None


def accepts(node, n):
    """Whether a definition can be called with n arguments in order."""
    if not isinstance(node, FUNCTIONS) or n is None:
        return node is not None
    a = node.args
    most = len(a.posonlyargs) + len(a.args)
    return most - len(a.defaults) <= n and (n <= most or a.vararg is not None) and \
        all(d is not None for d in a.kw_defaults)


def wanted_arguments(given, name):
    """How many arguments the beginning of a file gives its open function."""
    for s in reversed(given.statements):
        if isinstance(s.node, FUNCTIONS) and s.node.name == name:
            return len(s.node.args.posonlyargs) + len(s.node.args.args)
    return None


# ---- the program --------------------------------------------------------------------------------------------


class Gathering:
    """Collects the wanted definitions with all that they need."""
    def __init__(self, spans):
        self.spans, self.ahead, self.seen = spans, [], set()

    def keep(self, span, i, others):
        if i in span.kept:
            return
        span.kept.add(i)
        for name in span.statements[i].needs:
            self.ahead.append((name, span, others))

    def want(self, name, span, others):
        """Keeps what binds a name, in the span that names it or else in the first one that does."""
        if (name, id(span)) in self.seen:
            return
        self.seen.add((name, id(span)))
        for place in [span] + ([] if name in BUILTINS and name not in REFLECTIVE else others):
            if name in place.names:
                for i in place.names[name]:
                    self.keep(place, i, others)
                return
        if name in REFLECTIVE:
            for i, s in enumerate(span.statements):
                if s.binds:
                    self.keep(span, i, others)

    def changers(self, others):
        """Keeps statements that change what is kept, or without which nothing would work as it was written."""
        for span in self.spans:
            if not span.kept:
                continue
            bound = {n for i in span.kept for n in span.statements[i].binds}
            for i, s in enumerate(span.statements):
                if i in span.kept or isinstance(s.node, FUNCTIONS + (ast.ClassDef,)):
                    continue
                inside = [span.statements[j].changes for j in span.names.get(s.calls, [])] if s.calls else []
                if s.star or s.future or s.deepens or any(n in bound for n in s.changes) or \
                        any(n in bound for changes in inside for n in changes):
                    self.keep(span, i, others)

    def run(self, others):
        count = -1
        while count != sum(len(s.kept) for s in self.spans):
            count = sum(len(s.kept) for s in self.spans)
            while self.ahead:
                self.want(*self.ahead.pop())
            self.changers(others)


def keep_types(given, span, gathering, others):
    """A test may make objects of the classes that the beginning defines, whether the program names them or not."""
    for s in given.statements:
        named = isinstance(s.node, ast.Assign) and isinstance(s.node.value, ast.Call)  # as by namedtuple ()
        for name in s.binds if named or isinstance(s.node, ast.ClassDef) else ():
            place = span if name in span.names else given
            for i in place.names[name]:
                gathering.keep(place, i, others)
    gathering.run(others)


def is_main_guard(node):
    return isinstance(node, ast.If) and "'__name__'" in ast.dump(node.test)


def gathered(seats, given, also):
    """The statements of the program, in order: the beginning that was given, then each seat's."""
    spans = [given]
    for seat in seats:
        spans += [s for s in seat.spans if s is not seat.span] + ([seat.span] if seat.span else [])
    for seat in [s for s in seats if s.span]:
        others = [s for s in seat.spans if s is not seat.span] + [given]
        others += [s for s in spans if s not in others and s is not seat.span]
        gathering = Gathering(spans)
        for name in seat.span.statements[seat.statement].binds:
            for i in seat.span.names[name]:
                gathering.keep(seat.span, i, others)
        gathering.run(others)
    gathering.ahead += [(name, seats[-1].span, others) for name in also]
    keep_types(given, seats[-1].span, gathering, others)
    kept = [span.statements[i] for span in spans for i in sorted(span.kept)]
    return [s.node for s in sorted(kept, key=lambda s: not s.future) if not is_main_guard(s.node)]


def try_find(seats, parser):
    last, facts = seats[-1], {"seats": [], "fits": False, "why": ""}
    given = given_file(last["before"], parser) if last["before"] else Span([], 0)
    wanted = last["arguments"]
    if wanted is None:
        wanted = wanted_arguments(given, last["name"])
    context = Span([], 0)
    context.add([s for s in given.statements if last["name"] not in s.binds])
    parser.why = ""
    found = [Seat(s["text"], s["name"], s["before"], parser) for s in seats]
    facts["seats"] = [[seat.code, seat.span is not None] for seat in found]
    if not found[-1].span:
        facts["why"] = "no definition of %s was found%s" % (last["name"], parser.why and " (%s)" % parser.why)
        return [], facts
    facts["fits"] = accepts(found[-1].node(), wanted)
    return gathered(found, context, last["also"]), facts


def find(seats, helper):
    """seats: [{"text", "name", "before": text or "", "arguments": number or null}, ...], helpers first; the last
    one's name is the function that is asked for, its "also" what else is wanted where it is there. The program's code, or None, and what can be said of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for strict in (False, True):  # what parses may still not compile: then each statement is tried alone
            nodes, facts = try_find(seats, Parser(strict))
            facts["noted"] = note_calls(nodes, helper)  # use.py
            code = nodes and compiles(nodes)
            if code or not nodes:
                break
    return code or None, facts
