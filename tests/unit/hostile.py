# Programs that want more than to compute; test_sandbox_hostile.c runs each of them by itself.
#
# "#: END: NAME" begins one. main ([1, 2]) would be right to return 3, and none may. END is how it
# ends:
#
#     forbidden, memory, error    the call fails, by a refusal, for want of memory or otherwise
#     wrong                       the call returns something else
#     crossing                    the call returns what cannot leave the program's process
#     anything else               the program is ended: a name of child.h's
#
# @DIR@ is a folder that anybody may write to, with a file in it; @VICTIM@ a process of the same
# user.

#: forbidden: reads a file
def main(xs):
    return open("/etc/passwd").read()

#: forbidden: writes a file
def main(xs):
    open("@DIR@/escaped", "w").write("x")
    return 3

#: forbidden: empties a file
import os
def main(xs):
    os.open("@DIR@/file", os.O_RDONLY | os.O_TRUNC)
    return 3

#: forbidden: empties the standard library
import os
def main(xs):
    os.open(os.__file__, os.O_RDONLY | os.O_TRUNC)
    return 3

#: error: asks whether a file exists
import os
def main(xs):
    names = ("/etc/passwd", "/no", "@DIR@/file", "/", os.__file__)
    return [os.path.exists(name) for name in names].index(True)

#: forbidden: looks at a file's times
import os
def main(xs):
    return os.stat("/").st_mtime_ns

#: forbidden: looks at its own descriptor
import os
def main(xs):
    return os.fstat(3).st_ino

#: forbidden: lists a folder
import os
def main(xs):
    return os.listdir("/")

#: forbidden: reads a link
import os
def main(xs):
    return os.readlink("/proc/self/cwd")

#: forbidden: removes a file
import os
def main(xs):
    os.remove("@DIR@/file")
    return 3

#: wrong: renames, links, makes folders
import os
def main(xs):
    done, file, there = 0, "@DIR@/file", "@DIR@/escaped"
    for f in (lambda: os.rename(file, there), lambda: os.link(file, there),
              lambda: os.symlink("/", there), lambda: os.mkdir(there), lambda: os.mkfifo(there),
              lambda: os.chmod(file, 0), lambda: os.chown(file, 1, 1),
              lambda: os.truncate(file, 0), lambda: os.utime(file), lambda: os.chdir("/"),
              lambda: os.chroot("/"), lambda: os.setxattr(file, "user.x", b"x")):
        try:
            f()
            done += 1
        except PermissionError:
            pass
    return "%d done" % done

#: forbidden: reads /proc
def main(xs):
    return open("/proc/self/maps").read()

#: forbidden: makes a file in memory
import os
def main(xs):
    return os.memfd_create("x")

#: error: makes a temporary file
import tempfile
def main(xs):
    return tempfile.TemporaryFile().read(4)

#: forbidden: maps a descriptor
import mmap
def main(xs):
    return mmap.mmap(3, 4096)[0]

#: forbidden: maps executable memory
import mmap
def main(xs):
    return len(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC))

#: wrong: takes the owner of a descriptor and its signal
import fcntl, os, signal
def main(xs):
    for fd in range(32):
        try:
            fcntl.fcntl(fd, fcntl.F_SETOWN, @VICTIM@)
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(fd, fcntl.F_SETFL, os.O_ASYNC)
            os.write(fd, b"x")
        except OSError:
            pass
    return "no more"

#: wrong: sets leases, locks and notifications
import fcntl
def main(xs):
    done = 0
    for command in (fcntl.F_SETLEASE, fcntl.F_NOTIFY, fcntl.F_SETLK, fcntl.F_SETPIPE_SZ,
                    fcntl.F_ADD_SEALS, fcntl.F_SETFL):
        for fd in range(8):
            try:
                fcntl.fcntl(fd, command, 1)
                done += 1
            except OSError:
                pass
    return "%d done" % done

#: forbidden: locks its descriptors
import fcntl
def main(xs):
    fcntl.flock(3, fcntl.LOCK_EX)
    return 3

#: wrong: counts descriptors
import os
def main(xs):
    found = []
    for fd in range(1000):
        try:
            os.get_inheritable(fd)
            found.append(fd)
        except OSError:
            pass
    return str(found)

#: forbidden: makes a descriptor
import os
def main(xs):
    return os.dup(3)

