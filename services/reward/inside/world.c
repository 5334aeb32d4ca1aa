/*  world - see inside.h. A locked program must be a pure function of its text: what it can ask the
 *  machine for has the same answer in every run. So there is a clock, but it only moves when
 *  somebody looks at it or sleeps; ids and names are fixed; random bytes come from a fixed stream.
 *  Honest programs that sleep, take the time or draw a number go on; none of them can tell two
 *  runs apart.
 *
 *  The clock's functions are called in two ways. glibc asks the vDSO, which reads the time without
 *  a system call and so passes seccomp by: its functions are overwritten with jumps to ours, and
 *  the pages with the kernel's time are unmapped. Everything else is a system call, for which the
 *  filter sends SIGSYS (SECCOMP_RET_TRAP); world_trap answers in the kernel's place.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "inside.h"

#define WORLD_EPOCH_S 1767225600 /* 2026-01-01 00:00:00 UTC */
#define WORLD_UP_S    100000     /* what the monotonic clocks begin with */
#define WORLD_TICK_NS 1000       /* every look at a clock takes a microsecond */
#define WORLD_SECOND  1000000000LL
#define WORLD_PID     2
#define WORLD_PARENT  1

/*  A wait of this many seconds is one without an end: Python's switch interval is set so high. */
#define WORLD_FOREVER_S 100000000

static int64_t world_ns; /* since the program began */
static uint64_t world_random;

/*  ---- clock ---------------------------------------------------------------------------------- */

/*  Each look moves the clock on, so a program that waits for the time to pass gets there, and two
 *  looks are never the same. */
static int64_t world_look (void)
{
    return __atomic_add_fetch (&world_ns, WORLD_TICK_NS, __ATOMIC_RELAXED);
}

/*  Backwards it never goes: a sleep until a time that is over takes none. */
static void world_pass (int64_t ns)
{
    if (ns > 0)
        __atomic_add_fetch (&world_ns, ns, __ATOMIC_RELAXED);
}

/*  Seconds to which a clock adds the world's time, or -1: no such clock. The clocks of CPU time
 *  begin at 0. */
static int64_t world_base (long clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
        return WORLD_EPOCH_S;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        return WORLD_UP_S;
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
        return 0;
    default:
        return -1;
    }
}

/*  Called in the kernel's place and from the vDSO's alike, so it answers as the kernel does: 0 or a
 *  negative errno. */
static long world_clock_gettime (long clock, struct timespec *at)
{
    int64_t base = world_base (clock), ns = world_look ();
    if (base < 0)
        return -EINVAL;
    *at = (struct timespec){.tv_sec = base + ns / WORLD_SECOND, .tv_nsec = ns % WORLD_SECOND};
    return 0;
}

static long world_clock_getres (long clock, struct timespec *step)
{
    if (world_base (clock) < 0)
        return -EINVAL;
    if (step)
        *step = (struct timespec){.tv_nsec = WORLD_TICK_NS};
    return 0;
}

static long world_gettimeofday (struct timeval *at, struct timezone *zone)
{
    int64_t ns = world_look ();
    if (at)
        *at = (struct timeval){.tv_sec = WORLD_EPOCH_S + ns / WORLD_SECOND,
                               .tv_usec = ns % WORLD_SECOND / 1000};
    if (zone)
        *zone = (struct timezone){0};
    return 0;
}

static long world_time (time_t *at)
{
    time_t now = WORLD_EPOCH_S + world_look () / WORLD_SECOND;
    if (at)
        *at = now;
    return now;
}

/*  The one CPU that world_getaffinity tells of. */
static long world_getcpu (unsigned *cpu, unsigned *node, void *unused)
{
    (void) unused;
    if (cpu)
        *cpu = 0;
    if (node)
        *node = 0;
    return 0;
}

/*  The vDSO's way to random numbers reports that it is not there, so that libc makes the system
 *  call. */
static long world_vgetrandom (void)
{
    return -ENOSYS;
}

