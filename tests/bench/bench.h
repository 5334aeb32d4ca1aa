/*  bench - how a benchmark tells what it measured: a line for people, and one of JSON for
 *  machines.
 *
 *      bench_tell ("store.groups", rate, "1/s", bare_rate);   limit: measured beside it
 *
 *  JSON goes to the end of the file that QUINTET_BENCH_JSON names, when it does: {"name":
 *  "store.groups", "value": 5100, "unit": "1/s", "limit": 6000, "share": 0.85} share is how much
 *  of the limit was reached: value / limit, and limit / value for units of which less is better
 *  (s, ms, us, MB).
 */
#ifndef QUINTET_TESTS_BENCH_H
#define QUINTET_TESTS_BENCH_H

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static inline bool bench_less_is_better (const char *unit)
{
    static const char *const units[] = {"s", "ms", "us", "MB"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp (units[i], unit) == 0)
            return true;
    return false;
}

/*  As fork; the child is ended with this process, however that ends. */
static inline pid_t bench_fork (void)
{
    pid_t parent = getpid (), pid = fork ();
    if (pid == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        if (getppid () != parent)
            _exit (1); /* it ended before the line above */
    }
    return pid;
}

/*  Starts a program with what it prints at the end of FOLDER/log; out: instead of its output, or
 *  -1. -1: it cannot be forked. */
static inline pid_t bench_start (char *const argv[], const char *folder, int out)
{
    pid_t pid = bench_fork ();
    if (pid != 0)
        return pid;
    char log[128];
    snprintf (log, sizeof log, "%s/log", folder);
    int file = open (log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2 (out >= 0 ? out : file, 1);
    dup2 (file, 2);
    execvp (argv[0], argv);
    _exit (127);
}

/*  Resident memory of a process in MB. */
static inline double bench_resident (pid_t pid)
{
    char path[64], line[256];
    double kilobytes = 0;
    snprintf (path, sizeof path, "/proc/%d/status", (int) pid);
    FILE *file = fopen (path, "re");
    while (file && fgets (line, sizeof line, file))
        if (strncmp (line, "VmRSS:", 6) == 0)
            kilobytes = strtod (line + 6, NULL);
    if (file)
        fclose (file);
    return kilobytes / 1024;
}

/*  limit: NAN when there is none. */
static inline void bench_tell (const char *name, double value, const char *unit, double limit)
{
    double share = bench_less_is_better (unit) ? limit / value : value / limit;
    printf ("%-44s %12.6g %-8s", name, value, unit);
    if (!isnan (limit))
        printf ("  limit %12.6g  share %5.2f", limit, share);
    printf ("\n");
    fflush (stdout);
    const char *path = getenv ("QUINTET_BENCH_JSON");
    FILE *file = path && *path ? fopen (path, "ae") : NULL;
    if (!file)
        return;
    fprintf (file, "{\"name\": \"%s\", \"value\": %.9g, \"unit\": \"%s\"", name, value, unit);
    if (!isnan (limit))
        fprintf (file, ", \"limit\": %.9g, \"share\": %.4g", limit, share);
    fprintf (file, "}\n");
    fclose (file);
}

#endif