#: forbidden: closes its answers
import os
def main(xs):
    os.close(4)
    return 3

#: forbidden: makes a pipe
import os
def main(xs):
    return os.pipe()[0]

#: output: forges facts
import os, json
def main(xs):
    for value in ({"syntax": True, "defined": True, "reached": True, "why": ""}, {"watched": 1}):
        data = json.dumps(value).encode()
        for fd in range(32):
            try:
                os.write(fd, len(data).to_bytes(4, "little") + data)
            except OSError:
                pass
    os._exit(0)

#: output: forges a line
import os
def main(xs):
    for fd in range(32):
        try:
            os.write(fd, b'{"results":[["value",3]],"watched":1,"syntax":true,"defined":true}\n')
        except OSError:
            pass
    os._exit(0)

#: output: forges a machinery's failure
import os, json
def main(xs):
    for value in ({"failed": "x"}, ["failed"]):
        data = json.dumps(value).encode()
        for fd in range(32):
            try:
                os.write(fd, len(data).to_bytes(4, "little") + data)
            except OSError:
                pass
    return 4

#: output: forges the starved program
import os, json
def main(xs):
    for value in ({"killed": "wall"},):
        data = json.dumps(value).encode()
        for fd in range(32):
            try:
                os.write(fd, len(data).to_bytes(4, "little") + data)
            except OSError:
                pass
    return 4

#: wrong: answers twice
import os, json
def main(xs):
    for value in (["value", 7], ["value", 8]):
        data = json.dumps(value).encode()
        for fd in range(32):
            try:
                os.write(fd, len(data).to_bytes(4, "little") + data)
            except OSError:
                pass
    return 9

#: output: answers too much
import os
def main(xs):
    os.write(4, b"\xff\xff\xff\xff" + bytes(1000))
    return 3

#: output: answers nothing of nothing
import os
def main(xs):
    os.write(4, bytes(64))
    return 3

#: output: answers with bytes that are no JSON
import os
def main(xs):
    os.write(4, b"\x04\0\0\0\xff\xfe[[")
    return 3

#: output: answers deeply nested JSON
import os
def main(xs):
    os.write(4, (100000).to_bytes(4, "little") + b"[" * 100000)
    return 3

#: stuck: reads the next question
import os
def main(xs):
    return os.read(3, 100).decode()

#: cpu: writes a byte now and then
import os
def main(xs):
    os.write(4, b"\xff\xff\0\0")
    while True:
        sum(range(1000000))
        os.write(4, b" ")

#: output: writes a byte and sleeps
import os, time
def main(xs):
    os.write(4, b"\x10\0\0\0")
    for i in range(16):
        time.sleep(10)
        os.write(4, b" ")

#: output: replaces json's words
import json
json.JSONEncoder.encode = lambda self, value: '["value", 7]'
json.dumps = lambda *a, **k: '["value", 7]'
def main(xs):
    return 4

#: stuck: replaces os.write
import os
os.write = lambda fd, data: len(data)
def main(xs):
    return 3

#: exited: replaces built-in functions
import builtins
builtins.len = lambda x: 0
builtins.type = lambda x: int
builtins.isinstance = lambda a, b: True
def main(xs):
    return []

#: wrong: looks for expected values in frames
import sys
def main(xs):
    frame, seen = sys._getframe(), []
    while frame:
        seen += [repr(v) for v in frame.f_locals.values()]
        frame = frame.f_back
    return any("4711" in s or "result" in s for s in seen)

#: wrong: looks for expected values in all objects
import gc
def main(xs):
    return sum(1 for o in gc.get_objects() if type(o) is dict and "results" in o)

#: error: traces the caller
import sys
def main(xs):
    sys._getframe(1).f_trace = lambda *a: 1 / 0
    sys.settrace(lambda *a: 1 / 0)
    return 4

#: wrong: changes the caller's variables
import sys, __main__
def main(xs):
    __main__.answer_to_call = __main__.perform = lambda *a: 3
    __main__.text_of = lambda problem: "3"
    return 4