/*  A clock's time as the world's own, which begins at 0. */
static int64_t world_until (const struct timespec *at, int64_t base_s)
{
    return (at->tv_sec - base_s) * WORLD_SECOND + at->tv_nsec;
}

/*  Nobody sleeps: the clock is put on, and another thread may run meanwhile. */
static long world_sleep (long clock, long flags, const struct timespec *wanted)
{
    int64_t base = world_base (clock);
    if (base < 0 || wanted->tv_sec < 0 || wanted->tv_nsec < 0 || wanted->tv_nsec >= WORLD_SECOND)
        return -EINVAL;
    if (flags & TIMER_ABSTIME)
        world_pass (world_until (wanted, base) - __atomic_load_n (&world_ns, __ATOMIC_RELAXED));
    else
        world_pass (wanted->tv_sec * WORLD_SECOND + wanted->tv_nsec);
    syscall (SYS_sched_yield);
    return 0;
}

/*  ---- waiting -------------------------------------------------------------------------------- */

/*  A wait with an end comes to it at once: the time passes, other threads get a chance to run, and
 *  nobody waits for the machine's clock. Whoever waits "for ever" waits without an end. */
static long world_futex (int *word, long op, int value, const struct timespec *limit, void *second,
                         int bits)
{
    bool absolute = (op & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
    int64_t base = op & FUTEX_CLOCK_REALTIME ? WORLD_EPOCH_S : WORLD_UP_S;
    if (limit->tv_sec - (absolute ? base : 0) > WORLD_FOREVER_S)
        return syscall (SYS_futex, word, op, value, NULL, second, bits) < 0 ? -errno : 0;
    syscall (SYS_sched_yield);
    if (__atomic_load_n (word, __ATOMIC_SEQ_CST) != value)
        return -EAGAIN;
    int64_t left = world_until (limit, absolute ? base : 0);
    world_pass (absolute ? left - __atomic_load_n (&world_ns, __ATOMIC_RELAXED) : left);
    return -ETIMEDOUT;
}

/*  ---- the rest of the machine ---------------------------------------------------------------- */

/*  splitmix64 (Steele, Lea, Flood 2014): good enough to be drawn from, the same in every run. */
static long world_getrandom (unsigned char *to, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint64_t x = __atomic_add_fetch (&world_random, 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED);
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        to[i] = (unsigned char) (x >> 56);
    }
    return (long) size;
}

/*  A machine that does not exist, since the real one's names differ from one to the next. */
static long world_uname (struct utsname *to)
{
    memset (to, 0, sizeof *to);
    memcpy (to->sysname, "Linux", sizeof "Linux");
    memcpy (to->nodename, "sandbox", sizeof "sandbox");
    memcpy (to->release, "6.0", sizeof "6.0");
    memcpy (to->version, "#1", sizeof "#1");
#if defined(__x86_64__)
    memcpy (to->machine, "x86_64", sizeof "x86_64");
#else
    memcpy (to->machine, "aarch64", sizeof "aarch64");
#endif
    return 0;
}

/*  No file can be opened, so any path would do; the length counts the byte 0, as the kernel's
 *  does. */
static long world_getcwd (char *to, size_t size)
{
    if (size < 2)
        return -ERANGE;
    memcpy (to, "/", 2);
    return 2;
}

/*  One CPU. The answer is the size of the set that was written, as the kernel's is. */
static long world_getaffinity (size_t size, unsigned long *set)
{
    if (size < sizeof *set)
        return -EINVAL;
    *set = 1;
    return sizeof *set;
}

static long world_times (struct tms *to)
{
    if (to)
        memset (to, 0, sizeof *to);
    return (long) (world_look () / (WORLD_SECOND / 100));
}

static long world_getrusage (struct rusage *to)
{
    memset (to, 0, sizeof *to);
    return 0;
}

