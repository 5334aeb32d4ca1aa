/*  child - see child.h */
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "protocol.h"

#define CHILD_FRAME_MAX   ((uint32_t) 4 << 20) /* bytes of one answer */
#define CHILD_LOOK_MS     4 /* the first look at a program that does not answer */
#define CHILD_LOOK_MAX_MS 50
#define CHILD_STARVED_MS                                                                           \
    30000 /* without CPU time: then the machine is too busy to judge anything */
#define CHILD_WALL_MS    100000
#define CHILD_END_MS     20000    /* for a process that is ending already */
#define CHILD_END_NS     50000    /* between the first two looks whether it has */
#define CHILD_END_MAX_NS 10000000 /* and between the last ones */
#define CHILD_BLIND_LOOKS                                                                          \
    40 /* that find all threads asleep, where the kernel does not count their switches */

/*  One fork of a zygote. It is our own child (CLONE_PARENT, inside/lock.c), so its number cannot be
 *  another's before it was waited for. pid is 0 once that has happened. */
struct child {
    pid_t pid;
    int questions, answers;
    child_limits_t limits;
    clockid_t clock; /* of its CPU time, all threads together */
    double cpu_from; /* what it had used when it gave its last answer */
    buf_t out;       /* questions on their way, and how much of them is sent */
    size_t sent;
    buf_t in; /* what has come, and how much of it was taken */
    size_t taken, unanswered;
    bool locked; /* it has said so */
    bool begun;  /* it was asked something */
    bool spoke;  /* without being asked */
};

/*  What is known while an answer is waited for. */
typedef struct {
    double cpu;              /* at the last look */
    int64_t began, progress; /* when; when it was last seen to have got CPU time */
    int64_t look_ms, next_look;
    int64_t slept; /* the switches of all threads at a look that found them asleep, or -1 */
    int looks;     /* after it that found the same */
} child_watch_t;

static const char *const child_names[] = {
#define CHILD_NAME(name, text) text,
    CHILD_ENDINGS (CHILD_NAME)
#undef CHILD_NAME
};

const char *child_ending_name (child_ending_t ending)
{
    return child_names[ending];
}

/*  Takes process and pipes over, also when it fails: then all of them are gone. The pipes do not
 *  block us, since a program may neither read nor write, and this thread has limits to watch. */
child_t *child_new (pid_t pid, int questions, int answers, const child_limits_t *limits, err_t *err)
{
    child_t *child = calloc (1, sizeof *child);
    if (!child || fcntl (questions, F_SETFL, O_NONBLOCK) != 0 ||
        fcntl (answers, F_SETFL, O_NONBLOCK) != 0 ||
        clock_getcpuclockid (pid, &child->clock) != 0) {
        err_set (err, ERR_LIMIT, "no memory for a program's process");
        kill (pid, SIGKILL);
        waitpid (pid, NULL, 0);
        close (questions);
        close (answers);
        free (child);
        return NULL;
    }
    child->pid = pid;
    child->questions = questions;
    child->answers = answers;
    child->limits = *limits;
    child->in.max = 2 * (size_t) CHILD_FRAME_MAX;
    return child;
}

void child_end (child_t *child)
{
    if (child && child->pid > 0)
        kill (child->pid, SIGKILL);
}

/*  Killed before it is waited for: it need not have ended, and none of its answers is wanted any
 *  more. */
void child_destroy (child_t **self)
{
    child_t *child = *self;
    if (!child)
        return;
    child_end (child);
    if (child->pid > 0)
        waitpid (child->pid, NULL, 0);
    close (child->questions);
    close (child->answers);
    buf_free (&child->out);
    buf_free (&child->in);
    free (child);
    *self = NULL;
}

/*  ---- how it ended --------------------------------------------------------------------------- */

/*  What a signal says of the program. A crash of a program that had nearly all of its memory counts
 *  as want of memory: libraries abort, or touch what they did not get, when an allocation fails. */
