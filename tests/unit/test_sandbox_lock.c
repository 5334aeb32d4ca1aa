/* with: services/reward/ */
/*  The lock by itself, call by call; and that two runs of a program cannot be told apart from
 *  inside. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../services/reward/filter.h"
#include "../../services/reward/sandbox.h"
#include "sandbox_wall.h"

#define CALLS 700 /* more than Linux has */

typedef struct {
    const char *name;
    long number;
    long a[6];
} call_t;

typedef enum { ALLOWED, TRAPPED, REFUSED, ENDED } what_t;

static volatile sig_atomic_t trapped;

static void on_trap (int number)
{
    (void) number;
    trapped = 1;
}

/*  What becomes of a call under the filter. In a process of its own, since some calls end it. */
static what_t try_call (const struct sock_fprog *program, const call_t *call)
{
    int status;
    pid_t pid = fork ();
    assert_true (pid >= 0);
    if (pid == 0) {
        signal (SIGSYS, on_trap);
        if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) != 0)
            _exit (99);
        long rc = syscall (call->number, call->a[0], call->a[1], call->a[2], call->a[3], call->a[4],
                           call->a[5]);
        int refused = rc < 0 && (errno == EPERM || (errno == ENOSYS && call->number == SYS_clone3));
        syscall (SYS_exit_group, trapped ? TRAPPED : refused ? REFUSED : ALLOWED);
    }
    assert_int_equal (waitpid (pid, &status, 0), pid);
    if (!WIFEXITED (status))
        return ENDED;
    assert_int_not_equal (WEXITSTATUS (status), 99);
    return (what_t) WEXITSTATUS (status);
}

static struct sock_filter code[8192];

static struct sock_fprog read_filter (void)
{
    err_t err = {0};
    int fd = filter_new (&err);
    if (fd < 0)
        fail_msg ("%s", err.text);
    ssize_t n = read (fd, code, sizeof code);
    close (fd);
    assert_true (n > 0);
    return (struct sock_fprog){.len = (unsigned short) ((size_t) n / sizeof *code), .filter = code};
}

/*  Only these get to the kernel, with arguments of nothing but 0; exit and the return of a signal
 *  cannot be tried. What the world answers is trapped. */
static bool may_pass (long number)
{
    static const long list[] = {SYS_read,
                                SYS_write,
                                SYS_close,
                                SYS_munmap,
                                SYS_mremap,
                                SYS_brk,
                                SYS_rt_sigreturn,
                                SYS_rt_sigprocmask,
                                SYS_sigaltstack,
                                SYS_exit,
                                SYS_exit_group,
                                SYS_sched_yield,
                                SYS_set_robust_list,
                                SYS_restart_syscall,
                                SYS_mprotect,
                                SYS_rt_sigaction,
                                SYS_prlimit64,
                                SYS_futex};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i] == number)
            return true;
    return false;
}

static void __attribute__ ((unused)) every_other_call_is_refused (void **state)
{
    (void) state;
    const struct sock_fprog program = read_filter ();
    size_t passed = 0, answered = 0;
    for (long number = 0; number < CALLS; number++) {
        if (may_pass (number))
            continue;
#if defined(__x86_64__)
        /* uretprobe and uprobe, which the kernel makes for itself: no filter is asked, whoever
         * else makes them is ended. */
        if (number == 335 || number == 336)
            continue;
#endif
        what_t what = try_call (&program, &(call_t){.number = number});
        if (what == ALLOWED || what == ENDED)
            fail_msg ("call %ld is %s", number, what == ALLOWED ? "allowed" : "not answered");
        passed++;
        answered += what == TRAPPED;
    }
    assert_true (passed > 600);
    assert_true (answered >= 17); /* clocks, ids, names, random bytes */
}