/*  What a trapped call answers. filter.c lists the trapped ones; both lists must be the same. */
static long world_answer (long number, const long *a)
{
    switch (number) {
    case SYS_clock_gettime:
        return world_clock_gettime (a[0], (struct timespec *) a[1]);
    case SYS_clock_getres:
        return world_clock_getres (a[0], (struct timespec *) a[1]);
    case SYS_gettimeofday:
        return world_gettimeofday ((struct timeval *) a[0], (struct timezone *) a[1]);
#ifdef SYS_time
    case SYS_time:
        return world_time ((time_t *) a[0]);
#endif
    case SYS_nanosleep:
        return world_sleep (CLOCK_MONOTONIC, 0, (const struct timespec *) a[0]);
    case SYS_clock_nanosleep:
        return world_sleep (a[0], a[1], (const struct timespec *) a[2]);
    case SYS_futex:
        return world_futex ((int *) a[0], a[1], (int) a[2], (const struct timespec *) a[3],
                            (void *) a[4], (int) a[5]);
    case SYS_getrandom:
        return world_getrandom ((unsigned char *) a[0], (size_t) a[1]);
    case SYS_getpid:
    case SYS_gettid:
        return WORLD_PID;
    case SYS_getppid:
        return WORLD_PARENT;
    case SYS_getuid:
    case SYS_geteuid:
    case SYS_getgid:
    case SYS_getegid:
        return PROTOCOL_NOBODY;
    case SYS_uname:
        return world_uname ((struct utsname *) a[0]);
    case SYS_getcwd:
        return world_getcwd ((char *) a[0], (size_t) a[1]);
    case SYS_sched_getaffinity:
        return world_getaffinity ((size_t) a[1], (unsigned long *) a[2]);
    case SYS_getcpu:
        return world_getcpu ((unsigned *) a[0], (unsigned *) a[1], NULL);
    case SYS_times:
        return world_times ((struct tms *) a[0]);
    case SYS_getrusage:
        return world_getrusage ((struct rusage *) a[1]);
    default:
        return -EPERM;
    }
}

/*  Runs in the thread that made the call. The arguments lie in its saved registers, and what is
 *  written to the register of the result is what the call returns. errno is the program's, so it
 *  stays. */
static void world_trap (int number, siginfo_t *info, void *context)
{
    (void) number;
    int saved = errno;
    mcontext_t *m = &((ucontext_t *) context)->uc_mcontext;
#if defined(__x86_64__)
    const long a[] = {m->gregs[REG_RDI], m->gregs[REG_RSI], m->gregs[REG_RDX],
                      m->gregs[REG_R10], m->gregs[REG_R8],  m->gregs[REG_R9]};
    m->gregs[REG_RAX] = world_answer (info->si_syscall, a);
#elif defined(__aarch64__)
    long a[6];
    memcpy (a, m->regs, sizeof a);
    m->regs[0] = (unsigned long) world_answer (info->si_syscall, a);
#else
#error "the sandbox knows x86-64 and arm64"
#endif
    errno = saved;
}

/*  ---- code that is overwritten --------------------------------------------------------------- */

/*  The mapping that an address lies in: the vDSO's protection can only be changed as a whole. */
static int world_mapping (uintptr_t address, uintptr_t *from, uintptr_t *to)
{
    FILE *maps = fopen ("/proc/self/maps", "re");
    char line[512];
    bool found = false;
    while (!found && maps && fgets (line, sizeof line, maps))
        found = sscanf (line, "%lx-%lx", from, to) == 2 && *from <= address && address < *to;
    if (maps)
        fclose (maps);
    return found ? 0 : -1;
}

/*  Jumps to target, or returns value where there is none. Only before the filter: it needs memory
 *  that can be written and then executed. */