static child_ending_t child_signalled (int number, const struct rusage *used,
                                       const child_limits_t *limits, err_t *err)
{
    double cpu_s = (double) (used->ru_utime.tv_sec + used->ru_stime.tv_sec) +
                   (double) (used->ru_utime.tv_usec + used->ru_stime.tv_usec) * 1e-6;
    switch (number) {
    case SIGXCPU:
        return CHILD_CPU;
    case SIGSYS:
        return CHILD_FORBIDDEN;
    case SIGSEGV:
    case SIGBUS:
    case SIGABRT:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
    case SIGPIPE:
        return (uint64_t) used->ru_maxrss * 1024 > limits->memory / 10 * 9 ? CHILD_MEMORY
                                                                           : CHILD_CRASHED;
    case SIGKILL: /* the kernel's own limit; ours is noticed before, unless we were not let */
        if (cpu_s > limits->cpu_total_s)
            return CHILD_CPU;
    }
    /* A program can send no signal. So this was the system's killer for want of memory, or a
     * person. */
    err_set (err, ERR_IO, "the program was ended from outside, by signal %d (memory short?)",
             number);
    return CHILD_NONE;
}

/*  The other end of its answers is closed, which a program cannot do but by ending. */
static int child_ended (child_t *child, child_ending_t *ending, err_t *err)
{
    int status;
    struct rusage used;
    int64_t deadline = clock_ms () + CHILD_END_MS;
    struct timespec pause = {.tv_nsec = CHILD_END_NS};
    pid_t ended;
    /* It is on its way out, and mostly there at the second look. wait4 rather than waitpid: what
     * the process used decides how its signal is read. */
    while ((ended = wait4 (child->pid, &status, WNOHANG, &used)) == 0 && clock_ms () < deadline) {
        nanosleep (&pause, NULL);
        pause.tv_nsec = 2 * pause.tv_nsec < CHILD_END_MAX_NS ? 2 * pause.tv_nsec : CHILD_END_MAX_NS;
    }
    if (ended != child->pid)
        return err_set (err, ERR_TIMEOUT, "a program's process does not end");
    child->pid = 0;
    if (WIFSIGNALED (status)) {
        *ending = child_signalled (WTERMSIG (status), &used, &child->limits, err);
        return *ending == CHILD_NONE ? -1 : 0;
    }
    *ending = CHILD_EXITED;
    return 0;
}

/*  Only for endings that are decided already, so its status does not matter. */
static void child_kill (child_t *child)
{
    kill (child->pid, SIGKILL);
    waitpid (child->pid, NULL, 0);
    child->pid = 0;
}

/*  ---- what it does while no answer comes ----------------------------------------------------- */

/*  CPU time, not the clock on the wall: a verdict must not depend on what else the machine does. */
static double child_cpu (const child_t *child)
{
    struct timespec used = {0};
    clock_gettime (child->clock, &used);
    return (double) used.tv_sec + (double) used.tv_nsec * 1e-9;
}

/*  A thread's state, and how often it was switched away from so far. *counted becomes false where
 *  the kernel keeps no such number: gVisor's does not. */
static bool child_thread (pid_t pid, const char *thread, char *state, int64_t *switches,
                          bool *counted)
{
    char path[80], line[256];
    snprintf (path, sizeof path, "/proc/%d/task/%.20s/status", (int) pid, thread);
    FILE *file = fopen (path, "re");
    int64_t n;
    int found = 0;
    *switches = 0;
    while (file && fgets (line, sizeof line, file)) {
        if (sscanf (line, "State: %c", state) == 1)
            found++;
        else if (sscanf (line, "voluntary_ctxt_switches: %ld", &n) == 1 ||
                 sscanf (line, "nonvoluntary_ctxt_switches: %ld", &n) == 1) {
            *switches += n;
            found++;
        }
    }
    if (file)
        fclose (file);
    *counted = *counted && found == 3;
    return found == 3 || found == 1;
}

/*  The switches of all threads if every one of them sleeps (or has ended), else -1. */
static int64_t child_asleep (const child_t *child, bool *counted)
{
    char path[40];
    int64_t sum = 0, switches;
    snprintf (path, sizeof path, "/proc/%d/task", (int) child->pid);
    DIR *folder = opendir (path);
    if (!folder)
        return -1;
    for (struct dirent *e; sum >= 0 && (e = readdir (folder));) {
        char state = 0;
        if (*e->d_name == '.')
            continue;
        /* A thread that ended between readdir and here cannot be read: this look then proves
         * nothing. */
        if (!child_thread (child->pid, e->d_name, &state, &switches, counted) ||
            !strchr ("SZX", state))
            sum = -1;
        else
            /* One more for each thread, so that a thread that ends between two looks changes the
             * sum as well. */
            sum += switches + 1;
    }
    closedir (folder);
    return sum;
}

