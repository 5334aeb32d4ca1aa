/*  supervisor - see supervisor.h
 *
 *  DESIGN A child is running (pid), waiting for its next start (start_at_ms), or done.
 *  supervisor_turn moves each from one state to the next and never waits. An end is judged by its
 *  status:
 *
 *      0 and SUPERVISE_UNTIL        done
 *      78 configuration, 74 disk    the run ends: starting again would not help
 *      75 deadline, of a trainer    the run ends: it waited long enough
 *      anything else, a signal      started again after a pause that doubles; eight times in a row
 *                                   at most
 *
 *  Nothing may outlive this process. Each child asks the kernel to kill it with its parent; it has
 *  a process group of its own, which is signalled as a whole; and what escapes its group becomes
 *  our child when its parent dies, since we are a subreaper, and is found in /proc at the end.
 */
#include "supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "svc/svc.h"

#define CHILDREN_MAX 256
#define ARGS_MAX     160
#define PAUSE_MS     100   /* before the first restart; doubles */
#define STEADY_MS    20000 /* one that ran so long starts again from the first pause */
#define RESTARTS_MAX 8     /* in a row */
#define TERM_MS      1500  /* between asking and killing, unless a child was allowed more */
#define ALLOW_MAX_MS 30000
#define WORDS_FD     3 /* of a child: takes its last words */

typedef struct {
    char name[64];            /* also its log's */
    char *argv[ARGS_MAX + 2]; /* its own copies; room for again and the NULL */
    char *again;              /* argument that is added when it is started again, or NULL */
    supervise_t how;
    pid_t pid; /* 0: not running */
    int words; /* a file in memory, since the disk of the log may be full; -1: none */
    bool done;
    int restarts; /* in a row */
    int64_t started_ms, start_at_ms;
    int64_t allow_ms; /* to end in, once asked */
} child_t;

struct supervisor {
    char logs[FS_PATH_MAX];
    child_t *child[CHILDREN_MAX];
    size_t n;
    bool forgets; /* the logs are gone when somebody could look */
    /* NULL, or called before a restart */
    void (*on_restart) (void *context, const char *name, const char *why);
    void *context;
    bool (*hurry) (void *context, const char *name, int64_t left_ms); /* or NULL */
    void *hurry_context;
};

/*  A subreaper becomes the parent of whatever its descendants leave behind, so nothing can escape
 *  supervisor_destroy. */
supervisor_t *supervisor_new (const char *log_folder, err_t *err)
{
    supervisor_t *s = calloc (1, sizeof *s);
    if (!s) {
        err_set (err, ERR_LIMIT, "no memory for a supervisor");
        return NULL;
    }
    snprintf (s->logs, sizeof s->logs, "%s", log_folder);
    prctl (PR_SET_CHILD_SUBREAPER, 1);
    if (fs_mkdirs (log_folder, err) != 0)
        supervisor_destroy (&s);
    return s;
}

static void supervisor_log_path (const supervisor_t *s, const child_t *c, char *path, size_t size)
{
    snprintf (path, size, "%s/%s.log", s->logs, c->name);
}

/*  In the child, between fork and exec. It asks to be killed with its parent, then looks whether
 *  the parent is still the one that it had: the parent may have died before the question was
 *  asked. */
static void supervisor_exec (const supervisor_t *s, const child_t *c, pid_t parent)
{
    char path[FS_PATH_MAX + 80], number[32];
    supervisor_log_path (s, c, path, sizeof path);
    setpgid (0, 0);
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != parent)
        _exit (1);
    /* A service compares its parent with this number and asks the kernel for the same (svc.c). */
    snprintf (number, sizeof number, "%ld", (long) parent);
    setenv ("QUINTET_SUPERVISOR", number, 1);
    unsetenv ("QUINTET_KEYS"); /* a bus of our own has none; for another one they are an argument */
    /* Appended to, so that what an earlier life said stays. Where there is no log, the child
       writes where we write. */
    int log = open (path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int none = open ("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log >= 0 && none >= 0) {
        dup2 (none, 0);
        dup2 (log, 1);
        dup2 (log, 2);
    }
    if (c->words >= 0 && (dup2 (c->words, WORDS_FD) == WORDS_FD)) {
        snprintf (number, sizeof number, "%d", WORDS_FD);
        setenv ("QUINTET_LAST_WORDS", number, 1);
        /* dup2 of a descriptor onto itself does nothing, and leaves it to be closed by exec. */
        fcntl (WORDS_FD, F_SETFD, 0);
    }
    /* Nothing else goes along, whoever opened it: not what our own caller left open either. */
    close_range (WORDS_FD + (c->words >= 0), ~0U, CLOSE_RANGE_CLOEXEC);
    /* A mask goes through exec: a child that inherits a blocked SIGTERM could not be asked to
       end. */
    sigset_t empty;
    sigemptyset (&empty);
    sigprocmask (SIG_SETMASK, &empty, NULL);
    execvp (c->argv[0], c->argv);
    /* Where there is a log, this is its last line, which the user is shown. The status keeps us
       from starting it again. */
    dprintf (2, "%s: %s\n", c->argv[0], strerror (errno));
    _exit (SVC_EXIT_CONFIG);
}

