"""zygote - runs small Python programs that nobody trusts; started by sandbox.c with -c.

Reads requests from standard input and answers on standard output, one JSON line each. Every program runs
in a fork of this warmed interpreter under a full lock: Landlock (no file but the standard library can be
opened), a seccomp allow-list, resource limits, no new privileges. Where the lock cannot be had, nothing
runs. A program's exit status says nothing: it returns the values of the calls that it was asked for, and
whoever knows the expected ones compares them elsewhere.

{"program": text, "calls": [[function, [arguments]], ...], "watch": name, "cpu_s": 0.5}
    -> {"syntax": true, "defined": true, "watched": 3, "results": [["value", ...], ["error", "text"], ...]}
{"program": text, "entry": name, "setup": text, "test": text, "watch": name, "cpu_s": 5}
    -> {"syntax": true, "watched": 0, "passed": true, "why": ""}
What killed a program is said instead of results: {"killed": "cpu" | "signal 11" | "output" | ...}. Only
"wall" is no verdict: the program could have run, and was not let. A program that sleeps is another case:
nothing outside wakes it, so one whose threads all sleep on "waits for nothing", however busy the machine is.
"""
import ast, bisect, builtins, cmath, collections, copy, ctypes, datetime, decimal, fractions, functools
import hashlib, heapq, io, itertools, json, math, operator, os, random, re, resource, select, signal
import statistics, string, struct, sys, time, types, typing

OUTPUT_MAX = 1 << 20
WALL_S = 30.0
LOOK_S = 0.2
ASLEEP_S = 1.5  # without waking once
LOOKS = 50  # or at nine in ten of so many looks
FD_MAX = 32
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "syscall %d: %s" % (number, os.strerror(ctypes.get_errno())))
    return result


def lock_files(*more):
    """Landlock: reading below the standard library and below more is all that is left (landlock(7),
    syscalls 444 to 446)."""
    everything = (1 << 13) - 1
    read = 1 << 2 | 1 << 3
    attribute = struct.pack("Q", everything)
    rules = call(444, attribute, ctypes.c_size_t(len(attribute)), ctypes.c_uint(0))
    for folder in {os.path.dirname(os.__file__), *more}:
        fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", read, fd)
        call(445, ctypes.c_int(rules), ctypes.c_int(1), rule, ctypes.c_uint(0))
        os.close(fd)
    if libc.prctl(38, 1, 0, 0, 0) != 0:  # PR_SET_NO_NEW_PRIVS
        raise OSError("no_new_privs cannot be set")
    call(446, ctypes.c_int(rules), ctypes.c_uint(0))
    os.close(rules)


