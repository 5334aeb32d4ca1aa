/*  zygote - see zygote.h */
#include "zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/embed.h"
#include "base/log.h"
#include "filter.h"

EMBED (zygote_values, "services/reward/values.py")
EMBED (zygote_link, "services/reward/link.py")
EMBED (zygote_loop, "services/reward/loop.py")
EMBED (zygote_state, "services/reward/state.py")
EMBED (zygote_asserts, "services/reward/asserts.py")
EMBED (zygote_source, "services/reward/zygote.py")
EMBED (zygote_find, "services/reward/find.py")
EMBED (zygote_use, "services/reward/use.py")
EMBED (zygote_inside, ZYGOTE_INSIDE)

#define ZYGOTE_START_MS 180000 /* python3 reads its library; on a busy machine that takes a while */
#define ZYGOTE_FORK_MS  20000
#define ZYGOTE_CPU_MORE 5 /* seconds by which the kernel's limit stands behind the watcher's */
#define ZYGOTE_STACK    ((rlim_t) 8 << 20)
#define ZYGOTE_FDS      256 /* while python3 starts; fewer may not do for a shim before it */

/*  A fork that was asked for: our ends of its pipes, and what it was asked to be. */
typedef struct {
    bool asked;
    int questions, answers;
    protocol_kind_t part;
    child_limits_t limits;
} zygote_order_t;

struct zygote {
    pid_t pid;
    int control;
    bool dead;           /* it broke off in the middle of a fork: of no further use */
    zygote_order_t next; /* made ahead */
};

/*  ---- starting ------------------------------------------------------------------------------- */

/*  A file that no folder holds: python3 loads the lock from it, and nothing need be installed or
 *  cleaned up. */
static int zygote_memory_file (const char *data, size_t size, err_t *err)
{
    int fd = memfd_create ("inside", MFD_CLOEXEC);
    for (size_t done = 0; fd >= 0 && done < size;) {
        ssize_t n = write (fd, data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            close (fd);
            fd = -1;
            break;
        }
        done += (size_t) n;
    }
    return fd >= 0 ? fd : err_errno (err, ERR_IO, "the sandbox's lock as a file in memory");
}

/*  A limit that the service was started with is not meant for programs, whose limits are set with
 *  the lock: it is raised as far as we are let. What is still too low then is said by name when
 *  the lock is put on. */
static void zygote_raise (__rlimit_resource_t resource, rlim_t wanted)
{
    struct rlimit limit = {.rlim_cur = wanted, .rlim_max = wanted}, now;
    if (getrlimit (resource, &now) != 0 || (now.rlim_cur == wanted && now.rlim_max == wanted))
        return;
    if (setrlimit (resource, &limit) == 0)
        return;
    now.rlim_cur = now.rlim_max < wanted ? now.rlim_max : wanted;
    setrlimit (resource, &now);
}

/*  Closes what the service has open, but for three: where descriptors are few, room is needed at
 *  once. */
static void zygote_close_others (int a, int b, int c)
{
    int last = a > b ? a : b;
    last = last > c ? last : c;
    for (int fd = 3; fd < last; fd++)
        if (fd != a && fd != b && fd != c)
            close (fd);
    close_range ((unsigned) last + 1, INT_MAX, 0);
}

/*  Between fork and exec of a process with threads: system calls only. Addresses are the same in
 *  every interpreter, which needs both: no random layout, and a stack limit (the layout follows
 *  from it) that does not depend on who starts the service. */