/*  Two looks in a row that find every thread asleep, and none switched in between: so there was a
 *  moment at which all slept at once. Only another thread could wake one of them, since no wait
 *  has an end (world.c) and we send nothing. This needs no time limit, and a busy machine does not
 *  change it. Where switches are not counted it takes many looks, between which no CPU time was
 *  used either: threads that wake each other would be seen at it, since one that is not let is not
 *  asleep. */
static bool child_stuck (const child_t *child, child_watch_t *watch, double cpu)
{
    bool counted = true;
    int64_t now = child_asleep (child, &counted);
    bool same = now >= 0 && now == watch->slept && (counted || cpu == watch->cpu);
    watch->looks = same ? watch->looks + 1 : 0;
    watch->slept = now;
    return watch->looks >= (counted ? 1 : CHILD_BLIND_LOOKS);
}

/*  The limits first, then what may be a deadlock. The looks become rarer, since most programs
 *  answer at once and a long one need not be looked at every few milliseconds. A machine that gives
 *  the program no time is an error of ours and no ending: another try may have better luck. */
static int child_look (child_t *child, child_watch_t *watch, child_ending_t *ending, err_t *err)
{
    double cpu = child_cpu (child);
    int64_t now = clock_ms ();
    if (cpu - child->cpu_from > child->limits.cpu_s || cpu > child->limits.cpu_total_s)
        *ending = CHILD_CPU;
    else if (child_stuck (child, watch, cpu))
        *ending = CHILD_STUCK;
    if (*ending != CHILD_NONE) {
        child_kill (child);
        return 0;
    }
    if (cpu > watch->cpu)
        watch->progress = now;
    watch->cpu = cpu;
    watch->look_ms =
        2 * watch->look_ms < CHILD_LOOK_MAX_MS ? 2 * watch->look_ms : CHILD_LOOK_MAX_MS;
    watch->next_look = now + watch->look_ms;
    if (now - watch->progress > CHILD_STARVED_MS || now - watch->began > CHILD_WALL_MS)
        return err_set (err, ERR_TIMEOUT, "the machine gave a program too little CPU time");
    return 0;
}

/*  ---- asking --------------------------------------------------------------------------------- */

/*  As much as the pipe takes; the rest waits for the next time there is room. */
static void child_write_some (child_t *child)
{
    ssize_t n =
        write (child->questions, child->out.data + child->sent, child->out.size - child->sent);
    if (n > 0)
        child->sent += (size_t) n;
    else if (errno != EAGAIN && errno != EINTR)
        child->sent = child->out.size; /* it has ended, as its answers will show */
}

