/*  wall - what stands behind the filter of system calls: Landlock, or gVisor.
 *
 *      wall_t wall;
 *      int rc = wall_read ("runsc", &wall, &err);
 *
 *  A program must break two walls to get at a file. The first is always seccomp's (filter.h). The
 *  second is the kernel's Landlock, which gVisor has not; there it is that a program can have no
 *  descriptor more (inside/lock.c), and around the whole container stands gVisor's own kernel.
 */
#ifndef QUINTET_REWARD_WALL_H
#define QUINTET_REWARD_WALL_H

#include "base/err.h"

typedef enum { WALL_LANDLOCK, WALL_RUNSC } wall_t;

/*  The wall of this name: "landlock" or "runsc". The latter in gVisor alone, by the first
 *  process of a container, whose memory it shuts to all others. ERR_CONFIG: no such wall, or it
 *  does not stand here. */
int wall_read (const char *name, wall_t *wall, err_t *err);

#endif
