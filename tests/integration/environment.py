"""An environment for tests: asker and teller speak in turn, two or three times. What it does besides follows
from its arguments: a file that is made by the process that dies, hangs or talks nonsense once, and which of it."""
import json, os, sys, time

what, once = (sys.argv[1:] + ["", ""])[:2]
seen, steps = {}, 0


def once_only():
    global steps
    steps += 1
    if steps < 20 or os.path.exists(once):
        return False
    open(once, "w").close()
    return True


for line in sys.stdin:
    m = json.loads(line)
    e = m["episode"]
    if m["op"] == "close":
        seen.pop(e, None)
        continue
    if m["op"] == "reset":
        seen[e] = [m["seed"]]
    else:
        seen[e] += [a["text"] for a in m["actions"].values()]
    said, n = seen[e], len(seen[e]) - 1
    if what == "dies" and once_only():
        os._exit(3)
    if what == "hangs" and once_only():
        time.sleep(600)
    if what == "garbage" and once_only():
        print("no JSON", flush=True)
    if what == "always" and n == 1:
        print("KeyError: north", file=sys.stderr, flush=True)
        os._exit(3)
    if n == 2 + said[0] % 2:
        xs = "".join(said[1:]).count("x")
        out = {"done": True, "quality": min(1, xs / 20), "success": xs > 9, "parts": {"xs": min(1, xs / 40)},
               "local": {role: min(1, said[1 + i].count("x") / 10) for i, role in enumerate(["asker", "teller"])}, "verdict": f"{xs} of 20"}
        del seen[e]
    else:
        words = f"Return the sum of the first {said[0] % 7}.\n# aux\n" if n == 0 else said[-1] + "\n# main\n"
        out = {"observe": {["asker", "teller"][n % 2]: words}}
    print(json.dumps(out), flush=True)