int world_patch (void *code, const void *target, int value)
{
    unsigned char text[16];
    size_t n = 0;
#if defined(__x86_64__)
    if (target) { /* movabs $target, %rax; jmp *%rax */
        memcpy (text, "\x48\xb8", 2);
        memcpy (text + 2, &target, 8);
        memcpy (text + 10, "\xff\xe0", 2);
        n = 12;
    } else { /* mov $value, %eax; ret */
        text[0] = 0xb8;
        memcpy (text + 1, &value, 4);
        text[5] = 0xc3;
        n = 6;
    }
#else
    uint32_t words[4];
    if (target) { /* ldr x16, #8; br x16 */
        words[0] = 0x58000050;
        words[1] = 0xd61f0200;
        memcpy (words + 2, &target, 8);
        n = 16;
    } else { /* mov w0, #value; ret */
        words[0] = 0x52800000u | (uint32_t) value << 5;
        words[1] = 0xd65f03c0;
        n = 8;
    }
    memcpy (text, words, n);
#endif
    uintptr_t from, to;
    if (world_mapping ((uintptr_t) code, &from, &to) != 0 ||
        mprotect ((void *) from, to - from, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return -1;
    memcpy (code, text, n);
    /* arm64 does not see code that was just written without this. */
    __builtin___clear_cache ((char *) code, (char *) code + n);
    return mprotect ((void *) from, to - from, PROT_READ | PROT_EXEC);
}

/*  The vDSO's functions; arm64 calls them __kernel_X. */
static const struct {
    const char *name, *other;
    const void *ours;
} world_functions[] = {
    {"__vdso_clock_gettime", "__kernel_clock_gettime",
     (const void *) (uintptr_t) world_clock_gettime},
    {"__vdso_clock_getres", "__kernel_clock_getres", (const void *) (uintptr_t) world_clock_getres},
    {"__vdso_gettimeofday", "__kernel_gettimeofday", (const void *) (uintptr_t) world_gettimeofday},
    {"__vdso_time", "__kernel_time", (const void *) (uintptr_t) world_time},
    {"__vdso_getcpu", "__kernel_getcpu", (const void *) (uintptr_t) world_getcpu},
    {"__vdso_getrandom", "__kernel_getrandom", (const void *) (uintptr_t) world_vgetrandom},
};

/*  Overwrites what there is of these functions. */
static int world_replace_vdso (void)
{
    void *vdso = dlopen ("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
    int replaced = 0;
    for (size_t i = 0; vdso && i < sizeof world_functions / sizeof *world_functions; i++) {
        void *code = dlsym (vdso, world_functions[i].name);
        if (!code)
            code = dlsym (vdso, world_functions[i].other);
        if (code && world_patch (code, world_functions[i].ours, 0) != 0)
            return -1;
        replaced += code != NULL;
    }
    /* None of the names was found: then the clock would still be the machine's. */
    return replaced ? 0 : -1;
}

/*  Unmaps the pages in which the kernel keeps the time: [vvar], and [vvar_vclock] where there is
 *  one. */
static int world_forget_time (void)
{
    struct {
        unsigned long from, to;
    } pages[8];
    size_t n = 0;
    FILE *maps = fopen ("/proc/self/maps", "re");
    char line[512];
    while (maps && n < sizeof pages / sizeof *pages && fgets (line, sizeof line, maps))
        if (strstr (line, "[vvar") && sscanf (line, "%lx-%lx", &pages[n].from, &pages[n].to) == 2)
            n++;
    if (!maps)
        return -1;
    fclose (maps);
    for (size_t i = 0; i < n; i++)
        if (munmap ((void *) pages[i].from, pages[i].to - pages[i].from) != 0)
            return -1;
    return 0;
}

int world_begin (char *why, size_t size)
{
    struct sigaction action = {.sa_sigaction = world_trap,
                               .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    /* A kernel may be built without a vDSO, or started so: then there is nothing to replace. */
    if (getauxval (AT_SYSINFO_EHDR) && world_replace_vdso () != 0)
        return snprintf (why, size, "the vDSO's clock cannot be replaced: %s", strerror (errno)),
               -1;
    if (world_forget_time () != 0)
        return snprintf (why, size, "the vDSO's pages cannot be unmapped: %s", strerror (errno)),
               -1;
    if (sigaction (SIGSYS, &action, NULL) != 0)
        return snprintf (why, size, "no handler for SIGSYS: %s", strerror (errno)), -1;
    return 0;
}
