/*  trial - see trial.h */
#include "trial.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define TRIAL_MS 500

/*  Runs as the reward service runs it: a shell, in a process group of its own, which can be killed
 *  as a whole. */
static void trial_exec (const char *command, int input, int output)
{
    setpgid (0, 0);
    int none = open ("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2 (input, 0);
    dup2 (none, 1);
    dup2 (output, 2);
    execl ("/bin/sh", "sh", "-c", command, (char *) NULL);
    _exit (127);
}

/*  The last line of what it said on standard error, which for Python is the exception; "" when it
 *  said nothing. */
static void trial_last_line (int fd, char *text, size_t size)
{
    char all[4096];
    /* It has ended, so what it said is in the pipe; the pipe does not block where that is
       nothing. */
    ssize_t n = read (fd, all, sizeof all - 1);
    while (n > 0 && all[n - 1] == '\n')
        n--;
    all[n > 0 ? n : 0] = 0;
    const char *line = strrchr (all, '\n');
    snprintf (text, size, "%.300s", line ? line + 1 : all);
}

/*  A scorer that cannot be found or fails at its imports ends within moments. One that still runs
 *  after TRIAL_MS waits for a line, as it should, and is killed. */
int trial_start (const char *command, err_t *err)
{
    int pipes[4] = {-1, -1, -1, -1}, status = 0; /* to it: read, write; from it: read, write */
    char said[320];
    pid_t pid = -1;
    if (pipe2 (pipes, O_CLOEXEC) != 0 || pipe2 (pipes + 2, O_CLOEXEC | O_NONBLOCK) != 0 ||
        (pid = fork ()) < 0)
        err_errno (err, ERR_IO, "cannot be started");
    if (pid == 0)
        trial_exec (command, pipes[0], pipes[3]);
    if (pid > 0)
        /* On both sides, whoever is first: the signal below is for the group. */
        setpgid (pid, pid);
    bool ended = false;
    for (int64_t until = clock_ms () + TRIAL_MS; pid > 0 && !ended && clock_ms () < until;) {
        clock_sleep_ms (5);
        ended = waitpid (pid, &status, WNOHANG) == pid;
    }
    if (ended) {
        trial_last_line (pipes[2], said, sizeof said);
        err_set (err, ERR_CONFIG, "'%.200s' ended at once (status %d)%s%s", command,
                 WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status),
                 *said ? ": " : "", said);
    } else if (pid > 0) {
        kill (-pid, SIGKILL);
        waitpid (pid, NULL, 0);
    }
    for (int i = 0; i < 4; i++)
        if (pipes[i] >= 0)
            close (pipes[i]);
    return pid > 0 && !ended ? 0 : -1;
}
