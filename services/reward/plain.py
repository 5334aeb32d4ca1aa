"""plain - programs that can reach nothing but their own values; stands behind find.py's text.

Whether a helper is used is found out by a second run in which it fails (zygote.py), since a program could forge any
count of its calls. Most programs could not: they are made of functions, loops and expressions, name no module, no
attribute but built-in values' methods and no built-in function but those that compute. Such a program has no way
to the interpreter's own objects, nor to its globals as a whole, and nothing in it catches an error. So a failing
helper shows exactly when the helper is called; and that is noted where the program cannot name it.

What is not listed here is not plain: it costs a second run and nothing else.
"""
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
        if kind is ast.Name and node.id not in HARMLESS and (hasattr(builtins, node.id) or node.id[:2] == "__"):
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
