/*  line_process - see line_process.h */
#include "line_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define END_MS   500  /* that a process may take to end once it has closed its standard output */
#define WORD_MAX 4096 /* bytes of a line of standard error; a longer one is cut into several */

struct line_process {
    pid_t pid;
    int to, from, words; /* words: standard error; -1 once it is closed */
    int status;          /* see line_process_status */
    buf_t rest;          /* read beyond the last line */
    buf_t word;          /* the line of standard error that has not ended yet */
    void (*on_word) (void *context, const char *line, size_t n);
    void *context;
};

/*  Between fork and exec of a process with threads, so system calls only. A group of its own lets
 *  all that the program starts be killed with it. It ends with us, and the comparison of parents
 *  covers the case that we had ended before the kernel was told so. */
static void line_process_become (char *const argv[], const int pipes[6], pid_t parent)
{
    setpgid (0, 0);
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != parent)
        _exit (127);
    signal (SIGPIPE, SIG_DFL);
    signal (SIGINT, SIG_IGN); /* Ctrl-C at a terminal is the parent's to handle */
    close_range (3, INT_MAX, CLOSE_RANGE_CLOEXEC); /* whoever opened it: it gets its pipes */
    dup2 (pipes[0], 0);
    dup2 (pipes[3], 1);
    dup2 (pipes[5], 2);
    execvp (argv[0], argv);
    _exit (127);
}

/*  The pipes are made before the fork and closed on exec: another thread that forks in between does
 *  not keep them open. */
line_process_t *line_process_new (char *const argv[],
                                  void (*on_word) (void *context, const char *line, size_t n),
                                  void *context, err_t *err)
{
    /* To the child: read, write; from it: read, write; from its standard error: read, write. */
    int pipes[6] = {-1, -1, -1, -1, -1, -1};
    line_process_t *p = calloc (1, sizeof *p);
    pid_t parent = getpid ();
    if (!p || pipe2 (pipes, O_CLOEXEC) != 0 || pipe2 (pipes + 2, O_CLOEXEC) != 0 ||
        pipe2 (pipes + 4, O_CLOEXEC) != 0 || (p->pid = fork ()) < 0) {
        err_errno (err, ERR_IO, "start '%s'", argv[0]);
        for (int i = 0; i < 6; i++)
            if (pipes[i] >= 0)
                close (pipes[i]);
        free (p);
        return NULL;
    }
    if (p->pid == 0)
        line_process_become (argv, pipes, parent);
    close (pipes[0]);
    close (pipes[3]);
    close (pipes[5]);
    p->to = pipes[1];
    p->from = pipes[2];
    p->words = pipes[4];
    p->status = -1;
    p->on_word = on_word;
    p->context = context;
    /* Our ends only: the deadline is kept by poll, which a read or write that blocks would get
     * past. */
    fcntl (p->to, F_SETFL, O_NONBLOCK);
    fcntl (p->from, F_SETFL, O_NONBLOCK);
    fcntl (p->words, F_SETFL, O_NONBLOCK);
    /* A program that writes without end must not fill our memory. */
    p->rest.max = (size_t) 16 << 20;
    p->word.max = 2 * WORD_MAX;
    return p;
}

/*  Empty lines are not passed on. */
static void line_process_end_word (line_process_t *p)
{
    if (p->word.size)
        p->on_word (p->context, p->word.data, p->word.size);
    buf_clear (&p->word);
}

/*  Takes what there is of standard error, at most a pipe's worth, since a program that never stops
 *  writing must not keep us here. */
static void line_process_read_words (line_process_t *p)
{
    char block[4096];
    for (int i = 0; i < 16 && p->words >= 0; i++) {
        ssize_t n = read (p->words, block, sizeof block);
        if (n < 0)
            return;
        for (ssize_t k = 0; k < n; k++) {
            if (block[k] != '\n')
                buf_char (&p->word, block[k]);
            if (block[k] == '\n' || p->word.size == WORD_MAX)
                line_process_end_word (p);
        }
        if (n == 0) {
            line_process_end_word (p);
            close (p->words);
            p->words = -1;
        }
    }
}

/*  Its last words first: they often tell why it is being ended. */
void line_process_destroy (line_process_t **self)
{
    line_process_t *p = *self;
    if (!p)
        return;
    line_process_read_words (p);
    line_process_end_word (p);
    kill (-p->pid, SIGKILL);
    kill (p->pid, SIGKILL); /* in case it had not made its group yet */
    waitpid (p->pid, NULL, 0);
    close (p->to);
    close (p->from);
    if (p->words >= 0)
        close (p->words);
    buf_free (&p->rest);
    buf_free (&p->word);
    free (p);
    *self = NULL;
}

/*  Waits for one pipe, and empties standard error meanwhile: a program that is blocked there would
 *  never answer. */