/*  Last words belong to one life: an earlier one's are erased. setpgid is called on both sides,
 *  whoever is first. */
static int supervisor_start (supervisor_t *s, child_t *c, err_t *err)
{
    pid_t parent = getpid ();
    if (c->words >= 0 && (ftruncate (c->words, 0) != 0 || lseek (c->words, 0, SEEK_SET) != 0))
        return err_errno (err, ERR_IO, "start %s", c->name);
    c->pid = fork ();
    if (c->pid < 0) {
        /* Left at -1 it would be signalled like a child, and the signal would go to process 1. */
        c->pid = 0;
        return err_errno (err, ERR_LIMIT, "start %s", c->name);
    }
    if (c->pid == 0)
        supervisor_exec (s, c, parent);
    setpgid (c->pid, c->pid);
    c->started_ms = clock_ms ();
    return 0;
}

static void supervisor_child_free (child_t *c)
{
    for (char **word = c->argv; *word; word++)
        free (*word);
    free (c->again);
    if (c->words >= 0)
        close (c->words);
    free (c);
}

/*  From the second start on the argument `again` is there ("--resume"). It changes its owner, from
 *  c->again to c->argv, so it is freed once. */
static void supervisor_restart (child_t *c)
{
    size_t n = 0;
    while (c->argv[n])
        n++;
    if (c->again && n < ARGS_MAX + 1) {
        c->argv[n] = c->again;
        c->again = NULL;
    }
}

int supervisor_add (supervisor_t *s, const char *name, const char *const *argv, const char *again,
                    supervise_t how, err_t *err)
{
    /* A name that is cut would be another child's, and so would its log. */
    if (strlen (name) >= sizeof ((child_t *) NULL)->name)
        return err_set (err, ERR_LIMIT, "a process's name has at most %zu letters: %s",
                        sizeof ((child_t *) NULL)->name - 1, name);
    child_t *c = s->n < CHILDREN_MAX ? calloc (1, sizeof *c) : NULL;
    if (!c)
        return err_set (err, ERR_LIMIT, "too many processes, or no memory for %s", name);
    snprintf (c->name, sizeof c->name, "%s", name);
    c->how = how;
    c->allow_ms = TERM_MS;
    c->words = memfd_create ("last-words", MFD_CLOEXEC);
    for (size_t i = 0; argv[i] && i < ARGS_MAX; i++)
        c->argv[i] = strdup (argv[i]);
    c->again = again ? strdup (again) : NULL;
    /* In the list before it starts, so that it is freed with the others when it does not. */
    s->child[s->n++] = c;
    return supervisor_start (s, c, err);
}

void supervisor_forget_logs (supervisor_t *s)
{
    s->forgets = true;
}

/*  The time comes from a status on the bus (cmd_run.c): bounds keep a wrong one from ending a child
 *  too early, or never. */
void supervisor_allow (supervisor_t *s, const char *name, int64_t ms)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp (s->child[i]->name, name) == 0)
            s->child[i]->allow_ms = ms < TERM_MS ? TERM_MS : ms > ALLOW_MAX_MS ? ALLOW_MAX_MS : ms;
}

void supervisor_hurry (supervisor_t *s,
                       bool (*hurry) (void *context, const char *name, int64_t left_ms),
                       void *context)
{
    s->hurry = hurry;
    s->hurry_context = context;
}

void supervisor_watch (supervisor_t *s,
                       void (*on_restart) (void *context, const char *name, const char *why),
                       void *context)
{
    s->on_restart = on_restart;
    s->context = context;
}

/*  What it said last: its last words, or the last line of its log. Last words are in memory, as a
 *  full disk takes no log. */