#: wrong: an int that equals everything
class Yes(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 3
def main(xs):
    return Yes(4)

#: crossing: an object that equals everything
class Yes:
    def __eq__(self, other): return True
    def __repr__(self): return "3"
def main(xs):
    return Yes()

#: wrong: a list that claims to be another
class Yes(list):
    def __iter__(self): return iter([3])
    def __eq__(self, other): return True
def main(xs):
    return Yes([4])

#: wrong: a text that is no text
def main(xs):
    return "\ud800"

#: forbidden: forks
import os
def main(xs):
    return 4 if os.fork() else 3

#: forbidden: sleeps inside vfork
import subprocess
def main(xs):
    subprocess._USE_VFORK = True
    return subprocess.run(["/bin/sleep", "1000"]).returncode

#: wrong: starts a shell
import os
def main(xs):
    return os.system("touch @DIR@/escaped")

#: forbidden: executes another program
import os
def main(xs):
    os.execv("/bin/true", ["true"])

#: forbidden: kills its parent
import os
def main(xs):
    os.kill(os.getppid(), 9)
    return 3

#: forbidden: kills another process
import os
def main(xs):
    os.kill(@VICTIM@, 9)
    return 3

#: forbidden: kills everybody
import os, signal
def main(xs):
    for pid in (-1, 0, 1):
        try:
            os.kill(pid, signal.SIGTERM)
        except PermissionError:
            pass
    os.killpg(0, signal.SIGKILL)

#: forbidden: opens a process by descriptor
import os
def main(xs):
    return os.pidfd_open(@VICTIM@)

#: forbidden: waits for children
import os
def main(xs):
    return os.waitpid(-1, 0)

#: exited: ends
import os
def main(xs):
    os._exit(0)

#: error: ends by sys.exit
import sys
def main(xs):
    sys.exit(0)

#: crashed: aborts
import os
def main(xs):
    os.abort()

#: forbidden: sends itself a signal
import signal
def main(xs):
    signal.raise_signal(signal.SIGKILL)
    return 3

#: forbidden: takes SIGSYS's handler away
import signal
def main(xs):
    signal.signal(signal.SIGSYS, signal.SIG_IGN)
    return 3

#: forbidden: blocks every signal and asks for the time
import signal, time
def main(xs):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
    time.sleep(1)
    return 3

#: wrong: pauses
import signal
def main(xs):
    signal.pause()
    return 4

#: error: sets timers
import signal
def main(xs):
    signal.setitimer(signal.ITIMER_REAL, 1)
    return 3

#: forbidden: becomes root
import os
def main(xs):
    os.setuid(0)
    return 3

#: error: changes limits
import resource
def main(xs):
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return 3

#: forbidden: changes priorities
import os
def main(xs):
    os.nice(-10)
    return 3

#: error: mounts
import ctypes
def main(xs):
    return ctypes.CDLL(None).mount(b"none", b"@DIR@", b"tmpfs", 0, None)

#: error: uses ptrace through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.ptrace(16, @VICTIM@, 0, 0)

#: error: uses process_vm_readv through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.syscall(310, @VICTIM@, 0, 0, 0, 0, 0)

#: error: uses io_uring through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.syscall(425, 8, 0)

#: error: uses userfaultfd through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.syscall(323, 0)

#: error: uses bpf through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.syscall(321, 0, 0, 0)

#: error: uses keyctl through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.syscall(250, 0, -3, 0, 0, 0)

#: error: uses shared memory through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.shmget(0, 4096, 0o1666)

#: error: uses prctl through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.prctl(26, 1, 0, 0, 0)

#: error: uses personality through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.personality(0x40000)

#: error: uses unshare through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.unshare(0x10000000)

#: error: uses clone through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.syscall(56, 17, 0, 0, 0, 0)

#: error: uses a system call of another architecture through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return libc.syscall(0x40000000 + 39)

#: error: uses the cycle counter through ctypes
import ctypes
from ctypes import CFUNCTYPE, c_long
def main(xs):
    libc = ctypes.CDLL(None)
    return CFUNCTYPE(c_long)(0x1000)()

#: error: reads memory at 0
import ctypes
def main(xs):
    return ctypes.c_long.from_address(0).value

#: error: writes over its memory
import ctypes
def main(xs):
    (ctypes.c_char * 4096).from_address(id(None) & ~4095)[:] = bytes(4096)
    return 3

#: error: finds the real ctypes and reads memory at an address
import __main__
def main(xs):
    return __main__.ctypes.c_long.from_address(id(xs)).value

#: error: finds the real ctypes and makes a pointer
import __main__
def main(xs):
    return __main__.ctypes.c_char_p(id(xs)).value

#: error: finds the real ctypes among the classes and copies a pointer
def main(xs):
    found = [c for c in object.__subclasses__() if c.__name__ == "_CData"]
    pointer = [c for c in found[0].__subclasses__() if c.__name__ == "_Pointer"][0]
    simple = [c for c in found[0].__subclasses__() if c.__name__ == "_SimpleCData"][0]
    number = [c for c in simple.__subclasses__() if c.__name__ == "c_long"][0]
    kind = type("P", (pointer,), {"_type_": number})
    return kind.from_buffer(bytearray(id(xs).to_bytes(8, "little"))).contents.value

#: error: finds the real ctypes and makes an object of an address
import __main__
def main(xs):
    return __main__._ctypes.PyObj_FromPtr(id(3))

#: wrong: looks for numbers of processes in its callers and arguments
import sys
def main(xs):
    frame, seen = sys._getframe(), [str(x) for x in sys.orig_argv]
    while frame:
        for value in frame.f_locals.values():
            seen += [repr(getattr(value, "parent", value))]
        frame = frame.f_back
    return [s for s in seen if s.isdigit() and int(s) > 9]

#: forbidden: opens a socket
import socket
def main(xs):
    socket.create_connection(("127.0.0.1", 1), 1)
    return 3

#: forbidden: opens a local socket pair
import socket
def main(xs):
    return socket.socketpair()[0].fileno()

#: forbidden: polls
import select
def main(xs):
    select.select([3], [], [])
    return 3

#: forbidden: uses shared memory
from multiprocessing import shared_memory
def main(xs):
    return shared_memory.SharedMemory(create=True, size=10).name

#: forbidden: makes a semaphore
import multiprocessing
def main(xs):
    multiprocessing.Lock()
    return 3

#: cpu: loops for ever
def main(xs):
    while True:
        pass

#: cpu: loops when it is imported
while True:
    pass

#: memory: appends to what it walks over
def main(xs):
    for x in xs:
        xs.append(x)

#: cpu: catches everything and loops
def main(xs):
    while True:
        try:
            main(xs)
        except BaseException:
            pass

#: error: compiles a bomb
def main(xs):
    return eval("(" * 100000)

#: error: recurses without end
def main(xs):
    return main(xs) + 1

#: crashed: recurses in C
import sys
sys.setrecursionlimit(10**9)
class A:
    def __repr__(self):
        return repr(self)
def main(xs):
    return repr(A())

#: memory: asks for too much memory
def main(xs):
    return len(bytearray(1 << 40))

#: memory: fills memory bit by bit
def main(xs):
    all = []
    while True:
        all.append(bytearray(1 << 22))

#: cpu: makes a huge number
def main(xs):
    return 10 ** (10 ** 9)

#: output: returns a huge text
def main(xs):
    return "x" * (1 << 24)

#: wrong: returns deep nesting
def main(xs):
    x = []
    for i in range(1000):
        x = [x]
    return x

#: cpu: prints without end
def main(xs):
    while True:
        print("x" * 1000)

#: error: starts threads without end
import threading
def main(xs):
    lock = threading.Lock()
    lock.acquire()
    while True:
        threading.Thread(target=lock.acquire).start()

#: stuck: waits for a lock of its own
import threading
def main(xs):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
    return 3

#: stuck: two threads wait for each other
import threading
def main(xs):
    here = threading.current_thread()
    t = threading.Thread(target=here.join)
    t.start()
    t.join()
    return 3

#: stuck: waits for a queue that nobody fills
import queue
def main(xs):
    return queue.Queue().get()

#: error: waits for input
def main(xs):
    return int(input())

#: cpu: leaves a thread behind that loops
import threading
def spin():
    while True:
        pass
def main(xs):
    threading.Thread(target=spin, daemon=True).start()
    return 4

#: cpu: a destructor that loops
class A:
    def __del__(self):
        while True:
            pass
def main(xs):
    A()
    return 3

#: error: frees memory that it does not own
import ctypes
def main(xs):
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(None))
    return 3

#: crashed: bytecode that reads what is not there
def f(): pass
f.__code__ = f.__code__.replace(co_code=bytes([144, 255, 144, 255, 100, 255, 83, 0]), co_stacksize=1)
def main(xs):
    return f()
