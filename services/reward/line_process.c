/*  line_process - see line_process.h */
#include "line_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

struct line_process {
    pid_t pid;
    int to, from;
    buf_t rest; /* read beyond the last line */
};

static void line_process_become (char *const argv[], char *const environment[], const int pipes[4],
                                 int keep_fd, pid_t parent)
{
    setpgid (0, 0);
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != parent)
        _exit (127);
    signal (SIGPIPE, SIG_DFL);
    signal (SIGINT, SIG_IGN);                  /* Ctrl-C at a terminal is the parent's to handle */
    close_range (3, ~0U, CLOSE_RANGE_CLOEXEC); /* whoever opened it: the program gets its pipes */
    if (keep_fd >= 0)
        fcntl (keep_fd, F_SETFD, 0);
    dup2 (pipes[0], 0);
    dup2 (pipes[3], 1);
    if (environment)
        execvpe (argv[0], argv, environment);
    else
        execvp (argv[0], argv);
    _exit (127);
}

line_process_t *line_process_new (char *const argv[], char *const environment[], int keep_fd,
                                  err_t *err)
{
    int pipes[4] = {-1, -1, -1, -1}; /* to the child: read, write; from it: read, write */
    line_process_t *p = calloc (1, sizeof *p);
    pid_t parent = getpid ();
    if (!p || pipe2 (pipes, O_CLOEXEC) != 0 || pipe2 (pipes + 2, O_CLOEXEC) != 0 ||
        (p->pid = fork ()) < 0) {
        err_errno (err, ERR_IO, "start '%s'", argv[0]);
        for (int i = 0; i < 4; i++)
            if (pipes[i] >= 0)
                close (pipes[i]);
        free (p);
        return NULL;
    }
    if (p->pid == 0)
        line_process_become (argv, environment, pipes, keep_fd, parent);
    close (pipes[0]);
    close (pipes[3]);
    p->to = pipes[1];
    p->from = pipes[2];
    fcntl (p->to, F_SETFL, O_NONBLOCK);
    fcntl (p->from, F_SETFL, O_NONBLOCK);
    p->rest.max = (size_t) 16 << 20;
    return p;
}

void line_process_destroy (line_process_t **self)
{
    line_process_t *p = *self;
    if (!p)
        return;
    kill (-p->pid, SIGKILL);
    kill (p->pid, SIGKILL); /* in case it had not made its group yet */
    waitpid (p->pid, NULL, 0);
    close (p->to);
    close (p->from);
    buf_free (&p->rest);
    free (p);
    *self = NULL;
}

static int line_process_wait_fd (int fd, short events, int64_t deadline, err_t *err)
{
    struct pollfd item = {.fd = fd, .events = events};
    int rc;
    do
        rc = poll (&item, 1, (int) clock_left_ms (deadline));
    while (rc < 0 && errno == EINTR);
    return rc > 0 ? 0 : err_set (err, ERR_TIMEOUT, "it did not answer in time");
}

static int line_process_send_all (line_process_t *p, const char *data, size_t size,
                                  int64_t deadline, err_t *err)
{
    while (size) {
        ssize_t n = write (p->to, data, size);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_errno (err, ERR_IO, "it ended");
        if (n < 0 && line_process_wait_fd (p->to, POLLOUT, deadline, err) != 0)
            return -1;
        if (n > 0) {
            data += n;
            size -= (size_t) n;
        }
    }
    return 0;
}

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
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return err_set (err, ERR_IO, "it ended without an answer");
        if (n < 0 && line_process_wait_fd (p->from, POLLIN, deadline, err) != 0)
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
    return more ? err_set (err, ERR_INPUT, "it prints more than one line per episode") : 0;
}

int line_process_ask (line_process_t *p, const char *line, size_t size, int64_t deadline_ms,
                      buf_t *answer, err_t *err)
{
    int64_t deadline = clock_ms () + deadline_ms;
    if (line && (line_process_check_quiet (p, err) != 0 ||
                 line_process_send_all (p, line, size, deadline, err) != 0 ||
                 line_process_send_all (p, "\n", 1, deadline, err) != 0))
        return -1;
    return line_process_read_line (p, deadline, answer, err) == 0
               ? line_process_check_quiet (p, err)
               : -1;
}
