"""use - whether a team's helper is used; stands behind find.py's text.

The text of the function that is asked for must lead to the helper's name, and in a second run, in which the helper
fails as soon as it is called, an answer must be another one: a program could forge any count of its calls.

Most programs could not: they are made of functions, loops and expressions, name no module, no attribute but
built-in values' methods and no built-in function but those that compute. Such a plain program has no way to the
interpreter's own objects, nor to its globals as a whole, and nothing in it catches an error. So a failing helper
shows exactly when the helper is called, and that is noted where the program cannot name it. What is not listed here
is not plain: it costs a second run and nothing else.
"""
import opcode, types

# ---- the second run -----------------------------------------------------------------------------------------


def names_of(code):
    """The global names and attributes that a function's code reads, with the functions inside of it."""
    names = set(code.co_names)
    for part in code.co_consts:
        if type(part) is types.CodeType:
            names |= names_of(part)
    return names


def reached(functions, module, entry, helper):
    """Whether the function that is asked for leads to the helper's name, through others of the module. What is
    bound in another way than by def is taken to lead wherever the module's own statements do."""
    seen, ahead = set(), [entry]
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in functions:
            ahead.extend(names_of(functions[name]))
        elif name in module.co_names:
            ahead.extend(module.co_names)
    return helper in seen


def failing(code):
    """A function's code that raises as soon as it is called, and is the same in all else that a program can ask
    of it: the arguments, names and constants that it has, its lines, its length."""
    begin = bytes([opcode.opmap["RESUME"], 0]) if "RESUME" in opcode.opmap else b""
    rest = bytes([opcode.opmap["RAISE_VARARGS"], 0]) * (len(code.co_code) // 2)
    return code.replace(co_code=(begin + rest)[:len(code.co_code)])


def without(code, helper):
    """The module's code with a function that fails where it first defines the helper. Only the first
    definition is the helper's: its text comes first, and whoever defines the name again does without it."""
    parts = list(code.co_consts)
    for i, part in enumerate(parts):
        if type(part) is types.CodeType and part.co_name == helper:
            parts[i] = failing(part)
            break
    return code.replace(co_consts=tuple(parts))


def looks_inside(code):
    """Whether a program reads functions' code, by which it could tell a helper that fails from the real one."""
    names = names_of(code) | {c for c in code.co_consts if type(c) is str}
    return any("__code__" in name or name.startswith(("co_", "_co_")) for name in names) or \
        any(looks_inside(part) for part in code.co_consts if type(part) is types.CodeType)


def free_names(test):
    """What a test names and does not bind itself: the program may have it."""
    try:
        tree, bound = ast.parse(test), set()
    except SyntaxError:
        return []  # the checker says so
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, (ast.arg, ast.alias)):
            bound.add(getattr(node, "arg", None) or node.asname or node.name.split(".")[0])
    declared = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return sorted(n for n in named if n in declared or n not in bound and n not in BUILTINS)


# ---- plain programs -----------------------------------------------------------------------------------------

NOTE = "<called>"  # no identifier

HARMLESS = frozenset("""abs all any ascii bin bool chr dict divmod enumerate filter float frozenset hex int isinstance
iter len list map max min next oct ord pow print range repr reversed round set slice sorted str sum tuple zip""".split())
METHODS = frozenset(n for kind in (bool, dict, float, frozenset, int, list, range, set, str, tuple) for n in dir(kind)
                    if n[0] != "_")
# What a node holds that must be plain as well.
PLAIN = {getattr(ast, kind): tuple(fields.split()) for kind, fields in {
    "FunctionDef": "args body decorator_list returns", "arguments":
    "posonlyargs args vararg kwonlyargs kw_defaults kwarg defaults", "arg": "annotation", "Lambda": "args body",
    "Return": "value", "Assign": "targets value", "AugAssign": "target value", "AnnAssign": "target annotation value",
    "For": "target iter body orelse", "While": "test body orelse", "If": "test body orelse", "Assert": "test msg",
    "Expr": "value", "Pass": "", "Break": "", "Continue": "", "BoolOp": "values", "NamedExpr": "target value",
    "BinOp": "left right", "UnaryOp": "operand", "IfExp": "test body orelse", "Dict": "keys values", "Set": "elts",
    "ListComp": "elt generators", "SetComp": "elt generators", "DictComp": "key value generators",
    "GeneratorExp": "elt generators", "comprehension": "target iter ifs", "Compare": "left comparators",
    "Call": "func args keywords", "keyword": "value", "JoinedStr": "values", "FormattedValue": "value format_spec",
    "Constant": "", "Attribute": "value", "Subscript": "value slice", "Starred": "value", "Name": "", "List": "elts",
    "Tuple": "elts", "Slice": "lower upper step"}.items()}


def is_plain(nodes):
    ahead = list(nodes)
    for node in ahead:  # it grows meanwhile
        kind = type(node)
        if kind not in PLAIN:
            return False
        if kind is ast.Name and node.id not in HARMLESS and (node.id in vars(builtins) or node.id[:2] == "__"):
            return False
        if kind is ast.Attribute and (node.attr not in METHODS or type(node.ctx) is not ast.Load):
            return False
        for field in PLAIN[kind]:
            value = getattr(node, field)
            if type(value) is list:
                ahead.extend(v for v in value if v)
            elif value:
                ahead.append(value)
    return True


def note_calls(nodes, helper):
    """Makes the helper of a plain program note that it is called, as NOTE[0]. False: it is to be found out in
    another way."""
    found = [node for node in nodes if isinstance(node, FUNCTIONS) and node.name == helper]
    if len(found) != 1 or not is_plain(nodes):
        return False
    note = ast.parse("_[0] = True").body[0]
    note.targets[0].value.id = NOTE
    found[0].body.insert(0, note)
    return True
