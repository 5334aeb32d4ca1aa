"""asserts - each assert of HumanEval's test counts as a test of its own; stands before zygote.py's text.

The first assert that fails would end check (candidate), and a program that gets nine of ten right would look like
one that gets none. So each is carried out, and what came of it is noted. One in a loop counts once: it holds if
it holds every time. Not counted are those that say nothing (assert True) and those within try, whose failing
the test itself waits for.
"""
import ast

TALLY, TYPE_OF = "__tally__", "__type_of__"


class Tally:
    """What became of each assert: right, wrong (it was answered, with another value) or an error."""
    def __init__(self):
        self.states, self.first = {}, None

    def right(self, site):
        self.states.setdefault(site, "right")

    def wrong(self, site, problem):
        self.states[site] = "wrong" if isinstance(problem, AssertionError) else "error"
        self.first = self.first or problem
        if not isinstance(problem, Exception):
            raise problem

    def counts(self):
        """How many are right, and how many were answered."""
        found = list(self.states.values())
        return [found.count("right"), len(found) - found.count("error")]


class Typing(ast.NodeTransformer):
    """type (value): what stands for one of the program's values has the type of that."""
    def visit_Call(self, node):
        if isinstance(node.func, ast.Name) and node.func.id == "type" and len(node.args) == 1 and not node.keywords:
            node.func.id = TYPE_OF
        return self.generic_visit(node)


class Counting(ast.NodeTransformer):
    def __init__(self):
        self.sites = 0

    def visit_Try(self, node):
        return node

    visit_TryStar = visit_Lambda = visit_Try

    def visit_Assert(self, node):
        if isinstance(node.test, ast.Constant):
            return node
        self.sites += 1
        frame = ast.parse("try:\n    %s.right(%d)\nexcept BaseException as _problem:\n    %s.wrong(%d, _problem)"
                          % (TALLY, self.sites, TALLY, self.sites)).body[0]
        frame.body.insert(0, node)
        return frame


def counted_test(text):
    """The test's code, to be run where TALLY names a Tally."""
    tree = Counting().visit(Typing().visit(ast.parse(text, "test")))
    return compile(ast.fix_missing_locations(tree), "test", "exec", dont_inherit=True)
