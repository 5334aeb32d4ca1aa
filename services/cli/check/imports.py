"""imports - which modules of a task file's texts cannot be imported in the sandbox; run by imports.c.

Reads lines [id, text] from standard input; its arguments are the modules that programs may import besides
Python's own. Says the first trouble as one line: what is the matter, the module and the task, with tabs
between, or nothing. An import that the text itself provides for the failure of is no trouble.
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


def trouble(texts, listed):
    own = set(sys.stdlib_module_names)
    for line in texts:
        task, text = json.loads(line)
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # the test's own trouble, whoever is asked
        for name in modules_of(tree):
            if name in own and not found(name):
                return "absent", name, task
            if name not in own and name not in listed:
                return "unlisted", name, task
    import site
    site.main()
    for name in listed:
        if not found(name):
            return "missing", name, ""
    return ()


print("\t".join(trouble(sys.stdin, [name.split(".")[0] for name in sys.argv[1:]])), end="")
