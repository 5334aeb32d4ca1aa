/*  lock - see inside.h. What is done once for the zygote and all its forks, and what each fork
 *  does before it reads anything.
 *
 *  The layers do not rely on each other. seccomp (filter.c) leaves no call that opens, sends or
 *  starts anything; Landlock takes every right to files, ports, signals and sockets should one be
 *  found that does; the user id owns nothing; the limits stop what only uses up, and leave no
 *  descriptor that anything could be opened with. A layer that cannot be had ends the zygote with
 *  its name: nothing ever runs under half a lock. In gVisor, and only if the service was told so
 *  (wall.h), Landlock is done without, and what else gVisor's kernel has not.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inside.h"

typedef struct {
    uint64_t files, ports, scopes;
} lock_rights_t;

static struct sock_filter lock_calls[PROTOCOL_FILTER_MAX / sizeof (struct sock_filter)];
static size_t lock_calls_n;
static uint64_t lock_used;   /* bytes of address space before a program begins */
static uint64_t lock_parent; /* the service's process */
static bool lock_gvisor;     /* this is gVisor's kernel */
static lock_rights_t lock_rights;
static size_t lock_rights_size; /* of the structure as the running kernel knows it */

/*  What the zygote tells the service in place of "ready"; errno says why the system refused. */
static int lock_refuse (char *why, size_t size, const char *what)
{
    snprintf (why, size, "%s: %s", what, strerror (errno));
    return -1;
}

/*  ---- what the zygote does once -------------------------------------------------------------- */

/*  A filter of no calls, or one that does not fit, must not pass for one that was read. */
static int lock_read_filter (void)
{
    char *to = (char *) lock_calls;
    size_t n = 0;
    ssize_t got = 0;
    while (n < sizeof lock_calls &&
           (got = read (PROTOCOL_FILTER, to + n, sizeof lock_calls - n)) > 0)
        n += (size_t) got;
    lock_calls_n = n / sizeof *lock_calls;
    /* What the interpreter keeps open it needs no more. */
    close_range (PROTOCOL_FILTER, INT_MAX, 0);
    errno = EINVAL;
    return got == 0 && lock_calls_n > 0 ? 0 : -1;
}

/*  Another user, no groups, no capabilities. What the service may read or signal is not theirs. */
static int lock_identity (void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    const uid_t id = PROTOCOL_NOBODY;
    uid_t r, e, s;
    if (geteuid () == 0 &&
        (setgroups (0, NULL) != 0 || setresgid (id, id, id) != 0 || setresuid (id, id, id) != 0))
        return -1;
    if (syscall (SYS_capset, &head, none) != 0)
        return -1;
    errno = EPERM;
    return getresuid (&r, &e, &s) == 0 && r && e && s ? 0 : -1;
}

/*  The hard limit as well, so that nobody can raise it again. */
static int lock_limit (int resource, uint64_t value)
{
    struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
    return setrlimit ((__rlimit_resource_t) resource, &limit);
}

/*  Mostly of what seccomp forbids anyway: should a way around it be found, these stop what it could
 *  use up. */
static int lock_limits (void)
{
    return lock_limit (RLIMIT_CORE, 0) == 0 && lock_limit (RLIMIT_FSIZE, 0) == 0 &&
                   lock_limit (RLIMIT_MEMLOCK, 0) == 0 &&
                   (lock_limit (RLIMIT_MSGQUEUE, 0) == 0 || lock_gvisor) &&
                   lock_limit (RLIMIT_NOFILE, PROTOCOL_FDS) == 0 &&
                   lock_limit (RLIMIT_STACK, PROTOCOL_STACK) == 0
               ? 0
               : -1;
}

static int lock_ruleset (const lock_rights_t *rights, size_t size)
{
    return (int) syscall (PROTOCOL_LANDLOCK_CREATE, rights, size, 0u);
}

/*  Whether the kernel knows this bit of this set of rights (0: files, 1: ports, 2: scopes). */
static bool lock_knows (size_t set, int bit, size_t size)
{
    uint64_t one[3] = {0};
    one[set] = 1ull << bit;
    lock_rights_t rights = {.files = one[0], .ports = one[1], .scopes = one[2]};
    int fd = lock_ruleset (&rights, size);
    if (fd >= 0)
        close (fd);
    return fd >= 0;
}

/*  Every right that the running kernel knows, also those that nobody had thought of when this was
 *  written: a kernel refuses what it does not know, so each bit is tried. Its structure grew from
 *  one set to three. */
