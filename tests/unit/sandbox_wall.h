/*  sandbox_wall - which wall a test's sandbox has: as for the service, QUINTET_SANDBOX names
 *  another than Landlock, so that the same tests can be run in gVisor
 *  (tests/integration/test_gvisor).
 *
 *      sandbox_t *sandbox = sandbox_new ("", sandbox_wall (), &err);
 */
#ifndef QUINTET_TESTS_SANDBOX_WALL_H
#define QUINTET_TESTS_SANDBOX_WALL_H

#include <stdio.h>
#include <stdlib.h>

#include "../../services/reward/wall.h"

static inline wall_t sandbox_wall (void)
{
    const char *name = getenv ("QUINTET_SANDBOX");
    wall_t wall;
    err_t err = {0};
    if (wall_read (name && *name ? name : "landlock", &wall, &err) == 0)
        return wall;
    fprintf (stderr, "%s\n", err.text);
    exit (1);
}

#endif