static _Noreturn void zygote_become (char *const argv[], char *const environment[], int control,
                                     int filter, int inside, pid_t parent)
{
    struct rlimit stack, core = {0, 0};
    setpgid (0, 0);
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != parent)
        _exit (126);
    signal (SIGPIPE, SIG_DFL);
    signal (SIGINT, SIG_IGN); /* Ctrl-C at a terminal is the service's to handle */
    personality (ADDR_NO_RANDOMIZE);
    if (getrlimit (RLIMIT_STACK, &stack) == 0) {
        stack.rlim_cur = ZYGOTE_STACK;
        setrlimit (RLIMIT_STACK, &stack);
    }
    setrlimit (RLIMIT_CORE, &core);
    zygote_raise (RLIMIT_AS, RLIM_INFINITY);
    zygote_raise (RLIMIT_NOFILE, ZYGOTE_FDS);
    zygote_close_others (control, filter, inside);
    /* Out of the way first: any of them may have the number that another one wants. */
    control = fcntl (control, F_DUPFD_CLOEXEC, PROTOCOL_FDS);
    filter = fcntl (filter, F_DUPFD_CLOEXEC, PROTOCOL_FDS);
    inside = fcntl (inside, F_DUPFD_CLOEXEC, PROTOCOL_FDS);
    if (dup2 (control, PROTOCOL_CONTROL) < 0 || dup2 (2, 1) < 0 ||
        dup2 (filter, PROTOCOL_FILTER) < 0 || dup2 (inside, PROTOCOL_INSIDE) < 0)
        _exit (126);
    close_range (PROTOCOL_FDS, INT_MAX, 0);
    execvpe (argv[0], argv, environment);
    _exit (127);
}

/*  What python3 parses for -c stays in its memory until that has run, which is to its end: for the
 *  text itself that would be five megabytes, of which every fork would copy the page tables. */
static const char zygote_start[] =
    "import sys\nexec(compile(sys.argv.pop(), 'zygote', 'exec'), globals())\n";

/*  Nothing of our environment reaches the interpreter but the path by which python3 is found:
 *  Python finds its library by it, too. rseq would tell the program which CPU it runs on; a second
 *  arena of malloc would change addresses with the threads' timing. */
static pid_t zygote_exec (zygote_kind_t kind, const char *modules, wall_t wall, const char *source,
                          int control, int filter, int inside)
{
    char path[PATH_MAX], parent[24];
    const char *search = getenv ("PATH");
    snprintf (path, sizeof path, "PATH=%s", search ? search : "/usr/local/bin:/usr/bin:/bin");
    snprintf (parent, sizeof parent, "%d", (int) getpid ());
    char *argv[] = {(char *) "python3",
                    (char *) "-s",
                    (char *) "-S",
                    (char *) "-B",
                    (char *) "-c",
                    (char *) (uintptr_t) zygote_start,
                    parent,
                    (char *) (kind == ZYGOTE_FULL ? "full" : "light"),
                    (char *) (uintptr_t) modules,
                    (char *) (wall == WALL_RUNSC ? "runsc" : "landlock"),
                    (char *) (uintptr_t) zygote_find,
                    (char *) (uintptr_t) zygote_use,
                    (char *) (uintptr_t) source,
                    NULL};
    char *environment[] = {path,
                           (char *) "PYTHONHASHSEED=0",
                           (char *) "LANG=C.UTF-8",
                           (char *) "TZ=UTC0",
                           (char *) "GLIBC_TUNABLES=glibc.pthread.rseq=0:glibc.malloc.arena_max=1",
                           (char *) "OMP_NUM_THREADS=1",
                           (char *) "OPENBLAS_NUM_THREADS=1",
                           (char *) "MKL_NUM_THREADS=1",
                           NULL};
    pid_t self = getpid (), pid = fork ();
    if (pid == 0)
        zygote_become (argv, environment, control, filter, inside, self);
    return pid;
}

/*  Waits for one message, and no longer than until the deadline, whatever signals come in
 *  between. */
static int zygote_poll (const zygote_t *zygote, int64_t ms)
{
    struct pollfd item = {.fd = zygote->control, .events = POLLIN};
    int64_t deadline = clock_ms () + ms;
    int rc;
    do
        rc = poll (&item, 1, (int) clock_left_ms (deadline));
    while (rc < 0 && errno == EINTR);
    return rc > 0 ? 0 : -1;
}