static int lock_find_rights (void)
{
    if (lock_gvisor)
        return 0;
    if (syscall (PROTOCOL_LANDLOCK_CREATE, NULL, 0, PROTOCOL_LANDLOCK_ABI) < 1)
        return -1;
    lock_rights_size = sizeof (lock_rights_t);
    while (lock_rights_size && !lock_knows (0, 0, lock_rights_size))
        lock_rights_size -= sizeof (uint64_t);
    uint64_t all[3] = {0};
    for (size_t set = 0; set < lock_rights_size / sizeof *all; set++)
        for (int bit = 0; bit < 64; bit++)
            all[set] |= (uint64_t) lock_knows (set, bit, lock_rights_size) << bit;
    lock_rights = (lock_rights_t){.files = all[0], .ports = all[1], .scopes = all[2]};
    return lock_rights.files ? 0 : -1;
}

/*  Landlock with no exception at all. */
static int lock_landlock (void)
{
    if (lock_gvisor)
        return 0;
    int fd = lock_ruleset (&lock_rights, lock_rights_size);
    if (fd < 0)
        return -1;
    int rc = (int) syscall (PROTOCOL_LANDLOCK_RESTRICT, fd, 0u);
    close (fd);
    return rc;
}

static int lock_process (void)
{
    if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl (PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return -1;
    /* The cycle counter is a clock; arm64 learnt to hide it late and gVisor never did, so there it
     * may fail: to read it takes an instruction of a program's own, which it cannot have. */
    if (prctl (PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) != 0 && !lock_gvisor) {
#if defined(__x86_64__)
        return -1;
#endif
    }
    /* Changing the user took the wish to die with the parent away. */
    if (prctl (PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return -1;
    errno = ESRCH;
    return (uint64_t) getppid () == lock_parent ? 0 : -1;
}

/*  ctypes calls nothing: a machine instruction may be a clock, a random source or the number of
 *  the CPU, and no lock of the kernel's stops it. Nor does it read memory that is no object of
 *  Python's: there are process ids and other numbers in it that differ from one start to the next.
 *  A function that returns NULL here becomes a SystemError in Python. */
static int lock_foreign_calls (const inside_plan_t *plan)
{
    for (size_t i = 0; i < 2; i++)
        if (plan->no_calls[i] && world_patch (plan->no_calls[i], NULL, 2 /* FFI_BAD_ABI */) != 0)
            return -1;
    for (size_t i = 0; i < sizeof plan->no_memory / sizeof *plan->no_memory; i++)
        if (plan->no_memory[i] && world_patch (plan->no_memory[i], NULL, 0) != 0)
            return -1;
    return 0;
}

/*  The plan is an object of Python's, which a program may find: no number of this start stays in
 *  it. */
static int lock_zygote (inside_plan_t *plan, char *why, size_t size)
{
    lock_used = plan->used;
    lock_parent = plan->parent;
    lock_gvisor = plan->gvisor != 0;
    plan->used = plan->parent = plan->gvisor = 0;
    if (lock_read_filter () != 0)
        return lock_refuse (why, size, "no seccomp filter came");
    if (lock_find_rights () != 0)
        return lock_refuse (why, size,
                            "Landlock (Linux 5.13 or newer) is not there; in gVisor start "
                            "quintet-reward with --sandbox runsc");
    if (world_begin (why, size) != 0)
        return -1;
    if (lock_foreign_calls (plan) != 0)
        return lock_refuse (why, size, "foreign calls cannot be switched off");
    if (lock_identity () != 0)
        return lock_refuse (why, size, "the user cannot be changed to nobody");
    if (lock_process () != 0)
        return lock_refuse (why, size, "the process's privileges cannot be dropped");
    if (lock_limits () != 0)
        return lock_refuse (why, size, "the limits cannot be set");
    if (lock_landlock () != 0)
        return lock_refuse (why, size, "Landlock cannot be put on");
    return 0;
}

/*  ---- what a fork does ----------------------------------------------------------------------- */

/*  Two secrets that libc drew at random when python3 started: a program that reads its own memory
 *  would see them differ. Only a function that never returns may change the first. */
static inline __attribute__ ((always_inline)) void lock_forget_secrets (void)
{
#if defined(__x86_64__)
    __asm__ volatile("movq %0, %%fs:0x28\n\tmovq %0, %%fs:0x30" ::"r"(0x5a5a5a5a5a5a5a00ull)
                     : "memory");
#endif
    unsigned char *seed = (unsigned char *) getauxval (AT_RANDOM);
    for (size_t i = 0; seed && i < 16; i++)
        seed[i] = 0;
}

/*  A fork's first frame. */
static int lock_say (const char *text)
{
    char frame[4 + 200];
    uint32_t size = (uint32_t) strlen (text);
    memcpy (frame, &size, sizeof size);
    memcpy (frame + sizeof size, text, size);
    return write (PROTOCOL_ANSWERS, frame, sizeof size + size) < 0 ? -1 : 0;
}

/*  No program has run yet, so what is said here is ours. */
static _Noreturn void lock_fail (const char *what)
{
    char text[200];
    snprintf (text, sizeof text, "%s: %s", what, strerror (errno));
    _exit (lock_say (text) == 0 ? 1 : 2);
}

/*  seccomp comes last of the locks, since it forbids the calls by which the others are put on. */
static _Noreturn void lock_and_play (const protocol_request_t *request, const inside_plan_t *plan)
{
    struct sock_fprog program = {.len = (unsigned short) lock_calls_n, .filter = lock_calls};
    close_range (0, PROTOCOL_QUESTIONS - 1, 0);
    if (prctl (PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || (uint64_t) getppid () != lock_parent)
        lock_fail ("the parent is gone");
    if (lock_limit (RLIMIT_AS, lock_used + request->memory) != 0)
        lock_fail ("the memory limit cannot be set");
    if (lock_limit (RLIMIT_CPU, request->cpu_s) != 0)
        lock_fail ("the CPU limit cannot be set");
    if (lock_landlock () != 0)
        lock_fail ("Landlock");
    /* From here on nothing can be opened, by whatever call: what is open stays open. */
    if (lock_limit (RLIMIT_NOFILE, 0) != 0)
        lock_fail ("the limit of descriptors cannot be set");
    if (syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        lock_fail ("seccomp");
    if (lock_say (PROTOCOL_LOCKED) != 0)
        _exit (2);
    lock_forget_secrets ();
    plan->play ((int) request->kind);
    _exit (0);
}

/*  ---- serving -------------------------------------------------------------------------------- */

/*  One request and the two descriptors that come with it; they get the lowest free numbers, which
 *  are those that a fork wants. 0 when the service has gone. */
static ssize_t lock_receive (protocol_request_t *request, size_t *fds)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE (2 * sizeof (int))];
    } control;
    struct iovec part = {.iov_base = request, .iov_len = sizeof *request};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t n;
    do
        n = recvmsg (PROTOCOL_CONTROL, &message, 0);
    while (n < 0 && errno == EINTR);
    *fds = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR (&message); n > 0 && c; c = CMSG_NXTHDR (&message, c))
        *fds += (c->cmsg_len - CMSG_LEN (0)) / sizeof (int);
    return n;
}

/*  The number of a fork, or -errno. */
static int lock_tell (int64_t pid)
{
    return write (PROTOCOL_CONTROL, &pid, sizeof pid) == (ssize_t) sizeof pid ? 0 : -1;
}

/*  gVisor takes no notice of CLONE_PARENT. There the service is the container's first process
 *  (wall.h), which is given every child whose parent ends: so one in between makes the fork, tells
 *  its number in the zygote's place, and ends. */
static int lock_fork_between (const protocol_request_t *request, const inside_plan_t *plan)
{
    int64_t between = syscall (SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (between == 0) {
        int64_t pid = syscall (SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        if (pid == 0) {
            while ((uint64_t) getppid () != lock_parent)
                sched_yield ();
            lock_and_play (request, plan);
        }
        _exit (lock_tell (pid < 0 ? -errno : pid) == 0 ? 0 : 1);
    }
    int status = 1;
    if (between < 0)
        return lock_tell (-errno);
    return wait4 ((pid_t) between, &status, 0, NULL) == between && status == 0 ? 0 : -1;
}

/*  Makes a fork that is the service's own child, which waits for it and sees its end, and tells its
 *  number. Not fork (): nothing of the interpreter's memory may change from one fork to the
 *  next. */
static int lock_fork (const protocol_request_t *request, const inside_plan_t *plan)
{
    int64_t pid = syscall (SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        lock_and_play (request, plan);
    return lock_tell (pid < 0 ? -errno : pid);
}

/*  Returns only when the zygote cannot be locked; else it serves until the service goes, and
 *  ends. */
int inside_serve (inside_plan_t *plan, char *why, size_t size)
{
    static protocol_request_t request;
    size_t fds;
    int rc = 0;
    warm_begin ();
    if (lock_zygote (plan, why, size) != 0)
        return -1;
    if (write (PROTOCOL_CONTROL, PROTOCOL_READY, sizeof PROTOCOL_READY - 1) < 0)
        return lock_refuse (why, size, "the control socket is gone");
    while (rc == 0 && lock_receive (&request, &fds) == (ssize_t) sizeof request) {
        if (fds != 2)
            rc = lock_tell (-EMFILE);
        else if (lock_gvisor)
            rc = lock_fork_between (&request, plan);
        else
            rc = lock_fork (&request, plan);
        /* The fork has its own. Kept open here, they would hide the end of its answers from the
         * service. */
        close_range (PROTOCOL_QUESTIONS, PROTOCOL_ANSWERS, 0);
    }
    _exit (0);
}
