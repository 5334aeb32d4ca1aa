"""imports - what is wrong with a task file's texts for every program; run by imports.c.

Reads lines [id, prompt, test, entry point] from standard input; its arguments are the modules that programs may
import besides Python's own. Says the first trouble as one line: what is the matter, with what and with which
task, with tabs between, or nothing. An import that the text itself provides for the failure of is no trouble.
"""
import ast, importlib.util, json, sys


def modules_of(node):
    if isinstance(node, ast.Try):
        return
    if isinstance(node, ast.Import):
        yield from (alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield node.module.split(".")[0]
    for child in ast.iter_child_nodes(node):
        yield from modules_of(child)


def found(name):
    try:
        return name in sys.builtin_module_names or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def parsed(text):
    """Its tree, or the error of its syntax."""
    try:
        return ast.parse(text), None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        return None, problem


def bound(tree):
    """The names that a text's own statements give a meaning."""
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]


def functions(tree):
    return [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))] if tree else []


def trouble_of(task, prompt, test, entry, listed, own):
    tree, problem = parsed(test)
    before, _ = parsed(prompt)
    if not before:  # a prompt ends where a body is wanted; one that is no Python either says it in words
        before, _ = parsed(prompt + "\n    pass\n")
    for name in [name for part in (before, tree) if part for name in modules_of(part)]:
        if name in own and not found(name):
            return "absent", name, task
        if name not in own and name not in listed:
            return "unlisted", name, task
    if problem:
        return "syntax", "%s: %s" % (type(problem).__name__, problem), task
    if "check" not in [*bound(tree), *bound(before)]:
        return "check", "check", task
    if functions(before) and entry not in bound(before):
        return "entry", ", ".join(functions(before)), task
    return ()


def trouble(texts, listed):
    own = set(sys.stdlib_module_names)
    for line in texts:
        what = trouble_of(*json.loads(line), listed, own)
        if what:
            return what
    import site
    site.main()
    for name in listed:
        if not found(name):
            return "missing", name, ""
    return ()


words = trouble(sys.stdin, [name.split(".")[0] for name in sys.argv[1:]])
print("\t".join(" ".join(word.split())[:300] for word in words), end="")
