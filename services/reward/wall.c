/*  wall - see wall.h */
#include "wall.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol.h"

#define WALL_LOG_ALL 3 /* of syslog (2): the kernel's log, which is left as it is */

/*  gVisor's kernel tells everybody its log, and that begins with its name at second 0. Of Linux's
 *  log so short a piece is the end, which no message of its start is in, and most users are told
 *  nothing. No setting of a container changes either; who could write into the machine's own log
 *  is root outside. */
static bool wall_is_gvisor (void)
{
    static const char name[] = "Starting gVisor";
    char text[160];
    double at = 1;
    int begins = 0, n = klogctl (WALL_LOG_ALL, text, (int) sizeof text - 1);
    if (n <= 0)
        return false;
    text[n] = 0;
    return sscanf (text, "<%*d>[%lf] %n", &at, &begins) == 1 && at == 0 && begins > 0 &&
           strncmp (text + begins, name, strlen (name)) == 0;
}

static bool wall_has_landlock (void)
{
    return syscall (PROTOCOL_LANDLOCK_CREATE, NULL, 0, PROTOCOL_LANDLOCK_ABI) > 0;
}

/*  Landlock would keep a program from the memory of this process, with its keys in it, also where
 *  both are of one user. */
static int wall_runsc (err_t *err)
{
    if (wall_has_landlock ())
        return err_set (err, ERR_CONFIG,
                        "--sandbox runsc: this kernel has Landlock, which holds more: leave the "
                        "option out");
    if (!wall_is_gvisor ())
        return err_set (err, ERR_CONFIG,
                        "--sandbox runsc: this is not gVisor, whose kernel log begins with "
                        "'Starting gVisor': start the container with its runtime (runsc), or "
                        "leave the option out where the kernel has Landlock (Linux 5.13)");
    if (getpid () != 1)
        return err_set (err, ERR_CONFIG,
                        "--sandbox runsc: quintet-reward must be the first process of its "
                        "container (it is number %d), since gVisor gives that one the programs' "
                        "processes to wait for: start it without a shell and without an init "
                        "before it",
                        (int) getpid ());
    return prctl (PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
               ? 0
               : err_errno (err, ERR_CONFIG, "shut this process's memory to others");
}

int wall_read (const char *name, wall_t *wall, err_t *err)
{
    bool runsc = strcmp (name, "runsc") == 0;
    if (!runsc && strcmp (name, "landlock") != 0)
        return err_set (err, ERR_CONFIG, "--sandbox '%.40s': it is landlock, or runsc in gVisor",
                        name);
    *wall = runsc ? WALL_RUNSC : WALL_LANDLOCK;
    return runsc ? wall_runsc (err) : 0;
}