/*  Its first word: ready, or why not. */
static int zygote_greet (zygote_t *zygote, err_t *err)
{
    char word[1024];
    if (zygote_poll (zygote, ZYGOTE_START_MS) != 0)
        return err_set (err, ERR_TIMEOUT, "the sandbox's python3 did not start within %d s",
                        ZYGOTE_START_MS / 1000);
    ssize_t n = recv (zygote->control, word, sizeof word - 1, MSG_DONTWAIT);
    if (n <= 0)
        return err_set (
            err, ERR_CONFIG,
            "python3 does not start, and the coding family runs tests with it: install python3 "
            "(apt-get install python3), or see in the reward service's log what the first "
            "python3 on PATH says (too little memory, or too few descriptors, is said there too)");
    word[n] = 0;
    if (strcmp (word, PROTOCOL_READY) != 0)
        return err_set (err, ERR_CONFIG,
                        "the sandbox cannot be locked here, so no program will be run: %s", word);
    return 0;
}

/*  A container's own seccomp profile may refuse the fixed layout, and gVisor does; then ids and
 *  addresses differ from one interpreter to the next, which a reward may only show if a program
 *  looks at them. */
static void zygote_check_layout (void)
{
    static bool said;
    int old = personality (0xffffffff);
    bool refused = old < 0 || personality ((unsigned long) old | ADDR_NO_RANDOMIZE) < 0;
    if (!refused)
        personality ((unsigned long) old);
    if (refused && !__atomic_exchange_n (&said, true, __ATOMIC_RELAXED))
        log_warn ("sandbox.layout",
                  "text=\"personality (ADDR_NO_RANDOMIZE) is refused here, by a "
                  "container's seccomp profile or by gVisor: programs that look at addresses "
                  "(id, hash of an object) score differently from run to run\"");
}

/*  ---- forking -------------------------------------------------------------------------------- */

/*  The program's ends of the two pipes travel with the request (SCM_RIGHTS), since the zygote was
 *  started before there were any. */
static int zygote_send (const zygote_t *zygote, const protocol_request_t *request, int questions,
                        int answers)
{
    int fds[2] = {questions, answers};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE (sizeof fds)];
    } control = {.space = {0}};
    struct iovec part = {.iov_base = (void *) (uintptr_t) request, .iov_len = sizeof *request};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR (&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN (sizeof fds);
    memcpy (CMSG_DATA (c), fds, sizeof fds);
    return sendmsg (zygote->control, &message, MSG_NOSIGNAL | MSG_DONTWAIT) ==
                   (ssize_t) sizeof *request
               ? 0
               : -1;
}

/*  Whatever breaks the exchange off leaves a zygote whose next word nobody would understand, so it
 *  is not asked again. */
static int zygote_break (zygote_t *zygote, err_t *err)
{
    zygote->dead = true;
    return err_set (err, ERR_IO, "the sandbox's python3 has ended or does not answer");
}

/*  Asks for a fork, and does not wait for it. */
static int zygote_order (zygote_t *zygote, protocol_kind_t part, const child_limits_t *limits,
                         err_t *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, rc;
    protocol_request_t request = {.kind = part,
                                  .cpu_s = (uint32_t) ceil (limits->cpu_total_s) + ZYGOTE_CPU_MORE,
                                  .memory = limits->memory};
    if (zygote->dead || zygote->next.asked)
        return zygote_break (zygote, err);
    if (pipe2 (in, O_CLOEXEC) != 0 || pipe2 (out, O_CLOEXEC) != 0)
        rc = err_errno (err, ERR_IO, "pipes for a program");
    else if (zygote_send (zygote, &request, in[0], out[1]) != 0)
        rc = zygote_break (zygote, err);
    else
        rc = 0;
    /* The zygote has copies of the program's ends. Ours must be closed, or the end of the program
     * would never show as the end of its answers. */
    if (in[0] >= 0)
        close (in[0]);
    if (out[1] >= 0)
        close (out[1]);
    if (rc == 0) {
        zygote->next = (zygote_order_t){
            .asked = true, .questions = in[1], .answers = out[0], .part = part, .limits = *limits};
        return 0;
    }
    if (in[1] >= 0)
        close (in[1]);
    if (out[0] >= 0)
        close (out[0]);
    return -1;
}

