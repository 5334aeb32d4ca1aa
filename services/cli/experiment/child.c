/*  child - see child.h */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t signals; /* that came */
static volatile pid_t running;        /* 0: none */

/*  Each one is passed on: a second one makes the child end at once. */
static void child_on_signal (int number)
{
    (void) number;
    signals++;
    if (running > 0)
        kill (running, SIGINT);
}

void child_catch (void)
{
    struct sigaction action = {.sa_handler = child_on_signal};
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        sigaction (ends[i], &action, NULL);
}

bool child_interrupted (void)
{
    return signals > 0;
}

/*  In the new process. A group of its own: what the terminal sends comes from us alone, once. */
static void child_become (const char *const *words, int lines, int log, pid_t parent)
{
    char *argv[256] = {(char *) "quintet"};
    int none = open ("/dev/null", O_RDONLY);
    for (size_t i = 0; words[i] && i < 254; i++)
        argv[i + 1] = (char *) (uintptr_t) words[i];
    setpgid (0, 0);
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != parent) /* it died before it could be noticed */
        _exit (127);
    dup2 (none, STDIN_FILENO);
    dup2 (lines, STDOUT_FILENO);
    dup2 (log, STDERR_FILENO);
    execv ("/proc/self/exe", argv);
    _exit (127);
}

/*  What is no JSON is left out; an "error" is kept as the reason of a failure. */
static void child_read (FILE *from, void (*on_line) (void *context, const json_t *line),
                        void *context, err_t *why)
{
    char *text = NULL;
    size_t capacity = 0;
    for (;;) {
        errno = 0;
        if (getline (&text, &capacity, from) <= 0) {
            if (errno != EINTR)
                break;
            clearerr (from);
            continue;
        }
        json_t *line = json_loads (text, 0, NULL);
        const char *event = json_string_value (json_object_get (line, "event"));
        const char *said = json_string_value (json_object_get (line, "text"));
        if (event && said && strcmp (event, "error") == 0)
            err_set (why, ERR_IO, "%.900s", said);
        if (json_is_object (line))
            on_line (context, line);
        json_decref (line);
    }
    free (text);
}

int child_run (const char *const *words, const char *log,
               void (*on_line) (void *context, const json_t *line), void *context, err_t *err)
{
    int ends[2], status = 0, to = open (log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    err_t why = {0};
    if (to < 0)
        return err_errno (err, ERR_IO, "%s: cannot be written", log);
    if (pipe2 (ends, O_CLOEXEC) != 0) {
        close (to);
        return err_errno (err, ERR_IO, "no pipe for a command");
    }
    pid_t parent = getpid (), pid = fork ();
    if (pid == 0)
        child_become (words, ends[1], to, parent);
    running = pid;
    if (signals && pid > 0) /* before it was known whom to tell */
        kill (pid, SIGINT);
    close (ends[1]);
    close (to);
    FILE *from = pid > 0 ? fdopen (ends[0], "r") : NULL;
    if (from)
        child_read (from, on_line, context, &why);
    if (from)
        fclose (from);
    else
        close (ends[0]);
    while (pid > 0 && waitpid (pid, &status, 0) < 0 && errno == EINTR)
        ;
    running = 0;
    if (pid < 0)
        return err_errno (err, ERR_IO, "no process for a command");
    if (signals)
        return err_set (err, ERR_NONE, "stopped");
    if (status == 0)
        return 0;
    return why.code ? err_set (err, why.code, "%s", why.text)
                    : err_set (err, ERR_IO, "`quintet %s` ended with status %d; %s says why",
                               words[0], WIFEXITED (status) ? WEXITSTATUS (status) : -1, log);
}