static void __attribute__ ((unused)) calls_are_looked_at (void **state)
{
    (void) state;
    const struct sock_fprog program = read_filter ();
    static int word;
    static const struct timespec soon = {0, 1};
    const long anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    const struct {
        call_t call;
        what_t what;
    } list[] = {
        {{"memory", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, anonymous, -1, 0}}, ALLOWED},
        {{"code", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, anonymous, -1, 0}}, REFUSED},
        {{"a file", SYS_mmap, {0, 4096, PROT_READ, MAP_PRIVATE, 0, 0}}, REFUSED},
        {{"huge pages", SYS_mmap, {0, 1 << 21, PROT_READ, anonymous | MAP_HUGETLB, -1, 0}},
         REFUSED},
        {{"to code", SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}}, REFUSED},
        {{"free", SYS_madvise, {0, 0, MADV_DONTNEED}}, ALLOWED},
        {{"poison", SYS_madvise, {0, 0, MADV_HWPOISON}}, REFUSED},
        {{"flag", SYS_fcntl, {0, F_GETFD}}, ALLOWED},
        {{"a double", SYS_fcntl, {0, F_DUPFD_CLOEXEC}}, REFUSED},
        {{"owner", SYS_fcntl, {0, F_SETOWN, 1}}, REFUSED},
        {{"signal", SYS_fcntl, {0, F_SETSIG, SIGKILL}}, REFUSED},
        {{"flags", SYS_fcntl, {0, F_SETFL, O_ASYNC}}, REFUSED},
        {{"lease", SYS_fcntl, {0, F_SETLEASE, F_RDLCK}}, REFUSED},
        {{"lock", SYS_fcntl, {0, F_OFD_SETLK}}, REFUSED},
        {{"notification", SYS_fcntl, {0, F_NOTIFY, DN_MODIFY}}, REFUSED},
        {{"the answers' end", SYS_close, {4}}, REFUSED},
        {{"fork", SYS_clone, {SIGCHLD}}, REFUSED},
        {{"vfork", SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}}, REFUSED},
        {{"a thread in vfork",
          SYS_clone,
          {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
           CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_VFORK}},
         REFUSED},
        {{"clone3", SYS_clone3, {0, 0}}, REFUSED},
        {{"SIGSYS", SYS_rt_sigaction, {SIGSYS, 0, 0, 8}}, REFUSED},
        {{"SIGINT", SYS_rt_sigaction, {SIGINT, 0, 0, 8}}, ALLOWED},
        {{"wake", SYS_futex, {(long) &word, FUTEX_WAKE_PRIVATE, 1}}, ALLOWED},
        {{"wait", SYS_futex, {(long) &word, FUTEX_WAIT_PRIVATE, 1, 0}}, ALLOWED},
        {{"wait a while", SYS_futex, {(long) &word, FUTEX_WAIT_PRIVATE, 0, (long) &soon}}, TRAPPED},
        {{"priorities", SYS_futex, {(long) &word, FUTEX_LOCK_PI, 0, 0}}, REFUSED},
        {{"own limits", SYS_prlimit64, {0, 3, 0, 0}}, ALLOWED},
        {{"set limits", SYS_prlimit64, {0, 3, (long) &word, 0}}, REFUSED},
        {{"others' limits", SYS_prlimit64, {1, 3, 0, 0}}, REFUSED},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        what_t what = try_call (&program, &list[i].call);
        if (what != list[i].what)
            fail_msg ("%s: %d, not %d", list[i].call.name, (int) what, (int) list[i].what);
    }
#if defined(__x86_64__)
    /* Another architecture's calls end the process. */
    assert_int_equal (try_call (&program, &(call_t){.number = 0x40000000 + SYS_getpid}), ENDED);
#endif
}

/*  ---- the same in every run ------------------------------------------------------------------ */

static json_t *run (sandbox_t *sandbox, const char *program)
{
    err_t err = {0};
    json_t *request = json_pack ("{s:s, s:[[s, []], [s, []]], s:s}", "program", program, "calls",
                                 "main", "main", "watch", "");
    json_t *answer = sandbox_run (sandbox, request, &err);
    if (!answer)
        fail_msg ("%s", err.text);
    json_decref (request);
    return answer;
}

/*  Each returns something that differs from run to run where nobody takes care; all are honest
 *  calls, and must work. */