/*  The fork that was asked for. */
static child_t *zygote_collect (zygote_t *zygote, err_t *err)
{
    zygote_order_t order = zygote->next;
    int64_t pid = 0;
    /* Whatever comes now, the order is over: its pipes go to the child, or are closed here. */
    zygote->next.asked = false;
    if (zygote_poll (zygote, ZYGOTE_FORK_MS) != 0 ||
        recv (zygote->control, &pid, sizeof pid, MSG_DONTWAIT | MSG_TRUNC) !=
            (ssize_t) sizeof pid) {
        zygote_break (zygote, err);
    } else if (pid > 0) {
        return child_new ((pid_t) pid, order.questions, order.answers, &order.limits, err);
    } else {
        errno = (int) -pid;
        err_errno (err, ERR_IO, "the sandbox cannot fork");
    }
    close (order.questions);
    close (order.answers);
    return NULL;
}

/*  A fork that was ordered ahead serves only when it is what is wanted now; another one is
 *  collected and ended, since its answer comes first on the control socket. */
child_t *zygote_fork (zygote_t *zygote, protocol_kind_t part, const child_limits_t *limits,
                      err_t *err)
{
    const zygote_order_t *next = &zygote->next;
    if (next->asked &&
        (next->part != part || memcmp (&next->limits, limits, sizeof *limits) != 0)) {
        child_t *other = zygote_collect (zygote, err);
        if (!other)
            return NULL;
        child_destroy (&other);
    }
    if (!next->asked && zygote_order (zygote, part, limits, err) != 0)
        return NULL;
    return zygote_collect (zygote, err);
}

/*  What fails now fails again when the next one is wanted, and is said then. */
void zygote_prepare (zygote_t *zygote, protocol_kind_t part, const child_limits_t *limits)
{
    if (!zygote->dead && !zygote->next.asked)
        zygote_order (zygote, part, limits, NULL);
}

/*  ---- life ----------------------------------------------------------------------------------- */

zygote_t *zygote_new (zygote_kind_t kind, const char *modules, wall_t wall, err_t *err)
{
    int pair[2] = {-1, -1}, filter = -1, inside = -1;
    zygote_t *zygote = calloc (1, sizeof *zygote);
    buf_t source = {0};
    buf_printf (&source, "%s\n%s\n%s\n%s\n%s\n%s", zygote_values, zygote_link, zygote_loop,
                zygote_state, zygote_asserts, zygote_source);
    if (!zygote || buf_failed (&source)) {
        buf_free (&source);
        free (zygote);
        err_set (err, ERR_LIMIT, "no memory for a sandbox");
        return NULL;
    }
    zygote->control = -1;
    zygote_check_layout ();
    if ((filter = filter_new (err)) < 0 ||
        (inside = zygote_memory_file (zygote_inside, zygote_inside_size (), err)) < 0)
        goto done;
    if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0 ||
        (zygote->pid = zygote_exec (kind, modules, wall, source.data, pair[1], filter, inside)) <
            0) {
        err_errno (err, ERR_IO, "start the sandbox's python3");
        goto done;
    }
    zygote->control = pair[0];
    /* Only python3 has its end from now on, so its death shows as the end of what we read. */
    close (pair[1]);
    pair[0] = pair[1] = -1;
    if (zygote_greet (zygote, err) != 0)
        goto done;
    close (filter);
    close (inside);
    buf_free (&source);
    return zygote;
done:
    buf_free (&source);
    for (size_t i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close (pair[i]);
    if (filter >= 0)
        close (filter);
    if (inside >= 0)
        close (inside);
    zygote_destroy (&zygote);
    return NULL;
}

/*  A spare fork is collected and ended first: once the zygote is gone nobody would know its
 *  number. */
void zygote_destroy (zygote_t **self)
{
    zygote_t *zygote = *self;
    if (!zygote)
        return;
    if (zygote->next.asked) {
        child_t *spare = zygote_collect (zygote, NULL);
        child_destroy (&spare);
    }
    if (zygote->pid > 0) {
        /* The group, since whatever python3 is (a shim, too) may have started a process of its
         * own. */
        kill (-zygote->pid, SIGKILL);
        kill (zygote->pid, SIGKILL); /* in case it had not made its group yet */
        waitpid (zygote->pid, NULL, 0);
    }
    if (zygote->control >= 0)
        close (zygote->control);
    free (zygote);
    *self = NULL;
}