static void supervisor_last_line (const supervisor_t *s, const child_t *c, char *text, size_t size)
{
    char path[FS_PATH_MAX + 80];
    buf_t content = {0};
    ssize_t n = c->words >= 0 ? pread (c->words, text, size - 1, 0) : 0;
    text[n > 0 ? n : 0] = 0;
    if (n > 0)
        return;
    /* A log that is larger than this is not searched: then the error has no words of the child. */
    supervisor_log_path (s, c, path, sizeof path);
    if (fs_read (path, 64 << 20, &content, NULL) == 0 && content.size) {
        char *from = content.data + content.size - 1;
        while (from > content.data && *from == '\n')
            *from-- = 0;
        char *line = strrchr (content.data, '\n');
        snprintf (text, size, "%s", line ? line + 1 : content.data);
    }
    buf_free (&content);
}

/*  " (its log: ...)", of a service that was asked by others: what it said before is there. A
 *  trainer's last words are a sentence about the user's own configuration, and need no log. */
static const char *supervisor_where (const supervisor_t *s, const child_t *c, char *text,
                                     size_t size)
{
    if (s->forgets || c->how == SUPERVISE_UNTIL)
        return "";
    snprintf (text, size, " (its log: %s/%s.log)", s->logs, c->name);
    return text;
}

/*  What an end means: done (a trainer with status 0), not worth another try (wrong configuration,
 *  full disk, a deadline), or a crash, after which it is started again with growing pauses,
 *  RESTARTS_MAX times in a row. */
static int supervisor_on_exit (supervisor_t *s, child_t *c, int status, err_t *err)
{
    char why[64], last[ERR_TEXT_MAX - 100], where[FS_PATH_MAX + 80];
    c->pid = 0;
    if (c->how == SUPERVISE_UNTIL && WIFEXITED (status) && WEXITSTATUS (status) == 0) {
        c->done = true;
        return 0;
    }
    supervisor_last_line (s, c, last, sizeof last);
    int code = WIFEXITED (status) ? WEXITSTATUS (status) : 0; /* 0: a signal is always a crash */
    if (code == SVC_EXIT_CONFIG || code == SVC_EXIT_FULL ||
        (code == SVC_EXIT_LATE && c->how == SUPERVISE_UNTIL))
        return err_set (err,
                        code == SVC_EXIT_CONFIG ? ERR_CONFIG
                        : code == SVC_EXIT_FULL ? ERR_FULL
                                                : ERR_TIMEOUT,
                        "%s: %s%s", c->name, last, supervisor_where (s, c, where, sizeof where));
    if (clock_ms () - c->started_ms > STEADY_MS)
        c->restarts = 0;
    if (WIFSIGNALED (status))
        snprintf (why, sizeof why, "was killed by signal %d", WTERMSIG (status));
    else
        snprintf (why, sizeof why, "ended with status %d", WEXITSTATUS (status));
    if (c->restarts >= RESTARTS_MAX)
        return err_set (err, ERR_IO, "%s %s %d times in a row: %.400s (its log: %s/%s.log)",
                        c->name, why, RESTARTS_MAX + 1, last, s->logs, c->name);
    /* 0.1 s, 0.2 s, 0.4 s ...: what fails at once must not keep a core busy. */
    c->start_at_ms = clock_ms () + (PAUSE_MS << c->restarts);
    c->restarts++;
    if (s->on_restart)
        s->on_restart (s->context, c->name, why);
    supervisor_restart (c);
    return 0;
}

/*  One round over all children without waiting: who ended, and whose pause is over. Each is asked
 *  for by its own pid: what was adopted meanwhile is no child_t, and is taken at the end
 *  (supervisor_reap_orphans). */
int supervisor_turn (supervisor_t *s, err_t *err)
{
    for (size_t i = 0; i < s->n; i++) {
        child_t *c = s->child[i];
        int status;
        if (c->pid && waitpid (c->pid, &status, WNOHANG) == c->pid &&
            supervisor_on_exit (s, c, status, err) != 0)
            return -1;
        if (!c->pid && !c->done && clock_ms () >= c->start_at_ms &&
            supervisor_start (s, c, err) != 0)
            return -1;
    }
    return 0;
}

/*  Signals the child's whole group, so that what it started ends, too. SIGTERM is sent once only: a
 *  service takes a second one for impatience and ends without cleaning up. */
static void supervisor_signal_child (const child_t *c, int number)
{
    if (c->pid && kill (-c->pid, number) != 0) /* it has no group yet */
        kill (c->pid, number);
}