static const char *const curious[] = {
    "import time\ndef main():\n    return [time.time(), time.monotonic(), time.perf_counter(),\n"
    "        time.process_time(), time.thread_time(), time.time_ns(), time.ctime()]",
    "import datetime\ndef main():\n    return [str(datetime.datetime.now()), "
    "str(datetime.date.today())]",
    "import time\ndef main():\n    t = time.time()\n    time.sleep(1.5)\n"
    "    return [time.time() - t > 1.5, time.localtime()[:6]]",
    "import os\ndef main():\n    return [os.getpid(), os.getppid(), os.getuid(), os.getgid()]",
    "import threading\ndef main():\n    return [threading.get_ident(), threading.get_native_id(),\n"
    "        threading.main_thread().native_id]",
    /* Two threads that would take turns by the clock, as often as it can be asked for. */
    "import sys, threading\nsys.setswitchinterval(1e-6)\ndef main():\n    seen = []\n"
    "    def add(x):\n        for i in range(100000):\n            seen.append(x)\n"
    "    other = threading.Thread(target=add, args=(1,))\n    other.start()\n    add(2)\n"
    "    other.join()\n    return [i for i in range(1, 200000) if seen[i] != seen[i - 1]]",
    "import os\ndef main():\n    return list(os.urandom(8)) + list(os.uname()) + [os.getcwd()]",
    "import random\ndef main():\n    return [random.random(), random.Random().random(),\n"
    "        random.SystemRandom().random()]",
    "import secrets, uuid\ndef main():\n    return [secrets.token_hex(), str(uuid.uuid4()),\n"
    "        str(uuid.uuid1())]",
    "import ssl\ndef main():\n    return list(ssl.RAND_bytes(8))",
    "def main():\n    return [id(main), id(None), id([]), id(object()), hash(object()), hash('x')]",
    "def main():\n    return list({object(): i for i in range(99)}.values()) + [repr(object())]",
    "def main():\n    return [sorted(range(99), key=lambda i: id([i]))[:9], list({'a', 'b', 'c'})]",
    "import sys\ndef main():\n    return [sys.getrefcount(x) for x in (None, 0, 1, '', (), int, "
    "sys)]",
    "import gc, sys\ndef main():\n    return [len(gc.get_objects()), gc.get_count(), "
    "sys.getallocatedblocks()]",
    "import os\ndef main():\n    return [os.cpu_count(), list(os.sched_getaffinity(0)), "
    "list(os.times())]",
    "import resource\ndef main():\n    return list(resource.getrusage(resource.RUSAGE_SELF))",
    "import sys, os\ndef main():\n    return [sys.argv, sys.path, dict(os.environ)]",
    "import tempfile\ndef main():\n    return next(tempfile._get_candidate_names())",
    "import platform\ndef main():\n    return [platform.node(), platform.system(), "
    "platform.release()]",
    "import ctypes\ndef main():\n    return [ctypes.c_int32(2 ** 31 + 5).value, "
    "ctypes.c_uint8(-1).value,\n        ctypes.c_float(0.1).value, ctypes.sizeof(ctypes.c_long)]",
    "import sys\ndef main():\n    return sys.orig_argv",
    "import sqlite3\ndef main():\n    c = sqlite3.connect(':memory:')\n"
    "    return c.execute('select random(), datetime()').fetchall()",
};

static void two_runs_are_the_same (void **state)
{
    (void) state;
    err_t err = {0};
    sandbox_t *sandboxes[2];
    if (sandbox_wall () == WALL_RUNSC)
        skip (); /* gVisor lays memory out by chance */
    for (size_t i = 0; i < 2; i++)
        if (!(sandboxes[i] = sandbox_new ("", sandbox_wall (), &err)))
            fail_msg ("%s", err.text);
    for (size_t i = 0; i < sizeof curious / sizeof *curious; i++) {
        json_t *first = run (sandboxes[0], curious[i]);
        char *text = json_dumps (first, JSON_COMPACT);
        const json_t *result = json_array_get (json_object_get (first, "results"), 0);
        const char *kind = json_string_value (json_array_get (result, 0));
        if (!kind || strcmp (kind, "value") != 0)
            fail_msg ("%s: %s", curious[i], text);
        for (size_t k = 0; k < 4; k++) {
            json_t *again = run (sandboxes[k / 2], curious[i]);
            char *more = json_dumps (again, JSON_COMPACT);
            if (!json_equal (first, again))
                fail_msg ("%s: %s, and then %s", curious[i], text, more);
            free (more);
            json_decref (again);
        }
        free (text);
        json_decref (first);
    }
    for (size_t i = 0; i < 2; i++)
        sandbox_destroy (&sandboxes[i]);
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN); /* as every service does (lib/svc) */
    const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_THREAD__ /* which puts signals off, and makes calls of its own */
        cmocka_unit_test (every_other_call_is_refused),
        cmocka_unit_test (calls_are_looked_at),
#endif
        cmocka_unit_test (two_runs_are_the_same),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