static int line_process_wait_fd (line_process_t *p, int fd, short events, int64_t deadline,
                                 err_t *err)
{
    for (;;) {
        struct pollfd items[] = {{.fd = fd, .events = events}, {.fd = p->words, .events = POLLIN}};
        int left = (int) clock_left_ms (deadline), rc = poll (items, 2, left);
        if (rc > 0 && items[1].revents)
            line_process_read_words (p);
        if (rc > 0 && items[0].revents)
            return 0;
        /* Also where signals break every poll off before it has waited. */
        if (left == 0 || rc == 0)
            return err_set (err, ERR_TIMEOUT, "it did not answer in time");
    }
}

/*  The program has closed a pipe, which mostly means that it is about to be gone: its status and
 *  what it said last are worth a moment. It is only looked at here, so its number stays its own
 *  until line_process_destroy. */
static int line_process_ended (line_process_t *p, err_t *err)
{
    siginfo_t info = {0};
    int64_t deadline = clock_ms () + END_MS;
    for (;;) {
        info.si_pid = 0;
        bool known = waitid (P_PID, (id_t) p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
        line_process_read_words (p);
        if ((known && info.si_pid == p->pid) || clock_left_ms (deadline) == 0)
            break;
        clock_sleep_ms (5);
    }
    line_process_end_word (p);
    if (info.si_pid != p->pid)
        return err_set (err, ERR_IO, "it closed its pipe without an answer");
    if (info.si_code != CLD_EXITED)
        return err_set (err, ERR_IO, "it was killed by signal %d before it answered",
                        info.si_status);
    p->status = info.si_status;
    return err_set (err, ERR_IO, "it ended without an answer (status %d)", p->status);
}

int line_process_status (const line_process_t *p)
{
    return p->status;
}

/*  A line may be longer than a pipe holds, so it goes in pieces while the program reads. */
static int line_process_send_all (line_process_t *p, const char *data, size_t size,
                                  int64_t deadline, err_t *err)
{
    while (size) {
        ssize_t n = write (p->to, data, size);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return line_process_ended (p, err);
        if (n < 0 && line_process_wait_fd (p, p->to, POLLOUT, deadline, err) != 0)
            return -1;
        if (n > 0) {
            data += n;
            size -= (size_t) n;
        }
    }
    return 0;
}

/*  What was read beyond the line stays in `rest`, where line_process_check_quiet finds it. */
static int line_process_read_line (line_process_t *p, int64_t deadline, buf_t *answer, err_t *err)
{
    for (;;) {
        char *end = p->rest.size ? memchr (p->rest.data, '\n', p->rest.size) : NULL;
        if (end) {
            size_t n = (size_t) (end - p->rest.data);
            buf_append (answer, p->rest.data, n);
            memmove (p->rest.data, end + 1, p->rest.size - n - 1);
            p->rest.size -= n + 1;
            return 0;
        }
        char block[65536];
        ssize_t n = read (p->from, block, sizeof block);
        if (n == 0 && p->rest.size) { /* the last line of a stream needs no end */
            buf_append (answer, p->rest.data, p->rest.size);
            buf_clear (&p->rest);
            return 0;
        }
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return line_process_ended (p, err);
        if (n < 0 && line_process_wait_fd (p, p->from, POLLIN, deadline, err) != 0)
            return -1;
        if (n > 0)
            buf_append (&p->rest, block, (size_t) n);
        if (buf_failed (&p->rest))
            return err_set (err, ERR_LIMIT, "its answer is too long");
    }
}

/*  What the child says before it is asked, or after its answer, would be taken for the next
 *  answer. */
static int line_process_check_quiet (const line_process_t *p, err_t *err)
{
    struct pollfd item = {.fd = p->from, .events = POLLIN};
    bool more = p->rest.size > 0 || (poll (&item, 1, 0) > 0 && (item.revents & POLLIN));
    return more ? err_set (err, ERR_INPUT, "it prints more than one line for each that it gets")
                : 0;
}

static int line_process_send (line_process_t *p, const char *line, size_t size, int64_t deadline,
                              err_t *err)
{
    return line_process_check_quiet (p, err) == 0 &&
                   line_process_send_all (p, line, size, deadline, err) == 0 &&
                   line_process_send_all (p, "\n", 1, deadline, err) == 0
               ? 0
               : -1;
}

int line_process_tell (line_process_t *p, const char *line, size_t size, int64_t deadline_ms,
                       err_t *err)
{
    return line_process_send (p, line, size, clock_ms () + deadline_ms, err);
}

int line_process_ask (line_process_t *p, const char *line, size_t size, int64_t deadline_ms,
                      buf_t *answer, err_t *err)
{
    /* One deadline for all: time that the question took to write is missing for the answer. */
    int64_t deadline = clock_ms () + deadline_ms;
    if (line && line_process_send (p, line, size, deadline, err) != 0)
        return -1;
    return line_process_read_line (p, deadline, answer, err) == 0
               ? line_process_check_quiet (p, err)
               : -1;
}