/*  Whether a child that was asked to end has not, and shall not have more time. */
static bool supervisor_is_late (const supervisor_t *s, const child_t *c, int64_t asked_ms)
{
    int64_t left_ms = clock_left_ms (asked_ms + c->allow_ms);
    return left_ms == 0 || (s->hurry && s->hurry (s->hurry_context, c->name, left_ms));
}

/*  Waits until the children from..n-1 are gone. Each has been asked to end, and is killed when the
 *  time that it was allowed has passed, or when somebody is in a hurry. */
static void supervisor_reap (supervisor_t *s, size_t from)
{
    int64_t asked_ms = clock_ms ();
    for (;;) {
        size_t left = 0;
        for (size_t i = from; i < s->n; i++) {
            child_t *c = s->child[i];
            /* An error also means that there is no such child any more. */
            if (c->pid && waitpid (c->pid, NULL, WNOHANG) != 0)
                c->pid = 0;
            if (c->pid && supervisor_is_late (s, c, asked_ms)) {
                /* Nothing can refuse this signal, so the wait behind it is a short one. */
                supervisor_signal_child (c, SIGKILL);
                waitpid (c->pid, NULL, 0);
                c->pid = 0;
            }
            left += c->pid != 0;
        }
        if (!left)
            return;
        clock_sleep_ms (5);
    }
}

/*  The parent of a process, 0 when it is gone. A name may hold any character, even ")": its last
 *  one ends the name. */
static pid_t supervisor_parent_of (const char *pid)
{
    char path[300];
    buf_t stat = {0};
    long parent = 0;
    snprintf (path, sizeof path, "/proc/%s/stat", pid);
    if (fs_read (path, 4096, &stat, NULL) == 0) {
        const char *end = strrchr (stat.data, ')'); /* of its name; then " S PARENT ..." */
        parent = end && strlen (end) > 4 ? strtol (end + 4, NULL, 10) : 0;
    }
    buf_free (&stat);
    return (pid_t) parent;
}

/*  Kills what the children have left behind, such as the program that a shell was running. Those
 *  who lose their parent by that become ours, too: until there is nobody. It takes every child of
 *  this process for such a one, which is why there may be no others. */
static void supervisor_reap_orphans (void)
{
    for (bool found = true; found;) {
        DIR *dir = opendir ("/proc");
        found = false;
        for (struct dirent *entry; dir && (entry = readdir (dir));) {
            pid_t pid = (pid_t) strtol (entry->d_name, NULL, 10);
            if (pid <= 0 || supervisor_parent_of (entry->d_name) != getpid ())
                continue;
            kill (pid, SIGKILL);
            found = waitpid (pid, NULL, 0) == pid || found;
        }
        if (dir)
            closedir (dir);
    }
}

/*  To the end of the list first, where supervisor_reap waits for one child alone. */
void supervisor_remove (supervisor_t *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp (s->child[i]->name, name) != 0)
            continue;
        child_t *c = s->child[i];
        s->child[i] = s->child[s->n - 1];
        s->child[s->n - 1] = c;
        supervisor_signal_child (c, SIGTERM);
        supervisor_reap (s, s->n - 1);
        supervisor_child_free (c);
        s->n--;
        return;
    }
}

/*  In the reverse order of their start: trainers before the services that they use. */
void supervisor_destroy (supervisor_t **self)
{
    supervisor_t *s = *self;
    if (!s)
        return;
    for (size_t i = s->n; i-- > 0;)
        supervisor_signal_child (s->child[i], SIGTERM);
    supervisor_reap (s, 0);
    supervisor_reap_orphans ();
    for (size_t i = 0; i < s->n; i++)
        supervisor_child_free (s->child[i]);
    free (s);
    *self = NULL;
}

bool supervisor_done (const supervisor_t *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp (s->child[i]->name, name) == 0)
            return s->child[i]->done;
    return false;
}

uint64_t supervisor_pid (const supervisor_t *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp (s->child[i]->name, name) == 0)
            return (uint64_t) s->child[i]->pid;
    return 0;
}

/*  Programs of one build belong together: those beside this one come before PATH. */
const char *supervisor_program (const char *name, char *path, size_t size)
{
    char self[FS_PATH_MAX];
    ssize_t n = readlink ("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    char *slash = strrchr (self, '/');
    if (slash) {
        snprintf (path, size, "%.*s/%s", (int) (slash - self), self, name);
        if (access (path, X_OK) == 0)
            return path;
    }
    snprintf (path, size, "%s", name);
    return path;
}
