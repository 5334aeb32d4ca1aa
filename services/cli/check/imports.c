/*  imports - see imports.h */
#include "imports.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/embed.h"
#include "base/fs.h"
#include "task/family.h"

EMBED (imports_source, "services/cli/check/imports.py")

#define IMPORTS_MS 60000

/*  The texts of HumanEval's form that Python will read. Tasks without a test are compared by
 *  values alone. */
static int imports_write (FILE *file, const task_set_t *tasks)
{
    int rc = 0;
    for (task_split_t split = TASK_TRAIN; split <= TASK_HELDOUT; split++)
        for (size_t i = 0; rc == 0 && i < task_set_size (tasks, split); i++) {
            json_t *task = json_loads (task_set_get (tasks, split, i), 0, NULL);
            json_t *line =
                json_pack ("[s, s, s, s]", family_text (task, "id"), family_text (task, "prompt"),
                           family_text (task, "test"), family_text (task, "entry_point"));
            if (*family_text (task, "test"))
                rc = line && json_dumpf (line, file, JSON_COMPACT) == 0 && fputc ('\n', file) != EOF
                         ? 0
                         : -1;
            json_decref (line);
            json_decref (task);
        }
    return rc == 0 && fflush (file) == 0 ? 0 : -1;
}

/*  -s -S -B: without the user's and the site's own modules, as the sandbox has it; nothing is
 *  written beside sources. */
static _Noreturn void imports_exec (const conf_list_t *modules, int input, int output)
{
    const char *argv[CONF_LIST_MAX + 8] = {"python3", "-s", "-S", "-B", "-c", imports_source};
    for (size_t i = 0; i < modules->n; i++)
        argv[6 + i] = modules->item[i];
    lseek (input, 0, SEEK_SET);
    dup2 (input, 0);
    dup2 (output, 1);
    execvp (argv[0], (char *const *) (uintptr_t) argv);
    _exit (127);
}

/*  What python3 says on its output until it closes it; -1 when it takes longer than IMPORTS_MS. */
static int imports_read (int fd, buf_t *word)
{
    int64_t deadline = clock_ms () + IMPORTS_MS;
    struct pollfd item = {.fd = fd, .events = POLLIN};
    char block[512];
    ssize_t n;
    while (poll (&item, 1, (int) clock_left_ms (deadline)) > 0) {
        if ((n = read (fd, block, sizeof block)) <= 0)
            return n == 0 ? 0 : -1;
        buf_append (word, block, (size_t) n);
    }
    return -1;
}

/*  The texts go through a file, not a pipe: python3 may end before it has read them. */
static int imports_ask (const conf_list_t *modules, FILE *texts, buf_t *word, err_t *err)
{
    int pipes[2] = {-1, -1}, status = 0;
    pid_t pid = -1;
    if (pipe2 (pipes, O_CLOEXEC) == 0 && (pid = fork ()) == 0)
        imports_exec (modules, fileno (texts), pipes[1]);
    if (pid < 0)
        err_errno (err, ERR_IO, "start python3");
    /* As long as this end is open here, reading would not come to an end. */
    if (pipes[1] >= 0)
        close (pipes[1]);
    int rc = pid > 0 ? imports_read (pipes[0], word) : -1;
    if (pipes[0] >= 0)
        close (pipes[0]);
    if (pid > 0) {
        if (rc != 0)
            kill (pid, SIGKILL);
        waitpid (pid, &status, 0);
        if (rc != 0 || !WIFEXITED (status) || WEXITSTATUS (status) != 0)
            return err_set (err, ERR_CONFIG,
                            "python3, which runs the tests of programs, cannot read them "
                            "(status %d): Python 3.10 or newer is needed",
                            status);
    }
    return rc;
}

/*  What is said: "unlisted", "numpy" and "HumanEval/0", say, with tabs between. Each becomes an
 *  error that says what to do. */
static int imports_refuse (const conf_t *conf, const task_set_t *tasks, char *word, err_t *err)
{
    char at[FS_PATH_MAX + 128];
    char *rest = word, *what = strsep (&rest, "\t"), *module = strsep (&rest, "\t");
    if (!module || !rest)
        return err_set (err, ERR_INTERNAL, "python3 said of the task file: %.100s", word);
    if (strcmp (what, "missing") == 0)
        return conf_refuse (conf, "reward.python_modules", err,
                            "names %s, which python3 cannot import: install it (pip install %s)",
                            module, module);
    snprintf (at, sizeof at, "%s:%zu: task %.80s", conf->task.path, task_set_line (tasks, rest),
              rest);
    if (strcmp (what, "absent") == 0)
        return conf_refuse (conf, "task.path", err,
                            "%s imports %s, which is missing in this python3", at, module);
    if (strcmp (what, "syntax") == 0)
        return conf_refuse (conf, "task.path", err,
                            "%s cannot be passed: its test is no Python (%s)", at, module);
    if (strcmp (what, "check") == 0)
        return conf_refuse (conf, "task.path", err,
                            "%s cannot be passed: its test defines no check (candidate)", at);
    if (strcmp (what, "entry") == 0)
        return conf_refuse (conf, "task.path", err,
                            "%s cannot be passed: its prompt defines %s, and not its entry_point",
                            at, module);
    return conf_refuse (conf, "task.path", err,
                        "%s imports %s, which is not in Python's own library: list it in "
                        "reward.python_modules",
                        at, module);
}

int imports_check (const conf_t *conf, const task_set_t *tasks, err_t *err)
{
    const family_t *family = family_find (conf->task.family);
    /* Where no programs of a file are run, and no modules are named, there is nothing to ask
       python3. */
    if (!family->runs_programs || *conf->reward.command ||
        (!*conf->task.path && conf->reward.python_modules.n == 0))
        return 0;
    buf_t word = {.max = 4096};
    FILE *texts = tmpfile ();
    int rc = texts && imports_write (texts, tasks) == 0
                 ? imports_ask (&conf->reward.python_modules, texts, &word, err)
                 : err_errno (err, ERR_IO, "a temporary file for the tasks' texts");
    if (texts)
        fclose (texts);
    if (rc == 0 && word.size)
        rc = imports_refuse (conf, tasks, word.data, err);
    buf_free (&word);
    return rc;
}