/*  False: nothing more will come. */
static bool child_read_some (child_t *child)
{
    char block[65536];
    ssize_t n = read (child->answers, block, sizeof block);
    if (n > 0)
        buf_append (&child->in, block, (size_t) n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/*  Takes one whole answer out of what has come. */
static bool child_take (child_t *child, buf_t *answer, child_ending_t *ending)
{
    size_t have = child->in.size - child->taken;
    const unsigned char *at = (const unsigned char *) child->in.data + child->taken;
    if (have < 4)
        return false;
    uint32_t length =
        (uint32_t) at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
    /* The program can write here what it likes, so no length is believed beyond what we would
     * hold. */
    if (length == 0 || length > CHILD_FRAME_MAX)
        *ending = CHILD_OUTPUT;
    if (*ending != CHILD_NONE || have - 4 < length)
        return false;
    buf_clear (answer);
    buf_append (answer, at + 4, length);
    child->taken += 4 + (size_t) length;
    if (child->taken == child->in.size) {
        buf_clear (&child->in);
        child->taken = 0;
    }
    return true;
}

/*  Returns at once: what the pipe does not take now is sent while an answer is waited for. So many
 *  questions may be on their way together, and neither side waits for the other for ever. */
void child_send (child_t *child, const char *question, size_t size)
{
    const unsigned char head[4] = {(unsigned char) size, (unsigned char) (size >> 8),
                                   (unsigned char) (size >> 16), (unsigned char) (size >> 24)};
    struct pollfd item = {.fd = child->answers, .events = POLLIN};
    /* What comes before the first question is the fork's first frame. */
    if (child->begun && child->unanswered == 0 && (child->in.size > 0 || poll (&item, 1, 0) > 0))
        child->spoke = true; /* or it has ended, which the next answer will show */
    child->begun = true;
    if (child->sent == child->out.size) {
        buf_clear (&child->out);
        child->sent = 0;
    }
    buf_append (&child->out, head, sizeof head);
    buf_append (&child->out, question, size);
    child->unanswered++;
    if (!buf_failed (&child->out))
        child_write_some (child);
}

/*  Waits for bytes to move either way, or for the time of the next look. */
static int child_step (child_t *child, child_watch_t *watch, child_ending_t *ending, err_t *err)
{
    bool writes = child->sent < child->out.size;
    struct pollfd items[] = {{.fd = child->answers, .events = POLLIN},
                             {.fd = writes ? child->questions : -1, .events = POLLOUT}};
    int n = poll (items, 2, (int) clock_left_ms (watch->next_look));
    if (n > 0) {
        watch->slept = -1; /* what we take or give may wake it */
        if (items[1].revents)
            child_write_some (child);
        if (items[0].revents && !child_read_some (child))
            return child_ended (child, ending, err);
    }
    /* Also while bytes come: a program may write one now and then for ever. */
    return clock_ms () >= watch->next_look ? child_look (child, watch, ending, err) : 0;
}

/*  Each frame has a watch of its own: the time that the machine may starve a program counts from
 *  here. */
static int child_wait (child_t *child, buf_t *answer, child_ending_t *ending, err_t *err)
{
    child_watch_t watch = {.slept = -1, .look_ms = CHILD_LOOK_MS, .began = clock_ms ()};
    int rc = 0;
    watch.progress = watch.began;
    watch.next_look = watch.began + watch.look_ms;
    while (rc == 0 && *ending == CHILD_NONE && !child_take (child, answer, ending)) {
        if (buf_failed (&child->in) || buf_failed (&child->out))
            return err_set (err, ERR_LIMIT, "no memory for a program's answers");
        if (*ending == CHILD_NONE)
            rc = child_step (child, &watch, ending, err);
    }
    return rc;
}

/*  The first frame, before which nothing of a program's has run: whatever ended it is ours. */
static int child_begin (child_t *child, err_t *err)
{
    child_ending_t ending = CHILD_NONE;
    buf_t text = {0};
    int rc = child_wait (child, &text, &ending, err);
    child->locked = rc == 0 && ending == CHILD_NONE && text.size == strlen (PROTOCOL_LOCKED) &&
                    memcmp (text.data, PROTOCOL_LOCKED, text.size) == 0;
    child->cpu_from = child_cpu (child);
    if (rc == 0 && !child->locked)
        rc = ending == CHILD_NONE
                 ? err_set (err, ERR_IO, "the sandbox's lock failed: %.*s", (int) text.size,
                            text.data)
                 : err_set (err, ERR_IO, "a fork of the sandbox ended before it had begun (%s)",
                            child_ending_name (ending));
    buf_free (&text);
    return rc;
}

int child_next (child_t *child, buf_t *answer, child_ending_t *ending, err_t *err)
{
    *ending = CHILD_NONE;
    if (!child->locked && child_begin (child, err) != 0)
        return -1;
    if (child->spoke && (child->in.size > 0 || child_read_some (child)))
        *ending = CHILD_OUTPUT;
    int rc = child_wait (child, answer, ending, err);
    child->unanswered--;
    child->cpu_from = child_cpu (child);
    /* After an answer that is none, no later one could be told from the program's own writing. */
    if (*ending == CHILD_OUTPUT && child->pid > 0)
        child_kill (child);
    return rc;
}

int child_ask (child_t *child, const char *question, size_t size, buf_t *answer,
               child_ending_t *ending, err_t *err)
{
    child_send (child, question, size);
    return child_next (child, answer, ending, err);
}
