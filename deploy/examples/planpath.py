"""Plan-Path: a planner sees a grid and says the way, an executor sees what the planner says and walks.

The grid is 10 x 10, columns a to j and rows 0 to 9, with one to three walls from top to bottom, each open in one row.
The planner is told where the walker stands, where it has to go, and where the walls in between are open, the nearest
first; it names the next cell to go to. The executor is told where the walker stands and what the planner said; it says
the moves, such as U2R4: up by 2 (to row 0), right by 4. So it goes on, for six rounds at most, until the walker is
there. Who runs into a wall, or out of the grid, has lost. A team of one role sees what the planner sees, and says the
moves. No space is before a cell: a tokenizer would make one token of it and the column, another than the column's own.

With --texts N it writes N texts of untrained agents, for quintet pretrain; else it plays, as task.program.
"""
import json
import random
import re
import sys

SIDE, ROUNDS = 10, 6
MOVES = {"U": (0, -1), "D": (0, 1), "L": (-1, 0), "R": (1, 0)}


def name(x, y):
    return "abcdefghij"[x] + str(y)


class Grid:
    def __init__(self, seed):
        draw = random.Random(seed).random  # the one function whose numbers never change
        some = lambda n: int(n * draw())
        self.walls = {1 + some(8): some(SIDE)}
        for _ in range(2):
            x, y = 1 + some(8), some(SIDE)
            self.walls.update({x: y} if all(abs(x - other) > 1 for other in self.walls) else {})
        wall = sorted(self.walls)[some(len(self.walls))]  # it is between the walker and the goal
        sides = [[x for x in range(SIDE) if (x < wall) == left and x not in self.walls] for left in (True, False)]
        self.at, self.goal = [(side[some(len(side))], some(SIDE)) for side in (sides if some(2) else sides[::-1])]
        self.start, self.rounds = self.at, 0

    def free(self, x, y):
        return 0 <= x < SIDE and 0 <= y < SIDE and self.walls.get(x, y) == y

    def between(self, at):
        """The walls that are in between, the nearest first; and which way they are."""
        turn = 1 if self.goal[0] > at[0] else -1
        return sorted((x for x in self.walls if (x - at[0]) * (x - self.goal[0]) < 0), reverse=turn < 0), turn

    def way(self, at, behind=1):
        """Cells to go by: behind each wall, level with where it is open (or in there); then the goal."""
        walls, turn = self.between(at)
        return [(x + turn * behind, self.walls[x]) for x in walls] + [self.goal]

    def far(self, at):
        way = [at] + self.way(at)
        return sum(abs(x - u) + abs(y - v) for (x, y), (u, v) in zip(way, way[1:]))

    def walk(self, text):
        """True: it went as it was told; False: it ran into something."""
        for move, n in re.findall("([UDLR])([0-9])", text):
            for _ in range(int(n)):
                x, y = self.at[0] + MOVES[move][0], self.at[1] + MOVES[move][1]
                if not self.free(x, y):
                    return False
                self.at = x, y
        return True

    def seen(self, role):
        walls, turn = self.between(self.at)
        past = ",".join(name(x, self.walls[x]) for x in walls)
        return f"{name(*self.at)}>{name(*self.goal)} {'right' if turn > 0 else 'left'}:{past}\n# {role}\n"

    def told(self, text):
        return f"{name(*self.at)}>{text}\n# executor\n"


def answer(grid, role, text, first):
    if role == "planner":
        return {"observe": {"executor": grid.told(text)}}
    went, grid.rounds = grid.walk(text), grid.rounds + 1
    there = grid.at == grid.goal
    if went and not there and grid.rounds < ROUNDS:
        return {"observe": {first: grid.seen(first)}}
    near = max(0, 1 - grid.far(grid.at) / grid.far(grid.start))
    return {"done": True, "quality": 1 if there else near / 2, "success": there, "parts": {"near": near},
            "verdict": f"at {name(*grid.at)}" + ("" if went else ", where it ran into something")}


def play():
    grids = {}
    for line in sys.stdin:
        m = json.loads(line)
        e, said = m["episode"], None
        if m["op"] == "reset":
            grids[e] = Grid(m["seed"]), m["roles"][0]
            said = {"observe": {m["roles"][0]: grids[e][0].seen(m["roles"][0])}}
        elif m["op"] == "step":
            (role, action), = m["actions"].items()
            said = answer(grids[e][0], role, action["text"], grids[e][1])
        if not said or "done" in said:
            del grids[e]
        if said:
            print(json.dumps(said), flush=True)


def texts(n, mistakes=0.01):
    """Agents that do not know each other: two of three name an opening, the third what is behind it; two of three walk
    across first, the third down."""
    for i in range(n):
        grid, draw = Grid(10**9 + i), random.Random(2 * 10**9 + i).random
        slip = lambda digit: int(SIDE * draw()) if draw() < mistakes else digit
        way = [grid.at] + grid.way(grid.at, draw() < 0.5)
        grid.at = way[int((len(way) - 1) * draw())]
        to = tuple(slip(x) for x in grid.way(grid.at, draw() < 1 / 3)[0])
        x, y = (t - h for t, h in zip(to, grid.at))
        moves = [m + str(slip(abs(k))) for m, k in (("RL"[x < 0], x), ("DU"[y < 0], y)) if k] or ["U0"]
        moves = "".join(moves[::-1] if draw() < 1 / 3 else moves)
        prompt, said = ((grid.seen("solo"), moves), (grid.seen("planner"), name(*to)),
                        (grid.told(name(*to)), moves))[i % 3]
        print(json.dumps({"prompt": prompt, "completion": said}))


texts(int(sys.argv[2])) if sys.argv[1:2] == ["--texts"] else play()