class Program(ctypes.Structure):
    _fields_ = [("n", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def lock_calls():
    buffer = ctypes.create_string_buffer(FILTER, len(FILTER))
    program = Program(len(FILTER) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    if libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError("the seccomp filter cannot be set")


def limit(cpu_s, memory):
    seconds = int(cpu_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FD_MAX, FD_MAX))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, cpu_s)


def become_program(keep, cpu_s, memory):
    """In the child: nothing open but the pipes that it needs, then the lock."""
    os.closerange(0, min(keep))
    for fd in range(min(keep) + 1, FD_MAX):
        if fd not in keep:
            try:
                os.close(fd)
            except OSError:
                pass
    sys.stdin = sys.stdout = sys.stderr = io.StringIO()
    sys.setrecursionlimit(2000)
    random.seed(0)
    lock_files()
    limit(cpu_s, memory)
    lock_calls()


def plain(value, depth=0):
    """A value as JSON that keeps its type: what JSON has no word for becomes an object."""
    if depth > 50:
        raise ValueError("nested too deeply")
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is float and math.isfinite(value):
        return value
    if kind is int:
        return value if -(1 << 62) < value < 1 << 62 else {"int": str(value)}
    if kind is list:
        return [plain(v, depth + 1) for v in value]
    if kind is tuple:
        return {"tuple": [plain(v, depth + 1) for v in value]}
    if kind is dict:
        return {"dict": [[plain(k, depth + 1), plain(v, depth + 1)] for k, v in value.items()]}
    if kind in (set, frozenset):
        return {"set": sorted((plain(v, depth + 1) for v in value), key=repr)}
    return {kind.__name__: repr(value)[:200]}


def load(request):
    """The program's names after it ran once, and a count of calls to the watched one."""
    names = {"__name__": "program", "__builtins__": builtins}
    answer = {"syntax": False, "defined": False, "watched": 0}
    code = compile(request["program"], "program", "exec", dont_inherit=True)
    answer["syntax"] = True
    exec(code, names)
    watched = names.get(request.get("watch"))
    if callable(watched):
        answer["defined"] = True

        @functools.wraps(watched)
        def counting(*arguments, **named):
            answer["watched"] += 1
            return watched(*arguments, **named)
        names[request["watch"]] = counting
    return names, answer


def text_of(problem):
    return ("%s: %s" % (type(problem).__name__, problem))[:200]


def run_calls(request):
    answer = {"syntax": False, "defined": False, "watched": 0, "results": []}
    try:
        names, answer = load(request)
        answer["results"] = []
    except BaseException as problem:
        if not isinstance(problem, SyntaxError):
            answer["syntax"] = True
        answer["why"] = text_of(problem)
        return answer
    for function, arguments in request["calls"]:
        try:
            answer["results"].append(["value", plain(names[function](*arguments))])
        except BaseException as problem:
            answer["results"].append(["error", text_of(problem)])
    return answer


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def send(fd, value):
    data = json.dumps(value, separators=(",", ":")).encode()
    write_all(fd, data[:OUTPUT_MAX] + b"\n" if len(data) <= OUTPUT_MAX else b'{"killed":"output"}\n')


def serve_calls(request, calls, answers):
    """HumanEval: the checker asks, values cross as literals."""
    try:
        names, answer = load(request)
    except BaseException as problem:
        send(answers, ["broken", not isinstance(problem, SyntaxError), text_of(problem)])
        return
    send(answers, ["ready"])
    reader = os.fdopen(calls, "r")
    for line in reader:
        try:
            arguments, named = ast.literal_eval(json.loads(line))
            value = names[request["entry"]](*arguments, **named)
            text = repr(value)
            ast.literal_eval(text)
            send(answers, ["value", text, answer["watched"]])
        except BaseException as problem:
            send(answers, ["error", text_of(problem), answer["watched"]])


def check(request, calls, answers, verdict):
    """Runs the test, whose candidate is a stub; says "passed" or why not."""
    reader = os.fdopen(answers, "r")
    first = json.loads(reader.readline() or '["broken", true, "the program ended"]')
    if first[0] != "ready":
        send(verdict, {"syntax": first[1], "watched": 0, "passed": False, "why": first[2]})
        return
    said = {"syntax": True, "watched": 0, "passed": False, "why": ""}

    def candidate(*arguments, **named):
        send(calls, repr((arguments, named)))
        line = reader.readline(OUTPUT_MAX)
        if not line:
            raise RuntimeError("the program ended")
        kind, text, said["watched"] = json.loads(line)
        if kind != "value":
            raise RuntimeError(text)
        return ast.literal_eval(text)
    names = {"__name__": "checker"}
    try:
        exec(compile(request["setup"], "setup", "exec", dont_inherit=True), names)
        names[request["entry"]] = candidate
        exec(compile(request["test"], "test", "exec", dont_inherit=True), names)
        names["check"](candidate)
        said["passed"] = True
    except BaseException as problem:
        said["why"] = text_of(problem)
    send(verdict, said)


def start(keep, cpu_s, memory, work):
    zygote = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
            if os.getppid() != zygote:
                os._exit(1)
            become_program(keep, cpu_s, memory)
            work()
        except BaseException:
            pass
        os._exit(0)
    return pid


def asleep(pids):
    """How often each thread of these processes went to sleep so far; None while one runs or could."""
    counts = {}
    try:
        for pid in pids:
            for thread in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/status" % (pid, thread)) as file:
                    status = dict(line.split(":", 1) for line in file)
                if status["State"].split()[0] not in "SZ":
                    return None
                counts[thread] = status["voluntary_ctxt_switches"]
    except (FileNotFoundError, ProcessLookupError):  # it ends
        return None
    return counts


class Watch:
    """Looks now and then whether a program waits: a starved one is seen ready to run, time after time."""
    def __init__(self, pids):
        self.pids, self.looks, self.slept = pids, 0, 0
        self.counts, self.since = None, time.monotonic()

    def waits(self):
        now, counts = time.monotonic(), asleep(self.pids)
        self.looks += 1
        self.slept += counts is not None
        if counts is None or counts != self.counts:
            self.counts, self.since = counts, now
        mostly = self.slept > 0.9 * max(self.looks, LOOKS)
        return mostly or now - self.since > ASLEEP_S


def read_line(fd, pids):
    """What comes until a newline or the end, and None; or None, and why nothing will come."""
    deadline = time.monotonic() + WALL_S
    data, watch = b"", Watch(pids)
    while b"\n" not in data and len(data) <= OUTPUT_MAX + 1:
        if select.select([fd], [], [], LOOK_S)[0]:
            piece = os.read(fd, 1 << 16)
            if not piece:
                break
            data += piece
        elif watch.waits():
            return None, "waits for nothing"
        elif time.monotonic() > deadline:
            return None, "wall"
    return data, None


def checked(line):
    """A program can write anything where its answer is read; what is no answer is said to be none."""
    try:
        said = json.loads(line)
        if type(said) is dict and not said.keys() & {"killed", "failed"}:
            return said
    except (ValueError, RecursionError):
        pass
    return {"killed": "output"}


def ending(status):
    if not os.WIFSIGNALED(status):
        return "no answer"
    number = os.WTERMSIG(status)
    if number in (signal.SIGPROF, signal.SIGXCPU, signal.SIGKILL):
        return "cpu"
    return "signal %d" % number


def answer_one(request):
    cpu_s, memory = float(request["cpu_s"]), int(request.get("memory", 1 << 29))
    inside, outside = os.pipe()
    pids = []
    if "calls" in request:
        pids.append(start({outside}, cpu_s, memory, lambda: send(outside, run_calls(request))))
    else:
        asked, ask = os.pipe()
        told, tell = os.pipe()
        pids.append(start({asked, tell}, cpu_s, memory, lambda: serve_calls(request, asked, tell)))
        pids.append(start({ask, told, outside}, cpu_s, memory,
                          lambda: check(request, ask, told, outside)))
        for fd in (asked, ask, told, tell):
            os.close(fd)
    os.close(outside)
    data, why = read_line(inside, pids)
    os.close(inside)
    statuses = []
    for pid in reversed(pids):
        os.kill(pid, signal.SIGKILL)  # changes nothing of one that is ending already
        statuses.append(os.waitpid(pid, 0)[1])
    if why is None and b"\n" in data:
        return checked(data.split(b"\n", 1)[0])
    return {"killed": why or ending(statuses[0])}


def main():
    global FILTER
    fd = int(sys.argv[1])
    FILTER = b""
    while piece := os.read(fd, 65536):
        FILTER += piece
    os.close(fd)
    lock_files("/proc")
    os.listdir("/proc/%d/task" % os.getpid())
    write_all(1, b'{"ready":true}\n')
    for line in sys.stdin.buffer:
        write_all(1, json.dumps(answer_one(json.loads(line)), separators=(",", ":")).encode() + b"\n")


try:
    main()
except BaseException as problem:
    write_all(1, json.dumps({"failed": text_of(problem)}).encode() + b"\n")
